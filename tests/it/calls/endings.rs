//! How a call ends.

use huntzen::domain::calls::KeepCalls;

use super::*;
use crate::support::app::Node;

#[tokio::test]
async fn whoever_is_rung_may_decline() {
    let line = line().await;
    line.enter("alice", &line.alice).await;
    line.enter("dr", &line.dr).await;
    line.enter("telephone", &line.dr).await;
    line.refused("alice", "call:decline", "not_ringing").await;
    line.tell("alice", "call:ring").await;
    line.refused("alice", "call:decline", "not_ringing").await;
    line.refused("alice", "call:accept", "not_ringing").await;
    for device in ["dr", "telephone"] {
        line.take(device, "call:ringing").await;
    }
    line.tell("dr", "call:decline").await;
    line.take("alice", "call:declined").await;
    assert_eq!(line.take("telephone", "call:ended").await["reason"], "declined");
    line.refused("dr", "call:decline", "not_ringing").await;
    line.refused("dr", "call:accept", "not_ringing").await;
    assert_eq!(line.endings().await, ["declined"]);
    assert_eq!(line.events().await, ["BOOKED employee", "JOINED employee", "JOINED practitioner"]);
    line.app.settle().await;
}

#[tokio::test]
async fn a_call_that_nobody_accepts_is_missed_and_one_may_think_better_of_it() {
    let line = line().await;
    line.enter("alice", &line.alice).await;
    // he is not there yet
    line.tell("alice", "call:ring").await;
    line.app.clock.advance(seconds(20));
    let shown = line.enter("dr", &line.dr).await;
    assert_eq!(shown["call"]["status"], "ringing");
    line.app.clock.advance(seconds(26));
    for name in ["alice", "dr"] {
        let ended = line.take(name, "call:ended").await;
        assert_eq!((&ended["reason"], &ended["byMe"]), (&json!("missed"), &json!(false)), "{name}");
    }
    line.refused("dr", "call:accept", "not_ringing").await;
    line.tell("alice", "call:ring").await;
    line.take("dr", "call:ringing").await;
    line.tell("alice", "call:hangup").await;
    assert_eq!(line.take("dr", "call:ended").await["reason"], "cancelled");
    line.refused("alice", "call:hangup", "not_in_call").await;
    assert_eq!(line.endings().await, ["missed", "cancelled"]);
    line.app.settle().await;
}

#[tokio::test]
async fn a_call_whose_caller_is_gone_rings_for_ten_seconds_more() {
    let line = line().await;
    let gone = "SELECT count(*) FROM app.call_parties WHERE lost_at IS NOT NULL";
    let device = json!({"deviceId": Uuid::new_v4()});
    line.enter_as("alice", &line.alice, device.clone()).await;
    line.enter("dr", &line.dr).await;
    line.tell("alice", "call:ring").await;
    line.take("dr", "call:ringing").await;
    line.sockets.run("close", "alice", json!({})).await;
    line.until(gone).await;
    // a page that is loaded anew is back by then
    line.app.clock.advance(seconds(8));
    let back = line.enter_as("alice again", &line.alice, device).await;
    assert_eq!((&back["call"]["status"], &back["call"]["here"]), (&json!("ringing"), &json!(true)));
    line.app.clock.advance(seconds(8));
    assert_eq!(line.tell("dr", "call:accept").await["call"]["status"], "connected");
    line.take("alice again", "call:accepted").await;
    line.tell("dr", "call:hangup").await;

    line.tell("alice again", "call:ring").await;
    line.take("dr", "call:ringing").await;
    line.sockets.run("close", "alice again", json!({})).await;
    line.until(gone).await;
    line.app.clock.advance(seconds(11));
    line.refused("dr", "call:accept", "not_ringing").await;
    let ended = line.take("dr", "call:ended").await;
    assert_eq!((&ended["reason"], &ended["byMe"]), (&json!("cancelled"), &json!(false)));
    assert_eq!(line.endings().await, ["hung_up", "cancelled"]);
    line.app.settle().await;
}

/// Whoever takes a call first, and then its sides, never waits in a circle with whoever does both.
#[tokio::test]
async fn whoever_accepts_a_call_waits_for_it_before_they_hold_a_side_of_it() {
    let line = line().await;
    line.enter("alice", &line.alice).await;
    line.enter("dr", &line.dr).await;
    for how in ["call:accept", "call:ring"] {
        line.tell("alice", "call:ring").await;
        let mut schedule = line.app.db().begin().await.unwrap();
        let call = "SELECT FROM app.call_sessions WHERE status = 'ringing' FOR NO KEY UPDATE";
        assert_eq!(sqlx::query(call).execute(&mut *schedule).await.unwrap().rows_affected(), 1);
        let ending = async {
            line.app.until_one_waits().await;
            let sides = "SELECT FROM app.call_parties WHERE is_live FOR UPDATE NOWAIT";
            let held = sqlx::query(sides).execute(&mut *schedule).await;
            assert_eq!(held.unwrap_or_else(|held| panic!("{how}: {held}")).rows_affected(), 2);
            schedule.commit().await.unwrap();
        };
        let (accepted, ()) = tokio::join!(line.tell("dr", how), ending);
        assert_eq!(accepted["call"]["status"], "connected");
        line.tell("dr", "call:hangup").await;
    }
    line.app.settle().await;
}

