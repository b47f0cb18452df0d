//! What calendars of many makers say, and what broken ones do not.

use super::*;

fn window() -> (DateTime<Utc>, DateTime<Utc>) {
    ("2026-01-01T00:00:00Z".parse().unwrap(), "2027-01-01T00:00:00Z".parse().unwrap())
}

/// The busy times of a calendar with these lines, of somebody in Paris.
fn busy(lines: &str) -> Vec<String> {
    let text = format!("BEGIN:VCALENDAR\r\n{}\r\nEND:VCALENDAR\r\n", lines.replace('\n', "\r\n"));
    let reading = read(text.as_bytes(), Tz::Europe__Paris, window(), |uid| uid.ends_with("@ours")).unwrap();
    let show = |at: DateTime<Utc>| at.format("%m-%dT%H:%M").to_string();
    reading.busy.iter().map(|it| format!("{}/{}", show(it.starts_at), show(it.ends_at))).collect()
}

fn event(lines: &str) -> Vec<String> {
    busy(&format!("BEGIN:VEVENT\nUID:a\n{lines}\nEND:VEVENT"))
}

#[test]
fn an_event_blocks_its_time_however_it_is_written() {
    for lines in [
        "DTSTART:20260601T120000Z\nDTEND:20260601T130000Z",
        "DTSTART;TZID=Europe/Paris:20260601T140000\nDTEND;TZID=Europe/Paris:20260601T150000",
        "DTSTART;TZID=\"Romance Standard Time\":20260601T140000\nDURATION:PT1H",
        "DTSTART;TZID=W. Europe Standard Time:20260601T140000\nDTEND:20260601T130000Z",
        // floating
        "DTSTART:20260601T140000\nDTEND:20260601T150000",
        // of a zone that nobody knows
        "DTSTART;TZID=Lutetia:20260601T140000\nDURATION:PT60M",
        "dtstart;value=date-time;tzid=america/new_york:20260601T080000\nduration:P0DT1H\nsummary:x",
        // an alarm is not the event
        "BEGIN:VALARM\nDTSTART:20260701T120000Z\nDURATION:PT9H\nEND:VALARM\nDTSTART:20260601T120000Z\nDURATION:PT1H",
    ] {
        assert_eq!(event(lines), ["06-01T12:00/06-01T13:00"], "{lines}");
    }
}

#[test]
fn whole_days_are_days_of_the_owner() {
    let expected = ["05-31T22:00/06-01T22:00"];
    assert_eq!(event("DTSTART;VALUE=DATE:20260601\nDTEND;VALUE=DATE:20260602"), expected);
    assert_eq!(event("DTSTART;VALUE=DATE:20260601"), expected);
    assert_eq!(event("DTSTART;VALUE=DATE:20260601\nDURATION:P1D"), expected);
    // 23 hours long
    assert_eq!(event("DTSTART;VALUE=DATE:20260329"), ["03-28T23:00/03-29T22:00"]);
    assert_eq!(event("DTSTART;VALUE=DATE:20261231"), ["12-30T23:00/12-31T23:00"]);
}

#[test]
fn what_takes_no_time_of_its_owner_blocks_nothing() {
    let at = "DTSTART:20260601T120000Z\nDTEND:20260601T130000Z";
    for more in ["TRANSP:TRANSPARENT", "STATUS:CANCELLED", "status:cancelled", "X-MICROSOFT-CDO-BUSYSTATUS:FREE"] {
        assert!(event(&format!("{at}\n{more}")).is_empty(), "{more}");
    }
    for more in ["TRANSP:OPAQUE", "STATUS:TENTATIVE", "X-MICROSOFT-CDO-BUSYSTATUS:OOF", "CLASS:PRIVATE"] {
        assert_eq!(event(&format!("{at}\n{more}")).len(), 1, "{more}");
    }
    assert!(event("DTSTART:20260601T120000Z").is_empty());
    assert!(event("DTSTART:20260601T120000Z\nDTEND:20260601T110000Z").is_empty());
    assert!(busy("BEGIN:VEVENT\nUID:b@ours\nDTSTART:20260601T120000Z\nDURATION:PT1H\nEND:VEVENT").is_empty());
    assert!(busy("BEGIN:VTODO\nUID:b\nDTSTART:20260601T120000Z\nDURATION:PT1H\nEND:VTODO").is_empty());
}

#[test]
fn recurrences_keep_their_wall_clock_over_clock_changes() {
    let found = event("DTSTART;TZID=Europe/Paris:20260322T100000\nDURATION:PT1H\nRRULE:FREQ=WEEKLY;COUNT=2");
    assert_eq!(found, ["03-22T09:00/03-22T10:00", "03-29T08:00/03-29T09:00"]);
    // a time that is skipped
    let found = event("DTSTART;TZID=Europe/Paris:20260328T023000\nDURATION:PT1H\nRRULE:FREQ=DAILY;COUNT=2");
    assert_eq!(found, ["03-28T01:30/03-28T02:30", "03-29T01:30/03-29T02:30"]);
}

