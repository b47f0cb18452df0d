//! The house rules that only the sources can show: who imports whom, and where SQL, pools and clocks live.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use regex::Regex;

/// A domain may import from the floors below its own.
const FLOORS: &[(u8, &[&str])] = &[
    (0, &["identity"]),
    (1, &["companies"]),
    (2, &["employees", "practitioners", "files"]),
    (3, &["consultations", "content"]),
    (4, &["chat", "calls", "clinical_notes", "journal", "reviews"]),
    (5, &["usage", "notifications", "audit_trail", "search", "admin", "privacy"]),
    (6, &["exports"]),
];

const LONGEST_FILE: usize = 600;

fn floor(domain: &str) -> Option<u8> {
    FLOORS.iter().find(|(_, names)| names.contains(&domain)).map(|(floor, _)| *floor)
}

struct Source {
    /// Below `src/`.
    path: String,
    /// Without comments and unit tests.
    code: String,
    lines: usize,
}

impl Source {
    fn domain(&self) -> Option<&str> {
        let (domain, _) = self.path.strip_prefix("domain/")?.split_once('/')?;
        Some(domain)
    }

    fn is_in(&self, places: &[&str]) -> bool {
        places.iter().any(|place| self.path.starts_with(place) || self.path.ends_with(place))
    }
}

fn sources() -> Vec<Source> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    walk(&root, &mut paths);
    paths.sort();
    paths
        .iter()
        .map(|path| {
            let text = std::fs::read_to_string(path).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            let code = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
            let path = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
            Source { path, code, lines: text.lines().count() }
        })
        .collect()
}

/// The domains that a text names: `crate::domain::x` and `crate::domain::{x, y::Z}`.
fn domains_named(code: &str) -> BTreeSet<String> {
    let single = Regex::new(r"crate::domain::([a-z_]+)").unwrap();
    let group = Regex::new(r"(?s)crate::domain::\{((?:[^{}]|\{[^{}]*\})*)\}").unwrap();
    let inner = Regex::new(r"\{[^{}]*\}").unwrap();
    let mut names: BTreeSet<_> = single.captures_iter(code).map(|it| it[1].to_owned()).collect();
    for it in group.captures_iter(code) {
        for part in inner.replace_all(&it[1], "").split(',') {
            names.insert(part.trim().split("::").next().unwrap_or_default().to_owned());
        }
    }
    names.remove("");
    names
}

#[test]
fn domains_import_only_from_floors_below_their_own() {
    let mut offences = Vec::new();
    for source in sources() {
        let named = domains_named(&source.code);
        if source.path.starts_with("platform/") && (!named.is_empty() || source.code.contains("crate::app")) {
            offences.push(format!("{}: the platform knows nothing of the domain", source.path));
        }
        let Some(domain) = source.domain() else { continue };
        let Some(own) = floor(domain) else {
            offences.push(format!("{}: {domain} stands on no floor", source.path));
            continue;
        };
        if source.code.contains("crate::app") || source.code.contains("super::super::super") {
            offences.push(format!("{}: reaches out of its domain", source.path));
        }
        for other in named.iter().filter(|other| *other != domain) {
            if floor(other).is_none_or(|floor| floor >= own) {
                offences.push(format!(
                    "{}: {domain} (floor {own}) imports {other} (floor {:?})",
                    source.path,
                    floor(other)
                ));
            }
        }
    }
    assert!(offences.is_empty(), "\n{}", offences.join("\n"));
}

