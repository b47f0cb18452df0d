//! Clients of chat: Socket.IO over WebSocket, spoken by hand, on one thread of a process of its own. The same ones talk to
//! our server and to Node's.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use futures_util::future::try_join_all;
use futures_util::{SinkExt, StreamExt};
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use uuid::Uuid;

use super::measure::{Usage, percentile};
use crate::Outcome;

/// The first argument that makes this program the clients.
pub const COMMAND: &str = "generate-chat";
/// A socket sends so rarely that no server has a reason to refuse.
const PACE: Duration = Duration::from_millis(52);
const BODY: &str =
    "Thank you, that helped a lot; I slept well for the first time in weeks. See you on Tuesday, as agreed.";
/// So many connect at once.
const AT_ONCE: usize = 64;

#[derive(Clone, Serialize, Deserialize)]
pub struct Person {
    pub id: Uuid,
    pub token: String,
}

#[derive(Clone, Serialize, Deserialize)]
pub struct Pair {
    pub conversation: Uuid,
    pub people: [Person; 2],
}

#[derive(Clone, Serialize, Deserialize)]
pub struct Order {
    pub address: SocketAddr,
    pub pairs: Vec<Pair>,
    /// Says that it has each message.
    pub acknowledges: bool,
    pub task: Task,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
pub enum Task {
    /// The two of each pair write in turn, each when the other's message is there.
    Talk { seconds: u32 },
    /// So many sockets are opened, and join where asked. They are dropped, and come back, at the first line of input; all
    /// ends with the next.
    Hold { sockets: usize, joined: bool },
}

/// In milliseconds, and microseconds of processor time.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Told {
    pub count: u64,
    pub seconds: f64,
    pub p50: f64,
    pub p95: f64,
    pub p99: f64,
    pub last: f64,
    pub cpu_us: u64,
}

/// Clients that wait for a word.
pub struct Clients {
    child: Child,
    stdin: ChildStdin,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Order {
    pub fn start(&self) -> Outcome<Clients> {
        let mut child =
            Command::new(std::env::current_exe()?).arg(COMMAND).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut stdin = child.stdin.take().ok_or("no pipe")?;
        serde_json::to_writer(&mut stdin, self)?;
        stdin.write_all(b"\n")?;
        let lines = BufReader::new(child.stdout.take().ok_or("no pipe")?).lines();
        Ok(Clients { child, stdin, lines })
    }

    /// Runs a task that ends by itself.
    pub fn run(&self) -> Outcome<Told> {
        let mut clients = self.start()?;
        let told = clients.told()?;
        clients.end()?;
        Ok(told)
    }
}

impl Clients {
    /// What they say next.
    pub fn told(&mut self) -> Outcome<Told> {
        let line = self.lines.next().ok_or("the clients ended")??;
        Ok(serde_json::from_str(&line)?)
    }

    /// Gives the next word.
    pub fn go_on(&mut self) -> Outcome {
        Ok(self.stdin.write_all(b"\n")?)
    }

    pub fn end(mut self) -> Outcome {
        drop(self.stdin);
        if self.child.wait()?.success() { Ok(()) } else { Err("the clients failed".into()) }
    }
}

/// The program of the clients.
pub fn run() -> Outcome {
    let mut lines = BufReader::new(std::io::stdin()).lines();
    let order: Order = serde_json::from_str(&lines.next().ok_or("no order")??)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match order.task {
        Task::Talk { seconds } => say(&runtime.block_on(talk(&order, seconds))?),
        Task::Hold { sockets, joined } => {
            let held = runtime.block_on(hold(&order, sockets, joined))?;
            say(&Told { count: held.len() as u64, ..Told::default() })?;
            // sockets that nobody reads from are still open: the server may ping them
            let waiting = std::thread::spawn(move || lines.next().is_some().then_some(lines));
            let (held, lines) = runtime.block_on(keep(held, waiting))?;
            let Some(mut lines) = lines else { return Ok(()) };
            drop(held);
            let back = runtime.block_on(storm(&order, sockets))?;
            say(&back)?;
            lines.next();
            Ok(())
        }
    }
}

fn say(told: &Told) -> Outcome {
    println!("{}", serde_json::to_string(told)?);
    Ok(())
}

struct Client {
    stream: WebSocketStream<TcpStream>,
    asked: u64,
}

impl Client {
    async fn enter(address: SocketAddr, token: &str) -> Outcome<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let url = format!("ws://{address}/socket.io/?EIO=4&transport=websocket");
        let (stream, _) = tokio_tungstenite::client_async(url, stream).await?;
        let mut it = Self { stream, asked: 0 };
        it.until("0{").await?;
        it.send(format!("40/chat,{{\"token\":\"{token}\"}}")).await?;
        it.until("40/chat,").await?;
        Ok(it)
    }

