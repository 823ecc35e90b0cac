//! What came back, over HTTP/1.1 as it was sent, or over HTTP/2 by a client that speaks it.

use std::cell::Cell;

use actix_web::web::Bytes;
use h2::client::SendRequest;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::support::LIMIT;

/// What came back.
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    source: Source,
    rest: Vec<u8>,
}

/// Where its body comes from.
enum Source {
    Http1(TcpStream),
    Http2 {
        body: h2::RecvStream,
        /// Keeps the connection open.
        _sender: SendRequest<Bytes>,
    },
}

thread_local! {
    static HTTP_2: Cell<bool> = const { Cell::new(false) };
}

/// A test whose requests go over HTTP/2. Each test has a thread of its own.
pub async fn over_http_2(test: impl Future<Output = ()>) {
    HTTP_2.set(true);
    test.await;
}

/// Each of these tests over HTTP/1.1, and over HTTP/2.
macro_rules! over_both {
    ($($test:ident),* $(,)?) => {
        mod over_http_1 {
            $(#[actix_rt::test]
            async fn $test() {
                super::$test().await;
            })*
        }
        mod over_http_2 {
            $(#[actix_rt::test]
            async fn $test() {
                $crate::reply::over_http_2(super::$test()).await;
            })*
        }
    };
}
pub(crate) use over_both;

impl Reply {
    /// Sends a request, written as HTTP/1.1 has it, and reads the head of the reply.
    pub async fn to(mut socket: TcpStream, request: &[u8]) -> Self {
        if HTTP_2.get() {
            return Self::over_http_2(socket, request).await;
        }
        socket.write_all(request).await.unwrap();
        Self::read(socket).await
    }

