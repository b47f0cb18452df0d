//! The feed of articles, for programs that follow blogs (RSS 2.0).
//!
//! Such a program cannot sign in, so the feed shows what a shop window would: titles and summaries of what is published. No
//! links to them: articles are for who is signed in, and the program has no page that shows one. The channel links to `/docs`.

mod api;
mod model;
mod service;
mod store;

pub use api::FeedApi;
