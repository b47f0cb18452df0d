//! No number that is withheld follows from those that are shown.

use std::collections::HashMap;

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
    let some = (1..=most).flat_map(|people| (people..=most).map(move |s| (s, people)));
    // departments may have nobody
    let one: Vec<(i32, i32)> = disjoint.then_some((0, 0)).into_iter().chain(some).collect();
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

/// A reader who knows the rule, and every table that there can be, finds for each withheld cell at least two
/// numbers of sessions and, where it is small, of people; and no sum of fewer than k people.
async fn attack(app: &TestApp, k: i32, step: i32, cells: usize, most: i32, disjoint: bool) {
    // a month of fewer is withheld as a whole
    let mut tables = every_table(cells, most, disjoint);
    tables.retain(|table| table.total_people >= k);
    // what the rule is given ascends by people; ties keep the order of their keys
    let sorted: Vec<Vec<usize>> = tables
        .iter()
        .map(|table| {
            let mut order: Vec<usize> = (0..cells).collect();
            order.sort_by_key(|i| (table.cells[*i].1, *i));
            order
        })
        .collect();
    let asked: Vec<Value> = tables
        .iter()
        .zip(&sorted)
        .map(|(table, order)| {
            let pick = |f: fn(&(i32, i32)) -> i32| order.iter().map(|i| f(&table.cells[*i])).collect::<Vec<_>>();
            let small = table.cells.iter().filter(|cell| cell.1 < k).count();
            json!({"total": table.total_people, "small": small, "s": pick(|c| c.0), "m": pick(|c| c.0 * 10), "p": pick(|c| c.1)})
        })
        .collect();
    let words: Vec<(Option<Vec<Option<String>>>,)> = sqlx::query_as(
        "SELECT stats.withhold($1, $2, $3, (t ->> 'total')::int, (t ->> 'small')::int,
                               ARRAY(SELECT jsonb_array_elements(t -> 's')::int),
                               ARRAY(SELECT jsonb_array_elements(t -> 'm')::int),
                               ARRAY(SELECT jsonb_array_elements(t -> 'p')::int),
                               -- groups so large that nearly all of none can have come
                               ARRAY(SELECT 1000 FROM jsonb_array_elements(t -> 'p')))
         FROM jsonb_array_elements($4) WITH ORDINALITY AS given (t, n) ORDER BY n",
    )
    .bind(k)
    .bind(step)
    .bind(disjoint)
    .bind(json!(asked))
    .fetch_all(app.db())
    .await
    .unwrap();

    let mut told: HashMap<String, Vec<&Table>> = HashMap::new();
    let mut hidden_of: HashMap<String, Vec<Option<String>>> = HashMap::new();
    for ((table, order), (words,)) in tables.iter().zip(&sorted).zip(words) {
        let Some(words) = words else { continue };
        assert!(table.total_people >= k, "{table:?}");
        let mut by_key = vec![None; cells];
        order.iter().zip(words).for_each(|(i, word)| by_key[*i] = word);
        let shown: Vec<String> = table
            .cells
            .iter()
            .zip(&by_key)
            .map(|((sessions, people), word)| {
                word.clone().unwrap_or_else(|| {
                    assert!(*people >= k, "{table:?}");
                    format!("{sessions}/{}", people - people % step)
                })
            })
            .collect();
        let pooled: Vec<i32> = table.cells.iter().zip(&by_key).filter(|(_, w)| w.is_some()).map(|(c, _)| c.1).collect();
        let rests_on_many = pooled.iter().any(|people| *people >= k) || pooled.len() == cells;
        assert!(pooled.is_empty() || (pooled.len() > 1 && rests_on_many), "{table:?}");
        let sessions: i32 = table.cells.iter().map(|c| c.0).sum();
        let answer = format!("{shown:?} of {sessions}/{}", table.total_people - table.total_people % step);
        told.entry(answer.clone()).or_default().push(table);
        hidden_of.insert(answer, by_key);
    }
    let mut attacked = 0;
    for (answer, possible) in told {
        let hidden = &hidden_of[&answer];
        let is_hidden = |i: &usize| hidden[*i].is_some();
        let pooled: i32 = (0..cells).filter(is_hidden).map(|i| possible[0].cells[i].0).sum();
        // beyond that there are tables that were not tried
        if pooled > most {
            continue;
        }
        for i in (0..cells).filter(is_hidden) {
            let distinct = |f: fn(&(i32, i32)) -> i32| {
                possible.iter().map(|table| f(&table.cells[i])).collect::<std::collections::HashSet<_>>().len()
            };
            attacked += 1;
            assert!(distinct(|c| c.0) > 1, "sessions of cell {i} are known from {answer}");
            let is_small = hidden[i].as_deref() == Some("small_group");
            assert!(!is_small || distinct(|c| c.1) > 1, "people of cell {i} are known from {answer}");
        }
    }
    assert!(attacked > 10, "nothing was attacked");
}

#[tokio::test]
async fn nobody_can_compute_a_withheld_number_from_those_shown() {
    let app = TestApp::start().await;
    for disjoint in [false, true] {
        attack(&app, 3, 2, 2, 9, disjoint).await;
        attack(&app, 4, 5, 2, 10, disjoint).await;
    }
    attack(&app, 3, 3, 3, 7, true).await;
    attack(&app, 3, 1, 3, 5, false).await;
}
