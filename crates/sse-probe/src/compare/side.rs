//! What is seen on one side.

use std::time::Duration;

use crate::{
    browser::Origin,
    http::Recording,
    observe::{Attempt, AttemptError, Page, USUAL_HEADERS, foreign},
    target::Target,
};

/// How long a second request is read: a stored reply is over at once.
const AGAIN: Duration = Duration::from_secs(1);

/// What is seen on one side.
#[derive(Debug)]
pub(super) struct Side {
    /// The origin that asked.
    pub(super) origin: Option<Origin>,
    /// The stream, as a browser asks for it.
    pub(super) main: Recording,
    /// Without compression, if `main` is compressed.
    pub(super) plain: Option<Attempt>,
    /// As a page of another origin whose `Origin` was lost on the way.
    pub(super) originless: Option<Attempt>,
    /// By a foreign origin.
    pub(super) foreign: Option<Attempt>,
    /// The preflight of a fetch client.
    pub(super) preflight: Option<Attempt>,
    /// The stream, asked for once more when the first was over.
    pub(super) again: Attempt,
}

impl Side {
    pub(super) async fn make(target: &Target, time: Duration) -> Result<Self, AttemptError> {
        let page = Page::of(target);
        let origin = target.origin.clone();
        let (main, route) = page.open().await?;
        let meanwhile = async {
            let Some(origin) = &origin else {
                return (None, None, None);
            };
            let by_foreign = page.clone().from(&foreign()).glance().await;
            let names = USUAL_HEADERS.map(str::to_owned);
            let preflight = page.preflight(origin, &names).await;
            let originless = page.clone().without_origin().glance().await;
            (Some(by_foreign), Some(preflight), Some(originless))
        };
        let (main, (foreign, preflight, originless)) =
            tokio::join!(main.record(route, time), meanwhile);
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
            foreign,
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
