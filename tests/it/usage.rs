//! Usage counters: what they tell, what they withhold, and the files made of them.

use std::collections::HashMap;

use chrono::{DateTime, Datelike, Months, NaiveDate, TimeDelta, TimeZone, Utc};
use huntzen::platform::auth::Role;
use huntzen::platform::ids::{CompanyId, UserId};
use huntzen::platform::jobs::{Job, Queue};
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Answer, Company, TestApp, User};

/// Completed sessions to be: of the n-th person of a company.
struct Sessions {
    month: NaiveDate,
    specialty: &'static str,
    mode: &'static str,
    department: Option<Uuid>,
    people: std::ops::Range<usize>,
    /// For each of them.
    times: usize,
}

/// A company whose people have had sessions.
struct Usage<'a> {
    app: &'a TestApp,
    company: Company,
    people: Vec<UserId>,
    practitioner: User,
}

impl<'a> Usage<'a> {
    /// With so many employees, all of whom have accounts.
    async fn new(app: &'a TestApp, name: &str, employees: usize) -> Self {
        let (company, practitioner) = (app.company(name).await, app.practitioner().await);
        let people: Vec<UserId> = (0..employees).map(|_| app.platform.new_id()).collect();
        let ids: Vec<Uuid> = people.iter().map(|id| id.0).collect();
        sqlx::query(
            "INSERT INTO app.employees (id, company_id, email, first_name, last_name)
             SELECT id, $1, id || '@people.test', 'Ana', 'Silva' FROM unnest($2::uuid[]) id",
        )
        .bind(company.id)
        .bind(&ids)
        .execute(app.db())
        .await
        .unwrap();
        sqlx::query(
            "INSERT INTO app.users (id, email, password_hash, role, display_name, status, company_id, employee_id)
             SELECT id, id || '@people.test', 'x', 'employee', 'Ana', 'active', $1, id FROM unnest($2::uuid[]) id",
        )
        .bind(company.id)
        .bind(&ids)
        .execute(app.db())
        .await
        .unwrap();
        Self { app, company, people, practitioner }
    }

    async fn department(&self, name: &str) -> Uuid {
        let id: Uuid = self.app.platform.new_id();
        sqlx::query("INSERT INTO app.departments (id, company_id, name) VALUES ($1, $2, $3)")
            .bind(id)
            .bind(self.company.id)
            .bind(name)
            .execute(self.app.db())
            .await
            .unwrap();
        id
    }

    /// Puts them into the database as they would be afterwards, 50 minutes each.
    async fn hold(&self, it: Sessions) {
        let starts_at = Utc.from_utc_datetime(&it.month.and_hms_opt(10, 0, 0).unwrap()) + TimeDelta::days(9);
        self.hold_at(&it, starts_at).await;
    }

    async fn hold_at(&self, it: &Sessions, starts_at: DateTime<Utc>) {
        let mut tx = self.app.db().begin().await.unwrap();
        // the state machine lets nobody be born completed
        sqlx::query("SET LOCAL session_replication_role = replica").execute(&mut *tx).await.unwrap();
        for person in &self.people[it.people.clone()] {
            sqlx::query(
                "INSERT INTO app.consultations (id, company_id, user_id, practitioner_id, mode, status, starts_at, ends_at,
                     busy_from, busy_until, specialty, department_id, started_at, ended_at, duration_minutes)
                 SELECT gen_random_uuid(), $1, $2, $3, $4, 'completed', $5, $6, $5, $6, $7, $8, $5, $6, 50
                 FROM generate_series(1, $9)",
            )
            .bind(self.company.id)
            .bind(person)
            .bind(self.practitioner.id)
            .bind(it.mode)
            .bind(starts_at)
            .bind(starts_at + TimeDelta::minutes(50))
            .bind(it.specialty)
            .bind(it.department)
            .bind(i32::try_from(it.times).unwrap())
            .execute(&mut *tx)
            .await
            .unwrap();
        }
        tx.commit().await.unwrap();
    }

    async fn report(&self, query: &str) -> Value {
        self.company.hr.get(&format!("/reports/usage?{query}")).await.expect(200).json
    }
}

fn sessions(month: NaiveDate, specialty: &'static str, people: std::ops::Range<usize>, times: usize) -> Sessions {
    Sessions { month, specialty, mode: "video", department: None, people, times }
}

