//! No table is forgotten: what a copy holds, how long rows are kept.

use std::collections::BTreeSet;

use super::*;

/// Of which tables the sections of a copy are made.
const EXPORTED: &[(&str, &[&str])] = &[
    ("account", &["users", "account_uses", "companies"]),
    ("directory_entry", &["employees", "departments"]),
    ("practitioner", &["practitioners", "practitioner_specialties"]),
    ("availability", &["availability_rules", "availability_overrides"]),
    ("calendars", &["external_calendars", "calendar_feeds", "external_busy_times"]),
    ("rates", &["practitioner_rates"]),
    ("payroll", &["payroll_lines", "payroll_sessions"]),
    ("articles", &["articles", "article_translations"]),
    ("reviews_received", &["published_reviews"]),
    ("consents", &["consents"]),
    ("consultations", &["consultations", "conversations"]),
    ("consultation_reasons", &["consultation_reasons"]),
    ("consultation_events", &["consultation_events"]),
    ("calls", &["call_sessions", "call_parties"]),
    ("message_receipts", &["message_receipts", "unread_conversations"]),
    ("messages", &["messages"]),
    ("journal", &["journal_entries"]),
    ("journal_keys", &["journal_keys"]),
    ("waitlist", &["waitlist_entries", "waitlist_offers"]),
    ("reviews", &["reviews"]),
    ("news_reads", &["news_reads"]),
    ("sessions", &["user_sessions"]),
    ("known_devices", &["known_devices"]),
    ("second_factor", &["two_factor", "recovery_codes"]),
    ("mailed_links", &["one_time_tokens"]),
    ("notifications", &["notifications"]),
    ("notification_preferences", &["notification_preferences"]),
    ("mails", &["email_log"]),
    ("privacy_requests", &["privacy_requests"]),
    ("usage_exports", &["exports"]),
    ("access_log", &["audit_logs"]),
    ("own_actions", &["audit_logs"]),
    ("file_records", &["files"]),
    ("files", &["files"]),
];

/// Tables with people in them of which a copy holds nothing, and why.
const LEFT_OUT: &[(&str, &str)] = &[
    ("clinical_notes", "records of care, which their author answers for and gives access to"),
    ("clinical_note_versions", "as the notes"),
    ("encryption_keys", "keys; what they open is in the copy"),
    ("call_signals", "network addresses, for two minutes"),
    ("idempotency_keys", "answers that are sealed under the request itself, for a day"),
    ("waitlist_holds", "whose time was freed, for the line alone"),
    ("company_networks", "what a company chose, whom practitioners know by their sessions alone (product.md, Roles)"),
    ("erasure_ledger", "of those who are gone"),
];

/// Tables whose rows no duration ends, and why: nothing in them is about a person, but where the specification says so.
const ENDLESS: &[(&str, &str)] = &[
    ("companies", "the platform's customers"),
    ("company_settings", "of a company"),
    ("company_networks", "of a company"),
    ("departments", "of a company's directory"),
    ("reporting_thresholds", "what closed months were judged by"),
    ("search_words", "words of profiles, without whose they are; gone with the last profile that holds them"),
    ("audit_chain", "hashes, which prove the log"),
    ("audit_heads", "hashes"),
    ("audit_cuts", "how far the log was cut"),
    ("audit_verifications", "what was last found of each chain"),
    ("audit_acknowledgements", "what an operator decided about the log"),
    ("articles", "published by the platform"),
    ("article_translations", "as articles"),
    ("signing_keys", "keys of tokens, by their own rules"),
    ("withdrawn_signing_keys", "so that they stay out of use"),
    ("usage_refreshes", "when counters were counted"),
    ("retention_rules", "the durations themselves"),
    ("erasure_ledger", "needed as long as any backup"),
    ("article_slugs", "as articles"),
    ("news", "announcements, until who wrote them deletes them"),
    ("platform_news", "as news"),
    ("platform_news_companies", "as news"),
    ("usage_months", "published counters, which never change"),
    ("usage_cells", "as the months"),
    ("payroll_months", "accounting"),
    ("feature_flags", "of a company"),
    ("maintenance", "whether the platform is closed for work"),
    ("master_keys", "which keys there are, without them"),
];

