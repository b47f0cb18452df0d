//! Attempts that fail are slowed down; nobody is locked out.

use chrono::TimeDelta;
use huntzen::domain::identity::throttle::{Attempt, Purpose, Subject};
use huntzen::platform::RequestInfo;
use huntzen::platform::db::Actor;
use huntzen::platform::locale::Locale;
use reqwest::Method;
use serde_json::json;

use crate::support::app::PASSWORD;
use crate::support::{Answer, TestApp, User};

const WRONG: &str = "not the password";

async fn attempt(app: &TestApp, email: &str, password: &str) -> Answer {
    app.anonymous().post("/auth/login", json!({"email": email, "password": password})).await
}

/// The seconds that a refused attempt has to wait.
#[track_caller]
fn wait(answer: Answer) -> i64 {
    let answer = answer.refused(429, "too_many_attempts");
    let seconds = answer.header("retry-after").parse().unwrap();
    assert!(answer.str("/detail").contains(&format!("{seconds} s")), "{}", answer.json);
    seconds
}

#[tokio::test]
async fn each_failure_makes_the_next_attempt_wait_longer_known_address_or_not() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let alice = app.employee(&company).await;
    let mut answers = Vec::new();
    for email in [alice.email.as_str(), "nobody@people.test"] {
        let mut waits = Vec::new();
        for delay in [1, 3, 5, 10, 30, 60, 300, 300] {
            attempt(&app, email, WRONG).await.refused(401, "invalid_credentials");
            // even the right password is not looked at; time itself goes on, so that a second may be gone
            if delay > 3 {
                let seconds = wait(attempt(&app, &email.to_uppercase(), PASSWORD).await);
                assert!((delay - 3..=delay).contains(&seconds), "{seconds} of {delay}");
                // attempts that are refused do not make it longer
                assert!(wait(attempt(&app, email, WRONG).await) <= seconds);
            }
            waits.push(delay);
            app.clock.advance(TimeDelta::seconds(delay));
        }
        answers.push(waits);
    }
    assert_eq!(answers[0], answers[1]);
    // a success forgets the failures
    attempt(&app, &alice.email, PASSWORD).await.expect(200);
    assert_eq!(app.count("SELECT count(*) FROM app.throttles WHERE failures = 8").await, 1, "the unknown one's");
    let names = app.count("SELECT count(*) FROM app.throttles WHERE encode(key, 'escape') LIKE '%people%'").await;
    assert_eq!(names, 0, "the table names nobody");
}

#[tokio::test]
async fn a_day_without_failures_forgets_them() {
    let app = TestApp::start().await;
    for _ in 0..5 {
        attempt(&app, "nobody@people.test", WRONG).await.expect(401);
        app.clock.advance(TimeDelta::minutes(6));
    }
    app.clock.advance(TimeDelta::hours(25));
    attempt(&app, "nobody@people.test", WRONG).await.expect(401);
    app.clock.advance(TimeDelta::seconds(1));
    attempt(&app, "nobody@people.test", WRONG).await.expect(401);
}

#[tokio::test]
async fn many_attempts_at_once_learn_no_more_than_one() {
    let app = TestApp::start().await;
    let admin = app.platform_admin().await;
    // five failures, so that the delay outlasts the test
    for _ in 0..5 {
        attempt(&app, &admin.email, WRONG).await.expect(401);
        app.clock.advance(TimeDelta::minutes(6));
    }
    let other = app.second_node().await;
    // both nodes, one of the guesses right
    let tries = (0..16).map(|n| {
        let nobody = if n % 2 == 0 { app.anonymous() } else { app.anonymous().at(&other.base) };
        let body = json!({"email": admin.email, "password": if n == 15 { PASSWORD } else { WRONG }});
        async move { nobody.post("/auth/login", body).await.status.as_u16() }
    });
    let statuses = futures_util::future::join_all(tries).await;
    // a small pool may be busy (503); of the others one is judged, or a few where the right one came first and
    // cleared the delay
    let judged: Vec<_> = statuses.iter().filter(|status| ![429, 503].contains(*status)).collect();
    assert!(judged == [&401] || (judged.contains(&&200) && judged.len() <= 4), "{statuses:?}");
}

