//! The keys that sign access tokens: published, rotated while nodes run, understood by others.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use huntzen::platform::auth::signing_keys::{self, Published, RotateError, WithdrawError, Withdrawn};
use huntzen::platform::crypto::entropy::Entropy;
use huntzen::platform::jobs::Job;
use reqwest::Method;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::log_in;
use crate::support::process::Site;
use crate::support::{Answer, TestApp, User, cluster, tools};

const JWKS: &str = "//.well-known/jwks.json";

async fn rotate(app: &TestApp) -> Result<Published, RotateError> {
    let mut owner = app.owner().await;
    signing_keys::rotate(&mut owner, &app.platform.config, &Entropy::system(), app.clock.now()).await
}

/// The names of the keys that a node publishes.
async fn kids(node: &User) -> Vec<String> {
    let keys = node.get(JWKS).await.expect(200).json["keys"].as_array().unwrap().clone();
    keys.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

/// Until a node publishes so many keys: it is told, and does not have to be asked twice.
async fn until_published(node: &User, keys: usize) -> Vec<String> {
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        let kids = kids(node).await;
        if kids.len() == keys {
            return kids;
        }
        assert!(Instant::now() < until, "{kids:?}");
    }
}

fn kid(token: &str) -> String {
    jsonwebtoken::decode_header(token).unwrap().kid.unwrap()
}

#[tokio::test]
async fn the_public_keys_may_be_kept_for_a_while_and_say_when_they_changed() {
    let app = TestApp::start().await;
    let nobody = app.anonymous();
    let answer = nobody.get(JWKS).await.expect(200);
    assert_eq!(answer.header("cache-control"), "public, max-age=300");
    let key = &answer.json["keys"][0];
    for (member, value) in [("kty", "OKP"), ("crv", "Ed25519"), ("alg", "EdDSA"), ("use", "sig")] {
        assert_eq!(key[member], value);
    }
    assert!(key.get("d").is_none(), "the secret half stays secret");
    let etag = answer.header("etag").to_owned();
    let again = Answer::of(nobody.request(Method::GET, JWKS).header("if-none-match", &etag)).await.expect(304);
    assert_eq!(again.header("etag"), etag);
    assert!(again.bytes.is_empty());
    rotate(&app).await.unwrap();
    until_published(&nobody, 2).await;
    let fresh = Answer::of(nobody.request(Method::GET, JWKS).header("if-none-match", &etag)).await.expect(200);
    assert_ne!(fresh.header("etag"), etag);
    let document = nobody.get("//openapi.json").await.expect(200).json;
    assert!(document["paths"]["/.well-known/jwks.json"]["get"]["responses"]["200"].is_object());
}

