//! The words, what is looked for of them, and which columns hold none.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use regex::bytes::Regex;
use sqlx::{AssertSqlSafe, PgPool};
use uuid::Uuid;

/// Every confidential field, the column that keeps it, where one of its own does, and whose it is. Who adds a field adds a
/// line.
pub const FIELDS: &[(&str, Option<&str>, &str)] = &[
    ("why a session is booked", Some("consultation_reasons.sealed"), "alice"),
    ("why it is cancelled", Some("consultation_reasons.sealed"), "alice"),
    ("a message", Some("messages.sealed"), "alice"),
    ("an edited message", Some("messages.sealed"), "alice"),
    ("what is repeated under a key", Some("idempotency_keys.fingerprint"), "bob"),
    ("the name of an attachment", Some("files.sealed_name"), "alice"),
    ("an attachment", Some("files.sealed_key"), "alice"),
    ("the name of a document", Some("files.sealed_name"), "alice"),
    ("a document", Some("files.sealed_key"), "alice"),
    ("a note", Some("clinical_note_versions.sealed"), "dr"),
    ("a saved note", Some("clinical_note_versions.sealed"), "dr"),
    ("the assessment of a note", Some("clinical_note_versions.sealed"), "dr"),
    ("an addendum", Some("clinical_note_versions.sealed"), "dr"),
    ("an entry of a journal", Some("journal_entries.sealed"), "alice"),
    ("a tag of a journal", Some("journal_entries.facts"), "alice"),
    ("the secret of an authenticator", Some("two_factor.secret"), "other"),
    ("the secret of the next one", Some("two_factor.pending_secret"), "other"),
    ("a recovery code", Some("recovery_codes.hash"), "other"),
    ("the address of a calendar", Some("external_calendars.url"), "dr"),
    ("a title in that calendar", None, "dr"),
    ("the address of a feed", Some("calendar_feeds.hash"), "dr"),
    ("a password", None, "carol"),
    ("a wrong password", None, ""),
    ("a refresh token", Some("refresh_tokens.hash"), "alice"),
    ("an access token", None, "alice"),
    ("the token of a device", Some("known_devices.hash"), "alice"),
    ("the link of a letter", Some("one_time_tokens.hash"), "alice"),
    ("an address that nobody has", Some("throttles.key"), ""),
    ("a private address", None, "alice"),
    ("what is refused", None, ""),
    ("an entry that does not open", Some("journal_entries.sealed"), "bob"),
    ("what fails half-way", None, ""),
    ("a private entry", Some("journal_entries.sealed"), "alice"),
    ("a wrap by passphrase", Some("journal_keys.by_passphrase"), "alice"),
    ("a wrap by recovery code", Some("journal_keys.by_recovery_code"), "alice"),
    ("a wrap by passphrase of before", Some("journal_keys.before_passphrase"), "alice"),
    ("a wrap by recovery code of before", Some("journal_keys.before_recovery_code"), "alice"),
    ("a review", Some("reviews.sealed"), "alice"),
    ("a description of a call", Some("call_signals.sealed"), "alice"),
    ("a candidate of a call", Some("call_signals.sealed"), "alice"),
    ("the name of a picture", None, "alice"),
    ("what stands in a picture", None, "alice"),
    ("the name of a picture for all", None, "staff"),
    ("the journal of somebody who goes", None, "erin"),
];

/// Why no word fits into a column that no field names. Each reason is looked at.
#[derive(Clone, Copy, Debug)]
pub enum Reason {
    /// It holds a digest: 32 bytes, neither more nor fewer.
    Digest,
    /// It holds this many bytes, which are those of a key and what it is wrapped in.
    Key(i32),
}

/// The other columns of bytes.
pub const OTHERS: &[(&str, Reason)] = &[
    // wrapped under the master key `test`: form and name, nonce, key, tag
    ("encryption_keys.wrapped", Reason::Key(3 + 4 + 12 + 32 + 16)),
    // the same of Ed25519 in PKCS 8
    ("signing_keys.secret", Reason::Key(3 + 4 + 12 + 48 + 16)),
    // wrapped under the key of its person
    ("privacy_requests.sealed_key", Reason::Key(2 + 16 + 12 + 32 + 16)),
    ("master_keys.check_value", Reason::Digest),
    ("files.digest", Reason::Digest),
    ("erasure_ledger.digest", Reason::Digest),
    ("audit_chain.digest", Reason::Digest),
    ("audit_chain.entry_digest", Reason::Digest),
    ("audit_heads.digest", Reason::Digest),
    ("audit_verifications.digest", Reason::Digest),
    ("invitation_mails.address_hash", Reason::Digest),
];

