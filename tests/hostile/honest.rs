//! The others: streams that are read, over HTTP/1.1 and HTTP/2, a publisher, and opens, each from an address of its own.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use actix_web_sse_tests::{LIMIT, until};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    runtime::Builder,
    time::{MissedTickBehavior, interval, sleep, timeout},
};

use crate::{
    frames::{self, Frame},
    target::{reset, status},
};

/// What an open may take.
const IN_TIME: Duration = Duration::from_secs(1);
/// How long opens are waited for, to know how late they are.
const PATIENCE: Duration = Duration::from_secs(3);

/// How the crowd behaves.
#[derive(Debug, Clone)]
pub(crate) struct Manners {
    pub(crate) app: SocketAddr,
    /// How many streams are read.
    pub(crate) streams: usize,
    /// How often one of them is opened, to begin with.
    pub(crate) gather_every: Duration,
    /// How often an event is published to them.
    pub(crate) publish_every: Duration,
    /// How often somebody opens a stream.
    pub(crate) open_every: Duration,
    /// Whether events go to the busy topic too.
    pub(crate) busy: bool,
    /// Signs a user's token; the flag is the right to publish.
    pub(crate) token: Option<fn(&str, bool) -> String>,
}

/// What they felt during a phase.
#[derive(Debug, Clone)]
pub(crate) struct Felt {
    /// How long each open took that was tried; those that failed took for ever.
    pub(crate) opens: Vec<Duration>,
    /// How long an event took to a stream, from before it was published; of a hundred, the
    /// slowest but one.
    pub(crate) p99: Duration,
    /// The deliveries that there should have been.
    pub(crate) deliveries: usize,
    /// Those that never were.
    pub(crate) lost: usize,
}

impl Felt {
    /// The opens that were streams within a second, and so much more.
    pub(crate) fn in_time(&self, more: Duration) -> usize {
        let in_time = |took: &&Duration| **took <= IN_TIME + more;
        self.opens.iter().filter(in_time).count()
    }
}

#[derive(Debug, Default)]
struct Seen {
    /// When each event was published, by its number.
    published: Mutex<Vec<Instant>>,
    /// Number and latency of each delivery.
    delivered: Mutex<Vec<(u32, Duration)>>,
    /// The opens of this phase, each how long it took.
    opens: Mutex<Vec<Duration>>,
    started: AtomicU32,
    streams: AtomicU32,
    publishing: AtomicBool,
    opening: AtomicBool,
    over: AtomicBool,
}

/// The crowd, at work until it is dropped.
#[derive(Debug)]
pub(crate) struct Crowd {
    seen: Arc<Seen>,
    streams: usize,
    /// The first event of the phase.
    from: usize,
    thread: Option<JoinHandle<()>>,
}

impl Crowd {
    /// Opens the streams, and waits until all are there.
    pub(crate) fn gather(manners: Manners) -> Self {
        let seen = Arc::new(Seen::default());
        let streams = manners.streams;
        let thread = thread::spawn({
            let seen = Arc::clone(&seen);
            move || {
                // What is measured is the server, not this thread's turn. Without the right to
                // it, the figures are those of a busier machine.
                let _ = rustix::process::setpriority_process(None, -10);
                let runtime = Builder::new_current_thread().enable_all().build();
                runtime.expect("a runtime").block_on(live(manners, seen));
            }
        });
        let crowd = Self {
            seen,
            streams,
            from: 0,
            thread: Some(thread),
        };
        until("the honest streams are open", 2 * LIMIT, || {
            let open = crowd.seen.streams.load(Ordering::SeqCst);
            (open as usize == streams).then_some(())
        });
        crowd
    }

    /// Starts to publish and to open.
    pub(crate) fn begin(&mut self) {
        self.from = self.seen.published.lock().unwrap().len();
        self.seen.opens.lock().unwrap().clear();
        self.seen.started.store(0, Ordering::SeqCst);
        self.seen.publishing.store(true, Ordering::SeqCst);
        self.seen.opening.store(true, Ordering::SeqCst);
    }

