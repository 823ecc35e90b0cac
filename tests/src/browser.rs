//! Real browsers, driven through Node and puppeteer-core.

use std::{
    env, fmt,
    io::Write,
    path::{Path, PathBuf},
    process::{ChildStdin, Command},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};

use crate::{LIMIT, Process};

/// How long a browser may take to start on a machine that compiles beside it.
const LAUNCH: Duration = Duration::from_secs(90);

/// Which browser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BrowserKind {
    /// Chromium.
    Chromium,
    /// Firefox, over WebDriver BiDi.
    Firefox,
}

impl BrowserKind {
    const fn name(self) -> &'static str {
        match self {
            Self::Chromium => "chromium",
            Self::Firefox => "firefox",
        }
    }

    /// The first program of these names that is installed.
    fn executable(self) -> PathBuf {
        let names: &[&str] = match self {
            Self::Chromium => &["chromium", "chromium-browser", "google-chrome"],
            Self::Firefox => &["firefox-esr", "firefox"],
        };
        let path = env::var_os("PATH").unwrap_or_default();
        names
            .iter()
            .flat_map(|name| env::split_paths(&path).map(move |folder| folder.join(name)))
            .find(|program| program.is_file())
            .unwrap_or_else(|| panic!("{self} is not installed; `tests/run` installs it"))
    }
}

impl fmt::Display for BrowserKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A headless browser with an empty profile. It ends when dropped.
#[derive(Debug)]
pub struct Browser {
    kind: BrowserKind,
    // Before the process: the bridge closes the browser and ends when its input does.
    input: Mutex<Option<ChildStdin>>,
    bridge: Mutex<Process>,
    next: AtomicU64,
}

/// A tab.
#[derive(Debug)]
pub struct Page<'b> {
    browser: &'b Browser,
    id: u64,
}

impl Browser {
    /// Starts one.
    ///
    /// # Panics
    /// If it is not installed, or does not start.
    #[must_use]
    #[track_caller]
    pub fn launch(kind: BrowserKind) -> Self {
        Self::launch_with(kind, &[])
    }

    /// Starts one with further arguments.
    ///
    /// # Panics
    /// As [`launch`](Self::launch).
    #[must_use]
    #[track_caller]
    pub fn launch_with(kind: BrowserKind, arguments: &[&str]) -> Self {
        let bridge = Path::new(env!("CARGO_MANIFEST_DIR")).join("browser/bridge.mjs");
        let (process, input) = Process::spawn_with_input(Command::new("node").arg(bridge));
        let browser = Self {
            kind,
            input: Mutex::new(Some(input)),
            bridge: Mutex::new(process),
            next: AtomicU64::new(1),
        };
        browser.call(
            LAUNCH,
            json!({
                "do": "launch",
                "browser": kind.name(),
                "executable": kind.executable(),
                "args": arguments,
            }),
        );
        browser
    }

    /// Which one it is.
    #[must_use]
    pub fn kind(&self) -> BrowserKind {
        self.kind
    }

