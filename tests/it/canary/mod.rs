//! Whatever people entrust the program with is in their own hands only. A word of its own goes into every confidential
//! field, through the API of real programs; then it is looked for in everything else that there is. A column of bytes that
//! no word reaches fails the test, unless what it holds is shown to have no room for one.

mod shown;
mod words;

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::TimeDelta;
use huntzen::domain::privacy::SweepErasures;
use huntzen::platform::auth::{Role, signing_keys};
use huntzen::platform::crypto::entropy::Entropy;
use reqwest::Method;
use reqwest::multipart::{Form, Part};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use uuid::Uuid;

use words::{FIELDS, Place, Words};

use crate::consultations::{free, in_days, scene, wish};
use crate::support::app::PASSWORD;
use crate::support::collector::{Collector, events, spans};
use crate::support::process::Site;
use crate::support::redis::Redis;
use crate::support::web::{Reply, Web};
use crate::support::{Answer, Sockets, User, cluster};
use crate::two_factor::App;

fn pdf(word: &str) -> Vec<u8> {
    format!("%PDF-1.4\n%{word}\ntrailer<<>>\n%%EOF\n").into_bytes()
}

async fn bring(user: &User, path: &str, purpose: Option<&str>, name: &str, bytes: Vec<u8>) -> Answer {
    let form = purpose.map_or_else(Form::new, |purpose| Form::new().text("purpose", purpose.to_owned()));
    let part = Part::bytes(bytes).file_name(name.to_owned());
    Answer::of(user.request(Method::POST, path).multipart(form.part("file", part))).await
}

/// Numbers that a client makes itself: wraps of a key and an entry under it, with words in the place of what is sealed.
fn private(key: Uuid, words: [&str; 3]) -> (Value, String) {
    let [by_passphrase, by_recovery, entry] = words.map(str::as_bytes);
    let filled = |word: &[u8], length: usize| [word, &vec![7; length - word.len()]].concat();
    let salt_and_key = [&[9; 16][..], key.as_bytes(), &[8; 12]].concat();
    let hard = [&[1, 1][..], &65_536_u32.to_be_bytes(), &3_u32.to_be_bytes(), &[1]].concat();
    let wraps = json!({
        "keyId": key,
        "byPassphrase": STANDARD.encode([&hard[..], &salt_and_key, &filled(by_passphrase, 48)].concat()),
        "byRecoveryCode": STANDARD.encode([&[1, 2][..], &salt_and_key, &filled(by_recovery, 48)].concat()),
        "password": PASSWORD,
    });
    (
        wraps,
        STANDARD
            .encode([&[2][..], key.as_bytes(), &[6; 16], &[0, 0, 0, 1], &[5; 12], &filled(entry, 256 + 16)].concat()),
    )
}

/// A picture with a comment.
fn commented(word: &str) -> Vec<u8> {
    let mut jpeg = std::io::Cursor::new(Vec::new());
    image::DynamicImage::new_rgb8(60, 40).write_to(&mut jpeg, image::ImageFormat::Jpeg).unwrap();
    let (start, rest) = jpeg.get_ref().split_at(2);
    let length = u16::try_from(word.len() + 2).unwrap().to_be_bytes();
    [start, &[0xff, 0xfe], &length, word.as_bytes(), rest].concat()
}

async fn with_etag(user: &User, method: Method, path: &str, etag: &str, body: Value) -> Answer {
    Answer::of(user.request(method, path).header("if-match", etag).json(&body)).await
}

