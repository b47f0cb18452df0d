//! Writing, finding, changing; the trend.

use chrono::{Days, TimeDelta};
use futures_util::future::join_all;

use super::*;

#[tokio::test]
async fn an_empty_journal_says_so() {
    let diary = diary().await;
    assert_eq!(diary.read("").await.json, json!({"items": []}));
    assert_eq!(diary.read("?tag=sleep&mood=3").await.json, json!({"items": []}));
    let trend = diary.read("/trend").await;
    assert_eq!((&trend.json["items"], &trend.json["privateEntries"]), (&json!([]), &json!(0)));
    assert_eq!(trend.json["period"], "week");
    let keys = diary.read("/keys").await;
    assert_eq!(keys.json, json!({"isSet": false, "content": "text", "version": 0}));
}

#[tokio::test]
async fn a_person_writes_and_finds_again_what_they_wrote() {
    let diary = diary().await;
    let written = diary.write(json!({"body": "Slept well. 👍🏽", "mood": 4, "tags": [" Sleep ", "work", "SLEEP"]})).await;
    let written = written.expect(201);
    assert_eq!((&written.json["mood"], &written.json["tags"]), (&json!(4), &json!(["Sleep", "work"])));
    assert_eq!((&written.json["sealed"], &written.json["content"]), (&json!(false), &json!("text")));
    // in Paris, where she is
    let today = diary.app.clock.now().with_timezone(&chrono_tz::Europe::Paris).date_naive();
    assert_eq!(written.str("/date"), today.to_string());
    let path = format!("/journal/{}", written.str("/id"));
    let read = diary.alice.get(&path).await.expect(200);
    assert_eq!((&read.json, read.header("etag")), (&written.json, written.header("etag")));
    let known = diary.alice.request(Method::GET, &path).header("if-none-match", read.header("etag"));
    assert_eq!(Answer::of(known).await.status, 304);

    diary.note("first", "2026-01-05", 2, &["work"]).await;
    diary.note("second", "2026-01-07", 3, &["family", "Été"]).await;
    diary.note("third", "2026-02-01", 2, &[]).await;
    assert_eq!(bodies(&diary.read("").await), ["Slept well. 👍🏽", "third", "second", "first"]);
    for (query, expected) in [
        ("?from=2026-01-07&to=2026-02-01", vec!["third", "second"]),
        ("?to=2026-01-05", vec!["first"]),
        ("?tag=WORK", vec!["Slept well. 👍🏽", "first"]),
        ("?tag=%C3%A9t%C3%A9", vec!["second"]),
        ("?tag=wor", vec![]),
        ("?mood=2", vec!["third", "first"]),
        ("?mood=2&tag=work", vec!["first"]),
        ("?mood=2&from=2026-01-06", vec!["third"]),
    ] {
        assert_eq!(bodies(&diary.read(query).await), expected, "{query}");
    }
    // page by page, whether or not entries have to be opened to be found
    for n in 0..7 {
        diary.note(&format!("n{n}"), "2026-03-01", 5, &["many"]).await;
    }
    for filter in ["", "&mood=5", "&tag=many"] {
        let (mut found, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = diary.read(&format!("?from=2026-03-01&to=2026-03-01&limit=3{filter}{cursor}")).await;
            found.extend(bodies(&page));
            match page.json.get("nextCursor") {
                Some(next) => cursor = format!("&cursor={}", next.as_str().unwrap()),
                None => break,
            }
        }
        found.sort();
        assert_eq!(found, (0..7).map(|n| format!("n{n}")).collect::<Vec<_>>(), "{filter}");
    }
    // writing for oneself leaves no trace of when
    assert_eq!(diary.app.count("SELECT count(*) FROM app.audit_logs WHERE action LIKE 'journal%'").await, 0);
    diary.app.settle().await;
}

