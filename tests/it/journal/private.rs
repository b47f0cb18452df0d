//! Private entries: what the server takes, keeps and gives back without being able to read it. Sealed here by an
//! implementation of docs/private-journal.md of its own, and by the one in web/private-journal.

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit, Nonce};
use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use huntzen::platform::auth::Role;
use unicode_normalization::UnicodeNormalization;
use uuid::Uuid;

use super::*;
use crate::support::app::PASSWORD;
use crate::support::dump::forms;
use crate::support::tools;

const MARKER: &str = "amaranth, nobody may know 6604";
const PASSPHRASE: &str = "four quiet words here";

fn uint32(value: usize) -> [u8; 4] {
    u32::try_from(value).unwrap().to_be_bytes()
}

fn length_prefixed(parts: &[&[u8]]) -> Vec<u8> {
    parts.iter().flat_map(|part| [&uint32(part.len())[..], part].concat()).collect()
}

fn cipher(key: &[u8]) -> Aes256Gcm {
    Aes256Gcm::new_from_slice(key).unwrap()
}

fn nonce(bytes: &[u8]) -> [u8; 12] {
    bytes.try_into().unwrap()
}

/// Which entry, and which text of it.
type Place = (Uuid, u32);

fn entry_data(owner: Uuid, key_id: Uuid, date: &str, place: Option<Place>) -> Vec<u8> {
    let name = &b"huntzen private journal entry"[..];
    let version = [if place.is_some() { 2 } else { 1 }];
    let (entry, counter) = place.unwrap_or_default();
    let counter = counter.to_be_bytes();
    let mut parts = vec![name, &version, owner.as_bytes(), key_id.as_bytes(), date.as_bytes()];
    if place.is_some() {
        parts.extend([&entry.as_bytes()[..], &counter]);
    }
    length_prefixed(&parts)
}

fn seal_entry(key: &[u8], key_id: Uuid, owner: Uuid, date: &str, place: Place, json: &str, with: &[u8]) -> Vec<u8> {
    let mut plain = [&uint32(json.len())[..], json.as_bytes()].concat();
    plain.resize(plain.len().next_multiple_of(256), 0);
    let payload = Payload { msg: &plain, aad: &entry_data(owner, key_id, date, Some(place)) };
    let sealed = cipher(key).encrypt(&Nonce::from(nonce(with)), payload).unwrap();
    [&[2][..], key_id.as_bytes(), place.0.as_bytes(), &place.1.to_be_bytes(), with, &sealed].concat()
}

fn open_entry(key: &[u8], key_id: Uuid, owner: Uuid, date: &str, stored: &[u8]) -> Option<Value> {
    assert_eq!(&stored[1..17], key_id.as_bytes());
    let place = match stored[0] {
        1 => None,
        2 => Some(place_of(stored)),
        other => panic!("version {other}"),
    };
    let rest = &stored[if place.is_some() { 37 } else { 17 }..];
    let payload = Payload { msg: &rest[12..], aad: &entry_data(owner, key_id, date, place) };
    let plain = cipher(key).decrypt(&Nonce::from(nonce(&rest[..12])), payload).ok()?;
    let length = u32::from_be_bytes(plain[..4].try_into().unwrap()) as usize;
    assert!(plain[4 + length..].iter().all(|byte| *byte == 0));
    serde_json::from_slice(&plain[4..4 + length]).ok()
}

fn place_of(stored: &[u8]) -> Place {
    (Uuid::from_slice(&stored[17..33]).unwrap(), u32::from_be_bytes(stored[33..37].try_into().unwrap()))
}

fn unwrap(header: &[u8], wrapping: &[u8], owner: Uuid, with: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let aad = length_prefixed(&[b"huntzen private journal key", header, owner.as_bytes()]);
    cipher(wrapping).decrypt(&Nonce::from(nonce(with)), Payload { msg: sealed, aad: &aad }).ok()
}

fn by_passphrase(stored: &[u8], owner: Uuid, passphrase: &str) -> Option<(Uuid, Vec<u8>)> {
    assert_eq!((&stored[..2], stored.len()), (&[1, 1][..], 103));
    let number = |at: usize| u32::from_be_bytes(stored[at..at + 4].try_into().unwrap());
    let params = Params::new(number(2), number(6), stored[10].into(), Some(32)).unwrap();
    let mut wrapping = [0; 32];
    let passphrase: String = passphrase.nfkc().collect();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.as_bytes(), &stored[11..27], &mut wrapping)
        .unwrap();
    let key = unwrap(&stored[..43], &wrapping, owner, &stored[43..55], &stored[55..])?;
    Some((Uuid::from_slice(&stored[27..43]).unwrap(), key))
}