#[tokio::test]
async fn whoever_does_not_come_back_within_half_a_minute_is_lost() {
    let line = line().await;
    line.talk().await;
    line.app.clock.advance(seconds(5));
    line.sockets.run("close", "dr", json!({})).await;
    line.take("alice", "call:peer-lost").await;
    line.app.clock.advance(seconds(31));
    let ended = line.take("alice", "call:ended").await;
    assert_eq!((&ended["reason"], &ended["byMe"]), (&json!("lost"), &json!(false)));
    assert_eq!(line.endings().await, ["lost"]);
    // he left when he was last there, she when the call ended
    let facts = line.events().await;
    assert_eq!(facts[3..], ["CALL_STARTED employee", "LEFT practitioner", "CALL_ENDED auto", "LEFT employee"]);
    // he finds that it is over
    let back = line.enter("dr again", &line.dr).await;
    assert_eq!(back["call"], json!(null));
    line.refused("dr again", "call:hangup", "not_in_call").await;
    line.app.settle().await;
}

#[tokio::test]
async fn a_session_that_ends_or_is_cancelled_ends_its_call() {
    let line = line().await;
    line.talk().await;
    let path = |rest: &str| format!("/consultations/{}{rest}", line.booked.str("/id"));
    line.dr.post(&path("/start"), json!({})).await.expect(200);
    line.app.clock.advance(TimeDelta::minutes(4));
    line.dr.post(&path("/end"), json!({})).await.expect(200);
    for name in ["alice", "dr"] {
        let ended = line.take(name, "call:ended").await;
        assert_eq!((&ended["reason"], &ended["byMe"]), (&json!("closed"), &json!(false)), "{name}");
    }
    let refused = line.refused("alice", "call:ring", "closed").await;
    assert!(refused["opensAt"].is_string() && refused["closesAt"].is_string());
    // what the server saw fits what was said
    let differs: bool =
        sqlx::query_scalar("SELECT times_differ FROM app.consultations").fetch_one(line.app.db()).await.unwrap();
    assert!(!differs);
    line.app.settle().await;
}

#[tokio::test]
async fn whoever_claims_more_than_the_call_lasted_is_looked_at() {
    let line = line().await;
    line.talk().await;
    let path = |rest: &str| format!("/consultations/{}{rest}", line.booked.str("/id"));
    line.dr.post(&path("/start"), json!({})).await.expect(200);
    line.app.clock.advance(TimeDelta::minutes(4));
    line.tell("alice", "call:hangup").await;
    line.take("dr", "call:ended").await;
    line.app.clock.advance(TimeDelta::minutes(20));
    let dr = line.dr.with_token(line.app.session(line.dr.id, Role::Practitioner, None).await);
    let ended = dr.post(&path("/end"), json!({})).await.expect(200);
    assert_eq!((&ended.json["timesDiffer"], &ended.json["seenMinutes"]), (&json!(true), &json!(5)), "{}", ended.json);
    line.app.settle().await;
}

#[tokio::test]
async fn whoever_waits_in_the_rooms_without_a_call_was_not_together_with_the_other() {
    let line = line().await;
    line.enter("alice", &line.alice).await;
    line.enter("dr", &line.dr).await;
    let path = |rest: &str| format!("/consultations/{}{rest}", line.booked.str("/id"));
    line.dr.post(&path("/start"), json!({})).await.expect(200);
    line.app.clock.advance(TimeDelta::minutes(30));
    let dr = line.dr.with_token(line.app.session(line.dr.id, Role::Practitioner, None).await);
    let ended = dr.post(&path("/end"), json!({})).await.expect(200);
    assert_eq!((&ended.json["timesDiffer"], &ended.json["seenMinutes"]), (&json!(true), &json!(0)), "{}", ended.json);
    line.app.settle().await;
}

#[tokio::test]
async fn a_cancelled_session_has_no_call() {
    let mut line = line().await;
    let before = instant(&line.booked.str("/startsAt")) - TimeDelta::minutes(5);
    go_to(&line.app, before, &mut line.alice, &mut line.dr).await;
    line.talk().await;
    line.alice.post(&format!("/consultations/{}/cancel", line.booked.str("/id")), json!({})).await.expect(200);
    for name in ["alice", "dr"] {
        assert_eq!(line.take(name, "call:ended").await["reason"], "closed", "{name}");
    }
    line.refused("dr", "call:ring", "illegal_transition").await;
    line.app.settle().await;
}

