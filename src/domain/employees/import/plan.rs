//! Decides what a file does to the directory: row by row, without writing. Pure.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::super::model::{Fault, Field, Status};
use super::sheet::{Row, Sheet};
use crate::platform::ids::EmployeeId;
use crate::platform::locale::Locale;

/// What became of a row, or would.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, poem_openapi::Enum)]
#[serde(rename_all = "snake_case")]
#[oai(rename_all = "snake_case", rename = "ImportOutcome")]
pub enum Outcome {
    Created,
    Updated,
    Unchanged,
    /// A person who had left is back.
    Reactivated,
    Rejected,
}

/// An entry as it is in the directory, or as it will be.
#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
pub struct Entry {
    pub id: EmployeeId,
    pub email: String,
    pub first_name: String,
    pub last_name: String,
    pub staff_number: Option<String>,
    pub department: Option<String>,
    pub site: Option<String>,
    pub locale: Locale,
    pub status: Status,
}

/// What a row comes to.
#[derive(Debug, PartialEq)]
pub struct Decision {
    pub line: u64,
    pub email: String,
    pub outcome: Outcome,
    pub faults: Vec<(Option<Field>, Fault)>,
}

/// What to write, and what to say.
#[derive(Debug, Default)]
pub struct Plan {
    pub decisions: Vec<Decision>,
    pub insert: Vec<Entry>,
    pub save: Vec<Entry>,
    /// Of those to save, who had left.
    pub back: Vec<EmployeeId>,
}

/// What the directory is like before the import.
pub struct Directory {
    /// At least the entries that share an address or a staff number with a row.
    pub known: Vec<Entry>,
    pub seats: i32,
    /// Active entries.
    pub taken: i64,
    /// For people whose language the file does not say.
    pub locale: Locale,
}

/// Compares the rows with the directory, in the order of the file. People are matched by address.
pub fn plan(sheet: &Sheet, directory: &Directory, mut new_id: impl FnMut() -> EmployeeId) -> Plan {
    let known: HashMap<&str, &Entry> = directory.known.iter().map(|entry| (entry.email.as_str(), entry)).collect();
    let owners: HashMap<&str, EmployeeId> = directory
        .known
        .iter()
        .filter_map(|entry| entry.staff_number.as_deref().map(|number| (number, entry.id)))
        .collect();
    let mut addresses: HashMap<&str, u64> = HashMap::new();
    let mut numbers: HashMap<&str, u64> = HashMap::new();
    let mut free = i64::from(directory.seats) - directory.taken;
    let mut plan = Plan::default();

    for row in &sheet.rows {
        let mut faults = row.faults.clone();
        let before = known.get(row.email.as_str()).copied();
        if !row.email.is_empty() {
            match addresses.get(row.email.as_str()) {
                Some(line) => faults.push((Some(Field::Email), Fault::AddressRepeated { line: *line })),
                None => _ = addresses.insert(&row.email, row.line),
            }
        }
        if let Some(number) = row.staff_number.as_deref() {
            match numbers.get(number) {
                Some(line) => faults.push((Some(Field::StaffNumber), Fault::StaffNumberRepeated { line: *line })),
                None => _ = numbers.insert(number, row.line),
            }
            if owners.get(number).is_some_and(|owner| before.is_none_or(|entry| entry.id != *owner)) {
                faults.push((Some(Field::StaffNumber), Fault::StaffNumberTaken));
            }
        }
        let needs_seat = before.is_none_or(|entry| entry.status == Status::Left);
        if faults.is_empty() && needs_seat {
            if free > 0 {
                free -= 1;
            } else {
                faults.push((None, Fault::SeatsExceeded { seats: directory.seats }));
            }
        }
        let outcome = if faults.is_empty() {
            let after = merge(sheet, row, before, directory.locale, &mut new_id);
            match before {
                None => {
                    plan.insert.push(after);
                    Outcome::Created
                }
                Some(before) if *before == after => Outcome::Unchanged,
                Some(before) => {
                    plan.save.push(after);
                    if before.status == Status::Left {
                        plan.back.push(before.id);
                        Outcome::Reactivated
                    } else {
                        Outcome::Updated
                    }
                }
            }
        } else {
            Outcome::Rejected
        };
        plan.decisions.push(Decision { line: row.line, email: row.email.clone(), outcome, faults });
    }
    plan
}

/// The entry after the row. A column that the file lacks changes nothing; an empty cell empties, except that
/// everybody has a language.
fn merge(
    sheet: &Sheet,
    row: &Row,
    before: Option<&Entry>,
    locale: Locale,
    new_id: &mut impl FnMut() -> EmployeeId,
) -> Entry {
    let optional = |field: Field, said: &Option<String>, kept: Option<&Option<String>>| {
        if sheet.has(field) { said.clone() } else { kept.cloned().flatten() }
    };
    let department = optional(Field::Department, &row.department, before.map(|it| &it.department));
    Entry {
        id: before.map_or_else(new_id, |it| it.id),
        email: row.email.clone(),
        first_name: row.first_name.clone(),
        last_name: row.last_name.clone(),
        staff_number: optional(Field::StaffNumber, &row.staff_number, before.map(|it| &it.staff_number)),
        // departments are the same whatever their case
        department: match (department, before.and_then(|it| it.department.as_ref())) {
            (Some(said), Some(kept)) if said.to_lowercase() == kept.to_lowercase() => Some(kept.clone()),
            (said, _) => said,
        },
        site: optional(Field::Site, &row.site, before.map(|it| &it.site)),
        locale: row.locale.or(before.map(|it| it.locale)).unwrap_or(locale),
        status: Status::Active,
    }
}

