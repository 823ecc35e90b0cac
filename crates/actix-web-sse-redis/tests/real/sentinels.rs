//! Sentinels with a user, a password and TLS of their own, beside those of Redis.

use std::{fs, path::Path};

use actix_web_sse_redis::RedisConfig;

use crate::{
    node::config,
    sentinel::Sentinel,
    server::Server,
    tls::{ANYBODY, Authority, redis, refused, works},
};

const OF_REDIS: &str = "pass-of-redis";
const OF_SENTINEL: &str = "pass-of-sentinel";

/// A Redis that wants a password.
fn guarded() -> Server {
    Server::with(&["--requirepass", OF_REDIS])
}

/// What the README says that a user of the Sentinels needs.
fn rights() -> String {
    let page = include_str!("../../README.md");
    let (_, rest) = page.split_once("`user sse on >… ").unwrap();
    rest.split_once('`').unwrap().0.to_owned()
}

/// The configuration of Sentinels with this authority.
fn with_tls(authority: &Authority, ca: &Path, clients: &str) -> String {
    let [certificate, key] = authority.sign("sentinel", "127.0.0.1");
    format!(
        "tls-cert-file {}\ntls-key-file {}\ntls-ca-cert-file {}\ntls-auth-clients {clients}\n",
        certificate.display(),
        key.display(),
        ca.display()
    )
}

/// Settings for a Redis behind this Sentinel, with the right password of Redis.
fn behind(sentinel: &Sentinel, server: &Server) -> RedisConfig {
    let mut config = config(server);
    let at = format!(
        "redis+sentinel://:{OF_REDIS}@127.0.0.1:{}/main",
        sentinel.port
    );
    config.redis = at.into();
    config
}

/// The message of the start has all of these and no password.
fn names(config: RedisConfig, remedies: &[&str]) {
    let told = refused(config);
    for remedy in remedies {
        assert!(told.contains(remedy), "{remedy:?} is not in {told:?}");
    }
    assert!(!told.contains("pass-of"), "{told}");
}

#[actix_web::test]
async fn s82_a_sentinel_without_the_service_is_a_clear_error() {
    let primary = Server::start();
    let sentinel = Sentinel::over(&primary).await;
    let mut other = config(&primary);
    other.redis = sentinel.url().replace("/main", "/other").into();
    names(other, &["not found in sentinel"]);
}

#[actix_web::test]
async fn s82_sentinels_have_a_password_of_their_own() {
    let server = guarded();
    let own = format!("requirepass {OF_SENTINEL}\nsentinel auth-pass main {OF_REDIS}\n");
    let sentinel = Sentinel::configured(server.port, &own).await;
    let mut right = behind(&sentinel, &server);
    right.sentinel.password = Some(OF_SENTINEL.to_owned());
    works(&right).await;

    let mut wrong = right.clone();
    wrong.sentinel.password = None;
    names(wrong.clone(), &["NOAUTH", "backplane.sentinel.password"]);
    wrong.sentinel.password = Some("pass-of-nobody".to_owned());
    names(
        wrong,
        &["authentication failed", "backplane.sentinel.password"],
    );
    let mut wrong = right;
    let url = format!(
        "redis+sentinel://:pass-of-nobody@127.0.0.1:{}/main",
        sentinel.port
    );
    wrong.redis = url.into();
    names(wrong, &["authentication failed", "backplane.redis"]);
}

#[actix_web::test]
async fn s82_sentinels_have_a_user_of_their_own_who_may_do_no_more_than_needed() {
    let server = guarded();
    let own = |rights: &str| {
        format!(
            "user default off\nuser sse on >{OF_SENTINEL} {rights}\n\
             sentinel auth-pass main {OF_REDIS}\n"
        )
    };
    let sentinel = Sentinel::configured(server.port, &own(&rights())).await;
    let mut right = behind(&sentinel, &server);
    right.sentinel.user = Some("sse".to_owned());
    right.sentinel.password = Some(OF_SENTINEL.to_owned());
    works(&right).await;

    let mut wrong = right.clone();
    wrong.sentinel.user = Some("nobody".to_owned());
    names(wrong, &["authentication failed", "backplane.sentinel.user"]);
    let restricted = Sentinel::configured(server.port, &own("-@all +role")).await;
    right.redis = behind(&restricted, &server).redis;
    names(right, &["backplane.sentinel.user", "+sentinel|masters"]);
}

