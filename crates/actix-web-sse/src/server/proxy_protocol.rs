//! The PROXY protocol, versions 1 and 2: a balancer that passes on connections, and not requests,
//! says in front of each for whom it was made
//! ([the specification](https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt)).
//!
//! 1. Only peers that are listed are believed, and from them every connection must begin with a
//!    header: whether there is one is never guessed.
//! 2. What other peers send goes to the protocol as it is. There a header is no HTTP and no TLS.
//! 3. A header has [`V1`] or [`V2`] bytes at the most, and all of it comes within a time-out. Not one
//!    byte behind it is taken from the socket, so that what follows needs no wrapper around it.

use std::{io, net::SocketAddr, time::Duration};

use ipnet::IpNet;
use proxy_header::{ParseConfig, ProxyHeader};
use tokio::{io::AsyncReadExt as _, net::TcpStream, time::timeout};

use crate::{
    config::{ConfigError, Faults},
    protect::limit::address::network,
};

/// The longest header of version 1, by its specification.
const V1: usize = 107;

/// The longest header of version 2 that is taken. The addresses need 52 bytes; what balancers add to
/// them, and is not looked at, some hundred.
const V2: usize = 2048;

/// The first bytes of a header of version 2.
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// The first bytes of a header of version 1.
const WORD: &[u8] = b"PROXY ";

/// How long a header may take where requests may take as long as they like.
const LONGEST: Duration = Duration::from_secs(5);

/// The peers whose connections begin with a header.
#[derive(Debug, Clone)]
pub(super) struct Balancers {
    trusted: Vec<IpNet>,
    limit: Duration,
}

impl Balancers {
    /// The networks of these texts.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(super) fn new<S: AsRef<str>>(
        networks: impl IntoIterator<Item = S>,
    ) -> Result<Self, ConfigError> {
        const KEY: &str = "proxy_protocol";
        let mut faults = Faults::default();
        let mut trusted = Vec::new();
        for text in networks {
            let text = text.as_ref();
            match network(text) {
                Ok(network) if network.prefix_len() == 0 => faults.add(
                    KEY,
                    text,
                    "lets every client name its own address: list the balancers",
                ),
                Ok(network) => trusted.push(network),
                Err(message) => faults.add(KEY, text, message),
            }
        }
        if trusted.is_empty() {
            faults.add(KEY, "", "needs the networks of the balancers");
        }
        faults.into_result(Self {
            trusted,
            limit: LONGEST,
        })
    }

    /// A header may take no longer than the head of a request.
    pub(super) fn within(mut self, limit: Duration) -> Self {
        self.limit = match limit.is_zero() {
            true => LONGEST,
            false => limit.min(LONGEST),
        };
        self
    }

    fn trust(&self, peer: SocketAddr) -> bool {
        let peer = peer.ip().to_canonical();
        self.trusted.iter().any(|network| network.contains(&peer))
    }

    /// Who is at the other end of a new connection: the peer, or whom a balancer names.
    ///
    /// # Errors
    /// The connection is to be closed: its header is none, too long or too slow.
    pub(super) async fn client(&self, io: &mut TcpStream) -> io::Result<SocketAddr> {
        let peer = io.peer_addr()?;
        if !self.trust(peer) {
            return Ok(peer);
        }
        let header = timeout(self.limit, header(io)).await;
        let named = header.map_err(|_elapsed| refused("it took too long"))??;
        // A balancer that checks our health speaks for itself.
        Ok(named.unwrap_or(peer))
    }
}

fn refused(why: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("no PROXY protocol header from a peer that must send one: {why}"),
    )
}

/// Takes the header from the socket, and nothing behind it.
async fn header(io: &mut TcpStream) -> io::Result<Option<SocketAddr>> {
    let mut head = Vec::with_capacity(V1);
    loop {
        let mut ahead = [0; 256];
        let seen = io.peek(&mut ahead).await?;
        if seen == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let before = head.len();
        head.extend_from_slice(ahead.get(..seen).unwrap_or_default());
        let (length, whole) = match extent(&head)? {
            Extent::Whole(length) => (length, true),
            Extent::More => (head.len(), false),
        };
        head.truncate(length);
        let taken = ahead.get_mut(..length - before).unwrap_or_default();
        io.read_exact(taken).await?;
        if whole {
            return named(&head);
        }
    }
}

/// How far a header goes.
#[derive(Debug, PartialEq, Eq)]
enum Extent {
    Whole(usize),
    /// All of this belongs to it, and there is more to come.
    More,
}

fn extent(head: &[u8]) -> io::Result<Extent> {
    let begins = |with: &[u8]| {
        let both = head.len().min(with.len());
        head.get(..both) == with.get(..both)
    };
    if begins(WORD) {
        return match head.iter().take(V1).position(|byte| *byte == b'\n') {
            Some(end) => Ok(Extent::Whole(end + 1)),
            None if head.len() < V1 => Ok(Extent::More),
            None => Err(refused("its line is too long")),
        };
    }
    if !begins(SIGNATURE) {
        return Err(refused("the connection begins with something else"));
    }
    let fixed = SIGNATURE.len() + 4;
    let Some([high, low]) = head.get(fixed - 2..fixed) else {
        return Ok(Extent::More);
    };
    let length = fixed + usize::from(u16::from_be_bytes([*high, *low]));
    match length {
        _ if length > V2 => Err(refused("it says that it is too long")),
        _ if length <= head.len() => Ok(Extent::Whole(length)),
        _ => Ok(Extent::More),
    }
}

