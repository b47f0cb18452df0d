//! What must not come in, and what must not be left of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::StreamExt;
use reqwest::Body;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

#[tokio::test]
async fn what_is_not_a_picture_is_refused_whatever_it_is_called() {
    let app = TestApp::start().await;
    let dr = app.practitioner().await;
    let svg = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>".to_vec();
    let zip = [&b"PK\x03\x04"[..], &[0; 60], b"PK\x05\x06", &[0; 18]].concat();
    for (name, bytes, status, code) in [
        ("me.svg", svg.clone(), 415, "file_type_refused"),
        ("me.png", svg, 415, "file_type_refused"),
        ("me.png", b"<!doctype html><script>alert(1)</script>".to_vec(), 415, "file_type_refused"),
        ("me.zip", zip.clone(), 415, "file_type_refused"),
        ("me.png", zip.clone(), 415, "file_type_refused"),
        ("me.png", [&b"\x1f\x8b\x08"[..], &[0; 50]].concat(), 415, "file_type_refused"),
        ("me.gif", b"GIF89a\x01\0\x01\0\0\0\0;".to_vec(), 415, "file_type_refused"),
        // of those that are taken elsewhere
        ("me.pdf", pdf(2000), 415, "file_type_refused"),
        // what it holds and what it is called are two things
        ("me.jpg", png(), 415, "file_type_mismatch"),
        ("me.png.exe", png(), 415, "file_type_mismatch"),
        ("me.svg", png(), 415, "file_type_mismatch"),
        // damaged
        ("me.png", png()[..60].to_vec(), 422, "file_unreadable"),
        ("me.jpg", jpeg()[..40].to_vec(), 422, "file_unreadable"),
        ("me.webp", b"RIFF\x24\0\0\0WEBPVP8 \x18\0\0\0nonsense".to_vec(), 422, "file_unreadable"),
        ("me.png", [&b"\x89PNG\r\n\x1a\n"[..], &[0xff; 5000]].concat(), 422, "file_unreadable"),
    ] {
        bring(&dr, "avatar", name, bytes).await.refused(status, code);
    }
    for (name, bytes, code) in [
        ("me.png", Vec::new(), "empty_file"),
        ("", png(), "file_name"),
        ("..", png(), "file_name"),
        ("png", png(), "file_name"),
        ("../../.png", png(), "file_name"),
        ("a/b\\", png(), "file_name"),
    ] {
        let refused = bring(&dr, "avatar", name, bytes).await.refused(422, "invalid");
        assert_eq!(
            (&refused.json["errors"][0]["pointer"], &refused.json["errors"][0]["code"]),
            (&json!("/file"), &json!(code))
        );
    }
    // words in French, too
    let french = dr.request(Method::POST, "/files").header("accept-language", "fr");
    let french =
        Answer::of(french.multipart(form(Some("avatar"), "me.zip", zip))).await.refused(415, "file_type_refused");
    assert!(french.str("/detail").starts_with("Les images"));
    until_given_up(&app).await;
    assert_eq!(app.count("SELECT count(*) FROM app.files WHERE state <> 'deleted'").await, 0);
}

#[tokio::test]
async fn a_picture_that_is_something_else_as_well_is_only_a_picture_afterwards() {
    let app = TestApp::start().await;
    let dr = app.practitioner().await;
    let page = b"<html><script>alert('polyglot')</script></html>";
    let archive = [&b"PK\x03\x04"[..], &[0; 60], b"PK\x05\x06", &[0; 18]].concat();
    let mut commented = jpeg();
    commented.splice(2..2, [&[0xff, 0xfe, 0, u8::try_from(page.len() + 2).unwrap()][..], page].concat());
    for (name, bytes) in
        [("both.jpg", [&commented[..], &archive].concat()), ("both.png", [&png()[..], page, &archive].concat())]
    {
        let stored = bring(&dr, "article_image", name, bytes).await.expect(201);
        let got = fetch(&dr, &stored).await.expect(200);
        assert!(image::load_from_memory(&got.bytes).is_ok());
        for mark in [&b"polyglot"[..], b"PK\x05\x06", b"<script"] {
            assert!(!got.bytes.windows(mark.len()).any(|it| it == mark), "{name}");
        }
    }
}

