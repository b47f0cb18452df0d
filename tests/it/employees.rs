//! The directory: people, departments, imports.

use std::fmt::Write;

use chrono::TimeDelta;
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Answer, Company, TestApp, User};

fn alice() -> Value {
    json!({
        "email": "Alice@Acme.test", "firstName": " Alice ", "lastName": "Martin", "staffNumber": "A-1",
        "department": "Legal", "site": "Lyon", "locale": "en",
    })
}

fn person(email: &str) -> Value {
    json!({"email": email, "firstName": "Ana", "lastName": "Silva"})
}

async fn import(user: &User, query: &str, file: impl Into<Vec<u8>>) -> Answer {
    let request = user.request(Method::POST, &format!("/employees/import{query}"));
    Answer::of(request.header(CONTENT_TYPE, "text/csv").body(file.into())).await
}

/// The outcome of each row, in order.
#[track_caller]
fn outcomes(report: &Value) -> Vec<&str> {
    report["rows"].as_array().unwrap().iter().map(|row| row["outcome"].as_str().unwrap()).collect()
}

/// Line, column and code of each fault.
#[track_caller]
fn faults(report: &Value) -> Vec<(u64, Option<&str>, &str)> {
    let rows = report["rows"].as_array().unwrap().iter();
    rows.flat_map(|row| {
        row["errors"].as_array().unwrap().iter().map(|error| {
            let (code, detail) = (error["code"].as_str().unwrap(), error["detail"].as_str().unwrap());
            assert!(!detail.contains("field.") && !detail.contains("%{"), "words are missing: {detail}");
            (row["line"].as_u64().unwrap(), error["column"].as_str(), code)
        })
    })
    .collect()
}

/// Every row that an import could write.
async fn written(app: &TestApp) -> [i64; 5] {
    [
        app.count("SELECT count(*) FROM app.employees").await,
        app.count("SELECT count(*) FROM app.departments").await,
        app.count("SELECT count(*) FROM app.audit_logs WHERE action NOT IN ('employee.read', 'employee.listed')").await,
        app.count("SELECT count(*) FROM app.idempotency_keys").await,
        app.count("SELECT count(*) FROM apalis.jobs").await,
    ]
}

async fn set_seats(app: &TestApp, company: &Company, seats: i32) {
    sqlx::query("UPDATE app.companies SET seats = $2 WHERE id = $1")
        .bind(company.id)
        .bind(seats)
        .execute(app.db())
        .await
        .unwrap();
}

