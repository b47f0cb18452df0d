//! Who reads what, and what is kept of it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use huntzen::platform::db::DbRole;
use reqwest::Method;
use sqlx::AssertSqlSafe;

use super::*;
use crate::support::Sockets;

const MARKER: &str = "heliotrope insomnia 7391";

#[tokio::test]
async fn nobody_but_the_two_reads_or_writes_a_conversation() {
    let talk = talk().await;
    let sent = talk.send(&talk.alice, MARKER).await.expect(201);
    let one = format!("/messages/{}", sent.str("/id"));
    let (bob, other) = (talk.app.employee(&talk.company).await, talk.app.practitioner().await);
    let globex = talk.app.company("Globex").await;
    let carol = talk.app.employee(&globex).await;
    let staff = talk.app.platform_admin().await;
    for (user, status, code) in [
        (&bob, 404, "not_found"),
        (&carol, 404, "not_found"),
        (&other, 404, "not_found"),
        (&talk.company.hr, 403, "forbidden"),
        (&talk.company.admin, 403, "forbidden"),
        (&staff, 403, "forbidden"),
        (&talk.app.anonymous(), 401, "unauthenticated"),
    ] {
        user.get(&talk.path("/messages")).await.refused(status, code);
        user.post(&talk.path("/messages"), message("Who are you?")).await.refused(status, code);
        user.post(&talk.path("/read"), json!({"seq": 1})).await.refused(status, code);
        Answer::of(user.request(Method::PATCH, &one).json(&json!({"body": "Mine"}))).await.refused(status, code);
        user.delete(&one).await.refused(status, code);
    }
    assert_eq!(talk.app.count("SELECT last_rev FROM app.conversations").await, 1);
    // whoever is suspended or left still reads what is theirs, as long as they can log in
    assert_eq!(talk.read(&talk.dr, "").await.json["items"][0]["body"], MARKER);
}

#[tokio::test]
async fn what_is_written_for_several_is_written_for_those_alone_whose_conversations_they_are() {
    let talk = talk().await;
    talk.send(&talk.alice, "There is a key").await.expect(201);
    talk.app.settle().await;
    let bob = talk.app.employee(&talk.company).await;
    let globex = talk.app.company("Globex").await;
    let (acme, id) = (talk.alice.company_id.unwrap().0, talk.booked.str("/id").parse::<Uuid>().unwrap());
    let key: Uuid = sqlx::query_scalar("SELECT id FROM app.encryption_keys WHERE purpose = 'chat' AND subject_id = $1")
        .bind(id)
        .fetch_one(talk.app.db())
        .await
        .unwrap();
    let globex: Uuid = globex.id.0;
    let (alice, dr) = (talk.alice.id.0, talk.dr.id.0);
    for (role, person, company, is_theirs) in [
        (DbRole::Employee, alice, Some(globex), false),
        (DbRole::Employee, alice, None, false),
        (DbRole::Employee, bob.id.0, Some(acme), false),
        (DbRole::Employee, dr, None, false),
        (DbRole::Practitioner, alice, Some(acme), false),
        (DbRole::Employee, alice, Some(acme), true),
        (DbRole::Practitioner, dr, None, true),
    ] {
        // in nobody's scope
        let mut conn = talk.app.as_role(role, talk.alice.id).await;
        sqlx::query("SELECT set_config('app.user_id', '', false)").execute(&mut conn).await.unwrap();
        let sent = sqlx::query(
            "SELECT FROM app.send_messages(ARRAY[$1], ARRAY[$2]::uuid[], ARRAY[$3], ARRAY[gen_random_uuid()],
                 ARRAY[gen_random_uuid()], ARRAY[decode(repeat('00', 120), 'hex')], ARRAY[$4], ARRAY[14], ARRAY[$5])",
        );
        let sent = sent.bind(person).bind(company).bind(id).bind(talk.app.clock.now()).bind(key);
        let sent = sent.fetch_all(&mut conn).await.unwrap().len();
        let noted = sqlx::query(
            "SELECT FROM app.note_receipts(ARRAY[$1], ARRAY[$2]::uuid[], ARRAY[$3], '{1}', '{true}', ARRAY[$4])",
        );
        let noted = noted.bind(person).bind(company).bind(id).bind(talk.app.clock.now());
        let noted = noted.fetch_all(&mut conn).await.unwrap().len();
        assert_eq!((sent, noted), (is_theirs.into(), is_theirs.into()), "{role:?} {person} {company:?}");
    }
}

#[tokio::test]
async fn no_word_of_a_message_is_anywhere_in_the_database() {
    let talk = talk().await;
    let wanted = message(MARKER);
    let request =
        || talk.alice.request(Method::POST, &talk.path("/messages")).header("idempotency-key", "key-of-alice");
    let sent = Answer::of(request().json(&wanted)).await.expect(201);
    let path = format!("/messages/{}", sent.str("/id"));
    Answer::of(talk.alice.request(Method::PATCH, &path).json(&json!({"body": format!("{MARKER}, edited")})))
        .await
        .expect(200);
    talk.send(&talk.dr, &format!("About {MARKER}")).await.expect(201);
    talk.app.settle().await;
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT format('%I.%I', table_schema, table_name) FROM information_schema.tables
         WHERE table_schema IN ('app', 'auth', 'stats', 'apalis', 'migrate') AND table_type = 'BASE TABLE'",
    )
    .fetch_all(talk.app.db())
    .await
    .unwrap();
    let mut rows = 0;
    for table in tables {
        let found: Vec<String> = sqlx::query_scalar(AssertSqlSafe(format!("SELECT t::text FROM {table} t")))
            .fetch_all(talk.app.db())
            .await
            .unwrap();
        rows += found.len();
        for row in found {
            for form in
                [MARKER.to_owned(), hex::encode(MARKER), STANDARD.encode(MARKER), hex::encode(STANDARD.encode(MARKER))]
            {
                assert!(!row.contains(&form), "{table}");
            }
        }
    }
    assert!(rows > 20);
}

