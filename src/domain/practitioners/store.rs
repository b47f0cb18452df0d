//! SQL of practitioners and their weekly hours.

use std::collections::HashMap;
use std::str::FromStr;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::error::Error;
use super::hours::Rule;
use super::model::{
    After, BookingTerms, Check, Filter, Listed, Mode, Money, Order, Practitioner, Private, Rating, Specialty, Status,
    Verification,
};
use crate::domain::companies;
use crate::platform::db::{OrConstraint, broken_constraint};
use crate::platform::ids::{FileId, PractitionerId, UserId};
use crate::platform::locale::Locale;
use crate::platform::{Problem, Result, Tx};

#[derive(sqlx::FromRow)]
struct TermsRow {
    id: PractitionerId,
    display_name: String,
    time_zone: String,
    session_lengths: Vec<i32>,
    buffer_before_minutes: i32,
    buffer_after_minutes: i32,
    min_notice_minutes: i32,
    horizon_days: i32,
    modes: Vec<String>,
    specialty: String,
    status: String,
    is_suspended: bool,
    updated_at: DateTime<Utc>,
}

impl TermsRow {
    fn read(self) -> Result<BookingTerms> {
        let mut session_lengths = self.session_lengths;
        session_lengths.sort_unstable();
        Ok(BookingTerms {
            id: self.id,
            display_name: self.display_name,
            time_zone: read(&self.time_zone)?,
            session_lengths,
            buffer_before: TimeDelta::minutes(self.buffer_before_minutes.into()),
            buffer_after: TimeDelta::minutes(self.buffer_after_minutes.into()),
            min_notice: TimeDelta::minutes(self.min_notice_minutes.into()),
            horizon_days: self.horizon_days,
            modes: read_all(&self.modes)?,
            specialty: read(&self.specialty)?,
            status: read(&self.status)?,
            is_suspended: self.is_suspended,
            version: self.updated_at,
        })
    }
}

macro_rules! select_terms {
    ($whose:literal) => {
        concat!(
            "SELECT p.id, p.display_name, p.time_zone, p.session_lengths, p.buffer_before_minutes,
                    p.buffer_after_minutes, p.min_notice_minutes, p.horizon_days, p.modes, p.status, p.is_suspended,
                    p.updated_at,
                    (SELECT s.specialty FROM app.practitioner_specialties s WHERE s.practitioner_id = p.id
                     ORDER BY s.rank, s.specialty LIMIT 1) AS specialty
             FROM (SELECT id, display_name, time_zone, session_lengths, buffer_before_minutes, buffer_after_minutes,
                          min_notice_minutes, horizon_days, status, updated_at,
                          -- as far as the company of who asks has them
                          ARRAY(SELECT mode FROM unnest(modes) AS mode
                                WHERE mode <> ALL (ARRAY(SELECT app.features_off()))) AS modes,
                          id = ANY (ARRAY(SELECT app.suspended_practitioners())) AS is_suspended
                   FROM app.practitioners) p
             WHERE ", $whose, "
               AND (NOT $2 OR (p.status = 'active' AND NOT p.is_suspended AND cardinality(p.modes) > 0
                               AND ((SELECT c.network FROM app.companies c WHERE c.id = (SELECT app.company_id())) = 'open'
                                    OR p.id = ANY (ARRAY(SELECT n.practitioner_id FROM app.company_networks n
                                                         WHERE n.company_id = (SELECT app.company_id()))))))"
        )
    };
}

/// Which practitioners something is asked of.
#[derive(Clone, Copy, Debug)]
pub enum Whose<'a> {
    These(&'a [PractitionerId]),
    /// All whom the caller can see.
    All,
}

