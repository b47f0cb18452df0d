//! Clients of Socket.IO: the official ones, in Node, told what to do line by line.

use std::collections::HashMap;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::oneshot;

use super::tools;

pub struct Sockets {
    input: tokio::sync::Mutex<ChildStdin>,
    waiting: Arc<Mutex<HashMap<u64, oneshot::Sender<Value>>>>,
    next: AtomicU64,
    _child: Child,
}

impl Sockets {
    pub fn start() -> Self {
        tools::folder();
        let mut child = Command::new("node")
            .arg(tools::path("sockets.mjs"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("node is needed");
        let waiting: Arc<Mutex<HashMap<u64, oneshot::Sender<Value>>>> = Arc::default();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let answers = waiting.clone();
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                let said: Value = serde_json::from_str(&line).unwrap();
                let asked = answers.lock().unwrap().remove(&said["number"].as_u64().unwrap());
                let _ = asked.unwrap().send(said["answer"].clone());
            }
        });
        let input = tokio::sync::Mutex::new(child.stdin.take().unwrap());
        Self { input, waiting, next: AtomicU64::new(1), _child: child }
    }

    /// Runs a command of `sockets.mjs` for a client.
    pub async fn run(&self, command: &str, name: &str, mut args: Value) -> Value {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        self.waiting.lock().unwrap().insert(number, sender);
        args["number"] = json!(number);
        args["command"] = json!(command);
        args["name"] = json!(name);
        self.input.lock().await.write_all(format!("{args}\n").as_bytes()).await.unwrap();
        answer.await.expect("the clients answer")
    }

    pub async fn connect(&self, name: &str, base: &str, token: &str) -> Value {
        self.run("connect", name, json!({"url": base, "token": token, "transports": ["websocket"]})).await
    }

    /// The acknowledgement of an event.
    pub async fn ask(&self, name: &str, event: &str, data: Value) -> Value {
        self.run("ask", name, json!({"event": event, "data": data})).await
    }

    /// The acknowledgement, which is a positive one.
    pub async fn done(&self, name: &str, event: &str, data: Value) -> Value {
        let answer = self.ask(name, event, data).await;
        assert_eq!(answer["ok"], true, "{name} {event}: {answer}");
        answer
    }

    /// The first event of a kind that a client got.
    pub async fn take(&self, name: &str, event: &str) -> Value {
        let taken = self.run("take", name, json!({"event": event})).await;
        assert!(taken.get("error").is_none(), "{name} waits for {event}: {taken}");
        taken
    }

    pub async fn ended(&self, name: &str) -> Value {
        self.run("ended", name, json!({})).await
    }
}
