//! What people want to be told, kind by kind.

use chrono::TimeDelta;
use huntzen::domain::consultations::events::{
    ConsultationBooked, ConsultationCancelled, ConsultationConfirmed, ConsultationExpired, ConsultationMissed,
    ConsultationRequested, ConsultationRescheduled, Reminder, ReminderDue,
};
use huntzen::domain::notifications::model::Kind;
use huntzen::platform::ids::ConsultationId;
use huntzen::platform::jobs::Job;
use reqwest::Method;
use sqlx::AssertSqlSafe;

use super::*;

const PATH: &str = "/notifications/preferences";

async fn put(user: &User, etag: Option<&str>, items: Value) -> Answer {
    let mut request = user.request(Method::PUT, PATH).json(&json!({"items": items}));
    if let Some(etag) = etag {
        request = request.header("if-match", etag);
    }
    Answer::of(request).await
}

/// Says no to a kind by some channels.
async fn refuse(user: &User, kind: &str, in_app: bool, email: bool) -> Answer {
    let etag = user.get(PATH).await.expect(200).header("etag").to_owned();
    put(user, Some(&etag), json!([{"kind": kind, "inApp": in_app, "email": email}])).await
}

fn names(answer: &Answer) -> Vec<&str> {
    answer.json["items"].as_array().unwrap().iter().map(|item| item["kind"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn everybody_sees_the_kinds_of_their_role_and_all_are_on_at_first() {
    let (app, company, alice, dr) = scene().await;
    let account = [
        "password_changed",
        "email_changed",
        "two_factor_changed",
        "session_ended",
        "erasure_asked",
        "erasure_withdrawn",
        "erasure_refused",
    ];
    for (user, kinds) in [
        (&alice, Kind::ALL.len() - 3),
        (&dr, Kind::ALL.len() - 3),
        (&company.hr, account.len() + 4),
        (&company.admin, account.len() + 4),
        (&app.platform_admin().await, account.len() + 4),
    ] {
        let answer = user.get(PATH).await.expect(200);
        assert_eq!(names(&answer).len(), kinds);
        for it in answer.json["items"].as_array().unwrap() {
            assert_eq!((&it["inApp"], &it["email"]), (&json!(true), &json!(true)), "{it}");
        }
        let known = user.request(Method::GET, PATH).header("if-none-match", answer.header("etag"));
        Answer::of(known).await.expect(304);
    }
    assert_eq!(names(&company.hr.get(PATH).await)[4..], account);
    assert!(!names(&dr.get(PATH).await).contains(&"waitlist_offered"));
    app.anonymous().get(PATH).await.refused(401, "unauthenticated");
    put(&app.anonymous(), Some("\"x\""), json!([])).await.refused(401, "unauthenticated");
}

#[tokio::test]
async fn of_two_tabs_the_second_one_is_told_that_the_first_one_was_there() {
    let (app, _, alice, dr) = scene().await;
    let first = alice.get(PATH).await.header("etag").to_owned();
    let off = json!([{"kind": "reminder_hour", "inApp": true, "email": false}]);
    put(&alice, None, off.clone()).await.refused(428, "precondition_required");
    let changed = put(&alice, Some(&first), off.clone()).await.expect(200);
    let it = changed.json["items"].as_array().unwrap().iter().find(|it| it["kind"] == "reminder_hour").unwrap();
    assert_eq!(it, &json!({"kind": "reminder_hour", "inApp": true, "email": false, "locked": false}));
    assert_eq!(alice.get(PATH).await.json, changed.json);
    put(&alice, Some(&first), json!([])).await.refused(412, "stale");
    // the same once more, as it was answered
    put(&alice, Some(changed.header("etag")), changed.json["items"].clone()).await.expect(200);
    assert_eq!(
        app.count("SELECT count(*) FROM app.audit_logs WHERE action = 'notification_preferences.changed'").await,
        1
    );
    // what is left out is on again
    let again = put(&alice, Some(changed.header("etag")), json!([])).await.expect(200);
    assert_eq!(again.header("etag"), first);
    assert_eq!(app.count("SELECT count(*) FROM app.notification_preferences").await, 0);
    // and his are his own
    assert_eq!(dr.get(PATH).await.json["items"].as_array().unwrap().len(), Kind::ALL.len() - 3);
}

#[tokio::test]
async fn tabs_that_save_at_once_are_told_one_after_the_other() {
    let (_app, _, alice, _) = scene().await;
    let first = alice.get(PATH).await.header("etag").to_owned();
    let tabs = ["reminder_day", "reminder_hour", "consultation_missed", "consultation_booked"].map(|kind| {
        let (alice, first) = (alice.clone(), first.clone());
        async move {
            put(&alice, Some(&first), json!([{"kind": kind, "inApp": false, "email": true}])).await.status.as_u16()
        }
    });
    let mut answers = futures_util::future::join_all(tabs).await;
    answers.sort_unstable();
    assert_eq!(answers, [200, 412, 412, 412]);
}

#[tokio::test]
async fn service_messages_cannot_be_switched_off() {
    let (app, _, alice, _) = scene().await;
    let services: Vec<_> = Kind::ALL.into_iter().filter(|kind| kind.is_service()).collect();
    assert_eq!(services.len(), 10);
    let locked = alice.get(PATH).await.expect(200);
    for it in locked.json["items"].as_array().unwrap() {
        let is_service = services.iter().any(|kind| it["kind"] == kind.as_str());
        assert_eq!(it["locked"], is_service, "{it}");
    }
    for kind in &services {
        for (in_app, email, pointer) in [(false, true, "/items/0/inApp"), (true, false, "/items/0/email")] {
            let refused = refuse(&alice, kind.as_str(), in_app, email).await.refused(422, "service_message");
            assert_eq!(refused.json["errors"][0]["pointer"], pointer);
        }
        refuse(&alice, kind.as_str(), true, true).await.expect(200);
    }
    let request = alice.request(Method::PUT, PATH).header("if-match", "*").header("accept-language", "fr");
    let french =
        Answer::of(request.json(&json!({"items": [{"kind": "session_ended", "inApp": true, "email": false}]}))).await;
    assert_eq!(french.refused(422, "service_message").json["title"], "Impossible à désactiver");
    // nor by a statement that somebody smuggles in: the database holds no such wish, and knows the same kinds
    for kind in Kind::ALL {
        for channel in ["in_app", "email"] {
            let insert = format!(
                "INSERT INTO app.notification_preferences (user_id, kind, channel) VALUES ('{}', '{}', '{channel}')",
                alice.id,
                kind.as_str()
            );
            let done = sqlx::query(AssertSqlSafe(insert)).execute(app.db()).await;
            assert_eq!(done.is_err(), kind.is_service(), "{kind:?} {channel}: {done:?}");
        }
    }
}

#[tokio::test]
async fn bad_wishes_are_refused_with_what_is_wrong() {
    let (_app, company, alice, dr) = scene().await;
    let etag = alice.get(PATH).await.header("etag").to_owned();
    let on = |kind: &str| json!({"kind": kind, "inApp": true, "email": true});
    for (items, pointer) in [
        (json!([on("birthday")]), "/items/0/kind"),
        (json!([on("reminder_day"), on("reminder_day")]), "/items/1/kind"),
        (json!([{"kind": "reminder_day", "inApp": true}]), "/items/0/email"),
        (json!([{"kind": "reminder_day", "inApp": "no", "email": true}]), "/items/0/inApp"),
        (json!([{"kind": "reminder_day", "inApp": true, "email": true, "sms": true}]), "/items/0/sms"),
        (json!("none"), "/items"),
    ] {
        let refused = put(&alice, Some(&etag), items.clone()).await.refused(422, "invalid");
        assert_eq!(refused.json["errors"][0]["pointer"], pointer, "{items}: {}", refused.json);
    }
    for (user, kind) in [(&dr, "waitlist_offered"), (&company.hr, "reminder_day")] {
        let refused = refuse(user, kind, false, false).await.refused(422, "invalid");
        assert_eq!(refused.json["errors"][0]["code"], "kind_of_others");
    }
}

/// One event of each kind that the queue brings, about one session, with what makes it so.
async fn happen<J: Job>(app: &TestApp, alice: &User, state: &'static str, event: &J) {
    let mut tx = app.db().begin().await.unwrap();
    // as a session would look by then; what led there is another matter
    sqlx::query("SET LOCAL session_replication_role = replica").execute(&mut *tx).await.unwrap();
    sqlx::query(AssertSqlSafe(format!("UPDATE app.consultations SET {state}"))).execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
    app.enqueue_for(event, alice.company_id, None).await;
    app.settle().await;
}

#[tokio::test]
async fn each_kind_comes_by_the_channels_that_are_wanted_and_by_no_other() {
    const CANCELLED: &str = "status = 'cancelled', cancelled_at = now(), cancelled_by = 'practitioner'";
    const CONFIRMED: &str = "status = 'confirmed', expires_at = NULL, agreed_at = now(), cancelled_at = NULL,
        cancelled_by = NULL, missed_by = NULL";
    let (app, _, alice, dr) = scene().await;
    let booked = book_on(&alice, &dr, in_days(&app, 4)).await;
    app.settle().await;
    let consultation_id = ConsultationId(booked.str("/id").parse().unwrap());
    let starts_at = instant(&booked.str("/startsAt"));
    let clean = async || {
        for table in ["app.notifications", "app.email_log"] {
            sqlx::query(AssertSqlSafe(format!("DELETE FROM {table}"))).execute(app.db()).await.unwrap();
        }
        sqlx::query("DELETE FROM apalis.jobs").execute(app.db()).await.unwrap();
    };
    let raise = async |kind: Kind| match kind {
        Kind::ConsultationRequested => {
            happen(
                &app,
                &alice,
                "status = 'pending', expires_at = starts_at, agreed_at = NULL",
                &ConsultationRequested { consultation_id },
            )
            .await;
        }
        Kind::ConsultationBooked => happen(&app, &alice, CONFIRMED, &ConsultationBooked { consultation_id }).await,
        Kind::ConsultationConfirmed => {
            happen(&app, &alice, CONFIRMED, &ConsultationConfirmed { consultation_id }).await;
        }
        Kind::ConsultationRescheduled => {
            let event = ConsultationRescheduled { consultation_id, sequence: 0, moved_from: None };
            happen(&app, &alice, CONFIRMED, &event).await;
        }
        Kind::ConsultationCancelled => {
            happen(&app, &alice, CANCELLED, &ConsultationCancelled { consultation_id }).await;
        }
        Kind::ConsultationExpired => happen(&app, &alice, CANCELLED, &ConsultationExpired { consultation_id }).await,
        Kind::ConsultationMissed => {
            let state = "status = 'no_show', missed_by = 'employee', cancelled_at = NULL, cancelled_by = NULL";
            happen(&app, &alice, state, &ConsultationMissed { consultation_id }).await;
        }
        Kind::ReminderDay | Kind::ReminderHour => {
            let reminder = if kind == Kind::ReminderDay { Reminder::Day } else { Reminder::Hour };
            happen(&app, &alice, CONFIRMED, &ReminderDue { consultation_id, reminder, starts_at }).await;
        }
        _ => unreachable!(),
    };
    let of_sessions = Kind::ALL
        .into_iter()
        .filter(|kind| kind.as_str().starts_with("consultation_") || kind.as_str().starts_with("reminder_"));
    for kind in of_sessions {
        let wishes: &[_] = if kind.is_service() { &[(true, true)] } else { &[(false, true), (true, false)] };
        for &(in_app, email) in wishes {
            clean().await;
            let before = (app.mails_to(&alice.email).len(), app.mails_to(&dr.email).len());
            refuse(&alice, kind.as_str(), in_app, email).await.expect(200);
            raise(kind).await;
            let told = kinds(&alice).await;
            assert_eq!(told.len(), usize::from(in_app), "{kind:?} {in_app} {email}: {told:?}");
            assert!(told.iter().all(|it| it == kind.as_str()));
            let mails = (app.mails_to(&alice.email).len() - before.0, app.mails_to(&dr.email).len() - before.1);
            assert_eq!(mails, (usize::from(email), 1), "{kind:?} {in_app} {email}");
            assert_eq!(kinds(&dr).await, [kind.as_str()], "what she wants is hers to say");
        }
    }
}

#[tokio::test]
async fn a_mail_that_waits_is_not_sent_to_whoever_has_changed_their_mind() {
    let (app, _, mut alice, mut dr) = scene().await;
    let booked = book_on(&alice, &dr, in_days(&app, 4)).await;
    app.settle().await;
    let starts_at = instant(&booked.str("/startsAt"));
    go_to(&app, starts_at - TimeDelta::hours(24), &mut alice, &mut dr).await;
    let before = app.mails_to(&alice.email).len();
    // the reaction has run; its mail waits
    let id = ConsultationId(booked.str("/id").parse().unwrap());
    let mail = huntzen::domain::notifications::jobs::SendAppointmentMail {
        consultation_id: id,
        to: huntzen::domain::notifications::jobs::Reader::Employee,
        kind: huntzen::domain::notifications::jobs::AppointmentMail::ReminderDay,
        sequence: None,
        start: Some(starts_at),
    };
    refuse(&alice, "reminder_day", true, false).await.expect(200);
    app.enqueue_for(&mail, alice.company_id, None).await;
    app.settle().await;
    assert_eq!(app.mails_to(&alice.email).len(), before);
    assert_eq!(app.count("SELECT count(*) FROM app.email_log WHERE status = 'skipped'").await, 1);
}
