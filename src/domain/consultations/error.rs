//! Why a booking or a change of a consultation is refused.

use crate::causes;

causes! {
    pub enum Error {
        /// Somebody has it; the answer names the nearest free ones.
        SlotTaken => (CONFLICT, "slot_taken"),
        /// The employee has another consultation at that time.
        AlreadyBookedThen => (CONFLICT, "already_booked_then"),
        /// It never was on offer; the error says why.
        NotOffered => (UNPROCESSABLE_ENTITY, "not_offered"),
        /// The contract's sessions of this year are used up.
        QuotaExhausted => (CONFLICT, "quota_exhausted"),
        CompanySuspended => (FORBIDDEN, "company_suspended"),
        CompanyArchived => (FORBIDDEN, "company_archived"),
        /// The contract does not cover today, or the day of the session.
        ContractEnded => (FORBIDDEN, "contract_ended"),
        /// The person has left the company that pays.
        NotCovered => (FORBIDDEN, "not_covered"),
        /// Cancelling is over for the employee.
        TooLate => (CONFLICT, "too_late"),
        /// The consultation's state does not allow it.
        IllegalTransition => (CONFLICT, "illegal_transition"),
        /// The practitioner did not confirm in time.
        RequestExpired => (CONFLICT, "request_expired"),
        /// Moving it is over for the caller.
        TooLateToMove => (CONFLICT, "too_late_to_reschedule"),
        /// A session is moved ten times at most.
        MovedTooOften => (CONFLICT, "rescheduled_too_often"),
        /// Whoever is late may still come.
        NoShowTooEarly => (CONFLICT, "no_show_too_early"),
        /// A day after its end the schedule has decided.
        NoShowTooLate => (CONFLICT, "no_show_too_late"),
        /// The server saw the practitioner in the session.
        PractitionerWasThere => (CONFLICT, "practitioner_was_there"),
        /// The server saw the employee in the session, which was begun.
        EmployeeWasThere => (CONFLICT, "employee_was_there"),
        /// The practitioner takes no new times.
        PractitionerInactive => (CONFLICT, "practitioner_inactive"),
        /// What a practitioner learns where the company does not pay for the employee's session at that time.
        EmployeeNotCovered => (CONFLICT, "employee_not_covered"),
        /// A session is open from ten minutes before its time.
        NotOpenYet => (FORBIDDEN, "not_open_yet"),
        /// The operator has named no Jitsi deployment.
        VideoNotConfigured => (SERVICE_UNAVAILABLE, "video_not_configured"),
        /// Calls are for sessions by audio.
        NotAnAudioSession => (CONFLICT, "not_an_audio_session"),
        /// Nobody waits on more than ten lists.
        TooManyLists => (CONFLICT, "too_many_waitlists"),
        /// Its time is over.
        Closed => (GONE, "closed"),
    }
}
