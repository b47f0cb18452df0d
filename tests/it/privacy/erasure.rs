//! The end of an account.

use huntzen::platform::db::DbRole;

use super::*;

#[tokio::test]
async fn an_erasure_needs_the_password_waits_seven_days_and_can_be_taken_back() {
    let mut it = life().await;
    it.alice.get("/privacy/erasure").await.refused(404, "not_found");
    it.alice.delete("/privacy/erasure").await.refused(404, "not_found");
    it.alice.post("/privacy/erasure", json!({"password": "another four words"})).await.refused(403, "wrong_password");
    it.app.clock.advance(TimeDelta::minutes(10));
    let asked = it.alice.post("/privacy/erasure", proof()).await.expect(202);
    assert_eq!(asked.str("/status"), "waiting");
    let wait = instant(&asked.str("/dueAt")) - instant(&asked.str("/askedAt"));
    assert_eq!(wait.num_seconds(), TimeDelta::days(7).num_seconds());
    // asked twice, it is one
    let again = it.alice.post("/privacy/erasure", proof()).await.expect(202);
    assert_eq!((again.str("/id"), again.str("/dueAt")), (asked.str("/id"), asked.str("/dueAt")));
    // whoever logs in sees it, and everything still works
    assert_eq!(it.alice.get("/me").await.expect(200).str("/erasureDueAt"), asked.str("/dueAt"));
    it.app.settle().await;
    let mails = it.app.mails_to(&it.alice.email);
    let mail = mails.iter().find(|mail| mail.subject == "Your account is to be erased").unwrap();
    // how it is taken back, without a link to a page that is not there
    let text = mail.text.as_deref().unwrap();
    assert!(text.contains("take it back once logged in") && !text.contains("://"), "{text}");
    let told = it.alice.get("/notifications").await.expect(200);
    assert!(told.text().contains("erasure_asked"), "{}", told.text());
    let receipt = it.alice.get("/privacy/erasure/receipt").await.expect(200);
    assert!(receipt.text().contains("journal") && receipt.header("content-disposition").contains("attachment"));
    assert!(!receipt.text().contains("privacy.receipt"), "{}", receipt.text());

    it.days_later(6).await;
    sweep(&it.app).await;
    it.alice.get("/journal").await.expect(200);
    it.alice.delete("/privacy/erasure").await.expect(204);
    it.alice.delete("/privacy/erasure").await.refused(404, "not_found");
    it.app.settle().await;
    let mails = it.app.mails_to(&it.alice.email);
    let mail = mails.iter().find(|mail| mail.subject == "Your account stays").unwrap();
    assert!(!mail.text.as_deref().unwrap().contains("://"), "{mail:?}");
    assert_eq!(it.alice.get("/privacy/erasure").await.expect(200).str("/status"), "withdrawn");
    assert_eq!(it.alice.get("/me").await.expect(200).json.get("erasureDueAt"), None);
    it.days_later(6).await;
    sweep(&it.app).await;
    assert_eq!(it.alice.get("/journal").await.expect(200).str("/items/0/body"), DIARY);
    assert_eq!(it.app.count("SELECT count(*) FROM app.erasure_ledger").await, 0);
}

#[tokio::test]
async fn who_has_a_second_factor_shows_a_code_of_it() {
    let it = life().await;
    let offer = it.alice.post("/auth/totp/setup", json!({"password": PASSWORD})).await.expect(200);
    let app = crate::two_factor::App::of(&offer, Vec::new());
    crate::two_factor::next_step(&it.app);
    it.alice.post("/auth/totp/enable", json!({"code": app.code(&it.app, 0)})).await.expect(200);
    it.alice.post("/privacy/erasure", proof()).await.refused(422, "invalid");
    crate::two_factor::next_step(&it.app);
    let with_code = |code: String| json!({"password": PASSWORD, "code": code});
    let wrong = it.alice.post("/privacy/erasure", with_code("000000".into())).await;
    assert_eq!(wrong.status, 403, "{}", wrong.text());
    it.app.clock.advance(TimeDelta::minutes(5));
    crate::two_factor::next_step(&it.app);
    it.alice.post("/privacy/erasure", with_code(app.code(&it.app, 0))).await.expect(202);
    it.app.settle().await;
}

