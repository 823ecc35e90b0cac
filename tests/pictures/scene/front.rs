//! What stands between the public and the demos, and what looks at it from outside.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    process::Command,
    time::{Duration, SystemTime},
};

use actix_web_sse_tests::{LIMIT, Nginx, Process, free_port};
use tempfile::TempDir;

/// An nginx in front of both demos, for clients over plain HTTP and for the probe over TLS, and
/// `sse-probe watch`.
#[derive(Debug)]
pub(crate) struct Front {
    public: Nginx,
    probe: SocketAddr,
    _watch: Process,
    folder: TempDir,
}

impl Front {
    pub(crate) fn start(apps: [SocketAddr; 2], probe: &Path, token: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path();
        certify(path);
        let tls = free_port();
        let public = Nginx::start(&configuration(apps, path, tls));
        fs::write(path.join("token"), token).expect("the token is written");
        let listen = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let config = path.join("watch.toml");
        fs::write(&config, watch(listen, path, tls, apps)).expect("the targets are written");
        let watch = Process::spawn(Command::new(probe).arg("watch").arg("--config").arg(config));
        watch.wait_for_line("where the probe listens", LIMIT, |line| {
            line.contains(&listen.to_string()).then_some(())
        });
        Self {
            public,
            probe: listen,
            _watch: watch,
            folder,
        }
    }

    /// Where clients come in.
    pub(crate) fn public(&self) -> SocketAddr {
        self.public.address()
    }

    /// Where the probe is scraped.
    pub(crate) fn probe(&self) -> SocketAddr {
        self.probe
    }

    /// Takes `Access-Control-Allow-Origin` away, as one line too many in a configuration does.
    pub(crate) fn strip(&self, on: bool) {
        let switch = self.folder.path().join("strip");
        if on {
            fs::write(switch, "").expect("the fault is switched on");
        } else {
            fs::remove_file(switch).expect("the fault is switched off");
        }
    }
}

fn certify(folder: &Path) {
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    params.not_after = (SystemTime::now() + Duration::from_secs(90 * 86_400)).into();
    let certificate = params.self_signed(&key).expect("a certificate");
    let both = certificate.pem() + &key.serialize_pem();
    fs::write(folder.join("localhost.pem"), both).expect("the certificate is written");
}

fn configuration(apps: [SocketAddr; 2], folder: &Path, tls: u16) -> String {
    let folder = folder.display();
    let [first, second] = apps;
    format!(
        "upstream demos {{
           server {first} max_fails=0;
           server {second} max_fails=0;
         }}
         proxy_http_version 1.1;
         proxy_set_header Connection \"\";
         proxy_set_header Host 127.0.0.1;
         proxy_buffering off;
         server {{
           listen {{listen}};
           listen 127.0.0.1:{tls} ssl http2;
           ssl_certificate {folder}/localhost.pem;
           ssl_certificate_key {folder}/localhost.pem;
           location / {{ proxy_pass http://demos; }}
           location = /events {{
             if (-f {folder}/strip) {{ rewrite ^ /stripped last; }}
             proxy_pass http://demos;
           }}
           location = /stripped {{
             internal;
             proxy_hide_header Access-Control-Allow-Origin;
             proxy_pass http://demos/events$is_args$args;
           }}
         }}"
    )
}

fn watch(listen: SocketAddr, folder: &Path, tls: u16, apps: [SocketAddr; 2]) -> String {
    let folder = folder.display();
    let target = |name: &str, url: &str| {
        format!(
            "[[targets]]\nurl = \"{url}/events?topic=prices\"\nmodule = \"app\"\nname = \"{name}\"\n"
        )
    };
    format!(
        "listen = \"{listen}\"\ninterval = \"15s\"\n\
         [modules.app]\norigin = \"https://app.example.com\"\ncredentials = true\n\
         bearer_file = \"{folder}/token\"\nhold = \"6s\"\n\
         target_origins = [\"https://localhost:{tls}\", \"http://{}\", \"http://{}\"]\n\
         tls_config = {{ ca_file = \"{folder}/localhost.pem\" }}\n{}{}{}",
        apps[0],
        apps[1],
        target("public", &format!("https://localhost:{tls}")),
        target("app-1", &format!("http://{}", apps[0])),
        target("app-2", &format!("http://{}", apps[1])),
    )
}
