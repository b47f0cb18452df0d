//! Several devices, people who are busy, and devices that come back.

use super::*;

#[tokio::test]
async fn every_device_rings_one_accepts_and_the_others_are_told() {
    let line = line().await;
    let node = line.app.second_node().await;
    line.enter("alice", &line.alice).await;
    line.enter("desk", &line.dr).await;
    line.connect_to("telephone", &node.base, &line.dr).await;
    line.tell("telephone", "call:join").await;
    line.tell("alice", "call:ring").await;
    for device in ["desk", "telephone"] {
        line.take(device, "call:ringing").await;
    }
    // somebody who comes while it rings is shown that it does
    let late = line.enter("tablet", &line.dr).await;
    assert_eq!((&late["call"]["status"], &late["call"]["outgoing"]), (&json!("ringing"), &json!(false)));
    line.tell("telephone", "call:accept").await;
    line.take("alice", "call:accepted").await;
    for device in ["desk", "tablet"] {
        let ended = line.take(device, "call:ended").await;
        assert_eq!((&ended["reason"], &ended["byMe"]), (&json!("answered_elsewhere"), &json!(true)));
        line.refused(device, "call:accept", "call_elsewhere").await;
        line.refused(device, "call:ring", "call_elsewhere").await;
        line.refused(device, "call:hangup", "call_elsewhere").await;
        line.refused(device, "call:decline", "not_ringing").await;
    }
    // what is signalled is for the device that accepted
    line.done("alice", "signal:offer", json!({"sdp": sdp("one")})).await;
    line.take("telephone", "signal:offer").await;
    line.tell("telephone", "call:hangup").await;
    line.take("alice", "call:ended").await;
    for device in ["desk", "tablet"] {
        line.tell(device, "call:join").await;
        assert_eq!(line.untaken(device).await, [""; 0], "{device}");
    }
    line.app.settle().await;
}

#[tokio::test]
async fn whoever_talks_is_busy_to_others() {
    let line = line().await;
    line.talk().await;
    // his next session, whose rooms are open by now
    let carol = line.app.employee(&line.company).await;
    line.next_session(Uuid::from_u128(7), &carol).await;
    line.app.clock.advance(TimeDelta::minutes(12) + TimeDelta::minutes(8));
    let next = json!({"consultationId": Uuid::from_u128(7)});
    let mut users = [("carol", carol.clone(), Role::Employee), ("dr here", line.dr.clone(), Role::Practitioner)];
    for (name, user, role) in &mut users {
        *user = user.with_token(line.app.session(user.id, *role, user.company_id).await);
        line.connect(name, user).await;
        line.sockets.done(name, "call:join", next.clone()).await;
    }
    for (name, code) in [("carol", "peer_busy"), ("dr here", "in_another_call")] {
        let refused = line.sockets.ask(name, "call:ring", next.clone()).await;
        assert_eq!((&refused["ok"], &refused["code"]), (&json!(false), &json!(code)), "{refused}");
    }
    for (name, user, role) in [("alice", &line.alice, Role::Employee), ("dr", &line.dr, Role::Practitioner)] {
        let fresh = line.app.session(user.id, role, user.company_id).await;
        line.connect(&format!("{name} again"), &user.with_token(fresh)).await;
    }
    // a call that nobody hears of any more keeps nobody from the next one
    sqlx::query("UPDATE app.call_parties SET lost_at = $1 WHERE is_live AND side = 'employee'")
        .bind(line.app.clock.now() - seconds(31))
        .execute(line.app.db())
        .await
        .unwrap();
    line.sockets.done("carol", "call:ring", next.clone()).await;
    line.take("dr here", "call:ringing").await;
    line.sockets.done("dr here", "call:decline", next).await;
    line.take("carol", "call:declined").await;
    line.app.settle().await;
}

