//! Notifications: what people are told in the program, and that each is told of their own alone.

mod costs;
mod files;
mod list;
mod live;
mod messages;
mod preferences;
mod privacy;
mod safety;
mod slots;

use chrono::{DateTime, Utc};
use huntzen::platform::auth::Role;
use serde_json::{Value, json};

pub use crate::consultations::{at, book_on, free, in_days, instant, scene};
use crate::support::{Answer, Company, Sockets, TestApp, User};

/// Of each of the first page, one property.
async fn all(user: &User, property: &str) -> Vec<Value> {
    let list = user.get("/notifications?limit=100").await.expect(200);
    list.json["items"].as_array().unwrap().iter().map(|item| item[property].clone()).collect()
}

async fn kinds(user: &User) -> Vec<Value> {
    all(user, "kind").await
}

async fn unread(user: &User) -> i64 {
    user.get("/notifications").await.expect(200).json["unreadCount"].as_i64().unwrap()
}

/// Moves the clock, with fresh tokens for both.
async fn go_to(app: &TestApp, when: DateTime<Utc>, alice: &mut User, dr: &mut User) {
    at(app, when, [(alice, Role::Employee), (dr, Role::Practitioner)]).await;
}

impl Sockets {
    /// Into the namespace; the client's first event says how many are unread.
    async fn enter(&self, name: &str, base: &str, token: &str) -> Value {
        self.enter_by(name, base, token, &json!(["websocket"])).await
    }

    async fn enter_by(&self, name: &str, base: &str, token: &str, transports: &Value) -> Value {
        let args = json!({"url": base, "namespace": "/notifications", "token": token, "transports": transports});
        assert_eq!(self.run("connect", name, args).await, json!({"connected": true}));
        let last = transports.as_array().unwrap().last();
        assert_eq!(self.run("transport", name, json!({"wanted": last})).await, json!({"transport": last}));
        self.take(name, "unread:count").await["unreadCount"].clone()
    }
}
