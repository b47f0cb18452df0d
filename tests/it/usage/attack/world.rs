//! Companies by chance: what really happened in a month of theirs.

use std::collections::{BTreeMap, HashSet};

use serde_json::{Value, json};

pub const SPECIALTIES: [&str; 6] = ["psychology", "coaching", "nutrition", "sleep", "physiotherapy", "social_work"];
pub const MODES: [&str; 3] = ["video", "audio", "chat"];
/// Minutes of each session, which profiles tell everybody.
pub const LENGTHS: [i32; 6] = [45, 60, 40, 30, 20, 90];
/// What people are rounded down to.
pub const STEP: i32 = 5;

/// Chance that repeats itself (`SplitMix64`).
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5bf0_3635_dcd8_9d4f)
    }

    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below 1.
    #[allow(clippy::cast_precision_loss)]
    pub fn part(&mut self) -> f64 {
        (self.roll() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub fn below(&mut self, count: usize) -> usize {
        usize::try_from(self.roll() % count as u64).unwrap()
    }

    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    /// One of so many, the first ones more often, as skewed as `by` says.
    #[allow(clippy::cast_precision_loss)]
    pub fn skewed(&mut self, count: usize, by: f64) -> usize {
        let weights: Vec<f64> = (1..=count).map(|n| (n as f64).powf(-by)).collect();
        let mut left = self.part() * weights.iter().sum::<f64>();
        weights
            .iter()
            .position(|weight| {
                left -= weight;
                left < 0.0
            })
            .unwrap_or(count - 1)
    }
}

/// One session that was held.
#[derive(Clone, Debug)]
pub struct Fact {
    pub person: usize,
    pub specialty: &'static str,
    pub mode: &'static str,
    /// The group of departments.
    pub department: String,
    pub minutes: i32,
}

#[derive(Clone, Debug)]
pub struct World {
    pub k: i32,
    /// Groups of departments with their people, everybody in one of them.
    pub groups: Vec<(String, i32)>,
    /// Who may come, counted with the others, and are not among those of whom the numbers are: they joined or left meanwhile.
    pub guests: i32,
    pub facts: Vec<Fact>,
    /// Minutes of a session of each specialty.
    pub lengths: [i32; 6],
}

/// A number before it is judged.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    pub table: String,
    pub row: String,
    pub column: String,
}

impl Key {
    pub fn new(table: &str, row: &str, column: &str) -> Self {
        Self { table: table.into(), row: row.into(), column: column.into() }
    }
}

fn name_of(department: usize) -> String {
    format!("d{department}")
}

/// The groups in which entries of departments are counted, or of none: as `stats.departments` does, small ones together, and the
/// smallest other one if that is not enough.
pub fn grouped(k: i32, entries: &[Option<usize>]) -> Vec<(String, i32)> {
    let mut sizes: BTreeMap<usize, i32> = BTreeMap::new();
    for department in entries.iter().flatten() {
        *sizes.entry(*department).or_default() += 1;
    }
    let mut large: Vec<(i32, usize)> = sizes.into_iter().map(|(d, n)| (n, d)).filter(|(n, _)| *n >= k + 10).collect();
    large.sort_unstable();
    let mut pooled = i32::try_from(entries.len()).unwrap() - large.iter().map(|(n, _)| n).sum::<i32>();
    if pooled < k + 10 && !large.is_empty() {
        pooled += large.remove(0).0;
    }
    let mut groups: Vec<(String, i32)> = large.iter().map(|(n, d)| (name_of(*d), *n)).collect();
    groups.push(("others".into(), pooled));
    groups
}

/// The one of an entry.
pub fn group_of(groups: &[(String, i32)], department: Option<usize>) -> String {
    let own = department.map(name_of);
    own.filter(|own| groups.iter().any(|(key, _)| key == own)).unwrap_or_else(|| "others".into())
}

