//! The directory by who has time first, over a network of everybody (500 at full size): one person asks, again and
//! again. Beside it, what the database needs alone for the bookings of the coming week, which is most of what is read.

use huntzen::platform::db::DbRole;

use crate::support::database::Database;
use crate::support::floor::Floor;
use crate::support::generator::Load;
use crate::support::measure::{Line, Sample, middle};
use crate::support::server::Server;
use crate::{Args, Outcome, list_own};

const PATH: &str = "/api/v1/practitioners?sort=next_free&limit=20";

pub async fn measure(args: &Args, database: &Database, server: &Server) -> Outcome<Line> {
    // one after the other: the aim is about one answer
    let load = Load { path: PATH.into(), connections: 1, ..list_own::load(args, server).await? };
    let floor = Floor::new(database, DbRole::Employee, SCRIPT, &[], 1)?;
    load.run(2)?;
    floor.run(2)?;
    let mut line = Line::new("first_free");
    for pair in 1..=args.pairs {
        let before = server.usage()?;
        let mut ours = load.run(args.seconds)?;
        ours.server = Some(server.usage()?.since(before));
        let its = floor.run(args.seconds)?;
        eprintln!("first_free {pair}/{}: ours {ours}, floor {its}", args.pairs);
        line.add(ours, its);
    }
    line.peak_kib = server.usage()?.peak_kib;
    let mut conn = database.connect().await?;
    let practitioners: i64 = sqlx::query_scalar("SELECT count(*) FROM app.practitioners").fetch_one(&mut conn).await?;
    let note = format!(
        "first_free  {practitioners} practitioners on one connection; p95 {:.1} ms, aim: below 100; floor: the statement that reads everybody's bookings of seven days",
        middle(&line.ours, |sample: &Sample| sample.p95),
    );
    line.notes.push(note);
    Ok(line)
}

/// As the first person of the load.
const SCRIPT: &str = "BEGIN READ ONLY;
SELECT set_config('app.user_id', '01941f29-7c03-7000-8000-000000000000', true),
       set_config('app.company_id', '01941f29-7c01-7000-8000-000000000000', true);
SELECT practitioner_id, busy_from, busy_until
    FROM app.busy_times(ARRAY(SELECT id FROM app.practitioners), now(), now() + interval '7 days', NULL);
COMMIT;
";
