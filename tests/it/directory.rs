//! Finding practitioners: who may be found, by which words, and who has time first.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::support::{Answer, TestApp, User};

fn names(answer: &Answer) -> Vec<String> {
    let items = answer.json["items"].as_array().unwrap();
    items.iter().map(|item| item["displayName"].as_str().unwrap().to_owned()).collect()
}

async fn named(app: &TestApp, name: &str, bio: &str) -> User {
    let user = app.practitioner().await;
    sqlx::query("UPDATE app.practitioners SET display_name = $2, bio_fr = $3 WHERE id = $1")
        .bind(user.id)
        .bind(name)
        .bind(bio)
        .execute(app.db())
        .await
        .unwrap();
    user
}

/// Open only so many days from now on.
async fn notice(app: &TestApp, user: &User, days: i32) {
    sqlx::query("UPDATE app.practitioners SET min_notice_minutes = $2 WHERE id = $1")
        .bind(user.id)
        .bind(days * 24 * 60)
        .execute(app.db())
        .await
        .unwrap();
}

fn time(item: &Value) -> Option<DateTime<Utc>> {
    item["nextFreeAt"].as_str().map(|text| text.parse().unwrap())
}

#[tokio::test]
async fn words_are_found_without_accents_and_with_small_slips() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let alice = app.employee(&company).await;
    named(&app, "Béatrice Lang", "Coach : prise de parole, Confiance en soi.").await;
    named(&app, "Jean-Marc Élie", "Diététicien, travail posté.").await;
    named(&app, "Dr Zoé 100%", "").await;
    for (words, expected) in [
        ("béatrice", vec!["Béatrice Lang"]),
        ("BEATRICE", vec!["Béatrice Lang"]),
        ("elie", vec!["Jean-Marc Élie"]),
        // in the bio, in any order, all of them
        ("confiance lang", vec!["Béatrice Lang"]),
        ("dieteticien poste", vec!["Jean-Marc Élie"]),
        ("confiance elie", vec![]),
        // slips: one letter less, two the same, another one in a name
        ("beatrce", vec!["Béatrice Lang"]),
        ("confiiance", vec!["Béatrice Lang"]),
        ("beatrise", vec!["Béatrice Lang"]),
        ("dieteticein", vec!["Jean-Marc Élie"]),
        // signs are themselves
        ("100%25", vec!["Dr Zoé 100%"]),
        ("%25", vec!["Dr Zoé 100%"]),
        ("_", vec![]),
        ("%5C", vec![]),
        ("%27%20OR%201=1", vec![]),
        ("plumber", vec![]),
        ("", vec!["Béatrice Lang", "Dr Zoé 100%", "Jean-Marc Élie"]),
    ] {
        let answer = alice.get(&format!("/practitioners?q={words}")).await.expect(200);
        assert_eq!(names(&answer), expected, "{words}");
    }
}

#[tokio::test]
async fn words_find_nobody_outside_of_the_network() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let (alice, anne) = (app.employee(&company).await, named(&app, "Anne", "sommeil").await);
    named(&app, "Bert", "sommeil").await;
    sqlx::query("UPDATE app.companies SET network = 'restricted'").execute(app.db()).await.unwrap();
    sqlx::query("INSERT INTO app.company_networks VALUES ($1, $2)")
        .bind(company.id)
        .bind(anne.id)
        .execute(app.db())
        .await
        .unwrap();
    for user in [&alice, &company.hr] {
        assert_eq!(names(&user.get("/practitioners?q=sommeil").await.expect(200)), ["Anne"]);
    }
    for query in ["sort=next_free", "sort=next_free&q=sommeil", "freeBefore=2100-01-01T00:00:00Z"] {
        assert_eq!(names(&alice.get(&format!("/practitioners?{query}")).await.expect(200)), ["Anne"], "{query}");
    }
}

#[tokio::test]
async fn everybody_is_listed_with_their_first_free_time_and_by_it() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let alice = app.employee(&company).await;
    let (late, soon, never) =
        (named(&app, "Anne", "").await, named(&app, "Bert", "").await, named(&app, "Cleo", "").await);
    notice(&app, &late, 9).await;
    sqlx::query("DELETE FROM app.availability_rules WHERE practitioner_id = $1")
        .bind(never.id)
        .execute(app.db())
        .await
        .unwrap();

    let by_name = alice.get("/practitioners").await.expect(200);
    assert_eq!(names(&by_name), ["Anne", "Bert", "Cleo"]);
    for (item, user) in by_name.json["items"].as_array().unwrap().iter().zip([&late, &soon, &never]) {
        let slots = alice.get(&format!("/practitioners/{}/slots", user.id)).await.expect(200);
        let first = slots.json.pointer("/items/0/startsAt").and_then(Value::as_str).map(|it| it.parse().unwrap());
        assert_eq!(time(item), first, "the first slot that is listed");
    }
    assert_eq!(names(&alice.get("/practitioners?sort=next_free").await.expect(200)), ["Bert", "Anne", "Cleo"]);

    let before = |days| (app.clock.now() + TimeDelta::days(days)).format("%Y-%m-%dT%H:%M:%SZ");
    for (query, expected) in [
        (format!("freeBefore={}", before(3)), vec!["Bert"]),
        (format!("freeBefore={}", before(20)), vec!["Anne", "Bert"]),
        (format!("freeBefore={}&sort=next_free", before(20)), vec!["Bert", "Anne"]),
        (format!("freeBefore={}", before(-1)), vec![]),
        ("mode=chat&sort=next_free&specialty=psychology&language=fr".to_owned(), vec!["Bert", "Anne", "Cleo"]),
    ] {
        assert_eq!(names(&alice.get(&format!("/practitioners?{query}")).await.expect(200)), expected, "{query}");
    }

    // a booking moves the time
    let first = time(&alice.get("/practitioners?q=Bert").await.json["items"][0]).unwrap();
    let body = json!({"practitionerId": soon.id, "startsAt": first, "durationMinutes": 30, "mode": "video"});
    alice.post("/consultations", body).await.expect(201);
    app.settle().await;
    assert!(time(&alice.get("/practitioners?q=Bert").await.json["items"][0]).unwrap() > first);
}

