//! Two hundred pairs write to each other, five thousand sockets do nothing, two thousand come back at once: our server and
//! one on Node.js (`benches/node`), in turn, with the same clients. On a copy of the database, which is dropped afterwards.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use huntzen::platform::auth::{Caller, Role};
use huntzen::platform::db::DbRole;
use huntzen::platform::ids::{CompanyId, SessionId, UserId};
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

use crate::support::chatter::{Order, Pair, Person, Task, Told};
use crate::support::database::Database;
use crate::support::measure::{Line, Sample, Usage, middle};
use crate::support::server::Server;
use crate::{Args, Outcome};

const PAIRS: usize = 200;
const IDLE: usize = 5_000;
const STORM: usize = 2_000;
/// What stands before the 32 bytes of an Ed25519 key in a `SubjectPublicKeyInfo` (RFC 8410).
const SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// Connections to the database on either side: ours has them by role.
const OURS: &str = "12";
const THEIRS: &str = "18";

/// Tables of the same shape, with the same indexes and keys, without the policies and triggers.
const TABLES: &str = "INSERT INTO app.conversations (id, company_id, user_id, practitioner_id, last_at)
        SELECT id, company_id, user_id, practitioner_id, created_at FROM app.consultations ON CONFLICT DO NOTHING;
    CREATE SCHEMA bench;
    CREATE TABLE bench.conversations (LIKE app.conversations INCLUDING ALL,
        key bytea NOT NULL, closes_at timestamptz NOT NULL DEFAULT now() + interval '1 year');
    CREATE TABLE bench.messages (LIKE app.messages INCLUDING ALL,
        FOREIGN KEY (company_id, conversation_id, user_id, practitioner_id)
            REFERENCES bench.conversations (company_id, id, user_id, practitioner_id));
    ALTER TABLE bench.messages DROP CONSTRAINT messages_size;
    CREATE TABLE bench.receipts (LIKE app.message_receipts INCLUDING ALL);
    GRANT USAGE ON SCHEMA bench TO huntzen_employee;
    GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA bench TO huntzen_employee;
    ANALYZE app.conversations";

/// A message in every other conversation, with its key, on both sides: 1,000,000 at full size. Nobody reads them.
const HISTORY: &str = "SET session_replication_role = replica;
    CREATE TEMPORARY TABLE talking AS SELECT unnest($1::uuid[]) AS id;
    UPDATE app.conversations v SET last_seq = 1, last_rev = 1 WHERE v.id NOT IN (SELECT id FROM talking);
    INSERT INTO app.encryption_keys (id, company_id, purpose, subject_id, person_id, wrapped, created_at)
        SELECT gen_random_uuid(), company_id, 'chat', id, user_id, decode(repeat(md5(id::text), 4), 'hex'), last_at
        FROM app.conversations WHERE last_seq = 1;
    INSERT INTO app.messages (id, company_id, conversation_id, user_id, practitioner_id, sender_id, client_id, seq, rev, sealed,
                              created_at)
        SELECT gen_random_uuid(), company_id, id, user_id, practitioner_id, user_id, gen_random_uuid(), 1, 1,
               decode(repeat(md5(id::text), 14), 'hex'), last_at
        FROM app.conversations WHERE last_seq = 1;
    INSERT INTO bench.conversations SELECT v.*, decode(md5(v.id::text) || md5('k' || v.id::text), 'hex')
        FROM app.conversations v;
    INSERT INTO bench.messages SELECT * FROM app.messages;
    SET session_replication_role = origin;
    VACUUM ANALYZE app.conversations, app.encryption_keys, app.messages, bench.conversations, bench.messages;
    CHECKPOINT";

/// Conversations that take messages, of as many people as there are.
const CONVERSATIONS: &str = "SELECT DISTINCT ON (v.user_id) v.id, v.company_id, v.user_id, v.practitioner_id
    FROM app.conversations v JOIN app.consultations c ON c.id = v.id
    WHERE c.cancelled_at IS NULL AND greatest(c.ends_at, c.ended_at) > now() - interval '360 days'
    ORDER BY v.user_id, c.ends_at DESC LIMIT $1";

/// Its id, its company, the employee and the practitioner.
pub type Talking = (Uuid, Uuid, Uuid, Uuid);

