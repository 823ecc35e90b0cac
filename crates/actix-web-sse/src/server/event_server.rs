//! A server whose connections event streams can bound and close.

use std::{
    any::Any,
    fmt, io,
    marker::PhantomData,
    net::{SocketAddr, TcpListener, ToSocketAddrs},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use actix_http::{Extensions, KeepAlive, Request};
use actix_server::{Server, ServerBuilder};
use actix_service::{IntoServiceFactory, Service, ServiceFactory};
use actix_web::{
    Error,
    body::MessageBody,
    dev::{AppConfig, Response},
};

use super::{
    ConnectionSetup,
    listen::listeners,
    proxy_protocol::Balancers,
    serve::{Plan, Settings, plain},
    stopped,
};
use crate::{
    config::ConfigError,
    hub::{DrainedHubs, Hub},
};

/// As [`HttpServer`](actix_web::HttpServer), for applications with event streams: it has the
/// settings of [`ForEventStreams`](crate::ForEventStreams), and streams can bound and close the
/// connections that they are on.
///
/// ```no_run
/// use actix_web::{App, Responder, get};
/// use actix_web_sse::{EventServer, Hub, Subscriber};
///
/// #[get("/events")]
/// async fn events(hub: Hub, subscriber: Subscriber) -> impl Responder {
///     hub.subscribe("prices", subscriber)
/// }
///
/// #[actix_web::main]
/// async fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let hub = Hub::builder().build()?;
///     let streams = hub.clone();
///     EventServer::new(move || App::new().app_data(streams.clone()).service(events))
///         .hub(&hub)
///         .bind("127.0.0.1:8080")?
///         .run()
///         .await?;
///     Ok(())
/// }
/// ```
///
/// What `HttpServer` cannot do:
///
/// | | on an `EventServer` | on `HttpServer` |
/// |---|---|---|
/// | bytes behind an open HTTP/1 stream | at most 8 KiB are read, then the stream ends with the reason `protocol` and the connection closes. The body of the stream's own request does not count, as far as its `Content-Length` says, up to 256 KiB; read a body without one before the stream is returned | the stream ends in the same way when it has been polled for nothing 130 times more often than its deliveries explain; up to some MiB are read before |
/// | bytes behind an HTTP/1 request that is under way | reading waits after 64 KiB | up to 128 KiB are read; then actix polls the connection without a pause until the response is over |
/// | an HTTP/1 client that does not take its bytes | `stall` after the end of its stream the connection is closed, and what the kernel has for it is dropped | it keeps its connection and its slots until the kernel gives it up |
/// | an HTTP/2 client with a closed window | when all streams of the connection have ended so, and no other request is on it, it is closed after `stall` | the connection and its slots stay as long as the client likes |
/// | TLS handshakes that one address leaves unfinished | take 64 of a worker's 256 | take all of them, and the worker accepts nothing for 3 s |
/// | a plaintext client that sends nothing | is closed after `client_request_timeout` | with `bind_auto_h2c` it is never closed |
///
/// # Streams take their sockets over
///
/// Behind a proxy, and wherever else the connection is plaintext HTTP/1.1, nearly all that an idle stream costs is
/// actix's connection: two buffers of 8 KiB, and a task for a connection that only ever writes. So a stream of a
/// hub leaves actix as soon as its first block is written, and writes to its socket itself. The bytes are the same.
/// It does so where it is certain that nothing else is on the connection, unless
/// [`socket_lane(false)`](Self::socket_lane) says otherwise; else it stays a response body. Those are
/// streams over HTTP/2, over TLS and in answer to HTTP/1.0, an application's own events
/// ([`Sse`](crate::Sse), [`Answer`](crate::Answer)), requests with a body or after one on the same connection,
/// requests behind which the client has sent something, and responses whose bytes a middleware changes.
/// [`StreamObserver::carried`](crate::observe::StreamObserver::carried) has the lane and the reason.
///
/// What a stream leaves behind when it takes its socket over:
///
/// - [`max_connections`](Self::max_connections) no longer counts the connection. The limit on all streams of a
///   [`Policy`](crate::Policy) does, and [`HubStats::sockets`](crate::HubStats::sockets) has the number.
/// - What [`on_connect`](Self::on_connect) put into the connection's data is dropped, and so is a body that a
///   middleware put around the stream's and that passes on its bytes: an access log writes its line then.
/// - When the server stops, the hub's drain ends the stream. Without a drain it is cut at once, and not after
///   [`shutdown_timeout`](Self::shutdown_timeout).
/// - After its last chunk the connection is closed; in the body lane it is kept for another request.
///
/// # Listeners and signals
///
/// Plaintext listeners speak HTTP/1.1, and HTTP/2 by prior knowledge; TLS listeners both by ALPN;
/// Unix sockets HTTP/1.1. HTTP/1 connections are never half-closed: a client that closes its side
/// is gone.
///
/// On SIGTERM the hubs drain over `stream.drain` and the server stops; SIGINT (Ctrl-C) and SIGQUIT
/// end all streams at once; a second signal stops the drain.
#[must_use = "the server does not run before run()"]
pub struct EventServer<F, I, S, B> {
    factory: F,
    settings: Arc<Mutex<Settings>>,
    builder: ServerBuilder,
    backlog: u32,
    addresses: Vec<(SocketAddr, &'static str)>,
    hubs: Vec<Hub>,
    /// Whether the signals are handled here.
    signals: bool,
    application: PhantomData<(I, S, B)>,
}

impl<F, I, S, B> fmt::Debug for EventServer<F, I, S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventServer")
            .field("addresses", &self.addresses)
            .field("hubs", &self.hubs)
            .finish_non_exhaustive()
    }
}

