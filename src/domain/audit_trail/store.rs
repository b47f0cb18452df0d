//! SQL of the audit log: reading it by role, walking its chains, keeping what a verification found.

use chrono::{DateTime, Utc};
use sqlx::{Postgres, QueryBuilder};
use uuid::Uuid;

use super::chain::{self, Finding, Head, Link, Recorded};
use super::model::{Access, Acknowledgement, Filter, Key, LogEntry, Verification};
use super::verify::Verified;
use crate::platform::audit::Subject;
use crate::platform::ids::{CompanyId, EmployeeId, UserId};
use crate::platform::locale::Locale;
use crate::platform::problem::Problem;
use crate::platform::{Result, Tx};

/// Newest first. Row security decides what is there at all; what is said here lets an index find it.
pub async fn list(tx: &mut Tx, filter: &Filter, after: Option<Key>, limit: i64) -> Result<Vec<LogEntry>> {
    let mut query = QueryBuilder::<Postgres>::new(
        // names are looked up for the page alone
        "SELECT l.id, l.at, l.actor_id, l.actor_role, u.display_name AS actor_name, l.company_id, l.action, l.object_type,
                l.object_id, l.subject_type, l.subject_id, l.outcome, l.details, host(l.ip) AS ip, l.request_id
         FROM (SELECT l.* FROM app.audit_logs l WHERE true",
    );
    let mut narrow = |column: &str, id: Option<Uuid>| {
        if let Some(id) = id {
            query.push(format!(" AND l.{column} = ")).push_bind(id);
        }
    };
    narrow("company_id", filter.company_id.map(|id| id.0));
    narrow("actor_id", filter.actor_id.map(|id| id.0));
    narrow("subject_id", filter.subject_id);
    narrow("object_id", filter.object_id);
    if filter.by_members_only {
        query.push(" AND l.actor_role IN ('hr', 'company_admin')");
    }
    if let Some(action) = &filter.action {
        query.push(" AND l.action = ").push_bind(action);
    }
    if let Some(object_type) = &filter.object_type {
        query.push(" AND l.object_type = ").push_bind(object_type);
    }
    if let Some(from) = filter.from {
        query.push(" AND l.at >= ").push_bind(from);
    }
    if let Some(to) = filter.to {
        query.push(" AND l.at < ").push_bind(to);
    }
    if let Some(Key(at, id)) = after {
        query.push(" AND (l.at, l.id) < (").push_bind(at).push(", ").push_bind(id).push(")");
    }
    query.push(" ORDER BY l.at DESC, l.id DESC LIMIT ").push_bind(limit);
    query.push(") l LEFT JOIN app.users u ON u.id = l.actor_id ORDER BY l.at DESC, l.id DESC");
    Ok(query.build_query_as().fetch_all(tx.conn()).await?)
}

/// What others did with the caller's data, newest first.
pub async fn list_accesses(tx: &mut Tx, after: Option<Key>, limit: i64) -> Result<Vec<Access>> {
    Ok(sqlx::query_as(
        "SELECT id, at, actor_role, practitioner_id, practitioner_name, action, object_type, object_id, is_read, is_list,
                outcome
         FROM app.access_log($1, $2, $3)",
    )
    .bind(after.map(|key| key.0))
    .bind(after.map(|key| key.1))
    .bind(limit)
    .fetch_all(tx.conn())
    .await?)
}

/// Every chain there is or should be, with its head as it is written.
pub async fn list_chains(tx: &mut Tx) -> Result<Vec<(Uuid, Option<Head>)>> {
    let rows: Vec<(Uuid, Option<i64>, Option<Vec<u8>>)> =
        sqlx::query_as("SELECT chain, sequence, digest FROM app.audit_chains()").fetch_all(tx.conn()).await?;
    rows.into_iter().map(|(chain, sequence, digest)| Ok((chain, head(sequence, digest)?))).collect()
}

fn head(sequence: Option<i64>, digest: Option<Vec<u8>>) -> Result<Option<Head>> {
    let (Some(sequence), Some(digest)) = (sequence, digest) else { return Ok(None) };
    let digest = digest.try_into().map_err(|_| Problem::internal("a digest of another length"))?;
    Ok(Some(Head { sequence, digest }))
}

/// Where the chain of the transaction's company is said to end.
pub async fn find_head(tx: &mut Tx, chain: Uuid) -> Result<Option<Head>> {
    let row: Option<(i64, Vec<u8>)> = sqlx::query_as("SELECT sequence, digest FROM app.audit_heads WHERE chain = $1")
        .bind(chain)
        .fetch_optional(tx.conn())
        .await?;
    let (sequence, digest) = row.unzip();
    head(sequence, digest)
}

/// The link before the first entry of a time or after; none where the chain begins later.
pub async fn find_link_before(tx: &mut Tx, chain: Uuid, since: DateTime<Utc>) -> Result<Option<Head>> {
    let row: Option<(i64, Vec<u8>)> = sqlx::query_as(
        "SELECT c.sequence, c.digest FROM app.audit_chain c
         WHERE c.chain = $1 AND c.sequence < coalesce(
             (SELECT min(later.sequence) FROM app.audit_chain later JOIN app.audit_logs l ON l.id = later.entry_id
              WHERE later.chain = $1 AND l.at >= $2), 9223372036854775807)
         ORDER BY c.sequence DESC LIMIT 1",
    )
    .bind(chain)
    .bind(since)
    .fetch_optional(tx.conn())
    .await?;
    let (sequence, digest) = row.unzip();
    head(sequence, digest)
}

#[derive(sqlx::FromRow)]
struct LinkRow {
    sequence: i64,
    version: i16,
    entry_id: Uuid,
    entry_digest: Vec<u8>,
    digest: Vec<u8>,
    found: Option<Uuid>,
    micros: Option<i64>,
    actor_id: Option<Uuid>,
    actor_role: Option<String>,
    company_id: Option<Uuid>,
    action: Option<String>,
    object_type: Option<String>,
    object_id: Option<Uuid>,
    subject_type: Option<String>,
    subject_id: Option<Uuid>,
    outcome: Option<String>,
    details: Option<String>,
    ip: Option<String>,
    request_id: Option<String>,
}

impl From<LinkRow> for Link {
    fn from(row: LinkRow) -> Self {
        let entry = row.found.map(|id| Recorded {
            id,
            micros: row.micros.unwrap_or_default(),
            actor_id: row.actor_id,
            actor_role: row.actor_role,
            company_id: row.company_id,
            action: row.action.unwrap_or_default(),
            object_type: row.object_type.unwrap_or_default(),
            object_id: row.object_id,
            subject_type: row.subject_type,
            subject_id: row.subject_id,
            outcome: row.outcome.unwrap_or_default(),
            details: row.details.unwrap_or_default(),
            ip: row.ip,
            request_id: row.request_id,
        });
        let LinkRow { sequence, version, entry_id, entry_digest, digest, .. } = row;
        Self { sequence, version, entry_id, entry_digest, digest, entry }
    }
}

macro_rules! select_links {
    ($rest:literal) => {
        concat!(
            "SELECT c.sequence, c.version, c.entry_id, c.entry_digest, c.digest, l.id AS found,
                    (extract(epoch FROM l.at) * 1000000)::bigint AS micros, l.actor_id, l.actor_role, l.company_id,
                    l.action, l.object_type, l.object_id, l.subject_type, l.subject_id, l.outcome,
                    l.details::text AS details, l.ip::text AS ip, l.request_id
             FROM app.audit_chain c LEFT JOIN app.audit_logs l ON l.id = c.entry_id ",
            $rest
        )
    };
}

/// The next links of a chain of the transaction's company, with their entries.
pub async fn list_links(tx: &mut Tx, chain: Uuid, after: i64, limit: i64) -> Result<Vec<Link>> {
    let rows: Vec<LinkRow> =
        sqlx::query_as(select_links!("WHERE c.chain = $1 AND c.sequence > $2 ORDER BY c.sequence LIMIT $3"))
            .bind(chain)
            .bind(after)
            .bind(limit)
            .fetch_all(tx.conn())
            .await?;
    Ok(rows.into_iter().map(Into::into).collect())
}

/// Entries of the transaction's company that no link names, by id.
pub async fn list_unlinked(
    tx: &mut Tx,
    company: Option<CompanyId>,
    since: Option<DateTime<Utc>>,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Uuid>> {
    let mut query = QueryBuilder::<Postgres>::new(
        "SELECT l.id FROM app.audit_logs l
         WHERE NOT EXISTS (SELECT FROM app.audit_chain c WHERE c.entry_id = l.id) AND l.company_id ",
    );
    match company {
        Some(id) => query.push("= ").push_bind(id),
        None => query.push("IS NULL"),
    };
    if let Some(since) = since {
        query.push(" AND l.at >= ").push_bind(since);
    }
    if let Some(after) = after {
        query.push(" AND l.id > ").push_bind(after);
    }
    query.push(" ORDER BY l.id LIMIT ").push_bind(limit);
    Ok(query.build_query_scalar().fetch_all(tx.conn()).await?)
}

/// What is known to be wrong with a chain of the transaction's company, as the table says it.
pub async fn list_acknowledged(tx: &mut Tx, chain: Uuid) -> Result<Vec<(Acknowledgement, Vec<Finding>)>> {
    #[derive(sqlx::FromRow)]
    struct Row {
        #[sqlx(flatten)]
        it: Acknowledgement,
        findings: sqlx::types::Json<Vec<Finding>>,
    }
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT decided_by, reason, at, findings FROM app.audit_acknowledgements WHERE chain = $1 ORDER BY at, id",
    )
    .bind(chain)
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(|row| (row.it, row.findings.0)).collect())
}

