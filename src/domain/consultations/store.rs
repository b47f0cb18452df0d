//! Statements on consultations. Rows are decided by the policies of the caller's role.

use std::error::Error as StdError;
use std::str::FromStr;

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};
use uuid::Uuid;

use super::error::Error;
use super::events::TimeFreed;
use super::model::{
    Cancellation, Consultation, DoneBy, Event, EventKind, MissedBy, Reasons, Standing, Status, expires_at,
};
use super::slots::Slot;
use crate::domain::practitioners::{BookingTerms, Mode};
use crate::platform::auth::{Permission, Role};
use crate::platform::db::{Arg, Instant, Once, OrConstraint, broken_constraint};
use crate::platform::ids::{CompanyId, ConsultationId, EmployeeId, PractitionerId, UserId};
use crate::platform::locale::Locale;
use crate::platform::problem::Error as Refusal;
use crate::platform::{Context, Problem, Result, Tx};

/// The statement for a role: each sees other columns, and has grants for no more. The rows are chosen, in order and
/// within the limit, before names are joined: so an index gives them, whatever policies the joined tables have.
macro_rules! select_for {
    ($role:expr, $chosen:literal) => {
        match $role {
            Role::Employee => select_for!(
                @ ", free_to_cancel, counts", "NULL::uuid AS company_id, NULL AS employee_name",
                "NULL::int, NULL::boolean,
                 CASE WHEN c.status = 'pending' OR c.status = 'confirmed' AND c.free_to_cancel THEN c.starts_at
                      WHEN c.status = 'confirmed'
                      THEN c.starts_at - make_interval(hours => coalesce(
                          (SELECT CASE WHEN s.late_cancellation_counts THEN s.cancellation_window_hours ELSE 0 END
                           FROM app.company_settings s WHERE s.company_id = (SELECT app.company_id())), 24)) END,
                 CASE WHEN c.status IN ('completed', 'cancelled', 'no_show') THEN c.counts END", "", $chosen
            ),
            Role::Practitioner => select_for!(
                @ ", user_id, seen_minutes, times_differ", "NULL::uuid AS company_id, u.display_name AS employee_name",
                "c.seen_minutes, c.times_differ, NULL::timestamptz, NULL::boolean", "JOIN app.clients u ON u.id = c.user_id", $chosen
            ),
            _ => select_for!(
                @ ", company_id, seen_minutes, times_differ", "c.company_id, NULL AS employee_name",
                "c.seen_minutes, c.times_differ, NULL::timestamptz, NULL::boolean", "", $chosen
            ),
        }
    };
    (@ $also:literal, $seen:literal, $presence:literal, $join:literal, $chosen:literal) => {
        concat!(
            "SELECT c.id, ", $seen, ", c.practitioner_id, p.display_name AS practitioner_name, c.mode, c.status,
                    c.specialty, c.starts_at, c.ends_at, c.started_at, c.ended_at, c.duration_minutes, c.cancelled_at,
                    c.cancelled_by, c.created_at, c.updated_at, c.expires_at, c.missed_by, ", $presence, "
             FROM (SELECT id, practitioner_id, mode, status, specialty, starts_at, ends_at, started_at, ended_at,
                          duration_minutes, cancelled_at, cancelled_by, created_at, updated_at, expires_at,
                          missed_by", $also, "
                   FROM app.consultations ", $chosen, ") c
             JOIN app.practitioners p ON p.id = c.practitioner_id ", $join, "
             ORDER BY c.starts_at DESC, c.id DESC"
        )
    };
}

