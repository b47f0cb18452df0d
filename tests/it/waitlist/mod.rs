//! The waiting list: who is offered what others give back, and that nobody comes in between.

mod endings;
mod joining;
mod offers;
mod races;
mod random;

use chrono::{DateTime, TimeDelta, Utc};
use huntzen::domain::consultations::KeepWaitlist;
use huntzen::platform::auth::Role;
use serde_json::{Value, json};

pub use crate::consultations::{at, book_on, free, in_days, instant, scene, wish};
use crate::support::{Answer, Company, TestApp, User};

fn list(dr: &User) -> String {
    format!("/practitioners/{}/waitlist", dr.id)
}

async fn join(user: &User, dr: &User) -> Answer {
    user.post(&list(dr), json!({})).await.expect(201)
}

/// What is kept for somebody.
async fn offer(user: &User, dr: &User) -> Option<Value> {
    user.get(&list(dr)).await.expect(200).json.get("offer").cloned()
}

/// The start of what is kept for somebody.
async fn offered(user: &User, dr: &User) -> Option<DateTime<Utc>> {
    offer(user, dr).await.map(|it| instant(it["startsAt"].as_str().unwrap()))
}

/// What the schedule does every minute, and what follows.
async fn keep(app: &TestApp) {
    app.enqueue(&KeepWaitlist {}).await;
    app.settle().await;
}

async fn cancel(user: &User, booked: &Answer) {
    user.post(&format!("/consultations/{}/cancel", booked.str("/id")), json!({})).await.expect(200);
}

/// Moves the clock for employees and a practitioner.
async fn go_to(app: &TestApp, when: DateTime<Utc>, people: Vec<&mut User>, dr: &mut User) {
    let people = people.into_iter().map(|it| (it, Role::Employee)).chain([(dr, Role::Practitioner)]);
    at(app, when, people).await;
}

/// A company, somebody with a session in the days to come, and others of the company.
async fn waiting_room<const N: usize>() -> (TestApp, Company, User, User, Answer, [User; N]) {
    let (app, company, alice, dr) = scene().await;
    let mut others = Vec::new();
    for _ in 0..N {
        others.push(app.employee(&company).await);
    }
    let booked = book_on(&alice, &dr, in_days(&app, 3)).await;
    app.settle().await;
    (app, company, alice, dr, booked, others.try_into().ok().unwrap())
}

fn start(booked: &Answer) -> DateTime<Utc> {
    instant(&booked.str("/startsAt"))
}

async fn is_free(user: &User, dr: &User, at: DateTime<Utc>) -> bool {
    let day = at.with_timezone(&chrono_tz::Europe::Paris).date_naive();
    free(user, dr, day).await.iter().any(|it| instant(it) == at)
}

async fn statuses(app: &TestApp, table: &'static str) -> Vec<String> {
    let sql = format!("SELECT status FROM app.{table} ORDER BY created_at, id");
    sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_all(app.db()).await.unwrap()
}

/// What never is: two who have, or are kept, one time of a practitioner.
async fn assert_nothing_overlaps(app: &TestApp) {
    let overlaps = app
        .count(
            "WITH taken AS (
                 SELECT id, practitioner_id, busy_from, busy_until FROM app.consultations
                 WHERE status IN ('pending', 'confirmed', 'in_progress')
                 UNION ALL
                 SELECT id, practitioner_id, busy_from, busy_until FROM app.waitlist_holds WHERE status = 'held'
             )
             SELECT count(*) FROM taken a JOIN taken b ON a.id < b.id AND a.practitioner_id = b.practitioner_id
                AND tstzrange(a.busy_from, a.busy_until) && tstzrange(b.busy_from, b.busy_until)",
        )
        .await;
    assert_eq!(overlaps, 0);
    let dangling = "SELECT count(*) FROM app.waitlist_offers o JOIN app.waitlist_holds h ON h.id = o.hold_id
                    JOIN app.waitlist_entries e ON e.id = o.entry_id
                    WHERE o.status = 'open' AND (h.status <> 'held' OR e.status <> 'waiting')";
    assert_eq!(app.count(dangling).await, 0);
}
