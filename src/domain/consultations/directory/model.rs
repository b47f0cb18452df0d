//! The order of the directory, and the cursor that stays right while it moves.

use std::collections::HashSet;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use poem_openapi::Enum;

use crate::domain::practitioners::Listed;
use crate::platform::Problem;
use crate::platform::ids::PractitionerId;
use crate::platform::problem::Error as Refusal;

/// The order of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case", rename = "DirectorySort")]
pub enum Sort {
    #[default]
    Name,
    /// Who has time first; who has none comes last, by name.
    NextFree,
    /// Whose clients say the best of them; who has no average yet comes last, by name.
    Rating,
}

/// A practitioner, with when they have time.
#[derive(Clone, Debug)]
pub struct Found {
    pub listed: Listed,
    pub next_free_at: Option<DateTime<Utc>>,
}

/// Whom pages by time show at most: a cursor of more would not fit into an address.
const MOST_SHOWN: usize = 1_000;

/// Whom a client has been shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown(HashSet<[u8; 4]>);

impl Shown {
    /// Of the cursor of a page before.
    pub fn decode(cursor: &str) -> Result<Self, Problem> {
        let bytes = cursor.strip_prefix('n').and_then(|rest| URL_SAFE_NO_PAD.decode(rest).ok());
        let bytes = bytes.filter(|bytes| !bytes.is_empty() && bytes.len() % 4 == 0);
        let bytes = bytes.ok_or_else(|| Problem::from(Refusal::InvalidCursor).at("query:cursor", "invalid_cursor"))?;
        Ok(Self(bytes.as_chunks::<4>().0.iter().copied().collect()))
    }

    /// In the order of the bytes, so that one set is one cursor.
    pub fn encode(&self) -> String {
        let mut marks: Vec<[u8; 4]> = self.0.iter().copied().collect();
        marks.sort_unstable();
        format!("n{}", URL_SAFE_NO_PAD.encode(marks.concat()))
    }

    pub fn holds(&self, id: PractitionerId) -> bool {
        self.0.contains(&mark(id))
    }

    pub fn add(&mut self, id: PractitionerId) {
        self.0.insert(mark(id));
    }
}

/// The random end of an id: two of a thousand are alike once in ten thousand networks.
fn mark(id: PractitionerId) -> [u8; 4] {
    let [.., a, b, c, d] = *id.0.as_bytes();
    [a, b, c, d]
}

/// The next page: the first of an order who have not been shown, and the cursor where there are more. `all` comes by name.
pub fn next_page(mut all: Vec<Found>, mut shown: Shown, limit: usize) -> (Vec<Found>, Option<String>) {
    all.retain(|it| !shown.holds(it.listed.id));
    // stable: alike ones stay by name
    all.sort_by_key(|it| (it.next_free_at.is_none(), it.next_free_at));
    let left = MOST_SHOWN.saturating_sub(shown.0.len());
    let is_more = all.len() > limit && left > limit;
    all.truncate(limit.min(left));
    for it in &all {
        shown.add(it.listed.id);
    }
    let cursor = is_more.then(|| shown.encode());
    (all, cursor)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::practitioners::Status;

    fn found(n: u128, hour: Option<i64>) -> Found {
        Found {
            listed: Listed {
                id: PractitionerId(Uuid::from_u128(n)),
                display_name: n.to_string(),
                specialties: Vec::new(),
                languages: Vec::new(),
                modes: Vec::new(),
                status: Status::Active,
                avatar_id: None,
                rating: None,
            },
            next_free_at: hour.and_then(|hour| DateTime::from_timestamp(hour * 3600, 0)),
        }
    }

    fn names(page: &[Found]) -> String {
        page.iter().map(|it| it.listed.display_name.as_str()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn pages_hold_everybody_once_although_times_move_between_them() {
        let first = vec![found(1, Some(3)), found(2, None), found(3, Some(1)), found(4, Some(2)), found(5, Some(2))];
        let (page, cursor) = next_page(first, Shown::default(), 2);
        assert_eq!(names(&page), "3 4");
        // the ones that were shown moved back, one that was not moved to the front
        let second = vec![found(1, Some(9)), found(2, Some(0)), found(3, Some(8)), found(4, None), found(5, Some(2))];
        let (page, cursor) = next_page(second.clone(), Shown::decode(&cursor.unwrap()).unwrap(), 2);
        assert_eq!(names(&page), "2 5");
        let (page, cursor) = next_page(second, Shown::decode(&cursor.unwrap()).unwrap(), 2);
        assert_eq!((names(&page).as_str(), cursor), ("1", None));
    }

    #[test]
    fn of_a_large_network_the_thousand_who_have_time_first_are_shown() {
        // by name, the later the sooner they have time
        let all: Vec<Found> = (1..=1_200).map(|n| found(n, Some(2_000 - i64::try_from(n).unwrap()))).collect();
        let (mut seen, mut cursor, mut pages) = (Vec::new(), None, 0);
        loop {
            let shown = cursor.map(|text: String| Shown::decode(&text).unwrap()).unwrap_or_default();
            let (page, next) = next_page(all.clone(), shown, 100);
            seen.extend(page.into_iter().map(|it| it.listed.id.0.as_u128()));
            pages += 1;
            match next {
                Some(text) if text.len() < 6_000 => cursor = Some(text),
                Some(text) => panic!("a cursor of {} letters", text.len()),
                None => break,
            }
        }
        assert_eq!(pages, 10);
        assert_eq!(seen, (201..=1_200).rev().collect::<Vec<_>>());
    }

    #[test]
    fn a_cursor_that_nobody_gave_out_is_refused() {
        for bad in ["", "n", "n!", "nAAA", "AAAA", "eyJhIjoxfQ"] {
            assert!(Shown::decode(bad).is_err(), "{bad}");
        }
    }
}
