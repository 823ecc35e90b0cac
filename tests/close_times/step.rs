//! One browser, one way, one rate.

use std::{
    fmt::Write as _,
    thread,
    time::{Duration, Instant},
};

use actix_web_sse_tests::Page;

use crate::{front::Front, server::Application};

/// How long an end may take to be seen.
const PATIENCE: Duration = Duration::from_secs(40);

pub(crate) struct Step<'b> {
    pub(crate) page: Page<'b>,
    pub(crate) streams: usize,
    pub(crate) rounds: usize,
}

impl Step<'_> {
    /// What became of the blocked streams, and of those that the page left.
    pub(crate) fn run(
        &self,
        front: &Front,
        blocking: &Application,
        open: &Application,
    ) -> (String, String) {
        let Front {
            blocked,
            open: readable,
            ..
        } = front;
        for round in 1..=self.rounds {
            self.page.evaluate(&format!(
                "for (let n = 0; n < {}; n++) {{
                   new EventSource('{blocked}', {{ withCredentials: true }});
                   const source = new EventSource('{readable}', {{ withCredentials: true }});
                   setTimeout(() => source.close(), 500 + 5500 * Math.random());
                 }}",
                self.streams
            ));
            let all = round * self.streams;
            let until = Instant::now() + PATIENCE;
            let seen = |application: &Application| application.ends.look().closed.len();
            while Instant::now() < until && seen(blocking).min(seen(open)) < all {
                thread::sleep(Duration::from_millis(20));
            }
        }
        (self.of_blocked(blocking), self.classes(open))
    }

    fn of_blocked(&self, application: &Application) -> String {
        let ends = application.ends.look().closed;
        let mut times: Vec<_> = ends.iter().map(|end| end.duration.as_secs_f64()).collect();
        let mut bytes: Vec<_> = ends.iter().map(|end| end.bytes).collect();
        times.sort_by(f64::total_cmp);
        bytes.sort_unstable();
        let (Some(first), Some(last)) = (times.first(), times.last()) else {
            return "never | – | –".to_owned();
        };
        let median = times[times.len() / 2];
        format!(
            "{first:.3} to {last:.3} s, median {median:.3} | {} to {} | {}",
            bytes[0],
            bytes[bytes.len() - 1],
            self.classes(application)
        )
    }

    /// Of all the streams of a step, how many are in which class.
    fn classes(&self, application: &Application) -> String {
        let all = self.streams * self.rounds;
        let mut text = String::new();
        for (count, class) in application
            .classes()
            .iter()
            .zip(["instant", "drain", "interval"])
        {
            if *count > 0 {
                let _ = write!(text, "{count} {class}, ");
            }
        }
        let in_none = all as u64 - application.classes().iter().sum::<u64>();
        if in_none > 0 {
            let _ = write!(text, "{in_none} none, ");
        }
        format!("{} of {all}", text.trim_end_matches(", "))
    }
}
