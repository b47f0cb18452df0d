//! Forgotten, set anew, changed.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use futures_util::future::join_all;
use huntzen::platform::auth::tokens::hash_opaque;
use serde_json::json;

use super::{OTHER, audited, forgot, log_in, reset, token_to};
use crate::support::TestApp;
use crate::support::app::PASSWORD;

#[tokio::test]
async fn a_forgotten_password_is_set_anew_by_a_link() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let alice = app.employee(&company).await;
    let other = log_in(&app, &alice.email, PASSWORD).await.expect(200);
    forgot(&app, &alice.email.to_uppercase()).await.expect(202);
    app.settle().await;
    let mails = app.mails_to(&alice.email);
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0].subject, "Set a new password");
    let token = token_to(&app, &alice.email, "reset-password");

    let weak = reset(&app, &token, "short").await.refused(422, "invalid");
    assert_eq!(weak.str("/errors/0/code"), "password_too_short");
    let own = reset(&app, &token, &format!("{}!", alice.email)).await.refused(422, "invalid");
    assert_eq!(own.str("/errors/0/code"), "password_personal");
    // refusals of the password did not use the link up
    assert_eq!(app.count("SELECT count(*) FROM app.known_devices").await, 1);
    reset(&app, &token, OTHER).await.expect(204);
    assert_eq!(app.count("SELECT count(*) FROM app.known_devices").await, 0);
    app.settle().await;

    // it does not sign in; every session is over, at once
    alice.get("/me").await.refused(401, "unauthenticated");
    app.anonymous()
        .post("/auth/refresh", json!({"refreshToken": other.str("/refreshToken")}))
        .await
        .refused(401, "invalid_refresh_token");
    log_in(&app, &alice.email, PASSWORD).await.refused(401, "invalid_credentials");
    log_in(&app, &alice.email, OTHER).await.expect(200);
    let mails = app.mails_to(&alice.email);
    assert_eq!(mails.last().unwrap().subject, "Your password was changed");
    for action in ["user.password_reset_asked", "user.password_reset_mailed", "user.password_reset"] {
        assert_eq!(audited(&app, action).await, 1, "{action}");
    }
    reset(&app, &token, "another quiet heron").await.refused(410, "invalid_reset_token");
    assert_eq!(app.count("SELECT count(*) FROM app.users WHERE email_verified_at IS NOT NULL").await, 1);
}

#[tokio::test]
async fn whoever_asks_for_an_unknown_address_gets_the_same_answer_and_nobody_a_mail() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let alice = app.employee(&company).await;
    let mut answers = Vec::new();
    for email in [alice.email.as_str(), "nobody@people.test", "no address at all"] {
        let it = forgot(&app, email).await.expect(202);
        let mut names: Vec<_> = it.headers.keys().map(ToString::to_string).collect();
        names.sort();
        answers.push((it.bytes, names));
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0], answers[2]);
    // what waits holds no address
    let jobs: Vec<String> =
        sqlx::query_scalar("SELECT convert_from(job, 'UTF8') FROM apalis.jobs").fetch_all(app.db()).await.unwrap();
    assert_eq!(jobs.len(), 3);
    assert!(jobs.iter().all(|job| !job.contains('@') && !job.contains("people.test")), "{jobs:?}");
    app.settle().await;
    assert_eq!(app.mails().len(), 1);
}

#[tokio::test]
async fn who_cannot_log_in_gets_no_link() {
    let app = TestApp::start().await;
    let admin = app.platform_admin().await;
    for status in ["suspended", "invited"] {
        sqlx::query("UPDATE app.users SET status = $1 WHERE id = $2")
            .bind(status)
            .bind(admin.id)
            .execute(app.db())
            .await
            .unwrap();
        forgot(&app, &admin.email).await.expect(202);
        app.settle().await;
    }
    assert!(app.mails().is_empty());
    // nor does a link work that was sent before
    sqlx::query("UPDATE app.users SET status = 'active'").execute(app.db()).await.unwrap();
    forgot(&app, &admin.email).await.expect(202);
    app.settle().await;
    let token = token_to(&app, &admin.email, "reset-password");
    sqlx::query("UPDATE app.users SET status = 'suspended'").execute(app.db()).await.unwrap();
    reset(&app, &token, OTHER).await.refused(410, "invalid_reset_token");
}