#[tokio::test]
#[allow(clippy::too_many_lines)] // a paragraph for each place
async fn what_people_entrust_is_in_their_own_hands_only() {
    let (app, company, alice, dr) = scene().await;
    let (bob, carol, other) = (app.employee(&company).await, app.employee(&company).await, app.practitioner().await);
    let erin = app.employee(&company).await;
    // every job is seen, also one that has run and is gone
    sqlx::raw_sql(
        "CREATE TABLE public.jobs_seen (job text NOT NULL);
         GRANT SELECT ON public.jobs_seen TO huntzen_backup;
         CREATE FUNCTION public.see_job() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
         BEGIN
             INSERT INTO public.jobs_seen VALUES (to_jsonb(NEW)::text || convert_from(NEW.job, 'UTF8'));
             RETURN NULL;
         END $$;
         CREATE TRIGGER see AFTER INSERT OR UPDATE ON apalis.jobs FOR EACH ROW EXECUTE FUNCTION public.see_job()",
    )
    .execute(app.db())
    .await
    .unwrap();
    let staff = app.platform_admin().await;
    let (redis, web) = (Redis::start().await, Web::start().await);
    let cluster = cluster::template().await;
    let mut site = Site::new(app.options(), Some(cluster.config().database_roles_secret.expose_secret())).await;
    site.set("REDIS_URL", Some(redis.url()));
    site.set("LOG_FILTER", Some("debug".into()));
    site.set("OUTGOING_TEST_HOSTS", Some(web.host.clone()));
    let (reports, traces) = (Collector::start().await, Collector::start().await);
    site.set("SENTRY_DSN", Some(reports.dsn()));
    site.set("OTEL_EXPORTER_OTLP_ENDPOINT", Some(traces.url()));
    let (one, two) = (site.start().await, site.start().await);
    let heard = redis.monitor().await;
    let mut people = Vec::new();
    for (user, role) in [
        (&alice, Role::Employee),
        (&dr, Role::Practitioner),
        (&bob, Role::Employee),
        (&carol, Role::Employee),
        (&other, Role::Practitioner),
        (&company.hr, Role::Hr),
        (&company.admin, Role::CompanyAdmin),
        (&staff, Role::PlatformAdmin),
        (&erin, Role::Employee),
    ] {
        people.push(site.user(user.id, role, user.company_id).await.at(&one.base));
    }
    let [alice, dr, bob, carol, other, hr, admin, staff, erin] = <[User; 9]>::try_from(people).ok().unwrap();
    let mut words = Words::default();
    let mut errors: Vec<Answer> = Vec::new();

    // booking, and thinking better of it
    let mut booked = Vec::new();
    for (day, why) in [(3, "why a session is booked"), (4, "why it is cancelled")] {
        let mut body = wish(&dr, &free(&alice, &dr, in_days(&app, day)).await[0]);
        body["mode"] = json!("audio");
        if day == 3 {
            body["reason"] = json!(words.of(why));
        }
        booked.push(alice.post("/consultations", body).await.expect(201).str("/id"));
    }
    let session = booked.remove(0);
    let cancel = json!({"reason": words.of("why it is cancelled")});
    alice.post(&format!("/consultations/{}/cancel", booked[0]), cancel).await.expect(200);

    // one that is repeated with its key
    let mut body = wish(&dr, &free(&bob, &dr, in_days(&app, 5)).await[0]);
    body["reason"] = json!(words.of("what is repeated under a key"));
    let mut repeated = String::new();
    for node in [&one, &two] {
        let request = bob.at(&node.base).request(Method::POST, "/consultations");
        let answer = Answer::of(request.header("idempotency-key", "once-and-for-all").json(&body)).await.expect(201);
        assert!(repeated.is_empty() || repeated == answer.str("/id"));
        repeated = answer.str("/id");
    }

    // what the two write to each other
    let (messages, attachments) =
        (format!("/conversations/{session}/messages"), format!("/conversations/{session}/attachments"));
    let message = |word: String| json!({"clientId": Uuid::new_v4(), "body": word});
    let sent = alice.post(&messages, message(words.of("a message"))).await.expect(201);
    let path = format!("/messages/{}", sent.str("/id"));
    let edit = json!({"body": words.of("an edited message")});
    Answer::of(alice.request(Method::PATCH, &path).json(&edit)).await.expect(200);
    let name = format!("{}.pdf", words.of("the name of an attachment"));
    let file = bring(&alice, &attachments, None, &name, pdf(&words.of("an attachment"))).await.expect(201);
    let with = json!({"clientId": Uuid::new_v4(), "body": "", "attachmentIds": [file.str("/id")]});
    alice.post(&messages, with).await.expect(201);
    let name = format!("{}.pdf", words.of("the name of a document"));
    let document =
        bring(&alice, "/files", Some("document"), &name, pdf(&words.of("a document"))).await.expect(201).str("/id");

    // the session has come
    let mut tx = app.db().begin().await.unwrap();
    sqlx::raw_sql("SET LOCAL session_replication_role = replica").execute(&mut *tx).await.unwrap();
    sqlx::query(
        "UPDATE app.consultations SET (starts_at, ends_at, busy_from, busy_until) =
             (now() - interval '5 min', now() + interval '25 min', now() - interval '5 min', now() + interval '25 min')
         WHERE id = $1::uuid",
    )
    .bind(&session)
    .execute(&mut *tx)
    .await
    .unwrap();
    tx.commit().await.unwrap();
    dr.post(&format!("/consultations/{session}/start"), json!({})).await.expect(200);
    let notes = format!("/consultations/{session}/notes");
    let body = json!({"format": "free", "body": words.of("a note")});
    let note = dr.post(&notes, body).await.expect(201);
    let path = format!("/notes/{}", note.str("/id"));
    let body = json!({"format": "free", "body": words.of("a saved note")});
    let saved = with_etag(&dr, Method::PUT, &path, note.header("etag"), body).await.expect(200);
    with_etag(&dr, Method::POST, &format!("{path}/finalize"), saved.header("etag"), json!({})).await.expect(200);
    dr.post(&format!("{path}/addenda"), json!({"body": words.of("an addendum")})).await.expect(201);
    let soap = json!({"format": "soap", "body": {
        "subjective": "Sleeps.", "objective": "Awake.", "assessment": words.of("the assessment of a note"), "plan": "Rest."
    }});
    dr.post(&notes, soap).await.expect(201);

    // what their browsers tell each other
    let sockets = Sockets::start();
    for (name, user) in [("alice", &alice), ("dr", &dr)] {
        let args =
            json!({"url": one.base, "namespace": "/audio-call", "token": user.token, "transports": ["websocket"]});
        assert_eq!(sockets.run("connect", name, args).await, json!({"connected": true}), "{name}");
        let join = json!({"consultationId": session, "deviceId": Uuid::new_v4()});
        sockets.done(name, "call:join", join).await;
    }
    let about = json!({"consultationId": session});
    sockets.done("alice", "call:ring", about.clone()).await;
    sockets.take("dr", "call:ringing").await;
    sockets.done("dr", "call:accept", about).await;
    sockets.take("alice", "call:accepted").await;
    // whoever is away gets it later
    sockets.run("close", "dr", json!({})).await;
    sockets.take("alice", "call:peer-lost").await;
    let sdp = format!("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns={}\r\nt=0 0\r\n", words.of("a description of a call"));
    sockets.done("alice", "signal:offer", json!({"consultationId": session, "sdp": sdp})).await;
    let candidate = format!("candidate:{} 1 udp 1 192.0.2.7 9 typ host", words.of("a candidate of a call"));
    let ice = json!({"consultationId": session, "candidate": {"candidate": candidate}});
    sockets.done("alice", "signal:ice", ice).await;
    assert_eq!(site.count("SELECT count(*) FROM app.call_signals WHERE sealed IS NOT NULL").await, 2);
    let dump = app.dump_as_backup().await;
    words.none_in(Some(Place::Tables), "a backup during a call", dump.as_bytes());

    // what somebody writes for themselves
    let (text, tag) = (words.of("an entry of a journal"), words.of("a tag of a journal"));
    let tag = tag[..28].to_owned();
    words.0.last_mut().unwrap().text.clone_from(&tag);
    alice.post("/journal", json!({"body": text, "mood": 2, "tags": [tag]})).await.expect(201);
    assert!(alice.get(&format!("/journal?tag={tag}")).await.expect(200).text().contains(&text));

    // and for nobody else, whom the server counts among nobody
    let key = Uuid::new_v4();
    let [one_wrap, other_wrap, entry] =
        ["a wrap by passphrase", "a wrap by recovery code", "a private entry"].map(|field| words.of(field));
    let before = ["a wrap by passphrase of before", "a wrap by recovery code of before"].map(|field| words.of(field));
    for (etag, [one_wrap, other_wrap]) in [("\"0\"", before), ("\"1\"", [one_wrap, other_wrap])] {
        let (wraps, _) = private(key, [&one_wrap, &other_wrap, &entry]);
        with_etag(&alice, Method::PUT, "/journal/keys", etag, wraps).await.expect(200);
    }
    let (_, entry) = private(key, ["", "", &entry]);
    let today = app.clock.now().format("%Y-%m-%d").to_string();
    alice.post("/journal", json!({"body": entry, "sealed": true, "date": today})).await.expect(201);

    // what they say of a session, when somebody will have read it
    let held = crate::reviews::session(&app, &alice, &dr, "completed").await;
    let review = json!({"rating": 4, "text": words.of("a review")});
    // moderators are to read it
    words.0.last_mut().unwrap().may = &[Place::Staff];
    alice.post(&format!("/consultations/{held}/review"), review).await.expect(201);
    // pictures, their names and what else is in them
    let name = format!("{}.jpg", words.of("the name of a picture"));
    let picture = Part::bytes(commented(&words.of("what stands in a picture"))).file_name(name);
    let avatar = alice.request(Method::PUT, "/me/avatar").multipart(Form::new().part("file", picture));
    let avatar = Answer::of(avatar).await.expect(201).str("/id");
    let name = format!("{}.jpg", words.of("the name of a picture for all"));
    let plain = commented("nothing");
    let cover = bring(&staff, "/files", Some("article_image"), &name, plain).await.expect(201).str("/id");
    let body = json!({"category": "sleep", "coverId": cover, "texts": [
        {"language": "en", "title": "Sleeping well", "summary": "Short.", "body": "Text"}]});
    let article = staff.post("/articles", body).await.expect(201);
    let publish = staff.request(Method::POST, &format!("/articles/{}/publish", article.str("/id")));
    Answer::of(publish.header("if-match", article.header("etag")).json(&json!({}))).await.expect(200);

    // somebody goes, with all that is theirs
    let body = json!({"body": words.of("the journal of somebody who goes"), "mood": 1});
    erin.post("/journal", body).await.expect(201);
    erin.post("/privacy/erasure", json!({"password": PASSWORD})).await.expect(202);
    let due =
        "UPDATE app.privacy_requests SET due_at = now() - interval '1 minute' WHERE user_id = $1 AND kind = 'erasure'";
    shown::past_triggers(&site, due, erin.id.0).await;
    app.enqueue(&SweepErasures {}).await;
    site.until("SELECT EXISTS (SELECT FROM app.erasure_ledger)").await;

    // what opens an account
    let body = json!({"email": alice.email, "password": PASSWORD, "device": "phone"});
    let opened = alice.post("/auth/login", body).await.expect(200);
    for (field, pointer) in [
        ("an access token", "/accessToken"),
        ("a refresh token", "/refreshToken"),
        ("the token of a device", "/deviceToken"),
    ] {
        words.know(field, opened.str(pointer), &[]);
    }
    let offer = other.post("/auth/totp/setup", json!({"password": PASSWORD})).await.expect(200);
    let phone = App::of(&offer, Vec::new());
    let secret = |offer: &Answer| {
        let uri = offer.str("/uri");
        uri.split(['?', '&']).find_map(|it| it.strip_prefix("secret=")).unwrap().to_owned()
    };
    words.know("the secret of an authenticator", secret(&offer), &[]);
    let enabled = other.post("/auth/totp/enable", json!({"code": phone.code(&app, 0)})).await.expect(200);
    for code in crate::two_factor::codes(&enabled) {
        words.know("a recovery code", code, &[]);
    }
    let change = json!({"password": PASSWORD, "code": phone.code(&app, 1)});
    let offer = other.post("/auth/totp/setup", change).await.expect(200);
    words.know("the secret of the next one", secret(&offer), &[]);
    let wrong = json!({"email": bob.email, "password": words.of("a wrong password")});
    errors.push(bob.post("/auth/login", wrong).await.expect(401));
    let nobody = format!("{}@nowhere.test", words.of("an address that nobody has"));
    errors.push(bob.post("/auth/login", json!({"email": nobody, "password": PASSWORD})).await.expect(401));
    let new = json!({"currentPassword": PASSWORD, "newPassword": words.of("a password")});
    carol.post("/auth/change-password", new).await.expect(204);
    hr.post("/auth/forgot-password", json!({"email": alice.email})).await.expect(202);

    // calendars of practitioners, theirs elsewhere and ours for elsewhere
    let calendar = format!("/{}.ics", words.of("the address of a calendar"));
    let title = words.of("a title in that calendar");
    let soon = app.clock.now() + TimeDelta::days(2);
    let at = |hours| (soon + TimeDelta::hours(hours)).format("%Y%m%dT%H%M%SZ");
    let event = format!("UID:{title}\r\nSUMMARY:{title}\r\nDTSTART:{}\r\nDTEND:{}\r\n", at(0), at(1));
    let event = format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\n{event}END:VEVENT\r\nEND:VCALENDAR\r\n");
    web.answers(&calendar, Reply::ok(event));
    let calendars = format!("/practitioners/{}/calendars", dr.id);
    let body = json!({"kind": "external", "label": "Elsewhere", "url": web.url(&calendar)});
    dr.post(&calendars, body).await.expect(201);
    let made = dr.post(&calendars, json!({"kind": "feed", "label": "Phone"})).await.expect(201);
    let url = made.str("/url");
    let token = url[url.find("/calendars/").unwrap() + 11..].trim_end_matches(".ics").to_owned();
    words.know("the address of a feed", token, &[]);
    dr.get(&url[url.find("/api/v1").unwrap() + 7..]).await.expect(200);

    // an address that the employer does not have
    let address = format!("{}@home.test", words.of("a private address"));
    words.0.last_mut().unwrap().may = &[Place::Tables, Place::Letters, Place::Staff];
    alice.patch("/me", json!({"email": address, "currentPassword": PASSWORD})).await.expect(200);

    // what is refused
    let refused = words.of("what is refused");
    for (user, method, path, body) in [
        (&alice, Method::POST, "/journal".to_owned(), json!({"body": refused, "mood": 99})),
        (&alice, Method::POST, "/journal".to_owned(), json!({"body": refused, "mood": 2, "tags": [refused.repeat(9)]})),
        (&alice, Method::POST, messages.clone(), json!({"clientId": refused, "body": refused})),
        (&alice, Method::POST, messages.clone(), json!({"clientId": Uuid::new_v4(), "body": refused.repeat(500)})),
        (&bob, Method::POST, messages.clone(), json!({"clientId": Uuid::new_v4(), "body": refused})),
        (&dr, Method::POST, notes.clone(), json!({"format": refused, "body": refused})),
        (&other, Method::POST, notes.clone(), json!({"format": "free", "body": refused})),
        (&dr, Method::PUT, path.clone(), json!({"format": "free", "body": refused})),
        (&bob, Method::POST, "/consultations".to_owned(), json!({"reason": refused})),
        (&bob, Method::POST, "/auth/login".to_owned(), json!({"email": refused, "password": refused})),
        (&bob, Method::POST, "/auth/refresh".to_owned(), json!({"refreshToken": refused})),
        (&bob, Method::POST, "/auth/reset-password".to_owned(), json!({"token": refused, "password": refused})),
        (&bob, Method::GET, format!("/journal?tag={refused}&from=yesterday"), Value::Null),
        (&bob, Method::GET, format!("/journal?mood={refused}"), Value::Null),
    ] {
        let answer = Answer::of(user.request(method, &path).json(&body)).await;
        assert!(answer.status.is_client_error(), "{path}: {}", answer.status);
        errors.push(answer);
    }
    // a pointer names what it points to
    alice.post("/journal", json!({refused.as_str(): refused})).await.expect(422);
    dr.post(&notes, json!({"format": "soap", "body": {refused.as_str(): refused}})).await.expect(422);
    let odd = format!("{refused}.svg");
    errors.push(bring(&alice, &attachments, None, &odd, refused.clone().into_bytes()).await.expect(415));
    errors.push(bring(&alice, "/files", Some(&refused), &odd, pdf(&refused)).await.expect(422));

    // everything that follows from it is done
    site.until("SELECT NOT EXISTS (SELECT FROM apalis.jobs WHERE status <> 'Done' AND run_at <= now())").await;
    site.until("SELECT EXISTS (SELECT FROM app.external_busy_times)").await;
    let letters = site.mails();
    let reset = letters.iter().find(|it| it.text.as_deref().is_some_and(|it| it.contains("reset-password"))).unwrap();
    words.know("the link of a letter", reset.link_parameter("token"), &[Place::Letters]);

    // others' copies and files; payroll is of months that are published, this one without sessions
    let month = (app.clock.now() - TimeDelta::days(62)).format("%Y-%m").to_string();
    sqlx::query("INSERT INTO app.payroll_months (month, published_at) VALUES (($1 || '-01')::date, now())")
        .bind(&month)
        .execute(app.db())
        .await
        .unwrap();
    shown::copies(
        &[
            ("alice", &alice, Some("an entry of a journal")),
            ("bob", &bob, Some("what is repeated under a key")),
            ("dr", &dr, None),
            ("other", &other, None),
            ("hr", &hr, None),
            ("staff", &staff, None),
        ],
        &words,
    )
    .await;
    let kinds = [("usage", &hr, "HR"), ("practitioner_activity", &dr, "dr"), ("payroll", &staff, "staff")];
    shown::exports(&kinds, &month, &words).await;
    let failed = shown::failures(&site, &alice, &bob, &session, &document, &mut words).await;
    site.until("SELECT NOT EXISTS (SELECT FROM apalis.jobs WHERE status <> 'Done' AND run_at <= now())").await;

    let mut owner = app.owner().await;
    signing_keys::rotate(&mut owner, &app.platform.config, &Entropy::system(), app.clock.now()).await.unwrap();
    drop(owner);

    // the fields are those of the list, and their columns hold something
    let written: BTreeSet<&str> = words.0.iter().map(|it| it.field).collect();
    assert_eq!(written, FIELDS.iter().map(|(field, ..)| *field).collect::<BTreeSet<_>>());
    let columns: Vec<String> = sqlx::query_scalar(
        "SELECT c.table_name || '.' || c.column_name FROM information_schema.columns c
         JOIN information_schema.tables t USING (table_schema, table_name)
         WHERE c.table_schema = 'app' AND c.data_type = 'bytea' AND t.table_type = 'BASE TABLE'",
    )
    .fetch_all(app.db())
    .await
    .unwrap();
    let mut faults = Vec::new();
    for column in &columns {
        // signals are there as long as somebody is waited for; they were looked at then
        if column != "call_signals.sealed" {
            faults.extend(words::fault(column, app.db()).await);
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));

    // their own people read them
    for (user, path, field) in [
        (&alice, messages.as_str(), "an edited message"),
        (&bob, &format!("/consultations/{repeated}"), "what is repeated under a key"),
        (&dr, messages.as_str(), "the name of an attachment"),
        (&dr, &format!("/consultations/{session}"), "why a session is booked"),
        (&dr, &path, "an addendum"),
        (&alice, "/journal", "an entry of a journal"),
    ] {
        assert!(user.get(path).await.expect(200).text().contains(words.get(field)), "{field}");
    }

    // and nobody else: what others are shown without asking for anything of theirs, or by the words themselves
    let others = [("bob", &bob), ("other", &other), ("hr", &hr), ("admin", &admin), ("staff", &staff)];
    shown::lists(&others, &staff, &month, &words).await;
    for (reader, id) in [(&dr, &avatar), (&bob, &cover)] {
        let path = format!("/files/{id}");
        words.none_in(None, &path, &reader.get(&path).await.expect(200).bytes);
    }
    errors.extend(failed);
    for answer in &errors {
        words.none_in(None, "a refusal", &answer.bytes);
    }

    // the database: as it is backed up, and what its server logs
    let dump = app.dump_as_backup().await;
    assert!(dump.contains("clinical_note_versions") && dump.contains(&session) && dump.contains("apalis"));
    words.none_in(Some(Place::Tables), "a backup of the database", dump.as_bytes());
    words.none_in(None, "the log of PostgreSQL", &std::fs::read(cluster.log()).unwrap());
    let jobs: Vec<Vec<u8>> = sqlx::query_scalar("SELECT job FROM apalis.jobs").fetch_all(app.db()).await.unwrap();
    words.none_in(None, "the jobs", &jobs.concat());
    let jobs: Vec<String> = sqlx::query_scalar("SELECT job FROM public.jobs_seen").fetch_all(app.db()).await.unwrap();
    assert!(jobs.len() > 20);
    words.none_in(None, "the jobs that ran", jobs.concat().as_bytes());
    // the objects of the storage
    let objects = site.objects();
    assert!(objects.len() >= 2);
    for object in objects {
        words.none_in(None, "the storage", &object);
    }
    // what goes out
    let letters = site.mails();
    // among them the receipt of whoever went
    let is_receipt = |it: &&crate::support::smtp::Mail| format!("{it:?}").contains(&erin.email);
    assert!(letters.len() >= 5 && letters.iter().filter(is_receipt).count() >= 1);
    for letter in &letters {
        words.none_in(Some(Place::Letters), &letter.subject, format!("{letter:?}").as_bytes());
        words.none_in(None, "a subject", letter.subject.as_bytes());
    }
    let told = heard.all();
    assert!(String::from_utf8_lossy(&told).contains(&session));
    words.none_in(None, "what Redis is told", &told);
    words.none_in(None, "what Redis keeps", &[redis.dump().await, b"-".to_vec()].concat());
    // what is told of failures and of everything else that is done: when all of it has come
    reports
        .until("a report of each place that failed", |taken| {
            let told = events(taken);
            shown::FAILING.iter().all(|it| told.iter().any(|event| event["transaction"] == *it)).then_some(())
        })
        .await;
    traces
        .until("a span of each place that failed", |taken| {
            let told = spans(taken);
            shown::FAILING.iter().all(|it| told.iter().any(|span| span.name == *it)).then_some(())
        })
        .await;
    for (what, collector) in [("the reports", &reports), ("the traces", &traces)] {
        words.none_in(None, what, &collector.everything());
    }
    for server in [one, two] {
        let metrics = reqwest::get(format!("{}/metrics", server.base)).await.unwrap().bytes().await.unwrap();
        words.none_in(None, "the metrics", &metrics);
        let log = server.log();
        assert!(log.len() > 1000);
        words.none_in(None, "the log", log.as_bytes());
        server.kill();
    }
    site.db.close().await;
    app.settle().await;
}
