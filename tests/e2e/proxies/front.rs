//! The configurations of `examples/proxies`, started for real: only addresses and paths are replaced.

use std::{
    fs,
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
};

use actix_web_sse_tests::{LIMIT, Nginx, Process, Signal, free_port, until, write_certificate};
use sse_probe::http::Trust;
use tempfile::TempDir;

/// The software.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Software {
    Nginx,
    /// nginx that answers preflights itself.
    NginxEdge,
    HaProxy,
    Caddy,
    Apache,
    Varnish,
}

/// A running proxy. It ends when dropped.
#[derive(Debug)]
pub(super) struct Front {
    /// The stream's URL through it.
    pub(super) url: String,
    certificate: Vec<u8>,
    process: Option<Process>,
    _nginx: Option<Nginx>,
    _folder: TempDir,
}

/// Replacements in a configuration; `{folder}` in the new text is a folder that the proxy may write to.
pub(super) type Patch<'a> = &'a [(&'a str, &'a str)];

impl Software {
    fn file(self) -> &'static str {
        match self {
            Self::Nginx => "nginx/sse.conf",
            Self::NginxEdge => "nginx/preflight-at-edge.conf",
            Self::HaProxy => "haproxy/haproxy.cfg",
            Self::Caddy => "caddy/Caddyfile",
            Self::Apache => "apache/sse.conf",
            Self::Varnish => "varnish/default.vcl",
        }
    }

    /// Starts it in front of `app`, with the patch applied.
    #[track_caller]
    pub(super) fn start(self, app: SocketAddr, patch: Patch<'_>) -> Front {
        let folder = tempfile::tempdir().unwrap();
        let certificate = write_certificate(folder.path(), &["localhost"]);
        let path = folder.path().display().to_string();
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/proxies");
        let mut config = fs::read_to_string(examples.join(self.file())).unwrap();
        for (old, new) in patch {
            assert!(config.contains(old), "no `{old}` in {}", self.file());
            config = config.replace(old, &new.replace("{folder}", &path));
        }
        config = config.replace("/etc/ssl/sse", &path);
        let port = free_port();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let mut front = Front {
            url: format!("https://localhost:{port}/events"),
            certificate,
            process: None,
            _nginx: None,
            _folder: folder,
        };
        let command = match self {
            Self::Nginx | Self::NginxEdge => {
                let config = replaced(&config, "127.0.0.1:8080", &app.to_string());
                let nginx = Nginx::start(&replaced(&config, "listen 443", "listen {listen}"));
                front.url = format!("https://localhost:{}/events", nginx.address().port());
                front._nginx = Some(nginx);
                return front;
            }
            Self::HaProxy => haproxy(&path, &config, app, address),
            Self::Caddy => caddy(&path, &config, app, address),
            Self::Apache => apache(&path, &config, app, address),
            Self::Varnish => {
                front.url = format!("http://localhost:{port}/events");
                varnish(&path, &config, app, address)
            }
        };
        front.run(command, address);
        front
    }
}

impl Front {
    #[track_caller]
    fn run(&mut self, mut command: Command, address: SocketAddr) {
        let mut process = Process::spawn(&mut command);
        until("the proxy listens", LIMIT, || {
            assert!(process.is_running(), "it ended: {:#?}", process.lines());
            TcpStream::connect(address).ok()
        });
        self.process = Some(process);
    }

    /// Trust in its certificate.
    pub(super) fn trust(&self) -> Trust {
        Trust::Also(vec![self.certificate.clone()])
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        // Some have children, which they end only if they are asked.
        if let Some(process) = &mut self.process {
            process.signal(Signal::TERM);
            process.let_end(std::time::Duration::from_secs(5));
        }
    }
}

#[track_caller]
fn replaced(config: &str, old: &str, new: &str) -> String {
    assert!(config.contains(old), "no `{old}` in the configuration");
    config.replace(old, new)
}

fn haproxy(folder: &str, config: &str, app: SocketAddr, address: SocketAddr) -> Command {
    let config = replaced(config, "127.0.0.1:8080", &app.to_string());
    let config = replaced(&config, "bind :443", &format!("bind {address}"));
    let mut command = Command::new("haproxy");
    command
        .arg("-db")
        .arg("-f")
        .arg(write(folder, "haproxy.cfg", &config));
    command
}

fn caddy(folder: &str, config: &str, app: SocketAddr, address: SocketAddr) -> Command {
    let config = replaced(config, "127.0.0.1:8080", &app.to_string());
    let site = format!("https://localhost:{} {{\n\tbind 127.0.0.1", address.port());
    let config = replaced(&config, "https://api.example.com {", &site);
    let mut command = Command::new("caddy");
    command
        .args(["run", "--adapter", "caddyfile", "--config"])
        .arg(write(folder, "Caddyfile", &config))
        .env("HOME", folder)
        .env("XDG_DATA_HOME", folder)
        .env("XDG_CONFIG_HOME", folder);
    command
}

fn apache(folder: &str, config: &str, app: SocketAddr, address: SocketAddr) -> Command {
    let config = replaced(config, "127.0.0.1:8080", &app.to_string());
    let config = replaced(&config, "Listen 443", &format!("Listen {address}"));
    let config = replaced(&config, "*:443", &format!("*:{}", address.port()));
    let modules = [
        "mpm_event",
        "authz_core",
        "headers",
        "ssl",
        "socache_shmcb",
        "http2",
        "proxy",
        "proxy_http",
        "env",
        "alias",
        "deflate",
        "filter",
        "ext_filter",
        "cache",
        "cache_disk",
    ];
    let mut main = format!(
        "ServerRoot {folder}\nServerName localhost\nPidFile {folder}/pid\nErrorLog /dev/stderr\nMutex posixsem\n\
         DefaultRuntimeDir {folder}\n"
    );
    for module in modules {
        main.push_str(&format!(
            "LoadModule {module}_module /usr/lib/apache2/modules/mod_{module}.so\n"
        ));
    }
    main.push_str(&config);
    let mut command = Command::new("apache2");
    // One process in the foreground.
    command
        .arg("-X")
        .arg("-f")
        .arg(write(folder, "apache.conf", &main));
    command
}

fn varnish(folder: &str, config: &str, app: SocketAddr, address: SocketAddr) -> Command {
    let config = replaced(config, "\"8080\"", &format!("\"{}\"", app.port()));
    let mut command = Command::new("varnishd");
    command
        .args(["-F", "-j", "none", "-s", "malloc,64m", "-n"])
        .arg(Path::new(folder).join("varnish"))
        .arg("-a")
        .arg(format!("{address},HTTP"))
        .arg("-f")
        .arg(write(folder, "default.vcl", &config));
    command
}

fn write(folder: &str, name: &str, text: &str) -> PathBuf {
    let path = Path::new(folder).join(name);
    fs::write(&path, text).unwrap();
    path
}
