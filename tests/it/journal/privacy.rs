//! Who reads what, and what is kept of it.

use huntzen::platform::db::DbRole;
use sqlx::{AssertSqlSafe, PgConnection};

use super::*;
use crate::support::dump::forms;

const MARKER: &str = "cerulean panic attack 5530";
const TAG: &str = "celadon-ex-husband";

async fn connect(app: &TestApp, role: DbRole, user: &User) -> PgConnection {
    let mut conn = app.as_role(role, user.id).await;
    sqlx::query("SELECT set_config('app.company_id', $1, false)")
        .bind(user.company_id.map(|id| id.to_string()).unwrap_or_default())
        .execute(&mut conn)
        .await
        .unwrap();
    conn
}

#[tokio::test]
async fn nobody_but_the_person_reads_or_writes_a_journal() {
    let diary = diary().await;
    let written = diary.note(MARKER, "2026-01-05", 1, &[TAG]).await;
    let path = format!("/journal/{}", written.str("/id"));
    let bob = diary.app.employee(&diary.company).await;
    let globex = diary.app.company("Globex").await;
    let carol = diary.app.employee(&globex).await;
    let (dr, staff) = (diary.app.practitioner().await, diary.app.platform_admin().await);
    let change = json!({"body": "Mine", "mood": 5});
    for (user, status, code) in [
        (&bob, 404, "not_found"),
        (&carol, 404, "not_found"),
        (&dr, 403, "forbidden"),
        (&diary.company.hr, 403, "forbidden"),
        (&diary.company.admin, 403, "forbidden"),
        (&staff, 403, "forbidden"),
        (&diary.app.anonymous(), 401, "unauthenticated"),
    ] {
        user.get(&path).await.refused(status, code);
        conditional(user, Method::PUT, &path, "\"1\"", Some(change.clone())).await.refused(status, code);
        conditional(user, Method::DELETE, &path, "\"1\"", None).await.refused(status, code);
    }
    for user in [&bob, &carol] {
        assert_eq!(user.get("/journal").await.expect(200).json, json!({"items": []}));
        assert_eq!(user.get("/journal/trend").await.expect(200).json["items"], json!([]));
    }
    for (role, user) in [
        (DbRole::Employee, &bob),
        (DbRole::Employee, &carol),
        (DbRole::Practitioner, &dr),
        (DbRole::Hr, &diary.company.hr),
        (DbRole::Platform, &staff),
        (DbRole::Worker, &diary.alice),
    ] {
        let mut conn = connect(&diary.app, role, user).await;
        for statement in [
            "SELECT 1 FROM app.journal_entries",
            "SELECT 1 FROM app.journal_keys",
            "SELECT 1 FROM app.journal_key()",
            "SELECT 1 FROM app.encryption_keys",
        ] {
            match sqlx::query(statement).fetch_all(&mut conn).await {
                Ok(rows) => assert!(rows.is_empty() && role == DbRole::Employee, "{role:?}: {statement}"),
                Err(error) => assert_eq!(error.as_database_error().unwrap().code().unwrap(), "42501"),
            }
        }
    }
    assert_eq!(bodies(&diary.read("").await), [MARKER]);
}

#[tokio::test]
async fn neither_words_nor_tags_nor_moods_are_in_a_dump_of_the_database() {
    let diary = diary().await;
    let request = diary.alice.request(Method::POST, "/journal").header("idempotency-key", "of-today");
    let body = json!({"body": MARKER, "mood": 1, "tags": [TAG]});
    let written = Answer::of(request.json(&body)).await.expect(201);
    let path = format!("/journal/{}", written.str("/id"));
    conditional(&diary.alice, Method::PUT, &path, written.header("etag"), Some(body)).await.expect(200);
    diary.read(&format!("?tag={TAG}")).await;
    diary.app.settle().await;
    let dump = diary.app.dump().await;
    assert!(dump.contains("journal_entries") && dump.len() > 10_000);
    for text in [MARKER, TAG, "\"mood\""] {
        for form in forms(text) {
            assert!(!dump.contains(&form), "{form}");
        }
    }
    // two entries of one mood and one tag do not look alike, and moods do not show in lengths
    diary.note("a", "2026-01-05", 1, &["x"]).await;
    diary.note("a", "2026-01-05", 5, &["x", "y", "a longer one"]).await;
    let alike = "SELECT count(DISTINCT facts) + 10 * count(DISTINCT length(facts)) FROM app.journal_entries";
    assert_eq!(diary.app.count(alike).await, 3 + 10);
}

