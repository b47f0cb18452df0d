//! No table is forgotten: what a copy holds, how long rows are kept.

use std::collections::BTreeSet;

use super::*;

/// Of which tables the sections of a copy are made.
const EXPORTED: &[(&str, &[&str])] = &[
    ("account", &["users", "companies"]),
    ("directory_entry", &["employees", "departments"]),
    ("practitioner", &["practitioners", "practitioner_specialties"]),
    ("availability", &["availability_rules", "availability_overrides"]),
    ("calendars", &["external_calendars", "calendar_feeds"]),
    ("consents", &["consents"]),
    ("consultations", &["consultations", "conversations"]),
    ("consultation_reasons", &["consultation_reasons"]),
    ("consultation_events", &["consultation_events"]),
    ("calls", &["call_sessions"]),
    ("messages", &["messages"]),
    ("journal", &["journal_entries"]),
    ("journal_keys", &["journal_keys"]),
    ("waitlist", &["waitlist_entries", "waitlist_offers"]),
    ("reviews", &["reviews", "published_reviews"]),
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
    ("files", &["files"]),
];

/// Tables with people in them of which a copy holds nothing, and why.
const LEFT_OUT: &[(&str, &str)] = &[
    ("clinical_notes", "records of care, which their author answers for and gives access to"),
    ("clinical_note_versions", "as the notes"),
    ("encryption_keys", "keys; what they open is in the copy"),
    ("message_receipts", "how far each of the two has read: of no use without the program"),
    ("unread_conversations", "what a job has to tell, for hours"),
    ("call_parties", "the devices of a call; the call itself is in the copy"),
    ("call_signals", "network addresses, for two minutes"),
    ("idempotency_keys", "answers that are sealed under the request itself, for a day"),
    ("waitlist_holds", "whose time was freed, for the line alone"),
    ("external_busy_times", "read from the calendar that its owner has"),
    ("company_networks", "what a company chose"),
    ("articles", "published under the platform's name, and drafts that their author has in the program"),
    ("practitioner_rates", "what a practitioner finds in the report of their activity"),
    ("payroll_lines", "as the rates: accounts of what was paid"),
    ("payroll_sessions", "as the rates; the file of their activity has them"),
    ("erasure_ledger", "of those who are gone"),
];

/// Tables whose rows no duration ends, and why.
const ENDLESS: &[(&str, &str)] = &[
    ("users", "until their person has them erased"),
    ("companies", "the platform's customers"),
    ("company_settings", "of a company"),
    ("company_networks", "of a company"),
    ("departments", "of a company's directory"),
    ("employees", "the employer's directory, for the employer to decide"),
    ("reporting_thresholds", "what closed months were judged by"),
    ("practitioners", "until their account is erased"),
    ("practitioner_specialties", "of a profile"),
    ("search_words", "words of profiles, without whose they are; gone with the last profile that holds them"),
    ("availability_rules", "the hours in force"),
    ("external_calendars", "until their owner removes them"),
    ("external_busy_times", "replaced with each reading"),
    ("calendar_feeds", "until their owner removes them"),
    ("consultations", "facts for accounting, nobody's once the account is erased"),
    ("consultation_events", "as consultations"),
    ("call_sessions", "facts about a consultation"),
    ("call_parties", "as calls"),
    ("call_signals", "two minutes, by policies/calls.sql"),
    ("conversations", "that there was one: as consultations"),
    ("encryption_keys", "what is left of a destroyed key is its number"),
    ("journal_entries", "until their person deletes them, or is erased"),
    ("journal_keys", "as the journal"),
    ("files", "until their person deletes them, or is erased; what is unsent expires"),
    ("notification_preferences", "until their person changes them, or is erased"),
    ("two_factor", "until their person disables it, or is erased"),
    ("recovery_codes", "as the second factor"),
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
    ("reviews", "until their author takes them back, or is erased"),
    ("published_reviews", "as reviews"),
    ("news", "announcements, until who wrote them deletes them"),
    ("platform_news", "as news"),
    ("platform_news_companies", "as news"),
    ("news_reads", "as news; gone with the account"),
    ("usage_months", "published counters, which never change"),
    ("usage_cells", "as the months"),
    ("practitioner_rates", "accounting"),
    ("payroll_months", "accounting"),
    ("payroll_lines", "accounting"),
    ("payroll_sessions", "accounting"),
    ("feature_flags", "of a company"),
    ("maintenance", "whether the platform is closed for work"),
    ("master_keys", "which keys there are, without them"),
];

#[tokio::test]
async fn every_table_with_people_in_it_is_in_their_copy_or_left_out_for_a_reason() {
    let app = TestApp::start().await;
    // rows that name an account, or an entry of a directory
    let with_people: BTreeSet<String> = sqlx::query_scalar(
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
    .collect();
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
    // the durations are what the functions go by: each is named in one
    let rules: Vec<String> =
        sqlx::query_scalar("SELECT DISTINCT record FROM app.retention_rules").fetch_all(app.db()).await.unwrap();
    let sources = ["policies", "src"].map(sources_below).concat();
    for rule in rules {
        assert!(
            sources.contains(&format!("'{rule}'")) || sources.contains(&format!("\"{rule}\"")),
            "nothing goes by {rule}"
        );
    }
}

fn sources_below(folder: &str) -> String {
    fn walk(folder: &std::path::Path, all: &mut String) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, all);
            } else if path.extension().is_some_and(|it| it == "sql" || it == "rs") {
                all.push_str(&std::fs::read_to_string(&path).unwrap());
            }
        }
    }
    let mut all = String::new();
    walk(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut all);
    all
}
