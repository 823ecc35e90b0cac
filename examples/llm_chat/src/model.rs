//! A placeholder for a language model: a few sentences, word by word.

use std::{
    fmt,
    sync::{
        LazyLock,
        mpsc::{SyncSender, sync_channel},
    },
    thread,
    time::Duration,
};

use futures_core::Stream;
use futures_util::stream;
use tokio::time::sleep;

/// About as fast as a model speaks.
const PACE: Duration = Duration::from_millis(45);

/// How far an answer gets whose question asks for a failure.
const FAILS_AFTER: usize = 12;

/// Why an answer broke off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Overloaded;

impl fmt::Display for Overloaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the model has lost its thread; ask again")
    }
}

impl std::error::Error for Overloaded {}

/// An answer, one word at a time.
pub(crate) fn answer(prompt: &str) -> impl Stream<Item = Result<String, Overloaded>> + use<> {
    let words: Vec<String> = text(prompt)
        .split_inclusive(' ')
        .map(str::to_owned)
        .collect();
    let fails = prompt.to_lowercase().contains("fail");
    let speech = Speech { words, said: 0 };
    stream::unfold(speech, move |mut speech| async move {
        let word = speech.words.get(speech.said)?.clone();
        sleep(PACE).await;
        if fails && speech.said == FAILS_AFTER {
            return Some((Err(Overloaded), speech));
        }
        speech.said += 1;
        Some((Ok(word), speech))
    })
}

/// An answer on its way. Dropped with words left, it was cancelled: a model would be told so here,
/// and the expensive work ends with the client's interest in it.
struct Speech {
    words: Vec<String>,
    said: usize,
}

impl Drop for Speech {
    fn drop(&mut self) {
        let (said, all) = (self.said, self.words.len());
        if said < all {
            note(format!("stopped after {said} of {all} words"));
        } else {
            note(format!("said all {all} words"));
        }
    }
}

/// Prints a line on a thread of its own: a standard output that nobody reads must not stop the
/// worker. With so many lines waiting, more are dropped.
fn note(line: String) {
    static LINES: LazyLock<SyncSender<String>> = LazyLock::new(|| {
        let (lines, taken) = sync_channel(64);
        thread::spawn(move || {
            for line in taken {
                println!("{line}");
            }
        });
        lines
    });
    let _ = LINES.try_send(line);
}

fn text(prompt: &str) -> String {
    let asked: String = prompt.trim().chars().take(120).collect();
    format!(
        "You asked: “{asked}”\n\nI am no model, only a few sentences that arrive as an answer of \
         one would: word by word, each in an event of its own. The request was a POST, which an \
         EventSource cannot send, so the page reads the body with fetch. The first event says that \
         the answer starts, the last ones that it is done; a client that sees the stream end \
         without them knows that something broke. Press Stop, and the connection closes: the \
         server drops this sentence in the middle, and whatever would have been computed for the \
         rest of it is never computed."
    )
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_words_make_the_text() {
        let words: Vec<_> = answer("why?").map(|word| word.unwrap()).collect().await;
        assert_eq!(words.concat(), text("why?"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_question_can_ask_for_a_failure() {
        let mut words = std::pin::pin!(answer("Fail, please"));
        for _ in 0..FAILS_AFTER {
            assert!(words.next().await.is_some_and(|word| word.is_ok()));
        }
        assert_eq!(words.next().await, Some(Err(Overloaded)));
    }
}
