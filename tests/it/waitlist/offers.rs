//! A freed time is kept, offered in order, taken, declined, or lapses.

use super::*;

#[tokio::test]
async fn what_is_given_back_is_kept_for_the_first_who_waits_and_booked_by_nobody_else() {
    let (app, company, alice, dr, booked, [bob, carol]) = waiting_room().await;
    let stranger = app.employee(&company).await;
    join(&bob, &dr).await;
    join(&carol, &dr).await;
    let at = start(&booked);
    cancel(&alice, &booked).await;
    // neither to be seen nor to be booked, by those who wait as little as by others; but for Bob, as soon as he is asked
    for person in [&alice, &carol, &stranger] {
        assert!(!is_free(person, &dr, at).await);
        let refused = person.post("/consultations", wish(&dr, &at.to_rfc3339())).await.refused(409, "slot_taken");
        assert_eq!(refused.json["nearest"].as_array().unwrap().len(), 5);
    }
    let explain = format!("/practitioners/{}/slots/explain?at={}", dr.id, at.format("%Y-%m-%dT%H:%M:%SZ"));
    for reader in [&dr, &app.platform_admin().await] {
        let why = reader.get(&explain).await.expect(200);
        assert_eq!(why.json["reasons"][0]["code"], "kept", "{}", why.json);
        assert_eq!(instant(&why.str("/reasons/0/from")), at);
        assert!(!why.text().contains(&bob.id.to_string()));
    }

    app.settle().await;
    assert_eq!(offered(&bob, &dr).await, Some(at));
    assert_eq!(offered(&carol, &dr).await, None);
    let kept = offer(&bob, &dr).await.unwrap();
    assert_eq!(
        instant(kept["expiresAt"].as_str().unwrap()) - instant(kept["offeredAt"].as_str().unwrap()),
        TimeDelta::hours(2)
    );
    let mail = app.mails_to(&bob.email).pop().unwrap();
    assert_eq!(mail.subject, "A time is available");
    let text = format!("{mail:?}").to_lowercase();
    assert!(!text.contains("dr test") && !text.contains("psychology"), "{text}");
    assert!(app.mails_to(&carol.email).is_empty());
    // whom it is kept for sees it as free; others do not
    assert!(is_free(&bob, &dr, at).await);
    assert!(!is_free(&carol, &dr, at).await);
    carol.post("/consultations", wish(&dr, &at.to_rfc3339())).await.refused(409, "slot_taken");
    assert_eq!(dr.get(&explain).await.json["reasons"][0]["code"], "kept");

    bob.post("/consultations", wish(&dr, &at.to_rfc3339())).await.expect(201);
    bob.get(&list(&dr)).await.refused(404, "not_found");
    app.settle().await;
    assert_eq!(statuses(&app, "waitlist_entries").await, ["booked", "waiting"]);
    assert_eq!(statuses(&app, "waitlist_offers").await, ["taken"]);
    assert_eq!(statuses(&app, "waitlist_holds").await, ["taken"]);
    assert_eq!(app.count("SELECT count(*) FROM app.audit_logs WHERE action = 'waitlist.offered'").await, 1);
    assert_nothing_overlaps(&app).await;
}

