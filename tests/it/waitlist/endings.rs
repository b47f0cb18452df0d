//! What cannot be taken any more is withdrawn and passed on.

use super::*;

/// Bob is asked; Carol is next.
async fn asked() -> (TestApp, Company, User, User, DateTime<Utc>, User, User) {
    let (app, company, alice, dr, booked, [bob, carol]) = waiting_room().await;
    join(&bob, &dr).await;
    join(&carol, &dr).await;
    cancel(&alice, &booked).await;
    app.settle().await;
    assert_eq!(offered(&bob, &dr).await, Some(start(&booked)));
    (app, company, alice, dr, start(&booked), bob, carol)
}

async fn run(app: &TestApp, sql: &'static str, id: uuid::Uuid) {
    sqlx::query(sql).bind(id).execute(app.db()).await.unwrap();
}

#[tokio::test]
async fn a_booking_elsewhere_at_that_time_withdraws_the_offer() {
    let (app, _, _, dr, at, bob, carol) = asked().await;
    let other = app.practitioner().await;
    // what is kept for oneself stands in nobody's way but others'
    bob.post("/consultations", wish(&other, &at.to_rfc3339())).await.expect(201);
    assert_eq!(offered(&bob, &dr).await, None);
    keep(&app).await;
    assert_eq!(offered(&carol, &dr).await, Some(at));
    bob.get(&list(&dr)).await.expect(200);
    assert_nothing_overlaps(&app).await;
}

#[tokio::test]
async fn a_booking_of_the_last_session_withdraws_the_offer() {
    let (app, _, _, dr, at, bob, carol) = asked().await;
    sqlx::query("UPDATE app.companies SET sessions_per_employee = 1").execute(app.db()).await.unwrap();
    keep(&app).await;
    assert_eq!(offered(&bob, &dr).await, Some(at), "one is left");
    let other = app.practitioner().await;
    book_on(&bob, &other, in_days(&app, 8)).await;
    assert_eq!(offered(&bob, &dr).await, None);
    keep(&app).await;
    assert_eq!(offered(&carol, &dr).await, Some(at));
    carol.post("/consultations", wish(&dr, &at.to_rfc3339())).await.expect(201);
    app.settle().await;
}

#[tokio::test]
async fn another_time_of_the_practitioner_ends_the_wait_and_passes_the_offer_on() {
    let (app, _, _, dr, at, bob, carol) = asked().await;
    book_on(&bob, &dr, in_days(&app, 8)).await;
    bob.get(&list(&dr)).await.refused(404, "not_found");
    keep(&app).await;
    assert_eq!(offered(&carol, &dr).await, Some(at));
}

#[tokio::test]
async fn who_leaves_the_list_or_the_company_passes_it_on() {
    let (app, company, alice, dr, at, bob, carol) = asked().await;
    bob.delete(&list(&dr)).await.expect(204);
    assert!(!is_free(&alice, &dr, at).await);
    app.settle().await;
    assert_eq!(offered(&carol, &dr).await, Some(at));
    // HR lets Carol go: her place ends, and nobody is left
    let sql = "SELECT e.id FROM app.employees e JOIN app.users u ON u.employee_id = e.id WHERE u.id = $1";
    let entry: uuid::Uuid = sqlx::query_scalar(sql).bind(carol.id).fetch_one(app.db()).await.unwrap();
    company.hr.delete(&format!("/employees/{entry}")).await.expect(204);
    keep(&app).await;
    assert_eq!(statuses(&app, "waitlist_entries").await, ["left", "ended"]);
    assert_eq!(statuses(&app, "waitlist_offers").await, ["withdrawn", "withdrawn"]);
    assert_eq!(statuses(&app, "waitlist_holds").await, ["released"]);
    assert!(is_free(&alice, &dr, at).await);
}

#[tokio::test]
async fn a_suspended_company_or_account_passes_it_on_and_keeps_its_place() {
    let (app, _, _, dr, at, mut bob, _) = asked().await;
    let globex = app.company("Globex").await;
    let gina = app.employee(&globex).await;
    join(&gina, &dr).await;
    run(&app, "UPDATE app.users SET status = 'suspended' WHERE id = $1", bob.id.0).await;
    run(&app, "UPDATE app.companies SET status = 'suspended' WHERE id <> $1", globex.id.0).await;
    keep(&app).await;
    assert_eq!(offered(&gina, &dr).await, Some(at));
    assert_eq!(statuses(&app, "waitlist_entries").await, ["waiting", "waiting", "waiting"]);
    run(&app, "UPDATE app.companies SET status = 'active' WHERE id <> $1", globex.id.0).await;
    run(&app, "UPDATE app.users SET status = 'active' WHERE id = $1", bob.id.0).await;
    // his sessions ended with the suspension
    let now = app.clock.now();
    crate::consultations::at(&app, now, [(&mut bob, Role::Employee)]).await;
    assert!(!is_free(&bob, &dr, at).await);
    app.settle().await;
}

