//! Group E with npm's and Python's parsers; Rust's reads the same in the contract tests.

use std::{fs, time::Duration};

use actix_web_sse::Event;
use actix_web_sse_tests::{Hostile, Parsed, Process, body_of, first_retry, pieces};
use base64::{Engine, prelude::BASE64_STANDARD};
use fastrand::Rng;
use serde_json::json;

use super::program::program;

/// For 10^5 events on a busy machine.
const PATIENCE: Duration = Duration::from_secs(300);

/// What a parser makes of these bodies, each cut into its pieces.
fn parse(script: &str, streams: &[(&[u8], Vec<usize>)]) -> Vec<Vec<Parsed>> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let [input, output] = ["streams", "events"].map(|name| folder.path().join(name));
    let lines = streams.iter().map(|(body, pieces)| {
        let body = BASE64_STANDARD.encode(body);
        json!({"body": body, "pieces": pieces}).to_string()
    });
    fs::write(&input, lines.collect::<Vec<_>>().join("\n")).expect("the streams");
    let process = Process::spawn(program(script).arg(&input).arg(&output));
    let outcome = process.finish(PATIENCE);
    assert_eq!(outcome.code, Some(0), "{:?}", outcome.stderr);
    let events = fs::read_to_string(output).expect("the events");
    // Not `lines()`, which takes a CR before the LF away.
    let events = events.trim_end().split('\n');
    events
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

/// A thousand random events per stream, each stream cut in three ways.
fn e19_what_goes_in_comes_out(script: &str) {
    let seed =
        std::env::var("SEED").map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
    let mut rng = Rng::with_seed(seed);
    let mut bodies = Vec::new();
    for _ in 0..100 {
        let events: Vec<_> = (0..1000).map(|_| Hostile::random(&mut rng)).collect();
        let body = body_of(events.iter().map(Hostile::to_event));
        let expected = Hostile::parsed(&events, first_retry(&body).0);
        bodies.push((body, expected));
    }
    let (mut streams, mut expected) = (Vec::new(), Vec::new());
    for (stream, (body, events)) in bodies.iter().enumerate() {
        // Single bytes take Python long: only a few streams.
        let finest: &[usize] = if stream < 5 { &[1] } else { &[64, 1024] };
        for at_most in [&[usize::MAX], &[1, 2, 7, 64, 4096][..], finest] {
            let cuts = match at_most {
                [usize::MAX] => vec![body.len()],
                _ => pieces(body.len(), at_most, &mut rng),
            };
            streams.push((body.as_slice(), cuts));
            expected.push(events);
        }
    }
    let parsed = parse(script, &streams);
    assert_eq!(parsed.len(), expected.len());
    for (stream, (parsed, expected)) in parsed.iter().zip(expected).enumerate() {
        let wrong = expected
            .iter()
            .zip(parsed)
            .find(|(expected, parsed)| expected != parsed);
        assert_eq!(wrong, None, "SEED={seed}, stream {stream}");
        assert_eq!(parsed.len(), expected.len(), "SEED={seed}, stream {stream}");
    }
}

/// The rows that name their input, each in one piece and in single bytes.
fn the_examples_of_the_contract(script: &str) {
    let json = serde_json::json!({"a": "\u{2028}\r\n", "b": [1.5, null]});
    let pretty = serde_json::to_string_pretty(&json).unwrap();
    let data = [
        ("e02", "a\rdata: pwn\r\rb"),
        ("e03", ""),
        ("e03", "\n"),
        ("e03", "a\n"),
        ("e03", "\n\n"),
        ("e04", " x"),
        ("e04", ":x"),
        ("e04", "data: x"),
        ("e04", "id: 9"),
        ("e08", "\u{feff}x"),
        ("e15", "😀\r\n👩‍👩‍👧\n日本"),
        ("e20", &pretty),
    ];
    let mut cases = Vec::new();
    for (row, data) in data {
        let text = data.replace("\r\n", "\n").replace('\r', "\n");
        cases.push((row, Event::data(data.to_owned()), vec![("message", text)]));
    }
    for name in ["", "message"] {
        let event = Event::data("x").name(name).unwrap();
        cases.push(("e12", event, vec![("message", "x".to_owned())]));
    }
    for comment in ["c\n\ndata: x", "c\rdata: x"] {
        cases.push(("e06", Event::comment(comment), vec![]));
    }
    let bodies: Vec<_> = cases
        .iter()
        .map(|(_, event, _)| body_of([event.clone()]))
        .collect();
    let whole = bodies
        .iter()
        .map(|body| (body.as_slice(), vec![body.len()]));
    let single = bodies
        .iter()
        .map(|body| (body.as_slice(), vec![1; body.len()]));
    let parsed = parse(script, &whole.chain(single).collect::<Vec<_>>());
    for (parsed, (row, _, expected)) in parsed.iter().zip(cases.iter().cycle()) {
        let parsed = parsed
            .iter()
            .map(|event| (event.event.as_str(), event.data.clone()));
        assert_eq!(&parsed.collect::<Vec<_>>(), expected, "{row}");
    }
    assert_eq!(parsed.len(), 2 * cases.len());
    let back = &parsed[cases.iter().position(|(row, ..)| *row == "e20").unwrap()][0].data;
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(back).unwrap(),
        json
    );
}

#[test]
fn e19_what_goes_in_comes_out_of_eventsource_parser() {
    e19_what_goes_in_comes_out("parse.mjs");
}

#[test]
fn e19_what_goes_in_comes_out_of_httpx_sse() {
    e19_what_goes_in_comes_out("parse.py");
}

#[test]
fn e02_to_e20_the_examples_come_out_of_eventsource_parser() {
    the_examples_of_the_contract("parse.mjs");
}

#[test]
fn e02_to_e20_the_examples_come_out_of_httpx_sse() {
    the_examples_of_the_contract("parse.py");
}