#[tokio::test]
async fn who_declines_or_lets_it_lapse_keeps_their_place_and_the_next_is_asked() {
    let (app, _, mut alice, mut dr, booked, [mut bob, mut carol, mut dave]) = waiting_room().await;
    sqlx::query("UPDATE app.users SET locale = 'fr' WHERE id = $1").bind(carol.id).execute(app.db()).await.unwrap();
    for person in [&bob, &carol, &dave] {
        join(person, &dr).await;
    }
    let at = start(&booked);
    cancel(&alice, &booked).await;
    app.settle().await;
    let decline = format!("{}/offer", list(&dr));
    carol.delete(&decline).await.refused(404, "not_found");
    bob.delete(&decline).await.expect(204);
    bob.delete(&decline).await.refused(404, "not_found");
    assert!(!is_free(&bob, &dr, at).await, "given back, it is not theirs");
    app.settle().await;
    assert_eq!(offered(&bob, &dr).await, None, "they keep their place, and are not asked again");
    assert_eq!(offered(&carol, &dr).await, Some(at));
    assert_eq!(app.mails_to(&carol.email).pop().unwrap().subject, "Un créneau est disponible");

    let over = instant(offer(&carol, &dr).await.unwrap()["expiresAt"].as_str().unwrap());
    go_to(&app, over - TimeDelta::seconds(1), vec![&mut alice, &mut bob, &mut carol, &mut dave], &mut dr).await;
    keep(&app).await;
    assert_eq!(offered(&carol, &dr).await, Some(at));
    go_to(&app, over, vec![&mut alice, &mut bob, &mut carol, &mut dave], &mut dr).await;
    // until it is passed on nobody comes in between
    assert!(!is_free(&alice, &dr, at).await && !is_free(&dave, &dr, at).await);
    keep(&app).await;
    assert_eq!(offered(&carol, &dr).await, None);
    assert_eq!(offered(&dave, &dr).await, Some(at));
    carol.post("/consultations", wish(&dr, &at.to_rfc3339())).await.refused(409, "slot_taken");
    // nobody is left: everybody can have it, and the three still wait
    dave.delete(&decline).await.expect(204);
    app.settle().await;
    assert_eq!(statuses(&app, "waitlist_offers").await, ["declined", "lapsed", "declined"]);
    assert_eq!(statuses(&app, "waitlist_holds").await, ["released"]);
    assert_eq!(statuses(&app, "waitlist_entries").await, ["waiting", "waiting", "waiting"]);
    assert!(is_free(&alice, &dr, at).await);
    alice.post("/consultations", wish(&dr, &at.to_rfc3339())).await.expect(201);
    keep(&app).await;
}

#[tokio::test]
async fn only_who_wants_it_and_could_book_it_is_asked() {
    let (app, company, alice, dr, booked, [bob, carol, dave]) = waiting_room().await;
    let at = start(&booked);
    let erin = app.employee(&company).await;
    let suspended = app.company("Globex").await;
    let frank = app.employee(&suspended).await;
    join(&frank, &dr).await;
    // an hour does not fit into the half, another day, too early an end; and somebody who is elsewhere then
    let wrong = at.with_timezone(&chrono_tz::Europe::Paris).format("%u").to_string().parse::<i64>().unwrap() % 7 + 1;
    sqlx::query("UPDATE app.users SET time_zone = 'Europe/Paris'").execute(app.db()).await.unwrap();
    bob.post(&list(&dr), json!({"weekdays": [wrong]})).await.expect(201);
    carol.post(&list(&dr), json!({"until": at - TimeDelta::hours(1)})).await.expect(201);
    join(&dave, &dr).await;
    let other = app.practitioner().await;
    dave.post("/consultations", wish(&other, &at.to_rfc3339())).await.expect(201);
    erin.post(&list(&dr), json!({"modes": ["video"], "durationMinutes": 30})).await.expect(201);
    sqlx::query("UPDATE app.companies SET status = 'suspended' WHERE id = $1")
        .bind(suspended.id)
        .execute(app.db())
        .await
        .unwrap();
    cancel(&alice, &booked).await;
    app.settle().await;
    for person in [&bob, &carol, &dave] {
        assert_eq!(offered(person, &dr).await, None);
    }
    assert_eq!(offered(&erin, &dr).await, Some(at));
    assert_eq!(app.count("SELECT count(*) FROM app.waitlist_offers").await, 1);
    // and nobody else wants it
    erin.delete(&list(&dr)).await.expect(204);
    app.settle().await;
    assert!(is_free(&alice, &dr, at).await);
    keep(&app).await;
}

#[tokio::test]
async fn a_longer_session_is_offered_where_there_is_room_beside_what_became_free() {
    let (app, company, alice, dr, _, [bob]) = waiting_room().await;
    let day = in_days(&app, 6);
    let open = free(&alice, &dr, day).await;
    // half past ten is free, ten is Alice's, the rest before eleven is somebody else's
    let hers = alice.post("/consultations", wish(&dr, &open[2])).await.expect(201);
    let taker = app.employee(&company).await;
    taker.post("/consultations", wish(&dr, &open[1])).await.expect(201);
    app.settle().await;
    bob.post(&list(&dr), json!({"durationMinutes": 60})).await.expect(201);
    cancel(&alice, &hers).await;
    app.settle().await;
    let kept = offer(&bob, &dr).await.unwrap();
    assert_eq!(instant(kept["startsAt"].as_str().unwrap()), instant(&open[2]));
    assert_eq!(instant(kept["endsAt"].as_str().unwrap()), instant(&open[4]));
    // the half hour beside it is kept as well
    alice.post("/consultations", wish(&dr, &open[3])).await.refused(409, "slot_taken");
    let mut body = wish(&dr, &open[2]);
    body["durationMinutes"] = json!(60);
    bob.post("/consultations", body).await.expect(201);
    app.settle().await;
    assert_nothing_overlaps(&app).await;
}

