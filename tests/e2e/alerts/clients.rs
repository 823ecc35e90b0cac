//! Clients by the dozen.

use std::net::SocketAddr;

use actix_web_sse_tests::{Connection, Request, Response};

/// Streams that are open and not read.
pub(super) struct Crowd(Vec<Response>);

impl Crowd {
    pub(super) fn open(to: SocketAddr, target: &str, count: usize) -> Self {
        let open = || {
            let response = Request::stream(target).send(to);
            assert_eq!(response.status(), 200, "{target}");
            response
        };
        Self((0..count).map(|_| open()).collect())
    }

    pub(super) fn grow(&mut self, to: SocketAddr, target: &str, count: usize) {
        self.0.append(&mut Self::open(to, target, count).0);
    }
}

/// A stream whose client takes nothing, with as little room on the way as the kernel allows.
pub(super) fn open_and_stop_reading(to: SocketAddr, target: &str) -> Connection {
    let mut connection = Connection::open(to).with_small_window();
    connection.send(&Request::stream(target).bytes(to)).unwrap();
    connection
}
