//! What a day brings: few streams and very many, clients that come and go beside a publication, clients that close,
//! and all of them coming back at once.

use std::{
    collections::VecDeque,
    error::Error,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use socket2::{Domain, SockRef, Socket, Type};

use crate::{
    contestant::{Contestant, Server},
    control::Control,
    core_pin::Cores,
    load::Crowd,
    plan::Plan,
    round::{deliver, per},
    statistics::{median, percentile},
};

/// One contestant's figures of one round.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Strained {
    /// Private KiB per stream, of a thousand.
    pub(crate) few: Option<f64>,
    /// The same of as many as may be.
    pub(crate) many: Option<f64>,
    /// Milliseconds to the last stream while clients come and go.
    pub(crate) last: Option<f64>,
    /// Milliseconds to the last stream, the hundredth part of the events being later, while one stream of twenty is
    /// not read.
    pub(crate) stalled: Option<f64>,
    /// Milliseconds until a client that closed is no longer counted.
    pub(crate) close: Option<f64>,
    /// CPU per client that comes back with missed events, in microseconds.
    pub(crate) back: Option<f64>,
    /// Seconds until all of them have these.
    pub(crate) all_back: Option<f64>,
}

/// How many events each client that comes back has missed.
pub(crate) const MISSED: usize = 10;

const FEW: usize = 1000;

/// Events while some streams are not read, and before that, so that these have no room left.
const BESIDE_STALLED: usize = 100;
const FILLING: usize = 200;

/// How many clients close, one after the other.
const CLOSES: usize = 50;

pub(crate) fn turn(
    plan: &Plan,
    contestant: Contestant,
    cores: Cores,
) -> Result<Strained, Box<dyn Error>> {
    let mut strained = Strained::default();
    let server = Server::start(contestant, &[], Duration::from_secs(15), cores)?;
    let mut control = server.control()?;
    let mut crowd = Crowd::new(server.address, last_seen)?;
    set_last_seen(None);
    crowd.grow_to(100)?;
    deliver(contestant, &mut control, &mut crowd, 3, 1)?;
    crowd.shrink_to(0)?;
    crowd.read_for(Duration::from_millis(100))?;

    let before = server.account.private_bytes()?;
    let each = |streams: usize| -> Result<f64, Box<dyn Error>> {
        let grown = server.account.private_bytes()?.saturating_sub(before);
        Ok(grown as f64 / 1024.0 / streams as f64)
    };
    for (streams, figure) in [(FEW, &mut strained.few), (plan.crowd, &mut strained.many)] {
        crowd.grow_to(streams)?;
        crowd.read_for(Duration::from_millis(200))?;
        *figure = Some(each(streams)?);
    }

    crowd.shrink_to(plan.streams)?;
    crowd.read_for(Duration::from_millis(200))?;
    deliver(contestant, &mut control, &mut crowd, 3, 1)?;
    let latencies = beside_visitors(server.address, || {
        deliver(contestant, &mut control, &mut crowd, plan.singles, 1)
    })?;
    strained.last = median(latencies);

    let stalled = Stalled::open(server.address, plan.streams / 20)?;
    deliver(contestant, &mut control, &mut crowd, 1, FILLING)?;
    let latencies =
        stalled.meanwhile(|| deliver(contestant, &mut control, &mut crowd, BESIDE_STALLED, 1))?;
    strained.stalled = percentile(latencies, 99);

    if contestant.says_streams() {
        strained.close = Some(close(&mut control, &mut crowd)?);
        let (back, all_back) = come_back(plan, &server, contestant, &mut control, &mut crowd)?;
        (strained.back, strained.all_back) = (Some(back), Some(all_back));
    }
    Ok(strained)
}

/// Clients open streams and cut them, as fast as one thread can, while this is done.
fn beside_visitors<T>(
    server: SocketAddr,
    meanwhile: impl FnOnce() -> Result<T, Box<dyn Error>>,
) -> Result<T, Box<dyn Error>> {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let visitors = scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                visit(server)?;
            }
            Ok::<_, std::io::Error>(())
        });
        let done = meanwhile();
        over.store(true, Ordering::Relaxed);
        visitors.join().map_err(|_| "a visitor panicked")??;
        done
    })
}

