//! The contract's sessions: how many a person has, what counts, and that nobody gets more.

use chrono::{DateTime, Days, NaiveDate, TimeDelta, TimeZone, Utc};
use chrono_tz::Europe::Paris;
use futures_util::future::join_all;
use huntzen::platform::auth::Role;
use huntzen::platform::ids::{ConsultationId, UserId};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};

use crate::consultations::{free, in_days, wish};
use crate::support::{Answer, Company, TestApp, User};

/// A company, one of its employees, and a practitioner whom they may book.
async fn scene() -> (TestApp, Company, User, User) {
    let app = TestApp::start_with(|name| (name == "DATABASE_ACQUIRE_TIMEOUT_MS").then(|| "30000".to_owned())).await;
    let company = app.company("Acme").await;
    let alice = app.employee(&company).await;
    let dr = app.practitioner().await;
    (app, company, alice, dr)
}

async fn sql(app: &TestApp, statement: impl Into<String>) {
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement.into())).execute(app.db()).await.unwrap();
}

async fn quota(user: &User) -> Value {
    user.get("/me/quota").await.expect(200).json
}

/// What is used and what is left.
async fn balance(user: &User) -> (i64, i64) {
    let quota = quota(user).await;
    (quota["used"].as_i64().unwrap(), quota["remaining"].as_i64().unwrap())
}

/// Books the `n`th free half hour of a day.
async fn book(user: &User, dr: &User, day: NaiveDate, n: usize) -> Answer {
    let start = free(user, dr, day).await.remove(n);
    user.post("/consultations", wish(dr, &start)).await
}

fn today(app: &TestApp) -> NaiveDate {
    app.clock.now().with_timezone(&Paris).date_naive()
}

/// The same person with a token of now.
async fn renewed(app: &TestApp, user: &User) -> User {
    user.with_token(app.session(user.id, Role::Employee, user.company_id).await)
}

#[tokio::test]
async fn a_person_sees_their_sessions_and_the_days_for_which_they_are() {
    let (app, company, alice, dr) = scene().await;
    let starts_on = today(&app) - Days::new(100);
    sql(&app, format!("UPDATE app.companies SET contract_starts_on = '{starts_on}'")).await;
    let year = starts_on + chrono::Months::new(12);
    let expected = |used: i32, ends_on: NaiveDate| {
        json!({"total": 12, "used": used, "remaining": 12 - used, "periodStartsOn": starts_on, "periodEndsOn": ends_on,
               "cancellationWindowHours": 24, "lateCancellationCounts": true, "noShowCounts": true})
    };
    sql(&app, format!("UPDATE app.companies SET contract_ends_on = '{}'", year + Days::new(40))).await;
    assert_eq!(quota(&alice).await, expected(0, year - Days::new(1)));
    book(&alice, &dr, in_days(&app, 2), 0).await.expect(201);
    assert_eq!(quota(&alice).await, expected(1, year - Days::new(1)));
    // the contract may end before its year does
    sql(&app, format!("UPDATE app.companies SET contract_ends_on = '{}'", starts_on + Days::new(200))).await;
    assert_eq!(quota(&alice).await, expected(1, starts_on + Days::new(200)));

    // nobody else sees it, and another person has their own
    assert_eq!(balance(&app.employee(&company).await).await, (0, 12));
    for other in [&company.hr, &company.admin, &dr, &app.platform_admin().await] {
        other.get("/me/quota").await.refused(403, "forbidden");
    }
    app.anonymous().get("/me/quota").await.refused(401, "unauthenticated");
    app.settle().await;
}

#[tokio::test]
async fn who_is_not_covered_any_more_is_told_so_and_a_suspended_company_loses_nothing() {
    let (app, _, alice, _) = scene().await;
    sql(&app, "UPDATE app.companies SET status = 'suspended'").await;
    assert_eq!(balance(&alice).await, (0, 12));
    sql(&app, "UPDATE app.companies SET status = 'active', contract_ends_on = current_date - 1").await;
    alice.get("/me/quota").await.refused(403, "contract_ended");
    sql(&app, "UPDATE app.companies SET contract_ends_on = current_date + 30").await;
    sql(&app, "UPDATE app.employees SET status = 'left', left_at = now()").await;
    alice.get("/me/quota").await.refused(403, "not_covered");
}

