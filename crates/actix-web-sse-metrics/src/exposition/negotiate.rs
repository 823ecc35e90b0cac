//! Negotiates the format and the content coding of a scrape: pure rules (RFC 9110 § 12.5).

use super::Format;

/// OpenMetrics if the client prefers it at least as much as text, otherwise text: an answer in a
/// format that was not requested is better than none.
pub(crate) fn format(accept: Option<&str>) -> Format {
    let accept = accept.unwrap_or_default();
    let openmetrics = quality(accept, |range| range == "application/openmetrics-text");
    let text = quality(accept, |range| {
        ["text/plain", "text/*", "*/*"].contains(&range)
    });
    if openmetrics > 0.0 && openmetrics >= text {
        Format::OpenMetrics
    } else {
        Format::Text
    }
}

/// Whether the body may be compressed with gzip.
pub(crate) fn gzip(accept_encoding: Option<&str>) -> bool {
    let accept = accept_encoding.unwrap_or_default();
    let named = elements(accept).any(|(coding, _)| coding == "gzip");
    if named {
        quality(accept, |coding| coding == "gzip") > 0.0
    } else {
        quality(accept, |coding| coding == "*") > 0.0
    }
}

/// The highest quality among the elements that match; 0 if there is none.
fn quality(header: &str, matches: impl Fn(&str) -> bool) -> f32 {
    elements(header)
        .filter(|(name, _)| matches(name))
        .fold(0.0, |highest, (_, quality)| quality.max(highest))
}

/// The names of a list header, in lower case, with their qualities. What cannot be read counts
/// for nothing.
fn elements(header: &str) -> impl Iterator<Item = (String, f32)> {
    header.split(',').map(|element| {
        let mut parts = element.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let quality = parts
            .filter_map(|part| part.split_once('='))
            .find(|(name, _)| name.trim().eq_ignore_ascii_case("q"))
            .map_or(1.0, |(_, quality)| quality.trim().parse().unwrap_or(0.0));
        (name, quality)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_unless_openmetrics_is_asked_for() {
        let prometheus = "application/openmetrics-text;version=1.0.0,\
            application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        assert_eq!(format(Some(prometheus)), Format::OpenMetrics);
        for accept in [
            "",
            "*/*",
            "text/html, */*;q=0.8",
            "application/json",
            "application/openmetrics-text;q=0",
            "application/openmetrics-text;q=0.5, text/plain",
            "application/openmetrics-text;q=nonsense",
            ";;;,,,=",
        ] {
            assert_eq!(format(Some(accept)), Format::Text, "{accept}");
        }
        assert_eq!(format(None), Format::Text);
    }

    #[test]
    fn gzip_only_if_it_is_wanted() {
        for accept in ["gzip", "br, GZIP;q=0.1", "*", "identity;q=0.5, *;q=0.1"] {
            assert!(gzip(Some(accept)), "{accept}");
        }
        for accept in ["", "identity", "br", "gzip;q=0", "gzip;q=0, *", "*;q=0"] {
            assert!(!gzip(Some(accept)), "{accept}");
        }
        assert!(!gzip(None));
    }
}