#[tokio::test]
async fn of_two_who_ring_the_same_person_at_once_one_gets_through() {
    let line = line().await;
    let start = instant(&line.booked.str("/startsAt"));
    let mut ids = vec![line.booked.json["id"].clone()];
    let mut people = vec![line.alice.clone()];
    for n in 1..6_i32 {
        let user = line.app.employee(&line.company).await;
        let id = Uuid::from_u128(100 + u128::try_from(n).unwrap());
        // such a thing only happens where sessions overrun: the next one starts when this one is to end
        sqlx::query(
            "INSERT INTO app.consultations (id, company_id, user_id, practitioner_id, mode, status, starts_at, ends_at, busy_from,
                                            busy_until, specialty, agreed_at)
             SELECT $1, company_id, $2, practitioner_id, 'audio', 'confirmed', $3, $4, $3, $4, specialty, agreed_at
             FROM app.consultations LIMIT 1",
        )
        .bind(id)
        .bind(user.id)
        .bind(start + TimeDelta::minutes(30) + TimeDelta::seconds(i64::from(n)))
        .bind(start + TimeDelta::minutes(30) + TimeDelta::seconds(i64::from(n + 1)))
        .execute(line.app.db())
        .await
        .unwrap();
        ids.push(json!(id));
        people.push(user);
    }
    line.app.clock.advance(TimeDelta::minutes(21));
    for (n, (user, id)) in people.iter().zip(&ids).enumerate() {
        let fresh = line.app.session(user.id, Role::Employee, user.company_id).await;
        line.connect(&n.to_string(), &user.with_token(fresh)).await;
        line.sockets.done(&n.to_string(), "call:join", json!({"consultationId": id})).await;
    }
    let ask = |n: usize| {
        let (line, id) = (&line, ids[n].clone());
        async move { line.sockets.ask(&n.to_string(), "call:ring", json!({"consultationId": id})).await }
    };
    let answers = futures_util::future::join_all((0..6).map(ask)).await;
    let through = answers.iter().filter(|it| it["ok"] == true).count();
    let busy = answers.iter().filter(|it| it["code"] == "peer_busy").count();
    assert_eq!((through, busy), (1, 5), "{answers:?}");
    line.app.settle().await;
}

#[tokio::test]
async fn a_device_comes_back_on_another_node_and_goes_on_where_it_was() {
    let line = line().await;
    let node = line.app.second_node().await;
    let device = json!({"deviceId": Uuid::new_v4(), "resumes": true});
    line.enter_as("alice", &line.alice, device.clone()).await;
    line.enter("dr", &line.dr).await;
    line.tell("dr", "call:ring").await;
    line.take("alice", "call:ringing").await;
    line.tell("alice", "call:accept").await;
    line.take("dr", "call:accepted").await;

    line.sockets.run("close", "alice", json!({})).await;
    let lost = line.take("dr", "call:peer-lost").await;
    assert!(instant(lost["until"].as_str().unwrap()) <= line.app.clock.now() + seconds(30));
    line.done("dr", "signal:offer", json!({"sdp": sdp("restart")})).await;
    line.done("dr", "call:mute", json!({"muted": true})).await;
    line.app.clock.advance(seconds(20));
    line.connect_to("alice again", &node.base, &line.alice).await;
    let back = line.done("alice again", "call:join", device.clone()).await;
    assert_eq!((&back["call"]["status"], &back["call"]["here"]), (&json!("connected"), &json!(true)));
    assert_eq!((&back["call"]["peerMuted"], &back["call"]["muted"]), (&json!(true), &json!(false)));
    assert_eq!(line.take("dr", "call:peer-back").await["resumes"], true);
    assert_eq!(line.take("alice again", "signal:offer").await["sdp"], sdp("restart"), "what waited for it");
    line.done("alice again", "signal:answer", json!({"sdp": sdp("here")})).await;
    assert_eq!(line.take("dr", "signal:answer").await["sdp"], sdp("here"));

    // a page that was loaded anew wants nothing of what was said to the one before
    line.sockets.run("close", "alice again", json!({})).await;
    line.take("dr", "call:peer-lost").await;
    line.done("dr", "signal:offer", json!({"sdp": sdp("to the old page")})).await;
    let mut reloaded = device.clone();
    reloaded["resumes"] = json!(false);
    line.enter_as("alice reloaded", &line.alice, reloaded).await;
    assert_eq!(line.take("dr", "call:peer-back").await["resumes"], false);
    line.done("dr", "signal:offer", json!({"sdp": sdp("to the new page")})).await;
    assert_eq!(line.take("alice reloaded", "signal:offer").await["sdp"], sdp("to the new page"));

    // the same device twice: the later one is it
    line.enter_as("alice twice", &line.alice, device).await;
    assert_eq!(line.take("alice reloaded", "call:ended").await["reason"], "elsewhere");
    line.refused("alice reloaded", "call:hangup", "call_elsewhere").await;
    let offer = line.with(json!({"sdp": sdp("no")}));
    let refused = line.sockets.ask("alice reloaded", "signal:offer", offer).await;
    assert_eq!(refused["code"], "not_in_call");
    line.tell("alice twice", "call:hangup").await;
    assert_eq!(line.take("dr", "call:ended").await["reason"], "hung_up");
    line.app.settle().await;
}

