//! TLS, certificates and HTTP/2.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail loudly"
)]

mod support;

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use http_body_util::StreamBody;
use hyper::{
    Request, Response,
    body::{Bytes, Frame, Incoming},
    server::conn::http2,
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer};
use sse_probe::{
    AttemptError, Credentials, Expectation, FindingKind, Profile, Target,
    http::{Dialer, Identity as Client, Limits, Protocol, Tls, Trust},
};
use support::{APP, Server, good, steadily};
use tokio::net::TcpListener;

/// A certificate for `localhost` that believes in itself, and a server configuration with it.
struct Identity {
    der: Vec<u8>,
    config: ServerConfig,
}

fn identity(not_after: (i32, u8, u8), alpn: &[&str]) -> Identity {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(not_after.0, not_after.1, not_after.2);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    config.alpn_protocols = alpn.iter().map(|p| p.as_bytes().to_vec()).collect();
    Identity {
        der: certificate.der().to_vec(),
        config,
    }
}

fn target(address: SocketAddr, trust: Trust) -> Target {
    Target::new(&format!("https://localhost:{}/events", address.port()))
        .unwrap()
        .pin("localhost", address.port(), address)
        .origin(APP)
        .unwrap()
        .credentials(Credentials::Include)
        .bearer("token")
        .hold(Duration::from_millis(900))
        .connection(Limits::default(), trust)
        .pin("localhost", address.port(), address)
}

#[tokio::test]
async fn a_certificate_that_nobody_signed_is_told_and_one_that_is_trusted_is_clean() {
    let id = identity((2100, 1, 1), &["http/1.1"]);
    let server = Server::start_tls(id.config, good).await;
    let error = sse_probe::check(target(server.address, Trust::System))
        .await
        .unwrap_err();
    assert!(matches!(error, AttemptError::Tls(..)), "{error}");
    let trust = Trust::Also(vec![id.der]);
    let report = sse_probe::check(target(server.address, trust).skip("protocol").unwrap())
        .await
        .unwrap();
    report.assert_clean();
    assert_eq!(report.facts.tls_version, Some("TLS 1.3"));
    let expiry = report.facts.certificate_expiry.unwrap();
    let day = 86_400;
    let seconds = expiry
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    assert_eq!(seconds / day, 47_482, "1 January 2100");
}

#[tokio::test]
async fn an_expired_certificate_is_told() {
    let id = identity((2021, 1, 1), &["http/1.1"]);
    let server = Server::start_tls(id.config, good).await;
    let error = sse_probe::check(target(server.address, Trust::Also(vec![id.der])))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("expired"), "{error}");
}

#[tokio::test]
async fn a_certificate_that_ends_too_soon_is_a_warning() {
    let id = identity((2100, 1, 1), &["http/1.1"]);
    let server = Server::start_tls(id.config, good).await;
    let target = target(server.address, Trust::Anything)
        .only("certificate")
        .unwrap();
    let centuries = Duration::from_secs(86_400 * 365 * 200);
    let report = sse_probe::check(target.expect(Expectation::Certificate(centuries)))
        .await
        .unwrap();
    assert_eq!(report.worst, Some(FindingKind::Advice));
    assert!(!report.passes(Profile::Browser), "it was expected");
}

/// A server that wants a client certificate which `authority` has signed, and the files of such a client.
fn for_clients(folder: &std::path::Path) -> ServerConfig {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let authority = params.self_signed(&key).unwrap();
    let issuer = rcgen::Issuer::new(params, key);
    let client_key = KeyPair::generate().unwrap();
    let client = CertificateParams::new(vec!["probe".to_owned()]).unwrap();
    let client = client.signed_by(&client_key, &issuer).unwrap();
    std::fs::write(folder.join("client.pem"), client.pem()).unwrap();
    std::fs::write(folder.join("client.key"), client_key.serialize_pem()).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(authority.der().clone()).unwrap();
    let provider = Arc::new(ring::default_provider());
    let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(
        Arc::new(roots),
        Arc::clone(&provider),
    );
    let own = KeyPair::generate().unwrap();
    let server = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let server = server.self_signed(&own).unwrap();
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(
            vec![server.der().clone()],
            PrivateKeyDer::try_from(own.serialize_der()).unwrap(),
        )
        .unwrap()
}

