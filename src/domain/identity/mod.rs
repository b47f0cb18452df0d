//! Accounts, sessions and invitations.

pub mod jobs;
