//! What is said of a session, what the server saw of it, and what it costs.

use reqwest::Method;

use super::*;

/// What is noted of a consultation: state, who missed it, whether it counts, whether somebody has to look at it.
async fn noted(app: &TestApp, booked: &Answer) -> (String, Option<String>, bool, bool) {
    sqlx::query_as("SELECT status, missed_by, counts, times_differ FROM app.consultations WHERE id = $1::uuid")
        .bind(booked.str("/id"))
        .fetch_one(app.db())
        .await
        .unwrap()
}

fn note(status: &str, by: Option<&str>, counts: bool, differ: bool) -> (String, Option<String>, bool, bool) {
    (status.to_owned(), by.map(str::to_owned), counts, differ)
}

async fn send(person: &User, path: &str) -> Answer {
    person.post(path, json!({})).await
}

#[tokio::test]
async fn who_joined_before_a_session_was_moved_was_not_seen_at_its_new_time() {
    let (app, _, mut alice, mut dr) = scene().await;
    // the practitioner joins and moves it; then the employee says that they did not come, or the schedule decides
    for (joins, expected) in [
        ("practitioner", note("no_show", Some("practitioner"), false, true)),
        ("employee", note("no_show", Some("employee"), true, true)),
    ] {
        let day = in_days(&app, 3);
        let open = free(&alice, &dr, day).await;
        let said = alice.post("/consultations", wish(&dr, &open[0])).await.expect(201);
        let unsaid = alice.post("/consultations", wish(&dr, &open[4])).await.expect(201);
        by_chat(&app).await;
        for (booked, target) in [(&said, &open[2]), (&unsaid, &open[6])] {
            go_to(&app, starts(booked) - minutes(7), &mut alice, &mut dr).await;
            let person = if joins == "employee" { &alice } else { &dr };
            send(person, &path(booked, "/join")).await.expect(200);
            go_to(&app, starts(booked) - minutes(4), &mut alice, &mut dr).await;
            dr.post(&path(booked, "/reschedule"), json!({"startsAt": target})).await.expect(200);
        }
        go_to(&app, instant(&open[6]) + minutes(15), &mut alice, &mut dr).await;
        let person = if joins == "employee" { &dr } else { &alice };
        send(person, &path(&said, "/no-show")).await.expect(200);
        assert_eq!(noted(&app, &said).await, expected, "{joins} joined before");
        go_to(&app, instant(&open[7]) + TimeDelta::hours(24), &mut alice, &mut dr).await;
        keep_time(&app).await;
        assert_eq!(noted(&app, &unsaid).await, note("no_show", Some("unknown"), false, false));
    }
}

#[tokio::test]
async fn who_waits_for_a_practitioner_says_so_also_of_a_session_that_was_begun() {
    let (app, _, mut alice, mut dr) = scene().await;
    let day = in_days(&app, 3);
    let mut booked = Vec::new();
    for _ in 0..2 {
        booked.push(book_on(&alice, &dr, day).await);
    }
    by_chat(&app).await;
    go_to(&app, starts(&booked[0]), &mut alice, &mut dr).await;
    send(&alice, &path(&booked[0], "/join")).await.expect(200);
    send(&dr, &path(&booked[0], "/start")).await.expect(200);
    let no_show = path(&booked[0], "/no-show");
    send(&alice, &no_show).await.refused(409, "no_show_too_early");
    // who has begun does not say that the other, whom the server saw, did not come
    go_to(&app, starts(&booked[0]) + minutes(10), &mut alice, &mut dr).await;
    send(&dr, &no_show).await.refused(409, "employee_was_there");
    send(&alice, &no_show).await.expect(200);
    assert_eq!(noted(&app, &booked[0]).await, note("no_show", Some("practitioner"), false, true));
    send(&dr, &path(&booked[0], "/end")).await.refused(409, "illegal_transition");
    // ended before anybody could say so, it costs the employee nothing, and somebody looks at it
    go_to(&app, starts(&booked[1]), &mut alice, &mut dr).await;
    send(&alice, &path(&booked[1], "/join")).await.expect(200);
    send(&dr, &path(&booked[1], "/start")).await.expect(200);
    go_to(&app, starts(&booked[1]) + minutes(8), &mut alice, &mut dr).await;
    send(&dr, &path(&booked[1], "/end")).await.expect(200);
    assert_eq!(noted(&app, &booked[1]).await, note("completed", None, false, true));
    assert_eq!(used(&alice).await, 0);
    app.settle().await;
}

#[tokio::test]
async fn who_began_while_waiting_says_that_the_employee_did_not_come() {
    let (app, _, mut alice, mut dr) = scene().await;
    let booked = book_on(&alice, &dr, in_days(&app, 3)).await;
    by_chat(&app).await;
    go_to(&app, starts(&booked), &mut alice, &mut dr).await;
    send(&dr, &path(&booked, "/join")).await.expect(200);
    send(&dr, &path(&booked, "/start")).await.expect(200);
    go_to(&app, starts(&booked) + minutes(15), &mut alice, &mut dr).await;
    send(&dr, &path(&booked, "/no-show")).await.expect(200);
    assert_eq!(noted(&app, &booked).await, note("no_show", Some("employee"), true, true));
    assert_eq!(events(&dr, &booked).await.last().unwrap(), "NO_SHOW practitioner");
    app.settle().await;
}

