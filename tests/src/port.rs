//! Ports for servers that cannot be told "any".

use std::{
    collections::BTreeSet,
    fs,
    net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener},
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

/// The connections to this port of loopback, or of another IPv4 address here, that their server
/// has open: the address at the other end of each. One that the server has closed belongs to the kernel,
/// which may go on sending what was written.
///
/// # Panics
/// If the kernel shows no table of them.
#[must_use]
pub fn connections_held(port: u16) -> Vec<SocketAddrV4> {
    let table = fs::read_to_string("/proc/net/tcp").expect("the kernel's table of connections");
    let address = |text: &str| {
        let (ip, port) = text.split_once(':')?;
        // In the order of bytes of this machine, as one number.
        let ip = u32::from_str_radix(ip, 16).ok()?.to_ne_bytes();
        Some(SocketAddrV4::new(
            ip.into(),
            u16::from_str_radix(port, 16).ok()?,
        ))
    };
    let held = table.lines().skip(1).filter_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let here = fields.next().and_then(address)?;
        let there = fields.next().and_then(address)?;
        let inode = fields.nth(6)?;
        // A listener's other end is port 0.
        (here.port() == port && there.port() != 0 && inode != "0").then_some(there)
    });
    held.collect()
}