fn by_recovery(stored: &[u8], owner: Uuid, secret: &[u8]) -> Option<(Uuid, Vec<u8>)> {
    use aws_lc_rs::hkdf;
    assert_eq!((&stored[..2], stored.len()), (&[1, 2][..], 94));
    let mut wrapping = [0; 32];
    let info = [&b"huntzen private journal recovery"[..]];
    let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, &stored[2..18]).extract(secret);
    prk.expand(&info, hkdf::HKDF_SHA256).unwrap().fill(&mut wrapping).unwrap();
    let key = unwrap(&stored[..34], &wrapping, owner, &stored[34..46], &stored[46..])?;
    Some((Uuid::from_slice(&stored[18..34]).unwrap(), key))
}

fn vectors() -> Value {
    let text = include_str!("../../../web/private-journal/vectors.json");
    serde_json::from_str(text).unwrap()
}

fn text<'a>(of: &'a Value, pointer: &str) -> &'a str {
    of.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("{pointer}"))
}

fn bytes(of: &Value, pointer: &str) -> Vec<u8> {
    STANDARD.decode(text(of, pointer)).unwrap()
}

#[test]
fn a_second_implementation_reads_and_writes_what_the_vectors_say() {
    let vectors = vectors();
    let owner: Uuid = text(&vectors, "/owner").parse().unwrap();
    let key_id: Uuid = text(&vectors, "/keyId").parse().unwrap();
    let key = hex::decode(text(&vectors, "/key")).unwrap();
    let wrapped = bytes(&vectors, "/byPassphrase/wrapped");
    for passphrase in ["/passphrase", "/passphraseDecomposed"] {
        let opened = by_passphrase(&wrapped, owner, text(&vectors, passphrase));
        assert_eq!(opened, Some((key_id, key.clone())));
    }
    assert_eq!(by_passphrase(&wrapped, owner, "another passphrase"), None);
    assert_eq!(by_passphrase(&wrapped, Uuid::nil(), text(&vectors, "/passphrase")), None);
    let secret = hex::decode(text(&vectors, "/recoverySecret")).unwrap();
    let recovery = bytes(&vectors, "/byRecoveryCode/wrapped");
    assert_eq!(by_recovery(&recovery, owner, &secret), Some((key_id, key.clone())));
    assert_eq!(by_recovery(&recovery, owner, &[0; 20]), None);
    for it in vectors["entries"].as_array().unwrap() {
        let (date, stored) = (text(it, "/date"), bytes(it, "/sealed"));
        assert_eq!(open_entry(&key, key_id, owner, date, &stored).as_ref(), Some(&it["entry"]));
        assert_eq!(open_entry(&key, key_id, owner, "2026-11-22", &stored), None);
        assert_eq!(open_entry(&key, key_id, Uuid::nil(), date, &stored), None);
        let with = hex::decode(text(it, "/nonce")).unwrap();
        let place = (text(it, "/entryId").parse().unwrap(), u32::try_from(it["counter"].as_u64().unwrap()).unwrap());
        assert_eq!(place_of(&stored), place);
        assert_eq!(seal_entry(&key, key_id, owner, date, place, &it["entry"].to_string(), &with), stored);
        // another entry's place, or an earlier text's, is not this one's
        for at in [17, 36] {
            let mut moved = stored.clone();
            moved[at] ^= 1;
            assert_eq!(open_entry(&key, key_id, owner, date, &moved), None);
        }
    }
    // as they were written once
    for it in vectors["entriesOfVersion1"].as_array().unwrap() {
        let opened = open_entry(&key, key_id, owner, text(it, "/date"), &bytes(it, "/sealed"));
        assert_eq!(opened.as_ref(), Some(&it["entry"]));
    }
}

#[test]
fn the_implementation_for_browsers_reads_and_writes_what_the_vectors_say() {
    let said = tools::private_journal(&[], "");
    assert!(said.contains("as the vectors say"), "{said}");
}

/// The wraps of a key of hers, as the package for browsers makes them, and her recovery code.
fn made(alice: &User) -> (Value, String) {
    let made: Value =
        serde_json::from_str(&tools::private_journal(&["start", &alice.id.to_string(), PASSPHRASE], "")).unwrap();
    (made["wraps"].clone(), made["recoveryCode"].as_str().unwrap().to_owned())
}

