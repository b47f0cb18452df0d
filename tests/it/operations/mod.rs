//! Running the platform: figures, dead letters, the log of mails, the modules of a company, maintenance.

mod features;
mod maintenance;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, TestApp, User};

async fn post(user: &User, path: &str) -> Answer {
    Answer::of(user.request(Method::POST, path)).await
}

/// A job that no handler knows: it fails however often it is tried.
async fn hopeless(app: &TestApp) {
    sqlx::query(
        "INSERT INTO apalis.jobs (id, job_type, job, status, attempts, max_attempts, run_at, priority)
         VALUES (apalis.generate_ulid(), 'maintenance',
                 convert_to('{\"kind\": \"nobody.knows\", \"data\": {\"about\": \"canary\"}}', 'UTF8'), 'Pending', 0, 1, now(), 0)",
    )
    .execute(app.db())
    .await
    .unwrap();
}

async fn jobs(staff: &User, query: &str) -> Vec<Value> {
    staff.get(&format!("/admin/jobs{query}")).await.expect(200).json["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_job_that_always_fails_ends_in_the_dead_letters() {
    let app = TestApp::start().await;
    let staff = app.platform_admin().await;
    hopeless(&app).await;
    assert_eq!(jobs(&staff, "?state=pending").await[0]["kind"], "nobody.knows");
    assert!(jobs(&staff, "").await.is_empty());
    assert_eq!(app.settle_with_dead().await.len(), 1);
    let dead = jobs(&staff, "").await.remove(0);
    assert_eq!((&dead["state"], &dead["attempts"], &dead["code"]), (&json!("dead"), &json!(1), &json!("unknown_kind")));
    assert_eq!((&dead["queue"], dead["diedAt"].is_string()), (&json!("maintenance"), true));
    assert!(!dead.to_string().contains("canary"), "{dead}");
    assert_eq!(jobs(&staff, "?queue=maintenance").await.len() + jobs(&staff, "?queue=mail").await.len(), 1);
    let overview = staff.get("/admin/overview").await.expect(200).json;
    let queue = overview["queues"].as_array().unwrap().iter().find(|it| it["queue"] == "maintenance").unwrap().clone();
    assert_eq!(queue, json!({"queue": "maintenance", "pending": 0, "running": 0, "dead": 1}));

    // tried again, it dies again
    let path = format!("/admin/jobs/{}", dead["id"].as_str().unwrap());
    post(&staff, &format!("{path}/retry")).await.expect(204);
    app.settle_with_dead().await;
    assert_eq!(jobs(&staff, "").await[0]["id"], dead["id"]);
    // with what it lacked, it is done
    sqlx::query("UPDATE apalis.jobs SET job = convert_to('{\"kind\": \"content.publish_due\", \"data\": {}}', 'UTF8')")
        .execute(app.db())
        .await
        .unwrap();
    post(&staff, &format!("{path}/retry")).await.expect(204);
    app.settle().await;
    assert!(jobs(&staff, "").await.is_empty());
    post(&staff, &format!("{path}/retry")).await.refused(404, "not_found");

    // another one is discarded
    hopeless(&app).await;
    app.settle_with_dead().await;
    let path = format!("/admin/jobs/{}", jobs(&staff, "").await[0]["id"].as_str().unwrap());
    post(&staff, &format!("{path}/discard")).await.expect(204);
    post(&staff, &format!("{path}/discard")).await.refused(404, "not_found");
    let noted: Vec<String> =
        sqlx::query_scalar("SELECT action FROM app.audit_logs WHERE object_type = 'job' ORDER BY at, id")
            .fetch_all(app.db())
            .await
            .unwrap();
    assert_eq!(noted, ["job.retried", "job.retried", "job.discarded"]);
}

#[tokio::test]
async fn what_is_not_dead_is_left_alone() {
    let app = TestApp::start().await;
    let staff = app.platform_admin().await;
    hopeless(&app).await;
    // nobody works, so it waits
    let waiting = jobs(&staff, "?state=pending").await.remove(0);
    for verb in ["retry", "discard"] {
        let path = format!("/admin/jobs/{}/{verb}", waiting["id"].as_str().unwrap());
        post(&staff, &path).await.refused(409, "job_not_dead");
    }
    assert_eq!(jobs(&staff, "?state=pending").await, [waiting]);
    app.settle_with_dead().await;
}

#[tokio::test]
async fn only_staff_run_the_queue() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let staff = app.platform_admin().await;
    hopeless(&app).await;
    app.settle_with_dead().await;
    let id = jobs(&staff, "").await[0]["id"].as_str().unwrap().to_owned();
    for person in [&app.employee(&company).await, &app.practitioner().await, &company.hr, &company.admin] {
        for path in ["/admin/overview", "/admin/jobs", "/admin/emails", "/admin/maintenance"] {
            person.get(path).await.refused(403, "forbidden");
        }
        post(person, &format!("/admin/jobs/{id}/retry")).await.refused(403, "forbidden");
    }
    for (path, pointer) in [
        ("/admin/jobs?state=lost", "query:state"),
        ("/admin/jobs?queue=none", "query:queue"),
        ("/admin/jobs?limit=0", "query:limit"),
        ("/admin/emails?status=read", "query:status"),
    ] {
        assert_eq!(staff.get(path).await.expect(400).json["errors"][0]["pointer"], pointer);
    }
    for bad in ["x", "01KAP7V3T8M4Q2Z9X6C5B1N0HD", "01kap7v3t8m4q2z9x6c5b1n0hd", "%27%20OR%201"] {
        post(&staff, &format!("/admin/jobs/{bad}/retry")).await.refused(404, "not_found");
    }
}

