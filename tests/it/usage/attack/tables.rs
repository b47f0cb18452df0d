//! Companies whose people, departments and sessions of several months are in the tables: counted and published as the schedule
//! does, and read as HR reads. So what is attacked is the views, groups, cells and rows, not the engine alone.
//!
//! Between and within the months people join, move to another department, leave, and get their accounts; some never do.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, TimeDelta, TimeZone, Utc};
use chrono_tz::Europe::Paris;
use huntzen::platform::db::DbRole;
use huntzen::platform::ids::UserId;
use sqlx::{AssertSqlSafe, Row};
use uuid::Uuid;

use super::finder::{Tally, attack, compare};
use super::months::{Months, Place, attack_both};
use super::world::{Answer, Dice, Fact, Key, LENGTHS, MODES, SPECIALTIES, Told, World, grouped};
use super::{companies, in_parts, months_ago};
use crate::support::TestApp;

const MONTHS: usize = 3;

/// When something happened: before all months, or in the middle of one.
type Since = Option<usize>;

/// Somebody of the directory.
struct Person {
    department: usize,
    active: Since,
    placed: Since,
    /// `None`: never.
    account: Option<Since>,
    has_left: bool,
}

/// Whether it was so when a month began.
fn by(since: Since, month: usize) -> bool {
    since.is_none_or(|since| since < month)
}

impl Person {
    /// Whether they can have sessions in a month: from the one in which they joined on, with an account from its beginning
    /// on or, of those who joined in it, since then.
    fn can_come(&self, month: usize) -> bool {
        let is_there = by(self.active, month) || self.active == Some(month);
        is_there && self.account.is_some_and(|since| by(since, month) || since == self.active && since == Some(month))
    }

    fn is_counted(&self, month: usize) -> bool {
        !self.has_left && by(self.active, month)
    }

    /// In which department they are counted.
    fn department(&self, month: usize) -> Option<usize> {
        by(self.placed, month).then_some(self.department)
    }
}

struct Company {
    number: usize,
    people: Vec<Person>,
    worlds: Vec<World>,
    places: Vec<Vec<Place>>,
    quota: i32,
}

/// Ids in the order of their numbers, which is the order in which departments of one size are counted by themselves.
fn id(kind: u8, company: usize, number: usize) -> Uuid {
    Uuid::from_u128(u128::from(kind) << 120 | (company as u128) << 40 | number as u128)
}

impl Company {
    fn random(number: usize) -> Self {
        let mut dice = Dice::new(900_000 + number as u64);
        let k = *dice.pick(&[10, 11, 11, 12, 15]);
        let employees = 20 + dice.below(260);
        let departments = 1 + dice.below(6);
        let (spread, change, strangers) = (dice.part() * 1.5, dice.part() * 0.15, dice.part() * 0.3);
        let people: Vec<Person> = (0..employees)
            .map(|_| {
                let department = dice.skewed(departments, spread);
                let account = if dice.part() < strangers { None } else { Some(None) };
                let mut it = Person { department, active: None, placed: None, account, has_left: false };
                if dice.part() < change {
                    let month = Some(dice.below(MONTHS));
                    match dice.below(4) {
                        0 => (it.active, it.placed, it.account) = (month, month, it.account.map(|_| month)),
                        1 => it.placed = month,
                        2 => it.account = Some(month),
                        _ => it.has_left = true,
                    }
                }
                it
            })
            .collect();
        let quota = 3 + i32::try_from(dice.below(9)).unwrap();
        let (share, again, faithful) = (dice.part(), dice.part() * 0.8, dice.part());
        let (by_specialty, by_mode) = (dice.part() * 3.0, dice.part() * 3.0);
        let (mut left, mut came) = (vec![quota; employees], vec![false; employees]);
        let mut worlds = Vec::new();
        let mut places = vec![Vec::new(); employees];
        for month in 0..MONTHS {
            let of = |group: Option<&String>| group.cloned().unwrap_or_else(|| "others".into());
            let counted: Vec<Option<usize>> =
                people.iter().filter(|it| it.is_counted(month)).map(|it| it.department(month)).collect();
            let names: BTreeMap<String, String> =
                (0..departments).map(|n| (format!("d{n}"), id(2, number, n).to_string())).collect();
            let groups: Vec<String> =
                grouped(k, &counted).into_iter().map(|(key, _)| names.get(&key).cloned().unwrap_or(key)).collect();
            let group = |person: &Person| {
                let own = person.department(month).filter(|_| person.is_counted(month));
                let own = own.map(|n| id(2, number, n).to_string());
                of(own.as_ref().filter(|own| groups.contains(own)))
            };
            // of how many the numbers are: who had an account when the month began
            let mut eligible: BTreeMap<&str, i32> = groups.iter().map(|key| (key.as_str(), 0)).collect();
            let mut guests = 0;
            for it in &people {
                if it.is_counted(month) && it.account.is_some_and(|since| by(since, month)) {
                    *eligible.get_mut(group(it).as_str()).unwrap() += 1;
                } else if it.can_come(month) {
                    guests += 1;
                }
            }
            let mut facts = Vec::new();
            for (person, it) in people.iter().enumerate() {
                places[person].push((group(it), it.is_counted(month)));
                let likely =
                    if month > 0 && dice.part() < faithful { f64::from(u8::from(came[person])) } else { share };
                if dice.part() >= likely || !it.can_come(month) {
                    continue;
                }
                while left[person] > 0 {
                    came[person] = true;
                    left[person] -= 1;
                    let specialty = dice.skewed(6, by_specialty);
                    facts.push(Fact {
                        person,
                        specialty: SPECIALTIES[specialty],
                        mode: MODES[dice.skewed(3, by_mode)],
                        department: group(it),
                        minutes: LENGTHS[specialty],
                    });
                    if dice.part() > again {
                        break;
                    }
                }
            }
            let groups = groups.iter().map(|key| (key.clone(), eligible[key.as_str()])).collect();
            worlds.push(World { k, groups, guests, facts, lengths: LENGTHS });
        }
        Self { number, people, worlds, places, quota }
    }

