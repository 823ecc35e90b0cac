//! What is between the browser and the application.

use actix_web_sse_tests::{Nginx, Process, free_port, write_certificate};
use tempfile::TempDir;

use crate::{
    cell::{Fault, Proxy},
    proxies::{self, Listener},
    server::Application,
};

#[derive(Debug, Clone, Copy)]
pub(crate) struct Way {
    proxy: Option<Proxy>,
    http2: bool,
}

impl Way {
    pub(crate) const ALL: [Self; 5] = [
        Self::new(None, false),
        Self::new(Some(Proxy::Nginx), false),
        Self::new(Some(Proxy::HaProxy), false),
        Self::new(Some(Proxy::Nginx), true),
        Self::new(Some(Proxy::HaProxy), true),
    ];

    const fn new(proxy: Option<Proxy>, http2: bool) -> Self {
        Self { proxy, http2 }
    }

    pub(crate) const fn name(self) -> &'static str {
        match (self.proxy, self.http2) {
            (None, _) => "direct",
            (Some(Proxy::Nginx), false) => "nginx h1",
            (Some(Proxy::Nginx), true) => "nginx h2",
            (Some(Proxy::HaProxy), false) => "haproxy h1",
            (Some(Proxy::HaProxy), true) => "haproxy h2",
        }
    }
}

/// Where a page finds streams that its browser blocks, and streams that it can read.
pub(crate) struct Front {
    pub(crate) blocked: String,
    pub(crate) open: String,
    _nginx: Option<Nginx>,
    _haproxy: Option<Process>,
    _folder: TempDir,
}

impl Front {
    pub(crate) fn start(way: Way, blocking: &Application, open: &Application) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut front = Self {
            blocked: format!("http://{}/unguarded", blocking.address),
            open: format!("http://{}/events", open.address),
            _nginx: None,
            _haproxy: None,
            _folder: folder,
        };
        let Some(proxy) = way.proxy else {
            return front;
        };
        let folder = front._folder.path();
        let _ = write_certificate(folder, &proxies::NAMES);
        let ports = [free_port(), free_port()];
        let [blocked, readable] = [
            (blocking, ports[0], Fault::Stripped),
            (open, ports[1], Fault::None),
        ]
        .map(|(application, port, fault)| {
            let listener = Listener {
                port,
                application: application.address,
                fault,
                http2: way.http2,
                origin: "",
                folder,
            };
            match proxy {
                Proxy::Nginx => listener.nginx(),
                Proxy::HaProxy => listener.haproxy(),
            }
        });
        let sections = blocked + &readable;
        match proxy {
            Proxy::Nginx => front._nginx = Some(proxies::start_nginx(&sections)),
            Proxy::HaProxy => front._haproxy = Some(proxies::start_haproxy(&sections, folder)),
        }
        let scheme = if way.http2 { "https" } else { "http" };
        [front.blocked, front.open] =
            ports.map(|port| format!("{scheme}://127.0.0.1:{port}/events"));
        front
    }
}
