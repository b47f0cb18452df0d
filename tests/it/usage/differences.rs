//! No number that is withheld follows from those that are shown: of small tables, by trying every one that there can be.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};

use crate::support::TestApp;

/// A small table of one month, as the database has it.
#[derive(Clone, Debug)]
struct Table {
    /// Sessions and people of each cell.
    cells: Vec<(i32, i32)>,
    total_people: i32,
}

/// Every table of so many cells with at most so many sessions in each.
fn every_table(cells: usize, most: i32, disjoint: bool) -> Vec<Table> {
    let used = (1..=most).flat_map(|people| (people..=most).map(move |s| (s, people)));
    let one: Vec<(i32, i32)> = std::iter::once((0, 0)).chain(used).collect();
    let mut rows: Vec<Vec<(i32, i32)>> = vec![Vec::new()];
    for _ in 0..cells {
        rows = rows.iter().flat_map(|row| one.iter().map(move |cell| [row.as_slice(), &[*cell]].concat())).collect();
    }
    rows.into_iter()
        .flat_map(|cells| {
            let (least, sum) = (cells.iter().map(|c| c.1).max().unwrap(), cells.iter().map(|c| c.1).sum());
            let totals = if disjoint { sum..=sum } else { least..=sum };
            totals.map(move |total_people| Table { cells: cells.clone(), total_people })
        })
        .collect()
}

/// The smallest dimensions that show everything there is to see.
struct Case {
    k: i32,
    step: i32,
    /// Of how many people each cell is.
    eligible: &'static [i32],
    /// Sessions of a cell.
    most: i32,
    disjoint: bool,
}

/// A reader who knows the rule, and every table that there can be, finds `step` numbers of sessions for each withheld cell beside
/// shown ones, and several for any; nor does a withheld department tell whether anybody came.
async fn attack(app: &TestApp, it: &Case) {
    let (k, step, cells) = (it.k, it.step, it.eligible.len());
    let everybody = if it.disjoint { it.eligible.iter().sum() } else { it.eligible[0] };
    let is_safe = |people: i32, of: i32| people >= k && people <= of - step;
    // a month of fewer, or of nearly all, is withheld as a whole
    let mut tables = every_table(cells, it.most, it.disjoint);
    tables.retain(|table| {
        is_safe(table.total_people, everybody) && table.cells.iter().zip(it.eligible).all(|(cell, of)| cell.1 <= *of)
    });
    let asked: Vec<Value> = tables
        .iter()
        .map(|table| {
            let (sessions, people): (Vec<i32>, Vec<i32>) = table.cells.iter().copied().unzip();
            json!({"s": sessions, "p": people})
        })
        .collect();
    let words: Vec<(Vec<bool>,)> = sqlx::query_as(
        "SELECT stats.withhold($1, $2, $3, ARRAY(SELECT s::int FROM jsonb_array_elements(t -> 's') s),
                               ARRAY(SELECT p::int FROM jsonb_array_elements(t -> 'p') p), $4)
         FROM jsonb_array_elements($5) WITH ORDINALITY AS given (t, n) ORDER BY n",
    )
    .bind(k)
    .bind(step)
    .bind(it.disjoint)
    .bind(it.eligible)
    .bind(json!(asked))
    .fetch_all(app.db())
    .await
    .unwrap();

    let mut told: HashMap<String, Vec<&Table>> = HashMap::new();
    let mut hidden_of: HashMap<String, Vec<bool>> = HashMap::new();
    for (table, (hidden,)) in tables.iter().zip(words) {
        let shown: Vec<String> = table
            .cells
            .iter()
            .zip(&hidden)
            .zip(it.eligible)
            .map(|(((sessions, people), hidden), of)| {
                if *hidden {
                    return "-".into();
                }
                assert!(is_safe(*people, *of) || *people == 0 && !it.disjoint, "{table:?}");
                format!("{sessions}/{}", people - people % step)
            })
            .collect();
        assert!(hidden.iter().filter(|hidden| **hidden).count() != 1, "{table:?}");
        let sessions: i32 = table.cells.iter().map(|c| c.0).sum();
        let answer = format!("{shown:?} of {sessions}/{}", table.total_people - table.total_people % step);
        told.entry(answer.clone()).or_default().push(table);
        hidden_of.insert(answer, hidden);
    }
    let mut attacked = 0;
    for (answer, possible) in told {
        let hidden = &hidden_of[&answer];
        let is_partly = hidden.iter().any(|hidden| !hidden);
        let pooled: i32 = (0..cells).filter(|i| hidden[*i]).map(|i| possible[0].cells[i].0).sum();
        // beyond that there are tables that were not tried
        if pooled > it.most {
            continue;
        }
        for i in (0..cells).filter(|i| hidden[*i]) {
            let distinct = possible.iter().map(|table| table.cells[i].0).collect::<HashSet<_>>().len();
            attacked += 1;
            let enough = if is_partly { usize::try_from(step).unwrap() } else { 2 };
            assert!(distinct >= enough, "sessions of cell {i} are one of {distinct} in {answer}: {possible:?}");
            // whoever is not of those that are hidden beside them
            if it.disjoint && is_partly && possible.iter().any(|table| !is_safe(table.cells[i].1, it.eligible[i])) {
                assert!(possible.iter().any(|table| table.cells[i].0 == 0), "somebody of {i} came in {answer}");
            }
        }
    }
    assert!(attacked > 10, "nothing was attacked");
}

#[tokio::test]
async fn nobody_can_compute_a_withheld_number_from_those_shown() {
    let app = TestApp::start().await;
    for disjoint in [false, true] {
        attack(&app, &Case { k: 3, step: 2, eligible: &[8, 8, 8], most: 7, disjoint }).await;
        attack(&app, &Case { k: 4, step: 3, eligible: &[20, 20], most: 12, disjoint }).await;
        attack(&app, &Case { k: 2, step: 2, eligible: &[6, 6, 6], most: 6, disjoint }).await;
    }
    attack(&app, &Case { k: 2, step: 2, eligible: &[5, 6, 9], most: 6, disjoint: true }).await;
}
