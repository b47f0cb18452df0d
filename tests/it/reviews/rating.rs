//! The average: from three reviews on, everywhere the same, and in order.

use serde_json::{Value, json};

use super::{publish_all, scene, shown, waiting, write};
use crate::support::{TestApp, User};

async fn rating(user: &User, dr: &User) -> (Value, Value) {
    let profile = user.get(&format!("/practitioners/{}", dr.id)).await.expect(200).json;
    let list = user.get("/practitioners").await.expect(200).json;
    let item = list["items"].as_array().unwrap().iter().find(|it| it["id"] == json!(dr.id)).unwrap().clone();
    assert_eq!((&profile["rating"], &profile["reviewCount"]), (&item["rating"], &item["reviewCount"]));
    (profile["rating"].clone(), profile["reviewCount"].clone())
}

async fn named(app: &TestApp, name: &str) -> User {
    let dr = app.practitioner().await;
    sqlx::query("UPDATE app.practitioners SET display_name = $2 WHERE id = $1")
        .bind(dr.id)
        .bind(name)
        .execute(app.db())
        .await
        .unwrap();
    dr
}

#[tokio::test]
async fn an_average_is_shown_from_three_reviews_on() {
    let (app, company, alice, dr, staff) = scene().await;
    let nothing = (Value::Null, Value::Null);
    for (stars, expected) in [(5, None), (4, None), (5, Some((4.7, 3))), (1, Some((3.8, 4)))] {
        write(&app, &alice, &dr, stars, "Words").await;
        // what waits does not count
        let before = rating(&alice, &dr).await;
        assert_eq!(waiting(&staff).await.len(), 1);
        let version = alice.get(&format!("/practitioners/{}", dr.id)).await.header("etag").to_owned();
        publish_all(&staff).await;
        let now = rating(&alice, &dr).await;
        match expected {
            None => assert_eq!((before, now), (nothing.clone(), nothing.clone())),
            Some((stars, count)) => assert_eq!(now, (json!(stars), json!(count))),
        }
        // who books at the moment is not held up by what somebody says
        assert_eq!(alice.get(&format!("/practitioners/{}", dr.id)).await.header("etag"), version);
    }
    let me = dr.get(&format!("/practitioners/{}", dr.id)).await.expect(200).json;
    assert_eq!((&me["rating"], &me["reviewCount"]), (&json!(3.8), &json!(4)));
    assert_eq!(rating(&company.hr, &dr).await.1, json!(4));
    // taken back below three, there is none any more
    for session in sqlx::query_scalar::<_, uuid::Uuid>("SELECT consultation_id FROM app.reviews LIMIT 2")
        .fetch_all(app.db())
        .await
        .unwrap()
    {
        alice.delete(&format!("/consultations/{session}/review")).await.expect(204);
    }
    assert_eq!(rating(&alice, &dr).await, nothing);
    assert_eq!(shown(&alice, &dr).await.len(), 2);
    app.settle().await;
}

#[tokio::test]
async fn many_verdicts_at_once_make_one_average() {
    let (app, _, alice, dr, staff) = scene().await;
    for stars in [1, 2, 3, 4, 5, 5] {
        write(&app, &alice, &dr, stars, "Words").await;
    }
    let reviews = waiting(&staff).await;
    let verdicts = reviews.iter().map(|review| super::decide(&staff, review, "publish", json!({})));
    for verdict in futures_util::future::join_all(verdicts).await {
        verdict.expect(200);
    }
    assert_eq!(rating(&alice, &dr).await, (json!(3.3), json!(6)));
    assert_eq!(app.count("SELECT count(*) FROM app.published_reviews").await, 6);
    app.settle().await;
}

#[tokio::test]
async fn practitioners_are_listed_by_what_is_said_of_them() {
    let (app, company, alice, _, staff) = scene().await;
    let (anne, bert, cleo) = (named(&app, "Anne").await, named(&app, "Bert").await, named(&app, "Cleo").await);
    for (dr, stars) in [(&cleo, 5), (&bert, 3), (&anne, 3)] {
        for _ in 0..3 {
            write(&app, &alice, dr, stars, "Words").await;
        }
    }
    publish_all(&staff).await;
    let names = |answer: &Value| -> Vec<String> {
        answer["items"].as_array().unwrap().iter().map(|it| it["displayName"].as_str().unwrap().to_owned()).collect()
    };
    // who has no average comes last
    let expected = ["Cleo", "Anne", "Bert", "Dr Test"];
    for person in [&alice, &company.hr, &company.admin, &staff] {
        assert_eq!(names(&person.get("/practitioners?sort=rating").await.expect(200).json), expected);
    }
    let (mut seen, mut path) = (Vec::new(), "/practitioners?sort=rating&limit=1".to_owned());
    loop {
        let page = alice.get(&path).await.expect(200);
        seen.extend(names(&page.json));
        let Some(cursor) = page.json["nextCursor"].as_str() else { break };
        path = format!("/practitioners?sort=rating&limit=1&cursor={cursor}");
    }
    assert_eq!(seen, expected);
    let soon = "freeBefore=2100-01-01T00:00:00Z";
    assert_eq!(
        names(&alice.get(&format!("/practitioners?sort=rating&{soon}&q=anne")).await.expect(200).json),
        ["Anne"]
    );
    app.settle().await;
}
