//! What two people send each other.

use chrono::TimeDelta;
use huntzen::domain::files::jobs::CollectFiles;
use huntzen::platform::auth::Role;
use huntzen::platform::db::DbRole;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::*;
use crate::support::{Company, Sockets};

struct Talk {
    app: TestApp,
    acme: Company,
    alice: User,
    dr: User,
    id: String,
}

async fn talk() -> Talk {
    talk_with(|_| None).await
}

async fn talk_with(settings: impl Fn(&str) -> Option<String>) -> Talk {
    let app = TestApp::start_with(settings).await;
    let acme = app.company("Acme").await;
    let (alice, dr) = (app.employee(&acme).await, app.practitioner().await);
    let id = book_on(&alice, &dr, in_days(&app, 3)).await.expect(201).str("/id");
    app.settle().await;
    Talk { app, acme, alice, dr, id }
}

impl Talk {
    fn path(&self, rest: &str) -> String {
        format!("/conversations/{}{rest}", self.id)
    }

    async fn attach(&self, user: &User, name: &str, bytes: Vec<u8>) -> Answer {
        Answer::of(user.request(Method::POST, &self.path("/attachments")).multipart(form(None, name, bytes))).await
    }

    async fn send(&self, user: &User, body: &str, ids: &[&str]) -> Answer {
        let message = json!({"clientId": Uuid::new_v4(), "body": body, "attachmentIds": ids});
        user.post(&self.path("/messages"), message).await
    }

    async fn read(&self, user: &User) -> Value {
        user.get(&self.path("/messages")).await.expect(200).json["items"].clone()
    }

    async fn collect(&self) {
        self.app.enqueue(&CollectFiles {}).await;
        self.app.settle().await;
    }
}

#[tokio::test]
async fn a_file_comes_with_a_message_and_both_fetch_it() {
    let talk = talk().await;
    let content = pdf(200_000);
    let file = talk.attach(&talk.alice, "Ordonnance été.pdf", content.clone()).await.expect(201);
    assert_eq!(file.str("/name"), "Ordonnance été.pdf");
    assert_eq!((file.str("/mediaType").as_str(), &file.json["sizeBytes"]), ("application/pdf", &json!(content.len())));
    assert!(file.json["expiresAt"].is_string());
    let id = file.str("/id");
    // before it is sent it is its owner's alone
    fetch(&talk.alice, &file).await.expect(200);
    fetch(&talk.dr, &file).await.refused(404, "not_found");

    let sent = talk.send(&talk.alice, "", &[&id]).await.expect(201);
    let expected = json!([{
        "id": id, "name": "Ordonnance été.pdf", "mediaType": "application/pdf", "sizeBytes": content.len(),
        "url": format!("/api/v1/files/{id}"),
    }]);
    assert_eq!(sent.json["attachments"], expected);
    for user in [&talk.alice, &talk.dr] {
        assert_eq!(talk.read(user).await[0]["attachments"], expected);
        let got = fetch(user, &file).await.expect(200);
        assert!(got.bytes == content);
        assert_eq!(
            got.header("content-disposition"),
            "attachment; filename=\"Ordonnance _t_.pdf\"; filename*=UTF-8''Ordonnance%20%C3%A9t%C3%A9.pdf"
        );
        assert_eq!(got.header("content-type"), "application/pdf");
        assert_eq!(got.header("content-length"), content.len().to_string());
    }
    let (bob, other) = (talk.app.employee(&talk.acme).await, talk.app.practitioner().await);
    let staff = talk.app.platform_admin().await;
    for user in [&bob, &other, &staff, &talk.acme.hr, &talk.acme.admin] {
        fetch(user, &file).await.refused(404, "not_found");
    }
    for (user, status, code) in [
        (&bob, 404, "not_found"),
        (&other, 404, "not_found"),
        (&staff, 403, "forbidden"),
        (&talk.acme.hr, 403, "forbidden"),
    ] {
        talk.attach(user, "mine.pdf", pdf(10)).await.refused(status, code);
    }
    // whoever fetched what the other one sent stands in the log, for the two of them and nobody else
    let reads = "SELECT count(*) FROM app.audit_logs WHERE action = 'file.read'";
    assert_eq!(talk.app.count(reads).await, 1);
    let log = talk.acme.hr.get("/audit-logs").await.expect(200);
    assert!(!log.text().contains("file."), "{}", log.text());
    talk.alice.delete(&format!("/files/{id}")).await.refused(409, "attachment_sent");
}

