//! The load generator: keep-alive connections that ask, wait for the answer, and ask again. One thread in a
//! process of its own, so that what it costs is small, known, and not the server's.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::measure::{Sample, Usage, percentile};
use crate::Outcome;

/// The first argument that makes this program the generator.
pub const COMMAND: &str = "generate-load";

/// Requests to one path, each in the name of the next person.
#[derive(Clone, Serialize, Deserialize)]
pub struct Load {
    pub address: SocketAddr,
    pub path: String,
    pub tokens: Vec<String>,
    pub connections: u32,
    /// Bookings by POST; without them, the path is asked for.
    pub bookings: Option<Bookings>,
}

/// Which slot each request books: of practitioners that are numbered, open day and night, for half an hour. Connections go
/// from round to round, each at its own pace; in a round, as many as `contenders` want the same slot.
#[derive(Clone, Serialize, Deserialize)]
pub struct Bookings {
    /// The beginning of the practitioners' ids, up to their number.
    pub practitioner: String,
    pub first: u32,
    pub practitioners: u32,
    /// How many of them have slots in one round.
    pub abreast: u32,
    pub contenders: u32,
    pub opens: DateTime<Utc>,
    /// The first round.
    pub round: u32,
}

impl Bookings {
    /// The number of the practitioner, and that of the slot.
    pub fn slot(&self, connections: u32, connection: u32, round: u32) -> (u32, u32) {
        let slots = connections / self.contenders;
        let wanted = connection % slots;
        let practitioner = (round * self.abreast + wanted % self.abreast) % self.practitioners;
        let deep = slots / self.abreast;
        (self.first + practitioner, round * self.abreast / self.practitioners * deep + wanted / self.abreast)
    }
}

impl Load {
    /// What a connection sends in a round.
    fn request(&self, connection: u32, round: u32) -> String {
        let number = round as usize * self.connections as usize + connection as usize;
        let token = self.tokens.iter().cycle().nth(number % self.tokens.len().max(1)).map_or("", |it| it);
        let Some(bookings) = &self.bookings else {
            return format!(
                "GET {} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\n\r\n",
                self.path, self.address
            );
        };
        let (practitioner, slot) = bookings.slot(self.connections, connection, round);
        let starts_at = bookings.opens + TimeDelta::minutes(30) * i32::try_from(slot).unwrap_or(i32::MAX);
        let body = format!(
            r#"{{"practitionerId":"{}{practitioner:012}","startsAt":"{}","durationMinutes":30,"mode":"video"}}"#,
            bookings.practitioner,
            starts_at.to_rfc3339_opts(SecondsFormat::Secs, true)
        );
        format!(
            "POST {} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\nIdempotency-Key: \
             {:08}-{number:012}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.path,
            self.address,
            bookings.first,
            body.len()
        )
    }
}

#[derive(Serialize, Deserialize)]
struct Order {
    load: Load,
    seconds: u32,
}

#[derive(Serialize, Deserialize)]
struct Answer {
    count: u64,
    /// Answers but the refusals.
    granted: u64,
    rounds: u32,
    seconds: f64,
    p50: f64,
    p95: f64,
    p99: f64,
    cpu_us: u64,
    bytes: u64,
}

impl Load {
    /// Runs the generator for so long.
    #[allow(clippy::cast_precision_loss)]
    pub fn run(&self, seconds: u32) -> Outcome<Sample> {
        let mut child =
            Command::new(std::env::current_exe()?).arg(COMMAND).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut stdin = child.stdin.take().ok_or("no pipe")?;
        serde_json::to_writer(&mut stdin, &Order { load: self.clone(), seconds })?;
        drop(stdin);
        let output = child.wait_with_output()?;
        if !output.status.success() {
            return Err("the load generator failed".into());
        }
        let answer: Answer = serde_json::from_slice(&output.stdout)?;
        Ok(Sample {
            rate: answer.granted as f64 / answer.seconds,
            rounds: answer.rounds,
            granted: answer.granted,
            answers: answer.count as f64 / answer.seconds,
            p50: answer.p50,
            p95: answer.p95,
            p99: answer.p99,
            count: answer.count,
            client_us: answer.cpu_us as f64 / answer.count.max(1) as f64,
            bytes: answer.bytes as f64 / answer.count.max(1) as f64,
            server: None,
        })
    }
}

