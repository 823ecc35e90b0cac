//! Who the client is: the peer, or what proxies that are trusted say.
//!
//! A proxy appends the address of whoever connected to it, so the list is read from its right
//! end: as long as the speaker is trusted, what it says is believed, and the first address that
//! is no proxy's is the client's. What stands further left is the client's own invention.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;

use crate::config::{Faults, ForwardedHeader, LimitsConfig};

/// An entry of `trusted_proxies` for peers on a Unix socket.
const UNIX: &str = "unix";

/// More proxies than stand in any row.
const MAX_HOPS: usize = 32;

/// Longer than an address with all that a proxy says about it.
const MAX_ELEMENT: usize = 512;

/// The proxies that are believed, and where they write.
#[derive(Debug, Default)]
pub(crate) struct Proxies {
    trusted: Vec<IpNet>,
    unix: bool,
    header: Option<ForwardedHeader>,
}

impl Proxies {
    pub(crate) fn new(config: &LimitsConfig, faults: &mut Faults) -> Self {
        const KEY: &str = "policy.limits.trusted_proxies";
        let mut proxies = Self::default();
        for text in &config.trusted_proxies {
            if text == UNIX {
                proxies.unix = true;
                continue;
            }
            match network(text) {
                Ok(network) if network.prefix_len() == 0 && !config.dangerous_trust_any_proxy => {
                    faults.add(
                        KEY,
                        text,
                        "lets every client name its own address: list the proxies, or set \
                         dangerous_trust_any_proxy = true",
                    );
                }
                Ok(network) => proxies.trusted.push(network),
                Err(message) => faults.add(KEY, text, message),
            }
        }
        let nobody = config.trusted_proxies.is_empty();
        if let (Some(header), true) = (config.forwarded, nobody) {
            faults.add(
                "policy.limits.forwarded",
                header,
                "is read from trusted proxies only: list them in trusted_proxies",
            );
        }
        if !nobody {
            proxies.header = Some(config.forwarded.unwrap_or(ForwardedHeader::XForwardedFor));
        }
        proxies
    }

    /// The header to be read for a request from this peer, if any.
    pub(crate) fn header_for(&self, peer: Option<IpAddr>) -> Option<ForwardedHeader> {
        self.header.filter(|_| self.trusts(peer))
    }

    /// Whether the peer is believed.
    fn trusts(&self, peer: Option<IpAddr>) -> bool {
        match peer {
            Some(peer) => self.trusted.iter().any(|network| network.contains(&peer)),
            None => self.unix,
        }
    }

    /// The client behind a trusted peer, from the lines of the header in their order. Something
    /// that is no address stands for whoever passed it on.
    pub(crate) fn client<'a>(
        &self,
        header: ForwardedHeader,
        peer: Option<IpAddr>,
        lines: impl DoubleEndedIterator<Item = &'a [u8]>,
    ) -> Client {
        let mut client = Client {
            address: peer,
            hops: 1,
        };
        for (passed, element) in lines.rev().flat_map(elements).take(MAX_HOPS).enumerate() {
            client.hops = passed + 1;
            let said = match header {
                ForwardedHeader::XForwardedFor => node(element.trim_ascii()),
                ForwardedHeader::Forwarded => parameter(element, b"for").and_then(node),
            };
            let Some(address) = said else {
                break;
            };
            client.address = Some(address);
            if !self.trusts(client.address) {
                break;
            }
        }
        client
    }
}

/// The client behind trusted proxies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Client {
    pub(crate) address: Option<IpAddr>,
    /// How many elements, from the right, were written by proxies that are trusted: what the
    /// outermost of them says is what the client's own connection was like.
    pub(crate) hops: usize,
}

/// What else trusted proxies say about a client's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Said {
    /// The scheme: `proto=`, or `X-Forwarded-Proto`.
    Scheme,
    /// The host: `host=`, or `X-Forwarded-Host`.
    Host,
}

