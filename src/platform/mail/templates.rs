//! The mails' words: `templates/mail/<name>.<locale>.txt` and `.html`, compiled into the program.

use minijinja::value::{Serde, Value};
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior, context};

use super::words;
use crate::platform::locale::Locale;

/// A template's four files.
macro_rules! embedded {
    ($($name:literal),* $(,)?) => {
        &[
            ("layout.html", include_str!("../../../templates/mail/layout.html")),
            ("button.html", include_str!("../../../templates/mail/button.html")),
            $(
                (concat!($name, ".fr.txt"), include_str!(concat!("../../../templates/mail/", $name, ".fr.txt"))),
                (concat!($name, ".en.txt"), include_str!(concat!("../../../templates/mail/", $name, ".en.txt"))),
                (concat!($name, ".fr.html"), include_str!(concat!("../../../templates/mail/", $name, ".fr.html"))),
                (concat!($name, ".en.html"), include_str!(concat!("../../../templates/mail/", $name, ".en.html"))),
            )*
        ]
    };
}

const FILES: &[(&str, &str)] = embedded![
    "account_erasure",
    "invitation",
    "invitation_address",
    "directory_changed",
    "audit_broken",
    "appointment_booked_employee",
    "appointment_booked_practitioner",
    "appointment_cancelled",
    "appointment_requested_employee",
    "appointment_requested_practitioner",
    "appointment_moved",
    "appointment_expired",
    "appointment_missed",
    "appointment_reminder",
    "export_ready",
    "calendar_failing",
    "export_failed",
    "password_changed",
    "session_ended",
    "password_reset",
    "email_verification",
    "email_change",
    "email_changed",
    "left_company",
    "left_company_privately",
    "back_at_company",
    "company_archived",
    "two_factor",
    "waitlist_offer",
    "message_waiting",
    "call_missed",
    "review_moderated",
];

/// A mail's words, filled in.
#[derive(Debug)]
pub(super) struct Rendered {
    pub subject: String,
    pub text: String,
    pub html: String,
}

/// The templates, read once.
pub(super) struct Templates {
    environment: Environment<'static>,
}

