//! The secrets that a development installation makes for itself, once.

use std::io::{self, Write};
use std::path::Path;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::signature::Ed25519KeyPair;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use super::JwtKey;
use crate::platform::crypto::entropy::Entropy;

const FILE: &str = "secrets.json";

#[derive(Serialize, Deserialize)]
pub struct OwnSecrets {
    pub database_roles_secret: String,
    master_key: String,
    jwt_key: String,
}

impl Drop for OwnSecrets {
    fn drop(&mut self) {
        self.database_roles_secret.zeroize();
        self.master_key.zeroize();
        self.jwt_key.zeroize();
    }
}

impl OwnSecrets {
    /// Reads `secrets.json`, or makes it, for the owner's eyes only.
    pub fn load_or_make(folder: &Path) -> io::Result<Self> {
        let path = folder.join(FILE);
        match std::fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            read => return Ok(serde_json::from_slice(&Zeroizing::new(read?))?),
        }
        std::fs::create_dir_all(folder)?;
        // readable by the owner alone from the first byte on
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(&Zeroizing::new(serde_json::to_vec_pretty(&Self::make()?)?))?;
        file.as_file().sync_all()?;
        match file.persist_noclobber(&path) {
            // another program was faster: its secrets count
            Err(error) if error.error.kind() != io::ErrorKind::AlreadyExists => return Err(error.error),
            _ => {}
        }
        Ok(serde_json::from_slice(&Zeroizing::new(std::fs::read(&path)?))?)
    }

    fn make() -> io::Result<Self> {
        let entropy = Entropy::system();
        let key = Ed25519KeyPair::generate().map_err(io::Error::other)?;
        let pkcs8 = AsDer::<aws_lc_rs::encoding::Pkcs8V1Der>::as_der(&key).map_err(io::Error::other)?;
        Ok(Self {
            database_roles_secret: STANDARD.encode(entropy.bytes::<32>()),
            master_key: STANDARD.encode(entropy.bytes::<32>()),
            jwt_key: STANDARD.encode(pkcs8.as_ref()),
        })
    }

    pub fn master_keys(&self) -> Vec<(String, SecretString)> {
        vec![("dev".into(), self.master_key.as_str().into())]
    }

    pub fn jwt_keys(&self) -> Vec<JwtKey> {
        vec![JwtKey { kid: "dev".into(), pkcs8: self.jwt_key.as_str().into() }]
    }
}
