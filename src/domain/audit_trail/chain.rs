//! The hash chain, computed anew: what an entry and its link must be, and what is wrong with them.
//!
//! The database makes the links (`app.link_audit_entry`). Whoever can change rows there can change that function too,
//! so nothing of it is used here: this is the same form, written a second time.

use aws_lc_rs::digest;
use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::platform::{Problem, Result};

/// SHA-256.
pub type Digest = [u8; 32];

/// The only form of links so far.
pub const VERSION: i16 = 1;

/// What the first link follows.
const GENESIS: Digest = [0; 32];

/// Younger entries are not removed: whoever says that they were cut is not believed.
const LEAST_KEPT: TimeDelta = TimeDelta::days(365);

/// Entries take their id a moment before or after their time, and clocks differ a little.
const TOLERANCE: TimeDelta = TimeDelta::days(1);

/// When an id was made (RFC 9562, 5.7): the time of an entry that is gone. `None`: it says nothing of it.
fn made_at(id: Uuid) -> Option<DateTime<Utc>> {
    let millis = i64::try_from(id.as_u128() >> 80).ok()?;
    DateTime::from_timestamp_millis(millis).filter(|_| id.get_version_num() == 7)
}

/// An entry as the chain sees it: every column, as PostgreSQL writes it.
#[derive(Clone, Debug)]
pub struct Recorded {
    pub id: Uuid,
    pub micros: i64,
    pub actor_id: Option<Uuid>,
    pub actor_role: Option<String>,
    pub company_id: Option<Uuid>,
    pub action: String,
    pub object_type: String,
    pub object_id: Option<Uuid>,
    pub subject_type: Option<String>,
    pub subject_id: Option<Uuid>,
    pub outcome: String,
    pub details: String,
    pub ip: Option<String>,
    pub request_id: Option<String>,
}

/// A link, with the entry that it names if that is still there.
#[derive(Clone, Debug)]
pub struct Link {
    pub sequence: i64,
    pub version: i16,
    pub entry_id: Uuid,
    pub entry_digest: Vec<u8>,
    pub digest: Vec<u8>,
    pub entry: Option<Recorded>,
}

/// A place of a chain that can be kept outside: whoever rewrites the chain up to there cannot meet it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    pub sequence: i64,
    pub digest: Digest,
}

impl Head {
    pub const NONE: Self = Self { sequence: 0, digest: GENESIS };
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, poem_openapi::Enum)]
#[serde(rename_all = "snake_case")]
#[oai(rename_all = "snake_case")]
pub enum Fault {
    /// The entry is not what it was when it was written.
    Changed,
    /// The entry, or its link, is gone.
    Removed,
    /// The entry is in the log, but was never linked.
    Inserted,
    /// The link does not follow from the one before: it was moved, or changed.
    Reordered,
    /// The chain ends before its head, or before the anchor that was kept outside.
    Truncated,
    /// The chain goes on to where it should, but is not the one that the anchor was taken of.
    Rewritten,
}

impl Fault {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Removed => "removed",
            Self::Inserted => "inserted",
            Self::Reordered => "reordered",
            Self::Truncated => "truncated",
            Self::Rewritten => "rewritten",
        }
    }
}

/// Something wrong, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    pub fault: Fault,
    /// The place in the chain; absent for what is in none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence: Option<i64>,
    /// The last place, where several are meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entry_id: Option<Uuid>,
}

impl Finding {
    fn at(fault: Fault, sequence: i64, entry_id: Uuid) -> Self {
        Self { fault, sequence: Some(sequence), until: None, entry_id: Some(entry_id) }
    }

    fn missing(fault: Fault, from: i64, to: i64) -> Self {
        Self { fault, sequence: Some(from), until: (to > from).then_some(to), entry_id: None }
    }

    pub fn inserted(entry_id: Uuid) -> Self {
        Self { fault: Fault::Inserted, sequence: None, until: None, entry_id: Some(entry_id) }
    }
}

/// Texts, each with its length before it; `None` is a length of −1.
fn hash(fields: &[Option<&str>]) -> Digest {
    let mut context = digest::Context::new(&digest::SHA256);
    for field in fields {
        let length = field.map_or(-1, |text| i32::try_from(text.len()).unwrap_or(i32::MAX));
        context.update(&length.to_be_bytes());
        context.update(field.unwrap_or_default().as_bytes());
    }
    let mut out = GENESIS;
    out.copy_from_slice(context.finish().as_ref());
    out
}

