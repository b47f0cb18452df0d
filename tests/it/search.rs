//! One question over practitioners and articles: what is found, in which order, and that what somebody may not see changes
//! neither order nor count.

use huntzen::domain::practitioners::BY_RATING;
use huntzen::domain::search;
use huntzen::platform::db::DbRole;
use serde_json::{Value, json};
use sqlx::Connection;
use uuid::Uuid;

use crate::support::{Company, TestApp, User};

async fn doctor(app: &TestApp, name: &str, bio: &str) -> User {
    let dr = app.practitioner().await;
    sqlx::query("UPDATE app.practitioners SET display_name = $2, bio_fr = $3 WHERE id = $1")
        .bind(dr.id)
        .bind(name)
        .bind(bio)
        .execute(app.db())
        .await
        .unwrap();
    dr
}

/// An article in French and English: title, summary and body of each.
async fn article(app: &TestApp, status: &str, category: &str, tags: &[&str], texts: [(&str, &str, &str); 2]) -> Uuid {
    let id: Uuid = app.platform.new_id();
    sqlx::query(
        "INSERT INTO app.articles (id, status, category, tags, published_at)
         VALUES ($1, $2, $3, $4, CASE $2 WHEN 'published' THEN now() END)",
    )
    .bind(id)
    .bind(status)
    .bind(category)
    .bind(tags)
    .execute(app.db())
    .await
    .unwrap();
    for (language, (title, summary, body)) in ["fr", "en"].into_iter().zip(texts) {
        sqlx::query(
            "INSERT INTO app.article_translations (article_id, language, slug, title, summary, body)
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(id)
        .bind(language)
        .bind(format!("{language}-{}", &id.simple().to_string()[20..]))
        .bind(title)
        .bind(summary)
        .bind(body)
        .execute(app.db())
        .await
        .unwrap();
    }
    id
}

/// `Élodie Lœuillet` the psychologist, `Marc Sommer` who speaks of sleep, two articles about it and one about food.
async fn scene() -> (TestApp, Company, User) {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let alice = app.employee(&company).await;
    doctor(&app, "Élodie Lœuillet", "Thérapies brèves.").await;
    doctor(&app, "Marc Sommer", "Le sommeil des travailleurs de nuit.").await;
    article(
        &app,
        "published",
        "sleep",
        &["sommeil"],
        [
            ("Dormir mieux", "Sept habitudes pour s’endormir.", "Évitez les écrans."),
            ("Sleeping better", "Seven habits to fall asleep.", "Avoid screens."),
        ],
    )
    .await;
    article(
        &app,
        "published",
        "nutrition",
        &["repas"],
        [
            ("Manger de nuit", "Repas et horaires décalés.", "Un mauvais sommeil donne faim."),
            ("Eating at night", "Meals and shift work.", "Poor sleep makes hungry."),
        ],
    )
    .await;
    (app, company, alice)
}

async fn ask(user: &User, query: &str) -> Value {
    user.get(&format!("/search?{query}")).await.expect(200).json
}

/// Names and titles, in their order.
fn found(answer: &Value) -> Vec<String> {
    let items = answer["items"].as_array().unwrap().iter();
    items
        .map(|it| match it["type"].as_str().unwrap() {
            "article" => it["article"]["title"].as_str().unwrap().to_owned(),
            _ => it["practitioner"]["displayName"].as_str().unwrap().to_owned(),
        })
        .collect()
}

fn count(answer: &Value, facet: &str, value: &str) -> i64 {
    let values = answer["facets"][facet].as_array().unwrap().iter();
    values.filter(|it| it["value"] == value).map(|it| it["count"].as_i64().unwrap()).sum()
}

#[tokio::test]
async fn words_are_found_whatever_their_accents_their_endings_and_small_slips() {
    let (_app, _, alice) = scene().await;
    for (query, expected) in [
        // accents, capitals, ligatures
        ("elodie", vec!["Élodie Lœuillet"]),
        ("%C3%89LODIE+loeuillet", vec!["Élodie Lœuillet"]),
        // a slip
        ("elodi", vec!["Élodie Lœuillet"]),
        ("elodye", vec!["Élodie Lœuillet"]),
        // a slip in what somebody says of themselves, and in several words of it
        ("travaileurs", vec!["Marc Sommer"]),
        ("terapies+breves", vec!["Élodie Lœuillet"]),
        // by what people call a field of care
        ("psychologue+elodie", vec!["Élodie Lœuillet"]),
        // stems of either language, also begun
        ("dormirions", vec!["Dormir mieux"]),
        ("habits", vec!["Dormir mieux"]),
        ("habitu", vec!["Dormir mieux"]),
        ("decales", vec!["Manger de nuit"]),
        // a slip in a title
        ("habbits", vec!["Dormir mieux"]),
        // all words must occur
        ("manger+ecrans", vec![]),
        ("marc+sommeil", vec!["Marc Sommer"]),
        // words that a language is full of do not matter
        ("le+repas+de+la+nuit", vec!["Manger de nuit"]),
        ("%3B--+%27%22%25_%5C", vec![]),
        ("%F0%9F%98%80", vec![]),
    ] {
        assert_eq!(found(&ask(&alice, &format!("q={query}")).await), expected, "{query}");
    }
    // the best answer first: what it is about, then what mentions it
    let answer = ask(&alice, "q=sommeil").await;
    let names = found(&answer);
    assert_eq!(names.len(), 3, "{names:?}");
    assert_eq!(names[0], "Dormir mieux", "{names:?}");
    assert_eq!((count(&answer, "types", "article"), count(&answer, "types", "practitioner")), (2, 1));
}

#[tokio::test]
async fn words_that_nobody_says_any_more_are_looked_for_no_more() {
    let (app, _, alice) = scene().await;
    let other = doctor(&app, "Paul Brun", "Le sommeil, et les insomnies.").await;
    let known = async |word: &str| {
        sqlx::query_scalar::<_, i64>("SELECT count(*) FROM app.search_words WHERE word = $1")
            .bind(word)
            .fetch_one(app.db())
            .await
            .unwrap()
    };
    assert_eq!((known("sommeil").await, known("insomnies").await, known("brun").await), (1, 1, 1));
    assert_eq!(found(&ask(&alice, "q=insomnyes&type=practitioner").await), ["Paul Brun"]);
    sqlx::query("UPDATE app.practitioners SET bio_fr = 'Autre chose.' WHERE id = $1")
        .bind(other.id)
        .execute(app.db())
        .await
        .unwrap();
    // others still speak of sleep
    assert_eq!((known("sommeil").await, known("insomnies").await, known("autre").await), (1, 0, 1));
    assert_eq!(known("brun").await, 1);
    assert!(found(&ask(&alice, "q=insomnyes&type=practitioner").await).is_empty());
    // no word of anybody's is shown to a runtime role
    let mut conn = app.as_role(huntzen::platform::db::DbRole::Platform, alice.id).await;
    let refused = sqlx::query("SELECT word FROM app.search_words").fetch_all(&mut conn).await.unwrap_err();
    assert!(refused.to_string().contains("permission denied"), "{refused}");
}

#[tokio::test]
async fn findings_are_narrowed_and_counted() {
    let (_app, company, alice) = scene().await;
    let all = ask(&alice, "q=nuit").await;
    assert_eq!((count(&all, "types", "article"), count(&all, "types", "practitioner")), (1, 1));
    assert_eq!((count(&all, "categories", "nutrition"), count(&all, "specialties", "psychology")), (1, 1));
    assert_eq!((count(&all, "languages", "en"), count(&all, "modes", "chat")), (1, 1));
    for (filter, expected) in [
        ("type=article", vec!["Manger de nuit"]),
        ("type=practitioner", vec!["Marc Sommer"]),
        ("category=nutrition", vec!["Manger de nuit"]),
        ("category=sleep", vec![]),
        ("specialty=psychology", vec!["Marc Sommer"]),
        ("specialty=coaching", vec![]),
        ("language=en&mode=chat", vec!["Marc Sommer"]),
        ("language=de", vec![]),
        ("category=nutrition&mode=chat", vec![]),
    ] {
        let answer = ask(&alice, &format!("q=nuit&{filter}")).await;
        assert_eq!(found(&answer), expected, "{filter}");
        let figures: i64 =
            answer["facets"]["types"].as_array().unwrap().iter().map(|it| it["count"].as_i64().unwrap()).sum();
        assert_eq!(usize::try_from(figures).unwrap(), expected.len(), "{filter}");
    }
    // with when somebody has time, for who books
    let item = &ask(&alice, "q=marc").await["items"][0]["practitioner"];
    assert!(item["nextFreeAt"].is_string(), "{item}");
    assert!(ask(&company.hr, "q=marc").await["items"][0]["practitioner"].get("nextFreeAt").is_none());
}

#[tokio::test]
async fn what_somebody_may_not_see_changes_no_order_no_count_and_no_page() {
    let (app, company, alice) = scene().await;
    let staff = app.platform_admin().await;
    let everything = |answer: &Value| (found(answer), answer["facets"].clone(), answer["nextCursor"].clone());
    let mut before = Vec::new();
    for user in [&alice, &company.hr, &company.admin, &staff] {
        before.push((user.clone(), everything(&ask(user, "q=sommeil&limit=2").await)));
    }
    // drafts, archives, people who are not active or suspended: words as good as any
    for status in ["draft", "published"] {
        let id = article(&app, status, "sleep", &["sommeil"], [("Sommeil", "Sommeil sommeil", "Sommeil"); 2]).await;
        if status == "published" {
            sqlx::query("UPDATE app.articles SET status = 'archived' WHERE id = $1")
                .bind(id)
                .execute(app.db())
                .await
                .unwrap();
        }
    }
    let gone = doctor(&app, "Sommeil Sommeil", "Sommeil").await;
    sqlx::query("UPDATE app.practitioners SET status = 'inactive' WHERE id = $1")
        .bind(gone.id)
        .execute(app.db())
        .await
        .unwrap();
    let suspended = doctor(&app, "Sommeil Suspendu", "Sommeil").await;
    sqlx::query("UPDATE app.users SET status = 'suspended' WHERE id = $1")
        .bind(suspended.id)
        .execute(app.db())
        .await
        .unwrap();
    for (user, expected) in &before {
        assert_eq!(&everything(&ask(user, "q=sommeil&limit=2").await), expected);
    }
    // whom a company does not offer, its people do not find; its admin chooses among all
    sqlx::query("UPDATE app.companies SET network = 'restricted' WHERE id = $1")
        .bind(company.id)
        .execute(app.db())
        .await
        .unwrap();
    for (user, people) in [(&alice, 0), (&company.hr, 0), (&company.admin, 1), (&staff, 1)] {
        let answer = ask(user, "q=sommeil").await;
        assert_eq!(count(&answer, "types", "practitioner"), people, "{answer}");
        assert_eq!(count(&answer, "types", "article"), 2);
    }
    // practitioners look for articles
    let dr = app.practitioner().await;
    let answer = ask(&dr, "q=sommeil").await;
    assert_eq!((found(&answer).len(), &answer["facets"]["modes"]), (2, &json!([])));
    let refused = dr.get("/search?q=marc&type=practitioner").await.refused(422, "invalid");
    assert_eq!(refused.json["errors"][0]["pointer"], "query:type");
    // a company without articles finds none
    let path = format!("/admin/companies/{}/features", company.id);
    staff.put(&path, json!({"video": true, "audio": true, "chat": true, "articles": false})).await.expect(200);
    assert_eq!(count(&ask(&alice, "q=sommeil").await, "types", "article"), 0);
}

#[tokio::test]
async fn pages_hold_everything_once() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let alice = app.employee(&company).await;
    for n in 0..7 {
        article(
            &app,
            "published",
            "work",
            &[],
            [(&format!("Une pause {n}"), "Pauses", "Texte"), ("A break", "Breaks", "Text")],
        )
        .await;
        doctor(&app, &format!("Dr Pause {n}"), "").await;
    }
    let (mut seen, mut query, mut pages) = (Vec::new(), "q=pause&limit=4".to_owned(), 0);
    loop {
        let page = ask(&alice, &query).await;
        assert_eq!(page["facets"].is_object(), pages == 0, "figures come with the first page");
        seen.extend(found(&page));
        pages += 1;
        let Some(cursor) = page["nextCursor"].as_str() else { break };
        query = format!("q=pause&limit=4&cursor={cursor}");
    }
    let mut once = seen.clone();
    once.sort();
    once.dedup();
    assert_eq!((seen.len(), once.len(), pages), (14, 14, 4));
}