#[tokio::test]
async fn a_photo_loses_its_place_and_keeps_its_size() {
    let talk = talk().await;
    let mut photo = coded(&picture(300, 200), ImageFormat::Jpeg);
    photo.splice(2..2, [&[0xff, 0xe1, 0, 24][..], b"Exif\0\0GPS secret place"].concat());
    let file = talk.attach(&talk.dr, "photo.jpeg", photo).await.expect(201);
    let got = fetch(&talk.dr, &file).await.expect(200);
    assert_eq!(image::load_from_memory(&got.bytes).unwrap().width(), 300);
    assert!(!got.bytes.windows(6).any(|it| it == b"secret"));
}

#[tokio::test]
async fn only_ones_own_unsent_files_of_the_same_conversation_are_sent_each_once() {
    let talk = talk().await;
    let other = book_on(&talk.alice, &talk.dr, in_days(&talk.app, 6)).await.str("/id");
    let elsewhere =
        Answer::of(talk.alice.request(Method::POST, &format!("/conversations/{other}/attachments")).multipart(form(
            None,
            "a.pdf",
            pdf(9),
        )))
        .await
        .expect(201)
        .str("/id");
    let hers = talk.attach(&talk.alice, "a.pdf", pdf(9)).await.expect(201).str("/id");
    let his = talk.attach(&talk.dr, "b.pdf", pdf(9)).await.expect(201).str("/id");
    let avatar = set_avatar(&talk.alice, jpeg()).await.expect(201).str("/id");
    let nobodys = Uuid::new_v4().to_string();
    for ids in [vec![his.as_str()], vec![&elsewhere], vec![&avatar], vec![&nobodys], vec![&hers, &his]] {
        talk.send(&talk.alice, "Here", &ids).await.refused(422, "attachment_not_yours");
    }
    let twice = talk.send(&talk.alice, "Here", &[&hers, &hers]).await.refused(422, "invalid");
    assert_eq!(twice.json["errors"][0]["code"], "unique_items");
    let eleven = vec![hers.as_str(); 11];
    let many = talk.send(&talk.alice, "Here", &eleven).await.refused(422, "invalid");
    assert_eq!(many.json["errors"][0]["code"], "max_items");
    assert_eq!(talk.read(&talk.dr).await, json!([]), "nothing was sent");

    // of many messages at once one has it
    let only = [hers.as_str()];
    let answers = futures_util::future::join_all((0..4).map(|_| talk.send(&talk.alice, "Here", &only))).await;
    let sent: Vec<_> = answers.into_iter().map(|answer| answer.status.as_u16()).collect();
    assert_eq!(sent.iter().filter(|status| **status == 201).count(), 1, "{sent:?}");
    talk.send(&talk.alice, "Again", &[&hers]).await.refused(422, "attachment_not_yours");

    // a repetition of the same message is that message; with other files it is refused
    let mine = talk.attach(&talk.dr, "c.pdf", pdf(9)).await.expect(201).str("/id");
    let message = json!({"clientId": Uuid::new_v4(), "body": "Twice", "attachmentIds": [his, mine]});
    let first = talk.dr.post(&talk.path("/messages"), message.clone()).await.expect(201);
    let again = talk.dr.post(&talk.path("/messages"), message.clone()).await.expect(201);
    assert_eq!(first.json, again.json);
    assert_eq!(first.json["attachments"].as_array().unwrap().len(), 2);
    let mut other = message;
    other["attachmentIds"] = json!([]);
    talk.dr.post(&talk.path("/messages"), other).await.refused(422, "idempotency_mismatch");
    talk.app.settle().await;
}

