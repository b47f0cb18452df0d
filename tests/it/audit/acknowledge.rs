//! A break that is known and explained.

use chrono::TimeDelta;
use huntzen::platform::auth::Role;
use serde_json::{Value, json};

use super::chain::{Nightly, at, five, huntzen, tamper};
use crate::support::{TestApp, User};

async fn verification(app: &TestApp, staff: &User, company: &str) -> Value {
    let staff = staff.with_token(app.session(staff.id, Role::PlatformAdmin, None).await);
    let found = staff.get("/audit-logs/verification").await.expect(200).json;
    found["items"].as_array().unwrap().iter().find(|it| it["companyId"] == company).unwrap().clone()
}

async fn night(app: &TestApp) {
    app.clock.advance(TimeDelta::days(1));
    app.enqueue(&Nightly {}).await;
    app.settle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_break_that_is_known_alarms_no_more_and_another_one_does() {
    let app = TestApp::start().await;
    let (company, _) = five(&app).await;
    let staff = app.platform_admin().await;
    let id = company.id.to_string();
    let acknowledge =
        ["audit", "acknowledge", "--company", &id, "--by", "Paz Vega", "--reason", "Mended by hand after the outage"];
    let (done, _, error) = huntzen(&app, &acknowledge).await;
    assert!(!done && error.contains("nothing is wrong that is not known"), "{error}");

    tamper(&app, &format!("UPDATE app.audit_logs SET outcome = 'refused' WHERE id = {}", at(2))).await;
    night(&app).await;
    assert_eq!(app.mails_to(&staff.email).len(), 1);
    let (done, out, error) = huntzen(&app, &acknowledge).await;
    assert!(done && out.contains("changed at 2") && out.contains("1 noted as known by Paz Vega"), "{out}{error}");
    let (done, _, error) = huntzen(&app, &acknowledge).await;
    assert!(!done && error.contains("nothing is wrong that is not known"), "{error}");

    // neither the command nor the night complain any more, and nobody is made to believe that nothing ever happened
    let (done, out, _) = huntzen(&app, &["audit", "verify", "--company", &id]).await;
    assert!(done && out.contains("whole, but for 1 that are known"), "{out}");
    assert!(out.contains("1 known since ") && out.contains(" by Paz Vega: Mended by hand after the outage"), "{out}");
    night(&app).await;
    assert_eq!(app.mails_to(&staff.email).len(), 1);
    let found = verification(&app, &staff, &id).await;
    assert_eq!((&found["isWhole"], &found["findings"], &found["acknowledged"]), (&json!(false), &json!(0), &json!(1)));
    assert_eq!(found["acknowledgement"]["by"], "Paz Vega");
    assert_eq!(found["acknowledgement"]["reason"], "Mended by hand after the outage");
    assert_eq!(found["sequence"], 6, "it goes on, with the entry about it");
    let noted = "SELECT count(*) FROM app.audit_logs WHERE action = 'audit_log.break_acknowledged'
                 AND actor_role = 'operator' AND company_id IS NOT NULL AND details ->> 'count' = '1'
                 AND details ->> 'digest' ~ '^[0-9a-f]{40}$'";
    assert_eq!(app.count(noted).await, 1);
    let changed = sqlx::query("UPDATE app.audit_acknowledgements SET reason = 'another'").execute(app.db()).await;
    assert!(changed.is_err());

    // another break is another matter
    tamper(&app, &format!("DELETE FROM app.audit_logs WHERE id = {}", at(3))).await;
    let (done, out, _) = huntzen(&app, &["audit", "verify", "--company", &id]).await;
    assert!(!done && out.contains("removed at 3") && !out.contains("changed at 2"), "{out}");
    night(&app).await;
    assert_eq!(app.mails_to(&staff.email).len(), 2);
    let found = verification(&app, &staff, &id).await;
    assert_eq!((&found["findings"], &found["acknowledged"]), (&json!(1), &json!(1)));
    assert_eq!(found["firstFinding"]["fault"], "removed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tail_that_is_gone_is_known_from_then_on_and_the_chain_goes_on_from_where_it_stands() {
    let app = TestApp::start().await;
    let (company, _) = five(&app).await;
    let id = company.id.to_string();
    night(&app).await;
    let chain = format!("DELETE FROM app.audit_chain WHERE chain = '{id}' AND sequence = 5");
    let head = format!(
        "UPDATE app.audit_heads h SET sequence = 4, digest = c.digest FROM app.audit_chain c
         WHERE h.chain = '{id}' AND c.chain = h.chain AND c.sequence = 4"
    );
    tamper(&app, &format!("DELETE FROM app.audit_logs WHERE id = {}; {chain}; {head}", at(5))).await;
    let (done, out, error) = huntzen(
        &app,
        &[
            "audit",
            "acknowledge",
            "--company",
            &id,
            "--by",
            "Paz",
            "--reason",
            "A backup of the day before was restored",
        ],
    )
    .await;
    assert!(done && out.contains("truncated at 5"), "{out}{error}");
    night(&app).await;
    super::write_some(&app, &company, 2).await;
    night(&app).await;
    assert_eq!(app.count("SELECT count(*) FROM app.audit_verifications WHERE findings > 0").await, 0);
    for bad in [
        vec!["audit", "acknowledge", "--company", &id, "--by", "Paz"],
        vec!["audit", "acknowledge", "--company", &id, "--by", " ", "--reason", "none"],
        vec!["audit", "acknowledge", "--by", "Paz", "--reason", "none"],
    ] {
        let (done, _, error) = huntzen(&app, &bad).await;
        assert!(!done && error.contains("--"), "{bad:?}: {error}");
    }
}

/// Whoever may write past the triggers changes an entry and writes into the table of what is known.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_makes_a_break_known_but_by_an_entry_of_the_chain_and_an_anchor_shows_it_all_the_same() {
    let app = TestApp::start().await;
    let (company, _) = five(&app).await;
    let id = company.id.to_string();
    let (_, anchors, _) = huntzen(&app, &["audit", "anchor", "--company", &id]).await;
    let anchor = anchors.trim();
    let verify = ["audit", "verify", "--company", &id, "--expect", anchor];
    let (done, _, error) = huntzen(&app, &verify).await;
    assert!(done, "{error}");

    tamper(&app, &format!("UPDATE app.audit_logs SET outcome = 'refused' WHERE id = {}", at(2))).await;
    let forged = format!(
        "INSERT INTO app.audit_acknowledgements (chain, at, decided_by, reason, findings)
         SELECT '{id}', now(), 'Paz', 'An outage',
                jsonb_build_array(jsonb_build_object('fault', 'changed', 'sequence', 2, 'entryId', {}))",
        at(2)
    );
    tamper(&app, &forged).await;
    for args in [&verify[..], &verify[..4]] {
        let (done, out, _) = huntzen(&app, args).await;
        assert!(!done && out.contains("changed at 2"), "{out}");
    }
    // as the operator does it: known, and shown to whoever kept an anchor
    let acknowledge = ["audit", "acknowledge", "--company", &id, "--by", "Paz", "--reason", "An outage"];
    let (done, _, error) = huntzen(&app, &acknowledge).await;
    assert!(done, "{error}");
    let (done, out, _) = huntzen(&app, &verify[..4]).await;
    assert!(done && out.contains("1 known since "), "{out}");
    let (done, _, error) = huntzen(&app, &verify).await;
    assert!(!done && error.contains("1 known (--accept-known takes that as whole)"), "{error}");
    let (done, out, _) = huntzen(&app, &[&verify[..], &["--accept-known", "--json"]].concat()).await;
    assert!(done && out.contains(r#""by":"Paz""#) && out.contains(r#""reason":"An outage""#), "{out}");
}
