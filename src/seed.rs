//! Data to try the program with, and data to measure it with. The SQL is in `seeds/`.
//!
//! Both run as the user of `DATABASE_URL`, who must be able to read past row security (a superuser, as in
//! development), and both are refused in production. Each is one transaction and happens once: where its
//! data is there already, nothing is touched.

mod portraits;
mod reviews;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection};
use uuid::Uuid;

use crate::domain::chat;
use crate::domain::clinical_notes::{self, Soap, Text};
use crate::domain::identity::model::TERMS_VERSION;
use crate::domain::journal::{self, Column, Entry, Facts};
use crate::platform::clock::Clock;
use crate::platform::config::Config;
use crate::platform::crypto::entropy::Entropy;
use crate::platform::crypto::envelope::{KeyPurpose, Subject, SubjectKey};
use crate::platform::crypto::health_text::HealthText;
use crate::platform::crypto::passwords::{Cost, Passwords};
use crate::platform::crypto::seal::Keyring;
use crate::platform::ids::{self, CompanyId, ConsultationId, JournalEntryId, MessageId, NoteId, UserId};
use crate::platform::problem::Problem;

/// The accounts of the demonstration that are made to log in with, and what each is.
pub const DEMO_ACCOUNTS: [(&str, &str); 11] = [
    ("admin@huntzen.test", "platform admin"),
    ("admin@acme.test", "company admin of Acme"),
    ("admin@globex.test", "company admin of Globex"),
    ("hr@acme.test", "HR of Acme"),
    ("hr@globex.test", "HR of Globex"),
    ("alice@acme.test", "employee of Acme"),
    ("bob@acme.test", "employee of Acme"),
    ("carol@globex.test", "employee of Globex"),
    ("dave@globex.test", "employee of Globex"),
    ("dr.martin@huntzen.test", "practitioner, psychology"),
    ("coach.durand@huntzen.test", "practitioner, coaching"),
];

const DEMO: &[&str] = &[
    include_str!("../seeds/demo/00_helpers.sql"),
    include_str!("../seeds/demo/01_companies.sql"),
    include_str!("../seeds/demo/02_employees.sql"),
    include_str!("../seeds/demo/03_practitioners.sql"),
    include_str!("../seeds/demo/04_consultations.sql"),
    include_str!("../seeds/demo/06_articles.sql"),
    include_str!("../seeds/demo/07_waitlist.sql"),
    include_str!("../seeds/demo/08_notifications.sql"),
    include_str!("../seeds/demo/09_audit.sql"),
    include_str!("../seeds/demo/10_consents.sql"),
    include_str!("../seeds/demo/11_news.sql"),
];
const DEMO_EXISTS: &str = "SELECT EXISTS (SELECT FROM app.users WHERE email = 'admin@acme.test')";

const LOAD: &[&str] = &[
    include_str!("../seeds/load/01_people.sql"),
    include_str!("../seeds/load/02_consultations.sql"),
    include_str!("../seeds/load/03_events.sql"),
];
const LOAD_EXISTS: &str = "SELECT EXISTS (SELECT FROM app.users WHERE email = 'employee-0@bench.test')";

/// Any number that other users of the database are unlikely to lock.
const LOCK: i64 = 0x6875_6e74_7365_6564;

#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    #[error("demonstration data is refused in production")]
    Production,
    #[error("the database refused the data: {0}")]
    Database(#[from] sqlx::Error),
    #[error("the password of the demonstration cannot be hashed: {0:?}")]
    Password(Problem),
    #[error("the contents of the demonstration cannot be sealed: {0:?}")]
    Sealing(Problem),
    #[error("the pictures of the demonstration cannot be kept: {0:?}")]
    Pictures(Problem),
}

/// What seeding did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seeded {
    Now,
    /// The data was there.
    Before,
}

/// Two companies with their people, twelve practitioners and one who is not verified yet, and a year of history. The same data each time,
/// relative to the clock's day.
pub async fn demo(owner: &PgConnectOptions, config: &Config, clock: &Clock) -> Result<Seeded, SeedError> {
    run(owner, config, clock.now(), DEMO_EXISTS, DEMO, &[]).await
}

