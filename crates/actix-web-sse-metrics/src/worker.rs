//! The counts of one worker thread for one route, without a lock or a shared cache line.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    rc::Rc,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use actix_web_sse::observe::{Meter, Sent, SentKind};

use crate::{
    ages::Ages,
    catalogue::{DELIVERY_LAG, Kind, Metric, TIME_TO_FIRST_EVENT, TOPICS_LAG},
    cells::{Cell, CellHistogram, Snapshot, micros},
    trace::TraceContext,
};

/// Stands for "no stream is open" in `Cells::oldest`.
const NONE_OPEN: u64 = u64::MAX;

/// The delays of the topics that a pattern of the configuration matches.
type OfTopics = (Box<str>, Arc<CellHistogram>);

/// The counters of one thread and one route. Written by that thread only.
#[derive(Debug)]
pub(crate) struct Cells {
    event: Cell,
    replay: Cell,
    heartbeat: Cell,
    bytes: Cell,
    dropped: Cell,
    lag: CellHistogram,
    first_event: CellHistogram,
    /// The delays of topics with settings of their own.
    lag_of_topics: Mutex<Vec<OfTopics>>,
    /// When the oldest open stream opened, in milliseconds of the recorder's clock.
    oldest: Cell,
}

/// The sums of all threads of a route.
#[derive(Debug, Clone)]
pub(crate) struct Totals {
    pub(crate) event: u64,
    pub(crate) replay: u64,
    pub(crate) heartbeat: u64,
    pub(crate) bytes: u64,
    pub(crate) dropped: u64,
    pub(crate) lag: Snapshot,
    pub(crate) first_event: Snapshot,
    pub(crate) lag_of_topics: BTreeMap<Box<str>, Snapshot>,
    pub(crate) oldest: Option<Duration>,
}

/// The upper bounds of a row's buckets.
pub(crate) const fn bounds(metric: &Metric) -> &'static [f64] {
    match metric.kind {
        Kind::Histogram(bounds) => bounds,
        Kind::Counter | Kind::Gauge => &[],
    }
}

impl Cells {
    fn new() -> Self {
        let oldest = Cell::default();
        oldest.set(NONE_OPEN);
        Self {
            event: Cell::default(),
            replay: Cell::default(),
            heartbeat: Cell::default(),
            bytes: Cell::default(),
            dropped: Cell::default(),
            lag: CellHistogram::new(bounds(&DELIVERY_LAG)),
            first_event: CellHistogram::new(bounds(&TIME_TO_FIRST_EVENT)),
            lag_of_topics: Mutex::default(),
            oldest,
        }
    }

    pub(crate) fn sent(&self, sent: &Sent<'_>) {
        let events = u64::from(sent.events);
        match sent.kind {
            SentKind::Event => self.event.add(events),
            SentKind::Replay => self.replay.add(events),
            SentKind::Heartbeat => self.heartbeat.add(events),
            // Control lines count as bytes only.
            _ => {}
        }
        self.bytes.add(sent.bytes as u64);
        if let Some(lag) = sent.lag {
            self.lag.observe(micros(lag));
        }
        if let Some(after) = sent.first_event_after {
            self.first_event.observe(micros(after));
        }
    }

    /// The delays of the topics that this pattern matches, made at the first call.
    fn lag_of(&self, topics: &str) -> Arc<CellHistogram> {
        let mut all = lock(&self.lag_of_topics);
        if let Some((_, lag)) = all.iter().find(|(of, _)| **of == *topics) {
            return Arc::clone(lag);
        }
        let lag = Arc::new(CellHistogram::new(bounds(&TOPICS_LAG)));
        all.push((topics.into(), Arc::clone(&lag)));
        lag
    }

    /// Keeps the times of a write that was counted as those of a trace.
    fn exemplify(&self, sent: &Sent<'_>, trace: TraceContext) {
        if let Some(lag) = sent.lag {
            self.lag.exemplify(micros(lag), trace);
        }
        if let Some(after) = sent.first_event_after {
            self.first_event.exemplify(micros(after), trace);
        }
    }

    pub(crate) fn lagged(&self, events: u64) {
        self.dropped.add(events);
    }
}

impl Totals {
    fn zero() -> Self {
        Self {
            event: 0,
            replay: 0,
            heartbeat: 0,
            bytes: 0,
            dropped: 0,
            lag: Snapshot::empty(bounds(&DELIVERY_LAG)),
            first_event: Snapshot::empty(bounds(&TIME_TO_FIRST_EVENT)),
            lag_of_topics: BTreeMap::new(),
            oldest: None,
        }
    }

