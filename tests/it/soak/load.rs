//! What is done to the application, and how its answers are looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use huntzen::platform::auth::{Permission, Role};
use huntzen::platform::db::Tx;
use huntzen::platform::http::openapi::Operation;
use huntzen::platform::ids::{CompanyId, UserId};
use huntzen::platform::{Context, Platform, RequestInfo};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use reqwest::{Method, RequestBuilder};
use serde_json::json;
use uuid::Uuid;

use super::whose::{self, NO_COMPANY, Reader, account_text, find};
use crate::support::{Answer, TestApp, User};
use crate::sweeps::http::contract::Contract;

const TASKS: u64 = 24;

/// As many faults as are worth reading.
const MOST: usize = 50;

struct Person {
    reader: Reader,
    user: User,
}

#[derive(Default)]
pub struct Report {
    pub answers: usize,
    pub things: usize,
    pub given_up: usize,
    pub panics: usize,
    pub timeouts: usize,
    pub exhausted: usize,
    pub statuses: BTreeMap<u16, usize>,
    pub foreign: Vec<String>,
    pub faults: Vec<String>,
    /// Who was shown which ids that were made meanwhile.
    shown: BTreeSet<(Uuid, usize)>,
}

impl Report {
    pub fn add(&mut self, more: Self) {
        self.answers += more.answers;
        self.things += more.things;
        self.given_up += more.given_up;
        self.panics += more.panics;
        self.timeouts += more.timeouts;
        self.exhausted += more.exhausted;
        for (status, times) in more.statuses {
            *self.statuses.entry(status).or_default() += times;
        }
        self.foreign.extend(more.foreign);
        self.faults.extend(more.faults);
    }
}

pub struct Load {
    platform: Arc<Platform>,
    people: Vec<Person>,
    /// Reads, with the collection of each parameter of their paths.
    reads: Vec<Operation>,
    seed: u64,
    report: Mutex<Report>,
    answered: AtomicUsize,
}

impl Load {
    pub async fn new(app: &TestApp, seed: u64) -> Arc<Self> {
        let mut readers: Vec<Reader> = Vec::new();
        for company in 0..50 {
            let member = |role, person| Reader { role, company, person };
            readers.extend((1..=4).map(|person| member(Role::Employee, person)));
            readers.extend([member(Role::Hr, 90), member(Role::CompanyAdmin, 91)]);
        }
        readers.extend((0..10).map(|person| Reader { role: Role::Practitioner, company: NO_COMPANY, person }));
        readers.push(Reader { role: Role::PlatformAdmin, company: NO_COMPANY, person: 99 });
        let mut people = Vec::new();
        for reader in readers {
            let company = (reader.company != NO_COMPANY).then(|| CompanyId(whose::id(1, reader.company, 0, 0)));
            let id = UserId(whose::id(2, reader.company, reader.person, 0));
            let token = app.session(id, reader.role, company).await;
            people.push(Person { reader, user: app.anonymous().with_token(token) });
        }
        let mut reads = Contract::load().operations;
        reads.retain(|operation| operation.method == "GET" && operation.permission.is_some());
        Arc::new(Self {
            platform: app.platform.clone(),
            people,
            reads,
            seed,
            report: Mutex::default(),
            answered: AtomicUsize::new(0),
        })
    }

