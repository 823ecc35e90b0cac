//! What workers know of single open streams, and the end of one (rule 15 of the [hub](super)).

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::mpsc,
    time::{Instant, timeout},
};

use super::{Hub, mailbox::Command, state::State, stream::Stream, turn::Turn};
use crate::observe::{CloseReason, ConnectionId};

/// How long workers have to answer. One that something blocks for longer is left out.
const PATIENCE: Duration = Duration::from_secs(1);

/// One open stream, as its worker saw it when it was asked ([`Hub::streams`]).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamStats {
    /// Which stream it is: [`Opened::connection`](crate::observe::Opened::connection).
    pub connection: ConnectionId,
    /// The topics that it follows. None if its events are its own ([`Sse`](crate::Sse)).
    pub topics: Vec<Arc<str>>,
    /// Since the request.
    pub age: Duration,
    /// Events handed to the connection, replayed ones included.
    pub events: u64,
    /// Heartbeats handed to the connection.
    pub heartbeats: u64,
    /// Body bytes handed to the connection.
    pub bytes: u64,
    /// Since the latest write; `None` if there was none yet.
    pub last_write: Option<Duration>,
    /// Events of its topics that it has not read.
    pub behind_events: u64,
    /// Since the publication of the oldest of them.
    pub behind_for: Duration,
    /// Why it is about to end, if it is.
    pub ending: Option<CloseReason>,
}

/// The most streams of a user that are described.
const MOST: usize = 1000;

/// Which streams a question is about.
#[derive(Debug)]
enum Asked {
    Connections(HashSet<ConnectionId>),
    User(Arc<str>),
}

/// A question about some streams, of which every worker gets a copy. It is answered when all copies
/// are gone.
#[derive(Debug, Clone)]
pub(crate) struct Inquiry {
    asked: Arc<Asked>,
    found: Arc<Mutex<Vec<StreamStats>>>,
    /// Nothing is sent: whoever asks waits until the last copy is dropped.
    copy: mpsc::Sender<()>,
}

impl Inquiry {
    /// Nobody waits for the answer any more.
    pub(super) fn is_abandoned(&self) -> bool {
        self.copy.is_closed()
    }

    /// Whether it is about this stream, and what is then known of it. Those of a user are looked up by its name.
    fn asks_for(&self, stream: &Stream, now: Instant) -> Option<StreamStats> {
        let counted = stream.account.counted(now)?;
        let is_asked = match &*self.asked {
            Asked::Connections(connections) => connections.contains(&counted.connection),
            Asked::User(_) => true,
        };
        is_asked.then(|| StreamStats {
            connection: counted.connection,
            topics: Vec::new(),
            age: counted.age,
            events: counted.events,
            heartbeats: counted.heartbeats,
            bytes: counted.bytes,
            last_write: counted.last_write,
            behind_events: 0,
            behind_for: Duration::ZERO,
            ending: stream.ending,
        })
    }

    /// Adds one worker's answer. Wakes nobody.
    fn answer(&self, found: Vec<StreamStats>) {
        let mut all = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        all.extend(found);
    }
}

impl State {
    /// Answers with what is known of the streams that are asked for; their keys.
    pub(super) fn inspect(&self, inquiry: &Inquiry, turn: &Turn<'_>) -> Vec<usize> {
        let (mut keys, mut found) = (Vec::new(), Vec::new());
        let streams: &mut dyn Iterator<Item = usize> = match &*inquiry.asked {
            Asked::Connections(_) => &mut self.streams.iter().map(|(key, _)| key),
            Asked::User(user) => &mut self.keys_of(user).take(MOST),
        };
        for key in streams {
            let Some(stream) = self.streams.get(key).map(|stream| stream.borrow()) else {
                continue;
            };
            if let Some(mut stats) = inquiry.asks_for(&stream, turn.now) {
                self.add_lag(&mut stats, &stream, turn);
                keys.push(key);
                found.push(stats);
            }
        }
        inquiry.answer(found);
        keys
    }

    /// Adds the topics, and how far the stream is behind in them.
    fn add_lag(&self, stats: &mut StreamStats, stream: &Stream, turn: &Turn<'_>) {
        let core = turn.hub.core();
        let topics = stream.cursors().iter();
        stats.topics = topics
            .filter_map(|cursor| core.topic_name(cursor.topic))
            .collect();
        drop(core);
        for (cursor, view) in stream
            .cursors()
            .iter()
            .filter_map(|cursor| Some((cursor, self.views.get(&cursor.topic)?)))
        {
            let window = &view.window;
            stats.behind_events += window.next().saturating_sub(cursor.next);
            let oldest = window.get(cursor.next.max(window.first()));
            let since = oldest.map(|frame| turn.now.saturating_duration_since(frame.published));
            stats.behind_for = stats.behind_for.max(since.unwrap_or_default());
        }
        if stream.awaits_snapshot() {
            // Nothing is kept for it: what it lacks is in the snapshot, or in the log after it.
            (stats.behind_events, stats.behind_for) = (0, Duration::ZERO);
        }
    }
}

impl Hub {
    /// What the workers of this process know of these streams, as far as they are open: for pages and
    /// tools of operators. An [`Observer`](crate::observe::Observer) learns which streams there are.
    ///
    /// Each worker looks at all of its streams, in one go, and reads what a stream keeps anyhow:
    /// between two calls this costs nothing. A worker that does not answer within a second is left
    /// out.
    pub async fn streams(
        &self,
        connections: impl IntoIterator<Item = ConnectionId>,
    ) -> Vec<StreamStats> {
        let connections = connections.into_iter().collect();
        self.inquire(Asked::Connections(connections), Command::Inspect)
            .await
    }

    /// The same of the open streams of a user, those that [`disconnect`](Self::disconnect) would end: at most 1000 of them. A
    /// worker finds them by the name and looks at no others.
    pub async fn streams_of(&self, user: &str) -> Vec<StreamStats> {
        let mut streams = self
            .inquire(Asked::User(user.into()), Command::Inspect)
            .await;
        streams.truncate(MOST);
        streams
    }

    /// Ends one stream of this process; whether that was done. A stream whose worker does not answer within a second
    /// goes on. Its client may come back:
    /// [`Policy::revoke`](crate::Policy::revoke) takes credentials back.
    ///
    /// The stream ends with [`CloseReason::Revoked`], as by [`disconnect`](Self::disconnect).
    pub async fn disconnect_stream(&self, connection: ConnectionId) -> bool {
        let found = self
            .inquire(
                Asked::Connections(HashSet::from([connection])),
                Command::Connections,
            )
            .await;
        !found.is_empty()
    }

    async fn inquire(
        &self,
        asked: Asked,
        command: impl FnOnce(Inquiry) -> Command,
    ) -> Vec<StreamStats> {
        let found = Arc::<Mutex<Vec<_>>>::default();
        let (copy, mut copies) = mpsc::channel(1);
        self.shared.command(&command(Inquiry {
            asked: Arc::new(asked),
            found: Arc::clone(&found),
            copy,
        }));
        // `None`, when no copy is left.
        let _ = timeout(PATIENCE, copies.recv()).await;
        std::mem::take(&mut found.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
