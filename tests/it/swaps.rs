//! Whatever is sealed opens in its own place only: everything that two companies' people brought is tried in the place of
//! everything else, over rows, columns, versions, purposes, people and companies; then changed, cut, and under another key.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::TimeDelta;
use huntzen::app;
use huntzen::domain::consultations::{self, About};
use huntzen::domain::{calls, chat, clinical_notes, files, journal, privacy, reviews};
use huntzen::platform::auth::signing_keys;
use huntzen::platform::crypto::entropy::Entropy;
use huntzen::platform::crypto::envelope::{Document, KeyPurpose, Subject, SubjectKey};
use huntzen::platform::crypto::seal::{Keyring, Place, SealError};
use huntzen::platform::ids::{
    CompanyId, ConsultationId, FileId, MessageId, NoteId, PrivacyRequestId, ReviewId, UserId,
};
use reqwest::Method;
use reqwest::multipart::{Form, Part};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::consultations::{free, in_days, wish};
use crate::support::app::PASSWORD;
use crate::support::web::{Reply, Web};
use crate::support::{Answer, Sockets, TestApp, User};
use crate::two_factor::{enabled, next_step};

/// What nothing is written to any more, of which `older_forms` has rows.
const ELSEWHERE: &[&str] = &["reviews.sealed", "consultation_reasons.booking", "consultation_reasons.cancelling"];
/// Columns of bytes in which nothing is sealed: digests, of which the canary looks at the length.
const DIGESTS: &[&str] = &[
    "audit_chain.digest",
    "audit_chain.entry_digest",
    "audit_heads.digest",
    "audit_verifications.digest",
    "calendar_feeds.hash",
    "erasure_ledger.digest",
    "files.digest",
    "idempotency_keys.fingerprint",
    "invitation_mails.address_hash",
    "known_devices.hash",
    "master_keys.check_value",
    "one_time_tokens.hash",
    "recovery_codes.hash",
    "refresh_tokens.hash",
    "throttles.key",
];

async fn bring(user: &User, path: &str, purpose: Option<&str>) -> Answer {
    let form = purpose.map_or_else(Form::new, |purpose| Form::new().text("purpose", purpose.to_owned()));
    let part = Part::bytes(&b"%PDF-1.4\ntrailer<<>>\n%%EOF\n"[..]).file_name("letter.pdf");
    Answer::of(user.request(Method::POST, path).multipart(form.part("file", part))).await.expect(201)
}

async fn with_etag(user: &User, method: Method, path: &str, etag: &str, body: Value) -> Answer {
    Answer::of(user.request(method, path).header("if-match", etag).json(&body)).await.expect(200)
}

/// What the two tell each other while one of them is away, as it is kept as long.
async fn signals(app: &TestApp, session: &str, alice: &User, dr: &User) -> Vec<(Place, Vec<u8>)> {
    let sockets = Sockets::start();
    for (name, user) in [("alice", alice), ("dr", dr)] {
        let args =
            json!({"url": app.base, "namespace": "/audio-call", "token": user.token, "transports": ["websocket"]});
        assert_eq!(sockets.run("connect", name, args).await, json!({"connected": true}), "{name}");
        sockets.done(name, "call:join", json!({"consultationId": session, "deviceId": Uuid::new_v4()})).await;
    }
    let about = json!({"consultationId": session});
    sockets.done("alice", "call:ring", about.clone()).await;
    sockets.take("dr", "call:ringing").await;
    sockets.done("dr", "call:accept", about.clone()).await;
    sockets.take("alice", "call:accepted").await;
    sockets.run("close", "dr", json!({})).await;
    sockets.take("alice", "call:peer-lost").await;
    let sdp = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n";
    sockets.done("alice", "signal:offer", json!({"consultationId": session, "sdp": sdp})).await;
    let candidate = json!({"candidate": "candidate:1 1 udp 1 192.0.2.7 9 typ host"});
    sockets.done("alice", "signal:ice", json!({"consultationId": session, "candidate": candidate})).await;
    let kept: Vec<(Uuid, UserId, CompanyId, Vec<u8>)> = sqlx::query_as(
        "SELECT s.id, s.addressee_id, s.company_id, s.sealed FROM app.call_signals s
         WHERE s.company_id = $1 AND s.sealed IS NOT NULL",
    )
    .bind(alice.company_id)
    .fetch_all(app.db())
    .await
    .unwrap();
    assert_eq!(kept.len(), 2);
    sockets.done("alice", "call:hangup", about).await;
    kept.into_iter().map(|(id, to, company, sealed)| (calls::signal_place(id, to, company), sealed)).collect()
}