impl Said {
    /// The header that has it.
    pub(crate) const fn header(self, header: ForwardedHeader) -> &'static str {
        match (header, self) {
            (ForwardedHeader::Forwarded, _) => "forwarded",
            (ForwardedHeader::XForwardedFor, Self::Scheme) => "x-forwarded-proto",
            (ForwardedHeader::XForwardedFor, Self::Host) => "x-forwarded-host",
        }
    }

    /// The word of the outermost of the proxies that say anything, of as many as are trusted. The
    /// `X-` headers need not have an element for each proxy: most proxies write one in place of
    /// what is there.
    pub(crate) fn by_proxies<'a>(
        self,
        header: ForwardedHeader,
        lines: impl DoubleEndedIterator<Item = &'a [u8]>,
        hops: usize,
    ) -> Option<&'a [u8]> {
        let trusted = lines.rev().flat_map(elements).take(hops);
        let said = trusted.filter_map(|element| match (header, self) {
            (ForwardedHeader::XForwardedFor, _) => Some(element.trim_ascii()),
            (ForwardedHeader::Forwarded, Self::Scheme) => parameter(element, b"proto"),
            (ForwardedHeader::Forwarded, Self::Host) => parameter(element, b"host"),
        });
        said.filter(|word| !word.is_empty()).last()
    }
}

/// What counts as one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum ClientKey {
    /// All whose address is not known, together.
    Unknown,
    /// An address, or an IPv6 prefix.
    Address(IpAddr),
}

impl ClientKey {
    pub(crate) fn of(address: Option<IpAddr>, ipv6_prefix: u8) -> Self {
        match address {
            None => Self::Unknown,
            Some(IpAddr::V6(address)) => {
                let kept = u32::from(ipv6_prefix.min(128));
                let mask = u128::MAX.checked_shl(128 - kept).unwrap_or(0);
                Self::Address(Ipv6Addr::from(u128::from(address) & mask).into())
            }
            Some(address) => Self::Address(address),
        }
    }
}

/// A network, or a single address, as the configuration has it.
pub(crate) fn network(text: &str) -> Result<IpNet, String> {
    let network = match text.parse::<IpAddr>() {
        Ok(address) => IpNet::from(address),
        Err(_) => text
            .parse::<IpNet>()
            .map_err(|_| "is no network: write 10.0.0.0/8, 2001:db8::/32 or a single address")?,
    };
    let base = network.trunc();
    if base == network {
        Ok(network)
    } else {
        Err(format!("has bits beyond its prefix: write {base}"))
    }
}

/// The elements of a line, the last one first. What is too long to be one is empty, and nothing
/// left of it is looked at: a client may have sent as much as it likes.
fn elements(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let line = rest.take()?;
        let (far, near) = line.split_at_checked(line.len().saturating_sub(MAX_ELEMENT))?;
        match near.iter().rposition(|byte| *byte == b',') {
            Some(comma) => {
                rest = line.get(..far.len() + comma);
                near.get(comma + 1..)
            }
            None if far.is_empty() => Some(near),
            None => Some(b"".as_slice()),
        }
    })
}

/// The value of a parameter of a `Forwarded` element (RFC 7239 § 4), without its quotes.
///
/// Quotes around commas and semicolons are not honoured. No address needs them; and reading them
/// would let a client swallow what the proxy appended, with a quote that it never closes.
fn parameter<'a>(element: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    element
        .split(|byte| *byte == b';')
        .filter_map(|pair| {
            let equals = pair.iter().position(|byte| *byte == b'=')?;
            let (key, value) = pair.split_at_checked(equals)?;
            let value = value.get(1..)?.trim_ascii();
            key.trim_ascii().eq_ignore_ascii_case(name).then_some(value)
        })
        .map(|value| unquoted(value).unwrap_or(value))
        .next()
}

fn unquoted(value: &[u8]) -> Option<&[u8]> {
    value.strip_prefix(b"\"")?.strip_suffix(b"\"")
}

