//! Readers that come, stay a while, and come back.

use std::{
    io::{self, ErrorKind, Read},
    net::{SocketAddr, TcpStream},
    thread::Scope,
    time::{Duration, Instant},
};

use actix_web_sse_tests::{Connection, Request};
use fastrand::Rng;

use crate::house::{House, ask};

const READERS: usize = 150;

/// Everybody takes a thread of their own.
pub(crate) fn enter<'scope, 'env>(scope: &'scope Scope<'scope, 'env>, house: &'env House) {
    for number in 0..READERS {
        scope.spawn(move || Reader::new(number, house).live());
    }
}

/// How a reader shows who it is.
#[derive(Debug, Clone, Copy)]
enum Credentials {
    Cookie,
    Bearer,
    Ticket,
}

struct Reader<'h> {
    house: &'h House,
    number: usize,
    random: Rng,
    address: String,
    user: String,
    origin: Option<String>,
    credentials: Credentials,
    topic: &'static str,
    last_id: Option<String>,
}

impl<'h> Reader<'h> {
    fn new(number: usize, house: &'h House) -> Self {
        let mut random = Rng::with_seed(number as u64);
        // Some sit in one office, behind one address.
        let address = match number % 12 {
            0 => "203.0.113.5".to_owned(),
            _ => format!("198.51.100.{}", 1 + number),
        };
        let origin = match number % 10 {
            0..5 => Some("https://app.example.com".to_owned()),
            5..7 => Some(format!("https://{}.tenant.example.net", random.u8(1..9))),
            7 => Some("http://localhost:5173".to_owned()),
            _ => None,
        };
        let credentials = match (&origin, number % 4) {
            (None, _) => Credentials::Bearer,
            (_, 0) => Credentials::Ticket,
            (_, 1) => Credentials::Bearer,
            _ => Credentials::Cookie,
        };
        Self {
            house,
            number,
            address,
            user: format!("user-{}", number % 90),
            origin,
            credentials,
            topic: *random.choice(&["prices", "prices", "news"]).expect("some"),
            random,
            last_id: None,
        }
    }

    fn live(mut self) {
        while !self.house.is_closed() {
            if self.number as f64 / READERS as f64 > self.house.bustle() {
                self.house.rest(1.0);
                continue;
            }
            let pause = self.visit().unwrap_or(2.0);
            let pause = pause + self.random.f64() * 2.0;
            self.house.rest(pause);
        }
    }

    /// One stream from its beginning to its end; how long the reader waits after it.
    fn visit(&mut self) -> io::Result<f64> {
        let to = self.way();
        let request = self.request(to);
        let (head, connection) = ask(&request, to)?;
        if head.status != 200 {
            return Ok(5.0);
        }
        // What the browser's CORS check does, and what the server sees of it (facts B1).
        let readable = head.headers.get("access-control-allow-origin").is_some();
        if self.origin.is_some() && !readable {
            self.turn_away(connection);
            return Ok(self.random.f64() * 8.0);
        }
        let stay = 6.0 + self.random.f64() * self.random.f64() * 100.0;
        self.read(connection, Instant::now() + Duration::from_secs_f64(stay));
        // Some go for good, and somebody else comes in their place.
        if self.random.u8(0..4) == 0 {
            self.last_id = None;
        }
        Ok(0.5)
    }

    /// Pages are served through nginx, servers ask directly.
    fn way(&mut self) -> SocketAddr {
        match self.origin {
            Some(_) => self.house.front,
            None => self.house.apps[self.number / 10 % 2],
        }
    }

    fn request(&mut self, to: SocketAddr) -> Request {
        let life = [25, 300, 900, 3600, 3600, 7200][self.random.usize(0..6)];
        let token = self.house.token(&self.user, life);
        let mut target = format!("/events?topic={}", self.topic);
        if let Credentials::Ticket = self.credentials {
            let wish = Request::new("POST", &format!("/ticket?topic={}", self.topic))
                .header("Content-Length", "0");
            let reply = self.on_page(wish).bearer(&token).send(to).text();
            let ticket = ticket_of(&reply).unwrap_or_default();
            target = format!("{target}&ticket={ticket}");
        }
        let mut request = match &self.origin {
            Some(origin) => Request::event_source(&target, origin),
            None => Request::stream(&target),
        }
        .header("X-Forwarded-For", &self.address);
        request = match self.credentials {
            Credentials::Cookie => request.header("Cookie", format!("__Host-sid={token}")),
            Credentials::Bearer => request.bearer(&token),
            Credentials::Ticket => request,
        };
        if let Some(id) = &self.last_id {
            request = request.header("Last-Event-ID", id);
        }
        request
    }

    fn on_page(&self, request: Request) -> Request {
        let request = request.header("X-Forwarded-For", &self.address);
        match &self.origin {
            Some(origin) => request.header("Origin", origin),
            None => request,
        }
    }

    fn read(&mut self, mut connection: Connection, until: Instant) {
        while Instant::now() < until && !self.house.is_closed() {
            match connection.line(Duration::from_secs(1)) {
                Ok(line) => {
                    let mut ids = line.lines().filter_map(|line| line.strip_prefix("id: "));
                    if let Some(id) = ids.next_back() {
                        self.last_id = Some(id.to_owned());
                    }
                }
                Err(error) if error.kind() == ErrorKind::TimedOut => {}
                Err(_) => return,
            }
        }
    }

    /// Two in three are Chromium over HTTP/1.1, which drains the body for five seconds or 16 KiB.
    /// The script on the page reports it, and who loads the page anew begins anew.
    fn turn_away(&mut self, connection: Connection) {
        let report = Request::new("POST", "/sse-reports").body("text/plain", "unreadable");
        drop(self.on_page(report).send(self.house.front));
        self.last_id = None;
        if self.random.u8(0..3) > 0 {
            drain(connection.into_socket());
        }
    }
}

fn drain(mut socket: TcpStream) {
    let until = Instant::now() + Duration::from_secs(5);
    let mut left = 16 * 1024_usize;
    let mut piece = [0; 4096];
    while left > 0 {
        let time = until.saturating_duration_since(Instant::now());
        if time.is_zero() || socket.set_read_timeout(Some(time)).is_err() {
            return;
        }
        match socket.read(&mut piece) {
            Ok(0) | Err(_) => return,
            Ok(read) => left = left.saturating_sub(read),
        }
    }
}

fn ticket_of(body: &str) -> Option<String> {
    let reply: serde_json::Value = serde_json::from_str(body).ok()?;
    reply["ticket"].as_str().map(str::to_owned)
}
