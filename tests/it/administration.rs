//! Accounts as staff see them; what the operator does at the command line.

use std::process::{Command, Output};

use chrono::TimeDelta;
use futures_util::future::join_all;
use huntzen::platform::auth::Role;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sqlx::ConnectOptions;
use uuid::Uuid;

use crate::support::app::PASSWORD;
use crate::support::{Answer, TestApp, User, cluster, tools};

async fn log_in(app: &TestApp, user: &User) -> Answer {
    app.anonymous().post("/auth/login", json!({"email": user.email, "password": PASSWORD})).await
}

async fn audited(app: &TestApp, action: &str) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM app.audit_logs WHERE action = $1")
        .bind(action)
        .fetch_one(app.db())
        .await
        .unwrap()
}

fn ids(answer: &Answer) -> Vec<String> {
    answer.json["items"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn staff_list_accounts_by_role_status_company_and_address_and_see_no_secret() {
    let app = TestApp::start().await;
    let acme = app.company("Acme").await;
    let globex = app.company("Globex").await;
    let (alice, carol) = (app.employee(&acme).await, app.employee(&globex).await);
    let doctor = app.practitioner().await;
    let admin = app.platform_admin().await;
    admin.post(&format!("/admin/users/{}/suspend", carol.id), json!({})).await.expect(200);

    let all = admin.get("/admin/users").await.expect(200);
    assert_eq!(ids(&all).len(), 8);
    assert_eq!(ids(&all)[0], admin.id.to_string(), "newest first");
    let mut keys: Vec<_> = all.json["items"][1].as_object().unwrap().keys().cloned().collect();
    keys.sort();
    assert_eq!(keys, ["createdAt", "displayName", "email", "id", "locale", "role", "status", "totpEnabled"]);

    for (query, expected) in [
        ("role=practitioner".to_owned(), vec![&doctor]),
        ("status=suspended".to_owned(), vec![&carol]),
        (format!("companyId={}&role=employee", acme.id), vec![&alice]),
        (format!("q={}", alice.email[..36].to_uppercase()), vec![&alice]),
        ("q=%25".to_owned(), vec![]),
        ("q=_mployee".to_owned(), vec![]),
        (format!("companyId={}", Uuid::new_v4()), vec![]),
    ] {
        let found = ids(&admin.get(&format!("/admin/users?{query}")).await.expect(200));
        assert_eq!(found, expected.iter().map(|user| user.id.to_string()).collect::<Vec<_>>(), "{query}");
    }

    // page by page, each account once
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = admin.get(&format!("/admin/users?limit=3{cursor}")).await.expect(200);
        seen.extend(ids(&page));
        match page.json["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, ids(&all));
    admin.get("/admin/users?cursor=nonsense").await.refused(400, "invalid_cursor");
    admin.get("/admin/users?role=king").await.refused(400, "invalid_parameter");
    for other in [&alice, &acme.hr, &acme.admin, &doctor] {
        other.get("/admin/users").await.refused(403, "forbidden");
    }
    assert!(audited(&app, "user.listed").await >= 8);
    app.settle().await;
}

#[tokio::test]
async fn a_suspension_ends_everything_at_once_and_activation_gives_it_back() {
    let app = TestApp::start().await;
    let acme = app.company("Acme").await;
    let admin = app.platform_admin().await;
    for user in [app.employee(&acme).await, acme.hr.clone(), app.practitioner().await, app.platform_admin().await] {
        let opened = log_in(&app, &user).await.expect(200);
        let signed_in = user.with_token(opened.str("/accessToken"));
        for purpose in ["password_reset", "login_ticket"] {
            sqlx::query(
                "INSERT INTO app.one_time_tokens (id, purpose, hash, user_id, company_id, in_cookie, created_at, expires_at)
                 SELECT gen_random_uuid(), $2, sha256(($1 || $2)::bytea), id, company_id,
                        CASE $2 WHEN 'login_ticket' THEN false END, now(), now() + interval '1 hour'
                 FROM app.users WHERE id = $1::uuid",
            )
            .bind(user.id.to_string())
            .bind(purpose)
            .execute(app.db())
            .await
            .unwrap();
        }
        let path = format!("/admin/users/{}", user.id);
        for _ in 0..2 {
            let answer = admin.post(&format!("{path}/suspend"), json!({})).await.expect(200);
            assert_eq!(answer.json["status"], "suspended");
        }
        signed_in.get("/me").await.refused(401, "unauthenticated");
        let refresh = json!({"refreshToken": opened.str("/refreshToken")});
        app.anonymous().post("/auth/refresh", refresh).await.refused(401, "invalid_refresh_token");
        log_in(&app, &user).await.refused(403, "account_suspended");
        assert_eq!(app.count("SELECT count(*) FROM app.one_time_tokens WHERE used_at IS NULL").await, 0);

        for _ in 0..2 {
            let answer = admin.post(&format!("{path}/activate"), json!({})).await.expect(200);
            assert_eq!(answer.json["status"], "active");
        }
        signed_in.get("/me").await.refused(401, "unauthenticated");
        let again = log_in(&app, &user).await.expect(200);
        user.with_token(again.str("/accessToken")).get("/me").await.expect(200);
    }
    assert_eq!((audited(&app, "user.suspended").await, audited(&app, "user.activated").await), (4, 4));
    let nobody = format!("/admin/users/{}", Uuid::new_v4());
    admin.post(&format!("{nobody}/suspend"), json!({})).await.refused(404, "not_found");
    admin.post(&format!("{nobody}/activate"), json!({})).await.refused(404, "not_found");
    acme.hr.post(&format!("/admin/users/{}/suspend", acme.admin.id), json!({})).await.refused(401, "unauthenticated");
    app.settle().await;
}

#[tokio::test]
async fn an_invited_account_can_be_suspended_and_is_invited_again() {
    let app = TestApp::start().await;
    let admin = app.platform_admin().await;
    let body = json!({
        "email": "rosa@care.test", "displayName": "Rosa", "specialties": ["sleep"], "languages": ["fr"], "modes": ["video"],
        "timeZone": "Europe/Paris", "sessionLengths": [30], "hourlyRate": {"amount": 9000, "currency": "EUR"},
    });
    let member = admin.post("/practitioners", body).await.expect(201).str("/id");
    app.settle().await;
    let first = app.mails_to("rosa@care.test")[0].link_parameter("token");
    let suspended = admin.post(&format!("/admin/users/{member}/suspend"), json!({})).await.expect(200);
    assert_eq!(suspended.json["status"], "suspended");
    let accept = |token: String| {
        app.anonymous()
            .request(reqwest::Method::POST, "/auth/accept-invitation")
            .json(&json!({"token": token, "password": PASSWORD, "acceptTerms": true}))
    };
    Answer::of(accept(first.clone())).await.refused(410, "invalid_invitation");
    let invited = admin.post(&format!("/admin/users/{member}/activate"), json!({})).await.expect(200);
    assert_eq!(invited.json["status"], "invited");
    app.settle().await;
    let second = app.mails_to("rosa@care.test")[1].link_parameter("token");
    Answer::of(accept(first)).await.refused(410, "invalid_invitation");
    Answer::of(accept(second)).await.expect(200);
}

#[tokio::test]
async fn nobody_suspends_themselves_and_one_platform_admin_always_remains() {
    let app = TestApp::start().await;
    let one = app.platform_admin().await;
    one.post(&format!("/admin/users/{}/suspend", one.id), json!({})).await.refused(409, "own_account");
    for _ in 0..5 {
        let other = app.platform_admin().await;
        let (mine, theirs) = (format!("/admin/users/{}/suspend", one.id), format!("/admin/users/{}/suspend", other.id));
        // each suspends the other at the same moment
        let answers = join_all([other.post(&mine, json!({})), one.post(&theirs, json!({}))]).await;
        let done = answers.iter().filter(|answer| answer.status == 200).count();
        let active =
            app.count("SELECT count(*) FROM app.users WHERE role = 'platform_admin' AND status = 'active'").await;
        assert_eq!((done, active), (1, 1), "{answers:?}");
        let refused = answers.into_iter().find(|answer| answer.status != 200).unwrap();
        // too late: by the session, or by the rule
        assert!(
            ["unauthenticated", "last_platform_admin"].contains(&refused.str("/code").as_str()),
            "{}",
            refused.json
        );
        sqlx::query("UPDATE app.users SET status = CASE WHEN id = $1 THEN 'active' ELSE 'suspended' END")
            .bind(one.id)
            .execute(app.db())
            .await
            .unwrap();
        let token = app.session(one.id, Role::PlatformAdmin, None).await;
        let one = one.with_token(token);
        one.get("/admin/users").await.expect(200);
    }
}

/// The real program, with the settings of an installation.
struct Installation {
    options: sqlx::postgres::PgConnectOptions,
    folder: tempfile::TempDir,
}

impl Installation {
    async fn new() -> Self {
        Self { options: cluster::fresh_database().await, folder: tempfile::tempdir().unwrap() }
    }

    async fn run(&self, args: &[&str]) -> Output {
        let secret = cluster::template().await.config().database_roles_secret.expose_secret().to_owned();
        Command::new(env!("CARGO_BIN_EXE_huntzen"))
            .args(args)
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .env("DATABASE_URL", self.options.to_url_lossy().to_string())
            .env("DATABASE_ROLES_SECRET", secret)
            .env("DATA_DIR", self.folder.path())
            .output()
            .unwrap()
    }
}

fn said(output: &Output) -> (bool, String) {
    (
        output.status.success(),
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)),
    )
}

#[tokio::test]
async fn the_operator_makes_the_first_platform_admin_who_sets_their_own_password() {
    let app = TestApp::start().await;
    let place = Installation { options: app.options().clone(), folder: tempfile::tempdir().unwrap() };
    let create = ["admin", "create", "--email", " Root@Care.Example.ORG ", "--name", "Paz Vega", "--locale", "en"];
    let (done, words) = said(&place.run(&create).await);
    assert!(done, "{words}");
    assert!(words.contains("root@care.example.org") && words.contains("accept-invitation#token="), "{words}");
    let token = words.split("#token=").nth(1).unwrap().trim().to_owned();
    let stored: Vec<u8> = sqlx::query_scalar("SELECT hash FROM app.one_time_tokens").fetch_one(app.db()).await.unwrap();
    assert_eq!(stored.len(), 32);

    for (args, complaint) in [
        (vec!["admin", "create", "--email", "root"], "is not an address"),
        (vec!["admin", "create", "--email", "a@b.example", "--name", ""], "the name must have"),
        (vec!["admin", "create", "--email", "a@b.example", "--locale", "de"], "fr or en"),
        (vec!["admin", "create"], "--email"),
        (vec!["admin", "create", "--email", "a@b.example", "--password", "secret"], "--password"),
        (vec!["admin", "reset-two-factor", "root@care.example.org"], "no account with a second factor"),
    ] {
        let (done, words) = said(&place.run(&args).await);
        assert!(!done && words.contains(complaint), "{args:?}: {words}");
    }
    assert_eq!(app.count("SELECT count(*) FROM app.users").await, 1);
    assert_eq!(audited(&app, "user.created_by_operator").await, 1);

    // the link was lost: another one, and the one before opens nothing
    let (done, words) = said(&place.run(&["admin", "create", "--email", "ROOT@care.example.org"]).await);
    assert!(done && words.contains("The link before this one does not work any more."), "{words}");
    let old = json!({"token": token, "password": PASSWORD, "acceptTerms": true});
    app.anonymous().post("/auth/accept-invitation", old).await.refused(410, "invalid_invitation");
    let token = words.split("#token=").nth(1).unwrap().trim().to_owned();
    assert_eq!(app.count("SELECT count(*) FROM app.users WHERE display_name = 'Paz Vega'").await, 1, "as it was");
    assert_eq!(audited(&app, "user.invited_by_operator").await, 1);

    let body = json!({"token": token, "password": PASSWORD, "acceptTerms": true});
    let accepted = app.anonymous().post("/auth/accept-invitation", body.clone()).await.expect(200);
    assert_eq!(accepted.json["user"]["role"], "platform_admin");
    assert_eq!(
        (&accepted.json["user"]["displayName"], &accepted.json["user"]["locale"]),
        (&json!("Paz Vega"), &json!("en"))
    );
    app.anonymous().with_token(accepted.str("/accessToken")).get("/admin/users").await.expect(200);
    app.anonymous().post("/auth/accept-invitation", body).await.refused(410, "invalid_invitation");
    // who has accepted is nobody's to invite, nor is anybody else
    let alice = app.employee(&app.company("Acme").await).await;
    for email in ["root@care.example.org", alice.email.as_str()] {
        let (done, words) = said(&place.run(&["admin", "create", "--email", email]).await);
        assert!(!done && words.contains("has an account already"), "{words}");
    }
}

#[tokio::test]
async fn the_operator_takes_a_lost_second_factor_away_and_its_person_is_told() {
    let app = TestApp::start().await;
    let acme = app.company("Acme").await;
    let place = Installation { options: app.options().clone(), folder: tempfile::tempdir().unwrap() };
    for user in [app.employee(&acme).await, app.platform_admin().await] {
        let offer = user.post("/auth/totp/setup", json!({"password": PASSWORD})).await.expect(200);
        let at = app.clock.now().timestamp_millis().to_string();
        let code: Value = serde_json::from_str(&tools::run("totp.mjs", &[&at], offer.str("/uri").as_bytes())).unwrap();
        user.post("/auth/totp/enable", json!({"code": code["code"]})).await.expect(200);
        let waiting = log_in(&app, &user).await.expect(200).str("/ticket");

        let (done, words) = said(&place.run(&["admin", "reset-two-factor", &user.email.to_uppercase()]).await);
        assert!(done && words.contains(&user.email), "{words}");
        app.platform.sessions.refresh(&app.platform).await;
        user.get("/me").await.refused(401, "unauthenticated");
        let late = json!({"ticket": waiting, "code": "123456"});
        app.anonymous().post("/auth/login/totp", late).await.refused(401, "invalid_login_ticket");
        log_in(&app, &user).await.expect(200).str("/accessToken");
        app.settle().await;
        let told = app.mails_to(&user.email);
        assert!(told.iter().any(|mail| mail.text.as_deref().unwrap().contains("our support took")), "{told:?}");
    }
    assert_eq!(audited(&app, "two_factor.reset").await, 2);
    assert_eq!(app.count("SELECT count(*) FROM app.two_factor").await, 0);
}

#[tokio::test]
async fn no_runtime_role_may_do_what_the_operator_does() {
    let place = Installation::new().await;
    let db = sqlx::PgPool::connect_with(place.options.clone()).await.unwrap();
    let may: Vec<(String, String)> = sqlx::query_as(
        "SELECT r.rolname::text, p.proname::text FROM pg_proc p, pg_roles r
         WHERE p.proname IN ('create_platform_admin', 'reset_two_factor', 'publish_signing_key', 'withdraw_signing_key',
                             'list_sealed', 'replace_sealed') AND r.rolname LIKE 'huntzen\\_%'
           AND r.rolname NOT IN ('huntzen_kernel', 'huntzen_owner') AND has_function_privilege(r.oid, p.oid, 'EXECUTE')",
    )
    .fetch_all(&db)
    .await
    .unwrap();
    assert!(may.is_empty(), "{may:?}");
    db.close().await;
    cluster::drop_database(&place.options).await;
}

#[tokio::test]
async fn who_is_suspended_keeps_nobody_waiting() {
    let app = TestApp::start().await;
    let acme = app.company("Acme").await;
    let (alice, bob, doctor, admin) =
        (app.employee(&acme).await, app.employee(&acme).await, app.practitioner().await, app.platform_admin().await);
    let book = async |who: &User, days: i64| {
        let at = (app.clock.now() + TimeDelta::days(days)).date_naive().and_hms_opt(10, 0, 0).unwrap().and_utc();
        let wish = json!({"practitionerId": doctor.id, "startsAt": at, "durationMinutes": 30, "mode": "chat"});
        who.post("/consultations", wish).await.expect(201).str("/id")
    };
    let (hers, his) = (book(&alice, 3).await, book(&bob, 4).await);
    let status = async |id: &str| doctor.get(&format!("/consultations/{id}")).await.expect(200).str("/status");
    let set = async |who: &User, to: &str| {
        admin.post(&format!("/admin/users/{}/{to}", who.id), json!({})).await.expect(200);
    };
    // a mistake that is mended before anything followed from it: nobody works on jobs yet
    set(&bob, "suspend").await;
    set(&bob, "activate").await;
    set(&alice, "suspend").await;
    app.settle().await;
    assert_eq!((status(&hers).await, status(&his).await), ("cancelled".into(), "confirmed".into()));
    // both are told, and it is nobody's doing
    for person in [&alice, &doctor] {
        let mails = app.mails_to(&person.email);
        let cancelled = mails.iter().filter(|mail| mail.subject.contains("ancel") || mail.subject.contains("nnul"));
        assert_eq!(cancelled.count(), 1, "{}", person.email);
    }
    let named = "SELECT count(*) FROM app.audit_logs WHERE action = 'consultation.cancelled' AND actor_id IS NOT NULL";
    assert_eq!(app.count(named).await, 0);
    // twice is once
    set(&alice, "suspend").await;
    let heard = "SELECT count(*) FROM apalis.jobs WHERE convert_from(job, 'UTF8') LIKE '%employee_suspended%'";
    assert_eq!(app.count(heard).await, 2);
    set(&alice, "activate").await;
    let alice = alice.with_token(log_in(&app, &alice).await.expect(200).str("/accessToken"));
    let quota = alice.get("/me/quota").await.expect(200);
    assert_eq!(quota.json["used"], 0, "{}", quota.json);
}
