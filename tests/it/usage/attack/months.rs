//! Two months, between which people join, leave and move: what a reader makes of both together.
//!
//! HR knows who was where, when, and how many sessions a year each may have. So people are of classes: those who were in one group
//! all the first month and in one all the second. How many of a class came, and to how many sessions, is in one program with all
//! that is told of either month. A class of few people is somebody: that anybody of it came must not follow.

use std::collections::BTreeMap;

use microlp::ComparisonOp;

use super::finder::{Program, Tally, attack, shown_of_few};
use super::world::{Answer, Dice, Fact, Key, LENGTHS, MODES, SPECIALTIES, STEP, Told, World, group_of, grouped};
use super::{ask, companies, in_parts};
use crate::support::TestApp;

/// Where somebody is counted in a month: in a group, or with the others without being of those whom the numbers are of.
pub type Place = (String, bool);

pub struct Months {
    pub worlds: [World; 2],
    /// Of each person, as HR knows.
    pub places: Vec<[Place; 2]>,
    /// Sessions that each may have in both together.
    pub quota: i32,
}

/// Where an entry of the directory was during a month.
#[derive(Clone, Copy)]
enum Entry {
    /// All of it.
    In(usize),
    /// Active, and in two departments.
    Moving,
    /// Not there, or only for a part of it.
    Guest,
}

impl Months {
    fn random(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let k = *dice.pick(&[10, 11, 11, 12, 15]);
        let employees = 60 + dice.below(300);
        let departments = 2 + dice.below(5);
        let (spread, change) = (dice.part() * 1.5, dice.part() * 0.06);
        let entries: Vec<[Entry; 2]> = (0..employees)
            .map(|_| {
                let (here, there) = (dice.skewed(departments, spread), dice.skewed(departments, spread));
                if dice.part() > change {
                    return [Entry::In(here); 2];
                }
                *dice.pick(&[
                    [Entry::In(here), Entry::In(there)],
                    [Entry::In(here), Entry::Moving],
                    [Entry::Moving, Entry::In(there)],
                    [Entry::In(here), Entry::Guest],
                    [Entry::Guest, Entry::In(there)],
                ])
            })
            .collect();
        let groups = [0, 1].map(|month| {
            let counted: Vec<Option<usize>> = entries
                .iter()
                .filter_map(|entry| match entry[month] {
                    Entry::In(department) => Some(Some(department)),
                    Entry::Moving => Some(None),
                    Entry::Guest => None,
                })
                .collect();
            grouped(k, &counted)
        });
        let places: Vec<[Place; 2]> = entries
            .iter()
            .map(|entry| {
                [0, 1].map(|month| match entry[month] {
                    Entry::In(department) => (group_of(&groups[month], Some(department)), true),
                    Entry::Moving => ("others".to_owned(), true),
                    Entry::Guest => ("others".to_owned(), false),
                })
            })
            .collect();
        let quota = 2 + i32::try_from(dice.below(9)).unwrap();
        let (share, again, faithful) = (0.1 + dice.part() * 0.8, dice.part() * 0.8, dice.part());
        let (by_specialty, by_mode) = (dice.part() * 3.0, dice.part() * 3.0);
        let mut facts = [Vec::new(), Vec::new()];
        for (person, place) in places.iter().enumerate() {
            let mut left = quota;
            let mut came = false;
            for (month, facts) in facts.iter_mut().enumerate() {
                // whoever came comes again, more or less
                let likely = if month == 1 && dice.part() < faithful { f64::from(u8::from(came)) } else { share };
                if dice.part() >= likely {
                    continue;
                }
                while left > 0 {
                    came = true;
                    left -= 1;
                    let specialty = dice.skewed(6, by_specialty);
                    facts.push(Fact {
                        person,
                        specialty: SPECIALTIES[specialty],
                        mode: MODES[dice.skewed(3, by_mode)],
                        department: place[month].0.clone(),
                        minutes: LENGTHS[specialty],
                    });
                    if dice.part() > again {
                        break;
                    }
                }
            }
        }
        let [first, second] = facts;
        let [of_first, of_second] = groups;
        let world = |month: usize, groups: Vec<(String, i32)>, facts: Vec<Fact>| {
            let guests = places.iter().filter(|place| !place[month].1).count();
            World { k, groups, guests: i32::try_from(guests).unwrap(), facts, lengths: LENGTHS }
        };
        let worlds = [world(0, of_first, first), world(1, of_second, second)];
        Self { worlds, places, quota }
    }