#[tokio::test]
async fn what_was_moved_swapped_or_changed_does_not_open_and_the_rest_does() {
    let talk = talk().await;
    let other = book_on(&talk.alice, &talk.dr, in_days(&talk.app, 6)).await.str("/id");
    talk.alice.post(&format!("/conversations/{other}/messages"), message("elsewhere")).await.expect(201);
    for n in 1..=5 {
        talk.send(&talk.alice, &format!("number {n}")).await.expect(201);
    }
    let edited = talk.read(&talk.alice, "").await.str("/items/4/id");
    let old: Vec<u8> = sqlx::query_scalar("SELECT sealed FROM app.messages WHERE id = $1::uuid")
        .bind(&edited)
        .fetch_one(talk.app.db())
        .await
        .unwrap();
    Answer::of(talk.alice.request(Method::PATCH, &format!("/messages/{edited}")).json(&json!({"body": "newer"})))
        .await
        .expect(200);
    let talk_id = talk.booked.str("/id");
    for change in [
        // two change places
        format!(
            "UPDATE app.messages m SET sealed = o.sealed FROM app.messages o
                 WHERE m.conversation_id = '{talk_id}' AND o.conversation_id = m.conversation_id AND m.seq + o.seq = 3"
        ),
        // one comes from another conversation
        format!(
            "UPDATE app.messages m SET sealed = o.sealed FROM app.messages o
                 WHERE m.conversation_id = '{talk_id}' AND m.seq = 3 AND o.conversation_id = '{other}'"
        ),
        // one is what it was before its edit
        format!("UPDATE app.messages SET sealed = '\\x{}' WHERE id = '{edited}'", hex::encode(old)),
    ] {
        sqlx::query(AssertSqlSafe(change)).execute(talk.app.db()).await.unwrap();
    }
    let read = talk.read(&talk.dr, "").await;
    let words: Vec<_> = read.json["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (it["content"].clone(), it.get("body").cloned()))
        .collect();
    let gone = (json!("unreadable"), None);
    assert_eq!(words, [gone.clone(), gone.clone(), gone.clone(), (json!("text"), Some(json!("number 4"))), gone]);
    talk.send(&talk.dr, "Some of it is gone.").await.expect(201);
    talk.app.settle().await;
}

#[tokio::test]
async fn after_the_erasure_of_the_employee_both_see_that_something_was_said_and_not_what() {
    let talk = talk().await;
    talk.send(&talk.alice, MARKER).await.expect(201);
    talk.send(&talk.dr, "I am sorry to hear that.").await.expect(201);
    let mut worker = talk.app.as_role(DbRole::Worker, talk.alice.id).await;
    sqlx::query("SELECT set_config('app.company_id', $1, false)")
        .bind(talk.company.id.to_string())
        .execute(&mut worker)
        .await
        .unwrap();
    sqlx::query("SELECT app.destroy_keys($1, '{chat}', now())").bind(talk.alice.id).execute(&mut worker).await.unwrap();
    for user in [&talk.alice, &talk.dr] {
        let read = talk.read(user, "").await;
        assert_eq!(all(&read, "content"), [json!("erased"), json!("erased")]);
        assert!(read.json["items"].as_array().unwrap().iter().all(|it| it.get("body").is_none()));
        talk.send(user, "Hello?").await.refused(410, "conversation_erased");
    }
    let id = talk.read(&talk.alice, "").await.str("/items/0/id");
    Answer::of(talk.alice.request(Method::PATCH, &format!("/messages/{id}")).json(&json!({"body": "Hello?"})))
        .await
        .refused(410, "conversation_erased");
    // a tombstone can still be made of it
    assert_eq!(talk.alice.delete(&format!("/messages/{id}")).await.expect(200).json["content"], "deleted");
}

#[tokio::test]
async fn who_opened_a_conversation_is_shown_to_its_employee_once_an_hour() {
    let talk = talk().await;
    let readings = async || {
        let log = talk.alice.get("/privacy/access-log?limit=100").await.expect(200);
        log.json["items"].as_array().unwrap().iter().filter(|it| it["action"] == "conversation.read").count()
    };
    talk.send(&talk.alice, "For you alone").await.expect(201);
    talk.read(&talk.alice, "").await;
    assert_eq!(readings().await, 0, "what she reads herself is nobody else's reading");
    talk.read(&talk.dr, "").await;
    talk.read(&talk.dr, "?afterRev=0").await;
    let sockets = Sockets::start();
    let about = json!({"conversationId": talk.booked.str("/id")});
    sockets.connect("dr", &talk.app.base, &talk.dr.token).await;
    sockets.done("dr", "conversation:join", about.clone()).await;
    assert_eq!(readings().await, 1);
    // an hour later again, over the socket as well
    sqlx::query("ALTER TABLE app.audit_logs DISABLE TRIGGER ALL").execute(talk.app.db()).await.unwrap();
    sqlx::query("UPDATE app.audit_logs SET at = at - interval '61 minutes'").execute(talk.app.db()).await.unwrap();
    sqlx::query("ALTER TABLE app.audit_logs ENABLE TRIGGER ALL").execute(talk.app.db()).await.unwrap();
    sockets.connect("dr again", &talk.app.base, &talk.dr.token).await;
    let asks = json!({"conversationId": about["conversationId"], "afterRev": 0});
    for _ in 0..2 {
        sockets.done("dr again", "sync", asks.clone()).await;
    }
    assert_eq!(readings().await, 2);
}