#[tokio::test]
async fn practitioners_come_by_rating_and_by_next_free_time_as_well() {
    let (app, _, alice) = scene().await;
    let busy = doctor(&app, "Sommer Busy", "").await;
    sqlx::query("DELETE FROM app.availability_rules WHERE practitioner_id = $1")
        .bind(busy.id)
        .execute(app.db())
        .await
        .unwrap();
    sqlx::query("UPDATE app.practitioners SET rating_tenths = 49, review_count = 3 WHERE id = $1")
        .bind(busy.id)
        .execute(app.db())
        .await
        .unwrap();
    assert_eq!(found(&ask(&alice, "q=sommer&type=practitioner&sort=next_free").await), ["Marc Sommer", "Sommer Busy"]);
    assert_eq!(found(&ask(&alice, "q=sommer&type=practitioner&sort=rating").await), ["Sommer Busy", "Marc Sommer"]);
    let first = ask(&alice, "q=sommer&type=practitioner&sort=rating&limit=1").await;
    let next =
        format!("q=sommer&type=practitioner&sort=rating&limit=1&cursor={}", first["nextCursor"].as_str().unwrap());
    assert_eq!(found(&ask(&alice, &next).await), ["Marc Sommer"]);
    for (query, pointer, status) in [
        ("q=sommer&sort=rating", "query:sort", 422),
        ("q=sommer&type=article&sort=next_free", "query:sort", 422),
        ("q=", "query:q", 400),
        ("q=%20%20", "query:q", 400),
        ("type=article", "query:q", 400),
        ("q=a&type=gossip", "query:type", 400),
        ("q=a&limit=101", "query:limit", 400),
        ("q=a&cursor=nonsense", "query:cursor", 400),
        ("q=a%00b", "query:q", 400),
    ] {
        let refused = alice.get(&format!("/search?{query}")).await.expect(status);
        assert_eq!(refused.json["errors"][0]["pointer"], pointer, "{query}: {}", refused.json);
    }
    let long = "x".repeat(101);
    alice.get(&format!("/search?q={long}")).await.expect(400);
    app.anonymous().get("/search?q=a").await.refused(401, "unauthenticated");
}

