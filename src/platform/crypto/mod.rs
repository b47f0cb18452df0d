//! Randomness, passwords, sealed secrets, and keys derived from the secrets of the configuration.

pub mod derive;
pub mod entropy;
pub mod passwords;
pub mod rewrap;
pub mod seal;