impl FromRow<'_, PgRow> for Consultation {
    /// By position, in the order of [`select_for`]: looking a name up costs more than reading most of the values.
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        let instant = |index: usize| row.try_get::<Instant, _>(index).map(|it| it.0);
        let optional = |index: usize| row.try_get::<Option<Instant>, _>(index).map(|it| it.map(|it| it.0));
        Ok(Self {
            id: row.try_get(0)?,
            company_id: row.try_get(1)?,
            employee_name: row.try_get(2)?,
            practitioner_id: row.try_get(3)?,
            practitioner_name: row.try_get(4)?,
            mode: word(row.try_get(5)?)?,
            status: row.try_get(6)?,
            specialty: row.try_get(7)?,
            starts_at: instant(8)?,
            ends_at: instant(9)?,
            started_at: optional(10)?,
            ended_at: optional(11)?,
            actual_minutes: row.try_get(12)?,
            cancelled_at: optional(13)?,
            cancelled_by: row.try_get(14)?,
            created_at: instant(15)?,
            updated_at: instant(16)?,
            expires_at: optional(17)?,
            missed_by: row.try_get(18)?,
            seen_minutes: row.try_get(19)?,
            times_differ: row.try_get(20)?,
            cancellation: optional(21)?.map(|free_until| Cancellation { free_until, counts_now: false }),
            counts: row.try_get(22)?,
            reasons: Reasons::default(),
        })
    }
}

/// A word of the practitioners' vocabulary.
pub(super) fn word<T>(text: &str) -> sqlx::Result<T>
where
    T: FromStr,
    T::Err: StdError + Send + Sync + 'static,
{
    text.parse().map_err(|source| sqlx::Error::Decode(Box::new(source)))
}

pub async fn find(cx: &Context, tx: &mut Tx, id: ConsultationId) -> Result<Option<Consultation>> {
    let role = cx.caller().role;
    let found: Option<Consultation> =
        sqlx::query_as(select_for!(role, "WHERE id = $1")).bind(id).fetch_optional(tx.conn()).await?;
    Ok(found.map(|it| it.as_of(cx.now())))
}

/// Which consultations to list, the latest start first.
#[derive(Clone, Copy, Debug, Default)]
pub struct Listing {
    pub status: Option<Status>,
    /// Of the start.
    pub from: Option<DateTime<Utc>>,
    /// Of the start; not included.
    pub to: Option<DateTime<Utc>>,
    /// The key of the last row of the page before.
    pub after: Option<(DateTime<Utc>, ConsultationId)>,
    pub fetch: i64,
}

