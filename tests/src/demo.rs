//! The demo server as a process.

use std::{net::SocketAddr, path::PathBuf, process::Command, time::Duration};

use tempfile::TempDir;

use crate::{
    Claims, Connection, Exposition, LIMIT, Process, Request, Response, Settings, Signal, free_port,
    port::local, until,
};

/// A running demo with a configuration of its own.
#[derive(Debug)]
pub struct Demo {
    program: PathBuf,
    settings: Settings,
    folder: TempDir,
    environment: Vec<(String, String)>,
    process: Process,
    /// Where the application listens.
    pub app: SocketAddr,
    /// Where `/metrics` is.
    pub metrics: SocketAddr,
}

impl Demo {
    /// Starts the program and waits until it serves.
    ///
    /// # Panics
    /// If it does not.
    #[must_use]
    #[track_caller]
    pub fn start(program: &str, settings: &Settings) -> Self {
        Self::start_in(program, settings, &[])
    }

    /// The same with these variables in its environment.
    ///
    /// # Panics
    /// If it does not serve.
    #[must_use]
    #[track_caller]
    pub fn start_in(program: &str, settings: &Settings, environment: &[(&str, &str)]) -> Self {
        // Ports that stay the demo's own while it is down, for a restart.
        let mut app = local(free_port());
        // Another address than loopback's is kept: a test has made a network for it.
        let asked = settings.text("server.listen");
        if let Some(asked) = asked.and_then(|at| at.parse::<SocketAddr>().ok()) {
            app.set_ip(asked.ip());
        }
        let mut settings = settings.clone().set("server.listen", app.to_string());
        let mut metrics = app;
        if settings.text("metrics.listen").is_some() {
            metrics = local(free_port());
            settings = settings.set("metrics.listen", metrics.to_string());
        }
        let folder = tempfile::tempdir().expect("a temporary folder");
        let program = PathBuf::from(program);
        let environment: Vec<_> = environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let process = spawn(&program, &settings, &folder, &environment);
        let demo = Self {
            program,
            settings,
            folder,
            environment,
            process,
            app,
            metrics,
        };
        demo.wait_until_ready();
        demo
    }

    /// Starts it again on the same ports, after it has ended.
    ///
    /// # Panics
    /// If it does not serve.
    #[track_caller]
    pub fn restart(&mut self) {
        self.process = spawn(
            &self.program,
            &self.settings,
            &self.folder,
            &self.environment,
        );
        self.wait_until_ready();
    }

    /// Starts it again on the same ports with other settings, after it has ended.
    ///
    /// # Panics
    /// If it does not serve.
    #[track_caller]
    pub fn restart_with(&mut self, settings: &Settings) {
        self.settings = settings
            .clone()
            .set("server.listen", self.app.to_string())
            .set("metrics.listen", self.metrics.to_string());
        self.restart();
    }

    /// Writes other settings into its file, on the same ports, and has it read them (SIGHUP).
    ///
    /// # Panics
    /// If the file cannot be written.
    #[track_caller]
    pub fn reload(&mut self, settings: &Settings) {
        self.settings = settings
            .clone()
            .set("server.listen", self.app.to_string())
            .set("metrics.listen", self.metrics.to_string());
        self.settings.write(&self.folder.path().join(FILE));
        self.process.signal(Signal::HUP);
    }

    #[track_caller]
    fn wait_until_ready(&self) {
        for (address, path) in [(self.app, "/events"), (self.metrics, "/metrics")] {
            let url = format!("http://{address}{path}");
            self.process
                .wait_for_line(&url, LIMIT, |line| line.contains(&url).then_some(()));
        }
        let ready = Request::new("GET", "/readyz").send(self.app);
        assert_eq!(ready.status(), 200, "/readyz");
    }

