//! The way of a call, from its ringing to its end.

use super::*;

#[tokio::test]
async fn two_people_on_two_nodes_ring_accept_signal_and_hang_up() {
    Box::pin(a_whole_life(json!(["websocket"]))).await;
}

#[tokio::test]
async fn two_people_who_poll_ring_accept_signal_and_hang_up() {
    Box::pin(a_whole_life(json!(["polling"]))).await;
}

#[tokio::test]
async fn two_people_whose_connections_are_upgraded_ring_accept_signal_and_hang_up() {
    Box::pin(a_whole_life(json!(["polling", "websocket"]))).await;
}

/// Of a call between people who come by these ways.
async fn a_whole_life(transports: Value) {
    let mut line = line().await;
    line.transports = transports;
    let node = line.app.second_node().await;
    let entered = line.enter("alice", &line.alice).await;
    assert_eq!(entered["call"], json!(null));
    assert!(Uuid::parse_str(entered["deviceId"].as_str().unwrap()).is_ok());
    let closes = instant(&line.booked.str("/endsAt")) + TimeDelta::minutes(30);
    assert_eq!(instant(entered["closesAt"].as_str().unwrap()), closes);
    line.connect_to("dr", &node.base, &line.dr).await;
    line.tell("dr", "call:join").await;

    let rung = line.tell("alice", "call:ring").await;
    assert_eq!((&rung["call"]["status"], &rung["call"]["outgoing"]), (&json!("ringing"), &json!(true)));
    let ringing = line.take("dr", "call:ringing").await;
    assert_eq!((&ringing["callId"], &ringing["consultationId"]), (&rung["callId"], &line.booked.json["id"]));
    assert_eq!(ringing["ringsUntil"], rung["call"]["ringsUntil"]);
    let accepted = line.tell("dr", "call:accept").await;
    assert_eq!((&accepted["call"]["status"], &accepted["call"]["here"]), (&json!("connected"), &json!(true)));
    assert_eq!(line.take("alice", "call:accepted").await["startedAt"], accepted["call"]["startedAt"]);

    line.done("alice", "signal:offer", json!({"sdp": sdp("offer")})).await;
    for n in 0..20 {
        let candidate = json!({"candidate": format!("candidate:{n}"), "sdpMid": "0", "sdpMLineIndex": 0});
        line.done("alice", "signal:ice", json!({"candidate": candidate})).await;
    }
    assert_eq!(line.take("dr", "signal:offer").await["sdp"], sdp("offer"));
    for n in 0..20 {
        let heard = line.take("dr", "signal:ice").await;
        assert_eq!(heard["candidate"]["candidate"], format!("candidate:{n}"), "in their order");
        assert_eq!((&heard["candidate"]["sdpMid"], &heard["candidate"]["sdpMLineIndex"]), (&json!("0"), &json!(0)));
    }
    line.done("dr", "signal:answer", json!({"sdp": sdp("answer")})).await;
    line.done("dr", "signal:ice", json!({})).await;
    let answer = line.take("alice", "signal:answer").await;
    assert_eq!((&answer["sdp"], &answer["callId"]), (&json!(sdp("answer")), &rung["callId"]));
    assert_eq!(line.take("alice", "signal:ice").await["candidate"], json!(null), "there are no more");
    line.done("dr", "call:mute", json!({"muted": true})).await;
    assert_eq!(line.take("alice", "call:peer-muted").await["muted"], true);
    line.done("dr", "call:mute", json!({"muted": false})).await;
    assert_eq!(line.take("alice", "call:peer-muted").await["muted"], false);

    // a connection breaks, and the call goes on with what was said meanwhile
    line.sockets.run("cut", "alice", json!({})).await;
    line.done("dr", "signal:ice", json!({"candidate": {"candidate": "candidate:late"}})).await;
    let back = json!({"deviceId": entered["deviceId"], "resumes": true});
    assert_eq!(line.done("alice", "call:join", back).await["call"]["here"], true);
    assert_eq!(line.take("alice", "signal:ice").await["candidate"]["candidate"], "candidate:late");
    assert_eq!(line.take("dr", "call:peer-back").await["resumes"], true);
    let fresh = line.app.session(line.alice.id, Role::Employee, line.alice.company_id).await;
    line.sockets.done("alice", "auth:refresh", json!({"token": fresh})).await;

    line.app.clock.advance(TimeDelta::minutes(9));
    let ended = line.tell("alice", "call:hangup").await;
    assert_eq!(ended["call"], json!(null));
    let told = line.take("dr", "call:ended").await;
    assert_eq!((&told["reason"], &told["byMe"]), (&json!("hung_up"), &json!(false)));
    assert_eq!(line.endings().await, ["hung_up"]);
    let facts = line.events().await;
    let expected = [
        "BOOKED employee",
        "JOINED employee",
        "JOINED practitioner",
        "CALL_STARTED employee",
        "CALL_ENDED employee",
        "LEFT employee",
        "LEFT practitioner",
    ];
    assert_eq!(facts, expected);
    assert_eq!(line.app.count("SELECT count(*) FROM app.call_signals").await, 0);
    // both are free again
    line.tell("dr", "call:ring").await;
    line.take("alice", "call:ringing").await;
    line.tell("alice", "call:decline").await;
    line.take("dr", "call:declined").await;
    // who logs out is there no more
    line.alice.with_token(fresh).post("/auth/logout", json!({})).await.expect(204);
    assert!(line.sockets.ended("alice").await["reason"].is_string());
    line.app.settle().await;
}

