//! An employee lists their newest 20 consultations: over HTTP, against pgbench running the same statements.

use std::fmt::Write;

use huntzen::platform::db::DbRole;

use crate::support::database::Database;
use crate::support::floor::Floor;
use crate::support::generator::Load;
use crate::support::measure::{Line, Sample};
use crate::support::server::Server;
use crate::{Args, Outcome};

const PATH: &str = "/api/v1/consultations?limit=20";
/// People who ask, spread over the companies. Both sides ask for the same ones.
const PEOPLE: u64 = 64;

pub async fn measure(args: &Args, database: &Database, server: &Server) -> Outcome<Line> {
    // forty of each company's hundred accounts have consultations
    let clients = u64::from(args.scale) * 40;
    let people = PEOPLE.min(clients);
    let stride = clients / people;
    let account = |person: u64| {
        let client = person * stride;
        client / 40 * 100 + client % 40
    };

    let mut tokens = Vec::new();
    for person in 0..people {
        tokens.push(server.log_in(&format!("employee-{}@bench.test", account(person))).await?);
    }
    let load = Load { address: server.address, path: PATH.into(), tokens, connections: args.connections };
    let floor = Floor::new(database, DbRole::Employee, &script(people, stride), args.connections)?;

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
    let each = |part: fn(&Sample) -> f64| line.median(&line.ours, part);
    let note = format!(
        "list_own  {people} people on {} connections; the load generator takes {:.1} us of processor time a request; {} bytes an answer",
        args.connections,
        each(|sample| sample.client_us),
        each(|sample| sample.bytes),
    );
    line.notes.push(note);
    Ok(line)
}

/// What the server sends to the database for one such request, statement by statement.
fn script(people: u64, stride: u64) -> String {
    let mut script = String::new();
    let _ = writeln!(script, "\\set client random(0, {}) * {stride}", people - 1);
    script.push_str("\\set account :client / 40 * 100 + :client % 40\n\\set company :account / 100\n");
    script.push_str(include_str!("list_own.sql"));
    script
}