impl Recorded {
    pub fn digest(&self) -> Digest {
        let text = |id: Option<Uuid>| id.map(|id| id.to_string());
        let (id, micros, actor, company) =
            (self.id.to_string(), self.micros.to_string(), text(self.actor_id), text(self.company_id));
        let (object, subject) = (text(self.object_id), text(self.subject_id));
        hash(&[
            Some("huntzen.audit.entry.1"),
            Some(&id),
            Some(&micros),
            actor.as_deref(),
            self.actor_role.as_deref(),
            company.as_deref(),
            Some(&self.action),
            Some(&self.object_type),
            object.as_deref(),
            self.subject_type.as_deref(),
            subject.as_deref(),
            Some(&self.outcome),
            Some(&self.details),
            self.ip.as_deref(),
            self.request_id.as_deref(),
        ])
    }

    /// What the worker's entry of a cut says. Of entries that were not old enough when it was written, and in the future,
    /// nobody says anything that is believed.
    fn cut(&self, now: DateTime<Utc>) -> Option<Cut> {
        #[derive(Deserialize)]
        struct Said {
            count: i64,
            to: NaiveDate,
        }
        if self.action != "audit_log.cut" || self.actor_role.as_deref() != Some("system") {
            return None;
        }
        let said: Said = serde_json::from_str(&self.details).ok()?;
        let written = DateTime::from_timestamp_micros(self.micros).filter(|at| *at <= now + TOLERANCE)?;
        let before = said.to.and_time(NaiveTime::MIN).and_utc();
        (before + LEAST_KEPT <= written).then_some(Cut { count: said.count, before })
    }
}

impl Link {
    /// What the operator acknowledged by this entry, as [`acknowledgement`] says it; of an entry that is what it was.
    pub fn acknowledges(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Said {
            digest: String,
        }
        let entry = self.entry.as_ref().filter(|entry| entry.digest()[..] == self.entry_digest[..])?;
        let is_one = entry.action == "audit_log.break_acknowledged" && entry.actor_role.as_deref() == Some("operator");
        is_one.then(|| serde_json::from_str::<Said>(&entry.details).ok()).flatten().map(|said| said.digest)
    }
}

/// What stands in a chain for an acknowledgement: a digest of who decided what, and why.
pub fn acknowledgement(chain: Uuid, decided_by: &str, reason: &str, findings: &[Finding]) -> Result<String> {
    let findings = serde_json::to_string(findings).map_err(Problem::internal)?;
    let digest = hash(&[
        Some("huntzen.audit.acknowledgement.1"),
        Some(&chain.to_string()),
        Some(decided_by),
        Some(reason),
        Some(&findings),
    ]);
    Ok(hex::encode(digest).chars().take(40).collect())
}

/// That a chain was cut: up to a place, of entries from before a time.
struct Cut {
    count: i64,
    before: DateTime<Utc>,
}

/// Walks along one chain, link by link.
pub struct Walk {
    chain: Uuid,
    /// Where it stands.
    pub at: Head,
    /// Anchors that are still ahead, the nearest first.
    expected: Vec<Head>,
    pub links: u64,
    /// Where it began, and up to where no entry has been there so far.
    began: i64,
    gone: i64,
    /// The first place of what is gone from where on entries of each day are missing: as many as there are days.
    gone_of: Vec<(NaiveDate, i64)>,
    /// Up to where entries of the chain say that it was cut.
    cut: i64,
    now: DateTime<Utc>,
}

impl Walk {
    /// From the beginning, or from a link that is taken as it is.
    pub fn new(chain: Uuid, from: Head, mut expected: Vec<Head>, now: DateTime<Utc>) -> Self {
        expected.sort_by_key(|head| head.sequence);
        expected.retain(|head| head.sequence > from.sequence);
        let began = from.sequence;
        Self { chain, at: from, expected, links: 0, began, gone: began, gone_of: Vec::new(), cut: 0, now }
    }

