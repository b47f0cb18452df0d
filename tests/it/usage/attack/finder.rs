//! What a reader can make of all that is told of a month: by differences, and by linear programming.
//!
//! The reader knows the rules, the threshold, how many people are in each group, how long sessions take, and takes the words for
//! true. What is not known is one program: sessions of each cell of both crossed tables, with their minutes, and people of every
//! number, with everything that is told, or follows from it, as a condition. Each withheld number is as large and as small as
//! that allows.

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
    tally.withheld += answer.values().filter(|it| **it == Told::Withheld).count();
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
pub fn shown_of_few(world: &World, answer: &Answer) -> Vec<String> {
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
        // nobody is told by the same word as few where few could be one person
        if let Told::Shown { sessions: 0, .. } = told {
            let is_partly = |table: &str| answer.iter().any(|(it, told)| it.table == table && *told == Told::Withheld);
            let is_zero = |table: &str, value: &str| {
                matches!(answer.get(&Key::new(table, value, "")), Some(Told::Shown { sessions: 0, .. }))
            };
            let follows = is_zero("specialty", &key.row) || is_zero("mode", &key.column);
            let tells = match key.table.as_str() {
                "total" | "department" => true,
                "specialty,department" => !follows,
                "specialty,mode" => !follows && is_partly("specialty,mode"),
                table => is_partly(table),
            };
            if tells {
                found.push(format!("{key:?} tells that nobody came"));
            }
        }
    }
    found
}

