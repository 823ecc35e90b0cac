//! What the user says, before it is believed: one file per section, and one error for all faults.
//!
//! Every builder of this crate fills one of these forms, and every form is `serde`, so that a
//! configuration can come from code, TOML, JSON or the environment. Unknown keys are refused.

mod accept;
mod auth;
mod error;
mod hints;
mod hub;
mod jwks;
mod limits;
mod overload;
mod policy;
mod presence;
mod secret;
mod stream;
mod topic;

pub use accept::AcceptMode;
pub use auth::{AuthConfig, CacheConfig, TicketConfig, TicketMode};
pub(crate) use error::Faults;
pub use error::{ConfigError, Fault};
pub use hints::Hints;
pub(crate) use hub::MAX_TOPIC_BYTES;
pub use hub::{HubConfig, SlowConsumer};
pub use jwks::{JwksConfig, JwtAlgorithm};
pub use limits::{ForwardedHeader, LimitOverride, LimitsConfig, RatePerIp};
pub use overload::Overload;
pub use policy::{CandidateConfig, Enforcement, HstsConfig, Methods, OriginsConfig, PolicyConfig};
pub use presence::{PresenceConfig, PresenceMode};
pub use secret::Secret;
pub use stream::StreamConfig;
pub use topic::{TopicAccess, TopicConfig};