#[tokio::test]
async fn a_client_certificate_is_sent_and_kept_back_from_the_anonymous_request() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_tls(for_clients(folder.path()), good).await;
    let identity = Client::from_files(
        &folder.path().join("client.pem"),
        &folder.path().join("client.key"),
    )
    .unwrap();
    let with =
        |tls: Tls| target(server.address, Trust::Anything).connection(Limits::default(), tls);
    let tls = || Tls::from(Trust::Anything);
    let mut named = tls();
    named.identity = Some(identity);
    assert!(
        sse_probe::check(with(tls())).await.is_err(),
        "nobody is refused"
    );
    let report = sse_probe::check(with(named).only("auth").unwrap())
        .await
        .unwrap();
    assert_eq!(report.facts.status, 200);
    assert!(!report.facts.auth_bypass);
    let error = Client::from_files(&folder.path().join("client.key"), folder.path()).unwrap_err();
    assert!(error.to_string().contains("certificate"), "{error}");
}

#[tokio::test]
async fn another_name_can_be_asked_for_in_tls() {
    let id = identity((2100, 1, 1), &["http/1.1"]);
    let server = Server::start_tls(id.config, good).await;
    let mut dialer = Dialer::default();
    dialer.tls = Arc::new(Tls::from(Trust::Also(vec![id.der])));
    dialer.sni = Some("localhost".to_owned());
    let port = server.address.port();
    dialer.pin("edge.example.com", port, server.address);
    let target = Target::new(&format!("https://edge.example.com:{port}/events"))
        .unwrap()
        .dialer(dialer)
        .bearer("token")
        .only("status")
        .unwrap()
        .hold(Duration::from_millis(300));
    sse_probe::check(target)
        .await
        .unwrap()
        .assert_passed("status");
}

#[tokio::test]
async fn https_without_http2_is_a_warning() {
    let id = identity((2100, 1, 1), &["http/1.1"]);
    let server = Server::start_tls(id.config, good).await;
    let target = target(server.address, Trust::Anything)
        .only("protocol")
        .unwrap();
    let report = sse_probe::check(target).await.unwrap();
    let outcome = report.outcome("protocol").unwrap();
    assert!(
        outcome.findings.iter().any(|f| f.seen == "no HTTP/2"),
        "{outcome:#?}"
    );
}

type Frames = futures_util::stream::BoxStream<'static, Result<Frame<Bytes>, Infallible>>;

async fn stream(_: Request<Incoming>) -> Result<Response<StreamBody<Frames>>, Infallible> {
    use futures_util::StreamExt as _;
    let frames = futures_util::stream::unfold(0_u32, |n| async move {
        if n > 0 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let text = if n == 0 { "retry: 3000\n\n" } else { ":\n" };
        Some((Ok(Frame::data(Bytes::from_static(text.as_bytes()))), n + 1))
    });
    let reply = Response::builder()
        .header("content-type", "text/event-stream; charset=utf-8")
        .header("access-control-allow-origin", APP)
        .header("access-control-allow-credentials", "true")
        .body(StreamBody::new(frames.boxed()));
    Ok(reply.unwrap())
}

/// An HTTP/2 server, with or without TLS.
async fn http2_server(config: Option<ServerConfig>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = config.map(|c| tokio_rustls::TlsAcceptor::from(Arc::new(c)));
    tokio::spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let builder = http2::Builder::new(TokioExecutor::new());
                // The client ends each exchange by going away.
                match acceptor {
                    Some(acceptor) => {
                        if let Ok(socket) = acceptor.accept(socket).await {
                            builder
                                .serve_connection(TokioIo::new(socket), service_fn(stream))
                                .await
                                .ok();
                        }
                    }
                    None => {
                        builder
                            .serve_connection(TokioIo::new(socket), service_fn(stream))
                            .await
                            .ok();
                    }
                }
            });
        }
    });
    address
}

#[tokio::test]
async fn http2_is_negotiated_where_it_is_offered() {
    let id = identity((2100, 1, 1), &["h2"]);
    let address = http2_server(Some(id.config)).await;
    let target = target(address, Trust::Anything)
        .only("cors")
        .unwrap()
        .only("heartbeat")
        .unwrap();
    steadily(
        async || sse_probe::check(target.clone()).await.unwrap(),
        |report| {
            assert_eq!(report.facts.version, "2");
            report.assert_passed("cors");
            report.assert_passed("heartbeat");
        },
    )
    .await;
}

#[tokio::test]
async fn http2_by_prior_knowledge_on_http() {
    let address = http2_server(None).await;
    let target = Target::new(&format!("http://{address}/events"))
        .unwrap()
        .origin(APP)
        .unwrap()
        .credentials(Credentials::Include)
        .protocol(Protocol::Http2)
        .hold(Duration::from_millis(500))
        .only("cors")
        .unwrap()
        .expect(Expectation::Http2);
    let report = sse_probe::check(target).await.unwrap();
    assert_eq!(report.facts.version, "2");
    report.assert_passed("cors");
}
