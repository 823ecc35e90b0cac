//! Preflights that the hop answers otherwise than the application.

use super::{Difference, Kind, sighting::Sighting};
use crate::{
    advice,
    exchange::Recording,
    finding::Level,
    origin::Origin,
    preflight::{PreflightBlock, preflight_check},
    survey::UNSAFE_HEADERS,
    verdict::Credentials,
};

pub(super) fn compare(app: &Sighting, edge: &Sighting) -> Option<Difference> {
    let origin = app.origin.as_ref()?;
    let at_app = app.preflight.as_ref()?.as_ref().ok()?;
    judge(at_app, origin).ok()?;
    let (seen, cause) = match edge.preflight.as_ref()? {
        Err(why) => (
            format!("no answer: {why}"),
            "the proxy does not let OPTIONS through",
        ),
        Ok(at_edge) => {
            let block = judge(at_edge, origin).err()?;
            (
                format!("status {}: {block}", at_edge.head.status),
                "the proxy answers OPTIONS itself, asks for authentication first, or changes CORS headers",
            )
        }
    };
    Some(Difference::new(
        Kind::Preflight,
        Level::Fault,
        format!("the preflight passes at the application and fails in public ({seen})"),
        cause,
        "fetch clients that send Authorization cannot open the stream; EventSource is not concerned",
        advice::PREFLIGHT,
    ))
}

fn judge(recording: &Recording, origin: &Origin) -> Result<(), PreflightBlock> {
    preflight_check(
        recording.head.status,
        &recording.head.headers,
        origin,
        Credentials::Omit,
        "GET",
        &UNSAFE_HEADERS,
    )
}
