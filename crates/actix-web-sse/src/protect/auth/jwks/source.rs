//! Where a key set is: at a URL, or in a file.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use super::{key::Keys, remote::Remote};
use crate::config::{Faults, JwksConfig, JwtAlgorithm};

/// More than any issuer publishes.
pub(super) const MAX_BYTES: usize = 256 * 1024;

/// Where a key set is.
pub(super) enum Source {
    Url(Box<Remote>),
    File { path: PathBuf, name: String },
}

impl Source {
    /// The one that is configured.
    pub(super) fn new(config: &JwksConfig, faults: &mut Faults) -> Option<Self> {
        match (&config.url, &config.file) {
            (Some(url), None) => match Remote::new(url, config.dangerous_plain_http) {
                Ok(remote) => Some(Self::Url(Box::new(remote))),
                Err(message) => {
                    faults.add("auth.jwks.url", url, message);
                    None
                }
            },
            (None, Some(path)) => Some(Self::File {
                path: path.clone(),
                name: path.display().to_string(),
            }),
            _ => {
                faults.add(
                    "auth.jwks",
                    "",
                    "takes the keys from one place: set either url or file",
                );
                None
            }
        }
    }

    /// Its name in reports.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Url(remote) => remote.url(),
            Self::File { name, .. } => name,
        }
    }

    /// What can be read without waiting for others.
    pub(super) fn read_at_once(&self, algorithms: &[JwtAlgorithm]) -> Option<Result<Keys, String>> {
        match self {
            Self::Url(_) => None,
            Self::File { path, .. } => Some(read_file(path, algorithms)),
        }
    }

    /// Reads the set.
    ///
    /// # Errors
    /// What went wrong, in a sentence.
    pub(super) async fn read(&self, algorithms: &[JwtAlgorithm]) -> Result<Keys, String> {
        match self {
            Self::Url(remote) => Keys::parse(&remote.get(MAX_BYTES).await?, algorithms),
            Self::File { path, .. } => {
                let (path, algorithms) = (path.clone(), algorithms.to_vec());
                tokio::task::spawn_blocking(move || read_file(&path, &algorithms))
                    .await
                    .map_err(|error| error.to_string())?
            }
        }
    }
}

fn read_file(path: &Path, algorithms: &[JwtAlgorithm]) -> Result<Keys, String> {
    let read = || -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        let limit = MAX_BYTES as u64 + 1;
        File::open(path)?.take(limit).read_to_end(&mut text)?;
        Ok(text)
    };
    let text = read().map_err(|error| format!("cannot be read: {error}"))?;
    if text.len() > MAX_BYTES {
        return Err(too_long(MAX_BYTES));
    }
    Keys::parse(&text, algorithms)
}

pub(super) fn too_long(limit: usize) -> String {
    format!("it has more than {limit} bytes")
}
