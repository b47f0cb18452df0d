//! Reads a file of people: encoding, delimiter, header, rows. Pure.
//!
//! It takes what spreadsheets write. Encoding: UTF-8 with or without byte order mark, UTF-16 with one, otherwise
//! Windows-1252 (which ISO 8859-1 is read as, following the WHATWG Encoding standard). Delimiter: the one of
//! `;`, `,` and tab that the header line has most often outside quotes, or what a `sep=` line says.

use std::borrow::Cow;
use std::collections::HashMap;

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};
use unicode_normalization::UnicodeNormalization;

use super::super::error::Error;
use super::super::model::{Fault, Field, read_language};
use crate::domain::companies::model::normalise_address;
use crate::platform::locale::Locale;
use crate::platform::problem::{FieldErrors, Problem, Result};

/// Rows that one file may have.
pub const MAX_ROWS: usize = 10_000;

/// A file that could be read.
#[derive(Debug)]
pub struct Sheet {
    pub encoding: &'static str,
    pub delimiter: char,
    /// The fields that the file has a column for.
    pub fields: Vec<Field>,
    /// Headers that mean nothing here; their columns are left out.
    pub unknown: Vec<String>,
    pub rows: Vec<Row>,
}

impl Sheet {
    pub fn has(&self, field: Field) -> bool {
        self.fields.contains(&field)
    }
}

/// A row as it was read, with all that is wrong in it.
#[derive(Debug)]
pub struct Row {
    /// Where it begins in the file; the first line is 1.
    pub line: u64,
    /// The address in the form in which it is kept; as written where it is none.
    pub email: String,
    pub first_name: String,
    pub last_name: String,
    pub staff_number: Option<String>,
    pub department: Option<String>,
    pub site: Option<String>,
    /// `None`: the cell is empty.
    pub locale: Option<Locale>,
    pub faults: Vec<(Option<Field>, Fault)>,
}

/// Reads a file, or says why nothing can be made of it.
pub fn read(bytes: &[u8]) -> Result<Sheet> {
    let (text, encoding) = decode(bytes);
    let (text, said) = strip_separator_line(&text);
    let delimiter = said.unwrap_or_else(|| detect_delimiter(text));
    let lines_before = u64::from(said.is_some());

    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(u8::try_from(delimiter).unwrap_or(b','))
        .from_reader(text.as_bytes());
    let mut records = Records { text, counted: 0, line: 1 + lines_before };
    let mut record = csv::StringRecord::new();

    let mut header = None;
    let mut unknown = Vec::new();
    let mut rows = Vec::new();
    // the text is valid UTF-8 and rows may be of any length: there is nothing left to fail
    while reader.read_record(&mut record).map_err(Problem::internal)? {
        if record.iter().all(|cell| cell.trim().is_empty()) {
            continue;
        }
        let Some(columns) = &header else {
            header = Some(read_header(&record, &mut unknown)?);
            continue;
        };
        if rows.len() == MAX_ROWS {
            return Err(Problem::from(Error::ImportTooManyRows).with_arg("max", MAX_ROWS.to_string()));
        }
        rows.push(read_row(&record, columns, records.line_of(&record)));
    }
    let columns = header.ok_or(Error::ImportEmpty)?;
    if rows.is_empty() {
        return Err(Error::ImportEmpty.into());
    }
    let fields = columns.into_iter().flatten().collect();
    Ok(Sheet { encoding, delimiter, fields, unknown, rows })
}

/// The text of a file and the name of the encoding that it was read in.
fn decode(bytes: &[u8]) -> (Cow<'_, str>, &'static str) {
    let encoding = match Encoding::for_bom(bytes) {
        Some((encoding, _)) => encoding,
        None if std::str::from_utf8(bytes).is_ok() => UTF_8,
        None => WINDOWS_1252,
    };
    let (text, _) = encoding.decode_with_bom_removal(bytes);
    (text, encoding.name())
}

/// Excel's `sep=;` before the header.
fn strip_separator_line(text: &str) -> (&str, Option<char>) {
    let Some((first, rest)) = text.split_once('\n') else { return (text, None) };
    let said = first.trim_end().trim_matches('"').strip_prefix("sep=").and_then(|said| said.chars().next());
    match said {
        Some(delimiter) if delimiter.is_ascii() => (rest, Some(delimiter)),
        _ => (text, None),
    }
}

