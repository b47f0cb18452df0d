//! A master key is replaced while employees list their consultations: how quickly a million wrapped keys move, at which
//! memory, and what the others notice, against the same list in peace. On a copy of the database, which is dropped
//! afterwards.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use huntzen::platform::crypto::derive;
use huntzen::platform::crypto::entropy::Entropy;
use huntzen::platform::crypto::envelope::{KeyPurpose, Subject, SubjectKey};
use huntzen::platform::crypto::seal::Keyring;
use huntzen::platform::ids::{CompanyId, UserId, uuid_v7};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::support::database::Database;
use crate::support::measure::{Line, Sample, Usage, middle};
use crate::support::server::{Server, master_keys};
use crate::{Args, Outcome, list_own};

/// For each company of `--scale`: a million at full size.
const KEYS_OF_A_COMPANY: u64 = 1000;
/// Keys that are made and stored at once.
const BATCH: u64 = 5000;
/// Measurements while a rotation goes on, at most.
const MOST: usize = 12;

pub async fn measure(args: &Args, database: &Database) -> Outcome<Line> {
    let keys = u64::from(args.scale) * KEYS_OF_A_COMPANY;
    eprintln!("rotate_keys: wraps {keys} keys");
    fill(&mut database.connect().await?, keys).await?;
    let (second, third) = (derived("second"), derived("third"));
    let ring = format!("{second},{}", master_keys());
    let server =
        Server::start_set(&args.server, database, &["serve", "--no-worker"], &[("MASTER_KEYS", ring.clone())]).await?;
    let load = list_own::load(args, &server).await?;
    load.run(2)?;
    let mut line = Line::new("rotate_keys");
    let mut quiet = vec![load.run(args.seconds)?];

    let mut rotation = Rotation::start(args, &server, &ring, &[])?;
    let mut during: Vec<Sample> = Vec::new();
    let mut memory = Vec::new();
    while during.len() < MOST {
        let before = server.usage()?;
        let mut sample = load.run(args.seconds)?;
        sample.server = Some(server.usage()?.since(before));
        memory.extend(rotation.peak_kib());
        // a measurement of which a part was in peace counts only where there is no other
        if rotation.has_ended()? && !during.is_empty() {
            break;
        }
        during.push(sample);
        if rotation.has_ended()? {
            break;
        }
    }
    let beside = rotation.end()?;
    while quiet.len() < during.len() {
        quiet.push(load.run(args.seconds)?);
    }
    for (during, quiet) in during.into_iter().zip(quiet) {
        eprintln!("rotate_keys: during it {during}, in peace {quiet}");
        line.add(during, quiet);
    }
    line.peak_kib = memory.last().copied().unwrap_or_default();
    server.stop()?;

    // and with nobody beside it
    let ring = format!("{third},{ring}");
    let server =
        Server::start_set(&args.server, database, &["serve", "--no-worker"], &[("MASTER_KEYS", ring.clone())]).await?;
    let mut alone = Rotation::start(args, &server, &ring, &["--busy", "100"])?;
    let mut alone_memory = Vec::new();
    while !alone.has_ended()? {
        alone_memory.extend(alone.peak_kib());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let alone = alone.end()?;
    server.stop()?;

    let p95 = |side: &[Sample]| middle(side, |sample| sample.p95);
    line.notes.push(format!(
        "rotate_keys  p95 of the list {:.2} ms while {keys} keys move, {:.2} ms in peace: {:.2} x (aim: 1.5)",
        p95(&line.ours),
        p95(&line.floor),
        line.ratio(|sample| sample.p95),
    ));
    let rate = |took: Duration| f64::from(u32::try_from(keys).unwrap_or(u32::MAX)) / took.as_secs_f64();
    let grown = |memory: &[u64]| {
        let (first, last) = (memory.first().copied().unwrap_or_default(), memory.last().copied().unwrap_or_default());
        format!("{} to {} MiB", first >> 10, last >> 10)
    };
    line.notes.push(format!(
        "rotate_keys  {:.0} keys a second beside the list ({:.0} s, peak {}), {:.0} alone with --busy 100 ({:.0} s, peak {})",
        rate(beside),
        beside.as_secs_f64(),
        grown(&memory),
        rate(alone),
        alone.as_secs_f64(),
        grown(&alone_memory),
    ));
    Ok(line)
}

fn derived(name: &str) -> String {
    format!("{name}:{}", STANDARD.encode(&derive::key(&name.into(), "master key of benchmarks")[..]))
}

/// `huntzen keys rotate`, a process of its own.
struct Rotation {
    child: std::process::Child,
    begun: Instant,
    took: Option<Duration>,
}

impl Rotation {
    fn start(args: &Args, server: &Server, ring: &str, more: &[&str]) -> Outcome<Self> {
        let child = Command::new(&args.server)
            .args(["keys", "rotate"])
            .args(more)
            .envs(server.settings.iter().map(|(name, value)| (*name, value)))
            .env("MASTER_KEYS", ring)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(".huntzen/bench/rotation.log")?)
            .spawn()?;
        Ok(Self { child, begun: Instant::now(), took: None })
    }

    fn peak_kib(&self) -> Option<u64> {
        Usage::of_process(self.child.id()).ok().map(|usage| usage.peak_kib).filter(|peak| *peak > 0)
    }

    fn has_ended(&mut self) -> Outcome<bool> {
        if self.took.is_none() && self.child.try_wait()?.is_some() {
            self.took = Some(self.begun.elapsed());
        }
        Ok(self.took.is_some())
    }

    /// How long it took.
    fn end(mut self) -> Outcome<Duration> {
        let status = self.child.wait()?;
        if !status.success() {
            return Err("the rotation failed; see .huntzen/bench/rotation.log".into());
        }
        Ok(self.took.unwrap_or_else(|| self.begun.elapsed()))
    }
}