/// What bookings must keep to, of practitioners whom the caller may see; where `network_only`, of those alone who take
/// bookings of the caller's company. In no order.
pub async fn list_booking_terms(tx: &mut Tx, whose: Whose<'_>, network_only: bool) -> Result<Vec<BookingTerms>> {
    let (statement, ids) = match whose {
        Whose::These(ids) => (select_terms!("p.id = ANY ($1::uuid[])"), Some(ids)),
        Whose::All => (select_terms!("$1::uuid[] IS NULL"), None),
    };
    let rows: Vec<TermsRow> = sqlx::query_as(statement).bind(ids).bind(network_only).fetch_all(tx.conn()).await?;
    rows.into_iter().map(TermsRow::read).collect()
}

#[derive(sqlx::FromRow)]
struct RuleOf {
    practitioner_id: PractitionerId,
    #[sqlx(flatten)]
    rule: Rule,
}

/// The weekly hours of each, by weekday and time.
pub async fn list_rules_of(tx: &mut Tx, ids: &[PractitionerId]) -> Result<HashMap<PractitionerId, Vec<Rule>>> {
    let rows: Vec<RuleOf> = sqlx::query_as(
        "SELECT practitioner_id, weekday, starts_minute, ends_minute FROM app.availability_rules
         WHERE practitioner_id = ANY ($1) ORDER BY practitioner_id, weekday, starts_minute",
    )
    .bind(ids)
    .fetch_all(tx.conn())
    .await?;
    let mut found: HashMap<_, Vec<Rule>> = HashMap::new();
    for row in rows {
        found.entry(row.practitioner_id).or_default().push(row.rule);
    }
    Ok(found)
}

/// The weekly hours, by weekday and time.
pub async fn list_rules(tx: &mut Tx, id: PractitionerId) -> Result<Vec<Rule>> {
    Ok(list_rules_of(tx, &[id]).await?.remove(&id).unwrap_or_default())
}

/// Replaces the weekly hours. The row of the practitioner must be locked.
pub async fn replace_rules(tx: &mut Tx, id: PractitionerId, rules: &[Rule], ids: &[Uuid]) -> Result<()> {
    sqlx::query("DELETE FROM app.availability_rules WHERE practitioner_id = $1").bind(id).execute(tx.conn()).await?;
    sqlx::query(
        "INSERT INTO app.availability_rules (id, practitioner_id, weekday, starts_minute, ends_minute)
         SELECT new.id, $1, new.weekday, new.starts_minute, new.ends_minute
         FROM unnest($2::uuid[], $3::smallint[], $4::int[], $5::int[]) AS new (id, weekday, starts_minute, ends_minute)",
    )
    .bind(id)
    .bind(ids)
    .bind(rules.iter().map(|rule| rule.weekday).collect::<Vec<_>>())
    .bind(rules.iter().map(|rule| rule.starts_minute).collect::<Vec<_>>())
    .bind(rules.iter().map(|rule| rule.ends_minute).collect::<Vec<_>>())
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// The zone in which the hours are meant, and the version of both.
pub async fn find_zone(tx: &mut Tx, id: PractitionerId) -> Result<Option<(String, DateTime<Utc>)>> {
    Ok(sqlx::query_as("SELECT time_zone, updated_at FROM app.practitioners WHERE id = $1")
        .bind(id)
        .fetch_optional(tx.conn())
        .await?)
}

/// As [`find_zone`], and keeps everybody else from changing it.
pub async fn lock_zone(tx: &mut Tx, id: PractitionerId) -> Result<Option<(String, DateTime<Utc>)>> {
    Ok(sqlx::query_as("SELECT time_zone, updated_at FROM app.practitioners WHERE id = $1 FOR UPDATE")
        .bind(id)
        .fetch_optional(tx.conn())
        .await?)
}

/// Waits for bookings of the practitioner that are under way, and makes later ones wait, until this transaction ends.
pub async fn lock_hours(tx: &mut Tx, id: PractitionerId) -> Result<()> {
    sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended($1::text, 2))").bind(id).execute(tx.conn()).await?;
    Ok(())
}

/// Whether profile and hours are still of a version. Ask after [`lock_hours`]: then the answer holds.
pub async fn is_current(tx: &mut Tx, id: PractitionerId, version: DateTime<Utc>) -> Result<bool> {
    let sql = "SELECT EXISTS (SELECT FROM app.practitioners WHERE id = $1 AND updated_at = $2)";
    Ok(sqlx::query_scalar(sql).bind(id).bind(version).fetch_one(tx.conn()).await?)
}

