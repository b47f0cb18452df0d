//! That somebody wrote: told once until it is read, and not to whoever reads at once.

use chrono::TimeDelta;
use huntzen::domain::notifications::messages::TellUnread;
use reqwest::Method;
use uuid::Uuid;

use super::*;

const MARKER: &str = "heliotrope insomnia 4417";

struct Talk {
    app: TestApp,
    company: Company,
    alice: User,
    dr: User,
    id: String,
}

async fn talk() -> Talk {
    let (app, company, alice, dr) = scene().await;
    let id = book_on(&alice, &dr, in_days(&app, 4)).await.str("/id");
    app.settle().await;
    for user in [&alice, &dr] {
        user.post("/notifications/read-all", json!({})).await.expect(200);
    }
    Talk { app, company, alice, dr, id }
}

impl Talk {
    async fn send(&self, user: &User) -> Answer {
        let body = json!({"clientId": Uuid::new_v4(), "body": MARKER});
        user.post(&format!("/conversations/{}/messages", self.id), body).await.expect(201)
    }

    async fn read(&self, user: &User, seq: i64) {
        user.post(&format!("/conversations/{}/read", self.id), json!({"seq": seq})).await.expect(200);
    }

    /// The schedule looks, some time later.
    async fn after(&mut self, time: TimeDelta) {
        let when = self.app.clock.now() + time;
        go_to(&self.app, when, &mut self.alice, &mut self.dr).await;
        self.app.enqueue(&TellUnread {}).await;
        self.app.settle().await;
    }

    /// Unread notifications about messages, and mails about them.
    async fn told(&self, user: &User) -> (usize, usize) {
        let list = user.get("/notifications?unread=true").await.expect(200);
        let told = list.json["items"].as_array().unwrap();
        assert!(
            told.iter().all(|it| it["kind"] == "message_received" && it["objectId"] == self.id.as_str()),
            "{told:?}"
        );
        let mails = self.app.mails_to(&user.email);
        (told.len(), mails.iter().filter(|mail| ["New message", "Nouveau message"].contains(&&*mail.subject)).count())
    }
}

#[tokio::test]
async fn a_conversation_is_told_once_in_the_program_and_once_by_mail_until_it_is_read() {
    let mut talk = talk().await;
    talk.send(&talk.dr).await;
    talk.after(TimeDelta::seconds(9)).await;
    assert_eq!(talk.told(&talk.alice).await, (0, 0), "she may be reading it");
    talk.after(TimeDelta::seconds(2)).await;
    assert_eq!(talk.told(&talk.alice).await, (1, 0));
    for _ in 0..3 {
        talk.send(&talk.dr).await;
        talk.after(TimeDelta::minutes(1)).await;
    }
    assert_eq!(talk.told(&talk.alice).await, (1, 0));
    talk.after(TimeDelta::minutes(8)).await;
    talk.after(TimeDelta::minutes(5)).await;
    assert_eq!(talk.told(&talk.alice).await, (1, 1));
    assert_eq!(talk.told(&talk.dr).await, (0, 0), "whoever writes is told nothing");
    // a part of it, then all
    talk.read(&talk.alice, 2).await;
    assert_eq!(talk.told(&talk.alice).await, (1, 1));
    talk.read(&talk.alice, 4).await;
    assert_eq!(talk.told(&talk.alice).await, (0, 1), "who has read the conversation has read that as well");
    talk.send(&talk.dr).await;
    talk.after(TimeDelta::minutes(11)).await;
    assert_eq!(talk.told(&talk.alice).await, (1, 2));
    let mail = talk.app.mails_to(&talk.alice.email).into_iter().find(|mail| mail.subject == "New message").unwrap();
    let all = format!("{mail:?}");
    assert!(!all.contains(MARKER) && !all.contains("Dr Test") && mail.attachments.is_empty(), "{all}");
    assert!(all.contains(&format!("/consultations/{}", talk.id)));
}

#[tokio::test]
async fn whoever_reads_at_once_and_what_is_taken_back_is_not_told() {
    let mut talk = talk().await;
    talk.send(&talk.alice).await;
    talk.read(&talk.dr, 1).await;
    let second = talk.send(&talk.alice).await;
    talk.alice.delete(&format!("/messages/{}", second.str("/id"))).await.expect(200);
    talk.after(TimeDelta::minutes(11)).await;
    assert_eq!(talk.told(&talk.dr).await, (0, 0));
    assert_eq!(talk.app.count("SELECT count(*) FROM app.unread_conversations").await, 0);
    // read between the two: no mail
    talk.send(&talk.alice).await;
    talk.after(TimeDelta::seconds(11)).await;
    assert_eq!(talk.told(&talk.dr).await, (1, 0));
    talk.read(&talk.dr, 3).await;
    talk.after(TimeDelta::minutes(11)).await;
    assert_eq!(talk.told(&talk.dr).await, (0, 0));
}