/// Wraps of a key that a browser made, as far as the server looks at them.
fn wraps(seed: u8) -> Value {
    let key = Uuid::from_u128(7);
    let wrap = |head: &[u8]| STANDARD.encode([head, &[seed; 16], key.as_bytes(), &[9; 60]].concat());
    let hard = [&[1, 1][..], &65_536_u32.to_be_bytes(), &3_u32.to_be_bytes(), &[1]].concat();
    json!({"keyId": key, "byPassphrase": wrap(&hard), "byRecoveryCode": wrap(&[1, 2]), "password": PASSWORD})
}

/// Everything that is sealed, of an employee and their practitioner; what is gone again afterwards, as it was.
async fn fill(app: &TestApp, web: &Web, alice: &User, dr: &User) -> Vec<(Place, Vec<u8>)> {
    let mut booked = Vec::new();
    for day in [3, 4] {
        let mut body = wish(dr, &free(alice, dr, in_days(app, day)).await[0]);
        body["reason"] = json!("I cannot sleep");
        booked.push(alice.post("/consultations", body).await.expect(201).str("/id"));
    }
    for session in &booked {
        let messages = format!("/conversations/{session}/messages");
        for user in [alice, dr] {
            let body = json!({"clientId": Uuid::new_v4(), "body": "a quiet word"});
            let sent = user.post(&messages, body).await.expect(201);
            let edit = user.request(Method::PATCH, &format!("/messages/{}", sent.str("/id")));
            Answer::of(edit.json(&json!({"body": "a quieter one"}))).await.expect(200);
            user.post(&messages, json!({"clientId": Uuid::new_v4(), "body": "another"})).await.expect(201);
        }
        let file = bring(alice, &format!("/conversations/{session}/attachments"), None).await;
        let body = json!({"clientId": Uuid::new_v4(), "body": "", "attachmentIds": [file.str("/id")]});
        alice.post(&messages, body).await.expect(201);
    }
    for session in &booked {
        alice.post(&format!("/consultations/{session}/cancel"), json!({"reason": "A fever"})).await.expect(200);
    }
    for _ in 0..2 {
        bring(alice, "/files", Some("document")).await;
        alice.post("/journal", json!({"body": "a quiet day", "mood": 3, "tags": ["work"]})).await.expect(201);
    }

    let mut body = wish(dr, &free(alice, dr, in_days(app, 5)).await[0]);
    body["reason"] = json!("I still cannot");
    body["mode"] = json!("audio");
    let session = alice.post("/consultations", body).await.expect(201).str("/id");
    app.settle().await;
    let now = app.clock.now();
    let mut tx = app.db().begin().await.unwrap();
    sqlx::raw_sql("SET LOCAL session_replication_role = replica").execute(&mut *tx).await.unwrap();
    sqlx::query("UPDATE app.consultations SET (starts_at, ends_at, busy_from, busy_until) = ($2, $3, $2, $3) WHERE id = $1::uuid")
        .bind(&session)
        .bind(now - TimeDelta::minutes(5))
        .bind(now + TimeDelta::minutes(25))
        .execute(&mut *tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    dr.post(&format!("/consultations/{session}/start"), json!({})).await.expect(200);
    for _ in 0..2 {
        let body = json!({"format": "free", "body": "Sleeps four hours."});
        let note = dr.post(&format!("/consultations/{session}/notes"), body).await.expect(201);
        let body = json!({"format": "free", "body": "Sleeps five hours."});
        with_etag(dr, Method::PUT, &format!("/notes/{}", note.str("/id")), note.header("etag"), body).await;
    }
    let signals = signals(app, &session, alice, dr).await;
    dr.post(&format!("/consultations/{session}/end"), json!({})).await.expect(200);
    for (etag, seed) in [("\"0\"", 1), ("\"1\"", 2)] {
        with_etag(alice, Method::PUT, "/journal/keys", etag, wraps(seed)).await;
    }
    alice.post("/privacy/exports", json!({})).await.expect(202);
    let review = format!("/consultations/{session}/review");
    let written = alice.post(&review, json!({"rating": 4, "text": "Somebody listened."})).await.expect(201);
    let other = json!({"text": "Somebody listened to me."});
    with_etag(alice, Method::PATCH, &review, written.header("etag"), other).await;
    let body = json!({"kind": "external", "label": "Elsewhere", "url": web.url("/calendar.ics")});
    dr.post(&format!("/practitioners/{}/calendars", dr.id), body).await.expect(201);
    for user in [alice, dr] {
        let phone = enabled(app, user).await;
        next_step(app);
        let again = json!({"password": PASSWORD, "code": phone.code(app, 0)});
        user.post("/auth/totp/setup", again).await.expect(200);
    }
    app.settle().await;
    signals
}

#[tokio::test]
async fn nothing_that_is_sealed_opens_in_the_place_of_anything_else() {
    let web = Web::start().await;
    web.answers("/calendar.ics", Reply::ok("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nEND:VCALENDAR\r\n"));
    let host = web.host.clone();
    let app = TestApp::start_with(move |name| (name == "OUTGOING_TEST_HOSTS").then(|| host.clone())).await;
    let mut owner = app.owner().await;
    for _ in 0..2 {
        signing_keys::rotate(&mut owner, &app.platform.config, &Entropy::system(), app.clock.now()).await.unwrap();
        app.clock.advance(TimeDelta::minutes(11));
    }
    let mut signals = Vec::new();
    for company in ["Acme", "Globex"] {
        let company = app.company(company).await;
        signals.extend(fill(&app, &web, &app.employee(&company).await, &app.practitioner().await).await);
    }
    assert_all_are_tried(&app).await;

    // what is sealed under the master key
    let ring = &app.platform.keyring;
    let mut found: Vec<(Place, Vec<u8>)> = signals;
    for column in app::sealed().into_iter().filter(|it| !ELSEWHERE.contains(&it.name().as_str())) {
        let rows: Vec<UnderMasterKey> =
            sqlx::query_as("SELECT id, person, company, sealed FROM app.list_sealed($1, 'none', NULL, 100, false)")
                .bind(column.name())
                .fetch_all(app.db())
                .await
                .unwrap();
        assert!(rows.len() >= 2, "{}: {} rows", column.name(), rows.len());
        found.extend(rows.into_iter().map(|(row, person, company, sealed)| {
            let (purpose, table, column) = (column.purpose, column.table, column.column);
            (Place { purpose, table, column, row, person, company }, sealed)
        }));
    }
    for (one, (place, _)) in found.iter().enumerate() {
        for (other, (_, sealed)) in found.iter().enumerate() {
            let opened = ring.open(place, sealed).map(drop);
            assert_eq!(opened, if one == other { Ok(()) } else { Err(SealError::Forged) }, "{place:?}: {other}");
        }
    }
    // another key under the name that it says, beside its own
    let (id, key) = &app.platform.config.master_keys[0];
    let beside = |ids: [&str; 2]| {
        let other = STANDARD.encode([9; 32]);
        Keyring::new(&[(ids[0].to_owned(), key.expose_secret().into()), (ids[1].to_owned(), other.as_str().into())])
            .unwrap()
    };
    let (another, exchanged, neither) = (beside([id, "tesu"]), beside(["tesu", id]), beside(["a", "b"]));
    for (place, sealed) in &found {
        let mut renamed = sealed.clone();
        let last = 3 + id.len() - 1;
        assert_eq!(&renamed[3..=last], id.as_bytes());
        renamed[last] = b'u';
        assert_eq!(another.open(place, &renamed).unwrap_err(), SealError::Forged);
        assert_eq!(exchanged.open(place, &renamed).unwrap_err(), SealError::Forged);
        assert_eq!(exchanged.open(place, sealed).unwrap_err(), SealError::Forged);
        assert_eq!(neither.open(place, sealed).unwrap_err(), SealError::UnknownKey);
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(ring.open(place, &changed).is_err() && ring.open(place, &sealed[..at]).is_err(), "{place:?}: {at}");
        }
    }

    // what is sealed under the keys of subjects
    let documents = documents(&app).await;
    assert!(documents.len() >= 50, "{}", documents.len());
    for (one, it) in documents.iter().enumerate() {
        for (other, that) in documents.iter().enumerate() {
            assert_eq!(it.opens(&that.sealed), one == other, "{:?} in the place of {:?}", that.document, it.document);
        }
        let mut changed = it.sealed.clone();
        for at in
            [0, 1, 2, 17, 18, 29, 30, 77, 78, 89, 90, changed.len() - 1].into_iter().filter(|at| *at < it.sealed.len())
        {
            changed[at] ^= 1;
            assert!(!it.opens(&changed) && !it.opens(&it.sealed[..at]), "{:?}: {at}", it.document);
            changed[at] ^= 1;
        }
        assert!(!it.opens(&[&it.sealed[..], &[0]].concat()));
    }
}

