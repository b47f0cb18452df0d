//! 200 people want 50 slots, each trying until none is left, while the program is killed again and again.
//!
//! `HUNTZEN_KILLS=20` is the long form (`make chaos`). `HUNTZEN_CHAOS_SEED` repeats the dice of a run that printed it: which
//! slots people want, and after how many bookings, and how much later, the program is killed.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use chrono::{DateTime, Days, Utc};
use chrono_tz::Europe::Paris;
use futures_util::future::join_all;
use huntzen::platform::clock::Clock;
use huntzen::platform::db::development::{DevelopmentDatabase, Durability};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use serde_json::Value;
use tokio::sync::watch;
use uuid::Uuid;

use crate::consultations::instant;
use crate::crash::{Wish, book, book_surely};
use crate::support::User;
use crate::support::process::{Server, Site};
use crate::support::tools::setting;

const CLIENTS: i32 = 200;
const COMPANIES: i32 = 4;
const PRACTITIONERS: i32 = 2;
/// Of each practitioner, at the same times.
const DAYS: u64 = 5;
const SLOTS_A_DAY: i32 = 5;
const SLOTS: usize = 50;
const SHORT: usize = 4;
/// From the start of the program until it says that it is ready; and where other tests run on the same cores.
const READY_WITHIN: Duration = Duration::from_secs(2);
const READY_AMONG_OTHERS: Duration = Duration::from_secs(8);
/// A program is killed within so many milliseconds of a booking.
const JITTER_MS: u64 = 40;

/// What somebody was told.
struct Booked {
    wish: Wish,
    answer: Value,
}

struct Scene {
    site: Site,
    employees: Vec<User>,
    practitioners: Vec<User>,
    starts: Vec<DateTime<Utc>>,
}

/// Four companies, and two practitioners with 25 slots each, an hour apart: the buffer after one ends where the buffer
/// before the next begins.
async fn scene(database: &DevelopmentDatabase) -> (Scene, Server) {
    let site = Site::new(&database.options(), None).await;
    let server = site.serve().await; // migrates
    let (mut employees, mut practitioners) = (Vec::new(), Vec::new());
    for company in 0..COMPANIES {
        let people = site.people(CLIENTS / COMPANIES, if company == 0 { PRACTITIONERS } else { 0 }).await;
        employees.extend(people.employees);
        practitioners.extend(people.practitioners);
    }
    let tomorrow = Clock::System.now().with_timezone(&Paris).date_naive() + Days::new(1);
    sqlx::raw_sql(
        "DELETE FROM app.availability_rules;
         UPDATE app.practitioners SET buffer_before_minutes = 10, buffer_after_minutes = 20",
    )
    .execute(&site.db)
    .await
    .unwrap();
    sqlx::query(
        "INSERT INTO app.availability_overrides (id, practitioner_id, kind, starts_at, ends_at)
         SELECT gen_random_uuid(), p.id, 'open', s.at, s.at + interval '30 minutes'
         FROM app.practitioners p, generate_series(0, $2 - 1) day, generate_series(9, 8 + $3) hour
         CROSS JOIN LATERAL (SELECT $1 + make_interval(days => day, hours => hour) AS at) s",
    )
    .bind(tomorrow)
    .bind(i32::try_from(DAYS).unwrap())
    .bind(SLOTS_A_DAY)
    .execute(&site.db)
    .await
    .unwrap();
    let path = format!("/slots?from={tomorrow}&to={}&duration=30", tomorrow + Days::new(DAYS + 2));
    let starts = free(&employees[0].at(&server.base), &practitioners[0], &path).await;
    assert_eq!(starts, free(&employees[0].at(&server.base), &practitioners[1], &path).await);
    assert_eq!(starts.len() * practitioners.len(), SLOTS);
    (Scene { site, employees, practitioners, starts }, server)
}

async fn free(user: &User, dr: &User, path: &str) -> Vec<DateTime<Utc>> {
    starts_of(&user.get(&format!("/practitioners/{}{path}", dr.id)).await.expect(200).json["items"])
}

fn starts_of(slots: &Value) -> Vec<DateTime<Utc>> {
    slots.as_array().unwrap().iter().map(|slot| instant(slot["startsAt"].as_str().unwrap())).collect()
}

/// What the clients saw together.
#[derive(Default)]
struct Seen {
    booked: Vec<Booked>,
    /// Requests that were refused, and those among them that were shown other slots.
    refused: usize,
    shown_others: usize,
    /// Requests that ended without an answer, and were repeated.
    repeated: usize,
}

