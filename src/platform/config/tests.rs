use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::os::unix::fs::PermissionsExt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::*;

fn read(pairs: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    let vars: HashMap<_, _> = pairs.iter().copied().collect();
    Config::from_env(|name| vars.get(name).map(|&text| text.to_owned()))
}

fn faults(pairs: &[(&str, &str)]) -> Vec<(&'static str, String)> {
    read(pairs).unwrap_err().0.into_iter().map(|e| (e.variable, e.fault)).collect()
}

/// What the parser says of one variable, in development.
fn fault(name: &str, value: &str) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    read(&[("DATA_DIR", folder.path().to_str().unwrap()), (name, value)]).err().map(|e| e.0[0].fault.clone())
}

fn random_key(seed: u8) -> String {
    STANDARD.encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &[seed]))
}

fn jwt_key() -> String {
    let folder = tempfile::tempdir().unwrap();
    OwnSecrets::load_or_make(folder.path()).unwrap().jwt_keys()[0].pkcs8.expose_secret().to_owned()
}

fn production<'a>(master: &'a str, jwt: &'a str, secret: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        ("APP_ENV", "production"),
        ("PUBLIC_URL", "https://care.example.org"),
        ("DATABASE_URL", "postgres://owner:pw@db/huntzen"),
        ("DATABASE_ROLES_SECRET", secret),
        ("MASTER_KEYS", master),
        ("JWT_KEYS", jwt),
        ("SMTP_URL", "smtps://user:pw@mail.example.org"),
        ("MAIL_FROM", "Care <no-reply@care.example.org>"),
        ("STORAGE_URL", "file:/var/lib/huntzen/files"),
    ]
}

