//! How many streams each client address holds, with the maximum always at hand.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, PoisonError},
};

const SHARDS: usize = 16;

/// A client as it is counted: an IPv6 address stands for its whole network, for a single machine
/// has as many addresses of it as it likes. `None` is everybody without an address (Unix sockets).
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

    /// Which of so many shares of all clients this one belongs to: the same one on every node, so
    /// that whoever sums up nodes sees whether several clients stand behind a number. Says too
    /// little to name anybody.
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

/// One shard: the streams of each address, and how many addresses hold how many streams, from
/// which the maximum follows without a search.
#[derive(Debug, Default)]
struct Shard {
    streams: HashMap<Client, usize>,
    /// At index n, the addresses with n streams.
    holders: Vec<usize>,
    max: usize,
}

impl Shard {
    fn open(&mut self, client: Client) -> usize {
        let count = self.streams.entry(client).or_default();
        *count += 1;
        let count = *count;
        if self.holders.len() <= count {
            self.holders.resize(count + 1, 0);
        }
        self.step(count - 1, count);
        self.max = self.max.max(count);
        count
    }

    fn close(&mut self, client: Client) {
        let Some(count) = self.streams.get_mut(&client) else {
            return;
        };
        let before = *count;
        *count -= 1;
        if *count == 0 {
            self.streams.remove(&client);
            if self.streams.capacity() > 1024 && self.streams.len() < self.streams.capacity() / 8 {
                self.streams.shrink_to(self.streams.len() * 2);
            }
        }
        self.step(before, before - 1);
        // It was the only one with the most: now it has one less, and still the most.
        if before == self.max && self.holders.get(before) == Some(&0) {
            self.max = before - 1;
            self.holders.truncate(self.max + 1);
        }
    }

    fn step(&mut self, from: usize, to: usize) {
        if let Some(holders) = self.holders.get_mut(from).filter(|_| from > 0) {
            *holders -= 1;
        }
        if let Some(holders) = self.holders.get_mut(to).filter(|_| to > 0) {
            *holders += 1;
        }
    }
}

/// All client addresses with an open stream; as large as their number and no larger.
#[derive(Debug)]
pub(crate) struct Clients {
    shards: [Mutex<Shard>; SHARDS],
    hasher: RandomState,
}

impl Default for Clients {
    fn default() -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
            hasher: RandomState::new(),
        }
    }
}

impl Clients {
    /// Counts a stream; returns how many the client holds now.
    pub(crate) fn open(&self, client: Client) -> usize {
        self.with(client, |shard| shard.open(client)).unwrap_or(1)
    }

    pub(crate) fn close(&self, client: Client) {
        self.with(client, |shard| shard.close(client));
    }

    /// The most streams that one address holds, and how many addresses there are.
    pub(crate) fn levels(&self) -> (usize, usize) {
        self.shards.iter().fold((0, 0), |(max, clients), shard| {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            (max.max(shard.max), clients + shard.streams.len())
        })
    }

    /// The addresses with the most streams, most first. Looks at all of them.
    pub(crate) fn top(&self, count: usize) -> Vec<(Client, usize)> {
        let mut top = Vec::new();
        for shard in &self.shards {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            top.extend(
                shard
                    .streams
                    .iter()
                    .map(|(client, streams)| (*client, *streams)),
            );
            drop(shard);
            top.sort_unstable_by_key(|(client, streams)| {
                (std::cmp::Reverse(*streams), client.address())
            });
            top.truncate(count);
        }
        top
    }

    fn with<R>(&self, client: Client, f: impl FnOnce(&mut Shard) -> R) -> Option<R> {
        let index = self.hasher.hash_one(client) as usize % SHARDS;
        let shard = self.shards.get(index)?;
        Some(f(&mut shard.lock().unwrap_or_else(PoisonError::into_inner)))
    }
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
        let room: usize = clients
            .shards
            .iter()
            .map(|shard| {
                let shard = shard.lock().unwrap();
                shard.streams.capacity() + shard.holders.capacity()
            })
            .sum();
        assert!(room < 1024, "{room} entries are still reserved");
    }
}