    /// Ends the phase: what was published may still arrive, however late. What has not within the limit never does.
    pub(crate) fn end(&mut self) -> Felt {
        self.seen.publishing.store(false, Ordering::SeqCst);
        self.seen.opening.store(false, Ordering::SeqCst);
        let (from, to) = (self.from, self.seen.published.lock().unwrap().len());
        let expected = (to - from) * self.streams;
        let of_phase = || -> Vec<Duration> {
            let delivered = self.seen.delivered.lock().unwrap();
            let of_phase = delivered
                .iter()
                .filter(|(number, _)| *number as usize >= from);
            of_phase.map(|(_, latency)| *latency).collect()
        };
        let patience = Instant::now() + LIMIT;
        let opens_end = || {
            let ended = self.seen.opens.lock().unwrap().len();
            ended >= self.seen.started.load(Ordering::SeqCst) as usize
        };
        while (of_phase().len() < expected || !opens_end()) && Instant::now() < patience {
            thread::sleep(Duration::from_millis(10));
        }
        let mut latencies = of_phase();
        let lost = expected.saturating_sub(latencies.len());
        latencies.extend(std::iter::repeat_n(LIMIT, lost));
        latencies.sort_unstable();
        Felt {
            opens: self.seen.opens.lock().unwrap().clone(),
            p99: latencies
                .get(latencies.len() * 99 / 100)
                .copied()
                .unwrap_or_default(),
            deliveries: expected,
            lost,
        }
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.seen.over.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn live(manners: Manners, seen: Arc<Seen>) {
    let manners = Arc::new(manners);
    for number in 0..manners.streams {
        tokio::spawn(read(Arc::clone(&manners), number, Arc::clone(&seen)));
    }
    tokio::spawn(publish(Arc::clone(&manners), Arc::clone(&seen)));
    tokio::spawn(open(Arc::clone(&manners), Arc::clone(&seen)));
    if manners.busy {
        tokio::spawn(keep_busy(Arc::clone(&manners), Arc::clone(&seen)));
    }
    while !seen.over.load(Ordering::SeqCst) {
        sleep(Duration::from_millis(5)).await;
    }
}

/// One address for each of them: 127.1.0.0 and on for readers, 127.2.0.0 and on for opens.
fn address(block: u8, number: usize) -> Ipv4Addr {
    let [.., high, low] = (number as u32 + 256).to_be_bytes();
    Ipv4Addr::new(127, block, high, low)
}

async fn connect(from: Ipv4Addr, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.set_nodelay(true)?;
    socket.bind(SocketAddr::from((from, 0)))?;
    socket.connect(to).await
}

impl Manners {
    fn stream(&self, user: &str) -> String {
        let bearer = match self.token {
            Some(sign) => format!("Authorization: Bearer {}\r\n", sign(user, false)),
            None => String::new(),
        };
        format!(
            "GET /events?topic=honest HTTP/1.1\r\nHost: {}\r\nAccept: text/event-stream\r\n\
             {bearer}\r\n",
            self.app
        )
    }

    fn publication(&self, topic: &str) -> String {
        let bearer = match self.token {
            Some(sign) => format!("Authorization: Bearer {}\r\n", sign("publisher", true)),
            None => String::new(),
        };
        format!(
            "POST /publish?topic={topic} HTTP/1.1\r\nHost: {}\r\n{bearer}\
             Content-Type: text/plain\r\n",
            self.app
        )
    }
}

/// Opens a stream, at the rate that the server admits, and reads it. It does not come back when
/// it ends: an honest stream that ends is a loss. One of four is on HTTP/2.
async fn read(manners: Arc<Manners>, number: usize, seen: Arc<Seen>) {
    let user = format!("reader-{number}");
    sleep(manners.gather_every * number as u32).await;
    let mut stream = loop {
        let opened = match number % 4 {
            3 => manners.open_http2(address(1, number), &user).await,
            _ => manners.open_http1(address(1, number), &user).await,
        };
        match opened {
            Ok(stream) => break stream,
            Err(_) => sleep(Duration::from_millis(50 + number as u64 % 50)).await,
        }
    };
    seen.streams.fetch_add(1, Ordering::SeqCst);
    let mut text = Vec::new();
    while stream.read(&mut text).await.is_ok() {
        let now = Instant::now();
        let whole = text
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |end| end + 1);
        for line in text[..whole].split(|byte| *byte == b'\n') {
            let number = line
                .strip_prefix(b"data: n")
                .and_then(|number| str::from_utf8(number).ok());
            let Some(number) = number.and_then(|number| number.parse::<u32>().ok()) else {
                continue;
            };
            let published = seen.published.lock().unwrap()[number as usize];
            seen.delivered
                .lock()
                .unwrap()
                .push((number, now - published));
        }
        text.drain(..whole);
    }
}

/// An open stream.
enum Stream {
    Http1(TcpStream),
    Http2(TcpStream),
}

impl Stream {
    /// Reads more of its body; an error at its end.
    async fn read(&mut self, text: &mut Vec<u8>) -> io::Result<()> {
        match self {
            Self::Http1(socket) => match socket.read_buf(text).await? {
                0 => Err(io::ErrorKind::UnexpectedEof.into()),
                _ => Ok(()),
            },
            Self::Http2(socket) => {
                let frame = frames::read(socket).await?;
                text.extend(answer(socket, frame).await?.data());
                Ok(())
            }
        }
    }
}

/// Acknowledges what asks for it. An error where the stream is over.
async fn answer(socket: &mut TcpStream, frame: Frame) -> io::Result<Frame> {
    const ACK: u8 = 1;
    match frame.kind {
        frames::RST_STREAM | frames::GOAWAY => return Err(io::ErrorKind::UnexpectedEof.into()),
        frames::SETTINGS | frames::PING if frame.flags & ACK == 0 => {
            let payload: &[u8] = match frame.kind {
                frames::PING => &frame.payload,
                _ => &[],
            };
            let ack = frames::frame(frame.kind, ACK, 0, payload);
            socket.write_all(&ack).await?;
        }
        frames::DATA | frames::HEADERS if frame.flags & frames::END_STREAM != 0 => {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        _ => {}
    }
    Ok(frame)
}

impl Manners {
    async fn open_http1(&self, from: Ipv4Addr, user: &str) -> io::Result<Stream> {
        let mut socket = connect(from, self.app).await?;
        socket.write_all(self.stream(user).as_bytes()).await?;
        match status(&mut socket).await? {
            200 => Ok(Stream::Http1(socket)),
            _ => Err(io::ErrorKind::ConnectionRefused.into()),
        }
    }

    /// By prior knowledge, with windows that never close.
    async fn open_http2(&self, from: Ipv4Addr, user: &str) -> io::Result<Stream> {
        const MOST: u32 = i32::MAX as u32;
        let mut socket = connect(from, self.app).await?;
        let token = self.token.map(|sign| sign(user, false));
        let mut bytes = frames::preface(&[(frames::INITIAL_WINDOW_SIZE, MOST)]);
        let more = (MOST - 65_535).to_be_bytes();
        bytes.extend(frames::frame(frames::WINDOW_UPDATE, 0, 0, &more));
        let block = frames::stream_block(self.app, token.as_deref(), "honest");
        let flags = frames::END_HEADERS | frames::END_STREAM;
        bytes.extend(frames::frame(frames::HEADERS, flags, 1, &block));
        socket.write_all(&bytes).await?;
        loop {
            let frame = frames::read(&mut socket).await?;
            let frame = answer(&mut socket, frame).await?;
            if frame.kind == frames::HEADERS {
                return match frame.says_ok() {
                    true => Ok(Stream::Http2(socket)),
                    false => Err(io::ErrorKind::ConnectionRefused.into()),
                };
            }
        }
    }
}

/// Publishes at its pace, whether or not the answers come: a server that stands still must not
/// make the measurement stand still.
async fn publish(manners: Arc<Manners>, seen: Arc<Seen>) {
    let head = manners.publication("honest");
    let mut pace = interval(manners.publish_every);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut connection = None;
    loop {
        pace.tick().await;
        if !seen.publishing.load(Ordering::SeqCst) {
            continue;
        }
        let number = {
            let mut published = seen.published.lock().unwrap();
            published.push(Instant::now());
            published.len() - 1
        };
        if connection.is_none() {
            let opened = timeout(IN_TIME, connect(address(3, 0), manners.app)).await;
            connection = opened.ok().and_then(Result::ok).map(|socket| {
                let (mut reader, writer) = socket.into_split();
                tokio::spawn(async move {
                    let _ = tokio::io::copy(&mut reader, &mut tokio::io::sink()).await;
                });
                writer
            });
        }
        let Some(writer) = &mut connection else {
            continue;
        };
        let body = format!("n{number}");
        let request = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
        let sent = timeout(IN_TIME, writer.write_all(request.as_bytes())).await;
        if !matches!(sent, Ok(Ok(()))) {
            connection = None;
        }
    }
}

/// 16 KB, a hundred times a second.
async fn keep_busy(manners: Arc<Manners>, seen: Arc<Seen>) {
    let body = "b".repeat(16 * 1024);
    let head = manners.publication("busy");
    let request = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
    let mut pace = interval(Duration::from_millis(10));
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while let Ok(socket) = connect(address(3, 1), manners.app).await {
        let (mut reader, mut writer) = socket.into_split();
        tokio::spawn(async move {
            let _ = tokio::io::copy(&mut reader, &mut tokio::io::sink()).await;
        });
        loop {
            pace.tick().await;
            if seen.publishing.load(Ordering::SeqCst)
                && writer.write_all(request.as_bytes()).await.is_err()
            {
                break;
            }
        }
    }
}

/// Opens a stream from an address that has none, and cuts it as soon as it is there.
async fn open(manners: Arc<Manners>, seen: Arc<Seen>) {
    let mut pace = interval(manners.open_every);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut number = 0;
    loop {
        pace.tick().await;
        if !seen.opening.load(Ordering::SeqCst) {
            continue;
        }
        number += 1;
        seen.started.fetch_add(1, Ordering::SeqCst);
        let request = manners.stream(&format!("guest-{number}"));
        let (app, seen) = (manners.app, Arc::clone(&seen));
        tokio::spawn(async move {
            let start = Instant::now();
            let opened = timeout(PATIENCE, async {
                let mut socket = connect(address(2, number), app).await?;
                socket.write_all(request.as_bytes()).await?;
                let status = status(&mut socket).await?;
                reset(socket);
                io::Result::Ok(status)
            });
            let took = match opened.await {
                Ok(Ok(200)) => start.elapsed(),
                _ => Duration::MAX,
            };
            seen.opens.lock().unwrap().push(took);
        });
    }
}
