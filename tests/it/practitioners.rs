//! Practitioners, their profiles and weekly hours.

use huntzen::platform::ids::PractitionerId;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, TestApp, User};

pub fn claire() -> Value {
    json!({
        "email": "Claire.Martin@care.test",
        "displayName": " Dr  Claire Martin ",
        "specialties": ["sleep", "psychology"],
        "languages": ["fr", "en"],
        "modes": ["video", "chat"],
        "bio": {"fr": "Bonjour", "en": "Hello"},
        "rpps": "10003456786",
        "timeZone": "Europe/Paris",
        "sessionLengths": [30, 60],
        "bufferAfterMinutes": 10,
        "hourlyRate": {"amount": 9000, "currency": "EUR"},
    })
}

/// A body with some members replaced.
fn with(mut body: Value, changes: &Value) -> Value {
    for (name, value) in changes.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

/// The pointers and codes of a refused body.
fn faults(answer: &Answer) -> Vec<(String, String)> {
    let text = |fault: &Value, name: &str| fault[name].as_str().unwrap().to_owned();
    let mut found: Vec<_> = answer.json["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|fault| (text(fault, "pointer"), text(fault, "code")))
        .collect();
    found.sort();
    found
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(pointer, code)| ((*pointer).to_owned(), (*code).to_owned())).collect()
}

fn names(answer: &Answer) -> Vec<String> {
    let items = answer.json["items"].as_array().unwrap();
    items.iter().map(|item| item["displayName"].as_str().unwrap().to_owned()).collect()
}

/// A practitioner of this name, with a specialty of their own.
async fn named(app: &TestApp, name: &str, specialty: &str) -> User {
    let user = app.practitioner().await;
    sqlx::query("UPDATE app.practitioners SET display_name = $2 WHERE id = $1")
        .bind(user.id)
        .bind(name)
        .execute(app.db())
        .await
        .unwrap();
    sqlx::query("UPDATE app.practitioner_specialties SET specialty = $2 WHERE practitioner_id = $1")
        .bind(user.id)
        .bind(specialty)
        .execute(app.db())
        .await
        .unwrap();
    user
}

#[tokio::test]
async fn a_platform_admin_adds_a_practitioner_who_is_invited() {
    let app = TestApp::start().await;
    let admin = app.platform_admin().await;
    let made = admin.post("/practitioners", claire()).await.expect(201);
    assert_eq!(made.json["displayName"], "Dr Claire Martin");
    assert_eq!(made.json["specialties"], json!(["sleep", "psychology"]));
    assert_eq!(made.json["email"], "claire.martin@care.test");
    assert_eq!(made.json["hourlyRate"], json!({"amount": 9000, "currency": "EUR"}));
    assert_eq!((&made.json["minNoticeMinutes"], &made.json["horizonDays"]), (&json!(120), &json!(60)));
    assert!(made.json.get("adeli").is_none());

    let path = format!("/practitioners/{}", made.str("/id"));
    let read = admin.get(&path).await.expect(200);
    assert_eq!((read.header("etag"), &read.json), (made.header("etag"), &made.json));
    let known = admin.request(Method::GET, &path).header("if-none-match", read.header("etag"));
    Answer::of(known).await.expect(304);

    app.settle().await;
    assert_eq!(app.mails_to("claire.martin@care.test").len(), 1);
    assert_eq!(app.count("SELECT count(*) FROM app.audit_logs WHERE action = 'practitioner.created'").await, 1);
}

#[tokio::test]
async fn a_repeated_request_adds_nobody_twice() {
    let app = TestApp::start().await;
    let admin = app.platform_admin().await;
    let ask = |body: Value| {
        Answer::of(admin.request(Method::POST, "/practitioners").header("idempotency-key", "one").json(&body))
    };
    let first = ask(claire()).await.expect(201);
    let second = ask(claire()).await.expect(201);
    assert_eq!(first.json, second.json);
    assert_eq!(first.header("etag"), second.header("etag"));
    ask(with(claire(), &json!({"displayName": "Another"}))).await.refused(422, "idempotency_mismatch");
    app.settle().await;
    assert_eq!(app.mails().len(), 1);
}

#[tokio::test]
async fn a_taken_address_or_number_is_refused() {
    let app = TestApp::start().await;
    let admin = app.platform_admin().await;
    let company = app.company("Acme").await;
    let alice = app.employee(&company).await;
    admin.post("/practitioners", claire()).await.expect(201);
    let there = app.practitioner().await;
    for email in [there.email.as_str(), alice.email.as_str()] {
        let body = with(claire(), &json!({"email": email, "rpps": null}));
        admin.post("/practitioners", body).await.refused(409, "address_unavailable");
    }
    let body = with(claire(), &json!({"email": "other@care.test"}));
    admin.post("/practitioners", body).await.refused(409, "rpps_taken");
    assert_eq!(app.count("SELECT count(*) FROM app.practitioners").await, 2);
    app.settle().await;
}

#[tokio::test]
async fn a_practitioner_who_has_not_come_yet_is_invited_again() {
    let app = TestApp::start().await;
    let admin = app.platform_admin().await;
    let first = admin.post("/practitioners", claire()).await.expect(201);
    app.settle().await;
    let other = with(claire(), &json!({"displayName": "Another", "rpps": null}));
    assert_eq!(admin.post("/practitioners", other).await.expect(201).json, first.json);
    app.settle().await;
    let mails = app.mails_to("claire.martin@care.test");
    assert_eq!(mails.len(), 2);
    let accept = async |n: usize| {
        let body =
            json!({"token": mails[n].link_parameter("token"), "password": "four quiet words", "acceptTerms": true});
        app.anonymous().post("/auth/accept-invitation", body).await
    };
    accept(0).await.refused(410, "invalid_invitation");
    assert_eq!(accept(1).await.expect(200).json["user"]["role"], "practitioner");
    admin.post("/practitioners", claire()).await.refused(409, "address_unavailable");
    assert_eq!(app.count("SELECT count(*) FROM app.practitioners").await, 1);
}

#[tokio::test]
async fn every_fault_of_a_practitioner_is_told_at_once() {
    let app = TestApp::start().await;
    let admin = app.platform_admin().await;
    let body = with(
        claire(),
        &json!({
            "email": "claire", "displayName": " \u{7} ", "languages": ["fr", "xx"], "rpps": "10003456780",
            "adeli": "12", "timeZone": "Europe/Lutece", "sessionLengths": [30, 10, 241],
            "hourlyRate": {"amount": 1, "currency": "ZZZ"},
        }),
    );
    let refused = admin.post("/practitioners", body).await.refused(422, "invalid");
    let expected = [
        ("/adeli", "adeli"),
        ("/displayName", "text"),
        ("/email", "email"),
        ("/hourlyRate/currency", "currency"),
        ("/languages/1", "language_code"),
        ("/rpps", "rpps"),
        ("/sessionLengths/1", "session_length"),
        ("/sessionLengths/2", "session_length"),
        ("/timeZone", "time_zone"),
    ];
    assert_eq!(faults(&refused), pairs(&expected));

    let body = with(claire(), &json!({"specialties": ["magic"], "modes": [], "languages": ["fr", "fr"], "more": 1}));
    let refused = admin.post("/practitioners", body).await.refused(422, "invalid");
    let expected = [
        ("/languages", "unique_items"),
        ("/modes", "min_items"),
        ("/more", "unknown_property"),
        ("/specialties/0", "enum"),
    ];
    assert_eq!(faults(&refused), pairs(&expected));
    assert_eq!(app.count("SELECT count(*) FROM app.practitioners").await, 0);
}

#[tokio::test]
async fn only_a_platform_admin_adds_practitioners() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let people = [app.employee(&company).await, app.practitioner().await, company.hr.clone(), company.admin.clone()];
    for user in people {
        user.post("/practitioners", claire()).await.refused(403, "forbidden");
    }
    app.anonymous().post("/practitioners", claire()).await.refused(401, "unauthenticated");
}

