//! What must not be in an answer: ids and texts that only rows of others hold.

use std::collections::BTreeSet;

use serde_json::Value;
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

use huntzen::platform::auth::Role;

/// Shorter texts are in answers by chance.
const SHORTEST: usize = 5;

/// What everybody of a company may know of it.
const SHARED: [&str; 4] = ["app.companies", "app.company_settings", "app.company_networks", "app.departments"];

/// What no employer learns of their people: accounts and care.
const CARE: [&str; 6] = [
    "app.consultations",
    "app.consultation_events",
    "app.user_sessions",
    "app.clinical_notes",
    "app.journal_entries",
    "app.reviews",
];

struct Line {
    table: String,
    own: bool,
    /// `None`: of no company
    same_company: Option<bool>,
    row: Value,
}

impl Line {
    fn is_employees_account(&self) -> bool {
        self.table == "app.users" && self.row["role"] == "employee"
    }

    /// Its ids and words; addresses of machines and times are in answers by chance.
    fn texts(&self) -> impl Iterator<Item = String> {
        let members = self.row.as_object().into_iter().flatten();
        members
            .filter(|(name, _)| !name.contains("hash") && *name != "ip")
            // that something was done with one's data is for each to know: who did it is not
            .filter(|(name, _)| {
                !(self.table == "app.audit_logs" && ["id", "action", "object_type"].contains(&name.as_str()))
            })
            .filter(|(name, _)| !(self.table == "app.audit_chain" && *name == "entry_id"))
            .filter_map(|(_, value)| value.as_str())
            .filter(|text| text.len() >= SHORTEST && text.parse::<chrono::NaiveDate>().is_err())
            .filter(|text| chrono::DateTime::parse_from_rfc3339(text).is_err())
            .map(str::to_lowercase)
    }
}

async fn lines(superuser: &mut PgConnection, me: Uuid, its: Option<Uuid>) -> Vec<Line> {
    let tables: Vec<(String, String, String)> =
        sqlx::query_as("SELECT name, own, company FROM fixture.tables ORDER BY name")
            .fetch_all(&mut *superuser)
            .await
            .unwrap();
    let mut lines = Vec::new();
    for (table, own, company) in tables {
        let rows: Vec<(bool, Option<bool>, Value)> = sqlx::query_as(AssertSqlSafe(format!(
            "SELECT coalesce({own}, false),
                    CASE WHEN ({company}) IS NOT NULL THEN coalesce(({company}) = its, false) END, to_jsonb(t)
             FROM {table} t, (SELECT $1::uuid AS me, $2::uuid AS its) AS caller"
        )))
        .bind(me)
        .bind(its)
        .fetch_all(&mut *superuser)
        .await
        .unwrap_or_else(|error| panic!("{table}: {error}"));
        lines.extend(rows.into_iter().map(|(own, same_company, row)| Line {
            table: table.clone(),
            own,
            same_company,
            row,
        }));
    }
    lines
}

/// The texts that no answer to this caller may hold. Words of the `vocabulary`, in small letters, tell nothing.
pub async fn foreign_to(
    superuser: &mut PgConnection,
    me: Uuid,
    its: Option<Uuid>,
    role: Role,
    vocabulary: &str,
) -> Vec<String> {
    let is_foreign = |line: &Line| match role {
        _ if line.own => false,
        Role::Employee => line.same_company.is_some() && !(line.same_company == Some(true) && is_shared(line)),
        Role::Hr | Role::CompanyAdmin => {
            line.same_company == Some(false) || line.is_employees_account() || is_care(line)
        }
        // the directory, and whoever is not their client
        Role::Practitioner => line.table == "app.employees" || line.is_employees_account() || is_care(line),
        // serves every company; which rows it may not reach is for the matrix of rows
        Role::PlatformAdmin => false,
    };
    let (foreign, known): (Vec<_>, Vec<_>) =
        lines(superuser, me, its).await.into_iter().partition(|line| is_foreign(line));
    let mut known: BTreeSet<String> = known.iter().flat_map(Line::texts).collect();
    // the names by which their clients want to be called
    for line in foreign.iter().filter(|line| role == Role::Practitioner && line.is_employees_account()) {
        if line.row["id"].as_str().is_some_and(|id| known.contains(id)) {
            known.extend(line.row["display_name"].as_str().map(str::to_lowercase));
        }
    }
    let foreign: BTreeSet<String> = foreign.iter().flat_map(Line::texts).collect();
    foreign.difference(&known).filter(|text| !vocabulary.contains(text.as_str())).cloned().collect()
}

fn is_shared(line: &Line) -> bool {
    SHARED.contains(&line.table.as_str())
}

fn is_care(line: &Line) -> bool {
    CARE.contains(&line.table.as_str())
}
