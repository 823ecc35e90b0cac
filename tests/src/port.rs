//! Ports for servers that cannot be told "any".

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::Mutex,
};

/// What this process has handed out already: two tests that ask at once get two ports.
static TAKEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// A port on loopback that nobody listens on.
///
/// It lies below the range from which the kernel takes the ports of outgoing connections, so that
/// a server can be killed and come back on it: nothing else takes it by chance.
///
/// # Panics
/// If a thousand ports are taken.
#[must_use]
pub fn free_port() -> u16 {
    let mut taken = TAKEN.lock().unwrap();
    let port = (0..1000)
        .map(|_| fastrand::u16(15_000..32_000))
        .find(|port| !taken.contains(port) && TcpListener::bind(local(*port)).is_ok())
        .expect("no free port among a thousand");
    taken.insert(port);
    port
}

/// The port on loopback.
pub(crate) fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}
