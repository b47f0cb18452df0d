//! What lies in `monitoring/` fits the program: rules, their tests, a dashboard, a configuration.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use regex::Regex;
use serde_json::Value;

use super::Busy;
use crate::support::tools;

/// What the language of Prometheus has words for, and what Prometheus itself adds.
const NOT_OURS: [&str; 11] = ["and", "or", "unless", "bool", "offset", "inf", "nan", "up", "by", "without", "on"];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("monitoring")
}

fn read(name: &str) -> String {
    std::fs::read_to_string(folder().join(name)).unwrap()
}

fn yaml(name: &str) -> Value {
    serde_yaml_ng::from_str(&read(name)).unwrap()
}

fn rules() -> Vec<Value> {
    let all = yaml("alerts.yml");
    let groups = all["groups"].as_array().unwrap().iter();
    groups.flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
}

fn name(rule: &Value) -> &str {
    rule["alert"].as_str().unwrap()
}

/// The expressions of the panels, with what Grafana fills in filled in.
fn expressions(dashboard: &Value) -> Vec<String> {
    let fill = |text: &str| text.replace("$__rate_interval", "1m").replace("$instance", ".*");
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().cloned().unwrap_or_default());
    targets.map(|target| fill(target["expr"].as_str().unwrap())).collect()
}

