//! Chat on two nodes, over PostgreSQL and over Redis, while what lies between breaks: nothing is lost, nothing comes twice,
//! both see one order.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{Days, TimeZone};
use chrono_tz::Europe::Paris;
use huntzen::platform::clock::Clock;
use huntzen::platform::config::Config;
use huntzen::platform::db::development::{DevelopmentDatabase, Durability};
use huntzen::platform::realtime::{self, News};
use rustix::process::{Pid, Signal, kill_process};
use secrecy::ExposeSecret;
use tokio_util::task::AbortOnDropHandle;

use super::*;
use crate::crash::{Wish, book};
use crate::support::app::Node;
use crate::support::process::Site;
use crate::support::redis::Redis;
use crate::support::{Sockets, cluster, tools};

/// A way to a server, which may move. Where it breaks, each connection lives for some tenths of a second, or seconds.
struct Way {
    url: String,
    target: Arc<std::sync::Mutex<String>>,
    _running: AbortOnDropHandle<()>,
}

impl Way {
    async fn to(server: &str, longest: Option<Duration>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let target = Arc::new(std::sync::Mutex::new(server.to_owned()));
        let current = target.clone();
        let running = tokio::spawn(async move {
            for n in 0.. {
                let Ok((mut client, _)) = listener.accept().await else { return };
                let server = current.lock().unwrap().strip_prefix("http://").unwrap().to_owned();
                // lives of different lengths, the same ones each time
                let life = longest.map(|it| it / 5 + it.mul_f64(f64::from(n * 7 % 10) / 12.5));
                tokio::spawn(async move {
                    let Ok(mut server) = tokio::net::TcpStream::connect(server).await else { return };
                    let copying = tokio::io::copy_bidirectional(&mut client, &mut server);
                    let _ = tokio::time::timeout(life.unwrap_or(Duration::from_hours(1)), copying).await;
                });
            }
        });
        Self { url, target, _running: AbortOnDropHandle::new(running) }
    }

    fn moves_to(&self, server: &str) {
        server.clone_into(&mut self.target.lock().unwrap());
    }
}

/// Both know the same messages, all of them, once and in one order.
async fn check_all(sockets: &Sockets, all: usize) {
    let mut seen = Vec::new();
    for name in ["alice", "dr"] {
        let known = sockets.run("known", name, json!({"count": all})).await;
        assert_eq!(known["seqs"], json!((1..=all).collect::<Vec<_>>()), "{name}");
        assert_eq!((&known["twice"], &known["disordered"]), (&json!(0), &json!(0)), "{name}");
        assert!(known["connects"].as_u64().unwrap() > 1, "{name}: the ways broke: {}", known["connects"]);
        println!("{name}: {all} messages over {} connections", known["connects"]);
        seen.push(known["bodies"].clone());
    }
    assert_eq!(seen[0], seen[1]);
    for name in ["alice", "dr"] {
        let said: Vec<_> =
            seen[0].as_array().unwrap().iter().filter(|it| it.as_str().unwrap().starts_with(name)).cloned().collect();
        assert_eq!(said, (0..all / 2).map(|n| json!(format!("{name} {n}"))).collect::<Vec<_>>());
    }
}

async fn both_nodes(talk: &Talk, redis: Option<&Redis>) -> (Node, Node) {
    let url = redis.map(Redis::url);
    let change = |config: &mut Config| config.redis_url = url.clone().map(Into::into);
    (talk.app.node_with(change).await, talk.app.node_with(change).await)
}

