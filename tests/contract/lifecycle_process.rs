//! Group D: what happens to the demo as a process: signals, floods, few descriptors.

use std::{
    fs,
    io::{ErrorKind, Write},
    net::SocketAddr,
    process::Command,
    time::{Duration, Instant},
};

use actix_web_sse_tests::{
    Connection, Demo, EventStream, LIMIT, Process, Request, Settings, Signal, free_port, until,
};
use bytes::Bytes;
use h2::client::SendRequest;
use tokio::{net::TcpStream, runtime::Runtime, time::timeout};

use crate::DEMO;

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

/// An HTTP/2 connection by prior knowledge.
async fn connect(to: SocketAddr) -> SendRequest<Bytes> {
    let socket = TcpStream::connect(to).await.expect("a connection");
    let (sender, connection) = h2::client::handshake(socket).await.expect("HTTP/2");
    tokio::spawn(connection);
    sender
}

async fn open(sender: &SendRequest<Bytes>, to: SocketAddr, path: &str) -> h2::RecvStream {
    let request = http::Request::get(format!("http://{to}{path}"))
        .header("accept", "text/event-stream")
        .body(())
        .expect("a request");
    let mut sender = sender.clone().ready().await.expect("room for a stream");
    let (response, _) = sender.send_request(request, true).expect("it leaves");
    let response = response.await.expect("a response");
    assert_eq!(response.status(), 200);
    response.into_body()
}

/// The body up to END_STREAM.
async fn to_the_end(mut body: h2::RecvStream) -> String {
    let mut text = Vec::new();
    while let Some(piece) = body.data().await {
        // A reset would be an error here.
        let piece = piece.expect("a clean end");
        let flow = body.flow_control().release_capacity(piece.len());
        flow.expect("the window is ours");
        text.extend_from_slice(&piece);
    }
    String::from_utf8(text).expect("text")
}

#[test]
fn d09_sigterm_ends_h1_and_h2_streams_cleanly() {
    let settings = Settings::open()
        .set("policy.limits.per_ip", 1000)
        .set("policy.limits.total", 1000)
        .set("policy.limits.connects_per_second", 10_000);
    let mut demo = Demo::start(DEMO, &settings);
    let mut h1: Vec<EventStream> = (0..100)
        .map(|_| Request::stream("/events?topic=quiet").open(demo.app))
        .collect();
    let app = demo.app;
    let bodies = runtime().block_on(async {
        let mut bodies = Vec::new();
        for _ in 0..10 {
            let sender = connect(app).await;
            for _ in 0..10 {
                bodies.push(open(&sender, app, "/events?topic=quiet").await);
            }
        }
        demo.wait_for_metric("sse_connections_active", &[], 200.0);
        demo.process().signal(Signal::TERM);
        let mut ends = Vec::new();
        for body in bodies {
            let end = timeout(LIMIT, to_the_end(body)).await;
            ends.push(end.expect("an end"));
        }
        ends
    });
    for body in &bodies {
        let last = body.lines().rfind(|line| !line.is_empty());
        assert!(
            last.is_some_and(|line| line.starts_with("retry: ")),
            "{body:?}"
        );
    }
    for stream in &mut h1 {
        let last = stream.until_end(LIMIT);
        assert!(last.iter().any(|block| block.retry().is_some()), "{last:?}");
    }
    let took = demo.terminate();
    // The drain window is 2 s; the rest is for a busy machine.
    assert!(took < Duration::from_secs(20), "{took:?}");
}

/// Resident memory of a process in KiB.
fn resident(process: &Process) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.id())).expect("its status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let words = line.and_then(|line| line.split_whitespace().next());
    words.expect("VmRSS").parse().expect("KiB")
}

/// The raw frames of a client that asks for a stream and leaves its request open.
fn open_h2_request(to: SocketAddr) -> Vec<u8> {
    let mut block = vec![0x82, 0x86]; // :method GET, :scheme http
    let mut literal = |index: u8, value: &str| {
        block.push(0x40 | index);
        block.push(u8::try_from(value.len()).expect("a short value"));
        block.extend_from_slice(value.as_bytes());
    };
    literal(4, "/events?topic=quiet"); // :path
    literal(1, &to.to_string()); // :authority
    literal(19, "text/event-stream"); // accept
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend_from_slice(&[0, 0, 0, 4, 0, 0, 0, 0, 0]); // SETTINGS
    let length = u8::try_from(block.len()).expect("a short block");
    bytes.extend_from_slice(&[0, 0, length, 1, 4, 0, 0, 0, 1]); // HEADERS, END_HEADERS
    bytes.extend_from_slice(&block);
    bytes
}

/// Writes as much of this as the peer takes.
fn flood(socket: &mut std::net::TcpStream, piece: &[u8], times: usize) {
    let wait = Some(Duration::from_millis(500));
    socket.set_write_timeout(wait).expect("a time-out");
    for _ in 0..times {
        match socket.write_all(piece) {
            Ok(()) => {}
            // It does not read any more, or has hung up: both hold the memory down.
            Err(error) => {
                let kind = error.kind();
                let known = [
                    ErrorKind::WouldBlock,
                    ErrorKind::ConnectionReset,
                    ErrorKind::BrokenPipe,
                ];
                assert!(known.contains(&kind), "{error}");
                return;
            }
        }
    }
}

