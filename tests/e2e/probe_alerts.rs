//! S61, 48: `sse-probe watch` sees what goes wrong at a public URL, and each alert on it fires and clears.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::mpsc,
    thread::{self, JoinHandle},
    time::{Duration, SystemTime},
};

use actix_web_sse_tests::{
    Claims, Demo, Nginx, Prometheus, Request, Settings, check_metrics, free_port, until,
};
use sse_probe::exporter::{Config, Exporter};
use tempfile::TempDir;
use tokio::sync::oneshot;

use crate::{
    DEMO,
    dashboards::{dashboard, queries},
};

const APP: &str = "https://app.example.com";

/// Long enough for a probe, a scrape and a rule on a busy machine.
const SEEN: Duration = Duration::from_secs(90);

/// A running exporter; it ends with this value.
struct Watch {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    fn start(toml: &str) -> Self {
        let config = Config::parse(toml).unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let (tell, address) = mpsc::channel();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let exporter = Exporter::bind(config).await.unwrap();
                tell.send(exporter.local_addr().unwrap()).unwrap();
                exporter
                    .run(async {
                        stopped.await.ok();
                    })
                    .await;
            });
        });
        Self {
            address: address.recv().unwrap(),
            stop: Some(stop),
            thread: Some(thread),
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

/// An authority whose certificate the probe trusts.
fn authority(folder: &Path) -> rcgen::Issuer<'static, rcgen::KeyPair> {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&key).unwrap();
    fs::write(folder.join("ca.pem"), certificate.pem()).unwrap();
    rcgen::Issuer::new(params, key)
}

/// A certificate for `localhost` that is valid for so many days, where nginx looks for it.
fn certify(folder: &Path, authority: &rcgen::Issuer<'_, rcgen::KeyPair>, days: u64) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.not_after = (SystemTime::now() + Duration::from_secs(days * 86_400)).into();
    let certificate = params.signed_by(&key, authority).unwrap();
    let mut both = certificate.pem();
    both.push_str(&key.serialize_pem());
    // One file, replaced at once: a handshake never sees the key of another certificate.
    fs::write(folder.join("new.pem"), both).unwrap();
    fs::rename(folder.join("new.pem"), folder.join("localhost.pem")).unwrap();
}

/// An nginx whose faults are switched on by files of their names. It reads its certificate at each handshake.
fn nginx(app: SocketAddr, folder: &Path, token: &str) -> Nginx {
    let folder = folder.display();
    let usual = "proxy_http_version 1.1; proxy_set_header Connection \"\"; proxy_buffering off; proxy_set_header Host $host;";
    let buffering = "proxy_http_version 1.0; proxy_buffering on; proxy_ignore_headers X-Accel-Buffering; proxy_set_header Host $host;";
    Nginx::start(&format!(
        "server {{
           listen {{listen}} ssl http2;
           ssl_certificate {folder}/$ssl_server_name.pem;
           ssl_certificate_key {folder}/$ssl_server_name.pem;
           location = /events {{
             if (-f {folder}/strip) {{ rewrite ^ /strip last; }}
             if (-f {folder}/buffer) {{ rewrite ^ /buffer last; }}
             if (-f {folder}/open) {{ rewrite ^ /open last; }}
             if (-f {folder}/reflect) {{ rewrite ^ /reflect last; }}
             if (-f {folder}/vary) {{ rewrite ^ /vary last; }}
             proxy_pass http://{app}; {usual}
           }}
           location = /strip {{
             internal; proxy_pass http://{app}/events; {usual}
             proxy_hide_header Access-Control-Allow-Origin;
           }}
           location = /reflect {{
             internal; proxy_pass http://{app}/events; {usual}
             # To the application every page looks like the one that it allows.
             proxy_set_header Origin https://app.example.com;
             proxy_hide_header Access-Control-Allow-Origin;
             proxy_hide_header Access-Control-Allow-Credentials;
             add_header Access-Control-Allow-Origin $http_origin always;
             add_header Access-Control-Allow-Credentials true always;
           }}
           location = /vary {{
             internal; proxy_pass http://{app}/events; {usual}
             proxy_hide_header Vary;
           }}
           location = /buffer {{ internal; proxy_pass http://{app}/events; {buffering} }}
           location = /open {{
             internal; proxy_pass http://{app}/events; {usual}
             proxy_set_header Authorization \"Bearer {token}\";
           }}
         }}"
    ))
}

/// The project's rules, which fire at once: how long they wait is proven by their unit tests.
fn impatient_rules(folder: &Path) -> Vec<PathBuf> {
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../grafana/rules");
    let impatient = |file: &str| {
        let text = fs::read_to_string(rules.join(file)).unwrap();
        let lines: Vec<_> = text
            .lines()
            .filter(|line| {
                let line = line.trim_start();
                !line.starts_with("for:") && !line.starts_with("keep_firing_for:")
            })
            .collect();
        let path = folder.join(file);
        fs::write(&path, lines.join("\n")).unwrap();
        path
    };
    ["alerts.yml", "probe.yml"].map(impatient).to_vec()
}