#[tokio::test]
async fn what_is_signalled_is_sealed_as_long_as_it_waits_and_then_gone() {
    let line = line().await;
    line.talk().await;
    // his device is away, and what is for him waits
    line.sockets.run("close", "dr", json!({})).await;
    line.take("alice", "call:peer-lost").await;
    line.done("alice", "signal:offer", json!({"sdp": sdp("a canary 10.0.0.7")})).await;
    let kept: Vec<Vec<u8>> =
        sqlx::query_scalar("SELECT sealed FROM app.call_signals").fetch_all(line.app.db()).await.unwrap();
    assert_eq!(kept.len(), 1);
    assert!(!String::from_utf8_lossy(&kept[0]).contains("canary"));
    let jobs = "SELECT count(*) FROM apalis.jobs WHERE convert_from(job, 'UTF8') LIKE '%canary%'";
    assert_eq!(line.app.count(jobs).await, 0);
    line.tell("alice", "call:hangup").await;
    assert_eq!(line.app.count("SELECT count(*) FROM app.call_signals").await, 0);
    line.app.settle().await;
}

#[tokio::test]
async fn two_who_ring_at_once_have_one_call() {
    let line = line().await;
    let node = line.app.second_node().await;
    for round in 0..5 {
        let names = (format!("alice {round}"), format!("dr {round}"));
        line.enter(&names.0, &line.alice).await;
        line.connect_to(&names.1, &node.base, &line.dr).await;
        line.tell(&names.1, "call:join").await;
        let (one, two) = tokio::join!(line.tell(&names.0, "call:ring"), line.tell(&names.1, "call:ring"));
        assert_eq!(one["callId"], two["callId"], "round {round}");
        // whoever was second had accepted; the first is told
        let (first, second) =
            if one["call"]["status"] == "connected" { (&names.1, &names.0) } else { (&names.0, &names.1) };
        line.take(first, "call:accepted").await;
        line.done(second, "signal:offer", json!({"sdp": sdp("now")})).await;
        assert_eq!(line.take(first, "signal:offer").await["sdp"], sdp("now"));
        line.tell(first, "call:hangup").await;
        line.take(second, "call:ended").await;
    }
    assert_eq!(line.endings().await, ["hung_up"; 5]);
    line.app.settle().await;
}

#[tokio::test]
async fn a_long_call_gets_fresh_servers_and_a_fresh_token() {
    let settings = |name: &str| match name {
        "TURN_URLS" => Some("turn:turn.care.test:3478".to_owned()),
        "TURN_SECRET" => Some("coturn-shared-Zq8Wn3Xc7Vb1Mk5Lp9Rt2".to_owned()),
        _ => None,
    };
    let line = line_with(settings).await;
    line.talk().await;
    let username = |answer: &Value| answer["iceServers"][0]["username"].as_str().unwrap().to_owned();
    let until = |answer: &Value| instant(answer["expiresAt"].as_str().unwrap());
    let first = line.tell("alice", "call:join").await;
    assert_eq!(username(&first).split(':').next().unwrap(), until(&first).timestamp().to_string());
    line.app.clock.advance(TimeDelta::minutes(14));
    for (name, user, role) in [("alice", &line.alice, Role::Employee), ("dr", &line.dr, Role::Practitioner)] {
        let fresh = line.app.session(user.id, role, user.company_id).await;
        line.sockets.done(name, "auth:refresh", json!({"token": fresh})).await;
    }
    let second = line.tell("alice", "call:join").await;
    assert_eq!(second["call"]["status"], "connected");
    // one user to the relay, whose quota counts by what comes after the time
    let user = |answer: &Value| username(answer).split_once(':').unwrap().1.to_owned();
    assert_eq!(user(&second), user(&first));
    assert_ne!(user(&line.tell("dr", "call:join").await), user(&first));
    // an hour from now, but never beyond the session
    let closes = instant(&line.booked.str("/endsAt")) + TimeDelta::minutes(30);
    assert_eq!(until(&second), closes.min(line.app.clock.now() + TimeDelta::hours(1)));
    // asking for servers is no coming back
    line.done("alice", "call:mute", json!({"muted": true})).await;
    line.take("dr", "call:peer-muted").await;
    line.done("dr", "signal:offer", json!({"sdp": sdp("still here")})).await;
    assert_eq!(line.take("alice", "signal:offer").await["sdp"], sdp("still here"));
    line.tell("alice", "call:hangup").await;
    line.app.settle().await;
}

#[tokio::test]
async fn what_happened_while_a_node_heard_nothing_is_told_when_it_hears_again() {
    let line = line().await;
    line.talk().await;
    let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
               WHERE datname = current_database() AND application_name = 'huntzen hears'";
    assert!(line.app.count(cut).await >= 1);
    // committed while nobody listens
    line.done("dr", "signal:offer", json!({"sdp": sdp("meanwhile")})).await;
    line.done("dr", "call:mute", json!({"muted": true})).await;
    assert_eq!(line.take("alice", "signal:offer").await["sdp"], sdp("meanwhile"));
    assert_eq!(line.take("alice", "call:peer-muted").await["muted"], true);
    assert!(line.app.count(cut).await >= 1);
    line.tell("dr", "call:hangup").await;
    line.take("alice", "call:ended").await;
    line.app.settle().await;
}

#[tokio::test]
async fn a_database_that_closes_its_connections_ends_no_call() {
    let line = line().await;
    line.talk().await;
    let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
               WHERE datname = current_database() AND usename LIKE 'huntzen%'";
    line.app.count(cut).await;
    line.app.clock.advance(seconds(11));
    line.done("dr", "signal:offer", json!({"sdp": sdp("after all")})).await;
    assert_eq!(line.take("alice", "signal:offer").await["sdp"], sdp("after all"));
    line.tell("alice", "call:hangup").await;
    line.take("dr", "call:ended").await;
    line.app.settle().await;
}
