//! Group H: what a client sends behind its open HTTP/1 stream.

use std::{
    io::{ErrorKind, Write},
    net::SocketAddr,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use actix_web_sse_tests::{Connection, Front, LIMIT, Process, Request, free_port, until};

const SERVER: &str = env!("CARGO_BIN_EXE_stream-server");

/// What may be read behind a stream.
const BEHIND: usize = 8 * 1024;

struct Server {
    process: Process,
    address: SocketAddr,
}

impl Server {
    fn start(front: Front) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let front = match front {
            Front::HttpServer => "http-server",
            Front::EventServer => "event-server",
            Front::BodyLane => "body-lane",
        };
        let config = "stream.heartbeat = \"1s\"\nstream.stall = \"3s\"";
        let process =
            Process::spawn(Command::new(SERVER).args([&address.to_string(), config, front]));
        process.wait_for_line("it listens", LIMIT, |line| {
            line.contains("listening on").then_some(())
        });
        Self { process, address }
    }

    fn number(&self, target: &str) -> u64 {
        let answer = Request::new("GET", target).send(self.address);
        answer.text().parse().expect("a number")
    }

    fn ended_as_protocol(&self) -> u64 {
        self.number("/closed?topic=protocol")
    }

    fn publish(&self, data: &str) {
        let answer = Request::new("POST", "/publish?topic=t")
            .body("text/plain", data)
            .send(self.address);
        assert_eq!(answer.status(), 200);
    }

    /// Less than a twentieth of a core, once a second has passed.
    #[track_caller]
    fn is_quiet(&self, after: &str) {
        let limit = Instant::now() + LIMIT;
        let window = Duration::from_secs(1);
        loop {
            let (before, start) = (self.process.cpu_time(), Instant::now());
            thread::sleep(window);
            let share =
                (self.process.cpu_time() - before).as_secs_f64() / start.elapsed().as_secs_f64();
            if share < 0.05 {
                return;
            }
            assert!(
                Instant::now() < limit,
                "{after}: still {share:.2} of a core"
            );
        }
    }
}

const SMALL: &[u8] = b"GET /subscribers?topic=t HTTP/1.1\r\nHost: a\r\n\r\n";

/// Small requests, and more of them than actix has buffers for.
fn flood() -> Vec<u8> {
    SMALL.repeat(400_000 / SMALL.len())
}

/// Small requests, and then anything.
fn junk() -> Vec<u8> {
    let mut bytes = SMALL.repeat(17);
    bytes.resize(bytes.len() + 400_000, b'x');
    bytes
}

