//! Which passwords are refused. Pure.
//!
//! NIST SP 800-63B-4, 3.1.1.2: length and what attackers try first, no rules of composition. What they try first is a
//! list of whole passwords, and the ways in which people make a long one of little: a common word with decoration, a
//! walk over the keyboard, something repeated, their own name, the product's.

use std::collections::HashSet;
use std::sync::LazyLock;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::platform::problem::FieldErrors;

const SHORTEST: usize = 12;
const LONGEST: usize = 128;
/// Passwords that are tried first: folded, one a line. Written for this program.
const KNOWN: &str = include_str!("known_bad_passwords.txt");
/// Words that such passwords are made of: folded, one a line. Written for this program.
const WORDS: &str = include_str!("common_words.txt");
static WORD_SET: LazyLock<HashSet<&str>> = LazyLock::new(|| WORDS.lines().collect());
static KNOWN_SET: LazyLock<HashSet<&str>> = LazyLock::new(|| KNOWN.lines().collect());
const OF_THE_PRODUCT: [&str; 2] = ["huntzencare", "huntzen"];
/// Characters that have to be left once everything that can be guessed is taken away.
const ENOUGH: usize = 6;
/// Neighbours on keyboards (QWERTY, AZERTY, QWERTZ; rows, and columns with their way back), in the alphabet, in counting.
const WALKS: [&str; 19] = [
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890",
    "qwertyuiop[]",
    "asdfghjkl;'",
    "zxcvbnm,./",
    "azertyuiop^$",
    "qsdfghjklmu*",
    "wxcvbn,;:!",
    "qwertzuiopu+",
    "yxcvbnm,.-",
    "!@#$%^&*()_+",
    "&e\"'(-e_ca)=",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik,9ol.0p;/",
    "1aqw2zsx3edc4rfv5tgb6yhn7uj,8ik;9ol:0pm!",
    "1q2w3e4r5t6y7u8i9o0p",
    "1a2z3e4r5t6y7u8i9o0p",
    "qazxswedcvfrtgbnhyujmkiolp",
    "aqwzsxedcrfvtgbyhnujikolpm",
    "zaqxswcdevfrbgtnhymjukilop",
];

/// Notes what is wrong with a password. `own` is what is known of the person: their address, their name.
pub fn check(password: &str, own: &[&str], pointer: &str, errors: &mut FieldErrors) {
    let normal: String = password.nfkc().collect();
    let length = normal.chars().count();
    if length < SHORTEST {
        errors.add(pointer, "password_too_short");
    } else if length > LONGEST {
        errors.add(pointer, "password_too_long");
    } else {
        let folded = fold(&normal);
        if is_known(&folded) {
            errors.add(pointer, "password_known");
        } else if is_personal(&folded, own) {
            errors.add(pointer, "password_personal");
        }
    }
}

/// The same password, as keyboards of other languages give it; what the hash is made of.
pub fn is_same(one: &str, other: &str) -> bool {
    one.nfkc().eq(other.nfkc())
}

/// Lower case, without accents, one form for each character.
fn fold(text: &str) -> String {
    text.nfkd().filter(|c| !is_combining_mark(*c)).flat_map(char::to_lowercase).nfkc().collect()
}

/// Digits and signs that stand for letters.
fn unmask(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '@' | '4' => 'a',
            '0' => 'o',
            '1' | '!' => 'i',
            '3' | '€' => 'e',
            '$' | '5' => 's',
            '7' => 't',
            c => c,
        })
        .collect()
}

fn is_known(folded: &str) -> bool {
    KNOWN_SET.contains(folded) || is_decorated_word(folded) || repeats(folded) || is_walk(folded)
}

