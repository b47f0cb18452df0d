//! `slots:changed`: free times change under those who look at them.

use std::time::{Duration, Instant};

use huntzen::platform::ids::PractitionerId;
use reqwest::Method;
use uuid::Uuid;

use super::*;
use crate::consultations::wish;

fn about(dr: &User) -> Value {
    json!({"practitionerId": dr.id})
}

/// That the free times of a practitioner have changed, and of nobody else.
async fn told(sockets: &Sockets, name: &str, dr: &User) {
    assert_eq!(sockets.take(name, "slots:changed").await, about(dr), "{name}");
}

#[tokio::test]
async fn whatever_changes_the_free_times_is_told_those_who_watch_on_whichever_node() {
    let (app, company, alice, dr) = scene().await;
    let node = app.second_node().await;
    let (bob, elsewhere) = (app.employee(&company).await, app.practitioner().await);
    let day = in_days(&app, 5);
    let sockets = Sockets::start();
    sockets.enter("bob", &node.base, &bob.token).await;
    sockets.enter("quiet", &node.base, &bob.token).await;
    sockets.done("bob", "slots:watch", about(&dr)).await;
    sockets.done("quiet", "slots:watch", about(&elsewhere)).await;

    let booked = book_on(&alice, &dr, day).await;
    told(&sockets, "bob", &dr).await;
    alice.post(&format!("/consultations/{}/cancel", booked.str("/id")), json!({})).await.expect(200);
    told(&sockets, "bob", &dr).await;
    app.settle().await;

    let closed = json!({"kind": "closed", "from": day.to_string(), "to": day.to_string()});
    let override_id = dr.post(&format!("/practitioners/{}/overrides", dr.id), closed).await.expect(201).str("/id");
    told(&sockets, "bob", &dr).await;
    dr.delete(&format!("/practitioners/{}/overrides/{override_id}", dr.id)).await;
    told(&sockets, "bob", &dr).await;
    let off = json!({"kind": "time_off", "from": day.to_string(), "to": day.to_string()});
    dr.post(&format!("/practitioners/{}/overrides", dr.id), off).await.expect(201);
    told(&sockets, "bob", &dr).await;

    let rules: Vec<_> = (1..=5).map(|day| json!({"weekday": day, "startsAt": "10:00", "endsAt": "15:00"})).collect();
    dr.put(&format!("/practitioners/{}/availability", dr.id), json!({"rules": rules})).await.expect(200);
    told(&sockets, "bob", &dr).await;

    // what other calendars hold, as their reading writes it
    let calendar = Uuid::new_v4();
    sqlx::query(
        "INSERT INTO app.external_calendars (id, practitioner_id, place, label, url, host, next_read_at)
         VALUES ($1, $2, 1, 'Elsewhere', 'sealed', 'calendar.test', now())",
    )
    .bind(calendar)
    .bind(dr.id)
    .execute(app.db())
    .await
    .unwrap();
    sqlx::query("INSERT INTO app.external_busy_times (practitioner_id, calendar_id, starts_at, ends_at) VALUES ($1, $2, now(), now() + interval '1 hour')")
        .bind(dr.id)
        .bind(calendar)
        .execute(app.db())
        .await
        .unwrap();
    told(&sockets, "bob", &dr).await;
    // and their times with it
    sqlx::query("DELETE FROM app.external_calendars WHERE id = $1").bind(calendar).execute(app.db()).await.unwrap();
    told(&sockets, "bob", &dr).await;

    // terms: how long before
    sqlx::query("UPDATE app.practitioners SET min_notice_minutes = 60 WHERE id = $1")
        .bind(dr.id)
        .execute(app.db())
        .await
        .unwrap();
    told(&sockets, "bob", &dr).await;

    // time that is kept for somebody who waits
    sqlx::query(
        "INSERT INTO app.waitlist_holds (practitioner_id, freed_from, freed_until, busy_from, busy_until)
         SELECT $1, at, at + interval '1 hour', at, at + interval '1 hour' FROM (SELECT now() + interval '9 days' AS at) it",
    )
    .bind(dr.id)
    .execute(app.db())
    .await
    .unwrap();
    told(&sockets, "bob", &dr).await;

    let heard = sockets.run("events", "quiet", json!({})).await;
    assert_eq!(heard, json!([]), "another practitioner's times did not change");
    // not any more
    sockets.done("bob", "slots:unwatch", about(&dr)).await;
    sockets.done("bob", "slots:watch", about(&elsewhere)).await;
    sqlx::query("UPDATE app.practitioners SET min_notice_minutes = 0").execute(app.db()).await.unwrap();
    told(&sockets, "bob", &elsewhere).await;
    let heard = sockets.run("events", "bob", json!({})).await.to_string();
    assert!(!heard.contains(&dr.id.to_string()), "{heard}");
}

