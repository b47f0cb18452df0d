//! Contents that are sealed: notes of 4 KB, written and read back, against the same without encryption; and the list of
//! 20 entries of a journal, against pgbench running the same statements. On a copy of the database, which is dropped
//! afterwards.

use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use huntzen::domain::{clinical_notes, journal};
use huntzen::platform::crypto::entropy::Entropy;
use huntzen::platform::crypto::envelope::{OVERHEAD_BYTES, SubjectKey};
use huntzen::platform::crypto::health_text::HealthText;
use huntzen::platform::crypto::seal::Keyring;
use huntzen::platform::db::DbRole;
use huntzen::platform::ids::{CompanyId, NoteId, UserId};
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{Connection, Row, raw_sql};
use uuid::Uuid;

use crate::support::database::Database;
use crate::support::floor::Floor;
use crate::support::generator::Load;
use crate::support::measure::{Line, Sample, middle, percentile};
use crate::support::server::Server;
use crate::{Args, Outcome};

const NOTE_BYTES: usize = 4096;
/// Notes in a turn; ours and the floor's turns follow each other, so that what disturbs the machine disturbs both.
const TURN: usize = 50;
/// A session has twenty notes at most.
const NOTES_OF_A_SESSION: usize = 20;

/// A session that is over.
#[derive(Clone, Copy)]
struct Session {
    id: Uuid,
    company: CompanyId,
    practitioner: UserId,
}

/// What a note is written with: as the program does it, or as it would without encryption.
struct Writer {
    keyring: Keyring,
    entropy: Entropy,
    text: String,
}

impl Writer {
    fn new() -> Outcome<Self> {
        let entropy = Entropy::system();
        let master: [u8; 32] = entropy.bytes();
        let keyring = Keyring::new(&[("k1".to_owned(), STANDARD.encode(master).into())])
            .map_err(|problem| format!("{problem:?}"))?;
        Ok(Self {
            keyring,
            entropy,
            text: "a quiet word, ".repeat(NOTE_BYTES / 14 + 1).chars().take(NOTE_BYTES).collect(),
        })
    }

    fn new_id(&self) -> Uuid {
        huntzen::platform::ids::uuid_v7(now(), self.entropy.bytes())
    }

    /// Makes a key, seals, stores, commits, reads back, opens.
    async fn sealed(&self, conn: &mut PgConnection, of: &Session) -> Outcome {
        let (note, key_id) = (NoteId(self.new_id()), self.new_id());
        let subject = clinical_notes::subject(note, of.practitioner, of.company);
        let key = SubjectKey::new(key_id, subject, &self.entropy);
        let wrapped = key.wrap(&self.keyring, &self.entropy)?;
        let words = HealthText::new(self.text.clone());
        let sealed = key.seal(&clinical_notes::document(note, 1), &words, &self.entropy)?;
        store(conn, of, note, key_id, &wrapped, &sealed).await?;
        let row = read(conn, of, note).await?;
        let (id, wrapped, sealed): (Uuid, Vec<u8>, Vec<u8>) =
            (row.try_get("key_id")?, row.try_get("wrapped")?, row.try_get("sealed")?);
        let opened = SubjectKey::unwrap(id, subject, &wrapped, &self.keyring)?;
        let read = opened.open(&clinical_notes::document(note, 1), &sealed)?;
        if read.expose() == self.text { Ok(()) } else { Err("it reads another text".into()) }
    }

    /// The same rows of the same lengths, with the text as it is.
    async fn plain(&self, conn: &mut PgConnection, of: &Session) -> Outcome {
        let (note, key_id) = (NoteId(self.new_id()), self.new_id());
        let stored = [self.text.as_bytes(), &[0; OVERHEAD_BYTES]].concat();
        store(conn, of, note, key_id, &[0; 65], &stored).await?;
        let row = read(conn, of, note).await?;
        let (_, _, stored): (Uuid, Vec<u8>, Vec<u8>) =
            (row.try_get("key_id")?, row.try_get("wrapped")?, row.try_get("sealed")?);
        if stored.starts_with(self.text.as_bytes()) { Ok(()) } else { Err("it reads another text".into()) }
    }
}

#[allow(clippy::disallowed_methods)] // a benchmark's clock is the system's
fn now() -> DateTime<Utc> {
    Utc::now()
}

async fn begin(conn: &mut PgConnection, of: &Session) -> Outcome {
    let begin =
        format!("BEGIN; SET LOCAL app.user_id = '{}'; SET LOCAL app.company_id = '{}'", of.practitioner, of.company);
    raw_sql(sqlx::AssertSqlSafe(begin)).execute(conn).await?;
    Ok(())
}

async fn store(
    conn: &mut PgConnection,
    of: &Session,
    note: NoteId,
    key: Uuid,
    wrapped: &[u8],
    contents: &[u8],
) -> Outcome {
    begin(conn, of).await?;
    let kept: bool = sqlx::query_scalar(clinical_notes::WRITE)
        .bind(of.id)
        .bind(note)
        .bind("free")
        .bind(contents)
        .bind(key)
        .bind(wrapped)
        .bind(now())
        .fetch_one(&mut *conn)
        .await?;
    raw_sql("COMMIT").execute(conn).await?;
    if kept { Ok(()) } else { Err("the session is somebody else's".into()) }
}

async fn read(conn: &mut PgConnection, of: &Session, note: NoteId) -> Outcome<PgRow> {
    begin(conn, of).await?;
    let row = sqlx::query(clinical_notes::FIND).bind(note).fetch_one(&mut *conn).await?;
    raw_sql("COMMIT").execute(conn).await?;
    Ok(row)
}

