//! A person's copy of their data: one ZIP, made by a job that reads as the person.

mod api;
mod archive;
mod jobs;
mod model;
mod page;
mod sections;
mod service;
mod store;

pub use api::CopiesApi;
pub use jobs::{CollectCopies, SweepCopies, register as jobs};
pub use model::{document as copy_document, subject as copy_subject};
pub use sections::SECTIONS;