#[tokio::test]
async fn an_erased_account_leaves_anonymous_facts_and_notes_that_their_author_reads() {
    let mut it = life().await;
    let later = book_on(&it.alice, &it.dr, in_days(&it.app, 20)).await.str("/id");
    it.alice
        .post("/privacy/consents", json!({"document": "news", "version": "2026-11", "decision": "accepted"}))
        .await
        .expect(200);
    it.app.settle().await;
    let before: i64 = it.app.count("SELECT count(*) FROM app.consultations").await;
    // her own mailbox hears all of it
    sqlx::query("UPDATE app.users SET private_address = true WHERE id = $1")
        .bind(it.alice.id)
        .execute(it.app.db())
        .await
        .unwrap();
    let old_token = it.alice.token.clone();
    it.erase().await;

    // nobody is signed in as her, nor can be
    it.alice.get("/me").await.refused(401, "unauthenticated");
    it.alice.with_token(old_token).get("/me").await.expect(401);
    let login = json!({"email": it.alice.email, "password": PASSWORD});
    it.app.anonymous().post("/auth/login", login).await.refused(401, "invalid_credentials");
    // what she was told
    let mut mails = it.app.mails_to(&it.alice.email).into_iter();
    let receipt = mails.find(|it| it.subject == "Your account has been erased").unwrap();
    let text = receipt.text.unwrap();
    assert!(text.contains("Your journal, with its keys: 1 entry.") && text.contains("until"), "{text}");
    for words in [DIARY, MESSAGE, REASON, NOTE, PAPER] {
        assert!(!text.contains(words));
    }
    // the practitioner keeps the note, and sees that something was written and erased
    assert_eq!(it.dr.get(&it.note).await.expect(200).str("/body"), NOTE);
    let talk = it.dr.get(&format!("/conversations/{}/messages", it.session)).await.expect(200);
    assert_eq!((talk.str("/items/0/content"), talk.json["items"][0].get("body")), ("erased".into(), None));
    let session = it.dr.get(&format!("/consultations/{}", it.session)).await.expect(200);
    assert!(session.text().contains("Deleted account") && !session.text().contains(REASON), "{}", session.text());
    assert_eq!(it.dr.get(&format!("/consultations/{later}")).await.expect(200).str("/status"), "cancelled");
    let cancelled = it.app.mails_to(&it.dr.email).pop().unwrap();
    assert!(cancelled.subject.to_lowercase().contains("cancel"), "{}", cancelled.subject);
    assert_eq!(it.app.count("SELECT count(*) FROM app.consultations").await, before);
    // and nothing says whose they were
    let account = it.text_of("SELECT to_jsonb(u)::text FROM app.users u WHERE id = $1").await;
    assert!(!account.contains(&it.alice.email) && account.contains("erased.invalid"), "{account}");
    for (what, query) in [
        ("directory", "SELECT count(*) FROM app.users WHERE erased_at IS NOT NULL AND employee_id IS NOT NULL"),
        ("journal", "SELECT count(*) FROM app.journal_entries"),
        ("journal keys", "SELECT count(*) FROM app.journal_keys"),
        ("keys", "SELECT count(*) FROM app.encryption_keys WHERE purpose <> 'note' AND wrapped IS NOT NULL"),
        ("reasons", "SELECT count(*) FROM app.consultation_reasons"),
        ("files", "SELECT count(*) FROM app.files WHERE state <> 'deleted'"),
        (
            "notifications",
            "SELECT count(*) FROM app.notifications n JOIN app.users u ON u.id = n.user_id WHERE u.erased_at IS NOT NULL",
        ),
        (
            "mails",
            "SELECT count(*) FROM app.email_log l JOIN app.users u ON u.id = l.recipient_user_id
             WHERE u.erased_at IS NOT NULL AND l.template NOT IN ('account_erasure', 'appointment_cancelled')",
        ),
        (
            "ways in",
            "SELECT count(*) FROM app.user_sessions s JOIN app.users u ON u.id = s.user_id WHERE u.erased_at IS NOT NULL",
        ),
    ] {
        let left: i64 = sqlx::query_scalar(query).fetch_one(it.app.db()).await.unwrap();
        assert_eq!(left, 0, "{what}");
    }
    assert_eq!(
        it.app.count("SELECT count(*) FROM app.encryption_keys WHERE purpose = 'note' AND wrapped IS NOT NULL").await,
        1
    );
    // the files themselves go
    it.app.enqueue(&huntzen::domain::files::jobs::CollectFiles {}).await;
    it.app.settle().await;
    assert_eq!(it.app.count("SELECT count(*) FROM app.files").await, 0);
    let ledger = it.text_of("SELECT to_jsonb(l)::text FROM app.erasure_ledger l WHERE user_id = $1").await;
    assert!(!ledger.contains('@') && ledger.contains("key_ids"), "{ledger}");
    // an erased account stays as it is
    let error = sqlx::query("UPDATE app.users SET display_name = 'Alice' WHERE id = $1")
        .bind(it.alice.id)
        .execute(it.app.db())
        .await;
    assert_eq!(error.unwrap_err().as_database_error().unwrap().constraint(), Some("users_append_only"));
    let staff = it.app.platform_admin().await;
    let answer = staff.post(&format!("/admin/users/{}/activate", it.alice.id), json!({})).await;
    answer.refused(409, "account_removed");
    // once more changes nothing
    sweep(&it.app).await;
    assert_eq!(it.app.count("SELECT count(*) FROM app.erasure_ledger").await, 1);
}

