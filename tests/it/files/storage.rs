//! Where files are kept: a folder, a bucket, and neither.

use std::time::Duration;

use chrono::TimeDelta;
use huntzen::domain::files::jobs::{CollectFiles, SweepStorage};
use huntzen::platform::config::Config;
use huntzen::platform::storage::Storage;
use secrecy::ExposeSecret;

use super::*;
use crate::support::s3::{Moto, S3};

async fn in_bucket(s3: &S3) -> TestApp {
    kept_at(&s3.url()).await
}

async fn kept_at(url: &str) -> TestApp {
    TestApp::start_with(|name| (name == "STORAGE_URL").then(|| url.to_owned())).await
}

#[tokio::test]
async fn files_are_kept_in_a_bucket_as_in_a_folder() {
    let s3 = S3::start();
    let app = in_bucket(&s3).await;
    app.platform.storage.prove().await.unwrap();
    // processes that start at the same moment try the same object
    for storage in [&app.platform.storage, &TestApp::start().await.platform.storage] {
        for _ in 0..10 {
            let proved = futures_util::future::join_all((0..8).map(|_| storage.prove())).await;
            assert!(proved.iter().all(Result::is_ok), "{proved:?}");
        }
    }
    app.anonymous().get("//health/ready").await.expect(200);
    let dr = app.practitioner().await;
    let first = set_avatar(&dr, jpeg()).await.expect(201);
    let got = fetch(&dr, &first).await.expect(200);
    assert_eq!(image::load_from_memory(&got.bytes).unwrap().width(), 512);
    let kept = s3.objects();
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].1, got.bytes);
    assert!(!kept[0].0.to_string_lossy().contains(&first.str("/id")), "a key tells nothing");
    dr.delete("/me/avatar").await.expect(204);
    app.enqueue(&CollectFiles {}).await;
    app.settle().await;
    assert!(s3.objects().is_empty());
}

#[tokio::test]
async fn an_object_of_many_parts_comes_back_as_it_was_and_one_that_is_dropped_leaves_nothing() {
    let s3 = S3::start();
    let (in_bucket, in_folder) = (in_bucket(&s3).await, TestApp::start().await);
    for app in [&in_bucket, &in_folder] {
        let storage = &app.platform.storage;
        let key = "files/ab/00000000000000000000000000000000";
        // a little more than two parts, in pieces that end nowhere in particular
        let content: Vec<u8> = (0..11_000_007_u32).map(|n| ((n * 31) >> 3).to_le_bytes()[0]).collect();
        let mut object = storage.create(key);
        for piece in content.chunks(70_001) {
            object.write(piece).await.unwrap();
        }
        assert!(storage.find(key).await.unwrap().is_none(), "before it is finished it is not there");
        assert_eq!(object.finish().await.unwrap(), content.len() as u64);
        let (size, pieces) = storage.read(key).await.unwrap();
        assert_eq!(size, content.len() as u64);
        let read: Vec<bytes::Bytes> = futures_util::TryStreamExt::try_collect(pieces).await.unwrap();
        assert!(read.concat() == content);
        storage.delete(key).await.unwrap();
        storage.delete(key).await.unwrap();
        assert!(storage.find(key).await.unwrap().is_none());

        let mut dropped = storage.create("files/cd/11111111111111111111111111111111");
        dropped.write(&content[..6_000_000]).await.unwrap();
        drop(dropped);
        assert!(storage.find("files/cd/11111111111111111111111111111111").await.unwrap().is_none());
    }
}

