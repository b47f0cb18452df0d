//! Who is invited, how often, and what is told of it.

use chrono::TimeDelta;
use huntzen::platform::auth::Role;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{alice, import, people, person};
use crate::support::gate::Gate;
use crate::support::{Answer, TestApp};

#[tokio::test]
async fn hr_adds_a_person_who_gets_an_invitation() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let made = company.hr.post("/employees", alice()).await.expect(201);
    assert_eq!(made.json["email"], "alice@acme.test");
    assert_eq!(made.json["firstName"], "Alice");
    assert_eq!(made.json["department"], "Legal");
    assert_eq!(made.json["status"], "active");
    let id = made.str("/id");
    let read = company.admin.get(&format!("/employees/{id}")).await.expect(200);
    assert_eq!(read.json, made.json);
    assert_eq!(read.header("etag"), made.header("etag"));
    app.settle().await;
    let mails = app.mails_to("alice@acme.test");
    assert_eq!(mails.len(), 1);
    let token = mails[0].link_parameter("token");
    let accept = json!({"token": token, "password": "four quiet words here", "acceptTerms": true});
    let session = app.anonymous().post("/auth/accept-invitation", accept).await.expect(200);
    assert_eq!(session.json["user"]["role"], "employee");
    // HR sees no difference
    assert_eq!(company.hr.get(&format!("/employees/{id}")).await.expect(200).json, made.json);
}

#[tokio::test]
async fn a_repeated_creation_adds_one_person_and_invites_once() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let send = async |body: Value| {
        Answer::of(company.hr.request(Method::POST, "/employees").header("idempotency-key", "k").json(&body)).await
    };
    let first = send(alice()).await.expect(201);
    assert_eq!(send(alice()).await.expect(201).json, first.json);
    send(person("other@acme.test")).await.refused(422, "idempotency_mismatch");
    company.hr.post("/employees", alice()).await.refused(409, "employee_exists");
    let mut number = person("bob@acme.test");
    number["staffNumber"] = json!("A-1");
    company.hr.post("/employees", number).await.refused(409, "staff_number_taken");
    app.settle().await;
    assert_eq!(app.mails().len(), 1);
}

#[tokio::test]
async fn an_invitation_to_a_wrong_address_opens_nothing_once_it_is_corrected() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let id = company.hr.post("/employees", person("wrong@acme.test")).await.expect(201).str("/id");
    app.settle().await;
    let accept = |mail: &crate::support::smtp::Mail| json!({"token": mail.link_parameter("token"), "password": "four quiet words here", "acceptTerms": true});
    let first = accept(&app.mails_to("wrong@acme.test")[0]);
    company.hr.patch(&format!("/employees/{id}"), json!({"email": "right@acme.test"})).await.expect(200);
    app.settle().await;
    app.anonymous().post("/auth/accept-invitation", first).await.refused(410, "invalid_invitation");
    let second = accept(&app.mails_to("right@acme.test")[0]);
    let session = app.anonymous().post("/auth/accept-invitation", second).await.expect(200);
    assert_eq!(session.json["user"]["email"], "right@acme.test");
}

fn accepting(mail: &crate::support::smtp::Mail) -> Value {
    json!({"token": mail.link_parameter("token"), "password": "four quiet words here", "acceptTerms": true})
}

async fn behind(gate: &Gate) -> TestApp {
    let url = gate.url();
    TestApp::start_with(|name| (name == "SMTP_URL").then(|| url.clone())).await
}

/// Whatever becomes of the mail to the right address, also where the wrong one was still on its way.
#[tokio::test]
async fn a_corrected_address_ends_the_links_to_the_wrong_one_although_the_right_one_takes_no_mail() {
    let gate = Gate::start().await;
    let app = behind(&gate).await;
    let company = app.company("Acme").await;
    gate.refuse("right@acme.test");
    let sent = company.hr.post("/employees", person("wrong@acme.test")).await.expect(201).str("/id");
    app.settle().await;
    // the stranger has the link sent to a mailbox of their own, too
    let to_stranger = accepting(&app.mails_to("wrong@acme.test")[0]);
    let choice = json!({"token": to_stranger["token"], "email": "stranger@home.test"});
    app.anonymous().post("/auth/invitation-address", choice).await.expect(202);
    app.settle().await;
    gate.close();
    let sending = company.hr.post("/employees", person("wrong-2@acme.test")).await.expect(201).str("/id");
    let correct = async |id: &str, to: &str| {
        company.hr.patch(&format!("/employees/{id}"), json!({"email": to})).await.expect(200);
    };
    let meanwhile = async {
        gate.until_one_waits().await;
        correct(&sending, "right@acme.test").await;
        gate.open();
    };
    let (dead, ()) = tokio::join!(app.settle_with_dead(), meanwhile);
    assert_eq!(dead.len(), 1, "the right address takes no mail: {dead:?}");
    correct(&sent, "right-2@acme.test").await;
    for mail in [
        &app.mails_to("wrong@acme.test")[0],
        &app.mails_to("wrong-2@acme.test")[0],
        &app.mails_to("stranger@home.test")[0],
    ] {
        app.anonymous().post("/auth/accept-invitation", accepting(mail)).await.refused(410, "invalid_invitation");
    }
    app.settle_with_dead().await;
    let right = accepting(&app.mails_to("right-2@acme.test")[0]);
    app.anonymous().post("/auth/accept-invitation", right).await.expect(200);
}

