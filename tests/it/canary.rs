//! Whatever people entrust the program with is in their own hands only. A word of its own goes into every confidential
//! field, through the API of real programs; then it is looked for in everything else that there is. A sealed column that
//! no word reaches fails the test.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use chrono::TimeDelta;
use huntzen::app;
use huntzen::platform::auth::Role;
use regex::bytes::Regex;
use reqwest::Method;
use reqwest::multipart::{Form, Part};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use crate::consultations::{free, in_days, scene, wish};
use crate::support::app::PASSWORD;
use crate::support::process::Site;
use crate::support::redis::Redis;
use crate::support::web::{Reply, Web};
use crate::support::{Answer, User, cluster};
use crate::two_factor::App;

/// Every confidential field, and the column that keeps it, where one of its own does. Who adds a field adds a line.
const FIELDS: &[(&str, Option<&str>)] = &[
    ("why a session is booked", Some("consultation_reasons.sealed")),
    ("why it is cancelled", Some("consultation_reasons.sealed")),
    ("a message", Some("messages.sealed")),
    ("an edited message", Some("messages.sealed")),
    ("what is repeated under a key", Some("idempotency_keys.fingerprint")),
    ("the name of an attachment", Some("files.sealed_name")),
    ("an attachment", Some("files.sealed_key")),
    ("the name of a document", Some("files.sealed_name")),
    ("a document", Some("files.sealed_key")),
    ("a note", Some("clinical_note_versions.sealed")),
    ("a saved note", Some("clinical_note_versions.sealed")),
    ("the assessment of a note", Some("clinical_note_versions.sealed")),
    ("an addendum", Some("clinical_note_versions.sealed")),
    ("an entry of a journal", Some("journal_entries.sealed")),
    ("a tag of a journal", Some("journal_entries.facts")),
    ("the secret of an authenticator", Some("two_factor.secret")),
    ("the secret of the next one", Some("two_factor.pending_secret")),
    ("a recovery code", Some("recovery_codes.hash")),
    ("the address of a calendar", Some("external_calendars.url")),
    ("a title in that calendar", None),
    ("the address of a feed", Some("calendar_feeds.hash")),
    ("a password", None),
    ("a wrong password", None),
    ("a refresh token", Some("refresh_tokens.hash")),
    ("an access token", None),
    ("the token of a device", Some("known_devices.hash")),
    ("the link of a letter", Some("one_time_tokens.hash")),
    ("an address that nobody has", Some("throttles.key")),
    ("a private address", None),
    ("what is refused", None),
];

/// Columns of bytes that no word can reach, and why; or the test that looks at them.
const OTHERS: &[&str] = &[
    // keys, wrapped, and what is derived of keys
    "encryption_keys.wrapped",
    "signing_keys.secret",
    "master_keys.check_value",
    "privacy_requests.sealed_key",
    // digests of what is sealed, and of the log
    "files.digest",
    "audit_chain.digest",
    "audit_chain.entry_digest",
    "audit_heads.digest",
    "audit_verifications.digest",
    // of addresses that the directory has beside it
    "invitation_mails.address_hash",
    // reviews::moderation: what waits for a moderator
    "reviews.sealed",
    // calls::signalling
    "call_signals.sealed",
    // journal::private: the browser's own ciphertext
    "journal_keys.by_passphrase",
    "journal_keys.by_recovery_code",
];

/// Where a word may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In the tables as it is: an account has an address.
    Tables,
    /// In a letter to its own person.
    Letters,
    /// In what staff see of accounts.
    Staff,
}

struct Word {
    field: &'static str,
    text: String,
    may: &'static [Place],
}

#[derive(Default)]
struct Words(Vec<Word>);

impl Words {
    /// A new word for a field: letters and digits, so that it looks the same in any notation.
    fn of(&mut self, field: &'static str) -> String {
        let word = format!("canary{}{}", self.0.len(), Uuid::new_v4().simple());
        self.know(field, word.clone(), &[]);
        word
    }

    fn know(&mut self, field: &'static str, text: String, may: &'static [Place]) {
        assert!(text.len() >= 16, "{field}: {text} could be there by chance");
        self.0.push(Word { field, text, may });
    }

