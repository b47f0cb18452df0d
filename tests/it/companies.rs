//! Companies: contract, status, settings, network, members.

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::app::PASSWORD;
use crate::support::{Answer, Company, TestApp, User};

fn acme() -> Value {
    json!({
        "name": "  Acme \u{a0}SA ",
        "siren": "732 829 320",
        "locale": "fr",
        "timeZone": "Europe/Paris",
        "contract": {"startsOn": "2026-01-01", "endsOn": "2027-01-01", "sessionsPerEmployee": 8, "seats": 250},
    })
}

async fn put(user: &User, path: &str, body: Value) -> Answer {
    let etag = user.get(path).await.expect(200).header("etag").to_owned();
    Answer::of(user.request(Method::PUT, path).header("if-match", etag).json(&body)).await
}

async fn post_with_key(user: &User, path: &str, key: &str, body: Value) -> Answer {
    Answer::of(user.request(Method::POST, path).header("idempotency-key", key).json(&body)).await
}

#[track_caller]
fn faults(answer: &Answer) -> Vec<(String, String)> {
    let mut found: Vec<_> = answer.json["errors"]
        .as_array()
        .unwrap_or_else(|| panic!("no errors in {}", answer.json))
        .iter()
        .map(|fault| {
            assert_ne!(fault["detail"], format!("field.{}", fault["code"].as_str().unwrap()), "words are missing");
            (fault["pointer"].as_str().unwrap().to_owned(), fault["code"].as_str().unwrap().to_owned())
        })
        .collect();
    found.sort();
    found
}

fn fault(pointer: &str, code: &str) -> (String, String) {
    (pointer.to_owned(), code.to_owned())
}

async fn status(app: &TestApp, company: &Company) -> String {
    sqlx::query_scalar("SELECT status FROM app.companies WHERE id = $1")
        .bind(company.id)
        .fetch_one(app.db())
        .await
        .unwrap()
}

#[tokio::test]
async fn a_platform_admin_makes_a_company_and_its_first_admin_accepts() {
    let app = TestApp::start().await;
    let platform = app.platform_admin().await;
    let mut body = acme();
    body["admin"] = json!({"email": "Nadia@Acme.test", "displayName": "Nadia Leroy"});
    let made = platform.post("/companies", body).await.expect(201);
    assert_eq!(made.json["name"], "Acme SA");
    assert_eq!(made.json["siren"], "732829320");
    assert_eq!(made.json["status"], "active");
    assert_eq!(made.json["network"], "open");
    assert_eq!(made.json["contract"]["seats"], 250);
    let id = made.str("/id");
    let etag = made.header("etag").to_owned();
    assert_eq!(platform.get(&format!("/companies/{id}")).await.expect(200).header("etag"), etag);

    let settings = platform.get(&format!("/companies/{id}/settings")).await.expect(200);
    let expected = json!({
        "cancellationWindowHours": 24, "bookingHorizonDays": 60, "reportingThreshold": 11,
        "lateCancellationCounts": true, "noShowCounts": true,
    });
    assert_eq!(settings.json, expected);

    app.settle().await;
    let mails = app.mails_to("nadia@acme.test");
    assert_eq!(mails.len(), 1);
    let token = mails[0].link_parameter("token");
    let session = app
        .anonymous()
        .post("/auth/accept-invitation", json!({"token": token, "password": PASSWORD, "acceptTerms": true}))
        .await
        .expect(200);
    assert_eq!(session.json["user"]["role"], "company_admin");
    assert_eq!(session.json["user"]["companyId"], id.as_str());
    let nadia = app.anonymous().with_token(session.str("/accessToken"));
    assert_eq!(nadia.get(&format!("/companies/{id}")).await.expect(200).json["siren"], "732829320");
    let actions: Vec<String> =
        sqlx::query_scalar("SELECT action FROM app.audit_logs WHERE company_id = $1 AND action LIKE 'company.%'")
            .bind(Uuid::parse_str(&id).unwrap())
            .fetch_all(app.db())
            .await
            .unwrap();
    assert_eq!(actions, ["company.created"]);
}

