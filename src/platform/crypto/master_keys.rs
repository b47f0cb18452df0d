//! Where the master keys come from.
//!
//! They are asked for once, at the start, and stay in memory, which is wiped with them. [`MasterKeySource`] is all that a
//! place has to be: the environment, a file that its owner alone can read, or a program that asks a key service to open what
//! it wrapped. Whatever it answers is looked at in the same way.

use std::collections::HashSet;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

/// 32 random bytes hold about 30 different values.
const FEWEST_DIFFERENT: usize = 12;
const KEY_BYTES: usize = 32;
const LONGEST_FILE: u64 = 64 << 10;
/// A program that asks a key service has answered by then.
const PATIENCE: Duration = Duration::from_secs(10);

/// A name, and base64 of 32 bytes.
pub type MasterKey = (String, SecretString);

/// A place where master keys are kept.
pub trait MasterKeySource {
    /// `id:base64` of each, newest first, separated by commas or line breaks; lines that begin with `#` are left out. A
    /// fault never holds a part of a key.
    fn read(&self) -> Result<SecretString, String>;
}

/// A setting.
pub struct Environment(SecretString);

impl Environment {
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }
}

impl MasterKeySource for Environment {
    fn read(&self) -> Result<SecretString, String> {
        Ok(self.0.clone())
    }
}

/// A file: a secret of Docker or Kubernetes, a credential of systemd, what an agent of a key service writes.
pub struct KeyFile(PathBuf);

impl KeyFile {
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self(path.as_ref().to_owned())
    }
}

impl MasterKeySource for KeyFile {
    fn read(&self) -> Result<SecretString, String> {
        let mut file = File::open(&self.0).map_err(|error| format!("cannot be opened: {error}"))?;
        // of what was opened, whatever is put in its place meanwhile
        let about = file.metadata().map_err(|error| format!("cannot be looked at: {error}"))?;
        if !about.is_file() {
            return Err("is not a file".into());
        }
        let mode = about.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(format!("can be opened by others than its owner (mode {mode:o})"));
        }
        if about.uid() != 0 && about.uid() != rustix::process::geteuid().as_raw() {
            return Err("belongs to another user than the one who runs the program".into());
        }
        if about.len() > LONGEST_FILE {
            return Err("is larger than 64 KiB".into());
        }
        // never grown, which would leave copies behind
        let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(LONGEST_FILE).unwrap_or_default() + 1));
        let read = file.by_ref().take(LONGEST_FILE).read_to_end(&mut bytes);
        read.map_err(|error| format!("cannot be read: {error}"))?;
        let text = std::str::from_utf8(&bytes).map_err(|_| "is not text")?;
        Ok(text.into())
    }
}

/// A program that prints the keys: what a key service offers to open what it wrapped with (`aws kms decrypt`, `vault kv get`,
/// `gcloud kms decrypt`). It is run once, without a shell; nothing that it says is shown.
pub struct KeyCommand {
    line: String,
    patience: Duration,
}

impl KeyCommand {
    /// The program's whole path and what it is given, with blanks between them.
    pub fn new(line: &str) -> Self {
        Self { line: line.to_owned(), patience: PATIENCE }
    }
}

impl MasterKeySource for KeyCommand {
    fn read(&self) -> Result<SecretString, String> {
        let mut words = self.line.split_whitespace();
        let program = words.next().map(Path::new).filter(|it| it.is_absolute());
        let program = program.ok_or("does not begin with the whole path of a program")?;
        let mut child = Command::new(program)
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // whatever it starts ends with it
            .process_group(0)
            .spawn()
            .map_err(|error| format!("cannot be run: {error}"))?;
        let its = rustix::process::Pid::from_child(&child);
        let stop = move || _ = rustix::process::kill_process_group(its, rustix::process::Signal::KILL);
        let stdout = child.stdout.take().ok_or("cannot be heard")?;
        let (tell, told) = mpsc::channel();
        std::thread::spawn(move || {
            // never grown, which would leave copies behind
            let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(LONGEST_FILE).unwrap_or_default() + 2));
            let read = stdout.take(LONGEST_FILE + 1).read_to_end(&mut bytes);
            if bytes.len() as u64 > LONGEST_FILE {
                stop();
            }
            let ended = child.wait();
            let _ = tell.send(read.and(ended).map(|status| (bytes, status)));
        });
        let Ok(answer) = told.recv_timeout(self.patience) else {
            stop();
            return Err(format!("has not answered within {} seconds", self.patience.as_secs()));
        };
        let (bytes, status) = answer.map_err(|error| format!("cannot be heard: {error}"))?;
        if bytes.len() as u64 > LONGEST_FILE {
            return Err("says more than 64 KiB".into());
        }
        if !status.success() {
            return Err(format!("failed ({status}); run it by hand to see what it says"));
        }
        let text = std::str::from_utf8(&bytes).map_err(|_| "says something else than text")?;
        Ok(text.into())
    }
}

