//! A company's members: HR users, admins, and those who are invited.

use chrono::TimeDelta;
use huntzen::platform::auth::Role;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::app::PASSWORD;
use crate::support::smtp::Mail;
use crate::support::{Answer, Company, TestApp};

fn hugo(role: &str) -> Value {
    json!({"email": "Hugo@Acme.test", "displayName": "Hugo Petit", "role": role, "locale": "en"})
}

fn path(company: &Company) -> String {
    format!("/companies/{}/members", company.id.0)
}

async fn accept(app: &TestApp, mail: &Mail) -> Answer {
    let body = json!({"token": mail.link_parameter("token"), "password": PASSWORD, "acceptTerms": true});
    app.anonymous().post("/auth/accept-invitation", body).await
}

/// What somebody who asks can compare: status, and the body without what differs from request to request.
fn shape(answer: Answer) -> (u16, Value) {
    let mut json = answer.json;
    for member in ["id", "email", "createdAt", "requestId"] {
        json[member] = Value::Null;
    }
    (answer.status.as_u16(), json)
}

/// The same for a mail: subject and words, without the link.
fn words(mail: &Mail) -> (String, String) {
    let token = mail.link_parameter("token");
    (mail.subject.clone(), mail.text.as_deref().unwrap().replace(&token, "…"))
}

#[tokio::test]
async fn a_member_is_pending_until_they_accept() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let path = path(&company);
    let send = async |body: Value| {
        let request = company.admin.request(Method::POST, &path).header("idempotency-key", "once").json(&body);
        Answer::of(request).await
    };
    let invited = send(hugo("hr")).await.expect(201);
    assert_eq!((&invited.json["status"], &invited.json["email"]), (&json!("invited"), &json!("hugo@acme.test")));
    assert_eq!(send(hugo("hr")).await.expect(201).json, invited.json);
    send(hugo("company_admin")).await.refused(422, "idempotency_mismatch");
    app.settle().await;
    assert_eq!(app.mails_to("hugo@acme.test").len(), 1);
    assert_eq!(app.count("SELECT count(*) FROM app.users WHERE email = 'hugo@acme.test'").await, 0);

    let first = company.admin.get(&format!("{path}?limit=2")).await.expect(200);
    let rest = company.admin.get(&format!("{path}?limit=2&cursor={}", first.str("/nextCursor"))).await.expect(200);
    assert_eq!(rest.json["items"], json!([invited.json]));
    company.hr.post(&path, json!({})).await.refused(403, "forbidden");
    company.hr.get(&path).await.refused(403, "forbidden");

    let session = accept(&app, &app.mails_to("hugo@acme.test")[0]).await.expect(200);
    assert_eq!(session.json["user"]["role"], "hr");
    assert_eq!(session.json["user"]["displayName"], "Hugo Petit");
    let members = company.admin.get(&path).await.expect(200);
    let hugo_now = members.json["items"].as_array().unwrap().iter().find(|it| it["email"] == "hugo@acme.test").unwrap();
    assert_eq!(hugo_now["status"], "active");
    assert_eq!(members.json["items"].as_array().unwrap().len(), 3);
    // once
    accept(&app, &app.mails_to("hugo@acme.test")[0]).await.refused(410, "invalid_invitation");
    company.admin.post(&path, hugo("hr")).await.refused(409, "already_member");
}

#[tokio::test]
async fn inviting_an_address_tells_nothing_of_accounts() {
    let app = TestApp::start().await;
    let (acme, globex) = (app.company("Acme").await, app.company("Globex").await);
    let person = json!({"email": "new@acme.test", "firstName": "P", "lastName": "Q"});
    acme.hr.post("/employees", person).await.expect(201);
    app.settle().await;
    let (alice, doctor) = (app.employee(&acme).await, app.practitioner().await);
    let addresses = ["nobody@people.test", "new@acme.test", &alice.email, &doctor.email, &globex.hr.email];
    let already = addresses.map(|address| app.mails_to(address).len());
    let mut answers = Vec::new();
    for email in addresses {
        let new = json!({"email": email, "displayName": "X", "role": "company_admin", "locale": "en"});
        // twice: the second time it is renewed
        for _ in 0..2 {
            answers.push(shape(acme.admin.post(&path(&acme), new.clone()).await));
            // of two at once the later one alone is mailed
            app.settle().await;
        }
    }
    assert_eq!(answers[0].0, 201);
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    let mut mails = Vec::new();
    for (address, before) in addresses.into_iter().zip(already) {
        let sent = app.mails_to(address).split_off(before);
        assert_eq!(sent.len(), 2, "{address}");
        mails.extend(sent.iter().map(words));
        // the first link has ended; the second one tells who holds it
        accept(&app, &sent[0]).await.refused(410, "invalid_invitation");
        let taken = address != "nobody@people.test" && address != "new@acme.test";
        let accepted = accept(&app, &sent[1]).await;
        if taken {
            accepted.refused(409, "account_exists");
        } else {
            accepted.expect(200);
        }
    }
    mails.dedup();
    assert_eq!(mails.len(), 1, "{mails:?}");
    // nobody's account has changed
    assert_eq!(alice.get("/me").await.expect(200).json["role"], "employee");
    assert_eq!(globex.hr.get("/me").await.expect(200).json["companyId"], globex.id.0.to_string());
    let bad = json!({"email": "x@y.test", "displayName": "X", "role": "platform_admin"});
    acme.admin.post(&path(&acme), bad).await.refused(422, "invalid");
}

