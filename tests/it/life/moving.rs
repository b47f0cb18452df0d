//! Moving a session to another time.

use reqwest::Method;

use super::*;

fn to(start: &str) -> Value {
    json!({"startsAt": start})
}

#[tokio::test]
async fn a_session_moves_in_place_also_to_a_time_that_overlaps_with_its_own() {
    let (app, _, alice, dr) = scene().await;
    let day = in_days(&app, 5);
    let open = free(&alice, &dr, day).await;
    let mut body = wish(&dr, &open[2]);
    body["durationMinutes"] = json!(60);
    let booked = alice.post("/consultations", body).await.expect(201);
    app.settle().await;
    assert_eq!(free(&alice, &dr, day).await.len(), 14);

    // an hour from 10:00 to one from 10:30
    let moved = alice.post(&path(&booked, "/reschedule"), to(&open[3])).await.expect(200);
    assert_eq!(moved.json["id"], booked.json["id"]);
    assert_eq!(moved.json["status"], "confirmed");
    assert_eq!(instant(&moved.str("/startsAt")), instant(&open[3]));
    assert_eq!(moved.json["durationMinutes"], 60);
    let now_free = free(&alice, &dr, day).await;
    assert_eq!(now_free.len(), 14);
    assert!(now_free.contains(&open[2]) && !now_free.contains(&open[4]));
    app.settle().await;
    for person in [&alice, &dr] {
        let mails = app.mails_to(&person.email);
        assert_eq!(mails.len(), 2, "{mails:?}");
        assert_eq!(mails[1].subject, "Appointment moved");
        let (before, after) = (mails[0].calendar(), mails[1].calendar());
        assert_eq!(after["method"], "REQUEST");
        assert_eq!(after["events"][0]["uid"], before["events"][0]["uid"]);
        assert_eq!(before["events"][0]["sequence"], 0);
        assert_eq!(after["events"][0]["sequence"], 1);
        assert_eq!(instant(after["events"][0]["startsAt"].as_str().unwrap()), instant(&open[3]));
        assert!(!mails[1].text.as_ref().unwrap().contains("without cost"), "the employee moved it");
    }
    // shorter, by another way, on another day
    let there = free(&alice, &dr, in_days(&app, 7)).await.remove(0);
    let change = json!({"startsAt": there, "durationMinutes": 30, "mode": "chat"});
    let again = dr.post(&path(&booked, "/reschedule"), change).await.expect(200);
    assert_eq!((&again.json["mode"], &again.json["durationMinutes"]), (&json!("chat"), &json!(30)));
    let items = alice.get(&path(&booked, "/events")).await.expect(200);
    assert_eq!(events(&alice, &booked).await, ["BOOKED employee", "RESCHEDULED employee", "RESCHEDULED practitioner"]);
    assert_eq!(instant(&items.str("/items/1/movedFrom")), instant(&open[2]));
    assert_eq!(instant(&items.str("/items/1/movedTo")), instant(&open[3]));
    app.settle().await;
    assert!(app.mails_to(&alice.email)[2].text.as_ref().unwrap().contains("without cost"));
    assert!(!app.mails_to(&dr.email)[2].text.as_ref().unwrap().contains("without cost"));
    assert_eq!(app.count("SELECT count(*) FROM app.consultations").await, 1);
    assert_eq!(app.count("SELECT count(*) FROM app.audit_logs WHERE action = 'consultation.rescheduled'").await, 2);
    // who waits for the practitioner hears of each time that became free
    let freed = "SELECT count(*) FROM apalis.jobs WHERE convert_from(job, 'UTF8')::jsonb ->> 'kind' = 'consultations.time_freed'";
    assert_eq!(app.count(freed).await, 2);
    alice.post(&path(&booked, "/cancel"), json!({})).await.expect(200);
    app.settle().await;
    assert_eq!(app.count(freed).await, 3);
    assert_eq!(app.mails_to(&alice.email)[3].calendar()["events"][0]["sequence"], 3);
}

#[tokio::test]
async fn buffers_of_ones_own_time_are_released_as_well_and_others_are_not() {
    let (app, company, alice, dr) = scene().await;
    sqlx::query("UPDATE app.practitioners SET buffer_before_minutes = 30, buffer_after_minutes = 30")
        .execute(app.db())
        .await
        .unwrap();
    let bob = app.employee(&company).await;
    let open = free(&alice, &dr, in_days(&app, 5)).await;
    let booked = alice.post("/consultations", wish(&dr, &open[2])).await.expect(201);
    bob.post("/consultations", wish(&dr, &open[6])).await.expect(201);
    // an hour later Bob's buffers are in the way; half an hour later its own are no obstacle
    let lost = alice.post(&path(&booked, "/reschedule"), to(&open[4])).await.refused(409, "slot_taken");
    assert_eq!(instant(&lost.str("/nearest/0/startsAt")), instant(&open[3]), "{}", lost.json);
    assert_eq!(starts(&alice.get(&path(&booked, "")).await), instant(&open[2]), "the old time is kept");
    alice.post(&path(&booked, "/reschedule"), to(&open[3])).await.expect(200);
    app.settle().await;
}

