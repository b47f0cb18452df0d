//! The namespace `/notifications`, with the official client, on two nodes.

use uuid::Uuid;

use super::*;

#[tokio::test]
async fn a_booking_is_told_at_once_to_both_on_whichever_node_they_are() {
    Box::pin(a_booking_is_told(json!(["websocket"]))).await;
}

#[tokio::test]
async fn a_booking_is_told_at_once_to_both_who_poll() {
    Box::pin(a_booking_is_told(json!(["polling"]))).await;
}

#[tokio::test]
async fn a_booking_is_told_at_once_to_both_whose_connections_are_upgraded() {
    Box::pin(a_booking_is_told(json!(["polling", "websocket"]))).await;
}

/// To people who come by these ways.
async fn a_booking_is_told(transports: Value) {
    let (app, _, alice, dr) = scene().await;
    let node = app.second_node().await;
    let sockets = Sockets::start();
    for (name, base, user) in
        [("alice", &app.base, &alice), ("alice elsewhere", &node.base, &alice), ("dr", &node.base, &dr)]
    {
        assert_eq!(sockets.enter_by(name, base, &user.token, &transports).await, 0, "{name}");
    }
    let booked = book_on(&alice, &dr, in_days(&app, 4)).await;
    app.settle().await;
    for (name, user) in [("alice", &alice), ("alice elsewhere", &alice), ("dr", &dr)] {
        let told = sockets.take(name, "notification:new").await;
        assert_eq!(told, user.get("/notifications").await.expect(200).json["items"][0], "{name}");
        assert_eq!(sockets.take(name, "unread:count").await, json!({"unreadCount": 1}), "{name}");
        let updated = sockets.take(name, "consultation:updated").await;
        assert_eq!(updated["consultationId"], booked.json["id"], "{name}");
        assert_eq!((&updated["status"], &updated["mode"]), (&json!("confirmed"), &json!("video")), "{name}");
        assert_eq!((&updated["startsAt"], &updated["endsAt"]), (&booked.json["startsAt"], &booked.json["endsAt"]));
    }
    // read on one device, the other one knows
    let id = all(&alice, "id").await.remove(0);
    alice.post(&format!("/notifications/{}/read", id.as_str().unwrap()), json!({})).await.expect(200);
    for name in ["alice", "alice elsewhere"] {
        assert_eq!(sockets.take(name, "unread:count").await, json!({"unreadCount": 0}), "{name}");
    }
    // his are his own
    let heard = sockets.run("events", "dr", json!({})).await;
    assert_eq!(heard, json!([]), "{heard}");

    // whoever watches his free times hears that they change; a connection that breaks brings nothing twice
    sockets.run("cut", "alice", json!({})).await;
    assert_eq!(sockets.take("alice", "unread:count").await, json!({"unreadCount": 0}));
    sockets.done("alice", "slots:watch", json!({"practitionerId": dr.id})).await;
    dr.post(&format!("/consultations/{}/cancel", booked.str("/id")), json!({"reason": "ill"})).await.expect(200);
    app.settle().await;
    assert_eq!(sockets.take("alice", "slots:changed").await, json!({"practitionerId": dr.id}));
    for name in ["alice", "alice elsewhere", "dr"] {
        // whoever has just come is told again how it stood a moment ago
        while sockets.take(name, "consultation:updated").await["status"] != "cancelled" {}
    }
    for name in ["alice", "alice elsewhere"] {
        assert_eq!(sockets.take(name, "notification:new").await["kind"], "consultation_cancelled", "{name}");
        assert_eq!(sockets.take(name, "unread:count").await, json!({"unreadCount": 1}), "{name}");
    }
    let fresh = app.session(alice.id, Role::Employee, alice.company_id).await;
    sockets.done("alice", "auth:refresh", json!({"token": fresh})).await;
    alice.with_token(fresh).post("/auth/logout", json!({})).await.expect(204);
    assert!(sockets.ended("alice").await["reason"].is_string());
    app.settle().await;
}

#[tokio::test]
async fn whoever_comes_back_after_a_break_knows_how_many_are_unread_and_nothing_is_told_twice() {
    let (app, _, alice, dr) = scene().await;
    let sockets = Sockets::start();
    assert_eq!(sockets.enter("alice", &app.base, &alice.token).await, 0);
    sockets.run("cut", "alice", json!({})).await;
    assert_eq!(sockets.take("alice", "unread:count").await["unreadCount"], 0);
    book_on(&alice, &dr, in_days(&app, 4)).await;
    app.settle().await;
    assert_eq!(sockets.take("alice", "unread:count").await["unreadCount"], 1);
    sockets.run("cut", "alice", json!({})).await;
    assert_eq!(sockets.take("alice", "unread:count").await["unreadCount"], 1);
    book_on(&alice, &dr, in_days(&app, 5)).await;
    app.settle().await;
    assert_eq!(sockets.take("alice", "unread:count").await["unreadCount"], 2);
    let heard = sockets.run("count", "alice", json!({"event": "notification:new", "least": 2})).await;
    let ids: std::collections::HashSet<_> = heard.as_array().unwrap().iter().map(|it| it["id"].to_string()).collect();
    assert_eq!((heard.as_array().unwrap().len(), ids.len()), (2, 2), "{heard}");
}

