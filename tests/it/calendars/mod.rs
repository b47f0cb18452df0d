//! Calendars of practitioners: those that they keep elsewhere, and the feed of their own consultations.

mod feed;
mod hostile;
mod reading;

use chrono::{DateTime, TimeDelta, Utc};
use huntzen::domain::practitioners::calendars::jobs::ReadCalendars;
use huntzen::platform::auth::Role;
use serde_json::{Value, json};

use crate::support::web::Web;
use crate::support::{Answer, TestApp, User};

/// An application that may read from a server of the test.
async fn app_beside(web: &Web) -> TestApp {
    let host = web.host.clone();
    TestApp::start_with(move |name| (name == "OUTGOING_TEST_HOSTS").then(|| host.clone())).await
}

fn path(user: &User) -> String {
    format!("/practitioners/{}/calendars", user.id)
}

fn external(url: &str) -> Value {
    json!({"kind": "external", "label": "Cabinet", "url": url})
}

/// Adds a calendar and has it read; its id.
async fn add(app: &TestApp, user: &User, url: &str) -> String {
    let id = user.post(&path(user), external(url)).await.expect(201).str("/id");
    app.settle().await;
    id
}

/// Lets time pass, and the schedule look what is due.
async fn later(app: &TestApp, by: TimeDelta) {
    app.clock.advance(by);
    app.enqueue(&ReadCalendars {}).await;
    app.settle().await;
}

/// A practitioner with a token of now.
async fn again(app: &TestApp, user: &User) -> User {
    user.with_token(app.session(user.id, Role::Practitioner, None).await)
}

/// The practitioner's first calendar.
async fn first(app: &TestApp, user: &User) -> Value {
    again(app, user).await.get(&path(user)).await.expect(200).json["items"][0].clone()
}

fn calendar(events: &[String]) -> String {
    format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\n{}END:VCALENDAR\r\n", events.concat())
}

fn event(uid: &str, from: DateTime<Utc>, to: DateTime<Utc>) -> String {
    let utc = |at: DateTime<Utc>| at.format("%Y%m%dT%H%M%SZ");
    format!(
        "BEGIN:VEVENT\r\nUID:{uid}\r\nSUMMARY:Dentist of Rosa\r\nDTSTART:{}\r\nDTEND:{}\r\nEND:VEVENT\r\n",
        utc(from),
        utc(to)
    )
}

/// When the database says that practitioners are busy elsewhere.
async fn busy(app: &TestApp) -> Vec<(DateTime<Utc>, DateTime<Utc>)> {
    sqlx::query_as("SELECT starts_at, ends_at FROM app.external_busy_times ORDER BY starts_at")
        .fetch_all(app.db())
        .await
        .unwrap()
}

/// The start of an hour, days from now.
fn hour(app: &TestApp, days: i64) -> DateTime<Utc> {
    let day = (app.clock.now() + TimeDelta::days(days)).date_naive();
    day.and_hms_opt(12, 0, 0).unwrap().and_utc()
}

fn text(answer: &Answer) -> String {
    answer.text()
}
