//! What a module says of connections and credentials.

use super::{
    TokenFile, filled, get, run, start,
    support::{Reply, Server, Step, bytes, good},
};

#[tokio::test]
async fn a_module_goes_through_its_proxy() {
    let proxy = Server::start(|_| {
        Reply::new(200)
            .with("Content-Type", "text/event-stream")
            .body(vec![bytes("data: x\n\n"), Step::Hold])
    })
    .await;
    let running = start(
        "proxy",
        &format!(
            "[modules.app]\nproxy_url = \"http://user:password@{}\"\nhold = \"300ms\"\nonly = [\"status\"]\n",
            proxy.address
        ),
    )
    .await;
    // Nothing resolves that name: only the proxy can.
    let target = "http://stream.invalid/events?a=b";
    let path = format!("/probe?module=app&target={target}");
    let (status, text) = get(running.address, &path, "").await;
    assert_eq!(status, 200);
    assert!(text.contains("\nprobe_success 1\n"), "{text}");
    let requests = proxy.requests();
    assert!(!requests.is_empty());
    for request in requests {
        assert_eq!(request.target, target);
        let pair = "Basic dXNlcjpwYXNzd29yZA==";
        assert_eq!(request.get("proxy-authorization"), Some(pair));
    }
    let direct = get(running.address, &format!("/probe?target={target}"), "").await;
    let reason = "probe_sse_failure_info{reason=\"dns\"} 1";
    assert!(direct.1.contains(reason), "without a proxy: {}", direct.1);
}

#[tokio::test]
async fn a_module_logs_in_by_a_name_and_the_password_that_is_in_its_file_now() {
    // base64 of prometheus:token and prometheus:renewed
    let (first, second) = (
        "Basic cHJvbWV0aGV1czp0b2tlbg==",
        "Basic cHJvbWV0aGV1czpyZW5ld2Vk",
    );
    let server = Server::start(move |request| {
        let mut request = request.clone();
        for (name, value) in &mut request.headers {
            let is_known = value == first || value == second;
            if name.eq_ignore_ascii_case("authorization") && is_known {
                *value = "Bearer token".to_owned();
            }
        }
        good(&request)
    })
    .await;
    let module = format!(
        "[modules.app]\nbasic_auth = {{ username = \"prometheus\", password_file = \"TOKEN\" }}\nhold = \"300ms\"\n\
         only = [\"status\", \"auth\"]\ntarget_origins = [\"http://{}\"]\n",
        server.address
    );
    let token = TokenFile::new("basic");
    let config = sse_probe::exporter::Config::parse(&filled(&module, &token)).unwrap();
    let file = token.0.clone();
    let running = run(
        sse_probe::exporter::Exporter::bind(config).await.unwrap(),
        token,
    );
    let path = format!("/probe?module=app&target={}", server.url());
    let sent = || {
        let requests = server.requests();
        let sent = requests
            .iter()
            .map(|r| r.get("authorization").map(str::to_owned));
        sent.collect::<Vec<_>>()
    };
    let (_, text) = get(running.address, &path, "").await;
    assert!(text.contains("\nprobe_success 1\n"), "{text}");
    assert!(
        text.contains("probe_sse_check_passed{check=\"auth\"} 1"),
        "{text}"
    );
    assert_eq!(
        sent(),
        [Some(first.to_owned()), None],
        "the stream, and one without credentials"
    );
    std::fs::write(file, "renewed\n").unwrap();
    let (_, text) = get(running.address, &path, "").await;
    assert!(text.contains("\nprobe_success 1\n"), "{text}");
    assert_eq!(sent()[2..], [Some(second.to_owned()), None]);
}

#[test]
fn basic_auth_needs_the_origins_that_it_may_be_sent_to() {
    let token = TokenFile::new("origins-of-basic");
    let module = "[modules.app]\nbasic_auth = { username = \"a\", password_file = \"TOKEN\" }\n";
    let error = sse_probe::exporter::Config::parse(&filled(module, &token)).unwrap_err();
    assert!(
        error.to_string().contains("without `target_origins`"),
        "{error}"
    );
}
