//! `/privacy/erasure`.

use chrono::{DateTime, TimeZone, Utc};
use poem_openapi::param::Header;
use poem_openapi::payload::{Json, PlainText};
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object, OpenApi};
use uuid::Uuid;

use super::model::{AskedBy, Facts, Line, Obstacle, Receipt, Request, Status, WAIT};
use super::service::{self, Overview};
use crate::domain::identity::session::api::device;
use crate::domain::identity::two_factor::SecondStep;
use crate::domain::privacy::Tag;
use crate::platform::Result;
use crate::platform::auth::{Authorized, perm};
use crate::platform::http::{Body, IdempotencyKey};
use crate::platform::ids::PrivacyRequestId;
use crate::platform::locale::Locale;

/// The proof that it is oneself who asks.
#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields, example)]
pub struct ErasureRequest {
    /// The present password.
    #[oai(validator(min_length = 1, max_length = 1024))]
    password: String,
    /// Where there is a second factor: a code of it …
    #[oai(validator(pattern = r"^[0-9]{3} ?[0-9]{3}$"))]
    code: Option<String>,
    /// … or a recovery code.
    #[oai(validator(min_length = 16, max_length = 40))]
    recovery_code: Option<String>,
    /// `deviceToken` of a log-in, for native apps; browsers send it in a cookie.
    #[oai(validator(min_length = 1, max_length = 200))]
    device_token: Option<String>,
}

impl Example for ErasureRequest {
    fn example() -> Self {
        Self { password: "demo-huntzen-2026".into(), code: None, recovery_code: None, device_token: None }
    }
}

/// A line of the receipt.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct ErasureReceiptLine {
    /// A word of the program, such as `journal`.
    what: String,
    count: Option<i64>,
    /// Until when it is kept, where that is known.
    until: Option<DateTime<Utc>>,
    /// In words, with the ground on which it is kept.
    text: String,
}

/// What is erased, and what is kept, on what ground and until when.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct ErasureReceipt {
    erased: Vec<ErasureReceiptLine>,
    kept: Vec<ErasureReceiptLine>,
}

impl ErasureReceipt {
    fn new(receipt: &Receipt, time_zone: &str, locale: Locale) -> Self {
        let lines = |list: &str, lines: &[Line]| {
            let line = |it: &Line| ErasureReceiptLine {
                what: it.what.to_owned(),
                count: it.count,
                until: it.until,
                text: it.words(list, time_zone, locale),
            };
            lines.iter().map(line).collect()
        };
        Self { erased: lines("erased", &receipt.erased), kept: lines("kept", &receipt.kept) }
    }
}

/// The erasure of one's account.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub struct ErasureAnswer {
    id: PrivacyRequestId,
    status: Status,
    asked_at: DateTime<Utc>,
    /// Until then it can be taken back; it is carried out soon after.
    due_at: DateTime<Utc>,
    finished_at: Option<DateTime<Utc>>,
    /// Why it was refused when its time had come.
    reason: Option<Obstacle>,
    /// `platform`: the account was not used for as long as one is kept. Signing in took it back.
    asked_by: AskedBy,
    /// As things are now. The final one is sent by mail when the account is erased.
    receipt: ErasureReceipt,
}

impl ErasureAnswer {
    fn new(it: &Overview, locale: Locale) -> Self {
        let request = &it.request;
        Self {
            id: request.id,
            status: request.status,
            asked_at: request.created_at,
            due_at: request.due_at,
            finished_at: request.finished_at,
            reason: request.reason,
            asked_by: request.asked_by,
            receipt: ErasureReceipt::new(&it.receipt, &it.time_zone, locale),
        }
    }
}

impl Example for ErasureAnswer {
    fn example() -> Self {
        let at = Utc.with_ymd_and_hms(2026, 11, 2, 9, 30, 0).single().unwrap_or_default();
        let facts = Facts { journal_entries: 12, consultations: 4, ..Facts::default() };
        let request = Request {
            id: PrivacyRequestId(Uuid::from_u128(0x0193_8f2e_7a10_7c3e_9b1d_2f4a_6c8e_0e01)),
            status: Status::Waiting,
            created_at: at,
            due_at: at + WAIT,
            finished_at: None,
            reason: None,
            asked_by: AskedBy::Person,
        };
        let it = Overview { receipt: Receipt::new(&facts, &[], at, 14), request, time_zone: "Europe/Paris".into() };
        Self::new(&it, Locale::En)
    }
}

