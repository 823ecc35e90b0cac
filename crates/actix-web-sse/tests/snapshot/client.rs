//! Streams whose bodies are polled by hand, on a clock that stands still until somebody waits.

use std::{
    cell::RefCell,
    future::poll_fn,
    pin::Pin,
    rc::Rc,
    sync::{Arc, Mutex},
    time::Duration,
};

use actix_web::{
    HttpRequest, Responder,
    body::{BoxBody, MessageBody},
    test::TestRequest,
};
use actix_web_sse::{
    Event, Hub, HubBuilder, Subscriber, Subscription,
    config::HubConfig,
    observe::{CloseReason, End, Observer, Opened, Resume, SnapshotOutcome, StreamObserver},
};
use tokio::time::timeout;

/// Keeps what is reported of all streams.
#[derive(Debug, Default, Clone)]
pub(crate) struct Recorder(Arc<Mutex<Recorded>>);

#[derive(Debug, Default, Clone)]
pub(crate) struct Recorded {
    pub(crate) opened: Vec<Resume>,
    pub(crate) snapshots: Vec<SnapshotOutcome>,
    pub(crate) closed: Vec<CloseReason>,
}

impl Recorder {
    pub(crate) fn look(&self) -> Recorded {
        self.0.lock().unwrap().clone()
    }
}

impl Observer for Recorder {
    fn opened(&self, opened: &Opened<'_>) -> Box<dyn StreamObserver> {
        self.0.lock().unwrap().opened.push(opened.resume);
        Box::new(self.clone())
    }
}

impl StreamObserver for Recorder {
    fn snapshot(&mut self, outcome: SnapshotOutcome) {
        self.0.lock().unwrap().snapshots.push(outcome);
    }

    fn closed(self: Box<Self>, end: &End) {
        self.0.lock().unwrap().closed.push(end.reason);
    }
}

pub(crate) fn builder(recorder: &Recorder, change: impl FnOnce(&mut HubConfig)) -> HubBuilder {
    let hub = Hub::builder().observer(recorder.clone());
    hub.with(|hub, stream| {
        stream.retry_jitter = 0.0;
        change(hub);
    })
}

pub(crate) fn hub(recorder: &Recorder, change: impl FnOnce(&mut HubConfig)) -> Hub {
    builder(recorder, change).build().unwrap()
}

/// Publishes, and says where.
#[allow(
    clippy::needless_pass_by_value,
    reason = "callers hand over numbers and texts as they are"
)]
pub(crate) fn publish(hub: &Hub, topic: &str, data: impl ToString) -> String {
    let published = hub.publish(topic, Event::data(data.to_string())).unwrap();
    published.id.unwrap()
}

/// An event as a client sees it: the name, the data, and the ID if the block has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) name: String,
    pub(crate) data: String,
    pub(crate) id: Option<String>,
}

/// A client of a stream.
pub(crate) struct Client {
    body: Pin<Box<BoxBody>>,
    rest: String,
    /// The name, data and ID of a block that has not ended.
    block: (String, Option<String>, Option<String>),
    /// What has come and was not asked for yet.
    seen: Vec<Seen>,
    pub(crate) comments: usize,
    pub(crate) ended: bool,
}

/// A request, with this last event ID.
pub(crate) fn request(id: Option<&str>) -> HttpRequest {
    let request = TestRequest::get();
    match id {
        None => request.to_http_request(),
        Some(id) => request
            .insert_header(("last-event-id", id))
            .to_http_request(),
    }
}

impl Client {
    /// Opens what the handler makes of the subscriber.
    pub(crate) fn open(id: Option<&str>, handler: impl FnOnce(Subscriber) -> Subscription) -> Self {
        let request = request(id);
        let response = handler(Subscriber::of(&request)).respond_to(&request);
        assert_eq!(response.status(), 200);
        Self {
            body: Box::pin(response.into_body()),
            rest: String::new(),
            block: Default::default(),
            seen: Vec::new(),
            comments: 0,
            ended: false,
        }
    }

    /// Takes one piece, if one comes within this time.
    async fn piece(&mut self, within: Duration) -> bool {
        let piece = poll_fn(|cx| self.body.as_mut().poll_next(cx));
        match timeout(within, piece).await {
            Err(_) => return false,
            Ok(None) => {
                self.ended = true;
                return false;
            }
            Ok(Some(piece)) => {
                let piece = piece.unwrap();
                self.rest.push_str(std::str::from_utf8(&piece).unwrap());
            }
        }
        while let Some((line, rest)) = self.rest.split_once('\n') {
            match line.split_once(": ").unwrap_or((line, "")) {
                ("event", name) => self.block.0 = name.to_owned(),
                ("data", data) => self.block.1 = Some(data.to_owned()),
                ("id", id) => self.block.2 = Some(id.to_owned()),
                (":", _) => self.comments += 1,
                ("", "") => {
                    let (name, data, id) = std::mem::take(&mut self.block);
                    if let Some(data) = data {
                        self.seen.push(Seen { name, data, id });
                    }
                }
                _ => {}
            }
            self.rest = rest.to_owned();
        }
        true
    }

    /// Everything that is there without waiting for long.
    pub(crate) async fn drain(&mut self) -> Vec<Seen> {
        while self.piece(Duration::from_millis(1)).await {}
        std::mem::take(&mut self.seen)
    }

    /// One piece, if one is there.
    pub(crate) async fn some(&mut self) -> Vec<Seen> {
        self.piece(Duration::from_millis(1)).await;
        std::mem::take(&mut self.seen)
    }

    /// Everything to the end of the stream, which comes within this time.
    pub(crate) async fn until_end(&mut self, within: Duration) -> Vec<Seen> {
        while self.piece(within).await {}
        assert!(self.ended, "the stream goes on");
        std::mem::take(&mut self.seen)
    }

    /// Waits for this long, and reads.
    pub(crate) async fn read_for(&mut self, time: Duration) -> Vec<Seen> {
        let until = tokio::time::Instant::now() + time;
        while self
            .piece(until.saturating_duration_since(tokio::time::Instant::now()))
            .await
        {}
        std::mem::take(&mut self.seen)
    }
}

/// The data of events, without names and IDs.
pub(crate) fn data(seen: &[Seen]) -> Vec<&str> {
    seen.iter().map(|event| event.data.as_str()).collect()
}

/// The names of events.
pub(crate) fn names(seen: &[Seen]) -> Vec<&str> {
    seen.iter().map(|event| event.name.as_str()).collect()
}

/// Opens when it is told to.
#[derive(Clone, Default)]
pub(crate) struct Gate(Rc<tokio::sync::Notify>, Rc<RefCell<usize>>);

impl Gate {
    /// Waits until it is opened; how often that was so.
    pub(crate) async fn pass(&self) -> usize {
        *self.1.borrow_mut() += 1;
        let calls = *self.1.borrow();
        self.0.notified().await;
        calls
    }

    /// Lets one through, now or later.
    pub(crate) fn open(&self) {
        self.0.notify_one();
    }

    /// How many have come.
    pub(crate) fn calls(&self) -> usize {
        *self.1.borrow()
    }
}