#[tokio::test]
async fn nothing_new_is_written_to_somebody_who_was_erased_or_is_just_being() {
    let (app, company, alice, dr) = scene().await;
    let bob = app.employee(&company).await;
    let mut talks = Vec::new();
    for user in [&alice, &bob] {
        // nothing was said in it: it has no key
        let session = crate::reviews::session(&app, user, &dr, "completed").await;
        talks.push(format!("/conversations/{session}"));
    }
    app.settle().await;
    alice.post("/privacy/erasure", proof()).await.expect(202);
    app.settle().await;
    app.clock.advance(TimeDelta::days(8));
    sweep(&app).await;
    let dr = dr.with_token(app.session(dr.id, Role::Practitioner, None).await);
    let words = || json!({"clientId": Uuid::new_v4(), "body": MESSAGE});
    dr.post(&format!("{}/messages", talks[0]), words()).await.refused(410, "conversation_erased");
    let form = Form::new().part("file", Part::bytes(pdf(90)).file_name(PAPER));
    let brought = dr.request(Method::POST, &format!("{}/attachments", talks[0])).multipart(form);
    Answer::of(brought).await.refused(410, "conversation_erased");
    dr.get(&format!("{}/messages", talks[0])).await.expect(200);

    // whoever writes while the keys go waits, and is told the same
    let mut erasing = app.db().begin().await.unwrap();
    sqlx::query("SELECT app.erase_person($1, now())").bind(bob.id).execute(&mut *erasing).await.unwrap();
    let path = format!("{}/messages", talks[1]);
    let (answer, ()) = tokio::join!(dr.post(&path, words()), async {
        app.until_one_waits().await;
        erasing.commit().await.unwrap();
    });
    answer.refused(410, "conversation_erased");
    let of_erased = "SELECT count(*) FROM app.encryption_keys k JOIN app.users u ON u.id = k.person_id
                     WHERE u.erased_at IS NOT NULL AND k.wrapped IS NOT NULL";
    assert_eq!((app.count(of_erased).await, app.count("SELECT count(*) FROM app.messages").await), (0, 0));
}

#[tokio::test]
async fn nothing_that_somebody_sends_while_they_are_erased_is_kept_under_a_new_key() {
    let (app, _, alice, dr) = scene().await;
    let session = crate::reviews::session(&app, &alice, &dr, "completed").await;
    app.settle().await;
    // they have no key of any kind, and are let in already
    assert_eq!(app.count("SELECT count(*) FROM app.encryption_keys").await, 0);
    let mut erasing = app.db().begin().await.unwrap();
    sqlx::query("SELECT app.erase_person($1, now())").bind(alice.id).execute(&mut *erasing).await.unwrap();
    let wraps = async {
        let mut wraps = crate::journal::private::formed(Uuid::new_v4(), 3);
        wraps["password"] = PASSWORD.into();
        Answer::of(alice.request(Method::PUT, "/journal/keys").header("if-match", "\"0\"").json(&wraps)).await
    };
    let picture = async {
        let form = Form::new().part("file", Part::bytes(crate::files::jpeg()).file_name("me.jpg"));
        Answer::of(alice.request(Method::PUT, "/me/avatar").multipart(form)).await
    };
    let review = format!("/consultations/{session}/review");
    let (entry, wraps, document, picture, review, ()) = tokio::join!(
        alice.post("/journal", json!({"body": DIARY, "mood": 4, "tags": []})),
        wraps,
        bring(&alice, pdf(300)),
        picture,
        alice.post(&review, json!({"rating": 4, "text": "A calm hour."})),
        async {
            app.until_waiting(5).await;
            erasing.commit().await.unwrap();
        }
    );
    entry.refused(410, "journal_erased");
    wraps.refused(410, "journal_erased");
    document.refused(410, "file_erased");
    picture.refused(410, "file_erased");
    review.refused(401, "unauthenticated");
    for table in ["encryption_keys", "journal_entries", "journal_keys", "files", "reviews"] {
        let rows = sqlx::AssertSqlSafe(format!("SELECT count(*) FROM app.{table}"));
        let rows: i64 = sqlx::query_scalar(rows).fetch_one(app.db()).await.unwrap();
        assert_eq!(rows, 0, "{table}");
    }
    app.settle().await;
}

