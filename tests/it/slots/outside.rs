//! What is booked and not on offer any more.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::consultations::{free, in_days, instant, wish};
use crate::support::web::{Reply, Web};
use crate::support::{TestApp, User};

fn hours(dr: &User) -> String {
    format!("/practitioners/{}/availability", dr.id)
}

/// The same hours on every day.
fn week(from: &str, to: &str) -> Value {
    let rules: Vec<_> = (1..=7).map(|day| json!({"weekday": day, "startsAt": from, "endsAt": to})).collect();
    json!({"rules": rules})
}

/// Ids and reasons, in order of time.
async fn conflicts(dr: &User) -> Vec<(String, Vec<String>)> {
    let answer = dr.get(&format!("{}/conflicts", hours(dr))).await.expect(200);
    let sessions = answer.json["sessions"].as_array().unwrap();
    assert_eq!(answer.json["count"], sessions.len());
    let words = |it: &Value| it.as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect();
    sessions.iter().map(|it| (it["consultationId"].as_str().unwrap().to_owned(), words(&it["reasons"]))).collect()
}

struct Scene {
    app: TestApp,
    alice: User,
    dr: User,
    /// At nine, and at one o'clock of the next day.
    early: String,
    late: String,
    at: DateTime<Utc>,
}

async fn scene(app: TestApp) -> Scene {
    let company = app.company("Acme").await;
    let (alice, dr) = (app.employee(&company).await, app.practitioner().await);
    let first = free(&alice, &dr, in_days(&app, 4)).await.remove(0);
    let early = alice.post("/consultations", wish(&dr, &first)).await.expect(201).str("/id");
    let second = free(&alice, &dr, in_days(&app, 5)).await.remove(8);
    let late = alice.post("/consultations", wish(&dr, &second)).await.expect(201).str("/id");
    Scene { app, alice, dr, early, late, at: instant(&second) }
}

#[tokio::test]
async fn who_changes_the_weekly_hours_is_told_what_is_booked_outside_of_them() {
    let Scene { app, alice, dr, early, late, .. } = scene(TestApp::start().await).await;
    assert_eq!(conflicts(&dr).await, []);
    let set = dr.put(&hours(&dr), week("10:00", "17:00")).await.expect(200);
    assert_eq!(set.json["rules"].as_array().unwrap().len(), 7);
    assert_eq!(set.json["booked"]["count"], 1);
    let session = &set.json["booked"]["sessions"][0];
    assert_eq!(session["consultationId"], early.as_str());
    assert_eq!(session["startsAt"].as_str().unwrap()[11..16], *"09:00");
    assert!(!set.text().contains("Person"), "{}", set.text());
    let outside = vec!["outside_hours".to_owned()];
    assert_eq!(conflicts(&dr).await, [(early.clone(), outside.clone())]);
    // it stays booked, until somebody moves or cancels it
    assert_eq!(alice.get(&format!("/consultations/{early}")).await.json["status"], "confirmed");

    assert_eq!(dr.put(&hours(&dr), json!({"rules": []})).await.expect(200).json["booked"]["count"], 2);
    let both = [(early.clone(), outside.clone()), (late.clone(), outside)];
    assert_eq!(conflicts(&dr).await, both);
    dr.post(&format!("/consultations/{late}/cancel"), json!({})).await.expect(200);
    assert_eq!(conflicts(&dr).await, both[..1]);
    assert_eq!(dr.put(&hours(&dr), week("09:00", "17:00")).await.expect(200).json["booked"]["count"], 0);
    assert_eq!(conflicts(&dr).await, []);
    app.settle().await;
}

#[tokio::test]
async fn what_no_length_mode_zone_override_or_other_calendar_leaves_room_for_is_named_with_the_reason() {
    let web = Web::start().await;
    let host = web.host.clone();
    let app = TestApp::start_with(move |name| (name == "OUTGOING_TEST_HOSTS").then(|| host.clone())).await;
    let Scene { app, alice, dr, early, late, at } = scene(app).await;
    let profile = format!("/practitioners/{}", dr.id);
    let both = |reasons: &[&str]| {
        let reasons: Vec<_> = reasons.iter().map(|it| (*it).to_owned()).collect();
        [(early.clone(), reasons.clone()), (late.clone(), reasons)]
    };
    dr.patch(&profile, json!({"sessionLengths": [60], "modes": ["audio"]})).await.expect(200);
    assert_eq!(conflicts(&dr).await, both(&["mode", "length"]));
    // buffers and notice concern those who book later
    let change =
        json!({"sessionLengths": [30], "modes": ["video"], "bufferBeforeMinutes": 20, "minNoticeMinutes": 20160});
    dr.patch(&profile, change).await.expect(200);
    assert_eq!(conflicts(&dr).await, []);
    // the hours move with the clock, what is booked does not
    dr.patch(&profile, json!({"timeZone": "America/New_York"})).await.expect(200);
    assert_eq!(conflicts(&dr).await, both(&["outside_hours"]));
    dr.patch(&profile, json!({"timeZone": "Europe/Paris"})).await.expect(200);

    let day = in_days(&app, 5);
    let closed = json!({"kind": "time_off", "from": day.to_string(), "to": day.to_string()});
    let off = dr.post(&format!("{profile}/overrides"), closed).await.expect(201).str("/id");
    assert_eq!(conflicts(&dr).await, [(late.clone(), vec!["time_off".to_owned()])]);
    dr.delete(&format!("{profile}/overrides/{off}")).await.expect(200);

    let utc = |at: DateTime<Utc>| at.format("%Y%m%dT%H%M%SZ");
    web.answers(
        "/c",
        Reply::ok(format!(
            "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\nUID:a\r\nDTSTART:{}\r\nDTEND:{}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n",
            utc(at),
            utc(at + TimeDelta::hours(1))
        )),
    );
    let calendar = json!({"kind": "external", "label": "Cabinet", "url": web.url("/c")});
    dr.post(&format!("{profile}/calendars"), calendar).await.expect(201);
    app.settle().await;
    assert_eq!(conflicts(&dr).await, [(late.clone(), vec!["external_calendar".to_owned()])]);

    // nobody else's business
    let path = format!("{}/conflicts", hours(&dr));
    app.practitioner().await.get(&path).await.refused(404, "not_found");
    alice.get(&path).await.refused(403, "forbidden");
    app.platform_admin().await.get(&path).await.refused(403, "forbidden");
}

#[tokio::test]
async fn setting_the_hours_and_booking_see_one_another() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let (alice, dr) = (app.employee(&company).await, app.practitioner().await);
    let path = hours(&dr);
    for days in 2..10 {
        let start = free(&alice, &dr, in_days(&app, days)).await.remove(0);
        let before = conflicts(&dr).await.len();
        assert_eq!(before, 0);
        let (set, booked) =
            tokio::join!(dr.put(&path, week("10:00", "17:00")), alice.post("/consultations", wish(&dr, &start)));
        let told = set.expect(200).json["booked"]["count"].as_i64().unwrap();
        let wanted = i64::from(booked.status.as_u16() == 201);
        if wanted == 0 {
            assert_eq!(booked.refused(422, "not_offered").str("/errors/0/code"), "outside_hours");
        }
        let all = conflicts(&dr).await;
        assert_eq!(told, i64::try_from(all.len()).unwrap(), "a session that the practitioner was not told of");
        assert_eq!(told, wanted);
        for (id, _) in all {
            dr.post(&format!("/consultations/{id}/cancel"), json!({})).await.expect(200);
        }
        dr.put(&path, week("09:00", "17:00")).await.expect(200);
    }
    app.settle().await;
}
