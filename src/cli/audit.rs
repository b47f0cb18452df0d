//! `huntzen audit …`: whether the audit log is whole, and what to keep outside to know it later.

use std::io::{self, BufRead, Write};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, NaiveTime, SecondsFormat, Utc};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use sqlx::postgres::PgConnectOptions;
use uuid::Uuid;

use crate::app;
use crate::cli::Outcome;
use crate::domain::audit_trail;
use crate::domain::audit_trail::chain::{Finding, Head};
use crate::domain::audit_trail::model::Acknowledgement;
use crate::domain::audit_trail::verify::{self, Chain, Verified};
use crate::domain::privacy::operator::{self, Fault};
use crate::platform::Platform;
use crate::platform::config::Config;
use crate::platform::ids::CompanyId;

#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Recompute the hash chains and report every entry that was changed, removed, moved or slipped in; fails if any was.
    /// The ledger of erasures is looked at as well.
    ///
    /// A tail that was cut off, or a chain that was made anew as a whole, is found by anchors only: keep what
    /// `huntzen audit anchor` prints outside of this installation, and give it to `--expect` or `--expect-file`
    Verify(Verify),
    /// Note that what is wrong with a chain is known and explained: it does not alarm any more, anything else does. For good,
    /// with an entry in the log itself. Needs the owner's `DATABASE_URL`
    Acknowledge(Acknowledge),
    /// Print where each chain ends, for `verify --expect`. To be kept outside, where nobody of this installation can write
    Anchor(Anchor),
}

#[derive(Debug, Args)]
pub struct Verify {
    /// Only the chain of this company; `platform` for the one of what belongs to no company
    #[arg(long, value_name = "ID")]
    company: Option<Place>,
    /// Only entries of this time or later (2026-11-01, or 2026-11-01T08:00:00Z); what lies before is taken as it is
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<DateTime<Utc>>,
    /// An anchor that must be met again; may be repeated
    #[arg(long, value_name = "ANCHOR")]
    expect: Vec<Anchored>,
    /// A file with an anchor on each line; `-` reads from standard input
    #[arg(long, value_name = "FILE")]
    expect_file: Option<PathBuf>,
    /// Do not fail because of what was acknowledged. Without anchors this is so in any case: with them somebody asks whether
    /// the log is what it was, and whoever can write into the database can acknowledge as well
    #[arg(long)]
    accept_known: bool,
    /// One JSON object on each line: findings, then what is known, then chains, then the result
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub struct Acknowledge {
    /// The chain of this company; `platform` for the one of what belongs to no company
    #[arg(long, value_name = "ID")]
    company: Place,
    /// Who decided
    #[arg(long, value_name = "NAME", value_parser = words_of::<200>)]
    by: String,
    /// Why; without anybody's personal data
    #[arg(long, value_name = "TEXT", value_parser = words_of::<1000>)]
    reason: String,
}

/// A text of one to so many characters.
fn words_of<const MOST: usize>(text: &str) -> Result<String, String> {
    let text = text.trim();
    if (1..=MOST).contains(&text.chars().count()) && !text.chars().any(char::is_control) {
        Ok(text.to_owned())
    } else {
        Err(format!("1 to {MOST} characters are expected"))
    }
}

#[derive(Debug, Args)]
pub struct Anchor {
    /// Only the chain of this company; `platform` for the one of what belongs to no company
    #[arg(long, value_name = "ID")]
    company: Option<Place>,
}

/// A chain, as an operator names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place(Chain);

impl FromStr for Place {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "platform" { Ok(Self(Chain(None))) } else { Ok(Self(Chain(Some(CompanyId(text.parse()?))))) }
    }
}

fn name(chain: Chain) -> String {
    chain.0.map_or_else(|| "platform".to_owned(), |company| company.to_string())
}

/// `<company id or "platform">:<sequence>:<SHA-256 in hexadecimal>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Anchored {
    chain: Chain,
    head: Head,
}

impl std::fmt::Display for Anchored {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", name(self.chain), self.head.sequence, hex::encode(self.head.digest))
    }
}

impl FromStr for Anchored {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read = || {
            let mut parts = text.trim().split(':');
            let Place(chain) = parts.next()?.parse().ok()?;
            let sequence = parts.next()?.parse().ok().filter(|sequence| *sequence >= 0)?;
            let digest = hex::decode(parts.next()?).ok()?.try_into().ok()?;
            parts.next().is_none().then_some(Self { chain, head: Head { sequence, digest } })
        };
        read().ok_or_else(|| format!("{text:?} is no anchor as `huntzen audit anchor` prints them"))
    }
}