#[tokio::test]
async fn what_one_leaves_of_a_kept_time_goes_to_the_next() {
    let (app, _, alice, dr, _, [bob, carol]) = waiting_room().await;
    let open = free(&alice, &dr, in_days(&app, 6)).await;
    let mut body = wish(&dr, &open[4]);
    body["durationMinutes"] = json!(60);
    let hour = alice.post("/consultations", body).await.expect(201);
    app.settle().await;
    join(&bob, &dr).await;
    join(&carol, &dr).await;
    cancel(&alice, &hour).await;
    app.settle().await;
    assert_eq!(offered(&bob, &dr).await, Some(instant(&open[4])));
    bob.post("/consultations", wish(&dr, &open[4])).await.expect(201);
    alice.post("/consultations", wish(&dr, &open[5])).await.refused(409, "slot_taken");
    keep(&app).await;
    assert_eq!(offered(&carol, &dr).await, Some(instant(&open[5])));
    carol.post("/consultations", wish(&dr, &open[5])).await.expect(201);
    app.settle().await;
    assert_nothing_overlaps(&app).await;
}

#[tokio::test]
async fn what_is_moved_frees_only_what_it_leaves_and_can_be_moved_onto_a_kept_time() {
    let (app, _, alice, dr, _, [bob, carol]) = waiting_room().await;
    let open = free(&alice, &dr, in_days(&app, 6)).await;
    let mut body = wish(&dr, &open[4]);
    body["durationMinutes"] = json!(60);
    let hour = alice.post("/consultations", body).await.expect(201);
    let his = bob.post("/consultations", wish(&dr, &open[10])).await.expect(201);
    app.settle().await;
    join(&bob, &dr).await;
    // from ten to half past ten, as long: the first half hour is free
    let later = json!({"startsAt": open[5]});
    alice.post(&format!("/consultations/{}/reschedule", hour.str("/id")), later).await.expect(200);
    app.settle().await;
    assert_eq!(offered(&bob, &dr).await, Some(instant(&open[4])));
    // he moves his own session there, and waits on; what it leaves is nobody's
    let there = json!({"startsAt": open[4]});
    carol.post("/consultations", wish(&dr, &open[4])).await.refused(409, "slot_taken");
    bob.post(&format!("/consultations/{}/reschedule", his.str("/id")), there).await.expect(200);
    app.settle().await;
    assert_eq!(statuses(&app, "waitlist_offers").await, ["taken"]);
    assert_eq!(statuses(&app, "waitlist_holds").await, ["taken", "released"]);
    assert_eq!(offered(&bob, &dr).await, None, "he is not offered what he left");
    assert!(is_free(&carol, &dr, instant(&open[10])).await);
    assert_nothing_overlaps(&app).await;
}

#[tokio::test]
async fn a_request_that_lapses_frees_its_time_and_gives_the_place_back() {
    let (app, _, mut alice, mut dr, booked, [mut bob, mut carol]) = waiting_room().await;
    dr.patch(&format!("/practitioners/{}", dr.id), json!({"confirmsByHand": true})).await.expect(200);
    join(&bob, &dr).await;
    join(&carol, &dr).await;
    let at = start(&booked);
    cancel(&alice, &booked).await;
    app.settle().await;
    let asked = bob.post("/consultations", wish(&dr, &at.to_rfc3339())).await.expect(201);
    assert_eq!(asked.json["status"], "pending");
    bob.get(&list(&dr)).await.refused(404, "not_found");
    app.settle().await;
    let over = instant(&asked.str("/expiresAt"));
    go_to(&app, over, vec![&mut alice, &mut bob, &mut carol], &mut dr).await;
    app.enqueue(&huntzen::domain::consultations::KeepTime {}).await;
    app.settle().await;
    // who asked in vain is first again, but the time is the next one's
    assert_eq!(offered(&carol, &dr).await, Some(at));
    assert_eq!(offered(&bob, &dr).await, None);
    assert_eq!(statuses(&app, "waitlist_entries").await, ["waiting", "waiting"]);
    app.settle().await;
}