/// The keys of a source, newest first. `production`: weak ones are refused.
pub fn load(source: &dyn MasterKeySource, production: bool) -> Result<Vec<MasterKey>, String> {
    let text = source.read()?;
    let mut ids = HashSet::new();
    let mut keys = Vec::new();
    let lines = text.expose_secret().lines().map(str::trim).filter(|line| !line.starts_with('#'));
    for item in lines.flat_map(|line| line.split(',')).map(str::trim).filter(|item| !item.is_empty()) {
        let entry = keys.len() + 1;
        let (id, key) = item.split_once(':').ok_or_else(|| format!("entry {entry} has no name"))?;
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if id.is_empty() || id.len() > 64 || !id.chars().all(fits) {
            return Err(format!("entry {entry} has no usable name (letters, digits, - _ .)"));
        }
        if !ids.insert(id) {
            return Err(format!("{id:?} is there twice"));
        }
        let bytes = Zeroizing::new(STANDARD.decode(key).map_err(|_| format!("{id:?} is not base64"))?);
        if bytes.len() != KEY_BYTES {
            return Err(format!("{id:?} has {} bytes", bytes.len()));
        }
        if let Some(weakness) = weakness(&bytes).filter(|_| production) {
            return Err(format!("{id:?} {weakness}"));
        }
        keys.push((id.to_owned(), key.into()));
    }
    if keys.is_empty() { Err("holds no key".into()) } else { Ok(keys) }
}