    fn id(&self) -> Uuid {
        id(1, self.number, 0)
    }

    /// Two months that follow one another, as a reader puts them together.
    fn two(&self, first: usize) -> Months {
        let places = self.places.iter().map(|of| [of[first].clone(), of[first + 1].clone()]).collect();
        Months { worlds: [self.worlds[first].clone(), self.worlds[first + 1].clone()], places, quota: self.quota }
    }
}

/// Columns of a table that is filled at once.
#[derive(Default)]
struct Columns {
    ids: Vec<Uuid>,
    companies: Vec<Uuid>,
    departments: Vec<Option<Uuid>>,
    people: Vec<Uuid>,
    active: Vec<DateTime<Utc>>,
    placed: Vec<DateTime<Utc>>,
    states: Vec<&'static str>,
    specialties: Vec<&'static str>,
    modes: Vec<&'static str>,
    minutes: Vec<i32>,
}

/// The months that are published, oldest first.
fn months(app: &TestApp) -> Vec<NaiveDate> {
    (1..=u32::try_from(MONTHS).unwrap()).rev().map(|ago| months_ago(app, ago)).collect()
}

fn begin(month: NaiveDate) -> DateTime<Utc> {
    Paris.from_local_datetime(&month.and_hms_opt(0, 0, 0).unwrap()).single().unwrap().to_utc()
}

/// Departments, employees, accounts and sessions of all of them.
fn columns(months: &[NaiveDate], all: &[Company]) -> [Columns; 4] {
    let at = |since: Since| match since {
        None => begin(months[0]) - TimeDelta::days(90),
        Some(month) => begin(months[month]) + TimeDelta::days(12),
    };
    let (mut departments, mut employees, mut users, mut held) =
        (Columns::default(), Columns::default(), Columns::default(), Columns::default());
    for company in all {
        let known: std::collections::BTreeSet<usize> = company.people.iter().map(|it| it.department).collect();
        for n in known {
            departments.ids.push(id(2, company.number, n));
            departments.companies.push(company.id());
        }
        for (n, it) in company.people.iter().enumerate() {
            employees.ids.push(id(3, company.number, n));
            employees.companies.push(company.id());
            employees.departments.push(Some(id(2, company.number, it.department)));
            employees.active.push(at(it.active));
            employees.placed.push(at(it.placed));
            employees.states.push(if it.has_left { "left" } else { "active" });
            if let Some(since) = it.account {
                users.ids.push(id(4, company.number, n));
                users.companies.push(company.id());
                users.people.push(id(3, company.number, n));
                users.active.push(at(since));
            }
        }
        for (month, world) in months.iter().zip(&company.worlds) {
            for it in &world.facts {
                held.people.push(id(4, company.number, it.person));
                held.companies.push(company.id());
                held.specialties.push(it.specialty);
                held.modes.push(it.mode);
                held.minutes.push(it.minutes);
                held.active.push(begin(*month) + TimeDelta::days(15));
            }
        }
    }
    [departments, employees, users, held]
}

