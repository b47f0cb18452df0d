//! What people who have nothing to do with it get: copies of their own data, files of numbers, lists, searches, failures.

use std::io::{Cursor, Read};

use huntzen::app;
use serde_json::json;
use uuid::Uuid;

use super::words::{Place, Words};
use super::{bring, pdf};
use crate::support::process::Site;
use crate::support::{Answer, User};

/// A file that is made by a job, fetched by whoever asked for it.
async fn fetched(user: &User, path: &str, body: serde_json::Value, ready: &str) -> Vec<u8> {
    let asked = user.post(path, body).await.expect(202).str("/id");
    let one = format!("{path}/{asked}");
    let made = async {
        while user.get(&one).await.expect(200).str("/status") != ready {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_mins(1), made).await.expect("it is made within a minute");
    user.get(&format!("{one}/download")).await.expect(200).bytes
}

/// Everybody's copy of their own data holds no word of anybody else; `theirs` is one that has to be in it.
pub async fn copies(people: &[(&str, &User, Option<&str>)], words: &Words) {
    for (name, user, theirs) in people {
        let bytes = fetched(user, "/privacy/exports", json!({}), "ready").await;
        let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
        let mut all = Vec::new();
        for at in 0..archive.len() {
            let mut entry = archive.by_index(at).unwrap();
            all.extend(entry.name().unwrap().as_bytes());
            entry.read_to_end(&mut all).unwrap();
        }
        assert!(String::from_utf8_lossy(&all).contains(&user.email), "the copy of {name}");
        words.none_but_of(name, None, &format!("the copy of {name}"), &all);
        if let Some(theirs) = theirs {
            let word = words.get(theirs).as_bytes();
            assert!(all.windows(word.len()).any(|it| it == word), "{theirs} is not in the copy of {name}");
        }
    }
}

/// Files of numbers.
pub async fn exports(people: &[(&str, &User, &str)], month: &str, words: &Words) {
    for (kind, user, place) in people {
        let body = json!({"kind": kind, "from": month, "to": month, "format": {"delimiter": "comma", "bom": false}});
        let bytes = fetched(user, "/exports", body, "ready").await;
        words.none_in(None, &format!("{kind} of {place}"), &bytes);
    }
}

/// Every list that can be asked for, with parameters that are taken; and every search, by the words themselves.
pub async fn lists(people: &[(&str, &User)], staff: &User, month: &str, words: &Words) {
    let document = app::openapi().unwrap();
    let paths = document["paths"].as_object().unwrap();
    let mut silent = Vec::new();
    for (path, it) in paths.iter().filter(|(path, it)| !path.contains('{') && it["get"].is_object()) {
        let short = path.strip_prefix("/api/v1").map_or_else(|| format!("/{path}"), ToOwned::to_owned);
        let parameters = it["get"]["parameters"].as_array().cloned().unwrap_or_default();
        let named = |name: &str| parameters.iter().any(|it| it["in"] == "query" && it["name"] == name);
        let mut asked = vec![String::new()];
        let needed: Vec<_> = parameters.iter().filter(|it| it["in"] == "query" && it["required"] == true).collect();
        if !needed.is_empty() {
            let value = |name: &str| if name == "q" { "sommeil".to_owned() } else { month.to_owned() };
            let all: Vec<_> = needed.iter().map(|it| it["name"].as_str().unwrap()).collect();
            asked =
                vec![format!("?{}", all.iter().map(|it| format!("{it}={}", value(it))).collect::<Vec<_>>().join("&"))];
        }
        if named("q") {
            // whoever knows a word finds nothing by it
            asked.extend(words.0.iter().filter(|it| it.text.len() <= 90).map(|it| format!("?q={}", it.text)));
        }
        let mut is_shown = false;
        for (name, user) in people {
            // who may not ask at all is not asked about each word
            let mut is_asked_by = false;
            for query in &asked {
                if query.starts_with("?q=canary") && !is_asked_by {
                    continue;
                }
                let answer = user.get(&format!("{short}{query}")).await;
                is_shown |= answer.status.is_success();
                is_asked_by |= answer.status.is_success();
                if answer.status.is_success() && query.starts_with("?q=canary") && user.id != staff.id {
                    let found = answer.json["items"].as_array().map(Vec::len);
                    assert_eq!(found, Some(0), "{short}{query} of {}", user.email);
                }
                if !answer.bytes.is_empty() {
                    let place = (user.id == staff.id).then_some(Place::Staff);
                    words.none_but_of(name, place, &format!("GET {short} of {}", user.email), &answer.bytes);
                }
            }
        }
        if !is_shown {
            silent.push(short);
        }
    }
    silent.retain(|path| !SHOWN_TO_NONE_HERE.contains(&path.as_str()));
    assert!(silent.is_empty(), "nobody was shown {silent:?}");
}

/// What nobody of these has: they have asked for no erasure.
const SHOWN_TO_NONE_HERE: &[&str] = &["/privacy/erasure", "/privacy/erasure/receipt"];

/// The routes that [`failures`] makes fail, with words on their way.
pub const FAILING: &[&str] = &[
    "POST /api/v1/journal",
    "POST /api/v1/conversations/{id}/messages",
    "PATCH /api/v1/me",
    "POST /api/v1/files",
    "GET /api/v1/files/{id}",
];

/// What happens where something is not there that should be: answers that fail, and what is logged with their causes.
pub async fn failures(
    site: &Site,
    alice: &User,
    bob: &User,
    session: &str,
    file: &str,
    words: &mut Words,
) -> Vec<Answer> {
    let mut failed = Vec::new();
    // a key that does not open
    let lost = json!({"body": words.of("an entry that does not open"), "mood": 2});
    bob.post("/journal", lost).await.expect(201);
    let break_key = "UPDATE app.encryption_keys SET wrapped = set_byte(wrapped, 40, get_byte(wrapped, 40) # 1)
                     WHERE purpose = 'journal' AND person_id = $1";
    past_triggers(site, break_key, bob.id.0).await;
    assert_eq!(bob.get("/journal").await.expect(200).str("/items/0/content"), "unreadable");
    let word = words.of("what fails half-way");
    failed.push(bob.post("/journal", json!({"body": word, "mood": 2, "tags": ["work"]})).await.expect(500));
    past_triggers(site, break_key, bob.id.0).await;
    // a row that the database does not take, of which it tells nobody what is in it
    let refuse = |table: &str| format!("ALTER TABLE app.{table} ADD CONSTRAINT canary_fault CHECK (false) NOT VALID");
    let allow = |table: &str| format!("ALTER TABLE app.{table} DROP CONSTRAINT canary_fault");
    let run = async |statement: String| sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&site.db).await.unwrap();
    run(refuse("journal_entries")).await;
    failed.push(alice.post("/journal", json!({"body": word, "mood": 2, "tags": [&word[..28]]})).await.expect(500));
    run(allow("journal_entries")).await;
    run(refuse("messages")).await;
    let message = json!({"clientId": Uuid::new_v4(), "body": word});
    failed.push(alice.post(&format!("/conversations/{session}/messages"), message).await.expect(500));
    run(allow("messages")).await;
    run("ALTER TABLE app.users ADD CONSTRAINT canary_fault CHECK (pending_email::text NOT LIKE 'canary%') NOT VALID"
        .into())
    .await;
    let address = json!({"email": format!("{word}@home.test"), "currentPassword": crate::support::app::PASSWORD});
    failed.push(bob.patch("/me", address).await.expect(500));
    run(allow("users")).await;
    // a storage that is away
    let (here, away) = (site.storage(), site.storage().with_extension("away"));
    std::fs::rename(&here, &away).unwrap();
    std::fs::write(&here, b"in the way").unwrap();
    failed.push(bring(alice, "/files", Some("document"), &format!("{word}.pdf"), pdf(&word)).await.expect(503));
    failed.push(alice.get(&format!("/files/{file}")).await.expect(503));
    std::fs::remove_file(&here).unwrap();
    std::fs::rename(&away, &here).unwrap();
    alice.get(&format!("/files/{file}")).await.expect(200);
    failed
}

pub async fn past_triggers(site: &Site, statement: &'static str, id: Uuid) {
    let mut tx = site.db.begin().await.unwrap();
    sqlx::raw_sql("SET LOCAL session_replication_role = replica").execute(&mut *tx).await.unwrap();
    let done = sqlx::query(statement).bind(id).execute(&mut *tx).await.unwrap();
    assert!(done.rows_affected() > 0, "{statement}");
    tx.commit().await.unwrap();
}
