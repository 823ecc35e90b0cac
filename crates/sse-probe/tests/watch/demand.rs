//! `/probe`, and the page of the last probes.

use std::time::{Duration, Instant};

use super::{
    get, module, scrape, start, stuck,
    support::{Reply, Server, good},
};

#[tokio::test]
async fn probe_checks_a_target_on_demand() {
    let server = Server::start(good).await;
    let running = start("demand", &module(&[&server])).await;
    let path = format!("/probe?module=app&target={}", server.url());
    let (status, text) = get(running.address, &path, "").await;
    assert_eq!(status, 200);
    assert!(text.contains("\nprobe_success 1\n"), "{text}");
    assert!(
        text.contains("probe_sse_check_passed{check=\"cors\"} 1"),
        "{text}"
    );
}

#[tokio::test]
async fn probe_keeps_to_the_time_of_the_scrape() {
    let server = stuck().await;
    let running = start("time", &module(&[&server])).await;
    let path = format!("/probe?module=app&target={}", server.url());
    let begun = Instant::now();
    let (_, text) = get(running.address, &path, &scrape(6.0)).await;
    assert!(text.contains("\nprobe_success 0\n"), "{text}");
    assert!(
        text.contains("probe_sse_failure_info{reason=\"timeout\"} 1"),
        "{text}"
    );
    // The server would take a minute.
    assert!(begun.elapsed() < Duration::from_secs(30));
}

#[tokio::test]
async fn what_was_seen_when_the_time_is_up_is_a_result() {
    let server = Server::start(good).await;
    let toml = module(&[&server]).replace("900ms", "5m");
    let running = start("partial", &toml).await;
    let path = format!("/probe?module=app&target={}", server.url());
    let begun = Instant::now();
    let (status, text) = get(running.address, &path, &scrape(9.0)).await;
    assert_eq!(status, 200);
    for line in ["probe_success 1", "probe_http_status_code 200"] {
        assert!(text.lines().any(|l| l == line), "no `{line}` in {text}");
    }
    // It is to be held for five.
    assert!(begun.elapsed() < Duration::from_secs(60));
}

#[tokio::test]
async fn probe_sends_credentials_to_the_modules_origins_only() {
    let server = Server::start(good).await;
    let elsewhere = Server::start(good).await;
    let running = start("origins", &module(&[&server])).await;
    let port = server.address.port();
    for (path, code) in [
        ("/probe".to_owned(), 400),
        (
            "/probe?target=http://evil.example/&module=app".to_owned(),
            400,
        ),
        (format!("/probe?target={}&module=app", elsewhere.url()), 400),
        (
            format!("/probe?target=https://127.0.0.1:{port}/&module=app"),
            400,
        ),
        (
            format!("/probe?target=http://localhost:{port}/&module=app"),
            400,
        ),
        (
            "/probe?target=http://127.0.0.1:1/&module=none".to_owned(),
            400,
        ),
        ("/probe?target=file:///etc/passwd".to_owned(), 400),
        ("/nothing".to_owned(), 404),
        ("/-/healthy".to_owned(), 200),
        ("/".to_owned(), 200),
    ] {
        assert_eq!(get(running.address, &path, "").await.0, code, "{path}");
    }
    assert!(elsewhere.requests().is_empty());
}

#[tokio::test]
async fn a_redirect_leads_no_secret_out_of_the_modules_origins() {
    let elsewhere = Server::start(good).await;
    let to = elsewhere.url();
    let server = Server::start(move |request| {
        Reply::new(307)
            .with("Location", &to)
            .with(
                "Access-Control-Allow-Origin",
                request.get("origin").unwrap_or("*"),
            )
            .with("Access-Control-Allow-Credentials", "true")
    })
    .await;
    let running = start("redirect", &module(&[&server])).await;
    let path = format!("/probe?module=app&target={}", server.url());
    let (_, text) = get(running.address, &path, "").await;
    assert!(
        text.contains("probe_sse_failure_info{reason=\"redirect\"} 1"),
        "{text}"
    );
    assert!(elsewhere.requests().is_empty());
}

#[tokio::test]
async fn ten_scrapes_at_once_are_all_answered_beside_the_rounds() {
    let server = Server::start(good).await;
    let stuck = stuck().await;
    // The only place of the rounds is taken for the whole test.
    let toml = format!(
        "concurrency = 1\nprobe_concurrency = 3\n{}[[targets]]\nurl = \"{}\"\nmodule = \"app\"\n",
        module(&[&server, &stuck]),
        stuck.url()
    );
    let running = start("ten", &toml).await;
    let begun = Instant::now();
    while stuck.requests().is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(60));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let path = format!("/probe?module=app&target={}", server.url());
    let mut scrapes = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let (address, path) = (running.address, path.clone());
        scrapes.spawn(async move { get(address, &path, &scrape(90.0)).await });
    }
    for (status, text) in scrapes.join_all().await {
        assert_eq!(status, 200);
        assert!(text.contains("\nprobe_success 1\n"), "{text}");
    }
}

#[tokio::test]
async fn debug_answers_with_the_report_and_the_page_lists_the_last_probes() {
    let server = Server::start(|r| good(r).without("Access-Control-Allow-Origin")).await;
    let running = start("debug", &module(&[&server])).await;
    let path = format!("/probe?module=app&debug=true&target={}", server.url());
    let (_, text) = get(running.address, &path, "").await;
    for part in [
        "failed, cors: ",
        "FAIL  A page of the allowed origin may read",
        "docs/src/sse-probe.md#cors",
        "\nprobe_success 0\n",
    ] {
        assert!(text.contains(part), "no `{part}` in {text}");
    }
    assert!(!text.contains("Bearer token"));
    let (_, page) = get(running.address, "/", "").await;
    assert!(
        page.contains("is blocked: no Access-Control-Allow-Origin"),
        "{page}"
    );
    let id = page.split("/logs?id=").nth(1).unwrap();
    let id: String = id.chars().take_while(char::is_ascii_digit).collect();
    let (status, log) = get(running.address, &format!("/logs?id={id}"), "").await;
    assert_eq!(status, 200);
    assert!(log.contains("failed, cors: "), "{log}");
    assert_eq!(get(running.address, "/logs?id=0", "").await.0, 404);
}

#[tokio::test]
async fn a_probe_that_had_to_wait_too_long_is_no_failure_of_the_target() {
    let stuck = stuck().await;
    let toml = format!("probe_concurrency = 1\n{}", module(&[&stuck]));
    let running = start("queue", &toml).await;
    let path = format!("/probe?module=app&target={}", stuck.url());
    let (address, first) = (running.address, path.clone());
    let first = tokio::spawn(async move { get(address, &first, &scrape(8.0)).await });
    let begun = Instant::now();
    while stuck.requests().is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(60));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let (status, text) = get(address, &path, &scrape(9.0)).await;
    assert_eq!(status, 503, "{text}");
    let (status, text) = first.await.unwrap();
    assert_eq!(status, 200);
    assert!(text.contains("\nprobe_success 0\n"), "{text}");
}
