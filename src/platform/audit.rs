//! The append-only log of sensitive actions, written inside the transaction of the action itself.
//!
//! It never holds health content: ids, action names and outcomes only.

use uuid::Uuid;

use crate::platform::auth::Role;
use crate::platform::db::Tx;
use crate::platform::ids::CompanyId;
use crate::platform::problem::Result;

/// What was done, to what.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// `domain.verb` in the past tense, such as `company.created`.
    pub action: &'a str,
    /// The table's name in the singular, such as `company`.
    pub object_type: &'a str,
    pub object_id: Option<Uuid>,
    /// The company that it concerns, where it is not the actor's own.
    pub company_id: Option<CompanyId>,
    pub outcome: Outcome,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Success,
    Refused,
}

impl Tx {
    /// Writes an entry; it stands or falls with the transaction.
    pub async fn audit(&mut self, entry: Entry<'_>) -> Result<()> {
        let actor = self.actor().clone();
        sqlx::query("SELECT app.audit($1, $2, $3, $4, $5, $6, $7, $8)")
            .bind(actor.role.map(Role::as_str))
            .bind(entry.action)
            .bind(entry.object_type)
            .bind(entry.object_id)
            .bind(entry.company_id.or(actor.company_id))
            .bind(match entry.outcome {
                Outcome::Success => "success",
                Outcome::Refused => "refused",
            })
            .bind(actor.ip.map(|ip| ip.to_string()))
            .bind(actor.request_id.as_deref())
            .execute(self.conn())
            .await?;
        Ok(())
    }

    /// The usual entry: the action of this transaction succeeded.
    pub async fn audit_done(
        &mut self,
        action: &str,
        object_type: &str,
        object_id: impl Into<Option<Uuid>>,
    ) -> Result<()> {
        self.audit(Entry {
            action,
            object_type,
            object_id: object_id.into(),
            company_id: None,
            outcome: Outcome::Success,
        })
        .await
    }
}