#[test]
fn exceptions_and_replacements_are_heard() {
    let series = "DTSTART;TZID=Europe/Paris:20260601T100000\nDURATION:PT1H\nRRULE:FREQ=DAILY;COUNT=4";
    let days = |found: Vec<String>| found.iter().map(|it| it[..11].to_owned()).collect::<Vec<_>>();
    assert_eq!(
        days(event(&format!("{series}\nEXDATE;TZID=Europe/Paris:20260602T100000\nEXDATE;VALUE=DATE:20260603"))),
        ["06-01T08:00", "06-04T08:00"]
    );
    assert_eq!(days(event(&format!("{series}\nEXDATE:20260602T080000Z,20260603T080000Z"))).len(), 2);
    assert_eq!(days(event(&format!("{series}\nRDATE:20260701T080000Z"))).len(), 5);

    let with = |replacement: &str| {
        days(busy(&format!(
            "BEGIN:VEVENT\nUID:a\n{series}\nEND:VEVENT\nBEGIN:VEVENT\nUID:a\n{replacement}\nEND:VEVENT"
        )))
    };
    assert_eq!(
        with("RECURRENCE-ID;TZID=Europe/Paris:20260602T100000\nDTSTART:20260602T150000Z\nDURATION:PT1H"),
        ["06-01T08:00", "06-02T15:00", "06-03T08:00", "06-04T08:00"]
    );
    assert_eq!(
        with("RECURRENCE-ID:20260602T080000Z\nDTSTART:20260602T080000Z\nDURATION:PT1H\nSTATUS:CANCELLED").len(),
        3
    );
    assert_eq!(
        with("RECURRENCE-ID;RANGE=THISANDFUTURE:20260603T080000Z\nDTSTART:20260603T100000Z\nDURATION:PT2H"),
        ["06-01T08:00", "06-02T08:00", "06-03T10:00", "06-04T10:00"]
    );
    // of a series that is not there
    assert_eq!(
        busy(
            "BEGIN:VEVENT\nUID:x\nRECURRENCE-ID:20260602T080000Z\nDTSTART:20260602T150000Z\nDURATION:PT1H\nEND:VEVENT"
        )
        .len(),
        1
    );
}

#[test]
fn what_touches_is_one_and_what_is_outside_is_cut() {
    let one = |from: &str, to: &str| format!("BEGIN:VEVENT\nUID:{from}\nDTSTART:{from}\nDTEND:{to}\nEND:VEVENT");
    let both = [one("20260601T130000Z", "20260601T140000Z"), one("20260601T120000Z", "20260601T130000Z")].join("\n");
    assert_eq!(busy(&both), ["06-01T12:00/06-01T14:00"]);
    assert_eq!(busy(&one("20250601T000000Z", "20260101T010000Z")), ["01-01T00:00/01-01T01:00"]);
    assert!(busy(&one("20240601T000000Z", "20250101T010000Z")).is_empty());
    let days = event("DTSTART;TZID=Europe/Paris:20200101T100000\nDURATION:PT1H\nRRULE:FREQ=DAILY");
    assert_eq!((days.len(), days[0].as_str()), (365, "01-01T09:00/01-01T10:00"));
}

#[test]
fn published_busy_times_count() {
    let found = busy(
        "BEGIN:VFREEBUSY\nFREEBUSY:20260601T120000Z/20260601T130000Z,20260602T120000Z/PT2H\n\
         FREEBUSY;FBTYPE=FREE:20260701T120000Z/PT2H\nEND:VFREEBUSY",
    );
    assert_eq!(found, ["06-01T12:00/06-01T13:00", "06-02T12:00/06-02T14:00"]);
}

#[test]
fn what_is_no_whole_calendar_is_refused() {
    let read = |bytes: &[u8]| read(bytes, Tz::UTC, window(), |_| false);
    for page in [&b"<!doctype html><title>Log in</title>"[..], b"", b"\0\0\0", b"BEGIN:VCARD\r\nEND:VCARD\r\n"] {
        assert_eq!(read(page), Err(Unreadable::NotACalendar));
    }
    for cut in ["BEGIN:VCALENDAR", "BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:a\nDTSTART:20260601T120000Z"] {
        assert_eq!(read(cut.as_bytes()), Err(Unreadable::Cut));
    }
    assert_eq!(read(b"BEGIN:VCALENDAR\nEND:VCALENDAR"), Ok(Reading { busy: Vec::new(), events: 0 }));
    let swarm = "BEGIN:VEVENT\nUID:a\nDTSTART:20260101T000000Z\nDURATION:PT1S\nRRULE:FREQ=MINUTELY\nEND:VEVENT";
    let swarm = format!("BEGIN:VCALENDAR\n{swarm}\nEND:VCALENDAR");
    assert_eq!(read(swarm.as_bytes()), Err(Unreadable::TooMuch));
    let dear = "BEGIN:VEVENT\nUID:a\nDTSTART:00010101T000000Z\nDURATION:PT1S\nRRULE:FREQ=YEARLY;COUNT=9999999;BYDAY=1MO,2MO,3MO,4MO,5MO\nEND:VEVENT\n";
    let dear = format!("BEGIN:VCALENDAR\n{}END:VCALENDAR", dear.repeat(200));
    assert_eq!(read(dear.as_bytes()), Err(Unreadable::TooMuch));
}

