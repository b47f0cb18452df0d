//! What files are sealed under: attachments under the key of their conversation, documents under their person's own.

use super::error::Error;
use super::store::{self, Readable};
use crate::platform::auth::Permission;
use crate::platform::crypto::envelope::{KeyPurpose, Subject, SubjectKey};
use crate::platform::ids::{CompanyId, UserId};
use crate::platform::problem::Error as Refusal;
use crate::platform::{Context, Problem, Result};

fn own_subject(person: UserId, company: CompanyId) -> Subject {
    Subject { purpose: KeyPurpose::FILE, id: person.0, person, company }
}

/// The key of the caller's own documents. It is made with the first one.
pub async fn own(cx: &Context) -> Result<SubjectKey> {
    let company = cx.caller().company_id.ok_or(Refusal::Forbidden)?;
    let subject = own_subject(cx.caller().user_id, company);
    let platform = cx.platform();
    let mut tx = cx.begin(Permission::BringFile).await?;
    let kept = if let Some(kept) = store::find_own_key(&mut tx).await? {
        kept
    } else {
        let key = SubjectKey::new(cx.new_id(), subject, &platform.entropy);
        let wrapped = key.wrap(&platform.keyring, &platform.entropy)?;
        // of two who bring the first at the same moment, one has made it
        store::keep_own_key(&mut tx, key.id(), &wrapped, cx.now()).await?.ok_or(Error::FileErased)?
    };
    tx.commit().await?;
    let (id, wrapped) = kept;
    let wrapped = wrapped.ok_or(Error::FileErased)?;
    Ok(SubjectKey::unwrap(id, subject, &wrapped, &platform.keyring)?)
}

/// Whose key opens a file.
pub fn subject(it: &Readable) -> Result<Subject> {
    match (it.key_person, it.company_id, it.conversation_id) {
        (Some(person), Some(company), Some(conversation)) => {
            Ok(Subject { purpose: KeyPurpose::CHAT, id: conversation.0, person, company })
        }
        (Some(_), Some(company), None) => Ok(own_subject(it.owner_id, company)),
        _ => Err(Problem::internal("a file has no subject")),
    }
}
