//! What a person shows to prove that it is them: the password again, a code, a recovery code.

use secrecy::SecretString;

use super::error::Error;
use super::jobs::Change;
use super::model::{self, TotpSecret};
use super::store::{self, TwoFactor};
use crate::domain::identity::account::passwords::confirm;
use crate::domain::identity::session::service::Device;
use crate::domain::identity::throttle::{Attempt, Purpose as Throttled, Subject};
use crate::platform::audit::{Detail, Entry};
use crate::platform::auth::Permission;
use crate::platform::auth::tokens::hash_opaque;
use crate::platform::crypto::rewrap::Sealed;
use crate::platform::crypto::seal::{Place, Purpose};
use crate::platform::db::Actor;
use crate::platform::ids::UserId;
use crate::platform::problem::{Error as Refusal, FieldErrors};
use crate::platform::{Context, Platform, Problem, Result, Tx};

const SECRET: Purpose = Purpose::new("identity.totp");
/// Where secrets are kept.
pub const SEALED: [Sealed; 2] = [
    Sealed { purpose: SECRET, table: "two_factor", column: "secret" },
    Sealed { purpose: SECRET, table: "two_factor", column: "pending_secret" },
];

/// Where a secret is kept.
#[derive(Clone, Copy)]
pub enum Column {
    Secret,
    PendingSecret,
}

pub fn place(person: UserId, column: Column) -> Place {
    let [secret, pending] = SEALED;
    let it = match column {
        Column::Secret => secret,
        Column::PendingSecret => pending,
    };
    Place {
        purpose: it.purpose,
        table: it.table,
        column: it.column,
        row: person.0,
        person: Some(person.0),
        company: None,
    }
}

/// The second step: a code of the app, or a recovery code in its place.
pub enum SecondStep {
    Code(SecretString),
    RecoveryCode(SecretString),
}

impl SecondStep {
    /// One of both; `None` where neither was sent.
    pub fn of(code: Option<String>, recovery_code: Option<String>) -> Result<Option<Self>> {
        let mut faults = FieldErrors::new();
        faults.check(code.is_none() || recovery_code.is_none(), "/recoveryCode", "one_of_both");
        faults.finish()?;
        Ok(code.map(|it| Self::Code(it.into())).or(recovery_code.map(|it| Self::RecoveryCode(it.into()))))
    }

    /// As [`SecondStep::of`], where one is needed.
    pub fn required(code: Option<String>, recovery_code: Option<String>) -> Result<Self> {
        Self::of(code, recovery_code)?.ok_or_else(missing)
    }
}

/// `422`: a code is needed.
pub fn missing() -> Problem {
    Problem::from(Refusal::Invalid).at("/code", "required")
}

/// Takes what was shown, once, in the person's own transaction; whether it fits. What was taken counts with the commit.
pub async fn take(
    platform: &Platform,
    tx: &mut Tx,
    person: UserId,
    own: &TwoFactor,
    shown: &SecondStep,
) -> Result<bool> {
    use secrecy::ExposeSecret;

    let sealed = own.secret.as_deref().ok_or(Error::TotpNotEnabled)?;
    let now = platform.clock.now();
    match shown {
        SecondStep::Code(code) => {
            let here = place(person, Column::Secret);
            let secret = platform.keyring.open(&here, sealed)?;
            let Some(step) = TotpSecret::new(&secret, "")?.step_of(code.expose_secret(), now) else { return Ok(false) };
            // with each use a secret moves to the newest master key
            let resealed = (!platform.keyring.is_newest(sealed))
                .then(|| platform.keyring.seal(&here, &secret, &platform.entropy))
                .transpose()?;
            store::take_step(tx, step, sealed, resealed.as_deref()).await
        }
        SecondStep::RecoveryCode(code) => {
            let hash = hash_opaque(&model::normalise_recovery_code(code.expose_secret()));
            let Some(left) = store::take_recovery_code(tx, &hash, now).await? else { return Ok(false) };
            let used = Entry::done("recovery_code.used", "user", person.0).about(person);
            // how many are left
            tx.audit(used.with(Detail::Count, left)).await?;
            super::jobs::tell(tx, person, Change::RecoveryCodeUsed { left }, now).await?;
            Ok(true)
        }
    }
}

/// What slows down whoever guesses codes of somebody who is signed in.
pub struct Gate(Attempt);

impl Gate {
    /// `429` while there is something to wait for.
    pub async fn enter(cx: &Context, device: &Device) -> Result<Self> {
        let mut tx = cx.platform().db.anonymous(Actor::of(cx)).await?;
        let person = Subject::Person(cx.caller().user_id);
        let token = device.token.as_deref();
        Ok(Self(Attempt::begin(cx.platform(), &mut tx, Throttled::SecondFactor, person, token).await?))
    }

    /// The code fits. To be called before what it opens is committed.
    pub async fn open(self, cx: &Context) -> Result<()> {
        let mut tx = cx.platform().db.anonymous(Actor::of(cx)).await?;
        self.0.succeeded(&mut tx).await?;
        tx.commit().await
    }

    /// The code does not fit.
    pub async fn refuse<T>(self, cx: &Context) -> Result<T> {
        let mut tx = cx.platform().db.anonymous(Actor::of(cx)).await?;
        self.0.failed(&mut tx).await?;
        note_refusal(&mut tx, cx.caller().user_id).await?;
        tx.commit().await?;
        Err(Error::WrongTotpCode.into())
    }
}

/// Writes down that a code was refused.
pub async fn note_refusal(tx: &mut Tx, person: UserId) -> Result<()> {
    tx.audit(Entry::refused("two_factor.refused", "user", person.0).about(person)).await
}

/// Begins the caller's transaction once they have shown the present password and, where they have a second factor, a code.
pub async fn begin_proven(
    cx: &Context,
    password: &SecretString,
    shown: Option<&SecondStep>,
    device: &Device,
) -> Result<Tx> {
    let has_one = store::find_own(&mut cx.read(Permission::ManageSelf).await?).await?.secret.is_some();
    if has_one && shown.is_none() {
        return Err(missing());
    }
    confirm(cx, password, device).await?;
    match shown {
        Some(shown) if has_one => begin_with(cx, shown, device).await,
        _ => cx.begin(Permission::ManageSelf).await,
    }
}

/// Begins the caller's transaction with the code taken, once; `403` where it does not fit.
pub async fn begin_with(cx: &Context, shown: &SecondStep, device: &Device) -> Result<Tx> {
    let gate = Gate::enter(cx, device).await?;
    let mut tx = cx.begin(Permission::ManageSelf).await?;
    let own = store::find_own(&mut tx).await?;
    if take(cx.platform(), &mut tx, cx.caller().user_id, &own, shown).await? {
        gate.open(cx).await?;
        return Ok(tx);
    }
    drop(tx);
    gate.refuse(cx).await
}