/// Making and running it.
impl<F, I, S, B> EventServer<F, I, S, B>
where
    F: Fn() -> I + Send + Clone + 'static,
    I: IntoServiceFactory<S, Request> + 'static,
    S: ServiceFactory<Request, Config = AppConfig> + 'static,
    S::Error: Into<Error> + 'static,
    S::InitError: fmt::Debug,
    S::Response: Into<Response<B>> + 'static,
    <S::Service as Service<Request>>::Future: 'static,
    S::Service: 'static,
    B: MessageBody + 'static,
{
    /// A server of the applications that this makes, one for each worker and listener.
    pub fn new(factory: F) -> Self {
        let settings = Settings {
            host: None,
            keep_alive: KeepAlive::default(),
            request_timeout: Duration::from_secs(5),
            disconnect_timeout: Duration::from_secs(1),
            #[cfg(feature = "rustls")]
            tls_handshake_timeout: Duration::from_secs(3),
            #[cfg(feature = "rustls")]
            handshakes_per_address: 64,
            write_buffer: 32 * 1024,
            nodelay: true,
            socket_lane: true,
            setup: ConnectionSetup::new(Vec::<Hub>::new()),
            on_connect: None,
            balancers: None,
        };
        Self {
            factory,
            settings: Arc::new(Mutex::new(settings)),
            builder: Server::build()
                .max_concurrent_connections(100_000)
                .shutdown_timeout(1),
            backlog: 4096,
            addresses: Vec::new(),
            hubs: Vec::new(),
            signals: true,
            application: PhantomData,
        }
    }

    /// Listens on all addresses that this resolves to: HTTP/1.1, and HTTP/2 by prior knowledge.
    ///
    /// # Errors
    /// What the system says, if it can listen on none of them.
    pub fn bind(mut self, addresses: impl ToSocketAddrs) -> io::Result<Self> {
        for listener in listeners(addresses, self.backlog)? {
            self = self.listen(listener)?;
        }
        Ok(self)
    }

    /// Listens on a socket that is bound already: HTTP/1.1, and HTTP/2 by prior knowledge.
    ///
    /// # Errors
    /// What the system says.
    pub fn listen(mut self, listener: TcpListener) -> io::Result<Self> {
        let plan = self.plan(listener.local_addr()?, "http");
        let name = format!("event-server-{}", plan.address);
        self.builder = self.builder.listen(name, listener, move || plain(&plan))?;
        Ok(self)
    }

    /// Listens with TLS on all addresses that this resolves to: HTTP/1.1 and HTTP/2 by ALPN.
    ///
    /// # Errors
    /// What the system says, if it can listen on none of them.
    #[cfg(feature = "rustls")]
    #[allow(
        clippy::needless_pass_by_value,
        reason = "as HttpServer; each listener gets one of its own"
    )]
    pub fn bind_rustls_0_23(
        mut self,
        addresses: impl ToSocketAddrs,
        config: actix_tls::accept::rustls_0_23::reexports::ServerConfig,
    ) -> io::Result<Self> {
        for listener in listeners(addresses, self.backlog)? {
            self = self.listen_rustls_0_23(listener, config.clone())?;
        }
        Ok(self)
    }

    /// Listens with TLS on a socket that is bound already: HTTP/1.1 and HTTP/2 by ALPN.
    ///
    /// # Errors
    /// What the system says.
    #[cfg(feature = "rustls")]
    pub fn listen_rustls_0_23(
        mut self,
        listener: TcpListener,
        config: actix_tls::accept::rustls_0_23::reexports::ServerConfig,
    ) -> io::Result<Self> {
        use super::tls::{advertised, tls};
        let plan = self.plan(listener.local_addr()?, "https");
        let name = format!("event-server-{}", plan.address);
        let config = advertised(config);
        self.builder = self
            .builder
            .listen(name, listener, move || tls(&plan, config.clone()))?;
        Ok(self)
    }

    /// Listens on a Unix socket at this path: HTTP/1.1. A file that is there is replaced.
    ///
    /// # Errors
    /// What the system says.
    #[cfg(unix)]
    pub fn bind_uds(self, path: impl AsRef<std::path::Path>) -> io::Result<Self> {
        match std::fs::remove_file(path.as_ref()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        self.listen_uds(std::os::unix::net::UnixListener::bind(path)?)
    }

    /// Listens on a Unix socket that is bound already: HTTP/1.1.
    ///
    /// # Errors
    /// What the system says.
    #[cfg(unix)]
    pub fn listen_uds(mut self, listener: std::os::unix::net::UnixListener) -> io::Result<Self> {
        use super::serve::{UNIX, unix};
        let name = format!("event-server-{:?}", listener.local_addr()?);
        let plan = self.plan(UNIX, "http");
        self.builder = self
            .builder
            .listen_uds(name, listener, move || unix(&plan))?;
        Ok(self)
    }

    /// Starts the workers, and serves until it is stopped: by a signal, or by the
    /// [`handle`](Server::handle) of what this returns.
    ///
    /// # Panics
    /// If it listens nowhere, or without a runtime.
    pub fn run(mut self) -> Server {
        if self.signals {
            self.builder = self
                .builder
                .shutdown_signal(stopped(DrainedHubs::new(self.hubs)));
        }
        self.builder.run()
    }

    fn plan(&mut self, address: SocketAddr, scheme: &'static str) -> Plan<F> {
        self.addresses.push((address, scheme));
        Plan {
            factory: self.factory.clone(),
            settings: Arc::clone(&self.settings),
            shutdown: self.builder.graceful_shutdown_signal(),
            secure: scheme == "https",
            address,
        }
    }
}

