//! Names of accounts: one line that can be read, so that no mail is lost and nobody is taken for another.

use serde_json::json;

use super::OTHER;
use crate::support::TestApp;
use crate::support::app::PASSWORD;

/// Too little, and what turns or hides the text around it.
const REFUSED: [&str; 6] = [" ", "\n\t", "\u{a0}", "\u{202e}ecilA", "Al\u{200b}ice", "Alice\u{7}"];

#[tokio::test]
async fn a_name_with_a_line_break_silences_no_warning() {
    let app = TestApp::start().await;
    let admin = app.platform_admin().await;
    let changed = admin.patch("/me", json!({"displayName": " Alice\r\nBcc: all@firm.test\n"})).await.expect(200);
    assert_eq!(changed.str("/displayName"), "Alice Bcc: all@firm.test");
    let body = json!({"currentPassword": PASSWORD, "newPassword": OTHER});
    admin.post("/auth/change-password", body).await.expect(204);
    app.settle().await;
    let told = app.mails_to(&admin.email);
    assert_eq!(told[0].subject, "Your password was changed");
    assert_eq!(told[0].to, std::slice::from_ref(&admin.email));
    assert_eq!(app.count("SELECT count(*) FROM app.email_log WHERE status = 'failed'").await, 0);
}

#[tokio::test]
async fn a_name_that_cannot_be_read_is_refused_wherever_it_comes_from() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let new = json!({"email": "erin@acme.test", "firstName": "Erin", "lastName": "Roux"});
    company.hr.post("/employees", new).await.expect(201);
    app.settle().await;
    let token = app.mails_to("erin@acme.test")[0].link_parameter("token");
    for name in REFUSED {
        let changed = company.admin.patch("/me", json!({"displayName": name})).await.refused(422, "invalid");
        let accept = json!({"token": token, "password": PASSWORD, "acceptTerms": true, "displayName": name});
        let accepted = app.anonymous().post("/auth/accept-invitation", accept).await.refused(422, "invalid");
        let member = json!({"email": "new@acme.test", "displayName": name, "role": "hr"});
        let invited = company.admin.post(&format!("/companies/{}/members", company.id.0), member).await;
        for answer in [changed, accepted, invited.refused(422, "invalid")] {
            assert_eq!(answer.str("/errors/0/pointer"), "/displayName", "{name:?}");
            assert_eq!(answer.str("/errors/0/code"), "text", "{name:?}");
        }
        // whatever the program forgets
        let broken = sqlx::query("UPDATE app.users SET display_name = $1 WHERE id = $2")
            .bind(name)
            .bind(company.admin.id)
            .execute(app.db())
            .await
            .unwrap_err();
        let constraint = broken.as_database_error().unwrap().constraint();
        assert_eq!(constraint, Some("users_display_name_readable"), "{name:?}");
    }
    let accept = json!({"token": token, "password": PASSWORD, "acceptTerms": true, "displayName": " Erin\n"});
    let session = app.anonymous().post("/auth/accept-invitation", accept).await.expect(200);
    assert_eq!(session.str("/user/displayName"), "Erin");
}

#[tokio::test]
async fn an_entry_of_the_directory_becomes_an_account_whatever_its_name() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    for (n, (first, last)) in
        [("a".repeat(100), "b".repeat(100)), ("Ana\u{202e}".into(), "Sil\nva".into()), ("\u{200b}".into(), " ".into())]
            .into_iter()
            .enumerate()
    {
        let address = format!("n{n}@acme.test");
        let new = json!({"email": address, "firstName": "Erin", "lastName": "Roux"});
        let id = company.hr.post("/employees", new).await.expect(201).str("/id");
        app.settle().await;
        // as it may have been written before the rules of today
        sqlx::query("UPDATE app.employees SET first_name = $1, last_name = $2 WHERE id = $3::uuid")
            .bind(first)
            .bind(last)
            .bind(id)
            .execute(app.db())
            .await
            .unwrap();
        let token = app.mails_to(&address)[0].link_parameter("token");
        let accept = json!({"token": token, "password": PASSWORD, "acceptTerms": true});
        let session = app.anonymous().post("/auth/accept-invitation", accept).await.expect(200);
        let name = session.str("/user/displayName");
        assert_eq!(name, [format!("{} {}", "a".repeat(100), "b".repeat(99)), "Ana Sil va".into(), "–".into()][n]);
    }
}