#[tokio::test]
async fn every_fault_of_a_new_company_is_told_at_once() {
    let app = TestApp::start().await;
    let platform = app.platform_admin().await;
    let answer = platform
        .post(
            "/companies",
            json!({
                "name": " ",
                "siren": "732829321",
                "timeZone": "Mars/Olympus",
                "contract": {"startsOn": "2027-01-01", "endsOn": "2027-01-01", "sessionsPerEmployee": 8, "seats": 1},
                "admin": {"email": "nobody", "displayName": "\u{7}"},
            }),
        )
        .await
        .refused(422, "invalid");
    assert_eq!(
        faults(&answer),
        [
            fault("/admin/displayName", "text"),
            fault("/admin/email", "email"),
            fault("/contract/endsOn", "contract_order"),
            fault("/name", "text"),
            fault("/siren", "siren"),
            fault("/timeZone", "time_zone"),
        ]
    );
    let mut far = acme();
    far["contract"]["endsOn"] = json!("9999-01-01");
    let answer = platform.post("/companies", far).await.refused(422, "invalid");
    assert_eq!(faults(&answer), [fault("/contract/endsOn", "date_range")]);
    let mut none = acme();
    none["contract"]["seats"] = json!(0);
    none["contract"]["endsOn"] = json!("2027-02-30");
    none["colour"] = json!("red");
    let answer = platform.post("/companies", none).await.refused(422, "invalid");
    assert_eq!(faults(&answer).len(), 3);
    assert_eq!(app.count("SELECT count(*) FROM app.companies").await, 0);
}

#[tokio::test]
async fn a_repeated_creation_makes_one_company_and_gets_the_first_answer() {
    let app = TestApp::start().await;
    let platform = app.platform_admin().await;
    let first = post_with_key(&platform, "/companies", "k1", acme()).await.expect(201);
    let again = post_with_key(&platform, "/companies", "k1", acme()).await.expect(201);
    assert_eq!(first.json, again.json);
    let mut other = acme();
    other["name"] = json!("Other");
    post_with_key(&platform, "/companies", "k1", other.clone()).await.refused(422, "idempotency_mismatch");
    platform.post("/companies", other).await.refused(409, "siren_taken");
    assert_eq!(app.count("SELECT count(*) FROM app.companies").await, 1);
}

#[tokio::test]
async fn whether_the_first_admins_address_has_an_account_is_told_to_them_alone() {
    let app = TestApp::start().await;
    let platform = app.platform_admin().await;
    let mut body = acme();
    body["admin"] = json!({"email": platform.email, "displayName": "Nadia Leroy"});
    let id = platform.post("/companies", body).await.expect(201).str("/id");
    app.settle().await;
    let token = app.mails_to(&platform.email)[0].link_parameter("token");
    let accept = json!({"token": token, "password": PASSWORD, "acceptTerms": true});
    app.anonymous().post("/auth/accept-invitation", accept).await.refused(409, "account_exists");
    // the platform names somebody else
    let path = format!("/companies/{id}/members");
    let pending = platform.get(&path).await.expect(200).str("/items/0/id");
    let other = json!({"email": "nadia@acme.test", "displayName": "Nadia Leroy", "role": "company_admin"});
    platform.post(&path, other).await.expect(201);
    platform.delete(&format!("{path}/{pending}")).await.expect(204);
    app.settle().await;
    assert_eq!(app.mails_to("nadia@acme.test").len(), 1);
    assert_eq!(platform.get(&path).await.expect(200).json["items"].as_array().unwrap().len(), 1);
    let traces = "SELECT count(*) FROM app.audit_logs WHERE action = 'member.read_by_platform'";
    assert_eq!(app.count(traces).await, 2);
}

