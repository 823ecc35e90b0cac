//! Group F: what must not build.

use actix_web_sse::{
    ConfigError, Hub, Policy,
    config::{AuthConfig, PolicyConfig},
};

/// Builds a policy from sections as a file has them.
pub fn build(policy: &str, auth: &str) -> Result<Policy, ConfigError> {
    let config: PolicyConfig = toml::from_str(policy).expect("a policy section");
    let auth: AuthConfig = toml::from_str(auth).expect("an auth section");
    Policy::builder().config(config).auth(auth).build()
}

/// Asserts exactly one fault, that names the key and shows the value.
#[track_caller]
pub fn fault(policy: &str, key: &str, value: &str) {
    let error = build(policy, "").expect_err(policy);
    assert_eq!(error.faults().len(), 1, "{policy}: {error}");
    let fault = &error.faults()[0];
    assert_eq!(fault.key, key, "{error}");
    assert!(fault.value.contains(value), "{value} in {error}");
    assert!(!fault.message.is_empty());
}

#[track_caller]
pub fn origin_fault(origin: &str, credentials: bool) {
    let policy = format!(
        "origins.allow = [{}]\norigins.credentials = {credentials}",
        serde_json::to_string(origin).unwrap()
    );
    fault(&policy, "policy.origins.allow", origin);
}

