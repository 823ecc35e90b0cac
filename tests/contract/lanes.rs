//! Both lanes say the same: streams that write to their sockets themselves, and streams that go through
//! actix.

use std::{
    io::{ErrorKind, Write},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use actix_web::{App, Responder, web};
use actix_web_sse::{
    Event, EventServer, Hub, Subscriber,
    config::{HubConfig, StreamConfig},
    observe::{End, Lane, Observer, Opened, StreamObserver},
};
use actix_web_sse_tests::{Connection, InProcess, LIMIT, Request, no_signals, until};

/// The lanes of all streams, in the order in which they were reported.
#[derive(Clone, Default)]
struct Lanes(Arc<Mutex<Vec<Lane>>>);

impl Lanes {
    fn seen(&self) -> Vec<Lane> {
        self.0.lock().unwrap().clone()
    }

    /// Waits until so many streams have a lane; the last one's.
    #[track_caller]
    fn of(&self, stream: usize) -> Lane {
        until("the lane is reported", LIMIT, || {
            self.seen().get(stream - 1).copied()
        })
    }
}

impl Observer for Lanes {
    fn opened(&self, _: &Opened<'_>) -> Box<dyn StreamObserver> {
        Box::new(self.clone())
    }
}

impl StreamObserver for Lanes {
    fn carried(&mut self, lane: Lane) {
        self.0.lock().unwrap().push(lane);
    }

    fn closed(self: Box<Self>, _: &End) {}
}

fn hub(lanes: &Lanes, change: impl FnOnce(&mut HubConfig, &mut StreamConfig)) -> Hub {
    let (mut hub, mut stream) = (HubConfig::default(), StreamConfig::default());
    // Nothing may differ by chance.
    stream.retry_jitter = 0.0;
    hub.replay_events = 20;
    change(&mut hub, &mut stream);
    Hub::builder()
        .config(hub)
        .stream(stream)
        .observer(lanes.clone())
        .build()
        .expect("a configuration without faults")
}

/// Waits until the hub has no stream and no socket.
#[track_caller]
fn until_gone(hub: &Hub) {
    until("the stream and its socket are gone", LIMIT, || {
        let stats = hub.stats();
        (stats.streams == 0 && stats.sockets == 0).then_some(())
    });
}

#[derive(serde::Deserialize)]
struct Topic {
    topic: String,
}

async fn plain(hub: Hub, subscriber: Subscriber, query: web::Query<Topic>) -> impl Responder {
    hub.subscribe(query.into_inner().topic, subscriber)
}

/// Two topics, and not all of their events.
async fn filtered(hub: Hub, subscriber: Subscriber, query: web::Query<Topic>) -> impl Responder {
    let topics = [query.topic.clone(), format!("{}-2", query.topic)];
    hub.subscribe(topics, subscriber)
        .filter(|head| head.name != Some("unwanted"))
}

fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/plain", web::get().to(plain))
        .route("/plain", web::post().to(plain))
        .route("/filtered", web::get().to(filtered))
        .route("/text", web::get().to(async || "text"));
}

fn serve(hub: &Hub, socket_lane: bool) -> InProcess {
    let hub = hub.clone();
    InProcess::start(move |listener| {
        let streams = hub.clone();
        Ok(
            EventServer::new(move || App::new().app_data(streams.clone()).configure(routes))
                .workers(1)
                .hub(&hub)
                .socket_lane(socket_lane)
                .shutdown_signal(no_signals())
                .listen(listener)?
                .run(),
        )
    })
}

/// A stream, read chunk by chunk as it is on the wire.
struct Wire {
    connection: Connection,
    /// The lines of the head, sorted, without the date.
    head: Vec<String>,
}