/// What the program does with a bucket, against a server of which nothing is ours: it checks each signature, the rights of
/// the key, and that the parts of an object are there and large enough.
#[tokio::test]
async fn a_server_that_checks_signatures_rights_and_parts_by_itself_takes_everything_that_the_program_asks_of_it() {
    let mut moto = Moto::start();
    let app = kept_at(&moto.url()).await;
    let storage = &app.platform.storage;
    storage.prove().await.unwrap();
    app.anonymous().get("//health/ready").await.expect(200);
    assert_eq!((moto.held("objects"), moto.held("uploads")), (vec![], vec![]));
    // a picture, in one piece, replaced and removed
    let dr = app.practitioner().await;
    let first = set_avatar(&dr, jpeg()).await.expect(201);
    fetch(&dr, &first).await.expect(200);
    set_avatar(&dr, jpeg()).await.expect(201);
    app.enqueue(&CollectFiles {}).await;
    app.settle().await;
    assert_eq!(moto.held("objects").len(), 1);
    dr.delete("/me/avatar").await.expect(204);
    app.enqueue(&CollectFiles {}).await;
    app.settle().await;
    assert!(moto.held("objects").is_empty());

    // in parts: noted while it is under way, and there once it is complete
    let key = "files/ab/00000000000000000000000000000000";
    let content: Vec<u8> = (0..11_000_007_u32).map(|n| ((n * 31) >> 3).to_le_bytes()[0]).collect();
    let mut object = storage.create(key);
    object.write(&content).await.unwrap();
    assert_eq!((moto.held("uploads"), moto.held("objects")), (vec![key.to_owned()], vec![format!("uploads/{key}")]));
    assert!(storage.find(key).await.unwrap().is_none());
    assert_eq!(object.finish().await.unwrap(), content.len() as u64);
    assert_eq!((moto.held("uploads"), moto.held("objects")), (vec![], vec![key.to_owned()]));
    let (size, pieces) = storage.read(key).await.unwrap();
    let read: Vec<bytes::Bytes> = futures_util::TryStreamExt::try_collect(pieces).await.unwrap();
    assert!(size == content.len() as u64 && read.concat() == content);
    storage.delete(key).await.unwrap();
    storage.delete(key).await.unwrap();
    assert!(storage.find(key).await.unwrap().is_none());

    // one that is given up is called off; one that was killed, after a day, and one that is called off already is no fault
    let mut dropped = storage.create("files/cd/dropped");
    dropped.write(&content[..6_000_000]).await.unwrap();
    assert_eq!(moto.held("uploads"), ["files/cd/dropped"]);
    drop(dropped);
    let until = std::time::Instant::now() + Duration::from_secs(20);
    while !moto.held("uploads").is_empty() || !moto.held("objects").is_empty() {
        assert!(std::time::Instant::now() < until, "{:?} {:?}", moto.held("uploads"), moto.held("objects"));
        tokio::task::yield_now().await;
    }
    let mut killed = storage.create("privacy/ef/killed");
    killed.write(&content[..6_000_000]).await.unwrap();
    std::mem::forget(killed);
    let mut note = storage.create("uploads/privacy/ef/gone");
    note.write(b"an-upload-that-is-not-there").await.unwrap();
    note.finish().await.unwrap();
    for (hours, left) in [(0, 1), (23, 1), (2, 0)] {
        app.clock.advance(TimeDelta::hours(hours));
        app.enqueue(&SweepStorage {}).await;
        app.settle().await;
        assert_eq!(moto.held("uploads").len(), left, "{hours}");
    }
    assert!(moto.held("objects").is_empty());

    // another secret, another bucket, and each right that is missing
    let secret = moto.url().split(['@', ':']).nth(2).unwrap().to_owned();
    let mut wrong =
        vec![moto.url().replace(&secret, "another-secret"), moto.url().replace("care-files", "another-bucket")];
    for right in ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:ListBucket", "s3:AbortMultipartUpload"] {
        wrong.push(moto.url_without(right));
    }
    for url in wrong {
        let folder = tempfile::tempdir().unwrap();
        let said = Storage::open(&config_of(&folder, &url)).unwrap().prove().await;
        let said = said.expect_err(&url).to_string();
        assert!(said.starts_with("STORAGE_URL: ") && !said.contains("another-secret"), "{said}");
    }
}

fn config_of(folder: &tempfile::TempDir, url: &str) -> Config {
    Config::from_env(|name| match name {
        "DATA_DIR" => Some(folder.path().display().to_string()),
        "STORAGE_URL" => Some(url.to_owned()),
        _ => None,
    })
    .unwrap()
}

