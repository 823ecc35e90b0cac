//! What the fuzz targets run: everything that reads what a client sends, with the property that
//! has to hold. Compiled with `--cfg fuzzing`, and for the tests, which run the same functions on
//! what looks like the real thing.
//!
//! Each says whether the input got through, so that a test can hold the seeds of the corpora to
//! it: a fuzzer that starts at the first rejection may never see what lies behind.

use std::{
    sync::LazyLock,
    time::{Duration, UNIX_EPOCH},
};

use crate::{
    config::{ForwardedHeader, LimitsConfig, TicketConfig},
    hub::id::{Epoch, Named},
    identity::TopicPattern,
    origin::{OriginHeader, OriginList, OriginPattern, is_own},
    protect::{
        accept::{Demand, accepts},
        auth::credentials::{Places, Presented, present},
        cors::{CorsRules, PreflightRules},
        host::Hosts,
        limit::address::{Proxies, Said},
        ticket::{Binding, Ticket, Tickets},
    },
    server::proxy_protocol::parse,
};

/// Lines, as a request may have several of a header.
fn lines(data: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> + Clone {
    data.split(|byte| *byte == b'\n')
}

/// Several headers, each of some lines.
fn parts<const N: usize>(data: &[u8]) -> [&[u8]; N] {
    let mut parts = data.splitn(N, |byte| *byte == 0);
    std::array::from_fn(|_| parts.next().unwrap_or_default())
}

/// Whatever is allowed is an origin that a browser would serialise, of a configured host; and the
/// own origin is the one of the authority that was asked.
#[must_use]
pub fn origin(data: &[u8]) -> bool {
    static ALLOWED: LazyLock<OriginList> = LazyLock::new(|| {
        let entries = [
            "https://app.example.com",
            "https://*.tenant.example.net",
            "https://*--name.example.app",
            "http://localhost:*",
        ];
        OriginList::new(
            entries
                .iter()
                .filter_map(|text| OriginPattern::parse(text).ok()),
        )
    });
    let [header, authority] = parts(data);
    let OriginHeader::Value(origin) = OriginHeader::read(lines(header)) else {
        return false;
    };
    let text = std::str::from_utf8(origin).unwrap_or_default();
    let url = url::Url::parse(text).ok();
    let allowed = ALLOWED.find(origin).is_some();
    if allowed {
        match &url {
            Some(url) => {
                let host = url.host_str().unwrap_or_default();
                assert_eq!(url.origin().ascii_serialization(), text);
                assert!(
                    matches!(host, "app.example.com" | "localhost")
                        || host.ends_with(".tenant.example.net")
                        || host.ends_with("--name.example.app") && host.split('.').count() == 3,
                    "{text}"
                );
            }
            // A label is looked at byte by byte, and `xn--` need not begin punycode. No browser
            // gets to such a host.
            None => {
                let labels = text
                    .strip_prefix("https://")
                    .and_then(|host| {
                        host.strip_suffix(".tenant.example.net")
                            .or_else(|| host.strip_suffix("name.example.app"))
                    })
                    .unwrap_or_default();
                let is_label =
                    |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'.');
                assert!(
                    labels.contains("xn--") && labels.bytes().all(is_label),
                    "{text}"
                );
            }
        }
    }
    let own = is_own(origin, Some(authority), "https", None);
    if own
        && let (Some(url), Ok(authority)) = (&url, std::str::from_utf8(authority))
        && let Ok(asked) = url::Url::parse(&format!("https://{authority}"))
    {
        assert_eq!(url.origin(), asked.origin());
    }
    if let Ok(pattern) = OriginPattern::parse(text) {
        assert!(!pattern.is_exact() || pattern.matches(origin));
    }
    allowed || own
}

/// What is accepted explicitly is named, and is accepted when negotiated.
#[must_use]
pub fn accept(data: &[u8]) -> bool {
    const NAME: &[u8] = b"text/event-stream";
    let explicit = accepts(lines(data), Demand::Named);
    let negotiated = accepts(lines(data), Demand::Negotiated);
    if explicit {
        assert!(negotiated);
        assert!(
            data.windows(NAME.len())
                .any(|part| part.eq_ignore_ascii_case(NAME))
        );
    }
    explicit
}

/// Only what was configured is allowed.
#[must_use]
pub fn preflight(data: &[u8]) -> bool {
    static RULES: LazyLock<PreflightRules> = LazyLock::new(|| {
        CorsRules::new(
            true,
            false,
            vec![actix_web::http::header::AUTHORIZATION],
            Vec::new(),
            Duration::ZERO,
        )
        .preflight_rules(&["GET"], &[])
    });
    let [method, headers] = parts(data);
    let allowed = RULES.allow(lines(method), lines(headers));
    if allowed {
        assert_eq!(method, b"GET");
        for name in lines(headers).flat_map(|line| line.split(|byte| *byte == b',')) {
            let name = name.trim_ascii();
            assert!(name.is_empty() || name.eq_ignore_ascii_case(b"authorization"));
        }
    }
    allowed
}

