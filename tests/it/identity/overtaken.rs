//! A log-in and a change of its account at the same moment: whichever is first, nothing stays open that should not.

use huntzen::platform::crypto::passwords::{Cost, Passwords};
use serde_json::json;

use super::log_in;
use crate::practitioners::claire;
use crate::support::app::PASSWORD;
use crate::support::{Answer, TestApp, User};
use crate::two_factor::enabled;

const OTHER: &str = "seven calm herons wade";

/// What somebody's password is hashed to, at a cost that the program does not have.
async fn cheap_hash(app: &TestApp, password: &str) -> String {
    let entropy = &app.platform.entropy;
    Passwords::new(Cost { memory_kib: 16, passes: 1 }, entropy).unwrap().hash(&password.into(), entropy).await.unwrap()
}

async fn stored_hash(app: &TestApp, user: &User) -> String {
    sqlx::query_scalar("SELECT password_hash FROM app.users WHERE id = $1")
        .bind(user.id)
        .fetch_one(app.db())
        .await
        .unwrap()
}

async fn store_hash(app: &TestApp, user: &User, hash: &str) {
    sqlx::query("UPDATE app.users SET password_hash = $2 WHERE id = $1")
        .bind(user.id)
        .bind(hash)
        .execute(app.db())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_log_in_that_a_new_password_or_a_suspension_overtakes_opens_nothing() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let other = app.platform.passwords.hash(&OTHER.into(), &app.platform.entropy).await.unwrap();
    // to a session, and to a ticket for the second step
    let (alice, bob) = (app.employee(&company).await, app.employee(&company).await);
    enabled(&app, &bob).await;
    for user in [&alice, &bob] {
        let right = stored_hash(&app, user).await;
        for (change, status, code) in [
            ("UPDATE app.users SET password_hash = $2 WHERE id = $1", 401, "invalid_credentials"),
            ("UPDATE app.users SET status = 'suspended' WHERE id = $1 AND $2 <> ''", 403, "account_suspended"),
        ] {
            // the right password is seen; what it opens waits for the change, which is not committed yet
            let mut changing = app.db().begin().await.unwrap();
            sqlx::query(change).bind(user.id).bind(&other).execute(&mut *changing).await.unwrap();
            let logging_in = tokio::spawn({
                let request = app.anonymous();
                let body = json!({"email": user.email, "password": PASSWORD});
                async move { request.post("/auth/login", body).await }
            });
            app.until_one_waits().await;
            changing.commit().await.unwrap();
            logging_in.await.unwrap().refused(status, code);
            let left = "SELECT count(*) FROM app.one_time_tokens WHERE purpose = 'login_ticket'";
            assert_eq!(app.count(left).await, 0, "{change}");
            sqlx::query("UPDATE app.users SET status = 'active', password_hash = $2 WHERE id = $1")
                .bind(user.id)
                .bind(&right)
                .execute(app.db())
                .await
                .unwrap();
            app.clock.advance(chrono::TimeDelta::seconds(5));
        }
    }
    assert_eq!(app.count("SELECT count(*) FROM app.audit_logs WHERE action = 'session.opened'").await, 0);
    assert_eq!(app.count("SELECT count(*) FROM app.audit_logs WHERE action = 'session.refused'").await, 4);
    app.settle().await;
}

#[tokio::test]
async fn a_log_in_that_was_first_is_ended_by_the_new_password() {
    let app = TestApp::start().await;
    let admin = app.platform_admin().await;
    let other = app.platform_admin().await;
    for (user, from_session) in [(&admin, true), (&other, false)] {
        let hash = stored_hash(&app, user).await;
        // a log-in that is about to commit
        let mut opening = app.db().begin().await.unwrap();
        sqlx::query("SELECT * FROM auth.hold_login($1, $2, NULL)")
            .bind(user.id)
            .bind(&hash)
            .execute(&mut *opening)
            .await
            .unwrap();
        sqlx::query(
            "SELECT auth.open_session(gen_random_uuid(), $1, gen_random_uuid(), sha256($2), 'first', NULL, now(),
                                      now() + interval '1 day')",
        )
        .bind(user.id)
        .bind(&user.id.0.as_bytes()[..])
        .execute(&mut *opening)
        .await
        .unwrap();
        let changing: tokio::task::JoinHandle<Answer> = if from_session {
            let (user, body) = (user.clone(), json!({"currentPassword": PASSWORD, "newPassword": OTHER}));
            tokio::spawn(async move { user.post("/auth/change-password", body).await })
        } else {
            app.anonymous().post("/auth/forgot-password", json!({"email": user.email})).await.expect(202);
            app.settle().await;
            let token = app.mails_to(&user.email)[0].link_parameter("token");
            let (nobody, body) = (app.anonymous(), json!({"token": token, "password": OTHER}));
            tokio::spawn(async move { nobody.post("/auth/reset-password", body).await })
        };
        app.until_one_waits().await;
        opening.commit().await.unwrap();
        changing.await.unwrap().expect(204);
    }
    let open = "SELECT count(*) FROM app.user_sessions WHERE device = 'first' AND revoked_at IS NULL";
    assert_eq!(app.count(open).await, 0);
    assert_eq!(app.count("SELECT count(*) FROM app.user_sessions WHERE device = 'first'").await, 2);
    app.settle().await;
}

