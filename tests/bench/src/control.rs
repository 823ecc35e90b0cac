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
}

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
        })
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
        self.unanswered += times;
        self.connection
            .get_mut()
            .write_all(request.repeat(times).as_bytes())
    }

    /// Reads what is still to be answered; the last answer's body.
    pub(crate) fn finish(&mut self) -> io::Result<String> {
        let mut body = String::new();
        while self.unanswered > 0 {
            body = self.answer()?;
            self.unanswered -= 1;
        }
        Ok(body)
    }

    pub(crate) fn ask(&mut self, method: &str, path: &str) -> io::Result<String> {
        self.send(method, path, "", 1)?;
        self.finish()
    }

    fn answer(&mut self) -> io::Result<String> {
        let mut status = String::new();
        self.connection.read_line(&mut status)?;
        if !status.starts_with("HTTP/1.1 2") {
            return Err(io::Error::other(format!("answered {status:?}")));
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
