//! Files: what comes in, who gets it, how it is kept, and that nothing is left behind.

mod attachments;
mod hostile;
mod memory;
mod pictures;
mod storage;

use std::io::Cursor;

use image::{ImageFormat, Rgb, RgbImage};
use reqwest::Method;
use reqwest::multipart::{Form, Part};

pub use crate::consultations::{book_on, in_days, scene};
use crate::support::{Answer, TestApp, User};

/// A form with a file, and what it is for.
fn form(purpose: Option<&str>, name: &str, bytes: Vec<u8>) -> Form {
    let form = purpose.map_or_else(Form::new, |purpose| Form::new().text("purpose", purpose.to_owned()));
    form.part("file", Part::bytes(bytes).file_name(name.to_owned()))
}

async fn bring(user: &User, purpose: &str, name: &str, bytes: Vec<u8>) -> Answer {
    Answer::of(user.request(Method::POST, "/files").multipart(form(Some(purpose), name, bytes))).await
}

async fn set_avatar(user: &User, bytes: Vec<u8>) -> Answer {
    Answer::of(user.request(Method::PUT, "/me/avatar").multipart(form(None, "me.jpg", bytes))).await
}

async fn fetch(user: &User, answer: &Answer) -> Answer {
    user.get(&format!("/files/{}", answer.str("/id"))).await
}

fn picture(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| Rgb([x * 7, y * 5, x ^ y].map(|it| it.to_le_bytes()[0])))
}

fn coded(image: &RgbImage, format: ImageFormat) -> Vec<u8> {
    let mut out = Cursor::new(Vec::new());
    image.write_to(&mut out, format).unwrap();
    out.into_inner()
}

fn jpeg() -> Vec<u8> {
    coded(&picture(60, 40), ImageFormat::Jpeg)
}

fn png() -> Vec<u8> {
    coded(&picture(60, 40), ImageFormat::Png)
}

/// Noise does not get smaller: about 400 KB before and after.
fn noise(seed: u32) -> Vec<u8> {
    let mut state = seed;
    let image = RgbImage::from_fn(365, 365, |_, _| {
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        };
        Rgb([next(), next(), next()])
    });
    coded(&image, ImageFormat::Png)
}

/// A PDF of about so many bytes.
fn pdf(bytes: usize) -> Vec<u8> {
    let mut pdf = b"%PDF-1.4\n%".to_vec();
    pdf.extend((0..bytes).map(|n| b'a' + u8::try_from(n % 23).unwrap()));
    pdf.extend(b"\ntrailer<<>>\n%%EOF\n");
    pdf
}

/// Every object of the storage, by its key; what checks the storage aside.
fn objects(app: &TestApp) -> Vec<(String, Vec<u8>)> {
    fn walk(root: &std::path::Path, folder: &std::path::Path, found: &mut Vec<(String, Vec<u8>)>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(root, &path, found);
            } else {
                let key = path.strip_prefix(root).unwrap().display().to_string();
                found.push((key, std::fs::read(&path).unwrap()));
            }
        }
    }
    let root = app.platform.config.data_dir.join("files");
    let mut found = Vec::new();
    walk(&root, &root, &mut found);
    found.retain(|(key, _)| !key.starts_with("health/"));
    found.sort();
    found
}

/// Until nothing is on its way any more: what somebody who left had begun is given up beside their request.
async fn until_given_up(app: &TestApp) {
    let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while app.count("SELECT count(*) FROM app.files WHERE state = 'uploading'").await > 0 || !objects(app).is_empty() {
        assert!(std::time::Instant::now() < until, "an upload is not given up");
        tokio::task::yield_now().await;
    }
}