/// Its settings.
impl<F, I, S, B> EventServer<F, I, S, B> {
    /// Drains this hub when the process gets a signal to stop, and takes its `stream.stall` for how long
    /// a client may take nothing; of several hubs the longest. Name every hub whose streams this
    /// server serves: the first stream of another is reported as
    /// [`Misconfiguration`](crate::observe::Misconfiguration).
    pub fn hub(mut self, hub: &Hub) -> Self {
        self.hubs.push(hub.clone());
        self.settings().setup = ConnectionSetup::new(&self.hubs);
        self
    }

    /// How many workers each listener has; by default as many as the machine runs threads at once.
    ///
    /// # Panics
    /// If it is 0.
    pub fn workers(mut self, count: usize) -> Self {
        self.builder = self.builder.workers(count);
        self
    }

    /// How many connections wait to be accepted; by default 4096, for a crowd that reconnects. The
    /// system cuts it down to its own limit. Call it before `bind`.
    pub fn backlog(mut self, count: u32) -> Self {
        self.backlog = count;
        self
    }

    /// How many connections a worker has at once, by default 100 000; more wait to be accepted.
    pub fn max_connections(mut self, count: usize) -> Self {
        self.builder = self.builder.max_concurrent_connections(count);
        self
    }

    /// How many TLS handshakes a worker has under way at once, by default 256. While it has as many,
    /// the worker accepts no connection.
    #[cfg(feature = "rustls")]
    pub fn max_connection_rate(self, count: usize) -> Self {
        actix_tls::accept::max_concurrent_tls_connect(count);
        self
    }

    /// How many of them may be of one address (an IPv6 network of 64 bits counts as one), by default
    /// 64; a connection beyond is closed. Raise it where all connections come from one proxy that
    /// passes TLS on.
    #[cfg(feature = "rustls")]
    pub fn handshakes_per_address(self, count: usize) -> Self {
        self.settings().handshakes_per_address = u32::try_from(count).unwrap_or(u32::MAX);
        self
    }

    /// How many threads each worker has for blocking work.
    pub fn worker_max_blocking_threads(mut self, count: usize) -> Self {
        self.builder = self.builder.worker_max_blocking_threads(count);
        self
    }

    /// How long an idle connection is kept for the next request, by default 5 s; over HTTP/2, how
    /// often the client is pinged.
    pub fn keep_alive(self, keep_alive: impl Into<KeepAlive>) -> Self {
        self.settings().keep_alive = keep_alive.into();
        self
    }

    /// How long a client may take to send the head of its first request, by default 5 s; zero:
    /// as long as it likes.
    pub fn client_request_timeout(self, limit: Duration) -> Self {
        self.settings().request_timeout = limit;
        self
    }

