//! Pages of a real browser that call each other through a real relay, and hang up whatever happens.

use std::net::{TcpListener, UdpSocket};
use std::process::{Child, Command, Stdio};

use super::*;
use crate::support::tools;

const SECRET: &str = "coturn-shared-Zq8Wn3Xc7Vb1Mk5Lp9Rt2";
/// The one that it takes the place of: the relay has both as long as it changes.
const OLDER: &str = "older-shared-Zq8Wn3Xc7Vb1Mk5Lp9Rt2";

/// A port of this machine that nobody uses, neither by TCP nor by UDP.
fn free_port() -> u16 {
    for _ in 0..100 {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        if UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no free port");
}

/// coturn, for this machine alone. Dropping it ends it.
struct Relay {
    child: Child,
    _folder: tempfile::TempDir,
}

impl Relay {
    /// A deployment's refuses peers in private networks; here all of them are.
    fn start(port: u16) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name).display().to_string();
        let child = Command::new(tools::program("turnserver"))
            .args(["-n", "--use-auth-secret", "--realm", "care.test"])
            .args(["--static-auth-secret", OLDER, "--static-auth-secret", SECRET])
            .args(["--listening-ip", "127.0.0.1", "--relay-ip", "127.0.0.1", "--listening-port", &port.to_string()])
            .args(["--allow-loopback-peers", "--no-multicast-peers", "--no-tls", "--no-dtls", "--no-cli"])
            .args(["--log-file", "stdout", "--pidfile", &file("pid"), "--userdb", &file("db")])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { child, _folder: folder }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn two_pages_hear_each_other_through_a_relay_also_after_they_are_loaded_anew() {
    let chromium = tools::program("chromium");
    let [relay_port, own, foreign] = [free_port(), free_port(), free_port()];
    let _relay = Relay::start(relay_port);
    let settings = move |name: &str| match name {
        "TURN_URLS" => Some(format!("turn:127.0.0.1:{relay_port}")),
        "TURN_SECRET" => Some(format!("{SECRET},{OLDER}")),
        "CORS_ORIGINS" => Some(format!("http://127.0.0.1:{own}")),
        _ => None,
    };
    let line = line_with(settings).await;
    let node = line.app.second_node().await;
    let asked = json!({
        "chromium": chromium, "nodes": [line.app.base, node.base], "pages": {"own": own, "foreign": foreign},
        "consultationId": line.booked.json["id"], "conversationId": line.booked.json["id"],
        "people": [line.alice.token, line.dr.token],
    })
    .to_string();
    let said = tokio::task::spawn_blocking(move || tools::run("browser.mjs", &[], asked.as_bytes())).await.unwrap();
    let seen: Value = serde_json::from_str(&said).unwrap();
    for n in 0..2 {
        assert_eq!(seen["entered"][n]["status"], json!(null), "{seen}");
        assert_eq!(seen["entered"][n]["iceServers"][0]["urls"], json!([format!("turn:127.0.0.1:{relay_port}")]));
    }
    for when in ["heard", "heardAfterReload", "heardAfterBoth", "heardAfterBreak"] {
        for n in 0..2 {
            let heard = &seen[when][n];
            assert!(
                heard["level"].as_f64().unwrap() > 0.0 && heard["loudest"].as_f64().unwrap() > 0.0,
                "{when}: {seen}"
            );
            assert_eq!(heard["way"], "relay relay", "{when}");
        }
    }
    for page in ["reloaded", "reloadedCaller"] {
        assert_eq!((&seen[page]["status"], &seen[page]["here"]), (&json!("connected"), &json!(true)), "{seen}");
    }
    assert_eq!(seen["ended"], "hung_up");
    let wrong = &seen["wrongCredential"];
    assert_eq!((&wrong["candidates"], &wrong["connected"]), (&json!(0), &json!(false)), "{wrong}");
    assert!(wrong["errors"].as_array().unwrap().contains(&json!(401)), "{wrong}");

    assert_eq!(seen["chat"]["polling"], json!({"connected": true, "by": "polling"}));
    assert_eq!(seen["chat"]["websocket"], json!({"connected": true, "by": "websocket"}));
    for refused in ["foreignPolling", "foreignWebsocket"] {
        assert!(seen["chat"][refused]["refused"].is_string(), "{seen}");
    }
    // one call, however often a page was loaded
    assert_eq!(line.endings().await, ["hung_up"]);
    let facts = line.events().await;
    assert_eq!(facts.iter().filter(|fact| fact.starts_with("CALL_STARTED")).count(), 1);
    line.app.settle().await;
}

#[tokio::test]
async fn whoever_hangs_up_is_heard_no_more_whether_the_server_can_be_told_or_not() {
    let chromium = tools::program("chromium");
    let [relay_port, own] = [free_port(), free_port()];
    let _relay = Relay::start(relay_port);
    let settings = move |name: &str| match name {
        "TURN_URLS" => Some(format!("turn:127.0.0.1:{relay_port}")),
        "TURN_SECRET" => Some(SECRET.into()),
        "CORS_ORIGINS" => Some(format!("http://127.0.0.1:{own}")),
        _ => None,
    };
    let line = line_with(settings).await;
    // his next session, whose rooms are open as well
    let carol = line.app.employee(&line.company).await;
    let next = Uuid::from_u128(7);
    line.next_session(next, &carol).await;
    line.app.clock.advance(TimeDelta::minutes(21));
    let fresh = async |user: &User, role| line.app.session(user.id, role, user.company_id).await;
    let people = [fresh(&line.alice, Role::Employee).await, fresh(&line.dr, Role::Practitioner).await];
    let asked = json!({
        "chromium": chromium, "url": line.app.base, "page": own, "consultationId": line.booked.json["id"], "people": people,
        "busy": {"consultationId": next, "token": fresh(&carol, Role::Employee).await},
    })
    .to_string();
    let said = tokio::task::spawn_blocking(move || tools::run("hangs-up.mjs", &[], asked.as_bytes())).await.unwrap();
    let seen: Value = serde_json::from_str(&said).unwrap();
    // a call that came to nothing leaves no microphone open
    assert_eq!(seen["busy"], json!({"code": "peer_busy", "open": 0, "state": "idle"}), "{seen}");
    assert_eq!(seen["nothing"], json!({"code": "not_ringing", "open": 0}), "{seen}");
    assert_eq!(seen["atOnce"], json!({"answer": null, "state": "idle", "open": 0}), "{seen}");
    // a duplicated tab takes nobody's place
    assert_eq!((&seen["copied"], &seen["copy"]["status"]), (&json!(true), &json!("connected")), "{seen}");
    assert_eq!(seen["copy"]["here"], false, "{seen}");
    assert_eq!(seen["copyLooksOn"], json!({"state": "idle", "elsewhere": {"lost": false}, "open": 0}), "{seen}");
    assert_eq!(seen["goesOn"], "connected", "{seen}");
    // cut off: it is over here at once, there as soon as nothing comes any more, and for the server afterwards
    assert_eq!(seen["cut"], false);
    assert_eq!(seen["hungUp"], json!({"state": "idle", "reason": "hung_up", "open": 0}), "{seen}");
    assert!(seen["silentWithin"].as_i64().unwrap() < 3_000, "{seen}");
    assert_eq!(seen["hisState"], "connected", "the server could not tell him: {seen}");
    assert_eq!(seen["ended"], json!({"reason": "hung_up", "open": 0}), "{seen}");
    assert_eq!(seen["after"], json!({"state": "idle", "open": 0}), "{seen}");
    assert_eq!(seen["declined"], json!({"reason": "declined", "open": 0}), "{seen}");
    assert_eq!(seen["his"], json!({"state": "idle", "reason": "declined", "open": 0}), "{seen}");
    assert_eq!(seen["left"], json!({"open": 0, "reason": "cancelled"}), "{seen}");
    line.app.settle().await;
}