#[tokio::test]
async fn a_list_is_narrowed_by_every_filter_and_paged_by_name() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let alice = app.employee(&company).await;
    for (name, specialty) in [("Dr Zoé 100%", "sleep"), ("Anne Petit", "coaching"), ("Jean-Marc Petit", "sleep")] {
        named(&app, name, specialty).await;
    }
    let gone = named(&app, "Gone", "sleep").await;
    sqlx::query("UPDATE app.practitioners SET status = 'inactive' WHERE id = $1")
        .bind(gone.id)
        .execute(app.db())
        .await
        .unwrap();
    sqlx::query("UPDATE app.practitioners SET languages = '{es}', modes = '{chat}' WHERE display_name = 'Anne Petit'")
        .execute(app.db())
        .await
        .unwrap();

    for (query, expected) in [
        ("", vec!["Anne Petit", "Dr Zoé 100%", "Jean-Marc Petit"]),
        ("?specialty=sleep", vec!["Dr Zoé 100%", "Jean-Marc Petit"]),
        ("?language=es", vec!["Anne Petit"]),
        ("?mode=video&specialty=coaching", vec![]),
        ("?mode=chat&language=es", vec!["Anne Petit"]),
        ("?q=PETIT%20marc", vec!["Jean-Marc Petit"]),
        ("?q=100%25", vec!["Dr Zoé 100%"]),
        ("?q=%25", vec!["Dr Zoé 100%"]),
        ("?q=_", vec![]),
        ("?q=%5C", vec![]),
    ] {
        let answer = alice.get(&format!("/practitioners{query}")).await.expect(200);
        assert_eq!(names(&answer), expected, "{query}");
    }

    let first = alice.get("/practitioners?limit=2").await.expect(200);
    let second = alice.get(&format!("/practitioners?limit=2&cursor={}", first.str("/nextCursor"))).await.expect(200);
    assert_eq!([names(&first), names(&second)].concat(), ["Anne Petit", "Dr Zoé 100%", "Jean-Marc Petit"]);
    assert!(second.json.get("nextCursor").is_none());
    assert_eq!(first.json["items"][0].as_object().unwrap().len(), 6);

    for bad in ["?specialty=magic", "?mode=smoke", "?limit=0", "?limit=101", "?language=french", "?cursor=%21"] {
        alice.get(&format!("/practitioners{bad}")).await.expect(400);
    }
    app.practitioner().await.get("/practitioners").await.refused(403, "forbidden");
}

