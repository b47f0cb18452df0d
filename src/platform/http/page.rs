//! Lists: `?limit=` and `?cursor=`, answered by `{items, nextCursor}` (keyset pagination).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use poem_openapi::Object;
use poem_openapi::types::{ParseFromJSON, ToJSON, Type};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::platform::problem::{Error, Problem, Result};

pub const DEFAULT_LIMIT: u32 = 20;
pub const MAX_LIMIT: u32 = 100;
/// Longer ones are not ours.
pub const MAX_CURSOR: usize = 4000;

/// What a client asked for, checked.
#[derive(Clone, Debug)]
pub struct PageQuery<K> {
    /// 1–100.
    pub limit: u32,
    /// The key of the last item of the page before.
    pub after: Option<K>,
}

impl<K: DeserializeOwned> PageQuery<K> {
    pub fn new(limit: Option<u32>, cursor: Option<&str>) -> Result<Self> {
        let limit = limit.unwrap_or(DEFAULT_LIMIT);
        if !(1..=MAX_LIMIT).contains(&limit) {
            return Err(Problem::from(Error::InvalidParameter).at("query:limit", "limit_range"));
        }
        let after = cursor.map(Cursor::decode).transpose()?;
        Ok(Self { limit, after })
    }

    /// Rows to fetch: one more than the page, which tells whether there is a next one.
    pub fn fetch(&self) -> i64 {
        i64::from(self.limit) + 1
    }
}

/// The key of a row, made opaque.
pub struct Cursor;

impl Cursor {
    pub fn encode<K: Serialize>(key: &K) -> String {
        serde_json::to_vec(key).map(|json| URL_SAFE_NO_PAD.encode(json)).unwrap_or_default()
    }

    pub fn decode<K: DeserializeOwned>(cursor: &str) -> Result<K> {
        Some(cursor)
            .filter(|cursor| cursor.len() <= MAX_CURSOR)
            .and_then(|cursor| URL_SAFE_NO_PAD.decode(cursor).ok())
            // PostgreSQL takes no text that holds NUL
            .filter(|json| !json.windows(6).any(|six| six == br"\u0000") && !json.contains(&0))
            .and_then(|json| serde_json::from_slice(&json).ok())
            .ok_or_else(|| Problem::from(Error::InvalidCursor).at("query:cursor", "invalid_cursor"))
    }
}

/// A page of a list.
#[derive(Debug, Object, Serialize)]
#[oai(rename_all = "camelCase")]
#[serde(rename_all = "camelCase")]
pub struct Page<T: Type + ParseFromJSON + ToJSON> {
    pub items: Vec<T>,
    /// Send it as `cursor` to get the next page; absent on the last one.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

impl<T: Type + ParseFromJSON + ToJSON> Page<T> {
    /// Makes a page of the rows fetched with [`PageQuery::fetch`].
    pub fn new<R, K: Serialize, Q>(
        query: &PageQuery<Q>,
        mut rows: Vec<R>,
        key: impl Fn(&R) -> K,
        item: impl Fn(R) -> T,
    ) -> Self {
        let limit = query.limit as usize;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next_cursor = if more { rows.last().map(|row| Cursor::encode(&key(row))) } else { None };
        Self { items: rows.into_iter().map(item).collect(), next_cursor }
    }
}
