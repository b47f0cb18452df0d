//! Every row of the one table of durations is what a job goes by: with a longer one everything stays, with a shorter one
//! what is older goes and what is younger stays.

use std::collections::BTreeSet;

use sqlx::{AssertSqlSafe, Connection, PgConnection, raw_sql};

use super::*;

/// Of each record: how many rows there are that are over the shorter duration, and how many that are not.
const RULES: &[(&str, &str, &str)] = &[
    (
        "message",
        "SELECT count(*) FROM app.messages WHERE conversation_id = fixture.id('alice with martin')",
        "SELECT count(*) FROM app.messages WHERE conversation_id = fixture.id('bob with martin')",
    ),
    (
        "consultation_reason",
        "SELECT count(*) FROM app.consultation_reasons WHERE consultation_id = fixture.id('alice with martin')",
        "SELECT count(*) FROM app.consultation_reasons WHERE consultation_id = fixture.id('bob with martin')",
    ),
    (
        "consultation",
        "SELECT (SELECT count(*) FROM app.consultations WHERE id = fixture.id('dave with durand'))
              + (SELECT count(*) FROM app.consultation_events WHERE consultation_id = fixture.id('dave with durand'))
              + (SELECT count(*) FROM app.conversations WHERE id = fixture.id('dave with durand'))",
        // the older of those that stay has a note
        "SELECT (SELECT count(*) FROM app.consultations WHERE id IN (fixture.id('alice with durand'), fixture.id('alice with martin')))
              + (SELECT count(*) FROM app.consultation_events WHERE consultation_id = fixture.id('alice with durand'))",
    ),
    (
        "call",
        "SELECT count(*) FROM app.call_parties WHERE call_id = fixture.id('call about ' || fixture.id('alice with martin'))",
        "SELECT count(*) FROM app.call_parties WHERE call_id = fixture.id('call about ' || fixture.id('bob with martin'))",
    ),
    (
        "call_signal",
        "SELECT count(*) FROM app.call_signals WHERE addressee_id = fixture.id('bob')
             AND call_id = fixture.id('call about ' || fixture.id('bob with martin'))",
        "SELECT count(*) FROM app.call_signals WHERE addressee_id = fixture.id('martin')
             AND call_id = fixture.id('call about ' || fixture.id('bob with martin'))",
    ),
    (
        "review",
        "SELECT count(*) FROM app.reviews WHERE id = fixture.id('review of ' || fixture.id('alice with durand'))",
        "SELECT count(*) FROM app.reviews WHERE id = fixture.id('a young review')",
    ),
    (
        "payroll",
        "SELECT (SELECT count(*) FROM app.payroll_lines WHERE month < fixture.new_year()::date)
              + (SELECT count(*) FROM app.payroll_sessions WHERE month < fixture.new_year()::date)
              + (SELECT count(*) FROM app.practitioner_rates WHERE hourly_rate_cents = 8000)",
        "SELECT (SELECT count(*) FROM app.payroll_lines WHERE month >= fixture.new_year()::date)
              + (SELECT count(*) FROM app.payroll_sessions WHERE month >= fixture.new_year()::date)
              + (SELECT count(*) FROM app.practitioner_rates WHERE hourly_rate_cents = 8500)",
    ),
    (
        "former_employee",
        "SELECT count(*) FROM app.employees WHERE id = fixture.id('erin entry') AND first_name = 'erin'",
        "SELECT count(*) FROM app.employees WHERE id = fixture.id('bob entry') AND first_name = 'bob'",
    ),
    (
        "destroyed_key",
        "SELECT count(*) FROM app.encryption_keys WHERE id = fixture.id('an old key')",
        "SELECT count(*) FROM app.encryption_keys WHERE id = fixture.id('a young key')",
    ),
    (
        "journal_wrap_before",
        "SELECT count(*) FROM app.journal_keys WHERE user_id = fixture.id('alice') AND before_passphrase IS NOT NULL",
        "SELECT (SELECT count(*) FROM app.journal_keys WHERE user_id = fixture.id('bob') AND before_passphrase IS NOT NULL)
              + (SELECT count(*) FROM app.journal_keys WHERE user_id = fixture.id('alice') AND by_passphrase IS NOT NULL)",
    ),
    (
        "unused_account",
        "SELECT count(*) FROM app.users u WHERE u.id = fixture.id('carol')
             AND NOT EXISTS (SELECT FROM app.privacy_requests r WHERE r.user_id = u.id AND r.asked_by = 'platform')",
        "SELECT count(*) FROM app.users u WHERE u.id <> fixture.id('carol')
             AND NOT EXISTS (SELECT FROM app.privacy_requests r WHERE r.user_id = u.id AND r.asked_by = 'platform')",
    ),
    (
        "notification_read",
        "SELECT count(*) FROM app.notifications WHERE id = fixture.id('news for ' || fixture.id('alice'))",
        "SELECT count(*) FROM app.notifications WHERE id = fixture.id('news for ' || fixture.id('bob'))",
    ),
    (
        "notification",
        "SELECT count(*) FROM app.notifications WHERE id = fixture.id('news for ' || fixture.id('carol'))",
        "SELECT count(*) FROM app.notifications WHERE id = fixture.id('news for ' || fixture.id('dave'))",
    ),
    (
        "session",
        "SELECT (SELECT count(*) FROM app.user_sessions WHERE user_id = fixture.id('alice'))
              + (SELECT count(*) FROM app.ended_sessions WHERE session_id = fixture.id('a session that is over'))",
        "SELECT (SELECT count(*) FROM app.user_sessions WHERE user_id = fixture.id('bob'))
              + (SELECT count(*) FROM app.ended_sessions WHERE session_id = fixture.id('ended of late'))",
    ),
    (
        "mailed_link",
        "SELECT count(*) FROM app.one_time_tokens WHERE id = fixture.id('invitation of erin')",
        "SELECT count(*) FROM app.one_time_tokens WHERE id = fixture.id('invitation of dave')",
    ),
    (
        "known_device",
        "SELECT count(*) FROM app.known_devices WHERE user_id = fixture.id('alice')",
        "SELECT count(*) FROM app.known_devices WHERE user_id = fixture.id('bob')",
    ),
    (
        "failed_attempt",
        "SELECT count(*) FROM app.throttles WHERE key = sha256('somebody')",
        "SELECT count(*) FROM app.throttles WHERE key = sha256('of late')",
    ),
    (
        "repeated_answer",
        "SELECT count(*) FROM app.idempotency_keys WHERE user_id = fixture.id('alice')",
        "SELECT count(*) FROM app.idempotency_keys WHERE user_id = fixture.id('bob')",
    ),
    (
        "invitation_count",
        "SELECT count(*) FROM app.invitation_mails WHERE scope = fixture.id('acme')",
        "SELECT count(*) FROM app.invitation_mails WHERE scope = fixture.id('globex')",
    ),
    (
        "member_invitation",
        "SELECT count(*) FROM app.member_invitations WHERE company_id = fixture.id('acme')",
        "SELECT count(*) FROM app.member_invitations WHERE company_id = fixture.id('globex')",
    ),
    (
        "job_done",
        "SELECT count(*) FROM apalis.jobs WHERE id = 'done long ago'",
        "SELECT count(*) FROM apalis.jobs WHERE id = 'done of late'",
    ),
    (
        "job_failed",
        "SELECT count(*) FROM apalis.jobs WHERE id = 'dead long ago'",
        "SELECT count(*) FROM apalis.jobs WHERE id = 'dead of late'",
    ),
    (
        "mail_record",
        "SELECT count(*) FROM app.email_log WHERE recipient_user_id = fixture.id('alice')",
        "SELECT count(*) FROM app.email_log WHERE recipient_user_id = fixture.id('bob')",
    ),
    (
        "audit_entry",
        "SELECT count(*) FROM app.audit_logs WHERE company_id = fixture.id('whole') AND action = 'employee.updated' AND at < fixture.ago(400)",
        "SELECT count(*) FROM app.audit_logs WHERE company_id = fixture.id('whole') AND action = 'employee.updated' AND at > fixture.ago(400)",
    ),
    (
        "waitlist_place",
        "SELECT (SELECT count(*) FROM app.waitlist_entries WHERE user_id = fixture.id('alice'))
              + (SELECT count(*) FROM app.waitlist_offers WHERE user_id = fixture.id('alice'))
              + (SELECT count(*) FROM app.waitlist_holds WHERE id = fixture.id('kept for ' || fixture.id('alice')))",
        "SELECT (SELECT count(*) FROM app.waitlist_entries WHERE user_id = fixture.id('bob'))
              + (SELECT count(*) FROM app.waitlist_offers WHERE user_id = fixture.id('bob'))
              + (SELECT count(*) FROM app.waitlist_holds WHERE id = fixture.id('kept for ' || fixture.id('bob')))",
    ),
    (
        "past_override",
        "SELECT count(*) FROM app.availability_overrides WHERE practitioner_id = fixture.id('martin')",
        "SELECT count(*) FROM app.availability_overrides WHERE practitioner_id = fixture.id('durand')",
    ),
    (
        "usage_export",
        "SELECT count(*) FROM app.exports WHERE requested_by = fixture.id('acme hr')",
        "SELECT count(*) FROM app.exports WHERE requested_by = fixture.id('globex admin')",
    ),
    (
        "privacy_request",
        "SELECT count(*) FROM app.privacy_requests WHERE id = fixture.id('copy for ' || fixture.id('alice'))",
        "SELECT count(*) FROM app.privacy_requests WHERE id = fixture.id('copy for ' || fixture.id('bob'))",
    ),
    (
        "consent",
        "SELECT count(*) FROM app.consents WHERE user_id = fixture.id('acme hr 2')",
        "SELECT count(*) FROM app.consents WHERE user_id = fixture.id('globex hr')",
    ),
];

