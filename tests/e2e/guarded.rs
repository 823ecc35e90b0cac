//! A demo that asks who is there, and pages to sign in from.

use actix_web_sse_tests::{Answer, Settings, Site, Visit};

/// The reference set-up for pages of these origins, without limits; the cookie has a name that
/// browsers take over plain HTTP.
pub(crate) fn settings(origins: &[&str]) -> Settings {
    Settings::reference()
        .without_limits()
        .allow(origins)
        .set("auth.cookie", "sid")
        .set("stream.retry", "300ms")
        .set(
            "policy.hosts",
            vec!["127.0.0.1", "localhost", "api.site.localhost"],
        )
}

/// Pages that serve the package of `clients` as one module, and take `/login?sid=…; attributes`
/// to set a cookie for their host, to whatever page asks.
pub(crate) fn pages() -> Site {
    Site::serve(|visit| {
        if let Some(cookie) = visit.target.strip_prefix("/login?") {
            return login(visit, cookie);
        }
        let module = |text| Answer::page(text).with("Content-Type", "text/javascript");
        match visit.target.as_str() {
            "/sse-client.js" => module(include_str!("../../clients/bundle/sse-client.js")),
            _ => Answer::empty_page(),
        }
    })
}

/// A cookie, readable from whatever page asked for it: the site stands in for an application's
/// sign-in, and what is tested is what browsers do with the cookie.
fn login(visit: &Visit, cookie: &str) -> Answer {
    let cookie = cookie.replace("%20", " ").replace("%3B", ";");
    let answer = Answer::empty_page().header("Set-Cookie", &format!("{cookie}; Path=/; HttpOnly"));
    match visit.headers.get("origin") {
        Some(origin) => answer
            .header("Access-Control-Allow-Origin", origin)
            .header("Access-Control-Allow-Credentials", "true"),
        None => answer,
    }
}
