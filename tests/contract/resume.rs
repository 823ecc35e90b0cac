//! Group R: coming back with `Last-Event-ID`.

use actix_web_sse_tests::{Demo, EventStream, Request, Settings};

use crate::DEMO;

const TOPIC: &str = "/events?topic=resume";

/// Publishes numbered events and hands out the IDs they got.
fn published(demo: &Demo, count: usize) -> Vec<String> {
    let mut stream = Request::stream(TOPIC).open(demo.app);
    stream.next_comment();
    let publish = |number: usize| {
        demo.publish("resume", &number.to_string());
        stream.next_event().id().expect("an id").to_owned()
    };
    (1..=count).map(publish).collect()
}

fn back_with(demo: &Demo, id: impl AsRef<[u8]>) -> EventStream {
    Request::stream(TOPIC)
        .header("Last-Event-ID", id)
        .open(demo.app)
}

/// The next events are these numbers, then a live one.
#[track_caller]
fn replays(demo: &Demo, mut stream: EventStream, numbers: impl IntoIterator<Item = usize>) {
    for number in numbers {
        assert_eq!(
            stream.next_event().data(),
            Some(number.to_string().as_str())
        );
    }
    live_next(demo, &mut stream);
}

#[track_caller]
fn live_next(demo: &Demo, stream: &mut EventStream) {
    demo.publish("resume", "live");
    let event = stream.next_event();
    assert_eq!((event.data(), event.event()), (Some("live"), None));
}

/// What was missed is unknown: the client is told so, and then only live events come.
#[track_caller]
fn resets(demo: &Demo, mut stream: EventStream) {
    assert_eq!(stream.next_event().event(), Some("reset"));
    live_next(demo, &mut stream);
}

#[test]
fn r01_events_after_the_last_id_come_once_and_in_order() {
    let demo = Demo::start(DEMO, &Settings::open());
    let ids = published(&demo, 40);
    replays(&demo, back_with(&demo, &ids[9]), 11..=40);
    let mut nothing_missed_but_one = back_with(&demo, &ids[39]);
    assert_eq!(nothing_missed_but_one.next_event().data(), Some("live"));
    live_next(&demo, &mut nothing_missed_but_one);
}

#[test]
fn r02_an_id_older_than_the_log_is_answered_by_a_reset() {
    let demo = Demo::start(DEMO, &Settings::open());
    let ids = published(&demo, 110);
    resets(&demo, back_with(&demo, &ids[0]));
}

#[test]
fn r03_an_empty_id_is_none() {
    let demo = Demo::start(DEMO, &Settings::open());
    published(&demo, 3);
    replays(&demo, back_with(&demo, ""), []);
}

#[test]
fn r04_and_r06_unknown_ids_are_answered_by_a_reset() {
    let demo = Demo::start(DEMO, &Settings::open());
    published(&demo, 3);
    let unknown: [&[u8]; 9] = [
        b"18446744073709551616",
        b"-1",
        b"+5",
        b"05",
        b"0x5",
        b"5.0",
        b"caf\xc3\xa9",
        b"\xff\xfe",
        b"<script>",
    ];
    for id in unknown {
        resets(&demo, back_with(&demo, id));
    }
}

#[test]
fn r08_an_id_of_another_topic_reveals_nothing_of_it() {
    let demo = Demo::start(DEMO, &Settings::open());
    let ids = published(&demo, 3);
    let mut stream = Request::stream("/events?topic=other")
        .header("Last-Event-ID", &ids[0])
        .open(demo.app);
    let reset = stream.next_event();
    assert_eq!(reset.event(), Some("reset"));
    let told = String::from_utf8_lossy(stream.wire()).into_owned();
    for id in &ids {
        assert!(!told.contains(id.as_str()), "{told}");
    }
    demo.publish("other", "own");
    assert_eq!(stream.next_event().data(), Some("own"));
}

#[test]
fn r12_the_header_wins_over_the_query() {
    let demo = Demo::start(DEMO, &Settings::open());
    let ids = published(&demo, 4);
    let by_query = Request::stream(&format!("{TOPIC}&lastEventId={}", ids[2])).open(demo.app);
    replays(&demo, by_query, [4]);
    let mut both = Request::stream(&format!("{TOPIC}&lastEventId={}", ids[0]))
        .header("Last-Event-ID", &ids[3])
        .open(demo.app);
    // After the fourth came the live event of above.
    assert_eq!(both.next_event().data(), Some("live"));
}

#[test]
fn an_id_from_before_a_restart_is_answered_by_a_reset() {
    let mut demo = Demo::start(DEMO, &Settings::open());
    let ids = published(&demo, 3);
    demo.kill();
    demo.restart();
    published(&demo, 5);
    resets(&demo, back_with(&demo, &ids[2]));
}

#[test]
fn resumes_are_counted_by_their_result() {
    let demo = Demo::start(DEMO, &Settings::open());
    let ids = published(&demo, 2);
    replays(&demo, back_with(&demo, &ids[0]), [2]);
    resets(&demo, back_with(&demo, "nobody"));
    demo.wait_for_metric("sse_resumes_total", &[("result", "hit")], 1.0);
    demo.wait_for_metric("sse_resumes_total", &[("result", "unknown")], 1.0);
    demo.wait_for_metric("sse_events_sent_total", &[("kind", "replay")], 1.0);
}