#[tokio::test]
async fn companies_are_listed_by_name_page_by_page() {
    let app = TestApp::start().await;
    let platform = app.platform_admin().await;
    for name in ["Beta 50%", "Alpha", "Gamma", "alpine"] {
        app.company(name).await;
    }
    let mut names = Vec::new();
    let mut path = "/companies?limit=3".to_owned();
    loop {
        let page = platform.get(&path).await.expect(200);
        names.extend(page.json["items"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap().to_owned()));
        match page.json["nextCursor"].as_str() {
            Some(cursor) => path = format!("/companies?limit=3&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(names.len(), 4);
    let found = async |query: &str| {
        platform.get(&format!("/companies?{query}")).await.expect(200).json["items"].as_array().unwrap().len()
    };
    assert_eq!(found("q=ALP").await, 2);
    assert_eq!(found("q=%25").await, 1);
    assert_eq!(found("status=suspended").await, 0);
    platform.get("/companies?limit=0").await.refused(400, "invalid_parameter");
    platform.get("/companies?cursor=nonsense").await.refused(400, "invalid_cursor");
}

#[tokio::test]
async fn each_role_sees_of_the_own_company_what_it_may_and_nothing_of_another() {
    let app = TestApp::start().await;
    let (acme, globex) = (app.company("Acme").await, app.company("Globex").await);
    let (own, other) = (format!("/companies/{}", acme.id.0), format!("/companies/{}", globex.id.0));
    let alice = app.employee(&acme).await;
    for reader in [&alice, &acme.hr] {
        let seen = reader.get(&own).await.expect(200);
        let members: Vec<_> = seen.json.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(members, ["id", "name", "status", "locale", "timeZone", "contract"]);
        assert_eq!(seen.json["contract"].as_object().unwrap().len(), 2);
        reader.get(&other).await.refused(404, "not_found");
        for path in ["/settings", "/network", "/members"] {
            reader.get(&format!("{own}{path}")).await.refused(403, "forbidden");
        }
    }
    assert_eq!(acme.admin.get(&own).await.expect(200).json["contract"]["seats"], 20000);
    for path in ["", "/settings", "/network", "/members"] {
        acme.admin.get(&format!("{own}{path}")).await.expect(200);
        acme.admin.get(&format!("{other}{path}")).await.refused(404, "not_found");
    }
    let any = |method, path: &str, body: Value| {
        Answer::of(acme.admin.request(method, &format!("{other}{path}")).header("if-match", "*").json(&body))
    };
    any(Method::PATCH, "", json!({"name": "Mine"})).await.refused(404, "not_found");
    any(Method::PATCH, "/settings", json!({"reportingThreshold": 20})).await.refused(404, "not_found");
    any(Method::PUT, "/network", json!({"mode": "open"})).await.refused(404, "not_found");
    let new = json!({"email": "x@y.test", "displayName": "X", "role": "hr"});
    any(Method::POST, "/members", new).await.refused(404, "not_found");
    any(Method::DELETE, &format!("/members/{}", globex.hr.id), json!({})).await.refused(404, "not_found");
    // nor through the own company's path
    acme.admin.delete(&format!("{own}/members/{}", globex.hr.id)).await.refused(404, "not_found");
    acme.admin.get("/companies").await.refused(403, "forbidden");
    acme.admin.post("/companies", json!({})).await.refused(403, "forbidden");
    app.practitioner().await.get(&own).await.refused(403, "forbidden");
}

#[tokio::test]
async fn a_company_admin_changes_the_name_and_not_the_contract() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let path = format!("/companies/{}", company.id.0);
    let changed = company.admin.patch(&path, json!({"name": "Acme France", "locale": "en"})).await;
    assert_eq!(changed.expect(200).json["name"], "Acme France");
    let refused = company
        .admin
        .patch(
            &path,
            json!({"siren": null, "timeZone": "Asia/Tokyo", "contract": {"seats": 5, "endsOn": "2030-01-01"}}),
        )
        .await
        .refused(403, "forbidden");
    assert_eq!(
        faults(&refused),
        ["/contract/endsOn", "/contract/seats", "/siren", "/timeZone"].map(|it| fault(it, "reserved_for_platform"))
    );
    let platform = app.platform_admin().await;
    let changed = platform.patch(&path, json!({"siren": "552100554", "contract": {"seats": 5}})).await.expect(200);
    assert_eq!(changed.json["contract"]["seats"], 5);
    assert_eq!(changed.json["siren"], "552100554");
    let changed = platform.patch(&path, json!({"siren": null})).await.expect(200);
    assert!(changed.json.get("siren").is_none());
}

#[tokio::test]
async fn a_change_of_an_outdated_version_is_refused() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let root = format!("/companies/{}", company.id.0);
    for (method, path, body) in [
        (Method::PATCH, root.clone(), json!({"name": "A"})),
        (Method::PATCH, format!("{root}/settings"), json!({"bookingHorizonDays": 30})),
        (Method::PUT, format!("{root}/network"), json!({"mode": "restricted"})),
    ] {
        let send = |etag: Option<String>| {
            let request = company.admin.request(method.clone(), &path).json(&body);
            Answer::of(match etag {
                Some(etag) => request.header("if-match", etag),
                None => request,
            })
        };
        let etag = company.admin.get(&path).await.expect(200).header("etag").to_owned();
        send(None).await.refused(428, "precondition_required");
        send(Some(etag.clone())).await.expect(200);
        send(Some(etag.clone())).await.refused(412, "stale");
        let known = company.admin.request(Method::GET, &path).header("if-none-match", etag);
        Answer::of(known).await.expect(200);
    }
}

#[tokio::test]
async fn a_company_is_suspended_comes_back_is_archived_and_comes_back() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let platform = app.platform_admin().await;
    let path = format!("/companies/{}", company.id.0);
    let step = async |to: &str| platform.post(&format!("{path}/{to}"), json!({})).await;

    for _ in 0..2 {
        assert_eq!(step("suspend").await.expect(200).json["status"], "suspended");
    }
    // its people read, and change nothing
    company.hr.get("/employees").await.expect(200);
    company.hr.get(&path).await.expect(200);
    company.admin.patch(&path, json!({"name": "New"})).await.refused(403, "company_suspended");
    let new = json!({"email": "x@y.test", "displayName": "X", "role": "hr"});
    company.admin.post(&format!("{path}/members"), new).await.refused(403, "company_suspended");
    let person = json!({"email": "p@y.test", "firstName": "P", "lastName": "Q"});
    company.hr.post("/employees", person).await.refused(403, "company_suspended");
    platform.patch(&path, json!({"name": "New"})).await.expect(200);

    step("activate").await.expect(200);
    company.admin.patch(&path, json!({"name": "Newer"})).await.expect(200);
    step("activate").await.expect(200);
    for _ in 0..2 {
        step("archive").await.expect(200);
    }
    let detail = step("suspend").await.refused(409, "company_status_change").str("/detail");
    assert!(detail.contains("archived"), "{detail}");
    assert_eq!(status(&app, &company).await, "archived");
    step("activate").await.expect(200);
    company.hr.post(&format!("{path}/suspend"), json!({})).await.refused(401, "unauthenticated");
    platform.post(&format!("/companies/{}/suspend", Uuid::nil()), json!({})).await.refused(404, "not_found");
    assert_eq!(
        app.count("SELECT count(*) FROM app.audit_logs WHERE action ~ '^company.(suspended|activated|archived)$' AND company_id IS NOT NULL").await,
        4
    );
    app.settle().await;
}

