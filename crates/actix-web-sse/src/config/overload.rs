use serde::{Deserialize, Serialize};

/// How a want of capacity is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Overload {
    /// By who is asking: softly to a native `EventSource`, hard to everybody else.
    #[default]
    Auto,
    /// Always 429 or 503.
    Hard,
    /// Always an event stream that holds only `retry:`.
    Soft,
}
