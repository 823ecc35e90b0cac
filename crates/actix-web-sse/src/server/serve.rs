//! What happens to a connection of an `EventServer`, from the accepted socket to actix.

use std::{
    any::Any,
    fmt, io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    rc::Rc,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use actix_http::{Extensions, HttpService, KeepAlive, Protocol, Request, error::DispatchError};
use actix_server::GracefulShutdownSignal;
use actix_service::{
    IntoServiceFactory, Service, ServiceFactory, ServiceFactoryExt as _, fn_service, map_config,
};
use actix_web::{
    Error,
    body::MessageBody,
    dev::{AppConfig, Response},
};
use socket2::SockRef;
use tokio::{net::TcpStream, time::timeout};

use super::{ConnectionSetup, proxy_protocol::Balancers, requests::tracked};
use crate::lane::{
    plain::Carries,
    socket::{Socket, tcp},
};

pub(super) type OnConnect = Arc<dyn Fn(&dyn Any, &mut Extensions) + Send + Sync>;

/// What can be set on an `EventServer` at any time before it runs.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) host: Option<String>,
    pub(super) keep_alive: KeepAlive,
    pub(super) request_timeout: Duration,
    pub(super) disconnect_timeout: Duration,
    #[cfg(feature = "rustls")]
    pub(super) tls_handshake_timeout: Duration,
    #[cfg(feature = "rustls")]
    pub(super) handshakes_per_address: u32,
    pub(super) write_buffer: usize,
    pub(super) nodelay: bool,
    pub(super) socket_lane: bool,
    pub(super) setup: ConnectionSetup,
    pub(super) on_connect: Option<OnConnect>,
    pub(super) balancers: Option<Balancers>,
}

/// The application, and how its connections are served.
#[derive(Clone)]
pub(super) struct Plan<F> {
    pub(super) factory: F,
    pub(super) settings: Arc<Mutex<Settings>>,
    pub(super) shutdown: GracefulShutdownSignal,
    pub(super) secure: bool,
    pub(super) address: SocketAddr,
}