#[tokio::test]
async fn what_was_kept_of_an_erased_person_all_the_same_goes_the_next_night() {
    let mut it = life().await;
    it.erase().await;
    let gone = it.app.practitioner().await;
    sqlx::query("SELECT app.erase_person($1, now())").bind(gone.id).execute(it.app.db()).await.unwrap();
    // as a release left it that kept new keys beside an erasure, and as bodies that came late
    let mut conn = it.app.db().acquire().await.unwrap();
    sqlx::raw_sql(
        "SET session_replication_role = replica;
         UPDATE app.encryption_keys SET wrapped = decode(repeat('00', 60), 'hex'), destroyed_at = NULL WHERE person_id IS NOT NULL;
         UPDATE app.files SET state = 'ready', sealed_key = decode(repeat('00', 78), 'hex'), deleted_at = NULL,
                              sealed_name = decode(repeat('00', 107), 'hex') WHERE purpose = 'document';
         INSERT INTO app.journal_keys (company_id, user_id, key_id, by_passphrase, by_recovery_code, created_at, updated_at)
             SELECT company_id, id, gen_random_uuid(), decode(repeat('00', 106), 'hex'), decode(repeat('00', 106), 'hex'), now(), now()
             FROM app.users WHERE erased_at IS NOT NULL AND role = 'employee';
         INSERT INTO app.reviews (id, company_id, consultation_id, user_id, practitioner_id, rating, sealed, written_at)
             SELECT gen_random_uuid(), company_id, id, user_id, practitioner_id, 4, decode('00', 'hex'), now() FROM app.consultations LIMIT 1;
         CREATE TEMPORARY TABLE gone AS
             SELECT p.id, gen_random_uuid() AS other FROM app.practitioners p JOIN app.users u ON u.id = p.id WHERE u.erased_at IS NOT NULL;
         INSERT INTO app.external_calendars (id, practitioner_id, place, label, url, host, next_read_at)
             SELECT other, id, 1, 'Home', decode('00', 'hex'), 'calendar.example.org', now() + interval '1 day' FROM gone;
         INSERT INTO app.external_busy_times (practitioner_id, calendar_id, starts_at, ends_at)
             SELECT id, other, now(), now() + interval '1 hour' FROM gone;
         INSERT INTO app.calendar_feeds (id, practitioner_id, place, label, hash)
             SELECT other, id, 1, 'Telephone', decode(repeat('00', 32), 'hex') FROM gone;
         INSERT INTO app.availability_rules (id, practitioner_id, weekday, starts_minute, ends_minute)
             SELECT other, id, 1, 540, 600 FROM gone;
         INSERT INTO app.availability_overrides (id, practitioner_id, kind, starts_at, ends_at)
             SELECT other, id, 'time_off', date_trunc('day', now()) + interval '9 days', date_trunc('day', now()) + interval '10 days' FROM gone;
         INSERT INTO app.articles (id, author_id, category) SELECT other, id, 'sleep' FROM gone;
         INSERT INTO app.article_translations (article_id, language, slug, title, summary, body)
             SELECT other, 'en', 'late', 'Late', 'Too late.', 'What nobody read.' FROM gone;
         INSERT INTO app.notification_preferences (user_id, kind, channel) SELECT id, 'reminder_day', 'email' FROM gone;
         UPDATE app.practitioners p SET display_name = 'Dr Late', bio_en = 'Late.' FROM gone WHERE p.id = gone.id;
         RESET session_replication_role;",
    )
    .execute(&mut *conn)
    .await
    .unwrap();
    drop(conn);
    let left = "SELECT (SELECT count(*) FROM app.encryption_keys WHERE wrapped IS NOT NULL AND purpose <> 'note')
                     + (SELECT count(*) FROM app.files) + (SELECT count(*) FROM app.journal_keys)
                     + (SELECT count(*) FROM app.reviews)
                     + (SELECT count(*) FROM app.external_calendars) + (SELECT count(*) FROM app.external_busy_times)
                     + (SELECT count(*) FROM app.calendar_feeds) + (SELECT count(*) FROM app.availability_overrides)
                     + (SELECT count(*) FROM app.articles) + (SELECT count(*) FROM app.article_translations)
                     + (SELECT count(*) FROM app.notification_preferences)
                     + (SELECT count(*) FROM app.availability_rules r JOIN app.users u ON u.id = r.practitioner_id
                        WHERE u.erased_at IS NOT NULL)
                     + (SELECT count(*) FROM app.practitioners WHERE display_name = 'Dr Late' OR bio_en = 'Late.')";
    let hours = "SELECT count(*) FROM app.availability_rules";
    let all_hours = it.app.count(hours).await;
    assert!(it.app.count(left).await >= 15, "{}", it.app.count(left).await);
    it.app.enqueue(&huntzen::domain::privacy::RemoveExpired {}).await;
    it.app.settle().await;
    it.app.enqueue(&huntzen::domain::files::jobs::CollectFiles {}).await;
    it.app.settle().await;
    assert_eq!(it.app.count(left).await, 0);
    // the note is its author's, as their hours are
    assert!(all_hours > 1);
    assert_eq!(it.app.count(hours).await, all_hours - 1);
    assert_eq!(it.dr.get(&it.note).await.expect(200).str("/body"), NOTE);
}

