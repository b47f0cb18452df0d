//! The life of a consultation beyond its booking: requests, moving, absence, reminders, joining, races.

mod absence;
mod costs;
mod fairness;
mod joining;
mod moving;
mod races;
mod reminders;
mod requests;
mod turns;

use chrono::{DateTime, TimeDelta, Utc};
use huntzen::domain::consultations::KeepTime;
use huntzen::platform::auth::Role;
use serde_json::{Value, json};

pub use crate::consultations::{at, book_on, free, in_days, instant, scene, wish};
use crate::support::{Answer, TestApp, User};

/// What the schedule does every minute, and what follows.
async fn keep_time(app: &TestApp) {
    app.enqueue(&KeepTime {}).await;
    app.settle().await;
}

/// Moves the clock for an employee and a practitioner.
async fn go_to(app: &TestApp, when: DateTime<Utc>, alice: &mut User, dr: &mut User) {
    at(app, when, [(alice, Role::Employee), (dr, Role::Practitioner)]).await;
}

fn path(booked: &Answer, rest: &str) -> String {
    format!("/consultations/{}{rest}", booked.str("/id"))
}

fn starts(booked: &Answer) -> DateTime<Utc> {
    instant(&booked.str("/startsAt"))
}

/// The kinds of a consultation's events, with who said so.
async fn events(user: &User, booked: &Answer) -> Vec<String> {
    let answer = user.get(&path(booked, "/events")).await.expect(200);
    let text = |event: &Value| format!("{} {}", event["kind"].as_str().unwrap(), event["actorRole"].as_str().unwrap());
    answer.json["items"].as_array().unwrap().iter().map(text).collect()
}

/// How many of the contract's sessions are used.
async fn used(user: &User) -> i64 {
    user.get("/me/quota").await.expect(200).json["used"].as_i64().unwrap()
}

fn subjects(app: &TestApp, user: &User) -> Vec<String> {
    app.mails_to(&user.email).into_iter().map(|mail| mail.subject).collect()
}

async fn confirms_by_hand(dr: &User) {
    dr.patch(&format!("/practitioners/{}", dr.id), json!({"confirmsByHand": true})).await.expect(200);
}

/// Joining needs no video server then.
async fn by_chat(app: &TestApp) {
    let sql = "UPDATE app.consultations SET mode = 'chat' WHERE status = 'confirmed'";
    sqlx::query(sql).execute(app.db()).await.unwrap();
}

fn minutes(count: i64) -> TimeDelta {
    TimeDelta::minutes(count)
}
