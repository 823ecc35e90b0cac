//! Requests that are refused, as many as go out.

use actix_web_sse_tests::Claims;

use super::Attack;

/// Origins that are asked about and never allowed.
pub(crate) const PREFLIGHTS: Attack = Attack::new("preflight flood", |target| {
    target.flood(16, |target| {
        let origin = format!("Origin: https://{:x}.example.org", fastrand::u64(..));
        let method = "Access-Control-Request-Method: GET";
        let headers = "Access-Control-Request-Headers: authorization,last-event-id";
        target.request("OPTIONS", "/events", &[&origin, method, headers])
    });
    Vec::new()
});

pub(crate) const HEAD: Attack = Attack::new("HEAD flood", |target| {
    target.flood(16, |target| {
        let bearer = target.bearer().unwrap_or_else(|| "X-Nobody: 1".to_owned());
        let accept = "Accept: text/event-stream";
        target.request("HEAD", "/events?topic=honest", &[accept, &bearer])
    });
    Vec::new()
});

/// Where a token is required; elsewhere a cookie of nobody's.
pub(crate) const NO_TOKEN: Attack = Attack::new("flood without a token", |target| {
    target.flood(16, |target| {
        let path = match target.token {
            Some(_) => "/events",
            None => "/events?ticket=",
        };
        target.request("GET", path, &["Accept: text/event-stream"])
    });
    Vec::new()
});

/// Well formed, of 8 KB, signed with a key of the client's own.
pub(crate) const FORGED_TOKENS: Attack = Attack::new("forged tokens of 8 KB", |target| {
    let topics = vec!["x".repeat(5900)];
    let mut claims = Claims::of("mallory").publisher();
    claims.topics = Some(topics);
    let token = claims.sign("a secret that the demo does not have, of 40 bytes");
    target.flood(16, move |target| {
        let bearer = format!("Authorization: Bearer {token}");
        let accept = "Accept: text/event-stream";
        target.request("GET", "/events", &[accept, &bearer])
    });
    Vec::new()
});

/// Each from an origin that nobody has seen before.
pub(crate) const FOREIGN_ORIGINS: Attack = Attack::new("flood of foreign origins", |target| {
    target.flood(16, |target| {
        let origin = format!("Origin: https://{:x}.example.org", fastrand::u64(..));
        target.stream_with("honest", &[&origin])
    });
    Vec::new()
});

pub(crate) const FOREIGN_HOSTS: Attack = Attack::new("flood of foreign hosts", |target| {
    target.flood(16, |_| {
        let random = fastrand::u64(..);
        let head = format!("GET /events HTTP/1.1\r\nHost: {random:x}.example.org\r\n");
        format!("{head}Accept: text/event-stream\r\n\r\n").into_bytes()
    });
    Vec::new()
});

/// T20: guesses of the right form.
pub(crate) const TICKET_GUESSES: Attack = Attack::new("ticket guesses", |target| {
    target.flood(16, |target| {
        let guess: String = (0..86).map(|_| fastrand::alphanumeric()).collect();
        let path = format!("/events?topic=honest&ticket={guess}");
        target.request("GET", &path, &["Accept: text/event-stream"])
    });
    Vec::new()
});

/// With the client's own right where it has one, else tokens by signing in.
pub(crate) const TICKETS_ISSUED: Attack = Attack::new("tickets issued and never used", |target| {
    target.flood(16, |target| match target.bearer() {
        Some(bearer) => {
            let length = "Content-Length: 0";
            target.request("POST", "/ticket?topic=honest", &[&bearer, length])
        }
        None => {
            let body = format!(r#"{{"user":"u{:x}","seconds":60}}"#, fastrand::u64(..));
            let length = format!("Content-Length: {}", body.len());
            let kind = "Content-Type: application/json";
            let mut request = target.request("POST", "/session", &[kind, &length]);
            request.extend(body.into_bytes());
            request
        }
    });
    Vec::new()
});

/// Reports of browsers that are none.
pub(crate) const REPORTS: Attack = Attack::new("report flood", |target| {
    target.flood(16, |target| {
        let length = "Content-Length: 12";
        let kind = "Content-Type: text/plain";
        let mut request = target.request("POST", "/sse-reports", &[kind, length]);
        request.extend(b"cors_blocked");
        request
    });
    Vec::new()
});

/// With a token that reads only. Where anybody may publish, what no event may be.
pub(crate) const PUBLISHING: Attack = Attack::new("publishing without the right", |target| {
    target.flood(16, |target| {
        let bearer = target.bearer();
        let length = "Content-Length: 4";
        let kind = match bearer {
            Some(_) => "Content-Type: text/plain",
            None => "Content-Type: text/html",
        };
        let mut headers = vec![kind, length];
        headers.extend(bearer.as_deref());
        let mut request = target.request("POST", "/publish?topic=honest", &headers);
        request.extend(b"evil");
        request
    });
    Vec::new()
});

/// 100 KB of header lines.
pub(crate) const HEADER_BOMB: Attack = Attack::new("heads of 100 KB", |target| {
    target.flood(8, |target| {
        let line = format!("X-Bomb: {}", "b".repeat(1400));
        let lines: Vec<&str> = std::iter::repeat_n(line.as_str(), 70).collect();
        target.request("GET", "/events", &lines)
    });
    Vec::new()
});