    /// How long the end of a connection may take, by default 1 s; zero: as long as it likes.
    pub fn client_disconnect_timeout(self, limit: Duration) -> Self {
        self.settings().disconnect_timeout = limit;
        self
    }

    /// How long a TLS handshake may take, by default 3 s.
    #[cfg(feature = "rustls")]
    pub fn tls_handshake_timeout(self, limit: Duration) -> Self {
        self.settings().tls_handshake_timeout = limit;
        self
    }

    /// Whether `TCP_NODELAY` is set; by default it is. Without it a small event waits for the
    /// acknowledgement of the one before.
    pub fn tcp_nodelay(self, nodelay: bool) -> Self {
        self.settings().nodelay = nodelay;
        self
    }

    /// Whether the streams of hubs leave actix over plaintext HTTP/1.1, and write to their sockets
    /// themselves; by default they do. An idle stream costs a fraction of the memory then. The list
    /// above has what such a stream leaves behind.
    pub fn socket_lane(self, on: bool) -> Self {
        self.settings().socket_lane = on;
        self
    }

    /// How many bytes of an HTTP/1 response wait for the socket, by default 32 KiB: what a client
    /// that reads nothing may hold back in user space.
    ///
    /// # Panics
    /// When a worker starts, if it is 0.
    pub fn h1_write_buffer_size(self, bytes: usize) -> Self {
        self.settings().write_buffer = bytes;
        self
    }

    /// The host name that the application builds its URLs with, by default the address.
    pub fn server_hostname(self, host: impl Into<String>) -> Self {
        self.settings().host = Some(host.into());
        self
    }

    /// Calls this for each connection before it is served, with the stream that carries it
    /// (`TcpStream`, `UnixStream`, or actix-tls's `TlsStream`) and the connection's data. The
    /// socket options of [`tune_socket`](crate::tune_socket) are set before.
    pub fn on_connect<C>(self, callback: C) -> Self
    where
        C: Fn(&dyn Any, &mut Extensions) + Send + Sync + 'static,
    {
        self.settings().on_connect = Some(Arc::new(callback));
        self
    }

    /// Takes the PROXY protocol, versions 1 and 2, from these networks (`10.0.0.0/8`, or a single
    /// address): from the balancers that pass connections on, such as those of AWS, HAProxy with
    /// `send-proxy`, or nginx with `proxy_protocol on`. The address that a balancer names is then the
    /// peer's, for limits, logs, and `trusted_proxies`.
    ///
    /// A connection of such a peer that does not begin with a header, or whose header does not come
    /// within `client_request_timeout` (5 s at most), or is longer than 107 bytes (version 1) or 2 KiB
    /// (version 2), is closed. Other peers speak for themselves: a header of theirs is neither HTTP nor
    /// TLS, and its connection ends. By default nobody is asked for one. Unix sockets have none.
    ///
    /// # Errors
    /// [`ConfigError`] for what is no network, for one that holds everybody, and for none at all.
    pub fn proxy_protocol<T: AsRef<str>>(
        self,
        balancers: impl IntoIterator<Item = T>,
    ) -> Result<Self, ConfigError> {
        let balancers = Balancers::new(balancers)?;
        self.settings().balancers = Some(balancers);
        Ok(self)
    }

    /// How many seconds what is left of requests may take when the server stops, by default 1:
    /// when the hubs are drained, only requests that are no streams are left, and idle HTTP/2
    /// connections, which actix does not close.
    pub fn shutdown_timeout(mut self, seconds: u64) -> Self {
        self.builder = self.builder.shutdown_timeout(seconds);
        self
    }

    /// Stops the server when this is ready, and not on signals. Drain the hubs in it.
    pub fn shutdown_signal<T>(mut self, signal: T) -> Self
    where
        T: Future<Output = ()> + Send + 'static,
    {
        self.builder = self.builder.shutdown_signal(signal);
        self.signals = false;
        self
    }

    /// Leaves the signals to the application, and with them the drain.
    pub fn disable_signals(mut self) -> Self {
        self.builder = self.builder.disable_signals();
        self.signals = false;
        self
    }

    /// Ends actix's `System` when the server has stopped.
    pub fn system_exit(mut self) -> Self {
        self.builder = self.builder.system_exit();
        self
    }

    /// Where it listens.
    #[must_use]
    pub fn addrs(&self) -> Vec<SocketAddr> {
        self.addresses.iter().map(|(address, _)| *address).collect()
    }

    /// Where it listens, with the scheme of each address.
    #[must_use]
    pub fn addrs_with_scheme(&self) -> Vec<(SocketAddr, &'static str)> {
        self.addresses.clone()
    }

    fn settings(&self) -> MutexGuard<'_, Settings> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