#[tokio::test]
async fn employees_see_their_companys_network_only() {
    let app = TestApp::start().await;
    let (acme, globex) = (app.company("Acme").await, app.company("Globex").await);
    let (anne, bert) = (named(&app, "Anne", "sleep").await, named(&app, "Bert", "sleep").await);
    sqlx::query("UPDATE app.companies SET network = 'restricted' WHERE id = $1")
        .bind(acme.id)
        .execute(app.db())
        .await
        .unwrap();
    sqlx::query("INSERT INTO app.company_networks VALUES ($1, $2)")
        .bind(acme.id)
        .bind(anne.id)
        .execute(app.db())
        .await
        .unwrap();
    let (alice, carol) = (app.employee(&acme).await, app.employee(&globex).await);
    for user in [&alice, &acme.hr] {
        assert_eq!(names(&user.get("/practitioners").await.expect(200)), ["Anne"]);
        user.get(&format!("/practitioners/{}", bert.id)).await.refused(404, "not_found");
    }
    // a company admin chooses from all
    assert_eq!(names(&acme.admin.get("/practitioners").await.expect(200)), ["Anne", "Bert"]);
    assert_eq!(names(&carol.get("/practitioners").await.expect(200)), ["Anne", "Bert"]);
}

#[tokio::test]
async fn numbers_and_rate_are_shown_to_oneself_and_the_platform_only() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let (anne, admin, alice) = (app.practitioner().await, app.platform_admin().await, app.employee(&company).await);
    sqlx::query("UPDATE app.practitioners SET rpps = '10003456786'").execute(app.db()).await.unwrap();
    let path = format!("/practitioners/{}", anne.id);
    for user in [&anne, &admin] {
        let it = user.get(&path).await.expect(200);
        assert_eq!(it.json["rpps"], "10003456786");
        assert_eq!(it.json["hourlyRate"]["amount"], 9000);
        assert_eq!(it.json["email"], anne.email.as_str());
    }
    for user in [&alice, &company.hr, &company.admin] {
        let it = user.get(&path).await.expect(200);
        for private in ["rpps", "adeli", "hourlyRate", "email"] {
            assert!(it.json.get(private).is_none(), "{private}");
        }
        assert_eq!(it.json["bio"], json!({"fr": "", "en": ""}));
    }
    // practitioners see themselves only
    app.practitioner().await.get(&path).await.refused(404, "not_found");
    alice.get("/practitioners/nonsense").await.expect(400);
}

