//! A request, written as it is given.

use std::{
    fmt::{self, Write},
    io,
    net::SocketAddr,
};

use crate::{Connection, EventStream, Response};

/// A request under construction. Header lines are sent in their order, unchecked: a test may send
/// what no client library lets out.
#[derive(Clone)]
pub struct Request {
    method: String,
    target: String,
    version: &'static str,
    headers: Vec<(String, Vec<u8>)>,
    body: Option<Vec<u8>>,
}

impl Request {
    /// Any method.
    #[must_use]
    pub fn new(method: &str, target: &str) -> Self {
        Self {
            method: method.to_owned(),
            target: target.to_owned(),
            version: "HTTP/1.1",
            headers: Vec::new(),
            body: None,
        }
    }

    /// What a server client asks to open a stream: no origin, no fetch metadata.
    #[must_use]
    pub fn stream(target: &str) -> Self {
        Self::new("GET", target).header("Accept", "text/event-stream")
    }

    /// What a browser's `EventSource` asks from another origin of the same site.
    #[must_use]
    pub fn event_source(target: &str, origin: &str) -> Self {
        Self::stream(target)
            .header("Cache-Control", "no-cache")
            .header("Origin", origin)
            .header("Sec-Fetch-Site", "same-site")
            .header("Sec-Fetch-Mode", "cors")
            .header("Sec-Fetch-Dest", "empty")
    }

    /// A preflight.
    #[must_use]
    pub fn preflight(target: &str, origin: &str, method: &str, headers: &str) -> Self {
        Self::new("OPTIONS", target)
            .header("Origin", origin)
            .header("Access-Control-Request-Method", method)
            .header("Access-Control-Request-Headers", headers)
    }

    /// Another line.
    #[must_use]
    pub fn header(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let mut headers = self.headers;
        headers.push((name.to_owned(), value.as_ref().to_vec()));
        Self { headers, ..self }
    }

    /// In place of all lines of that name.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers
            .retain(|(line, _)| !line.eq_ignore_ascii_case(name));
        self.header(name, value)
    }

    /// Without the lines of that name.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.headers
            .retain(|(line, _)| !line.eq_ignore_ascii_case(name));
        self
    }

    /// With a bearer token.
    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        self.header("Authorization", format!("Bearer {token}"))
    }

    /// With a body and its length.
    #[must_use]
    pub fn body(self, kind: &str, body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref().to_vec();
        let mut request = self
            .header("Content-Type", kind)
            .header("Content-Length", body.len().to_string());
        request.body = Some(body);
        request
    }

    /// As HTTP/1.0.
    #[must_use]
    pub fn http_1_0(mut self) -> Self {
        self.version = "HTTP/1.0";
        self
    }

    /// The bytes; `Host` is the address unless a line of that name was given.
    #[must_use]
    pub fn bytes(&self, to: SocketAddr) -> Vec<u8> {
        let mut start = format!("{} {} {}\r\n", self.method, self.target, self.version);
        let hosts = self
            .headers
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case("host"));
        if hosts.count() == 0 {
            write!(start, "Host: {to}\r\n").expect("writing to a string");
        }
        let mut bytes = start.into_bytes();
        for (name, value) in &self.headers {
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(self.body.as_deref().unwrap_or_default());
        bytes
    }

    /// Sends it on a connection of its own and reads the head of the response.
    ///
    /// # Panics
    /// If there is none.
    #[track_caller]
    pub fn send(&self, to: SocketAddr) -> Response {
        let mut connection = Connection::open(to);
        connection
            .send(&self.bytes(to))
            .expect("the request leaves");
        connection.response(self.method == "HEAD")
    }

    /// As [`send`](Self::send), to a server that may be gone.
    ///
    /// # Errors
    /// As the socket, and as [`Connection::head`].
    pub fn try_send(&self, to: SocketAddr) -> io::Result<Response> {
        let mut connection = Connection::try_open(to)?;
        connection.send(&self.bytes(to))?;
        let head = connection.head(crate::LIMIT)?;
        Ok(Response::new(head, connection, self.method == "HEAD"))
    }

    /// Sends it and expects a stream.
    ///
    /// # Panics
    /// If there is none.
    #[track_caller]
    pub fn open(&self, to: SocketAddr) -> EventStream {
        self.send(to).events()
    }
}

/// As it would be written, long values cut.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.method, self.target, self.version)?;
        for (name, value) in &self.headers {
            let start = &value[..value.len().min(200)];
            write!(f, " | {name}: {}", start.escape_ascii())?;
        }
        Ok(())
    }
}
