//! A restart sends everybody back at once.

use std::{
    cell::RefCell,
    rc::Rc,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use actix_http::Request;
use actix_web::{
    App, Error,
    body::{BodySize, MessageBody, to_bytes},
    dev::{Service, ServiceResponse},
    test::{TestRequest, init_service},
    web,
};
use actix_web_sse::{
    Hub, Policy, Subscriber,
    config::{RatePerIp, StreamConfig},
    observe::RefusalMode,
};
use futures_util::stream::{self, StreamExt};
use tokio::{task::LocalSet, time::Instant};

use super::support::{APP, Recording, Reply, Server, reference, refusal, streams};

const CLIENTS: usize = 5000;
const PER_SECOND: u32 = 50;

/// What each client sends beside `Accept`: a browser's `EventSource`, or a `fetch`.
fn headers(client: usize) -> &'static [(&'static str, &'static str)] {
    if client.is_multiple_of(2) {
        &[
            ("Origin", APP),
            ("Cache-Control", "no-cache"),
            ("Sec-Fetch-Site", "cross-site"),
            ("Sec-Fetch-Mode", "cors"),
            ("Sec-Fetch-Dest", "empty"),
        ]
    } else {
        &[("Origin", APP), ("Authorization", "Bearer x")]
    }
}

/// The milliseconds of a soft refusal's body.
fn retry(body: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(body).ok()?;
    let millis = text.strip_prefix("retry: ")?.strip_suffix("\n\n")?;
    millis.parse().ok()
}

/// How many are let in at most in a stretch of time: what fits into its whole seconds, and into
/// the one that has begun.
fn most(stretch: Duration) -> usize {
    PER_SECOND as usize * (stretch.as_secs() as usize + 1)
}

/// Room for everybody, but not for all at once.
fn rated(recording: &Arc<Recording>) -> Policy {
    reference(recording)
        .streams_per_ip(CLIENTS as u32)
        .streams(CLIENTS as u32)
        .connects_per_second(PER_SECOND)
        .build()
        .unwrap()
}

#[actix_rt::test]
async fn l17_a_storm_of_5000_is_let_in_at_its_rate() {
    let recording: Arc<Recording> = Arc::default();
    let policy = rated(&recording);
    let server = Server::start(&recording, streams(policy));
    let since = std::time::Instant::now();
    let replies: Vec<(usize, Reply)> = stream::iter(0..CLIENTS)
        .map(async |client| {
            let lines = headers(client).iter();
            let lines: String = lines
                .map(|(name, value)| format!("{name}: {value}\r\n"))
                .collect();
            (client, server.get(&lines).await)
        })
        .buffer_unordered(100)
        .filter_map(async |(client, mut reply)| {
            let soft = client.is_multiple_of(2);
            if reply.status == 200 && reply.header("content-length").is_none() {
                reply.assert_ok();
                return Some((client, reply));
            }
            reply.assert_readable_by(APP);
            if soft {
                assert_eq!(reply.status, 200);
                let millis = retry(&reply.body().await).expect("only retry:");
                assert!((5000..=7500).contains(&millis), "{millis}");
            } else {
                reply.assert_err(429);
                let seconds: u64 = reply.header("retry-after").unwrap().parse().unwrap();
                assert!((4..=6).contains(&seconds), "{seconds}");
                assert_eq!(reply.body().await, refusal("rate_limit"));
            }
            None
        })
        .collect()
        .await;
    let took = since.elapsed();
    let open = replies.len();
    assert!(
        (PER_SECOND as usize..=most(took)).contains(&open),
        "{open} in {took:?}"
    );
    assert_eq!(recording.active.load(Ordering::SeqCst), open);
    let refused = recording.refusals();
    assert_eq!(open + refused.len(), CLIENTS, "nobody was lost");
    for heard in refused {
        assert_eq!(heard.reason, "rate_limit");
        match heard.mode {
            RefusalMode::Soft => assert_eq!(heard.status, 200),
            mode => assert_eq!((mode, heard.status), (RefusalMode::Hard, 429)),
        }
    }
}