    /// How many people are of each class.
    fn classes(&self) -> BTreeMap<&[Place; 2], i32> {
        let mut classes = BTreeMap::new();
        for place in &self.places {
            *classes.entry(place).or_default() += 1;
        }
        classes
    }
}

/// Everything that a reader finds out of two months together, and must not.
pub fn attack_both(it: &Months, answers: [&Answer; 2], tally: &mut Tally) -> Vec<String> {
    let mut found: Vec<String> =
        it.worlds.iter().zip(answers).flat_map(|(world, answer)| attack(world, answer, tally)).collect();
    let total = Key::new("total", "", "");
    if answers.iter().any(|answer| !matches!(answer[&total], Told::Shown { sessions: 1.., .. })) {
        return found;
    }
    let [first, second] = [0, 1].map(|month| Program::new(&it.worlds[month], answers[month]));
    let mut program = Program::both(first, second);
    // people and sessions of each class in each month
    let classes = it.classes();
    let mut unknown: BTreeMap<&[Place; 2], ([usize; 2], [usize; 2])> = BTreeMap::new();
    for (class, size) in &classes {
        let (size, quota) = (f64::from(*size), f64::from(it.quota));
        let people = [(); 2].map(|()| program.add(0.0, size));
        let sessions = [(); 2].map(|()| program.add(0.0, size * quota));
        for (people, sessions) in people.into_iter().zip(sessions) {
            program.conditions.push((vec![(sessions, 1.0), (people, -1.0)], ComparisonOp::Ge, 0.0));
            program.conditions.push((vec![(sessions, 1.0), (people, -quota)], ComparisonOp::Le, 0.0));
        }
        program.conditions.push((sessions.map(|n| (n, 1.0)).to_vec(), ComparisonOp::Le, size * quota));
        unknown.insert(class, (people, sessions));
    }
    for (month, called) in ["first", "second"].into_iter().enumerate() {
        for (group, _) in &it.worlds[month].groups {
            let key = Key::new(&format!("{called} department"), group, "");
            let of = || unknown.iter().filter(|(class, _)| class[month].0 == *group).map(|(_, its)| its);
            let people: Vec<(usize, f64)> =
                of().map(|(people, _)| (people[month], 1.0)).chain([(program.people[&key], -1.0)]).collect();
            let held = program.sums[&key].iter().map(|n| (*n, -1.0));
            let sessions: Vec<(usize, f64)> = of().map(|(_, sessions)| (sessions[month], 1.0)).chain(held).collect();
            program.conditions.push((people, ComparisonOp::Eq, 0.0));
            program.conditions.push((sessions, ComparisonOp::Eq, 0.0));
        }
    }
    let mut look = |what: &str, parts: &[usize], size: i32, are_few: bool| {
        let Some((least, _)) = program.range(parts, tally) else {
            found.push(format!("{what}: what is told of both months does not fit together"));
            return;
        };
        if least > 0 && are_few {
            found.push(format!("{what}: {least} of {size} came"));
        }
        if least >= i64::from(size) {
            found.push(format!("{what}: all {size} came"));
        }
    };
    for (class, (people, _)) in &unknown {
        let size = classes[*class];
        let are_few = size <= STEP;
        look(&format!("{class:?} in the first month"), &people[..1], size, are_few);
        look(&format!("{class:?} in the second month"), &people[1..], size, are_few);
        if are_few {
            // whoever came in both counts twice
            look(&format!("{class:?} in either month"), people, 2 * size, true);
        }
    }
    found
}

async fn find(app: &TestApp, companies: &[Months]) -> (Tally, Vec<String>) {
    let worlds: Vec<World> = companies.iter().flat_map(|it| it.worlds.clone()).collect();
    let answers = ask(app.db(), &worlds).await;
    let all: Vec<(&Months, &[Answer])> = companies.iter().zip(answers.chunks(2)).collect();
    in_parts(&all, |(it, answers), tally| attack_both(it, [&answers[0], &answers[1]], tally))
}