/// What is left of a sum when the shown parts are taken away rests on nobody or on enough people.
fn differences(world: &World, answer: &Answer) -> Vec<String> {
    let cells = world.cells();
    let hidden = |key: &Key| answer[key] == Told::Withheld;
    let mut found = Vec::new();
    let mut rest = |what: String, parts: Vec<Key>| {
        let mut facts: Vec<usize> = parts.iter().filter(|key| hidden(key)).flat_map(|key| cells[key].clone()).collect();
        facts.sort_unstable();
        facts.dedup();
        let people = world.people(&facts);
        if people < world.k && parts.iter().any(hidden) {
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

/// What is not known, with all that is, in one program: sessions of each cell of both crossed tables, minutes as so many
/// sessions of known length, people of every cell.
pub struct Program {
    pub bounds: Vec<(f64, f64)>,
    #[allow(clippy::type_complexity)]
    pub conditions: Vec<(Vec<(usize, f64)>, ComparisonOp, f64)>,
    /// The sessions of each number: parts among the variables.
    pub sums: BTreeMap<Key, Vec<usize>>,
    pub people: BTreeMap<Key, usize>,
}

impl Program {
    /// One of two: of what is told of either, with names of numbers that say which. Nothing links them yet.
    pub fn both(first: Self, second: Self) -> Self {
        let mut it =
            Self { bounds: Vec::new(), conditions: Vec::new(), sums: BTreeMap::new(), people: BTreeMap::new() };
        for (month, part) in ["first ", "second "].into_iter().zip([first, second]) {
            let from = it.bounds.len();
            let named = |key: Key| Key { table: format!("{month}{}", key.table), ..key };
            it.bounds.extend(part.bounds);
            let moved = |parts: Vec<(usize, f64)>| parts.into_iter().map(|(n, times)| (n + from, times)).collect();
            it.conditions.extend(part.conditions.into_iter().map(|(parts, how, what)| (moved(parts), how, what)));
            let moved = |parts: Vec<usize>| parts.into_iter().map(|n| n + from).collect();
            it.sums.extend(part.sums.into_iter().map(|(key, parts)| (named(key), moved(parts))));
            it.people.extend(part.people.into_iter().map(|(key, n)| (named(key), n + from)));
        }
        it
    }

    /// A number more that is not known.
    pub fn add(&mut self, least: f64, most: f64) -> usize {
        self.bounds.push((least, most));
        self.bounds.len() - 1
    }

    pub fn new(world: &World, answer: &Answer) -> Self {
        let sessions = |told: &Told| match told {
            Told::Shown { sessions, .. } => Some(f64::from(*sessions)),
            Told::Withheld => None,
        };
        let total = sessions(&answer[&Key::new("total", "", "")]).unwrap();
        let mut it =
            Self { bounds: Vec::new(), conditions: Vec::new(), sums: BTreeMap::new(), people: BTreeMap::new() };
        // the specialty of each variable
        let mut rows = Vec::new();
        for (key, told) in answer.iter().filter(|(key, _)| key.table.contains(',')) {
            let n = it.bounds.len();
            it.bounds.push(sessions(told).map_or((0.0, total), |known| (known, known)));
            rows.push(SPECIALTIES.iter().position(|row| **row == key.row).unwrap());
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
        for (key, told) in answer {
            let Told::Shown { sessions, minutes, .. } = told else { continue };
            let parts: Vec<usize> = it.sums[key].clone();
            let sum = parts.iter().map(|n| (*n, 1.0)).collect();
            it.conditions.push((sum, ComparisonOp::Eq, f64::from(*sessions)));
            if let Some(minutes) = minutes {
                let sum = parts.iter().map(|n| (*n, f64::from(world.lengths[rows[*n]]))).collect();
                it.conditions.push((sum, ComparisonOp::Eq, f64::from(*minutes)));
            }
        }
        it.count_people(world, answer);
        it
    }

    /// How many people a number can be of. The reader finds out from the words alone which of a dimension's numbers are withheld
    /// for themselves, and which one beside them: here it is told. That few came is one possibility, and must stay one.
    fn people_of(world: &World, cells: &BTreeMap<Key, Vec<usize>>, answer: &Answer, key: &Key) -> (f64, f64) {
        let is_of_all = !key.table.contains("department") || key.row == "others" || key.column == "others";
        let guests = if is_of_all { world.guests } else { 0 };
        let (k, step, group) = (f64::from(world.k), f64::from(STEP), f64::from(eligible(world, key)));
        let whoever = group + f64::from(guests);
        match &answer[key] {
            Told::Shown { sessions: 0, .. } => (0.0, 0.0),
            Told::Shown { people, .. } => (f64::from(*people).max(k), f64::from(*people) + step - 1.0),
            Told::Withheld if key.table.contains(',') => (0.0, whoever),
            Told::Withheld => {
                let of: Vec<&Key> = answer.keys().filter(|it| it.table == key.table).collect();
                let is_safe = |it: &Key| {
                    let people = world.people(&cells[it]);
                    people >= world.k && people <= eligible(world, it) - STEP
                };
                let small = of.iter().filter(|it| !is_safe(it)).count();
                if of.iter().all(|it| answer[*it] == Told::Withheld) {
                    (0.0, whoever)
                } else if is_safe(key) {
                    (k, group - step)
                } else {
                    // with only one of them, something is withheld because of it
                    (f64::from(u8::from(small == 1 && key.table != "department")), k - 1.0)
                }
            }
        }
    }

    /// People of every number: as many as are told, within what was rounded away, not more than sessions; nobody in two
    /// departments.
    fn count_people(&mut self, world: &World, answer: &Answer) {
        let cells = world.cells();
        for key in answer.keys() {
            let n = self.bounds.len();
            self.bounds.push(Self::people_of(world, &cells, answer, key));
            self.people.insert(key.clone(), n);
            let sessions = self.sums[key].iter().map(|part| (*part, 1.0)).chain([(n, -1.0)]).collect();
            self.conditions.push((sessions, ComparisonOp::Ge, 0.0));
        }
        let sum = |of: Vec<usize>, whole: usize| of.into_iter().map(|n| (n, 1.0)).chain([(whole, -1.0)]).collect();
        let mut add = |whole: &Key, parts: Vec<Key>, is_disjoint: bool| {
            let (whole, parts): (usize, Vec<usize>) =
                (self.people[whole], parts.iter().map(|part| self.people[part]).collect());
            for n in &parts {
                self.conditions.push((vec![(whole, 1.0), (*n, -1.0)], ComparisonOp::Ge, 0.0));
            }
            let how = if is_disjoint { ComparisonOp::Eq } else { ComparisonOp::Ge };
            self.conditions.push((sum(parts, whole), how, 0.0));
        };
        let parts =
            |is_one: &dyn Fn(&Key) -> bool| -> Vec<Key> { answer.keys().filter(|it| is_one(it)).cloned().collect() };
        let total = Key::new("total", "", "");
        for dimension in ["specialty", "mode", "department"] {
            add(&total, parts(&|it| it.table == dimension), dimension == "department");
        }
        for (table, columns) in [("specialty,mode", "mode"), ("specialty,department", "department")] {
            for row in SPECIALTIES {
                let of = parts(&|it| it.table == table && it.row == row);
                add(&Key::new("specialty", row, ""), of, columns == "department");
            }
            for whole in parts(&|it| it.table == columns) {
                add(&whole, parts(&|it| it.table == table && it.column == whole.row), false);
            }
        }
    }

    /// The least and the most that a sum can be; `None`: what is told does not fit together.
    pub fn range(&self, parts: &[usize], tally: &mut Tally) -> Option<(i64, i64)> {
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
    let cells = world.cells();
    let program = Program::new(world, answer);
    for (key, _) in answer.iter().filter(|(_, told)| **told == Told::Withheld) {
        let Some((least, most)) = program.range(&program.sums[key], tally) else {
            found.push(format!("{key:?}: few people do not fit, so nearly all came"));
            return found;
        };
        let values = most - least + 1;
        tally.narrowest = Some(tally.narrowest.map_or(values, |before| before.min(values)));
        if values < i64::from(STEP) {
            found.push(format!("{key:?} is {least} to {most}"));
        }
        // HR says who is in a department: whether anybody of it came must stay open
        let column = match key.table.as_str() {
            "department" => key.clone(),
            "specialty,department" => Key::new("department", &key.column, ""),
            _ => continue,
        };
        let people = world.people(&cells[&column]);
        let is_beside = people >= world.k && people <= eligible(world, &column) - STEP;
        let is_alone = answer.keys().filter(|it| it.table == "department").all(|it| answer[it] == Told::Withheld);
        if answer[&column] == Told::Withheld && !is_beside && !is_alone && least > 0 {
            found.push(format!("somebody of {key:?} came"));
        }
    }
    for (key, n) in program.people.iter().filter(|(key, _)| ["department", "total"].contains(&key.table.as_str())) {
        let Some((least, most)) = program.range(&[*n], tally) else {
            found.push(format!("people of {key:?} do not fit"));
            continue;
        };
        if answer[key] == Told::Withheld && least == most {
            found.push(format!("{key:?} is exactly {least} people"));
        }
        if least > 0 && least >= i64::from(eligible(world, key)) {
            found.push(format!("{key:?}: all {least} came"));
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
