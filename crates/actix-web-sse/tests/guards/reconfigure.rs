//! Other rules for a policy that is in use.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use actix_web::web::{self, ServiceConfig};
use actix_web_sse::{
    Event, Hub, Identity, Policy, Subscriber,
    config::PolicyConfig,
    observe::{End, Observer, Opened, PolicyInfo, StreamObserver},
    protect::{Attempt, AuthError, AuthFuture, Authenticator, RemovedOrigins},
};
use tokio::{sync::Notify, time::timeout};

use super::reply::over_both;
use super::support::{APP, LIMIT, Reply, Server, reference, wait_until};

const OTHER: &str = "https://other.example.com";
const TENANT: &str = "https://a.tenant.example.net";

/// What the hub and the policies report.
#[derive(Default)]
struct Heard {
    ends: Mutex<Vec<&'static str>>,
    policies: Mutex<Vec<PolicyInfo>>,
}

#[derive(Clone)]
struct Listener(Arc<Heard>);

impl Observer for Listener {
    fn opened(&self, _: &Opened<'_>) -> Box<dyn StreamObserver> {
        Box::new(self.clone())
    }

    fn policy_changed(&self, before: &PolicyInfo, after: &PolicyInfo) {
        let mut policies = self.0.policies.lock().unwrap();
        policies.extend([before.clone(), after.clone()]);
    }
}

impl StreamObserver for Listener {
    fn closed(self: Box<Self>, end: &End) {
        self.0.ends.lock().unwrap().push(end.reason.as_str());
    }
}

/// Lets everybody in; who is called `slow` when the gate opens.
#[derive(Clone, Default)]
struct Gate {
    waiting: Arc<AtomicBool>,
    open: Arc<Notify>,
}

impl Authenticator for Gate {
    fn authenticate<'a>(&'a self, attempt: Attempt<'a>) -> AuthFuture<'a> {
        Box::pin(async move {
            let user = attempt.token.ok_or(AuthError::Missing)?.text;
            if user == "slow" {
                self.waiting.store(true, Ordering::SeqCst);
                self.open.notified().await;
            }
            Ok(Identity::user(user))
        })
    }
}

fn config(allow: &[&str]) -> PolicyConfig {
    let mut config = PolicyConfig::default();
    config.hosts = vec!["api.example.com".into()];
    config.origins.allow = allow.iter().map(|origin| (*origin).to_owned()).collect();
    config.origins.credentials = true;
    config
}

struct Scene {
    server: Server,
    hub: Hub,
    policy: Policy,
    gate: Gate,
    heard: Arc<Heard>,
}

impl Scene {
    fn new(config: PolicyConfig) -> Self {
        let heard: Arc<Heard> = Arc::default();
        // Over HTTP/2 the next heartbeat tells that a client has gone.
        let hub = Hub::builder()
            .with(|_, stream| stream.heartbeat = Duration::from_secs(1))
            .observer(Listener(Arc::clone(&heard)))
            .build()
            .unwrap();
        let gate = Gate::default();
        let policy = reference(&Arc::default())
            .config(config)
            .authenticator(gate.clone())
            .observer(Listener(Arc::clone(&heard)))
            .build()
            .unwrap();
        let (mounted, streams) = (policy.clone(), hub.clone());
        let server = Server::start(&Arc::default(), move |config: &mut ServiceConfig| {
            config.app_data(streams.clone()).service(
                web::scope("")
                    .wrap(mounted.clone())
                    .route("/events", web::get().to(stream)),
            );
        });
        Self {
            server,
            hub,
            policy,
            gate,
            heard,
        }
    }

    async fn open(&self, origin: &str, user: &str) -> Reply {
        let lines = format!("Origin: {origin}\r\nAuthorization: Bearer {user}\r\n");
        self.server.get(&lines).await
    }

    fn ends(&self) -> Vec<&'static str> {
        self.heard.ends.lock().unwrap().clone()
    }

    async fn has_streams(&self, streams: usize) {
        wait_until("so many streams", || self.hub.stats().streams == streams).await;
    }
}

async fn stream(hub: Hub, subscriber: Subscriber) -> impl actix_web::Responder {
    hub.subscribe("news", subscriber)
}