/// Whatever a client writes in front, the trusted proxy's word stands.
#[must_use]
pub fn forwarded(data: &[u8]) -> bool {
    static PROXIES: LazyLock<[(ForwardedHeader, &[u8], Proxies); 2]> = LazyLock::new(|| {
        [
            (ForwardedHeader::XForwardedFor, b"198.51.100.7".as_slice()),
            (ForwardedHeader::Forwarded, b"for=198.51.100.7"),
        ]
        .map(|(header, appended)| {
            let config = LimitsConfig {
                trusted_proxies: vec!["10.0.0.0/8".into()],
                forwarded: Some(header),
                ..LimitsConfig::default()
            };
            let proxies = Proxies::new(&config, &mut Default::default());
            (header, appended, proxies)
        })
    });
    let proxy = Some([10, 0, 0, 2].into());
    let proxys_word = Some([198, 51, 100, 7].into());
    let mut read = false;
    for (header, appended, proxies) in &*PROXIES {
        read |= proxies.client(*header, proxy, lines(data)).address != proxy;
        for joint in [b", ".as_slice(), b"\n"] {
            let joined = [data, joint, appended].concat();
            let client = proxies.client(*header, proxy, lines(&joined));
            assert_eq!(client.address, proxys_word);
            let scheme = Said::Scheme.by_proxies(*header, lines(&joined), client.hops);
            assert!(*header != ForwardedHeader::Forwarded || scheme.is_none());
        }
    }
    read
}

/// Only a configured name is served, with any port.
#[must_use]
pub fn host(data: &[u8]) -> bool {
    static HOSTS: LazyLock<Hosts> = LazyLock::new(|| {
        let mut hosts = Hosts::default();
        for name in ["api.example.com", "[::1]:8080"] {
            let added = hosts.add(name);
            assert_eq!(added, Ok(()));
        }
        hosts
    });
    let allowed = HOSTS.allow(data);
    if allowed {
        let lower = String::from_utf8_lossy(data).to_ascii_lowercase();
        let port = lower.strip_prefix("api.example.com").map(|rest| {
            rest.is_empty()
                || rest
                    .strip_prefix(':')
                    .is_some_and(|port| port.parse::<u16>().is_ok())
        });
        let address = lower.strip_prefix("[::1]:").map(|port| port.parse::<u16>());
        assert!(port == Some(true) || address == Some(Ok(8080)), "{lower}");
    }
    allowed
}

/// A token that is found was presented, and nothing that could contradict it was.
#[must_use]
pub fn credentials(data: &[u8]) -> bool {
    let [authorization, cookies, query] = parts(data);
    let query = String::from_utf8_lossy(query);
    let places = Places {
        bearer: true,
        cookie: Some("sid"),
        ticket: true,
    };
    let presented = present(places, lines(authorization), lines(cookies), &query);
    let several = lines(authorization).count() > 1;
    match presented {
        Err(_) => false,
        Ok(Presented::Tokens(tokens)) => {
            assert!(!several && (1..=8).contains(&tokens.iter().count()));
            for token in tokens.iter() {
                assert!(!token.text.is_empty());
                assert!([authorization, cookies].iter().any(|place| {
                    place
                        .windows(token.text.len())
                        .any(|part| part == token.text.as_bytes())
                }));
            }
            true
        }
        Ok(Presented::Ticket(_)) => {
            assert!(!several);
            true
        }
        Ok(Presented::Nothing | Presented::Unreadable) => {
            assert!(!several);
            false
        }
    }
}

/// A token that is read is, written again, the same: no two texts are one token.
#[cfg(feature = "jwt")]
#[must_use]
pub fn token(data: &[u8]) -> bool {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

    use crate::protect::auth::jwt::Jws;

    let text = String::from_utf8_lossy(data);
    let Some(jws) = Jws::parse(&text) else {
        return false;
    };
    let signature = URL_SAFE_NO_PAD.encode(&jws.signature);
    assert_eq!(
        [jws.signed, b".", signature.as_bytes()].concat(),
        text.as_bytes()
    );
    let _ = jws.claims::<serde_json::Value>();
    true
}

