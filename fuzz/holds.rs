//! What holds for every parser of foreign bytes, whatever they are: it ends, within bounds, without a panic, and what it
//! says is so. The targets of libFuzzer and the tests (tests/it/corpus.rs) run the same.

#![allow(dead_code)] // each target is a program of its own

use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::OnceLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, TimeDelta, Utc};
use huntzen::domain::employees::import::sheet;
use huntzen::domain::files::model::FileName;
use huntzen::domain::files::sniff::{self, PdfWatch};
use huntzen::platform::crypto::entropy::Entropy;
use huntzen::platform::crypto::envelope::{Document, KeyPurpose, Subject, SubjectKey};
use huntzen::platform::crypto::health_text::HealthText;
use huntzen::platform::crypto::pieces::FileKey;
use huntzen::platform::crypto::seal::{Keyring, Place, Purpose};
use huntzen::platform::ical;
use huntzen::platform::ids::{CompanyId, UserId};
use huntzen::platform::images::{self, Fault, Kind, Shape};
use uuid::Uuid;

/// Panics where something does not hold for these bytes.
pub type Holds = fn(&[u8]);

/// The targets, by the names of their corpora.
pub const ALL: [(&str, Holds); 6] =
    [("envelope", envelope), ("files", files), ("images", images), ("csv", csv), ("markdown", markdown), ("ics", ics)];

/// One of each stored form, and what opens it.
struct Sealed {
    ring: Keyring,
    place: Place,
    secret: Vec<u8>,
    subject: Subject,
    wrapped: Vec<u8>,
    key: SubjectKey,
    document: Document,
    text: Vec<u8>,
    file_key: FileKey,
    file_wrapped: Vec<u8>,
    piece: Vec<u8>,
}

fn sealed() -> &'static Sealed {
    static SEALED: OnceLock<Sealed> = OnceLock::new();
    SEALED.get_or_init(|| {
        let entropy = Entropy::seeded(20_261_127);
        let id = Uuid::from_u128(7);
        let ring = Keyring::new(&[("k1".to_owned(), STANDARD.encode([7; 32]).into())]).unwrap();
        let place = Place {
            purpose: Purpose::new("fuzz.secret"),
            table: "things",
            column: "secret",
            row: id,
            person: Some(id),
            company: None,
        };
        let subject = Subject { purpose: KeyPurpose::CHAT, id, person: UserId(id), company: CompanyId(id) };
        let document = Document { domain: "chat", table: "messages", column: "sealed", row: id, version: 1 };
        let key = SubjectKey::new(id, subject, &entropy);
        let (file_key, file_wrapped) = key.new_file_key(&document, &entropy).unwrap();
        Sealed {
            secret: ring.seal(&place, b"a quiet secret", &entropy).unwrap(),
            wrapped: key.wrap(&ring, &entropy).unwrap(),
            text: key.seal(&document, &HealthText::new("a quiet word".into()), &entropy).unwrap(),
            piece: file_key.seal(3, false, b"a quiet piece", &entropy).unwrap(),
            ring,
            place,
            subject,
            key,
            document,
            file_key,
            file_wrapped,
        }
    })
}