fn people(count: usize) -> String {
    let mut file = String::from("email;prénom;nom;matricule;service;site\r\n");
    for n in 0..count {
        write!(file, "p{n}@acme.test;Prénom{n};Nom{n};M{n};Service {};Lyon\r\n", n % 40).unwrap();
    }
    file
}

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
async fn every_fault_of_a_new_person_is_told_at_once() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let bad = json!({"email": "nobody", "firstName": " ", "lastName": "a\u{7}b", "site": "x\u{9f}"});
    let answer = company.hr.post("/employees", bad).await.refused(422, "invalid");
    let mut found: Vec<_> = answer.json["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|fault| (fault["pointer"].as_str().unwrap(), fault["code"].as_str().unwrap()))
        .collect();
    found.sort_unstable();
    assert_eq!(
        found,
        [
            ("/email", "email"),
            ("/firstName", "required"),
            ("/lastName", "unreadable_character"),
            ("/site", "unreadable_character")
        ]
    );
    company.hr.post("/employees", json!({"email": "a@b.test"})).await.refused(422, "invalid");
    let mut unknown = alice();
    unknown["salary"] = json!(1);
    company.hr.post("/employees", unknown).await.refused(422, "invalid");
    assert_eq!(app.count("SELECT count(*) FROM app.employees").await, 0);
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
async fn an_address_may_stand_in_two_companies_directories() {
    let app = TestApp::start().await;
    let (acme, globex) = (app.company("Acme").await, app.company("Globex").await);
    acme.hr.post("/employees", alice()).await.expect(201);
    globex.hr.post("/employees", alice()).await.expect(201);
    app.settle().await;
}

#[tokio::test]
async fn the_directory_is_listed_by_name_and_searched() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let file = "email,first name,last name,department,staff number\n\
                a@acme.test,Zoé,Alpha,Sales,S_1\nb@acme.test,Ana,Beta,Legal,S21\nc@acme.test,Ana,Alpha,SALES,S31\n";
    import(&company.hr, "", file).await.expect(200);
    let list = async |query: &str| -> Vec<String> {
        let page = company.hr.get(&format!("/employees?{query}")).await.expect(200);
        let items = page.json["items"].as_array().unwrap().clone();
        items.iter().map(|it| it["email"].as_str().unwrap()[..1].to_owned()).collect()
    };
    assert_eq!(list("").await, ["c", "a", "b"]);
    let first = company.hr.get("/employees?limit=2").await.expect(200);
    let rest = list(&format!("limit=2&cursor={}", first.str("/nextCursor"))).await;
    assert_eq!(rest, ["b"]);
    assert_eq!(list("q=zo%C3%A9%20alp").await, ["a"]);
    assert_eq!(list("q=B%40ACME").await, ["b"]);
    assert_eq!(list("q=s_").await, ["a"]);
    assert_eq!(list("department=sales").await, ["c", "a"]);
    assert_eq!(list("status=left").await, [] as [&str; 0]);
    company.hr.get("/employees?status=gone").await.expect(400);
    let departments = company.hr.get("/employees/departments").await.expect(200);
    let seen: Vec<_> = departments.json["items"].as_array().unwrap().iter().map(|it| &it["name"]).collect();
    assert_eq!(seen, ["Legal", "SALES"]);
    assert_eq!(departments.json["items"][0].as_object().unwrap().len(), 2, "an id and a name, and no count");
    let first = company.hr.get("/employees/departments?limit=1").await.expect(200);
    let rest = company.hr.get(&format!("/employees/departments?cursor={}", first.str("/nextCursor"))).await.expect(200);
    assert_eq!(rest.json["items"], json!([departments.json["items"][1]]));
    app.settle().await;
}

#[tokio::test]
async fn a_company_never_meets_anothers_people() {
    let app = TestApp::start().await;
    let (acme, globex) = (app.company("Acme").await, app.company("Globex").await);
    let id = globex.hr.post("/employees", alice()).await.expect(201).str("/id");
    app.settle().await;
    let path = format!("/employees/{id}");
    for who in [&acme.hr, &acme.admin] {
        who.get(&path).await.refused(404, "not_found");
        let change = who.request(Method::PATCH, &path).header("if-match", "*").json(&json!({"lastName": "X"}));
        Answer::of(change).await.refused(404, "not_found");
        who.delete(&path).await.refused(404, "not_found");
        for action in ["reactivate", "invite"] {
            who.post(&format!("{path}/{action}"), json!({})).await.refused(404, "not_found");
        }
        who.get(&format!("/employees?companyId={}", globex.id.0)).await.refused(404, "not_found");
        assert_eq!(who.get("/employees").await.expect(200).json["items"], json!([]));
        assert_eq!(who.get("/employees/departments").await.expect(200).json["items"], json!([]));
    }
    let alice = app.employee(&globex).await;
    for (who, status) in [(alice, 403), (app.practitioner().await, 403), (app.anonymous(), 401)] {
        who.get("/employees").await.expect(status);
        who.get(&path).await.expect(status);
        who.get("/employees/departments").await.expect(status);
        who.post("/employees", person("x@y.test")).await.expect(status);
        import(&who, "", "x").await.expect(status);
    }
}