#[test]
fn development_needs_nothing_and_keeps_its_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("data");
    let vars = [("DATA_DIR", data_dir.to_str().unwrap())];
    let (first, second) = (read(&vars).unwrap(), read(&vars).unwrap());
    assert_eq!(first.database_roles_secret.expose_secret(), second.database_roles_secret.expose_secret());
    assert_eq!(first.jwt_keys[0].pkcs8.expose_secret(), second.jwt_keys[0].pkcs8.expose_secret());
    assert_eq!(first.listen_addr.to_string(), "127.0.0.1:3000");
    assert!(matches!(&first.storage_url, StorageUrl::Folder(it) if *it == data_dir.join("files")));
    assert!(first.smtp_url.expose_secret().starts_with("file:///"));
    assert!(first.database_options().is_none());
    crate::platform::auth::tokens::Tokens::new(&first).unwrap();

    let mode = std::fs::metadata(data_dir.join("secrets.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn all_mistakes_are_reported_at_once_and_leave_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("data");
    let errors = read(&[
        ("DATA_DIR", data_dir.to_str().unwrap()),
        ("LISTEN_ADDR", "here"),
        ("DATABASE_POOL_SIZE", "0"),
        ("ACCESS_TOKEN_TTL", "1d"),
        ("TRUSTED_PROXIES", "10.0.0.0/8,nowhere"),
        ("LOG_FORMAT", "xml"),
    ])
    .unwrap_err();
    let names: Vec<_> = errors.0.iter().map(|e| e.variable).collect();
    assert_eq!(names, ["LISTEN_ADDR", "DATABASE_POOL_SIZE", "TRUSTED_PROXIES", "ACCESS_TOKEN_TTL", "LOG_FORMAT"]);
    assert_eq!(errors.to_string().lines().count(), 6, "{errors}");
    assert!(errors.to_string().contains("LOG_FORMAT: is \"xml\"; expected json or pretty"));
    assert!(!data_dir.exists());
}

#[test]
fn production_starts_with_everything_set() {
    let (master, jwt, secret) = (format!("m1:{}", random_key(1)), format!("k1:{}", jwt_key()), random_key(2));
    let config = read(&production(&master, &jwt, &secret)).unwrap();
    assert!(config.is_production());
    assert_eq!(config.log_format, LogFormat::Json);
    assert_eq!(config.database_options().unwrap().get_database(), Some("huntzen"));
}

#[test]
fn production_refuses_to_start_on_nothing() {
    let names: BTreeSet<_> = faults(&[("APP_ENV", "production")]).into_iter().map(|(name, _)| name).collect();
    let expected = [
        "DATABASE_ROLES_SECRET",
        "DATABASE_URL",
        "JWT_KEYS",
        "MAIL_FROM",
        "MASTER_KEYS",
        "PUBLIC_URL",
        "SMTP_URL",
        "STORAGE_URL",
    ];
    assert_eq!(names.into_iter().collect::<Vec<_>>(), expected);
}

#[test]
fn production_refuses_what_is_weak_or_open() {
    let (master, jwt, secret) = (format!("m1:{}", random_key(1)), format!("k1:{}", jwt_key()), random_key(2));
    let zeros = format!("m1:{}", STANDARD.encode([0; 32]));
    let same = random_key(1);
    for (name, value, expected) in [
        ("DATABASE_ROLES_SECRET", "too-short", "too short"),
        ("DATABASE_ROLES_SECRET", "abababababababababababababababababababab", "not random"),
        ("DATABASE_ROLES_SECRET", "please-change-me-0a9b8c7d6e5f4g3h2i1j", "example"),
        ("DATABASE_ROLES_SECRET", &same, "used twice"),
        ("METRICS_TOKEN", &secret, "used twice"),
        ("METRICS_TOKEN", "short", "too short"),
        ("MASTER_KEYS", &zeros, "not random"),
        ("PUBLIC_URL", "http://care.example.org", "not https"),
        ("PUBLIC_URL", "https://localhost", "this machine"),
        ("SMTP_URL", "file:/tmp/mail", "files"),
        ("CORS_ORIGINS", "http://care.example.org", "not https"),
    ] {
        let mut vars = production(&master, &jwt, &secret);
        vars.retain(|(other, _)| *other != name);
        vars.push((name, value));
        let found = faults(&vars);
        assert!(found.len() == 1 && found[0].1.contains(expected), "{name}={value}: {found:?}");
    }
}

#[test]
fn video_and_calls_have_secrets_of_their_own() {
    let (master, jwt, secret) = (format!("m1:{}", random_key(1)), format!("k1:{}", jwt_key()), random_key(2));
    let (other, third) = (random_key(3), random_key(4));
    let both = format!("{third},{secret}");
    for (video, relays, expected) in [
        (&other, &third, None),
        (&secret, &third, Some("JITSI_APP_SECRET")),
        (&other, &other, Some("TURN_SECRET")),
        (&other, &both, Some("TURN_SECRET")),
    ] {
        let mut vars = production(&master, &jwt, &secret);
        vars.extend([
            ("JITSI_DOMAIN", "meet.example.org"),
            ("JITSI_APP_ID", "huntzen"),
            ("JITSI_APP_SECRET", video.as_str()),
            ("TURN_URLS", "turn:turn.example.org:3478"),
            ("TURN_SECRET", relays.as_str()),
        ]);
        assert_eq!(read(&vars).err().map(|errors| errors.0[0].variable), expected);
    }
}

#[test]
fn master_keys_come_from_the_environment_a_file_or_a_program_and_never_from_two_of_them() {
    let (master, jwt, secret) = (format!("m1:{}", random_key(1)), format!("k1:{}", jwt_key()), random_key(2));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    std::fs::write(&path, format!("m2:{}\nm1:{}\n", random_key(5), random_key(6))).unwrap();
    let file = ("MASTER_KEYS_FILE", path.to_str().unwrap());
    let mut vars = production(&master, &jwt, &secret);
    vars.retain(|(name, _)| *name != "MASTER_KEYS");
    vars.push(file);
    let allow = |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    allow(0o400);
    let keys = read(&vars).unwrap().master_keys;
    assert_eq!(keys.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(), ["m2", "m1"]);
    allow(0o640);
    let found = faults(&vars);
    assert!(found.len() == 1 && found[0].1.contains("others than its owner (mode 640)"), "{found:?}");
    allow(0o400);
    let mut both = production(&master, &jwt, &secret);
    both.push(file);
    assert_eq!(faults(&both), [("MASTER_KEYS_FILE", "is set beside MASTER_KEYS".to_owned())]);
    // what a program says is taken as the same, and looked at in the same way
    let says = format!("/bin/cat {}", path.display());
    let command = ("MASTER_KEYS_COMMAND", says.as_str());
    let mut of_program = production(&master, &jwt, &secret);
    of_program.retain(|(name, _)| *name != "MASTER_KEYS");
    of_program.push(command);
    assert_eq!(read(&of_program).unwrap().master_keys.len(), 2);
    of_program.push(file);
    assert_eq!(faults(&of_program), [("MASTER_KEYS_COMMAND", "is set beside MASTER_KEYS_FILE".to_owned())]);
    of_program.retain(|(name, _)| !name.starts_with("MASTER_KEYS"));
    of_program.push(("MASTER_KEYS_COMMAND", "/bin/false"));
    let found = faults(&of_program);
    assert!(found.len() == 1 && found[0].1.contains("exit status: 1"), "{found:?}");
    // a key of the file that serves for something else as well
    vars.retain(|(name, _)| *name != "DATABASE_ROLES_SECRET");
    let used = random_key(5);
    vars.push(("DATABASE_ROLES_SECRET", &used));
    assert_eq!(faults(&vars)[0].1, "holds a secret that is used twice");
}

#[test]
fn faults_do_not_show_secrets() {
    for name in [
        "DATABASE_ROLES_SECRET",
        "MASTER_KEYS",
        "JWT_KEYS",
        "SMTP_URL",
        "REDIS_URL",
        "DATABASE_URL",
        "METRICS_TOKEN",
        "SENTRY_DSN",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "OTEL_EXPORTER_OTLP_HEADERS",
    ] {
        let errors = read(&[("APP_ENV", "production"), (name, "x:hunter2hunter2")]).unwrap_err();
        assert!(!errors.to_string().contains("hunter2"), "{errors}");
    }
}

#[test]
fn each_parser_takes_the_right_and_refuses_the_wrong() {
    let jwt = jwt_key();
    let (jwt_ok, master_ok) = (format!("a:{jwt},b:{jwt}"), format!("a:{},b:{}", random_key(1), random_key(2)));
    let jwt_twice = format!("a:{jwt},a:{jwt}");
    for (name, right) in [
        ("APP_ENV", "development"),
        ("LISTEN_ADDR", "[::]:8080"),
        ("PUBLIC_URL", "http://localhost:3000/"),
        ("DATABASE_URL", "postgresql://me@%2Fvar%2Frun%2Fpostgresql/huntzen"),
        ("JWT_KEYS", &jwt_ok),
        ("MASTER_KEYS", &master_ok),
        ("SMTP_URL", "smtp://127.0.0.1:1025"),
        ("REDIS_URL", "redis://127.0.0.1:6379"),
        ("REDIS_URL", "rediss://huntzen:pw@redis.example.org:6380/2"),
        ("MAIL_FROM", "no-reply@example.org"),
        ("TRUSTED_PROXIES", "10.0.0.0/8, ::1"),
        ("CORS_ORIGINS", "http://localhost:5173,https://care.example.org"),
        ("ACCESS_TOKEN_TTL", "90s"),
        ("REFRESH_TOKEN_TTL", "24h"),
        ("MONITORING_ADDR", "127.0.0.1:9464"),
        ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
        ("SENTRY_DSN", "http://key@127.0.0.1:9000/1"),
        ("LOG_FORMAT", ""),
    ] {
        assert_eq!(fault(name, right), None, "{name}={right}");
    }
    for (name, wrong) in [
        ("APP_ENV", "staging"),
        ("LISTEN_ADDR", "localhost"),
        ("PUBLIC_URL", "care.example.org"),
        ("PUBLIC_URL", "https://care.example.org/app"),
        ("DATABASE_URL", "mysql://me@db/huntzen"),
        ("DATABASE_URL", "postgres://me@db"),
        ("JWT_KEYS", "a:AAAA"),
        ("JWT_KEYS", &jwt_twice),
        ("JWT_KEYS", &jwt),
        ("MASTER_KEYS", "a:AAAA"),
        ("MASTER_KEYS", ","),
        ("SMTP_URL", "http://mail.example.org"),
        ("REDIS_URL", "http://redis.example.org"),
        ("REDIS_URL", "rediss://redis.example.org/#insecure"),
        ("MAIL_FROM", "nobody"),
        ("STORAGE_URL", "s3://bucket"),
        ("TRUSTED_PROXIES", "10.0.0.0/40"),
        ("CORS_ORIGINS", "*"),
        ("ACCESS_TOKEN_TTL", "15"),
        ("ACCESS_TOKEN_TTL", "16m"),
        ("REFRESH_TOKEN_TTL", "é"),
        ("MAX_BODY_BYTES", "-1"),
        ("RATE_LIMIT_PER_IP", "0"),
        ("SHUTDOWN_GRACE_SECONDS", "long"),
        ("MONITORING_ADDR", "9464"),
        ("OTEL_TRACES_SAMPLER_ARG", "2"),
        ("OTEL_TRACES_SAMPLER_ARG", "NaN"),
        ("SENTRY_DSN", "errors.example.org"),
    ] {
        assert!(fault(name, wrong).is_some(), "{name}={wrong}");
    }
}

#[test]
fn the_example_file_names_exactly_the_variables_that_are_read() {
    let asked = RefCell::new(BTreeSet::new());
    let _ = Config::from_env(|name| {
        asked.borrow_mut().insert(name.to_owned());
        (name == "APP_ENV").then(|| "production".to_owned())
    });
    let file = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/.env.example")).unwrap();
    let listed: BTreeSet<_> = file
        .lines()
        .filter_map(|line| line.trim_start_matches('#').split_once('='))
        .map(|(name, _)| name.to_owned())
        .filter(|name| name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'))
        .collect();
    let mut asked = asked.into_inner();
    // one of earlier releases, which is refused
    assert!(asked.remove("AUDIT_RETENTION_DAYS"));
    assert_eq!(listed, asked);
}

#[test]
fn a_second_factor_is_due_after_a_fortnight_in_production_and_practically_never_in_development() {
    let (master, jwt, secret) = (format!("m1:{}", random_key(1)), format!("k1:{}", jwt_key()), random_key(2));
    let mut vars = production(&master, &jwt, &secret);
    assert_eq!(read(&vars).unwrap().totp_grace, TimeDelta::days(14));
    vars.push(("TOTP_GRACE_DAYS", "0"));
    assert_eq!(read(&vars).unwrap().totp_grace, TimeDelta::zero());
    let folder = tempfile::tempdir().unwrap();
    let development = read(&[("DATA_DIR", folder.path().to_str().unwrap())]).unwrap();
    assert!(development.totp_grace > TimeDelta::days(30_000));
    for wrong in ["-1", "36501", "soon", "14d"] {
        assert!(fault("TOTP_GRACE_DAYS", wrong).is_some(), "{wrong}");
    }
}

#[test]
fn durations_are_no_settings_and_a_company_may_invite_its_largest_file_in_a_day() {
    let folder = tempfile::tempdir().unwrap();
    let set = read(&[("DATA_DIR", folder.path().to_str().unwrap())]).unwrap();
    assert!(set.company_invitations_per_day >= 10_000);
    // whoever had one does not lose entries by the duration of the database, unaware
    assert!(fault("AUDIT_RETENTION_DAYS", "1825").is_some());
    for wrong in ["0", "-1", "many"] {
        assert!(fault("COMPANY_INVITATIONS_PER_DAY", wrong).is_some(), "{wrong}");
    }
}

#[test]
fn video_and_relays_are_set_whole_or_not_at_all_and_production_is_warned_without_them() {
    const JITSI: [(&str, &str); 3] = [
        ("JITSI_DOMAIN", "meet.example.org"),
        ("JITSI_APP_ID", "huntzen"),
        ("JITSI_APP_SECRET", "k2J9vQx7LmT4zRw8NcYb5HdFs3GpAe6U"),
    ];
    const TURN: [(&str, &str); 2] = [
        ("TURN_URLS", "turns:turn.example.org:5349?transport=tcp, stun:turn.example.org"),
        ("TURN_SECRET", "Zq8Wn3Xc7Vb1Mk5Lp9Rt2Yd6Hf4Gs0Ja,Pq8Wn3Xc7Vb1Mk5Lp9Rt2Yd6Hf4Gs0Jb"),
    ];
    let (master, jwt, secret) = (format!("k:{}", random_key(3)), format!("j:{}", jwt_key()), random_key(9));
    let base = production(&master, &jwt, &secret);
    let with = |more: &[(&'static str, &'static str)]| read(&[&base[..], more].concat());
    let none = with(&[]).unwrap();
    assert!(none.jitsi.is_none() && none.turn.is_none());
    // and of whom to ask about one's data
    assert_eq!(none.warnings().len(), 3);
    let contact = [("PRIVACY_CONTACT", "privacy@care.example.org")];
    let whole = with(&[&JITSI[..], &TURN[..], &contact[..]].concat()).unwrap();
    assert!(whole.warnings().is_empty());
    assert_eq!(whole.jitsi.unwrap().domain, "meet.example.org");
    let turn = whole.turn.unwrap();
    assert_eq!((turn.urls.len(), turn.secrets.len()), (2, 2));
    for part in JITSI.iter().chain(&TURN) {
        let faults = with(&[*part]).unwrap_err().0;
        assert!(!faults.is_empty() && faults.iter().all(|it| it.fault == "is missing"), "{part:?}: {faults:?}");
    }
    // nothing is warned of in development
    let folder = tempfile::tempdir().unwrap();
    assert!(read(&[("DATA_DIR", folder.path().to_str().unwrap())]).unwrap().warnings().is_empty());
    for (name, bad) in [
        ("JITSI_DOMAIN", "https://meet.example.org"),
        ("JITSI_DOMAIN", "meet.example.org/room"),
        ("JITSI_DOMAIN", "Meet.Example.org"),
        ("JITSI_APP_ID", "a b"),
        ("JITSI_APP_SECRET", "tiny"),
        ("TURN_URLS", "https://turn.example.org"),
        ("TURN_URLS", "turn:"),
        ("TURN_SECRET", "tiny"),
    ] {
        let faults = with(&[(name, bad)]).unwrap_err().0;
        assert!(faults.iter().any(|it| it.variable == name && it.fault != "is missing"), "{name}={bad}: {faults:?}");
        assert!(faults.iter().all(|it| !it.fault.contains("tiny")));
    }
}

#[test]
fn hosts_of_tests_are_pairs_and_refused_in_production() {
    assert_eq!(fault("OUTGOING_TEST_HOSTS", "127.0.0.1:8080, localhost:9"), None);
    for bad in ["localhost", "localhost:x", ":80", "a:70000"] {
        assert!(fault("OUTGOING_TEST_HOSTS", bad).is_some(), "{bad}");
    }
    let (master, jwt, secret) = (format!("m:{}", random_key(1)), format!("k:{}", jwt_key()), random_key(9));
    let mut vars = production(&master, &jwt, &secret);
    vars.push(("OUTGOING_TEST_HOSTS", "127.0.0.1:8080"));
    assert_eq!(faults(&vars), [("OUTGOING_TEST_HOSTS", "is set".to_owned())]);
}
