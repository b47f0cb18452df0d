//! Reminders a day and an hour before.

use chrono::{Days, TimeZone};
use chrono_tz::America::Martinique;
use chrono_tz::Europe::Paris;

use super::*;

const REMINDER: &str = "Appointment reminder";

fn reminders(app: &TestApp, user: &User) -> usize {
    subjects(app, user).iter().filter(|subject| *subject == REMINDER).count()
}

#[tokio::test]
async fn both_are_reminded_a_day_and_an_hour_before_once_each() {
    let (app, _, mut alice, mut dr) = scene().await;
    let booked = book_on(&alice, &dr, in_days(&app, 4)).await;
    app.settle().await;
    let start = starts(&booked);
    let etag = alice.get(&path(&booked, "")).await.header("etag").to_owned();
    for (before, expected) in [
        (TimeDelta::hours(24) + minutes(1), 0),
        (TimeDelta::hours(24), 1),
        (TimeDelta::hours(23), 1),
        (minutes(61), 1),
        (minutes(60), 2),
        (minutes(59), 2),
        (minutes(-1), 2),
    ] {
        go_to(&app, start - before, &mut alice, &mut dr).await;
        keep_time(&app).await;
        keep_time(&app).await;
        for person in [&alice, &dr] {
            assert_eq!(reminders(&app, person), expected, "{before}");
        }
    }
    assert_eq!(alice.get(&path(&booked, "")).await.header("etag"), etag, "a reminder is no new version");
    let mail = app.mails_to(&alice.email).into_iter().find(|mail| mail.subject == REMINDER).unwrap();
    assert!(mail.attachments.is_empty());
    let all = format!("{mail:?}").to_lowercase();
    assert!(!all.contains("psychology") && !all.contains("dr test"), "{all}");
}

#[tokio::test]
async fn reminders_are_in_the_readers_language_and_zone() {
    let (app, _, mut alice, mut dr) = scene().await;
    sqlx::query("UPDATE app.users SET locale = 'fr', time_zone = 'America/Martinique' WHERE id = $1")
        .bind(alice.id)
        .execute(app.db())
        .await
        .unwrap();
    let booked = book_on(&alice, &dr, in_days(&app, 4)).await;
    app.settle().await;
    let start = starts(&booked);
    go_to(&app, start - TimeDelta::hours(24), &mut alice, &mut dr).await;
    keep_time(&app).await;
    let text = |user: &User, subject: &str| {
        app.mails_to(&user.email).into_iter().find(|mail| mail.subject == subject).unwrap().text.unwrap()
    };
    let (hers, his) = (text(&alice, "Rappel de rendez-vous"), text(&dr, REMINDER));
    let there = start.with_timezone(&Martinique).format("%H:00 (America/Martinique)").to_string();
    assert!(hers.contains(&there), "{there}: {hers}");
    assert!(his.contains("09:00 (Europe/Paris)"), "{his}");
}

#[tokio::test]
async fn reminders_follow_a_move_and_stay_silent_about_what_is_not_so_any_more() {
    let (app, _, mut alice, mut dr) = scene().await;
    let (day, later) = (in_days(&app, 4), in_days(&app, 6));
    let moved = book_on(&alice, &dr, day).await;
    let cancelled = book_on(&alice, &dr, day).await;
    let begun = book_on(&alice, &dr, day).await;
    app.settle().await;
    go_to(&app, starts(&moved) - TimeDelta::hours(24), &mut alice, &mut dr).await;
    keep_time(&app).await;
    assert_eq!(reminders(&app, &alice), 1);
    // to another day: reminded again, of the new time
    let target = free(&alice, &dr, later).await.remove(3);
    dr.post(&path(&moved, "/reschedule"), json!({"startsAt": target})).await.expect(200);
    go_to(&app, starts(&moved) - minutes(60), &mut alice, &mut dr).await;
    // that of the second one is due, and is cancelled before the mail is made
    app.enqueue(&KeepTime {}).await;
    alice.post(&path(&cancelled, "/cancel"), json!({})).await.expect(200);
    app.settle().await;
    let so_far = reminders(&app, &alice);
    go_to(&app, starts(&begun) - minutes(9), &mut alice, &mut dr).await;
    dr.post(&path(&begun, "/start"), json!({})).await.expect(200);
    keep_time(&app).await;
    assert_eq!(reminders(&app, &alice), so_far, "nobody is reminded of what goes on");
    dr.post(&path(&begun, "/end"), json!({})).await.expect(200);
    go_to(&app, instant(&target) - TimeDelta::hours(24), &mut alice, &mut dr).await;
    keep_time(&app).await;
    assert_eq!(reminders(&app, &alice), so_far + 1);
    go_to(&app, instant(&target) - minutes(60), &mut alice, &mut dr).await;
    keep_time(&app).await;
    assert_eq!(reminders(&app, &alice), so_far + 2);
}

