//! Employees book: each another slot; and 200 clients 50 slots, then the next 50, and so on. Against pgbench doing what a
//! booking writes, in the same kind of transaction, with the server's own statements. On a copy of the database, which is
//! dropped afterwards: nobody else's lists grow.

use chrono::{DateTime, Days, NaiveTime, Utc};
use huntzen::domain::consultations::store::{INSERT, INSERT_EVENT, LOCK_BOOKINGS};
use huntzen::platform::auth::{Caller, Role};
use huntzen::platform::db::DbRole;
use huntzen::platform::http::idempotency::{KEEP, TAKE};
use huntzen::platform::ids::{CompanyId, SessionId, UserId};
use huntzen::platform::{audit, jobs};
use sqlx::PgConnection;

use crate::support::database::Database;
use crate::support::floor::Floor;
use crate::support::generator::{Bookings, Load};
use crate::support::measure::{Line, Sample, middle};
use crate::support::server::Server;
use crate::{Args, Outcome};

/// Who books: of each company's hundred, those who have no sessions yet.
const PEOPLE: u32 = 1_000;
const WITHOUT_SESSIONS: u32 = 60;
const PRACTITIONER: &str = "01941f29-7c09-7000-8000-";
/// What a consultation of the floor is called; each transaction makes its own, in the order of time.
const CONSULTATION: &str = "01941f29-7c0a-7000-8000-";

struct Shape {
    name: &'static str,
    connections: u32,
    contenders: u32,
    /// On each side; of which so many have slots in one round.
    practitioners: u32,
    abreast: u32,
    /// The number of the first practitioner.
    first: u32,
}

/// Each connection books with another practitioner, and at another time than anybody else.
pub async fn uncontended(args: &Args, database: &Database) -> Outcome<Line> {
    let connections = args.connections;
    let practitioners = connections * 16;
    let name = "book";
    measure(args, database, &Shape { name, connections, contenders: 1, practitioners, abreast: connections, first: 0 })
        .await
}

/// Four want each of the 50 slots of ten practitioners.
pub async fn contended(args: &Args, database: &Database) -> Outcome<Line> {
    let name = "book_contended";
    let first = 100_000;
    measure(args, database, &Shape { name, connections: 200, contenders: 4, practitioners: 50, abreast: 10, first })
        .await
}

async fn measure(args: &Args, database: &Database, shape: &Shape) -> Outcome<Line> {
    if args.scale * WITHOUT_SESSIONS < PEOPLE {
        return Err("there are too few people: --scale 17 at least".into());
    }
    let mut conn = database.connect().await?;
    let opens = prepare(&mut conn, shape).await?;
    // what is enqueued stays: who tells people of bookings is another process
    let server = Server::start_with(&args.server, database, &["serve", "--no-worker"]).await?;
    let tokens = log_in(args, &mut conn, &server).await?;
    let bookings = Bookings {
        practitioner: PRACTITIONER.into(),
        first: shape.first,
        practitioners: shape.practitioners,
        abreast: shape.abreast,
        contenders: shape.contenders,
        opens,
        round: 0,
    };
    let path = "/api/v1/consultations".into();
    let mut load =
        Load { address: server.address, path, tokens, connections: shape.connections, bookings: Some(bookings) };
    let mut told = 0;
    let mut ours = |seconds| -> Outcome<Sample> {
        let before = server.usage()?;
        let mut sample = load.run(seconds)?;
        sample.server = Some(server.usage()?.since(before));
        told += sample.granted;
        if let Some(bookings) = &mut load.bookings {
            bookings.round += sample.rounds;
        }
        Ok(sample)
    };
    ours(2)?;
    let answer: i64 =
        sqlx::query_scalar("SELECT coalesce(avg(length(answer::text)), 0)::bigint FROM app.idempotency_keys")
            .fetch_one(&mut conn)
            .await?;
    // the same people, who are in one place at a time
    let later = opens + Days::new(28);
    let mut floor =
        Floor::new(database, DbRole::Employee, &script(args, shape, later, answer), &[], shape.connections)?;
    let mut its = async |conn: &mut PgConnection, seconds| -> Outcome<Sample> {
        let (rounds, before) = of_floor(conn, shape).await?;
        floor.set("round", &rounds);
        let mut sample = floor.run(seconds)?;
        let booked = of_floor(conn, shape).await?.1 - before;
        sample.rate = f64::from(i32::try_from(booked)?) / f64::from(seconds);
        Ok(sample)
    };
    its(&mut conn, 2).await?;

    let mut line = Line::new(shape.name);
    for pair in 1..=args.pairs {
        let ours = ours(args.seconds)?;
        let its = its(&mut conn, args.seconds).await?;
        eprintln!("{} {pair}/{}: ours {ours}, floor {its}", shape.name, args.pairs);
        line.add(ours, its);
    }
    line.peak_kib = server.usage()?.peak_kib;
    let answers = middle(&line.ours, |sample| sample.answers);
    server.stop()?;
    let wrong = wrong(&mut conn, shape, told).await?;
    line.notes.push(format!(
        "{}  bookings a second, by {} clients on {} slots at a time; {answers:.0} answers a second, refusals included; {wrong} wrong of {told} (aim: 0; rate: 0.40)",
        shape.name,
        shape.connections,
        shape.connections / shape.contenders,
    ));
    if wrong > 0 { Err(line.notes.concat().into()) } else { Ok(line) }
}

