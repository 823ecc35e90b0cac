//! Group E, where a parser is needed: what goes in comes out, in `eventsource-stream`. The same
//! rows with npm's and Python's parsers stand in the end-to-end tests.

use std::convert::Infallible;

use actix_web_sse::{Event, EventError};
use actix_web_sse_tests::{Hostile, Parsed, body_of, chunkings, first_retry, pieces};
use bytes::Bytes;
use eventsource_stream::Eventsource;
use fastrand::Rng;
use futures_util::{StreamExt, stream};

use crate::encoding_grammar;

/// What `eventsource-stream` makes of these bytes, cut into these pieces.
fn parse(mut body: &[u8], pieces: &[usize]) -> Vec<Parsed> {
    let pieces = pieces.iter().map(|&length| {
        let (piece, rest) = body.split_at(length);
        body = rest;
        Ok::<_, Infallible>(Bytes::copy_from_slice(piece))
    });
    let pieces: Vec<_> = pieces.collect();
    assert!(body.is_empty(), "the pieces are the whole");
    let events = stream::iter(pieces).eventsource().map(|event| {
        let event = event.expect("a stream of UTF-8");
        Parsed {
            id: event.id,
            event: event.event,
            data: event.data,
            retry: event.retry.map(|retry| retry.as_millis() as u64),
        }
    });
    futures_util::FutureExt::now_or_never(events.collect()).expect("all of it is there")
}

/// The data of the only event, after each chunking.
fn only_event(event: Event) -> Parsed {
    let body = body_of([event]);
    let mut all = chunkings(body.len(), &mut Rng::new()).map(|pieces| parse(&body, &pieces));
    assert!(all.iter().all(|events| events == &all[0]), "{all:?}");
    assert_eq!(all[0].len(), 1, "one event: {all:?}");
    all[0].remove(0)
}

#[test]
fn e02_a_lone_cr_does_not_make_a_field() {
    let parsed = only_event(Event::data("a\rdata: pwn\r\rb"));
    assert_eq!(parsed.data, "a\ndata: pwn\n\nb");
}

#[test]
fn e03_empty_lines_come_back() {
    for data in ["", "\n", "a\n", "\n\n"] {
        assert_eq!(only_event(Event::data(data)).data, data);
    }
}

#[test]
fn e04_leading_spaces_and_field_names_come_back() {
    for data in [" x", ":x", "data: x", "id: 9"] {
        let parsed = only_event(Event::data(data));
        assert_eq!((parsed.data.as_str(), parsed.id.as_str()), (data, ""));
    }
}

#[test]
fn e06_a_comment_is_no_event() {
    for text in ["c\n\ndata: x", "c\rdata: x", "c\r\n\r\ndata: x\r\r"] {
        let body = body_of([Event::comment(text)]);
        assert!(
            body.split(|&byte| byte == b'\n')
                .all(|line| !line.starts_with(b"data"))
        );
        for pieces in chunkings(body.len(), &mut Rng::new()) {
            assert_eq!(parse(&body, &pieces), [], "{text:?}");
        }
    }
}

#[test]
fn e08_a_byte_order_mark_in_the_first_event_is_data() {
    let body = body_of([Event::data("\u{feff}x")]);
    assert!(!body.starts_with("\u{feff}".as_bytes()));
    let (_, events) = first_retry(&body);
    assert!(events.starts_with(b"data:"));
    assert_eq!(only_event(Event::data("\u{feff}x")).data, "\u{feff}x");
}

#[test]
fn e12_no_name_the_empty_name_and_message_are_the_same() -> Result<(), EventError> {
    let plain = only_event(Event::data("x"));
    assert_eq!(plain.event, "message");
    for name in ["", "message"] {
        let named = only_event(Event::data("x").name(name)?);
        assert_eq!(
            (named.event, named.data),
            (plain.event.clone(), plain.data.clone())
        );
    }
    Ok(())
}

#[test]
fn e15_a_character_of_four_bytes_may_be_cut_anywhere() {
    let parsed = only_event(Event::data("😀\r\n👩‍👩‍👧\r\u{10ffff}\n日本"));
    assert_eq!(parsed.data, "😀\n👩‍👩‍👧\n\u{10ffff}\n日本");
}

#[test]
fn e20_json_with_line_ends_comes_back() {
    let value = serde_json::json!({"a": "\u{2028}\u{2029}\r\n", "b": [1.5, null, "\u{feff}"]});
    let compact = only_event(Event::json(&value).unwrap());
    let pretty = only_event(Event::data(serde_json::to_string_pretty(&value).unwrap()));
    assert!(pretty.data.contains('\n'), "it is written on several lines");
    for parsed in [compact, pretty] {
        let back: serde_json::Value = serde_json::from_str(&parsed.data).unwrap();
        assert_eq!(back, value);
    }
}

/// 10^5 events, in streams of a thousand. `SEED` repeats a run.
#[test]
fn e19_what_goes_in_comes_out_however_it_is_cut() {
    let seed =
        std::env::var("SEED").map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
    let mut rng = Rng::with_seed(seed);
    for stream in 0..100 {
        let events: Vec<_> = (0..1000).map(|_| Hostile::random(&mut rng)).collect();
        let body = body_of(events.iter().map(Hostile::to_event));
        let expected = Hostile::parsed(&events, first_retry(&body).0);
        let blocks = encoding_grammar::check(&body)
            .unwrap_or_else(|fault| panic!("SEED={seed}, stream {stream}: {fault}"));
        assert_eq!(blocks, expected.len(), "SEED={seed}, stream {stream}");
        // Single bytes cost this parser a look at the whole line each: only a few streams.
        let finest: &[usize] = if stream < 3 { &[1] } else { &[64, 1024] };
        let cuts = [
            vec![body.len()],
            pieces(body.len(), &[1, 2, 7, 64, 4096], &mut rng),
            pieces(body.len(), finest, &mut rng),
        ];
        for pieces in cuts {
            let parsed = parse(&body, &pieces);
            let wrong = expected
                .iter()
                .zip(&parsed)
                .find(|(expected, parsed)| expected != parsed);
            assert_eq!(
                wrong,
                None,
                "SEED={seed}, stream {stream}, {} pieces",
                pieces.len()
            );
            assert_eq!(parsed.len(), expected.len(), "SEED={seed}, stream {stream}");
        }
    }
}
