//! Usage counters: what they tell, what they withhold, and the files made of them.

mod attack;
mod differences;
mod publishing;
mod report;
mod series;
mod twins;

use chrono::{DateTime, Datelike, Months, NaiveDate, TimeDelta, TimeZone, Utc};
use huntzen::platform::clock::Clock;
use huntzen::platform::ids::UserId;
use huntzen::platform::jobs::{Job, Queue};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::support::{Company, TestApp, User};

/// Completed sessions to be: of the n-th person of a company.
pub struct Sessions {
    pub month: NaiveDate,
    pub specialty: &'static str,
    pub mode: &'static str,
    pub department: Option<Uuid>,
    pub people: std::ops::Range<usize>,
    /// For each of them.
    pub times: usize,
}

/// A company whose people have had sessions.
pub struct Usage<'a> {
    pub app: &'a TestApp,
    pub company: Company,
    pub people: Vec<UserId>,
    pub practitioner: User,
}

impl<'a> Usage<'a> {
    /// With so many employees, all of whom have accounts; the company is a year old.
    pub async fn new(app: &'a TestApp, name: &str, employees: usize) -> Self {
        let (company, practitioner) = (app.company(name).await, app.practitioner().await);
        sqlx::query("UPDATE app.companies SET created_at = now() - interval '1 year' WHERE id = $1")
            .bind(company.id)
            .execute(app.db())
            .await
            .unwrap();
        let people: Vec<UserId> = (0..employees).map(|_| app.platform.new_id()).collect();
        let ids: Vec<Uuid> = people.iter().map(|id| id.0).collect();
        sqlx::query(
            "INSERT INTO app.employees (id, company_id, email, first_name, last_name, created_at)
             SELECT id, $1, id || '@people.test', 'Ana', 'Silva', now() - interval '1 year' FROM unnest($2::uuid[]) id",
        )
        .bind(company.id)
        .bind(&ids)
        .execute(app.db())
        .await
        .unwrap();
        sqlx::query(
            "INSERT INTO app.users (id, email, password_hash, role, display_name, status, company_id, employee_id, created_at)
             SELECT id, id || '@people.test', 'x', 'employee', 'Ana', 'active', $1, id, now() - interval '1 year'
             FROM unnest($2::uuid[]) id",
        )
        .bind(company.id)
        .bind(&ids)
        .execute(app.db())
        .await
        .unwrap();
        Self { app, company, people, practitioner }
    }

    pub async fn department(&self, name: &str) -> Uuid {
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

    /// Puts some of the people into a department, in which they have always been.
    pub async fn staff(&self, department: Uuid, people: std::ops::Range<usize>) {
        let ids: Vec<Uuid> = self.people[people].iter().map(|id| id.0).collect();
        sqlx::query("UPDATE app.employees SET department_id = $1 WHERE id = ANY ($2)")
            .bind(department)
            .bind(&ids)
            .execute(self.app.db())
            .await
            .unwrap();
        sqlx::query("UPDATE app.employees SET placed_since = created_at WHERE id = ANY ($1)")
            .bind(&ids)
            .execute(self.app.db())
            .await
            .unwrap();
    }

    /// Puts them into the database as they would be afterwards, 50 minutes each. The people are of that department.
    pub async fn hold(&self, it: Sessions) {
        let starts_at = Utc.from_utc_datetime(&it.month.and_hms_opt(10, 0, 0).unwrap()) + TimeDelta::days(9);
        self.hold_at(&it, starts_at).await;
    }

    pub async fn hold_at(&self, it: &Sessions, starts_at: DateTime<Utc>) {
        if let Some(department) = it.department {
            self.staff(department, it.people.clone()).await;
        }
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

    pub async fn report(&self, query: &str) -> Value {
        self.company.hr.get(&format!("/reports/usage?{query}")).await.expect(200).json
    }
}

pub fn sessions(month: NaiveDate, specialty: &'static str, people: std::ops::Range<usize>, times: usize) -> Sessions {
    Sessions { month, specialty, mode: "video", department: None, people, times }
}

/// The first day of the month that lies so many months before the first one that is not published, by the companies' clock.
pub fn months_ago(app: &TestApp, count: u32) -> NaiveDate {
    let today = (app.clock.now() - TimeDelta::days(3)).with_timezone(&chrono_tz::Europe::Paris).date_naive();
    today.with_day(1).unwrap() - Months::new(count)
}

pub fn name(month: NaiveDate) -> String {
    month.format("%Y-%m").to_string()
}

/// As the schedule does every hour.
#[derive(Serialize, Deserialize)]
struct Refresh {}

impl Job for Refresh {
    const KIND: &'static str = "usage.refresh";
    const QUEUE: Queue = Queue::Counting;
}

pub async fn run(app: &TestApp, job: &impl Job) {
    app.enqueue(job).await;
    app.settle().await;
}

/// Time passes, by the database's clock as well.
pub async fn advance(app: &TestApp, by: TimeDelta) {
    app.clock.advance(by);
    let ahead = (app.clock.now() - Clock::System.now()).num_milliseconds();
    let clock = format!(
        "CREATE OR REPLACE FUNCTION stats.clock() RETURNS timestamptz LANGUAGE sql VOLATILE
         AS $$ SELECT clock_timestamp() + interval '{ahead} milliseconds' $$"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(clock)).execute(app.db()).await.unwrap();
}

pub async fn count_anew(app: &TestApp) {
    run(app, &Refresh {}).await;
}

/// The cell of a month whose member has this value.
pub fn cell<'a>(report: &'a Value, month: NaiveDate, member: &str, value: &str) -> &'a Value {
    let cells = find_month(report, month)["cells"].as_array().unwrap();
    cells.iter().find(|cell| cell[member] == value).unwrap_or_else(|| panic!("no {value} in {cells:?}"))
}

pub fn find_month(report: &Value, month: NaiveDate) -> &Value {
    let months = report["months"].as_array().unwrap();
    months.iter().find(|it| it["month"] == name(month)).unwrap_or_else(|| panic!("no {month} in {months:?}"))
}
