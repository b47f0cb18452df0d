//! Writing, saving, finalising, adding.

use chrono::{DateTime, Datelike, TimeDelta};
use futures_util::future::join_all;

use super::*;

#[tokio::test]
async fn a_practitioner_writes_a_note_and_reads_it_again() {
    let care = care().await;
    assert_eq!(care.dr.get(&care.path()).await.expect(200).json, json!({"items": []}));
    let written = care.write(soap()).await.expect(201);
    assert_eq!(written.json["body"], soap()["body"]);
    for (member, value) in [
        ("consultationId", json!(care.session)),
        ("format", json!("soap")),
        ("status", json!("draft")),
        ("version", json!(1)),
        ("content", json!("text")),
        ("addenda", json!([])),
    ] {
        assert_eq!(written.json[member], value, "{member}");
    }
    let path = format!("/notes/{}", written.str("/id"));
    let read = care.dr.get(&path).await.expect(200);
    assert_eq!((&read.json, read.header("etag")), (&written.json, written.header("etag")));
    let known = care.dr.request(Method::GET, &path).header("if-none-match", read.header("etag"));
    assert_eq!(Answer::of(known).await.status, 304);
    // parts that are left out are empty
    let short = care.write(json!({"format": "soap", "body": {"plan": "Rest."}})).await.expect(201);
    assert_eq!(short.json["body"], json!({"subjective": "", "objective": "", "assessment": "", "plan": "Rest."}));
    let (_, free) = care.free("Une séance calme. 👍🏽").await;
    assert_eq!(free.json["body"], "Une séance calme. 👍🏽");
    let mut listed = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = care.dr.get(&format!("{}?limit=2{cursor}", care.path())).await.expect(200);
        assert!(!page.text().contains("calme") && !page.text().contains("Rest."), "a list shows no words");
        listed.extend(page.json["items"].as_array().unwrap().iter().map(|it| it["id"].clone()));
        match page.json.get("nextCursor") {
            Some(next) => cursor = format!("&cursor={}", next.as_str().unwrap()),
            None => break,
        }
    }
    assert_eq!(listed.len(), 3);
    assert!([&written, &short, &free].iter().all(|it| listed.contains(&it.json["id"])));
    care.app.settle().await;
}

#[tokio::test]
async fn a_note_is_written_from_the_beginning_of_its_session_on() {
    let (app, company, mut alice, mut dr) = scene().await;
    let booked = book_on(&alice, &dr, in_days(&app, 1)).await;
    let path = format!("/consultations/{}/notes", booked.str("/id"));
    for (language, title) in [("en", "The session has not begun"), ("fr", "La séance n’a pas commencé")] {
        let early = dr.request(Method::POST, &path).header("accept-language", language).json(&free("Too early."));
        assert_eq!(Answer::of(early).await.refused(409, "session_not_begun").str("/title"), title);
    }
    let other = book_on(&alice, &dr, in_days(&app, 2)).await.str("/id");
    alice.post(&format!("/consultations/{other}/cancel"), json!({})).await.expect(200);
    dr.post(&format!("/consultations/{other}/notes"), free("Cancelled.")).await.refused(409, "session_not_begun");
    app.settle().await;
    at(&app, instant(&booked.str("/startsAt")), [(&mut alice, Role::Employee), (&mut dr, Role::Practitioner)]).await;
    let act = format!("/consultations/{}", booked.str("/id"));
    dr.post(&format!("{act}/start"), json!({})).await.expect(200);
    dr.post(&path, free("In it.")).await.expect(201);
    dr.post(&format!("{act}/end"), json!({})).await.expect(200);
    dr.post(&path, free("After it.")).await.expect(201);
    // a session that nobody came to is noted as well
    let missed = book_on(&alice, &dr, in_days(&app, 1)).await;
    app.settle().await;
    let late = instant(&missed.str("/startsAt")) + TimeDelta::minutes(20);
    at(&app, late, [(&mut alice, Role::Employee), (&mut dr, Role::Practitioner)]).await;
    dr.post(&format!("/consultations/{}/no-show", missed.str("/id")), json!({})).await.expect(200);
    dr.post(&format!("/consultations/{}/notes", missed.str("/id")), free("Did not come.")).await.expect(201);
    let _ = company;
    app.settle().await;
}

