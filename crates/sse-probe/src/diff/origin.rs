//! Whether the application gets to see the origin.

use super::{Difference, Kind, sighting::Sighting};
use crate::{
    advice,
    finding::Level,
    survey::Attempt,
    verdict::{Credentials, cors_check},
};

/// Compares how the application answers with and without an origin to how it answers through the hop.
pub(super) fn not_forwarded(app: &Sighting, edge: &Sighting) -> Option<Difference> {
    let origin = app.origin.as_ref()?;
    let allowed =
        |side: &Sighting| cors_check(&side.main.head.headers, origin, Credentials::Omit).is_ok();
    if !allowed(app) || edge.main.head.headers.has("access-control-allow-origin") {
        return None;
    }
    let seen = |attempt: &Option<Attempt>| attempt.as_ref()?.as_ref().ok().map(|r| r.head.status);
    let without = seen(&app.originless);
    let public = edge.main.head.status;
    let (strangers_at_app, strangers_in_public) = (seen(&app.stranger), seen(&edge.stranger));
    // The application answers a request that has lost its origin otherwise than one that has it: that is the sign.
    let refused = public != app.main.head.status && Some(public) == without;
    // If it opens for both, strangers tell: it refuses them, unless it does not see who they are.
    let strangers_pass = strangers_in_public == Some(200) && strangers_at_app != Some(200);
    // If it opens for strangers as well, only the other CORS headers tell.
    let open_to_all = strangers_at_app == Some(200)
        && !edge
            .main
            .head
            .headers
            .names()
            .iter()
            .any(|n| n.starts_with("access-control-"));
    let told =
        refused || (public == 200 && without == Some(200) && (strangers_pass || open_to_all));
    told.then(|| {
        Difference::new(
            Kind::OriginNotForwarded,
            Level::Fault,
            if refused {
                "the public URL answers as the application does to a request without `Origin`"
            } else if strangers_pass {
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
