//! Several in the same instant: nobody jumps the queue, and every kept time has one end.

use futures_util::future::join_all;
use huntzen::domain::consultations::events::TimeFreed;
use huntzen::platform::ids::ConsultationId;

use super::*;

async fn patient_scene(people: usize) -> (TestApp, User, User, Vec<User>) {
    let app = TestApp::start_with(|name| (name == "DATABASE_ACQUIRE_TIMEOUT_MS").then(|| "30000".to_owned())).await;
    let (acme, globex) = (app.company("Acme").await, app.company("Globex").await);
    sqlx::query("UPDATE app.companies SET sessions_per_employee = 100").execute(app.db()).await.unwrap();
    let (alice, dr) = (app.employee(&acme).await, app.practitioner().await);
    let mut others = Vec::new();
    for n in 0..people {
        others.push(app.employee(if n % 2 == 0 { &globex } else { &acme }).await);
    }
    (app, alice, dr, others)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_forty_who_race_for_what_is_given_back_only_who_waits_gets_it() {
    let (app, alice, dr, people) = patient_scene(41).await;
    let (waits, racers) = people.split_first().unwrap();
    let booked = book_on(&alice, &dr, in_days(&app, 3)).await;
    join(waits, &dr).await;
    let at = start(&booked);
    let race = racers.iter().map(|person| async {
        let mut answers = Vec::new();
        for _ in 0..3 {
            answers.push(person.post("/consultations", wish(&dr, &at.to_rfc3339())).await);
        }
        answers
    });
    let (answers, (), ()) = tokio::join!(join_all(race), cancel(&alice, &booked), app.settle());
    for answer in answers.iter().flatten() {
        assert_eq!((answer.status.as_u16(), answer.str("/code").as_str()), (409, "slot_taken"), "{}", answer.json);
    }
    app.settle().await;
    assert_eq!(offered(waits, &dr).await, Some(at));
    let (mine, theirs) = tokio::join!(
        waits.post("/consultations", wish(&dr, &at.to_rfc3339())),
        join_all(racers.iter().map(|person| person.post("/consultations", wish(&dr, &at.to_rfc3339()))))
    );
    mine.expect(201);
    assert!(theirs.iter().all(|answer| answer.status.as_u16() == 409));
    assert_nothing_overlaps(&app).await;
    app.settle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_taking_declining_leaving_and_lapsing_at_once_one_wins() {
    let (app, mut alice, mut dr, mut people) = patient_scene(2).await;
    for round in 0..8 {
        let booked = book_on(&alice, &dr, in_days(&app, 4 + round)).await;
        for person in &people {
            person.post(&list(&dr), json!({})).await;
        }
        let at = start(&booked);
        cancel(&alice, &booked).await;
        app.settle().await;
        let first = usize::from(offered(&people[0], &dr).await.is_none());
        let over = instant(offer(&people[first], &dr).await.unwrap()["expiresAt"].as_str().unwrap());
        let moment = TimeDelta::milliseconds(if round % 2 == 0 { -300 } else { 100 });
        go_to(&app, over + moment, people.iter_mut().chain([&mut alice]).collect(), &mut dr).await;
        app.enqueue(&KeepWaitlist {}).await;
        let (bob, next) = (&people[first], &people[1 - first]);
        let (decline, path) = (format!("{}/offer", list(&dr)), list(&dr));
        let gives_back = async { if round % 4 < 2 { bob.delete(&decline).await } else { bob.delete(&path).await } };
        let (taken, back, ()) =
            tokio::join!(bob.post("/consultations", wish(&dr, &at.to_rfc3339())), gives_back, app.settle());
        keep(&app).await;
        let has_it = taken.status.as_u16() == 201;
        assert!(has_it || taken.json["code"] == "slot_taken", "{}", taken.json);
        assert!([204, 404].contains(&back.status.as_u16()), "{}", back.json);
        assert_nothing_overlaps(&app).await;
        // the time is one person's: whose it was, or the next one's
        assert_eq!(offered(next, &dr).await, (!has_it).then_some(at), "round {round}: {}", back.status);
        let held =
            if has_it { taken } else { next.post("/consultations", wish(&dr, &at.to_rfc3339())).await.expect(201) };
        assert!(start(&held) == at);
        app.settle().await;
        for person in &people {
            person.delete(&list(&dr)).await;
        }
        keep(&app).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_cancellations_at_once_make_one_offer_to_one_who_waits_and_keep_the_other() {
    let (app, alice, dr, people) = patient_scene(4).await;
    let open = free(&alice, &dr, in_days(&app, 3)).await;
    let one = alice.post("/consultations", wish(&dr, &open[0])).await.expect(201);
    let two = people[0].post("/consultations", wish(&dr, &open[6])).await.expect(201);
    join(&people[1], &dr).await;
    tokio::join!(cancel(&alice, &one), cancel(&people[0], &two), app.settle());
    keep(&app).await;
    let kept = offered(&people[1], &dr).await.unwrap();
    let other = if kept == start(&one) { start(&two) } else { start(&one) };
    assert!(kept == start(&one) || kept == start(&two));
    assert!(!is_free(&people[2], &dr, other).await && !is_free(&people[2], &dr, kept).await);
    assert_eq!(app.count("SELECT count(*) FROM app.waitlist_offers").await, 1);
    people[1].post("/consultations", wish(&dr, &kept.to_rfc3339())).await.expect(201);
    keep(&app).await;
    // who joins while somebody cancels is asked, or finds it free
    let again = people[2].post("/consultations", wish(&dr, &other.to_rfc3339())).await.expect(201);
    app.settle().await;
    let path = list(&dr);
    let (_, (), ()) = tokio::join!(people[3].post(&path, json!({})), cancel(&people[2], &again), app.settle());
    keep(&app).await;
    let theirs = offered(&people[3], &dr).await;
    assert!(theirs == Some(other) || is_free(&people[3], &dr, other).await);
    people[3].post("/consultations", wish(&dr, &other.to_rfc3339())).await.expect(201);
    assert_nothing_overlaps(&app).await;
    app.settle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_leaves_while_they_are_asked_holds_nothing() {
    let (app, alice, dr, people) = patient_scene(2).await;
    for round in 0..6 {
        let booked = book_on(&alice, &dr, in_days(&app, 3 + round)).await;
        join(&people[0], &dr).await;
        join(&people[1], &dr).await;
        cancel(&alice, &booked).await;
        let path = list(&dr);
        let (left, ()) = tokio::join!(people[0].delete(&path), app.settle());
        left.expect(204);
        keep(&app).await;
        assert_nothing_overlaps(&app).await;
        assert_eq!(offered(&people[1], &dr).await, Some(start(&booked)));
        people[1].post("/consultations", wish(&dr, &start(&booked).to_rfc3339())).await.expect(201);
        app.settle().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_person_with_one_session_left_never_holds_what_they_cannot_take() {
    let (app, alice, dr, people) = patient_scene(1).await;
    let other = app.practitioner().await;
    let bob = &people[0];
    for round in 0..4 {
        // two practitioners' times, apart from each other, both offered to Bob, who has one session left
        let used =
            app.count("SELECT count(*) FROM app.consultations c WHERE c.counts AND c.status = 'confirmed'").await;
        let (one, two) = (
            book_on(&alice, &dr, in_days(&app, 3 + round)).await,
            book_on(&alice, &other, in_days(&app, 12 + round)).await,
        );
        join(bob, &dr).await;
        join(bob, &other).await;
        cancel(&alice, &one).await;
        cancel(&alice, &two).await;
        app.settle().await;
        sqlx::query("UPDATE app.companies SET sessions_per_employee = $1 WHERE id = $2")
            .bind(i32::try_from(used + 1).unwrap())
            .bind(bob.company_id)
            .execute(app.db())
            .await
            .unwrap();
        assert!(offered(bob, &dr).await.is_some() && offered(bob, &other).await.is_some());
        let (first, second) = tokio::join!(
            bob.post("/consultations", wish(&dr, &start(&one).to_rfc3339())),
            bob.post("/consultations", wish(&other, &start(&two).to_rfc3339()))
        );
        let won = [first.status.as_u16(), second.status.as_u16()];
        assert!(won == [201, 409] || won == [409, 201], "{} {}", first.json, second.json);
        assert_eq!(app.count("SELECT count(*) FROM app.waitlist_offers WHERE status = 'open'").await, 0);
        keep(&app).await;
        sqlx::query("UPDATE app.companies SET sessions_per_employee = 100").execute(app.db()).await.unwrap();
        for practitioner in [&dr, &other] {
            bob.delete(&list(practitioner)).await;
        }
        app.settle().await;
        assert_nothing_overlaps(&app).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_that_run_again_and_on_two_nodes_ask_one_person_once() {
    let (app, alice, dr, people) = patient_scene(3).await;
    let booked = book_on(&alice, &dr, in_days(&app, 3)).await;
    for person in &people {
        join(person, &dr).await;
    }
    cancel(&alice, &booked).await;
    let (id, at) = (booked.str("/id").parse().unwrap(), start(&booked));
    let again = TimeFreed {
        consultation_id: ConsultationId(id),
        practitioner_id: TestApp::practitioner_id(&dr),
        starts_at: at,
        ends_at: at + TimeDelta::minutes(30),
    };
    for _ in 0..4 {
        app.enqueue(&again).await;
        app.enqueue(&KeepWaitlist {}).await;
    }
    app.settle().await;
    keep(&app).await;
    assert_eq!(offered(&people[0], &dr).await, Some(at));
    assert_eq!(app.count("SELECT count(*) FROM app.waitlist_offers").await, 1);
    assert_eq!(app.mails_to(&people[0].email).len(), 1);
    // what an offer that is over would have told is not told any more
    people[0].delete(&format!("{}/offer", list(&dr))).await.expect(204);
    people[1].delete(&list(&dr)).await.expect(204);
    app.settle().await;
    assert_eq!(offered(&people[2], &dr).await, Some(at));
    assert!(app.mails_to(&people[1].email).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_refused_while_its_person_joins_again_leaves_one_place() {
    let (app, alice, dr, people) = patient_scene(1).await;
    dr.patch(&format!("/practitioners/{}", dr.id), json!({"confirmsByHand": true})).await.expect(200);
    let open = free(&alice, &dr, in_days(&app, 3)).await;
    let path = list(&dr);
    for slot in open.iter().take(8) {
        join(&people[0], &dr).await;
        let asked = people[0].post("/consultations", wish(&dr, slot)).await.expect(201);
        let refuse = format!("/consultations/{}/cancel", asked.str("/id"));
        let (refused, joined) = tokio::join!(dr.post(&refuse, json!({})), people[0].post(&path, json!({})));
        refused.expect(200);
        assert!([200, 201].contains(&joined.status.as_u16()), "{}", joined.json);
        let waiting = "SELECT count(*) FROM app.waitlist_entries WHERE status = 'waiting'";
        assert_eq!(app.count(waiting).await, 1);
        app.settle().await;
        people[0].delete(&path).await.expect(204);
        keep(&app).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_joins_and_leaves_at_once_gets_an_answer_to_both() {
    let (app, _, dr, people) = patient_scene(1).await;
    let path = list(&dr);
    for _ in 0..12 {
        join(&people[0], &dr).await;
        let (joined, left) = tokio::join!(people[0].post(&path, json!({})), people[0].delete(&path));
        assert!([200, 201, 409].contains(&joined.status.as_u16()), "{}", joined.json);
        left.expect(204);
        people[0].delete(&path).await;
    }
    app.settle().await;
}