/// Nothing is a ticket that was not signed; what was signed is believed only where it is one;
/// and what can be read is what would be written.
#[must_use]
pub fn ticket(data: &[u8]) -> bool {
    static TICKETS: LazyLock<Option<Tickets>> = LazyLock::new(|| {
        let config = TicketConfig::new("reference-ticket-secret-of-32-bytes!!");
        Tickets::new(&config, 64, None)
    });
    let ticket = Ticket::parse(data);
    if let Some(ticket) = ticket {
        assert_eq!(ticket.to_bytes().as_deref(), Some(data));
    }
    let Some(tickets) = &*TICKETS else {
        return false;
    };
    let binding = Binding {
        origin: ticket.map_or(b"", |ticket| ticket.origin),
        address: None,
    };
    let unsigned = tickets.check_at(data, None, binding, std::time::SystemTime::now());
    assert!(unsigned.is_none());
    // As if it had just been issued, or in 1970.
    let issued = Duration::from_millis(ticket.map_or(0, |ticket| ticket.issued));
    let now = UNIX_EPOCH.checked_add(issued).unwrap_or(UNIX_EPOCH);
    let sealed = tickets.seal(data.to_vec());
    let believed = tickets.check_at(sealed.as_bytes(), None, binding, now);
    if believed.is_some() {
        assert!(ticket.is_some_and(|ticket| ticket.issued < ticket.until));
    }
    believed.is_some()
}

/// An ID names a position only in the one spelling that the hub writes.
#[must_use]
pub fn last_event_id(data: &[u8]) -> bool {
    static EPOCH: LazyLock<Option<Epoch>> = LazyLock::new(|| Epoch::named("00000000"));
    let text = String::from_utf8_lossy(data);
    let Some(epoch) = &*EPOCH else {
        return false;
    };
    let topics = [TopicPattern::topic("t")];
    let mut named = false;
    for id in [text.to_string(), format!("00000000-{text}")] {
        if let Some(position) = epoch.position(&id) {
            assert_eq!(epoch.id(position), id);
            named = true;
        }
        if let Some(Named::Start(position)) = epoch.read(&id, &topics) {
            assert_eq!(epoch.start(position, &topics), id);
            named = true;
        }
    }
    named
}

/// A header of the PROXY protocol is found within its bounds, and nothing behind it counts.
#[must_use]
pub fn proxy_header(data: &[u8]) -> bool {
    let Some((length, named)) = parse(data) else {
        return false;
    };
    assert!(length <= data.len().min(2048));
    let alone = data.get(..length).and_then(parse);
    assert_eq!(alone, Some((length, named)));
    true
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use proptest::prelude::*;

    type Target = fn(&[u8]) -> bool;

    const TARGETS: &[(&str, Target)] = &[
        ("origin", super::origin),
        ("accept", super::accept),
        ("preflight", super::preflight),
        ("forwarded", super::forwarded),
        ("host", super::host),
        ("credentials", super::credentials),
        ("ticket", super::ticket),
        ("last_event_id", super::last_event_id),
        #[cfg(feature = "jwt")]
        ("token", super::token),
        ("proxy_header", super::proxy_header),
    ];

    /// The corpora that the fuzzers start from reach what lies behind the first rejection.
    #[test]
    fn every_seed_goes_as_far_as_its_name_says() {
        let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds");
        for (name, target) in TARGETS {
            let mut through = 0;
            for seed in fs::read_dir(seeds.join(name)).expect(name) {
                let path = seed.unwrap().path();
                let refused = path.file_name().unwrap().to_str().unwrap();
                let refused = refused.starts_with("refused-");
                let got_through = target(&fs::read(&path).unwrap());
                assert_eq!(got_through, !refused, "{}", path.display());
                through += usize::from(got_through);
            }
            assert!(through > 0, "no seed of {name} gets through");
        }
    }

    /// Bytes, and what is made of the tokens that matter.
    fn input() -> impl Strategy<Value = Vec<u8>> {
        let tokens = prop::sample::select(vec![
            "https://",
            "http://",
            "app.example.com",
            ".tenant.example.net",
            "localhost",
            ":",
            "80",
            "443",
            "*",
            "null",
            ",",
            ";",
            " ",
            "\"",
            "\\",
            "\n",
            "\0",
            "text/event-stream",
            "text/*",
            "*/*",
            "q=",
            "0",
            ".",
            "1",
            "GET",
            "authorization",
            "for=",
            "10.0.0.9",
            "6.6.6.6",
            "[",
            "]",
            "2001:db8::1",
            "api.example.com",
            "@",
            "Bearer ",
            "sid=",
            "ticket=",
            "&",
            "%74",
            "a",
            "00000000-",
            "00000000.",
            "PROXY TCP4 ",
            "\r\n",
            "-",
            "+",
        ]);
        let word = prop_oneof![
            8 => tokens.prop_map(|word| word.as_bytes().to_vec()),
            1 => prop::collection::vec(any::<u8>(), 0..4),
        ];
        prop::collection::vec(word, 0..10).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn what_is_fuzzed_holds(data in input()) {
            for (_, target) in TARGETS {
                let _ = target(&data);
            }
        }
    }
}
