//! Instants as PostgreSQL writes them in text. chrono reads them by a pattern, at ten times the cost, which was a sixth
//! of what the busiest read cost.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgTypeInfo, PgValueFormat, PgValueRef};
use sqlx::{Decode, Postgres, Type};

/// A `timestamptz`, for rows of [`super::Once`], whose values come as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instant(pub DateTime<Utc>);

impl Type<Postgres> for Instant {
    fn type_info() -> PgTypeInfo {
        <DateTime<Utc> as Type<Postgres>>::type_info()
    }
}

impl<'r> Decode<'r, Postgres> for Instant {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        if value.format() == PgValueFormat::Text
            && let Some(at) = parse(value.as_bytes()?)
        {
            return Ok(Self(at));
        }
        DateTime::decode(value).map(Self)
    }
}

/// `2026-11-21 10:45:37.123456+00`: what a connection in UTC writes for years of four digits.
fn parse(text: &[u8]) -> Option<DateTime<Utc>> {
    let (date_time, fraction) = text.strip_suffix(b"+00")?.split_at_checked(19)?;
    let [y1, y2, y3, y4, b'-', o1, o2, b'-', d1, d2, b' ', h1, h2, b':', m1, m2, b':', s1, s2] = date_time else {
        return None;
    };
    let year = i32::try_from(number(&[*y1, *y2, *y3, *y4])?).ok()?;
    let micros = match fraction {
        [] => 0,
        [b'.', digits @ ..] if digits.len() <= 6 => number(digits)? * 10_u32.pow(6 - u32::try_from(digits.len()).ok()?),
        _ => return None,
    };
    let date = NaiveDate::from_ymd_opt(year, number(&[*o1, *o2])?, number(&[*d1, *d2])?)?;
    let (hour, minute, second) = (number(&[*h1, *h2])?, number(&[*m1, *m2])?, number(&[*s1, *s2])?);
    Some(date.and_hms_micro_opt(hour, minute, second, micros)?.and_utc())
}

fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |value, digit| digit.is_ascii_digit().then(|| value * 10 + u32::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_postgresql_writes_is_read_to_the_microsecond() {
        for (text, expected) in [
            ("2026-11-21 10:45:37.123456+00", "2026-11-21T10:45:37.123456Z"),
            ("2026-11-21 10:45:37.1+00", "2026-11-21T10:45:37.100Z"),
            ("2024-02-29 00:00:00+00", "2024-02-29T00:00:00Z"),
            ("0001-01-01 23:59:59.000001+00", "0001-01-01T23:59:59.000001Z"),
        ] {
            assert_eq!(parse(text.as_bytes()), Some(expected.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn anything_else_is_left_to_the_slow_way() {
        for text in [
            "infinity",
            "2026-11-21 10:45:37+01",
            "12026-11-21 10:45:37+00",
            "0044-03-15 10:00:00+00 BC",
            "2026-02-30 10:00:00+00",
            "2026-11-21 10:45:37.1234567+00",
            "2026-11-21T10:45:37+00",
            "2026-11-21 1é:45:37+00",
            "",
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }
}
