//! The application in process, on a database of its own, as its real runtime roles.

pub mod app;
pub mod client;
pub mod cluster;
pub mod smtp;
pub mod tools;

pub use app::{Company, TestApp};
pub use client::{Answer, User};