async fn put_keys(user: &User, etag: &str, wraps: &Value) -> Answer {
    let mut body = wraps.clone();
    body["password"] = json!(PASSWORD);
    conditional(user, Method::PUT, "/journal/keys", etag, Some(body)).await
}

fn private(date: &str, body: &str) -> Value {
    json!({"body": body, "date": date, "sealed": true})
}

#[tokio::test]
async fn what_a_browser_seals_comes_back_to_it_and_the_server_reads_none_of_it() {
    let diary = diary().await;
    let (wraps, recovery) = made(&diary.alice);
    let kept = put_keys(&diary.alice, "\"0\"", &wraps).await.expect(200);
    assert_eq!((&kept.json["isSet"], &kept.json["version"]), (&json!(true), &json!(1)));
    let read = diary.alice.get("/journal/keys").await.expect(200);
    for member in ["keyId", "byPassphrase", "byRecoveryCode"] {
        assert_eq!(read.json[member], wraps[member], "{member}");
    }
    let owner = diary.alice.id.0;
    let (key_id, key) = by_passphrase(&bytes(&wraps, "/byPassphrase"), owner, PASSPHRASE).unwrap();
    // sealed by one implementation, opened by the other
    let json = json!({"body": MARKER, "mood": 1, "tags": ["secret"]}).to_string();
    let first = (Uuid::new_v4(), 1);
    let sealed = STANDARD.encode(seal_entry(&key, key_id, owner, "2026-01-05", first, &json, &[9; 12]));
    let written = diary.write(private("2026-01-05", &sealed)).await.expect(201);
    assert_eq!((&written.json["sealed"], &written.json["body"]), (&json!(true), &json!(sealed)));
    assert!(written.json.get("mood").is_none() && written.json.get("tags").is_none());
    let there = diary.read("?from=2026-01-05&to=2026-01-05").await;
    let asked = json!({
        "owner": owner, "wraps": wraps, "passphrase": PASSPHRASE, "recoveryCode": recovery, "date": "2026-01-05",
        "sealed": there.str("/items/0/body"),
    });
    let answer: Value = serde_json::from_str(&tools::private_journal(&["exchange"], &asked.to_string())).unwrap();
    assert_eq!(answer["read"]["body"], MARKER);
    assert_eq!(answer["place"], json!({"entryId": first.0, "counter": 2}));
    let path = format!("/journal/{}", written.str("/id"));
    let changed = private("2026-01-05", text(&answer, "/sealed"));
    let saved = conditional(&diary.alice, Method::PUT, &path, written.header("etag"), Some(changed)).await.expect(200);
    let opened = open_entry(&key, key_id, owner, "2026-01-05", &bytes(&saved.json, "/body"));
    assert_eq!(opened.as_ref(), Some(&answer["entry"]));

    assert_eq!(place_of(&bytes(&saved.json, "/body")), (first.0, 2));
    // neither the text of before nor another entry takes its place
    let other = seal_entry(&key, key_id, owner, "2026-01-05", (Uuid::new_v4(), 9), &json, &[8; 12]);
    for wrong in [sealed.clone(), text(&answer, "/sealed").to_owned(), STANDARD.encode(other)] {
        let wrong = private("2026-01-05", &wrong);
        let refused = conditional(&diary.alice, Method::PUT, &path, saved.header("etag"), Some(wrong)).await;
        refused.refused(409, "journal_entry_differs");
    }

    // it is found by its day alone, and is in no trend
    diary.note("not private", "2026-01-06", 4, &["secret"]).await;
    assert_eq!(bodies(&diary.read("?tag=secret").await), ["not private"]);
    assert_eq!(bodies(&diary.read("?mood=1").await), [""; 0]);
    let trend = diary.read("/trend?from=2026-01-01&to=2026-01-31").await;
    assert_eq!((&trend.json["items"][0]["entries"], &trend.json["privateEntries"]), (&json!(1), &json!(1)));

    // another passphrase wraps the same key: entries stay as they are
    let other = answer["wraps"].clone();
    assert_eq!((&other["keyId"], &other["byRecoveryCode"]), (&wraps["keyId"], &wraps["byRecoveryCode"]));
    put_keys(&diary.alice, "\"0\"", &other).await.refused(412, "stale");
    put_keys(&diary.alice, "\"1\"", &other).await.expect(200);
    let new = format!("{PASSPHRASE}, changed");
    let read = diary.alice.get("/journal/keys").await.expect(200);
    assert_eq!(by_passphrase(&bytes(&read.json, "/byPassphrase"), owner, &new), Some((key_id, key.clone())));
    assert_eq!(by_passphrase(&bytes(&read.json, "/byPassphrase"), owner, PASSPHRASE), None);
    let again = diary.alice.get(&path).await.expect(200);
    assert!(open_entry(&key, key_id, owner, "2026-01-05", &bytes(&again.json, "/body")).is_some());
    diary.app.settle().await;

    // whoever has the database has neither words nor wraps to try passphrases on
    let dump = diary.app.dump().await;
    for secret in [MARKER, text(&wraps, "/byPassphrase"), text(&other, "/byPassphrase"), &sealed] {
        for form in forms(secret) {
            assert!(!dump.contains(&form));
        }
    }
    for raw in [bytes(&wraps, "/byPassphrase"), STANDARD.decode(&sealed).unwrap(), key] {
        assert!(!dump.contains(&hex::encode(raw)));
    }
    assert_eq!(diary.app.count("SELECT count(*) FROM app.audit_logs WHERE action = 'journal.keys_replaced'").await, 2);
}