#[tokio::test]
async fn a_link_works_for_half_an_hour_whatever_is_asked_for_meanwhile() {
    let app = TestApp::start().await;
    let admin = app.platform_admin().await;
    forgot(&app, &admin.email).await.expect(202);
    app.settle().await;
    let first = token_to(&app, &admin.email, "reset-password");
    app.clock.advance(TimeDelta::minutes(29));
    forgot(&app, &admin.email).await.expect(202);
    app.settle().await;
    let second = token_to(&app, &admin.email, "reset-password");
    assert_ne!(first, second);
    // too weak a password: the link opens, and is not used up
    reset(&app, &first, "short").await.refused(422, "invalid");
    app.clock.advance(TimeDelta::minutes(1));
    reset(&app, &first, OTHER).await.refused(410, "invalid_reset_token");
    reset(&app, &second, "short").await.refused(422, "invalid");
    app.clock.advance(TimeDelta::minutes(29));
    reset(&app, &second, OTHER).await.refused(410, "invalid_reset_token");
    log_in(&app, &admin.email, PASSWORD).await.expect(200);
    for wrong in ["x", "", &"A".repeat(200), "é"] {
        let answer = reset(&app, wrong, OTHER).await;
        assert!(matches!(answer.status.as_u16(), 410 | 422), "{wrong}: {answer:?}");
    }
}

#[tokio::test]
async fn whoever_asks_for_links_to_another_floods_nobody_and_leaves_them_one_that_works() {
    let app = TestApp::start().await;
    let admin = app.platform_admin().await;
    let ask = async || {
        forgot(&app, &admin.email).await.expect(202);
        app.settle().await;
        token_to(&app, &admin.email, "reset-password")
    };
    let mut links = Vec::new();
    for minute in 0..60 {
        // as often as the delays allow
        if minute % 5 == 0 {
            links.push(ask().await);
        }
        let newest = hash_opaque(links.last().unwrap());
        let opens: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT FROM app.one_time_tokens WHERE hash = $1 AND used_at IS NULL AND expires_at > $2)",
        )
        .bind(newest)
        .bind(app.clock.now())
        .fetch_one(app.db())
        .await
        .unwrap();
        assert!(opens, "minute {minute}: the newest link in the mailbox opens nothing");
        app.clock.advance(TimeDelta::minutes(1));
    }
    let sent = app.mails_to(&admin.email).len();
    assert!((9..=11).contains(&sent), "{sent} mails in an hour");
    // of those that were sent the last three open something
    app.clock.advance(TimeDelta::hours(1));
    let mut four = Vec::new();
    for _ in 0..4 {
        four.push(ask().await);
        app.clock.advance(TimeDelta::minutes(6));
    }
    reset(&app, &four[0], OTHER).await.refused(410, "invalid_reset_token");
    reset(&app, &four[1], OTHER).await.expect(204);
    // once one was used, the others are over
    reset(&app, &four[3], "another four words").await.refused(410, "invalid_reset_token");
    app.settle().await;
}

