//! Who is measured, and how it is started and stopped.

use std::{
    error::Error,
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    process::{Child, Command, Stdio},
    time::Duration,
};

use clap::{Args, ValueEnum};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::{
    account::Account,
    control::Control,
    core_pin::{Cores, pin},
    serve::DATA,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Contestant {
    Floor,
    Ours,
    /// `ours` on actix-web's own server.
    Http,
    Lab,
    Axum,
    Nchan,
}

impl Contestant {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor (epoll, bare write)",
            Self::Ours => "actix-web-sse, `EventServer`",
            Self::Http => "actix-web-sse, plain `HttpServer`",
            Self::Lab => "actix-web-lab 0.29 `sse` + tokio broadcast",
            Self::Axum => "axum 0.8 `Sse` + tokio broadcast",
            Self::Nchan => "nchan (nginx)",
        }
    }

    pub(crate) const ALL: [Self; 6] = [
        Self::Floor,
        Self::Ours,
        Self::Http,
        Self::Lab,
        Self::Axum,
        Self::Nchan,
    ];

    /// Asks for a batch of events; [`Control::finish`] reads the answer.
    pub(crate) fn publish(self, control: &mut Control, events: usize) -> io::Result<()> {
        match self {
            // It takes one event at a time.
            Self::Nchan => control.send("POST", "/publish", DATA, events),
            _ => control.send("POST", &format!("/publish?n={events}"), "", 1),
        }
    }

    /// It has a thread beside the server's that can publish.
    pub(crate) const fn has_foreign_thread(self) -> bool {
        !matches!(self, Self::Nchan | Self::Floor)
    }

    /// What it costs to wake its thread can be measured by itself.
    pub(crate) const fn has_wake(self) -> bool {
        matches!(self, Self::Ours | Self::Http)
    }

    /// It says how many streams are open, and resumes after an ID that it says.
    pub(crate) const fn says_streams(self) -> bool {
        matches!(self, Self::Ours | Self::Http)
    }

    /// Everything it needs is on this machine.
    pub(crate) fn is_there(self) -> bool {
        self != Self::Nchan || std::path::Path::new(NCHAN).exists()
    }
}

/// What this project puts around a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// A policy with everything: host, origins, fetch metadata, `Accept`, tokens, limits.
    Guards,
    /// The metrics, and `/metrics`.
    Metrics,
    /// The log, as JSON lines on standard error.
    Logs,
}

impl Part {
    pub(crate) const ALL: [Self; 3] = [Self::Guards, Self::Metrics, Self::Logs];
}

/// What a contestant is told.
#[derive(Debug, Clone, Args)]
pub(crate) struct Settings {
    /// Where to listen.
    #[arg(long)]
    pub(crate) listen: SocketAddr,
    /// After how much silence a heartbeat goes out.
    #[arg(long, default_value_t = 15_000)]
    pub(crate) heartbeat_ms: u64,
    /// What `ours` has around it.
    #[arg(long = "with", value_enum)]
    pub(crate) parts: Vec<Part>,
}

impl Settings {
    pub(crate) const fn heartbeat(&self) -> Duration {
        Duration::from_millis(self.heartbeat_ms)
    }
}

/// A running contestant, pinned to the server's core. Ends when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) account: Account,
    contestant: Contestant,
    process: Child,
    _files: Option<TempDir>,
}

impl Server {
    pub(crate) fn start(
        contestant: Contestant,
        parts: &[Part],
        heartbeat: Duration,
        cores: Cores,
    ) -> Result<Self, Box<dyn Error>> {
        let address = free_address()?;
        let (mut command, files) = match contestant {
            Contestant::Nchan => nginx(address, heartbeat)?,
            _ => (program(contestant, parts, address, heartbeat)?, None),
        };
        if parts.contains(&Part::Logs) {
            command.stderr(Stdio::null());
        }
        command.stdin(Stdio::null());
        pin(cores.server)?;
        let process = command.spawn();
        pin(cores.load)?;
        let process = process.map_err(|error| format!("{command:?}: {error}"))?;
        Ok(Self {
            address,
            account: Account::of(process.id()),
            contestant,
            process,
            _files: files,
        })
    }

    /// The connection to publish through; the server listens then.
    pub(crate) fn control(&self) -> io::Result<Control> {
        Control::connect(self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.contestant == Contestant::Nchan
            && let Some(pid) = i32::try_from(self.process.id())
                .ok()
                .and_then(Pid::from_raw)
        {
            // Its worker must go with it.
            let _ = kill_process(pid, Signal::TERM);
        } else {
            let _ = self.process.kill();
        }
        let _ = self.process.wait();
    }
}

fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

fn program(
    contestant: Contestant,
    parts: &[Part],
    address: SocketAddr,
    heartbeat: Duration,
) -> Result<Command, Box<dyn Error>> {
    let name = contestant
        .to_possible_value()
        .ok_or("a contestant without a name")?;
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(["serve", name.get_name()])
        .args(["--listen", &address.to_string()])
        .args(["--heartbeat-ms", &heartbeat.as_millis().to_string()]);
    for part in parts {
        let part = part.to_possible_value().ok_or("a part without a name")?;
        command.args(["--with", part.get_name()]);
    }
    Ok(command)
}

/// Where Debian's libnginx-mod-nchan puts it.
const NCHAN: &str = "/usr/lib/nginx/modules/ngx_nchan_module.so";

fn nginx(
    address: SocketAddr,
    heartbeat: Duration,
) -> Result<(Command, Option<TempDir>), Box<dyn Error>> {
    let files = tempfile::tempdir()?;
    let at = files.path().display();
    let ping = heartbeat.as_secs().max(1);
    let configuration = format!(
        "load_module {NCHAN};
        daemon off;
        worker_processes 1;
        worker_rlimit_nofile 20000;
        pid {at}/pid;
        error_log {at}/error.log error;
        events {{ worker_connections 19900; use epoll; multi_accept on; }}
        http {{
            access_log off;
            tcp_nodelay on;
            keepalive_requests 1000000000;
            client_body_temp_path {at}/body;
            proxy_temp_path {at}/proxy;
            fastcgi_temp_path {at}/fastcgi;
            scgi_temp_path {at}/scgi;
            uwsgi_temp_path {at}/uwsgi;
            server {{
                listen {address} backlog=4096;
                location = /events {{
                    nchan_subscriber eventsource;
                    nchan_channel_id bench;
                    nchan_subscriber_first_message newest;
                    nchan_eventsource_ping_interval {ping};
                    nchan_eventsource_ping_event \"\";
                    nchan_eventsource_ping_comment \"\";
                }}
                location = /publish {{
                    nchan_publisher;
                    nchan_channel_id bench;
                }}
            }}
        }}
        "
    );
    let path = files.path().join("nginx.conf");
    std::fs::write(&path, configuration)?;
    let mut command = Command::new("nginx");
    command
        .arg("-p")
        .arg(files.path())
        .arg("-c")
        .arg(&path)
        .args(["-e", &format!("{at}/error.log")]);
    Ok((command, Some(files)))
}
