//! Codes, steps and recovery codes. Pure.

use chrono::{DateTime, TimeDelta, Utc};
use totp_rs::{Algorithm, Builder, Totp};
use zeroize::Zeroizing;

use crate::platform::auth::Role;
use crate::platform::{Problem, Result};

/// RFC 4226, section 4, R6: 160 bits.
pub const SECRET_BYTES: usize = 20;
pub const DIGITS: u8 = 6;
pub const STEP_SECONDS: i64 = 30;
/// What the person's app shows; it may be a phone of the employer's, so it says nothing of care.
const ISSUER: &str = "HuntZen";
/// An offered secret waits so long for its first code.
pub const OFFER_TTL: TimeDelta = TimeDelta::hours(1);
/// A log-in waits so long for its code.
pub const TICKET_TTL: TimeDelta = TimeDelta::minutes(5);

pub const RECOVERY_CODES: usize = 10;
/// 80 bits each.
pub const RECOVERY_CODE_BYTES: usize = 10;
/// Crockford's: no letter that is taken for another.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// What the app and the server share.
pub struct TotpSecret(Totp);

impl TotpSecret {
    /// `account` is what the app shows beside the issuer.
    pub fn new(secret: &[u8], account: &str) -> Result<Self> {
        Builder::new()
            .with_algorithm(Algorithm::SHA1)
            .with_digits(DIGITS)
            .with_skew(1)
            .with_step_duration(STEP_SECONDS.unsigned_abs())
            .with_secret(secret)
            .with_issuer(Some(ISSUER))
            // the sign that the label is cut at
            .with_account_name(account.replace(':', " "))
            .build()
            .map(Self)
            .map_err(|error| Problem::internal(error.to_string()))
    }

    /// The step that a code belongs to: this one, or its neighbour on either side (RFC 6238, 5.2).
    pub fn step_of(&self, code: &str, now: DateTime<Utc>) -> Option<i64> {
        let digits: String = code.chars().filter(|c| !c.is_whitespace()).collect();
        let seconds = u64::try_from(now.timestamp()).ok()?;
        self.0.check(&digits, seconds).and_then(|step| i64::try_from(step).ok())
    }

    /// For typing it.
    pub fn base32(&self) -> String {
        self.0.secret().to_base32()
    }

    /// For the camera: `otpauth://totp/…`.
    pub fn uri(&self) -> Result<String> {
        self.0.to_url().map_err(|error| Problem::internal(error.to_string()))
    }
}

/// Sixteen letters in fours.
pub fn recovery_code(random: [u8; RECOVERY_CODE_BYTES]) -> String {
    let bits = random.iter().fold(0_u128, |bits, byte| bits << 8 | u128::from(*byte));
    let mut code = String::with_capacity(19);
    for place in (0..16_u32).rev() {
        let index = usize::try_from(bits >> (place * 5) & 31).unwrap_or_default();
        code.push(ALPHABET.get(index).copied().map_or('0', char::from));
        if place % 4 == 0 && place != 0 {
            code.push('-');
        }
    }
    code
}

/// A recovery code as it is hashed: however it was written, and with the letters that people take for digits.
pub fn normalise_recovery_code(text: &str) -> Zeroizing<String> {
    let letters = text.chars().filter(char::is_ascii_alphanumeric).map(|letter| match letter.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    });
    Zeroizing::new(letters.collect())
}

/// Since when an account must have a second factor; `None` where it is the person's choice.
pub fn required_at(role: Role, activated_at: Option<DateTime<Utc>>, grace: TimeDelta) -> Option<DateTime<Utc>> {
    matches!(role, Role::Practitioner | Role::PlatformAdmin)
        .then_some(activated_at)
        .flatten()
        .map(|since| since + grace)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    /// RFC 6238, appendix B: the last six of the eight digits for SHA-1.
    #[test]
    fn codes_are_those_of_the_standard() {
        let totp = TotpSecret::new(b"12345678901234567890", "ana@people.test").unwrap();
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(totp.step_of(code, at(seconds)), Some(seconds / 30), "{seconds}");
        }
        assert_eq!(totp.step_of("287 082", at(59)), Some(1));
        for wrong in ["", "28708", "2870820", "287083", "abcdef", "+28708"] {
            assert_eq!(totp.step_of(wrong, at(59)), None, "{wrong}");
        }
    }

    #[test]
    fn one_step_on_either_side_is_taken_and_no_more() {
        let totp = TotpSecret::new(b"12345678901234567890", "ana@people.test").unwrap();
        // the code of the step that begins at 1,111,111,110
        let (code, step) = ("050471", 37_037_037);
        for (seconds, fits) in [
            (1_111_111_079, false),
            (1_111_111_080, true),
            (1_111_111_110, true),
            (1_111_111_169, true),
            (1_111_111_170, false),
        ] {
            assert_eq!(totp.step_of(code, at(seconds)), fits.then_some(step), "{seconds}");
        }
    }

    #[test]
    fn the_uri_says_all_that_an_app_needs_and_nothing_of_care() {
        let totp = TotpSecret::new(b"12345678901234567890", "\"a:b\"@people.test").unwrap();
        let uri = totp.uri().unwrap();
        assert!(uri.starts_with("otpauth://totp/HuntZen:"), "{uri}");
        assert!(uri.contains("secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ") && uri.contains("issuer=HuntZen"), "{uri}");
        assert_eq!(totp.base32(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
    }

    #[test]
    fn a_recovery_code_has_eighty_bits_and_is_read_as_people_write_it() {
        assert_eq!(recovery_code([0; 10]), "0000-0000-0000-0000");
        assert_eq!(recovery_code([255; 10]), "ZZZZ-ZZZZ-ZZZZ-ZZZZ");
        assert_eq!(recovery_code([0, 0, 0, 0, 0, 0, 0, 0, 0, 33]), "0000-0000-0000-0011");
        let code = recovery_code([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
        assert_eq!(*normalise_recovery_code(&code.to_lowercase().replace('-', " ")), code.replace('-', ""));
        assert_eq!(*normalise_recovery_code("oOiI-lL"), "001111");
    }

    #[test]
    fn who_must_have_a_second_factor_and_from_when() {
        let (since, grace) = (at(1_000_000), TimeDelta::days(14));
        for role in Role::ALL {
            let must = matches!(role, Role::Practitioner | Role::PlatformAdmin);
            assert_eq!(required_at(role, Some(since), grace), must.then_some(since + grace), "{role:?}");
            assert_eq!(required_at(role, None, grace), None);
        }
    }
}