#[derive(ApiResponse)]
enum AskedResponse {
    /// It waits for its time.
    #[oai(status = 202)]
    Accepted(Json<ErasureAnswer>),
}

#[derive(ApiResponse)]
enum WithdrawnResponse {
    /// It is taken back, and everything stays.
    #[oai(status = 204)]
    Withdrawn,
}

#[derive(ApiResponse)]
enum ReceiptFile {
    /// The receipt as things are now.
    #[oai(status = 200)]
    Text(
        PlainText<String>,
        /// Names the file, and keeps browsers from showing it.
        #[oai(header = "Content-Disposition")]
        String,
        /// Always `private, no-store`.
        #[oai(header = "Cache-Control")]
        String,
        /// Always `nosniff`.
        #[oai(header = "X-Content-Type-Options")]
        String,
    ),
}

pub struct ErasureApi;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Privacy")]
impl ErasureApi {
    /// Have one's account erased
    ///
    /// After seven days, in which it can be taken back, the account is closed and made nobody's: its sessions end, what is
    /// booked is cancelled, the keys of journal, messages and documents are destroyed, files are deleted. What is kept, on
    /// what ground and until when, the receipt says. Asked again, the request that waits stays. `409
    /// erasure_sessions_ahead`, `erasure_records_kept`: a practitioner ends their sessions first, and keeps the records that
    /// the law has them keep. `409 erasure_last_admin`: a company, and the platform, is never without an admin.
    #[oai(path = "/privacy/erasure", method = "post", operation_id = "askErasure")]
    async fn ask(
        &self,
        cx: Authorized<perm::ManageSelf>,
        request: &poem::Request,
        /// Makes a repetition harmless: it gets the first answer. Kept for 24 hours.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
        body: Body<ErasureRequest>,
    ) -> Result<AskedResponse> {
        let once = IdempotencyKey::new(idempotency_key.0, "askErasure", &())?;
        let ErasureRequest { password, code, recovery_code, device_token } = body.0;
        let device = device(cx.platform(), request, None, device_token);
        let shown = SecondStep::of(code, recovery_code)?;
        let it = service::ask(&cx, &password.into(), shown.as_ref(), &device, once.as_ref()).await?;
        Ok(AskedResponse::Accepted(Json(ErasureAnswer::new(&it, cx.locale()))))
    }

    /// The erasure of one's account
    ///
    /// The request that waits, or the last one, with its receipt as things are now. `404`: it was never asked for.
    #[oai(path = "/privacy/erasure", method = "get", operation_id = "getErasure")]
    async fn get(&self, cx: Authorized<perm::ManageSelf>) -> Result<Json<ErasureAnswer>> {
        Ok(Json(ErasureAnswer::new(&service::find(&cx).await?, cx.locale())))
    }

    /// The receipt of it, to be kept
    ///
    /// As text, in the language of the request: what is erased, and what is kept, on what ground and until when.
    #[oai(path = "/privacy/erasure/receipt", method = "get", operation_id = "downloadErasureReceipt")]
    async fn receipt(&self, cx: Authorized<perm::ManageSelf>) -> Result<ReceiptFile> {
        let text = service::find(&cx).await?.text(cx.locale());
        Ok(ReceiptFile::Text(
            PlainText(text),
            "attachment; filename=\"huntzen-erasure.txt\"".to_owned(),
            "private, no-store".to_owned(),
            "nosniff".to_owned(),
        ))
    }

    /// Take the erasure back
    ///
    /// Until its time has come; then it is `409 erasure_begun`. `404`: none waits.
    #[oai(path = "/privacy/erasure", method = "delete", operation_id = "withdrawErasure")]
    async fn withdraw(&self, cx: Authorized<perm::ManageSelf>) -> Result<WithdrawnResponse> {
        service::withdraw(&cx).await?;
        Ok(WithdrawnResponse::Withdrawn)
    }
}