#[tokio::test]
async fn the_platform_reads_a_directory_and_leaves_a_trace() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let id = company.hr.post("/employees", alice()).await.expect(201).str("/id");
    app.settle().await;
    let platform = app.platform_admin().await;
    platform.get("/employees").await.refused(400, "invalid_parameter");
    platform.get(&format!("/employees?companyId={}", Uuid::nil())).await.refused(404, "not_found");
    let query = format!("?companyId={}", company.id.0);
    let listed = platform.get(&format!("/employees{query}")).await.expect(200);
    assert_eq!(listed.json["items"].as_array().unwrap().len(), 1);
    platform.get(&format!("/employees/departments{query}")).await.expect(200);
    platform.get(&format!("/employees/{id}")).await.expect(200);
    platform.post("/employees", person("x@y.test")).await.refused(403, "forbidden");
    platform.delete(&format!("/employees/{id}")).await.refused(403, "forbidden");
    let traces: Vec<(Option<Uuid>, Option<Uuid>)> = sqlx::query_as(
        "SELECT company_id, object_id FROM app.audit_logs log JOIN app.audit_chain link ON link.entry_id = log.id
         WHERE action IN ('employee.read', 'employee.listed', 'department.listed') AND actor_role = 'platform_admin'
         ORDER BY link.chain, link.sequence",
    )
    .fetch_all(app.db())
    .await
    .unwrap();
    let (acme, alice) = (Some(company.id.0), Uuid::parse_str(&id).ok());
    assert_eq!(traces, [(acme, None), (acme, None), (acme, alice)]);
}

#[tokio::test]
async fn a_change_is_made_on_the_version_that_was_read() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let made = company.hr.post("/employees", alice()).await.expect(201);
    let path = format!("/employees/{}", made.str("/id"));
    let changed = company.hr.patch(&path, json!({"department": "Sales", "site": null})).await.expect(200);
    assert_eq!(changed.json["department"], "Sales");
    assert!(changed.json.get("site").is_none());
    assert_eq!(changed.json["staffNumber"], "A-1");
    let stale = |etag: Option<&str>| {
        let request = company.hr.request(Method::PATCH, &path).json(&json!({"lastName": "X"}));
        Answer::of(match etag {
            Some(etag) => request.header("if-match", etag),
            None => request,
        })
    };
    stale(None).await.refused(428, "precondition_required");
    stale(Some(made.header("etag"))).await.refused(412, "stale");
    let etag = changed.header("etag");
    let same = company.hr.request(Method::GET, &path).header("if-none-match", etag);
    assert!(Answer::of(same).await.expect(304).bytes.is_empty());
    company.hr.patch(&path, json!({"firstName": "\u{1}"})).await.refused(422, "invalid");
    company.hr.post("/employees", person("bob@acme.test")).await.expect(201);
    company.hr.patch(&path, json!({"email": "BOB@acme.test"})).await.refused(409, "employee_exists");
    app.settle().await;
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
        }
        let refused = company.hr.post(&path, json!({})).await.refused(429, "too_many_invitations");
        assert!(refused.header("retry-after").parse::<i64>().unwrap() > 86_000);
        // a correction of the address does not go round the limit
        company.hr.patch(&format!("/employees/{id}"), json!({"email": format!("{id}@acme.test")})).await.expect(429);
        company.hr.patch(&format!("/employees/{id}"), json!({"site": "Lyon"})).await.expect(200);
    }
    answers.dedup();
    assert_eq!(answers.len(), 1);
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