/// More than are looked at for a page by name, all of whom have the same word; who is the last of them by name has time first.
#[tokio::test]
async fn by_next_free_time_many_are_ranked_once_and_nobody_is_left_out() {
    let (app, _, alice) = scene().await;
    let mut tx = app.db().begin().await.unwrap();
    sqlx::query("SET LOCAL session_replication_role = replica").execute(&mut *tx).await.unwrap();
    sqlx::query(
        "INSERT INTO app.practitioners (id, display_name, search_name, languages, modes, time_zone, session_lengths,
                                        hourly_rate_cents, status, verified_at, verified_checks)
         SELECT gen_random_uuid(), 'Crowd ' || n, 'crowd ' || n, '{fr}', '{video}', 'Europe/Paris', '{30}', 9000, 'active', now(),
                '{identity}'
         FROM generate_series(1, 10050) n",
    )
    .execute(&mut *tx)
    .await
    .unwrap();
    sqlx::query(
        "INSERT INTO app.practitioner_specialties (practitioner_id, specialty)
         SELECT id, 'coaching' FROM app.practitioners WHERE search_name LIKE 'crowd %'",
    )
    .execute(&mut *tx)
    .await
    .unwrap();
    tx.commit().await.unwrap();
    doctor(&app, "Zoé Crowd", "").await;
    sqlx::raw_sql(
        "ANALYZE app.practitioners;
         ALTER FUNCTION app.practitioners_ranked(text) RENAME TO practitioners_ranked_in_fact;
         CREATE FUNCTION app.practitioners_ranked(question text) RETURNS TABLE (id uuid, score real)
             LANGUAGE sql SECURITY DEFINER AS $$
                 SELECT pg_advisory_lock(5005, (random() * 1000000000)::int);
                 SELECT r.id, r.score FROM app.practitioners_ranked_in_fact(question) r
             $$;
         GRANT EXECUTE ON FUNCTION app.practitioners_ranked(text) TO huntzen_employee",
    )
    .execute(app.db())
    .await
    .unwrap();
    // a lock is what whoever only reads can leave behind
    let ranked =
        async || app.count("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = 5005").await;
    let first = ask(&alice, "q=crowd&type=practitioner&sort=next_free&limit=5").await;
    assert_eq!(found(&first)[0], "Zoé Crowd");
    assert_eq!(ranked().await, 2, "for the page, and for its figures");
    let next =
        format!("q=crowd&type=practitioner&sort=next_free&limit=5&cursor={}", first["nextCursor"].as_str().unwrap());
    assert_eq!(found(&ask(&alice, &next).await).len(), 5);
    assert_eq!(ranked().await, 3);
}