/// Keys of conversations of the employees, under the master key of the benchmarks.
async fn fill(conn: &mut PgConnection, keys: u64) -> Outcome {
    let entropy = Entropy::system();
    let (id, key) = master_keys().split_once(':').map(|(id, key)| (id.to_owned(), key.to_owned())).unwrap_or_default();
    let ring = Keyring::new(&[(id, key.into())]).map_err(|problem| format!("{problem:?}"))?;
    let people: Vec<(CompanyId, UserId)> =
        sqlx::query_as("SELECT company_id, id FROM app.users WHERE role = 'employee' ORDER BY id LIMIT 10000")
            .fetch_all(&mut *conn)
            .await?;
    let mut people = people.iter().cycle();
    for from in (0..keys).step_by(usize::try_from(BATCH)?) {
        let (mut ids, mut companies, mut persons, mut wrapped) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for _ in from..(from + BATCH).min(keys) {
            let (company, person) = *people.next().ok_or("the database has no employees")?;
            let id: Uuid = uuid_v7(now(), entropy.bytes());
            let subject = Subject { purpose: KeyPurpose::CHAT, id, person, company };
            wrapped.push(SubjectKey::new(id, subject, &entropy).wrap(&ring, &entropy)?);
            ids.push(id);
            companies.push(company.0);
            persons.push(person.0);
        }
        sqlx::query(
            "INSERT INTO app.encryption_keys (id, company_id, purpose, subject_id, person_id, wrapped, created_at)
             SELECT it.id, it.company, 'chat', it.id, it.person, it.wrapped, now()
             FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bytea[]) AS it (id, company, person, wrapped)",
        )
        .bind(ids)
        .bind(companies)
        .bind(persons)
        .bind(wrapped)
        .execute(&mut *conn)
        .await?;
    }
    sqlx::raw_sql("VACUUM ANALYZE app.encryption_keys").execute(conn).await?;
    Ok(())
}

#[allow(clippy::disallowed_methods)] // a benchmark's clock is the system's
fn now() -> DateTime<Utc> {
    Utc::now()
}