#[tokio::test]
async fn a_token_for_something_else_sets_no_password() {
    let app = TestApp::start().await;
    let admin = app.platform_admin().await;
    super::ask(&admin, "new@home.test").await.expect(200);
    forgot(&app, &admin.email).await.expect(202);
    app.settle().await;
    let proof = token_to(&app, "new@home.test", "verify-email");
    let stop = token_to(&app, &admin.email, "stop-email-change");
    let right = token_to(&app, &admin.email, "reset-password");
    reset(&app, &proof, OTHER).await.refused(410, "invalid_reset_token");
    reset(&app, &stop, OTHER).await.refused(410, "invalid_reset_token");
    super::verify(&app, &right).await.refused(410, "invalid_email_token");
    super::verify(&app, &stop).await.refused(410, "invalid_email_token");
    let stopping = app.anonymous().post("/auth/stop-email-change", json!({"token": right})).await;
    stopping.refused(410, "invalid_email_token");
    app.anonymous()
        .post("/auth/accept-invitation", json!({"token": right, "password": OTHER, "acceptTerms": true}))
        .await
        .refused(410, "invalid_invitation");
    // a password that was set ends the change of address that was under way: who asked for it?
    reset(&app, &right, OTHER).await.expect(204);
    super::verify(&app, &proof).await.refused(410, "invalid_email_token");
    app.settle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_ten_uses_of_a_link_at_once_exactly_one_counts() {
    let app = TestApp::start().await;
    let admin = app.platform_admin().await;
    forgot(&app, &admin.email).await.expect(202);
    app.settle().await;
    let token = token_to(&app, &admin.email, "reset-password");
    let tries = join_all((0..10).map(|n| {
        let (app, token) = (&app, &token);
        async move { reset(app, token, &format!("{OTHER} {n}")).await }
    }))
    .await;
    let won: Vec<usize> = (0..10).filter(|n| tries[*n].status == 204).collect();
    assert_eq!(won.len(), 1, "{tries:?}");
    for lost in tries.into_iter().filter(|it| it.status != 204) {
        lost.refused(410, "invalid_reset_token");
    }
    log_in(&app, &admin.email, &format!("{OTHER} {}", won[0])).await.expect(200);
    app.settle().await;
    assert_eq!(app.mails_to(&admin.email).len(), 2);
}

#[tokio::test]
async fn the_link_is_the_same_however_often_its_job_runs_and_stands_in_no_table() {
    let app = TestApp::start().await;
    let admin = app.platform_admin().await;
    forgot(&app, &admin.email).await.expect(202);
    app.settle().await;
    let first = token_to(&app, &admin.email, "reset-password");
    // the process died after the mail was taken, before that was noted
    sqlx::query("DELETE FROM app.email_log").execute(app.db()).await.unwrap();
    sqlx::query("UPDATE apalis.jobs SET status = 'Pending', lock_by = NULL, lock_at = NULL, done_at = NULL")
        .execute(app.db())
        .await
        .unwrap();
    app.settle().await;
    let mails = app.mails_to(&admin.email);
    assert_eq!(mails.len(), 2);
    assert_eq!(mails[1].link_parameter("token"), first);
    assert_eq!(mails[0].message_id, mails[1].message_id);
    assert_eq!(app.count("SELECT count(*) FROM app.one_time_tokens").await, 1);
    let jobs: Vec<String> =
        sqlx::query_scalar("SELECT convert_from(job, 'UTF8') FROM apalis.jobs").fetch_all(app.db()).await.unwrap();
    assert!(jobs.iter().all(|job| !job.contains(&first)));
    reset(&app, &first, OTHER).await.expect(204);
    app.settle().await;
}

#[tokio::test]
async fn asking_again_and_again_for_one_address_takes_longer_each_time() {
    let app = TestApp::start().await;
    let admin = app.platform_admin().await;
    let mut waits = Vec::new();
    for email in [admin.email.as_str(), "nobody@people.test"] {
        let nobody = app.anonymous();
        let ask = || nobody.post("/auth/forgot-password", json!({"email": email}));
        let mut seconds = Vec::new();
        for _ in 0..3 {
            ask().await.expect(202);
            let wait = ask().await.refused(429, "too_many_attempts").header("retry-after").parse::<i64>().unwrap();
            app.clock.advance(TimeDelta::seconds(wait));
            seconds.push(wait);
        }
        assert!(seconds.is_sorted() && seconds[0] < seconds[2], "{seconds:?}");
        waits.push(seconds);
    }
    // as long for an address without an account
    assert_eq!(waits[0], waits[1]);
    app.settle().await;
}

#[tokio::test]
async fn guessing_the_present_password_takes_longer_each_time() {
    let app = TestApp::start().await;
    let admin = app.platform_admin().await;
    let guess = |present: &str| {
        let (admin, body) = (admin.clone(), json!({"currentPassword": present, "newPassword": OTHER}));
        async move { admin.post("/auth/change-password", body).await }
    };
    guess("not the password").await.refused(403, "wrong_password");
    // the right one has to wait as well, wherever it is asked for
    let wait = guess(PASSWORD).await.refused(429, "too_many_attempts").header("retry-after").parse::<i64>().unwrap();
    super::ask(&admin, "new@home.test").await.refused(429, "too_many_attempts");
    app.clock.advance(TimeDelta::seconds(wait));
    guess("not this either").await.refused(403, "wrong_password");
    let longer = guess(PASSWORD).await.refused(429, "too_many_attempts").header("retry-after").parse::<i64>().unwrap();
    assert!(longer > wait);
    // nobody is locked out
    app.clock.advance(TimeDelta::seconds(longer));
    guess(PASSWORD).await.expect(204);
    app.settle().await;
    assert_eq!(audited(&app, "user.password_refused").await, 2);
}

#[tokio::test]
async fn a_link_that_waited_too_long_for_the_mail_server_is_not_sent() {
    let app = TestApp::start().await;
    let admin = app.platform_admin().await;
    forgot(&app, &admin.email).await.expect(202);
    app.clock.advance(TimeDelta::minutes(31));
    app.settle().await;
    assert!(app.mails().is_empty());
}

#[tokio::test]
async fn a_changed_password_ends_every_session_and_no_device_is_known_any_more() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    for user in [app.employee(&company).await, company.hr.clone(), app.practitioner().await, app.platform_admin().await]
    {
        let other = log_in(&app, &user.email, PASSWORD).await.expect(200);
        let body = json!({"currentPassword": PASSWORD, "newPassword": OTHER});
        user.post("/auth/change-password", body).await.expect(204);
        user.get("/me").await.refused(401, "unauthenticated");
        user.with_token(other.str("/accessToken")).get("/me").await.refused(401, "unauthenticated");
        app.anonymous()
            .post("/auth/refresh", json!({"refreshToken": other.str("/refreshToken")}))
            .await
            .refused(401, "invalid_refresh_token");
        assert_eq!(app.count("SELECT count(*) FROM app.known_devices").await, 0);
        log_in(&app, &user.email, PASSWORD).await.refused(401, "invalid_credentials");
        log_in(&app, &user.email, OTHER).await.expect(200);
        sqlx::query("DELETE FROM app.known_devices").execute(app.db()).await.unwrap();
        app.settle().await;
        assert_eq!(app.mails_to(&user.email)[0].subject, "Your password was changed");
    }
    assert_eq!(audited(&app, "user.password_changed").await, 4);
}

