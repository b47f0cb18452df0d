//! Sending, reading, receipts.

use chrono::TimeDelta;
use futures_util::future::join_all;
use sqlx::Connection;

use super::*;

#[tokio::test]
async fn two_people_write_to_each_other_and_read_the_same() {
    let talk = talk().await;
    let empty = talk.read(&talk.dr, "").await;
    assert_eq!((all(&empty, "id").len(), &empty.json["rev"], &empty.json["hasMore"]), (0, &json!(0), &json!(false)));
    let wanted = message("Good morning, one question before Tuesday.");
    let first = talk.alice.post(&talk.path("/messages"), wanted.clone()).await.expect(201);
    assert_eq!(first.json["clientId"], wanted["clientId"]);
    assert_eq!(first.json["conversationId"], talk.booked.json["id"]);
    assert_eq!(first.json["senderId"], json!(talk.alice.id));
    assert_eq!(first.json["body"], wanted["body"]);
    assert_eq!(
        (&first.json["seq"], &first.json["rev"], &first.json["content"]),
        (&json!(1), &json!(1), &json!("text"))
    );
    assert!(first.json.get("editedAt").is_none() && first.json.get("deletedAt").is_none());
    let second = talk.send(&talk.dr, "Of course. 👍🏽 Écrivez-moi.").await.expect(201);
    assert_eq!(second.json["seq"], 2);

    let (hers, his) = (talk.read(&talk.alice, "").await, talk.read(&talk.dr, "").await);
    assert_eq!(hers.json, his.json);
    assert_eq!(hers.json["items"], json!([first.json, second.json]));
    assert_eq!(hers.json["rev"], 2);

    for (user, name) in [(&talk.alice, "Dr Test".to_owned()), (&talk.dr, talk_name(&talk).await)] {
        let list = user.get("/conversations").await.expect(200);
        let items = list.json["items"].as_array().unwrap();
        assert_eq!(items.len(), 1);
        assert_eq!(items[0]["id"], talk.booked.json["id"]);
        assert_eq!(items[0]["with"], json!(name));
        assert_eq!(items[0]["unread"], 1);
        assert_eq!((&items[0]["lastSeq"], &items[0]["rev"], &items[0]["isOpen"]), (&json!(2), &json!(2), &json!(true)));
        let closes = instant(items[0]["closesAt"].as_str().unwrap());
        assert_eq!(closes, instant(&talk.booked.str("/endsAt")) + TimeDelta::days(14));
        assert!(!list.text().contains("question"), "a list shows no words");
    }
    // nothing is mailed or enqueued, and the log of actions holds no entry for each message
    talk.app.settle().await;
    assert_eq!(talk.app.count("SELECT count(*) FROM app.audit_logs WHERE action LIKE 'message%'").await, 0);
}

async fn talk_name(talk: &Talk) -> String {
    talk.alice.get("/me").await.expect(200).str("/displayName")
}

#[tokio::test]
async fn a_message_that_is_sent_again_is_the_same_message() {
    let mut talk = talk().await;
    let wanted = message("Only once, please.");
    let path = talk.path("/messages");
    let answers = join_all((0..8).map(|_| talk.alice.post(&path, wanted.clone()))).await;
    let first = answers[0].json.clone();
    for answer in answers {
        assert_eq!(answer.expect(201).json, first);
    }
    assert_eq!(all(&talk.read(&talk.dr, "").await, "seq"), [json!(1)]);
    // another text under its name is another message, and none
    let mut other = wanted.clone();
    other["body"] = json!("Something else.");
    talk.alice.post(&path, other.clone()).await.refused(422, "idempotency_mismatch");
    // the other one's names are their own
    talk.dr.post(&path, other).await.expect(201);
    // after an edit the first text is not known any more
    let edited = format!("/messages/{}", first["id"].as_str().unwrap());
    let edited = Answer::of(talk.alice.request(reqwest::Method::PATCH, &edited).json(&json!({"body": "Twice."}))).await;
    edited.expect(200);
    assert_eq!(talk.alice.post(&path, wanted.clone()).await.expect(201).json["body"], "Twice.");
    // whoever did not hear the answer before it closed hears it afterwards
    talk.go_to(instant(&talk.booked.str("/endsAt")) + TimeDelta::days(20)).await;
    assert_eq!(talk.alice.post(&path, wanted).await.expect(201).json["id"], first["id"]);
    assert_eq!(talk.app.count("SELECT count(*) FROM app.messages").await, 2);
}