    /// Opens a tab.
    ///
    /// # Panics
    /// If the browser does not.
    #[must_use]
    #[track_caller]
    pub fn open(&self, url: &str) -> Page<'_> {
        let id = self.call(LIMIT, json!({"do": "open"}));
        let page = Page {
            browser: self,
            id: id.as_u64().expect("the page's number"),
        };
        page.goto(url);
        page
    }

    /// Asks the bridge, and waits for its answer.
    #[track_caller]
    fn call(&self, limit: Duration, mut request: Value) -> Value {
        let id = self.next.fetch_add(1, Ordering::SeqCst);
        request["id"] = id.into();
        request["limit"] = u64::try_from(limit.as_millis()).expect("a limit").into();
        let line = format!("{request}\n");
        let mut input = self.input.lock().unwrap();
        let input = input.as_mut().expect("the bridge's input is open");
        input
            .write_all(line.as_bytes())
            .expect("the bridge listens");
        let start = format!("{{\"id\":{id},");
        // The bridge keeps the limit; a little longer, to hear its own word of it.
        let patience = limit + Duration::from_secs(10);
        let bridge = self.bridge.lock().unwrap();
        let reply = bridge.wait_for_line(&format!("answer to {request}"), patience, |line| {
            line.starts_with(&start).then(|| line.to_owned())
        });
        drop(bridge);
        let mut reply: Value = serde_json::from_str(&reply).expect("a reply in JSON");
        if let Some(error) = reply.get("error") {
            let console = self.console();
            panic!("{}: {error} on {request}; console: {console:#?}", self.kind);
        }
        reply["ok"].take()
    }

    /// What all pages wrote on their consoles.
    #[must_use]
    pub fn console(&self) -> Vec<String> {
        let lines = self.bridge.lock().unwrap().lines();
        let console = |line: &String| {
            let message: Value = serde_json::from_str(line).ok()?;
            Some(message["console"].as_str()?.to_owned())
        };
        lines.iter().filter_map(console).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The end of its input ends the bridge, which closes the browser first. If it does not in
        // time, dropping the process kills it; Chromium's pipe breaks then and ends Chromium.
        drop(self.input.lock().map(|mut input| input.take()));
        let Ok(mut bridge) = self.bridge.lock() else {
            return;
        };
        bridge.let_end(Duration::from_secs(20));
    }
}

impl Page<'_> {
    /// Goes to an address.
    ///
    /// # Panics
    /// If the page does not load.
    #[track_caller]
    pub fn goto(&self, url: &str) {
        self.call(LIMIT, json!({"do": "goto", "url": url}));
    }

    /// Goes back one page.
    ///
    /// # Panics
    /// If the browser does not.
    #[track_caller]
    pub fn back(&self) {
        self.call(LIMIT, json!({"do": "back"}));
    }

    /// Runs a script; the value of its last expression, awaited if it is a promise.
    ///
    /// # Panics
    /// If the script throws.
    #[track_caller]
    pub fn evaluate(&self, script: &str) -> Value {
        self.call(LIMIT, json!({"do": "evaluate", "script": script}))
    }

    /// Waits until the expression is truthy; its value.
    ///
    /// # Panics
    /// If it is not within [`LIMIT`].
    #[track_caller]
    pub fn wait(&self, expression: &str) -> Value {
        self.wait_at_most(LIMIT, expression)
    }

    /// Waits until the expression is truthy; its value.
    ///
    /// # Panics
    /// If it is not within the limit.
    #[track_caller]
    pub fn wait_at_most(&self, limit: Duration, expression: &str) -> Value {
        self.call(limit, json!({"do": "wait", "script": expression}))
    }

    /// Presses a key (`Tab`, `Enter`) where the focus is.
    ///
    /// # Panics
    /// If there is no such key.
    #[track_caller]
    pub fn press(&self, key: &str) {
        self.call(LIMIT, json!({"do": "press", "key": key}));
    }

    /// Types text where the focus is.
    ///
    /// # Panics
    /// If the browser does not.
    #[track_caller]
    pub fn type_text(&self, text: &str) {
        self.call(LIMIT, json!({"do": "type", "text": text}));
    }

    /// Takes a picture of the whole page.
    ///
    /// # Panics
    /// If the browser does not.
    #[track_caller]
    pub fn screenshot(&self, path: &Path) {
        self.call(LIMIT, json!({"do": "screenshot", "path": path}));
    }

    /// Gives the page this much room.
    ///
    /// # Panics
    /// If the browser does not.
    #[track_caller]
    pub fn viewport(&self, width: u32, height: u32) {
        self.call(
            LIMIT,
            json!({"do": "viewport", "width": width, "height": height}),
        );
    }

    /// Closes the tab.
    ///
    /// # Panics
    /// If the browser does not.
    #[track_caller]
    pub fn close(self) {
        self.call(LIMIT, json!({"do": "closePage"}));
    }

    #[track_caller]
    fn call(&self, limit: Duration, mut request: Value) -> Value {
        request["page"] = self.id.into();
        self.browser.call(limit, request)
    }
}