#[tokio::test]
async fn sites_are_listed_and_filter_the_directory() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let file = "email,first name,last name,site\na@acme.test,A,A,Lyon\nb@acme.test,B,B,Paris\nc@acme.test,C,C,lyon\n\
                d@acme.test,D,D,\ne@acme.test,E,E,Nantes\n";
    import(&company.hr, "", file).await.expect(200);
    app.settle().await;
    let left = company.hr.get("/employees?site=nantes").await.expect(200).str("/items/0/id");
    company.hr.delete(&format!("/employees/{left}")).await.expect(204);
    let names = |answer: &Answer| -> Vec<String> {
        answer.json["items"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap().to_owned()).collect()
    };
    let all = company.hr.get("/employees/sites").await.expect(200);
    assert_eq!(names(&all), ["Lyon", "Paris", "lyon"]);
    let first = company.admin.get("/employees/sites?limit=2").await.expect(200);
    let rest = company.admin.get(&format!("/employees/sites?cursor={}", first.str("/nextCursor"))).await.expect(200);
    assert_eq!(names(&rest), ["lyon"]);
    let found = company.hr.get("/employees?site=LYON").await.expect(200);
    assert_eq!(found.json["items"].as_array().unwrap().len(), 2);
    let other = app.company("Globex").await;
    assert_eq!(other.hr.get("/employees/sites").await.expect(200).json["items"], json!([]));
    other.hr.get(&format!("/employees/sites?companyId={}", company.id.0)).await.refused(404, "not_found");
    app.employee(&company).await.get("/employees/sites").await.refused(403, "forbidden");
    let platform = app.platform_admin().await;
    platform.get(&format!("/employees/sites?companyId={}", company.id.0)).await.expect(200);
    assert_eq!(app.count("SELECT count(*) FROM app.audit_logs WHERE action = 'department.listed'").await, 1);
    app.settle().await;
}

#[tokio::test]
async fn a_department_that_is_renamed_in_the_file_takes_its_people_along() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let file =
        |name: &str| format!("email,first name,last name,department\na@acme.test,A,A,{name}\nb@acme.test,B,B,{name}\n");
    import(&company.hr, "", file("Sales")).await.expect(200);
    let report = import(&company.hr, "", file("Growth")).await.expect(200).json;
    assert_eq!(outcomes(&report), ["updated", "updated"]);
    let departments = company.hr.get("/employees/departments").await.expect(200);
    assert_eq!(departments.json["items"].as_array().unwrap().len(), 1);
    assert_eq!(departments.json["items"][0]["name"], "Growth");
    // the earlier one stays for what was counted under it
    assert_eq!(app.count("SELECT count(*) FROM app.departments").await, 2);
    app.settle().await;
}

#[tokio::test]
async fn the_database_itself_gives_out_no_seat_too_many() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    set_seats(&app, &company, 5).await;
    let left: Uuid = sqlx::query_scalar(
        "INSERT INTO app.employees (id, company_id, email, first_name, last_name, status, left_at)
         VALUES (gen_random_uuid(), $1, 'left@acme.test', 'A', 'B', 'left', now()) RETURNING id",
    )
    .bind(company.id)
    .fetch_one(app.db())
    .await
    .unwrap();
    // past every check of the program, two at a time in each statement
    let pool = sqlx::postgres::PgPoolOptions::new()
        .max_connections(8)
        .connect_with((*app.db().connect_options()).clone())
        .await
        .unwrap();
    let tries = (0..8).map(|n| {
        let (pool, company) = (pool.clone(), company.id);
        tokio::spawn(async move {
            sqlx::query(
                "INSERT INTO app.employees (id, company_id, email, first_name, last_name)
                 SELECT gen_random_uuid(), $1, $2 || m || '@acme.test', 'A', 'B' FROM generate_series(1, 2) m",
            )
            .bind(company)
            .bind(format!("p{n}-"))
            .execute(&pool)
            .await
        })
    });
    let mut refused = 0;
    for one in tries.collect::<Vec<_>>() {
        if let Err(error) = one.await.unwrap() {
            assert_eq!(error.as_database_error().unwrap().constraint(), Some("employees_seats"));
            refused += 1;
        }
    }
    assert_eq!(refused, 6);
    assert_eq!(app.count("SELECT count(*) FROM app.employees WHERE status = 'active'").await, 4);
    let back = || sqlx::query("UPDATE app.employees SET status = 'active', left_at = NULL WHERE id = $1").bind(left);
    back().execute(&pool).await.unwrap();
    // a contract that is cut takes nobody's place away, and lets nobody in
    set_seats(&app, &company, 2).await;
    sqlx::query("UPDATE app.employees SET site = 'Lyon'").execute(&pool).await.unwrap();
    sqlx::query("UPDATE app.employees SET status = 'left', left_at = now() WHERE id = $1")
        .bind(left)
        .execute(&pool)
        .await
        .unwrap();
    let refused = back().execute(&pool).await.unwrap_err();
    assert_eq!(refused.as_database_error().unwrap().constraint(), Some("employees_seats"));
}

