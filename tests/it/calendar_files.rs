//! Calendar entries as two independent parsers understand them: Mozilla's ical.js and Python's icalendar.
//!
//! What Google, Outlook and Apple need of an invitation, and where it is said:
//!
//! - a `text/calendar` part whose `method` parameter is the METHOD of the calendar (RFC 6047, 2.4), among the
//!   alternatives of the mail; Outlook and Gmail offer no answer without it;
//! - VERSION, PRODID, METHOD; UID, DTSTAMP, SEQUENCE, ORGANIZER, ATTENDEE, DTSTART in each event (RFC 5546, 3.2.2 and
//!   3.2.5); the attendee is the address that the mail goes to, or Gmail shows no event;
//! - a withdrawal has the UID of the invitation, a SEQUENCE that is not lower, and STATUS:CANCELLED (RFC 5546, 3.2.5;
//!   Outlook keeps the event otherwise);
//! - times in UTC: Outlook takes a TZID only with its VTIMEZONE;
//! - lines of at most 75 octets that end with CRLF (RFC 5545, 3.1).

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::support::smtp::Mail;
use crate::support::{TestApp, User, tools};

/// What both parsers say of a file; they must say the same.
fn understood(file: &str) -> Value {
    for line in file.strip_suffix("\r\n").expect("a last line break").split("\r\n") {
        assert!(line.len() <= 75, "{} octets: {line}", line.len());
        assert!(!line.contains(['\r', '\n']), "{line:?}");
    }
    let ours: Value = serde_json::from_str(&tools::run("parse-ics.mjs", &[], file.as_bytes())).unwrap();
    let other = tools::icalendar(file.as_bytes());
    assert_eq!((&other["version"], other["prodid"].as_str().is_some_and(|it| it.len() > 5)), (&json!("2.0"), true));
    assert_eq!(ours["method"], other["method"]);
    let (events, others) = (ours["events"].as_array().unwrap(), other["events"].as_array().unwrap());
    assert_eq!(events.len(), others.len());
    for (one, another) in events.iter().zip(others) {
        for part in ["uid", "sequence", "startsAt", "endsAt", "summary", "status", "class"] {
            assert_eq!(one[part], another[part], "{part}");
        }
        assert!(another["dtstamp"].as_str().unwrap().ends_with('Z'));
    }
    other
}

/// What the mail's calendar says, and that every way of reading it says the same.
fn of_mail(mail: &Mail, method: &str, to: &str, from: &str) -> Value {
    let parts: Vec<_> = mail
        .attachments
        .iter()
        .filter(|part| part.media_type.contains("calendar") || part.media_type.contains("ics"))
        .collect();
    assert_eq!(parts.len(), 2, "one to answer, one to open");
    assert_eq!(parts[0].method.as_deref(), Some(method));
    assert_eq!(parts[0].content.replace("\r\n", "\n"), parts[1].content.replace("\r\n", "\n"));
    // the parser of mails makes line breaks its own
    let file = parts[0].content.replace("\r\n", "\n").replace('\n', "\r\n");
    let calendar = understood(&file);
    assert_eq!(calendar["method"], method);
    let event = &calendar["events"][0];
    assert_eq!((&event["summary"], &event["class"]), (&json!("Appointment"), &json!("PRIVATE")));
    assert_eq!(event["attendees"][0]["address"], json!(format!("mailto:{to}")));
    assert_eq!(event["attendees"][0]["partstat"], "ACCEPTED");
    assert_eq!(event["organizer"][0]["address"], json!(format!("mailto:{from}")), "who sends it invites");
    event.clone()
}

async fn book(alice: &User, martin: &User, at: &str) -> String {
    let body = json!({"practitionerId": martin.id, "startsAt": at, "durationMinutes": 60, "mode": "video"});
    alice.post("/consultations", body).await.expect(201).str("/id")
}

#[tokio::test]
async fn invitations_and_withdrawals_are_understood_alike_also_when_clocks_change() {
    let app = TestApp::start().await;
    // the night of 28 March 2027 has an hour less in Paris
    let before: DateTime<Utc> = "2027-03-20T08:00:00Z".parse().unwrap();
    app.clock.advance(before - app.clock.now());
    let company = app.company("Acme").await;
    let (alice, martin) = (app.employee(&company).await, app.practitioner().await);
    // nine in the morning, by the clock on the wall
    let days = ["2027-03-27T08:00:00Z", "2027-03-28T07:00:00Z", "2027-03-29T07:00:00Z"];
    let sender = app.platform.config.mail_from.clone();
    for at in days {
        let id = book(&alice, &martin, at).await;
        app.settle().await;
        let mut sequences = Vec::new();
        for (method, person) in [("REQUEST", &alice), ("REQUEST", &martin)] {
            let mails = app.mails_to(&person.email);
            let event = of_mail(mails.last().unwrap(), method, &person.email, &sender);
            let starts_at = at.replace('Z', ".000Z");
            assert_eq!((&event["startsAt"], &event["status"]), (&json!(starts_at), &json!("CONFIRMED")));
            assert_eq!(event["uid"], json!(id));
            sequences.push(event["sequence"].as_i64().unwrap());
        }
        alice.post(&format!("/consultations/{id}/cancel"), json!({})).await.expect(200);
        app.settle().await;
        for person in [&alice, &martin] {
            let mails = app.mails_to(&person.email);
            let event = of_mail(mails.last().unwrap(), "CANCEL", &person.email, &sender);
            assert_eq!((&event["status"], &event["uid"]), (&json!("CANCELLED"), &json!(id)));
            assert!(event["sequence"].as_i64().unwrap() > sequences[0], "calendars take what is newer");
        }
    }
}

#[tokio::test]
async fn files_and_feeds_are_understood_alike() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let (alice, martin) = (app.employee(&company).await, app.practitioner().await);
    let day = (app.clock.now() + chrono::TimeDelta::days(3)).date_naive();
    let id = book(&alice, &martin, &format!("{day}T12:00:00Z")).await;
    app.settle().await;
    for person in [&alice, &martin] {
        let file = person.get(&format!("/consultations/{id}/calendar.ics")).await.expect(200);
        let calendar = understood(&file.text());
        assert_eq!((&calendar["method"], calendar["events"].as_array().unwrap().len()), (&json!("REQUEST"), 1));
    }
    let made = martin
        .post(&format!("/practitioners/{}/calendars", martin.id), json!({"kind": "feed", "label": "Phone"}))
        .await
        .expect(201);
    let url = made.str("/url");
    let feed = app.anonymous().get(&url[url.find("/calendars/").unwrap()..]).await.expect(200);
    let calendar = understood(&feed.text());
    assert_eq!((&calendar["method"], &calendar["events"][0]["uid"]), (&json!("PUBLISH"), &json!(id)));
    assert_eq!((&calendar["events"][0]["organizer"], &calendar["events"][0]["attendees"]), (&json!([]), &json!([])));
}
