//! A session: two connections, used until one of them fails. One reads, the other sends commands.

use std::{future::Future, pin::Pin};

use actix_web_sse::History;
use futures_util::{StreamExt, stream::FuturesUnordered};
use redis::{
    AsyncConnectionConfig, Client, ErrorKind, RedisError, ServerErrorKind, Value,
    aio::MultiplexedConnection,
};
use tokio::{select, sync::mpsc};

use crate::{
    address::Target,
    control::{self, ControlMessage},
    entry,
    handshake::{Handshake, Known, new_epoch},
    lease,
    node::{Node, Question},
    reader, reply,
    request::{Publication, Request, TicketUse},
    script,
};

/// Why a session ended.
pub(crate) enum End {
    Failed(RedisError),
    /// Every handle is dropped.
    Unused,
}

/// Both connections.
pub(crate) struct Session {
    reading: MultiplexedConnection,
    asking: MultiplexedConnection,
}

impl Session {
    /// Connects and makes the handshake.
    pub(crate) async fn open(node: &Node, at: &Target) -> Result<Self, RedisError> {
        let connection_config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(node.config.connect_timeout))
            .set_response_timeout(Some(node.config.answer_timeout));
        let client = Client::open(at.resolve(&connection_config).await?)?;
        let mut asking = client
            .get_multiplexed_async_connection_with_config(&connection_config)
            .await?;
        let blocking = connection_config
            .set_response_timeout(Some(reader::BLOCK + node.config.answer_timeout));
        let mut reading = client
            .get_multiplexed_async_connection_with_config(&blocking)
            .await?;
        // All pages of revocations: no stream is admitted before.
        loop {
            let handshake = Handshake::ask(node, &mut reading, Known::Nothing).await?;
            node.connected(&handshake);
            if !handshake.is_page_full() {
                break;
            }
        }
        lease::announce(node, &mut asking).await?;
        Ok(Self { reading, asking })
    }

    /// Reads, publishes and answers until a connection breaks.
    pub(crate) async fn run(
        self,
        node: &Node,
        requests: &mut mpsc::UnboundedReceiver<Request>,
    ) -> End {
        select! {
            error = reader::read(node, self.reading) => End::Failed(error),
            error = control::send_all(node, self.asking.clone()) => End::Failed(error),
            error = lease::renew(node, self.asking.clone()) => End::Failed(error),
            end = serve(node, &self.asking, requests) => end,
        }
    }
}

/// Whether the connections cannot be used any more after this error.
pub(crate) fn ends_session(error: &RedisError) -> bool {
    use ServerErrorKind::{BusyLoading, ClusterDown, MasterDown, Moved, ReadOnly};
    match error.kind() {
        // No answer in time: the reader decides whether Redis is reachable.
        ErrorKind::Io => !error.is_timeout(),
        ErrorKind::Parse | ErrorKind::AuthenticationFailed => true,
        ErrorKind::Server(kind) => {
            matches!(
                kind,
                BusyLoading | ClusterDown | MasterDown | Moved | ReadOnly
            )
        }
        _ => false,
    }
}

type Running<'a> = FuturesUnordered<Pin<Box<dyn Future<Output = Option<RedisError>> + 'a>>>;

/// Serves requests concurrently, started in the order in which they came.
async fn serve(
    node: &Node,
    connection: &MultiplexedConnection,
    requests: &mut mpsc::UnboundedReceiver<Request>,
) -> End {
    let mut running = Running::new();
    let again = || connection.clone();
    if node.notice_changes() {
        running.push(Box::pin(reader::wake(node, again())));
    }
    loop {
        for question in node.ready_questions() {
            running.push(Box::pin(answer(node, again(), question)));
        }
        let tickets = node.tickets.borrow_mut().take_dirty();
        for ticket in tickets {
            running.push(Box::pin(lease::sync_ticket(node, again(), ticket)));
        }
        let users = node.users.borrow_mut().take_dirty();
        if !users.is_empty() {
            running.push(Box::pin(lease::sync_users(node, again(), users)));
        }
        select! {
            request = requests.recv() => match request {
                None => return End::Unused,
                Some(Request::Start(sink)) => {
                    node.start(sink);
                    running.push(Box::pin(reader::wake(node, again())));
                }
                Some(Request::Interest) => if node.notice_changes() {
                    running.push(Box::pin(reader::wake(node, again())));
                }
                Some(Request::Publish(publication)) => {
                    running.push(Box::pin(publish(node, again(), publication)));
                }
                Some(Request::History(question)) => node.ask(question),
                Some(Request::Revoke(revocation)) => node.send_control(ControlMessage::EndStreams(revocation)),
                Some(Request::RevokeUser(revocation)) => node.send_control(ControlMessage::Revoke(revocation)),
                Some(Request::Ticket(id, TicketUse::Once { remember, claimed })) => {
                    running.push(Box::pin(lease::use_once(node, again(), id, remember, claimed)));
                }
                Some(Request::Ticket(id, TicketUse::Again { fresh, ttl, claimed })) => {
                    running.push(Box::pin(lease::claim(node, again(), id, fresh, ttl, claimed)));
                }
                Some(Request::Ticket(id, TicketUse::Release { ttl })) => {
                    lease::release(node, &id, ttl);
                }
                Some(Request::Limit(request)) => {
                    running.push(Box::pin(lease::acquire(node, again(), request)));
                }
                Some(Request::CountUser(user)) => lease::count_user(node, user),
                Some(Request::ReleaseUser(user)) => lease::release_user(node, &user),
            },
            Some(outcome) = running.next() => if let Some(error) = outcome {
                return End::Failed(error);
            },
            () = node.joined.notified() => {}
            () = node.counts_dirty.notified() => {}
        }
    }
}

