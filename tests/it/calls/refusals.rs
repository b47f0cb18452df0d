//! What is refused, and that nothing breaks by it.

use super::*;

const EVENTS: [&str; 9] = [
    "call:join",
    "call:ring",
    "call:accept",
    "call:decline",
    "call:mute",
    "call:hangup",
    "signal:offer",
    "signal:answer",
    "signal:ice",
];

/// A payload of each event that would do.
fn payload(line: &Line, event: &str) -> Value {
    line.with(match event {
        "call:mute" => json!({"muted": true}),
        "signal:offer" | "signal:answer" => json!({"sdp": sdp("let me in")}),
        "signal:ice" => json!({"candidate": {"candidate": "candidate:1"}}),
        _ => json!({}),
    })
}

#[tokio::test]
async fn nobody_else_enters_the_rooms_or_does_anything_in_them() {
    let line = line().await;
    line.talk().await;
    let other = line.app.practitioner().await;
    let globex = line.app.company("Globex").await;
    let strangers = [
        ("bob", line.app.employee(&line.company).await),
        ("carol", line.app.employee(&globex).await),
        ("other", other),
    ];
    for (name, user) in &strangers {
        line.connect(name, user).await;
        for event in EVENTS {
            let refused = line.sockets.ask(name, event, payload(&line, event)).await;
            let code = if event == "call:join" { "not_found" } else { "call_not_joined" };
            assert_eq!((&refused["ok"], &refused["code"]), (&json!(false), &json!(code)), "{name} {event}");
        }
        assert_eq!(line.untaken(name).await, [""; 0]);
    }
    let company = Some(line.company.id);
    for (user, role, company) in [
        (&line.company.hr, Role::Hr, company),
        (&line.company.admin, Role::CompanyAdmin, company),
        (&line.app.platform_admin().await, Role::PlatformAdmin, None),
    ] {
        let token = line.app.session(user.id, role, company).await;
        let args =
            json!({"url": line.app.base, "namespace": "/audio-call", "token": token, "transports": ["websocket"]});
        assert_eq!(line.sockets.run("connect", "x", args).await, json!({"error": "forbidden"}));
    }
    // the two go on
    line.done("alice", "signal:offer", json!({"sdp": sdp("between us")})).await;
    line.take("dr", "signal:offer").await;
    line.app.settle().await;
}

#[tokio::test]
async fn rooms_open_ten_minutes_before_and_for_calls_only() {
    let mut line = line().await;
    let (start, end) = (instant(&line.booked.str("/startsAt")), instant(&line.booked.str("/endsAt")));
    go_to(&line.app, start - TimeDelta::minutes(11), &mut line.alice, &mut line.dr).await;
    line.connect("early", &line.alice).await;
    let early = line.refused("early", "call:join", "not_open_yet").await;
    assert_eq!(instant(early["opensAt"].as_str().unwrap()), start - TimeDelta::minutes(10));
    assert_eq!(instant(early["closesAt"].as_str().unwrap()), end + TimeDelta::minutes(30));
    line.refused("early", "call:ring", "call_not_joined").await;
    go_to(&line.app, start - TimeDelta::minutes(10), &mut line.alice, &mut line.dr).await;
    line.enter("in time", &line.alice).await;
    go_to(&line.app, end + TimeDelta::minutes(30) + seconds(1), &mut line.alice, &mut line.dr).await;
    line.connect("late", &line.alice).await;
    line.refused("late", "call:join", "closed").await;

    for mode in ["video", "chat"] {
        let booked = book(&line.app, &line.alice, &line.dr, mode).await;
        go_to(&line.app, instant(&booked.str("/startsAt")), &mut line.alice, &mut line.dr).await;
        line.connect(mode, &line.alice).await;
        let refused = line.sockets.ask(mode, "call:join", json!({"consultationId": booked.json["id"]})).await;
        assert_eq!(refused["code"], "not_an_audio_session");
        assert_eq!(refused["detail"], "Les appels sont réservés aux séances audio.");
    }
    line.app.settle().await;
}

#[tokio::test]
async fn what_does_not_fit_the_call_is_refused() {
    let line = line().await;
    line.enter("alice", &line.alice).await;
    line.enter("dr", &line.dr).await;
    for name in ["alice", "dr"] {
        line.refused(name, "call:accept", "not_ringing").await;
        line.refused(name, "call:hangup", "not_in_call").await;
        for event in ["call:mute", "signal:offer", "signal:ice"] {
            assert_eq!(line.sockets.ask(name, event, payload(&line, event)).await["code"], "not_in_call", "{event}");
        }
    }
    let rung = line.tell("alice", "call:ring").await;
    assert_eq!(line.tell("alice", "call:ring").await["callId"], rung["callId"], "once more is the same");
    // nothing is signalled before somebody accepts
    for name in ["alice", "dr"] {
        for event in ["signal:offer", "signal:answer", "signal:ice"] {
            assert_eq!(line.sockets.ask(name, event, payload(&line, event)).await["code"], "not_in_call", "{event}");
        }
    }
    line.tell("dr", "call:accept").await;
    assert_eq!(line.tell("dr", "call:accept").await["callId"], rung["callId"]);
    assert_eq!(line.tell("alice", "call:ring").await["call"]["status"], "connected");
    line.tell("dr", "call:hangup").await;
    line.refused("alice", "call:hangup", "not_in_call").await;
    // fifty calls are enough for a session
    sqlx::query("ALTER TABLE app.call_sessions DISABLE TRIGGER USER").execute(line.app.db()).await.unwrap();
    sqlx::query("UPDATE app.call_sessions SET number = 50").execute(line.app.db()).await.unwrap();
    sqlx::query("ALTER TABLE app.call_sessions ENABLE TRIGGER USER").execute(line.app.db()).await.unwrap();
    line.refused("dr", "call:ring", "too_many_calls").await;
    line.app.settle().await;
}