/// A wrap of the right form, of this key.
pub fn formed(key: Uuid, fill: u8) -> Value {
    let rest = [&[fill; 16][..], key.as_bytes(), &[fill; 60]].concat();
    let hard = [&[1, 1][..], &65_536_u32.to_be_bytes(), &3_u32.to_be_bytes(), &[1]].concat();
    json!({
        "keyId": key,
        "byPassphrase": STANDARD.encode([&hard[..], &rest].concat()),
        "byRecoveryCode": STANDARD.encode([&[1, 2][..], &rest].concat()),
    })
}

fn sealed_under(key: Uuid) -> String {
    STANDARD.encode(
        [&[2][..], key.as_bytes(), Uuid::new_v4().as_bytes(), &1_u32.to_be_bytes(), &[5; 12 + 256 + 16]].concat(),
    )
}

#[tokio::test]
async fn a_key_that_entries_need_is_not_exchanged_for_another_one() {
    let diary = diary().await;
    let (one, two) = (Uuid::new_v4(), Uuid::new_v4());
    let day = "2026-01-05";
    // no entry without a key
    diary.write(private(day, &sealed_under(one))).await.refused(409, "journal_key_differs");
    // two browsers make one at the same moment: the first one stays
    let (first, second) = (formed(one, 1), formed(two, 2));
    let (a, b) = tokio::join!(put_keys(&diary.alice, "\"0\"", &first), put_keys(&diary.alice, "\"0\"", &second));
    let mut codes = [a.status.as_u16(), b.status.as_u16()];
    codes.sort_unstable();
    assert_eq!(codes, [200, 412]);
    let (mine, other) = if a.status == 200 { (one, two) } else { (two, one) };
    // unused it may be exchanged
    put_keys(&diary.alice, "\"1\"", &formed(other, 3)).await.expect(200);
    diary.write(private(day, &sealed_under(mine))).await.refused(409, "journal_key_differs");
    let entry = diary.write(private(day, &sealed_under(other))).await.expect(201);
    put_keys(&diary.alice, "\"2\"", &formed(mine, 4)).await.refused(409, "journal_key_differs");
    put_keys(&diary.alice, "\"2\"", &formed(other, 5)).await.expect(200);
    // an entry that becomes an ordinary one needs it no more
    let path = format!("/journal/{}", entry.str("/id"));
    let open = json!({"body": "For all of me to search.", "mood": 3});
    let opened = conditional(&diary.alice, Method::PUT, &path, "\"1\"", Some(open)).await.expect(200);
    assert_eq!(opened.json["sealed"], false);
    put_keys(&diary.alice, "\"3\"", &formed(mine, 6)).await.expect(200);
    // at the same moment: either the entry is written, or the key is exchanged
    for round in 0..4 {
        let (now, next) = (diary.alice.get("/journal/keys").await.expect(200), Uuid::new_v4());
        let present: Uuid = now.str("/keyId").parse().unwrap();
        let (new_keys, body) = (formed(next, 7), private(day, &sealed_under(present)));
        let (put, posted) = tokio::join!(put_keys(&diary.alice, now.header("etag"), &new_keys), diary.write(body));
        match (put.status.as_u16(), posted.status.as_u16()) {
            (200, 409) => {}
            (409, 201) => {
                let path = format!("/journal/{}", posted.str("/id"));
                conditional(&diary.alice, Method::DELETE, &path, "\"1\"", None).await.expect(204);
            }
            other => panic!("{round}: {other:?}"),
        }
    }
    let words = diary.alice.request(Method::POST, "/journal").header("accept-language", "fr");
    let words =
        Answer::of(words.json(&private(day, &sealed_under(Uuid::nil())))).await.refused(409, "journal_key_differs");
    assert_eq!(words.str("/title"), "Une autre clé");
}