#[tokio::test]
async fn what_is_not_on_offer_is_refused_and_the_old_time_kept() {
    let (app, _, mut alice, mut dr) = scene().await;
    let open = free(&alice, &dr, in_days(&app, 5)).await;
    let booked = alice.post("/consultations", wish(&dr, &open[2])).await.expect(201);
    let other = alice.post("/consultations", wish(&app.practitioner().await, &open[8])).await.expect(201);
    let start = starts(&booked);
    let reschedule = path(&booked, "/reschedule");
    for (body, pointer, code) in [
        (json!({"startsAt": start}), "/startsAt", "unchanged"),
        (json!({"startsAt": start - TimeDelta::days(9)}), "/startsAt", "in_past"),
        (json!({"startsAt": start + TimeDelta::days(90)}), "/startsAt", "horizon"),
        (json!({"startsAt": "9999-01-01T00:00:00Z"}), "/startsAt", "horizon"),
        (json!({"startsAt": start + minutes(10)}), "/startsAt", "off_grid"),
        (json!({"startsAt": start + TimeDelta::hours(10)}), "/startsAt", "outside_hours"),
        (json!({"startsAt": start, "durationMinutes": 45}), "/durationMinutes", "length"),
    ] {
        for person in [&alice, &dr] {
            let refused = person.post(&reschedule, body.clone()).await.refused(422, "not_offered");
            assert_eq!(
                (refused.str("/errors/0/pointer").as_str(), refused.str("/errors/0/code").as_str()),
                (pointer, code)
            );
        }
    }
    for body in [json!({}), json!({"startsAt": "soon"}), json!({"startsAt": start, "mode": "telepathy"}), json!([])] {
        alice.post(&reschedule, body).await.refused(422, "invalid");
    }
    // a person is in one place at a time; a practitioner does not learn of the other session
    alice.post(&reschedule, to(&open[8])).await.refused(409, "already_booked_then");
    let refused = dr.post(&reschedule, to(&open[8])).await.refused(409, "slot_taken");
    let nearest: Vec<_> = refused.json["nearest"].as_array().unwrap().iter().map(|it| &it["startsAt"]).collect();
    assert_eq!(nearest.len(), 5);
    for at in nearest {
        assert_ne!(instant(at.as_str().unwrap()), instant(&open[8]), "{}", refused.json);
    }
    let stranger = app.practitioner().await;
    for (person, seen) in [(&dr, 1), (&stranger, 0), (&alice, 0)] {
        let mut conn = app.as_role(huntzen::platform::db::DbRole::Practitioner, person.id).await;
        let found = sqlx::query("SELECT FROM app.times_of_client($1::uuid, $2, $3)")
            .bind(booked.str("/id"))
            .bind(start - TimeDelta::days(7))
            .bind(start + TimeDelta::days(7))
            .fetch_all(&mut conn)
            .await
            .unwrap();
        assert_eq!(found.len(), seen);
    }
    stranger.post(&reschedule, to(&open[5])).await.refused(404, "not_found");
    app.platform_admin().await.post(&reschedule, to(&open[5])).await.refused(403, "forbidden");
    assert_eq!(starts(&alice.get(&path(&booked, "")).await), start);
    assert_eq!(events(&alice, &booked).await, ["BOOKED employee"]);

    alice.post(&path(&other, "/cancel"), json!({})).await.expect(200);
    alice.post(&path(&other, "/reschedule"), to(&open[9])).await.refused(409, "illegal_transition");
    // ten times, and no more
    for nth in 0..10 {
        dr.post(&reschedule, to(&open[if nth % 2 == 0 { 4 } else { 2 }])).await.expect(200);
    }
    dr.post(&reschedule, to(&open[4])).await.refused(409, "rescheduled_too_often");
    go_to(&app, start, &mut alice, &mut dr).await;
    dr.post(&reschedule, to(&open[6])).await.refused(409, "too_late_to_reschedule");
    app.settle().await;
}

