//! TLS in front of HTTP, with handshakes that one address cannot have all.

use std::{
    fmt,
    future::{Ready, ready},
    io,
    net::SocketAddr,
    sync::Arc,
    task::{Context, Poll},
};

use actix_http::{Request, error::DispatchError};
use actix_service::{
    IntoServiceFactory, Service, ServiceFactory, ServiceFactoryExt as _, fn_service,
};
use actix_tls::accept::{
    TlsError,
    rustls_0_23::{Acceptor, AcceptorService, TlsStream, reexports::ServerConfig},
};
use actix_web::{
    Error,
    body::MessageBody,
    dev::{AppConfig, Response},
};
use futures_util::future::{Either, LocalBoxFuture};
use tokio::net::TcpStream;

use super::serve::{Plan, http, protocol, still_there};
use crate::{
    lane::socket::Socket,
    protect::limit::{address::ClientKey, slots::Slots},
};

/// Who is at the other end, as far as that is known.
type Client = Option<SocketAddr>;

/// An IPv6 client has a network of its own.
const IPV6_PREFIX: u8 = 64;

/// Offers HTTP/2 and HTTP/1.1, before what the configuration offers.
pub(super) fn advertised(mut config: ServerConfig) -> ServerConfig {
    let mut protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    protocols.append(&mut config.alpn_protocols);
    config.alpn_protocols = protocols;
    config
}

/// HTTP/1.1 and HTTP/2 by ALPN.
pub(super) fn tls<F, I, S, B>(
    plan: &Plan<F>,
    config: ServerConfig,
) -> impl ServiceFactory<
    TcpStream,
    Config = (),
    Response = (),
    Error = TlsError<io::Error, DispatchError>,
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
    let settings = plan.settings();
    let mut acceptor = Acceptor::new(config);
    acceptor.set_handshake_timeout(settings.tls_handshake_timeout);
    let acceptor = SharedAcceptor {
        acceptor,
        per_address: settings.handshakes_per_address,
    };
    let greeter = plan.greeter();
    fn_service(move |mut io: TcpStream| {
        let greeter = greeter.clone();
        async move {
            let client = greeter.client(&mut io).await;
            client.map(|client| (io, client)).map_err(TlsError::Tls)
        }
    })
    .and_then(acceptor.map_err(TlsError::into_service_error))
    .map(|(io, client): (TlsStream<TcpStream>, Client)| {
        let http2 = io.get_ref().1.alpn_protocol() == Some(b"h2");
        (Socket::new(io, http2, false), protocol(http2), client)
    })
    .and_then(http(plan).map_err(TlsError::Service))
}

/// actix's acceptor has so many handshakes under way on each worker, and while it has them the
/// worker accepts nothing else. One address gets a part of them.
struct SharedAcceptor {
    acceptor: Acceptor,
    per_address: u32,
}

impl ServiceFactory<(TcpStream, Client)> for SharedAcceptor {
    type Response = (TlsStream<TcpStream>, Client);
    type Error = TlsError<io::Error, std::convert::Infallible>;
    type Config = ();
    type Service = SharedAcceptorService;
    type InitError = ();
    type Future = Ready<Result<SharedAcceptorService, ()>>;

    fn new_service(&self, (): ()) -> Self::Future {
        let acceptor = ServiceFactory::<TcpStream>::new_service(&self.acceptor, ());
        ready(acceptor.into_inner().map(|acceptor| SharedAcceptorService {
            acceptor,
            per_address: self.per_address,
            // A key has a handshake under way, and actix bounds those.
            under_way: Slots::new(usize::MAX),
        }))
    }
}

struct SharedAcceptorService {
    acceptor: AcceptorService,
    per_address: u32,
    under_way: Arc<Slots<ClientKey>>,
}

impl Service<(TcpStream, Client)> for SharedAcceptorService {
    type Response = (TlsStream<TcpStream>, Client);
    type Error = TlsError<io::Error, std::convert::Infallible>;
    type Future = Either<
        Ready<Result<Self::Response, Self::Error>>,
        LocalBoxFuture<'static, Result<Self::Response, Self::Error>>,
    >;

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Service::<TcpStream>::poll_ready(&self.acceptor, cx)
    }

    fn call(&self, (io, client): (TcpStream, Client)) -> Self::Future {
        if let Err(gone) = still_there(&io) {
            return Either::Left(ready(Err(TlsError::Tls(gone))));
        }
        let address = client.map(|client| client.ip().to_canonical());
        let key = ClientKey::of(address, IPV6_PREFIX);
        let Ok(slot) = self.under_way.take(key, self.per_address) else {
            let refused = io::Error::other("too many TLS handshakes of this address are under way");
            return Either::Left(ready(Err(TlsError::Tls(refused))));
        };
        let handshake = self.acceptor.call(io);
        Either::Right(Box::pin(async move {
            let stream = handshake.await;
            drop(slot);
            stream.map(|stream| (stream, client))
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    #[test]
    fn h02_one_address_has_its_part_of_the_handshakes() {
        let under_way = Slots::new(usize::MAX);
        let client = |n| ClientKey::of(Some(IpAddr::from(Ipv4Addr::from(n))), IPV6_PREFIX);
        let turns: Vec<_> = (0..4).map(|_| under_way.take(client(1), 3)).collect();
        assert_eq!(turns.iter().flatten().count(), 3);
        assert!(under_way.take(client(2), 3).is_ok());
        drop(turns);
        assert_eq!(under_way.len(), 0);
        assert!(under_way.take(client(1), 3).is_ok());
        assert!(under_way.take(client(1), 0).is_err());
        assert_eq!(under_way.len(), 0, "a refusal leaves nothing behind");
    }
}