#[tokio::test]
async fn every_text_that_was_saved_is_kept_as_a_version() {
    let care = care().await;
    let (path, mut last) = care.free("one").await;
    for (n, body) in [free("two"), soap(), free("four")].into_iter().enumerate() {
        last = save(&care.dr, &path, last.header("etag"), body.clone()).await.expect(200);
        assert_eq!((&last.json["version"], &last.json["body"]), (&json!(n + 2), &body["body"]));
    }
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = care.dr.get(&format!("{path}/versions?limit=3{cursor}")).await.expect(200);
        found.extend(page.json["items"].as_array().unwrap().clone());
        match page.json.get("nextCursor") {
            Some(next) => cursor = format!("&cursor={}", next.as_str().unwrap()),
            None => break,
        }
    }
    let said: Vec<_> = found.iter().map(|it| (it["version"].clone(), it["body"].clone())).collect();
    let expected = [(4, json!("four")), (3, soap()["body"].clone()), (2, json!("two")), (1, json!("one"))];
    assert_eq!(said, expected.map(|(version, body)| (json!(version), body)));
    assert_eq!(found[1]["format"], "soap");
    // the database changes and removes none of them
    for change in [
        "UPDATE app.clinical_note_versions SET created_at = now()",
        "DELETE FROM app.clinical_note_versions",
        "TRUNCATE app.clinical_note_versions",
    ] {
        let error = sqlx::query(change).execute(care.app.db()).await.unwrap_err();
        let constraint = error.as_database_error().unwrap().constraint().unwrap().to_owned();
        assert_eq!(constraint, "clinical_note_versions_append_only", "{change}");
    }
    let error = sqlx::query("DELETE FROM app.clinical_notes").execute(care.app.db()).await.unwrap_err();
    assert!(error.as_database_error().unwrap().constraint().is_some());
    care.app.settle().await;
}

#[tokio::test]
async fn of_two_saves_at_once_one_wins_and_the_other_overwrites_nothing() {
    let care = care().await;
    let (path, first) = care.free("first").await;
    let etag = first.header("etag");
    let answers = join_all((0..6).map(|n| save(&care.dr, &path, etag, free(&format!("writer {n}"))))).await;
    let (won, lost): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
    assert_eq!(won.len(), 1);
    for answer in lost {
        assert_eq!((answer.status.as_u16(), &answer.json["code"]), (412, &json!("stale")));
        assert_eq!(answer.json["version"], 2, "the version that is there now");
    }
    let read = care.dr.get(&path).await.expect(200);
    assert_eq!(read.json["body"], won[0].json["body"]);
    assert_eq!(care.app.count("SELECT count(*) FROM app.clinical_note_versions").await, 2);
    // with what was read anew it goes on
    let again = save(&care.dr, &path, read.header("etag"), free("both")).await.expect(200);
    assert_eq!(again.json["version"], 3);
    // which version is never left unsaid
    let unsaid = Answer::of(care.dr.request(Method::PUT, &path).json(&free("blind"))).await;
    let unsaid = unsaid.refused(428, "precondition_required");
    assert_eq!(unsaid.json["errors"][0]["pointer"], "header:If-Match");
    for any in ["*", "\"0\", *"] {
        save(&care.dr, &path, any, free("whatever is there")).await.refused(428, "precondition_required");
    }
    save(&care.dr, &path, etag, free("from a week ago")).await.refused(412, "stale");
    save(&care.dr, &path, "\"nonsense\"", free("?")).await.refused(412, "stale");
    care.app.settle().await;
}