#[tokio::test]
async fn pages_by_time_show_everybody_once_while_times_move() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let alice = app.employee(&company).await;
    let mut team = Vec::new();
    for (days, name) in ["Anne", "Bert", "Cleo", "Dora", "Emil"].into_iter().enumerate() {
        let user = named(&app, name, "").await;
        notice(&app, &user, i32::try_from(days).unwrap()).await;
        team.push(user);
    }
    let first = alice.get("/practitioners?sort=next_free&limit=2").await.expect(200);
    assert_eq!(names(&first), ["Anne", "Bert"]);
    // who was shown falls behind, who was last comes to the front
    notice(&app, &team[0], 9).await;
    notice(&app, &team[4], 0).await;
    let next = async |page: &Answer| {
        alice
            .get(&format!("/practitioners?sort=next_free&limit=2&cursor={}", page.str("/nextCursor")))
            .await
            .expect(200)
    };
    let second = next(&first).await;
    assert_eq!(names(&second), ["Emil", "Cleo"]);
    let third = next(&second).await;
    assert_eq!(names(&third), ["Dora"]);
    assert!(third.json.get("nextCursor").is_none());

    for bad in ["cursor=nope", "cursor=n", "cursor=nAAA", "sort=luck", "freeBefore=tomorrow", "limit=0"] {
        let query = if bad.starts_with("cursor") { format!("sort=next_free&{bad}") } else { bad.to_owned() };
        alice.get(&format!("/practitioners?{query}")).await.expect(400);
    }
    // a cursor of the other order
    let cursor = first.str("/nextCursor");
    alice.get(&format!("/practitioners?cursor={cursor}")).await.refused(400, "invalid_cursor");
}

#[tokio::test]
async fn who_does_not_book_sees_no_times() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    named(&app, "Anne", "").await;
    for user in [&company.hr, &company.admin] {
        let list = user.get("/practitioners").await.expect(200);
        assert!(list.json["items"][0].get("nextFreeAt").is_none());
        for query in ["sort=next_free", "freeBefore=2100-01-01T00:00:00Z"] {
            let refused = user.get(&format!("/practitioners?{query}")).await.refused(422, "invalid");
            assert_eq!(refused.json["errors"][0]["code"], "not_for_role");
        }
    }
    // support looks with an employee's eyes, without a contract
    let staff = app.platform_admin().await;
    assert!(staff.get("/practitioners?sort=next_free").await.expect(200).json["items"][0]["nextFreeAt"].is_string());
    // whose company is suspended still finds people, and no times
    let alice = app.employee(&company).await;
    sqlx::query("UPDATE app.companies SET status = 'suspended'").execute(app.db()).await.unwrap();
    for query in ["", "?sort=next_free"] {
        let list = alice.get(&format!("/practitioners{query}")).await.expect(200);
        assert_eq!((names(&list).len(), list.json["items"][0].get("nextFreeAt")), (1, None));
    }
    assert!(names(&alice.get("/practitioners?freeBefore=2100-01-01T00:00:00Z").await.expect(200)).is_empty());
}

#[tokio::test]
async fn a_calendar_that_is_kept_elsewhere_takes_slots_away_and_gives_them_back() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let (alice, anne) = (app.employee(&company).await, named(&app, "Anne", "").await);
    let first = time(&alice.get("/practitioners").await.expect(200).json["items"][0]).unwrap();
    sqlx::query(
        "WITH calendar AS (
             INSERT INTO app.external_calendars (id, practitioner_id, place, label, url, host, next_read_at)
             VALUES (gen_random_uuid(), $1, 1, 'x', 'sealed', 'x.test', 'infinity') RETURNING id, practitioner_id)
         INSERT INTO app.external_busy_times SELECT practitioner_id, id, $2, $2 + interval '10 minutes' FROM calendar",
    )
    .bind(anne.id)
    .bind(first)
    .execute(app.db())
    .await
    .unwrap();
    let then = time(&alice.get("/practitioners").await.expect(200).json["items"][0]).unwrap();
    assert!(then > first, "{then} is after {first}");
    let body = json!({"practitionerId": anne.id, "startsAt": first, "durationMinutes": 30, "mode": "video"});
    alice.post("/consultations", body.clone()).await.refused(409, "slot_taken");
    sqlx::query("DELETE FROM app.external_busy_times").execute(app.db()).await.unwrap();
    alice.post("/consultations", body).await.expect(201);
    app.settle().await;
}