#[tokio::test]
async fn nobody_is_let_in_before_the_end_of_their_list_is_known() {
    let (app, _, alice, _) = scene().await;
    let sockets = Sockets::start();
    let mut holding = app.db().begin().await.unwrap();
    sqlx::query("LOCK TABLE app.notifications").execute(&mut *holding).await.unwrap();
    let args =
        json!({"url": app.base, "namespace": "/notifications", "token": alice.token, "transports": ["websocket"]});
    let mut entering = std::pin::pin!(sockets.run("connect", "alice", args));
    let waiting = async {
        app.until_one_waits().await;
        // time for an answer that was given already to come
        for _ in 0..50 {
            assert_eq!(sockets.run("events", "alice", json!({})).await, json!([]));
        }
    };
    // a client that is in reads its list, and what is added after that has to be told
    tokio::select! {
        biased;
        answer = &mut entering => panic!("in before its list could be read: {answer}"),
        () = waiting => {}
    }
    holding.commit().await.unwrap();
    assert_eq!(entering.await, json!({"connected": true}));
    assert_eq!(sockets.take("alice", "unread:count").await, json!({"unreadCount": 0}));
}

#[tokio::test]
async fn every_change_of_a_session_reaches_both_people_and_nobody_else() {
    let (app, company, mut alice, mut dr) = scene().await;
    let node = app.second_node().await;
    let booked = book_on(&alice, &dr, in_days(&app, 4)).await;
    let id = booked.str("/id");
    app.settle().await;
    let start = instant(&booked.str("/startsAt"));
    go_to(&app, start, &mut alice, &mut dr).await;
    let (bob, other) = (app.employee(&company).await, app.practitioner().await);
    let hr = company.hr.with_token(app.session(company.hr.id, Role::Hr, company.hr.company_id).await);
    let sockets = Sockets::start();
    for (name, base, user) in [
        ("alice", &app.base, &alice),
        ("dr", &node.base, &dr),
        ("bob", &node.base, &bob),
        ("other", &app.base, &other),
        ("hr", &app.base, &hr),
    ] {
        sockets.enter(name, base, &user.token).await;
    }
    for (step, status) in [("start", "in_progress"), ("end", "completed")] {
        dr.post(&format!("/consultations/{id}/{step}"), json!({})).await.expect(200);
        for name in ["alice", "dr"] {
            // what one transaction changed twice may be told twice
            loop {
                let told = sockets.take(name, "consultation:updated").await;
                assert_eq!(told["consultationId"], id.as_str());
                if told["status"] == status {
                    break;
                }
            }
        }
    }
    app.settle().await;
    for name in ["bob", "other", "hr"] {
        let heard = sockets.run("events", name, json!({})).await;
        assert_eq!(heard, json!([]), "{name}");
    }
}

/// What is told of a conversation, until it stands so.
async fn told_to_stand(sockets: &Sockets, name: &str, id: &str, last_seq: i64, unread: i64) {
    loop {
        let told = sockets.take(name, "conversation:updated").await;
        assert_eq!(told["conversationId"], id, "{name}");
        if (&told["lastSeq"], &told["unread"]) == (&json!(last_seq), &json!(unread)) {
            return;
        }
    }
}

