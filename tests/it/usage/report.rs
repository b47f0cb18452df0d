//! What the report tells, and to whom.

use chrono::{DateTime, TimeDelta, TimeZone, Utc};
use huntzen::platform::auth::Role;
use huntzen::platform::ids::CompanyId;
use serde_json::json;

use super::{Sessions, Usage, advance, cell, count_anew, find_month, months_ago, name, sessions};
use crate::support::TestApp;

#[tokio::test]
async fn hr_reads_closed_months_above_the_threshold() {
    let app = TestApp::start().await;
    let acme = Usage::new(&app, "Acme", 40).await;
    let (last, before, present) = (months_ago(&app, 1), months_ago(&app, 2), months_ago(&app, 0));
    acme.hold(sessions(last, "psychology", 0..23, 2)).await;
    acme.hold(sessions(last, "sleep", 10..27, 1)).await;
    acme.hold(sessions(present, "sleep", 0..30, 1)).await;

    // not counted yet
    let range = format!("from={}&to={}&by=specialty", name(before), name(present));
    let early = acme.report(&range).await;
    assert_eq!(early["months"], json!([]));

    let counted_from = app.clock.now();
    count_anew(&app).await;
    let report = acme.report(&range).await;
    assert_eq!(report["threshold"], 11);
    assert!(report["asOf"].as_str().unwrap().parse::<DateTime<Utc>>().unwrap() >= counted_from);
    // what is bought is told in any case; the present month is not over
    assert_eq!(report["bought"]["sessionsPerEmployee"], 12);
    let told: Vec<_> = report["months"].as_array().unwrap().iter().map(|it| it["month"].clone()).collect();
    assert_eq!(told, [json!(name(before)), json!(name(last))]);
    assert_eq!(find_month(&report, last)["totals"], json!({"sessions": 63, "minutes": 3150, "people": 25}));
    let expected = json!({"specialty": "psychology", "sessions": 46, "minutes": 2300, "people": 20});
    assert_eq!(*cell(&report, last, "specialty", "psychology"), expected);
    let expected = json!({"specialty": "sleep", "sessions": 17, "minutes": 850, "people": 15});
    assert_eq!(*cell(&report, last, "specialty", "sleep"), expected);
    // what nobody used is zero
    let expected = json!({"specialty": "nutrition", "sessions": 0, "minutes": 0, "people": 0});
    assert_eq!(*cell(&report, last, "specialty", "nutrition"), expected);
    // a month in which nobody came is told like one in which few did
    assert_eq!(find_month(&report, before)["cells"].as_array().unwrap().len(), 6);
    assert_eq!(find_month(&report, before)["totals"], json!({"withheld": "small_group"}));

    let totals = acme.report(&format!("from={0}&to={0}", name(last))).await;
    assert_eq!(find_month(&totals, last)["cells"], json!([]));
    assert_eq!(find_month(&totals, last)["totals"]["sessions"], 63);
}

#[tokio::test]
async fn a_small_cell_is_withheld_and_so_is_one_from_which_it_could_be_had() {
    let app = TestApp::start().await;
    let acme = Usage::new(&app, "Acme", 60).await;
    let last = months_ago(&app, 1);
    acme.hold(sessions(last, "psychology", 0..30, 1)).await;
    acme.hold(sessions(last, "sleep", 0..15, 2)).await;
    acme.hold(sessions(last, "coaching", 30..33, 1)).await;
    count_anew(&app).await;
    let report = acme.report(&format!("from={0}&to={0}&by=specialty", name(last))).await;
    assert_eq!(
        *cell(&report, last, "specialty", "coaching"),
        json!({"specialty": "coaching", "withheld": "small_group"})
    );
    assert_eq!(*cell(&report, last, "specialty", "sleep"), json!({"specialty": "sleep", "withheld": "small_group"}));
    assert_eq!(cell(&report, last, "specialty", "psychology")["sessions"], 30);
    assert_eq!(find_month(&report, last)["totals"], json!({"sessions": 63, "people": 30}));
    // with something withheld, what nobody used is told by the same word
    assert_eq!(cell(&report, last, "specialty", "nutrition")["withheld"], "small_group");
    // nobody is told more by another dimension
    let report = acme.report(&format!("from={0}&to={0}&by=mode", name(last))).await;
    assert_eq!(cell(&report, last, "mode", "video")["sessions"], 63);
}

