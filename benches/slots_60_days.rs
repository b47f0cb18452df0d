//! An employee asks for the slots of one practitioner for the 60 days to come: the busiest practitioner there is.

use chrono::{Days, NaiveDate};

use crate::support::database::Database;
use crate::support::generator::Load;
use crate::support::measure::{Line, Sample, middle};
use crate::support::server::Server;
use crate::{Args, Outcome};

const PEOPLE: u64 = 16;
/// Few, because what counts is how long one waits: the rate is told as well.
const CONNECTIONS: u32 = 2;

pub async fn measure(args: &Args, database: &Database, server: &Server) -> Outcome<Line> {
    let mut conn = database.connect().await?;
    let (practitioner, sessions, today): (String, i64, NaiveDate) = sqlx::query_as(
        "SELECT p.id::text, count(c.id), current_date FROM app.practitioners p
         LEFT JOIN app.consultations c ON c.practitioner_id = p.id AND c.status IN ('pending', 'confirmed', 'in_progress')
               AND c.starts_at BETWEEN now() AND now() + interval '60 days'
         WHERE p.status = 'active' GROUP BY p.id ORDER BY count(c.id) DESC, p.id LIMIT 1",
    )
    .fetch_one(&mut conn)
    .await?;
    let last = today.checked_add_days(Days::new(59)).unwrap_or(today);
    let path = format!("/api/v1/practitioners/{practitioner}/slots?from={today}&to={last}");

    let clients = u64::from(args.scale) * 100;
    let mut tokens = Vec::new();
    for person in 0..PEOPLE.min(clients) {
        tokens.push(server.log_in(&format!("employee-{}@bench.test", person * (clients / PEOPLE).max(1))).await?);
    }
    let load = Load { address: server.address, path, tokens, connections: CONNECTIONS, bookings: None };

    load.run(2)?;
    let mut line = Line::new("slots_60_days");
    for run in 1..=args.pairs {
        let before = server.usage()?;
        let mut ours = load.run(args.seconds)?;
        ours.server = Some(server.usage()?.since(before));
        eprintln!("slots_60_days {run}/{}: {ours}", args.pairs);
        line.ours.push(ours);
    }
    line.peak_kib = server.usage()?.peak_kib;
    let each = |part: fn(&Sample) -> f64| middle(&line.ours, part);
    line.notes.push(format!(
        "slots_60_days  p95 {:.2} ms (aim: 10), p99 {:.2} ms, on {CONNECTIONS} connections; {:.0} bytes an answer; {sessions} sessions booked in the time",
        each(|sample| sample.p95),
        each(|sample| sample.p99),
        each(|sample| sample.bytes),
    ));
    Ok(line)
}