    fn add(&mut self, cells: &Cells) {
        self.event += cells.event.get();
        self.replay += cells.replay.get();
        self.heartbeat += cells.heartbeat.get();
        self.bytes += cells.bytes.get();
        self.dropped += cells.dropped.get();
        self.lag.merge(&cells.lag.snapshot());
        self.first_event.merge(&cells.first_event.snapshot());
        for (topics, lag) in lock(&cells.lag_of_topics).iter() {
            let all = self.lag_of_topics.entry(topics.clone());
            all.or_insert_with(|| Snapshot::empty(bounds(&TOPICS_LAG)))
                .merge(&lag.snapshot());
        }
        let oldest = cells.oldest.get();
        if oldest != NONE_OPEN {
            let oldest = Duration::from_millis(oldest);
            self.oldest = Some(self.oldest.map_or(oldest, |other| other.min(oldest)));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// All threads' cells of one route.
#[derive(Debug)]
pub(crate) struct Threads(Mutex<Shards>);

#[derive(Debug)]
struct Shards {
    live: Vec<Arc<Cells>>,
    /// The sums of threads that have ended.
    ended: Totals,
}

impl Default for Threads {
    fn default() -> Self {
        Self(Mutex::new(Shards {
            live: Vec::new(),
            ended: Totals::zero(),
        }))
    }
}

impl Threads {
    pub(crate) fn totals(&self) -> Totals {
        let mut shards = lock(&self.0);
        let Shards { live, ended } = &mut *shards;
        live.retain_mut(|cells| {
            // There is no other reference to these cells: their thread and its streams have ended.
            let Some(cells) = Arc::get_mut(cells) else {
                return true;
            };
            ended.add(cells);
            ended.oldest = None;
            false
        });
        let mut totals = ended.clone();
        live.iter().for_each(|cells| totals.add(cells));
        totals
    }
}

/// A thread's handle of its cells. It is not `Send`, so the cells have one writer.
#[derive(Debug)]
pub(crate) struct Local {
    pub(crate) cells: Arc<Cells>,
    /// Those of the cells that this thread has used: it need not lock them again.
    lag_of_topics: RefCell<Vec<OfTopics>>,
    ages: RefCell<Ages>,
}

thread_local! {
    static LOCALS: RefCell<Vec<(Weak<Threads>, Rc<Local>)>> = const { RefCell::new(Vec::new()) };
}

impl Meter for Local {
    fn sent(&self, sent: &Sent<'_>) {
        self.cells.sent(sent);
        if let (Some(topics), Some(lag)) = (sent.topics, sent.lag) {
            self.lag_of(topics, micros(lag));
        }
    }
}

/// Counts the writes of a stream that belongs to a sampled trace. All other streams of a route share
/// their thread's [`Local`].
#[derive(Debug)]
pub(crate) struct Traced {
    pub(crate) local: Rc<Local>,
    pub(crate) trace: TraceContext,
}

impl Meter for Traced {
    fn sent(&self, sent: &Sent<'_>) {
        self.local.sent(sent);
        self.local.cells.exemplify(sent, self.trace);
    }
}

impl Local {
    fn lag_of(&self, topics: &str, micros: u64) {
        let mut all = self.lag_of_topics.borrow_mut();
        if let Some((_, lag)) = all.iter().find(|(of, _)| **of == *topics) {
            return lag.observe(micros);
        }
        let lag = self.cells.lag_of(topics);
        lag.observe(micros);
        all.push((topics.into(), lag));
    }

    /// This thread's cells of a route, made at the first call.
    pub(crate) fn of(threads: &Arc<Threads>) -> Rc<Self> {
        LOCALS
            .try_with(|locals| {
                let mut locals = locals.borrow_mut();
                let known = locals
                    .iter()
                    .find(|(of, _)| std::ptr::eq(of.as_ptr(), Arc::as_ptr(threads)));
                if let Some((_, local)) = known {
                    return Rc::clone(local);
                }
                // The recorders of tests and of reloaded applications come and go.
                locals.retain(|(of, _)| of.strong_count() > 0);
                let local = Rc::new(Self::register(threads));
                locals.push((Arc::downgrade(threads), Rc::clone(&local)));
                local
            })
            // The thread is ending and its locals are gone.
            .unwrap_or_else(|_| Rc::new(Self::register(threads)))
    }

    fn register(threads: &Threads) -> Self {
        let cells = Arc::new(Cells::new());
        let mut shards = lock(&threads.0);
        shards.live.push(Arc::clone(&cells));
        Self {
            cells,
            lag_of_topics: RefCell::default(),
            ages: RefCell::default(),
        }
    }

    /// Adds a stream that opened at `now`.
    pub(crate) fn open(&self, now: Duration) -> u64 {
        let mut ages = self.ages.borrow_mut();
        let key = ages.open(now);
        self.publish(&ages);
        key
    }

    /// Removes a stream that ended.
    pub(crate) fn close(&self, key: u64) {
        let mut ages = self.ages.borrow_mut();
        ages.close(key);
        self.publish(&ages);
    }

    fn publish(&self, ages: &Ages) {
        let millis = |opened: Duration| u64::try_from(opened.as_millis()).unwrap_or(u64::MAX - 1);
        self.cells
            .oldest
            .set(ages.oldest().map_or(NONE_OPEN, millis));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_ended_leaves_its_sums_and_nothing_else() {
        let threads = Arc::new(Threads::default());
        for _ in 0..10 {
            let threads = Arc::clone(&threads);
            std::thread::spawn(move || {
                let local = Local::of(&threads);
                local.open(Duration::from_secs(1));
                local.cells.sent(&Sent::new(SentKind::Event, 2, 10));
                assert!(Rc::ptr_eq(&local, &Local::of(&threads)));
            })
            .join()
            .unwrap();
        }
        for _ in 0..2 {
            let totals = threads.totals();
            assert_eq!((totals.event, totals.bytes, totals.oldest), (20, 100, None));
        }
        assert_eq!(threads.0.lock().unwrap().live.len(), 0);
    }

    #[test]
    fn the_oldest_stream_is_that_of_any_thread() {
        let threads = Arc::new(Threads::default());
        let local = Local::of(&threads);
        let first = local.open(Duration::from_secs(3));
        let second = local.open(Duration::from_secs(4));
        assert_eq!(threads.totals().oldest, Some(Duration::from_secs(3)));
        local.close(first);
        assert_eq!(threads.totals().oldest, Some(Duration::from_secs(4)));
        local.close(second);
        assert_eq!(threads.totals().oldest, None);
    }
}
