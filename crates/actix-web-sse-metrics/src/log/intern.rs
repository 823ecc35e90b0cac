//! Interns texts that many streams share.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

/// The most texts that are shared; further ones are copied for each stream.
const MAX: usize = 512;

/// User agents, routes and origins of open streams. When it is full, texts without a stream are
/// removed.
#[derive(Debug, Default)]
pub(crate) struct Interner(Mutex<HashSet<Arc<str>>>);

impl Interner {
    pub(crate) fn get(&self, text: &str) -> Arc<str> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shared) = known.get(text) {
            return Arc::clone(shared);
        }
        let shared = Arc::<str>::from(text);
        if known.len() >= MAX {
            known.retain(|text| Arc::strong_count(text) > 1);
            // Even a retain that frees one place must not run for every stream.
            if known.len() > MAX / 2 {
                return shared;
            }
        }
        known.insert(Arc::clone(&shared));
        shared
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_kept_once_and_a_flood_of_texts_is_not_kept() {
        let interner = Interner::default();
        let first = interner.get("Mozilla/5.0");
        assert!(Arc::ptr_eq(&first, &interner.get("Mozilla/5.0")));
        for n in 0..10_000 {
            interner.get(&n.to_string());
        }
        assert!(Arc::ptr_eq(&first, &interner.get("Mozilla/5.0")));
        assert!(interner.0.lock().unwrap().len() <= MAX);
    }
}
