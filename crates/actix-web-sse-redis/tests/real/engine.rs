//! What a program of faults happens to: a primary with its replica, or a cluster.

use std::time::Duration;

use actix_web::rt::time::sleep;
use actix_web_sse_redis::RedisConfig;

use crate::{
    cluster::{Moving, PATIENT, cluster, owner_first},
    failover::in_step,
    node::{config, until},
    relay::Relay,
    server::Server,
};

/// Keys that may be evicted.
const KEYS: [&str; 7] = [
    "topic:a", "topic:b", "log", "topics", "head", "revoked", "nodes",
];

pub(crate) enum Engine {
    Pair(Box<Pair>),
    Cluster(Box<Cluster>),
}

impl Engine {
    pub(crate) async fn pair(nodes: usize) -> Self {
        Self::Pair(Box::new(Pair::start(nodes).await))
    }

    pub(crate) async fn cluster(nodes: usize) -> Self {
        Self::Cluster(Box::new(Cluster::start(nodes).await))
    }

    /// Settings for this node.
    pub(crate) fn config(&self, node: usize) -> RedisConfig {
        let mut config = match self {
            Self::Pair(pair) => pair.config(node),
            Self::Cluster(cluster) => cluster.config(node),
        };
        config.answer_timeout = Duration::from_secs(1);
        config.connect_timeout = Duration::from_secs(1);
        // So little time may not be enough at the first attempt.
        config.start_degraded = true;
        config
    }

    /// The one that has the keys.
    pub(crate) fn primary(&self) -> &Server {
        match self {
            Self::Pair(pair) => pair.primary(),
            Self::Cluster(cluster) => &cluster.servers[cluster.owner],
        }
    }

    /// One fault, and its end.
    pub(crate) async fn fault(&mut self, random: &mut fastrand::Rng) -> String {
        match self {
            Self::Pair(pair) => pair.fault(random).await,
            Self::Cluster(cluster) => cluster.fault(random).await,
        }
    }
}

/// A server stops for a while, is killed, or loses something.
async fn of_one(server: &mut Server, random: &mut fastrand::Rng, pause: Duration) -> String {
    match random.u32(0..5) {
        0 => {
            server.kill();
            sleep(pause / 4).await;
            server.restart();
            "killed".to_owned()
        }
        1 | 2 => {
            server.signal("-STOP");
            sleep(pause).await;
            server.signal("-CONT");
            format!("stopped for {pause:?}")
        }
        3 => {
            let key = KEYS[random.usize(0..KEYS.len())];
            server.command(&["DEL", &format!("{{sse}}:{key}")]);
            format!("evicted {key}")
        }
        _ => {
            server.command(&["FLUSHALL"]);
            "flushed".to_owned()
        }
    }
}

/// A primary, its replica, and a wire from each node to each of them.
pub(crate) struct Pair {
    servers: [Server; 2],
    primary: usize,
    /// From the primary to the replica.
    wire: Relay,
    wires: Vec<[Relay; 2]>,
}

impl Pair {
    async fn start(nodes: usize) -> Self {
        let primary = Server::with(&["--repl-diskless-sync-delay", "0"]);
        let wire = Relay::to(primary.port);
        let replica = Server::replica_of(wire.port);
        in_step(&primary, &replica).await;
        let ports = [primary.port, replica.port];
        Self {
            servers: [primary, replica],
            primary: 0,
            wire,
            wires: (0..nodes).map(|_| ports.map(Relay::to)).collect(),
        }
    }

    fn config(&self, node: usize) -> RedisConfig {
        let mut config = config(&self.servers[0]);
        let urls = self.wires[node].each_ref().map(Relay::url);
        config.redis = urls.join(",").into();
        config
    }

    fn primary(&self) -> &Server {
        &self.servers[self.primary]
    }

    /// What was not replicated is lost.
    async fn fail_over(&mut self, random: &mut fastrand::Rng) {
        if random.bool() {
            self.wire.sever();
            sleep(Duration::from_millis(random.u64(0..500))).await;
        }
        let (old, new) = (self.primary, 1 - self.primary);
        self.servers[old].kill();
        self.servers[new].promote();
        self.primary = new;
        sleep(Duration::from_millis(random.u64(0..1000))).await;
        self.wire = Relay::to(self.servers[new].port);
        let port = self.wire.port.to_string();
        self.servers[old].restart_with(&["--replicaof", "127.0.0.1", &port]);
        in_step(&self.servers[new], &self.servers[old]).await;
    }