#[tokio::test]
async fn right_passwords_at_once_are_all_let_in() {
    let app = TestApp::start().await;
    let admin = app.platform_admin().await;
    let answers = futures_util::future::join_all((0..12).map(|_| attempt(&app, &admin.email, PASSWORD))).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
}

/// The token of a device from which the person logged in.
async fn known_device(app: &TestApp, user: &User) -> String {
    attempt(app, &user.email, PASSWORD).await.expect(200).str("/deviceToken")
}

async fn attempt_from(app: &TestApp, email: &str, password: &str, device: &str) -> Answer {
    let body = json!({"email": email, "password": password, "deviceToken": device});
    app.anonymous().post("/auth/login", body).await
}

#[tokio::test]
async fn a_stranger_who_fails_keeps_nobody_out_of_a_known_device() {
    let app = TestApp::start().await;
    let (admin, other) = (app.platform_admin().await, app.platform_admin().await);
    let device = known_device(&app, &admin).await;
    let others = known_device(&app, &other).await;
    for _ in 0..6 {
        attempt(&app, &admin.email, WRONG).await.expect(401);
        app.clock.advance(TimeDelta::minutes(5));
    }
    attempt(&app, &admin.email, WRONG).await.expect(401);
    wait(attempt(&app, &admin.email, PASSWORD).await);
    // neither an invented token nor somebody else's helps
    wait(attempt_from(&app, &admin.email, PASSWORD, "invented").await);
    wait(attempt_from(&app, &admin.email, PASSWORD, &others).await);
    let answer = attempt_from(&app, &admin.email, PASSWORD, &device).await.expect(200);
    assert_eq!(answer.str("/deviceToken"), device, "it stays the device's");
    // the stranger still waits
    wait(attempt(&app, &admin.email, PASSWORD).await);

    // a known device answers for its own failures, and for nobody else's
    for _ in 0..5 {
        attempt_from(&app, &admin.email, WRONG, &device).await.refused(401, "invalid_credentials");
        app.clock.advance(TimeDelta::seconds(30));
    }
    attempt_from(&app, &admin.email, WRONG, &device).await.expect(401);
    wait(attempt_from(&app, &admin.email, PASSWORD, &device).await);
    let hashed = app.count("SELECT count(*) FROM app.known_devices WHERE length(hash) = 32").await;
    assert_eq!(hashed, 2);
}

#[tokio::test]
async fn a_thief_of_a_session_who_guesses_the_password_does_not_slow_down_a_known_device() {
    let app = TestApp::start().await;
    let admin = app.platform_admin().await;
    let device = known_device(&app, &admin).await;
    let change = async |present: &str, device: Option<&str>| {
        let mut body = json!({"currentPassword": present, "newPassword": "seven calm herons wade"});
        if let Some(device) = device {
            body["deviceToken"] = json!(device);
        }
        admin.post("/auth/change-password", body).await
    };
    for _ in 0..4 {
        change(WRONG, None).await.refused(403, "wrong_password");
        app.clock.advance(TimeDelta::seconds(11));
    }
    change(WRONG, None).await.refused(403, "wrong_password");
    wait(change(PASSWORD, None).await);
    wait(change(PASSWORD, Some("invented")).await);
    // elsewhere too, where the password or a code is asked for
    let set_up = json!({"password": PASSWORD, "deviceToken": device});
    admin.post("/auth/totp/setup", set_up).await.expect(200);
    // its own failures count
    change(WRONG, Some(&device)).await.refused(403, "wrong_password");
    app.clock.advance(TimeDelta::seconds(2));
    let cookie = format!("huntzen_device={device}");
    let body = json!({"currentPassword": PASSWORD, "newPassword": "seven calm herons wade"});
    let request = admin.request(Method::POST, "/auth/change-password").header("cookie", cookie).json(&body);
    Answer::of(request).await.expect(204);
    app.settle().await;
}