impl<F> Plan<F> {
    pub(super) fn settings(&self) -> Settings {
        let settings = self.settings.lock();
        settings.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Says who is at the other end of a new connection.
    pub(super) fn greeter(&self) -> Greeter {
        let settings = self.settings();
        let limit = settings.request_timeout;
        let balancers = settings.balancers.map(|balancers| balancers.within(limit));
        Greeter(balancers.map(Rc::new))
    }
}

/// Says who is at the other end of a new connection.
#[derive(Clone)]
pub(super) struct Greeter(Option<Rc<Balancers>>);

impl Greeter {
    pub(super) async fn client(self, io: &mut TcpStream) -> io::Result<Option<SocketAddr>> {
        match self.0 {
            None => Ok(io.peer_addr().ok()),
            Some(balancers) => balancers.client(io).await.map(Some),
        }
    }
}

/// `HttpServer` says the same of a Unix socket.
#[cfg(unix)]
pub(super) const UNIX: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

/// `AppConfig::new` is private to actix-web, and its default always says `http://localhost:8080`:
/// `HttpRequest::app_config` would be wrong about scheme and host, and with it `connection_info`
/// and `url_for`. actix-test stands on the same function.
fn app_config(secure: bool, host: String, address: SocketAddr) -> AppConfig {
    AppConfig::__priv_test_new(secure, host, address)
}

/// HTTP over whatever carries it.
pub(super) fn http<T, F, I, S, B>(
    plan: &Plan<F>,
) -> impl ServiceFactory<
    (Socket<T>, Protocol, Option<SocketAddr>),
    Config = (),
    Response = (),
    Error = DispatchError,
    InitError = (),
> + use<T, F, I, S, B>
where
    T: Carries,
    F: Fn() -> I,
    I: IntoServiceFactory<S, Request>,
    S: ServiceFactory<Request, Config = AppConfig> + 'static,
    S::Error: Into<Error> + 'static,
    S::InitError: fmt::Debug,
    S::Response: Into<Response<B>> + 'static,
    <S::Service as Service<Request>>::Future: 'static,
    S::Service: 'static,
    B: MessageBody + 'static,
{
    let settings = plan.settings();
    let host = settings.host.unwrap_or_else(|| plan.address.to_string());
    let config = app_config(plan.secure, host, plan.address);
    let application = (plan.factory)()
        .into_factory()
        .map_err(|error| Response::from(error.into().error_response()));
    let application = map_config(application, move |()| config.clone());
    let (setup, nodelay, on_connect) = (settings.setup, settings.nodelay, settings.on_connect);
    let shutdown = plan.shutdown.clone();
    HttpService::build()
        .graceful_shutdown_signal(move || {
            let shutdown = shutdown.clone();
            async move { shutdown.notified().await }
        })
        .keep_alive(settings.keep_alive)
        .client_request_timeout(settings.request_timeout)
        .client_disconnect_timeout(settings.disconnect_timeout)
        // Without it nobody notices that the client of an idle stream has gone.
        .h1_allow_half_closed(false)
        .h1_write_buffer_size(settings.write_buffer)
        .local_addr(plan.address)
        .on_connect_ext(move |socket: &Socket<T>, data: &mut Extensions| {
            let Some(io) = socket.io() else { return };
            setup.apply(io, data);
            if nodelay && let Some(stream) = tcp(io) {
                // A system that refuses makes small events late, and nothing else.
                let _ = stream.set_nodelay(true);
            }
            data.insert(Rc::clone(socket.connection()));
            if let Some(on_connect) = &on_connect {
                on_connect(io, data);
            }
        })
        .finish(tracked(application))
}

/// The first bytes of HTTP/2 with prior knowledge, RFC 9113 § 3.4; nothing else begins so.
const PREFACE: &[u8; 12] = b"PRI * HTTP/2";

/// HTTP/1.1, and HTTP/2 by prior knowledge.
pub(super) fn plain<F, I, S, B>(
    plan: &Plan<F>,
) -> impl ServiceFactory<TcpStream, Config = (), Response = (), Error = DispatchError, InitError = ()>
+ use<F, I, S, B>
where
    F: Fn() -> I,
    I: IntoServiceFactory<S, Request>,
    S: ServiceFactory<Request, Config = AppConfig> + 'static,
    S::Error: Into<Error> + 'static,
    S::InitError: fmt::Debug,
    S::Response: Into<Response<B>> + 'static,
    <S::Service as Service<Request>>::Future: 'static,
    S::Service: 'static,
    B: MessageBody + 'static,
{
    let settings = plan.settings();
    let (limit, socket_lane) = (settings.request_timeout, settings.socket_lane);
    let greeter = plan.greeter();
    fn_service(move |mut io: TcpStream| {
        let greeter = greeter.clone();
        async move {
            let client = greeter.client(&mut io).await?;
            let mut start = [0; PREFACE.len()];
            let peek = io.peek(&mut start);
            if limit.is_zero() {
                peek.await?;
            } else {
                // actix's own time-out begins when the protocol is known.
                let peeked = timeout(limit, peek).await;
                peeked.map_err(|_| DispatchError::SlowRequestTimeout)??;
            }
            still_there(&io)?;
            let http2 = start == *PREFACE;
            let socket = Socket::new(io, http2, socket_lane);
            Ok((socket, protocol(http2), client))
        }
    })
    .and_then(http(plan))
}

/// Fails if the client has reset the connection. What it sent before can still be read, and would
/// be served: a queue of such connections keeps others waiting.
pub(super) fn still_there(io: &TcpStream) -> io::Result<()> {
    match SockRef::from(io).take_error()? {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

pub(super) const fn protocol(http2: bool) -> Protocol {
    if http2 {
        Protocol::Http2
    } else {
        Protocol::Http1
    }
}

/// HTTP/1.1 over a Unix socket.
#[cfg(unix)]
pub(super) fn unix<F, I, S, B>(
    plan: &Plan<F>,
) -> impl ServiceFactory<
    tokio::net::UnixStream,
    Config = (),
    Response = (),
    Error = DispatchError,
    InitError = (),
> + use<F, I, S, B>
where
    F: Fn() -> I,
    I: IntoServiceFactory<S, Request>,
    S: ServiceFactory<Request, Config = AppConfig> + 'static,
    S::Error: Into<Error> + 'static,
    S::InitError: fmt::Debug,
    S::Response: Into<Response<B>> + 'static,
    <S::Service as Service<Request>>::Future: 'static,
    S::Service: 'static,
    B: MessageBody + 'static,
{
    let socket_lane = plan.settings().socket_lane;
    fn_service(move |io: tokio::net::UnixStream| {
        let socket = Socket::new(io, false, socket_lane);
        std::future::ready(Ok::<_, DispatchError>((socket, protocol(false), None)))
    })
    .and_then(http(plan))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_application_knows_its_scheme_host_and_address() {
        let address = SocketAddr::from(([127, 0, 0, 1], 8443));
        let config = app_config(true, "api.example.com".to_owned(), address);
        assert!(config.secure());
        assert_eq!(config.host(), "api.example.com");
        assert_eq!(config.local_addr(), address);
        assert!(!app_config(false, String::new(), address).secure());
    }
}
