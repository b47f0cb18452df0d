//! A month is published once, and never changes afterwards.

use chrono::{DateTime, TimeDelta, Utc};
use huntzen::platform::auth::Role;
use huntzen::platform::jobs::{Job, Queue};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Refresh, Sessions, Usage, advance, count_anew, find_month, months_ago, name, sessions};
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
    for pause in [TimeDelta::days(62), TimeDelta::hours(1), TimeDelta::hours(1)] {
        advance(&app, pause).await;
        count_anew(&app).await;
    }
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
    let until = async |at: DateTime<Utc>| advance(&app, at - app.clock.now()).await;
    let months =
        async || renewed(&app, &acme).await.get(&format!("/reports/usage?from={0}&to={0}", name(present))).await.json;
    until(end + TimeDelta::days(3) - TimeDelta::minutes(1)).await;
    count_anew(&app).await;
    count_anew(&app).await;
    assert_eq!(months().await["months"], json!([]));
    // the counts before were made in time
    for minutes in [1, 51] {
        until(end + TimeDelta::days(3) + TimeDelta::minutes(minutes)).await;
        count_anew(&app).await;
        assert_eq!(months().await["months"], json!([]), "{minutes}");
    }
    until(end + TimeDelta::days(3) + TimeDelta::minutes(102)).await;
    count_anew(&app).await;
    assert_eq!(find_month(&months().await, present)["totals"], json!({"withheld": "small_group"}));
}

/// What is published of months that are not over, however the clocks jump; where the first of it was seen.
async fn published_by_jumps(app: &TestApp) -> Option<String> {
    count_anew(app).await;
    let published = app.count("SELECT count(*) FROM app.usage_months").await;
    let is_more = async || {
        app.count("SELECT count(*) FROM app.usage_months").await != published
            || app.count("SELECT count(*) FROM app.payroll_months WHERE month > now()").await != 0
    };
    for days in [400, -400, -30, 30] {
        // a retry, another node, a count that waited for the first: each at the same clock
        for clock in [TimeDelta::days(days), TimeDelta::seconds(2), TimeDelta::seconds(2), TimeDelta::hours(1)] {
            app.clock.advance(clock);
            count_anew(app).await;
            if is_more().await {
                return Some(format!("{days} days, {clock}"));
            }
        }
    }
    app.clock.advance(-TimeDelta::seconds(4 * 3604));
    // the database's clock jumps with it: once is not enough
    for days in [400, -400] {
        for clock in [TimeDelta::days(days), TimeDelta::seconds(2), TimeDelta::seconds(2)] {
            advance(app, clock).await;
            count_anew(app).await;
            if is_more().await {
                return Some(format!("both {days} days, {clock}"));
            }
        }
    }
    let later = "SELECT count(*) FROM app.usage_refreshes WHERE counted_from > now()";
    (app.count(later).await != 0).then(|| "nothing would be counted any more".to_owned())
}

/// What a clock says once is not enough to close a month for good.
#[tokio::test]
async fn a_clock_that_jumps_publishes_nothing() {
    let app = TestApp::start().await;
    let acme = Usage::new(&app, "Acme", 60).await;
    assert_eq!(published_by_jumps(&app).await, None);
    let range = format!("from={0}&to={0}", name(months_ago(&app, 0)));
    assert_eq!(acme.report(&range).await["months"], json!([]));
}

/// Each is what somebody could have written instead: the test above sees it.
#[tokio::test]
async fn a_clock_that_jumps_would_publish_months_if_counting_took_it_at_its_word() {
    for (what, changes) in [
        ("a retry is the second time", &[("refresh", "interval '50 minutes'", "interval '0'")][..]),
        (
            "the program's clock is taken at its word",
            &[
                (
                    "refresh",
                    "stats.clock() BETWEEN refresh.at - interval '10 minutes' AND refresh.at + interval '1 hour'",
                    "true",
                ),
                ("publish", ", stats.clock())", ")"),
            ][..],
        ),
    ] {
        let app = TestApp::start().await;
        Usage::new(&app, "Acme", 60).await;
        for (function, from, to) in changes {
            let sound: String = sqlx::query_scalar(
                "SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'stats'::regnamespace AND proname = $1",
            )
            .bind(function)
            .fetch_one(app.db())
            .await
            .unwrap();
            let weaker = sound.replace(from, to);
            assert_ne!(weaker, sound, "{what}: nothing of {function} was replaced");
            sqlx::raw_sql(sqlx::AssertSqlSafe(weaker)).execute(app.db()).await.unwrap();
        }
        let seen = published_by_jumps(&app).await;
        println!("{what}: {seen:?}");
        assert!(seen.is_some(), "nobody would see that {what}");
    }
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

/// Something of maintenance that can be held up.
#[derive(Serialize, Deserialize)]
struct Purge {}

impl Job for Purge {
    const KIND: &'static str = "jobs.purge_answers";
    const QUEUE: Queue = Queue::Maintenance;
}

/// Waits until a statement says so.
async fn until(app: &TestApp, statement: &'static str) {
    let until = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while app.count(statement).await == 0 {
        assert!(std::time::Instant::now() < until, "never: {statement}");
        tokio::task::yield_now().await;
    }
}

/// Counting may take hours: what the clock does every minute is done meanwhile, and the other way round.
#[tokio::test]
async fn counting_holds_up_no_maintenance_and_none_holds_it_up() {
    let app = TestApp::start().await;
    app.settle().await;
    let counted = "SELECT count(*) FROM app.usage_refreshes WHERE refreshed_at > now() - interval '1 minute'";
    let purged = "SELECT count(*) FROM apalis.jobs WHERE status = 'Done' AND job_type = 'maintenance'";
    sqlx::raw_sql("UPDATE app.usage_refreshes SET refreshed_at = '2026-01-01', refreshed_before = '2026-01-01'")
        .execute(app.db())
        .await
        .unwrap();
    // somebody counts, and takes long
    let mut held = app.db().begin().await.unwrap();
    sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended('stats.refresh', 0))")
        .execute(&mut *held)
        .await
        .unwrap();
    app.enqueue(&Refresh {}).await;
    app.until_one_waits().await;
    app.enqueue(&Purge {}).await;
    until(&app, purged).await;
    assert_eq!(app.count(counted).await, 0);
    // however long: what a worker waits for otherwise does not hold for it
    let patient = "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid)
                   WHERE NOT l.granted AND a.datname = current_database() AND a.query LIKE '%stats.refresh%'";
    assert_eq!(app.count(patient).await, 1);
    held.commit().await.unwrap();
    app.settle().await;
    assert_eq!(app.count(counted).await, 1);

    // maintenance that takes long
    sqlx::raw_sql("UPDATE app.usage_refreshes SET refreshed_at = '2026-01-01', refreshed_before = '2026-01-01'")
        .execute(app.db())
        .await
        .unwrap();
    let mut held = app.db().begin().await.unwrap();
    sqlx::query("LOCK TABLE app.idempotency_keys IN ACCESS EXCLUSIVE MODE").execute(&mut *held).await.unwrap();
    app.enqueue(&Purge {}).await;
    app.until_one_waits().await;
    app.enqueue(&Refresh {}).await;
    until(&app, counted).await;
    held.commit().await.unwrap();
    app.settle().await;
}

