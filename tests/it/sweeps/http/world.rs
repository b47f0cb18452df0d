//! The rows and people that routes are tried on. What a request changes is put back before the next one, so that the
//! order does not matter.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use huntzen::domain::{clinical_notes, files, privacy};
use huntzen::platform::auth::Role;
use huntzen::platform::crypto::envelope::SubjectKey;
use huntzen::platform::crypto::health_text::HealthText;
use huntzen::platform::crypto::seal::{Place, Purpose};
use huntzen::platform::ids::{CompanyId, NoteId, PrivacyRequestId, UserId};
use sqlx::{AssertSqlSafe, Connection, PgConnection, raw_sql};
use totp_rs::{Builder, Totp};
use uuid::Uuid;

use super::markers::foreign_to;
use super::plans::{Plans, WATCH};
use crate::support::{TestApp, User, cluster};

/// While alice's first consultation with martin goes on.
const NOW: &str = "2026-09-07T09:05:00Z";

/// Tables are copied, and note when they are written to. Its superuser's writes are not noted.
const KEEP: &str = "
    CREATE SCHEMA kept;
    CREATE TABLE fixture.touched (relation text PRIMARY KEY);
    CREATE FUNCTION fixture.touch() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
    BEGIN
        INSERT INTO fixture.touched VALUES (format('%s.%s', TG_TABLE_SCHEMA, TG_TABLE_NAME)) ON CONFLICT DO NOTHING;
        RETURN NULL;
    END $$;
    DO $$
    DECLARE
        it record;
    BEGIN
        FOR it IN SELECT c.oid::regclass AS name, format('%s.%s', n.nspname, c.relname) AS label
                  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                  WHERE n.nspname IN ('app', 'auth', 'apalis') AND c.relkind IN ('r', 'p') AND NOT c.relispartition LOOP
            EXECUTE format('CREATE TABLE kept.%I AS TABLE %s', it.label, it.name);
            EXECUTE format('CREATE TRIGGER zz_touch AFTER INSERT OR UPDATE OR DELETE ON %s
                            FOR EACH STATEMENT EXECUTE FUNCTION fixture.touch()', it.name);
        END LOOP;
    END $$;
    CREATE FUNCTION fixture.put_back(label text) RETURNS void LANGUAGE plpgsql AS $$
    DECLARE
        columns text := (SELECT string_agg(quote_ident(attname), ', ') FROM pg_attribute
                         WHERE attrelid = label::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = '');
    BEGIN
        EXECUTE format('DELETE FROM %s', label::regclass);
        EXECUTE format('INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE SELECT %2$s FROM kept.%I', label::regclass, columns, label);
    END $$;";

/// What somebody's authenticator app holds.
fn totp_secret(person: Uuid) -> Vec<u8> {
    person.as_bytes().iter().chain(b"user").copied().collect()
}

/// What became of a caller before they call.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    Nobody,
    Good,
    /// Signed in, with fewer rights than others of their role.
    Restricted,
    /// Their token is worth nothing any more.
    Out,
}

pub struct Caller {
    pub name: &'static str,
    person: &'static str,
    pub role: Role,
    company: Option<&'static str>,
    pub standing: Standing,
}

const fn caller(
    name: &'static str,
    person: &'static str,
    role: Role,
    company: Option<&'static str>,
    standing: Standing,
) -> Caller {
    Caller { name, person, role, company, standing }
}

pub const CALLERS: [Caller; 18] = {
    use Role::{CompanyAdmin, Employee, Hr, PlatformAdmin, Practitioner};
    use Standing::{Good, Nobody, Out, Restricted};
    [
        caller("nobody", "", Employee, None, Nobody),
        caller("employee", "alice", Employee, Some("acme"), Good),
        caller("practitioner", "martin", Practitioner, None, Good),
        caller("hr", "acme hr", Hr, Some("acme"), Good),
        caller("company_admin", "acme admin", CompanyAdmin, Some("acme"), Good),
        caller("platform_admin", "staff", PlatformAdmin, None, Good),
        caller("leaver", "frank", Employee, Some("acme"), Restricted),
        caller("employee of a suspended company", "peter", Employee, Some("initech"), Restricted),
        caller("HR of a suspended company", "initech hr", Hr, Some("initech"), Restricted),
        caller("admin of a suspended company", "initech admin", CompanyAdmin, Some("initech"), Restricted),
        caller("employee of an archived company", "jill", Employee, Some("umbrella"), Restricted),
        caller("HR of an archived company", "umbrella hr", Hr, Some("umbrella"), Out),
        caller("admin of an archived company", "umbrella admin", CompanyAdmin, Some("umbrella"), Out),
        caller("suspended person", "gina", Employee, Some("acme"), Out),
        caller("removed member", "acme hr 3", Hr, Some("acme"), Out),
        caller("ended session", "alice", Employee, Some("acme"), Out),
        caller("expired token", "alice", Employee, Some("acme"), Out),
        caller("forged token", "alice", Employee, Some("acme"), Out),
    ]
};

