//! A large copy in the real program, whose memory is looked at.

use bytes::Bytes;
use futures_util::StreamExt;
use reqwest::Body;
use secrecy::ExposeSecret;

use super::*;
use crate::support::cluster;
use crate::support::process::Site;

/// What making and fetching a copy may hold: two parts of an object, and some pieces.
const MOST: u64 = 32 << 10;

/// How large it is; `COPY_MEGABYTES` says otherwise.
fn megabytes() -> usize {
    crate::support::tools::setting("COPY_MEGABYTES", 96)
}

#[tokio::test]
async fn a_large_copy_is_made_and_fetched_at_constant_memory() {
    let secret = &cluster::template().await.config().database_roles_secret;
    let mut site = Site::new(&cluster::fresh_database().await, Some(secret.expose_secret())).await;
    site.set("MAX_UPLOAD_BYTES", Some((4_u64 << 30).to_string()));
    site.set("FILE_QUOTA_BYTES", Some((8_u64 << 30).to_string()));
    site.set("RATE_LIMIT_PER_USER", Some("1000000".into()));
    site.set("RATE_LIMIT_PER_IP", Some("1000000".into()));
    let server = site.serve().await;
    let people = site.people(1, 1).await;
    let alice = people.employees[0].at(&server.base);
    let upload = async |pieces: usize| {
        let piece = Bytes::from((0..1 << 20).map(|n: u32| (n % 251).to_le_bytes()[0]).collect::<Vec<_>>());
        let pieces = std::iter::once(Bytes::from_static(b"%PDF-1.7\n"))
            .chain(std::iter::repeat_n(piece, pieces))
            .chain(std::iter::once(Bytes::from_static(b"\n%%EOF\n")));
        let body = Body::wrap_stream(futures_util::stream::iter(pieces.map(Ok::<_, std::io::Error>)));
        let form = Form::new().text("purpose", "document").part("file", Part::stream(body).file_name("scan.pdf"));
        Answer::of(alice.request(Method::POST, "/files").multipart(form)).await.expect(201)
    };
    let copy = async || {
        let id = alice.post("/privacy/exports", json!({})).await.expect(202).str("/id");
        let path = format!("/privacy/exports/{id}");
        let until = std::time::Instant::now() + std::time::Duration::from_mins(20);
        let made = loop {
            let it = alice.get(&path).await.expect(200);
            match it.str("/status").as_str() {
                "ready" => break it,
                "pending" | "running" => assert!(std::time::Instant::now() < until, "{}", it.json),
                other => panic!("{other}"),
            }
        };
        let response = alice.request(Method::GET, &format!("{path}/download")).send().await.unwrap();
        assert_eq!(response.status().as_u16(), 200);
        let (mut length, mut stream) = (0, response.bytes_stream());
        while let Some(bytes) = stream.next().await {
            length += bytes.unwrap().len();
        }
        assert_eq!(made.json["sizeBytes"], json!(length));
        length
    };
    // a small one first: everything that is made once is made
    upload(12).await;
    let small = copy().await;
    let large = megabytes();
    upload(large).await;
    let before = server.peak_memory();
    let began = std::time::Instant::now();
    let bytes = copy().await;
    let took = began.elapsed();
    assert!(bytes > small + (large << 20), "{bytes}");
    let after = server.peak_memory();
    println!("a copy of {bytes} bytes in {took:?}: {before} KB at most before, {after} KB afterwards");
    assert!(after < before + MOST, "{after} KB, from {before} KB");
}