#[tokio::test]
async fn what_was_moved_cut_or_changed_does_not_open_and_the_rest_does() {
    let diary = diary().await;
    let bob = diary.app.employee(&diary.company).await;
    for n in 1..=3 {
        diary.note(&format!("day {n}"), &format!("2026-01-0{n}"), 3, &["day"]).await;
    }
    bob.post("/journal", json!({"body": "of bob", "mood": 3, "date": "2026-01-02"})).await.expect(201);
    let old = "SELECT sealed FROM app.journal_entries WHERE user_id = $1 AND day = '2026-01-02'";
    let whole: Vec<u8> = sqlx::query_scalar(old).bind(diary.alice.id).fetch_one(diary.app.db()).await.unwrap();
    let of = |user: &User, day: i32, column: &str| {
        format!("(SELECT {column} FROM app.journal_entries WHERE user_id = '{}' AND day = '2026-01-0{day}')", user.id)
    };
    let with = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = whole.clone();
        change(&mut bytes);
        format!("'\\x{}'::bytea", hex::encode(bytes))
    };
    for (what, value) in [
        ("another entry's", of(&diary.alice, 1, "sealed")),
        ("another column's", of(&diary.alice, 2, "facts")),
        ("another person's", of(&bob, 2, "sealed")),
        ("one bit", with(&|bytes| bytes[120] ^= 1)),
        ("another key's id", with(&|bytes| bytes[3] ^= 1)),
        ("cut", with(&|bytes| bytes.truncate(150))),
    ] {
        replace(&diary.app, &format!("sealed = {value} WHERE user_id = '{}' AND day = '2026-01-02'", diary.alice.id))
            .await;
        let read = diary.read("").await;
        let said: Vec<_> = read.json["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| (it["content"].clone(), it.get("body").cloned()))
            .collect();
        let text = |text: &str| (json!("text"), Some(json!(text)));
        assert_eq!(said, [text("day 3"), (json!("unreadable"), None), text("day 1")], "{what}");
    }
    // facts that do not open are in no trend and no search
    let its = format!("user_id = '{}' AND day = '2026-01-01'", diary.alice.id);
    replace(&diary.app, &format!("facts = {} WHERE {its}", of(&diary.alice, 3, "facts"))).await;
    assert_eq!(bodies(&diary.read("?tag=day&from=2026-01-01&to=2026-01-03").await), ["day 3", ""]);
    assert_eq!(diary.read("/trend?from=2026-01-01&to=2026-01-03").await.json["items"][0]["entries"], 2);
    // an older version in the place of a newer one
    let third = diary.read("?from=2026-01-03").await.str("/items/0/id");
    let path = format!("/journal/{third}");
    let before: Vec<u8> = sqlx::query_scalar("SELECT sealed FROM app.journal_entries WHERE id = $1::uuid")
        .bind(&third)
        .fetch_one(diary.app.db())
        .await
        .unwrap();
    conditional(&diary.alice, Method::PUT, &path, "\"1\"", Some(json!({"body": "new", "mood": 3}))).await.expect(200);
    replace(&diary.app, &format!("sealed = '\\x{}' WHERE id = '{third}'", hex::encode(before))).await;
    assert_eq!(diary.alice.get(&path).await.expect(200).json["content"], "unreadable");
    // it can be written anew
    conditional(&diary.alice, Method::PUT, &path, "\"2\"", Some(json!({"body": "newer", "mood": 3}))).await.expect(200);
    assert_eq!(diary.alice.get(&path).await.expect(200).json["body"], "newer");
}

/// As somebody who owns the database and takes its triggers away.
async fn replace(app: &TestApp, change: &str) {
    let mut tx = app.db().begin().await.unwrap();
    sqlx::raw_sql("SET LOCAL session_replication_role = replica").execute(&mut *tx).await.unwrap();
    let change = format!("UPDATE app.journal_entries SET {change}");
    let done = sqlx::query(AssertSqlSafe(change.as_str())).execute(&mut *tx).await.unwrap();
    assert_eq!(done.rows_affected(), 1, "{change}");
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn after_the_erasure_nothing_of_a_journal_opens_or_comes_back() {
    let diary = diary().await;
    let written = diary.note(MARKER, "2026-01-05", 1, &[TAG]).await;
    let bob = diary.app.employee(&diary.company).await;
    bob.post("/journal", json!({"body": "of bob", "mood": 3})).await.expect(201);
    let mut worker = connect(&diary.app, DbRole::Worker, &diary.alice).await;
    sqlx::query("SELECT app.destroy_keys($1, '{journal}', now())")
        .bind(diary.alice.id)
        .execute(&mut worker)
        .await
        .unwrap();
    let read = diary.read("").await;
    assert_eq!((&read.json["items"][0]["content"], read.json["items"][0].get("body")), (&json!("erased"), None));
    assert!(read.json["items"][0].get("mood").is_none() && !read.text().contains(TAG));
    assert_eq!(diary.read("/trend?from=2026-01-01&to=2026-01-31").await.json["items"], json!([]));
    assert_eq!(diary.read(&format!("?tag={TAG}")).await.json["items"], json!([]));
    diary.write(json!({"body": "Hello?", "mood": 3})).await.refused(410, "journal_erased");
    let path = format!("/journal/{}", written.str("/id"));
    let change = Some(json!({"body": "Hello?", "mood": 3}));
    conditional(&diary.alice, Method::PUT, &path, "\"1\"", change).await.refused(410, "journal_erased");
    conditional(&diary.alice, Method::DELETE, &path, "\"1\"", None).await.expect(204);
    assert_eq!(bodies(&bob.get("/journal").await.expect(200)), ["of bob"]);
}
