//! The making of a copy: read as its person, section by section, file by file, into one archive that is sealed as it grows.

use std::fmt::Write as _;

use futures_util::TryStreamExt;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{MailCopy, MakeCopy};
use crate::domain::privacy::copies::archive::Archive;
use crate::domain::privacy::copies::model::{document, subject};
use crate::domain::privacy::copies::page::{self, Reader, escaped};
use crate::domain::privacy::copies::sections::{Section, Source};
use crate::domain::privacy::copies::store::{self, Begun, Written};
use crate::domain::{chat, consultations, files, journal, reviews};
use crate::platform::auth::{Caller, Permission};
use crate::platform::crypto::envelope::SubjectKey;
use crate::platform::ids::{FileId, PrivacyRequestId, SessionId};
use crate::platform::jobs::JobContext;
use crate::platform::problem::Error;
use crate::platform::{Context, Problem, RequestInfo, Result};

/// Rows of the database are read until there is so much to write, as JSON.
const AT_ONCE: usize = 8 << 20;
/// Rows that are written at once.
const WRITTEN_AT_ONCE: usize = 200;

/// Nobody waits for the copy any more: its account is being erased.
struct Stopped;

/// A step that went through, or the end of the work.
type Step<T> = Result<std::result::Result<T, Stopped>>;

pub async fn make(cx: JobContext, job: MakeCopy) -> Result<()> {
    let id = job.request_id;
    let platform = cx.platform.clone();
    let person = cx.user_id.ok_or_else(|| Problem::internal("a copy is somebody's"))?;
    let random = hex::encode(platform.entropy.bytes::<17>());
    let (shard, key) = random.split_at(2);
    let object = format!("privacy/{shard}/{key}");
    let mut tx = cx.begin().await?;
    let Some(begun) = store::begin(&mut tx, id, &object).await? else { return tx.commit().await };
    tx.commit().await?;
    if let Some(left) = &begun.left_object {
        platform.storage.delete(left).await?;
    }
    // as the person: what they could not see is not in it
    let caller = Caller {
        user_id: person,
        role: begun.role,
        company_id: begun.company_id,
        session_id: SessionId(Uuid::nil()),
        totp_setup_required: false,
    };
    let request = RequestInfo::new(format!("copy-{id}"), None, begun.locale);
    let own = Context::new(platform.clone(), caller, request);

    let key = SubjectKey::new(id.0, subject(id, person), &platform.entropy);
    let wrapped_key = key.wrap(&platform.keyring, &platform.entropy)?;
    let (file_key, sealed_key) = key.new_file_key(&document(id), &platform.entropy)?;
    let sink = files::Sink::new(platform.storage.create(&object), Some((file_key, platform.entropy.clone())));
    let mut making = Making { job: &cx, own, id, object: &object, begun, archive: Archive::new(sink), done: 0, all: 0 };
    let Ok(()) = making.fill().await? else {
        // what was written of it is called off with the archive
        return Ok(());
    };
    let bytes = i64::try_from(making.archive.finish().await?).map_err(Problem::internal)?;
    let written = Written { object: &object, bytes, wrapped_key: &wrapped_key, sealed_key: &sealed_key, at: cx.now() };
    let mut tx = cx.begin().await?;
    if store::finish(&mut tx, id, &written).await? {
        tx.enqueue(&MailCopy { request_id: id, is_ready: true }, Some(&format!("{id}:ready")), None).await?;
        return tx.commit().await;
    }
    // nobody waits for it: that is kept
    tx.commit().await?;
    platform.storage.delete(&object).await
}

struct Making<'a> {
    job: &'a JobContext,
    own: Context,
    id: PrivacyRequestId,
    object: &'a str,
    begun: Begun,
    archive: Archive,
    done: i32,
    all: i32,
}

/// In which form the rows of a section are being written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    Html,
}

