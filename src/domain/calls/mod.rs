//! Calls: the two people of a consultation by audio talk to each other, browser to browser. What is said never passes here;
//! the server rings, says who accepted, and carries what the browsers need to find each other.
//!
//! ```text
//! ringing ──accept, or both ring──→ connected ──hang up, lost, closed──→ ended
//!    └──decline, cancel, missed (45 s), closed──────────────────────────→ ended
//! ```
//!
//! **One call.** A consultation has one call at a time, and a person is in one call at a time: the database says so
//! (`call_sessions`, `call_parties`), so two who ring at once have one call, and whoever rings somebody who talks is told
//! that they are busy. All that happens to the calls of a consultation queues on its row.
//!
//! **Devices.** Every device of a person that is in the rooms is rung; one of them accepts, the others are told. A device
//! is known by an id that the client keeps: whoever comes back under it within 30 seconds has their place again, on
//! whichever node. Another device of the same person may take the place of one that is lost, by ringing.
//!
//! **Rung.** Whoever rings is told when a device of the other one's rings. It rings as well wherever somebody is signed in and
//! has not entered the rooms, by the namespace of notifications, which looks at [`glance`]. Whoever was rung in vain, or while
//! they talked to somebody else (`busy`), is told afterwards, by `notifications::calls`. A device that was shown that the call goes on elsewhere hears when that is lost, and how it ends.
//!
//! **Told by reading**, as in chat: the database notifies the consultation's id, the socket's task reads how the call stands
//! as its own person, and sends what is new to it ([`model`]). Two people may be on two nodes.
//!
//! **Signals** (descriptions of sessions, candidates) name network addresses. They wait in the database until the other one's
//! device says that it has them, sealed under the master keys, and are deleted then, with the end of the call, and after two
//! minutes in any case. What was sent to a connection that died before it said so goes to the next one of that device. They are no contents to keep: a master key that is taken away costs a second attempt and nothing else.
//!
//! **Lost.** A socket that closes says so, and one whose network is gone is closed within twenty seconds; a node that dies
//! closes nothing, so each side is heard every ten seconds, and is lost after 25 seconds of silence. Half a minute later the
//! call ends. A call that still rings ends ten seconds after its caller is lost. Where nobody is left to notice, the
//! schedule does ([`jobs`]): it first takes both for lost, and ends the call at its next turn, so that sockets which only
//! could not reach the database for a while are heard before.

mod error;
pub mod glance;
mod jobs;
mod model;
mod service;
mod socket;
mod store;

pub use error::Error;
pub use jobs::{KeepCalls, jobs};
pub use service::place as signal_place;
pub use socket::{namespace, open};
