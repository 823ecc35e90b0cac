//! The connection that asks a server to publish.

use std::{
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

/// One keep-alive connection; requests may be pipelined.
#[derive(Debug)]
pub(crate) struct Control {
    connection: BufReader<TcpStream>,
    host: SocketAddr,
    unanswered: usize,
    used: Instant,
}

/// Servers close connections that idle, actix after five seconds.
const FRESH: Duration = Duration::from_secs(1);

impl Control {
    /// Connects as soon as the server listens.
    pub(crate) fn connect(server: SocketAddr) -> io::Result<Self> {
        let deadline = Instant::now() + Duration::from_secs(10);
        let stream = loop {
            match TcpStream::connect(server) {
                Ok(stream) => break stream,
                Err(error) if Instant::now() > deadline => return Err(error),
                Err(_) => std::thread::sleep(Duration::from_millis(5)),
            }
        };
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        Ok(Self {
            connection: BufReader::new(stream),
            host: server,
            unanswered: 0,
            used: Instant::now(),
        })
    }

    /// The connection, or a new one if nothing has gone over it for a while.
    fn fresh(&mut self) -> io::Result<&mut TcpStream> {
        if self.unanswered == 0 && self.used.elapsed() > FRESH {
            *self = Self::connect(self.host)?;
        }
        self.used = Instant::now();
        Ok(self.connection.get_mut())
    }

    /// Sends a request so many times in one write. [`finish`](Self::finish) reads the answers.
    pub(crate) fn send(
        &mut self,
        method: &str,
        path: &str,
        body: &str,
        times: usize,
    ) -> io::Result<()> {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n\r\n{body}",
            self.host,
            body.len()
        );
        self.fresh()?.write_all(request.repeat(times).as_bytes())?;
        self.unanswered += times;
        Ok(())
    }

    /// Reads what is still to be answered; the last answer's body.
    pub(crate) fn finish(&mut self) -> io::Result<String> {
        let mut body = String::new();
        while self.unanswered > 0 {
            body = self.answer("2")?;
            self.unanswered -= 1;
        }
        Ok(body)
    }

    pub(crate) fn ask(&mut self, method: &str, path: &str) -> io::Result<String> {
        self.send(method, path, "", 1)?;
        self.finish()
    }

    /// Sends a whole request and reads its answer, which must have this status.
    pub(crate) fn exchange(&mut self, request: &str, expected: &str) -> io::Result<String> {
        self.fresh()?.write_all(request.as_bytes())?;
        self.answer(expected)
    }

    fn answer(&mut self, expected: &str) -> io::Result<String> {
        let mut status = String::new();
        self.connection.read_line(&mut status)?;
        let code = status.strip_prefix("HTTP/1.1 ").unwrap_or_default();
        if !code.starts_with(expected) {
            let message = format!("answered {status:?}, not {expected}");
            return Err(io::Error::other(message));
        }
        let mut length = 0;
        loop {
            let mut line = String::new();
            self.connection.read_line(&mut line)?;
            if line.trim_end().is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().map_err(io::Error::other)?;
            }
        }
        let mut body = vec![0; length];
        self.connection.read_exact(&mut body)?;
        String::from_utf8(body).map_err(io::Error::other)
    }
}