/// So many companies, each with 100 employees, 1,000 consultations and 3,000 events, and a practitioner for
/// every two of them. The accounts are `employee-<n>@bench.test`; forty of a company's hundred have 25
/// consultations each.
pub async fn scale(
    owner: &PgConnectOptions,
    config: &Config,
    clock: &Clock,
    companies: u32,
) -> Result<Seeded, SeedError> {
    let settings = [("seed.companies", companies.to_string())];
    let seeded = run(owner, config, clock.now(), LOAD_EXISTS, LOAD, &settings).await?;
    if seeded == Seeded::Now {
        // so that the first queries are planned and run as they will be later
        let mut conn = connect(owner).await?;
        sqlx::raw_sql("VACUUM (ANALYZE)").execute(&mut conn).await?;
        conn.close().await?;
    }
    Ok(seeded)
}

async fn run(
    owner: &PgConnectOptions,
    config: &Config,
    now: DateTime<Utc>,
    exists: &'static str,
    files: &[&'static str],
    settings: &[(&str, String)],
) -> Result<Seeded, SeedError> {
    if config.is_production() {
        return Err(SeedError::Production);
    }
    let mut conn = connect(owner).await?;
    let mut tx = conn.begin().await?;
    sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(LOCK).execute(&mut *tx).await?;
    if sqlx::query_scalar(exists).fetch_one(&mut *tx).await? {
        return Ok(Seeded::Before);
    }
    let shared = [
        ("seed.now", now.to_rfc3339()),
        ("seed.password_hash", password_hash(config).await.map_err(SeedError::Password)?),
        ("seed.terms_version", TERMS_VERSION.to_owned()),
    ];
    for (name, value) in shared.iter().chain(settings) {
        sqlx::query("SELECT set_config($1, $2, true)").bind(name).bind(value).execute(&mut *tx).await?;
    }
    for file in files {
        sqlx::raw_sql(*file).execute(&mut *tx).await?;
    }
    converse(&mut tx, config, now).await?;
    write_notes(&mut tx, config, now).await?;
    write_journal(&mut tx, config, now).await?;
    reviews::write(&mut tx, config, now).await?;
    portraits::hang(&mut tx, config, now).await?;
    // HR reads about the history at once, not from the next hour on
    sqlx::query("SELECT stats.refresh($1, true)").bind(now).execute(&mut *tx).await?;
    while sqlx::query_scalar::<_, i32>("SELECT stats.publish(1000)").fetch_one(&mut *tx).await? > 0 {}
    tx.commit().await?;
    conn.close().await?;
    Ok(Seeded::Now)
}

/// What people of the demonstration wrote to each other: whether the employee did, and what.
const WORDS: [(bool, &str); 4] = [
    (true, "Bonjour, puis-je vous écrire avant notre rendez-vous ?"),
    (false, "Bonjour, bien sûr. Je vous lis ici."),
    (true, "Merci. Je dors mal depuis quelques semaines, j’aimerais en parler."),
    (false, "C’est noté, nous commencerons par là."),
];
const TALKATIVE: [&str; 2] = ["alice@acme.test", "carol@globex.test"];

/// A conversation of the demonstration.
#[derive(sqlx::FromRow)]
struct Talk {
    id: Uuid,
    company_id: CompanyId,
    user_id: UserId,
    practitioner_id: UserId,
}

/// Messages in the latest conversations of some people, sealed as the program seals them, which SQL cannot.
async fn converse(tx: &mut PgConnection, config: &Config, now: DateTime<Utc>) -> Result<(), SeedError> {
    let keyring = Keyring::new(&config.master_keys).map_err(SeedError::Sealing)?;
    let sealing = |error| SeedError::Sealing(Problem::from(error));
    // the same data each time
    let entropy = Entropy::seeded(2);
    let talks: Vec<Talk> = sqlx::query_as(
        "SELECT v.id, v.company_id, v.user_id, v.practitioner_id FROM app.conversations v
         JOIN app.consultations c ON c.id = v.id JOIN app.users u ON u.id = v.user_id
         WHERE u.email = ANY($1) AND c.cancelled_at IS NULL AND c.created_at < $2 AND c.ends_at > $2 - interval '10 days'
         ORDER BY c.starts_at DESC, c.id LIMIT 6",
    )
    .bind(TALKATIVE)
    .bind(now - TimeDelta::hours(1))
    .fetch_all(&mut *tx)
    .await?;
    for talk in talks {
        let Talk { id, company_id, user_id, practitioner_id } = talk;
        let subject = Subject { purpose: KeyPurpose::CHAT, id, person: user_id, company: company_id };
        let key = SubjectKey::new(ids::uuid_v7(now, entropy.bytes()), subject, &entropy);
        sqlx::query(
            "INSERT INTO app.encryption_keys (id, company_id, purpose, subject_id, person_id, wrapped, created_at)
             VALUES ($1, $2, 'chat', $3, $4, $5, $6)",
        )
        .bind(key.id())
        .bind(company_id)
        .bind(id)
        .bind(user_id)
        .bind(key.wrap(&keyring, &entropy).map_err(sealing)?)
        .bind(now)
        .execute(&mut *tx)
        .await?;
        for (seq, (is_employee, words)) in (1_i64..).zip(WORDS) {
            let at = now - TimeDelta::minutes(50 - 11 * seq);
            let message = MessageId(ids::uuid_v7(at, entropy.bytes()));
            let sealed = key.seal(&chat::document(message, 1), &HealthText::new(words.to_owned()), &entropy);
            sqlx::query(
                "INSERT INTO app.messages (id, company_id, conversation_id, user_id, practitioner_id, sender_id, client_id,
                                           seq, rev, sealed, created_at)
                 VALUES ($1, $2, $3, $4, $5, CASE WHEN $6 THEN $4 ELSE $5 END, $7, $8, $8, $9, $10)",
            )
            .bind(message)
            .bind(company_id)
            .bind(id)
            .bind(user_id)
            .bind(practitioner_id)
            .bind(is_employee)
            .bind(ids::uuid_v7(at, entropy.bytes()))
            .bind(seq)
            .bind(sealed.map_err(sealing)?)
            .bind(at)
            .execute(&mut *tx)
            .await?;
            sqlx::query("UPDATE app.conversations SET last_seq = $2, last_rev = $2, last_at = $3 WHERE id = $1")
                .bind(id)
                .bind(seq)
                .bind(at)
                .execute(&mut *tx)
                .await?;
        }
        // the employee has not read what was answered, and finds that in their list soon after the start
        sqlx::query(
            "WITH read AS (
                 INSERT INTO app.message_receipts (company_id, conversation_id, user_id, practitioner_id, reader_id,
                                                   delivered_seq, read_seq, rev, updated_at)
                 SELECT v.company_id, v.id, v.user_id, v.practitioner_id, who.id, who.seq, who.seq, who.rev, $2
                 FROM app.conversations v, LATERAL (VALUES (v.practitioner_id, 4, 5), (v.user_id, 1, 6)) AS who (id, seq, rev)
                 WHERE v.id = $1)
             UPDATE app.conversations SET last_rev = 6 WHERE id = $1",
        )
        .bind(id)
        .bind(now - TimeDelta::minutes(5))
        .execute(&mut *tx)
        .await?;
        sqlx::query("UPDATE app.unread_conversations SET since = $2, mailed_at = $2 WHERE conversation_id = $1")
            .bind(id)
            .bind(now - TimeDelta::minutes(6))
            .execute(&mut *tx)
            .await?;
    }
    Ok(())
}