/// Gives the practitioner a new version: their hours have changed.
pub async fn touch(tx: &mut Tx, id: PractitionerId) -> Result<DateTime<Utc>> {
    let sql = "UPDATE app.practitioners SET time_zone = time_zone WHERE id = $1 RETURNING updated_at";
    Ok(sqlx::query_scalar(sql).bind(id).fetch_one(tx.conn()).await?)
}

/// A practitioner of this address who was invited and has not come yet.
pub async fn find_waiting(tx: &mut Tx, email: &str) -> Result<Option<PractitionerId>> {
    Ok(sqlx::query_scalar(
        "SELECT u.id FROM app.users u JOIN app.practitioners p ON p.id = u.id
         WHERE u.email = $1 AND u.role = 'practitioner' AND u.status = 'invited'",
    )
    .bind(email)
    .fetch_optional(tx.conn())
    .await?)
}

/// Adds the account that waits for its owner.
pub async fn insert_account(tx: &mut Tx, id: UserId, email: &str, it: &Practitioner, locale: Locale) -> Result<()> {
    sqlx::query(
        "INSERT INTO app.users (id, email, role, display_name, locale, time_zone, status)
         VALUES ($1, $2, 'practitioner', $3, $4, $5, 'invited')",
    )
    .bind(id)
    .bind(email)
    .bind(&it.display_name)
    .bind(locale)
    .bind(&it.time_zone)
    .execute(tx.conn())
    .await
    .or_constraint("users_email_key", companies::error::Error::AddressUnavailable)?;
    Ok(())
}

pub async fn insert(tx: &mut Tx, it: &Practitioner, private: &Private) -> Result<()> {
    sqlx::query(
        "INSERT INTO app.practitioners (id, display_name, bio_fr, bio_en, languages, modes, rpps, adeli, time_zone,
                session_lengths, buffer_before_minutes, buffer_after_minutes, min_notice_minutes, horizon_days,
                hourly_rate_cents, currency, confirms_by_hand)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)",
    )
    .bind(it.id)
    .bind(&it.display_name)
    .bind(&it.bio_fr)
    .bind(&it.bio_en)
    .bind(&it.languages)
    .bind(it.modes.iter().map(|mode| mode.as_str()).collect::<Vec<_>>())
    .bind(&private.rpps)
    .bind(&private.adeli)
    .bind(&it.time_zone)
    .bind(&it.session_lengths)
    .bind(it.buffer_before_minutes)
    .bind(it.buffer_after_minutes)
    .bind(it.min_notice_minutes)
    .bind(it.horizon_days)
    .bind(private.hourly_rate.amount)
    .bind(&private.hourly_rate.currency)
    .bind(it.confirms_by_hand)
    .execute(tx.conn())
    .await
    .map_err(taken)?;
    insert_specialties(tx, it).await
}

