//! Which rule removed a time.

use std::collections::HashSet;

use chrono::{DateTime, Datelike, NaiveDate, TimeDelta, Utc};
use huntzen::domain::consultations::slots::Why;
use serde_json::{Value, json};

use crate::consultations::{free, in_days, wish};
use crate::support::{Answer, TestApp, User};

async fn explain(person: &User, dr: &User, at: &str, more: &str) -> Answer {
    let at = at.replace('+', "%2B");
    person.get(&format!("/practitioners/{}/slots/explain?at={at}{more}", dr.id)).await
}

/// The codes of the reasons, in order.
async fn reasons(person: &User, dr: &User, at: &str, more: &str) -> Vec<String> {
    let answer = explain(person, dr, at, more).await.expect(200);
    let all = answer.json["reasons"].as_array().unwrap();
    assert_eq!(answer.json["free"], all.is_empty(), "{}", answer.json);
    all.iter().map(|it| it["code"].as_str().unwrap().to_owned()).collect()
}

async fn set(app: &TestApp, dr: &User, change: &str) {
    let sql = format!("UPDATE app.practitioners SET {change} WHERE id = $1");
    sqlx::query(sqlx::AssertSqlSafe(sql)).bind(dr.id).execute(app.db()).await.unwrap();
}

async fn add(dr: &User, kind: &str, from: String, to: String) {
    let body = json!({"kind": kind, "from": from, "to": to});
    dr.post(&format!("/practitioners/{}/overrides", dr.id), body).await.expect(201);
}

#[tokio::test]
async fn each_rule_that_removes_a_time_is_named() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let (alice, dr, admin) = (app.employee(&company).await, app.practitioner().await, app.platform_admin().await);
    let day = in_days(&app, 6);
    let at = |time: &str| format!("{day}T{time}");
    let none: [&str; 0] = [];
    for person in [&dr, &admin] {
        assert_eq!(reasons(person, &dr, &at("10:00"), "").await, none);
        assert_eq!(reasons(person, &dr, &at("10:00"), "&duration=60&mode=chat").await, none);
    }
    assert_eq!(reasons(&dr, &dr, &at("10:00"), "&duration=45").await, ["length"]);
    assert_eq!(reasons(&dr, &dr, &at("10:10"), "").await, ["off_grid"]);
    assert_eq!(reasons(&dr, &dr, &at("08:00"), "").await, ["outside_hours"]);
    assert_eq!(reasons(&dr, &dr, &at("16:30"), "&duration=60").await, ["outside_hours"]);
    let past = format!("{}T10:00", in_days(&app, 0) - TimeDelta::days(3));
    assert_eq!(reasons(&dr, &dr, &past, "").await, ["in_past"]);
    let far = format!("{}T10:00", in_days(&app, 70));
    assert_eq!(reasons(&dr, &dr, &far, "").await, ["horizon"]);

    set(&app, &dr, "modes = '{audio}', buffer_after_minutes = 10, min_notice_minutes = 20160").await;
    assert_eq!(reasons(&dr, &dr, &at("10:00"), "&mode=video").await, ["mode", "notice"]);
    set(&app, &dr, "modes = '{video,audio}', min_notice_minutes = 0").await;

    // taken, and too near to what is taken
    let starts = free(&alice, &dr, day).await;
    let ten = starts.iter().find(|it| it.contains("T10:00")).unwrap();
    let booked = alice.post("/consultations", wish(&dr, ten)).await.expect(201).str("/id");
    assert_eq!(reasons(&dr, &dr, &at("10:00"), "").await, ["taken"]);
    assert_eq!(reasons(&dr, &dr, &at("09:30"), "&duration=60").await, ["taken"]);
    assert_eq!(reasons(&dr, &dr, &at("10:30"), "").await, ["buffer"]);
    assert_eq!(reasons(&dr, &dr, &at("09:30"), "").await, ["buffer"]);
    assert_eq!(reasons(&dr, &dr, &at("11:00"), "").await, none);
    for person in [&dr, &admin] {
        let told = explain(person, &dr, &at("10:00"), "").await;
        assert_eq!(told.str("/reasons/0/from"), *ten);
        let text = told.text();
        assert!(!text.contains(&booked) && !text.contains(&alice.id.to_string()) && !text.contains("Person"), "{text}");
    }

    add(&dr, "closed", at("13:00"), at("15:00")).await;
    assert_eq!(reasons(&dr, &dr, &at("13:00"), "").await, ["closed"]);
    assert_eq!(reasons(&dr, &dr, &at("12:30"), "&duration=60").await, ["closed"]);
    add(&dr, "time_off", at("12:00"), at("14:00")).await;
    assert_eq!(reasons(&dr, &dr, &at("13:30"), "").await, ["time_off", "closed"]);
    assert_eq!(reasons(&dr, &dr, &at("12:00"), "").await, ["time_off"]);
    add(&dr, "open", at("14:00"), at("15:00")).await;
    assert_eq!(reasons(&dr, &dr, &at("14:30"), "").await, none);
    let told = explain(&dr, &dr, &at("12:00"), "").await;
    assert!(told.str("/reasons/0/from").contains("T12:00") && told.str("/reasons/0/until").contains("T14:00"));

    admin.post(&format!("/admin/users/{}/suspend", dr.id), json!({})).await.expect(200);
    assert_eq!(reasons(&admin, &dr, &at("11:00"), "").await, ["status"]);
    app.settle().await;
}

