//! Refresh families, the list of sessions, and how sessions end everywhere.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use huntzen::platform::Platform;
use huntzen::platform::auth::Role;
use huntzen::platform::db::DbRole;
use huntzen::platform::jobs::Job;
use reqwest::Method;
use serde_json::json;

use super::log_in;
use crate::support::app::PASSWORD;
use crate::support::{Answer, TestApp, User};

async fn refresh(app: &TestApp, token: &str) -> Answer {
    app.anonymous().post("/auth/refresh", json!({"refreshToken": token})).await
}

#[tokio::test]
async fn a_refresh_token_is_used_once_and_theft_ends_the_session() {
    let app = TestApp::start().await;
    let admin = app.platform_admin().await;
    let nobody = app.anonymous();
    let first = log_in(&app, &admin).await.expect(200).str("/refreshToken");
    let answer = nobody.post("/auth/refresh", json!({"refreshToken": first})).await.expect(200);
    let second = answer.str("/refreshToken");
    let third = nobody.post("/auth/refresh", json!({"refreshToken": second})).await.expect(200);
    // the first one again, after its successor was used: somebody has copied it
    nobody.post("/auth/refresh", json!({"refreshToken": first})).await.refused(401, "refresh_token_reused");
    nobody
        .post("/auth/refresh", json!({"refreshToken": third.str("/refreshToken")}))
        .await
        .refused(401, "invalid_refresh_token");
    app.settle().await;
    let thief = admin.with_token(third.str("/accessToken"));
    thief.get("/me").await.refused(401, "unauthenticated");
}

#[tokio::test]
async fn a_refresh_sent_twice_is_absorbed_for_thirty_seconds() {
    let app = TestApp::start().await;
    let admin = app.platform_admin().await;
    let first = log_in(&app, &admin).await.expect(200).str("/refreshToken");
    refresh(&app, &first).await.expect(200);
    app.clock.advance(TimeDelta::seconds(29));
    let kept = refresh(&app, &first).await.expect(200).str("/refreshToken");
    app.clock.advance(TimeDelta::seconds(2));
    // the kept one lives
    let next = refresh(&app, &kept).await.expect(200).str("/refreshToken");
    app.clock.advance(TimeDelta::seconds(31));
    // its predecessor is too old to be a repetition, although its successor is unused
    refresh(&app, &kept).await.refused(401, "refresh_token_reused");
    refresh(&app, &next).await.refused(401, "invalid_refresh_token");
    app.settle().await;
}

#[tokio::test]
async fn a_live_session_is_renewed_though_its_office_has_used_up_its_minute_and_guesses_are_counted() {
    let app = TestApp::start_with(|name| (name == "RATE_LIMIT_PER_IP").then(|| "20".into())).await;
    let admin = app.platform_admin().await;
    let mut token = log_in(&app, &admin).await.expect(200).str("/refreshToken");
    while admin.get("/me").await.status != 429 {}
    // as after a node's end: everybody comes back at once
    for _ in 0..40 {
        token = refresh(&app, &token).await.expect(200).str("/refreshToken");
    }
    // nobody's token is one of too many requests
    refresh(&app, "nobody's").await.refused(429, "too_many_requests");
    // and even live ones have an end
    let mut renewed = 40;
    let refused = loop {
        let answer = refresh(&app, &token).await;
        if answer.status != 200 {
            break answer;
        }
        (token, renewed) = (answer.str("/refreshToken"), renewed + 1);
    };
    refused.refused(429, "too_many_requests");
    assert!(renewed < 200, "{renewed}");
    app.settle().await;
}

