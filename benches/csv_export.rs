//! A file of many lines, from asking to ready, against PostgreSQL's COPY of the same rows; and the memory that it takes.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use huntzen::platform::auth::{Caller, Role};
use huntzen::platform::ids::{SessionId, UserId};
use serde_json::{Value, json};
use sqlx::{PgConnection, raw_sql};
use uuid::Uuid;

use crate::support::database::Database;
use crate::support::measure::{Line, Sample, Usage};
use crate::support::server::Server;
use crate::{Args, Outcome};

pub async fn measure(args: &Args, copy: &Database) -> Outcome<Line> {
    let mut conn = copy.connect().await?;
    let practitioner = fill(&mut conn, args.rows).await?;
    let session_id = SessionId(Uuid::new_v4());
    sqlx::query(
        "INSERT INTO app.user_sessions (id, user_id, created_at, last_used_at, expires_at)
         VALUES ($1, $2, now(), now(), now() + interval '1 day')",
    )
    .bind(session_id)
    .bind(practitioner)
    .execute(&mut conn)
    .await?;
    let server = Server::start(&args.server, copy).await?;
    let caller = Caller {
        user_id: UserId(practitioner),
        role: Role::Practitioner,
        company_id: None,
        session_id,
        totp_setup_required: false,
    };
    let token = server.sign(&caller)?;
    // a month first, so that what a process takes to write any file is not counted; and a quarter of the lines, to tell what
    // grows with them
    export(&server, &token, "2024-01", "2024-01").await?;
    let at_rest = Usage::resident_kib(server.pid())?;
    let (quarter, _) = export(&server, &token, "2024-01", "2024-06").await?;
    let of_quarter = server.usage()?.peak_kib;
    let mut line = Line::new("csv_export");
    for pair in 1..=args.pairs {
        let (rows, took) = export(&server, &token, "2024-01", "2025-12").await?;
        if rows < u64::from(args.rows) {
            return Err(format!("{rows} lines of {}", args.rows).into());
        }
        let ours = sample(rows, took);
        let floor = sample(rows, floor(copy, practitioner)?);
        eprintln!("csv_export {pair}/{}: ours {:.0} rows/s, COPY {:.0} rows/s", args.pairs, ours.rate, floor.rate);
        line.add(ours, floor);
    }
    line.peak_kib = server.usage()?.peak_kib;
    line.notes.push(format!(
        "csv_export  {} lines, {:.2} of COPY's rate, aim: 0.5; the process held {} MiB before, at most {} MiB more with {quarter} \
         lines and {} MiB more with all, aim: 32",
        args.rows,
        line.ratio(|sample| sample.rate),
        at_rest / 1024,
        of_quarter.saturating_sub(at_rest) / 1024,
        line.peak_kib.saturating_sub(at_rest) / 1024,
    ));
    server.stop()?;
    Ok(line)
}

#[allow(clippy::cast_precision_loss)]
fn sample(rows: u64, took: Duration) -> Sample {
    let ms = took.as_secs_f64() * 1000.0;
    Sample { rate: rows as f64 / took.as_secs_f64(), p50: ms, p95: ms, p99: ms, count: rows, ..Sample::default() }
}

