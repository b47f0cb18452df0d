//! What practitioners did, and what it is worth.

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};

use super::{Practice, Session, day, held};
use crate::support::{Answer, TestApp, User};
use crate::usage::{count_anew, months_ago, name};

async fn file(app: &TestApp, user: &User, body: Value) -> String {
    let request = user.request(Method::POST, "/exports").header("accept-language", "en").json(&body);
    let asked = Answer::of(request).await.expect(202);
    app.settle().await;
    user.get(&format!("/exports/{}/download", asked.str("/id"))).await.expect(200).text()
}

#[tokio::test]
async fn a_month_counts_states_minutes_and_what_is_due() {
    let app = TestApp::start().await;
    let practice = Practice::new(&app).await;
    let last = practice.last();
    practice.put(held(day(last, 3), 50)).await;
    // 90 euros an hour: 47 minutes are 70.50
    practice.put(held(day(last, 4), 47)).await;
    let flagged = practice.put(Session { differs: true, ..held(day(last, 5), 31) }).await;
    for (n, status, by) in [
        (6, "cancelled", "employee"),
        (7, "cancelled", "practitioner"),
        (8, "no_show", "employee"),
        (9, "no_show", "practitioner"),
        (10, "no_show", "unknown"),
    ] {
        practice.put(Session { at: day(last, n), status, minutes: None, differs: false, by: Some(by) }).await;
    }
    count_anew(&app).await;
    let path = format!("/reports/practitioner?from={0}&to={0}", name(last));
    let own = practice.practitioner.get(&path).await.expect(200).json;
    assert_eq!(own["practitionerId"], json!(practice.id()));
    assert_eq!(own["timeZone"], "Europe/Paris");
    let expected = json!([{
        "month": name(last), "published": true, "restored": false, "open": 0, "completed": 3, "cancelledByEmployee": 1,
        "cancelledOtherwise": 1, "missedByEmployee": 1, "missedOtherwise": 2, "minutes": 128, "amountDue": {"amount": 7500 + 7050 + 4650, "currency": "EUR"},
        "flagged": {"sessions": 1, "minutes": 31, "amount": {"amount": 4650, "currency": "EUR"}},
    }]);
    assert_eq!(own["months"], expected);
    assert_eq!(own["moreFlagged"], false);
    let sessions = own["flaggedSessions"].as_array().unwrap();
    assert_eq!(sessions.len(), 1);
    assert_eq!((&sessions[0]["consultationId"], &sessions[0]["claimedMinutes"]), (&json!(flagged), &json!(31)));
    assert_eq!(sessions[0]["amount"]["amount"], 4650);

    // staff name whose it is, and it is noted; nobody else reads it
    let staff = app.platform_admin().await;
    let of = format!("{path}&practitionerId={}", practice.practitioner.id);
    assert_eq!(staff.get(&of).await.expect(200).json["months"], expected);
    let noted = "SELECT count(*) FROM app.audit_logs WHERE action = 'practitioner.activity_read'";
    assert_eq!(app.count(noted).await, 1);
    staff.get(&path).await.refused(422, "invalid");
    let nobody = format!("{path}&practitionerId={}", uuid::Uuid::new_v4());
    staff.get(&nobody).await.refused(404, "not_found");
    app.practitioner().await.get(&of).await.refused(404, "not_found");
    for user in [&practice.company().hr, &practice.company().admin, &app.employee(practice.company()).await] {
        user.get(&of).await.refused(403, "forbidden");
    }
    for (query, pointer) in [
        ("from=2026-13&to=2026-12", "query:from"),
        ("from=2026-03&to=2026-02", "query:to"),
        ("from=2020-01&to=2026-02", "query:to"),
    ] {
        let refused =
            practice.practitioner.get(&format!("/reports/practitioner?{query}")).await.refused(422, "invalid");
        assert_eq!(refused.json["errors"][0]["pointer"], pointer);
    }
}