impl World {
    /// As different from one another as companies are: from a handful of people to hundreds, of whom few or most come.
    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss)]
    pub fn random(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let k = *dice.pick(&[10, 11, 11, 11, 12, 15, 20]);
        let employees = (8.0 * 60f64.powf(dice.part())) as usize;
        let departments = 1 + dice.below(7);
        let spread = dice.part() * 2.0;
        let department_of: Vec<usize> = (0..employees).map(|_| dice.skewed(departments, spread)).collect();
        let entries: Vec<Option<usize>> = department_of.iter().map(|d| Some(*d)).collect();
        let groups = grouped(k, &entries);
        let group_of = |person: usize| group_of(&groups, entries[person]);
        let share = dice.part().powf(1.5);
        let (by_specialty, by_mode, again) = (dice.part() * 3.0, dice.part() * 3.0, dice.part() * 0.8);
        // some specialties belong to some departments
        let local = dice.part() < 0.3;
        let mut facts = Vec::new();
        #[allow(clippy::needless_range_loop)] // a person is a number
        for person in 0..employees {
            if dice.part() > share {
                continue;
            }
            let mut specialty = dice.skewed(6, by_specialty);
            if local && dice.part() < 0.8 {
                specialty = department_of[person] % 6;
            }
            loop {
                facts.push(Fact {
                    person,
                    specialty: SPECIALTIES[specialty],
                    mode: MODES[dice.skewed(3, by_mode)],
                    department: group_of(person),
                    minutes: LENGTHS[specialty],
                });
                if dice.part() > again || facts.len() > 5000 {
                    break;
                }
                if dice.part() < 0.2 {
                    specialty = dice.skewed(6, by_specialty);
                }
            }
        }
        Self { k, groups, guests: 0, facts, lengths: LENGTHS }
    }

    pub fn eligible(&self) -> i32 {
        self.groups.iter().map(|(_, n)| n).sum()
    }

    pub fn eligible_of(&self, group: &str) -> i32 {
        self.groups.iter().find(|(key, _)| key == group).unwrap().1
    }

    /// Every cell that there is, and what is in it: the facts by their place.
    pub fn cells(&self) -> BTreeMap<Key, Vec<usize>> {
        let mut cells = BTreeMap::new();
        cells.insert(Key::new("total", "", ""), Vec::new());
        for s in SPECIALTIES {
            cells.insert(Key::new("specialty", s, ""), Vec::new());
            for m in MODES {
                cells.insert(Key::new("mode", m, ""), Vec::new());
                cells.insert(Key::new("specialty,mode", s, m), Vec::new());
            }
            for (d, _) in &self.groups {
                cells.insert(Key::new("department", d, ""), Vec::new());
                cells.insert(Key::new("specialty,department", s, d), Vec::new());
            }
        }
        for (n, it) in self.facts.iter().enumerate() {
            for key in [
                Key::new("total", "", ""),
                Key::new("specialty", it.specialty, ""),
                Key::new("mode", it.mode, ""),
                Key::new("department", &it.department, ""),
                Key::new("specialty,mode", it.specialty, it.mode),
                Key::new("specialty,department", it.specialty, &it.department),
            ] {
                cells.get_mut(&key).unwrap().push(n);
            }
        }
        cells
    }

    pub fn people(&self, facts: &[usize]) -> i32 {
        i32::try_from(facts.iter().map(|n| self.facts[*n].person).collect::<HashSet<_>>().len()).unwrap()
    }

    /// The order in which what is withheld beside others is chosen.
    pub fn place(&self, key: &Key) -> usize {
        let of = |values: &[&str]| values.len() - values.iter().position(|it| **it == key.row).unwrap();
        match key.table.as_str() {
            "specialty" => of(&SPECIALTIES),
            "mode" => of(&MODES),
            "department" => {
                let mut groups: Vec<(i32, &str)> = self.groups.iter().map(|(key, n)| (*n, key.as_str())).collect();
                groups.sort_unstable();
                1 + groups.iter().position(|(_, it)| *it == key.row).unwrap()
            }
            _ => 0,
        }
    }

    /// What the engine is asked.
    pub fn question(&self) -> Value {
        let cells: Vec<Value> = self
            .cells()
            .iter()
            .map(|(key, facts)| {
                let department = match key.table.as_str() {
                    "department" => Some(&key.row),
                    "specialty,department" => Some(&key.column),
                    _ => None,
                };
                json!({
                    "dimensions": key.table, "row_key": key.row, "column_key": key.column, "sessions": facts.len(),
                    "minutes": facts.iter().map(|n| self.facts[*n].minutes).sum::<i32>(), "people": self.people(facts),
                    "eligible": department.map(|it| self.eligible_of(it)), "place": self.place(key),
                })
            })
            .collect();
        json!({"k": self.k, "eligible": self.eligible(), "cells": cells})
    }
}

/// A number as it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    Shown { sessions: i32, minutes: Option<i32>, people: i32 },
    Withheld,
}

/// All that is told of a month.
pub type Answer = BTreeMap<Key, Told>;
