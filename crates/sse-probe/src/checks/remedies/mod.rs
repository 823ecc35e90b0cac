//! What to change, in the application and in the usual proxies.

mod cors;
mod delivery;

use serde::Serialize;

pub(crate) use self::{cors::*, delivery::*};
use super::software::Software;

/// A change that fixes something, in one piece of software.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Remedy {
    /// Where.
    pub software: Software,
    /// What.
    pub change: &'static str,
}

const fn actix(change: &'static str) -> Remedy {
    Remedy {
        software: Software::Actix,
        change,
    }
}

const fn nginx(change: &'static str) -> Remedy {
    Remedy {
        software: Software::Nginx,
        change,
    }
}

const fn haproxy(change: &'static str) -> Remedy {
    Remedy {
        software: Software::HaProxy,
        change,
    }
}

const fn caddy(change: &'static str) -> Remedy {
    Remedy {
        software: Software::Caddy,
        change,
    }
}

const fn apache(change: &'static str) -> Remedy {
    Remedy {
        software: Software::Apache,
        change,
    }
}

const fn varnish(change: &'static str) -> Remedy {
    Remedy {
        software: Software::Varnish,
        change,
    }
}

const fn cdn(change: &'static str) -> Remedy {
    Remedy {
        software: Software::Cdn,
        change,
    }
}

const fn page(change: &'static str) -> Remedy {
    Remedy {
        software: Software::Page,
        change,
    }
}