#[tokio::test]
async fn a_person_leaves_and_comes_back() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let made = company.hr.post("/employees", alice()).await.expect(201);
    let path = format!("/employees/{}", made.str("/id"));
    let stale = company.hr.request(Method::DELETE, &path).header("if-match", "\"0\"");
    Answer::of(stale).await.refused(412, "stale");
    company.hr.delete(&path).await.expect(204);
    company.hr.delete(&path).await.expect(204);
    let left = company.hr.get(&path).await.expect(200);
    assert_eq!(left.json["status"], "left");
    assert!(left.json["leftAt"].is_string());
    company.hr.post(&format!("{path}/invite"), json!({})).await.refused(409, "employee_left");
    assert_eq!(app.count("SELECT count(*) FROM app.audit_logs WHERE action = 'employee.deactivated'").await, 1);

    set_seats(&app, &company, 1).await;
    company.hr.post("/employees", person("bob@acme.test")).await.expect(201);
    let full = company.hr.post(&format!("{path}/reactivate"), json!({})).await.refused(409, "seats_exceeded");
    assert!(full.str("/detail").contains('1'));
    company.hr.post("/employees", person("carol@acme.test")).await.refused(409, "seats_exceeded");
    set_seats(&app, &company, 2).await;
    for _ in 0..2 {
        let back = company.hr.post(&format!("{path}/reactivate"), json!({})).await.expect(200);
        assert_eq!(back.json["status"], "active");
        assert!(back.json.get("leftAt").is_none());
    }
    app.settle().await;
}

#[tokio::test]
async fn the_last_seat_is_given_once() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    set_seats(&app, &company, 3).await;
    let tries = (0..8).map(|n| {
        let hr = company.hr.clone();
        tokio::spawn(async move { hr.post("/employees", person(&format!("p{n}@acme.test"))).await.status.as_u16() })
    });
    let mut statuses = Vec::new();
    for one in tries.collect::<Vec<_>>() {
        statuses.push(one.await.unwrap());
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 201, 201, 409, 409, 409, 409, 409]);
    app.settle().await;
}

#[tokio::test]
async fn a_semicolon_file_in_latin_1_is_imported() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let file = b"Adresse e-mail;Pr\xe9nom;Nom;Service;Langue;Salaire\r\n\
                 zoe@acme.test;Zo\xe9;L\x92H\xf4te;\xc9tudes;fran\xe7ais;100\r\n\
                 =cmd@acme.test;\"=1+1\";\"Petit; dit\r\nle Grand\";\xc9tudes;;\r\n";
    let report = import(&company.hr, "", file.as_slice()).await.expect(200).json;
    assert_eq!(outcomes(&report), ["created", "created"], "{report}");
    assert_eq!((&report["encoding"], &report["delimiter"]), (&json!("windows-1252"), &json!(";")));
    assert_eq!((&report["applied"], &report["dryRun"]), (&json!(true), &json!(false)));
    assert_eq!(report["warnings"][0]["column"], "Salaire");
    let zoe = company.hr.get("/employees?q=zoe").await.expect(200).json["items"][0].clone();
    assert_eq!((&zoe["firstName"], &zoe["lastName"]), (&json!("Zoé"), &json!("L’Hôte")));
    assert_eq!((&zoe["department"], &zoe["locale"]), (&json!("Études"), &json!("fr")));
    let formula = company.hr.get("/employees?q=grand").await.expect(200).json["items"][0].clone();
    assert_eq!((&formula["firstName"], &formula["lastName"]), (&json!("=1+1"), &json!("Petit; dit le Grand")));
    assert_eq!(app.count("SELECT count(*) FROM app.departments").await, 1);
    app.settle().await;
    assert_eq!(app.mails().len(), 2);
    assert_eq!(app.count("SELECT count(*) FROM app.audit_logs WHERE action = 'employee.imported'").await, 1);
}

