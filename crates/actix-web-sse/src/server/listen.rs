//! Listening sockets of an `EventServer`.

use std::{
    io,
    net::{SocketAddr, TcpListener, ToSocketAddrs},
};

use socket2::{Domain, Protocol, Socket, Type};

/// Those of the addresses that can be listened on.
pub(super) fn listeners(
    addresses: impl ToSocketAddrs,
    backlog: u32,
) -> io::Result<Vec<TcpListener>> {
    let mut fault = io::Error::new(
        io::ErrorKind::InvalidInput,
        "the name to listen on resolves to no address; give an address such as 127.0.0.1:8080",
    );
    let mut listeners = Vec::new();
    for address in addresses.to_socket_addrs()? {
        match listen(address, backlog) {
            Ok(listener) => listeners.push(listener),
            Err(error) => fault = error,
        }
    }
    match listeners.is_empty() {
        true => Err(fault),
        false => Ok(listeners),
    }
}

fn listen(address: SocketAddr, backlog: u32) -> io::Result<TcpListener> {
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    // A restart must not wait for connections of the last run to leave TIME_WAIT.
    #[cfg(not(windows))]
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    Ok(socket.into())
}
