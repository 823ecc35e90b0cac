//! The sessions of pages on tour. All of it is bounded: the newest sessions, and the newest lines of each.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use actix_web::HttpRequest;
use tokio::sync::watch;

use crate::sign_in::random_key;

/// How many pages may be on tour; the oldest session makes room.
const SESSIONS: usize = 64;
/// How many lines a session keeps, and how long a line may be: the log cuts what clients send.
const LINES: usize = 40;
const LINE: usize = 4096;

/// All sessions. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Sessions(Arc<Mutex<VecDeque<Arc<Session>>>>);

/// One page on tour.
pub(crate) struct Session {
    /// Known to this page only, and its right to the lines.
    key: String,
    lines: Mutex<Kept>,
    cuts: watch::Sender<()>,
}

#[derive(Default)]
struct Kept {
    /// How many there were altogether.
    seen: u64,
    newest: VecDeque<String>,
}

impl Sessions {
    /// A new session; its key.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub(crate) fn begin(&self) -> Result<String, String> {
        let key = random_key("tour")?;
        let session = Session {
            key: key.clone(),
            lines: Mutex::default(),
            cuts: watch::Sender::new(()),
        };
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while sessions.len() >= SESSIONS {
            sessions.pop_front();
        }
        sessions.push_back(Arc::new(session));
        Ok(key)
    }

    /// The session that a request names in its query.
    pub(crate) fn of(&self, request: &HttpRequest) -> Option<Arc<Session>> {
        let mut pairs = request.query_string().split('&');
        let key = pairs.find_map(|pair| pair.strip_prefix("tour="))?;
        let sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.iter().find(|known| known.key == key).cloned()
    }
}

impl Session {
    /// Keeps a line of the log.
    pub(super) fn keep(&self, line: &[u8]) {
        let Ok(line) = std::str::from_utf8(line) else {
            return;
        };
        if line.len() > LINE {
            return;
        }
        let mut kept = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        kept.seen += 1;
        while kept.newest.len() >= LINES {
            kept.newest.pop_front();
        }
        kept.newest.push_back(line.trim_end().to_owned());
    }

    /// How many lines there were, and the newest of them.
    pub(super) fn lines(&self) -> (u64, Vec<String>) {
        let kept = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        (kept.seen, kept.newest.iter().cloned().collect())
    }

    /// Cuts the connections of this session's streams that can be cut; how many there are.
    pub(super) fn cut(&self) -> usize {
        self.cuts.send_replace(());
        self.cuts.receiver_count()
    }

    /// Changes when the connections are cut.
    pub(super) fn cuts(&self) -> watch::Receiver<()> {
        self.cuts.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn find(sessions: &Sessions, key: &str) -> Option<Arc<Session>> {
        let uri = format!("/events?topic=demo&tour={key}");
        sessions.of(&TestRequest::get().uri(&uri).to_http_request())
    }

    #[test]
    fn a_session_is_found_by_its_key_and_by_nothing_else() {
        let sessions = Sessions::default();
        let key = sessions.begin().unwrap();
        assert_eq!(find(&sessions, &key).unwrap().key, key);
        for other in ["", "0", &key[1..]] {
            assert!(find(&sessions, other).is_none(), "{other}");
        }
        let without = TestRequest::get().uri("/events").to_http_request();
        assert!(sessions.of(&without).is_none());
    }

    #[test]
    fn the_oldest_session_makes_room() {
        let sessions = Sessions::default();
        let first = sessions.begin().unwrap();
        let others: Vec<_> = (0..SESSIONS).map(|_| sessions.begin().unwrap()).collect();
        assert!(find(&sessions, &first).is_none());
        assert!(others.iter().all(|key| find(&sessions, key).is_some()));
    }

    #[test]
    fn a_session_keeps_the_newest_lines_and_no_long_one() {
        let sessions = Sessions::default();
        let session = find(&sessions, &sessions.begin().unwrap()).unwrap();
        for n in 0..LINES + 5 {
            session.keep(format!("{{\"n\":{n}}}\n").as_bytes());
        }
        session.keep(&vec![b'x'; LINE + 1]);
        let (seen, lines) = session.lines();
        assert_eq!((seen, lines.len()), (LINES as u64 + 5, LINES));
        assert_eq!(lines[0], "{\"n\":5}");
    }
}
