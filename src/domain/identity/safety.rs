//! What touched the safety of an account, for the floors above. The mails about it are this module's own.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::platform::ids::UserId;
use crate::platform::jobs::{Job, Queue};
use crate::platform::{Result, Tx};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Touched {
    Password,
    Email,
    /// The second factor was changed, or a recovery code was used.
    TwoFactor,
    /// A session was ended because its token came twice.
    Session,
}

/// Whose account, and how: enqueued with the change itself.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct AccountTouched {
    pub user_id: UserId,
    pub what: Touched,
    pub at: DateTime<Utc>,
}

impl Job for AccountTouched {
    const KIND: &'static str = "identity.account_touched";
    const QUEUE: Queue = Queue::Events;
}

pub(super) async fn emit(tx: &mut Tx, user_id: UserId, what: Touched, at: DateTime<Utc>) -> Result<()> {
    tx.enqueue(&AccountTouched { user_id, what, at }, None, None).await
}
