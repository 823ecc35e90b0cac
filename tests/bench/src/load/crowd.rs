//! The clients: thousands of streams that only count.

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use rustix::{
    buffer::spare_capacity,
    event::{
        Timespec,
        epoll::{self, EventData, EventFlags},
    },
};
use socket2::SockRef;

use super::scan::Scan;

/// The headers of the nth request, as whole lines with their ends.
pub(crate) type Headers = fn(usize) -> String;

/// How many requests may wait for their answer: below every backlog.
const OPENING: usize = 128;

/// A contestant that takes longer than this for anything is broken.
const LIMIT: Duration = Duration::from_secs(30);

#[derive(Debug)]
struct Client {
    stream: TcpStream,
    scan: Scan,
    events: u64,
    answered: bool,
}

/// Sums over all streams, since they were opened.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Totals {
    pub(crate) events: u64,
    pub(crate) comments: u64,
    pub(crate) bytes: u64,
}

/// Open streams of one server.
pub(crate) struct Crowd {
    server: SocketAddr,
    headers: Headers,
    epoll: OwnedFd,
    clients: Vec<Client>,
    answered: usize,
    totals: Totals,
    ready: Vec<epoll::Event>,
    buffer: Vec<u8>,
}

impl Crowd {
    pub(crate) fn new(server: SocketAddr, headers: Headers) -> io::Result<Self> {
        Ok(Self {
            server,
            headers,
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            clients: Vec::new(),
            answered: 0,
            totals: Totals::default(),
            ready: Vec::with_capacity(1024),
            buffer: vec![0; 256 * 1024],
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.clients.len()
    }

    pub(crate) const fn totals(&self) -> Totals {
        self.totals
    }

    /// Opens streams until there are so many, and waits until each has been answered.
    pub(crate) fn grow_to(&mut self, streams: usize) -> io::Result<()> {
        while self.clients.len() < streams {
            let request = format!(
                "GET /events HTTP/1.1\r\nHost: {}\r\nAccept: text/event-stream\r\n{}\r\n",
                self.server,
                (self.headers)(self.clients.len()),
            );
            let mut stream = TcpStream::connect(self.server)?;
            stream.set_nodelay(true)?;
            stream.write_all(request.as_bytes())?;
            stream.set_nonblocking(true)?;
            let token = EventData::new_u64(self.clients.len() as u64);
            epoll::add(&self.epoll, &stream, token, EventFlags::IN)?;
            self.clients.push(Client {
                stream,
                scan: Scan::new(),
                events: 0,
                answered: false,
            });
            let deadline = Instant::now() + LIMIT;
            while self.clients.len() - self.answered >= OPENING {
                self.turn(deadline, "the answers of opening streams")?;
            }
        }
        let deadline = Instant::now() + LIMIT;
        while self.answered < self.clients.len() {
            self.turn(deadline, "the answers of the last streams")?;
        }
        Ok(())
    }

    /// Cuts streams until there are only so many. A reset leaves no port behind in TIME_WAIT.
    pub(crate) fn shrink_to(&mut self, streams: usize) -> io::Result<()> {
        for client in self.clients.drain(streams.min(self.clients.len())..) {
            SockRef::from(&client.stream).set_linger(Some(Duration::ZERO))?;
            self.answered -= usize::from(client.answered);
        }
        Ok(())
    }

    /// The last of them closes its connection in order.
    pub(crate) fn hang_up(&mut self) {
        if let Some(client) = self.clients.pop() {
            self.answered -= usize::from(client.answered);
        }
    }

    /// Reads until so many events have arrived since the streams were opened.
    pub(crate) fn read_events(&mut self, total: u64) -> io::Result<()> {
        let deadline = Instant::now() + LIMIT;
        while self.totals.events < total {
            self.turn(deadline, "events")?;
        }
        if self.totals.events > total {
            return Err(io::Error::other(format!(
                "{} events instead of {total}",
                self.totals.events
            )));
        }
        Ok(())
    }

    /// Reads whatever arrives, for so long.
    pub(crate) fn read_for(&mut self, time: Duration) -> io::Result<()> {
        let until = Instant::now() + time;
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            self.poll(left)?;
        }
        Ok(())
    }

    /// Every stream has received as many events as every other.
    pub(crate) fn check_even(&self) -> io::Result<()> {
        let mut counts = self.clients.iter().map(|client| client.events);
        let first = counts.next();
        if counts.all(|count| Some(count) == first) {
            Ok(())
        } else {
            Err(io::Error::other("some streams have missed events"))
        }
    }

    fn turn(&mut self, deadline: Instant, what: &str) -> io::Result<()> {
        let Some(left) = deadline.checked_duration_since(Instant::now()) else {
            let message = format!(
                "waited too long for {what}: {} streams, {:?}",
                self.clients.len(),
                self.totals
            );
            return Err(io::Error::new(io::ErrorKind::TimedOut, message));
        };
        self.poll(left)
    }

    fn poll(&mut self, time: Duration) -> io::Result<()> {
        let timeout = Timespec::try_from(time).map_err(io::Error::other)?;
        self.ready.clear();
        match epoll::wait(&self.epoll, spare_capacity(&mut self.ready), Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in &self.ready {
            let token = usize::try_from(event.data.u64()).unwrap_or(usize::MAX);
            let Some(client) = self.clients.get_mut(token) else {
                continue;
            };
            let len = match client.stream.read(&mut self.buffer) {
                Ok(0) => return Err(io::Error::other("the server ended a stream")),
                Ok(len) => len,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(error) => return Err(error),
            };
            let bytes = self.buffer.get(..len).unwrap_or_default();
            if !client.answered {
                if !bytes.starts_with(b"HTTP/1.1 200 ") {
                    let answer = String::from_utf8_lossy(bytes).into_owned();
                    return Err(io::Error::other(format!("no stream, but {answer}")));
                }
                client.answered = true;
                self.answered += 1;
            }
            let found = client.scan.feed(bytes);
            client.events += found.events;
            self.totals.events += found.events;
            self.totals.comments += found.comments;
            self.totals.bytes += len as u64;
        }
        Ok(())
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        // Nobody is left who could hear of it.
        let _ = self.shrink_to(0);
    }
}
