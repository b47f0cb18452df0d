//! Node programs of `tests/tools`: installed once, when missing.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The folder of the tools, with their packages installed.
pub fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tools");
        let package = std::fs::read_to_string(folder.join("package.json")).unwrap();
        let package: serde_json::Value = serde_json::from_str(&package).unwrap();
        let mut wanted = package["dependencies"].as_object().unwrap().keys();
        if !wanted.all(|name| folder.join("node_modules").join(name).exists()) {
            let done = Command::new("npm")
                .args(["ci", "--no-audit", "--no-fund", "--loglevel=error"])
                .current_dir(&folder)
                .status()
                .expect("npm is needed: install Node.js 20 or newer");
            assert!(done.success(), "npm ci failed in tests/tools");
        }
        folder
    })
}

/// The examples of the documentation, checked and compiled into `node_modules/.examples`.
pub fn examples() {
    static COMPILED: OnceLock<()> = OnceLock::new();
    COMPILED.get_or_init(|| {
        let tools = folder();
        let compiled = Command::new(tools.join("node_modules/.bin/tsc")).arg("-p").arg(tools).output().unwrap();
        assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stdout));
    });
}

/// Schemathesis of `tools/install`, installed once, when missing.
pub fn schemathesis() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = root.join(".huntzen/venv/bin/schemathesis");
    if !program.exists() {
        let done = Command::new(root.join("tools/install")).arg("schemathesis").status().expect("bash is needed");
        assert!(done.success(), "tools/install schemathesis failed");
    }
    program
}

/// `redis-server`, installed once, when missing.
pub fn redis() -> &'static str {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        if Command::new("redis-server").arg("--version").output().is_err() {
            let install = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/install");
            let done = Command::new(install).arg("redis").status().expect("bash is needed");
            assert!(done.success(), "tools/install redis failed");
        }
    });
    "redis-server"
}

/// A file of `tests/tools`.
pub fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tools").join(name)
}

/// Python with the packages that a second implementation of slots needs, installed once, when missing.
pub fn python() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = root.join(".huntzen/venv/bin/python");
    let has_all =
        || Command::new(&program).args(["-c", "import dateutil, tzdata"]).output().is_ok_and(|it| it.status.success());
    if !has_all() {
        let done = Command::new(root.join("tools/install")).arg("slots").status().expect("bash is needed");
        assert!(done.success() && has_all(), "tools/install slots failed");
    }
    program
}

/// Python with pandas; `LibreOffice` is there as well, as `soffice`. Installed once, when missing.
pub fn spreadsheets() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = root.join(".huntzen/venv/bin/python");
    let has_all = || {
        let runs = |command: &mut Command| command.output().is_ok_and(|it| it.status.success());
        runs(Command::new(&program).args(["-c", "import pandas"])) && runs(Command::new("soffice").arg("--version"))
    };
    if !has_all() {
        let done = Command::new(root.join("tools/install")).arg("spreadsheets").status().expect("bash is needed");
        assert!(
            done.success() && has_all(),
            "tools/install spreadsheets failed: pandas and LibreOffice Calc are needed"
        );
    }
    program
}

/// Python with moto, installed once, when missing.
pub fn moto() -> &'static Path {
    static INSTALLED: OnceLock<PathBuf> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let done = Command::new(root.join("tools/install")).arg("moto").status().expect("bash is needed");
        assert!(done.success(), "tools/install moto failed");
        root.join(".huntzen/venv/bin/python")
    })
}

/// Runs `test/vectors.mjs` of web/private-journal, built once, when missing, with `input`; what it printed.
pub fn private_journal(args: &[&str], input: &str) -> String {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let package = BUILT.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let done = Command::new(root.join("tools/install")).arg("journal").status().expect("bash is needed");
        assert!(done.success(), "tools/install journal failed");
        root.join("web/private-journal")
    });
    let said = pipe(Command::new("node").arg(package.join("test/vectors.mjs")).args(args), input.as_bytes());
    said.unwrap_or_else(|complaint| panic!("vectors.mjs: {complaint}"))
}

/// What the `icalendar` package of Python, installed once when missing, understands of a calendar file.
pub fn icalendar(file: &[u8]) -> serde_json::Value {
    static INSTALLED: OnceLock<PathBuf> = OnceLock::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = INSTALLED.get_or_init(|| {
        let done = Command::new(root.join("tools/install")).arg("icalendar").status().expect("bash is needed");
        assert!(done.success(), "tools/install icalendar failed");
        root.join(".huntzen/venv/bin/python")
    });
    let said = pipe(Command::new(python).arg(root.join("tests/tools/parse-ics.py")), file);
    serde_json::from_str(&said.unwrap_or_else(|complaint| panic!("icalendar: {complaint}"))).unwrap()
}