#[tokio::test]
async fn the_token_of_an_answer_that_was_given_up_betrays_whoever_presents_it() {
    let app = TestApp::start().await;
    let admin = app.platform_admin().await;
    let first = log_in(&app, &admin).await.expect(200).str("/refreshToken");
    // the person's answer, and then the thief's, who copied the first token
    let persons = refresh(&app, &first).await.expect(200).str("/refreshToken");
    let thiefs = refresh(&app, &first).await.expect(200);
    refresh(&app, &persons).await.refused(401, "refresh_token_reused");
    refresh(&app, &thiefs.str("/refreshToken")).await.refused(401, "invalid_refresh_token");
    admin.with_token(thiefs.str("/accessToken")).get("/me").await.refused(401, "unauthenticated");
    app.settle().await;
}

#[tokio::test]
async fn a_person_is_told_by_mail_in_their_language_that_a_session_was_ended_for_safety() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let alice = app.employee(&company).await;
    for (locale, subject) in
        [("fr", "Une de vos sessions a été fermée par sécurité"), ("en", "One of your sessions was closed for safety")]
    {
        sqlx::query("UPDATE app.users SET locale = $2 WHERE id = $1")
            .bind(alice.id)
            .bind(locale)
            .execute(app.db())
            .await
            .unwrap();
        let first = log_in(&app, &alice).await.expect(200).str("/refreshToken");
        let second = refresh(&app, &first).await.expect(200).str("/refreshToken");
        refresh(&app, &second).await.expect(200);
        refresh(&app, &first).await.refused(401, "refresh_token_reused");
        // once, however often it comes again
        refresh(&app, &first).await.refused(401, "invalid_refresh_token");
        app.settle().await;
        let mail = app.mails_to(&alice.email).pop().unwrap();
        assert_eq!(mail.subject, subject);
        assert!(!mail.subject.contains("Person"), "a subject names nobody");
    }
    assert_eq!(app.mails_to(&alice.email).len(), 2);
    assert_eq!(app.count("SELECT count(*) FROM app.audit_logs WHERE action = 'session.reuse_detected'").await, 2);
}

#[tokio::test]
async fn of_twenty_refreshes_at_once_one_token_lives_and_the_others_betray() {
    let app = TestApp::start().await;
    let admin = app.platform_admin().await;
    let first = log_in(&app, &admin).await.expect(200).str("/refreshToken");
    let answers = futures_util::future::join_all((0..20).map(|_| refresh(&app, &first))).await;
    // each is the direct predecessor of an unused token, sent again
    let tokens: std::collections::HashSet<_> =
        answers.into_iter().map(|answer| answer.expect(200).str("/refreshToken")).collect();
    assert_eq!(tokens.len(), 20);
    assert_eq!(
        app.count("SELECT count(*) FROM app.refresh_tokens WHERE used_at IS NULL AND superseded_at IS NULL").await,
        1
    );
    let living: Vec<u8> =
        sqlx::query_scalar("SELECT hash FROM app.refresh_tokens WHERE used_at IS NULL AND superseded_at IS NULL")
            .fetch_one(app.db())
            .await
            .unwrap();
    let (lives, given_up): (Vec<_>, Vec<_>) =
        tokens.into_iter().partition(|token| huntzen::platform::auth::tokens::hash_opaque(token) == living);
    let next = refresh(&app, &lives[0]).await.expect(200).str("/refreshToken");
    // the nineteen others at once: one is found out and ends the session, the rest find it ended
    let answers = futures_util::future::join_all(given_up.iter().map(|token| refresh(&app, token))).await;
    let mut codes: Vec<_> = answers.into_iter().map(|answer| answer.expect(401).str("/code")).collect();
    codes.sort();
    assert_eq!(codes.iter().filter(|code| *code == "refresh_token_reused").count(), 1, "{codes:?}");
    assert_eq!(codes.iter().filter(|code| *code == "invalid_refresh_token").count(), 18, "{codes:?}");
    refresh(&app, &next).await.refused(401, "invalid_refresh_token");
    app.settle().await;
}