/// Everything that a question finds, page by page, with what the first page counts.
async fn everything(user: &User, question: &str) -> (Vec<Value>, Value) {
    let (mut items, mut facets, mut query) = (Vec::new(), Value::Null, format!("{question}&limit=3"));
    loop {
        let mut page = ask(user, &query).await;
        if facets.is_null() {
            facets = page["facets"].take();
        }
        items.append(page["items"].as_array_mut().unwrap());
        let Some(cursor) = page["nextCursor"].as_str() else { break (items, facets) };
        query = format!("{question}&limit=3&cursor={cursor}");
    }
}

/// What facets have to say of items.
fn counted(items: &[Value]) -> Value {
    let values = |facet: &str, of: &dyn Fn(&Value) -> Vec<String>| {
        let mut counts = std::collections::BTreeMap::<String, i64>::new();
        for value in items.iter().flat_map(of) {
            *counts.entry(value).or_default() += 1;
        }
        (facet.to_owned(), json!(counts))
    };
    let list = |it: &Value| -> Vec<String> { serde_json::from_value(it.clone()).unwrap_or_default() };
    let one = |it: &Value| it.as_str().map(ToOwned::to_owned).into_iter().collect::<Vec<_>>();
    Value::Object(
        [
            values("types", &|it| one(&it["type"])),
            values("categories", &|it| one(&it["article"]["category"])),
            values("specialties", &|it| list(&it["practitioner"]["specialties"])),
            values("languages", &|it| list(&it["practitioner"]["languages"])),
            values("modes", &|it| list(&it["practitioner"]["modes"])),
        ]
        .into_iter()
        .collect(),
    )
}