#[tokio::test]
async fn an_employee_moves_until_the_window_and_whom_the_practitioner_moved_until_the_start() {
    let (app, _, mut alice, mut dr) = scene().await;
    let open = free(&alice, &dr, in_days(&app, 5)).await;
    let booked = alice.post("/consultations", wish(&dr, &open[2])).await.expect(201);
    let late = alice.post("/consultations", wish(&dr, &open[8])).await.expect(201);
    let reschedule = path(&booked, "/reschedule");
    go_to(&app, starts(&booked) - TimeDelta::hours(24) - minutes(1), &mut alice, &mut dr).await;
    alice.post(&reschedule, to(&open[3])).await.expect(200);
    go_to(&app, instant(&open[3]) - TimeDelta::hours(23), &mut alice, &mut dr).await;
    alice.post(&reschedule, to(&open[4])).await.refused(409, "too_late_to_reschedule");
    // the practitioner still may; then the employee may as well, or give it back without cost
    dr.post(&reschedule, to(&open[4])).await.expect(200);
    alice.post(&reschedule, to(&open[5])).await.expect(200);
    alice.post(&reschedule, to(&open[6])).await.refused(409, "too_late_to_reschedule");
    dr.post(&reschedule, to(&open[6])).await.expect(200);
    assert_eq!(used(&alice).await, 2);
    go_to(&app, instant(&open[6]) - minutes(5), &mut alice, &mut dr).await;
    alice.post(&path(&booked, "/cancel"), json!({})).await.expect(200);
    assert_eq!(used(&alice).await, 1);
    // what nobody moved costs
    alice.post(&path(&late, "/cancel"), json!({})).await.expect(200);
    assert_eq!(used(&alice).await, 1);
    app.settle().await;
}

#[tokio::test]
async fn a_request_is_moved_and_waits_anew() {
    let (app, _, mut alice, mut dr) = scene().await;
    confirms_by_hand(&dr).await;
    let open = free(&alice, &dr, in_days(&app, 5)).await;
    let booked = alice.post("/consultations", wish(&dr, &open[2])).await.expect(201);
    let now = app.clock.now();
    go_to(&app, now + TimeDelta::hours(20), &mut alice, &mut dr).await;
    let moved = alice.post(&path(&booked, "/reschedule"), to(&open[3])).await.expect(200);
    assert_eq!(moved.json["status"], "pending");
    assert!(instant(&moved.str("/expiresAt")) > instant(&booked.str("/expiresAt")) + TimeDelta::hours(19));
    app.settle().await;
    // the request has not been told before it was moved: both mails speak of the new time, without a calendar, and go out
    // beside each other
    let mut told = subjects(&app, &dr);
    told.sort();
    assert_eq!(told, ["Appointment moved", "Appointment to confirm"]);
    let moved = app.mails_to(&dr.email).into_iter().find(|mail| mail.subject == "Appointment moved").unwrap();
    assert!(moved.text.unwrap().contains("still waits"));
    assert!(app.mails().iter().all(|mail| mail.attachments.is_empty()));
    dr.post(&path(&booked, "/confirm"), json!({})).await.expect(200);
    app.settle().await;
    let calendar = app.mails_to(&alice.email).remove(2).calendar();
    assert_eq!(calendar["events"][0]["sequence"], 1);
    assert_eq!(instant(calendar["events"][0]["startsAt"].as_str().unwrap()), instant(&open[3]));
}

#[tokio::test]
async fn moving_is_repeated_safely_and_not_from_an_old_version() {
    let (app, _, alice, dr) = scene().await;
    let open = free(&alice, &dr, in_days(&app, 5)).await;
    let booked = alice.post("/consultations", wish(&dr, &open[2])).await.expect(201);
    let reschedule = path(&booked, "/reschedule");
    let etag = alice.get(&path(&booked, "")).await.expect(200).header("etag").to_owned();
    let send = |start: &str, key: &str, etag: &str| {
        let request = alice.request(Method::POST, &reschedule).header("idempotency-key", key).header("if-match", etag);
        Answer::of(request.json(&to(start)))
    };
    let first = send(&open[3], "k-1", &etag).await.expect(200);
    assert_eq!(send(&open[3], "k-1", &etag).await.expect(200).json, first.json);
    send(&open[4], "k-1", &etag).await.refused(422, "idempotency_mismatch");
    send(&open[4], "k-2", &etag).await.refused(412, "stale");
    let etag = alice.get(&path(&booked, "")).await.expect(200).header("etag").to_owned();
    send(&open[4], "k-2", &etag).await.expect(200);
    assert_eq!(events(&alice, &booked).await.len(), 3);
    app.settle().await;
}