/// Why a key is none, as far as its looks tell.
fn weakness(key: &[u8]) -> Option<&'static str> {
    let steps = key.iter().zip(key.iter().skip(1)).map(|(one, next)| next.wrapping_sub(*one));
    if key.iter().collect::<HashSet<_>>().len() < FEWEST_DIFFERENT || steps.collect::<HashSet<_>>().len() < 3 {
        Some("is not random")
    } else if key.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ') {
        Some("is a text, not random bytes")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn key(seed: u8) -> String {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &[seed]);
        STANDARD.encode(digest)
    }

    fn file(text: &str, mode: u32) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file.as_file().set_permissions(std::fs::Permissions::from_mode(mode)).unwrap();
        file
    }

    fn of_file(file: &tempfile::NamedTempFile) -> Result<Vec<MasterKey>, String> {
        load(&KeyFile::new(file.path()), true)
    }

    #[test]
    fn keys_come_newest_first_from_the_environment_or_a_file() {
        let (new, old) = (key(1), key(2));
        let line = format!("m2:{new}, m1:{old}");
        let lines = format!("# since June\nm2:{new}\n\n# m0:gone\nm1:{old}\n");
        for found in [load(&Environment::new(&line), true), of_file(&file(&line, 0o400)), of_file(&file(&lines, 0o600))]
        {
            let found = found.unwrap();
            assert_eq!((found[0].0.as_str(), found[0].1.expose_secret()), ("m2", new.as_str()));
            assert_eq!((found[1].0.as_str(), found[1].1.expose_secret()), ("m1", old.as_str()));
            assert_eq!(found.len(), 2);
        }
    }

    #[test]
    fn a_file_that_others_can_open_or_that_is_none_is_refused() {
        let line = format!("m1:{}", key(1));
        for mode in [0o640, 0o604, 0o444, 0o660, 0o601, 0o700 | 0o020] {
            assert!(of_file(&file(&line, mode)).unwrap_err().contains("others than its owner"), "{mode:o}");
        }
        let folder = tempfile::tempdir().unwrap();
        let absent = folder.path().join("absent");
        for (path, expected) in [(folder.path(), "is not a file"), (&absent, "cannot be opened")] {
            assert!(load(&KeyFile::new(path), true).unwrap_err().contains(expected), "{}", path.display());
        }
        let long = format!("#{}\n{line}", "x".repeat(64 << 10));
        assert_eq!(of_file(&file(&long, 0o400)).unwrap_err(), "is larger than 64 KiB");
        let mut binary = file("", 0o600);
        binary.write_all(&[0xff, 0xfe]).unwrap();
        assert_eq!(of_file(&binary).unwrap_err(), "is not text");
        for empty in ["", "\n", "# m1:\n", ","] {
            assert_eq!(of_file(&file(empty, 0o400)).unwrap_err(), "holds no key", "{empty:?}");
        }
    }

    /// A program of some lines. The shell that reads them is the program, which nobody else writes to meanwhile.
    fn of_script(lines: &str, patience: Duration) -> Result<Vec<MasterKey>, String> {
        let script = file(lines, 0o600);
        load(&KeyCommand { line: format!("/bin/sh {} one", script.path().display()), patience }, true)
    }

    #[test]
    fn a_program_prints_the_keys_and_is_no_line_of_a_shell() {
        let (new, old) = (key(1), key(2));
        let script = format!("test \"$1\" = one || exit 1\necho '# of the service'\necho m2:{new}\necho m1:{old}\n");
        let found = of_script(&script, PATIENCE).unwrap();
        assert_eq!(found.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(), ["m2", "m1"]);
        assert_eq!(found[0].1.expose_secret(), new);
        // it says what it is given, as it is given
        let said = load(&KeyCommand::new(&format!("/bin/echo m1:{new},$(id)")), true).unwrap_err();
        assert_eq!(said, "entry 2 has no name");
        for relative in ["echo m1", "./echo", "~/keys"] {
            assert!(load(&KeyCommand::new(relative), true).unwrap_err().contains("whole path"), "{relative}");
        }
        assert!(load(&KeyCommand::new("/nowhere/keys"), true).unwrap_err().starts_with("cannot be run"));
    }

    #[test]
    fn a_program_that_fails_says_too_much_or_no_text_gives_no_key_and_shows_none() {
        let good = format!("m1:{}", key(1));
        for (script, expected) in [
            (format!("echo {good}\necho {good} >&2\nexit 3\n"), "exit status: 3"),
            (format!("echo {good}\nkill -9 $$\n"), "signal: 9"),
            (format!("echo {good}\nexec cat /dev/zero\n"), "says more than 64 KiB"),
            ("printf '\\377'\n".to_owned(), "something else than text"),
            ("exit 0\n".to_owned(), "holds no key"),
        ] {
            let fault = of_script(&script, PATIENCE).unwrap_err();
            assert!(fault.contains(expected) && !fault.contains(&good[3..]), "{fault}");
        }
    }

    #[test]
    fn a_program_that_hangs_is_ended_with_all_that_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let started = folder.path().join("started");
        // another one keeps what it says open
        let script = format!("sleep 600 &\necho $! > {0}.new\nmv {0}.new {0}\nwait\n", started.display());
        let begun = std::time::Instant::now();
        let fault = of_script(&script, Duration::from_secs(3)).unwrap_err();
        assert_eq!(fault, "has not answered within 3 seconds");
        assert!(begun.elapsed() < Duration::from_mins(1));
        let other: u32 = std::fs::read_to_string(&started).unwrap().trim().parse().unwrap();
        let is_there = || {
            let about = std::fs::read_to_string(format!("/proc/{other}/stat")).unwrap_or_default();
            about.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with('Z'))
        };
        while is_there() {
            assert!(begun.elapsed() < Duration::from_mins(1), "it is there");
            std::thread::yield_now();
        }
    }

    #[test]
    fn weak_keys_are_refused_in_production_and_no_fault_shows_one() {
        let counting: Vec<u8> = (0..32).collect();
        for (bytes, expected) in [
            (vec![0; 32], "is not random"),
            (b"ab".repeat(16), "is not random"),
            (counting, "is not random"),
            (b"0123456789abcdef0123456789abcdef".to_vec(), "is a text"),
            (b"correct horse battery staple, no".to_vec(), "is a text"),
        ] {
            let text = format!("m1:{}", STANDARD.encode(&bytes));
            let fault = load(&Environment::new(&text), true).unwrap_err();
            assert!(fault.contains(expected) && !fault.contains(&text[3..]), "{fault}");
            assert!(load(&Environment::new(&text), false).is_ok());
        }
        let good = key(1);
        for (text, expected) in [
            (good.clone(), "entry 1 has no name"),
            (format!(":{good}"), "no usable name"),
            (format!("a b:{good}"), "no usable name"),
            (format!("m1:{good},m1:{}", key(2)), "is there twice"),
            (format!("m1:{}", &good[..40]), "has 30 bytes"),
            ("m1:?".to_owned(), "is not base64"),
        ] {
            for production in [true, false] {
                let fault = load(&Environment::new(&text), production).unwrap_err();
                assert!(fault.contains(expected) && !fault.contains(&good), "{fault}");
            }
        }
    }
}
