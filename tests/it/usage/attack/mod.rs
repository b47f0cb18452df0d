//! An attack on the counters: whatever HR can obtain, put together, must tell nothing that is withheld.
//!
//! Companies by chance are judged by the engine of the database (`stats.protect`), and all that it tells of each is attacked
//! ([`finder`]). Some go the whole way: sessions in the tables, months published, every answer fetched over the API, before
//! and after each event. That the attack finds something where there is something to be found is shown by weaker engines.

mod finder;
mod months;
mod tables;
mod world;

use std::collections::BTreeMap;
use std::time::Instant;

use chrono::NaiveDate;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgPool, Row};
use uuid::Uuid;

use self::finder::{Tally, attack, compare};
use self::world::{Answer, Dice, Fact, Key, STEP, Told, World};
use super::{Sessions, Usage, count_anew, months_ago, name};
use crate::support::{Answer as Http, TestApp};

/// What the engine tells of each.
async fn ask(db: &PgPool, worlds: &[World]) -> Vec<Answer> {
    let mut answers = Vec::new();
    for some in worlds.chunks(50) {
        let questions: Vec<Value> = some.iter().map(World::question).collect();
        let rows = sqlx::query(
            "SELECT q.n, p.* FROM jsonb_array_elements($1) WITH ORDINALITY AS q (it, n),
                 LATERAL stats.protect((it ->> 'k')::int, $2, (it ->> 'eligible')::int,
                     ARRAY(SELECT c FROM jsonb_populate_recordset(NULL::stats.counted, it -> 'cells') c)) p",
        )
        .bind(json!(questions))
        .bind(STEP)
        .fetch_all(db)
        .await
        .unwrap();
        let first = answers.len();
        answers.resize(first + some.len(), Answer::new());
        for row in rows {
            let place = first + usize::try_from(row.get::<i64, _>("n") - 1).unwrap();
            let key = Key { table: row.get("dimensions"), row: row.get("row_key"), column: row.get("column_key") };
            let told = match row.get::<Option<String>, _>("withheld").as_deref() {
                Some("small_group") => Told::Withheld,
                Some(why) => panic!("another reason: {why}"),
                None => Told::Shown {
                    sessions: row.get("sessions"),
                    minutes: row.get("minutes"),
                    people: row.get("people"),
                },
            };
            answers[place].insert(key, told);
        }
    }
    answers
}

/// Attacks each on all cores; what is found, with the company's number.
fn attack_all(worlds: &[World], answers: &[Answer]) -> (Tally, Vec<String>) {
    let all: Vec<(&World, &Answer)> = worlds.iter().zip(answers).collect();
    in_parts(&all, |(world, answer), tally| attack(world, answer, tally))
}