/// Nobody cuts a count or a publication short: the next try would begin anew, and be cut short as well.
#[tokio::test]
async fn counting_and_publishing_have_no_time_in_which_they_must_be_done() {
    let app = TestApp::start().await;
    let usage = Usage::new(&app, "Acme", 40).await;
    usage.hold(sessions(months_ago(&app, 2), "sleep", 0..30, 1)).await;
    // the functions say which time they were given
    sqlx::raw_sql(
        "CREATE TABLE public.given (function text, timeout text);
         GRANT INSERT ON public.given TO PUBLIC;
         GRANT USAGE ON SCHEMA public TO huntzen_stats",
    )
    .execute(app.db())
    .await
    .unwrap();
    for function in ["refresh", "publish"] {
        let sound: String = sqlx::query_scalar(
            "SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'stats'::regnamespace AND proname = $1",
        )
        .bind(function)
        .fetch_one(app.db())
        .await
        .unwrap();
        let says =
            format!("BEGIN INSERT INTO public.given VALUES ('{function}', current_setting('statement_timeout'));");
        let told = sound.replacen("BEGIN", &says, 1);
        assert_ne!(told, sound);
        sqlx::raw_sql(sqlx::AssertSqlSafe(told)).execute(app.db()).await.unwrap();
    }
    count_anew(&app).await;
    assert_eq!(app.count("SELECT count(DISTINCT function) FROM public.given").await, 2);
    assert_eq!(app.count("SELECT count(*) FROM public.given WHERE timeout <> '0'").await, 0);
    usage.report(&format!("from={0}&to={0}", name(months_ago(&app, 2)))).await;
}

/// A first count has years of all companies before it: were all of them looked at for each batch, it would take as long as their
/// number squared.
#[tokio::test]
async fn of_all_months_that_are_left_a_batch_looks_at_its_own() {
    let app = TestApp::start().await;
    sqlx::raw_sql(
        "INSERT INTO app.companies (id, name, contract_starts_on, contract_ends_on, sessions_per_employee, seats, created_at)
         SELECT gen_random_uuid(), 'Company ' || n, '2020-01-01', '2090-01-01', 20, 1000, now() - interval '2 years'
         FROM generate_series(1, 40) n",
    )
    .execute(app.db())
    .await
    .unwrap();
    let mut tx = app.db().begin().await.unwrap();
    // thresholds once for each month; what is counted, and what is published, once for each company
    let looked = "SELECT ARRAY(SELECT seq_scan + coalesce(idx_scan, 0) FROM pg_stat_xact_all_tables
                               WHERE relname IN ('company_usage_monthly', 'reporting_thresholds', 'usage_months') ORDER BY relname)";
    let mut months = Vec::new();
    for some in [
        "SELECT count(*) FROM stats.months_to_publish(now(), 50)",
        "SELECT count(*) FROM stats.months_to_publish(now(), NULL)",
    ] {
        let before: Vec<i64> = sqlx::query_scalar(looked).fetch_one(&mut *tx).await.unwrap();
        let found: i64 = sqlx::query_scalar(some).fetch_one(&mut *tx).await.unwrap();
        let after: Vec<i64> = sqlx::query_scalar(looked).fetch_one(&mut *tx).await.unwrap();
        let looks: Vec<i64> = after.iter().zip(before).map(|(after, before)| after - before).collect();
        months.push((found, <[i64; 3]>::try_from(looks).unwrap()));
    }
    let [(some, [used, thresholds, published]), (all, [all_used, all_thresholds, all_published])] = months[..] else {
        panic!()
    };
    assert!(some == 50 && all > 900, "{months:?}");
    assert!(thresholds <= 60 && all_thresholds >= all, "{months:?}");
    // fifty months are of three companies
    assert!(used <= 6 && published <= 6 && all_used >= 40 && all_published >= 40, "{months:?}");
}