#[tokio::test]
async fn of_many_messages_at_once_each_has_a_number_of_its_own() {
    let talk = talk().await;
    let sent = join_all((0..24).map(|n| {
        let talk = &talk;
        async move {
            let user = if n % 2 == 0 { &talk.alice } else { &talk.dr };
            talk.send(user, &format!("number {n}")).await.expect(201).json["seq"].as_i64().unwrap()
        }
    }))
    .await;
    let mut numbers = sent.clone();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=24).collect::<Vec<_>>());
    assert_eq!(talk.app.count("SELECT count(*) FROM app.encryption_keys").await, 1, "the first ones made one key");
    // read back in pages, in one order
    let (mut found, mut before) = (Vec::new(), String::new());
    loop {
        let page = talk.read(&talk.dr, &format!("?limit=10{before}")).await;
        let seqs: Vec<i64> = all(&page, "seq").iter().map(|seq| seq.as_i64().unwrap()).collect();
        before = format!("&beforeSeq={}", seqs[0]);
        found.splice(0..0, seqs);
        if page.json["hasMore"] == false {
            break;
        }
    }
    assert_eq!(found, (1..=24).collect::<Vec<_>>());
    let unread = talk.alice.get("/conversations").await.expect(200).json["items"][0]["unread"].clone();
    assert_eq!(unread, 12);
}

#[tokio::test]
async fn a_receipt_never_goes_back_nor_beyond_the_last_message() {
    let talk = talk().await;
    for n in 0..3 {
        talk.send(&talk.alice, &format!("number {n}")).await.expect(201);
    }
    assert_eq!(talk.receipt(&talk.dr, json!({"seq": 2, "state": "delivered"})).await["deliveredSeq"], 2);
    let read = talk.receipt(&talk.dr, json!({"seq": 1})).await;
    assert_eq!(read, json!({"readerId": talk.dr.id, "deliveredSeq": 2, "readSeq": 1, "rev": 5}));
    let far = talk.receipt(&talk.dr, json!({"seq": 1_000_000})).await;
    assert_eq!(far, json!({"readerId": talk.dr.id, "deliveredSeq": 3, "readSeq": 3, "rev": 6}));
    for back in [json!({"seq": 1}), json!({"seq": 3}), json!({"seq": 3, "state": "delivered"})] {
        assert_eq!(talk.receipt(&talk.dr, back).await, far, "nothing new takes no revision");
    }
    assert_eq!(talk.dr.get("/conversations").await.expect(200).json["items"][0]["unread"], 0);
    // she sees it, by what she asks for after what she knew
    let news = talk.read(&talk.alice, "?afterRev=3").await;
    assert_eq!(news.json["items"], json!([]));
    assert_eq!((&news.json["receipts"], &news.json["rev"]), (&json!([far]), &json!(6)));
    assert_eq!(
        talk.receipt(&talk.alice, json!({"seq": 1})).await["readSeq"],
        1,
        "one's own messages count as read by oneself"
    );
    // nothing to read is nothing to note
    let quiet = book_on(&talk.alice, &talk.dr, in_days(&talk.app, 5)).await.str("/id");
    let nothing = talk.dr.post(&format!("/conversations/{quiet}/read"), json!({"seq": 4})).await.expect(200);
    assert_eq!((&nothing.json["readSeq"], &nothing.json["rev"]), (&json!(0), &json!(0)));
    talk.app.settle().await;
}

#[tokio::test]
async fn conversations_are_listed_by_their_last_word_page_by_page() {
    let talk = talk().await;
    let mut ids = vec![talk.booked.str("/id")];
    for days in [5, 6] {
        ids.push(book_on(&talk.alice, &talk.dr, in_days(&talk.app, days)).await.str("/id"));
    }
    talk.app.settle().await;
    talk.app.clock.advance(TimeDelta::seconds(5));
    talk.alice.post(&format!("/conversations/{}/messages", ids[1]), message("Bonjour")).await.expect(201);
    let expected = [&ids[1], &ids[2], &ids[0]];
    for user in [&talk.alice, &talk.dr] {
        let (mut found, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = user.get(&format!("/conversations?limit=2{cursor}")).await.expect(200);
            found.extend(all(&page, "id"));
            match page.json.get("nextCursor") {
                Some(next) => cursor = format!("&cursor={}", next.as_str().unwrap()),
                None => break,
            }
        }
        assert_eq!(found, expected.map(|id| json!(id)));
    }
    assert!(all(&talk.app.employee(&talk.company).await.get("/conversations").await.expect(200), "id").is_empty());
}