async fn publish(
    node: &Node,
    mut connection: MultiplexedConnection,
    publication: Publication,
) -> Option<RedisError> {
    let mut call = script::PUBLISH.prepare_invoke();
    call.key(node.keys.head())
        .key(node.keys.topic(&publication.topic))
        .arg(new_epoch())
        .arg(node.config.keep_events)
        .arg(node.config.keep_millis());
    for (field, value) in entry::fields(&publication.event) {
        call.arg(field).arg(value);
    }
    let answer: Result<(String, u64, u64), _> = call.invoke_async(&mut connection).await;
    match answer {
        Ok((epoch, base, number)) => {
            // Before the publisher gets the number: an event ID contains the epoch too.
            node.acknowledged(&epoch, base, &publication.topic, number);
            publication.answer(Ok(number));
            None
        }
        Err(error) => {
            publication.answer(Err(describe(&error)));
            Some(error).filter(ends_session)
        }
    }
}

/// A question that was sent. If the connection breaks, it is queued for the next session.
struct PendingQuestion<'a> {
    node: &'a Node,
    question: Option<Question>,
}

impl Drop for PendingQuestion<'_> {
    fn drop(&mut self) {
        if let Some(question) = self.question.take() {
            self.node.ask(question);
        }
    }
}

async fn answer(
    node: &Node,
    mut connection: MultiplexedConnection,
    question: Question,
) -> Option<RedisError> {
    let mut asked = PendingQuestion {
        node,
        question: Some(question),
    };
    let question = asked.question.as_ref()?;
    let limit = node.config.history_events;
    let epoch = node.epoch().map(|epoch| epoch.name).unwrap_or_default();
    let mut call = script::HISTORY.prepare_invoke();
    call.key(node.keys.head());
    for topic in &question.topics {
        call.key(node.keys.topic(topic));
    }
    call.arg(epoch)
        .arg(question.after)
        .arg(node.config.keep_millis())
        .arg(limit + 1);
    let answer: Result<Value, _> = call.invoke_async(&mut connection).await;
    let answer = match answer {
        Ok(value) => Ok(history(value, question, limit)),
        Err(error) if ends_session(&error) => return Some(error),
        Err(error) => Err(describe(&error)),
    };
    if let Some(question) = asked.question.take() {
        // The receiver may be gone.
        let _ = question.reply.send(answer);
    }
    None
}

/// The events after a number, if Redis has all of them.
fn history(value: Value, question: &Question, limit: usize) -> History {
    let topics = reply::array(value);
    let mut history = History {
        complete: topics.len() == question.topics.len(),
        ..History::default()
    };
    for (topic, value) in question.topics.iter().zip(topics) {
        let mut parts = reply::array(value).into_iter();
        let floor = parts.next().and_then(reply::text);
        let floor = floor.and_then(|floor| floor.parse::<u64>().ok());
        history.complete &= floor.is_some_and(|floor| floor <= question.after);
        let entries = reply::entries(parts.next().map(reply::array).unwrap_or_default());
        for entry in entries {
            if let Some(record) = entry.record
                && !record.event.parts().transient
            {
                let event = (topic.clone(), record.number, record.event);
                history.events.push(event);
            }
        }
    }
    history.complete &= history.events.len() <= limit;
    if !history.complete {
        history.events.clear();
    }
    history.events.sort_by_key(|(_, number, _)| *number);
    history
}

/// The message of a command's error for its caller. The client's message contains no URL.
fn describe(error: &RedisError) -> String {
    if error.is_timeout() {
        return "no answer from Redis in time; it may have stored the event nevertheless"
            .to_owned();
    }
    error.to_string()
}