/// A session for each of the people.
async fn log_in(args: &Args, conn: &mut PgConnection, server: &Server) -> Outcome<Vec<String>> {
    let mut tokens = Vec::new();
    for person in 0..PEOPLE {
        let account = account(args, person);
        let id = |kind: u32, n: u32| format!("01941f29-7c{kind:02}-7000-8000-{n:012}").parse();
        let session_id = SessionId(id(11, account)?);
        let (user_id, company_id) = (UserId(id(3, account)?), CompanyId(id(1, account / 100)?));
        sqlx::query(
            "INSERT INTO app.user_sessions (id, user_id, created_at, last_used_at, expires_at)
             VALUES ($1, $2, now(), now(), now() + interval '1 day') ON CONFLICT DO NOTHING",
        )
        .bind(session_id)
        .bind(user_id)
        .execute(&mut *conn)
        .await?;
        let company_id = Some(company_id);
        let caller = Caller { user_id, role: Role::Employee, company_id, session_id, totp_setup_required: false };
        tokens.push(server.sign(&caller)?);
    }
    Ok(tokens)
}

/// The people are spread over the companies.
fn account(args: &Args, person: u32) -> u32 {
    person % args.scale * 100 + 100 - WITHOUT_SESSIONS + person / args.scale
}

/// Practitioners of the workload, open day and night, and contracts that grant enough. When they open.
async fn prepare(conn: &mut PgConnection, shape: &Shape) -> Outcome<DateTime<Utc>> {
    sqlx::raw_sql("UPDATE app.companies SET sessions_per_employee = 1000").execute(&mut *conn).await?;
    for sql in [
        "INSERT INTO app.users (id, email, password_hash, role, display_name, status)
         SELECT (it || lpad(n::text, 12, '0'))::uuid, 'booked-' || n || '@bench.test', 'x', 'practitioner', 'Practitioner ' || n, 'active'
         FROM unnest(ARRAY[$1]) it, generate_series($2, $2 + 2 * $3 - 1) n",
        "INSERT INTO app.practitioners (id, display_name, languages, modes, time_zone, session_lengths, min_notice_minutes,
                                        hourly_rate_cents, status, verified_at, verified_checks)
         SELECT (it || lpad(n::text, 12, '0'))::uuid, 'Practitioner ' || n, '{fr,en}', '{video}', 'UTC', '{30}', 0, 8000, 'active',
                now(), '{identity}'
         FROM unnest(ARRAY[$1]) it, generate_series($2, $2 + 2 * $3 - 1) n",
        "INSERT INTO app.practitioner_specialties (practitioner_id, specialty)
         SELECT (it || lpad(n::text, 12, '0'))::uuid, 'coaching'
         FROM unnest(ARRAY[$1]) it, generate_series($2, $2 + 2 * $3 - 1) n",
        "INSERT INTO app.availability_rules (id, practitioner_id, weekday, starts_minute, ends_minute)
         SELECT gen_random_uuid(), (it || lpad(n::text, 12, '0'))::uuid, day, 0, 1440
         FROM unnest(ARRAY[$1]) it, generate_series($2, $2 + 2 * $3 - 1) n, generate_series(1, 7) day",
    ] {
        sqlx::query(sql)
            .bind(PRACTITIONER)
            .bind(i32::try_from(shape.first)?)
            .bind(i32::try_from(shape.practitioners)?)
            .execute(&mut *conn)
            .await?;
    }
    sqlx::raw_sql("ANALYZE").execute(&mut *conn).await?;
    let today: DateTime<Utc> = sqlx::query_scalar("SELECT now()").fetch_one(conn).await?;
    Ok((today.date_naive() + Days::new(1)).and_time(NaiveTime::MIN).and_utc())
}

