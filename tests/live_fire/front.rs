//! The proxies: an nginx and a HAProxy, with two listeners for each cell. What comes in at the second meets
//! the fault.

use std::{
    fmt::Write as _,
    fs,
    net::{SocketAddr, TcpStream},
    path::Path,
    process::Command,
};

use actix_web_sse_tests::{LIMIT, Nginx, Process, free_port, until};
use tempfile::TempDir;

use crate::{
    cell::{Cell, Fault, Proxy},
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
        certify(folder.path());
        let [mut nginx, mut haproxy] = [String::new(), String::new()];
        let mut fronts = Vec::new();
        for (index, (cell, (server, faulty))) in cells.iter().zip(&servers.cells).enumerate() {
            let behind = faulty.as_ref().unwrap_or(server).address;
            let ports = [free_port(), free_port()];
            let listeners = [
                (ports[0], server.address, Fault::None),
                (ports[1], behind, cell.fault),
            ];
            for (port, app, fault) in listeners {
                match cell.proxy {
                    Proxy::Nginx => {
                        nginx.push_str(&nginx_server(port, app, fault, cell.http2, folder.path()))
                    }
                    Proxy::HaProxy => {
                        let name = format!("{index}-{port}");
                        haproxy.push_str(&haproxy_pair(
                            &name,
                            port,
                            app,
                            fault,
                            cell.http2,
                            origin,
                            folder.path(),
                        ));
                    }
                }
            }
            let scheme = if cell.http2 { "https" } else { "http" };
            let [good, bad] = ports.map(|port| format!("{scheme}://127.0.0.1:{port}"));
            fronts.push(Front { good, bad });
        }
        Self {
            cells: fronts,
            _nginx: (!nginx.is_empty()).then(|| Nginx::start(&nginx)),
            _haproxy: (!haproxy.is_empty()).then(|| start_haproxy(&haproxy, folder.path())),
            _folder: folder,
        }
    }
}

fn nginx_server(port: u16, app: SocketAddr, fault: Fault, http2: bool, folder: &Path) -> String {
    let hide = "proxy_hide_header Access-Control-Allow-Origin;";
    let line = match fault {
        Fault::Stripped => hide.to_owned(),
        Fault::Doubled => "add_header Access-Control-Allow-Origin $http_origin always;".to_owned(),
        Fault::Wildcard => format!("{hide} add_header Access-Control-Allow-Origin * always;"),
        Fault::Lost | Fault::None => String::new(),
    };
    let folder = folder.display();
    let tls = format!(
        " ssl http2; ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem"
    );
    let tls = if http2 { &*tls } else { "" };
    format!(
        "server {{ listen 127.0.0.1:{port}{tls}; location / {{ proxy_pass http://{app}; proxy_http_version 1.1; \
         proxy_set_header Connection ''; proxy_buffering off; {line} }} }}\n"
    )
}

fn haproxy_pair(
    name: &str,
    port: u16,
    app: SocketAddr,
    fault: Fault,
    http2: bool,
    origin: &str,
    folder: &Path,
) -> String {
    let header = "access-control-allow-origin";
    let line = match fault {
        Fault::Stripped => format!("    http-response del-header {header}\n"),
        Fault::Doubled => format!("    http-response add-header {header} {origin}\n"),
        Fault::Wildcard => format!("    http-response set-header {header} *\n"),
        Fault::Lost | Fault::None => String::new(),
    };
    let tls = match http2 {
        true => format!(" ssl crt {}/both.pem alpn h2,http/1.1", folder.display()),
        false => String::new(),
    };
    format!(
        "frontend f{name}\n    bind 127.0.0.1:{port}{tls}\n    default_backend b{name}\n\
         backend b{name}\n{line}    server app {app}\n"
    )
}

fn start_haproxy(sections: &str, folder: &Path) -> Process {
    let probe = free_port();
    let mut config = String::from(
        "global\n    maxconn 4000\ndefaults\n    mode http\n    timeout connect 5s\n    timeout client 75s\n    timeout server 75s\n",
    );
    let _ = write!(
        config,
        "{sections}frontend ready\n    bind 127.0.0.1:{probe}\n    http-request return status 200\n"
    );
    let file = folder.join("haproxy.cfg");
    fs::write(&file, config).unwrap();
    let process = Process::spawn(Command::new("haproxy").arg("-db").arg("-f").arg(file));
    until("HAProxy listens", LIMIT, || {
        TcpStream::connect(("127.0.0.1", probe)).ok()
    });
    process
}

fn certify(folder: &Path) {
    let key = rcgen::KeyPair::generate().unwrap();
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let certificate = rcgen::CertificateParams::new(names)
        .unwrap()
        .self_signed(&key)
        .unwrap();
    let (cert, key) = (certificate.pem(), key.serialize_pem());
    fs::write(folder.join("both.pem"), format!("{cert}{key}")).unwrap();
    fs::write(folder.join("cert.pem"), cert).unwrap();
    fs::write(folder.join("key.pem"), key).unwrap();
}
