//! 93: a healthy stream of any framework passes the probe, and what a browser refuses does not.
//!
//! Each framework's server is asked by `sse-probe check` and by Chromium: the verdicts must be the same, stream by stream.

use std::{
    fs,
    net::{SocketAddr, TcpStream},
    path::Path,
    process::Command,
    time::Duration,
};

use actix_web_sse_tests::{Browser, BrowserKind, Page, Process, Site, free_port, until};
use sse_probe::{CheckReport, Credentials, FindingKind, Profile, Target, check};

/// Some frameworks take seconds to import on a busy machine.
const START: Duration = Duration::from_secs(60);

/// The streams that each server has.
const STREAMS: [&str; 3] = ["events", "idle", "private"];

/// A framework's server. It ends with this value.
struct Framework {
    address: SocketAddr,
    _process: Process,
}

impl Framework {
    #[track_caller]
    fn start(mut command: Command, name: &str, origin: &str) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        command.args([name, &address.port().to_string(), origin]);
        let mut process = Process::spawn(&mut command);
        until(&format!("{name} listens"), START, || {
            assert!(process.is_running(), "it ended: {:#?}", process.lines());
            TcpStream::connect(address).ok()
        });
        Self {
            address,
            _process: process,
        }
    }
}

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("frameworks")
}

#[track_caller]
fn installed(packages: &str) -> std::path::PathBuf {
    let folder = folder().join(packages);
    assert!(
        folder.is_dir(),
        "{} is missing; `tests/run` installs it",
        folder.display()
    );
    folder
}

fn python() -> Command {
    let mut command = Command::new("python3");
    // Without bytecode: the test leaves nothing in the tree.
    command
        .env("PYTHONPATH", installed("site-packages"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .arg(folder().join("servers.py"));
    command
}

fn node() -> Command {
    installed("node_modules");
    let mut command = Command::new("node");
    command.arg(folder().join("servers.mjs"));
    command
}

fn rust() -> Command {
    let program =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/frameworks/debug/framework-servers");
    assert!(
        program.is_file(),
        "{} is missing; `tests/run e2e` builds it",
        program.display()
    );
    Command::new(program)
}

/// What the probe says of each stream, for a page of `origin` with cookies.
fn checked(address: SocketAddr, origin: &str) -> Vec<CheckReport> {
    let target = |stream: &&str| {
        Target::new(&format!("http://{address}/{stream}"))
            .unwrap()
            .origin(origin)
            .unwrap()
            .credentials(Credentials::Include)
            .hold(Duration::from_secs(6))
    };
    let all = STREAMS.iter().map(target).map(check);
    wait(futures_util::future::try_join_all(all)).unwrap()
}

/// What the browser does with it.
fn opens(page: &Page<'_>, url: &str) -> bool {
    page.evaluate(&format!(
        "new Promise((done) => {{
           const source = new EventSource('{url}', {{ withCredentials: true }});
           source.onopen = () => {{ source.close(); done(true); }};
           source.onerror = () => {{ const closed = source.readyState === 2; source.close(); done(closed ? false : 'retries'); }};
         }})"
    ))
    .as_bool()
    .unwrap()
}

/// Compares the verdicts on each stream of a server.
#[track_caller]
fn agree(name: &str, address: SocketAddr, page: &Page<'_>, origin: &str) {
    // A server that has to wait for a core looks like one that holds bytes back: it is looked at again.
    let opened = |stream: &str| stream != "private";
    let clean = |reports: &[CheckReport]| {
        let mut streams = STREAMS.into_iter().zip(reports);
        streams.all(|(stream, report)| !opened(stream) || report.passes(Profile::Browser))
    };
    let mut reports = checked(address, origin);
    for _ in 0..2 {
        if !clean(&reports) {
            reports = checked(address, origin);
        }
    }
    for (stream, report) in STREAMS.iter().zip(reports) {
        let theirs = opens(page, &format!("http://{address}/{stream}"));
        assert_eq!(theirs, opened(stream), "{name}, {stream}: the browser");
        let blocked = report
            .outcomes
            .iter()
            .flat_map(|outcome| &outcome.findings)
            .any(|finding| finding.kind == FindingKind::Blocked);
        assert_eq!(report.facts.browser_opens, theirs, "{name}, {stream}");
        assert_eq!(!blocked, theirs, "{name}, {stream}: {:#?}", report.outcomes);
        if theirs {
            // Nothing else is called a fault either.
            report.assert_clean();
        }
    }
}