/// What is given its end when it is made, by the rule of that moment.
const AT_ONCE: &[&str] =
    &["clinical_note", "unsent_file", "unfinished_upload", "usage_export_file", "privacy_export_file"];

/// What removes things, in the order of a night.
const JOBS: &[&str] = &[
    "audit_trail.verify",
    "jobs.purge",
    "jobs.purge_answers",
    "identity.purge_sessions",
    "notifications.purge",
    "waitlist.keep",
    "calls.keep",
    "privacy.remove_expired",
    "audit_trail.cut",
];

fn text_of(mail: &crate::support::smtp::Mail) -> &str {
    mail.text.as_deref().unwrap_or_default()
}

async fn night(app: &TestApp) {
    for kind in JOBS {
        sqlx::query("SELECT app.enqueue('maintenance', $1, ARRAY['{}'::jsonb], ARRAY[NULL::text], NULL, 8)")
            .bind(kind)
            .execute(app.db())
            .await
            .unwrap();
        let dead = app.settle_with_dead().await;
        let dead: Vec<_> = dead.iter().filter(|it| it.kind != "unknown").collect();
        assert!(dead.is_empty(), "{dead:?}");
    }
}

async fn durations(conn: &mut PgConnection, days: i32) {
    sqlx::query(
        "UPDATE app.retention_rules SET years = NULL, minutes = NULL,
             days = $1 * CASE WHEN record IN ('audit_entry', 'consultation', 'payroll') THEN 4 ELSE 1 END",
    )
    .bind(days)
    .execute(conn)
    .await
    .unwrap();
}

