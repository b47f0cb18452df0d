//! Two want something else of one session, and stand in the database's queue for it in a known order: each order has its
//! outcome. Here the clock is one of the two.

use tokio::sync::oneshot;

use super::*;

/// Both wait for the session, the first one ahead of the second. `between` happens when the first one waits.
async fn in_turn<A, B>(
    app: &TestApp,
    session: &Answer,
    first: impl Future<Output = A>,
    between: impl FnOnce(),
    second: impl Future<Output = B>,
) -> (A, B) {
    let mut held = app.db().begin().await.unwrap();
    let id: uuid::Uuid = session.str("/id").parse().unwrap();
    sqlx::query("SELECT FROM app.consultations WHERE id = $1 FOR UPDATE").bind(id).execute(&mut *held).await.unwrap();
    let (go, gone) = oneshot::channel();
    let turns = async {
        app.until_waiting(1).await;
        between();
        go.send(()).unwrap();
        app.until_waiting(2).await;
        held.rollback().await.unwrap();
    };
    let second = async {
        gone.await.unwrap();
        second.await
    };
    let (first, second, ()) = tokio::join!(first, second, turns);
    (first, second)
}

/// A request, half a minute before it lapses.
async fn request(app: &TestApp, alice: &mut User, dr: &mut User) -> Answer {
    confirms_by_hand(dr).await;
    let asked = book_on(alice, dr, in_days(app, 5)).await;
    app.settle().await;
    go_to(app, instant(&asked.str("/expiresAt")) - TimeDelta::seconds(30), alice, dr).await;
    asked
}

fn one_minute(app: &TestApp, sign: i32) {
    app.clock.advance(minutes(1) * sign);
}

