//! One question, asked of practitioners and articles.
//!
//! **Permission comes first.** Which rows hold the words is found by functions of the database that answer with ids and
//! figures alone (`policies/search.sql`); the statement that ranks, counts and cuts them into pages runs as whoever asks, on
//! rows that their own policies show. What somebody may not see changes no order, no count and no page.
//!
//! Accents, capitals and small slips do not matter; words are known by their stem in French and English, also where they are
//! only begun. All words must occur; the better they do, the earlier something comes.
//!
//! Practitioners come by relevance, by rating or by who has time first: the last two are the directory's own orders
//! ([`crate::domain::consultations::directory`]), of those whom the same function found.

mod api;
mod model;
mod service;
mod store;

pub use api::SearchApi;
pub use store::{BEGIN, COUNT, FIND};