#[tokio::test]
async fn lists_of_conversations_are_told_how_they_stand_and_nobody_elses_are() {
    let (app, company, alice, dr) = scene().await;
    let node = app.second_node().await;
    let id = book_on(&alice, &dr, in_days(&app, 4)).await.str("/id");
    app.settle().await;
    let sockets = Sockets::start();
    let bob = app.employee(&company).await;
    let people = [
        ("alice", &app.base, &alice),
        ("alice elsewhere", &node.base, &alice),
        ("dr", &node.base, &dr),
        ("bob", &node.base, &bob),
    ];
    for (name, base, user) in people {
        sockets.enter(name, base, &user.token).await;
    }
    let path = format!("/conversations/{id}/messages");
    let say = async |words: &str| {
        let body = json!({"clientId": Uuid::new_v4(), "body": words});
        alice.post(&path, body).await.expect(201).str("/id")
    };
    say("One").await;
    for (name, unread) in [("alice", 0), ("alice elsewhere", 0), ("dr", 1)] {
        told_to_stand(&sockets, name, &id, 1, unread).await;
    }
    // each node hears of it by more than one way, and looks again within a second
    for (name, ..) in people {
        let more = sockets.run("take", name, json!({"event": "conversation:updated", "patience": 1_500})).await;
        assert_eq!(more["error"], "nothing came", "{name}: {more}");
    }
    let gone = say("Two").await;
    told_to_stand(&sockets, "dr", &id, 2, 2).await;
    alice.delete(&format!("/messages/{gone}")).await.expect(200);
    told_to_stand(&sockets, "dr", &id, 2, 1).await;
    // read on one of his devices, the others know, and she is not told by this
    dr.post(&format!("/conversations/{id}/read"), json!({"seq": 2})).await.expect(200);
    told_to_stand(&sockets, "dr", &id, 2, 0).await;
    let listed = dr.get("/conversations").await.expect(200).json["items"][0].clone();
    assert_eq!((&listed["lastSeq"], &listed["unread"]), (&json!(2), &json!(0)));

    // what was committed by a node that died right then is told when it is sent once more
    let (client, seq): (Uuid, i64) = sqlx::query_as(
        "WITH v AS (UPDATE app.conversations SET last_seq = last_seq + 1, last_rev = last_rev + 1 WHERE id = $1 RETURNING *)
         INSERT INTO app.messages (id, company_id, conversation_id, user_id, practitioner_id, sender_id, client_id, seq, rev,
                                   created_at, deleted_at)
         SELECT gen_random_uuid(), company_id, id, user_id, practitioner_id, user_id, gen_random_uuid(), last_seq, last_rev,
                now(), now() FROM v RETURNING client_id, seq",
    )
    .bind(id.parse::<Uuid>().unwrap())
    .fetch_one(app.db())
    .await
    .unwrap();
    assert_eq!(seq, 3);
    alice.post(&path, json!({"clientId": client, "body": "Three"})).await.expect(201);
    told_to_stand(&sockets, "dr", &id, 3, 0).await;
    // and so is what was read, and what was taken back
    sqlx::query(
        "WITH v AS (UPDATE app.conversations SET last_rev = last_rev + 1 WHERE id = $1 RETURNING *)
         UPDATE app.message_receipts r SET read_seq = 3, delivered_seq = 3, rev = v.last_rev FROM v
         WHERE r.conversation_id = v.id AND r.reader_id = v.practitioner_id",
    )
    .bind(id.parse::<Uuid>().unwrap())
    .execute(app.db())
    .await
    .unwrap();
    let read = format!("/conversations/{id}/read");
    dr.post(&read, json!({"seq": 3})).await.expect(200);
    told_to_stand(&sockets, "dr", &id, 3, 0).await;
    let gone = say("Four").await;
    told_to_stand(&sockets, "dr", &id, 4, 1).await;
    sqlx::query(
        "WITH v AS (UPDATE app.conversations SET last_rev = last_rev + 1 WHERE id = $2 RETURNING *)
         UPDATE app.messages m SET rev = v.last_rev, version = m.version + 1, sealed = NULL, deleted_at = now() FROM v
         WHERE m.id = $1",
    )
    .bind(gone.parse::<Uuid>().unwrap())
    .bind(id.parse::<Uuid>().unwrap())
    .execute(app.db())
    .await
    .unwrap();
    alice.delete(&format!("/messages/{gone}")).await.expect(200);
    told_to_stand(&sockets, "dr", &id, 4, 0).await;

    // what nobody heard for a while is told when it is heard again
    sqlx::raw_sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND application_name = 'huntzen hears'",
    )
    .execute(app.db())
    .await
    .unwrap();
    say("Five").await;
    for (name, unread) in [("alice elsewhere", 0), ("dr", 1)] {
        told_to_stand(&sockets, name, &id, 5, unread).await;
    }
    app.settle().await;
    assert_eq!(sockets.run("events", "bob", json!({})).await, json!([]));
}