#[tokio::test]
async fn a_save_and_the_finalising_of_another_text_do_not_meet() {
    let care = care().await;
    for round in 0..4 {
        let (path, first) = care.free("as it was").await;
        let etag = first.header("etag");
        let finalize = format!("{path}/finalize");
        let (saved, finalized) = tokio::join!(
            save(&care.dr, &path, etag, free("another text")),
            conditional(&care.dr, Method::POST, &finalize, etag, None)
        );
        let codes = [saved.status.as_u16(), finalized.status.as_u16()];
        let read = care.dr.get(&path).await.expect(200);
        let known = (read.json["status"].clone(), read.json["body"].clone());
        match codes {
            [200, 412] => assert_eq!(known, (json!("draft"), json!("another text")), "{round}"),
            [412 | 409, 200] => assert_eq!(known, (json!("finalized"), json!("as it was")), "{round}"),
            other => panic!("{other:?}"),
        }
    }
    care.app.settle().await;
}

#[tokio::test]
async fn a_final_note_is_read_only_and_amended_by_addenda() {
    let care = care().await;
    let (path, draft) = care.free("The session.").await;
    let addenda = format!("{path}/addenda");
    let add = |text: &str| care.dr.post(&addenda, json!({"body": text}));
    add("Too early").await.refused(409, "note_not_finalized");
    let finalize = format!("{path}/finalize");
    conditional(&care.dr, Method::POST, &finalize, "\"0\"", None).await.refused(412, "stale");
    let done = conditional(&care.dr, Method::POST, &finalize, draft.header("etag"), None).await.expect(200);
    assert_eq!((&done.json["status"], &done.json["version"]), (&json!("finalized"), &json!(1)));
    assert!(done.json["finalizedAt"].is_string());
    save(&care.dr, &path, done.header("etag"), free("Changed")).await.refused(409, "note_finalized");
    conditional(&care.dr, Method::POST, &finalize, done.header("etag"), None).await.refused(409, "note_finalized");
    // which text it is that becomes final for good is never left unsaid
    let (other, before) = care.free("Another one.").await;
    let changed = save(&care.dr, &other, before.header("etag"), free("Seen by nobody else")).await.expect(200);
    let finalize = format!("{other}/finalize");
    care.dr.post(&finalize, json!({})).await.refused(428, "precondition_required");
    for (known, status, code) in [("*", 428, "precondition_required"), (before.header("etag"), 412, "stale")] {
        conditional(&care.dr, Method::POST, &finalize, known, None).await.refused(status, code);
    }
    conditional(&care.dr, Method::POST, &finalize, changed.header("etag"), None).await.expect(200);
    let one = add("By telephone: better.").await.expect(201);
    assert_eq!((&one.json["version"], &one.json["body"]), (&json!(2), &json!("The session.")));
    // at the same moment from two devices: both are there
    let (two, three) = tokio::join!(add("From one"), add("From the other"));
    two.expect(201);
    three.expect(201);
    let read = care.dr.get(&path).await.expect(200);
    let added = read.json["addenda"].as_array().unwrap();
    assert_eq!(added.iter().map(|it| it["version"].clone()).collect::<Vec<_>>(), [json!(2), json!(3), json!(4)]);
    assert_eq!(added[0]["body"], "By telephone: better.");
    let versions = care.dr.get(&format!("{path}/versions")).await.expect(200);
    assert_eq!(
        (&versions.json["items"][3]["kind"], &versions.json["items"][0]["kind"]),
        (&json!("text"), &json!("addendum"))
    );
    // sent again under its key it is there once
    let again = || {
        let request = care.dr.request(Method::POST, &format!("{path}/addenda")).header("idempotency-key", "one");
        Answer::of(request.json(&json!({"body": "Once."})))
    };
    assert_eq!(again().await.expect(201).json["version"], 5);
    assert_eq!(again().await.expect(201).json["version"], 5);
    // the database says the same by itself
    for (change, constraint) in [
        (
            "UPDATE app.clinical_notes SET status = 'draft', finalized_at = NULL, addenda = 0",
            "clinical_notes_read_only",
        ),
        ("UPDATE app.clinical_notes SET text_version = 2", "clinical_notes_read_only"),
        ("UPDATE app.clinical_notes SET version = version + 2", "clinical_notes_version_order"),
        ("UPDATE app.clinical_notes SET practitioner_id = practitioner_id", "clinical_notes_append_only"),
        (
            "INSERT INTO app.clinical_note_versions
             SELECT company_id, note_id, practitioner_id, 6, 'text', 'free', sealed, created_at
             FROM app.clinical_note_versions WHERE version = 1",
            "clinical_notes_read_only",
        ),
    ] {
        let error = sqlx::query(change).execute(care.app.db()).await.unwrap_err();
        assert_eq!(error.as_database_error().unwrap().constraint().unwrap(), constraint, "{change}");
    }
    care.app.settle().await;
}