/// The names of metrics in an expression.
fn metrics(expression: &str) -> BTreeSet<String> {
    let mut text = expression.to_owned();
    for part in
        [r#""[^"]*""#, r"\{[^}]*\}", r"\[[^\]]*\]", r"\b(by|without|on|ignoring)\s*\([^)]*\)", r"\b[0-9][0-9.e]*\b"]
    {
        text = Regex::new(part).unwrap().replace_all(&text, " ").into_owned();
    }
    let word = Regex::new(r"[a-zA-Z_:][a-zA-Z0-9_:]*(\s*\()?").unwrap();
    let words = word.find_iter(&text).map(|it| it.as_str()).filter(|it| !it.ends_with('('));
    words.map(|it| it.trim().to_owned()).filter(|it| !NOT_OURS.contains(&it.as_str())).collect()
}

#[test]
fn names_of_metrics_are_found_in_expressions() {
    let found = metrics(
        r#"histogram_quantile(0.95, sum by (le, kind) (rate(a_bucket{x="b_total"}[5m]))) > 2e9 and max(c) == 1"#,
    );
    assert_eq!(found, BTreeSet::from(["a_bucket".to_owned(), "c".to_owned()]));
}

#[test]
fn promtool_takes_the_rules_and_their_tests_and_a_rule_that_changed_fails_its_test() {
    let checked = |folder: &Path, args: &[&str]| tools::promtool(args, folder, b"");
    let copy = tempfile::tempdir().unwrap();
    for file in ["alerts.yml", "alerts.test.yml", "prometheus.yml"] {
        std::fs::write(copy.path().join(file), read(file)).unwrap();
    }
    std::fs::write(copy.path().join("metrics_token"), "k2J9vQx7LmT4zRw8NcYb5HdFs3GpAe6U").unwrap();
    for args in [
        &["check", "rules", "alerts.yml"][..],
        &["check", "config", "prometheus.yml"],
        &["test", "rules", "alerts.test.yml"],
    ] {
        let (agrees, said) = checked(copy.path(), args);
        assert!(agrees && said.contains("SUCCESS"), "{args:?}: {said}");
    }
    // a test that could not fail would say the same of this
    let changed = read("alerts.yml").replace("> 0.02", "> 0.2");
    std::fs::write(copy.path().join("alerts.yml"), changed).unwrap();
    let (agrees, said) = checked(copy.path(), &["test", "rules", "alerts.test.yml"]);
    assert!(!agrees && said.contains("HuntzenErrors"), "{said}");
}

#[test]
fn each_alert_is_seen_to_fire_and_not_to_fire_and_is_explained() {
    let tests = yaml("alerts.test.yml");
    let tried: Vec<(&str, bool)> = tests["tests"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|test| test["alert_rule_test"].as_array().unwrap())
        .map(|it| (it["alertname"].as_str().unwrap(), !it["exp_alerts"].as_array().unwrap().is_empty()))
        .collect();
    let explained = std::fs::read_to_string(folder().join("../docs/operate.md")).unwrap();
    for rule in rules() {
        let name = name(&rule);
        for fires in [true, false] {
            assert!(
                tried.contains(&(name, fires)),
                "{name} is not seen {}",
                if fires { "to fire" } else { "not to fire" }
            );
        }
        assert!(["critical", "warning", "info"].contains(&rule["labels"]["severity"].as_str().unwrap()), "{name}");
        let runbook = format!("docs/operate.md#{}", name.to_lowercase());
        assert_eq!(rule["annotations"]["runbook"], runbook.as_str(), "{name}");
        assert!(explained.contains(&format!("\n#### {name}\n")), "docs/operate.md says nothing of {name}");
    }
    let explained = Regex::new(r"(?m)^#### (Huntzen\w+)$").unwrap().captures_iter(&explained).count();
    assert_eq!(explained, rules().len(), "docs/operate.md explains alerts that there are not");
}

/// What Grafana wants of a file that it imports, as its own exports have it.
#[test]
fn the_dashboard_is_one_that_grafana_imports() {
    let it: Value = serde_json::from_str(&read("grafana.json")).unwrap();
    assert!(it["id"].is_null() && it["uid"].is_string() && it["title"].is_string());
    assert!(it["schemaVersion"].as_u64().unwrap() >= 36);
    let inputs: BTreeSet<&str> =
        it["__inputs"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
    let source = |it: &Value| {
        assert_eq!(it["type"], "prometheus");
        let uid = it["uid"].as_str().unwrap().trim_start_matches("${").trim_end_matches('}');
        assert!(inputs.contains(uid), "{uid} is asked for by nobody");
    };
    let kinds: BTreeSet<&str> = it["__requires"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|it| it["type"] == "panel")
        .map(|it| it["id"].as_str().unwrap())
        .collect();
    let (mut ids, mut taken) = (BTreeSet::new(), BTreeSet::new());
    for panel in it["panels"].as_array().unwrap() {
        let title = panel["title"].as_str().unwrap();
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}");
        let place = |name: &str| panel["gridPos"][name].as_u64().unwrap();
        assert!(place("x") + place("w") <= 24, "{title}");
        for x in place("x")..place("x") + place("w") {
            for y in place("y")..place("y") + place("h") {
                assert!(taken.insert((x, y)), "{title} lies over another panel");
            }
        }
        if panel["type"] == "row" {
            continue;
        }
        assert!(kinds.contains(panel["type"].as_str().unwrap()), "{title}");
        source(&panel["datasource"]);
        let mut names = BTreeSet::new();
        for target in panel["targets"].as_array().unwrap() {
            source(&target["datasource"]);
            assert!(names.insert(target["refId"].as_str().unwrap()), "{title}");
        }
        assert!(!names.is_empty(), "{title}");
    }
    for variable in it["templating"]["list"].as_array().unwrap() {
        source(&variable["datasource"]);
    }
    // its expressions are such as Prometheus reads
    let rules: Vec<Value> = expressions(&it)
        .into_iter()
        .enumerate()
        .map(|(n, expr)| serde_json::json!({ "record": format!("panel:{n}"), "expr": expr }))
        .collect();
    let copy = tempfile::tempdir().unwrap();
    let file = serde_json::json!({ "groups": [{ "name": "panels", "rules": rules }] });
    std::fs::write(copy.path().join("panels.yml"), file.to_string()).unwrap();
    let (agrees, said) = tools::promtool(&["check", "rules", "panels.yml"], copy.path(), b"");
    assert!(agrees, "{said}");
}

#[tokio::test]
async fn every_metric_of_a_rule_or_a_panel_is_one_that_a_running_program_shows() {
    let busy = Box::pin(Busy::start()).await;
    let text = busy.metrics().await;
    let shown: BTreeSet<&str> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split(['{', ' ']).next())
        .filter(|name| !name.is_empty())
        .collect();
    let dashboard: Value = serde_json::from_str(&read("grafana.json")).unwrap();
    let rules = rules();
    let named = rules
        .iter()
        .map(|rule| (name(rule).to_owned(), rule["expr"].as_str().unwrap().to_owned()))
        .chain(expressions(&dashboard).into_iter().map(|it| ("the dashboard".to_owned(), it)));
    let mut count = 0;
    for (who, expression) in named {
        let metrics = metrics(&expression);
        count += metrics.len();
        for metric in metrics {
            // shown by the verification of a night; audit::chain looks at it
            let is_later = metric == "huntzen_audit_verified_timestamp_seconds";
            assert!(is_later || shown.contains(metric.as_str()), "{who} names {metric}, which nobody shows");
        }
    }
    assert!(count > 60);
    // operations that are named in matchers are there as well
    let document = huntzen::app::openapi().unwrap().to_string();
    let all = read("alerts.yml") + &read("grafana.json").replace("\\\"", "\"");
    let matcher = Regex::new(r#"operation(?:=|!=|=~|!~)"([^"]+)""#).unwrap();
    for found in matcher.captures_iter(&all) {
        for operation in found[1].split('|').filter(|it| !it.starts_with('/')) {
            assert!(
                document.contains(&format!("\"operationId\":\"{operation}\"")),
                "there is no operation {operation}"
            );
        }
    }
    busy.end().await;
}