#[tokio::test]
async fn what_is_no_message_is_refused_with_the_reason() {
    let talk = talk().await;
    let client = Uuid::new_v4();
    for (body, pointer, code) in [
        (json!({"clientId": client}), "/body", "required"),
        (json!({"body": "Hello"}), "/clientId", "required"),
        (json!({"clientId": "mine", "body": "Hello"}), "/clientId", "format"),
        (json!({"clientId": client, "body": ""}), "/body", "pattern"),
        (json!({"clientId": client, "body": " \n\t "}), "/body", "pattern"),
        (json!({"clientId": client, "body": "x".repeat(4001)}), "/body", "max_length"),
        (json!({"clientId": client, "body": 12}), "/body", "type"),
        (json!({"clientId": client, "body": "a\u{0}b"}), "/body", "nul_character"),
        (json!({"clientId": client, "body": "Hello", "files": []}), "/files", "unknown_property"),
    ] {
        let refused = talk.alice.post(&talk.path("/messages"), body.clone()).await.refused(422, "invalid");
        let errors = refused.json["errors"].as_array().unwrap();
        assert!(errors.iter().any(|it| it["pointer"] == pointer && it["code"] == code), "{body}: {}", refused.json);
        assert!(!refused.text().contains("Hello"));
    }
    // the longest that is taken, in the widest characters
    let longest = "🫂".repeat(4000);
    assert_eq!(talk.send(&talk.alice, &longest).await.expect(201).json["body"], json!(longest));
    for query in ["?afterRev=-1", "?beforeSeq=0", "?limit=0", "?limit=101", "?afterRev=1&beforeSeq=2", "?afterRev=x"] {
        let path = talk.path(&format!("/messages{query}"));
        talk.alice.get(&path).await.refused(400, "invalid_parameter");
    }
    talk.alice.post(&talk.path("/read"), json!({"seq": 0})).await.refused(422, "invalid");
    talk.alice.post(&talk.path("/read"), json!({"seq": 1, "state": "seen"})).await.refused(422, "invalid");
}

#[tokio::test]
async fn of_messages_that_are_written_together_each_has_its_own_answer() {
    let talk = talk().await;
    let closed = book_on(&talk.alice, &talk.dr, in_days(&talk.app, 5)).await.str("/id");
    let of_closed = format!("/conversations/{closed}/messages");
    talk.alice.post(&of_closed, message("There is a key")).await.expect(201);
    talk.alice.post(&format!("/consultations/{closed}/cancel"), json!({})).await.expect(200);
    let of_others = talk.app.employee(&talk.company).await;
    let open = talk.path("/messages");
    let answers = join_all((0..48).map(|n| {
        let (user, path) = match n % 4 {
            0 | 1 => (&talk.alice, &open),
            2 => (&talk.alice, &of_closed),
            _ => (&of_others, &open),
        };
        let body = format!("number {n}");
        async move { (n % 4, body.clone(), user.post(path, message(&body)).await) }
    }))
    .await;
    for (kind, body, answer) in answers {
        match kind {
            0 | 1 => assert_eq!(answer.expect(201).json["body"], body),
            2 => drop(answer.refused(410, "conversation_closed")),
            _ => drop(answer.refused(404, "not_found")),
        }
    }
    let kept = talk.read(&talk.dr, "?limit=100").await;
    assert_eq!(all(&kept, "seq"), (1..=24).map(|seq| json!(seq)).collect::<Vec<_>>());
    assert!(all(&kept, "senderId").iter().all(|it| *it == json!(talk.alice.id)));
    talk.app.settle().await;
}

#[tokio::test]
async fn of_receipts_that_are_noted_together_each_is_its_readers_and_none_goes_back() {
    let talk = talk().await;
    let other = book_on(&talk.alice, &talk.dr, in_days(&talk.app, 5)).await.str("/id");
    let of_others = talk.app.employee(&talk.company).await;
    for n in 0..8 {
        talk.send(&talk.alice, &format!("number {n}")).await.expect(201);
        talk.alice.post(&format!("/conversations/{other}/messages"), message("elsewhere")).await.expect(201);
    }
    let (here, elsewhere) = (talk.path("/read"), format!("/conversations/{other}/read"));
    // the practitioner on several devices, in two conversations, and somebody whose conversations they are not
    let answers = join_all((0..32_i64).map(|n| {
        let (user, path, upto) = match n % 4 {
            0 => (&talk.dr, &here, n / 4 + 1),
            1 => (&talk.dr, &elsewhere, 3),
            2 => (&talk.dr, &here, 8 - n / 4),
            _ => (&of_others, &here, 8),
        };
        async move { (n % 4, upto, user.post(path, json!({"seq": upto})).await) }
    }))
    .await;
    for (kind, upto, answer) in answers {
        if kind == 3 {
            answer.refused(404, "not_found");
            continue;
        }
        let receipt = answer.expect(200).json;
        assert!(receipt["readSeq"].as_i64() >= Some(upto), "{receipt}");
        assert_eq!(receipt["readerId"], json!(talk.dr.id));
    }
    let receipt = talk.dr.post(&here, json!({"seq": 1})).await.expect(200).json;
    assert_eq!((&receipt["readSeq"], &receipt["deliveredSeq"]), (&json!(8), &json!(8)));
    let receipt = talk.dr.post(&elsewhere, json!({"seq": 1})).await.expect(200).json;
    assert_eq!((&receipt["readSeq"], &receipt["deliveredSeq"]), (&json!(3), &json!(3)));
    // a change is counted once: eight messages, and at most eight steps of the reading
    let changes = talk.read(&talk.alice, "?limit=1").await.json["rev"].as_i64().unwrap();
    assert!((9..=16).contains(&changes), "{changes}");
    talk.app.settle().await;
}