impl Plan {
    pub fn count(&self, outcome: Outcome) -> usize {
        self.decisions.iter().filter(|decision| decision.outcome == outcome).count()
    }

    pub fn is_clean(&self) -> bool {
        self.decisions.iter().all(|decision| decision.outcome != Outcome::Rejected)
    }

    /// The departments that the written entries need, each spelling once.
    pub fn departments(&self) -> Vec<String> {
        let names: HashSet<&String> =
            self.insert.iter().chain(&self.save).filter_map(|entry| entry.department.as_ref()).collect();
        let mut names: Vec<String> = names.into_iter().cloned().collect();
        names.sort_unstable();
        names
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::super::sheet;
    use super::*;

    fn entry(n: u128, email: &str, number: Option<&str>, status: Status) -> Entry {
        Entry {
            id: EmployeeId(Uuid::from_u128(n)),
            email: email.into(),
            first_name: "Ana".into(),
            last_name: "Silva".into(),
            staff_number: number.map(Into::into),
            department: Some("Sales".into()),
            site: None,
            locale: Locale::En,
            status,
        }
    }

    fn run(file: &str, known: Vec<Entry>, seats: i32) -> Plan {
        let taken = known.iter().filter(|entry| entry.status == Status::Active).count();
        let directory = Directory { known, seats, taken: i64::try_from(taken).unwrap(), locale: Locale::Fr };
        let mut next = 1000;
        plan(&sheet::read(file.as_bytes()).unwrap(), &directory, || {
            next += 1;
            EmployeeId(Uuid::from_u128(next))
        })
    }

    fn outcomes(plan: &Plan) -> Vec<Outcome> {
        plan.decisions.iter().map(|decision| decision.outcome).collect()
    }

    #[test]
    fn people_are_matched_by_address_whatever_its_case() {
        let known = vec![
            entry(1, "same@a.test", None, Status::Active),
            entry(2, "other@a.test", None, Status::Active),
            entry(3, "left@a.test", None, Status::Left),
        ];
        let file = "email,first name,last name,department\nSAME@a.test,Ana,Silva,SALES\nother@a.test,Ana,Roux,Sales\n\
                    left@a.test,Ana,Silva,Sales\nnew@a.test,Léa,Petit,Legal\n";
        let plan = run(file, known, 10);
        assert_eq!(outcomes(&plan), [Outcome::Unchanged, Outcome::Updated, Outcome::Reactivated, Outcome::Created]);
        assert_eq!(plan.save.iter().map(|entry| entry.id.0.as_u128()).collect::<Vec<_>>(), [2, 3]);
        assert_eq!(plan.insert.first().map(|entry| entry.locale), Some(Locale::Fr));
        assert_eq!(plan.departments(), ["Legal", "Sales"]);
    }

    #[test]
    fn a_column_that_is_absent_changes_nothing_and_an_empty_cell_empties() {
        let known = || vec![entry(1, "a@a.test", Some("7"), Status::Active)];
        let plan = run("email,first name,last name\na@a.test,Ana,Silva\n", known(), 10);
        assert_eq!(outcomes(&plan), [Outcome::Unchanged]);
        let plan =
            run("email,first name,last name,department,staff number,language\na@a.test,Ana,Silva,,,\n", known(), 10);
        let after = plan.save.first().unwrap();
        assert_eq!((&after.department, &after.staff_number, after.locale), (&None, &None, Locale::En));
    }

    #[test]
    fn who_comes_twice_is_taken_once_and_the_first_line_is_named() {
        let file = "email,nom,prenom,matricule\na@a.test,x,y,1\nA@A.test,x,y,2\nb@a.test,x,y,1\n";
        let plan = run(file, Vec::new(), 10);
        assert_eq!(outcomes(&plan), [Outcome::Created, Outcome::Rejected, Outcome::Rejected]);
        assert_eq!(plan.decisions[1].faults, [(Some(Field::Email), Fault::AddressRepeated { line: 2 })]);
        assert_eq!(plan.decisions[2].faults, [(Some(Field::StaffNumber), Fault::StaffNumberRepeated { line: 2 })]);
    }

    #[test]
    fn a_staff_number_of_somebody_else_is_not_taken_over() {
        let known = vec![entry(1, "a@a.test", Some("7"), Status::Active)];
        let plan = run("email,nom,prenom,matricule\nnew@a.test,x,y,7\na@a.test,Silva,Ana,7\n", known.clone(), 10);
        assert_eq!(plan.decisions[0].faults, [(Some(Field::StaffNumber), Fault::StaffNumberTaken)]);
        let plan = run("email,nom,prenom,matricule\na@a.test,Silva,Ana,7\n", known, 10);
        assert!(plan.is_clean());
    }

    #[test]
    fn people_beyond_the_seats_are_rejected_in_the_order_of_the_file() {
        let known = vec![entry(1, "a@a.test", None, Status::Active), entry(2, "left@a.test", None, Status::Left)];
        let file = "email,nom,prenom\nno address,x,y\nb@a.test,x,y\na@a.test,x,y\nleft@a.test,x,y\nc@a.test,x,y\n";
        let plan = run(file, known, 2);
        assert_eq!(
            outcomes(&plan),
            [Outcome::Rejected, Outcome::Created, Outcome::Updated, Outcome::Rejected, Outcome::Rejected]
        );
        assert_eq!(plan.decisions[4].faults, [(None, Fault::SeatsExceeded { seats: 2 })]);
        assert_eq!(plan.count(Outcome::Rejected), 3);
    }
}