#[tokio::test]
async fn sockets_bring_the_same_as_requests() {
    let talk = talk().await;
    let sockets = Sockets::start();
    for (name, user) in [("dr", &talk.dr), ("alice", &talk.alice)] {
        sockets.connect(name, &talk.app.base, &user.token).await;
        sockets.done(name, "conversation:join", json!({"conversationId": talk.id})).await;
    }
    let file = talk.attach(&talk.alice, "plan.pdf", pdf(50)).await.expect(201).str("/id");
    let message = |body: &str| json!({"conversationId": talk.id, "clientId": Uuid::new_v4(), "body": body, "attachmentIds": [file]});
    let sent = sockets.done("alice", "message:send", message("")).await;
    let heard = sockets.take("dr", "message:new").await;
    let read = talk.read(&talk.dr).await;
    let synced = sockets.done("dr", "sync", json!({"conversationId": talk.id, "afterRev": 0})).await;
    for attachments in [&sent["message"]["attachments"], &heard["attachments"], &synced["items"][0]["attachments"]] {
        assert_eq!(attachments, &read[0]["attachments"]);
        assert_eq!(attachments[0]["name"], "plan.pdf");
    }
    let refused = sockets.ask("alice", "message:send", message("Again")).await;
    assert_eq!((&refused["ok"], &refused["code"]), (&json!(false), &json!("attachment_not_yours")));
}

#[tokio::test]
async fn what_came_with_a_message_stays_with_its_edit_and_goes_with_it() {
    let talk = talk().await;
    let file = talk.attach(&talk.alice, "plan.pdf", pdf(50)).await.expect(201);
    let sent = talk.send(&talk.alice, "Look", &[&file.str("/id")]).await.expect(201);
    let path = format!("/messages/{}", sent.str("/id"));
    let edited =
        Answer::of(talk.alice.request(Method::PATCH, &path).json(&json!({"body": "Look at page 2"}))).await.expect(200);
    assert_eq!(edited.json["attachments"], sent.json["attachments"]);
    let wordless = Answer::of(talk.alice.request(Method::PATCH, &path).json(&json!({"body": ""}))).await.expect(200);
    assert_eq!(wordless.json["attachments"], sent.json["attachments"]);
    let deleted = talk.alice.delete(&path).await.expect(200);
    assert_eq!(deleted.json["attachments"], json!([]));
    for user in [&talk.alice, &talk.dr] {
        fetch(user, &file).await.refused(404, "not_found");
        assert_eq!(talk.read(user).await[0]["attachments"], json!([]));
    }
    assert_eq!(
        talk.app.count("SELECT count(*) FROM app.files WHERE sealed_key IS NOT NULL OR sealed_name IS NOT NULL").await,
        0
    );
    talk.collect().await;
    assert!(objects(&talk.app).is_empty());
    assert_eq!(talk.app.count("SELECT count(*) FROM app.files").await, 0);
    // words cannot be taken from a message that brings nothing
    let words = talk.send(&talk.alice, "Only words", &[]).await.expect(201);
    let path = format!("/messages/{}", words.str("/id"));
    Answer::of(talk.alice.request(Method::PATCH, &path).json(&json!({"body": " "}))).await.refused(422, "invalid");
}

