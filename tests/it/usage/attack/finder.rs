//! What a reader can make of all that is told of a month: by differences, and by linear programming.
//!
//! The reader knows the rules, the threshold, how many people are in each group, and takes the words for true. What is not
//! known is a program: sessions of each cell of both crossed tables, and people by each dimension, with everything that is
//! told, or follows from it, as a condition. Each withheld number is as large and as small as that allows.

use std::collections::BTreeMap;

use microlp::{ComparisonOp, OptimizationDirection, Problem, SolveOutcome, Variable};

use super::world::{Answer, Key, MODES, SPECIALTIES, STEP, Told, World};

/// What was tried, and how close it came.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub months: usize,
    pub told: usize,
    pub withheld: usize,
    pub programs: usize,
    /// How many values the least uncertain withheld number of sessions can have.
    pub narrowest: Option<i64>,
}

impl Tally {
    pub fn add(&mut self, other: &Self) {
        self.months += other.months;
        self.told += other.told;
        self.withheld += other.withheld;
        self.programs += other.programs;
        self.narrowest = [self.narrowest, other.narrowest].into_iter().flatten().min();
    }
}

/// Everything that a reader finds out and must not.
pub fn attack(world: &World, answer: &Answer, tally: &mut Tally) -> Vec<String> {
    tally.months += 1;
    tally.withheld += answer.values().filter(|it| matches!(it, Told::Withheld { .. })).count();
    let mut found = shown_of_few(world, answer);
    found.extend(differences(world, answer));
    if let Some(Told::Shown { sessions: 1.., .. }) = answer.get(&Key::new("total", "", "")) {
        tally.told += 1;
        found.extend(programs(world, answer, tally));
    }
    found
}

/// Of how many people a cell is.
fn eligible(world: &World, key: &Key) -> i32 {
    match key.table.as_str() {
        "department" => world.eligible_of(&key.row),
        "specialty,department" => world.eligible_of(&key.column),
        _ => world.eligible(),
    }
}

/// Numbers that rest on few people, or on nearly everybody of a group.
fn shown_of_few(world: &World, answer: &Answer) -> Vec<String> {
    let cells = world.cells();
    let mut found = Vec::new();
    for (key, told) in answer {
        let people = world.people(&cells[key]);
        let group = eligible(world, key);
        if let Told::Shown { sessions: 1.., people: shown, .. } = told {
            if people < world.k {
                found.push(format!("{key:?} is shown of {people} people"));
            }
            // the reader knows that there are at most so many, and at least those
            if *shown + STEP > group && people + STEP > group {
                found.push(format!("{key:?} tells that {people} of {group} came"));
            }
        }
    }
    found
}

/// What is left of a sum when the shown parts are taken away rests on nobody or on enough people.
fn differences(world: &World, answer: &Answer) -> Vec<String> {
    let cells = world.cells();
    let hidden = |key: &Key| matches!(answer[key], Told::Withheld { .. });
    let mut found = Vec::new();
    let mut rest = |what: String, parts: Vec<Key>| {
        let mut facts: Vec<usize> = parts.iter().filter(|key| hidden(key)).flat_map(|key| cells[key].clone()).collect();
        facts.sort_unstable();
        facts.dedup();
        let people = world.people(&facts);
        if people > 0 && people < world.k {
            found.push(format!("{what} leaves {people} people"));
        }
    };
    if hidden(&Key::new("total", "", "")) {
        return found;
    }
    let departments: Vec<&str> = world.groups.iter().map(|(key, _)| key.as_str()).collect();
    for (table, values) in [("specialty", &SPECIALTIES[..]), ("mode", &MODES[..]), ("department", &departments[..])] {
        rest(format!("total less {table}"), values.iter().map(|value| Key::new(table, value, "")).collect());
    }
    for (table, dimension, columns) in
        [("specialty,mode", "mode", &MODES[..]), ("specialty,department", "department", &departments[..])]
    {
        let is_shown = |dimension: &str, value: &str| !hidden(&Key::new(dimension, value, ""));
        for row in SPECIALTIES.iter().filter(|row| is_shown("specialty", row)) {
            rest(format!("{row} less {table}"), columns.iter().map(|column| Key::new(table, row, column)).collect());
        }
        for column in columns.iter().filter(|column| is_shown(dimension, column)) {
            rest(
                format!("{column} less {table}"),
                SPECIALTIES.iter().map(|row| Key::new(table, row, column)).collect(),
            );
        }
        let together = columns.iter().filter(|column| !is_shown(dimension, column));
        let together = together.flat_map(|column| SPECIALTIES.iter().map(|row| Key::new(table, row, column)));
        rest(format!("withheld columns of {table}"), together.collect());
        let together = SPECIALTIES.iter().filter(|row| !is_shown("specialty", row));
        let together = together.flat_map(|row| columns.iter().map(|column| Key::new(table, row, column)));
        rest(format!("withheld rows of {table}"), together.collect());
    }
    found
}