#[tokio::test]
async fn a_small_file_that_would_decode_to_gigabytes_is_refused() {
    let app = TestApp::start().await;
    let dr = app.practitioner().await;
    // 5,001 × 5,001 points of one colour: some kilobytes, that would be 75 MB, and more for a larger one
    let bomb = coded(&RgbImage::new(5001, 5001), ImageFormat::Png);
    assert!(bomb.len() < 1 << 20);
    bring(&dr, "avatar", "bomb.png", bomb).await.refused(422, "picture_too_large");
    let wide = coded(&RgbImage::new(12_001, 3), ImageFormat::Png);
    bring(&dr, "avatar", "wide.png", wide).await.refused(422, "picture_too_large");
    // fewer points than are taken, each of eight bytes: 192 MB
    let deep = 4_900;
    let points = packed_zeros(u64::from(deep) * (1 + 8 * u64::from(deep)));
    let deep = png_of(&[(b"IHDR", header(deep, 16, 6)), (b"IDAT", points), (b"IEND", Vec::new())]);
    assert!(deep.len() < 2 << 20);
    bring(&dr, "avatar", "deep.png", deep).await.refused(422, "picture_too_large");
    // some hundred bytes that say that they are huge
    for side in [11_999_u16, 12_001, 16_383] {
        let mut bomb = jpeg();
        let frame = bomb.windows(2).position(|it| it == [0xff, 0xc0]).unwrap();
        bomb[frame + 5..frame + 9].copy_from_slice(&[side.to_be_bytes(), side.to_be_bytes()].concat());
        bring(&dr, "avatar", "bomb.jpg", bomb).await.refused(422, "picture_too_large");
        let mut bomb = coded(&picture(60, 40), ImageFormat::WebP);
        let start = bomb.windows(4).position(|it| it == b"VP8L").unwrap() + 8;
        assert_eq!(bomb[start], 0x2f);
        let sides = u32::from(side - 1) | u32::from(side - 1) << 14;
        bomb[start + 1..start + 5].copy_from_slice(&sides.to_le_bytes());
        bring(&dr, "avatar", "bomb.webp", bomb).await.refused(422, "picture_too_large");
    }
    until_given_up(&app).await;
}

#[tokio::test]
async fn the_form_is_read_strictly() {
    let app = TestApp::start().await;
    let dr = app.practitioner().await;
    let send = |form: Form| Answer::of(dr.request(Method::POST, "/files").multipart(form));
    let part = || Part::bytes(png()).file_name("me.png");
    for (form, pointer, code) in [
        (Form::new().text("purpose", "avatar"), "/file", "required"),
        (Form::new().part("file", part()), "/purpose", "required"),
        (Form::new().text("purpose", "portrait").part("file", part()), "/purpose", "file_purpose"),
        (Form::new().text("purpose", "attachment").part("file", part()), "/purpose", "file_purpose"),
        (Form::new().text("purpose", "avatar").text("owner", "me").part("file", part()), "/owner", "unknown_property"),
        (Form::new().text("purpose", "avatar").part("file", part()).part("file", part()), "/file", "unknown_property"),
        (
            Form::new().text("purpose", "avatar").text("purpose", "logo").part("file", part()),
            "/purpose",
            "unknown_property",
        ),
    ] {
        let refused = send(form).await.refused(422, "invalid");
        assert_eq!(refused.json["errors"][0]["pointer"], pointer);
        assert_eq!(refused.json["errors"][0]["code"], code, "{}", refused.text());
    }
    dr.post("/files", json!({"purpose": "avatar"})).await.refused(415, "unsupported_media_type");
    let no_form = dr.request(Method::POST, "/files").header("content-type", "multipart/form-data; boundary=x");
    Answer::of(no_form.body("this is no form")).await.refused(400, "upload_incomplete");
    until_given_up(&app).await;
}

