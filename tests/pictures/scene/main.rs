//! What the pictures of the dashboards show: two demos that share a Redis, behind an nginx, a hundred
//! clients and more, some incidents, `sse-probe watch`, and a Prometheus that looks at it all. `draw.mjs` runs it.
//!
//! It prints a line of JSON with Prometheus's address and the time that the pictures are about, and
//! answers questions until its input ends.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a tool for the repository's pictures: it fails by panicking"
)]

mod audience;
mod front;
mod house;
mod incidents;
mod publisher;

use std::{
    io,
    path::PathBuf,
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use actix_web_sse_tests::{Claims, Demo, Prometheus, Redis, Settings, Traffic};
use clap::Parser;
use serde_json::json;

use crate::{front::Front, house::House};

#[derive(Debug, Parser)]
struct Args {
    /// The demo's program.
    #[arg(long)]
    demo: PathBuf,
    /// The probe's program.
    #[arg(long)]
    probe: PathBuf,
    /// For how long.
    #[arg(long, default_value_t = 14.0)]
    minutes: f64,
    /// Seconds between two scrapes.
    #[arg(long, default_value_t = 5)]
    scrape: u64,
}

fn settings(redis: &Redis) -> Settings {
    Settings::reference()
        .set("backplane.redis", format!("redis://{}", redis.address()))
        .set("stream.heartbeat", "5s")
        .set("stream.stall", "15s")
        .set("policy.limits.per_ip", 20)
        .set("policy.limits.per_user", 50)
        .set("policy.limits.connects_per_second", 500)
        .set("policy.limits.attempts_per_ip", "unlimited")
        // nginx, and clients that say for themselves behind whose address they are.
        .set("policy.limits.trusted_proxies", vec!["127.0.0.0/8"])
        // On trial: without the pages of developers.
        .set(
            "policy.candidate.allow",
            vec!["https://app.example.com", "https://*.tenant.example.net"],
        )
        .set("server.sign_in", true)
}

fn main() {
    let args = Args::parse();
    let program = args.demo.to_str().expect("a path in UTF-8");
    let redis = Redis::start();
    let settings = settings(&redis);
    let mut demos = [
        Demo::start(program, &settings),
        Demo::start(program, &settings),
    ];
    let apps = [demos[0].app, demos[1].app];
    let token = demos[0].token(&Claims::of("probe").expiring_in(86_400));
    let front = Front::start(apps, &args.probe, &token);
    let prometheus = Prometheus::configured(&configuration(&demos, &front, args.scrape));
    // What the end-to-end suite asks the panels about, once.
    let mut traffic = Traffic::of("https://app.example.com");
    demos.iter().for_each(|demo| traffic.round(demo));

    let secret = settings.text("auth.jwt_hs256_secret");
    let length = Duration::from_secs_f64(args.minutes * 60.0);
    let house = House::open(
        apps,
        front.public(),
        secret.expect("a demo with keys"),
        length,
    );
    let from = now();
    thread::scope(|scope| {
        audience::enter(scope, &house);
        scope.spawn(|| publisher::publish(&house));
        incidents::happen(&house, &front, &mut demos);
        println!(
            "{}",
            json!({
                "prometheus": format!("http://{}", prometheus.address()),
                "scrape": args.scrape,
                "from": from,
                "to": now(),
            })
        );
        io::copy(&mut io::stdin(), &mut io::sink()).expect("the input ends");
        house.close();
    });
}

fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("a clock after 1970").as_secs_f64()
}

/// As `grafana/prometheus.yml`, in a hurry, and with names for the instances.
fn configuration(demos: &[Demo; 2], front: &Front, scrape: u64) -> String {
    let rules = |file: &str| {
        let path = format!("{}/../grafana/rules/{file}.yml", env!("CARGO_MANIFEST_DIR"));
        json!(path)
    };
    let target = |name: &str, address: std::net::SocketAddr| json!({"targets": [address.to_string()], "labels": {"instance": name}});
    // JSON is YAML.
    json!({
        "global": {
            "scrape_interval": format!("{scrape}s"),
            "evaluation_interval": format!("{scrape}s"),
        },
        "rule_files": [rules("alerts"), rules("probe")],
        "scrape_configs": [
            {"job_name": "sse", "static_configs": [
                target("app-1", demos[0].metrics),
                target("app-2", demos[1].metrics),
            ]},
            {"job_name": "sse-probe", "honor_labels": true, "static_configs": [
                {"targets": [front.probe().to_string()]},
            ]},
        ],
    })
    .to_string()
}
