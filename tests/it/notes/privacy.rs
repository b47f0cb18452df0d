//! Who reads what, and what is kept of it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use huntzen::app;
use huntzen::platform::crypto::entropy::Entropy;
use huntzen::platform::crypto::rewrap::rewrap;
use huntzen::platform::crypto::seal::Keyring;
use huntzen::platform::db::DbRole;
use secrecy::SecretString;
use sqlx::{AssertSqlSafe, PgConnection};

use super::*;
use crate::support::dump::forms;

const MARKER: &str = "vermilion agoraphobia 4821";

/// A connection as the program's for this person.
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
async fn nobody_but_the_author_reads_or_writes_a_note() {
    let care = care().await;
    let (path, written) = care.free(MARKER).await;
    let (bob, other) = (care.app.employee(&care.company).await, care.app.practitioner().await);
    // another practitioner of the very same person
    book_on(&care.alice, &other, in_days(&care.app, 3)).await;
    let staff = care.app.platform_admin().await;
    for (user, status, code) in [
        (&other, 404, "not_found"),
        (&care.alice, 403, "forbidden"),
        (&bob, 403, "forbidden"),
        (&care.company.hr, 403, "forbidden"),
        (&care.company.admin, 403, "forbidden"),
        (&staff, 403, "forbidden"),
        (&care.app.anonymous(), 401, "unauthenticated"),
    ] {
        user.get(&path).await.refused(status, code);
        user.get(&format!("{path}/versions")).await.refused(status, code);
        user.get(&care.path()).await.refused(status, code);
        user.post(&care.path(), free("Mine")).await.refused(status, code);
        save(user, &path, written.header("etag"), free("Mine")).await.refused(status, code);
        user.post(&format!("{path}/addenda"), json!({"body": "Mine"})).await.refused(status, code);
        conditional(user, Method::POST, &format!("{path}/finalize"), written.header("etag"), None)
            .await
            .refused(status, code);
    }
    // nor by a statement of their own: neither the rows nor the key
    for (role, user) in [
        (DbRole::Practitioner, &other),
        (DbRole::Employee, &care.alice),
        (DbRole::Hr, &care.company.hr),
        (DbRole::CompanyAdmin, &care.company.admin),
        (DbRole::Platform, &staff),
        (DbRole::Worker, &care.alice),
    ] {
        let mut conn = connect(&care.app, role, user).await;
        for statement in [
            "SELECT 1 FROM app.clinical_notes".to_owned(),
            "SELECT 1 FROM app.clinical_note_versions".to_owned(),
            format!("SELECT 1 FROM app.note_key('{}')", written.str("/id")),
            "SELECT 1 FROM app.encryption_keys".to_owned(),
        ] {
            match sqlx::query(AssertSqlSafe(statement.as_str())).fetch_all(&mut conn).await {
                Ok(rows) => assert!(rows.is_empty() && role == DbRole::Practitioner, "{role:?}: {statement}"),
                Err(error) => assert_eq!(error.as_database_error().unwrap().code().unwrap(), "42501"),
            }
        }
    }
    assert_eq!(care.dr.get(&path).await.expect(200).json["body"], MARKER);
    care.app.settle().await;
}

#[tokio::test]
async fn a_practitioner_who_left_goes_on_reading_and_no_successor_does() {
    let care = care().await;
    let (path, draft) = care.free(MARKER).await;
    let staff = care.app.platform_admin().await;
    let successor = care.app.practitioner().await;
    let profile = format!("/practitioners/{}", care.dr.id);
    staff.post(&format!("{profile}/deactivate?cancelSessions=true"), json!({})).await.expect(200);
    care.app.settle().await;
    assert_eq!(care.dr.get(&path).await.expect(200).json["body"], MARKER);
    let done = conditional(&care.dr, Method::POST, &format!("{path}/finalize"), draft.header("etag"), None).await;
    done.refused(409, "note_author_left");
    let next = book_on(&care.alice, &successor, in_days(&care.app, 3)).await;
    successor.get(&path).await.refused(404, "not_found");
    let theirs = successor.get(&format!("/consultations/{}/notes", next.str("/id"))).await.expect(200);
    assert_eq!(theirs.json["items"], json!([]));
    care.app.settle().await;
}

