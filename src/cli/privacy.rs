//! `huntzen privacy`: the ledger of erasures, kept outside of the backups and carried out again after a restore.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use sqlx::postgres::PgConnectOptions;

use super::{Outcome, print};
use crate::app;
use crate::domain::privacy::operator::{self, How};
use crate::platform::config::Config;
use crate::platform::crypto::seal::Keyring;

#[derive(Debug, Subcommand)]
pub enum PrivacyCommand {
    /// Print who was erased, and which keys went: one line of JSON each, ids and a time, and a seal at the end. To be kept
    /// outside of the backups, as often as they are made; fails where the ledger is not what it was. Needs the owner's
    /// `DATABASE_URL` and `MASTER_KEYS`
    Ledger,
    /// Erase again, in a database that was restored from a backup, whoever the ledger names. To be run before the program
    /// serves; can be stopped and run again. Nothing is begun where a line was changed, taken out or slipped in. Needs the
    /// owner's `DATABASE_URL` and `MASTER_KEYS`
    Replay(Replay),
}

#[derive(Debug, Args)]
pub struct Replay {
    /// The ledger that was kept outside; without it, the one that was restored
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// Say what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Take a ledger without looking at its seal: of an earlier release, or of a master key that is lost. Whoever can write
    /// the file decides then who is erased
    #[arg(long, requires = "from")]
    unsealed: bool,
}

pub async fn run(command: PrivacyCommand) -> Outcome {
    let config = Config::from_process_env()?;
    let (owner, development) = app::database(&config).await?;
    let keyring = Keyring::new(&config.master_keys)?;
    let done = match command {
        PrivacyCommand::Ledger => ledger(&owner, &keyring).await,
        PrivacyCommand::Replay(how) => replay(&owner, &keyring, how).await,
    };
    if let Some(development) = development {
        development.stop();
    }
    done
}

async fn ledger(owner: &PgConnectOptions, keyring: &Keyring) -> Outcome {
    let mut failed = Ok(());
    let told = operator::ledger(owner, keyring, |line| {
        if failed.is_ok() {
            failed = print(line);
        }
    });
    told.await?.map_err(|fault| format!("the ledger of this database is not whole: {fault}"))?;
    failed
}

async fn replay(owner: &PgConnectOptions, keyring: &Keyring, how: Replay) -> Outcome {
    let Replay { from, dry_run, unsealed } = how;
    let mut file = match &from {
        Some(path) => {
            Some(std::fs::File::open(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?)
        }
        None => None,
    };
    let how = How {
        from: file.as_mut().map(|file| file as &mut (dyn std::io::Read + Send)),
        keyring: (!unsealed).then_some(keyring),
        is_dry: dry_run,
    };
    let done = operator::replay(owner, how).await?.map_err(|fault| format!("nothing was erased: {fault}"))?;
    print(&format!("{} erased again, {} erased already, {} unknown here.", done.erased, done.unchanged, done.unknown))?;
    print(&format!("{} keys destroyed.", done.keys))?;
    if done.unlisted > 0 {
        print(&format!("{} erasures of this database are not in that ledger, or otherwise.", done.unlisted))?;
    }
    if dry_run {
        print("Nothing was changed.")?;
    }
    match done.refused {
        0 => Ok(()),
        refused => Err(format!("{refused} not erased: they keep notes that the law wants kept").into()),
    }
}