#[test]
fn f01_a_wildcard_goes_neither_with_credentials_nor_with_others() {
    origin_fault("*", true);
    fault(
        r#"origins.allow = ["*", "https://app.example.com"]"#,
        "policy.origins.allow",
        "*",
    );
    assert!(build(r#"origins.allow = ["*"]"#, "").is_ok());
}

#[test]
fn f02_null_is_never_allowed() {
    origin_fault("null", true);
    origin_fault("null", false);
}

#[test]
fn f03_f04_f05_f07_f09_what_would_never_match() {
    for origin in [
        "https://app.example.com/",
        "https://app.example.com/x",
        "https://app.example.com?q",
        "https://app.example.com#f",
        "https://user@app.example.com",
        " https://app.example.com",
        "https://app.example.com ",
        "//app.example.com",
        "app.example.com",
        "",
        "HTTPS://app.example.com",
        "https://App.example.com",
        "https://résumé.com",
        "https://app.example.com:443",
        "http://localhost:80",
        "https://app.example.com:0",
        "https://app.example.com:65536",
        "https://app.example.com:06060",
        "https://app.example.com:",
        "https://*example.com",
        "https://**.x.com",
        "https://a.*.x.com",
        "http*://x",
        "https://*.127.0.0.1",
        "http://[0:0:0:0:0:0:0:1]",
        "http://[fe80::1%eth0]",
        "http://[::ffff:1.2.3.4]",
        "http://0x7f000001",
    ] {
        origin_fault(origin, true);
        origin_fault(origin, false);
    }
}

#[test]
fn f04_the_message_shows_the_form_to_use() {
    let error = build(r#"origins.allow = ["https://résumé.com"]"#, "").unwrap_err();
    assert!(
        error.to_string().contains("https://xn--rsum-bpad.com"),
        "{error}"
    );
}

#[test]
fn f06_a_pattern_below_a_public_suffix_with_credentials() {
    for origin in ["https://*.com", "https://*.co.uk", "https://*.github.io"] {
        origin_fault(origin, true);
        let allowed = format!(
            "origins = {{ allow = ['{origin}'], credentials = true, dangerous_public_suffixes = true }}"
        );
        assert!(build(&allowed, "").is_ok());
    }
}

#[test]
fn f08_plain_http_with_credentials() {
    origin_fault("http://app.example.com", true);
    for policy in [
        "origins = { allow = ['http://localhost:*', 'http://localhost:5173'], credentials = true }",
        "origins = { allow = ['http://app.example.com'], credentials = true, dangerous_plain_http = true }",
        "origins = { allow = ['http://app.example.com'] }",
    ] {
        assert!(build(policy, "").is_ok(), "{policy}");
    }
}

#[test]
fn f10_request_headers_that_mean_nothing() {
    for name in ["*", "Cookie", "Origin", "Sec-Foo", "Host", "bad name", ""] {
        fault(
            &format!(
                "origins = {{ allow = ['https://a.example.com'], credentials = true, request_headers = ['{name}'] }}"
            ),
            "policy.origins.request_headers",
            name,
        );
    }
}

#[test]
fn f11_exposed_headers_and_the_age_of_a_preflight() {
    fault(
        "origins = { allow = ['https://a.example.com'], credentials = true, expose_headers = ['*'] }",
        "policy.origins.expose_headers",
        "*",
    );
    fault("origins.max_age = '25h'", "policy.origins.max_age", "90000");
    assert!(toml::from_str::<PolicyConfig>("origins.max_age = '-2s'").is_err());
}

#[test]
fn f12_headers_that_are_not_the_operators() {
    for (name, value) in [
        ("Connection", "close"),
        ("Transfer-Encoding", "chunked"),
        ("Content-Length", "5"),
        ("Content-Encoding", "gzip"),
        ("Access-Control-Allow-Origin", "*"),
        ("Cache-Control", "max-age=60"),
        ("X-Good", "a\\r\\nX-Evil: b"),
        ("X Bad", "a"),
    ] {
        fault(
            &format!("headers = {{ \"{name}\" = \"{value}\" }}"),
            "policy.headers",
            name,
        );
    }
}

#[test]
fn f13_f17_streams_that_proxies_would_cut_and_hubs_that_cannot_replay() {
    for (hub, stream, key) in [
        ("", "heartbeat = '0s'", "stream.heartbeat"),
        ("", "heartbeat = '56s'\nstall = '2m'", "stream.heartbeat"),
        ("", "heartbeat = '10s'\nstall = '9s'", "stream.stall"),
        ("", "retry = '99ms'", "stream.retry"),
        ("", "retry = '61m'", "stream.retry"),
        ("", "retry_jitter = 1.5", "stream.retry_jitter"),
        ("subscriber_events = 0", "", "hub.subscriber_events"),
        ("subscriber_bytes = 1000", "", "hub.subscriber_bytes"),
        ("max_event_bytes = 0", "", "hub.max_event_bytes"),
        ("replay_events = 0", "", "hub.replay_events"),
        ("replay_age = '0s'", "", "hub.replay_age"),
    ] {
        let error = Hub::builder()
            .config(toml::from_str(hub).unwrap())
            .stream(toml::from_str(stream).unwrap())
            .build()
            .expect_err(key);
        let keys: Vec<_> = error.faults().iter().map(|fault| fault.key).collect();
        assert_eq!(keys, [key], "{hub}{stream}");
    }
    let no_replay = toml::from_str("resume = false\nreplay_events = 0").unwrap();
    assert!(Hub::builder().config(no_replay).build().is_ok());
}

#[test]
fn f14_proxies_that_are_everybody() {
    for network in ["0.0.0.0/0", "::/0", "10.0.0.1/8", "example.com"] {
        fault(
            &format!("limits.trusted_proxies = ['{network}']"),
            "policy.limits.trusted_proxies",
            network,
        );
    }
    fault(
        "limits.forwarded = 'x-forwarded-for'",
        "policy.limits.forwarded",
        "XForwardedFor",
    );
    let dangerous =
        "limits = { trusted_proxies = ['0.0.0.0/0'], dangerous_trust_any_proxy = true }";
    assert!(build(dangerous, "").is_ok());
}

#[test]
fn f15_hsts_that_no_preload_list_takes() {
    for hsts in [
        "{ preload = true }",
        "{ preload = true, include_subdomains = true, max_age = '30d' }",
    ] {
        fault(&format!("hsts = {hsts}"), "policy.hsts.preload", "true");
    }
    assert!(build("hsts = { preload = true, include_subdomains = true }", "").is_ok());
}

#[test]
fn f17_secrets_and_limits() {
    for (auth, key) in [
        ("ticket = { secret = 'short' }", "auth.ticket.secret"),
        (
            "ticket = { secret = 'reference-ticket-secret-of-32-bytes!!', ttl = '6m' }",
            "auth.ticket.ttl",
        ),
        ("timeout = '0s'", "auth.timeout"),
        ("jwt_leeway = '6m'", "auth.jwt_leeway"),
        ("required = true", "auth.required"),
        ("cookie = 'sid'", "auth.cookie"),
        ("cache = { entries = 0 }", "auth.cache.entries"),
    ] {
        let error = build("", auth).expect_err(auth);
        assert_eq!(error.faults().len(), 1, "{error}");
        assert_eq!(error.faults()[0].key, key, "{error}");
    }
    for key in ["per_ip", "per_user", "total", "connects_per_second"] {
        fault(
            &format!("limits.{key} = 0"),
            &format!("policy.limits.{key}"),
            "0",
        );
        assert!(build(&format!("limits.{key} = 'unlimited'"), "").is_ok());
        assert!(toml::from_str::<PolicyConfig>(&format!("limits.{key} = 'none'")).is_err());
    }
    for key in ["connects_per_ip", "attempts_per_ip"] {
        let limits = "policy.limits";
        fault(
            &format!("limits.{key} = 0"),
            &format!("{limits}.{key}"),
            "0",
        );
        fault(
            &format!("limits.{key} = 2000000"),
            &format!("{limits}.{key}"),
            "2000000",
        );
        fault(
            &format!("limits.overrides = [{{ network = '10.0.0.1', per_ip = 5, {key} = 0 }}]"),
            &format!("{limits}.overrides.{key}"),
            "0",
        );
        for value in ["'unlimited'", "'share'", "20"] {
            assert!(build(&format!("limits.{key} = {value}"), "").is_ok());
        }
        let form = toml::from_str::<PolicyConfig>(&format!("limits.{key} = 'none'"));
        assert!(form.unwrap_err().to_string().contains("\"share\""));
    }
    fault(
        "limits = { connects_per_second = 10, connects_per_ip = 10 }",
        "policy.limits.connects_per_ip",
        "10",
    );
    fault("limits.ipv6_prefix = 0", "policy.limits.ipv6_prefix", "0");
    fault(
        "limits.ipv6_prefix = 129",
        "policy.limits.ipv6_prefix",
        "129",
    );
}

#[test]
fn f17_no_secret_is_shown() {
    let secret = "reference-ticket-secret-of-32-by";
    let auth = format!(
        "jwt_hs256_secret = 'short-{secret}'\nticket = {{ secret = '{}', ttl = '1h' }}\ntimeout = '0s'",
        &secret[..20]
    );
    let error = build("", &auth).unwrap_err();
    let config: AuthConfig = toml::from_str(&auth).unwrap();
    let builder = Policy::builder().auth(config);
    for shown in [
        error.to_string(),
        format!("{error:?}"),
        format!("{builder:?}"),
    ] {
        assert!(!shown.contains("reference-ticket"), "{shown}");
    }
}

#[test]
fn f18_all_faults_at_once() {
    let error = build(
        "hosts = ['https://api.example.com']\norigins.allow = ['https://app.example.com/']\nlimits.per_ip = 0",
        "timeout = '0s'",
    )
    .unwrap_err();
    let keys: Vec<_> = error.faults().iter().map(|fault| fault.key).collect();
    assert_eq!(
        keys,
        [
            "policy.hosts",
            "policy.origins.allow",
            "policy.limits.per_ip",
            "auth.timeout"
        ]
    );
}

#[test]
fn unknown_keys_are_refused() {
    for section in [
        "origin = 1",
        "origins.alow = []",
        "limits.per_ips = 1",
        "hsts.maxage = '1d'",
    ] {
        assert!(
            toml::from_str::<PolicyConfig>(section).is_err(),
            "{section}"
        );
    }
    for section in [
        "cookies = ''",
        "ticket = { secret = 'x', modes = '' }",
        "cache.size = 1",
    ] {
        assert!(toml::from_str::<AuthConfig>(section).is_err(), "{section}");
    }
}

#[test]
fn the_forms_survive_a_round_trip() {
    let config: PolicyConfig = toml::from_str(
        "hosts = ['api.example.com']\nmethods = 'get-and-post'\naccept = 'negotiate'\noverload = 'soft'\n\
         origins = { allow = ['https://a.example.com'], mode = 'report-only' }\ncandidate.allow = []\n\
         limits = { per_ip = 'unlimited', overrides = [{ network = '10.0.0.0/8', per_ip = 5 }], \
         trusted_proxies = ['unix'], forwarded = 'forwarded' }\nhsts.max_age = '1d'\nheaders = { x = 'y' }",
    )
    .unwrap();
    let text = toml::to_string(&config).unwrap();
    assert_eq!(
        toml::from_str::<PolicyConfig>(&text).unwrap(),
        config,
        "{text}"
    );
    let json = serde_json::to_string(&config).unwrap();
    assert_eq!(serde_json::from_str::<PolicyConfig>(&json).unwrap(), config);
    assert!(Policy::builder().config(config).build().is_ok());
}

#[test]
fn a_list_of_origins_is_enough() {
    let policy = Policy::builder()
        .allow_origins(["https://app.example.com", "https://*.example.org"])
        .build();
    assert!(policy.is_ok());
}