/// Nothing opens but what was sealed, as it was sealed: neither any bytes, nor a real form with some of them changed, cut
/// off, added, or with a part of another form in the place of its own.
pub fn envelope(bytes: &[u8]) {
    let it = sealed();
    let open = |form: usize, stored: &[u8]| match form {
        0 => it.ring.open(&it.place, stored).is_ok(),
        1 => SubjectKey::unwrap(it.place.row, it.subject, stored, &it.ring).is_ok(),
        2 => it.key.open(&it.document, stored).is_ok(),
        3 => it.key.file_key(&it.document, stored).is_ok(),
        _ => it.file_key.open(3, false, &mut stored.to_vec()).is_ok(),
    };
    let real = [&it.secret, &it.wrapped, &it.text, &it.file_wrapped, &it.piece];
    let Some((how, rest)) = bytes.split_first() else { return };
    let form = usize::from(how % 5);
    let whole = real[form];
    let mut changed = match how / 5 % 4 {
        // any bytes; after its beginning; the beginning, and the rest of another one
        0 => rest.to_vec(),
        1 => [&whole[..rest.len().min(whole.len())], rest].concat(),
        2 => {
            let (other, at) = (real[usize::from(how / 20) % 5], usize::from(rest.first().copied().unwrap_or_default()));
            [&whole[..at.min(whole.len())], &other[at.min(other.len())..]].concat()
        }
        _ => whole.clone(),
    };
    if how / 5 % 4 == 3 {
        for change in rest.chunks_exact(2) {
            let at = usize::from(change[0]) % changed.len();
            changed[at] ^= change[1];
        }
        if rest.len() % 2 == 1 {
            changed.truncate(usize::from(rest[rest.len() - 1]));
        }
    }
    assert_eq!(open(form, &changed), changed == *whole, "form {form}: {changed:?}");
}

/// What a file is does not depend on the pieces that it comes in; it is one thing at most; a name is no path.
pub fn files(bytes: &[u8]) {
    let kind = sniff::media_type(bytes);
    assert_eq!(kind.is_some(), sniff::media_type(&bytes[..bytes.len().min(sniff::HEAD_BYTES)]).is_some());
    let piece = usize::from(bytes.first().copied().unwrap_or_default()) + 1;
    let (mut whole, mut pieces) = (PdfWatch::default(), PdfWatch::default());
    whole.see(bytes);
    bytes.chunks(piece).for_each(|piece| pieces.see(piece));
    assert_eq!(whole.is_whole(), pieces.is_whole());
    if whole.is_whole() {
        let head = bytes[..bytes.len().min(sniff::HEAD_BYTES)].to_ascii_lowercase();
        assert!(!head.windows(7).any(|it| it == b"<script"));
    }
    let media = sniff::media_type(b"%PDF-1.4").unwrap();
    if let Ok(name) = FileName::read(&String::from_utf8_lossy(bytes)) {
        let name = name.of(media);
        let name = name.expose();
        assert!(!name.is_empty() && !name.contains(['/', '\\', '\0', '\r', '\n', '\u{202e}']), "{name:?}");
        let said = huntzen::domain::files::model::disposition(name);
        assert!(said.is_ascii() && !said.contains(['\r', '\n']), "{said:?}");
    }
}

/// A picture that is read comes out small, as what it says it is, and reads again; any other is refused. As in the program,
/// a decoder that gives up on nonsense (the library's, by a panic) has refused it.
pub fn images(bytes: &[u8]) {
    const SIDE: u32 = 64;
    let Some((how, picture)) = bytes.split_first() else { return };
    let kind = [Kind::Jpeg, Kind::Png, Kind::Webp][usize::from(how % 3)];
    let shape = if how / 3 % 2 == 0 { Shape::Within(SIDE) } else { Shape::Square(SIDE) };
    let written = quietly(|| images::rewrite(kind, picture, shape)).unwrap_or(Err(Fault::Unreadable));
    let Ok(written) = written else { return };
    let magic: &[u8] = if written.kind == Kind::Png { b"\x89PNG" } else { b"\xff\xd8\xff" };
    assert!(written.bytes.starts_with(magic), "{:?}", written.kind);
    assert!(written.bytes.len() < 64 << 10, "{} bytes", written.bytes.len());
    let again = images::rewrite(written.kind, &written.bytes, Shape::Within(SIDE));
    assert_eq!(again.map(|it| it.kind), Ok(written.kind));
}

/// `None` where it panics; the hook that ends the fuzzer at a panic is away meanwhile.
fn quietly<T>(it: impl FnOnce() -> T) -> Option<T> {
    if !cfg!(fuzzing) {
        return catch_unwind(AssertUnwindSafe(it)).ok();
    }
    let hook = take_hook();
    set_hook(Box::new(|_| ()));
    let result = catch_unwind(AssertUnwindSafe(it)).ok();
    set_hook(hook);
    result
}