#[tokio::test]
async fn a_session_is_paid_by_the_rate_at_its_start() {
    let app = TestApp::start().await;
    let practice = Practice::new(&app).await;
    let last = practice.last();
    practice.put(held(day(last, 3), 60)).await;
    practice.rate(day(last, 10), 12_000, "EUR").await;
    practice.rate(day(last, 20), 10_000, "CHF").await;
    practice.put(held(day(last, 12), 60)).await;
    practice.put(held(day(last, 22), 1)).await;
    count_anew(&app).await;
    let path = format!("/reports/practitioner?from={0}&to={0}", name(last));
    let report = practice.practitioner.get(&path).await.expect(200).json;
    let due: Vec<_> = report["months"].as_array().unwrap().iter().map(|it| it["amountDue"].clone()).collect();
    // a minute of a hundred francs: 1.666…, rounded half up
    assert_eq!(due, [json!({"amount": 167, "currency": "CHF"}), json!({"amount": 21_000, "currency": "EUR"})]);

    // a change of the profile is noted by itself, and changes nothing of what was
    let staff = app.platform_admin().await;
    let profile = format!("/practitioners/{}", practice.practitioner.id);
    let etag = staff.get(&profile).await.expect(200).header("etag").to_owned();
    let change = staff.request(Method::PATCH, &profile).header("if-match", etag);
    Answer::of(change.json(&json!({"hourlyRate": {"amount": 20_000, "currency": "EUR"}}))).await.expect(200);
    let rates = "SELECT count(*) FROM app.practitioner_rates WHERE hourly_rate_cents = 20000 AND since > now() - interval '1 hour'";
    assert_eq!(app.count(rates).await, 1);
    assert_eq!(practice.practitioner.get(&path).await.expect(200).json["months"], report["months"]);
    let refused =
        sqlx::query("UPDATE app.practitioner_rates SET hourly_rate_cents = 1").execute(app.db()).await.unwrap_err();
    assert!(refused.to_string().contains("append-only"));
}

#[tokio::test]
async fn a_published_month_of_payroll_never_changes() {
    let app = TestApp::start().await;
    let practice = Practice::new(&app).await;
    let (last, present) = (practice.last(), months_ago(&app, 0));
    practice.put(held(day(last, 3), 60)).await;
    practice.put(held(day(present, 1), 60)).await;
    count_anew(&app).await;
    let staff = app.platform_admin().await;
    let month = name(last);
    let body = json!({"kind": "payroll", "from": month, "to": month});
    let first = file(&app, &staff, body.clone()).await;
    let own = json!({"kind": "practitioner_activity", "from": month, "to": name(present)});
    let sessions = file(&app, &practice.practitioner, own.clone()).await;
    assert_eq!(sessions.lines().count(), 3);
    let path = format!("/reports/practitioner?from={month}&to={}", name(present));
    let report = practice.practitioner.get(&path).await.expect(200).json;
    let told = report["months"].clone();
    assert_eq!((&told[0]["published"], &told[1]["published"]), (&json!(true), &json!(false)));

    // a session that comes to light, another name, another zone
    practice.put(Session { differs: true, ..held(day(last, 5), 60) }).await;
    sqlx::query("UPDATE app.practitioners SET display_name = 'Somebody else', time_zone = 'Asia/Tokyo'")
        .execute(app.db())
        .await
        .unwrap();
    count_anew(&app).await;
    assert_eq!(practice.practitioner.get(&path).await.expect(200).json["months"][0], told[0]);
    assert_eq!(practice.practitioner.get(&path).await.expect(200).json["flaggedSessions"], report["flaggedSessions"]);
    assert_eq!(file(&app, &staff, body).await, first);
    // the sessions behind it as well, while those of the month that runs are as they are now
    assert_eq!(file(&app, &practice.practitioner, own.clone()).await, sessions);
    practice.put(held(day(present, 2), 30)).await;
    assert_eq!(file(&app, &practice.practitioner, own).await.lines().count(), 4);
    for statement in [
        "UPDATE app.payroll_lines SET amount = 1",
        "DELETE FROM app.payroll_lines",
        "DELETE FROM app.payroll_months",
        "UPDATE app.payroll_sessions SET duration_minutes = 1",
        "DELETE FROM app.payroll_sessions",
    ] {
        let refused = sqlx::query(statement).execute(app.db()).await.unwrap_err();
        assert!(refused.to_string().contains("append-only"), "{refused}");
    }
}

