//! Who waits for what clients have missed. Clients of the same topics share a question, each from its own place.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use actix_web_sse::backplane::History;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
    task::AbortHandle,
};

pub(crate) type Topics = Arc<[Arc<str>]>;

/// What there is, or why that is not known.
pub(crate) type Answer = Result<History, String>;

/// A client that waits: the number after which it lacks everything, and which client it is.
pub(crate) type Client = (u64, u64);

/// The questions that are open. Each is gone when nobody waits for it any more.
#[derive(Default)]
pub(crate) struct Questions(Mutex<Open>);

#[derive(Default)]
struct Open {
    of: HashMap<Topics, Waiting>,
    /// The name of the next client.
    next: u64,
}

struct Waiting {
    clients: HashMap<u64, (u64, oneshot::Sender<Answer>)>,
    /// The task that asks for them.
    task: AbortHandle,
}

impl Questions {
    fn open(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for what these topics have after a number; starts the task that asks if there is none. Nothing is
    /// left of it when it is dropped.
    pub(crate) fn wait(
        self: &Arc<Self>,
        topics: &Topics,
        after: u64,
        start: impl Fn() -> AbortHandle,
    ) -> Waiter {
        let (sender, answer) = oneshot::channel();
        let mut open = self.open();
        open.next += 1;
        let id = open.next;
        let waiting = open
            .of
            .entry(Arc::clone(topics))
            .or_insert_with(|| Waiting {
                clients: HashMap::new(),
                task: start(),
            });
        if waiting.task.is_finished() {
            // It has panicked: one that comes to its end takes the question away.
            waiting.task = start();
        }
        waiting.clients.insert(id, (after, sender));
        drop(open);
        Waiter {
            answer,
            questions: Arc::clone(self),
            topics: Arc::clone(topics),
            id,
        }
    }

    /// Who waits for these topics at this moment, those first who lack the most. If it is nobody, the question
    /// is no longer open, and its task has to end.
    pub(crate) fn clients(&self, topics: &Topics) -> Vec<Client> {
        let mut open = self.open();
        let waiting = open.of.get(topics).map(|waiting| &waiting.clients);
        let mut clients: Vec<_> = waiting
            .into_iter()
            .flatten()
            .map(|(id, (after, _))| (*after, *id))
            .collect();
        if clients.is_empty() {
            open.of.remove(topics);
        }
        clients.sort_unstable();
        clients
    }

    /// Answers those of these clients who still wait.
    pub(crate) fn answer(&self, topics: &Topics, clients: &[Client], answer: &Answer) {
        let mut open = self.open();
        let Some(waiting) = open.of.get_mut(topics) else {
            return;
        };
        for (_, id) in clients {
            if let Some((_, sender)) = waiting.clients.remove(id) {
                // Who has gone meanwhile needs no answer.
                let _ = sender.send(answer.clone());
            }
        }
    }
}

/// One client, which waits until this is dropped.
pub(crate) struct Waiter {
    answer: oneshot::Receiver<Answer>,
    questions: Arc<Questions>,
    topics: Topics,
    id: u64,
}

impl Waiter {
    /// The answer, when it has come.
    pub(crate) async fn answer(&mut self) -> Answer {
        let ended = |_| Err("the backplane has ended".to_owned());
        (&mut self.answer).await.unwrap_or_else(ended)
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut open = self.questions.open();
        let Some(waiting) = open.of.get_mut(&self.topics) else {
            return;
        };
        waiting.clients.remove(&self.id);
        if waiting.clients.is_empty() {
            waiting.task.abort();
            open.of.remove(&self.topics);
        }
    }
}

/// Room for what clients have missed and not taken yet, in KiB.
pub(crate) struct Room(Arc<Semaphore>);

/// Some of it, until it is dropped.
pub(crate) struct Reserved(Option<OwnedSemaphorePermit>);

impl Room {
    pub(crate) fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(kib(bytes) as usize)))
    }

    /// Waits until there is room for so many bytes.
    pub(crate) async fn reserve(&self, bytes: usize) -> Reserved {
        let permit = Arc::clone(&self.0).acquire_many_owned(kib(bytes)).await;
        // It is never closed.
        Reserved(permit.ok())
    }
}

impl Reserved {
    /// Gives back what is beyond so many bytes.
    pub(crate) fn shrink(&mut self, bytes: usize) {
        if let Some(permit) = &mut self.0 {
            let beyond = permit.num_permits().saturating_sub(kib(bytes) as usize);
            drop(permit.split(beyond));
        }
    }
}

fn kib(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn topics(name: &str) -> Topics {
        [name.into()].into()
    }

    #[tokio::test]
    async fn who_waits_shares_a_task_and_leaves_nothing_behind() {
        let questions = Arc::new(Questions::default());
        let asking = || tokio::spawn(std::future::pending::<()>());
        let task = asking();
        let first = questions.wait(&topics("t"), 5, || task.abort_handle());
        let mut second = questions.wait(&topics("t"), 3, || unreachable!("there is a task"));
        let other = questions.wait(&topics("u"), 3, || asking().abort_handle());
        assert_eq!(questions.clients(&topics("t")), [(3, 2), (5, 1)]);
        drop(first);
        questions.answer(&topics("t"), &[(5, 1), (3, 2)], &Ok(History::gap()));
        assert!(matches!(second.answer().now_or_never(), Some(Ok(_))));
        drop(second);
        assert!(task.await.unwrap_err().is_cancelled());
        drop(other);
        assert!(questions.open().of.is_empty());
    }

    #[tokio::test]
    async fn who_comes_while_others_are_asked_for_waits_for_the_next_time() {
        let questions = Arc::new(Questions::default());
        let task = tokio::spawn(std::future::pending::<()>());
        let start = || task.abort_handle();
        let mut first = questions.wait(&topics("t"), 5, start);
        let asked = questions.clients(&topics("t"));
        let mut late = questions.wait(&topics("t"), 5, || unreachable!("there is a task"));
        questions.answer(&topics("t"), &asked, &Ok(History::gap()));
        assert!(matches!(first.answer().now_or_never(), Some(Ok(_))));
        assert!(late.answer().now_or_never().is_none());
        let asked = questions.clients(&topics("t"));
        questions.answer(&topics("t"), &asked, &Ok(History::gap()));
        assert!(matches!(late.answer().now_or_never(), Some(Ok(_))));
        assert_eq!(questions.clients(&topics("t")), []);
    }
}