/// Both servers, and the people that talk.
pub struct Scene {
    ours: Server,
    node: Node,
    pairs: Vec<Pair>,
}

/// Fills the tables of both sides, and chooses who talks.
pub async fn prepare(database: &Database) -> Outcome<Vec<Talking>> {
    let mut conn = database.connect().await?;
    sqlx::raw_sql(TABLES).execute(&mut conn).await?;
    let talking: Vec<Talking> =
        sqlx::query_as(CONVERSATIONS).bind(i64::try_from(IDLE / 2)?).fetch_all(&mut conn).await?;
    if talking.len() < PAIRS {
        return Err(
            format!("only {} people with a conversation that is open: --scale 100 at least", talking.len()).into()
        );
    }
    eprintln!("a message in each of the other conversations");
    for statement in HISTORY.split(';') {
        let ids = talking.iter().map(|it| format!("'{}'", it.0)).collect::<Vec<_>>().join(",");
        let statement = statement.replace("$1::uuid[]", &format!("ARRAY[{ids}]::uuid[]"));
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut conn).await?;
    }
    Ok(talking)
}

impl Scene {
    pub async fn start(args: &Args, database: &Database, talking: &[Talking]) -> Outcome<Self> {
        let settings = [
            ("CHAT_OPEN_DAYS", "365".into()),
            ("DATABASE_POOL_SIZE", OURS.into()),
            ("DATABASE_ACQUIRE_TIMEOUT_MS", "10000".into()),
        ];
        let settings: Vec<_> = settings.into_iter().chain(args.redis.clone().map(|url| ("REDIS_URL", url))).collect();
        let ours = Server::start_set(&args.server, database, &["serve", "--no-worker"], &settings).await?;
        let node = Node::start(database, &ours.public_key, !args.silent)?;
        let pairs = pairs(&mut database.connect().await?, &ours, talking).await?;
        Ok(Self { ours, node, pairs })
    }

    pub fn stop(self) -> Outcome {
        self.ours.stop()
    }

    fn order(&self, address: SocketAddr, acknowledges: bool, task: Task) -> Order {
        Order { address, pairs: self.pairs.clone(), acknowledges, task }
    }

    /// From sending to the other's screen.
    pub fn talk(&self, args: &Args) -> Outcome<Line> {
        let mut line = Line::new("chat");
        let mut order = self.order(self.ours.address, !args.silent, Task::Talk { seconds: 3 });
        order.pairs.truncate(PAIRS);
        let mut to_node = Order { address: self.node.address, ..order.clone() };
        order.run()?;
        to_node.run()?;
        order.task = Task::Talk { seconds: args.seconds };
        to_node.task = order.task;
        for pair in 1..=args.pairs {
            let before = self.ours.usage()?;
            let mut ours = sample(&order.run()?);
            ours.server = Some(self.ours.usage()?.since(before));
            let before = self.node.usage()?;
            let mut its = sample(&to_node.run()?);
            its.server = Some(self.node.usage()?.since(before));
            eprintln!("chat {pair}/{}: ours {ours}; node {its}", args.pairs);
            line.add(ours, its);
        }
        line.peak_kib = self.ours.usage()?.peak_kib;
        line.notes.push(format!(
            "chat  {} pairs; deliveries acknowledged: {}; processor time of Node.js {:.0} us a message; p95 {:.1} and {:.1} ms; \
             the clients take {:.0} us a message",
            order.pairs.len(),
            !args.silent,
            middle(&line.floor, Sample::server_us),
            middle(&line.ours, |it| it.p95),
            middle(&line.floor, |it| it.p95),
            middle(&line.ours, |it| it.client_us),
        ));
        Ok(line)
    }

    /// What a socket that does nothing takes of the memory of servers that have just started.
    pub fn idle(&self, joined: bool) -> Outcome<String> {
        let mut per_socket = Vec::new();
        for (address, pid) in [(self.ours.address, self.ours.pid()), (self.node.address, self.node.pid())] {
            let before = Usage::resident_kib(pid)?;
            let mut clients = self.order(address, false, Task::Hold { sockets: IDLE, joined }).start()?;
            let count = clients.told()?.count;
            std::thread::sleep(std::time::Duration::from_secs(3));
            let grown = Usage::resident_kib(pid)?.saturating_sub(before);
            #[allow(clippy::cast_precision_loss)]
            per_socket.push(grown as f64 / count as f64);
            clients.end()?;
        }
        Ok(format!(
            "sockets_idle  {IDLE} sockets, {}: ours {:.1} KiB each, Node.js {:.1}",
            if joined { "each in a conversation" } else { "connected" },
            per_socket.first().unwrap_or(&f64::NAN),
            per_socket.get(1).unwrap_or(&f64::NAN),
        ))
    }

