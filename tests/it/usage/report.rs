//! What the report tells, and to whom.

use chrono::{DateTime, TimeDelta, TimeZone, Utc};
use huntzen::platform::ids::CompanyId;
use serde_json::json;

use super::{Sessions, Usage, cell, count_anew, find_month, months_ago, name, sessions};
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
    assert_eq!(find_month(&early, last)["totals"]["sessions"], 0);

    let counted_from = app.clock.now();
    count_anew(&app).await;
    let report = acme.report(&range).await;
    assert_eq!(report["threshold"], 11);
    assert!(report["asOf"].as_str().unwrap().parse::<DateTime<Utc>>().unwrap() >= counted_from);
    // the present month is not over
    let told: Vec<_> = report["months"].as_array().unwrap().iter().map(|it| it["month"].clone()).collect();
    assert_eq!(told, [json!(name(before)), json!(name(last))]);
    assert_eq!(find_month(&report, last)["totals"], json!({"sessions": 63, "minutes": 3150, "people": 25}));
    let expected = json!({"specialty": "psychology", "sessions": 46, "minutes": 2300, "people": 20});
    assert_eq!(*cell(&report, last, "specialty", "psychology"), expected);
    let expected = json!({"specialty": "sleep", "sessions": 17, "minutes": 850, "people": 15});
    assert_eq!(*cell(&report, last, "specialty", "sleep"), expected);
    // what nobody used is zero, in a month with sessions and in one without
    let expected = json!({"specialty": "nutrition", "sessions": 0, "minutes": 0, "people": 0});
    assert_eq!(*cell(&report, last, "specialty", "nutrition"), expected);
    assert_eq!(find_month(&report, before)["cells"].as_array().unwrap().len(), 6);

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
    assert_eq!(*cell(&report, last, "specialty", "sleep"), json!({"specialty": "sleep", "withheld": "derivable"}));
    assert_eq!(cell(&report, last, "specialty", "psychology")["sessions"], 30);
    assert_eq!(find_month(&report, last)["totals"], json!({"sessions": 63, "minutes": 3150, "people": 30}));
    // nobody is told more by another dimension
    let report = acme.report(&format!("from={0}&to={0}&by=mode", name(last))).await;
    assert_eq!(cell(&report, last, "mode", "video")["sessions"], 63);
}

#[tokio::test]
async fn departments_have_names_and_those_without_one_are_counted_too() {
    let app = TestApp::start().await;
    let acme = Usage::new(&app, "Acme", 60).await;
    let (sales, _legal) = (acme.department("Sales").await, acme.department("Legal").await);
    let last = months_ago(&app, 1);
    acme.hold(Sessions { department: Some(sales), ..sessions(last, "sleep", 0..20, 1) }).await;
    acme.hold(sessions(last, "sleep", 20..40, 1)).await;
    count_anew(&app).await;
    let report = acme.report(&format!("from={0}&to={0}&by=department", name(last))).await;
    let cell_of = |department: &str| cell(&report, last, "department", department);
    let expected = json!({"department": "Sales", "departmentId": sales, "sessions": 20, "minutes": 1000, "people": 20});
    assert_eq!(*cell_of("Sales"), expected);
    assert_eq!(cell_of("Legal")["sessions"], 0);
    let none = cell_of("Sans service");
    assert_eq!(none["sessions"], 20);
    assert!(none.get("departmentId").is_none());
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
    // a month without any session tells so, unless the company is too small for anything
    let range = format!("from={0}&to={0}", name(months_ago(&app, 2)));
    assert_eq!(acme.report(&range).await["months"][0]["totals"]["sessions"], 0);
    assert_eq!(tiny.report(&range).await["months"][0]["totals"], json!({"withheld": "small_group"}));
}

#[tokio::test]
async fn a_company_may_raise_its_threshold() {
    let app = TestApp::start().await;
    let acme = Usage::new(&app, "Acme", 60).await;
    let last = months_ago(&app, 1);
    acme.hold(sessions(last, "sleep", 0..25, 1)).await;
    count_anew(&app).await;
    let range = format!("from={0}&to={0}", name(last));
    assert_eq!(acme.report(&range).await["months"][0]["totals"]["people"], 25);
    sqlx::query("UPDATE app.company_settings SET reporting_threshold = 30").execute(app.db()).await.unwrap();
    let report = acme.report(&range).await;
    assert_eq!(
        (&report["threshold"], &report["months"][0]["totals"]),
        (&json!(30), &json!({"withheld": "small_group"}))
    );
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
    assert_eq!(find_month(&report, before)["totals"]["sessions"], 0);
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
        ("from=2026-01&to=2026-02&by=specialty,mode", "one_dimension", "query:by"),
        ("from=2026-01&to=2026-02&by=person", "invalid", "query:by"),
        ("from=2026-02&to=2026-01", "invalid", "query:to"),
        ("from=2024-01&to=2026-01", "invalid", "query:to"),
        ("from=2026-13&to=2026-12", "invalid", "query:from"),
    ] {
        let refused = hr.get(&format!("/reports/usage?{query}")).await.refused(422, code);
        assert_eq!(refused.json["errors"][0]["pointer"], pointer, "{query}");
    }
    hr.get("/reports/usage?to=2026-01").await.expect(400);
    let future = hr.get("/reports/usage?from=2030-01&to=2030-02").await.expect(200);
    assert_eq!(future.json["months"], json!([]));
}

#[tokio::test]
async fn nobody_but_the_statistics_reads_the_view() {
    let app = TestApp::start().await;
    for role in ["huntzen_hr", "huntzen_company_admin", "huntzen_platform", "huntzen_worker", "huntzen_kernel"] {
        let mut tx = app.db().begin().await.unwrap();
        sqlx::raw_sql(sqlx::AssertSqlSafe(format!("SET LOCAL ROLE {role}"))).execute(&mut *tx).await.unwrap();
        let read = sqlx::query("SELECT * FROM stats.company_usage_monthly").fetch_all(&mut *tx).await;
        assert!(read.unwrap_err().to_string().contains("permission denied"), "{role}");
    }
}