impl Making<'_> {
    fn reader(&self) -> Reader<'_> {
        Reader { locale: self.begun.locale, time_zone: &self.begun.time_zone }
    }

    /// Notes how far it is; whether to go on.
    async fn step(&mut self) -> Step<()> {
        self.done += 1;
        let mut tx = self.job.begin().await?;
        let goes_on = store::note_progress(&mut tx, self.id, self.object, self.done, self.all).await?;
        tx.commit().await?;
        Ok(if goes_on { Ok(()) } else { Err(Stopped) })
    }

    async fn fill(&mut self) -> Step<()> {
        let sections = Section::of(self.begun.role);
        let files = count_files(&self.own).await?;
        self.all = i32::try_from(sections.len() + files + 1).unwrap_or(i32::MAX);
        self.cover(&sections).await?;
        if let Err(stopped) = self.step().await? {
            return Ok(Err(stopped));
        }
        for section in &sections {
            for form in [Form::Json, Form::Html] {
                self.section(section, form).await?;
            }
            if let Err(stopped) = self.step().await? {
                return Ok(Err(stopped));
            }
        }
        self.files().await
    }

    /// The first page: what this is, and where everything stands.
    async fn cover(&mut self, sections: &[Section]) -> Result<()> {
        let (reader, locale) = (self.reader(), self.begun.locale);
        let mut html = reader.head(&page::phrase("title", locale));
        html.push_str(&reader.note(&page::phrase("introduction", locale)));
        html.push_str("<ul>\n");
        for section in sections {
            let (name, title) = (section.name, escaped(&page::title(section.name, locale)));
            let _ = writeln!(
                html,
                "<li><a href=\"pages/{name}.html\">{title}</a> (<a href=\"data/{name}.json\">JSON</a>)</li>"
            );
        }
        html.push_str("</ul>\n");
        for key in ["files", "left_out"] {
            html.push_str(&reader.note(&page::phrase(key, locale)));
        }
        html.push_str(reader.foot());
        self.archive.text("index.html", &html).await
    }

    async fn section(&mut self, section: &Section, form: Form) -> Result<()> {
        let (name, locale) = (section.name, self.begun.locale);
        match form {
            Form::Json => {
                self.archive.begin(&format!("data/{name}.json"), false).await?;
                self.archive.write(b"[").await?;
            }
            Form::Html => {
                self.archive.begin(&format!("pages/{name}.html"), false).await?;
                let reader = self.reader();
                let mut head = reader.head(&page::title(name, locale));
                if let Some(note) = page::note(name, locale) {
                    head.push_str(&reader.note(&note));
                }
                self.archive.write(head.as_bytes()).await?;
            }
        }
        let mut rows = Rows { form, any: false };
        match section.source {
            Source::Rows => self.own_rows(name, &mut rows).await?,
            Source::AccessLog => self.accesses(&mut rows).await?,
            Source::Reasons => self.reasons(&mut rows).await?,
            Source::Messages => self.messages(&mut rows).await?,
            Source::Journal => self.journal(&mut rows).await?,
            Source::Reviews => self.reviews(&mut rows).await?,
            Source::JournalKeys => {
                if let Some(keys) = journal::privacy::keys(&self.own).await? {
                    self.put(&mut rows, &[keys]).await?;
                }
            }
        }
        match form {
            Form::Json => self.archive.write(b"\n]\n").await,
            Form::Html => {
                let mut foot = String::new();
                if !rows.any {
                    foot.push_str(&self.reader().note(&page::phrase("empty", locale)));
                }
                foot.push_str(self.reader().foot());
                self.archive.write(foot.as_bytes()).await
            }
        }
    }

    /// Writes some rows of the section that is open.
    async fn put(&mut self, rows: &mut Rows, found: &[Value]) -> Result<()> {
        let mut text = String::new();
        for row in found {
            match rows.form {
                Form::Json => {
                    text.push_str(if rows.any { ",\n" } else { "\n" });
                    text.push_str(&serde_json::to_string(row).map_err(Problem::internal)?);
                }
                Form::Html => text.push_str(&self.reader().row(row)),
            }
            rows.any = true;
        }
        self.archive.write(text.as_bytes()).await
    }

    async fn own_rows(&mut self, name: &'static str, rows: &mut Rows) -> Result<()> {
        let (mut written, mut last) = (0, None);
        loop {
            let (mut found, are_all) = some_rows(&self.own, name, written, last.as_ref()).await?;
            for some in found.chunks(WRITTEN_AT_ONCE) {
                self.put(rows, some).await?;
                // to make them small takes the processor, and others wait for their turn
                tokio::task::yield_now().await;
            }
            if are_all {
                return Ok(());
            }
            written += i64::try_from(found.len()).map_err(Problem::internal)?;
            last = found.pop().or(last);
        }
    }

    async fn accesses(&mut self, rows: &mut Rows) -> Result<()> {
        let mut after = None;
        loop {
            let mut tx = self.own.read(Permission::ManageSelf).await?;
            let found = store::list_accesses(&mut tx, after).await?;
            drop(tx);
            let Some((id, at, _)) = found.last() else { return Ok(()) };
            after = Some((*at, *id));
            let found: Vec<_> = found.into_iter().map(|(_, _, row)| row).collect();
            self.put(rows, &found).await?;
        }
    }

    async fn reasons(&mut self, rows: &mut Rows) -> Result<()> {
        let mut after = None;
        loop {
            let (found, next) = consultations::privacy::reasons(&self.own, after).await?;
            self.put(rows, &found).await?;
            match next {
                None => return Ok(()),
                next => after = next,
            }
        }
    }

    async fn journal(&mut self, rows: &mut Rows) -> Result<()> {
        let mut after = None;
        loop {
            let (found, next) = journal::privacy::entries(&self.own, after).await?;
            self.put(rows, &found).await?;
            match next {
                None => return Ok(()),
                next => after = next,
            }
        }
    }

    async fn reviews(&mut self, rows: &mut Rows) -> Result<()> {
        let mut after = None;
        loop {
            let (found, next) = reviews::privacy::reviews(&self.own, after).await?;
            self.put(rows, &found).await?;
            match next {
                None => return Ok(()),
                next => after = next,
            }
        }
    }

    async fn messages(&mut self, rows: &mut Rows) -> Result<()> {
        let mut after = None;
        loop {
            let (conversations, next) = chat::privacy::conversations(&self.own, after).await?;
            for conversation in conversations {
                let mut rev = Some(0);
                while let Some(from) = rev {
                    let (found, on) = chat::privacy::messages(&self.own, conversation, from).await?;
                    self.put(rows, &found).await?;
                    rev = on;
                }
            }
            match next {
                None => return Ok(()),
                next => after = next,
            }
        }
    }

    async fn files(&mut self) -> Step<()> {
        let mut after = None;
        // what became of each: of the few thousand that somebody has at most
        let mut list = String::from("[");
        loop {
            let found = files::privacy::list(&self.own, after).await?;
            for id in &found {
                let fact = self.file(*id).await?;
                list.push_str(if list.len() > 1 { ",\n" } else { "\n" });
                list.push_str(&serde_json::to_string(&fact).map_err(Problem::internal)?);
                if let Err(stopped) = self.step().await? {
                    return Ok(Err(stopped));
                }
            }
            match found.last() {
                Some(latest) => after = Some(*latest),
                None => break,
            }
        }
        list.push_str("\n]\n");
        self.archive.text("data/files.json", &list).await?;
        Ok(Ok(()))
    }

    /// A file, opened and passed on as it comes; what is to be said of it. One that was deleted meanwhile is left out, one that
    /// does not open breaks off where it does not: the rest of the copy does not wait for it.
    async fn file(&mut self, id: FileId) -> Result<Value> {
        let fetched = match files::fetch(&self.own, id).await {
            Ok(fetched) => fetched,
            Err(problem) if ["not_found", "file_erased", "file_damaged"].contains(&problem.code()) => {
                tracing::warn!(?problem, file_id = %id, "a file is left out of a copy");
                return Ok(json!({"id": id.0, "state": problem.code()}));
            }
            Err(problem) => return Err(problem),
        };
        let fact =
            |state: &str| json!({"id": id.0, "name": fetched.name.expose(), "bytes": fetched.bytes, "state": state});
        let (whole, broken) = (fact("whole"), fact("file_damaged"));
        // its name is a part of a path here
        let name: String = fetched.name.expose().chars().filter(|it| !matches!(it, '/' | '\\')).collect();
        self.archive.begin(&format!("files/{id}-{name}"), true).await?;
        let mut pieces = fetched.pieces;
        loop {
            match pieces.try_next().await {
                Ok(Some(piece)) => self.archive.write(&piece).await?,
                Ok(None) => return Ok(whole),
                Err(error) if files::is_damage(&error) => {
                    tracing::error!(%error, file_id = %id, "a file breaks off in a copy");
                    return Ok(broken);
                }
                Err(error) => return Err(Problem::internal(error)),
            }
        }
    }
}