#[tokio::test]
async fn what_is_never_sent_is_not_kept() {
    let mut talk = talk().await;
    let file = talk.attach(&talk.alice, "plan.pdf", pdf(50)).await.expect(201);
    talk.collect().await;
    fetch(&talk.alice, &file).await.expect(200);
    talk.app.clock.advance(TimeDelta::hours(24));
    talk.alice.token = talk.app.session(talk.alice.id, Role::Employee, Some(talk.acme.id)).await;
    fetch(&talk.alice, &file).await.refused(404, "not_found");
    talk.send(&talk.alice, "Late", &[&file.str("/id")]).await.refused(422, "attachment_not_yours");
    talk.collect().await;
    assert!(objects(&talk.app).is_empty());
    // one that is not wanted any more can be taken back at once
    let file = talk.attach(&talk.alice, "plan.pdf", pdf(50)).await.expect(201);
    talk.dr.token = talk.app.session(talk.dr.id, Role::Practitioner, None).await;
    talk.dr.delete(&format!("/files/{}", file.str("/id"))).await.refused(404, "not_found");
    talk.alice.delete(&format!("/files/{}", file.str("/id"))).await.expect(204);
    fetch(&talk.alice, &file).await.refused(404, "not_found");
}

#[tokio::test]
async fn after_the_erasure_of_the_employee_nothing_opens_and_nothing_is_kept() {
    let talk = talk().await;
    let file = talk.attach(&talk.dr, "plan.pdf", pdf(50)).await.expect(201);
    talk.send(&talk.dr, "Your plan", &[&file.str("/id")]).await.expect(201);
    let mut worker = talk.app.as_role(DbRole::Worker, talk.alice.id).await;
    sqlx::query("SELECT set_config('app.company_id', $1, false)")
        .bind(talk.acme.id.to_string())
        .execute(&mut worker)
        .await
        .unwrap();
    sqlx::query("SELECT app.destroy_keys($1, '{chat}', $2)")
        .bind(talk.alice.id)
        .bind(talk.app.clock.now())
        .execute(&mut worker)
        .await
        .unwrap();
    for user in [&talk.alice, &talk.dr] {
        fetch(user, &file).await.refused(410, "file_erased");
        assert_eq!(talk.read(user).await[0]["attachments"], json!([]));
        talk.attach(user, "more.pdf", pdf(9)).await.refused(410, "conversation_erased");
    }
    talk.collect().await;
    assert!(objects(&talk.app).is_empty());
}

#[tokio::test]
async fn a_closed_conversation_takes_no_more_files_and_keeps_those_it_has() {
    let mut talk = talk().await;
    let file = talk.attach(&talk.alice, "plan.pdf", pdf(50)).await.expect(201);
    talk.send(&talk.alice, "Look", &[&file.str("/id")]).await.expect(201);
    talk.app.clock.advance(TimeDelta::days(30));
    talk.alice.token = talk.app.session(talk.alice.id, Role::Employee, Some(talk.acme.id)).await;
    talk.attach(&talk.alice, "late.pdf", pdf(9)).await.refused(410, "conversation_closed");
    fetch(&talk.alice, &file).await.expect(200);
    talk.app.settle().await;
}

#[tokio::test]
async fn nothing_of_a_file_or_its_name_is_anywhere_in_the_database_or_the_storage() {
    const MARKER: &str = "heliotrope insomnia 7391";
    let talk = talk().await;
    let mut content = pdf(100_000);
    let middle = content.len() / 2;
    content.splice(middle..middle, MARKER.bytes());
    let file = talk.attach(&talk.alice, &format!("{MARKER}.pdf"), content.clone()).await.expect(201);
    talk.send(&talk.alice, "Look", &[&file.str("/id")]).await.expect(201);
    assert!(fetch(&talk.dr, &file).await.expect(200).bytes == content);
    for (key, bytes) in objects(&talk.app) {
        assert!(!bytes.windows(MARKER.len()).any(|it| it == MARKER.as_bytes()), "{key}");
        assert!(!bytes.windows(5).any(|it| it == b"%PDF-"), "{key}");
    }
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT format('%I.%I', table_schema, table_name) FROM information_schema.tables
         WHERE table_schema IN ('app', 'auth', 'stats', 'apalis') AND table_type = 'BASE TABLE'",
    )
    .fetch_all(talk.app.db())
    .await
    .unwrap();
    for table in tables {
        let rows: Vec<String> = sqlx::query_scalar(AssertSqlSafe(format!("SELECT t::text FROM {table} t")))
            .fetch_all(talk.app.db())
            .await
            .unwrap();
        for row in rows {
            assert!(!row.contains(MARKER) && !row.contains(&hex::encode(MARKER)), "{table}");
        }
    }
    talk.app.settle().await;
}