/// Whether nothing at all is told of departments: each can be anything.
fn is_untold(answer: &Answer) -> bool {
    let departments = answer.iter().filter(|(key, _)| key.table == "department");
    // one without people has nobody who comes
    let mut told = departments.map(|(_, told)| told).filter(|told| !matches!(told, Told::Shown { sessions: 0, .. }));
    told.all(|told| *told == Told::Withheld { is_small: false })
}

/// More minutes than any company has in a month.
const MANY: f64 = 1e6;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Measure {
    Sessions,
    Minutes,
}

/// What is not known, with all that is.
struct Program {
    bounds: Vec<(f64, f64)>,
    #[allow(clippy::type_complexity)]
    conditions: Vec<(Vec<(usize, f64)>, ComparisonOp, f64)>,
    /// Sums that are told or withheld by one dimension: parts among the variables.
    sums: BTreeMap<Key, Vec<usize>>,
    people: BTreeMap<Key, usize>,
}

impl Program {
    fn new(world: &World, answer: &Answer, measure: Measure) -> Self {
        let k = f64::from(world.k);
        let value = |told: &Told| match told {
            Told::Shown { sessions, minutes, .. } => {
                if measure == Measure::Sessions {
                    Some(f64::from(*sessions))
                } else {
                    minutes.map(f64::from)
                }
            }
            Told::Withheld { .. } => None,
        };
        let total = value(&answer[&Key::new("total", "", "")]).unwrap_or(MANY);
        let mut it =
            Self { bounds: Vec::new(), conditions: Vec::new(), sums: BTreeMap::new(), people: BTreeMap::new() };
        let mut specialties = Vec::new();
        for (key, told) in answer.iter().filter(|(key, _)| key.table.contains(',')) {
            let n = it.bounds.len();
            specialties.push(SPECIALTIES.iter().position(|it| **it == key.row).unwrap());
            it.bounds.push(value(told).map_or((0.0, total), |known| (known, known)));
            it.sums.insert(key.clone(), vec![n]);
            let column = if key.table == "specialty,mode" { "mode" } else { "department" };
            it.sums.entry(Key::new(column, &key.column, "")).or_default().push(n);
            if column == "mode" {
                it.sums.entry(Key::new("specialty", &key.row, "")).or_default().push(n);
                it.sums.entry(Key::new("total", "", "")).or_default().push(n);
            } else {
                it.sums.entry(Key::new("same", &key.row, "")).or_default().push(n);
            }
        }
        // both tables have the same rows
        for row in SPECIALTIES {
            let by_department = it.sums.remove(&Key::new("same", row, "")).unwrap();
            let by_mode = it.sums[&Key::new("specialty", row, "")].iter().map(|n| (*n, 1.0));
            let difference = by_mode.chain(by_department.into_iter().map(|n| (n, -1.0))).collect();
            it.conditions.push((difference, ComparisonOp::Eq, 0.0));
        }
        for (key, told) in answer.iter().filter(|(key, _)| !key.table.contains(',')) {
            let parts: Vec<(usize, f64)> = it.sums[key].iter().map(|n| (*n, 1.0)).collect();
            let condition = match (told, value(told)) {
                (_, Some(known)) => (ComparisonOp::Eq, known),
                _ if key.table == "department" && is_untold(answer) => (ComparisonOp::Ge, 0.0),
                // of a department: few, or nobody
                (Told::Withheld { is_small: true }, _) if key.table == "department" => (ComparisonOp::Ge, 0.0),
                (Told::Withheld { is_small: true }, _) => (ComparisonOp::Ge, 1.0),
                _ => (ComparisonOp::Ge, k),
            };
            it.conditions.push((parts, condition.0, condition.1));
        }
        if measure == Measure::Sessions {
            // what a session of each takes: its minutes are another sum of sessions
            for (lengths, (key, told)) in world.lengths.iter().flat_map(|it| answer.iter().map(move |one| (it, one))) {
                if let Told::Shown { minutes: Some(minutes), .. } = told {
                    let parts = it.sums[key].iter().map(|n| (*n, f64::from(lengths[specialties[*n]]))).collect();
                    it.conditions.push((parts, ComparisonOp::Eq, f64::from(*minutes)));
                }
            }
            it.count_people(world, answer);
        }
        it
    }

