//! What a server with event streams does to each new connection.

use std::{any::Any, time::Duration};

use actix_web::dev::Extensions;

use super::tune_socket;
use crate::hub::{DrainedHubs, IntoHubs};

/// What a server with event streams does to each new connection: for an `on_connect` of your own,
/// which replaces that of
/// [`for_event_streams`](crate::ForEventStreams::for_event_streams).
///
/// ```no_run
/// # use actix_web::{App, HttpServer};
/// use actix_web_sse::{ConnectionSetup, ForEventStreams, Hub};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let hub = Hub::builder().build()?;
/// let setup = ConnectionSetup::new(&hub);
/// let server = HttpServer::new(App::new)
///     .for_event_streams(&hub)
///     .on_connect(move |io, extensions| {
///         setup.apply(io, extensions);
///         // and your own
///     });
/// # drop(server);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct ConnectionSetup {
    hubs: DrainedHubs,
    stall: Duration,
}

impl ConnectionSetup {
    /// For a server that drains these hubs when it stops.
    pub fn new(hubs: impl IntoHubs) -> Self {
        Self::of(DrainedHubs::new(hubs))
    }

    pub(crate) fn of(hubs: DrainedHubs) -> Self {
        let stall = hubs.stall();
        Self { hubs, stall }
    }

    /// Sets the socket's options ([`tune_socket`]) and leaves a mark that says which hubs the
    /// server drains. A stream that opens on a connection without the mark is reported as
    /// [`Misconfiguration`](crate::observe::Misconfiguration).
    pub fn apply(&self, io: &dyn Any, extensions: &mut Extensions) {
        tune_socket(io, self.stall);
        extensions.insert(self.hubs.clone());
    }
}
