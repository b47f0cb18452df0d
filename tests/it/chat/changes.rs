//! Edits, deletions, closing, and what a client that was away is told.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use reqwest::Method;

use super::*;

async fn edit(user: &User, id: &str, text: &str) -> Answer {
    let request = user.request(Method::PATCH, &format!("/messages/{id}")).json(&json!({"body": text}));
    Answer::of(request).await
}

#[tokio::test]
async fn ones_own_messages_are_edited_and_deleted_for_fifteen_minutes() {
    let mut talk = talk().await;
    let sent = talk.send(&talk.alice, "Tuesday, then.").await.expect(201);
    let id = sent.str("/id");
    let path = format!("/messages/{id}");
    edit(&talk.dr, &id, "Not mine").await.refused(403, "not_your_message");
    talk.dr.delete(&path).await.refused(403, "not_your_message");
    let edited = edit(&talk.alice, &id, "Wednesday, then.").await.expect(200);
    assert_eq!(
        (&edited.json["seq"], &edited.json["rev"], &edited.json["body"]),
        (&json!(1), &json!(2), &json!("Wednesday, then."))
    );
    assert_eq!(edited.json["createdAt"], sent.json["createdAt"]);
    assert!(edited.json["editedAt"].is_string());
    // at the same moment from two devices: both happened, one after the other
    let (one, two) = tokio::join!(edit(&talk.alice, &id, "One"), edit(&talk.alice, &id, "Two"));
    let mut revs = [one.expect(200).json["rev"].as_i64(), two.expect(200).json["rev"].as_i64()];
    revs.sort_unstable();
    assert_eq!(revs, [Some(3), Some(4)]);
    let read = talk.read(&talk.dr, "").await;
    assert_eq!(read.json["items"][0]["rev"], 4);
    assert!([json!("One"), json!("Two")].contains(&read.json["items"][0]["body"]));

    let late = talk.send(&talk.alice, "Too late?").await.expect(201);
    let start = instant(&sent.str("/createdAt"));
    talk.go_to(start + TimeDelta::minutes(14)).await;
    let deleted = talk.alice.delete(&path).await.expect(200);
    assert_eq!((&deleted.json["content"], &deleted.json["seq"]), (&json!("deleted"), &json!(1)));
    assert!(deleted.json.get("body").is_none() && deleted.json["deletedAt"].is_string());
    assert_eq!(talk.alice.delete(&path).await.expect(200).json, deleted.json, "twice is once");
    edit(&talk.alice, &id, "Again").await.refused(409, "message_deleted");
    let left: Option<Vec<u8>> =
        sqlx::query_scalar("SELECT sealed FROM app.messages WHERE seq = 1").fetch_one(talk.app.db()).await.unwrap();
    assert_eq!(left, None, "nothing of it is left");
    talk.go_to(start + TimeDelta::minutes(16)).await;
    edit(&talk.alice, &late.str("/id"), "Now?").await.refused(409, "too_late_to_change");
    talk.alice.delete(&format!("/messages/{}", late.str("/id"))).await.refused(409, "too_late_to_change");
    assert_eq!(talk.alice.delete(&path).await.expect(200).json["rev"], deleted.json["rev"]);
    // the database says so by itself
    let error = sqlx::query(
        "UPDATE app.messages SET sealed = decode(repeat('00', 120), 'hex'), deleted_at = NULL WHERE seq = 1",
    )
    .execute(talk.app.db())
    .await
    .unwrap_err();
    assert_eq!(error.as_database_error().unwrap().constraint().unwrap(), "messages_append_only");
}

#[tokio::test]
async fn a_client_that_asks_after_its_last_revision_misses_nothing() {
    let talk = talk().await;
    let mut ids = Vec::new();
    let mut known: BTreeMap<String, Value> = BTreeMap::new();
    let mut rev = 0;
    for round in 0..6 {
        for n in 0..3 {
            let user = if n == 1 { &talk.dr } else { &talk.alice };
            ids.push((user, talk.send(user, &format!("{round} {n}")).await.expect(201).str("/id")));
        }
        let (user, id) = &ids[3 * round];
        edit(user, id, &format!("{round} edited")).await.expect(200);
        if round % 2 == 1 {
            let (user, id) = ids.last().unwrap();
            user.delete(&format!("/messages/{id}")).await.expect(200);
        }
        talk.receipt(&talk.alice, json!({"seq": round + 1})).await;
        if round == 1 {
            // away for a while
            continue;
        }
        let seen = loop {
            let news = talk.read(&talk.dr, &format!("?afterRev={rev}&limit=2")).await;
            let revs: Vec<i64> = all(&news, "rev").iter().map(|rev| rev.as_i64().unwrap()).collect();
            assert!(revs.is_sorted() && revs.iter().all(|it| *it > rev));
            for item in news.json["items"].as_array().unwrap() {
                known.insert(item["id"].as_str().unwrap().to_owned(), item.clone());
            }
            rev = news.json["rev"].as_i64().unwrap();
            if news.json["hasMore"] == false {
                break news.json["receipts"].clone();
            }
        };
        let whole = talk.read(&talk.dr, "?limit=100").await;
        let items = whole.json["items"].as_array().unwrap();
        assert_eq!(known.len(), items.len());
        for item in items {
            assert_eq!(&known[item["id"].as_str().unwrap()], item);
        }
        assert_eq!((&whole.json["rev"], &whole.json["receipts"]), (&json!(rev), &seen));
    }
}

#[tokio::test]
async fn a_conversation_takes_messages_until_some_days_after_the_session_and_stays_readable() {
    let mut talk = talk().await;
    let ends = instant(&talk.booked.str("/endsAt"));
    talk.go_to(ends + TimeDelta::days(14) - TimeDelta::minutes(1)).await;
    let last = talk.send(&talk.alice, "Thank you for everything.").await.expect(201).str("/id");
    talk.go_to(ends + TimeDelta::days(14)).await;
    let refused = talk.send(&talk.dr, "You are welcome.").await.refused(410, "conversation_closed");
    assert_eq!(instant(&refused.str("/closedAt")), ends + TimeDelta::days(14));
    edit(&talk.alice, &last, "Thanks.").await.refused(410, "conversation_closed");
    talk.alice.delete(&format!("/messages/{last}")).await.refused(410, "conversation_closed");
    assert_eq!(talk.read(&talk.dr, "").await.json["items"][0]["body"], "Thank you for everything.");
    assert_eq!(talk.receipt(&talk.dr, json!({"seq": 1})).await["readSeq"], 1);
    let listed = talk.dr.get("/conversations").await.expect(200);
    assert_eq!(listed.json["items"][0]["isOpen"], false);
    let words = talk.alice.request(Method::POST, &talk.path("/messages")).header("accept-language", "fr");
    let words = Answer::of(words.json(&message("Encore ?"))).await.refused(410, "conversation_closed");
    assert_eq!(words.str("/title"), "Conversation close");
    talk.app.settle_with_dead().await;
}

#[tokio::test]
async fn a_cancelled_consultation_closes_its_conversation() {
    let talk = talk().await;
    talk.send(&talk.alice, "I cannot come.").await.expect(201);
    talk.alice.post(&format!("/consultations/{}/cancel", talk.booked.str("/id")), json!({})).await.expect(200);
    let refused = talk.send(&talk.dr, "What a pity.").await.refused(410, "conversation_closed");
    assert!(instant(&refused.str("/closedAt")) <= talk.app.clock.now());
    assert_eq!(talk.read(&talk.dr, "").await.json["items"][0]["body"], "I cannot come.");
    talk.app.settle().await;
}
