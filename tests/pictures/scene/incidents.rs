//! What goes wrong, and when.

use actix_web_sse_tests::{Claims, Demo, Request};

use crate::{
    front::Front,
    house::{House, ask},
    publisher::say,
};

const APP: &str = "https://app.example.com";

/// Plays to the end. Between the incidents there is what always happens.
pub(crate) fn happen(house: &House, front: &Front, demos: &mut [Demo; 2]) {
    let mut stripping = false;
    let mut restarted = false;
    let mut flood = Vec::new();
    let mut stuck = Vec::new();
    let mut beat = 0_u32;
    while house.progress() < 1.0 {
        beat += 1;
        background(house, beat);
        if house.is_between(0.12, 0.18) {
            forge(house);
        }
        if house.is_between(0.22, 0.27) {
            scan(house, beat);
        }
        // To the end: the pictures have the fault in them.
        let strip = house.is_between(0.62, 1.1);
        if strip != stripping {
            front.strip(strip);
            stripping = strip;
        }
        if house.is_between(0.34, 0.42) {
            stuck.extend(stop_reading(house));
            let token = house.publisher();
            (0..6).for_each(|_| say(house, &token, "slow", &"x".repeat(60_000)));
        } else {
            stuck.clear();
        }
        if house.is_between(0.46, 1.0) && !restarted {
            demos[1].terminate();
            house.rest(3.0);
            demos[1].restart();
            restarted = true;
        }
        if house.is_between(0.52, 0.60) {
            flood.extend(crowd(house));
        } else {
            flood.clear();
        }
        house.rest(1.0);
    }
}

fn background(house: &House, beat: u32) {
    let valid = house.token("regular", 600);
    let events = "/events?topic=prices";
    let mut requests = vec![
        Request::event_source("/events", "https://evil.example").bearer(&valid),
        Request::preflight(events, APP, "GET", "authorization,last-event-id"),
    ];
    match beat % 6 {
        0 => requests.push(Request::event_source(events, APP)),
        1 => requests.push(Request::new("GET", events).header("Accept", "application/json")),
        2 => requests.push(Request::event_source(events, "https://staging.example.com")),
        3 => requests.push(Request::preflight(events, APP, "DELETE", "authorization")),
        4 => requests.push(Request::stream(events).header("Host", "evil.example")),
        _ => requests.push(
            Request::stream(events)
                .bearer(&valid)
                .header("Last-Event-ID", "of-another-life"),
        ),
    }
    if beat.is_multiple_of(20) {
        let bye = Request::new("DELETE", "/session").bearer(&house.token("user-7", 600));
        requests.push(bye);
    }
    for request in &requests {
        let request = request.clone().header("X-Forwarded-For", "198.51.100.250");
        drop(ask(&request, house.apps[beat as usize % 2]));
    }
}

/// Tokens that nobody here has signed.
fn forge(house: &House) {
    let token = Claims::of("admin").sign("a guess that is at least 32 bytes long");
    for number in 0..6 {
        let request = Request::stream("/events")
            .bearer(&token)
            .header("X-Forwarded-For", format!("192.0.2.{number}"));
        drop(ask(&request, house.apps[0]));
    }
}

/// Origins that nobody has seen before.
fn scan(house: &House, beat: u32) {
    for number in 0..10 {
        // Some that a browser could send, most that none would, and so get no label.
        let trick = if number == 0 && beat.is_multiple_of(24) {
            "."
        } else {
            "%60."
        };
        let origin = format!("https://app.example.com{trick}{beat}-{number}.example");
        let request =
            Request::event_source("/events", &origin).header("X-Forwarded-For", "192.0.2.99");
        drop(ask(&request, house.apps[number % 2]));
    }
}

/// Clients that open a stream and take nothing from it.
fn stop_reading(house: &House) -> Vec<actix_web_sse_tests::Connection> {
    let token = house.token("stuck", 600);
    let request = Request::stream("/events?topic=slow")
        .bearer(&token)
        .header("X-Forwarded-For", "198.51.100.240");
    let open = |app| {
        let mut connection = actix_web_sse_tests::Connection::try_open(app)
            .ok()?
            .with_small_window();
        connection.send(&request.bytes(app)).ok()?;
        Some(connection)
    };
    house.apps.into_iter().filter_map(open).collect()
}

/// One address that wants ever more streams.
fn crowd(house: &House) -> Vec<actix_web_sse_tests::Connection> {
    let open = |number: u32| {
        let token = house.token(&format!("crowd-{number}"), 600);
        let request = Request::stream("/events?topic=news")
            .bearer(&token)
            .header("X-Forwarded-For", "203.0.113.66");
        let (head, connection) = ask(&request, house.apps[0]).ok()?;
        (head.status == 200).then_some(connection)
    };
    (0..4).filter_map(open).collect()
}
