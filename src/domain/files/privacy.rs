//! Which files a person's copy of their data holds: whatever they brought, and, of an employee, whatever came in their
//! conversations.

use super::store;
use crate::platform::auth::{Permission, Role};
use crate::platform::ids::FileId;
use crate::platform::{Context, Result};

/// Some of the caller's files after one, in the order of their ids.
pub async fn list(cx: &Context, after: Option<FileId>) -> Result<Vec<FileId>> {
    let mut tx = cx.read(Permission::ReadFile).await?;
    match cx.caller().role {
        Role::Employee => store::list_own(&mut tx, after, true).await,
        Role::Practitioner => store::list_own(&mut tx, after, false).await,
        // theirs is a picture of themselves
        _ => {
            let avatar = store::find_avatar(&mut tx, cx.caller().user_id).await?;
            Ok(avatar.filter(|_| after.is_none()).into_iter().collect())
        }
    }
}