/// Somebody, with what they hold at this moment.
pub struct Person {
    pub id: Option<UserId>,
    pub company: Option<CompanyId>,
    pub token: String,
    /// Texts that no answer to them may hold.
    pub foreign: Vec<String>,
}

pub struct World {
    pub app: TestApp,
    superuser: PgConnection,
    /// As [`CALLERS`].
    pub people: Vec<Person>,
    pub put_back: usize,
    pub plans: Plans,
}

impl World {
    /// Loads the rows and signs everybody in.
    pub async fn start() -> Self {
        let options = cluster::fresh_database().await;
        let mut superuser = PgConnection::connect_with(&options).await.unwrap();
        raw_sql(WATCH).execute(&mut superuser).await.unwrap();
        let log = cluster::template().await.log();
        let plans = Plans::watch(log, options.get_database().unwrap());
        let app = TestApp::start_on(options, |name| {
            let video = [
                ("JITSI_DOMAIN", "meet.example.org"),
                ("JITSI_APP_ID", "huntzen"),
                ("JITSI_APP_SECRET", "k2J9vQx7LmT4zRw8NcYb5HdFs3GpAe6U"),
            ];
            video.into_iter().find(|it| it.0 == name).map(|it| it.1.to_owned())
        })
        .await;
        let now: DateTime<Utc> = NOW.parse().unwrap();
        app.clock.advance(now - app.clock.now());
        for sql in [include_str!("../fixture.sql"), include_str!("fixture.sql"), "RESET search_path"] {
            raw_sql(sql).execute(&mut superuser).await.unwrap();
        }
        let mut world = Self { app, superuser, people: Vec::new(), put_back: 0, plans };
        for caller in &CALLERS {
            let mut person = Person { id: None, company: None, token: String::new(), foreign: Vec::new() };
            if caller.standing != Standing::Nobody {
                person.id = Some(UserId(world.id(caller.person).await));
            }
            if let Some(company) = caller.company {
                person.company = Some(CompanyId(world.id(company).await));
            }
            world.people.push(person);
        }
        world.give_passwords().await;
        world.give_second_factors().await;
        world.write_files().await;
        world.write_notes().await;
        world.write_copies().await;
        world.write_reviews().await;
        world.sign_in(|_| true).await;
        world
    }

    pub async fn id(&mut self, name: &str) -> Uuid {
        sqlx::query_scalar("SELECT fixture.id($1)").bind(name).fetch_one(&mut self.superuser).await.unwrap()
    }

    /// The callers' passwords, as fixture.ids says them.
    async fn give_passwords(&mut self) {
        // a new password ends the log-ins that wait for a code: these are to go on
        raw_sql("SET session_replication_role = replica").execute(&mut self.superuser).await.unwrap();
        for name in CALLERS.iter().map(|caller| caller.person).filter(|name| !name.is_empty()).collect::<BTreeSet<_>>()
        {
            let platform = &self.app.platform;
            let words = format!("the quiet words of {name}").into();
            let hash = platform.passwords.hash(&words, &platform.entropy).await.unwrap();
            sqlx::query("UPDATE app.users SET password_hash = $2 WHERE display_name = $1")
                .bind(name)
                .bind(hash)
                .execute(&mut self.superuser)
                .await
                .unwrap();
        }
        raw_sql("RESET session_replication_role").execute(&mut self.superuser).await.unwrap();
    }

