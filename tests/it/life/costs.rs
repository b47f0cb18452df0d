//! What cancelling costs, and sessions of a practitioner who cannot come.

use super::*;

/// What the employee is told of cancelling: until when it is free, and whether it counts now.
fn cancellation(answer: &Answer) -> (DateTime<Utc>, bool) {
    (instant(&answer.str("/cancellation/freeUntil")), answer.json["cancellation"]["countsNow"].as_bool().unwrap())
}

#[tokio::test]
async fn an_employee_knows_before_and_after_what_cancelling_costs() {
    let (app, _, mut alice, mut dr) = scene().await;
    let open = free(&alice, &dr, in_days(&app, 4)).await;
    let mut booked = Vec::new();
    for nth in [0, 2, 4] {
        booked.push(alice.post("/consultations", wish(&dr, &open[nth])).await.expect(201));
    }
    app.settle().await;
    let start = starts(&booked[0]);
    let day = TimeDelta::hours(24);
    assert_eq!(cancellation(&booked[0]), (start - day, false));
    assert!(booked[0].json.get("counts").is_none());
    go_to(&app, start - day - minutes(1), &mut alice, &mut dr).await;
    assert_eq!(cancellation(&alice.get(&path(&booked[0], "")).await), (start - day, false));
    go_to(&app, start - day + minutes(1), &mut alice, &mut dr).await;
    let seen = alice.get(&path(&booked[0], "")).await.expect(200);
    assert_eq!(cancellation(&seen), (start - day, true));
    let listed = alice.get("/consultations").await.expect(200);
    assert_eq!(listed.json["items"][2], seen.json);
    for other in [&dr, &app.platform_admin().await] {
        let theirs = other.get(&path(&booked[0], "")).await.expect(200).json;
        assert!(theirs.get("cancellation").is_none() && theirs.get("counts").is_none(), "{theirs}");
    }
    // as is said
    let cancelled = alice.post(&path(&booked[0], "/cancel"), json!({})).await.expect(200);
    assert_eq!(cancelled.json["counts"], true);
    assert!(cancelled.json.get("cancellation").is_none());
    app.settle().await;
    let mail = app.mails_to(&alice.email).pop().unwrap().text.unwrap();
    assert!(mail.contains("It counts against"), "{mail}");
    // what the practitioner moves or cancels costs nothing
    dr.post(&path(&booked[1], "/reschedule"), json!({"startsAt": open[8]})).await.expect(200);
    let moved = alice.get(&path(&booked[1], "")).await.expect(200);
    assert_eq!(cancellation(&moved), (instant(&open[8]), false));
    // one mail after the other, so that the last one is the last
    app.settle().await;
    let theirs = dr.post(&path(&booked[2], "/cancel"), json!({})).await.expect(200);
    assert!(theirs.json.get("counts").is_none());
    assert_eq!(alice.get(&path(&booked[2], "")).await.json["counts"], false);
    app.settle().await;
    let hers = app.mails_to(&alice.email).pop().unwrap().text.unwrap();
    assert!(hers.contains("It does not count against"), "{hers}");
    let his = app.mails_to(&dr.email).pop().unwrap();
    assert_eq!(his.subject, "Appointment cancelled");
    assert!(!his.text.unwrap().contains("count"));
    // nor does anything where the company says so; what has begun is not cancelled any more
    dr.post(&path(&booked[1], "/cancel"), json!({})).await.expect(200);
    sqlx::query("UPDATE app.company_settings SET late_cancellation_counts = false").execute(app.db()).await.unwrap();
    let late = book_on(&alice, &dr, in_days(&app, 2)).await;
    assert_eq!(cancellation(&late), (starts(&late), false));
    go_to(&app, starts(&late) + TimeDelta::seconds(5), &mut alice, &mut dr).await;
    assert!(alice.get(&path(&late, "")).await.json.get("cancellation").is_none());
    // a request costs nothing
    confirms_by_hand(&dr).await;
    let request = book_on(&alice, &dr, in_days(&app, 2)).await;
    assert_eq!(cancellation(&request), (starts(&request), false));
    app.settle().await;
}

#[tokio::test]
async fn of_a_suspended_practitioners_sessions_nobody_is_reminded_and_staff_may_cancel_them() {
    use huntzen::domain::consultations::events::{Reminder, ReminderDue};
    use huntzen::platform::ids::ConsultationId;

    let (app, company, mut alice, mut dr) = scene().await;
    let admin = app.platform_admin().await;
    let first = book_on(&alice, &dr, in_days(&app, 4)).await;
    let second = book_on(&alice, &dr, in_days(&app, 4)).await;
    app.settle().await;
    let suspend = format!("/admin/users/{}/suspend", dr.id);
    let answer = admin.post(&suspend, json!({})).await.expect(200);
    assert_eq!((&answer.json["sessionsAhead"], &answer.json["cancelling"]), (&json!(2), &json!(false)));
    app.settle().await;
    assert_eq!(alice.get(&path(&first, "")).await.json["status"], "confirmed");
    go_to(&app, starts(&first) - TimeDelta::hours(24), &mut alice, &mut dr).await;
    keep_time(&app).await;
    // nor by what was under way when it happened
    let consultation_id: ConsultationId = first.str("/id").parse::<uuid::Uuid>().unwrap().into();
    let due = ReminderDue { consultation_id, reminder: Reminder::Day, starts_at: starts(&first) };
    app.enqueue_for(&due, Some(company.id), None).await;
    app.settle().await;
    for person in [&alice, &dr] {
        assert!(!subjects(&app, person).contains(&"Appointment reminder".to_owned()));
    }

    let admin = app.platform_admin().await;
    let answer = admin.post(&format!("{suspend}?cancelSessions=true"), json!({})).await.expect(200);
    assert_eq!((&answer.json["sessionsAhead"], &answer.json["cancelling"]), (&json!(2), &json!(true)));
    app.settle().await;
    for it in [&first, &second] {
        let after = alice.get(&path(it, "")).await.expect(200);
        assert_eq!((&after.json["status"], &after.json["cancelledBy"]), (&json!("cancelled"), &json!("platform")));
        assert_eq!(after.json["counts"], false);
    }
    let told: Vec<_> =
        app.mails_to(&alice.email).into_iter().filter(|it| it.subject == "Appointment cancelled").collect();
    assert_eq!(told.len(), 2);
    assert!(told[0].text.as_ref().unwrap().contains("It does not count against"));
    // once more there is nothing to do, and nobody else has such sessions
    let answer = admin.post(&format!("{suspend}?cancelSessions=true"), json!({})).await.expect(200);
    assert_eq!((&answer.json["sessionsAhead"], &answer.json["cancelling"]), (&json!(0), &json!(false)));
    let details: Vec<String> =
        sqlx::query_scalar("SELECT details::text FROM app.audit_logs WHERE action = 'user.suspended' ORDER BY at, id")
            .fetch_all(app.db())
            .await
            .unwrap();
    assert_eq!(
        details,
        [r#"{"mode": "keep_sessions", "sessions": 2}"#, r#"{"mode": "cancel_sessions", "sessions": 2}"#]
    );
    let answer = admin.post(&format!("/admin/users/{}/suspend", alice.id), json!({})).await.expect(200);
    assert!(answer.json.get("sessionsAhead").is_none() && answer.json.get("cancelling").is_none());
    app.settle().await;
}
