//! What a hostile client attacks, and how it gets there.

use std::{
    collections::BTreeSet,
    future::Future,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    runtime::{Builder, Runtime},
    task::JoinSet,
    time::{sleep, timeout, timeout_at},
};

/// The server as one hostile client sees it.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// Where the demo listens.
    pub(crate) app: SocketAddr,
    /// The only address that the client has.
    pub(crate) from: Ipv4Addr,
    /// A valid token that opens every topic and publishes nothing. Without one anybody may read.
    pub(crate) token: Option<String>,
    /// When the attack is over.
    pub(crate) until: Instant,
    /// The streams that one address may hold.
    pub(crate) per_address: usize,
    /// A topic with several hundred kilobytes of events a second, in some attacks.
    pub(crate) busy_topic: &'static str,
    /// The ports of the client's connections on which it got a stream.
    pub(crate) streams: Arc<Mutex<BTreeSet<u16>>>,
}

impl Target {
    /// A connection from the client's address.
    pub(crate) async fn connect(&self) -> io::Result<TcpStream> {
        self.connect_with(TcpSocket::new_v4()?).await
    }

    /// The same, where the kernel buffers as little as it can for a client that does not read.
    pub(crate) async fn connect_small(&self) -> io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(1)?;
        self.connect_with(socket).await
    }

    async fn connect_with(&self, socket: TcpSocket) -> io::Result<TcpStream> {
        socket.set_reuseaddr(true)?;
        socket.set_nodelay(true)?;
        socket.bind(SocketAddr::from((self.from, 0)))?;
        let socket = socket.connect(self.app).await?;
        // Another of its connections may have had a stream on this port before.
        self.streams
            .lock()
            .unwrap()
            .remove(&socket.local_addr()?.port());
        Ok(socket)
    }

    /// A request as bytes. Each header is a whole line without its end.
    pub(crate) fn request(&self, method: &str, path: &str, headers: &[&str]) -> Vec<u8> {
        let mut text = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", self.app);
        for line in headers {
            text.push_str(line);
            text.push_str("\r\n");
        }
        text.push_str("\r\n");
        text.into_bytes()
    }

    /// A request for a stream that the demo grants.
    pub(crate) fn stream(&self, topic: &str) -> Vec<u8> {
        self.stream_with(topic, &[])
    }

    /// A request for a stream with more header lines.
    pub(crate) fn stream_with(&self, topic: &str, more: &[&str]) -> Vec<u8> {
        let bearer = self.bearer();
        let mut headers = vec!["Accept: text/event-stream"];
        headers.extend(bearer.as_deref());
        headers.extend(more);
        self.request("GET", &format!("/events?topic={topic}"), &headers)
    }

    /// The header line with the client's own token.
    pub(crate) fn bearer(&self) -> Option<String> {
        let token = self.token.as_deref()?;
        Some(format!("Authorization: Bearer {token}"))
    }

    /// Asks for a stream, and reads the head of the answer; whether it is a stream.
    pub(crate) async fn open(&self, socket: &mut TcpStream, topic: &str) -> io::Result<bool> {
        socket.write_all(&self.stream(topic)).await?;
        let opened = status(socket).await? == 200;
        if opened {
            let port = socket.local_addr()?.port();
            self.streams.lock().unwrap().insert(port);
        }
        Ok(opened)
    }

    /// Whether the attack goes on.
    pub(crate) fn goes_on(&self) -> bool {
        Instant::now() < self.until
    }

    /// Waits until the attack is over.
    pub(crate) async fn rest(&self) {
        sleep(self.until.saturating_duration_since(Instant::now())).await;
    }

    /// Runs a future until the attack is over.
    pub(crate) fn run<T>(&self, attack: impl Future<Output = T>) -> Option<T> {
        let runtime = runtime();
        runtime.block_on(async { timeout_at(self.until.into(), attack).await.ok() })
    }

    /// So many clients at once, each again and again at full speed until the attack is over.
    pub(crate) fn swarm<F, L>(&self, clients: usize, life: F)
    where
        F: Fn(Self, usize) -> L + Clone + Send + 'static,
        L: Future<Output = io::Result<()>> + Send,
    {
        let runtime = runtime();
        runtime.block_on(async {
            let mut swarm = JoinSet::new();
            for number in 0..clients {
                let (target, life) = (self.clone(), life.clone());
                swarm.spawn(timeout_at(self.until.into(), async move {
                    loop {
                        // A client that was refused or cut off comes back at once.
                        if life(target.clone(), number).await.is_err() {
                            sleep(Duration::from_millis(2)).await;
                        }
                    }
                }));
            }
            while let Some(ended) = swarm.join_next().await {
                let _: Result<(), _> = ended.expect("a client does not panic");
            }
        });
    }

    /// Sends requests in bursts over kept connections, and reads every answer.
    pub(crate) fn flood(
        &self,
        clients: usize,
        request: impl Fn(&Self) -> Vec<u8> + Clone + Send + 'static,
    ) {
        const BURST: usize = 8;
        self.swarm(clients, move |target, _| {
            let request = request.clone();
            async move {
                let mut socket = target.connect().await?;
                while target.goes_on() {
                    let burst: Vec<u8> = (0..BURST).flat_map(|_| request(&target)).collect();
                    socket.write_all(&burst).await?;
                    answers(&mut socket, BURST).await?;
                }
                Ok(())
            }
        });
    }
}

fn runtime() -> Runtime {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

/// Reads the head of an answer, and no more than comes with it.
pub(crate) async fn status(socket: &mut TcpStream) -> io::Result<u16> {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if socket.read_buf(&mut head).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    let code = head.get(9..12).and_then(|code| str::from_utf8(code).ok());
    code.and_then(|code| code.parse().ok())
        .ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Reads until so many answers have begun.
async fn answers(socket: &mut TcpStream, count: usize) -> io::Result<()> {
    const START: &[u8] = b"HTTP/1.1 ";
    let (mut text, mut seen) = (Vec::new(), 0);
    while seen < count {
        let patience = Duration::from_secs(1);
        let read = timeout(patience, socket.read_buf(&mut text)).await??;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        seen += text.windows(START.len()).filter(|at| *at == START).count();
        // A start that is not all there yet stays for the next read.
        text.drain(..text.len().saturating_sub(START.len() - 1));
    }
    Ok(())
}

/// Reads and forgets until the server closes the connection.
pub(crate) async fn drain(socket: &mut TcpStream) {
    let mut piece = vec![0; 64 * 1024];
    while matches!(socket.read(&mut piece).await, Ok(read) if read > 0) {}
}

/// Resets the connection: the server sees RST, not FIN.
pub(crate) fn reset(socket: TcpStream) {
    let socket = socket.into_std().expect("a socket");
    let _ = socket2::SockRef::from(&socket).set_linger(Some(Duration::ZERO));
}
