//! Which statements find no index for what they ask: the plans of everything that the routes of the matrix do, as the
//! role that does it, those within functions, triggers and foreign keys included.
//!
//! The tables of a test are small, and a planner reads a small table whole whatever indexes it has. So the planner is told
//! that each has a million rows and that whole scans are dear: what is still read whole cannot be read otherwise.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;

use serde_json::Value;

/// For the connections to come of a database: plan as for a million rows, and tell the log every plan.
pub const WATCH: &str = "DO $$
    DECLARE
        change text;
        it regclass;
    BEGIN
        FOR it IN SELECT oid FROM pg_class WHERE relkind IN ('r', 'i') AND relnamespace::regnamespace::text IN ('app', 'auth') LOOP
            UPDATE pg_class SET reltuples = 1000000, relpages = 10 WHERE oid = it;
            -- which would count them
            IF (SELECT relkind = 'r' FROM pg_class WHERE oid = it) THEN
                EXECUTE format('ALTER TABLE %s SET (autovacuum_enabled = off)', it);
            END IF;
        END LOOP;
        FOREACH change IN ARRAY ARRAY['session_preload_libraries = auto_explain', 'auto_explain.log_min_duration = 0',
                                      'auto_explain.log_nested_statements = on', 'auto_explain.log_format = json',
                                      'enable_seqscan = off', 'enable_hashjoin = off', 'enable_mergejoin = off'] LOOP
            EXECUTE format('ALTER DATABASE %I SET %s', current_database(), change);
        END LOOP;
    END $$";

/// What stays small however many people use the platform, or is read as a whole on purpose.
const SMALL: [(&str, &str); 11] = [
    ("audit_verifications", "one row for each company"),
    ("privacy_requests_due", "an index of the erasures that wait for their seven days"),
    ("master_keys", "the keys of the operator"),
    ("retention_rules", "the kinds of records that there are"),
    ("consents", "staff count all of them; each person's own are found by an index"),
    ("signing_keys", "a few, read once a minute"),
    ("withdrawn_signing_keys", "a few, read once a minute"),
    ("usage_refreshes", "one row"),
    ("articles", "hundreds; which of them are published is asked once for a statement"),
    ("practitioners", "hundreds; which of them somebody sees is asked once for a statement"),
    ("users_suspended_practitioners", "an index of nobody else"),
];

/// The plans that the log of a test's cluster tells of one database, from now on.
pub struct Plans {
    log: PathBuf,
    from: u64,
    database: String,
}

impl Plans {
    pub fn watch(log: PathBuf, database: &str) -> Self {
        let from = std::fs::metadata(&log).unwrap().len();
        Self { log, from, database: database.to_owned() }
    }

    /// How many statements there were, and those that read a whole table or index: the table, and by which statements of
    /// which roles.
    pub fn whole_scans(&self) -> (usize, BTreeMap<String, BTreeSet<String>>) {
        let mut file = File::open(&self.log).unwrap();
        file.seek(SeekFrom::Start(self.from)).unwrap();
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        let (mut statements, mut found) = (0, BTreeMap::<String, BTreeSet<String>>::new());
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            let Some(role) = line.strip_prefix(&self.database).and_then(|rest| rest.strip_prefix(' ')) else {
                continue;
            };
            let Some((role, _)) = role.split_once(" LOG:  duration: ").filter(|(_, rest)| rest.ends_with("plan:"))
            else {
                continue;
            };
            if !role.starts_with("huntzen_") {
                continue;
            }
            let mut plan = String::new();
            while let Some(more) = lines.next_if(|line| line.starts_with('\t')) {
                plan.push_str(more);
            }
            let plan: Value = serde_json::from_str(&plan).unwrap_or_else(|error| panic!("{error}: {plan}"));
            statements += 1;
            let mut tables = BTreeSet::new();
            read_whole(&plan["Plan"], false, &mut tables);
            let words: Vec<_> = plan["Query Text"].as_str().unwrap_or_default().split_whitespace().collect();
            let statement: String = words.join(" ").chars().take(400).collect();
            for table in tables.into_iter().filter(|table| SMALL.iter().all(|(small, _)| small != table)) {
                found.entry(table).or_default().insert(format!("{role}: {statement}"));
            }
        }
        (statements, found)
    }
}

/// The tables that a plan reads whole. `is_cut`: it stops as soon as there is enough.
fn read_whole(plan: &Value, is_cut: bool, found: &mut BTreeSet<String>) {
    let kind = plan["Node Type"].as_str().unwrap_or_default();
    let is_whole = match kind {
        "Seq Scan" => true,
        "Index Scan" | "Index Only Scan" | "Bitmap Index Scan" => plan["Index Cond"].is_null() && !is_cut,
        _ => false,
    };
    if is_whole {
        let name = plan["Relation Name"].as_str().or_else(|| plan["Index Name"].as_str());
        found.extend(name.filter(|name| !name.starts_with("pg_")).map(ToOwned::to_owned));
    }
    let is_cut = match kind {
        "Limit" => true,
        // wants everything before it gives anything
        "Sort" | "Aggregate" | "Hash" | "WindowAgg" | "Materialize" | "ModifyTable" => false,
        _ => is_cut,
    };
    for part in plan["Plans"].as_array().into_iter().flatten() {
        read_whole(part, is_cut, found);
    }
}