#[tokio::test]
async fn a_session_that_somebody_is_said_to_have_missed_costs_only_who_was_not_seen_and_both_are_told() {
    let (app, _, mut alice, mut dr) = scene().await;
    sqlx::query("UPDATE app.users SET locale = 'fr' WHERE id = $1").bind(alice.id).execute(app.db()).await.unwrap();
    let day = in_days(&app, 3);
    let mut booked = Vec::new();
    for _ in 0..3 {
        booked.push(book_on(&alice, &dr, day).await);
    }
    by_chat(&app).await;
    app.settle().await;
    // seen and accused; not seen, and accused by somebody who was; and by somebody who was not
    for (nth, alice_joins, dr_joins, expected) in [
        (0, true, true, note("no_show", Some("employee"), false, true)),
        (1, false, true, note("no_show", Some("employee"), true, false)),
        (2, false, false, note("no_show", Some("employee"), true, true)),
    ] {
        go_to(&app, starts(&booked[nth]), &mut alice, &mut dr).await;
        for (person, joins) in [(&alice, alice_joins), (&dr, dr_joins)] {
            if joins {
                send(person, &path(&booked[nth], "/join")).await.expect(200);
            }
        }
        go_to(&app, starts(&booked[nth]) + minutes(10), &mut alice, &mut dr).await;
        send(&dr, &path(&booked[nth], "/no-show")).await.expect(200);
        assert_eq!(noted(&app, &booked[nth]).await, expected, "{nth}");
        app.settle().await;
        let hers = app.mails_to(&alice.email).pop().unwrap();
        assert_eq!(hers.subject, "Rendez-vous non tenu");
        assert!(hers.attachments.is_empty());
        let hers = hers.text.unwrap();
        assert_eq!(hers.contains("Il est décompté"), expected.2, "{hers}");
        assert_eq!(hers.contains("n’est pas décompté"), !expected.2, "{hers}");
        let his = app.mails_to(&dr.email).pop().unwrap();
        assert_eq!(his.subject, "Appointment not held");
        let his = his.text.unwrap();
        assert!(his.contains("not held") && !his.contains("count"), "what is used is the employee's: {his}");
    }
    assert_eq!(used(&alice).await, 2);
    // the schedule tells as well
    let last = book_on(&alice, &dr, in_days(&app, 3)).await;
    go_to(&app, instant(&last.str("/endsAt")) + TimeDelta::hours(24), &mut alice, &mut dr).await;
    keep_time(&app).await;
    assert_eq!(subjects(&app, &alice).iter().filter(|it| *it == "Rendez-vous non tenu").count(), 4);
    assert_eq!(used(&alice).await, 2);
}

#[tokio::test]
async fn a_session_that_both_came_to_was_held_though_nobody_said_so() {
    let (app, _, mut alice, mut dr) = scene().await;
    let booked = book_on(&alice, &dr, in_days(&app, 3)).await;
    by_chat(&app).await;
    let (start, end) = (starts(&booked), instant(&booked.str("/endsAt")));
    go_to(&app, start - minutes(5), &mut alice, &mut dr).await;
    send(&dr, &path(&booked, "/join")).await.expect(200);
    go_to(&app, start + minutes(4), &mut alice, &mut dr).await;
    send(&alice, &path(&booked, "/join")).await.expect(200);
    go_to(&app, end + TimeDelta::hours(24), &mut alice, &mut dr).await;
    keep_time(&app).await;
    let it = dr.get(&path(&booked, "")).await.expect(200);
    assert_eq!((&it.json["status"], &it.json["timesDiffer"]), (&json!("completed"), &json!(true)));
    assert_eq!(instant(&it.str("/endedAt")), end);
    for minutes in ["actualMinutes", "seenMinutes"] {
        assert!((25..=26).contains(&it.json[minutes].as_i64().unwrap()), "{minutes}: {}", it.json);
    }
    let told = events(&alice, &booked).await;
    assert_eq!(told[3..], ["STARTED auto", "ENDED auto"].map(str::to_owned), "{told:?}");
    assert_eq!(used(&alice).await, 1);
    assert_eq!(app.count("SELECT count(*) FROM app.audit_logs WHERE action = 'consultation.ended'").await, 1);
}