    /// Looks at the next link; tells what is wrong with it.
    pub fn step(&mut self, link: &Link, tell: &mut impl FnMut(Finding)) {
        self.links += 1;
        if link.sequence > self.at.sequence + 1 {
            tell(Finding::missing(Fault::Removed, self.at.sequence + 1, link.sequence - 1));
        }
        match &link.entry {
            // cut, perhaps: a later entry says so, or none does
            None if link.sequence == self.gone + 1 => {
                self.gone = link.sequence;
                // what does not tell its time is never old enough
                let day = made_at(link.entry_id).map_or(NaiveDate::MAX, |at| at.date_naive());
                if self.gone_of.last().is_none_or(|(last, _)| *last < day) {
                    self.gone_of.push((day, link.sequence));
                }
            }
            None => tell(Finding::at(Fault::Removed, link.sequence, link.entry_id)),
            Some(entry) if entry.digest()[..] != link.entry_digest[..] => {
                tell(Finding::at(Fault::Changed, link.sequence, link.entry_id));
            }
            Some(entry) => {
                // it cannot speak of what came after it
                let cut = entry.cut(self.now).filter(|cut| cut.count < link.sequence);
                self.cut = self.cut.max(cut.map_or(0, |cut| self.covered(&cut)));
            }
        }
        let follows = link.version == VERSION && self.next_digest(link)[..] == link.digest[..];
        // after a gap nothing can follow, and the gap is told already
        if !follows && link.sequence == self.at.sequence + 1 {
            tell(Finding::at(Fault::Reordered, link.sequence, link.entry_id));
        }
        // further links are compared with what is written, so that one fault is told once
        let mut written = GENESIS;
        if link.digest.len() == written.len() {
            written.copy_from_slice(&link.digest);
        }
        self.at = Head { sequence: link.sequence, digest: written };
        while let Some(anchor) = self.expected.first().copied().filter(|anchor| anchor.sequence <= link.sequence) {
            self.expected.remove(0);
            if anchor != self.at {
                tell(Finding::at(Fault::Rewritten, anchor.sequence, link.entry_id));
            }
        }
    }

    /// How far a cut explains what is gone: up to the first entry that is younger than it says.
    fn covered(&self, cut: &Cut) -> i64 {
        let day = (cut.before + TOLERANCE).date_naive();
        let too_young = self.gone_of.iter().find(|(of, _)| *of >= day);
        too_young.map_or(cut.count, |(_, first)| cut.count.min(first - 1))
    }

    fn next_digest(&self, link: &Link) -> Digest {
        hash(&[
            Some("huntzen.audit.link.1"),
            Some(&self.chain.to_string()),
            Some(&link.sequence.to_string()),
            Some(&hex::encode(self.at.digest)),
            Some(&link.entry_id.to_string()),
            Some(&hex::encode(&link.entry_digest)),
        ])
    }

