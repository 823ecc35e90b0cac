//! The names of the keys. All of a namespace's lie in one slot of a cluster, for a script touches
//! several of them.

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

    /// A stream: what all nodes are to do.
    pub(crate) fn control(&self) -> String {
        format!("{}control", self.prefix)
    }

    /// A stream with which a node interrupts its own reading.
    pub(crate) fn wake(&self, node: &str) -> String {
        format!("{}wake:{node}", self.prefix)
    }

    /// A stream: a topic's events.
    pub(crate) fn topic(&self, topic: &str) -> String {
        format!("{}topic:{topic}", self.prefix)
    }

    /// The topic whose key this is.
    pub(crate) fn topic_of<'a>(&self, key: &'a str) -> Option<&'a str> {
        key.strip_prefix(&self.prefix)?.strip_prefix("topic:")
    }

    /// Who was revoked: a sorted set of users by the number of the revocation, one by when it is
    /// over, and a hash of the moments up to which.
    pub(crate) fn revoked(&self) -> [String; 3] {
        ["revoked", "revoked:over", "revoked:until"].map(|name| format!("{}{name}", self.prefix))
    }

    /// A sorted set: which nodes are alive, and until when.
    pub(crate) fn nodes(&self) -> String {
        format!("{}nodes", self.prefix)
    }

    /// A hash: how many streams of a user each node has.
    pub(crate) fn user(&self, user: &str) -> String {
        format!("{}user:{user}", self.prefix)
    }

    /// A ticket that was used.
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
