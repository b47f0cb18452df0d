//! What a practitioner offers, and when: values and their rules.

use std::str::FromStr;

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use poem_openapi::Enum;
use serde::{Deserialize, Serialize};

use super::codes;
use crate::domain::identity::model::check_time_zone;
use crate::domain::identity::model::clean_name;
use crate::platform::FieldErrors;
use crate::platform::ids::{FileId, PractitionerId, UserId};

/// Declares an enum that is the same word in the interface and in the database.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident => $word:literal),* $(,)? }) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, Enum)]
        $(#[$doc])*
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
    #[oai(rename = "PractitionerStatus")]
    Status {
        /// Not verified by the platform yet: nobody finds them.
        Unverified => "unverified",
        Active => "active",
        /// Takes no bookings any more.
        Inactive => "inactive",
    }
}

words! {
    /// What the platform has looked at before it let somebody take bookings.
    #[oai(rename = "PractitionerCheck")]
    Check {
        /// Who they are: an identity document.
        Identity => "identity",
        /// The register of health professionals, under their RPPS number.
        Rpps => "rpps",
        /// The register, under their ADELI number.
        Adeli => "adeli",
        /// Diplomas and certificates.
        Diploma => "diploma",
        /// Professional liability insurance.
        Insurance => "insurance",
        /// They were there before checks were recorded.
        Earlier => "earlier",
    }
}

/// That somebody was verified, by whom, when, and what was looked at.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Verification {
    pub at: DateTime<Utc>,
    /// Who verified them. Nobody, where they were there before.
    pub by: Option<UserId>,
    pub checks: Vec<Check>,
}

impl Specialty {
    /// Whether only those may call themselves so who are in a register (in France, RPPS or ADELI).
    pub fn is_registered(self) -> bool {
        matches!(self, Self::Psychology | Self::Physiotherapy)
    }
}

impl Check {
    /// Whether it was a register.
    pub fn is_register(self) -> bool {
        matches!(self, Self::Rpps | Self::Adeli)
    }
}

/// Notes what cannot have been looked at (a number that is not there, what only a migration says), and a register that
/// was not looked at for a registered profession.
pub fn check_verification(checks: &[Check], of: &Private, specialties: &[Specialty], faults: &mut FieldErrors) {
    for (index, check) in checks.iter().enumerate() {
        let is_there = match check {
            Check::Rpps => of.rpps.is_some(),
            Check::Adeli => of.adeli.is_some(),
            Check::Earlier => false,
            Check::Identity | Check::Diploma | Check::Insurance => true,
        };
        faults.check(is_there, format!("/checks/{index}"), "nothing_to_check");
    }
    let is_looked_up = checks.iter().any(|check| check.is_register());
    faults.check(is_looked_up || !specialties.iter().any(|it| it.is_registered()), "/checks", "register_needed");
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
    /// The account is suspended.
    pub is_suspended: bool,
    /// Of profile and hours: it changes with either.
    pub version: DateTime<Utc>,
}

impl BookingTerms {
    /// Whether anybody can book at all.
    pub fn takes_bookings(&self) -> bool {
        self.status == Status::Active && !self.is_suspended
    }

    /// Whether sessions have that length.
    pub fn offers_length(&self, length: TimeDelta) -> bool {
        self.session_lengths.iter().any(|minutes| TimeDelta::minutes((*minutes).into()) == length)
    }

    /// The shortest session.
    pub fn shortest(&self) -> TimeDelta {
        TimeDelta::minutes(self.session_lengths.first().copied().unwrap_or_default().into())
    }
}

/// An amount of money in the currency's smallest unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Money {
    pub amount: i32,
    /// ISO 4217.
    pub currency: String,
}

/// A practitioner, as the caller may see them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Practitioner {
    pub id: PractitionerId,
    pub display_name: String,
    /// The first one is what their consultations are counted under.
    pub specialties: Vec<Specialty>,
    /// ISO 639-1.
    pub languages: Vec<String>,
    pub modes: Vec<Mode>,
    pub bio_fr: String,
    pub bio_en: String,
    pub time_zone: String,
    /// Minutes.
    pub session_lengths: Vec<i32>,
    pub buffer_before_minutes: i32,
    pub buffer_after_minutes: i32,
    pub min_notice_minutes: i32,
    pub horizon_days: i32,
    /// Whether bookings wait until they are confirmed by hand.
    pub confirms_by_hand: bool,
    pub status: Status,
    pub avatar_id: Option<FileId>,
    pub rating: Option<Rating>,
    /// What only the practitioner and the platform see.
    pub private: Option<Private>,
    pub updated_at: DateTime<Utc>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Private {
    pub email: String,
    pub rpps: Option<String>,
    pub adeli: Option<String>,
    pub hourly_rate: Money,
    /// Absent where nobody has verified them.
    pub verification: Option<Verification>,
}

impl Practitioner {
    /// Notes every fault that a schema does not find; puts the texts into the form in which they are kept.
    pub fn check(&mut self, faults: &mut FieldErrors) {
        match clean_name(&self.display_name) {
            Some(name) => self.display_name = name,
            None => faults.add("/displayName", "text"),
        }
        for (index, language) in self.languages.iter().enumerate() {
            faults.check(codes::is_language(language), format!("/languages/{index}"), "language_code");
        }
        check_time_zone(&self.time_zone, "/timeZone", faults);
        for (index, minutes) in self.session_lengths.iter().enumerate() {
            faults.check((15..=240).contains(minutes), format!("/sessionLengths/{index}"), "session_length");
        }
        let Some(private) = &self.private else { return };
        faults.check(private.rpps.as_deref().is_none_or(codes::is_rpps), "/rpps", "rpps");
        faults.check(private.adeli.as_deref().is_none_or(codes::is_adeli), "/adeli", "adeli");
        faults.check(codes::is_currency(&private.hourly_rate.currency), "/hourlyRate/currency", "currency");
    }
}