/// Whom a whole header names; `None`: the balancer itself, or somebody without an address.
fn named(head: &[u8]) -> io::Result<Option<SocketAddr>> {
    let config = ParseConfig {
        include_tlvs: false,
        ..ParseConfig::default()
    };
    match ProxyHeader::parse(head, config) {
        Ok((header, length)) if length == head.len() => {
            Ok(header.proxied_address().map(|address| address.source))
        }
        Ok(_) => Err(refused("something is left over")),
        Err(fault) => Err(refused(&fault.to_string())),
    }
}

/// The length of the header at the beginning of this, and whom it names; `None`: there is no whole one.
#[cfg(any(fuzzing, test))]
pub(crate) fn parse(head: &[u8]) -> Option<(usize, Option<SocketAddr>)> {
    let Extent::Whole(length) = extent(head).ok()? else {
        return None;
    };
    Some((length, named(head.get(..length)?).ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(head: &[u8]) -> Result<Option<SocketAddr>, String> {
        let Extent::Whole(length) = extent(head).map_err(|fault| fault.to_string())? else {
            return Err("more".to_owned());
        };
        named(head.get(..length).unwrap_or_default()).map_err(|fault| fault.to_string())
    }

    /// A header of version 2 with this command, family and body.
    fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(body.len()).unwrap().to_be_bytes();
        [SIGNATURE, &[command, family], &length, body].concat()
    }

    const V4: [u8; 12] = [198, 51, 100, 7, 10, 0, 0, 1, 0x12, 0x67, 0, 80];

    #[test]
    fn the_client_is_named_in_both_versions() {
        let client = "198.51.100.7:4711".parse().ok();
        let one = b"PROXY TCP4 198.51.100.7 10.0.0.1 4711 80\r\nGET / HTTP/1.1\r\n";
        assert_eq!(read(one), Ok(client));
        let six = b"PROXY TCP6 2001:db8::7 2001:db8::1 4711 80\r\n";
        assert_eq!(read(six), Ok("[2001:db8::7]:4711".parse().ok()));
        let two = [v2(0x21, 0x11, &V4), b"GET /".to_vec()].concat();
        assert_eq!(read(&two), Ok(client));
        let with_more = [V4.as_slice(), &[0x05, 0, 3, 1, 2, 3]].concat();
        assert_eq!(read(&v2(0x21, 0x11, &with_more)), Ok(client));
        for itself in [b"PROXY UNKNOWN\r\n".to_vec(), v2(0x20, 0, &[])] {
            assert_eq!(read(&itself), Ok(None));
        }
    }

    #[test]
    fn what_is_no_header_or_too_long_is_refused_as_soon_as_it_is_seen() {
        let long = [b"PROXY UNKNOWN ".as_slice(), &[b'x'; 200]].concat();
        let far = [SIGNATURE, &[0x21, 0x11, 0xff, 0xff]].concat();
        for bad in [
            b"GET / HTTP/1.1\r\n".as_slice(),
            b"PROXX",
            b"\r\n\r\nGET",
            b"\x16\x03\x01",
            &long,
            &far,
        ] {
            assert!(extent(bad).is_err(), "{bad:?}");
        }
        for bad in [
            b"PROXY TCP4 198.51.100.7 10.0.0.1 4711\r\n".as_slice(),
            b"PROXY TCP4 999.51.100.7 10.0.0.1 4711 80\r\n",
            b"PROXY TCP4 2001:db8::7 2001:db8::1 4711 80\r\n",
            b"PROXY TCP4 198.51.100.7 10.0.0.1 4711 80\n",
            b"PROXY \r\n",
            &v2(0x21, 0x11, &[1, 2, 3]),
            &v2(0x31, 0x11, &V4),
            &v2(0x21, 0x77, &V4),
        ] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn networks_of_everybody_and_none_are_no_balancers() {
        for networks in [
            &[] as &[&str],
            &["0.0.0.0/0"],
            &["::/0"],
            &["10.0.0.1/8"],
            &["x"],
        ] {
            assert!(Balancers::new(networks).is_err(), "{networks:?}");
        }
        let balancers = Balancers::new(["10.0.0.0/8", "2001:db8::/32"]).unwrap();
        for (peer, trusted) in [
            ("10.1.2.3:1", true),
            ("[::ffff:10.1.2.3]:1", true),
            ("[2001:db8::1]:1", true),
            ("11.1.2.3:1", false),
        ] {
            assert_eq!(balancers.trust(peer.parse().unwrap()), trusted, "{peer}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived_and_never_more_than_the_bound_is_asked_for(
            start in prop::sample::select(vec![&b""[..], WORD, b"PROXY TCP4 ", SIGNATURE, b"\r\n\r\n\0\r\nQUIT\n\x21\x11"]),
            rest in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let head = [start, &rest].concat();
            match extent(&head) {
                Ok(Extent::Whole(length)) => {
                    prop_assert!(length <= head.len().min(V2));
                    let _ = read(&head);
                }
                Ok(Extent::More) => prop_assert!(head.len() < V2),
                Err(_) => {}
            }
        }
    }
}