impl Templates {
    /// Every template may name `public_url` and `locale`.
    pub fn load(public_url: &str) -> Result<Self, Error> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.add_global("public_url", public_url.trim_end_matches('/'));
        environment.add_filter("day", words::day);
        environment.add_filter("moment", words::moment);
        environment.add_filter("mode", words::mode);
        for (name, source) in FILES {
            environment.add_template(name, source)?;
        }
        Ok(Self { environment })
    }

    /// Fills in a template. The text's first line is the subject.
    pub fn render(&self, name: &str, locale: Locale, context: serde_json::Value) -> Result<Rendered, Error> {
        let locale = locale.as_str();
        let context = context! { locale, ..Value::from(Serde(context)) };
        let text = self.environment.get_template(&format!("{name}.{locale}.txt"))?.render(&context)?;
        let (subject, text) = text
            .strip_prefix("Subject: ")
            .and_then(|rest| rest.split_once('\n'))
            .ok_or_else(|| Error::new(ErrorKind::InvalidOperation, "the first line is not a subject"))?;
        let html = self
            .environment
            .get_template(&format!("{name}.{locale}.html"))?
            .render(context! { subject, ..context.clone() })?;
        Ok(Rendered { subject: subject.trim().to_owned(), text: format!("{}\n", text.trim()), html })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What callers give each template.
    fn samples() -> Vec<(&'static str, serde_json::Value)> {
        let appointment = json!({
            "name": "Rosa <b>", "with": "Dr & Co", "starts_at": "2026-11-24T13:30:00Z", "time_zone": "Europe/Paris",
            "minutes": 45, "mode": "video", "link": "https://care.example/a?x=1&y=2",
            "expires_at": "2026-11-23T13:30:00Z", "pending": true, "free": true, "counts": true,
            "moved_from": "2026-11-23T09:00:00Z",
        });
        let two_factor = |change: &str, left: Option<i64>| {
            json!({
                "name": "Rosa", "change": change, "left": left, "changed_at": "2026-11-28T00:00:00Z",
                "time_zone": "Europe/Paris",
            })
        };
        vec![
            (
                "invitation",
                json!({
                    "name": "Rosa <b>", "organisation": "Firm & Co", "link": "https://care.example/i#token",
                    "expires_at": "2026-11-28T00:00:00Z", "time_zone": "Europe/Paris",
                }),
            ),
            (
                "invitation",
                json!({
                    "name": "Rosa", "organisation": null, "link": "https://care.example/i#token",
                    "expires_at": "2026-11-28T00:00:00Z", "time_zone": "Europe/Paris",
                }),
            ),
            ("directory_changed", json!({ "name": "Rosa", "organisation": "Firm & Co" })),
            ("audit_broken", json!({ "name": "Rosa", "chains": 2 })),
            ("appointment_booked_employee", appointment.clone()),
            ("appointment_booked_practitioner", appointment.clone()),
            ("appointment_cancelled", appointment.clone()),
            ("appointment_requested_employee", appointment.clone()),
            ("appointment_requested_practitioner", appointment.clone()),
            ("appointment_moved", appointment.clone()),
            ("appointment_expired", appointment.clone()),
            ("appointment_missed", appointment.clone()),
            ("appointment_reminder", appointment.clone()),
            ("waitlist_offer", appointment),
            (
                "export_ready",
                json!({
                    "name": "Rosa", "expires_at": "2026-11-28T00:00:00Z", "time_zone": "Europe/Paris",
                }),
            ),
            (
                "calendar_failing",
                json!({
                    "name": "Rosa <b>", "label": "Cabinet <b>", "since": "2026-11-24T13:30:00Z",
                    "time_zone": "Europe/Paris", "reason": "L’adresse n’existe plus.",
                    "link": "https://care.example/practice/calendars",
                }),
            ),
            ("message_waiting", json!({ "name": "Rosa", "link": "https://care.example/c" })),
            ("call_missed", json!({ "name": "Rosa", "link": "https://care.example/c" })),
            ("review_moderated", json!({ "name": "Rosa", "is_published": true })),
            ("review_moderated", json!({ "name": "Rosa", "is_published": false })),
            ("export_failed", json!({ "name": "Rosa" })),
            (
                "session_ended",
                json!({ "name": "Rosa", "ended_at": "2026-11-28T00:00:00Z", "time_zone": "Europe/Paris" }),
            ),
            ("two_factor", two_factor("enabled", None)),
            ("two_factor", two_factor("replaced", None)),
            ("two_factor", two_factor("disabled", None)),
            ("two_factor", two_factor("reset", None)),
            ("two_factor", two_factor("codes_renewed", None)),
            ("two_factor", two_factor("code_used", Some(0))),
            ("two_factor", two_factor("code_used", Some(9))),
            (
                "password_changed",
                json!({
                    "name": "Rosa", "changed_at": "2026-11-28T00:00:00Z", "time_zone": "Europe/Paris",
                }),
            ),
            ("invitation_address", link_until()),
            ("password_reset", link_until()),
            ("email_verification", link_until()),
            ("email_change", link_until()),
            (
                "email_changed",
                json!({
                    "name": "Rosa <b>", "changed_at": "2026-11-28T00:00:00Z", "time_zone": "Europe/Paris",
                }),
            ),
            ("account_erasure", erasure("asked", None)),
            ("account_erasure", erasure("withdrawn", None)),
            ("account_erasure", erasure("refused", Some("records_kept"))),
            ("account_erasure", erasure("receipt", None)),
            ("account_erasure", erasure("unused", None)),
            ("left_company", of_directory()),
            ("left_company_privately", of_directory()),
            ("back_at_company", of_directory()),
            ("company_archived", of_directory()),
        ]
    }

    fn link_until() -> serde_json::Value {
        json!({
            "name": "Rosa <b>", "link": "https://care.example/p#token=x", "expires_at": "2026-11-28T00:00:00Z",
            "time_zone": "Europe/Paris",
        })
    }

    fn erasure(what: &str, reason: Option<&str>) -> serde_json::Value {
        json!({
            "name": "Rosa <b>", "what": what, "asked_by": "person", "reason": reason, "due_at": "2026-11-28T00:00:00Z",
            "time_zone": "Europe/Paris",
            "erased": ["Your name <b>."], "kept": ["Numbers."], "reference": "0193",
        })
    }

    fn of_directory() -> serde_json::Value {
        json!({
            "name": "Rosa <b>", "organisation": "Firm & Co", "link": "https://care.example/account",
            "until": "2026-11-28T00:00:00Z", "time_zone": "Europe/Paris",
        })
    }

    #[test]
    fn every_template_renders_in_both_languages_and_stays_neutral() {
        let templates = Templates::load("https://care.example/").unwrap();
        let samples = samples();
        for (file, _) in FILES.iter().filter(|(file, _)| file.contains(".en.txt")) {
            let name = file.split('.').next().unwrap();
            assert!(samples.iter().any(|(sampled, _)| *sampled == name), "no sample of {name}");
        }
        for (name, sample) in samples {
            for locale in Locale::ALL {
                let mail = templates.render(name, locale, sample.clone()).unwrap();
                assert!(!mail.subject.is_empty() && !mail.subject.contains('\n'), "{name}");
                for part in [&mail.subject, &mail.text, &mail.html] {
                    assert!(!part.contains("{{") && !part.contains("{%"), "{name}: {part}");
                    let lower = part.to_lowercase();
                    for hint in
                        ["santé", "health", "psycho", "therap", "thérap", "consultation", "patient", "soin", "médec"]
                    {
                        assert!(!lower.contains(hint), "{name} says {hint}: {part}");
                    }
                }
                assert!(mail.html.contains(&format!("<html lang=\"{}\"", locale.as_str())), "{name}");
                assert!(!mail.html.contains("<b>"), "{name} lets markup through");
                if let Some(link) = sample.get("link").and_then(|link| link.as_str()) {
                    assert!(mail.text.contains(link), "{name} has no link in its text");
                }
            }
        }
    }

    #[test]
    fn what_a_template_names_must_be_given() {
        let templates = Templates::load("https://care.example/").unwrap();
        assert!(templates.render("export_ready", Locale::En, json!({ "name": "Rosa" })).is_err());
    }
}
