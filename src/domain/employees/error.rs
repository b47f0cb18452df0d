//! Why a change of the directory is refused.

use crate::causes;

causes! {
    pub enum Error {
        EmployeeExists => (CONFLICT, "employee_exists"),
        StaffNumberTaken => (CONFLICT, "staff_number_taken"),
        /// Every seat of the contract is taken by an active employee.
        SeatsExceeded => (CONFLICT, "seats_exceeded"),
        EmployeeLeft => (CONFLICT, "employee_left"),
        /// Another change of the same directory is still running, such as an import.
        DirectoryBusy => (CONFLICT, "directory_busy"),
        /// The first line lacks a column, or names one twice.
        ImportHeader => (UNPROCESSABLE_ENTITY, "import_header"),
        ImportEmpty => (UNPROCESSABLE_ENTITY, "import_empty"),
        ImportTooManyRows => (UNPROCESSABLE_ENTITY, "import_too_many_rows"),
        /// Some rows were rejected, so none was taken; the report says which and why.
        ImportRejected => (UNPROCESSABLE_ENTITY, "import_rejected"),
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