#[tokio::test]
async fn inviting_again_renews_the_invitation_and_is_bounded() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let path = path(&company);
    let first = company.admin.post(&path, hugo("hr")).await.expect(201);
    let second = company.admin.post(&path, hugo("company_admin")).await.expect(201);
    assert_eq!(first.json["id"], second.json["id"]);
    for _ in 0..3 {
        company.admin.post(&path, hugo("company_admin")).await.expect(201);
    }
    let refused = company.admin.post(&path, hugo("hr")).await.refused(429, "too_many_invitations");
    let wait: i64 = refused.header("retry-after").parse().unwrap();
    assert!((86_000..=86_401).contains(&wait), "{wait}");
    // nor by taking the invitation away first
    company.admin.delete(&format!("{path}/{}", first.str("/id"))).await.expect(204);
    company.admin.post(&path, hugo("hr")).await.refused(429, "too_many_invitations");
    let other = app.company("Globex").await;
    other.admin.post(&format!("/companies/{}/members", other.id.0), hugo("hr")).await.expect(201);
    app.clock.advance(TimeDelta::seconds(wait));
    let admin = company.admin.with_token(app.session(company.admin.id, Role::CompanyAdmin, Some(company.id)).await);
    admin.post(&path, hugo("company_admin")).await.expect(201);
    app.settle().await;
    let mails = app.mails_to("hugo@acme.test");
    let last = mails.iter().rfind(|mail| mail.text.as_deref().unwrap().contains("Acme")).unwrap();
    assert_eq!(accept(&app, last).await.expect(200).json["user"]["role"], "company_admin");
    let kept = "SELECT count(*) FROM app.invitation_mails WHERE sent_at < now()";
    assert_eq!(app.count(kept).await, 0, "what is older than a day is forgotten");
}

#[tokio::test]
async fn the_platform_sends_the_invitation_of_a_companys_only_admin_again() {
    let app = TestApp::start().await;
    let platform = app.platform_admin().await;
    let company = json!({
        "name": "Acme", "contract": {"startsOn": "2026-01-01", "endsOn": "2027-01-01", "sessionsPerEmployee": 8, "seats": 250},
        "admin": {"email": "hugo@acme.test", "displayName": "Hugo Petit", "locale": "en"},
    });
    let id = platform.post("/companies", company).await.expect(201).str("/id");
    app.settle().await;
    app.clock.advance(TimeDelta::days(8));
    let platform = platform.with_token(app.session(platform.id, Role::PlatformAdmin, None).await);
    accept(&app, &app.mails_to("hugo@acme.test")[0]).await.refused(410, "invalid_invitation");
    platform.post(&format!("/companies/{id}/members"), hugo("company_admin")).await.expect(201);
    app.settle().await;
    let session = accept(&app, &app.mails_to("hugo@acme.test")[1]).await.expect(200);
    assert_eq!(session.json["user"]["companyId"], id.as_str());
}

#[tokio::test]
async fn a_removed_member_is_out_at_once_and_their_address_is_free() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let path = path(&company);
    company.hr.get("/me").await.expect(200);
    company.admin.delete(&format!("{path}/{}", company.hr.id)).await.expect(204);
    company.hr.get("/me").await.refused(401, "unauthenticated");
    let log_in = json!({"email": company.hr.email, "password": PASSWORD});
    app.anonymous().post("/auth/login", log_in).await.refused(401, "invalid_credentials");
    // twice changes nothing
    company.admin.delete(&format!("{path}/{}", company.hr.id)).await.expect(204);
    assert_eq!(company.admin.get(&path).await.expect(200).json["items"].as_array().unwrap().len(), 1);
    // nor does the platform bring the account back
    let staff = app.platform_admin().await;
    let activate = format!("/admin/users/{}/activate", company.hr.id);
    staff.post(&activate, json!({})).await.refused(409, "account_removed");
    let accounts = staff.get(&format!("/admin/users?companyId={}&role=hr", company.id)).await.expect(200);
    assert_eq!(accounts.json["items"][0]["status"], "suspended");
    // an employee is no member
    let alice = app.employee(&company).await;
    company.admin.delete(&format!("{path}/{}", alice.id)).await.refused(404, "not_found");

    let again = json!({"email": company.hr.email, "displayName": "Back again", "role": "hr"});
    company.admin.post(&path, again).await.expect(201);
    app.settle().await;
    let session = accept(&app, &app.mails_to(&company.hr.email)[0]).await.expect(200);
    assert_ne!(session.json["user"]["id"], company.hr.id.to_string());
}