#[tokio::test]
async fn a_session_ends_after_thirty_days_however_often_it_is_renewed() {
    let app = TestApp::start().await;
    let admin = app.platform_admin().await;
    let mut token = log_in(&app, &admin).await.expect(200).str("/refreshToken");
    for _ in 0..29 {
        app.clock.advance(TimeDelta::days(1));
        token = refresh(&app, &token).await.expect(200).str("/refreshToken");
    }
    app.clock.advance(TimeDelta::hours(23) + TimeDelta::minutes(55));
    let last = refresh(&app, &token).await.expect(200);
    let left = last.json["expiresIn"].as_i64().unwrap();
    assert!((200..=300).contains(&left), "no access token outlives its session: {left}");
    app.clock.advance(TimeDelta::minutes(6));
    refresh(&app, &last.str("/refreshToken")).await.refused(401, "invalid_refresh_token");
}

#[tokio::test]
async fn logging_out_ends_access_and_refresh_at_once() {
    let app = TestApp::start().await;
    let admin = app.platform_admin().await;
    let answer = log_in(&app, &admin).await.expect(200);
    let admin = admin.with_token(answer.str("/accessToken"));
    admin.post("/auth/logout", json!({})).await.expect(204);
    admin.get("/me").await.refused(401, "unauthenticated");
    app.anonymous()
        .post("/auth/refresh", json!({"refreshToken": answer.str("/refreshToken")}))
        .await
        .refused(401, "invalid_refresh_token");
}

#[tokio::test]
async fn an_access_token_lives_fifteen_minutes() {
    let app = TestApp::start().await;
    let admin = app.platform_admin().await;
    app.clock.advance(TimeDelta::minutes(15) - TimeDelta::seconds(1));
    admin.get("/me").await.expect(200);
    app.clock.advance(TimeDelta::seconds(7));
    admin.get("/me").await.refused(401, "token_expired");
}

#[tokio::test]
async fn a_person_sees_where_they_are_logged_in_and_nobody_elses_sessions() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let (alice, bob) = (app.employee(&company).await, app.employee(&company).await);
    log_in(&app, &bob).await.expect(200);
    let answer = app
        .anonymous()
        .post("/auth/login", json!({"email": alice.email, "password": PASSWORD, "device": "Alice’s phone"}))
        .await
        .expect(200);
    let phone = alice.with_token(answer.str("/accessToken"));
    let list = phone.get("/auth/sessions").await.expect(200).json;
    let items = list["items"].as_array().unwrap();
    assert_eq!(items.len(), 2, "{list}");
    assert_eq!((items[0]["device"].as_str(), items[0]["current"].as_bool()), (Some("Alice’s phone"), Some(true)));
    assert_eq!(items[0]["network"], "127.0.0.0/24", "an address is shown without its last part");
    assert_eq!(items[1]["current"], false);
    assert!(items[0]["createdAt"].is_string() && items[0]["lastUsedAt"].is_string());

    // by pages
    let first = phone.get("/auth/sessions?limit=1").await.expect(200).json;
    assert_eq!(first["items"][0]["id"], items[0]["id"]);
    let second = phone
        .get(&format!("/auth/sessions?limit=1&cursor={}", first["nextCursor"].as_str().unwrap()))
        .await
        .expect(200)
        .json;
    assert_eq!(second["items"][0]["id"], items[1]["id"]);
    assert!(second.get("nextCursor").is_none());
    phone.get("/auth/sessions?limit=0").await.refused(400, "invalid_parameter");
    phone.get("/auth/sessions?cursor=%21").await.refused(400, "invalid_cursor");
    app.anonymous().get("/auth/sessions").await.refused(401, "unauthenticated");

    // what is over is not listed
    app.clock.advance(TimeDelta::days(31));
    let token = app.session(alice.id, Role::Employee, alice.company_id).await;
    let list = alice.with_token(token).get("/auth/sessions").await.expect(200).json;
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_session_that_its_person_ends_opens_nothing_any_more() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let (alice, bob) = (app.employee(&company).await, app.employee(&company).await);
    let lost = log_in(&app, &alice).await.expect(200);
    let id = alice.get("/auth/sessions").await.json["items"][0]["id"].as_str().unwrap().to_owned();
    let path = format!("/auth/sessions/{id}");
    // somebody else's is none
    bob.delete(&path).await.refused(404, "not_found");
    bob.delete(&format!("/auth/sessions/{}", uuid::Uuid::new_v4())).await.refused(404, "not_found");
    bob.delete("/auth/sessions/none").await.refused(400, "invalid_parameter");
    alice.delete(&path).await.expect(204);
    alice.delete(&path).await.expect(204);
    alice.with_token(lost.str("/accessToken")).get("/me").await.refused(401, "unauthenticated");
    refresh(&app, &lost.str("/refreshToken")).await.refused(401, "invalid_refresh_token");
    assert_eq!(app.count("SELECT count(*) FROM app.audit_logs WHERE action = 'session.closed'").await, 1);
    // the one that asks is the last one left
    let own = alice.get("/auth/sessions").await.json["items"][0]["id"].as_str().unwrap().to_owned();
    let answer = alice.delete(&format!("/auth/sessions/{own}")).await.expect(204);
    assert!(answer.header("set-cookie").contains("Max-Age=0"), "{}", answer.header("set-cookie"));
    alice.get("/me").await.refused(401, "unauthenticated");
}

