//! Avatars and logos.

use huntzen::domain::files::jobs::CollectFiles;
use image::GenericImageView;
use serde_json::Value;

use super::*;
use crate::support::Company;

#[tokio::test]
async fn ones_own_picture_is_a_square_without_notes_and_takes_the_place_of_the_one_before() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let alice = app.employee(&company).await;
    assert!(alice.get("/me").await.expect(200).json.get("avatarUrl").is_none());
    let mut marked = jpeg();
    marked.splice(2..2, [&[0xff, 0xe1, 0, 22][..], b"Exif\0\0secret place"].concat().into_iter().chain([0, 0]));
    let first = set_avatar(&alice, marked).await.expect(201);
    assert_eq!((first.str("/purpose").as_str(), first.str("/mediaType").as_str()), ("avatar", "image/jpeg"));
    assert!(first.json.get("name").is_none() && first.json.get("expiresAt").is_none());
    let url = alice.get("/me").await.expect(200).str("/avatarUrl");
    assert_eq!(url, format!("/api/v1/files/{}", first.str("/id")));

    let got = fetch(&alice, &first).await.expect(200);
    let image = image::load_from_memory(&got.bytes).unwrap();
    assert_eq!(image.dimensions(), (512, 512));
    assert!(!got.bytes.windows(6).any(|it| it == b"secret" || it == b"Exif\0\0"));
    assert_eq!(first.json["sizeBytes"], Value::from(got.bytes.len()));
    for (name, value) in [
        ("content-type", "image/jpeg"),
        ("x-content-type-options", "nosniff"),
        ("cache-control", "private, no-store"),
        ("content-disposition", "attachment; filename=\"avatar.jpg\"; filename*=UTF-8''avatar.jpg"),
        ("content-length", got.bytes.len().to_string().as_str()),
    ] {
        assert_eq!(got.header(name), value, "{name}");
    }
    assert!(got.header("content-security-policy").starts_with("sandbox;"));

    let second =
        Answer::of(alice.request(Method::PUT, "/me/avatar").multipart(form(None, "me.png", png()))).await.expect(201);
    assert_eq!(second.str("/mediaType"), "image/png");
    fetch(&alice, &first).await.refused(404, "not_found");
    fetch(&alice, &second).await.expect(200);
    // the object of the first one goes with the next collection
    assert_eq!(objects(&app).len(), 2);
    app.enqueue(&CollectFiles {}).await;
    app.settle().await;
    assert_eq!(objects(&app).len(), 1);
    assert_eq!(app.count("SELECT count(*) FROM app.files").await, 1);

    alice.delete("/me/avatar").await.expect(204);
    alice.delete("/me/avatar").await.expect(204);
    assert!(alice.get("/me").await.expect(200).json.get("avatarUrl").is_none());
    fetch(&alice, &second).await.refused(404, "not_found");
    app.enqueue(&CollectFiles {}).await;
    app.settle().await;
    assert!(objects(&app).is_empty());
    let entries: Vec<String> =
        sqlx::query_scalar("SELECT action FROM app.audit_logs WHERE object_type = 'file' ORDER BY at, id")
            .fetch_all(app.db())
            .await
            .unwrap();
    assert_eq!(entries, ["file.added", "file.added", "file.deleted"]);
}

#[tokio::test]
async fn of_two_pictures_at_once_one_is_shown_and_the_other_goes() {
    let app = TestApp::start().await;
    let dr = app.practitioner().await;
    let answers = futures_util::future::join_all((0..4).map(|_| set_avatar(&dr, jpeg()))).await;
    let ids: Vec<_> = answers.into_iter().map(|answer| answer.expect(201).str("/id")).collect();
    let shown = dr.get("/me").await.expect(200).str("/avatarUrl");
    let profile = dr.get(&format!("/practitioners/{}", dr.id)).await.expect(200).str("/avatarUrl");
    assert_eq!(shown, profile);
    assert_eq!(app.count("SELECT count(*) FROM app.files WHERE state = 'ready'").await, 1);
    for id in ids {
        let status = if shown.ends_with(&id) { 200 } else { 404 };
        dr.get(&format!("/files/{id}")).await.expect(status);
    }
}

#[tokio::test]
async fn a_practitioners_picture_is_for_whoever_may_book_or_choose_them() {
    let (app, acme, alice, dr) = scene().await;
    let globex = app.company("Globex").await;
    let (carol, other, staff) = (app.employee(&globex).await, app.practitioner().await, app.platform_admin().await);
    sqlx::query("UPDATE app.companies SET network = 'restricted' WHERE id = $1")
        .bind(globex.id)
        .execute(app.db())
        .await
        .unwrap();
    let picture = set_avatar(&dr, jpeg()).await.expect(201);
    let url = picture.str("/url");
    for (user, status) in [
        (&dr, 200),
        (&alice, 200),
        (&acme.hr, 200),
        (&acme.admin, 200),
        (&staff, 200),
        // who chooses the network sees all who can be chosen; the people of a company see its network
        (&globex.admin, 200),
        (&globex.hr, 404),
        (&carol, 404),
        (&other, 404),
    ] {
        fetch(user, &picture).await.expect(status);
    }
    app.anonymous().get(&format!("/files/{}", picture.str("/id"))).await.refused(401, "unauthenticated");
    let list = alice.get("/practitioners").await.expect(200);
    let shown = list.json["items"].as_array().unwrap().iter().find(|it| it["id"] == serde_json::json!(dr.id)).unwrap();
    assert_eq!(shown["avatarUrl"], Value::from(url.clone()));
    assert_eq!(alice.get(&format!("/practitioners/{}", dr.id)).await.expect(200).str("/avatarUrl"), url);
    // whom one has met stays visible
    sqlx::query("UPDATE app.practitioners SET status = 'inactive' WHERE id = $1")
        .bind(dr.id)
        .execute(app.db())
        .await
        .unwrap();
    fetch(&alice, &picture).await.refused(404, "not_found");
    app.settle().await;
}