#[tokio::test]
async fn each_rule_is_what_a_job_goes_by() {
    let app = TestApp::start().await;
    let mut conn = PgConnection::connect_with(app.options()).await.unwrap();
    for sql in [include_str!("../sweeps/fixture.sql"), include_str!("rules.sql"), "RESET search_path"] {
        raw_sql(sql).execute(&mut conn).await.unwrap();
    }
    let count =
        async |sql: &'static str| -> i64 { sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(app.db()).await.unwrap() };
    let mut before = Vec::new();
    for (record, old, young) in RULES {
        let there = (count(old).await, count(young).await);
        assert!(there.0 > 0 && there.1 > 0, "{record}: {there:?}");
        before.push(there);
    }
    // longer than anything is old
    durations(&mut conn, 200).await;
    night(&app).await;
    for ((record, old, young), there) in RULES.iter().zip(&before) {
        assert_eq!((count(old).await, count(young).await), *there, "{record} went before its time");
    }
    durations(&mut conn, 100).await;
    night(&app).await;
    let mut wrong = Vec::new();
    for ((record, old, young), there) in RULES.iter().zip(&before) {
        let left = (count(old).await, count(young).await);
        if left != (0, there.1) {
            wrong.push(format!("{record}: {there:?} became {left:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    // who does not use their account was told of it, and nobody else
    assert_eq!(app.mails_to("carol@people.test").len(), 1);
    assert_eq!(app.mails_to("dave@people.test").len(), 0);

    let known: BTreeSet<String> =
        RULES.iter().map(|it| it.0).chain(AT_ONCE.iter().copied()).map(str::to_owned).collect();
    let rules: Vec<String> =
        sqlx::query_scalar("SELECT DISTINCT record FROM app.retention_rules").fetch_all(app.db()).await.unwrap();
    assert_eq!(rules.into_iter().collect::<BTreeSet<_>>(), known, "a rule that no test knows");
}

#[tokio::test]
async fn what_is_made_is_given_the_end_that_the_table_says() {
    let mut it = life().await;
    let until = async |app: &TestApp, sql: &'static str| -> i64 {
        sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(app.db()).await.unwrap()
    };
    sqlx::query(
        "UPDATE app.retention_rules r SET years = NULL, minutes = NULL, days = it.days
         FROM (VALUES ('unsent_file', 3), ('unfinished_upload', 5), ('usage_export_file', 9), ('privacy_export_file', 11),
                      ('clinical_note', 13)) AS it (record, days) WHERE it.record = r.record",
    )
    .execute(it.app.db())
    .await
    .unwrap();
    let form = Form::new().part("file", Part::bytes(pdf(90)).file_name("plan.pdf"));
    let brought = it.alice.request(Method::POST, &format!("/conversations/{}/attachments", it.session)).multipart(form);
    let file = Answer::of(brought).await.expect(201);
    let days = (instant(&file.str("/expiresAt")) - it.app.clock.now()).num_hours();
    assert!((71..=72).contains(&days), "{days}");
    assert_eq!(until(&it.app, "SELECT round(extract(epoch FROM expires_at - created_at) / 86400)::bigint FROM app.files WHERE purpose = 'attachment'").await, 3);
    // one that never ends
    sqlx::query(
        "CREATE FUNCTION app.keep_uploading() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$",
    )
    .execute(it.app.db())
    .await
    .unwrap();
    sqlx::query(
        "CREATE TRIGGER a_upload_waits BEFORE UPDATE ON app.files FOR EACH ROW EXECUTE FUNCTION app.keep_uploading()",
    )
    .execute(it.app.db())
    .await
    .unwrap();
    bring(&it.alice, pdf(10)).await;
    let left = until(
        &it.app,
        "SELECT round(extract(epoch FROM expires_at - created_at) / 86400)::bigint FROM app.files WHERE state = 'uploading'",
    );
    assert_eq!(left.await, 5);
    sqlx::query("DROP TRIGGER a_upload_waits ON app.files").execute(it.app.db()).await.unwrap();

    let month = it.app.clock.now().format("%Y-%m").to_string();
    let activity = json!({"kind": "practitioner_activity", "from": month, "to": month});
    it.dr.post("/exports", activity).await.expect(202);
    it.alice.post("/privacy/exports", json!({})).await.expect(202);
    it.app.settle().await;
    let made = "SELECT round(extract(epoch FROM expires_at - finished_at) / 86400)::bigint FROM app.exports WHERE status = 'ready'";
    assert_eq!(until(&it.app, made).await, 9);
    let made = "SELECT round(extract(epoch FROM expires_at - finished_at) / 86400)::bigint FROM app.privacy_requests WHERE status = 'ready'";
    assert_eq!(until(&it.app, made).await, 11);
    it.days_later(12).await;
    for kind in ["files.collect", "exports.sweep", "privacy.collect_copies"] {
        sqlx::query("SELECT app.enqueue('maintenance', $1, ARRAY['{}'::jsonb], ARRAY[NULL::text], NULL, 8)")
            .bind(kind)
            .execute(it.app.db())
            .await
            .unwrap();
    }
    it.app.settle().await;
    assert_eq!(
        until(&it.app, "SELECT count(*) FROM app.files WHERE purpose = 'attachment' OR state = 'uploading'").await,
        0
    );
    assert_eq!(until(&it.app, "SELECT count(*) FROM app.exports WHERE file_key IS NOT NULL").await, 0);
    assert_eq!(until(&it.app, "SELECT count(*) FROM app.privacy_requests WHERE object_key IS NOT NULL").await, 0);
}

/// Nobody is erased who comes back.
#[tokio::test]
async fn an_account_that_nobody_uses_is_erased_unless_its_person_comes_back() {
    let mut it = life().await;
    it.days_later(365 * 3 + 5).await;
    // both come in again; alice's colleague does not
    let bob = it.app.employee(&it.company).await;
    sqlx::query("UPDATE app.account_uses SET used_on = used_on - 1200 WHERE user_id IN ($1, $2)")
        .bind(bob.id)
        .bind(it.alice.id)
        .execute(it.app.db())
        .await
        .unwrap();
    it.app.enqueue(&huntzen::domain::privacy::RemoveExpired {}).await;
    it.app.settle().await;
    for person in [&bob, &it.alice] {
        let mails = it.app.mails_to(&person.email);
        let told = mails.last().unwrap();
        assert!(text_of(told).contains("log in once before then"), "{}", text_of(told));
    }
    assert_eq!(it.app.mails_to(&it.dr.email).iter().filter(|mail| text_of(mail).contains("log in once")).count(), 0);
    // asked once
    it.days_later(2).await;
    it.app.enqueue(&huntzen::domain::privacy::RemoveExpired {}).await;
    it.app.settle().await;
    assert_eq!(
        it.app
            .count("SELECT count(*) FROM app.privacy_requests WHERE kind = 'erasure' AND asked_by = 'platform'")
            .await,
        2
    );
    // days_later signed alice in
    let hers = it.alice.get("/privacy/erasure").await.expect(200);
    assert_eq!((hers.str("/status"), hers.str("/askedBy")), ("withdrawn".into(), "platform".into()));
    it.days_later(35).await;
    sweep(&it.app).await;
    let erased: Vec<Uuid> = sqlx::query_scalar("SELECT id FROM app.users WHERE erased_at IS NOT NULL")
        .fetch_all(it.app.db())
        .await
        .unwrap();
    assert_eq!(erased, [bob.id.0]);
    let receipt = it.app.mails_to(&bob.email);
    assert!(text_of(receipt.last().unwrap()).contains("not used any more"), "{:?}", receipt.last());
    assert_eq!(it.alice.get("/journal").await.expect(200).json["items"].as_array().unwrap().len(), 1);
}

/// What HR sees of somebody whose entry is over its time does not tell whether they had an account.
#[tokio::test]
async fn an_entry_of_somebody_who_left_long_ago_is_nobodys_and_shown_to_nobody() {
    let it = life().await;
    let silent = it.app.person(Role::Employee, Some(it.company.id)).await;
    let entries: Vec<Uuid> = sqlx::query_scalar(
        "UPDATE app.employees e SET status = 'left', left_at = now() - interval '6 years' FROM app.users u
         WHERE u.employee_id = e.id AND u.id IN ($1, $2) RETURNING e.id",
    )
    .bind(it.alice.id)
    .bind(silent.id)
    .fetch_all(it.app.db())
    .await
    .unwrap();
    // one of them never had an account
    sqlx::query("UPDATE app.users SET employee_id = NULL, status = 'suspended', removed_at = now(), erased_at = now(), password_hash = NULL WHERE id = $1")
        .bind(silent.id)
        .execute(it.app.db())
        .await
        .unwrap();
    for entry in &entries {
        it.company.hr.get(&format!("/employees/{entry}")).await.expect(200);
    }
    it.app.enqueue(&huntzen::domain::privacy::RemoveExpired {}).await;
    it.app.settle().await;
    for entry in &entries {
        it.company.hr.get(&format!("/employees/{entry}")).await.refused(404, "not_found");
    }
    assert_eq!(
        it.app.count("SELECT count(*) FROM app.employees WHERE status = 'left' AND (email NOT LIKE 'left-%@left.invalid' OR last_name <> '–')").await,
        0
    );
    // and alice has her account
    it.alice.get("/journal").await.expect(200);
}
