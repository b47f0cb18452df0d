//! Why a change of a company is refused.

use crate::causes;

causes! {
    pub enum Error {
        /// Active companies are suspended or archived, suspended ones activated or archived, archived ones stay so.
        StatusChange => (CONFLICT, "company_status_change"),
        /// The company is suspended: its people can read, not change.
        Suspended => (FORBIDDEN, "company_suspended"),
        Archived => (FORBIDDEN, "company_archived"),
        SirenTaken => (CONFLICT, "siren_taken"),
        AlreadyMember => (CONFLICT, "already_member"),
        /// Says nothing of whose the address is, nor where.
        AddressUnavailable => (CONFLICT, "address_unavailable"),
        LastAdmin => (CONFLICT, "last_company_admin"),
    }
}