/// Some rows of a section after those that were written, the last of which is known, and whether they are all. What is
/// written is not waited for in here: no transaction is open while the storage takes its time.
async fn some_rows(
    cx: &Context,
    section: &'static str,
    written: i64,
    last: Option<&Value>,
) -> Result<(Vec<Value>, bool)> {
    let mut tx = cx.read(Permission::ManageSelf).await?;
    store::open_rows(&mut tx, section, (written - 1).max(0)).await?;
    let (mut rows, mut bytes) = (Vec::new(), 0);
    let mut before = last;
    loop {
        let mut found = store::fetch_rows(&mut tx).await?.into_iter();
        if let Some(before) = before.take() {
            // what was removed meanwhile would move the others: some would be missing, or there twice
            if found.next().is_none_or(|(row, _)| row != *before) {
                return Err(Error::Conflict.into());
            }
        }
        let known = rows.len();
        for (row, length) in found {
            bytes += usize::try_from(length).unwrap_or_default();
            rows.push(row);
        }
        if rows.len() == known {
            return Ok((rows, true));
        }
        if bytes >= AT_ONCE {
            return Ok((rows, false));
        }
    }
}

async fn count_files(cx: &Context) -> Result<usize> {
    let (mut count, mut after) = (0, None);
    loop {
        let found = files::privacy::list(cx, after).await?;
        count += found.len();
        match found.last() {
            Some(last) => after = Some(*last),
            None => return Ok(count),
        }
    }
}

/// The rows of a section that were written so far.
struct Rows {
    form: Form,
    any: bool,
}
