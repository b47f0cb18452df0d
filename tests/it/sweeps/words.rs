//! Everything that people read exists in both languages, and says the same things.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use regex::Regex;
use serde_yaml_ng::Value;

const LANGUAGES: [&str; 2] = ["en", "fr"];

fn files(folder: &str, extension: &str) -> Vec<(String, String)> {
    fn walk(folder: &Path, extension: &str, found: &mut Vec<(String, String)>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, extension, found);
            } else if path.extension().is_some_and(|it| it == extension) {
                found.push((path.display().to_string(), std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    let mut found = Vec::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), extension, &mut found);
    found.sort();
    found
}

/// Flat keys, each with its words by language.
fn collect(prefix: &str, value: &Value, found: &mut BTreeMap<String, BTreeMap<String, String>>) {
    let Value::Mapping(map) = value else { return };
    let is_leaf = map.values().all(|value| !value.is_mapping());
    if is_leaf && !prefix.is_empty() {
        let words = map.iter().map(|(language, text)| {
            (language.as_str().unwrap_or_default().to_owned(), text.as_str().unwrap_or_default().to_owned())
        });
        let words = words.collect();
        if let Some(other) = found.insert(prefix.to_owned(), words) {
            assert_eq!(Some(&other), found.get(prefix), "{prefix} is said twice, and not in the same words");
        }
        return;
    }
    for (key, value) in map {
        let key = key.as_str().unwrap();
        if key != "_version" {
            collect(&if prefix.is_empty() { key.to_owned() } else { format!("{prefix}.{key}") }, value, found);
        }
    }
}

fn words() -> BTreeMap<String, BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    for (path, text) in files("locales", "yml") {
        let value: Value = serde_yaml_ng::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"));
        collect("", &value, &mut found);
    }
    found
}

#[test]
fn every_key_has_words_in_both_languages() {
    let placeholder = Regex::new(r"%\{\w+\}").unwrap();
    let mut faults = Vec::new();
    let words = words();
    for (key, texts) in &words {
        for language in LANGUAGES {
            if texts.get(language).is_none_or(|text| text.trim().is_empty()) {
                faults.push(format!("{key} says nothing in {language}"));
            }
        }
        if texts.len() != LANGUAGES.len() {
            faults.push(format!("{key} is in {:?}", texts.keys()));
        }
        let filled: BTreeSet<Vec<&str>> = texts
            .values()
            .map(|text| {
                let mut names: Vec<_> = placeholder.find_iter(text).map(|it| it.as_str()).collect();
                names.sort_unstable();
                names.dedup();
                names
            })
            .collect();
        if filled.len() > 1 {
            faults.push(format!("{key} fills in other things in another language: {filled:?}"));
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
    println!("{} keys in {} languages", words.len(), LANGUAGES.len());
}

#[test]
fn every_cause_and_every_fault_has_words() {
    let words = words();
    let cause = Regex::new(r#"=>\s*\(\s*[A-Z_]+\s*,\s*"([a-z0-9_]+)"\s*\)"#).unwrap();
    // the last plain string of add, add_with, check and at
    let fault = Regex::new(r#"\.(?:add|add_with|check|at)\([^;]*?,\s*"([a-z0-9_]+)"\s*[,)]"#).unwrap();
    let (mut causes, mut faults, mut missing) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    for (path, text) in files("src", "rs") {
        let text = text.split("#[cfg(test)]").next().unwrap_or_default();
        for block in text.split("causes! {").skip(1) {
            let block = block.split("\n}").next().unwrap_or_default();
            for it in cause.captures_iter(block) {
                causes.insert(it[1].to_owned());
                for part in ["title", "detail"] {
                    if !words.contains_key(&format!("problem.{}.{part}", &it[1])) {
                        missing.push(format!("{path}: no problem.{}.{part}", &it[1]));
                    }
                }
            }
        }
        for it in fault.captures_iter(text) {
            faults.insert(it[1].to_owned());
            if !words.contains_key(&format!("field.{}", &it[1])) {
                missing.push(format!("{path}: no field.{}", &it[1]));
            }
        }
    }
    let unsaid =
        words.keys().filter_map(|key| key.strip_prefix("problem.")?.split('.').next()).collect::<BTreeSet<_>>();
    missing.extend(
        unsaid.into_iter().filter(|code| !causes.contains(*code)).map(|code| format!("nobody says problem.{code}")),
    );
    assert!(!causes.is_empty() && !faults.is_empty());
    assert!(missing.is_empty(), "\n{}", missing.join("\n"));
    println!("{} causes and {} faults, each with words", causes.len(), faults.len());
}
