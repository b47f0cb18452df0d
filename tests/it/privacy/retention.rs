//! What is over its time goes, and nothing before.

use huntzen::domain::privacy::RemoveExpired;

use super::*;

async fn tonight(app: &TestApp) {
    app.enqueue(&RemoveExpired {}).await;
    app.settle().await;
}

#[tokio::test]
async fn a_note_goes_with_its_key_when_its_legal_time_is_over_and_not_before() {
    let mut it = life().await;
    it.days_later(365 * 25).await;
    // the program's clock alone is not believed
    tonight(&it.app).await;
    assert_eq!(it.dr.get(&it.note).await.expect(200).str("/body"), NOTE);
    for change in ["DELETE FROM app.clinical_notes", "DELETE FROM app.clinical_note_versions"] {
        let error = sqlx::query(change).execute(it.app.db()).await.unwrap_err();
        assert!(error.to_string().contains("append-only"), "{change}: {error}");
    }
    // written twenty years and a day ago
    let mut conn = it.app.db().acquire().await.unwrap();
    for sql in [
        "SET session_replication_role = replica",
        "UPDATE app.clinical_notes SET retained_until = now() - interval '1 day', written_at = now() - interval '20 years 1 day'",
        "RESET session_replication_role",
    ] {
        sqlx::query(sql).execute(&mut *conn).await.unwrap();
    }
    drop(conn);
    tonight(&it.app).await;
    it.dr.get(&it.note).await.refused(404, "not_found");
    assert_eq!(it.app.count("SELECT count(*) FROM app.clinical_note_versions").await, 0);
    assert_eq!(
        it.app.count("SELECT count(*) FROM app.encryption_keys WHERE purpose = 'note' AND wrapped IS NOT NULL").await,
        0
    );
    let entry: Value = sqlx::query_scalar("SELECT details FROM app.audit_logs WHERE action = 'retention.applied' AND details ->> 'kind' = 'clinical_note'")
        .fetch_one(it.app.db())
        .await
        .unwrap();
    assert_eq!(entry, json!({"kind": "clinical_note", "count": 1}));
}

#[tokio::test]
async fn messages_reasons_and_records_go_by_the_one_table_of_durations() {
    let mut it = life().await;
    let form = Form::new().part("file", Part::bytes(pdf(90)).file_name("plan.pdf"));
    let brought = it.alice.request(Method::POST, &format!("/conversations/{}/attachments", it.session)).multipart(form);
    let file = Answer::of(brought).await.expect(201).str("/id");
    let message = json!({"clientId": Uuid::new_v4(), "body": "With a plan.", "attachmentIds": [file]});
    it.alice.post(&format!("/conversations/{}/messages", it.session), message).await.expect(201);
    it.alice.post("/privacy/exports", json!({})).await.expect(202);
    it.app.settle().await;
    tonight(&it.app).await;
    let all = |of: &'static str| it.app.count(of);
    assert_eq!(all("SELECT count(*) FROM app.messages").await, 3);
    assert_eq!(all("SELECT count(*) FROM app.consultation_reasons").await, 1);
    // two years after the session its reason goes, five years after the closing its messages
    it.days_later(800).await;
    tonight(&it.app).await;
    assert_eq!(it.app.count("SELECT count(*) FROM app.consultation_reasons").await, 0);
    assert_eq!(it.app.count("SELECT count(*) FROM app.messages").await, 3);
    // requests are kept for five years after they were answered
    assert_eq!(it.app.count("SELECT count(*) FROM app.privacy_requests").await, 1);
    it.days_later(365 * 3 + 60).await;
    it.app.enqueue(&huntzen::domain::privacy::CollectCopies {}).await;
    tonight(&it.app).await;
    assert_eq!(it.app.count("SELECT count(*) FROM app.messages").await, 0);
    assert_eq!(it.app.count("SELECT count(*) FROM app.message_receipts").await, 0);
    assert_eq!(
        it.app.count("SELECT count(*) FROM app.encryption_keys WHERE purpose = 'chat' AND wrapped IS NOT NULL").await,
        0
    );
    // the conversation is there, and empty; the note stays
    let talk = it.alice.get(&format!("/conversations/{}/messages", it.session)).await.expect(200);
    assert_eq!(talk.json["items"], json!([]));
    assert_eq!(it.dr.get(&it.note).await.expect(200).str("/body"), NOTE);
    it.app.enqueue(&huntzen::domain::files::jobs::CollectFiles {}).await;
    it.app.settle().await;
    assert_eq!(it.app.count("SELECT count(*) FROM app.files WHERE purpose = 'attachment'").await, 0);
    assert_eq!(it.app.count("SELECT count(*) FROM app.email_log").await, 0);
    assert_eq!(it.app.count("SELECT count(*) FROM app.privacy_requests").await, 0);
    // twice is once
    tonight(&it.app).await;
}

