//! The latest of something that clients cause: bounded, and no client can fill it alone.

use std::collections::VecDeque;

use crate::clients::Client;

/// The latest entries. One client has at most a fifth of them.
#[derive(Debug)]
pub(crate) struct Recent<T> {
    entries: VecDeque<(Client, T)>,
    most: usize,
}

impl<T> Recent<T> {
    /// Keeps at most so many.
    pub(crate) const fn new(most: usize) -> Self {
        Self {
            entries: VecDeque::new(),
            most,
        }
    }

    /// Adds an entry, in place of the oldest if there are as many as may be, of this client or of
    /// all.
    pub(crate) fn push(&mut self, client: Client, entry: T) {
        let (mut own, mut oldest) = (0, 0);
        for (at, (other, _)) in self.entries.iter().enumerate().rev() {
            if *other == client {
                (own, oldest) = (own + 1, at);
            }
        }
        if own >= (self.most / 5).max(1) {
            self.entries.remove(oldest);
        } else if self.entries.len() >= self.most {
            self.entries.pop_front();
        }
        self.entries.push_back((client, entry));
    }

    /// The entries, the latest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.entries.iter().rev().map(|(_, entry)| entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(n: u8) -> Client {
        Client::of(Some([192, 0, 2, n].into()), 64)
    }

    #[test]
    fn the_oldest_makes_room_and_one_client_has_a_fifth() {
        let mut recent = Recent::new(10);
        recent.push(client(1), 0);
        for n in 1..=20 {
            recent.push(client(2), n);
        }
        assert_eq!(recent.iter().copied().collect::<Vec<_>>(), [20, 19, 0]);
        for n in 21..=40 {
            recent.push(client(n), n.into());
        }
        let left: Vec<_> = recent.iter().copied().collect();
        assert_eq!(left, (31..=40).rev().collect::<Vec<i32>>());
    }
}