#[tokio::test]
async fn an_invitation_from_before_a_departure_opens_nothing_after_the_return() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let id = company.hr.post("/employees", person("ana@acme.test")).await.expect(201).str("/id");
    app.settle().await;
    company.hr.delete(&format!("/employees/{id}")).await.expect(204);
    company.hr.post(&format!("/employees/{id}/reactivate"), json!({})).await.expect(200);
    app.settle().await;
    let before = accepting(&app.mails_to("ana@acme.test")[0]);
    app.anonymous().post("/auth/accept-invitation", before).await.refused(410, "invalid_invitation");
    company.hr.post(&format!("/employees/{id}/invite"), json!({})).await.expect(202);
    app.settle().await;
    let after = accepting(app.mails_to("ana@acme.test").last().unwrap());
    app.anonymous().post("/auth/accept-invitation", after).await.expect(200);
}

/// A mail server may take long: nobody waits for it.
#[tokio::test]
async fn the_link_before_works_while_a_new_one_is_being_sent() {
    let gate = Gate::start().await;
    let app = behind(&gate).await;
    let company = app.company("Acme").await;
    let id = company.hr.post("/employees", person("ana@acme.test")).await.expect(201).str("/id");
    app.settle().await;
    let first = accepting(&app.mails_to("ana@acme.test")[0]);
    gate.close();
    company.hr.post(&format!("/employees/{id}/invite"), json!({})).await.expect(202);
    let meanwhile = async {
        gate.until_one_waits().await;
        let choice = json!({"token": first["token"], "email": "ana@home.test"});
        app.anonymous().post("/auth/invitation-address", choice).await.expect(202);
        app.anonymous().post("/auth/accept-invitation", first).await.expect(200);
        gate.open();
    };
    tokio::join!(app.settle(), meanwhile);
    app.settle().await;
}

#[tokio::test]
async fn inviting_again_is_the_same_whether_or_not_there_is_an_account() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let with_account = company.hr.post("/employees", person("zoe@acme.test")).await.expect(201).str("/id");
    let without = company.hr.post("/employees", person("ana@acme.test")).await.expect(201).str("/id");
    app.settle().await;
    let accept = async |mail: &crate::support::smtp::Mail| {
        let token = mail.link_parameter("token");
        let body = json!({"token": token, "password": "four quiet words here", "acceptTerms": true});
        app.anonymous().post("/auth/accept-invitation", body).await
    };
    accept(&app.mails_to("zoe@acme.test")[0]).await.expect(200);
    let mut answers = Vec::new();
    for id in [&with_account, &without] {
        let path = format!("/employees/{id}/invite");
        // the first one was that of the creation
        for _ in 0..4 {
            answers.push(company.hr.post(&path, json!({})).await.expect(202).bytes);
            // one after the other: of two at once only the later one may be sent
            app.settle().await;
        }
        let refused = company.hr.post(&path, json!({})).await.refused(429, "too_many_invitations");
        assert!(refused.header("retry-after").parse::<i64>().unwrap() > 86_000);
        // a correction of the address does not go round the limit
        company.hr.patch(&format!("/employees/{id}"), json!({"email": format!("{id}@acme.test")})).await.expect(429);
        company.hr.patch(&format!("/employees/{id}"), json!({"site": "Lyon"})).await.expect(200);
    }
    answers.dedup();
    assert_eq!(answers.len(), 1);
    // a mail that could not be sent at once is sent after a pause
    app.clock.advance(TimeDelta::minutes(5));
    app.settle().await;
    let words = |address: &str| {
        let mails = app.mails_to(address);
        assert_eq!(mails.len(), 5, "{address}");
        let last = mails.last().unwrap();
        (last.subject.clone(), last.text.clone().unwrap().replace(&last.link_parameter("token"), "…"))
    };
    assert_eq!(words("zoe@acme.test"), words("ana@acme.test"));

    // who has an account gets the answer of a link that is unknown, with the hint to log in
    let known = accept(app.mails_to("zoe@acme.test").last().unwrap()).await.refused(410, "invalid_invitation");
    let nothing = json!({"token": "x".repeat(43), "password": "four quiet words here", "acceptTerms": true});
    let unknown = app.anonymous().post("/auth/accept-invitation", nothing).await.refused(410, "invalid_invitation");
    assert_eq!((&known.json["title"], &known.json["detail"]), (&unknown.json["title"], &unknown.json["detail"]));
    assert!(known.str("/detail").contains("connectez-vous"), "{}", known.json);
    // each link ends the earlier ones
    let mails = app.mails_to("ana@acme.test");
    for mail in &mails[..4] {
        accept(mail).await.refused(410, "invalid_invitation");
    }
    accept(&mails[4]).await.expect(200);

    app.clock.advance(TimeDelta::days(1));
    let hr =
        company.hr.with_token(app.session(company.hr.id, huntzen::platform::auth::Role::Hr, Some(company.id)).await);
    hr.post(&format!("/employees/{without}/invite"), json!({})).await.expect(202);
    let keyed =
        || hr.request(Method::POST, &format!("/employees/{with_account}/invite")).header("idempotency-key", "k");
    for _ in 0..2 {
        Answer::of(keyed().json(&json!({}))).await.expect(202);
    }
    app.settle().await;
    assert_eq!(app.mails_to("zoe@acme.test").len(), 6);
}

