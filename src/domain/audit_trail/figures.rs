//! How the log stands, for whoever monitors the platform.

use super::store;
use crate::platform::Result;
use crate::platform::jobs::JobContext;
use crate::platform::telemetry::figures::{Figure, number};

/// What the nightly verification found last, of all chains together.
pub async fn figures(cx: JobContext) -> Result<Vec<Figure>> {
    let mut tx = cx.begin().await?;
    let (broken, oldest) = store::standing(&mut tx).await?;
    tx.commit().await?;
    let mut figures = vec![
        Figure::gauge("huntzen_audit_chains_broken", "Chains of the audit log in which something is wrong.")
            .with(&[], number(broken)),
    ];
    figures.extend(oldest.map(|oldest| {
        Figure::gauge(
            "huntzen_audit_verified_timestamp_seconds",
            "When the chain that was not verified for longest was.",
        )
        .with(&[], number(oldest.timestamp()))
    }));
    Ok(figures)
}