    /// The chain is at its end: compares it with its head, and with the anchors that were not met.
    pub fn end(&self, head: Option<Head>, tell: &mut impl FnMut(Finding)) {
        let head = head.unwrap_or(Head::NONE);
        let kept_from = self.cut.max(self.began);
        if self.gone > kept_from {
            tell(Finding::missing(Fault::Removed, kept_from + 1, self.gone));
        }
        let furthest = self.expected.iter().map(|anchor| anchor.sequence).chain([head.sequence]).max();
        match furthest {
            Some(furthest) if furthest > self.at.sequence => {
                tell(Finding::missing(Fault::Truncated, self.at.sequence + 1, furthest));
            }
            // the head itself was set back or changed
            _ if head != self.at => tell(Finding::missing(Fault::Rewritten, self.at.sequence, self.at.sequence)),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn now() -> DateTime<Utc> {
        time("2026-11-21T03:00:00Z")
    }

    /// An id of a time.
    fn id_of(at: DateTime<Utc>, n: i64) -> Uuid {
        let millis = u128::from(at.timestamp_millis().unsigned_abs());
        Uuid::from_u128((millis << 80) | (7 << 76) | (2 << 62) | u128::from(n.unsigned_abs()))
    }

    /// A chain of so many entries of two years ago, as the database would make it.
    fn links(count: i64) -> Vec<Link> {
        links_of(count, |n| id_of(time("2024-11-01T12:00:00Z"), n))
    }

    fn links_of(count: i64, id: impl Fn(i64) -> Uuid) -> Vec<Link> {
        let mut walk = Walk::new(Uuid::nil(), Head::NONE, Vec::new(), now());
        (1..=count)
            .map(|n| {
                let id = id(n);
                let entry = Recorded {
                    id,
                    micros: n,
                    actor_id: None,
                    actor_role: None,
                    company_id: None,
                    action: "session.opened".into(),
                    object_type: "session".into(),
                    object_id: None,
                    subject_type: None,
                    subject_id: None,
                    outcome: "success".into(),
                    details: "{}".into(),
                    ip: None,
                    request_id: None,
                };
                let mut link = Link {
                    sequence: n,
                    version: VERSION,
                    entry_id: id,
                    entry_digest: entry.digest().to_vec(),
                    digest: Vec::new(),
                    entry: Some(entry),
                };
                link.digest = walk.next_digest(&link).to_vec();
                walk.step(&link, &mut |finding| panic!("{finding:?}"));
                link
            })
            .collect()
    }

    fn head(links: &[Link]) -> Head {
        let last = links.last().unwrap();
        Head { sequence: last.sequence, digest: last.digest.clone().try_into().unwrap() }
    }

    fn findings(links: &[Link], written: Head, expected: Vec<Head>) -> Vec<(Fault, i64)> {
        let mut found = Vec::new();
        let mut tell = |finding: Finding| found.push((finding.fault, finding.sequence.unwrap()));
        let mut walk = Walk::new(Uuid::nil(), Head::NONE, expected, now());
        for link in links {
            walk.step(link, &mut tell);
        }
        walk.end(Some(written), &mut tell);
        found
    }

    #[test]
    fn a_whole_chain_has_no_fault() {
        let links = links(5);
        assert_eq!(findings(&links, head(&links), vec![head(&links[..3]), head(&links)]), []);
        assert_eq!(findings(&[], Head::NONE, vec![]), []);
    }

    #[test]
    fn one_fault_is_told_once_and_where_it_is() {
        let whole = links(5);
        let mut changed = whole.clone();
        changed[1].entry.as_mut().unwrap().action = "session.closed".into();
        assert_eq!(findings(&changed, head(&whole), vec![]), [(Fault::Changed, 2)]);

        let mut removed = whole.clone();
        removed[1].entry = None;
        assert_eq!(findings(&removed, head(&whole), vec![]), [(Fault::Removed, 2)]);
        let mut removed = whole.clone();
        removed.remove(1);
        assert_eq!(findings(&removed, head(&whole), vec![]), [(Fault::Removed, 2)]);

        let mut swapped = whole.clone();
        swapped.swap(1, 2);
        (swapped[1].sequence, swapped[2].sequence) = (2, 3);
        let found = findings(&swapped, head(&whole), vec![]);
        assert_eq!(found, [(Fault::Reordered, 2), (Fault::Reordered, 3), (Fault::Reordered, 4)]);
    }

    #[test]
    fn a_cut_tail_is_known_by_the_head_or_by_an_anchor() {
        let whole = links(5);
        let cut = &whole[..3];
        assert_eq!(findings(cut, head(&whole), vec![]), [(Fault::Truncated, 4)]);
        // the head was set back as well
        assert_eq!(findings(cut, head(cut), vec![]), []);
        assert_eq!(findings(cut, head(cut), vec![head(&whole)]), [(Fault::Truncated, 4)]);
        assert_eq!(findings(&whole, head(cut), vec![]), [(Fault::Rewritten, 5)]);
    }

    #[test]
    fn a_chain_that_was_made_anew_is_known_by_an_anchor() {
        let whole = links(5);
        let mut forged = whole.clone();
        let mut walk = Walk::new(Uuid::nil(), Head::NONE, Vec::new(), now());
        for link in &mut forged {
            link.entry.as_mut().unwrap().action = "session.closed".into();
            link.entry_digest = link.entry.as_ref().unwrap().digest().to_vec();
            link.digest = walk.next_digest(link).to_vec();
            walk.step(link, &mut |finding| panic!("{finding:?}"));
        }
        assert_eq!(findings(&forged, head(&forged), vec![]), []);
        assert_eq!(findings(&forged, head(&forged), vec![head(&whole[..4])]), [(Fault::Rewritten, 4)]);
    }

    /// A chain whose last entry says that it was cut up to a place.
    fn cut_chain(up_to: i64, role: &str, to: &str, written: &str) -> Vec<Link> {
        cut_of(links(5), up_to, role, to, written)
    }

    fn cut_of(mut all: Vec<Link>, up_to: i64, role: &str, to: &str, written: &str) -> Vec<Link> {
        let last = all.last_mut().unwrap();
        let entry = last.entry.as_mut().unwrap();
        entry.action = "audit_log.cut".into();
        entry.actor_role = Some(role.into());
        entry.details = format!(r#"{{"to": "{to}", "count": {up_to}, "removed": {up_to}}}"#);
        entry.micros = time(written).timestamp_micros();
        last.entry_digest = entry.digest().to_vec();
        let mut walk = Walk::new(Uuid::nil(), Head::NONE, Vec::new(), now());
        for link in &all[..4] {
            walk.step(link, &mut |finding| panic!("{finding:?}"));
        }
        let digest = walk.next_digest(&all[4]).to_vec();
        all[4].digest = digest;
        for link in all.iter_mut().take(2) {
            link.entry = None;
        }
        all
    }

    #[test]
    fn entries_that_were_cut_are_not_missed_as_far_as_the_chain_says_so() {
        let (to, written) = ("2025-11-01", "2026-11-20T04:00:00Z");
        let whole = cut_chain(2, "system", to, written);
        assert_eq!(findings(&whole, head(&whole), vec![head(&whole[..2]), head(&whole)]), []);
        let further = cut_chain(1, "system", to, written);
        assert_eq!(findings(&further, head(&further), vec![]), [(Fault::Removed, 2)]);
        // said by somebody else, or of what must be kept
        for (role, to) in [("hr", to), ("operator", to), ("system", "2026-11-01"), ("system", "yesterday")] {
            let forged = cut_chain(2, role, to, written);
            assert_eq!(findings(&forged, head(&forged), vec![]), [(Fault::Removed, 1)], "{role} {to}");
        }
        // said in the future, and of what comes later
        for forged in
            [cut_chain(2, "system", "2029-11-01", "2031-01-01T04:00:00Z"), cut_chain(5, "system", to, written)]
        {
            assert_eq!(findings(&forged, head(&forged), vec![]), [(Fault::Removed, 1)]);
        }
        // what is gone behind the cut is missed at once
        let mut holed = cut_chain(2, "system", to, written);
        holed[3].entry = None;
        assert_eq!(findings(&holed, head(&holed), vec![]), [(Fault::Removed, 4)]);
        // nor does a cut that was changed afterwards count
        let mut changed = cut_chain(2, "system", to, written);
        changed[4].entry.as_mut().unwrap().details = r#"{"to": "2025-11-01", "count": 4}"#.into();
        assert_eq!(findings(&changed, head(&changed), vec![]), [(Fault::Changed, 5), (Fault::Removed, 1)]);
    }

    #[test]
    fn a_cut_explains_no_entry_that_was_younger_than_it_says() {
        let (to, written) = ("2025-11-01", "2026-11-20T04:00:00Z");
        for (second, first_missed) in [
            // of the same moment, and of clocks that differ
            ("2025-10-31T23:59:59Z", None),
            ("2025-11-01T00:00:01Z", None),
            // of this morning: the attack
            ("2026-11-21T02:00:00Z", Some(2)),
            ("2025-11-02T00:00:00Z", Some(2)),
        ] {
            let id = |n| id_of(time(if n == 2 { second } else { "2024-11-01T12:00:00Z" }), n);
            let cut = cut_of(links_of(5, id), 2, "system", to, written);
            let expected: Vec<_> = first_missed.map(|at| (Fault::Removed, at)).into_iter().collect();
            assert_eq!(findings(&cut, head(&cut), vec![head(&cut[..2])]), expected, "{second}");
        }
        // whose id does not say when it was made
        let cut = cut_of(links_of(5, |n| Uuid::from_u128(n.unsigned_abs().into())), 2, "system", to, written);
        assert_eq!(findings(&cut, head(&cut), vec![]), [(Fault::Removed, 1)]);
    }

    #[test]
    fn lists_of_texts_are_told_apart() {
        let some = |texts: &[&'static str]| hash(&texts.iter().map(|text| Some(*text)).collect::<Vec<_>>());
        assert_ne!(some(&["ab", "c"]), some(&["a", "bc"]));
        assert_ne!(hash(&[None, Some("")]), hash(&[Some(""), None]));
    }
}
