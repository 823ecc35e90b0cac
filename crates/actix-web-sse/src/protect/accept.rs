//! Whether the client asked for an event stream: `Accept` (RFC 9110 § 12.5.1).

use actix_web::http::Method;

use super::lines;
use crate::config::AcceptMode;

/// Longer than any client's preferences. What is longer is not weighed, for that would cost more
/// than the stream.
const MAX_BYTES: usize = 8192;

/// What a request has to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Demand {
    /// `text/event-stream` by name.
    Named,
    /// As HTTP has it.
    Negotiated,
    /// What clients of APIs send with a `POST` that may be answered by a stream: `application/json`
    /// or anything else that an answer in JSON or events fits. They learn from the request's body,
    /// and not from `Accept`, that a stream comes.
    Answer,
}

impl Demand {
    pub(crate) fn of(method: &Method, mode: AcceptMode) -> Self {
        match mode {
            _ if *method == Method::POST => Self::Answer,
            AcceptMode::Explicit => Self::Named,
            AcceptMode::Negotiate => Self::Negotiated,
        }
    }
}

/// Whether these `Accept` lines allow an event stream.
pub(crate) fn accepts<'a>(lines: impl Iterator<Item = &'a [u8]> + Clone, demand: Demand) -> bool {
    if !lines::fit(lines.clone(), MAX_BYTES) {
        return false;
    }
    // The weight of the most specific range that matches: exact, then text/*, then */*.
    let mut best: Option<(Specificity, bool)> = None;
    let mut empty = true;
    let mut json = false;
    for range in lines.flat_map(|line| split(line, b',')) {
        let mut parts = split(range, b';');
        let media = parts.next().unwrap_or_default().trim_ascii();
        if media.is_empty() {
            continue;
        }
        empty = false;
        if is_json(media) {
            json |= is_wanted(parts).unwrap_or_default();
            continue;
        }
        let Some(specificity) = Specificity::of(media) else {
            continue;
        };
        let Some(wanted) = is_wanted(parts) else {
            continue;
        };
        best = match best {
            Some((known, _)) if known > specificity => best,
            Some((known, already)) if known == specificity => Some((known, already || wanted)),
            _ => Some((specificity, wanted)),
        };
    }
    match (demand, best) {
        (Demand::Named, best) => best == Some((Specificity::Exact, true)),
        (Demand::Answer, Some((Specificity::Exact, wanted))) => wanted,
        (Demand::Answer, best) => empty || json || best.is_some_and(|(_, wanted)| wanted),
        (Demand::Negotiated, Some((_, wanted))) => wanted,
        (Demand::Negotiated, None) => empty,
    }
}

fn is_json(media: &[u8]) -> bool {
    media.eq_ignore_ascii_case(b"application/json") || media.eq_ignore_ascii_case(b"application/*")
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Specificity {
    Any,
    Text,
    Exact,
}

impl Specificity {
    fn of(media: &[u8]) -> Option<Self> {
        if media.eq_ignore_ascii_case(b"text/event-stream") {
            Some(Self::Exact)
        } else if media.eq_ignore_ascii_case(b"text/*") {
            Some(Self::Text)
        } else if media == b"*/*" {
            Some(Self::Any)
        } else {
            None
        }
    }
}

/// Whether the weight is above zero; `None` if it is none.
fn is_wanted<'a>(parameters: impl Iterator<Item = &'a [u8]>) -> Option<bool> {
    for parameter in parameters {
        let parameter = parameter.trim_ascii();
        if let [b'q' | b'Q', b'=', weight @ ..] = parameter {
            return weigh(weight);
        }
    }
    Some(true)
}

/// `qvalue` (RFC 9110 § 12.4.2): `0`, `0.ddd`, `1`, `1.000`.
fn weigh(weight: &[u8]) -> Option<bool> {
    let (whole, fraction) = match weight {
        [whole] | [whole, b'.'] => (*whole, [].as_slice()),
        [whole, b'.', fraction @ ..] if fraction.len() <= 3 => (*whole, fraction),
        _ => return None,
    };
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let has_fraction = fraction.iter().any(|digit| *digit != b'0');
    match whole {
        b'0' => Some(has_fraction),
        b'1' if !has_fraction => Some(true),
        _ => None,
    }
}

