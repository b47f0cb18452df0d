//! `huntzen privacy`: the ledger of erasures, kept outside of the backups and carried out again after a restore.

use std::io::BufReader;
use std::path::PathBuf;

use clap::Subcommand;

use super::{Outcome, print};
use crate::app;
use crate::domain::privacy::operator;
use crate::platform::config::Config;

#[derive(Debug, Subcommand)]
pub enum PrivacyCommand {
    /// Print who was erased, and which keys went: one line of JSON each, ids and a time. To be kept outside of the backups,
    /// as often as they are made. Needs the owner's `DATABASE_URL`
    Ledger,
    /// Erase again, in a database that was restored from a backup, whoever the ledger names. To be run before the program
    /// serves; can be stopped and run again. Needs the owner's `DATABASE_URL`
    Replay {
        /// The ledger that was kept outside; without it, the one that was restored
        #[arg(long, value_name = "FILE")]
        from: Option<PathBuf>,
    },
}

pub async fn run(command: PrivacyCommand) -> Outcome {
    let (owner, development) = app::database(&Config::from_process_env()?).await?;
    let done = match command {
        PrivacyCommand::Ledger => {
            let mut failed = Ok(());
            let told = operator::ledger(&owner, |line| {
                if failed.is_ok() {
                    failed = print(line);
                }
            });
            told.await.map_err(Into::into).and(failed)
        }
        PrivacyCommand::Replay { from } => replay(&owner, from).await,
    };
    if let Some(development) = development {
        development.stop();
    }
    done
}

async fn replay(owner: &sqlx::postgres::PgConnectOptions, from: Option<PathBuf>) -> Outcome {
    let mut file = match &from {
        Some(path) => Some(BufReader::new(
            std::fs::File::open(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?,
        )),
        None => None,
    };
    let lines = file.as_mut().map(|file| file as &mut (dyn std::io::BufRead + Send));
    let done = operator::replay(owner, lines).await?;
    print(&format!("{} erased again, {} erased already, {} unknown here.", done.erased, done.unchanged, done.unknown))
}
