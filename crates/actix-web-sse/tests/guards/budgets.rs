//! What all clients share is divided by address first.

use std::{sync::Arc, time::Instant};

use actix_web::{HttpResponse, web};
use actix_web_sse::{
    Hub, Identity, Subscriber,
    config::{LimitOverride, PolicyConfig, RatePerIp},
    protect::{Attempt, AuthError, AuthFuture, Authenticator, PolicyBuilder},
};

use super::support::{APP, Recording, Reply, Server, limited_reference, refusal, streams};

const STREAM: &str = "GET /events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n";

/// Lets in whoever has the token `good`.
struct Strict;

impl Authenticator for Strict {
    fn authenticate<'a>(&'a self, attempt: Attempt<'a>) -> AuthFuture<'a> {
        let good = attempt.token.is_some_and(|token| token.text == "good");
        Box::pin(async move { good.then(|| Identity::user("u")).ok_or(AuthError::Invalid) })
    }
}

fn serve(builder: impl FnOnce(PolicyBuilder) -> PolicyBuilder) -> Server {
    let recording = Arc::default();
    let policy = builder(limited_reference(&recording)).build().unwrap();
    Server::start(&recording, streams(policy))
}

/// A request for a stream from an address of its own.
async fn from(server: &Server, address: &str, lines: &str) -> Reply {
    server
        .raw_from(address, format!("{STREAM}{lines}\r\n"))
        .await
}

/// Requests of one address until it is refused as too fast; how many that took.
async fn exhaust(server: &Server, address: &str, lines: &str) -> usize {
    for n in 0..1000 {
        let mut reply = from(server, address, lines).await;
        if reply.status == 429 && reply.body().await == refusal("rate_limit") {
            return n;
        }
    }
    panic!("{address} is never too fast");
}

/// The answer to an address that is too fast, with credentials that do not hold. On a busy machine it may have an
/// attempt again by then.
async fn too_fast(server: &Server, address: &str, lines: &str) -> Reply {
    for _ in 0..1000 {
        let reply = from(server, address, lines).await;
        if reply.status != 401 {
            return reply;
        }
    }
    panic!("{address} is never too fast");
}

#[actix_rt::test]
async fn h02_an_address_beyond_its_attempts_is_refused_before_authentication_and_alone() {
    let server = serve(|builder| {
        builder
            .require_auth(true)
            .authenticator(Strict)
            .attempts_per_ip(1)
    });
    let forged = "Authorization: Bearer forged\r\n";
    assert!(exhaust(&server, "127.0.0.9", forged).await >= 1);
    let hard = too_fast(&server, "127.0.0.9", &format!("{forged}Origin: {APP}\r\n")).await;
    hard.assert_err(429);
    hard.assert_readable_by(APP);
    assert!(hard.header("retry-after").is_some());
    let browser = format!(
        "Origin: {APP}\r\nCache-Control: no-cache\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\n"
    );
    let mut soft = too_fast(&server, "127.0.0.9", &browser).await;
    assert_eq!(soft.status, 200);
    assert!(soft.body().await.starts_with(b"retry: "));
    from(&server, "127.0.0.10", forged).await.assert_err(401);
}

#[actix_rt::test]
async fn h02_companions_are_refused_after_too_many_credentials_that_do_not_hold() {
    let recording: Arc<Recording> = Arc::default();
    let policy = limited_reference(&recording)
        .require_auth(true)
        .authenticator(Strict)
        .attempts_per_ip(10)
        .build()
        .unwrap();
    let server = Server::start(&recording, move |config| {
        config.service(
            web::resource("/publish")
                .wrap(policy.api())
                .route(web::post().to(async || HttpResponse::NoContent())),
        );
    });
    let publish = async |token: &str| {
        let lines = format!("Authorization: Bearer {token}\r\nContent-Length: 0\r\n");
        server.request("POST", "/publish", &lines).await.status
    };
    for _ in 0..100 {
        assert_eq!(publish("good").await, 204);
    }
    let since = Instant::now();
    let mut checked = 0;
    for _ in 0..100 {
        match publish("forged").await {
            401 => checked += 1,
            status => assert_eq!(status, 429),
        }
    }
    let most = 10 + (since.elapsed().as_secs_f64() * 10.0).ceil() as usize;
    assert!((10..=most).contains(&checked), "{checked}");
}

