//! How far streams are behind, and what becomes of those that stay too far behind (rules 9 and 10 of
//! the [hub](super)).

use std::rc::Rc;

use tokio::time::Instant;

use super::{
    log::GRACE,
    state::{SCAN, State},
    stream::{Lifecycle, Waiting},
    turn::Turn,
    view::IndexMap,
};
use crate::{config::SlowConsumer, observe::CloseReason};

impl State {
    /// Looks how far each stream is behind: ends those that stay too far behind, forgets what
    /// everybody has read.
    pub(super) fn scan(&mut self, turn: &mut Turn<'_>) {
        // After a pause of the whole worker every stream is behind, and none is slow.
        let late = self
            .scan_at
            .map(|at| turn.now.duration_since(at))
            .filter(|late| *late > SCAN)
            .unwrap_or_default();
        let most_events = turn.hub.config.subscriber_events as u64;
        let most_bytes = turn.hub.config.subscriber_bytes as u64;
        let mut ended = Vec::new();
        let mut needed: IndexMap<u64> = IndexMap::default();
        for (_, stream) in &self.streams {
            let mut behind = stream.borrow_mut();
            let Some(following) = &mut behind.subscription else {
                continue;
            };
            if following.waiting == Waiting::Snapshot {
                following.behind_since = None;
                continue;
            }
            let (mut events, mut bytes, mut lost) = (0, 0, false);
            for cursor in &following.cursors {
                if let Some(view) = self.views.get(&cursor.topic) {
                    let from = cursor.next.max(cursor.live_from);
                    events += view.window.next().saturating_sub(from);
                    bytes += view.window.bytes_from(from);
                    // Until it reads again, however little is left for it.
                    lost |= from < view.window.first();
                }
            }
            let within = !lost && events <= most_events && bytes <= most_bytes;
            let keeps_pace = following.waiting != Waiting::No || within;
            let since = following
                .behind_since
                .map_or(turn.now, |since| Instant::from(since) + late);
            following.behind_since = (!keeps_pace).then_some(since.into());
            let slow = !keeps_pace && turn.now.duration_since(since) >= GRACE;
            if slow && turn.hub.config.slow_consumer == SlowConsumer::End {
                ended.push(Rc::clone(stream));
                continue;
            }
            let topics = following.cursors.len().max(1) as u64;
            for cursor in &following.cursors {
                let Some(view) = self.views.get(&cursor.topic) else {
                    continue;
                };
                let mut from = cursor.next.max(cursor.live_from);
                if slow {
                    // It skips what is before that, and learns of it when it reads again. Of several
                    // topics each has its part, for the limits are the stream's.
                    let share = (most_events / topics, most_bytes / topics);
                    from = from.max(view.window.newest_within(share.0, share.1));
                }
                needed
                    .entry(cursor.topic)
                    .and_modify(|least| *least = from.min(*least))
                    .or_insert(from);
            }
        }
        for stream in ended {
            let mut stream = stream.borrow_mut();
            stream.lifecycle = Lifecycle::GivenUp;
            self.finish(&mut stream, CloseReason::SlowConsumer, turn);
        }
        let mut unread = false;
        for (topic, view) in &mut self.views {
            let least = needed
                .get(topic)
                .copied()
                .unwrap_or_else(|| view.window.next());
            view.window.forget_before(least);
            if view.seats.capacity() > 64 && view.seats.len() < view.seats.capacity() / 4 {
                view.seats.shrink_to_fit();
            }
            if view.window.len() == 0 {
                // Everybody has it: an idle topic holds no bytes.
                view.batch = None;
            }
            unread |= view.window.len() > 0;
        }
        self.scan_at = unread.then(|| turn.now + SCAN);
    }
}