async fn write(storage: &Storage, key: &str, bytes: usize) -> huntzen::platform::Result<u64> {
    let mut object = storage.create(key);
    object.write(&vec![7_u8; bytes]).await?;
    object.finish().await
}

/// Nothing is heard of a bucket before it has a part: over a slow line that takes longer than any silence that means that it is
/// away. One that answers nothing else meanwhile is away, however much it was to take.
#[tokio::test]
async fn a_slow_bucket_takes_a_large_object_and_a_silent_one_is_away() {
    let (slow, silent) = (S3::start_slow(Duration::from_secs(22)), S3::start());
    let (in_slow, in_silent) = (in_bucket(&slow).await, in_bucket(&silent).await);
    let storage = in_silent.platform.storage.clone().with_silence(Duration::from_secs(2));
    // two that have parts there already: the last one, and that they are put together, is what is not answered
    let (mut last, mut all) = (storage.create("exports/last.csv"), storage.create("exports/all.csv"));
    last.write(&vec![7_u8; 6_000_000]).await.unwrap();
    all.write(&vec![7_u8; 10 << 20]).await.unwrap();
    silent.sleep();
    let begun = std::time::Instant::now();
    let asked = async {
        let refused = tokio::join!(
            write(&storage, "exports/small.csv", 5),
            write(&storage, "files/ab/document", 4_000_000),
            write(&storage, "exports/large.csv", 6_000_000),
            last.finish(),
            all.finish(),
        );
        assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
        [refused.0, refused.1, refused.2, refused.3, refused.4]
    };
    // as patient as the program is
    let (written, refused) = tokio::join!(write(&in_slow.platform.storage, "exports/large.csv", 6_000_000), asked);
    assert!(begun.elapsed() < Duration::from_mins(1), "{:?}", begun.elapsed());
    for refused in refused {
        assert_eq!(refused.unwrap_err().code(), "storage_unavailable");
    }
    assert_eq!(written.unwrap(), 6_000_000);
    assert_eq!(in_slow.platform.storage.read("exports/large.csv").await.unwrap().0, 6_000_000);
    silent.wake();
}

/// A question that is refused is answered: what is written goes on meanwhile, unless the next one is refused as well.
#[tokio::test]
async fn a_bucket_that_refuses_one_question_takes_what_is_written_and_one_that_refuses_them_all_is_away() {
    let silence = Duration::from_secs(5);
    // one question is asked four times
    let (busy, away) = (
        S3::start_slow_and_refusing(Duration::from_secs(13), 4),
        S3::start_slow_and_refusing(Duration::from_mins(2), u32::MAX),
    );
    let (in_busy, in_away) = (in_bucket(&busy).await, in_bucket(&away).await);
    let storages = [&in_busy, &in_away].map(|app| app.platform.storage.clone().with_silence(silence));
    let begun = std::time::Instant::now();
    let (written, refused) = tokio::join!(
        write(&storages[0], "exports/large.csv", 6_000_000),
        write(&storages[1], "exports/large.csv", 6_000_000),
    );
    assert!(begun.elapsed() < Duration::from_mins(1), "{:?}", begun.elapsed());
    assert_eq!(written.unwrap(), 6_000_000);
    assert_eq!(storages[0].read("exports/large.csv").await.unwrap().0, 6_000_000);
    assert_eq!(refused.unwrap_err().code(), "storage_unavailable");
}

