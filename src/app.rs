//! Composition root: the configuration, then the platform, then the modules.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use poem::listener::{Acceptor, TcpAcceptor};
use poem::{Endpoint, EndpointExt, Route};
use poem_openapi::{OpenApi, OpenApiService};
use secrecy::ExposeSecret;
use serde_json::Value;
use sqlx::postgres::PgConnectOptions;
use tokio::net::TcpSocket;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use crate::cli::SeedKind;
use crate::domain::identity::administration::operator::{self, Invitation};
use crate::domain::{
    admin, audit_trail, calls, chat, clinical_notes, companies, consultations, content, employees, exports, files,
    identity, journal, notifications, practitioners, privacy, reviews, search, usage,
};
use crate::platform::auth::revocation::RevokedSessions;
use crate::platform::auth::signing_keys::{self, Published, Withdrawn};
use crate::platform::auth::tokens::Tokens;
use crate::platform::clock::Clock;
use crate::platform::config::Config;
use crate::platform::crypto::entropy::Entropy;
use crate::platform::crypto::envelope::KeyPurpose;
use crate::platform::crypto::key_use;
use crate::platform::crypto::older_forms::{self, OlderForm};
use crate::platform::crypto::passwords::{Cost, Passwords};
use crate::platform::crypto::rewrap::{self, Pace, Progress, Rewrapped, Sealed, Tried};
use crate::platform::crypto::seal::Keyring;
use crate::platform::db::development::{DevelopmentDatabase, Durability};
use crate::platform::db::{Db, migrate};
use crate::platform::health::MonitoringApi;
use crate::platform::http::limits::Limits;
use crate::platform::http::{middleware, openapi};
use crate::platform::ids;
use crate::platform::images::Images;
use crate::platform::jobs::{Registry, Settings, Workers};
use crate::platform::locale::Locale;
use crate::platform::mail::{self, Mailer};
use crate::platform::maintenance::Maintenance;
use crate::platform::outgoing::Outgoing;
use crate::platform::realtime::{self, Mount, Wire};
use crate::platform::storage::Storage;
use crate::platform::telemetry::figures;
use crate::platform::telemetry::reports::Reports;
use crate::platform::telemetry::traces::Traces;
use crate::platform::{Platform, Problem, telemetry};
use crate::seed;

/// Connections that wait to be taken: after a node went, all of its sockets come at once, and whoever finds no room tries
/// again a second later.
const BACKLOG: u32 = 4096;
/// At the end; what a socket was told before then has left by then, or nobody reads it.
const SOCKETS_CLOSE_WITHIN: Duration = Duration::from_secs(3);
/// Of each place that holds secrets so many are opened, to see whether the keys fit.
const SAMPLES: i32 = 100;

type Failure = Box<dyn Error + Send + Sync>;
type Outcome<T = ()> = Result<T, Failure>;

/// Every module's part of the API, below `/api/v1`.
fn apis() -> impl OpenApi {
    (
        identity::apis(),
        companies::CompaniesApi,
        employees::EmployeesApi,
        practitioners::PractitionersApi,
        practitioners::CalendarsApi,
        consultations::apis(),
        (content::apis(), reviews::ReviewsApi, search::SearchApi, admin::OperationsApi),
        chat::ChatApi,
        notifications::NotificationsApi,
        clinical_notes::NotesApi,
        journal::JournalApi,
        files::FilesApi,
        // at most sixteen stand beside each other
        (usage::UsageApi, usage::ActivityApi, exports::ExportsApi),
        audit_trail::AuditTrailApi,
        privacy::apis(),
    )
}

/// Every module's jobs and schedules.
pub fn registry() -> Registry {
    let mut registry = Registry::new();
    identity::jobs(&mut registry);
    practitioners::jobs(&mut registry);
    files::jobs(&mut registry);
    content::jobs(&mut registry);
    consultations::jobs(&mut registry);
    consultations::departure::jobs(&mut registry);
    notifications::jobs(&mut registry);
    calls::jobs(&mut registry);
    usage::jobs(&mut registry);
    exports::jobs(&mut registry);
    audit_trail::jobs(&mut registry);
    privacy::jobs(&mut registry);
    registry
}

