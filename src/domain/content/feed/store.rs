//! SQL of the feed: one function, for who is not signed in.

use super::model::Item;
use crate::platform::locale::Locale;
use crate::platform::{Result, Tx};

/// The newest articles, each in the language or in the one that it has.
pub async fn list(tx: &mut Tx, language: Locale, most: i32) -> Result<Vec<Item>> {
    Ok(sqlx::query_as("SELECT id, title, summary, category, published_at, updated_at FROM auth.article_feed($1, $2)")
        .bind(language)
        .bind(most)
        .fetch_all(tx.conn())
        .await?)
}
