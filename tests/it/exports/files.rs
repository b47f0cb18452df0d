//! Files of usage, from asking to sweeping.

use chrono::TimeDelta;
use huntzen::platform::auth::Role;
use huntzen::platform::jobs::{Job, Queue};
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::support::{Answer, TestApp, User};
use crate::usage::{Sessions, Usage, count_anew, months_ago, name, run, sessions};

#[derive(Serialize, Deserialize)]
struct Sweep {}

impl Job for Sweep {
    const KIND: &'static str = "exports.sweep";
    const QUEUE: Queue = Queue::Maintenance;
}

/// The company's HR asks for a file of its last month by department.
async fn ask(usage: &Usage<'_>, language: &str, format: Value) -> Answer {
    let last = name(months_ago(usage.app, 1));
    let body = json!({"kind": "usage", "from": last, "to": last, "by": "department", "format": format});
    let request = usage.company.hr.request(Method::POST, "/exports").header("accept-language", language).json(&body);
    Answer::of(request).await
}

/// As if every attempt at the export but the last had failed, or the last one as well had taken its worker down.
async fn use_up_attempts(app: &TestApp, left: i32) {
    sqlx::query(
        "UPDATE apalis.jobs SET attempts = max_attempts - $1
         WHERE convert_from(job, 'UTF8')::jsonb ->> 'kind' = 'exports.make'",
    )
    .bind(left)
    .execute(app.db())
    .await
    .unwrap();
}

/// The same person with a token of now: access tokens live for minutes.
async fn renewed(app: &TestApp, user: &User) -> User {
    let role = if user.company_id.is_some() { Role::Hr } else { Role::PlatformAdmin };
    user.with_token(app.session(user.id, role, user.company_id).await)
}

#[tokio::test]
async fn a_file_is_made_announced_and_fetched() {
    let app = TestApp::start().await;
    let acme = Usage::new(&app, "Acme", 100).await;
    let last = months_ago(&app, 1);
    let (odd, sales) = (acme.department("=1+1; \"odd\"").await, acme.department("Sales").await);
    acme.hold(Sessions { department: Some(odd), ..sessions(last, "sleep", 0..20, 1) }).await;
    acme.hold(sessions(last, "sleep", 20..23, 1)).await;
    acme.hold(Sessions { department: Some(sales), ..sessions(last, "sleep", 23..40, 2) }).await;
    acme.staff(odd, 60..75).await;
    acme.staff(sales, 75..85).await;
    count_anew(&app).await;

    let asked = ask(&acme, "fr", json!({"delimiter": "semicolon", "bom": true})).await.expect(202);
    assert_eq!(asked.json["status"], "pending");
    let path = format!("/exports/{}", asked.str("/id"));
    let hr = &acme.company.hr;
    hr.get(&format!("{path}/download")).await.refused(409, "not_ready");

    app.settle().await;
    let ready = hr.get(&path).await.expect(200);
    assert_eq!((&ready.json["status"], &ready.json["rowCount"]), (&json!("ready"), &json!(4)));
    let listed = hr.get("/exports").await.expect(200);
    assert_eq!(listed.json["items"], json!([ready.json]));

    let file = hr.get(&format!("{path}/download")).await.expect(200);
    assert_eq!(file.header("content-type"), "text/csv; charset=utf-8");
    let month = name(last);
    assert_eq!(file.header("content-disposition"), format!("attachment; filename=\"usage-{month}-{month}.csv\""));
    assert_eq!(file.header("x-content-type-options"), "nosniff");
    assert_eq!(file.header("cache-control"), "private, no-store");
    let expected = [
        "\u{feff}\"Mois\";\"Service\";\"Séances\";\"Minutes\";\"Personnes\";\"Non communiqué\"".to_owned(),
        format!("\"{month}\";\"'=1+1; \"\"odd\"\"\";\"20\";\"\";\"20\";\"\""),
        format!(
            "\"{month}\";\"Sales\";\"\";\"\";\"\";\"Trop peu de personnes ou presque toutes, ici ou dans un nombre qui s’en déduirait\""
        ),
        format!(
            "\"{month}\";\"Autres services ou sans service\";\"\";\"\";\"\";\"Trop peu de personnes ou presque toutes, ici ou dans un nombre qui s’en déduirait\""
        ),
        format!("\"{month}\";\"Total\";\"57\";\"\";\"40\";\"\""),
    ];
    assert_eq!(file.text(), expected.join("\r\n") + "\r\n");

    let mails = app.mails_to(&hr.email);
    assert_eq!(mails.len(), 1);
    for action in ["export.requested", "export.downloaded"] {
        let noted: i64 =
            sqlx::query_scalar("SELECT count(*) FROM app.audit_logs WHERE action = $1 AND company_id = $2")
                .bind(action)
                .bind(acme.company.id)
                .fetch_one(app.db())
                .await
                .unwrap();
        assert_eq!(noted, 1, "{action}");
    }

    let plain = ask(&acme, "en", json!({})).await.expect(202);
    app.settle().await;
    let file = hr.get(&format!("/exports/{}/download", plain.str("/id"))).await.expect(200);
    assert!(file.text().starts_with("\"Month\",\"Department\","), "{}", file.text());
}

