//! The list, over HTTP.

use chrono::TimeDelta;
use huntzen::domain::consultations::KeepTime;
use huntzen::domain::consultations::events::ConsultationBooked;
use huntzen::domain::notifications::jobs::Purge;
use huntzen::platform::ids::ConsultationId;

use super::*;

#[tokio::test]
async fn whoever_has_nothing_gets_an_empty_list_in_every_role() {
    let (app, company, alice, dr) = scene().await;
    for user in [&alice, &dr, &company.hr, &company.admin, &app.platform_admin().await] {
        let list = user.get("/notifications").await.expect(200);
        assert_eq!(list.json, json!({"items": [], "unreadCount": 0}));
        let read = user.post("/notifications/read-all", json!({})).await.expect(200);
        assert_eq!(read.json, json!({"unreadCount": 0}));
    }
    for path in ["/notifications", "/notifications?unread=true"] {
        app.anonymous().get(path).await.refused(401, "unauthenticated");
    }
    app.anonymous().post("/notifications/read-all", json!({})).await.refused(401, "unauthenticated");
}

#[tokio::test]
async fn the_life_of_a_session_is_told_to_both_once_each_and_to_nobody_else() {
    let (app, company, mut alice, mut dr) = scene().await;
    let booked = book_on(&alice, &dr, in_days(&app, 4)).await;
    let id = booked.str("/id");
    app.settle().await;
    for person in [&alice, &dr] {
        let list = person.get("/notifications").await.expect(200);
        assert_eq!(list.json["unreadCount"], 1);
        let it = &list.json["items"][0];
        assert_eq!((&it["kind"], &it["objectType"]), (&json!("consultation_booked"), &json!("consultation")));
        assert_eq!(it["objectId"], id.as_str());
        assert!(it.get("readAt").is_none());
    }
    let later = free(&alice, &dr, in_days(&app, 5)).await.remove(2);
    alice.post(&format!("/consultations/{id}/reschedule"), json!({"startsAt": later})).await.expect(200);
    app.settle().await;
    go_to(&app, instant(&later) - TimeDelta::hours(24), &mut alice, &mut dr).await;
    app.enqueue(&KeepTime {}).await;
    app.settle().await;
    dr.post(&format!("/consultations/{id}/cancel"), json!({})).await.expect(200);
    app.settle().await;
    let expected = ["consultation_cancelled", "reminder_day", "consultation_rescheduled", "consultation_booked"];
    for person in [&alice, &dr] {
        assert_eq!(kinds(person).await, expected);
        assert_eq!(unread(person).await, 4);
    }
    let bob = app.employee(&company).await;
    for other in [&bob, &company.hr, &company.admin, &app.platform_admin().await, &app.practitioner().await] {
        let renewed = match other.id {
            id if id == company.hr.id => other.with_token(app.session(id, Role::Hr, other.company_id).await),
            id if id == company.admin.id => {
                other.with_token(app.session(id, Role::CompanyAdmin, other.company_id).await)
            }
            _ => other.clone(),
        };
        assert_eq!(kinds(&renewed).await, [] as [Value; 0]);
    }
}

#[tokio::test]
async fn an_event_that_is_heard_again_and_again_is_told_once() {
    let (app, _, alice, dr) = scene().await;
    let booked = book_on(&alice, &dr, in_days(&app, 4)).await;
    app.settle().await;
    let event = ConsultationBooked { consultation_id: ConsultationId(booked.str("/id").parse().unwrap()) };
    // the queue runs four of them beside each other
    for _ in 0..8 {
        app.enqueue_for(&event, alice.company_id, None).await;
    }
    app.settle().await;
    for person in [&alice, &dr] {
        assert_eq!(kinds(person).await, ["consultation_booked"]);
        assert_eq!(app.mails_to(&person.email).len(), 1);
    }
}

