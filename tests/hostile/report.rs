//! A trial as a line of the table.

use std::{fmt, time::Duration};

use crate::trial::Outcome;

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |time: Duration| time.as_secs_f64() * 1000.0;
        let (quiet, felt) = (ms(self.quiet.p99), ms(self.felt.p99));
        let mib = self.memory.map(|bytes| bytes >> 20);
        let verdict = match self.faults.is_empty() {
            true => "holds".to_owned(),
            false if self.only_late => format!("late: {}", self.faults.join("; ")),
            false => self.faults.join("; "),
        };
        write!(
            f,
            "| {} | {} | {} of {} | {quiet:.1} → {felt:.1} ms ({:.1}) | {:.0} ms | {:.2} → {:.2} | \
             {}, {}, {} | {}, {}, {} | {:.1} s | {verdict} |",
            self.attack,
            self.setup,
            self.felt.in_time(Duration::ZERO),
            self.felt.opens.len(),
            self.ratio(),
            ms(self.waited),
            self.cpu[0],
            self.cpu[1],
            mib[0],
            mib[1],
            mib[2],
            self.descriptors[0],
            self.descriptors[1],
            self.descriptors[2],
            self.until_idle.as_secs_f64(),
        )
    }
}
