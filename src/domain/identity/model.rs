//! What an address and a time zone must be. Pure.

use email_address::{EmailAddress, Options};

use crate::platform::problem::FieldErrors;

/// The terms in force. A person agrees to them with the invitation.
pub const TERMS_VERSION: &str = "2026-11";

/// An IANA time zone that the program knows.
pub fn check_time_zone(name: &str, pointer: &str, errors: &mut FieldErrors) {
    errors.check(name.parse::<chrono_tz::Tz>().is_ok(), pointer, "time_zone");
}

/// An address as it is looked up: trimmed and in lower case.
pub fn normalise_email(email: &str) -> String {
    email.trim().to_lowercase()
}

/// A mail address as it is kept, in lower case; `None` where mail could not reach it.
///
/// Only ASCII: few mail servers take anything else (RFC 6531), and look-alikes of other scripts stay out. So do signs
/// of other scripts whose lower case is ASCII.
pub fn normalise_address(text: &str) -> Option<String> {
    let address = normalise_email(text);
    let options = Options::default().with_required_tld().without_display_text().without_domain_literal();
    let valid = text.trim().is_ascii()
        && address.len() <= 254
        && !address.contains('"')
        && EmailAddress::parse_with_options(&address, options).is_ok();
    valid.then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_kept_in_one_form() {
        assert_eq!(normalise_address(" Alice.Martin@Acme.TEST ").as_deref(), Some("alice.martin@acme.test"));
        // a Kelvin sign, whose lower case is k; a dotted capital I; a Greek A; an accent; a full-width sign
        for odd in [
            "\u{212a}im@acme.test",
            "\u{130}da@acme.test",
            "\u{391}lice@acme.test",
            "zo\u{e9}@acme.test",
            "a\u{ff20}b.test",
        ] {
            assert_eq!(normalise_address(odd), None, "{odd}");
        }
    }
}
