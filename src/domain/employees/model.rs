//! What an entry of the directory is. Pure.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::domain::companies::model::{is_unreadable, normalise_address};
use crate::platform::ids::{CompanyId, EmployeeId};
use crate::platform::locale::Locale;
use crate::platform::problem::FieldErrors;

/// Whether a person still works for the company. It says nothing of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, poem_openapi::Enum)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[oai(rename = "EmployeeStatus", rename_all = "snake_case")]
pub enum Status {
    Active,
    Left,
}

/// An entry of the directory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, sqlx::FromRow)]
pub struct Employee {
    pub id: EmployeeId,
    pub company_id: CompanyId,
    pub email: String,
    pub first_name: String,
    pub last_name: String,
    pub staff_number: Option<String>,
    /// The department's name.
    pub department: Option<String>,
    pub site: Option<String>,
    pub locale: Locale,
    pub status: Status,
    pub left_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl Employee {
    /// Notes every fault; puts the texts into the form in which they are kept.
    pub fn check(&mut self, faults: &mut FieldErrors) {
        match normalise_address(&self.email) {
            Some(address) => self.email = address,
            None => faults.add(Field::Email.pointer(), Fault::Address.code()),
        }
        let mut note = |field: Field, value: &str| match field.read(value) {
            Ok(None) if field.is_required() => {
                faults.add(field.pointer(), Fault::Missing.code());
                None
            }
            Ok(text) => text,
            Err(fault) => {
                faults.add_with(field.pointer(), fault.code(), &fault.args());
                None
            }
        };
        self.first_name = note(Field::FirstName, &self.first_name).unwrap_or_default();
        self.last_name = note(Field::LastName, &self.last_name).unwrap_or_default();
        for (field, value) in [
            (Field::StaffNumber, &mut self.staff_number),
            (Field::Department, &mut self.department),
            (Field::Site, &mut self.site),
        ] {
            *value = value.take().and_then(|text| note(field, &text));
        }
    }
}

/// What HR writes of a person: a member of a body, a column of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, poem_openapi::Enum)]
#[serde(rename_all = "camelCase")]
#[oai(rename = "EmployeeField", rename_all = "camelCase")]
pub enum Field {
    Email,
    FirstName,
    LastName,
    StaffNumber,
    Department,
    Site,
    Locale,
}

impl Field {
    pub const ALL: [Self; 7] =
        [Self::Email, Self::FirstName, Self::LastName, Self::StaffNumber, Self::Department, Self::Site, Self::Locale];

    pub fn name(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::FirstName => "firstName",
            Self::LastName => "lastName",
            Self::StaffNumber => "staffNumber",
            Self::Department => "department",
            Self::Site => "site",
            Self::Locale => "locale",
        }
    }

    /// Its place in a body (RFC 6901).
    pub fn pointer(self) -> String {
        format!("/{}", self.name())
    }

    pub fn is_required(self) -> bool {
        matches!(self, Self::Email | Self::FirstName | Self::LastName)
    }

    /// Characters that it may have; the database has the same limits.
    pub fn max_length(self) -> usize {
        match self {
            Self::Email => 254,
            Self::FirstName | Self::LastName => 100,
            Self::StaffNumber => 60,
            Self::Department | Self::Site => 120,
            Self::Locale => 20,
        }
    }

    /// A text as it is kept. It is never changed otherwise: a name that begins like a formula is a name.
    pub fn read(self, text: &str) -> Result<Option<String>, Fault> {
        if text.chars().any(|c| is_unreadable(c) && !c.is_whitespace()) {
            return Err(Fault::Unreadable);
        }
        let clean = crate::domain::companies::model::clean(text);
        match &clean {
            Some(text) if text.chars().count() > self.max_length() => Err(Fault::TooLong { max: self.max_length() }),
            _ => Ok(clean),
        }
    }
}

