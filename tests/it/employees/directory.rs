//! People, departments, sites, seats.

use reqwest::Method;
use serde_json::json;
use uuid::Uuid;

use super::{alice, import, people, person, set_seats};
use crate::support::{Answer, TestApp};

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
async fn people_departments_and_companies_are_in_the_order_in_which_people_look_for_them() {
    let app = TestApp::start().await;
    let company = app.company("Élan").await;
    for name in ["zèbre", "Eau", "Étoile", "Zénith"] {
        app.company(name).await;
    }
    let file = "email,first name,last name,department\n\
                a@elan.test,Ana,Zola,Ventes\nb@elan.test,Ana,Éluard,Études\nc@elan.test,Élise,du Bellay,Achats\n\
                d@elan.test,Zoé,Eluard,Essais\ne@elan.test,Adam,Éluard,Ventes\n";
    import(&company.hr, "", file).await.expect(200);
    app.settle().await;
    let staff = app.platform_admin().await;
    for (who, path, of, expected) in [
        (&company.hr, "/employees", "/email", "c@elan.test d@elan.test e@elan.test b@elan.test a@elan.test"),
        (&company.hr, "/employees/departments", "/name", "Achats Essais Études Ventes"),
        (&staff, "/companies", "/name", "Eau Élan Étoile zèbre Zénith"),
    ] {
        // one by one, so that each page begins after the one before
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = who.get(&format!("{path}?limit=1{cursor}")).await.expect(200);
            seen.push(page.json["items"][0].pointer(of).unwrap().as_str().unwrap().to_owned());
            match page.json["nextCursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(seen.join(" "), expected, "{path}");
    }
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
    // a contract that is cut below what is taken is refused, past every check of the program too
    let cut = sqlx::query("UPDATE app.companies SET seats = 4").execute(&pool).await.unwrap_err();
    assert_eq!(cut.as_database_error().unwrap().constraint(), Some("companies_seats_in_use"));
    sqlx::query("UPDATE app.employees SET site = 'Lyon'").execute(&pool).await.unwrap();
    sqlx::query("UPDATE app.employees SET status = 'left', left_at = now() WHERE id = $1")
        .bind(left)
        .execute(&pool)
        .await
        .unwrap();
    set_seats(&app, &company, 4).await;
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
    Answer::of(company.hr.request(Method::DELETE, &path)).await.refused(428, "precondition_required");
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
async fn a_suspended_company_reads_its_directory_and_changes_nothing() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let path = format!("/employees/{}", company.hr.post("/employees", alice()).await.expect(201).str("/id"));
    app.settle().await;
    sqlx::query("UPDATE app.companies SET status = 'suspended'").execute(app.db()).await.unwrap();
    company.hr.get(&path).await.expect(200);
    company.hr.get("/employees/departments").await.expect(200);
    company.hr.patch(&path, json!({"site": "X"})).await.refused(403, "company_suspended");
    // but who leaves, leaves: see account::leaving
    company.hr.post(&format!("{path}/invite"), json!({})).await.refused(403, "company_suspended");
    import(&company.hr, "?dryRun=true", people(1)).await.refused(403, "company_suspended");
}