/// Who of the demonstration writes notes.
const AUTHOR: &str = "dr.martin@huntzen.test";

/// Notes about the latest sessions of a practitioner: a final one with an addendum, and a draft that was saved twice.
async fn write_notes(tx: &mut PgConnection, config: &Config, now: DateTime<Utc>) -> Result<(), SeedError> {
    let text = |words: &str| HealthText::new(words.to_owned());
    let soap = |plan: &str| {
        Text::Soap(Soap {
            subjective: text("S’endort tard, se réveille vers quatre heures depuis le changement d’équipe."),
            objective: text("Fatiguée, orientée, débit de parole normal."),
            assessment: text("Difficulté d’adaptation, sans signe de dépression."),
            plan: text(plan),
        })
    };
    let written = [
        vec![
            soap("Agenda du sommeil ; prochaine séance dans deux semaines."),
            Text::Addendum(text("Par téléphone : dort mieux.")),
        ],
        vec![
            Text::Free(text("Première séance.")),
            Text::Free(text("Première séance. Demande : apprendre à dire non au travail.")),
        ],
    ];
    let keyring = Keyring::new(&config.master_keys).map_err(SeedError::Sealing)?;
    let sealing = |error| SeedError::Sealing(Problem::from(error));
    // the same data each time
    let entropy = Entropy::seeded(3);
    let sessions: Vec<(ConsultationId, CompanyId, UserId, DateTime<Utc>)> = sqlx::query_as(
        "SELECT c.id, c.company_id, c.practitioner_id, c.ended_at FROM app.consultations c
         JOIN app.users u ON u.id = c.practitioner_id
         WHERE u.email = $1 AND c.status = 'completed' AND c.ended_at < $2 ORDER BY c.ended_at DESC, c.id LIMIT 2",
    )
    .bind(AUTHOR)
    .bind(now - TimeDelta::hours(1))
    .fetch_all(&mut *tx)
    .await?;
    for ((session, company, author, ended), texts) in sessions.into_iter().zip(written) {
        let id = NoteId(ids::uuid_v7(ended, entropy.bytes()));
        let key = SubjectKey::new(
            ids::uuid_v7(ended, entropy.bytes()),
            clinical_notes::subject(id, author, company),
            &entropy,
        );
        sqlx::query(
            "INSERT INTO app.clinical_notes (id, company_id, consultation_id, practitioner_id, profession, format, created_at,
                                             written_at)
             SELECT $1, c.company_id, c.id, c.practitioner_id, c.specialty, $3, $4, $4 FROM app.consultations c WHERE c.id = $2",
        )
        .bind(id)
        .bind(session)
        .bind(texts.first().and_then(Text::format))
        .bind(ended)
        .execute(&mut *tx)
        .await?;
        sqlx::query(
            "INSERT INTO app.encryption_keys (id, company_id, purpose, subject_id, keeper_id, wrapped, created_at)
             VALUES ($1, $2, 'note', $3, $4, $5, $6)",
        )
        .bind(key.id())
        .bind(company)
        .bind(id)
        .bind(author)
        .bind(key.wrap(&keyring, &entropy).map_err(sealing)?)
        .bind(ended)
        .execute(&mut *tx)
        .await?;
        for (version, text) in (1..).zip(&texts) {
            let at = ended + TimeDelta::minutes(20 * i64::from(version - 1));
            if version > 1 {
                // an addendum makes it final, another text takes the place of the one before
                let change = match text.format() {
                    None => {
                        "UPDATE app.clinical_notes SET version = $2, written_at = $3, status = 'finalized', finalized_at = $3,
                                                       addenda = addenda + 1 WHERE id = $1"
                    }
                    Some(_) => "UPDATE app.clinical_notes SET version = $2, text_version = $2, written_at = $3 WHERE id = $1",
                };
                sqlx::query(change).bind(id).bind(version).bind(at).execute(&mut *tx).await?;
            }
            let words = text.to_words().map_err(SeedError::Sealing)?;
            sqlx::query(
                "INSERT INTO app.clinical_note_versions (company_id, note_id, practitioner_id, version, kind, format, sealed,
                                                         created_at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            )
            .bind(company)
            .bind(id)
            .bind(author)
            .bind(version)
            .bind(text.kind())
            .bind(text.format())
            .bind(key.seal(&clinical_notes::document(id, version), &words, &entropy).map_err(sealing)?)
            .bind(at)
            .execute(&mut *tx)
            .await?;
        }
    }
    Ok(())
}