#[tokio::test]
async fn dead_letters_come_page_by_page() {
    let app = TestApp::start().await;
    let staff = app.platform_admin().await;
    for _ in 0..5 {
        hopeless(&app).await;
    }
    app.settle_with_dead().await;
    let (mut seen, mut path) = (Vec::new(), "/admin/jobs?limit=2".to_owned());
    loop {
        let page = staff.get(&path).await.expect(200);
        seen.extend(page.json["items"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap().to_owned()));
        let Some(cursor) = page.json["nextCursor"].as_str() else { break };
        path = format!("/admin/jobs?limit=2&cursor={cursor}");
    }
    let mut sorted = seen.clone();
    sorted.sort_by(|a, b| b.cmp(a));
    sorted.dedup();
    assert_eq!((seen.len(), &seen), (5, &sorted));
}

#[tokio::test]
async fn the_overview_counts_and_names_nobody() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let (alice, dr, staff) = (app.employee(&company).await, app.practitioner().await, app.platform_admin().await);
    crate::reviews::write(&app, &alice, &dr, 5, "Fine").await;
    let answer = staff.get("/admin/overview").await.expect(200);
    let it = &answer.json;
    assert_eq!(it["companies"], json!({"active": 1, "suspended": 0, "archived": 0}));
    assert_eq!(
        (&it["accounts"]["employees"], &it["accounts"]["hr"], &it["accounts"]["suspended"]),
        (&json!(1), &json!(1), &json!(0))
    );
    assert_eq!((&it["practitioners"]["active"], &it["reviewsToModerate"]), (&json!(1), &json!(1)));
    assert_eq!(it["maintenance"]["isOn"], json!(false));
    let said = answer.text();
    for person in [&alice, &dr, &company.hr] {
        assert!(!said.contains(&person.id.to_string()) && !said.contains(&person.email), "{said}");
    }
}

#[tokio::test]
async fn the_log_of_mails_says_what_was_sent_and_never_to_whom() {
    let (app, company, alice, dr) = crate::consultations::scene().await;
    let staff = app.platform_admin().await;
    assert_eq!(staff.get("/admin/emails").await.expect(200).json, json!({"items": []}));
    crate::consultations::book_on(&alice, &dr, crate::consultations::in_days(&app, 1)).await;
    app.settle().await;
    let answer = staff.get("/admin/emails?status=sent").await.expect(200);
    let items = answer.json["items"].as_array().unwrap();
    let templates: Vec<&str> = items.iter().map(|it| it["template"].as_str().unwrap()).collect();
    assert!(
        templates.contains(&"appointment_booked_employee") && templates.contains(&"appointment_booked_practitioner")
    );
    assert!(items.iter().all(|it| it["companyId"] == json!(company.id) && it["sentAt"].is_string()), "{}", answer.json);
    let said = answer.text();
    for person in [&alice, &dr] {
        assert!(!said.contains(&person.id.to_string()) && !said.contains(&person.email), "{said}");
    }
    assert_eq!(
        staff.get("/admin/emails?template=appointment_booked_employee").await.expect(200).json["items"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(staff.get("/admin/emails?status=failed").await.expect(200).json, json!({"items": []}));
    let first = staff.get("/admin/emails?limit=1").await.expect(200);
    let next = staff.get(&format!("/admin/emails?limit=1&cursor={}", first.str("/nextCursor"))).await.expect(200);
    assert_ne!(first.json["items"][0]["id"], next.json["items"][0]["id"]);
}