    /// Looks for all that may not be there.
    fn none_in(&self, place: Option<Place>, what: &str, bytes: &[u8]) {
        assert!(!bytes.is_empty(), "{what} is empty");
        let sought: Vec<&Word> =
            self.0.iter().filter(|it| place.is_none_or(|place| !it.may.contains(&place))).collect();
        let any: Vec<String> = sought.iter().flat_map(|it| forms(&it.text)).map(|it| regex::escape(&it)).collect();
        if let Some(found) = Regex::new(&any.join("|")).unwrap().find(bytes) {
            let around = &bytes[found.start().saturating_sub(200)..(found.end() + 100).min(bytes.len())];
            let field = sought.iter().find(|it| forms(&it.text).iter().any(|form| form.as_bytes() == found.as_bytes()));
            panic!("{} is in {what}: {}", field.unwrap().field, String::from_utf8_lossy(around));
        }
    }
}

/// How a text looks in a dump, in bytes that are shown as such, and in base64 wherever it begins.
fn forms(text: &str) -> Vec<String> {
    let mut forms = vec![text.to_owned(), hex::encode(text)];
    for before in 0..3 {
        let coded = STANDARD_NO_PAD.encode([&vec![0; before][..], text.as_bytes()].concat());
        let inner = coded[[0, 2, 3][before]..coded.len() - 2].to_owned();
        forms.push(hex::encode(&inner));
        forms.push(inner);
    }
    forms
}

fn pdf(word: &str) -> Vec<u8> {
    format!("%PDF-1.4\n%{word}\ntrailer<<>>\n%%EOF\n").into_bytes()
}

async fn bring(user: &User, path: &str, purpose: Option<&str>, name: &str, bytes: Vec<u8>) -> Answer {
    let form = purpose.map_or_else(Form::new, |purpose| Form::new().text("purpose", purpose.to_owned()));
    let part = Part::bytes(bytes).file_name(name.to_owned());
    Answer::of(user.request(Method::POST, path).multipart(form.part("file", part))).await
}

async fn with_etag(user: &User, method: Method, path: &str, etag: &str, body: Value) -> Answer {
    Answer::of(user.request(method, path).header("if-match", etag).json(&body)).await
}