#[tokio::test]
async fn of_two_changes_at_once_one_wins_and_what_is_deleted_is_gone() {
    let diary = diary().await;
    let written = diary.note("first", "2026-01-05", 2, &["work"]).await;
    let path = format!("/journal/{}", written.str("/id"));
    let etag = written.header("etag");
    let body = |n: i32| json!({"body": format!("writer {n}"), "mood": 3});
    let answers = join_all((0..5).map(|n| conditional(&diary.alice, Method::PUT, &path, etag, Some(body(n))))).await;
    let (won, lost): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
    assert_eq!(won.len(), 1);
    assert!(lost.iter().all(|answer| answer.status == 412 && answer.json["code"] == "stale"));
    let read = diary.alice.get(&path).await.expect(200);
    assert_eq!((&read.json["body"], &read.json["version"]), (&won[0].json["body"], &json!(2)));
    // a day that is not said stays, tags that are not said go
    assert_eq!((&read.json["date"], &read.json["tags"]), (&json!("2026-01-05"), &json!([])));
    Answer::of(diary.alice.request(Method::PUT, &path).json(&body(9))).await.refused(428, "precondition_required");
    Answer::of(diary.alice.request(Method::DELETE, &path)).await.refused(428, "precondition_required");
    conditional(&diary.alice, Method::PUT, &path, "*", Some(body(7))).await.refused(428, "precondition_required");
    conditional(&diary.alice, Method::DELETE, &path, etag, None).await.refused(412, "stale");
    conditional(&diary.alice, Method::DELETE, &path, read.header("etag"), None).await.expect(204);
    diary.alice.get(&path).await.refused(404, "not_found");
    conditional(&diary.alice, Method::PUT, &path, etag, Some(body(1))).await.refused(404, "not_found");
    assert_eq!(diary.app.count("SELECT count(*) FROM app.journal_entries").await, 0);
    // the database takes no change that does not know the version
    diary.note("again", "2026-01-05", 2, &[]).await;
    for change in
        ["UPDATE app.journal_entries SET day = '2026-01-01'", "UPDATE app.journal_entries SET version = version + 2"]
    {
        let error = sqlx::query(change).execute(diary.app.db()).await.unwrap_err();
        assert_eq!(error.as_database_error().unwrap().constraint().unwrap(), "journal_entries_version_order");
    }
}

#[tokio::test]
async fn an_entry_that_is_sent_again_is_written_once() {
    let diary = diary().await;
    let send = |body: Value| {
        let request = diary.alice.request(Method::POST, "/journal").header("idempotency-key", "of-today");
        Answer::of(request.json(&body))
    };
    let answers = join_all((0..4).map(|_| send(json!({"body": "Once.", "mood": 1})))).await;
    let first = answers[0].json["id"].clone();
    for answer in answers {
        assert_eq!(answer.expect(201).json["id"], first);
    }
    assert_eq!(diary.app.count("SELECT count(*) FROM app.journal_entries").await, 1);
    assert_eq!(diary.app.count("SELECT count(*) FROM app.encryption_keys").await, 1);
    send(json!({"body": "Twice.", "mood": 1})).await.refused(422, "idempotency_mismatch");
}

#[tokio::test]
async fn the_trend_tells_moods_by_week_and_by_month() {
    let diary = diary().await;
    let today = diary.app.clock.now().date_naive();
    for (days, mood) in [(0, 5), (7, 4), (7, 1), (30, 2), (400, 1)] {
        let day = today - Days::new(days);
        diary.write(json!({"body": "x", "mood": mood, "date": day})).await.expect(201);
    }
    let weeks = diary.read("/trend").await;
    let items = weeks.json["items"].as_array().unwrap();
    let sum = |items: &[Value]| items.iter().map(|it| it["entries"].as_i64().unwrap()).sum::<i64>();
    assert_eq!(sum(items), 4, "{}", weeks.json);
    let last_week = items.iter().find(|it| it["entries"] == 2).unwrap();
    assert_eq!(
        (&last_week["average"], &last_week["lowest"], &last_week["highest"]),
        (&json!(2.5), &json!(1), &json!(4))
    );
    assert!(items.is_sorted_by_key(|it| it["from"].as_str().unwrap().to_owned()));
    let all = diary.read(&format!("/trend?period=month&from={}", today - Days::new(500))).await;
    assert_eq!(sum(all.json["items"].as_array().unwrap()), 5);
    let (from, to) = (all.str("/items/0/from"), all.str("/items/0/to"));
    assert!(from.ends_with("-01") && to > from);
    for (query, pointer, code) in [
        (format!("?from={today}&to={}", today - Days::new(1)), "query:to", "order"),
        ("?from=2000-01-01&to=2020-01-01".to_owned(), "query:from", "journal_span"),
    ] {
        let refused = diary.alice.get(&format!("/journal/trend{query}")).await.refused(422, "invalid");
        assert_eq!(
            (&refused.json["errors"][0]["pointer"], &refused.json["errors"][0]["code"]),
            (&json!(pointer), &json!(code))
        );
    }
}

