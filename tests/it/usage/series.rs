//! Usage by two dimensions, and over time.

use serde_json::json;

use super::{Sessions, Usage, count_anew, find_month, months_ago, name, sessions};
use crate::support::TestApp;

#[tokio::test]
async fn specialties_are_crossed_with_modes_in_whole_rows() {
    let app = TestApp::start().await;
    let acme = Usage::new(&app, "Acme", 200).await;
    let last = months_ago(&app, 1);
    let held = |specialty, mode, people| Sessions { mode, ..sessions(last, specialty, people, 1) };
    acme.hold(held("psychology", "video", 0..40)).await;
    acme.hold(held("psychology", "audio", 0..20)).await;
    acme.hold(held("sleep", "video", 40..80)).await;
    acme.hold(held("sleep", "audio", 40..43)).await;
    acme.hold(held("coaching", "video", 80..110)).await;
    acme.hold(held("coaching", "audio", 80..100)).await;
    count_anew(&app).await;
    let report = acme.report(&format!("from={0}&to={0}&by=mode,specialty", name(last))).await;
    let month = find_month(&report, last);
    let cell = |specialty: &str, mode: &str| {
        let cells = month["cells"].as_array().unwrap();
        let mut it = cells.iter().find(|it| it["specialty"] == specialty && it["mode"] == mode).unwrap().clone();
        it.as_object_mut().unwrap().retain(|member, _| !["specialty", "mode"].contains(&member.as_str()));
        it
    };
    // three people slept badly by telephone: what is left of a column when the whole rows are taken away would tell it
    assert_eq!(cell("sleep", "audio"), json!({"withheld": "small_group"}));
    assert_eq!(cell("sleep", "video"), json!({"withheld": "small_group"}));
    assert_eq!(cell("coaching", "audio"), json!({"withheld": "derivable"}));
    assert_eq!(cell("psychology", "video"), json!({"sessions": 40, "people": 40}));
    assert_eq!(cell("psychology", "audio"), json!({"sessions": 20, "people": 20}));
    // nobody wrote, and nobody was fed
    assert_eq!(cell("sleep", "chat")["sessions"], 0);
    assert_eq!(cell("nutrition", "video")["sessions"], 0);
    assert_eq!(month["totals"]["sessions"], 153);
}

#[tokio::test]
async fn a_department_of_which_nearly_all_came_is_not_told() {
    let app = TestApp::start().await;
    let acme = Usage::new(&app, "Acme", 100).await;
    let (last, sales, legal) = (months_ago(&app, 1), acme.department("Sales").await, acme.department("Legal").await);
    acme.hold(Sessions { department: Some(sales), ..sessions(last, "sleep", 0..26, 1) }).await;
    acme.staff(sales, 0..30).await;
    acme.hold(Sessions { department: Some(legal), ..sessions(last, "sleep", 30..50, 2) }).await;
    acme.staff(legal, 30..70).await;
    acme.hold(sessions(last, "sleep", 70..90, 3)).await;
    count_anew(&app).await;
    let report = acme.report(&format!("from={0}&to={0}&by=department", name(last))).await;
    let of = |department: &str| super::cell(&report, last, "department", department).clone();
    // “25 of 30” would be told of each of them
    assert_eq!(of("Sales")["withheld"], "small_group");
}

#[tokio::test]
async fn a_series_tells_the_numbers_of_the_months() {
    let app = TestApp::start().await;
    let acme = Usage::new(&app, "Acme", 60).await;
    for ago in 1..=3 {
        acme.hold(sessions(months_ago(&app, ago), "sleep", 0..20, ago as usize)).await;
    }
    count_anew(&app).await;
    let (from, to) = (name(months_ago(&app, 3)), name(months_ago(&app, 0)));
    let query = format!("from={from}&to={to}&by=specialty");
    let hr = &acme.company.hr;
    let told = hr.get(&format!("/reports/usage/timeseries?{query}")).await.expect(200).json;
    let report = acme.report(&query).await;
    assert_eq!(told["asOf"], report["asOf"]);
    assert_eq!(told["months"], json!([from, name(months_ago(&app, 2)), name(months_ago(&app, 1))]));
    assert_eq!(told["series"].as_array().unwrap().len(), 6);
    for month in report["months"].as_array().unwrap() {
        let point = |points: &serde_json::Value| {
            let mut it = points.as_array().unwrap().iter().find(|it| it["month"] == month["month"]).unwrap().clone();
            it.as_object_mut().unwrap().shift_remove("month");
            it
        };
        assert_eq!(point(&told["totals"]), month["totals"]);
        for cell in month["cells"].as_array().unwrap() {
            let series =
                told["series"].as_array().unwrap().iter().find(|it| it["specialty"] == cell["specialty"]).unwrap();
            let mut cell = cell.clone();
            cell.as_object_mut().unwrap().shift_remove("specialty");
            assert_eq!(point(&series["points"]), cell);
        }
    }
    for user in [app.employee(&acme.company).await, app.practitioner().await] {
        user.get(&format!("/reports/usage/timeseries?{query}")).await.refused(403, "forbidden");
    }
    let foreign = format!("/reports/usage/timeseries?{query}&companyId={}", acme.company.id);
    app.company("Globex").await.hr.get(&foreign).await.refused(404, "not_found");
    assert_eq!(app.platform_admin().await.get(&foreign).await.expect(200).json["series"], told["series"]);
    // without a dimension there are totals only
    let plain = hr.get(&format!("/reports/usage/timeseries?from={from}&to={to}")).await.expect(200).json;
    assert_eq!((&plain["series"], &plain["totals"]), (&json!([]), &told["totals"]));
}
