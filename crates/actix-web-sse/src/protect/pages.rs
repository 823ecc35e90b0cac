//! One [`AllowedPage`] for all streams of an origin.

use std::sync::{Arc, Weak};

use dashmap::DashMap;

use crate::identity::{AllowedPage, Pages};

/// The most origins whose pages are shared; where an allow-list has wildcards, there may be any number. Those
/// beyond have one for each stream.
const MAX: usize = 512;

/// The pages of open streams, by origin.
#[derive(Debug, Default)]
pub(super) struct SharedPages(DashMap<Box<str>, Weak<AllowedPage>>);

impl SharedPages {
    /// The page of this origin, as the policy lets it in after so many replacements of its rules.
    pub(super) fn get(&self, policy: &Arc<dyn Pages>, origin: &str, seen: u64) -> Arc<AllowedPage> {
        let known = self.0.get(origin).and_then(|page| page.upgrade());
        if let Some(page) = known.filter(|page| page.seen() == seen) {
            return page;
        }
        let page = Arc::new(AllowedPage::new(Arc::clone(policy), origin, seen));
        if self.0.len() >= MAX {
            self.0.retain(|_, page| page.strong_count() > 0);
            // Even a retain that frees one place must not run for every stream.
            if self.0.len() > MAX / 2 {
                return page;
            }
        }
        self.0.insert(origin.into(), Arc::downgrade(&page));
        page
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Everybody;

    impl Pages for Everybody {
        fn still_allows(&self, _: &str) -> bool {
            true
        }

        fn replacements(&self) -> u64 {
            0
        }

        fn enroll(&self, _: &Weak<dyn crate::identity::PolicyStreams>) {}
    }

    #[test]
    fn streams_of_an_origin_share_its_page_until_the_rules_are_replaced() {
        let (pages, policy) = (
            SharedPages::default(),
            Arc::new(Everybody) as Arc<dyn Pages>,
        );
        let first = pages.get(&policy, "https://a.example", 0);
        assert!(Arc::ptr_eq(
            &first,
            &pages.get(&policy, "https://a.example", 0)
        ));
        assert!(!Arc::ptr_eq(
            &first,
            &pages.get(&policy, "https://b.example", 0)
        ));
        let newer = pages.get(&policy, "https://a.example", 1);
        assert_eq!((first.seen(), newer.seen()), (0, 1));
        assert!(Arc::ptr_eq(
            &newer,
            &pages.get(&policy, "https://a.example", 1)
        ));
    }

    #[test]
    fn a_flood_of_origins_is_not_kept() {
        let (pages, policy) = (
            SharedPages::default(),
            Arc::new(Everybody) as Arc<dyn Pages>,
        );
        let open = (0..2 * MAX)
            .map(|n| pages.get(&policy, &format!("https://{n}.example"), 0))
            .collect::<Vec<_>>();
        assert!(pages.0.len() <= MAX);
        drop(open);
        for n in 0..10 * MAX {
            drop(pages.get(&policy, &format!("https://{n}.example"), 0));
        }
        assert!(pages.0.len() <= MAX);
        assert!(
            Arc::strong_count(&policy) == 1,
            "nothing keeps the policy alive"
        );
    }
}
