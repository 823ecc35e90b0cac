//! The two configurations that are attacked.

use std::{fmt, sync::LazyLock, time::Duration};

use actix_web_sse_tests::{Claims, Settings};

/// A configuration of the demo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Setup {
    /// What the demo does without a file of its own.
    Defaults,
    /// The reference set-up R0.
    Reference,
}

/// What both have: two workers.
const WORKERS: i64 = 2;

static SECRET: LazyLock<String> = LazyLock::new(|| {
    let settings = Settings::reference();
    let secret = settings.text("auth.jwt_hs256_secret");
    secret.expect("the reference set-up has one").to_owned()
});

impl Setup {
    pub(crate) const ALL: [Self; 2] = [Self::Defaults, Self::Reference];

    /// The file.
    pub(crate) fn settings(self) -> Settings {
        match self {
            Self::Defaults => Settings::defaults(),
            Self::Reference => Settings::reference(),
        }
        .set("server.workers", WORKERS)
    }

    /// Signs tokens, where tokens are needed.
    pub(crate) fn token(self) -> Option<fn(&str, bool) -> String> {
        match self {
            Self::Defaults => None,
            Self::Reference => Some(|user, publisher| {
                let claims = Claims::of(user);
                let claims = match publisher {
                    true => claims.publisher(),
                    false => claims,
                };
                claims.sign(&SECRET)
            }),
        }
    }

    /// The streams that one address may hold.
    pub(crate) fn per_address(self) -> usize {
        match self {
            Self::Defaults => 100,
            Self::Reference => 4,
        }
    }

    /// How often streams are opened: with what an address may take of the rate, and with the opens
    /// of the quiet phase, less than is admitted in a second.
    pub(crate) fn gather_every(self) -> Duration {
        match self {
            Self::Defaults => Duration::from_millis(4),
            Self::Reference => Duration::from_millis(35),
        }
    }

    /// The streams that the process may hold.
    pub(crate) fn total(self) -> usize {
        match self {
            Self::Defaults => 10_000,
            Self::Reference => 1000,
        }
    }
}

impl fmt::Display for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Defaults => "defaults",
            Self::Reference => "R0",
        })
    }
}