/// Splits at a separator outside of quoted strings.
fn split(bytes: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let (mut quoted, mut escaped) = (false, false);
    bytes.split(move |byte| {
        if escaped {
            escaped = false;
            return false;
        }
        match byte {
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ => {}
        }
        *byte == separator && !quoted
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn explicit(lines: &[&str]) -> bool {
        accepts(lines.iter().map(|line| line.as_bytes()), Demand::Named)
    }

    fn negotiated(lines: &[&str]) -> bool {
        accepts(lines.iter().map(|line| line.as_bytes()), Demand::Negotiated)
    }

    #[test]
    fn a01_a04_event_streams_named_with_any_weight_above_zero() {
        for lines in [
            &["text/event-stream"] as &[&str],
            &["text/event-stream;q=0.5, text/html"],
            &["Text/Event-Stream"],
            &["text/event-stream; charset=utf-8"],
            &["application/json", "text/event-stream"],
            &["application/json, text/event-stream"],
            &["text/event-stream;q=0.001"],
            &["text/html;x=\"a,b\", text/event-stream ; Q=1.000"],
            &["text/event-stream;q=0, text/event-stream;level=1"],
        ] {
            assert!(explicit(lines), "{lines:?}");
            assert!(negotiated(lines), "{lines:?}");
        }
    }

    #[test]
    fn a01b_ranges_will_do_only_when_negotiated() {
        for lines in [
            &[] as &[&str],
            &["*/*"],
            &["text/*"],
            &[""],
            &["text/html, */*;q=0.1"],
        ] {
            assert!(!explicit(lines), "{lines:?}");
            assert!(negotiated(lines), "{lines:?}");
        }
    }

    #[test]
    fn a02_other_types_and_refused_weights() {
        for lines in [
            &["application/json"] as &[&str],
            &["text/html"],
            &["text/event-stream;q=0"],
            &["text/event-stream;q=0.000, */*"],
            &["text/*;q=0, */*"],
            &["text/html;x=\"text/event-stream, text/event-stream\""],
            &["text/event-stream-x", "xtext/event-stream"],
        ] {
            assert!(!explicit(lines), "{lines:?}");
            assert!(!negotiated(lines), "{lines:?}");
        }
    }

    #[test]
    fn w04_a_post_takes_what_clients_of_apis_send() {
        let answer = |lines: &[&str]| {
            let lines = lines.iter().map(|line| line.as_bytes());
            accepts(lines, Demand::of(&Method::POST, AcceptMode::Explicit))
        };
        for lines in [
            &[] as &[&str],
            &[""],
            &["*/*"],
            &["application/json"],
            &["Application/JSON;q=0.5, text/html"],
            &["application/json, text/plain, */*"],
            &["application/*"],
            &["text/*"],
            &["text/event-stream"],
            &["application/json, text/event-stream"],
        ] {
            assert!(answer(lines), "{lines:?}");
        }
        for lines in [
            &["text/html"] as &[&str],
            &["application/json;q=0"],
            &["application/json, text/event-stream;q=0"],
            &["*/*;q=0"],
            &["image/png"],
        ] {
            assert!(!answer(lines), "{lines:?}");
        }
        let get = |mode| Demand::of(&Method::GET, mode);
        assert_eq!(get(AcceptMode::Explicit), Demand::Named);
        assert_eq!(get(AcceptMode::Negotiate), Demand::Negotiated);
    }

    #[test]
    fn a05_nonsense_is_not_acceptance() {
        for line in [
            ";;;",
            "text/event-stream;q=abc",
            "text/event-stream;q=",
            "text/event-stream;q=2",
            "text/event-stream;q=1.5",
            "text/event-stream;q=0.1234",
            "text/event-stream;q=-1",
            "\"",
            "\"text/event-stream",
        ] {
            assert!(!explicit(&[line]), "{line}");
        }
        let long = format!("{} text/event-stream", "a/b,".repeat(15_000));
        assert!(!explicit(&[&long]) && !negotiated(&[&long]));
    }

    proptest! {
        #[test]
        fn a05_any_bytes_are_survived(lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..64), 0..4)) {
            let explicit = accepts(lines.iter().map(Vec::as_slice), Demand::Named);
            let negotiated = accepts(lines.iter().map(Vec::as_slice), Demand::Negotiated);
            prop_assert!(negotiated || !explicit, "explicit is the stricter of the two");
        }

        #[test]
        fn the_type_is_found_among_others(before in "([a-z]{1,5}/[a-z]{1,5},){0,5}", after in "(,[a-z]{1,5}/[a-z]{1,5}){0,5}") {
            let line = format!("{before} text/event-stream{after}");
            prop_assert!(explicit(&[&line]));
        }
    }
}
