//! The task of the backplane's thread: it runs one session with Redis after the other.

use std::{sync::mpsc::SyncSender, thread, time::Duration};

use redis::RedisError;
use tokio::{select, sync::mpsc, time::sleep};

use crate::{
    address::Addresses,
    backoff::Backoff,
    backplane::Listener,
    control::ControlMessage,
    error::StartError,
    lease,
    node::Node,
    reader,
    request::{Request, TicketUse},
    session::{End, Session},
};

/// A change of the connection to Redis, for a log.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LinkChange {
    /// Redis answers.
    #[non_exhaustive]
    Connected {
        /// The address: host and port.
        at: String,
    },
    /// The connection cannot be made, or has ended.
    #[non_exhaustive]
    Lost {
        /// The address: host and port.
        at: String,
        /// The error, without secrets.
        why: String,
        /// The time until the next attempt.
        retry_in: Duration,
    },
}

/// Sends the result of the start to the thread that waits for it.
pub(crate) type StartResult = SyncSender<Result<(), StartError>>;

struct Task {
    node: Node,
    addresses: Addresses,
    requests: mpsc::UnboundedReceiver<Request>,
    listener: Listener,
    start_result: Option<StartResult>,
    /// At the start: the addresses that were tried, and their errors.
    failed_starts: Vec<(String, String)>,
}

/// Starts the thread. It ends when every sender of requests is dropped.
pub(crate) fn spawn(
    node: Node,
    requests: mpsc::UnboundedReceiver<Request>,
    listener: Listener,
    start_result: StartResult,
) -> Result<(), StartError> {
    let addresses = Addresses::parse(&node.config)?;
    let trouble = |error: std::io::Error| StartError::Thread(error.to_string());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(trouble)?;
    let run = move || {
        let task = Task {
            node,
            addresses,
            requests,
            listener,
            start_result: Some(start_result),
            failed_starts: Vec::new(),
        };
        runtime.block_on(task.run());
    };
    let thread = thread::Builder::new().name("sse-redis".to_owned());
    thread.spawn(run).map(drop).map_err(trouble)
}

impl Task {
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
                    self.report(&LinkChange::Connected { at });
                    if let Some(start_result) = self.start_result.take() {
                        let _ = start_result.send(Ok(()));
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

    fn report(&self, change: &LinkChange) {
        if let Some(listener) = &self.listener {
            listener(change);
        }
    }

    /// Makes the connections; publications fail meanwhile. `None` if every handle is dropped.
    async fn connect(&mut self) -> Option<Result<Session, RedisError>> {
        let target = self.addresses.target()?;
        select! {
            session = Session::open(&self.node, &target) => Some(session),
            () = refuse(&self.node, &mut self.requests) => None,
        }
    }

    /// Waits before the next attempt; false if there is to be none.
    async fn wait(&mut self, error: &RedisError, backoff: &mut Backoff) -> bool {
        let at = self.addresses.name();
        let why = self.addresses.describe(error);
        let redirected = self.addresses.failed(error);
        let starting = self.start_result.is_some() && !self.node.config.start_degraded;
        let pause = match redirected || starting {
            true => Duration::ZERO,
            false => backoff.next(fastrand::f64()),
        };
        if !redirected {
            self.node.gauges.failed(why.clone());
            if starting {
                self.failed_starts.push((at.clone(), why.clone()));
                // Each address is tried once: a primary that failed may have a successor.
                if self.failed_starts.len() >= self.addresses.count() {
                    self.give_up();
                    return false;
                }
            }
            self.report(&LinkChange::Lost {
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

impl Task {
    /// Reports to the caller of `connect` that Redis cannot be reached.
    fn give_up(&mut self) {
        let Some(start_result) = self.start_result.take() else {
            return;
        };
        let error = match self.failed_starts.as_slice() {
            [(at, why)] => StartError::Redis {
                at: at.clone(),
                why: why.clone(),
            },
            several => StartError::Redis {
                at: several
                    .iter()
                    .map(|(at, _)| at.as_str())
                    .collect::<Vec<_>>()
                    .join(", "),
                why: several
                    .iter()
                    .map(|(at, why)| format!("{at}: {why}"))
                    .collect::<Vec<_>>()
                    .join("; "),
            },
        };
        let _ = start_result.send(Err(error));
    }
}

/// Serves requests while there is no connection: refuses those that cannot wait, and keeps the
/// others. Returns when every handle is dropped.
async fn refuse(node: &Node, requests: &mut mpsc::UnboundedReceiver<Request>) {
    while let Some(request) = requests.recv().await {
        match request.refuse("Redis cannot be reached") {
            Some(Request::Start(sink)) => node.start(sink),
            Some(Request::Interest) => drop(node.notice_changes()),
            Some(Request::History(question)) => {
                // Questions whose clients have gone are dropped when they are next looked at.
                node.ask(question);
            }
            Some(Request::Revoke(revocation)) => {
                node.send_control(ControlMessage::EndStreams(revocation))
            }
            Some(Request::RevokeUser(revocation)) => {
                node.send_control(ControlMessage::Revoke(revocation))
            }
            Some(Request::Ticket(id, TicketUse::Release { ttl })) => lease::release(node, &id, ttl),
            Some(Request::CountUser(user)) => lease::count_user(node, user),
            Some(Request::ReleaseUser(user)) => lease::release_user(node, &user),
            _ => {}
        }
    }
}
