//! Texts of the platform: articles about care, their feed, and announcements.
//!
//! ```text
//! draft ──publish at──→ scheduled ──the clock──→ published ⇄ archived
//!   │ ↑                     │                      ↑  │         │
//!   │ └─────unpublish───────┴──────────────────────│──┴─────────┘
//!   └──────────────────────publish─────────────────┘
//! ```
//!
//! An article has one text for each language that it is written in. Who asks in a language that it has not been written in
//! gets it in the other one. Bodies are Markdown, turned into HTML and sanitised whenever they are read ([`markdown`]): what is
//! stored is never trusted, and a stricter sanitiser holds for old texts at once.
//!
//! **Who writes** ([`writing`]): practitioners drafts of their own; the platform's staff all, and they alone publish. What
//! was never published is deleted for good; what was is archived.
//!
//! **Names.** An article keeps every name that a text of it ever had: old ones lead to it, and no other article gets them, in
//! neither language. So a name means one article, whatever the reader's language.
//!
//! What readers see is decided by the database, which shows published articles only. Programs that cannot sign in get
//! titles and summaries ([`feed`]). Announcements are in [`news`].

pub mod api;
mod error;
mod feed;
pub mod markdown;
pub mod model;
mod news;
pub mod service;
mod store;
mod writing;

pub use api::ArticleItem;
pub use error::Error;
pub use store::list_by_ids as by_ids;

use poem_openapi::OpenApi;

use crate::platform::jobs::Registry;

/// What this module answers.
pub fn apis() -> impl OpenApi {
    (api::ContentApi, feed::FeedApi, writing::WritingApi, news::NewsApi)
}

/// The handlers and schedules of this module.
pub fn jobs(registry: &mut Registry) {
    writing::jobs(registry);
}