fn detect_delimiter(text: &str) -> char {
    let mut counts = [(';', 0), (',', 0), ('\t', 0)];
    let mut is_quoted = false;
    for c in text.trim_start().chars() {
        match c {
            '"' => is_quoted = !is_quoted,
            '\n' | '\r' if !is_quoted => break,
            _ if !is_quoted => {
                for (delimiter, count) in &mut counts {
                    *count += i32::from(*delimiter == c);
                }
            }
            _ => {}
        }
    }
    // the first of the most frequent ones; a single column has none
    counts.into_iter().rev().max_by_key(|(_, count)| *count).map_or(',', |(delimiter, _)| delimiter)
}

/// Counts lines beside the reader, whose positions point before the empty lines that it skips.
struct Records<'a> {
    text: &'a str,
    counted: usize,
    line: u64,
}

impl Records<'_> {
    fn line_of(&mut self, record: &csv::StringRecord) -> u64 {
        let from = record.position().and_then(|at| usize::try_from(at.byte()).ok()).unwrap_or_default();
        let bytes = self.text.as_bytes();
        let skipped = bytes.iter().skip(from).take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let start = from + skipped;
        let passed = bytes.get(self.counted..start).unwrap_or_default();
        // a line ends in LF, CR LF, or on old systems in CR alone
        let mut before = None;
        for byte in passed {
            let is_end = *byte == b'\r' || (*byte == b'\n' && before != Some(b'\r'));
            self.line += u64::from(is_end);
            before = Some(*byte);
        }
        self.counted = start;
        self.line
    }
}

/// What each column holds.
fn read_header(record: &csv::StringRecord, unknown: &mut Vec<String>) -> Result<Vec<Option<Field>>> {
    let mut faults = FieldErrors::new();
    let mut columns = Vec::new();
    for cell in record {
        let field = field_of(cell);
        match field {
            Some(field) if columns.contains(&Some(field)) => {
                faults.add(format!("column:{}", field.name()), "column_repeated");
            }
            None if !cell.trim().is_empty() => unknown.push(cell.trim().chars().take(100).collect()),
            _ => {}
        }
        columns.push(field);
    }
    for field in Field::ALL.into_iter().filter(|field| field.is_required()) {
        faults.check(columns.contains(&Some(field)), format!("column:{}", field.name()), "column_missing");
    }
    if faults.is_empty() { Ok(columns) } else { Err(Problem::from(Error::ImportHeader).with_errors(faults.into_vec())) }
}

/// The field that a header names, in French or English, however it is written.
fn field_of(header: &str) -> Option<Field> {
    let key: String = header.nfd().flat_map(char::to_lowercase).filter(char::is_ascii_alphanumeric).collect();
    Some(match key.as_str() {
        "email"
        | "mail"
        | "emailaddress"
        | "workemail"
        | "adresseemail"
        | "adressemail"
        | "courriel"
        | "adresseelectronique" => Field::Email,
        "firstname" | "givenname" | "forename" | "prenom" => Field::FirstName,
        "lastname" | "surname" | "familyname" | "nom" | "nomdefamille" => Field::LastName,
        "staffnumber" | "employeenumber" | "employeeid" | "matricule" | "numerodematricule" => Field::StaffNumber,
        "department" | "service" | "departement" => Field::Department,
        "site" | "location" | "office" | "lieu" => Field::Site,
        "language" | "locale" | "langue" => Field::Locale,
        _ => return None,
    })
}

