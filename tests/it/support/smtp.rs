//! A real SMTP server, shared by the tests of a process. Each application sends from an address of its own.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use serde::Deserialize;

use super::tools;

pub struct Sink {
    pub port: u16,
    folder: PathBuf,
    // ends when its standard input closes, which happens when this process ends
    _child: Child,
    _folder: tempfile::TempDir,
}

/// A mail as an independent parser read it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mail {
    pub from: String,
    pub from_name: Option<String>,
    pub to: Vec<String>,
    pub subject: String,
    pub text: Option<String>,
    pub html: Option<String>,
    pub message_id: String,
    pub headers: std::collections::BTreeMap<String, String>,
    pub attachments: Vec<Attachment>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Attachment {
    #[serde(rename = "type")]
    pub media_type: String,
    pub method: Option<String>,
    pub name: Option<String>,
    pub content: String,
}

impl Mail {
    /// The calendar part, as Mozilla's parser understands it.
    pub fn calendar(&self) -> serde_json::Value {
        let part = self
            .attachments
            .iter()
            .find(|part| part.media_type == "text/calendar")
            .unwrap_or_else(|| panic!("no calendar in {:?}", self.subject));
        serde_json::from_str(&tools::run("parse-ics.mjs", &[], part.content.as_bytes())).unwrap()
    }

    /// The value of a query parameter in the first link that has it.
    pub fn link_parameter(&self, name: &str) -> String {
        let text = self.text.as_deref().unwrap_or_default();
        let marker = format!("{name}=");
        let from = text.find(&marker).unwrap_or_else(|| panic!("no {name} in {text}")) + marker.len();
        text[from..].chars().take_while(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).collect()
    }
}

pub fn sink() -> &'static Sink {
    static SINK: OnceLock<Sink> = OnceLock::new();
    SINK.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let mut child = Command::new("node")
            .arg(tools::folder().join("smtp-sink.mjs"))
            .arg(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node is needed");
        let mut port = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut port).unwrap();
        Sink { port: port.trim().parse().unwrap(), folder: folder.path().to_owned(), _child: child, _folder: folder }
    })
}

impl Sink {
    /// The mails that one sender sent, in order.
    pub fn mails(&self, sender: &str) -> Vec<Mail> {
        let Ok(entries) = std::fs::read_dir(self.folder.join(sender)) else { return Vec::new() };
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
            .collect();
        names.sort();
        names.iter().map(|path| serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()).collect()
    }
}