#[tokio::test]
async fn departments_have_names_and_small_ones_are_counted_with_the_people_of_none() {
    let app = TestApp::start().await;
    let acme = Usage::new(&app, "Acme", 60).await;
    let (sales, legal) = (acme.department("Sales").await, acme.department("Legal").await);
    let last = months_ago(&app, 1);
    acme.hold(Sessions { department: Some(sales), ..sessions(last, "sleep", 0..20, 1) }).await;
    acme.hold(sessions(last, "sleep", 30..50, 1)).await;
    acme.staff(sales, 20..30).await;
    // too few for a line of its own
    acme.hold(Sessions { department: Some(legal), ..sessions(last, "sleep", 50..55, 1) }).await;
    count_anew(&app).await;
    let report = acme.report(&format!("from={0}&to={0}&by=department", name(last))).await;
    let cell_of = |department: &str| cell(&report, last, "department", department);
    let expected = json!({"department": "Sales", "departmentId": sales, "sessions": 20, "minutes": 1000, "people": 20});
    assert_eq!(*cell_of("Sales"), expected);
    let others = cell_of("Autres services ou sans service");
    assert_eq!(others["sessions"], 25);
    assert!(others.get("departmentId").is_none());
    assert_eq!(find_month(&report, last)["cells"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_month_or_a_company_with_few_people_tells_nothing() {
    let app = TestApp::start().await;
    let (acme, tiny) = (Usage::new(&app, "Acme", 40).await, Usage::new(&app, "Tiny", 10).await);
    let last = months_ago(&app, 1);
    acme.hold(sessions(last, "sleep", 0..10, 3)).await;
    tiny.hold(sessions(last, "sleep", 0..10, 3)).await;
    count_anew(&app).await;
    for usage in [&acme, &tiny] {
        for by in ["specialty", "mode", "department"] {
            let report = usage.report(&format!("from={0}&to={0}&by={by}", name(last))).await;
            let month = find_month(&report, last);
            assert_eq!(month["totals"], json!({"withheld": "small_group"}));
            for cell in month["cells"].as_array().unwrap() {
                // neither a number nor what was used at all
                assert_eq!(cell["withheld"], "small_group", "{cell}");
                assert!(cell.get("sessions").is_none());
            }
        }
    }
    // nor does a month without any session tell so
    let range = format!("from={0}&to={0}", name(months_ago(&app, 2)));
    for usage in [&acme, &tiny] {
        assert_eq!(usage.report(&range).await["months"][0]["totals"], json!({"withheld": "small_group"}));
    }
}

#[tokio::test]
async fn a_company_may_raise_its_threshold_for_the_months_to_come() {
    let app = TestApp::start().await;
    let acme = Usage::new(&app, "Acme", 60).await;
    let (last, present) = (months_ago(&app, 1), months_ago(&app, 0));
    acme.hold(sessions(last, "sleep", 0..25, 1)).await;
    acme.hold(sessions(present, "sleep", 0..25, 1)).await;
    count_anew(&app).await;
    let settings = format!("/companies/{}/settings", acme.company.id);
    acme.company.admin.patch(&settings, json!({"reportingThreshold": 30})).await.expect(200);
    let range = format!("from={}&to={}", name(last), name(present));
    let report = acme.report(&range).await;
    assert_eq!((&report["threshold"], report["months"].as_array().unwrap().len()), (&json!(30), 1));
    let before = find_month(&report, last);
    assert_eq!((&before["threshold"], &before["totals"]["people"]), (&json!(11), &json!(25)));

    // the month that runs closes by the new one, at the latest the one after
    advance(&app, TimeDelta::days(62)).await;
    count_anew(&app).await;
    advance(&app, TimeDelta::hours(1)).await;
    let next = present + chrono::Months::new(1);
    acme.hold(sessions(next, "sleep", 0..25, 1)).await;
    count_anew(&app).await;
    let hr = acme.company.hr.with_token(app.session(acme.company.hr.id, Role::Hr, Some(acme.company.id)).await);
    let report = hr.get(&format!("/reports/usage?from={}&to={}", name(last), name(next))).await.expect(200).json;
    let closed = find_month(&report, next);
    assert_eq!((&closed["threshold"], &closed["totals"]), (&json!(30), &json!({"withheld": "small_group"})));
    assert_eq!(find_month(&report, last)["totals"]["people"], 25);
}

/// Whoever tries one threshold after the other would see each withheld cell change its word, or each total vanish, at
/// exactly the number of people in it.
#[tokio::test]
async fn no_threshold_tells_more_of_a_month_than_the_one_that_it_closed_by() {
    let app = TestApp::start().await;
    let acme = Usage::new(&app, "Acme", 120).await;
    let last = months_ago(&app, 1);
    for (people, department, all) in [(0..2, "S", 0..2), (2..14, "B", 2..30), (30..66, "C", 30..90)] {
        let department = acme.department(department).await;
        acme.hold(Sessions { department: Some(department), ..sessions(last, "sleep", people, 1) }).await;
        acme.staff(department, all).await;
    }
    count_anew(&app).await;
    let settings = format!("/companies/{}/settings", acme.company.id);
    let look = async || {
        let mut seen = Vec::new();
        for by in ["specialty", "mode", "department"] {
            let mut report = acme.report(&format!("from={0}&to={0}&by={by}", name(last))).await;
            seen.push(report["months"].take());
        }
        seen
    };
    let first = look().await;
    assert!(first[2][0]["cells"].as_array().unwrap().iter().filter(|it| it["withheld"].is_string()).count() > 1);
    assert_eq!(first[2][0]["totals"]["sessions"], 50);
    for threshold in [10, 12, 13, 41, 54, 55, 1000, 11] {
        acme.company.admin.patch(&settings, json!({"reportingThreshold": threshold})).await.expect(200);
        assert_eq!(look().await, first, "{threshold}");
        // nor does counting them anew
        count_anew(&app).await;
        assert_eq!(look().await, first, "{threshold}");
    }
}

/// A threshold that is set while a month is being published counts for the month, or the month is published first.
#[tokio::test]
async fn a_month_is_not_published_while_its_threshold_changes() {
    let app = TestApp::start().await;
    let acme = Usage::new(&app, "Acme", 60).await;
    count_anew(&app).await;
    let mut changing = app.db().begin().await.unwrap();
    sqlx::query("UPDATE app.company_settings SET reporting_threshold = 30 WHERE company_id = $1")
        .bind(acme.company.id)
        .execute(&mut *changing)
        .await
        .unwrap();
    let published = async {
        count_anew(&app).await;
        app.clock.now()
    };
    let changed = async {
        app.until_one_waits().await;
        let at = app.clock.now();
        changing.commit().await.unwrap();
        at
    };
    let (published, changed) = tokio::join!(published, changed);
    assert!(published > changed, "the counters were counted in the middle of the change");
}

#[tokio::test]
async fn a_session_counts_in_the_month_of_the_companys_clock() {
    let app = TestApp::start().await;
    let acme = Usage::new(&app, "Acme", 40).await;
    let (last, before) = (months_ago(&app, 1), months_ago(&app, 2));
    // half an hour before midnight UTC is the next day in Paris, all year
    let late = Utc.from_utc_datetime(&last.and_hms_opt(0, 0, 0).unwrap()) - TimeDelta::minutes(30);
    acme.hold_at(&sessions(before, "sleep", 0..20, 1), late).await;
    count_anew(&app).await;
    let report = acme.report(&format!("from={}&to={}", name(before), name(last))).await;
    assert_eq!(find_month(&report, before)["totals"], json!({"withheld": "small_group"}));
    assert_eq!(find_month(&report, last)["totals"]["sessions"], 20);
}

#[tokio::test]
async fn companies_see_their_own_usage_and_the_platform_names_one() {
    let app = TestApp::start().await;
    let (acme, globex) = (Usage::new(&app, "Acme", 40).await, Usage::new(&app, "Globex", 40).await);
    let last = months_ago(&app, 1);
    acme.hold(sessions(last, "sleep", 0..20, 1)).await;
    globex.hold(sessions(last, "sleep", 0..30, 1)).await;
    count_anew(&app).await;
    let range = format!("from={0}&to={0}", name(last));
    assert_eq!(acme.report(&range).await["months"][0]["totals"]["sessions"], 20);
    assert_eq!(globex.report(&range).await["months"][0]["totals"]["sessions"], 30);
    acme.report(&format!("{range}&companyId={}", acme.company.id)).await;
    let foreign = format!("/reports/usage?{range}&companyId={}", globex.company.id);
    acme.company.hr.get(&foreign).await.refused(404, "not_found");
    acme.company.admin.get(&foreign).await.refused(404, "not_found");

    let admin = app.platform_admin().await;
    assert_eq!(admin.get(&foreign).await.expect(200).json["months"][0]["totals"]["sessions"], 30);
    let nobody: CompanyId = app.platform.new_id();
    admin.get(&format!("/reports/usage?{range}&companyId={nobody}")).await.refused(404, "not_found");
    let refused = admin.get(&format!("/reports/usage?{range}")).await.refused(422, "invalid");
    assert_eq!(refused.json["errors"][0]["pointer"], "query:companyId");

    for user in [app.employee(&acme.company).await, app.practitioner().await] {
        user.get(&format!("/reports/usage?{range}")).await.refused(403, "forbidden");
    }
}

#[tokio::test]
async fn months_and_dimensions_are_checked() {
    let app = TestApp::start().await;
    let hr = app.company("Acme").await.hr;
    for (query, code, pointer) in [
        ("from=2026-01&to=2026-02&by=mode,department", "not_crossed", "query:by"),
        ("from=2026-01&to=2026-02&by=mode,mode", "invalid", "query:by"),
        ("from=2026-01&to=2026-02&by=person", "invalid", "query:by"),
        ("from=2026-02&to=2026-01", "invalid", "query:to"),
        ("from=2024-01&to=2026-01", "invalid", "query:to"),
        ("from=2026-13&to=2026-12", "invalid", "query:from"),
    ] {
        for path in ["/reports/usage", "/reports/usage/timeseries"] {
            let refused = hr.get(&format!("{path}?{query}")).await.refused(422, code);
            assert_eq!(refused.json["errors"][0]["pointer"], pointer, "{query}");
        }
    }
    hr.get("/reports/usage?to=2026-01").await.expect(400);
    let future = hr.get("/reports/usage?from=2030-01&to=2030-02").await.expect(200);
    assert_eq!(future.json["months"], json!([]));
}

#[tokio::test]
async fn nobody_but_the_statistics_reads_the_views() {
    let app = TestApp::start().await;
    for role in ["huntzen_hr", "huntzen_company_admin", "huntzen_platform", "huntzen_worker", "huntzen_kernel"] {
        let mut tx = app.db().begin().await.unwrap();
        sqlx::raw_sql(sqlx::AssertSqlSafe(format!("SET LOCAL ROLE {role}"))).execute(&mut *tx).await.unwrap();
        for view in ["company_usage_monthly", "practitioner_activity_monthly"] {
            sqlx::query("SAVEPOINT before").execute(&mut *tx).await.unwrap();
            let read =
                sqlx::raw_sql(sqlx::AssertSqlSafe(format!("SELECT * FROM stats.{view}"))).fetch_all(&mut *tx).await;
            assert!(read.unwrap_err().to_string().contains("permission denied"), "{role} {view}");
            sqlx::query("ROLLBACK TO before").execute(&mut *tx).await.unwrap();
        }
    }
}