struct Scene {
    prometheus: Prometheus,
}

impl Scene {
    #[track_caller]
    fn wait(&self, alert: &str, firing: bool) {
        let what = format!("{alert} {}", if firing { "fires" } else { "clears" });
        until(&what, SEEN, || {
            let fires = self.prometheus.alerts("firing").iter().any(|a| a == alert);
            (fires == firing).then_some(())
        });
    }

    /// Switches a fault on, sees the alert fire, switches it off, sees it clear.
    #[track_caller]
    fn provoke(&self, alert: &str, on: impl FnOnce(), off: impl FnOnce()) {
        self.wait(alert, false);
        on();
        self.wait(alert, true);
        off();
        self.wait(alert, false);
    }
}

/// The probe's dashboard shows what `watch` sees; every `SSEProbe…` alert, provoked at a real
/// nginx, is seen firing and seen clearing.
#[test]
fn s61_each_alert_on_the_probe_fires_and_clears() {
    let settings = Settings::reference()
        .set("policy.limits.per_ip", 100)
        .set("policy.limits.per_user", 100)
        .set("policy.limits.connects_per_second", 500)
        .set("policy.limits.attempts_per_ip", "unlimited");
    let mut demo = Demo::start(DEMO, &settings);
    let token = demo.token(&Claims::of("probe"));
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    let authority = authority(path);
    certify(path, &authority, 90);
    let nginx = nginx(demo.app, path, &token);
    fs::write(path.join("token"), &token).unwrap();
    let config = |listen: &str| {
        format!(
            "listen = \"{listen}\"\ninterval = \"4s\"\n\
         [modules.app]\norigin = \"{APP}\"\ncredentials = true\nbearer_file = \"{folder}/token\"\n\
         target_origins = [\"https://localhost:{port}\"]\n\
         tls_config = {{ ca_file = \"{folder}/ca.pem\" }}\nhold = \"3s\"\nprofile = \"strict\"\n\
         [[targets]]\nurl = \"https://localhost:{port}/events\"\nmodule = \"app\"\nname = \"public\"\n",
            folder = path.display(),
            port = nginx.address().port(),
        )
    };
    // One that no connection of others takes while the probe is down.
    let address = format!("127.0.0.1:{}", free_port());
    let watch = Watch::start(&config(&address));
    let rules = impatient_rules(path);
    let scene = Scene {
        prometheus: Prometheus::scraping(
            &[("sse-probe", watch.address), ("api", demo.metrics)],
            &rules,
        ),
    };
    scene
        .prometheus
        .wait_for("probe_success{job='sse-probe'}", 1.0);
    let exposition = Request::new("GET", "/metrics").send(watch.address).text();
    let checked = check_metrics(&exposition);
    assert_eq!(
        (checked.code, checked.stderr.len()),
        (Some(0), 0),
        "{checked:?}"
    );

    // The dashboard on live data: no panel is empty. Events flow, so that there is a first one to
    // wait for, and an ID to resume by.
    for (title, query) in queries(&dashboard("probe")) {
        until(&format!("{title}: {query} shows something"), SEEN, || {
            demo.publish("demo", "an event");
            let shown = scene.prometheus.query(&query);
            shown
                .iter()
                .any(|sample| !sample.value.is_nan())
                .then_some(())
        });
    }

    let switch = |name: &str| path.join(name);
    for (alert, file) in [
        ("SSEProbeCorsHeaderMissing", switch("strip")),
        // The application says that it sent the headers.
        ("SSEProbeServerDisagree", switch("strip")),
        ("SSEProbeForeignOriginAllowed", switch("reflect")),
        ("SSEProbeVaryMissing", switch("vary")),
        ("SSEProbeBuffering", switch("buffer")),
        ("SSEProbeAuthBypass", switch("open")),
    ] {
        scene.provoke(
            alert,
            || fs::write(&file, "").unwrap(),
            || fs::remove_file(&file).unwrap(),
        );
    }
    scene.provoke(
        "SSEProbeCertExpiring",
        || certify(path, &authority, 5),
        || certify(path, &authority, 90),
    );
    scene.wait("SSEProbeFailed", false);
    demo.kill();
    scene.wait("SSEProbeFailed", true);
    demo.restart();
    scene.wait("SSEProbeFailed", false);

    scene.wait("SSEProbeMissing", false);
    drop(watch);
    scene.wait("SSEProbeMissing", true);
    let watch = Watch::start(&config(&address));
    scene.wait("SSEProbeMissing", false);
    drop(watch);
}