#[tokio::test]
async fn a_session_moves_into_a_year_of_the_contract_that_has_sessions_left() {
    let (app, _, alice, dr) = scene().await;
    // the contract's year ends in ten days, the contract a year later
    for sql in [
        "UPDATE app.companies SET sessions_per_employee = 1, contract_starts_on = current_date + 10 - interval '1 year',
                                  contract_ends_on = current_date + 20",
    ] {
        sqlx::query(sql).execute(app.db()).await.unwrap();
    }
    let (near, far) = (in_days(&app, 5), in_days(&app, 15));
    let one = book_on(&alice, &dr, near).await;
    let two = book_on(&alice, &dr, far).await;
    let (here, there) = (free(&alice, &dr, near).await, free(&alice, &dr, far).await);
    // each year has one: a session moves within its year, not into the other
    alice.post(&path(&one, "/reschedule"), to(&there[3])).await.refused(409, "quota_exhausted");
    dr.post(&path(&one, "/reschedule"), to(&there[3])).await.refused(409, "employee_not_covered");
    alice.post(&path(&one, "/reschedule"), to(&here[3])).await.expect(200);
    alice.post(&path(&two, "/cancel"), json!({})).await.expect(200);
    alice.post(&path(&one, "/reschedule"), to(&there[3])).await.expect(200);
    assert_eq!(used(&alice).await, 0);
    // nobody moves beyond the contract, whoever asks
    let beyond = free(&dr, &dr, in_days(&app, 25)).await.remove(0);
    alice.post(&path(&one, "/reschedule"), to(&beyond)).await.refused(403, "contract_ended");
    dr.post(&path(&one, "/reschedule"), to(&beyond)).await.refused(409, "employee_not_covered");
    app.settle().await;
}

#[tokio::test]
async fn a_session_moves_within_its_year_though_the_contract_grants_fewer_by_now() {
    let (app, _, alice, dr) = scene().await;
    let open = free(&alice, &dr, in_days(&app, 5)).await;
    let booked = alice.post("/consultations", wish(&dr, &open[0])).await.expect(201);
    alice.post("/consultations", wish(&dr, &open[1])).await.expect(201);
    sqlx::query("UPDATE app.companies SET sessions_per_employee = 1").execute(app.db()).await.unwrap();
    for (person, nth) in [(&alice, 4), (&dr, 6)] {
        person.post(&path(&booked, "/reschedule"), to(&open[nth])).await.expect(200);
    }
    alice.post("/consultations", wish(&dr, &open[8])).await.refused(409, "quota_exhausted");
    app.settle().await;
}

#[tokio::test]
async fn a_practitioner_who_is_not_active_any_more_keeps_their_sessions_where_they_are() {
    let (app, _, alice, dr) = scene().await;
    let open = free(&alice, &dr, in_days(&app, 5)).await;
    let booked = alice.post("/consultations", wish(&dr, &open[0])).await.expect(201);
    let admin = app.platform_admin().await;
    admin.post(&format!("/practitioners/{}/deactivate", dr.id), json!({})).await.expect(200);
    dr.post(&path(&booked, "/reschedule"), to(&open[4])).await.refused(409, "practitioner_inactive");
    alice.post(&path(&booked, "/reschedule"), to(&open[4])).await.refused(422, "not_offered");
    assert_eq!(starts(&dr.get(&path(&booked, "")).await), instant(&open[0]));
    dr.post(&path(&booked, "/cancel"), json!({})).await.expect(200);
    app.settle().await;
}

#[tokio::test]
async fn a_mail_about_a_move_tells_the_time_before_and_another_change_frees_nothing() {
    let (app, _, alice, dr) = scene().await;
    let open = free(&alice, &dr, in_days(&app, 5)).await;
    let booked = alice.post("/consultations", wish(&dr, &open[0])).await.expect(201);
    app.settle().await;
    let freed = "SELECT count(*) FROM apalis.jobs WHERE convert_from(job, 'UTF8')::jsonb ->> 'kind' = 'consultations.time_freed'";
    let reschedule = path(&booked, "/reschedule");
    let longer = json!({"startsAt": open[0], "durationMinutes": 60, "mode": "chat"});
    alice.post(&reschedule, longer).await.expect(200);
    app.settle().await;
    assert_eq!(app.count(freed).await, 0);
    for person in [&alice, &dr] {
        let mail = app.mails_to(&person.email).pop().unwrap();
        assert_eq!(mail.subject, "Appointment changed");
        assert!(!mail.text.unwrap().contains("Before:"));
    }
    // shorter, an hour later
    alice.post(&reschedule, json!({"startsAt": open[2], "durationMinutes": 30})).await.expect(200);
    app.settle().await;
    assert_eq!(app.count(freed).await, 1);
    for person in [&alice, &dr] {
        let mail = app.mails_to(&person.email).pop().unwrap();
        assert_eq!(mail.subject, "Appointment moved");
        let text = mail.text.unwrap();
        let lines: Vec<_> = text.lines().filter(|line| line.contains("Europe/Paris")).collect();
        assert!(lines[0].starts_with("- Before: ") && lines[0].contains("09:00"), "{text}");
        assert!(lines[1].starts_with("- Date: ") && lines[1].contains("10:00"), "{text}");
    }
}