#[tokio::test]
async fn keys_are_rotated_while_two_nodes_run_and_no_token_is_refused_for_it() {
    let app = TestApp::start().await;
    let other = app.second_node().await;
    let (here, there) = (app.anonymous(), app.anonymous().at(&other.base));
    let admin = app.platform_admin().await;
    let token = async |node: &User| {
        let body = json!({"email": admin.email, "password": crate::support::app::PASSWORD});
        node.post("/auth/login", body).await.expect(200).str("/accessToken")
    };
    let accepted = async |token: &str| {
        for base in [&app.base, &other.base] {
            admin.with_token(token).at(base).get("/me").await.expect(200);
        }
    };
    let configured = kids(&here).await[0].clone();
    let old = token(&here).await;
    assert_eq!(kid(&old), configured);

    // published first: everybody has it, nothing is signed with it
    let first = rotate(&app).await.unwrap();
    for node in [&here, &there] {
        assert!(until_published(node, 2).await.contains(&first.kid));
        assert_eq!(kid(&token(node).await), configured);
    }
    assert!(matches!(rotate(&app).await, Err(RotateError::TooSoon)));
    app.clock.advance(TimeDelta::minutes(10) - TimeDelta::seconds(30));
    let old = token(&here).await;
    assert_eq!(kid(&old), configured);
    app.clock.advance(TimeDelta::seconds(30));
    for node in [&here, &there] {
        let new = token(node).await;
        assert_eq!(kid(&new), first.kid);
        accepted(&new).await;
    }
    // what the configured key signed is taken as well
    accepted(&old).await;

    // and once more: now the first new key is the old one
    let second = rotate(&app).await.unwrap();
    until_published(&here, 3).await;
    until_published(&there, 3).await;
    app.clock.advance(TimeDelta::minutes(9));
    let last = token(&there).await;
    assert_eq!(kid(&last), first.kid);
    app.clock.advance(TimeDelta::minutes(1));
    assert_eq!(kid(&token(&there).await), second.kid);
    app.clock.advance(TimeDelta::minutes(13));
    accepted(&last).await;
    // its last token has expired: it verifies nothing any more, and is not published
    app.clock.advance(TimeDelta::minutes(3));
    for node in [&here, &there] {
        let mut left = kids(node).await;
        left.sort();
        let mut expected = vec![configured.clone(), second.kid.clone()];
        expected.sort();
        assert_eq!(left, expected);
    }
    admin.with_token(&last).get("/me").await.expect(401);
    let fresh = token(&here).await;
    accepted(&fresh).await;

    // the night takes it out of the database
    app.clock.advance(TimeDelta::days(2));
    sqlx::query("SELECT app.enqueue('maintenance', $1, ARRAY['{}'::jsonb], ARRAY[NULL::text], NULL, 3)")
        .bind(huntzen::domain::identity::session::jobs::PurgeSessions::KIND)
        .execute(app.db())
        .await
        .unwrap();
    app.settle().await;
    assert_eq!(app.count("SELECT count(*) FROM app.signing_keys").await, 1);
}

#[tokio::test]
async fn of_two_rotations_at_once_one_is_refused() {
    let app = TestApp::start().await;
    let (one, other) = tokio::join!(rotate(&app), rotate(&app));
    assert!(one.is_ok() != other.is_ok(), "{one:?} {other:?}");
    assert_eq!(app.count("SELECT count(*) FROM app.signing_keys").await, 1);
}

#[tokio::test]
async fn a_key_that_was_put_into_the_database_without_the_master_key_signs_and_verifies_nothing() {
    let app = TestApp::start().await;
    let admin = app.platform_admin().await;
    rotate(&app).await.unwrap();
    until_published(&app.anonymous(), 2).await;
    let readable =
        app.count("SELECT count(*) FROM app.signing_keys WHERE position('\\x06032b6570'::bytea IN secret) > 0").await;
    assert_eq!(readable, 0, "no Ed25519 key in the clear");
    // the sealed key of another row, under a name and a time of its own
    sqlx::raw_sql(
        "INSERT INTO app.signing_keys SELECT gen_random_uuid(), secret, published_at, now() - interval '1 second'
             FROM (SELECT secret, now() - interval '1 hour' AS published_at FROM app.signing_keys) k;
         NOTIFY signing_keys",
    )
    .execute(app.db())
    .await
    .unwrap();
    assert!(app.platform.read_signing_keys().await.is_err());
    assert_eq!(kids(&app.anonymous()).await.len(), 2);
    let token = log_in(&app, &admin).await.expect(200).str("/accessToken");
    admin.with_token(token).get("/me").await.expect(200);
}

