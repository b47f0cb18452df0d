//! The command line: what can be asked of the program, and one call for each.

mod audit;
mod keys;
mod privacy;

use std::error::Error;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::app;
use crate::platform::config::Config;
use crate::platform::locale::Locale;

type Outcome = Result<(), Box<dyn Error + Send + Sync>>;

const HEALTH_TIMEOUT: Duration = Duration::from_secs(3);

/// HuntZen Care: the online-care platform that companies offer their employees.
///
/// Settings are environment variables; .env.example lists them. In development none has to be set.
#[derive(Debug, Parser)]
#[command(version, about, long_about)]
pub struct Cli {
    /// Without a command: `serve`
    #[command(subcommand)]
    pub command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the API, and do the queued work. In development: start the database, migrate, seed
    Serve(Serve),
    /// Do the queued work (mail, reactions, exports, schedules) without serving
    Worker,
    /// Bring the database to this version: roles, tables, policies. Needs the owner's `DATABASE_URL`
    Migrate,
    /// Fill the database with data to try or to measure
    Seed(Seed),
    /// The master keys that secrets are sealed under, and the keys that sign access tokens
    Keys {
        #[command(subcommand)]
        command: keys::KeysCommand,
    },
    /// What only the operator does, as the owner of the database
    Admin {
        #[command(subcommand)]
        command: AdminCommand,
    },
    /// Print the `OpenAPI` document
    Openapi(Openapi),
    /// Verify the audit log, and print what to keep of it
    Audit {
        #[command(subcommand)]
        command: audit::AuditCommand,
    },
    /// The erasures that were carried out: kept outside of the backups, and replayed after a restore
    Privacy {
        #[command(subcommand)]
        command: privacy::PrivacyCommand,
    },
    /// Look at the settings
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Ask the program that runs on this machine whether it is ready; fails if it is not
    Health,
}

#[derive(Debug, Default, Args)]
pub struct Serve {
    /// Leave the queued work to `huntzen worker`
    #[arg(long)]
    pub no_worker: bool,
}

#[derive(Debug, Args)]
pub struct Seed {
    /// Two companies with their people and a year of history; the default
    #[arg(long, conflicts_with = "scale")]
    pub demo: bool,
    /// Data to measure with: N times a thousandth of the full size (1000 companies, a million consultations)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub scale: Option<u32>,
}

#[derive(Debug, Args)]
pub struct Openapi {
    /// As YAML instead of JSON
    #[arg(long)]
    pub yaml: bool,
}

#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Check every setting and report all mistakes at once
    Check,
}

#[derive(Debug, Subcommand)]
pub enum AdminCommand {
    /// Make a platform admin, and print the link with which they set their password, once, within seven days. For one
    /// who has not set it yet: another link in the place of the one before
    Create(NewAdmin),
    /// Take a lost second factor away, after having recognised its person by other means; they are told by mail
    ResetTwoFactor {
        /// The address of the account
        email: String,
    },
}

#[derive(Debug, Args)]
pub struct NewAdmin {
    /// The address that they log in with
    #[arg(long)]
    pub email: String,
    /// How they are called; the part of the address before the @ unless said
    #[arg(long)]
    pub name: Option<String>,
    /// The language that they are written to in: fr or en
    #[arg(long, default_value = "fr", value_parser = locale)]
    pub locale: Locale,
}

fn locale(text: &str) -> Result<Locale, String> {
    Locale::ALL.into_iter().find(|it| it.as_str() == text).ok_or_else(|| "fr or en is expected".into())
}

/// What `seed` makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeedKind {
    Demo,
    Scale(u32),
}

