//! Letting people into their sessions.

use super::*;
use crate::support::tools;

const SECRET: &str = "k2J9vQx7LmT4zRw8NcYb5HdFs3GpAe6U";

fn video(name: &str) -> Option<String> {
    match name {
        "JITSI_DOMAIN" => Some("meet.care.test".into()),
        "JITSI_APP_ID" => Some("huntzen-care".into()),
        "JITSI_APP_SECRET" => Some(SECRET.into()),
        "TURN_URLS" => Some("turns:turn.care.test:5349?transport=tcp,stun:turn.care.test:3478".into()),
        "TURN_SECRET" => Some("coturn-shared-Zq8Wn3Xc7Vb1Mk5Lp9Rt2,older-shared-Zq8Wn3Xc7Vb1Mk5Lp9Rt2".into()),
        _ => None,
    }
}

async fn people(app: &TestApp) -> (User, User) {
    let company = app.company("Acme").await;
    (app.employee(&company).await, app.practitioner().await)
}

async fn book_as(app: &TestApp, alice: &User, dr: &User, mode: &str) -> Answer {
    let mut body = wish(dr, &free(alice, dr, in_days(app, 3)).await[0]);
    body["mode"] = json!(mode);
    alice.post("/consultations", body).await.expect(201)
}

/// What jose makes of a token, for a Prosody of these settings.
fn verified(token: &str, room: &str, now: DateTime<Utc>) -> Result<Value, String> {
    let input = json!({"token": token, "secret": SECRET, "appId": "huntzen-care", "domain": "meet.care.test",
                       "room": room, "now": now.timestamp()});
    tools::try_run("verify-jitsi.mjs", &[], input.to_string().as_bytes()).map(|out| serde_json::from_str(&out).unwrap())
}

#[tokio::test]
async fn a_video_session_opens_with_a_token_that_prosody_takes() {
    let app = TestApp::start_with(video).await;
    let (mut alice, mut dr) = people(&app).await;
    let booked = book_as(&app, &alice, &dr, "video").await;
    let start = starts(&booked);
    go_to(&app, start - minutes(10), &mut alice, &mut dr).await;
    let mut rooms = Vec::new();
    let mut ids = Vec::new();
    for (person, moderator, affiliation) in [(&alice, "false", "member"), (&dr, "true", "owner")] {
        let it = person.post(&path(&booked, "/join"), json!({})).await.expect(200);
        assert_eq!((it.str("/kind").as_str(), it.str("/domain").as_str()), ("video", "meet.care.test"));
        let (room, token) = (it.str("/room"), it.str("/token"));
        assert_eq!(it.str("/url"), format!("https://meet.care.test/{room}?jwt={token}"));
        let closes = start + minutes(60);
        assert_eq!(instant(&it.str("/expiresAt")), closes);
        let claims = verified(&token, &room, app.clock.now()).unwrap();
        assert_eq!(claims["exp"], closes.timestamp());
        assert_eq!(claims["context"]["user"]["moderator"], moderator);
        assert_eq!(claims["context"]["user"]["affiliation"], affiliation);
        // whoever runs the deployment learns a name, and no id of ours
        for ours in [person.id.to_string(), booked.str("/id"), person.email.clone()] {
            assert!(!claims.to_string().contains(&ours) && !room.contains(&ours), "{claims}");
        }
        verified(&token, &"0".repeat(32), app.clock.now()).unwrap_err();
        verified(&token, &room, closes + TimeDelta::seconds(1)).unwrap_err();
        verified(&token, &room, app.clock.now() - minutes(2)).unwrap_err();
        rooms.push(room);
        ids.push(claims["context"]["user"]["id"].clone());
    }
    assert_eq!(rooms[0], rooms[1]);
    assert_ne!(ids[0], ids[1]);
    assert_eq!(rooms[0].len(), 32);
    assert_eq!(rooms[0], rooms[0].to_lowercase());
    assert_eq!(events(&alice, &booked).await, ["BOOKED employee", "JOINED employee", "JOINED practitioner"]);
    assert_eq!(app.count("SELECT count(*) FROM app.audit_logs WHERE action = 'consultation.joined'").await, 2);
    app.settle().await;
}