#[tokio::test]
async fn a_session_with_somebody_who_was_erased_is_cancelled_and_the_reason_is_not_kept() {
    let (app, _, alice, dr) = scene().await;
    let mut sessions = Vec::new();
    for (days, reason) in [(2, None), (3, Some(REASON))] {
        let starts = crate::consultations::free(&alice, &dr, in_days(&app, days)).await;
        let mut wish = crate::consultations::wish(&dr, &starts[0]);
        if let Some(reason) = reason {
            wish["reason"] = reason.into();
        }
        sessions.push(alice.post("/consultations", wish).await.expect(201).str("/id"));
    }
    app.settle().await;
    // one without a key, one whose key was destroyed
    sqlx::query("SELECT app.erase_person($1, now())").bind(alice.id).execute(app.db()).await.unwrap();
    for session in sessions {
        let path = format!("/consultations/{session}");
        let cancelled = dr.post(&format!("{path}/cancel"), json!({"reason": "She is ill, I heard."})).await.expect(200);
        assert_eq!(cancelled.str("/status"), "cancelled");
        let read = dr.get(&path).await.expect(200);
        assert!(!read.text().contains("She is ill"), "{}", read.text());
    }
    assert_eq!(app.count("SELECT count(*) FROM app.consultation_reasons").await, 0);
    assert_eq!(app.count("SELECT count(*) FROM app.encryption_keys WHERE wrapped IS NOT NULL").await, 0);
    app.settle().await;
}

#[tokio::test]
async fn notes_that_are_to_be_kept_for_longer_by_now_hold_the_erasure_of_their_author() {
    let mut it = life().await;
    it.dr.post("/privacy/erasure", proof()).await.refused(409, "erasure_records_kept");
    // a coach's, over since an hour; in a register of health professionals since, and no night has come yet
    let set = async |sql: &'static str| {
        let mut conn = it.app.db().acquire().await.unwrap();
        sqlx::raw_sql("SET session_replication_role = replica").execute(&mut *conn).await.unwrap();
        sqlx::raw_sql(sql).execute(&mut *conn).await.unwrap();
        sqlx::raw_sql("RESET session_replication_role").execute(&mut *conn).await.unwrap();
    };
    set("UPDATE app.clinical_notes SET profession = 'coaching', written_at = now() - interval '5 years 1 hour',
                                       retained_until = now() - interval '1 hour';
         DELETE FROM app.practitioner_specialties;
         UPDATE app.practitioners SET rpps = NULL, adeli = NULL, verified_checks = '{identity}'")
    .await;
    it.dr.post("/privacy/erasure", proof()).await.expect(202);
    it.app.settle().await;
    set("UPDATE app.practitioners SET adeli = '759300001'").await;
    it.days_later(8).await;
    sweep(&it.app).await;
    let answer = it.dr.get("/privacy/erasure").await.expect(200);
    assert_eq!((answer.str("/status"), answer.str("/reason")), ("refused".into(), "records_kept".into()));
    // nor does a line of the ledger take what they are kept by
    let replayed = "SELECT (app.replay_erasure(id, '{}', now())).outcome FROM app.users WHERE role = 'practitioner'";
    let replayed: String = sqlx::query_scalar(replayed).fetch_one(it.app.db()).await.unwrap();
    assert_eq!(replayed, "refused");
    assert_eq!(it.app.count("SELECT count(*) FROM app.practitioners WHERE adeli IS NOT NULL").await, 1);
    assert_eq!(it.dr.get(&it.note).await.expect(200).str("/body"), NOTE);
}

#[tokio::test]
async fn hr_learns_nothing_and_who_was_erased_can_be_invited_anew() {
    let mut it = life().await;
    let entry = it.text_of("SELECT employee_id::text FROM app.users WHERE id = $1").await;
    let path = format!("/employees/{entry}");
    let before = it.company.hr.get(&path).await.expect(200).json;
    it.erase().await;
    it.company.hr =
        it.company.hr.with_token(it.app.session(it.company.hr.id, Role::Hr, it.company.hr.company_id).await);
    assert_eq!(it.company.hr.get(&path).await.expect(200).json, before);
    // quotas of the company are as they were, and a new account begins anew
    it.company.hr.post(&format!("{path}/invite"), json!({})).await.expect(202);
    it.app.settle().await;
    let mail = it.app.mails_to(before["email"].as_str().unwrap()).pop().unwrap();
    let token = mail.text.unwrap().split("#token=").nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
    let body = json!({"token": token, "password": PASSWORD, "acceptTerms": true});
    let accepted = it.app.anonymous().post("/auth/accept-invitation", body).await.expect(200);
    assert_ne!(accepted.str("/user/id"), it.alice.id.to_string());
    let back = it.app.anonymous().with_token(accepted.str("/accessToken"));
    assert_eq!(back.get("/consultations").await.expect(200).json["items"], json!([]));
    assert_eq!(back.get("/journal").await.expect(200).json["items"], json!([]));
    it.app.settle().await;
}