#[tokio::test]
async fn all_sessions_end_at_once_with_or_without_the_one_that_asks() {
    let app = TestApp::start().await;
    let admin = app.platform_admin().await;
    let bob = app.platform_admin().await;
    let other = admin.with_token(log_in(&app, &admin).await.expect(200).str("/accessToken"));
    admin.delete("/auth/sessions?keepCurrent=true").await.expect(204);
    other.get("/me").await.refused(401, "unauthenticated");
    admin.get("/me").await.expect(200);
    let other = admin.with_token(log_in(&app, &admin).await.expect(200).str("/accessToken"));
    admin.delete("/auth/sessions").await.expect(204);
    admin.get("/me").await.refused(401, "unauthenticated");
    other.get("/me").await.refused(401, "unauthenticated");
    bob.get("/me").await.expect(200);
    bob.delete("/auth/sessions?keepCurrent=perhaps").await.refused(400, "invalid_parameter");
    assert_eq!(app.count("SELECT count(*) FROM app.audit_logs WHERE action = 'session.all_closed'").await, 2);
}

async fn until_listening(node: &Platform) {
    let until = Instant::now() + Duration::from_secs(10);
    while !node.sessions.is_fresh() {
        assert!(Instant::now() < until, "the node does not listen");
        tokio::task::yield_now().await;
    }
}

/// Asks until the token is refused, and how long that took. No request may be let in that was made a second after
/// the end.
async fn until_refused(user: &User, ended: Instant) -> Duration {
    loop {
        let asked = ended.elapsed();
        if user.get("/auth/sessions").await.status != 200 {
            return asked;
        }
        assert!(asked < Duration::from_secs(1), "let in {asked:?} after the end");
    }
}

#[tokio::test]
async fn a_session_that_ends_on_one_node_is_refused_by_the_others_within_a_second() {
    let app = TestApp::start().await;
    let other = app.second_node().await;
    let admin = app.platform_admin().await;
    let mut slowest = Duration::ZERO;
    for _ in 0..10 {
        let user = admin.with_token(log_in(&app, &admin).await.expect(200).str("/accessToken"));
        user.at(&other.base).get("/me").await.expect(200);
        user.post("/auth/logout", json!({})).await.expect(204);
        let ended = Instant::now();
        user.get("/me").await.refused(401, "unauthenticated");
        slowest = slowest.max(until_refused(&user.at(&other.base), ended).await);
        user.at(&other.base).get("/me").await.refused(401, "unauthenticated");
    }
    println!("ended on the other node within {slowest:?}");
}

