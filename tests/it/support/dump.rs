//! A database as whoever steals a copy of it has it.

use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sqlx::{AssertSqlSafe, ConnectOptions};

use super::TestApp;

impl TestApp {
    /// What `pg_dump` writes of the application's database; where the server's packages have none, every row as text.
    pub async fn dump(&self) -> String {
        self.dump_as(None).await
    }

    /// The same, as the role that backups are made by.
    pub async fn dump_as_backup(&self) -> String {
        self.dump_as(Some("huntzen_backup")).await
    }

    async fn dump_as(&self, role: Option<&str>) -> String {
        let Some(program) = program() else { return self.rows().await };
        let at = self.options();
        let host = at.get_socket().map_or_else(|| at.get_host().to_owned(), |socket| socket.display().to_string());
        // sqlx says more than libpq knows
        let mut url = at.to_url_lossy();
        url.query_pairs_mut().clear().append_pair("host", &host);
        let done = Command::new(program)
            .args(["--inserts", "--dbname", url.as_str()])
            .args(role.map(|role| format!("--role={role}")))
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).into_owned()
    }

    async fn rows(&self) -> String {
        let tables: Vec<String> = sqlx::query_scalar(
            "SELECT format('%I.%I', table_schema, table_name) FROM information_schema.tables
             WHERE table_schema IN ('app', 'auth', 'stats', 'apalis', 'migrate') AND table_type = 'BASE TABLE'",
        )
        .fetch_all(self.db())
        .await
        .unwrap();
        let mut dump = String::new();
        for table in tables {
            let rows: Vec<String> = sqlx::query_scalar(AssertSqlSafe(format!("SELECT t::text FROM {table} t")))
                .fetch_all(self.db())
                .await
                .unwrap();
            dump.extend([table, rows.join("\n")]);
        }
        dump
    }
}

/// A client program of PostgreSQL: the newest one of the system's, or that of the PATH.
pub fn tool(name: &str) -> PathBuf {
    find(name)
        .unwrap_or_else(|| panic!("{name} is missing: install PostgreSQL's client programs (tools/install postgresql)"))
}

fn program() -> Option<PathBuf> {
    find("pg_dump")
}

fn find(name: &str) -> Option<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|version| Some(version.ok()?.path().join("bin").join(name)))
        .filter(|path| path.exists())
        .collect();
    found.sort_by_key(|path| {
        let version = path.ancestors().nth(2).and_then(Path::file_name).map(|it| it.to_string_lossy().into_owned());
        version.and_then(|it| it.parse::<u32>().ok())
    });
    let on_path = || Command::new(name).arg("--version").output().ok().map(|_| PathBuf::from(name));
    found.pop().or_else(on_path)
}

/// The forms in which a text may stand in a dump.
pub fn forms(text: &str) -> [String; 4] {
    [text.to_owned(), hex::encode(text), STANDARD.encode(text), hex::encode(STANDARD.encode(text))]
}
