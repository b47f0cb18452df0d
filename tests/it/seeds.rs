//! The demonstration and the load: whole, repeatable, and within the rules of the program.

use huntzen::platform::config::{Config, Environment};
use huntzen::seed::{self, SeedError, Seeded};
use serde_json::json;
use sqlx::postgres::PgConnectOptions;

use crate::support::TestApp;

/// The database that the test's application runs on, as its superuser.
fn owner(app: &TestApp) -> PgConnectOptions {
    (*app.db().connect_options()).clone()
}

async fn seed_demo(app: &TestApp) -> Seeded {
    seed::demo(&owner(app), &app.platform.config, &app.clock).await.unwrap()
}

/// Every row of the tables that seeding fills.
async fn content(app: &TestApp) -> Vec<(String, String)> {
    let mut content = Vec::new();
    for table in [
        "companies",
        "employees",
        "users",
        "practitioners",
        "availability_rules",
        "consultations",
        "consultation_events",
    ] {
        // the times of writing are the database's own
        let sql = format!(
            "SELECT md5(string_agg(row, ',' ORDER BY row))
             FROM (SELECT (to_jsonb(t) - 'updated_at')::text AS row FROM app.{table} t) it"
        );
        let sum: String = sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(app.db()).await.unwrap();
        content.push((table.to_owned(), sum));
    }
    content
}

#[tokio::test]
async fn the_demonstration_is_what_it_is_said_to_be() {
    let app = TestApp::start().await;
    assert_eq!(seed_demo(&app).await, Seeded::Now);

    assert_eq!(app.count("SELECT count(*) FROM app.companies").await, 2);
    assert_eq!(app.count("SELECT min(n) FROM (SELECT count(*) n FROM app.employees GROUP BY company_id) it").await, 30);
    assert_eq!(app.count("SELECT max(n) FROM (SELECT count(*) n FROM app.employees GROUP BY company_id) it").await, 30);
    assert_eq!(
        app.count("SELECT min(n) FROM (SELECT count(*) n FROM app.departments GROUP BY company_id) it").await,
        4
    );
    assert_eq!(app.count("SELECT count(*) FROM app.practitioners WHERE status = 'active'").await, 12);
    // one waits for the platform, with everything that is to be looked at
    assert_eq!(
        app.count("SELECT count(*) FROM app.practitioners WHERE status = 'unverified' AND rpps IS NOT NULL").await,
        1
    );
    assert_eq!(app.count("SELECT count(DISTINCT time_zone) FROM app.practitioners").await, 2);
    assert_eq!(app.count("SELECT count(DISTINCT status) FROM app.consultations").await, 6);
    let months = "SELECT count(DISTINCT (company_id, to_char(starts_at, 'YYYY-MM'))) FROM app.consultations WHERE status = 'completed'";
    assert!(app.count(months).await >= 24);
    // a year is published, for HR as for payroll, and something of it may be shown
    assert!(app.count("SELECT count(*) FROM app.usage_months").await >= 22);
    assert!(app.count("SELECT count(*) FROM app.usage_cells WHERE dimensions = 'total' AND sessions > 0").await > 0);
    assert!(app.count("SELECT count(DISTINCT month) FROM app.payroll_lines WHERE amount > 0").await >= 11);
    let practitioners_of_both = "SELECT count(*) FROM app.practitioners p WHERE 2 =
        (SELECT count(DISTINCT company_id) FROM app.consultations c WHERE c.practitioner_id = p.id)";
    assert!(app.count(practitioners_of_both).await >= 2);

    for (email, _) in seed::DEMO_ACCOUNTS {
        let credentials = json!({"email": email, "password": "demo-huntzen-2026"});
        app.anonymous().post("/auth/login", credentials).await.expect(200);
    }
}