#[tokio::test]
async fn payroll_is_a_line_for_each_practitioner_of_published_months() {
    let app = TestApp::start().await;
    let practice = Practice::new(&app).await;
    let last = practice.last();
    sqlx::query("UPDATE app.practitioners SET display_name = '=cmd|'' /C calc''!A0'").execute(app.db()).await.unwrap();
    practice.put(held(day(last, 3), 50)).await;
    practice.put(Session { differs: true, ..held(day(last, 4), 20) }).await;
    count_anew(&app).await;
    let staff = app.platform_admin().await;
    let month = name(last);
    let written = file(&app, &staff, json!({"kind": "payroll", "from": month, "to": month})).await;
    let expected = [
        "\"Month\",\"Practitioner id\",\"Practitioner\",\"Completed\",\"Cancelled by employee\",\"Cancelled otherwise\",\
         \"Missed by employee\",\"Missed otherwise\",\"Open\",\"Minutes\",\"Currency\",\"Amount (minor units)\",\"To check\",\
         \"Minutes to check\",\"Amount to check (minor units)\",\"Published after a restore\""
            .to_owned(),
        format!(
            "\"{month}\",\"{}\",\"'=cmd|' /C calc'!A0\",\"2\",\"0\",\"0\",\"0\",\"0\",\"0\",\"70\",\"EUR\",\"10500\",\"1\",\"20\",\"3000\",\"no\"",
            practice.practitioner.id
        ),
    ];
    assert_eq!(written, expected.join("\r\n") + "\r\n");

    // not by what may still change, not of one company, not by anything
    for (change, pointer) in [
        (json!({"to": name(months_ago(&app, 0))}), "/to"),
        (json!({"companyId": practice.company().id}), "/companyId"),
        (json!({"by": "mode"}), "/by"),
    ] {
        let mut body = json!({"kind": "payroll", "from": month, "to": month});
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let refused = staff.post("/exports", body).await.refused(422, "invalid");
        assert_eq!(refused.json["errors"][0]["pointer"], pointer);
    }
    for user in [&practice.practitioner, &practice.company().hr, &practice.company().admin] {
        user.post("/exports", json!({"kind": "payroll", "from": month, "to": month})).await.refused(403, "export_kind");
    }
}

#[tokio::test]
async fn a_practitioner_takes_their_sessions_with_them_without_anybodys_name() {
    let app = TestApp::start().await;
    let practice = Practice::new(&app).await;
    let last = practice.last();
    practice.put(held(day(last, 3), 50)).await;
    practice.put(Session { differs: true, ..held(day(last, 4), 20) }).await;
    practice
        .put(Session { at: day(last, 5), status: "cancelled", minutes: None, differs: false, by: Some("employee") })
        .await;
    // neither another month's nor another practitioner's
    practice.put(held(day(last, 1) - TimeDelta::days(3), 50)).await;
    let other = app.practitioner().await;
    let month = name(last);
    let body = json!({"kind": "practitioner_activity", "from": month, "to": month, "format": {"delimiter": "semicolon", "bom": true}});
    let written = file(&app, &practice.practitioner, body.clone()).await;
    let at = |n| day(last, n).format("%Y-%m-%dT%H:%M:%SZ");
    let expected = [
        "\u{feff}\"Start (UTC)\";\"Planned minutes\";\"Specialty\";\"Mode\";\"Status\";\"Minutes\";\"Minutes seen\";\"To check\";\
         \"Hourly rate (minor units)\";\"Currency\";\"Amount (minor units)\""
            .to_owned(),
        format!("\"{}\";\"50\";\"Sleep\";\"Video\";\"Completed\";\"50\";\"50\";\"no\";\"9000\";\"EUR\";\"7500\"", at(3)),
        format!("\"{}\";\"50\";\"Sleep\";\"Video\";\"Completed\";\"20\";\"20\";\"yes\";\"9000\";\"EUR\";\"3000\"", at(4)),
        format!("\"{}\";\"50\";\"Sleep\";\"Video\";\"Cancelled\";\"\";\"\";\"no\";\"9000\";\"EUR\";\"0\"", at(5)),
    ];
    assert_eq!(written, expected.join("\r\n") + "\r\n");
    let others = file(&app, &other, body.clone()).await;
    assert_eq!(others.lines().count(), 1);
    assert_eq!(app.mails_to(&other.email).len(), 1);
    assert!(
        !app.mails_to(&other.email)[0].text.as_deref().unwrap().contains(&month),
        "a mailbox tells nothing of care"
    );
    for user in [&practice.company().hr, &app.platform_admin().await] {
        user.post("/exports", body.clone()).await.refused(403, "export_kind");
    }
}

/// More than one page, with many sessions at the same moment.
#[tokio::test]
async fn a_long_file_has_every_line_once() {
    let app = TestApp::start().await;
    let practice = Practice::new(&app).await;
    let last = practice.last();
    practice.crowd(6500).await;
    let month = name(last);
    let body = json!({"kind": "practitioner_activity", "from": month, "to": month});
    let written = file(&app, &practice.practitioner, body.clone()).await;
    assert_eq!(written.lines().count(), 6501);
    let minutes: i32 =
        written.lines().skip(1).map(|line| line.split("\",\"").nth(5).unwrap().parse::<i32>().unwrap()).sum();
    assert_eq!(minutes, (0..6500).map(|n| n % 500).sum::<i32>());
    assert_eq!(file(&app, &practice.practitioner, body).await, written);
    let listed = practice.practitioner.get("/exports").await.expect(200).json;
    assert_eq!((&listed["items"][0]["progress"], &listed["items"][0]["rowCount"]), (&json!(100), &json!(6500)));
}
