//! A little of everything that happens at a stream.

use crate::{Claims, Demo, Request};

/// Streams that open, get events, resume and end, and requests that are refused.
#[derive(Debug)]
pub struct Traffic {
    origin: &'static str,
    last_id: Option<String>,
}

impl Traffic {
    /// From pages of this origin, which the demo allows, and from others.
    #[must_use]
    pub const fn of(origin: &'static str) -> Self {
        Self {
            origin,
            last_id: None,
        }
    }

    /// One client after the other: one that resumes, gets an event and goes; one of a foreign
    /// page; one without a token.
    ///
    /// # Panics
    /// If the demo does not answer.
    #[track_caller]
    pub fn round(&mut self, demo: &Demo) {
        let token = demo.token(&Claims::of("reader"));
        let mut request = Request::event_source("/events?topic=mixed", self.origin).bearer(&token);
        if let Some(id) = &self.last_id {
            request = request.header("Last-Event-ID", id.as_bytes());
        }
        let mut stream = request.open(demo.app);
        demo.publish("mixed", "an event");
        self.last_id = stream.next_event().id().map(str::to_owned);
        drop(stream);
        drop(Request::event_source("/events", "https://evil.example").send(demo.app));
        drop(Request::event_source("/events", self.origin).send(demo.app));
    }
}
