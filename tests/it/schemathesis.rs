//! Schemathesis, a program of others, tries the running API against its document: one operation after the other, and
//! in sequences that it finds itself, as each role. No error of the server, no status, media type or header that the
//! document does not tell of, no body that does not fit its schema; and nothing that fits the document is malformed to
//! the program, or refused for its form alone.
//!
//! `HUNTZEN_FUZZ_SECONDS` for each role and stage, some roles beside each other; `make fuzz` is the long form.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use huntzen::platform::auth::Role;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::support::tools;
use crate::sweeps::http::world::{CALLERS, World};

const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,\
                      response_schema_conformance,unsupported_method,positive_data_acceptance";

/// What fits the document may be refused for what it means (404, 409, 422 …; 400 where a cursor is of no list, or staff
/// must name a company), not as malformed (415, 428).
const SETTINGS: &str = r#"
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "3xx", "400", "401", "403", "404", "409", "410", "412", "422", "429", "5xx"]
"#;

/// First one operation after the other, also with bad input; then in sequences, with what earlier answers told.
const STAGES: [(&str, &str); 2] = [("coverage,fuzzing", "all"), ("stateful", "positive")];

/// For each stage.
const SECONDS: u64 = 6;
/// Who is tried beside each other. Admins remove members, and staff end companies: they come later.
const ROUNDS: [&[&str]; 4] =
    [&["nobody", "employee"], &["practitioner", "hr"], &["company_admin"], &["platform_admin"]];
/// People of a role who may lose their session.
const SPARE: usize = 12;

fn seconds() -> u64 {
    tools::setting("HUNTZEN_FUZZ_SECONDS", SECONDS)
}

/// The document with the operations of one role; those of nobody need nobody signed in.
fn document_for(role: &str) -> Value {
    let mut document = huntzen::app::openapi().unwrap();
    let paths = document["paths"].as_object_mut().unwrap();
    for item in paths.values_mut() {
        item.as_object_mut().unwrap().retain(|_, operation| match operation["x-roles"].as_array() {
            Some(roles) => roles.iter().any(|it| it == role),
            None => role == "nobody",
        });
    }
    paths.retain(|_, item| item.as_object().is_some_and(|item| !item.is_empty()));
    document
}

/// Ids that a caller may ask for, by what fixture.ids calls them.
async fn ids(world: &mut World, who: usize) -> BTreeMap<String, Vec<String>> {
    let me = world.people[who].id.map(|id| id.to_string());
    let mut ids = BTreeMap::new();
    for name in world.names().await {
        let Some(source) = world.source(&name).await else { continue };
        let found = world.candidates(&source, who).await;
        let found: Vec<String> = [found.own, found.same, found.other].into_iter().flatten().collect();
        // nobody suspends or removes themselves in the middle
        ids.insert(name, found.into_iter().filter(|id| Some(id) != me.as_ref()).collect());
    }
    ids
}

/// What came of a caller's requests.
#[derive(Default)]
struct Outcome {
    requests: usize,
    /// Sequences, and ways from one operation to the next that were taken.
    scenarios: usize,
    links: usize,
    faults: Vec<String>,
}

impl Outcome {
    fn add(&mut self, more: Self) {
        self.requests += more.requests;
        self.scenarios += more.scenarios;
        self.links += more.links;
        self.faults.extend(more.faults);
    }
}

/// A caller's part of the document, and the file of what they may ask for.
struct Try {
    who: usize,
    document: PathBuf,
    given: PathBuf,
}

async fn prepare(world: &mut World, who: usize, folder: &Path) -> Try {
    let caller = &CALLERS[who];
    let (id, company) = (world.people[who].id, world.people[who].company);
    let mut spare = Vec::new();
    if id.is_some() {
        for _ in 0..SPARE {
            spare.push(match caller.role {
                Role::Practitioner => world.app.practitioner().await.token,
                role => world.app.person(role, company).await.token,
            });
        }
    }
    let given = folder.join(format!("{}.given.json", caller.name));
    std::fs::write(&given, json!({"ids": ids(world, who).await, "spare": spare}).to_string()).unwrap();
    let document = folder.join(format!("{}.json", caller.name));
    std::fs::write(&document, document_for(caller.name).to_string()).unwrap();
    Try { who, document, given }
}