#[tokio::test]
#[allow(clippy::too_many_lines)] // a paragraph for each place
async fn what_people_entrust_is_in_their_own_hands_only() {
    let (app, company, alice, dr) = scene().await;
    let (bob, carol, other) = (app.employee(&company).await, app.employee(&company).await, app.practitioner().await);
    let staff = app.platform_admin().await;
    let (redis, web) = (Redis::start().await, Web::start().await);
    let cluster = cluster::template().await;
    let mut site = Site::new(app.options(), Some(cluster.config().database_roles_secret.expose_secret())).await;
    site.set("REDIS_URL", Some(redis.url()));
    site.set("LOG_FILTER", Some("debug".into()));
    site.set("OUTGOING_TEST_HOSTS", Some(web.host.clone()));
    let (one, two) = (site.start().await, site.start().await);
    let heard = redis.monitor().await;
    let mut people = Vec::new();
    for (user, role) in [
        (&alice, Role::Employee),
        (&dr, Role::Practitioner),
        (&bob, Role::Employee),
        (&carol, Role::Employee),
        (&other, Role::Practitioner),
        (&company.hr, Role::Hr),
        (&company.admin, Role::CompanyAdmin),
        (&staff, Role::PlatformAdmin),
    ] {
        people.push(site.user(user.id, role, user.company_id).await.at(&one.base));
    }
    let [alice, dr, bob, carol, other, hr, admin, staff] = <[User; 8]>::try_from(people).ok().unwrap();
    let mut words = Words::default();
    let mut errors: Vec<Answer> = Vec::new();

    // booking, and thinking better of it
    let mut booked = Vec::new();
    for (day, why) in [(3, "why a session is booked"), (4, "why it is cancelled")] {
        let mut body = wish(&dr, &free(&alice, &dr, in_days(&app, day)).await[0]);
        if day == 3 {
            body["reason"] = json!(words.of(why));
        }
        booked.push(alice.post("/consultations", body).await.expect(201).str("/id"));
    }
    let session = booked.remove(0);
    let cancel = json!({"reason": words.of("why it is cancelled")});
    alice.post(&format!("/consultations/{}/cancel", booked[0]), cancel).await.expect(200);

    // one that is repeated with its key
    let mut body = wish(&dr, &free(&bob, &dr, in_days(&app, 5)).await[0]);
    body["reason"] = json!(words.of("what is repeated under a key"));
    let mut repeated = String::new();
    for node in [&one, &two] {
        let request = bob.at(&node.base).request(Method::POST, "/consultations");
        let answer = Answer::of(request.header("idempotency-key", "once-and-for-all").json(&body)).await.expect(201);
        assert!(repeated.is_empty() || repeated == answer.str("/id"));
        repeated = answer.str("/id");
    }

    // what the two write to each other
    let (messages, attachments) =
        (format!("/conversations/{session}/messages"), format!("/conversations/{session}/attachments"));
    let message = |word: String| json!({"clientId": Uuid::new_v4(), "body": word});
    let sent = alice.post(&messages, message(words.of("a message"))).await.expect(201);
    let path = format!("/messages/{}", sent.str("/id"));
    let edit = json!({"body": words.of("an edited message")});
    Answer::of(alice.request(Method::PATCH, &path).json(&edit)).await.expect(200);
    let name = format!("{}.pdf", words.of("the name of an attachment"));
    let file = bring(&alice, &attachments, None, &name, pdf(&words.of("an attachment"))).await.expect(201);
    let with = json!({"clientId": Uuid::new_v4(), "body": "", "attachmentIds": [file.str("/id")]});
    alice.post(&messages, with).await.expect(201);
    let name = format!("{}.pdf", words.of("the name of a document"));
    bring(&alice, "/files", Some("document"), &name, pdf(&words.of("a document"))).await.expect(201);

    // the session has come
    let mut tx = app.db().begin().await.unwrap();
    sqlx::raw_sql("SET LOCAL session_replication_role = replica").execute(&mut *tx).await.unwrap();
    sqlx::query(
        "UPDATE app.consultations SET (starts_at, ends_at, busy_from, busy_until) =
             (now() - interval '5 min', now() + interval '25 min', now() - interval '5 min', now() + interval '25 min')
         WHERE id = $1::uuid",
    )
    .bind(&session)
    .execute(&mut *tx)
    .await
    .unwrap();
    tx.commit().await.unwrap();
    dr.post(&format!("/consultations/{session}/start"), json!({})).await.expect(200);
    let notes = format!("/consultations/{session}/notes");
    let body = json!({"format": "free", "body": words.of("a note")});
    let note = dr.post(&notes, body).await.expect(201);
    let path = format!("/notes/{}", note.str("/id"));
    let body = json!({"format": "free", "body": words.of("a saved note")});
    let saved = with_etag(&dr, Method::PUT, &path, note.header("etag"), body).await.expect(200);
    with_etag(&dr, Method::POST, &format!("{path}/finalize"), saved.header("etag"), json!({})).await.expect(200);
    dr.post(&format!("{path}/addenda"), json!({"body": words.of("an addendum")})).await.expect(201);
    let soap = json!({"format": "soap", "body": {
        "subjective": "Sleeps.", "objective": "Awake.", "assessment": words.of("the assessment of a note"), "plan": "Rest."
    }});
    dr.post(&notes, soap).await.expect(201);

    // what somebody writes for themselves
    let (text, tag) = (words.of("an entry of a journal"), words.of("a tag of a journal"));
    let tag = tag[..28].to_owned();
    words.0.last_mut().unwrap().text.clone_from(&tag);
    alice.post("/journal", json!({"body": text, "mood": 2, "tags": [tag]})).await.expect(201);
    assert!(alice.get(&format!("/journal?tag={tag}")).await.expect(200).text().contains(&text));

    // what opens an account
    let body = json!({"email": alice.email, "password": PASSWORD, "device": "phone"});
    let opened = alice.post("/auth/login", body).await.expect(200);
    for (field, pointer) in [
        ("an access token", "/accessToken"),
        ("a refresh token", "/refreshToken"),
        ("the token of a device", "/deviceToken"),
    ] {
        words.know(field, opened.str(pointer), &[]);
    }
    let offer = other.post("/auth/totp/setup", json!({"password": PASSWORD})).await.expect(200);
    let phone = App::of(&offer, Vec::new());
    let secret = |offer: &Answer| {
        let uri = offer.str("/uri");
        uri.split(['?', '&']).find_map(|it| it.strip_prefix("secret=")).unwrap().to_owned()
    };
    words.know("the secret of an authenticator", secret(&offer), &[]);
    let enabled = other.post("/auth/totp/enable", json!({"code": phone.code(&app, 0)})).await.expect(200);
    for code in crate::two_factor::codes(&enabled) {
        words.know("a recovery code", code, &[]);
    }
    let change = json!({"password": PASSWORD, "code": phone.code(&app, 1)});
    let offer = other.post("/auth/totp/setup", change).await.expect(200);
    words.know("the secret of the next one", secret(&offer), &[]);
    let wrong = json!({"email": bob.email, "password": words.of("a wrong password")});
    errors.push(bob.post("/auth/login", wrong).await.expect(401));
    let nobody = format!("{}@nowhere.test", words.of("an address that nobody has"));
    errors.push(bob.post("/auth/login", json!({"email": nobody, "password": PASSWORD})).await.expect(401));
    let new = json!({"currentPassword": PASSWORD, "newPassword": words.of("a password")});
    carol.post("/auth/change-password", new).await.expect(204);
    hr.post("/auth/forgot-password", json!({"email": alice.email})).await.expect(202);

    // calendars of practitioners, theirs elsewhere and ours for elsewhere
    let calendar = format!("/{}.ics", words.of("the address of a calendar"));
    let title = words.of("a title in that calendar");
    let soon = app.clock.now() + TimeDelta::days(2);
    let at = |hours| (soon + TimeDelta::hours(hours)).format("%Y%m%dT%H%M%SZ");
    let event = format!("UID:{title}\r\nSUMMARY:{title}\r\nDTSTART:{}\r\nDTEND:{}\r\n", at(0), at(1));
    let event = format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\n{event}END:VEVENT\r\nEND:VCALENDAR\r\n");
    web.answers(&calendar, Reply::ok(event));
    let calendars = format!("/practitioners/{}/calendars", dr.id);
    let body = json!({"kind": "external", "label": "Elsewhere", "url": web.url(&calendar)});
    dr.post(&calendars, body).await.expect(201);
    let made = dr.post(&calendars, json!({"kind": "feed", "label": "Phone"})).await.expect(201);
    let url = made.str("/url");
    let token = url[url.find("/calendars/").unwrap() + 11..].trim_end_matches(".ics").to_owned();
    words.know("the address of a feed", token, &[]);
    dr.get(&url[url.find("/api/v1").unwrap() + 7..]).await.expect(200);

    // an address that the employer does not have
    let address = format!("{}@home.test", words.of("a private address"));
    words.0.last_mut().unwrap().may = &[Place::Tables, Place::Letters, Place::Staff];
    alice.patch("/me", json!({"email": address, "currentPassword": PASSWORD})).await.expect(200);

    // what is refused
    let refused = words.of("what is refused");
    for (user, method, path, body) in [
        (&alice, Method::POST, "/journal".to_owned(), json!({"body": refused, "mood": 99})),
        (&alice, Method::POST, "/journal".to_owned(), json!({"body": refused, "mood": 2, "tags": [refused.repeat(9)]})),
        (&alice, Method::POST, messages.clone(), json!({"clientId": refused, "body": refused})),
        (&alice, Method::POST, messages.clone(), json!({"clientId": Uuid::new_v4(), "body": refused.repeat(500)})),
        (&bob, Method::POST, messages.clone(), json!({"clientId": Uuid::new_v4(), "body": refused})),
        (&dr, Method::POST, notes.clone(), json!({"format": refused, "body": refused})),
        (&other, Method::POST, notes.clone(), json!({"format": "free", "body": refused})),
        (&dr, Method::PUT, path.clone(), json!({"format": "free", "body": refused})),
        (&bob, Method::POST, "/consultations".to_owned(), json!({"reason": refused})),
        (&bob, Method::POST, "/auth/login".to_owned(), json!({"email": refused, "password": refused})),
        (&bob, Method::POST, "/auth/refresh".to_owned(), json!({"refreshToken": refused})),
        (&bob, Method::POST, "/auth/reset-password".to_owned(), json!({"token": refused, "password": refused})),
        (&bob, Method::GET, format!("/journal?tag={refused}&from=yesterday"), Value::Null),
        (&bob, Method::GET, format!("/journal?mood={refused}"), Value::Null),
    ] {
        let answer = Answer::of(user.request(method, &path).json(&body)).await;
        assert!(answer.status.is_client_error(), "{path}: {}", answer.status);
        errors.push(answer);
    }
    // a pointer names what it points to
    alice.post("/journal", json!({refused.as_str(): refused})).await.expect(422);
    dr.post(&notes, json!({"format": "soap", "body": {refused.as_str(): refused}})).await.expect(422);
    let odd = format!("{refused}.svg");
    errors.push(bring(&alice, &attachments, None, &odd, refused.clone().into_bytes()).await.expect(415));
    errors.push(bring(&alice, "/files", Some(&refused), &odd, pdf(&refused)).await.expect(422));

    // everything that follows from it is done
    site.until("SELECT NOT EXISTS (SELECT FROM apalis.jobs WHERE status <> 'Done' AND run_at <= now())").await;
    site.until("SELECT EXISTS (SELECT FROM app.external_busy_times)").await;
    let letters = site.mails();
    let reset = letters.iter().find(|it| it.text.as_deref().is_some_and(|it| it.contains("reset-password"))).unwrap();
    words.know("the link of a letter", reset.link_parameter("token"), &[Place::Letters]);

    // the fields are those of the list, and their columns hold something
    let written: BTreeSet<&str> = words.0.iter().map(|it| it.field).collect();
    assert_eq!(written, FIELDS.iter().map(|(field, _)| *field).collect::<BTreeSet<_>>());
    let columns: Vec<String> = sqlx::query_scalar(
        "SELECT c.table_name || '.' || c.column_name FROM information_schema.columns c
         JOIN information_schema.tables t USING (table_schema, table_name)
         WHERE c.table_schema = 'app' AND c.data_type = 'bytea' AND t.table_type = 'BASE TABLE'",
    )
    .fetch_all(app.db())
    .await
    .unwrap();
    let mut unreached = Vec::new();
    for column in &columns {
        let (table, name) = column.split_once('.').unwrap();
        if FIELDS.iter().any(|(_, it)| *it == Some(column)) {
            let some = format!("SELECT count(*) FROM app.{table} WHERE {name} IS NOT NULL");
            let some: i64 = sqlx::query_scalar(AssertSqlSafe(some)).fetch_one(app.db()).await.unwrap();
            unreached.extend((some == 0).then_some(column));
        } else {
            assert!(OTHERS.contains(&column.as_str()), "{column}: a field of FIELDS, or one of OTHERS?");
        }
    }

    assert!(unreached.is_empty(), "no word reached {unreached:?}");

    // their own people read them
    for (user, path, field) in [
        (&alice, messages.as_str(), "an edited message"),
        (&bob, &format!("/consultations/{repeated}"), "what is repeated under a key"),
        (&dr, messages.as_str(), "the name of an attachment"),
        (&dr, &format!("/consultations/{session}"), "why a session is booked"),
        (&dr, &path, "an addendum"),
        (&alice, "/journal", "an entry of a journal"),
    ] {
        let word = &words.0.iter().find(|it| it.field == field).unwrap().text;
        assert!(user.get(path).await.expect(200).text().contains(word), "{field}");
    }

    // and nobody else: what others are shown without asking for anything of theirs
    let document = app::openapi().unwrap();
    let paths =
        document["paths"].as_object().unwrap().iter().filter(|(path, it)| !path.contains('{') && it["get"].is_object());
    let mut shown = 0;
    for (path, _) in paths {
        let path = path.strip_prefix("/api/v1").map_or_else(|| format!("/{path}"), ToOwned::to_owned);
        for user in [&bob, &other, &hr, &admin, &staff] {
            let answer = user.get(&path).await;
            shown += i32::from(answer.status.is_success());
            if !answer.bytes.is_empty() {
                let place = (user.id == staff.id).then_some(Place::Staff);
                words.none_in(place, &format!("GET {path} of {}", user.email), &answer.bytes);
            }
        }
    }
    assert!(shown > 20, "{shown} answers");
    for answer in &errors {
        words.none_in(None, "a refusal", &answer.bytes);
    }

    // the database: as it is backed up, and what its server logs
    let dump = app.dump_as_backup().await;
    assert!(dump.contains("clinical_note_versions") && dump.contains(&session) && dump.contains("apalis"));
    words.none_in(Some(Place::Tables), "a backup of the database", dump.as_bytes());
    words.none_in(None, "the log of PostgreSQL", &std::fs::read(cluster.log()).unwrap());
    let jobs: Vec<Vec<u8>> = sqlx::query_scalar("SELECT job FROM apalis.jobs").fetch_all(app.db()).await.unwrap();
    words.none_in(None, "the jobs", &jobs.concat());
    // the objects of the storage
    let objects = site.objects();
    assert!(objects.len() >= 2);
    for object in objects {
        words.none_in(None, "the storage", &object);
    }
    // what goes out
    assert!(letters.len() >= 4);
    for letter in &letters {
        words.none_in(Some(Place::Letters), &letter.subject, format!("{letter:?}").as_bytes());
        words.none_in(None, "a subject", letter.subject.as_bytes());
    }
    let told = heard.all();
    assert!(String::from_utf8_lossy(&told).contains(&session));
    words.none_in(None, "what Redis is told", &told);
    words.none_in(None, "what Redis keeps", &[redis.dump().await, b"-".to_vec()].concat());
    for server in [one, two] {
        let metrics = reqwest::get(format!("{}/metrics", server.base)).await.unwrap().bytes().await.unwrap();
        words.none_in(None, "the metrics", &metrics);
        let log = server.log();
        assert!(log.len() > 1000);
        words.none_in(None, "the log", log.as_bytes());
        server.kill();
    }
    site.db.close().await;
    app.settle().await;
}