#[tokio::test]
async fn a_node_that_is_cut_off_from_the_news_takes_no_ended_session() {
    let app = TestApp::start().await;
    let other = app.second_node().await;
    let admin = app.platform_admin().await;
    for _ in 0..5 {
        let user = admin.with_token(log_in(&app, &admin).await.expect(200).str("/accessToken"));
        user.at(&other.base).get("/me").await.expect(200);
        until_listening(&app.platform).await;
        until_listening(&other.platform).await;
        // waits until the connections are gone
        let killed: i64 = sqlx::query_scalar(
            "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity
             WHERE datname = current_database() AND application_name = 'huntzen listens'",
        )
        .fetch_one(app.db())
        .await
        .unwrap();
        user.post("/auth/logout", json!({})).await.expect(204);
        let ended = Instant::now();
        user.get("/me").await.refused(401, "unauthenticated");
        assert_eq!(killed, 2);
        until_refused(&user.at(&other.base), ended).await;
        // and never again, listening or not
        let until = Instant::now() + Duration::from_millis(700);
        while Instant::now() < until {
            assert_ne!(user.at(&other.base).get("/me").await.status, 200);
        }
    }
}

#[tokio::test]
async fn whoever_is_suspended_or_deleted_has_no_session_any_more() {
    let app = TestApp::start().await;
    let (gone, suspended) = (app.platform_admin().await, app.platform_admin().await);
    sqlx::query("UPDATE app.users SET status = 'suspended' WHERE id = $1")
        .bind(suspended.id)
        .execute(app.db())
        .await
        .unwrap();
    sqlx::query("DELETE FROM app.users WHERE id = $1").bind(gone.id).execute(app.db()).await.unwrap();
    let ended = Instant::now();
    for user in [gone, suspended] {
        until_refused(&user, ended).await;
        user.get("/companies").await.refused(401, "unauthenticated");
    }
}

#[tokio::test]
async fn an_authenticated_request_asks_the_database_nothing_about_its_session() {
    let app = TestApp::start().await;
    let admin = app.platform_admin().await;
    until_listening(&app.platform).await;
    let until = Instant::now() + Duration::from_secs(10);
    // without the function, asking would fail
    sqlx::query("DROP FUNCTION auth.session_is_live(uuid)").execute(app.db()).await.unwrap();
    // a machine that stalls for a second makes the node ask once
    while admin.get("/me").await.status != 200 {
        assert!(Instant::now() < until, "it asks for each request");
    }
}

#[tokio::test]
async fn people_end_their_own_sessions_only() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let (alice, bob) = (app.employee(&company).await, app.employee(&company).await);
    let mut conn = app.as_role(DbRole::Employee, bob.id).await;
    let refused = sqlx::query("SELECT app.end_sessions_of($1, NULL, now())").bind(alice.id).execute(&mut conn).await;
    assert!(refused.is_err(), "{refused:?}");
    alice.get("/me").await.expect(200);
}

#[tokio::test]
async fn what_is_over_is_cleared_away_at_night() {
    let app = TestApp::start().await;
    let admin = app.platform_admin().await;
    log_in(&app, &admin).await.expect(200);
    app.anonymous().post("/auth/login", json!({"email": "x@y.test", "password": "not the password"})).await.expect(401);
    app.clock.advance(TimeDelta::days(200));
    log_in(&app, &admin).await.expect(200);
    sqlx::query("SELECT app.enqueue('maintenance', $1, ARRAY['{}'::jsonb], ARRAY[NULL::text], NULL, 3)")
        .bind(huntzen::domain::identity::session::jobs::PurgeSessions::KIND)
        .execute(app.db())
        .await
        .unwrap();
    app.settle().await;
    for (query, left) in [
        ("SELECT count(*) FROM app.user_sessions", 1),
        ("SELECT count(*) FROM app.refresh_tokens", 1),
        ("SELECT count(*) FROM app.known_devices", 1),
        ("SELECT count(*) FROM app.throttles", 0),
    ] {
        assert_eq!(app.count(query).await, left, "{query}");
    }
}

