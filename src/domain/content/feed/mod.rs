//! The feed of articles, for programs that follow blogs (RSS 2.0).
//!
//! Such a program cannot sign in, so the feed shows what a shop window would: titles and summaries of what is published,
//! each with a link to the article, which is for who is signed in.

mod api;
mod model;
mod service;
mod store;

pub use api::FeedApi;