    /// Everybody's app, enabled and offered anew at once.
    async fn give_second_factors(&mut self) {
        let people: Vec<Uuid> =
            sqlx::query_scalar("SELECT user_id FROM app.two_factor").fetch_all(&mut self.superuser).await.unwrap();
        for person in people {
            let seal = |column| {
                let place = Place {
                    purpose: Purpose::new("identity.totp"),
                    table: "two_factor",
                    column,
                    row: person,
                    person: Some(person),
                    company: None,
                };
                let platform = &self.app.platform;
                platform.keyring.seal(&place, &totp_secret(person), &platform.entropy).unwrap()
            };
            sqlx::query(
                "UPDATE app.two_factor SET secret = $2, pending_secret = $3, pending_at = $4 WHERE user_id = $1",
            )
            .bind(person)
            .bind(seal("secret"))
            .bind(seal("pending_secret"))
            .bind(self.app.clock.now())
            .execute(&mut self.superuser)
            .await
            .unwrap();
        }
    }

    /// What the exports of the fixture are said to be.
    async fn write_files(&mut self) {
        let keys: Vec<String> = sqlx::query_scalar("SELECT file_key FROM app.exports WHERE file_key IS NOT NULL")
            .fetch_all(&mut self.superuser)
            .await
            .unwrap();
        for key in keys {
            let mut file = self.app.platform.storage.create(&key);
            file.write(b"\"month\"\r\n\"2026-06\"\r\n").await.unwrap();
            file.finish().await.unwrap();
        }
        let keys: Vec<String> = sqlx::query_scalar("SELECT object_key FROM app.files WHERE purpose = 'avatar'")
            .fetch_all(&mut self.superuser)
            .await
            .unwrap();
        for key in keys {
            let mut file = self.app.platform.storage.create(&key);
            file.write(b"picture").await.unwrap();
            file.finish().await.unwrap();
        }
    }

    /// The copies of people's data, so that they open.
    async fn write_copies(&mut self) {
        let copies: Vec<(PrivacyRequestId, UserId, String)> =
            sqlx::query_as("SELECT id, user_id, object_key FROM app.privacy_requests WHERE kind = 'export'")
                .fetch_all(&mut self.superuser)
                .await
                .unwrap();
        let (keyring, entropy) = (&self.app.platform.keyring, &self.app.platform.entropy);
        for (id, person, object) in copies {
            let key = SubjectKey::new(id.0, privacy::copy_subject(id, person), entropy);
            let (file_key, sealed_key) = key.new_file_key(&privacy::copy_document(id), entropy).unwrap();
            let storage = self.app.platform.storage.create(&object);
            let mut sink = files::Sink::new(storage, Some((file_key, entropy.clone())));
            sink.write(b"PK everything").await.unwrap();
            sink.finish().await.unwrap();
            sqlx::query("UPDATE app.privacy_requests SET sealed_key = $2 WHERE id = $1")
                .bind(id)
                .bind(sealed_key)
                .execute(&mut self.superuser)
                .await
                .unwrap();
            sqlx::query(
                "INSERT INTO app.encryption_keys (id, company_id, purpose, subject_id, person_id, wrapped, created_at)
                 VALUES ($1, '00000000-0000-0000-0000-000000000000', 'copy', $1, $2, $3, '2026-06-01')",
            )
            .bind(id)
            .bind(person)
            .bind(key.wrap(keyring, entropy).unwrap())
            .execute(&mut self.superuser)
            .await
            .unwrap();
        }
    }

