//! The real program, killed in the middle of its work, and told to stop in the middle of it.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::sync::Mutex;
use std::time::Duration;

use chrono::{Days, TimeDelta, TimeZone};
use chrono_tz::Europe::Paris;
use futures_util::future::join_all;
use huntzen::platform::clock::Clock;
use huntzen::platform::db::development::{DevelopmentDatabase, Durability};
use reqwest::Method;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sqlx::Connection;
use tokio::sync::watch;
use uuid::Uuid;

use crate::support::process::{People, Site};
use crate::support::{Answer, User, cluster};

const BOOKINGS: usize = 200;
const CLIENTS: usize = 20;
const PRACTITIONERS: usize = 20;
/// How many bookings are answered when the program is killed.
const KILLS: [usize; 3] = [40, 90, 150];
/// Mails that one program sends at once: so many can have been taken by the mail server and not noted yet.
const MAILS_AT_ONCE: usize = 8;

/// A booking that somebody wants.
pub struct Wish {
    pub employee: User,
    pub practitioner: User,
    pub key: String,
    pub body: Value,
}

impl Wish {
    /// Half an hour by video, with a key of its own.
    pub fn new(employee: &User, practitioner: &User, starts_at: &str) -> Self {
        Self {
            employee: employee.clone(),
            practitioner: practitioner.clone(),
            key: Uuid::new_v4().to_string(),
            body: json!({"practitionerId": practitioner.id, "startsAt": starts_at, "durationMinutes": 30,
                         "mode": "video"}),
        }
    }
}

/// One for each employee: in three days, beyond what is reminded of today, with the practitioners in turn, one half hour after the other.
fn wishes(people: &People) -> Vec<Wish> {
    let day = Clock::System.now().with_timezone(&Paris).date_naive() + Days::new(3);
    let nine = Paris.from_local_datetime(&day.and_hms_opt(9, 0, 0).unwrap()).unwrap();
    let wish = |(n, employee): (usize, &User)| {
        let practitioner = &people.practitioners[n % people.practitioners.len()];
        let starts_at = nine + TimeDelta::minutes(30) * i32::try_from(n / people.practitioners.len()).unwrap();
        Wish::new(employee, practitioner, &starts_at.to_rfc3339())
    };
    people.employees.iter().enumerate().map(wish).collect()
}

/// One try. `None`: nobody knows whether it was booked.
pub async fn book(wish: &Wish, base: &str) -> Option<Answer> {
    let request = wish
        .employee
        .at(base)
        .request(Method::POST, "/consultations")
        .header("idempotency-key", &wish.key)
        .json(&wish.body);
    let response = request.send().await.ok()?;
    let (status, headers) = (response.status(), response.headers().clone());
    let bytes = response.bytes().await.ok()?.to_vec();
    let answer = Answer { status, headers, json: serde_json::from_slice(&bytes).unwrap_or_default(), bytes };
    (!answer.status.is_server_error()).then_some(answer)
}