/// The other process: takes an order on its standard input, answers on its standard output.
pub fn run() -> Outcome {
    let mut order = Vec::new();
    std::io::stdin().read_to_end(&mut order)?;
    let order: Order = serde_json::from_slice(&order)?;
    let answer = tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(generate(&order))?;
    serde_json::to_writer(std::io::stdout(), &answer)?;
    std::io::stdout().flush()?;
    Ok(())
}

async fn generate(order: &Order) -> Outcome<Answer> {
    let load = &order.load;
    let begun = Instant::now();
    let end = begun + Duration::from_secs(order.seconds.into());
    let connections = (0..load.connections).map(|number| connection(load, number, end));
    let mut times = Vec::new();
    let (mut bytes, mut granted, mut rounds) = (0, 0, 0);
    for done in futures_util::future::try_join_all(connections).await? {
        rounds = rounds.max(u32::try_from(done.times.len())?);
        times.extend(done.times);
        bytes += done.bytes;
        granted += done.granted;
    }
    let seconds = begun.elapsed().as_secs_f64();
    times.sort_unstable();
    Ok(Answer {
        count: times.len() as u64,
        granted,
        rounds,
        seconds,
        p50: percentile(&times, 50),
        p95: percentile(&times, 95),
        p99: percentile(&times, 99),
        cpu_us: Usage::of_process(std::process::id())?.cpu_us,
        bytes,
    })
}

/// What one connection did.
struct Done {
    /// In microseconds.
    times: Vec<u32>,
    bytes: u64,
    granted: u64,
}

async fn connection(load: &Load, number: u32, end: Instant) -> Outcome<Done> {
    let mut stream = TcpStream::connect(load.address).await?;
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; 512 << 10];
    let mut done = Done { times: Vec::with_capacity(1 << 16), bytes: 0, granted: 0 };
    // what is asked for is made once; each booking is another
    let mut kept: Vec<String> = Vec::new();
    if load.bookings.is_none() {
        kept.extend((0..u32::try_from(load.tokens.len())?).map(|person| load.request(person, 0)));
        kept.rotate_left(number as usize % load.tokens.len().max(1));
    }
    let mut kept = kept.iter().cycle();
    for round in load.bookings.as_ref().map_or(0, |it| it.round).. {
        let made;
        let request = if let Some(request) = kept.next() {
            request
        } else {
            made = load.request(number, round);
            &made
        };
        let begun = Instant::now();
        if begun >= end {
            break;
        }
        stream.write_all(request.as_bytes()).await?;
        let (status, length) = answer(&mut stream, &mut buffer).await?;
        // anything but what is expected ends the measurement: it would measure nothing
        match (status, &load.bookings) {
            (200, None) | (201, Some(_)) => done.granted += 1,
            (409, Some(bookings)) if bookings.contenders > 1 => {}
            _ => {
                let text = String::from_utf8_lossy(buffer.get(..length).unwrap_or_default());
                return Err(format!("the server answered {text}").into());
            }
        }
        done.bytes += length as u64;
        done.times.push(u32::try_from(begun.elapsed().as_micros())?);
    }
    Ok(done)
}

/// Reads one answer: its status, and its length.
async fn answer(stream: &mut TcpStream, buffer: &mut [u8]) -> Outcome<(u16, usize)> {
    let mut filled = 0;
    let mut whole = None;
    loop {
        let read = stream.read(buffer.get_mut(filled..).ok_or("the answer is too long")?).await?;
        if read == 0 {
            return Err("the server closed a connection, or answered at too great a length".into());
        }
        filled += read;
        let received = buffer.get(..filled).unwrap_or_default();
        if whole.is_none() {
            whole = length(received)?;
        }
        if let Some((status, _)) = whole.filter(|(_, whole)| filled >= *whole) {
            return Ok((status, filled));
        }
    }
}

/// The status, and the bytes of the answer, headers included, once its headers are there.
fn length(received: &[u8]) -> Outcome<Option<(u16, usize)>> {
    let Some(end) = received.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(received.get(..end).unwrap_or_default())?;
    let status = head.split(' ').nth(1).ok_or("the answer has no status")?.parse()?;
    let length =
        head.lines().filter_map(|line| line.split_once(':')).find(|it| it.0.eq_ignore_ascii_case("content-length"));
    let body: usize = length.ok_or("the answer has no Content-Length")?.1.trim().parse()?;
    Ok(Some((status, end + 4 + body)))
}
