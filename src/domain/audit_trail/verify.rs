//! Recomputes chains. Memory stays the same however long they are: links come page by page.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::chain::{self, Finding, Head, Walk};
use super::model::Acknowledgement;
use super::store;
use crate::platform::ids::CompanyId;
use crate::platform::jobs::JobContext;
use crate::platform::{Platform, Result, Tx};

/// Links that are looked at with one statement.
const PAGE: i64 = 2_000;

/// The chain of a company, or the one of what belongs to none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chain(pub Option<CompanyId>);

impl Chain {
    /// As the database names it.
    pub fn id(self) -> Uuid {
        self.0.map_or(Uuid::nil(), |company| company.0)
    }

    pub fn of(id: Uuid) -> Self {
        Self((!id.is_nil()).then_some(CompanyId(id)))
    }
}

/// What there is to say of a chain as a whole.
#[derive(Clone, Debug)]
pub struct Verified {
    /// How far it goes.
    pub head: Head,
    /// Links that were looked at.
    pub links: u64,
    /// What is wrong and was not acknowledged, and the first of it.
    pub findings: u64,
    pub first: Option<Finding>,
    /// What is wrong and known.
    pub acknowledged: u64,
    /// Who said so of how much of it.
    pub known: Vec<(Acknowledgement, u64)>,
}

/// What is known of a chain: by whom, and of which finding.
struct Known {
    acknowledgements: Vec<Acknowledgement>,
    /// The place of its acknowledgement.
    of: HashMap<Finding, usize>,
}

/// An acknowledgement is believed where the chain itself holds the operator's entry of it: whoever writes into the table
/// alone hides nothing. An entry does not explain itself.
async fn find_known(tx: &mut Tx, chain: Chain) -> Result<Known> {
    let links = store::list_acknowledging(tx, chain.id()).await?;
    let said: HashSet<String> = links.iter().filter_map(chain::Link::acknowledges).collect();
    let speakers: HashSet<Uuid> = links.iter().map(|link| link.entry_id).collect();
    let mut known = Known { acknowledgements: Vec::new(), of: HashMap::new() };
    for (it, findings) in store::list_acknowledged(tx, chain.id()).await? {
        if !said.contains(&chain::acknowledgement(chain.id(), &it.decided_by, &it.reason, &findings)?) {
            continue;
        }
        let place = known.acknowledgements.len();
        known.acknowledgements.push(it);
        let explained = findings.into_iter().filter(|it| it.entry_id.is_none_or(|id| !speakers.contains(&id)));
        known.of.extend(explained.map(|finding| (finding, place)));
    }
    Ok(known)
}

/// The worker's scope, in the company of a chain.
fn scope(platform: &Arc<Platform>, chain: Chain) -> JobContext {
    JobContext {
        platform: platform.clone(),
        company_id: chain.0,
        user_id: None,
        job_id: "audit.verify".to_owned(),
        attempt: 1,
    }
}

/// Every chain, with its head.
pub async fn chains(platform: &Arc<Platform>) -> Result<Vec<(Chain, Option<Head>)>> {
    let mut tx = scope(platform, Chain(None)).begin().await?;
    let chains = store::list_chains(&mut tx).await?;
    Ok(chains.into_iter().map(|(id, head)| (Chain::of(id), head)).collect())
}

/// Recomputes a chain as every night: what the last time found whole must still be there.
pub async fn verify_again(
    platform: &Arc<Platform>,
    chain: Chain,
    tell: impl FnMut(Finding) + Send,
) -> Result<Verified> {
    let mut tx = scope(platform, chain).begin().await?;
    let before = store::find_verification(&mut tx, chain.id()).await?;
    drop(tx);
    let expected = before
        .and_then(|it| Some(Head { sequence: it.sequence, digest: it.digest.try_into().ok()? }))
        .into_iter()
        .collect();
    verify(platform, chain, None, expected, tell).await
}

/// Recomputes a chain, from a time on if one is given, and tells each fault as it is found, but for those that were
/// acknowledged. Places that were kept outside are expected to be met again.
pub async fn verify(
    platform: &Arc<Platform>,
    chain: Chain,
    since: Option<DateTime<Utc>>,
    expected: Vec<Head>,
    mut tell: impl FnMut(Finding) + Send,
) -> Result<Verified> {
    let cx = scope(platform, chain);
    let mut tx = cx.begin().await?;
    let Known { acknowledgements, of: known } = find_known(&mut tx, chain).await?;
    let mut first = None;
    let (mut findings, mut explained) = (0, vec![0_u64; acknowledgements.len()]);
    let mut note = |finding: Finding| {
        if let Some(count) = known.get(&finding).and_then(|place| explained.get_mut(*place)) {
            *count += 1;
            return;
        }
        first.get_or_insert(finding);
        findings += 1;
        tell(finding);
    };
    let from = match since {
        Some(since) => store::find_link_before(&mut tx, chain.id(), since).await?.unwrap_or(Head::NONE),
        None => Head::NONE,
    };
    let mut walk = Walk::new(chain.id(), from, expected, platform.clock.now());
    loop {
        let links = store::list_links(&mut tx, chain.id(), walk.at.sequence, PAGE).await?;
        for link in &links {
            walk.step(link, &mut note);
        }
        if !links.is_empty() {
            continue;
        }
        let head = store::find_head(&mut tx, chain.id()).await?;
        // the head may have moved on since the last link was read: then there are further ones
        let is_behind = head.is_some_and(|head| head.sequence > walk.at.sequence);
        if is_behind && !store::list_links(&mut tx, chain.id(), walk.at.sequence, 1).await?.is_empty() {
            continue;
        }
        walk.end(head, &mut note);
        break;
    }
    let mut after = None;
    loop {
        let unlinked = store::list_unlinked(&mut tx, chain.0, since, after, PAGE).await?;
        for id in &unlinked {
            note(Finding::inserted(*id));
        }
        after = unlinked.last().copied();
        if after.is_none() {
            break;
        }
    }
    let acknowledged = explained.iter().sum();
    let known = acknowledgements.into_iter().zip(explained).filter(|(_, count)| *count > 0).collect();
    Ok(Verified { head: walk.at, links: walk.links, findings, first, acknowledged, known })
}