#[tokio::test]
async fn a_password_is_changed_by_whoever_knows_the_present_one_to_a_better_one() {
    let app = TestApp::start().await;
    let admin = app.platform_admin().await;
    let change = |present: &str, new: &str| {
        let (admin, body) = (admin.clone(), json!({"currentPassword": present, "newPassword": new}));
        async move { admin.post("/auth/change-password", body).await }
    };
    change("not the password", OTHER).await.refused(403, "wrong_password");
    for (new, code) in [
        (PASSWORD, "password_unchanged"),
        ("elf letters", "password_too_short"),
        ("Motdepasse2026", "password_known"),
        (admin.email.as_str(), "password_personal"),
    ] {
        let refused = change(PASSWORD, new).await.refused(422, "invalid");
        assert_eq!(
            (refused.str("/errors/0/pointer"), refused.str("/errors/0/code")),
            ("/newPassword".into(), code.into())
        );
    }
    log_in(&app, &admin.email, PASSWORD).await.expect(200);
    assert_eq!(audited(&app, "user.password_refused").await, 1);
    assert_eq!(audited(&app, "user.password_changed").await, 0);
    app.anonymous()
        .post("/auth/change-password", json!({"currentPassword": PASSWORD, "newPassword": OTHER}))
        .await
        .refused(401, "unauthenticated");
}