fn time(text: &str) -> Result<DateTime<Utc>, String> {
    DateTime::parse_from_rfc3339(text)
        .map(|at| at.to_utc())
        .or_else(|_| text.parse::<NaiveDate>().map(|day| day.and_time(NaiveTime::MIN).and_utc()))
        .map_err(|_| format!("{text:?} is neither a day such as 2026-11-01 nor a time such as 2026-11-01T08:00:00Z"))
}

pub async fn run(command: AuditCommand) -> Outcome {
    let config = Config::from_process_env()?;
    match command {
        AuditCommand::Verify(how) => {
            app::command(config, async |platform, owner| verify(&platform, owner, how).await).await
        }
        AuditCommand::Acknowledge(what) => {
            Box::pin(app::command(config, async |platform, owner| acknowledge(&platform, owner, what).await)).await
        }
        AuditCommand::Anchor(which) => app::command(config, async |platform, _| anchor(&platform, &which).await).await,
    }
}

/// The lines of an answer, as they come.
fn say(line: impl std::fmt::Display) -> Outcome {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

async fn anchor(platform: &Arc<Platform>, which: &Anchor) -> Outcome {
    let wanted = which.company.map(|place| place.0);
    for (chain, head) in verify::chains(platform).await.map_err(|problem| faulty(&problem))? {
        if wanted.is_none_or(|wanted| wanted == chain)
            && let Some(head) = head
        {
            say(Anchored { chain, head })?;
        }
    }
    Ok(())
}

async fn acknowledge(platform: &Arc<Platform>, owner: &PgConnectOptions, what: Acknowledge) -> Outcome {
    let Acknowledge { company: Place(chain), by, reason } = what;
    let it = Acknowledgement { decided_by: by, reason, at: platform.clock.now() };
    let mut told = Ok(());
    let known = audit_trail::acknowledge(platform, owner, chain, &it, |finding| {
        if told.is_ok() {
            told = say(words(chain, &finding)).map_err(|error| error.to_string());
        }
    })
    .await
    .map_err(|problem| faulty(&problem))?;
    told?;
    match known {
        Some(count) => say(format!("{}: {count} noted as known by {}", name(chain), it.decided_by)),
        None => Err(format!("{}: nothing is wrong that is not known", name(chain)).into()),
    }
}

/// The words of a problem; its source goes with it.
fn faulty(problem: &crate::platform::Problem) -> String {
    match problem.source_error() {
        Some(source) => format!("{}: {source}", problem.code()),
        None => problem.code().to_owned(),
    }
}

fn anchors(how: &Verify) -> Result<Vec<Anchored>, Box<dyn std::error::Error + Send + Sync>> {
    let mut anchors = how.expect.clone();
    if let Some(file) = &how.expect_file {
        let lines: Box<dyn BufRead> = if file.as_os_str() == "-" {
            Box::new(io::stdin().lock())
        } else {
            Box::new(io::BufReader::new(std::fs::File::open(file)?))
        };
        for line in lines.lines() {
            let line = line?;
            if !line.trim().is_empty() {
                anchors.push(line.parse()?);
            }
        }
    }
    Ok(anchors)
}

async fn verify(platform: &Arc<Platform>, owner: &PgConnectOptions, how: Verify) -> Outcome {
    let expected = anchors(&how)?;
    let mut chains: Vec<Chain> = verify::chains(platform)
        .await
        .map_err(|problem| faulty(&problem))?
        .into_iter()
        .map(|(chain, _)| chain)
        .collect();
    // a chain that is gone with all its entries is missed by its anchor
    for anchored in &expected {
        if !chains.contains(&anchored.chain) {
            chains.push(anchored.chain);
        }
    }
    if let Some(Place(wanted)) = how.company {
        chains.retain(|chain| *chain == wanted);
        if chains.is_empty() {
            return Err(format!("there is no chain of {}", name(wanted)).into());
        }
    }
    let (mut links, mut findings, mut acknowledged) = (0, 0, 0);
    for chain in chains {
        let heads = expected.iter().filter(|it| it.chain == chain).map(|it| it.head).collect();
        let mut told = Ok(());
        let found = verify::verify(platform, chain, how.since, heads, |finding| {
            if told.is_ok() {
                told = say(if how.json { finding_json(chain, &finding).to_string() } else { words(chain, &finding) })
                    .map_err(|error| error.to_string());
            }
        })
        .await
        .map_err(|problem| faulty(&problem))?;
        told?;
        links += found.links;
        findings += found.findings;
        acknowledged += found.acknowledged;
        for (by, count) in &found.known {
            say(if how.json { known_json(chain, by, *count).to_string() } else { known_words(chain, by, *count) })?;
        }
        say(if how.json { chain_json(chain, &found).to_string() } else { summary(chain, &found) })?;
    }
    // the ledger of erasures is nobody's chain; who asks for one chain asks for that
    if how.company.is_none() {
        let ledger = operator::verify(owner).await.map_err(|problem| faulty(&problem))?;
        findings += u64::from(ledger.is_err());
        say(if how.json { ledger_json(&ledger).to_string() } else { ledger_words(&ledger) })?;
    }
    if how.json {
        let is_whole = findings == 0 && acknowledged == 0;
        say(json!({ "isWhole": is_whole, "links": links, "findings": findings, "acknowledged": acknowledged }))?;
    }
    match findings {
        0 if acknowledged > 0 && !expected.is_empty() && !how.accept_known => {
            Err(format!("the audit log is not whole: {acknowledged} known (--accept-known takes that as whole)").into())
        }
        0 => Ok(()),
        1 => Err("the audit log is not whole: 1 finding".into()),
        more => Err(format!("the audit log is not whole: {more} findings").into()),
    }
}

fn ledger_json(ledger: &Result<i64, Fault>) -> Value {
    match ledger {
        Ok(entries) => json!({ "ledger": { "isWhole": true, "entries": entries } }),
        Err(fault) => json!({ "ledger": { "isWhole": false, "fault": fault.to_string() } }),
    }
}

fn ledger_words(ledger: &Result<i64, Fault>) -> String {
    match ledger {
        Ok(entries) => format!("{:<36}  {entries:>9} entries looked at: whole", "ledger of erasures"),
        Err(fault) => format!("ledger of erasures: {fault}"),
    }
}

fn finding_json(chain: Chain, finding: &Finding) -> Value {
    json!({ "chain": name(chain), "finding": finding })
}

fn known_json(chain: Chain, by: &Acknowledgement, count: u64) -> Value {
    let (at, name_of_who) = (by.at.to_rfc3339_opts(SecondsFormat::Secs, true), &by.decided_by);
    json!({ "chain": name(chain), "known": count, "by": name_of_who, "at": at, "reason": by.reason })
}

fn known_words(chain: Chain, by: &Acknowledgement, count: u64) -> String {
    let at = by.at.to_rfc3339_opts(SecondsFormat::Secs, true);
    format!("{}: {count} known since {at} by {}: {}", name(chain), by.decided_by, by.reason)
}

fn chain_json(chain: Chain, found: &Verified) -> Value {
    json!({
        "chain": name(chain),
        "isWhole": found.findings == 0 && found.acknowledged == 0,
        "links": found.links,
        "findings": found.findings,
        "acknowledged": found.acknowledged,
        "sequence": found.head.sequence,
        "digest": hex::encode(found.head.digest),
    })
}

fn summary(chain: Chain, found: &Verified) -> String {
    let verdict = match found.findings {
        0 => "whole".to_owned(),
        1 => "1 finding".to_owned(),
        more => format!("{more} findings"),
    };
    let known = match found.acknowledged {
        0 => String::new(),
        known => format!(", but for {known} that are known"),
    };
    format!(
        "{:<36}  {:>9} entries looked at, up to {}: {verdict}{known}",
        name(chain),
        found.links,
        found.head.sequence
    )
}

fn words(chain: Chain, finding: &Finding) -> String {
    let place = match (finding.sequence, finding.until) {
        (Some(from), Some(to)) => format!("{from} to {to}"),
        (Some(at), None) => at.to_string(),
        (None, _) => "in no place".to_owned(),
    };
    let entry = finding.entry_id.map(|id: Uuid| format!(", entry {id}")).unwrap_or_default();
    format!("{}: {} at {place}{entry}", name(chain), finding.fault.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_anchor_is_read_as_it_is_printed() {
        let of_company = Anchored {
            chain: Chain(Some(CompanyId(Uuid::from_u128(7)))),
            head: Head { sequence: 12, digest: [0xab; 32] },
        };
        let of_platform = Anchored { chain: Chain(None), ..of_company };
        for anchored in [of_company, of_platform] {
            assert_eq!(anchored.to_string().parse(), Ok(anchored));
        }
        let digest = "ab".repeat(32);
        for bad in
            ["", "platform", "platform:1", "platform:1:ab", &format!("platform:-1:{digest}"), &format!("x:1:{digest}")]
        {
            assert!(bad.parse::<Anchored>().is_err(), "{bad}");
        }
    }

    #[test]
    fn times_are_days_or_instants() {
        assert_eq!(time("2026-11-01").unwrap().to_rfc3339(), "2026-11-01T00:00:00+00:00");
        assert_eq!(time("2026-11-01T08:00:00+02:00").unwrap().to_rfc3339(), "2026-11-01T06:00:00+00:00");
        assert!(time("yesterday").is_err());
    }
}
