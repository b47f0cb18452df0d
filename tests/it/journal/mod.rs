//! The journal: a person's own, sealed, and where they want it sealed by their browser.

mod entries;
mod privacy;
pub mod private;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Company, TestApp, User};

/// Somebody who keeps a journal.
pub struct Diary {
    pub app: TestApp,
    pub company: Company,
    pub alice: User,
}

pub async fn diary() -> Diary {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let alice = app.employee(&company).await;
    Diary { app, company, alice }
}

impl Diary {
    pub async fn write(&self, body: Value) -> Answer {
        self.alice.post("/journal", body).await
    }

    pub async fn read(&self, query: &str) -> Answer {
        self.alice.get(&format!("/journal{query}")).await.expect(200)
    }

    /// An entry of a day.
    pub async fn note(&self, text: &str, date: &str, mood: i16, tags: &[&str]) -> Answer {
        self.write(json!({"body": text, "date": date, "mood": mood, "tags": tags})).await.expect(201)
    }
}

pub fn bodies(answer: &Answer) -> Vec<String> {
    let items = answer.json["items"].as_array().unwrap().iter();
    items.map(|it| it["body"].as_str().unwrap_or_default().to_owned()).collect()
}

pub async fn conditional(user: &User, method: Method, path: &str, etag: &str, body: Option<Value>) -> Answer {
    let request = user.request(method, path).header("if-match", etag);
    Answer::of(match body {
        Some(body) => request.json(&body),
        None => request,
    })
    .await
}