#[tokio::test]
async fn where_nobody_waits_what_is_given_back_is_free_at_once() {
    let (app, _, alice, dr, booked, [bob]) = waiting_room().await;
    join(&bob, &dr).await;
    bob.delete(&list(&dr)).await.expect(204);
    cancel(&alice, &booked).await;
    assert!(is_free(&alice, &dr, start(&booked)).await);
    // who joins afterwards takes it like anybody
    join(&bob, &dr).await;
    bob.post("/consultations", wish(&dr, &start(&booked).to_rfc3339())).await.expect(201);
    app.settle().await;
    assert_eq!(app.count("SELECT count(*) FROM app.waitlist_holds").await, 0);
}

#[tokio::test]
async fn a_second_time_is_kept_while_the_only_one_who_waits_is_asked_about_a_first() {
    let (app, _, alice, dr, booked, [bob, stranger]) = waiting_room().await;
    let open = free(&alice, &dr, in_days(&app, 6)).await;
    let other = alice.post("/consultations", wish(&dr, &open[4])).await.expect(201);
    app.settle().await;
    join(&bob, &dr).await;
    cancel(&alice, &booked).await;
    app.settle().await;
    cancel(&alice, &other).await;
    keep(&app).await;
    assert_eq!(offered(&bob, &dr).await, Some(start(&booked)));
    for at in [start(&booked), start(&other)] {
        assert!(!is_free(&stranger, &dr, at).await);
        stranger.post("/consultations", wish(&dr, &at.to_rfc3339())).await.refused(409, "slot_taken");
    }
    // who does not want the first is asked about the second
    let decline = format!("{}/offer", list(&dr));
    bob.delete(&decline).await.expect(204);
    app.settle().await;
    assert_eq!(offered(&bob, &dr).await, Some(start(&other)));
    assert!(is_free(&stranger, &dr, start(&booked)).await);
    assert!(!is_free(&stranger, &dr, start(&other)).await);
    bob.delete(&decline).await.expect(204);
    app.settle().await;
    assert!(is_free(&stranger, &dr, start(&other)).await);
    assert_eq!(statuses(&app, "waitlist_holds").await, ["released", "released"]);
}

#[tokio::test]
async fn who_takes_the_first_leaves_the_second_to_everybody_and_the_next_in_line_is_asked_before() {
    let (app, _, alice, dr, booked, [bob, carol, stranger]) = waiting_room().await;
    let open = free(&alice, &dr, in_days(&app, 6)).await;
    let mut hers = Vec::new();
    for slot in [&open[2], &open[6]] {
        hers.push(alice.post("/consultations", wish(&dr, slot)).await.expect(201));
    }
    app.settle().await;
    join(&bob, &dr).await;
    join(&carol, &dr).await;
    for it in [&booked, &hers[0], &hers[1]] {
        cancel(&alice, it).await;
        app.settle().await;
    }
    assert_eq!(offered(&bob, &dr).await, Some(start(&booked)));
    assert_eq!(offered(&carol, &dr).await, Some(start(&hers[0])));
    assert!(!is_free(&stranger, &dr, start(&hers[1])).await);
    bob.post("/consultations", wish(&dr, &start(&booked).to_rfc3339())).await.expect(201);
    keep(&app).await;
    assert!(!is_free(&stranger, &dr, start(&hers[1])).await, "Carol may want it");
    carol.post("/consultations", wish(&dr, &start(&hers[0]).to_rfc3339())).await.expect(201);
    keep(&app).await;
    assert!(is_free(&stranger, &dr, start(&hers[1])).await);
    assert_nothing_overlaps(&app).await;
}

#[tokio::test]
async fn who_declined_a_session_is_not_asked_about_it_when_it_comes_back() {
    let (app, _, mut alice, mut dr, booked, [mut bob, mut carol]) = waiting_room().await;
    dr.patch(&format!("/practitioners/{}", dr.id), json!({"confirmsByHand": true})).await.expect(200);
    join(&bob, &dr).await;
    join(&carol, &dr).await;
    let at = start(&booked);
    cancel(&alice, &booked).await;
    app.settle().await;
    bob.delete(&format!("{}/offer", list(&dr))).await.expect(204);
    app.settle().await;
    let asked = carol.post("/consultations", wish(&dr, &at.to_rfc3339())).await.expect(201);
    app.settle().await;
    let over = instant(&asked.str("/expiresAt"));
    go_to(&app, over, vec![&mut alice, &mut bob, &mut carol], &mut dr).await;
    app.enqueue(&huntzen::domain::consultations::KeepTime {}).await;
    app.settle().await;
    assert_eq!(offered(&bob, &dr).await, None);
    keep(&app).await;
    assert!(is_free(&alice, &dr, at).await);
}