#[tokio::test]
async fn what_was_swapped_cut_or_changed_in_the_storage_does_not_open() {
    let talk = talk().await;
    let (one, two) = (pdf(150_000), pdf(150_000));
    let first = talk.attach(&talk.alice, "one.pdf", one).await.expect(201);
    let second = talk.attach(&talk.alice, "two.pdf", two).await.expect(201);
    talk.send(&talk.alice, "Look", &[&first.str("/id"), &second.str("/id")]).await.expect(201);
    let key_of = async |file: &Answer| -> String {
        sqlx::query_scalar("SELECT object_key FROM app.files WHERE id = $1::uuid")
            .bind(file.str("/id"))
            .fetch_one(talk.app.db())
            .await
            .unwrap()
    };
    let root = talk.app.platform.config.data_dir.join("files");
    let (path, other) = (root.join(key_of(&first).await), root.join(key_of(&second).await));
    let (whole, of_other) = (std::fs::read(&path).unwrap(), std::fs::read(&other).unwrap());
    let piece = (64 << 10) + 28;
    assert_eq!(whole.len(), 150_000 + b"%PDF-1.4\n%\ntrailer<<>>\n%%EOF\n".len() + 3 * 28);
    let change = |at: usize| {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        changed
    };
    let exchanged = [&whole[piece..2 * piece], &whole[..piece], &whole[2 * piece..]].concat();
    for (what, bytes, from_the_start) in [
        ("another's content", of_other.clone(), true),
        ("a changed nonce", change(3), true),
        ("a changed byte", change(5000), true),
        ("a changed byte later", change(piece + 5000), false),
        ("a changed tag at the end", change(whole.len() - 1), false),
        ("cut after a piece", whole[..2 * piece].to_vec(), false),
        ("cut after the first", whole[..piece].to_vec(), true),
        ("cut within one", whole[..piece + 100].to_vec(), false),
        ("pieces exchanged", exchanged, true),
        ("the first left out", whole[piece..].to_vec(), true),
        ("the last twice", [&whole[..], &whole[2 * piece..]].concat(), false),
        ("another's last piece", [&whole[..2 * piece], &of_other[2 * piece..]].concat(), false),
        ("nothing", Vec::new(), true),
    ] {
        std::fs::write(&path, bytes).unwrap();
        if from_the_start {
            fetch(&talk.dr, &first).await.refused(410, "file_damaged");
        } else {
            // it had begun: the answer breaks off, at the latest where the fault is, and is never whole
            let request = talk.dr.request(Method::GET, &format!("/files/{}", first.str("/id")));
            if let Ok(response) = request.send().await {
                assert_eq!(response.status().as_u16(), 200);
                assert!(response.bytes().await.is_err(), "{what}");
            }
        }
    }
    std::fs::remove_file(&path).unwrap();
    fetch(&talk.dr, &first).await.refused(410, "file_damaged");
    std::fs::write(&path, &whole).unwrap();
    fetch(&talk.dr, &first).await.expect(200);
    // keys, names and objects of two rows, exchanged one by one: the database writes them once, so only by force
    let swap = |column: &str| {
        AssertSqlSafe(format!(
            "SET session_replication_role = replica; UPDATE app.files f SET {column} = o.{column} FROM app.files o
             WHERE f.id <> o.id; RESET session_replication_role"
        ))
    };
    for column in ["sealed_key", "sealed_name", "object_key"] {
        sqlx::raw_sql(swap(column)).execute(talk.app.db()).await.unwrap();
        for file in [&first, &second] {
            fetch(&talk.dr, file).await.refused(410, "file_damaged");
        }
        sqlx::raw_sql(swap(column)).execute(talk.app.db()).await.unwrap();
        fetch(&talk.dr, &first).await.expect(200);
    }
    talk.app.settle().await;
}