fn with_chromium(judge: impl FnOnce(&Page<'_>, &str)) {
    let pages = Site::empty();
    let browser = Browser::launch(BrowserKind::Chromium);
    let page = browser.open(&pages.origin());
    judge(&page, &pages.origin());
    page.close();
}

macro_rules! frameworks {
    ($($test:ident => $command:ident $name:literal),+ $(,)?) => {$(
        #[test]
        fn $test() {
            with_chromium(|page, origin| {
                let server = Framework::start($command(), $name, origin);
                agree($name, server.address, page, origin);
            });
        }
    )+};
}

frameworks!(
    sse_starlette => python "sse-starlette",
    fastapi => python "fastapi",
    django => python "django",
    aiohttp_sse => python "aiohttp-sse",
    flask => python "flask",
    tornado => python "tornado",
    sanic => python "sanic",
    bare_node => node "node",
    express => node "express",
    better_sse => node "better-sse",
    fastify => node "fastify",
    hono => node "hono",
    nest => node "nest",
    koa => node "koa",
    h3 => node "h3",
    rocket => rust "rocket",
    poem => rust "poem",
    salvo => rust "salvo",
);

/// An MCP server is asked by POST, as a fetch client does.
#[test]
fn mcp() {
    const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"page","version":"1"}}}"#;
    with_chromium(|page, origin| {
        for (allowed, opens) in [(origin, true), ("https://other.example", false)] {
            let server = Framework::start(python(), "mcp", allowed);
            let url = format!("http://{}/mcp", server.address);
            let theirs = page.evaluate(&format!(
                "fetch('{url}', {{ method: 'POST', body: '{INITIALIZE}', headers: {{
                   'Content-Type': 'application/json', Accept: 'application/json, text/event-stream',
                 }} }}).then((reply) => reply.ok, () => false)"
            ));
            assert_eq!(theirs.as_bool(), Some(opens), "{allowed}: the browser");
            let accept = "application/json, text/event-stream";
            let target = Target::new(&url)
                .unwrap()
                .origin(origin)
                .unwrap()
                .post(INITIALIZE)
                .header("accept".parse().unwrap(), accept.parse().unwrap())
                .hold(Duration::from_secs(3));
            let report = wait(check(target)).unwrap();
            assert_eq!(report.facts.browser_opens, opens, "{:#?}", report.outcomes);
            if opens {
                report.assert_clean();
            }
        }
    });
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

/// axum, in this process, with CORS headers as a middleware sets them.
#[test]
fn axum() {
    use ::axum::{
        Router,
        response::{
            AppendHeaders, IntoResponse as _, Response,
            sse::{Event, KeepAlive, Sse},
        },
        routing::get,
    };
    use futures_util::stream;
    use std::future::IntoFuture as _;

    fn events(wait: u64, cors: Option<String>) -> Response {
        let events = stream::unfold(0_u64, move |n| async move {
            let pause = if n == 0 { wait } else { 500 };
            tokio::time::sleep(Duration::from_millis(pause)).await;
            let event = Event::default().id(n.to_string()).data(n.to_string());
            Some((Ok::<_, std::convert::Infallible>(event), n + 1))
        });
        let headers = cors.map(|origin| {
            AppendHeaders([
                ("access-control-allow-origin", origin),
                ("access-control-allow-credentials", "true".to_owned()),
            ])
        });
        let sse = Sse::new(events).keep_alive(KeepAlive::default());
        match headers {
            Some(headers) => (headers, sse).into_response(),
            None => sse.into_response(),
        }
    }

    with_chromium(|page, origin| {
        let (cors, idle) = (origin.to_owned(), origin.to_owned());
        let app = Router::new()
            .route("/events", get(move || async move { events(0, Some(cors)) }))
            .route(
                "/idle",
                get(move || async move { events(4000, Some(idle)) }),
            )
            .route("/private", get(|| async { events(0, None) }));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let server = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                tokio::select! {
                    served = ::axum::serve(listener, app).into_future() => served.unwrap(),
                    _ = stopped => {}
                }
            });
        });
        agree("axum", address, page, origin);
        drop(stop);
        server.join().unwrap();
    });
}

/// nchan keeps a subscriber waiting without a byte until something is published.
#[test]
fn nchan() {
    with_chromium(|page, origin| {
        let folder = tempfile::tempdir().unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let file = folder.path().join("nginx.conf");
        fs::write(&file, nchan_configuration(folder.path(), address, origin)).unwrap();
        let mut process = Process::spawn(
            Command::new("nginx")
                .arg("-p")
                .arg(folder.path())
                .arg("-c")
                .arg(&file)
                .args(["-e", "stderr"]),
        );
        until("nginx listens", START, || {
            assert!(process.is_running(), "it ended: {:#?}", process.lines());
            TcpStream::connect(address).ok()
        });
        agree("nchan", address, page, origin);
    });
}

fn nchan_configuration(folder: &Path, address: SocketAddr, origin: &str) -> String {
    let folder = folder.display();
    let allowing = |origin: &str| {
        format!(
            "nchan_access_control_allow_origin '{origin}'; nchan_access_control_allow_credentials on;"
        )
    };
    let streams: String = STREAMS
        .iter()
        .map(|stream| {
            let allowed = if *stream == "private" {
                "https://other.example"
            } else {
                origin
            };
            format!(
                "location = /{stream} {{ nchan_subscriber eventsource; nchan_channel_id x; {} }}\n",
                allowing(allowed)
            )
        })
        .collect();
    format!(
        "load_module /usr/lib/nginx/modules/ngx_nchan_module.so;
         daemon off; master_process off; pid {folder}/pid; error_log stderr;
         events {{ worker_connections 512; }}
         http {{
           access_log off;
           client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
           fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi;
           scgi_temp_path {folder}/scgi;
           server {{ listen {address};
             {streams}
             location = /publish {{ nchan_publisher; nchan_channel_id x; }}
           }}
         }}"
    )
}
