//! Three nodes behind a balancer: a client whose node goes finds itself on another, by itself.

use std::{
    fs,
    net::{SocketAddr, TcpStream},
    process::Command,
};

use actix_web_sse_tests::{
    Browser, BrowserKind, Demo, LIMIT, Nginx, Process, Redis, Settings, Site, free_port, until,
};
use tempfile::TempDir;

use super::{STREAM, nodes, publish, short_log};
use crate::{
    clients::under_test::{Client, Entry, Kind, with_each_client},
    watched_page::WatchedPage,
};

/// A real balancer.
enum Balancer {
    Nginx(Nginx),
    HaProxy {
        address: SocketAddr,
        _process: Process,
        _folder: TempDir,
    },
}

impl Balancer {
    /// nginx learns from failed attempts who is gone, and tries the next.
    fn nginx(nodes: &[Demo]) -> Self {
        let servers: String = nodes
            .iter()
            .map(|node| format!("server {} max_fails=1 fail_timeout=1s;\n", node.app))
            .collect();
        Self::Nginx(Nginx::start(&format!(
            "upstream nodes {{\nleast_conn;\n{servers}}}\nserver {{\nlisten {{listen}};\n\
             location / {{\nproxy_pass http://nodes;\nproxy_http_version 1.1;\n\
             proxy_set_header Host $http_host;\nproxy_set_header Connection \"\";\n\
             proxy_buffering off;\nproxy_read_timeout 75s;\n\
             proxy_next_upstream error timeout http_503;\n}}\n}}"
        )))
    }

    /// HAProxy asks each of them whether it is ready. One that has to wait for a core is not gone: where all
    /// are, the answer is 503, and a browser takes that for final.
    fn haproxy(nodes: &[Demo]) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let servers: String = nodes
            .iter()
            .enumerate()
            .map(|(number, node)| {
                format!(
                    "    server n{number} {} check inter 100ms fall 1 rise 1\n",
                    node.app
                )
            })
            .collect();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("haproxy.cfg");
        let configuration = format!(
            "defaults\n    mode http\n    timeout connect 2s\n    timeout client 75s\n    \
             timeout server 75s\n    timeout check 20s\n    option redispatch 1\n    retries 3\n    \
             retry-on conn-failure empty-response 503\n\
             listen nodes\n    bind {address}\n    balance leastconn\n    \
             option httpchk GET /readyz\n{servers}"
        );
        fs::write(&path, configuration).unwrap();
        let mut process = Process::spawn(Command::new("haproxy").arg("-db").arg("-f").arg(path));
        until("HAProxy listens", LIMIT, || {
            assert!(process.is_running(), "it ended: {:#?}", process.lines());
            TcpStream::connect(address).ok()
        });
        Self::HaProxy {
            address,
            _process: process,
            _folder: folder,
        }
    }

    fn url(&self) -> String {
        let address = match self {
            Self::Nginx(nginx) => nginx.address(),
            Self::HaProxy { address, .. } => *address,
        };
        format!("http://{address}{STREAM}")
    }
}

/// Which node has the stream.
fn holder(nodes: &[Demo]) -> usize {
    until("one node has the stream", LIMIT, || {
        let has = |node: &Demo| node.exposition().sum("sse_backplane_topics", &[]) > 0.0;
        nodes.iter().position(has)
    })
}

/// Publishes numbers, and remembers them.
#[derive(Default)]
struct Numbers(Vec<String>);

impl Numbers {
    fn publish(&mut self, on: &Demo, count: usize) {
        for _ in 0..count {
            let number = (self.0.len() + 1).to_string();
            publish(on, &number).expect("Redis is there");
            self.0.push(number);
        }
    }
}

/// Each node that has the stream goes: the first drains, as in a deployment, the second is
/// killed. `seen` waits until so many events have come and tells them.
fn moves(mut nodes: Vec<Demo>, seen: impl Fn(usize) -> Vec<String>) {
    let mut numbers = Numbers::default();
    let first = holder(&nodes);
    numbers.publish(&nodes[(first + 1) % 3], 5);
    assert_eq!(seen(5), numbers.0);

    let mut node = nodes.swap_remove(first);
    numbers.publish(&nodes[0], 5);
    node.terminate();
    numbers.publish(&nodes[1], 5);
    assert_eq!(seen(15), numbers.0, "after a drain");

    let second = holder(&nodes);
    let mut node = nodes.swap_remove(second);
    numbers.publish(&nodes[0], 5);
    node.kill();
    // More than the last node's own log would hold.
    numbers.publish(&nodes[0], 50);
    assert_eq!(seen(70), numbers.0, "after a node was killed");
    holder(&nodes);
    numbers.publish(&nodes[0], 5);
    assert_eq!(seen(75), numbers.0);
}

fn settings() -> Settings {
    short_log()
        .set("stream.retry", "200ms")
        .set("stream.drain", "1s")
}

fn a_browser(kind: BrowserKind, balancer: impl Fn(&[Demo]) -> Balancer) {
    let redis = Redis::start();
    let pages = Site::empty();
    let nodes = Vec::from(nodes::<3>(&redis, &settings().allow(&[&pages.origin()])));
    let balancer = balancer(&nodes);
    let browser = Browser::launch(kind);
    let page = WatchedPage::open(&browser, &pages.origin(), &balancer.url());
    page.wait_for_opened(1);
    moves(nodes, |count| page.wait_for_data(count));
    assert_eq!(page.page().evaluate("resets"), 0);
}

fn s82_a_browser_behind_nginx_finds_itself_on_another_node(kind: BrowserKind) {
    a_browser(kind, Balancer::nginx);
}

fn s82_a_browser_behind_haproxy_finds_itself_on_another_node(kind: BrowserKind) {
    a_browser(kind, Balancer::haproxy);
}

crate::in_each_browser!(
    s82_a_browser_behind_nginx_finds_itself_on_another_node,
    s82_a_browser_behind_haproxy_finds_itself_on_another_node,
);

fn s82_a_client_behind_haproxy_finds_itself_on_another_node(kind: Kind) {
    let redis = Redis::start();
    let nodes = Vec::from(nodes::<3>(&redis, &settings()));
    let balancer = Balancer::haproxy(&nodes);
    let client = Client::start(kind, &balancer.url());
    moves(nodes, |count| {
        client.wait("gets what was published", |entries| {
            let data = entries.iter().filter_map(|entry| match entry {
                Entry::Event { name, data, .. } if name != "anchor" => {
                    assert_eq!(name, "message", "{data}");
                    Some(data.clone())
                }
                _ => None,
            });
            let data: Vec<_> = data.collect();
            (data.len() >= count).then_some(data)
        })
    });
}

with_each_client! {
    s82_a_client_behind_haproxy_finds_itself_on_another_node,
}