/// The first day of the month that lies so many months before the present one.
fn months_ago(app: &TestApp, count: u32) -> NaiveDate {
    let today = app.clock.now().date_naive();
    today.with_day(1).unwrap() - Months::new(count)
}

fn name(month: NaiveDate) -> String {
    month.format("%Y-%m").to_string()
}

/// As the schedule does every hour.
#[derive(Serialize, Deserialize)]
struct Refresh {}

impl Job for Refresh {
    const KIND: &'static str = "usage.refresh";
    const QUEUE: Queue = Queue::Maintenance;
}

#[derive(Serialize, Deserialize)]
struct Sweep {}

impl Job for Sweep {
    const KIND: &'static str = "usage.sweep_exports";
    const QUEUE: Queue = Queue::Maintenance;
}

async fn run(app: &TestApp, job: &impl Job) {
    app.enqueue(job).await;
    app.settle().await;
}

async fn count_anew(app: &TestApp) {
    run(app, &Refresh {}).await;
}

/// The cell of a month whose member has this value.
fn cell<'a>(report: &'a Value, month: NaiveDate, member: &str, value: &str) -> &'a Value {
    let cells = find_month(report, month)["cells"].as_array().unwrap();
    cells.iter().find(|cell| cell[member] == value).unwrap_or_else(|| panic!("no {value} in {cells:?}"))
}

fn find_month(report: &Value, month: NaiveDate) -> &Value {
    let months = report["months"].as_array().unwrap();
    months.iter().find(|it| it["month"] == name(month)).unwrap_or_else(|| panic!("no {month} in {months:?}"))
}

#[tokio::test]
async fn hr_reads_closed_months_above_the_threshold() {
    let app = TestApp::start().await;
    let acme = Usage::new(&app, "Acme", 40).await;
    let (last, before, present) = (months_ago(&app, 1), months_ago(&app, 2), months_ago(&app, 0));
    acme.hold(sessions(last, "psychology", 0..23, 2)).await;
    acme.hold(sessions(last, "sleep", 10..27, 1)).await;
    acme.hold(sessions(present, "sleep", 0..30, 1)).await;

    // not counted yet
    let range = format!("from={}&to={}&by=specialty", name(before), name(present));
    let early = acme.report(&range).await;
    assert_eq!(find_month(&early, last)["totals"]["sessions"], 0);

    let counted_from = app.clock.now();
    count_anew(&app).await;
    let report = acme.report(&range).await;
    assert_eq!(report["threshold"], 11);
    assert!(report["asOf"].as_str().unwrap().parse::<DateTime<Utc>>().unwrap() >= counted_from);
    // the present month is not over
    let told: Vec<_> = report["months"].as_array().unwrap().iter().map(|it| it["month"].clone()).collect();
    assert_eq!(told, [json!(name(before)), json!(name(last))]);
    assert_eq!(find_month(&report, last)["totals"], json!({"sessions": 63, "minutes": 3150, "people": 25}));
    let expected = json!({"specialty": "psychology", "sessions": 46, "minutes": 2300, "people": 20});
    assert_eq!(*cell(&report, last, "specialty", "psychology"), expected);
    let expected = json!({"specialty": "sleep", "sessions": 17, "minutes": 850, "people": 15});
    assert_eq!(*cell(&report, last, "specialty", "sleep"), expected);
    // what nobody used is zero, in a month with sessions and in one without
    let expected = json!({"specialty": "nutrition", "sessions": 0, "minutes": 0, "people": 0});
    assert_eq!(*cell(&report, last, "specialty", "nutrition"), expected);
    assert_eq!(find_month(&report, before)["cells"].as_array().unwrap().len(), 6);

    let totals = acme.report(&format!("from={0}&to={0}", name(last))).await;
    assert_eq!(find_month(&totals, last)["cells"], json!([]));
    assert_eq!(find_month(&totals, last)["totals"]["sessions"], 63);
}

