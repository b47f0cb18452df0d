//! The floor: pgbench, prepared statements, as the same role of the same database.

use std::io::Write;
use std::process::Command;

use huntzen::platform::db::DbRole;
use tempfile::{NamedTempFile, TempDir};

use super::database::Database;
use super::measure::{Sample, percentile};
use crate::Outcome;

pub struct Floor {
    script: NamedTempFile,
    variables: Vec<(&'static str, String)>,
    connection: Vec<(&'static str, String)>,
    connections: u32,
}

impl Floor {
    pub fn new(
        database: &Database,
        role: DbRole,
        script: &str,
        variables: &[(&'static str, &'static str)],
        connections: u32,
    ) -> Outcome<Self> {
        let mut file = NamedTempFile::new()?;
        file.write_all(script.as_bytes())?;
        let variables = variables.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        Ok(Self { script: file, variables, connection: database.libpq(role), connections })
    }

    /// Gives a variable of the script another value.
    pub fn set(&mut self, name: &'static str, value: &impl ToString) {
        self.variables.retain(|(it, _)| *it != name);
        self.variables.push((name, value.to_string()));
    }

    /// Runs pgbench for so long. One transaction in five is logged: enough for the percentiles, and cheap.
    #[allow(clippy::cast_precision_loss)]
    pub fn run(&self, seconds: u32) -> Outcome<Sample> {
        let logs = TempDir::new()?;
        let output = Command::new("pgbench")
            .args(["--no-vacuum", "--protocol=prepared", "--jobs=2", "--log", "--sampling-rate=0.2"])
            .arg(format!("--client={}", self.connections))
            .arg(format!("--time={seconds}"))
            .args(self.variables.iter().map(|(name, value)| format!("--define={name}={value}")))
            .arg("--file")
            .arg(self.script.path())
            .envs(self.connection.iter().map(|(name, value)| (name, value)))
            .current_dir(logs.path())
            .output()
            .map_err(|error| format!("pgbench: {error}; Debian has it in postgresql-contrib"))?;
        let told = String::from_utf8_lossy(&output.stdout);
        let value = |label: &str| {
            let line = told.lines().find_map(|line| line.strip_prefix(label))?;
            line.trim().split([' ', '/']).next()?.parse::<f64>().ok()
        };
        let failed = value("number of failed transactions:").unwrap_or(0.0);
        let (Some(rate), true, true) = (value("tps = "), output.status.success(), failed == 0.0) else {
            return Err(format!("pgbench failed: {told}{}", String::from_utf8_lossy(&output.stderr)).into());
        };
        let mut times = Vec::new();
        for log in std::fs::read_dir(logs.path())? {
            let log = std::fs::read_to_string(log?.path())?;
            // client, transaction, microseconds, …
            times.extend(log.lines().filter_map(|line| line.split(' ').nth(2)?.parse::<u32>().ok()));
        }
        times.sort_unstable();
        Ok(Sample {
            rate,
            p50: percentile(&times, 50),
            p99: percentile(&times, 99),
            count: times.len() as u64 * 5,
            ..Sample::default()
        })
    }
}