#[tokio::test]
async fn a_call_ends_when_the_rooms_close() {
    let line = line().await;
    line.talk().await;
    line.app.clock.advance(TimeDelta::minutes(61));
    for (name, user, role) in [("alice", &line.alice, Role::Employee), ("dr", &line.dr, Role::Practitioner)] {
        // the sockets outlive the jump only with a newer token; else they come back
        let fresh = line.app.session(user.id, role, user.company_id).await;
        let renewed = line.sockets.ask(name, "auth:refresh", json!({"token": fresh})).await;
        if renewed["ok"] == true {
            assert_eq!(line.take(name, "call:ended").await["reason"], "closed", "{name}");
        }
    }
    line.app.enqueue(&KeepCalls {}).await;
    line.app.settle().await;
    assert_eq!(line.endings().await, ["closed"]);
}

#[tokio::test]
async fn what_nobody_is_there_to_end_the_schedule_ends() {
    let line = line().await;
    line.talk().await;
    for name in ["alice", "dr"] {
        line.sockets.run("close", name, json!({})).await;
    }
    // as it is where both nodes died: nobody said that anybody left
    let sql = "SELECT count(*) FROM app.call_parties WHERE lost_at IS NOT NULL";
    while line.app.count(sql).await < 2 {
        tokio::task::yield_now().await;
    }
    sqlx::query("UPDATE app.call_parties SET lost_at = NULL").execute(line.app.db()).await.unwrap();
    line.app.clock.advance(seconds(50));
    for (later, lost, why) in [(0, 0, "they may have a minute"), (11, 2, "it may be the database that was away")] {
        line.app.clock.advance(seconds(later));
        line.app.enqueue(&KeepCalls {}).await;
        line.app.settle().await;
        assert_eq!((line.endings().await, line.app.count(sql).await), (vec!["-".to_owned()], lost), "{why}");
    }
    line.app.clock.advance(seconds(60));
    line.app.enqueue(&KeepCalls {}).await;
    line.app.settle().await;
    assert_eq!(line.endings().await, ["abandoned"]);
    let short = "SELECT (ended_at < accepted_at + interval '30 seconds')::int::bigint FROM app.call_sessions";
    assert_eq!(line.app.count(short).await, 1, "it ended when they were last heard");
    assert_eq!(line.app.count("SELECT count(*) FROM app.call_parties WHERE is_live").await, 0);
}

/// A node on threads of its own: without them it is gone from one moment to the next, as after kill -9.
fn mortal_node(app: &TestApp) -> (tokio::runtime::Runtime, Node) {
    let threads = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let node = std::thread::scope(|scope| scope.spawn(|| threads.block_on(app.second_node())).join().unwrap());
    (threads, node)
}

#[tokio::test]
async fn whoever_was_on_a_node_that_dies_is_lost_until_they_come_back_on_another() {
    let line = line().await;
    let (threads, node) = mortal_node(&line.app);
    let device = json!({"deviceId": Uuid::new_v4(), "resumes": true});
    line.enter("alice", &line.alice).await;
    line.connect_to("dr", &node.base, &line.dr).await;
    line.done("dr", "call:join", device.clone()).await;
    line.tell("alice", "call:ring").await;
    line.take("dr", "call:ringing").await;
    line.tell("dr", "call:accept").await;
    line.take("alice", "call:accepted").await;
    threads.shutdown_background();
    // nobody said that he left: he is not heard any more
    line.app.clock.advance(seconds(26));
    line.take("alice", "call:peer-lost").await;
    line.done("alice", "signal:offer", json!({"sdp": sdp("where are you")})).await;
    line.app.clock.advance(seconds(10));
    let back = line.enter_as("dr again", &line.dr, device.clone()).await;
    assert_eq!((&back["call"]["status"], &back["call"]["here"]), (&json!("connected"), &json!(true)));
    line.take("alice", "call:peer-back").await;
    assert_eq!(line.take("dr again", "signal:offer").await["sdp"], sdp("where are you"));
    line.tell("dr again", "call:hangup").await;
    line.take("alice", "call:ended").await;

    // and if they do not come back, the call is over for the other one
    let (threads, node) = mortal_node(&line.app);
    line.connect_to("dr elsewhere", &node.base, &line.dr).await;
    line.done("dr elsewhere", "call:join", device).await;
    line.tell("alice", "call:ring").await;
    line.take("dr elsewhere", "call:ringing").await;
    line.tell("dr elsewhere", "call:accept").await;
    line.take("alice", "call:accepted").await;
    threads.shutdown_background();
    line.app.clock.advance(seconds(26));
    line.take("alice", "call:peer-lost").await;
    line.app.clock.advance(seconds(31));
    assert_eq!(line.take("alice", "call:ended").await["reason"], "lost");
    assert_eq!(line.endings().await, ["hung_up", "lost"]);
    line.app.settle().await;
}
