//! The configuration, reloads, TLS and passwords.

use std::time::{Duration, Instant};

use sse_probe::{
    exporter::{Config, Exporter, WebConfig},
    http::{Ask, Dialer, Trust},
};

use super::{
    TokenFile, filled, get, module, post, root, run, scrape, stuck,
    support::{Server, good},
    until,
};

#[tokio::test]
async fn the_example_beside_the_dashboards_is_read() {
    let config = Config::read(&root().join("grafana/probe.toml")).unwrap();
    assert!(config.modules.contains_key("app"));
}

#[tokio::test]
async fn tls_is_served_where_the_web_configuration_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("server.pem", &certificate.pem());
    write("server.key", &key.serialize_pem());
    write(
        "web.yml",
        "tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n",
    );
    let web = WebConfig::read(&folder.path().join("web.yml")).unwrap();
    let config = Config::parse("listen = \"127.0.0.1:0\"\n").unwrap();
    let exporter = Exporter::bind_with(config, None, web).await.unwrap();
    let running = run(exporter, TokenFile::new("tls"));
    let trust = Trust::Also(vec![certificate.der().to_vec()]);
    let mut dialer = Dialer::default();
    dialer.tls = std::sync::Arc::new(trust.into());
    let port = running.address.port();
    dialer.pin("localhost", port, running.address);
    let url = format!("https://localhost:{port}/metrics").parse().unwrap();
    let exchange = dialer.open(&Ask::get(url)).await.unwrap();
    assert_eq!(exchange.head.status, 200);
    assert!(exchange.head.tls_version.is_some());
}

#[tokio::test]
async fn a_configuration_is_read_again_and_a_wrong_one_is_refused() {
    let server = Server::start(good).await;
    let token = TokenFile::new("reload");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("probe.toml");
    let with = |name: &str| {
        let target = format!(
            "interval = \"1s\"\n{}[[targets]]\nurl = \"{}\"\nmodule = \"app\"\nname = \"{name}\"\n",
            module(&[&server]),
            server.url()
        );
        std::fs::write(&file, filled(&target, &token)).unwrap();
    };
    with("before");
    let config = Config::read(&file).unwrap();
    let exporter = Exporter::bind_with(config, Some(&file), WebConfig::default())
        .await
        .unwrap();
    let running = run(exporter, TokenFile::new("reload-other"));
    until(running.address, "probe_success{instance=\"before\"} 1").await;
    std::fs::write(&file, "interval = \"soon\"\n").unwrap();
    let (status, text) = post(running.address, "/-/reload").await;
    assert_eq!(status, 500);
    assert!(text.contains("interval"), "{text}");
    let text = until(running.address, "sse_probe_config_last_reload_successful 0").await;
    assert!(
        text.contains("probe_success{instance=\"before\"} 1"),
        "{text}"
    );
    with("after");
    assert_eq!(post(running.address, "/-/reload").await.0, 200);
    let text = until(running.address, "probe_success{instance=\"after\"} 1").await;
    assert!(!text.contains("instance=\"before\""), "{text}");
    assert_eq!(get(running.address, "/-/reload", "").await.0, 405);
}

#[tokio::test]
async fn a_reload_gives_as_many_places_as_the_new_configuration_says() {
    let (slow, server) = (stuck().await, Server::start(good).await);
    let token = TokenFile::new("places");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("probe.toml");
    let with = |places: usize| {
        let text = format!(
            "probe_concurrency = {places}\n{}",
            module(&[&slow, &server])
        );
        std::fs::write(&file, filled(&text, &token)).unwrap();
    };
    with(1);
    let config = Config::read(&file).unwrap();
    let exporter = Exporter::bind_with(config, Some(&file), WebConfig::default());
    let running = run(exporter.await.unwrap(), TokenFile::new("places-other"));
    let address = running.address;
    let path = |server: &Server| format!("/probe?module=app&target={}", server.url());
    let first = path(&slow);
    let first = tokio::spawn(async move { get(address, &first, &scrape(30.0)).await });
    let begun = Instant::now();
    while slow.requests().is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(20));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    with(2);
    assert_eq!(post(address, "/-/reload").await.0, 200);
    let (status, text) = get(address, &path(&server), &scrape(4.0)).await;
    assert_eq!(status, 200, "{text}");
    first.abort();
}

#[tokio::test]
async fn basic_auth_is_asked_for_where_the_web_configuration_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("web.yml");
    // The password is `secret`.
    let hash = "$2b$04$Vw4wwJDbTeA1AqszkabmJu.3C0q9q9.qCjxL/bYZMwd3uIh7M/k5S";
    std::fs::write(&file, format!("basic_auth_users:\n  prometheus: {hash}\n")).unwrap();
    let web = WebConfig::read(&file).unwrap();
    let config = Config::parse("listen = \"127.0.0.1:0\"\n").unwrap();
    let exporter = Exporter::bind_with(config, None, web).await.unwrap();
    let running = run(exporter, TokenFile::new("web"));
    let with = |pair: &str| format!("Authorization: Basic {pair}\r\n");
    assert_eq!(get(running.address, "/metrics", "").await.0, 401);
    assert_eq!(get(running.address, "/-/healthy", "").await.0, 200);
    // prometheus:secret, prometheus:wrong, nobody:secret
    for (pair, code) in [
        ("cHJvbWV0aGV1czpzZWNyZXQ=", 200),
        ("cHJvbWV0aGV1czp3cm9uZw==", 401),
        ("bm9ib2R5OnNlY3JldA==", 401),
        ("%%%", 401),
    ] {
        assert_eq!(
            get(running.address, "/metrics", &with(pair)).await.0,
            code,
            "{pair}"
        );
    }
    std::fs::write(&file, "basic_auth_users:\n  prometheus: secret\n").unwrap();
    let error = WebConfig::read(&file).unwrap_err();
    assert!(error.contains("bcrypt"), "{error}");
    std::fs::write(
        &file,
        "tls_server_config: {cert_file: none.pem, key_file: none.pem}\n",
    )
    .unwrap();
    let error = WebConfig::read(&file).unwrap_err();
    assert!(error.contains("none.pem"), "{error}");
}