#[tokio::test]
async fn a_clients_picture_is_for_their_practitioners_and_nobody_else() {
    let (app, acme, alice, dr) = scene().await;
    let (bob, other, staff) = (app.employee(&acme).await, app.practitioner().await, app.platform_admin().await);
    let picture = set_avatar(&alice, jpeg()).await.expect(201);
    fetch(&dr, &picture).await.refused(404, "not_found");
    book_on(&alice, &dr, in_days(&app, 3)).await;
    fetch(&dr, &picture).await.expect(200);
    let talks = dr.get("/conversations").await.expect(200);
    assert_eq!(talks.str("/items/0/avatarUrl"), picture.str("/url"));
    assert!(alice.get("/conversations").await.expect(200).json["items"][0].get("avatarUrl").is_none());
    for user in [&bob, &other, &staff, &acme.hr, &acme.admin] {
        fetch(user, &picture).await.refused(404, "not_found");
        user.delete(&format!("/files/{}", picture.str("/id"))).await.refused(404, "not_found");
    }
    app.settle().await;
}

#[tokio::test]
async fn a_companys_logo_is_its_admins_to_set_and_its_peoples_to_see() {
    let app = TestApp::start().await;
    let (acme, globex) = (app.company("Acme").await, app.company("Globex").await);
    let (alice, staff) = (app.employee(&acme).await, app.platform_admin().await);
    let people: [(&User, u16); 3] = [(&acme.hr, 403), (&alice, 403), (&staff, 403)];
    for (user, status) in people {
        bring(user, "logo", "logo.png", png()).await.refused(status, "forbidden");
    }
    let logo = bring(&acme.admin, "logo", "logo.png", png()).await.expect(201);
    let of = |company: &Company| format!("/companies/{}", company.id);
    for user in [&acme.admin, &acme.hr, &alice] {
        assert_eq!(user.get(&of(&acme)).await.expect(200).str("/logoUrl"), logo.str("/url"));
        fetch(user, &logo).await.expect(200);
    }
    for user in [&globex.admin, &globex.hr, &staff] {
        fetch(user, &logo).await.refused(404, "not_found");
    }
    let second = bring(&acme.admin, "logo", "logo.webp", webp()).await.expect(201);
    assert_eq!(second.str("/mediaType"), "image/jpeg", "of WebP the points are kept, and nothing else");
    fetch(&alice, &logo).await.refused(404, "not_found");
    acme.admin.delete(&format!("/files/{}", second.str("/id"))).await.expect(204);
    assert!(acme.admin.get(&of(&acme)).await.expect(200).json.get("logoUrl").is_none());
    assert!(app.count("SELECT count(*) FROM app.audit_logs WHERE action = 'file.added'").await > 0);
}

fn webp() -> Vec<u8> {
    coded(&picture(30, 20), ImageFormat::WebP)
}

#[tokio::test]
async fn a_picture_that_was_held_sideways_stands_upright() {
    let app = TestApp::start().await;
    let author = app.practitioner().await;
    // EXIF with orientation 6: to be turned by a quarter
    let exif = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    let length = u16::try_from(exif.len() + 2).unwrap().to_be_bytes();
    let mut sideways = jpeg();
    sideways.splice(2..2, [&[0xff, 0xe1], &length[..], exif].concat());
    let stored = bring(&author, "article_image", "photo.JPEG", sideways).await.expect(201);
    let got = fetch(&author, &stored).await.expect(200);
    assert_eq!(image::load_from_memory(&got.bytes).unwrap().dimensions(), (40, 60));
}

#[tokio::test]
async fn all_pictures_that_come_together_take_a_bounded_room() {
    let app = TestApp::start().await;
    let dr = app.practitioner().await;
    let others = app.platform.images.room(huntzen::platform::images::ROOM - 1).unwrap();
    // a small one fits, a larger one does not now
    set_avatar(&dr, jpeg()).await.expect(201);
    let refused = bring(&dr, "article_image", "noise.png", noise(1)).await.refused(503, "unavailable");
    assert_eq!(refused.header("retry-after"), "5");
    drop(others);
    bring(&dr, "article_image", "noise.png", noise(1)).await.expect(201);
    // and gives its room back
    drop(app.platform.images.room(huntzen::platform::images::ROOM).unwrap());
}
