//! The application in process, on a database of its own, as its real runtime roles.
#![allow(dead_code, unused_imports)] // what one test file needs, another may not

pub mod app;
pub mod client;
pub mod cluster;
pub mod collector;
pub mod dump;
pub mod gate;
pub mod process;
pub mod redis;
pub mod s3;
pub mod smtp;
pub mod sockets;
pub mod timing;
pub mod tools;
pub mod web;

pub use app::{Company, TestApp};
pub use client::{Answer, User};
pub use sockets::Sockets;