/// What two readers of RSS, installed once when missing, understand of a feed. Panics with what they, or the schema of RSS 2.0,
/// complain of.
pub fn feed(file: &[u8]) -> serde_json::Value {
    try_feed(file).unwrap_or_else(|complaint| panic!("the feed: {complaint}"))
}

/// The same, or their complaint.
pub fn try_feed(file: &[u8]) -> Result<serde_json::Value, String> {
    static INSTALLED: OnceLock<PathBuf> = OnceLock::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = INSTALLED.get_or_init(|| {
        let done = Command::new(root.join("tools/install")).arg("feeds").status().expect("bash is needed");
        assert!(
            done.success(),
            "tools/install feeds failed: feedparser, rss-parser and xmllint (libxml2-utils) are needed"
        );
        root.join(".huntzen/venv/bin/python")
    });
    let said = pipe(Command::new(python).arg(root.join("tests/tools/check-feed.py")), file)?;
    Ok(serde_json::from_str(&said).unwrap())
}

/// Runs `promtool` of Prometheus, installed once when missing, in a folder; what it said, and whether it agrees.
pub fn promtool(args: &[&str], folder: &Path, input: &[u8]) -> (bool, String) {
    use std::io::Write;
    static INSTALLED: OnceLock<PathBuf> = OnceLock::new();
    let program = INSTALLED.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let done = Command::new(root.join("tools/install")).arg("promtool").status().expect("bash is needed");
        assert!(done.success(), "tools/install promtool failed: promtool (Debian's package prometheus) is needed");
        let own = root.join(".huntzen/bin/promtool");
        if own.exists() { own } else { PathBuf::from("promtool") }
    });
    let mut child = Command::new(program)
        .args(args)
        .current_dir(folder)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // it may complain before it has read everything
    let _ = child.stdin.take().unwrap().write_all(input);
    let done = child.wait_with_output().unwrap();
    let said = [done.stdout, done.stderr].concat();
    (done.status.success(), String::from_utf8_lossy(&said).into_owned())
}

/// A program of the system, such as those that `tools/install browser` brings.
#[allow(clippy::disallowed_methods)] // where the system looks for programs
pub fn program(name: &str) -> PathBuf {
    static INSTALLED: OnceLock<bool> = OnceLock::new();
    let find = || {
        let on_path = std::env::var_os("PATH").into_iter();
        let folders: Vec<_> = on_path.flat_map(|path| std::env::split_paths(&path).collect::<Vec<_>>()).collect();
        folders.into_iter().map(|folder| folder.join(name)).find(|path| path.exists())
    };
    find().unwrap_or_else(|| {
        INSTALLED.get_or_init(|| {
            let root = Path::new(env!("CARGO_MANIFEST_DIR"));
            Command::new(root.join("tools/install")).arg("browser").status().is_ok_and(|done| done.success())
        });
        find().unwrap_or_else(|| panic!("{name} is needed: tools/install browser brings it"))
    })
}

/// How long or large a test is made, from the environment; what is no such value is a mistake.
#[allow(clippy::disallowed_methods)] // the program's own settings come from its configuration
pub fn setting<T: std::str::FromStr<Err: std::fmt::Debug>>(name: &str, default: T) -> T {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|error| panic!("{name}={text}: {error:?}")))
}

/// Runs a tool with `input`; what it printed. Panics with its complaint where it fails.
pub fn run(script: &str, args: &[&str], input: &[u8]) -> String {
    try_run(script, args, input).unwrap_or_else(|complaint| panic!("{script}: {complaint}"))
}

/// Runs a tool with `input`; what it printed, or its complaint.
pub fn try_run(script: &str, args: &[&str], input: &[u8]) -> Result<String, String> {
    pipe(Command::new("node").arg(folder().join(script)).args(args), input)
}

fn pipe(command: &mut Command, input: &[u8]) -> Result<String, String> {
    use std::io::Write;
    let mut child = command
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("the tool is needed");
    child.stdin.take().unwrap().write_all(input).unwrap();
    let done = child.wait_with_output().unwrap();
    if done.status.success() {
        Ok(String::from_utf8(done.stdout).unwrap())
    } else {
        Err(String::from_utf8_lossy(&done.stderr).into_owned())
    }
}
