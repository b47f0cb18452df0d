//! Sessions that do not take place, that nobody ends, and what the server saw of them.

use super::*;

async fn missed(app: &TestApp, booked: &Answer) -> (String, Option<String>, bool, bool) {
    sqlx::query_as("SELECT status, missed_by, counts, times_differ FROM app.consultations WHERE id = $1::uuid")
        .bind(booked.str("/id"))
        .fetch_one(app.db())
        .await
        .unwrap()
}

#[tokio::test]
async fn a_practitioner_says_that_the_employee_did_not_come_and_it_counts() {
    let (app, _, mut alice, mut dr) = scene().await;
    let booked = book_on(&alice, &dr, in_days(&app, 3)).await;
    let no_show = path(&booked, "/no-show");
    let start = starts(&booked);
    go_to(&app, start + minutes(9), &mut alice, &mut dr).await;
    let early = dr.post(&no_show, json!({})).await.refused(409, "no_show_too_early");
    assert_eq!(instant(&early.str("/from")), start + minutes(10));
    app.practitioner().await.post(&no_show, json!({})).await.refused(404, "not_found");
    app.platform_admin().await.post(&no_show, json!({})).await.refused(403, "forbidden");
    go_to(&app, start + minutes(10), &mut alice, &mut dr).await;
    let said = dr.post(&no_show, json!({})).await.expect(200);
    assert_eq!((&said.json["status"], &said.json["missedBy"]), (&json!("no_show"), &json!("employee")));
    assert_eq!(said.json["timesDiffer"], true, "the server has not seen who says so");
    dr.post(&no_show, json!({})).await.refused(409, "illegal_transition");
    dr.post(&path(&booked, "/start"), json!({})).await.refused(409, "illegal_transition");
    assert_eq!(events(&alice, &booked).await, ["BOOKED employee", "NO_SHOW practitioner"]);
    assert_eq!(used(&alice).await, 1);
    assert_eq!(app.count("SELECT count(*) FROM app.audit_logs WHERE action = 'consultation.missed'").await, 1);
    app.settle().await;
}

#[tokio::test]
async fn whether_a_missed_session_counts_is_the_companys_to_say() {
    let (app, _, mut alice, mut dr) = scene().await;
    sqlx::query("UPDATE app.company_settings SET no_show_counts = false").execute(app.db()).await.unwrap();
    let booked = book_on(&alice, &dr, in_days(&app, 3)).await;
    go_to(&app, starts(&booked) + TimeDelta::hours(24), &mut alice, &mut dr).await;
    dr.post(&path(&booked, "/no-show"), json!({})).await.expect(200);
    assert_eq!(used(&alice).await, 0);
    app.settle().await;
}

#[tokio::test]
async fn an_employee_says_that_the_practitioner_did_not_come_and_it_does_not_count() {
    let (app, _, mut alice, mut dr) = scene().await;
    let day = in_days(&app, 3);
    let (booked, held) = (book_on(&alice, &dr, day).await, book_on(&alice, &dr, day).await);
    go_to(&app, starts(&booked) + minutes(15), &mut alice, &mut dr).await;
    let said = alice.post(&path(&booked, "/no-show"), json!({})).await.expect(200);
    assert_eq!((&said.json["status"], &said.json["missedBy"]), (&json!("no_show"), &json!("practitioner")));
    assert!(said.json.get("timesDiffer").is_none(), "what payroll looks at is not the employee's to see");
    assert_eq!(used(&alice).await, 1);
    // a practitioner whom the server saw was there
    by_chat(&app).await;
    go_to(&app, starts(&held) + minutes(2), &mut alice, &mut dr).await;
    dr.post(&path(&held, "/join"), json!({})).await.expect(200);
    go_to(&app, starts(&held) + minutes(15), &mut alice, &mut dr).await;
    alice.post(&path(&held, "/no-show"), json!({})).await.refused(409, "practitioner_was_there");
    dr.post(&path(&held, "/start"), json!({})).await.expect(200);
    alice.post(&path(&held, "/no-show"), json!({})).await.refused(409, "practitioner_was_there");
    dr.post(&path(&held, "/end"), json!({})).await.expect(200);
    app.settle().await;
}