/// Saves what a practitioner may change of themselves.
pub async fn save(tx: &mut Tx, it: &Practitioner) -> Result<()> {
    sqlx::query(
        "UPDATE app.practitioners
         SET display_name = $2, bio_fr = $3, bio_en = $4, languages = $5, modes = $6, time_zone = $7,
             session_lengths = $8, buffer_before_minutes = $9, buffer_after_minutes = $10, min_notice_minutes = $11,
             horizon_days = $12, confirms_by_hand = $13
         WHERE id = $1",
    )
    .bind(it.id)
    .bind(&it.display_name)
    .bind(&it.bio_fr)
    .bind(&it.bio_en)
    .bind(&it.languages)
    .bind(it.modes.iter().map(|mode| mode.as_str()).collect::<Vec<_>>())
    .bind(&it.time_zone)
    .bind(&it.session_lengths)
    .bind(it.buffer_before_minutes)
    .bind(it.buffer_after_minutes)
    .bind(it.min_notice_minutes)
    .bind(it.horizon_days)
    .bind(it.confirms_by_hand)
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub async fn replace_specialties(tx: &mut Tx, it: &Practitioner) -> Result<()> {
    sqlx::query("DELETE FROM app.practitioner_specialties WHERE practitioner_id = $1")
        .bind(it.id)
        .execute(tx.conn())
        .await?;
    insert_specialties(tx, it).await
}

/// Saves what only the platform may change.
pub async fn save_private(tx: &mut Tx, id: PractitionerId, private: &Private) -> Result<()> {
    sqlx::query(
        "UPDATE app.practitioners SET rpps = $2, adeli = $3, hourly_rate_cents = $4, currency = $5 WHERE id = $1",
    )
    .bind(id)
    .bind(&private.rpps)
    .bind(&private.adeli)
    .bind(private.hourly_rate.amount)
    .bind(&private.hourly_rate.currency)
    .execute(tx.conn())
    .await
    .map_err(taken)?;
    Ok(())
}

/// A number of a register belongs to one person.
fn taken(error: sqlx::Error) -> Problem {
    match broken_constraint(&error) {
        Some("practitioners_rpps_key") => Error::RppsTaken.into(),
        Some("practitioners_adeli_key") => Error::AdeliTaken.into(),
        _ => error.into(),
    }
}

async fn insert_specialties(tx: &mut Tx, it: &Practitioner) -> Result<()> {
    sqlx::query(
        "INSERT INTO app.practitioner_specialties (practitioner_id, specialty, rank)
         SELECT $1, specialty, rank FROM unnest($2::text[]) WITH ORDINALITY AS new (specialty, rank)",
    )
    .bind(it.id)
    .bind(it.specialties.iter().map(|specialty| specialty.as_str()).collect::<Vec<_>>())
    .execute(tx.conn())
    .await?;
    Ok(())
}

#[derive(sqlx::FromRow)]
struct Row {
    id: PractitionerId,
    display_name: String,
    specialties: Vec<String>,
    languages: Vec<String>,
    modes: Vec<String>,
    bio_fr: String,
    bio_en: String,
    time_zone: String,
    session_lengths: Vec<i32>,
    buffer_before_minutes: i32,
    buffer_after_minutes: i32,
    min_notice_minutes: i32,
    horizon_days: i32,
    confirms_by_hand: bool,
    status: String,
    avatar_id: Option<FileId>,
    rating_tenths: Option<i16>,
    review_count: Option<i32>,
    updated_at: DateTime<Utc>,
}

#[derive(sqlx::FromRow)]
struct PrivateRow {
    email: String,
    rpps: Option<String>,
    adeli: Option<String>,
    hourly_rate_cents: i32,
    currency: String,
    verified_at: Option<DateTime<Utc>>,
    verified_by: Option<UserId>,
    verified_checks: Vec<String>,
}

/// A practitioner whom the caller may see, without what is private.
pub async fn find(tx: &mut Tx, id: PractitionerId) -> Result<Option<Practitioner>> {
    let row: Option<Row> = sqlx::query_as(
        "SELECT p.id, p.display_name, p.languages, p.modes, p.bio_fr, p.bio_en, p.time_zone, p.session_lengths,
                p.buffer_before_minutes, p.buffer_after_minutes, p.min_notice_minutes, p.horizon_days,
                p.confirms_by_hand, p.status, p.avatar_id, p.rating_tenths, p.review_count, p.updated_at,
                ARRAY(SELECT s.specialty FROM app.practitioner_specialties s WHERE s.practitioner_id = p.id
                      ORDER BY s.rank, s.specialty) AS specialties
         FROM app.practitioners p WHERE p.id = $1",
    )
    .bind(id)
    .fetch_optional(tx.conn())
    .await?;
    row.map(|row| {
        Ok(Practitioner {
            id: row.id,
            display_name: row.display_name,
            specialties: read_all(&row.specialties)?,
            languages: row.languages,
            modes: read_all(&row.modes)?,
            bio_fr: row.bio_fr,
            bio_en: row.bio_en,
            time_zone: row.time_zone,
            session_lengths: row.session_lengths,
            buffer_before_minutes: row.buffer_before_minutes,
            buffer_after_minutes: row.buffer_after_minutes,
            min_notice_minutes: row.min_notice_minutes,
            horizon_days: row.horizon_days,
            confirms_by_hand: row.confirms_by_hand,
            status: read(&row.status)?,
            avatar_id: row.avatar_id,
            rating: Rating::of(row.rating_tenths, row.review_count),
            private: None,
            updated_at: row.updated_at,
        })
    })
    .transpose()
}

/// What only the practitioner and the platform may read: others have no grant.
pub async fn find_private(tx: &mut Tx, id: PractitionerId) -> Result<Option<Private>> {
    let row: Option<PrivateRow> = sqlx::query_as(
        "SELECT u.email, p.rpps, p.adeli, p.hourly_rate_cents, p.currency, p.verified_at, p.verified_by,
                p.verified_checks
         FROM app.practitioners p JOIN app.users u ON u.id = p.id WHERE p.id = $1",
    )
    .bind(id)
    .fetch_optional(tx.conn())
    .await?;
    row.map(|row| {
        let checks = read_all(&row.verified_checks)?;
        Ok(Private {
            email: row.email,
            rpps: row.rpps,
            adeli: row.adeli,
            hourly_rate: Money { amount: row.hourly_rate_cents, currency: row.currency },
            verification: row.verified_at.map(|at| Verification { at, by: row.verified_by, checks }),
        })
    })
    .transpose()
}

#[derive(sqlx::FromRow)]
struct ListedRow {
    id: PractitionerId,
    display_name: String,
    specialties: Vec<String>,
    languages: Vec<String>,
    modes: Vec<String>,
    status: String,
    avatar_id: Option<FileId>,
    rating_tenths: Option<i16>,
    review_count: Option<i32>,
}

impl ListedRow {
    fn read(self) -> Result<Listed> {
        Ok(Listed {
            id: self.id,
            display_name: self.display_name,
            specialties: read_all(&self.specialties)?,
            languages: self.languages,
            modes: read_all(&self.modes)?,
            status: read(&self.status)?,
            avatar_id: self.avatar_id,
            rating: Rating::of(self.rating_tenths, self.review_count),
        })
    }
}

macro_rules! select_listed {
    ($after:literal, $order:literal) => {
        concat!(
            "SELECT p.id, p.display_name, p.languages, p.modes, p.status, p.avatar_id, p.rating_tenths, p.review_count,
                    ARRAY(SELECT s.specialty FROM app.practitioner_specialties s WHERE s.practitioner_id = p.id
                          ORDER BY s.rank, s.specialty) AS specialties
             FROM app.practitioners p
             WHERE ($9::text IS NULL OR p.status = $9)
               AND (NOT $7 OR p.id <> ALL (ARRAY(SELECT app.suspended_practitioners())))
               AND ($1::text IS NULL OR ",
            $after,
            ")
               AND ($3::text IS NULL OR EXISTS (SELECT FROM app.practitioner_specialties s
                                                WHERE s.practitioner_id = p.id AND s.specialty = $3))
               AND ($4::text IS NULL OR $4 = ANY (p.languages))
               AND ($5::text IS NULL OR $5 = ANY (p.modes))
               AND ($6::text[] IS NULL OR p.id = ANY (ARRAY(SELECT app.practitioners_like($6))))
               AND ($11::text IS NULL
                    OR p.id = ANY (ARRAY(SELECT r.id FROM app.practitioners_ranked($11) r))
                       AND p.id <> ALL (ARRAY(SELECT app.suspended_practitioners())))
               AND (NOT $7 OR (SELECT c.network FROM app.companies c WHERE c.id = app.company_id()) = 'open'
                    OR p.id = ANY (ARRAY(SELECT n.practitioner_id FROM app.company_networks n
                                         WHERE n.company_id = app.company_id())))
               AND $10::smallint IS NOT NULL
             ORDER BY ",
            $order,
            " LIMIT $8"
        )
    };
}

const BY_NAME: &str = select_listed!("(p.display_name, p.id) > ($1, $2::uuid)", "p.display_name, p.id");
/// Tests look at how it is planned.
pub const BY_RATING: &str = select_listed!(
    "(- coalesce(p.rating_tenths, 0), p.display_name, p.id) > (- $10::smallint, $1, $2::uuid)",
    "- coalesce(p.rating_tenths, 0), p.display_name, p.id"
);

/// Practitioners by name, which is also the order of the index that the page walks along, or by what is said of them.
pub async fn list(
    tx: &mut Tx,
    filter: &Filter,
    order: Order,
    after: Option<&After>,
    limit: i64,
) -> Result<Vec<Listed>> {
    let statement = match order {
        Order::Name => BY_NAME,
        Order::Rating => BY_RATING,
    };
    let rows: Vec<ListedRow> = sqlx::query_as(statement)
        .bind(after.map(|(_, name, _)| name))
        .bind(after.map(|(_, _, id)| id))
        .bind(filter.specialty.map(Specialty::as_str))
        .bind(&filter.language)
        .bind(filter.mode.map(Mode::as_str))
        .bind((!filter.words.is_empty()).then_some(&filter.words))
        .bind(filter.network_only)
        .bind(limit)
        .bind(filter.status.map(Status::as_str))
        // a forged cursor may hold what no average is
        .bind(after.map_or(0, |(tenths, ..)| (*tenths).clamp(0, 50)))
        .bind(&filter.question)
        .fetch_all(tx.conn())
        .await?;
    rows.into_iter().map(ListedRow::read).collect()
}

/// Those of some practitioners whom the caller sees, in no order.
pub async fn list_by_ids(tx: &mut Tx, ids: &[PractitionerId]) -> Result<Vec<Listed>> {
    let rows: Vec<ListedRow> = sqlx::query_as(
        "SELECT p.id, p.display_name, p.languages, p.modes, p.status, p.avatar_id, p.rating_tenths, p.review_count,
                ARRAY(SELECT s.specialty FROM app.practitioner_specialties s WHERE s.practitioner_id = p.id
                      ORDER BY s.rank, s.specialty) AS specialties
         FROM app.practitioners p WHERE p.id = ANY ($1)",
    )
    .bind(ids)
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter().map(ListedRow::read).collect()
}

/// Notes that somebody was verified; who waited for it is active from now on.
pub async fn save_verified(
    tx: &mut Tx,
    id: PractitionerId,
    checks: &[Check],
    by: UserId,
    now: DateTime<Utc>,
) -> Result<()> {
    sqlx::query(
        "UPDATE app.practitioners
         SET verified_at = $2, verified_by = $3, verified_checks = $4,
             status = CASE status WHEN 'unverified' THEN 'active' ELSE status END
         WHERE id = $1",
    )
    .bind(id)
    .bind(now)
    .bind(by)
    .bind(checks.iter().map(|check| check.as_str()).collect::<Vec<_>>())
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub async fn save_status(tx: &mut Tx, id: PractitionerId, status: Status) -> Result<()> {
    sqlx::query("UPDATE app.practitioners SET status = $2 WHERE id = $1")
        .bind(id)
        .bind(status.as_str())
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// Sessions that are booked and yet to begin, whosever they are.
pub async fn count_sessions_ahead(tx: &mut Tx, id: PractitionerId, now: DateTime<Utc>) -> Result<i64> {
    Ok(sqlx::query_scalar("SELECT app.sessions_ahead($1, $2)").bind(id).bind(now).fetch_one(tx.conn()).await?)
}

/// Reads a word of the database; one that is not known is a fault of ours.
fn read<T: FromStr>(word: &str) -> Result<T>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    word.parse().map_err(Problem::internal)
}

fn read_all<T: FromStr>(words: &[String]) -> Result<Vec<T>>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    words.iter().map(|word| read(word)).collect()
}