/// Begins an upload by hand; what is announced need not come.
async fn begin(app: &TestApp, user: &User, path: &str, length: u64, sent: &[u8]) -> tokio::net::TcpStream {
    let address = app.base.strip_prefix("http://").unwrap();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let head = format!(
        "PUT /api/v1{path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\nContent-Length: {length}\r\n\
         Content-Type: multipart/form-data; boundary=edge\r\n\r\n\
         --edge\r\nContent-Disposition: form-data; name=\"file\"; filename=\"me.png\"\r\n\r\n",
        user.token
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(sent).await.unwrap();
    stream
}

#[tokio::test]
async fn two_gigabytes_are_cut_off_before_they_come() {
    let app = TestApp::start().await;
    let dr = app.practitioner().await;
    // announced: refused at once
    let mut stream = begin(&app, &dr, "/me/avatar", 2 << 30, &png()).await;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.ok();
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    // not announced: as soon as there is too much of it. It is made while it is sent, and never was in memory
    let sent = Arc::new(AtomicU64::new(0));
    let counted = sent.clone();
    let piece = bytes::Bytes::from(vec![7_u8; 1 << 16]);
    let pieces = futures_util::stream::iter((0..(2_u64 << 30) >> 16).map(move |n| {
        counted.fetch_add(1 << 16, Ordering::Relaxed);
        let head = bytes::Bytes::from_static(b"\x89PNG\r\n\x1a\n");
        Ok::<_, std::io::Error>(if n == 0 { head } else { piece.clone() })
    }));
    let endless = Part::stream(Body::wrap_stream(pieces.boxed())).file_name("me.png");
    let request = dr.request(Method::PUT, "/me/avatar").multipart(Form::new().part("file", endless));
    // whether the client hears the answer or only that nobody listens any more is up to its timing
    if let Ok(response) = request.send().await {
        assert_eq!(response.status().as_u16(), 413);
    }
    let sent = sent.load(Ordering::Relaxed);
    assert!(sent < 40 << 20, "{sent} bytes were taken");
    until_given_up(&app).await;
    dr.get("/me").await.expect(200);
}

#[tokio::test]
async fn a_document_or_an_attachment_of_the_most_bytes_is_taken_and_of_one_more_refused() {
    const MOST: usize = 65_536;
    let app = TestApp::start_with(|name| (name == "MAX_UPLOAD_BYTES").then(|| MOST.to_string())).await;
    let company = app.company("Acme").await;
    let (alice, dr) = (app.employee(&company).await, app.practitioner().await);
    let session = book_on(&alice, &dr, in_days(&app, 1)).await.str("/id");
    let attachments = format!("/conversations/{session}/attachments");
    let exact = pdf(MOST - pdf(0).len());
    assert_eq!(exact.len(), MOST);
    let send = async |path: &str, bytes: &[u8], is_announced: bool| {
        let part = if is_announced {
            Part::bytes(bytes.to_vec())
        } else {
            let pieces: Vec<_> = bytes.chunks(5_000).map(|it| Ok::<_, std::io::Error>(it.to_vec())).collect();
            Part::stream(Body::wrap_stream(futures_util::stream::iter(pieces)))
        };
        let form = if path == "/files" { Form::new().text("purpose", "document") } else { Form::new() };
        let form = form.part("file", part.file_name("letter.pdf"));
        Answer::of(alice.request(Method::POST, path).multipart(form)).await
    };
    let over = pdf(MOST - pdf(0).len() + 1);
    for path in ["/files", attachments.as_str()] {
        for is_announced in [true, false] {
            let refused = send(path, &over, is_announced).await.refused(413, "file_too_large");
            assert_eq!(refused.json["mostBytes"], MOST);
        }
    }
    // neither an object nor room is taken
    assert_eq!(app.count("SELECT count(*) FROM app.files WHERE state <> 'deleted'").await, 0);
    assert!(objects(&app).is_empty());
    for path in ["/files", attachments.as_str()] {
        for is_announced in [true, false] {
            let stored = send(path, &exact, is_announced).await.expect(201);
            assert_eq!(fetch(&alice, &stored).await.expect(200).bytes, exact, "{path}");
        }
    }
    assert_eq!((objects(&app).len(), app.count("SELECT count(*) FROM app.files WHERE state = 'ready'").await), (4, 4));
    app.settle().await;
}

#[tokio::test]
async fn an_upload_that_stops_half_way_leaves_nothing() {
    let app = TestApp::start().await;
    let dr = app.practitioner().await;
    let whole = png();
    for reset in [false, true] {
        let stream = begin(&app, &dr, "/me/avatar", 100_000, &whole[..whole.len() / 2]).await;
        let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while app.count("SELECT count(*) FROM app.files WHERE state = 'uploading'").await == 0 {
            assert!(std::time::Instant::now() < until, "the upload is not noted");
        }
        if reset {
            stream.set_zero_linger().unwrap();
        }
        drop(stream);
        until_given_up(&app).await;
    }
    // a form that ends before its file does
    let cut = [
        &b"--edge\r\nContent-Disposition: form-data; name=\"file\"; filename=\"me.png\"\r\n\r\n"[..],
        &whole[..whole.len() / 2],
    ]
    .concat();
    let request = dr.request(Method::PUT, "/me/avatar").header("content-type", "multipart/form-data; boundary=edge");
    Answer::of(request.body(cut)).await.refused(400, "upload_incomplete");
    until_given_up(&app).await;
    assert!(dr.get("/me").await.expect(200).json.get("avatarUrl").is_none());
}

#[tokio::test]
async fn so_many_at_once_and_no_more() {
    let app = TestApp::start().await;
    let dr = app.practitioner().await;
    let mut open = Vec::new();
    for n in 1..=5 {
        open.push(begin(&app, &dr, "/me/avatar", 100_000, &png()[..100]).await);
        let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while app.count("SELECT count(*) FROM app.files WHERE state = 'uploading'").await < n {
            assert!(std::time::Instant::now() < until, "the upload is not noted");
        }
    }
    let refused = set_avatar(&dr, jpeg()).await.refused(429, "too_many_uploads");
    assert_eq!(refused.header("retry-after"), "5");
    drop(open);
    until_given_up(&app).await;
    set_avatar(&dr, jpeg()).await.expect(201);
}

#[tokio::test]
async fn a_persons_files_never_add_up_to_more_than_they_may() {
    let app = TestApp::start_with(|name| (name == "FILE_QUOTA_BYTES").then(|| "1048576".to_owned())).await;
    let dr = app.practitioner().await;
    let (app, dr) = (&app, &dr);
    let answers = futures_util::future::join_all(
        (1..=4).map(|n| async move { bring(dr, "article_image", "noise.png", noise(n)).await.status.as_u16() }),
    )
    .await;
    assert_eq!(answers.iter().filter(|status| **status == 201).count(), 2, "{answers:?}");
    assert!(answers.iter().all(|status| matches!(status, 201 | 409)), "{answers:?}");
    let refused = bring(dr, "article_image", "noise.png", noise(9)).await.refused(409, "file_quota_exceeded");
    assert!(refused.json["errors"].is_null());
    // small ones still fit, and room that was given back can be used
    bring(dr, "article_image", "small.png", png()).await.expect(201);
    let first: String =
        sqlx::query_scalar("SELECT id::text FROM app.files WHERE state = 'ready' ORDER BY size_bytes DESC LIMIT 1")
            .fetch_one(app.db())
            .await
            .unwrap();
    dr.delete(&format!("/files/{first}")).await.expect(204);
    bring(dr, "article_image", "noise.png", noise(9)).await.expect(201);
    let total = app.count("SELECT sum(size_bytes)::bigint FROM app.files WHERE state <> 'deleted'").await;
    assert!(total <= 1 << 20, "{total}");
}
