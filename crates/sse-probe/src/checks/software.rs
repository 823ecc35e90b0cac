//! The software that remedies are known for, and how it shows itself in a reply.

use std::str::FromStr;

use crate::browser::Headers;

named! {
    /// Where a change can be made.
    #[non_exhaustive]
    pub enum Software {
        /// The application itself.
        Actix = "actix",
        /// The page that opens the stream.
        Page = "page",
        /// nginx, OpenResty and their relatives.
        Nginx = "nginx",
        /// HAProxy, which leaves no trace in replies by default.
        HaProxy = "HAProxy",
        /// Caddy.
        Caddy = "Caddy",
        /// Apache httpd.
        Apache = "Apache",
        /// Varnish.
        Varnish = "Varnish",
        /// Cloudflare, CloudFront, Fastly, Google Cloud CDN.
        Cdn = "CDN",
    }
}

/// Words in `Server`, `Via` or `X-Powered-By`, and names of headers.
const SIGNS: [(Software, &[&str], &[&str]); 6] = [
    (Software::Nginx, &["nginx", "openresty", "tengine"], &[]),
    (Software::HaProxy, &["haproxy"], &[]),
    (Software::Caddy, &["caddy"], &[]),
    (Software::Apache, &["apache"], &[]),
    (Software::Varnish, &["varnish"], &["x-varnish"]),
    (
        Software::Cdn,
        &[
            "cloudflare",
            "cloudfront",
            "fastly",
            "google frontend",
            "1.1 google",
        ],
        &["cf-ray", "x-amz-cf-id", "x-served-by"],
    ),
];

impl Software {
    /// What a reply shows of the hops that it passed.
    #[must_use]
    pub fn seen_in(headers: &Headers) -> Vec<Self> {
        let named = ["server", "via", "x-powered-by"].map(|name| headers.text(name));
        let text = named
            .map(Option::unwrap_or_default)
            .join(" ")
            .to_ascii_lowercase();
        let shows = |(_, words, names): &&(Self, &[&str], &[&str])| {
            words.iter().any(|word| text.contains(word)) || names.iter().any(|n| headers.has(n))
        };
        SIGNS
            .iter()
            .filter(shows)
            .map(|(software, ..)| *software)
            .collect()
    }
}

impl FromStr for Software {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut all = Self::ALL.iter();
        let found = all.find(|software| software.as_str().eq_ignore_ascii_case(text));
        found.copied().ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|software| software.as_str()).collect();
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
