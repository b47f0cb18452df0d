//! Calendar entries (RFC 5545) to go with a mail: private, with a neutral title.

use chrono::{DateTime, Utc};
use icalendar::{Calendar, Class, Component, Event as Entry, EventLike, EventStatus, Property};

/// What the receiving calendar is to do (RFC 5546).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Enter it, or change it when the sequence number is higher than the one it has.
    Request,
    Cancel,
}

impl Method {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Request => "REQUEST",
            Self::Cancel => "CANCEL",
        }
    }
}

/// Somebody who takes part.
#[derive(Clone, Copy, Debug)]
pub struct Party<'a> {
    pub name: &'a str,
    pub email: &'a str,
}

/// An appointment as a calendar sees it.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// The same for the invitation and each of its changes.
    pub uid: &'a str,
    /// Higher with each change.
    pub sequence: u32,
    pub starts_at: DateTime<Utc>,
    pub ends_at: DateTime<Utc>,
    /// Neutral: calendars at work are read by others.
    pub summary: &'a str,
    pub description: &'a str,
    pub url: &'a str,
    pub organizer: Party<'a>,
    pub attendee: Party<'a>,
    pub method: Method,
    /// Not agreed yet.
    pub is_tentative: bool,
    /// When this was said.
    pub dtstamp: DateTime<Utc>,
}

/// The text of an `.ics` file. Times are UTC; the reader's calendar shows them in the reader's zone.
pub fn invitation(event: &Event<'_>) -> String {
    let mut entry = Entry::new();
    entry
        .uid(event.uid)
        .sequence(event.sequence)
        .timestamp(event.dtstamp)
        .starts(event.starts_at)
        .ends(event.ends_at)
        .summary(&one_line(event.summary))
        .description(&event.description.replace('\r', ""))
        .url(&one_line(event.url))
        .class(Class::Private)
        .status(match event.method {
            Method::Request if event.is_tentative => EventStatus::Tentative,
            Method::Request => EventStatus::Confirmed,
            Method::Cancel => EventStatus::Cancelled,
        })
        .append_property(Property::new("TRANSP", "OPAQUE"))
        .append_property(party("ORGANIZER", event.organizer).done());
    let mut attendee = party("ATTENDEE", event.attendee);
    attendee
        .add_parameter("ROLE", "REQ-PARTICIPANT")
        .add_parameter("PARTSTAT", "ACCEPTED")
        .add_parameter("RSVP", "FALSE");
    entry.append_multi_property(attendee);

    let mut calendar = head(event.method.as_str());
    calendar.push(entry.done());
    calendar.to_string()
}

/// An appointment in a calendar that others subscribe to.
#[derive(Clone, Debug)]
pub struct Published {
    pub uid: String,
    pub sequence: u32,
    pub starts_at: DateTime<Utc>,
    pub ends_at: DateTime<Utc>,
    /// Not tentative.
    pub is_firm: bool,
    pub changed_at: DateTime<Utc>,
}

/// A calendar to subscribe to. Programs look again every hour, if they do as they are asked (RFC 7986, 5.7).
pub fn published(name: &str, summary: &str, events: &[Published]) -> String {
    let mut calendar = head("PUBLISH");
    let name = one_line(name);
    for (key, value) in [("NAME", name.as_str()), ("X-WR-CALNAME", name.as_str()), ("X-PUBLISHED-TTL", "PT1H")] {
        calendar.append_property(Property::new(key, value));
    }
    let mut every = Property::new("REFRESH-INTERVAL", "PT1H");
    every.add_parameter("VALUE", "DURATION");
    calendar.append_property(every.done());
    for it in events {
        let mut entry = Entry::new();
        entry
            .uid(&it.uid)
            .sequence(it.sequence)
            .timestamp(it.changed_at)
            .starts(it.starts_at)
            .ends(it.ends_at)
            .summary(&one_line(summary))
            .class(Class::Private)
            .status(if it.is_firm { EventStatus::Confirmed } else { EventStatus::Tentative })
            .append_property(Property::new("TRANSP", "OPAQUE"));
        calendar.push(entry.done());
    }
    calendar.to_string()
}

/// A calendar without entries.
fn head(method: &str) -> Calendar {
    let mut calendar = Calendar::empty();
    for (key, value) in
        [("VERSION", "2.0"), ("PRODID", "-//HuntZen//HuntZen Care//FR"), ("CALSCALE", "GREGORIAN"), ("METHOD", method)]
    {
        calendar.append_property(Property::new(key, value));
    }
    calendar
}

fn party(key: &str, party: Party<'_>) -> Property {
    let mut property = Property::new(key, format!("mailto:{}", one_line(party.email)));
    // a parameter cannot hold a double quote
    property.add_parameter("CN", &one_line(party.name).replace('"', "'"));
    property
}

/// Nothing that could begin a line of its own.
fn one_line(value: &str) -> String {
    value.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(method: Method) -> String {
        let starts_at = DateTime::from_timestamp(1_795_527_000, 0).unwrap_or_default();
        invitation(&Event {
            uid: "0192@care.example",
            sequence: 2,
            starts_at,
            ends_at: starts_at + chrono::TimeDelta::minutes(45),
            summary: "Rendez-vous, HuntZen; confirmé",
            description: "Première ligne\nUne seconde ligne qui est assez longue pour devoir être pliée à 75 octets, é è à",
            url: "https://care.example/a/1",
            organizer: Party { name: "HuntZen", email: "no-reply@care.example" },
            attendee: Party { name: "Rosa \"R\"\r\nX-EVIL:1, fille", email: "rosa@firm.example" },
            method,
            is_tentative: false,
            dtstamp: starts_at - chrono::TimeDelta::days(1),
        })
    }

    #[test]
    fn an_invitation_is_private_and_complete() {
        let ics = event(Method::Request);
        let unfolded = ics.replace("\r\n ", "");
        for line in [
            "BEGIN:VCALENDAR",
            "VERSION:2.0",
            "METHOD:REQUEST",
            "BEGIN:VEVENT",
            "UID:0192@care.example",
            "SEQUENCE:2",
            "DTSTART:20261124T133000Z",
            "DTEND:20261124T141500Z",
            "DTSTAMP:20261123T133000Z",
            "CLASS:PRIVATE",
            "STATUS:CONFIRMED",
            "SUMMARY:Rendez-vous\\, HuntZen\\; confirmé",
            "URL:https://care.example/a/1",
            "ORGANIZER;CN=HuntZen:mailto:no-reply@care.example",
            "END:VEVENT",
            "END:VCALENDAR",
        ] {
            assert!(unfolded.lines().any(|l| l == line), "{line} in\n{unfolded}");
        }
        assert!(unfolded.contains("DESCRIPTION:Première ligne\\nUne seconde"), "{unfolded}");
        assert!(unfolded.contains("CN=\"Rosa 'R'  X-EVIL:1, fille\""), "{unfolded}");
    }

    #[test]
    fn lines_end_with_crlf_and_are_folded_at_75_octets() {
        let ics = event(Method::Request);
        assert!(ics.ends_with("\r\n") && !ics.replace("\r\n", "").contains(['\r', '\n']));
        for line in ics.split("\r\n") {
            assert!(line.len() <= 75, "{line}");
        }
        assert!(!ics.contains("\r\nX-EVIL"));
    }

    #[test]
    fn a_cancellation_names_the_same_event() {
        let ics = event(Method::Cancel);
        assert!(ics.contains("METHOD:CANCEL\r\n") && ics.contains("STATUS:CANCELLED\r\n"));
        assert!(ics.contains("UID:0192@care.example\r\n"));
    }
}
