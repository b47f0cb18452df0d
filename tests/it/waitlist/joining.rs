//! Joining, wishes, leaving, and who may.

use super::*;
use crate::support::Company;

async fn set(app: &TestApp, company: &Company, change: &'static str) {
    let sql = format!("UPDATE app.companies SET {change} WHERE id = $1");
    sqlx::query(sqlx::AssertSqlSafe(sql)).bind(company.id).execute(app.db()).await.unwrap();
}

#[tokio::test]
async fn a_person_waits_once_and_keeps_their_place_with_other_wishes() {
    let (app, company, alice, dr) = scene().await;
    alice.get(&list(&dr)).await.refused(404, "not_found");
    alice.delete(&list(&dr)).await.refused(404, "not_found");
    let joined = alice.post(&list(&dr), json!({"modes": ["video"], "weekdays": [1, 5]})).await.expect(201);
    assert_eq!(joined.json["practitionerId"], json!(dr.id));
    assert_eq!(joined.json["practitionerName"], "Dr Test");
    assert_eq!(joined.json["weekdays"], json!([1, 5]));
    assert!(joined.json.get("offer").is_none() && joined.json.get("place").is_none());
    // again, the same; then with other wishes
    let again = alice.post(&list(&dr), json!({"modes": ["video"], "weekdays": [1, 5]})).await.expect(200);
    assert_eq!(again.json, joined.json);
    let until = app.clock.now() + TimeDelta::days(20);
    let changed = alice.post(&list(&dr), json!({"durationMinutes": 60, "until": until})).await.expect(200);
    assert_eq!(changed.json["joinedAt"], joined.json["joinedAt"]);
    assert!(changed.json.get("modes").is_none());
    assert_eq!(changed.json["durationMinutes"], 60);
    assert_eq!(alice.get(&list(&dr)).await.expect(200).json, changed.json);
    let other = app.practitioner().await;
    join(&alice, &other).await;
    let all = alice.get("/me/waitlist").await.expect(200);
    assert_eq!(all.json["items"].as_array().unwrap().len(), 2);
    assert_eq!(all.json["items"][0], changed.json);
    // a colleague sees nothing of it
    let bob = app.employee(&company).await;
    assert_eq!(bob.get("/me/waitlist").await.expect(200).json["items"], json!([]));
    bob.get(&list(&dr)).await.refused(404, "not_found");
    alice.delete(&list(&dr)).await.expect(204);
    alice.get(&list(&dr)).await.refused(404, "not_found");
    alice.delete(&list(&dr)).await.refused(404, "not_found");
    // at the end of the line
    assert_ne!(join(&alice, &dr).await.json["joinedAt"], joined.json["joinedAt"]);
    for (action, count) in [("joined", 3), ("wishes_changed", 1), ("left", 1)] {
        let sql = "SELECT count(*) FROM app.audit_logs WHERE action = 'waitlist.' || $1";
        let found: i64 = sqlx::query_scalar(sql).bind(action).fetch_one(app.db()).await.unwrap();
        assert_eq!(found, count, "{action}");
    }
}

#[tokio::test]
async fn the_same_key_joins_once_and_ten_lists_are_the_most() {
    let (app, _, alice, dr) = scene().await;
    let post = async |body: Value| {
        let request = alice.request(reqwest::Method::POST, &list(&dr)).header("Idempotency-Key", "wait-1").json(&body);
        Answer::of(request).await
    };
    let first = post(json!({})).await.expect(201);
    let again = post(json!({})).await.expect(201);
    assert_eq!(first.json, again.json);
    post(json!({"weekdays": [1]})).await.refused(422, "idempotency_mismatch");
    for _ in 0..9 {
        join(&alice, &app.practitioner().await).await;
    }
    let last = app.practitioner().await;
    alice.post(&list(&last), json!({})).await.refused(409, "too_many_waitlists");
    alice.post(&list(&dr), json!({"weekdays": [7]})).await.expect(200);
    alice.delete(&list(&dr)).await.expect(204);
    join(&alice, &last).await;
}