#[tokio::test]
async fn a_note_that_is_sent_again_is_written_once() {
    let care = care().await;
    let send = |body: Value| {
        let request = care.dr.request(Method::POST, &care.path()).header("idempotency-key", "note-of-today");
        Answer::of(request.json(&body))
    };
    let answers = join_all((0..4).map(|_| send(free("Once, please.")))).await;
    let first = answers[0].json["id"].clone();
    for answer in answers {
        let answer = answer.expect(201);
        assert_eq!((&answer.json["id"], &answer.json["body"]), (&first, &json!("Once, please.")));
    }
    assert_eq!(care.app.count("SELECT count(*) FROM app.clinical_notes").await, 1);
    send(free("Another.")).await.refused(422, "idempotency_mismatch");
    care.app.settle().await;
}

#[tokio::test]
async fn a_note_is_kept_for_the_time_that_the_table_says() {
    let care = care().await;
    let (path, draft) = care.free("The session.").await;
    let years = |answer: &Answer, at: &str| {
        let until: DateTime<chrono::Utc> = instant(&answer.str("/retainedUntil"));
        until.year() - instant(&answer.str(at)).year()
    };
    assert_eq!(years(&draft, "/createdAt"), 20);
    care.app.clock.advance(TimeDelta::minutes(3));
    let done = conditional(&care.dr, Method::POST, &format!("{path}/finalize"), draft.header("etag"), None).await;
    let done = done.expect(200);
    let later = instant(&done.str("/retainedUntil")) - instant(&draft.str("/retainedUntil"));
    assert_eq!(later.num_minutes(), 3);
    let set = async |sql: &'static str| {
        let mut conn = care.app.db().acquire().await.unwrap();
        sqlx::raw_sql("SET session_replication_role = replica").execute(&mut *conn).await.unwrap();
        sqlx::query(sql).execute(&mut *conn).await.unwrap();
        sqlx::raw_sql("RESET session_replication_role").execute(&mut *conn).await.unwrap();
    };
    // a psychologist keeps what they write for their profession, whatever the session was booked as
    set("UPDATE app.consultations SET specialty = 'coaching'").await;
    let (_, coached) = care.free("Coaching by a psychologist.").await;
    assert_eq!(years(&coached, "/createdAt"), 20);
    // who is in no register and works in another field as well, for the longer of the two
    set("UPDATE app.practitioners SET adeli = NULL, rpps = NULL, verified_checks = '{identity}'").await;
    set("UPDATE app.practitioner_specialties SET specialty = 'sleep'").await;
    let (_, both) = care.free("Coaching by somebody for sleep.").await;
    assert_eq!(years(&both, "/createdAt"), 20);
    // coaching alone is no care in the sense of the law
    set("UPDATE app.practitioner_specialties SET specialty = 'coaching'").await;
    let (coaching, other) = care.free("Coaching.").await;
    assert_eq!(years(&other, "/createdAt"), 5);
    // what was once promised is not shortened
    sqlx::query("UPDATE app.retention_rules SET years = 1 WHERE record = 'clinical_note'")
        .execute(care.app.db())
        .await
        .unwrap();
    let added = care.dr.post(&format!("{path}/addenda"), json!({"body": "Later."})).await.expect(201);
    assert_eq!(added.json["retainedUntil"], done.json["retainedUntil"]);
    // a rule in days is one as well; what becomes longer moves what there is, and is no change of it
    let before = care.dr.get(&coaching).await.expect(200);
    sqlx::query("UPDATE app.retention_rules SET years = NULL, days = 3653 WHERE profession = 'coaching'")
        .execute(care.app.db())
        .await
        .unwrap();
    let after = care.dr.get(&coaching).await.expect(200);
    let kept = |answer: &Answer| instant(&answer.str("/retainedUntil")) - instant(&answer.str("/createdAt"));
    assert_eq!(kept(&after).num_days(), 3653);
    assert_eq!((before.header("etag"), &before.json["updatedAt"]), (after.header("etag"), &after.json["updatedAt"]));
    let (_, third) = care.free("Coaching, by days.").await;
    assert_eq!(kept(&third).num_days(), 3653);
    // one that was to go tonight, and whose author is in a register by now, stays
    set("UPDATE app.clinical_notes SET retained_until = now() - interval '1 day', written_at = now() - interval '11 years'").await;
    set("UPDATE app.practitioners SET adeli = '759300001'").await;
    sqlx::query(
        "UPDATE app.retention_rules SET years = 20, days = NULL WHERE record = 'clinical_note' AND profession = 'any'",
    )
    .execute(care.app.db())
    .await
    .unwrap();
    set("UPDATE app.clinical_notes SET retained_until = now() - interval '1 day'").await;
    let there = care.app.count("SELECT count(*) FROM app.clinical_notes").await;
    // nor does one that makes room take another along that nobody looked at
    let gone = care.app.count("SELECT app.remove_expired('clinical_note', now(), 1, 30)").await;
    assert_eq!((gone, care.app.count("SELECT count(*) FROM app.clinical_notes").await), (0, there));
    set("UPDATE app.clinical_notes SET retained_until = now() - interval '1 day'").await;
    care.app.enqueue(&huntzen::domain::privacy::RemoveExpired {}).await;
    care.app.settle().await;
    assert_eq!(care.app.count("SELECT count(*) FROM app.clinical_notes").await, there);
    assert!(instant(&care.dr.get(&coaching).await.expect(200).str("/retainedUntil")) > care.app.clock.now());
    care.app.settle().await;
}

