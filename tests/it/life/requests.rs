//! Practitioners who confirm by hand, and what people write.

use super::*;

#[tokio::test]
async fn a_request_waits_for_the_practitioner_and_becomes_an_appointment() {
    let (app, _, alice, dr) = scene().await;
    confirms_by_hand(&dr).await;
    let day = in_days(&app, 5);
    let booked = book_on(&alice, &dr, day).await;
    assert_eq!(booked.json["status"], "pending");
    let waits = instant(&booked.str("/expiresAt")) - app.clock.now();
    assert!(waits > TimeDelta::hours(23) && waits <= TimeDelta::hours(24), "{waits}");
    assert_eq!(free(&alice, &dr, day).await.len(), 15, "the time is held");
    assert_eq!(used(&alice).await, 1);
    app.settle().await;
    assert_eq!(subjects(&app, &alice), ["Appointment requested"]);
    assert_eq!(subjects(&app, &dr), ["Appointment to confirm"]);
    // calendars hear of it when it is agreed
    assert!(app.mails().iter().all(|mail| mail.attachments.is_empty()));
    let file = path(&booked, "/calendar.ics");
    for person in [&alice, &dr] {
        person.get(&file).await.refused(409, "illegal_transition");
    }

    let confirm = path(&booked, "/confirm");
    alice.post(&confirm, json!({})).await.refused(403, "forbidden");
    app.practitioner().await.post(&confirm, json!({})).await.refused(404, "not_found");
    dr.post(&path(&booked, "/start"), json!({})).await.refused(409, "illegal_transition");
    let (one, two) = tokio::join!(dr.post(&confirm, json!({})), dr.post(&confirm, json!({})));
    let mut statuses = [one.status.as_u16(), two.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409]);
    let after = alice.get(&path(&booked, "")).await.expect(200);
    assert_eq!(after.json["status"], "confirmed");
    assert!(after.json.get("expiresAt").is_none());
    assert_eq!(events(&alice, &booked).await, ["BOOKED employee", "CONFIRMED practitioner"]);
    app.settle().await;
    for person in [&alice, &dr] {
        let mails = app.mails_to(&person.email);
        assert_eq!(mails.len(), 2);
        assert_eq!(mails[1].subject, "Appointment confirmed");
        assert_eq!(mails[1].calendar()["events"][0]["status"], "CONFIRMED");
    }
    assert!(alice.get(&file).await.expect(200).text().contains("STATUS:CONFIRMED\r\n"));
    assert_eq!(app.count("SELECT count(*) FROM app.audit_logs WHERE action = 'consultation.confirmed'").await, 1);
    // the others' bookings do not wait
    let other = app.practitioner().await;
    assert_eq!(book_on(&alice, &other, in_days(&app, 6)).await.json["status"], "confirmed");
    app.settle().await;
}

#[tokio::test]
async fn a_request_that_nobody_confirms_lapses_and_both_are_told_in_their_languages() {
    let (app, _, mut alice, mut dr) = scene().await;
    confirms_by_hand(&dr).await;
    sqlx::query("UPDATE app.users SET locale = 'fr' WHERE id = $1").bind(alice.id).execute(app.db()).await.unwrap();
    let day = in_days(&app, 5);
    let booked = book_on(&alice, &dr, day).await;
    app.settle().await;
    let end = instant(&booked.str("/expiresAt"));
    go_to(&app, end - minutes(1), &mut alice, &mut dr).await;
    keep_time(&app).await;
    assert_eq!(alice.get(&path(&booked, "")).await.json["status"], "pending");

    go_to(&app, end + minutes(1), &mut alice, &mut dr).await;
    // also before the schedule has seen it
    dr.post(&path(&booked, "/confirm"), json!({})).await.refused(409, "request_expired");
    let elsewhere = json!({"startsAt": starts(&booked) + minutes(60)});
    alice.post(&path(&booked, "/reschedule"), elsewhere).await.refused(409, "request_expired");
    keep_time(&app).await;
    keep_time(&app).await;
    let after = alice.get(&path(&booked, "")).await.expect(200);
    assert_eq!(after.json["status"], "cancelled");
    assert_eq!(after.json["cancelledBy"], "auto");
    assert_eq!(events(&dr, &booked).await, ["BOOKED employee", "EXPIRED auto"]);
    assert_eq!(free(&alice, &dr, day).await.len(), 16);
    assert_eq!(used(&alice).await, 0);
    assert_eq!(subjects(&app, &alice), ["Demande de rendez-vous", "Rendez-vous non confirmé"]);
    assert_eq!(subjects(&app, &dr), ["Appointment to confirm", "Appointment not confirmed"]);
    assert!(app.mails().iter().all(|mail| mail.attachments.is_empty()), "no calendar ever knew of it");
    assert_eq!(app.count("SELECT count(*) FROM app.audit_logs WHERE action = 'consultation.expired'").await, 1);
    dr.post(&path(&booked, "/confirm"), json!({})).await.refused(409, "illegal_transition");
}

