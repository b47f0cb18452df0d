//! The load generator: keep-alive connections that ask, wait for the answer, and ask again. One thread in a
//! process of its own, so that what it costs is small, known, and not the server's.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

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
}

#[derive(Serialize, Deserialize)]
struct Order {
    load: Load,
    seconds: u32,
}

#[derive(Serialize, Deserialize)]
struct Answer {
    count: u64,
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
            rate: answer.count as f64 / answer.seconds,
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
    let requests: Vec<Vec<u8>> = load
        .tokens
        .iter()
        .map(|token| {
            format!("GET {} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\n\r\n", load.path, load.address)
                .into_bytes()
        })
        .collect();
    let begun = Instant::now();
    let end = begun + Duration::from_secs(order.seconds.into());
    let connections = (0..load.connections as usize).map(|first| connection(load.address, &requests, first, end));
    let mut times = Vec::new();
    let mut bytes = 0;
    for done in futures_util::future::try_join_all(connections).await? {
        times.extend(done.0);
        bytes += done.1;
    }
    let seconds = begun.elapsed().as_secs_f64();
    times.sort_unstable();
    Ok(Answer {
        count: times.len() as u64,
        seconds,
        p50: percentile(&times, 50),
        p95: percentile(&times, 95),
        p99: percentile(&times, 99),
        cpu_us: Usage::of_process(std::process::id())?.cpu_us,
        bytes,
    })
}

/// Times in microseconds, and bytes received.
async fn connection(address: SocketAddr, requests: &[Vec<u8>], first: usize, end: Instant) -> Outcome<(Vec<u32>, u64)> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; 512 << 10];
    let mut times = Vec::with_capacity(1 << 16);
    let mut bytes = 0;
    // each connection begins with another person
    for request in requests.iter().cycle().skip(first % requests.len().max(1)) {
        let begun = Instant::now();
        if begun >= end {
            break;
        }
        stream.write_all(request).await?;
        bytes += answer(&mut stream, &mut buffer).await? as u64;
        times.push(u32::try_from(begun.elapsed().as_micros())?);
    }
    Ok((times, bytes))
}

/// Reads one answer and returns its length. Anything but 200 ends the measurement: it would measure nothing.
async fn answer(stream: &mut TcpStream, buffer: &mut [u8]) -> Outcome<usize> {
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
        if whole.is_some_and(|whole| filled >= whole) {
            return Ok(filled);
        }
    }
}

/// Bytes of the answer, headers included, once its headers are there.
fn length(received: &[u8]) -> Outcome<Option<usize>> {
    let Some(end) = received.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(received.get(..end).unwrap_or_default())?;
    if !head.starts_with("HTTP/1.1 200") {
        return Err(format!("the server answered {}", head.lines().next().unwrap_or_default()).into());
    }
    let length =
        head.lines().filter_map(|line| line.split_once(':')).find(|it| it.0.eq_ignore_ascii_case("content-length"));
    let body: usize = length.ok_or("the answer has no Content-Length")?.1.trim().parse()?;
    Ok(Some(end + 4 + body))
}
