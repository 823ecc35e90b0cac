//! Two connections for as long as both hold: one reads, the other does all else.

use std::{future::Future, pin::Pin};

use actix_web_sse::History;
use futures_util::{StreamExt, stream::FuturesUnordered};
use redis::{
    AsyncConnectionConfig, Client, ConnectionInfo, ErrorKind, RedisError, ServerErrorKind, Value,
    aio::MultiplexedConnection,
};
use tokio::{select, sync::mpsc};

use crate::{
    held,
    hello::{Hello, Known, new_epoch},
    node::{Node, Question},
    reader, record, reply,
    request::{Publication, Request, TicketUse},
    script,
    words::{self, Word},
};

/// Why a session is over.
pub(crate) enum End {
    Failed(RedisError),
    /// Nobody will ask for anything any more.
    Unused,
}

/// Both connections.
pub(crate) struct Session {
    reading: MultiplexedConnection,
    asking: MultiplexedConnection,
}

impl Session {
    /// Connects, and takes note of the numbering.
    pub(crate) async fn open(node: &Node, at: &ConnectionInfo) -> Result<Self, RedisError> {
        let client = Client::open(at.clone())?;
        let patient = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(node.config.connect_timeout))
            .set_response_timeout(Some(node.config.answer_timeout));
        let mut asking = client
            .get_multiplexed_async_connection_with_config(&patient)
            .await?;
        let blocking =
            patient.set_response_timeout(Some(reader::BLOCK + node.config.answer_timeout));
        let mut reading = client
            .get_multiplexed_async_connection_with_config(&blocking)
            .await?;
        // All of what was revoked, however much it is: nobody is let in before.
        loop {
            let hello = Hello::ask(node, &mut reading, Known::Nothing).await?;
            node.greet(&hello);
            if !hello.is_page_full() {
                break;
            }
        }
        held::announce(node, &mut asking).await?;
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
            error = words::tell_all(node, self.asking.clone()) => End::Failed(error),
            error = held::renew(node, self.asking.clone()) => End::Failed(error),
            end = serve(node, &self.asking, requests) => end,
        }
    }
}

/// Whether there is no use in going on with a connection after this error.
pub(crate) fn ends_session(error: &RedisError) -> bool {
    use ServerErrorKind::{BusyLoading, ClusterDown, MasterDown, Moved, ReadOnly};
    match error.kind() {
        // No answer in time: the reader judges whether Redis is there.
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

type Flying<'a> = FuturesUnordered<Pin<Box<dyn Future<Output = Option<RedisError>> + 'a>>>;

/// Does what it is asked for, many things at a time, begun in the order in which they were asked.
async fn serve(
    node: &Node,
    connection: &MultiplexedConnection,
    requests: &mut mpsc::UnboundedReceiver<Request>,
) -> End {
    let mut flying = Flying::new();
    let again = || connection.clone();
    if node.notice_changes() {
        flying.push(Box::pin(reader::wake(node, again())));
    }
    loop {
        for question in node.ready_questions() {
            flying.push(Box::pin(answer(node, again(), question)));
        }
        let tickets = node.tickets.borrow_mut().take_owed();
        for ticket in tickets {
            flying.push(Box::pin(held::settle_ticket(node, again(), ticket)));
        }
        let users = node.users.borrow_mut().take_owed();
        if !users.is_empty() {
            flying.push(Box::pin(held::settle_users(node, again(), users)));
        }
        select! {
            request = requests.recv() => match request {
                None => return End::Unused,
                Some(Request::Start(sink)) => {
                    node.start(sink);
                    flying.push(Box::pin(reader::wake(node, again())));
                }
                Some(Request::Interest) => if node.notice_changes() {
                    flying.push(Box::pin(reader::wake(node, again())));
                }
                Some(Request::Publish(publication)) => {
                    flying.push(Box::pin(publish(node, again(), publication)));
                }
                Some(Request::History(question)) => node.ask(question),
                Some(Request::Revoke(revocation)) => node.tell(Word::End(revocation)),
                Some(Request::TakeBack(revocation)) => node.tell(Word::TakeBack(revocation)),
                Some(Request::Ticket(id, TicketUse::Once { remember, claimed })) => {
                    flying.push(Box::pin(held::use_once(node, again(), id, remember, claimed)));
                }
                Some(Request::Ticket(id, TicketUse::Again { fresh, ttl, claimed })) => {
                    flying.push(Box::pin(held::claim(node, again(), id, fresh, ttl, claimed)));
                }
                Some(Request::Ticket(id, TicketUse::Release { ttl })) => {
                    held::release(node, &id, ttl);
                }
                Some(Request::Limit(request)) => {
                    flying.push(Box::pin(held::acquire(node, again(), request)));
                }
                Some(Request::Hold(user)) => held::hold(node, user),
                Some(Request::LetGo(user)) => held::let_go(node, &user),
            },
            Some(outcome) = flying.next() => if let Some(error) = outcome {
                return End::Failed(error);
            },
            () = node.joined.notified() => {}
            () = node.owing.notified() => {}
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
    for (field, value) in record::fields(&publication.event) {
        call.arg(field).arg(value);
    }
    let answer: Result<(String, u64, u64), _> = call.invoke_async(&mut connection).await;
    match answer {
        Ok((epoch, base, number)) => {
            // Before the publisher learns the number: an ID names its numbering too. An answer
            // from before a change that is known already is not to turn it back.
            if node.epoch().is_none_or(|known| number > known.base) {
                node.set_epoch(&epoch, base);
            }
            publication.answer(Ok(number));
            None
        }
        Err(error) => {
            publication.answer(Err(in_words(&error)));
            Some(error).filter(ends_session)
        }
    }
}

/// A question under way. If the connection breaks, it is asked again on the next one.
struct Asked<'a> {
    node: &'a Node,
    question: Option<Question>,
}

impl Drop for Asked<'_> {
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
    let mut asked = Asked {
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
    let told = match answer {
        Ok(value) => Ok(history(value, question, limit)),
        Err(error) if ends_session(&error) => return Some(error),
        Err(error) => Err(in_words(&error)),
    };
    if let Some(question) = asked.question.take() {
        // Whoever asked may be gone.
        let _ = question.reply.send(told);
    }
    None
}

/// What was missed, if all of it is there.
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

/// An error of a command for its publisher. The client's message has no URL in it.
fn in_words(error: &RedisError) -> String {
    if error.is_timeout() {
        return "no answer from Redis in time; it may have taken the event all the same".to_owned();
    }
    error.to_string()
}