/// What to change; what is absent stays.
#[derive(Debug, Default)]
pub struct Change {
    pub display_name: Option<String>,
    pub specialties: Option<Vec<Specialty>>,
    pub languages: Option<Vec<String>>,
    pub modes: Option<Vec<Mode>>,
    pub bio_fr: Option<String>,
    pub bio_en: Option<String>,
    pub time_zone: Option<String>,
    pub session_lengths: Option<Vec<i32>>,
    pub buffer_before_minutes: Option<i32>,
    pub buffer_after_minutes: Option<i32>,
    pub min_notice_minutes: Option<i32>,
    pub horizon_days: Option<i32>,
    pub confirms_by_hand: Option<bool>,
    /// `Some(None)`: it is taken away.
    pub rpps: Option<Option<String>>,
    pub adeli: Option<Option<String>>,
    pub hourly_rate: Option<Money>,
}

impl Practitioner {
    /// Notes what of a verified practitioner does not change so, given how they were: name and specialties are what
    /// the platform has verified, and stay what it looked at.
    pub fn check_verified(&self, before: &Self, is_platform: bool, faults: &mut FieldErrors) {
        let Some(verification) = before.private.as_ref().and_then(|it| it.verification.as_ref()) else { return };
        let is_changed = self.specialties != before.specialties;
        if !is_platform {
            faults.check(self.display_name == before.display_name, "/displayName", "reserved_for_platform");
            faults.check(!is_changed, "/specialties", "reserved_for_platform");
            return;
        }
        let is_new = |it: &Specialty| !before.specialties.contains(it);
        let mut registered = self.specialties.iter().filter(|it| it.is_registered());
        // who was there before keeps what they had
        let is_covered = verification.checks.iter().any(|check| check.is_register())
            || (verification.checks.contains(&Check::Earlier) && !registered.clone().any(is_new));
        faults.check(!is_changed || is_covered || registered.next().is_none(), "/specialties", "register_needed");
        let is_kept = |number: Option<&String>, check| number.is_some() || !verification.checks.contains(&check);
        let now = self.private.as_ref();
        faults.check(is_kept(now.and_then(|it| it.rpps.as_ref()), Check::Rpps), "/rpps", "verified_with_it");
        faults.check(is_kept(now.and_then(|it| it.adeli.as_ref()), Check::Adeli), "/adeli", "verified_with_it");
    }
}

impl Change {
    /// Notes what only the platform may set.
    pub fn refuse_platform_fields(&self, faults: &mut FieldErrors) {
        faults.check(self.rpps.is_none(), "/rpps", "reserved_for_platform");
        faults.check(self.adeli.is_none(), "/adeli", "reserved_for_platform");
        faults.check(self.hourly_rate.is_none(), "/hourlyRate", "reserved_for_platform");
    }

    pub fn apply(self, to: &mut Practitioner) {
        fn set<T>(field: &mut T, value: Option<T>) {
            if let Some(value) = value {
                *field = value;
            }
        }
        set(&mut to.display_name, self.display_name);
        set(&mut to.specialties, self.specialties);
        set(&mut to.languages, self.languages);
        set(&mut to.modes, self.modes);
        set(&mut to.bio_fr, self.bio_fr);
        set(&mut to.bio_en, self.bio_en);
        set(&mut to.time_zone, self.time_zone);
        set(&mut to.session_lengths, self.session_lengths);
        set(&mut to.buffer_before_minutes, self.buffer_before_minutes);
        set(&mut to.buffer_after_minutes, self.buffer_after_minutes);
        set(&mut to.min_notice_minutes, self.min_notice_minutes);
        set(&mut to.horizon_days, self.horizon_days);
        set(&mut to.confirms_by_hand, self.confirms_by_hand);
        if let Some(private) = &mut to.private {
            set(&mut private.rpps, self.rpps);
            set(&mut private.adeli, self.adeli);
            set(&mut private.hourly_rate, self.hourly_rate);
        }
    }
}

/// One line of the list.
#[derive(Clone, Debug)]
pub struct Listed {
    pub id: PractitionerId,
    pub display_name: String,
    pub specialties: Vec<Specialty>,
    pub languages: Vec<String>,
    pub modes: Vec<Mode>,
    pub status: Status,
    pub avatar_id: Option<FileId>,
    pub rating: Option<Rating>,
}

/// What clients say of a practitioner on average. There is none below three reviews: it would be somebody's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rating {
    /// 10 to 50.
    pub tenths: i16,
    pub reviews: i32,
}

impl Rating {
    /// Of the two columns, which are there together or not at all.
    pub fn of(tenths: Option<i16>, reviews: Option<i32>) -> Option<Self> {
        Some(Self { tenths: tenths?, reviews: reviews? })
    }

    /// 1 to 5, with one decimal.
    pub fn stars(self) -> f64 {
        f64::from(self.tenths) / 10.0
    }
}

/// The order of a list of practitioners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Name,
    /// The best first; who has no average comes last, by name.
    Rating,
}

/// Where a list goes on: after somebody's rating (0 where there is none), name and id.
pub type After = (i16, String, PractitionerId);

/// What a list is narrowed by.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub specialty: Option<Specialty>,
    pub language: Option<String>,
    pub mode: Option<Mode>,
    /// Each of these must occur in the name or the bio, accents and small slips aside.
    pub words: Vec<String>,
    /// A question of search: whom it finds and counts, and nobody else.
    pub question: Option<String>,
    /// Of any, where not said.
    pub status: Option<Status>,
    /// Only those whom the caller's company's employees may choose from.
    pub network_only: bool,
}