/// A sheet of people has bounds, and its rows are in the order of the file.
pub fn csv(bytes: &[u8]) {
    let Ok(sheet) = sheet::read(bytes) else { return };
    assert!(!sheet.rows.is_empty() && sheet.rows.len() <= sheet::MAX_ROWS);
    assert!(sheet.rows.is_sorted_by(|one, next| one.line <= next.line), "lines of rows");
    let lines = bytes.iter().filter(|byte| matches!(byte, b'\r' | b'\n')).count() as u64 + 1;
    assert!(sheet.rows.iter().all(|row| row.line <= lines), "{lines} lines");
}

/// What comes of Markdown runs nothing, whatever stands in it.
pub fn markdown(bytes: &[u8]) {
    let html = huntzen::domain::content::markdown::render(&String::from_utf8_lossy(bytes));
    for tag in tags(&html) {
        let name = tag.trim_start_matches('/').split(|it: char| !it.is_ascii_alphanumeric()).next().unwrap_or_default();
        let name = name.to_ascii_lowercase();
        let runs =
            ["script", "style", "iframe", "object", "embed", "form", "input", "svg", "math", "base", "meta", "link"];
        assert!(!runs.contains(&name.as_str()), "{tag:?} in {html:?}");
        for (attribute, value) in attributes(tag) {
            let attribute = attribute.to_ascii_lowercase();
            assert!(
                !attribute.starts_with("on") && attribute != "style" && attribute != "srcdoc",
                "{tag:?} in {html:?}"
            );
            if ["href", "src", "cite"].contains(&attribute.as_str()) {
                // as browsers read an address (URL standard, 4.4): without tabs and line feeds anywhere, and without
                // control characters before it
                let bare = value.replace("&amp;", "&").replace(['\t', '\n', '\r'], "");
                let bare = bare.trim_start_matches(|it| it <= ' ');
                let scheme = bare
                    .split(['/', '?', '#'])
                    .next()
                    .and_then(|it| it.split_once(':'))
                    .map(|it| it.0.to_ascii_lowercase());
                let runs = ["javascript", "data", "vbscript", "file", "blob"];
                assert!(!scheme.is_some_and(|it| runs.contains(&it.as_str())), "{tag:?} in {html:?}");
            }
        }
    }
}

/// What stands between `<` and `>`; values may hold either.
fn tags(html: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = html;
    while let Some(from) = rest.find('<') {
        let inner = &rest[from + 1..];
        let mut quoted = false;
        let end = inner.find(|it| {
            quoted ^= it == '"';
            it == '>' && !quoted
        });
        let Some(end) = end else { break };
        found.push(&inner[..end]);
        rest = &inner[end + 1..];
    }
    found
}

/// `name="value"` of a tag as the sanitiser writes it.
fn attributes(tag: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    let mut rest = tag;
    while let Some((before, after)) = rest.split_once("=\"") {
        let Some((value, next)) = after.split_once('"') else { break };
        found.push((before.rsplit([' ', '"']).next().unwrap_or_default(), value));
        rest = next;
    }
    found
}

/// Busy times are in order, apart from each other, and within the window.
pub fn ics(bytes: &[u8]) {
    let from = DateTime::<Utc>::from_timestamp(1_764_547_200, 0).unwrap();
    let window = (from, from + TimeDelta::days(400));
    let Ok(reading) = ical::read(bytes, chrono_tz::Europe::Paris, window, |uid| uid.starts_with("ours")) else {
        return;
    };
    assert!(reading.busy.iter().all(|it| it.starts_at < it.ends_at));
    assert!(reading.busy.iter().all(|it| window.0 <= it.starts_at && it.ends_at <= window.1), "{:?}", reading.busy);
    assert!(reading.busy.is_sorted_by(|one, next| one.ends_at < next.starts_at), "{:?}", reading.busy);
}