#[tokio::test]
async fn a_request_counts_until_it_is_given_back_and_then_never() {
    let (app, company, mut alice, mut dr) = scene().await;
    confirms_by_hand(&dr).await;
    sqlx::query("UPDATE app.companies SET sessions_per_employee = 1").execute(app.db()).await.unwrap();
    let booked = book_on(&alice, &dr, in_days(&app, 2)).await;
    let other = free(&alice, &dr, in_days(&app, 4)).await.remove(0);
    alice.post("/consultations", wish(&dr, &other)).await.refused(409, "quota_exhausted");
    // within the cancellation window, which is about what was agreed
    sqlx::query("UPDATE app.company_settings SET cancellation_window_hours = 336 WHERE company_id = $1")
        .bind(company.id)
        .execute(app.db())
        .await
        .unwrap();
    let now = app.clock.now();
    go_to(&app, now + minutes(30), &mut alice, &mut dr).await;
    alice.post(&path(&booked, "/cancel"), json!({})).await.expect(200);
    assert_eq!(used(&alice).await, 0);
    alice.post("/consultations", wish(&dr, &other)).await.expect(201);
    app.settle().await;
}

#[tokio::test]
async fn what_people_write_is_sealed_and_for_the_two_alone() {
    let (app, company, alice, dr) = scene().await;
    let start = free(&alice, &dr, in_days(&app, 3)).await.remove(0);
    let mut body = wish(&dr, &start);
    body["reason"] = json!("  canary-booking: I cannot sleep  ");
    let booked = alice.post("/consultations", body).await.expect(201);
    assert!(booked.json.get("reason").is_none(), "an answer that is kept for repetitions holds none");
    let cancel = json!({"reason": "canary-cancelling: a fever"});
    let cancelled = alice.post(&path(&booked, "/cancel"), cancel).await.expect(200);
    assert!(cancelled.json.get("cancelReason").is_none());
    app.settle().await;
    for person in [&alice, &dr] {
        let seen = person.get(&path(&booked, "")).await.expect(200);
        assert_eq!(seen.json["reason"], "canary-booking: I cannot sleep");
        assert_eq!(seen.json["cancelReason"], "canary-cancelling: a fever");
        assert!(!person.get("/consultations").await.expect(200).text().contains("canary"));
        assert!(!person.get(&path(&booked, "/events")).await.expect(200).text().contains("canary"));
    }
    let admin = app.platform_admin().await;
    assert!(!admin.get(&path(&booked, "")).await.expect(200).text().contains("canary"));
    app.employee(&company).await.get(&path(&booked, "")).await.refused(404, "not_found");
    assert!(!format!("{:?}", app.mails()).contains("canary"));
    // nowhere in the database in the clear
    for sql in [
        "SELECT count(*) FROM app.consultation_reasons WHERE position('canary' IN encode(sealed, 'escape')) > 0",
        "SELECT count(*) FROM app.consultation_events t WHERE t::text LIKE '%canary%'",
        "SELECT count(*) FROM app.audit_logs t WHERE t::text LIKE '%canary%'",
        "SELECT count(*) FROM app.idempotency_keys t WHERE t::text LIKE '%canary%'",
        "SELECT count(*) FROM apalis.jobs t WHERE convert_from(t.job, 'UTF8') LIKE '%canary%'",
        "SELECT count(*) FROM app.consultations t WHERE t::text LIKE '%canary%'",
    ] {
        assert_eq!(app.count(sql).await, 0, "{sql}");
    }
    assert_eq!(app.count("SELECT count(*) FROM app.consultation_reasons").await, 2);
    // swapped in the database, they do not open, and the session is shown without them
    sqlx::query("ALTER TABLE app.consultation_reasons DISABLE TRIGGER USER").execute(app.db()).await.unwrap();
    let swap = "UPDATE app.consultation_reasons a SET sealed = b.sealed FROM app.consultation_reasons b WHERE a.about <> b.about";
    sqlx::query(swap).execute(app.db()).await.unwrap();
    let bare = alice.get(&path(&booked, "")).await.expect(200).json;
    assert!(bare.get("reason").is_none() && bare.get("cancelReason").is_none(), "{bare}");
    for bad in [json!({"reason": 1}), json!({"reason": "x".repeat(2001)}), json!({"because": "x"}), json!([])] {
        alice.post(&path(&booked, "/cancel"), bad).await.refused(422, "invalid");
    }
}
