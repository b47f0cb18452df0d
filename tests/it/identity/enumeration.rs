//! Nobody learns from an answer, its status or its time whether an address has an account.

use std::time::Instant;

use chrono::TimeDelta;
use huntzen::platform::auth::Role;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::timing::{self, Times};
use crate::support::{Answer, TestApp};

const WRONG: &str = "not the password";

/// An application behind a proxy that is believed, so that each attempt can come from an address of its own.
async fn start() -> TestApp {
    TestApp::start_with(|name| (name == "TRUSTED_PROXIES").then(|| "127.0.0.1".into())).await
}

async fn attempt(app: &TestApp, n: u32, email: &str) -> Answer {
    let request = app.anonymous().request(Method::POST, "/auth/login");
    let request = request.header("x-forwarded-for", format!("10.{}.{}.{}", n >> 16, (n >> 8) & 255, n & 255));
    Answer::of(request.json(&json!({"email": email, "password": WRONG}))).await
}

/// Status, body and headers.
type Told = (u16, Value, Vec<(String, String)>);

/// All that an answer tells, but for what is different each time.
fn told(answer: &Answer) -> Told {
    let mut body = answer.json.clone();
    body["requestId"] = json!(null);
    let headers = answer.headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
    let mut headers: Vec<_> = headers.filter(|(name, _)| name != "date" && name != "x-request-id").collect();
    headers.sort();
    (answer.status.as_u16(), body, headers)
}

#[tokio::test]
async fn a_wrong_password_gets_one_answer_whatever_the_account_is_and_costs_one_hash() {
    let app = start().await;
    let (company, archived) = (app.company("Acme").await, app.company("Gone").await);
    let active = app.employee(&company).await;
    let (suspended, invited) = (app.employee(&company).await, app.person(Role::Practitioner, None).await);
    for sql in [
        format!("UPDATE app.users SET status = 'suspended' WHERE id = '{}'", suspended.id),
        format!("UPDATE app.users SET status = 'invited', password_hash = NULL WHERE id = '{}'", invited.id),
        format!("UPDATE app.companies SET status = 'suspended' WHERE id = '{}'", archived.id),
        format!("UPDATE app.companies SET status = 'archived' WHERE id = '{}'", archived.id),
    ] {
        sqlx::query(sqlx::AssertSqlSafe(sql)).execute(app.db()).await.unwrap();
    }
    let accounts = [
        ("unknown", "nobody@people.test"),
        ("active", &active.email),
        ("suspended", &suspended.email),
        ("invited", &invited.email),
        ("archived", &archived.hr.email),
    ];
    let mut expected: Vec<Told> = Vec::new();
    // wrong, then too soon after a failure, then after the pause
    for round in 0..3u32 {
        for (n, (what, email)) in (0u32..).zip(accounts) {
            // failures enough that the pause outlasts the test
            if round == 1 {
                for _ in 0..4 {
                    app.clock.advance(TimeDelta::minutes(5));
                    attempt(&app, 100 + n, email).await.expect(401);
                }
            }
            let before = app.platform.passwords.hashed();
            let answer = attempt(&app, n, email).await;
            let hashed = app.platform.passwords.hashed() - before;
            let mut told = told(&answer);
            if round == 1 {
                assert_eq!((told.0, hashed), (429, 0), "{what}: who waits costs nothing");
                // seconds go by between two of them
                told.1["detail"] = json!(null);
                told.2.retain(|(name, _)| name != "retry-after" && name != "content-length");
            } else {
                assert_eq!((told.0, hashed), (401, 1), "{what}");
            }
            match expected.get(round as usize) {
                Some(expected) => assert_eq!(*expected, told, "{what}"),
                None => expected.push(told),
            }
        }
        app.clock.advance(TimeDelta::minutes(6));
    }
}

/// `LONG_TESTS=1` measures 500 + 500.
#[tokio::test]
async fn the_time_of_a_refusal_does_not_tell_whether_the_address_is_known() {
    let app = start().await;
    let pairs = timing::pairs(100);
    let person = app.platform_admin().await;
    // so many people, each tried once
    sqlx::query(
        "INSERT INTO app.users (id, email, password_hash, role, display_name, locale, status)
         SELECT gen_random_uuid(), 'known-' || n || '@people.test', password_hash, role, display_name, locale, status
         FROM app.users, generate_series(0, $2) n WHERE id = $1",
    )
    .bind(person.id)
    .bind(i32::try_from(pairs).unwrap() + 10)
    .execute(app.db())
    .await
    .unwrap();
    let mut times = Times::default();
    let hashed = app.platform.passwords.hashed();
    for n in 0..pairs + 10 {
        // who comes first changes
        for which in if n % 2 == 0 { [true, false] } else { [false, true] } {
            let email = format!("{}-{n}@people.test", if which { "known" } else { "empty" });
            let began = Instant::now();
            let answer = attempt(&app, n * 2 + u32::from(which), &email).await;
            let took = began.elapsed();
            answer.refused(401, "invalid_credentials");
            // the first ones warm the caches
            if n >= 10 {
                times.add(which, took);
            }
        }
    }
    assert_eq!(app.platform.passwords.hashed() - hashed, (pairs as usize + 10) * 2, "one hash for each");
    times.assert_alike();
}
