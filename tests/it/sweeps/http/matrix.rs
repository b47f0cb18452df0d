//! Every route × every kind of caller × whose thing it is: the answers, in a file that a person can read.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use huntzen::platform::auth::Role;
use huntzen::platform::http::openapi::Operation;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::raw_sql;
use uuid::Uuid;

use super::contract::{Contract, complaint};
use super::world::{CALLERS, Caller, Candidates, Source, Standing, World};
use crate::support::{Answer, User};
use crate::sweeps::golden::assert_golden;

const HEADING: &str = "\
Who gets which answer. A cell counts statuses for something of the caller's own, of somebody else in their company, of
others, and of nobody; `.` where there is no such thing, one status where it is the same for all. Codes that the status
does not imply stand behind the line. Lines that end in a parameter vary that one, the others the last id of the path.
Callers: alice (employee of acme), martin (practitioner), acme's HR and admin, staff; ../it/sweeps/http/fixture.sql.
";

/// What a request that is refused, or one that only reads, may write all the same.
const NOTES: [&str; 4] = ["app.audit_logs", "app.audit_chain", "app.audit_heads", "app.throttles"];

/// What is written to without an entry in the audit log: answers kept for repetitions, the counts of attempts, what
/// people write for themselves, what two people write to each other with the files that are sent, and what somebody has read of what they were told.
const UNNOTED: [&str; 11] = [
    "app.idempotency_keys",
    "app.journal_entries",
    "app.throttles",
    "app.conversations",
    "app.messages",
    "app.message_receipts",
    "app.encryption_keys",
    "app.unread_conversations",
    "app.notifications",
    "app.news_reads",
    "app.files",
];

/// What leaves no entry: half a log-in, whose end is one, and the renewal of a session, whose beginning is one.
const QUIET: [&str; 2] = ["login", "refreshSession"];

/// People who lost their account; the others who are out lost a token only.
const LOCKED_OUT: [&str; 3] = ["suspended person", "removed member", "HR of an archived company"];

/// Codes that a status says by itself.
const PLAIN: [&str; 3] = ["unauthenticated", "forbidden", "not_found"];

/// Where a request carries an id.
#[derive(Clone, PartialEq, Eq)]
enum Place {
    Path(String),
    Query(String),
    /// A pointer into the body, and whether a list is there.
    Body(String, bool),
}

struct Site {
    place: Place,
    source: Source,
    /// A password, a code, a token: who shows it is believed.
    is_secret: bool,
}

