//! Many people want the same time at once.

use futures_util::future::join_all;
use serde_json::json;

use crate::consultations::{free, in_days, wish};
use crate::support::{Answer, TestApp};

/// Waits for connections as long as it takes: how soon an exhausted pool says so is another test.
async fn patient_app() -> TestApp {
    TestApp::start_with(|name| (name == "DATABASE_ACQUIRE_TIMEOUT_MS").then(|| "30000".to_owned())).await
}

fn count(answers: &[Answer], status: u16, code: &str) -> usize {
    answers.iter().filter(|it| it.status.as_u16() == status && (code.is_empty() || it.json["code"] == code)).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_forty_employees_who_want_one_slot_one_gets_it() {
    let app = patient_app().await;
    let (acme, globex) = (app.company("Acme").await, app.company("Globex").await);
    let dr = app.practitioner().await;
    let mut people = Vec::new();
    for n in 0..40 {
        people.push(app.employee(if n % 2 == 0 { &acme } else { &globex }).await);
    }
    let start = free(&people[0], &dr, in_days(&app, 1)).await.remove(5);
    let answers = join_all(people.iter().map(|person| person.post("/consultations", wish(&dr, &start)))).await;
    assert_eq!(count(&answers, 201, ""), 1);
    assert_eq!(count(&answers, 409, "slot_taken"), 39);
    for refused in answers.iter().filter(|it| it.status.as_u16() == 409) {
        assert_eq!(refused.json["nearest"].as_array().unwrap().len(), 5);
    }
    assert_eq!(app.count("SELECT count(*) FROM app.consultations").await, 1);
    assert_eq!(app.count("SELECT count(*) FROM app.consultation_events").await, 1);
    assert_eq!(app.count("SELECT count(*) FROM app.audit_logs WHERE action = 'consultation.booked'").await, 1);
    app.settle().await;
    assert_eq!(app.mails().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_books_more_than_the_contract_grants() {
    let app = patient_app().await;
    let company = app.company("Acme").await;
    sqlx::query("UPDATE app.companies SET sessions_per_employee = 2").execute(app.db()).await.unwrap();
    let (alice, dr) = (app.employee(&company).await, app.practitioner().await);
    let starts = free(&alice, &dr, in_days(&app, 2)).await;
    let wishes = starts.iter().step_by(2).map(|start| alice.post("/consultations", wish(&dr, start)));
    let answers = join_all(wishes).await;
    assert_eq!(answers.len(), 8);
    assert_eq!(count(&answers, 201, ""), 2);
    assert_eq!(count(&answers, 409, "quota_exhausted"), 6);
    // what is cancelled in time does not count
    let id = answers.iter().find(|it| it.status.as_u16() == 201).unwrap().str("/id");
    alice.post(&format!("/consultations/{id}/cancel"), json!({})).await.expect(200);
    alice.post("/consultations", wish(&dr, &starts[15])).await.expect(201);
    app.settle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_is_in_one_place_at_a_time() {
    let app = patient_app().await;
    let company = app.company("Acme").await;
    let alice = app.employee(&company).await;
    let mut practitioners = Vec::new();
    for _ in 0..6 {
        practitioners.push(app.practitioner().await);
    }
    let start = free(&alice, &practitioners[0], in_days(&app, 1)).await.remove(0);
    let answers = join_all(practitioners.iter().map(|dr| alice.post("/consultations", wish(dr, &start)))).await;
    assert_eq!(count(&answers, 201, ""), 1);
    assert_eq!(count(&answers, 409, "already_booked_then"), 5);
    app.settle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_bookings_and_cancellations_leaves_no_overlap() {
    let app = patient_app().await;
    let company = app.company("Acme").await;
    sqlx::query("UPDATE app.companies SET sessions_per_employee = 100").execute(app.db()).await.unwrap();
    let (one, two) = (app.practitioner().await, app.practitioner().await);
    let mut people = Vec::new();
    for _ in 0..12 {
        people.push(app.employee(&company).await);
    }
    let starts = free(&people[0], &one, in_days(&app, 4)).await;
    let storm = people.iter().enumerate().map(|(n, person)| {
        let (starts, doctors) = (&starts, [&one, &two]);
        async move {
            let mut statuses = Vec::new();
            for turn in 0..10 {
                let dr = doctors[(n + turn) % 2];
                let booked = person.post("/consultations", wish(dr, &starts[(n * 5 + turn * 3) % starts.len()])).await;
                if booked.status.as_u16() == 201 && turn % 3 == 0 {
                    let cancel = format!("/consultations/{}/cancel", booked.str("/id"));
                    statuses.push(person.post(&cancel, json!({})).await.status.as_u16());
                }
                statuses.push(booked.status.as_u16());
            }
            statuses
        }
    });
    let statuses = join_all(storm).await.concat();
    assert!(statuses.iter().all(|status| [200, 201, 409].contains(status)), "{statuses:?}");
    let booked = statuses.iter().filter(|status| **status == 201).count();
    assert_eq!(app.count("SELECT count(*) FROM app.consultations").await, i64::try_from(booked).unwrap());
    let overlaps = app
        .count(
            "SELECT count(*) FROM app.consultations a JOIN app.consultations b
             ON a.id < b.id AND a.status = 'confirmed' AND b.status = 'confirmed'
                AND (a.practitioner_id = b.practitioner_id OR a.user_id = b.user_id)
                AND tstzrange(a.starts_at, a.ends_at) && tstzrange(b.starts_at, b.ends_at)",
        )
        .await;
    assert_eq!(overlaps, 0);
    app.settle().await;
}
