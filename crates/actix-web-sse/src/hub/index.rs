//! Maps by index: the indexes are this crate's own, no client chooses them, so that their hash
//! need not resist anybody. A stream looks its topic up at each delivery.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
};

pub(super) type IndexMap<V> = HashMap<usize, V, BuildHasherDefault<IndexHasher>>;

/// Fibonacci hashing: neighbours stay apart in the low bits, and the high bits are mixed.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct IndexHasher(u64);

impl Hasher for IndexHasher {
    fn write_usize(&mut self, index: usize) {
        self.0 = (self.0 ^ index as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_usize(usize::from(*byte));
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn indexes_near_to_each_other_get_hashes_that_differ_at_both_ends() {
        let hash = |index: usize| {
            let mut hasher = IndexHasher::default();
            hasher.write_usize(index);
            hasher.finish()
        };
        let low = (0..1024).map(|index| hash(index) & 0x3ff);
        assert_eq!(low.collect::<HashSet<_>>().len(), 1024);
        let high = (0..1024).map(|index| hash(index) >> 57);
        assert_eq!(high.collect::<HashSet<_>>().len(), 128);
    }
}
