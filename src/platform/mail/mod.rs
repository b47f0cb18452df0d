//! Mail through SMTP, from templates in two languages.