#[tokio::test]
async fn facets_count_what_is_found_in_every_order() {
    let (app, company, alice) = scene().await;
    let staff = app.platform_admin().await;
    for (name, bio) in [("Jean-Marc Petit", "Sommeil, couples."), ("Marc O'Dell", "Du stress."), ("Marcelle S.", "")] {
        doctor(&app, name, bio).await;
    }
    let suspended = doctor(&app, "Marc Suspendu", "Sommeil").await;
    sqlx::query("UPDATE app.users SET status = 'suspended' WHERE id = $1")
        .bind(suspended.id)
        .execute(app.db())
        .await
        .unwrap();
    sqlx::query(
        "UPDATE app.practitioners SET languages = '{es,de}', modes = '{chat}' WHERE display_name = 'Marc O''Dell'",
    )
    .execute(app.db())
    .await
    .unwrap();
    let mut found_any = 0;
    for words in [
        "marc",
        "marc+s.",
        "s.+marc",
        "jean-marc",
        "marc+s",
        "s",
        "o%27dell",
        "marc+-+petit",
        "mrac",
        "arcelle",
        "psychologue",
        "sommeil",
        "travaileurs",
        "marc,petit",
        "le+marc",
        "%25",
        "x",
        "nuit",
    ] {
        for (user, sorts) in [
            (&alice, &["relevance", "rating", "next_free"][..]),
            (&company.hr, &["relevance", "rating"][..]),
            (&company.admin, &["relevance", "rating"][..]),
            (&staff, &["relevance", "rating", "next_free"][..]),
        ] {
            for sort in sorts {
                for narrowed in ["", "&language=en", "&mode=chat", "&category=sleep"] {
                    let query = format!("q={words}&type=practitioner&sort={sort}{narrowed}");
                    let (items, facets) = everything(user, &query).await;
                    found_any += items.len();
                    let told: serde_json::Map<String, Value> = facets
                        .as_object()
                        .unwrap()
                        .iter()
                        .map(|(facet, values)| {
                            let values = values.as_array().unwrap().iter();
                            let values =
                                values.map(|it| (it["value"].as_str().unwrap().to_owned(), it["count"].clone()));
                            (facet.clone(), Value::Object(values.collect()))
                        })
                        .collect();
                    assert_eq!(Value::Object(told), counted(&items), "{query}");
                }
            }
        }
    }
    assert!(found_any > 300, "{found_any} were found");
}