/// Who of the demonstration keeps a journal.
const DIARIST: &str = "alice@acme.test";
/// How many days ago, in which mood, with which tags, and what.
const DAYS: [(i64, i16, &[&str], &str); 14] = [
    (80, 2, &["sleep", "work"], "Awake at four again. The new team meets before I am really there."),
    (74, 1, &["sleep"], "Three nights of almost nothing."),
    (70, 2, &["work"], "Said yes to a third project. Why?"),
    (63, 2, &["sleep"], "Wrote the hours down, as agreed. It is less than I thought."),
    (56, 3, &["sleep", "walk"], "Walked home. Slept until six."),
    (49, 3, &[], "An ordinary day, and glad of it."),
    (42, 2, &["work"], "Deadline. Shorter nights again."),
    (35, 3, &["walk"], "Walked at noon, twice this week."),
    (28, 4, &["work"], "Said no for the first time. Nothing happened."),
    (21, 4, &["sleep"], "Five nights of seven hours."),
    (14, 3, &["family"], "My sister called. A long evening."),
    (9, 4, &["walk", "family"], "Sunday in the forest with the children."),
    (5, 4, &["work"], "The third project went to somebody else."),
    (1, 5, &["sleep"], "Woke up before the alarm, and rested."),
];

/// A journal with moods over some weeks.
async fn write_journal(tx: &mut PgConnection, config: &Config, now: DateTime<Utc>) -> Result<(), SeedError> {
    let person: Option<(UserId, CompanyId)> = sqlx::query_as("SELECT id, company_id FROM app.users WHERE email = $1")
        .bind(DIARIST)
        .fetch_optional(&mut *tx)
        .await?;
    let Some((person, company)) = person else { return Ok(()) };
    let keyring = Keyring::new(&config.master_keys).map_err(SeedError::Sealing)?;
    let sealing = |error| SeedError::Sealing(Problem::from(error));
    let entropy = Entropy::seeded(4);
    let key = SubjectKey::new(ids::uuid_v7(now, entropy.bytes()), journal::subject(person, company), &entropy);
    sqlx::query(
        "INSERT INTO app.encryption_keys (id, company_id, purpose, subject_id, person_id, wrapped, created_at)
         VALUES ($1, $2, 'journal', $3, $3, $4, $5)",
    )
    .bind(key.id())
    .bind(company)
    .bind(person)
    .bind(key.wrap(&keyring, &entropy).map_err(sealing)?)
    .bind(now)
    .execute(&mut *tx)
    .await?;
    for (days, mood, tags, words) in DAYS {
        let at = now - TimeDelta::days(days);
        let id = JournalEntryId(ids::uuid_v7(at, entropy.bytes()));
        let facts = Facts::new(mood, &tags.iter().map(|tag| HealthText::new((*tag).to_owned())).collect::<Vec<_>>());
        let facts_words = facts.to_words().map_err(SeedError::Sealing)?;
        let entry = Entry::Open { body: HealthText::new(words.to_owned()), facts };
        let body_words = entry.body_words().map_err(SeedError::Sealing)?;
        let seal = |column, words| key.seal(&journal::document(column, id.0, 1), words, &entropy).map_err(sealing);
        sqlx::query(
            "INSERT INTO app.journal_entries (id, company_id, user_id, day, sealed, facts, created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $7)",
        )
        .bind(id)
        .bind(company)
        .bind(person)
        .bind(at.date_naive())
        .bind(seal(Column::Words, &body_words)?)
        .bind(seal(Column::Facts, &facts_words)?)
        .bind(at)
        .execute(&mut *tx)
        .await?;
    }
    Ok(())
}

async fn connect(owner: &PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
    let options = owner.clone().application_name("huntzen seed").options([("timezone", "UTC")]);
    // a large statement is slow, and no news
    let options = options.disable_statement_logging();
    PgConnection::connect_with(&options).await
}

/// One hash for all: they share the password, and a demonstration is to start quickly.
async fn password_hash(config: &Config) -> Result<String, Problem> {
    // the salt is the same each time as well: nothing here protects anybody
    let entropy = Entropy::seeded(1);
    Passwords::new(Cost::LEAST, &entropy)?.hash(&config.demo_password, &entropy).await
}
