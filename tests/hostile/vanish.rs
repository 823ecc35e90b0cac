//! Clients that are gone without FIN or RST: in a network namespace whose link goes down.
//!
//! That takes root and `ip`. Where they are missing the test says that it was skipped, and fails
//! under CI.

use std::{
    fs::File,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    os::fd::AsFd,
    process::{Command, Stdio},
    thread,
};

use actix_web_sse_tests::{Demo, LIMIT, connections_held, until};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::{DEMO, setup::Setup};

/// A namespace with one link to the host, both of which end with it.
#[derive(Debug)]
struct Namespace {
    name: String,
    /// The host's end of the link.
    link: String,
}

impl Namespace {
    const HOST: [u8; 4] = [10, 213, 7, 1];

    fn new() -> Result<Self, String> {
        let id = std::process::id();
        let new = Self {
            name: format!("sse-hostile-{id}"),
            link: format!("sse{}", id % 1_000_000_000),
        };
        let (name, link) = (&new.name, &new.link);
        let far = format!("ssf{}", id % 1_000_000_000);
        for command in [
            format!("netns add {name}"),
            format!("link add {link} type veth peer name {far} netns {name}"),
            format!("addr add 10.213.7.1/24 dev {link}"),
            format!("link set {link} up"),
            format!("-n {name} addr add 10.213.7.2/24 dev {far}"),
            format!("-n {name} link set {far} up"),
        ] {
            ip(&command)?;
        }
        Ok(new)
    }

    /// Runs inside.
    fn inside<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        let path = format!("/var/run/netns/{}", self.name);
        thread::scope(|scope| {
            let inside = scope.spawn(|| {
                let file = File::open(path).expect("the namespace");
                move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
                    .expect("a thread may go there");
                act()
            });
            inside.join().expect("what runs inside")
        })
    }

    /// Nothing of it arrives any more.
    fn cut(&self) {
        ip(&format!("link set {} down", self.link)).expect("the link goes down");
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = ip(&format!("link del {}", self.link));
        let _ = ip(&format!("netns del {}", self.name));
    }
}

fn ip(arguments: &str) -> Result<(), String> {
    let mut command = Command::new("ip");
    command.args(arguments.split(' ')).stdin(Stdio::null());
    match command.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!(
            "ip {arguments}: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        )),
        Err(error) => Err(format!("ip: {error}")),
    }
}

/// Their streams end, and their slots and descriptors are free, at the latest when the stall is
/// over: three seconds, after a heartbeat of one second that nobody acknowledges.
#[test]
fn h04_clients_that_vanish_give_everything_back() {
    let namespace = match Namespace::new() {
        Ok(namespace) => namespace,
        Err(why) => {
            assert!(
                std::env::var_os("CI").is_none(),
                "under CI this must run: {why}"
            );
            eprintln!("SKIPPED: clients that vanish need a network namespace: {why}");
            return;
        }
    };
    let host = SocketAddr::from((Namespace::HOST, 0));
    let settings = Setup::Reference
        .settings()
        .set("server.listen", host.to_string());
    let demo = Demo::start(DEMO, &settings);
    let token = Setup::Reference.token().expect("R0 takes tokens")("mallory", false);
    let request = format!(
        "GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\
         Authorization: Bearer {token}\r\n\r\n"
    );
    let app = demo.app;
    let streams: Vec<TcpStream> = namespace.inside(|| {
        let open = |_| {
            let mut stream = TcpStream::connect(app).expect("the link is up");
            stream.write_all(request.as_bytes()).unwrap();
            let mut start = [0; 12];
            stream.read_exact(&mut start).unwrap();
            assert_eq!(&start, b"HTTP/1.1 200");
            stream
        };
        (0..Setup::Reference.per_address()).map(open).collect()
    });
    demo.wait_for_metric("sse_connections_active", &[], streams.len() as f64);
    until("they are all there is", LIMIT, || {
        (connections_held(app.port()).len() == streams.len()).then_some(())
    });
    namespace.cut();
    drop(streams);
    until("the streams have ended", LIMIT, || {
        let active = demo.exposition().sum("sse_connections_active", &[]);
        (active < 0.5).then_some(())
    });
    until("its connections are closed", LIMIT, || {
        connections_held(app.port()).is_empty().then_some(())
    });
}
