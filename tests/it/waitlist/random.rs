//! Random days of a practice, everybody at once: what must always hold is looked at after each round.

use chrono::NaiveDate;
use futures_util::future::join_all;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;
use crate::support::tools;

/// What one person does in a round.
async fn act(person: &User, dr: &User, day: NaiveDate, choice: u32, pick: usize) -> Answer {
    match choice {
        0..=3 => person.post(&list(dr), json!({})).await,
        4 => person.delete(&list(dr)).await,
        5 => person.delete(&format!("{}/offer", list(dr))).await,
        // takes what is kept for them
        6 | 7 => {
            let place = person.get(&list(dr)).await;
            match place.json.pointer("/offer/startsAt").and_then(Value::as_str) {
                Some(at) => person.post("/consultations", wish(dr, at)).await,
                None => place,
            }
        }
        // whatever is free
        8..=10 => {
            let open = free(person, dr, day).await;
            match open.get(pick % open.len().max(1)) {
                Some(at) => person.post("/consultations", wish(dr, at)).await,
                None => person.get("/me/waitlist").await,
            }
        }
        _ => {
            let mine = person.get("/consultations?status=confirmed&limit=100").await.expect(200);
            let items = mine.json["items"].as_array().unwrap();
            match items.get(pick % items.len().max(1)) {
                None => mine,
                Some(it) if choice == 11 => {
                    let to = free(person, dr, day).await;
                    let Some(to) = to.get(pick % to.len().max(1)) else { return mine };
                    let path = format!("/consultations/{}/reschedule", it["id"].as_str().unwrap());
                    person.post(&path, json!({"startsAt": to})).await
                }
                Some(it) => {
                    person.post(&format!("/consultations/{}/cancel", it["id"].as_str().unwrap()), json!({})).await
                }
            }
        }
    }
}

/// Offers of a round that passed over somebody who waited all the while, before whom they went to, and could have had it.
const PASSED_OVER: &str = "
    SELECT count(*) FROM app.waitlist_offers o
    JOIN app.waitlist_entries e ON e.id = o.entry_id
    JOIN app.waitlist_holds h ON h.id = o.hold_id
    JOIN app.waitlist_entries w ON w.practitioner_id = e.practitioner_id AND w.place < e.place AND w.status = 'waiting'
    WHERE o.offered_at >= $1 AND w.joined_at < $1 AND w.user_id IS DISTINCT FROM h.had_by
      AND NOT EXISTS (SELECT FROM app.waitlist_offers a
                      WHERE a.entry_id = w.id AND (a.hold_id = h.id OR a.ended_at IS NULL OR a.ended_at >= $1))
      AND NOT EXISTS (SELECT FROM app.consultations c WHERE c.user_id = w.user_id
                        AND tstzrange(c.starts_at, c.ends_at) && tstzrange(o.starts_at, o.ends_at))";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_random_days_nothing_overlaps_and_nobody_is_passed_over() {
    let seed: u64 = tools::setting("WAITLIST_SEED", 7);
    let rounds: usize = tools::setting("WAITLIST_ROUNDS", 12);
    let mut dice = StdRng::seed_from_u64(seed);
    let app = TestApp::start_with(|name| (name == "DATABASE_ACQUIRE_TIMEOUT_MS").then(|| "30000".to_owned())).await;
    let (acme, globex) = (app.company("Acme").await, app.company("Globex").await);
    sqlx::query("UPDATE app.companies SET sessions_per_employee = 1000").execute(app.db()).await.unwrap();
    let mut dr = app.practitioner().await;
    // four sessions a day
    sqlx::query("UPDATE app.availability_rules SET ends_minute = 660").execute(app.db()).await.unwrap();
    let mut people = Vec::new();
    for n in 0..8 {
        people.push(app.employee(if n % 2 == 0 { &acme } else { &globex }).await);
    }
    let mut offers = 0;
    for round in 0..rounds {
        let now = app.clock.now() + TimeDelta::minutes(dice.random_range(1..150));
        go_to(&app, now, people.iter_mut().collect(), &mut dr).await;
        let day = in_days(&app, 4);
        let acts: Vec<_> = people.iter().map(|_| (dice.random_range(0..16), dice.random_range(0..100))).collect();
        let deeds = people.iter().zip(acts).map(|(person, (choice, pick))| act(person, &dr, day, choice, pick));
        app.enqueue(&KeepWaitlist {}).await;
        let (answers, ()) = tokio::join!(join_all(deeds), app.settle());
        for answer in &answers {
            let status = answer.status.as_u16();
            assert!([200, 201, 204, 404, 409].contains(&status), "seed {seed}, round {round}: {}", answer.json);
        }
        keep(&app).await;
        assert_nothing_overlaps(&app).await;
        let passed: i64 = sqlx::query_scalar(PASSED_OVER).bind(now).fetch_one(app.db()).await.unwrap();
        assert_eq!(passed, 0, "seed {seed}, round {round}");
        let idle = "SELECT count(*) FROM app.waitlist_holds h WHERE h.status = 'held'
                    AND NOT EXISTS (SELECT FROM app.waitlist_offers o WHERE o.hold_id = h.id AND o.status = 'open')
                    AND NOT EXISTS (SELECT FROM app.waitlist_entries w
                                    JOIN app.waitlist_offers o ON o.entry_id = w.id AND o.status = 'open'
                                    WHERE w.practitioner_id = h.practitioner_id AND w.status = 'waiting'
                                      AND w.user_id IS DISTINCT FROM h.had_by
                                      AND NOT EXISTS (SELECT FROM app.waitlist_offers d
                                                      WHERE d.entry_id = w.id AND d.hold_id = h.id))";
        assert_eq!(app.count(idle).await, 0, "what nobody is left for is everybody's");
        let kept = "SELECT greatest(0, count(*) FILTER (WHERE o.id IS NULL) - count(o.id)) FROM app.waitlist_holds h
                    LEFT JOIN app.waitlist_offers o ON o.hold_id = h.id AND o.status = 'open' WHERE h.status = 'held'";
        assert_eq!(app.count(kept).await, 0, "one for each who is asked");
        let ends = "SELECT count(*) FROM app.waitlist_holds h
                    WHERE (h.status = 'taken') <> EXISTS (SELECT FROM app.waitlist_offers o WHERE o.hold_id = h.id AND o.status = 'taken')";
        assert_eq!(app.count(ends).await, 0);
        // what is kept for somebody can be taken
        offers = app.count("SELECT count(*) FROM app.waitlist_offers").await;
    }
    assert!(offers >= i64::try_from(rounds / 4).unwrap(), "only {offers} offers in {rounds} rounds");
    for person in &people {
        let place = person.get(&list(&dr)).await;
        if let Some(at) = place.json.pointer("/offer/startsAt").and_then(Value::as_str) {
            person.post("/consultations", wish(&dr, at)).await.expect(201);
        }
    }
    keep(&app).await;
    assert_nothing_overlaps(&app).await;
    println!("{offers} offers in {rounds} rounds");
}
