//! What earlier releases sealed under a master key itself is read where it stands, and sealed anew under keys that erasure
//! destroys.

use huntzen::app::seal_anew;
use huntzen::domain::consultations::{OLDER_FORMS, reason_document};
use huntzen::domain::reviews::{self, OLDER_FORM};
use huntzen::platform::crypto::entropy::Entropy;
use huntzen::platform::crypto::envelope::{KeyPurpose, Subject, SubjectKey};
use huntzen::platform::crypto::rewrap::{Pace, Rewrapped};
use huntzen::platform::crypto::seal::SealError;
use huntzen::platform::ids::{CompanyId, ConsultationId, ReviewId, UserId};
use sqlx::raw_sql;

use super::*;

const OPINION: &str = "cobalt opinion 5521";
const PLACES: [&str; 3] = ["consultation_reasons.booking", "consultation_reasons.cancelling", "reviews.sealed"];

/// A key, whose it is, what it is of, and what it seals.
type Kept = (Uuid, CompanyId, UserId, Uuid, Vec<u8>, Vec<u8>, String);

async fn path_of_review(it: &Life) -> String {
    let review = format!("/consultations/{}/review", it.session);
    it.alice.post(&review, json!({"rating": 4, "text": OPINION})).await.expect(201);
    review
}

/// As an earlier release left it: without keys, under the newest master key.
async fn make_older(it: &Life) {
    let ring = &it.app.platform.keyring;
    let session: Uuid = it.session.parse().unwrap();
    let (review, company): (Uuid, Uuid) =
        sqlx::query_as("SELECT id, company_id FROM app.reviews").fetch_one(it.app.db()).await.unwrap();
    let entropy = Entropy::system();
    let reason = ring.seal(&(OLDER_FORMS[0].place)(session, CompanyId(company)), REASON.as_bytes(), &entropy).unwrap();
    let words = json!({"text": OPINION, "marks": []}).to_string();
    let opinion = ring.seal(&(OLDER_FORM.place)(review, CompanyId(company)), words.as_bytes(), &entropy).unwrap();
    let mut conn = it.app.db().acquire().await.unwrap();
    raw_sql(
        "SET session_replication_role = replica; DELETE FROM app.encryption_keys WHERE purpose IN ('reason', 'review')",
    )
    .execute(&mut *conn)
    .await
    .unwrap();
    for (sql, sealed) in [
        ("UPDATE app.consultation_reasons SET sealed = $1, key_id = NULL", &reason),
        ("UPDATE app.reviews SET sealed = $1, key_id = NULL, sealed_version = 1", &opinion),
    ] {
        sqlx::query(sql).bind(sealed).execute(&mut *conn).await.unwrap();
    }
    raw_sql("RESET session_replication_role").execute(&mut *conn).await.unwrap();
}

async fn rotated(it: &Life) -> Vec<Rewrapped> {
    let all = seal_anew(it.app.options(), &it.app.platform.keyring, Pace::FULL, &mut |_| ()).await.unwrap();
    all.into_iter().filter(|it| PLACES.contains(&it.column.as_str())).collect()
}

async fn older(it: &Life) -> i64 {
    let newest = it.app.platform.keyring.newest();
    sqlx::query_scalar("SELECT coalesce(sum(older), 0)::bigint FROM app.count_sealed($1) WHERE place = ANY ($2)")
        .bind(newest)
        .bind(&PLACES[..])
        .fetch_one(it.app.db())
        .await
        .unwrap()
}

/// Everybody who may read it does, and nobody else.
async fn is_read(it: &Life, review: &str) {
    for user in [&it.alice, &it.dr] {
        let session = user.get(&format!("/consultations/{}", it.session)).await.expect(200);
        assert!(session.text().contains(REASON), "{}", session.text());
    }
    assert_eq!(it.alice.get(review).await.expect(200).str("/text"), OPINION);
    let staff = it.app.platform_admin().await;
    let waiting = staff.get("/admin/reviews?status=pending").await.expect(200);
    assert!(waiting.text().contains(OPINION) && !waiting.text().contains(&it.alice.id.to_string()));
}

