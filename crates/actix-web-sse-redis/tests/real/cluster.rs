//! A cluster: the keys of a namespace lie on one of its nodes, and may move to another.

use std::rc::Rc;

use crate::{
    node::{Node, config, data, read, until},
    server::Server,
    traffic::{Traffic, seeds},
};

/// Two primaries that own half of the slots each.
async fn cluster() -> [Server; 2] {
    let arguments = ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"];
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

/// Moves the namespace's slot, with all that is in it.
fn move_slot(from: &Server, to: &Server) {
    let slot = from
        .number(&["CLUSTER", "KEYSLOT", "{sse}:head"])
        .to_string();
    let ids = [from, to].map(|server| server.text(&["CLUSTER", "MYID"]));
    to.command(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &ids[0]]);
    from.command(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &ids[1]]);
    loop {
        let keys = from.list(&["CLUSTER", "GETKEYSINSLOT", &slot, "100"]);
        if keys.is_empty() {
            break;
        }
        let port = to.port.to_string();
        let mut migrate = vec!["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS"];
        migrate.extend(keys.iter().map(String::as_str));
        let told = from.command(&migrate);
        assert!(
            told.starts_with("+OK") || told.starts_with("+NOKEY"),
            "{told}"
        );
    }
    for server in [to, from] {
        let told = server.command(&["CLUSTER", "SETSLOT", &slot, "NODE", &ids[1]]);
        assert!(told.starts_with("+OK"), "{told}");
    }
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
        let [a, b] = cluster().await;
        let slot = a.number(&["CLUSTER", "KEYSLOT", "{sse}:head"]);
        let (mut from, mut to) = if slot < 8192 { (&a, &b) } else { (&b, &a) };
        let nodes = Rc::new(vec![
            Node::start(config(&a)),
            Node::start(config(&b)),
            Node::start(config(&a)),
        ]);
        let traffic = Traffic::start(&nodes, &mut random).await;
        for _ in 0..3 {
            traffic.more(100).await;
            move_slot(from, to);
            std::mem::swap(&mut from, &mut to);
        }
        let accounts = traffic.finish().await;
        // It has moved to `from`, which was the last to be `to`.
        accounts.check(seed, from);
        assert_eq!(accounts.lost(from), [], "seed {seed}");
        assert_eq!(accounts.resets(), 0, "seed {seed}");
    }
}
