//! Twin worlds: in one of them a certain person came, in the other one somebody else did, of whom HR knows nothing. However HR
//! has arranged its directory around that person, every answer is the same in both.

use chrono::NaiveDate;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::{Sessions, Usage, count_anew, months_ago, name, sessions};
use crate::support::TestApp;

/// Everything that HR is told of some months, with departments by their names and nothing that differs between any two companies.
async fn look(usage: &Usage<'_>, from: NaiveDate, to: NaiveDate) -> Vec<Value> {
    let mut seen = Vec::new();
    for by in ["specialty", "mode", "department", "specialty,mode", "specialty,department"] {
        for path in ["/reports/usage", "/reports/usage/timeseries"] {
            let path = format!("{path}?from={}&to={}&by={by}", name(from), name(to));
            let mut answer = usage.company.hr.get(&path).await.expect(200).json;
            forget_ids(&mut answer);
            seen.push(answer);
        }
    }
    seen
}

fn forget_ids(it: &mut Value) {
    match it {
        Value::Object(members) => {
            members.retain(|name, _| !["asOf", "departmentId"].contains(&name.as_str()));
            members.values_mut().for_each(forget_ids);
        }
        Value::Array(items) => items.iter_mut().for_each(forget_ids),
        _ => {}
    }
}

fn in_department(month: NaiveDate, department: Uuid, people: std::ops::Range<usize>) -> Sessions {
    Sessions { department: Some(department), ..sessions(month, "psychology", people, 1) }
}

/// A company of 140: a department of 40 of whom 20 come, one of 60 of whom 30 come, and 40 people in none, of whom 20 come.
async fn company<'a>(app: &'a TestApp, name: &str, month: NaiveDate) -> Usage<'a> {
    let usage = Usage::new(app, name, 140).await;
    let (sales, legal) = (usage.department("Sales").await, usage.department("Legal").await);
    usage.hold(in_department(month, sales, 0..20)).await;
    usage.staff(sales, 20..40).await;
    usage.hold(in_department(month, legal, 40..70)).await;
    usage.staff(legal, 70..100).await;
    usage.hold(sessions(month, "psychology", 100..120, 1)).await;
    usage
}

/// Puts that many people who will never come into a department: entries that HR invents.
async fn invent(usage: &Usage<'_>, department: Option<Uuid>, count: i32) {
    sqlx::query(
        "INSERT INTO app.employees (id, company_id, email, first_name, last_name, department_id, created_at)
         SELECT gen_random_uuid(), $1, 'nobody-' || gen_random_uuid() || '@people.test', 'No', 'Body', $2,
                now() - interval '1 year' FROM generate_series(1, $3)",
    )
    .bind(usage.company.id)
    .bind(department)
    .bind(count)
    .execute(usage.app.db())
    .await
    .unwrap();
}

/// What somebody could have written instead.
const TELLS_NOBODY: &str = "it says of a department that nobody came";
const COUNTS_AS_IT_IS: &str = "it counts by the directory as it is when it counts";
const BOTH: &str = "it does both";

/// Puts one of them in the place of what counts.
async fn weaken(app: &TestApp, how: &str) {
    let mut db = app.db().acquire().await.unwrap();
    if how != COUNTS_AS_IT_IS {
        let sound: String = sqlx::query_scalar(
            "SELECT pg_get_functiondef(oid) FROM pg_proc
             WHERE pronamespace = 'stats'::regnamespace AND proname = 'withhold'",
        )
        .fetch_one(&mut *db)
        .await
        .unwrap();
        let weaker = sound.replace("c.people = 0 AND NOT disjoint", "c.people = 0");
        assert_ne!(weaker, sound);
        sqlx::raw_sql(AssertSqlSafe(weaker)).execute(&mut *db).await.unwrap();
    }
    if how == TELLS_NOBODY {
        return;
    }
    let (sound, view): (String, String) = sqlx::query_as(
        "SELECT pg_get_functiondef(oid), pg_get_viewdef('stats.company_usage_monthly') FROM pg_proc
         WHERE pronamespace = 'stats'::regnamespace AND proname = 'departments'",
    )
    .fetch_one(&mut *db)
    .await
    .unwrap();
    let weaker = sound.replace("e.placed_since <= since", "true");
    let weaker_view = view.replace("GREATEST(e.active_since, e.placed_since)", "e.active_since");
    assert!(weaker != sound && weaker_view != view, "{view}");
    let changes = format!(
        "{weaker}; DROP MATERIALIZED VIEW stats.company_usage_monthly;
         CREATE MATERIALIZED VIEW stats.company_usage_monthly AS {weaker_view}
         CREATE UNIQUE INDEX company_usage_monthly_key
             ON stats.company_usage_monthly (company_id, month, department, specialty, mode);
         ALTER MATERIALIZED VIEW stats.company_usage_monthly OWNER TO huntzen_stats;"
    );
    sqlx::raw_sql(AssertSqlSafe(changes)).execute(&mut *db).await.unwrap();
}