#[tokio::test]
async fn a_time_that_the_clock_skips_or_repeats_is_named() {
    let app = TestApp::start().await;
    let dr = app.practitioner().await;
    set(&app, &dr, "horizon_days = 365").await;
    sqlx::query("UPDATE app.availability_rules SET starts_minute = 0, ends_minute = 240")
        .execute(app.db())
        .await
        .unwrap();
    // of the coming year in Paris
    let sunday = |month: u32| {
        let today = in_days(&app, 1);
        let this_year = NaiveDate::from_ymd_opt(today.year(), month, 24).unwrap() > today;
        let last = NaiveDate::from_ymd_opt(today.year() + i32::from(!this_year), month, 31).unwrap();
        last - TimeDelta::days(last.weekday().num_days_from_sunday().into())
    };
    let (spring, autumn) = (sunday(3), sunday(10));
    let skipped = explain(&dr, &dr, &format!("{spring}T02:30"), "").await.expect(200);
    assert_eq!(skipped.json["reasons"][0]["code"], "skipped");
    assert!(skipped.json.get("startsAt").is_none());
    // 02:30 in summer time, and an hour later again
    assert_eq!(reasons(&dr, &dr, &format!("{autumn}T02:30"), "").await, [""; 0]);
    assert_eq!(reasons(&dr, &dr, &format!("{autumn}T00:30:00Z"), "").await, [""; 0]);
    let again = explain(&dr, &dr, &format!("{autumn}T01:30:00Z"), "").await;
    assert_eq!(again.json["reasons"].as_array().unwrap().len(), 1);
    assert_eq!(again.json["reasons"][0]["code"], "repeated");
    assert!(again.str("/reasons/0/from").ends_with("T02:30:00+02:00"), "{}", again.json);
}

#[tokio::test]
async fn a_time_is_explained_as_free_exactly_when_it_is_listed() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let (alice, dr) = (app.employee(&company).await, app.practitioner().await);
    set(&app, &dr, "buffer_before_minutes = 5, buffer_after_minutes = 10").await;
    let day = in_days(&app, 3);
    alice.post("/consultations", wish(&dr, &free(&alice, &dr, day).await[4])).await.expect(201);
    add(&dr, "closed", format!("{day}T14:00"), format!("{day}T15:30")).await;
    add(&dr, "open", format!("{day}T18:15"), format!("{day}T19:30")).await;
    let listed: HashSet<DateTime<Utc>> =
        free(&dr, &dr, day).await.iter().map(|it| DateTime::parse_from_rfc3339(it).unwrap().to_utc()).collect();
    assert!(listed.len() > 10);
    for minutes in (8 * 60..20 * 60).step_by(15) {
        let wall = format!("{day}T{:02}:{:02}", minutes / 60, minutes % 60);
        let told = explain(&dr, &dr, &wall, "&duration=30").await.expect(200);
        let at = DateTime::parse_from_rfc3339(&told.str("/startsAt")).unwrap().to_utc();
        assert_eq!(told.json["free"], listed.contains(&at), "{wall} {}", told.json);
    }
    app.settle().await;
}

#[tokio::test]
async fn practitioners_ask_about_themselves_and_staff_about_everybody() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let (alice, dr, other) = (app.employee(&company).await, app.practitioner().await, app.practitioner().await);
    let at = format!("{}T10:00", in_days(&app, 3));
    explain(&other, &dr, &at, "").await.refused(404, "not_found");
    for person in [&alice, &company.hr, &company.admin] {
        explain(person, &dr, &at, "").await.refused(403, "forbidden");
    }
    app.anonymous()
        .get(&format!("/practitioners/{}/slots/explain?at={at}", dr.id))
        .await
        .refused(401, "unauthenticated");
    let admin = app.platform_admin().await;
    admin.get(&format!("/practitioners/{}/slots/explain?at={at}", alice.id)).await.refused(404, "not_found");
    for bad in ["now", "2027-02-30T10:00", "2027-01-01", "9999-12-31T23:59:59Z", ""] {
        let refused = explain(&dr, &dr, bad, "").await.refused(422, "invalid");
        assert_eq!(refused.json["errors"][0]["pointer"], "query:at", "{bad}");
    }
    for bad in ["&duration=0", "&duration=100000", "&mode=telepathy", "&duration=x"] {
        assert!(explain(&dr, &dr, &at, bad).await.status.is_client_error(), "{bad}");
    }
    // in the reader's language
    let french = Answer::of(
        dr.request(reqwest::Method::GET, &format!("/practitioners/{}/slots/explain?at={at}&duration=45", dr.id))
            .header("accept-language", "fr"),
    );
    let french = french.await.expect(200);
    assert_eq!(
        french.json["reasons"][0],
        json!({"code": "length", "detail": "Le praticien ne propose pas cette durée."})
    );
    assert_ne!(french.json["reasons"][0]["detail"], Value::Null);
}

#[test]
fn every_reason_has_words() {
    let words = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/locales/consultations.yml")).unwrap();
    for why in Why::ALL {
        assert!(words.contains(&format!("\nslot_reason.{}:\n", why.as_str())), "{why:?}");
    }
}
