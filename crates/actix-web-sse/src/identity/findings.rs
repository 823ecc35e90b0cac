//! What the guards found out about a client, as observers see it.

use std::net::IpAddr;

use super::Identity;
use crate::observe::{CorsVerdict, OriginClass, Visitor};

/// What is known of a client besides its request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Findings<'a> {
    pub(crate) origin: &'a OriginClass,
    pub(crate) cors: CorsVerdict,
    pub(crate) address: Option<IpAddr>,
    pub(crate) identity: &'a Identity,
}

impl<'a> Findings<'a> {
    /// Adds this to what is known of a request.
    pub(crate) fn visitor(self, request: &Visitor<'a>) -> Visitor<'a> {
        Visitor {
            origin: self.origin,
            cors: self.cors,
            address: self.address,
            auth: self.identity.method,
            user: self.identity.user.as_deref(),
            token_ttl: self.identity.ttl(),
            ..*request
        }
    }
}
