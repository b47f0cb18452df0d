//! Content lines: bytes to text, folded lines to whole ones, a line to its name, parameters and value.

use std::borrow::Cow;

/// A line such as `DTSTART;TZID=Europe/Paris:20261124T140000`.
///
/// It borrows all that it can: a hostile file is many short lines, or one of many parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// In capitals.
    pub name: Cow<'a, str>,
    /// As they are written, each with its semicolon.
    params: &'a str,
    pub value: &'a str,
}

impl<'a> Line<'a> {
    /// `None` where there is no name or no value.
    pub fn parse(text: &'a str) -> Option<Self> {
        let end = text.find([';', ':'])?;
        let (name, from) = text.split_at_checked(end)?;
        let mut rest = from;
        while let Some(param) = rest.strip_prefix(';') {
            rest = param.get(end_of_param(param)?..)?;
        }
        let params = from.get(..from.len() - rest.len())?;
        let value = rest.strip_prefix(':')?.trim();
        let name = name.trim();
        let is_small = name.bytes().any(|byte| byte.is_ascii_lowercase());
        let name = if is_small { Cow::Owned(name.to_ascii_uppercase()) } else { Cow::Borrowed(name) };
        Some(Self { name, params, value })
    }

    /// The first parameter of a name.
    pub fn param(&self, key: &str) -> Option<&'a str> {
        let mut rest = self.params;
        while let Some(param) = rest.strip_prefix(';') {
            let (param, after) = param.split_at_checked(end_of_param(param).unwrap_or(param.len()))?;
            match param.split_once('=') {
                Some((name, value)) if name.trim().eq_ignore_ascii_case(key) => return Some(value.trim_matches('"')),
                _ => rest = after,
            }
        }
        None
    }

    pub fn is(&self, word: &str) -> bool {
        self.value.eq_ignore_ascii_case(word)
    }
}

/// The next `;` or `:` outside of quotes.
fn end_of_param(text: &str) -> Option<usize> {
    let mut quoted = false;
    text.bytes().position(|byte| {
        quoted ^= byte == b'"';
        !quoted && matches!(byte, b';' | b':')
    })
}

/// Text of foreign bytes: UTF-8, UTF-16 with its mark, and what is neither as Windows-1252, the common superset of
/// Latin-1, in which every byte is something.
pub fn decode(bytes: &[u8]) -> Cow<'_, str> {
    if let Some((encoding, mark)) = encoding_rs::Encoding::for_bom(bytes) {
        return encoding.decode_without_bom_handling(bytes.get(mark..).unwrap_or_default()).0;
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => encoding_rs::WINDOWS_1252.decode_without_bom_handling(bytes).0,
    }
}

/// Whole lines: a line that begins with a space or a tab continues the one before. Every kind of line end is taken.
/// `None` where there are more than `most`.
pub fn unfold(text: &str, most: usize) -> Option<Vec<Cow<'_, str>>> {
    let mut lines: Vec<Cow<'_, str>> = Vec::new();
    for line in text.split(['\n', '\r']).filter(|line| !line.is_empty()) {
        let is_full = lines.len() == most;
        match (line.strip_prefix([' ', '\t']), lines.last_mut()) {
            (Some(rest), Some(last)) => last.to_mut().push_str(rest),
            _ if is_full => return None,
            _ => lines.push(Cow::Borrowed(line)),
        }
    }
    Some(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_its_name_its_parameters_and_its_value() {
        let line = Line::parse("dtstart;VALUE=DATE-TIME;tzid=\"a;b:c\":20260101T090000").unwrap();
        assert_eq!((&*line.name, line.param("TZID"), line.value), ("DTSTART", Some("a;b:c"), "20260101T090000"));
        let line = Line::parse("X;;odd;A=1;a=2:v").unwrap();
        assert_eq!((line.param("A"), line.param("ODD"), line.value), (Some("1"), None, "v"));
        assert_eq!(Line::parse("SUMMARY:a:b;c").unwrap().value, "a:b;c");
        for bad in ["", "BEGIN", "X;A=\"", "X;A", ";"] {
            assert_eq!(Line::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn folded_lines_are_joined_whatever_ends_them() {
        assert_eq!(unfold("A:1\r\n 2\n\t3\rB:4\r\n", 2).unwrap(), ["A:123", "B:4"]);
        assert_eq!(unfold(" A\nB", 9).unwrap(), [" A", "B"]);
        assert_eq!(unfold("A\nB\nC", 2), None);
    }

    #[test]
    fn text_is_found_in_other_encodings() {
        assert_eq!(decode("é".as_bytes()), "é");
        assert_eq!(decode(b"\xef\xbb\xbfA"), "A");
        assert_eq!(decode(b"caf\xe9"), "café");
        assert_eq!(decode(b"\xff\xfeA\0B\0"), "AB");
        assert_eq!(decode(b"A\xc3(\x81"), "A\u{c3}(\u{81}");
    }
}
