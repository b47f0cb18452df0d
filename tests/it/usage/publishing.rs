//! A month is published once, and never changes afterwards.

use chrono::TimeDelta;
use huntzen::platform::auth::Role;
use serde_json::{Value, json};

use super::{Sessions, Usage, count_anew, find_month, months_ago, name, sessions};
use crate::support::{TestApp, User};

const TABLES: [&str; 5] = ["specialty", "mode", "department", "specialty,mode", "specialty,department"];

async fn renewed(app: &TestApp, usage: &Usage<'_>) -> User {
    let hr = &usage.company.hr;
    hr.with_token(app.session(hr.id, Role::Hr, Some(usage.company.id)).await)
}

/// Everything that HR can ask of a month.
async fn look(app: &TestApp, usage: &Usage<'_>, month: chrono::NaiveDate) -> Vec<Value> {
    let hr = renewed(app, usage).await;
    let mut seen = Vec::new();
    for by in TABLES {
        for path in ["/reports/usage", "/reports/usage/timeseries"] {
            let mut answer = hr.get(&format!("{path}?from={0}&to={0}&by={by}", name(month))).await.expect(200).json;
            answer.as_object_mut().unwrap().retain(|member, _| !["asOf", "threshold"].contains(&member.as_str()));
            seen.push(answer);
        }
    }
    seen
}

#[tokio::test]
async fn a_published_month_never_changes() {
    let app = TestApp::start().await;
    let acme = Usage::new(&app, "Acme", 80).await;
    let (last, sales) = (months_ago(&app, 1), acme.department("Sales").await);
    acme.hold(Sessions { department: Some(sales), ..sessions(last, "psychology", 0..30, 1) }).await;
    acme.staff(sales, 30..40).await;
    acme.hold(sessions(last, "sleep", 40..60, 2)).await;
    count_anew(&app).await;
    let first = look(&app, &acme, last).await;
    assert_eq!(first[0]["months"][0]["totals"]["sessions"], 70);

    // a session of it that comes to light later
    acme.hold(sessions(last, "coaching", 60..75, 1)).await;
    count_anew(&app).await;
    assert_eq!(look(&app, &acme, last).await, first);
    // another threshold, a department that is called something else, people who leave
    let settings = format!("/companies/{}/settings", acme.company.id);
    acme.company.admin.patch(&settings, json!({"reportingThreshold": 40})).await.expect(200);
    sqlx::query("UPDATE app.departments SET name = 'Vente'").execute(app.db()).await.unwrap();
    sqlx::query("UPDATE app.employees SET status = 'left', left_at = now() WHERE id = ANY ($1)")
        .bind(acme.people[5..80].iter().map(|id| id.0).collect::<Vec<_>>())
        .execute(app.db())
        .await
        .unwrap();
    // and the company's clock is another one
    sqlx::query("UPDATE app.companies SET time_zone = 'Pacific/Kiritimati'").execute(app.db()).await.unwrap();
    count_anew(&app).await;
    app.clock.advance(TimeDelta::days(62));
    count_anew(&app).await;
    app.clock.advance(TimeDelta::hours(1));
    count_anew(&app).await;
    assert_eq!(look(&app, &acme, last).await, first);

    // nor does anybody change it by other means
    for statement in [
        "UPDATE app.usage_cells SET sessions = 1",
        "DELETE FROM app.usage_cells",
        "TRUNCATE app.usage_cells",
        "UPDATE app.usage_months SET threshold = 10",
        "DELETE FROM app.usage_months",
    ] {
        let refused = sqlx::query(statement).execute(app.db()).await.unwrap_err();
        assert!(refused.to_string().contains("append-only"), "{statement}: {refused}");
    }
}

/// What is withheld is nowhere: not even whoever reads the whole table finds it.
#[tokio::test]
async fn of_what_is_withheld_nothing_is_kept() {
    let app = TestApp::start().await;
    let acme = Usage::new(&app, "Acme", 60).await;
    let last = months_ago(&app, 1);
    acme.hold(sessions(last, "psychology", 0..30, 1)).await;
    acme.hold(sessions(last, "coaching", 30..33, 1)).await;
    count_anew(&app).await;
    let kept = "SELECT count(*) FROM app.usage_cells WHERE withheld IS NOT NULL AND num_nonnulls(sessions, minutes, people) > 0";
    assert_eq!(app.count(kept).await, 0);
    assert!(app.count("SELECT count(*) FROM app.usage_cells WHERE withheld IS NOT NULL").await > 0);
}

