//! What the fuzz targets run: everything that reads what a client sends, with the property that
//! has to hold. Compiled with `--cfg fuzzing` only.

use crate::{
    config::{ForwardedHeader, LimitsConfig, TicketConfig},
    hub::id::Epoch,
    protect::{
        accept::{AcceptMode, accepts},
        auth::credentials::{Places, present},
        cors::CorsRules,
        host::Hosts,
        limit::address::Proxies,
        origin::{OriginHeader, OriginList, OriginPattern},
        ticket::{Binding, Ticket, Tickets},
    },
};

/// Lines, as a request may have several of a header.
fn lines(data: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    data.split(|byte| *byte == b'\n')
}

/// Whatever is allowed is an origin that a browser would serialise, of a configured host.
pub fn origin(data: &[u8]) {
    let entries = [
        "https://app.example.com",
        "https://*.tenant.example.net",
        "http://localhost:*",
    ];
    let list = OriginList::new(
        entries
            .iter()
            .filter_map(|text| OriginPattern::parse(text).ok()),
    );
    let OriginHeader::Value(origin) = OriginHeader::read(lines(data)) else {
        return;
    };
    if list.find(origin).is_some() {
        let text = std::str::from_utf8(origin).unwrap_or_default();
        let url = url::Url::parse(text).ok();
        let serialised = url.as_ref().map(|url| url.origin().ascii_serialization());
        let host = url
            .as_ref()
            .and_then(url::Url::host_str)
            .unwrap_or_default();
        assert_eq!(serialised.as_deref(), Some(text));
        assert!(
            matches!(host, "app.example.com" | "localhost")
                || host.ends_with(".tenant.example.net"),
            "{text}"
        );
    }
    if let Ok(text) = std::str::from_utf8(origin)
        && let Ok(pattern) = OriginPattern::parse(text)
    {
        assert!(!pattern.is_exact() || pattern.matches(origin));
    }
}

/// What is accepted explicitly is accepted when negotiated.
pub fn accept(data: &[u8]) {
    let explicit = accepts(lines(data), AcceptMode::Explicit);
    assert!(!explicit || accepts(lines(data), AcceptMode::Negotiate));
}

/// Only what was configured is allowed.
pub fn preflight(data: &[u8]) {
    let rules = CorsRules::new(
        true,
        false,
        vec![actix_web::http::header::AUTHORIZATION],
        &[],
        std::time::Duration::ZERO,
    );
    let mut parts = data.splitn(2, |byte| *byte == 0);
    let method = parts.next().unwrap_or_default();
    let headers = parts.next().unwrap_or_default();
    let allowed = rules
        .preflight_rules(&["GET"], &[])
        .allow(lines(method), lines(headers));
    assert!(!allowed || method == b"GET");
}

/// Whatever a client writes in front, the trusted proxy's word stands.
pub fn forwarded(data: &[u8]) {
    for (header, appended) in [
        (ForwardedHeader::XForwardedFor, b"198.51.100.7".as_slice()),
        (ForwardedHeader::Forwarded, b"for=198.51.100.7"),
    ] {
        let config = LimitsConfig {
            trusted_proxies: vec!["10.0.0.0/8".into()],
            forwarded: Some(header),
            ..LimitsConfig::default()
        };
        let proxies = Proxies::new(&config, &mut Default::default());
        let proxy = Some([10, 0, 0, 2].into());
        proxies.client(header, proxy, lines(data));
        let joined = [data, b", ", appended].concat();
        let client = proxies.client(header, proxy, lines(&joined));
        assert_eq!(client, Some([198, 51, 100, 7].into()));
    }
}

/// Only a configured name is served, with any port.
pub fn host(data: &[u8]) {
    let mut hosts = Hosts::default();
    if hosts.add("api.example.com").is_ok() && hosts.allow(data) {
        let lower = data.to_ascii_lowercase();
        let rest = lower.strip_prefix(b"api.example.com").unwrap_or(b"evil");
        assert!(rest.is_empty() || rest.starts_with(b":"));
    }
}

/// Credentials are found or not, and nothing breaks.
pub fn credentials(data: &[u8]) {
    let mut parts = data.splitn(3, |byte| *byte == 0);
    let authorization = parts.next().unwrap_or_default();
    let cookies = parts.next().unwrap_or_default();
    let query = String::from_utf8_lossy(parts.next().unwrap_or_default());
    let places = Places {
        bearer: true,
        cookie: Some("sid"),
        ticket: true,
    };
    let _ = present(places, lines(authorization), lines(cookies), &query);
}

/// Nothing is a ticket that was not signed; and what can be read is what would be written.
pub fn ticket(data: &[u8]) {
    let config = TicketConfig::new("reference-ticket-secret-of-32-bytes!!");
    if let Some(tickets) = Tickets::new(&config, 64, None) {
        let binding = Binding {
            origin: b"",
            address: None,
        };
        assert!(tickets.check(data, None, binding).is_err());
    }
    if let Some(ticket) = Ticket::parse(data) {
        assert_eq!(ticket.to_bytes().as_deref(), Some(data));
    }
}

/// An ID names a position only in the one spelling that the hub writes.
pub fn last_event_id(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Some(epoch) = Epoch::named("00000000") {
        if let Some(position) = epoch.position(&text) {
            assert_eq!(epoch.id(position), text);
        }
        let ours = format!("00000000-{text}");
        if let Some(position) = epoch.position(&ours) {
            assert_eq!(epoch.id(position), ours);
        }
    }
}