/// The platform on a database that is migrated. `base` says where it is; the roles are the program's own.
pub async fn platform(config: Config, base: &PgConnectOptions, clock: Clock) -> Outcome<Arc<Platform>> {
    let entropy = Entropy::system();
    let cost = if config.is_production() { Cost::STANDARD } else { Cost::LEAST };
    let db = Db::open(base, &config);
    db.verify().await?;
    let keyring = Keyring::new(&config.master_keys)?;
    Box::pin(key_use::verify(&db, &keyring)).await?;
    let platform = Arc::new(Platform {
        db,
        tokens: Tokens::new(&config)?,
        sessions: RevokedSessions::new(),
        passwords: Passwords::new(cost, &entropy)?,
        keyring,
        storage: Storage::open(&config)?,
        images: Images::default(),
        mailer: Mailer::open(&config)?,
        outgoing: Outgoing::new(&config)?,
        limits: Limits::new(&config),
        maintenance: Maintenance::default(),
        wire: Wire::open(&config, base)?,
        traces: Traces::open(&config, ids::uuid_v7(clock.now(), entropy.bytes()))?,
        reports: Reports::open(&config, &clock, &entropy)?,
        config: Arc::new(config),
        clock,
        entropy,
    });
    Ok(platform)
}

fn api_service() -> OpenApiService<impl OpenApi, ()> {
    OpenApiService::new(apis(), "HuntZen Care", env!("CARGO_PKG_VERSION"))
}

/// What modules tell whoever monitors.
const FIGURES: &[figures::Source] = &[|cx| Box::pin(audit_trail::figures(cx))];

/// What is not below `/api/v1`.
fn root_service() -> OpenApiService<impl OpenApi, ()> {
    OpenApiService::new(
        (MonitoringApi::new(FIGURES, false), identity::session::KeysApi),
        "HuntZen Care",
        env!("CARGO_PKG_VERSION"),
    )
}

/// The `OpenAPI` document.
pub fn openapi() -> Outcome<Value> {
    Ok(openapi::document(&[api_service().spec(), root_service().spec()])?)
}

/// The `AsyncAPI` document of the sockets.
pub fn asyncapi() -> Outcome<Value> {
    Ok(realtime::document(&[chat::namespace(), calls::namespace(), notifications::namespace()])?)
}

/// Every route, with the layers around them.
pub fn endpoint(platform: Arc<Platform>, sockets: Mount) -> Outcome<impl Endpoint> {
    let document = openapi()?;
    let live = serde_json::to_vec(&asyncapi()?)?;
    let mut routes =
        openapi::routes(Route::new(), &document)?.at("/asyncapi.json", openapi::asset("application/json", live));
    if let Some(mailbox) = mail::dev_mailbox(&platform.config) {
        routes = routes.nest("/dev/mail", mailbox);
    }
    // prefixes are part of the API's and of Socket.IO's own paths
    let routes =
        routes.nest_no_strip("/socket.io", sockets).nest_no_strip("/api/v1", api_service()).nest("/", root_service());
    Ok(middleware::wrap(routes.data(platform.clone()), platform, &openapi::operations(&document)))
}

fn accept_on(address: SocketAddr) -> Outcome<(TcpAcceptor, SocketAddr)> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    let acceptor = TcpAcceptor::from_tokio(socket.listen(BACKLOG)?)?;
    let bound = acceptor.local_addr().first().and_then(|addr| addr.as_socket_addr().copied()).unwrap_or(address);
    Ok((acceptor, bound))
}

/// Health and metrics alone, on an address that only who monitors reaches. The future serves until it is dropped.
pub fn listen_to_monitoring(
    platform: Arc<Platform>,
    address: SocketAddr,
) -> Outcome<(SocketAddr, impl Future<Output = ()>)> {
    let (acceptor, bound) = accept_on(address)?;
    let service = OpenApiService::new(MonitoringApi::new(FIGURES, true), "HuntZen Care", env!("CARGO_PKG_VERSION"));
    let operations = openapi::operations(&openapi::document(&[service.spec()])?);
    let endpoint = middleware::wrap(Route::new().nest("/", service).data(platform.clone()), platform, &operations);
    let serving = async move {
        if let Err(error) = poem::Server::new_with_acceptor(acceptor).run(endpoint).await {
            tracing::error!(%error, "monitoring is not served any more");
        }
    };
    Ok((bound, serving))
}