#[tokio::test]
async fn a_device_is_known_for_half_a_year_and_ten_of_them_at_most() {
    let app = TestApp::start().await;
    let admin = app.platform_admin().await;
    let first = known_device(&app, &admin).await;
    for _ in 0..10 {
        app.clock.advance(TimeDelta::seconds(1));
        known_device(&app, &admin).await;
    }
    assert_eq!(app.count("SELECT count(*) FROM app.known_devices").await, 10);
    let answer = attempt_from(&app, &admin.email, PASSWORD, &first).await.expect(200);
    assert_ne!(answer.str("/deviceToken"), first, "the oldest one is forgotten");
    let last = answer.str("/deviceToken");
    app.clock.advance(TimeDelta::days(181));
    let answer = attempt_from(&app, &admin.email, PASSWORD, &last).await.expect(200);
    assert_ne!(answer.str("/deviceToken"), last, "it has expired");
}

#[tokio::test]
async fn a_browser_keeps_the_token_of_its_device_in_a_cookie() {
    let app = TestApp::start_with(|name| (name == "PUBLIC_URL").then(|| "https://care.example.org".into())).await;
    let admin = app.platform_admin().await;
    let log_in = |password: &'static str, cookie: Option<String>| {
        let request = app
            .anonymous()
            .request(Method::POST, "/auth/login")
            .json(&json!({"email": admin.email, "password": password, "transport": "cookie"}));
        Answer::of(match cookie {
            Some(cookie) => request.header("cookie", cookie),
            None => request,
        })
    };
    let answer = log_in(PASSWORD, None).await.expect(200);
    assert!(answer.json.get("deviceToken").is_none() && answer.json.get("refreshToken").is_none());
    let cookies: Vec<_> = answer.headers.get_all("set-cookie").iter().map(|it| it.to_str().unwrap()).collect();
    assert_eq!(cookies.len(), 2, "{cookies:?}");
    for cookie in &cookies {
        for part in ["__Host-huntzen_", "HttpOnly", "Secure", "SameSite=Strict", "Path=/", "Max-Age="] {
            assert!(cookie.contains(part), "{cookie}");
        }
        assert!(!cookie.contains("Domain"), "{cookie}");
    }
    let device = cookies.iter().find(|cookie| cookie.starts_with("__Host-huntzen_device=")).unwrap();
    let device = device.split(';').next().unwrap().to_owned();
    for _ in 0..6 {
        log_in(WRONG, None).await.expect(401);
        app.clock.advance(TimeDelta::minutes(5));
    }
    log_in(WRONG, None).await.expect(401);
    wait(log_in(PASSWORD, None).await);
    log_in(PASSWORD, Some(device)).await.expect(200);
}

#[tokio::test]
async fn a_network_has_a_budget_of_failures_and_its_neighbours_have_their_own() {
    let app = TestApp::start().await;
    let platform = &app.platform;
    let fails = async |ip: &str, address: &str| -> Result<(), u16> {
        let request = RequestInfo::new("test", Some(ip.parse().unwrap()), Locale::En);
        let mut tx = platform.db.anonymous(Actor::nobody(&request)).await.unwrap();
        let subject = Subject::Address(address);
        let attempt = Attempt::begin(platform, &mut tx, Purpose::LogIn, subject, None).await;
        let attempt = attempt.map_err(|problem| problem.status().as_u16())?;
        attempt.failed(&mut tx).await.map_err(|problem| problem.status().as_u16())?;
        tx.commit().await.unwrap();
        Ok(())
    };
    // of one subscriber, whatever address of theirs they use
    for n in 0..60 {
        fails(&format!("2001:db8:1:2::{n:x}"), &format!("p{n}@people.test")).await.unwrap();
    }
    assert_eq!(fails("2001:db8:1:2:ffff::1", "another@people.test").await, Err(429));
    fails("2001:db8:1:3::1", "another@people.test").await.unwrap();
    fails("203.0.113.9", "third@people.test").await.unwrap();
    // one more each ten seconds
    app.clock.advance(TimeDelta::seconds(10));
    fails("2001:db8:1:2::1", "fourth@people.test").await.unwrap();
    assert_eq!(fails("2001:db8:1:2::1", "fifth@people.test").await, Err(429));
}