/// Repeats a booking with its key until it is answered; how often it had to, as well.
pub async fn book_surely(wish: &Wish, base: &mut watch::Receiver<Option<String>>) -> (Answer, usize) {
    for repeated in 0.. {
        let at = base.wait_for(Option::is_some).await.unwrap().clone().unwrap();
        if let Some(answer) = book(wish, &at).await {
            return (answer, repeated);
        }
        tokio::task::yield_now().await;
    }
    unreachable!("it is repeated until it is answered")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_killed_during_bookings_loses_none_and_sends_each_mail() {
    let world = std::fs::Permissions::from_mode(0o755);
    let folder = tempfile::Builder::new().permissions(world).tempdir().unwrap();
    let database = DevelopmentDatabase::start(folder.path(), Durability::Full).await.unwrap();
    let site = Site::new(&database.options(), None).await;
    let mut server = site.serve().await; // migrates
    let people = site.people(i32::try_from(BOOKINGS).unwrap(), i32::try_from(PRACTITIONERS).unwrap()).await;
    let wishes = wishes(&people);

    let (address, base) = watch::channel(Some(server.base.clone()));
    let (progress, mut booked) = watch::channel(0);
    let ids = Mutex::new(BTreeMap::<usize, Uuid>::new());
    let clients = join_all((0..CLIENTS).map(|client| {
        let (mut base, wishes, ids, progress) = (base.clone(), &wishes, &ids, &progress);
        async move {
            for (n, wish) in wishes.iter().enumerate().skip(client).step_by(CLIENTS) {
                let (answer, _) = book_surely(wish, &mut base).await;
                let id = answer.expect(201).str("/id").parse().unwrap();
                ids.lock().unwrap().insert(n, id);
                progress.send_modify(|count| *count += 1);
            }
        }
    }));
    let killer = async {
        let mut unfinished = 0;
        for kill_at in KILLS {
            booked.wait_for(|count| *count >= kill_at).await.unwrap();
            server.kill();
            address.send_replace(None);
            unfinished += site.count("SELECT count(*) FROM apalis.jobs WHERE status <> 'Done'").await;
            server = site.serve().await;
            address.send_replace(Some(server.base.clone()));
        }
        assert!(unfinished > 0, "the program was never killed with work to do");
        server
    };
    let (server, _) =
        tokio::time::timeout(Duration::from_secs(90), async { tokio::join!(killer, clients) }).await.unwrap();
    let ids = ids.into_inner().unwrap();

    // a repetition gets the same booking, whichever program took the first
    let again = join_all(wishes.iter().map(|wish| book(wish, &server.base))).await;
    for (n, answer) in again.into_iter().enumerate() {
        assert_eq!(answer.unwrap().expect(201).str("/id"), ids[&n].to_string());
    }
    let kept: Vec<(Uuid, Uuid)> = sqlx::query_as(
        "SELECT c.id, c.user_id FROM app.consultations c JOIN app.companies k ON k.id = c.company_id
                        WHERE k.name = 'Initech' AND c.status = 'confirmed' ORDER BY c.id",
    )
    .fetch_all(&site.db)
    .await
    .unwrap();
    let mut answered: Vec<(Uuid, Uuid)> = ids.iter().map(|(n, id)| (*id, wishes[*n].employee.id.0)).collect();
    answered.sort_unstable();
    assert_eq!(kept, answered);
    let overlaps = "SELECT count(*) FROM app.consultations a JOIN app.consultations b
        ON a.id < b.id AND a.status = 'confirmed' AND b.status = 'confirmed'
        AND (a.practitioner_id = b.practitioner_id OR a.user_id = b.user_id)
        AND tstzrange(a.busy_from, a.busy_until) && tstzrange(b.busy_from, b.busy_until)";
    assert_eq!(site.count(overlaps).await, 0);

    // what a killed program was doing goes to the next when three of its heartbeats were missed
    site.until("SELECT NOT EXISTS (SELECT FROM apalis.jobs WHERE status NOT IN ('Done', 'Killed'))").await;
    assert_eq!(site.count("SELECT count(*) FROM apalis.jobs WHERE status = 'Killed'").await, 0);

    let mut sent: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for mail in site.mails() {
        let text = mail.text.unwrap();
        let id = text.split("/consultations/").nth(1).expect("a link")[..36].to_owned();
        sent.entry((id, mail.to[0].clone())).or_default().push(mail.message_id);
    }
    let expected: Vec<_> = ids
        .iter()
        .flat_map(|(n, id)| {
            [&wishes[*n].employee, &wishes[*n].practitioner].map(|reader| (id.to_string(), reader.email.clone()))
        })
        .collect();
    for mail in &expected {
        assert!(sent.contains_key(mail), "{mail:?} was never sent");
    }
    assert_eq!(sent.len(), expected.len(), "mails about nothing");
    let twice: Vec<_> = sent.values().filter(|ids| ids.len() > 1).collect();
    for ids in &twice {
        assert!(ids.len() == 2 && ids[0] == ids[1], "{ids:?}");
    }
    assert!(twice.len() <= KILLS.len() * MAILS_AT_ONCE, "{} mails were sent twice", twice.len());
    server.kill();
    site.db.close().await;
    database.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_told_to_stop_finishes_what_it_began() {
    let options = cluster::fresh_database().await;
    let secret = cluster::template().await.config().database_roles_secret.expose_secret();
    let site = Site::new(&options, Some(secret)).await;
    let mut server = site.serve().await; // migrated as well, which changes nothing
    let people = site.people(2, 1).await;
    let wishes = wishes(&people);

    // a job that cannot note its mail, and a request that cannot insert, as long as this transaction holds them up
    let mut holding = sqlx::PgConnection::connect_with(&options).await.unwrap();
    let mut job_held = holding.begin().await.unwrap();
    sqlx::raw_sql("LOCK TABLE app.email_log IN SHARE ROW EXCLUSIVE MODE").execute(&mut *job_held).await.unwrap();
    let first = book(&wishes[0], &server.base).await.unwrap().expect(201);
    site.until(
        "SELECT count(*) = 2 FROM pg_locks WHERE relation = 'app.email_log'::regclass AND NOT granted
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
    )
    .await;
    let mut request_held = job_held.begin().await.unwrap();
    sqlx::raw_sql("LOCK TABLE app.consultations IN SHARE ROW EXCLUSIVE MODE")
        .execute(&mut *request_held)
        .await
        .unwrap();
    let base = server.base.clone();
    let request = tokio::spawn(async move { book(&wishes[1], &base).await });
    site.until(
        "SELECT count(*) = 1 FROM pg_locks WHERE relation = 'app.consultations'::regclass AND NOT granted
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
    )
    .await;

    server.terminate();
    let address = server.base.strip_prefix("http://").unwrap().to_owned();
    let closing = async {
        while tokio::net::TcpStream::connect(&address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), closing).await.expect("nobody new is let in");
    assert!(!server.has_ended(), "it waits for the request");

    request_held.rollback().await.unwrap();
    let second = request.await.unwrap().expect("the request is finished").expect(201);
    assert!(!server.has_ended(), "it waits for the job");

    job_held.rollback().await.unwrap();
    let (status, log) = server.end().await;
    assert!(status.success(), "{status}: {log}");
    for booked in [&first, &second] {
        let id: Uuid = booked.str("/id").parse().unwrap();
        let kept: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM app.consultations WHERE id = $1)")
            .bind(id)
            .fetch_one(&site.db)
            .await
            .unwrap();
        assert!(kept);
    }
    let about_first = site.mails().into_iter().filter(|mail| mail.text.as_ref().unwrap().contains(&first.str("/id")));
    assert_eq!(about_first.count(), 2);
    let left: Vec<String> = sqlx::query_scalar(
        "SELECT concat_ws(' ', job_type, status, convert_from(job, 'UTF8')::jsonb ->> 'kind', id)
         FROM apalis.jobs WHERE status IN ('Queued', 'Running')",
    )
    .fetch_all(&site.db)
    .await
    .unwrap();
    assert!(left.is_empty(), "{left:?} wait for a heartbeat that will be missed: {log}");
    site.db.close().await;
    cluster::drop_database(&options).await;
}
