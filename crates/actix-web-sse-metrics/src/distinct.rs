//! Estimates the number of distinct values in constant memory: HyperLogLog
//! (Flajolet et al., 2007), with linear counting for small numbers.

use std::hash::{BuildHasher, Hash, RandomState};

const BITS: u32 = 11;
const REGISTERS: usize = 1 << BITS;

/// 2 KiB; the standard error is 2.3 %. The hash is keyed, so clients cannot choose registers.
#[derive(Debug)]
pub(crate) struct Distinct {
    registers: Box<[u8]>,
    hasher: RandomState,
}

impl Default for Distinct {
    fn default() -> Self {
        Self {
            registers: vec![0; REGISTERS].into(),
            hasher: RandomState::new(),
        }
    }
}

impl Distinct {
    pub(crate) fn insert(&mut self, value: &(impl Hash + ?Sized)) {
        let hash = self.hasher.hash_one(value);
        let index = (hash >> (u64::BITS - BITS)) as usize;
        // The rank of the first one bit in the rest; at most 54, so it fits.
        let rank = ((hash << BITS) | (1 << (BITS - 1))).leading_zeros() as u8 + 1;
        if let Some(register) = self.registers.get_mut(index) {
            *register = (*register).max(rank);
        }
    }

    pub(crate) fn estimate(&self) -> f64 {
        let count = REGISTERS as f64;
        let alpha = 0.7213 / (1.0 + 1.079 / count);
        let sum: f64 = self
            .registers
            .iter()
            .map(|rank| 2_f64.powi(-i32::from(*rank)))
            .sum();
        let raw = alpha * count * count / sum;
        let empty = self.registers.iter().filter(|rank| **rank == 0).count();
        if raw <= 2.5 * count && empty > 0 {
            (count * (count / empty as f64).ln()).round()
        } else {
            raw.round()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_estimate_is_within_ten_per_cent() {
        for distinct in [0_u32, 1, 10, 1000, 100_000] {
            let mut seen = Distinct::default();
            for _ in 0..3 {
                (0..distinct).for_each(|n| seen.insert(&n));
            }
            let error = (seen.estimate() - f64::from(distinct)).abs();
            assert!(
                error <= f64::from(distinct) * 0.1,
                "{distinct}: {}",
                seen.estimate()
            );
        }
    }
}
