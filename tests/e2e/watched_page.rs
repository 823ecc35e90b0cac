//! A page with a stream, and what its script has seen.

use std::time::Duration;

use actix_web_sse_tests::{Browser, LIMIT, Page};
use serde_json::Value;

/// A page that has opened a stream and notes everything that its `EventSource` tells it.
pub(crate) struct WatchedPage<'b>(Page<'b>);

impl<'b> WatchedPage<'b> {
    /// Opens the page, and on it the stream.
    pub(crate) fn open(browser: &'b Browser, page: &str, stream: &str) -> Self {
        let watched = Self::blank(browser, page);
        watched.watch(stream);
        watched
    }

    /// Opens the page alone.
    pub(crate) fn blank(browser: &'b Browser, page: &str) -> Self {
        Self(browser.open(page))
    }

    /// Opens another stream on the page in place of the first.
    pub(crate) fn watch(&self, stream: &str) {
        let source = format!("new EventSource('{stream}', {{ withCredentials: true }})");
        self.watch_source(&source);
    }

    /// Watches whatever this expression makes, as long as it behaves like an `EventSource`.
    pub(crate) fn watch_source(&self, source: &str) {
        self.0.evaluate(&format!(
            "(async () => {{
               globalThis.source?.close();
               globalThis.data = [];
               globalThis.ids = [];
               globalThis.anchors = [];
               globalThis.messages = 0;
               globalThis.resets = 0;
               globalThis.expired = 0;
               globalThis.errors = [];
               globalThis.opened = 0;
               globalThis.openedAt = 0;
               globalThis.source = {source};
               source.addEventListener('open', () => {{
                 opened++;
                 openedAt = performance.now();
               }});
               source.addEventListener('error', () => errors.push(source.readyState));
               source.addEventListener('message', (event) => {{
                 data.push(event.data);
                 ids.push(event.lastEventId);
               }});
               source.onmessage = () => messages++;
               source.addEventListener('anchor', (event) => anchors.push(event.lastEventId));
               source.addEventListener('reset', () => resets++);
               source.addEventListener('auth_expired', () => expired++);
             }})()"
        ));
    }

    /// The page itself.
    pub(crate) fn page(&self) -> &Page<'b> {
        &self.0
    }

    /// Closes the tab.
    pub(crate) fn close(self) {
        self.0.close();
    }

    /// Waits until the stream has opened so many times.
    #[track_caller]
    pub(crate) fn wait_for_opened(&self, times: usize) {
        self.0.wait(&format!("opened === {times}"));
    }

    /// Waits until the stream has been open for so long, as the page sees it: a page may take longer than
    /// that to open one.
    #[track_caller]
    pub(crate) fn wait_until_open_for(&self, time: Duration) {
        let millis = time.as_millis();
        self.0.wait(&format!(
            "opened && performance.now() > openedAt + {millis}"
        ));
    }

    /// Waits until so many events have come, and tells their data.
    #[track_caller]
    pub(crate) fn wait_for_data(&self, count: usize) -> Vec<String> {
        self.0
            .wait_at_most(LIMIT, &format!("data.length >= {count}"));
        texts(&self.0.evaluate("data"))
    }

    /// The ID of the last event.
    pub(crate) fn last_id(&self) -> String {
        let ids = texts(&self.0.evaluate("ids"));
        ids.last().expect("an event has come").clone()
    }

    /// The `readyState` at each error so far: 0 for a browser that comes back, 2 for one that has
    /// given up.
    pub(crate) fn errors(&self) -> Vec<u64> {
        let errors = self.0.evaluate("errors");
        errors
            .as_array()
            .unwrap()
            .iter()
            .filter_map(Value::as_u64)
            .collect()
    }

    /// The `readyState` now.
    pub(crate) fn ready_state(&self) -> u64 {
        self.0.evaluate("source.readyState").as_u64().unwrap()
    }
}

fn texts(value: &Value) -> Vec<String> {
    let entries = value.as_array().expect("a list").iter();
    entries
        .map(|entry| entry.as_str().expect("a text").to_owned())
        .collect()
}