#[tokio::test]
async fn who_has_an_account_is_told_there_when_the_directory_changes_their_address() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let alice = app.employee(&company).await;
    let entry: Uuid = sqlx::query_scalar("SELECT employee_id FROM app.users WHERE id = $1")
        .bind(alice.id)
        .fetch_one(app.db())
        .await
        .unwrap();
    let without = company.hr.post("/employees", person("ana@acme.test")).await.expect(201).str("/id");
    app.settle().await;
    let change = async |id: &str, to: &str| company.hr.patch(&format!("/employees/{id}"), json!({"email": to})).await;
    let one = change(&entry.to_string(), "elsewhere@acme.test").await.expect(200);
    let two = change(&without, "else@acme.test").await.expect(200);
    assert_eq!(one.json.as_object().unwrap().len(), two.json.as_object().unwrap().len());
    app.settle().await;
    let told = app.mails_to(&alice.email);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].subject, "Your address was changed in the directory");
    assert!(!told[0].text.as_deref().unwrap().contains("elsewhere"), "the new address stays out of the mail");
    // both new addresses get an invitation, and only what opens something opens it
    assert_eq!((app.mails_to("elsewhere@acme.test").len(), app.mails_to("else@acme.test").len()), (1, 1));
    assert_eq!(app.mails_to("ana@acme.test").len(), 1);
    let log_in = json!({"email": alice.email, "password": "four quiet words here"});
    app.anonymous().post("/auth/login", log_in).await.expect(200);
}

const OVER: &str = "company_invitations_exhausted";

fn a_member(email: &str) -> Value {
    json!({"email": email, "displayName": "Cleo", "role": "hr"})
}

#[tokio::test]
async fn a_company_invites_so_many_addresses_a_day_and_no_more() {
    let app = TestApp::start_with(|name| (name == "COMPANY_INVITATIONS_PER_DAY").then(|| "3".into())).await;
    let (acme, globex) = (app.company("Acme").await, app.company("Globex").await);
    let members = format!("/companies/{}/members", acme.id);
    let first = acme.hr.post("/employees", person("a@acme.test")).await.expect(201).str("/id");
    acme.hr.post("/employees", person("b@acme.test")).await.expect(201);
    app.clock.advance(TimeDelta::minutes(5));
    acme.admin.post(&members, a_member("c@acme.test")).await.expect(201);

    let refused = acme.hr.post("/employees", person("d@acme.test")).await.refused(429, OVER);
    let wait: i64 = refused.header("retry-after").parse().unwrap();
    assert!((86_000..86_110).contains(&wait), "until the first of the three is a day old: {wait}");
    acme.admin.post(&members, a_member("d@acme.test")).await.refused(429, OVER);
    import(&acme.hr, "", people(2)).await.refused(429, OVER);
    import(&acme.hr, "?dryRun=true", people(2)).await.expect(200);
    assert_eq!(app.count("SELECT count(*) FROM app.employees WHERE company_id IS NOT NULL").await, 2);
    assert_eq!(app.count("SELECT count(*) FROM app.member_invitations").await, 1);
    // whoever was written to may be written to again, and others have their own
    acme.hr.post(&format!("/employees/{first}/invite"), json!({})).await.expect(202);
    globex.hr.post("/employees", person("a@acme.test")).await.expect(201);

    app.clock.advance(TimeDelta::seconds(wait));
    let hr = acme.hr.with_token(app.session(acme.hr.id, Role::Hr, Some(acme.id)).await);
    hr.post("/employees", person("d@acme.test")).await.expect(201);
    app.settle().await;
}

#[tokio::test]
async fn of_many_invitations_at_once_no_more_are_sent_than_a_company_may() {
    let app = TestApp::start_with(|name| (name == "COMPANY_INVITATIONS_PER_DAY").then(|| "3".into())).await;
    let acme = app.company("Acme").await;
    let members = format!("/companies/{}/members", acme.id);
    let answers = futures_util::future::join_all((0..10).map(|n| {
        let (acme, members) = (&acme, &members);
        async move {
            let email = format!("p{n}@acme.test");
            if n % 2 == 0 {
                acme.hr.post("/employees", person(&email)).await
            } else {
                acme.admin.post(members, a_member(&email)).await
            }
        }
    }))
    .await;
    assert_eq!(answers.iter().filter(|it| it.status == 201).count(), 3, "{answers:?}");
    for refused in answers.into_iter().filter(|it| it.status != 201) {
        refused.refused(429, OVER);
    }
    assert_eq!(app.count("SELECT count(*) FROM app.invitation_mails").await, 3);
    app.settle().await;
    assert_eq!(app.mails().len(), 3);
}