/// The statement of [`list`]. Benchmarks send it as well, to know what the database alone can do.
pub fn list_statement(role: Role) -> &'static str {
    // every bound stays usable for the index, whether it is set or not
    select_for!(
        role,
        "WHERE ($1::text IS NULL OR status = $1)
           AND starts_at >= coalesce($2::timestamptz, '-infinity') AND starts_at < coalesce($3::timestamptz, 'infinity')
           AND (starts_at, id) < (coalesce($4::timestamptz, 'infinity'),
                                  coalesce($5::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
         ORDER BY starts_at DESC, id DESC LIMIT $6"
    )
}

/// One statement in one round trip: this is the busiest route.
pub async fn list(cx: &Context, by: Listing) -> Result<Vec<Consultation>> {
    let role = cx.caller().role;
    let once = Once { name: "list_consultations", statement: list_statement(role) };
    let args = [
        Arg::Word(by.status.map(Status::as_str)),
        Arg::At(by.from),
        Arg::At(by.to),
        Arg::At(by.after.map(|(at, _)| at)),
        Arg::Id(by.after.map(|(_, id)| id.0)),
        Arg::Count(by.fetch),
    ];
    let found: Vec<Consultation> = cx.read_once(Permission::ReadConsultations, &once, &args).await?;
    Ok(found.into_iter().map(|it| it.as_of(cx.now())).collect())
}

pub async fn find_standing(tx: &mut Tx, id: ConsultationId) -> Result<Option<Standing>> {
    Ok(sqlx::query_as(
        "SELECT company_id, status, starts_at, ends_at, expires_at, started_at, updated_at
         FROM app.consultations WHERE id = $1",
    )
    .bind(id)
    .fetch_optional(tx.conn())
    .await?)
}

/// The practitioner's time that a consultation has, or had.
pub async fn find_time(tx: &mut Tx, id: ConsultationId) -> Result<TimeFreed> {
    let (practitioner_id, starts_at, ends_at) =
        sqlx::query_as("SELECT practitioner_id, starts_at, ends_at FROM app.consultations WHERE id = $1")
            .bind(id)
            .fetch_one(tx.conn())
            .await?;
    Ok(TimeFreed { consultation_id: id, practitioner_id, starts_at, ends_at })
}

/// `None`: no such consultation is to be seen.
pub async fn list_events(tx: &mut Tx, id: ConsultationId) -> Result<Option<Vec<Event>>> {
    if sqlx::query("SELECT FROM app.consultations WHERE id = $1").bind(id).fetch_optional(tx.conn()).await?.is_none() {
        return Ok(None);
    }
    Ok(Some(
        sqlx::query_as(
            "SELECT kind, at, actor_role, moved_from, moved_to FROM app.consultation_events
             WHERE consultation_id = $1 ORDER BY at, id",
        )
        .bind(id)
        .fetch_all(tx.conn())
        .await?,
    ))
}

/// What the employee's company grants, with the employee's place in it.
#[derive(Debug, FromRow)]
pub struct Coverage {
    pub status: String,
    pub company_time_zone: String,
    pub contract_starts_on: NaiveDate,
    /// The last day.
    pub contract_ends_on: NaiveDate,
    pub sessions_per_employee: i32,
    pub booking_horizon_days: i32,
    pub department_id: Option<Uuid>,
    pub has_left: bool,
    /// The person's own.
    pub time_zone: String,
}

/// The employee's own coverage.
pub async fn find_coverage(tx: &mut Tx) -> Result<Coverage> {
    Ok(sqlx::query_as(
        "SELECT co.status, co.time_zone AS company_time_zone, co.contract_starts_on, co.contract_ends_on,
                co.sessions_per_employee, coalesce(s.booking_horizon_days, 60) AS booking_horizon_days,
                e.department_id, e.status = 'left' AS has_left, u.time_zone
         FROM app.companies co
         LEFT JOIN app.company_settings s ON s.company_id = co.id
         JOIN app.users u ON u.company_id = co.id AND u.id = (SELECT app.user_id())
         JOIN app.employees e ON e.company_id = co.id AND e.id = u.employee_id
         WHERE co.id = (SELECT app.company_id())",
    )
    .fetch_one(tx.conn())
    .await?)
}

/// Queues up behind what the same employee books, until this transaction ends.
pub async fn lock_person(tx: &mut Tx, user: UserId) -> Result<()> {
    sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended($1::text, 1))").bind(user).execute(tx.conn()).await?;
    Ok(())
}

/// The statement of [`lock_bookings`]: the employee, then what `practitioners::lock_hours` locks.
pub const LOCK_BOOKINGS: &str = "SELECT pg_advisory_xact_lock(hashtextextended($1::text, 1)),
     pg_advisory_xact_lock(hashtextextended($2::text, 2))";

/// Queues up behind the bookings of the same employee and of the same practitioner, until this transaction ends.
/// Everybody takes the two in this order, so nobody waits in a circle.
pub async fn lock_bookings(tx: &mut Tx, user: UserId, practitioner: PractitionerId) -> Result<()> {
    sqlx::query(LOCK_BOOKINGS).bind(user).bind(practitioner).execute(tx.conn()).await?;
    Ok(())
}

/// The statement of [`insert`]. Benchmarks send it as well, as they do [`INSERT_EVENT`] and [`LOCK_BOOKINGS`].
pub const INSERT: &str =
    "INSERT INTO app.consultations (id, company_id, user_id, practitioner_id, mode, status, starts_at,
                                   ends_at, busy_from, busy_until, specialty, department_id, expires_at, agreed_at)
     SELECT $1, app.company_id(), app.user_id(), p.id, $3,
            CASE WHEN p.confirms_by_hand THEN 'pending' ELSE 'confirmed' END, $4, $5, $6, $7, $8, $9,
            CASE WHEN p.confirms_by_hand THEN $10::timestamptz END,
            CASE WHEN NOT p.confirms_by_hand THEN $11::timestamptz END
     FROM app.practitioners p WHERE p.id = $2 AND p.updated_at = $12
     RETURNING status";

