//! Invitations: the only way to an account.
//!
//! Three kinds of people are invited: somebody of a company's directory; a member of a company (HR, an admin), who is a
//! pending entry of the company until they accept; and a practitioner or one of the platform's staff, whose account
//! waits for them. The domains that keep these people ask for the mail here, in the transaction of their change.
//!
//! Choices:
//! - Asking for an invitation tells nothing of accounts: it is answered, counted and mailed the same whether or not the
//!   person has one. Whose account exists gets a link that opens nothing, and the mail says that they can log in.
//! - A link holds for 7 days and works once. A new one ends the earlier ones when it was sent; a corrected address and a
//!   departure end all of them at once, whatever becomes of the mail. Unknown, used, expired and ended links,
//!   and those of people who have an account, get one answer at one cost: no password is hashed for them.
//! - That an address has an account elsewhere is told only to who accepts, and so holds the link that was sent there. They
//!   choose another address to log in with, which a link of its own proves; the company goes on knowing its members by
//!   the address that it invited (`users.company_address`), so that an account for care under a work address and a seat
//!   in HR never meet before its eyes.
//! - One entry, and one address of a company, get at most [`MOST_IN_A_DAY`] invitations in 24 hours, and a company invites
//!   at most `COMPANY_INVITATIONS_PER_DAY` addresses: who takes over HR's account makes no sender of mass mail of it.

pub mod api;
pub mod error;
pub mod jobs;
pub mod service;
pub mod store;

mod asking;

pub use api::InvitationApi;
pub use asking::{MOST_IN_A_DAY, invite_employee, invite_employees, invite_member, invite_user, tell_of_correction};
pub use jobs::{InviteEmployee, InviteUser, jobs};