    /// The notes of the fixture, so that they open.
    async fn write_notes(&mut self) {
        let notes: Vec<(NoteId, UserId, CompanyId)> =
            sqlx::query_as("SELECT id, practitioner_id, company_id FROM app.clinical_notes")
                .fetch_all(&mut self.superuser)
                .await
                .unwrap();
        let (keyring, entropy) = (&self.app.platform.keyring, &self.app.platform.entropy);
        // texts are append-only
        raw_sql("SET session_replication_role = replica").execute(&mut self.superuser).await.unwrap();
        for (note, author, company) in notes {
            let key = SubjectKey::new(Uuid::new_v4(), clinical_notes::subject(note, author, company), entropy);
            let words = HealthText::new(r#"{"free":"As agreed."}"#.to_owned());
            sqlx::query(
                "INSERT INTO app.encryption_keys (id, company_id, purpose, subject_id, keeper_id, wrapped, created_at)
                 VALUES ($1, $2, 'note', $3, $4, $5, now())",
            )
            .bind(key.id())
            .bind(company)
            .bind(note)
            .bind(author)
            .bind(key.wrap(keyring, entropy).unwrap())
            .execute(&mut self.superuser)
            .await
            .unwrap();
            sqlx::query("UPDATE app.clinical_note_versions SET sealed = $2 WHERE note_id = $1")
                .bind(note)
                .bind(key.seal(&clinical_notes::document(note, 1), &words, entropy).unwrap())
                .execute(&mut self.superuser)
                .await
                .unwrap();
        }
        raw_sql("RESET session_replication_role").execute(&mut self.superuser).await.unwrap();
    }

    /// The reviews of the fixture, so that they open.
    async fn write_reviews(&mut self) {
        let reviews: Vec<Uuid> =
            sqlx::query_scalar("SELECT id FROM app.reviews").fetch_all(&mut self.superuser).await.unwrap();
        let platform = &self.app.platform;
        for row in reviews {
            let purpose = Purpose::new("reviews.text");
            let place = Place { purpose, table: "reviews", column: "sealed", row, person: None, company: None };
            let words = br#"{"text":"Somebody was listened to","marks":[]}"#;
            sqlx::query("UPDATE app.reviews SET sealed = $2 WHERE id = $1")
                .bind(row)
                .bind(platform.keyring.seal(&place, words, &platform.entropy).unwrap())
                .execute(&mut self.superuser)
                .await
                .unwrap();
        }
    }

    /// A text of fixture.ids as it is sent: `code of …` is what somebody's app shows at this moment.
    pub fn spoken(&self, text: String) -> String {
        let Some(person) = text.strip_prefix("code of ") else { return text };
        let totp: Totp = Builder::new().with_secret(totp_secret(person.parse().unwrap())).build().unwrap();
        totp.generate(self.app.clock.now().timestamp().unsigned_abs()).to_string()
    }

    /// New sessions, for whom it concerns.
    async fn sign_in(&mut self, whom: impl Fn(&Caller) -> bool) {
        for (caller, person) in CALLERS.iter().zip(&mut self.people) {
            let Some(user) = person.id.filter(|_| whom(caller)) else { continue };
            let expired = caller.name == "expired token";
            if expired {
                self.app.clock.advance(-TimeDelta::hours(1));
            }
            person.token = match caller.name {
                "forged token" => "not.a.token".to_owned(),
                _ => self.app.session(user, caller.role, person.company).await,
            };
            if expired {
                self.app.clock.advance(TimeDelta::hours(1));
            }
        }
    }

    pub fn user(&self, caller: usize) -> User {
        self.app.anonymous().with_token(&self.people[caller].token)
    }

    pub fn named(&self, name: &str) -> User {
        self.user(CALLERS.iter().position(|caller| caller.name == name).unwrap())
    }

    /// Keeps the rows as they are now: what is put back from here on.
    pub async fn keep(&mut self, vocabulary: &str) {
        let dead = "INSERT INTO apalis.jobs (id, job_type, job, status, attempts, max_attempts, run_at, done_at, priority)
                    SELECT apalis.generate_ulid(), 'maintenance', convert_to('{\"kind\": \"jobs.purge\", \"data\": {}}', 'UTF8'), 'Killed', 8, 8,
                           '2026-09-01', '2026-09-01', 0";
        for sql in ["DELETE FROM apalis.jobs", dead, KEEP] {
            raw_sql(sql).execute(&mut self.superuser).await.unwrap();
        }
        for (caller, person) in CALLERS.iter().zip(&mut self.people) {
            if let Some(user) = person.id {
                let its = person.company.map(|company| company.0);
                person.foreign = foreign_to(&mut self.superuser, user.0, its, caller.role, vocabulary).await;
            }
        }
        self.renew().await;
    }

    async fn renew(&mut self) {
        self.sign_in(|caller| matches!(caller.standing, Standing::Good | Standing::Restricted)).await;
        raw_sql("DELETE FROM fixture.touched").execute(&mut self.superuser).await.unwrap();
    }

    /// Puts back what the last request wrote, and tells which tables that was.
    pub async fn put_back(&mut self) -> Vec<String> {
        let touched: Vec<String> = sqlx::query_scalar("SELECT relation FROM fixture.touched ORDER BY relation")
            .fetch_all(&mut self.superuser)
            .await
            .unwrap();
        if touched.is_empty() {
            return touched;
        }
        self.put_back += 1;
        let mut tx = self.superuser.begin().await.unwrap();
        // neither triggers nor foreign keys mind in which order
        raw_sql("SET LOCAL session_replication_role = replica").execute(&mut *tx).await.unwrap();
        sqlx::query("SELECT fixture.put_back(relation) FROM unnest($1::text[]) relation")
            .bind(&touched)
            .execute(&mut *tx)
            .await
            .unwrap();
        raw_sql("DELETE FROM fixture.touched").execute(&mut *tx).await.unwrap();
        tx.commit().await.unwrap();
        if touched.iter().any(|table| table == "app.user_sessions") {
            self.renew().await;
        }
        touched
    }

    /// What fixture.ids says about a name.
    pub async fn source(&mut self, name: &str) -> Option<Source> {
        sqlx::query_as(
            "SELECT i.relation, i.key, i.condition, i.prefer, coalesce(i.own, t.own, 'false') AS own,
                    coalesce(i.company, t.company, 'NULL::uuid') AS company,
                    i.made_up
             FROM fixture.ids i LEFT JOIN fixture.tables t ON t.name = i.relation WHERE i.name = $1",
        )
        .bind(name)
        .fetch_optional(&mut self.superuser)
        .await
        .unwrap()
    }

    /// An id of each kind, as far as there are such rows.
    pub async fn candidates(&mut self, source: &Source, caller: usize) -> Candidates {
        let Some(relation) = &source.relation else { return Candidates::default() };
        let Source { key, condition, prefer, own, company, .. } = source;
        let found: Vec<(String, String)> = sqlx::query_as(AssertSqlSafe(format!(
            "SELECT DISTINCT ON (whose) whose, key FROM (
                 SELECT CASE WHEN coalesce({own}, false) THEN 'own' WHEN ({company}) = its THEN 'same' ELSE 'other' END AS whose,
                        ({key})::text AS key, coalesce({prefer}, false) AS preferred
                 FROM {relation} t, (SELECT $1::uuid AS me, $2::uuid AS its) AS caller WHERE {condition}) it
             ORDER BY whose, preferred DESC, key"
        )))
        .bind(self.people[caller].id)
        .bind(self.people[caller].company)
        .fetch_all(&mut self.superuser)
        .await
        .unwrap_or_else(|error| panic!("fixture.ids, {relation}: {error}"));
        let mut candidates = Candidates::default();
        for (whose, key) in found {
            *match whose.as_str() {
                "own" => &mut candidates.own,
                "same" => &mut candidates.same,
                _ => &mut candidates.other,
            } = Some(key);
        }
        candidates
    }