#[tokio::test]
async fn a_browser_may_keep_the_refresh_token_in_a_cookie_that_only_our_pages_use() {
    let app = TestApp::start().await;
    let admin = app.platform_admin().await;
    let nobody = app.anonymous();
    let answer = nobody
        .post("/auth/login", json!({"email": admin.email, "password": PASSWORD, "transport": "cookie"}))
        .await
        .expect(200);
    assert!(answer.json.get("refreshToken").is_none());
    let cookie = answer.header("set-cookie").to_owned();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    let pair = cookie.split(';').next().unwrap().to_owned();

    let refresh = |origin: Option<&'static str>| {
        let request = nobody.request(Method::POST, "/auth/refresh").header("cookie", &pair).json(&json!({}));
        Answer::of(match origin {
            Some(origin) => request.header("origin", origin),
            None => request,
        })
    };
    for origin in [None, Some("https://evil.test"), Some("null"), Some("http://127.0.0.1:3000.evil.test"), Some("")] {
        refresh(origin).await.refused(403, "origin_refused");
    }
    // a host that the sender names is not ours
    let forged = nobody
        .request(Method::POST, "/auth/refresh")
        .header("cookie", &pair)
        .header("origin", "https://evil.test")
        .header("host", "evil.test")
        .header("x-forwarded-host", "evil.test")
        .header("x-forwarded-proto", "https")
        .header("forwarded", "host=evil.test;proto=https")
        .json(&json!({}));
    Answer::of(forged).await.refused(403, "origin_refused");
    let answer = refresh(Some("http://127.0.0.1:3000")).await.expect(200);
    assert!(answer.json.get("refreshToken").is_none());
    assert!(answer.header("set-cookie").starts_with("huntzen_refresh="));
}

#[tokio::test]
async fn behind_https_only_the_cookie_that_browsers_bind_to_the_host_is_read() {
    let app = TestApp::start_with(|name| (name == "PUBLIC_URL").then(|| "https://care.example.org".into())).await;
    let admin = app.platform_admin().await;
    let nobody = app.anonymous();
    let log_in = |origin: &'static str| {
        let body = json!({"email": admin.email, "password": PASSWORD, "transport": "cookie"});
        Answer::of(nobody.request(Method::POST, "/auth/login").header("origin", origin).json(&body))
    };
    // a stranger's page signs nobody in
    log_in("https://evil.test").await.refused(403, "origin_refused");
    let answer = log_in("https://care.example.org").await.expect(200);
    let cookies: Vec<_> = answer.headers.get_all("set-cookie").iter().map(|it| it.to_str().unwrap()).collect();
    let cookie = cookies.iter().find(|cookie| cookie.starts_with("__Host-huntzen_refresh=")).unwrap();
    let pair = cookie.split(';').next().unwrap().to_owned();
    let refresh = |cookie: String, origin: &'static str| {
        let request = nobody.request(Method::POST, "/auth/refresh").header("cookie", cookie).header("origin", origin);
        Answer::of(request.json(&json!({})))
    };
    // what a neighbouring host or a page without TLS could have set
    let loose = pair.replace("__Host-", "");
    refresh(loose, "https://care.example.org").await.refused(401, "invalid_refresh_token");
    refresh(pair.clone(), "http://care.example.org").await.refused(403, "origin_refused");
    refresh(pair.clone(), "https://care.example.org:8443").await.refused(403, "origin_refused");
    app.clock.advance(TimeDelta::days(10));
    let answer = refresh(pair, "https://care.example.org").await.expect(200);
    let cookie = answer.header("set-cookie");
    let age = cookie.split("Max-Age=").nth(1).unwrap().split(';').next().unwrap().parse::<i64>().unwrap();
    assert!(age <= 20 * 86400 && age > 19 * 86400, "it lives as long as its session: {cookie}");
}
