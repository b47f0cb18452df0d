//! It rings wherever somebody is signed in, though they have not entered the rooms.

use huntzen::domain::notifications::messages::TellUnread;

use super::*;

impl Line {
    /// A socket of `/notifications`.
    async fn listen(&self, name: &str, base: &str, user: &User) {
        let args =
            json!({"url": base, "namespace": "/notifications", "token": user.token, "transports": ["websocket"]});
        assert_eq!(self.sockets.run("connect", name, args).await, json!({"connected": true}), "{name}");
        self.sockets.take(name, "unread:count").await;
    }

    async fn hears(&self, name: &str, event: &str) -> Value {
        let told = self.sockets.take(name, event).await;
        fits_in("notifications", event, &told);
        told
    }

    async fn fresh(&self, user: &User, role: Role) -> User {
        user.with_token(self.app.session(user.id, role, user.company_id).await)
    }
}

#[tokio::test]
async fn it_rings_wherever_somebody_is_signed_in_until_it_is_answered_anywhere() {
    let line = line().await;
    let node = line.app.second_node().await;
    let id = line.booked.json["id"].clone();
    let hr = line.fresh(&line.company.hr, Role::Hr).await;
    line.listen("phone", &line.app.base, &line.dr).await;
    line.listen("desk", &node.base, &line.dr).await;
    line.listen("hers", &node.base, &line.alice).await;
    line.listen("hr", &node.base, &hr).await;
    let his = ["phone", "desk"];

    // she waits there
    line.enter("alice", &line.alice).await;
    for name in his {
        assert_eq!(line.hears(name, "consultation:peer-joined").await, json!({"consultationId": id}), "{name}");
    }
    let rung = line.tell("alice", "call:ring").await;
    let about = json!({"consultationId": id, "callId": rung["callId"]});
    let rings = json!({"consultationId": id, "callId": rung["callId"], "ringsUntil": rung["call"]["ringsUntil"]});
    for name in his {
        assert_eq!(line.hears(name, "call:ringing").await, rings, "{name}");
    }
    // whoever comes while it rings hears it as well
    line.listen("late", &node.base, &line.dr).await;
    assert_eq!(line.hears("late", "call:ringing").await, rings);
    // he answers on one of his devices
    line.connect_to("dr", &node.base, &line.dr).await;
    line.tell("dr", "call:join").await;
    line.tell("dr", "call:accept").await;
    for name in ["phone", "desk", "late"] {
        assert_eq!(line.hears(name, "call:stopped").await, about, "{name}");
    }
    // and she hears that he has come
    assert_eq!(line.hears("hers", "consultation:peer-joined").await, json!({"consultationId": id}));
    line.tell("dr", "call:hangup").await;
    line.take("alice", "call:ended").await;

    // he rings her; nobody answers; she thinks better of it
    let rung = line.tell("dr", "call:ring").await;
    assert_eq!(line.hears("hers", "call:ringing").await["callId"], rung["callId"]);
    line.app.clock.advance(seconds(46));
    assert_eq!(line.take("dr", "call:ended").await["reason"], "missed");
    assert_eq!(line.hears("hers", "call:stopped").await["callId"], rung["callId"]);
    let rung = line.tell("dr", "call:ring").await;
    assert_eq!(line.hears("hers", "call:ringing").await["callId"], rung["callId"]);
    line.tell("dr", "call:hangup").await;
    assert_eq!(line.hears("hers", "call:stopped").await["callId"], rung["callId"]);
    for name in ["phone", "desk", "late", "hers", "hr"] {
        let more = line.sockets.run("events", name, json!({})).await;
        let more: Vec<_> = more.as_array().unwrap().iter().filter(|it| it[0] != "consultation:updated").collect();
        assert!(more.is_empty(), "{name}: {more:?}");
    }
    line.app.settle().await;
}

#[tokio::test]
async fn whoever_was_rung_while_they_talked_is_told_that_they_missed_it_once() {
    let mut line = line().await;
    let carol = line.app.employee(&line.company).await;
    let next = Uuid::from_u128(7);
    line.next_session(next, &carol).await;
    line.app.clock.advance(TimeDelta::minutes(21));
    let carol = line.fresh(&carol, Role::Employee).await;
    line.alice = line.fresh(&line.alice, Role::Employee).await;
    line.dr = line.fresh(&line.dr, Role::Practitioner).await;
    let dr = line.dr.clone();
    line.talk().await;
    line.listen("list", &line.app.base, &dr).await;
    line.connect("carol", &carol).await;
    let about = json!({"consultationId": next});
    line.sockets.done("carol", "call:join", about.clone()).await;
    for _ in 0..3 {
        let refused = line.sockets.ask("carol", "call:ring", about.clone()).await;
        assert_eq!(refused["code"], "peer_busy", "{refused}");
    }
    line.app.enqueue(&TellUnread {}).await;
    line.app.settle().await;
    let told = line.sockets.take("list", "notification:new").await;
    assert_eq!((&told["kind"], &told["objectId"]), (&json!("call_missed"), &json!(next)));
    let list = dr.get("/notifications").await.expect(200);
    let missed = list.json["items"].as_array().unwrap().iter().filter(|it| it["kind"] == "call_missed").count();
    assert_eq!((missed, line.app.mails_to(&dr.email).iter().filter(|it| it.subject == "Missed call").count()), (1, 1));
    assert_eq!(line.app.count("SELECT count(*) FROM app.call_sessions WHERE end_reason = 'busy'").await, 1);
    let heard = line.sockets.run("events", "list", json!({})).await;
    assert!(!heard.to_string().contains("call:ringing"), "he is busy: {heard}");

    // the call that he has goes on, and she may ring when it is over
    line.tell("alice", "call:hangup").await;
    line.take("dr", "call:ended").await;
    let rung = line.sockets.done("carol", "call:ring", about).await;
    assert_eq!(rung["call"]["status"], "ringing");
    assert_eq!(line.hears("list", "call:ringing").await["callId"], rung["callId"]);
    line.app.settle().await;
}

#[tokio::test]
async fn whoever_asks_for_new_servers_hears_how_the_call_ended_all_the_same() {
    let line = line().await;
    line.talk().await;
    for _ in 0..4 {
        line.tell("alice", "call:hangup").await;
        // it may be asked before the socket has looked
        line.tell("dr", "call:join").await;
        assert_eq!(line.take("dr", "call:ended").await["reason"], "hung_up");
        line.tell("alice", "call:ring").await;
        line.take("dr", "call:ringing").await;
        line.tell("dr", "call:accept").await;
        line.take("alice", "call:accepted").await;
    }
    line.app.settle().await;
}