    /// What fixture.bodies says about an operation: media type and body.
    pub async fn body(&mut self, operation: &str) -> Option<(String, String)> {
        sqlx::query_as("SELECT kind, body FROM fixture.bodies WHERE operation = $1")
            .bind(operation)
            .fetch_optional(&mut self.superuser)
            .await
            .unwrap()
    }

    /// Names of fixture.ids and fixture.bodies.
    pub async fn names(&mut self) -> Vec<String> {
        sqlx::query_scalar("SELECT name FROM fixture.ids UNION ALL SELECT operation FROM fixture.bodies")
            .fetch_all(&mut self.superuser)
            .await
            .unwrap()
    }
}

#[derive(sqlx::FromRow)]
pub struct Source {
    relation: Option<String>,
    key: String,
    condition: String,
    prefer: String,
    own: String,
    company: String,
    made_up: Option<String>,
}

impl Source {
    /// One that nobody has.
    pub fn made_up(&self) -> String {
        self.made_up.clone().unwrap_or_else(|| Uuid::new_v4().to_string())
    }
}

#[derive(Clone, Debug, Default)]
pub struct Candidates {
    pub own: Option<String>,
    pub same: Option<String>,
    pub other: Option<String>,
}

impl Candidates {
    /// The one that the caller most likely may use.
    pub fn nearest(&self) -> Option<String> {
        [&self.own, &self.same, &self.other].into_iter().flatten().next().cloned()
    }
}
