//! What people read in the counters, in their language.

use std::borrow::Cow;

use rust_i18n::t;

use super::model::{Dimension, Line, Withheld};
use crate::platform::locale::Locale;

/// The name of a column.
pub fn column(name: &str, locale: Locale) -> Cow<'static, str> {
    t!(format!("usage.column.{name}"), locale = locale.as_str()).into_owned().into()
}

/// The value of the dimension that a line is about.
pub fn value(by: Dimension, line: &Line, locale: Locale) -> Cow<'static, str> {
    if line.is_total {
        return t!("usage.total", locale = locale.as_str()).into_owned().into();
    }
    match by {
        Dimension::Department => department(line, locale),
        by => t!(format!("usage.{}.{}", by.as_str(), line.key), locale = locale.as_str()).into_owned().into(),
    }
}

/// The name of a department, or that there is none.
pub fn department(line: &Line, locale: Locale) -> Cow<'static, str> {
    match &line.label {
        Some(name) => name.clone().into(),
        None => t!("usage.no_department", locale = locale.as_str()).into_owned().into(),
    }
}

/// Why a number is not told.
pub fn withheld(why: Withheld, locale: Locale) -> Cow<'static, str> {
    t!(format!("usage.withheld.{}", why.as_str()), locale = locale.as_str()).into_owned().into()
}