#[tokio::test]
async fn texts_of_earlier_releases_are_read_and_sealed_anew_under_keys_of_their_own() {
    let mut it = life().await;
    let review = path_of_review(&it).await;
    is_read(&it, &review).await;
    assert_eq!(older(&it).await, 0, "what is written now is of no older form");
    make_older(&it).await;
    is_read(&it, &review).await;
    assert_eq!(older(&it).await, 2, "under the newest master key, and to be moved all the same");

    // somebody else is changing one of them: it is left, and said to be
    let mut busy = it.app.db().begin().await.unwrap();
    sqlx::query("SELECT FROM app.reviews FOR UPDATE").execute(&mut *busy).await.unwrap();
    let done = rotated(&it).await;
    let said: Vec<_> = done.iter().map(|it| (it.column.as_str(), it.moved, it.left)).collect();
    assert_eq!(said, [(PLACES[0], 1, 0), (PLACES[1], 0, 0), (PLACES[2], 0, 1)]);
    busy.rollback().await.unwrap();
    // it goes on where it was
    let done = rotated(&it).await;
    let said: Vec<_> = done.iter().map(|it| (it.column.as_str(), it.moved, it.left)).collect();
    assert_eq!(said, [(PLACES[0], 0, 0), (PLACES[1], 0, 0), (PLACES[2], 1, 0)]);
    assert_eq!(rotated(&it).await.iter().map(|it| it.moved).sum::<i64>(), 0, "twice is once");
    assert_eq!(older(&it).await, 0);
    is_read(&it, &review).await;
    let nameless = "SELECT (SELECT count(*) FROM app.consultation_reasons WHERE key_id IS NULL)
                         + (SELECT count(*) FROM app.reviews WHERE key_id IS NULL)";
    assert_eq!(it.app.count(nameless).await, 0);

    // bound to person and company, and to nothing else than its own key
    let rows: Vec<Kept> = sqlx::query_as(
        "SELECT k.id, k.company_id, k.person_id, k.subject_id, k.wrapped, coalesce(r.sealed, t.sealed), k.purpose
         FROM app.encryption_keys k LEFT JOIN app.reviews r ON r.key_id = k.id
         LEFT JOIN app.consultation_reasons t ON t.key_id = k.id WHERE k.purpose IN ('reason', 'review')",
    )
    .fetch_all(it.app.db())
    .await
    .unwrap();
    assert_eq!(rows.len(), 2);
    for (id, company, person, subject, wrapped, sealed, purpose) in rows {
        let (purpose, document) = match purpose.as_str() {
            "reason" => (
                KeyPurpose::REASON,
                reason_document(ConsultationId(subject), huntzen::domain::consultations::About::Booking),
            ),
            _ => (KeyPurpose::REVIEW, reviews::document(ReviewId(subject), 1)),
        };
        let of = |person, company| Subject { purpose, id: subject, person, company };
        let ring = &it.app.platform.keyring;
        let key = SubjectKey::unwrap(id, of(person, company), &wrapped, ring).unwrap();
        assert!(key.open(&document, &sealed).is_ok());
        let other = Uuid::new_v4();
        for of in [of(UserId(other), company), of(person, CompanyId(other))] {
            assert_eq!(SubjectKey::unwrap(id, of, &wrapped, ring).map(drop), Err(SealError::Forged));
        }
    }

    // erasure destroys the keys, and says so in the ledger
    it.erase().await;
    let left = "SELECT count(*) FROM app.encryption_keys WHERE purpose IN ('reason', 'review') AND wrapped IS NOT NULL";
    assert_eq!(it.app.count(left).await, 0);
    let named = "SELECT count(*) FROM app.encryption_keys k JOIN app.erasure_ledger l ON k.id = ANY (l.key_ids)
                 WHERE k.purpose IN ('reason', 'review')";
    assert_eq!(it.app.count(named).await, 2);
}

