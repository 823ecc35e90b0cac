//! TLS handshakes of one address, against a demo that does TLS itself.

use std::{
    fs,
    io::{self, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use actix_web_sse_tests::{LIMIT, Process, connections_held, free_port, until, write_certificate};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    pki_types::{CertificateDer, ServerName},
};
use socket2::{Domain, Socket, Type};

use crate::DEMO;

/// What an open may take, the handshake included.
const IN_TIME: Duration = Duration::from_secs(1);
/// More than a worker of actix has under way at once, for two workers.
const SILENT: usize = 600;

/// The demo over TLS, and what its clients trust.
struct Tls {
    app: SocketAddr,
    client: Arc<ClientConfig>,
    _process: Process,
    _folder: tempfile::TempDir,
}

impl Tls {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let made = write_certificate(folder.path(), &["localhost"]);
        let (cert, key) = (
            folder.path().join("cert.pem"),
            folder.path().join("key.pem"),
        );
        let app = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let config = folder.path().join("demo.toml");
        let text = format!(
            "[server]\nlisten = \"{app}\"\nworkers = 2\n[server.tls]\ncert = {cert:?}\nkey = {key:?}\n"
        );
        fs::write(&config, text).unwrap();
        let process = Process::spawn(Command::new(DEMO).arg("--config").arg(&config));
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(made)).unwrap();
        let provider = rustls::crypto::ring::default_provider();
        let client = ClientConfig::builder_with_provider(provider.into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let tls = Self {
            app,
            client: Arc::new(client),
            _process: process,
            _folder: folder,
        };
        until("a stream opens over TLS", LIMIT, || {
            tls.open(honest(0)).ok()
        });
        tls
    }

    fn shake(&self, from: Ipv4Addr) -> io::Result<StreamOwned<ClientConnection, TcpStream>> {
        let name = ServerName::try_from("localhost").unwrap();
        let mut socket = connect(from, self.app)?;
        let mut session = ClientConnection::new(Arc::clone(&self.client), name).unwrap();
        while session.is_handshaking() {
            session.complete_io(&mut socket)?;
        }
        Ok(StreamOwned::new(session, socket))
    }

    /// A stream is opened, and closed when its head is there.
    fn open(&self, from: Ipv4Addr) -> io::Result<()> {
        let mut stream = self.shake(from)?;
        write!(
            stream,
            "GET /events?topic=honest HTTP/1.1\r\nHost: localhost:{}\r\n\
             Accept: text/event-stream\r\n\r\n",
            self.app.port()
        )?;
        let mut start = [0; 12];
        stream.read_exact(&mut start)?;
        match &start {
            b"HTTP/1.1 200" => Ok(()),
            _ => Err(io::Error::other(
                String::from_utf8_lossy(&start).into_owned(),
            )),
        }
    }

    /// Honest clients open, each from an address of its own, while `attack` goes on; it ends when the
    /// flag is set.
    fn holds_against(&self, attack: impl Fn(&Self, &AtomicBool) + Sync) {
        let over = AtomicBool::new(false);
        let took = thread::scope(|scope| {
            scope.spawn(|| attack(self, &over));
            // It is under way when others begin.
            thread::sleep(Duration::from_millis(200));
            let took: Vec<_> = (1..=40)
                .map(|number| {
                    let start = Instant::now();
                    let opened = self.open(honest(number));
                    thread::sleep(Duration::from_millis(25));
                    opened.map(|()| start.elapsed())
                })
                .collect();
            over.store(true, Ordering::SeqCst);
            took
        });
        let failed = took.iter().filter(|took| took.is_err()).count();
        let late = took
            .iter()
            .filter(|took| !matches!(took, Ok(took) if *took <= IN_TIME))
            .count();
        println!(
            "{} of {} opens of others in time",
            took.len() - late,
            took.len()
        );
        // A busy machine makes a few late. A server whose workers shake hands with one address makes most so.
        assert!(failed <= 1 && late <= took.len() / 10, "{took:?}");
        until("its connections are closed", LIMIT, || {
            connections_held(self.app.port()).is_empty().then_some(())
        });
    }
}

fn honest(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 2, 7, number + 1)
}

const HOSTILE: Ipv4Addr = Ipv4Addr::new(127, 66, 7, 7);

fn connect(from: Ipv4Addr, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((from, 0)).into())?;
    // The hostile client has others to try; what becomes of an honest one is to be known.
    let patience = if from == HOSTILE { 3 * IN_TIME } else { LIMIT };
    socket.set_read_timeout(Some(patience))?;
    socket.connect_timeout(&to.into(), patience)?;
    Ok(socket.into())
}

#[test]
fn h02_tls_handshakes_that_are_cut() {
    Tls::start().holds_against(|tls, over| {
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    while !over.load(Ordering::SeqCst) {
                        drop(tls.shake(HOSTILE));
                    }
                });
            }
        });
    });
}

#[test]
fn h02_tls_handshakes_that_stand_still() {
    Tls::start().holds_against(|tls, over| {
        let mut held = Vec::new();
        while !over.load(Ordering::SeqCst) {
            held.retain(|socket: &TcpStream| !is_closed(socket));
            while held.len() < SILENT && !over.load(Ordering::SeqCst) {
                held.extend(connect(HOSTILE, tls.app));
            }
            thread::sleep(Duration::from_millis(5));
        }
    });
}

fn is_closed(socket: &TcpStream) -> bool {
    let _ = socket.set_nonblocking(true);
    match socket.peek(&mut [0; 1]) {
        Ok(read) => read == 0,
        Err(error) => error.kind() != io::ErrorKind::WouldBlock,
    }
}