    /// Kills it, as the out-of-memory killer would.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Asks it to end, and waits until it has; how long that took.
    ///
    /// # Panics
    /// If it does not end.
    #[track_caller]
    pub fn terminate(&mut self) -> Duration {
        let start = std::time::Instant::now();
        self.process.signal(Signal::TERM);
        let status = self.process.wait(LIMIT);
        assert!(status.success(), "the demo ended with {status}");
        start.elapsed()
    }

    /// The process.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// The origin of the application.
    #[must_use]
    pub fn origin(&self) -> String {
        format!("http://{}", self.app)
    }

    /// A token that the demo accepts.
    ///
    /// # Panics
    /// If its configuration has no key for tokens.
    #[must_use]
    pub fn token(&self, claims: &Claims) -> String {
        let secret = self.settings.text("auth.jwt_hs256_secret");
        claims.sign(secret.expect("a demo that takes tokens"))
    }

    /// Publishes text on a topic.
    ///
    /// # Panics
    /// If the demo refuses.
    #[track_caller]
    pub fn publish(&self, topic: &str, data: &str) {
        let response = self.try_publish(topic, "text/plain", data);
        let status = response.status();
        assert!(status < 300, "publish: {status} {}", response.text());
    }

    /// Publishes on a topic, and hands back whatever the demo answers.
    ///
    /// # Panics
    /// If there is no answer.
    #[track_caller]
    pub fn try_publish(&self, topic: &str, kind: &str, body: &str) -> Response {
        self.publication(topic, kind, body.as_bytes())
            .send(self.app)
    }

    fn publication(&self, topic: &str, kind: &str, body: impl AsRef<[u8]>) -> Request {
        let mut request = Request::new("POST", &format!("/publish?topic={topic}"));
        if self.settings.text("auth.jwt_hs256_secret").is_some() {
            request = request.bearer(&self.token(&Claims::of("publisher").publisher()));
        }
        request.body(kind, body)
    }

    /// Publishes many texts on a topic over one connection, in their order.
    ///
    /// # Panics
    /// If the demo refuses one.
    #[track_caller]
    pub fn publish_all<T: AsRef<[u8]>>(&self, topic: &str, texts: impl IntoIterator<Item = T>) {
        let mut connection = Connection::open(self.app);
        let mut texts = texts.into_iter().peekable();
        while texts.peek().is_some() {
            // A burst of requests, then their answers: not a round trip for each.
            let burst: Vec<_> = texts.by_ref().take(32).collect();
            let bytes: Vec<_> = burst
                .iter()
                .flat_map(|text| self.publication(topic, "text/plain", text).bytes(self.app))
                .collect();
            connection.send(&bytes).expect("the publications leave");
            for _ in &burst {
                let mut answer = connection.response(false);
                assert_eq!(answer.status(), 200, "a publication");
                while answer.piece(LIMIT).expect("its body").is_some() {}
                connection = answer.into_connection();
            }
        }
    }

    /// A look at its metrics.
    ///
    /// # Panics
    /// If there are none.
    #[must_use]
    #[track_caller]
    pub fn exposition(&self) -> Exposition {
        Exposition::of(self.metrics)
    }

    /// Waits until the sum of a metric is this.
    ///
    /// # Panics
    /// If it never is.
    #[track_caller]
    pub fn wait_for_metric(&self, name: &str, labels: &[(&str, &str)], expected: f64) {
        until(&format!("{name} {labels:?} is {expected}"), LIMIT, || {
            let value = self.exposition().sum_or_zero(name, labels);
            ((value - expected).abs() < 1e-9).then_some(())
        });
    }
}

/// The configuration, in the demo's folder.
const FILE: &str = "demo.toml";

fn spawn(
    program: &PathBuf,
    settings: &Settings,
    folder: &TempDir,
    environment: &[(String, String)],
) -> Process {
    let path = folder.path().join(FILE);
    settings.write(&path);
    let environment = environment.iter().map(|(name, value)| (name, value));
    Process::spawn(
        Command::new(program)
            .arg("--config")
            .arg(path)
            .envs(environment),
    )
}
