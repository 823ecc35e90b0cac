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

    fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// A hash: the epoch, the newest number, and how long things are kept.
    pub(crate) fn head(&self) -> String {
        self.key("head")
    }

    /// A stream: what happened, in the order of the numbers. All nodes read it.
    pub(crate) fn log(&self) -> String {
        self.key("log")
    }

    /// A sorted set: the topics by their newest number. The member without a name has the number up to
    /// which topics that are not in the set may have had events.
    pub(crate) fn topics(&self) -> String {
        self.key("topics")
    }

    /// The keys of every script that numbers something: head, log, topics.
    pub(crate) fn numbering(&self) -> [String; 3] {
        [self.head(), self.log(), self.topics()]
    }

    /// A stream: a topic's events.
    pub(crate) fn topic(&self, topic: &str) -> String {
        self.key(&format!("topic:{topic}"))
    }

    /// A stream: the revocations in force.
    pub(crate) fn revoked(&self) -> String {
        self.key("revoked")
    }

    /// A string: the node that sends a Redis what it has lost.
    pub(crate) fn teller(&self) -> String {
        self.key("teller")
    }

    /// A sorted set: the nodes by the expiry of their lease.
    pub(crate) fn nodes(&self) -> String {
        self.key("nodes")
    }

    /// A hash: the number of a user's streams on each node.
    pub(crate) fn user(&self, user: &str) -> String {
        self.key(&format!("user:{user}"))
    }

    /// A hash: the number of streams of a topic that each reader has on each node.
    pub(crate) fn readers(&self, topic: &str) -> String {
        self.key(&format!("readers:{topic}"))
    }

    /// A set: the users of a topic who have joined and not left.
    pub(crate) fn announced(&self, topic: &str) -> String {
        self.key(&format!("announced:{topic}"))
    }

    /// A set: the readers that a node has.
    pub(crate) fn attendance(&self, node: &str) -> String {
        self.key(&format!("attendance:{node}"))
    }

    /// A set: the nodes that have readers.
    pub(crate) fn attending(&self) -> String {
        self.key("attending")
    }

    /// A used ticket.
    pub(crate) fn ticket(&self, id: &[u8; 16]) -> String {
        self.key(&format!("ticket:{:032x}", u128::from_be_bytes(*id)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_the_namespace_as_its_hash_tag() {
        let keys = Keys::new("shop");
        let [head, log, topics] = keys.numbering();
        for key in [
            head,
            log,
            topics,
            keys.topic("a}b"),
            keys.revoked(),
            keys.teller(),
            keys.nodes(),
            keys.user("a}b"),
            keys.ticket(&[0; 16]),
            keys.readers("a}b"),
            keys.announced("a}b"),
            keys.attendance("n"),
            keys.attending(),
        ] {
            assert!(key.starts_with("{shop}:"), "{key}");
        }
    }
}
