//! Rejected origins: counted by name up to a bound.
//!
//! An origin gets its own label after a number of rejections. The first K origins keep their labels,
//! so that no counter disappears. Candidates are kept in a table of fixed size in which the rarest is
//! replaced (after Space-Saving, Metwally et al., 2005), so a flood of random origins cannot displace
//! one that is frequent. One client can cause at most half of the labels, and a fifth of the latest
//! rejections that operators see.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use actix_web_sse::observe::{RefusalMode, RefusalReason};

use prometheus::IntCounter;

use crate::{clients::Client, distinct::Distinct, log::escape, recent::Recent};

/// The most candidates for a label.
const CANDIDATES: usize = 256;
/// The longest origin that can be a label, in bytes.
const MAX_LENGTH: usize = 100;
/// The number of rejections that the operators' endpoint shows.
const LATEST: usize = 50;

/// A rejection as operators see it.
#[derive(Debug, Clone)]
pub(crate) struct Rejection {
    pub(crate) at: SystemTime,
    /// Escaped and cut.
    pub(crate) origin: String,
    pub(crate) reason: RefusalReason,
    pub(crate) mode: RefusalMode,
}

#[derive(Debug)]
pub(crate) struct RejectedOrigins {
    labels: usize,
    threshold: u32,
    state: Mutex<State>,
    overflow: IntCounter,
}

#[derive(Debug)]
struct State {
    labelled: HashMap<Box<str>, PerRoute>,
    /// How many labels each client's rejections have earned; no more entries than labels.
    earned: HashMap<Client, usize>,
    other: PerRoute,
    candidates: HashMap<Box<str>, u32>,
    distinct: Distinct,
    latest: Recent<Rejection>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            labelled: HashMap::new(),
            earned: HashMap::new(),
            other: PerRoute::new(),
            candidates: HashMap::new(),
            distinct: Distinct::default(),
            latest: Recent::new(LATEST),
        }
    }
}

/// Rejections by the label of the route.
pub(crate) type PerRoute = BTreeMap<Arc<str>, u64>;

/// What is exported.
#[derive(Debug, PartialEq)]
pub(crate) struct Counts {
    pub(crate) labelled: Vec<(Box<str>, PerRoute)>,
    pub(crate) other: PerRoute,
    pub(crate) distinct: f64,
}

impl RejectedOrigins {
    /// At most `labels` origins with a name, each after `threshold` rejections.
    pub(crate) fn new(labels: usize, threshold: u32, overflow: IntCounter) -> Self {
        Self {
            labels,
            threshold: threshold.max(1),
            state: Mutex::default(),
            overflow,
        }
    }

    /// Records a rejection of these header bytes for operators and for the distinct count.
    pub(crate) fn note(
        &self,
        raw: &[u8],
        reason: RefusalReason,
        mode: RefusalMode,
        client: Client,
    ) {
        let rejection = Rejection {
            at: SystemTime::now(),
            origin: escape::client_value(raw),
            reason,
            mode,
        };
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.latest.push(client, rejection);
        // In report-only mode nothing is rejected.
        if mode != RefusalMode::ReportOnly {
            // The whole of a header of 100 KB would be hashed under the lock: its start and its
            // length tell it apart well enough for an estimate.
            let start = raw.get(..escape::MAX_BYTES).unwrap_or(raw);
            state.distinct.insert(&(start, raw.len()));
        }
    }

    /// Counts a rejection of these header bytes, which this client sent, at the route of this
    /// label.
    pub(crate) fn count(&self, raw: &[u8], route: &Arc<str>, client: Client) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match label(raw) {
            Some(origin) => state.count(origin, route, client, self),
            None => *state.other.entry(Arc::clone(route)).or_default() += 1,
        }
    }

    pub(crate) fn counts(&self) -> Counts {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut labelled: Vec<_> = state
            .labelled
            .iter()
            .map(|(origin, counts)| (origin.clone(), counts.clone()))
            .collect();
        labelled.sort_unstable();
        Counts {
            labelled,
            other: state.other.clone(),
            distinct: state.distinct.estimate(),
        }
    }

    /// The latest rejections, the latest first.
    pub(crate) fn latest(&self) -> Vec<Rejection> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.latest.iter().cloned().collect()
    }

    /// How many labels there can be besides `other`.
    pub(crate) const fn max(&self) -> usize {
        self.labels
    }
}