/// How often the log says what happened.
async fn entries(app: &TestApp, action: &str) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM app.audit_logs WHERE action = $1")
        .bind(action)
        .fetch_one(app.db())
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_is_moved_before_it_lapses_waits_anew() {
    let (app, _, mut alice, mut dr) = scene().await;
    let asked = request(&app, &mut alice, &mut dr).await;
    let target = starts(&asked) + minutes(60);
    let (path_to, body) = (path(&asked, "/reschedule"), json!({"startsAt": target}));
    let moving = alice.post(&path_to, body);
    let (moved, ()) = Box::pin(in_turn(&app, &asked, moving, || one_minute(&app, 1), keep_time(&app))).await;
    let moved = moved.expect(200);
    assert_eq!((moved.str("/status").as_str(), starts(&moved)), ("pending", target));
    assert!(instant(&moved.str("/expiresAt")) > app.clock.now());
    keep_time(&app).await;
    assert_eq!(alice.get(&path(&asked, "")).await.json["status"], "pending");
    assert_eq!(events(&alice, &asked).await, ["BOOKED employee", "RESCHEDULED employee"]);
    assert_eq!((entries(&app, "consultation.rescheduled").await, entries(&app, "consultation.expired").await), (1, 0));
    app.settle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_lapses_before_it_is_moved_stays_where_it_was_and_its_time_is_free() {
    let (app, _, mut alice, mut dr) = scene().await;
    let asked = request(&app, &mut alice, &mut dr).await;
    let day = starts(&asked).date_naive();
    let (path_to, body) = (path(&asked, "/reschedule"), json!({"startsAt": starts(&asked) + minutes(60)}));
    let moving = alice.post(&path_to, body);
    // whoever moves it does so on a node whose clock is behind
    one_minute(&app, 1);
    let ((), moved) = Box::pin(in_turn(&app, &asked, keep_time(&app), || one_minute(&app, -1), moving)).await;
    moved.refused(409, "illegal_transition");
    let after = alice.get(&path(&asked, "")).await.expect(200);
    assert_eq!((after.str("/status").as_str(), starts(&after)), ("cancelled", starts(&asked)));
    assert_eq!(events(&alice, &asked).await, ["BOOKED employee", "EXPIRED auto"]);
    assert_eq!(free(&alice, &dr, day).await.len(), 16, "neither time is held");
    assert_eq!(used(&alice).await, 0);
    assert_eq!((entries(&app, "consultation.rescheduled").await, entries(&app, "consultation.expired").await), (0, 1));
    app.settle().await;
    assert_eq!(subjects(&app, &alice), ["Appointment requested", "Appointment not confirmed"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_is_confirmed_before_it_lapses_does_not_lapse() {
    let (app, _, mut alice, mut dr) = scene().await;
    let asked = request(&app, &mut alice, &mut dr).await;
    let confirm = path(&asked, "/confirm");
    let confirming = dr.post(&confirm, json!({}));
    let (confirmed, ()) = Box::pin(in_turn(&app, &asked, confirming, || one_minute(&app, 1), keep_time(&app))).await;
    assert_eq!(confirmed.expect(200).json["status"], "confirmed");
    keep_time(&app).await;
    assert_eq!(alice.get(&path(&asked, "")).await.json["status"], "confirmed");
    assert_eq!(events(&alice, &asked).await, ["BOOKED employee", "CONFIRMED practitioner"]);
    assert_eq!((entries(&app, "consultation.confirmed").await, entries(&app, "consultation.expired").await), (1, 0));
    assert_eq!(subjects(&app, &alice), ["Appointment requested", "Appointment confirmed"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_lapses_before_it_is_confirmed_is_not_confirmed() {
    let (app, _, mut alice, mut dr) = scene().await;
    let asked = request(&app, &mut alice, &mut dr).await;
    let confirm = path(&asked, "/confirm");
    let confirming = dr.post(&confirm, json!({}));
    one_minute(&app, 1);
    let ((), confirmed) = Box::pin(in_turn(&app, &asked, keep_time(&app), || one_minute(&app, -1), confirming)).await;
    confirmed.refused(409, "illegal_transition");
    assert_eq!(alice.get(&path(&asked, "")).await.json["cancelledBy"], "auto");
    assert_eq!(events(&alice, &asked).await, ["BOOKED employee", "EXPIRED auto"]);
    assert_eq!((entries(&app, "consultation.confirmed").await, entries(&app, "consultation.expired").await), (0, 1));
    app.settle().await;
    assert_eq!(subjects(&app, &alice), ["Appointment requested", "Appointment not confirmed"]);
}

/// A session that began, half an hour after its planned end.
async fn overdue(app: &TestApp, alice: &mut User, dr: &mut User) -> Answer {
    let booked = book_on(alice, dr, in_days(app, 2)).await;
    go_to(app, starts(&booked), alice, dr).await;
    dr.post(&path(&booked, "/start"), json!({})).await.expect(200);
    let ends = instant(&booked.str("/endsAt"));
    go_to(app, ends + minutes(31), alice, dr).await;
    booked
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_the_practitioner_ends_first_ends_when_they_say() {
    let (app, _, mut alice, mut dr) = scene().await;
    let booked = overdue(&app, &mut alice, &mut dr).await;
    let end = path(&booked, "/end");
    let (ended, ()) = Box::pin(in_turn(&app, &booked, dr.post(&end, json!({})), || (), keep_time(&app))).await;
    // so late, it ended when it was planned to
    let took = ended.expect(200).json["actualMinutes"].as_i64();
    assert_eq!(took, Some(30));
    keep_time(&app).await;
    let after = dr.get(&path(&booked, "")).await.expect(200);
    assert_eq!((after.str("/status").as_str(), after.json["actualMinutes"].as_i64()), ("completed", took));
    assert_eq!(events(&dr, &booked).await, ["BOOKED employee", "STARTED practitioner", "ENDED practitioner"]);
    assert_eq!(entries(&app, "consultation.ended").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_the_clock_ends_first_ended_as_planned() {
    let (app, _, mut alice, mut dr) = scene().await;
    let booked = overdue(&app, &mut alice, &mut dr).await;
    let end = path(&booked, "/end");
    let ((), ended) = Box::pin(in_turn(&app, &booked, keep_time(&app), || (), dr.post(&end, json!({})))).await;
    ended.refused(409, "illegal_transition");
    let after = dr.get(&path(&booked, "")).await.expect(200);
    assert_eq!(after.json["status"], "completed");
    assert_eq!(instant(&after.str("/endedAt")), instant(&booked.str("/endsAt")));
    assert_eq!(events(&dr, &booked).await, ["BOOKED employee", "STARTED practitioner", "ENDED auto"]);
    assert_eq!(entries(&app, "consultation.ended").await, 1);
    app.settle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_cancelling_and_starting_the_first_one_happens() {
    for starts_first in [false, true] {
        let (app, _, mut alice, mut dr) = scene().await;
        let booked = book_on(&alice, &dr, in_days(&app, 2)).await;
        app.settle().await;
        go_to(&app, starts(&booked) - minutes(5), &mut alice, &mut dr).await;
        let (cancel, start) = (path(&booked, "/cancel"), path(&booked, "/start"));
        let (cancelling, starting) = (alice.post(&cancel, json!({})), dr.post(&start, json!({})));
        let (won, lost) = if starts_first {
            in_turn(&app, &booked, starting, || (), cancelling).await
        } else {
            in_turn(&app, &booked, cancelling, || (), starting).await
        };
        let status = won.expect(200).str("/status");
        lost.refused(409, "illegal_transition");
        let (expected, happened) =
            if starts_first { ("in_progress", "STARTED practitioner") } else { ("cancelled", "CANCELLED employee") };
        assert_eq!(status, expected);
        assert_eq!(alice.get(&path(&booked, "")).await.str("/status"), expected);
        assert_eq!(events(&alice, &booked).await, ["BOOKED employee", happened]);
        let (cancelled, started) =
            (entries(&app, "consultation.cancelled").await, entries(&app, "consultation.started").await);
        assert_eq!((cancelled, started), if starts_first { (0, 1) } else { (1, 0) });
        app.settle().await;
        assert_eq!(app.mails_to(&alice.email).len(), if starts_first { 1 } else { 2 }, "a mail for what happened");
    }
}
