//! Targets that are probed by themselves.

use std::time::{Duration, Instant};

use super::{
    module, root, start,
    support::{Server, good},
    until,
};

#[tokio::test]
async fn static_targets_are_probed_and_exported_by_instance() {
    let server = Server::start(good).await;
    let bad = Server::start(|request| good(request).without("Access-Control-Allow-Origin")).await;
    let toml = format!(
        "interval = \"1s\"\n{}[[targets]]\nurl = \"{}\"\nmodule = \"app\"\nname = \"good\"\n\
         [[targets]]\nurl = \"{}\"\nmodule = \"app\"\nname = \"bad\"\n\
         [[targets]]\nurl = \"http://127.0.0.1:1/?token=s\"\n",
        module(&[&server, &bad]),
        server.url(),
        bad.url()
    );
    let running = start("static", &toml).await;
    until(running.address, "probe_success{instance=\"good\"} 1").await;
    until(
        running.address,
        "probe_success{instance=\"http://127.0.0.1:1/\"} 0",
    )
    .await;
    let text = until(running.address, "probe_success{instance=\"bad\"} 0").await;
    let blocked = "probe_sse_cors_verdict{credentials=\"include\",instance=\"bad\",origin_role=\"allowed\",verdict=\"blocked\"} 1";
    assert!(text.contains(blocked), "{text}");
    assert!(!text.contains("token=s"));
    assert_eq!(text.matches("# TYPE probe_success gauge").count(), 1);
    // Known as ours whether it succeeds or not, and whether it still runs.
    for instance in ["good", "bad"] {
        let version = env!("CARGO_PKG_VERSION");
        for line in [
            format!("sse_probe_build_info{{instance=\"{instance}\",version=\"{version}\"}} 1"),
            format!("probe_sse_interval_seconds{{instance=\"{instance}\"}}"),
            format!("probe_sse_last_run_timestamp_seconds{{instance=\"{instance}\"}} 1"),
        ] {
            assert!(text.contains(&line), "{line}\n{text}");
        }
    }
}

#[tokio::test]
async fn a_hold_longer_than_the_interval_is_no_failure() {
    let server = Server::start(good).await;
    let toml = format!(
        "interval = \"1s\"\n{}[[targets]]\nurl = \"{}\"\nmodule = \"app\"\nname = \"long\"\n",
        module(&[&server]).replace("900ms", "2500ms"),
        server.url()
    );
    let running = start("long", &toml).await;
    until(running.address, "probe_success{instance=\"long\"} 1").await;
}

#[tokio::test]
async fn the_exporter_says_what_it_is_and_when_each_target_was_probed() {
    let server = Server::start(good).await;
    let toml = format!(
        "interval = \"1s\"\n{}[[targets]]\nurl = \"{}\"\nmodule = \"app\"\nname = \"good\"\n",
        module(&[&server]),
        server.url()
    );
    let running = start("own", &toml).await;
    let text = until(running.address, "probe_success{instance=\"good\"} 1").await;
    for name in [
        "process_resident_memory_bytes ",
        "process_start_time_seconds ",
        "sse_probe_build_info{version=",
        "sse_probe_config_last_reload_successful 1",
        "probe_sse_last_run_timestamp_seconds{instance=\"good\"} ",
        "probe_sse_browser_opens{instance=\"good\"} 1",
        "probe_dns_lookup_time_seconds{instance=\"good\"} ",
        "probe_ip_protocol{instance=\"good\"} 4",
        "probe_http_redirects{instance=\"good\"} 0",
    ] {
        assert!(
            text.lines().any(|l| l.starts_with(name)),
            "no `{name}` in {text}"
        );
    }
    // What is exported is in the reference, name by name.
    let page = root().join("docs/src/sse-probe.md");
    let page = std::fs::read_to_string(page).unwrap();
    for line in text.lines().filter_map(|l| l.strip_prefix("# TYPE ")) {
        let name = line.split(' ').next().unwrap();
        let there = name.starts_with("process_") || page.contains(name);
        assert!(there, "`{name}` is not in the reference");
    }
}

#[tokio::test]
async fn rounds_are_spread_over_the_interval() {
    let times = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = std::sync::Arc::clone(&times);
    let server = Server::start(move |request| {
        seen.lock().unwrap().push(Instant::now());
        good(request)
    })
    .await;
    let mut toml = format!(
        "interval = \"8s\"\n{}only = [\"status\"]\n",
        module(&[&server])
    );
    for name in ["a", "b", "c", "d"] {
        let url = server.url();
        toml.push_str(&format!(
            "[[targets]]\nurl = \"{url}\"\nmodule = \"app\"\nname = \"{name}\"\n"
        ));
    }
    let running = start("spread", &toml).await;
    for name in ["a", "b", "c", "d"] {
        until(
            running.address,
            &format!("probe_success{{instance=\"{name}\"}} 1"),
        )
        .await;
    }
    let times = times.lock().unwrap().clone();
    let first_four: Vec<_> = times.iter().take(4).collect();
    let took = first_four[3].duration_since(*first_four[0]);
    assert!(took > Duration::from_millis(2500), "all at once: {took:?}");
}