/// Something of a subject's, and where it is kept.
struct Kept {
    key: SubjectKey,
    document: Document,
    /// A key of a file, not a text.
    is_key: bool,
    sealed: Vec<u8>,
}

impl Kept {
    fn opens(&self, sealed: &[u8]) -> bool {
        if self.is_key {
            self.key.file_key(&self.document, sealed).is_ok()
        } else {
            self.key.open(&self.document, sealed).is_ok()
        }
    }
}

/// A row, whose it is, and of which company.
type UnderMasterKey = (Uuid, Option<Uuid>, Option<Uuid>, Vec<u8>);
/// Where a row's contents are kept.
type Of = fn(Uuid, i32) -> Document;
type Row = (Uuid, i32, Vec<u8>, Uuid, String, CompanyId, UserId, Uuid, Vec<u8>);

/// Of each column of bytes it is known whether something is sealed in it; what is, is tried.
async fn assert_all_are_tried(app: &TestApp) {
    let columns: BTreeSet<String> = sqlx::query_scalar(
        "SELECT c.table_name || '.' || c.column_name FROM information_schema.columns c
         JOIN information_schema.tables t USING (table_schema, table_name)
         WHERE c.table_schema = 'app' AND c.data_type = 'bytea' AND t.table_type = 'BASE TABLE'",
    )
    .fetch_all(app.db())
    .await
    .unwrap()
    .into_iter()
    .collect();
    let places: Vec<(String, String)> =
        sqlx::query_as("SELECT place, in_table || '.' || in_column FROM app.sealed_places()")
            .fetch_all(app.db())
            .await
            .unwrap();
    let mut tried: BTreeSet<String> = places
        .into_iter()
        .filter(|(place, _)| !ELSEWHERE.contains(&place.as_str()))
        .map(|(_, column)| column)
        .chain(kinds().into_iter().map(|kind| kind.column.to_owned()))
        .collect();
    tried.insert("call_signals.sealed".to_owned());
    let digests: BTreeSet<String> = DIGESTS.iter().map(|it| (*it).to_owned()).collect();
    assert!(tried.is_disjoint(&digests));
    let known: BTreeSet<String> = tried.union(&digests).cloned().collect();
    assert_eq!(columns, known, "a column that is sealed and not tried, or none of which this is known");
}