/// Does what was asked.
pub async fn run(cli: Cli) -> Outcome {
    match cli.command.unwrap_or(Command::Serve(Serve::default())) {
        Command::Serve(Serve { no_worker }) => Box::pin(app::serve(Config::from_process_env()?, !no_worker)).await,
        Command::Worker => Box::pin(app::worker(Config::from_process_env()?)).await,
        Command::Migrate => app::migrate(Config::from_process_env()?).await,
        Command::Seed(Seed { scale, .. }) => {
            let kind = scale.map_or(SeedKind::Demo, SeedKind::Scale);
            app::seed(Config::from_process_env()?, kind).await
        }
        Command::Keys { command } => Box::pin(keys::run(command)).await,
        Command::Admin { command: AdminCommand::Create(NewAdmin { email, name, locale }) } => {
            let made = app::create_admin(Config::from_process_env()?, &email, name.as_deref(), locale).await?;
            let earlier = if made.is_another { "The link before this one does not work any more. " } else { "" };
            print(&format!(
                "{earlier}{} becomes a platform admin with this link, once, until {}:\n{}",
                made.email,
                made.expires_at.format("%Y-%m-%d %H:%M UTC"),
                made.link
            ))
        }
        Command::Admin { command: AdminCommand::ResetTwoFactor { email } } => {
            let email = app::reset_two_factor(Config::from_process_env()?, &email).await?;
            print(&format!("{email} logs in with the password alone; every session was closed."))
        }
        Command::Openapi(Openapi { yaml }) => {
            let document = app::openapi()?;
            let text =
                if yaml { serde_yaml_ng::to_string(&document)? } else { serde_json::to_string_pretty(&document)? };
            print(text.trim_end())
        }
        Command::Audit { command } => Box::pin(audit::run(command)).await,
        Command::Privacy { command } => Box::pin(privacy::run(command)).await,
        Command::Config { command: ConfigCommand::Check } => {
            let config = Config::from_process_env()?;
            print(&format!(
                "The settings are fine for {}.",
                if config.is_production() { "production" } else { "development" }
            ))?;
            config.warnings().into_iter().try_for_each(|warning| print(&format!("Warning: {warning}.")))
        }
        Command::Health => {
            let config = Config::from_process_env()?;
            // a worker has no other
            let address = config.monitoring.addr.unwrap_or(config.listen_addr);
            tokio::task::spawn_blocking(move || health(address)).await?
        }
    }
}

fn print(text: &str) -> Outcome {
    let mut out = std::io::stdout();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        // the reader has seen enough
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// An error and what it came from, on one line, without saying anything twice.
pub fn with_causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let words = cause.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        next = cause.source();
    }
    text
}

/// `GET /health/ready` of the program that listens on `address`.
fn health(address: SocketAddr) -> Outcome {
    let host = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    let address = SocketAddr::new(host, address.port());
    let mut stream = TcpStream::connect_timeout(&address, HEALTH_TIMEOUT)
        .map_err(|error| format!("nothing answers on {address}: {error}"))?;
    stream.set_read_timeout(Some(HEALTH_TIMEOUT))?;
    // in one piece: who answers to the first and closes would make the second an error
    stream
        .write_all(format!("GET /health/ready HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    // the status line is enough
    stream.take(1024).read_to_string(&mut answer)?;
    match answer.split_whitespace().nth(1) {
        Some("200") => print("ready"),
        Some(status) => Err(format!("not ready: status {status}").into()),
        None => Err(format!("{address} does not speak HTTP").into()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
        assert!(Cli::parse_from(["huntzen"]).command.is_none());
        assert!(Cli::try_parse_from(["huntzen", "seed", "--demo", "--scale", "3"]).is_err());
    }

    #[test]
    fn every_command_and_option_explains_itself() {
        fn explained(command: &clap::Command) {
            for option in command.get_arguments() {
                assert!(option.get_help().is_some(), "{} {}", command.get_name(), option.get_id());
            }
            for inner in command.get_subcommands() {
                assert!(inner.get_about().is_some(), "{}", inner.get_name());
                explained(inner);
            }
        }
        explained(&Cli::command());
    }

    #[test]
    fn health_tells_ready_from_not_ready() {
        for (status, ready) in [("200 OK", true), ("503 Service Unavailable", false)] {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let server = std::thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = [0; 512];
                let n = stream.read(&mut request).unwrap();
                assert!(request[..n].starts_with(b"GET /health/ready "));
                write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").unwrap();
            });
            assert_eq!(health(address).is_ok(), ready);
            server.join().unwrap();
        }
    }
}