#[tokio::test]
async fn another_device_takes_the_place_of_one_that_is_lost() {
    let line = line().await;
    line.talk().await;
    let call = line.enter("tablet", &line.alice).await;
    assert_eq!((&call["call"]["status"], &call["call"]["here"]), (&json!("connected"), &json!(false)));
    line.refused("tablet", "call:ring", "call_elsewhere").await;
    line.sockets.run("close", "alice", json!({})).await;
    line.take("dr", "call:peer-lost").await;
    let moved = line.tell("tablet", "call:ring").await;
    assert_eq!((&moved["call"]["status"], &moved["call"]["here"]), (&json!("connected"), &json!(true)));
    assert_eq!(line.take("dr", "call:peer-back").await["resumes"], false);
    line.done("tablet", "signal:offer", json!({"sdp": sdp("from the tablet")})).await;
    assert_eq!(line.take("dr", "signal:offer").await["sdp"], sdp("from the tablet"));
    line.tell("dr", "call:hangup").await;
    line.take("tablet", "call:ended").await;
    line.app.settle().await;
}

#[tokio::test]
async fn a_device_that_sees_the_call_on_another_hears_what_becomes_of_it() {
    let line = line().await;
    let device = json!({"deviceId": Uuid::new_v4(), "resumes": true});
    line.enter_as("alice", &line.alice, device.clone()).await;
    line.enter("dr", &line.dr).await;
    line.tell("dr", "call:ring").await;
    line.tell("alice", "call:accept").await;
    let shown = line.enter("tablet", &line.alice).await;
    let here = |shown: &Value| (shown["call"]["here"].clone(), shown["call"]["deviceLost"].clone());
    assert_eq!(here(&shown), (json!(false), json!(false)));
    line.sockets.run("close", "alice", json!({})).await;
    let lost = line.take("tablet", "call:device-lost").await;
    assert_eq!(lost["callId"], shown["call"]["id"]);
    assert_eq!(here(&line.tell("tablet", "call:join").await), (json!(false), json!(true)));
    line.enter_as("alice again", &line.alice, device).await;
    line.take("tablet", "call:device-back").await;
    line.tell("dr", "call:hangup").await;
    let ended = line.take("tablet", "call:ended").await;
    assert_eq!((&ended["reason"], &ended["byMe"]), (&json!("hung_up"), &json!(false)));
    line.app.settle().await;
}

#[tokio::test]
async fn what_waits_for_somebody_who_is_away_is_bounded() {
    let line = line().await;
    line.talk().await;
    line.sockets.run("close", "dr", json!({})).await;
    line.take("alice", "call:peer-lost").await;
    let call: Uuid = sqlx::query_scalar("SELECT id FROM app.call_sessions").fetch_one(line.app.db()).await.unwrap();
    // as if it had been said, within the pace of a socket
    sqlx::query(
        "INSERT INTO app.call_signals (id, company_id, call_id, user_id, practitioner_id, addressee_id, number, kind, sealed, created_at)
         SELECT gen_random_uuid(), company_id, id, user_id, practitioner_id, practitioner_id, 100 + n, 'ice', '\\x00', rang_at
         FROM app.call_sessions, generate_series(1, 99) n WHERE id = $1",
    )
    .bind(call)
    .execute(line.app.db())
    .await
    .unwrap();
    line.done("alice", "signal:ice", json!({"candidate": {"candidate": "candidate:100"}})).await;
    let one = line.with(json!({"candidate": {"candidate": "candidate:101"}}));
    assert_eq!(line.sockets.ask("alice", "signal:ice", one.clone()).await["code"], "too_many_signals");
    // and so is what is said in one call at all
    sqlx::query("DELETE FROM app.call_signals").execute(line.app.db()).await.unwrap();
    sqlx::query("UPDATE app.call_parties SET signals = 1999 WHERE side = 'employee'")
        .execute(line.app.db())
        .await
        .unwrap();
    line.sockets.done("alice", "signal:ice", one.clone()).await;
    assert_eq!(line.sockets.ask("alice", "signal:ice", one).await["code"], "too_many_signals");
    line.tell("alice", "call:hangup").await;
    line.app.settle().await;
}
