//! What is written, and what is wrong with it.

use std::collections::HashSet;

use crate::domain::content::markdown;
use crate::domain::content::model::{Category, is_slug};
use crate::platform::FieldErrors;
use crate::platform::ids::FileId;
use crate::platform::locale::Locale;

const MOST_TAGS: usize = 20;
const LONGEST_TAG: usize = 40;

/// A text as it is brought.
#[derive(Clone, Debug)]
pub struct NewText {
    pub language: Locale,
    /// The one that it has, or one made of its title, unless said.
    pub slug: Option<String>,
    pub title: String,
    pub summary: String,
    pub body: String,
}

/// A change of an article; what is absent stays.
#[derive(Clone, Debug, Default)]
#[allow(clippy::option_option)] // absent, nothing and something are three things
pub struct Change {
    pub category: Option<Category>,
    pub tags: Option<Vec<String>>,
    /// Inner `None`: no picture any more.
    pub cover: Option<Option<FileId>>,
    /// All texts that it has from now on.
    pub texts: Option<Vec<NewText>>,
}

impl Change {
    /// What schemas cannot say.
    pub fn check(&self, faults: &mut FieldErrors) {
        let tags = self.tags.as_deref().unwrap_or_default();
        faults.check(tags.len() <= MOST_TAGS, "/tags", "article_tags");
        let mut known = HashSet::new();
        for (at, tag) in tags.iter().enumerate() {
            faults.check(is_slug(tag) && tag.len() <= LONGEST_TAG, format!("/tags/{at}"), "article_tag");
            faults.check(known.insert(tag), format!("/tags/{at}"), "duplicate");
        }
        let mut languages = HashSet::new();
        for (at, text) in self.texts.iter().flatten().enumerate() {
            faults.check(languages.insert(text.language), format!("/texts/{at}/language"), "duplicate");
            let is_name = text.slug.as_deref().is_none_or(is_slug);
            faults.check(is_name, format!("/texts/{at}/slug"), "article_slug");
            let is_flat = markdown::depth(&text.body) <= markdown::DEEPEST;
            faults.check(is_flat, format!("/texts/{at}/body"), "markdown_depth");
        }
    }

    /// The names of what changes, for the log.
    pub fn fields(&self) -> Vec<&'static str> {
        let mut fields = Vec::new();
        fields.extend(self.category.map(|_| "category"));
        fields.extend(self.tags.as_ref().map(|_| "tags"));
        fields.extend(self.cover.map(|_| "cover"));
        fields.extend(self.texts.as_ref().map(|_| "texts"));
        fields
    }
}