#[tokio::test]
async fn a_month_waits_three_days_for_what_people_have_yet_to_say() {
    let app = TestApp::start().await;
    let acme = Usage::new(&app, "Acme", 60).await;
    count_anew(&app).await;
    let present = months_ago(&app, 0);
    let end = (present + chrono::Months::new(1)).and_hms_opt(0, 0, 0).unwrap();
    let end = end.and_local_timezone(chrono_tz::Europe::Paris).unwrap().to_utc();
    let until = |at| app.clock.advance(at - app.clock.now());
    let months =
        async || renewed(&app, &acme).await.get(&format!("/reports/usage?from={0}&to={0}", name(present))).await.json;
    until(end + TimeDelta::days(3) - TimeDelta::minutes(1));
    count_anew(&app).await;
    count_anew(&app).await;
    assert_eq!(months().await["months"], json!([]));
    until(end + TimeDelta::days(3) + TimeDelta::minutes(1));
    // the count before was made in time
    count_anew(&app).await;
    assert_eq!(months().await["months"], json!([]));
    app.clock.advance(TimeDelta::hours(1));
    count_anew(&app).await;
    assert_eq!(find_month(&months().await, present)["totals"], json!({"withheld": "small_group"}));
}

/// What a clock says once is not enough to close a month for good.
#[tokio::test]
async fn a_clock_that_jumps_publishes_nothing() {
    let app = TestApp::start().await;
    let acme = Usage::new(&app, "Acme", 60).await;
    count_anew(&app).await;
    let published = app.count("SELECT count(*) FROM app.usage_months").await;
    for days in [400, -400, -30, 30] {
        app.clock.advance(TimeDelta::days(days));
        // as where its job is tried again a moment later
        for _ in 0..3 {
            count_anew(&app).await;
            assert_eq!(app.count("SELECT count(*) FROM app.usage_months").await, published, "{days}");
            app.clock.advance(TimeDelta::seconds(2));
        }
    }
    let range = format!("from={0}&to={0}", name(months_ago(&app, 0)));
    assert_eq!(acme.report(&range).await["months"], json!([]));
}

#[tokio::test]
async fn what_is_published_is_not_counted_again() {
    let app = TestApp::start().await;
    let acme = Usage::new(&app, "Acme", 60).await;
    acme.hold(sessions(months_ago(&app, 3), "sleep", 0..20, 1)).await;
    acme.hold(sessions(months_ago(&app, 0), "sleep", 0..20, 1)).await;
    count_anew(&app).await;
    assert_eq!(app.count("SELECT count(DISTINCT month) FROM stats.company_usage_monthly").await, 2);
    count_anew(&app).await;
    assert_eq!(app.count("SELECT count(DISTINCT month) FROM stats.company_usage_monthly").await, 1);
}

/// Else the sum of the departments would be more than the company, and HR knows whom it moved.
#[tokio::test]
async fn whoever_changes_department_within_a_month_is_counted_in_one() {
    let app = TestApp::start().await;
    let acme = Usage::new(&app, "Acme", 90).await;
    let (last, one, other) = (months_ago(&app, 1), acme.department("One").await, acme.department("Other").await);
    acme.staff(one, 0..40).await;
    acme.staff(other, 40..80).await;
    let of = |department, people| Sessions { department: Some(department), ..sessions(last, "psychology", people, 1) };
    acme.hold(of(one, 0..20)).await;
    acme.hold(of(other, 40..60)).await;
    // a fortnight later the first of them is in the other one
    let later = last.and_hms_opt(10, 0, 0).unwrap().and_utc() + TimeDelta::days(20);
    acme.hold_at(&of(other, 0..1), later).await;
    count_anew(&app).await;
    let sum = |what: &str| {
        sqlx::AssertSqlSafe(format!(
            "SELECT sum({what}) FILTER (WHERE dimensions = 'department') - sum({what}) FILTER (WHERE dimensions = 'total')
             FROM stats.company_usage_monthly"
        ))
    };
    for what in ["people", "sessions"] {
        let more: i64 = sqlx::query_scalar(sum(what)).fetch_one(app.db()).await.unwrap();
        assert_eq!(more, 0, "{what}");
    }
}
