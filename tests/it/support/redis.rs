//! A Redis of a test's own: Debian's server, in memory, killed and started as a test wants it.

use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::task::AbortOnDropHandle;

use super::tools;

const PASSWORD: &str = "redis-of-a-test";

pub struct Redis {
    port: u16,
    /// With TLS, where it has a certificate.
    tls_port: u16,
    folder: TempDir,
    server: Mutex<Option<Child>>,
}

impl Redis {
    pub async fn start() -> Self {
        let it = Self::new();
        it.start_again().await;
        it
    }

    /// With TLS as well, and a certificate of an authority of its own.
    pub async fn start_with_tls() -> Self {
        let it = Self::new();
        for command in [
            "openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=authority",
            "openssl req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=redis",
            "printf subjectAltName=IP:127.0.0.1 > names",
            "openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out server.pem",
        ] {
            let done = Command::new("sh").args(["-c", command]).current_dir(it.folder.path()).output().unwrap();
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        }
        it.start_again().await;
        it
    }

    fn new() -> Self {
        let free = [(); 2].map(|()| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
        let [port, tls_port] = free.map(|it| it.local_addr().unwrap().port());
        Self { port, tls_port, folder: tempfile::tempdir().unwrap(), server: Mutex::new(None) }
    }

    /// `REDIS_URL` with TLS.
    pub fn tls_url(&self) -> String {
        format!("rediss://:{PASSWORD}@127.0.0.1:{}/", self.tls_port)
    }

    /// The certificate of its authority.
    pub fn authority(&self) -> String {
        self.folder.path().join("ca.pem").to_str().unwrap().to_owned()
    }

    /// `REDIS_URL`.
    pub fn url(&self) -> String {
        format!("redis://:{PASSWORD}@127.0.0.1:{}/", self.port)
    }

    /// It answers nothing, and closes nothing.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    pub fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let server = self.server.lock().unwrap();
        let pid = i32::try_from(server.as_ref().unwrap().id()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    /// kill -9
    pub fn kill(&self) {
        if let Some(mut server) = self.server.lock().unwrap().take() {
            server.kill().unwrap();
            server.wait().unwrap();
        }
    }

    pub async fn start_again(&self) {
        let port = self.port.to_string();
        let file = |name: &str| self.folder.path().join(name).to_str().unwrap().to_owned();
        let tls = [
            ("--tls-port", self.tls_port.to_string()),
            ("--tls-cert-file", file("server.pem")),
            ("--tls-key-file", file("server.key")),
            ("--tls-ca-cert-file", file("ca.pem")),
            ("--tls-auth-clients", "no".into()),
        ];
        let has_tls = self.folder.path().join("server.pem").exists();
        let server = Command::new(tools::redis())
            .args([
                "--port",
                &port,
                "--bind",
                "127.0.0.1",
                "--requirepass",
                PASSWORD,
                "--save",
                "",
                "--appendonly",
                "no",
            ])
            .args(tls.iter().filter(|_| has_tls).flat_map(|(name, value)| [*name, value.as_str()]))
            .arg("--dir")
            .arg(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is needed: tools/install redis");
        *self.server.lock().unwrap() = Some(server);
        let answers = async {
            while self.ask("PING").await.is_none_or(|answer| !answer.contains("PONG")) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), answers).await.expect("Redis answers");
    }

    async fn connect(&self, command: &str) -> std::io::Result<TcpStream> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        stream.write_all(format!("AUTH {PASSWORD}\r\n{command}\r\n").as_bytes()).await?;
        Ok(stream)
    }

    /// What is answered to a command, up to some KB.
    pub async fn ask(&self, command: &str) -> Option<String> {
        let mut stream = self.connect(&format!("{command}\r\nQUIT")).await.ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.ok()?;
        Some(String::from_utf8_lossy(&answer).into_owned())
    }

    /// Everything that is said to Redis from now on, until [`Heard`] is dropped.
    pub async fn monitor(&self) -> Heard {
        let mut stream = self.connect("MONITOR").await.unwrap();
        let heard = Arc::<Mutex<Vec<u8>>>::default();
        let all = heard.clone();
        let listening = tokio::spawn(async move {
            let mut buffer = vec![0; 1 << 16];
            while let Ok(count @ 1..) = stream.read(&mut buffer).await {
                all.lock().unwrap().extend_from_slice(&buffer[..count]);
            }
        });
        Heard { heard, _listening: AbortOnDropHandle::new(listening) }
    }

    /// Everything that it keeps, as it would be written to a disk.
    pub async fn dump(&self) -> Vec<u8> {
        let saved = self.ask("SAVE").await.unwrap();
        assert!(saved.contains("OK"), "{saved}");
        std::fs::read(self.folder.path().join("dump.rdb")).unwrap()
    }
}

pub struct Heard {
    heard: Arc<Mutex<Vec<u8>>>,
    _listening: AbortOnDropHandle<()>,
}

impl Heard {
    pub fn all(&self) -> Vec<u8> {
        self.heard.lock().unwrap().clone()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}