#[test]
fn d14_a_flood_of_empty_frames_costs_no_memory() {
    let demo = Demo::start(DEMO, &Settings::open());
    let mut other = Request::stream("/events?topic=other").open(demo.app);
    let empty = [0, 0, 0, 0, 0, 0, 0, 0, 1].repeat(1000); // DATA of stream 1
    let mut connection = Connection::open(demo.app);
    let request = open_h2_request(demo.app);
    connection.send(&request).expect("the request leaves");
    demo.wait_for_metric("sse_connections_active", &[], 2.0);
    let mut socket = connection.into_socket();
    flood(&mut socket, &empty, 100);
    let before = resident(demo.process());
    flood(&mut socket, &empty, 1000);
    demo.publish("other", "still there");
    assert_eq!(other.next_event().data(), Some("still there"));
    let after = resident(demo.process());
    assert!(after < before + 1024, "{before} KiB, then {after} KiB");
}

#[test]
fn d14_a_body_of_a_gigabyte_costs_no_memory() {
    let demo = Demo::start(DEMO, &Settings::open());
    let mut other = Request::stream("/events?topic=other").open(demo.app);
    let mut connection = Connection::open(demo.app);
    let request = Request::stream("/events?topic=quiet").header("Transfer-Encoding", "chunked");
    connection
        .send(&request.bytes(demo.app))
        .expect("the request leaves");
    let head = connection.head(LIMIT).expect("a head");
    assert!([200, 400].contains(&head.status), "{head:?}");
    let mut chunk = b"10000\r\n".to_vec();
    chunk.extend([b'x'; 0x10000]);
    chunk.extend_from_slice(b"\r\n");
    let mut socket = connection.into_socket();
    flood(&mut socket, &chunk, 4);
    let before = resident(demo.process());
    flood(&mut socket, &chunk, 16 * 1024);
    demo.publish("other", "still there");
    assert_eq!(other.next_event().data(), Some("still there"));
    let after = resident(demo.process());
    assert!(after < before + 1024, "{before} KiB, then {after} KiB");
}

/// Processor time that a process has used, in hundredths of a second.
fn ticks(process: &Process) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", process.id())).expect("its stat");
    let fields = stat.rsplit_once(") ").expect("a name in brackets").1;
    let mut fields = fields.split(' ').skip(11);
    let mut next = || fields.next().and_then(|field| field.parse::<u64>().ok());
    next().expect("utime") + next().expect("stime")
}

#[test]
fn d19_without_descriptors_it_waits_and_recovers() {
    let app = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("demo.toml");
    Settings::open()
        .set("server.listen", app.to_string())
        .remove("metrics.listen")
        .write(&path);
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -n 64 && exec \"$0\" --config \"$1\"", DEMO]);
    let process = Process::spawn(shell.arg(&path));
    let ready = format!("http://{app}/events");
    process.wait_for_line(&ready, LIMIT, |line| line.contains(&ready).then_some(()));
    let mut held = Request::stream("/events?topic=quiet").open(app);
    held.next_comment();
    // The kernel accepts them all; the server runs out of descriptors half-way.
    let mut clients: Vec<_> = (0..200)
        .map(|_| {
            let mut client = Connection::open(app);
            let request = Request::stream("/events?topic=quiet").bytes(app);
            client.send(&request).expect("the request leaves");
            client
        })
        .collect();
    until("it has used up its descriptors", LIMIT, || {
        let open = fs::read_dir(format!("/proc/{}/fd", process.id())).expect("its descriptors");
        (open.count() >= 63).then_some(())
    });
    // The heartbeats of the held stream are the clock: about a second each.
    held.next_comment();
    let (start, used) = (Instant::now(), ticks(&process));
    for _ in 0..3 {
        held.next_comment();
    }
    let share = (ticks(&process) - used) as f64 / 100.0 / start.elapsed().as_secs_f64();
    assert!(share < 0.5, "it spins: {share} of a processor");
    clients.clear();
    until("it serves again", LIMIT, || {
        let mut again = Connection::try_open(app).ok()?;
        let request = Request::new("GET", "/healthz").bytes(app);
        again.send(&request).ok()?;
        let head = again.head(Duration::from_secs(1)).ok()?;
        (head.status == 200).then_some(())
    });
}

#[test]
fn d21_after_a_pause_there_is_no_burst_of_heartbeats() {
    let demo = Demo::start(DEMO, &Settings::open());
    let mut streams: Vec<_> = (0..20)
        .map(|_| Request::stream("/events?topic=quiet").open(demo.app))
        .collect();
    for stream in &mut streams {
        stream.next_comment();
    }
    demo.process().signal(Signal::STOP);
    let pause = Duration::from_secs(8);
    let start = Instant::now();
    until("the pause is over", LIMIT, || {
        (start.elapsed() >= pause).then_some(())
    });
    // What was on its way before the stop.
    for stream in &mut streams {
        while stream.block(Duration::from_millis(1)).is_ok() {}
    }
    let resumed = Instant::now();
    demo.process().signal(Signal::CONT);
    let deadline = resumed + Duration::from_secs(1);
    for stream in &mut streams {
        let mut beats = 0;
        let left = || deadline.saturating_duration_since(Instant::now());
        while let Ok(Some(_)) = stream.block(left().max(Duration::from_millis(1))) {
            beats += 1;
        }
        // One is due now, and one may have been late. The others come at their interval, a tenth less at the
        // least: the more of them, the longer this has taken.
        let most = 2 + (resumed.elapsed().as_secs_f64() / 0.9) as usize;
        assert!(beats <= most, "{beats} heartbeats, {most} at the most");
    }
    // The streams live on: nobody was stalled but the server.
    demo.publish("quiet", "on");
    for stream in &mut streams {
        assert_eq!(stream.next_event().data(), Some("on"));
    }
    demo.wait_for_metric("sse_connections_active", &[], 20.0);
}
