//! What an address, a name and a time zone must be. Pure.

use email_address::{EmailAddress, Options};
use unicode_normalization::UnicodeNormalization;

use crate::platform::problem::FieldErrors;

/// The terms in force. A person agrees to them with the invitation.
pub const TERMS_VERSION: &str = "2026-11";
/// The privacy notice in force.
pub const PRIVACY_NOTICE_VERSION: &str = "2026-11";

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

/// A text as it is kept: composed (NFC), trimmed, line breaks and tabs as spaces. `None`: nothing is left of it,
/// or it holds a character that nobody can see.
pub fn clean(text: &str) -> Option<String> {
    let text: String = text.nfc().collect();
    let text = text.split(char::is_whitespace).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    (!text.is_empty() && !text.chars().any(is_unreadable)).then_some(text)
}

/// The name of an account, a company or a practitioner, as it is kept. Composing may lengthen a text: what was short
/// enough before may be too long. The database has the same rules for accounts (`users_display_name_readable`).
pub fn clean_name(text: &str) -> Option<String> {
    clean(text).filter(|name| name.chars().count() <= 200)
}

/// Control characters, those that turn the direction of the text around them or take no place, and the sign that stands
/// for bytes that could not be read.
pub fn is_unreadable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{fff9}'..='\u{fffd}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_composed_trimmed_and_has_nothing_hidden() {
        assert_eq!(clean(" Zoe\u{301}\u{a0} \n Martin ").as_deref(), Some("Zoé Martin"));
        assert_eq!(clean(" \t "), None);
        assert_eq!(clean("Zoé\0"), None);
        assert_eq!(clean("Zo\u{fffd}"), None);
        // names that could pass for others: turned around, or with signs that take no place
        for hidden in ["ecilA\u{202e}", "\u{2066}Alice\u{2069}", "Al\u{200b}ice", "Alice\u{feff}", "Al\u{ad}ice"] {
            assert_eq!(clean(hidden), None, "{hidden:?}");
        }
        // scripts that need joiners keep them
        assert!(clean("\u{645}\u{6cc}\u{200c}\u{62e}\u{648}\u{627}\u{647}\u{645}").is_some());
    }

    #[test]
    fn a_name_that_grows_by_composing_is_measured_afterwards() {
        assert_eq!(clean_name(&"\u{958}".repeat(101)), None);
        assert_eq!(clean_name(&"é".repeat(200)).map(|name| name.chars().count()), Some(200));
    }

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