#[tokio::test]
async fn who_waits_for_a_file_whose_maker_died_is_told_that_it_failed() {
    let app = TestApp::start().await;
    let acme = Usage::new(&app, "Acme", 20).await;
    let asked = ask(&acme, "en", json!({})).await.expect(202);
    sqlx::query("UPDATE app.exports SET status = 'running'").execute(app.db()).await.unwrap();
    // it had written the file already
    let key = format!("exports/{}.csv", asked.str("/id").replace('-', ""));
    leave(&app, &key).await;
    use_up_attempts(&app, 0).await;
    let dead = app.settle_with_dead().await;
    assert_eq!(dead.iter().map(|job| job.code.as_str()).collect::<Vec<_>>(), ["worker_lost"]);
    let hr = &acme.company.hr;
    let path = format!("/exports/{}", asked.str("/id"));
    let failed = hr.get(&path).await.expect(200);
    assert_eq!((&failed.json["status"], &failed.json["failure"]), (&json!("failed"), &json!("not_made")));
    assert!(failed.json["finishedAt"].is_string());
    hr.get(&format!("{path}/download")).await.refused(409, "not_ready");
    let mails = app.mails_to(&hr.email);
    assert_eq!(mails.len(), 1);
    assert!(mails[0].text.as_ref().unwrap().contains("could not be made"), "{mails:?}");
    assert!(app.platform.storage.read(&key).await.is_err());

    // an operator queues the job again, and it fails again: that is told as well
    app.clock.advance(TimeDelta::minutes(1));
    sqlx::query("SELECT app.retry_job($1)").bind(&dead[0].id).execute(app.db()).await.unwrap();
    use_up_attempts(&app, 0).await;
    let dead = app.settle_with_dead().await;
    assert_eq!((dead.len(), app.mails_to(&hr.email).len()), (1, 2));

    // an operator mends the cause and queues the job again
    sqlx::query("SELECT app.retry_job($1)").bind(&dead[0].id).execute(app.db()).await.unwrap();
    app.settle().await;
    assert_eq!(hr.get(&path).await.expect(200).json["status"], "ready");
    assert_eq!(app.mails_to(&hr.email).len(), 3);
}

/// A file as a job leaves it that ended before it could say so.
async fn leave(app: &TestApp, key: &str) {
    let mut file = app.platform.storage.create(key);
    file.write(b"\"Month\"\r\n").await.unwrap();
    file.finish().await.unwrap();
}

#[tokio::test]
async fn files_that_no_export_knows_are_swept_away() {
    let app = TestApp::start().await;
    let acme = Usage::new(&app, "Acme", 20).await;
    ask(&acme, "en", json!({})).await.expect(202);
    app.settle().await;
    let known: String = sqlx::query_scalar("SELECT file_key FROM app.exports").fetch_one(app.db()).await.unwrap();
    leave(&app, "exports/0193.csv").await;
    let is_there = async |key: &str| app.platform.storage.read(key).await.is_ok();
    for (hours, stays) in [(47, true), (2, false)] {
        app.clock.advance(TimeDelta::hours(hours));
        run(&app, &Sweep {}).await;
        assert_eq!((is_there("exports/0193.csv").await, is_there(&known).await), (stays, true), "{hours}");
    }
}