#[tokio::test]
async fn a_contract_that_has_not_begun_shows_its_first_year() {
    let (app, _, alice, dr) = scene().await;
    let starts_on = today(&app) + Days::new(5);
    sql(&app, format!("UPDATE app.companies SET contract_starts_on = '{starts_on}'")).await;
    assert_eq!(quota(&alice).await["periodStartsOn"], json!(starts_on));
    book(&alice, &dr, in_days(&app, 6), 0).await.expect(201);
    assert_eq!(balance(&alice).await, (1, 11));
    app.settle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_several_bookings_for_the_last_session_exactly_one_passes() {
    let (app, _, alice, dr) = scene().await;
    let others = [app.practitioner().await, app.practitioner().await, app.practitioner().await];
    sql(&app, "UPDATE app.companies SET sessions_per_employee = 3").await;
    for n in 1..3 {
        book(&alice, &dr, in_days(&app, n), 0).await.expect(201);
    }
    // different practitioners on different days: nothing but the number of sessions stands in the way
    let mut wishes = Vec::new();
    for (n, dr) in others.iter().chain([&dr]).enumerate() {
        for start in free(&alice, dr, in_days(&app, 3 + n as u64)).await.into_iter().step_by(5) {
            wishes.push(wish(dr, &start));
        }
    }
    let answers = join_all(wishes.into_iter().map(|wish| alice.post("/consultations", wish))).await;
    assert_eq!(answers.len(), 16);
    assert_eq!(answers.iter().filter(|answer| answer.status.as_u16() == 201).count(), 1);
    assert_eq!(answers.iter().filter(|answer| answer.json["code"] == "quota_exhausted").count(), 15);
    assert_eq!(balance(&alice).await, (3, 0));
    app.settle().await;
}

/// A booking straight into the database, which is all that keeps the promise here.
async fn insert(
    app: &TestApp,
    conn: &mut PgConnection,
    user: UserId,
    dr: &User,
    at: DateTime<Utc>,
) -> Result<ConsultationId, String> {
    let id: ConsultationId = app.platform.new_id();
    let done = sqlx::query(
        "INSERT INTO app.consultations (id, company_id, user_id, practitioner_id, mode, status, starts_at, ends_at,
                                        busy_from, busy_until, specialty)
         SELECT $1, u.company_id, u.id, $3, 'video', 'confirmed', $4, $4 + interval '30 minutes', $4,
                $4 + interval '30 minutes', 'sleep'
         FROM app.users u WHERE u.id = $2",
    )
    .bind(id)
    .bind(user)
    .bind(dr.id)
    .bind(at)
    .execute(conn)
    .await;
    match done {
        Ok(_) => Ok(id),
        Err(error) => Err(error.as_database_error().unwrap().constraint().unwrap_or_default().to_owned()),
    }
}