    /// All sockets drop and come back.
    pub fn storm(&self) -> Outcome<Vec<String>> {
        let mut notes = Vec::new();
        for (name, address) in [("ours", self.ours.address), ("Node.js", self.node.address)] {
            let mut clients = self.order(address, false, Task::Hold { sockets: STORM, joined: true }).start()?;
            clients.told()?;
            clients.go_on()?;
            let Told { count, p50, p99, last, .. } = clients.told()?;
            notes.push(format!(
                "reconnect_storm  {name}: {count} of {STORM} sockets back, joined and caught up; half after {p50:.0} ms, p99 {p99:.0}, \
                 the last {last:.0}",
            ));
            clients.end()?;
        }
        Ok(notes)
    }
}

#[allow(clippy::cast_precision_loss)]
fn sample(told: &Told) -> Sample {
    Sample {
        rate: told.count as f64 / told.seconds,
        p50: told.p50,
        p95: told.p95,
        p99: told.p99,
        count: told.count,
        client_us: told.cpu_us as f64 / told.count.max(1) as f64,
        ..Sample::default()
    }
}

/// With an access token each.
async fn pairs(conn: &mut PgConnection, server: &Server, found: &[Talking]) -> Outcome<Vec<Pair>> {
    // whose sessions are looked up where a node is behind with what it knows of them
    let people: Vec<Uuid> = found.iter().flat_map(|it| [it.2, it.3]).collect();
    sqlx::query(
        "INSERT INTO app.user_sessions (id, user_id, created_at, last_used_at, expires_at)
         SELECT DISTINCT id, id, now(), now(), now() + interval '1 day' FROM unnest($1::uuid[]) id
         ON CONFLICT DO NOTHING",
    )
    .bind(people)
    .execute(&mut *conn)
    .await?;
    let person = |id: Uuid, role, company: Option<Uuid>| -> Outcome<Person> {
        let caller = Caller {
            user_id: UserId(id),
            role,
            company_id: company.map(CompanyId),
            session_id: SessionId(id),
            totp_setup_required: false,
        };
        Ok(Person { id, token: server.sign(&caller)? })
    };
    found
        .iter()
        .map(|&(conversation, company, employee, practitioner)| {
            let people =
                [person(employee, Role::Employee, Some(company))?, person(practitioner, Role::Practitioner, None)?];
            Ok(Pair { conversation, people })
        })
        .collect()
}

/// The server on Node.js.
struct Node {
    child: Child,
    address: SocketAddr,
}

impl Node {
    fn start(database: &Database, public_key: &[u8], receipts: bool) -> Outcome<Self> {
        if !std::path::Path::new("benches/node/node_modules").exists() {
            let status =
                Command::new("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir("benches/node").status()?;
            if !status.success() {
                return Err("npm ci failed in benches/node".into());
            }
        }
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let mut command = Command::new("node");
        command
            .arg("benches/node/server.mjs")
            .envs(database.libpq(DbRole::Employee))
            .env("PORT", address.port().to_string())
            .env("NODE_ENV", "production")
            .env("PUBLIC_KEY", STANDARD.encode([&SPKI[..], public_key].concat()))
            .env("POOL", THEIRS);
        if receipts {
            command.env("RECEIPTS", "1");
        }
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let mut said = String::new();
        BufReader::new(child.stdout.take().ok_or("no pipe")?).read_line(&mut said)?;
        if said.trim() != "ready" {
            return Err(format!("the server on Node.js did not start: {said}").into());
        }
        Ok(Self { child, address })
    }

    fn pid(&self) -> u32 {
        self.child.id()
    }

    fn usage(&self) -> Outcome<Usage> {
        Ok(Usage::of_process(self.pid())?)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
