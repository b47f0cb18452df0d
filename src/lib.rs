//! HuntZen Care: the online-care platform that companies offer their employees.
//!
//! [`app`] composes the program: configuration, then [`platform`], then the modules of [`domain`].
//! ARCHITECTURE.md tells how the rooms hang together.

rust_i18n::i18n!("locales", fallback = "en");

pub mod app;
pub mod cli;
pub mod domain;
pub mod platform;
pub mod seed;
