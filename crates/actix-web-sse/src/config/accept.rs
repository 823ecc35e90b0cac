use serde::{Deserialize, Serialize};

/// What the client must say to be given a stream.
///
/// It rules requests by `GET` and `HEAD`. A `POST` on a route that answers by `POST` may say
/// `application/json`, `*/*` or nothing: the clients of such APIs ask for a stream in the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum AcceptMode {
    /// It must name `text/event-stream`, as every `EventSource` does. A crawler, a link preview
    /// or a person who opens the URL gets 406, not an endless download.
    #[default]
    Explicit,
    /// As HTTP has it: `*/*`, `text/*` or no `Accept` at all will do.
    Negotiate,
}
