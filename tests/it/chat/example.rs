//! The example of a client in the documentation: its types are checked, and it runs.

use std::time::Duration;

use huntzen::platform::auth::Role;

use super::*;
use crate::support::app::PASSWORD;
use crate::support::tools;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_typed_client_of_the_documentation_compiles_talks_renews_its_token_and_comes_back_from_everything() {
    tools::examples();
    let talk = talk().await;
    // another node, whose tokens are short, and all that follows by it
    let node = talk.app.node_with(|config| config.access_token_ttl = chrono::TimeDelta::seconds(10)).await;
    // before it comes: it reads that, and says that it has it
    talk.send(&talk.dr, "Are you there?").await.expect(201);
    let asked = json!({"server": node.base, "email": talk.alice.email, "password": PASSWORD,
                       "staff": talk.app.platform_admin().await.token, "conversationId": talk.booked.json["id"]});
    let example = tokio::task::spawn_blocking(move || tools::run("example.mjs", &[], asked.to_string().as_bytes()));
    let until = async |count: usize| {
        while talk.read(&talk.dr, "").await.json["items"].as_array().unwrap().len() < count {
            tokio::task::yield_now().await;
        }
    };
    let delivered = async || {
        let receipts = talk.read(&talk.dr, "").await.json["receipts"].clone();
        let hers = receipts.as_array().unwrap().iter().find(|it| it["readerId"] == json!(talk.alice.id)).cloned();
        hers.map(|it| (it["deliveredSeq"].as_i64().unwrap(), it["readSeq"].as_i64().unwrap()))
    };
    let answering = async {
        until(2).await;
        let told = async {
            loop {
                if let Some(told) = delivered().await {
                    return told;
                }
            }
        };
        // nothing was told live so far but what she said herself
        let (seq, read) = tokio::time::timeout(Duration::from_secs(20), told).await.expect("it says that it has it");
        assert!((1..=2).contains(&seq) && read == 0, "{seq} {read}");
        talk.send(&talk.dr, "Good morning").await.expect(201);
        until(4).await;
        // the end of its session closes the socket; it signs in again
        let alice = talk.app.session(talk.alice.id, Role::Employee, talk.alice.company_id).await;
        talk.alice.with_token(alice).delete("/auth/sessions").await.expect(204);
    };
    let (seen, ()) = tokio::join!(tokio::time::timeout(Duration::from_mins(2), example), answering);
    let seen: Value = serde_json::from_str(&seen.expect("it ends").unwrap()).unwrap();
    let said = json!([
        "Are you there?",
        "Hello from the example",
        "Good morning",
        "On a newer token",
        "Back again",
        "And again",
        "After the maintenance"
    ]);
    assert_eq!(
        (&seen["said"], &seen["connects"], &seen["before"]["connects"]),
        (&said, &json!(4), &json!(1)),
        "{seen}"
    );
    assert_eq!(seen["refused"], 2, "it asked again: {seen}");
    assert!(seen["before"]["asked"].as_i64().unwrap() >= 4, "{seen}");
    assert_eq!(seen["seen"], 6, "nothing is said in maintenance: {seen}");
    assert_eq!((&seen["late"], &seen["active"]), (&json!("unauthenticated"), &json!(false)), "it logged out: {seen}");
    assert_eq!(all(&talk.read(&talk.dr, "").await, "body"), said.as_array().unwrap().clone());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_tabs_with_three_sockets_each_stay_until_their_person_logs_out() {
    let own = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let settings = move |name: &str| (name == "CORS_ORIGINS").then(|| format!("http://127.0.0.1:{own}"));
    let app = TestApp::start_with(settings).await;
    let company = app.company("Acme").await;
    let alice = app.employee(&company).await;
    let node = app.node_with(|config| config.access_token_ttl = chrono::TimeDelta::seconds(10)).await;
    let asked = json!({"chromium": tools::program("chromium"), "url": node.base, "page": own, "email": alice.email,
                       "password": PASSWORD})
    .to_string();
    let said = tokio::task::spawn_blocking(move || tools::run("stays.mjs", &[], asked.as_bytes())).await.unwrap();
    let seen: Value = serde_json::from_str(&said).unwrap();
    let every = |it: Value| json!([[it.clone(), it.clone(), it.clone()], [it.clone(), it.clone(), it]]);
    // one token for all sockets of a page, one page after the other
    assert_eq!((&seen["first"]["all"], &seen["most"]), (&json!(2), &json!(1)), "{seen}");
    assert_eq!(seen["transport"], json!(["websocket", "websocket"]), "{seen}");
    for told in seen["told"].as_array().unwrap() {
        assert_eq!(told[0], json!(["unread:count", {"unreadCount": 0}]), "{seen}");
    }
    // beyond the end of the first token, on the connections that they had
    assert_eq!(seen["later"], every(json!({"connected": true, "connects": 1})), "{seen}");
    let renewed = &seen["renewed"];
    assert!(renewed["all"].as_i64().unwrap() >= 4 && renewed["refused"] == 0, "{seen}");
    // closed for good in both tabs, and nobody asks on
    assert_eq!(seen["out"], every(json!({"active": false, "connected": false})), "{seen}");
    assert_eq!((&seen["stayedOut"], &seen["askedAfterwards"]), (&json!(true), &json!(0)), "{seen}");
    let betrayed = "SELECT count(*) FROM app.audit_logs WHERE action = 'session.reuse_detected'";
    assert_eq!(app.count(betrayed).await, 0, "nobody looks like a thief");
    app.settle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_pages_on_two_nodes_talk_by_the_examples_and_miss_nothing() {
    tools::examples();
    let talk = talk().await;
    let own = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let origin = format!("http://127.0.0.1:{own}");
    let node = async || talk.app.node_with(|config| config.cors_origins = vec![origin.clone()]).await;
    let (one, two) = (node().await, node().await);
    let asked = json!({"chromium": tools::program("chromium"), "page": own, "nodes": [one.base, two.base],
                       "conversationId": talk.booked.json["id"], "people": [talk.alice.token, talk.dr.token]})
    .to_string();
    let said = tokio::task::spawn_blocking(move || tools::run("talks.mjs", &[], asked.as_bytes())).await.unwrap();
    let seen: Value = serde_json::from_str(&said).unwrap();
    let all = json!(["One", "Two", "Three, changed", "Four", "Five"]);
    assert_eq!(seen["bodies"], json!([all, all]), "{seen}");
    assert_eq!((&seen["faults"], &seen["transport"]), (&json!([]), &json!(["websocket", "websocket"])), "{seen}");
    assert_eq!(seen["refused"], json!({"code": "not_found", "connects": 1, "connected": true}), "{seen}");
    let kept = talk.read(&talk.dr, "").await;
    let his = kept.json["receipts"].as_array().unwrap().iter().find(|it| it["readerId"] == json!(talk.dr.id)).cloned();
    assert_eq!(his.unwrap()["readSeq"], 2, "{}", kept.json["receipts"]);
}

#[test]
fn what_the_documentation_says_of_staying_is_what_the_examples_do() {
    let read =
        |name: &str| std::fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap();
    let page = read("docs/sockets.md");
    let of = |name: &str, start: &str| {
        let example = read(&format!("docs/examples/{name}"));
        let from = example.find(start).unwrap();
        let to = example[from..].find("\n}\n").unwrap();
        example[from..from + to + 3].to_owned()
    };
    for (name, start) in [
        ("session.js", "export function tokens("),
        ("session.js", "export function stay("),
        ("follow.js", "export function follow("),
    ] {
        let shown = of(name, start);
        assert!(page.contains(&shown), "docs/sockets.md does not show this as it is:\n{shown}");
    }
    assert!(["call.js", "chat.ts"].iter().all(|it| read(&format!("docs/examples/{it}")).contains("./session.js\";")));
}