#[tokio::test]
async fn what_is_taken_back_after_it_was_told_waits_no_longer_and_the_next_message_is_told() {
    let mut talk = talk().await;
    let sent = talk.send(&talk.alice).await;
    talk.after(TimeDelta::seconds(11)).await;
    assert_eq!(talk.told(&talk.dr).await, (1, 0));
    talk.alice.delete(&format!("/messages/{}", sent.str("/id"))).await.expect(200);
    talk.after(TimeDelta::minutes(10)).await;
    assert_eq!(talk.told(&talk.dr).await, (0, 0), "there is nothing to read");
    assert_eq!(unread(&talk.dr).await, 0);
    talk.send(&talk.alice).await;
    talk.after(TimeDelta::seconds(11)).await;
    assert_eq!(talk.told(&talk.dr).await, (1, 0));
    talk.read(&talk.dr, 2).await;
    assert_eq!(talk.told(&talk.dr).await, (0, 0));
}

#[tokio::test]
async fn whoever_marks_it_as_read_is_told_of_the_next_message() {
    let mut talk = talk().await;
    for n in 0..2 {
        talk.send(&talk.dr).await;
        talk.after(TimeDelta::seconds(11)).await;
        assert_eq!(talk.told(&talk.alice).await, (1, 0), "{n}");
        // the notification, not the conversation
        if n == 0 {
            talk.alice.post("/notifications/read-all", json!({})).await.expect(200);
        } else {
            let list = talk.alice.get("/notifications?unread=true").await.expect(200);
            talk.alice.post(&format!("/notifications/{}/read", list.str("/items/0/id")), json!({})).await.expect(200);
        }
        assert_eq!(talk.told(&talk.alice).await, (0, 0));
    }
    talk.after(TimeDelta::minutes(11)).await;
    assert_eq!(talk.told(&talk.alice).await, (0, 0), "whoever knows of it gets no mail");
    // one that was not told yet waits on
    talk.send(&talk.dr).await;
    talk.alice.post("/notifications/read-all", json!({})).await.expect(200);
    talk.after(TimeDelta::minutes(11)).await;
    assert_eq!(talk.told(&talk.alice).await, (1, 1));
}

#[tokio::test]
async fn each_says_whether_they_want_it_and_where() {
    let mut talk = talk().await;
    for (is_alice, in_app, email, expected) in [(true, false, true, (0, 1)), (false, true, false, (1, 0))] {
        let (user, writer) = if is_alice { (&talk.alice, &talk.dr) } else { (&talk.dr, &talk.alice) };
        let wish = json!({"items": [{"kind": "message_received", "inApp": in_app, "email": email}]});
        let request = user.request(Method::PUT, "/notifications/preferences").header("if-match", "*").json(&wish);
        Answer::of(request).await.expect(200);
        talk.send(writer).await;
        talk.after(TimeDelta::minutes(11)).await;
        let user = if is_alice { &talk.alice } else { &talk.dr };
        assert_eq!(talk.told(user).await, expected);
    }
}

#[tokio::test]
async fn schedules_that_look_at_once_tell_once() {
    let mut talk = talk().await;
    talk.send(&talk.dr).await;
    talk.app.clock.advance(TimeDelta::minutes(11));
    for _ in 0..8 {
        talk.app.enqueue(&TellUnread {}).await;
    }
    talk.after(TimeDelta::zero()).await;
    assert_eq!(talk.told(&talk.alice).await, (1, 1));
    assert_eq!(talk.app.count("SELECT count(*) FROM app.notifications WHERE kind = 'message_received'").await, 1);
}

#[tokio::test]
async fn nobody_learns_from_it_what_was_said_or_by_whom() {
    let mut talk = talk().await;
    talk.send(&talk.dr).await;
    talk.after(TimeDelta::minutes(11)).await;
    let Talk { app, company, alice, dr, id } = &talk;
    let names: Vec<String> = sqlx::query_scalar("SELECT display_name FROM app.users WHERE id IN ($1, $2)")
        .bind(alice.id)
        .bind(dr.id)
        .fetch_all(app.db())
        .await
        .unwrap();
    // with the texts of all the rows that this module and the queue keep
    let rows: Vec<String> = sqlx::query_scalar(
        "SELECT n::text FROM app.notifications n UNION ALL SELECT p::text FROM app.notification_preferences p
         UNION ALL SELECT u::text FROM app.unread_conversations u UNION ALL SELECT convert_from(job, 'UTF8') FROM apalis.jobs
         UNION ALL SELECT l::text FROM app.email_log l",
    )
    .fetch_all(app.db())
    .await
    .unwrap();
    assert!(rows.len() > 5);
    for row in &rows {
        assert!(!row.contains(MARKER) && !row.contains("Dr Test"), "{row}");
        assert!(names.iter().all(|name| !row.contains(name)), "{row}");
    }
    let told = alice.get("/notifications").await.expect(200).text();
    assert!(!told.contains("Dr Test") && !told.contains(MARKER), "{told}");
    let hr = company.hr.with_token(app.session(company.hr.id, Role::Hr, company.hr.company_id).await);
    for other in [&hr, &app.employee(company).await, &app.platform_admin().await] {
        let list = other.get("/notifications").await.expect(200).text();
        assert!(!list.contains(id), "{list}");
    }
}
