//! A person's copy of their data, of a gigabyte: journal, messages and files together, from asking to ready and fetched; at
//! which rate, and what memory the process takes for it. Its floor is a file of as many bytes, written and synced.

use std::io::Write;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::StreamExt;
use huntzen::platform::auth::{Caller, Role};
use huntzen::platform::crypto::entropy::Entropy;
use huntzen::platform::ids::{CompanyId, SessionId, UserId};
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use sqlx::{PgConnection, raw_sql};
use uuid::Uuid;

use crate::support::database::Database;
use crate::support::measure::{Line, Sample, Usage};
use crate::support::server::Server;
use crate::{Args, Outcome};

/// Of the whole, in percent: entries of the journal, and messages. The rest is files.
const JOURNAL: u64 = 8;
const MESSAGES: u64 = 4;
/// A journal has no more.
const MOST_ENTRIES: u64 = 4_900;
const ENTRY_BYTES: u64 = 18_000;
const MESSAGE_BYTES: u64 = 3_900;
const FILE_MIB: u64 = 64;

pub async fn measure(args: &Args, copy: &Database) -> Outcome<Line> {
    let bytes = u64::from(args.megabytes) << 20;
    let settings: Vec<(&'static str, String)> =
        vec![("MAX_UPLOAD_BYTES", (1_u64 << 30).to_string()), ("FILE_QUOTA_BYTES", (64_u64 << 30).to_string())];
    let mut conn = copy.connect().await?;
    let (person, other) = (enter(&mut conn, 0).await?, enter(&mut conn, 1).await?);
    let session = book(&mut conn, &person).await?;
    eprintln!("privacy_export: writes {} MiB", args.megabytes);
    let server = Server::start_set(&args.server, copy, &["serve"], &settings).await?;
    fill(&server, &person, session, bytes).await?;
    server.stop()?;
    // in another process, which has held nothing of it yet; something small first, so that what a process takes at all is
    // not counted
    let server = Server::start_set(&args.server, copy, &["serve"], &settings).await?;
    export(&server, &other).await?;
    let at_rest = Usage::resident_kib(server.pid())?;
    let mut line = Line::new("privacy_export");
    let (length, made, fetched) = export(&server, &person).await?;
    let floor = written(length)?;
    line.add(sample(length, made), sample(length, floor));
    line.peak_kib = server.usage()?.peak_kib;
    line.notes.push(format!(
        "privacy_export  {} MiB: made in {:.1} s ({:.0} MiB/s), fetched in {:.1} s ({:.0} MiB/s), as many bytes written in {:.1} s; the process held {} MiB before and at most {} MiB more",
        length >> 20,
        made.as_secs_f64(),
        rate(length, made),
        fetched.as_secs_f64(),
        rate(length, fetched),
        floor.as_secs_f64(),
        at_rest / 1024,
        line.peak_kib.saturating_sub(at_rest) / 1024,
    ));
    server.stop()?;
    Ok(line)
}

#[allow(clippy::cast_precision_loss)]
fn rate(bytes: u64, took: Duration) -> f64 {
    bytes as f64 / f64::from(1 << 20) / took.as_secs_f64()
}

/// In mebibytes a second.
fn sample(bytes: u64, took: Duration) -> Sample {
    let ms = took.as_secs_f64() * 1000.0;
    Sample { rate: rate(bytes, took), p50: ms, p95: ms, p99: ms, count: bytes >> 20, ..Sample::default() }
}

/// An employee with a session.
async fn enter(conn: &mut PgConnection, number: i64) -> Outcome<Caller> {
    let (user_id, company_id): (UserId, CompanyId) = sqlx::query_as(
        "SELECT id, company_id FROM app.users WHERE role = 'employee' AND status = 'active' ORDER BY id OFFSET $1 LIMIT 1",
    )
    .bind(number)
    .fetch_one(&mut *conn)
    .await?;
    let session_id = SessionId(Uuid::new_v4());
    sqlx::query(
        "INSERT INTO app.user_sessions (id, user_id, created_at, last_used_at, expires_at)
         VALUES ($1, $2, now(), now(), now() + interval '1 day')",
    )
    .bind(session_id)
    .bind(user_id)
    .execute(conn)
    .await?;
    let company_id = Some(company_id);
    Ok(Caller { user_id, role: Role::Employee, company_id, session_id, totp_setup_required: false })
}

/// A session of theirs in the next night, when nobody has one, with its conversation, to write about.
async fn book(conn: &mut PgConnection, person: &Caller) -> Outcome<Uuid> {
    // nobody could have booked it
    raw_sql("SET session_replication_role = replica").execute(&mut *conn).await?;
    let id = Uuid::new_v4();
    sqlx::query(
        "INSERT INTO app.consultations (id, company_id, user_id, practitioner_id, mode, status, starts_at, ends_at, busy_from,
             busy_until, specialty)
         SELECT $1, $2, $3, p.id, 'chat', 'confirmed', at, at + interval '30 minutes', at, at + interval '30 minutes', 'sleep'
         FROM (SELECT id FROM app.practitioners ORDER BY id LIMIT 1) p, (SELECT date_trunc('day', now(), 'UTC') + interval '27 hours' AS at) it",
    )
    .bind(id)
    .bind(person.company_id)
    .bind(person.user_id)
    .execute(&mut *conn)
    .await?;
    // which a trigger makes otherwise
    sqlx::query(
        "INSERT INTO app.conversations (id, company_id, user_id, practitioner_id, last_at)
         SELECT id, company_id, user_id, practitioner_id, now() FROM app.consultations WHERE id = $1",
    )
    .bind(id)
    .execute(&mut *conn)
    .await?;
    raw_sql("SET session_replication_role = origin").execute(conn).await?;
    Ok(id)
}

