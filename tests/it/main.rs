//! Every test that needs a database, in one program.

mod booking_races;
mod companies;
mod consultations;
mod crash;
mod development_database;
mod employees;
mod identity;
mod openapi;
mod practitioners;
mod seeds;
mod support;
mod sweeps;
mod tour;
mod usage;
