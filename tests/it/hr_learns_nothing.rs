//! The promise of the two identities: whatever an employee does with their account, every answer that HR and the
//! company's admins can get stays the same, byte for byte.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use huntzen::app;
use huntzen::platform::http::openapi;
use huntzen::platform::jobs::{Job, Queue};
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::app::PASSWORD;
use crate::support::{Answer, Company, TestApp, User};
use crate::two_factor;
use crate::usage::{months_ago, name};

/// Headers that differ from request to request.
const PASSING: [&str; 2] = ["date", "x-request-id"];
const PEOPLE: &str = "email,first name,last name,department,site\nalice@acme.test,Alice,Martin,Legal,Lyon\n\
                      bob@acme.test,Bob,Roux,Sales,Paris\n";

/// As the schedule does every hour.
#[derive(Serialize, Deserialize)]
struct Refresh {}

impl Job for Refresh {
    const KIND: &'static str = "usage.refresh";
    const QUEUE: Queue = Queue::Counting;
}

/// Every answer that HR and the admin of a company can read.
struct Watch {
    hr: Vec<(&'static str, User)>,
    /// Path, as each of them asks.
    paths: Vec<(String, Vec<&'static str>)>,
}

impl Watch {
    /// Every GET route of the OpenAPI document that HR or an admin may call, for every id that they could name.
    async fn of(app: &TestApp, company: &Company, people: &[String], doctor: &User) -> Self {
        let hr = vec![("hr", company.hr.clone()), ("company_admin", company.admin.clone())];
        let (first, last) = (name(months_ago(app, 12)), name(months_ago(app, 0)));
        let mut exports = Vec::new();
        for (_, who) in &hr {
            exports.push(who.post("/exports", file_wish(app)).await.expect(202).str("/id"));
        }
        app.settle().await;
        // of a whole year, the month that runs included
        let counters: Vec<String> =
            ["", "&by=specialty", "&by=department", "&by=specialty,mode", "&by=specialty,department"]
                .iter()
                .map(|by| format!("?from={first}&to={last}{by}"))
                .collect();
        let ids = BTreeMap::from([
            ("companies", vec![company.id.to_string()]),
            ("employees", people.to_vec()),
            ("practitioners", vec![doctor.id.to_string()]),
            ("exports", exports),
            ("members", vec![company.hr.id.to_string()]),
        ]);
        // all that the log knows, but for what HR itself reads: that is entered there, and differs
        let log: Vec<String> = sqlx::query_scalar(
            "WITH known AS (
                 SELECT a.*, bool_or(a.is_read AND a.employer) OVER (PARTITION BY a.object_type) AS is_noisy
                 FROM app.audit_actions() a
             )
             SELECT DISTINCT CASE WHEN is_noisy THEN '?limit=100&action=' || action
                                  ELSE '?limit=100&objectType=' || object_type END
             FROM known WHERE NOT (is_noisy AND is_read)",
        )
        .fetch_all(app.db())
        .await
        .unwrap();
        assert!(log.len() > 20 && log.iter().any(|it| it.ends_with("=invitation")), "{log:?}");
        let document = app::openapi().unwrap();
        let mut paths = Vec::new();
        for operation in openapi::operations(&document).into_iter().filter(|it| it.method == "GET") {
            let roles: Vec<_> =
                hr.iter().map(|(role, _)| *role).filter(|role| operation.roles.iter().any(|it| it == role)).collect();
            if roles.is_empty() {
                continue;
            }
            let path = operation.path.strip_prefix("/api/v1").expect("a route below /api/v1").to_owned();
            let mut found = Vec::new();
            match path.split_once('{') {
                None => found.push(path.clone()),
                Some((before, rest)) => {
                    let collection = before.trim_end_matches('/').rsplit('/').next().unwrap();
                    let rest = rest.split_once('}').unwrap().1;
                    let known = ids.get(collection).cloned().unwrap_or_else(|| vec![Uuid::nil().to_string()]);
                    found.extend(known.into_iter().map(|id| format!("{before}{id}{rest}")));
                }
            }
            for path in found {
                let queries: Vec<&str> = match path.as_str() {
                    "/employees" => vec!["?limit=100", "?q=alice", "?status=left", "?department=legal", "?site=lyon"],
                    "/reports/usage" | "/reports/usage/timeseries" => counters.iter().map(String::as_str).collect(),
                    "/search" => vec!["?q=sommeil", "?q=docteur&type=practitioner"],
                    "/audit-logs" => log.iter().map(String::as_str).collect(),
                    _ => vec![""],
                };
                paths.extend(queries.iter().map(|query| (format!("{path}{query}"), roles.clone())));
            }
        }
        Self { hr, paths }
    }

    /// All answers: statuses, headers, bodies.
    async fn look(&self, app: &TestApp) -> BTreeMap<String, String> {
        let mut seen = BTreeMap::new();
        app.enqueue(&Refresh {}).await;
        app.settle().await;
        for (role, who) in &self.hr {
            for (path, _) in self.paths.iter().filter(|(_, roles)| roles.contains(role)) {
                seen.insert(format!("{role} GET {path}"), picture(&who.get(path).await));
            }
            // an import says what it would change, and tells by it what is there
            let import = who.request(Method::POST, "/employees/import?dryRun=true").header(CONTENT_TYPE, "text/csv");
            seen.insert(format!("{role} dry import"), picture(&Answer::of(import.body(PEOPLE)).await));
        }
        seen
    }
}

fn picture(answer: &Answer) -> String {
    let headers: BTreeMap<_, _> = answer
        .headers
        .iter()
        .filter(|(name, _)| !PASSING.contains(&name.as_str()))
        .map(|(name, value)| (name.as_str().to_owned(), value.to_str().unwrap().to_owned()))
        .collect();
    let mut text = answer.text();
    // the counters are counted anew before each look; what they say must be the same
    if let Some(as_of) = answer.json["asOf"].as_str() {
        text = text.replace(as_of, "…");
    }
    if let Some(request) = answer.json["requestId"].as_str() {
        text = text.replace(request, "…");
    }
    format!("{} {headers:?}\n{text}", answer.status)
}

#[track_caller]
fn assert_same(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>, step: &str) {
    let differing: Vec<_> = before
        .iter()
        .filter(|(path, answer)| after.get(*path) != Some(answer))
        .map(|(path, answer)| format!("{path}\n  before {answer}\n  after  {}", after[path]))
        .collect();
    assert!(differing.is_empty(), "when the employee {step}, HR sees it:\n{}", differing.join("\n"));
}

/// Last year's counters by specialty, as a file.
fn file_wish(app: &TestApp) -> Value {
    json!({"kind": "usage", "from": name(months_ago(app, 12)), "to": name(months_ago(app, 0)), "by": "specialty"})
}

/// A company of a year, of whose sixty other people thirty came in the last month that is over.
async fn have_a_past(app: &TestApp, company: &Company, doctor: &User) {
    for statement in [
        "UPDATE app.companies SET created_at = now() - interval '1 year' WHERE id = $1",
        "INSERT INTO app.employees (id, company_id, email, first_name, last_name, status, left_at, created_at)
         SELECT md5('colleague ' || n)::uuid, $1, 'colleague-' || n || '@acme.test', 'Ana', 'Silva', 'active', NULL,
                now() - interval '1 year' FROM generate_series(1, 60) n",
        "INSERT INTO app.users (id, email, password_hash, role, display_name, status, company_id, employee_id, created_at)
         SELECT e.id, e.email, 'x', 'employee', 'Ana', 'active', $1, e.id, e.created_at
         FROM app.employees e WHERE e.company_id = $1 AND e.email LIKE 'colleague-%'",
    ] {
        sqlx::query(statement).bind(company.id).execute(app.db()).await.unwrap();
    }
    for n in 1..=30 {
        let colleague: Uuid = sqlx::query_scalar("SELECT md5('colleague ' || $1)::uuid")
            .bind(n.to_string())
            .fetch_one(app.db())
            .await
            .unwrap();
        hold(app, company, doctor, colleague, 1).await;
    }
}

/// A session that was held on the tenth of a month, so many months ago.
async fn hold(app: &TestApp, company: &Company, doctor: &User, person: Uuid, months: u32) {
    let at = months_ago(app, months).and_hms_opt(10, 0, 0).unwrap().and_utc() + TimeDelta::days(9);
    let mut tx = app.db().begin().await.unwrap();
    // the state machine lets nobody be born completed
    sqlx::query("SET LOCAL session_replication_role = replica").execute(&mut *tx).await.unwrap();
    sqlx::query(
        "INSERT INTO app.consultations (id, company_id, user_id, practitioner_id, mode, status, starts_at, ends_at, busy_from,
             busy_until, specialty, started_at, ended_at, duration_minutes)
         VALUES (gen_random_uuid(), $1, $2, $3, 'video', 'completed', $4, $5, $4, $5, 'psychology', $4, $5, 50)",
    )
    .bind(company.id)
    .bind(person)
    .bind(doctor.id)
    .bind(at)
    .bind(at + TimeDelta::minutes(50))
    .execute(&mut *tx)
    .await
    .unwrap();
    tx.commit().await.unwrap();
}