/// The stream, or how long the client is to wait.
fn wait_of<B: MessageBody>(response: ServiceResponse<B>) -> Result<ServiceResponse<B>, Duration> {
    let BodySize::Sized(_) = response.response().body().size() else {
        assert_eq!(response.status(), 200);
        return Ok(response);
    };
    let seconds = response.headers().get("retry-after");
    let seconds = seconds.map(|value| value.to_str().unwrap().parse().unwrap());
    if let Some(seconds) = seconds {
        assert_eq!(response.status(), 429);
        return Err(Duration::from_secs(seconds));
    }
    let Ok(body) = response.into_body().try_into_bytes() else {
        panic!("a soft refusal has its whole body");
    };
    Err(Duration::from_millis(retry(&body).expect("only retry:")))
}

fn request(path: &str, client: usize) -> Request {
    let request = headers(client).iter().fold(
        TestRequest::get()
            .uri(path)
            .insert_header(("Host", "api.example.com"))
            .insert_header(("Accept", "text/event-stream")),
        |request, header| request.insert_header(*header),
    );
    request.to_request()
}

/// The clock is the test's: 5000 clients do as they are told until all have their streams.
#[tokio::test(start_paused = true)]
async fn l17_all_are_back_as_soon_as_the_rate_allows() {
    /// The longest wait that anybody is asked for.
    const LONGEST: Duration = Duration::from_millis(7500);
    let recording: Arc<Recording> = Arc::default();
    let policy = rated(&recording);
    let data = web::Data::from(Arc::clone(&recording));
    let app = App::new().app_data(data).configure(streams(policy));
    let app = Rc::new(init_service(app).await);
    let (start, tasks) = (Instant::now(), LocalSet::new());
    // What each refusal took by the real clock.
    let refusing = Rc::new(RefCell::new(Vec::new()));
    let mut clients = Vec::with_capacity(CLIENTS);
    for client in 0..CLIENTS {
        let (app, refusing) = (Rc::clone(&app), Rc::clone(&refusing));
        // With its stream, which stays open to the end.
        clients.push(tasks.spawn_local(async move {
            loop {
                let request = request("/events", client);
                let called = std::time::Instant::now();
                let response = app.call(request).await.unwrap();
                let took = called.elapsed();
                match wait_of(response) {
                    Ok(stream) => return stream,
                    Err(wait) => {
                        assert!((Duration::from_secs(4)..=LONGEST).contains(&wait));
                        refusing.borrow_mut().push(took);
                        tokio::time::sleep(wait).await;
                    }
                }
            }
        }));
    }
    tasks.await;
    let took = start.elapsed();
    assert!(clients.iter().all(tokio::task::JoinHandle::is_finished));
    assert_eq!(recording.active.load(Ordering::SeqCst), CLIENTS);
    assert!(CLIENTS <= most(took), "faster than the rate: {took:?}");
    // After the first wave nobody comes for a wait; of the last ones, fewer come than could.
    let bound = Duration::from_secs(CLIENTS as u64) / PER_SECOND + LONGEST * 3;
    assert!(took <= bound, "{took:?}, and not {bound:?}");
    // Most of them: during some the machine does something else.
    let mut refusing = refusing.take();
    refusing.sort_unstable();
    let each = refusing[refusing.len() / 2];
    assert!(each < Duration::from_millis(1), "{each:?} per refusal");
}

/// Asks until it has a stream, as an `EventSource` does.
async fn open<B: MessageBody>(
    app: &impl Service<Request, Response = ServiceResponse<B>, Error = Error>,
    path: &str,
) -> ServiceResponse<B> {
    loop {
        match wait_of(app.call(request(path, 0)).await.unwrap()) {
            Ok(stream) => return stream,
            Err(wait) => tokio::time::sleep(wait).await,
        }
    }
}

