//! What everybody in the scene knows.

use std::{
    io,
    net::SocketAddr,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use actix_web_sse_tests::{Claims, Connection, Head, LIMIT, Request};

/// The servers, and how far the play has got.
#[derive(Debug)]
pub(crate) struct House {
    pub(crate) apps: [SocketAddr; 2],
    /// The nginx in front of them.
    pub(crate) front: SocketAddr,
    secret: String,
    opened: Instant,
    length: Duration,
    closed: AtomicBool,
}

impl House {
    pub(crate) fn open(
        apps: [SocketAddr; 2],
        front: SocketAddr,
        secret: &str,
        length: Duration,
    ) -> Self {
        Self {
            apps,
            front,
            secret: secret.to_owned(),
            opened: Instant::now(),
            length,
            closed: AtomicBool::new(false),
        }
    }

    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// From 0 at the beginning to 1 at the end.
    pub(crate) fn progress(&self) -> f64 {
        self.opened.elapsed().as_secs_f64() / self.length.as_secs_f64()
    }

    /// Between these two parts of the whole.
    pub(crate) fn is_between(&self, from: f64, to: f64) -> bool {
        (from..to).contains(&self.progress())
    }

    /// How busy it is: rises to 1 in the middle, as a day does.
    pub(crate) fn bustle(&self) -> f64 {
        let around = (self.progress() * std::f64::consts::TAU).cos();
        0.35f64.mul_add(-around, 0.6)
    }

    /// Passes the time, unless the house closes meanwhile.
    pub(crate) fn rest(&self, seconds: f64) {
        let until = Instant::now() + Duration::from_secs_f64(seconds);
        while !self.is_closed() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            thread::sleep(left.min(Duration::from_millis(200)));
        }
    }

    pub(crate) fn token(&self, user: &str, seconds: u64) -> String {
        Claims::of(user).expiring_in(seconds).sign(&self.secret)
    }

    pub(crate) fn publisher(&self) -> String {
        Claims::of("publisher")
            .expiring_in(3600)
            .publisher()
            .sign(&self.secret)
    }
}

/// Sends a request and reads the head of the answer; a server that restarts may refuse.
pub(crate) fn ask(request: &Request, to: SocketAddr) -> io::Result<(Head, Connection)> {
    let mut connection = Connection::try_open(to)?;
    connection.send(&request.bytes(to))?;
    let head = connection.head(LIMIT)?;
    Ok((head, connection))
}