#[tokio::test]
async fn the_command_publishes_a_key_and_refuses_what_it_does_not_understand() {
    let database = cluster::fresh_database().await;
    let secret = cluster::template().await.config().database_roles_secret.expose_secret();
    let site = Site::new(&database, Some(secret)).await;
    let done = site.run(&["keys", "publish"]);
    assert!(done.status.success(), "{done:?}");
    let told = String::from_utf8(done.stdout).unwrap();
    assert!(told.starts_with("Published the key ") && told.contains("It signs from "), "{told}");
    assert_eq!(site.count("SELECT count(*) FROM app.signing_keys").await, 1);
    let noted =
        "SELECT count(*) FROM app.audit_logs WHERE action = 'signing_key.published' AND actor_role = 'operator'";
    assert_eq!(site.count(noted).await, 1);
    // the last one does not sign yet
    let again = site.run(&["keys", "publish"]);
    assert!(!again.status.success());
    assert!(String::from_utf8(again.stderr).unwrap().contains("does not sign yet"));
    for args in [&["keys"][..], &["keys", "publish", "now"], &["keys", "publish", "--force"], &["keys", "turn"]] {
        let refused = site.run(args);
        assert_eq!(refused.status.code(), Some(2), "{args:?}");
        assert!(String::from_utf8_lossy(&refused.stderr).contains("Usage"), "{args:?}");
    }
    assert_eq!(site.count("SELECT count(*) FROM app.signing_keys").await, 1);
    drop(site);
    cluster::drop_database(&database).await;
}

async fn withdraw(app: &TestApp, kid: &str) -> Result<Withdrawn, WithdrawError> {
    let mut owner = app.owner().await;
    signing_keys::withdraw(&mut owner, &app.platform.config, &Entropy::system(), app.clock.now(), kid).await
}

/// Until a node refuses a token: it is told, and does not have to be asked twice.
async fn until_refused(user: &User) {
    let until = Instant::now() + Duration::from_secs(10);
    while user.get("/me").await.status != 401 {
        assert!(Instant::now() < until, "it is still taken");
    }
    user.get("/me").await.refused(401, "unauthenticated");
}

#[tokio::test]
async fn a_key_that_leaked_opens_nothing_any_more_on_every_node_and_the_one_before_signs_again() {
    let app = TestApp::start().await;
    let other = app.second_node().await;
    let admin = app.platform_admin().await;
    let configured = kids(&app.anonymous()).await[0].clone();
    let before = log_in(&app, &admin).await.expect(200);
    let leaked = rotate(&app).await.unwrap().kid;
    for base in [&app.base, &other.base] {
        until_published(&app.anonymous().at(base), 2).await;
    }
    app.clock.advance(TimeDelta::minutes(10));
    let opened = log_in(&app, &admin).await.expect(200);
    let token = opened.str("/accessToken");
    assert_eq!(kid(&token), leaked);
    // both nodes have verified it, and remember that
    for base in [&app.base, &other.base] {
        admin.with_token(&token).at(base).get("/me").await.expect(200);
    }
    assert_eq!(withdraw(&app, &leaked).await.unwrap(), Withdrawn::Now { replaced_by: None });
    for base in [&app.base, &other.base] {
        until_refused(&admin.with_token(&token).at(base)).await;
        assert_eq!(until_published(&app.anonymous().at(base), 1).await, std::slice::from_ref(&configured));
        // what another key signed is taken, and the session goes on with a new token
        admin.with_token(before.str("/accessToken")).at(base).get("/me").await.expect(200);
    }
    let body = json!({"refreshToken": opened.str("/refreshToken")});
    let renewed = app.anonymous().post("/auth/refresh", body).await.expect(200).str("/accessToken");
    assert_eq!(kid(&renewed), configured);
    admin.with_token(&renewed).at(&other.base).get("/me").await.expect(200);
    assert_eq!(withdraw(&app, &leaked).await.unwrap(), Withdrawn::Before);
    assert!(matches!(withdraw(&app, "unknown").await, Err(WithdrawError::Unknown(_))));
    let noted =
        "SELECT count(*) FROM app.audit_logs WHERE action = 'signing_key.withdrawn' AND actor_role = 'operator'";
    assert_eq!(app.count(noted).await, 1);
    // put back by whoever may write to the database: it stays withdrawn
    sqlx::query("INSERT INTO app.signing_keys VALUES ($1::uuid, '\\x00', now() - interval '1 hour', now())")
        .bind(&leaked)
        .execute(app.db())
        .await
        .unwrap();
    assert!(app.platform.read_signing_keys().await.is_err());
    admin.with_token(&token).get("/me").await.refused(401, "unauthenticated");
}