#[tokio::test]
async fn practitioners_change_themselves_and_the_platform_their_rate() {
    let app = TestApp::start().await;
    let (anne, admin) = (app.practitioner().await, app.platform_admin().await);
    let path = format!("/practitioners/{}", anne.id);
    let change = json!({"modes": ["chat"], "sessionLengths": [45], "bio": {"en": "Hi"}, "timeZone": "Asia/Tokyo"});
    let changed = anne.patch(&path, change).await.expect(200);
    assert_eq!(changed.json["modes"], json!(["chat"]));
    assert_eq!(changed.json["sessionLengths"], json!([45]));
    assert_eq!(changed.json["timeZone"], "Asia/Tokyo");
    assert_eq!(changed.json["languages"], json!(["fr", "en"]));

    let refused = anne
        .patch(&path, json!({"hourlyRate": {"amount": 1, "currency": "EUR"}, "rpps": "10003456786"}))
        .await
        .refused(422, "invalid");
    assert_eq!(
        faults(&refused),
        pairs(&[("/hourlyRate", "reserved_for_platform"), ("/rpps", "reserved_for_platform")])
    );
    let paid = admin.patch(&path, json!({"hourlyRate": {"amount": 100, "currency": "CHF"}})).await.expect(200);
    assert_eq!(paid.json["hourlyRate"], json!({"amount": 100, "currency": "CHF"}));
    assert_eq!(paid.json["sessionLengths"], json!([45]));

    let change = |user: &User, tag: Option<&str>| {
        let request = user.request(Method::PATCH, &path).json(&json!({"languages": ["de"]}));
        Answer::of(match tag {
            Some(tag) => request.header("if-match", tag.to_owned()),
            None => request,
        })
    };
    change(&anne, None).await.refused(428, "precondition_required");
    change(&anne, Some(changed.header("etag"))).await.refused(412, "stale");
    change(&app.practitioner().await, Some("*")).await.refused(404, "not_found");
    let company = app.company("Acme").await;
    change(&company.admin, Some("*")).await.refused(403, "forbidden");
    assert_eq!(app.count("SELECT count(*) FROM app.audit_logs WHERE action = 'practitioner.updated'").await, 2);
}