    async fn send(&mut self, packet: String) -> Outcome {
        Ok(self.stream.send(Message::text(packet)).await?)
    }

    /// The next packet that is no ping.
    async fn next(&mut self) -> Outcome<String> {
        loop {
            match self.stream.next().await.ok_or("a socket was closed")?? {
                Message::Text(text) if text.as_str() == "2" => self.send("3".into()).await?,
                Message::Text(text) => return Ok(text.as_str().to_owned()),
                Message::Close(_) => return Err("the server closed a socket".into()),
                _ => {}
            }
        }
    }

    async fn until(&mut self, start: &str) -> Outcome<String> {
        loop {
            let packet = self.next().await?;
            if packet.starts_with(start) {
                return Ok(packet);
            }
            if packet.starts_with("44/chat,") {
                return Err(format!("not let in: {packet}").into());
            }
        }
    }

    /// Sends an event; the beginning of its acknowledgement.
    async fn emit(&mut self, event: &str, data: &str) -> Outcome<String> {
        self.asked += 1;
        let asked = self.asked;
        self.send(format!("42/chat,{asked}[\"{event}\",{data}]")).await?;
        Ok(format!("43/chat,{asked}["))
    }

    async fn ask(&mut self, event: &str, data: &str) -> Outcome {
        loop {
            let start = self.emit(event, data).await?;
            let answer = self.until(&start).await?;
            if !answer.contains("\"unavailable\"") {
                return check(&answer);
            }
            tokio::time::sleep(PACE).await;
        }
    }

    /// Says that a packet with a number has arrived.
    async fn acknowledge(&mut self, packet: &str) -> Outcome {
        let number = packet.strip_prefix("42/chat,").and_then(|rest| rest.split_once('[')).map_or("", |it| it.0);
        if !number.is_empty() {
            self.send(format!("43/chat,{number}[]")).await?;
        }
        Ok(())
    }
}

fn check(answer: &str) -> Outcome {
    if answer.contains("\"ok\":true") { Ok(()) } else { Err(format!("refused: {answer}").into()) }
}

async fn talk(order: &Order, seconds: u32) -> Outcome<Told> {
    let mut pairs = Vec::new();
    for pair in &order.pairs {
        let mut clients = Vec::new();
        for person in &pair.people {
            let mut client = Client::enter(order.address, &person.token).await?;
            client.ask("conversation:join", &about(pair, "")).await?;
            clients.push(client);
        }
        pairs.push((pair, clients));
    }
    let cpu = Usage::of_process(std::process::id())?.cpu_us;
    let begun = Instant::now();
    let until = begun + Duration::from_secs(seconds.into());
    let run = u128::from(huntzen::platform::clock::Clock::System.now().timestamp_micros().unsigned_abs()) << 64;
    let talks = pairs.into_iter().enumerate().map(async |(n, (pair, clients))| {
        let [one, two] = <[Client; 2]>::try_from(clients).map_err(|_| "two clients make a pair")?;
        converse(pair, one, two, run | (n as u128) << 32, until, order.acknowledges).await
    });
    let times = try_join_all(talks).await?.concat();
    let seconds = begun.elapsed().as_secs_f64();
    let cpu_us = Usage::of_process(std::process::id())?.cpu_us - cpu;
    Ok(Told { seconds, cpu_us, ..summary(times) })
}