/// Letters that nothing makes much smaller.
fn letters(entropy: &Entropy, length: u64) -> Outcome<String> {
    let mut text = String::new();
    let length = usize::try_from(length)?;
    while text.len() < length {
        text.push_str(&STANDARD.encode(entropy.bytes::<48>()));
    }
    text.truncate(length);
    Ok(text)
}

/// Everything through the interface, as their person brings it.
async fn fill(server: &Server, person: &Caller, session: Uuid, bytes: u64) -> Outcome {
    let (client, entropy) = (reqwest::Client::new(), Entropy::system());
    let base = format!("http://{}/api/v1", server.address);
    let entries = (bytes * JOURNAL / 100 / ENTRY_BYTES).clamp(1, MOST_ENTRIES);
    let messages = (bytes * MESSAGES / 100 / MESSAGE_BYTES).max(1);
    for number in 0..entries {
        let body = json!({"body": letters(&entropy, ENTRY_BYTES)?, "mood": number % 5 + 1, "tags": ["sleep"]});
        let request = client.post(format!("{base}/journal")).bearer_auth(server.sign(person)?).json(&body);
        request.send().await?.error_for_status()?;
    }
    for _ in 0..messages {
        let body = json!({"clientId": Uuid::new_v4(), "body": letters(&entropy, MESSAGE_BYTES)?});
        let url = format!("{base}/conversations/{session}/messages");
        client.post(url).bearer_auth(server.sign(person)?).json(&body).send().await?.error_for_status()?;
    }
    let files = bytes.saturating_sub(entries * ENTRY_BYTES + messages * MESSAGE_BYTES) >> 20;
    let piece = Bytes::from(letters(&entropy, 1 << 20)?);
    for from in (0..files).step_by(usize::try_from(FILE_MIB)?) {
        let pieces = usize::try_from(FILE_MIB.min(files - from))?;
        let content = std::iter::once(Bytes::from_static(b"%PDF-1.7\n"))
            .chain(std::iter::repeat_n(piece.clone(), pieces))
            .chain(std::iter::once(Bytes::from_static(b"\n%%EOF\n")));
        let body = reqwest::Body::wrap_stream(futures_util::stream::iter(content.map(Ok::<_, std::io::Error>)));
        let part = Part::stream(body).file_name(format!("scan-{from}.pdf"));
        let form = Form::new().text("purpose", "document").part("file", part);
        let request = client.post(format!("{base}/files")).bearer_auth(server.sign(person)?).multipart(form);
        request.send().await?.error_for_status()?;
    }
    Ok(())
}

/// Asks for a copy, waits until it is ready, and fetches it: its bytes, and how long either took.
async fn export(server: &Server, person: &Caller) -> Outcome<(u64, Duration, Duration)> {
    let client = reqwest::Client::new();
    let url = format!("http://{}/api/v1/privacy/exports", server.address);
    let begun = Instant::now();
    let asked: Value = client
        .post(&url)
        .bearer_auth(server.sign(person)?)
        .json(&json!({}))
        .send()
        .await?
        .error_for_status()?
        .json()
        .await?;
    let url = format!("{url}/{}", asked.get("id").and_then(Value::as_str).ok_or("no id")?);
    loop {
        let answer = client.get(&url).bearer_auth(server.sign(person)?).send().await?;
        let now: Value = answer.error_for_status()?.json().await?;
        match now.get("status").and_then(Value::as_str) {
            Some("ready") => break,
            Some("pending" | "running") if begun.elapsed() < Duration::from_mins(30) => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            _ => return Err(format!("the copy is not made: {now}").into()),
        }
    }
    let made = begun.elapsed();
    let begun = Instant::now();
    let answer = client.get(format!("{url}/download")).bearer_auth(server.sign(person)?).send().await?;
    let (mut length, mut stream) = (0, answer.error_for_status()?.bytes_stream());
    while let Some(bytes) = stream.next().await {
        length += bytes?.len() as u64;
    }
    Ok((length, made, begun.elapsed()))
}

/// How long it takes to write so many bytes to the disk.
fn written(bytes: u64) -> Outcome<Duration> {
    let piece = vec![7; 1 << 20];
    let mut file = tempfile::tempfile_in(".huntzen/bench")?;
    let begun = Instant::now();
    for _ in 0..(bytes >> 20).max(1) {
        file.write_all(&piece)?;
    }
    file.sync_all()?;
    Ok(begun.elapsed())
}