#[test]
fn things_live_in_their_homes() {
    // (what, how it looks, where it may be)
    let homes: &[(&str, &str, &[&str])] = &[
        (
            "SQL",
            r"sqlx::query|raw_sql|\bquery_(as|scalar)\b|QueryBuilder",
            &["platform/", "store.rs", "seed.rs", "seed/"],
        ),
        (
            "a pool or a connection of its own",
            r"PgPool|PgConnection::|connect_with|connect_lazy",
            &[
                "platform/db/",
                "platform/jobs/",
                "platform/health.rs",
                "platform/auth/revocation.rs",
                "platform/realtime/news.rs",
                "seed.rs",
            ],
        ),
        ("the system's clock", r"(Utc|Local|SystemTime)::now", &["platform/clock.rs"]),
        ("randomness", r"\brand::|SystemRandom|OsRng|Uuid::(new_v[1-47]|now)", &["platform/crypto/entropy.rs"]),
        ("the environment", r"env::vars?(_os)?\b", &["platform/config", "main.rs", "cli.rs"]),
    ];
    let mut offences = Vec::new();
    let asks_store = Regex::new(r"\bstore::[a-z_]+\(").unwrap();
    for source in sources() {
        for (what, pattern, places) in homes {
            if !source.is_in(places) && (source.path != "app.rs" || *what == "SQL") {
                offences.extend(
                    Regex::new(pattern)
                        .unwrap()
                        .find(&source.code)
                        .map(|it| format!("{}: {what}: {}", source.path, it.as_str())),
                );
            }
        }
        let name = source.path.rsplit('/').next().unwrap_or_default();
        if source.domain().is_some() && name == "api.rs" && asks_store.is_match(&source.code) {
            offences.push(format!("{}: requests go through the service", source.path));
        }
        if source.domain().is_some() && name == "model.rs" && source.code.contains(".await") {
            offences.push(format!("{}: decisions are pure", source.path));
        }
        if source.lines > LONGEST_FILE {
            offences.push(format!("{}: {} lines", source.path, source.lines));
        }
    }
    assert!(offences.is_empty(), "\n{}", offences.join("\n"));
}

/// Domains in which people write about their health.
const OF_HEALTH: &[&str] = &["chat", "clinical_notes", "consultations", "journal", "reviews"];
/// Texts of requests there that say nothing about anybody's health: wall-clock times, and proofs of who asks.
const PLAIN: &[&str] = &[
    "OverrideRequest.from",
    "OverrideRequest.to",
    "KeysRequest.password",
    "KeysRequest.code",
    "KeysRequest.recovery_code",
    "KeysRequest.device_token",
];
/// Names of fields that hold what somebody wrote, wherever they are. Articles and news are for everybody.
const WRITTEN: &[&str] = &["body", "comment", "message", "note", "reason", "tags", "text", "words"];

/// The compiler refuses a type with such words that can be shown or written, where `never_shown!` names it; this sees that
/// each is named, and that none carries a text in another way.
#[test]
fn what_people_write_about_their_health_arrives_as_nothing_else() {
    let sent = Regex::new(r"(?s)struct (\w+(?:Request|Patch|Event)) \{(.*?)\n\}").unwrap();
    let field = Regex::new(r"(?m)^\s*(?:pub(?:\([a-z]+\))? )?(\w+): (.*),$").unwrap();
    let named = Regex::new(r"(?s)never_shown!\(([^)]*)\)").unwrap();
    let (mut offences, mut seen) = (Vec::new(), 0);
    for source in sources() {
        let Some(domain) = source.domain() else { continue };
        let guarded: BTreeSet<String> = named
            .captures_iter(&source.code)
            .flat_map(|it| it[1].split(',').map(|name| name.trim().to_owned()).collect::<Vec<_>>())
            .collect();
        for it in sent.captures_iter(&source.code) {
            let (name, fields) = (&it[1], &it[2]);
            for it in field.captures_iter(fields) {
                let (member, kind) = (&it[1], &it[2]);
                let is_text = kind.contains("String") || kind.contains("str");
                let is_of_health = OF_HEALTH.contains(&domain) && !PLAIN.contains(&format!("{name}.{member}").as_str());
                if is_text && (is_of_health || (WRITTEN.contains(&member) && domain != "content")) {
                    offences.push(format!("{}: {name}.{member} is a {kind}", source.path));
                }
            }
            if fields.contains("HealthText") {
                seen += 1;
                if !guarded.contains(name) {
                    offences.push(format!("{}: {name} is not among never_shown!", source.path));
                }
            }
        }
    }
    assert!(offences.is_empty(), "\n{}", offences.join("\n"));
    assert!(seen >= 11, "{seen} requests with words");
}

#[test]
fn imports_are_read_in_every_form() {
    let code =
        "use crate::domain::identity::{a, b};\nuse crate::domain::{companies::Company, employees::{x, y}, usage};";
    let expected = ["companies", "employees", "identity", "usage"].map(str::to_owned);
    assert_eq!(domains_named(code), BTreeSet::from(expected));
}
