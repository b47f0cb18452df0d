//! A file of many lines in the real program, whose memory is looked at.

use secrecy::ExposeSecret;
use serde_json::json;

use crate::support::cluster;
use crate::support::process::Site;

const LINES: i32 = 400_000;
/// Kilobytes. The file of so many lines has 37,000; held are two parts of it, two pages, and what an allocator keeps.
const MOST: u64 = 20 << 10;

#[tokio::test]
async fn a_file_of_many_lines_is_written_at_constant_memory() {
    let secret = &cluster::template().await.config().database_roles_secret;
    let site = Site::new(&cluster::fresh_database().await, Some(secret.expose_secret())).await;
    let server = site.serve().await;
    let people = site.people(1, 1).await;
    let dr = people.practitioners[0].at(&server.base);
    // two months that were published: a twentieth of it, by which everything is made once that any file needs, and all
    sqlx::query(
        "WITH months AS (
             INSERT INTO app.payroll_months (month, published_at)
             VALUES ('2024-01-01', '2024-02-05Z'), ('2024-02-01', '2024-03-05Z') RETURNING month)
         INSERT INTO app.payroll_sessions (practitioner_id, month, starts_at, consultation_id, ends_at, mode, specialty, status,
             duration_minutes, seen_minutes, times_differ, hourly_rate_cents, currency)
         SELECT $1, m.month, at, gen_random_uuid(), at + interval '50 minutes', 'video', 'psychology', 'completed', 50, 49, false,
                9000, 'EUR'
         FROM months m, generate_series(1, CASE WHEN m.month = '2024-01-01' THEN $2 / 20 ELSE $2 END) n,
              LATERAL (SELECT m.month::timestamptz + interval '1 day' + n * interval '5 seconds' AS at) it",
    )
    .bind(dr.id.0)
    .bind(LINES)
    .execute(&site.db)
    .await
    .unwrap();
    let write = async |month: &str, lines: i32| {
        let body = json!({"kind": "practitioner_activity", "from": month, "to": month});
        let path = format!("/exports/{}", dr.post("/exports", body).await.expect(202).str("/id"));
        site.until("SELECT NOT EXISTS (SELECT FROM app.exports WHERE status NOT IN ('ready', 'failed'))").await;
        assert_eq!(dr.get(&path).await.expect(200).json["rowCount"], lines);
        let file = dr.get(&format!("{path}/download")).await.expect(200).text();
        assert_eq!(file.lines().count(), usize::try_from(lines).unwrap() + 1);
        server.peak_memory()
    };
    let before = write("2024-01", LINES / 20).await;
    let after = write("2024-02", LINES).await;
    println!("{LINES} lines: {before} KB at most before, {after} KB afterwards");
    assert!(after < before + MOST, "{after} KB, from {before} KB");
}
