//! What people ask and what the clock does, on data of some size, as the roles that do it: nothing reads a table that grows
//! from one end to the other. PostgreSQL itself counts such readings, whatever function they are in.

use chrono::Days;
use huntzen::platform::auth::Role;
use huntzen::platform::db::DbRole;
use huntzen::platform::ids::{CompanyId, UserId};
use huntzen::seed;
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection};
use uuid::Uuid;

use crate::consultations::instant;
use crate::support::{TestApp, User};

/// Twenty companies: 20,000 consultations with 60,000 events.
const COMPANIES: u32 = 20;
/// The number of an employee with 25 sessions.
const ALICE: u32 = 205;
const GROW: [&str; 4] = ["consultations", "consultation_events", "consultation_reasons", "audit_logs"];

fn id(kind: u8, n: u32) -> Uuid {
    format!("01941f29-7c{kind:02}-7000-8000-{n:012}").parse().unwrap()
}

async fn seeded() -> TestApp {
    let app = TestApp::start().await;
    seed::scale(app.options(), &app.platform.config, &app.clock, COMPANIES).await.unwrap();
    // of the two people who ask below, nothing is said
    sqlx::query(
        "INSERT INTO app.consultation_reasons (company_id, consultation_id, about, sealed, written_by, written_at)
         SELECT company_id, id, 'booking', '\\x00', 'employee', created_at FROM app.consultations WHERE user_id <> $1",
    )
    .bind(id(3, ALICE))
    .execute(app.db())
    .await
    .unwrap();
    // planned as for a network of 500, of whom ten are here
    sqlx::raw_sql(
        "ALTER TABLE app.consultations ALTER COLUMN practitioner_id SET (n_distinct = 500);
         ANALYZE app.consultations, app.consultation_reasons",
    )
    .execute(app.db())
    .await
    .unwrap();
    app
}

/// What the clock has to do: a few of each kind among many that are not due.
async fn make_due(app: &TestApp) {
    let mut conn = app.db().acquire().await.unwrap();
    sqlx::raw_sql(
        "SET session_replication_role = replica;
         CREATE TEMP TABLE picked AS SELECT id, row_number() OVER (ORDER BY id DESC) AS nth FROM app.consultations
             WHERE status = 'confirmed' ORDER BY id DESC LIMIT 40;
         UPDATE app.consultations c SET status = 'pending', agreed_at = NULL, expires_at = now() - interval '1 minute'
             FROM picked s WHERE s.id = c.id AND s.nth <= 10;
         UPDATE app.consultations c SET status = 'in_progress', started_at = now() - interval '3 hours',
                starts_at = now() - interval '3 hours', ends_at = now() - interval '2 hours',
                busy_from = now() - interval '3 hours', busy_until = now() - interval '2 hours'
             FROM picked s WHERE s.id = c.id AND s.nth BETWEEN 11 AND 20;
         UPDATE app.consultations c SET starts_at = now() - interval '27 hours', ends_at = now() - interval '26 hours',
                busy_from = now() - interval '27 hours', busy_until = now() - interval '26 hours'
             FROM picked s WHERE s.id = c.id AND s.nth BETWEEN 21 AND 30;
         UPDATE app.consultations c SET starts_at = now() + interval '30 minutes', ends_at = now() + interval '1 hour',
                busy_from = now() + interval '30 minutes', busy_until = now() + interval '1 hour',
                agreed_at = now() - interval '9 days'
             FROM picked s WHERE s.id = c.id AND s.nth > 30;
         RESET session_replication_role;
         ANALYZE app.consultations",
    )
    .execute(&mut *conn)
    .await
    .unwrap();
}

/// What a statement did.
#[derive(Debug, PartialEq, Eq)]
struct Work {
    answered: usize,
    /// Tables that it read from one end to the other.
    scanned: Vec<String>,
    /// Consultations that it looked at through indexes.
    looked_at: i64,
}

impl Work {
    /// Few rows of the many that there are, found by indexes that fit.
    fn is_little(&self) -> bool {
        self.scanned.is_empty() && self.looked_at < 250
    }
}