/// One common word, or the same one again, with a few digits and signs before and after.
fn is_decorated_word(folded: &str) -> bool {
    let is_word = |text: &str| {
        let letters: String = text.chars().filter(|c| c.is_alphabetic()).collect();
        WORD_SET.contains(period(&letters).as_str())
    };
    let decorated = |text: &str| {
        let core = text.trim_matches(|c: char| !c.is_alphabetic());
        text.chars().count() - core.chars().count() <= 8 && is_word(core) && others(core) <= 2
    };
    decorated(folded) || {
        // p@ssw0rd: the decoration stays as it is
        let core = folded.trim_matches(|c: char| c.is_ascii_digit() || (c.is_ascii_punctuation() && !"@$".contains(c)));
        folded.chars().count() - core.chars().count() <= 8 && is_word(&unmask(core)) && others(&unmask(core)) <= 2
    }
}

fn others(text: &str) -> usize {
    text.chars().filter(|c| !c.is_alphabetic()).count()
}

/// The shortest beginning that the whole text repeats; the last time may be cut off.
fn period(text: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    let length = (1..=letters.len() / 2)
        .find(|length| letters.iter().zip(letters.iter().skip(*length)).all(|(a, b)| a == b))
        .unwrap_or(letters.len());
    letters.into_iter().take(length).collect()
}

/// Something short again and again, or hardly any different characters.
fn repeats(folded: &str) -> bool {
    let distinct: HashSet<char> = folded.chars().collect();
    distinct.len() < 5 || period(folded).chars().count() < 8
}

/// Hardly anything but neighbours on a keyboard, in the alphabet, or in counting.
fn is_walk(folded: &str) -> bool {
    let mut letters: Vec<char> = folded.chars().collect();
    letters.dedup();
    let (mut from, mut parts) = (0, 0);
    while from < letters.len() {
        let rest = letters.get(from..).unwrap_or_default();
        let steps = WALKS.iter().map(|walk| walked(walk, rest)).max().unwrap_or(1);
        from += if steps >= 3 { steps } else { 1 };
        parts += 1;
    }
    parts < ENOUGH
}

/// How many characters of the text, from its beginning, follow one another on the walk in one direction.
fn walked(walk: &str, text: &[char]) -> usize {
    let forwards: Vec<char> = walk.chars().collect();
    let backwards: Vec<char> = walk.chars().rev().collect();
    let Some(first) = text.first() else { return 0 };
    [forwards, backwards]
        .iter()
        .flat_map(|walk| {
            let starts = walk.iter().enumerate().filter(move |(_, c)| *c == first);
            starts.map(move |(at, _)| walk.iter().skip(at).zip(text).take_while(|(a, b)| a == b).count())
        })
        .max()
        .unwrap_or(1)
}