#[tokio::test]
async fn a_ticket_from_before_a_new_password_opens_nothing_after_it() {
    let app = TestApp::start().await;
    let admin = app.platform_admin().await;
    let phone = enabled(&app, &admin).await;
    let ticket = log_in(&app, &admin).await.expect(200).str("/ticket");
    let body = json!({"currentPassword": PASSWORD, "newPassword": OTHER});
    admin.post("/auth/change-password", body).await.expect(204);
    let step = json!({"ticket": ticket, "code": phone.code(&app, 0)});
    app.anonymous().post("/auth/login/totp", step).await.refused(401, "invalid_login_ticket");
    app.settle().await;
}

#[tokio::test]
async fn a_hash_of_another_cost_is_made_anew_by_the_next_log_in() {
    let app = TestApp::start().await;
    let admin = app.platform_admin().await;
    let today = stored_hash(&app, &admin).await;
    let old = cheap_hash(&app, PASSWORD).await;
    let cost = |hash: &str| hash.rsplitn(3, '$').last().unwrap().to_owned();
    assert_ne!(cost(&old), cost(&today));
    store_hash(&app, &admin, &old).await;
    app.anonymous()
        .post("/auth/login", json!({"email": admin.email, "password": OTHER}))
        .await
        .refused(401, "invalid_credentials");
    assert_eq!(stored_hash(&app, &admin).await, old, "a wrong password changes nothing");
    app.clock.advance(chrono::TimeDelta::seconds(5));

    // several at once: one makes it anew, all are let in
    let answers = futures_util::future::join_all((0..6).map(|_| log_in(&app, &admin))).await;
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    let renewed = stored_hash(&app, &admin).await;
    assert_eq!(cost(&renewed), cost(&today));
    log_in(&app, &admin).await.expect(200);
    assert_eq!(stored_hash(&app, &admin).await, renewed, "once is enough");
    // nothing else followed from it
    admin.get("/me").await.expect(200);
    assert_eq!(app.count("SELECT count(*) FROM app.user_sessions WHERE revoked_at IS NOT NULL").await, 0);

    // with a second step as well: the ticket is of the new hash
    let phone = enabled(&app, &admin).await;
    store_hash(&app, &admin, &old).await;
    let ticket = log_in(&app, &admin).await.expect(200).str("/ticket");
    assert_eq!(cost(&stored_hash(&app, &admin).await), cost(&today));
    let step = json!({"ticket": ticket, "code": phone.code(&app, 0)});
    app.anonymous().post("/auth/login/totp", step).await.expect(200);
    app.settle().await;
}

#[tokio::test]
async fn a_stored_hash_that_cannot_be_read_is_an_ordinary_refusal() {
    let app = TestApp::start().await;
    let admin = app.platform_admin().await;
    store_hash(&app, &admin, "$argon2id$broken").await;
    let mut bodies = Vec::new();
    for email in [admin.email.as_str(), "nobody@people.test"] {
        let mut answer = app
            .anonymous()
            .post("/auth/login", json!({"email": email, "password": PASSWORD}))
            .await
            .refused(401, "invalid_credentials");
        answer.json["requestId"] = json!(null);
        bodies.push(answer.json);
    }
    assert_eq!(bodies[0], bodies[1]);
    let body = json!({"currentPassword": PASSWORD, "newPassword": OTHER});
    admin.post("/auth/change-password", body).await.refused(403, "wrong_password");
}

/// Both lock the account, and then what waits for its owner: neither waits for the other in a circle.
#[tokio::test]
async fn an_invitation_that_a_suspension_overtakes_opens_nothing() {
    let app = TestApp::start().await;
    let staff = app.platform_admin().await;
    let doctor = staff.post("/practitioners", claire()).await.expect(201).str("/id");
    app.settle().await;
    let token = app.mails()[0].link_parameter("token");
    let mut suspending = app.db().begin().await.unwrap();
    sqlx::query("SELECT FROM app.users WHERE id = $1::uuid FOR UPDATE")
        .bind(&doctor)
        .execute(&mut *suspending)
        .await
        .unwrap();
    let accepting = tokio::spawn({
        let request = app.anonymous();
        let body = json!({"token": token, "password": PASSWORD, "acceptTerms": true});
        async move { request.post("/auth/accept-invitation", body).await }
    });
    app.until_one_waits().await;
    sqlx::query("UPDATE app.users SET status = 'suspended' WHERE id = $1::uuid")
        .bind(&doctor)
        .execute(&mut *suspending)
        .await
        .unwrap();
    suspending.commit().await.unwrap();
    accepting.await.unwrap().refused(410, "invalid_invitation");
}

/// Of many guesses at once one is judged. The others are told so before anything takes longer because one was right.
#[tokio::test]
async fn a_right_password_that_was_overtaken_by_failures_is_not_hashed_anew() {
    let app = TestApp::start().await;
    let admin = app.platform_admin().await;
    let old = cheap_hash(&app, PASSWORD).await;
    store_hash(&app, &admin, &old).await;
    // whatever was found, it came too late to be judged
    sqlx::raw_sql(
        "CREATE OR REPLACE FUNCTION auth.attempt_succeeded(delayed bytea, budgets bytea[], allowed double precision[],
                                                           at timestamptz) RETURNS int LANGUAGE sql AS 'SELECT 7'",
    )
    .execute(app.db())
    .await
    .unwrap();
    let before = app.platform.passwords.hashed();
    log_in(&app, &admin).await.refused(429, "too_many_attempts");
    assert_eq!(app.platform.passwords.hashed() - before, 1, "verified, and no more");
    assert_eq!(stored_hash(&app, &admin).await, old);
}
