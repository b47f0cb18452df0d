//! What the schedule and the sockets ask finds what it wants by indexes, however much there is.

use huntzen::platform::db::DbRole;
use sqlx::{AssertSqlSafe, Connection};

use super::*;

const GROW: [&str; 5] = ["notifications", "unread_conversations", "messages", "message_receipts", "consultations"];

#[tokio::test]
async fn no_list_of_others_is_read_for_one_and_no_conversation_that_is_not_due() {
    let (app, _, alice, dr) = scene().await;
    let id = book_on(&alice, &dr, in_days(&app, 4)).await.str("/id");
    app.settle().await;
    // a thousand people with thirty each, and as many conversations of which ten are due
    sqlx::raw_sql(
        "CREATE TEMP TABLE many AS SELECT gen_random_uuid() AS id, n FROM generate_series(1, 1000) n;
         INSERT INTO app.users (id, email, password_hash, role, display_name, status)
             SELECT id, id || '@people.test', 'x', 'platform_admin', 'Person ' || n, 'active' FROM many;
         INSERT INTO app.notifications (id, user_id, place, kind, object_type, object_id, occurrence, created_at, read_at)
             SELECT gen_random_uuid(), id, day, 'session_ended', 'account', id, day, now() - make_interval(days => day),
                    CASE WHEN day > 5 THEN now() - make_interval(days => day - 1) END
             FROM many, generate_series(1, 30) day;
         SET session_replication_role = replica;
         INSERT INTO app.unread_conversations (company_id, conversation_id, user_id, practitioner_id, reader_id, since, noticed_at,
                                               mailed_at)
             SELECT gen_random_uuid(), id, id, id, id, now() - interval '1 hour', CASE WHEN n > 10 THEN now() END,
                    CASE WHEN n > 10 THEN now() END FROM many;
         RESET session_replication_role;
         ANALYZE app.notifications, app.unread_conversations, app.users",
    )
    .execute(&mut *app.db().acquire().await.unwrap())
    .await
    .unwrap();
    let mine = "FROM app.notifications WHERE user_id = (SELECT app.user_id())";
    for (role, person, sql, answers) in [
        (DbRole::Worker, None, "SELECT * FROM app.due_unread_conversations(now(), 500)".to_owned(), 10),
        (
            DbRole::Worker,
            None,
            format!("SELECT app.notify_of_messages(gen_random_uuid(), '{id}', '{}', now())", alice.id),
            1,
        ),
        (DbRole::Worker, None, "SELECT app.purge_notifications(now(), 5000)".to_owned(), 1),
        (DbRole::Employee, Some(&alice), format!("SELECT id {mine} AND place > 0 ORDER BY place LIMIT 50"), 1),
        (DbRole::Employee, Some(&alice), format!("SELECT place {mine} ORDER BY place DESC LIMIT 1"), 1),
        (
            DbRole::Employee,
            Some(&alice),
            format!("SELECT count(*) FROM (SELECT {mine} AND read_at IS NULL LIMIT 1000) it"),
            1,
        ),
    ] {
        let mut conn = app.as_role(role, person.map_or(alice.id, |user| user.id)).await;
        let mut tx = conn.begin().await.unwrap();
        sqlx::query("SELECT set_config('app.company_id', $1::text, true)")
            .bind(alice.company_id)
            .execute(&mut *tx)
            .await
            .unwrap();
        let rows = sqlx::query(AssertSqlSafe(sql.clone())).fetch_all(&mut *tx).await.unwrap().len();
        let scanned: Vec<String> = sqlx::query_scalar(
            "SELECT relname::text FROM pg_stat_xact_user_tables WHERE schemaname = 'app' AND seq_scan > 0 AND relname = ANY ($1)",
        )
        .bind(&GROW[..])
        .fetch_all(&mut *tx)
        .await
        .unwrap();
        assert_eq!((rows, scanned), (answers, Vec::new()), "{sql}");
    }
}