/// `HUNTZEN_CHAT=10000` for the long form, with connections that break every one to five seconds.
async fn over_ways_that_break(redis: Option<Redis>) {
    let count: usize = tools::setting("HUNTZEN_CHAT", 120);
    let longest = if count > 1000 { Duration::from_secs(5) } else { Duration::from_millis(700) };
    let talk = talk().await;
    let (one, two) = both_nodes(&talk, redis.as_ref()).await;
    let sockets = Sockets::start();
    let (hers, his) = (Way::to(&one.base, Some(longest)).await, Way::to(&two.base, Some(longest)).await);
    let id = talk.booked.str("/id");
    for (name, way, user) in [("alice", &hers, &talk.alice), ("dr", &his, &talk.dr)] {
        sockets.run("follow", name, json!({"url": way.url, "token": user.token, "conversationId": id})).await;
    }
    let since = Instant::now();
    let half = json!({"count": count / 2});
    let said = tokio::join!(sockets.run("say", "alice", half.clone()), sockets.run("say", "dr", half));
    assert_eq!(said, (json!({}), json!({})));
    check_all(&sockets, count / 2 * 2).await;
    println!("over {} in {:.0?}", if redis.is_some() { "Redis" } else { "PostgreSQL" }, since.elapsed());
}

#[tokio::test]
async fn over_ways_that_break_all_the_time_nothing_is_lost_or_doubled_and_both_see_one_order() {
    Box::pin(over_ways_that_break(None)).await;
}

#[tokio::test]
async fn over_ways_that_break_all_the_time_the_same_holds_with_redis() {
    Box::pin(over_ways_that_break(Some(Redis::start().await))).await;
}

/// The server of a private cluster is told to stop, or is stopped at once, and starts again where it was.
async fn restart(database: DevelopmentDatabase, folder: &std::path::Path, how: Signal) -> DevelopmentDatabase {
    let pid = std::fs::read_to_string(folder.join("postgres/data/postmaster.pid")).unwrap();
    let pid: i32 = pid.lines().next().unwrap().parse().unwrap();
    let before = database.options().get_socket().cloned();
    kill_process(Pid::from_raw(pid).unwrap(), how).unwrap();
    database.stop();
    let started = DevelopmentDatabase::start(folder, Durability::Full).await.unwrap();
    assert_eq!(started.options().get_socket(), before.as_ref(), "clients find it where it was");
    started
}

/// The conversation of two people of a site, in three days.
async fn conversation(base: &str, employee: &User, practitioner: &User) -> String {
    let day = Clock::System.now().with_timezone(&Paris).date_naive() + Days::new(3);
    let nine = Paris.from_local_datetime(&day.and_hms_opt(9, 0, 0).unwrap()).unwrap();
    let wish = Wish::new(employee, practitioner, &nine.to_rfc3339());
    book(&wish, base).await.unwrap().expect(201).str("/id")
}

/// A session by audio that has just begun, made of one that was booked.
async fn session_now(site: &Site, booked: &str) -> String {
    sqlx::query_scalar(
        "INSERT INTO app.consultations (id, company_id, user_id, practitioner_id, mode, status, starts_at, ends_at, busy_from,
                                        busy_until, specialty, agreed_at)
         SELECT gen_random_uuid(), company_id, user_id, practitioner_id, 'audio', 'confirmed', now(), now() + interval '30 minutes',
                now(), now() + interval '30 minutes', specialty, agreed_at
         FROM app.consultations WHERE id = $1::uuid RETURNING id::text",
    )
    .bind(booked)
    .fetch_one(&site.db)
    .await
    .unwrap()
}