/// A thousand `EventSource`s follow a topic on one node until their streams end as planned, and
/// come back to another: when each stream ended, and when its client had the next one.
async fn come_back(
    nodes: [&Hub; 2],
    per_second: u32,
    end: impl AsyncFnOnce(),
) -> Vec<(Instant, Instant)> {
    const FOLLOWERS: usize = 1000;
    let policy = reference(&Arc::default())
        .streams_per_ip(2 * FOLLOWERS as u32)
        .streams(2 * FOLLOWERS as u32)
        .connects_per_ip(RatePerIp::Unlimited)
        .connects_per_second(per_second)
        .build()
        .unwrap();
    let mut app = App::new();
    for (path, hub) in ["/one", "/other"].into_iter().zip(nodes) {
        let hub = hub.clone();
        let follow = move |subscriber: Subscriber| {
            let answer = hub.subscribe("demo", subscriber);
            async move { answer }
        };
        let stream = web::resource(path).wrap(policy.clone());
        app = app.service(stream.route(web::get().to(follow)));
    }
    let app = Rc::new(init_service(app).await);
    let tasks = LocalSet::new();
    let followers: Vec<_> = (0..FOLLOWERS)
        .map(|_| {
            let app = Rc::clone(&app);
            tasks.spawn_local(async move {
                let stream = open(&*app, "/one").await;
                let Ok(bytes) = to_bytes(stream.into_body()).await else {
                    panic!("a stream ends, it does not fail");
                };
                let ended = Instant::now();
                let text = std::str::from_utf8(&bytes).unwrap();
                let (_, last) = text.rsplit_once("retry: ").unwrap();
                let millis = last.split_once('\n').unwrap().0.parse().unwrap();
                tokio::time::sleep(Duration::from_millis(millis)).await;
                let stream = open(&*app, "/other").await;
                (ended, Instant::now(), stream)
            })
        })
        .collect();
    tasks
        .run_until(async {
            while nodes[0].subscribers("demo") < FOLLOWERS {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            end().await;
            let mut seen = Vec::new();
            let mut streams = Vec::new();
            for follower in followers {
                let (ended, back, stream) = follower.await.unwrap();
                seen.push((ended, back));
                streams.push(stream);
            }
            seen
        })
        .await
}

/// The most that came within any stretch so long.
fn crowd(seen: &[(Instant, Instant)], stretch: Duration) -> usize {
    let mut came: Vec<_> = seen.iter().map(|(_, back)| *back).collect();
    came.sort_unstable();
    let within = |first: &Instant| came.partition_point(|at| *at < *first + stretch);
    let crowds = came
        .iter()
        .enumerate()
        .map(|(before, at)| within(at) - before);
    crowds.max().unwrap()
}

fn longest_dark(seen: &[(Instant, Instant)]) -> Duration {
    seen.iter()
        .map(|(ended, back)| *back - *ended)
        .max()
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn w03_a_thousand_streams_of_one_age_end_and_come_back_spread() {
    let mut stream = StreamConfig::default();
    stream.max_lifetime = Some(Duration::from_secs(3600));
    let hub = Hub::builder().stream(stream).build().unwrap();
    let seen = come_back([&hub, &hub], 500, async || ()).await;
    let dark = longest_dark(&seen);
    assert!(dark <= Duration::from_secs(3), "dark for {dark:?}");
    let crowd = crowd(&seen, Duration::from_secs(1));
    assert!(crowd <= 20, "{crowd} of 1000 within a second");
}

#[tokio::test(start_paused = true)]
async fn t18_l17_w03_a_thousand_that_a_drain_sends_to_another_node_come_at_its_rate() {
    let mut stream = StreamConfig::default();
    stream.drain_retry = Some(Duration::from_secs(1));
    let one = Hub::builder().stream(stream).build().unwrap();
    let other = Hub::builder().build().unwrap();
    let seen = come_back([&one, &other], 500, async || one.drain().await).await;
    // A drain ends streams one after the other.
    for (stretch, most) in [(1000, 300), (100, 60)] {
        let came = crowd(&seen, Duration::from_millis(stretch));
        assert!(came <= most, "{came} of 1000 within {stretch} ms");
    }
    let dark = longest_dark(&seen);
    assert!(dark <= Duration::from_secs(3), "dark for {dark:?}");
}