async fn w14_new_rules_hold_for_what_comes_and_open_streams_go_on() {
    let scene = Scene::new(config(&[APP]));
    let mut old = scene.open(APP, "ada").await;
    old.assert_ok();
    scene.open(OTHER, "ada").await.assert_err(403);
    let other = config(&[OTHER]);
    scene
        .policy
        .reconfigure(&other, RemovedOrigins::KeepStreams)
        .unwrap();
    scene.open(APP, "ada").await.assert_err(403);
    let new = scene.open(OTHER, "ada").await;
    new.assert_ok();
    new.assert_readable_by(OTHER);
    scene.has_streams(2).await;
    scene
        .hub
        .publish("news", Event::data("still here"))
        .unwrap();
    old.until("still here").await;
    assert_eq!(scene.ends(), [""; 0]);
}

async fn w14_streams_of_removed_origins_end_with_a_reason_of_their_own() {
    let scene = Scene::new(config(&[APP, "https://*.tenant.example.net"]));
    let removed = scene.open(APP, "ada").await;
    let by_pattern = scene.open("https://b.tenant.example.net", "ada").await;
    let mut now_exact = scene.open(TENANT, "ada").await;
    let mut program = scene.server.get("Authorization: Bearer ada\r\n").await;
    for reply in [&removed, &by_pattern, &now_exact, &program] {
        reply.assert_ok();
    }
    let changed = config(&[OTHER, TENANT]);
    scene
        .policy
        .reconfigure(&changed, RemovedOrigins::EndStreams)
        .unwrap();
    removed.rest_of_it().await;
    by_pattern.rest_of_it().await;
    scene.has_streams(2).await;
    assert_eq!(scene.ends(), ["origin_removed"; 2]);
    scene
        .hub
        .publish("news", Event::data("still here"))
        .unwrap();
    now_exact.until("still here").await;
    program.until("still here").await;
    let policies = scene.heard.policies.lock().unwrap();
    assert_eq!(policies.len(), 2);
    assert_eq!(policies[0].origins.len(), 2);
    assert!(policies[1].origins.iter().any(|origin| &**origin == OTHER));
}

/// A policy ends the streams that it let in, and no others of the same hub.
#[actix_rt::test]
async fn w14_other_policies_streams_go_on() {
    let scene = Scene::new(config(&[APP]));
    let mine = scene.open(APP, "ada").await;
    mine.assert_ok();
    let other = reference(&Arc::default())
        .config(config(&[APP]))
        .build()
        .unwrap();
    scene.open(APP, "bob").await.assert_ok();
    other
        .reconfigure(&config(&[OTHER]), RemovedOrigins::EndStreams)
        .unwrap();
    scene
        .hub
        .publish("news", Event::data("still here"))
        .unwrap();
    let mut mine = mine;
    mine.until("still here").await;
    assert!(!scene.ends().contains(&"origin_removed"));
}

/// Decided by the old rules, and about to open by the new ones.
async fn w14_a_request_on_its_way_opens_nothing_for_an_origin_that_is_gone() {
    for (removed, status) in [
        (RemovedOrigins::EndStreams, 403),
        (RemovedOrigins::KeepStreams, 200),
    ] {
        let scene = Scene::new(config(&[APP]));
        let asking = scene.open(APP, "slow");
        let changing = async {
            let waits = || scene.gate.waiting.load(Ordering::SeqCst);
            wait_until("it waits", waits).await;
            scene
                .policy
                .reconfigure(&config(&[OTHER]), removed)
                .unwrap();
            scene.gate.open.notify_one();
        };
        let both = futures_util::future::join(asking, changing);
        let (reply, ()) = timeout(LIMIT, both).await.unwrap();
        assert_eq!(reply.status, status, "{removed:?}");
        // The reply is by the rules that the request found.
        reply.assert_readable_by(APP);
    }
}

async fn w14_what_is_wrong_changes_nothing() {
    let scene = Scene::new(config(&[APP]));
    let open = scene.open(APP, "ada").await;
    open.assert_ok();
    let mut wrong = config(&["https://other.example.com/", "*"]);
    wrong.limits.per_ip = Some(0);
    let error = scene
        .policy
        .reconfigure(&wrong, RemovedOrigins::EndStreams)
        .unwrap_err();
    assert!(error.faults().len() >= 3, "{error}");
    let mut prefix = config(&[OTHER]);
    prefix.limits.ipv6_prefix = 56;
    let error = scene
        .policy
        .reconfigure(&prefix, RemovedOrigins::EndStreams)
        .unwrap_err();
    assert_eq!(error.faults()[0].key, "policy.limits.ipv6_prefix");
    scene.open(OTHER, "ada").await.assert_err(403);
    scene.open(APP, "ada").await.assert_ok();
    assert!(scene.heard.policies.lock().unwrap().is_empty());
    assert!(!scene.ends().contains(&"origin_removed"));
}