    async fn over_http_2(socket: TcpStream, request: &[u8]) -> Self {
        let (sender, connection) = h2::client::handshake(socket).await.unwrap();
        actix_rt::spawn(async move {
            let _ = connection.await;
        });
        let mut sender = sender.ready().await.unwrap();
        let (response, _) = sender.send_request(translated(request), true).unwrap();
        let response = timeout(LIMIT, response)
            .await
            .expect("a head within the limit")
            .unwrap();
        assert_eq!(response.version(), http::Version::HTTP_2);
        let headers = response.headers().iter().map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes());
            (name.to_string(), value.into_owned())
        });
        Self {
            status: response.status().as_u16(),
            headers: headers.collect(),
            source: Source::Http2 {
                body: response.into_body(),
                _sender: sender,
            },
            rest: Vec::new(),
        }
    }

    /// Reads the head of a reply over HTTP/1.1.
    pub async fn read(mut socket: TcpStream) -> Self {
        let mut bytes = Vec::new();
        let end = loop {
            if let Some(end) = bytes.windows(4).position(|part| part == b"\r\n\r\n") {
                break end;
            }
            let read = timeout(LIMIT, socket.read_buf(&mut bytes))
                .await
                .expect("a head within the limit")
                .unwrap();
            assert_ne!(read, 0, "closed before the head ended: {bytes:?}");
        };
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap()[9..12].parse().unwrap();
        let headers = lines
            .map(|line| {
                let (name, value) = line.split_once(": ").unwrap();
                (name.to_ascii_lowercase(), value.to_owned())
            })
            .collect();
        Self {
            status,
            headers,
            source: Source::Http1(socket),
            rest: bytes[end + 4..].to_vec(),
        }
    }

    /// Every value of a header, line by line.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.headers
            .iter()
            .filter(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
            .collect()
    }

    /// The only value of a header, or none.
    pub fn header(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() < 2, "{name} comes {} times", all.len());
        all.first().copied()
    }

    /// The whole body of a reply with a length.
    pub async fn body(&mut self) -> Vec<u8> {
        let length = self
            .header("content-length")
            .map_or(0, |length| length.parse().unwrap());
        while self.rest.len() < length {
            self.read_more().await;
        }
        self.rest.clone()
    }

    /// Waits for the first byte of a stream.
    pub async fn first_byte(&mut self) {
        while self.rest.is_empty() {
            self.read_more().await;
        }
    }

    /// Reads to the end, which must be a clean one.
    pub async fn rest_of_it(mut self) -> Vec<u8> {
        // The last chunk over HTTP/1.1, a frame that says so over HTTP/2.
        while !matches!(self.source, Source::Http1(_)) || !self.rest.ends_with(b"0\r\n\r\n") {
            if !self.has_more().await {
                break;
            }
        }
        self.rest
    }

    /// Reads until the body holds this.
    pub async fn until(&mut self, text: &str) {
        while !String::from_utf8_lossy(&self.rest).contains(text) {
            self.read_more().await;
        }
    }

    async fn read_more(&mut self) {
        assert!(self.has_more().await, "closed early");
    }

    /// Reads on; whether there was anything before a clean end.
    async fn has_more(&mut self) -> bool {
        match &mut self.source {
            Source::Http1(socket) => {
                let read = timeout(LIMIT, socket.read_buf(&mut self.rest))
                    .await
                    .expect("more bytes within the limit")
                    .unwrap();
                assert_ne!(read, 0, "closed early");
                true
            }
            Source::Http2 { body, .. } => {
                let data = timeout(LIMIT, body.data())
                    .await
                    .expect("more bytes within the limit");
                let Some(data) = data else { return false };
                let data = data.unwrap();
                body.flow_control().release_capacity(data.len()).unwrap();
                self.rest.extend_from_slice(&data);
                true
            }
        }
    }

    /// The connection, for another request over HTTP/1.1.
    pub fn into_socket(self) -> TcpStream {
        match self.source {
            Source::Http1(socket) => socket,
            Source::Http2 { .. } => panic!("only HTTP/1.1 has one request after the other"),
        }
    }

    pub fn vary(&self) -> Vec<String> {
        self.all("vary")
            .iter()
            .flat_map(|line| line.split(','))
            .map(|name| name.trim().to_ascii_lowercase())
            .collect()
    }

    /// The reply carries what an allowed origin needs to read it.
    #[track_caller]
    pub fn assert_readable_by(&self, origin: &str) {
        assert_eq!(self.header("access-control-allow-origin"), Some(origin));
        assert_eq!(
            self.header("access-control-allow-credentials"),
            Some("true")
        );
        assert_eq!(
            self.header("access-control-expose-headers"),
            Some("retry-after, x-request-id")
        );
        assert_varies(self);
    }

    /// The reply carries no CORS header at all.
    #[track_caller]
    pub fn assert_unreadable(&self) {
        let cors: Vec<_> = self
            .headers
            .iter()
            .filter(|(name, _)| name.starts_with("access-control-"))
            .collect();
        assert!(cors.is_empty(), "{cors:?}");
        assert_varies(self);
    }

    /// The contract's `OK`, as far as it is seen in the head.
    #[track_caller]
    pub fn assert_ok(&self) {
        assert_eq!(self.status, 200, "{:?}", self.headers);
        assert_eq!(
            self.header("content-type"),
            Some("text/event-stream; charset=utf-8")
        );
        assert_eq!(self.header("content-length"), None);
        assert_varies(self);
    }

    /// The contract's `ERR`.
    #[track_caller]
    pub fn assert_err(&self, status: u16) {
        assert_eq!(self.status, status, "{:?}", self.headers);
        assert_eq!(self.header("content-type"), Some("application/json"));
        assert_eq!(self.header("cache-control"), Some("no-store"));
        assert_eq!(self.header("x-content-type-options"), Some("nosniff"));
        assert_varies(self);
    }
}

#[track_caller]
fn assert_varies(reply: &Reply) {
    let origin = reply.vary().iter().filter(|name| *name == "origin").count();
    assert_eq!(origin, 1, "Vary lists Origin once: {:?}", reply.all("vary"));
}

/// The same request for HTTP/2.
fn translated(request: &[u8]) -> http::Request<()> {
    let head = request.strip_suffix(b"\r\n\r\n").expect("a whole head");
    let mut lines = head
        .split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let first = String::from_utf8(lines.next().unwrap().to_vec()).unwrap();
    let (method, target) = first.split_once(' ').unwrap();
    let target = target.strip_suffix(" HTTP/1.1").unwrap();
    let mut authority = None;
    let mut translated = http::Request::new(());
    for line in lines {
        let colon = line.iter().position(|byte| *byte == b':').unwrap();
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"host") {
            let again = authority.replace(String::from_utf8(value.to_vec()).unwrap());
            assert_eq!(again, None, "HTTP/2 has one authority");
            continue;
        }
        translated.headers_mut().append(
            http::HeaderName::from_bytes(name).unwrap(),
            http::HeaderValue::from_bytes(value).unwrap(),
        );
    }
    *translated.method_mut() = method.parse().unwrap();
    *translated.uri_mut() = http::Uri::builder()
        .scheme("http")
        .authority(authority.expect("a host"))
        .path_and_query(target)
        .build()
        .unwrap();
    translated
}
