//! Groups R and D for streams that begin with a snapshot, on real connections: both lanes, HTTP/2,
//! two workers.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use actix_web::{Responder, web};
use actix_web_sse::{Event, Hub, Snapshot, Subscriber};
use actix_web_sse_tests::{App, EventStream, Front, LIMIT, Request, until};
use fastrand::Rng;

use crate::hub_protocols::Http2Stream;

/// The state of the application: numbers that only grow.
#[derive(Clone, Default)]
struct State {
    numbers: Arc<Mutex<usize>>,
    /// How often a snapshot was made.
    made: Arc<AtomicUsize>,
}

impl State {
    /// Adds a number and publishes it, in one step for everybody else.
    fn add(&self, hub: &Hub) -> String {
        let mut numbers = self.numbers.lock().unwrap();
        let published = hub.publish("t", Event::data(numbers.to_string())).unwrap();
        *numbers += 1;
        published.id.expect("an ID")
    }
}

/// How many numbers there are, slowly, in two events.
async fn state(hub: Hub, subscriber: Subscriber, state: web::Data<State>) -> impl Responder {
    let now = hub.clone();
    hub.subscribe("t", subscriber).snapshot(async move |_| {
        actix_web::rt::time::sleep(Duration::from_millis(fastrand::u64(..8))).await;
        state.made.fetch_add(1, Ordering::SeqCst);
        let numbers = state.numbers.lock().unwrap();
        let event = |name: &'static str| Event::data(numbers.to_string()).name(name);
        let events = ["begin", "end"].map(event).into_iter();
        let events = events.collect::<Result<_, _>>();
        events.map(|events| Snapshot::list(events).at(now.position()))
    })
}

fn serve(front: Front, state_of: &State, replay_events: usize) -> App {
    let mut hub = actix_web_sse_tests::reference_hub();
    hub.replay_events = replay_events;
    let mut stream = actix_web_sse_tests::reference_stream();
    stream.retry_jitter = 0.0;
    let shared = web::Data::new(state_of.clone());
    App::on(front, 2, hub, stream, move |config| {
        config
            .app_data(shared.clone())
            .route("/state", web::get().to(state));
    })
}

fn open(app: &App, id: Option<&str>) -> EventStream {
    let request = Request::stream("/state");
    match id {
        None => request.open(app.address),
        Some(id) => request.header("Last-Event-ID", id).open(app.address),
    }
}

#[test]
fn r02_the_wire_bytes_of_a_snapshot_are_these_in_both_lanes() {
    for front in Front::ALL {
        let state = State::default();
        let app = serve(front, &state, 1);
        let old = state.add(&app.hub);
        state.add(&app.hub);
        let reset = "event: reset\ndata: {\"reason\":\"gap\"}\n\n";
        for (id, reset) in [(None, ""), (Some(&*old), reset)] {
            state.add(&app.hub);
            let at = *state.numbers.lock().unwrap();
            let mut stream = open(&app, id);
            while stream.next_event().event() != Some("end") {}
            let live = state.add(&app.hub);
            assert_eq!(stream.next_event().id(), Some(&*live));
            let anchor = stream.anchor().expect("an anchor behind the snapshot");
            let wire = String::from_utf8(stream.wire().to_vec()).unwrap();
            // Heartbeats come when they come.
            let wire = wire.replace("\n:\n", "\n");
            assert_eq!(
                wire,
                format!(
                    ":\nretry: 3000\n{reset}event: begin\ndata: {at}\n\nevent: end\ndata: {at}\n\n\
                     id: {anchor}\nevent: anchor\ndata: {{}}\n\nid: {live}\ndata: {at}\n\n"
                )
            );
            let sockets = usize::from(front == Front::EventServer);
            until("it is in its lane", LIMIT, || {
                (app.hub.stats().sockets == sockets).then_some(())
            });
        }
    }
}

#[actix_web::test]
async fn e18_http_2_carries_a_snapshot() {
    let state = State::default();
    let app = serve(Front::HttpServer, &state, 100);
    let (mut stream, _) = Http2Stream::open_at(app.address, "/state").await;
    stream.until("event: anchor\ndata: {}\n\n").await;
    let id = state.add(&app.hub);
    stream.until(&format!("id: {id}\ndata: 0\n\n")).await;
}

/// A page that begins anew with a snapshot and goes on with what changes.
#[derive(Default)]
struct Page {
    next: usize,
    id: Option<String>,
    snapshots: usize,
}

impl Page {
    /// Takes one event.
    fn take(&mut self, stream: &mut EventStream) {
        let event = stream.next_event();
        let number = || event.data().and_then(|data| data.parse::<usize>().ok());
        match event.event() {
            Some("reset" | "begin") => {}
            Some("end") => {
                self.next = number().expect("a number");
                self.snapshots += 1;
            }
            None => {
                assert_eq!(number(), Some(self.next), "each exactly once, in order");
                self.next += 1;
            }
            Some(other) => panic!("{other}"),
        }
        self.id = event
            .id()
            .or(stream.anchor())
            .or(self.id.as_deref())
            .map(str::to_owned);
    }
}

/// Hundreds of cuts while another thread publishes without pause, with a log that is often too short.
#[test]
fn d15_r15_a_page_has_every_change_exactly_once_while_others_publish() {
    for front in Front::ALL {
        let state = State::default();
        let app = serve(front, &state, 60);
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            let publisher = scope.spawn(|| {
                while !over.load(Ordering::SeqCst) {
                    for _ in 0..4 {
                        state.add(&app.hub);
                    }
                    thread::sleep(Duration::from_millis(1));
                }
            });
            let pages = (0..4).map(|seed| {
                let app = &app;
                scope.spawn(move || {
                    let mut random = Rng::with_seed(seed);
                    let mut page = Page::default();
                    for _ in 0..60 {
                        let mut stream = open(app, page.id.as_deref());
                        for _ in 0..random.usize(1..30) {
                            page.take(&mut stream);
                        }
                        drop(stream);
                        thread::sleep(Duration::from_millis(random.u64(..30)));
                    }
                    page
                })
            });
            let pages = pages.collect::<Vec<_>>();
            let pages = pages.into_iter().map(|page| page.join().unwrap());
            let pages = pages.collect::<Vec<_>>();
            over.store(true, Ordering::SeqCst);
            publisher.join().unwrap();
            for mut page in pages {
                let mut stream = open(&app, page.id.as_deref());
                let all = *state.numbers.lock().unwrap();
                while page.next < all {
                    page.take(&mut stream);
                }
                assert!(page.snapshots > 1, "some came back to a gap");
            }
        });
        let made = state.made.load(Ordering::SeqCst);
        assert!(made < 4 * 60, "{made}: some came back to what they missed");
    }
}
