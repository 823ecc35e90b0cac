//! The floor: one thread that writes the same bytes to every socket, with epoll. Nothing in user
//! space can be much cheaper, and it does nothing else: a stream whose socket is full is cut.

use std::{
    error::Error,
    io::{self, Read as _, Write as _},
    net::TcpStream,
    os::fd::{AsFd, OwnedFd},
    time::{Duration, Instant},
};

use rustix::{
    buffer::spare_capacity,
    event::{
        Timespec,
        epoll::{self, EventData, EventFlags},
    },
};
use socket2::{Domain, Socket, Type};

use super::{DATA, id};
use crate::{contestant::Settings, core_pin::thread_cpu_time};

const LISTENER: u64 = u64::MAX;

/// Heartbeats are spread over their interval in steps of this length, as the hub does it.
const TICK: Duration = Duration::from_millis(50);

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\n\
    content-type: text/event-stream; charset=utf-8\r\n\
    cache-control: no-cache, no-store, no-transform\r\n\
    transfer-encoding: chunked\r\n\r\n\
    10\r\n:\nretry: 30000\n\r\n";
const HEARTBEAT: &[u8] = b"2\r\n:\n\r\n";

#[derive(Debug)]
struct Connection {
    socket: TcpStream,
    streaming: bool,
}

#[derive(Debug)]
struct Floor {
    listener: Socket,
    epoll: OwnedFd,
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
    published: u64,
    foreign: (u64, Duration),
}

pub(super) fn serve(settings: &Settings) -> Result<(), Box<dyn Error>> {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    listener.set_reuse_address(true)?;
    listener.set_nonblocking(true)?;
    listener.bind(&settings.listen.into())?;
    listener.listen(4096)?;
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let token = EventData::new_u64(LISTENER);
    epoll::add(&epoll, listener.as_fd(), token, EventFlags::IN)?;
    let mut floor = Floor {
        listener,
        epoll,
        connections: Vec::new(),
        free: Vec::new(),
        published: 0,
        foreign: (0, Duration::ZERO),
    };
    let steps = usize::try_from((settings.heartbeat().as_millis() / TICK.as_millis()).max(1))?;
    let mut step = 0;
    let mut next_tick = Instant::now() + TICK;
    let mut ready = Vec::with_capacity(1024);
    loop {
        let left = next_tick.saturating_duration_since(Instant::now());
        epoll::wait(
            &floor.epoll,
            spare_capacity(&mut ready),
            Some(&Timespec::try_from(left)?),
        )?;
        for event in ready.drain(..) {
            match event.data.u64() {
                LISTENER => floor.accept()?,
                token => floor.read(usize::try_from(token)?),
            }
        }
        if Instant::now() >= next_tick {
            next_tick += TICK;
            step = (step + 1) % steps;
            floor.write(HEARTBEAT, |index| index % steps == step);
        }
    }
}

impl Floor {
    fn accept(&mut self) -> io::Result<()> {
        loop {
            let socket = match self.listener.accept() {
                Ok((socket, _)) => TcpStream::from(socket),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            socket.set_nonblocking(true)?;
            socket.set_nodelay(true)?;
            let index = self.free.pop().unwrap_or_else(|| {
                self.connections.push(None);
                self.connections.len() - 1
            });
            let token = EventData::new_u64(index as u64);
            epoll::add(&self.epoll, &socket, token, EventFlags::IN)?;
            if let Some(place) = self.connections.get_mut(index) {
                *place = Some(Connection {
                    socket,
                    streaming: false,
                });
            }
        }
    }

    /// The load sends whole requests, one at a time, in one write each.
    fn read(&mut self, index: usize) {
        let mut buffer = [0; 4096];
        let Some(Some(connection)) = self.connections.get_mut(index) else {
            return;
        };
        let request = match connection.socket.read(&mut buffer) {
            Ok(len) if len > 0 => buffer.get(..len).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            _ => return self.close(index),
        };
        let answer = if request.starts_with(b"GET /events ") {
            connection.streaming = true;
            HEAD.to_vec()
        } else if request.starts_with(b"GET /foreign ") {
            let report = format!("{} {}", self.foreign.0, self.foreign.1.as_nanos());
            let len = report.len();
            format!("HTTP/1.1 200 OK\r\ncontent-length: {len}\r\n\r\n{report}").into_bytes()
        } else {
            if let Some(batch) = request.strip_prefix(b"POST /publish?n=") {
                let digits = batch.iter().take_while(|byte| byte.is_ascii_digit());
                self.publish(digits.fold(0, |n, digit| n * 10 + u64::from(digit - b'0')));
            } else {
                let before = thread_cpu_time();
                self.publish(1);
                self.foreign.0 += 1;
                self.foreign.1 += thread_cpu_time().saturating_sub(before);
            }
            b"HTTP/1.1 204 No Content\r\n\r\n".to_vec()
        };
        if let Some(Some(connection)) = self.connections.get_mut(index)
            && connection.socket.write_all(&answer).is_err()
        {
            self.close(index);
        }
    }

    fn publish(&mut self, events: u64) {
        let mut block = String::new();
        for _ in 0..events {
            self.published += 1;
            block += &format!("id: {}\ndata: {DATA}\n\n", id(self.published));
        }
        let chunk = format!("{:x}\r\n{block}\r\n", block.len());
        self.write(chunk.as_bytes(), |_| true);
    }

    fn write(&mut self, bytes: &[u8], wanted: impl Fn(usize) -> bool) {
        for index in 0..self.connections.len() {
            let Some(Some(connection)) = self.connections.get_mut(index) else {
                continue;
            };
            if connection.streaming && wanted(index) {
                let written = connection.socket.write(bytes);
                if written.ok() != Some(bytes.len()) {
                    self.close(index);
                }
            }
        }
    }

    fn close(&mut self, index: usize) {
        if let Some(place) = self.connections.get_mut(index)
            && place.take().is_some()
        {
            self.free.push(index);
        }
    }
}