#[actix_web::test]
async fn s82_sentinels_have_tls_of_their_own_before_a_redis_without() {
    let (authority, server) = (Authority::new(), guarded());
    let own = with_tls(&authority, &authority.file("ca.pem"), "no")
        + &format!("requirepass {OF_SENTINEL}\nsentinel auth-pass main {OF_REDIS}\n");
    let sentinel = Sentinel::configured(server.port, &own).await;
    let mut right = behind(&sentinel, &server);
    right.sentinel.password = Some(OF_SENTINEL.to_owned());
    right.sentinel.with_tls = Some(true);
    right.sentinel.tls.ca = Some(authority.file("ca.pem"));
    works(&right).await;

    let mut wrong = right.clone();
    wrong.sentinel.tls.ca = None;
    names(wrong, &["UnknownIssuer", "backplane.sentinel.tls.ca"]);
    let mut wrong = right.clone();
    wrong.sentinel.tls.ca = Some(Authority::new().file("ca.pem"));
    names(wrong, &["backplane.sentinel.tls.ca"]);
    let mut wrong = right.clone();
    wrong.sentinel.with_tls = Some(false);
    wrong.sentinel.tls.ca = None;
    names(wrong, &["backplane.sentinel.with_tls"]);
    let mut wrong = right.clone();
    wrong.sentinel.with_tls = None;
    names(wrong, &["backplane.sentinel.tls", "with_tls"]);
    let mut wrong = right;
    wrong.sentinel.password = None;
    names(wrong, &["NOAUTH", "backplane.sentinel.password"]);
}

#[actix_web::test]
async fn s82_sentinels_without_tls_are_asked_without() {
    let server = guarded();
    let own = format!("sentinel auth-pass main {OF_REDIS}\n");
    let sentinel = Sentinel::configured(server.port, &own).await;
    let mut wrong = behind(&sentinel, &server);
    wrong.sentinel.with_tls = Some(true);
    names(wrong, &["backplane.sentinel.with_tls"]);
}

#[actix_web::test]
async fn s82_sentinels_and_redis_have_tls_by_authorities_of_their_own() {
    let (of_redis, of_sentinels) = (Authority::new(), Authority::new());
    let more = ["--requirepass", OF_REDIS, ANYBODY[0], ANYBODY[1]];
    let (redis, mut right) = redis(&of_redis, "127.0.0.1", &more);
    // A Sentinel knows one file of authorities: for Redis, and for its clients.
    let both = of_sentinels.file("both.pem");
    let authorities = [&of_redis, &of_sentinels].map(|one| fs::read(one.file("ca.pem")).unwrap());
    fs::write(&both, authorities.concat()).unwrap();
    let own = with_tls(&of_sentinels, &both, "yes")
        + &format!("tls-replication yes\nsentinel auth-pass main {OF_REDIS}\n");
    let sentinel = Sentinel::configured(redis.tls.number, &own).await;
    let at = |scheme: &str| format!("{scheme}://:{OF_REDIS}@127.0.0.1:{}/main", sentinel.port);
    right.redis = at("rediss+sentinel").into();
    right.sentinel.tls.ca = Some(of_sentinels.file("ca.pem"));
    let [certificate, key] = of_sentinels.sign("node", "node.example");
    right.sentinel.tls.certificate = Some(certificate);
    right.sentinel.tls.key = Some(key);
    works(&right).await;

    let mut wrong = right.clone();
    (wrong.sentinel.tls.certificate, wrong.sentinel.tls.key) = (None, None);
    names(wrong, &["backplane.sentinel.tls.certificate"]);
    let mut wrong = right.clone();
    wrong.sentinel.tls.ca = Some(of_redis.file("ca.pem"));
    names(wrong, &["backplane.sentinel.tls.ca"]);
    // The Sentinels are right, and what is wrong is about Redis.
    let mut wrong = right.clone();
    wrong.tls.ca = Some(of_sentinels.file("ca.pem"));
    names(wrong, &["UnknownIssuer", "backplane.tls.ca"]);
    let mut wrong = right;
    wrong.redis = at("redis+sentinel").into();
    wrong.tls.ca = None;
    wrong.sentinel.with_tls = Some(true);
    names(wrong, &["rediss+sentinel://"]);
}