/// What a booking writes, statement by statement, by the same people, with practitioners of its own. The round is
/// counted by each client.
fn script(args: &Args, shape: &Shape, opens: DateTime<Utc>, answer: i64) -> String {
    let Shape { connections, contenders, practitioners, abreast, .. } = *shape;
    let slots = connections / contenders;
    let deep = slots / abreast;
    let (scale, first_account) = (args.scale, 100 - WITHOUT_SESSIONS);
    let first = shape.first + practitioners;
    let starts = format!("(timestamptz '{}' + :slot::int * interval '30 minutes')", opens.to_rfc3339());
    let ends = format!("({starts} + interval '30 minutes')");
    let id = format!("('{CONSULTATION}' || lpad(:number::text, 12, '0'))::uuid");
    let practitioner = format!("('{PRACTITIONER}' || lpad(:practitioner::text, 12, '0'))::uuid");
    let department = "('01941f29-7c05-7000-8000-' || lpad((:company * 5 + :account % 5)::text, 12, '0'))::uuid";
    let key = format!("encode(sha256(('{first}-' || :number::text)::bytea), 'base64')");
    let insert = bind(
        INSERT,
        &[
            &id,
            &practitioner,
            "'video'",
            &starts,
            &ends,
            &starts,
            &ends,
            "'coaching'",
            department,
            "now()",
            "now()",
            "p.updated_at",
        ],
    );
    // who is late is told so, and does not fail
    let insert = insert.replace("RETURNING status", "ON CONFLICT DO NOTHING RETURNING status");
    let company = "app.company_id()";
    let job = format!("ARRAY[jsonb_build_object('consultation_id', {id})]");
    let statements = [
        bind(TAKE, &[&key, "sha256('x'::bytea)"]),
        bind(LOCK_BOOKINGS, &["app.user_id()", &practitioner]),
        format!("WITH booked AS ({insert}) SELECT count(*) AS won FROM booked \\gset\n\\if :won\nSELECT 1"),
        bind(INSERT_EVENT, &[company, &id, "'BOOKED'", "now()", "'employee'"]),
        bind(
            jobs::ENQUEUE,
            &[
                "'events'",
                "'consultations.booked'",
                &job,
                &format!("ARRAY['consultations.booked:' || {id}::text]"),
                "NULL",
                "8",
            ],
        ),
        bind(
            audit::WRITE,
            &[
                "'consultation.booked'",
                "'consultation'",
                &id,
                "NULL",
                "NULL",
                "NULL",
                "'success'",
                "'{}'",
                "'127.0.0.1'",
                "'01941f29-7c0a-7000-8000-000000000000'",
            ],
        ),
        bind(KEEP, &[&key, &format!("to_jsonb(repeat('x', {answer}))")]),
    ];
    let statements = statements.join(";\n").replace("\\if :won\nSELECT 1;\n", "\\if :won\n");
    format!(
        "\\set person (:round * {connections} + :client_id) % {PEOPLE}
\\set account :person % {scale} * 100 + {first_account} + :person / {scale}
\\set company :account / 100
\\set wanted :client_id % {slots}
\\set practitioner {first} + (:round * {abreast} + :wanted % {abreast}) % {practitioners}
\\set slot :round * {abreast} / {practitioners} * {deep} + :wanted / {abreast}
\\set number {first} * 1000000 + :round * {connections} + :client_id
\\set round :round + 1
BEGIN;
SELECT set_config('app.user_id', '01941f29-7c03-7000-8000-' || lpad(:account::text, 12, '0'), true),
       set_config('app.company_id', '01941f29-7c01-7000-8000-' || lpad(:company::text, 12, '0'), true);
{statements};
COMMIT;
\\else
ROLLBACK;
\\endif
"
    )
}