/// How long each message took from one to the other.
async fn converse(
    pair: &Pair,
    mut from: Client,
    mut to: Client,
    ids: u128,
    until: Instant,
    acknowledges: bool,
) -> Outcome<Vec<u32>> {
    let mut times = Vec::new();
    let [one, two] = &pair.people;
    let (mut now, mut next) = ((one, Instant::now()), (two, Instant::now()));
    for n in 0_u128.. {
        tokio::time::sleep_until(now.1).await;
        if Instant::now() >= until {
            break;
        }
        let sender = now.0.id.to_string();
        let begun = Instant::now();
        now.1 = begun + PACE;
        let data = about(pair, &format!(",\"clientId\":\"{}\",\"body\":\"{BODY}\"", Uuid::from_u128(ids | n)));
        let mut answer = from.emit("message:send", &data).await?;
        let (mut answered, mut delivered) = (false, false);
        while !(answered && delivered) {
            tokio::select! {
                packet = from.next(), if !answered => {
                    let packet = packet?;
                    if packet.starts_with(&answer) && packet.contains("\"unavailable\"") {
                        // as clients do: the same once more
                        tokio::time::sleep(PACE).await;
                        answer = from.emit("message:send", &data).await?;
                    } else if packet.starts_with(&answer) {
                        check(&packet)?;
                        answered = true;
                    }
                }
                packet = to.next(), if !delivered => {
                    let packet = packet?;
                    if packet.contains("\"message:new\"") && packet.contains(&format!("\"senderId\":\"{sender}\"")) {
                        times.push(u32::try_from(begun.elapsed().as_micros())?);
                        delivered = true;
                        if acknowledges {
                            to.acknowledge(&packet).await?;
                        }
                    }
                }
            }
        }
        std::mem::swap(&mut from, &mut to);
        std::mem::swap(&mut now, &mut next);
    }
    Ok(times)
}

fn about(pair: &Pair, more: &str) -> String {
    format!("{{\"conversationId\":\"{}\"{more}}}", pair.conversation)
}

/// Whose sockets there are, however many.
fn people(order: &Order, sockets: usize) -> Vec<(Pair, Person)> {
    let all = order.pairs.iter().flat_map(|pair| pair.people.iter().map(|person| (pair.clone(), person.clone())));
    all.cycle().take(sockets).collect()
}

async fn hold(order: &Order, sockets: usize, joined: bool) -> Outcome<Vec<Client>> {
    let entering = people(order, sockets).into_iter().map(async |(pair, person)| {
        let mut client = Client::enter(order.address, &person.token).await?;
        if joined {
            client.ask("conversation:join", &about(&pair, "")).await?;
        }
        Outcome::Ok(client)
    });
    let entered: Vec<_> = futures_util::stream::iter(entering).buffer_unordered(AT_ONCE).collect().await;
    entered.into_iter().collect()
}

/// Answers pings until the word comes.
async fn keep<T: Send + 'static>(
    held: Vec<Client>,
    word: std::thread::JoinHandle<Option<T>>,
) -> Outcome<(Vec<Client>, Option<T>)> {
    let word = tokio::task::spawn_blocking(move || word.join());
    let (told, is_told) = tokio::sync::watch::channel(false);
    let keeping = held.into_iter().map(|mut client| {
        let mut is_told = is_told.clone();
        async move {
            loop {
                tokio::select! {
                    _ = is_told.changed() => return Outcome::Ok(client),
                    packet = client.next() => { packet?; }
                }
            }
        }
    });
    let waiting = async {
        let word = word.await;
        told.send_replace(true);
        word
    };
    let (held, word) = tokio::join!(try_join_all(keeping), waiting);
    Ok((held?, word?.map_err(|_| "no word came")?))
}

/// All come back at once, join and catch up.
async fn storm(order: &Order, sockets: usize) -> Outcome<Told> {
    let begun = Instant::now();
    let returning = people(order, sockets).into_iter().map(async |(pair, person)| {
        let mut client = Client::enter(order.address, &person.token).await?;
        client.ask("conversation:join", &about(&pair, "")).await?;
        client.ask("sync", &about(&pair, ",\"afterRev\":0")).await?;
        Outcome::Ok((client, u32::try_from(begun.elapsed().as_micros())?))
    });
    let back = try_join_all(returning).await?;
    let seconds = begun.elapsed().as_secs_f64();
    Ok(Told { seconds, ..summary(back.into_iter().map(|it| it.1).collect()) })
}

fn summary(mut times: Vec<u32>) -> Told {
    times.sort_unstable();
    Told {
        count: times.len() as u64,
        p50: percentile(&times, 50),
        p95: percentile(&times, 95),
        p99: percentile(&times, 99),
        last: percentile(&times, 100),
        ..Told::default()
    }
}
