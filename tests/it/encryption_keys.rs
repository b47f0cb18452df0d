//! Keys of contents: who is given which, and that what is destroyed stays destroyed.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use huntzen::app;
use huntzen::platform::crypto::entropy::Entropy;
use huntzen::platform::crypto::envelope::{Document, KeyPurpose, Subject, SubjectKey};
use huntzen::platform::crypto::health_text::HealthText;
use huntzen::platform::crypto::rewrap::rewrap;
use huntzen::platform::crypto::seal::Keyring;
use huntzen::platform::db::DbRole;
use huntzen::platform::ids::{CompanyId, UserId};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::consultations::{book_on, in_days, scene};
use crate::support::{TestApp, User};

/// A connection as the program's for this person.
async fn connect(app: &TestApp, role: DbRole, user: &User) -> PgConnection {
    let mut conn = app.as_role(role, user.id).await;
    sqlx::query("SELECT set_config('app.company_id', $1, false)")
        .bind(user.company_id.map(|id| id.to_string()).unwrap_or_default())
        .execute(&mut conn)
        .await
        .unwrap();
    conn
}

async fn given(conn: &mut PgConnection, conversation: Uuid) -> Option<(Uuid, CompanyId, UserId, Option<Vec<u8>>)> {
    sqlx::query_as("SELECT id, company_id, person_id, wrapped FROM app.conversation_key($1)")
        .bind(conversation)
        .fetch_optional(conn)
        .await
        .unwrap()
}

async fn keep(conn: &mut PgConnection, conversation: Uuid, key: Uuid, wrapped: &[u8]) {
    sqlx::query("SELECT app.keep_conversation_key($1, $2, $3, now())")
        .bind(conversation)
        .bind(key)
        .bind(wrapped)
        .execute(conn)
        .await
        .unwrap();
}

async fn destroy(app: &TestApp, person: &User) -> i64 {
    let mut worker = connect(app, DbRole::Worker, person).await;
    sqlx::query_scalar("SELECT app.destroy_keys($1, '{chat}', now())")
        .bind(person.id)
        .fetch_one(&mut worker)
        .await
        .unwrap()
}

async fn conversation(app: &TestApp, alice: &User, dr: &User) -> Uuid {
    let booked = book_on(alice, dr, in_days(app, 3)).await;
    app.settle().await;
    booked.str("/id").parse().unwrap()
}

#[tokio::test]
async fn a_conversations_key_is_given_to_its_two_people_alone_and_the_first_one_stays() {
    let (app, company, alice, dr) = scene().await;
    let talk = conversation(&app, &alice, &dr).await;
    let (bob, other) = (app.employee(&company).await, app.practitioner().await);
    let mut hers = connect(&app, DbRole::Employee, &alice).await;
    let mut his = connect(&app, DbRole::Practitioner, &dr).await;
    let strangers = [
        connect(&app, DbRole::Employee, &bob).await,
        connect(&app, DbRole::Practitioner, &other).await,
        // her id alone is not enough
        app.as_role(DbRole::Employee, alice.id).await,
    ];
    assert_eq!(given(&mut hers, talk).await, None);
    let (first, second, wrapped) = (Uuid::new_v4(), Uuid::new_v4(), vec![1; 90]);
    for mut stranger in strangers {
        keep(&mut stranger, talk, Uuid::new_v4(), &wrapped).await;
        assert_eq!(app.count("SELECT count(*) FROM app.encryption_keys").await, 0);
        keep(&mut hers, talk, first, &wrapped).await;
        assert_eq!(given(&mut stranger, talk).await, None);
        sqlx::query("TRUNCATE app.encryption_keys").execute(app.db()).await.unwrap();
    }
    // both bring one at the same time
    tokio::join!(keep(&mut hers, talk, first, &wrapped), keep(&mut his, talk, second, &wrapped));
    let (one, two) = (given(&mut hers, talk).await.unwrap(), given(&mut his, talk).await.unwrap());
    assert_eq!(one, two);
    assert!([first, second].contains(&one.0));
    assert_eq!((one.1, one.2, one.3), (company.id, alice.id, Some(wrapped)));
    // nobody reads the table, and those who are in no session may not even ask
    for (role, person) in [(DbRole::Hr, &company.hr), (DbRole::CompanyAdmin, &company.admin), (DbRole::Worker, &alice)]
    {
        let mut conn = connect(&app, role, person).await;
        for statement in
            ["SELECT id FROM app.encryption_keys", "SELECT id FROM app.conversation_key(gen_random_uuid())"]
        {
            let error = sqlx::query(statement).execute(&mut conn).await.unwrap_err();
            assert_eq!(error.as_database_error().unwrap().code().unwrap(), "42501", "{role:?}: {statement}");
        }
    }
}

