//! Search over 10,000 practitioners and 10,000 articles in two languages (`--findings`), by an employee: words that many
//! have, words that few have, a misspelt one, two at once, one of two letters, in each order. There is no floor: the figures are
//! how long one waits.

use huntzen::platform::crypto::entropy::Entropy;
use sqlx::PgConnection;

use crate::support::database::Database;
use crate::support::generator::Load;
use crate::support::measure::{Line, Sample, middle};
use crate::support::server::Server;
use crate::{Args, Outcome, list_own};

/// What is asked, and how often such a word is used. `dr` is in every name.
const QUESTIONS: [(&str, &str); 11] = [
    ("a frequent word", "sommeil"),
    ("a rare word", "parentalite"),
    ("a misspelt word", "parantalite"),
    ("two words", "fatigue+equipe"),
    ("the beginning of a word", "paren"),
    ("a word of two letters", "dr"),
    ("a frequent word by next free time", "sommeil&type=practitioner&sort=next_free"),
    ("a rare word by next free time", "parentalite&type=practitioner&sort=next_free"),
    ("a word of two letters by next free time", "dr&type=practitioner&sort=next_free"),
    ("a frequent word by rating", "sommeil&type=practitioner&sort=rating"),
    ("a word of two letters by rating", "dr&type=practitioner&sort=rating"),
];
/// The most frequent first.
const SUBJECTS: [&str; 12] = [
    "sommeil",
    "stress",
    "travail",
    "fatigue",
    "équipe",
    "repas",
    "marche",
    "souffle",
    "colère",
    "pause",
    "deuil",
    "parentalité",
];
const SYLLABLES: [&str; 20] = [
    "ba", "ce", "di", "fo", "gu", "la", "me", "ni", "po", "ru", "sa", "te", "vi", "zo", "bre", "cla", "dri", "plo",
    "tra", "ven",
];
const WORDS: usize = 20_000;
const AT_ONCE: usize = 500;

pub async fn measure(args: &Args, database: &Database) -> Outcome<Line> {
    let mut conn = database.connect().await?;
    fill(&mut conn, args.findings).await?;
    let server = Server::start(&args.server, database).await?;
    let mut line = Line::new("search");
    for (what, words) in QUESTIONS {
        let path = format!("/api/v1/search?q={words}&limit=20");
        let load = Load { path, connections: 1, ..list_own::load(args, &server).await? };
        load.run(1)?;
        let mut all = Vec::new();
        for run in 1..=args.pairs {
            let before = server.usage()?;
            let mut ours = load.run(args.seconds)?;
            ours.server = Some(server.usage()?.since(before));
            eprintln!("search, {what} {run}/{}: {ours}", args.pairs);
            all.push(ours);
        }
        let each = |part: fn(&Sample) -> f64| middle(&all, part);
        line.notes.push(format!(
            "search  {what}: p50 {:.1} ms, p95 {:.1} ms, p99 {:.1} ms",
            each(|sample| sample.p50),
            each(|sample| sample.p95),
            each(|sample| sample.p99)
        ));
        line.ours.extend(all);
    }
    line.peak_kib = server.usage()?.peak_kib;
    line.notes.push(format!(
        "search  over {0} practitioners and {0} articles in two languages, one connection",
        args.findings
    ));
    server.stop()?;
    Ok(line)
}

/// Words as a language has them: few that are everywhere, many that are rare.
struct Writer {
    lexicon: Vec<String>,
    entropy: Entropy,
}

