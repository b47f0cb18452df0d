//! What a practitioner offers, and when: values and their rules.

use std::str::FromStr;

use chrono::TimeDelta;
use chrono_tz::Tz;
use poem_openapi::Enum;
use serde::{Deserialize, Serialize};

use crate::platform::ids::PractitionerId;

/// Declares an enum that is the same word in the interface and in the database.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident => $word:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, Enum)]
        #[serde(rename_all = "snake_case")]
        #[oai(rename_all = "snake_case")]
        pub enum $name { $($(#[$vdoc])* $variant),* }

        impl $name {
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }
        }

        impl FromStr for $name {
            type Err = UnknownWord;

            fn from_str(word: &str) -> Result<Self, UnknownWord> {
                match word { $($word => Ok(Self::$variant),)* _ => Err(UnknownWord(stringify!($name))) }
            }
        }
    };
}

/// The database holds a word that this program does not know.
#[derive(Debug, thiserror::Error)]
#[error("an unknown word for {0}")]
pub struct UnknownWord(&'static str);

words! {
    /// A field of care.
    Specialty {
        Psychology => "psychology",
        Coaching => "coaching",
        Nutrition => "nutrition",
        Sleep => "sleep",
        Physiotherapy => "physiotherapy",
        SocialWork => "social_work",
    }
}

words! {
    /// How a session is held.
    Mode {
        Video => "video",
        Audio => "audio",
        Chat => "chat",
    }
}

words! {
    /// Whether a practitioner takes bookings at all.
    Status {
        Active => "active",
        Inactive => "inactive",
    }
}

/// What a booking must keep to.
#[derive(Clone, Debug, PartialEq)]
pub struct BookingTerms {
    pub id: PractitionerId,
    pub display_name: String,
    pub time_zone: Tz,
    /// Minutes, shortest first.
    pub session_lengths: Vec<i32>,
    pub buffer_before: TimeDelta,
    pub buffer_after: TimeDelta,
    /// The least time between booking and start.
    pub min_notice: TimeDelta,
    /// How far ahead can be booked.
    pub horizon_days: i32,
    pub modes: Vec<Mode>,
    /// The first one: what a consultation is counted under.
    pub specialty: Specialty,
    pub status: Status,
}