fn ten(app: &TestApp, days: i64) -> DateTime<Utc> {
    (app.clock.now() + TimeDelta::days(days)).date_naive().and_hms_opt(10, 0, 0).unwrap().and_utc()
}

async fn log_in(app: &TestApp, email: &str) -> User {
    let body = json!({"email": email, "password": PASSWORD});
    let session = app.anonymous().post("/auth/login", body).await.expect(200);
    app.anonymous().with_token(session.str("/accessToken"))
}

async fn book(app: &TestApp, alice: &User, doctor: &User, days: i64) -> String {
    let wish = json!({"practitionerId": doctor.id, "startsAt": ten(app, days), "durationMinutes": 30, "mode": "chat"});
    alice.post("/consultations", wish).await.expect(201).str("/id")
}

/// The token of the last mail to an address whose link opens a page.
#[track_caller]
fn link(app: &TestApp, address: &str, page: &str) -> String {
    let has_link = |text: &str| text.contains(&format!("/{page}#token="));
    let mails = app.mails_to(address);
    mails.iter().rfind(|mail| mail.text.as_deref().is_some_and(has_link)).unwrap().link_parameter("token")
}

#[tokio::test]
async fn whatever_an_employee_does_every_answer_to_hr_stays_the_same() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let doctor = app.practitioner().await;
    let import = company.hr.request(Method::POST, "/employees/import").header(CONTENT_TYPE, "text/csv");
    Answer::of(import.body(PEOPLE)).await.expect(200);
    let page = company.hr.get("/employees").await.expect(200);
    assert_eq!(page.json["items"].as_array().unwrap().len(), 2);
    let people: Vec<String> =
        page.json["items"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect();
    for id in &people {
        company.hr.post(&format!("/employees/{id}/invite"), json!({})).await.expect(202);
    }
    app.settle().await;
    let token = app.mails_to("alice@acme.test").last().unwrap().link_parameter("token");

    have_a_past(&app, &company, &doctor).await;
    app.enqueue(&Refresh {}).await;
    app.settle().await;
    let watch = Watch::of(&app, &company, &people, &doctor).await;
    let before = watch.look(&app).await;
    // there are counters that could change
    let told =
        before.iter().filter(|(path, answer)| path.contains("/reports/usage") && answer.contains("\"sessions\":30"));
    assert!(told.count() > 10, "{before:?}");
    assert!(before.len() > 25, "{:?}", before.keys());
    for (path, answer) in &before {
        // an export is its maker's alone, and nobody here asked to be erased
        let nothing =
            path.contains("/exports/") || path.contains("/privacy/erasure") || path.contains(&Uuid::nil().to_string());
        assert!(answer.starts_with("200") || nothing, "{path}: {answer}");
    }

    let accept = json!({"token": token, "password": PASSWORD, "acceptTerms": true});
    app.anonymous().post("/auth/accept-invitation", accept.clone()).await.expect(200);
    assert_same(&before, &watch.look(&app).await, "activates the account");
    app.anonymous().post("/auth/accept-invitation", accept).await.refused(410, "invalid_invitation");

    let alice = log_in(&app, "alice@acme.test").await;
    app.anonymous()
        .post("/auth/login", json!({"email": "alice@acme.test", "password": "not the password"}))
        .await
        .expect(401);
    // the pause after a failure
    app.clock.advance(TimeDelta::seconds(10));
    alice.get("/practitioners").await.expect(200);
    assert_same(&before, &watch.look(&app).await, "logs in");

    let first = book(&app, &alice, &doctor, 3).await;
    book(&app, &alice, &doctor, 4).await;
    assert_same(&before, &watch.look(&app).await, "books");

    alice.post(&format!("/consultations/{first}/cancel"), json!({})).await.expect(200);
    assert_same(&before, &watch.look(&app).await, "cancels");

    alice.patch("/me", json!({"displayName": "Al", "locale": "en", "timeZone": "Asia/Tokyo"})).await.expect(200);
    assert_same(&before, &watch.look(&app).await, "changes the profile");

    let nobody = app.anonymous();
    nobody.post("/auth/forgot-password", json!({"email": "alice@acme.test"})).await.expect(202);
    app.settle().await;
    let reset = json!({"token": link(&app, "alice@acme.test", "reset-password"), "password": PASSWORD});
    nobody.post("/auth/reset-password", reset).await.expect(204);
    assert_same(&before, &watch.look(&app).await, "has forgotten the password");
    let alice = log_in(&app, "alice@acme.test").await;

    let code = two_factor::enabled(&app, &alice).await.code(&app, 0);
    alice.post("/auth/totp/disable", json!({"password": PASSWORD, "code": code})).await.expect(204);
    assert_same(&before, &watch.look(&app).await, "switches a second factor on and off");

    let wish = json!({"email": "alice@home.test", "currentPassword": PASSWORD});
    alice.patch("/me", wish).await.expect(200);
    app.settle().await;
    let proof = json!({"token": link(&app, "alice@home.test", "verify-email")});
    nobody.post("/auth/verify-email", proof).await.expect(204);
    log_in(&app, "alice@home.test").await;
    assert_same(&before, &watch.look(&app).await, "changes the address");
    // from now on whoever reads the mailbox at work learns nothing either
    app.settle().await;
    let at_work = app.mails_to("alice@acme.test").len();
    let alice = log_in(&app, "alice@home.test").await;
    book(&app, &alice, &doctor, 5).await;

    let staff = app.platform_admin().await;
    let me = alice.get("/me").await.expect(200).str("/id");
    staff.post(&format!("/admin/users/{me}/suspend"), json!({})).await.expect(200);
    assert_same(&before, &watch.look(&app).await, "is suspended");
    staff.post(&format!("/admin/users/{me}/activate"), json!({})).await.expect(200);
    assert_same(&before, &watch.look(&app).await, "is active again");
    app.settle().await;
    assert_eq!(app.mails_to("alice@acme.test").len(), at_work);

    // of the month that runs, and of one that is over
    for months in [0, 1] {
        hold(&app, &company, &doctor, me.parse().unwrap(), months).await;
        assert_same(&before, &watch.look(&app).await, "has had a session");
    }
    let mut files = Vec::new();
    for wish in ["first", "again"] {
        let id = if wish == "first" {
            company.hr.get("/exports").await.expect(200).json["items"][0]["id"].as_str().unwrap().to_owned()
        } else {
            company.hr.post("/exports", file_wish(&app)).await.expect(202).str("/id")
        };
        app.settle().await;
        files.push(company.hr.get(&format!("/exports/{id}/download")).await.expect(200).text());
    }
    assert_eq!(files[0], files[1]);

    // what the directory itself does is seen: the comparison would notice
    company.hr.patch(&format!("/employees/{}", people[0]), json!({"site": "Nantes"})).await.expect(200);
    let after = watch.look(&app).await;
    let moved = before.iter().filter(|(path, answer)| after[*path] != **answer).count();
    assert!(moved >= 4, "{moved}");
    app.settle().await;
}

