use serde::{Deserialize, Serialize};

/// What the client must say to be given a stream.
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