#[tokio::test]
async fn a_dry_run_writes_nothing_and_tells_what_a_real_one_does() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let seed = "email,first name,last name,department\nsame@acme.test,A,B,Legal\nother@acme.test,A,B,Legal\nleft@acme.test,A,B,\n";
    import(&company.hr, "", seed).await.expect(200);
    app.settle().await;
    sqlx::query("UPDATE app.employees SET status = 'left', left_at = now() WHERE email = 'left@acme.test'")
        .execute(app.db())
        .await
        .unwrap();
    let before = written(&app).await;
    let file = "email,first name,last name,department\nsame@acme.test,A,B,LEGAL\nother@acme.test,A,C,Sales\n\
                left@acme.test,A,B,\nnew@acme.test,A,B,Sales\n";
    let expected = ["unchanged", "updated", "reactivated", "created"];
    let keyed = company.hr.request(Method::POST, "/employees/import?dryRun=true").header("idempotency-key", "k");
    let dry = Answer::of(keyed.header(CONTENT_TYPE, "text/csv").body(file)).await.expect(200).json;
    assert_eq!(outcomes(&dry), expected);
    assert_eq!((&dry["applied"], &dry["dryRun"]), (&json!(false), &json!(true)));
    assert_eq!(written(&app).await, before);

    let real = import(&company.hr, "", file).await.expect(200).json;
    assert_eq!(outcomes(&real), expected);
    let counts = json!({"rows": 4, "created": 1, "updated": 1, "unchanged": 1, "reactivated": 1, "rejected": 0});
    assert_eq!((&real["counts"], &dry["counts"]), (&counts, &counts));
    assert_eq!(outcomes(&import(&company.hr, "", file).await.expect(200).json), ["unchanged"; 4]);
    app.settle().await;
    assert_eq!(app.mails().len(), 4, "only who is new is invited");
}

#[tokio::test]
async fn one_bad_row_keeps_all_rows_out_unless_a_part_is_asked_for() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let before = written(&app).await;
    let mut file = b"email;nom;prenom;matricule;langue\ngood@acme.test;A;B;1;\nno address;A;;2;klingon\n\n\
                     GOOD@acme.test;A;B;3;\nthird@acme.test;A;B;1;;more\nnul@acme.test;A\0;B;4;\n"
        .to_vec();
    file.extend(format!("long@acme.test;{};B;5;\n", "x".repeat(101)).bytes());
    let expected = [
        (3, Some("firstName"), "required"),
        (3, Some("email"), "email"),
        (3, Some("locale"), "offered_language"),
        (5, Some("email"), "address_repeated"),
        (6, None, "too_many_cells"),
        (6, Some("staffNumber"), "staff_number_repeated"),
        (7, Some("lastName"), "unreadable_character"),
        (8, Some("lastName"), "max_length"),
    ];
    let refused = import(&company.hr, "", file.clone()).await.refused(422, "import_rejected");
    let report = &refused.json["report"];
    assert_eq!(faults(report), expected, "{report}");
    assert_eq!((&report["applied"], &report["counts"]["rejected"]), (&json!(false), &json!(5)));
    assert!(refused.str("/detail").contains('5'));
    assert_eq!(written(&app).await, before);

    let french = company.hr.request(Method::POST, "/employees/import?dryRun=true").header("accept-language", "fr");
    let french =
        Answer::of(french.header(CONTENT_TYPE, "text/csv; charset=utf-8").body(file.clone())).await.expect(200);
    assert!(french.text().contains("figure déjà à la ligne 2"), "{}", french.text());

    let partial = import(&company.hr, "?partial=true", file).await.expect(200).json;
    assert_eq!(faults(&partial), expected);
    assert_eq!(partial["applied"], true);
    assert_eq!(app.count("SELECT count(*) FROM app.employees").await, 1);
    app.settle().await;
    assert_eq!(app.mails().len(), 1);
}