#[tokio::test]
async fn a_document_that_is_cut_off_or_an_archive_as_well_is_refused() {
    let talk = talk().await;
    let archive = [&pdf(1000)[..], b"PK\x03\x04", &[0; 60], b"PK\x05\x06", &[0; 18]].concat();
    let page = [&b"%PDF-1.4\n<html><script>alert(1)</script></html>"[..], &pdf(1000)].concat();
    for (name, bytes, status, code) in [
        ("cut.pdf", pdf(5000)[..2000].to_vec(), 422, "file_unreadable"),
        ("both.pdf", archive, 422, "file_unreadable"),
        ("page.pdf", page, 422, "file_unreadable"),
        ("plan.docx", b"PK\x03\x04 word/document.xml".to_vec(), 415, "file_type_refused"),
        ("plan.exe", b"MZ\x90\0".to_vec(), 415, "file_type_refused"),
        ("plan.txt", b"just words".to_vec(), 415, "file_type_refused"),
        ("plan.png", pdf(10), 415, "file_type_mismatch"),
    ] {
        talk.attach(&talk.alice, name, bytes).await.refused(status, code);
    }
    until_given_up(&talk.app).await;
}

#[tokio::test]
async fn a_file_that_is_sent_again_under_its_key_is_the_same_file() {
    let talk = talk().await;
    let again = async |key: &str, name: &str, bytes: Vec<u8>| {
        let request = talk.alice.request(Method::POST, &talk.path("/attachments")).header("idempotency-key", key);
        Answer::of(request.multipart(form(None, name, bytes))).await
    };
    let first = again("one", "plan.pdf", pdf(50)).await.expect(201);
    assert_eq!(again("one", "plan.pdf", pdf(50)).await.expect(201).json, first.json);
    again("one", "plan.pdf", pdf(51)).await.refused(422, "idempotency_mismatch");
    again("one", "other.pdf", pdf(50)).await.refused(422, "idempotency_mismatch");
    again("a key", "plan.pdf", pdf(50)).await.refused(400, "invalid_idempotency_key");
    assert_ne!(again("two", "plan.pdf", pdf(50)).await.expect(201).str("/id"), first.str("/id"));
    assert_eq!(objects(&talk.app).len(), 2);
    assert_eq!(talk.app.count("SELECT count(*) FROM app.files WHERE state = 'ready'").await, 2);
}