/// The links of what the chain itself says of acknowledgements.
pub async fn list_acknowledging(tx: &mut Tx, chain: Uuid) -> Result<Vec<Link>> {
    let rows: Vec<LinkRow> = sqlx::query_as(select_links!(
        "WHERE c.chain = $1 AND l.action = 'audit_log.break_acknowledged' ORDER BY c.sequence"
    ))
    .bind(chain)
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(Into::into).collect())
}

/// Keeps that findings of a chain are known; it goes on from where it stands. In a transaction of the owner.
pub async fn acknowledge(
    tx: &mut Tx,
    chain_id: Uuid,
    it: &Acknowledgement,
    head: Head,
    findings: &[Finding],
) -> Result<()> {
    sqlx::query("SELECT app.acknowledge_audit_findings($1, $2, $3, $4, $5, $6, $7, $8)")
        .bind(chain_id)
        .bind(sqlx::types::Json(findings))
        .bind(&it.decided_by)
        .bind(&it.reason)
        .bind(chain::acknowledgement(chain_id, &it.decided_by, &it.reason, findings)?)
        .bind(head.sequence)
        .bind(&head.digest[..])
        .bind(it.at)
        .execute(tx.conn())
        .await?;
    Ok(())
}

macro_rules! select_verification {
    ($rest:literal) => {
        concat!(
            "SELECT v.chain, v.verified_at, v.sequence, v.digest, v.findings, v.first, v.acknowledged,
                    a.at AS acknowledged_at, a.decided_by, a.reason
             FROM app.audit_verifications v
             LEFT JOIN LATERAL (SELECT k.at, k.decided_by, k.reason FROM app.audit_acknowledgements k
                                WHERE k.chain = v.chain ORDER BY k.at DESC LIMIT 1) a ON true ",
            $rest
        )
    };
}