/// Inserts a consultation of the calling employee: confirmed, or a request where the practitioner confirms by hand. The
/// database refuses what the contract does not grant. What rests on hours that have changed since they were loaded is a
/// conflict, and trying again helps: with the bookings locked ([`lock_bookings`]), whoever closes time is told of every
/// session in it.
pub async fn insert(
    tx: &mut Tx,
    id: ConsultationId,
    terms: &BookingTerms,
    slot: Slot,
    mode: Mode,
    department_id: Option<Uuid>,
    now: DateTime<Utc>,
) -> Result<Status> {
    let done = sqlx::query_scalar(INSERT)
        .bind(id)
        .bind(terms.id)
        .bind(mode.as_str())
        .bind(slot.starts_at)
        .bind(slot.ends_at)
        .bind(slot.starts_at - terms.buffer_before)
        .bind(slot.ends_at + terms.buffer_after)
        .bind(terms.specialty.as_str())
        .bind(department_id)
        .bind(expires_at(now, slot.starts_at))
        .bind(now)
        .bind(terms.version)
        .fetch_optional(tx.conn())
        .await;
    done.map_err(not_granted)?.ok_or_else(|| Refusal::Conflict.into())
}

/// Why the database refuses a time.
pub(super) fn not_granted(error: sqlx::Error) -> Problem {
    match broken_constraint(&error) {
        Some("consultations_practitioner_free" | "consultations_time_kept") => Error::SlotTaken.into(),
        Some("consultations_employee_free") => Error::AlreadyBookedThen.into(),
        Some("consultations_quota") => Error::QuotaExhausted.into(),
        Some("consultations_contract") => Error::ContractEnded.into(),
        // changed since the booking looked
        Some("consultations_company_archived") => Error::CompanyArchived.into(),
        Some("consultations_company_active") => Error::CompanySuspended.into(),
        Some("consultations_employee_active") => Error::NotCovered.into(),
        Some("consultations_practitioner_active" | "consultations_network") => Refusal::NotFound.into(),
        _ => Problem::from(error),
    }
}

/// The statement of [`insert_event`].
pub const INSERT_EVENT: &str = "INSERT INTO app.consultation_events (company_id, consultation_id, kind, at, actor_role)
     VALUES ($1, $2, $3, $4, $5)";

/// Records a fact; each kind happens once.
pub async fn insert_event(
    tx: &mut Tx,
    company: CompanyId,
    id: ConsultationId,
    kind: EventKind,
    at: DateTime<Utc>,
    by: DoneBy,
) -> Result<()> {
    sqlx::query(INSERT_EVENT)
        .bind(company)
        .bind(id)
        .bind(kind)
        .bind(at)
        .bind(by)
        .execute(tx.conn())
        .await
        .or_constraint("consultation_events_once", Error::IllegalTransition)?;
    Ok(())
}

/// Moves a consultation from the state in which it was read to the next; `false` where it is not what was read any more.
/// So do the others below.
pub async fn save_status(tx: &mut Tx, id: ConsultationId, was: &Standing, to: Status) -> Result<bool> {
    let done =
        sqlx::query("UPDATE app.consultations SET status = $4 WHERE id = $1 AND status = $2 AND updated_at = $3")
            .bind(id)
            .bind(was.status)
            .bind(was.updated_at)
            .bind(to)
            .execute(tx.conn())
            .await
            .or_constraint("consultations_state_machine", Error::IllegalTransition)?;
    Ok(done.rows_affected() == 1)
}

/// Confirms a request that still waits.
pub async fn save_confirmed(tx: &mut Tx, id: ConsultationId, was: &Standing, at: DateTime<Utc>) -> Result<bool> {
    let done = sqlx::query(
        "UPDATE app.consultations SET status = 'confirmed', agreed_at = $3
         WHERE id = $1 AND status = 'pending' AND updated_at = $2 AND expires_at > $3",
    )
    .bind(id)
    .bind(was.updated_at)
    .bind(at)
    .execute(tx.conn())
    .await
    .or_constraint("consultations_state_machine", Error::IllegalTransition)?;
    Ok(done.rows_affected() == 1)
}