/// A call and two lists that go through it as well: one call from its beginning to its end, whose signals arrive in their
/// order, and a notification for each session that is booked meanwhile.
struct Beside<'a> {
    sockets: &'a Sockets,
    people: [(&'static str, &'a Way, &'a User); 2],
    booked: std::cell::Cell<u32>,
}

impl Beside<'_> {
    async fn begin(&self, consultation: &str) {
        for (name, way, user) in &self.people {
            let args = json!({"url": way.url, "token": user.token, "consultationId": consultation});
            self.sockets.run("phone", &format!("{name} phone"), args).await;
            self.sockets.run("list", &format!("{name} list"), json!({"url": way.url, "token": user.token})).await;
        }
        for (name, event) in [("alice phone", "call:ring"), ("dr phone", "call:accept")] {
            assert_eq!(self.sockets.run("step", name, json!({"event": event})).await, json!({}), "{event}");
            let until = json!({"rings": event == "call:ring"});
            self.sockets.run("heard", "dr phone", until).await;
        }
    }

    async fn talk(&self) -> [u64; 2] {
        let said = tokio::join!(
            self.sockets.run("signals", "alice phone", json!({})),
            self.sockets.run("signals", "dr phone", json!({}))
        );
        [said.0, said.1].map(|it| it["said"].as_u64().unwrap_or_else(|| panic!("{it}")))
    }

    /// One more session: both lists know it.
    async fn book(&self) {
        let n = self.booked.replace(self.booked.get() + 1);
        let [(_, way, alice), (_, _, dr)] = &self.people;
        let day = Clock::System.now().with_timezone(&Paris).date_naive() + Days::new(4);
        let at = Paris.from_local_datetime(&day.and_hms_opt(9 + n, 0, 0).unwrap()).unwrap();
        let wish = Wish::new(alice, dr, &at.to_rfc3339());
        while book(&wish, &way.url).await.is_none() {
            tokio::task::yield_now().await;
        }
        for name in ["alice list", "dr list"] {
            // with the one that was booked before anything broke
            assert_eq!(self.listed(name, n + 2).await["known"], n + 2, "{name}");
        }
    }

    async fn listed(&self, name: &str, count: u32) -> Value {
        self.sockets.run("listed", name, json!({"kind": "consultation_booked", "count": count})).await
    }

    async fn quiet(&self) {
        for name in ["alice phone", "dr phone"] {
            self.sockets.run("quiet", name, json!({})).await;
        }
    }

    async fn end(&self, said: [u64; 2]) {
        for (name, said) in [("dr phone", said[0]), ("alice phone", said[1])] {
            let stands = self.sockets.run("heard", name, json!({"least": said})).await;
            assert_eq!(stands["heard"], json!((0..said).collect::<Vec<_>>()), "{name}");
            assert_eq!(
                (&stands["calls"], &stands["ends"]),
                (&json!(1), &json!([])),
                "{name}: it is the same call: {stands}"
            );
            assert!(said > 10 && stands["connects"].as_u64().unwrap() > 1, "{name}: {stands}");
        }
        assert_eq!(self.sockets.run("step", "alice phone", json!({"event": "call:hangup"})).await, json!({}));
        assert_eq!(self.sockets.run("heard", "dr phone", json!({"ended": true})).await["ends"], json!(["hung_up"]));
        for name in ["alice list", "dr list"] {
            let listed = self.listed(name, 0).await;
            assert_eq!(listed["twice"], 0, "{name}: {listed}");
            assert!(listed["live"].as_u64().unwrap() > 0, "{name}: some of it was told live: {listed}");
        }
    }
}

