//! Filters of the templates: times in the reader's zone and language, and words for what is stored as a code.

use chrono::{DateTime, Datelike, Timelike, Utc};
use chrono_tz::Tz;
use minijinja::{Error, ErrorKind};

const DAYS: [(&str, &str); 7] = [
    ("lundi", "Monday"),
    ("mardi", "Tuesday"),
    ("mercredi", "Wednesday"),
    ("jeudi", "Thursday"),
    ("vendredi", "Friday"),
    ("samedi", "Saturday"),
    ("dimanche", "Sunday"),
];

const MONTHS: [(&str, &str); 12] = [
    ("janvier", "January"),
    ("février", "February"),
    ("mars", "March"),
    ("avril", "April"),
    ("mai", "May"),
    ("juin", "June"),
    ("juillet", "July"),
    ("août", "August"),
    ("septembre", "September"),
    ("octobre", "October"),
    ("novembre", "November"),
    ("décembre", "December"),
];

/// `{{ at | day(time_zone, locale) }}`: *mardi 24 novembre 2026*, *Tuesday 24 November 2026*.
pub(super) fn day(at: &str, time_zone: &str, locale: &str) -> Result<String, Error> {
    let local = local(at, time_zone)?;
    let word = |words: &[(&'static str, &'static str)], index: u32| {
        let (fr, en) = words.get(index as usize).copied().unwrap_or_default();
        if locale == "fr" { fr } else { en }
    };
    let (week, month) = (word(&DAYS, local.weekday().num_days_from_monday()), word(&MONTHS, local.month0()));
    let number = if locale == "fr" && local.day() == 1 { "1er".to_owned() } else { local.day().to_string() };
    Ok(format!("{week} {number} {month} {}", local.year()))
}

/// `{{ at | moment(time_zone, locale) }}`: *mardi 24 novembre 2026 à 14:30 (Europe/Paris)*.
pub(super) fn moment(at: &str, time_zone: &str, locale: &str) -> Result<String, Error> {
    let local = local(at, time_zone)?;
    let word = if locale == "fr" { "à" } else { "at" };
    let day = day(at, time_zone, locale)?;
    Ok(format!("{day} {word} {:02}:{:02} ({time_zone})", local.hour(), local.minute()))
}

/// `{{ mode | mode(locale) }}`: how people meet.
pub(super) fn mode(mode: &str, locale: &str) -> Result<&'static str, Error> {
    match (mode, locale) {
        ("video", "fr") => Ok("en vidéo"),
        ("video", _) => Ok("by video"),
        ("audio", "fr") => Ok("par appel audio"),
        ("audio", _) => Ok("by audio call"),
        ("chat", "fr") => Ok("par messages"),
        ("chat", _) => Ok("by messages"),
        _ => Err(Error::new(ErrorKind::InvalidOperation, "an unknown mode")),
    }
}

fn local(at: &str, time_zone: &str) -> Result<DateTime<Tz>, Error> {
    let at: DateTime<Utc> =
        at.parse().map_err(|_| Error::new(ErrorKind::InvalidOperation, "a time that cannot be read"))?;
    let zone: Tz = time_zone.parse().map_err(|_| Error::new(ErrorKind::InvalidOperation, "an unknown time zone"))?;
    Ok(at.with_timezone(&zone))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_one_in_the_browser_and_not_by_telephone() {
        assert_eq!(mode("audio", "fr").unwrap(), "par appel audio");
        assert_eq!(mode("audio", "en").unwrap(), "by audio call");
    }

    #[test]
    fn times_are_told_in_the_readers_zone_and_language() {
        let at = "2026-11-24T13:30:00Z";
        assert_eq!(moment(at, "Europe/Paris", "fr").unwrap(), "mardi 24 novembre 2026 à 14:30 (Europe/Paris)");
        assert_eq!(
            moment(at, "America/Guadeloupe", "en").unwrap(),
            "Tuesday 24 November 2026 at 09:30 (America/Guadeloupe)"
        );
        assert_eq!(day("2026-07-31T23:30:00Z", "Europe/Paris", "fr").unwrap(), "samedi 1er août 2026");
        assert!(day(at, "Europe/Atlantis", "fr").is_err());
    }
}
