use serde::{Deserialize, Serialize};

/// Whether a refusal says what to do.
///
/// A hint is one fixed sentence for each
/// [`RefusalReason`](crate::observe::RefusalReason::hint), the same for every request. It names
/// headers, and keys of this configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Hints {
    /// In the field `hint` of the JSON body.
    #[default]
    Send,
    /// Not in the reply; observers, and with them the log, have it all the same.
    Omit,
}
