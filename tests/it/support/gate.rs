//! A mail server before the one of all tests: it holds mails back, or refuses addresses.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use super::smtp::sink;

pub struct Gate {
    port: u16,
    is_open: watch::Sender<bool>,
    waiting: watch::Receiver<usize>,
    refused: Arc<Mutex<HashSet<String>>>,
    _server: AbortOnDropHandle<()>,
}

impl Gate {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (is_open, opened) = watch::channel(true);
        let (waits, waiting) = watch::channel(0);
        let refused = Arc::<Mutex<HashSet<String>>>::default();
        let known = refused.clone();
        let server = tokio::spawn(async move {
            loop {
                let Ok((client, _)) = listener.accept().await else { continue };
                tokio::spawn(pass(client, opened.clone(), waits.clone(), known.clone()));
            }
        });
        Self { port, is_open, waiting, refused, _server: AbortOnDropHandle::new(server) }
    }

    /// `SMTP_URL`.
    pub fn url(&self) -> String {
        format!("smtp://127.0.0.1:{}?tls=none", self.port)
    }

    /// From now on nothing is taken, and nothing is answered, until [`Gate::open`].
    pub fn close(&self) {
        self.is_open.send_replace(false);
    }

    pub fn open(&self) {
        self.is_open.send_replace(true);
    }

    /// Until a mail waits to be taken.
    pub async fn until_one_waits(&self) {
        let mut waiting = self.waiting.clone();
        let one = waiting.wait_for(|count| *count > 0);
        tokio::time::timeout(Duration::from_secs(20), one).await.expect("no mail comes").unwrap();
    }

    /// There is no such mailbox.
    pub fn refuse(&self, address: &str) {
        self.refused.lock().unwrap().insert(address.to_owned());
    }
}

async fn pass(
    client: TcpStream,
    mut opened: watch::Receiver<bool>,
    waits: watch::Sender<usize>,
    refused: Arc<Mutex<HashSet<String>>>,
) -> Option<()> {
    let (mut server_reads, mut server_writes) = TcpStream::connect(("127.0.0.1", sink().port)).await.ok()?.into_split();
    let (client_reads, mut client_writes) = client.into_split();
    let mut client_reads = BufReader::new(client_reads);
    let (mut line, mut answer) = (Vec::new(), vec![0; 4096]);
    loop {
        tokio::select! {
            read = client_reads.read_until(b'\n', &mut line) => {
                if read.ok()? == 0 {
                    return None;
                }
                let said = String::from_utf8_lossy(&line).to_lowercase();
                if said.starts_with("mail from:") && !*opened.borrow() {
                    waits.send_modify(|count| *count += 1);
                    opened.wait_for(|is_open| *is_open).await.ok()?;
                    waits.send_modify(|count| *count -= 1);
                }
                let is_refused = said.strip_prefix("rcpt to:<").and_then(|rest| rest.split('>').next())
                    .is_some_and(|address| refused.lock().unwrap().contains(address));
                if is_refused {
                    client_writes.write_all(b"550 no such mailbox\r\n").await.ok()?;
                } else {
                    server_writes.write_all(&line).await.ok()?;
                }
                line.clear();
            }
            read = server_reads.read(&mut answer) => match read.ok()? {
                0 => return None,
                count => client_writes.write_all(&answer[..count]).await.ok()?,
            },
        }
    }
}
