//! Workloads, each measured against its floor in the same run. docs/benchmarks.md tells how to read the table.
//!
//! `make bench`, or one line alone: `cargo bench --bench workloads -- list_own --scale 100 --seconds 5`.

#![allow(clippy::print_stdout, clippy::print_stderr)] // a table for a person

mod support {
    pub mod chatter;
    pub mod database;
    pub mod floor;
    pub mod generator;
    pub mod measure;
    pub mod server;
}
mod book;
mod chat;
mod contents;
mod counters;
mod csv_export;
mod first_free;
mod list_own;
mod login_storm;
mod privacy_export;
mod rotation;
mod search;
mod slots_60_days;

use std::error::Error;
use std::process::Command;

use clap::{Parser, ValueEnum};

use support::database::Database;
use support::measure::Line;
use support::server::Server;
use support::{chatter, generator};

pub type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Workload {
    /// An employee lists their own 20 consultations
    ListOwn,
    /// 200 people log in at once while employees list their consultations
    LoginStorm,
    /// An employee asks for the slots of one practitioner for 60 days
    #[value(name = "slots_60_days")]
    Slots60Days,
    /// An employee finds who of 500 practitioners has time first
    FirstFreeSlot,
    /// An employee searches 10,000 practitioners and articles
    Search,
    /// Employees book, each another slot
    Book,
    /// 200 clients book 50 slots, and the next 50, and so on
    BookContended,
    /// A practitioner writes notes of 4 KB and reads them back
    #[value(name = "notes_4k")]
    Notes4k,
    /// An employee reads the latest 20 entries of their journal
    #[value(name = "journal_20")]
    Journal20,
    /// A master key is replaced while employees list their consultations
    RotateKeys,
    /// 200 pairs write to each other, against Socket.IO on Node.js
    Chat,
    /// What 5,000 sockets that do nothing take of memory
    SocketsIdle,
    /// 2,000 sockets drop and come back at once
    ReconnectStorm,
    /// A company's counters at histories of different length, and what counting costs there
    Usage,
    /// A practitioner's sessions as a CSV file, against COPY
    CsvExport,
    /// An employee's copy of their data, of a gigabyte
    PrivacyExport,
}

