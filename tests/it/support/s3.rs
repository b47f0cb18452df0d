//! Servers that speak S3 and check signatures: s3rver of npm, behind a check of our own, and moto of `PyPI`, with botocore's.
//! Installed once, when missing.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::Value;

use super::tools;

const BUCKET: &str = "care-files";
const KEY: &str = "GK31c2f218";
/// As such secrets are: with what a URL has to escape.
const SECRET: &str = "b/8+k2J9vQx7LmT4zRw8";

pub struct S3 {
    child: Child,
    pub port: u16,
    folder: tempfile::TempDir,
}

/// What is the matter with one.
#[derive(Clone, Copy, Default)]
struct Ways {
    /// So much time passes before it takes anything of the first part of an upload.
    before_a_part: Duration,
    /// And before it makes an upload, and as much before it takes what notes it.
    before_an_upload: Duration,
    /// So many times it is asked for the head of an object it answers 503.
    refused: u32,
}

impl S3 {
    pub fn start() -> Self {
        Self::start_as(Ways::default())
    }

    /// One that lets so much time pass before it makes an upload, and as much before it takes what notes it.
    pub fn start_slow_to_begin(wait: Duration) -> Self {
        Self::start_as(Ways { before_an_upload: wait, ..Ways::default() })
    }

    /// One that lets so much time pass before it takes anything of the first part of an upload.
    pub fn start_slow(wait: Duration) -> Self {
        Self::start_as(Ways { before_a_part: wait, ..Ways::default() })
    }

    /// The same, and it refuses so many times to say whether an object is there.
    pub fn start_slow_and_refusing(wait: Duration, refused: u32) -> Self {
        Self::start_as(Ways { before_a_part: wait, refused, ..Ways::default() })
    }

    fn start_as(ways: Ways) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (child, port) = run(folder.path(), 0, ways);
        Self { child, port, folder }
    }

    /// `STORAGE_URL` of it.
    pub fn url(&self) -> String {
        self.url_with("b%2F8%2Bk2J9vQx7LmT4zRw8", BUCKET)
    }

    pub fn url_with(&self, secret: &str, bucket: &str) -> String {
        format!("s3://{KEY}:{secret}@127.0.0.1:{}/{bucket}?tls=none", self.port)
    }

    /// Takes requests and answers none, until [`S3::wake`].
    pub fn sleep(&self) {
        self.signal(rustix::process::Signal::STOP);
    }

    pub fn wake(&self) {
        self.signal(rustix::process::Signal::CONT);
    }

    fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), signal).unwrap();
    }

    /// Whether somebody asks, and is not heard.
    pub fn is_asked(&self) -> bool {
        let port = format!(":{:04X}", self.port);
        std::fs::read_to_string("/proc/net/tcp").unwrap().lines().any(|line| {
            let parts: Vec<_> = line.split_whitespace().collect();
            parts[1].ends_with(&port) && parts[3] == "01" && !parts[4].ends_with(":00000000")
        })
    }

    pub fn stop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// The same one again, with what it kept.
    pub fn go_on(&mut self) {
        (self.child, _) = run(self.folder.path(), self.port, Ways::default());
    }

    /// How many uploads in parts are neither complete nor called off.
    pub fn uploads(&self) -> usize {
        let uploads = self.folder.path().join(BUCKET).join("._S3rver_uploads");
        std::fs::read_dir(uploads).map_or(0, Iterator::count)
    }

    /// How many objects were put below a folder of the bucket, in one piece, also those that are gone.
    pub async fn put_below(&self, top: &str) -> usize {
        let listed = reqwest::get(format!("http://127.0.0.1:{}/-/put", self.port)).await.unwrap();
        let listed: Vec<String> = listed.json().await.unwrap();
        listed.iter().filter(|path| path.starts_with(&format!("/{BUCKET}/{top}/"))).count()
    }

    /// The files that it made of people's objects, by their names below the bucket.
    pub fn objects(&self) -> Vec<(PathBuf, Vec<u8>)> {
        self.objects_below("files")
    }

    /// The same of what is below a folder of the bucket.
    pub fn objects_below(&self, top: &str) -> Vec<(PathBuf, Vec<u8>)> {
        fn walk(folder: &Path, found: &mut Vec<(PathBuf, Vec<u8>)>) {
            for entry in std::fs::read_dir(folder).into_iter().flatten() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    walk(&path, found);
                } else if path.to_string_lossy().ends_with("_S3rver_object") {
                    found.push((path.clone(), std::fs::read(&path).unwrap()));
                }
            }
        }
        let mut found = Vec::new();
        walk(&self.folder.path().join(BUCKET).join(top), &mut found);
        found
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// moto: nothing of it is ours but how it is started. It keeps everything in memory.
pub struct Moto {
    child: Child,
    asked: ChildStdin,
    told: BufReader<ChildStdout>,
    said: Value,
}

impl Moto {
    pub fn start() -> Self {
        let mut child = Command::new(tools::moto())
            .arg(tools::path("s3-moto.py"))
            .arg(BUCKET)
            // proxies and profiles of whoever tests are none of it
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (asked, mut told) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let said = read(&mut told);
        Self { child, asked, told, said }
    }

    /// `STORAGE_URL` of it.
    pub fn url(&self) -> String {
        self.url_of(&self.said)
    }

    /// The same, with a key that has all the rights but one.
    pub fn url_without(&mut self, right: &str) -> String {
        writeln!(self.asked, "{right}").unwrap();
        let key = read(&mut self.told);
        self.url_of(&key)
    }

    fn url_of(&self, key: &Value) -> String {
        let [key, secret] = ["key", "secret"].map(|it| key[it].as_str().unwrap());
        let secret = secret.replace('/', "%2F").replace('+', "%2B");
        format!("s3://{key}:{secret}@127.0.0.1:{}/{BUCKET}?tls=none", self.said["port"])
    }

    /// The keys of the `objects` that it holds, or of the `uploads` that are neither complete nor called off.
    pub fn held(&mut self, what: &str) -> Vec<String> {
        writeln!(self.asked).unwrap();
        serde_json::from_value(read(&mut self.told)[what].take()).unwrap()
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(told: &mut impl BufRead) -> Value {
    let mut line = String::new();
    told.read_line(&mut line).unwrap();
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line:?}: {error}"))
}

fn run(folder: &Path, port: u16, ways: Ways) -> (Child, u16) {
    static MODULES: OnceLock<PathBuf> = OnceLock::new();
    let modules = MODULES.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let done = Command::new(root.join("tools/install")).arg("s3").status().expect("bash is needed");
        assert!(done.success(), "tools/install s3 failed");
        root.join(".huntzen/s3/node_modules")
    });
    let mut child = Command::new("node")
        .arg(tools::path("s3.mjs"))
        .arg(modules)
        .arg(folder)
        .args([BUCKET, KEY, SECRET, &port.to_string()])
        .args([ways.before_a_part, ways.before_an_upload].map(|wait| wait.as_millis().to_string()))
        .arg(ways.refused.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .expect("node is needed: tools/install node");
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (child, line.trim().parse().expect("the server says its port"))
}
