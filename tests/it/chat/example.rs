//! The example of a client in the documentation: its types are checked, and it runs.

use std::process::Command;
use std::time::Duration;

use huntzen::platform::auth::Role;

use super::*;
use crate::support::app::PASSWORD;
use crate::support::tools;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_typed_client_of_the_documentation_compiles_talks_renews_its_token_and_comes_back() {
    let tools = tools::folder();
    let compiled = Command::new(tools.join("node_modules/.bin/tsc")).arg("-p").arg(tools).output().unwrap();
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stdout));
    let talk = talk().await;
    // another node, whose tokens are short, and all that follows by it
    let node = talk.app.node_with(|config| config.access_token_ttl = chrono::TimeDelta::seconds(10)).await;
    // before it comes: it reads that, and says that it has it
    talk.send(&talk.dr, "Are you there?").await.expect(201);
    let asked = json!({"server": node.base, "email": talk.alice.email, "password": PASSWORD,
                       "conversationId": talk.booked.json["id"]});
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
    let (seen, ()) = tokio::join!(tokio::time::timeout(Duration::from_mins(1), example), answering);
    let seen: Value = serde_json::from_str(&seen.expect("it ends").unwrap()).unwrap();
    let said = json!([
        "Are you there?",
        "Hello from the example",
        "Good morning",
        "On a newer token",
        "Back again",
        "And again"
    ]);
    assert_eq!(
        (&seen["said"], &seen["connects"], &seen["before"]["connects"]),
        (&said, &json!(3), &json!(1)),
        "{seen}"
    );
    assert!(seen["before"]["logins"].as_i64().unwrap() >= 2, "{seen}");
    assert_eq!(all(&talk.read(&talk.dr, "").await, "body"), said.as_array().unwrap().clone());
}