#[tokio::test]
async fn a_repeated_suspension_gets_the_first_answer() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let platform = app.platform_admin().await;
    let path = format!("/companies/{}/suspend", company.id.0);
    for _ in 0..2 {
        assert_eq!(post_with_key(&platform, &path, "once", json!({})).await.expect(200).json["status"], "suspended");
    }
}

#[tokio::test]
async fn nobody_reports_on_fewer_than_ten_people() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let path = format!("/companies/{}/settings", company.id.0);
    let refused = company.admin.patch(&path, json!({"reportingThreshold": 9})).await.refused(422, "invalid");
    assert_eq!(faults(&refused), [fault("/reportingThreshold", "minimum")]);
    let raised = company.admin.patch(&path, json!({"reportingThreshold": 10})).await.expect(200);
    assert_eq!(raised.json["reportingThreshold"], 10);
    assert_eq!(raised.json["bookingHorizonDays"], 60);
}

#[tokio::test]
async fn a_company_chooses_its_network() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let (one, two) = (app.practitioner().await, app.practitioner().await);
    let path = format!("/companies/{}/network", company.id.0);
    let chosen = json!({"mode": "restricted", "practitionerIds": [one.id, two.id]});
    put(&company.admin, &path, chosen).await.expect(200);
    let chosen = json!({"mode": "restricted", "practitionerIds": [two.id]});
    assert_eq!(put(&company.admin, &path, chosen.clone()).await.expect(200).json, chosen);
    assert_eq!(app.platform_admin().await.get(&path).await.expect(200).json, chosen);
    // somebody unknown, and somebody who takes no bookings any more, whoever asks
    let gone = app.practitioner().await;
    sqlx::query("UPDATE app.practitioners SET status = 'inactive' WHERE id = $1")
        .bind(gone.id)
        .execute(app.db())
        .await
        .unwrap();
    let unknown = json!({"mode": "open", "practitionerIds": [one.id, Uuid::nil(), gone.id]});
    for who in [&company.admin, &app.platform_admin().await] {
        let refused = put(who, &path, unknown.clone()).await.refused(422, "invalid");
        let expected = ["/practitionerIds/1", "/practitionerIds/2"].map(|it| fault(it, "unknown_practitioner"));
        assert_eq!(faults(&refused), expected);
    }
    // who is on the list stays there when they become inactive
    sqlx::query("UPDATE app.practitioners SET status = 'inactive' WHERE id = $1")
        .bind(two.id)
        .execute(app.db())
        .await
        .unwrap();
    put(&company.admin, &path, chosen.clone()).await.expect(200);
    company.hr.put(&path, chosen.clone()).await.refused(403, "forbidden");
    let twice = json!({"mode": "open", "practitionerIds": [one.id, one.id]});
    put(&company.admin, &path, twice).await.refused(422, "invalid");
    put(&company.admin, &path, json!({"mode": "closed"})).await.refused(422, "invalid");
    assert_eq!(company.admin.get(&path).await.expect(200).json, chosen);
    let opened = put(&company.admin, &path, json!({"mode": "open"})).await.expect(200);
    assert_eq!(opened.json, json!({"mode": "open", "practitionerIds": []}));
}
#[tokio::test]
async fn the_record_says_what_a_contract_and_settings_were_and_are_and_no_more() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let platform = app.platform_admin().await;
    let path = format!("/companies/{}", company.id.0);
    let change =
        json!({"name": "Acme Secret", "contract": {"seats": 40, "endsOn": "2030-12-31"}, "timeZone": "Asia/Tokyo"});
    platform.patch(&path, change).await.expect(200);
    let change = json!({"reportingThreshold": 15, "noShowCounts": false, "bookingHorizonDays": 60});
    company.admin.patch(&format!("{path}/settings"), change).await.expect(200);
    put(&company.admin, &format!("{path}/network"), json!({"mode": "restricted"})).await.expect(200);
    platform.post(&format!("{path}/suspend"), json!({})).await.expect(200);
    let log: Vec<(String, Value)> = sqlx::query_as(
        "SELECT action, details FROM app.audit_logs log JOIN app.audit_chain link ON link.entry_id = log.id
         WHERE company_id = $1 AND action LIKE 'company.%' ORDER BY link.sequence",
    )
    .bind(company.id)
    .fetch_all(app.db())
    .await
    .unwrap();
    let said = |action: &str| -> Vec<&Value> { log.iter().filter(|it| it.0 == action).map(|it| &it.1).collect() };
    assert_eq!(said("company.updated"), [&json!({"fields": ["name", "time_zone", "contract_ends_on", "seats"]})]);
    let values = said("company.value_changed");
    assert_eq!(values.len(), 4);
    assert_eq!(values[0]["to"], "2030-12-31");
    assert_eq!(values[1], &json!({"of": "seats", "from": 20000, "to": 40}));
    assert_eq!(values[2], &json!({"of": "reporting_threshold", "from": 11, "to": 15}));
    assert_eq!(values[3], &json!({"of": "no_show_counts", "from": true, "to": false}));
    assert_eq!(said("company.settings_changed"), [&json!({"fields": ["reporting_threshold", "no_show_counts"]})]);
    assert_eq!(said("company.network_changed"), [&json!({"from": "open", "to": "restricted", "count": 0})]);
    assert_eq!(said("company.suspended"), [&json!({"from": "active", "to": "suspended"})]);
    assert!(!format!("{log:?}").contains("Secret"));
}