#[tokio::test]
async fn whoever_waits_for_their_turn_waits_no_longer_than_for_a_connection() {
    let app = TestApp::start_with_one_connection().await;
    let company = app.company("Acme").await;
    let (alice, dr) = (app.employee(&company).await, app.practitioner().await);
    let booked = book_on(&alice, &dr, in_days(&app, 3)).await;
    let talk = Talk { app, company, alice, dr, booked };
    talk.send(&talk.dr, "There is a key").await.expect(201);
    let path = talk.path("/read");
    talk.alice.post(&path, json!({"seq": 1})).await.expect(200);
    talk.app.settle().await;
    // the one connection of all employees waits for a table
    let mut owner = talk.app.owner().await;
    let mut lock = owner.begin().await.unwrap();
    sqlx::query("LOCK TABLE app.consultations").execute(&mut *lock).await.unwrap();
    let held = talk.alice.clone();
    let holder = tokio::spawn(async move { held.get("/consultations").await });
    talk.app.until_one_waits().await;
    let refused = async || {
        let shown = talk.app.anonymous().get("//metrics").await.expect(200).text();
        let line = shown
            .lines()
            .find(|it| it.starts_with("huntzen_database_pool_timeouts_total") && it.contains("\"huntzen_employee\""));
        line.and_then(|it| it.rsplit(' ').next()?.parse::<f64>().ok()).unwrap_or_default()
    };
    let before = refused().await;
    let begun = std::time::Instant::now();
    for answer in join_all((0..4).map(|_| talk.alice.post(&path, json!({"seq": 1})))).await {
        answer.refused(503, "unavailable");
    }
    assert!(begun.elapsed() < std::time::Duration::from_secs(3), "one after the other: {:?}", begun.elapsed());
    // other tests of this process may have counted as well
    assert!(refused().await >= before + 4.0, "each is counted");
    lock.rollback().await.unwrap();
    holder.await.unwrap().expect(200);
    talk.alice.post(&path, json!({"seq": 1})).await.expect(200);
}

#[tokio::test]
async fn a_conversation_that_is_locked_holds_up_nobody_else() {
    let talk = talk().await;
    let other = book_on(&talk.alice, &talk.dr, in_days(&talk.app, 5)).await.str("/id");
    let free = format!("/conversations/{other}/messages");
    // both have their keys
    talk.send(&talk.alice, "There is a key").await.expect(201);
    talk.alice.post(&free, message("There is a key")).await.expect(201);
    talk.app.settle().await;
    let mut owner = talk.app.owner().await;
    let mut lock = owner.begin().await.unwrap();
    let locked: Uuid = talk.booked.str("/id").parse().unwrap();
    sqlx::query("SELECT FROM app.conversations WHERE id = $1 FOR UPDATE")
        .bind(locked)
        .execute(&mut *lock)
        .await
        .unwrap();
    let mut waiting = Box::pin(join_all((0..6).map(|n| {
        let (alice, path) = (&talk.alice, talk.path("/messages"));
        let message = message(&format!("locked {n}"));
        async move {
            // who waited too long sends it again
            loop {
                let answer = alice.post(&path, message.clone()).await;
                if answer.status != 503 {
                    return answer;
                }
            }
        }
    })));
    let others = join_all((0..12).map(|n| {
        let (user, path) = (if n % 2 == 0 { &talk.alice } else { &talk.dr }, &free);
        async move { user.post(path, message(&format!("free {n}"))).await }
    }));
    // whoever writes elsewhere has their answer while the lock is held, however they were gathered
    tokio::select! {
        biased;
        locked = &mut waiting => panic!("answered in spite of the lock: {:?}", locked[0].json),
        others = others => others.into_iter().for_each(|it| drop(it.expect(201))),
    }
    lock.rollback().await.unwrap();
    waiting.await.into_iter().for_each(|it| drop(it.expect(201)));
    assert_eq!(all(&talk.read(&talk.dr, "?limit=100").await, "seq").len(), 7);
    talk.app.settle().await;
}