/// An address, with brackets and port or without.
fn node(text: &[u8]) -> Option<IpAddr> {
    // No address is longer; this also keeps the parsers from what a client pads.
    if text.len() > 64 {
        return None;
    }
    let text = std::str::from_utf8(unquoted(text).unwrap_or(text)).ok()?;
    let address = text
        .parse::<IpAddr>()
        .or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip()))
        .ok()
        .or_else(|| {
            let bare = text.strip_prefix('[')?.strip_suffix(']')?;
            bare.parse::<Ipv6Addr>().ok().map(IpAddr::from)
        })?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn proxies(config: &LimitsConfig) -> Proxies {
        let mut faults = Faults::default();
        let proxies = Proxies::new(config, &mut faults);
        faults.into_result(proxies).unwrap()
    }

    fn trusting(networks: &[&str], forwarded: Option<ForwardedHeader>) -> Proxies {
        proxies(&LimitsConfig {
            trusted_proxies: networks.iter().map(ToString::to_string).collect(),
            forwarded,
            ..LimitsConfig::default()
        })
    }

    fn client(proxies: &Proxies, peer: &str, lines: &[&str]) -> String {
        let peer = peer.parse().ok();
        let client = match proxies.header_for(peer) {
            Some(header) => {
                let lines = lines.iter().map(|line| line.as_bytes());
                proxies.client(header, peer, lines).address
            }
            None => peer,
        };
        client.map_or_else(|| "unknown".to_owned(), |client| client.to_string())
    }

    #[test]
    fn l05_a_stranger_cannot_choose_its_address() {
        let proxies = trusting(&["10.0.0.0/8"], None);
        for n in 0..100 {
            let line = format!("1.2.3.{n}");
            assert_eq!(client(&proxies, "203.0.113.9", &[&line]), "203.0.113.9");
        }
        assert_eq!(
            client(&trusting(&[], None), "10.0.0.2", &["1.2.3.4"]),
            "10.0.0.2"
        );
    }

    #[test]
    fn l06_l07_the_right_most_address_that_is_no_proxy() {
        let proxies = trusting(&["10.0.0.0/8"], None);
        for lines in [
            &["6.6.6.6, 198.51.100.7"] as &[&str],
            &["6.6.6.6", "198.51.100.7, 10.0.0.9"],
            &["6.6.6.6", "198.51.100.7", "10.0.0.9"],
            &["\"6.6.6.6, 198.51.100.7"],
        ] {
            assert_eq!(
                client(&proxies, "10.0.0.2", lines),
                "198.51.100.7",
                "{lines:?}"
            );
        }
        assert_eq!(client(&proxies, "10.0.0.2", &[]), "10.0.0.2");
        assert_eq!(
            client(&proxies, "10.0.0.2", &["10.1.1.1, 10.2.2.2"]),
            "10.1.1.1"
        );
    }

    #[test]
    fn what_is_no_address_stands_for_whoever_passed_it_on() {
        let proxies = trusting(&["10.0.0.0/8"], None);
        for line in [
            "",
            ",",
            "unknown",
            "_hidden",
            "6.6.6.6, evil",
            "198.51.100.7x",
            "1.2.3",
            "fe80::1%eth0",
        ] {
            assert_eq!(client(&proxies, "10.0.0.2", &[line]), "10.0.0.2", "{line}");
        }
        assert_eq!(client(&proxies, "10.0.0.2", &["x, 10.0.0.9"]), "10.0.0.9");
    }

    #[test]
    fn l10_ports_brackets_and_quotes() {
        let proxies = trusting(&["10.0.0.0/8"], None);
        for (text, address) in [
            ("198.51.100.7:4711", "198.51.100.7"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("\"[2001:db8::1]\"", "2001:db8::1"),
            ("2001:db8::1", "2001:db8::1"),
            ("::ffff:198.51.100.7", "198.51.100.7"),
        ] {
            assert_eq!(client(&proxies, "10.0.0.2", &[text]), address, "{text}");
        }
    }

    #[test]
    fn forwarded_is_read_where_it_is_the_proxies_header() {
        let proxies = trusting(&["10.0.0.0/8"], Some(ForwardedHeader::Forwarded));
        for (line, address) in [
            ("for=6.6.6.6, for=198.51.100.7", "198.51.100.7"),
            ("For=198.51.100.7;proto=https;by=10.0.0.2", "198.51.100.7"),
            ("proto=https; for=\"[2001:db8::1]:4711\"", "2001:db8::1"),
            ("for=\"6.6.6.6, for=198.51.100.7", "198.51.100.7"),
            ("for=198.51.100.7, proto=https", "10.0.0.2"),
            ("for=_hidden", "10.0.0.2"),
        ] {
            assert_eq!(client(&proxies, "10.0.0.2", &[line]), address, "{line}");
        }
    }

    /// What trusted proxies say behind the peer 10.0.0.2, from these lines.
    fn said(header: ForwardedHeader, addresses: &str, said: Said, line: &str) -> Option<String> {
        let proxies = trusting(&["10.0.0.0/8"], Some(header));
        let peer = "10.0.0.2".parse().ok();
        let client = proxies.client(header, peer, std::iter::once(addresses.as_bytes()));
        let word = said.by_proxies(header, std::iter::once(line.as_bytes()), client.hops)?;
        Some(String::from_utf8_lossy(word).into_owned())
    }

    #[test]
    fn w07_the_outermost_trusted_statement_of_forwarded_counts() {
        let two = "for=203.0.113.7;proto=http;host=evil.com, \
                   for=198.51.100.7;proto=https;host=\"api.example.com:8443\", \
                   for=10.0.0.9;proto=http;host=inner";
        for (line, scheme, host) in [
            (two, Some("https"), Some("api.example.com:8443")),
            (
                "proto=http;for=6.6.6.6, for=1.2.3.4;Proto=\"https\"",
                Some("https"),
                None,
            ),
            ("proto=https;host=a, proto=http", Some("http"), None),
            ("for=_hidden;proto=https;host=a", Some("https"), Some("a")),
            ("for=1.2.3.4", None, None),
            // The outer one does not say; the inner one does.
            ("for=1.2.3.4, for=10.0.0.9;proto=https", Some("https"), None),
            ("", None, None),
        ] {
            let of = |what| said(ForwardedHeader::Forwarded, line, what, line);
            assert_eq!(of(Said::Scheme).as_deref(), scheme, "{line}");
            assert_eq!(of(Said::Host).as_deref(), host, "{line}");
        }
    }

    #[test]
    fn w07_the_outermost_trusted_statement_of_the_x_headers_counts() {
        for (addresses, line, word) in [
            // One trusted hop: what the client wrote in front is not looked at.
            ("198.51.100.7", "http, HTTPS ", Some("HTTPS")),
            ("198.51.100.7", "https,http", Some("http")),
            ("6.6.6.6, 198.51.100.7", "https, http", Some("http")),
            // Two: each has appended, or the inner one has passed on what the outer one wrote.
            ("198.51.100.7, 10.0.0.9", "https, http", Some("https")),
            (
                "198.51.100.7, 10.0.0.9",
                "gopher, https, http",
                Some("https"),
            ),
            ("198.51.100.7, 10.0.0.9", "https", Some("https")),
            ("10.0.0.8, 10.0.0.9", "https, http", Some("https")),
            // No addresses at all: the peer's word.
            ("", "https, http", Some("http")),
            ("198.51.100.7", "", None),
        ] {
            let word = word.map(str::to_owned);
            for what in [Said::Scheme, Said::Host] {
                let said = said(ForwardedHeader::XForwardedFor, addresses, what, line);
                assert_eq!(said, word, "{addresses} | {line}");
            }
        }
    }

    #[test]
    fn what_is_too_long_to_be_an_address_is_none() {
        let proxies = trusting(&["10.0.0.0/8"], None);
        let long = "a".repeat(100_000);
        for line in [
            format!("6.6.6.6, {long}"),
            format!("{long}{}6.6.6.6", " ".repeat(MAX_ELEMENT)),
            format!("6.6.6.6, {long}6.6.6.6"),
        ] {
            assert_eq!(client(&proxies, "10.0.0.2", &[&line]), "10.0.0.2");
        }
        let line = format!("{long}, 198.51.100.7");
        assert_eq!(client(&proxies, "10.0.0.2", &[&line]), "198.51.100.7");
        let line = format!("6.6.6.6,{}198.51.100.7", " ".repeat(MAX_ELEMENT - 13));
        assert_eq!(client(&proxies, "10.0.0.2", &[&line]), "198.51.100.7");
    }

    #[test]
    fn l14_a_proxy_on_a_unix_socket_is_trusted_when_named() {
        let proxies = trusting(&["unix"], None);
        assert_eq!(client(&proxies, "-", &["198.51.100.7"]), "198.51.100.7");
        let proxies = trusting(&["10.0.0.0/8"], None);
        assert_eq!(client(&proxies, "-", &["198.51.100.7"]), "unknown");
    }

    #[test]
    fn l11_keys_of_prefixes() {
        let key = |text: &str, prefix| ClientKey::of(Some(text.parse().unwrap()), prefix);
        assert_eq!(key("2001:db8:1:2::1", 64), key("2001:db8:1:2::5", 64));
        assert_ne!(key("2001:db8:1:2::1", 64), key("2001:db8:1:3::1", 64));
        assert_ne!(key("2001:db8:1:2::1", 128), key("2001:db8:1:2::5", 128));
        assert_ne!(key("198.51.100.7", 64), key("198.51.100.8", 64));
        assert_eq!(ClientKey::of(None, 64), ClientKey::Unknown);
    }

    #[test]
    fn networks_are_read_strictly() {
        assert!(network("10.0.0.0/8").is_ok());
        assert!(network("10.0.0.2").is_ok());
        assert!(network("2001:db8::/32").is_ok());
        for text in [
            "",
            "10.0.0.0/33",
            "10.0.0.0/",
            "10.0.0",
            "example.com",
            "10.0.0.0-10.0.0.9",
        ] {
            assert!(network(text).is_err(), "{text}");
        }
        assert!(network("10.0.0.1/8").unwrap_err().ends_with("10.0.0.0/8"));
    }

    proptest! {
        #[test]
        fn l05_whatever_a_client_writes_the_proxys_word_stands(
            lines in prop::collection::vec("[ -~]{0,40}", 0..4),
            forwarded in any::<bool>(),
        ) {
            let header = if forwarded { ForwardedHeader::Forwarded } else { ForwardedHeader::XForwardedFor };
            let proxies = trusting(&["10.0.0.0/8"], Some(header));
            let appended = if forwarded { "for=198.51.100.7" } else { "198.51.100.7" };
            // The proxy adds a line of its own, or appends to the last one.
            let mut own_line: Vec<&str> = lines.iter().map(String::as_str).collect();
            own_line.push(appended);
            prop_assert_eq!(client(&proxies, "10.0.0.2", &own_line), "198.51.100.7");
            let joined = format!("{}, {appended}", lines.join(", "));
            prop_assert_eq!(client(&proxies, "10.0.0.2", &[&joined]), "198.51.100.7");
        }

        #[test]
        fn elements_are_what_stands_between_commas(line in "[ -~]{0,60}(,[ -~]{0,60}){0,3}") {
            let split: Vec<_> = line.as_bytes().rsplit(|byte| *byte == b',').collect();
            prop_assert_eq!(elements(line.as_bytes()).collect::<Vec<_>>(), split);
        }

        #[test]
        fn any_bytes_are_survived(line in prop::collection::vec(any::<u8>(), 0..80)) {
            for header in [ForwardedHeader::Forwarded, ForwardedHeader::XForwardedFor] {
                let proxies = trusting(&["0.0.0.0/1", "128.0.0.0/1"], Some(header));
                let peer = Some(IpAddr::from([10, 0, 0, 2]));
                let line = || std::iter::once(line.as_slice());
                let client = proxies.client(header, peer, line());
                prop_assert!(client.address.is_some() && client.hops >= 1);
                for said in [Said::Scheme, Said::Host] {
                    said.by_proxies(header, line(), client.hops);
                }
            }
        }

        #[test]
        fn an_address_is_read_as_it_is_written(address in any::<IpAddr>(), port in any::<u16>()) {
            let canonical = Some(address.to_canonical());
            prop_assert_eq!(node(address.to_string().as_bytes()), canonical);
            prop_assert_eq!(node(SocketAddr::new(address, port).to_string().as_bytes()), canonical);
        }
    }
}