/// Making an upload and noting it are two requests: each may take as long as one. An upload that is there is called off when
/// nobody waits any more for its note.
#[tokio::test]
async fn a_bucket_that_is_slow_to_begin_takes_an_object_and_keeps_no_upload_that_is_given_up() {
    let slow = S3::start_slow_to_begin(Duration::from_secs(11));
    let app = in_bucket(&slow).await;
    let storage = &app.platform.storage;
    let given_up = async {
        let both_are_there = async {
            while slow.uploads() < 2 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            // in the middle of the eleven seconds of noting: that it was made is known by then
            tokio::time::sleep(Duration::from_secs(4)).await;
        };
        tokio::select! {
            done = write(storage, "exports/given_up.csv", 6_000_000) => panic!("{done:?}"),
            () = both_are_there => {}
        }
    };
    let (written, ()) = tokio::join!(write(storage, "exports/large.csv", 6_000_000), given_up);
    assert_eq!(written.unwrap(), 6_000_000);
    assert_eq!(storage.read("exports/large.csv").await.unwrap().0, 6_000_000);
    assert_eq!(slow.uploads(), 0);
}

#[tokio::test]
async fn parts_of_uploads_that_were_killed_are_collected_and_those_under_way_are_not() {
    let s3 = S3::start();
    let app = in_bucket(&s3).await;
    let storage = &app.platform.storage;
    let content = vec![7_u8; 6_000_000];
    for key in ["files/ab/killed", "privacy/cd/killed"] {
        let mut killed = storage.create(key);
        killed.write(&content).await.unwrap();
        // as by kill -9: nothing is called off
        std::mem::forget(killed);
    }
    let mut complete = storage.create("files/ef/complete");
    complete.write(&content).await.unwrap();
    assert_eq!(s3.uploads(), 3);
    complete.finish().await.unwrap();
    assert_eq!(s3.uploads(), 2);
    // young ones may be under way
    app.enqueue(&SweepStorage {}).await;
    app.settle().await;
    assert_eq!(s3.uploads(), 2);
    app.clock.advance(TimeDelta::hours(23));
    app.enqueue(&SweepStorage {}).await;
    app.settle().await;
    assert_eq!(s3.uploads(), 2);
    app.clock.advance(TimeDelta::hours(2));
    app.enqueue(&SweepStorage {}).await;
    app.settle().await;
    assert_eq!(s3.uploads(), 0);
    // nothing is noted any more, and a second time there is nothing to do
    let later = app.clock.now() + TimeDelta::days(9);
    let noted: Vec<Vec<String>> =
        futures_util::TryStreamExt::try_collect(storage.list_before("uploads", later)).await.unwrap();
    assert!(noted.concat().is_empty(), "{noted:?}");
    assert_eq!(storage.remove_unfinished(later).await.unwrap(), 0);
}

#[tokio::test]
async fn while_the_storage_is_away_nothing_is_half_done() {
    let mut s3 = S3::start();
    let app = in_bucket(&s3).await;
    let dr = app.practitioner().await;
    let first = set_avatar(&dr, jpeg()).await.expect(201);
    s3.stop();
    let refused = set_avatar(&dr, jpeg()).await.refused(503, "storage_unavailable");
    assert!(!refused.text().contains("127.0.0.1"), "{}", refused.text());
    fetch(&dr, &first).await.refused(503, "storage_unavailable");
    app.anonymous().get("//health/ready").await.expect(503);
    // the picture is still the one before, and what was begun is given up
    assert!(dr.get("/me").await.expect(200).str("/avatarUrl").ends_with(&first.str("/id")));
    assert_eq!(app.count("SELECT count(*) FROM app.files WHERE state = 'uploading'").await, 0);
    // what cannot be collected now is collected later
    app.enqueue(&CollectFiles {}).await;
    app.settle().await;
    s3.go_on();
    fetch(&dr, &first).await.expect(200);
    app.enqueue(&CollectFiles {}).await;
    app.settle().await;
    assert_eq!(app.count("SELECT count(*) FROM app.files").await, 1);
    assert_eq!(s3.objects().len(), 1);
}

#[tokio::test]
async fn a_bucket_that_does_not_take_the_program_is_found_at_the_start() {
    let s3 = S3::start();
    for url in [s3.url_with("another-secret", "care-files"), s3.url_with("b%2F8%2Bk2J9vQx7LmT4zRw8", "another-bucket")]
    {
        let folder = tempfile::tempdir().unwrap();
        let said = Storage::open(&config_of(&folder, &url)).unwrap().prove().await.unwrap_err().to_string();
        assert!(said.starts_with("STORAGE_URL: "), "{said}");
        assert!(!said.contains("another-secret") && !said.contains("b/8+"), "{said}");
    }
    // one that is away may come back: it does not hold up the start
    let mut gone = S3::start();
    let url = gone.url();
    gone.stop();
    kept_at(&url).await.platform.storage.prove().await.unwrap();
}