#[tokio::test]
async fn the_employee_sees_that_a_note_was_opened_and_not_what_it_says() {
    let care = care().await;
    let (path, _) = care.finalized(MARKER).await;
    care.dr.get(&path).await.expect(200);
    care.dr.get(&format!("{path}/versions")).await.expect(200);
    care.dr.post(&format!("{path}/addenda"), json!({"body": MARKER})).await.expect(201);
    let seen = care.alice.get("/privacy/access-log?limit=100").await.expect(200);
    let of = |action: &str| {
        seen.json["items"].as_array().unwrap().iter().filter(|it| it["action"] == action).collect::<Vec<_>>()
    };
    assert_eq!((of("note.read").len(), of("note.created").len(), of("note.amended").len()), (2, 1, 1));
    let read = of("note.read")[0];
    assert_eq!((&read["kind"], &read["objectId"]), (&json!("read"), &json!(care.session)));
    assert!(!seen.text().contains(MARKER) && !seen.text().contains(path.trim_start_matches("/notes/")));
    // the company sees nothing of it
    for employer in [&care.company.hr, &care.company.admin] {
        assert!(!employer.get("/audit-logs?limit=100").await.expect(200).text().contains("note."));
    }
    care.app.settle().await;
}

#[tokio::test]
async fn no_word_of_a_note_is_in_a_dump_of_the_database() {
    let care = care().await;
    let key = care.dr.request(Method::POST, &care.path()).header("idempotency-key", "key-of-the-doctor");
    let written = Answer::of(key.json(&free(MARKER))).await.expect(201);
    let path = format!("/notes/{}", written.str("/id"));
    let saved = save(&care.dr, &path, written.header("etag"), free(&format!("{MARKER}, changed"))).await.expect(200);
    conditional(&care.dr, Method::POST, &format!("{path}/finalize"), saved.header("etag"), None).await.expect(200);
    care.dr.post(&format!("{path}/addenda"), json!({"body": MARKER})).await.expect(201);
    care.dr.get(&format!("{path}/versions")).await.expect(200);
    care.app.settle().await;
    let dump = care.app.dump().await;
    assert!(dump.contains("clinical_note_versions") && dump.len() > 10_000);
    for form in forms(MARKER) {
        assert!(!dump.contains(&form));
    }
}

#[tokio::test]
async fn what_was_moved_cut_or_changed_does_not_open_and_the_rest_does() {
    let care = care().await;
    let globex = care.app.company("Globex").await;
    let mut carol = care.app.employee(&globex).await;
    let (path, first) = care.free("version one").await;
    let second = save(&care.dr, &path, first.header("etag"), free("version two")).await.expect(200);
    let third = save(&care.dr, &path, second.header("etag"), free("version three")).await.expect(200);
    let (other, _) = care.free("elsewhere").await;
    // of another company, by the same practitioner
    let booked = book_on(&carol, &care.dr, in_days(&care.app, 1)).await;
    care.app.settle().await;
    let mut dr = care.dr.clone();
    let people = [(&mut carol, Role::Employee), (&mut dr, Role::Practitioner)];
    at(&care.app, instant(&booked.str("/startsAt")), people).await;
    let session = booked.str("/id");
    dr.post(&format!("/consultations/{session}/start"), json!({})).await.expect(200);
    let theirs = dr.post(&format!("/consultations/{session}/notes"), free("of globex")).await.expect(201);

    let id = first.str("/id");
    let (others, foreign) = (other.trim_start_matches("/notes/").to_owned(), theirs.str("/id"));
    let sealed = |note: &str, version: i32| {
        format!("(SELECT sealed FROM app.clinical_note_versions WHERE note_id = '{note}' AND version = {version})")
    };
    let whole: Vec<u8> =
        sqlx::query_scalar("SELECT sealed FROM app.clinical_note_versions WHERE note_id = $1::uuid AND version = 2")
            .bind(&id)
            .fetch_one(care.app.db())
            .await
            .unwrap();
    let literal = |bytes: &[u8]| format!("'\\x{}'::bytea", hex::encode(bytes));
    let with = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = whole.clone();
        change(&mut bytes);
        literal(&bytes)
    };
    for (what, value) in [
        ("another version", sealed(&id, 1)),
        ("another note", sealed(&others, 1)),
        ("another company's", sealed(&foreign, 1)),
        ("one bit", with(&|bytes| bytes[100] ^= 1)),
        ("the last bit", with(&|bytes| *bytes.last_mut().unwrap() ^= 128)),
        ("another form", with(&|bytes| bytes[0] = 9)),
        ("another key's id", with(&|bytes| bytes[2] ^= 1)),
        ("cut", with(&|bytes| bytes.truncate(106))),
        ("longer", with(&|bytes| bytes.push(0))),
    ] {
        replace(
            &care.app,
            &format!("UPDATE app.clinical_note_versions SET sealed = {value} WHERE note_id = '{id}' AND version = 2"),
        )
        .await;
        let versions = dr.get(&format!("{path}/versions")).await.expect(200);
        let said: Vec<_> = versions.json["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| (it["content"].clone(), it.get("body").cloned()))
            .collect();
        let text = |text: &str| (json!("text"), Some(json!(text)));
        assert_eq!(said, [text("version three"), (json!("unreadable"), None), text("version one")], "{what}");
        assert_eq!(dr.get(&path).await.expect(200).json["body"], "version three");
    }
    // another kind than the row says
    replace(
        &care.app,
        &format!("UPDATE app.clinical_note_versions SET format = 'soap' WHERE note_id = '{id}' AND version = 3"),
    )
    .await;
    let read = dr.get(&path).await.expect(200);
    assert_eq!((&read.json["content"], read.json.get("body")), (&json!("unreadable"), None));
    // a key that is another note's, or another master key's
    replace(
        &care.app,
        &format!(
            "UPDATE app.encryption_keys k SET wrapped = o.wrapped FROM app.encryption_keys o
             WHERE k.subject_id = '{id}' AND o.subject_id = '{others}'"
        ),
    )
    .await;
    assert_eq!(dr.get(&path).await.expect(200).json["content"], "unreadable");
    assert_eq!(dr.get(&other).await.expect(200).json["body"], "elsewhere");
    save(&dr, &path, third.header("etag"), free("four")).await.refused(500, "internal");
    care.app.settle().await;
}