#[tokio::test]
async fn a_practitioner_ends_their_sessions_first_and_keeps_their_records() {
    let (app, company, alice, dr) = scene().await;
    book_on(&alice, &dr, in_days(&app, 3)).await;
    app.settle().await;
    dr.post("/privacy/erasure", proof()).await.refused(409, "erasure_sessions_ahead");
    let session: Uuid = sqlx::query_scalar("SELECT id FROM app.consultations").fetch_one(app.db()).await.unwrap();
    dr.post(&format!("/consultations/{session}/cancel"), json!({"reason": "Leaving"})).await.expect(200);
    dr.post("/privacy/erasure", proof()).await.expect(202);
    app.settle().await;
    // somebody booked meanwhile, and the session is held: its note is to be kept
    let it = life_of((app, company, alice, dr)).await;
    let mut it = it;
    it.days_later(8).await;
    sweep(&it.app).await;
    let answer = it.dr.get("/privacy/erasure").await.expect(200);
    assert_eq!((answer.str("/status"), answer.str("/reason")), ("refused".into(), "records_kept".into()));
    assert_eq!(it.dr.get(&it.note).await.expect(200).str("/body"), NOTE);
    assert!(it.app.mails_to(&it.dr.email).iter().any(|mail| mail.subject == "Your account could not be erased"));
    it.dr.post("/privacy/erasure", proof()).await.refused(409, "erasure_records_kept");

    // one who keeps nothing goes
    let other = it.app.practitioner().await;
    other.post("/privacy/erasure", proof()).await.expect(202);
    it.app.settle().await;
    it.days_later(8).await;
    sweep(&it.app).await;
    let listed = it.alice.get("/practitioners").await.expect(200);
    assert!(!listed.text().contains(&other.id.to_string()), "{}", listed.text());
    other.get("/me").await.expect(401);
    assert_eq!(
        it.app.count("SELECT count(*) FROM app.practitioners WHERE adeli IS NULL AND display_name = '–'").await,
        1
    );
}

/// What is to be kept for twenty years is kept by somebody, or not written.
#[tokio::test]
async fn a_note_that_comes_as_the_erasure_of_its_author_begins_is_refused_or_holds_it() {
    let (app, _, alice, mut dr) = scene().await;
    let mut other = app.practitioner().await;
    let mut sessions = Vec::new();
    for author in [&dr, &other] {
        sessions.push(crate::reviews::session(&app, &alice, author, "completed").await);
        author.post("/privacy/erasure", proof()).await.expect(202);
    }
    app.settle().await;
    let due = app.clock.now() + TimeDelta::days(8);
    at(&app, due, [(&mut dr, Role::Practitioner), (&mut other, Role::Practitioner)]).await;

    // the erasure is first: the note waits for it, and is refused; so is one that comes while mails are sent
    let request: Uuid = sqlx::query_scalar("SELECT id FROM app.privacy_requests WHERE user_id = $1")
        .bind(dr.id)
        .fetch_one(app.db())
        .await
        .unwrap();
    let mut begins = app.as_role(DbRole::Worker, dr.id).await;
    sqlx::query("BEGIN").execute(&mut begins).await.unwrap();
    let begun: String = sqlx::query_scalar("SELECT app.begin_erasure($1, $2)")
        .bind(request)
        .bind(due)
        .fetch_one(&mut begins)
        .await
        .unwrap();
    assert_eq!(begun, "begun");
    let path = format!("/consultations/{}/notes", sessions[0]);
    let (answer, ()) = tokio::join!(dr.post(&path, json!({"format": "free", "body": NOTE})), async {
        app.until_one_waits().await;
        sqlx::query("COMMIT").execute(&mut begins).await.unwrap();
    });
    answer.refused(409, "note_author_left");
    assert_eq!(app.count("SELECT count(*) FROM app.clinical_notes").await, 0);
    let mut late = app.as_role(DbRole::Practitioner, dr.id).await;
    let error = write_note(&mut late, sessions[0]).await.unwrap_err();
    assert_eq!(error.as_database_error().unwrap().constraint(), Some("clinical_notes_author_left"));

    // the note is first
    let mut writes = app.as_role(DbRole::Practitioner, other.id).await;
    sqlx::query("BEGIN").execute(&mut writes).await.unwrap();
    assert!(write_note(&mut writes, sessions[1]).await.unwrap());
    app.enqueue(&SweepErasures {}).await;
    let committed = async {
        app.until_one_waits().await;
        sqlx::query("COMMIT").execute(&mut writes).await.unwrap();
    };
    tokio::join!(app.settle(), committed);
    let answer = other.get("/privacy/erasure").await.expect(200);
    assert_eq!((answer.str("/status"), answer.str("/reason")), ("refused".into(), "records_kept".into()));
    assert_eq!(app.count("SELECT count(*) FROM app.users WHERE erased_at IS NOT NULL").await, 1);
    let unread = "SELECT count(*) FROM app.clinical_notes n JOIN app.users u ON u.id = n.practitioner_id WHERE u.erased_at IS NOT NULL";
    assert_eq!((app.count(unread).await, app.count("SELECT count(*) FROM app.clinical_notes").await), (0, 1));
}

