//! The names under which the streams are served, against `Host` and `:authority`.
//!
//! A page whose name was made to resolve to this server (DNS rebinding) is same-origin to the
//! browser; only the name gives it away.

use std::net::Ipv6Addr;

/// The names; none at all means any.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hosts(Vec<Name>);

#[derive(Debug, Clone)]
struct Name {
    host: Box<[u8]>,
    port: Option<u16>,
}

impl Hosts {
    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a name as the configuration has it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn add(&mut self, text: &str) -> Result<(), String> {
        let wrong = || {
            "a host is a name or an address, with a port or without: api.example.com, \
             127.0.0.1:8080, [::1]"
                .to_owned()
        };
        let (host, port) = split(text.as_bytes()).ok_or_else(wrong)?;
        if url::Host::parse(&String::from_utf8_lossy(host)).is_err() || text.contains(['*', '%']) {
            return Err(wrong());
        }
        self.0.push(Name {
            host: host.to_ascii_lowercase().into(),
            port,
        });
        Ok(())
    }

    /// Whether an authority, as the request has it, is one of the names.
    pub(crate) fn allow(&self, authority: &[u8]) -> bool {
        self.is_empty()
            || split(authority).is_some_and(|(host, port)| {
                self.0.iter().any(|name| {
                    name.host.eq_ignore_ascii_case(host)
                        && (name.port.is_none() || name.port == port)
                })
            })
    }

    /// The names as they were configured, in lower case.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, Option<u16>)> {
        self.0
            .iter()
            .filter_map(|name| Some((std::str::from_utf8(&name.host).ok()?, name.port)))
    }
}

/// Longer than any name and port.
const MAX_AUTHORITY: usize = 512;

/// Host and port of an authority; `None` if it is anything but these two.
fn split(authority: &[u8]) -> Option<(&[u8], Option<u16>)> {
    if authority.len() > MAX_AUTHORITY {
        return None;
    }
    let (host, rest) = if authority.starts_with(b"[") {
        let end = authority.iter().position(|byte| *byte == b']')? + 1;
        let (host, rest) = authority.split_at_checked(end)?;
        let inner = std::str::from_utf8(host.get(1..end - 1)?).ok()?;
        inner.parse::<Ipv6Addr>().ok()?;
        (host, rest)
    } else {
        let end = authority
            .iter()
            .position(|byte| *byte == b':')
            .unwrap_or(authority.len());
        authority.split_at_checked(end)?
    };
    let is_name =
        |byte: &u8| matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_');
    if host.is_empty() || !(host.starts_with(b"[") || host.iter().all(is_name)) {
        return None;
    }
    let port = match rest {
        [] => None,
        [b':', digits @ ..] if digits.iter().all(u8::is_ascii_digit) => {
            Some(std::str::from_utf8(digits).ok()?.parse().ok()?)
        }
        _ => return None,
    };
    Some((host, port))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hosts(names: &[&str]) -> Hosts {
        let mut hosts = Hosts::default();
        for name in names {
            hosts.add(name).unwrap();
        }
        hosts
    }

    #[test]
    fn o22_only_the_names_with_any_port() {
        let hosts = hosts(&["api.example.com", "127.0.0.1", "[::1]", "localhost:8080"]);
        for authority in [
            "api.example.com",
            "API.example.com",
            "api.example.com:443",
            "127.0.0.1:8080",
            "[::1]:8080",
            "localhost:8080",
        ] {
            assert!(hosts.allow(authority.as_bytes()), "{authority}");
        }
        for authority in [
            "",
            "evil.com",
            "api.example.com.evil.com",
            "api.example.com.",
            "api.example.com:80@evil",
            "api.example.com:",
            "api.example.com:65536",
            "user@api.example.com",
            "[::1",
            "[::1]x",
            "localhost",
            "localhost:80",
            "\u{ff}",
        ] {
            assert!(!hosts.allow(authority.as_bytes()), "{authority}");
        }
    }

    #[test]
    fn no_names_mean_any() {
        assert!(Hosts::default().allow(b"evil.com"));
    }

    #[test]
    fn names_that_can_never_match_are_refused() {
        for text in [
            "",
            "https://api.example.com",
            "api.example.com/",
            "*.example.com",
            "a b",
            "api.example.com:x",
            "[::1",
            "::1",
            "résumé.com",
        ] {
            assert!(Hosts::default().add(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn only_the_name_itself_is_allowed(before in "[ -~]{0,8}", after in "[ -~]{0,8}") {
            let authority = format!("{before}api.example.com{after}");
            let allowed = hosts(&["api.example.com"]).allow(authority.as_bytes());
            let port = after.strip_prefix(':').and_then(|port| port.parse::<u16>().ok()).is_some()
                && !after.contains('+');
            prop_assert_eq!(allowed, before.is_empty() && (after.is_empty() || port));
        }
    }
}
