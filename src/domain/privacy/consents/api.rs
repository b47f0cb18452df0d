//! `/privacy/consents`.

use chrono::{DateTime, TimeZone, Utc};
use poem_openapi::param::{Header, Query};
use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{Object, OpenApi};
use serde::Serialize;

use super::model::{Decided, Decision, Document, Standing};
use super::service;
use super::store::Count;
use crate::domain::privacy::Tag;
use crate::platform::Result;
use crate::platform::auth::{Authorized, perm};
use crate::platform::http::{Body, IdempotencyKey, Page, PageQuery};

/// A document, and how one stands to it.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub struct ConsentAnswer {
    document: Document,
    /// The version in force.
    version: String,
    /// Whether everybody is asked. It ends with the account, and cannot be taken back before.
    required: bool,
    standing: Standing,
    /// The version that the last decision was about.
    decided_version: Option<String>,
    decided_at: Option<DateTime<Utc>>,
}

impl ConsentAnswer {
    fn of(document: Document, latest: Option<&Decided>) -> Self {
        Self {
            document,
            version: document.version().to_owned(),
            required: document.is_required(),
            standing: Standing::of(document, latest),
            decided_version: latest.map(|it| it.version.clone()),
            decided_at: latest.map(|it| it.decided_at),
        }
    }
}

fn example_decision() -> Decided {
    Decided {
        place: 1,
        document: Document::Terms,
        version: Document::Terms.version().to_owned(),
        decision: Decision::Accepted,
        decided_at: Utc.with_ymd_and_hms(2026, 11, 2, 9, 30, 0).single().unwrap_or_default(),
    }
}

impl Example for ConsentAnswer {
    fn example() -> Self {
        Self::of(Document::Terms, Some(&example_decision()))
    }
}

/// A decision that was made.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct DecisionAnswer {
    document: Document,
    version: String,
    decision: Decision,
    decided_at: DateTime<Utc>,
}

impl From<Decided> for DecisionAnswer {
    fn from(it: Decided) -> Self {
        Self { document: it.document, version: it.version, decision: it.decision, decided_at: it.decided_at }
    }
}

/// How many people decided what, last.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct ConsentCount {
    document: Document,
    version: String,
    accepted: i64,
    withdrawn: i64,
}

impl From<Count> for ConsentCount {
    fn from(it: Count) -> Self {
        Self { document: it.document, version: it.version, accepted: it.accepted, withdrawn: it.withdrawn }
    }
}

/// What one agreed to.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub struct ConsentsAnswer {
    /// Each document once.
    documents: Vec<ConsentAnswer>,
    /// One's decisions, the last one first.
    items: Vec<DecisionAnswer>,
    /// Send it as `cursor` to get the next page; absent on the last one.
    next_cursor: Option<String>,
    /// For platform admins: everybody's decisions, in numbers.
    counts: Option<Vec<ConsentCount>>,
}

impl Example for ConsentsAnswer {
    fn example() -> Self {
        let known = example_decision();
        let documents = Document::ALL
            .into_iter()
            .map(|document| ConsentAnswer::of(document, (document == known.document).then_some(&known)))
            .collect();
        Self { documents, items: vec![known.into()], next_cursor: None, counts: None }
    }
}

/// A decision.
#[derive(Debug, Object, Serialize)]
#[oai(rename_all = "camelCase", deny_unknown_fields, example)]
#[serde(rename_all = "camelCase")]
pub struct ConsentRequest {
    document: Document,
    /// The version that was shown: to be agreed to it must be the one in force.
    #[oai(validator(min_length = 1, max_length = 40, pattern = r"^[0-9a-z][0-9a-z.-]*$"))]
    version: String,
    decision: Decision,
}

impl Example for ConsentRequest {
    fn example() -> Self {
        Self {
            document: Document::Surveys,
            version: Document::Surveys.version().to_owned(),
            decision: Decision::Accepted,
        }
    }
}

pub struct ConsentsApi;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Privacy")]
impl ConsentsApi {
    /// What one agreed to
    ///
    /// Every document with its version in force, and all decisions about them, each with its version and time. Accepting an
    /// invitation is a decision about the terms. Where a document that is required has another version than the one agreed
    /// to, `GET /me` names it in `consentsDue`; nothing is refused meanwhile.
    #[oai(path = "/privacy/consents", method = "get", operation_id = "listConsents")]
    async fn list(
        &self,
        cx: Authorized<perm::ManageSelf>,
        /// 1–100; 20 unless said.
        #[oai(validator(minimum(value = "1"), maximum(value = "100")))]
        limit: Query<Option<u32>>,
        /// `nextCursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Json<ConsentsAnswer>> {
        let page = PageQuery::new(limit.0, cursor.0.as_deref())?;
        let found = service::list(&cx, &page).await?;
        let of = |document| found.latest.iter().find(|it| it.document == document);
        let documents = Document::ALL.into_iter().map(|document| ConsentAnswer::of(document, of(document))).collect();
        let Page { items, next_cursor } = Page::new(&page, found.history, |it| it.place, Into::into);
        let counts = found.counts.map(|counts| counts.into_iter().map(Into::into).collect());
        Ok(Json(ConsentsAnswer { documents, items, next_cursor, counts }))
    }

    /// Agree, or take it back
    ///
    /// The same decision again changes nothing. `409 consent_outdated`: the document has another version by now, given as
    /// `currentVersion`. `409 consent_needed`: the terms end with the account, which `POST /privacy/erasure` ends.
    #[oai(path = "/privacy/consents", method = "post", operation_id = "decideConsent")]
    async fn decide(
        &self,
        cx: Authorized<perm::ManageSelf>,
        /// Makes a repetition harmless: it gets the first answer. Kept for 24 hours.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
        body: Body<ConsentRequest>,
    ) -> Result<Json<ConsentAnswer>> {
        let once = IdempotencyKey::new(idempotency_key.0, "decideConsent", &body.0)?;
        let ConsentRequest { document, version, decision } = body.0;
        let latest = service::decide(&cx, document, &version, decision, once.as_ref()).await?;
        Ok(Json(ConsentAnswer::of(document, latest.as_ref())))
    }
}