/// Sends this again and again until the server has closed the connection.
#[track_caller]
fn send_until_closed(connection: Connection, bytes: &[u8], what: &str) {
    let mut socket = connection.into_socket();
    socket
        .set_write_timeout(Some(Duration::from_millis(100)))
        .expect("a time-out");
    let deadline = Instant::now() + LIMIT;
    let mut left = bytes;
    while Instant::now() < deadline {
        match socket.write(left) {
            Ok(sent) if sent == left.len() => left = bytes,
            Ok(sent) => left = &left[sent..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
    panic!("{what}: the connection is still open");
}

/// A connection on which a stream is open.
fn opened(server: &Server, request: &[u8]) -> Connection {
    let mut connection = Connection::open(server.address);
    connection.send(request).expect("the request leaves");
    assert_eq!(connection.head(LIMIT).expect("a head").status, 200);
    connection
}

fn get(server: &Server) -> Vec<u8> {
    Request::stream("/events?topic=t").bytes(server.address)
}

/// Each attack ends its stream and nothing else, and leaves the server as it was.
fn attacks(front: Front) {
    let server = Server::start(front);
    let get = get(&server);
    // `HttpServer` closes the connection after junk as well, and says that the client has gone.
    let junk = (front != Front::HttpServer).then(|| ("junk", get.clone(), junk()));
    let body = b"POST /events?topic=t HTTP/1.1\r\nHost: a\r\n\
        Accept: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
    let chunk = [b"10000\r\n", [b'x'; 0x10000].as_slice(), b"\r\n"].concat();
    let attacks = [
        ("a flood", get.clone(), flood()),
        ("a flood at once", [get.clone(), flood()].concat(), flood()),
        ("streams", get.clone(), get.repeat(1000)),
        ("a body without an end", body.to_vec(), chunk),
    ];
    let mut ended = 0;
    let mut round = |watched: bool| {
        for (what, first, more) in attacks.iter().chain(&junk) {
            let what = format!("{what} behind a stream");
            send_until_closed(opened(&server, first), more, &what);
            ended += 1;
            until(&format!("{what} ends it as protocol"), LIMIT, || {
                (server.ended_as_protocol() == ended).then_some(())
            });
            if watched {
                server.is_quiet(&what);
            }
            assert_eq!(server.number("/subscribers?topic=t"), 0, "{what}");
        }
        server.process.memory()
    };
    // What the first attacks make the workers allocate once is not what a client costs.
    let mut memory = round(true);
    let grown = (0..5).map(|_| {
        let before = std::mem::replace(&mut memory, round(false));
        memory.saturating_sub(before)
    });
    let grown = grown.collect::<Vec<_>>();
    assert!(
        grown.last().is_some_and(|last| *last < 1024 * 1024),
        "{grown:?} bytes more"
    );
}

#[test]
fn h01_what_is_sent_behind_a_stream_ends_it_on_an_event_server() {
    attacks(Front::EventServer);
}

#[test]
fn h01_what_is_sent_behind_a_stream_ends_it_in_the_body_lane() {
    attacks(Front::BodyLane);
}

#[test]
fn h01_what_is_sent_behind_a_stream_ends_it_on_an_http_server() {
    attacks(Front::HttpServer);
}

#[test]
fn h01_eight_kibibytes_are_read_behind_a_stream_and_not_one_more() {
    for front in Front::LANES {
        eight_kibibytes(&Server::start(front));
    }
}

fn eight_kibibytes(server: &Server) {
    let mut stream = Request::stream("/events?topic=t").open(server.address);
    stream.next_comment();
    // Requests ahead, which wait for the end of the stream.
    let mut ahead = SMALL.repeat(BEHIND / SMALL.len());
    ahead.extend_from_slice(&SMALL[..BEHIND - ahead.len()]);
    let mut socket = stream.response().connection().socket();
    socket.write_all(&ahead).expect("they leave");
    for _ in 0..2 {
        server.publish("still here");
        assert_eq!(stream.next_event().data(), Some("still here"));
        stream.next_comment();
    }
    assert_eq!(server.ended_as_protocol(), 0);
    socket.write_all(b"x").expect("one more");
    until("the stream has ended", LIMIT, || {
        (server.ended_as_protocol() == 1).then_some(())
    });
}

#[test]
fn h01_a_body_of_a_known_length_that_is_not_read_does_not_count() {
    let server = Server::start(Front::EventServer);
    let mut stream = Request::new("POST", "/events?topic=t")
        .header("Accept", "text/event-stream")
        .header("Content-Length", "100000")
        .open(server.address);
    let mut socket = stream.response().connection().socket();
    socket.write_all(&[b'x'; 100_000]).expect("the body leaves");
    for _ in 0..2 {
        server.publish("still here");
        assert_eq!(stream.next_event().data(), Some("still here"));
        stream.next_comment();
    }
    assert_eq!(server.ended_as_protocol(), 0);
}

#[test]
fn h01_what_is_sent_behind_a_slow_request_waits() {
    let server = Server::start(Front::EventServer);
    let mut connection = Connection::open(server.address);
    let request = Request::new("GET", "/slow").bytes(server.address);
    connection.send(&request).expect("the request leaves");
    let mut socket = connection.socket();
    socket.set_nonblocking(true).expect("not to wait");
    // All that the kernel takes, or the server reads.
    while socket.write(&flood()).is_ok() {}
    server.is_quiet("a flood behind a slow request");
    socket.set_nonblocking(false).expect("to wait");
    assert_eq!(connection.head(LIMIT).expect("its head").status, 200);
}