impl State {
    fn count(&mut self, origin: &str, route: &Arc<str>, client: Client, bounds: &RejectedOrigins) {
        if let Some(counts) = self.labelled.get_mut(origin) {
            *counts.entry(Arc::clone(route)).or_default() += 1;
            return;
        }
        if self.labelled.len() >= bounds.labels {
            bounds.overflow.inc();
            // There are no labels left.
            self.candidates = HashMap::new();
        } else {
            let seen = match self.candidates.get_mut(origin) {
                Some(seen) => {
                    *seen += 1;
                    *seen
                }
                None => self.admit(origin),
            };
            let earned = self.earned.get(&client).copied().unwrap_or(0);
            if seen >= bounds.threshold && earned < (bounds.labels / 2).max(1) {
                self.earned.insert(client, earned + 1);
                self.candidates.remove(origin);
                // Its first sample is 1: the rejections before were counted as `other`. The rules
                // take the first sample of a new series for an increase.
                self.labelled
                    .insert(origin.into(), PerRoute::from([(Arc::clone(route), 1)]));
                return;
            }
        }
        *self.other.entry(Arc::clone(route)).or_default() += 1;
    }

    /// Adds a candidate, in place of the rarest if the table is full. Unlike in Space-Saving it does
    /// not inherit the count: with it a flood of new origins would reach the threshold.
    fn admit(&mut self, origin: &str) -> u32 {
        if self.candidates.len() >= CANDIDATES {
            let rarest = self.candidates.iter().min_by_key(|(_, seen)| **seen);
            if let Some(rarest) = rarest.map(|(rarest, _)| rarest.clone()) {
                self.candidates.remove(&rarest);
            }
        }
        self.candidates.insert(origin.into(), 1);
        1
    }
}