#[tokio::test]
async fn a_document_is_its_persons_alone_and_goes_with_their_key() {
    let talk = talk().await;
    for user in [&talk.dr, &talk.acme.hr, &talk.acme.admin] {
        bring(user, "document", "mine.pdf", pdf(10)).await.refused(403, "forbidden");
    }
    let (one, two) = (
        bring(&talk.alice, "document", "Bilan sanguin.pdf", pdf(90_000)),
        bring(&talk.alice, "document", "scan.png", png()),
    );
    let (one, two) = (one.await.expect(201), two.await.expect(201));
    assert_eq!((one.str("/name").as_str(), one.str("/purpose").as_str()), ("Bilan sanguin.pdf", "document"));
    assert!(one.json.get("expiresAt").is_none());
    assert!(fetch(&talk.alice, &one).await.expect(200).bytes == pdf(90_000));
    fetch(&talk.alice, &two).await.expect(200);
    let bob = talk.app.employee(&talk.acme).await;
    let staff = talk.app.platform_admin().await;
    for user in [&bob, &talk.dr, &talk.acme.hr, &talk.acme.admin, &staff] {
        fetch(user, &one).await.refused(404, "not_found");
        user.delete(&format!("/files/{}", one.str("/id"))).await.refused(404, "not_found");
    }
    assert!(objects(&talk.app).iter().all(|(_, bytes)| !bytes.windows(5).any(|it| it == b"%PDF-")));
    assert_eq!(talk.app.count("SELECT count(*) FROM app.encryption_keys WHERE purpose = 'file'").await, 1);
    talk.alice.delete(&format!("/files/{}", two.str("/id"))).await.expect(204);
    fetch(&talk.alice, &two).await.refused(404, "not_found");

    let mut worker = talk.app.as_role(DbRole::Worker, talk.alice.id).await;
    sqlx::query("SELECT set_config('app.company_id', $1, false)")
        .bind(talk.acme.id.to_string())
        .execute(&mut worker)
        .await
        .unwrap();
    sqlx::query("SELECT app.destroy_keys($1, '{file}', $2)")
        .bind(talk.alice.id)
        .bind(talk.app.clock.now())
        .execute(&mut worker)
        .await
        .unwrap();
    fetch(&talk.alice, &one).await.refused(410, "file_erased");
    bring(&talk.alice, "document", "more.pdf", pdf(10)).await.refused(410, "file_erased");
    talk.collect().await;
    assert!(objects(&talk.app).is_empty());
}

#[tokio::test]
async fn what_was_sent_counts_for_its_sender_whatever_the_conversation() {
    let talk = talk_with(|name| (name == "FILE_QUOTA_BYTES").then(|| "1048576".to_owned())).await;
    let bob = talk.app.employee(&talk.acme).await;
    let other = book_on(&bob, &talk.dr, in_days(&talk.app, 4)).await.expect(201).str("/id");
    talk.app.settle().await;
    let first = talk.id.clone();
    let bring_to = async |user: &User, id: &str, seed: u32| {
        let path = format!("/conversations/{id}/attachments");
        Answer::of(user.request(Method::POST, &path).multipart(form(None, "noise.png", noise(seed)))).await
    };
    let attach = async |id: &str, seed: u32| bring_to(&talk.dr, id, seed).await;
    for seed in 1..=2 {
        let file = attach(&first, seed).await.expect(201).str("/id");
        let message = json!({"clientId": Uuid::new_v4(), "body": "", "attachmentIds": [file]});
        talk.dr.post(&format!("/conversations/{first}/messages"), message).await.expect(201);
    }
    // a third one would be more than they may have, there, elsewhere, and as a picture of their own
    for conversation in [&first, &other] {
        let refused = attach(conversation, 3).await.refused(409, "file_quota_exceeded");
        assert!(refused.json["detail"].is_string());
    }
    let picture = bring(&talk.dr, "article_image", "noise.png", noise(8)).await;
    picture.refused(409, "file_quota_exceeded");
    let total = "SELECT sum(size_bytes)::bigint FROM app.files WHERE state <> 'deleted' AND owner_id <> (SELECT user_id FROM app.conversations LIMIT 1)";
    assert!(talk.app.count(total).await <= 1 << 20);
    // what others send there is theirs
    bring_to(&talk.alice, &first, 4).await.expect(201);
    // a message that is taken back gives its room back
    let sent = talk.dr.get(&format!("/conversations/{first}/messages")).await.expect(200);
    let id = sent.json["items"][0]["id"].as_str().unwrap().to_owned();
    talk.dr.delete(&format!("/messages/{id}")).await.expect(200);
    attach(&other, 9).await.expect(201);
    attach(&other, 10).await.refused(409, "file_quota_exceeded");
}