/// The server's statement with something in the place of each of its values.
fn bind(statement: &str, values: &[&str]) -> String {
    // from the last, because the first is the beginning of the tenth
    values
        .iter()
        .enumerate()
        .rev()
        .fold(statement.to_owned(), |statement, (index, value)| statement.replace(&format!("${}", index + 1), value))
}

/// The floor's next round, and how many it booked.
async fn of_floor(conn: &mut PgConnection, shape: &Shape) -> Outcome<(i64, i64)> {
    let first = i64::from(shape.first + shape.practitioners) * 1_000_000;
    let (rounds, booked): (i64, i64) = sqlx::query_as(
        "SELECT coalesce(max(right(id::text, 12)::bigint - $2) / $3 + 1, 0), count(*) FROM app.consultations
         WHERE id BETWEEN ($1 || lpad($2::text, 12, '0'))::uuid AND ($1 || lpad(($2 + 99999999)::text, 12, '0'))::uuid",
    )
    .bind(CONSULTATION)
    .bind(first)
    .bind(i64::from(shape.connections))
    .fetch_one(conn)
    .await?;
    Ok((rounds, booked))
}

/// What must not be, of the bookings of both sides: times that overlap, sessions without their event, entry or job, and
/// bookings that people were told of and that are not there, or the other way round.
async fn wrong(conn: &mut PgConnection, shape: &Shape, told: u64) -> Outcome<i64> {
    let wrong: i64 = sqlx::query_scalar(
        "WITH its AS (
             SELECT c.* FROM app.consultations c WHERE c.practitioner_id BETWEEN ($1 || lpad($2::text, 12, '0'))::uuid
                                                                          AND ($1 || lpad(($2 + 2 * $3 - 1)::text, 12, '0'))::uuid
         ), ours AS (SELECT * FROM its WHERE practitioner_id < ($1 || lpad(($2 + $3)::text, 12, '0'))::uuid)
         SELECT (SELECT count(*) FROM (SELECT busy_from < lag(busy_until) OVER (PARTITION BY practitioner_id ORDER BY busy_from) AS is
                                       FROM its) overlap WHERE overlap.is)
              + (SELECT count(*) FROM (SELECT starts_at < lag(ends_at) OVER (PARTITION BY user_id ORDER BY starts_at) AS is
                                       FROM its) overlap WHERE overlap.is)
              + (SELECT count(*) FROM its WHERE 1 <> (SELECT count(*) FROM app.consultation_events e WHERE e.consultation_id = its.id))
              + abs((SELECT count(*) FROM its) - (SELECT count(*) FROM its JOIN app.audit_logs a ON a.object_id = its.id))
              + abs((SELECT count(*) FROM its) - (SELECT count(*) FROM its JOIN apalis.jobs j
                                                  ON j.idempotency_key = 'consultations.booked:' || its.id))
              + abs((SELECT count(*) FROM ours) - $4)",
    )
    .bind(PRACTITIONER)
    .bind(i32::try_from(shape.first)?)
    .bind(i32::try_from(shape.practitioners)?)
    .bind(i64::try_from(told)?)
    .fetch_one(conn)
    .await?;
    Ok(wrong)
}
