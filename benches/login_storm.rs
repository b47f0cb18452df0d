//! 200 people log in at once while employees list their consultations: what the others notice, against the same list
//! in peace. And what a log-in costs, against Argon2id alone.

use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use huntzen::platform::crypto::entropy::Entropy;
use huntzen::platform::crypto::passwords::{Cost, Passwords};

use crate::support::database::Database;
use crate::support::measure::{Line, Sample, middle};
use crate::support::server::{PASSWORD, Server};
use crate::{Args, Outcome, list_own};

const PEOPLE: u32 = 200;
/// Log-ins in peace, one after the other, and as many bare hashes.
const ALONE: usize = 7;

/// How a storm went.
struct Storm {
    took: Duration,
    /// Log-ins that were sent away with 503, and came again.
    sent_away: u32,
}

pub async fn measure(args: &Args, database: &Database, server: &Server) -> Outcome<Line> {
    let load = list_own::load(args, server).await?;
    // the accounts of the load are hashed cheaply; these cost what they cost in production
    let (passwords, entropy) = (Passwords::new(Cost::STANDARD, &Entropy::system())?, Entropy::system());
    let hash = passwords.hash(&PASSWORD.into(), &entropy).await?;
    let mut conn = database.connect().await?;
    let people: Vec<String> = sqlx::query_scalar(
        "UPDATE app.users SET password_hash = $1
         WHERE id IN (SELECT id FROM app.users WHERE email LIKE 'employee-%9@bench.test' ORDER BY id LIMIT $2)
         RETURNING email",
    )
    .bind(&hash)
    .bind(i64::from(PEOPLE))
    .fetch_all(&mut conn)
    .await?;
    if people.is_empty() {
        return Err("the database has nobody who could log in".into());
    }

    let mut bare = Vec::new();
    let mut log_ins = Vec::new();
    for person in people.iter().cycle().take(ALONE) {
        let begun = Instant::now();
        passwords.verify(&PASSWORD.into(), Some(&hash)).await?;
        bare.push(begun.elapsed());
        let (status, took, _) = server.try_log_in(person).await?;
        if status != 200 {
            return Err(format!("{person} cannot log in: {status}").into());
        }
        log_ins.push(took);
    }

    load.run(2)?;
    let mut line = Line::new("login_storm");
    let mut storms = Vec::new();
    for pair in 1..=args.pairs {
        let quiet = load.run(args.seconds)?;
        let before = server.usage()?;
        let list = load.clone();
        let seconds = args.seconds;
        let listing = tokio::task::spawn_blocking(move || list.run(seconds));
        let storm = storm(server, &people, Duration::from_secs(seconds.into())).await?;
        let mut ours = listing.await??;
        ours.server = Some(server.usage()?.since(before));
        eprintln!("login_storm {pair}/{}: during it {ours}, in peace {quiet}", args.pairs);
        line.add(ours, quiet);
        storms.push(storm);
    }
    line.peak_kib = server.usage()?.peak_kib;
    let p95 = |side: &[Sample]| middle(side, |sample| sample.p95);
    let ms = |times: &mut Vec<Duration>| {
        times.sort();
        times.get(times.len() / 2).map_or(0.0, |middle| middle.as_secs_f64() * 1e3)
    };
    let (bare, log_in) = (ms(&mut bare), ms(&mut log_ins));
    line.notes.push(format!(
        "login_storm  p95 of the list {:.2} ms during the storm, {:.2} ms in peace: {:.2} x (aim: 2)",
        p95(&line.ours),
        p95(&line.floor),
        line.ratio(|sample| sample.p95),
    ));
    line.notes.push(format!(
        "login_storm  a log-in {log_in:.1} ms, Argon2id alone {bare:.1} ms: {:.2} x; {} people at once: {}",
        log_in / bare,
        people.len(),
        storms
            .iter()
            .map(|it| format!("{:.1} s ({} sent away for a while)", it.took.as_secs_f64(), it.sent_away))
            .collect::<Vec<_>>()
            .join(", "),
    ));
    Ok(line)
}

/// All at once; again and again, until the time is over, so that the whole measurement is within it.
async fn storm(server: &Server, people: &[String], lasts: Duration) -> Outcome<Storm> {
    let begun = Instant::now();
    let mut all = Storm { took: Duration::ZERO, sent_away: 0 };
    while begun.elapsed() < lasts {
        let wave = Instant::now();
        let sent_away = try_join_all(people.iter().map(|person| arrive(server, person))).await?;
        all.sent_away += sent_away.iter().sum::<u32>();
        all.took = all.took.max(wave.elapsed());
    }
    Ok(all)
}

/// Logs in, coming back when told to; how often it was sent away.
async fn arrive(server: &Server, person: &str) -> Outcome<u32> {
    for sent_away in 0.. {
        match server.try_log_in(person).await? {
            (200, ..) => return Ok(sent_away),
            (503, _, after) => tokio::time::sleep(after.unwrap_or(Duration::from_secs(1))).await,
            (status, ..) => return Err(format!("{person} cannot log in: {status}").into()),
        }
    }
    Ok(0)
}