/// What HR gets for its own doing: the answers, and the mails that it could have sent to itself.
#[tokio::test]
async fn what_hr_does_to_a_person_is_answered_the_same_whether_or_not_they_have_an_account() {
    let app = TestApp::start().await;
    let doctor = app.practitioner().await;
    let mut stories = Vec::new();
    for has_account in [false, true] {
        let company = app.company(if has_account { "Acme" } else { "Globex" }).await;
        let address = if has_account { "with@acme.test" } else { "without@acme.test" };
        let new = json!({"email": address, "firstName": "Ana", "lastName": "Silva", "locale": "en"});
        let id = company.hr.post("/employees", new).await.expect(201).str("/id");
        app.settle().await;
        if has_account {
            let token = app.mails_to(address)[0].link_parameter("token");
            let accept = json!({"token": token, "password": PASSWORD, "acceptTerms": true});
            app.anonymous().post("/auth/accept-invitation", accept).await.expect(200);
            book(&app, &log_in(&app, address).await, &doctor, 5).await;
            app.settle().await;
        }
        let path = format!("/employees/{id}");
        let mut story = Vec::new();
        let mut tell = |answer: Answer| {
            let mut json = answer.json.clone();
            for member in ["id", "companyId", "createdAt", "leftAt", "email", "requestId"] {
                if let Value::Object(map) = &mut json {
                    map.remove(member);
                }
            }
            story.push(format!("{} {json}", answer.status));
        };
        tell(company.hr.post(&format!("{path}/invite"), json!({})).await);
        // of several invitations at once the last one is mailed: one after the other
        app.settle().await;
        tell(company.hr.patch(&path, json!({"lastName": "Silva-Roux"})).await);
        tell(company.hr.patch(&path, json!({"email": format!("new-{address}")})).await);
        app.settle().await;
        tell(company.hr.post(&format!("{path}/invite"), json!({})).await);
        // an invitation of who has left is not sent: each is sent before
        app.settle().await;
        tell(company.hr.delete(&path).await);
        // the mails to who has left, and to who is back
        app.settle().await;
        tell(company.hr.post(&format!("{path}/invite"), json!({})).await);
        tell(company.hr.post(&format!("{path}/reactivate"), json!({})).await);
        app.settle().await;
        for _ in 0..3 {
            tell(company.hr.post(&format!("{path}/invite"), json!({})).await);
            app.settle().await;
        }
        let member = json!({"email": address, "displayName": "Ana", "role": "hr"});
        tell(company.admin.post(&format!("/companies/{}/members", company.id.0), member).await);
        app.settle().await;
        // a mail that could not be sent at once is sent after a pause
        app.clock.advance(TimeDelta::minutes(5));
        app.settle().await;
        let sent: Vec<_> = app.mails_to(&format!("new-{address}")).iter().map(|mail| mail.subject.clone()).collect();
        story.push(format!("{sent:?}"));
        let log: Vec<(String, Option<String>, String)> = sqlx::query_as(
            "SELECT action, actor_role, object_type FROM app.audit_logs log JOIN app.audit_chain link ON link.entry_id = log.id
             WHERE company_id = $1 AND object_type IN ('employee', 'department', 'company', 'company_settings', 'member')
             ORDER BY link.sequence",
        )
        .bind(company.id)
        .fetch_all(app.db())
        .await
        .unwrap();
        story.push(format!("{log:?}"));
        stories.push(story);
    }
    assert_eq!(stories[0], stories[1]);
}