#[tokio::test]
async fn nobody_waits_for_more_than_ten_files() {
    let app = TestApp::start().await;
    let acme = Usage::new(&app, "Acme", 20).await;
    for _ in 0..9 {
        ask(&acme, "en", json!({})).await.expect(202);
    }
    // of two at once one is the tenth
    let (one, other) = tokio::join!(ask(&acme, "en", json!({})), ask(&acme, "en", json!({})));
    let mut statuses = [one.status.as_u16(), other.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [202, 409]);
    ask(&acme, "en", json!({})).await.refused(409, "too_many_exports");
    // others do not wait behind them
    let asked = json!({"kind": "usage", "from": "2026-01", "to": "2026-02"});
    acme.company.admin.post("/exports", asked).await.expect(202);
    app.settle().await;
    ask(&acme, "en", json!({})).await.expect(202);
    app.settle().await;
}

#[tokio::test]
async fn a_file_that_cannot_be_written_at_the_last_attempt_has_failed() {
    let app = TestApp::start().await;
    let acme = Usage::new(&app, "Acme", 20).await;
    let folder = app.platform.config.data_dir.join("files");
    std::fs::write(folder.join("exports"), "not a folder").unwrap();
    let asked = ask(&acme, "en", json!({})).await.expect(202);
    use_up_attempts(&app, 1).await;
    assert_eq!(app.settle_with_dead().await.len(), 1);
    let path = format!("/exports/{}", asked.str("/id"));
    assert_eq!(acme.company.hr.get(&path).await.expect(200).json["status"], "failed");
    assert_eq!(app.mails_to(&acme.company.hr.email).len(), 1);
}

#[tokio::test]
async fn a_file_expires_after_seven_days_and_is_swept_away() {
    let app = TestApp::start().await;
    let acme = Usage::new(&app, "Acme", 20).await;
    let asked = ask(&acme, "en", json!({})).await.expect(202);
    app.settle().await;
    let path = format!("/exports/{}", asked.str("/id"));
    let key: String = sqlx::query_scalar("SELECT file_key FROM app.exports").fetch_one(app.db()).await.unwrap();

    app.clock.advance(TimeDelta::days(7) - TimeDelta::minutes(5));
    let hr = renewed(&app, &acme.company.hr).await;
    hr.get(&format!("{path}/download")).await.expect(200);
    run(&app, &Sweep {}).await;
    assert!(app.platform.storage.read(&key).await.is_ok());

    app.clock.advance(TimeDelta::minutes(6));
    let hr = renewed(&app, &hr).await;
    hr.get(&format!("{path}/download")).await.refused(410, "expired");
    assert_eq!(hr.get(&path).await.expect(200).json["status"], "expired");
    run(&app, &Sweep {}).await;
    assert!(app.platform.storage.read(&key).await.is_err());
    hr.get(&format!("{path}/download")).await.refused(410, "expired");
    assert_eq!(app.count("SELECT count(*) FROM app.exports WHERE status = 'expired' AND file_key IS NULL").await, 1);
}

#[tokio::test]
async fn a_file_is_for_who_asked_for_it_only() {
    let app = TestApp::start().await;
    let (acme, globex) = (Usage::new(&app, "Acme", 20).await, Usage::new(&app, "Globex", 20).await);
    let asked = ask(&acme, "en", json!({})).await.expect(202);
    app.settle().await;
    let path = format!("/exports/{}", asked.str("/id"));
    for user in [&globex.company.hr, &acme.company.admin, &app.platform_admin().await] {
        user.get(&path).await.refused(404, "not_found");
        user.get(&format!("{path}/download")).await.refused(404, "not_found");
        assert_eq!(user.get("/exports").await.expect(200).json["items"], json!([]));
    }
    app.employee(&acme.company).await.get(&path).await.refused(403, "forbidden");
    app.practitioner().await.get(&path).await.refused(404, "not_found");
    app.anonymous().get(&format!("{path}/download")).await.refused(401, "unauthenticated");
}

