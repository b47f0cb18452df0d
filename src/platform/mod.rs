//! What every module stands on. Knows nothing of the domain.

pub mod audit;
pub mod auth;
pub mod clock;
pub mod config;
pub mod context;
pub mod crypto;
pub mod db;
pub mod health;
pub mod http;
pub mod ical;
pub mod ids;
pub mod images;
pub mod jobs;
pub mod locale;
pub mod mail;
pub mod maintenance;
pub mod outgoing;
pub mod problem;
pub mod realtime;
pub mod storage;
pub mod telemetry;

pub use context::{Context, Platform, RequestInfo};
pub use db::Tx;
pub use problem::{FieldErrors, Problem, Result};
