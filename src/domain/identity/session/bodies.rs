//! What is sent and answered about sessions.

use chrono::{DateTime, Utc};
use poem_openapi::types::Example;
use poem_openapi::{Enum, Object, Union};

use super::super::two_factor::Ticket;
use super::model;
use super::store::SessionRow;
use crate::platform::auth::Role;
use crate::platform::ids::{CompanyId, SessionId, UserId};
use crate::platform::locale::Locale;

/// Where the refresh token travels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Enum)]
#[oai(rename_all = "lowercase")]
pub enum Transport {
    /// In the body: for programs and native apps.
    #[default]
    Body,
    /// In a cookie that scripts cannot read: for browsers.
    Cookie,
}

#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields, example)]
pub struct LoginRequest {
    #[oai(validator(min_length = 3, max_length = 254))]
    pub email: String,
    #[oai(validator(min_length = 1, max_length = 1024))]
    pub password: String,
    /// Where the refresh token travels: `body` unless said.
    #[oai(default)]
    pub transport: Transport,
    /// What the person calls this device, for their list of sessions.
    #[oai(validator(min_length = 1, max_length = 200))]
    pub device: Option<String>,
    /// `deviceToken` of an earlier answer, for native apps; browsers send it in a cookie.
    #[oai(validator(min_length = 1, max_length = 200))]
    pub device_token: Option<String>,
}

impl Example for LoginRequest {
    fn example() -> Self {
        Self {
            email: "alice@acme.test".into(),
            password: "demo-huntzen-2026".into(),
            transport: Transport::Body,
            device: Some("Alice’s phone".into()),
            device_token: None,
        }
    }
}

#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields, example)]
pub struct RefreshRequest {
    /// Absent where it travels in the cookie.
    #[oai(validator(min_length = 1, max_length = 200))]
    pub refresh_token: Option<String>,
}

impl Example for RefreshRequest {
    fn example() -> Self {
        Self { refresh_token: Some("q7mX0c1mN2b3V4x5Z6l7K8j9H0g1F2d3S4a5P6o7I8u".into()) }
    }
}

/// Who is signed in.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct SignedInUser {
    pub id: UserId,
    pub email: String,
    pub role: Role,
    pub company_id: Option<CompanyId>,
    pub display_name: String,
    pub locale: Locale,
}

#[derive(Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub struct SessionAnswer {
    /// Send it as `Authorization: Bearer`.
    pub access_token: String,
    /// Absent where it travels in the cookie. Each one is used once; the answer to `/auth/refresh` holds the next.
    pub refresh_token: Option<String>,
    /// After a log-in, where the refresh token is in the body as well: send it with the next log-in, so that failed
    /// attempts of strangers do not slow this device down.
    pub device_token: Option<String>,
    /// Seconds until the access token expires.
    pub expires_in: i64,
    pub user: SignedInUser,
}

impl Example for SessionAnswer {
    fn example() -> Self {
        Self {
            access_token: "eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJFZERTQSJ9.e30.c2ln".into(),
            refresh_token: Some("q7mX0c1mN2b3V4x5Z6l7K8j9H0g1F2d3S4a5P6o7I8u".into()),
            device_token: Some("d3v1ceN2b3V4x5Z6l7K8j9H0g1F2d3S4a5P6o7I8u9y".into()),
            expires_in: 900,
            user: SignedInUser {
                id: UserId(uuid::Uuid::from_u128(0x0193_8f2e_7a10_7c3e_9b1d_2f4a_6c8e_0a12)),
                email: "alice@acme.test".into(),
                role: Role::Employee,
                company_id: Some(CompanyId(uuid::Uuid::from_u128(0x0193_8f2e_7a10_7c3e_9b1d_2f4a_6c8e_0a11))),
                display_name: "Alice Martin".into(),
                locale: Locale::Fr,
            },
        }
    }
}

/// Half a log-in: the password fits, and the account asks for a code.
#[derive(Object)]
#[oai(rename_all = "camelCase", example)]
pub struct SecondStepAnswer {
    /// Always true.
    pub totp_required: bool,
    /// For `POST /auth/login/totp`, within five minutes.
    pub ticket: String,
    pub expires_at: DateTime<Utc>,
}

impl From<Ticket> for SecondStepAnswer {
    fn from(it: Ticket) -> Self {
        Self { totp_required: true, ticket: it.plain, expires_at: it.expires_at }
    }
}

impl Example for SecondStepAnswer {
    fn example() -> Self {
        Self {
            totp_required: true,
            ticket: "q7mX0c1mN2b3V4x5Z6l7K8j9H0g1F2d3S4a5P6o7I8u".into(),
            expires_at: DateTime::from_timestamp(1_795_260_000, 0).unwrap_or_default(),
        }
    }
}

/// A session, or the ticket for the second step.
#[derive(Union)]
#[oai(one_of)]
pub enum LoginAnswer {
    SignedIn(SessionAnswer),
    SecondStep(SecondStepAnswer),
}

/// One of the caller's own sessions.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub struct SessionItem {
    pub id: SessionId,
    /// What its person called the device.
    pub device: Option<String>,
    /// The network that it was last used from: the address without its last part, enough to recognise it.
    pub network: Option<String>,
    pub created_at: DateTime<Utc>,
    /// When the access token was last renewed.
    pub last_used_at: DateTime<Utc>,
    /// When it ends at the latest.
    pub expires_at: DateTime<Utc>,
    /// Whether it is the one that asks.
    pub current: bool,
}

impl SessionItem {
    pub fn new(row: SessionRow, current: SessionId) -> Self {
        Self {
            current: row.id == current,
            id: row.id,
            device: row.device,
            network: row.ip.as_deref().and_then(model::network_of),
            created_at: row.created_at,
            last_used_at: row.last_used_at,
            expires_at: row.expires_at,
        }
    }
}

impl Example for SessionItem {
    fn example() -> Self {
        let created_at = DateTime::from_timestamp(1_763_542_800, 0).unwrap_or_default();
        Self {
            id: SessionId(uuid::Uuid::from_u128(0x0193_8f2e_7a10_7c3e_9b1d_2f4a_6c8e_0a13)),
            device: Some("Alice’s phone".into()),
            network: Some("203.0.113.0/24".into()),
            created_at,
            last_used_at: created_at + chrono::TimeDelta::hours(2),
            expires_at: created_at + chrono::TimeDelta::days(30),
            current: true,
        }
    }
}
