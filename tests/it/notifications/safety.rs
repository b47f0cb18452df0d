//! What touches the safety of an account is in everybody's list.

use chrono::TimeDelta;
use huntzen::domain::identity::safety::{AccountTouched, Touched};
use huntzen::domain::notifications::model::Kind;

use super::*;
use crate::support::app::PASSWORD;
use crate::two_factor;

#[tokio::test]
async fn a_changed_password_and_a_second_factor_are_told_whatever_the_role() {
    let (app, company, alice, dr) = scene().await;
    let staff = app.platform_admin().await;
    let people = [
        (&alice, Role::Employee),
        (&dr, Role::Practitioner),
        (&company.hr, Role::Hr),
        (&company.admin, Role::CompanyAdmin),
        (&staff, Role::PlatformAdmin),
    ];
    for (user, role) in people {
        two_factor::enabled(&app, user).await;
        // told in the order in which the queue hears of it
        app.settle().await;
        let change = json!({"currentPassword": PASSWORD, "newPassword": "seven calm herons wade"});
        user.post("/auth/change-password", change).await.expect(204);
        app.settle().await;
        // that ended every session
        let again = user.with_token(app.session(user.id, role, user.company_id).await);
        let list = again.get("/notifications").await.expect(200);
        let kinds = list.json["items"].as_array().unwrap().iter().map(|it| it["kind"].as_str().unwrap());
        // their jobs run beside each other
        let kinds: std::collections::BTreeSet<_> = kinds.collect();
        assert_eq!(kinds.into_iter().collect::<Vec<_>>(), ["password_changed", "two_factor_changed"], "{role:?}");
        for it in list.json["items"].as_array().unwrap() {
            assert_eq!((&it["objectType"], &it["objectId"]), (&json!("account"), &json!(user.id)), "{role:?}");
        }
    }
}

#[tokio::test]
async fn each_of_these_is_told_once_in_words_of_its_own() {
    let (app, _, alice, _) = scene().await;
    let at = app.clock.now();
    let all = [
        (Touched::Password, Kind::PasswordChanged),
        (Touched::Email, Kind::EmailChanged),
        (Touched::TwoFactor, Kind::TwoFactorChanged),
        (Touched::Session, Kind::SessionEnded),
    ];
    for (what, _) in all {
        for _ in 0..3 {
            app.enqueue_for(&AccountTouched { user_id: alice.id, what, at }, alice.company_id, None).await;
        }
    }
    // the same happens again
    let later = AccountTouched { user_id: alice.id, what: Touched::Session, at: at + TimeDelta::seconds(1) };
    app.enqueue_for(&later, alice.company_id, None).await;
    app.settle().await;
    let mut told: Vec<_> = kinds(&alice).await.into_iter().map(|kind| kind.as_str().unwrap().to_owned()).collect();
    told.sort();
    let mut expected: Vec<_> = all.iter().map(|(_, kind)| kind.as_str()).chain(["session_ended"]).collect();
    expected.sort_unstable();
    assert_eq!(told, expected);
    let mut words = super::all(&alice, "text").await;
    words.dedup();
    assert!(
        words.len() >= 4 && words.iter().all(|text| text.as_str().is_some_and(|text| text.ends_with('.'))),
        "{words:?}"
    );
}
