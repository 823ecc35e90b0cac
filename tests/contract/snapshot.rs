//! Groups R and D for streams that begin with a snapshot, on real connections: both lanes, HTTP/2,
//! two workers.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
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
    /// Whoever has this lets nobody else add numbers.
    adding: Arc<Mutex<()>>,
}

impl State {
    /// How many numbers there are.
    fn len(&self) -> usize {
        *self.numbers.lock().unwrap()
    }

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
            // Heartbeats come when they come, and on a busy machine several.
            let (first, rest) = wire.split_at(":\n".len());
            let rest = rest.split_inclusive('\n').filter(|line| *line != ":\n");
            assert_eq!(
                rest.fold(first.to_owned(), |wire, line| wire + line),
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
    /// The last event was one of those behind a snapshot.
    live: bool,
}

impl Page {
    /// Takes one event.
    fn take(&mut self, stream: &mut EventStream) {
        let event = stream.next_event();
        self.live = event.event().is_none();
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

    /// Takes events until it has so many numbers.
    fn take_up_to(&mut self, numbers: usize, stream: &mut EventStream) {
        while self.next < numbers {
            self.take(stream);
        }
    }
}

/// How many numbers the log keeps.
const KEPT: usize = 60;

/// Hundreds of cuts while another thread publishes without pause, with a log that is often too short.
#[test]
fn d15_r15_a_page_has_every_change_exactly_once_while_others_publish() {
    for front in Front::ALL {
        let state = State::default();
        let app = serve(front, &state, KEPT);
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            // A page that panics ends the test, and not only itself.
            let ends = Over(&over);
            let publisher = scope.spawn(|| {
                while !over.load(Ordering::SeqCst) {
                    let adding = state.adding.lock().unwrap();
                    for _ in 0..4 {
                        state.add(&app.hub);
                    }
                    drop(adding);
                    thread::sleep(Duration::from_millis(1));
                }
            });
            let pages = (0..4).map(|seed| {
                let (app, state) = (&app, &state);
                scope.spawn(move || reconnects(app, state, seed))
            });
            let pages = pages.collect::<Vec<_>>();
            let pages = pages.into_iter().map(|page| page.join().unwrap());
            let pages = pages.collect::<Vec<_>>();
            drop(ends);
            publisher.join().unwrap();
            for mut page in pages {
                let mut stream = open(&app, page.id.as_deref());
                page.take_up_to(state.len(), &mut stream);
                assert!(page.snapshots > 1, "some came back to a gap");
            }
        });
    }
}

/// Ends the publisher when it is dropped.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Sixty cuts. How much comes meanwhile is chance, but for some of them: from one in five the page comes back to a
/// gap, and from one to all that it has missed, however the machine shares out its time.
fn reconnects(app: &App, state: &State, seed: u64) -> Page {
    let mut random = Rng::with_seed(seed);
    let mut page = Page::default();
    for round in 0..60 {
        let mut stream = open(app, page.id.as_deref());
        for _ in 0..random.usize(1..30) {
            page.take(&mut stream);
        }
        match round % 5 {
            0 => {
                drop(stream);
                until("more has come than is kept", LIMIT, || {
                    (state.len() > page.next + KEPT).then_some(())
                });
            }
            1 => {
                let adding = state.adding.lock().unwrap();
                // Until the page has all there is, and the ID of the newest number.
                page.live = false;
                while !page.live {
                    state.add(&app.hub);
                    page.take_up_to(state.len(), &mut stream);
                }
                drop(stream);
                for _ in 0..random.usize(1..KEPT) {
                    state.add(&app.hub);
                }
                let snapshots = page.snapshots;
                let mut stream = open(app, page.id.as_deref());
                page.take_up_to(state.len(), &mut stream);
                assert_eq!(page.snapshots, snapshots, "what it missed was there");
                drop(adding);
            }
            _ => {
                drop(stream);
                thread::sleep(Duration::from_millis(random.u64(..30)));
            }
        }
    }
    page
}
