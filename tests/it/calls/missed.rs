//! Calls that ring where nobody is, and that are told afterwards.

use huntzen::domain::notifications::messages::TellUnread;
use reqwest::Method;

use super::*;

impl Line {
    /// The schedule looks.
    async fn look(&self) {
        self.app.enqueue(&TellUnread {}).await;
        self.app.settle().await;
    }

    /// Notifications about calls that somebody missed, and mails.
    async fn missed(&self, user: &User, role: Role) -> (usize, usize) {
        let user = user.with_token(self.app.session(user.id, role, user.company_id).await);
        let list = user.get("/notifications").await.expect(200);
        let told = list.json["items"].as_array().unwrap().iter().filter(|it| it["kind"] == "call_missed");
        let told: Vec<_> = told.collect();
        assert!(told.iter().all(|it| it["objectId"] == self.booked.json["id"] && it["objectType"] == "consultation"));
        let mails = self.app.mails_to(&user.email);
        let mails = mails.iter().filter(|mail| ["Missed call", "Appel manqué"].contains(&&*mail.subject));
        for mail in mails.clone() {
            assert!(!format!("{mail:?}").contains("Dr Test"), "{mail:?}");
        }
        (told.len(), mails.count())
    }
}

#[tokio::test]
async fn whoever_rings_learns_whether_it_rings_there() {
    let line = line().await;
    let node = line.app.second_node().await;
    line.enter("alice", &line.alice).await;
    let rung = line.tell("alice", "call:ring").await;
    assert_eq!(rung["call"]["peerRings"], false, "nobody is there");
    // somebody comes
    line.connect_to("dr", &node.base, &line.dr).await;
    line.tell("dr", "call:join").await;
    assert_eq!(line.take("alice", "call:peer-ringing").await["callId"], rung["callId"]);
    assert_eq!(line.tell("alice", "call:join").await["call"]["peerRings"], true);
    line.enter("tablet", &line.dr).await;
    line.done("alice", "call:hangup", json!({})).await;
    line.take("dr", "call:ended").await;
    // and next time they are there
    line.tell("alice", "call:ring").await;
    line.take("dr", "call:ringing").await;
    line.take("alice", "call:peer-ringing").await;
    line.tell("dr", "call:accept").await;
    line.take("alice", "call:accepted").await;
    let more = line.sockets.run("events", "alice", json!({})).await;
    assert_eq!(more, json!([]), "once for each call");
    line.app.settle().await;
}

#[tokio::test]
async fn a_missed_call_is_told_in_the_program_and_once_by_mail() {
    let line = line().await;
    line.enter("alice", &line.alice).await;
    for n in 1..=2 {
        line.tell("alice", "call:ring").await;
        line.app.clock.advance(seconds(46));
        line.take("alice", "call:ended").await;
        line.look().await;
        line.look().await;
        assert_eq!(line.missed(&line.dr, Role::Practitioner).await, (n, 1), "one mail is enough for a session");
    }
    assert_eq!(line.missed(&line.alice, Role::Employee).await, (0, 0), "whoever rang missed nothing");
    // who thinks better of it at once was not missed; who waits for a while was
    for (after, missed) in [(3, 2), (12, 3)] {
        line.tell("alice", "call:ring").await;
        line.app.clock.advance(seconds(after));
        line.tell("alice", "call:hangup").await;
        line.look().await;
        assert_eq!(line.missed(&line.dr, Role::Practitioner).await, (missed, 1), "{after}");
    }
    let list = line.dr.with_token(line.app.session(line.dr.id, Role::Practitioner, None).await);
    let text = list.get("/notifications").await.expect(200).str("/items/0/text");
    assert!(text.starts_with("You missed a call") || text.starts_with("Vous avez manqué un appel"), "{text}");
}

#[tokio::test]
async fn whoever_has_talked_since_is_told_nothing_and_each_says_whether_they_want_it() {
    let line = line().await;
    let wish = json!({"items": [{"kind": "call_missed", "inApp": false, "email": false}]});
    let request = line.dr.request(Method::PUT, "/notifications/preferences").header("if-match", "*").json(&wish);
    Answer::of(request).await.expect(200);
    line.enter("alice", &line.alice).await;
    line.tell("alice", "call:ring").await;
    line.app.clock.advance(seconds(46));
    line.take("alice", "call:ended").await;
    line.look().await;
    assert_eq!(line.missed(&line.dr, Role::Practitioner).await, (0, 0), "he does not want it");

    line.enter("dr", &line.dr).await;
    line.tell("dr", "call:ring").await;
    line.take("alice", "call:ringing").await;
    line.app.clock.advance(seconds(46));
    line.take("dr", "call:ended").await;
    line.tell("dr", "call:ring").await;
    line.tell("alice", "call:accept").await;
    line.look().await;
    assert_eq!(line.missed(&line.alice, Role::Employee).await, (0, 0), "she has talked to him since");
    line.tell("dr", "call:hangup").await;
    line.app.settle().await;
}
