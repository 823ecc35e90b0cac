//! HAProxy as a balancer of connections: it names the client by the PROXY protocol.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpStream},
    process::Command,
};

use actix_web_sse_tests::{
    Connection, Demo, LIMIT, Process, Request, Response, Settings, free_port, until,
};

use crate::DEMO;

/// From where HAProxy connects: the demo takes a header from there and from nowhere else.
const BALANCER: &str = "127.0.0.9";

fn open(from: Ipv4Addr, to: SocketAddr) -> Response {
    let request = Request::stream("/events").header("Authorization", "Bearer x");
    let mut connection = Connection::try_open_from(from, to).expect("a connection");
    connection
        .send(&request.bytes(to))
        .expect("the request leaves");
    connection.response(false)
}

#[test]
fn w_11_streams_behind_haproxy_count_on_the_address_that_it_names() {
    let settings = Settings::open()
        .set("server.proxy_protocol", vec![BALANCER])
        .set("policy.limits.per_ip", 1);
    for version in ["send-proxy", "send-proxy-v2"] {
        let demo = Demo::start(DEMO, &settings);
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("haproxy.cfg");
        let config = format!(
            "defaults\n    mode tcp\n    timeout connect 5s\n    timeout client 60s\n    \
             timeout server 60s\nlisten streams\n    bind {address}\n    \
             server app {} {version} source {BALANCER}\n",
            demo.app
        );
        fs::write(&path, config).unwrap();
        let mut process = Process::spawn(Command::new("haproxy").arg("-db").arg("-f").arg(&path));
        until("HAProxy listens", LIMIT, || {
            assert!(process.is_running(), "it ended: {:#?}", process.lines());
            TcpStream::connect(address).ok()
        });
        let (one, two) = (Ipv4Addr::new(127, 0, 0, 2), Ipv4Addr::new(127, 0, 0, 3));
        let first = open(one, address);
        let second = open(two, address);
        let third = open(one, address);
        let statuses = [&first, &second, &third].map(Response::status);
        assert_eq!(statuses, [200, 200, 429], "{version}");
    }
}
