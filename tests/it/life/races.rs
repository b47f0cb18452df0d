//! Several want something else of one session, in the same instant: one of them gets it.

use futures_util::future::join_all;

use super::*;

/// Waits for connections as long as it takes.
async fn patient_scene() -> (TestApp, User, User) {
    let app = TestApp::start_with(|name| (name == "DATABASE_ACQUIRE_TIMEOUT_MS").then(|| "30000".to_owned())).await;
    let company = app.company("Acme").await;
    sqlx::query("UPDATE app.companies SET sessions_per_employee = 100").execute(app.db()).await.unwrap();
    let (alice, dr) = (app.employee(&company).await, app.practitioner().await);
    (app, alice, dr)
}

/// Every consultation's state, and its events but the bookings and confirmations.
async fn ends(app: &TestApp) -> Vec<(String, Vec<String>)> {
    sqlx::query_as(
        "SELECT c.status, coalesce(array_agg(e.kind ORDER BY e.at, e.id) FILTER (WHERE e.kind NOT IN ('BOOKED', 'CONFIRMED')), '{}')
         FROM app.consultations c JOIN app.consultation_events e ON e.consultation_id = c.id GROUP BY c.id, c.status",
    )
    .fetch_all(app.db())
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_cancelling_starting_and_moving_at_once_one_wins_and_nothing_is_half_done() {
    let (app, mut alice, mut dr) = patient_scene().await;
    for round in 0..6 {
        let day = in_days(&app, 3);
        let open = free(&alice, &dr, day).await;
        let booked = alice.post("/consultations", wish(&dr, &open[0])).await.expect(201);
        go_to(&app, starts(&booked) - minutes(5), &mut alice, &mut dr).await;
        let target = json!({"startsAt": open[2 + round % 3]});
        let (cancel, start) = (path(&booked, "/cancel"), path(&booked, "/start"));
        let reschedule = path(&booked, "/reschedule");
        let answers = join_all([
            alice.post(&cancel, json!({})),
            dr.post(&start, json!({})),
            dr.post(&reschedule, target),
            dr.post(&cancel, json!({})),
        ])
        .await;
        let won: Vec<_> = answers.iter().map(|answer| answer.status.as_u16()).collect();
        // moved first, it may be cancelled then, but it is far from its start
        let moved = won[2] == 200;
        let decided = won.iter().enumerate().filter(|(nth, status)| *nth != 2 && **status == 200).count();
        assert!(decided == 1 || moved && decided == 0, "{won:?}");
        for (nth, answer) in answers.iter().enumerate().filter(|(_, answer)| answer.status.as_u16() != 200) {
            let code = answer.str("/code");
            let expected = ["illegal_transition", "not_open_yet", "stale", "conflict"];
            assert!(expected.contains(&code.as_str()), "{nth}: {}", answer.json);
        }
        let now = alice.get(&path(&booked, "")).await.expect(200);
        match (now.str("/status").as_str(), moved) {
            ("in_progress", false) => assert_eq!(won[1], 200),
            ("cancelled", _) => assert!(won[0] == 200 || won[3] == 200),
            ("confirmed", true) => assert_eq!(starts(&now), instant(&open[2 + round % 3])),
            other => panic!("{other:?}: {won:?}"),
        }
        if now.json["status"] == "in_progress" {
            dr.post(&path(&booked, "/end"), json!({})).await.expect(200);
        }
    }
    for (status, kinds) in ends(&app).await {
        let told: Vec<_> = kinds.iter().map(String::as_str).filter(|kind| *kind != "RESCHEDULED").collect();
        match status.as_str() {
            "cancelled" => assert_eq!(told, ["CANCELLED"]),
            "completed" => assert_eq!(told, ["STARTED", "ENDED"]),
            "confirmed" => assert_eq!(told, [] as [&str; 0]),
            other => panic!("{other}"),
        }
    }
    app.settle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_confirming_cancelling_and_lapsing_at_once_one_wins() {
    let (app, mut alice, mut dr) = patient_scene().await;
    confirms_by_hand(&dr).await;
    for round in 0..4 {
        let booked = book_on(&alice, &dr, in_days(&app, 4)).await;
        app.settle().await;
        // a moment before or after the request lapses
        let moment = TimeDelta::milliseconds(if round % 2 == 0 { -400 } else { 200 });
        go_to(&app, instant(&booked.str("/expiresAt")) + moment, &mut alice, &mut dr).await;
        app.enqueue(&KeepTime {}).await;
        let (confirm, cancel) = (path(&booked, "/confirm"), path(&booked, "/cancel"));
        let (confirmed, cancelled, ()) =
            tokio::join!(dr.post(&confirm, json!({})), alice.post(&cancel, json!({})), app.settle());
        keep_time(&app).await;
        let now = alice.get(&path(&booked, "")).await.expect(200);
        let kinds = events(&alice, &booked).await;
        let by = now.json.get("cancelledBy").and_then(Value::as_str);
        match (confirmed.status.as_u16(), cancelled.status.as_u16(), by) {
            (200, 200, Some("employee")) => {
                // each is of the moment when it was asked for, and whoever asked first may have waited for the other
                let mut kinds = kinds;
                kinds.sort_unstable();
                assert_eq!(kinds, ["BOOKED employee", "CANCELLED employee", "CONFIRMED practitioner"]);
            }
            (200, 409, None) => assert_eq!(kinds, ["BOOKED employee", "CONFIRMED practitioner"]),
            (409, 200, Some("employee")) => assert_eq!(kinds, ["BOOKED employee", "CANCELLED employee"]),
            (409, 409, Some("auto")) => assert_eq!(kinds, ["BOOKED employee", "EXPIRED auto"]),
            other => panic!("{other:?}: {kinds:?}"),
        }
        if now.json["status"] == "confirmed" {
            alice.post(&cancel, json!({})).await.expect(200);
        }
    }
    app.settle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_that_move_to_one_time_at_once_leave_one_there_and_the_others_where_they_were() {
    let (app, _, dr) = patient_scene().await;
    let globex = app.company("Globex").await;
    let mut booked = Vec::new();
    let open = {
        let first = app.employee(&globex).await;
        free(&first, &dr, in_days(&app, 5)).await
    };
    for at in open.iter().take(8) {
        let person = app.employee(&globex).await;
        let answer = person.post("/consultations", wish(&dr, at)).await.expect(201);
        booked.push((person, answer));
    }
    let late = app.employee(&globex).await;
    let target = json!({"startsAt": open[10]});
    let moves = booked.iter().map(|(person, it)| {
        let target = target.clone();
        async move { person.post(&path(it, "/reschedule"), target).await }
    });
    // and one who books it
    let (answers, other) = tokio::join!(join_all(moves), late.post("/consultations", wish(&dr, &open[10])));
    let won = answers.iter().filter(|answer| answer.status.as_u16() == 200).count();
    assert_eq!(won + usize::from(other.status.as_u16() == 201), 1, "{answers:?}");
    for ((person, it), answer) in booked.iter().zip(&answers) {
        let now = starts(&person.get(&path(it, "")).await.expect(200));
        if answer.status.as_u16() == 200 {
            assert_eq!(now, instant(&open[10]));
        } else {
            assert_eq!(answer.json["code"], "slot_taken", "{}", answer.json);
            assert!(!answer.json["nearest"].as_array().unwrap().is_empty());
            assert_eq!(now, starts(it));
        }
    }
    app.settle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_sessions_that_trade_places_never_overlap() {
    let (app, alice, dr) = patient_scene().await;
    let open = free(&alice, &dr, in_days(&app, 5)).await;
    let one = alice.post("/consultations", wish(&dr, &open[0])).await.expect(201);
    let two = alice.post("/consultations", wish(&dr, &open[1])).await.expect(201);
    let (to_two, to_one) = (json!({"startsAt": open[1]}), json!({"startsAt": open[0]}));
    let (first, second) = (path(&one, "/reschedule"), path(&two, "/reschedule"));
    let (a, b) = tokio::join!(alice.post(&first, to_two), alice.post(&second, to_one));
    // each stands in the other's way
    assert_eq!((a.status.as_u16(), b.status.as_u16()), (409, 409), "{} {}", a.json, b.json);
    app.settle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_session_of_the_contract_is_booked_or_asked_for_once() {
    let (app, alice, dr) = patient_scene().await;
    let by_hand = app.practitioner().await;
    confirms_by_hand(&by_hand).await;
    sqlx::query("UPDATE app.companies SET sessions_per_employee = 1").execute(app.db()).await.unwrap();
    let open = free(&alice, &dr, in_days(&app, 4)).await;
    let wishes = (0..8).map(|nth| {
        let (alice, dr) = (&alice, if nth % 2 == 0 { &dr } else { &by_hand });
        let body = wish(dr, &open[nth]);
        async move { alice.post("/consultations", body).await }
    });
    let answers = join_all(wishes).await;
    assert_eq!(answers.iter().filter(|answer| answer.status.as_u16() == 201).count(), 1);
    assert_eq!(answers.iter().filter(|answer| answer.json["code"] == "quota_exhausted").count(), 7);
    app.settle().await;
}
