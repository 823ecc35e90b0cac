//! The number of streams of each client address, and their maximum.

use std::{
    net::{IpAddr, Ipv6Addr},
    sync::atomic::{AtomicUsize, Ordering},
};

use dashmap::{DashMap, Entry};

/// After this many closed streams the table is shrunk if it has become much too large.
const SHRINK_EVERY: usize = 4096;
/// A smaller table is never shrunk.
const SMALL: usize = 1024;

/// A client as it is counted. An IPv6 address is reduced to its network, because one machine can use
/// any address of it. `None` stands for all clients without an address (Unix sockets).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Client(Option<IpAddr>);

impl Client {
    pub(crate) fn of(address: Option<IpAddr>, ipv6_prefix: u8) -> Self {
        Self(address.map(|address| match address.to_canonical() {
            IpAddr::V6(address) => {
                let keep = u32::from(ipv6_prefix.min(128));
                let mask = u128::MAX.checked_shl(128 - keep).unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from(u128::from(address) & mask))
            }
            v4 @ IpAddr::V4(_) => v4,
        }))
    }

    /// The share of all clients, of `shares`, that this one belongs to. It is the same on every node,
    /// so sums over nodes show whether several clients are behind a number. It does not identify a
    /// client.
    pub(crate) fn share(self, shares: usize) -> usize {
        let octets = match self.0 {
            Some(IpAddr::V4(address)) => u128::from(u32::from(address)),
            Some(IpAddr::V6(address)) => u128::from(address),
            None => 0,
        };
        // FNV-1a, whose low bits depend on every byte.
        let hash = octets
            .to_be_bytes()
            .iter()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
            });
        (hash ^ (hash >> 32)) as usize % shares
    }

    pub(crate) fn address(self) -> Option<IpAddr> {
        self.0
    }
}

/// All client addresses with an open stream. Its size follows their number.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    streams: DashMap<Client, usize>,
    /// How many clients have a number of streams: its largest key is the maximum. A client moves from
    /// one key to another while its entry in `streams` is locked, so the key that it leaves exists.
    holders: DashMap<usize, usize>,
    closed: AtomicUsize,
}

impl Clients {
    /// Counts a stream; returns how many streams the client has now.
    pub(crate) fn open(&self, client: Client) -> usize {
        let mut count = self.streams.entry(client).or_default();
        *count += 1;
        self.step(*count - 1, *count);
        *count
    }

    pub(crate) fn close(&self, client: Client) {
        let Entry::Occupied(mut entry) = self.streams.entry(client) else {
            return;
        };
        let before = *entry.get();
        self.step(before, before - 1);
        if before > 1 {
            *entry.get_mut() = before - 1;
            // Its lock is released here.
            drop(entry);
        } else {
            entry.remove();
        }
        let closed = self.closed.fetch_add(1, Ordering::Relaxed);
        if closed % SHRINK_EVERY == SHRINK_EVERY - 1 {
            self.shrink();
        }
    }

    /// The most streams of one address, and the number of addresses.
    pub(crate) fn levels(&self) -> (usize, usize) {
        let counts = self.holders.iter().map(|holder| *holder.key());
        (counts.max().unwrap_or(0), self.streams.len())
    }

    /// The addresses with the most streams, in descending order. Looks at all of them.
    pub(crate) fn top(&self, count: usize) -> Vec<(Client, usize)> {
        let mut top = Vec::new();
        for entry in &self.streams {
            top.push((*entry.key(), *entry.value()));
            if top.len() >= 2 * count.max(SMALL) {
                keep_top(&mut top, count);
            }
        }
        keep_top(&mut top, count);
        top
    }

    fn step(&self, from: usize, to: usize) {
        if let Entry::Occupied(mut holders) = self.holders.entry(from) {
            if *holders.get() > 1 {
                *holders.get_mut() -= 1;
            } else {
                holders.remove();
            }
        }
        if to > 0 {
            *self.holders.entry(to).or_default() += 1;
        }
    }

    fn shrink(&self) {
        let capacity = self.streams.capacity();
        if capacity > SMALL && self.streams.len() < capacity / 8 {
            self.streams.shrink_to_fit();
        }
    }
}

fn keep_top(clients: &mut Vec<(Client, usize)>, count: usize) {
    clients
        .sort_unstable_by_key(|(client, streams)| (std::cmp::Reverse(*streams), client.address()));
    clients.truncate(count);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(text: &str) -> Client {
        Client::of(Some(text.parse().unwrap()), 64)
    }

    #[test]
    fn l11_an_ipv6_network_is_one_client() {
        assert_eq!(client("2001:db8:1:2::1"), client("2001:db8:1:2::5"));
        assert_ne!(client("2001:db8:1:2::1"), client("2001:db8:1:3::1"));
        assert_eq!(client("::ffff:192.0.2.1"), client("192.0.2.1"));
        assert_eq!(
            Client::of(Some("2001:db8::1".parse().unwrap()), 0).address(),
            Some("::".parse().unwrap()),
        );
    }

    #[test]
    fn the_maximum_follows_every_open_and_close() {
        let clients = Clients::default();
        let (a, b) = (client("192.0.2.1"), client("192.0.2.2"));
        assert_eq!(
            (clients.open(a), clients.open(a), clients.open(a)),
            (1, 2, 3)
        );
        clients.open(b);
        assert_eq!(clients.levels(), (3, 2));
        assert_eq!(clients.top(1), [(a, 3)]);
        clients.close(a);
        assert_eq!(clients.levels(), (2, 2));
        clients.close(a);
        clients.close(a);
        assert_eq!(clients.levels(), (1, 1));
        clients.close(b);
        assert_eq!(clients.levels(), (0, 0));
        clients.close(b);
        assert_eq!(clients.levels(), (0, 0), "a close too many changes nothing");
    }

    #[test]
    fn l15_a_million_addresses_leave_nothing_behind() {
        let clients = Clients::default();
        for n in 0..1_000_000_u32 {
            let client = Client::of(Some(IpAddr::from(n.to_be_bytes())), 64);
            clients.open(client);
            clients.close(client);
        }
        assert_eq!(clients.levels(), (0, 0));
        let room = clients.streams.capacity() + clients.holders.capacity();
        assert!(room < 1024, "{room} entries are still reserved");
    }

    #[test]
    fn l15_a_table_whose_clients_have_gone_is_shrunk() {
        let clients = Clients::default();
        let all = || (0..50_000_u32).map(|n| Client::of(Some(IpAddr::from(n.to_be_bytes())), 64));
        for client in all() {
            clients.open(client);
        }
        assert_eq!(clients.levels(), (1, 50_000));
        assert_eq!(clients.top(3).len(), 3);
        all().for_each(|client| clients.close(client));
        let room = clients.streams.capacity();
        assert!(room < 8192, "{room} entries are still reserved");
    }

    #[test]
    fn threads_that_open_and_close_at_once_leave_no_count_behind() {
        let clients = Clients::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for n in 0..5000_u32 {
                        let client = Client::of(Some(IpAddr::from((n % 7).to_be_bytes())), 64);
                        clients.open(client);
                        clients.open(client);
                        clients.close(client);
                        clients.close(client);
                    }
                });
            }
        });
        assert_eq!(clients.levels(), (0, 0));
        assert!(clients.holders.is_empty(), "{:?}", clients.holders);
    }
}