#[tokio::test]
async fn a_configured_key_that_leaked_is_replaced_at_once_and_stays_out_of_use_after_a_restart() {
    let app = TestApp::start().await;
    let other = app.second_node().await;
    let admin = app.platform_admin().await;
    let configured = kids(&app.anonymous()).await[0].clone();
    for base in [&app.base, &other.base] {
        admin.at(base).get("/me").await.expect(200);
    }
    let Withdrawn::Now { replaced_by: Some(new) } = withdraw(&app, &configured).await.unwrap() else {
        panic!("a key is made in its place");
    };
    for base in [&app.base, &other.base] {
        until_refused(&admin.at(base)).await;
    }
    let started_later = app.second_node().await;
    admin.at(&started_later.base).get("/me").await.refused(401, "unauthenticated");
    for base in [&app.base, &other.base, &started_later.base] {
        assert_eq!(until_published(&app.anonymous().at(base), 1).await, std::slice::from_ref(&new));
        let token = log_in(&app, &admin).await.expect(200).str("/accessToken");
        assert_eq!(kid(&token), new);
        admin.with_token(&token).at(base).get("/me").await.expect(200);
    }
    // it can be replaced like any other
    app.clock.advance(TimeDelta::seconds(1));
    rotate(&app).await.unwrap();
}

#[tokio::test]
async fn the_command_withdraws_a_key() {
    let app = TestApp::start().await;
    let secret = cluster::template().await.config().database_roles_secret.expose_secret();
    let site = Site::new(app.options(), Some(secret)).await;
    site.run(&["keys", "publish"]);
    let kid: String = sqlx::query_scalar("SELECT id::text FROM app.signing_keys").fetch_one(app.db()).await.unwrap();
    let told = |args: &[&str]| {
        let done = site.run(args);
        let words = [done.stdout, done.stderr].map(|it| String::from_utf8(it).unwrap()).concat();
        (done.status.success(), words)
    };
    let (done, words) = told(&["keys", "withdraw", &kid]);
    assert!(done && words.contains(&format!("Withdrew the key {kid}.")), "{words}");
    assert_eq!(app.count("SELECT count(*) FROM app.signing_keys").await, 0);
    let (done, words) = told(&["keys", "withdraw", &kid]);
    assert!(done && words.contains("It was withdrawn before."), "{words}");
    let (done, words) = told(&["keys", "withdraw", "no-such-key"]);
    assert!(!done && words.contains("neither JWT_KEYS nor the database"), "{words}");
}

#[tokio::test]
async fn an_independent_library_verifies_our_tokens_with_the_keys_that_we_publish() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let alice = app.employee(&company).await;
    let token = log_in(&app, &alice).await.expect(200).str("/accessToken");
    let issuer = app.platform.config.public_url.as_str().trim_end_matches('/');
    let jwks = format!("{}/.well-known/jwks.json", app.base);
    let verify = async |token: String, issuer: &str| {
        let input = json!({"token": token, "jwks": jwks, "issuer": issuer, "audience": issuer}).to_string();
        tokio::task::spawn_blocking(move || tools::try_run("verify-token.mjs", &[], input.as_bytes())).await.unwrap()
    };
    let verified: Value = serde_json::from_str(&verify(token.clone(), issuer).await.unwrap()).unwrap();
    assert_eq!(verified["header"]["typ"], "at+jwt");
    assert_eq!(verified["header"]["alg"], "EdDSA");
    assert_eq!(verified["claims"]["sub"], alice.id.to_string());
    assert_eq!(verified["claims"]["cid"], company.id.to_string());
    // and refuses what is not ours
    let mut changed = token.clone().into_bytes();
    let at = changed.len() - 20;
    changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
    assert!(verify(String::from_utf8(changed).unwrap(), issuer).await.is_err());
    assert!(verify(token, "https://elsewhere.test").await.is_err());
}
