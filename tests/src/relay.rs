//! A wire between a client and a server that can be cut, and that remembers what passed.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{Headers, port::local};

/// Passes connections on to a server, and shows what clients sent and when they left.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    upstream: Mutex<SocketAddr>,
    open: AtomicBool,
    running: AtomicBool,
    delay_millis: AtomicU64,
    wires: Mutex<Vec<Arc<Wire>>>,
}

#[derive(Debug)]
struct Wire {
    client: TcpStream,
    server: TcpStream,
    seen: Mutex<Passage>,
}

/// One connection as the relay saw it.
#[derive(Debug, Clone)]
pub struct Passage {
    /// When the client connected.
    pub opened: Instant,
    /// When the client closed its side, or was cut.
    pub client_left: Option<Instant>,
    /// What the client has sent.
    pub sent: Vec<u8>,
}

impl Passage {
    /// The request lines that the client sent. The bodies of requests are not told apart from
    /// heads: this is for clients that send none.
    #[must_use]
    pub fn requests(&self) -> Vec<(String, Headers)> {
        let text = String::from_utf8_lossy(&self.sent);
        let mut heads: Vec<_> = text.split("\r\n\r\n").collect();
        heads.pop(); // what follows the last blank line is no whole head
        heads
            .into_iter()
            .filter_map(|head| head.split_once("\r\n"))
            .map(|(line, headers)| (line.to_owned(), Headers::parse(headers)))
            .collect()
    }
}

impl Relay {
    /// A relay to this server, on a port of its own.
    ///
    /// # Panics
    /// If it cannot listen.
    #[must_use]
    pub fn to(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind(local(0)).expect("a port for the relay");
        let address = listener.local_addr().expect("its address");
        let shared = Arc::new(Shared {
            upstream: Mutex::new(upstream),
            open: AtomicBool::new(true),
            running: AtomicBool::new(true),
            delay_millis: AtomicU64::new(0),
            wires: Mutex::default(),
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if !accepting.running.load(Ordering::SeqCst) {
                    break;
                }
                // A client that is turned away sees a connection that closes at once.
                if accepting.open.load(Ordering::SeqCst) {
                    accepting.connect(client);
                }
            }
        });
        Self { address, shared }
    }

    /// Leads to another server from now on, as a balancer does when one is gone.
    ///
    /// # Panics
    /// If another thread of the relay has.
    pub fn turn_to(&self, upstream: SocketAddr) {
        *self.shared.upstream.lock().expect("the relay's aim") = upstream;
    }

    /// Where clients connect.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// All connections so far, in their order.
    #[must_use]
    pub fn passages(&self) -> Vec<Passage> {
        let wires = self.shared.wires.lock().unwrap();
        wires
            .iter()
            .map(|wire| wire.seen.lock().unwrap().clone())
            .collect()
    }

    /// The headers of all requests so far whose target begins with this.
    #[must_use]
    pub fn requests_for(&self, target: &str) -> Vec<Headers> {
        let requests = self
            .passages()
            .into_iter()
            .flat_map(|passage| passage.requests());
        requests
            .filter(|(line, _)| {
                line.split(' ')
                    .nth(1)
                    .is_some_and(|seen| seen.starts_with(target))
            })
            .map(|(_, headers)| headers)
            .collect()
    }

    /// Cuts every connection, on both sides and without a word.
    pub fn cut(&self) {
        for wire in self.shared.wires.lock().unwrap().iter() {
            wire.end();
        }
    }

    /// Cuts every connection and turns new ones away until [`mend`](Self::mend).
    pub fn sever(&self) {
        self.shared.open.store(false, Ordering::SeqCst);
        self.cut();
    }

    /// Makes what the server says wait for this long, piece by piece, as a far or crowded network
    /// does; zero ends it.
    pub fn slow_down(&self, delay: Duration) {
        let millis = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        self.shared.delay_millis.store(millis, Ordering::SeqCst);
    }

    /// Lets connections through again.
    pub fn mend(&self) {
        self.shared.open.store(true, Ordering::SeqCst);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.running.store(false, Ordering::SeqCst);
        self.cut();
        // Wakes the thread that accepts; if nobody accepts any more, it is gone already.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn connect(self: &Arc<Self>, client: TcpStream) {
        let upstream = *self.upstream.lock().unwrap();
        let connected = TcpStream::connect(upstream).and_then(|server| {
            client.set_nodelay(true)?;
            server.set_nodelay(true)?;
            let both = (client.try_clone()?, server.try_clone()?);
            Ok((server, both))
        });
        // Without a server the client sees its connection close, as through a proxy that gave up.
        let Ok((server, (client_side, server_side))) = connected else {
            return;
        };
        let wire = Arc::new(Wire {
            client: client_side,
            server: server_side,
            seen: Mutex::new(Passage {
                opened: Instant::now(),
                client_left: None,
                sent: Vec::new(),
            }),
        });
        self.wires.lock().unwrap().push(Arc::clone(&wire));
        let (mut client_in, mut server_out) = (client, server);
        let (Ok(mut server_in), Ok(mut client_out)) =
            (wire.server.try_clone(), wire.client.try_clone())
        else {
            return;
        };
        thread::spawn(move || {
            let result = pass(&mut client_in, &mut server_out, |bytes| {
                wire.seen.lock().unwrap().sent.extend_from_slice(bytes);
            });
            wire.seen.lock().unwrap().client_left = Some(Instant::now());
            match result {
                Ok(()) => drop(server_out.shutdown(Shutdown::Write)),
                Err(_) => wire.end(),
            }
        });
        let shared = Arc::clone(self);
        thread::spawn(move || {
            // Whatever ends this direction, the client is to see the end of it.
            let _ = pass(&mut server_in, &mut client_out, |_| {
                let delay = shared.delay_millis.load(Ordering::SeqCst);
                thread::sleep(Duration::from_millis(delay));
            });
            drop(client_out.shutdown(Shutdown::Write));
        });
    }
}

impl Wire {
    /// Both fail only where the connection has ended already.
    fn end(&self) {
        drop(self.client.shutdown(Shutdown::Both));
        drop(self.server.shutdown(Shutdown::Both));
    }
}

/// Passes bytes on as they come, up to the end of the stream.
fn pass(from: &mut TcpStream, to: &mut TcpStream, mut see: impl FnMut(&[u8])) -> io::Result<()> {
    let mut buffer = [0; 16 * 1024];
    loop {
        let read = from.read(&mut buffer)?;
        if read == 0 {
            return Ok(());
        }
        see(&buffer[..read]);
        to.write_all(&buffer[..read])?;
    }
}