/// An everyday promotion: somebody of the directory is invited as HR, and accepts. With an account for care under that
/// address they need another one to log in with, and the company sees no difference.
#[tokio::test]
async fn a_colleague_who_becomes_hr_looks_the_same_with_and_without_an_account_for_care() {
    let app = TestApp::start().await;
    let mut stories = Vec::new();
    for has_account in [false, true] {
        let company = app.company(if has_account { "Acme" } else { "Globex" }).await;
        let address = if has_account { "with@acme.test" } else { "without@acme.test" };
        let new = json!({"email": address, "firstName": "Ana", "lastName": "Silva", "locale": "en"});
        company.hr.post("/employees", new).await.expect(201);
        app.settle().await;
        let accept = async |token: &str| {
            let body = json!({"token": token, "password": PASSWORD, "acceptTerms": true});
            app.anonymous().post("/auth/accept-invitation", body).await
        };
        if has_account {
            accept(&link(&app, address, "accept-invitation")).await.expect(200);
        }
        let path = format!("/companies/{}/members", company.id.0);
        let member = json!({"email": address, "displayName": "Ana Silva", "role": "hr", "locale": "en"});
        company.admin.post(&path, member.clone()).await.expect(201);
        app.settle().await;
        let mut story = Vec::new();
        let mut look = async || {
            let page = company.admin.get(&path).await.expect(200).json;
            let ana = page["items"].as_array().unwrap().iter().find(|it| it["email"] == address).unwrap().clone();
            let again = company.admin.post(&path, member.clone()).await;
            let log = company.admin.get("/audit-logs?objectType=invitation").await.expect(200).json;
            let answer = (again.status.as_u16(), again.json["code"].clone());
            story.push(format!("{} {} {} {answer:?} {log}", ana["status"], ana["displayName"], ana["role"]));
        };
        look().await;
        app.settle().await;
        let token = link(&app, address, "accept-invitation");
        if has_account {
            accept(&token).await.refused(409, "account_exists");
            // whoever reads that mailbox knows now: the account's person finds it in their access log
            let entries = log_in(&app, address).await.get("/privacy/access-log").await.expect(200).json;
            let refused = |it: &&Value| it["action"] == "user.invitation_refused" && it["outcome"] == "refused";
            assert_eq!(entries["items"].as_array().unwrap().iter().filter(refused).count(), 1, "{entries}");
            // an address that is somebody's: told to who opens its mailbox
            for chosen in ["with@acme.test", "Ana@Home.test"] {
                let choice = json!({"token": token, "email": chosen});
                app.anonymous().post("/auth/invitation-address", choice).await.expect(202);
                app.settle().await;
            }
            let sent = app.mails_to("ana@home.test");
            assert_eq!(sent[0].subject, "Confirm the address that you want to log in with");
            for stranger in ["Acme", "Ana", "Silva"] {
                assert!(!sent[0].text.as_deref().unwrap().contains(stranger), "{stranger}");
            }
            let session = accept(&sent[0].link_parameter("token")).await.expect(200);
            assert_eq!(session.str("/user/email"), "ana@home.test");
            assert_eq!(session.str("/user/role"), "hr");
            let hr = log_in(&app, "ana@home.test").await;
            hr.get("/employees").await.expect(200);
            // the account for care is what it was
            assert_eq!(log_in(&app, address).await.get("/me").await.str("/role"), "employee");
        } else {
            accept(&token).await.expect(200);
        }
        look().await;
        // once, whichever link
        accept(&token).await.refused(410, "invalid_invitation");
        app.settle().await;
        stories.push(story);
    }
    assert_eq!(stories[0], stories[1]);
    assert!(stories[0][1].contains("already_member"), "{stories:?}");
}