#[tokio::test]
async fn what_changes_between_the_queue_and_the_mail_is_not_told() {
    use huntzen::domain::consultations::events::{Reminder, ReminderDue};
    use huntzen::platform::ids::ConsultationId;

    let (app, company, mut alice, mut dr) = scene().await;
    let booked = book_on(&alice, &dr, in_days(&app, 4)).await;
    app.settle().await;
    let consultation_id: ConsultationId = booked.str("/id").parse::<uuid::Uuid>().unwrap().into();
    let due = |reminder, starts_at| ReminderDue { consultation_id, reminder, starts_at };
    let target = free(&alice, &dr, in_days(&app, 5)).await.remove(0);
    alice.post(&path(&booked, "/reschedule"), json!({"startsAt": target})).await.expect(200);
    app.enqueue_for(&due(Reminder::Day, starts(&booked)), Some(company.id), None).await;
    app.settle().await;
    assert_eq!(reminders(&app, &alice), 0, "of the time before");
    // who then meets by chat is reminded all the same
    dr.post(&path(&booked, "/reschedule"), json!({"startsAt": target, "mode": "chat"})).await.expect(200);
    app.enqueue_for(&due(Reminder::Day, instant(&target)), Some(company.id), None).await;
    app.settle().await;
    assert_eq!(reminders(&app, &alice), 1);
    go_to(&app, instant(&target) + minutes(1), &mut alice, &mut dr).await;
    app.enqueue_for(&due(Reminder::Hour, instant(&target)), Some(company.id), None).await;
    app.settle().await;
    assert_eq!(reminders(&app, &alice), 1, "of what should have begun");
}

#[tokio::test]
async fn who_books_when_a_reminder_would_be_due_needs_none() {
    let (app, _, mut alice, mut dr) = scene().await;
    confirms_by_hand(&dr).await;
    let open = free(&alice, &dr, in_days(&app, 4)).await;
    let nine = instant(&open[0]);
    // asked for days before, confirmed half a day before
    let asked = alice.post("/consultations", wish(&dr, &open[0])).await.expect(201);
    sqlx::query("UPDATE app.consultations SET expires_at = starts_at").execute(app.db()).await.unwrap();
    dr.patch(&format!("/practitioners/{}", dr.id), json!({"confirmsByHand": false})).await.expect(200);
    go_to(&app, nine - TimeDelta::hours(12), &mut alice, &mut dr).await;
    keep_time(&app).await;
    dr.post(&path(&asked, "/confirm"), json!({})).await.expect(200);
    // half a day before; half an hour before
    alice.post("/consultations", wish(&dr, &open[1])).await.expect(201);
    keep_time(&app).await;
    assert_eq!(reminders(&app, &alice), 0);
    go_to(&app, nine - minutes(60), &mut alice, &mut dr).await;
    keep_time(&app).await;
    assert_eq!(reminders(&app, &alice), 1);
    go_to(&app, nine - minutes(30), &mut alice, &mut dr).await;
    alice.post("/consultations", wish(&dr, &open[2])).await.expect(201);
    keep_time(&app).await;
    assert_eq!(reminders(&app, &alice), 2);
    go_to(&app, nine - minutes(1), &mut alice, &mut dr).await;
    keep_time(&app).await;
    assert_eq!(reminders(&app, &alice), 2, "the third was booked an hour before, and needs none");
}

#[tokio::test]
async fn an_hour_is_an_hour_on_the_day_on_which_the_clock_changes() {
    let (app, _, mut alice, mut dr) = scene().await;
    for sql in [
        "UPDATE app.companies SET contract_ends_on = contract_ends_on + 200",
        "UPDATE app.practitioners SET horizon_days = 365",
        "UPDATE app.company_settings SET booking_horizon_days = 365",
    ] {
        sqlx::query(sql).execute(app.db()).await.unwrap();
    }
    let midnight = |day: chrono::NaiveDate| Paris.from_local_datetime(&day.and_hms_opt(0, 0, 0).unwrap()).unwrap();
    let changes = |day: chrono::NaiveDate| (midnight(day + Days::new(1)) - midnight(day)).num_hours() != 24;
    let day = (2..300).map(|days| in_days(&app, days)).find(|day| changes(*day)).unwrap();
    let booked = book_on(&alice, &dr, day).await;
    let start = starts(&booked);
    go_to(&app, start - TimeDelta::hours(24) - minutes(1), &mut alice, &mut dr).await;
    keep_time(&app).await;
    assert_eq!(reminders(&app, &alice), 0);
    go_to(&app, start - TimeDelta::hours(24), &mut alice, &mut dr).await;
    keep_time(&app).await;
    assert_eq!(reminders(&app, &alice), 1);
    // the mail speaks of nine o'clock, as the clock on the wall does on that day
    let text = app.mails_to(&alice.email).pop().unwrap().text.unwrap();
    assert!(text.contains("09:00 (Europe/Paris)"), "{text}");
}

#[tokio::test]
async fn two_nodes_remind_once() {
    let (app, _, mut alice, mut dr) = scene().await;
    for _ in 0..4 {
        book_on(&alice, &dr, in_days(&app, 4)).await;
    }
    app.settle().await;
    let first = in_days(&app, 4).and_hms_opt(0, 0, 0).unwrap().and_utc();
    go_to(&app, first, &mut alice, &mut dr).await;
    let now = app.clock.now();
    // as many nodes at the same minute: each session is taken by one of them
    let take = || async {
        let mut conn = app.as_role(huntzen::platform::db::DbRole::Worker, dr.id).await;
        sqlx::query("SELECT app.take_due_reminders($1, 500)").bind(now).fetch_all(&mut conn).await.unwrap().len()
    };
    let (a, b, c) = tokio::join!(take(), take(), take());
    assert_eq!(a + b + c, 4, "{a} {b} {c}");
    keep_time(&app).await;
    assert_eq!(reminders(&app, &alice), 0, "they were taken");
}