#[tokio::test]
async fn a_destroyed_key_opens_nothing_and_never_comes_back() {
    let (app, company, alice, dr) = scene().await;
    let talk = conversation(&app, &alice, &dr).await;
    let (keyring, entropy) = (&app.platform.keyring, &app.platform.entropy);
    let subject = Subject { purpose: KeyPurpose::CHAT, id: talk, person: alice.id, company: company.id };
    let key = SubjectKey::new(Uuid::new_v4(), subject, entropy);
    let mut hers = connect(&app, DbRole::Employee, &alice).await;
    let mut his = connect(&app, DbRole::Practitioner, &dr).await;
    let (id, wrapped) = (Uuid::new_v4(), key.wrap(keyring, entropy).unwrap());
    keep(&mut hers, talk, id, &wrapped).await;

    // the practitioner's erasure takes nothing from the employee
    assert_eq!(destroy(&app, &dr).await, 0);
    assert_eq!(given(&mut his, talk).await.unwrap().3, Some(wrapped.clone()));
    // nor does one in another company's name
    let mut stranger = alice.clone();
    stranger.company_id = Some(app.company("Globex").await.id);
    assert_eq!(destroy(&app, &stranger).await, 0);
    assert_eq!((destroy(&app, &alice).await, destroy(&app, &alice).await), (1, 0));
    for conn in [&mut hers, &mut his] {
        assert_eq!(given(conn, talk).await, Some((id, company.id, alice.id, None)));
        keep(conn, talk, Uuid::new_v4(), &wrapped).await;
        assert_eq!(given(conn, talk).await, Some((id, company.id, alice.id, None)));
    }
    // not by the superuser's hand either, unless they take the triggers away
    for change in [
        "UPDATE app.encryption_keys SET wrapped = decode(repeat('00', 90), 'hex'), destroyed_at = NULL",
        "UPDATE app.encryption_keys SET subject_id = gen_random_uuid()",
        "DELETE FROM app.encryption_keys",
    ] {
        let error = sqlx::query(change).execute(app.db()).await.unwrap_err();
        let constraint = error.as_database_error().unwrap().constraint().unwrap().to_owned();
        assert_eq!(constraint, "encryption_keys_append_only", "{change}");
    }
}

#[tokio::test]
async fn wrapped_keys_move_to_the_newest_master_key_and_contents_stay_as_they_are() {
    let (app, company, alice, dr) = scene().await;
    let talk = conversation(&app, &alice, &dr).await;
    let ring = |ids: &[(&str, u8)]| {
        let keys: Vec<_> =
            ids.iter().map(|(id, byte)| ((*id).to_owned(), STANDARD.encode([*byte; 32]).into())).collect();
        Keyring::new(&keys).unwrap()
    };
    let entropy = Entropy::system();
    let subject = Subject { purpose: KeyPurpose::CHAT, id: talk, person: alice.id, company: company.id };
    let document = Document { domain: "chat", table: "messages", column: "sealed", row: Uuid::new_v4(), version: 1 };
    let id = Uuid::new_v4();
    let key = SubjectKey::new(id, subject, &entropy);
    let stored = key.seal(&document, &HealthText::new("a quiet word".into()), &entropy).unwrap();
    let mut hers = connect(&app, DbRole::Employee, &alice).await;
    keep(&mut hers, talk, id, &key.wrap(&ring(&[("old", 1)]), &entropy).unwrap()).await;

    let both = ring(&[("new", 2), ("old", 1)]);
    for expected in [1, 0] {
        let done = rewrap(app.options(), &both, &entropy, &app::sealed()).await.unwrap();
        let keys = done.iter().find(|it| it.column == "encryption_keys.chat").unwrap();
        assert_eq!((keys.moved, keys.left, keys.fault), (expected, 0, None));
    }
    let wrapped = given(&mut hers, talk).await.unwrap().3.unwrap();
    let opened = SubjectKey::unwrap(id, subject, &wrapped, &ring(&[("new", 2)])).unwrap();
    assert_eq!(opened.open(&document, &stored).unwrap().expose(), "a quiet word");
    // a destroyed key is none that is left
    destroy(&app, &alice).await;
    let done = rewrap(app.options(), &ring(&[("newer", 3)]), &entropy, &app::sealed()).await.unwrap();
    assert!(done.iter().any(|it| it.column == "encryption_keys.chat" && (it.moved, it.left) == (0, 0)));
}
