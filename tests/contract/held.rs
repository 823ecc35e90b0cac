//! Group H: permits last as long as what they count, and what a stream has left behind is closed.

use std::{
    io::Read,
    net::SocketAddr,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use actix_web::web;
use actix_web_sse::{Event, Hub, Policy, Subscriber, config::StreamConfig, observe::CloseReason};
use actix_web_sse_tests::{
    App, Connection, Front, LIMIT, Request, reference_hub, reference_stream, until,
};
use bytes::Bytes;
use h2::{RecvStream, client::SendRequest};
use tokio::{net::TcpStream, runtime::Handle, sync::oneshot, time::timeout};

const STREAMS: u32 = 4;

const STALL: Duration = Duration::from_secs(1);

/// How late on a busy machine something may be. What is held for ever is later.
const LATE: Duration = Duration::from_secs(20);

fn stream() -> StreamConfig {
    let mut stream = reference_stream();
    stream.stall = STALL;
    stream.heartbeat = Duration::from_millis(200);
    stream
}

/// `GET /limited` follows `demo`; so many streams an address.
fn app(front: Front, stream: StreamConfig, streams: u32) -> App {
    let policy = Policy::builder()
        .streams_per_ip(streams)
        .connects_per_second(10_000)
        .build()
        .expect("a policy without faults");
    App::on(front, 2, reference_hub(), stream, move |config| {
        config.service(
            web::scope("/limited").wrap(policy.clone()).route(
                "",
                web::get()
                    .to(async |hub: Hub, subscriber: Subscriber| hub.subscribe("demo", subscriber)),
            ),
        );
    })
}

fn limited() -> Request {
    Request::stream("/limited")
}

fn status(app: &App) -> u16 {
    limited().send(app.address).status()
}

/// A runtime on a thread of its own: its connections are served while the test waits.
struct Background {
    handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Background {
    fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let thread = thread::spawn(move || {
            let _ = runtime.block_on(stopped);
        });
        Self {
            handle,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.handle.block_on(future)
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// An HTTP/2 connection by prior knowledge, with this window for each of its streams.
async fn connect(to: SocketAddr, window: u32) -> SendRequest<Bytes> {
    let socket = TcpStream::connect(to).await.expect("a connection");
    let (sender, connection) = h2::client::Builder::new()
        .initial_window_size(window)
        .initial_connection_window_size(16 * 1024 * 1024)
        .handshake(socket)
        .await
        .expect("HTTP/2");
    tokio::spawn(connection);
    sender
}

/// A stream, or the status of the refusal; `None` if the connection is closed.
async fn ask(sender: &SendRequest<Bytes>, path: &str) -> Option<Result<RecvStream, u16>> {
    let request = http::Request::get(format!("http://127.0.0.1{path}"))
        .header("accept", "text/event-stream")
        .body(())
        .expect("a request");
    let mut sender = timeout(LIMIT, sender.clone().ready())
        .await
        .expect("in time")
        .ok()?;
    let (response, _) = sender.send_request(request, true).ok()?;
    let response = timeout(LIMIT, response).await.expect("in time").ok()?;
    Some(match response.status().as_u16() {
        200 => Ok(response.into_body()),
        status => Err(status),
    })
}

/// Opens so many. All are asked for at once: those that open first may stall, and their connection be closed, while a
/// busy machine opens the others. Slots of before may be on their way out yet.
async fn open_all(sender: &SendRequest<Bytes>, count: u32) -> Vec<RecvStream> {
    let open = async || {
        let start = Instant::now();
        loop {
            match ask(sender, "/limited").await.expect("a connection") {
                Ok(stream) => return stream,
                Err(429) => assert!(start.elapsed() < LIMIT, "no slot is free"),
                Err(status) => panic!("{status}"),
            }
        }
    };
    futures_util::future::join_all((0..count).map(|_| open())).await
}

/// Waits until no stream is counted: it is for a moment after its end was reported.
#[track_caller]
fn wait_until_nobody_is_counted(app: &App) {
    until("no stream is counted", LIMIT, || {
        (app.hub.stats().streams == 0).then_some(())
    });
}

/// Takes a byte a second of each stream.
async fn drip(mut streams: Vec<RecvStream>) {
    for _ in 0..60 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        for stream in &mut streams {
            let flow = stream.flow_control();
            let used = flow.used_capacity().min(1);
            if flow.release_capacity(used).is_err() {
                return;
            }
        }
    }
}

/// Opens as many streams as may be with this window, again and again on new connections, and asks
/// for one more all the time.
fn rounds(window: u32) {
    let app = app(Front::EventServer, stream(), STREAMS);
    let runtime = Background::start();
    for round in 1..=2 {
        let sender = runtime.block_on(connect(app.address, window));
        let streams = runtime.block_on(open_all(&sender, STREAMS));
        let dripping = runtime.handle.spawn(drip(streams));
        app.account
            .wait_for(CloseReason::Stalled, u64::from(STREAMS) * round);
        let ended = Instant::now();
        wait_until_nobody_is_counted(&app);
        // On the same connection and on another one, until the connection is closed.
        until("the connection is closed", STALL + LATE, || {
            let there = app.connections() > 0;
            match runtime.block_on(ask(&sender, "/limited")) {
                None => Some(()),
                Some(Err(429)) => {
                    assert!(there);
                    None
                }
                Some(answer) => panic!("a stream too many: {answer:?}"),
            }
        });
        assert!(ended.elapsed() < STALL + LATE, "{:?}", ended.elapsed());
        app.wait_for_connections(0);
        dripping.abort();
    }
    until("the slots are free", LIMIT, || {
        (status(&app) == 200).then_some(())
    });
}

#[test]
fn h03_streams_without_a_window_are_counted_until_their_connection_is_closed() {
    rounds(0);
}

#[test]
fn h03_streams_that_take_a_byte_a_second_are_counted_until_their_connection_is_closed() {
    rounds(1);
}

#[test]
fn h03_on_many_connections_there_are_never_more_than_the_limit() {
    let app = app(Front::EventServer, stream(), STREAMS);
    let runtime = Background::start();
    let start = Instant::now();
    let (mut opened, mut refused) = (0, 0);
    runtime.block_on(async {
        while start.elapsed() < 4 * STALL {
            let sender = connect(app.address, 0).await;
            for _ in 0..STREAMS {
                match ask(&sender, "/limited").await {
                    Some(Ok(stream)) => {
                        opened += 1;
                        // Neither read nor reset.
                        std::mem::forget(stream);
                    }
                    Some(Err(429)) => refused += 1,
                    // Its first stream has stalled before the others were asked for.
                    None => break,
                    other => panic!("{other:?}"),
                }
            }
            // Not dropped, or it would be closed from here.
            std::mem::forget(sender);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    assert!(refused > 0);
    // A round takes `stall` until its end and `stall` until its connection is closed.
    assert!(
        opened <= 3 * u64::from(STREAMS),
        "{opened} in four times `stall`"
    );
}

#[test]
fn h03_on_an_http_server_they_are_counted_as_long_as_they_last() {
    let app = app(Front::HttpServer, stream(), STREAMS);
    let runtime = Background::start();
    let sender = runtime.block_on(connect(app.address, 0));
    let streams = runtime.block_on(open_all(&sender, STREAMS));
    app.account
        .wait_for(CloseReason::Stalled, u64::from(STREAMS));
    let ended = Instant::now();
    while ended.elapsed() < 2 * STALL {
        assert_eq!(status(&app), 429, "they are still there");
        thread::sleep(Duration::from_millis(100));
    }
    drop((streams, sender, runtime));
    until("the slots are free", LIMIT, || {
        (status(&app) == 200).then_some(())
    });
}

#[test]
fn h03_a_drain_does_not_wait_for_what_is_still_counted() {
    let mut stream = stream();
    // So long they are counted when they have ended.
    stream.stall = Duration::from_secs(6);
    stream.drain = Duration::from_secs(60);
    let app = app(Front::EventServer, stream, STREAMS);
    let runtime = Background::start();
    let sender = runtime.block_on(connect(app.address, 0));
    let streams = runtime.block_on(open_all(&sender, STREAMS));
    app.account
        .wait_for(CloseReason::Stalled, u64::from(STREAMS));
    assert_eq!(status(&app), 429, "they are still there");
    let drained = runtime.block_on(async { timeout(LIMIT, app.hub.drain()).await });
    drained.expect("nothing is open: it does not wait for its window");
    drop(streams);
}

#[test]
fn h03_a_connection_with_a_stream_that_reads_is_not_closed() {
    let app = app(Front::EventServer, stream(), STREAMS);
    let runtime = Background::start();
    let sender = runtime.block_on(connect(app.address, 64 * 1024));
    let idle = runtime
        .block_on(ask(&sender, "/events?topic=much"))
        .unwrap();
    let mut reader = runtime
        .block_on(ask(&sender, "/events?topic=little"))
        .unwrap()
        .expect("a stream");
    let _idle = idle.expect("a stream");
    let mut read_until = |wanted: &str| {
        runtime.block_on(async {
            loop {
                let piece = timeout(LIMIT, reader.data()).await.expect("in time");
                let piece = piece.expect("no end").expect("no reset");
                let released = reader.flow_control().release_capacity(piece.len());
                released.expect("the window is ours");
                if String::from_utf8_lossy(&piece).contains(wanted) {
                    return;
                }
            }
        });
    };
    until("the stream that does not read is ended", LIMIT, || {
        for _ in 0..50 {
            app.hub
                .publish("much", Event::data("x".repeat(4096)))
                .expect("published");
        }
        thread::sleep(Duration::from_millis(20));
        (!app.account.closed().is_empty()).then_some(())
    });
    let ended = Instant::now();
    while ended.elapsed() < 3 * STALL {
        app.hub
            .publish("little", Event::data("here"))
            .expect("published");
        read_until("here");
    }
    assert_eq!(app.connections(), 1);
}

#[test]
fn h04_a_slow_reader_keeps_its_slot_until_its_connection_is_closed() {
    for front in Front::LANES {
        slot_of_a_slow_reader(front);
    }
}

fn slot_of_a_slow_reader(front: Front) {
    let stall = Duration::from_secs(3);
    let mut stream = reference_stream();
    stream.stall = stall;
    let app = app(front, stream, 1);
    let mut connection = Connection::open(app.address);
    connection
        .send(&limited().bytes(app.address))
        .expect("the request leaves");
    assert_eq!(connection.head(LIMIT).expect("a head").status, 200);
    let mut socket = connection.into_socket();
    let reading = thread::spawn(move || {
        let mut bytes = vec![0; 64 * 1024];
        for _ in 0..20 {
            thread::sleep(stall - Duration::from_secs(1));
            if socket.read_exact(&mut bytes).is_err() {
                return;
            }
        }
        panic!("the connection is never closed");
    });
    let publish = || {
        for _ in 0..50 {
            app.hub
                .publish("demo", Event::data("x".repeat(4096)))
                .expect("published");
        }
        thread::sleep(Duration::from_millis(20));
    };
    until("it is ended", LIMIT, || {
        publish();
        (!app.account.closed().is_empty()).then_some(())
    });
    let ended = Instant::now();
    wait_until_nobody_is_counted(&app);
    until("its connection is closed", stall + LATE, || {
        let mut another = Connection::open(app.address);
        another
            .send(&limited().bytes(app.address))
            .expect("the request leaves");
        let status = another.head(LIMIT).expect("a head").status;
        if status == 429 {
            drop(another);
            until("only the slow one is left", LIMIT, || {
                (app.connections() <= 1).then_some(())
            });
            return None;
        }
        assert_eq!(status, 200);
        // The permit and the connection go together, on another thread than this one. If only the permit had gone, the
        // connection would be there for `stall` yet.
        until(
            "a free slot means a closed connection",
            stall / 3 * 2,
            || (app.connections() == 1).then_some(()),
        );
        Some(())
    });
    assert!(ended.elapsed() < stall + LATE, "{:?}", ended.elapsed());
    until("the slot is free", LIMIT, || {
        (status(&app) == 200).then_some(())
    });
    reading.join().expect("the reader");
}

/// Four streams, of which one ends; then there is room for another.
fn room_after(app: &App, end: impl FnOnce(Connection)) {
    // Those of before may be on their way out yet.
    let slot = || {
        until("a slot is free", LIMIT, || {
            let response = limited().send(app.address);
            (response.status() == 200).then(|| response.events())
        })
    };
    let mut open: Vec<_> = (0..STREAMS).map(|_| slot()).collect();
    for stream in &mut open {
        stream.next_comment();
    }
    assert_eq!(status(app), 429);
    end(open.remove(0).into_connection());
    until("there is room", LIMIT, || {
        (status(app) == 200).then_some(())
    });
}

#[test]
fn l02_a_slot_is_free_when_its_stream_has_ended_on_both_servers() {
    for front in [Front::EventServer, Front::HttpServer] {
        let mut config = stream();
        // Whoever waits for that waits in vain.
        config.stall = 4 * LIMIT;
        let app = app(front, config, STREAMS);
        for end in [Connection::reset, drop::<Connection>] {
            room_after(&app, end);
        }
        // One that the server ends, with a client that reads and stays connected.
        let mut kept = None;
        room_after(&app, |connection| {
            app.hub.disconnect_topic("demo");
            kept = Some(connection);
        });
    }
}