#[tokio::test]
async fn every_table_with_people_in_it_is_in_their_copy_or_left_out_for_a_reason() {
    let app = TestApp::start().await;
    let with_people = people(&app).await;
    let exported: BTreeSet<String> = EXPORTED.iter().flat_map(|it| it.1).map(|it| (*it).to_owned()).collect();
    let left_out: BTreeSet<String> = LEFT_OUT.iter().map(|it| it.0.to_owned()).collect();
    let forgotten: Vec<_> =
        with_people.iter().filter(|it| !exported.contains(*it) && !left_out.contains(*it)).collect();
    assert!(
        forgotten.is_empty(),
        "{forgotten:?}: put it into app.own_data and SECTIONS, or on the list of what is left out, with the reason"
    );
    let both: Vec<_> = exported.intersection(&left_out).collect();
    assert!(both.is_empty(), "{both:?}");
    assert!(with_people.len() > 40, "{with_people:?}");
    // each section of the program is on the list, and reads something
    let sections: BTreeSet<&str> =
        huntzen::domain::privacy::SECTIONS.iter().map(|it| it.name).chain(["own_actions", "files"]).collect();
    let listed: BTreeSet<&str> = EXPORTED.iter().map(|it| it.0).collect();
    assert_eq!(sections, listed);
    println!(
        "{} tables with people in them: {} in a copy, {} left out",
        with_people.len(),
        exported.len(),
        left_out.len()
    );
}

#[tokio::test]
async fn every_table_has_a_duration_or_a_reason_for_none() {
    let app = TestApp::start().await;
    let tables: BTreeSet<String> = sqlx::query_scalar(
        "SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname = 'app' AND c.relkind IN ('r', 'p')",
    )
    .fetch_all(app.db())
    .await
    .unwrap()
    .into_iter()
    .collect();
    let timed: BTreeSet<String> = sqlx::query_scalar("SELECT DISTINCT unnest(relations) FROM app.retention_rules")
        .fetch_all(app.db())
        .await
        .unwrap()
        .into_iter()
        .collect();
    let endless: BTreeSet<String> = ENDLESS.iter().map(|it| it.0.to_owned()).collect();
    let forgotten: Vec<_> = tables.iter().filter(|it| !timed.contains(*it) && !endless.contains(*it)).collect();
    assert!(forgotten.is_empty(), "{forgotten:?}: give it a row in app.retention_rules, or a reason here");
    let both: Vec<_> = timed.intersection(&endless).collect();
    assert!(both.is_empty(), "{both:?} has a duration and a reason for none");
    let unknown: Vec<_> = timed.iter().filter(|it| !tables.contains(*it)).collect();
    assert!(unknown.is_empty(), "{unknown:?} is no table");
    // what names an account, or an entry of a directory, has an end: what has none is not about the person
    let of_people: Vec<_> = people(&app).await.into_iter().filter(|it| endless.contains(it)).collect();
    assert_eq!(of_people, OTHERWISE);
}

/// Rows that name a person and have no end of their own: which practitioners a company chose, whose words an article is, and
/// the ledger, which is replayed for as long as there is a backup (security.md 2).
const OTHERWISE: [&str; 3] = ["articles", "company_networks", "erasure_ledger"];

/// Tables with rows that name an account, or an entry of a directory.
async fn people(app: &TestApp) -> BTreeSet<String> {
    sqlx::query_scalar(
        "SELECT DISTINCT c.relname::text FROM pg_class c
         JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'app' JOIN pg_attribute a ON a.attrelid = c.oid
         WHERE c.relkind = 'r' AND NOT a.attisdropped
           AND (c.relname IN ('users', 'employees', 'practitioners')
                OR a.attname IN ('user_id', 'person_id', 'practitioner_id', 'employee_id', 'owner_id', 'sender_id', 'reader_id',
                                 'addressee_id', 'requested_by', 'actor_id', 'recipient_user_id', 'author_id', 'keeper_id', 'had_by')
                OR EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'f'
                             AND k.confrelid IN ('app.users'::regclass, 'app.employees'::regclass, 'app.practitioners'::regclass)))",
    )
    .fetch_all(app.db())
    .await
    .unwrap()
    .into_iter()
    .collect()
}
