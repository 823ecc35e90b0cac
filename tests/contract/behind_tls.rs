//! Group H: what holds on plain TCP holds over TLS and on a Unix socket.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    os::unix::net::UnixStream,
    sync::Arc,
    time::{Duration, Instant},
};

use actix_web::{App, HttpRequest, web};
use actix_web_sse::{EventServer, Hub, Subscriber, observe::CloseReason};
use actix_web_sse_tests::{Account, InProcess, LIMIT, no_signals};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName},
};

fn hub(account: &Account) -> Hub {
    Hub::builder()
        .observer(account.clone())
        .build()
        .expect("a hub")
}

fn routes(hub: &Hub) -> impl Fn(&mut web::ServiceConfig) + Clone + Send + use<> {
    let hub = hub.clone();
    move |config| {
        config
            .app_data(hub.clone())
            .route(
                "/events",
                web::get()
                    .to(async |hub: Hub, subscriber: Subscriber| hub.subscribe("t", subscriber)),
            )
            .route(
                "/scheme",
                web::get()
                    .to(async |request: HttpRequest| request.connection_info().scheme().to_owned()),
            );
    }
}

const SCHEME: &[u8] = b"GET /scheme HTTP/1.1\r\nHost: localhost\r\n\r\n";
const EVENTS: &[u8] =
    b"GET /events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n";

/// Everything up to this text.
fn read_until(socket: &mut impl Read, wanted: &str) -> String {
    let mut text = String::new();
    let mut piece = [0; 1024];
    while !text.contains(wanted) {
        let count = socket.read(&mut piece).expect("an answer");
        assert!(count > 0, "no more after {text}");
        text.push_str(&String::from_utf8_lossy(&piece[..count]));
    }
    text
}

/// An ordinary answer, then a stream, then more than may be sent behind it.
fn attack(mut socket: impl Read + Write, scheme: &str, account: &Account) {
    socket.write_all(SCHEME).expect("the request leaves");
    read_until(&mut socket, &format!("\r\n\r\n{scheme}"));
    socket.write_all(EVENTS).expect("the request leaves");
    read_until(&mut socket, "retry: ");
    let deadline = Instant::now() + LIMIT;
    let closed = loop {
        assert!(Instant::now() < deadline, "the connection is still open");
        match socket.write(&SCHEME.repeat(100)) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => break error,
        }
    };
    assert!(
        matches!(
            closed.kind(),
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
        ),
        "{closed}"
    );
    account.wait_for(CloseReason::Protocol, 1);
}

/// A server with a certificate of its own, and a client that trusts it.
fn certified() -> (ServerConfig, ClientConfig) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let certificate = CertificateDer::from(made.cert);
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .expect("a certificate and its key");
    let mut roots = RootCertStore::empty();
    roots.add(certificate).expect("a root");
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    (server, client)
}

fn session(config: ClientConfig) -> ClientConnection {
    let name = ServerName::try_from("localhost").expect("a name");
    ClientConnection::new(Arc::new(config), name).expect("a session")
}

#[test]
fn h01_what_is_sent_behind_a_stream_ends_it_over_tls() {
    let (config, client) = certified();
    let account = Account::default();
    let hub = hub(&account);
    let server = InProcess::start(move |listener| {
        let routes = routes(&hub);
        let server = EventServer::new(move || App::new().configure(routes.clone()))
            .workers(1)
            .hub(&hub)
            .shutdown_signal(no_signals())
            .listen_rustls_0_23(listener, config)?;
        Ok(server.run())
    });
    let socket = TcpStream::connect(server.address()).expect("a connection");
    socket.set_read_timeout(Some(LIMIT)).expect("a limit");
    let patience = Duration::from_millis(100);
    socket.set_write_timeout(Some(patience)).expect("a limit");
    attack(StreamOwned::new(session(client), socket), "https", &account);
}

#[test]
fn w_11_a_balancer_speaks_before_the_tls_handshake() {
    let (config, client) = certified();
    let server = InProcess::start(move |listener| {
        let who = async |request: HttpRequest| {
            let peer = request.peer_addr().map(|peer| peer.to_string());
            peer.unwrap_or_default()
        };
        let server = EventServer::new(move || App::new().route("/who", web::get().to(who)))
            .workers(1)
            .shutdown_signal(no_signals())
            .proxy_protocol(["127.0.0.1"])
            .expect("a network")
            .listen_rustls_0_23(listener, config)?;
        Ok(server.run())
    });
    let connect = |header: &[u8]| {
        let mut socket = TcpStream::connect(server.address()).expect("a connection");
        socket.set_read_timeout(Some(LIMIT)).expect("a limit");
        socket.write_all(header).expect("the header leaves");
        StreamOwned::new(session(client.clone()), socket)
    };
    let request = b"GET /who HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut named = connect(b"PROXY TCP4 198.51.100.7 10.0.0.1 4711 443\r\n");
    named.write_all(request).expect("the request leaves");
    read_until(&mut named, "198.51.100.7:4711");
    // Without a header the handshake does not even begin.
    let mut unnamed = connect(b"");
    unnamed.write_all(request).expect_err("a handshake");
}

#[test]
fn h01_what_is_sent_behind_a_stream_ends_it_on_a_unix_socket() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("events.sock");
    let account = Account::default();
    let hub = hub(&account);
    let _server = InProcess::start({
        let path = path.clone();
        move |_| {
            let routes = routes(&hub);
            let server = EventServer::new(move || App::new().configure(routes.clone()))
                .workers(1)
                .hub(&hub)
                .shutdown_signal(no_signals())
                .bind_uds(path)?;
            Ok(server.run())
        }
    });
    let socket = UnixStream::connect(&path).expect("a connection");
    socket.set_read_timeout(Some(LIMIT)).expect("a limit");
    let patience = Duration::from_millis(100);
    socket.set_write_timeout(Some(patience)).expect("a limit");
    attack(socket, "http", &account);
}
