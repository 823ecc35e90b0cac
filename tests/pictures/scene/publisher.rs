//! What there is to read.

use actix_web_sse_tests::Request;

use crate::house::{House, ask};

/// Prices by the second, more of them when it is busy, and news now and then.
pub(crate) fn publish(house: &House) {
    let token = house.publisher();
    let mut number = 0_u32;
    while !house.is_closed() {
        number += 1;
        let price = 100.0 + (f64::from(number) / 25.0).sin() * 3.0;
        let quote = format!("{{\"symbol\": \"SSE\", \"price\": {price:.2}, \"number\": {number}}}");
        say(house, &token, "prices", &quote);
        if number.is_multiple_of(10) {
            say(
                house,
                &token,
                "news",
                &"Something has happened. ".repeat(12),
            );
        }
        house.rest(0.12 / house.bustle());
    }
}

/// To either demo, and so to the readers of both.
pub(crate) fn say(house: &House, token: &str, topic: &str, text: &str) {
    let request = Request::new("POST", &format!("/publish?topic={topic}"))
        .bearer(token)
        .body("text/plain", text);
    // The one that restarts takes nothing meanwhile.
    let app = house.apps[usize::from(fastrand::bool())];
    drop(ask(&request, app));
}