/// Puts all of them into the tables as they would be afterwards.
async fn load(app: &TestApp, all: &[Company]) {
    let months = months(app);
    let practitioner = app.practitioner().await;
    let [departments, employees, users, held] = columns(&months, all);
    let mut tx = app.db().begin().await.unwrap();
    sqlx::query("SET LOCAL session_replication_role = replica").execute(&mut *tx).await.unwrap();
    sqlx::query(
        "WITH made AS (
             INSERT INTO app.companies (id, name, contract_starts_on, contract_ends_on, sessions_per_employee, seats, created_at)
             SELECT id, 'Company ' || id, '2020-01-01', '2090-01-01', 20, 1000, $3 FROM unnest($1::uuid[]) id)
         INSERT INTO app.reporting_thresholds (company_id, first_month, threshold)
         SELECT id, '2000-01-01', k FROM unnest($1::uuid[], $2::int[]) it (id, k)",
    )
    .bind(all.iter().map(Company::id).collect::<Vec<_>>())
    .bind(all.iter().map(|it| it.worlds[0].k).collect::<Vec<_>>())
    .bind(begin(months[0]))
    .execute(&mut *tx)
    .await
    .unwrap();
    sqlx::query(
        "INSERT INTO app.departments (id, company_id, name)
         SELECT id, company, 'Department ' || id FROM unnest($1::uuid[], $2::uuid[]) it (id, company)",
    )
    .bind(&departments.ids)
    .bind(&departments.companies)
    .execute(&mut *tx)
    .await
    .unwrap();
    sqlx::query(
        "INSERT INTO app.employees (id, company_id, department_id, email, first_name, last_name, created_at, active_since,
                                    placed_since, status, left_at)
         SELECT id, company, department, id || '@people.test', 'Ana', 'Silva', active, active, placed, status,
                CASE status WHEN 'left' THEN now() END
         FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::timestamptz[], $5::timestamptz[], $6::text[])
             it (id, company, department, active, placed, status)",
    )
    .bind(&employees.ids)
    .bind(&employees.companies)
    .bind(&employees.departments)
    .bind(&employees.active)
    .bind(&employees.placed)
    .bind(&employees.states)
    .execute(&mut *tx)
    .await
    .unwrap();
    sqlx::query(
        "INSERT INTO app.users (id, email, password_hash, role, display_name, status, company_id, employee_id, created_at)
         SELECT id, id || '@people.test', 'x', 'employee', 'Ana', 'active', company, employee, at
         FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::timestamptz[]) it (id, company, employee, at)",
    )
    .bind(&users.ids)
    .bind(&users.companies)
    .bind(&users.people)
    .bind(&users.active)
    .execute(&mut *tx)
    .await
    .unwrap();
    sqlx::query(
        "INSERT INTO app.consultations (id, company_id, user_id, practitioner_id, mode, status, starts_at, ends_at, busy_from,
             busy_until, specialty, started_at, ended_at, duration_minutes)
         SELECT gen_random_uuid(), company, person, $7, mode, 'completed', at, at + len, at, at + len, specialty, at, at + len,
                minutes
         FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::int[], $6::timestamptz[])
                  it (company, person, specialty, mode, minutes, at),
              LATERAL (SELECT make_interval(mins => minutes) AS len) l",
    )
    .bind(&held.companies)
    .bind(&held.people)
    .bind(&held.specialties)
    .bind(&held.modes)
    .bind(&held.minutes)
    .bind(&held.active)
    .bind(practitioner.id)
    .execute(&mut *tx)
    .await
    .unwrap();
    tx.commit().await.unwrap();
    // the planner is to know of them
    sqlx::raw_sql("ANALYZE app.companies, app.employees, app.users, app.consultations")
        .execute(app.db())
        .await
        .unwrap();
}