#[tokio::test]
async fn a_withdrawn_invitation_opens_nothing() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let path = path(&company);
    // one that is withdrawn before it is sent is not sent: nobody works on jobs yet
    let id = company.admin.post(&path, hugo("hr")).await.expect(201).str("/id");
    company.admin.delete(&format!("{path}/{id}")).await.expect(204);
    app.settle().await;
    assert_eq!(app.mails_to("hugo@acme.test").len(), 0);
    let id = company.admin.post(&path, hugo("hr")).await.expect(201).str("/id");
    app.settle().await;
    company.admin.delete(&format!("{path}/{id}")).await.expect(204);
    company.admin.delete(&format!("{path}/{id}")).await.refused(404, "not_found");
    accept(&app, &app.mails_to("hugo@acme.test")[0]).await.refused(410, "invalid_invitation");
}

#[tokio::test]
async fn pending_invitations_are_no_other_companys() {
    let app = TestApp::start().await;
    let (acme, globex) = (app.company("Acme").await, app.company("Globex").await);
    let id = globex.admin.post(&path(&globex), hugo("hr")).await.expect(201).str("/id");
    app.settle().await;
    for through in [path(&acme), path(&globex)] {
        acme.admin.delete(&format!("{through}/{id}")).await.refused(404, "not_found");
    }
    acme.admin.post(&path(&globex), hugo("hr")).await.refused(404, "not_found");
    assert_eq!(acme.admin.get(&path(&acme)).await.expect(200).json["items"].as_array().unwrap().len(), 2);
    acme.admin.post(&path(&acme), hugo("hr")).await.expect(201);
    app.settle().await;
    assert_eq!(app.count("SELECT count(*) FROM app.member_invitations").await, 2);
}

#[tokio::test]
async fn an_archived_companys_invitations_open_nothing_until_it_is_back() {
    let app = TestApp::start().await;
    let (company, platform) = (app.company("Acme").await, app.platform_admin().await);
    company.admin.post(&path(&company), hugo("hr")).await.expect(201);
    let person = json!({"email": "new@acme.test", "firstName": "P", "lastName": "Q"});
    company.hr.post("/employees", person).await.expect(201);
    app.settle().await;
    let step = async |to: &str| {
        platform.post(&format!("/companies/{}/{to}", company.id.0), json!({})).await.expect(200);
    };
    step("archive").await;
    platform.post(&path(&company), hugo("hr")).await.refused(403, "company_archived");
    for address in ["hugo@acme.test", "new@acme.test"] {
        accept(&app, &app.mails_to(address)[0]).await.refused(410, "invalid_invitation");
    }
    step("activate").await;
    for address in ["hugo@acme.test", "new@acme.test"] {
        accept(&app, &app.mails_to(address)[0]).await.expect(200);
    }
    app.settle().await;
}

#[tokio::test]
async fn the_last_admin_stays_even_when_two_remove_each_other() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let path = path(&company);
    let own = format!("{path}/{}", company.admin.id);
    company.admin.delete(&own).await.refused(409, "last_company_admin");
    // an invited one cannot run the company yet
    company.admin.post(&path, hugo("company_admin")).await.expect(201);
    company.admin.delete(&own).await.refused(409, "last_company_admin");
    app.settle().await;

    let second = app.person(Role::CompanyAdmin, Some(company.id)).await;
    let others = format!("{path}/{}", second.id);
    let (one, two) = tokio::join!(company.admin.delete(&others), second.delete(&own));
    let mut statuses = [one.status.as_u16(), two.status.as_u16()];
    statuses.sort_unstable();
    assert!(matches!(statuses, [204, 401 | 404 | 409]), "{statuses:?}");
    let left = "SELECT count(*) FROM app.users WHERE role = 'company_admin' AND status = 'active'";
    assert_eq!(app.count(left).await, 1);
}

#[tokio::test]
async fn two_who_accept_one_invitation_at_once_make_one_account() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    company.admin.post(&path(&company), hugo("hr")).await.expect(201);
    app.settle().await;
    let mail = app.mails_to("hugo@acme.test").remove(0);
    let answers = futures_util::future::join_all((0..6).map(|_| accept(&app, &mail))).await;
    let mut statuses: Vec<_> = answers.iter().map(|answer| answer.status.as_u16()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 410, 410, 410, 410, 410]);
    assert_eq!(app.count("SELECT count(*) FROM app.users WHERE email = 'hugo@acme.test'").await, 1);
}