#[tokio::test]
async fn pages_go_back_through_the_list_and_unread_ones_can_be_asked_for() {
    let (app, _, alice, dr) = scene().await;
    for day in 3..8 {
        book_on(&alice, &dr, in_days(&app, day)).await;
        app.settle().await;
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = alice.get(&format!("/notifications?limit=2{cursor}")).await.expect(200);
        assert_eq!(page.json["unreadCount"], 5);
        seen.extend(page.json["items"].as_array().unwrap().iter().map(|item| item["id"].clone()));
        match page.json["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, all(&alice, "id").await);
    assert_eq!(seen.len(), 5);
    let read = alice.post(&format!("/notifications/{}/read", seen[1].as_str().unwrap()), json!({})).await.expect(200);
    assert_eq!(read.json, json!({"unreadCount": 4}));
    // once more changes nothing, the time included
    let first = alice.get("/notifications").await.expect(200).json["items"][1]["readAt"].clone();
    assert!(first.is_string());
    app.clock.advance(TimeDelta::minutes(1));
    alice.post(&format!("/notifications/{}/read", seen[1].as_str().unwrap()), json!({})).await.expect(200);
    let list = alice.get("/notifications?unread=true").await.expect(200);
    assert_eq!(list.json["items"].as_array().unwrap().len(), 4);
    assert!(list.json["items"].as_array().unwrap().iter().all(|item| item["id"] != seen[1]));
    assert_eq!(alice.get("/notifications").await.expect(200).json["items"][1]["readAt"], first);
    for _ in 0..2 {
        let read = alice.post("/notifications/read-all", json!({})).await.expect(200);
        assert_eq!(read.json, json!({"unreadCount": 0}));
    }
    assert_eq!(alice.get("/notifications?unread=true").await.expect(200).json["items"], json!([]));
    // hers alone
    assert_eq!(unread(&dr).await, 5);
}

#[tokio::test]
async fn what_is_others_or_nobodys_is_not_found_and_bad_questions_are_refused() {
    let (app, company, alice, dr) = scene().await;
    book_on(&alice, &dr, in_days(&app, 4)).await;
    app.settle().await;
    let hers = all(&alice, "id").await.remove(0);
    let path = format!("/notifications/{}/read", hers.as_str().unwrap());
    for other in [&dr, &company.hr, &company.admin, &app.employee(&company).await, &app.platform_admin().await] {
        other.post(&path, json!({})).await.refused(404, "not_found");
    }
    app.anonymous().post(&path, json!({})).await.refused(401, "unauthenticated");
    assert_eq!(unread(&alice).await, 1);
    alice.post("/notifications/0192aaaa-0000-7000-8000-000000000000/read", json!({})).await.refused(404, "not_found");
    alice.post("/notifications/mine/read", json!({})).await.refused(400, "invalid_parameter");
    alice.get("/notifications?limit=0").await.refused(400, "invalid_parameter");
    alice.get("/notifications?limit=101").await.refused(400, "invalid_parameter");
    alice.get("/notifications?cursor=nonsense").await.refused(400, "invalid_cursor");
    alice.get("/notifications?unread=perhaps").await.refused(400, "invalid_parameter");
}

#[tokio::test]
async fn words_are_in_the_language_of_the_request_and_the_zone_of_the_reader() {
    let (app, _, alice, dr) = scene().await;
    sqlx::query("UPDATE app.users SET time_zone = 'America/Martinique' WHERE id = $1")
        .bind(alice.id)
        .execute(app.db())
        .await
        .unwrap();
    let booked = book_on(&alice, &dr, in_days(&app, 4)).await;
    app.settle().await;
    let start = instant(&booked.str("/startsAt")).with_timezone(&chrono_tz::America::Martinique);
    let text = async |language: &str| {
        let request = alice.request(reqwest::Method::GET, "/notifications").header("accept-language", language);
        Answer::of(request).await.expect(200).str("/items/0/text")
    };
    let (english, french) = (text("en").await, text("fr").await);
    let clock = start.format("%H:%M (America/Martinique)").to_string();
    assert!(english.starts_with("A session is booked for ") && english.contains(&format!(" at {clock}.")), "{english}");
    assert!(
        french.starts_with("Une séance est réservée pour le ") && french.contains(&format!(" à {clock}.")),
        "{french}"
    );
}

#[tokio::test]
async fn old_ones_go_half_a_year_after_they_were_read_or_a_year_after_they_came() {
    let (app, _, mut alice, mut dr) = scene().await;
    book_on(&alice, &dr, in_days(&app, 3)).await;
    book_on(&alice, &dr, in_days(&app, 4)).await;
    app.settle().await;
    let first = all(&alice, "id").await.remove(0);
    alice.post(&format!("/notifications/{}/read", first.as_str().unwrap()), json!({})).await.expect(200);
    let start = app.clock.now();
    for (days, hers, his) in [(179, 2, 2), (181, 1, 2), (364, 1, 2), (366, 0, 0)] {
        go_to(&app, start + TimeDelta::days(days), &mut alice, &mut dr).await;
        app.enqueue(&Purge {}).await;
        app.settle().await;
        assert_eq!((all(&alice, "id").await.len(), all(&dr, "id").await.len()), (hers, his), "after {days} days");
    }
}