/// What the chain of the transaction's company was found to be the last time.
pub async fn find_verification(tx: &mut Tx, chain: Uuid) -> Result<Option<Verification>> {
    Ok(sqlx::query_as(select_verification!("WHERE v.chain = $1")).bind(chain).fetch_optional(tx.conn()).await?)
}

/// Broken ones first, then by chain.
pub async fn list_verifications(tx: &mut Tx, after: Option<(bool, Uuid)>, limit: i64) -> Result<Vec<Verification>> {
    Ok(sqlx::query_as(select_verification!(
        "WHERE $1::bool IS NULL OR (v.findings = 0, v.chain) > ($1, $2) ORDER BY v.findings = 0, v.chain LIMIT $3"
    ))
    .bind(after.map(|key| key.0))
    .bind(after.map(|key| key.1))
    .bind(limit)
    .fetch_all(tx.conn())
    .await?)
}

/// Keeps what was found; how far the chain went only while it is whole, so that the next time expects to find that.
pub async fn save_verification(tx: &mut Tx, chain: Uuid, at: DateTime<Utc>, found: &Verified) -> Result<()> {
    let count = |many: u64| i32::try_from(many).unwrap_or(i32::MAX);
    sqlx::query(
        "INSERT INTO app.audit_verifications AS v (chain, verified_at, sequence, digest, findings, first, acknowledged)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (chain) DO UPDATE SET
             verified_at = excluded.verified_at, findings = excluded.findings, first = excluded.first,
             acknowledged = excluded.acknowledged,
             sequence = CASE WHEN excluded.findings = 0 THEN excluded.sequence ELSE v.sequence END,
             digest = CASE WHEN excluded.findings = 0 THEN excluded.digest ELSE v.digest END",
    )
    .bind(chain)
    .bind(at)
    .bind(found.head.sequence)
    .bind(&found.head.digest[..])
    .bind(count(found.findings))
    .bind(found.first.map(sqlx::types::Json))
    .bind(count(found.acknowledged))
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// How many chains are broken, and when the one was verified that was not for longest.
pub async fn standing(tx: &mut Tx) -> Result<(i64, Option<DateTime<Utc>>)> {
    Ok(sqlx::query_as("SELECT broken, oldest FROM app.audit_standing()").fetch_one(tx.conn()).await?)
}

/// Removes entries of the transaction's company that were kept for long enough; how many.
pub async fn cut(tx: &mut Tx, most: i32) -> Result<i64> {
    Ok(sqlx::query_scalar("SELECT app.cut_audit_log($1)").bind(most).fetch_one(tx.conn()).await?)
}

/// Whom to tell that a chain is broken.
#[derive(sqlx::FromRow)]
pub struct Admin {
    pub id: UserId,
    pub email: String,
    pub display_name: String,
    pub locale: Locale,
}

pub async fn list_admins(tx: &mut Tx) -> Result<Vec<UserId>> {
    Ok(sqlx::query_scalar("SELECT id FROM app.users WHERE role = 'platform_admin' AND status = 'active' ORDER BY id")
        .fetch_all(tx.conn())
        .await?)
}

pub async fn find_admin(tx: &mut Tx, id: UserId) -> Result<Option<Admin>> {
    Ok(sqlx::query_as(
        "SELECT id, email, display_name, locale FROM app.users
         WHERE id = $1 AND role = 'platform_admin' AND status = 'active'",
    )
    .bind(id)
    .fetch_optional(tx.conn())
    .await?)
}

/// Those of the ids that are people: accounts, or entries of a directory.
pub async fn find_people(tx: &mut Tx, ids: &[Uuid]) -> Result<Vec<Subject>> {
    let found: Vec<(Uuid, bool)> = sqlx::query_as(
        "SELECT id, true FROM app.users WHERE id = ANY ($1) UNION ALL SELECT id, false FROM app.employees WHERE id = ANY ($1)",
    )
    .bind(ids)
    .fetch_all(tx.conn())
    .await?;
    Ok(found
        .into_iter()
        .map(|(id, is_account)| if is_account { Subject::User(UserId(id)) } else { Subject::Employee(EmployeeId(id)) })
        .collect())
}
