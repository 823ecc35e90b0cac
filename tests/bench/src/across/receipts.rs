//! When events came.

use std::{
    error::Error,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::mpsc::{Receiver, Sender, channel},
    thread,
    time::{Duration, Instant},
};

/// One moment for each event that has come, in their order.
#[derive(Debug)]
pub(super) struct Receipts(Receiver<Instant>);

/// Longer than anything here may take.
const LIMIT: Duration = Duration::from_secs(60);

impl Receipts {
    pub(super) fn new() -> (Sender<Instant>, Self) {
        let (sender, receiver) = channel();
        (sender, Self(receiver))
    }

    /// Opens a stream, and notes each event on a thread of its own, until the stream ends.
    pub(super) fn of_stream(server: SocketAddr, path: &str) -> Result<Self, Box<dyn Error>> {
        let mut socket = TcpStream::connect(server)?;
        socket.set_nodelay(true)?;
        write!(
            socket,
            "GET {path} HTTP/1.1\r\nHost: {server}\r\nAccept: text/event-stream\r\n\r\n"
        )?;
        let (sender, receipts) = Self::new();
        thread::spawn(move || {
            let (mut buffer, mut line) = (vec![0; 64 * 1024], Vec::new());
            while let Ok(read @ 1..) = socket.read(&mut buffer) {
                let now = Instant::now();
                for byte in buffer.iter().take(read) {
                    if *byte != b'\n' {
                        line.push(*byte);
                    } else {
                        if line.starts_with(b"data:")
                            && line.trim_ascii() != b"data: {}"
                            && sender.send(now).is_err()
                        {
                            return;
                        }
                        line.clear();
                    }
                }
            }
        });
        Ok(receipts)
    }

    /// When the next event came.
    pub(super) fn next(&self) -> Result<Instant, Box<dyn Error>> {
        Ok(self.0.recv_timeout(LIMIT)?)
    }

    /// When the last of so many events came.
    pub(super) fn last_of(&self, events: usize) -> Result<Instant, Box<dyn Error>> {
        (0..events).try_fold(Instant::now(), |_, _| self.next())
    }
}