/// Listens on `address`; the future serves until `stop`, then lets running requests finish.
pub async fn listen(
    platform: Arc<Platform>,
    address: SocketAddr,
    stop: impl Future<Output = ()>,
) -> Outcome<(SocketAddr, impl Future<Output = std::io::Result<()>>)> {
    let (acceptor, bound) = accept_on(address)?;
    let grace = Duration::from_secs(platform.config.shutdown_grace_seconds);
    let keys = platform.read_signing_keys().await;
    keys.map_err(|problem| format!("cannot read the signing keys: {problem:?}; has the database been migrated?"))?;
    let (sockets, io) = realtime::mount(platform.clone());
    let chat = chat::open(&io, &platform);
    let calls = calls::open(&io, &platform);
    let notifications = notifications::open(&io, &platform);
    let endpoint = endpoint(platform.clone(), sockets)?;
    let serving = Box::pin(async move {
        let (follower, carrier) = (platform.clone(), platform.clone());
        let _follower = AbortOnDropHandle::new(tokio::spawn(async move { follower.sessions.follow(&follower).await }));
        let _chat = AbortOnDropHandle::new(tokio::spawn(chat));
        let _calls = AbortOnDropHandle::new(tokio::spawn(calls));
        let _notifications = AbortOnDropHandle::new(tokio::spawn(notifications));
        let _wire = AbortOnDropHandle::new(tokio::spawn(async move { realtime::carry(&carrier).await }));
        let stop = async {
            stop.await;
            // polls that wait for news would hold the others up; a socket that reads nothing does not
            let _ = tokio::time::timeout(SOCKETS_CLOSE_WITHIN.min(grace), io.close()).await;
        };
        poem::Server::new_with_acceptor(acceptor).run_with_graceful_shutdown(endpoint, stop, Some(grace)).await
    });
    Ok((bound, serving))
}

/// The owner's connection, for a command that may run beside `serve`.
pub(crate) async fn database(config: &Config) -> Outcome<(PgConnectOptions, Option<DevelopmentDatabase>)> {
    let beside = if config.database_options().is_none() { DevelopmentDatabase::beside(&config.data_dir) } else { None };
    match beside {
        Some(options) => Ok((options, None)),
        None => own_database(config).await,
    }
}

/// The owner's connection, and the development database where one had to be started.
async fn own_database(config: &Config) -> Outcome<(PgConnectOptions, Option<DevelopmentDatabase>)> {
    if let Some(options) = config.database_options() {
        return Ok((options, None));
    }
    let database = DevelopmentDatabase::start(&config.data_dir, Durability::Relaxed).await?;
    Ok((database.options(), Some(database)))
}

/// Brings the database to this version.
pub async fn migrate(config: Config) -> Outcome {
    telemetry::init(config.log_format, &config.log_filter);
    let (owner, development) = Box::pin(database(&config)).await?;
    Box::pin(migrate::migrate(&owner, &config)).await?;
    if let Some(development) = development {
        development.stop();
    }
    Ok(())
}

/// Publishes a new signing key; the nodes that run take it up.
pub async fn publish_key(config: Config) -> Outcome<Published> {
    telemetry::init(config.log_format, &config.log_filter);
    let (owner, development) = Box::pin(database(&config)).await?;
    let mut conn = migrate::owner(&owner).await?;
    let published = signing_keys::rotate(&mut conn, &config, &Entropy::system(), Clock::System.now()).await?;
    if let Some(development) = development {
        development.stop();
    }
    Ok(published)
}

/// Takes a signing key out of use at once; the nodes that run hear of it.
pub async fn withdraw_key(config: Config, kid: &str) -> Outcome<Withdrawn> {
    telemetry::init(config.log_format, &config.log_filter);
    let (owner, development) = Box::pin(database(&config)).await?;
    let mut conn = migrate::owner(&owner).await?;
    let withdrawn = signing_keys::withdraw(&mut conn, &config, &Entropy::system(), Clock::System.now(), kid).await;
    if let Some(development) = development {
        development.stop();
    }
    Ok(withdrawn?)
}

/// Every column whose values are sealed under the master keys.
pub fn sealed() -> Vec<Sealed> {
    let mut all = vec![signing_keys::SEALED];
    all.extend(identity::two_factor::SEALED);
    all.push(practitioners::calendars::SEALED);
    all.extend(consultations::SEALED);
    all.push(reviews::SEALED);
    all.extend(KeyPurpose::SEALED);
    all
}