/// Notes who did not come.
pub async fn save_missed(tx: &mut Tx, id: ConsultationId, was: &Standing, by: MissedBy) -> Result<bool> {
    let done = sqlx::query(
        "UPDATE app.consultations SET status = 'no_show', missed_by = $4
         WHERE id = $1 AND status = $2 AND updated_at = $3",
    )
    .bind(id)
    .bind(was.status)
    .bind(was.updated_at)
    .bind(by)
    .execute(tx.conn())
    .await
    .map_err(|error| match broken_constraint(&error) {
        Some("consultations_practitioner_was_there") => Error::PractitionerWasThere.into(),
        Some("consultations_employee_was_there") => Error::EmployeeWasThere.into(),
        Some("consultations_state_machine") => Error::IllegalTransition.into(),
        _ => Problem::from(error),
    })?;
    Ok(done.rows_affected() == 1)
}

/// Cancels what has not begun. Calendars get a new sequence number.
pub async fn save_cancelled(
    tx: &mut Tx,
    id: ConsultationId,
    was: &Standing,
    at: DateTime<Utc>,
    by: DoneBy,
) -> Result<bool> {
    let done = sqlx::query(
        "UPDATE app.consultations
         SET status = 'cancelled', cancelled_at = $3, cancelled_by = $4, ics_sequence = ics_sequence + 1
         WHERE id = $1 AND status IN ('pending', 'confirmed') AND updated_at = $2",
    )
    .bind(id)
    .bind(was.updated_at)
    .bind(at)
    .bind(by)
    .execute(tx.conn())
    .await
    .or_constraint("consultations_state_machine", Error::IllegalTransition)?;
    Ok(done.rows_affected() == 1)
}

/// One of the two, as an account.
#[derive(Clone, Debug)]
pub struct Person {
    pub user_id: UserId,
    pub email: String,
    pub display_name: String,
    pub locale: Locale,
    pub time_zone: String,
}

/// What a calendar and a mail tell of a consultation.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools)] // each a fact of its own, read from the row
pub struct Appointment {
    pub id: ConsultationId,
    pub status: Status,
    pub mode: Mode,
    pub starts_at: DateTime<Utc>,
    pub ends_at: DateTime<Utc>,
    pub ics_sequence: i32,
    pub cancelled_by: Option<DoneBy>,
    /// Until when a request waits.
    pub expires_at: Option<DateTime<Utc>>,
    /// Whether its time was ever agreed, so that calendars know it.
    pub was_agreed: bool,
    /// The practitioner moved it: giving it back costs nothing.
    pub free_to_cancel: bool,
    /// Whether it counts against the employee's sessions.
    pub counts: bool,
    /// Whether the practitioner cannot come.
    pub practitioner_suspended: bool,
    /// Who is told.
    pub reader: Person,
    /// The other one's name.
    pub other_name: String,
}

impl FromRow<'_, PgRow> for Appointment {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        Ok(Self {
            id: row.try_get("id")?,
            status: row.try_get("status")?,
            mode: word(row.try_get("mode")?)?,
            starts_at: row.try_get("starts_at")?,
            ends_at: row.try_get("ends_at")?,
            ics_sequence: row.try_get("ics_sequence")?,
            cancelled_by: row.try_get("cancelled_by")?,
            expires_at: row.try_get("expires_at")?,
            was_agreed: row.try_get("was_agreed")?,
            free_to_cancel: row.try_get("free_to_cancel")?,
            counts: row.try_get("counts")?,
            practitioner_suspended: row.try_get("practitioner_suspended")?,
            reader: Person {
                user_id: row.try_get("user_id")?,
                email: row.try_get("email")?,
                display_name: row.try_get("display_name")?,
                locale: row.try_get("locale")?,
                time_zone: row.try_get("time_zone")?,
            },
            other_name: row.try_get("other_name")?,
        })
    }
}