#[tokio::test]
async fn what_is_no_sealed_form_is_refused_with_its_place() {
    let diary = diary().await;
    let key = Uuid::new_v4();
    put_keys(&diary.alice, "\"0\"", &formed(key, 1)).await.expect(200);
    let good = sealed_under(key);
    let cut = STANDARD.encode(&STANDARD.decode(&good).unwrap()[..284]);
    for (body, pointer, code) in [
        (json!({"body": "Dear diary", "date": "2026-01-05", "sealed": true}), "/body", "journal_sealed"),
        (json!({"body": cut, "date": "2026-01-05", "sealed": true}), "/body", "journal_sealed"),
        (json!({"body": good, "sealed": true}), "/date", "required"),
        (json!({"body": good, "date": "2026-01-05", "sealed": true, "mood": 3}), "/mood", "journal_inside"),
        (json!({"body": good, "date": "2026-01-05", "sealed": true, "tags": []}), "/tags", "journal_inside"),
        (json!({"body": good, "date": "2026-01-05", "sealed": "yes"}), "/sealed", "type"),
    ] {
        let refused = diary.write(body.clone()).await.refused(422, "invalid");
        let errors = refused.json["errors"].as_array().unwrap();
        assert!(
            errors.iter().any(|it| it["pointer"] == pointer && it["code"] == code),
            "{code} at {pointer}: {}",
            refused.json
        );
    }
    let with = |change: &dyn Fn(&mut Value)| {
        let mut wraps = formed(key, 2);
        change(&mut wraps);
        wraps
    };
    let easy =
        [&[1, 1][..], &8_u32.to_be_bytes(), &1_u32.to_be_bytes(), &[1], &[0; 16], key.as_bytes(), &[0; 60]].concat();
    for (wraps, pointer, code) in [
        (with(&|it| it["keyId"] = json!(Uuid::new_v4())), "/byPassphrase", "journal_wrap"),
        (with(&|it| it["byRecoveryCode"] = it["byPassphrase"].clone()), "/byRecoveryCode", "journal_wrap"),
        (with(&|it| it["byPassphrase"] = json!(STANDARD.encode(&easy))), "/byPassphrase", "journal_wrap"),
        (with(&|it| it["byPassphrase"] = json!("x".repeat(120))), "/byPassphrase", "journal_wrap"),
        (with(&|it| it["byPassphrase"] = json!("")), "/byPassphrase", "min_length"),
        (with(&|it| it["keyId"] = json!("mine")), "/keyId", "format"),
    ] {
        let refused = put_keys(&diary.alice, "\"1\"", &wraps).await.refused(422, "invalid");
        let errors = refused.json["errors"].as_array().unwrap();
        assert!(
            errors.iter().any(|it| it["pointer"] == pointer && it["code"] == code),
            "{code} at {pointer}: {}",
            refused.json
        );
    }
    // of version 1, which said no place
    let old = STANDARD.encode([&[1][..], key.as_bytes(), &[5; 12 + 256 + 16]].concat());
    diary.write(private("2026-01-05", &old)).await.refused(422, "invalid");
    let mut wraps = formed(key, 3);
    wraps["password"] = json!(PASSWORD);
    let blind = diary.alice.request(Method::PUT, "/journal/keys").json(&wraps);
    Answer::of(blind).await.refused(428, "precondition_required");
    let dr = diary.app.practitioner().await;
    dr.get("/journal/keys").await.refused(403, "forbidden");
    put_keys(&dr, "\"0\"", &formed(key, 3)).await.refused(403, "forbidden");
}