impl Wire {
    fn open(server: &InProcess, target: &str, last_event_id: Option<&str>) -> Self {
        let mut request = Request::stream(target);
        if let Some(id) = last_event_id {
            request = request.header("Last-Event-ID", id);
        }
        let mut connection = Connection::open(server.address());
        connection
            .send(&request.bytes(server.address()))
            .expect("the request leaves");
        let mut head = Vec::new();
        loop {
            let line = connection.line(LIMIT).expect("a head");
            if line.is_empty() {
                break;
            }
            if !line.starts_with("date:") {
                head.push(line);
            }
        }
        head.sort_unstable();
        Self { connection, head }
    }

    /// The next chunk with its frame, heartbeats left out: when they come is chance.
    fn chunk(&mut self) -> Vec<u8> {
        loop {
            let head = self.connection.line(LIMIT).expect("the head of a chunk");
            let len = usize::from_str_radix(&head, 16).expect("a length");
            assert_eq!(head, format!("{len:X}"), "as actix writes it");
            let mut chunk = format!("{head}\r\n").into_bytes();
            let mut left = len;
            while left > 0 {
                let line = self.connection.line_with_end(LIMIT).expect("the chunk");
                left = left
                    .checked_sub(line.len())
                    .expect("a line within the chunk");
                chunk.extend_from_slice(&line);
            }
            assert_eq!(self.connection.line(LIMIT).expect("its end"), "");
            chunk.extend_from_slice(b"\r\n");
            if chunk != b"2\r\n:\n\r\n" {
                return chunk;
            }
        }
    }

    /// The payload up to this text, in however many chunks.
    fn payload_until(&mut self, end: &str) -> String {
        let mut payload = String::new();
        while !payload.ends_with(end) {
            let chunk = String::from_utf8(self.chunk()).expect("text");
            let (_, rest) = chunk.split_once("\r\n").expect("a length");
            payload.push_str(rest.strip_suffix("\r\n").expect("an end"));
        }
        payload
    }
}

fn last_id(text: &str) -> Option<String> {
    let id = text
        .lines()
        .rev()
        .find_map(|line| line.strip_prefix("id: "))?;
    Some(id.to_owned())
}

/// Both have the same up to this text; the newest ID in it.
#[track_caller]
fn both_until(a: &mut Wire, b: &mut Wire, end: &str) -> Option<String> {
    let payloads = [a, b].map(|wire| wire.payload_until(end));
    assert!(payloads[0] == payloads[1], "{payloads:?}");
    last_id(&payloads[0])
}

/// An event of any size.
fn event(random: &mut fastrand::Rng) -> Event {
    let lens = [0, 1, 10, 200, 2000, 6000];
    let len = lens[random.usize(..lens.len())];
    let data: String = (0..len)
        .map(|_| ["a", "ä", "0\r\n", "5\r", ":", "x"][random.usize(..6)])
        .collect();
    let mut event = Event::data(data);
    if random.bool() {
        event = event.name("named").expect("a name");
    }
    if random.u8(..4) == 0 {
        event = event.transient();
    }
    event
}

