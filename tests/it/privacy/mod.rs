//! The rights of people over their data.

mod consents;
mod copies;
mod erasure;
mod markers;
mod memory;
mod older_forms;
mod replay;
mod retention;
mod rules;
mod sweeps;

use chrono::TimeDelta;
use huntzen::domain::privacy::SweepErasures;
use huntzen::platform::auth::Role;
use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use uuid::Uuid;

pub use crate::consultations::{at, book_on, in_days, instant, scene};
use crate::support::app::PASSWORD;
use crate::support::{Answer, Company, TestApp, User};

/// What people wrote, to be found again or not.
pub const DIARY: &str = "vermilion diary 5521";
pub const MESSAGE: &str = "turquoise message 5521";
pub const REASON: &str = "ochre reason 5521";
pub const NOTE: &str = "indigo note 5521";
pub const PAPER: &str = "sepia paper 5521.pdf";

pub fn pdf(bytes: usize) -> Vec<u8> {
    let mut pdf = b"%PDF-1.4\n%".to_vec();
    pdf.extend((0..bytes).map(|n| b'a' + u8::try_from(n % 23).unwrap()));
    pdf.extend(b"\ntrailer<<>>\n%%EOF\n");
    pdf
}

/// Somebody with something of everything.
pub struct Life {
    pub app: TestApp,
    pub company: Company,
    pub alice: User,
    pub dr: User,
    /// Held, with a note and messages about it.
    pub session: String,
    /// The path of the note.
    pub note: String,
}

pub async fn bring(user: &User, bytes: Vec<u8>) -> Answer {
    let form = Form::new().text("purpose", "document").part("file", Part::bytes(bytes).file_name(PAPER));
    Answer::of(user.request(Method::POST, "/files").multipart(form)).await
}

pub async fn life() -> Life {
    life_of(scene().await).await
}

pub async fn life_of((app, mut company, mut alice, mut dr): (TestApp, Company, User, User)) -> Life {
    let starts = crate::consultations::free(&alice, &dr, in_days(&app, 1)).await;
    let mut wish = crate::consultations::wish(&dr, &starts[0]);
    wish["reason"] = REASON.into();
    let booked = alice.post("/consultations", wish).await.expect(201);
    let session = booked.str("/id");
    app.settle().await;
    at(&app, instant(&booked.str("/startsAt")), [(&mut alice, Role::Employee), (&mut dr, Role::Practitioner)]).await;
    sign_in(&app, &mut company).await;
    dr.post(&format!("/consultations/{session}/start"), json!({})).await.expect(200);
    let note = dr.post(&format!("/consultations/{session}/notes"), json!({"format": "free", "body": NOTE})).await;
    let note = format!("/notes/{}", note.expect(201).str("/id"));
    for (user, words) in [(&alice, MESSAGE), (&dr, "An answer.")] {
        let message = json!({"clientId": Uuid::new_v4(), "body": words});
        user.post(&format!("/conversations/{session}/messages"), message).await.expect(201);
    }
    dr.post(&format!("/consultations/{session}/end"), json!({})).await.expect(200);
    alice.post("/journal", json!({"body": DIARY, "mood": 4, "tags": ["sleep"]})).await.expect(201);
    bring(&alice, pdf(300)).await.expect(201);
    app.settle().await;
    Life { app, company, alice, dr, session, note }
}

/// Its people, anew, after the clock was moved.
async fn sign_in(app: &TestApp, company: &mut Company) {
    for (user, role) in [(&mut company.hr, Role::Hr), (&mut company.admin, Role::CompanyAdmin)] {
        *user = user.with_token(app.session(user.id, role, user.company_id).await);
    }
}

pub fn proof() -> Value {
    json!({"password": PASSWORD})
}

impl Life {
    /// Signs the two in anew, after the clock was moved.
    pub async fn days_later(&mut self, days: i64) {
        let then = self.app.clock.now() + TimeDelta::days(days);
        let people = [(&mut self.alice, Role::Employee), (&mut self.dr, Role::Practitioner)];
        at(&self.app, then, people).await;
        sign_in(&self.app, &mut self.company).await;
    }

    /// Asks for the erasure, and lets its time come.
    pub async fn erase(&mut self) {
        self.alice.post("/privacy/erasure", proof()).await.expect(202);
        self.app.settle().await;
        self.days_later(8).await;
        sweep(&self.app).await;
    }

    pub async fn text_of(&self, query: &'static str) -> String {
        sqlx::query_scalar(query).bind(self.alice.id).fetch_one(self.app.db()).await.unwrap()
    }
}

/// What the clock does every five minutes.
pub async fn sweep(app: &TestApp) {
    app.enqueue(&SweepErasures {}).await;
    app.settle().await;
}