#[test]
fn other_encodings_and_broken_text_do_no_harm() {
    let text = b"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nUID:a\r\nSUMMARY:R\xe9union \xff\xc3(\r\nDTSTART:20260601T120000Z\r\nDURATION:PT1H\r\nEND:VEVENT\r\nEND:VCALENDAR";
    assert_eq!(read(text, Tz::UTC, window(), |_| false).unwrap().busy.len(), 1);
    let wide: Vec<u8> = [0xff, 0xfe]
        .into_iter()
        .chain(
            "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:20260601T120000Z\nDURATION:PT1H\nEND:VEVENT\nEND:VCALENDAR"
                .encode_utf16()
                .flat_map(u16::to_le_bytes),
        )
        .collect();
    assert_eq!(read(&wide, Tz::UTC, window(), |_| false).unwrap().busy.len(), 1);
}

/// A small generator (xorshift), so that a failure can be seen again.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % sides as u64).unwrap()
    }
}

const SAMPLE: &str = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VTIMEZONE\r\nTZID:Mine\r\nBEGIN:STANDARD\r\nDTSTART:16010101T030000\r\nTZOFFSETFROM:+0200\r\nTZOFFSETTO:+0100\r\nRRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10\r\nEND:STANDARD\r\nBEGIN:DAYLIGHT\r\nDTSTART:16010101T020000\r\nTZOFFSETFROM:+0100\r\nTZOFFSETTO:+0200\r\nRRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3\r\nEND:DAYLIGHT\r\nEND:VTIMEZONE\r\nBEGIN:VEVENT\r\nUID:a\r\nDTSTART;TZID=Mine:20260601T100000\r\nDTEND;TZID=Mine:20260601T110000\r\nRRULE:FREQ=MONTHLY;BYDAY=1MO,-1FR;BYSETPOS=1,-1;UNTIL=20261231T000000Z;INTERVAL=2;WKST=SU\r\nEXDATE;TZID=Mine:20260706T100000\r\nRDATE;VALUE=DATE:20260801,20260802\r\nBEGIN:VALARM\r\nTRIGGER:-PT15M\r\nEND:VALARM\r\nEND:VEVENT\r\nBEGIN:VEVENT\r\nUID:a\r\nRECURRENCE-ID;RANGE=THISANDFUTURE;TZID=Mine:20260803T100000\r\nDTSTART:20260803T120000Z\r\nDURATION:P1DT2H\r\nEND:VEVENT\r\nBEGIN:VFREEBUSY\r\nFREEBUSY;FBTYPE=BUSY:20260601T120000Z/PT1H\r\nEND:VFREEBUSY\r\nEND:VCALENDAR\r\n";

#[test]
fn no_bytes_make_the_reader_panic_or_run_on() {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let alphabet = b"0123456789TZ:;=,-+/\r\n \"ABDEFMNPRUVWY\xc3\xe9\xff\0";
    let lines: Vec<&str> = SAMPLE.split_inclusive("\r\n").collect();
    for round in 0..4_000 {
        let mut bytes = if round % 8 == 0 {
            (0..dice.roll(400)).map(|_| u8::try_from(dice.roll(256)).unwrap()).collect()
        } else if round % 8 == 1 {
            // the same lines in another order
            (0..lines.len()).flat_map(|_| lines[dice.roll(lines.len())].bytes()).collect()
        } else {
            SAMPLE.as_bytes().to_vec()
        };
        for _ in 0..dice.roll(12) {
            let (length, letter) = (bytes.len().max(1), alphabet[dice.roll(alphabet.len())]);
            let at = dice.roll(length);
            match dice.roll(4) {
                0 if at < bytes.len() => bytes[at] = letter,
                1 if at < bytes.len() => drop(bytes.remove(at)),
                2 if at <= bytes.len() => bytes.insert(at, letter),
                _ => bytes.truncate(at.max(length / 2)),
            }
        }
        if let Ok(reading) = read(&bytes, Tz::Australia__Lord_Howe, window(), |_| false) {
            let (from, until) = window();
            for pair in reading.busy.windows(2) {
                assert!(pair[0].ends_at < pair[1].starts_at, "round {round}: {pair:?}");
            }
            for it in reading.busy {
                assert!(
                    from <= it.starts_at && it.starts_at < it.ends_at && it.ends_at <= until,
                    "round {round}: {it:?}"
                );
            }
        }
    }
}