#[tokio::test]
async fn a_small_cell_is_withheld_and_so_is_one_from_which_it_could_be_had() {
    let app = TestApp::start().await;
    let acme = Usage::new(&app, "Acme", 60).await;
    let last = months_ago(&app, 1);
    acme.hold(sessions(last, "psychology", 0..30, 1)).await;
    acme.hold(sessions(last, "sleep", 0..15, 2)).await;
    acme.hold(sessions(last, "coaching", 30..33, 1)).await;
    count_anew(&app).await;
    let report = acme.report(&format!("from={0}&to={0}&by=specialty", name(last))).await;
    assert_eq!(
        *cell(&report, last, "specialty", "coaching"),
        json!({"specialty": "coaching", "withheld": "small_group"})
    );
    assert_eq!(*cell(&report, last, "specialty", "sleep"), json!({"specialty": "sleep", "withheld": "derivable"}));
    assert_eq!(cell(&report, last, "specialty", "psychology")["sessions"], 30);
    assert_eq!(find_month(&report, last)["totals"], json!({"sessions": 63, "minutes": 3150, "people": 30}));
    // nobody is told more by another dimension
    let report = acme.report(&format!("from={0}&to={0}&by=mode", name(last))).await;
    assert_eq!(cell(&report, last, "mode", "video")["sessions"], 63);
}

#[tokio::test]
async fn departments_have_names_and_those_without_one_are_counted_too() {
    let app = TestApp::start().await;
    let acme = Usage::new(&app, "Acme", 60).await;
    let (sales, _legal) = (acme.department("Sales").await, acme.department("Legal").await);
    let last = months_ago(&app, 1);
    acme.hold(Sessions { department: Some(sales), ..sessions(last, "sleep", 0..20, 1) }).await;
    acme.hold(sessions(last, "sleep", 20..40, 1)).await;
    count_anew(&app).await;
    let report = acme.report(&format!("from={0}&to={0}&by=department", name(last))).await;
    let cell_of = |department: &str| cell(&report, last, "department", department);
    let expected = json!({"department": "Sales", "departmentId": sales, "sessions": 20, "minutes": 1000, "people": 20});
    assert_eq!(*cell_of("Sales"), expected);
    assert_eq!(cell_of("Legal")["sessions"], 0);
    let none = cell_of("Sans service");
    assert_eq!(none["sessions"], 20);
    assert!(none.get("departmentId").is_none());
}

#[tokio::test]
async fn a_month_or_a_company_with_few_people_tells_nothing() {
    let app = TestApp::start().await;
    let (acme, tiny) = (Usage::new(&app, "Acme", 40).await, Usage::new(&app, "Tiny", 10).await);
    let last = months_ago(&app, 1);
    acme.hold(sessions(last, "sleep", 0..10, 3)).await;
    tiny.hold(sessions(last, "sleep", 0..10, 3)).await;
    count_anew(&app).await;
    for usage in [&acme, &tiny] {
        for by in ["specialty", "mode", "department"] {
            let report = usage.report(&format!("from={0}&to={0}&by={by}", name(last))).await;
            let month = find_month(&report, last);
            assert_eq!(month["totals"], json!({"withheld": "small_group"}));
            for cell in month["cells"].as_array().unwrap() {
                // neither a number nor what was used at all
                assert_eq!(cell["withheld"], "small_group", "{cell}");
                assert!(cell.get("sessions").is_none());
            }
        }
    }
    // a month without any session tells so, unless the company is too small for anything
    let range = format!("from={0}&to={0}", name(months_ago(&app, 2)));
    assert_eq!(acme.report(&range).await["months"][0]["totals"]["sessions"], 0);
    assert_eq!(tiny.report(&range).await["months"][0]["totals"], json!({"withheld": "small_group"}));
}

#[tokio::test]
async fn a_company_may_raise_its_threshold() {
    let app = TestApp::start().await;
    let acme = Usage::new(&app, "Acme", 60).await;
    let last = months_ago(&app, 1);
    acme.hold(sessions(last, "sleep", 0..25, 1)).await;
    count_anew(&app).await;
    let range = format!("from={0}&to={0}", name(last));
    assert_eq!(acme.report(&range).await["months"][0]["totals"]["people"], 25);
    sqlx::query("UPDATE app.company_settings SET reporting_threshold = 30").execute(app.db()).await.unwrap();
    let report = acme.report(&range).await;
    assert_eq!(
        (&report["threshold"], &report["months"][0]["totals"]),
        (&json!(30), &json!({"withheld": "small_group"}))
    );
}

#[tokio::test]
async fn a_session_counts_in_the_month_of_the_companys_clock() {
    let app = TestApp::start().await;
    let acme = Usage::new(&app, "Acme", 40).await;
    let (last, before) = (months_ago(&app, 1), months_ago(&app, 2));
    // half an hour before midnight UTC is the next day in Paris, all year
    let late = Utc.from_utc_datetime(&last.and_hms_opt(0, 0, 0).unwrap()) - TimeDelta::minutes(30);
    acme.hold_at(&sessions(before, "sleep", 0..20, 1), late).await;
    count_anew(&app).await;
    let report = acme.report(&format!("from={}&to={}", name(before), name(last))).await;
    assert_eq!(find_month(&report, before)["totals"]["sessions"], 0);
    assert_eq!(find_month(&report, last)["totals"]["sessions"], 20);
}