/// Runs a statement in a transaction of the worker about a company.
async fn worker(app: &TestApp, company: Option<Uuid>, sql: &str) -> Work {
    let mut conn = app.as_role(DbRole::Worker, UserId(Uuid::nil())).await;
    let mut tx = conn.begin().await.unwrap();
    sqlx::query(
        "SELECT set_config('app.user_id', '', true), set_config('app.company_id', coalesce($1::text, ''), true)",
    )
    .bind(company)
    .execute(&mut *tx)
    .await
    .unwrap();
    let answered = sqlx::query(AssertSqlSafe(sql)).fetch_all(&mut *tx).await.unwrap().len();
    let scanned = sqlx::query_scalar(
        "SELECT relname::text FROM pg_stat_xact_user_tables WHERE schemaname = 'app' AND seq_scan > 0 AND relname = ANY ($1)",
    )
    .bind(&GROW[..])
    .fetch_all(&mut *tx)
    .await
    .unwrap();
    let looked_at = sqlx::query_scalar(
        "SELECT idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relid = 'app.consultations'::regclass",
    )
    .fetch_one(&mut *tx)
    .await
    .unwrap();
    Work { answered, scanned, looked_at }
}

const DUE: &str = "SELECT id, company_id FROM app.due_consultations(now(), 500)";
const REMINDERS: &str = "SELECT id FROM app.take_due_reminders(now(), 500)";

#[tokio::test]
async fn what_the_clock_looks_for_is_found_by_indexes() {
    let app = seeded().await;
    make_due(&app).await;
    let due = worker(&app, None, DUE).await;
    assert!(due.is_little(), "{due:?}");
    assert_eq!(
        due.answered, 30,
        "requests that lapse, sessions that nobody ended, and those of which nobody said anything"
    );
    let reminders = worker(&app, None, REMINDERS).await;
    assert!(reminders.is_little() && reminders.answered >= 10, "{reminders:?}");

    let due: Vec<(Uuid, Uuid)> = sqlx::query_as("SELECT id, company_id FROM app.due_consultations(now(), 500)")
        .fetch_all(app.db())
        .await
        .unwrap();
    for (id, company) in [due[0], due[10], due[20]] {
        for sql in [
            format!("SELECT app.close_consultation('{id}', now())"),
            format!("SELECT practitioner_id, starts_at, ends_at FROM app.consultations WHERE id = '{id}'"),
        ] {
            let done = worker(&app, Some(company), &sql).await;
            assert!(done.is_little() && done.answered == 1, "{sql}: {done:?}");
        }
    }
    let company = id(1, 3);
    for sql in [
        format!("SELECT app.cancel_consultations_of_leaver('{}', now())", id(2, 305)),
        format!("SELECT app.cancel_consultations_of_suspended('{}', now())", id(3, 305)),
        "SELECT app.cancel_consultations_of_archived_company(now(), 100)".to_owned(),
        format!("SELECT app.companies_with_sessions_of('{}', now())", id(4, 3)),
        format!("SELECT app.cancel_consultations_of_inactive_practitioner('{}', now())", id(4, 3)),
    ] {
        let done = worker(&app, Some(company), &sql).await;
        assert!(done.is_little(), "{sql}: {done:?}");
    }
}

#[tokio::test]
async fn a_file_of_published_months_looks_at_no_session_as_it_is_now() {
    let app = seeded().await;
    for _ in 0..2 {
        sqlx::raw_sql("SELECT stats.refresh(now(), true)").execute(app.db()).await.unwrap();
    }
    while sqlx::query_scalar::<_, i32>("SELECT stats.publish(100)").fetch_one(app.db()).await.unwrap() > 0 {}
    let dr = id(4, 3);
    assert!(app.count("SELECT count(*) FROM app.payroll_sessions").await > 10_000);
    let last: String =
        sqlx::query_scalar("SELECT max(month)::text FROM app.payroll_months").fetch_one(app.db()).await.unwrap();
    let as_dr = format!("(SELECT 100 + length(set_config('app.user_id', '{dr}', true)) * 0 AS batch OFFSET 0) asked");
    let (all, middle): (i64, String) = sqlx::query_as(
        "SELECT count(*), percentile_disc(0.5) WITHIN GROUP (ORDER BY starts_at)::text
         FROM app.payroll_sessions WHERE practitioner_id = $1",
    )
    .bind(dr)
    .fetch_one(app.db())
    .await
    .unwrap();
    assert!(all > 250, "{all}");
    for after in ["-infinity", &middle] {
        let page = format!(
            "SELECT s.* FROM {as_dr},
                 LATERAL app.activity_sessions('2000-01-01', '{last}', '{after}', '{}', asked.batch) s",
            Uuid::nil()
        );
        let done = worker(&app, None, &page).await;
        assert!(done.is_little() && done.answered == 100, "after {after}: {done:?}");
    }
    let count = format!(
        "SELECT FROM {as_dr}
         WHERE app.count_activity_sessions('2000-01-01', '{last}'::date + interval '1 month' * (asked.batch / 100)) = {all}"
    );
    let done = worker(&app, None, &count).await;
    assert!(done.is_little() && done.answered == 1, "{done:?}");
}