#[tokio::test]
async fn a_session_that_nobody_ends_ends_when_it_was_to_end() {
    let (app, _, mut alice, mut dr) = scene().await;
    let day = in_days(&app, 3);
    let (booked, late) = (book_on(&alice, &dr, day).await, book_on(&alice, &dr, day).await);
    let end = instant(&booked.str("/endsAt"));
    go_to(&app, starts(&booked), &mut alice, &mut dr).await;
    dr.post(&path(&booked, "/start"), json!({})).await.expect(200);
    go_to(&app, end + minutes(29), &mut alice, &mut dr).await;
    keep_time(&app).await;
    assert_eq!(alice.get(&path(&booked, "")).await.json["status"], "in_progress");
    go_to(&app, end + minutes(30), &mut alice, &mut dr).await;
    keep_time(&app).await;
    keep_time(&app).await;
    let after = dr.get(&path(&booked, "")).await.expect(200);
    assert_eq!(after.json["status"], "completed");
    assert_eq!(instant(&after.str("/endedAt")), end);
    assert!((30..=31).contains(&after.json["actualMinutes"].as_i64().unwrap()), "{}", after.json);
    assert_eq!(events(&alice, &booked).await, ["BOOKED employee", "STARTED practitioner", "ENDED auto"]);
    dr.post(&path(&booked, "/end"), json!({})).await.refused(409, "illegal_transition");
    // one that was begun after its planned end gets its half hour
    let end = instant(&late.str("/endsAt"));
    go_to(&app, end + minutes(20), &mut alice, &mut dr).await;
    dr.post(&path(&late, "/start"), json!({})).await.expect(200);
    go_to(&app, end + minutes(40), &mut alice, &mut dr).await;
    keep_time(&app).await;
    assert_eq!(alice.get(&path(&late, "")).await.json["status"], "in_progress");
    dr.post(&path(&late, "/end"), json!({})).await.expect(200);
    assert_eq!(app.count("SELECT count(*) FROM app.audit_logs WHERE action = 'consultation.ended'").await, 2);
    app.settle().await;
}

#[tokio::test]
async fn of_what_nobody_said_anything_whom_the_server_saw_alone_was_there() {
    let (app, _, mut alice, mut dr) = scene().await;
    let day = in_days(&app, 3);
    let mut booked = Vec::new();
    for _ in 0..4 {
        booked.push(book_on(&alice, &dr, day).await);
    }
    by_chat(&app).await;
    // nobody, the practitioner, the employee, both but never together
    for (nth, there, after) in
        [(1, [false, true], 0), (2, [true, false], 0), (3, [true, false], 0), (3, [false, true], 40)]
    {
        go_to(&app, starts(&booked[nth]) + minutes(after), &mut alice, &mut dr).await;
        for (person, joins) in [(&alice, there[0]), (&dr, there[1])] {
            if joins {
                person.post(&path(&booked[nth], "/join"), json!({})).await.expect(200);
            }
        }
    }
    go_to(&app, instant(&booked[3].str("/endsAt")) + TimeDelta::hours(24), &mut alice, &mut dr).await;
    dr.post(&path(&booked[0], "/no-show"), json!({})).await.refused(409, "no_show_too_late");
    keep_time(&app).await;
    let mut found = Vec::new();
    for it in &booked {
        let (status, by, counts, differ) = missed(&app, it).await;
        assert_eq!(status, "no_show");
        found.push((by.unwrap(), counts, differ));
    }
    let expected = [
        ("unknown", false, false),
        ("employee", true, false),
        ("practitioner", false, false),
        ("unknown", false, true),
    ];
    assert_eq!(found, expected.map(|(by, counts, differ)| (by.to_owned(), counts, differ)));
    assert_eq!(used(&alice).await, 1);
    assert!(events(&alice, &booked[0]).await.contains(&"NO_SHOW auto".to_owned()));
    app.settle().await;
}

#[tokio::test]
async fn what_ends_before_it_began_by_a_clock_that_was_set_back_took_no_time_and_is_looked_at() {
    let (app, _, mut alice, mut dr) = scene().await;
    let booked = book_on(&alice, &dr, in_days(&app, 2)).await;
    by_chat(&app).await;
    for (after, what) in [(10, "start"), (3, "end")] {
        go_to(&app, starts(&booked) + minutes(after), &mut alice, &mut dr).await;
        alice.post(&path(&booked, "/join"), json!({})).await.expect(200);
        dr.post(&path(&booked, "/join"), json!({})).await.expect(200);
        dr.post(&path(&booked, &format!("/{what}")), json!({})).await.expect(200);
    }
    let it = dr.get(&path(&booked, "")).await.expect(200).json;
    assert_eq!(
        (&it["status"], &it["actualMinutes"], &it["timesDiffer"]),
        (&json!("completed"), &json!(0), &json!(true))
    );
    assert_eq!(it["endedAt"], it["startedAt"]);
    app.settle().await;
}

