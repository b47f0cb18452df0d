//! Why a change of a company is refused.

use crate::causes;

causes! {
    pub enum Error {
        /// An archived company is activated before it can be suspended.
        StatusChange => (CONFLICT, "company_status_change"),
        /// The company is suspended: its people can read, not change.
        Suspended => (FORBIDDEN, "company_suspended"),
        Archived => (FORBIDDEN, "company_archived"),
        /// Fewer seats than people who are active in the directory.
        SeatsInUse => (CONFLICT, "seats_in_use"),
        SirenTaken => (CONFLICT, "siren_taken"),
        AlreadyMember => (CONFLICT, "already_member"),
        /// Says nothing of whose the address is, nor where.
        AddressUnavailable => (CONFLICT, "address_unavailable"),
        LastAdmin => (CONFLICT, "last_company_admin"),
    }
}

#[cfg(test)]
mod tests {
    use super::Error;
    use crate::platform::problem::Cause;

    #[test]
    fn every_cause_has_words_in_both_languages() {
        for cause in Error::ALL {
            for part in ["title", "detail"] {
                let key = format!("problem.{}.{part}", cause.code());
                let [english, french] = ["en", "fr"].map(|locale| rust_i18n::t!(&key, locale = locale).into_owned());
                assert!(english != key && french != key && english != french, "{key}");
            }
        }
    }
}