/// Measures the program against what bounds it.
#[derive(Clone, Debug, Parser)]
struct Args {
    /// Workloads to run; all of them when none is named
    #[arg(value_enum)]
    names: Vec<Workload>,
    /// Companies in the database; each has 100 employees, 1000 consultations and 3000 events
    #[arg(long, default_value_t = 1000)]
    scale: u32,
    /// Seconds of one measurement
    #[arg(long, default_value_t = 10)]
    seconds: u32,
    /// Measurements of each side, in turn
    #[arg(long, default_value_t = 3)]
    pairs: u32,
    /// Connections on either side
    #[arg(long, default_value_t = 32)]
    connections: u32,
    /// In `search`, practitioners and articles
    #[arg(long, default_value_t = 10_000)]
    findings: usize,
    /// In `chat`, clients do not say that each message has arrived, which is noted and shown to its sender otherwise
    #[arg(long)]
    silent: bool,
    /// In `chat`, `REDIS_URL` of our server
    #[arg(long)]
    redis: Option<String>,
    /// Events of the histories of `usage`, the shortest first; about 3,000 make a company
    #[arg(long, value_delimiter = ',', default_values_t = [100_000, 1_000_000, 5_000_000])]
    events: Vec<u64>,
    /// Lines of the file of `csv_export`
    #[arg(long, default_value_t = 1_000_000)]
    rows: u32,
    /// Size of the copy of `privacy_export`
    #[arg(long, default_value_t = 1024)]
    megabytes: u32,
    /// The server to measure; by default the one that was built with the benchmark
    #[arg(long, default_value = env!("CARGO_BIN_EXE_huntzen"))]
    server: std::path::PathBuf,
    /// What `cargo bench` adds
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Outcome {
    // this program is also the load generator, in a process of its own
    if std::env::args().nth(1).as_deref() == Some(generator::COMMAND) {
        return generator::run();
    }
    if std::env::args().nth(1).as_deref() == Some(chatter::COMMAND) {
        return chatter::run();
    }
    let args = Args::parse();
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(run(args))
}

async fn run(args: Args) -> Outcome {
    let wanted = |workload| args.names.is_empty() || args.names.contains(&workload);
    if wanted(Workload::Usage) {
        report(&args, &counters::measure(&args).await?, &[]);
        if args.names == [Workload::Usage] {
            return Ok(());
        }
    }
    let database = Database::prepare(&args.server, args.scale).await?;
    let mut lines = Vec::new();
    if wanted(Workload::ListOwn) {
        let server = Server::start(&args.server, &database).await?;
        lines.push(list_own::measure(&args, &database, &server).await?);
        server.stop()?;
    }
    if wanted(Workload::LoginStorm) {
        let server = Server::start(&args.server, &database).await?;
        lines.push(login_storm::measure(&args, &database, &server).await?);
        server.stop()?;
    }
    if wanted(Workload::Slots60Days) {
        let server = Server::start(&args.server, &database).await?;
        lines.push(slots_60_days::measure(&args, &database, &server).await?);
        server.stop()?;
    }
    if wanted(Workload::FirstFreeSlot) {
        let server = Server::start(&args.server, &database).await?;
        lines.push(first_free::measure(&args, &database, &server).await?);
        server.stop()?;
    }
    let writing = [
        Workload::Book,
        Workload::BookContended,
        Workload::Notes4k,
        Workload::Journal20,
        Workload::RotateKeys,
        Workload::CsvExport,
        Workload::PrivacyExport,
    ];
    if writing.into_iter().any(wanted) {
        let copy = database.copy(&args.server).await?;
        if wanted(Workload::Book) {
            lines.push(book::uncontended(&args, &copy).await?);
        }
        if wanted(Workload::BookContended) {
            lines.push(book::contended(&args, &copy).await?);
        }
        if wanted(Workload::Notes4k) {
            lines.push(contents::notes(&args, &copy).await?);
        }
        if wanted(Workload::CsvExport) {
            lines.push(csv_export::measure(&args, &copy).await?);
        }
        if wanted(Workload::PrivacyExport) {
            lines.push(privacy_export::measure(&args, &copy).await?);
        }
        if wanted(Workload::Journal20) {
            lines.push(contents::entries(&args, &copy).await?);
        }
        if wanted(Workload::RotateKeys) {
            lines.push(rotation::measure(&args, &copy).await?);
        }
        copy.discard().await?;
    }
    if wanted(Workload::Search) {
        let copy = database.copy(&args.server).await?;
        lines.push(search::measure(&args, &copy).await?);
        copy.discard().await?;
    }
    let mut notes = Vec::new();
    if [Workload::Chat, Workload::SocketsIdle, Workload::ReconnectStorm].into_iter().any(wanted) {
        let copy = database.copy(&args.server).await?;
        let talking = chat::prepare(&copy).await?;
        if wanted(Workload::SocketsIdle) {
            for joined in [false, true] {
                let scene = chat::Scene::start(&args, &copy, &talking).await?;
                notes.push(scene.idle(joined)?);
                scene.stop()?;
            }
        }
        let scene = chat::Scene::start(&args, &copy, &talking).await?;
        if wanted(Workload::ReconnectStorm) {
            notes.extend(scene.storm()?);
        }
        if wanted(Workload::Chat) {
            lines.push(scene.talk(&args)?);
        }
        scene.stop()?;
        copy.discard().await?;
    }
    report(&args, &lines, &notes);
    database.stop();
    Ok(())
}

fn report(args: &Args, lines: &[Line], notes: &[String]) {
    println!();
    println!("{}", Line::HEADINGS);
    for line in lines {
        println!("{line}");
    }
    println!();
    for note in lines.iter().flat_map(|line| &line.notes).chain(notes) {
        println!("{note}");
    }
    println!("machine   {}", machine());
    println!("commit    {}", said(Command::new("git").args(["describe", "--always", "--dirty", "--abbrev=10"])));
    println!("database  {}", said(Command::new("pgbench").arg("--version")));
    println!(
        "command   cargo bench --bench workloads -- --scale {} --seconds {} --pairs {} --connections {}",
        args.scale, args.seconds, args.pairs, args.connections
    );
}

fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split_once(": "));
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = memory.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or_default();
    format!(
        "{cores} cores, {}, {} GiB, {}",
        model.map_or("?", |it| it.1),
        kib >> 20,
        said(Command::new("uname").arg("-sr"))
    )
}

/// What a command prints, or a question mark.
fn said(command: &mut Command) -> String {
    let output = command.output().ok().filter(|output| output.status.success());
    output.map_or("?".into(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