#[tokio::test]
async fn who_cannot_book_cannot_wait() {
    let (app, company, alice, dr) = scene().await;
    let refused = async |status: u16, code: &str| {
        alice.post(&list(&dr), json!({})).await.refused(status, code);
    };
    set(&app, &company, "status = 'suspended'").await;
    refused(403, "company_suspended").await;
    set(&app, &company, "status = 'active', contract_ends_on = contract_starts_on + 1").await;
    refused(403, "contract_ended").await;
    set(&app, &company, "contract_ends_on = contract_starts_on + 365, sessions_per_employee = 1").await;
    let booked = book_on(&alice, &dr, in_days(&app, 2)).await;
    refused(409, "quota_exhausted").await;
    cancel(&alice, &booked).await;
    set(&app, &company, "network = 'restricted'").await;
    refused(404, "not_found").await;
    set(&app, &company, "network = 'open'").await;
    for (change, back) in [("status = 'inactive'", "status = 'active'"), ("status = 'unverified'", "status = 'active'")]
    {
        for (sql, then) in [(change, Some(404)), (back, None)] {
            let sql = format!("UPDATE app.practitioners SET {sql}");
            sqlx::query(sqlx::AssertSqlSafe(sql)).execute(app.db()).await.unwrap();
            if let Some(status) = then {
                refused(status, "not_found").await;
            }
        }
    }
    sqlx::query("UPDATE app.employees SET status = 'left', left_at = now() WHERE company_id = $1")
        .bind(company.id)
        .execute(app.db())
        .await
        .unwrap();
    refused(403, "not_covered").await;
    let mut nobody = dr.clone();
    nobody.id = app.platform.new_id();
    alice.get(&list(&nobody)).await.refused(404, "not_found");
    // the lists are employees' alone
    for person in [&dr, &company.hr, &company.admin, &app.platform_admin().await] {
        for answer in [
            person.get(&list(&dr)).await,
            person.post(&list(&dr), json!({})).await,
            person.delete(&list(&dr)).await,
            person.delete(&format!("{}/offer", list(&dr))).await,
            person.get("/me/waitlist").await,
        ] {
            answer.refused(403, "forbidden");
        }
    }
    app.settle().await;
}

#[tokio::test]
async fn wishes_that_cannot_be_are_refused_with_their_place() {
    let (app, _, alice, dr) = scene().await;
    let now = app.clock.now();
    for (body, pointer) in [
        (json!({"modes": []}), "/modes"),
        (json!({"modes": ["video", "video"]}), "/modes"),
        (json!({"modes": ["letter"]}), "/modes/0"),
        (json!({"durationMinutes": 45}), "/durationMinutes"),
        (json!({"durationMinutes": 9000}), "/durationMinutes"),
        (json!({"weekdays": [8]}), "/weekdays/0"),
        (json!({"weekdays": [0]}), "/weekdays/0"),
        (json!({"weekdays": []}), "/weekdays"),
        (json!({"until": now - TimeDelta::hours(1)}), "/until"),
        (json!({"until": now + TimeDelta::days(400)}), "/until"),
        (json!({"until": "soon"}), "/until"),
        (json!({"because": "x"}), "/because"),
    ] {
        let answer = alice.post(&list(&dr), body.clone()).await.refused(422, "invalid");
        assert_eq!(answer.str("/errors/0/pointer"), pointer, "{body}: {}", answer.json);
    }
    sqlx::query("UPDATE app.practitioners SET modes = '{video}'").execute(app.db()).await.unwrap();
    let answer = alice.post(&list(&dr), json!({"modes": ["chat"]})).await.refused(422, "invalid");
    assert_eq!(answer.str("/errors/0/pointer"), "/modes");
    assert_eq!(app.count("SELECT count(*) FROM app.waitlist_entries").await, 0);
}