#[tokio::test]
async fn a_file_that_is_no_list_of_people_is_refused() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let missing = import(&company.hr, "", "prénom;service\nZoé;RH\n").await.refused(422, "import_header");
    let pointers: Vec<_> = missing.json["errors"].as_array().unwrap().iter().map(|it| &it["pointer"]).collect();
    assert_eq!(pointers, ["column:email", "column:lastName"]);
    import(&company.hr, "", "").await.refused(422, "import_empty");
    import(&company.hr, "", "email;nom;prenom\n").await.refused(422, "import_empty");
    import(&company.hr, "", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".as_slice()).await.expect(422);
    import(&company.hr, "", people(10_001)).await.refused(422, "import_too_many_rows");
    import(&company.hr, "?dryRun=perhaps", "x").await.expect(400);
    company.hr.post("/employees/import", json!({})).await.refused(415, "unsupported_media_type");
    let platform = app.platform_admin().await;
    import(&platform, "", "email;nom;prenom\na@b.test;A;B\n").await.refused(403, "forbidden");
}

#[tokio::test]
async fn a_file_may_come_as_a_form() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let part = reqwest::multipart::Part::text("email;nom;prenom\na@b.test;A;B\n").file_name("people.csv");
    let form = reqwest::multipart::Form::new().part("file", part);
    let report = Answer::of(company.hr.request(Method::POST, "/employees/import").multipart(form)).await.expect(200);
    assert_eq!(outcomes(&report.json), ["created"]);
    let empty = reqwest::multipart::Form::new().text("other", "x");
    let refused = Answer::of(company.hr.request(Method::POST, "/employees/import").multipart(empty)).await;
    assert!(refused.status.is_client_error(), "{}", refused.status);
    app.settle().await;
}

#[tokio::test]
async fn a_staff_number_is_not_taken_over_by_an_import() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    company.hr.post("/employees", alice()).await.expect(201);
    let file = "email,first name,last name,staff number\nbob@acme.test,Bob,Roux,A-1\n";
    let refused = import(&company.hr, "", file).await.refused(422, "import_rejected");
    assert_eq!(faults(&refused.json["report"]), [(2, Some("staffNumber"), "staff_number_taken")]);
    app.settle().await;
}

#[tokio::test]
async fn people_beyond_the_seats_are_rejected() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    set_seats(&app, &company, 3).await;
    let partial = import(&company.hr, "?partial=true", people(5)).await.expect(200).json;
    assert_eq!(outcomes(&partial), ["created", "created", "created", "rejected", "rejected"]);
    assert_eq!(faults(&partial), [(5, None, "seats_exceeded"), (6, None, "seats_exceeded")]);
    app.settle().await;
}