#[tokio::test]
async fn however_much_is_given_back_one_time_is_kept_beside_the_one_that_is_offered() {
    let (app, company, alice, dr, _, [bob, stranger]) = waiting_room().await;
    sqlx::query("UPDATE app.companies SET sessions_per_employee = 100 WHERE id = $1")
        .bind(company.id)
        .execute(app.db())
        .await
        .unwrap();
    join(&bob, &dr).await;
    let open = free(&alice, &dr, in_days(&app, 6)).await;
    // the soonest last: what is kept does not depend on the order
    for slot in [&open[10], &open[8], &open[6], &open[4], &open[2]] {
        let booked = alice.post("/consultations", wish(&dr, slot)).await.expect(201);
        cancel(&alice, &booked).await;
        app.settle().await;
    }
    keep(&app).await;
    assert_eq!(offered(&bob, &dr).await, Some(instant(&open[10])));
    let mut kept = Vec::new();
    for slot in [&open[2], &open[4], &open[6], &open[8]] {
        if !is_free(&stranger, &dr, instant(slot)).await {
            kept.push(slot.clone());
        }
    }
    assert_eq!(kept, [open[2].clone()]);
}

#[tokio::test]
async fn whoever_lets_three_offers_in_a_row_lapse_waits_no_more() {
    let (app, _, mut alice, mut dr, _, [mut bob]) = waiting_room().await;
    join(&bob, &dr).await;
    let open = free(&alice, &dr, in_days(&app, 6)).await;
    for (nth, slot) in [&open[2], &open[4], &open[6]].into_iter().enumerate() {
        let booked = alice.post("/consultations", wish(&dr, slot)).await.expect(201);
        cancel(&alice, &booked).await;
        app.settle().await;
        assert_eq!(offered(&bob, &dr).await, Some(instant(slot)), "{nth}");
        let over = instant(offer(&bob, &dr).await.unwrap()["expiresAt"].as_str().unwrap());
        go_to(&app, over, vec![&mut alice, &mut bob], &mut dr).await;
        keep(&app).await;
    }
    keep(&app).await;
    bob.get(&list(&dr)).await.refused(404, "not_found");
    assert_eq!(statuses(&app, "waitlist_entries").await, ["lapsed"]);
}

#[tokio::test]
async fn what_was_kept_beside_a_freed_time_is_free_when_the_offer_ends() {
    let (app, company, alice, dr, _, [bob, carol]) = waiting_room().await;
    let day = in_days(&app, 6);
    let open = free(&alice, &dr, day).await;
    let hers = alice.post("/consultations", wish(&dr, &open[2])).await.expect(201);
    let first = alice.post("/consultations", wish(&dr, &open[8])).await.expect(201);
    app.settle().await;
    let stranger = app.employee(&company).await;
    // Carol is asked about another time, Bob about an hour of which one half was given back
    join(&carol, &dr).await;
    cancel(&alice, &first).await;
    app.settle().await;
    bob.post(&list(&dr), json!({"durationMinutes": 60})).await.expect(201);
    cancel(&alice, &hers).await;
    app.settle().await;
    let kept = offer(&bob, &dr).await.unwrap();
    let (from, until) = (instant(kept["startsAt"].as_str().unwrap()), instant(kept["endsAt"].as_str().unwrap()));
    assert_eq!(until - from, TimeDelta::hours(1));
    let beside = if from == instant(&open[2]) { &open[3] } else { &open[1] };
    assert!(!is_free(&stranger, &dr, instant(beside)).await);
    bob.delete(&format!("{}/offer", list(&dr))).await.expect(204);
    app.settle().await;
    assert!(is_free(&stranger, &dr, instant(beside)).await);
    assert!(!is_free(&stranger, &dr, instant(&open[2])).await, "Carol may want it");
}
