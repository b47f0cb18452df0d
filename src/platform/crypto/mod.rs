//! Randomness, passwords, sealed secrets, sealed contents and files, and keys derived from the secrets of the configuration.

pub mod derive;
pub mod entropy;
pub mod envelope;
pub mod health_text;
pub mod key_use;
pub mod master_keys;
pub mod older_forms;
pub mod passwords;
pub mod pieces;
pub mod rewrap;
pub mod seal;
