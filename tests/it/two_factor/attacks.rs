//! Replays, races and guesses.

use chrono::TimeDelta;
use futures_util::future::join_all;
use huntzen::platform::auth::Role;
use serde_json::json;

use super::{App, audited, enabled, next_step, step, ticket};
use crate::support::TestApp;
use crate::support::app::PASSWORD;

/// With connections for so many at once: nobody is turned away but by the second factor.
async fn roomy() -> TestApp {
    TestApp::start_with(|name| match name {
        "DATABASE_POOL_SIZE" => Some("20".into()),
        "DATABASE_ACQUIRE_TIMEOUT_MS" => Some("20000".into()),
        _ => None,
    })
    .await
}

#[tokio::test]
async fn twenty_log_ins_with_the_same_code_open_one_session() {
    let app = roomy().await;
    let admin = app.platform_admin().await;
    let phone = enabled(&app, &admin).await;
    let mut tickets = Vec::new();
    for _ in 0..20 {
        tickets.push(ticket(&app, &admin).await);
    }
    // making so many tickets took its time
    next_step(&app);
    let code = phone.code(&app, 0);
    let answers = join_all(tickets.iter().map(|ticket| step(&app, ticket, json!({"code": code})))).await;
    let passed = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(passed, 1, "{:?}", answers.iter().map(|answer| answer.status).collect::<Vec<_>>());
    assert!(answers.iter().all(|answer| [200, 401, 429].contains(&answer.status.as_u16())));
    assert_eq!(audited(&app, "session.opened").await, 1);
    app.settle().await;
}