async fn write_note(conn: &mut sqlx::PgConnection, session: Uuid) -> sqlx::Result<bool> {
    sqlx::query_scalar(
        "SELECT app.write_note($1, gen_random_uuid(), 'free', decode(repeat('00', 200), 'hex'), gen_random_uuid(),
                               decode(repeat('00', 60), 'hex'), now())",
    )
    .bind(session)
    .fetch_one(conn)
    .await
}

#[tokio::test]
async fn the_last_admin_stays_and_of_two_one_goes() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    company.admin.post("/privacy/erasure", proof()).await.refused(409, "erasure_last_admin");
    let second = app.person(Role::CompanyAdmin, Some(company.id)).await;
    company.admin.post("/privacy/erasure", proof()).await.expect(202);
    second.post("/privacy/erasure", proof()).await.expect(202);
    app.settle().await;
    app.clock.advance(TimeDelta::days(8));
    sweep(&app).await;
    let outcomes: Vec<String> = sqlx::query_scalar("SELECT status FROM app.privacy_requests ORDER BY status")
        .fetch_all(app.db())
        .await
        .unwrap();
    assert_eq!(outcomes, ["done", "refused"]);
    assert_eq!(app.count("SELECT count(*) FROM app.users WHERE role = 'company_admin' AND status = 'active'").await, 1);
    let staff = app.platform_admin().await;
    staff.post("/privacy/erasure", proof()).await.refused(409, "erasure_last_admin");
    let hr = company.hr.with_token(app.session(company.hr.id, Role::Hr, Some(company.id)).await);
    hr.post("/privacy/erasure", proof()).await.expect(202);
    app.settle().await;
    app.clock.advance(TimeDelta::days(8));
    sweep(&app).await;
    assert_eq!(app.count("SELECT count(*) FROM app.users WHERE erased_at IS NOT NULL").await, 2);
}

#[tokio::test]
async fn taking_back_at_the_last_second_wins_or_is_told_that_it_is_too_late() {
    let mut it = life().await;
    it.alice.post("/privacy/erasure", proof()).await.expect(202);
    it.app.settle().await;
    it.days_later(8).await;
    // the worker is about to begin, and waits for whoever is taking it back
    let mut taking = it.app.as_role(DbRole::Employee, it.alice.id).await;
    sqlx::query("BEGIN").execute(&mut taking).await.unwrap();
    let outcome: String =
        sqlx::query_scalar("SELECT app.withdraw_erasure(now())").fetch_one(&mut taking).await.unwrap();
    assert_eq!(outcome, "withdrawn");
    it.app.enqueue(&SweepErasures {}).await;
    let settled = async {
        it.app.until_one_waits().await;
        sqlx::query("COMMIT").execute(&mut taking).await.unwrap();
    };
    tokio::join!(it.app.settle(), settled);
    assert_eq!(it.app.count("SELECT count(*) FROM app.users WHERE erased_at IS NOT NULL").await, 0);
    assert_eq!(it.alice.get("/journal").await.expect(200).str("/items/0/body"), DIARY);

    // once it has begun there is no way back
    it.alice.post("/privacy/erasure", proof()).await.expect(202);
    it.app.settle().await;
    let id: Uuid = sqlx::query_scalar("SELECT id FROM app.privacy_requests WHERE finished_at IS NULL")
        .fetch_one(it.app.db())
        .await
        .unwrap();
    let mut worker = it.app.as_role(DbRole::Worker, it.alice.id).await;
    let begun: String = sqlx::query_scalar("SELECT app.begin_erasure($1, now() + interval '40 days')")
        .bind(id)
        .fetch_one(&mut worker)
        .await
        .unwrap();
    assert_eq!(begun, "begun");
    let mut taking = it.app.as_role(DbRole::Employee, it.alice.id).await;
    let outcome: String =
        sqlx::query_scalar("SELECT app.withdraw_erasure(now())").fetch_one(&mut taking).await.unwrap();
    assert_eq!(outcome, "begun");
}

#[tokio::test]
async fn a_booking_that_comes_as_the_erasure_begins_is_cancelled_with_it_or_refused() {
    let mut it = life().await;
    it.alice.post("/privacy/erasure", proof()).await.expect(202);
    it.app.settle().await;
    it.days_later(8).await;
    // a booking that has looked at the account, and is not committed yet
    let mut booking = it.app.db().begin().await.unwrap();
    sqlx::query(NEXT_MONTH).execute(&mut *booking).await.unwrap();
    it.app.enqueue(&SweepErasures {}).await;
    let committed = async {
        it.app.until_one_waits().await;
        booking.commit().await.unwrap();
    };
    tokio::join!(it.app.settle(), committed);
    assert_eq!(it.app.count("SELECT count(*) FROM app.users WHERE erased_at IS NOT NULL").await, 1);
    assert_eq!(
        it.app.count("SELECT count(*) FROM app.consultations WHERE status IN ('pending', 'confirmed')").await,
        0
    );
    // and one that comes later is refused by the database itself
    let error = sqlx::query(NEXT_MONTH).execute(it.app.db()).await.unwrap_err();
    assert_eq!(error.as_database_error().unwrap().constraint(), Some("consultations_employee_active"));
}

