//! Two listeners of a proxy for each cell. What comes in at the second meets the fault.

use actix_web_sse_tests::{Nginx, Process, free_port, write_certificate};
use tempfile::TempDir;

use crate::{
    cell::{Cell, Fault, Proxy},
    proxies::{self, Listener},
    server::Servers,
};

/// Where the pages of a cell find their streams.
#[derive(Debug, Clone)]
pub(crate) struct Front {
    pub(crate) good: String,
    pub(crate) bad: String,
}

pub(crate) struct Fronts {
    pub(crate) cells: Vec<Front>,
    _nginx: Option<Nginx>,
    _haproxy: Option<Process>,
    _folder: TempDir,
}

impl Fronts {
    pub(crate) fn start(cells: &[Cell], servers: &Servers, origin: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let _ = write_certificate(folder.path(), &proxies::NAMES);
        let [mut nginx, mut haproxy] = [String::new(), String::new()];
        let mut fronts = Vec::new();
        for (cell, (server, faulty)) in cells.iter().zip(&servers.cells) {
            let behind = faulty.as_ref().unwrap_or(server).address;
            let ports = [free_port(), free_port()];
            let listeners = [
                (ports[0], server.address, Fault::None),
                (ports[1], behind, cell.fault),
            ];
            for (port, application, fault) in listeners {
                let listener = Listener {
                    port,
                    application,
                    fault,
                    http2: cell.http2,
                    origin,
                    folder: folder.path(),
                };
                match cell.proxy {
                    Proxy::Nginx => nginx.push_str(&listener.nginx()),
                    Proxy::HaProxy => haproxy.push_str(&listener.haproxy()),
                }
            }
            let scheme = if cell.http2 { "https" } else { "http" };
            let [good, bad] = ports.map(|port| format!("{scheme}://127.0.0.1:{port}"));
            fronts.push(Front { good, bad });
        }
        Self {
            cells: fronts,
            _nginx: (!nginx.is_empty()).then(|| proxies::start_nginx(&nginx)),
            _haproxy: (!haproxy.is_empty())
                .then(|| proxies::start_haproxy(&haproxy, folder.path())),
            _folder: folder,
        }
    }
}