/// For a job that writes to one of the two: `reader` is [`DoneBy::Employee`] or [`DoneBy::Practitioner`]. `None` also
/// for an employee whose mailbox is not theirs any more: its next reader learns of no appointment.
pub async fn find_appointment(tx: &mut Tx, id: ConsultationId, reader: DoneBy) -> Result<Option<Appointment>> {
    Ok(sqlx::query_as(
        "SELECT c.id, c.status, c.mode, c.starts_at, c.ends_at, c.ics_sequence, c.cancelled_by, c.free_to_cancel,
                c.expires_at, c.counts, d.status = 'suspended' AS practitioner_suspended,
                c.agreed_at IS NOT NULL OR c.expires_at IS NULL AS was_agreed,
                u.id AS user_id, u.email, u.display_name, u.locale, u.time_zone,
                CASE WHEN $2 = 'employee' THEN p.display_name ELSE e.display_name END AS other_name
         FROM app.consultations c
         JOIN app.practitioners p ON p.id = c.practitioner_id
         JOIN app.users d ON d.id = c.practitioner_id
         JOIN app.users e ON e.id = c.user_id
         JOIN app.users u ON u.id = CASE WHEN $2 = 'employee' THEN c.user_id ELSE c.practitioner_id END
         WHERE c.id = $1 AND ($2 <> 'employee' OR app.has_own_mailbox(c.user_id))",
    )
    .bind(id)
    .bind(reader)
    .fetch_optional(tx.conn())
    .await?)
}

/// For the calling employee or practitioner themselves.
pub async fn find_own_appointment(tx: &mut Tx, id: ConsultationId) -> Result<Option<Appointment>> {
    Ok(sqlx::query_as(
        "SELECT c.id, c.status, c.mode, c.starts_at, c.ends_at, c.ics_sequence, c.cancelled_by, c.free_to_cancel,
                c.expires_at, c.counts, false AS practitioner_suspended,
                c.agreed_at IS NOT NULL OR c.expires_at IS NULL AS was_agreed,
                u.id AS user_id, u.email, u.display_name, u.locale, u.time_zone, '' AS other_name
         FROM app.consultations c JOIN app.users u ON u.id = (SELECT app.user_id())
         WHERE c.id = $1",
    )
    .bind(id)
    .fetch_optional(tx.conn())
    .await?)
}

/// Cancels what a person who left had booked; the cancelled ones.
pub async fn cancel_for_leaver(tx: &mut Tx, leaver: EmployeeId, now: DateTime<Utc>) -> Result<Vec<ConsultationId>> {
    Ok(sqlx::query_scalar("SELECT app.cancel_consultations_of_leaver($1, $2)")
        .bind(leaver)
        .bind(now)
        .fetch_all(tx.conn())
        .await?)
}

/// Cancels what a person whose account is suspended had booked; the cancelled ones.
pub async fn cancel_for_suspended(tx: &mut Tx, person: UserId, now: DateTime<Utc>) -> Result<Vec<ConsultationId>> {
    Ok(sqlx::query_scalar("SELECT app.cancel_consultations_of_suspended($1, $2)")
        .bind(person)
        .bind(now)
        .fetch_all(tx.conn())
        .await?)
}

/// Cancels some of what is booked on the contract of the transaction's company, which was archived; the cancelled ones.
pub async fn cancel_for_archived_company(tx: &mut Tx, now: DateTime<Utc>, most: i32) -> Result<Vec<ConsultationId>> {
    Ok(sqlx::query_scalar("SELECT app.cancel_consultations_of_archived_company($1, $2)")
        .bind(now)
        .bind(most)
        .fetch_all(tx.conn())
        .await?)
}

/// The companies on whose contracts sessions with a practitioner who became inactive are booked.
pub async fn list_companies_with_sessions_of(
    tx: &mut Tx,
    practitioner: PractitionerId,
    now: DateTime<Utc>,
) -> Result<Vec<CompanyId>> {
    Ok(sqlx::query_scalar("SELECT app.companies_with_sessions_of($1, $2)")
        .bind(practitioner)
        .bind(now)
        .fetch_all(tx.conn())
        .await?)
}

/// Cancels what is booked with an inactive practitioner on the contract of the transaction's company; the cancelled ones.
pub async fn cancel_for_inactive_practitioner(
    tx: &mut Tx,
    practitioner: PractitionerId,
    now: DateTime<Utc>,
) -> Result<Vec<ConsultationId>> {
    Ok(sqlx::query_scalar("SELECT app.cancel_consultations_of_inactive_practitioner($1, $2)")
        .bind(practitioner)
        .bind(now)
        .fetch_all(tx.conn())
        .await?)
}
