//! `huntzen keys …`: the master keys that secrets are sealed under, and the keys that sign access tokens.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use chrono::SecondsFormat;
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{Outcome, print};
use crate::app;
use crate::platform::auth::signing_keys::Withdrawn;
use crate::platform::config::Config;
use crate::platform::crypto::rewrap::{Pace, Progress, Rewrapped, Tried};

/// Where no terminal shows a bar, a line is printed so often, and for each twentieth of the way.
const A_LINE_EVERY: Duration = Duration::from_secs(10);
const TWENTIETHS: i64 = 20;

#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Seal every secret of the database under the newest of `MASTER_KEYS`; fails while any is left under an older one.
    ///
    /// To be run when every server has the new key as its first; requests go on meanwhile. It can be stopped, or killed, and
    /// run again, and goes on where it was. Needs the owner's `DATABASE_URL`. docs/keys.md has the steps
    #[command(visible_alias = "rewrap")]
    Rotate(Rotate),
    /// Open some of what is sealed in each place, and say where one stays closed: whether `MASTER_KEYS` are those of this
    /// database. Needs the owner's `DATABASE_URL`
    Check,
    /// Give up what is sealed under a master key that is lost, so that its absence keeps no server from starting. Needs the
    /// owner's `DATABASE_URL`
    Forget {
        /// The name of the key
        id: String,
    },
    /// Publish a new key for access tokens. It signs ten minutes later, when every server has it; the one before it verifies
    /// until its last token has expired. Nothing has to be restarted. Needs the owner's `DATABASE_URL` and `MASTER_KEYS`
    Publish,
    /// Take a key for access tokens that leaked out of use at once, on every server: no token that it signed opens anything
    /// any more, and people get new ones at their next refresh. Needs the owner's `DATABASE_URL`, `MASTER_KEYS` and `JWT_KEYS`
    Withdraw {
        /// The name of the key: `kid` of /.well-known/jwks.json
        kid: String,
    },
}

#[derive(Debug, Args)]
pub struct Rotate {
    /// How much of the time it works, in percent; the rest is left to requests
    #[arg(long, value_name = "PERCENT", default_value_t = 30, value_parser = clap::value_parser!(u8).range(1..=100))]
    busy: u8,
}

pub async fn run(command: KeysCommand) -> Outcome {
    let config = Config::from_process_env()?;
    match command {
        KeysCommand::Rotate(Rotate { busy }) => {
            let mut shown = Shown::new();
            let done = Box::pin(app::rewrap(config, Pace::of(busy), &mut |it: Progress<'_>| shown.show(it))).await;
            shown.end();
            rewrapped(&done?)
        }
        KeysCommand::Check => tried(&app::try_keys(config).await?),
        KeysCommand::Forget { id } => {
            if app::forget_master_key(config, &id).await? {
                print(&format!("Gave up what is sealed under {id}."))
            } else {
                Err(format!("this database knows no master key {id:?}").into())
            }
        }
        KeysCommand::Publish => {
            let key = app::publish_key(config).await?;
            let from = key.signs_from.to_rfc3339_opts(SecondsFormat::Secs, true);
            print(&format!("Published the key {}. It signs from {from} on.", key.kid))
        }
        KeysCommand::Withdraw { kid } => {
            let words = match app::withdraw_key(config, &kid).await? {
                Withdrawn::Now { replaced_by: None } => "Nothing that it signed opens anything any more.".to_owned(),
                Withdrawn::Now { replaced_by: Some(new) } => {
                    format!("Nothing that it signed opens anything any more. The new key {new} signs from now on.")
                }
                Withdrawn::Before => "It was withdrawn before.".to_owned(),
            };
            print(&format!("Withdrew the key {kid}. {words}"))
        }
    }
}

fn tried(columns: &[Tried]) -> Outcome {
    for it in columns {
        let why = it.fault.map(|fault| format!(" ({fault})")).unwrap_or_default();
        print(&format!("{:<28} {:>8} opened, {} closed{why}", it.column, it.opened, it.closed))?;
    }
    match columns.iter().map(|it| it.closed).sum::<usize>() {
        0 => print("Everything that was tried opens."),
        closed => Err(format!("{closed} secrets stay closed").into()),
    }
}

fn rewrapped(columns: &[Rewrapped]) -> Outcome {
    for it in columns {
        let why = it.fault.map(|fault| format!(" ({fault})")).unwrap_or_default();
        print(&format!("{:<28} {:>8} moved, {} left{why}", it.column, it.moved, it.left))?;
    }
    match columns.iter().map(|it| it.left).sum::<i64>() {
        0 => print("Everything is sealed under the newest master key."),
        left => Err(format!("{left} secrets are left under older master keys; keep them in MASTER_KEYS").into()),
    }
}

/// How far it is, for whoever watches: a bar in a terminal, lines elsewhere.
struct Shown {
    bar: Option<ProgressBar>,
    last: Instant,
    line_at: i64,
}

impl Shown {
    fn new() -> Self {
        Self { bar: None, last: Instant::now(), line_at: 0 }
    }

    fn show(&mut self, it: Progress<'_>) {
        if std::io::stderr().is_terminal() {
            let bar = self.bar.get_or_insert_with(|| bar(it.total));
            // some are sealed under an older key meanwhile
            bar.set_length(it.total.max(it.moved).unsigned_abs());
            bar.set_position(it.moved.unsigned_abs());
            bar.set_message(it.column.to_owned());
        } else if it.moved >= self.line_at || self.last.elapsed() > A_LINE_EVERY {
            let percent = it.moved * 100 / it.total.max(1);
            // nobody may read it
            let _ = std::io::Write::write_fmt(
                &mut std::io::stderr(),
                format_args!("{} of {} ({percent} %), {}\n", it.moved, it.total, it.column),
            );
            self.line_at = it.moved + it.total / TWENTIETHS;
            self.last = Instant::now();
        }
    }

    fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn bar(total: i64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(total.unsigned_abs()), ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{bar:30} {pos} of {len} ({percent} %), {per_sec}, {eta} left  {msg}");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
