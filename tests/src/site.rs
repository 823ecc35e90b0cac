//! A small web server of the test's own: the pages that a browser opens, and servers to try the
//! tools on.

use std::{
    fmt,
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use crate::{Headers, port::local};

/// Serves what a function answers, one connection per request.
#[derive(Debug)]
pub struct Site {
    address: SocketAddr,
    running: Arc<AtomicBool>,
    visits: Arc<Mutex<Vec<Visit>>>,
}

/// A request to the site.
#[derive(Debug, Clone)]
pub struct Visit {
    /// The method.
    pub method: String,
    /// The target, with its query.
    pub target: String,
    /// The header lines.
    pub headers: Headers,
    /// The body, if its length was said.
    pub body: Vec<u8>,
}

/// What the site answers.
pub struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Body,
}

type Writer = dyn FnOnce(&mut TcpStream) -> io::Result<()> + Send;

enum Body {
    Whole(Vec<u8>),
    Written(Box<Writer>),
}

impl Answer {
    /// A page.
    #[must_use]
    pub fn page(html: &str) -> Self {
        Self {
            status: 200,
            headers: Vec::new(),
            body: Body::Whole(html.as_bytes().to_vec()),
        }
        .header("Content-Type", "text/html; charset=utf-8")
    }

    /// A page with an empty body, for scripts to run in.
    #[must_use]
    pub fn empty_page() -> Self {
        Self::page("<!doctype html><title>empty</title>")
    }

    /// A status and nothing else.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Body::Whole(Vec::new()),
        }
    }

    /// An event stream, written by a function; it ends when the function returns.
    #[must_use]
    pub fn stream(write: impl FnOnce(&mut TcpStream) -> io::Result<()> + Send + 'static) -> Self {
        Self {
            status: 200,
            headers: Vec::new(),
            body: Body::Written(Box::new(write)),
        }
        .header("Content-Type", "text/event-stream")
        .header("Cache-Control", "no-store")
    }

    /// With another header line. Without one of the name `Connection` the connection is announced
    /// to close; it closes after one answer in any case.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// In place of the lines of that name.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(line, _)| line != name);
        self.header(name, value)
    }

    fn write(self, socket: &mut TcpStream) -> io::Result<()> {
        let mut head = format!("HTTP/1.1 {} Answer\r\n", self.status);
        let says = |name: &str| self.headers.iter().any(|(line, _)| line == name);
        if !says("Connection") {
            head.push_str("Connection: close\r\n");
        }
        for (name, value) in self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        match self.body {
            Body::Whole(body) => {
                head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
                socket.write_all(head.as_bytes())?;
                socket.write_all(&body)
            }
            Body::Written(write) => {
                head.push_str("\r\n");
                socket.write_all(head.as_bytes())?;
                write(socket)
            }
        }
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.status)
            .field("headers", &self.headers)
            .finish_non_exhaustive()
    }
}

impl Site {
    /// Serves on a port of its own.
    ///
    /// # Panics
    /// If it cannot listen.
    #[must_use]
    pub fn serve(answer: impl Fn(&Visit) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(local(0)).expect("a port for the site");
        let site = Self {
            address: listener.local_addr().expect("its address"),
            running: Arc::new(AtomicBool::new(true)),
            visits: Arc::default(),
        };
        let (running, visits) = (Arc::clone(&site.running), Arc::clone(&site.visits));
        let answer = Arc::new(answer);
        thread::spawn(move || {
            for mut socket in listener.incoming().flatten() {
                if !running.load(Ordering::SeqCst) {
                    break;
                }
                let (answer, visits) = (Arc::clone(&answer), Arc::clone(&visits));
                thread::spawn(move || {
                    // A browser opens connections on speculation and closes them unused.
                    if let Ok(visit) = Visit::read(&socket) {
                        visits.lock().unwrap().push(visit.clone());
                        // A client that left does not want the rest.
                        let _ = answer(&visit).write(&mut socket);
                    }
                });
            }
        });
        site
    }

    /// Serves an empty page at every path: an origin for scripts.
    #[must_use]
    pub fn empty() -> Self {
        Self::serve(|_| Answer::empty_page())
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its origin as a browser serialises it.
    #[must_use]
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requests so far.
    #[must_use]
    pub fn visits(&self) -> Vec<Visit> {
        self.visits.lock().unwrap().clone()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.running.store(false, Ordering::SeqCst);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
    }
}

impl Visit {
    fn read(socket: &TcpStream) -> io::Result<Self> {
        let mut reader = BufReader::new(socket);
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let mut words = line.split(' ').map(str::to_owned);
        let (Some(method), Some(target)) = (words.next(), words.next()) else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let mut headers = String::new();
        while reader.read_line(&mut headers)? > 2 {}
        let headers = Headers::parse(&headers);
        let length = headers.get("content-length").map(str::parse);
        let mut body = vec![0; length.and_then(Result::ok).unwrap_or(0)];
        reader.read_exact(&mut body)?;
        Ok(Self {
            method,
            target,
            headers,
            body,
        })
    }
}
