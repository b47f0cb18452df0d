//! Access tokens as attackers make them: each is answered by 401, and by nothing else.

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use huntzen::platform::auth::Role;
use reqwest::Method;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use uuid::Uuid;

use super::log_in;
use crate::support::{Answer, TestApp, User};

/// The application, a person who is signed in, and the key that signs: what a forger would dream of.
struct Forge {
    app: TestApp,
    user: User,
    key: Ed25519KeyPair,
    kid: String,
    /// As the application made them.
    header: Value,
    claims: Value,
}

fn part(token: &str, n: usize) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(n).unwrap()).unwrap()).unwrap()
}

fn encoded(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// A copy with some members changed; null removes one.
#[allow(clippy::needless_pass_by_value)] // made where it is used
fn with(value: &Value, changes: Value) -> Value {
    let mut it = value.clone();
    for (name, change) in changes.as_object().unwrap() {
        if change.is_null() {
            it.as_object_mut().unwrap().remove(name);
        } else {
            it[name] = change.clone();
        }
    }
    it
}

impl Forge {
    async fn start() -> Self {
        let app = TestApp::start().await;
        let company = app.company("Acme").await;
        let user = app.employee(&company).await;
        let its = &app.platform.config.jwt_keys[0];
        let key = Ed25519KeyPair::from_pkcs8(&STANDARD.decode(its.pkcs8.expose_secret()).unwrap()).unwrap();
        let (kid, header, claims) = (its.kid.clone(), part(&user.token, 0), part(&user.token, 1));
        Self { app, user, key, kid, header, claims }
    }

    /// Signed with the true key.
    fn sign(&self, header: &Value, claims: &Value) -> String {
        let text = format!("{}.{}", encoded(header), encoded(claims));
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(self.key.sign(text.as_bytes())))
    }

    async fn try_out(&self, token: &str) -> Answer {
        Answer::of(
            self.user.with_token("").request(Method::GET, "/me").header("authorization", format!("Bearer {token}")),
        )
        .await
    }

    async fn refused(&self, what: &str, token: &str) {
        self.refused_as(what, token, "unauthenticated").await;
    }

    async fn refused_as(&self, what: &str, token: &str, code: &str) {
        let answer = self.try_out(token).await;
        assert_eq!(answer.status, 401, "{what}: {}", answer.text());
        let answer = answer.refused(401, code);
        assert!(answer.header("www-authenticate").starts_with("Bearer"), "{what}");
    }
}

#[tokio::test]
async fn the_forge_makes_tokens_that_are_taken_when_they_are_right() {
    let it = Forge::start().await;
    it.try_out(&it.user.token).await.expect(200);
    it.try_out(&it.sign(&it.header, &it.claims)).await.expect(200);
}

#[tokio::test]
async fn another_algorithm_is_refused_whatever_signs_with_it() {
    let it = Forge::start().await;
    let public = it.key.public_key().as_ref().to_vec();
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(&public));
    let x = URL_SAFE_NO_PAD.encode(&public);
    for (algorithm, hash) in [("HS256", hmac::HMAC_SHA256), ("HS384", hmac::HMAC_SHA384), ("HS512", hmac::HMAC_SHA512)]
    {
        for secret in [public.as_slice(), pem.as_bytes(), x.as_bytes(), b""] {
            let text = format!("{}.{}", encoded(&with(&it.header, json!({"alg": algorithm}))), encoded(&it.claims));
            let tag = hmac::sign(&hmac::Key::new(hash, secret), text.as_bytes());
            let token = format!("{text}.{}", URL_SAFE_NO_PAD.encode(tag.as_ref()));
            it.refused(&format!("{algorithm} with the public key"), &token).await;
        }
    }
    // the true signature under another name
    for algorithm in ["RS256", "PS256", "ES256", "ES384", "Ed448", "eddsa", "EDDSA", "", "XX"] {
        it.refused(algorithm, &it.sign(&with(&it.header, json!({"alg": algorithm})), &it.claims)).await;
    }
    it.refused("no algorithm", &it.sign(&with(&it.header, json!({"alg": null})), &it.claims)).await;
    it.refused("a number", &it.sign(&with(&it.header, json!({"alg": 1})), &it.claims)).await;
}

#[tokio::test]
async fn no_algorithm_at_all_is_refused_in_every_spelling() {
    let it = Forge::start().await;
    for none in ["none", "None", "NONE", "nOnE"] {
        let header = encoded(&with(&it.header, json!({"alg": none})));
        let claims = encoded(&it.claims);
        it.refused(none, &format!("{header}.{claims}.")).await;
        it.refused(none, &format!("{header}.{claims}")).await;
        it.refused(none, &it.sign(&with(&it.header, json!({"alg": none})), &it.claims)).await;
    }
}