/// What was booked, a month later.
const NEXT_MONTH: &str =
    "INSERT INTO app.consultations (id, company_id, user_id, practitioner_id, mode, status, starts_at, ends_at, busy_from,
                                    busy_until, specialty, agreed_at)
     SELECT gen_random_uuid(), company_id, user_id, practitioner_id, mode, 'confirmed', starts_at + interval '30 days',
            ends_at + interval '30 days', busy_from + interval '30 days', busy_until + interval '30 days', specialty, now()
     FROM app.consultations WHERE status = 'completed' LIMIT 1";

/// By which line of the receipt a table's rows of somebody who was erased are said to be kept.
const SAID: &[(&str, &str)] = &[
    ("users", "ledger"),
    ("erasure_ledger", "ledger"),
    ("employees", "directory"),
    ("consultations", "consultations"),
    ("conversations", "consultations"),
    ("messages", "messages"),
    ("message_receipts", "messages"),
    ("unread_conversations", "messages"),
    ("call_sessions", "calls"),
    ("call_parties", "calls"),
    ("clinical_notes", "notes"),
    ("encryption_keys", "keys"),
    ("audit_logs", "audit"),
    ("consents", "consents"),
    ("privacy_requests", "request"),
    // until their objects are collected, within the hour
    ("files", "ledger"),
];

#[tokio::test]
async fn whatever_is_left_of_somebody_is_on_their_receipt_with_its_end_in_both_languages() {
    let mut it = life().await;
    it.alice
        .post("/privacy/consents", json!({"document": "news", "version": "2026-11", "decision": "accepted"}))
        .await
        .expect(200);
    // a call that was missed
    sqlx::query(
        "INSERT INTO app.call_sessions (id, company_id, consultation_id, user_id, practitioner_id, number, caller, rang_at, rings_until, closes_at)
         SELECT gen_random_uuid(), company_id, id, user_id, practitioner_id, 1, 'employee', starts_at, starts_at + interval '45 seconds', ends_at
         FROM app.consultations",
    )
    .execute(it.app.db())
    .await
    .unwrap();
    it.alice.post("/privacy/erasure", proof()).await.expect(202);
    let entry = it.text_of("SELECT employee_id::text FROM app.users WHERE id = $1").await;
    let read = async |language: &str| {
        let request = it.alice.request(Method::GET, "/privacy/erasure").header("accept-language", language);
        Answer::of(request).await.expect(200).json["receipt"]["kept"].as_array().unwrap().clone()
    };
    let (fr, en) = (read("fr").await, read("en").await);
    let whats: Vec<_> = en.iter().map(|line| line["what"].as_str().unwrap().to_owned()).collect();
    for (fr, en) in fr.iter().zip(&en) {
        assert_ne!(fr["text"], en["text"]);
        for line in [fr, en] {
            let (text, until) = (line["text"].as_str().unwrap(), line["until"].as_str());
            assert!(!text.contains("%{") && !text.starts_with("privacy."), "{text}");
            // an end that is known is said
            assert!(until.is_none_or(|until| text.contains(&until[..4])), "{line}");
        }
    }
    it.app.settle().await;
    it.days_later(8).await;
    sweep(&it.app).await;
    let columns: Vec<(String, String)> = sqlx::query_as(
        "SELECT c.relname::text, a.attname::text FROM pg_class c
         JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'app' JOIN pg_attribute a ON a.attrelid = c.oid
         WHERE c.relkind = 'r' AND NOT a.attisdropped AND a.attnum > 0 AND a.atttypid = 'uuid'::regtype",
    )
    .fetch_all(it.app.db())
    .await
    .unwrap();
    let mut left = Vec::new();
    for (table, column) in columns {
        let sql = format!("SELECT EXISTS (SELECT FROM app.{table} WHERE {column} = ANY (ARRAY[$1, $2]))");
        let there: bool = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
            .bind(it.alice.id)
            .bind(entry.parse::<Uuid>().unwrap())
            .fetch_one(it.app.db())
            .await
            .unwrap();
        if there && !left.contains(&table) {
            left.push(table);
        }
    }
    assert!(left.len() >= 8, "{left:?}");
    for table in left {
        let said = SAID.iter().find(|it| it.0 == table);
        let what = said.unwrap_or_else(|| panic!("{table}: what is left there is on no line of the receipt")).1;
        assert!(whats.iter().any(|it| it == what), "{table} is left, and the receipt lacks {what}: {whats:?}");
    }
}