#[tokio::test]
async fn an_index_that_is_missing_is_seen() {
    let app = seeded().await;
    make_due(&app).await;
    // reminders are found by another index as well
    for index in ["consultations_expiring", "consultations_open"] {
        let (drop, keep): (String, String) = (
            format!("DROP INDEX app.{index}"),
            sqlx::query_scalar("SELECT pg_get_indexdef(('app.' || $1)::regclass)")
                .bind(index)
                .fetch_one(app.db())
                .await
                .unwrap(),
        );
        sqlx::raw_sql(AssertSqlSafe(drop)).execute(app.db()).await.unwrap();
        let done = worker(&app, None, DUE).await;
        assert!(!done.is_little(), "without {index}: {done:?}");
        sqlx::raw_sql(AssertSqlSafe(keep)).execute(app.db()).await.unwrap();
    }
}

/// Which of the tables that grow were read from one end to the other since the last time. Who leaves the database tells
/// it first what they read.
async fn scanned(app: &TestApp) -> Vec<String> {
    let others = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
                  WHERE datname = current_database() AND usename LIKE 'huntzen\\_%' AND pid <> pg_backend_pid()";
    sqlx::query(others).fetch_all(app.db()).await.unwrap();
    let mut conn = app.db().acquire().await.unwrap();
    let found = sqlx::query_scalar(
        "SELECT relname::text FROM pg_stat_user_tables WHERE schemaname = 'app' AND seq_scan > 0 AND relname = ANY ($1)",
    )
    .bind(&GROW[..])
    .fetch_all(&mut *conn)
    .await
    .unwrap();
    sqlx::query("SELECT pg_stat_reset(), pg_stat_clear_snapshot()").execute(&mut *conn).await.unwrap();
    found
}

async fn seeded_user(app: &TestApp, kind: u8, n: u32, role: Role) -> User {
    let company = (role == Role::Employee).then(|| CompanyId(id(1, n / 100)));
    let token = app.session(UserId(id(kind, n)), role, company).await;
    app.anonymous().with_token(token)
}

