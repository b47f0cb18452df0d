//! Articles: short texts of the platform about care, in French and English.
//!
//! An article has one translation for each language that it is written in. Who asks in a language that an article has
//! not been written in gets it in the other one. Bodies are Markdown, turned into HTML and sanitised whenever they are
//! read: what is stored is never trusted, and a stricter sanitiser holds for old texts at once.
//!
//! Today articles are read; what readers see is decided by the database, which shows published ones only.

pub mod api;
pub mod model;
pub mod service;
mod store;

pub use api::ContentApi;
