//! The backplane's thread: sessions with Redis, one after the other.

use std::{sync::mpsc::SyncSender, thread, time::Duration};

use redis::RedisError;
use tokio::{select, sync::mpsc, time::sleep};

use crate::{
    address::Addresses,
    backoff::Backoff,
    backplane::Listener,
    error::StartError,
    held,
    node::Node,
    reader,
    request::{Request, TicketUse},
    session::{End, Session},
    words::Word,
};

/// What happens to the connection, for a log.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LinkChange {
    /// Redis answers.
    Connected {
        /// Where: host and port.
        at: String,
    },
    /// It cannot be reached, or no longer.
    Lost {
        /// Where: host and port.
        at: String,
        /// What happened; no secret is in it.
        why: String,
        /// When the next attempt is made.
        retry_in: Duration,
    },
}

/// The first word of the thread to whoever starts it.
pub(crate) type First = SyncSender<Result<(), StartError>>;

struct Engine {
    node: Node,
    addresses: Addresses,
    requests: mpsc::UnboundedReceiver<Request>,
    listener: Listener,
    first: Option<First>,
}

/// Starts the thread. It ends when nobody can ask it for anything any more.
pub(crate) fn spawn(
    node: Node,
    requests: mpsc::UnboundedReceiver<Request>,
    listener: Listener,
    first: First,
) -> Result<(), StartError> {
    let addresses = Addresses::parse(&node.config.redis)?;
    let trouble = |error: std::io::Error| StartError::Thread(error.to_string());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(trouble)?;
    let run = move || {
        let engine = Engine {
            node,
            addresses,
            requests,
            listener,
            first: Some(first),
        };
        runtime.block_on(engine.run());
    };
    let thread = thread::Builder::new().name("sse-redis".to_owned());
    thread.spawn(run).map(drop).map_err(trouble)
}

impl Engine {
    async fn run(mut self) {
        let config = &self.node.config;
        let mut backoff = Backoff::new(config.backoff_least, config.backoff_most);
        loop {
            let Some(session) = self.connect().await else {
                return;
            };
            let error = match session {
                Ok(session) => {
                    backoff.reset();
                    reader::connected(&self.node, true);
                    let at = self.addresses.name();
                    self.tell(&LinkChange::Connected { at });
                    if let Some(first) = self.first.take() {
                        let _ = first.send(Ok(()));
                    }
                    let end = session.run(&self.node, &mut self.requests).await;
                    reader::connected(&self.node, false);
                    match end {
                        End::Failed(error) => error,
                        End::Unused => return,
                    }
                }
                Err(error) => error,
            };
            if !self.wait(&error, &mut backoff).await {
                return;
            }
        }
    }

    fn tell(&self, change: &LinkChange) {
        if let Some(listener) = &self.listener {
            listener(change);
        }
    }

    /// Makes the connections; whoever publishes meanwhile is told that there is none. `None`:
    /// nobody is left to connect for.
    async fn connect(&mut self) -> Option<Result<Session, RedisError>> {
        let target = self.addresses.target()?.clone();
        select! {
            session = Session::open(&self.node, &target) => Some(session),
            () = refuse(&self.node, &mut self.requests) => None,
        }
    }

    /// Waits before the next attempt; false if none is needed.
    async fn wait(&mut self, error: &RedisError, backoff: &mut Backoff) -> bool {
        let at = self.addresses.name();
        let why = self.addresses.tell(error);
        let redirected = self.addresses.failed(error);
        let pause = match redirected {
            true => Duration::ZERO,
            false => backoff.next(fastrand::f64()),
        };
        if !redirected {
            self.node.gauges.failed(why.clone());
            if let Some(first) = self.first.take()
                && !self.node.config.start_degraded
            {
                let _ = first.send(Err(StartError::Redis { at, why }));
                return false;
            }
            self.tell(&LinkChange::Lost {
                at,
                why,
                retry_in: pause,
            });
        }
        select! {
            () = sleep(pause) => true,
            () = refuse(&self.node, &mut self.requests) => false,
        }
    }
}

/// While there is no connection: what cannot wait is refused, and the rest is kept. Returns when
/// nobody is left.
async fn refuse(node: &Node, requests: &mut mpsc::UnboundedReceiver<Request>) {
    while let Some(request) = requests.recv().await {
        match request.refuse("Redis cannot be reached") {
            Some(Request::Start(sink)) => node.start(sink),
            Some(Request::Interest) => drop(node.notice_changes()),
            Some(Request::History(question)) => {
                // Those whose clients have gone are dropped on the way.
                node.ask(question);
            }
            Some(Request::Revoke(revocation)) => node.tell(Word::End(revocation)),
            Some(Request::TakeBack(revocation)) => node.tell(Word::TakeBack(revocation)),
            Some(Request::Ticket(id, TicketUse::Release { ttl })) => held::release(node, &id, ttl),
            Some(Request::Hold(user)) => held::hold(node, user),
            Some(Request::LetGo(user)) => held::let_go(node, &user),
            _ => {}
        }
    }
}