/// The origin, if it may stand in a label: what a browser serialises (`scheme://host[:port]`), in
/// its own alphabet and of bounded length, or `null`.
fn label(raw: &[u8]) -> Option<&str> {
    // The length first: looking at a header of 100 KB took longer than parsing it.
    if raw.len() > MAX_LENGTH {
        return None;
    }
    let origin = std::str::from_utf8(raw).ok()?;
    if origin == "null" {
        return Some(origin);
    }
    let (scheme, authority) = origin.split_once("://")?;
    let scheme_ok = !scheme.is_empty()
        && scheme
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+-.".contains(&b));
    let authority_ok = !authority.is_empty()
        && authority
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-_:[]".contains(&b));
    (scheme_ok && authority_ok).then_some(origin)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rejected(labels: usize, threshold: u32) -> RejectedOrigins {
        let overflow = IntCounter::new("overflow", "Values that became other.").unwrap();
        RejectedOrigins::new(labels, threshold, overflow)
    }

    fn client(n: u32) -> Client {
        Client::of(Some(n.to_be_bytes().into()), 64)
    }

    fn reject_from(origins: &RejectedOrigins, origin: &str, client: Client) {
        let raw = origin.as_bytes();
        origins.note(raw, RefusalReason::OriginDenied, RefusalMode::Hard, client);
        origins.count(raw, &"/events".into(), client);
    }

    /// Each origin has a client of its own.
    fn reject(origins: &RejectedOrigins, origin: &str) {
        let n = origin.bytes().fold(0_u32, |n, byte| {
            n.wrapping_mul(31).wrapping_add(byte.into())
        });
        reject_from(origins, origin, client(n));
    }

    fn total(counts: &Counts) -> u64 {
        let labelled = counts
            .labelled
            .iter()
            .flat_map(|(_, routes)| routes.values());
        labelled.chain(counts.other.values()).sum()
    }

    #[test]
    fn h02_one_client_earns_half_of_the_labels_and_fills_a_fifth_of_what_operators_see() {
        let origins = rejected(4, 2);
        for n in 0..50 {
            reject_from(&origins, "https://honest.example", client(n));
        }
        for n in 0..10_000 {
            reject_from(&origins, &format!("https://{}.attack", n / 5), client(1000));
        }
        for n in 0..5 {
            reject_from(&origins, "https://late.example", client(n));
        }
        let labelled = origins.counts().labelled;
        let named = |name: &str| labelled.iter().any(|(origin, _)| **origin == *name);
        assert!(named("https://honest.example") && named("https://late.example"));
        assert_eq!(labelled.len(), 4, "{labelled:?}");
        let of_one = origins.latest().into_iter();
        let of_one = of_one.filter(|rejection| rejection.origin.ends_with(".attack"));
        assert_eq!(of_one.count(), LATEST / 5);
    }

    #[test]
    fn each_route_has_counts_of_its_own() {
        let origins = rejected(4, 1);
        for route in ["/events", "/news", "/news"] {
            origins.count(b"https://lost.example.com", &route.into(), client(1));
            origins.count(b"no origin at all", &route.into(), client(1));
        }
        let counts = origins.counts();
        let expected = PerRoute::from([("/events".into(), 1), ("/news".into(), 2)]);
        assert_eq!(counts.labelled[0].1, expected);
        assert_eq!(counts.other, expected);
    }

    #[test]
    fn a_frequent_origin_earns_its_label_and_no_rejection_is_lost() {
        let origins = rejected(2, 3);
        for _ in 0..5 {
            reject(&origins, "https://staging.example.com");
        }
        reject(&origins, "https://once.example.com");
        let counts = origins.counts();
        let staging = (
            "https://staging.example.com".into(),
            PerRoute::from([("/events".into(), 3)]),
        );
        assert_eq!(counts.labelled, [staging], "from the third on");
        assert_eq!(counts.other, PerRoute::from([("/events".into(), 3)]));
        assert!((counts.distinct - 2.0).abs() < 0.5);
    }

    #[test]
    fn labels_are_for_good_and_never_more_than_k() {
        let origins = rejected(2, 2);
        for n in 0..10 {
            (0..5).for_each(|_| reject(&origins, &format!("https://{n}.example")));
        }
        let counts = origins.counts();
        assert_eq!(counts.labelled.len(), 2);
        assert_eq!(total(&counts), 50);
        assert!(origins.overflow.get() > 0);
    }

    #[test]
    fn a_flood_of_random_origins_does_not_hide_one_that_keeps_coming() {
        let origins = rejected(5, 10);
        for n in 0..10_000 {
            reject(&origins, &format!("https://{n}.attack.example"));
            if n % 20 == 0 {
                reject(&origins, "https://new-frontend.example.com");
            }
        }
        let counts = origins.counts();
        assert_eq!(counts.labelled.len(), 1, "{:?}", counts.labelled);
        assert_eq!(&*counts.labelled[0].0, "https://new-frontend.example.com");
    }

    #[test]
    fn m04_only_what_a_browser_serialises_becomes_a_label() {
        for origin in [
            "https://a.example:8443",
            "http://[::1]:5173",
            "null",
            "app://-",
        ] {
            assert_eq!(label(origin.as_bytes()), Some(origin));
        }
        let long = format!("https://{}.example", "a".repeat(100));
        for origin in [
            "",
            "https://",
            "://a",
            "https://A.example",
            "https://a/",
            "a b://c",
            "x\"y",
            "https://a\n",
            "https://a, https://b",
            long.as_str(),
        ] {
            assert_eq!(label(origin.as_bytes()), None, "{origin}");
        }
        assert_eq!(label(b"https://\xff"), None);
    }

    #[test]
    fn what_is_only_reported_is_remembered_and_not_counted() {
        let origins = rejected(5, 1);
        origins.note(
            b"https://a.example",
            RefusalReason::OriginDenied,
            RefusalMode::ReportOnly,
            client(1),
        );
        assert_eq!(total(&origins.counts()), 0);
        assert_eq!(origins.latest()[0].origin, "https://a.example");
    }
}