#[tokio::test]
async fn companies_see_their_own_usage_and_the_platform_names_one() {
    let app = TestApp::start().await;
    let (acme, globex) = (Usage::new(&app, "Acme", 40).await, Usage::new(&app, "Globex", 40).await);
    let last = months_ago(&app, 1);
    acme.hold(sessions(last, "sleep", 0..20, 1)).await;
    globex.hold(sessions(last, "sleep", 0..30, 1)).await;
    count_anew(&app).await;
    let range = format!("from={0}&to={0}", name(last));
    assert_eq!(acme.report(&range).await["months"][0]["totals"]["sessions"], 20);
    assert_eq!(globex.report(&range).await["months"][0]["totals"]["sessions"], 30);
    acme.report(&format!("{range}&companyId={}", acme.company.id)).await;
    let foreign = format!("/reports/usage?{range}&companyId={}", globex.company.id);
    acme.company.hr.get(&foreign).await.refused(404, "not_found");
    acme.company.admin.get(&foreign).await.refused(404, "not_found");

    let admin = app.platform_admin().await;
    assert_eq!(admin.get(&foreign).await.expect(200).json["months"][0]["totals"]["sessions"], 30);
    let nobody: CompanyId = app.platform.new_id();
    admin.get(&format!("/reports/usage?{range}&companyId={nobody}")).await.refused(404, "not_found");
    let refused = admin.get(&format!("/reports/usage?{range}")).await.refused(422, "invalid");
    assert_eq!(refused.json["errors"][0]["pointer"], "query:companyId");

    for user in [app.employee(&acme.company).await, app.practitioner().await] {
        user.get(&format!("/reports/usage?{range}")).await.refused(403, "forbidden");
    }
}

#[tokio::test]
async fn months_and_dimensions_are_checked() {
    let app = TestApp::start().await;
    let hr = app.company("Acme").await.hr;
    for (query, code, pointer) in [
        ("from=2026-01&to=2026-02&by=specialty,mode", "one_dimension", "query:by"),
        ("from=2026-01&to=2026-02&by=person", "invalid", "query:by"),
        ("from=2026-02&to=2026-01", "invalid", "query:to"),
        ("from=2024-01&to=2026-01", "invalid", "query:to"),
        ("from=2026-13&to=2026-12", "invalid", "query:from"),
    ] {
        let refused = hr.get(&format!("/reports/usage?{query}")).await.refused(422, code);
        assert_eq!(refused.json["errors"][0]["pointer"], pointer, "{query}");
    }
    hr.get("/reports/usage?to=2026-01").await.expect(400);
    let future = hr.get("/reports/usage?from=2030-01&to=2030-02").await.expect(200);
    assert_eq!(future.json["months"], json!([]));
}

#[tokio::test]
async fn nobody_but_the_statistics_reads_the_view() {
    let app = TestApp::start().await;
    for role in ["huntzen_hr", "huntzen_company_admin", "huntzen_platform", "huntzen_worker", "huntzen_kernel"] {
        let mut tx = app.db().begin().await.unwrap();
        sqlx::raw_sql(sqlx::AssertSqlSafe(format!("SET LOCAL ROLE {role}"))).execute(&mut *tx).await.unwrap();
        let read = sqlx::query("SELECT * FROM stats.company_usage_monthly").fetch_all(&mut *tx).await;
        assert!(read.unwrap_err().to_string().contains("permission denied"), "{role}");
    }
}

/// A small table of one month, as the database has it.
#[derive(Clone, Debug)]
struct Table {
    /// Sessions and people of each cell.
    cells: Vec<(i32, i32)>,
    total_people: i32,
}

/// Every table of so many cells with at most so many sessions in each.
fn every_table(cells: usize, most: i32, disjoint: bool) -> Vec<Table> {
    let one: Vec<(i32, i32)> = (1..=most).flat_map(|people| (people..=most).map(move |s| (s, people))).collect();
    let mut rows: Vec<Vec<(i32, i32)>> = vec![Vec::new()];
    for _ in 0..cells {
        rows = rows.iter().flat_map(|row| one.iter().map(move |cell| [row.as_slice(), &[*cell]].concat())).collect();
    }
    rows.into_iter()
        .flat_map(|cells| {
            let (least, sum) = (cells.iter().map(|c| c.1).max().unwrap(), cells.iter().map(|c| c.1).sum());
            let totals = if disjoint { sum..=sum } else { least..=sum };
            totals.map(move |total_people| Table { cells: cells.clone(), total_people })
        })
        .collect()
}

