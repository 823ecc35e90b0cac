//! Group W: tokens of an issuer whose keys come over TLS.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{SystemTime, UNIX_EPOCH},
};

use actix_web_sse_tests::{Demo, LIMIT, Request, Settings, until};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, jwk::Jwk};
use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use serde_json::{Value, json};

use crate::{APP, DEMO, expect};

const ISSUER: &str = "https://login.example.com/";

fn keys() -> [(&'static str, Algorithm, EncodingKey); 2] {
    macro_rules! key {
        ($file:literal) => {
            include_bytes!(concat!(
                "../../crates/actix-web-sse/tests/guards/keys/",
                $file
            ))
        };
    }
    [
        (
            "ec",
            Algorithm::ES256,
            EncodingKey::from_ec_der(key!("ec.der")),
        ),
        (
            "ed",
            Algorithm::EdDSA,
            EncodingKey::from_ed_der(key!("ed.der")),
        ),
    ]
}

fn set(names: &[&str]) -> Value {
    let keys = keys().into_iter().filter(|(name, ..)| names.contains(name));
    let keys = keys.map(|(name, algorithm, key)| {
        let jwk = Jwk::from_encoding_key(&key, algorithm).expect("a public key");
        let mut jwk = serde_json::to_value(jwk).expect("JSON");
        jwk["kid"] = json!(name);
        jwk
    });
    json!({ "keys": keys.collect::<Vec<_>>() })
}

fn token(name: &str) -> String {
    let (_, algorithm, key) = keys()
        .into_iter()
        .find(|(known, ..)| *known == name)
        .expect("a key");
    let mut header = Header::new(algorithm);
    header.kid = Some(name.to_owned());
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970")
        .as_secs();
    let claims =
        json!({"sub": "ada", "exp": now + 600, "iat": now, "iss": ISSUER, "aud": "streams"});
    encode(&header, &claims, &key).expect("a token")
}

/// Serves a set over TLS, and leaves its certificate as a file.
struct Issuer {
    address: SocketAddr,
    set: Arc<Mutex<String>>,
    asked: Arc<AtomicUsize>,
}

impl Issuer {
    fn start(folder: &Path, set: &Value) -> Self {
        let made =
            rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        fs::write(folder.join("ca.pem"), made.cert.pem()).expect("a file");
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let config =
            ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .expect("TLS")
                .with_no_client_auth()
                .with_single_cert(vec![made.cert.der().clone()], key)
                .expect("a certificate with its key");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let issuer = Self {
            address: listener.local_addr().expect("bound"),
            set: Arc::new(Mutex::new(set.to_string())),
            asked: Arc::default(),
        };
        let (config, set, asked) = (
            Arc::new(config),
            Arc::clone(&issuer.set),
            Arc::clone(&issuer.asked),
        );
        thread::spawn(move || {
            for socket in listener.incoming() {
                let Ok(socket) = socket else { return };
                let connection = ServerConnection::new(Arc::clone(&config)).expect("TLS");
                let mut stream = StreamOwned::new(connection, socket);
                let mut head = Vec::new();
                let mut byte = [0];
                while !head.ends_with(b"\r\n\r\n") && stream.read_exact(&mut byte).is_ok() {
                    head.push(byte[0]);
                }
                // A client that does not trust the certificate asks for nothing.
                if head.is_empty() {
                    continue;
                }
                asked.fetch_add(1, Ordering::SeqCst);
                let body = set.lock().unwrap().clone();
                let length = body.len();
                let _ = write!(
                    stream,
                    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
                );
                stream.conn.send_close_notify();
                let _ = stream.flush();
            }
        });
        issuer
    }
}

fn settings(issuer: &Issuer) -> Settings {
    let url = format!("https://localhost:{}/keys", issuer.address.port());
    Settings::reference()
        .remove("auth.jwt_hs256_secret")
        .set("auth.jwt_issuer", vec![ISSUER])
        .set("auth.jwt_audience", vec!["streams"])
        .set("auth.jwks.url", url)
        .set("auth.jwks.refetch_pause", "1s")
}

fn page(token: &str) -> Request {
    Request::event_source("/events", APP).bearer(token)
}

#[test]
fn w12_keys_come_over_tls_and_may_be_replaced() {
    let folder = tempfile::tempdir().expect("a folder");
    let issuer = Issuer::start(folder.path(), &set(&["ec"]));
    let trusted = folder.path().join("ca.pem");
    let trusted = trusted.to_str().expect("a path");
    let demo = Demo::start_in(DEMO, &settings(&issuer), &[("SSL_CERT_FILE", trusted)]);
    expect::ok(&page(&token("ec")), &demo, Some(APP));
    let unknown = page(&token("ed"));
    expect::refused(&unknown, &demo, (401, "invalid_token"), Some(APP));
    *issuer.set.lock().unwrap() = set(&["ed"]).to_string();
    until("the new key", LIMIT, || {
        (unknown.send(demo.app).status() == 200).then_some(())
    });
    expect::refused(
        &page(&token("ec")),
        &demo,
        (401, "invalid_token"),
        Some(APP),
    );
    assert!(issuer.asked.load(Ordering::SeqCst) <= 5);
}

#[test]
fn w12_an_issuer_with_a_certificate_of_nobody_is_not_believed() {
    let folder = tempfile::tempdir().expect("a folder");
    let issuer = Issuer::start(folder.path(), &set(&["ec"]));
    let other =
        rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let trusted = folder.path().join("other.pem");
    fs::write(&trusted, other.cert.pem()).expect("a file");
    let trusted = trusted.to_str().expect("a path");
    let demo = Demo::start_in(DEMO, &settings(&issuer), &[("SSL_CERT_FILE", trusted)]);
    let response = page(&token("ec")).send(demo.app);
    assert_eq!(response.status(), 503);
    demo.process().wait_for_line("why", LIMIT, |line| {
        (line.contains("sse_keys") && line.contains("cannot connect")).then_some(())
    });
    assert_eq!(issuer.asked.load(Ordering::SeqCst), 0);
}
