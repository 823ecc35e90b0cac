//! The sockets, bound before anything else starts, so that the real ports are known.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
};

use socket2::{Domain, Protocol, Socket, Type};

use crate::config::Config;

/// The kernel cuts it down to `net.core.somaxconn`.
const BACKLOG: i32 = 16_384;

/// What the demo listens on.
#[derive(Debug)]
pub(crate) struct Listeners {
    pub(crate) stream: TcpListener,
    pub(crate) foreign: Option<TcpListener>,
    pub(crate) metrics: Option<TcpListener>,
}

impl Listeners {
    /// Binds what the configuration names.
    ///
    /// # Errors
    /// A line for each that cannot be bound.
    pub(crate) fn bind(config: &Config) -> Result<Self, Vec<String>> {
        let mut faults = Vec::new();
        let mut bind = |key: &str, address: SocketAddr| {
            listen(address)
                .map_err(|error| faults.push(describe(key, address, &error)))
                .ok()
        };
        let stream = bind("server.listen", config.server.listen);
        let foreign = config.server.foreign.map(|at| bind("server.foreign", at));
        let metrics = config.metrics.listen.map(|at| bind("metrics.listen", at));
        match stream {
            Some(stream) if faults.is_empty() => Ok(Self {
                stream,
                foreign: foreign.flatten(),
                metrics: metrics.flatten(),
            }),
            _ => Err(faults),
        }
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    // A restart must not wait for connections of the last run to leave TIME_WAIT.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn describe(key: &str, address: SocketAddr, error: &io::Error) -> String {
    let (why, remedy) = match error.kind() {
        io::ErrorKind::AddrInUse => (
            "something else listens there".to_owned(),
            "stop it, or choose another port (0 takes a free one)",
        ),
        io::ErrorKind::AddrNotAvailable => (
            "this machine has no such address".to_owned(),
            "choose one that it has, such as 127.0.0.1",
        ),
        io::ErrorKind::PermissionDenied => (
            "ports below 1024 are for privileged processes".to_owned(),
            "choose a higher one",
        ),
        _ => (error.to_string(), "choose another address"),
    };
    format!("{key}: cannot listen on {address}: {why}; {remedy}")
}

/// The address under which a listener is reached from this machine.
pub(crate) fn reached(listener: &TcpListener) -> io::Result<SocketAddr> {
    let mut address = listener.local_addr()?;
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    Ok(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        Config::parse("demo.toml", text).expect("readable")
    }

    #[test]
    fn port_zero_takes_a_free_port() {
        let listeners = Listeners::bind(&config("server.listen = \"127.0.0.1:0\"")).unwrap();
        assert_ne!(reached(&listeners.stream).unwrap().port(), 0);
    }

    #[test]
    fn a_port_in_use_is_reported_with_its_key_and_a_remedy() {
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = other.local_addr().unwrap();
        let text = format!("server.listen = \"127.0.0.1:0\"\nserver.foreign = \"{taken}\"");
        assert_eq!(
            Listeners::bind(&config(&text)).expect_err("taken"),
            [format!(
                "server.foreign: cannot listen on {taken}: something else listens there; \
                 stop it, or choose another port (0 takes a free one)"
            )]
        );
    }

    #[test]
    fn all_interfaces_are_reached_by_the_loopback() {
        let listener = listen(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))).unwrap();
        assert!(reached(&listener).unwrap().ip().is_loopback());
    }
}