/// A picture is written anew: what it takes then is what counts.
#[tokio::test]
async fn a_picture_that_grows_when_it_is_written_anew_finds_no_room_beside_what_was_sent() {
    let talk = talk_with(|name| (name == "FILE_QUOTA_BYTES").then(|| "1048576".to_owned())).await;
    let file = talk.attach(&talk.dr, "noise.png", noise(1)).await.expect(201).str("/id");
    talk.send(&talk.dr, "", &[&file]).await.expect(201);
    // what was sent takes nearly everything, as far as is known
    let mut conn = talk.app.db().acquire().await.unwrap();
    sqlx::raw_sql("SET session_replication_role = replica; UPDATE app.files SET size_bytes = 1048000; RESET session_replication_role")
        .execute(&mut *conn)
        .await
        .unwrap();
    drop(conn);
    let (id, key): (Uuid, String) = (Uuid::new_v4(), format!("files/00/{}", "0".repeat(32)));
    let mut dr = talk.app.as_role(DbRole::Practitioner, talk.dr.id).await;
    let opened: bool = sqlx::query_scalar(
        "SELECT app.open_upload($1, 'avatar', NULL, $2, 500, now(), now() + interval '1 hour', 1048576, 100, 5)",
    )
    .bind(id)
    .bind(key)
    .fetch_one(&mut dr)
    .await
    .unwrap();
    assert!(opened);
    let grown =
        sqlx::query("SELECT app.finish_upload($1, 'image/png', 600, sha256('x'), NULL, NULL, now(), NULL, 1048576)")
            .bind(id);
    let refused = grown.execute(&mut dr).await.unwrap_err();
    assert_eq!(refused.as_database_error().unwrap().constraint(), Some("files_quota"));
}

#[tokio::test]
async fn one_person_sends_five_hundred_files_in_a_conversation_at_most() {
    let talk = talk().await;
    let attach = async |user: &User| talk.attach(user, "letter.pdf", pdf(100)).await;
    let file = attach(&talk.dr).await.expect(201).str("/id");
    talk.send(&talk.dr, "", &[&file]).await.expect(201);
    // as if there were more of them
    sqlx::query(
        "INSERT INTO app.files
         SELECT (jsonb_populate_record(f, jsonb_build_object('id', gen_random_uuid(), 'object_key',
                 'files/00/' || replace(gen_random_uuid()::text, '-', '')))).* FROM app.files f, generate_series(1, 498)",
    )
    .execute(talk.app.db())
    .await
    .unwrap();
    let last = attach(&talk.dr).await.expect(201).str("/id");
    attach(&talk.dr).await.refused(409, "conversation_files_exceeded");
    // what the other one sends is theirs
    attach(&talk.alice).await.expect(201);
    // one that was not sent leaves its place to another
    talk.dr.delete(&format!("/files/{last}")).await.expect(204);
    attach(&talk.dr).await.expect(201);
}

#[tokio::test]
async fn an_object_that_cannot_be_deleted_keeps_none_behind_it() {
    let talk = talk().await;
    for n in 0..3 {
        let id = bring(&talk.alice, "document", "letter.pdf", pdf(100 + n)).await.expect(201).str("/id");
        talk.app.clock.advance(TimeDelta::seconds(1));
        talk.alice.delete(&format!("/files/{id}")).await.expect(204);
    }
    let key: String = sqlx::query_scalar("SELECT object_key FROM app.files ORDER BY deleted_at LIMIT 1")
        .fetch_one(talk.app.db())
        .await
        .unwrap();
    // a folder stands in its place
    let path = talk.app.platform.config.data_dir.join("files").join(&key);
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir_all(path.join("in-the-way")).unwrap();
    talk.collect().await;
    assert_eq!(talk.app.count("SELECT count(*) FROM app.files").await, 1);
    std::fs::remove_dir_all(&path).unwrap();
    talk.collect().await;
    assert_eq!(talk.app.count("SELECT count(*) FROM app.files").await, 0);
    assert!(objects(&talk.app).is_empty());
}
