//! The directory: people, departments, imports.

mod directory;
mod imports;
mod invitations;

use std::fmt::Write;

use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};

use crate::support::{Answer, Company, TestApp, User};

fn alice() -> Value {
    json!({
        "email": "Alice@Acme.test", "firstName": " Alice ", "lastName": "Martin", "staffNumber": "A-1",
        "department": "Legal", "site": "Lyon", "locale": "en",
    })
}

fn person(email: &str) -> Value {
    json!({"email": email, "firstName": "Ana", "lastName": "Silva"})
}

async fn import(user: &User, query: &str, file: impl Into<Vec<u8>>) -> Answer {
    let request = user.request(Method::POST, &format!("/employees/import{query}"));
    Answer::of(request.header(CONTENT_TYPE, "text/csv").body(file.into())).await
}

async fn set_seats(app: &TestApp, company: &Company, seats: i32) {
    sqlx::query("UPDATE app.companies SET seats = $2 WHERE id = $1")
        .bind(company.id)
        .bind(seats)
        .execute(app.db())
        .await
        .unwrap();
}

fn people(count: usize) -> String {
    let mut file = String::from("email;prénom;nom;matricule;service;site\r\n");
    for n in 0..count {
        write!(file, "p{n}@acme.test;Prénom{n};Nom{n};M{n};Service {};Lyon\r\n", n % 40).unwrap();
    }
    file
}