#[actix_rt::test]
async fn h02_the_shared_rate_is_spent_only_by_what_opens() {
    let server = serve(|builder| {
        builder
            .require_auth(true)
            .authenticator(Strict)
            .connects_per_second(4)
            .connects_per_ip(RatePerIp::Unlimited)
            .attempts_per_ip(RatePerIp::Unlimited)
    });
    for n in 0..50 {
        let lines = match n % 3 {
            0 => "Authorization: Bearer forged\r\n",
            1 => "Origin: https://evil.com\r\n",
            _ => "Authorization: Bearer good\r\n",
        };
        let method = if n % 3 == 2 { "HEAD" } else { "GET" };
        let request = STREAM.replacen("GET", method, 1);
        let reply = server
            .raw_from("127.0.0.9", format!("{request}{lines}\r\n"))
            .await;
        assert_ne!(reply.status, 429, "{lines}");
    }
    let mut open = Vec::new();
    for _ in 0..4 {
        let reply = from(&server, "127.0.0.10", "Authorization: Bearer good\r\n").await;
        reply.assert_ok();
        open.push(reply);
    }
}

#[actix_rt::test]
async fn h02_a_subscription_that_is_refused_gives_its_place_back() {
    let recording: Arc<Recording> = Arc::default();
    let policy = limited_reference(&recording)
        .connects_per_second(2)
        .connects_per_ip(RatePerIp::Unlimited)
        .build()
        .unwrap();
    let hub = Hub::builder().topics(|topic| topic == "known").build();
    let hub = hub.unwrap();
    let server = Server::start(&recording, move |config| {
        config.app_data(hub.clone()).service(
            web::resource("/events/{topic}")
                .wrap(policy.clone())
                .route(web::get().to(
                    async |hub: Hub, topic: web::Path<String>, subscriber: Subscriber| {
                        hub.subscribe(topic.as_str(), subscriber)
                    },
                )),
        );
    });
    let get = async |topic: &str| {
        let target = format!("/events/{topic}");
        server
            .request("GET", &target, "Accept: text/event-stream\r\n")
            .await
    };
    for _ in 0..30 {
        get("unknown").await.assert_err(403);
    }
    let _open = (get("known").await, get("known").await);
    _open.0.assert_ok();
    _open.1.assert_ok();
}

#[actix_rt::test]
async fn h02_one_address_opens_its_share_and_the_others_the_rest() {
    let server = serve(|builder| builder.streams_per_ip(1000).connects_per_second(20));
    let since = Instant::now();
    let mut open = Vec::new();
    let mut refused = 0;
    while refused < 20 {
        let reply = from(&server, "127.0.0.9", "").await;
        match reply.status {
            200 => open.push(reply),
            _ => refused += 1,
        }
    }
    let most = 10 * (1 + since.elapsed().as_secs() as usize);
    assert!((10..=most).contains(&open.len()), "{}", open.len());
    for n in 0..10 {
        let reply = from(&server, &format!("127.0.1.{n}"), "").await;
        reply.assert_ok();
        open.push(reply);
    }
}

#[actix_rt::test]
async fn l18_the_rates_of_a_network_are_its_own() {
    let mut office = LimitOverride::new("127.0.0.9", Some(100));
    office.connects_per_ip = Some(RatePerIp::Unlimited);
    office.attempts_per_ip = Some(60.into());
    let mut config = PolicyConfig::default();
    config.limits.connects_per_ip = 2.into();
    config.limits.attempts_per_ip = 5.into();
    config.limits.overrides = vec![office];
    let server = serve(|builder| builder.config(config));
    for (address, most) in [("127.0.0.9", 60), ("127.0.0.10", 5)] {
        let since = Instant::now();
        let mut open = Vec::new();
        for _ in 0..most {
            let reply = from(&server, address, "").await;
            if reply.status == 200 {
                open.push(reply);
            }
        }
        let expected = if address == "127.0.0.9" { 60 } else { 2 };
        assert!(open.len() >= expected, "{address}: {}", open.len());
        // Two more in each second, the one that has begun among them.
        let more = 2 * (1 + since.elapsed().as_secs() as usize);
        assert!(open.len() <= expected + more, "{address}");
    }
}