#[tokio::test]
async fn the_platform_exports_the_usage_of_a_company_that_it_names() {
    let app = TestApp::start().await;
    let (acme, admin) = (Usage::new(&app, "Acme", 40).await, app.platform_admin().await);
    let last = months_ago(&app, 1);
    acme.hold(sessions(last, "sleep", 0..20, 1)).await;
    count_anew(&app).await;
    let body = json!({"kind": "usage", "companyId": acme.company.id, "from": name(last), "to": name(last)});
    let asked = admin.post("/exports", body.clone()).await.expect(202);
    app.settle().await;
    let file = admin.get(&format!("/exports/{}/download", asked.str("/id"))).await.expect(200);
    assert!(file.text().contains("\"20\",\"1000\",\"20\""), "{}", file.text());
    assert_eq!(app.mails_to(&admin.email).len(), 1);

    let mut without = body.clone();
    without.as_object_mut().unwrap().remove("companyId");
    let refused = admin.post("/exports", without).await.refused(422, "invalid");
    assert_eq!(refused.json["errors"][0]["pointer"], "/companyId");
    app.practitioner().await.post("/exports", body.clone()).await.refused(403, "export_kind");
    app.employee(&acme.company).await.post("/exports", body).await.refused(403, "forbidden");
}

#[tokio::test]
async fn an_unusable_request_for_a_file_is_refused() {
    let app = TestApp::start().await;
    let hr = app.company("Acme").await.hr;
    let good = json!({"kind": "usage", "from": "2026-01", "to": "2026-02"});
    for (member, value, pointer) in [
        ("kind", json!("salaries"), "/kind"),
        ("from", json!("2026-1"), "/from"),
        ("to", json!("2025-12"), "/to"),
        ("by", json!("mode,mode"), "/by"),
        ("format", json!({"delimiter": "tab"}), "/format/delimiter"),
        ("companyName", json!("Globex"), "/companyName"),
    ] {
        let mut body = good.clone();
        body[member] = value;
        let refused = hr.post("/exports", body).await.refused(422, "invalid");
        assert_eq!(refused.json["errors"][0]["pointer"], pointer);
    }
    assert_eq!(app.count("SELECT count(*) FROM app.exports").await, 0);
}

#[tokio::test]
async fn a_repeated_request_and_a_repeated_job_make_one_file_and_one_mail() {
    let app = TestApp::start().await;
    let acme = Usage::new(&app, "Acme", 20).await;
    let hr = &acme.company.hr;
    let body = json!({"kind": "usage", "from": "2026-01", "to": "2026-02"});
    let send =
        |body: &Value| Answer::of(hr.request(Method::POST, "/exports").header("idempotency-key", "one").json(body));
    let first = send(&body).await.expect(202);
    assert_eq!(send(&body).await.expect(202).json, first.json);
    send(&json!({"kind": "usage", "from": "2026-01", "to": "2026-03"})).await.refused(422, "idempotency_mismatch");
    app.settle().await;
    let ready = hr.get("/exports").await.expect(200).json;
    assert_eq!(ready["items"].as_array().unwrap().len(), 1);

    // once more, in the name of who asked
    let mut tx = app.db().begin().await.unwrap();
    sqlx::query("SELECT set_config('app.company_id', $1, true), set_config('app.user_id', $2, true)")
        .bind(acme.company.id.to_string())
        .bind(hr.id.to_string())
        .execute(&mut *tx)
        .await
        .unwrap();
    sqlx::query("SELECT app.enqueue('exports', 'exports.make', ARRAY[$1], ARRAY[NULL::text], NULL, 8)")
        .bind(json!({"export_id": first.json["id"]}))
        .execute(&mut *tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    app.settle().await;
    assert_eq!(hr.get("/exports").await.expect(200).json, ready);
    assert_eq!(app.mails_to(&hr.email).len(), 1);
}
