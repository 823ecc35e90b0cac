//! `Vary` on a reply that may have some already.

use actix_web::http::header::{self, HeaderMap, HeaderValue};

/// What a reply to an actual request depends on.
pub(crate) const ORIGIN: &str = "Origin";
/// What a reply to a preflight depends on.
pub(crate) const PREFLIGHT: &str =
    "Origin, Access-Control-Request-Method, Access-Control-Request-Headers";

/// Adds `names` (parted by `, `) to what is there, each name once. Calling it twice changes
/// nothing.
pub(crate) fn add(headers: &mut HeaderMap, names: &'static str) {
    if !headers.contains_key(header::VARY) {
        headers.insert(header::VARY, HeaderValue::from_static(names));
        return;
    }
    let mut merged: Vec<&[u8]> = Vec::new();
    let present = headers
        .get_all(header::VARY)
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    for name in present.chain(names.as_bytes().split(|byte| *byte == b',')) {
        let name = name.trim_ascii();
        if !name.is_empty() && !merged.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            merged.push(name);
        }
    }
    // What is joined here were header values, and stays one.
    if let Ok(value) = HeaderValue::from_bytes(&merged.join(b", ".as_slice())) {
        headers.insert(header::VARY, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vary(headers: &HeaderMap) -> Vec<&str> {
        headers
            .get_all(header::VARY)
            .map(|value| value.to_str().unwrap())
            .collect()
    }

    #[test]
    fn c03_all_names_survive_and_none_doubles() {
        let mut headers = HeaderMap::new();
        headers.append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
        headers.append(header::VARY, HeaderValue::from_static("Cookie, origin"));
        add(&mut headers, ORIGIN);
        add(&mut headers, ORIGIN);
        assert_eq!(vary(&headers), ["Accept-Encoding, Cookie, origin"]);
        add(&mut headers, PREFLIGHT);
        assert_eq!(
            vary(&headers),
            [
                "Accept-Encoding, Cookie, origin, Access-Control-Request-Method, Access-Control-Request-Headers"
            ]
        );
    }

    #[test]
    fn a_fresh_reply_gets_the_names_as_they_are() {
        let mut headers = HeaderMap::new();
        add(&mut headers, PREFLIGHT);
        assert_eq!(vary(&headers), [PREFLIGHT]);
    }
}
