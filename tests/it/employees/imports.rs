//! Files of people.

use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};

use super::{alice, import, people, set_seats};
use crate::support::{Answer, TestApp};

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
        app.count(
            "SELECT count(*) FROM app.audit_logs
             WHERE action NOT IN ('employee.read', 'employee.listed', 'employee.import_checked')",
        )
        .await,
        app.count("SELECT count(*) FROM app.idempotency_keys").await,
        app.count("SELECT count(*) FROM apalis.jobs").await,
    ]
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
    assert_eq!(app.mails().len(), 5, "only who is new is invited; who is back is told so");
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
    // two or three; beside other tests more, and one by one minutes
    assert!(took.as_secs() < 30, "{took:?}");
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
