//! Every test that needs a database, in one program.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

mod account;
mod administration;
mod audit;
mod booking_races;
mod calendar_files;
mod calendars;
mod companies;
mod company_lifecycle;
mod consultations;
mod content;
mod crash;
mod database;
mod development_database;
mod directory;
mod employees;
mod hr_learns_nothing;
mod idempotency;
mod identity;
mod life;
mod members;
mod openapi;
mod practitioners;
mod quota;
mod schemathesis;
mod seeds;
mod slots;
mod soak;
mod support;
mod sweeps;
mod tour;
mod two_factor;
mod usage;
mod verification;
mod waitlist;