/// Something happens in every company, after its months were told: a session of one of them comes to light, or is gone, somebody
/// leaves, comes (as if they had always been there), or goes to another department.
async fn go_on(app: &TestApp, all: &[Company]) {
    let some = |event: usize| all.iter().filter(|it| it.number % 5 == event).map(Company::id).collect::<Vec<_>>();
    let mut tx = app.db().begin().await.unwrap();
    sqlx::query("SET LOCAL session_replication_role = replica").execute(&mut *tx).await.unwrap();
    for (event, statement) in [
        "INSERT INTO app.consultations (id, company_id, user_id, practitioner_id, mode, status, starts_at, ends_at, busy_from,
             busy_until, specialty, started_at, ended_at, duration_minutes)
         SELECT DISTINCT ON (company_id) gen_random_uuid(), company_id, user_id, practitioner_id, mode, status, starts_at, ends_at,
                busy_from, busy_until, specialty, started_at, ended_at, duration_minutes
         FROM app.consultations WHERE company_id = ANY ($1) ORDER BY company_id, id",
        "DELETE FROM app.consultations WHERE id IN (
             SELECT DISTINCT ON (company_id) id FROM app.consultations WHERE company_id = ANY ($1) ORDER BY company_id, id)",
        "UPDATE app.employees SET status = 'left', left_at = now() WHERE id IN (
             SELECT DISTINCT ON (c.company_id) u.employee_id FROM app.consultations c JOIN app.users u ON u.id = c.user_id
             WHERE c.company_id = ANY ($1) ORDER BY c.company_id, c.id)",
        "INSERT INTO app.employees (id, company_id, department_id, email, first_name, last_name, created_at, active_since,
                                    placed_since)
         SELECT DISTINCT ON (company_id) gen_random_uuid(), company_id, department_id, 'new-' || email, first_name, last_name,
                created_at, active_since, placed_since
         FROM app.employees WHERE company_id = ANY ($1) AND status = 'active' ORDER BY company_id, id",
        "UPDATE app.employees SET department_id = NULL WHERE id IN (
             SELECT DISTINCT ON (c.company_id) u.employee_id FROM app.consultations c JOIN app.users u ON u.id = c.user_id
             WHERE c.company_id = ANY ($1) ORDER BY c.company_id, c.id)",
    ]
    .into_iter()
    .enumerate()
    {
        let these = some(event);
        let changed = sqlx::query(statement).bind(&these).execute(&mut *tx).await.unwrap().rows_affected();
        assert!(changed * 2 > these.len() as u64, "event {event} happened in {changed} of {} companies", these.len());
    }
    tx.commit().await.unwrap();
}

/// Publishes the months, and reads them as HR of each company does.
async fn publish(app: &TestApp, all: &[Company]) -> Vec<Vec<Answer>> {
    app.count("SELECT 1::bigint FROM stats.refresh(now(), true)").await;
    while app.count("SELECT stats.publish(50)::bigint").await > 0 {}
    let months = months(app);
    let mut conn = app.as_role(DbRole::Hr, app.platform.new_id::<UserId>()).await;
    let mut answers = Vec::new();
    for company in all {
        sqlx::query("SELECT set_config('app.company_id', $1, false)")
            .bind(company.id().to_string())
            .execute(&mut conn)
            .await
            .unwrap();
        let rows = sqlx::query(
            "SELECT month, dimensions, row_key, column_key, sessions, minutes, people, withheld FROM app.usage_cells",
        )
        .fetch_all(&mut conn)
        .await
        .unwrap();
        let mut its = vec![Answer::new(); MONTHS];
        for row in rows {
            let month: NaiveDate = row.get("month");
            let key = Key { table: row.get("dimensions"), row: row.get("row_key"), column: row.get("column_key") };
            let told = match row.get::<Option<String>, _>("withheld") {
                Some(_) => Told::Withheld,
                None => Told::Shown {
                    sessions: row.get("sessions"),
                    minutes: row.get("minutes"),
                    people: row.get("people"),
                },
            };
            its[months.iter().position(|it| *it == month).unwrap()].insert(key, told);
        }
        answers.push(its);
    }
    answers
}

/// Of each month by itself, and of some companies of each two months that follow one another.
fn attack_tables(all: &[Company], answers: &[Vec<Answer>], chained: usize) -> (Tally, Tally, Vec<String>) {
    let each: Vec<(&World, &Answer)> =
        all.iter().zip(answers).flat_map(|(company, its)| company.worlds.iter().zip(its)).collect();
    let (tally, mut found) = in_parts(&each, |(world, answer), tally| attack(world, answer, tally));
    let two: Vec<(Months, [&Answer; 2])> = all
        .iter()
        .zip(answers)
        .take(chained)
        .flat_map(|(company, its)| (0..MONTHS - 1).map(|first| (company.two(first), [&its[first], &its[first + 1]])))
        .collect();
    let (chain, what) = in_parts(&two, |(months, answers), tally| attack_both(months, *answers, tally));
    found.extend(what);
    (tally, chain, found)
}

