//! Chat: what two people write to each other, and that nobody else learns of it.

mod changes;
mod example;
mod messages;
mod nodes;
mod privacy;
mod raw;
mod sockets;
mod transport;
mod wire;

use huntzen::platform::auth::Role;
use serde_json::{Value, json};
use uuid::Uuid;

pub use crate::consultations::{at, book_on, in_days, instant, scene};
use crate::support::{Answer, Company, TestApp, User};

/// Two people with a booked session: its conversation's id is the consultation's.
struct Talk {
    app: TestApp,
    company: Company,
    alice: User,
    dr: User,
    booked: Answer,
}

async fn talk() -> Talk {
    let (app, company, alice, dr) = scene().await;
    let booked = book_on(&alice, &dr, in_days(&app, 3)).await;
    app.settle().await;
    Talk { app, company, alice, dr, booked }
}

impl Talk {
    fn path(&self, rest: &str) -> String {
        format!("/conversations/{}{rest}", self.booked.str("/id"))
    }

    async fn send(&self, user: &User, text: &str) -> Answer {
        user.post(&self.path("/messages"), message(text)).await
    }

    async fn read(&self, user: &User, query: &str) -> Answer {
        user.get(&self.path(&format!("/messages{query}"))).await.expect(200)
    }

    async fn receipt(&self, user: &User, body: Value) -> Value {
        user.post(&self.path("/read"), body).await.expect(200).json
    }

    /// Moves the clock, with fresh tokens for both.
    async fn go_to(&mut self, when: chrono::DateTime<chrono::Utc>) {
        at(&self.app, when, [(&mut self.alice, Role::Employee), (&mut self.dr, Role::Practitioner)]).await;
    }
}

fn message(text: &str) -> Value {
    json!({"clientId": Uuid::new_v4(), "body": text})
}

/// One property of each item.
fn all(answer: &Answer, property: &str) -> Vec<Value> {
    answer.json["items"].as_array().unwrap().iter().map(|item| item[property].clone()).collect()
}
