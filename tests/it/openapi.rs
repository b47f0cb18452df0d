//! The document that clients are generated from: an independent linter takes it, and nothing in it is left unsaid.

use std::process::Command;

use serde_json::Value;

use crate::support::tools;

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// What the slice through the product needs.
const ROUTES: [&str; 66] = [
    "post /api/v1/auth/login",
    "post /api/v1/auth/login/totp",
    "post /api/v1/auth/totp/setup",
    "post /api/v1/auth/totp/enable",
    "post /api/v1/auth/totp/disable",
    "post /api/v1/auth/totp/recovery-codes",
    "get /api/v1/admin/users",
    "post /api/v1/admin/users/{id}/suspend",
    "post /api/v1/admin/users/{id}/activate",
    "post /api/v1/auth/refresh",
    "post /api/v1/auth/logout",
    "post /api/v1/auth/accept-invitation",
    "post /api/v1/auth/forgot-password",
    "post /api/v1/auth/reset-password",
    "post /api/v1/auth/change-password",
    "post /api/v1/auth/verify-email",
    "get /api/v1/auth/sessions",
    "delete /api/v1/auth/sessions/{id}",
    "delete /api/v1/auth/sessions",
    "get /.well-known/jwks.json",
    "get /api/v1/me",
    "patch /api/v1/me",
    "get /api/v1/me/quota",
    "get /api/v1/companies/{id}/network",
    "put /api/v1/companies/{id}/network",
    "get /api/v1/companies/{id}/settings",
    "patch /api/v1/companies/{id}/settings",
    "post /api/v1/companies/{id}/suspend",
    "post /api/v1/companies/{id}/activate",
    "post /api/v1/companies/{id}/archive",
    "patch /api/v1/companies/{id}",
    "get /api/v1/employees/departments",
    "get /api/v1/employees/import-template.csv",
    "patch /api/v1/employees/{id}",
    "delete /api/v1/employees/{id}",
    "post /api/v1/employees/{id}/reactivate",
    "get /api/v1/audit-logs",
    "get /api/v1/privacy/access-log",
    "post /api/v1/companies",
    "get /api/v1/companies",
    "get /api/v1/companies/{id}",
    "patch /api/v1/companies/{id}",
    "get /api/v1/companies/{id}/members",
    "post /api/v1/companies/{id}/members",
    "post /api/v1/practitioners",
    "get /api/v1/practitioners",
    "get /api/v1/practitioners/{id}",
    "get /api/v1/practitioners/{id}/availability",
    "put /api/v1/practitioners/{id}/availability",
    "get /api/v1/practitioners/{id}/slots",
    "get /api/v1/employees",
    "post /api/v1/employees",
    "post /api/v1/employees/import",
    "post /api/v1/employees/{id}/invite",
    "post /api/v1/consultations",
    "get /api/v1/consultations",
    "get /api/v1/consultations/{id}",
    "post /api/v1/consultations/{id}/start",
    "post /api/v1/consultations/{id}/end",
    "get /api/v1/reports/usage",
    "post /api/v1/exports",
    "get /api/v1/exports/{id}",
    "get /api/v1/exports/{id}/download",
    "get /health/live",
    "get /health/ready",
    "get /metrics",
];

fn document() -> Value {
    huntzen::app::openapi().unwrap()
}

/// Every operation as `method path`.
fn operations(document: &Value) -> Vec<(String, &Value)> {
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in METHODS {
            found.extend(item.get(method).map(|operation| (format!("{method} {path}"), operation)));
        }
    }
    found
}

/// Follows a reference within the document.
fn resolve<'a>(document: &'a Value, part: &'a Value) -> &'a Value {
    match part["$ref"].as_str() {
        Some(reference) => document.pointer(reference.strip_prefix('#').unwrap()).expect(reference),
        None => part,
    }
}

fn has_example(document: &Value, media: &Value) -> bool {
    let schema = resolve(document, &media["schema"]);
    if [&media["example"], &media["examples"], &schema["example"]].into_iter().any(|example| !example.is_null()) {
        return true;
    }
    // each of the shapes shows itself
    if let Some(shapes) = schema["oneOf"].as_array() {
        let shows = |part: &Value| !resolve(document, part)["example"].is_null();
        return shapes.iter().map(|shape| resolve(document, shape)).all(|shape| {
            // with the word that tells the shapes apart
            shows(shape) || shape["allOf"].as_array().is_some_and(|parts| parts.iter().any(shows))
        });
    }
    // a page shows one of its items
    let item = resolve(document, &schema["properties"]["items"]["items"]);
    !item["example"].is_null()
}

#[test]
fn an_independent_linter_takes_the_document() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("openapi.json");
    std::fs::write(&file, serde_json::to_vec_pretty(&document()).unwrap()).unwrap();
    let linted = Command::new(tools::folder().join("node_modules/.bin/redocly"))
        .args(["lint", "--extends", "recommended", "--format", "stylish"])
        .arg(&file)
        // it may neither ask for a newer version of itself nor tell about its use
        .env("REDOCLY_TELEMETRY", "off")
        .env("REDOCLY_SUPPRESS_UPDATE_NOTICE", "true")
        .env("CI", "true")
        .current_dir(folder.path())
        .output()
        .unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&linted.stdout), String::from_utf8_lossy(&linted.stderr));
    assert!(linted.status.success(), "{said}");
    assert!(!said.contains("error"), "{said}");
}

#[test]
fn every_operation_explains_itself() {
    let document = document();
    let tags: Vec<&Value> = document["tags"].as_array().unwrap().iter().map(|tag| &tag["name"]).collect();
    let mut ids = std::collections::HashSet::new();
    let mut faults = Vec::new();
    for (name, operation) in operations(&document) {
        let mut fault = |what: &str| faults.push(format!("{name}: {what}"));
        let id = operation["operationId"].as_str().unwrap_or_default();
        if id.is_empty() || !ids.insert(id) {
            fault("no operationId of its own");
        }
        // where nobody wrote one, the document says the id
        if operation["summary"].as_str().is_none_or(|summary| summary.is_empty() || summary == id) {
            fault("no summary");
        }
        match operation["tags"].as_array().map(Vec::as_slice) {
            Some([tag]) if tags.contains(&tag) => {}
            _ => fault("not exactly one tag that is described"),
        }
        if operation["requestBody"].is_object() {
            let content = resolve(&document, &operation["requestBody"])["content"].as_object().unwrap();
            for (_, media) in content.iter().filter(|(kind, _)| kind.contains("json")) {
                if !has_example(&document, media) {
                    fault("no example of its request");
                }
            }
        }
        for (status, response) in operation["responses"].as_object().unwrap() {
            let response = resolve(&document, response);
            if response["description"].as_str().is_none_or(str::is_empty) {
                fault(&format!("{status} without description"));
            }
            let content = response["content"].as_object().into_iter().flatten();
            for (_, media) in content.filter(|(kind, _)| kind.contains("json")) {
                if !has_example(&document, media) {
                    fault(&format!("no example of its {status}"));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn every_route_of_the_slice_is_there() {
    let document = document();
    let present: Vec<String> = operations(&document).into_iter().map(|(name, _)| name).collect();
    let missing: Vec<&&str> = ROUTES.iter().filter(|route| !present.iter().any(|it| it == *route)).collect();
    assert!(missing.is_empty(), "{missing:?} of {present:#?}");
}
