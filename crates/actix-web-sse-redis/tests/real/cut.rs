//! A node that is cut off from Redis while others are not: it has a name of its own there.

use actix_web_sse_redis::RedisConfig;

use crate::{node::config, server::Server};

/// Settings of such a node.
pub(crate) fn cuttable(server: &Server) -> RedisConfig {
    server.command(&["ACL", "SETUSER", "b", "on", ">pass", "~*", "&*", "+@all"]);
    let mut config = config(server);
    config.redis = format!("redis://b:pass@127.0.0.1:{}", server.port).into();
    config
}

/// Cuts it off, and keeps it off.
pub(crate) fn cut(server: &Server) {
    server.command(&["ACL", "SETUSER", "b", "off"]);
    server.command(&["CLIENT", "KILL", "USER", "b"]);
}

/// Lets it in again.
pub(crate) fn mend(server: &Server) {
    server.command(&["ACL", "SETUSER", "b", "on"]);
}
