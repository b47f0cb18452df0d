//! Every test that needs a database, in one program.

mod development_database;
mod identity;
mod support;
