//! A page on which four visitors come and go.

use std::panic::{self, AssertUnwindSafe};

use actix_web_sse_tests::{Browser, BrowserKind, Page};

use crate::front::Front;

pub(crate) struct Visitors<'b>(Page<'b>);

/// What keeps a browser from slowing down the pages that nobody looks at.
pub(crate) const fn arguments(kind: BrowserKind) -> &'static [&'static str] {
    match kind {
        BrowserKind::Chromium => &[
            "--disable-background-timer-throttling",
            "--disable-backgrounding-occluded-windows",
            "--disable-renderer-backgrounding",
        ],
        BrowserKind::Firefox => &[],
    }
}

/// A visitor stays: one of six for less than a second, a quarter for some seconds, the others for up to a
/// minute; and comes again after some seconds. Every fourth stream is one of the other route, which stays well.
const SCRIPT: &str = "
  globalThis.opened = 0;
  globalThis.blocked = 0;
  const between = (least, most) => least + Math.random() * (most - least);
  const after = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000));
  const stay = () => {
    const chance = Math.random();
    if (chance < 0.15) return between(0.2, 1);
    return chance < 0.4 ? between(2, 10) : between(15, 50);
  };
  const visit = async () => {
    for (;;) {
      const other = Math.random() < 0.25;
      const url = other ? good + '/prices' : base + '/events';
      const source = new EventSource(url, { withCredentials: true });
      source.addEventListener('open', () => opened++);
      const closed = new Promise((done) => source.addEventListener('error', () => {
        if (source.readyState === EventSource.CLOSED) { blocked++; done(); }
      }));
      await Promise.race([closed, after(stay())]);
      source.close();
      await after(between(2, 6));
    }
  };
  for (let n = 0; n < 4; n++) after(between(0, 5)).then(visit);
";

impl<'b> Visitors<'b> {
    pub(crate) fn come(browser: &'b Browser, origin: &str, front: &Front) -> Self {
        let page = browser.open(origin);
        let Front { good, bad } = front;
        page.evaluate(&format!(
            "(() => {{ globalThis.good = globalThis.base = '{good}'; globalThis.bad = '{bad}'; {SCRIPT} }})()"
        ));
        Self(page)
    }

    pub(crate) fn meet_the_fault(&self) {
        self.0.evaluate("globalThis.base = globalThis.bad");
    }

    pub(crate) fn go_on(&self) {
        self.0.evaluate("globalThis.base = globalThis.good");
    }

    /// How many streams opened, and how many were blocked; nothing if the browser has no time to say it, for the table is
    /// worth more than that.
    pub(crate) fn count(&self) -> String {
        let count = || {
            self.0
                .evaluate("opened + ' opened, ' + blocked + ' blocked'")
        };
        let count = panic::catch_unwind(AssertUnwindSafe(count)).unwrap_or_default();
        count.as_str().unwrap_or_default().to_owned()
    }
}
