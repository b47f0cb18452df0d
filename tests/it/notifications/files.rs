//! Files that were asked for, and calendars that fail.

use huntzen::platform::jobs::{Job, Queue};
use reqwest::Method;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::*;

#[derive(Serialize, Deserialize)]
struct MailReady {
    export_id: Uuid,
}

impl Job for MailReady {
    const KIND: &'static str = "exports.mail_ready";
    const QUEUE: Queue = Queue::Mail;
}

#[derive(Serialize, Deserialize)]
struct TellFails {
    calendar_id: Uuid,
}

impl Job for TellFails {
    const KIND: &'static str = "practitioners.tell_calendar_fails";
    const QUEUE: Queue = Queue::Mail;
}

async fn refuse_mails(user: &User, kind: &str) {
    let wish = json!({"items": [{"kind": kind, "inApp": true, "email": false}]});
    let request = user.request(Method::PUT, "/notifications/preferences").header("if-match", "*").json(&wish);
    Answer::of(request).await.expect(200);
}

#[tokio::test]
async fn whoever_asked_for_a_file_is_told_what_became_of_it() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let sockets = Sockets::start();
    sockets.enter("hr", &app.base, &company.hr.token).await;
    for wants_mail in [true, false] {
        let export_id = Uuid::new_v4();
        if !wants_mail {
            refuse_mails(&company.hr, "export_ready").await;
        }
        sqlx::query("INSERT INTO app.exports (id, company_id, requested_by, kind, params, created_at) VALUES ($1, $2, $3, 'usage', '{}', now())")
            .bind(export_id)
            .bind(company.id)
            .bind(company.hr.id)
            .execute(app.db())
            .await
            .unwrap();
        for status in ["failed", "running", "ready"] {
            // as the job that makes it does, the second time with success
            sqlx::query(
                "UPDATE app.exports SET status = $2, finished_at = now(), expires_at = now() + interval '7 days', row_count = 1,
                        file_key = CASE $2 WHEN 'ready' THEN 'exports/x.csv' END,
                        failure = CASE $2 WHEN 'failed' THEN 'not_made' END WHERE id = $1",
            )
            .bind(export_id)
            .bind(status)
            .execute(app.db())
            .await
            .unwrap();
        }
        let before = app.mails_to(&company.hr.email).len();
        app.enqueue_for(&MailReady { export_id }, Some(company.id), Some(company.hr.id)).await;
        app.settle().await;
        assert_eq!(app.mails_to(&company.hr.email).len() - before, usize::from(wants_mail));
        for kind in ["export_failed", "export_ready"] {
            let told = sockets.take("hr", "notification:new").await;
            assert_eq!((&told["kind"], &told["objectType"]), (&json!(kind), &json!("export")));
            assert_eq!(told["objectId"], json!(export_id));
        }
    }
    assert_eq!(kinds(&company.admin).await, [] as [Value; 0], "whoever asked");
}

#[tokio::test]
async fn a_practitioner_is_told_that_a_calendar_fails() {
    let (app, _, _, dr) = scene().await;
    let calendar_id = Uuid::new_v4();
    sqlx::query(
        "INSERT INTO app.external_calendars (id, practitioner_id, place, label, url, host, next_read_at, failures, failing_since,
                                             failed_at, failure_code)
         VALUES ($1, $2, 1, 'Elsewhere', 'sealed', 'calendar.test', now(), 9, now(), now(), 'gone')",
    )
    .bind(calendar_id)
    .bind(dr.id)
    .execute(app.db())
    .await
    .unwrap();
    for times in 1..=2 {
        // once for each row of failures
        for _ in 0..2 {
            sqlx::query("UPDATE app.external_calendars SET told_at = coalesce(told_at, now()) WHERE id = $1")
                .bind(calendar_id)
                .execute(app.db())
                .await
                .unwrap();
        }
        assert_eq!(kinds(&dr).await.len(), times);
        sqlx::query("UPDATE app.external_calendars SET told_at = NULL").execute(app.db()).await.unwrap();
    }
    assert_eq!(kinds(&dr).await[0], "calendar_failing");
    for (wants_mail, mails) in [(true, 1), (false, 1)] {
        if !wants_mail {
            refuse_mails(&dr, "calendar_failing").await;
        }
        app.enqueue(&TellFails { calendar_id }).await;
        app.settle().await;
        assert_eq!(app.mails_to(&dr.email).len(), mails, "{wants_mail}");
    }
}