#[tokio::test]
async fn payloads_of_any_kind_get_an_answer_and_break_nothing() {
    let line = line().await;
    line.talk().await;
    let rubbish = [
        json!(null),
        json!([]),
        json!(7),
        json!("text"),
        json!({"consultationId": 1}),
        json!({"consultationId": line.booked.json["id"], "more": true}),
        json!({"consultationId": line.booked.json["id"], "sdp": [], "muted": "yes", "candidate": "x", "deviceId": "x"}),
    ];
    for event in EVENTS {
        // each on a socket of its own, within its pace
        line.connect(event, &line.alice).await;
        for data in &rubbish {
            let refused = line.sockets.ask(event, event, data.clone()).await;
            assert_eq!(
                (&refused["ok"], &refused["code"]),
                (&json!(false), &json!("invalid")),
                "{event} {data}: {refused}"
            );
            assert!(refused["errors"][0]["code"].is_string() && refused["detail"].is_string());
        }
    }
    let refused = line.refused("call:join", "call:forge", "unknown_event").await;
    assert!(refused["detail"].is_string());
    let long = "x".repeat(40_000);
    for (event, more, pointer, code) in [
        ("signal:offer", json!({"sdp": format!("v=0\r\n{long}")}), "/sdp", "max_length"),
        ("signal:answer", json!({"sdp": "no description"}), "/sdp", "pattern"),
        // in bytes, whatever the characters
        ("signal:offer", json!({"sdp": format!("v=0\r\n{}", "é".repeat(30_000))}), "/sdp", "max_length"),
        ("signal:ice", json!({"candidate": {"candidate": "é".repeat(4_000)}}), "/candidate", "max_length"),
        ("signal:ice", json!({"candidate": {"candidate": &long[..5_000]}}), "/candidate/candidate", "max_length"),
        (
            "signal:ice",
            json!({"candidate": {"candidate": "", "sdpMLineIndex": 65}}),
            "/candidate/sdpMLineIndex",
            "maximum",
        ),
        (
            "signal:ice",
            json!({"candidate": {"candidate": "", "sdpMLineIndex": -1}}),
            "/candidate/sdpMLineIndex",
            "minimum",
        ),
        (
            "signal:ice",
            json!({"candidate": {"candidate": "", "foundation": "1"}}),
            "/candidate/foundation",
            "unknown_property",
        ),
    ] {
        let refused = line.sockets.ask("alice", event, line.with(more)).await;
        assert_eq!(
            (&refused["errors"][0]["pointer"], &refused["errors"][0]["code"]),
            (&json!(pointer), &json!(code)),
            "{refused}"
        );
    }
    let refused = line.sockets.ask("alice", "signal:offer", line.with(json!({"sdp": "v=0\r\n".repeat(20_000)}))).await;
    assert_eq!(refused["code"], "body_too_large");
    // the longest that is allowed arrives
    let longest = format!("v=0\r\n{}", "é".repeat(32_763 / 2));
    line.done("alice", "signal:offer", json!({"sdp": longest})).await;
    assert_eq!(line.take("dr", "signal:offer").await["sdp"], longest);
    // nor do answers that nobody asked for, or frames that are no events
    line.sockets.run("tell", "alice", json!({"event": "call:mute", "data": line.about()})).await;
    line.done("alice", "call:mute", json!({"muted": true})).await;
    line.take("dr", "call:peer-muted").await;
    line.app.settle().await;
}

