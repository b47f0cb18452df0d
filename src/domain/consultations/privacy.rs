//! What a person's copy of their data holds of what was written about their sessions. The sessions themselves are rows that
//! the database hands out.

use serde_json::{Value, json};

use super::reasons::{self, About};
use crate::platform::ids::ConsultationId;
use crate::platform::{Context, Result};

/// Where a list of reasons goes on.
pub type After = Option<(ConsultationId, About)>;

/// What was written about the caller's own sessions, and where it goes on.
pub async fn reasons(cx: &Context, after: After) -> Result<(Vec<Value>, After)> {
    let (found, next) = reasons::list_own(cx, after).await?;
    let written = found.into_iter().map(|it| {
        json!({
            "consultation_id": it.consultation,
            "about": it.about.as_str(),
            "written_by": it.written_by,
            "written_at": it.written_at,
            "text": it.text,
        })
    });
    Ok((written.collect(), next))
}
