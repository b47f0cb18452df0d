//! News: short announcements, by a company to its employees, by the platform to everybody or to the people of chosen
//! companies, those who run them included.
//!
//! The two are tables of their own, so that a company's stand behind its fence and nobody else's staff reads them, the
//! platform's included. Who reads which is decided by row security; which of them are over, by the clock, here.
//!
//! Nobody is notified of news: a line in everybody's list for each announcement would push away what is about a person's own
//! sessions. Clients ask for what is unread (`GET /news?unread=true`). Who has read what is each reader's own.

mod api;
mod model;
mod service;
mod store;

pub use api::NewsApi;