#[tokio::test]
async fn a_notification_that_somebody_forged_shows_nobody_anything() {
    let (app, company, alice, dr) = scene().await;
    let bob = app.employee(&company).await;
    let id = book_on(&alice, &dr, in_days(&app, 4)).await.str("/id");
    app.settle().await;
    let sockets = Sockets::start();
    for (name, user) in [("bob", &bob), ("hr", &company.hr)] {
        assert_eq!(sockets.enter(name, &app.base, &user.token).await, 0);
        let forged = [
            ("consultation_changed", format!("{} {id}", user.id)),
            ("notifications_changed", user.id.to_string()),
            ("notifications_changed", alice.id.to_string()),
            ("notifications_changed", "nobody".to_owned()),
            ("consultation_changed", "nothing at all".to_owned()),
            ("chat_changed", format!("{id} 1 {} {}", user.id, alice.id)),
            ("chat_changed", format!("nothing 1 {}", user.id)),
            ("call_rings", user.id.to_string()),
            ("call_rings", "everybody".to_owned()),
            ("peer_joined", format!("{} {id}", user.id)),
            ("peer_joined", "nothing at all".to_owned()),
            ("slots_changed", "'; DROP TABLE".to_owned()),
            ("slots_changed", dr.id.to_string()),
        ];
        for (channel, about) in forged {
            sqlx::query("SELECT pg_notify($1, $2)").bind(channel).bind(about).execute(app.db()).await.unwrap();
        }
        // a change of their own, after all that
        sqlx::query(
            "INSERT INTO app.notifications (id, user_id, place, kind, object_type, object_id, created_at)
             VALUES (gen_random_uuid(), $1, 1, 'password_changed', 'account', $1, now())",
        )
        .bind(user.id)
        .execute(app.db())
        .await
        .unwrap();
        assert_eq!(sockets.take(name, "unread:count").await["unreadCount"], 1);
        let heard = sockets.run("events", name, json!({})).await;
        // a node that begins to listen just now counts once more
        let others: Vec<_> = heard.as_array().unwrap().iter().filter(|it| it[0] != "unread:count").collect();
        assert_eq!(others.len(), 1, "{heard}");
        assert_eq!(others[0][0], "notification:new");
    }
}

#[tokio::test]
async fn only_who_holds_a_token_that_counts_enters_and_the_end_of_a_session_closes_it() {
    let (app, company, alice, dr) = scene().await;
    let node = app.second_node().await;
    let sockets = Sockets::start();
    for (name, token) in [("nobody", ""), ("nonsense", "x.y.z")] {
        let args = json!({"url": app.base, "namespace": "/notifications", "token": token, "transports": ["websocket"]});
        assert_eq!(sockets.run("connect", name, args).await, json!({"error": "unauthenticated"}));
    }
    // all roles have one of their own
    let staff = app.platform_admin().await;
    for (name, user) in [("dr", &dr), ("hr", &company.hr), ("admin", &company.admin), ("staff", &staff)] {
        assert_eq!(sockets.enter(name, &app.base, &user.token).await, 0, "{name}");
    }
    let other = app.session(alice.id, Role::Employee, alice.company_id).await;
    sockets.enter("alice", &node.base, &other).await;
    alice.with_token(other).post("/auth/logout", json!({})).await.expect(204);
    assert_eq!(sockets.ended("alice").await["reason"], "io server disconnect");
    // events that nobody knows, and payloads that are none
    for data in [json!(null), json!({}), json!([1]), json!("x"), json!({"practitionerId": 7})] {
        let answer = sockets.ask("dr", "slots:watch", data.clone()).await;
        assert_eq!(answer["ok"], false, "{data}: {answer}");
        let answer = sockets.ask("dr", "no:such", data).await;
        assert_eq!((&answer["ok"], &answer["code"]), (&json!(false), &json!("unknown_event")));
    }
    assert_eq!(sockets.done("dr", "auth:refresh", json!({"token": dr.token})).await["ok"], true);
}

#[tokio::test]
async fn what_a_node_could_not_hear_for_a_while_is_told_when_it_hears_again() {
    let (app, _, alice, dr) = scene().await;
    let id = book_on(&alice, &dr, in_days(&app, 4)).await.str("/id");
    app.settle().await;
    let sockets = Sockets::start();
    sockets.enter("alice", &app.base, &alice.token).await;
    sockets.done("alice", "slots:watch", json!({"practitionerId": dr.id})).await;
    // every connection on which somebody hears, and what happens before there is another one
    sqlx::raw_sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND application_name = 'huntzen hears'",
    )
    .execute(app.db())
    .await
    .unwrap();
    alice.post(&format!("/consultations/{id}/cancel"), json!({})).await.expect(200);
    app.settle().await;
    loop {
        // the moments before the break are told again as well
        let told = sockets.take("alice", "consultation:updated").await;
        assert_eq!(told["consultationId"], id.as_str());
        if told["status"] == "cancelled" {
            break;
        }
    }
    assert_eq!(sockets.take("alice", "notification:new").await["kind"], "consultation_cancelled");
    assert_eq!(sockets.take("alice", "slots:changed").await["practitionerId"], json!(dr.id));
}