/// `HUNTZEN_CHAT` messages, a call and two lists while a node is killed, the database restarts twice, and Redis dies.
async fn through_everything(redis: Option<Redis>) {
    let count: usize = tools::setting::<usize>("HUNTZEN_CHAT", 160).min(2_000);
    let world = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    let folder = tempfile::Builder::new().permissions(world).tempdir().unwrap();
    let database = DevelopmentDatabase::start(folder.path(), Durability::Full).await.unwrap();
    let mut site = Site::new(&database.options(), None).await;
    site.set("REDIS_URL", redis.as_ref().map(Redis::url));
    // so that tokens are renewed while everything breaks
    site.set("ACCESS_TOKEN_TTL", Some("10s".into()));
    tools::examples();
    let (one, two) = (site.serve().await, site.start().await);
    let people = site.people(1, 1).await;
    let (alice, dr) = (&people.employees[0], &people.practitioners[0]);
    let id = conversation(&one.base, alice, dr).await;
    let sockets = Sockets::start();
    let (hers, his) = (Way::to(&one.base, None).await, Way::to(&two.base, None).await);
    for (name, way, user) in [("alice", &hers, alice), ("dr", &his, dr)] {
        let refresh = site.refresh_token(user).await;
        sockets.run("converse", name, json!({"url": way.url, "refreshToken": refresh, "conversationId": id})).await;
    }
    let beside = Beside { sockets: &sockets, people: [("alice", &hers, alice), ("dr", &his, dr)], booked: 0.into() };
    beside.begin(&session_now(&site, &id).await).await;
    let talking = async {
        let half = json!({"count": count / 2});
        let said = tokio::join!(sockets.run("say", "alice", half.clone()), sockets.run("say", "dr", half));
        assert_eq!(said, (json!({}), json!({})));
    };
    let reached = async |part: usize| {
        for name in ["alice", "dr"] {
            let until = sockets.run("reaches", name, json!({"count": count * part / 6})).await;
            assert_eq!(until, json!({}), "{name} gets no further than before part {part}");
        }
    };
    let breaking = async {
        reached(1).await;
        one.kill();
        let one = site.start().await;
        hers.moves_to(&one.base);
        beside.book().await;
        reached(2).await;
        let database = restart(database, folder.path(), Signal::INT).await;
        beside.book().await;
        reached(3).await;
        let database = restart(database, folder.path(), Signal::QUIT).await;
        beside.book().await;
        reached(4).await;
        if let Some(redis) = &redis {
            redis.kill();
            reached(5).await;
            redis.start_again().await;
        }
        two.kill();
        let two = site.start().await;
        his.moves_to(&two.base);
        beside.book().await;
        beside.quiet().await;
        (one, two, database)
    };
    let all = async { tokio::join!(talking, breaking, beside.talk()) };
    let ((), (one, two, database), said) =
        Box::pin(tokio::time::timeout(Duration::from_mins(4), all)).await.expect("they go on");
    check_all(&sockets, count / 2 * 2).await;
    beside.end(said).await;
    one.kill();
    two.kill();
    site.db.close().await;
    database.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_killed_and_a_database_that_restarts_lose_nothing() {
    Box::pin(through_everything(None)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_killed_a_database_and_a_redis_that_restart_lose_nothing() {
    Box::pin(through_everything(Some(Redis::start().await))).await;
}

#[tokio::test]
async fn what_nobody_announced_is_found_when_revisions_are_compared() {
    let talk = talk().await;
    let sockets = Sockets::start();
    sockets.connect("dr", &talk.app.base, &talk.dr.token).await;
    sockets.done("dr", "conversation:join", json!({"conversationId": talk.booked.str("/id")})).await;
    // as a node leaves it that dies right after its commit
    sqlx::query(
        "WITH v AS (UPDATE app.conversations SET last_seq = last_seq + 1, last_rev = last_rev + 1 RETURNING *)
         INSERT INTO app.messages (id, company_id, conversation_id, user_id, practitioner_id, sender_id, client_id, seq, rev,
                                   created_at, deleted_at)
         SELECT gen_random_uuid(), company_id, id, user_id, practitioner_id, user_id, gen_random_uuid(), last_seq, last_rev,
                now(), now() FROM v",
    )
    .execute(talk.app.db())
    .await
    .unwrap();
    assert_eq!(sockets.take("dr", "message:new").await["seq"], 1);
}

/// Hears on a node what is announced, as far as the last revision.
fn hearer(node: &Node) -> (AbortOnDropHandle<()>, tokio::sync::watch::Receiver<i64>) {
    let (last, heard) = tokio::sync::watch::channel(-1);
    let platform = node.platform.clone();
    let listening = AbortOnDropHandle::new(tokio::spawn(async move {
        realtime::follow(&platform, &["chat_changed"], |news| {
            let rev = match news {
                News::Missed => 0,
                News::Told { about, .. } => realtime::changed(about).unwrap().1,
            };
            last.send_if_modified(|known| std::mem::replace(known, rev.max(*known)) < rev);
        })
        .await;
    }));
    (listening, heard)
}

/// `HUNTZEN_ANNOUNCED=200000 HUNTZEN_NODES=2,4,8` for the long form, which says what an announcement costs either way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_node_announces_the_others_hear_over_postgresql_and_over_redis() {
    let count: i64 = tools::setting("HUNTZEN_ANNOUNCED", 4_000);
    let sizes: String = tools::setting("HUNTZEN_NODES", "3".to_owned());
    let talk = talk().await;
    let redis = Redis::start().await;
    for (size, (name, redis)) in sizes
        .split(',')
        .map(|it| it.parse::<usize>().unwrap())
        .flat_map(|size| [("PostgreSQL", None), ("Redis", Some(&redis))].map(|way| (size, way)))
    {
        let url = redis.map(Redis::url);
        let mut nodes = Vec::new();
        for _ in 0..size {
            nodes.push(talk.app.node_with(|config| config.redis_url = url.clone().map(Into::into)).await);
        }
        let (one, others) = nodes.split_first().unwrap();
        let (_listening, mut heard): (Vec<_>, Vec<_>) = others.iter().map(hearer).unzip();
        let mut next = 0;
        // Redis' own connections may come a moment later
        for heard in &mut heard {
            heard.wait_for(|rev| *rev >= 0).await.unwrap();
            tokio::time::timeout(Duration::from_secs(20), async {
                loop {
                    next += 1;
                    one.platform.wire.announce("chat_changed", Uuid::from_u128(1), next, &[]);
                    let told = tokio::time::timeout(Duration::from_millis(200), heard.wait_for(|known| *known >= next));
                    if told.await.is_ok() {
                        return;
                    }
                }
            })
            .await
            .expect("all hear");
        }
        for at_once in [1, 100, 4_000] {
            let since = Instant::now();
            let total = if at_once == 1 { count / 20 } else { count };
            for _ in 0..total / at_once {
                for _ in 0..at_once {
                    next += 1;
                    let id = Uuid::from_u128(next.unsigned_abs().into());
                    one.platform.wire.announce("chat_changed", id, next, &[]);
                }
                // of what goes together the order is not said
                for heard in &mut heard {
                    let told = tokio::time::timeout(Duration::from_secs(20), heard.wait_for(|known| *known >= next));
                    told.await.expect("it is heard").unwrap();
                }
            }
            let each = since.elapsed() / u32::try_from(total / at_once).unwrap();
            println!("{name}, {size} nodes: {at_once} at once are heard by all after {each:.1?}");
        }
    }
}

#[tokio::test]
async fn comparing_revisions_reads_what_is_looked_at_and_nothing_else() {
    let app = crate::support::TestApp::start().await;
    let mut tx = app.db().begin().await.unwrap();
    // as for a million conversations of which a thousand are looked at
    sqlx::raw_sql(
        "UPDATE pg_class SET reltuples = 1000000, relpages = 20000 WHERE oid IN ('app.conversations'::regclass,
                'app.conversations_pkey'::regclass);
         -- the table itself is empty, and its pages are counted anew
         SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off;",
    )
    .execute(&mut *tx)
    .await
    .unwrap();
    let body: String = sqlx::query_scalar(
        "SELECT prosrc FROM pg_proc WHERE oid = 'auth.conversations_beyond(uuid[], bigint[])'::regprocedure",
    )
    .fetch_one(&mut *tx)
    .await
    .unwrap();
    let asked = body
        .replace("looked_at", "(SELECT array_agg(gen_random_uuid()) FROM generate_series(1, 1000))")
        .replace("known", "(SELECT array_agg(1::bigint) FROM generate_series(1, 1000))");
    let plan: Vec<String> =
        sqlx::query_scalar(sqlx::AssertSqlSafe(format!("EXPLAIN {asked}"))).fetch_all(&mut *tx).await.unwrap();
    let plan = plan.join("\n");
    assert!(plan.contains("conversations_pkey") && !plan.contains("Seq Scan"), "{plan}");
}

#[tokio::test]
async fn while_redis_is_away_the_database_tells_the_nodes_and_then_redis_again() {
    let talk = talk().await;
    let redis = Redis::start().await;
    let (one, two) = both_nodes(&talk, Some(&redis)).await;
    let sockets = Sockets::start();
    let about = json!({"conversationId": talk.booked.str("/id")});
    for (name, node, user) in [("alice", &one, &talk.alice), ("dr", &two, &talk.dr)] {
        sockets.connect(name, &node.base, &user.token).await;
        sockets.done(name, "conversation:join", about.clone()).await;
    }
    let heard = redis.monitor().await;
    let say = async |text: &str| {
        let mut message = message(text);
        message["conversationId"] = about["conversationId"].clone();
        sockets.done("alice", "message:send", message).await;
        assert_eq!(sockets.take("dr", "message:new").await["body"], text);
    };
    let ready =
        async || reqwest::get(format!("{}/health/ready", one.base)).await.unwrap().json::<Value>().await.unwrap();
    say("Over Redis").await;
    let told = String::from_utf8(heard.all()).unwrap();
    assert!(told.contains("chat_changed") && told.contains(&talk.booked.str("/id")), "{told}");
    assert_eq!((&ready().await["status"], &ready().await["redis"]), (&json!("ok"), &json!("ok")));
    redis.kill();
    say("Without it").await;
    tokio::time::timeout(Duration::from_secs(10), async {
        while ready().await["redis"] != "failing" {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("readiness says that it is away");
    assert_eq!(ready().await["status"], "degraded");
    redis.start_again().await;
    let heard = redis.monitor().await;
    tokio::time::timeout(Duration::from_secs(20), async {
        for n in 0.. {
            say(&format!("Again {n}")).await;
            if String::from_utf8(heard.all()).unwrap().contains("chat_changed") {
                return;
            }
        }
    })
    .await
    .expect("Redis tells again");
}

#[tokio::test]
async fn redis_is_reached_over_tls_where_its_certificate_is_trusted() {
    let redis = Redis::start_with_tls().await;
    let secret = &cluster::template().await.config().database_roles_secret;
    let app = crate::support::TestApp::start().await;
    let mut site = Site::new(app.options(), Some(secret.expose_secret())).await;
    site.set("REDIS_URL", Some(redis.tls_url()));
    for (trusted, state) in [(Some(redis.authority()), "ok"), (None, "failing")] {
        site.set("SSL_CERT_FILE", trusted);
        let server = site.start().await;
        let ready: Value = reqwest::get(format!("{}/health/ready", server.base)).await.unwrap().json().await.unwrap();
        assert_eq!(ready["redis"], state, "{ready}");
        server.kill();
    }
    site.db.close().await;
}

/// `HUNTZEN_REVOCATIONS=300` for the long form.
#[tokio::test]
async fn a_session_that_ends_closes_its_sockets_on_both_nodes_within_a_second() {
    let rounds: usize = tools::setting("HUNTZEN_REVOCATIONS", 12);
    let talk = talk().await;
    let node = talk.app.second_node().await;
    let sockets = Sockets::start();
    let mut times = Vec::new();
    for round in 0..rounds {
        let token = talk.app.session(talk.alice.id, Role::Employee, talk.alice.company_id).await;
        let names = [(format!("here {round}"), &talk.app.base), (format!("there {round}"), &node.base)];
        for (name, base) in &names {
            assert_eq!(sockets.connect(name, base, &token).await, json!({"connected": true}));
        }
        let since = Instant::now();
        talk.alice.with_token(token).post("/auth/logout", json!({})).await.expect(204);
        for (name, _) in &names {
            assert_eq!(sockets.ended(name).await["reason"], "io server disconnect");
            times.push(since.elapsed());
        }
    }
    times.sort_unstable();
    let at = |hundredths: usize| times[(times.len() - 1) * hundredths / 100];
    println!(
        "{} sockets of {rounds} sessions: p50 {:.0?}, p99 {:.0?}, last {:.0?}",
        times.len(),
        at(50),
        at(99),
        at(100)
    );
    assert!(at(99) < Duration::from_secs(1), "p99 {:?}", at(99));
}

#[tokio::test]
async fn no_word_of_a_message_stands_anywhere_but_in_the_two_peoples_hands() {
    let talk = talk().await;
    let redis = Redis::start().await;
    let cluster = cluster::template().await;
    let mut site = Site::new(talk.app.options(), Some(cluster.config().database_roles_secret.expose_secret())).await;
    site.set("REDIS_URL", Some(redis.url()));
    site.set("LOG_FILTER", Some("debug".into()));
    let (one, two) = (site.start().await, site.start().await);
    let (alice, dr) = (
        site.user(talk.alice.id, Role::Employee, talk.alice.company_id).await,
        site.user(talk.dr.id, Role::Practitioner, None).await,
    );
    let heard = redis.monitor().await;
    let canary = format!("canary{}", Uuid::new_v4().simple());
    let sockets = Sockets::start();
    let id = talk.booked.json["id"].clone();
    for (name, node, user) in [("alice", &one, &alice), ("dr", &two, &dr)] {
        sockets.connect(name, &node.base, &user.token).await;
        sockets.done(name, "conversation:join", json!({"conversationId": id})).await;
    }
    let words = |n: usize| format!("{canary} {n}");
    let sent = sockets
        .done("alice", "message:send", json!({"conversationId": id, "clientId": Uuid::new_v4(), "body": words(1)}))
        .await;
    assert_eq!(sockets.take("dr", "message:new").await["body"], words(1));
    sockets.done("alice", "message:edit", json!({"id": sent["message"]["id"], "body": words(2)})).await;
    assert_eq!(sockets.take("dr", "message:edited").await["body"], words(2));
    let path = format!("/conversations/{}/messages", id.as_str().unwrap());
    dr.at(&two.base).post(&path, message(&words(3))).await.expect(201);
    sockets.take("alice", "message:new").await;
    // and what is refused
    for (event, data) in [
        ("message:send", json!({"conversationId": id, "clientId": canary, "body": canary})),
        ("message:send", json!({"conversationId": id, "clientId": Uuid::new_v4(), "body": words(4).repeat(200)})),
        ("message:edit", json!({"id": id, "body": words(5)})),
        (canary.as_str(), json!({(canary.as_str()): canary})),
        ("sync", json!(canary)),
    ] {
        assert_eq!(sockets.ask("alice", event, data).await["ok"], false);
    }
    dr.at(&two.base).post(&path, json!({"clientId": 1, "body": words(6)})).await.expect(422);
    talk.app.settle().await;

    let is_in = |bytes: &[u8], what: &str| {
        [what.to_owned(), hex::encode(what)].iter().any(|it| bytes.windows(it.len()).any(|part| part == it.as_bytes()))
    };
    let dump = talk.app.dump().await;
    assert!(
        is_in(dump.as_bytes(), id.as_str().unwrap()) && !is_in(dump.as_bytes(), &canary),
        "in the database, or in its jobs"
    );
    for server in [one, two] {
        let log = server.log();
        assert!(log.len() > 1000 && !is_in(log.as_bytes(), &canary), "{log}");
        server.kill();
    }
    let log = std::fs::read(cluster.log()).unwrap();
    assert!(!is_in(&log, &canary), "in the log of PostgreSQL");
    let told = heard.all();
    assert!(is_in(&told, id.as_str().unwrap()) && !is_in(&told, &canary), "{}", String::from_utf8_lossy(&told));
    assert!(!is_in(&redis.dump().await, &canary));
    site.db.close().await;
}