#[tokio::test]
async fn alice_of_the_demonstration_has_something_to_read_from_her_practitioners() {
    let app = TestApp::start().await;
    seed_demo(&app).await;
    let credentials = json!({"email": "alice@acme.test", "password": "demo-huntzen-2026"});
    let token = app.anonymous().post("/auth/login", credentials).await.expect(200).str("/accessToken");
    let alice = app.anonymous().with_token(token);
    let talks = alice.get("/conversations").await.expect(200);
    assert_eq!((&talks.json["items"][0]["lastSeq"], &talks.json["items"][0]["unread"]), (&json!(4), &json!(2)));
    let read = alice.get(&format!("/conversations/{}/messages", talks.str("/items/0/id"))).await.expect(200);
    assert_eq!(read.str("/items/1/body"), "Bonjour, bien sûr. Je vous lis ici.");
    assert!(read.json["items"].as_array().unwrap().iter().all(|it| it["content"] == "text"));
}

#[tokio::test]
async fn alice_and_dr_martin_of_the_demonstration_find_what_they_were_told() {
    use huntzen::domain::notifications::messages::TellUnread;

    let app = TestApp::start().await;
    seed_demo(&app).await;
    // what the schedule does soon after the start
    app.enqueue(&TellUnread {}).await;
    app.settle().await;
    assert!(app.mails().is_empty());
    for (email, kinds) in [
        ("alice@acme.test", &["consultation_booked", "waitlist_offered", "message_received"][..]),
        ("dr.martin@huntzen.test", &["consultation_booked", "reminder_day"]),
    ] {
        let credentials = json!({"email": email, "password": "demo-huntzen-2026"});
        let token = app.anonymous().post("/auth/login", credentials).await.expect(200).str("/accessToken");
        let list = app.anonymous().with_token(token).get("/notifications?limit=100").await.expect(200);
        let items = list.json["items"].as_array().unwrap();
        for kind in kinds {
            let it = items
                .iter()
                .find(|it| it["kind"] == *kind)
                .unwrap_or_else(|| panic!("no {kind} for {email}: {items:?}"));
            assert!(it["text"].as_str().unwrap().contains("202"), "when it is: {it}");
        }
        assert!(items.iter().any(|it| it.get("readAt").is_some()), "{email}");
    }
}

#[tokio::test]
async fn dr_martin_of_the_demonstration_has_notes_and_alice_a_journal() {
    let app = TestApp::start().await;
    seed_demo(&app).await;
    let log_in = async |email: &str| {
        let credentials = json!({"email": email, "password": "demo-huntzen-2026"});
        let token = app.anonymous().post("/auth/login", credentials).await.expect(200).str("/accessToken");
        app.anonymous().with_token(token)
    };
    let (alice, martin) = (log_in("alice@acme.test").await, log_in("dr.martin@huntzen.test").await);
    let entries = alice.get("/journal?limit=100").await.expect(200);
    assert_eq!(entries.json["items"].as_array().unwrap().len(), 14);
    assert_eq!(alice.get("/journal?tag=family").await.expect(200).json["items"].as_array().unwrap().len(), 2);
    assert!(alice.get("/journal/trend").await.expect(200).json["items"].as_array().unwrap().len() > 8);
    let ids: Vec<uuid::Uuid> =
        sqlx::query_scalar("SELECT id FROM app.clinical_notes ORDER BY status").fetch_all(app.db()).await.unwrap();
    let [draft, done] = ids[..] else { panic!("{ids:?}") };
    let (draft, done) = (format!("/notes/{draft}"), format!("/notes/{done}"));
    let read = martin.get(&done).await.expect(200);
    assert_eq!((&read.json["status"], &read.json["format"]), (&json!("finalized"), &json!("soap")));
    assert_eq!(read.str("/addenda/0/body"), "Par téléphone : dort mieux.");
    let versions = martin.get(&format!("{draft}/versions")).await.expect(200);
    assert_eq!(versions.json["items"].as_array().unwrap().len(), 2);
    assert_eq!(versions.str("/items/1/body"), "Première séance.");
}