/// The columns whose texts earlier releases sealed under a master key itself.
fn older_forms() -> Vec<OlderForm> {
    let mut all = consultations::OLDER_FORMS.to_vec();
    all.push(reviews::OLDER_FORM);
    all
}

/// Seals what is under older master keys anew.
pub async fn rewrap(
    config: Config,
    pace: Pace,
    tell: &mut (dyn FnMut(Progress<'_>) + Send + Sync),
) -> Outcome<Vec<Rewrapped>> {
    telemetry::init(config.log_format, &config.log_filter);
    let (owner, development) = Box::pin(database(&config)).await?;
    let keyring = Keyring::new(&config.master_keys)?;
    Box::pin(key_use::verify_names(&owner, &keyring)).await?;
    let done = Box::pin(seal_anew(&owner, &keyring, pace, tell)).await;
    if let Some(development) = development {
        development.stop();
    }
    Ok(done?)
}

/// What was sealed in a form that is written no more first, then what is under older keys.
pub async fn seal_anew(
    owner: &PgConnectOptions,
    keyring: &Keyring,
    pace: Pace,
    tell: &mut (dyn FnMut(Progress<'_>) + Send + Sync),
) -> Result<Vec<Rewrapped>, Problem> {
    let entropy = Entropy::system();
    let converted = older_forms::convert(owner, keyring, &entropy, &older_forms(), pace, tell).await?;
    let mut all = rewrap::rewrap_at(owner, keyring, &entropy, &sealed(), pace, tell).await?;
    for before in converted {
        if let Some(it) = all.iter_mut().find(|it| it.column == before.column) {
            it.moved += before.moved;
            it.fault = before.fault.or(it.fault);
        }
    }
    Ok(all)
}

/// Opens some of what is sealed in each place.
pub async fn try_keys(config: Config) -> Outcome<Vec<Tried>> {
    let (owner, development) = Box::pin(database(&config)).await?;
    let keyring = Keyring::new(&config.master_keys)?;
    Box::pin(key_use::verify_names(&owner, &keyring)).await?;
    let done = rewrap::try_open(&owner, &keyring, &sealed(), SAMPLES).await;
    if let Some(development) = development {
        development.stop();
    }
    Ok(done?)
}

/// Gives up what is sealed under a master key that is lost; whether the database knew it.
pub async fn forget_master_key(config: Config, id: &str) -> Outcome<bool> {
    telemetry::init(config.log_format, &config.log_filter);
    let (owner, development) = Box::pin(database(&config)).await?;
    let known = key_use::forget(&owner, id).await;
    if let Some(development) = development {
        development.stop();
    }
    Ok(known?)
}

/// Runs a command of an operator on the platform, beside the programs that serve and work. The second argument of the
/// command is the owner's connection.
pub async fn command(config: Config, run: impl AsyncFnOnce(Arc<Platform>, &PgConnectOptions) -> Outcome) -> Outcome {
    let (owner, development) = Box::pin(database(&config)).await?;
    let platform = Box::pin(platform(config, &owner, Clock::System)).await?;
    let done = Box::pin(run(platform.clone(), &owner)).await;
    platform.wind_up().await;
    if let Some(development) = development {
        development.stop();
    }
    done
}

/// Serves until a signal, then lets running requests and jobs finish. In development it starts the database,
/// migrates and seeds first.
pub async fn serve(config: Config, workers: bool) -> Outcome {
    Box::pin(run(config, true, workers)).await
}

/// Runs the jobs until a signal.
pub async fn worker(config: Config) -> Outcome {
    Box::pin(run(config, false, true)).await
}

async fn run(config: Config, serve: bool, work: bool) -> Outcome {
    telemetry::init(config.log_format, &config.log_filter);
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
    let stop = signal()?;
    let (owner, development) = Box::pin(own_database(&config)).await?;
    // only our own private database: somebody else's is migrated and filled when asked
    if development.is_some() {
        Box::pin(migrate::migrate(&owner, &config)).await?;
        Box::pin(seed::demo(&owner, &config, &Clock::System)).await?;
    }
    let grace = Duration::from_secs(config.shutdown_grace_seconds);
    let platform = Box::pin(platform(config, &owner, Clock::System)).await?;
    platform.reports.adopt_panics();
    platform.storage.prove().await?;
    let monitoring = match platform.config.monitoring.addr {
        Some(address) => {
            let (address, serving) = listen_to_monitoring(platform.clone(), address)?;
            tracing::info!(%address, "monitoring");
            Some(AbortOnDropHandle::new(tokio::spawn(serving)))
        }
        None => None,
    };
    let workers = if work { Some(Workers::start(platform.clone(), registry(), Settings::default())?) } else { None };
    // requests and jobs are told to end at the same moment, and share the time that they have for it
    let (told, stopping) = watch::channel(false);
    let stopped = move || {
        let mut stopping = stopping.clone();
        async move {
            let _ = stopping.wait_for(|told| *told).await;
        }
    };
    let signalled = async {
        stop.await;
        tracing::info!("stopping");
        told.send_replace(true);
    };
    let working = async {
        stopped().await;
        if let Some(workers) = workers {
            workers.stop(grace).await;
        }
    };
    let served = if serve {
        let (address, serving) = listen(platform.clone(), platform.config.listen_addr, stopped()).await?;
        if !platform.config.is_production() {
            welcome(address, &platform.config, development.is_some())?;
        }
        tracing::info!(%address, "serving");
        // a server that fails ends the jobs as well
        let serving = async {
            let served = serving.await;
            told.send_replace(true);
            served
        };
        tokio::select! {
            (served, ()) = async { tokio::join!(serving, working) } => served,
            never = async { signalled.await; std::future::pending().await } => never,
        }
    } else {
        tracing::info!("working");
        tokio::join!(signalled, working);
        Ok(())
    };
    // it is asked until the end
    drop(monitoring);
    platform.wind_up().await;
    if let Some(development) = development {
        development.stop();
    }
    Ok(served?)
}

/// Resolves at SIGTERM or Ctrl-C. Handlers are in place when this returns.
fn signal() -> Outcome<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Fills the database; refused in production.
pub async fn seed(config: Config, kind: SeedKind) -> Outcome {
    telemetry::init(config.log_format, &config.log_filter);
    let (owner, development) = Box::pin(database(&config)).await?;
    Box::pin(migrate::migrate(&owner, &config)).await?;
    let seeded = match kind {
        SeedKind::Demo => Box::pin(seed::demo(&owner, &config, &Clock::System)).await?,
        SeedKind::Scale(companies) => seed::scale(&owner, &config, &Clock::System, companies).await?,
    };
    tracing::info!(?seeded, "done");
    if let Some(development) = development {
        development.stop();
    }
    Ok(())
}

/// Makes a platform admin, and answers the link that they set their password with.
pub async fn create_admin(config: Config, email: &str, name: Option<&str>, locale: Locale) -> Outcome<Invitation> {
    let (owner, development) = Box::pin(database(&config)).await?;
    if development.is_some() {
        Box::pin(migrate::migrate(&owner, &config)).await?;
    }
    let tx = Db::as_owner(&owner).await?;
    let made = operator::create_admin(tx, &config, &Clock::System, email, name, locale).await;
    if let Some(development) = development {
        development.stop();
    }
    Ok(made?)
}

/// Takes the second factor of an account away; its address.
pub async fn reset_two_factor(config: Config, email: &str) -> Outcome<String> {
    let (owner, development) = Box::pin(database(&config)).await?;
    let tx = Db::as_owner(&owner).await?;
    let reset = operator::reset_two_factor(tx, &Clock::System, email).await;
    if let Some(development) = development {
        development.stop();
    }
    Ok(reset?)
}

/// What somebody who just started the program wants to know.
fn welcome(address: SocketAddr, config: &Config, demonstration: bool) -> Outcome {
    use std::io::Write;

    let base = format!("http://{address}");
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "\nHuntZen Care runs at {base}\n\n  API documentation   {base}/docs\n  OpenAPI document    {base}/openapi.json\n  Mailbox             {base}/dev/mail\n  Health              {base}/health/ready"
    )?;
    if demonstration {
        writeln!(out, "\nAccounts, all with the password {}:", config.demo_password.expose_secret())?;
        for (email, role) in seed::DEMO_ACCOUNTS {
            writeln!(out, "  {email:28} {role}")?;
        }
    }
    writeln!(out, "\nStop with Ctrl-C; the data stays in {}.", config.data_dir.display())?;
    out.flush()?;
    Ok(())
}