#[test]
fn e19_both_lanes_write_the_same_bytes_event_by_event() {
    let lanes = Lanes::default();
    let hub = hub(&lanes, |_, _| {});
    let servers = [serve(&hub, true), serve(&hub, false)];
    let expected = [Lane::Socket, Lane::Off];
    let mut opened = 0;
    for seed in 0..24 {
        let mut random = fastrand::Rng::with_seed(seed);
        let (topic, way) = (format!("t{seed}"), ["plain", "filtered"][random.usize(..2)]);
        let target = format!("/{way}?topic={topic}");
        let publish = |event: Event| {
            hub.publish(&topic, event).expect("published");
        };
        let mut id: Option<String> = None;
        for _ in 0..3 {
            let mut wires = [0, 1].map(|lane| {
                let mut wire = Wire::open(&servers[lane], &target, id.as_deref());
                let first = wire.chunk();
                opened += 1;
                assert_eq!(lanes.of(opened), expected[lane], "seed {seed}");
                (wire, first)
            });
            let [(a, first_a), (b, first_b)] = &mut wires;
            assert_eq!(a.head, b.head);
            assert_eq!(
                String::from_utf8_lossy(first_a),
                String::from_utf8_lossy(first_b)
            );
            // With what was missed, in as many chunks as the workers make of it.
            publish(Event::data("begin"));
            both_until(a, b, "data: begin\n\n");
            for _ in 0..random.usize(1..6) {
                if way == "filtered" && random.bool() {
                    publish(Event::data("x").name("unwanted").expect("a name"));
                }
                publish(event(&mut random));
                let pieces = [a.chunk(), b.chunk()];
                assert!(pieces[0] == pieces[1], "seed {seed}: {pieces:?}");
            }
            let burst = random.usize(2..30);
            (0..burst).for_each(|n| publish(Event::data(format!("burst {n}"))));
            let newest = both_until(a, b, &format!("data: burst {}\n\n", burst - 1));
            // A gap, a hit or an ID of nobody's.
            id = match random.u8(..3) {
                0 => Some("nobody-1".to_owned()),
                _ => newest,
            };
            if random.bool() {
                hub.disconnect_topic(&topic);
                for wire in [&mut *a, &mut *b] {
                    assert_eq!(wire.chunk(), b"D\r\nretry: 30000\n\r\n");
                    assert_eq!(wire.connection.line(LIMIT).expect("the last chunk"), "0");
                    assert_eq!(wire.connection.line(LIMIT).expect("its end"), "");
                }
            }
            drop(wires);
            until("they are gone", LIMIT, || {
                (hub.stats().sockets == 0 && hub.stats().streams == 0).then_some(())
            });
            // What they miss, sometimes more than is kept.
            let missed = random.usize(..30);
            (0..missed).for_each(|n| publish(Event::data(format!("missed {n}"))));
        }
    }
}

#[test]
fn a_stream_leaves_where_nothing_else_is_on_its_connection() {
    let lanes = Lanes::default();
    let hub = hub(&lanes, |_, _| {});
    let server = serve(&hub, true);
    let get = |target: &str| Request::new("GET", target).bytes(server.address());
    let stream = Request::stream("/plain?topic=t").bytes(server.address());
    let old = b"GET /plain?topic=t HTTP/1.0\r\nAccept: text/event-stream\r\n\r\n".to_vec();
    let post = Request::new("POST", "/plain?topic=t")
        .header("Accept", "text/event-stream")
        .body("text/plain", "abc")
        .bytes(server.address());
    let cases = [
        ("alone", vec![stream.clone()], Lane::Socket),
        (
            "after others",
            vec![get("/text"), get("/text"), stream.clone()],
            Lane::Socket,
        ),
        (
            "with one behind it",
            vec![[&stream[..], &get("/text")].concat()],
            Lane::Pipelined,
        ),
        (
            "with a byte behind it",
            vec![[&stream[..], b"G"].concat()],
            Lane::Pipelined,
        ),
        ("HTTP/1.0", vec![old], Lane::Http10),
        ("with a body", vec![post], Lane::RequestBody),
    ];
    for (number, (what, requests, lane)) in cases.into_iter().enumerate() {
        let mut connection = Connection::open(server.address());
        for request in &requests {
            connection.send(request).expect("the request leaves");
            let head = connection.head(LIMIT).expect("a head");
            assert_eq!(head.status, 200, "{what}");
            if request != requests.last().expect("one") {
                connection.skip(4, LIMIT);
            }
        }
        assert_eq!(lanes.of(number + 1), lane, "{what}");
        let sockets = usize::from(lane == Lane::Socket);
        until(&format!("{what}: {sockets} sockets"), LIMIT, || {
            (hub.stats().sockets == sockets).then_some(())
        });
        drop(connection);
        until_gone(&hub);
    }
}