/// A reader who knows the rule, and every table that there can be, finds for each withheld cell at least two
/// numbers of sessions and, where it is small, of people; and no sum of fewer than k people.
async fn attack(app: &TestApp, k: i32, step: i32, cells: usize, most: i32, disjoint: bool) {
    let tables = every_table(cells, most, disjoint);
    // what the rule is given ascends by people; ties keep the order of their keys
    let sorted: Vec<Vec<usize>> = tables
        .iter()
        .map(|table| {
            let mut order: Vec<usize> = (0..cells).collect();
            order.sort_by_key(|i| (table.cells[*i].1, *i));
            order
        })
        .collect();
    let asked: Vec<Value> = tables
        .iter()
        .zip(&sorted)
        .map(|(table, order)| {
            let pick = |f: fn(&(i32, i32)) -> i32| order.iter().map(|i| f(&table.cells[*i])).collect::<Vec<_>>();
            json!({"total": table.total_people, "s": pick(|c| c.0), "m": pick(|c| c.0 * 10), "p": pick(|c| c.1)})
        })
        .collect();
    let words: Vec<(Option<Vec<Option<String>>>,)> = sqlx::query_as(
        "SELECT stats.withhold($1, $2, $3, (t ->> 'total')::int,
                               ARRAY(SELECT jsonb_array_elements(t -> 's')::int),
                               ARRAY(SELECT jsonb_array_elements(t -> 'm')::int),
                               ARRAY(SELECT jsonb_array_elements(t -> 'p')::int))
         FROM jsonb_array_elements($4) WITH ORDINALITY AS given (t, n) ORDER BY n",
    )
    .bind(k)
    .bind(step)
    .bind(disjoint)
    .bind(json!(asked))
    .fetch_all(app.db())
    .await
    .unwrap();

    let mut told: HashMap<String, Vec<&Table>> = HashMap::new();
    let mut hidden_of: HashMap<String, Vec<Option<String>>> = HashMap::new();
    for ((table, order), (words,)) in tables.iter().zip(&sorted).zip(words) {
        let Some(words) = words else { continue };
        assert!(table.total_people >= k, "{table:?}");
        let mut by_key = vec![None; cells];
        order.iter().zip(words).for_each(|(i, word)| by_key[*i] = word);
        let shown: Vec<String> = table
            .cells
            .iter()
            .zip(&by_key)
            .map(|((sessions, people), word)| {
                word.clone().unwrap_or_else(|| {
                    assert!(*people >= k, "{table:?}");
                    format!("{sessions}/{}", people - people % step)
                })
            })
            .collect();
        let pooled: Vec<i32> = table.cells.iter().zip(&by_key).filter(|(_, w)| w.is_some()).map(|(c, _)| c.1).collect();
        let rests_on_many = pooled.iter().any(|people| *people >= k) || pooled.len() == cells;
        assert!(pooled.is_empty() || (pooled.len() > 1 && rests_on_many), "{table:?}");
        let sessions: i32 = table.cells.iter().map(|c| c.0).sum();
        let answer = format!("{shown:?} of {sessions}/{}", table.total_people - table.total_people % step);
        told.entry(answer.clone()).or_default().push(table);
        hidden_of.insert(answer, by_key);
    }
    let mut attacked = 0;
    for (answer, possible) in told {
        let hidden = &hidden_of[&answer];
        let is_hidden = |i: &usize| hidden[*i].is_some();
        let pooled: i32 = (0..cells).filter(is_hidden).map(|i| possible[0].cells[i].0).sum();
        // beyond that there are tables that were not tried
        if pooled > most {
            continue;
        }
        for i in (0..cells).filter(is_hidden) {
            let distinct = |f: fn(&(i32, i32)) -> i32| {
                possible.iter().map(|table| f(&table.cells[i])).collect::<std::collections::HashSet<_>>().len()
            };
            attacked += 1;
            assert!(distinct(|c| c.0) > 1, "sessions of cell {i} are known from {answer}");
            let is_small = hidden[i].as_deref() == Some("small_group");
            assert!(!is_small || distinct(|c| c.1) > 1, "people of cell {i} are known from {answer}");
        }
    }
    assert!(attacked > 10, "nothing was attacked");
}

