//! Letting the two people into their session: what each way of meeting needs, and nothing before or after its time.
//!
//! The server notes who joins; that stands beside what the practitioner claims. Rooms and tokens are made anew each
//! time and kept nowhere. Nothing is recorded.

mod jitsi;
mod store;
mod turn;

use chrono::{DateTime, TimeDelta, Utc};

use super::error::Error;
use super::model::Standing;
use crate::domain::practitioners::Mode;
use crate::platform::auth::{Permission, Role};
use crate::platform::ids::{CompanyId, ConsultationId};
use crate::platform::problem::Error as Refusal;
use crate::platform::{Context, Result, Tx};

pub use turn::IceServer;

/// The Socket.IO namespace of calls.
const CALLS: &str = "/audio-call";
/// TURN credentials live no longer than this.
const LONGEST_CREDENTIALS: TimeDelta = TimeDelta::hours(1);

/// What the mode needs.
pub enum Room {
    Video {
        url: String,
        token: String,
        domain: String,
        room: String,
        expires_at: DateTime<Utc>,
    },
    Audio {
        namespace: &'static str,
        room: String,
        ice_servers: Vec<IceServer>,
        expires_at: DateTime<Utc>,
    },
    /// The conversation's id is the consultation's.
    Chat {
        conversation_id: ConsultationId,
    },
}

pub async fn join(cx: &Context, id: ConsultationId) -> Result<Room> {
    let now = cx.now();
    let mut tx = cx.begin(Permission::JoinConsultation).await?;
    let it = store::find(&mut tx, id).await?.ok_or(Refusal::NotFound)?;
    let standing: Standing = it.standing;
    standing.check_join(now)?;
    // before it is noted that somebody was let in
    let room = room(cx, id, &it, now)?;
    if tx.actor().company_id != Some(standing.company_id) {
        tx.enter_company(standing.company_id).await?;
    }
    if !store::note_joined(&mut tx, id, now).await? {
        // it was cancelled or closed meanwhile
        let seen = super::store::find_standing(&mut tx, id).await?.ok_or(Refusal::NotFound)?;
        return Err(seen.check_join(now).err().unwrap_or_else(|| seen.illegal()));
    }
    tx.audit_done("consultation.joined", "consultation", id.0).await?;
    tx.commit().await?;
    Ok(room)
}

fn room(cx: &Context, id: ConsultationId, it: &store::Joining, now: DateTime<Utc>) -> Result<Room> {
    let config = &cx.platform().config;
    let closes_at = it.standing.closes_at();
    Ok(match it.mode {
        Mode::Video => {
            let jitsi = config.jitsi.as_ref().ok_or(Error::VideoNotConfigured)?;
            let guest = jitsi::Guest {
                user_id: cx.caller().user_id,
                name: &it.display_name,
                is_moderator: cx.caller().is(Role::Practitioner),
            };
            let room = jitsi::room(jitsi, id);
            let token = jitsi::token(jitsi, &room, id, &guest, now, closes_at)?;
            let url = format!("https://{}/{room}?jwt={token}", jitsi.domain);
            Room::Video { url, token, domain: jitsi.domain.clone(), room, expires_at: closes_at }
        }
        Mode::Audio => {
            let (ice_servers, expires_at) = ice_servers(cx, id, closes_at);
            Room::Audio { namespace: CALLS, room: id.to_string(), ice_servers, expires_at }
        }
        Mode::Chat => Room::Chat { conversation_id: id },
    })
}

/// What helps a call to connect, and until when: an hour at most, so that a longer call asks again.
pub fn ice_servers(cx: &Context, id: ConsultationId, closes_at: DateTime<Utc>) -> (Vec<IceServer>, DateTime<Utc>) {
    let expires_at = closes_at.min(cx.now() + LONGEST_CREDENTIALS);
    let whose = format!("{id} {}", cx.caller().user_id);
    (turn::ice_servers(cx.platform().config.turn.as_ref(), &whose, expires_at), expires_at)
}

/// Where a call takes place.
#[derive(Clone, Copy, Debug)]
pub struct CallRoom {
    pub company_id: CompanyId,
    pub closes_at: DateTime<Utc>,
}

/// Refuses a session that is not the caller's, not by audio, or not open.
pub async fn call_room(tx: &mut Tx, id: ConsultationId, now: DateTime<Utc>) -> Result<CallRoom> {
    let it = store::find(tx, id).await?.ok_or(Refusal::NotFound)?;
    if it.mode != Mode::Audio {
        return Err(Error::NotAnAudioSession.into());
    }
    it.standing.check_join(now)?;
    Ok(CallRoom { company_id: it.standing.company_id, closes_at: it.standing.closes_at() })
}