/// Wants some early slot of a practitioner; told that it is taken, one of those that the answer names, until it names none.
/// Whoever has one asks for the other practitioner at the same time as well.
async fn client(
    it: &Scene,
    n: usize,
    mut dice: StdRng,
    mut base: watch::Receiver<Option<String>>,
    seen: &Mutex<Seen>,
    count: &watch::Sender<usize>,
) {
    let employee = &it.employees[n];
    let (dr, other) = (&it.practitioners[n % 2], &it.practitioners[1 - n % 2]);
    let mut start = *it.starts[..it.starts.len() / 2].choose(&mut dice).unwrap();
    loop {
        let wish = Wish::new(employee, dr, &start.to_rfc3339());
        let (answer, repeated) = book_surely(&wish, &mut base).await;
        seen.lock().unwrap().repeated += repeated;
        if answer.status.as_u16() == 201 {
            seen.lock().unwrap().booked.push(Booked { wish, answer: answer.json });
            count.send_modify(|count| *count += 1);
            let elsewhere = Wish::new(employee, other, &start.to_rfc3339());
            let (answer, _) = book_surely(&elsewhere, &mut base).await;
            let code = answer.expect(409).str("/code");
            assert!(["already_booked_then", "slot_taken"].contains(&code.as_str()), "{code}");
            return;
        }
        let answer = answer.refused(409, "slot_taken");
        let nearest = starts_of(&answer.json["nearest"]);
        assert!(nearest.iter().all(|at| it.starts.contains(at)), "{nearest:?} is not all on offer");
        {
            let mut seen = seen.lock().unwrap();
            seen.refused += 1;
            seen.shown_others += usize::from(!nearest.is_empty());
        }
        match nearest.choose(&mut dice) {
            Some(free) => start = *free,
            None => return,
        }
    }
}