#[tokio::test]
async fn long_after_its_time_a_session_is_ended_when_it_was_to_end() {
    let (app, _, mut alice, mut dr) = scene().await;
    let booked = book_on(&alice, &dr, in_days(&app, 3)).await;
    let (start, end) = (starts(&booked), instant(&booked.str("/endsAt")));
    go_to(&app, start, &mut alice, &mut dr).await;
    send(&dr, &path(&booked, "/start")).await.expect(200);
    go_to(&app, end + TimeDelta::hours(3), &mut alice, &mut dr).await;
    let it = send(&dr, &path(&booked, "/end")).await.expect(200);
    assert_eq!(instant(&it.str("/endedAt")), end);
    assert!((30..=31).contains(&it.json["actualMinutes"].as_i64().unwrap()), "{}", it.json);
    // whatever the program says
    let next = book_on(&alice, &dr, in_days(&app, 3)).await;
    go_to(&app, starts(&next), &mut alice, &mut dr).await;
    send(&dr, &path(&next, "/start")).await.expect(200);
    let late = "INSERT INTO app.consultation_events (company_id, consultation_id, kind, at, actor_role)
                SELECT company_id, id, 'ENDED', ends_at + interval '31 minutes', 'practitioner' FROM app.consultations
                WHERE status = 'in_progress'";
    let refused = sqlx::query(late).execute(app.db()).await.unwrap_err();
    assert_eq!(refused.as_database_error().unwrap().constraint(), Some("consultations_ended_in_time"));
    app.settle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_is_taken_on_the_session_that_was_read_or_not_at_all() {
    let (app, _, mut alice, mut dr) = scene().await;
    let by_hand = app.practitioner().await;
    confirms_by_hand(&by_hand).await;
    let open = free(&alice, &dr, in_days(&app, 3)).await;
    let pending = alice.post("/consultations", wish(&by_hand, &open[8])).await.expect(201);
    let booked = alice.post("/consultations", wish(&dr, &open[0])).await.expect(201);
    // another time is on its way into the row while somebody confirms, cancels or starts what they see
    for (it, what) in [(&pending, "/confirm"), (&booked, "/start"), (&booked, "/cancel")] {
        if what == "/start" {
            go_to(&app, starts(it) - minutes(5), &mut alice, &mut dr).await;
        }
        let person = match what {
            "/confirm" => &by_hand,
            "/start" => &dr,
            _ => &alice,
        };
        let mut other = app.db().begin().await.unwrap();
        sqlx::query(
            "UPDATE app.consultations SET starts_at = starts_at + interval '1 hour', ends_at = ends_at + interval '1 hour',
                    busy_from = busy_from + interval '1 hour', busy_until = busy_until + interval '1 hour' WHERE id = $1::uuid",
        )
        .bind(it.str("/id"))
        .execute(&mut *other)
        .await
        .unwrap();
        let there = path(it, what);
        let (answer, ()) = tokio::join!(send(person, &there), async {
            app.until_one_waits().await;
            other.commit().await.unwrap();
        });
        answer.refused(412, "stale");
        let after = alice.get(&path(it, "")).await.expect(200);
        assert_eq!(after.json["status"], it.json["status"], "{what}");
    }
    app.settle().await;
}

#[tokio::test]
async fn a_step_is_repeated_safely_and_not_taken_on_an_old_version() {
    let (app, _, mut alice, mut dr) = scene().await;
    confirms_by_hand(&dr).await;
    let open = free(&alice, &dr, in_days(&app, 5)).await;
    let booked = alice.post("/consultations", wish(&dr, &open[0])).await.expect(201);
    let old = dr.get(&path(&booked, "")).await.expect(200).header("etag").to_owned();
    alice.post(&path(&booked, "/reschedule"), json!({"startsAt": open[4]})).await.expect(200);
    let ask = async |person: &User, what: &str, key: &str, etag: Option<&str>, body: Value| {
        let mut request = person.request(Method::POST, &path(&booked, what)).header("idempotency-key", key);
        if let Some(etag) = etag {
            request = request.header("if-match", etag);
        }
        Answer::of(request.json(&body)).await
    };
    for (person, what) in
        [(&dr, "/confirm"), (&dr, "/cancel"), (&alice, "/cancel"), (&dr, "/no-show"), (&alice, "/no-show")]
    {
        ask(person, what, "old", Some(&old), json!({})).await.refused(412, "stale");
    }
    let current = dr.get(&path(&booked, "")).await.expect(200).header("etag").to_owned();
    // an answer that was lost is given again, though the version is not the one that it was asked for
    let first = ask(&dr, "/confirm", "k-1", Some(&current), json!({})).await.expect(200);
    assert_eq!(ask(&dr, "/confirm", "k-1", Some(&current), json!({})).await.expect(200).json, first.json);
    ask(&dr, "/confirm", "k-2", None, json!({})).await.refused(409, "illegal_transition");
    let because = json!({"reason": "canary"});
    let first = ask(&alice, "/cancel", "k-3", None, because.clone()).await.expect(200);
    assert_eq!(ask(&alice, "/cancel", "k-3", None, because).await.expect(200).json, first.json);
    ask(&alice, "/cancel", "k-3", None, json!({})).await.refused(422, "idempotency_mismatch");
    assert_eq!(events(&alice, &booked).await.len(), 4);
    let missed = book_on(&alice, &dr, in_days(&app, 6)).await;
    send(&dr, &path(&missed, "/confirm")).await.expect(200);
    go_to(&app, starts(&missed) + minutes(20), &mut alice, &mut dr).await;
    let ask = async || {
        let request = alice.request(Method::POST, &path(&missed, "/no-show")).header("idempotency-key", "k-4");
        Answer::of(request.json(&json!({}))).await.expect(200).json
    };
    assert_eq!(ask().await, ask().await);
    app.settle().await;
}