#[tokio::test]
async fn nothing_follows_from_two_months_between_which_people_join_leave_and_move() {
    let app = TestApp::start().await;
    let both: Vec<Months> = (0..companies() / 15).map(Months::random).collect();
    let few = both.iter().flat_map(|it| it.classes().into_values().collect::<Vec<_>>()).filter(|n| *n <= STEP).count();
    assert!(few > both.len(), "{few} classes of few people");
    let (tally, found) = find(&app, &both).await;
    println!(
        "attack on two months: {} companies, {few} classes of few people, {tally:?}, found {}",
        both.len(),
        found.len()
    );
    assert!(found.is_empty(), "{} found, such as {:#?}", found.len(), &found[..found.len().min(5)]);
    assert!(tally.told * 3 > tally.months, "nearly nothing is told: {tally:?}");
}

/// What is left of the second answer when the first is taken away, where both tell a number of the whole company.
fn subtract(first: &Answer, second: &Answer) -> Answer {
    let less = |key: &Key, told: &Told| match (told, first.get(key)) {
        (Told::Shown { sessions, people, .. }, Some(Told::Shown { sessions: before, .. })) => {
            Told::Shown { sessions: sessions - before, minutes: None, people: *people }
        }
        _ => Told::Withheld,
    };
    let of_all = second.iter().filter(|(key, _)| !key.table.contains("department"));
    of_all.map(|(key, told)| (key.clone(), less(key, told))).collect()
}

/// Each answer of such a counter is as safe as any: only who puts two of them together learns what a month would not have told.
/// What sees through it is a mere subtraction. The real months have nothing for it: each counts its own sessions alone, which the
/// attack on the tables compares, so that what is left of one less another is a number of nobody's.
#[tokio::test]
async fn the_attack_finds_what_a_counter_of_the_year_so_far_would_tell() {
    let app = TestApp::start().await;
    let (mut tally, mut by_themselves, mut together) = (Tally::default(), Vec::new(), Vec::new());
    for it in (0..40).map(Months::random) {
        let [first, second] = it.worlds;
        let mut so_far = second.clone();
        so_far.facts.extend(
            first.facts.iter().map(|fact| Fact { department: it.places[fact.person][1].0.clone(), ..fact.clone() }),
        );
        let answers = ask(app.db(), &[first.clone(), so_far.clone()]).await;
        by_themselves.extend(attack(&first, &answers[0], &mut tally));
        by_themselves.extend(attack(&so_far, &answers[1], &mut tally));
        together.extend(shown_of_few(&second, &subtract(&answers[0], &answers[1])));
    }
    println!("a counter of the year so far: {} found, such as {:?}", together.len(), together.first());
    assert_eq!(by_themselves, Vec::<String>::new());
    assert!(together.iter().any(|it| it.contains("is shown of")), "it was not seen through: {tally:?}");
}

/// What no rule about one month can prevent, and SECURITY.md tells: where people use up nearly all the sessions that they have,
/// a session more than the others had left is somebody else's. The program finds it.
#[tokio::test]
async fn who_has_used_up_a_years_sessions_has_not_come_again() {
    let app = TestApp::start().await;
    let fact = |person: usize, department: &str| Fact {
        person,
        specialty: SPECIALTIES[0],
        mode: MODES[0],
        department: department.into(),
        minutes: LENGTHS[0],
    };
    let place = |group: &str, counted: bool| (group.to_owned(), counted);
    // 45 of a department, one who joins it after the first month, 40 others; each has two sessions
    let mut places = vec![[place("d0", true), place("d0", true)]; 45];
    places.push([place("others", false), place("d0", true)]);
    places.extend(vec![[place("others", true), place("others", true)]; 40]);
    let others = |facts: &mut Vec<Fact>| facts.extend((46..66).map(|person| fact(person, "others")));
    // 35 come twice, five once, five not at all; then whoever has any left, all of them, and the one who joined
    let mut first: Vec<Fact> = (0..40).chain(0..35).map(|person| fact(person, "d0")).collect();
    let mut second: Vec<Fact> = (35..45).chain(40..45).chain([45]).map(|person| fact(person, "d0")).collect();
    others(&mut first);
    others(&mut second);
    let world = |of_it: i32, guests: i32, facts: Vec<Fact>| World {
        k: 10,
        groups: vec![("d0".into(), of_it), ("others".into(), 40)],
        guests,
        facts,
        lengths: LENGTHS,
    };
    let company = Months { worlds: [world(45, 1, first), world(46, 0, second)], places, quota: 2 };
    let (_, found) = find(&app, &[company]).await;
    assert!(found.iter().any(|it| it.contains("in the second month: 1 of 1 came")), "{found:?}");
}
