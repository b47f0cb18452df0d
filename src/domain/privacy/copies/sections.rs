//! What a copy holds, section by section, and of which tables it comes. A table with people in it that is neither here nor
//! among those that are left out for a reason fails a test (`tests/it/privacy/sweeps.rs`).

use crate::platform::auth::Role;

/// Where the rows of a section come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// `app.own_data`.
    Rows,
    AccessLog,
    Reasons,
    Messages,
    Journal,
    JournalKeys,
    Reviews,
}

#[derive(Clone, Copy, Debug)]
pub struct Section {
    /// Of its files, of its words, and of what `app.own_data` is asked for.
    pub name: &'static str,
    pub source: Source,
    roles: Whose,
}

#[derive(Clone, Copy, Debug)]
enum Whose {
    Everybody,
    /// The two people of sessions.
    Carers,
    Employees,
    Practitioners,
    /// Who may write for the platform.
    Authors,
}

const fn section(name: &'static str, source: Source, roles: Whose) -> Section {
    Section { name, source, roles }
}

pub const SECTIONS: [Section; 32] = [
    section("account", Source::Rows, Whose::Everybody),
    section("directory_entry", Source::Rows, Whose::Employees),
    section("practitioner", Source::Rows, Whose::Practitioners),
    section("availability", Source::Rows, Whose::Practitioners),
    section("calendars", Source::Rows, Whose::Practitioners),
    section("rates", Source::Rows, Whose::Practitioners),
    section("payroll", Source::Rows, Whose::Practitioners),
    section("articles", Source::Rows, Whose::Authors),
    section("reviews_received", Source::Rows, Whose::Practitioners),
    section("consents", Source::Rows, Whose::Everybody),
    section("consultations", Source::Rows, Whose::Carers),
    section("consultation_reasons", Source::Reasons, Whose::Employees),
    section("consultation_events", Source::Rows, Whose::Carers),
    section("calls", Source::Rows, Whose::Carers),
    section("messages", Source::Messages, Whose::Carers),
    section("message_receipts", Source::Rows, Whose::Carers),
    section("file_records", Source::Rows, Whose::Everybody),
    section("journal", Source::Journal, Whose::Employees),
    section("journal_keys", Source::JournalKeys, Whose::Employees),
    section("waitlist", Source::Rows, Whose::Employees),
    section("reviews", Source::Reviews, Whose::Employees),
    section("sessions", Source::Rows, Whose::Everybody),
    section("known_devices", Source::Rows, Whose::Everybody),
    section("second_factor", Source::Rows, Whose::Everybody),
    section("mailed_links", Source::Rows, Whose::Everybody),
    section("news_reads", Source::Rows, Whose::Everybody),
    section("notifications", Source::Rows, Whose::Everybody),
    section("notification_preferences", Source::Rows, Whose::Everybody),
    section("mails", Source::Rows, Whose::Everybody),
    section("privacy_requests", Source::Rows, Whose::Everybody),
    section("usage_exports", Source::Rows, Whose::Everybody),
    section("access_log", Source::AccessLog, Whose::Everybody),
];

/// What people did themselves comes last: it is long.
pub const OWN_ACTIONS: Section = section("own_actions", Source::Rows, Whose::Everybody);

impl Section {
    pub fn concerns(&self, role: Role) -> bool {
        let (is_employee, is_practitioner) = (role == Role::Employee, role == Role::Practitioner);
        match self.roles {
            Whose::Everybody => true,
            Whose::Carers => is_employee || is_practitioner,
            Whose::Employees => is_employee,
            Whose::Practitioners => is_practitioner,
            Whose::Authors => is_practitioner || role == Role::PlatformAdmin,
        }
    }

    /// Those of somebody's copy, in their order.
    pub fn of(role: Role) -> Vec<Self> {
        SECTIONS.into_iter().chain([OWN_ACTIONS]).filter(|it| it.concerns(role)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::privacy::copies::page::{label, title};
    use crate::platform::locale::Locale;

    #[test]
    fn every_section_has_a_title_in_both_languages_and_stands_once() {
        let names: Vec<_> = SECTIONS.into_iter().chain([OWN_ACTIONS]).map(|it| it.name).collect();
        for name in &names {
            assert_eq!(names.iter().filter(|it| it == &name).count(), 1, "{name}");
            for locale in [Locale::Fr, Locale::En] {
                assert!(!title(name, locale).starts_with("privacy."), "{name}");
            }
        }
        assert_eq!(label("created_at", Locale::Fr), "Créé le");
        // a field without words of its own is shown by its name
        assert_eq!(label("some_field", Locale::En), "some field");
    }
}
