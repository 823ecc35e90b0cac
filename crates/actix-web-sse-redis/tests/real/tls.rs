//! A Redis that speaks TLS, and one that knows its users.

use std::{fs, path::PathBuf};

use actix_web_sse_redis::{RedisBackplane, RedisConfig};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;

use crate::{
    node::{Node, config, data, read},
    server::{Port, Server},
};

/// An authority, and a folder with what it has signed.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // One of the same name would be taken for the same one.
        let name = format!("authority {}", fastrand::u64(..));
        params.distinguished_name.push(DnType::CommonName, name);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let authority = Self {
            issuer,
            folder: tempfile::tempdir().unwrap(),
        };
        fs::write(authority.file("ca.pem"), authority.issuer.pem()).unwrap();
        authority
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A certificate for this name, and its key: `who.pem`, `who.key`.
    pub(crate) fn sign(&self, who: &str, name: &str) -> [PathBuf; 2] {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![name.to_owned()])
            .unwrap()
            .signed_by(&key, &self.issuer)
            .unwrap();
        let files = [format!("{who}.pem"), format!("{who}.key")].map(|name| self.file(&name));
        fs::write(&files[0], certificate.pem()).unwrap();
        fs::write(&files[1], key.serialize_pem()).unwrap();
        files
    }
}

/// One that listens at a second port.
pub(crate) struct Redis {
    pub(crate) server: Server,
    pub(crate) tls: Port,
}

/// A Redis with a certificate for this name, and the settings that lead to it.
pub(crate) fn redis(authority: &Authority, name: &str, more: &[&str]) -> (Redis, RedisConfig) {
    let claim = Port::claim();
    let port = claim.number;
    let [certificate, key] = authority
        .sign("redis", name)
        .map(|file| file.display().to_string());
    let ca = authority.file("ca.pem").display().to_string();
    let port_text = port.to_string();
    let mut arguments = vec!["--tls-port", &port_text, "--tls-cert-file", &certificate];
    arguments.extend(["--tls-key-file", &key, "--tls-ca-cert-file", &ca]);
    arguments.extend(more);
    let server = Server::with(&arguments);
    let mut config = config(&server);
    config.redis = format!("rediss://127.0.0.1:{port}").into();
    config.tls.ca = Some(ca.into());
    let redis = Redis { server, tls: claim };
    (redis, config)
}

pub(crate) const ANYBODY: [&str; 2] = ["--tls-auth-clients", "no"];

pub(crate) fn refused(config: RedisConfig) -> String {
    RedisBackplane::connect(config).unwrap_err().to_string()
}

/// An event goes from one node to the other, and a client comes back.
pub(crate) async fn works(config: &RedisConfig) {
    let (a, b) = (Node::start(config.clone()), Node::start(config.clone()));
    let stream = b.follow("t", 1).await;
    let first = a.publish("t", "1").await;
    assert_eq!(data(&read(stream, 1).await), ["1"]);
    a.publish("t", "2").await;
    assert_eq!(data(&read(b.open("t", Some(&first)).await, 1).await), ["2"]);
}

#[actix_web::test]
async fn s82_tls_with_an_authority_of_ones_own() {
    let authority = Authority::new();
    let (_server, config) = redis(&authority, "127.0.0.1", &ANYBODY);
    works(&config).await;
}

#[actix_web::test]
async fn s82_an_invalid_certificate_is_a_clear_error() {
    let authority = Authority::new();
    let (_server, config) = redis(&authority, "127.0.0.1", &ANYBODY);
    let mut system = config.clone();
    system.tls.ca = None;
    let another = Authority::new();
    let mut other = config.clone();
    other.tls.ca = Some(another.file("ca.pem"));
    for config in [system, other] {
        let told = refused(config);
        assert!(
            told.contains("invalid peer certificate: UnknownIssuer"),
            "{told}"
        );
    }
    let (_elsewhere, config) = redis(&authority, "elsewhere.example", &ANYBODY);
    let told = refused(config);
    assert!(
        told.contains("certificate not valid for name \"127.0.0.1\""),
        "{told}"
    );
}

#[actix_web::test]
async fn s82_a_redis_that_wants_a_certificate_gets_one() {
    let authority = Authority::new();
    let (_server, config) = redis(&authority, "127.0.0.1", &["--tls-auth-clients", "yes"]);
    let told = refused(config.clone());
    assert!(told.contains("CertificateRequired"), "{told}");
    let [certificate, key] = authority.sign("node", "node.example");
    let mut known = config;
    known.tls.certificate = Some(certificate);
    known.tls.key = Some(key);
    works(&known).await;
}

/// One of the two speaks TLS, and the other does not.
#[actix_web::test]
async fn s82_tls_on_one_side_alone_is_an_error_and_not_a_wait() {
    let authority = Authority::new();
    let (redis, tls) = redis(&authority, "127.0.0.1", &ANYBODY);
    let server = &redis.server;
    let mut to_plain = tls.clone();
    to_plain.redis = server.url().replace("redis://", "rediss://").into();
    let mut to_tls = config(server);
    to_tls.redis = format!("redis://{}", tls_address(server)).into();
    for config in [to_plain, to_tls] {
        let told = refused(config);
        assert!(told.starts_with("no Redis at 127.0.0.1:"), "{told}");
    }
}

fn tls_address(server: &Server) -> String {
    let answer = server.command(&["CONFIG", "GET", "tls-port"]);
    let port = answer.lines().last().unwrap().to_owned();
    format!("127.0.0.1:{port}")
}

/// The least that a user of Redis has to be allowed, as the README says.
#[actix_web::test]
async fn s82_a_user_of_redis_who_may_do_no_more_than_needed() {
    let server = Server::start();
    let rules = "on >hunter2 ~{sse}:* +@read +@write +@scripting +@connection +time -@dangerous";
    let mut words = vec!["ACL", "SETUSER", "sse"];
    words.extend(rules.split(' '));
    server.command(&words);
    server.command(&["ACL", "SETUSER", "default", "off"]);
    let mut config = config(&server);
    let at = format!("127.0.0.1:{}", server.port);
    config.redis = format!("redis://sse:hunter2@{at}").into();
    works(&config).await;

    let mut elsewhere = config.clone();
    elsewhere.namespace = "other".to_owned();
    let told = refused(elsewhere);
    assert!(told.contains("key") && !told.contains("hunter2"), "{told}");
    for url in [format!("redis://sse:hunter3@{at}"), format!("redis://{at}")] {
        config.redis = url.into();
        let told = refused(config.clone());
        assert!(told.starts_with("no Redis at 127.0.0.1:"), "{told}");
        assert!(!told.contains("hunter3"), "{told}");
    }
}
