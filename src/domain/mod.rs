//! The modules, by floor: a module imports only from floors below its own.

pub mod admin;
pub mod audit_trail;
pub mod calls;
pub mod chat;
pub mod clinical_notes;
pub mod companies;
pub mod consultations;
pub mod content;
pub mod employees;
pub mod exports;
pub mod files;
pub mod identity;
pub mod journal;
pub mod notifications;
pub mod practitioners;
pub mod privacy;
pub mod reviews;
pub mod search;
pub mod usage;