/// With as many rows as a planner takes seriously, the words are looked up in indexes, and no text is read to find them.
#[tokio::test]
async fn words_are_looked_up_in_indexes() {
    let (app, company, alice) = scene().await;
    sqlx::raw_sql(
        "CREATE TEMP TABLE many AS SELECT gen_random_uuid() AS id, n, md5(n::text) AS word FROM generate_series(1, 10000) n;
         INSERT INTO app.articles (id, status, category, published_at) SELECT id, 'published', 'work', now() FROM many WHERE n <= 3000;
         INSERT INTO app.article_translations (article_id, language, slug, title, summary, body)
             SELECT id, l, 'article-' || n, 'Titre ' || word, 'Sur ' || md5(word), repeat('Texte de ' || md5(word || l) || ' ', 20)
             FROM many, unnest('{fr,en}'::text[]) l WHERE n <= 3000;
         INSERT INTO app.users (id, email, password_hash, role, display_name, status)
             SELECT id, id || '@people.test', 'x', 'practitioner', 'Dr ' || word, 'active' FROM many;
         INSERT INTO app.practitioners (id, display_name, bio_fr, languages, modes, time_zone, session_lengths, hourly_rate_cents,
                                        status, verified_at, verified_checks)
             SELECT id, 'Dr ' || word, repeat(md5(word) || ' ', 15), '{fr}', '{video}', 'Europe/Paris', '{30}', 9000, 'active', now(),
                    '{identity}' FROM many;
         INSERT INTO app.practitioner_specialties (practitioner_id, specialty) SELECT id, 'coaching' FROM many;
         ANALYZE",
    )
    .execute(&mut *app.db().acquire().await.unwrap())
    .await
    .unwrap();
    let of_practitioners = ["practitioners", "practitioner_specialties", "search_words"];
    for (function, words, tables) in [
        ("articles_ranked", "habitudes sommeil", &["article_translations"][..]),
        ("practitioners_ranked", "habitudes sommeil", &of_practitioners[..]),
        // misspelt, of a field, a part of a name, too short for an index of letters
        ("practitioners_ranked", "travaileurs psychologue marc du", &of_practitioners[..]),
    ] {
        let mut conn = app.db().acquire().await.unwrap();
        let mut tx = conn.begin().await.unwrap();
        // as the functions' owner, whose rows no policy narrows
        let sql = format!("SELECT * FROM app.{function}('{words}'), pg_catalog.pg_backend_pid()");
        sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(&mut *tx).await.unwrap();
        let scanned: Vec<String> = sqlx::query_scalar(
            "SELECT relname::text FROM pg_stat_xact_user_tables WHERE schemaname = 'app' AND seq_scan > 0 AND relname = ANY ($1)",
        )
        .bind(tables)
        .fetch_all(&mut *tx)
        .await
        .unwrap();
        assert!(scanned.is_empty(), "{function} reads {scanned:?} from one end to the other");
    }
    // nor does whoever asks, by the statements that they ask with
    for (name, statement) in [
        ("the first page", search::BEGIN),
        ("a page", search::FIND),
        ("the facets", search::COUNT),
        ("by rating", BY_RATING),
    ] {
        let mut conn = app.as_role(DbRole::Employee, alice.id).await;
        sqlx::query("SELECT set_config('app.company_id', $1, false)")
            .bind(company.id.to_string())
            .execute(&mut conn)
            .await
            .unwrap();
        let mut tx = conn.begin().await.unwrap();
        let text: Option<&str> = None;
        let words = "travaileurs psychologue marc";
        let rows = if name == "by rating" {
            let narrowed = sqlx::query(statement).bind(text).bind(None::<Uuid>).bind(text).bind(text).bind(text);
            narrowed.bind(None::<Vec<String>>).bind(true).bind(20_i64).bind("active").bind(0_i16).bind(words)
        } else {
            let asked = sqlx::query(statement).bind(words).bind(true).bind(text).bind(true).bind(true);
            let asked = asked.bind(text).bind(text).bind(text);
            match name {
                "the first page" => asked.bind(20_i64),
                "a page" => asked.bind(100_000).bind("article").bind(Uuid::nil()).bind(20_i64),
                _ => asked,
            }
        };
        let rows = rows.fetch_all(&mut *tx).await.unwrap();
        assert!(!rows.is_empty(), "{name} finds nobody");
        let scanned: Vec<String> = sqlx::query_scalar(
            "SELECT relname::text FROM pg_stat_xact_user_tables WHERE schemaname = 'app' AND seq_scan > 0 AND relname = ANY (
                 '{practitioners,practitioner_specialties,search_words,article_translations,users}')",
        )
        .fetch_all(&mut *tx)
        .await
        .unwrap();
        assert!(scanned.is_empty(), "{name} reads {scanned:?} from one end to the other");
    }
}