fn in_parts<T: Sync>(all: &[T], attack: impl Fn(&T, &mut Tally) -> Vec<String> + Sync) -> (Tally, Vec<String>) {
    let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    let attack = &attack;
    let parts: Vec<(Tally, Vec<String>)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..cores)
            .map(|core| {
                scope.spawn(move || {
                    let (mut tally, mut found) = (Tally::default(), Vec::new());
                    for (n, it) in all.iter().enumerate().skip(core).step_by(cores) {
                        found.extend(attack(it, &mut tally).into_iter().map(|what| format!("company {n}: {what}")));
                    }
                    (tally, found)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let mut tally = Tally::default();
    let mut found = Vec::new();
    for (its, what) in parts {
        tally.add(&its);
        found.extend(what);
    }
    (tally, found)
}

fn companies() -> u64 {
    std::env::var_os("HUNTZEN_ATTACK").and_then(|text| text.to_str()?.parse().ok()).unwrap_or(1000)
}

#[tokio::test]
async fn nothing_that_is_withheld_follows_from_what_a_thousand_companies_are_told() {
    let app = TestApp::start().await;
    let begun = Instant::now();
    let worlds: Vec<World> = (0..companies()).map(World::random).collect();
    let answers = ask(app.db(), &worlds).await;
    let (tally, found) = attack_all(&worlds, &answers);
    println!(
        "attack on the counters: {} months, {} of them told, {} withheld cells, {} linear programs in {:.0} s; the least \
         uncertain withheld number can be {} values; found {}",
        tally.months,
        tally.told,
        tally.withheld,
        tally.programs,
        begun.elapsed().as_secs_f64(),
        tally.narrowest.unwrap_or_default(),
        found.len(),
    );
    assert!(found.is_empty(), "{} found, such as {:#?}", found.len(), &found[..found.len().min(5)]);
    assert!(tally.told * 3 > tally.months, "nearly nothing is told: {tally:?}");
}

/// Each is an engine that somebody could have written instead: what is replaced, and by what.
#[allow(clippy::type_complexity)]
const WEAKER: [(&str, &str, &[(&str, &str)]); 8] = [
    (
        "withholds nothing beside a small cell",
        "withhold",
        &[(
            "array_agg(NOT c.is_safe OR n = (SELECT b.n FROM beside b) ORDER BY n)",
            "array_agg(NOT c.is_safe ORDER BY n)",
        )],
    ),
    ("tells small cells", "is_safe", &[("people >= k", "people >= k - 4")]),
    ("tells that nearly all came", "is_safe", &[("AND people <= eligible - step", "")]),
    ("takes any range for wide enough", "withhold", &[("p.size >= k + step AND", "")]),
    (
        "withholds more beside a department than can have come from it",
        "withhold",
        &[("AND (NOT disjoint OR p.size <= b.eligible - step)", "")],
    ),
    (
        "shows the cells of columns that it withholds",
        "protect",
        &[(
            "c.row_class <> '*' AND c.column_class <> '*'",
            "c.row_class <> '*' AND (c.column_class <> '*' OR c.is_safe)",
        )],
    ),
    (
        "tells minutes beside what it withholds",
        "protect",
        &[(
            "CASE WHEN NOT bool_or(a.is_hidden) OVER () THEN a.minutes END",
            "CASE WHEN NOT a.is_hidden THEN a.minutes END",
        )],
    ),
    (
        "shows all whole rows",
        "protect",
        &[("NOT EXISTS (SELECT FROM tight t WHERE t.dimensions = c.dimensions)", "true")],
    ),
];

#[tokio::test]
async fn the_attack_finds_what_a_weaker_engine_would_tell() {
    let app = TestApp::start().await;
    let worlds: Vec<World> = (0..400).map(World::random).collect();
    for (what, function, changes) in WEAKER {
        let (signature, sound): (String, String) = sqlx::query_as(
            "SELECT p.oid::regprocedure::text, pg_get_functiondef(p.oid) FROM pg_proc p
             WHERE p.pronamespace = 'stats'::regnamespace AND p.proname = $1",
        )
        .bind(function)
        .fetch_one(app.db())
        .await
        .unwrap();
        let mut weaker = sound.clone();
        for (from, to) in changes {
            weaker = weaker.replace(from, to);
        }
        assert_ne!(weaker, sound, "{what}: nothing of {signature} was replaced");
        sqlx::raw_sql(AssertSqlSafe(weaker)).execute(app.db()).await.unwrap();
        let answers = ask(app.db(), &worlds).await;
        let (_, found) = attack_all(&worlds, &answers);
        println!("an engine that {what}: {} found, such as {:?}", found.len(), found.first());
        assert!(!found.is_empty(), "an engine that {what} was not seen through");
        sqlx::raw_sql(AssertSqlSafe(sound)).execute(app.db()).await.unwrap();
    }
}

/// Were a month told anew after each event, the difference would be one person's.
#[tokio::test]
async fn the_attack_finds_what_a_month_that_is_told_twice_would_tell() {
    let app = TestApp::start().await;
    let before: Vec<World> = (0..100).map(World::random).filter(|world| !world.facts.is_empty()).collect();
    let after: Vec<World> = before
        .iter()
        .map(|world| {
            let mut world = world.clone();
            world.facts.pop();
            world
        })
        .collect();
    let (before, after) = (ask(app.db(), &before).await, ask(app.db(), &after).await);
    assert!(before.iter().zip(&after).any(|(before, after)| !compare(before, after).is_empty()));
}

/// Puts what happened into the tables of a company.
async fn hold(usage: &Usage<'_>, month: NaiveDate, facts: &[Fact], departments: &BTreeMap<String, Uuid>) {
    for it in facts {
        let department = departments.get(&it.department).copied();
        let specialty = it.specialty;
        let people = it.person..it.person + 1;
        let sessions = Sessions { month, specialty, mode: it.mode, department, people, times: 1 };
        usage.hold(sessions).await;
    }
}

/// Everything of a month that HR gets over the API: tables, series, and the files.
async fn fetch(usage: &Usage<'_>, month: NaiveDate) -> Answer {
    let mut answer = Answer::new();
    let mut put = |table: &str, it: &Value| {
        let text = |member: &str| it[member].as_str().unwrap_or_default().to_owned();
        let department = it["departmentId"].as_str().unwrap_or("others").to_owned();
        let (row, column) = match table {
            "specialty" => (text("specialty"), String::new()),
            "mode" => (text("mode"), String::new()),
            "department" => (department, String::new()),
            "specialty,mode" => (text("specialty"), text("mode")),
            "specialty,department" => (text("specialty"), department),
            _ => Default::default(),
        };
        let number = |member: &str| i32::try_from(it[member].as_i64().unwrap()).unwrap();
        let told = match it["withheld"].as_str() {
            Some("small_group") => Told::Withheld,
            Some(why) => panic!("another reason: {why}"),
            None => Told::Shown {
                sessions: number("sessions"),
                minutes: it["minutes"].as_i64().map(|minutes| i32::try_from(minutes).unwrap()),
                people: number("people"),
            },
        };
        let key = Key { table: table.into(), row, column };
        let before = answer.insert(key.clone(), told.clone());
        assert!(before.is_none_or(|before| before == told), "{key:?} is told in two ways");
    };
    let month = name(month);
    for by in ["specialty", "mode", "department", "specialty,mode", "specialty,department"] {
        let report = usage.report(&format!("from={month}&to={month}&by={by}")).await;
        for it in report["months"][0]["cells"].as_array().unwrap() {
            put(by, it);
        }
        put("total", &report["months"][0]["totals"]);
        let path = format!("/reports/usage/timeseries?from={month}&to={month}&by={by}");
        let series = usage.company.hr.get(&path).await.expect(200).json;
        for it in series["series"].as_array().unwrap() {
            let mut point = it["points"][0].clone();
            for member in ["specialty", "mode", "departmentId"] {
                point[member] = it[member].clone();
            }
            put(by, &point);
        }
        put("total", &series["totals"][0]);
    }
    answer
}

/// All files of a month, one after the other.
async fn files(usage: &Usage<'_>, month: NaiveDate) -> Vec<String> {
    let month = name(month);
    let hr = &usage.company.hr;
    let mut files = Vec::new();
    for by in [
        None,
        Some("specialty"),
        Some("mode"),
        Some("department"),
        Some("specialty,mode"),
        Some("specialty,department"),
    ] {
        let body = json!({"kind": "usage", "from": month, "to": month, "by": by});
        let asked = hr.post("/exports", body).await.expect(202);
        usage.app.settle().await;
        let file: Http = hr.get(&format!("/exports/{}/download", asked.str("/id"))).await.expect(200);
        files.push(file.text());
    }
    files
}

#[tokio::test]
async fn nothing_follows_from_all_that_hr_fetches_before_and_after_each_event() {
    let mut tally = Tally::default();
    let mut dice = Dice::new(7);
    let worlds = (5000..)
        .map(World::random)
        .filter(|world| world.k == 11 && (60..160).contains(&world.eligible()) && world.facts.len() > 40);
    for (n, mut world) in worlds.take(3).enumerate() {
        let employees = usize::try_from(world.eligible()).unwrap();
        // of its own, for what is counted here publishes the month of every company
        let app = TestApp::start().await;
        let last = months_ago(&app, 1);
        let acme = Usage::new(&app, &format!("Company {n}"), employees).await;
        // their people in the departments of the world
        let mut departments = BTreeMap::new();
        for (key, _) in world.groups.iter().filter(|(key, _)| key != "others") {
            departments.insert(key.clone(), acme.department(key).await);
        }
        let mut of: Vec<Option<String>> = vec![None; employees];
        for it in &world.facts {
            of[it.person] = Some(it.department.clone());
        }
        for (key, size) in &world.groups {
            let mut size = usize::try_from(*size).unwrap() - of.iter().filter(|it| it.as_ref() == Some(key)).count();
            for it in of.iter_mut().filter(|it| it.is_none()) {
                if size == 0 {
                    break;
                }
                *it = Some(key.clone());
                size -= 1;
            }
        }
        for (person, key) in of.iter().enumerate() {
            if let Some(id) = key.as_ref().and_then(|key| departments.get(key)) {
                acme.staff(*id, person..person + 1).await;
            }
        }
        for it in &mut world.facts {
            it.minutes = 50;
        }
        world.lengths = [50; 6];
        hold(&acme, last, &world.facts, &departments).await;
        count_anew(&app).await;
        // as the API names them
        for (key, _) in &mut world.groups {
            if let Some(id) = departments.get(key) {
                *key = id.to_string();
            }
        }
        for it in &mut world.facts {
            if let Some(id) = departments.get(&it.department) {
                it.department = id.to_string();
            }
        }
        let before = fetch(&acme, last).await;
        assert_eq!(before.keys().collect::<Vec<_>>(), world.cells().keys().collect::<Vec<_>>());
        assert_eq!(before, ask(app.db(), std::slice::from_ref(&world)).await[0], "the API tells what the engine says");
        assert_eq!(attack(&world, &before, &mut tally), Vec::<String>::new());

        // a session more, one less, somebody comes, somebody leaves, somebody goes to another department
        let written = files(&acme, last).await;
        for event in 0..5 {
            let person = dice.below(employees);
            match event {
                0 => hold(&acme, last, &world.facts[..1], &BTreeMap::new()).await,
                1 => {
                    let mut tx = app.db().begin().await.unwrap();
                    sqlx::query("SET LOCAL session_replication_role = replica").execute(&mut *tx).await.unwrap();
                    sqlx::query("DELETE FROM app.consultations WHERE id = (SELECT id FROM app.consultations WHERE company_id = $1 LIMIT 1)")
                        .bind(acme.company.id)
                        .execute(&mut *tx)
                        .await
                        .unwrap();
                    tx.commit().await.unwrap();
                }
                2 => {
                    let new = json!({"email": "new@acme.test", "firstName": "Ana", "lastName": "Silva"});
                    acme.company.hr.post("/employees", new).await.expect(201);
                }
                3 => {
                    acme.company
                        .hr
                        .request(reqwest::Method::DELETE, &format!("/employees/{}", acme.people[person]))
                        .send()
                        .await
                        .unwrap();
                }
                _ => {
                    let id = acme.department("New").await;
                    acme.staff(id, person..person + 1).await;
                }
            }
            count_anew(&app).await;
            assert_eq!(compare(&before, &fetch(&acme, last).await), Vec::<String>::new(), "after event {event}");
        }
        assert_eq!(files(&acme, last).await, written);
    }
    println!("attack over the API: {tally:?}");
}
