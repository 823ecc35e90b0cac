//! The names of the keys. All keys of a namespace share a hash tag and so one slot of a cluster,
//! because a script uses several of them.

/// The keys of a namespace.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    prefix: String,
}

impl Keys {
    pub(crate) fn new(namespace: &str) -> Self {
        Self {
            prefix: format!("{{{namespace}}}:"),
        }
    }

    /// A hash: the epoch and the newest number.
    pub(crate) fn head(&self) -> String {
        format!("{}head", self.prefix)
    }

    /// A stream: control messages to all nodes.
    pub(crate) fn control(&self) -> String {
        format!("{}control", self.prefix)
    }

    /// A stream that a node writes to interrupt its own blocking read.
    pub(crate) fn wake(&self, node: &str) -> String {
        format!("{}wake:{node}", self.prefix)
    }

    /// A stream: a topic's events.
    pub(crate) fn topic(&self, topic: &str) -> String {
        format!("{}topic:{topic}", self.prefix)
    }

    /// The topic of a key.
    pub(crate) fn topic_of<'a>(&self, key: &'a str) -> Option<&'a str> {
        key.strip_prefix(&self.prefix)?.strip_prefix("topic:")
    }

    /// Revocations: a sorted set of users by the number of the revocation, one by its expiry, and a
    /// hash of the times up to which credentials are revoked.
    pub(crate) fn revoked(&self) -> [String; 3] {
        ["revoked", "revoked:over", "revoked:until"].map(|name| format!("{}{name}", self.prefix))
    }

    /// A sorted set: the nodes by the expiry of their lease.
    pub(crate) fn nodes(&self) -> String {
        format!("{}nodes", self.prefix)
    }

    /// A hash: the number of a user's streams on each node.
    pub(crate) fn user(&self, user: &str) -> String {
        format!("{}user:{user}", self.prefix)
    }

    /// A used ticket.
    pub(crate) fn ticket(&self, id: &[u8; 16]) -> String {
        format!("{}ticket:{:032x}", self.prefix, u128::from_be_bytes(*id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_the_namespace_as_its_hash_tag() {
        let keys = Keys::new("shop");
        for key in [
            keys.head(),
            keys.control(),
            keys.wake("n"),
            keys.topic("a}b"),
            keys.ticket(&[0; 16]),
            keys.nodes(),
            keys.user("a}b"),
        ]
        .into_iter()
        .chain(keys.revoked())
        {
            assert!(key.starts_with("{shop}:"), "{key}");
        }
    }

    #[test]
    fn a_topic_is_found_again_whatever_it_is_called() {
        let keys = Keys::new("shop");
        for topic in ["t", "topic:t", "{x}:topic:y", "\u{1f600} z"] {
            assert_eq!(keys.topic_of(&keys.topic(topic)), Some(topic));
        }
        assert_eq!(keys.topic_of(&keys.control()), None);
    }
}
