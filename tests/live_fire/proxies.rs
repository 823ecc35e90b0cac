//! How an nginx and a HAProxy pass streams on, and what they do to the headers where they have a fault.

use std::{
    fmt::Write as _,
    fs,
    net::{SocketAddr, TcpStream},
    path::Path,
    process::Command,
};

use actix_web_sse_tests::{LIMIT, Nginx, Process, free_port, until};

use crate::cell::Fault;

/// A port at which a proxy passes on to an application.
pub(crate) struct Listener<'a> {
    pub(crate) port: u16,
    pub(crate) application: SocketAddr,
    pub(crate) fault: Fault,
    pub(crate) http2: bool,
    /// Of the pages.
    pub(crate) origin: &'a str,
    /// With the certificate.
    pub(crate) folder: &'a Path,
}

impl Listener<'_> {
    /// A `server` of nginx.
    pub(crate) fn nginx(&self) -> String {
        let hide = "proxy_hide_header Access-Control-Allow-Origin;";
        let line = match self.fault {
            Fault::Stripped => hide.to_owned(),
            Fault::Doubled => {
                "add_header Access-Control-Allow-Origin $http_origin always;".to_owned()
            }
            Fault::Wildcard => format!("{hide} add_header Access-Control-Allow-Origin * always;"),
            Fault::Lost | Fault::None => String::new(),
        };
        let folder = self.folder.display();
        let tls = format!(
            " ssl http2; ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem"
        );
        let tls = if self.http2 { &*tls } else { "" };
        let Self {
            port, application, ..
        } = self;
        format!(
            "server {{ listen 127.0.0.1:{port}{tls}; location / {{ proxy_pass http://{application}; proxy_http_version 1.1; \
             proxy_set_header Connection ''; proxy_buffering off; {line} }} }}\n"
        )
    }

    /// A `frontend` and a `backend` of HAProxy.
    pub(crate) fn haproxy(&self) -> String {
        let header = "access-control-allow-origin";
        let line = match self.fault {
            Fault::Stripped => format!("    http-response del-header {header}\n"),
            Fault::Doubled => format!("    http-response add-header {header} {}\n", self.origin),
            Fault::Wildcard => format!("    http-response set-header {header} *\n"),
            Fault::Lost | Fault::None => String::new(),
        };
        let folder = self.folder.display();
        let tls = match self.http2 {
            true => format!(" ssl crt {folder}/both.pem alpn h2,http/1.1"),
            false => String::new(),
        };
        let Self {
            port, application, ..
        } = self;
        format!(
            "frontend f{port}\n    bind 127.0.0.1:{port}{tls}\n    default_backend b{port}\n\
             backend b{port}\n{line}    server app {application}\n"
        )
    }
}

/// Starts an nginx with these servers.
pub(crate) fn start_nginx(servers: &str) -> Nginx {
    Nginx::start(&format!(
        "{servers}server {{ listen {{listen}}; return 200; }}\n"
    ))
}

/// Starts a HAProxy with these sections.
pub(crate) fn start_haproxy(sections: &str, folder: &Path) -> Process {
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

/// The names of the fronts.
pub(crate) const NAMES: [&str; 2] = ["localhost", "127.0.0.1"];