/// One after the other, on one connection.
pub async fn notes(args: &Args, database: &Database) -> Outcome<Line> {
    let mut conn = database.connect().await?;
    let wanted = i64::from(args.pairs * args.seconds) * 1_000;
    let found: Vec<(Uuid, CompanyId, UserId)> = sqlx::query_as(
        "SELECT id, company_id, practitioner_id FROM app.consultations WHERE status = 'completed' ORDER BY id LIMIT $1",
    )
    .bind(wanted)
    .fetch_all(&mut conn)
    .await?;
    conn.close().await?;
    let mut sessions = found
        .into_iter()
        .map(|(id, company, practitioner)| Session { id, company, practitioner })
        .flat_map(|session| std::iter::repeat_n(session, NOTES_OF_A_SESSION));
    let mut conn = database.connect_as(DbRole::Practitioner).await?;
    let writer = Writer::new()?;
    let mut line = Line::new("notes_4k");
    for pair in 0..=args.pairs {
        let (mut ours, mut its) = (Vec::new(), Vec::new());
        let until = Instant::now() + Duration::from_secs(if pair == 0 { 2 } else { args.seconds.into() });
        while Instant::now() < until {
            for (times, is_sealed) in [(&mut ours, true), (&mut its, false)] {
                for _ in 0..TURN {
                    let session = sessions.next().ok_or("there are too few sessions: a larger --scale")?;
                    let begun = Instant::now();
                    if is_sealed {
                        writer.sealed(&mut conn, &session).await?;
                    } else {
                        writer.plain(&mut conn, &session).await?;
                    }
                    times.push(u32::try_from(begun.elapsed().as_micros())?);
                }
            }
        }
        if pair > 0 {
            let (ours, its) = (sample(ours), sample(its));
            eprintln!("notes_4k {pair}/{}: sealed {ours}, plain {its}", args.pairs);
            line.add(ours, its);
        }
    }
    line.notes.push(format!(
        "notes_4k  written, committed and read back one by one; time of a sealed note by that of a plain one: {:.3} (aim: 1.15 at most)",
        1.0 / line.ratio(|sample| sample.rate)
    ));
    Ok(line)
}

#[allow(clippy::cast_precision_loss)]
fn sample(mut micros: Vec<u32>) -> Sample {
    micros.sort_unstable();
    let sum: u64 = micros.iter().map(|it| u64::from(*it)).sum();
    Sample {
        rate: micros.len() as f64 * 1e6 / sum.max(1) as f64,
        p50: percentile(&micros, 50),
        p95: percentile(&micros, 95),
        p99: percentile(&micros, 99),
        count: micros.len() as u64,
        ..Sample::default()
    }
}

const DIARISTS: u64 = 64;
const ENTRIES: u32 = 25;
const PATH: &str = "/api/v1/journal?limit=20";

/// The latest 20 entries over HTTP.
pub async fn entries(args: &Args, database: &Database) -> Outcome<Line> {
    let server = Server::start(&args.server, database).await?;
    let (people, stride) = (DIARISTS.min(u64::from(args.scale) * 40), u64::from(args.scale) * 100 / DIARISTS);
    let accounts: Vec<u64> = (0..people).map(|person| person * stride.max(1)).collect();
    let mut tokens = Vec::new();
    for account in &accounts {
        let token = server.log_in(&format!("employee-{account}@bench.test")).await?;
        write_journal(&server, &token).await?;
        tokens.push(token);
    }
    let load =
        Load { address: server.address, path: PATH.into(), tokens, connections: args.connections, bookings: None };
    let floor = Floor::new(database, DbRole::Employee, &script(people, stride.max(1)), &[], args.connections)?;
    load.run(2)?;
    floor.run(2)?;
    let mut line = Line::new("journal_20");
    for pair in 1..=args.pairs {
        let before = server.usage()?;
        let mut ours = load.run(args.seconds)?;
        ours.server = Some(server.usage()?.since(before));
        let its = floor.run(args.seconds)?;
        eprintln!("journal_20 {pair}/{}: ours {ours}, floor {its}", args.pairs);
        line.add(ours, its);
    }
    line.peak_kib = server.usage()?.peak_kib;
    line.notes.push(format!(
        "journal_20  {people} people on {} connections; {:.0} bytes an answer; 20 texts and 20 facts opened for each",
        args.connections,
        middle(&line.ours, |sample| sample.bytes)
    ));
    server.stop()?;
    Ok(line)
}

/// Entries of some 500 characters, by the API itself.
async fn write_journal(server: &Server, token: &str) -> Outcome {
    let client = reqwest::Client::new();
    for n in 0..ENTRIES {
        let day = format!("2026-01-{:02}", n + 1);
        let body = serde_json::json!({
            "body": "A quiet word. ".repeat(36), "mood": n % 5 + 1, "tags": ["sleep", "work"], "date": day,
        });
        let url = format!("http://{}/api/v1/journal", server.address);
        client.post(url).bearer_auth(token).json(&body).send().await?.error_for_status()?;
    }
    Ok(())
}

/// What the server sends to the database for one such request.
fn script(people: u64, stride: u64) -> String {
    let bound = ["NULL::date", "NULL::date", "NULL::date", "NULL::uuid", "21"];
    let list = bound
        .iter()
        .zip(1..)
        .fold(journal::LIST.to_owned(), |list, (value, number)| list.replace(&format!("${number}"), value));
    format!(
        "\\set account random(0, {}) * {stride}
\\set company :account / 100
BEGIN READ ONLY;
SELECT set_config('app.user_id', '01941f29-7c03-7000-8000-' || lpad(:account::text, 12, '0'), true),
       set_config('app.company_id', '01941f29-7c01-7000-8000-' || lpad(:company::text, 12, '0'), true);
{};
{list};
COMMIT;
",
        people - 1,
        journal::KEY
    )
}