/// As somebody who owns the database and takes its triggers away.
async fn replace(app: &TestApp, change: &str) {
    let mut tx = app.db().begin().await.unwrap();
    sqlx::raw_sql("SET LOCAL session_replication_role = replica").execute(&mut *tx).await.unwrap();
    let done = sqlx::query(AssertSqlSafe(change)).execute(&mut *tx).await.unwrap();
    assert_eq!(done.rows_affected(), 1, "{change}");
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn after_the_erasure_of_the_employee_the_author_still_reads() {
    let care = care().await;
    let (path, _) = care.finalized(MARKER).await;
    care.alice.post("/journal", json!({"body": MARKER, "mood": 2})).await.expect(201);
    let mut worker = connect(&care.app, DbRole::Worker, &care.alice).await;
    let destroyed: i64 = sqlx::query_scalar("SELECT app.destroy_keys($1, '{chat,journal,note,file}', now())")
        .bind(care.alice.id)
        .fetch_one(&mut worker)
        .await
        .unwrap();
    assert_eq!(destroyed, 1, "the journal's, and no note's");
    assert_eq!(care.dr.get(&path).await.expect(200).json["body"], MARKER);
    care.dr.post(&format!("{path}/addenda"), json!({"body": "Kept."})).await.expect(201);
    // nor does the author's own name destroy them: the law keeps them
    let mut worker = connect(&care.app, DbRole::Worker, &care.dr).await;
    sqlx::query("SELECT set_config('app.company_id', $1, false)")
        .bind(care.company.id.to_string())
        .execute(&mut worker)
        .await
        .unwrap();
    let destroyed: i64 = sqlx::query_scalar("SELECT app.destroy_keys($1, '{chat,journal,note,file}', now())")
        .bind(care.dr.id)
        .fetch_one(&mut worker)
        .await
        .unwrap();
    assert_eq!(destroyed, 0);
    assert_eq!(care.dr.get(&path).await.expect(200).json["addenda"][0]["body"], "Kept.");
    // a key that is gone, at the end of that time, is said to be gone
    replace(&care.app, "UPDATE app.encryption_keys SET wrapped = NULL, destroyed_at = now() WHERE purpose = 'note'")
        .await;
    let read = care.dr.get(&path).await.expect(200);
    assert_eq!((&read.json["content"], read.json.get("body")), (&json!("erased"), None));
    care.dr.post(&format!("{path}/addenda"), json!({"body": "More."})).await.refused(410, "note_erased");
    care.app.settle().await;
}

#[tokio::test]
async fn notes_and_journals_stay_readable_when_a_master_key_is_replaced() {
    let care = care().await;
    let (path, _) = care.free(MARKER).await;
    care.alice.post("/journal", json!({"body": MARKER, "mood": 2})).await.expect(201);
    let new: (String, SecretString) = ("new".to_owned(), STANDARD.encode([2; 32]).into());
    let mut keys = vec![new.clone()];
    keys.extend(care.app.platform.config.master_keys.iter().cloned());
    let ring = Keyring::new(&keys).unwrap();
    let done = rewrap(care.app.options(), &ring, &Entropy::system(), &app::sealed()).await.unwrap();
    for column in ["encryption_keys.note", "encryption_keys.journal"] {
        let it = done.iter().find(|it| it.column == column).unwrap();
        assert_eq!((it.moved, it.left), (1, 0), "{column}");
    }
    let alone = care.app.node_with(|config| config.master_keys = vec![new]).await;
    assert_eq!(care.dr.at(&alone.base).get(&path).await.expect(200).json["body"], MARKER);
    let journal = care.alice.at(&alone.base).get("/journal").await.expect(200);
    assert_eq!(journal.json["items"][0]["body"], MARKER);
    care.app.settle().await;
}