    pub async fn run(self: &Arc<Self>, answers: usize) -> Report {
        let tasks: Vec<_> = (0..TASKS)
            .map(|task| {
                let load = self.clone();
                tokio::spawn(async move {
                    let mut dice = StdRng::seed_from_u64(load.seed * 1_000 + task);
                    while load.answered.load(Ordering::Relaxed) < answers {
                        load.step(&mut dice).await;
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        // nothing was lost: every role is served
        for role in Role::ALL {
            let person = self.people.iter().position(|person| person.reader.role == role).unwrap();
            let mut served = false;
            for _ in 0..50 {
                served |= self.people[person].user.get("/me").await.status == 200;
            }
            if !served {
                self.report.lock().unwrap().faults.push(format!("{} is not served any more", role.as_str()));
            }
        }
        std::mem::take(&mut *self.report.lock().unwrap())
    }

    async fn step(&self, dice: &mut StdRng) {
        // staff may see everything: they only take connections
        let who =
            if dice.random_ratio(1, 50) { self.people.len() - 1 } else { dice.random_range(0..self.people.len() - 1) };
        if dice.random_ratio(1, 1_500) {
            // an employee's: most others wait behind
            return self.exhaust(0).await;
        }
        match dice.random_range(0..100) {
            0..76 => {
                let request = self.read(dice, who);
                self.ask(who, request, None).await;
            }
            76..86 => {
                let request = self.read(dice, who);
                self.ask(who, request, Some(Duration::from_micros(dice.random_range(0..12_000)))).await;
            }
            86..92 => {
                let request = self.write(dice, who);
                let patience = dice.random_ratio(1, 3).then(|| Duration::from_micros(dice.random_range(0..15_000)));
                self.ask(who, request, patience).await;
            }
            it => self.transaction(dice, who, it).await,
        }
    }

    /// Sends a request. With `patience`, the connection is closed when it has run out.
    async fn ask(&self, who: usize, request: (String, RequestBuilder), patience: Option<Duration>) {
        let (what, request) = request;
        let answer = Answer::of(request);
        let answer = match patience {
            None => Ok(answer.await),
            Some(patience) => tokio::time::timeout(patience, answer).await,
        };
        match answer {
            Ok(answer) => self.look_at(who, &what, &answer),
            Err(_) => self.report.lock().unwrap().given_up += 1,
        }
    }

    fn look_at(&self, who: usize, what: &str, answer: &Answer) {
        let reader = self.people[who].reader;
        let status = answer.status.as_u16();
        let found = find(&answer.bytes);
        let mut report = self.report.lock().unwrap();
        *report.statuses.entry(status).or_default() += 1;
        if status == 503 {
            report.exhausted += 1;
        } else if status >= 500 && report.faults.len() < MOST {
            report.faults.push(format!("{what} by {reader:?}: {}", answer.text()));
        }
        if reader.role == Role::PlatformAdmin {
            return;
        }
        report.answers += 1;
        report.things += found.things.len();
        self.answered.fetch_add(1, Ordering::Relaxed);
        for thing in found.things.iter().filter(|thing| !reader.may_see(**thing)) {
            if report.foreign.len() < MOST {
                report.foreign.push(format!("{what} by {reader:?} holds {thing:?}"));
            }
        }
        let request_id = answer.json["requestId"].as_str().unwrap_or_default().parse().ok();
        report.shown.extend(found.made.into_iter().filter(|id| Some(*id) != request_id).map(|id| (id, who)));
    }

    /// Any read that the caller's role may, now and then of what is not theirs.
    fn read(&self, dice: &mut StdRng, who: usize) -> (String, RequestBuilder) {
        let Person { reader, user } = &self.people[who];
        let mine: Vec<_> =
            self.reads.iter().filter(|it| it.roles.iter().any(|role| role == reader.role.as_str())).collect();
        let operation = mine.choose(dice).unwrap();
        let mut whom = *reader;
        if dice.random_ratio(1, 8) {
            (whom.company, whom.person) = (dice.random_range(0..50), dice.random_range(1..=4));
        }
        let mut path = String::new();
        let mut collection = "";
        for part in operation.path.split('/').skip(1) {
            path.push('/');
            if part.starts_with('{') {
                path.push_str(&id_of(dice, collection, whom).to_string());
                // what stands behind it in the same part
                path.push_str(part.split_once('}').map_or("", |(_, rest)| rest));
            } else {
                path.push_str(part);
            }
            collection = part;
        }
        let query = match operation.operation_id.as_str() {
            "listSlots" => {
                let from = self.platform.clock.now().date_naive();
                format!("?from={from}&to={}", from + chrono::TimeDelta::days(3))
            }
            "getUsage" => "?from=2026-01&to=2026-06".to_owned(),
            _ if operation.path.ends_with('s') && dice.random_bool(0.5) => {
                format!("?limit={}", dice.random_range(1..=100))
            }
            _ => String::new(),
        };
        (format!("GET {path}{query}"), user.request(Method::GET, &format!("/{path}{query}")))
    }

    fn write(&self, dice: &mut StdRng, who: usize) -> (String, RequestBuilder) {
        let Person { reader, user } = &self.people[who];
        let n: u32 = dice.random();
        let (method, path, body) = match (reader.role, dice.random_range(0..3)) {
            (Role::Employee, 0 | 1) => {
                let at = self.platform.clock.now().date_naive() + chrono::TimeDelta::days(dice.random_range(8..50));
                let at = format!(
                    "{at}T{:02}:{}0:00Z",
                    dice.random_range(0..24),
                    if n.is_multiple_of(2) { "0" } else { "3" }
                );
                let practitioner = whose::id(2, NO_COMPANY, reader.company / 5, 0);
                let body =
                    json!({"practitionerId": practitioner, "startsAt": at, "durationMinutes": 30, "mode": "chat"});
                (Method::POST, "/consultations".to_owned(), body)
            }
            (Role::Employee, _) => {
                let id = whose::id(5, reader.company, reader.person, 2);
                (Method::POST, format!("/consultations/{id}/cancel"), json!({}))
            }
            (Role::Hr, 0 | 1) => {
                let text = format!("zq{:03}d{:02}", reader.company, dice.random_range(5..80));
                let body = json!({"email": format!("{text}-{n}@soak.test"), "firstName": "Ana", "lastName": text});
                (Method::POST, "/employees".to_owned(), body)
            }
            (Role::Hr | Role::CompanyAdmin, 2) => (
                Method::POST,
                "/exports".to_owned(),
                json!({"kind": "usage", "from": "2026-01", "to": "2026-06", "format": {"delimiter": "comma", "bom": true}}),
            ),
            (Role::Practitioner | Role::PlatformAdmin, _) => (Method::PATCH, "/me".to_owned(), json!({"locale": "en"})),
            _ => (Method::PATCH, "/me".to_owned(), json!({"displayName": account_text(*reader)})),
        };
        let key = Uuid::from_u128(dice.random()).to_string();
        let request = user.request(method.clone(), &path).header("idempotency-key", key).header("if-match", "*");
        (format!("{method} {path} {body}"), request.json(&body))
    }

    fn context(&self, who: usize) -> Context {
        let token = &self.people[who].user.token;
        let caller = self.platform.tokens.verify_access(token, self.platform.clock.now()).unwrap();
        Context::new(self.platform.clone(), caller, RequestInfo::default())
    }

    /// Takes every connection of a role for longer than others wait.
    async fn exhaust(&self, who: usize) {
        let cx = self.context(who);
        let mut held = Vec::new();
        for _ in 0..3 {
            held.extend(cx.begin(Permission::ManageSelf).await);
        }
        tokio::time::sleep(Duration::from_millis(700)).await;
    }

    /// What happens within transactions of a request: that they panic, run out of time, are dropped, or are slow.
    async fn transaction(&self, dice: &mut StdRng, who: usize, kind: u32) {
        let cx = self.context(who);
        let hold = Duration::from_micros(dice.random_range(0..20_000));
        let given_up = dice.random_ratio(1, 4).then(|| Duration::from_micros(dice.random_range(0..3_000)));
        let work = tokio::spawn(async move {
            let work = async {
                let mut tx = cx.begin(Permission::ManageSelf).await.map_err(|_| None)?;
                let seen = who_am_i(&mut tx).await.map_err(|_| None)?;
                match kind {
                    // without the hook's noise; Drop runs as after any panic
                    92..95 => std::panic::resume_unwind(Box::new("in the middle of a transaction")),
                    95..97 => {
                        let out_of_time = sqlx::raw_sql("SET LOCAL statement_timeout = '2ms'; SELECT pg_sleep(5)")
                            .execute(tx.conn())
                            .await
                            .unwrap_err();
                        return Err(Some(out_of_time.to_string()));
                    }
                    97 => tokio::time::sleep(hold).await,
                    _ => tx.commit().await.map_err(|_| None)?,
                }
                Ok(seen == (Some(cx.caller().user_id.0), cx.caller().company_id.map(|id| id.0)))
            };
            match given_up {
                Some(patience) => tokio::time::timeout(patience, work).await.unwrap_or(Err(None)),
                None => work.await,
            }
        });
        let done = work.await;
        let mut report = self.report.lock().unwrap();
        match done {
            // as it should be, or without a connection, or given up
            Ok(Ok(true) | Err(None)) => {}
            Ok(Ok(false)) => {
                report.foreign.push(format!("a transaction of {:?} is somebody else's", self.people[who].reader));
            }
            Ok(Err(Some(error))) if error.contains("statement timeout") => report.timeouts += 1,
            Ok(Err(Some(error))) => report.faults.push(error),
            Err(error) if error.is_panic() => report.panics += 1,
            Err(error) => report.faults.push(error.to_string()),
        }
    }

    /// Things that were made meanwhile, and shown to whom they do not belong.
    pub async fn made_by_others(&self, app: &TestApp, report: &Report) -> Vec<String> {
        let (ids, who): (Vec<Uuid>, Vec<i32>) =
            report.shown.iter().map(|(id, who)| (*id, i32::try_from(*who).unwrap())).unzip();
        let owners: Vec<(i32, String, Uuid, Uuid, Uuid)> = sqlx::query_as(
            "SELECT s.who, 'consultation', c.company_id, c.user_id, c.practitioner_id
             FROM unnest($1::uuid[], $2::int[]) s (id, who) JOIN app.consultations c USING (id)
             UNION ALL
             SELECT s.who, 'entry', e.company_id, e.id, e.id
             FROM unnest($1::uuid[], $2::int[]) s (id, who) JOIN app.employees e USING (id)
             UNION ALL
             SELECT s.who, 'export', e.company_id, e.requested_by, e.requested_by
             FROM unnest($1::uuid[], $2::int[]) s (id, who) JOIN app.exports e USING (id)",
        )
        .bind(ids)
        .bind(who)
        .fetch_all(app.db())
        .await
        .unwrap();
        let mut foreign = Vec::new();
        for (who, what, company, owner, other_owner) in owners {
            let reader = self.people[usize::try_from(who).unwrap()].reader;
            let me = whose::id(2, reader.company, reader.person, 0);
            let is_fine = match (reader.role, what.as_str()) {
                (Role::PlatformAdmin, _) => true,
                // the audit log tells of each other's exports, by their ids
                (Role::Hr | Role::CompanyAdmin, "entry" | "export") => company == whose::id(1, reader.company, 0, 0),
                _ => me == owner || me == other_owner,
            };
            if !is_fine {
                foreign.push(format!("{reader:?} was shown a {what} of {owner} in {company}"));
            }
        }
        foreign
    }
}

async fn who_am_i(tx: &mut Tx) -> sqlx::Result<(Option<Uuid>, Option<Uuid>)> {
    sqlx::query_as("SELECT app.user_id(), app.company_id()").fetch_one(tx.conn()).await
}

/// An id that a person might ask a collection for.
fn id_of(dice: &mut StdRng, collection: &str, whom: Reader) -> Uuid {
    let Reader { company, person, .. } = whom;
    let is_practitioner = company == NO_COMPANY;
    // a practitioner asks for somebody that they serve
    let (served, client) = if is_practitioner {
        ((person * 5 + dice.random_range(0..5)) % 50, dice.random_range(1..=4))
    } else {
        (company, person)
    };
    match collection {
        "companies" => whose::id(1, served, 0, 0),
        "employees" => whose::id(3, served, dice.random_range(1..=4), 0),
        "practitioners" if is_practitioner => whose::id(2, NO_COMPANY, person, 0),
        "practitioners" => whose::id(2, NO_COMPANY, company / 5, 0),
        "consultations" => whose::id(5, served, client, dice.random_range(0..3)),
        "exports" => whose::id(6, served, client, 0),
        "members" | "users" => whose::id(2, served, client, 0),
        _ => Uuid::from_u128(dice.random()),
    }
}