#[tokio::test]
async fn everybody_together_has_a_budget_that_known_devices_do_not_need() {
    let app = TestApp::start().await;
    let admin = app.platform_admin().await;
    let device = known_device(&app, &admin).await;
    attempt(&app, "nobody@people.test", WRONG).await.expect(401);
    // as if thousands had failed: the two budgets are the rows that no delay made
    sqlx::query("UPDATE app.throttles SET clear_at = clear_at + interval '1 hour'").execute(app.db()).await.unwrap();
    wait(attempt(&app, "somebody@people.test", WRONG).await);
    wait(attempt(&app, &admin.email, PASSWORD).await);
    attempt_from(&app, &admin.email, PASSWORD, &device).await.expect(200);
}

#[tokio::test]
async fn a_forged_proxy_header_changes_neither_the_address_that_is_slowed_down_nor_the_one_that_is_kept() {
    let app = TestApp::start().await;
    let admin = app.platform_admin().await;
    let forged = |n: u32, email: String, password: &'static str| {
        let request = app
            .anonymous()
            .request(Method::POST, "/auth/login")
            .header("x-forwarded-for", format!("203.0.113.{n}"))
            .header("forwarded", format!("for=203.0.113.{n};host=evil.test;proto=https"))
            .header("x-real-ip", format!("203.0.113.{n}"))
            .header("x-forwarded-host", "evil.test")
            .header("x-forwarded-proto", "https")
            .header("host", "evil.test");
        Answer::of(request.json(&json!({"email": email, "password": password, "transport": "cookie"})))
    };
    for n in 0..3 {
        forged(n, format!("p{n}@people.test"), WRONG).await.expect(401);
    }
    // three addresses, one network, everybody
    assert_eq!(app.count("SELECT count(*) FROM app.throttles").await, 5);
    let answer = forged(9, admin.email.clone(), PASSWORD).await.expect(200);
    // neither the protocol nor the host of the cookie is the sender's to choose
    for cookie in answer.headers.get_all("set-cookie") {
        let cookie = cookie.to_str().unwrap();
        assert!(cookie.starts_with("huntzen_") && !cookie.contains("Secure") && !cookie.contains("evil"), "{cookie}");
    }
    let kept = app.count("SELECT count(*) FROM app.user_sessions WHERE ip = '127.0.0.1'").await;
    assert_eq!(kept, 1);
    let noted = app.count("SELECT count(*) FROM app.audit_logs WHERE host(ip) LIKE '203.%'").await;
    assert_eq!(noted, 0);
}

#[tokio::test]
async fn a_forged_host_changes_no_link_of_a_mail() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let request = company
        .admin
        .request(Method::POST, &format!("/companies/{}/members", company.id))
        .header("host", "evil.test")
        .header("x-forwarded-host", "evil.test")
        .header("x-forwarded-proto", "https")
        .header("x-original-url", "https://evil.test/")
        .header("forwarded", "host=evil.test;proto=https")
        .json(&json!({"email": "new@acme.test", "displayName": "Nia New", "role": "hr"}));
    Answer::of(request).await.expect(201);
    app.settle().await;
    let mail = &app.mails_to("new@acme.test")[0];
    let (text, html) = (mail.text.clone().unwrap(), mail.html.clone().unwrap());
    assert!(text.contains("http://127.0.0.1:3000/accept-invitation#token="), "{text}");
    assert!(!text.contains("evil") && !html.contains("evil"));
}

/// Native apps have no cookies: they say which device they are.
#[tokio::test]
async fn a_stranger_who_asks_for_links_keeps_no_known_device_from_getting_one() {
    let app = TestApp::start().await;
    let admin = app.platform_admin().await;
    let device = known_device(&app, &admin).await;
    let forgot = async |device: Option<&str>| {
        let mut body = json!({"email": admin.email});
        if let Some(device) = device {
            body["deviceToken"] = json!(device);
        }
        app.anonymous().post("/auth/forgot-password", body).await
    };
    forgot(None).await.expect(202);
    wait(forgot(None).await);
    wait(forgot(Some("invented")).await);
    forgot(Some(&device)).await.expect(202);
    // for its own it waits as well
    wait(forgot(Some(&device)).await);
    app.settle().await;
}
