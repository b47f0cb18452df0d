//! Every test that needs a database, in one program.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod development_database;
mod identity;
mod seeds;
mod support;
mod sweeps;