#[tokio::test]
async fn nobody_can_compute_a_withheld_number_from_those_shown() {
    let app = TestApp::start().await;
    for disjoint in [false, true] {
        attack(&app, 3, 2, 2, 9, disjoint).await;
        attack(&app, 4, 5, 2, 10, disjoint).await;
    }
    attack(&app, 3, 3, 3, 6, true).await;
    attack(&app, 3, 2, 3, 5, false).await;
}

/// The company's HR asks for a file of its last month by department.
async fn ask(usage: &Usage<'_>, language: &str, format: Value) -> Answer {
    let last = name(months_ago(usage.app, 1));
    let body = json!({"kind": "usage", "from": last, "to": last, "by": "department", "format": format});
    let request = usage.company.hr.request(Method::POST, "/exports").header("accept-language", language).json(&body);
    Answer::of(request).await
}

#[tokio::test]
async fn a_file_is_made_announced_and_fetched() {
    let app = TestApp::start().await;
    let acme = Usage::new(&app, "Acme", 60).await;
    let last = months_ago(&app, 1);
    let odd = acme.department("=1+1; \"odd\"").await;
    acme.hold(Sessions { department: Some(odd), ..sessions(last, "sleep", 0..20, 1) }).await;
    acme.hold(sessions(last, "sleep", 20..23, 1)).await;
    acme.hold(Sessions { department: Some(acme.department("Sales").await), ..sessions(last, "sleep", 23..40, 2) })
        .await;
    count_anew(&app).await;

    let asked = ask(&acme, "fr", json!({"delimiter": "semicolon", "bom": true})).await.expect(202);
    assert_eq!(asked.json["status"], "pending");
    let path = format!("/exports/{}", asked.str("/id"));
    let hr = &acme.company.hr;
    hr.get(&format!("{path}/download")).await.refused(409, "not_ready");

    app.settle().await;
    let ready = hr.get(&path).await.expect(200);
    assert_eq!((&ready.json["status"], &ready.json["rowCount"]), (&json!("ready"), &json!(4)));
    let listed = hr.get("/exports").await.expect(200);
    assert_eq!(listed.json["items"], json!([ready.json]));

    let file = hr.get(&format!("{path}/download")).await.expect(200);
    assert_eq!(file.header("content-type"), "text/csv; charset=utf-8");
    let month = name(last);
    assert_eq!(file.header("content-disposition"), format!("attachment; filename=\"usage-{month}-{month}.csv\""));
    assert_eq!(file.header("x-content-type-options"), "nosniff");
    assert_eq!(file.header("cache-control"), "private, no-store");
    let expected = [
        "\u{feff}\"Mois\";\"Service\";\"Séances\";\"Minutes\";\"Personnes\";\"Non communiqué\"".to_owned(),
        format!("\"{month}\";\"'=1+1; \"\"odd\"\"\";\"20\";\"1000\";\"20\";\"\""),
        format!("\"{month}\";\"Sales\";\"\";\"\";\"\";\"Révélerait un petit groupe\""),
        format!("\"{month}\";\"Sans service\";\"\";\"\";\"\";\"Trop peu de personnes\""),
        format!("\"{month}\";\"Total\";\"57\";\"2850\";\"40\";\"\""),
    ];
    assert_eq!(file.text(), expected.join("\r\n") + "\r\n");

    let mails = app.mails_to(&hr.email);
    assert_eq!(mails.len(), 1);
    for action in ["export.requested", "export.downloaded"] {
        let noted: i64 =
            sqlx::query_scalar("SELECT count(*) FROM app.audit_logs WHERE action = $1 AND company_id = $2")
                .bind(action)
                .bind(acme.company.id)
                .fetch_one(app.db())
                .await
                .unwrap();
        assert_eq!(noted, 1, "{action}");
    }

    let plain = ask(&acme, "en", json!({})).await.expect(202);
    app.settle().await;
    let file = hr.get(&format!("/exports/{}/download", plain.str("/id"))).await.expect(200);
    assert!(file.text().starts_with("\"Month\",\"Department\","), "{}", file.text());
}

