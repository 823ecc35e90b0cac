//! Whether the application gets to see the origin.

use super::{Difference, Kind, sighting::Sighting};
use crate::{
    advice,
    finding::Level,
    verdict::{Credentials, cors_check},
};

/// The application answers the allowed origin with CORS headers and refuses a stranger; if through the hop it does
/// neither, it has not seen the origin.
pub(super) fn not_forwarded(app: &Sighting, edge: &Sighting) -> Option<Difference> {
    let origin = app.origin.as_ref()?;
    let allowed =
        |side: &Sighting| cors_check(&side.main.head.headers, origin, Credentials::Omit).is_ok();
    if !allowed(app) || edge.main.head.headers.has("access-control-allow-origin") {
        return None;
    }
    let status = |side: &Sighting| Some(side.stranger.as_ref()?.as_ref().ok()?.head.status);
    let refuses_strangers = status(app).is_some_and(|s| s != 200);
    let strangers_pass = status(edge) == Some(200);
    // An application that answers strangers as well shows it only by the other CORS headers, which are gone too.
    let all_gone = !edge
        .main
        .head
        .headers
        .names()
        .iter()
        .any(|n| n.starts_with("access-control-"));
    let told = edge.main.head.status == 200
        && if refuses_strangers {
            strangers_pass
        } else {
            all_gone
        };
    told.then(|| {
        Difference::new(
            Kind::OriginNotForwarded,
            Level::Fault,
            if strangers_pass && refuses_strangers {
                "through the proxy every origin opens the stream, and none gets CORS headers"
            } else {
                "through the proxy no CORS header comes back at all"
            },
            "the proxy does not forward the `Origin` header, so the application takes every page for one of its own",
            "allowed pages are blocked, and the application's check of origins is off",
            advice::FORWARD_ORIGIN,
        )
    })
}
