//! An employee lists their newest 20 consultations: over HTTP, against pgbench running the same statements.

use huntzen::domain::consultations::store::list_statement;
use huntzen::platform::auth::Role;
use huntzen::platform::db::DbRole;

use crate::support::database::Database;
use crate::support::floor::Floor;
use crate::support::generator::Load;
use crate::support::measure::{Line, Sample, middle};
use crate::support::server::Server;
use crate::{Args, Outcome};

const PATH: &str = "/api/v1/consultations?limit=20";
/// People who ask, spread over the companies. Both sides ask for the same ones.
const PEOPLE: u64 = 64;

/// The requests of so many people, spread over the companies.
pub async fn load(args: &Args, server: &Server) -> Outcome<Load> {
    let (people, stride) = people(args);
    let mut tokens = Vec::new();
    for person in 0..people {
        tokens.push(server.log_in(&format!("employee-{}@bench.test", account(person * stride))).await?);
    }
    Ok(Load { address: server.address, path: PATH.into(), tokens, connections: args.connections, bookings: None })
}

/// How many people ask, and how many clients lie between two of them.
fn people(args: &Args) -> (u64, u64) {
    let clients = u64::from(args.scale) * 40;
    let people = PEOPLE.min(clients);
    (people, clients / people)
}

/// Forty of each company's hundred accounts have consultations.
fn account(client: u64) -> u64 {
    client / 40 * 100 + client % 40
}

pub async fn measure(args: &Args, database: &Database, server: &Server) -> Outcome<Line> {
    let (people, stride) = people(args);
    let load = load(args, server).await?;
    let floor = Floor::new(database, DbRole::Employee, &script(people, stride), &VARIABLES, args.connections)?;

    // both warm up
    load.run(2)?;
    floor.run(2)?;
    let mut line = Line::new("list_own");
    for pair in 1..=args.pairs {
        let before = server.usage()?;
        let mut ours = load.run(args.seconds)?;
        ours.server = Some(server.usage()?.since(before));
        let its = floor.run(args.seconds)?;
        eprintln!("list_own {pair}/{}: ours {ours}, floor {its}", args.pairs);
        line.add(ours, its);
    }
    line.peak_kib = server.usage()?.peak_kib;
    let each = |part: fn(&Sample) -> f64| middle(&line.ours, part);
    let note = format!(
        "list_own  {people} people on {} connections; the load generator takes {:.1} us of processor time a request; {:.0} bytes an answer",
        args.connections,
        each(|sample| sample.client_us),
        each(|sample| sample.bytes),
    );
    line.notes.push(note);
    Ok(line)
}

/// What the server sends to the database for one such request, statement by statement.
fn script(people: u64, stride: u64) -> String {
    // without filters; variables where the server binds values, so that plans are made and kept alike
    let bound = ["NULL", ":earliest", ":latest", ":latest", ":last", ":fetch"];
    let list = bound.iter().zip(1..).fold(list_statement(Role::Employee).to_owned(), |list, (value, number)| {
        list.replace(&format!("${number}"), value)
    });
    format!(
        "\\set client random(0, {}) * {stride}
\\set account :client / 40 * 100 + :client % 40
\\set company :account / 100
\\set fetch 21
BEGIN READ ONLY;
SELECT set_config('app.user_id', '01941f29-7c03-7000-8000-' || lpad(:account::text, 12, '0'), true),
       set_config('app.company_id', '01941f29-7c01-7000-8000-' || lpad(:company::text, 12, '0'), true);
{list};
COMMIT;
",
        people - 1
    )
}

/// Values that pgbench cannot compute.
const VARIABLES: [(&str, &str); 3] =
    [("earliest", "-infinity"), ("latest", "infinity"), ("last", "ffffffff-ffff-ffff-ffff-ffffffffffff")];
