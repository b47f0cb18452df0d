//! What people read in the counters, in their language.

use std::borrow::Cow;

use rust_i18n::t;

use super::model::{Dimension, Line, Withheld};
use crate::platform::locale::Locale;

/// The name of a column.
pub fn column(name: &str, locale: Locale) -> Cow<'static, str> {
    t!(format!("usage.column.{name}"), locale = locale.as_str()).into_owned().into()
}

/// The value that a line has in a dimension: of its row, or of its column.
pub fn value(of: Dimension, key: &str, line: &Line, locale: Locale) -> Cow<'static, str> {
    match of {
        Dimension::Department => department(line, locale),
        of => t!(format!("usage.{}.{key}", of.as_str()), locale = locale.as_str()).into_owned().into(),
    }
}

/// The month as a whole.
pub fn total(locale: Locale) -> Cow<'static, str> {
    t!("usage.total", locale = locale.as_str()).into_owned().into()
}

/// The name of a department, or that it is those that are counted together.
pub fn department(line: &Line, locale: Locale) -> Cow<'static, str> {
    match &line.label {
        Some(name) => name.clone().into(),
        None => t!("usage.other_departments", locale = locale.as_str()).into_owned().into(),
    }
}

/// Why a number is not told.
pub fn withheld(why: Withheld, locale: Locale) -> Cow<'static, str> {
    t!(format!("usage.withheld.{}", why.as_str()), locale = locale.as_str()).into_owned().into()
}
