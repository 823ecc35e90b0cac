//! Streams that begin with a snapshot, on two nodes: a page that moves between them has every change
//! exactly once.

use std::{
    cell::Cell,
    rc::Rc,
    time::{Duration, Instant},
};

use actix_web::{
    Responder, body::MessageBody as _, dev::ServiceResponse, http::StatusCode, test::TestRequest,
};
use actix_web_sse::{Event, Position, Snapshot, Subscriber, test::read_events};
use tokio::sync::Mutex;

use crate::{
    node::{Node, config},
    server::{LIMIT, Server},
};

const EVENTS: usize = 600;

/// What all nodes share: how many numbers there are, and where that stands.
#[derive(Default)]
struct State {
    numbers: usize,
    position: Option<Position>,
}

/// Adds a number and publishes it. Whoever reads the state has both or neither.
async fn add(state: &Mutex<State>, node: &Node) {
    let mut state = state.lock().await;
    let id = node.publish("t", &state.numbers.to_string()).await;
    state.numbers += 1;
    state.position = id.parse().ok();
}

fn open(state: &Rc<Mutex<State>>, node: &Node, id: Option<&str>) -> ServiceResponse {
    let mut request = TestRequest::get();
    if let Some(id) = id {
        request = request.insert_header(("last-event-id", id));
    }
    let request = request.to_http_request();
    let state = Rc::clone(state);
    let subscription = node.hub.subscribe("t", Subscriber::of(&request));
    let response = subscription
        .snapshot(async move |at| {
            let state = state.lock().await;
            let position = state.position.clone().unwrap_or(at);
            let event = Event::data(state.numbers.to_string()).name("state");
            event.map(|event| Snapshot::of(event).at(position))
        })
        .respond_to(&request);
    assert_eq!(response.status(), StatusCode::OK);
    ServiceResponse::new(request, response.map_body(|_, body| body.boxed()))
}

/// A page, which goes from node to node.
#[derive(Default)]
struct Page {
    next: usize,
    id: Option<String>,
    snapshots: usize,
    hits: usize,
}

impl Page {
    /// Reads some events of a stream at this node.
    async fn visit(&mut self, state: &Rc<Mutex<State>>, node: &Node, events: usize) {
        let response = open(state, node, self.id.as_deref());
        let reading = read_events(response, events, LIMIT).await;
        for (number, event) in reading.events.iter().enumerate() {
            match event.event.as_str() {
                "state" => {
                    self.next = event.data.parse().unwrap();
                    self.snapshots += 1;
                }
                "reset" => {}
                _ => {
                    self.hits += usize::from(number == 0);
                    assert_eq!(event.data, self.next.to_string(), "each exactly once");
                    self.next += 1;
                }
            }
        }
        let last = reading
            .events
            .last()
            .map(|event| event.last_event_id.clone());
        let last = last.filter(|id| !id.is_empty()).or(reading.anchor);
        self.id = last.or(self.id.take());
    }
}

#[actix_web::test]
async fn d15_s82_a_page_that_moves_between_nodes_has_every_change_exactly_once() {
    let server = Server::start();
    let nodes = [(); 2].map(|()| Node::start(config(&server)));
    let state = Rc::<Mutex<State>>::default();
    let over = Rc::new(Cell::new(false));
    let publishing = {
        let (state, nodes, over) = (Rc::clone(&state), nodes.clone(), Rc::clone(&over));
        actix_web::rt::spawn(async move {
            for turn in 0.. {
                add(&state, &nodes[turn % 2]).await;
                actix_web::rt::time::sleep(Duration::from_millis(1)).await;
                if over.get() {
                    break;
                }
            }
        })
    };
    let mut random = fastrand::Rng::with_seed(82);
    let mut pages = [(); 3].map(|()| Page::default());
    // Until there was enough of everything, however fast the one side is and the other.
    let enough = |page: &Page| page.snapshots > 1 && page.hits > 1;
    let start = Instant::now();
    while state.lock().await.numbers < EVENTS || !pages.iter().all(enough) {
        assert!(
            start.elapsed() < LIMIT * 2,
            "pages that come back too seldom"
        );
        for page in &mut pages {
            if random.u8(..6) == 0 {
                // It is loaded again.
                page.id = None;
            }
            let events = random.usize(1..12);
            let visit = page.visit(&state, &nodes[random.usize(..2)], events);
            let _ = tokio::time::timeout(Duration::from_secs(2), visit).await;
        }
    }
    over.set(true);
    publishing.await.unwrap();
    for page in &mut pages {
        let node = &nodes[random.usize(..2)];
        add(&state, node).await;
        let all = state.lock().await.numbers;
        while page.next < all {
            page.visit(&state, node, 1).await;
        }
    }
}