#[tokio::test]
async fn whoever_has_a_session_alone_exchanges_no_wraps() {
    let diary = diary().await;
    let (key, etag) = (Uuid::new_v4(), "\"1\"");
    put_keys(&diary.alice, "\"0\"", &formed(key, 1)).await.expect(200);
    let put = async |password: Option<&str>, code: Option<&str>| {
        let mut body = formed(key, 2);
        body["password"] = json!(password);
        body["code"] = json!(code);
        conditional(&diary.alice, Method::PUT, "/journal/keys", etag, Some(body)).await
    };
    put(None, None).await.refused(422, "invalid");
    put(Some("not the password at all"), None).await.refused(403, "wrong_password");
    let kept = diary.alice.get("/journal/keys").await.expect(200);
    assert_eq!(kept.json["byPassphrase"], formed(key, 1)["byPassphrase"]);
    assert!(kept.json.get("before").is_none());
    // the pause that follows a wrong password is over
    diary.app.clock.advance(chrono::TimeDelta::minutes(1));
    // where there is a second factor, a code of it as well
    let phone = crate::two_factor::enabled(&diary.app, &diary.alice).await;
    let refused = put(Some(PASSWORD), None).await;
    assert_eq!(refused.status, 422, "{}", refused.text());
    put(Some(PASSWORD), Some(&phone.code(&diary.app, 1))).await.expect(200);
    diary.app.settle().await;
}

#[tokio::test]
async fn wraps_that_were_replaced_are_given_back_for_a_fortnight() {
    let diary = diary().await;
    let key = Uuid::new_v4();
    let first = put_keys(&diary.alice, "\"0\"", &formed(key, 1)).await.expect(200);
    assert!(first.json.get("before").is_none());
    // twice in a row, by whatever it was: those of before the first time stay
    put_keys(&diary.alice, "\"1\"", &formed(key, 2)).await.expect(200);
    put_keys(&diary.alice, "\"2\"", &formed(key, 3)).await.expect(200);
    let read = diary.alice.get("/journal/keys").await.expect(200);
    for member in ["keyId", "byPassphrase", "byRecoveryCode"] {
        assert_eq!(read.json["before"][member], formed(key, 1)[member], "{member}");
        assert_eq!(read.json[member], formed(key, 3)[member], "{member}");
    }
    // they are put again as any others
    let mut back = read.json["before"].clone();
    back.as_object_mut().unwrap().remove("until");
    let put = put_keys(&diary.alice, "\"3\"", &back).await.expect(200);
    assert_eq!(put.json["byPassphrase"], formed(key, 1)["byPassphrase"]);
    // nobody else is given them, and they are not in a dump
    let bob = diary.app.employee(&diary.company).await;
    assert!(bob.get("/journal/keys").await.expect(200).json.get("before").is_none());
    let dump = diary.app.dump().await;
    for form in forms(text(&back, "/byPassphrase")) {
        assert!(!dump.contains(&form));
    }
    // after a fortnight those of then are kept
    diary.app.clock.advance(chrono::TimeDelta::days(15));
    let alice = diary.alice.with_token(diary.app.session(diary.alice.id, Role::Employee, diary.alice.company_id).await);
    assert!(alice.get("/journal/keys").await.expect(200).json.get("before").is_none());
    let replaced = put_keys(&alice, "\"4\"", &formed(key, 5)).await.expect(200);
    assert_eq!(replaced.json["before"]["byPassphrase"], formed(key, 1)["byPassphrase"]);
    diary.app.settle().await;
    // and those of before are in the database no longer than they are given back
    let left =
        "SELECT count(*) FROM app.journal_keys WHERE num_nonnulls(before_key_id, before_version, before_passphrase,
                                                                         before_recovery_code, replaced_at) > 0";
    for (days, there) in [(13, 1), (15, 0)] {
        let mut conn = diary.app.db().acquire().await.unwrap();
        sqlx::raw_sql("SET session_replication_role = replica").execute(&mut *conn).await.unwrap();
        sqlx::query("UPDATE app.journal_keys SET replaced_at = now() - make_interval(days => $1)")
            .bind(days)
            .execute(&mut *conn)
            .await
            .unwrap();
        sqlx::raw_sql("RESET session_replication_role").execute(&mut *conn).await.unwrap();
        drop(conn);
        diary.app.enqueue(&huntzen::domain::privacy::RemoveExpired {}).await;
        diary.app.settle().await;
        assert_eq!(diary.app.count(left).await, there, "{days} days");
    }
    let kept = alice.get("/journal/keys").await.expect(200);
    assert_eq!((&kept.json["byPassphrase"], kept.json.get("before")), (&formed(key, 5)["byPassphrase"], None));
}