#[tokio::test]
async fn fields_of_care_are_found_by_what_people_call_them() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let alice = app.employee(&company).await;
    for (name, specialty) in [
        ("Anne", "psychology"),
        ("Bert", "coaching"),
        ("Cleo", "nutrition"),
        ("Dora", "sleep"),
        ("Emil", "physiotherapy"),
        ("Fanny", "social_work"),
    ] {
        let user = named(&app, name, "").await;
        sqlx::query("UPDATE app.practitioner_specialties SET specialty = $2 WHERE practitioner_id = $1")
            .bind(user.id)
            .bind(specialty)
            .execute(app.db())
            .await
            .unwrap();
    }
    for (words, expected) in [
        ("psychologue", vec!["Anne"]),
        ("Psychologist", vec!["Anne"]),
        ("psy", vec!["Anne"]),
        ("psycholgue", vec!["Anne"]),
        ("coach", vec!["Bert"]),
        ("di%C3%A9t%C3%A9ticienne", vec!["Cleo"]),
        ("nutritionist", vec!["Cleo"]),
        ("sommeil", vec!["Dora"]),
        ("sleep", vec!["Dora"]),
        ("kin%C3%A9", vec!["Emil"]),
        ("physiotherapist", vec!["Emil"]),
        ("assistante%20sociale", vec!["Fanny"]),
        ("social%20worker", vec!["Fanny"]),
        // with other words
        ("emil%20kine", vec!["Emil"]),
        ("anne%20kine", vec![]),
    ] {
        assert_eq!(names(&alice.get(&format!("/practitioners?q={words}")).await.expect(200)), expected, "{words}");
    }
    // who changes what they offer is found by it at once
    let staff = app.platform_admin().await;
    let bert = alice.get("/practitioners?q=bert").await.str("/items/0/id");
    staff.patch(&format!("/practitioners/{bert}"), json!({"specialties": ["sleep"]})).await.expect(200);
    assert_eq!(names(&alice.get("/practitioners?q=sommeil").await.expect(200)), ["Bert", "Dora"]);
    assert!(names(&alice.get("/practitioners?q=coach").await.expect(200)).is_empty());
}

#[tokio::test]
async fn names_are_in_the_order_in_which_people_look_for_them() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let alice = app.employee(&company).await;
    let sorted = ["Adam", "Élodie", "Elsa", "eva", "Jean Paul", "Jean-Paul", "Zoé", "Zoé"];
    for name in sorted.iter().rev() {
        named(&app, name, "").await;
    }
    for query in ["", "&freeBefore=2100-01-01T00:00:00Z"] {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = alice.get(&format!("/practitioners?limit=1{query}{cursor}")).await.expect(200);
            seen.extend(names(&page));
            match page.json["nextCursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(seen, sorted, "each once, in order: {query}");
    }
    assert_eq!(names(&alice.get("/practitioners?sort=next_free").await.expect(200)), sorted, "alike ones by name");
}

#[tokio::test]
async fn a_network_of_more_than_a_thousand_is_looked_through_as_a_whole() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let alice = app.employee(&company).await;
    let zoe = named(&app, "Zoé", "").await;
    // before her by name, and not open
    sqlx::query(
        "WITH people AS (
             INSERT INTO app.users (id, email, password_hash, role, display_name, locale, status)
             SELECT gen_random_uuid(), 'p' || n || '@care.test', 'x', 'practitioner', 'Anne', 'fr', 'active'
             FROM generate_series(1, 1100) n RETURNING id
         ), practitioners AS (
             INSERT INTO app.practitioners (id, display_name, languages, modes, time_zone, session_lengths, hourly_rate_cents,
                                            status, verified_at, verified_checks)
             SELECT id, 'Anne', '{fr}', '{video}', 'Europe/Paris', '{30}', 9000, 'active', now(), '{identity}' FROM people
             RETURNING id)
         INSERT INTO app.practitioner_specialties (practitioner_id, specialty) SELECT id, 'sleep' FROM practitioners",
    )
    .execute(app.db())
    .await
    .unwrap();
    let first = alice.get("/practitioners?sort=next_free&limit=2").await.expect(200);
    assert_eq!(names(&first), ["Zoé", "Anne"]);
    assert_eq!(first.json["items"][0]["id"], json!(zoe.id));
    let free = alice.get("/practitioners?freeBefore=2100-01-01T00:00:00Z").await.expect(200);
    assert_eq!((names(&free), free.json.get("nextCursor")), (vec!["Zoé".to_owned()], None));
}
