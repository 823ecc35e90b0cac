//! What is seen on one side.

use std::time::Duration;

use crate::{
    exchange::Recording,
    origin::Origin,
    survey::{Attempt, AttemptError, Page, UNSAFE_HEADERS, foreign},
    target::Target,
};

/// How long a second request is read: a stored reply is over at once.
const AGAIN: Duration = Duration::from_secs(1);

/// What is seen on one side.
#[derive(Debug)]
pub(super) struct Sighting {
    /// The origin that asked.
    pub(super) origin: Option<Origin>,
    /// The stream, as a browser asks for it.
    pub(super) main: Recording,
    /// Without compression, if `main` is compressed.
    pub(super) plain: Option<Attempt>,
    /// As a page of another origin whose `Origin` was lost on the way.
    pub(super) originless: Option<Attempt>,
    /// By a stranger.
    pub(super) stranger: Option<Attempt>,
    /// The preflight of a fetch client.
    pub(super) preflight: Option<Attempt>,
    /// The stream, asked for once more when the first was over.
    pub(super) again: Attempt,
}

impl Sighting {
    pub(super) async fn make(target: &Target, time: Duration) -> Result<Self, AttemptError> {
        let page = Page::of(target);
        let origin = target.origin.clone();
        let main = page.open().await?;
        let meanwhile = async {
            let Some(origin) = &origin else {
                return (None, None, None);
            };
            let stranger = page.clone().from(&foreign()).glance().await;
            let preflight = page.preflight(origin, &UNSAFE_HEADERS).await;
            let originless = page.clone().without_origin().glance().await;
            (Some(stranger), Some(preflight), Some(originless))
        };
        let (main, (stranger, preflight, originless)) = tokio::join!(main.record(time), meanwhile);
        let plain = if main.is_compressed() {
            Some(page.clone().uncompressed().record(time).await)
        } else {
            None
        };
        let again = page.record(AGAIN).await;
        Ok(Self {
            origin,
            main,
            plain,
            originless,
            stranger,
            preflight,
            again,
        })
    }

    /// The stream as text.
    pub(super) fn readable(&self) -> &Recording {
        match &self.plain {
            Some(Ok(recording)) => recording,
            _ => &self.main,
        }
    }
}