#[tokio::test]
async fn what_people_ask_is_answered_by_indexes() {
    let app = seeded().await;
    let alice = seeded_user(&app, 3, ALICE, Role::Employee).await;
    let held = alice.get("/consultations?limit=100&status=completed").await.expect(200).str("/items/0/id");
    // one of many: each of the ten has a tenth of all sessions, of which the first one is found by looking anywhere
    let dr = app.practitioner().await;
    let whose = dr.id;
    let admin = app.platform_admin().await;
    let today = app.clock.now().date_naive();
    let theirs = format!("/practitioners/{whose}");
    let slots = format!("{theirs}/slots?from={today}&to={}", today + Days::new(60));
    let open = alice.get(&slots).await.expect(200);
    let open = open.json["items"].as_array().unwrap().clone();
    let start = |nth: usize| open[open.len() / 2 + nth]["startsAt"].as_str().unwrap().to_owned();
    let wish =
        |nth: usize| json!({"practitionerId": whose, "startsAt": start(nth), "durationMinutes": 30, "mode": "video"});
    scanned(&app).await;

    let mut found: Vec<(String, Vec<String>)> = Vec::new();
    let booked = alice.post("/consultations", wish(0)).await.expect(201).str("/id");
    found.push(("booking".into(), scanned(&app).await));
    alice.post("/consultations", wish(0)).await.expect(409);
    found.push(("a booking of what is taken".into(), scanned(&app).await));
    alice.post(&format!("/consultations/{booked}/reschedule"), json!({"startsAt": start(2)})).await.expect(200);
    found.push(("moving".into(), scanned(&app).await));
    dr.post(&format!("/consultations/{booked}/cancel"), json!({"reason": "ill"})).await.expect(200);
    found.push(("cancelling".into(), scanned(&app).await));
    let kept = alice.post("/consultations", wish(8)).await.expect(201).str("/id");
    let explain = format!("{theirs}/slots/explain?at={}", start(4).replace('+', "%2B"));
    let day = instant(&start(6)).date_naive();
    for (person, path) in [
        (&alice, "/consultations".to_owned()),
        (&alice, "/consultations?status=confirmed&limit=100".to_owned()),
        (&alice, format!("/consultations/{held}")),
        (&alice, format!("/consultations/{held}/events")),
        (&alice, format!("/consultations/{held}/calendar.ics")),
        (&alice, "/me/quota".to_owned()),
        (&alice, slots.clone()),
        (&alice, "/practitioners?sort=next_free&limit=20".to_owned()),
        (&alice, theirs.clone()),
        (&dr, "/consultations".to_owned()),
        (&dr, "/consultations?status=pending".to_owned()),
        (&dr, format!("/consultations/{kept}")),
        (&dr, format!("/consultations/{kept}/events")),
        (&dr, explain),
        (&dr, format!("{theirs}/availability/conflicts")),
        (&admin, "/consultations".to_owned()),
        (&admin, "/consultations?limit=100".to_owned()),
        (&admin, format!("/consultations/{held}")),
        (&admin, format!("/consultations/{held}/events")),
    ] {
        person.get(&path).await.expect(200);
        found.push((path, scanned(&app).await));
    }
    let closed = json!({"kind": "time_off", "from": day.to_string(), "to": (day + Days::new(20)).to_string()});
    dr.post(&format!("{theirs}/overrides"), closed).await.expect(201);
    found.push(("time off".into(), scanned(&app).await));
    found.retain(|(_, tables)| !tables.is_empty());
    assert!(found.is_empty(), "{found:?}");
    // what follows from the bookings is not what this is about
    sqlx::raw_sql("DELETE FROM apalis.jobs").execute(app.db()).await.unwrap();
}

/// A network that is looked through: lists within lists would take a minute.
#[tokio::test]
async fn the_first_free_slots_of_a_thousand_practitioners_take_no_list_within_a_list() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let alice = app.employee(&company).await;
    sqlx::raw_sql(
        "CREATE TEMP TABLE many AS SELECT gen_random_uuid() AS id, n FROM generate_series(1, 1000) n;
         INSERT INTO app.users (id, email, password_hash, role, display_name, status)
             SELECT id, id || '@people.test', 'x', 'practitioner', 'Dr ' || n, 'active' FROM many;
         INSERT INTO app.practitioners (id, display_name, languages, modes, time_zone, session_lengths, hourly_rate_cents, status,
                                        verified_at, verified_checks)
             SELECT id, 'Dr ' || n, '{fr}', '{video}', 'Europe/Paris', '{30}', 9000, 'active', now(), '{identity}' FROM many;
         INSERT INTO app.practitioner_specialties (practitioner_id, specialty) SELECT id, 'coaching' FROM many;
         INSERT INTO app.availability_rules (id, practitioner_id, weekday, starts_minute, ends_minute)
             SELECT gen_random_uuid(), id, day, 540, 1020 FROM many, generate_series(1, 7) day;
         INSERT INTO app.availability_overrides (id, practitioner_id, kind, starts_at, ends_at)
             SELECT gen_random_uuid(), id, 'closed', current_date + day, current_date + day + 1 FROM many, generate_series(10, 12) day;
         ANALYZE",
    )
    .execute(&mut *app.db().acquire().await.unwrap())
    .await
    .unwrap();
    let begun = std::time::Instant::now();
    let listed = alice.get("/practitioners?sort=next_free&limit=20").await.expect(200);
    assert_eq!(listed.json["items"].as_array().unwrap().len(), 20);
    let took = begun.elapsed();
    assert!(took < std::time::Duration::from_secs(8), "{took:?}");
}
