//! CSV (RFC 4180): every field quoted, none that a spreadsheet would run.

use std::borrow::Cow;

use super::model::Params;

/// The beginning of the file: the byte order mark where one is wanted, and the names of the columns.
pub fn head(params: &Params, columns: &[impl AsRef<str>]) -> Vec<u8> {
    let mut bytes = if params.bom { "\u{feff}".as_bytes().to_vec() } else { Vec::new() };
    line(&mut bytes, params, columns);
    bytes
}

/// One line more.
pub fn line(bytes: &mut Vec<u8>, params: &Params, fields: &[impl AsRef<str>]) {
    for (place, field) in fields.iter().enumerate() {
        if place > 0 {
            bytes.push(params.delimiter.byte());
        }
        bytes.push(b'"');
        for (nth, part) in defuse(field.as_ref()).split('"').enumerate() {
            if nth > 0 {
                bytes.extend(b"\"\"");
            }
            bytes.extend(part.as_bytes());
        }
        bytes.push(b'"');
    }
    bytes.extend(b"\r\n");
}

/// A text that no spreadsheet takes for a formula (OWASP, "CSV Injection").
pub fn defuse(text: &str) -> Cow<'_, str> {
    let first = text.chars().find(|c| !c.is_whitespace() || matches!(c, '\t' | '\r' | '\n'));
    match first {
        Some('=' | '+' | '-' | '@' | '\t' | '\r' | '\n' | '＝' | '＋' | '－' | '＠') => format!("'{text}").into(),
        _ => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::exports::model::Delimiter;
    use crate::platform::locale::Locale;

    #[test]
    fn what_a_spreadsheet_would_run_is_kept_as_text() {
        for formula in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =1", "\u{a0}=1", "＝1", "a\nb"] {
            let expected = if formula == "a\nb" { formula.to_owned() } else { format!("'{formula}") };
            assert_eq!(defuse(formula), expected);
        }
        for harmless in ["", "Sales", " Sales", "R&D = us", "12", "'=1"] {
            assert_eq!(defuse(harmless), harmless);
        }
    }

    #[test]
    fn every_field_is_quoted_and_the_mark_comes_first() {
        let params = Params {
            from: "2026-01".parse().unwrap(),
            to: "2026-02".parse().unwrap(),
            by: None,
            delimiter: Delimiter::Semicolon,
            bom: true,
            locale: Locale::En,
        };
        let mut bytes = head(&params, &["Month", "Department"]);
        line(&mut bytes, &params, &["2026-01", "=HYPERLINK(\"x\")"]);
        line(&mut bytes, &params, &["2026-01", "Legal; tax"]);
        assert_eq!(
            String::from_utf8(bytes).unwrap(),
            "\u{feff}\"Month\";\"Department\"\r\n\"2026-01\";\"'=HYPERLINK(\"\"x\"\")\"\r\n\"2026-01\";\"Legal; tax\"\r\n"
        );
    }
}
