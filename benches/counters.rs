//! Usage counters: the same question at histories of different length, and what counting costs there. Each history is a database
//! of its own, counted and published on a copy: once of many companies of one size, once of a single one that has all of it.

use std::time::{Duration, Instant};

use huntzen::platform::auth::{Caller, Role};
use huntzen::platform::ids::{CompanyId, SessionId, UserId};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::support::database::Database;
use crate::support::generator::Load;
use crate::support::measure::{Line, Sample, middle};
use crate::support::server::Server;
use crate::{Args, Outcome};

const EVENTS_OF_A_COMPANY: u64 = 3000;

/// Whose a history is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// More companies the longer it is.
    Many,
    /// One company's alone: what grows for a customer.
    One,
}

impl Whose {
    fn names(self) -> [&'static str; 3] {
        match self {
            Self::Many => ["usage_short", "usage_middle", "usage_long"],
            Self::One => ["usage_one_short", "usage_one_middle", "usage_one_long"],
        }
    }
}

/// One line for each history; the floor of each is the shortest one of its kind.
pub async fn measure(args: &Args) -> Outcome<Vec<Line>> {
    let mut lines = grow(args, Whose::Many).await?;
    lines.extend(grow(args, Whose::One).await?);
    Ok(lines)
}

async fn grow(args: &Args, whose: Whose) -> Outcome<Vec<Line>> {
    let mut lines: Vec<Line> = Vec::new();
    for (name, events) in whose.names().into_iter().zip(&args.events) {
        let companies = u32::try_from((events / EVENTS_OF_A_COMPANY).max(1))?;
        let database = Database::prepare(&args.server, companies).await?;
        let copy = database.copy(&args.server).await?;
        let mut conn = copy.connect().await?;
        if whose == Whose::One {
            gather(&mut conn).await?;
        }
        let counted: i64 =
            sqlx::query_scalar("SELECT count(*) FROM app.consultation_events").fetch_one(&mut conn).await?;
        let first = first_count(&mut conn).await?;
        let later = time(&mut conn, "SELECT stats.refresh(now(), false)", 3).await?;
        let all = time(&mut conn, "SELECT stats.refresh(now(), true)", 3).await?;
        while sqlx::query_scalar::<_, i32>("SELECT stats.publish(50)").fetch_one(&mut conn).await? > 0 {}

        let server = Server::start(&args.server, &copy).await?;
        let load = load(&mut conn, &server).await?;
        load.run(2)?;
        let mut line = Line::new(name);
        for pair in 1..=args.pairs {
            let before = server.usage()?;
            let mut ours = load.run(args.seconds)?;
            ours.server = Some(server.usage()?.since(before));
            eprintln!("{name} {pair}/{}: {ours}", args.pairs);
            let shortest = lines.first().and_then(|line| line.ours.get(line.floor.len().min(line.ours.len() - 1)));
            let floor = shortest.cloned().unwrap_or_else(|| ours.clone());
            line.add(ours, floor);
        }
        line.peak_kib = server.usage()?.peak_kib;
        line.notes.push(format!(
            "{name}  {counted} events{}, a company's 12 months by specialty and mode: p95 {:.1} ms, {:.2} times the shortest \
             history's, aim: at most 1.3; counting what is not published {later:.0?}, all of history {all:.0?}, the first \
             time with publishing {first:.1?}",
            if whose == Whose::One { " of one company" } else { "" },
            middle(&line.ours, |sample: &Sample| sample.p95),
            line.ratio(|sample| sample.p95),
        ));
        server.stop()?;
        lines.push(line);
        copy.discard().await?;
        database.stop();
    }
    Ok(lines)
}

/// Gives one company the people, departments and sessions of all.
async fn gather(conn: &mut PgConnection) -> Outcome {
    let begun = Instant::now();
    eprintln!("giving all of it to one company");
    sqlx::raw_sql(
        "SET session_replication_role = replica;
         CREATE TEMP TABLE one AS SELECT company_id AS id FROM app.consultations ORDER BY company_id LIMIT 1;
         UPDATE app.departments d SET company_id = one.id, name = left(d.name, 40) || ' ' || d.id
             FROM one WHERE d.company_id <> one.id;
         UPDATE app.employees e SET company_id = one.id FROM one WHERE e.company_id <> one.id;
         UPDATE app.users u SET company_id = one.id FROM one WHERE u.company_id <> one.id;
         UPDATE app.consultations c SET company_id = one.id FROM one WHERE c.company_id <> one.id;
         UPDATE app.consultation_events e SET company_id = one.id FROM one WHERE e.company_id <> one.id;
         DROP TABLE one;
         SET session_replication_role = DEFAULT",
    )
    .execute(&mut *conn)
    .await?;
    sqlx::raw_sql("VACUUM (ANALYZE)").execute(&mut *conn).await?;
    eprintln!("gathered in {:.0?}", begun.elapsed());
    Ok(())
}

/// Counts and publishes everything, so many months at a time as the first schedule after an upgrade does.
async fn first_count(conn: &mut PgConnection) -> Outcome<Duration> {
    let begun = Instant::now();
    sqlx::query("SELECT stats.refresh(now(), true)").execute(&mut *conn).await?;
    while sqlx::query_scalar::<_, i32>("SELECT stats.publish(50)").fetch_one(&mut *conn).await? > 0 {}
    Ok(begun.elapsed())
}

/// The middle one of some runs.
async fn time(conn: &mut PgConnection, statement: &'static str, times: usize) -> Outcome<Duration> {
    let mut took = Vec::new();
    for _ in 0..times {
        let begun = Instant::now();
        sqlx::query(statement).execute(&mut *conn).await?;
        took.push(begun.elapsed());
    }
    took.sort_unstable();
    Ok(took.get(times / 2).copied().unwrap_or_default())
}

/// HR of one company asks for its last twelve months, again and again.
async fn load(conn: &mut PgConnection, server: &Server) -> Outcome<Load> {
    let company: Uuid = sqlx::query_scalar("SELECT company_id FROM app.usage_months GROUP BY 1 ORDER BY 1 LIMIT 1")
        .fetch_one(&mut *conn)
        .await?;
    let (hr, session_id) = (Uuid::new_v4(), SessionId(Uuid::new_v4()));
    // the session is looked up where the server is behind with what it knows of them
    sqlx::query(
        "WITH hr AS (INSERT INTO app.users (id, email, password_hash, role, display_name, status, company_id)
                     VALUES ($1, $1::text || '@bench.test', 'x', 'hr', 'HR', 'active', $2) RETURNING id)
         INSERT INTO app.user_sessions (id, user_id, created_at, last_used_at, expires_at)
         SELECT $3, id, now(), now(), now() + interval '1 day' FROM hr",
    )
    .bind(hr)
    .bind(company)
    .bind(session_id)
    .execute(&mut *conn)
    .await?;
    let (from, to): (String, String) = sqlx::query_as(
        "SELECT to_char(max(month) - interval '11 months', 'YYYY-MM'), to_char(max(month), 'YYYY-MM') FROM app.usage_months",
    )
    .fetch_one(&mut *conn)
    .await?;
    let caller = Caller {
        user_id: UserId(hr),
        role: Role::Hr,
        company_id: Some(CompanyId(company)),
        session_id,
        totp_setup_required: false,
    };
    let path = format!("/api/v1/reports/usage?from={from}&to={to}&by=specialty,mode");
    Ok(Load { address: server.address, path, tokens: vec![server.sign(&caller)?], connections: 1, bookings: None })
}