/// What is held counts against new limits, and a lower one ends nothing.
async fn w14_permits_stay() {
    let mut three = config(&[APP]);
    three.limits.per_ip = Some(3);
    let scene = Scene::new(three.clone());
    let held = [scene.open(APP, "a").await, scene.open(APP, "b").await];
    held.iter().for_each(Reply::assert_ok);
    let mut two = three.clone();
    two.limits.per_ip = Some(2);
    scene
        .policy
        .reconfigure(&two, RemovedOrigins::EndStreams)
        .unwrap();
    scene.open(APP, "c").await.assert_err(429);
    assert_eq!(scene.hub.stats().streams, 2);
    scene
        .policy
        .reconfigure(&three, RemovedOrigins::EndStreams)
        .unwrap();
    let third = scene.open(APP, "c").await;
    third.assert_ok();
    scene.open(APP, "d").await.assert_err(429);
    drop((held, third));
    scene.has_streams(0).await;
    let again = scene.open(APP, "d").await;
    again.assert_ok();
}

/// Many swaps beside many requests: each reply is by one set of rules, whole.
#[actix_rt::test]
async fn w14_no_reply_is_half_by_one_set_of_rules() {
    let (mut open, mut closed) = (config(&[APP]), config(&[OTHER]));
    open.origins.expose_headers = vec!["x-open".into()];
    closed.origins.expose_headers = vec!["x-closed".into()];
    for config in [&mut open, &mut closed] {
        config.limits.per_ip = None;
        config.limits.connects_per_second = None;
    }
    let scene = Scene::new(open.clone());
    let stop = Arc::new(AtomicBool::new(false));
    let swapping = std::thread::spawn({
        let (policy, stop) = (scene.policy.clone(), Arc::clone(&stop));
        move || {
            while !stop.load(Ordering::SeqCst) {
                for config in [&closed, &open] {
                    policy
                        .reconfigure(config, RemovedOrigins::EndStreams)
                        .unwrap();
                }
            }
        }
    });
    let mut seen = [0, 0];
    for _ in 0..60 {
        for (origin, header) in [(APP, "x-open"), (OTHER, "x-closed")] {
            let reply = scene.open(origin, "ada").await;
            let exposed = reply
                .header("access-control-expose-headers")
                .map(str::to_owned);
            match reply.header("access-control-allow-origin") {
                Some(allowed) => {
                    assert_eq!((allowed, exposed.as_deref()), (origin, Some(header)));
                    seen[0] += 1;
                }
                None => {
                    assert_eq!((reply.status, exposed), (403, None));
                    seen[1] += 1;
                }
            }
        }
    }
    stop.store(true, Ordering::SeqCst);
    swapping.join().unwrap();
    assert!(seen.iter().all(|times| *times > 0), "{seen:?}");
    scene.has_streams(0).await;
}

/// Over HTTP/1 an `actix_cors` of the same list goes along.
#[cfg(feature = "actix-cors")]
#[actix_rt::test]
async fn w14_the_list_for_other_routes_goes_along() {
    use actix_web::{App, HttpResponse, test};

    let policy = reference(&Arc::default())
        .config(config(&[APP]))
        .build()
        .unwrap();
    let cors = policy.cors();
    let app = test::init_service(
        App::new().service(
            web::resource("/me")
                .wrap(cors)
                .route(web::get().to(HttpResponse::Ok)),
        ),
    )
    .await;
    let status = async |origin: &str| {
        let request = test::TestRequest::get()
            .uri("/me")
            .insert_header(("origin", origin));
        test::call_service(&app, request.to_request())
            .await
            .status()
            .as_u16()
    };
    assert_eq!((status(APP).await, status(OTHER).await), (200, 400));
    policy
        .reconfigure(&config(&[OTHER]), RemovedOrigins::EndStreams)
        .unwrap();
    assert_eq!((status(APP).await, status(OTHER).await), (400, 200));
    // It was made with credentials: without them, or for everybody, it is not this list any more.
    let mut public = config(&["*"]);
    public.origins.credentials = false;
    policy
        .reconfigure(&public, RemovedOrigins::EndStreams)
        .unwrap();
    assert_eq!((status(APP).await, status(OTHER).await), (400, 400));
}

over_both! {
    w14_new_rules_hold_for_what_comes_and_open_streams_go_on,
    w14_streams_of_removed_origins_end_with_a_reason_of_their_own,
    w14_a_request_on_its_way_opens_nothing_for_an_origin_that_is_gone,
    w14_what_is_wrong_changes_nothing,
    w14_permits_stay,
}