/// What a Prosody that is set up as docs/video.md says decides, at some time; some of what it knows differs.
fn decided(token: &str, room: &str, now: DateTime<Utc>, differs: &Value) -> Value {
    let mut input = json!({"token": token, "secret": SECRET, "appId": "huntzen-care", "domain": "meet.care.test",
                           "room": room, "now": now.timestamp()});
    for (name, value) in differs.as_object().unwrap() {
        input[name] = value.clone();
    }
    serde_json::from_str(&tools::run("prosody.mjs", &[], input.to_string().as_bytes())).unwrap()
}

#[tokio::test]
async fn by_prosodys_rules_the_practitioner_moderates_one_room_until_it_closes() {
    let app = TestApp::start_with(video).await;
    let (mut alice, mut dr) = people(&app).await;
    let booked = book_as(&app, &alice, &dr, "video").await;
    let start = starts(&booked);
    go_to(&app, start, &mut alice, &mut dr).await;
    let closes = start + minutes(60);
    for (person, affiliation) in [(&alice, "member"), (&dr, "owner")] {
        let it = person.post(&path(&booked, "/join"), json!({})).await.expect(200);
        let (room, token) = (it.str("/room"), it.str("/token"));
        let now = app.clock.now();
        let second = TimeDelta::seconds(1);
        for when in [now, now - TimeDelta::seconds(9), closes - second] {
            let entered = decided(&token, &room, when, &json!({}));
            assert_eq!(
                (&entered["entered"], &entered["affiliation"], &entered["offered"]),
                (&json!(true), &json!(affiliation), &json!([])),
                "{entered}"
            );
        }
        // Jitsi's images: the rooms' domain has to be below the token's, and is not unless it is set
        let images = json!({"mucPrefix": "muc", "muc": "muc.meet.care.test"});
        assert_eq!(decided(&token, &room, now, &images)["entered"], true);
        let unset = json!({"mucPrefix": "muc", "muc": "muc.meet.jitsi"});
        assert_eq!(decided(&token, &room, now, &unset), json!({"refused": "room or domain"}));
        // whoever writes the room's address in capitals enters the same room
        assert_eq!(decided(&token, &room.to_uppercase(), now, &json!({}))["entered"], true);
        for (refused, room, when, differs) in [
            ("room or domain", "0".repeat(32).as_str(), now, json!({})),
            ("room or domain", &room, now, json!({"domain": "meet.elsewhere.test"})),
            ("exp", &room, closes, json!({})),
            ("nbf", &room, now - TimeDelta::seconds(12), json!({})),
            ("iss", &room, now, json!({"appId": "another-app"})),
            ("signature", &room, now, json!({"secret": "another secret"})),
            ("token required", &room, now, json!({"token": ""})),
            ("not a token", &room, now, json!({"token": "x.y"})),
        ] {
            assert_eq!(decided(&token, room, when, &differs), json!({"refused": refused}));
        }
    }
    app.settle().await;
}

#[test]
fn the_guide_names_the_settings_that_there_are() {
    let names = |file: &str| {
        let text = std::fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
        let name = regex::Regex::new(r"\b(?:JITSI|TURN)_[A-Z]+(?:_[A-Z]+)*\b").unwrap();
        name.find_iter(&text).map(|it| it.as_str().to_owned()).collect::<std::collections::BTreeSet<_>>()
    };
    let known = names(".env.example");
    assert_eq!(known.len(), 5, "{known:?}");
    assert_eq!(names("docs/video.md"), known);
}

