//! Connections: how long they live, and what happens when the server hangs.

use std::process::Command;
use std::time::{Duration, Instant};

use huntzen::platform::ids::CompanyId;
use huntzen::platform::jobs::JobContext;
use huntzen::platform::{Problem, Tx};

use crate::support::TestApp;

/// The backends of the application's connections as a role, halted: they answer nothing until this is dropped.
struct Halted(Vec<i32>);

impl Halted {
    async fn all_of(app: &TestApp, role: &str) -> Self {
        let backends =
            sqlx::query_scalar("SELECT pid FROM pg_stat_activity WHERE usename = $1 AND datname = current_database()")
                .bind(role)
                .fetch_all(app.db())
                .await
                .unwrap();
        let halted = Self(backends);
        assert!(!halted.0.is_empty(), "{role} has connections");
        halted.signal("-STOP");
        halted
    }

    fn signal(&self, name: &str) {
        assert!(Command::new("kill").arg(name).args(self.0.iter().map(i32::to_string)).status().unwrap().success());
    }
}

impl Drop for Halted {
    fn drop(&mut self) {
        self.signal("-CONT");
    }
}

fn job(app: &TestApp, company_id: Option<CompanyId>) -> JobContext {
    JobContext { platform: app.platform.clone(), company_id, user_id: None, job_id: String::new(), attempt: 1 }
}

async fn backend(tx: &mut Tx) -> i32 {
    sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(tx.conn()).await.unwrap()
}

/// What a hanging server was waited for, and the refusal.
async fn refusal(answer: impl Future<Output = Result<(), Problem>>) -> (Duration, &'static str) {
    let asked = Instant::now();
    let code = answer.await.err().map_or("none", |problem| problem.code());
    (asked.elapsed(), code)
}

#[tokio::test]
async fn a_request_to_a_server_that_hangs_is_answered_and_the_next_gets_another_connection() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let alice = app.employee(&company).await;
    alice.get("/consultations").await.expect(200);
    alice.get("/me").await.expect(200);
    let halted = Halted::all_of(&app, "huntzen_employee").await;
    let known = halted.0.len();
    for path in ["/consultations", "/me"].iter().cycle().take(known) {
        let asked = Instant::now();
        alice.get(path).await.refused(503, "unavailable");
        // four seconds, and what a busy machine adds
        assert!((2.0..15.0).contains(&asked.elapsed().as_secs_f64()), "{path}: {:?}", asked.elapsed());
    }
    // none of them is left in the pool
    alice.get("/consultations").await.expect(200);
    alice.get("/me").await.expect(200);
}

#[tokio::test]
async fn a_commit_or_a_roll_back_that_hangs_gives_its_connection_up() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    let cx = job(&app, Some(company.id));
    let mut tx = cx.begin().await.unwrap();
    let pid = backend(&mut tx).await;
    let halted = Halted::all_of(&app, "huntzen_worker").await;
    let (waited, code) = refusal(tx.commit()).await;
    assert_eq!(code, "unavailable");
    assert!((2.0..15.0).contains(&waited.as_secs_f64()), "{waited:?}");
    drop(halted);
    let mut tx = cx.begin().await.unwrap();
    assert_ne!(backend(&mut tx).await, pid);

    // every connection of the pool, dropped while the server hangs: as many can be had again
    let mut open = vec![tx];
    for _ in 1..16 {
        open.push(cx.begin().await.unwrap());
    }
    let halted = Halted::all_of(&app, "huntzen_worker").await;
    drop(open);
    let again = async {
        loop {
            if let Ok(tx) = cx.begin().await {
                return tx;
            }
        }
    };
    let mut tx = tokio::time::timeout(Duration::from_secs(10), again).await.expect("a connection");
    let fresh = backend(&mut tx).await;
    assert!(!halted.0.contains(&fresh));
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn an_old_connection_is_not_used_again() {
    let pids = async |max_age: &'static str| {
        let app = TestApp::start_with(move |name| {
            (name == "DATABASE_CONNECTION_MAX_AGE_SECONDS").then(|| max_age.to_owned())
        })
        .await;
        let cx = job(&app, None);
        let mut pids = Vec::new();
        for _ in 0..3 {
            let mut tx = cx.begin().await.unwrap();
            pids.push(backend(&mut tx).await);
            tx.commit().await.unwrap();
        }
        pids.dedup();
        pids.len()
    };
    assert_eq!(pids("0").await, 3);
    assert_eq!(pids("1800").await, 1);
}

/// What gives way to others (its time is up, a circle of locks) is no fault of ours: the client tries again.
#[tokio::test]
async fn a_statement_that_gives_way_is_answered_with_a_later_try() {
    let app = TestApp::start().await;
    let company = app.company("Acme").await;
    for code in ["57014", "40P01", "40001", "55P03"] {
        let gives_way = format!(
            "CREATE OR REPLACE FUNCTION app.give_way() RETURNS trigger LANGUAGE plpgsql AS
                 $$ BEGIN RAISE EXCEPTION 'later' USING ERRCODE = '{code}'; END $$;
             CREATE OR REPLACE TRIGGER give_way BEFORE INSERT ON app.employees
                 FOR EACH ROW EXECUTE FUNCTION app.give_way()"
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(gives_way.as_str())).execute(app.db()).await.unwrap();
        let new = serde_json::json!({"email": "ana@acme.test", "firstName": "Ana", "lastName": "Silva"});
        let refused = company.hr.post("/employees", new).await.refused(503, "unavailable");
        assert_eq!(refused.header("retry-after"), "2", "{code}");
    }
    assert_eq!(app.count("SELECT count(*) FROM app.employees").await, 0);
}

/// Mails wait in the queue: for a mail server that is away no node leaves the balancer.
#[tokio::test]
async fn a_program_without_its_mail_server_is_degraded_and_ready() {
    let app = TestApp::start_with(|name| (name == "SMTP_URL").then(|| "smtp://127.0.0.1:1?tls=none".into())).await;
    let found = app.anonymous().get("//health/ready").await.expect(200).json;
    let expected = serde_json::json!({
        "status": "degraded", "database": "ok", "queue": "ok", "storage": "ok", "mail": "failing",
    });
    assert_eq!(found, expected);
    let app = TestApp::start().await;
    assert_eq!(app.anonymous().get("//health/ready").await.expect(200).str("/status"), "ok");
}