#[tokio::test]
async fn the_directory_and_the_slots_follow_the_network_and_what_is_booked_stays() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let (inside, outside) = (app.practitioner().await, app.practitioner().await);
    let alice = app.employee(&company).await;
    let at = (app.clock.now() + chrono::TimeDelta::days(3)).date_naive().and_hms_opt(10, 0, 0).unwrap().and_utc();
    let wish = |who: &User| json!({"practitionerId": who.id, "startsAt": at, "durationMinutes": 30, "mode": "chat"});
    let booked = alice.post("/consultations", wish(&outside)).await.expect(201).str("/id");
    let path = format!("/companies/{}/network", company.id.0);
    let seen = async |who: &User| -> Vec<String> {
        let page = who.get("/practitioners").await.expect(200);
        page.json["items"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(seen(&alice).await.len(), 2);
    put(&company.admin, &path, json!({"mode": "restricted", "practitionerIds": [inside.id]})).await.expect(200);
    assert_eq!(seen(&alice).await, [inside.id.to_string()]);
    assert_eq!(seen(&company.hr).await, [inside.id.to_string()]);
    // who chooses sees all
    assert_eq!(seen(&company.admin).await.len(), 2);
    alice.get(&format!("/practitioners/{}/slots", outside.id)).await.refused(404, "not_found");
    alice.get(&format!("/practitioners/{}/slots", inside.id)).await.expect(200);
    alice.post("/consultations", wish(&outside)).await.refused(404, "not_found");
    assert_eq!(alice.get(&format!("/consultations/{booked}")).await.expect(200).json["status"], "confirmed");
    assert_eq!(outside.get(&format!("/consultations/{booked}")).await.expect(200).json["status"], "confirmed");
    app.settle().await;
    // each got the booking, and nothing else
    assert_eq!((app.mails_to(&alice.email).len(), app.mails_to(&outside.email).len()), (1, 1));
    put(&company.admin, &path, json!({"mode": "open", "practitionerIds": [inside.id]})).await.expect(200);
    assert_eq!(seen(&alice).await.len(), 2);
}

#[tokio::test]
async fn a_contract_is_not_cut_below_the_people_who_have_a_seat() {
    let app = TestApp::start().await;
    let (company, platform) = (app.company("Acme").await, app.platform_admin().await);
    for _ in 0..3 {
        app.employee(&company).await;
    }
    let path = format!("/companies/{}", company.id.0);
    let seats = async |seats: i32| platform.patch(&path, json!({"contract": {"seats": seats}})).await;
    let refused = seats(2).await.refused(409, "seats_in_use");
    assert!(refused.str("/detail").starts_with("3 personnes"), "{}", refused.json);
    assert_eq!(refused.str("/errors/0/pointer"), "/contract/seats");
    assert_eq!(platform.get(&path).await.expect(200).json["contract"]["seats"], 20000);
    seats(3).await.expect(200);
    // who has left has none
    let left = "UPDATE app.employees SET status = 'left', left_at = now() WHERE id = (SELECT min(id::text)::uuid FROM app.employees)";
    sqlx::query(left).execute(app.db()).await.unwrap();
    seats(2).await.expect(200);
    company
        .hr
        .post("/employees", json!({"email": "new@acme.test", "firstName": "A", "lastName": "B"}))
        .await
        .refused(409, "seats_exceeded");
    // more is always possible
    seats(30).await.expect(200);
}