#[tokio::test]
async fn a_password_fits_however_a_keyboard_composes_it() {
    let app = TestApp::start().await;
    let admin = app.platform_admin().await;
    let composed = "caf\u{e9} noir \u{e0} l'aube";
    let decomposed = "cafe\u{301} noir a\u{300} l'aube";
    admin
        .post("/auth/change-password", json!({"currentPassword": PASSWORD, "newPassword": composed}))
        .await
        .expect(204);
    let admin = admin.with_token(log_in(&app, &admin.email, decomposed).await.expect(200).str("/accessToken"));
    let same = json!({"currentPassword": composed, "newPassword": decomposed});
    let refused = admin.post("/auth/change-password", same).await.refused(422, "invalid");
    assert_eq!(refused.str("/errors/0/code"), "password_unchanged");
    app.settle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_five_changes_at_once_exactly_one_counts() {
    let app = TestApp::start().await;
    let admin = app.platform_admin().await;
    let tries =
        join_all((0..5).map(|n| {
            let (admin, new) = (admin.clone(), format!("{OTHER} {n}"));
            async move {
                admin.post("/auth/change-password", json!({"currentPassword": PASSWORD, "newPassword": new})).await
            }
        }))
        .await;
    assert_eq!(tries.iter().filter(|it| it.status == 204).count(), 1, "{tries:?}");
    // whoever comes after the change gives a wrong password, and the next one waits for it
    for lost in tries.into_iter().filter(|it| it.status != 204) {
        let status = lost.status.as_u16();
        let code = match status {
            429 => "too_many_attempts",
            // the change has ended their session already
            401 => "unauthenticated",
            _ => "wrong_password",
        };
        assert!(matches!(status, 401 | 403 | 429), "{lost:?}");
        lost.refused(status, code);
    }
    app.settle().await;
}

#[tokio::test]
async fn a_changed_password_ends_links_that_were_mailed() {
    let app = TestApp::start().await;
    let admin = app.platform_admin().await;
    super::ask(&admin, "new@home.test").await.expect(200);
    forgot(&app, &admin.email).await.expect(202);
    app.settle().await;
    let link = token_to(&app, &admin.email, "reset-password");
    let proof = token_to(&app, "new@home.test", "verify-email");
    let body = json!({"currentPassword": PASSWORD, "newPassword": OTHER});
    admin.post("/auth/change-password", body).await.expect(204);
    app.settle().await;
    reset(&app, &link, "another quiet heron").await.refused(410, "invalid_reset_token");
    super::verify(&app, &proof).await.refused(410, "invalid_email_token");
    let admin = admin.with_token(log_in(&app, &admin.email, OTHER).await.expect(200).str("/accessToken"));
    assert!(admin.get("/me").await.expect(200).json.get("pendingEmail").is_none());
}

#[tokio::test]
async fn a_change_on_one_node_ends_the_sessions_on_every_node() {
    let app = TestApp::start().await;
    let there = app.second_node().await;
    let admin = app.platform_admin().await;
    let other = admin.with_token(log_in(&app, &admin.email, PASSWORD).await.expect(200).str("/accessToken"));
    other.at(&there.base).get("/me").await.expect(200);
    let body = json!({"currentPassword": PASSWORD, "newPassword": OTHER});
    admin.post("/auth/change-password", body).await.expect(204);
    let changed = Instant::now();
    other.get("/me").await.refused(401, "unauthenticated");
    while other.at(&there.base).get("/me").await.status != 401 {
        // within a second, which is measured elsewhere; here only that it ends
        assert!(changed.elapsed() < Duration::from_secs(10));
    }
    let again = log_in(&app, &admin.email, OTHER).await.expect(200).str("/accessToken");
    admin.with_token(again).at(&there.base).get("/me").await.expect(200);
    app.settle().await;
}
