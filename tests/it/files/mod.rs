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

pub fn jpeg() -> Vec<u8> {
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

/// A PNG of these chunks.
fn png_of(chunks: &[(&[u8; 4], Vec<u8>)]) -> Vec<u8> {
    let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
    for (kind, data) in chunks {
        let named = [&kind[..], data].concat();
        out.extend(u32::try_from(data.len()).unwrap().to_be_bytes());
        out.extend(&named);
        let crc = named.iter().fold(u32::MAX, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 })
        });
        out.extend((!crc).to_be_bytes());
    }
    out
}

/// `IHDR`: so many points each way, so many bits, of this type.
fn header(side: u32, bits: u8, kind: u8) -> Vec<u8> {
    [&side.to_be_bytes()[..], &side.to_be_bytes(), &[bits, kind, 0, 0, 0]].concat()
}

/// So many zeros as zlib packs them, if it does so badly (RFC 1950, 1951): a zero, and again and again the 258 before.
fn packed_zeros(length: u64) -> Vec<u8> {
    let mut out = vec![0x78, 1];
    let (mut held, mut bits) = (0_u64, 0);
    let mut put = |code: u64, length: u32| {
        held |= code << bits;
        bits += length;
        while bits >= 8 {
            out.push(held.to_le_bytes()[0]);
            held >>= 8;
            bits -= 8;
        }
    };
    // the last block, of fixed codes
    put(0b011, 3);
    let (literal, again) = ((0x0c, 8), (0xa3, 8 + 5));
    let matches = (length - 1) / 258;
    put(literal.0, literal.1);
    for _ in 0..matches {
        put(again.0, again.1);
    }
    for _ in 0..(length - 1) % 258 {
        put(literal.0, literal.1);
    }
    put(0, 7 + 7);
    let adler = u32::try_from(length % 65_521).unwrap() << 16 | 1;
    out.extend(adler.to_be_bytes());
    out
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