/// Little more than the person's own address or name, or the product's name.
fn is_personal(folded: &str, own: &[&str]) -> bool {
    let mut words: Vec<String> = OF_THE_PRODUCT.map(ToOwned::to_owned).to_vec();
    for text in own {
        let text = fold(text);
        words.extend(text.split(|c: char| !c.is_alphanumeric()).map(ToOwned::to_owned));
        words.extend(text.split_once('@').map(|(local, _)| local.to_owned()));
        words.push(text);
    }
    words.retain(|word| word.chars().count() >= 3);
    words.sort_by_key(|word| std::cmp::Reverse(word.len()));
    let mut rest = folded.to_owned();
    for word in &words {
        rest = rest.replace(word.as_str(), " ");
    }
    rest != folded && rest.chars().filter(|c| c.is_alphanumeric()).count() < ENOUGH
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults_of(password: &str, own: &[&str]) -> Vec<&'static str> {
        let mut errors = FieldErrors::new();
        check(password, own, "/password", &mut errors);
        errors.into_vec().into_iter().map(|e| e.code).collect()
    }

    fn faults(password: &str) -> Vec<&'static str> {
        faults_of(password, &[])
    }

    const NONE: [&str; 0] = [];

    #[test]
    fn a_password_has_12_to_128_characters_of_any_script() {
        // no repetition, no walk: letters far apart
        let long: String = "gk5xv ehzqb8wrnomu3".chars().cycle().take(129).collect();
        let of = |length: usize| long.chars().take(length).collect::<String>();
        assert_eq!(faults(&of(11)), ["password_too_short"]);
        assert_eq!(faults(&of(12)), NONE);
        assert_eq!(faults(&of(128)), NONE);
        assert_eq!(faults(&of(129)), ["password_too_long"]);
        assert_eq!(faults("short"), ["password_too_short"]);
        assert_eq!(faults("éàüçñöåøßđłż"), NONE);
        assert_eq!(faults("пароль мой не угадать"), NONE);
        assert_eq!(faults("パスワードはひみつですよね"), NONE);
        assert_eq!(faults("🦊🐝🌵🎻🧊🍄🪁🦉🧵🎈🪐🫧"), NONE);
        // characters are counted, not bytes
        assert_eq!(faults("éàüçñöåøßđł"), ["password_too_short"]);
    }

    #[test]
    fn a_password_is_counted_and_compared_in_one_form() {
        // an e with an accent, as one character and as two: eleven either way
        assert_eq!(faults("caf\u{e9}bleuxyz"), ["password_too_short"]);
        assert_eq!(faults("cafe\u{301}bleuxyz"), ["password_too_short"]);
        assert!(is_same("caf\u{e9} du midi", "cafe\u{301} du midi"));
        assert!(is_same("ｗｉｄｅ letters", "wide letters"));
        assert!(!is_same("Four quiet words", "four quiet words"));
    }

    #[test]
    fn what_attackers_try_first_is_refused() {
        for known in [
            "Password1234",
            "MotDePasse2026!",
            "m0td3p@sse2026",
            "P@ssw0rd!!!!",
            "Azertyuiop12",
            "2026-Bienvenue!",
            "Administrateur",
            "administrator2031!",
            "soleilsoleil",
            "Marseille13013",
            "passwordpassword",
            "correcthorsebatterystaple",
            "Thisisapassword",
            "Été2026été2026",
            "aaaaaaaaaaaaaa",
            "abcabcabcabcabc",
            "112233445566",
            "abababababab",
            "1234567890123",
            "098765432109",
            "abcdefghijklmnop",
            "qwertyuiop123",
            "azertyuiopqsdfg",
            "qsdfghjklmwxcvbn",
            "1qaz2wsx3edc",
            "1a2z3e4r5t6y",
            "zaq12wsxcde3",
            "asdfasdfasdf",
            "Qwertz123456",
            "            ",
        ] {
            assert_eq!(faults(known), ["password_known"], "{known}");
        }
    }

    #[test]
    fn ones_own_name_and_the_products_do_not_make_a_password() {
        let own = ["alice.martin@acme.test", "Alice Martin"];
        for bad in ["alice.martin", "AliceMartin2026", "martin-alice!1", "Âlice@Acme.test", "acme-alice-26!"] {
            assert_eq!(faults_of(bad, &own), ["password_personal"], "{bad}");
        }
        for bad in ["HuntZenCare!1", "huntzen-huntzen", "huntzen2026!!", "2026.HuntZen.26"] {
            let found = faults(bad);
            assert!(found == ["password_personal"] || found == ["password_known"], "{bad}: {found:?}");
        }
        // the same words beside enough others
        assert_eq!(faults_of("martin plays chess on sundays", &own), NONE);
        assert_eq!(faults("demo-huntzen-2026"), NONE);
    }

    #[test]
    fn passwords_that_nobody_guesses_are_taken() {
        for good in [
            "four quiet words here",
            "four quiet words",
            "tulipe cerf armoire",
            "kX9#mPq2vL7z",
            "gjuw-pzrk-taxm",
            "my sunshine left the harbour",
            "4815162342 lost",
            "Le chat dort sous la pluie",
        ] {
            assert_eq!(faults(good), NONE, "{good}");
        }
    }

    #[test]
    fn the_lists_are_worth_shipping_and_in_the_form_that_is_looked_up() {
        assert!(KNOWN_SET.len() > 4_000, "{}", KNOWN_SET.len());
        assert!(WORD_SET.len() > 700, "{}", WORD_SET.len());
        assert!(KNOWN.lines().all(|line| line.chars().count() >= SHORTEST && line == fold(line)));
        assert!(WORDS.lines().all(|line| line.chars().count() >= 3 && line == fold(line)));
    }
}