#[test]
fn a_middleware_that_changes_the_bytes_keeps_the_stream_in_the_body_lane() {
    use actix_web::{body::MessageBody, dev::ServiceResponse, middleware::from_fn};
    use futures_util::StreamExt as _;

    let lanes = Lanes::default();
    let hub = hub(&lanes, |_, _| {});
    let streams = hub.clone();
    let server = InProcess::start(move |listener| {
        let hub = streams.clone();
        Ok(EventServer::new(move || {
            let louder = from_fn(|request, next: actix_web::middleware::Next<_>| async move {
                let response: ServiceResponse = next.call(request).await?;
                Ok::<_, actix_web::Error>(response.map_body(|_, body| {
                    let mut body = Box::pin(body);
                    let pieces =
                        futures_util::stream::poll_fn(move |cx| body.as_mut().poll_next(cx));
                    actix_web::body::BodyStream::new(pieces.map(|piece| {
                        piece.map(|piece| web::Bytes::from(piece.to_ascii_uppercase()))
                    }))
                }))
            });
            App::new()
                .app_data(hub.clone())
                .service(web::scope("").wrap(louder).configure(routes))
        })
        .workers(1)
        .hub(&streams)
        .socket_lane(true)
        .shutdown_signal(no_signals())
        .listen(listener)?
        .run())
    });
    let mut wire = Wire::open(&server, "/plain?topic=t", None);
    assert!(String::from_utf8_lossy(&wire.chunk()).contains("RETRY: 30000"));
    hub.publish("t", Event::data("small")).expect("published");
    assert!(String::from_utf8_lossy(&wire.chunk()).contains("DATA: SMALL"));
    assert_eq!(lanes.of(1), Lane::Changed);
    assert_eq!(hub.stats().sockets, 0);
}

#[test]
fn d02_d03_the_end_of_a_taken_over_connection_is_noticed_at_once() {
    let lanes = Lanes::default();
    let hub = hub(&lanes, |_, _| {});
    let server = serve(&hub, true);
    for what in ["FIN", "RST"] {
        let mut waits = Vec::new();
        for _ in 0..20 {
            let mut wire = Wire::open(&server, "/plain?topic=t", None);
            wire.chunk();
            until("it is taken over", LIMIT, || {
                (hub.stats().sockets == 1).then_some(())
            });
            let start = Instant::now();
            match what {
                "FIN" => drop(wire.connection),
                _ => wire.connection.reset(),
            }
            while hub.stats().streams > 0 {
                assert!(start.elapsed() < LIMIT, "{what}: never");
                thread::sleep(Duration::from_micros(100));
            }
            waits.push(start.elapsed());
        }
        waits.sort_unstable();
        // Half a millisecond. Of twenty the best, and with a wide margin: the machine may be busy. Without
        // a look at the socket it would be the second heartbeat.
        assert!(waits[0] < Duration::from_millis(200), "{what}: {waits:?}");
    }
}

#[test]
fn d04_a_half_closed_connection_ends_its_stream() {
    let lanes = Lanes::default();
    let hub = hub(&lanes, |_, _| {});
    let server = serve(&hub, true);
    let mut wire = Wire::open(&server, "/plain?topic=t", None);
    wire.chunk();
    assert_eq!(lanes.of(1), Lane::Socket);
    wire.connection.half_close();
    until_gone(&hub);
}

#[test]
fn h01_a_taken_over_connection_reads_no_more_than_eight_kibibytes() {
    let lanes = Lanes::default();
    let hub = hub(&lanes, |_, _| {});
    let server = serve(&hub, true);
    let mut wire = Wire::open(&server, "/plain?topic=t", None);
    wire.chunk();
    assert_eq!(lanes.of(1), Lane::Socket);
    let mut socket = wire.connection.socket();
    socket.write_all(&[b'x'; 8192]).expect("they leave");
    hub.publish("t", Event::data("still here"))
        .expect("published");
    assert!(String::from_utf8_lossy(&wire.chunk()).contains("still here"));
    assert_eq!(hub.stats().streams, 1);
    socket.write_all(b"x").expect("one more");
    until_gone(&hub);
    let end = loop {
        match wire.connection.line(LIMIT) {
            // A heartbeat of before.
            Ok(line) => assert!(["2", ":", ""].contains(&&*line), "{line}"),
            Err(error) => break error.kind(),
        }
    };
    assert_eq!(end, ErrorKind::ConnectionReset);
}
