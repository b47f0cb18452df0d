//! What a person's copy of their data holds of their reviews: all of them with their words, whatever became of them.

use serde_json::{Value, json};

use super::service::{self, After};
use crate::platform::crypto::health_text::HealthText;
use crate::platform::{Context, Result};

/// The caller's reviews, in the order of the sessions' ids, and where they go on.
pub async fn reviews(cx: &Context, after: After) -> Result<(Vec<Value>, After)> {
    let (found, next) = service::list_own(cx, after).await?;
    let written = found.iter().map(|it| {
        json!({
            "consultation_id": it.consultation_id,
            "rating": it.rating,
            "status": it.status,
            "rejected_for": it.rejected_for,
            "body": it.text.as_ref().map(HealthText::expose),
            "content": if it.text.is_some() { "text" } else { "unreadable" },
            "written_at": it.written_at,
        })
    });
    Ok((written.collect(), next))
}
