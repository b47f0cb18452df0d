//! Why a text of the platform is refused.

use crate::causes;

causes! {
    pub enum Error {
        /// Practitioners write drafts; what is or was published is the platform's to change.
        ArticleNotDraft => (CONFLICT, "article_not_draft"),
        /// What is published cannot wait to be published.
        ArticlePublished => (CONFLICT, "article_published"),
        /// Another article has, or had, the name.
        SlugTaken => (CONFLICT, "slug_taken"),
    }
}
