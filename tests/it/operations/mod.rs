//! Running the platform: figures, dead letters, the log of mails, the modules of a company, maintenance.

mod clock;
mod features;
mod maintenance;

use chrono::TimeDelta;
use huntzen::platform::auth::Role;
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

/// What no program can read is listed among the others, and thrown away.
#[tokio::test]
async fn jobs_that_nobody_can_read_are_listed_and_discarded() {
    let app = TestApp::start().await;
    let staff = app.platform_admin().await;
    let deep = format!("{{\"kind\": {}1{}}}", "[".repeat(60_000), "]".repeat(60_000));
    let unreadable: [&[u8]; 6] =
        [b"\xff\xfe", b"not JSON", b"", b"[1, 2]", br#"{"kind": "a\u0000b"}"#, deep.as_bytes()];
    for bytes in unreadable {
        sqlx::query(
            "INSERT INTO apalis.jobs (id, job_type, job, status, attempts, max_attempts, run_at, priority)
             VALUES (apalis.generate_ulid(), 'maintenance', $1, 'Pending', 0, 3, now(), 0)",
        )
        .bind(bytes)
        .execute(app.db())
        .await
        .unwrap();
    }
    hopeless(&app).await;
    let known = |jobs: Vec<Value>| jobs.iter().filter(|it| it["kind"] != "unknown").count();
    let waiting = jobs(&staff, "?state=pending").await;
    assert_eq!((waiting.len(), known(waiting)), (7, 1));
    assert_eq!(app.settle_with_dead().await.len(), 7);
    let dead = jobs(&staff, "").await;
    assert_eq!((dead.len(), dead.iter().filter(|it| it["code"] == "undecodable").count()), (7, 6));
    for job in &dead {
        post(&staff, &format!("/admin/jobs/{}/discard", job["id"].as_str().unwrap())).await.expect(204);
    }
    assert!(jobs(&staff, "").await.is_empty());
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

async fn mails(staff: &User, status: &str) -> Vec<Value> {
    let path = format!("/admin/emails?template=appointment_booked_employee&status={status}");
    staff.get(&path).await.expect(200).json["items"].as_array().unwrap().clone()
}

/// Where mails to somebody go from now on. The tests' mail server turns some addresses away.
async fn move_mailbox(app: &TestApp, person: &User, name: &str) -> String {
    let address = format!("{name}-{}@acme.test", person.id.0.simple());
    sqlx::query("UPDATE app.users SET email = $2 WHERE id = $1")
        .bind(person.id)
        .bind(&address)
        .execute(app.db())
        .await
        .unwrap();
    address
}

/// A mail server was too busy for a mail to an employee; with somebody of the staff.
async fn with_a_mail_that_waits() -> (TestApp, User, User) {
    let (app, _, mut alice, mut dr) = crate::consultations::scene().await;
    let mut staff = app.platform_admin().await;
    // jobs that failed wait by this clock, and are not tried again while the test looks
    let now = app.clock.now() + TimeDelta::hours(1);
    let people = [(&mut alice, Role::Employee), (&mut dr, Role::Practitioner), (&mut staff, Role::PlatformAdmin)];
    crate::consultations::at(&app, now, people).await;
    move_mailbox(&app, &alice, "busy").await;
    crate::consultations::book_on(&alice, &dr, crate::consultations::in_days(&app, 3)).await;
    app.settle().await;
    (app, alice, staff)
}

#[tokio::test]
async fn a_mail_that_was_not_taken_leads_to_its_job_and_back_and_is_sent_after_all() {
    let (app, alice, staff) = with_a_mail_that_waits().await;
    // the server was busy: it waits, and has not failed
    assert!(mails(&staff, "failed").await.is_empty());
    let [mail] = mails(&staff, "retrying").await.try_into().unwrap();
    assert_eq!((&mail["attempts"], mail.get("sentAt")), (&json!(1), None));
    let [job] = jobs(&staff, "?queue=mail&state=pending").await.try_into().unwrap();
    assert_eq!((&job["id"], &job["emailId"]), (&mail["jobId"], &mail["id"]));
    assert_eq!((&job["template"], &job["code"]), (&json!("appointment_booked_employee"), &json!("mail_unavailable")));
    let path = format!("/admin/jobs/{}", mail["jobId"].as_str().unwrap());
    post(&staff, &format!("{path}/retry")).await.refused(409, "job_not_dead");
    assert_eq!(staff.get("/admin/overview").await.expect(200).json["emails"]["retrying"], 1);

    // the last try, and nobody tries any more
    sqlx::query("UPDATE apalis.jobs SET max_attempts = 2 WHERE id = $1")
        .bind(mail["jobId"].as_str().unwrap())
        .execute(app.db())
        .await
        .unwrap();
    app.clock.advance(TimeDelta::minutes(5));
    assert_eq!(app.settle_with_dead().await.len(), 1);
    assert!(mails(&staff, "retrying").await.is_empty());
    let [failed] = mails(&staff, "failed").await.try_into().unwrap();
    assert_eq!((&failed["id"], &failed["jobId"], &failed["attempts"]), (&mail["id"], &mail["jobId"], &json!(2)));
    let [dead] = jobs(&staff, "?queue=mail").await.try_into().unwrap();
    assert_eq!((&dead["id"], &dead["emailId"]), (&mail["jobId"], &mail["id"]));
    let overview = staff.get("/admin/overview").await.expect(200).json;
    assert_eq!((&overview["emails"]["retrying"], &overview["emails"]["failed"]), (&json!(0), &json!(1)));
    // from the moment on at which it is retried it waits again
    let mut tx = app.db().begin().await.unwrap();
    sqlx::query("SELECT app.retry_job($1)").bind(dead["id"].as_str().unwrap()).execute(&mut *tx).await.unwrap();
    let status: String = sqlx::query_scalar("SELECT status FROM app.email_log WHERE job_id IS NOT NULL")
        .fetch_one(&mut *tx)
        .await
        .unwrap();
    assert_eq!(status, "retrying");
    tx.rollback().await.unwrap();

    // the mailbox is there again
    let address = move_mailbox(&app, &alice, "there").await;
    post(&staff, &format!("{path}/retry")).await.expect(204);
    app.settle().await;
    assert_eq!(app.mails_to(&address).len(), 1);
    let [sent] = mails(&staff, "sent").await.try_into().unwrap();
    assert_eq!((&sent["id"], sent.get("jobId"), sent["sentAt"].is_string()), (&mail["id"], None, true));
    assert!(mails(&staff, "failed").await.is_empty());
    post(&staff, &format!("{path}/retry")).await.refused(404, "not_found");
}

#[tokio::test]
async fn a_mail_that_is_refused_for_good_has_failed_at_once_and_stays_so_without_its_job() {
    let (app, _, alice, dr) = crate::consultations::scene().await;
    let staff = app.platform_admin().await;
    move_mailbox(&app, &alice, "refused").await;
    crate::consultations::book_on(&alice, &dr, crate::consultations::in_days(&app, 3)).await;
    assert_eq!(app.settle_with_dead().await.len(), 1);
    let [failed] = mails(&staff, "failed").await.try_into().unwrap();
    let [dead] = jobs(&staff, "?queue=mail").await.try_into().unwrap();
    assert_eq!((&failed["jobId"], &dead["code"]), (&dead["id"], &json!("mail_refused")));
    // tried again, it is refused again, and there is still one mail
    let path = format!("/admin/jobs/{}", dead["id"].as_str().unwrap());
    post(&staff, &format!("{path}/retry")).await.expect(204);
    app.settle_with_dead().await;
    assert_eq!(mails(&staff, "failed").await[0]["jobId"], dead["id"]);
    post(&staff, &format!("{path}/discard")).await.expect(204);
    let [gone] = mails(&staff, "failed").await.try_into().unwrap();
    assert_eq!((&gone["id"], gone.get("jobId")), (&failed["id"], None));
}
