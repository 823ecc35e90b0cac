//! A seeded program of moves and faults: per topic nothing is lost, doubled or out of order.

use std::{rc::Rc, time::Duration};

use crate::{
    node::{Node, config, until},
    server::Server,
    traffic::{Traffic, seeds},
};

#[actix_web::test]
async fn s82_moved_clients_and_a_killed_redis_lose_double_and_reorder_nothing() {
    for seed in seeds(&[1, 2, 3]) {
        run(seed).await;
    }
}

async fn run(seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut server = Server::start();
    let nodes = Rc::new(
        (0..3)
            .map(|_| Node::start(config(&server)))
            .collect::<Vec<_>>(),
    );
    let traffic = Traffic::start(&nodes, &mut random).await;
    for _ in 0..6 {
        traffic.more(random.u64(30..150)).await;
        if random.bool() {
            server.kill();
            actix_web::rt::time::sleep(Duration::from_millis(random.u64(0..300))).await;
            server.restart();
        } else {
            server.signal("-STOP");
            actix_web::rt::time::sleep(Duration::from_millis(random.u64(0..300))).await;
            server.signal("-CONT");
        }
        until(|| nodes.iter().all(|node| node.backplane.stats().connected)).await;
    }
    let accounts = traffic.finish().await;
    accounts.check(seed, &server);
    assert_eq!(accounts.lost(&server), [], "seed {seed}");
    assert_eq!(accounts.resets(), 0, "seed {seed}: Redis kept everything");
}
