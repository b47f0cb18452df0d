//! Reads variables and gathers what is wrong with them.

use super::{ConfigError, ConfigErrors};

pub struct Reader<F> {
    vars: F,
    errors: Vec<ConfigError>,
}

impl<F: Fn(&str) -> Option<String>> Reader<F> {
    pub fn new(vars: F) -> Self {
        Self { vars, errors: Vec::new() }
    }

    fn text(&self, name: &str) -> Option<String> {
        (self.vars)(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    pub fn is_set(&self, name: &str) -> bool {
        self.text(name).is_some()
    }

    pub fn has_faults(&self) -> bool {
        !self.errors.is_empty()
    }

    pub fn fault(&mut self, variable: &'static str, fault: &str, expected: &'static str) {
        self.errors.push(ConfigError { variable, fault: fault.to_owned(), expected });
    }

    /// Notes those that are not set although others of the group are.
    pub fn together<const N: usize>(&mut self, names: [&'static str; N]) {
        if names.iter().any(|name| self.is_set(name)) {
            for name in names.into_iter().filter(|name| !self.is_set(name)).collect::<Vec<_>>() {
                self.fault(name, "is missing", "all settings of the group, or none");
            }
        }
    }

    /// `None` when unset, and when wrong.
    pub fn optional<T>(
        &mut self,
        name: &'static str,
        expected: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        match parse(&self.text(name)?) {
            Ok(value) => Some(value),
            Err(fault) => {
                self.fault(name, &fault, expected);
                None
            }
        }
    }

    /// The value or its default; `None` only when wrong.
    pub fn or<T>(
        &mut self,
        name: &'static str,
        default: T,
        expected: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        if self.is_set(name) { self.optional(name, expected, parse) } else { Some(default) }
    }

    /// The value, or its default where there is one; a fault otherwise.
    pub fn required<T>(
        &mut self,
        name: &'static str,
        default: Option<T>,
        expected: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        if self.is_set(name) {
            return self.optional(name, expected, parse);
        }
        if default.is_none() {
            self.fault(name, "is missing", expected);
        }
        default
    }

    /// The whole, if nothing was wrong with its parts.
    pub fn finish<T>(self, whole: impl FnOnce() -> Option<T>) -> Result<T, ConfigErrors> {
        if self.errors.is_empty() { whole().ok_or(ConfigErrors(Vec::new())) } else { Err(ConfigErrors(self.errors)) }
    }
}
