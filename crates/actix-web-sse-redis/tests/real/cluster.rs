//! A cluster: the keys of a namespace lie on one of its nodes, and may move to another.

use std::rc::Rc;

use crate::{
    node::{Node, config, data, read, until},
    server::Server,
    traffic::{Traffic, seeds},
};

/// After how many milliseconds a primary takes the other one for gone, and with it the cluster: long enough for one that
/// only has no processor for a while.
pub(crate) const PATIENT: &str = "60000";

/// Two primaries that own half of the slots each.
pub(crate) async fn cluster() -> [Server; 2] {
    let arguments = [
        "--cluster-enabled",
        "yes",
        "--cluster-node-timeout",
        PATIENT,
    ];
    let (a, b) = (Server::with(&arguments), Server::with(&arguments));
    a.command(&["CLUSTER", "ADDSLOTSRANGE", "0", "8191"]);
    b.command(&["CLUSTER", "ADDSLOTSRANGE", "8192", "16383"]);
    a.command(&["CLUSTER", "MEET", "127.0.0.1", &b.port.to_string()]);
    let is_up = |server: &Server| {
        let info = server.command(&["CLUSTER", "INFO"]);
        info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:2")
    };
    until(|| is_up(&a) && is_up(&b)).await;
    [a, b]
}

/// The namespace's slot on its way from one server to the other.
pub(crate) struct Moving<'a> {
    from: &'a Server,
    to: &'a Server,
    slot: String,
    target: String,
}

impl<'a> Moving<'a> {
    /// From now on the one gives its keys away, and the other takes them.
    pub(crate) fn begin(from: &'a Server, to: &'a Server) -> Self {
        let slot = from.number(&["CLUSTER", "KEYSLOT", "{sse}:head"]);
        let slot = slot.to_string();
        let [source, target] = [from, to].map(|server| server.text(&["CLUSTER", "MYID"]));
        to.command(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &source]);
        from.command(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &target]);
        Self {
            from,
            to,
            slot,
            target,
        }
    }

    /// Moves these keys, as far as they are there.
    pub(crate) fn keys(&self, keys: &[&str]) {
        let port = self.to.port.to_string();
        let mut migrate = vec!["MIGRATE", "127.0.0.1", &port, "", "0", "60000", "KEYS"];
        migrate.extend(keys);
        let told = self.from.command(&migrate);
        assert!(
            told.starts_with("+OK") || told.starts_with("+NOKEY"),
            "{told}"
        );
    }

    /// Moves all keys that are left.
    pub(crate) fn rest(&self) {
        loop {
            let keys = self
                .from
                .list(&["CLUSTER", "GETKEYSINSLOT", &self.slot, "100"]);
            if keys.is_empty() {
                return;
            }
            self.keys(&keys.iter().map(String::as_str).collect::<Vec<_>>());
        }
    }

    /// Moves what is left, and gives the slot to the other.
    pub(crate) fn end(self) {
        self.rest();
        for server in [self.to, self.from] {
            let told = server.command(&["CLUSTER", "SETSLOT", &self.slot, "NODE", &self.target]);
            assert!(told.starts_with("+OK"), "{told}");
        }
    }
}

/// The one that has the namespace's slot, and the other.
pub(crate) fn owner_first([a, b]: &[Server; 2]) -> [&Server; 2] {
    let slot = a.number(&["CLUSTER", "KEYSLOT", "{sse}:head"]);
    if slot < 8192 { [a, b] } else { [b, a] }
}

#[actix_web::test]
async fn s82_in_a_cluster_either_node_leads_to_the_keys() {
    let [a, b] = cluster().await;
    let (one, other) = (Node::start(config(&a)), Node::start(config(&b)));
    let stream = other.follow("t", 1).await;
    one.publish("t", "x").await;
    assert_eq!(data(&read(stream, 1).await), ["x"]);
}

#[actix_web::test]
async fn s82_a_slot_that_moves_under_load_takes_everything_with_it() {
    for seed in seeds(&[1, 2]) {
        let mut random = fastrand::Rng::with_seed(seed);
        let servers = cluster().await;
        let [a, b] = &servers;
        let [mut from, mut to] = owner_first(&servers);
        let nodes = Rc::new(vec![
            Node::start(config(a)),
            Node::start(config(b)),
            Node::start(config(a)),
        ]);
        let traffic = Traffic::start(&nodes, &mut random).await;
        for _ in 0..3 {
            traffic.more(100).await;
            Moving::begin(from, to).end();
            std::mem::swap(&mut from, &mut to);
        }
        let accounts = traffic.finish().await;
        // It has moved to `from`, which was the last to be `to`.
        accounts.check(seed, from);
        assert_eq!(accounts.lost(from), [], "seed {seed}");
        assert_eq!(accounts.resets(), 0, "seed {seed}");
    }
}
