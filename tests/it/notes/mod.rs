//! Clinical notes: written by the practitioner of a session, and read by nobody else.

mod privacy;
mod saving;

use huntzen::platform::auth::Role;
use reqwest::Method;
use serde_json::{Value, json};

pub use crate::consultations::{at, book_on, in_days, instant, scene};
use crate::support::{Answer, Company, TestApp, User};

/// A session that goes on, and its practitioner.
pub struct Care {
    pub app: TestApp,
    pub company: Company,
    pub alice: User,
    pub dr: User,
    pub session: String,
}

pub async fn care() -> Care {
    let (app, mut company, mut alice, mut dr) = scene().await;
    let booked = book_on(&alice, &dr, in_days(&app, 1)).await;
    app.settle().await;
    let people = [
        (&mut alice, Role::Employee),
        (&mut dr, Role::Practitioner),
        (&mut company.hr, Role::Hr),
        (&mut company.admin, Role::CompanyAdmin),
    ];
    at(&app, instant(&booked.str("/startsAt")), people).await;
    let session = booked.str("/id");
    dr.post(&format!("/consultations/{session}/start"), json!({})).await.expect(200);
    app.settle().await;
    Care { app, company, alice, dr, session }
}

impl Care {
    pub fn path(&self) -> String {
        format!("/consultations/{}/notes", self.session)
    }

    pub async fn write(&self, body: Value) -> Answer {
        self.dr.post(&self.path(), body).await
    }

    /// A note of free text: its path, and its answer.
    pub async fn free(&self, text: &str) -> (String, Answer) {
        let written = self.write(free(text)).await.expect(201);
        (format!("/notes/{}", written.str("/id")), written)
    }

    /// A final one.
    pub async fn finalized(&self, text: &str) -> (String, Answer) {
        let (path, written) = self.free(text).await;
        let done = conditional(&self.dr, Method::POST, &format!("{path}/finalize"), written.header("etag"), None).await;
        (path, done.expect(200))
    }
}

pub fn free(text: &str) -> Value {
    json!({"format": "free", "body": text})
}

pub fn soap() -> Value {
    json!({"format": "soap", "body": {
        "subjective": "Sleeps four hours.", "objective": "Tired.", "assessment": "Adjustment.", "plan": "Sleep diary."
    }})
}

/// A change of the version that is known.
pub async fn conditional(user: &User, method: Method, path: &str, etag: &str, body: Option<Value>) -> Answer {
    let request = user.request(method, path).header("if-match", etag);
    Answer::of(match body {
        Some(body) => request.json(&body),
        None => request,
    })
    .await
}

pub async fn save(user: &User, path: &str, etag: &str, body: Value) -> Answer {
    conditional(user, Method::PUT, path, etag, Some(body)).await
}