#[tokio::test]
async fn a_text_that_does_not_open_is_left_counted_and_named_and_the_others_are_moved() {
    let it = life().await;
    let review = path_of_review(&it).await;
    make_older(&it).await;
    sqlx::query("UPDATE app.consultation_reasons SET sealed = set_byte(sealed, length(sealed) - 1, get_byte(sealed, length(sealed) - 1) # 1)")
        .execute(it.app.db())
        .await
        .unwrap();
    let done = rotated(&it).await;
    let said: Vec<_> = done.iter().map(|it| (it.moved, it.left, it.fault)).collect();
    assert_eq!(said, [(0, 1, Some(SealError::Forged)), (0, 0, None), (1, 0, None)]);
    assert_eq!(it.alice.get(&review).await.expect(200).str("/text"), OPINION);
    it.alice.get(&format!("/consultations/{}", it.session)).await.expect(200);
}

#[tokio::test]
async fn what_is_written_again_or_taken_back_leaves_no_older_form_and_no_key() {
    let it = life().await;
    let review = path_of_review(&it).await;
    make_older(&it).await;
    // other stars leave the words as they are
    let known = it.alice.get(&review).await.expect(200);
    let patch =
        |etag: String, body: Value| it.alice.request(Method::PATCH, &review).header("if-match", etag).json(&body);
    let starred = Answer::of(patch(known.header("etag").into(), json!({"rating": 2}))).await.expect(200);
    assert_eq!(starred.str("/text"), OPINION);
    let again = json!({"text": "cobalt opinion, again"});
    let written = Answer::of(patch(starred.header("etag").into(), again)).await.expect(200);
    assert_eq!(written.str("/text"), "cobalt opinion, again");
    assert_eq!(it.app.count("SELECT count(*) FROM app.reviews WHERE key_id IS NULL").await, 0);
    let keys = "SELECT count(*) FROM app.encryption_keys WHERE purpose = 'review' AND wrapped IS NOT NULL";
    assert_eq!(it.app.count(keys).await, 1);
    let gone = it.alice.request(Method::DELETE, &review).header("if-match", written.header("etag"));
    Answer::of(gone).await.expect(204);
    assert_eq!(it.app.count(keys).await, 0);
    // two years later, the reason and its key
    let mut it = it;
    rotated(&it).await;
    it.days_later(800).await;
    it.app.enqueue(&huntzen::domain::privacy::RemoveExpired {}).await;
    it.app.settle().await;
    let keys = "SELECT count(*) FROM app.encryption_keys WHERE purpose = 'reason' AND wrapped IS NOT NULL";
    assert_eq!(it.app.count(keys).await, 0);
}

/// Whoever moderates cannot learn by the keys whose a review is.
#[tokio::test]
async fn the_role_of_moderators_is_given_no_key_and_no_author() {
    use huntzen::platform::db::DbRole;

    let it = life().await;
    path_of_review(&it).await;
    let staff = it.app.platform_admin().await;
    for role in [DbRole::Platform, DbRole::Practitioner, DbRole::Hr] {
        let mut conn = it.app.as_role(role, staff.id).await;
        let refused =
            sqlx::query("SELECT * FROM app.review_keys(ARRAY(SELECT gen_random_uuid()))").execute(&mut conn).await;
        assert_eq!(refused.unwrap_err().as_database_error().unwrap().code().as_deref(), Some("42501"), "{role:?}");
    }
    // another employee of the company is given nothing
    let bob = it.app.employee(&it.company).await;
    let mut conn = it.app.as_role(DbRole::Employee, bob.id).await;
    sqlx::query("SELECT set_config('app.company_id', $1, false)")
        .bind(it.company.id.to_string())
        .execute(&mut conn)
        .await
        .unwrap();
    let ids: Vec<Uuid> = sqlx::query_scalar("SELECT id FROM app.reviews UNION ALL SELECT id FROM app.consultations")
        .fetch_all(it.app.db())
        .await
        .unwrap();
    for keys in ["app.review_keys($1)", "app.reason_keys($1)"] {
        let sql = sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {keys}"));
        let found: i64 = sqlx::query_scalar(sql).bind(&ids).fetch_one(&mut conn).await.unwrap();
        assert_eq!(found, 0, "{keys}");
    }
}