#[tokio::test]
async fn what_does_not_fit_is_refused_with_its_place() {
    let care = care().await;
    let long = "x".repeat(20_001);
    let part = "x".repeat(5_001);
    for (body, pointer, code) in [
        (json!({"format": "free", "body": ""}), "/body", "min_length"),
        (json!({"format": "free", "body": " \n "}), "/body", "pattern"),
        (json!({"format": "free", "body": long}), "/body", "max_length"),
        (json!({"format": "free", "body": {"plan": "x"}}), "/body", "free_is_text"),
        (json!({"format": "soap", "body": "x"}), "/body", "soap_is_parts"),
        (json!({"format": "soap", "body": {}}), "/body", "empty_note"),
        (json!({"format": "soap", "body": {"plan": " "}}), "/body", "empty_note"),
        (json!({"format": "soap", "body": {"plan": part}}), "/body/plan", "max_length"),
        (json!({"format": "soap", "body": {"plan": 1}}), "/body/plan", "type"),
        (json!({"format": "soap", "body": {"prognosis": "x"}}), "/body/prognosis", "unknown_property"),
        (json!({"format": "poem", "body": "x"}), "/format", "enum"),
        (json!({"format": "free"}), "/body", "required"),
        (json!({"body": "x"}), "/format", "required"),
        (json!({"format": "free", "body": 7}), "/body", "type"),
        (json!({"format": "free", "body": "a\u{0}b"}), "/body", "nul_character"),
    ] {
        let refused = care.write(body.clone()).await.refused(422, "invalid");
        let errors = refused.json["errors"].as_array().unwrap();
        assert!(
            errors.iter().any(|it| it["pointer"] == pointer && it["code"] == code),
            "{code} at {pointer}: {}",
            refused.json
        );
    }
    care.free(&"é".repeat(20_000)).await;
    let (path, _) = care.finalized("The session.").await;
    for body in [json!({"body": ""}), json!({"body": "x".repeat(5_001)}), json!({}), json!({"body": "x", "more": 1})] {
        care.dr.post(&format!("{path}/addenda"), body).await.refused(422, "invalid");
    }
    for query in ["?limit=0", "?limit=101", "?cursor=x"] {
        assert_eq!(care.dr.get(&format!("{path}/versions{query}")).await.status, 400, "{query}");
    }
    care.app.settle().await;
}

