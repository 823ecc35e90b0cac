//! The published keys of an issuer (RFC 7517): kept, renewed, and asked for again when a token names
//! one that is not known.
//!
//! 1. A set is used until it is [`keep`](crate::config::JwksConfig::keep) old. From
//!    [`max_age`](crate::config::JwksConfig::max_age) on it is read anew, beside the requests.
//! 2. A token names its key. One that names none is tried with the only key of its algorithm.
//! 3. A token with a key that is not known has the set read anew, once in
//!    [`refetch_pause`](crate::config::JwksConfig::refetch_pause), and is checked against what has
//!    come: so an issuer may change its keys at any time, and nobody makes this process ask
//!    more often by making names up.
//! 4. At most one reading is under way. It is bounded in time and size, has a task of its own, and
//!    goes on when the request that wanted it is gone; whoever needs it waits for the same one.
//! 5. A reading that fails changes nothing but the time of the next: a second later, then twice as
//!    long each time, a minute at the most.
//! 6. A set without a key that can be used is a failure, and so is a redirect.

mod key;
mod remote;
mod source;

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::{FutureExt, future::Shared};
use tokio::time::{Instant, timeout};

use self::{key::Keys, source::Source};
use super::{AuthError, jwt::Jws};
use crate::{
    config::{Faults, JwksConfig, JwtAlgorithm},
    observe::{KeysRead, Observer},
};

/// After how long a reading that failed is tried again, the first time and at the most.
const BACK_OFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// A reading that is under way.
type Reading = Shared<Pin<Box<dyn Future<Output = ()> + Send>>>;

/// The keys of an issuer.
pub(crate) struct KeySet {
    source: Source,
    algorithms: Vec<JwtAlgorithm>,
    max_age: Duration,
    keep: Duration,
    timeout: Duration,
    refetch_pause: Duration,
    observer: Arc<dyn Observer>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    known: Option<Known>,
    reading: Option<Reading>,
    /// When the last reading began.
    began: Option<Instant>,
    /// How many have failed since one succeeded.
    failures: u32,
    /// Not to be tried again before then.
    retry_at: Option<Instant>,
}

struct Known {
    keys: Arc<Keys>,
    since: Instant,
}

/// Why keys are asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Want {
    /// There are none, or they are old.
    Any,
    /// A token has one that is not known.
    Unknown,
}

impl KeySet {
    /// The key set of the configuration. A file is read at once, and what is wrong with it is a fault.
    pub(crate) fn new(
        config: &JwksConfig,
        observer: Arc<dyn Observer>,
        faults: &mut Faults,
    ) -> Option<Arc<Self>> {
        let source = Source::new(config, faults)?;
        let mut state = State::default();
        match source.read_at_once(&config.algorithms) {
            None => {}
            Some(Ok(keys)) => state.known = Some(Known::new(keys)),
            Some(Err(message)) => faults.add("auth.jwks.file", &config.file, message),
        }
        Some(Arc::new(Self {
            source,
            algorithms: config.algorithms.clone(),
            max_age: config.max_age,
            keep: config.keep,
            timeout: config.timeout,
            refetch_pause: config.refetch_pause,
            observer,
            state: Mutex::new(state),
        }))
    }

    /// Begins to read the keys, if there are none, so that the first request finds them. To be
    /// called where tasks can be spawned.
    pub(crate) fn warm_up(self: &Arc<Self>) {
        if self.known().is_none() {
            drop(self.read(Want::Any));
        }
    }

    /// Checks the signature of a token.
    ///
    /// # Errors
    /// It does not hold, or there are no keys to check it with.
    pub(crate) async fn verify(self: &Arc<Self>, jws: &Jws<'_>) -> Result<(), AuthError> {
        let algorithm = JwtAlgorithm::named(jws.algorithm());
        let algorithm = algorithm.filter(|algorithm| self.algorithms.contains(algorithm));
        let Some(algorithm) = algorithm.filter(|_| jws.may_be_access_token()) else {
            return Err(AuthError::Invalid);
        };
        let verdict = |keys: &Keys| keys.verify(algorithm, jws);
        let want = match self.known() {
            None => Want::Any,
            Some(keys) => match verdict(&keys) {
                Some(holds) => return holds.then_some(()).ok_or(AuthError::Invalid),
                None => Want::Unknown,
            },
        };
        if let Some(reading) = self.read(want) {
            reading.await;
        }
        let keys = self.known().ok_or(AuthError::Unavailable)?;
        match verdict(&keys) {
            Some(true) => Ok(()),
            // It may be a new key, which nobody can tell.
            None if self.lock().failures > 0 => Err(AuthError::Unavailable),
            Some(false) | None => Err(AuthError::Invalid),
        }
    }

    /// The keys, if they are not too old to be used. Those that are to be renewed are, meanwhile.
    fn known(self: &Arc<Self>) -> Option<Arc<Keys>> {
        let state = self.lock();
        let known = state.known.as_ref()?;
        let (keys, age) = (Arc::clone(&known.keys), known.since.elapsed());
        drop(state);
        if age >= self.max_age {
            drop(self.read(Want::Any));
        }
        (age < self.keep).then_some(keys)
    }

    /// Has the keys read, unless that was tried a moment ago; the reading, for whoever waits for
    /// it.
    fn read(self: &Arc<Self>, want: Want) -> Option<Reading> {
        let mut state = self.lock();
        if let Some(reading) = &state.reading {
            return Some(reading.clone());
        }
        let now = Instant::now();
        let rests = |since: Instant| now < since + self.refetch_pause;
        if state.retry_at.is_some_and(|at| now < at)
            || want == Want::Unknown && state.began.is_some_and(rests)
        {
            return None;
        }
        state.began = Some(now);
        let attempt = Attempt {
            set: Arc::clone(self),
            outcome: Err("the thread that read them has ended".to_owned()),
        };
        let task = tokio::spawn(attempt.run());
        let reading: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(async {
            let _ = task.await;
        });
        let reading = reading.shared();
        state.reading = Some(reading.clone());
        Some(reading)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn new(keys: Keys) -> Self {
        Self {
            keys: Arc::new(keys),
            since: Instant::now(),
        }
    }
}

/// One reading. It is reported when it is dropped, so also if its thread ends before it does.
struct Attempt {
    set: Arc<KeySet>,
    outcome: Result<Keys, String>,
}

impl Attempt {
    async fn run(mut self) {
        let set = Arc::clone(&self.set);
        let reading = set.source.read(&set.algorithms);
        self.outcome = match timeout(set.timeout, reading).await {
            Ok(outcome) => outcome,
            Err(_) => Err(format!("it took more than {:?}", set.timeout)),
        };
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let set = &self.set;
        let outcome = std::mem::replace(&mut self.outcome, Err(String::new()));
        let read = outcome.as_ref().map(Keys::len).map_err(String::as_str);
        let report = KeysRead::new(set.source.name(), read);
        set.observer.keys_read(&report);
        let mut state = set.lock();
        state.reading = None;
        match outcome {
            Ok(keys) => {
                state.known = Some(Known::new(keys));
                (state.failures, state.retry_at) = (0, None);
            }
            Err(_) => {
                let (first, most) = BACK_OFF;
                let pause = first.saturating_mul(1 << state.failures.min(10)).min(most);
                state.failures += 1;
                // Many nodes are not to ask together.
                let pause = pause.mul_f64(0.75 + 0.25 * fastrand::f64());
                state.retry_at = Some(Instant::now() + pause);
            }
        }
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeySet")
            .field("source", &self.source.name())
            .finish_non_exhaustive()
    }
}
