//! An attack on the counters: whatever HR can obtain, put together, must tell nothing that is withheld.
//!
//! Companies by chance are judged by the engine of the database (`stats.protect`), and all that it tells of each is attacked
//! ([`finder`]). Some go the whole way: sessions in the tables, months published, every answer fetched over the API, before
//! and after each event. That the attack finds something where there is something to be found is shown by weaker engines.

mod finder;
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
                Some(why) => Told::Withheld { is_small: why == "small_group" },
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
    let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    let all: Vec<(usize, (&World, &Answer))> = worlds.iter().zip(answers).enumerate().collect();
    let parts: Vec<(Tally, Vec<String>)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..cores)
            .map(|core| {
                let all = &all;
                scope.spawn(move || {
                    let (mut tally, mut found) = (Tally::default(), Vec::new());
                    for (n, (world, answer)) in all.iter().skip(core).step_by(cores) {
                        let more =
                            attack(world, answer, &mut tally).into_iter().chain(told_of_withheld_columns(answer));
                        found.extend(more.map(|it| format!("company {n}: {it}")));
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

/// What is told of columns that are withheld: each of it would say why they are.
fn told_of_withheld_columns(answer: &Answer) -> Vec<String> {
    let is_withheld =
        |table: &str, row: &str| matches!(answer.get(&Key::new(table, row, "")), Some(Told::Withheld { .. }));
    let crossed = [("specialty,mode", "mode"), ("specialty,department", "department")];
    let told = answer.iter().filter(|(key, told)| {
        let of = crossed.iter().find(|(table, _)| *table == key.table);
        of.is_some_and(|(_, columns)| is_withheld(columns, &key.column))
            && matches!(told, Told::Shown { sessions: 1.., .. })
    });
    told.map(|(key, told)| format!("{key:?}: {told:?}")).collect()
}

/// One session for each of so many people of a department in a specialty, from some person on.
fn some(department: &str, specialty: &'static str, people: std::ops::Range<usize>) -> impl Iterator<Item = Fact> {
    let department = department.to_owned();
    people.map(move |person| Fact { person, specialty, mode: "video", department: department.clone(), minutes: 50 })
}

#[tokio::test]
async fn a_department_that_is_withheld_is_told_in_no_table() {
    let app = TestApp::start().await;
    let mut facts = Vec::new();
    // of 22 people 20 came, nearly everybody: 16 for one thing and 14 for another
    facts.extend(some("x", "psychology", 0..16).chain(some("x", "coaching", 6..20)));
    facts.extend(some("y", "psychology", 100..112).chain(some("y", "coaching", 109..114)));
    facts.extend(some("z", "psychology", 200..230).chain(some("z", "coaching", 225..260)));
    let groups = vec![("x".to_owned(), 22), ("y".to_owned(), 60), ("z".to_owned(), 100)];
    let world = World { k: 11, groups, facts, lengths: None };
    let answer = ask(app.db(), &[world]).await.remove(0);
    let told = |table: &str, row: &str, column: &str| &answer[&Key::new(table, row, column)];
    assert_eq!(told("department", "x", ""), &Told::Withheld { is_small: true });
    assert!(matches!(told("specialty", "psychology", ""), Told::Shown { sessions: 58, .. }));
    // fifteen of them would not be "few": it would be known that nearly all came
    assert!(matches!(told("specialty,department", "psychology", "x"), Told::Withheld { .. }));
    assert_eq!(told_of_withheld_columns(&answer), Vec::<String>::new());
}

/// The words that an answer has for tables with departments.
fn words(answer: &Answer) -> Vec<(&Key, Option<bool>)> {
    let told = answer.iter().filter(|(key, _)| key.table.contains("department"));
    told.map(|(key, told)| (key, if let Told::Withheld { is_small } = told { Some(*is_small) } else { None })).collect()
}

#[tokio::test]
async fn a_department_made_of_one_person_who_may_come_says_nothing_of_them() {
    let app = TestApp::start().await;
    // twenty colleagues who were moved there, or whom somebody invented, come for nothing
    let groups: Vec<_> = [("t", 21), ("y", 60), ("z", 100)].map(|(key, size)| (key.to_owned(), size)).into();
    let mut without: Vec<Fact> = some("y", "psychology", 100..130).chain(some("y", "coaching", 125..150)).collect();
    without.extend(some("z", "psychology", 200..240).chain(some("z", "coaching", 230..270)));
    let with = |specialty| without.iter().cloned().chain(some("t", specialty, 0..1)).collect::<Vec<_>>();
    let worlds: Vec<_> = [without.clone(), with("psychology"), with("coaching")]
        .map(|facts| World { k: 11, groups: groups.clone(), facts, lengths: None })
        .into();
    let answers = ask(app.db(), &worlds).await;
    assert_eq!(answers[0][&Key::new("department", "t", "")], Told::Withheld { is_small: true });
    assert!(matches!(answers[0][&Key::new("total", "", "")], Told::Shown { .. }));
    for answer in &answers[1..] {
        assert_eq!(words(answer), words(&answers[0]));
    }
    // of a company of which nobody came no more than of one of which few did
    let few: Vec<Fact> = some("y", "psychology", 100..103).collect();
    let worlds: Vec<_> =
        [Vec::new(), few].map(|facts| World { k: 11, groups: groups.clone(), facts, lengths: None }).into();
    let answers = ask(app.db(), &worlds).await;
    assert_eq!(answers[0], answers[1]);
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
        "tells minutes of all that it tells",
        "protect",
        &[("a.word IS NULL AND (a.sessions = 0 OR", "a.word IS NULL AND (true OR")],
    ),
    (
        "tells cells of withheld columns",
        "protect",
        &[(
            "CASE WHEN c.word IS NULL THEN g.is_safe OR g.sessions = 0",
            "CASE WHEN true THEN g.is_safe OR g.sessions = 0",
        )],
    ),
    (
        "tells one beside a small cell",
        "withhold",
        &[("least(small + 1, cells)", "small"), ("IF hidden >= 2 AND pooled_time > 0", "IF true OR pooled_time > 0")],
    ),
    ("tells small cells", "is_safe", &[("people >= k", "people >= k - 4")]),
    ("tells that nearly all came", "is_safe", &[("AND people <= eligible - step", "")]),
    (
        "takes the first range for wide enough",
        "withhold",
        &[("IF hidden >= 2 AND pooled_time > 0", "IF true OR pooled_time > 0")],
    ),
    ("shows all whole rows", "protect", &[("HAVING bool_and(rest = 0 OR told = 0 OR rests_on_many)", "")]),
    (
        "shows rows cell by cell",
        "protect",
        &[(
            "WHEN p.has_small THEN 'small_group' ELSE 'derivable' END",
            "WHEN p.is_safe THEN NULL ELSE 'small_group' END",
        )],
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
            Some(why) => Told::Withheld { is_small: why == "small_group" },
            None => {
                let minutes = it["minutes"].as_i64().map(|minutes| i32::try_from(minutes).unwrap());
                Told::Shown { sessions: number("sessions"), minutes, people: number("people") }
            }
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
        world.lengths = Some([50; 6]);
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
