//! What guards, metrics and logs add to an open and to a delivery, what a refusal costs, and what
//! a scrape.

use std::{
    error::Error,
    sync::LazyLock,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use jsonwebtoken::{EncodingKey, Header, encode};
use serde::Serialize;

use crate::{
    contestant::{Contestant, Part, Server},
    core_pin::Cores,
    load::Crowd,
    plan::Plan,
    round::{deliver, per},
    serve::SECRET,
    statistics::median,
};

/// One set of parts: CPU per open and per delivery, microseconds; memory per idle stream, KiB.
#[derive(Debug, Clone)]
pub(crate) struct Measured {
    pub(crate) name: &'static str,
    pub(crate) open: f64,
    pub(crate) memory: f64,
    pub(crate) single: f64,
    pub(crate) batch: f64,
}

/// What a turn found.
#[derive(Debug, Clone, Default)]
pub(crate) struct Parts {
    /// The server without any is the first.
    pub(crate) sets: Vec<Measured>,
    pub(crate) refusals: Vec<Refused>,
}

/// Requests that were refused for one reason.
#[derive(Debug, Clone)]
pub(crate) struct Refused {
    pub(crate) name: &'static str,
    /// CPU per request, microseconds.
    pub(crate) cpu: f64,
    /// The same where a handler without guards refuses: what actix costs.
    pub(crate) bare: f64,
    /// What the server's memory grew by meanwhile, KiB.
    pub(crate) grown: f64,
}

/// Milliseconds of CPU and of waiting, the median.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scrape {
    pub(crate) streams: usize,
    pub(crate) cpu: f64,
    pub(crate) wait: f64,
    pub(crate) bytes: usize,
}

const SETS: [(&str, &[Part]); 4] = [
    ("none", &[]),
    ("guards", &[Part::Guards]),
    ("metrics", &[Part::Metrics]),
    ("guards, metrics, logs", &Part::ALL),
];

pub(crate) fn turn(plan: &Plan, cores: Cores) -> Result<Parts, Box<dyn Error>> {
    let mut parts = Parts::default();
    for (name, set) in SETS {
        let server = start(set, cores)?;
        let mut control = server.control()?;
        let mut crowd = Crowd::new(server.address, browser)?;
        crowd.grow_to(plan.few_streams)?;
        crowd.shrink_to(0)?;
        crowd.read_for(Duration::from_millis(50))?;

        let before = server.account.private_bytes()?;
        let cpu = server.account.cpu_time()?;
        crowd.grow_to(plan.guarded)?;
        let open = per(server.account.cpu_time()? - cpu, plan.guarded);
        crowd.read_for(Duration::from_millis(200))?;
        let grown = server.account.private_bytes()?.saturating_sub(before);
        let mut delivered = |batches: usize, batch: usize| -> Result<f64, Box<dyn Error>> {
            deliver(Contestant::Ours, &mut control, &mut crowd, 2, batch)?;
            let cpu = server.account.cpu_time()?;
            deliver(Contestant::Ours, &mut control, &mut crowd, batches, batch)?;
            let used = server.account.cpu_time()? - cpu;
            Ok(per(used, batches * batch * plan.guarded))
        };
        parts.sets.push(Measured {
            name,
            open,
            memory: grown as f64 / 1024.0 / plan.guarded as f64,
            single: delivered(plan.singles * 2, 1)?,
            batch: delivered(plan.batches, plan.batch)?,
        });
        if set.len() == Part::ALL.len() {
            crowd.shrink_to(0)?;
            parts.refusals = refusals(plan, &server)?;
        }
    }
    Ok(parts)
}

fn start(parts: &[Part], cores: Cores) -> Result<Server, Box<dyn Error>> {
    Server::start(Contestant::Ours, parts, Duration::from_secs(15), cores)
}