#[tokio::test]
async fn nothing_follows_from_months_that_were_counted_and_published_out_of_the_tables() {
    let app = TestApp::start().await;
    // they take longer than those of the engine alone
    let count = usize::try_from((companies() / 5).min(1000)).unwrap();
    let begun = std::time::Instant::now();
    let all: Vec<Company> = (0..count).map(Company::random).collect();
    load(&app, &all).await;
    let answers = publish(&app, &all).await;
    let published = begun.elapsed();
    for (company, its) in all.iter().zip(&answers) {
        for (world, answer) in company.worlds.iter().zip(its) {
            let cells = world.cells();
            assert_eq!(answer.keys().collect::<Vec<_>>(), cells.keys().collect::<Vec<_>>(), "{}", company.number);
            // what is shown is what happened
            for (key, told) in answer {
                if let Told::Shown { sessions, people, .. } = told {
                    let (held, came) = (i32::try_from(cells[key].len()).unwrap(), world.people(&cells[key]));
                    assert_eq!((*sessions, *people), (held, came - came % 5), "{key:?} of {}", company.number);
                }
            }
        }
    }
    let (tally, chain, found) = attack_tables(&all, &answers, count / 10);
    // after one event in each, counted as a whole again, they are told the same
    go_on(&app, &all).await;
    let again = publish(&app, &all).await;
    for ((company, before), after) in all.iter().zip(&answers).zip(&again) {
        for (before, after) in before.iter().zip(after) {
            assert_eq!(compare(before, after), Vec::<String>::new(), "company {}", company.number);
        }
    }
    let sessions: usize = all.iter().flat_map(|it| &it.worlds).map(|world| world.facts.len()).sum();
    let without: usize = all.iter().flat_map(|it| &it.people).filter(|it| it.account.is_none()).count();
    let changed = |it: &&Person| it.has_left || it.active.is_some() || it.placed.is_some();
    let changed = all.iter().flat_map(|it| &it.people).filter(changed).count();
    println!(
        "attack on the tables: {count} companies, {} people, {without} of them without an account, {changed} who joined, moved \
         or left, {sessions} sessions; published in {:.0} s, {:.0} s in all; each month: {tally:?}; two months of {} companies \
         together: {chain:?}; found {}",
        all.iter().map(|it| it.people.len()).sum::<usize>(),
        published.as_secs_f64(),
        begun.elapsed().as_secs_f64(),
        count / 10,
        found.len()
    );
    assert!(found.is_empty(), "{} found, such as {:#?}", found.len(), &found[..found.len().min(5)]);
    assert!(tally.told * 3 > tally.months, "nearly nothing is told: {tally:?}");
}

/// Weaker ways to count and to publish: what is replaced in a function, and by what.
const WEAKER: [(&str, &str, &str, &str); 2] = [
    ("counts those as a group who have no account", "grid", "sum(d.eligible)", "sum(d.entries)"),
    ("publishes by a threshold that is too small", "publish", "it.threshold, 5,", "it.threshold - 4, 5,"),
];

#[tokio::test]
async fn the_attack_finds_what_weaker_counting_would_tell() {
    for (what, function, from, to) in WEAKER {
        let app = TestApp::start().await;
        let sound: String = sqlx::query_scalar(
            "SELECT pg_get_functiondef(p.oid) FROM pg_proc p
             WHERE p.pronamespace = 'stats'::regnamespace AND p.proname = $1",
        )
        .bind(function)
        .fetch_one(app.db())
        .await
        .unwrap();
        let weaker = sound.replace(from, to);
        assert_ne!(weaker, sound, "{what}: nothing was replaced");
        sqlx::raw_sql(AssertSqlSafe(weaker)).execute(app.db()).await.unwrap();
        let all: Vec<Company> = (0..60).map(Company::random).collect();
        load(&app, &all).await;
        let answers = publish(&app, &all).await;
        let (_, _, found) = attack_tables(&all, &answers, 0);
        println!("counting that {what}: {} found, such as {:?}", found.len(), found.first());
        assert!(!found.is_empty(), "counting that {what} was not seen through");
    }
}