fn visit(server: SocketAddr) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(server)?;
    ask(&mut stream, server)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    stream.read_exact(&mut [0; 12])?;
    SockRef::from(&stream).set_linger(Some(Duration::ZERO))
}

/// Streams that nobody reads.
struct Stalled {
    server: SocketAddr,
    streams: VecDeque<TcpStream>,
}

impl Stalled {
    fn open(server: SocketAddr, count: usize) -> std::io::Result<Self> {
        let streams = (0..count)
            .map(|_| unread(server))
            .collect::<Result<_, _>>()?;
        Ok(Self { server, streams })
    }

    /// Keeps up their number while this is done: a server may end those that take nothing.
    fn meanwhile<T>(
        mut self,
        work: impl FnOnce() -> Result<T, Box<dyn Error>>,
    ) -> Result<T, Box<dyn Error>> {
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            let keeper = scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    for _ in 0..self.streams.len() / 20 {
                        self.streams.pop_front();
                        self.streams.push_back(unread(self.server)?);
                    }
                    thread::sleep(Duration::from_millis(100));
                }
                Ok::<_, std::io::Error>(())
            });
            let done = work();
            over.store(true, Ordering::Relaxed);
            keeper
                .join()
                .map_err(|_| "the keeper of streams panicked")??;
            done
        })
    }
}

/// Opens a stream and reads nothing, with as little room as the kernel allows.
fn unread(server: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(server), Type::STREAM, None)?;
    socket.set_recv_buffer_size(1)?;
    socket.connect(&server.into())?;
    let mut stream = TcpStream::from(socket);
    ask(&mut stream, server)?;
    Ok(stream)
}

fn ask(stream: &mut TcpStream, server: SocketAddr) -> std::io::Result<()> {
    let request =
        format!("GET /events HTTP/1.1\r\nHost: {server}\r\nAccept: text/event-stream\r\n\r\n");
    stream.write_all(request.as_bytes())
}

/// How long it takes until a client that has closed is no longer counted; that includes a request that asks.
fn close(control: &mut Control, crowd: &mut Crowd) -> Result<f64, Box<dyn Error>> {
    let streams = |control: &mut Control| -> Result<usize, Box<dyn Error>> {
        Ok(control.ask("GET", "/streams")?.parse()?)
    };
    let deadline = Instant::now() + Duration::from_secs(30);
    while streams(control)? != crowd.len() {
        if Instant::now() > deadline {
            return Err("the clients that came and went are still counted".into());
        }
    }
    let mut times = Vec::with_capacity(CLOSES);
    for _ in 0..CLOSES {
        let start = Instant::now();
        crowd.hang_up();
        while streams(control)? != crowd.len() {
            if Instant::now() > deadline {
                return Err("a client that has closed is still counted".into());
            }
        }
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    median(times).ok_or_else(|| "nobody closed".into())
}

/// All clients are cut, and come back at once with the ID that they saw last: CPU per client in microseconds, and the seconds
/// until all have what they missed.
fn come_back(
    plan: &Plan,
    server: &Server,
    contestant: Contestant,
    control: &mut Control,
    crowd: &mut Crowd,
) -> Result<(f64, f64), Box<dyn Error>> {
    crowd.shrink_to(0)?;
    let id = control.ask("GET", "/last-id")?;
    contestant.publish(control, MISSED)?;
    control.finish()?;
    set_last_seen(Some(&id));
    let (cpu, start) = (server.account.cpu_time()?, Instant::now());
    let missed = crowd.totals().events + (MISSED * plan.crowd) as u64;
    crowd.grow_to(plan.crowd)?;
    crowd.read_events(missed)?;
    let took = start.elapsed().as_secs_f64();
    let back = per(server.account.cpu_time()? - cpu, plan.crowd);
    set_last_seen(None);
    crowd.check_even()?;
    Ok((back, took))
}

static LAST_SEEN: Mutex<String> = Mutex::new(String::new());

fn set_last_seen(id: Option<&str>) {
    let header = id.map_or_else(String::new, |id| format!("Last-Event-ID: {id}\r\n"));
    *LAST_SEEN.lock().unwrap_or_else(PoisonError::into_inner) = header;
}

/// What each client sends beside the request.
fn last_seen(_: usize) -> String {
    let header = LAST_SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    header.clone()
}