/// Requests that are refused for one reason each, on one connection, one after the other.
fn refusals(plan: &Plan, server: &Server) -> Result<Vec<Refused>, Box<dyn Error>> {
    let host = format!("Host: {}\r\n", server.address);
    let accept = "Accept: text/event-stream\r\n";
    let browser = browser(0);
    let (_, token) = browser.split_once("Authorization").ok_or("no token")?;
    let token = format!("Authorization{token}");
    // actix lets in 96 headers, and about 128 KiB of them.
    let large: String = (0..80)
        .map(|n| format!("X-{n}: {}\r\n", "x".repeat(1500)))
        .collect();
    let requests = [
        (
            "403 foreign origin",
            "403",
            format!("{host}{accept}Origin: https://evil.example\r\n{token}"),
        ),
        (
            "406 wrong `Accept`",
            "406",
            format!("{host}Accept: text/html\r\n{browser}"),
        ),
        (
            "401 no token",
            "401",
            format!("{host}{accept}Origin: {ORIGIN}\r\n"),
        ),
        (
            "401 forged token",
            "401",
            format!(
                "{host}{accept}Origin: {ORIGIN}\r\nAuthorization: Bearer {}x\r\n",
                *FORGED
            ),
        ),
        (
            "421 foreign host",
            "421",
            format!("Host: evil.example\r\n{accept}{browser}"),
        ),
        (
            "403 foreign origin, 120 KB of headers",
            "403",
            format!("{host}{accept}Origin: https://evil.example\r\n{large}"),
        ),
        (
            "406 `Accept` of 100 KB",
            "406",
            format!("{host}Accept: {}\r\n{browser}", "a/b,".repeat(25_000)),
        ),
        (
            "401 forged token of 8 KB",
            "401",
            format!(
                "{host}{accept}Origin: {ORIGIN}\r\nAuthorization: Bearer {}.{}.AAAA\r\n",
                "eyJhbGciOiJIUzI1NiJ9",
                "W1tb".repeat(2000)
            ),
        ),
        (
            "403 foreign origin, 100 KB long",
            "403",
            format!(
                "{host}{accept}Origin: https://{}.example\r\n",
                "a".repeat(100_000)
            ),
        ),
    ];
    let mut found = Vec::new();
    for (name, status, headers) in requests {
        let memory = server.account.private_bytes()?;
        let cpu = refused(plan, server, "/events", &headers, status)?;
        let grown = server.account.private_bytes()?.saturating_sub(memory);
        found.push(Refused {
            name,
            cpu,
            bare: refused(plan, server, BARE, &headers, "403")?,
            grown: grown as f64 / 1024.0,
        });
    }
    Ok(found)
}

/// CPU per request with these headers, microseconds.
fn refused(
    plan: &Plan,
    server: &Server,
    path: &str,
    headers: &str,
    status: &str,
) -> Result<f64, Box<dyn Error>> {
    let request = format!("GET {path} HTTP/1.1\r\n{headers}\r\n");
    let mut control = server.control()?;
    for _ in 0..20 {
        control.exchange(&request, status)?;
    }
    let cpu = server.account.cpu_time()?;
    for _ in 0..plan.refusals {
        control.exchange(&request, status)?;
    }
    Ok(per(server.account.cpu_time()? - cpu, plan.refusals))
}

/// Scrapes with few streams and with many.
pub(crate) fn scrapes(plan: &Plan, cores: Cores) -> Result<[Scrape; 2], Box<dyn Error>> {
    let server = start(&Part::ALL, cores)?;
    let mut control = server.control()?;
    let mut crowd = Crowd::new(server.address, browser)?;
    let mut scrape = |streams: usize| -> Result<Scrape, Box<dyn Error>> {
        crowd.shrink_to(0)?;
        crowd.grow_to(streams)?;
        deliver(Contestant::Ours, &mut control, &mut crowd, 1, 1)?;
        let (mut cpus, mut waits, mut bytes) = (Vec::new(), Vec::new(), 0);
        for _ in 0..plan.scrapes {
            // Heartbeats of that many streams are no part of a scrape: they come between.
            crowd.read_for(Duration::from_millis(20))?;
            let cpu = server.account.cpu_time()?;
            let start = Instant::now();
            bytes = control.ask("GET", "/metrics")?.len();
            waits.push(start.elapsed().as_secs_f64() * 1e3);
            cpus.push((server.account.cpu_time()? - cpu).as_secs_f64() * 1e3);
        }
        Ok(Scrape {
            streams,
            cpu: median(cpus).unwrap_or_default(),
            wait: median(waits).unwrap_or_default(),
            bytes,
        })
    };
    Ok([scrape(plan.few_streams)?, scrape(plan.scraped)?])
}

/// Where a handler refuses, with nothing around it.
pub(crate) const BARE: &str = "/bare";

pub(crate) const ORIGIN: &str = "https://app.example.com";

/// What a browser sends from an allowed origin, and a token of each stream's own.
fn browser(stream: usize) -> String {
    let token = token(stream, SECRET);
    format!(
        "Origin: {ORIGIN}\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, \
         like Gecko) Chrome/156.0.0.0 Safari/537.36\r\nSec-Fetch-Site: same-site\r\nSec-Fetch-Mode: \
         cors\r\nSec-Fetch-Dest: empty\r\nCache-Control: no-cache\r\nAccept-Language: en\r\n\
         Authorization: Bearer {token}\r\n"
    )
}

static FORGED: LazyLock<String> =
    LazyLock::new(|| token(0, "another-secret-of-at-least-32-bytes!!"));

fn token(user: usize, secret: &str) -> String {
    #[derive(Serialize)]
    struct Claims {
        sub: String,
        exp: u64,
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let claims = Claims {
        sub: format!("user-{user}"),
        exp: now.unwrap_or_default().as_secs() + 3600,
    };
    let key = EncodingKey::from_secret(secret.as_bytes());
    // An unsigned request is refused, and the run ends with that.
    encode(&Header::default(), &claims, &key).unwrap_or_default()
}