async fn try_as(world: &World, it: &Try) -> Outcome {
    let caller = &CALLERS[it.who];
    let (id, company) = (world.people[it.who].id, world.people[it.who].company);
    let mut all = Outcome::default();
    // the few operations for which nobody signs in lead to no others
    let stages = if id.is_some() { STAGES.as_slice() } else { &STAGES[..1] };
    for stage in stages {
        for seconds in [seconds(), 6 * seconds()] {
            let mut schemathesis = command(*stage, seconds, it);
            schemathesis.args(["--url", &world.app.base]);
            if let Some(id) = id {
                let token = world.app.session(id, caller.role, company).await;
                schemathesis.args(["--header", &format!("Authorization: Bearer {token}")]);
            }
            let found = outcome(schemathesis, caller.name).await;
            // a busy machine gets more time for its first request
            if found.requests > 0 || seconds > self::seconds() {
                all.add(found);
                break;
            }
        }
    }
    all
}

fn command((phases, mode): (&str, &str), seconds: u64, it: &Try) -> Command {
    let hooks = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schemathesis/hooks.py");
    let mut schemathesis = Command::new(tools::schemathesis());
    schemathesis
        .arg("run")
        .arg(&it.document)
        .args(["--checks", CHECKS, "--phases", phases, "--mode", mode])
        .args(["--max-time", &seconds.to_string(), "--max-examples", "10", "--generation-deterministic"])
        .args(["--continue-on-failure", "--no-color", "--warnings", "off", "--request-timeout", "20"])
        .env("HUNTZEN_FUZZ", &it.given)
        .env("HUNTZEN_FUZZ_DOCUMENT", &it.document)
        .env("SCHEMATHESIS_HOOKS", hooks)
        .env("PYTHONHASHSEED", "0")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(it.document.parent().unwrap())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    schemathesis
}

async fn outcome(mut schemathesis: Command, caller: &str) -> Outcome {
    let done = schemathesis.output().await.unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    let number = |pattern: &str| {
        let found = regex::Regex::new(pattern).unwrap().captures(&said);
        found.map_or(0, |found| found[1].parse::<usize>().unwrap())
    };
    let mut outcome = Outcome {
        requests: number(r"(\d+) generated"),
        scenarios: number(r"Scenarios: +(\d+)"),
        links: number(r"API Links: +(\d+) covered"),
        faults: Vec::new(),
    };
    if !done.status.success() || outcome.requests == 0 {
        outcome.faults.push(format!("as {caller}\n{said}\n{}", String::from_utf8_lossy(&done.stderr)));
    }
    outcome
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_program_answers_as_its_document_says() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::start().await;
    std::fs::write(folder.path().join("schemathesis.toml"), SETTINGS).unwrap();
    let (mut all, mut counts) = (Outcome::default(), Vec::new());
    for round in ROUNDS {
        let mut tries = Vec::new();
        for name in round {
            let who = CALLERS.iter().position(|caller| caller.name == *name).unwrap();
            tries.push(prepare(&mut world, who, folder.path()).await);
        }
        let found = futures_util::future::join_all(tries.iter().map(|it| try_as(&world, it))).await;
        for (name, it) in round.iter().zip(found) {
            counts.push(format!("{name} {}", it.requests));
            // without its sequences the second stage would show nothing
            assert!(
                *name == "nobody" || (it.scenarios > 0 && it.links > 0),
                "{name}: {} over {}",
                it.scenarios,
                it.links
            );
            all.add(it);
        }
    }
    sqlx::query("DELETE FROM apalis.jobs").execute(world.app.db()).await.unwrap();
    assert!(all.faults.is_empty(), "{}", all.faults.join("\n\n"));
    println!(
        "schemathesis: {} requests, each answered as documented ({}); {} sequences over {} links",
        all.requests,
        counts.join(", "),
        all.scenarios,
        all.links,
    );
}
