//! The program, a real collector and a real Prometheus: what one shows leads to the other.
#![cfg(feature = "e2e")]
#![allow(clippy::panic, reason = "a test fails by panicking")]

use std::{net::SocketAddr, path::Path, process::Command};

use actix_web_sse_tests::{LIMIT, Process, Prometheus, Request, free_port, until};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// A collector that prints the spans that it gets, and where it takes them.
fn collector(folder: &Path) -> (Process, SocketAddr) {
    const PROGRAM: &str = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/collector/site-packages/rotel/rotel-agent"
    );
    let http = local(free_port());
    let process = Process::spawn(
        Command::new(PROGRAM)
            .arg("start")
            .args(["--otlp-http-endpoint", &http.to_string()])
            .args(["--otlp-grpc-endpoint", &local(free_port()).to_string()])
            .args(["--exporter", "blackhole"])
            .args(["--debug-log", "traces", "--debug-log-verbosity", "detailed"])
            .current_dir(folder),
    );
    until("the collector answers", LIMIT, || {
        Request::new("GET", "/").try_send(http).ok()
    });
    (process, http)
}

fn traced(request: Request) -> Request {
    request.header("traceparent", format!("00-{TRACE}-00f067aa0ba902b7-01"))
}

#[test]
fn an_exemplar_in_prometheus_leads_to_the_spans_that_the_collector_got() {
    let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
    let (collector, otlp) = collector(folder.path());
    let address = local(free_port());
    let program = Process::spawn(
        Command::new(env!("CARGO_BIN_EXE_opentelemetry-example"))
            .env("LISTEN", address.to_string())
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{otlp}"))
            .env("OTEL_TRACES_SAMPLER", "parentbased_always_off")
            .env("OTEL_BSP_SCHEDULE_DELAY", "100"),
    );
    until("the program answers", LIMIT, || {
        Request::new("GET", "/nothing").try_send(address).ok()
    });
    let prometheus = Prometheus::scraping(&[("traced", address)], &[]);

    // One stream of the trace, and one of none.
    let mut stream = traced(Request::stream("/events/news")).open(address);
    let mut other = Request::stream("/events/news").open(address);
    let publish = traced(Request::new("POST", "/publish/news").body("text/plain", "hello"));
    assert_eq!(publish.send(address).status(), 204);
    for stream in [&mut stream, &mut other] {
        assert_eq!(stream.next_event().data(), Some("hello"));
    }

    for metric in [
        "sse_time_to_first_event_seconds",
        "sse_delivery_lag_seconds",
    ] {
        let found = until(&format!("an exemplar of {metric}"), LIMIT, || {
            let found = prometheus.exemplars(&format!("{metric}_bucket"));
            (!found.is_empty()).then_some(found)
        });
        for exemplar in found {
            assert_eq!(
                exemplar["labels"]["trace_id"], TRACE,
                "{metric}: {exemplar}"
            );
        }
    }
    drop(stream);
    let line = program.wait_for_line("the end in the log", LIMIT, |line| {
        (line.contains("sse_close") && line.contains(TRACE)).then(|| line.to_owned())
    });
    assert!(line.contains("\"trace_id\":"), "{line}");
    for name in [
        "GET /events/{topic}",
        "sse.open",
        "POST /publish/{topic}",
        "publish",
        "sse.close",
    ] {
        until(&format!("the span {name}"), LIMIT, || {
            let lines = collector.lines();
            let names = lines.iter().filter_map(|line| line.split_once(": "));
            names
                .clone()
                .find(|(key, value)| key.trim() == "Name" && value.trim() == name)?;
            Some(())
        });
    }
    let lines = collector.lines().join("\n");
    assert!(
        lines.contains(&format!("Trace ID       : {TRACE}")),
        "{lines}"
    );
}