#[allow(clippy::indexing_slicing)] // within the lengths that stand beside
impl Writer {
    fn new() -> Self {
        let entropy = Entropy::seeded(9);
        let mut lexicon: Vec<String> = Vec::with_capacity(WORDS);
        while lexicon.len() < WORDS {
            let [a, b, c, d] = entropy.bytes::<4>().map(|it| SYLLABLES[usize::from(it) % SYLLABLES.len()]);
            lexicon.push(format!("{a}{b}{c}{d}"));
        }
        // a subject is the more frequent the earlier it stands: at ranks 40, 80, 160 and so on
        for (nth, subject) in SUBJECTS.iter().enumerate() {
            (*subject).clone_into(&mut lexicon[(40_usize << nth).min(WORDS - 1)]);
        }
        Self { lexicon, entropy }
    }

    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    fn text(&self, words: usize) -> String {
        let word = |_| {
            let part = f64::from(u32::from_le_bytes(self.entropy.bytes::<4>())) / f64::from(u32::MAX);
            self.lexicon[((part.powi(3) * WORDS as f64) as usize).min(WORDS - 1)].as_str()
        };
        (0..words).map(word).collect::<Vec<_>>().join(" ")
    }
}

/// Adds practitioners and articles, some at a time.
async fn fill(conn: &mut PgConnection, findings: usize) -> Outcome {
    let writer = Writer::new();
    let mut done = 0;
    while done < findings {
        let count = AT_ONCE.min(findings - done);
        let texts = |words| (0..count).map(|_| writer.text(words)).collect::<Vec<_>>();
        let numbers: Vec<i32> = (done..done + count).map(i32::try_from).collect::<Result<_, _>>()?;
        sqlx::query(
            "WITH it AS (SELECT md5('found ' || n)::uuid AS id, n, name, bio
                         FROM unnest($1::int[], $2::text[], $3::text[]) AS it (n, name, bio)),
             account AS (INSERT INTO app.users (id, email, password_hash, role, display_name, status)
                         SELECT id, id || '@bench.test', 'x', 'practitioner', 'Dr ' || name, 'active' FROM it)
             SELECT count(*) FROM it",
        )
        .bind(&numbers)
        .bind(texts(2))
        .bind(texts(1))
        .execute(&mut *conn)
        .await?;
        sqlx::query(
            "INSERT INTO app.practitioners (id, display_name, bio_fr, languages, modes, time_zone, session_lengths, hourly_rate_cents,
                                            status, verified_at, verified_checks)
             SELECT md5('found ' || n)::uuid, 'Dr ' || name, bio, '{fr}', '{video}', 'Europe/Paris', '{30}', 9000, 'active', now(),
                    '{identity}'
             FROM unnest($1::int[], $2::text[], $3::text[]) AS it (n, name, bio)",
        )
        .bind(&numbers)
        .bind(texts(2))
        .bind(texts(40))
        .execute(&mut *conn)
        .await?;
        sqlx::query(
            "INSERT INTO app.practitioner_specialties (practitioner_id, specialty)
             SELECT md5('found ' || n)::uuid, (ARRAY['coaching', 'nutrition', 'social_work'])[1 + n % 3] FROM unnest($1::int[]) n",
        )
        .bind(&numbers)
        .execute(&mut *conn)
        .await?;
        sqlx::query(
            "INSERT INTO app.articles (id, status, category, tags, published_at)
             SELECT md5('article ' || n)::uuid, 'published', 'work', '{bench}', now() - n * interval '1 minute' FROM unnest($1::int[]) n",
        )
        .bind(&numbers)
        .execute(&mut *conn)
        .await?;
        for language in ["fr", "en"] {
            sqlx::query(
                "INSERT INTO app.article_translations (article_id, language, slug, title, summary, body)
                 SELECT md5('article ' || n)::uuid, $5, 'bench-' || n, title, summary, body
                 FROM unnest($1::int[], $2::text[], $3::text[], $4::text[]) AS it (n, title, summary, body)",
            )
            .bind(&numbers)
            .bind(texts(6))
            .bind(texts(15))
            .bind(texts(150))
            .bind(language)
            .execute(&mut *conn)
            .await?;
        }
        done += count;
    }
    sqlx::raw_sql("VACUUM (ANALYZE) app.practitioners, app.articles, app.article_translations")
        .execute(&mut *conn)
        .await?;
    Ok(())
}