#[tokio::test]
async fn what_was_agreed_to_stays_five_years_after_the_account() {
    let mut it = life().await;
    it.alice
        .post("/privacy/consents", json!({"document": "news", "version": "2026-11", "decision": "accepted"}))
        .await
        .expect(200);
    it.erase().await;
    it.days_later(365 * 4).await;
    tonight(&it.app).await;
    assert_eq!(it.app.count("SELECT count(*) FROM app.consents").await, 1);
    it.days_later(365 * 2).await;
    tonight(&it.app).await;
    assert_eq!(it.app.count("SELECT count(*) FROM app.consents").await, 0);
    // what was on its way when the account was erased
    assert_eq!(it.app.count("SELECT count(*) FROM app.erasure_ledger").await, 1);
}

/// What is over its time is a part of tables that grow: none of them is read from one end to the other for it.
#[tokio::test]
async fn what_is_removed_is_found_by_indexes() {
    use huntzen::platform::db::DbRole;
    use huntzen::platform::ids::UserId;
    use sqlx::{AssertSqlSafe, Connection};

    let it = life().await;
    let tables =
        ["messages", "message_receipts", "files", "clinical_note_versions", "encryption_keys", "unread_conversations"];
    let mut conn = it.app.db().acquire().await.unwrap();
    sqlx::query("SET session_replication_role = replica").execute(&mut *conn).await.unwrap();
    sqlx::query(
        "INSERT INTO app.message_receipts (company_id, conversation_id, user_id, practitioner_id, reader_id, delivered_seq, read_seq, rev,
                                           updated_at)
         SELECT company_id, id, user_id, practitioner_id, user_id, 1, 1, 1, now() FROM app.conversations ON CONFLICT DO NOTHING",
    )
    .execute(&mut *conn)
    .await
    .unwrap();
    for table in tables {
        let ids = ["id", "conversation_id", "note_id", "subject_id", "client_id"];
        let columns: Vec<String> = sqlx::query_scalar(
            "SELECT column_name::text FROM information_schema.columns
             WHERE table_schema = 'app' AND table_name = $1 AND column_name = ANY ($2)",
        )
        .bind(table)
        .bind(&ids[..])
        .fetch_all(&mut *conn)
        .await
        .unwrap();
        // a document is of no conversation
        let columns = columns.iter().filter(|column| table != "files" || *column != "conversation_id");
        let mut others: Vec<_> = columns.map(|column| format!("'{column}', gen_random_uuid()")).collect();
        if table == "files" {
            others.push("'object_key', 'files/00/' || replace(gen_random_uuid()::text, '-', '')".into());
        }
        let sql = format!(
            "INSERT INTO app.{table} SELECT (jsonb_populate_record(one.t, jsonb_build_object({}))).*
             FROM (SELECT t FROM app.{table} t LIMIT 1) one, generate_series(1, 5000)",
            others.join(", ")
        );
        sqlx::query(AssertSqlSafe(sql)).execute(&mut *conn).await.unwrap();
    }
    sqlx::raw_sql("RESET session_replication_role; ANALYZE").execute(&mut *conn).await.unwrap();
    drop(conn);
    let mut worker = it.app.as_role(DbRole::Worker, UserId(Uuid::nil())).await;
    let mut tx = worker.begin().await.unwrap();
    for record in ["message", "clinical_note"] {
        sqlx::query("SELECT app.remove_expired($1, now() + interval '90 years', 1000, 30)")
            .bind(record)
            .execute(&mut *tx)
            .await
            .unwrap();
    }
    let gone: i64 = sqlx::query_scalar("SELECT n_tup_del FROM pg_stat_xact_user_tables WHERE relname = 'messages'")
        .fetch_one(&mut *tx)
        .await
        .unwrap();
    assert!(gone > 0, "there was something to remove");
    let scanned: Vec<String> = sqlx::query_scalar(
        "SELECT relname::text FROM pg_stat_xact_user_tables WHERE schemaname = 'app' AND seq_scan > 0 AND relname = ANY ($1)",
    )
    .bind(&tables[..])
    .fetch_all(&mut *tx)
    .await
    .unwrap();
    assert_eq!(scanned, Vec::<String>::new());
}
