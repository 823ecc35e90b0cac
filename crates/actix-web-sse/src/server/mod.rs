//! The server settings that event streams need: in one call for `HttpServer`, and a server of
//! their own.

mod connection_setup;
mod event_server;
mod listen;
pub(crate) mod proxy_protocol;
mod requests;
mod serve;
#[cfg(feature = "rustls")]
mod tls;

use std::{any::Any, fmt, time::Duration};

use actix_http::Request;
use actix_service::{IntoServiceFactory, ServiceFactory};
use actix_web::{
    Error, HttpServer,
    body::MessageBody,
    dev::{AppConfig, Response, Service},
};
use socket2::SockRef;

pub use self::{connection_setup::ConnectionSetup, event_server::EventServer};
use crate::{
    hub::{DrainedHubs, IntoHubs},
    lane::socket::tcp,
};

/// [`HttpServer`] with the settings that event streams need.
pub trait ForEventStreams: Sized {
    /// Applies them all; whatever is called on the server afterwards overrides.
    ///
    /// Takes one hub or several (`&hub`, `[&a, &b]`, a slice or a `Vec` of hubs): name every hub
    /// whose streams this server serves. One that is left out is never drained, and its first
    /// stream is reported as [`Misconfiguration`](crate::observe::Misconfiguration).
    ///
    /// | setting | why |
    /// |---|---|
    /// | `tcp_nodelay(true)` | actix leaves Nagle's algorithm on; a small event would wait for the acknowledgement of the one before |
    /// | `h1_allow_half_closed(false)` | by default actix does not notice that the client of an idle stream has closed its connection: a heartbeat later at the best, never at the worst |
    /// | `h1_write_buffer_size(32 KiB)` | what a stalled reader may hold back in user space |
    /// | `max_connections(100 000)` per worker, `backlog(4096)` | the defaults of 25 000 and 2048 refuse a crowd that reconnects; the process's limit of open files still counts |
    /// | `on_connect` with [`ConnectionSetup`] | a peer that takes nothing for `stream.stall` is given up by the kernel: actix does not poll a body that it cannot write; and a stream can tell that the server drains its hub |
    /// | a shutdown signal that drains the hubs first, all of them together | on SIGTERM actix waits `shutdown_timeout` (30 s) for open streams, then cuts them: no last chunk, no END_STREAM |
    /// | `shutdown_timeout(1)` | when the hubs are drained, only requests that are no streams are left, and idle HTTP/2 connections, which actix does not close. Raise it if other requests take longer |
    ///
    /// SIGTERM drains over `stream.drain`; SIGINT (Ctrl-C) and SIGQUIT end all streams at once;
    /// a second signal stops the drain. The signals are handled here, so `disable_signals` does
    /// not switch this off: set a `shutdown_signal` of your own that calls
    /// [`Hub::drain`](crate::Hub::drain) instead.
    #[must_use = "the server does not run before run()"]
    fn for_event_streams(self, hubs: impl IntoHubs) -> Self;
}

impl<F, I, S, B> ForEventStreams for HttpServer<F, I, S, B>
where
    F: Fn() -> I + Send + Clone + 'static,
    I: IntoServiceFactory<S, Request>,
    S: ServiceFactory<Request, Config = AppConfig> + 'static,
    S::Error: Into<Error> + 'static,
    S::InitError: fmt::Debug,
    S::Response: Into<Response<B>> + 'static,
    <S::Service as Service<Request>>::Future: 'static,
    S::Service: 'static,
    B: MessageBody + 'static,
{
    fn for_event_streams(self, hubs: impl IntoHubs) -> Self {
        let hubs = DrainedHubs::new(hubs);
        let setup = ConnectionSetup::of(hubs.clone());
        self.tcp_nodelay(true)
            .h1_allow_half_closed(false)
            .h1_write_buffer_size(32 * 1024)
            .max_connections(100_000)
            .backlog(4096)
            .on_connect(move |io, extensions| setup.apply(io, extensions))
            .shutdown_timeout(1)
            .shutdown_signal(stopped(hubs))
    }
}

/// Ready when the server is to stop: the process got a signal, and the hubs are drained.
async fn stopped(hubs: DrainedHubs) {
    tokio::select! {
        () = terminated() => {
            tokio::select! {
                () = hubs.drain() => {}
                () = terminated() => {}
                () = interrupted() => {}
            }
        }
        () = interrupted() => hubs.drain_within(Duration::ZERO).await,
    }
}

/// Sets the socket options that event streams need: for an `on_connect` of your own. Rather use
/// [`ConnectionSetup`], which does this and says which hubs are drained.
///
/// `TCP_USER_TIMEOUT` (Linux and the like): a peer that acknowledges nothing, or keeps its window
/// shut, for `stall` is given up by the kernel, and actix drops the stream. `TCP_NOTSENT_LOWAT` of
/// 64 KiB: what a slow reader does not take waits in the hub, which counts it, and not in the
/// kernel, which does not.
///
/// A reader that takes a little within each `stall` keeps its connection, and its slots, until it
/// has taken what the kernel and actix hold, some 200 KiB, although its stream has ended as
/// `slow_consumer`. An [`EventServer`] closes it. Does nothing to a connection that is not TCP, and nothing if the system
/// refuses.
///
/// It sees the TCP stream in actix-tls's `TlsStream` (feature `rustls`), and in a `Box`, `Rc` or `Arc`. For a wrapper
/// that it does not know, pass the `TcpStream` that is inside.
pub fn tune_socket(io: &dyn Any, stall: Duration) {
    let Some(stream) = tcp(io) else { return };
    let socket = SockRef::from(stream);
    // An option that the system refuses makes a stalled peer last longer, and nothing else.
    #[cfg(any(target_os = "linux", target_os = "android", target_os = "fuchsia"))]
    let _ = socket.set_tcp_user_timeout(Some(stall));
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let _ = socket.set_tcp_notsent_lowat(64 * 1024);
    let _ = (socket, stall);
}

#[cfg(unix)]
async fn signalled(kinds: &[tokio::signal::unix::SignalKind]) {
    let signals = kinds
        .iter()
        .filter_map(|kind| tokio::signal::unix::signal(*kind).ok());
    let mut signals = signals.collect::<Vec<_>>();
    std::future::poll_fn(|cx| {
        if signals
            .iter_mut()
            .any(|signal| signal.poll_recv(cx).is_ready())
        {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
}

#[cfg(unix)]
async fn terminated() {
    signalled(&[tokio::signal::unix::SignalKind::terminate()]).await;
}

#[cfg(unix)]
async fn interrupted() {
    use tokio::signal::unix::SignalKind;
    signalled(&[SignalKind::interrupt(), SignalKind::quit()]).await;
}

#[cfg(not(unix))]
async fn terminated() {
    std::future::pending().await
}

#[cfg(not(unix))]
async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending().await
    }
}