/// As if every attempt at the export but the last had failed, or the last one as well had taken its worker down.
async fn use_up_attempts(app: &TestApp, left: i32) {
    sqlx::query(
        "UPDATE apalis.jobs SET attempts = max_attempts - $1
         WHERE convert_from(job, 'UTF8')::jsonb ->> 'kind' = 'usage.export'",
    )
    .bind(left)
    .execute(app.db())
    .await
    .unwrap();
}

#[tokio::test]
async fn who_waits_for_a_file_whose_maker_died_is_told_that_it_failed() {
    let app = TestApp::start().await;
    let acme = Usage::new(&app, "Acme", 20).await;
    let asked = ask(&acme, "en", json!({})).await.expect(202);
    sqlx::query("UPDATE app.exports SET status = 'running'").execute(app.db()).await.unwrap();
    use_up_attempts(&app, 0).await;
    let dead = app.settle_with_dead().await;
    assert_eq!(dead.iter().map(|job| job.code.as_str()).collect::<Vec<_>>(), ["worker_lost"]);
    let hr = &acme.company.hr;
    let path = format!("/exports/{}", asked.str("/id"));
    let failed = hr.get(&path).await.expect(200);
    assert_eq!(failed.json["status"], "failed");
    assert!(failed.json["finishedAt"].is_string());
    hr.get(&format!("{path}/download")).await.refused(409, "not_ready");
    let mails = app.mails_to(&hr.email);
    assert_eq!(mails.len(), 1);
    assert!(mails[0].text.as_ref().unwrap().contains("could not be made"), "{mails:?}");

    // an operator mends the cause and queues the job again
    sqlx::query("SELECT app.retry_job($1)").bind(&dead[0].id).execute(app.db()).await.unwrap();
    app.settle().await;
    assert_eq!(hr.get(&path).await.expect(200).json["status"], "ready");
    assert_eq!(app.mails_to(&hr.email).len(), 2);
}

#[tokio::test]
async fn a_file_that_cannot_be_written_at_the_last_attempt_has_failed() {
    let app = TestApp::start().await;
    let acme = Usage::new(&app, "Acme", 20).await;
    let folder = app.platform.config.storage_url.to_file_path().unwrap();
    std::fs::write(folder.join("exports"), "not a folder").unwrap();
    let asked = ask(&acme, "en", json!({})).await.expect(202);
    use_up_attempts(&app, 1).await;
    assert_eq!(app.settle_with_dead().await.len(), 1);
    let path = format!("/exports/{}", asked.str("/id"));
    assert_eq!(acme.company.hr.get(&path).await.expect(200).json["status"], "failed");
    assert_eq!(app.mails_to(&acme.company.hr.email).len(), 1);
}

#[tokio::test]
async fn a_file_expires_after_seven_days_and_is_swept_away() {
    let app = TestApp::start().await;
    let acme = Usage::new(&app, "Acme", 20).await;
    let asked = ask(&acme, "en", json!({})).await.expect(202);
    app.settle().await;
    let path = format!("/exports/{}", asked.str("/id"));
    let key: String = sqlx::query_scalar("SELECT file_key FROM app.exports").fetch_one(app.db()).await.unwrap();

    app.clock.advance(TimeDelta::days(7) - TimeDelta::minutes(5));
    let hr = renewed(&app, &acme.company.hr).await;
    hr.get(&format!("{path}/download")).await.expect(200);
    run(&app, &Sweep {}).await;
    assert!(app.platform.storage.read(&key).await.is_ok());

    app.clock.advance(TimeDelta::minutes(6));
    let hr = renewed(&app, &hr).await;
    hr.get(&format!("{path}/download")).await.refused(410, "expired");
    assert_eq!(hr.get(&path).await.expect(200).json["status"], "expired");
    run(&app, &Sweep {}).await;
    assert!(app.platform.storage.read(&key).await.is_err());
    hr.get(&format!("{path}/download")).await.refused(410, "expired");
    assert_eq!(app.count("SELECT count(*) FROM app.exports WHERE status = 'expired' AND file_key IS NULL").await, 1);
}

/// The same person with a token of now: access tokens live for minutes.
async fn renewed(app: &TestApp, user: &User) -> User {
    let role = if user.company_id.is_some() { Role::Hr } else { Role::PlatformAdmin };
    user.with_token(app.session(user.id, role, user.company_id).await)
}