    /// People by each dimension: as many as are told, within what was rounded away; nobody in two departments.
    fn count_people(&mut self, world: &World, answer: &Answer) {
        let (k, step) = (f64::from(world.k), f64::from(STEP));
        for (key, told) in answer.iter().filter(|(key, _)| !key.table.contains(',')) {
            let n = self.bounds.len();
            self.bounds.push(match told {
                Told::Shown { sessions: 0, .. } => (0.0, 0.0),
                Told::Shown { people, .. } => (f64::from(*people).max(k), f64::from(*people) + step - 1.0),
                Told::Withheld { .. } if key.table == "department" && is_untold(answer) => {
                    (0.0, f64::from(eligible(world, key)))
                }
                // that nearly all of a group came is found where few do not fit
                Told::Withheld { is_small: true } => (if key.table == "department" { 0.0 } else { 1.0 }, k - 1.0),
                Told::Withheld { is_small: false } => (k, f64::from(eligible(world, key)) - step),
            });
            self.people.insert(key.clone(), n);
            let sessions = self.sums[key].iter().map(|part| (*part, 1.0)).chain([(n, -1.0)]).collect();
            self.conditions.push((sessions, ComparisonOp::Ge, 0.0));
        }
        let total = self.people[&Key::new("total", "", "")];
        for dimension in ["specialty", "mode", "department"] {
            let of: Vec<usize> =
                self.people.iter().filter(|(key, _)| key.table == dimension).map(|(_, n)| *n).collect();
            for n in &of {
                self.conditions.push((vec![(total, 1.0), (*n, -1.0)], ComparisonOp::Ge, 0.0));
            }
            let all = of.iter().map(|n| (*n, 1.0)).chain([(total, -1.0)]).collect();
            let how = if dimension == "department" { ComparisonOp::Eq } else { ComparisonOp::Ge };
            self.conditions.push((all, how, 0.0));
        }
    }

    /// The least and the most that a sum can be; `None`: what is told does not fit together.
    fn range(&self, parts: &[usize], tally: &mut Tally) -> Option<(i64, i64)> {
        let mut ends = [0i64; 2];
        for (end, direction) in ends.iter_mut().zip([OptimizationDirection::Minimize, OptimizationDirection::Maximize])
        {
            let mut program = Problem::new(direction);
            let variables: Vec<Variable> = self
                .bounds
                .iter()
                .enumerate()
                .map(|(n, bounds)| program.add_var(if parts.contains(&n) { 1.0 } else { 0.0 }, *bounds))
                .collect();
            for (sum, how, what) in &self.conditions {
                let sum: Vec<(Variable, f64)> = sum.iter().map(|(n, times)| (variables[*n], *times)).collect();
                program.add_constraint(sum, *how, *what);
            }
            tally.programs += 1;
            let best = match program.solve() {
                Ok(SolveOutcome::Solution(best)) => best.objective(),
                Ok(SolveOutcome::Interrupted(_)) => unreachable!("no limit of time"),
                Err(microlp::Error::Infeasible) => return None,
                Err(error) => panic!("{error}"),
            };
            // whole numbers within: a reader would round
            #[allow(clippy::cast_possible_truncation)]
            let whole =
                if direction == OptimizationDirection::Minimize { (best - 1e-6).ceil() } else { (best + 1e-6).floor() }
                    as i64;
            *end = whole;
        }
        Some((ends[0], ends[1]))
    }
}

fn programs(world: &World, answer: &Answer, tally: &mut Tally) -> Vec<String> {
    let mut found = Vec::new();
    let withheld: Vec<&Key> =
        answer.iter().filter(|(_, told)| matches!(told, Told::Withheld { .. })).map(|(key, _)| key).collect();
    for measure in [Measure::Sessions, Measure::Minutes] {
        let program = Program::new(world, answer, measure);
        for key in &withheld {
            let Some((least, most)) = program.range(&program.sums[*key], tally) else {
                found.push(format!("{key:?}: few people do not fit, so nearly all came"));
                break;
            };
            let values = most - least + 1;
            if measure == Measure::Sessions {
                tally.narrowest = Some(tally.narrowest.map_or(values, |before| before.min(values)));
            }
            if values < i64::from(STEP) {
                found.push(format!("{key:?} is {least} to {most}"));
            }
        }
        for (key, n) in &program.people {
            let group = eligible(world, key);
            let is_withheld = withheld.contains(&key);
            if !is_withheld && key.table != "department" && key.table != "total" {
                continue;
            }
            let Some((least, most)) = program.range(&[*n], tally) else { continue };
            if is_withheld && least == most {
                found.push(format!("{key:?} is exactly {least} people"));
            }
            if least > 0 && least >= i64::from(group) {
                found.push(format!("{key:?}: all {group} came"));
            }
        }
    }
    found
}

/// What two answers about one month tell of what happened in between.
pub fn compare(before: &Answer, after: &Answer) -> Vec<String> {
    before
        .iter()
        .filter(|(key, told)| after[*key] != **told)
        .map(|(key, told)| format!("{key:?} was {told:?}"))
        .collect()
}