#[tokio::test]
async fn what_no_file_knows_goes_and_what_is_young_stays() {
    let s3 = S3::start();
    for app in [TestApp::start().await, in_bucket(&s3).await] {
        let dr = app.practitioner().await;
        let kept = set_avatar(&dr, jpeg()).await.expect(201);
        let stray = "files/ee/22222222222222222222222222222222";
        let mut object = app.platform.storage.create(stray);
        object.write(b"nobody's").await.unwrap();
        object.finish().await.unwrap();
        // what an export is kept under is not swept
        let mut export = app.platform.storage.create("exports/somebodys.csv");
        export.write(b"month").await.unwrap();
        export.finish().await.unwrap();
        app.enqueue(&SweepStorage {}).await;
        app.settle().await;
        assert!(app.platform.storage.find(stray).await.unwrap().is_some(), "its row may be about to come");
        app.clock.advance(TimeDelta::hours(3));
        app.enqueue(&SweepStorage {}).await;
        app.settle().await;
        assert!(app.platform.storage.find(stray).await.unwrap().is_none());
        assert!(app.platform.storage.find("exports/somebodys.csv").await.unwrap().is_some());
        let token = app.session(dr.id, huntzen::platform::auth::Role::Practitioner, None).await;
        fetch(&dr.with_token(token), &kept).await.expect(200);
    }
}

#[tokio::test]
async fn what_a_crash_left_half_written_in_a_folder_goes() {
    let app = TestApp::start().await;
    let folder = app.platform.config.data_dir.join("files/files/aa");
    std::fs::create_dir_all(&folder).unwrap();
    let staged = folder.join("33333333333333333333333333333333#1");
    std::fs::write(&staged, b"half").unwrap();
    app.enqueue(&SweepStorage {}).await;
    app.settle().await;
    assert!(staged.exists());
    app.clock.advance(TimeDelta::hours(3));
    app.enqueue(&SweepStorage {}).await;
    app.settle().await;
    assert!(!staged.exists());
}

#[tokio::test]
async fn an_upload_that_its_server_did_not_survive_is_collected() {
    let app = TestApp::start().await;
    let dr = app.practitioner().await;
    // as a server leaves it that was killed between the object and the row
    let key = "files/bb/44444444444444444444444444444444";
    sqlx::query(
        "INSERT INTO app.files (id, owner_id, purpose, object_key, size_bytes, created_at, expires_at)
         VALUES (gen_random_uuid(), $1, 'avatar', $2, 10, $3, $3 + interval '30 minutes')",
    )
    .bind(dr.id)
    .bind(key)
    .bind(app.clock.now())
    .execute(app.db())
    .await
    .unwrap();
    let mut object = app.platform.storage.create(key);
    object.write(b"orphan").await.unwrap();
    object.finish().await.unwrap();
    app.enqueue(&CollectFiles {}).await;
    app.settle().await;
    assert_eq!(objects(&app).len(), 1, "it may still be on its way");
    app.clock.advance(TimeDelta::minutes(31));
    app.enqueue(&CollectFiles {}).await;
    app.settle().await;
    assert!(objects(&app).is_empty());
    assert_eq!(app.count("SELECT count(*) FROM app.files").await, 0);
}

#[test]
fn a_configuration_of_a_bucket_shows_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let config = config_of(&folder, "s3://key:hidden-secret@s3.example.org/care-files");
    assert!(!format!("{config:?}").contains("hidden-secret"));
    let huntzen::platform::config::StorageUrl::Bucket(bucket) = &config.storage_url else { panic!() };
    assert_eq!(bucket.secret_key.expose_secret(), "hidden-secret");
}
