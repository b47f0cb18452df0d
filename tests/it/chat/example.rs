//! The example of a client in the documentation: its types are checked, and it runs.

use std::process::Command;

use super::*;
use crate::support::tools;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_typed_client_of_the_documentation_compiles_and_talks() {
    let tools = tools::folder();
    let compiled = Command::new(tools.join("node_modules/.bin/tsc")).arg("-p").arg(tools).output().unwrap();
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stdout));
    let talk = talk().await;
    let (base, token, id) = (talk.app.base.clone(), talk.alice.token.clone(), talk.booked.str("/id"));
    let example = tokio::task::spawn_blocking(move || tools::run("example.mjs", &[&base, &token, &id], b""));
    let answering = async {
        while talk.read(&talk.dr, "").await.json["items"].as_array().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        talk.send(&talk.dr, "Good morning").await.expect(201);
    };
    let (said, ()) = tokio::join!(tokio::time::timeout(std::time::Duration::from_mins(1), example), answering);
    let said: Value = serde_json::from_str(&said.expect("it ends").unwrap()).unwrap();
    assert_eq!(said, json!(["Hello from the example", "Good morning", "And again"]));
    assert_eq!(all(&talk.read(&talk.dr, "").await, "body"), said.as_array().unwrap().clone());
}