#[tokio::test]
async fn a_practitioner_sets_the_whole_week() {
    let app = TestApp::start().await;
    let (anne, admin) = (app.practitioner().await, app.platform_admin().await);
    let path = format!("/practitioners/{}/availability", anne.id);
    let before = anne.get(&path).await.expect(200);
    assert_eq!(before.json["rules"].as_array().unwrap().len(), 7);

    let week = json!({"rules": [
        {"weekday": 4, "startsAt": "18:00", "endsAt": "24:00"},
        {"weekday": 1, "startsAt": "09:00", "endsAt": "12:30"},
        {"weekday": 1, "startsAt": "12:30", "endsAt": "17:30"},
    ]});
    let set = anne.put(&path, week).await.expect(200);
    let expected = json!({"timeZone": "Europe/Paris", "rules": [
        {"weekday": 1, "startsAt": "09:00", "endsAt": "12:30"},
        {"weekday": 1, "startsAt": "12:30", "endsAt": "17:30"},
        {"weekday": 4, "startsAt": "18:00", "endsAt": "24:00"},
    ]});
    assert_eq!(set.json["rules"], expected["rules"]);
    assert_eq!(set.json["booked"], json!({"count": 0, "sessions": []}));
    let read = admin.get(&path).await.expect(200);
    assert_eq!((&read.json, read.header("etag")), (&expected, set.header("etag")));

    // nobody's change is overwritten unseen
    let unseen = anne.request(Method::PUT, &path).json(&json!({"rules": []}));
    Answer::of(unseen).await.refused(428, "precondition_required");
    let stale = anne.request(Method::PUT, &path).header("if-match", before.header("etag")).json(&json!({"rules": []}));
    Answer::of(stale).await.refused(412, "stale");
    let fresh = anne.request(Method::PUT, &path).header("if-match", set.header("etag")).json(&json!({"rules": []}));
    assert_eq!(Answer::of(fresh).await.expect(200).json["rules"], json!([]));
}

#[tokio::test]
async fn hours_that_make_no_sense_are_refused_with_pointers_and_nothing_changes() {
    let app = TestApp::start().await;
    let anne = app.practitioner().await;
    let path = format!("/practitioners/{}/availability", anne.id);
    let refused = anne
        .put(
            &path,
            json!({"rules": [
                {"weekday": 1, "startsAt": "09:00", "endsAt": "12:00"},
                {"weekday": 1, "startsAt": "11:59", "endsAt": "13:00"},
                {"weekday": 2, "startsAt": "10:00", "endsAt": "09:00"},
            ]}),
        )
        .await
        .refused(422, "invalid");
    assert_eq!(faults(&refused), pairs(&[("/rules/1", "hours_overlap"), ("/rules/2/endsAt", "ends_before_start")]));
    let refused = anne
        .put(
            &path,
            json!({"rules": [
                {"weekday": 8, "startsAt": "24:00", "endsAt": "24:01"},
                {"weekday": 1, "startsAt": "9:00", "endsAt": "10:00"},
            ]}),
        )
        .await
        .refused(422, "invalid");
    let expected = [
        ("/rules/0/endsAt", "pattern"),
        ("/rules/0/startsAt", "pattern"),
        ("/rules/0/weekday", "maximum"),
        ("/rules/1/startsAt", "pattern"),
    ];
    assert_eq!(faults(&refused), pairs(&expected));
    let many: Vec<_> = (0..61).map(|_| json!({"weekday": 1, "startsAt": "09:00", "endsAt": "10:00"})).collect();
    let refused = anne.put(&path, json!({ "rules": many })).await.refused(422, "invalid");
    assert_eq!(faults(&refused), pairs(&[("/rules", "max_items")]));
    assert_eq!(app.count("SELECT count(*) FROM app.availability_rules").await, 7);
}

#[tokio::test]
async fn nobody_sets_another_practitioners_hours() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let (anne, bert) = (app.practitioner().await, app.practitioner().await);
    let id: PractitionerId = TestApp::practitioner_id(&anne);
    let path = format!("/practitioners/{id}/availability");
    bert.put(&path, json!({"rules": []})).await.refused(404, "not_found");
    bert.get(&path).await.refused(404, "not_found");
    app.platform_admin().await.put(&path, json!({"rules": []})).await.refused(403, "forbidden");
    for user in [app.employee(&company).await, company.hr.clone(), company.admin.clone()] {
        user.get(&path).await.refused(403, "forbidden");
    }
    assert_eq!(app.count("SELECT count(*) FROM app.availability_rules").await, 14);
}