/// Documents of one column.
struct Kind {
    column: &'static str,
    statement: String,
    of: Of,
    is_key: bool,
}

fn kinds() -> Vec<Kind> {
    const KEY: &str = "k.id, k.purpose, k.company_id, coalesce(k.person_id, k.keeper_id), k.subject_id, k.wrapped
                       FROM app.encryption_keys k";
    let conversation = "k.company_id = t.company_id AND k.purpose = 'chat' AND k.subject_id = t.conversation_id";
    let of_person = "k.purpose = 'file' AND k.subject_id = t.owner_id AND t.conversation_id IS NULL";
    let journal = "k.purpose = 'journal' AND k.person_id = t.user_id";
    let texts: [(&'static str, &str, String, Of); 13] = [
        (
            "consultation_reasons.sealed",
            "t.consultation_id, 1",
            "k.id = t.key_id AND t.about = 'booking'".into(),
            |id, _| consultations::reason_document(ConsultationId(id), About::Booking),
        ),
        (
            "consultation_reasons.sealed",
            "t.consultation_id, 1",
            "k.id = t.key_id AND t.about = 'cancelling'".into(),
            |id, _| consultations::reason_document(ConsultationId(id), About::Cancelling),
        ),
        ("reviews.sealed", "t.id, t.sealed_version", "k.id = t.key_id".into(), |id, version| {
            reviews::document(ReviewId(id), version)
        }),
        ("messages.sealed", "t.id, t.version", format!("{conversation} WHERE t.sealed IS NOT NULL"), |id, version| {
            chat::document(MessageId(id), version)
        }),
        (
            "clinical_note_versions.sealed",
            "t.note_id, t.version",
            "k.purpose = 'note' AND k.subject_id = t.note_id".into(),
            |id, version| clinical_notes::document(NoteId(id), version),
        ),
        ("journal_entries.sealed", "t.id, t.version", journal.into(), |id, version| {
            journal::document(journal::Column::Words, id, version)
        }),
        ("journal_entries.facts", "t.id, t.version", journal.into(), |id, version| {
            journal::document(journal::Column::Facts, id, version)
        }),
        ("journal_keys.by_passphrase", "t.user_id, t.version", journal.into(), |id, version| {
            journal::document(journal::Column::ByPassphrase, id, version)
        }),
        ("journal_keys.by_recovery_code", "t.user_id, t.version", journal.into(), |id, version| {
            journal::document(journal::Column::ByRecoveryCode, id, version)
        }),
        ("journal_keys.before_passphrase", "t.user_id, t.before_version", journal.into(), |id, version| {
            journal::document(journal::Column::ByPassphrase, id, version)
        }),
        ("journal_keys.before_recovery_code", "t.user_id, t.before_version", journal.into(), |id, version| {
            journal::document(journal::Column::ByRecoveryCode, id, version)
        }),
        ("files.sealed_name", "t.id, 1", conversation.into(), |id, _| files::name_document(FileId(id))),
        ("files.sealed_name", "t.id, 1", of_person.into(), |id, _| files::name_document(FileId(id))),
    ];
    let keys: [(&'static str, &str, String, Of); 3] = [
        ("files.sealed_key", "t.id, 1", conversation.into(), |id, _| files::model::content_document(FileId(id))),
        ("files.sealed_key", "t.id, 1", of_person.into(), |id, _| files::model::content_document(FileId(id))),
        (
            "privacy_requests.sealed_key",
            "t.id, 1",
            "k.id = t.id AND k.purpose = 'copy' WHERE t.sealed_key IS NOT NULL".into(),
            |id, _| privacy::copy_document(PrivacyRequestId(id)),
        ),
    ];
    let texts = texts.into_iter().map(|it| (it, false));
    texts
        .chain(keys.into_iter().map(|it| (it, true)))
        .map(|((column, row, joined, of), is_key)| {
            let (table, sealed) = column.split_once('.').unwrap();
            let statement = format!("SELECT {row}, t.{sealed}, {KEY} JOIN app.{table} t ON {joined}");
            Kind { column, statement, of, is_key }
        })
        .collect()
}

async fn documents(app: &TestApp) -> Vec<Kept> {
    let mut documents = Vec::new();
    for Kind { statement, of, is_key, .. } in kinds() {
        let rows: Vec<Row> = sqlx::query_as(sqlx::AssertSqlSafe(statement.as_str())).fetch_all(app.db()).await.unwrap();
        assert!(rows.len() >= 2, "{statement}: {} rows", rows.len());
        for (row, version, sealed, id, purpose, company, person, subject, wrapped) in rows {
            let purpose = match purpose.as_str() {
                "chat" => KeyPurpose::CHAT,
                "note" => KeyPurpose::NOTE,
                "journal" => KeyPurpose::JOURNAL,
                "reason" => KeyPurpose::REASON,
                "review" => KeyPurpose::REVIEW,
                "copy" => KeyPurpose::COPY,
                _ => KeyPurpose::FILE,
            };
            let subject = Subject { purpose, id: subject, person, company };
            let key = SubjectKey::unwrap(id, subject, &wrapped, &app.platform.keyring).unwrap();
            documents.push(Kept { key, document: of(row, version), is_key, sealed });
        }
    }
    documents
}