/// Kills the program at its moments and starts another; how long each took until it was ready.
async fn kill(
    it: &Scene,
    mut server: Server,
    kills: usize,
    mut dice: StdRng,
    address: &watch::Sender<Option<String>>,
    mut booked: watch::Receiver<usize>,
) -> (Server, Vec<Duration>) {
    let mut moments: Vec<usize> = (0..kills).map(|_| dice.random_range(0..SLOTS)).collect();
    moments.sort_unstable();
    let mut ready = Vec::new();
    for moment in moments {
        booked.wait_for(|count| *count >= moment).await.unwrap();
        tokio::time::sleep(Duration::from_micros(dice.random_range(0..JITTER_MS * 1000))).await;
        server.kill();
        address.send_replace(None);
        let begun = Instant::now();
        server = it.site.start().await;
        it.site.until_ready(&server).await;
        ready.push(begun.elapsed());
        address.send_replace(Some(server.base.clone()));
    }
    (server, ready)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_200_who_want_50_slots_50_get_one_however_often_the_server_is_killed() {
    let kills = setting("HUNTZEN_KILLS", SHORT);
    let seed = setting("HUNTZEN_CHAOS_SEED", u64::from(Uuid::new_v4().as_fields().0));
    println!("HUNTZEN_KILLS={kills} HUNTZEN_CHAOS_SEED={seed}");
    let world = std::fs::Permissions::from_mode(0o755);
    let folder = tempfile::Builder::new().permissions(world).tempdir().unwrap();
    let database = DevelopmentDatabase::start(folder.path(), Durability::Full).await.unwrap();
    let (it, server) = scene(&database).await;

    let begun = Instant::now();
    let (address, base) = watch::channel(Some(server.base.clone()));
    let (count, booked) = watch::channel(0);
    let answers = Mutex::new(Seen::default());
    let clients = join_all((0..it.employees.len()).map(|n| {
        let dice = StdRng::seed_from_u64(seed.wrapping_mul(1000) + n as u64);
        client(&it, n, dice, base.clone(), &answers, &count)
    }));
    let killer = kill(&it, server, kills, StdRng::seed_from_u64(seed), &address, booked);
    let patience = Duration::from_secs(60 + 10 * kills as u64);
    let ((server, ready), _) =
        tokio::time::timeout(patience, async { tokio::join!(killer, clients) }).await.expect("it ends");
    let took = begun.elapsed();
    let answers = answers.into_inner().unwrap();
    println!(
        "{} booked by {CLIENTS} people in {took:.1?}, {} refused ({} of them shown other slots), {} repeated; {kills} times killed, ready \
         again after {} ms ({})",
        answers.booked.len(),
        answers.refused,
        answers.shown_others,
        answers.repeated,
        ready.iter().map(|it| it.as_millis().to_string()).collect::<Vec<_>>().join(", "),
        if cfg!(debug_assertions) { "a debug build" } else { "a release build" },
    );

    assert!(answers.repeated > 0, "the program was never killed while somebody waited for its answer");
    assert!(answers.shown_others > 0, "nobody was shown another slot");
    assert_eq!(answers.booked.len(), SLOTS, "nobody gave up while there was a slot");
    check(&it, &answers).await;
    // a repetition gets the same answer, whichever program gave the first; also two at once
    let again = answers.booked.iter().flat_map(|it| [it, it]);
    for (answer, it) in join_all(again.map(async |it| (book(&it.wish, &server.base).await.unwrap(), it))).await {
        assert_eq!(answer.expect(201).json, it.answer);
    }
    check(&it, &answers).await;
    let limit = if std::env::var_os("HUNTZEN_KILLS").is_some() { READY_WITHIN } else { READY_AMONG_OTHERS };
    assert!(ready.iter().all(|took| *took < limit), "not ready again within {limit:?}: {ready:?}");
    let audited = it.site.run(&["audit", "verify"]);
    assert!(audited.status.success(), "{}", String::from_utf8_lossy(&audited.stdout));
    server.kill();
    it.site.db.close().await;
    database.stop();
}

/// The database holds what people were told, once, and nothing else.
async fn check(it: &Scene, seen: &Seen) {
    let kept: Vec<(Uuid, Uuid, Uuid, DateTime<Utc>)> = sqlx::query_as(
        "SELECT id, user_id, practitioner_id, starts_at FROM app.consultations WHERE status = 'confirmed' ORDER BY id",
    )
    .fetch_all(&it.site.db)
    .await
    .unwrap();
    let told = |booked: &Booked| {
        let text = |pointer: &str| booked.answer.pointer(pointer).unwrap().as_str().unwrap().to_owned();
        let id: Uuid = text("/id").parse().unwrap();
        (id, booked.wish.employee.id.0, booked.wish.practitioner.id.0, instant(&text("/startsAt")))
    };
    let told: BTreeSet<_> = seen.booked.iter().map(told).collect();
    assert_eq!(kept, told.into_iter().collect::<Vec<_>>());
    let slots: BTreeMap<_, _> = kept.iter().map(|(id, _, practitioner, start)| ((practitioner, start), id)).collect();
    assert_eq!(slots.len(), SLOTS, "each slot is taken once");

    let count = async |sql: &'static str| usize::try_from(it.site.count(sql).await).unwrap();
    assert_eq!(count("SELECT count(*) FROM app.consultations").await, SLOTS);
    let overlaps = "SELECT count(*) FROM app.consultations a JOIN app.consultations b ON a.id < b.id
        WHERE a.practitioner_id = b.practitioner_id AND a.busy_from < b.busy_until AND b.busy_from < a.busy_until
           OR a.user_id = b.user_id AND a.starts_at < b.ends_at AND b.starts_at < a.ends_at";
    assert_eq!(count(overlaps).await, 0);
    let bare = "SELECT count(*) FROM app.consultations
        WHERE busy_from <> starts_at - interval '10 minutes' OR busy_until <> ends_at + interval '20 minutes'";
    assert_eq!(count(bare).await, 0);
    // whatever belongs to a booking is there once as well: its event, its entry, its job, its answer
    for sql in [
        "SELECT count(DISTINCT consultation_id) FROM app.consultation_events WHERE kind = 'BOOKED'",
        "SELECT count(*) FROM app.consultation_events",
        "SELECT count(DISTINCT object_id) FROM app.audit_logs WHERE action = 'consultation.booked'",
        "SELECT count(*) FROM app.audit_logs WHERE action = 'consultation.booked'",
        "SELECT count(*) FROM apalis.jobs WHERE convert_from(job, 'UTF8')::jsonb ->> 'kind' = 'consultations.booked'",
        "SELECT count(*) FROM app.idempotency_keys WHERE answer IS NOT NULL",
        "SELECT count(*) FROM app.idempotency_keys",
    ] {
        assert_eq!(count(sql).await, SLOTS, "{sql}");
    }
}
