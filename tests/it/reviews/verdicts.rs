//! Authors are told what a moderator decided, and nobody learns from that who they are.

use huntzen::platform::auth::Role;
use reqwest::Method;
use serde_json::{Value, json};

use super::{decide, publish_all, scene, waiting, write};
use crate::support::{Answer, TestApp, User};

async fn told(user: &User) -> Vec<Value> {
    user.get("/notifications").await.expect(200).json["items"].as_array().unwrap().clone()
}

async fn prefer(user: &User, kind: &str, in_app: bool, email: bool) {
    let wish = json!({"items": [{"kind": kind, "inApp": in_app, "email": email}]});
    let request = user.request(Method::PUT, "/notifications/preferences").header("if-match", "*").json(&wish);
    Answer::of(request).await.expect(200);
}

/// Everything that waits or was done in the queue, as it is kept.
async fn jobs(app: &TestApp) -> String {
    let jobs: Vec<String> = sqlx::query_scalar(
        "SELECT convert_from(job, 'UTF8') FROM apalis.jobs WHERE convert_from(job, 'UTF8') ~ 'reviews.moderated|verdict'",
    )
    .fetch_all(app.db())
    .await
    .unwrap();
    jobs.join("\n")
}

#[tokio::test]
async fn an_author_is_told_of_each_verdict_and_no_job_says_who_that_is() {
    let (app, company, alice, dr, staff) = scene().await;
    let session = write(&app, &alice, &dr, 5, "I was listened to.").await;
    publish_all(&staff).await;
    app.settle().await;
    let line = &told(&alice).await[0];
    assert_eq!((&line["kind"], &line["objectType"]), (&json!("review_published"), &json!("consultation")));
    assert_eq!(line["objectId"], json!(session));
    assert!(line["text"].as_str().unwrap().contains("a été publié, sans votre nom"), "{line}");
    let mails = app.mails_to(&alice.email);
    assert_eq!(mails.len(), 1);
    let (text, html) = (mails[0].text.clone().unwrap(), mails[0].html.clone().unwrap());
    assert!(text.contains("is published now"), "{text}");
    // no page of the program shows it: nothing is linked that leads nowhere
    assert!(!text.contains("://") && !html.contains("://"), "{html}");

    // another verdict is told anew, without its reason: mailboxes at work are read by others
    let published = staff.get("/admin/reviews?status=published").await.expect(200).json["items"][0].clone();
    decide(&staff, &published, "reject", json!({"reason": "health_details"})).await.expect(200);
    app.settle().await;
    assert_eq!(told(&alice).await[0]["kind"], "review_rejected");
    let mail = app.mails_to(&alice.email).pop().unwrap();
    let text = mail.text.unwrap();
    assert!(text.contains("is not published as it is"), "{text}");
    for word in ["health", "Dr Test", "listened", "psycholog"] {
        assert!(!text.contains(word) && !mail.subject.contains(word), "{word}: {text}");
    }
    // who reads the queue learns of a review, and of the moderator
    let jobs = jobs(&app).await;
    assert_eq!(jobs.matches("reviews.moderated").count(), 2, "{jobs}");
    assert!(!jobs.contains(&alice.id.to_string()) && !jobs.contains(&company.id.to_string()), "{jobs}");
    assert!(!jobs.contains(&session.to_string()), "{jobs}");
    // nobody else is told
    for other in [&dr, &company.hr, &company.admin, &staff] {
        assert!(told(other).await.iter().all(|it| !it["kind"].as_str().unwrap().starts_with("review_")));
        assert!(app.mails_to(&other.email).is_empty());
    }
    // the same verdict again is none
    let rejected = staff.get("/admin/reviews?status=rejected").await.expect(200).json["items"][0].clone();
    decide(&staff, &rejected, "reject", json!({"reason": "health_details"})).await.expect(200);
    app.settle().await;
    assert_eq!((told(&alice).await.len(), app.mails_to(&alice.email).len()), (2, 2));
}

#[tokio::test]
async fn an_author_is_told_as_they_like_it_and_not_of_what_they_have_changed_since() {
    let (app, company, alice, dr, staff) = scene().await;
    // before the job looks, which nobody does yet, they have other words, or none
    let carol = app.employee(&company).await;
    let sessions = [write(&app, &carol, &dr, 2, "One.").await, write(&app, &carol, &dr, 3, "Two.").await];
    for review in waiting(&staff).await {
        decide(&staff, &review, "publish", json!({})).await.expect(200);
    }
    let paths = sessions.map(|id| format!("/consultations/{id}/review"));
    let changed =
        carol.request(Method::PATCH, &paths[0]).header("if-match", "*").json(&json!({"text": "Other words."}));
    Answer::of(changed).await.expect(200);
    Answer::of(carol.request(Method::DELETE, &paths[1]).header("if-match", "*")).await.expect(204);
    app.settle().await;
    assert_eq!((told(&carol).await.len(), app.mails_to(&carol.email).len()), (0, 0));

    let bob = app.employee(&company).await;
    prefer(&alice, "review_published", true, false).await;
    prefer(&bob, "review_published", false, true).await;
    for author in [&alice, &bob] {
        write(&app, author, &dr, 4, "Fine.").await;
    }
    publish_all(&staff).await;
    app.settle().await;
    assert_eq!((told(&alice).await.len(), app.mails_to(&alice.email).len()), (1, 0));
    assert_eq!((told(&bob).await.len(), app.mails_to(&bob.email).len()), (0, 1));

    // of employees alone: nobody else writes reviews
    let kinds = |user: &User| {
        let user = user.clone();
        async move { user.get("/notifications/preferences").await.expect(200).text() }
    };
    assert!(kinds(&alice).await.contains("review_rejected"));
    for (other, role) in [(&dr, Role::Practitioner), (&company.hr, Role::Hr), (&staff, Role::PlatformAdmin)] {
        assert!(!kinds(other).await.contains("review_rejected"), "{role:?}");
    }
}
