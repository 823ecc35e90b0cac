//! H10: the operators endpoint behind a real nginx on the same host.

use std::net::SocketAddr;

use actix_web_sse_tests::{Demo, LIMIT, Nginx, Request, Settings};

use crate::DEMO;

/// nginx in front of the demo's metrics, with these lines beside `proxy_pass`.
fn proxy(demo: &Demo, lines: &str) -> Nginx {
    Nginx::start(&format!(
        "server {{ listen {{listen}}; location / {{ {lines} proxy_pass http://{}; }} }}",
        demo.metrics
    ))
}

fn ask(address: SocketAddr, host: &str, token: Option<&str>) -> u16 {
    let mut request = Request::new("GET", "/operators").header("Host", host);
    if let Some(token) = token {
        request = request.bearer(token);
    }
    request.send(address).status()
}

/// nginx's plain `proxy_pass` adds no header, and names the address of the demo as host.
#[test]
fn h10_operators_need_the_token_through_a_plain_proxy_too() {
    let settings = Settings::reference().set("metrics.operators", "token");
    let demo = Demo::start(DEMO, &settings);
    let token = demo.process().wait_for_line("the token", LIMIT, |line| {
        let token = line.strip_prefix("token")?.trim();
        (!token.is_empty()).then(|| token.to_owned())
    });
    let nginx = proxy(&demo, "");
    for host in ["evil.example", "127.0.0.1"] {
        assert_eq!(ask(nginx.address(), host, None), 403, "{host}");
        assert_eq!(ask(nginx.address(), host, Some("guess")), 403, "{host}");
    }
    let host = demo.metrics.to_string();
    assert_eq!(ask(demo.metrics, &host, Some(&token)), 200);
}

/// What the choice of the loopback still refuses: a foreign host, and what says that it was passed
/// on.
#[test]
fn h10_the_loopback_is_closed_to_a_proxy_that_passes_on_the_host_or_the_client() {
    let settings = Settings::reference().set("metrics.operators", "loopback-without-token");
    let demo = Demo::start(DEMO, &settings);
    let nginx = proxy(&demo, "proxy_set_header Host $host;");
    assert_eq!(ask(nginx.address(), "evil.example", None), 403);
    let nginx = proxy(&demo, "proxy_set_header X-Forwarded-For $remote_addr;");
    assert_eq!(ask(nginx.address(), "127.0.0.1", None), 403);
}