#[tokio::test]
async fn ten_thousand_people_are_imported_in_seconds() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let file = people(10_000);
    let started = std::time::Instant::now();
    let report = import(&company.hr, "", file.clone()).await.expect(200).json;
    let took = started.elapsed();
    assert_eq!(report["counts"]["created"], 10_000);
    assert!(took.as_secs() < 10, "{took:?}");
    assert_eq!(app.count("SELECT count(*) FROM app.employees").await, 10_000);
    assert_eq!(app.count("SELECT count(*) FROM app.departments").await, 40);
    assert_eq!(app.count("SELECT count(*) FROM apalis.jobs WHERE status = 'Pending'").await, 10_000);

    let changed = file.replace(";Lyon", ";Lille");
    let report = import(&company.hr, "", changed.clone()).await.expect(200).json;
    assert_eq!(report["counts"]["updated"], 10_000);
    let report = import(&company.hr, "?dryRun=true", changed).await.expect(200).json;
    assert_eq!(report["counts"]["unchanged"], 10_000);
    // ten thousand mails are another test's matter
    sqlx::query("DELETE FROM apalis.jobs").execute(app.db()).await.unwrap();
}

#[tokio::test]
async fn two_imports_of_one_file_at_once_make_nobody_twice() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let (one, two) = tokio::join!(import(&company.hr, "", people(300)), import(&company.admin, "", people(300)));
    let (one, two) = (one.expect(200).json, two.expect(200).json);
    let mut created = [&one, &two].map(|report| report["counts"]["created"].as_u64().unwrap());
    created.sort_unstable();
    assert_eq!(created, [0, 300]);
    assert_eq!(app.count("SELECT count(*) FROM app.employees").await, 300);
    assert_eq!(app.count("SELECT count(*) FROM apalis.jobs").await, 300);
    sqlx::query("DELETE FROM apalis.jobs").execute(app.db()).await.unwrap();
}

#[tokio::test]
async fn a_repeated_import_gets_the_first_report() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let send = async |query: &str, file: String| {
        let path = format!("/employees/import{query}");
        let request = company.hr.request(Method::POST, &path).header("idempotency-key", "k");
        Answer::of(request.header(CONTENT_TYPE, "text/csv").body(file)).await
    };
    let first = send("", people(3)).await.expect(200).json;
    assert_eq!(send("", people(3)).await.expect(200).json, first);
    send("", people(4)).await.refused(422, "idempotency_mismatch");
    send("?partial=true", people(3)).await.refused(422, "idempotency_mismatch");
    app.settle().await;
    assert_eq!(app.mails().len(), 3);
}

#[tokio::test]
async fn the_template_can_be_imported_as_it_is_in_both_languages() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    for (language, delimiter, header) in [("fr", ";", "Prénom"), ("en", ",", "First name")] {
        let request = company.hr.request(Method::GET, "/employees/import-template.csv");
        let file = Answer::of(request.header("accept-language", language)).await.expect(200);
        assert_eq!(file.header("content-type"), "text/csv; charset=utf-8");
        assert_eq!(file.header("content-disposition"), "attachment; filename=\"employees.csv\"");
        assert!(file.text().starts_with('\u{feff}') && file.text().contains(header), "{}", file.text());
        let report = import(&company.hr, "?dryRun=true", file.bytes).await.expect(200).json;
        assert_eq!(outcomes(&report), ["created"], "{report}");
        assert_eq!((&report["delimiter"], &report["warnings"]), (&json!(delimiter), &json!([])));
    }
}

#[tokio::test]
async fn a_suspended_company_reads_its_directory_and_changes_nothing() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let path = format!("/employees/{}", company.hr.post("/employees", alice()).await.expect(201).str("/id"));
    app.settle().await;
    sqlx::query("UPDATE app.companies SET status = 'suspended'").execute(app.db()).await.unwrap();
    company.hr.get(&path).await.expect(200);
    company.hr.get("/employees/departments").await.expect(200);
    company.hr.patch(&path, json!({"site": "X"})).await.refused(403, "company_suspended");
    company.hr.delete(&path).await.refused(403, "company_suspended");
    company.hr.post(&format!("{path}/invite"), json!({})).await.refused(403, "company_suspended");
    import(&company.hr, "?dryRun=true", people(1)).await.refused(403, "company_suspended");
}