impl Site {
    fn label(&self) -> String {
        match &self.place {
            Place::Path(name) => format!("{{{name}}}"),
            Place::Query(name) => format!("?{name}"),
            Place::Body(pointer, _) => pointer.trim_start_matches('/').replace('/', "."),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Whose {
    Own,
    Same,
    Other,
    Nobodys,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Outcome {
    status: u16,
    code: String,
}

impl Outcome {
    fn of(answer: &Answer) -> Self {
        let code = if answer.status.as_u16() < 400 { "" } else { answer.json["code"].as_str().unwrap_or_default() };
        Self { status: answer.status.as_u16(), code: code.to_owned() }
    }

    fn full(&self) -> String {
        format!("{} {}", self.status, self.code).trim_end().to_owned()
    }
}

/// A route, or one parameter of it: the answers to each caller.
struct Line {
    label: String,
    cells: BTreeMap<&'static str, BTreeMap<Whose, Outcome>>,
}

struct Matrix {
    world: World,
    contract: Contract,
    lines: Vec<Line>,
    faults: Vec<String>,
    forgotten: Vec<String>,
    used: BTreeSet<String>,
    /// Operations that somebody succeeded with.
    answered: BTreeSet<String>,
    requests: usize,
    compared: usize,
}

/// The request, without the ids.
struct Draft {
    kind: String,
    json: Option<Value>,
    raw: Option<String>,
    query: Vec<(String, String)>,
}

/// Names of the properties of a body that hold ids, as pointers.
fn ids_in(contract: &Contract, schema: &Value, at: &str, depth: usize, found: &mut Vec<(String, bool)>) {
    let schema = contract.resolve(schema);
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let (property, pointer) = (contract.resolve(property), format!("{at}/{name}"));
        if property["format"] == "uuid" {
            found.push((pointer, false));
        } else if contract.resolve(&property["items"])["format"] == "uuid" {
            found.push((pointer, true));
        } else if depth < 3 {
            ids_in(contract, property, &pointer, depth + 1, found);
        }
    }
}

/// The parameters of a path in their order, each with the collection before it.
fn path_parameters(path: &str) -> Vec<(String, String)> {
    let parts: Vec<&str> = path.split('/').collect();
    let name =
        |part: &str| part.strip_prefix('{').and_then(|part| part.split_once('}')).map(|(name, _)| name.to_owned());
    (1..parts.len()).filter_map(|at| Some((name(parts[at])?, parts[at - 1].to_owned()))).collect()
}

impl Matrix {
    async fn start() -> Self {
        Self {
            world: World::start().await,
            contract: Contract::load(),
            lines: Vec::new(),
            faults: Vec::new(),
            forgotten: Vec::new(),
            used: BTreeSet::new(),
            answered: BTreeSet::new(),
            requests: 0,
            compared: 0,
        }
    }

    /// Suspends, removes and lets go, as the API does it.
    async fn arrange(&mut self) {
        let (staff, hr, admin) =
            (self.world.named("platform_admin"), self.world.named("hr"), self.world.named("company_admin"));
        let api = "//api/v1";
        let (acme, initech) = (self.world.id("acme").await, self.world.id("initech").await);
        let (frank, removed) = (self.world.id("frank entry").await, self.world.id("acme hr 3").await);
        let (gina, umbrella) = (self.world.id("gina").await, self.world.id("umbrella").await);
        let mut done = vec![
            (staff.clone(), Method::POST, format!("{api}/companies/{initech}/suspend")),
            (staff.clone(), Method::POST, format!("{api}/companies/{umbrella}/archive")),
            (hr, Method::DELETE, format!("{api}/employees/{frank}")),
            (admin, Method::DELETE, format!("{api}/companies/{acme}/members/{removed}")),
        ];
        if self.contract.operations.iter().any(|operation| operation.path == "/api/v1/admin/users/{id}/suspend") {
            done.push((staff, Method::POST, format!("{api}/admin/users/{gina}/suspend")));
        } else {
            for sql in [
                "UPDATE app.users SET status = 'suspended' WHERE id = $1",
                "UPDATE app.user_sessions SET revoked_at = '2026-09-07T09:05:00Z' WHERE user_id = $1",
            ] {
                sqlx::query(sql).bind(gina).execute(self.world.app.db()).await.unwrap();
            }
            self.world.app.platform.sessions.refresh(&self.world.app.platform).await;
        }
        let ended = self.world.named("ended session");
        done.push((ended, Method::POST, format!("{api}/auth/logout")));
        for (user, method, path) in done {
            let what = format!("{method} {path}");
            let answer = Answer::of(conditional(&user, method, &path).await).await;
            assert!(answer.status.is_success(), "{what}: {}", answer.text());
        }
        let vocabulary = self.contract.words();
        self.world.keep(&vocabulary).await;
    }

    /// Where an operation carries ids, and which they are. Notes what nobody said.
    async fn sites(&mut self, operation: &Operation) -> Vec<Site> {
        let mut named: Vec<(Place, Vec<String>)> = Vec::new();
        for (name, collection) in path_parameters(&operation.path) {
            named.push((Place::Path(name.clone()), vec![operation.operation_id.clone(), name, collection]));
        }
        // the last id of the path is what the operation is about
        if let Some((_, names)) = named.split_last_mut().map(|(last, _)| last) {
            names.remove(1);
        }
        for (_, names) in named.iter_mut().rev().skip(1) {
            names.remove(0);
        }
        for parameter in operation.parameters.iter().filter(|it| it.place == "query" && it.fault == "uuid") {
            named.push((Place::Query(parameter.name.clone()), vec![parameter.name.clone()]));
        }
        let mut in_body = Vec::new();
        if let Some(schema) = self.contract.body_schema(operation) {
            ids_in(&self.contract, schema, "", 0, &mut in_body);
        }
        for (pointer, list) in in_body {
            let name = pointer.rsplit('/').next().unwrap_or_default().to_owned();
            named.push((Place::Body(pointer, list), vec![name]));
        }
        let mut sites = Vec::new();
        for (place, names) in named {
            let mut found = None;
            for name in &names {
                if found.is_none()
                    && let Some(source) = self.world.source(name).await
                {
                    self.used.insert(name.clone());
                    found = Some(source);
                }
            }
            match found {
                Some(source) => sites.push(Site { place, source, is_secret: false }),
                None => self.forgotten.push(format!(
                    "{} {} ({}): add a row to fixture.ids in tests/it/sweeps/http/fixture.sql, named {}, that says which \
                     table its {} come from",
                    operation.method,
                    operation.path,
                    operation.operation_id,
                    names.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(" or "),
                    match place {
                        Place::Path(name) => format!("path's {{{name}}}"),
                        Place::Query(name) => format!("query's {name}"),
                        Place::Body(pointer, _) => format!("body's {pointer}"),
                    },
                )),
            }
        }
        sites.extend(self.secrets(operation).await);
        sites
    }

    /// What an operation's body shows for whom it is about.
    async fn secrets(&mut self, operation: &Operation) -> Vec<Site> {
        let schema = self.contract.body_schema(operation).map(|schema| self.contract.resolve(schema));
        let properties = schema.and_then(|schema| schema["properties"].as_object()).into_iter().flatten();
        let names: Vec<String> = properties.map(|(name, _)| name.clone()).collect();
        let mut sites = Vec::new();
        for property in names {
            let name = format!("{}.{property}", operation.operation_id);
            if let Some(source) = self.world.source(&name).await {
                self.used.insert(name);
                sites.push(Site { place: Place::Body(format!("/{property}"), false), source, is_secret: true });
            }
        }
        sites
    }

    async fn draft(&mut self, operation: &Operation) -> Draft {
        let query = self.contract.required_query(operation);
        let mut draft =
            Draft { kind: "application/json".into(), json: self.contract.good_body(operation), raw: None, query };
        if let Some((kind, body)) = self.world.body(&operation.operation_id).await {
            self.used.insert(operation.operation_id.clone());
            if draft.json.is_none() && kind == "application/json" {
                // of an operation without a body: its query
                let query: std::collections::BTreeMap<String, String> = serde_json::from_str(&body).unwrap();
                draft.query = query.into_iter().collect();
            } else if kind == "application/json" {
                draft.json = Some(serde_json::from_str(&body).unwrap_or_else(|error| panic!("{body}: {error}")));
            } else {
                draft.raw = Some(body);
            }
            draft.kind = kind;
        }
        draft
    }

    /// Sends a draft with these ids, and looks at whatever the answer is.
    async fn ask(&mut self, operation: &Operation, who: usize, draft: &Draft, ids: &[(Place, String)]) -> Answer {
        let mut path = operation.path.clone();
        let (mut query, mut body) = (draft.query.clone(), draft.json.clone());
        for (place, id) in ids {
            match place {
                Place::Path(name) => path = path.replace(&format!("{{{name}}}"), id),
                Place::Query(name) => query.push((name.clone(), id.clone())),
                Place::Body(pointer, list) => {
                    let value = if *list { json!([id]) } else { json!(id) };
                    put(body.as_mut().unwrap(), pointer, value);
                }
            }
        }
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&query).finish();
        let target = if query.is_empty() { format!("/{path}") } else { format!("/{path}?{query}") };
        let user = self.world.user(who);
        let method = Method::from_bytes(operation.method.as_bytes()).unwrap();
        let headers = || operation.parameters.iter().filter(|parameter| parameter.place == "header");
        let mut request = if headers().any(|it| it.name.eq_ignore_ascii_case("if-match")) {
            self.requests += 1;
            conditional(&user, method, &target).await
        } else {
            user.request(method, &target)
        };
        if headers().any(|it| it.name.eq_ignore_ascii_case("idempotency-key")) {
            request = request.header("idempotency-key", Uuid::new_v4().to_string());
        }
        if let Some(bytes) = draft.raw.clone().or_else(|| body.map(|body| body.to_string())) {
            let bytes = match bytes.strip_prefix("base64:") {
                Some(coded) => STANDARD.decode(coded).unwrap(),
                None => bytes.into_bytes(),
            };
            request = request.header("content-type", &draft.kind).body(bytes);
        }
        self.requests += 1;
        let answer = Answer::of(request).await;
        self.look_at(operation, who, &answer).await;
        answer
    }

    /// What must be so whoever asks for whatever.
    async fn look_at(&mut self, operation: &Operation, who: usize, answer: &Answer) {
        let caller = &CALLERS[who];
        let mut faults = self.contract.faults(operation, answer);
        let touched = self.world.put_back().await;
        if answer.status.is_success() {
            self.answered.insert(operation.operation_id.clone());
        }
        if operation.method == "GET" || answer.status.as_u16() >= 400 {
            // a wrong code is one of the five tries that a ticket has
            let counts = |table: &str| operation.operation_id == "loginTotp" && table == "app.one_time_tokens";
            let written: Vec<_> =
                touched.iter().filter(|table| !NOTES.contains(&table.as_str()) && !counts(table)).collect();
            if !written.is_empty() {
                faults.push(format!("although it wrote to {written:?}"));
            }
        }
        // asking for what is so already writes nothing
        let changed = touched.iter().any(|table| !UNNOTED.contains(&table.as_str()));
        if changed
            && !QUIET.contains(&operation.operation_id.as_str())
            && answer.status.is_success()
            && !touched.iter().any(|table| table == "app.audit_logs")
        {
            faults.push(format!("without an entry in the audit log, although it wrote to {touched:?}"));
        }
        let mut said = answer.text().to_lowercase();
        for value in answer.headers.values() {
            said.push('\n');
            said.push_str(&value.to_str().unwrap_or_default().to_lowercase());
        }
        for text in &self.world.people[who].foreign {
            if said.contains(text.as_str()) {
                faults.push(format!("tells of others: {text}"));
            }
        }
        if operation.permission.is_some() {
            faults.extend(standing_faults(operation, caller, &Outcome::of(answer)));
        }
        self.faults.extend(faults.into_iter().map(|fault| complaint(operation, caller.name, answer, &fault)));
    }

    /// Others' things and things that are not there: nobody can tell which from the answer.
    fn compare(&mut self, operation: &Operation, caller: &Caller, label: &str, others: &Answer, nobodys: &Answer) {
        self.compared += 1;
        let essence = |answer: &Answer| {
            let mut json = answer.json.clone();
            if let Some(members) = json.as_object_mut() {
                members.remove("requestId");
            }
            let headers: BTreeMap<String, String> = answer
                .headers
                .iter()
                .filter(|(name, _)| !matches!(name.as_str(), "x-request-id" | "date"))
                .map(|(name, value)| (name.to_string(), value.to_str().unwrap_or_default().to_owned()))
                .collect();
            (answer.status, json, headers, answer.bytes.len())
        };
        if essence(others) != essence(nobodys) {
            let fault = format!("differs from what is not there, {} {}, by {label}", nobodys.status, nobodys.text());
            self.faults.push(complaint(operation, caller.name, others, &fault));
        }
    }

    async fn line(&mut self, operation: &Operation, draft: &Draft, sites: &[Site], varied: Option<usize>) {
        let path = operation.path.strip_prefix("/api/v1").unwrap_or(&operation.path);
        let mut label = format!("{:<6} {path}", operation.method);
        let last = sites.iter().rposition(|site| matches!(site.place, Place::Path(_)));
        if let Some(varied) = varied.filter(|it| Some(*it) != last) {
            write!(label, "  {}", sites[varied].label()).unwrap();
        }
        let mut line = Line { label, cells: BTreeMap::new() };
        for (who, caller) in CALLERS.iter().enumerate() {
            let is_protected = operation.permission.is_some();
            // where nobody has to be signed in, who is locked out may still try what they know
            let tries = LOCKED_OUT.contains(&caller.name) && sites.iter().any(|site| site.is_secret);
            if caller.standing == Standing::Out && !is_protected && !tries {
                continue;
            }
            let mut candidates: Vec<Candidates> = Vec::new();
            for site in sites {
                let mut found = self.world.candidates(&site.source, who).await;
                if site.is_secret && !is_protected && caller.standing != Standing::Nobody {
                    // whose secret it is, that is who one is
                    (found.same, found.other) = (None, None);
                }
                candidates.push(found);
            }
            let mut answers: BTreeMap<Whose, Answer> = BTreeMap::new();
            let all = match varied {
                None => vec![(Whose::Nobodys, None)],
                Some(at) => {
                    let Candidates { own, same, other } = candidates[at].clone();
                    let mut all = vec![
                        (Whose::Own, own),
                        (Whose::Same, same),
                        (Whose::Other, other),
                        (Whose::Nobodys, Some(sites[at].source.made_up())),
                    ];
                    all.retain(|(_, id)| id.is_some());
                    // whose it is matters to those only who get that far
                    let may = operation.roles.iter().any(|role| role == caller.role.as_str());
                    if is_protected && (matches!(caller.standing, Standing::Nobody | Standing::Out) || !may) {
                        all.truncate(1);
                    }
                    all
                }
            };
            for (whose, id) in all {
                let mut ids = Vec::new();
                for (at, site) in sites.iter().enumerate() {
                    let wanted = if varied == Some(at) { id.clone() } else { candidates[at].nearest() };
                    let is_needed = match &site.place {
                        Place::Path(_) => true,
                        Place::Query(name) => draft.query.iter().any(|(it, _)| it == name),
                        Place::Body(pointer, _) => {
                            draft.json.as_ref().is_some_and(|body| body.pointer(pointer).is_some())
                        }
                    };
                    if is_needed || varied == Some(at) {
                        let id = wanted.unwrap_or_else(|| site.source.made_up());
                        ids.push((site.place.clone(), self.world.spoken(id)));
                    }
                }
                answers.insert(whose, self.ask(operation, who, draft, &ids).await);
            }
            if is_protected
                && caller.role != Role::PlatformAdmin
                && let (Some(others), Some(nobodys)) = (answers.get(&Whose::Other), answers.get(&Whose::Nobodys))
            {
                let label = line.label.clone();
                self.compare(operation, caller, &label, others, nobodys);
            }
            let cell = answers.iter().map(|(whose, answer)| (*whose, Outcome::of(answer))).collect();
            line.cells.insert(caller.name, cell);
        }
        self.lines.push(line);
    }

    async fn run(&mut self, which: impl Fn(&Operation) -> bool) {
        for operation in self.contract.operations.clone() {
            if !which(&operation) {
                continue;
            }
            let sites = self.sites(&operation).await;
            let paths = path_parameters(&operation.path).len();
            if sites.iter().filter(|site| matches!(site.place, Place::Path(_))).count() < paths {
                continue; // forgotten
            }
            let draft = self.draft(&operation).await;
            let mut varied: Vec<Option<usize>> = (0..sites.len()).map(Some).collect();
            // what the operation is about comes first
            varied[..paths].reverse();
            if paths == 0 {
                varied.insert(0, None);
            }
            for site in varied {
                self.line(&operation, &draft, &sites, site).await;
            }
        }
    }
}

/// A change with `If-Match` of the thing as it is now, where the caller sees it.
async fn conditional(user: &User, method: Method, path: &str) -> reqwest::RequestBuilder {
    // of the thing itself, or of the one that something is done to
    let mut etag = None;
    for at in [Some(path), path.rsplit_once('/').map(|(thing, _)| thing)].into_iter().flatten() {
        let now = Answer::of(user.request(Method::GET, at)).await;
        etag = etag.or(now.headers.get("etag").and_then(|value| value.to_str().ok()).map(ToOwned::to_owned));
    }
    user.request(method, path).header("if-match", etag.unwrap_or("\"0\"".into()))
}

/// Sets what a pointer names, also where nothing is yet.
fn put(body: &mut Value, pointer: &str, value: Value) {
    let mut at = body;
    for name in pointer.trim_start_matches('/').split('/') {
        at = &mut at[name];
    }
    *at = value;
}

/// Refusals that follow from who calls.
fn standing_faults(operation: &Operation, caller: &Caller, outcome: &Outcome) -> Vec<String> {
    let mut faults = Vec::new();
    let may = operation.roles.iter().any(|role| role == caller.role.as_str());
    match caller.standing {
        Standing::Nobody | Standing::Out => {
            let code = if caller.name == "expired token" { "token_expired" } else { "unauthenticated" };
            if outcome.status != 401 || outcome.code != code {
                faults.push(format!("instead of 401 {code}"));
            }
        }
        Standing::Good | Standing::Restricted if !may => {
            if outcome.status != 403 || outcome.code != "forbidden" {
                faults.push("instead of 403 forbidden".to_owned());
            }
        }
        Standing::Good | Standing::Restricted => {
            if outcome.code == "forbidden" || (outcome.status == 401 && outcome.code == "unauthenticated") {
                faults.push("although the role may".to_owned());
            }
        }
    }
    faults
}

/// One status where all are the same; else one for each kind of thing.
fn cell(outcomes: &BTreeMap<Whose, Outcome>) -> String {
    let statuses: BTreeSet<u16> = outcomes.values().map(|outcome| outcome.status).collect();
    if statuses.len() == 1 {
        return statuses.first().unwrap().to_string();
    }
    let all = [Whose::Own, Whose::Same, Whose::Other, Whose::Nobodys];
    all.map(|whose| outcomes.get(&whose).map_or_else(|| ".".to_owned(), |it| it.status.to_string())).join(" ")
}

fn text(lines: &[Line], contract: &Contract) -> String {
    let mut text = String::from(HEADING);
    let columns: Vec<&Caller> =
        CALLERS.iter().filter(|it| matches!(it.standing, Standing::Nobody | Standing::Good)).collect();
    let width = lines.iter().map(|line| line.label.chars().count()).max().unwrap_or_default() + 2;
    let mut head = format!("\n{:<width$}", "");
    for caller in &columns {
        write!(head, "{:<17}", caller.name).unwrap();
    }
    writeln!(text, "{}", head.trim_end()).unwrap();
    for line in lines {
        let mut row = format!("{:<width$}", line.label);
        let mut codes = BTreeSet::new();
        for caller in &columns {
            let outcomes = &line.cells[caller.name];
            write!(row, "{:<17}", cell(outcomes)).unwrap();
            codes.extend(
                outcomes
                    .values()
                    .filter(|it| !it.code.is_empty() && !PLAIN.contains(&it.code.as_str()))
                    .map(Outcome::full),
            );
        }
        let codes: Vec<_> = codes.into_iter().collect();
        writeln!(text, "{}", format!("{row}{}", codes.join(", ")).trim_end()).unwrap();
    }
    for caller in CALLERS.iter().filter(|it| it.standing == Standing::Restricted || LOCKED_OUT.contains(&it.name)) {
        let normal = caller.role.as_str();
        writeln!(text, "\n{}: answered as {normal} in good standing, but for", caller.name).unwrap();
        for line in lines {
            for (whose, outcome) in line.cells.get(caller.name).into_iter().flatten() {
                if let Some(usual) = line.cells[normal].get(whose)
                    && usual != outcome
                    && outcome.code != "unauthenticated"
                {
                    let whose = if line.cells[normal].len() == 1 {
                        String::new()
                    } else {
                        format!(" ({whose:?})").to_lowercase()
                    };
                    writeln!(text, "  {}{whose}: {} instead of {}", line.label, outcome.full(), usual.full()).unwrap();
                }
            }
        }
    }
    let protected = contract.operations.iter().filter(|operation| operation.permission.is_some()).count();
    let out: Vec<_> = CALLERS.iter().filter(|it| it.standing == Standing::Out).map(|it| it.name).collect();
    writeln!(text, "\n401 on each of the {protected} routes that need somebody signed in: {}", out.join(", ")).unwrap();
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_answers_every_caller_as_the_matrix_says() {
    let mut matrix = Matrix::start().await;
    matrix.arrange().await;
    matrix.run(|_| true).await;
    let unused: Vec<_> = matrix.world.names().await.into_iter().filter(|name| !matrix.used.contains(name)).collect();
    let Matrix { world, contract, lines, faults, forgotten, answered, requests, compared, .. } = matrix;
    let foreign: usize = world.people.iter().map(|person| person.foreign.len()).sum();
    let put_back = world.put_back;
    let (statements, whole_scans) = world.plans.whole_scans();
    drop(world);
    assert!(forgotten.is_empty(), "{}", forgotten.join("\n"));
    if !unused.is_empty() {
        println!("fixture.ids or fixture.bodies names what no operation uses: {unused:?}");
    }
    assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n"));
    assert_golden("http_matrix.txt", &text(&lines, &contract));
    let never: Vec<&str> = contract
        .operations
        .iter()
        .filter(|it| !answered.contains(&it.operation_id))
        .map(|it| it.operation_id.as_str())
        .collect();
    assert!(
        never.is_empty(),
        "no caller succeeds, so that refusals show nothing: give them what they need in fixture.bodies or fixture.ids of \
         tests/it/sweeps/http/fixture.sql: {never:?}"
    );
    assert!(
        whole_scans.is_empty(),
        "no index serves these statements; without one they take longer with every customer: {whole_scans:#?}"
    );
    let cells: usize = lines.iter().flat_map(|line| line.cells.values()).map(BTreeMap::len).sum();
    println!(
        "{} routes × {} callers: {cells} cells, {requests} requests, {compared} pairs of others' and nobody's compared, \
         {foreign} foreign texts looked for, put back {put_back} times; {statements} plans, none of which reads a whole table that \
         grows",
        contract.operations.len(),
        CALLERS.len(),
    );
}

/// Row security that is off, or open to everybody of a role, is seen in what is answered.
#[tokio::test(flavor = "multi_thread")]
async fn the_matrix_sees_a_fence_that_is_gone() {
    let mut matrix = Matrix::start().await;
    matrix.arrange().await;
    sqlx::query("ALTER TABLE app.consultations DISABLE ROW LEVEL SECURITY")
        .execute(matrix.world.app.db())
        .await
        .unwrap();
    matrix.run(|operation| operation.operation_id == "getConsultation").await;
    for fault in ["tells of others", "differs from what is not there"] {
        let request = "/consultations/{id} with employee";
        let is_seen = matrix.faults.iter().any(|it| it.contains(request) && it.contains(fault));
        assert!(is_seen, "{request} {fault}: {:#?}", matrix.faults);
    }
}

/// A change that leaves no entry in the audit log is seen.
#[tokio::test(flavor = "multi_thread")]
async fn the_matrix_sees_a_change_that_nobody_notes() {
    let mut matrix = Matrix::start().await;
    matrix.arrange().await;
    sqlx::query(
        "CREATE OR REPLACE FUNCTION app.audit(action text, object_type text, object_id uuid, subject_type text, subject_id uuid,
                                              company_id uuid, outcome text, details jsonb, ip text, request_id text)
         RETURNS void LANGUAGE sql AS 'SELECT'",
    )
    .execute(matrix.world.app.db())
    .await
    .unwrap();
    matrix.run(|operation| operation.operation_id == "createEmployee").await;
    let is_seen = matrix.faults.iter().any(|it| it.contains("/employees with hr") && it.contains("without an entry"));
    assert!(is_seen, "{:#?}", matrix.faults);
}

/// A statement that has lost its index is seen.
#[tokio::test(flavor = "multi_thread")]
async fn the_matrix_sees_an_index_that_is_missing() {
    let mut matrix = Matrix::start().await;
    raw_sql(
        "DO $$
         DECLARE
             it record;
         BEGIN
             FOR it IN SELECT indexrelid::regclass AS name FROM pg_index
                       WHERE indrelid = 'app.consultations'::regclass AND NOT indisunique AND NOT indisexclusion LOOP
                 EXECUTE 'DROP INDEX ' || it.name;
             END LOOP;
         END $$",
    )
    .execute(matrix.world.app.db())
    .await
    .unwrap();
    matrix.arrange().await;
    matrix.run(|operation| operation.operation_id == "listConsultations").await;
    let (_, found) = matrix.world.plans.whole_scans();
    assert!(found.contains_key("consultations"), "{found:#?}");
}