#[tokio::test]
async fn the_audit_log_of_the_demonstration_is_whole_and_tells_alice_who_opened_her_data() {
    use huntzen::domain::audit_trail::verify;

    let app = TestApp::start().await;
    seed_demo(&app).await;
    let mut links = 0;
    for (chain, _) in verify::chains(&app.platform).await.unwrap() {
        let found =
            verify::verify(&app.platform, chain, None, Vec::new(), |finding| panic!("{finding:?}")).await.unwrap();
        assert!(found.links > 10, "{chain:?}");
        links += found.links;
    }
    assert_eq!(app.count("SELECT count(*) FROM app.audit_logs").await, i64::try_from(links).unwrap());
    let credentials = json!({"email": "alice@acme.test", "password": "demo-huntzen-2026"});
    let token = app.anonymous().post("/auth/login", credentials).await.expect(200).str("/accessToken");
    let seen = app.anonymous().with_token(token).get("/privacy/access-log?limit=100").await.expect(200);
    for action in ["employee.read", "employee.updated", "employee.imported"] {
        assert!(seen.text().contains(action), "{action} in {}", seen.json);
    }
}

#[tokio::test]
async fn the_demonstration_keeps_the_rules_of_the_program() {
    let app = TestApp::start().await;
    seed_demo(&app).await;
    let offenders = [
        // in the practitioner's hours, on the half hours that slots begin on; what goes on now may be outside
        "SELECT count(*) FROM app.consultations c JOIN app.practitioners p ON p.id = c.practitioner_id
         WHERE c.status <> 'in_progress' AND NOT EXISTS (
             SELECT FROM app.availability_rules r,
                 LATERAL (SELECT c.starts_at AT TIME ZONE p.time_zone AS at) local,
                 LATERAL (SELECT extract(epoch FROM local.at::time) / 60 AS minute) it
             WHERE r.practitioner_id = p.id AND r.weekday = extract(isodow FROM local.at)
               AND it.minute >= r.starts_minute AND (it.minute - r.starts_minute) % 30 = 0
               AND it.minute + extract(epoch FROM c.ends_at - c.starts_at) / 60 <= r.ends_minute)",
        "SELECT count(*) FROM app.consultations c JOIN app.practitioners p ON p.id = c.practitioner_id
         WHERE NOT (c.mode = ANY (p.modes) AND extract(epoch FROM c.ends_at - c.starts_at) / 60 = ANY (p.session_lengths))",
        "SELECT count(*) FROM app.consultations WHERE status = 'completed' AND duration_minutes NOT BETWEEN 15 AND 60
            OR status = 'completed' AND duration_minutes IS NULL",
        "SELECT count(*) FROM app.consultations WHERE status IN ('pending', 'confirmed') AND starts_at <= now()",
        "SELECT count(*) FROM app.consultations WHERE status IN ('completed', 'no_show') AND ends_at >= now()",
        "SELECT count(*) FROM app.consultations WHERE created_at >= least(starts_at, now()) OR cancelled_at > now()",
        "SELECT count(*) FROM app.consultations c WHERE c.status = 'completed' AND 2 <>
            (SELECT count(*) FROM app.consultation_events e WHERE e.consultation_id = c.id AND kind IN ('STARTED', 'ENDED'))",
        "SELECT count(*) FROM app.consultation_events WHERE at > now()",
        "SELECT count(*) FROM app.consultations c JOIN app.users u ON u.id = c.user_id
         JOIN app.employees e ON e.id = u.employee_id WHERE e.status = 'left'",
        // nobody has more sessions than the contract grants
        "SELECT count(*) FROM app.companies k WHERE k.sessions_per_employee < ANY (
             SELECT count(*) FROM app.consultations c,
                 LATERAL app.contract_year(k.contract_starts_on, (c.starts_at AT TIME ZONE k.time_zone)::date) y
             WHERE c.company_id = k.id AND c.counts GROUP BY c.user_id, y.starts_on)",
        "SELECT count(*) FROM app.consultations
         WHERE counts AND status = 'cancelled' AND (cancelled_by <> 'employee' OR cancelled_at <= starts_at - interval '24 hours')",
    ];
    for sql in offenders {
        assert_eq!(app.count(sql).await, 0, "{sql}");
    }
}

