//! A wire that can be slow, or cut.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

/// Passes connections on to a port of this machine.
pub(crate) struct Relay {
    pub(crate) port: u16,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    severed: AtomicBool,
    over: AtomicBool,
    delay_millis: AtomicU64,
    wires: Mutex<Vec<TcpStream>>,
    /// The most bytes that came back on a connection between two pieces that went there.
    largest: AtomicU64,
    /// What the clients have sent, while it is noted.
    sent: Mutex<Option<Vec<u8>>>,
}

/// Which way a piece goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    There,
    Back,
}

impl Relay {
    pub(crate) fn to(upstream: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared::default());
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if accepting.over.load(SeqCst) {
                    return;
                }
                if !accepting.severed.load(SeqCst)
                    && let Ok(server) = TcpStream::connect(("127.0.0.1", upstream))
                {
                    accepting.join(&client, &server);
                }
            }
        });
        Self { port, shared }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Delays each piece, in either direction, from now on.
    pub(crate) fn delay(&self, delay: Duration) {
        let millis = u64::try_from(delay.as_millis()).unwrap();
        self.shared.delay_millis.store(millis, SeqCst);
    }

    /// Cuts all connections, and turns new ones away.
    pub(crate) fn sever(&self) {
        self.shared.severed.store(true, SeqCst);
        for wire in self.shared.wires.lock().unwrap().drain(..) {
            // Fails where it has ended already.
            let _ = wire.shutdown(Shutdown::Both);
        }
    }
}

impl Relay {
    /// Lets connections through again, without a delay.
    pub(crate) fn mend(&self) {
        self.shared.delay_millis.store(0, SeqCst);
        self.shared.severed.store(false, SeqCst);
    }
}

impl Relay {
    /// The size of the largest answer since this was asked for the last time, in bytes: of one question, or of
    /// those that were sent together.
    pub(crate) fn largest_answer(&self) -> u64 {
        self.shared.largest.swap(0, SeqCst)
    }

    /// Notes what clients send from now on.
    pub(crate) fn listen(&self) {
        *self.shared.sent.lock().unwrap() = Some(Vec::new());
    }

    /// How often they have sent this since.
    pub(crate) fn heard(&self, text: &str) -> usize {
        let sent = self.shared.sent.lock().unwrap();
        let sent = String::from_utf8_lossy(sent.as_ref().unwrap()).into_owned();
        sent.matches(text).count()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.over.store(true, SeqCst);
        self.sever();
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

impl Shared {
    fn join(self: &Arc<Self>, client: &TcpStream, server: &TcpStream) {
        let came = Arc::new(AtomicU64::new(0));
        let mut wires = self.wires.lock().unwrap();
        // It may have been severed since it was asked.
        if self.severed.load(SeqCst) {
            return;
        }
        for (from, to, way) in [(client, server, Way::There), (server, client, Way::Back)] {
            let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
            // Fails where the other end has gone already.
            let _ = to.set_nodelay(true);
            wires.push(to.try_clone().unwrap());
            let (shared, came) = (Arc::clone(self), Arc::clone(&came));
            thread::spawn(move || shared.pass(from, to, way, &came));
        }
    }

    fn pass(&self, mut from: TcpStream, mut to: TcpStream, way: Way, came: &AtomicU64) {
        let mut buffer = [0; 16 * 1024];
        loop {
            let read = match from.read(&mut buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                read => read.unwrap_or_default(),
            };
            self.count(way, &buffer[..read], came);
            let delay = self.delay_millis.load(SeqCst);
            if delay > 0 {
                thread::sleep(Duration::from_millis(delay));
            }
            if read == 0 || to.write_all(&buffer[..read]).is_err() {
                // Whatever ends one direction ends the connection.
                let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
                return;
            }
        }
    }

    fn count(&self, way: Way, piece: &[u8], came: &AtomicU64) {
        let bytes = u64::try_from(piece.len()).unwrap();
        if way == Way::Back {
            let all = came.fetch_add(bytes, SeqCst) + bytes;
            self.largest.fetch_max(all, SeqCst);
        } else {
            came.store(0, SeqCst);
            if let Some(sent) = self.sent.lock().unwrap().as_mut() {
                sent.extend_from_slice(piece);
            }
        }
    }
}
