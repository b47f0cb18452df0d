//! What is asked, and what is found.

use poem_openapi::Enum;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::consultations::directory::Found as Practitioner;
use crate::domain::content::model::{Category, Summary};
use crate::domain::practitioners::{Mode, Specialty};

/// What can be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, Enum)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[oai(rename = "SearchType", rename_all = "snake_case")]
pub enum Kind {
    Article,
    Practitioner,
}

/// The order of what is found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Enum)]
#[oai(rename = "SearchSort", rename_all = "snake_case")]
pub enum Sort {
    /// What answers best.
    #[default]
    Relevance,
    /// Of practitioners: who has time first.
    NextFree,
    /// Of practitioners: of whom clients say the best.
    Rating,
}

/// What the findings are narrowed by. One that is about practitioners leaves articles out, and the other way round.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub kind: Option<Kind>,
    pub specialty: Option<Specialty>,
    pub language: Option<String>,
    pub mode: Option<Mode>,
    pub category: Option<Category>,
}

impl Filter {
    fn is_about_practitioners(&self) -> bool {
        self.specialty.is_some() || self.language.is_some() || self.mode.is_some()
    }

    pub fn takes(&self, kind: Kind) -> bool {
        self.kind.is_none_or(|wanted| wanted == kind)
            && match kind {
                Kind::Article => !self.is_about_practitioners(),
                Kind::Practitioner => self.category.is_none(),
            }
    }
}

/// What was found, before it is known as more than an id. Its parts are the order, and where a page goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::FromRow)]
pub struct Hit {
    pub score: i32,
    pub kind: Kind,
    pub id: Uuid,
}

/// Something that was found.
pub enum Item {
    Article(Box<Summary>),
    Practitioner(Box<Practitioner>),
}

/// How many of what is found are of a value.
#[derive(Clone, Debug, sqlx::FromRow)]
#[allow(clippy::struct_field_names)]
pub struct Facet {
    pub facet: String,
    pub value: String,
    pub count: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_about_one_kind_leaves_the_other_out() {
        let takes = |filter: &Filter| (filter.takes(Kind::Article), filter.takes(Kind::Practitioner));
        assert_eq!(takes(&Filter::default()), (true, true));
        assert_eq!(takes(&Filter { kind: Some(Kind::Article), ..Filter::default() }), (true, false));
        assert_eq!(takes(&Filter { mode: Some(Mode::Chat), ..Filter::default() }), (false, true));
        assert_eq!(takes(&Filter { category: Some(Category::Sleep), ..Filter::default() }), (true, false));
        let both = Filter { category: Some(Category::Sleep), mode: Some(Mode::Chat), ..Filter::default() };
        assert_eq!(takes(&both), (false, false));
    }
}