#[tokio::test]
async fn one_ticket_shown_twenty_times_at_once_opens_one_session() {
    let app = roomy().await;
    let admin = app.platform_admin().await;
    let phone = enabled(&app, &admin).await;
    let ticket = ticket(&app, &admin).await;
    let code = phone.code(&app, 0);
    let answers = join_all((0..20).map(|_| step(&app, &ticket, json!({"code": code})))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    assert!(answers.iter().all(|answer| [200, 401, 429].contains(&answer.status.as_u16())));
    app.settle().await;
}

#[tokio::test]
async fn twenty_enablings_at_once_make_one_set_of_recovery_codes() {
    let app = roomy().await;
    let company = app.company("Acme").await;
    let alice = app.employee(&company).await;
    next_step(&app);
    let offer = alice.post("/auth/totp/setup", json!({"password": PASSWORD})).await.expect(200);
    let code = App::of(&offer, Vec::new()).code(&app, 0);
    let answers = join_all((0..20).map(|_| alice.post("/auth/totp/enable", json!({"code": code})))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    for answer in answers.into_iter().filter(|answer| answer.status != 200) {
        answer.refused(409, "totp_not_set_up");
    }
    assert_eq!(app.count("SELECT count(*) FROM app.recovery_codes").await, 10);
    app.settle().await;
    assert_eq!(app.mails_to(&alice.email).len(), 1);
}

#[tokio::test]
async fn a_recovery_code_shown_twenty_times_at_once_opens_one_session() {
    let app = roomy().await;
    let admin = app.platform_admin().await;
    let phone = enabled(&app, &admin).await;
    let mut tickets = Vec::new();
    for _ in 0..20 {
        tickets.push(ticket(&app, &admin).await);
    }
    let shown = json!({"recoveryCode": phone.recovery_codes[3]});
    let answers = join_all(tickets.iter().map(|ticket| step(&app, ticket, shown.clone()))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    assert_eq!(app.count("SELECT count(*) FROM app.recovery_codes WHERE used_at IS NOT NULL").await, 1);
    assert_eq!(audited(&app, "recovery_code.used").await, 1);
    app.settle().await;
    assert_eq!(app.mails_to(&admin.email).len(), 2, "enabled, and one code used");
}

#[tokio::test]
async fn a_step_counts_once_whatever_its_code_is_shown_for() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let alice = app.employee(&company).await;
    let phone = enabled(&app, &alice).await;
    // the code that enabled it
    let first = ticket(&app, &alice).await;
    step(&app, &first, json!({"code": phone.code(&app, -1)})).await.refused(401, "invalid_totp_code");
    app.clock.advance(TimeDelta::minutes(2));
    next_step(&app);

    let code = phone.code(&app, 0);
    let second = ticket(&app, &alice).await;
    step(&app, &second, json!({"code": code})).await.expect(200);
    // the one of the log-in, for everything else
    let disable = json!({"password": PASSWORD, "code": code});
    alice.post("/auth/totp/disable", disable).await.refused(403, "wrong_totp_code");
    app.clock.advance(TimeDelta::seconds(2));
    alice
        .post("/auth/totp/recovery-codes", json!({"password": PASSWORD, "code": code}))
        .await
        .refused(403, "wrong_totp_code");
    app.clock.advance(TimeDelta::seconds(4));
    let setup = json!({"password": PASSWORD, "code": code});
    alice.post("/auth/totp/setup", setup).await.refused(403, "wrong_totp_code");
    // and the other way round
    app.clock.advance(TimeDelta::minutes(2));
    next_step(&app);
    let code = phone.code(&app, 0);
    alice.post("/auth/totp/recovery-codes", json!({"password": PASSWORD, "code": code})).await.expect(200);
    let third = ticket(&app, &alice).await;
    step(&app, &third, json!({"code": code})).await.refused(401, "invalid_totp_code");
    app.settle().await;
}

#[tokio::test]
async fn whoever_guesses_codes_waits_longer_each_time_also_with_new_tickets() {
    let app = TestApp::start().await;
    let admin = app.platform_admin().await;
    let phone = enabled(&app, &admin).await;
    let mut waits = Vec::new();
    for _ in 0..4 {
        let guess = ticket(&app, &admin).await;
        step(&app, &guess, json!({"code": "000000"})).await.refused(401, "invalid_totp_code");
        // at once again: not even looked at, and the ticket loses no try
        let next = ticket(&app, &admin).await;
        let refused = step(&app, &next, json!({"code": phone.code(&app, 0)})).await.refused(429, "too_many_attempts");
        waits.push(refused.header("retry-after").parse::<i64>().unwrap());
        app.clock.advance(TimeDelta::seconds(waits[waits.len() - 1]));
    }
    assert!(waits.windows(2).all(|two| two[0] < two[1]), "{waits:?}");
    // never for good
    next_step(&app);
    let last = ticket(&app, &admin).await;
    step(&app, &last, json!({"code": phone.code(&app, 0)})).await.expect(200);
    assert_eq!(audited(&app, "two_factor.refused").await, 4);
    // signed in as well
    admin
        .post("/auth/totp/recovery-codes", json!({"password": PASSWORD, "code": "000000"}))
        .await
        .refused(403, "wrong_totp_code");
    admin
        .post("/auth/totp/recovery-codes", json!({"password": PASSWORD, "code": "000000"}))
        .await
        .refused(429, "too_many_attempts");
    app.settle().await;
}

#[tokio::test]
async fn nobody_reaches_the_second_factor_of_another_through_the_database() {
    let app = TestApp::start().await;
    let admin = app.platform_admin().await;
    enabled(&app, &admin).await;
    // a secret that was moved to another account opens nothing there
    let thief = app.person(Role::PlatformAdmin, None).await;
    let theirs = enabled(&app, &thief).await;
    sqlx::query(
        "UPDATE app.two_factor SET secret = (SELECT secret FROM app.two_factor WHERE user_id = $2) WHERE user_id = $1",
    )
    .bind(admin.id)
    .bind(thief.id)
    .execute(app.db())
    .await
    .unwrap();
    let moved = ticket(&app, &admin).await;
    step(&app, &moved, json!({"code": theirs.code(&app, 0)})).await.refused(500, "internal");
    assert_eq!(audited(&app, "session.opened").await, 0);
    app.settle().await;
}

#[tokio::test]
async fn malformed_codes_are_named_and_spend_nothing() {
    let app = TestApp::start().await;
    let admin = app.platform_admin().await;
    let phone = enabled(&app, &admin).await;
    let ticket = ticket(&app, &admin).await;
    for (shown, pointer, code) in [
        (json!({}), "/code", "required"),
        (json!({"code": "12345"}), "/code", "pattern"),
        (json!({"code": "12345x"}), "/code", "pattern"),
        (json!({"code": 123_456}), "/code", "type"),
        (json!({"recoveryCode": "short"}), "/recoveryCode", "min_length"),
        (json!({"code": "123456", "recoveryCode": phone.recovery_codes[0]}), "/recoveryCode", "one_of_both"),
        (json!({"code": "123456", "remember": true}), "/remember", "unknown_property"),
    ] {
        let refused = step(&app, &ticket, shown.clone()).await.refused(422, "invalid");
        assert_eq!(refused.json["errors"][0]["pointer"], pointer, "{shown}");
        assert_eq!(refused.json["errors"][0]["code"], code, "{shown}");
    }
    for _ in 0..6 {
        step(&app, &ticket, json!({})).await.refused(422, "invalid");
    }
    let spaced = phone.code(&app, 0);
    step(&app, &ticket, json!({"code": format!("{} {}", &spaced[..3], &spaced[3..])})).await.expect(200);
    app.settle().await;
}
