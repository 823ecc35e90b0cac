//! The software that remedies are known for, and how it shows itself in a reply.

use std::{fmt, str::FromStr};

use serde::{Serialize, Serializer};

use crate::browser::Headers;

/// Where a change can be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Software {
    /// The application itself.
    Actix,
    /// The page that opens the stream.
    Page,
    /// nginx, OpenResty and their relatives.
    Nginx,
    /// HAProxy, which leaves no trace in replies by default.
    HaProxy,
    /// Caddy.
    Caddy,
    /// Apache httpd.
    Apache,
    /// Varnish.
    Varnish,
    /// Cloudflare, CloudFront, Fastly, Google Cloud CDN.
    Cdn,
}

impl Software {
    const ALL: [Self; 8] = [
        Self::Actix,
        Self::Page,
        Self::Nginx,
        Self::HaProxy,
        Self::Caddy,
        Self::Apache,
        Self::Varnish,
        Self::Cdn,
    ];

    /// The usual spelling.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Actix => "actix",
            Self::Page => "page",
            Self::Nginx => "nginx",
            Self::HaProxy => "HAProxy",
            Self::Caddy => "Caddy",
            Self::Apache => "Apache",
            Self::Varnish => "Varnish",
            Self::Cdn => "CDN",
        }
    }

    /// What a reply shows of the hops that it passed.
    #[must_use]
    pub fn seen_in(headers: &Headers) -> Vec<Self> {
        let mut text = String::new();
        for name in ["server", "via", "x-powered-by"] {
            text.push_str(&headers.text(name).unwrap_or_default().to_ascii_lowercase());
            text.push(' ');
        }
        let any = |marks: &[&str]| marks.iter().any(|m| text.contains(m));
        let has = |names: &[&str]| names.iter().any(|n| headers.has(n));
        let mut seen = Vec::new();
        if any(&["nginx", "openresty", "tengine"]) {
            seen.push(Self::Nginx);
        }
        if any(&["haproxy"]) {
            seen.push(Self::HaProxy);
        }
        if any(&["caddy"]) {
            seen.push(Self::Caddy);
        }
        if any(&["apache"]) {
            seen.push(Self::Apache);
        }
        if any(&["varnish"]) || has(&["x-varnish"]) {
            seen.push(Self::Varnish);
        }
        if any(&[
            "cloudflare",
            "cloudfront",
            "fastly",
            "google frontend",
            "1.1 google",
        ]) || has(&["cf-ray", "x-amz-cf-id", "x-served-by"])
        {
            seen.push(Self::Cdn);
        }
        seen
    }
}

impl Serialize for Software {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl fmt::Display for Software {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Software {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|s| s.name().eq_ignore_ascii_case(text))
            .ok_or_else(|| {
                let names: Vec<_> = Self::ALL.iter().map(|s| s.name()).collect();
                format!(
                    "nothing is known of `{text}`; known are {}",
                    names.join(", ")
                )
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hops_show_themselves() {
        let seen =
            |lines: &[(&str, &str)]| Software::seen_in(&Headers::from_lines(lines.iter().copied()));
        assert_eq!(seen(&[("Server", "nginx/1.22.1")]), [Software::Nginx]);
        assert_eq!(
            seen(&[("Via", "1.1 varnish (Varnish/7.1)"), ("Server", "Caddy")]),
            [Software::Caddy, Software::Varnish]
        );
        assert_eq!(seen(&[("CF-Ray", "1")]), [Software::Cdn]);
        assert!(seen(&[]).is_empty());
        assert_eq!("haproxy".parse(), Ok(Software::HaProxy));
    }
}