#[tokio::test]
async fn what_does_not_fit_is_refused_with_its_place() {
    let diary = diary().await;
    let tomorrow = diary.app.clock.now() + TimeDelta::days(3);
    for (body, pointer, code) in [
        (json!({"mood": 3}), "/body", "required"),
        (json!({"body": "", "mood": 3}), "/body", "min_length"),
        (json!({"body": " ", "mood": 3}), "/body", "pattern"),
        (json!({"body": "x".repeat(20_001), "mood": 3}), "/body", "max_length"),
        (json!({"body": "x"}), "/mood", "required"),
        (json!({"body": "x", "mood": 0}), "/mood", "minimum"),
        (json!({"body": "x", "mood": 6}), "/mood", "maximum"),
        (json!({"body": "x", "mood": "good"}), "/mood", "type"),
        (json!({"body": "x", "mood": 3, "tags": ["ok", " "]}), "/tags/1", "journal_tag"),
        (json!({"body": "x", "mood": 3, "tags": ["x".repeat(41)]}), "/tags/0", "journal_tag"),
        (
            json!({"body": "x", "mood": 3, "tags": ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11"]}),
            "/tags",
            "max_items",
        ),
        (json!({"body": "x", "mood": 3, "date": "2026-02-30"}), "/date", "format"),
        (json!({"body": "x", "mood": 3, "date": tomorrow.date_naive()}), "/date", "journal_day"),
        (json!({"body": "x", "mood": 3, "date": "1899-12-31"}), "/date", "journal_day"),
        (json!({"body": "x", "mood": 3, "weather": "rain"}), "/weather", "unknown_property"),
    ] {
        let refused = diary.write(body.clone()).await.refused(422, "invalid");
        let errors = refused.json["errors"].as_array().unwrap();
        assert!(
            errors.iter().any(|it| it["pointer"] == pointer && it["code"] == code),
            "{code} at {pointer}: {}",
            refused.json
        );
    }
    for query in ["?mood=6", "?mood=x", "?tag=", "?from=x", "?limit=0", "?cursor=x"] {
        assert_eq!(diary.alice.get(&format!("/journal{query}")).await.status, 400, "{query}");
    }
    diary.alice.get("/journal?from=2026-02-01&to=2026-01-01").await.refused(422, "invalid");
    diary.alice.get("/journal/none").await.refused(400, "invalid_parameter");
    let words = diary.alice.request(Method::POST, "/journal").header("accept-language", "fr");
    let words = Answer::of(words.json(&json!({"body": "x", "mood": 3, "tags": [""]}))).await;
    assert_eq!(words.str("/errors/0/detail"), "Une étiquette a de 1 à 40 caractères.");
    assert_eq!(diary.app.count("SELECT count(*) FROM app.journal_entries").await, 0);
}

#[tokio::test]
async fn a_journal_has_an_end() {
    let diary = diary().await;
    diary.note("the first", "2026-01-05", 2, &[]).await;
    sqlx::query(
        "INSERT INTO app.journal_entries (id, company_id, user_id, day, sealed, facts, created_at, updated_at)
         SELECT gen_random_uuid(), company_id, user_id, day, sealed, facts, created_at, updated_at
         FROM app.journal_entries, generate_series(1, 4998)",
    )
    .execute(diary.app.db())
    .await
    .unwrap();
    let last = diary.note("the last", "2026-01-06", 2, &["last"]).await;
    diary.write(json!({"body": "one more", "mood": 3})).await.refused(409, "journal_full");
    // searching all of it still finds what is there
    assert_eq!(bodies(&diary.read("?tag=last").await), ["the last"]);
    let path = format!("/journal/{}", last.str("/id"));
    conditional(&diary.alice, Method::DELETE, &path, last.header("etag"), None).await.expect(204);
    diary.write(json!({"body": "instead", "mood": 3})).await.expect(201);
}

#[tokio::test]
async fn days_beyond_all_calendars_are_refused() {
    let diary = diary().await;
    for day in ["-9999-01-01", "-262143-01-01", "%2B262142-12-31", "0001-01-01", "2200-01-01"] {
        for name in ["from", "to"] {
            for path in ["/journal?", "/journal/trend?", "/journal/trend?period=month&"] {
                let refused = diary.alice.get(&format!("{path}{name}={day}")).await.refused(422, "invalid");
                let fault = &refused.json["errors"][0];
                assert_eq!((&fault["pointer"], &fault["code"]), (&json!(format!("query:{name}")), &json!("date")));
            }
        }
    }
    diary.alice.get("/journal/trend?from=2190-01-01&to=2199-12-31").await.expect(200);
}