#[tokio::test]
async fn only_who_may_list_slots_watches_them_and_employers_never_do() {
    let (app, company, alice, dr) = scene().await;
    let (outside, staff) = (app.practitioner().await, app.platform_admin().await);
    sqlx::query("UPDATE app.companies SET network = 'restricted' WHERE id = $1")
        .bind(company.id)
        .execute(app.db())
        .await
        .unwrap();
    sqlx::query("INSERT INTO app.company_networks (company_id, practitioner_id) VALUES ($1, $2)")
        .bind(company.id)
        .bind(dr.id)
        .execute(app.db())
        .await
        .unwrap();
    let sockets = Sockets::start();
    for (name, user, watched, code) in [
        ("alice", &alice, &dr, None),
        ("alice, out of the network", &alice, &outside, Some("not_found")),
        ("dr", &dr, &dr, None),
        ("dr, another", &dr, &outside, Some("not_found")),
        ("staff", &staff, &dr, None),
        ("hr", &company.hr, &dr, Some("forbidden")),
        ("admin", &company.admin, &dr, Some("forbidden")),
    ] {
        sockets.enter(name, &app.base, &user.token).await;
        let answer = sockets.ask(name, "slots:watch", about(watched)).await;
        assert_eq!(answer["ok"], code.is_none(), "{name}: {answer}");
        assert_eq!(answer["code"], code.map_or(Value::Null, |code| json!(code)), "{name}");
    }
    let unknown = sockets.ask("alice", "slots:watch", json!({"practitionerId": Uuid::new_v4()})).await;
    assert_eq!(unknown["code"], "not_found");
    book_on(&alice, &dr, in_days(&app, 4)).await;
    for name in ["alice", "dr", "staff"] {
        told(&sockets, name, &dr).await;
    }
    app.settle().await;
    for name in ["hr", "admin"] {
        assert_eq!(sockets.run("events", name, json!({})).await, json!([]), "{name}");
    }
    // who is not in the network any more is told a last time, when they are asked for again, and then nothing
    sqlx::query("DELETE FROM app.company_networks").execute(app.db()).await.unwrap();
    let touch = "UPDATE app.practitioners SET min_notice_minutes = min_notice_minutes + 1 WHERE id = $1";
    sqlx::query("DELETE FROM app.notifications").execute(app.db()).await.unwrap();
    sqlx::query(touch).bind(dr.id).execute(app.db()).await.unwrap();
    for name in ["dr", "alice"] {
        told(&sockets, name, &dr).await;
    }
    app.clock.advance(chrono::TimeDelta::seconds(16));
    for _ in 0..2 {
        sqlx::query(touch).bind(dr.id).execute(app.db()).await.unwrap();
        told(&sockets, "dr", &dr).await;
    }
    let heard = sockets.run("count", "alice", json!({"event": "slots:changed", "least": 1})).await;
    assert_eq!(heard.as_array().unwrap().len(), 1, "{heard}");
}

#[tokio::test]
async fn many_changes_at_once_are_told_once_a_second() {
    let (app, _, alice, dr) = scene().await;
    let sockets = Sockets::start();
    sockets.enter("alice", &app.base, &alice.token).await;
    sockets.done("alice", "slots:watch", about(&dr)).await;
    let began = Instant::now();
    let touch = "UPDATE app.practitioners SET min_notice_minutes = min_notice_minutes + 1 WHERE id = $1";
    let mut changes = 0;
    while began.elapsed() < Duration::from_millis(2500) {
        sqlx::query(touch).bind(dr.id).execute(app.db()).await.unwrap();
        changes += 1;
    }
    // the last one is told as well
    sockets.run("count", "alice", json!({"event": "slots:changed", "least": 3})).await;
    let heard = sockets.run("events", "alice", json!({})).await.as_array().unwrap().len();
    let seconds = usize::try_from(began.elapsed().as_secs()).unwrap() + 1;
    assert!(changes > 10 && heard <= seconds, "{heard} of {changes} changes in {seconds} s");
}

#[tokio::test]
async fn one_connection_watches_twenty_at_most() {
    let (app, _, alice, _) = scene().await;
    let mut all = Vec::new();
    for _ in 0..21 {
        all.push(app.practitioner().await);
    }
    let sockets = Sockets::start();
    sockets.enter("alice", &app.base, &alice.token).await;
    let mut refused = Vec::new();
    // more slowly than what would be refused for its pace
    for dr in &all {
        let mut answer = sockets.ask("alice", "slots:watch", about(dr)).await;
        while answer["code"] == "too_many_requests" {
            alice.get("/notifications").await.expect(200);
            answer = sockets.ask("alice", "slots:watch", about(dr)).await;
        }
        refused.push(answer["code"].clone());
    }
    assert_eq!(refused.pop(), Some(json!("too_many_watched")));
    assert!(refused.iter().all(Value::is_null), "{refused:?}");
    // whom one watches already is no one more; and one who is let go makes room
    for (event, dr) in [("slots:watch", &all[0]), ("slots:unwatch", &all[0]), ("slots:watch", &all[20])] {
        while sockets.ask("alice", event, about(dr)).await["ok"] != true {
            alice.get("/notifications").await.expect(200);
        }
    }
}

#[tokio::test]
async fn what_was_listed_and_is_taken_is_told_before_the_booking_is_tried_in_vain() {
    let (app, company, alice, dr) = scene().await;
    let bob = app.employee(&company).await;
    let first = free(&alice, &dr, in_days(&app, 4)).await.remove(0);
    let sockets = Sockets::start();
    sockets.enter("bob", &app.base, &bob.token).await;
    sockets.done("bob", "slots:watch", about(&dr)).await;
    alice.post("/consultations", wish(&dr, &first)).await.expect(201);
    told(&sockets, "bob", &dr).await;
    let now = bob.request(Method::GET, &format!("/practitioners/{}/slots", PractitionerId::from(dr.id)));
    assert!(!Answer::of(now).await.expect(200).text().contains(&first));
    app.settle().await;
}