#[tokio::test]
async fn seeding_twice_changes_nothing_and_two_databases_get_the_same() {
    let (app, other) = (TestApp::start().await, TestApp::start().await);
    assert_eq!(seed_demo(&app).await, Seeded::Now);
    let first = content(&app).await;
    assert_eq!(seed_demo(&app).await, Seeded::Before);
    assert_eq!(content(&app).await, first);

    // at one moment; the clocks of two applications differ
    let at = &app.clock;
    seed::demo(&owner(&other), &other.platform.config, at).await.unwrap();
    let ids = "SELECT md5(string_agg(id::text || status || mode, ',' ORDER BY id)) FROM app.consultations";
    let mut sums = Vec::new();
    for app in [&app, &other] {
        sums.push(sqlx::query_scalar::<_, String>(ids).fetch_one(app.db()).await.unwrap());
    }
    assert_eq!(sums[0], sums[1]);
}

#[tokio::test]
async fn the_load_is_as_large_as_asked_and_its_people_can_log_in() {
    let app = TestApp::start().await;
    let load = || async { seed::scale(&owner(&app), &app.platform.config, &app.clock, 3).await.unwrap() };
    assert_eq!(load().await, Seeded::Now);
    assert_eq!(load().await, Seeded::Before);

    assert_eq!(app.count("SELECT count(*) FROM app.companies").await, 3);
    assert_eq!(app.count("SELECT count(*) FROM app.users WHERE role = 'employee'").await, 300);
    assert_eq!(app.count("SELECT count(*) FROM app.consultations").await, 3000);
    assert!(app.count("SELECT count(*) FROM app.consultation_events").await > 8400);
    // its foreign keys were not checked row by row
    let strangers = "SELECT count(*) FROM app.consultations c
        LEFT JOIN app.users u ON (u.company_id, u.id) = (c.company_id, c.user_id)
        LEFT JOIN app.practitioners p ON p.id = c.practitioner_id
        LEFT JOIN app.departments d ON (d.company_id, d.id) = (c.company_id, c.department_id)
        WHERE u.id IS NULL OR p.id IS NULL OR d.id IS NULL";
    assert_eq!(app.count(strangers).await, 0);
    let unpaid = "SELECT count(*) FROM app.practitioners p
        WHERE NOT EXISTS (SELECT FROM app.practitioner_rates r WHERE r.practitioner_id = p.id AND r.since = '-infinity')";
    assert_eq!(app.count(unpaid).await, 0);
    let miscounted = "SELECT count(*) FROM app.consultations WHERE counts = (status = 'cancelled')";
    assert_eq!(app.count(miscounted).await, 0);
    let overlaps = "SELECT count(*) FROM app.consultations a JOIN app.consultations b
        ON a.id < b.id AND a.starts_at = b.starts_at
        AND (a.practitioner_id = b.practitioner_id OR a.user_id = b.user_id)";
    assert_eq!(app.count(overlaps).await, 0);

    let credentials = json!({"email": "employee-139@bench.test", "password": "demo-huntzen-2026"});
    app.anonymous().post("/auth/login", credentials).await.expect(200);
}

#[tokio::test]
async fn production_is_never_seeded() {
    let app = TestApp::start().await;
    let config = Config { app_env: Environment::Production, ..(*app.platform.config).clone() };
    let refused = seed::demo(&owner(&app), &config, &app.clock).await;
    assert!(matches!(refused, Err(SeedError::Production)));
    let refused = seed::scale(&owner(&app), &config, &app.clock, 1).await;
    assert!(matches!(refused, Err(SeedError::Production)));
    assert_eq!(app.count("SELECT count(*) FROM app.users").await, 0);
}