#[tokio::test]
async fn time_off_and_a_deactivated_practitioner_withdraw_the_offer() {
    let (app, _, alice, dr, at, bob, _) = asked().await;
    let day = at.with_timezone(&chrono_tz::Europe::Paris).date_naive();
    let body = json!({"kind": "time_off", "from": day, "to": day});
    let added = dr.post(&format!("/practitioners/{}/overrides", dr.id), body).await.expect(201);
    keep(&app).await;
    assert_eq!(offered(&bob, &dr).await, None);
    assert_eq!(statuses(&app, "waitlist_offers").await, ["withdrawn"]);
    assert_eq!(statuses(&app, "waitlist_holds").await, ["released"]);
    dr.delete(&format!("/practitioners/{}/overrides/{}", dr.id, added.str("/id"))).await.expect(200);
    // hours that open are everybody's at once
    let again = alice.post("/consultations", wish(&dr, &at.to_rfc3339())).await.expect(201);
    cancel(&alice, &again).await;
    app.settle().await;
    assert_eq!(offered(&bob, &dr).await, Some(at));
    run(&app, "UPDATE app.practitioners SET status = 'inactive' WHERE id = $1", dr.id.0).await;
    keep(&app).await;
    assert_eq!(statuses(&app, "waitlist_offers").await, ["withdrawn", "withdrawn"]);
    assert_eq!(statuses(&app, "waitlist_holds").await, ["released", "released"]);
    // who waited waits no more at the schedule's next turn, and their place on other lists is free
    keep(&app).await;
    bob.get(&list(&dr)).await.refused(404, "not_found");
    assert!(statuses(&app, "waitlist_entries").await.iter().all(|it| it == "ended"));
}

#[tokio::test]
async fn a_wait_ends_with_its_term_and_what_is_over_is_forgotten_after_a_month() {
    let (app, _, mut alice, mut dr, booked, [mut bob, mut carol]) = waiting_room().await;
    let until = start(&booked) + TimeDelta::hours(1);
    bob.post(&list(&dr), json!({"until": until})).await.expect(201);
    join(&carol, &dr).await;
    cancel(&alice, &booked).await;
    app.settle().await;
    assert_eq!(offered(&bob, &dr).await, Some(start(&booked)));
    go_to(&app, until, vec![&mut alice, &mut bob, &mut carol], &mut dr).await;
    keep(&app).await;
    assert_eq!(statuses(&app, "waitlist_entries").await, ["lapsed", "waiting"]);
    bob.get(&list(&dr)).await.refused(404, "not_found");
    assert_eq!(app.count("SELECT count(*) FROM app.waitlist_offers").await, 1, "too late for anybody else");
    go_to(&app, until + TimeDelta::days(31), vec![&mut alice, &mut bob, &mut carol], &mut dr).await;
    keep(&app).await;
    for table in ["waitlist_offers", "waitlist_holds"] {
        assert!(statuses(&app, table).await.is_empty(), "{table}");
    }
    assert_eq!(statuses(&app, "waitlist_entries").await, ["waiting"]);
}

#[tokio::test]
async fn the_offer_ends_before_the_practitioners_notice() {
    let (app, _, mut alice, mut dr, booked, [mut bob, mut carol]) = waiting_room().await;
    sqlx::query("UPDATE app.practitioners SET min_notice_minutes = 120").execute(app.db()).await.unwrap();
    join(&bob, &dr).await;
    join(&carol, &dr).await;
    let at = start(&booked);
    go_to(&app, at - TimeDelta::minutes(180), vec![&mut alice, &mut bob, &mut carol], &mut dr).await;
    cancel(&alice, &booked).await;
    app.settle().await;
    let kept = offer(&bob, &dr).await.unwrap();
    // a quarter of the hour that is left: others may want it
    let distance = instant(kept["expiresAt"].as_str().unwrap()) - (at - TimeDelta::minutes(165));
    assert!(distance.abs() < TimeDelta::seconds(30), "{distance}");
    // what nobody could answer in time is not offered
    go_to(&app, at - TimeDelta::minutes(134), vec![&mut alice, &mut bob, &mut carol], &mut dr).await;
    bob.delete(&format!("{}/offer", list(&dr))).await.expect(204);
    app.settle().await;
    assert_eq!(offered(&carol, &dr).await, None);
    assert!(is_free(&alice, &dr, at).await);
    app.settle().await;
}
