//! Reads in an answer whose things it holds. Ids and texts of `data.sql` tell it themselves.

use huntzen::platform::auth::Role;
use uuid::Uuid;

/// The company of practitioners and staff, who belong to none.
pub const NO_COMPANY: u16 = 0xffff;

/// HR and admins of a company have numbers from here.
pub const FIRST_MEMBER: u16 = 90;

/// Each practitioner serves so many companies.
const SERVED: u16 = 5;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Company,
    Account,
    Entry,
    Department,
    Consultation,
    Export,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thing {
    kind: Kind,
    company: u16,
    person: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reader {
    pub role: Role,
    pub company: u16,
    pub person: u16,
}

impl Reader {
    pub fn may_see(self, it: Thing) -> bool {
        let ours = it.company == self.company;
        let mine = ours && it.person == self.person;
        match self.role {
            // the list of practitioners is for everybody
            _ if it.company == NO_COMPANY => it.person < FIRST_MEMBER || mine,
            Role::Employee => mine || (ours && matches!(it.kind, Kind::Company | Kind::Department)),
            Role::Hr | Role::CompanyAdmin => {
                ours && match it.kind {
                    Kind::Company | Kind::Department | Kind::Entry => true,
                    Kind::Account => it.person >= FIRST_MEMBER,
                    Kind::Consultation => false,
                    Kind::Export => mine,
                }
            }
            Role::Practitioner => {
                it.company / SERVED == self.person
                    && matches!(it.kind, Kind::Company | Kind::Account | Kind::Consultation)
            }
            // serves everybody
            Role::PlatformAdmin => true,
        }
    }
}

/// What was found in an answer.
#[derive(Default)]
pub struct Found {
    pub things: Vec<Thing>,
    /// Ids that were made while the test ran: whose they are is asked in the end.
    pub made: Vec<Uuid>,
}

/// Looks through a body byte by byte: for `5eed…` ids, for `zq…` texts, and for other ids.
pub fn find(body: &[u8]) -> Found {
    let mut found = Found::default();
    let mut at = 0;
    while at < body.len() {
        let rest = &body[at..];
        if rest.starts_with(b"zq")
            && let Some(thing) = text(rest)
        {
            found.things.push(thing);
            at += 8;
        } else if rest.get(8) == Some(&b'-')
            && let Some(id) = rest.get(..36).and_then(|text| Uuid::try_parse_ascii(text).ok())
        {
            match thing(id) {
                Some(thing) => found.things.push(thing),
                None => found.made.push(id),
            }
            at += 36;
        } else {
            at += 1;
        }
    }
    found
}

fn text(rest: &[u8]) -> Option<Thing> {
    let number = |range| std::str::from_utf8(rest.get(range)?).ok()?.parse().ok();
    let kind = match rest.get(5)? {
        b'o' => Kind::Company,
        b'd' => Kind::Entry,
        b'c' => Kind::Account,
        _ => return None,
    };
    Some(Thing { kind, company: number(2..5)?, person: number(6..8)? })
}

fn thing(id: Uuid) -> Option<Thing> {
    let bytes = id.as_bytes();
    if bytes[..2] != [0x5e, 0xed] {
        return None;
    }
    let kind = match bytes[3] {
        1 => Kind::Company,
        2 => Kind::Account,
        3 => Kind::Entry,
        4 => Kind::Department,
        5 => Kind::Consultation,
        6 => Kind::Export,
        _ => return None,
    };
    let pair = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    Some(Thing { kind, company: pair(4), person: pair(6) & 0x0fff })
}

/// As `soak.id()` of `data.sql`.
pub fn id(kind: u16, company: u16, person: u16, n: u16) -> Uuid {
    format!("5eed{kind:04x}-{company:04x}-7{person:03x}-8000-{n:012x}").parse().unwrap()
}

/// As `soak.text()` of `data.sql`.
pub fn account_text(reader: Reader) -> String {
    format!("zq{:03}c{:02}", reader.company, reader.person)
}

#[test]
fn ids_and_texts_tell_whose_they_are() {
    let body = format!(r#"{{"id":"{}","name":"Ana zq017d03","x":"zqabc"}}"#, id(5, 17, 3, 2));
    let found = find(body.as_bytes());
    let at = |kind| Thing { kind, company: 17, person: 3 };
    assert_eq!(found.things, [at(Kind::Consultation), at(Kind::Entry)]);
    let employee = Reader { role: Role::Employee, company: 17, person: 3 };
    assert!(found.things.iter().all(|thing| employee.may_see(*thing)));
    let colleague = Reader { person: 4, ..employee };
    assert!(found.things.iter().all(|thing| !colleague.may_see(*thing)));
    let hr = Reader { role: Role::Hr, person: 90, ..employee };
    assert_eq!(found.things.iter().map(|thing| hr.may_see(*thing)).collect::<Vec<_>>(), [false, true]);
    let theirs = Reader { role: Role::Practitioner, company: NO_COMPANY, person: 3 };
    assert_eq!(found.things.iter().map(|thing| theirs.may_see(*thing)).collect::<Vec<_>>(), [true, false]);
    assert!(!Reader { person: 4, ..theirs }.may_see(at(Kind::Consultation)));
}
