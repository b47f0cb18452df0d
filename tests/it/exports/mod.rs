//! Files of numbers: of usage, of a practitioner's sessions, and payroll.

mod activity;
mod delivery;
mod files;
mod memory;
mod reading;

use chrono::{DateTime, NaiveDate, TimeDelta, TimeZone, Utc};
use huntzen::platform::ids::{ConsultationId, PractitionerId};

use crate::support::{Company, TestApp, User};
use crate::usage::{Usage, months_ago};

/// A practitioner with an hourly rate of 90 euros, and a company whose people come.
pub struct Practice<'a> {
    pub app: &'a TestApp,
    pub usage: Usage<'a>,
    pub practitioner: User,
}

/// A session of the practice.
#[derive(Clone, Copy)]
pub struct Session {
    pub at: DateTime<Utc>,
    pub status: &'static str,
    pub minutes: Option<i32>,
    pub differs: bool,
    pub by: Option<&'static str>,
}

pub fn held(at: DateTime<Utc>, minutes: i32) -> Session {
    Session { at, status: "completed", minutes: Some(minutes), differs: false, by: None }
}

/// Ten o'clock of a day of a month, by UTC.
pub fn day(month: NaiveDate, day: i64) -> DateTime<Utc> {
    Utc.from_utc_datetime(&month.and_hms_opt(10, 0, 0).unwrap()) + TimeDelta::days(day - 1)
}

impl<'a> Practice<'a> {
    pub async fn new(app: &'a TestApp) -> Self {
        let usage = Usage::new(app, "Acme", 30).await;
        let practitioner = usage.practitioner.clone();
        Self { app, usage, practitioner }
    }

    pub fn company(&self) -> &Company {
        &self.usage.company
    }

    /// A transaction that triggers do not hold back, to write what happened long ago.
    async fn past_triggers(&self) -> sqlx::Transaction<'static, sqlx::Postgres> {
        let mut tx = self.app.db().begin().await.unwrap();
        sqlx::query("SET LOCAL session_replication_role = replica").execute(&mut *tx).await.unwrap();
        tx
    }

    /// From some moment on a session costs so much an hour.
    pub async fn rate(&self, since: DateTime<Utc>, cents: i32, currency: &str) {
        sqlx::query(
            "INSERT INTO app.practitioner_rates (practitioner_id, since, hourly_rate_cents, currency) VALUES ($1, $2, $3, $4)",
        )
        .bind(self.practitioner.id)
        .bind(since)
        .bind(cents)
        .bind(currency)
        .execute(self.app.db())
        .await
        .unwrap();
    }

    pub async fn put(&self, it: Session) -> ConsultationId {
        let id: ConsultationId = self.app.platform.new_id();
        let mut tx = self.past_triggers().await;
        sqlx::query(
            "INSERT INTO app.consultations (id, company_id, user_id, practitioner_id, mode, status, starts_at, ends_at,
                 busy_from, busy_until, specialty, duration_minutes, seen_minutes, times_differ, cancelled_at, cancelled_by,
                 missed_by)
             VALUES ($1, $2, $3, $4, 'video', $5, $6, $7, $6, $7, 'sleep', $8, $8, $9,
                     CASE $5 WHEN 'cancelled' THEN $6 END, CASE $5 WHEN 'cancelled' THEN $10 END,
                     CASE $5 WHEN 'no_show' THEN $10 END)",
        )
        .bind(id)
        .bind(self.usage.company.id)
        .bind(self.usage.people[0])
        .bind(self.practitioner.id)
        .bind(it.status)
        .bind(it.at)
        .bind(it.at + TimeDelta::minutes(50))
        .bind(it.minutes)
        .bind(it.differs)
        .bind(it.by)
        .execute(&mut *tx)
        .await
        .unwrap();
        tx.commit().await.unwrap();
        id
    }

    /// So many sessions of the last month, hundreds of them at the same moment.
    pub async fn crowd(&self, count: i32) {
        let mut tx = self.past_triggers().await;
        sqlx::query(
            "INSERT INTO app.consultations (id, company_id, user_id, practitioner_id, mode, status, starts_at, ends_at,
                 busy_from, busy_until, specialty, duration_minutes)
             SELECT gen_random_uuid(), $1, $2, $3, 'video', 'completed', at, at + interval '50 minutes', at,
                    at + interval '50 minutes', 'sleep', n % 500
             FROM generate_series(0, $5 - 1) n, LATERAL (SELECT $4::timestamptz + (n / 700) * interval '1 hour' AS at) it",
        )
        .bind(self.usage.company.id)
        .bind(self.usage.people[0])
        .bind(self.practitioner.id)
        .bind(day(self.last(), 2))
        .bind(count)
        .execute(&mut *tx)
        .await
        .unwrap();
        tx.commit().await.unwrap();
    }

    /// The last month that is over.
    pub fn last(&self) -> NaiveDate {
        months_ago(self.app, 1)
    }

    pub fn id(&self) -> PractitionerId {
        self.practitioner.id.into()
    }
}
