//! Composition root.

use std::error::Error;

use serde_json::Value;
use sqlx::postgres::PgConnectOptions;

use crate::cli::SeedKind;
use crate::platform::config::Config;
use crate::platform::db::development::{DevelopmentDatabase, Durability};
use crate::platform::db::migrate;

type Outcome = Result<(), Box<dyn Error + Send + Sync>>;

/// The owner's connection, and the development database where one had to be started.
async fn database(
    config: &Config,
) -> Result<(PgConnectOptions, Option<DevelopmentDatabase>), Box<dyn Error + Send + Sync>> {
    if let Some(options) = config.database_options() {
        return Ok((options, None));
    }
    let database = DevelopmentDatabase::start(&config.data_dir, Durability::Relaxed).await?;
    Ok((database.options(), Some(database)))
}

/// Brings the database to this version.
pub async fn migrate(config: Config) -> Outcome {
    let (owner, development) = database(&config).await?;
    migrate::migrate(&owner, &config).await?;
    if let Some(development) = development {
        development.stop();
    }
    Ok(())
}

pub async fn serve(_config: Config, _workers: bool) -> Outcome {
    Err("serving is composed with the modules".into())
}

pub async fn worker(_config: Config) -> Outcome {
    Err("the worker is composed with the modules".into())
}

pub async fn seed(_config: Config, _kind: SeedKind) -> Outcome {
    Err("seeding is composed with the modules".into())
}

pub fn openapi() -> Value {
    Value::Null
}