    async fn fault(&mut self, random: &mut fastrand::Rng) -> String {
        let pause = Duration::from_millis(random.u64(0..2500));
        let wires = &self.wires[random.usize(0..self.wires.len())];
        match random.u32(0..12) {
            0..=4 => of_one(&mut self.servers[self.primary], random, pause).await,
            5..=7 => {
                self.fail_over(random).await;
                "fail-over".to_owned()
            }
            8..=10 => {
                wires.iter().for_each(Relay::sever);
                sleep(pause).await;
                wires.iter().for_each(Relay::mend);
                format!("cut off for {pause:?}")
            }
            _ => {
                wires.iter().for_each(|wire| wire.delay(pause / 10));
                sleep(pause).await;
                wires.iter().for_each(Relay::mend);
                format!("slow by {:?}", pause / 10)
            }
        }
    }
}

/// Two primaries, of which one has the keys; the nodes have names of their own there.
pub(crate) struct Cluster {
    servers: [Server; 2],
    owner: usize,
    nodes: usize,
}

impl Cluster {
    async fn start(nodes: usize) -> Self {
        let servers = cluster().await;
        let owner = usize::from(owner_first(&servers)[0].port != servers[0].port);
        let cluster = Self {
            servers,
            owner,
            nodes,
        };
        cluster.introduce();
        cluster
    }

    /// Users live in the memory of a server.
    fn introduce(&self) {
        for server in &self.servers {
            for node in 0..self.nodes {
                let name = format!("n{node}");
                server.command(&["ACL", "SETUSER", &name, "on", ">pass", "~*", "&*", "+@all"]);
            }
        }
    }

    /// After how many milliseconds each takes the other for gone.
    fn patience(&self, millis: &str) {
        for server in &self.servers {
            server.command(&["CONFIG", "SET", "cluster-node-timeout", millis]);
        }
    }

    fn config(&self, node: usize) -> RedisConfig {
        let mut config = config(&self.servers[0]);
        let urls = self
            .servers
            .each_ref()
            .map(|server| format!("redis://n{node}:pass@127.0.0.1:{}", server.port));
        config.redis = urls.join(",").into();
        config
    }

    /// Some keys move, then the others, and then the slot.
    async fn move_slot(&mut self, random: &mut fastrand::Rng, pause: Duration) -> String {
        let [from, to] = [self.owner, 1 - self.owner];
        let moving = Moving::begin(&self.servers[from], &self.servers[to]);
        sleep(pause / 3).await;
        for key in KEYS.iter().filter(|_| random.bool()) {
            moving.keys(&[&format!("{{sse}}:{key}")]);
        }
        sleep(pause / 3).await;
        moving.rest();
        sleep(pause / 3).await;
        moving.end();
        self.owner = to;
        format!("moved in {pause:?}")
    }

    async fn fault(&mut self, random: &mut fastrand::Rng) -> String {
        let pause = Duration::from_millis(random.u64(0..2500));
        match random.u32(0..10) {
            0..=5 => self.move_slot(random, pause).await,
            6 | 7 => {
                let name = format!("n{}", random.usize(0..self.nodes));
                for server in &self.servers {
                    server.command(&["ACL", "SETUSER", &name, "off"]);
                    server.command(&["CLIENT", "KILL", "USER", &name]);
                }
                sleep(pause).await;
                self.introduce();
                format!("{name} cut off for {pause:?}")
            }
            _ => {
                // So short that the other one notices, and the cluster is down for a while; only now, since a server
                // that has no processor for a while is no fault of this program.
                self.patience("2000");
                let done = of_one(&mut self.servers[self.owner], random, pause).await;
                self.introduce();
                let is_up = |server: &Server| server.says(&["CLUSTER", "INFO"], "cluster_state:ok");
                until(|| self.servers.iter().all(is_up)).await;
                self.patience(PATIENT);
                // It may have been down once more until then.
                until(|| self.servers.iter().all(is_up)).await;
                done
            }
        }
    }
}