async fn connect(app: &TestApp) -> PgConnection {
    PgConnection::connect_with(&app.db().connect_options()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_database_alone_grants_no_session_too_many() {
    let (app, _, alice, dr) = scene().await;
    sql(&app, "UPDATE app.companies SET sessions_per_employee = 4").await;
    let noon = app.clock.now() + TimeDelta::days(3);
    let bookings = join_all((0..12).map(|n| {
        let (app, alice, dr) = (&app, &alice, &dr);
        async move {
            let mut conn = connect(app).await;
            insert(app, &mut conn, alice.id, dr, noon + TimeDelta::hours(n)).await
        }
    }))
    .await;
    assert_eq!(bookings.iter().filter(|it| it.is_ok()).count(), 4);
    assert_eq!(bookings.iter().filter(|it| it.as_ref().is_err_and(|why| why == "consultations_quota")).count(), 8);

    // a snapshot of before the lock would count too few: it is refused
    let mut conn = connect(&app).await;
    sqlx::raw_sql("BEGIN ISOLATION LEVEL REPEATABLE READ").execute(&mut conn).await.unwrap();
    assert!(insert(&app, &mut conn, alice.id, &dr, noon + TimeDelta::days(1)).await.is_err());
}

#[tokio::test]
async fn a_late_cancellation_counts_where_the_company_says_so() {
    let (app, _, alice, dr) = scene().await;
    let cancel = async |user: &User, booked: &Answer| {
        user.post(&format!("/consultations/{}/cancel", booked.str("/id")), json!({})).await.expect(200);
    };
    let early = book(&alice, &dr, in_days(&app, 4), 0).await.expect(201);
    let late = book(&alice, &dr, in_days(&app, 2), 0).await.expect(201);
    let by_dr = book(&alice, &dr, in_days(&app, 2), 1).await.expect(201);
    let pardoned = book(&alice, &dr, in_days(&app, 2), 2).await.expect(201);
    assert_eq!(balance(&alice).await, (4, 8));
    let starts_at: DateTime<Utc> = late.str("/startsAt").parse().unwrap();
    app.clock.advance(starts_at - TimeDelta::hours(23) - app.clock.now());
    let alice = renewed(&app, &alice).await;
    let dr = dr.with_token(app.session(dr.id, Role::Practitioner, None).await);
    cancel(&alice, &early).await;
    assert_eq!(balance(&alice).await, (3, 9));
    cancel(&alice, &late).await;
    assert_eq!(balance(&alice).await, (3, 9));
    cancel(&dr, &by_dr).await;
    assert_eq!(balance(&alice).await, (2, 10));
    // what counted stays counted when the rule changes; what comes follows the new one
    sql(&app, "UPDATE app.company_settings SET late_cancellation_counts = false").await;
    assert_eq!(balance(&alice).await, (2, 10));
    cancel(&alice, &pardoned).await;
    assert_eq!(balance(&alice).await, (1, 11));
    app.settle().await;
}

#[tokio::test]
async fn a_session_to_which_nobody_came_counts_where_the_company_says_so() {
    let (app, _, alice, dr) = scene().await;
    for n in 0..2 {
        book(&alice, &dr, in_days(&app, 2), n).await.expect(201);
    }
    let miss = "UPDATE app.consultations SET status = 'no_show', missed_by = 'employee'
                WHERE id = (SELECT id FROM app.consultations WHERE status = 'confirmed' LIMIT 1)";
    sql(&app, miss).await;
    assert_eq!(balance(&alice).await, (2, 10));
    sql(&app, "UPDATE app.company_settings SET no_show_counts = false").await;
    sql(&app, miss).await;
    assert_eq!(balance(&alice).await, (1, 11));
    app.settle().await;
}

#[tokio::test]
async fn a_session_counts_in_the_year_in_which_it_takes_place() {
    let (app, _, alice, dr) = scene().await;
    let renewal = today(&app) + Days::new(10);
    sql(
        &app,
        format!(
            "UPDATE app.companies SET contract_starts_on = '{renewal}'::date - interval '1 year', sessions_per_employee = 1,
                                      contract_ends_on = '{renewal}'::date + 400"
        ),
    )
    .await;
    book(&alice, &dr, in_days(&app, 9), 0).await.expect(201);
    book(&alice, &dr, in_days(&app, 9), 0).await.refused(409, "quota_exhausted");
    book(&alice, &dr, in_days(&app, 10), 0).await.expect(201);
    book(&alice, &dr, in_days(&app, 11), 0).await.refused(409, "quota_exhausted");
    let both = quota(&alice).await;
    assert_eq!((&both["used"], &both["periodEndsOn"]), (&json!(1), &json!(renewal - Days::new(1))));
    let next = &both["next"];
    assert_eq!((&next["used"], &next["remaining"], &next["periodStartsOn"]), (&json!(1), &json!(0), &json!(renewal)));

    // further ahead than people may book, the next year is nobody's concern yet
    sql(&app, "UPDATE app.company_settings SET booking_horizon_days = 5").await;
    assert!(quota(&alice).await.get("next").is_none());
    // and without a contract there is none
    sql(&app, "UPDATE app.company_settings SET booking_horizon_days = 60").await;
    sql(&app, format!("UPDATE app.companies SET contract_ends_on = '{}'", renewal - Days::new(1))).await;
    assert!(quota(&alice).await.get("next").is_none());
    app.settle().await;
}

#[tokio::test]
async fn a_contract_may_change_in_the_middle_of_its_year() {
    let (app, _, alice, dr) = scene().await;
    sql(&app, "UPDATE app.companies SET sessions_per_employee = 2").await;
    for n in [1, 20] {
        book(&alice, &dr, in_days(&app, n), 0).await.expect(201);
    }
    book(&alice, &dr, in_days(&app, 21), 0).await.refused(409, "quota_exhausted");
    // more sessions
    sql(&app, "UPDATE app.companies SET sessions_per_employee = 3").await;
    book(&alice, &dr, in_days(&app, 21), 0).await.expect(201);
    assert_eq!(balance(&alice).await, (3, 0));
    // fewer than are booked: they stay, and none is left
    sql(&app, "UPDATE app.companies SET sessions_per_employee = 1").await;
    assert_eq!(balance(&alice).await, (3, 0));
    book(&alice, &dr, in_days(&app, 22), 0).await.refused(409, "quota_exhausted");
    // a new contract from the tenth day on: what lies before it is of the old one
    let starts_on = today(&app) + Days::new(10);
    sql(&app, format!("UPDATE app.companies SET sessions_per_employee = 3, contract_starts_on = '{starts_on}'")).await;
    assert_eq!(quota(&alice).await["periodStartsOn"], json!(starts_on));
    assert_eq!(balance(&alice).await, (2, 1));
    app.settle().await;
}

#[tokio::test]
async fn a_year_of_a_contract_begins_on_its_day_by_the_companys_clock() {
    let app = TestApp::start().await;
    let year = async |first: &str, day: &str| -> (String, String) {
        sqlx::query_as("SELECT starts_on::text, next_starts_on::text FROM app.contract_year($1::date, $2::date)")
            .bind(first)
            .bind(day)
            .fetch_one(app.db())
            .await
            .unwrap()
    };
    for (first, day, starts_on, next) in [
        ("2025-03-01", "2025-03-01", "2025-03-01", "2026-03-01"),
        ("2025-03-01", "2026-02-28", "2025-03-01", "2026-03-01"),
        ("2025-03-01", "2026-03-01", "2026-03-01", "2027-03-01"),
        ("2024-02-29", "2025-02-27", "2024-02-29", "2025-02-28"),
        ("2024-02-29", "2025-02-28", "2025-02-28", "2026-02-28"),
        ("2024-02-29", "2028-02-28", "2027-02-28", "2028-02-29"),
        ("2024-02-29", "2028-02-29", "2028-02-29", "2029-02-28"),
        ("2025-12-31", "2026-12-30", "2025-12-31", "2026-12-31"),
        ("2025-03-01", "2025-02-28", "2024-03-01", "2025-03-01"),
        ("2024-02-29", "2023-12-31", "2023-02-28", "2024-02-29"),
    ] {
        assert_eq!(year(first, day).await, (starts_on.to_owned(), next.to_owned()), "{first} {day}");
    }

    // half an hour before midnight in Fort-de-France it is the next day already in Paris
    let company = app.company("Acme").await;
    let (alice, dr) = (app.employee(&company).await, app.practitioner().await);
    let first = today(&app) + Days::new(20);
    sql(
        &app,
        format!("UPDATE app.companies SET contract_starts_on = '{first}'::date - interval '1 year', sessions_per_employee = 1,
                 contract_ends_on = '{first}'::date + 300, time_zone = 'America/Martinique'"),
    )
    .await;
    let midnight = chrono_tz::America::Martinique.from_local_datetime(&first.and_hms_opt(0, 0, 0).unwrap()).unwrap();
    let mut conn = connect(&app).await;
    let mut at = async |minutes: i64| {
        insert(&app, &mut conn, alice.id, &dr, midnight.to_utc() + TimeDelta::minutes(minutes)).await
    };
    assert!(at(-30).await.is_ok());
    assert_eq!(at(-60).await, Err("consultations_quota".to_owned()));
    assert!(at(0).await.is_ok());
    assert_eq!(at(30).await, Err("consultations_quota".to_owned()));
}

#[tokio::test]
async fn a_session_that_is_moved_must_fit_into_the_year_that_it_is_moved_to() {
    let (app, _, alice, dr) = scene().await;
    let renewal = today(&app) + Days::new(10);
    sql(
        &app,
        format!("UPDATE app.companies SET contract_starts_on = '{renewal}'::date - interval '1 year', sessions_per_employee = 1"),
    )
    .await;
    let first = book(&alice, &dr, in_days(&app, 2), 0).await.expect(201).str("/id");
    let move_to = async |days: i32| {
        let sql = format!(
            "UPDATE app.consultations SET starts_at = starts_at + interval '{days} days', ends_at = ends_at + interval '{days} days',
                 busy_from = busy_from + interval '{days} days', busy_until = busy_until + interval '{days} days'
             WHERE id = '{first}'"
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
            .execute(app.db())
            .await
            .err()
            .map(|error| error.as_database_error().unwrap().constraint().unwrap_or_default().to_owned())
    };
    // within its year it takes its own place
    assert_eq!(move_to(1).await, None);
    book(&alice, &dr, in_days(&app, 12), 0).await.expect(201);
    assert_eq!(move_to(10).await, Some("consultations_quota".to_owned()));
    app.settle().await;
}

/// Numbers that look random, the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// What is expected of one session.
struct Expected {
    id: ConsultationId,
    starts_at: DateTime<Utc>,
    counts: bool,
    is_open: bool,
}

#[tokio::test]
async fn after_whatever_happens_the_balance_is_the_count() {
    let (app, company, alice, dr) = scene().await;
    let first_day = today(&app) - Days::new(200);
    let mut total = 5;
    let (mut late_counts, mut missed_counts, mut window) = (true, true, 24_i64);
    sql(
        &app,
        format!("UPDATE app.companies SET contract_starts_on = '{first_day}', contract_ends_on = '{first_day}'::date + 1000,
                 sessions_per_employee = {total}"),
    )
    .await;
    let year_of = |at: DateTime<Utc>| {
        let day = at.with_timezone(&Paris).date_naive();
        (0..4).rev().find(|n| first_day + chrono::Months::new(12 * n) <= day)
    };
    let (mut dice, mut all, mut conn) = (Dice(42), Vec::<Expected>::new(), connect(&app).await);
    let (mut refused, mut turns) = (0, 0);
    let start = Paris.from_local_datetime(&first_day.and_hms_opt(9, 0, 0).unwrap()).unwrap().to_utc();
    while turns < 400 {
        turns += 1;
        match dice.roll(10) {
            0..=4 => {
                // every one on a day of its own, over three years
                let starts_at =
                    start + TimeDelta::days(i64::try_from(dice.roll(900)).unwrap()) + TimeDelta::hours(turns % 9);
                if all.iter().any(|it| (it.starts_at - starts_at).abs() < TimeDelta::hours(1)) {
                    continue;
                }
                let used = all.iter().filter(|it| it.counts && year_of(it.starts_at) == year_of(starts_at)).count();
                match insert(&app, &mut conn, alice.id, &dr, starts_at).await {
                    Ok(id) => {
                        assert!(used < total, "turn {turns}: one too many");
                        all.push(Expected { id, starts_at, counts: true, is_open: true });
                    }
                    Err(why) => {
                        assert_eq!(why, "consultations_quota", "turn {turns}");
                        assert!(used >= total, "turn {turns}: {used} of {total}");
                        refused += 1;
                    }
                }
            }
            5..=7 => {
                let open: Vec<usize> = (0..all.len()).filter(|n| all[*n].is_open).collect();
                let Some(n) = open.get(usize::try_from(dice.roll(open.len().max(1) as u64)).unwrap()) else { continue };
                let it = &mut all[*n];
                it.is_open = false;
                let hours = i64::try_from(dice.roll(72)).unwrap();
                let change = match dice.roll(4) {
                    0 => {
                        it.counts = missed_counts;
                        "status = 'no_show', missed_by = 'employee'".to_owned()
                    }
                    1 => {
                        it.counts = false;
                        let at = it.starts_at.to_rfc3339();
                        format!("status = 'cancelled', cancelled_by = 'practitioner', cancelled_at = '{at}'")
                    }
                    _ => {
                        it.counts = late_counts && hours < window;
                        let at = (it.starts_at - TimeDelta::hours(hours)).to_rfc3339();
                        format!("status = 'cancelled', cancelled_by = 'employee', cancelled_at = '{at}'")
                    }
                };
                sql(&app, format!("UPDATE app.consultations SET {change} WHERE id = '{}'", it.id)).await;
            }
            8 => {
                (late_counts, missed_counts) = (dice.roll(2) == 0, dice.roll(2) == 0);
                window = i64::try_from(dice.roll(60)).unwrap();
                sql(
                    &app,
                    format!(
                        "UPDATE app.company_settings SET late_cancellation_counts = {late_counts},
                             no_show_counts = {missed_counts}, cancellation_window_hours = {window}"
                    ),
                )
                .await;
            }
            _ => {
                total = usize::try_from(3 + dice.roll(12)).unwrap();
                sql(&app, format!("UPDATE app.companies SET sessions_per_employee = {total}")).await;
            }
        }
        if turns % 20 == 0 {
            let used = all.iter().filter(|it| it.counts && year_of(it.starts_at) == Some(0)).count();
            let shown = quota(&alice).await;
            assert_eq!(shown["used"], json!(used), "turn {turns}");
            assert_eq!(shown["remaining"], json!(total.saturating_sub(used)), "turn {turns}");
        }
    }
    assert!(refused > 20 && all.len() > 20, "{refused} refused, {} booked", all.len());
    let counted = app.count("SELECT count(*) FROM app.consultations WHERE counts").await;
    assert_eq!(counted, i64::try_from(all.iter().filter(|it| it.counts).count()).unwrap());
    // nobody else's sessions are among them
    assert_eq!(balance(&app.employee(&company).await).await.0, 0);
}

/// Waits until somebody in the test's database waits for a lock.
async fn somebody_waits(app: &TestApp) {
    let waits = async {
        while app
            .count(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
            )
            .await
            == 0
        {
            // the others need the processor, too
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), waits).await.expect("somebody waits for a lock");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_booking_waits_for_the_change_that_forbids_it() {
    for (change, status, code) in [
        ("UPDATE app.employees SET status = 'left', left_at = now()", 403, "not_covered"),
        ("UPDATE app.companies SET status = 'suspended'", 403, "company_suspended"),
        ("UPDATE app.companies SET status = 'archived'", 403, "company_archived"),
        ("UPDATE app.companies SET contract_ends_on = contract_starts_on + 1", 403, "contract_ended"),
        ("UPDATE app.companies SET network = 'restricted'", 404, "not_found"),
        ("UPDATE app.practitioners SET status = 'inactive'", 404, "not_found"),
        ("UPDATE app.companies SET sessions_per_employee = 0", 409, "quota_exhausted"),
    ] {
        let (app, _, alice, dr) = scene().await;
        let start = free(&alice, &dr, in_days(&app, 2)).await.remove(0);
        let mut changing = connect(&app).await;
        sqlx::raw_sql("BEGIN").execute(&mut changing).await.unwrap();
        sqlx::raw_sql(change).execute(&mut changing).await.unwrap();
        let booking = tokio::spawn({
            let (alice, wish) = (alice.clone(), wish(&dr, &start));
            async move { alice.post("/consultations", wish).await }
        });
        somebody_waits(&app).await;
        sqlx::raw_sql("COMMIT").execute(&mut changing).await.unwrap();
        booking.await.unwrap().refused(status, code);
        assert_eq!(app.count("SELECT count(*) FROM app.consultations").await, 0, "{change}");
        app.settle().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_leaves_while_they_book_keeps_nothing_booked() {
    let (app, company, alice, dr) = scene().await;
    let mut booking = connect(&app).await;
    sqlx::raw_sql("BEGIN").execute(&mut booking).await.unwrap();
    insert(&app, &mut booking, alice.id, &dr, app.clock.now() + TimeDelta::days(3)).await.unwrap();
    let entry: uuid::Uuid = sqlx::query_scalar("SELECT employee_id FROM app.users WHERE id = $1")
        .bind(alice.id)
        .fetch_one(app.db())
        .await
        .unwrap();
    let leaving = tokio::spawn({
        let hr = company.hr.clone();
        async move { hr.delete(&format!("/employees/{entry}")).await }
    });
    somebody_waits(&app).await;
    sqlx::raw_sql("COMMIT").execute(&mut booking).await.unwrap();
    leaving.await.unwrap().expect(204);
    app.settle().await;
    assert_eq!(app.count("SELECT count(*) FROM app.consultations WHERE status = 'cancelled' AND NOT counts").await, 1);
}