#[tokio::test]
async fn a_key_is_taken_by_its_exact_name_from_our_own_list_only() {
    let it = Forge::start().await;
    let other = Ed25519KeyPair::generate().unwrap();
    let names = [
        "another".to_owned(),
        String::new(),
        it.kid.to_uppercase() + "x",
        format!("{} ", it.kid),
        format!("../../{}", it.kid),
        "/dev/null".into(),
        "../../../../etc/passwd".into(),
        "' OR '1'='1".into(),
        format!("{}' UNION SELECT 'x' --", it.kid),
        "\u{0}".into(),
        "k".repeat(2000),
    ];
    for name in &names {
        it.refused(name, &it.sign(&with(&it.header, json!({"kid": name})), &it.claims)).await;
    }
    it.refused("no kid", &it.sign(&with(&it.header, json!({"kid": null})), &it.claims)).await;
    it.refused("a kid that is no text", &it.sign(&with(&it.header, json!({"kid": [it.kid]})), &it.claims)).await;
    // a key that the token brings along, or points to
    let own = json!({"kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(other.public_key().as_ref())});
    for header in
        [json!({"jwk": own}), json!({"jku": format!("{}/keys.json", it.app.base)}), json!({"x5u": it.app.base})]
    {
        let text = format!("{}.{}", encoded(&with(&it.header, header.clone())), encoded(&it.claims));
        let token = format!("{text}.{}", URL_SAFE_NO_PAD.encode(other.sign(text.as_bytes())));
        it.refused(&header.to_string(), &token).await;
    }
}

#[tokio::test]
async fn a_token_for_others_or_of_others_is_refused() {
    let it = Forge::start().await;
    for claims in [
        json!({"aud": "https://elsewhere.test"}),
        json!({"aud": null}),
        json!({"aud": []}),
        json!({"aud": ""}),
        json!({"iss": "https://elsewhere.test"}),
        json!({"iss": null}),
        json!({"iss": format!("{}/", it.claims["iss"].as_str().unwrap())}),
        json!({"sub": null}),
        json!({"sub": "nobody"}),
        json!({"sid": null}),
        json!({"sid": ""}),
        json!({"role": null}),
        json!({"role": "root"}),
        json!({"cid": null}),
    ] {
        it.refused(&claims.to_string(), &it.sign(&it.header, &with(&it.claims, claims))).await;
    }
}

#[tokio::test]
async fn a_token_that_is_over_or_not_yet_due_is_refused_with_five_seconds_of_leeway() {
    let it = Forge::start().await;
    let now = it.app.clock.now().timestamp();
    let timed = |changes: Value| it.sign(&it.header, &with(&it.claims, changes));
    it.refused_as("expired", &timed(json!({"exp": now - 10})), "token_expired").await;
    it.refused_as("expired long ago", &timed(json!({"exp": 0})), "token_expired").await;
    it.refused("before time began", &timed(json!({"exp": i64::MIN}))).await;
    it.refused("not yet", &timed(json!({"nbf": now + 3600}))).await;
    it.refused("issued in the future", &timed(json!({"iat": now + 3600}))).await;
    for name in ["exp", "nbf", "iat"] {
        it.refused(&format!("without {name}"), &timed(json!({name: null}))).await;
        it.refused(&format!("{name} as a text"), &timed(json!({name: "soon"}))).await;
    }
    it.try_out(&timed(json!({"nbf": now + 2, "iat": now + 2}))).await.expect(200);
    it.try_out(&timed(json!({"exp": now - 1}))).await.expect(200);
    // a token that was remembered as good is not good for ever
    it.try_out(&it.user.token).await.expect(200);
    it.app.clock.advance(TimeDelta::minutes(15) + TimeDelta::seconds(6));
    it.refused_as("remembered, and over", &it.user.token, "token_expired").await;
}

#[tokio::test]
async fn a_token_for_another_purpose_is_refused() {
    let it = Forge::start().await;
    for kind in ["JWT", "jwt", "login-ticket+jwt", "refresh+jwt", "at+jwt ", "AT+JWT+", ""] {
        it.refused(kind, &it.sign(&with(&it.header, json!({"typ": kind})), &it.claims)).await;
    }
    it.refused("no type", &it.sign(&with(&it.header, json!({"typ": null})), &it.claims)).await;
    let answer = log_in(&it.app, &it.user).await.expect(200);
    it.refused("a refresh token", &answer.str("/refreshToken")).await;
    it.refused("a device's token", &answer.str("/deviceToken")).await;
    // and the other way round
    let nobody = it.app.anonymous();
    let body = json!({"refreshToken": &it.user.token[..200]});
    nobody.post("/auth/refresh", body).await.refused(401, "invalid_refresh_token");
}

#[tokio::test]
async fn a_token_that_was_changed_anywhere_is_refused() {
    let it = Forge::start().await;
    let parts: Vec<&str> = it.user.token.split('.').collect();
    let [header, claims, signature] = parts[..] else { panic!("three parts") };
    // other claims under the old signature: a role upgraded, somebody else's session, another company
    let other = it.app.platform_admin().await;
    for changes in [
        json!({"role": "platform_admin", "cid": null}),
        json!({"role": "hr"}),
        json!({"sub": other.id.to_string()}),
        json!({"sid": part(&other.token, 1)["sid"]}),
        json!({"cid": Uuid::new_v4().to_string()}),
        json!({"exp": it.claims["exp"].as_i64().unwrap() + 1}),
    ] {
        let changed = encoded(&with(&it.claims, changes.clone()));
        it.refused(&changes.to_string(), &format!("{header}.{changed}.{signature}")).await;
    }
    // every bit of the signature counts
    let bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
    for bit in (0..512).step_by(37) {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        it.refused("a bit", &format!("{header}.{claims}.{}", URL_SAFE_NO_PAD.encode(&changed))).await;
    }
    it.refused("no signature", &format!("{header}.{claims}.")).await;
    it.refused("zeros", &format!("{header}.{claims}.{}", URL_SAFE_NO_PAD.encode([0; 64]))).await;
    it.refused("half a signature", &format!("{header}.{claims}.{}", &signature[..43])).await;
    it.refused("somebody else's", &format!("{header}.{claims}.{}", other.token.rsplit('.').next().unwrap())).await;
    // the same signature with the group's order added to its second half (RFC 8032, 5.1.7)
    let order: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let (mut twin, mut carry) = (bytes.clone(), 0u16);
    for (at, byte) in order.iter().enumerate() {
        let sum = u16::from(twin[32 + at]) + u16::from(*byte) + carry;
        twin[32 + at] = sum.to_le_bytes()[0];
        carry = sum >> 8;
    }
    assert_eq!(carry, 0);
    it.refused("a second signature of the same", &format!("{header}.{claims}.{}", URL_SAFE_NO_PAD.encode(&twin))).await;
    // the same bytes, encoded otherwise: padding, bits that nothing reads, the other alphabet
    let last = signature.chars().last().unwrap();
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let sibling = alphabet.chars().nth(alphabet.find(last).unwrap() + 1).unwrap();
    it.refused("unread bits", &format!("{header}.{claims}.{}{sibling}", &signature[..85])).await;
    it.refused("padding", &format!("{header}.{claims}.{signature}==")).await;
    it.refused("a space", &format!("{header}.{claims} .{signature}")).await;
    it.refused("a fourth part", &format!("{header}.{claims}.{signature}.{signature}")).await;
    it.refused("two parts", &format!("{header}.{claims}")).await;
    it.refused("dots", "..").await;
    it.refused("nothing", "").await;
    it.refused("two tokens", &format!("{0}, {0}", it.user.token)).await;
}

#[tokio::test]
async fn a_huge_token_is_refused_before_it_is_read() {
    let it = Forge::start().await;
    let claims = with(&it.claims, json!({"more": "x".repeat(100 * 1024)}));
    it.refused("100 KB, rightly signed", &it.sign(&it.header, &claims)).await;
    it.refused("100 KB of one letter", &"a".repeat(100 * 1024)).await;
    it.refused("100 KB of dots", &".".repeat(100 * 1024)).await;
    // deeply nested
    let header = format!("{}{}", "[".repeat(1000), "]".repeat(1000));
    it.refused("nested", &format!("{}.e30.e30", URL_SAFE_NO_PAD.encode(header))).await;
}

#[tokio::test]
async fn other_schemes_and_bytes_that_are_no_text_are_refused() {
    let it = Forge::start().await;
    let token = &it.user.token;
    let schemes: [Vec<u8>; 5] = [
        format!("Basic {token}").into(),
        format!("Bearer{token}").into(),
        token.clone().into(),
        b"Bearer \xff\xfe".to_vec(),
        b"".to_vec(),
    ];
    for value in schemes {
        let value = reqwest::header::HeaderValue::from_bytes(&value).unwrap();
        let request = it.user.with_token("").request(Method::GET, "/me").header("authorization", value);
        Answer::of(request).await.refused(401, "unauthenticated");
    }
}

#[tokio::test]
async fn the_token_of_a_deleted_or_suspended_person_or_of_an_ended_session_opens_nothing() {
    let it = Forge::start().await;
    let (app, user) = (&it.app, &it.user);
    let (gone, suspended) = (app.platform_admin().await, app.platform_admin().await);
    let changed = app.platform_admin().await;
    let ended = user.with_token(app.session(user.id, Role::Employee, user.company_id).await);
    ended.post("/auth/logout", json!({})).await.expect(204);
    sqlx::query("DELETE FROM app.users WHERE id = $1").bind(gone.id).execute(app.db()).await.unwrap();
    for (change, person) in [("status = 'suspended'", &suspended), ("role = 'practitioner'", &changed)] {
        sqlx::query(sqlx::AssertSqlSafe(format!("UPDATE app.users SET {change} WHERE id = $1")))
            .bind(person.id)
            .execute(app.db())
            .await
            .unwrap();
    }
    // what was done behind the program's back is heard of at once, or read within a second
    app.platform.sessions.refresh(&app.platform).await;
    for user in [gone, suspended, changed, ended] {
        let answer = user.get("/auth/sessions").await.refused(401, "unauthenticated");
        assert!(answer.header("www-authenticate").starts_with("Bearer"));
    }
    user.get("/me").await.expect(200);
}
