//! What is left of the words of an error when everything is taken out that may have come from somebody.

/// Longer ones are cut.
const LONGEST: usize = 300;
const GONE: &str = "[…]";

/// Without what stands in quotes, addresses, long numbers, ids, and words that are no words of a program.
pub fn scrub(text: &str) -> String {
    let mut out = String::new();
    for word in without_quotes(text).split_whitespace() {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(if is_plain(word) { word } else { GONE });
    }
    match out.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", out.get(..end).unwrap_or_default()),
        None => out,
    }
}

/// A quote that does not end takes the rest with it.
fn without_quotes(text: &str) -> String {
    let mut out = String::new();
    let mut inside: Option<char> = None;
    let mut before = ' ';
    for c in text.chars() {
        if let Some(end) = inside {
            if c == end && before != '\\' {
                inside = None;
                out.push_str(GONE);
            }
        } else {
            inside = match c {
                '"' | '`' => Some(c),
                '“' => Some('”'),
                '«' => Some('»'),
                // elsewhere it is an apostrophe
                '\'' if !before.is_alphanumeric() => Some(c),
                _ => None,
            };
            if inside.is_none() {
                out.push(c);
            }
        }
        before = c;
    }
    if inside.is_some() {
        out.push_str(GONE);
    }
    out
}

fn is_plain(word: &str) -> bool {
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    // codes of errors of PostgreSQL and of HTTP have up to five
    let is_code = word.trim_matches([',', ':', ';', '(', ')', '.']).len() <= 5;
    word.len() <= 48
        && word.is_ascii()
        && !word.contains(['@', '%', '=', '&', '?'])
        && !word.contains("://")
        && (digits < 4 || is_code)
        && word.bytes().filter(|b| *b == b'.').count() < 3
        || word.contains(GONE) && word.len() <= 48
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_program_stay_and_those_of_people_go() {
        for (text, left) in [
            ("connection refused (os error 111)", "connection refused (os error 111)"),
            (
                "database error, constraint, table: 23505, users_email_key, users",
                "database error, constraint, table: 23505, users_email_key, users",
            ),
            ("the client can't be reached", "the client can't be reached"),
            ("invalid type: string \"I am ill\", expected u8", "invalid type: string […], expected u8"),
            ("unknown variant `suicidal`", "unknown variant […]"),
            ("it said \"never ends", "it said […]"),
            ("no such mailbox: alice@people.test", "no such mailbox: […]"),
            ("GET https://care.test/a?b=c failed", "GET […] failed"),
            ("from 192.168.17.4 port 5432", "from […] port 5432"),
            ("row 0197a3c0-1234-7abc-8def-0123456789ab", "row […]"),
            ("phone 0612345678", "phone […]"),
            ("Zoë a écrit", "[…] a […]"),
        ] {
            assert_eq!(scrub(text), left);
        }
        assert!(scrub(&"word ".repeat(200)).chars().count() <= LONGEST + 1);
    }
}
