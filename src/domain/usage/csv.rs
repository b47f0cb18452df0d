//! The counters as a CSV file (RFC 4180): every field quoted, none that a spreadsheet would run.

use std::borrow::Cow;

use csv::{QuoteStyle, Terminator, WriterBuilder};

use super::model::{Count, Dimension, ExportParams, Line};
use super::words;
use crate::platform::{Problem, Result};

/// The beginning of the file: the byte order mark where one is wanted, and the names of the columns.
pub fn head(params: &ExportParams) -> Result<Vec<u8>> {
    let mut columns = vec!["month"];
    columns.extend(dimensions(params).map(Dimension::as_str));
    columns.extend(["sessions", "minutes", "people", "withheld"]);
    let mut bytes = if params.bom { "\u{feff}".as_bytes().to_vec() } else { Vec::new() };
    let names = columns.into_iter().map(|column| words::column(column, params.locale).into_owned());
    bytes.extend(records(params, std::iter::once(names))?);
    Ok(bytes)
}

/// Some lines of the file.
pub fn body(params: &ExportParams, lines: &[Line]) -> Result<Vec<u8>> {
    records(params, lines.iter().map(|line| fields(params, line).into_iter()))
}

fn dimensions(params: &ExportParams) -> impl Iterator<Item = Dimension> {
    params.by.into_iter().flat_map(|by| std::iter::once(by.rows()).chain(by.columns()))
}

fn fields(params: &ExportParams, line: &Line) -> Vec<String> {
    let mut fields = vec![line.month.to_string()];
    for (dimension, key) in dimensions(params).zip([&line.row, &line.column]) {
        fields.push(if line.is_total {
            words::total(params.locale).into_owned()
        } else {
            words::value(dimension, key, line, params.locale).into_owned()
        });
    }
    fields.extend(match line.count {
        Count::Shown { sessions, minutes, people } => {
            [sessions.to_string(), minutes.to_string(), people.to_string(), String::new()]
        }
        Count::Withheld(why) => {
            let reason = words::withheld(why, params.locale).into_owned();
            [String::new(), String::new(), String::new(), reason]
        }
    });
    fields
}

fn records(params: &ExportParams, rows: impl Iterator<Item = impl Iterator<Item = String>>) -> Result<Vec<u8>> {
    let mut writer = WriterBuilder::new()
        .delimiter(params.delimiter.byte())
        .quote_style(QuoteStyle::Always)
        .terminator(Terminator::CRLF)
        .from_writer(Vec::new());
    for row in rows {
        let row: Vec<String> = row.map(|field| defuse(&field).into_owned()).collect();
        writer.write_record(&row).map_err(Problem::internal)?;
    }
    writer.into_inner().map_err(|error| Problem::internal(error.to_string()))
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
    use crate::domain::usage::model::{Breakdown, Delimiter, Withheld};
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
        let params = ExportParams {
            from: "2026-01".parse().unwrap(),
            to: "2026-02".parse().unwrap(),
            by: Some(Breakdown::Department),
            delimiter: Delimiter::Semicolon,
            bom: true,
            locale: Locale::En,
        };
        let head = String::from_utf8(head(&params).unwrap()).unwrap();
        assert_eq!(head, "\u{feff}\"Month\";\"Department\";\"Sessions\";\"Minutes\";\"People\";\"Withheld\"\r\n");
        let line = |label: &str, count| Line {
            month: params.from,
            threshold: 11,
            is_total: false,
            row: "x".into(),
            column: String::new(),
            label: Some(label.into()),
            count,
        };
        let lines = [
            line("=HYPERLINK(\"x\")", Count::Shown { sessions: 20, minutes: 900, people: 15 }),
            line("Legal; tax", Count::Withheld(Withheld::SmallGroup)),
        ];
        let body = String::from_utf8(body(&params, &lines).unwrap()).unwrap();
        assert_eq!(
            body,
            "\"2026-01\";\"'=HYPERLINK(\"\"x\"\")\";\"20\";\"900\";\"15\";\"\"\r\n\
             \"2026-01\";\"Legal; tax\";\"\";\"\";\"\";\"Too few people\"\r\n"
        );
    }
}