fn read_row(record: &csv::StringRecord, columns: &[Option<Field>], line: u64) -> Row {
    let mut faults = Vec::new();
    let mut texts: HashMap<Field, String> = HashMap::new();
    for (cell, field) in record.iter().zip(columns).filter_map(|(cell, field)| Some((cell, (*field)?))) {
        match field.read(cell) {
            Ok(Some(text)) => {
                texts.insert(field, text);
            }
            Ok(None) if field.is_required() => faults.push((Some(field), Fault::Missing)),
            Ok(None) => {}
            Err(fault) => faults.push((Some(field), fault)),
        }
    }
    // spreadsheets leave out empty cells at the end of a row
    for field in columns.iter().skip(record.len()).flatten().filter(|field| field.is_required()) {
        faults.push((Some(*field), Fault::Missing));
    }
    if record.iter().skip(columns.len()).any(|cell| !cell.trim().is_empty()) {
        faults.push((None, Fault::TooManyCells));
    }
    let mut take = |field| texts.remove(&field);
    let email = take(Field::Email).map_or_else(String::new, |text| {
        normalise_address(&text).unwrap_or_else(|| {
            faults.push((Some(Field::Email), Fault::Address));
            text
        })
    });
    let locale = take(Field::Locale).and_then(|text| {
        let locale = read_language(&text);
        if locale.is_none() {
            faults.push((Some(Field::Locale), Fault::Language));
        }
        locale
    });
    Row {
        line,
        email,
        first_name: take(Field::FirstName).unwrap_or_default(),
        last_name: take(Field::LastName).unwrap_or_default(),
        staff_number: take(Field::StaffNumber),
        department: take(Field::Department),
        site: take(Field::Site),
        locale,
        faults,
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;

    fn names(sheet: &Sheet) -> Vec<(u64, &str, &str)> {
        sheet.rows.iter().map(|row| (row.line, row.first_name.as_str(), row.last_name.as_str())).collect()
    }

    fn refused(text: &str) -> (&'static str, Vec<(String, &'static str)>) {
        let problem = read(text.as_bytes()).unwrap_err();
        (problem.code(), problem.errors().iter().map(|fault| (fault.pointer.clone(), fault.code)).collect())
    }

    #[test]
    fn french_excel_writes_semicolons_and_windows_1252() {
        let (bytes, _, _) = WINDOWS_1252
            .encode("Adresse e-mail;Prénom;Nom;Matricule;Service\r\nzoe@acme.test;Zoé;L’Hôte;007;Études\r\n");
        let sheet = read(&bytes).unwrap();
        assert_eq!((sheet.encoding, sheet.delimiter), ("windows-1252", ';'));
        let row = &sheet.rows[0];
        assert_eq!((row.first_name.as_str(), row.last_name.as_str()), ("Zoé", "L’Hôte"));
        assert_eq!((row.staff_number.as_deref(), row.department.as_deref()), (Some("007"), Some("Études")));
        assert!(row.faults.is_empty());
    }

    #[test]
    fn unicode_is_read_with_and_without_a_byte_order_mark() {
        let text = "email\tfirst name\tlast_name\nzoe@acme.test\tZoé\tŁoś\n";
        let utf16: Vec<u8> = [0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect();
        let with_mark = format!("\u{feff}{text}");
        for (bytes, encoding) in
            [(text.as_bytes(), "UTF-8"), (with_mark.as_bytes(), "UTF-8"), (utf16.as_slice(), "UTF-16LE")]
        {
            let sheet = read(bytes).unwrap();
            assert_eq!((sheet.encoding, sheet.delimiter), (encoding, '\t'));
            assert_eq!(names(&sheet), [(2, "Zoé", "Łoś")]);
        }
    }

    #[test]
    fn the_delimiter_is_looked_for_outside_quotes() {
        let sheet = read(b"\"e-mail\",\"Grade;;; old\",Nom,Pr\xc3\xa9nom\na@b.test,x,Silva,Ana\n").unwrap();
        assert_eq!(sheet.delimiter, ',');
        assert_eq!(sheet.unknown, ["Grade;;; old"]);
        assert_eq!(names(&sheet), [(2, "Ana", "Silva")]);
    }

    #[test]
    fn what_excel_says_of_the_delimiter_is_believed() {
        let sheet = read(b"sep=|\r\nemail|nom|prenom\r\na@b.test|Silva|Ana\r\n").unwrap();
        assert_eq!(sheet.delimiter, '|');
        assert_eq!(names(&sheet), [(3, "Ana", "Silva")]);
    }

    #[test]
    fn headers_are_known_in_both_languages_however_they_are_written() {
        for (header, field) in [
            (" E-Mail ", Field::Email),
            ("ADRESSE E-MAIL", Field::Email),
            ("Courriel", Field::Email),
            ("First_Name", Field::FirstName),
            ("PRE\u{301}NOM", Field::FirstName),
            ("Last name", Field::LastName),
            ("Nom", Field::LastName),
            ("Matricule", Field::StaffNumber),
            ("staff number", Field::StaffNumber),
            ("Département", Field::Department),
            ("Service", Field::Department),
            ("Lieu", Field::Site),
            ("Langue", Field::Locale),
        ] {
            assert_eq!(field_of(header), Some(field), "{header}");
        }
        assert_eq!(field_of("Salaire"), None);
    }

    #[test]
    fn each_missing_column_is_named() {
        let missing = |name: &str| (format!("column:{name}"), "column_missing");
        assert_eq!(refused("prénom;service\nZoé;RH\n"), ("import_header", vec![missing("email"), missing("lastName")]));
        let repeated = ("column:email".to_owned(), "column_repeated");
        assert_eq!(refused("email,mail,nom,prenom\na@b.test,,x,y\n"), ("import_header", vec![repeated]));
    }

    #[test]
    fn a_file_without_people_is_refused() {
        for empty in ["", "\n\n", "\u{feff}", "email;nom;prénom", "email;nom;prénom\r\n;;\r\n"] {
            assert_eq!(refused(empty).0, "import_empty", "{empty:?}");
        }
    }

    #[test]
    fn empty_lines_are_skipped_and_line_numbers_are_the_files() {
        let text = "\nemail;nom;prenom\n\n\na@b.test;\"Sil\nva\";Ana\n;;\n\nb@b.test;Roux;Léa";
        assert_eq!(names(&read(text.as_bytes()).unwrap()), [(5, "Ana", "Sil va"), (9, "Léa", "Roux")]);
        let dos = text.replace('\n', "\r\n");
        assert_eq!(names(&read(dos.as_bytes()).unwrap()), [(5, "Ana", "Sil va"), (9, "Léa", "Roux")]);
        let old_mac = text.replace('\n', "\r");
        assert_eq!(names(&read(old_mac.as_bytes()).unwrap()), [(5, "Ana", "Sil va"), (9, "Léa", "Roux")]);
    }

    #[test]
    fn quotes_keep_delimiters_and_quotes() {
        let sheet = read(b"email,nom,prenom\na@b.test,\"Silva, dite \"\"la\"\"\",Ana\n").unwrap();
        assert_eq!(sheet.rows[0].last_name, "Silva, dite \"la\"");
    }

    #[test]
    fn every_fault_of_a_row_is_told() {
        let long = "x".repeat(121);
        let text = format!("email;nom;prenom;site;langue\nno address;;A\0na;{long};klingon;more\n");
        let sheet = read(text.as_bytes()).unwrap();
        let mut faults = sheet.rows[0].faults.clone();
        faults.sort_by_key(|(field, _)| *field);
        assert_eq!(
            faults,
            [
                (None, Fault::TooManyCells),
                (Some(Field::Email), Fault::Address),
                (Some(Field::FirstName), Fault::Unreadable),
                (Some(Field::LastName), Fault::Missing),
                (Some(Field::Site), Fault::TooLong { max: 120 }),
                (Some(Field::Locale), Fault::Language),
            ]
        );
    }

    #[test]
    fn cells_left_out_at_the_end_are_empty() {
        let sheet = read(b"email;nom;prenom;site\na@b.test;Silva;Ana\nb@b.test;Roux\n").unwrap();
        assert!(sheet.rows[0].faults.is_empty());
        assert_eq!(sheet.rows[1].faults, [(Some(Field::FirstName), Fault::Missing)]);
    }

    #[test]
    fn a_quote_that_never_closes_rejects_its_row() {
        let sheet = read(b"email;nom;prenom\na@b.test;\"Silva;Ana\nb@b.test;Roux;Lea\n").unwrap();
        assert_eq!(sheet.rows.len(), 1);
        assert!(!sheet.rows[0].faults.is_empty());
    }

    #[test]
    fn ten_thousand_rows_are_taken_and_no_more() {
        let rows = |count: usize| {
            let mut text = String::from("email,nom,prenom\n");
            for n in 0..count {
                writeln!(text, "p{n}@b.test,Silva,Ana").unwrap();
            }
            text
        };
        assert_eq!(read(rows(MAX_ROWS).as_bytes()).unwrap().rows.len(), MAX_ROWS);
        assert_eq!(refused(&rows(MAX_ROWS + 1)).0, "import_too_many_rows");
    }

    #[test]
    fn any_bytes_are_read_or_refused_and_nothing_panics() {
        for seed in 0..200u32 {
            let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
            let noise: Vec<u8> = (0..400)
                .map(|_| {
                    state ^= state << 13;
                    state ^= state >> 17;
                    state ^= state << 5;
                    *b";,\t\"\r\n\0a@.\xe9\xff\xfe=".get(state as usize % 14).unwrap()
                })
                .collect();
            let _ = read(&noise);
            let _ = read(&[b"email;nom;prenom\n".as_slice(), &noise].concat());
        }
    }
}