#[tokio::test]
async fn there_is_an_end_to_notes_versions_and_addenda() {
    let care = care().await;
    let (path, done) = care.finalized("The session.").await;
    for n in 0..50 {
        care.dr.post(&format!("{path}/addenda"), json!({"body": format!("{n}")})).await.expect(201);
    }
    care.dr.post(&format!("{path}/addenda"), json!({"body": "one more"})).await.refused(409, "note_full");
    assert_eq!(care.dr.get(&path).await.expect(200).json["addenda"].as_array().unwrap().len(), 50);
    for _ in 1..20 {
        care.free("another").await;
    }
    care.write(free("one more")).await.refused(409, "too_many_notes");
    let _ = done;
    care.app.settle().await;
}

#[tokio::test]
async fn who_left_reads_and_exports_all_they_wrote_about_somebody_and_writes_no_more() {
    let care = care().await;
    let (final_note, done) = care.finalized("The first session.").await;
    care.dr.post(&format!("{final_note}/addenda"), json!({"body": "Added later."})).await.expect(201);
    let (draft, written) = care.free("The second one.").await;
    let path = format!("/consultations/{}/client-notes", care.session);
    // another practitioner's session with the same person is not theirs to export
    let other = care.app.practitioner().await;
    other.get(&path).await.refused(404, "not_found");
    for user in [&care.alice, &care.app.platform_admin().await] {
        user.get(&path).await.refused(403, "forbidden");
    }
    sqlx::query("UPDATE app.practitioners SET status = 'inactive' WHERE id = $1")
        .bind(care.dr.id)
        .execute(care.app.db())
        .await
        .unwrap();
    // nothing is written any more, by any path
    care.write(json!({"format": "free", "body": "A new one."})).await.refused(409, "note_author_left");
    let body = json!({"format": "free", "body": "Another text."});
    conditional(&care.dr, Method::PUT, &draft, written.header("etag"), Some(body))
        .await
        .refused(409, "note_author_left");
    conditional(&care.dr, Method::POST, &format!("{draft}/finalize"), written.header("etag"), None)
        .await
        .refused(409, "note_author_left");
    care.dr.post(&format!("{final_note}/addenda"), json!({"body": "More."})).await.refused(409, "note_author_left");
    let fr = care.dr.request(Method::POST, &format!("{final_note}/addenda")).header("accept-language", "fr");
    assert!(Answer::of(fr.json(&json!({"body": "More."}))).await.str("/detail").contains("désactivé"));
    // what there is, is read one by one, and exported a page at a time
    assert_eq!(care.dr.get(&final_note).await.expect(200).str("/body"), "The first session.");
    let first = care.dr.get(&format!("{path}?limit=1")).await.expect(200);
    assert_eq!(first.str("/items/0/body"), "The second one.");
    let next = care.dr.get(&format!("{path}?limit=1&cursor={}", first.str("/nextCursor"))).await.expect(200);
    assert_eq!(
        (next.str("/items/0/body"), next.str("/items/0/addenda/0/body")),
        ("The first session.".into(), "Added later.".into())
    );
    assert!(next.json["nextCursor"].is_null());
    assert_eq!(next.str("/items/0/createdAt"), done.str("/createdAt"));
    // the person sees that it was
    let log = care.alice.get("/privacy/access-log").await.expect(200);
    assert_eq!(log.text().matches("note.exported").count(), 2, "{}", log.text());
    // who comes back writes again
    sqlx::query("UPDATE app.practitioners SET status = 'active' WHERE id = $1")
        .bind(care.dr.id)
        .execute(care.app.db())
        .await
        .unwrap();
    care.free("Back again.").await;
    care.app.settle().await;
}