#[tokio::test]
async fn a_call_opens_with_ice_servers_and_a_conversation_with_its_id() {
    let app = TestApp::start_with(video).await;
    let (mut alice, mut dr) = people(&app).await;
    let call = book_as(&app, &alice, &dr, "audio").await;
    let chat = book_as(&app, &alice, &dr, "chat").await;
    go_to(&app, starts(&call), &mut alice, &mut dr).await;
    let it = alice.post(&path(&call, "/join"), json!({})).await.expect(200);
    assert_eq!((it.str("/kind").as_str(), it.str("/namespace").as_str()), ("audio", "/audio-call"));
    assert_eq!(it.str("/room"), call.str("/id"));
    assert_eq!(it.json["iceServers"][0], json!({"urls": ["stun:turn.care.test:3478"]}));
    let relay = &it.json["iceServers"][1];
    assert_eq!(relay["urls"], json!(["turns:turn.care.test:5349?transport=tcp"]));
    // at most an hour, and not beyond the session
    let ends = instant(&it.str("/expiresAt"));
    assert_eq!(ends, starts(&call) + minutes(60));
    let (until, opaque) = relay["username"].as_str().unwrap().split_once(':').unwrap();
    assert_eq!(until, ends.timestamp().to_string());
    assert_eq!(opaque.len(), 16);
    // as coturn computes it
    let input = json!({"username": relay["username"], "secret": "coturn-shared-Zq8Wn3Xc7Vb1Mk5Lp9Rt2"}).to_string();
    assert_eq!(tools::run("turn-credential.mjs", &[], input.as_bytes()).trim(), relay["credential"].as_str().unwrap());

    go_to(&app, starts(&chat), &mut alice, &mut dr).await;
    let it = dr.post(&path(&chat, "/join"), json!({})).await.expect(200);
    assert_eq!(it.json, json!({"kind": "chat", "conversationId": chat.json["id"]}));
    app.settle().await;
}

#[tokio::test]
async fn a_session_is_joined_within_its_time_by_its_two_people() {
    let (app, _, mut alice, mut dr) = scene().await;
    let booked = book_as(&app, &alice, &dr, "chat").await;
    let join = path(&booked, "/join");
    let (start, end) = (starts(&booked), instant(&booked.str("/endsAt")));
    go_to(&app, start - minutes(10) - TimeDelta::seconds(5), &mut alice, &mut dr).await;
    for person in [&alice, &dr] {
        let early = person.post(&join, json!({})).await.refused(403, "not_open_yet");
        assert_eq!(instant(&early.str("/opensAt")), start - minutes(10));
        assert_eq!(instant(&early.str("/closesAt")), end + minutes(30));
    }
    go_to(&app, start - minutes(10), &mut alice, &mut dr).await;
    alice.post(&join, json!({})).await.expect(200);
    app.practitioner().await.post(&join, json!({})).await.refused(404, "not_found");
    app.platform_admin().await.post(&join, json!({})).await.refused(403, "forbidden");
    app.anonymous().post(&join, json!({})).await.refused(401, "unauthenticated");
    go_to(&app, end + minutes(29), &mut alice, &mut dr).await;
    dr.post(&join, json!({})).await.expect(200);
    go_to(&app, end + minutes(30) + TimeDelta::seconds(1), &mut alice, &mut dr).await;
    let late = alice.post(&join, json!({})).await.refused(410, "closed");
    assert_eq!(instant(&late.str("/closesAt")), end + minutes(30));
    assert_eq!(events(&alice, &booked).await, ["BOOKED employee", "JOINED employee", "JOINED practitioner"]);

    // what is over, or was never agreed, is not joined at any time
    let again = book_as(&app, &alice, &dr, "chat").await;
    go_to(&app, starts(&again), &mut alice, &mut dr).await;
    dr.post(&path(&again, "/start"), json!({})).await.expect(200);
    alice.post(&path(&again, "/join"), json!({})).await.expect(200);
    dr.post(&path(&again, "/end"), json!({})).await.expect(200);
    alice.post(&path(&again, "/join"), json!({})).await.refused(410, "closed");
    let gone = book_as(&app, &alice, &dr, "chat").await;
    alice.post(&path(&gone, "/cancel"), json!({})).await.expect(200);
    alice.post(&path(&gone, "/join"), json!({})).await.refused(409, "illegal_transition");
    app.settle().await;
}

#[tokio::test]
async fn without_a_video_server_nobody_is_let_in_and_nobody_is_said_to_be() {
    let (app, _, mut alice, mut dr) = scene().await;
    let (booked, call) = (book_as(&app, &alice, &dr, "video").await, book_as(&app, &alice, &dr, "audio").await);
    go_to(&app, starts(&booked), &mut alice, &mut dr).await;
    alice.post(&path(&booked, "/join"), json!({})).await.refused(503, "video_not_configured");
    assert_eq!(events(&alice, &booked).await, ["BOOKED employee"]);
    go_to(&app, starts(&call), &mut alice, &mut dr).await;
    assert_eq!(alice.post(&path(&call, "/join"), json!({})).await.expect(200).json["iceServers"], json!([]));
    app.settle().await;
}