#[tokio::test]
async fn what_the_server_saw_stands_beside_what_is_claimed() {
    let (app, _, mut alice, mut dr) = scene().await;
    // who joins how many minutes after the start; the practitioner claims from the start to the end
    for (employee, practitioner, ends, seen, differ) in [
        (Some(0), Some(0), 30, 30, false),
        (Some(-5), Some(2), 30, 28, false),
        (Some(9), Some(0), 30, 21, false),
        (Some(12), Some(0), 30, 18, true),
        (None, Some(0), 30, 0, true),
        (None, None, 8, 0, true),
        (Some(0), None, 8, 0, true),
        (None, Some(0), 10, 0, true),
        // longer than planned
        (Some(0), Some(0), 39, 30, false),
        (Some(0), Some(0), 41, 30, true),
        (Some(0), Some(0), 5, 5, false),
    ] {
        let booked = book_on(&alice, &dr, in_days(&app, 2)).await;
        by_chat(&app).await;
        let start = starts(&booked);
        let mut steps = vec![(0, "start", false), (ends, "end", false)];
        steps.extend(employee.map(|at| (at, "join", true)));
        steps.extend(practitioner.map(|at| (at, "join", false)));
        steps.sort_by_key(|(at, what, _)| (*at, *what != "start", *what == "end"));
        for (after, what, is_employee) in steps {
            go_to(&app, start + minutes(after), &mut alice, &mut dr).await;
            let person = if is_employee { &alice } else { &dr };
            person.post(&path(&booked, &format!("/{what}")), json!({})).await.expect(200);
            // being let in again adds nothing
            if what == "join" {
                person.post(&path(&booked, "/join"), json!({})).await.expect(200);
            }
        }
        let it = dr.get(&path(&booked, "")).await.expect(200);
        let about = seen..=seen + 1;
        assert!(about.contains(&it.json["seenMinutes"].as_i64().unwrap()), "{seen}: {}", it.json);
        assert_eq!(it.json["timesDiffer"], differ, "{employee:?} {practitioner:?}");
        assert!(alice.get(&path(&booked, "")).await.json.get("seenMinutes").is_none());
        let joined = events(&dr, &booked).await.iter().filter(|event| event.starts_with("JOINED")).count();
        assert_eq!(joined, usize::from(employee.is_some()) + usize::from(practitioner.is_some()));
        let admin = app.platform_admin().await;
        assert_eq!(admin.get(&path(&booked, "")).await.expect(200).json["timesDiffer"], differ);
    }
    // who leaves is away until they come back: the times in which both were there add up
    let booked = book_on(&alice, &dr, in_days(&app, 2)).await;
    let start = starts(&booked);
    for (kind, who, after) in [
        ("JOINED", "practitioner", 0),
        ("JOINED", "employee", 2),
        ("LEFT", "practitioner", 10),
        ("JOINED", "practitioner", 15),
        ("LEFT", "employee", 20),
    ] {
        sqlx::query(
            "INSERT INTO app.consultation_events (company_id, consultation_id, kind, at, actor_role)
             SELECT company_id, id, $2, $3, $4 FROM app.consultations WHERE id = $1::uuid",
        )
        .bind(booked.str("/id"))
        .bind(kind)
        .bind(start + minutes(after))
        .bind(who)
        .execute(app.db())
        .await
        .unwrap();
    }
    let together: i64 = sqlx::query_scalar("SELECT (extract(epoch FROM app.seen_together($1::uuid, $2)) / 60)::bigint")
        .bind(booked.str("/id"))
        .bind(start + minutes(30))
        .fetch_one(app.db())
        .await
        .unwrap();
    assert_eq!(together, 8 + 5);
    app.settle().await;
}

#[tokio::test]
async fn times_are_the_databases_to_compute_and_facts_are_never_changed() {
    let (app, _, mut alice, mut dr) = scene().await;
    let booked = book_on(&alice, &dr, in_days(&app, 2)).await;
    go_to(&app, starts(&booked), &mut alice, &mut dr).await;
    dr.post(&path(&booked, "/start"), json!({})).await.expect(200);
    let mut conn = app.as_role(huntzen::platform::db::DbRole::Practitioner, dr.id).await;
    for forged in [
        "UPDATE app.consultations SET duration_minutes = 600",
        "UPDATE app.consultations SET started_at = now() - interval '5 hours'",
        "UPDATE app.consultations SET seen_minutes = 30, times_differ = false",
        "UPDATE app.consultations SET starts_at = starts_at + interval '1 hour'",
        "UPDATE app.consultation_events SET at = now()",
        "DELETE FROM app.consultation_events",
        "INSERT INTO app.consultation_events (company_id, consultation_id, kind, at, actor_role)
         SELECT company_id, id, 'JOINED', now(), 'practitioner' FROM app.consultations",
    ] {
        let refused = sqlx::query(forged).execute(&mut conn).await.unwrap_err();
        assert_eq!(refused.as_database_error().unwrap().code().unwrap(), "42501", "{forged}");
    }
    // 61 seconds are two begun minutes
    let end = instant(&dr.get(&path(&booked, "")).await.str("/startedAt")) + TimeDelta::seconds(61);
    sqlx::query("UPDATE app.consultations SET status = 'completed'").execute(app.db()).await.unwrap();
    sqlx::query(
        "INSERT INTO app.consultation_events (company_id, consultation_id, kind, at, actor_role)
         SELECT company_id, id, 'ENDED', $1, 'practitioner' FROM app.consultations",
    )
    .bind(end)
    .execute(app.db())
    .await
    .unwrap();
    assert_eq!(app.count("SELECT duration_minutes::bigint FROM app.consultations").await, 2);
    app.settle().await;
}