/// So many sessions of one practitioner in two years that are over, and whose payroll is published: the file keeps them as they
/// were then.
async fn fill(conn: &mut PgConnection, rows: u32) -> Outcome<Uuid> {
    let practitioner: Uuid =
        sqlx::query_scalar("SELECT id FROM app.practitioners ORDER BY id LIMIT 1").fetch_one(&mut *conn).await?;
    // they overlap, and nobody could have booked them
    raw_sql("SET session_replication_role = replica").execute(&mut *conn).await?;
    sqlx::query(
        "INSERT INTO app.consultations (id, company_id, user_id, practitioner_id, mode, status, starts_at, ends_at, busy_from,
             busy_until, specialty, duration_minutes, seen_minutes)
         SELECT gen_random_uuid(), u.company_id, u.id, $1, 'video', 'completed', at, at + interval '50 minutes', at,
                at + interval '50 minutes', 'sleep', 50, 49
         FROM (SELECT id, company_id FROM app.users WHERE role = 'employee' ORDER BY id LIMIT 1) u, generate_series(1, $2::int) n,
              LATERAL (SELECT timestamptz '2024-01-02 08:00Z' + n * (interval '700 days' / $2::int) AS at) it",
    )
    .bind(practitioner)
    .bind(i32::try_from(rows)?)
    .execute(&mut *conn)
    .await?;
    // months that were published before do not know of them
    raw_sql("DELETE FROM app.payroll_sessions; DELETE FROM app.payroll_lines; DELETE FROM app.payroll_months")
        .execute(&mut *conn)
        .await?;
    raw_sql("SET session_replication_role = origin; ANALYZE app.consultations").execute(&mut *conn).await?;
    raw_sql("SELECT stats.refresh(now(), true)").execute(&mut *conn).await?;
    while sqlx::query_scalar::<_, i32>("SELECT stats.publish(50)").fetch_one(&mut *conn).await? > 0 {}
    raw_sql("ANALYZE app.payroll_sessions").execute(&mut *conn).await?;
    Ok(practitioner)
}

/// Asks for a file and waits until it is ready: its lines, and how long it took.
async fn export(server: &Server, token: &str, from: &str, to: &str) -> Outcome<(u64, Duration)> {
    let client = reqwest::Client::new();
    let url = format!("http://{}/api/v1/exports", server.address);
    let body = json!({"kind": "practitioner_activity", "from": from, "to": to});
    let begun = Instant::now();
    let asked: Value =
        client.post(&url).bearer_auth(token).json(&body).send().await?.error_for_status()?.json().await?;
    let id = asked.get("id").and_then(Value::as_str).ok_or("no id")?.to_owned();
    loop {
        let now: Value =
            client.get(format!("{url}/{id}")).bearer_auth(token).send().await?.error_for_status()?.json().await?;
        match now.get("status").and_then(Value::as_str) {
            Some("ready") => {
                return Ok((now.get("rowCount").and_then(Value::as_u64).unwrap_or_default(), begun.elapsed()));
            }
            Some("failed") => return Err(format!("the export failed: {now}").into()),
            _ if begun.elapsed() > Duration::from_mins(5) => {
                return Err("the export is not ready after five minutes".into());
            }
            _ => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

/// COPY of the same columns to a file, by the owner: no row security stands in its way.
fn floor(copy: &Database, practitioner: Uuid) -> Outcome<Duration> {
    let statement = format!(
        "COPY (SELECT s.starts_at, date_part('epoch', s.ends_at - s.starts_at)::int / 60, s.specialty, s.mode, s.status,
                      s.duration_minutes, s.seen_minutes, s.times_differ, s.hourly_rate_cents, s.currency,
                      app.session_fee(s.hourly_rate_cents, s.duration_minutes)
               FROM app.payroll_sessions s
               WHERE s.practitioner_id = '{practitioner}' AND s.starts_at >= '2024-01-01' AND s.starts_at < '2026-01-01'
               ORDER BY s.starts_at, s.consultation_id) TO STDOUT (FORMAT csv, FORCE_QUOTE *)"
    );
    let url =
        copy.settings().into_iter().find(|(name, _)| *name == "DATABASE_URL").map(|(_, url)| url).unwrap_or_default();
    // of the driver's own words psql knows none
    let (address, query) = url.split_once('?').unwrap_or((&url, ""));
    let known = query.split('&').filter(|it| ["host=", "port=", "sslmode="].iter().any(|name| it.starts_with(name)));
    let url = format!("{address}?{}", known.collect::<Vec<_>>().join("&"));
    let file = tempfile::tempfile()?;
    let begun = Instant::now();
    let done = Command::new("psql").arg(url).args(["-qXc", &statement]).stdin(Stdio::null()).stdout(file).status()?;
    if !done.success() {
        return Err("psql failed".into());
    }
    Ok(begun.elapsed())
}
