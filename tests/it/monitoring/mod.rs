//! What the program tells whoever runs it: metrics and what is made of them, health, traces, reports of errors.

mod files;
mod health;
mod metrics;
mod reports;
mod traces;

use std::net::TcpListener;

use huntzen::platform::auth::Role;
use huntzen::platform::crypto::key_use::CountKeys;
use secrecy::ExposeSecret;
use serde_json::json;

use crate::support::process::{Server, Site};
use crate::support::redis::Redis;
use crate::support::sockets::Sockets;
use crate::support::{TestApp, User, cluster};

/// A port that nobody has.
fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// A program of its own that is being used in every way that is counted.
struct Busy {
    app: TestApp,
    site: Site,
    server: Server,
    people: Vec<User>,
    _redis: Redis,
    _sockets: Sockets,
    /// Where whoever monitors asks.
    monitoring: String,
}

impl Busy {
    async fn start() -> Self {
        let app = TestApp::start().await;
        let company = app.company("Acme Monitored").await;
        let (alice, dr) = (app.employee(&company).await, app.practitioner().await);
        let redis = Redis::start().await;
        let secret = cluster::template().await.config().database_roles_secret.expose_secret();
        let mut site = Site::new(app.options(), Some(secret)).await;
        let monitoring = free_address();
        site.set("MONITORING_ADDR", Some(monitoring.clone()));
        site.set("REDIS_URL", Some(redis.url()));
        let server = site.start().await;
        let mut people = Vec::new();
        for (person, role) in [(&alice, Role::Employee), (&dr, Role::Practitioner), (&company.hr, Role::Hr)] {
            people.push(site.user(person.id, role, person.company_id).await.at(&server.base));
        }
        let [alice, dr, hr] = [&people[0], &people[1], &people[2]];
        alice.get("/me").await.expect(200);
        alice.get(&format!("/practitioners/{}", dr.id)).await.expect(200);
        hr.get("/consultations").await.refused(403, "forbidden");
        alice.get("/consultations/nothing").await.expect(400);
        let nobody = app.anonymous().at(&server.base);
        nobody.get("/this/is/alice@people.test").await.expect(404);
        let wrong = json!({ "email": alice.email, "password": "not these words at all" });
        nobody.post("/auth/login", wrong).await.expect(401);
        // a mail that is sent, and a job that nobody can do
        nobody.post("/auth/forgot-password", json!({ "email": alice.email })).await.expect(202);
        sqlx::query(
            "INSERT INTO apalis.jobs (id, job_type, job, status, attempts, max_attempts, run_at, priority)
             VALUES (apalis.generate_ulid(), 'maintenance', convert_to('{\"kind\": \"nobody.knows\", \"data\": {}}', 'UTF8'),
                     'Pending', 0, 1, now(), 0)",
        )
        .execute(&site.db)
        .await
        .unwrap();
        app.enqueue(&CountKeys {}).await;
        let sockets = Sockets::start();
        let entered = sockets
            .run(
                "connect",
                "alice",
                json!({ "url": server.base, "namespace": "/chat", "token": alice.token, "transports": ["websocket"] }),
            )
            .await;
        assert_eq!(entered, json!({ "connected": true }));
        assert_eq!(sockets.ask("alice", "a made-up event", json!({})).await["ok"], false);
        site.until("SELECT count(*) = 1 FROM app.email_log WHERE status = 'sent'").await;
        site.until("SELECT count(*) = 1 FROM apalis.jobs WHERE status = 'Killed'").await;
        site.until("SELECT count(*) > 0 FROM app.master_keys WHERE counted_at IS NOT NULL").await;
        Self { app, site, server, people, _redis: redis, _sockets: sockets, monitoring }
    }

    /// What `/metrics` says now.
    async fn metrics(&self) -> String {
        let answer = reqwest::get(format!("http://{}/metrics", self.monitoring)).await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.text().await.unwrap()
    }

    async fn end(self) {
        self.server.kill();
        self.site.db.close().await;
        self.app.settle_with_dead().await;
    }
}