/// What is wrong with a column: no word reached it, or its reason does not hold. Where there is no row to look at, the
/// database itself has to refuse what is longer.
pub async fn fault(column: &str, db: &PgPool) -> Option<String> {
    let (table, name) = column.split_once('.').unwrap();
    let count = async |condition: &str| -> i64 {
        let query = format!("SELECT count(*) FROM app.{table} WHERE {name} IS NOT NULL {condition}");
        sqlx::query_scalar(AssertSqlSafe(query)).fetch_one(db).await.unwrap()
    };
    if FIELDS.iter().any(|(_, it, _)| *it == Some(column)) {
        return (count("").await == 0).then(|| format!("{column}: no word reached it"));
    }
    let Some((_, reason)) = OTHERS.iter().find(|(it, _)| *it == column) else {
        return Some(format!("{column}: a field of FIELDS, or one of OTHERS?"));
    };
    let length = match reason {
        Reason::Digest => 32,
        Reason::Key(length) => *length,
    };
    let query = format!("SELECT max(octet_length({name})) FROM app.{table} WHERE octet_length({name}) <> {length}");
    let other: Option<i32> = sqlx::query_scalar(AssertSqlSafe(query)).fetch_one(db).await.unwrap();
    if let Some(other) = other {
        return Some(format!("{column}: a value of {other} bytes is no {reason:?}"));
    }
    let is_checked: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM pg_constraint WHERE conrelid = ('app.' || $1)::regclass AND contype = 'c'
                          AND pg_get_constraintdef(oid) ~ ('length\\(' || $2 || '\\) = ' || $3))",
    )
    .bind(table)
    .bind(name)
    .bind(length.to_string())
    .fetch_one(db)
    .await
    .unwrap();
    (count("").await == 0 && !is_checked).then(|| format!("{column}: nothing shows that it is a {reason:?}"))
}

/// Where a word may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the tables as it is: an account has an address.
    Tables,
    /// In a letter to its own person.
    Letters,
    /// In what staff see of accounts, and moderate.
    Staff,
}

pub struct Word {
    pub field: &'static str,
    pub text: String,
    pub may: &'static [Place],
}

#[derive(Default)]
pub struct Words(pub Vec<Word>);

impl Words {
    /// A new word for a field: letters and digits, so that it looks the same in any notation.
    pub fn of(&mut self, field: &'static str) -> String {
        let word = format!("canary{}{}", self.0.len(), Uuid::new_v4().simple());
        self.know(field, word.clone(), &[]);
        word
    }

    pub fn know(&mut self, field: &'static str, text: String, may: &'static [Place]) {
        assert!(text.len() >= 16, "{field}: {text} could be there by chance");
        self.0.push(Word { field, text, may });
    }

    /// The word of a field.
    pub fn get(&self, field: &str) -> &str {
        &self.0.iter().find(|it| it.field == field).unwrap_or_else(|| panic!("{field}")).text
    }

    /// Looks for all that may not be there.
    pub fn none_in(&self, place: Option<Place>, what: &str, bytes: &[u8]) {
        self.none_but_of("nobody", place, what, bytes);
    }

    /// The same in what is somebody's own.
    pub fn none_but_of(&self, person: &str, place: Option<Place>, what: &str, bytes: &[u8]) {
        assert!(!bytes.is_empty(), "{what} is empty");
        let is_own = |it: &Word| FIELDS.iter().any(|(field, _, whose)| *field == it.field && *whose == person);
        let sought: Vec<&Word> =
            self.0.iter().filter(|it| place.is_none_or(|place| !it.may.contains(&place)) && !is_own(it)).collect();
        let any: Vec<String> = sought.iter().flat_map(|it| forms(&it.text)).map(|it| regex::escape(&it)).collect();
        if let Some(found) = Regex::new(&any.join("|")).unwrap().find(bytes) {
            let around = &bytes[found.start().saturating_sub(200)..(found.end() + 100).min(bytes.len())];
            let field = sought.iter().find(|it| forms(&it.text).iter().any(|form| form.as_bytes() == found.as_bytes()));
            panic!("{} is in {what}: {}", field.unwrap().field, String::from_utf8_lossy(around));
        }
    }
}

/// How a text looks in a dump, in bytes that are shown as such, and in base64 wherever it begins.
fn forms(text: &str) -> Vec<String> {
    let mut forms = vec![text.to_owned(), hex::encode(text)];
    for before in 0..3 {
        let coded = STANDARD_NO_PAD.encode([&vec![0; before][..], text.as_bytes()].concat());
        let inner = coded[[0, 2, 3][before]..coded.len() - 2].to_owned();
        forms.push(hex::encode(&inner));
        forms.push(inner);
    }
    forms
}