/// What may be wrong with a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    Missing,
    TooLong {
        max: usize,
    },
    /// It holds characters that nobody can see, or that could not be read.
    Unreadable,
    Address,
    Language,
    /// The row has more cells than the header has columns.
    TooManyCells,
    /// The address stands on an earlier line.
    AddressRepeated {
        line: u64,
    },
    /// The staff number stands on an earlier line.
    StaffNumberRepeated {
        line: u64,
    },
    /// Somebody else in the directory has the staff number.
    StaffNumberTaken,
    SeatsExceeded {
        seats: i32,
    },
}

impl Fault {
    /// Its words are `field.<code>` of `locales/`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing => "required",
            Self::TooLong { .. } => "max_length",
            Self::Unreadable => "unreadable_character",
            Self::Address => "email",
            Self::Language => "offered_language",
            Self::TooManyCells => "too_many_cells",
            Self::AddressRepeated { .. } => "address_repeated",
            Self::StaffNumberRepeated { .. } => "staff_number_repeated",
            Self::StaffNumberTaken => "staff_number_taken",
            Self::SeatsExceeded { .. } => "seats_exceeded",
        }
    }

    pub fn args(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::TooLong { max } => vec![("max", max.to_string())],
            Self::AddressRepeated { line } | Self::StaffNumberRepeated { line } => vec![("line", line.to_string())],
            Self::SeatsExceeded { seats } => vec![("seats", seats.to_string())],
            _ => Vec::new(),
        }
    }
}

/// A language as people write it: a code, a tag, or its name in French or English.
pub fn read_language(text: &str) -> Option<Locale> {
    let text = text.trim().to_lowercase();
    match text.split(['-', '_']).next()? {
        "fr" | "français" | "francais" | "french" => Some(Locale::Fr),
        "en" | "anglais" | "english" => Some(Locale::En),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_begins_like_a_formula_is_a_name() {
        assert_eq!(Field::LastName.read(" =cmd|'/C calc'!A1 ").unwrap().as_deref(), Some("=cmd|'/C calc'!A1"));
    }

    #[test]
    fn a_line_break_inside_a_cell_is_a_space_and_other_control_characters_are_refused() {
        assert_eq!(Field::Department.read("R&D\r\nParis").unwrap().as_deref(), Some("R&D Paris"));
        for hidden in ["a\0b", "a\u{7}b", "a\u{9d}b", "a\u{fffd}b"] {
            assert_eq!(Field::Department.read(hidden), Err(Fault::Unreadable), "{hidden:?}");
        }
    }

    #[test]
    fn lengths_are_counted_in_characters() {
        assert!(Field::FirstName.read(&"é".repeat(100)).is_ok());
        assert_eq!(Field::FirstName.read(&"é".repeat(101)), Err(Fault::TooLong { max: 100 }));
    }

    #[test]
    fn a_language_is_known_by_code_tag_and_name() {
        for french in ["fr", "FR", "fr-FR", "fr_CA", "Français", "french"] {
            assert_eq!(read_language(french), Some(Locale::Fr), "{french}");
        }
        assert_eq!(read_language("English"), Some(Locale::En));
        assert_eq!(read_language("de"), None);
    }

    #[test]
    fn every_fault_has_words_in_both_languages() {
        for fault in [
            Fault::Missing,
            Fault::TooLong { max: 1 },
            Fault::Unreadable,
            Fault::Address,
            Fault::Language,
            Fault::TooManyCells,
            Fault::AddressRepeated { line: 1 },
            Fault::StaffNumberRepeated { line: 1 },
            Fault::StaffNumberTaken,
            Fault::SeatsExceeded { seats: 1 },
        ] {
            let key = format!("field.{}", fault.code());
            let [english, french] = ["en", "fr"].map(|locale| rust_i18n::t!(&key, locale = locale).into_owned());
            assert!(english != key && french != key && english != french, "{key}");
            for (name, _) in fault.args() {
                assert!(english.contains(&format!("%{{{name}}}")), "{key}: {english}");
            }
        }
    }
}
