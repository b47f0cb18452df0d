//! What a password and a name must be. Pure.

use crate::platform::problem::FieldErrors;

/// The terms in force. A person agrees to them with the invitation.
pub const TERMS_VERSION: &str = "2026-11";

/// Passwords that are tried first, normalised: lower case. One a line.
const KNOWN_BAD: &str = include_str!("known_bad_passwords.txt");

/// NIST SP 800-63B-4, 3.1.1.2: length and a blocklist, no rules of composition.
pub fn check_password(password: &str, pointer: &str, errors: &mut FieldErrors) {
    let length = password.chars().count();
    if length < 12 {
        errors.add(pointer, "password_too_short");
    } else if length > 128 {
        errors.add(pointer, "password_too_long");
    } else if is_known_bad(password) {
        errors.add(pointer, "password_known");
    }
}

fn is_known_bad(password: &str) -> bool {
    let lower = password.to_lowercase();
    let mut letters = lower.chars();
    let first = letters.next();
    letters.all(|letter| Some(letter) == first) || KNOWN_BAD.lines().any(|known| known == lower)
}

/// An IANA time zone that the program knows.
pub fn check_time_zone(name: &str, pointer: &str, errors: &mut FieldErrors) {
    errors.check(name.parse::<chrono_tz::Tz>().is_ok(), pointer, "time_zone");
}

/// An address as it is kept: trimmed and in lower case.
pub fn normalise_email(email: &str) -> String {
    email.trim().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(password: &str) -> Vec<&'static str> {
        let mut errors = FieldErrors::new();
        check_password(password, "/password", &mut errors);
        errors.into_vec().into_iter().map(|e| e.code).collect()
    }

    #[test]
    fn a_password_needs_twelve_characters_of_any_script() {
        assert_eq!(faults("short"), ["password_too_short"]);
        assert_eq!(faults("éàüçñöåøßđłż"), [] as [&str; 0]);
        assert_eq!(faults(&"x y".repeat(43)), ["password_too_long"]);
    }

    #[test]
    fn passwords_that_attackers_try_first_are_refused() {
        assert_eq!(faults("Password1234"), ["password_known"]);
        assert_eq!(faults("aaaaaaaaaaaaaa"), ["password_known"]);
    }

    #[test]
    fn the_list_of_bad_passwords_is_worth_shipping() {
        assert!(KNOWN_BAD.lines().count() > 500);
        assert!(KNOWN_BAD.lines().all(|line| line.chars().count() >= 12 && line == line.to_lowercase()));
    }
}