#[tokio::test]
async fn a_socket_is_in_eight_rooms_at_most_and_those_that_have_closed_do_not_count() {
    let line = line().await;
    line.enter("alice", &line.alice).await;
    let start = instant(&line.booked.str("/startsAt"));
    sqlx::query("ALTER TABLE app.consultations DROP CONSTRAINT consultations_employee_free, DROP CONSTRAINT consultations_practitioner_free")
        .execute(line.app.db())
        .await
        .unwrap();
    let sessions = async |starts: DateTime<Utc>, count: i32| -> Vec<Uuid> {
        sqlx::query_scalar(
            "INSERT INTO app.consultations (id, company_id, user_id, practitioner_id, mode, status, starts_at, ends_at, busy_from,
                                            busy_until, specialty, agreed_at)
             SELECT gen_random_uuid(), company_id, user_id, practitioner_id, 'audio', 'confirmed', $1, $2, $1, $2, specialty,
                    agreed_at
             FROM (SELECT * FROM app.consultations WHERE id = $4) it, generate_series(1, $3) RETURNING id",
        )
        .bind(starts)
        .bind(starts + TimeDelta::minutes(30))
        .bind(count)
        .bind(Uuid::parse_str(&line.booked.str("/id")).unwrap())
        .fetch_all(line.app.db())
        .await
        .unwrap()
    };
    let (earlier, now) = (sessions(start - TimeDelta::minutes(55), 7).await, sessions(start, 1).await);
    for id in &earlier {
        line.sockets.done("alice", "call:join", json!({"consultationId": id})).await;
    }
    let ninth = json!({"consultationId": now[0]});
    assert_eq!(line.sockets.ask("alice", "call:join", ninth.clone()).await["code"], "too_many_rooms");
    line.tell("alice", "call:join").await;
    // the rooms of the others close
    line.app.clock.advance(TimeDelta::minutes(6));
    line.sockets.done("alice", "call:join", ninth).await;
    line.app.settle().await;
}

#[tokio::test]
async fn a_session_that_is_revoked_in_the_middle_of_a_call_is_out_of_it() {
    let line = line().await;
    line.talk().await;
    line.alice.post("/auth/logout", json!({})).await.expect(204);
    assert_eq!(line.sockets.ended("alice").await["reason"], "io server disconnect");
    line.take("dr", "call:peer-lost").await;
    line.app.clock.advance(seconds(31));
    assert_eq!(line.take("dr", "call:ended").await["reason"], "lost");
    line.app.settle().await;
}

#[tokio::test]
async fn a_token_that_runs_out_in_the_middle_of_a_call_may_be_renewed_for_a_minute_and_the_call_goes_on() {
    let mut line = line().await;
    // whose tokens end in the middle of what follows
    let ends = line.app.clock.now() + TimeDelta::minutes(15);
    go_to(&line.app, ends - TimeDelta::minutes(15), &mut line.alice, &mut line.dr).await;
    line.app.clock.advance(TimeDelta::minutes(15) - seconds(10));
    line.talk().await;
    // nobody is lost: the two are heard as long as a newer token may come
    let heard = "SELECT (count(*) = 2)::int::bigint FROM app.call_parties
                 WHERE seen_at >= now() + $1 * interval '1 millisecond' - interval '5 seconds' AND lost_at IS NULL";
    for _ in 0..3 {
        line.app.clock.advance(seconds(20));
        let shift = line.app.clock.shift().num_milliseconds();
        while sqlx::query_scalar::<_, i64>(heard).bind(shift).fetch_one(line.app.db()).await.unwrap() == 0 {
            tokio::task::yield_now().await;
        }
    }
    let refused = line.sockets.ask("alice", "call:mute", line.with(json!({"muted": true}))).await;
    assert_eq!(refused["code"], "token_expired");
    assert_eq!(line.untaken("alice").await, [""; 0]);
    for (name, user, role) in [("alice", &line.alice, Role::Employee), ("dr", &line.dr, Role::Practitioner)] {
        let fresh = line.app.session(user.id, role, user.company_id).await;
        line.sockets.done(name, "auth:refresh", json!({"token": fresh})).await;
    }
    let call = line.tell("alice", "call:join").await["call"].clone();
    assert_eq!((&call["status"], &call["here"], &call["peerLost"]), (&json!("connected"), &json!(true), &json!(false)));
    line.done("alice", "signal:offer", json!({"sdp": sdp("still here")})).await;
    assert_eq!(line.take("dr", "signal:offer").await["sdp"], sdp("still here"));
    for name in ["alice", "dr"] {
        assert_eq!(line.untaken(name).await, [""; 0], "nobody was lost, and nothing ended");
    }
    assert_eq!(line.endings().await, ["-"]);
    line.app.settle().await;
}

#[tokio::test]
async fn whose_token_is_not_renewed_within_a_minute_is_out_of_the_call() {
    let line = line().await;
    line.talk().await;
    line.app.clock.advance(seconds(15 * 60 + 10));
    let fresh = line.app.session(line.dr.id, Role::Practitioner, None).await;
    line.sockets.done("dr", "auth:refresh", json!({"token": fresh})).await;
    let refused = line.sockets.ask("alice", "call:mute", line.with(json!({"muted": true}))).await;
    assert_eq!(refused["code"], "token_expired");
    let refused = line.sockets.ask("alice", "auth:refresh", json!({"token": fresh})).await;
    assert_eq!(refused["ok"], false, "somebody else's token renews nothing");
    line.app.clock.advance(seconds(61));
    assert_eq!(line.sockets.ended("alice").await["reason"], "io server disconnect");
    line.take("dr", "call:peer-lost").await;
    line.app.clock.advance(seconds(31));
    assert_eq!(line.take("dr", "call:ended").await["reason"], "lost");
    line.app.settle().await;
}