/// Looks at two companies that differ in one thing: whether this person came, or another one. Nothing tells, and were what
/// counts as weak as that, something would.
async fn assert_twins(weaker: &str, arrange: impl AsyncFn(&Usage<'_>, NaiveDate, bool)) {
    let (with, without) = twins(None, &arrange).await;
    assert_eq!(with, without);
    let (with, without) = twins(Some(weaker), &arrange).await;
    assert_ne!(with, without, "nobody would see that {weaker}");
}

async fn twins(weaker: Option<&str>, arrange: &impl AsyncFn(&Usage<'_>, NaiveDate, bool)) -> (Vec<Value>, Vec<Value>) {
    let app = TestApp::start().await;
    if let Some(weaker) = weaker {
        weaken(&app, weaker).await;
    }
    let (first, last) = (months_ago(&app, 2), months_ago(&app, 1));
    let mut seen = Vec::new();
    for (name, came) in [("Acme", true), ("Globex", false)] {
        let usage = company(&app, name, last).await;
        arrange(&usage, last, came).await;
        seen.push(usage);
    }
    count_anew(&app).await;
    let (with, without) = (look(&seen[0], first, last).await, look(&seen[1], first, last).await);
    assert_eq!(with[0]["months"].as_array().unwrap().len(), 2, "nothing is published");
    assert!(with[0]["months"][1]["totals"]["sessions"].is_number(), "nothing is told");
    (with, without)
}

/// The department of one person and of twenty who are invented: nobody came is told by the same words as somebody did.
#[tokio::test]
async fn a_department_made_of_one_person_tells_nothing_of_them() {
    assert_twins(TELLS_NOBODY, async |usage, month, came| {
        let alone = usage.department("Alone").await;
        invent(usage, Some(alone), 20).await;
        usage.staff(alone, 139..140).await;
        // whoever came instead is in none
        let person = if came { 139..140 } else { 120..121 };
        usage.hold(sessions(month, "psychology", person, 1)).await;
    })
    .await;
}

/// Colleagues who are moved in once the month is over do not make its group larger.
#[tokio::test]
async fn a_department_that_is_filled_after_the_month_tells_nothing_of_who_was_in_it() {
    assert_twins(BOTH, async |usage, month, came| {
        let alone = usage.department("Alone").await;
        usage.staff(alone, 139..140).await;
        invent(usage, None, 19).await;
        let person = if came { 139..140 } else { 120..121 };
        usage.hold(sessions(month, "psychology", person, 1)).await;
        let entry = format!("/employees/{}", usage.people[138]);
        usage.company.hr.patch(&entry, json!({"department": "Alone"})).await.expect(200);
        sqlx::query(
            "UPDATE app.employees SET department_id = $2 WHERE company_id = $1 AND email LIKE 'nobody-%@people.test'",
        )
        .bind(usage.company.id)
        .bind(alone)
        .execute(usage.app.db())
        .await
        .unwrap();
    })
    .await;
}

/// Who is moved in the middle of the month is in neither department, and not in both.
#[tokio::test]
async fn somebody_who_is_moved_during_the_month_is_not_found_by_the_sum_of_departments() {
    assert_twins(COUNTS_AS_IT_IS, async |usage, month, came| {
        // booked once as of Sales and once as of Legal
        let sales: Uuid = sqlx::query_scalar("SELECT id FROM app.departments WHERE company_id = $1 AND name = 'Sales'")
            .bind(usage.company.id)
            .fetch_one(usage.app.db())
            .await
            .unwrap();
        if came {
            usage.hold(in_department(month, sales, 39..40)).await;
            usage.hold(sessions(month, "psychology", 39..40, 1)).await;
        } else {
            usage.staff(sales, 39..40).await;
            usage.hold(sessions(month, "psychology", 120..121, 2)).await;
        }
        let entry = format!("/employees/{}", usage.people[39]);
        usage.company.hr.patch(&entry, json!({"department": "Legal"})).await.expect(200);
    })
    .await;
}

/// Few people and many invented ones: whether anybody came is not told at all.
#[tokio::test]
async fn a_company_of_few_who_can_come_is_told_nothing_whether_or_not_they_did() {
    let app = TestApp::start().await;
    let last = months_ago(&app, 1);
    let mut seen = Vec::new();
    for (name, people) in [("Acme", 0..0), ("Globex", 0..1), ("Initech", 0..5)] {
        let usage = Usage::new(&app, name, 5).await;
        invent(&usage, None, 15).await;
        usage.hold(sessions(last, "psychology", people, 1)).await;
        seen.push(usage);
    }
    // all of those who can come, which the invented ones hide
    let many = Usage::new(&app, "Umbrella", 15).await;
    invent(&many, None, 30).await;
    many.hold(sessions(last, "psychology", 0..15, 1)).await;
    seen.push(many);
    count_anew(&app).await;
    let nothing = look(&seen[0], last, last).await;
    assert_eq!(nothing[0]["months"][0]["totals"], json!({"withheld": "small_group"}));
    for usage in &seen[1..] {
        assert_eq!(look(usage, last, last).await, nothing);
    }
}

/// The example by which “few” was once told apart from “nearly all”: cells of a withheld department in rows that were shown.
#[tokio::test]
async fn that_nearly_all_of_a_department_came_follows_from_no_table() {
    let app = TestApp::start().await;
    let last = months_ago(&app, 1);
    let mut seen = Vec::new();
    // of X 20 or 5 of 22 came, and of Y 14 or 29; both specialties have as many people in both together
    for (name, of_x, of_y) in [("Acme", [0..16, 6..20], [0..12, 9..14]), ("Globex", [0..5, 3..5], [0..23, 12..29])] {
        let usage = Usage::new(&app, name, 182).await;
        let mut from = 0;
        for (name, size, came) in [("X", 22, of_x), ("Y", 60, of_y), ("Z", 100, [0..30, 25..60])] {
            let department = usage.department(name).await;
            usage.staff(department, from..from + size).await;
            for (specialty, people) in ["psychology", "coaching"].into_iter().zip(came) {
                let it = in_department(last, department, people.start + from..people.end + from);
                usage.hold(Sessions { specialty, ..it }).await;
            }
            from += size;
        }
        seen.push(usage);
    }
    count_anew(&app).await;
    let (nearly_all, few) = (look(&seen[0], last, last).await, look(&seen[1], last, last).await);
    assert_eq!(nearly_all[0]["months"][0]["totals"], json!({"sessions": 112, "people": 90}));
    assert!(nearly_all[4]["months"][0]["cells"].as_array().unwrap().iter().any(|it| it["sessions"].is_number()));
    assert_eq!(nearly_all, few);
}

/// Groups by the threshold that a company sets when the month is over, and judgement by the one that it had.
#[tokio::test]
async fn another_threshold_between_a_months_end_and_its_publication_makes_no_other_groups() {
    let (as_it_was, changed) = by_threshold(false).await;
    assert_eq!(as_it_was, changed);
    let (as_it_was, changed) = by_threshold(true).await;
    assert_ne!(as_it_was, changed, "nobody would see groups that are made by today's threshold");
}

/// What two companies are told that had a threshold of 40 all month, of which one then sets ten.
async fn by_threshold(is_weaker: bool) -> (Vec<Value>, Vec<Value>) {
    let app = TestApp::start().await;
    if is_weaker {
        let sound: String = sqlx::query_scalar(
            "SELECT pg_get_functiondef(oid) FROM pg_proc
             WHERE pronamespace = 'stats'::regnamespace AND proname = 'publish'",
        )
        .fetch_one(app.db())
        .await
        .unwrap();
        let todays = "(SELECT s.reporting_threshold FROM app.company_settings s WHERE s.company_id = it.company)";
        let grid = "stats.grid(it.company, it.month, it.since, it.threshold)";
        let weaker = sound.replace(grid, &grid.replace("it.threshold", todays));
        assert_ne!(weaker, sound);
        sqlx::raw_sql(AssertSqlSafe(weaker)).execute(app.db()).await.unwrap();
    }
    let last = months_ago(&app, 1);
    let mut seen = Vec::new();
    for name in ["Acme", "Globex"] {
        let usage = Usage::new(&app, name, 320).await;
        let mut from = 0;
        // of 30 people each time 20 came: a group of its own by ten, and by forty a part of the rest
        for (name, size, came) in [("Small", 30, 20), ("Sales", 120, 60), ("Legal", 110, 70)] {
            let department = usage.department(name).await;
            usage.staff(department, from..from + size).await;
            usage.hold(in_department(last, department, from..from + came)).await;
            from += size;
        }
        usage.hold(sessions(last, "psychology", from..from + 45, 1)).await;
        sqlx::query("UPDATE app.company_settings SET reporting_threshold = 40 WHERE company_id = $1")
            .bind(usage.company.id)
            .execute(app.db())
            .await
            .unwrap();
        // so it has been for ever
        sqlx::query("UPDATE app.reporting_thresholds SET threshold = 40 WHERE company_id = $1")
            .bind(usage.company.id)
            .execute(app.db())
            .await
            .unwrap();
        seen.push(usage);
    }
    let settings = format!("/companies/{}/settings", seen[1].company.id);
    seen[1].company.admin.patch(&settings, json!({"reportingThreshold": 10})).await.expect(200);
    count_anew(&app).await;
    let mut told = Vec::new();
    for usage in &seen {
        let mut its = look(usage, last, last).await;
        // what is set now is told as what is set now
        for it in &mut its {
            it.as_object_mut().unwrap().remove("threshold");
        }
        told.push(its);
    }
    assert!(
        told[0][2]["months"][0]["cells"].as_array().unwrap().iter().any(|it| it["sessions"].is_number()),
        "{told:?}"
    );
    let changed = told.pop().unwrap();
    (told.pop().unwrap(), changed)
}
