//! What people of the demonstration say of their sessions, sealed as the program seals it.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;
use uuid::{Builder, Uuid};

use super::SeedError;
use crate::domain::reviews::{self, Marks, Words};
use crate::platform::config::Config;
use crate::platform::crypto::entropy::Entropy;
use crate::platform::crypto::envelope::{KeyPurpose, Subject, SubjectKey};
use crate::platform::crypto::health_text::HealthText;
use crate::platform::crypto::seal::Keyring;
use crate::platform::ids::{CompanyId, ReviewId, UserId};
use crate::platform::problem::Problem;

/// What becomes of them.
const PUBLISHED: &str = "published";
const PENDING: &str = "pending";
const REJECTED: &str = "rejected";

/// Of whom, how many stars, which words, and what became of it. The last ones are for a moderator to look at.
const SAID: [(&str, i16, &str, &str); 12] = [
    ("dr.martin@huntzen.test", 5, "Une écoute rare, et des exercices que je fais encore.", PUBLISHED),
    ("dr.martin@huntzen.test", 5, "I slept better after three sessions. Clear and kind.", PUBLISHED),
    ("dr.martin@huntzen.test", 4, "Très bien, mais j’aurais aimé un créneau le soir.", PUBLISHED),
    ("dr.martin@huntzen.test", 5, "Je ne pensais pas en parler un jour. C’est fait.", PUBLISHED),
    ("dr.martin@huntzen.test", 4, "A good first session. We set a goal and kept to it.", PUBLISHED),
    ("dr.martin@huntzen.test", 3, "Le son a coupé deux fois, le reste était bien.", PENDING),
    ("coach.durand@huntzen.test", 5, "Direct, drôle, efficace.", PUBLISHED),
    ("coach.durand@huntzen.test", 4, "Helped me prepare a hard conversation at work.", PUBLISHED),
    ("coach.durand@huntzen.test", 4, "Des questions simples qui font avancer.", PUBLISHED),
    ("coach.durand@huntzen.test", 5, "I left with a plan for the week.", PUBLISHED),
    ("coach.durand@huntzen.test", 5, "Merci Paul ! Écrivez-moi : moi@example.org", PENDING),
    ("coach.durand@huntzen.test", 1, "Rien à dire.", REJECTED),
];

/// One for each of the latest sessions that were held.
pub async fn write(tx: &mut PgConnection, config: &Config, now: DateTime<Utc>) -> Result<(), SeedError> {
    let keyring = Keyring::new(&config.master_keys).map_err(SeedError::Sealing)?;
    // the same data each time
    let entropy = Entropy::seeded(5);
    let mut used: Vec<Uuid> = Vec::new();
    for (about, rating, text, status) in SAID {
        let session: Option<(Uuid, DateTime<Utc>, UserId, CompanyId)> = sqlx::query_as(
            "SELECT c.id, c.ends_at, c.user_id, c.company_id FROM app.consultations c JOIN app.users u ON u.id = c.practitioner_id
             WHERE u.email = $1 AND c.status = 'completed' AND c.ends_at < $2 AND c.id <> ALL ($3)
             ORDER BY c.ends_at DESC, c.id LIMIT 1",
        )
        .bind(about)
        .bind(now - TimeDelta::days(2))
        .bind(&used)
        .fetch_optional(&mut *tx)
        .await?;
        let Some((session, ended, author, company)) = session else { continue };
        used.push(session);
        let id = ReviewId(Builder::from_random_bytes(entropy.bytes()).into_uuid());
        let words = Words { text: text.to_owned(), marks: Marks::of(text).found(&["paul".to_owned()]) };
        let words = serde_json::to_string(&words).map_err(|error| SeedError::Sealing(Problem::internal(error)))?;
        let subject = Subject { purpose: KeyPurpose::REVIEW, id: id.0, person: author, company };
        let key = SubjectKey::new(Builder::from_random_bytes(entropy.bytes()).into_uuid(), subject, &entropy);
        let wrapped = key.wrap(&keyring, &entropy);
        let sealed = key.seal(&reviews::document(id, 1), &HealthText::new(words), &entropy);
        sqlx::query(
            "INSERT INTO app.encryption_keys (id, company_id, purpose, subject_id, person_id, wrapped, created_at)
             VALUES ($1, $2, 'review', $3, $4, $5, $6)",
        )
        .bind(key.id())
        .bind(company)
        .bind(id)
        .bind(author)
        .bind(wrapped.map_err(|error| SeedError::Sealing(error.into()))?)
        .bind(ended)
        .execute(&mut *tx)
        .await?;
        sqlx::query(
            "INSERT INTO app.reviews (id, company_id, consultation_id, user_id, rating, sealed, key_id, written_at)
             SELECT $1, c.company_id, c.id, c.user_id, $3, $4, $6, $5 FROM app.consultations c WHERE c.id = $2",
        )
        .bind(id)
        .bind(session)
        .bind(rating)
        .bind(sealed.map_err(|error| SeedError::Sealing(error.into()))?)
        .bind(ended + TimeDelta::hours(3))
        .bind(key.id())
        .execute(&mut *tx)
        .await?;
        if status != PENDING {
            sqlx::query("SELECT app.moderate_review($1, 1, $2, $3, $4, $5)")
                .bind(id)
                .bind(status)
                .bind(text)
                .bind((status == REJECTED).then_some("off_topic"))
                .bind(ended + TimeDelta::days(1))
                .execute(&mut *tx)
                .await?;
        }
    }
    Ok(())
}