#[tokio::test]
async fn a_file_is_for_who_asked_for_it_only() {
    let app = TestApp::start().await;
    let (acme, globex) = (Usage::new(&app, "Acme", 20).await, Usage::new(&app, "Globex", 20).await);
    let asked = ask(&acme, "en", json!({})).await.expect(202);
    app.settle().await;
    let path = format!("/exports/{}", asked.str("/id"));
    for user in [&globex.company.hr, &acme.company.admin, &app.platform_admin().await] {
        user.get(&path).await.refused(404, "not_found");
        user.get(&format!("{path}/download")).await.refused(404, "not_found");
        assert_eq!(user.get("/exports").await.expect(200).json["items"], json!([]));
    }
    for user in [app.employee(&acme.company).await, app.practitioner().await] {
        user.get(&path).await.refused(403, "forbidden");
    }
    app.anonymous().get(&format!("{path}/download")).await.refused(401, "unauthenticated");
}

#[tokio::test]
async fn the_platform_exports_the_usage_of_a_company_that_it_names() {
    let app = TestApp::start().await;
    let (acme, admin) = (Usage::new(&app, "Acme", 40).await, app.platform_admin().await);
    let last = months_ago(&app, 1);
    acme.hold(sessions(last, "sleep", 0..20, 1)).await;
    count_anew(&app).await;
    let body = json!({"kind": "usage", "companyId": acme.company.id, "from": name(last), "to": name(last)});
    let asked = admin.post("/exports", body.clone()).await.expect(202);
    app.settle().await;
    let file = admin.get(&format!("/exports/{}/download", asked.str("/id"))).await.expect(200);
    assert!(file.text().contains("\"20\",\"1000\",\"20\""), "{}", file.text());
    assert_eq!(app.mails_to(&admin.email).len(), 1);

    let mut without = body.clone();
    without.as_object_mut().unwrap().remove("companyId");
    let refused = admin.post("/exports", without).await.refused(422, "invalid");
    assert_eq!(refused.json["errors"][0]["pointer"], "/companyId");
    app.practitioner().await.post("/exports", body).await.refused(403, "forbidden");
}

#[tokio::test]
async fn an_unusable_request_for_a_file_is_refused() {
    let app = TestApp::start().await;
    let hr = app.company("Acme").await.hr;
    let good = json!({"kind": "usage", "from": "2026-01", "to": "2026-02"});
    for (member, value, pointer) in [
        ("kind", json!("payroll"), "/kind"),
        ("from", json!("2026-1"), "/from"),
        ("to", json!("2025-12"), "/to"),
        ("by", json!("specialty,mode"), "/by"),
        ("format", json!({"delimiter": "tab"}), "/format/delimiter"),
        ("companyName", json!("Globex"), "/companyName"),
    ] {
        let mut body = good.clone();
        body[member] = value;
        let refused = hr.post("/exports", body).await.refused(422, "invalid");
        assert_eq!(refused.json["errors"][0]["pointer"], pointer);
    }
    assert_eq!(app.count("SELECT count(*) FROM app.exports").await, 0);
}

#[tokio::test]
async fn a_repeated_request_and_a_repeated_job_make_one_file_and_one_mail() {
    let app = TestApp::start().await;
    let acme = Usage::new(&app, "Acme", 20).await;
    let hr = &acme.company.hr;
    let body = json!({"kind": "usage", "from": "2026-01", "to": "2026-02"});
    let send =
        |body: &Value| Answer::of(hr.request(Method::POST, "/exports").header("idempotency-key", "one").json(body));
    let first = send(&body).await.expect(202);
    assert_eq!(send(&body).await.expect(202).json, first.json);
    send(&json!({"kind": "usage", "from": "2026-01", "to": "2026-03"})).await.refused(422, "idempotency_mismatch");
    app.settle().await;
    let ready = hr.get("/exports").await.expect(200).json;
    assert_eq!(ready["items"].as_array().unwrap().len(), 1);

    // once more, in the name of who asked
    let mut tx = app.db().begin().await.unwrap();
    sqlx::query("SELECT set_config('app.company_id', $1, true), set_config('app.user_id', $2, true)")
        .bind(acme.company.id.to_string())
        .bind(hr.id.to_string())
        .execute(&mut *tx)
        .await
        .unwrap();
    sqlx::query("SELECT app.enqueue('exports', 'usage.export', ARRAY[$1], ARRAY[NULL::text], NULL, 8)")
        .bind(json!({"export_id": first.json["id"]}))
        .execute(&mut *tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    app.settle().await;
    assert_eq!(hr.get("/exports").await.expect(200).json, ready);
    assert_eq!(app.mails_to(&hr.email).len(), 1);
}
