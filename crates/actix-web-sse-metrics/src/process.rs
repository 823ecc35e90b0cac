//! The process's own metrics, read from `/proc` (Linux; elsewhere there are none).

use std::fs;

use prometheus::{
    core::{Collector, Desc},
    proto,
};

use crate::{catalogue as c, collector::descs, families::Families};

/// The kernel counts CPU time for user space in hundredths of a second on every architecture
/// that Rust's standard library runs on (`USER_HZ`).
const TICKS_PER_SECOND: f64 = 100.0;

#[derive(Debug)]
pub(crate) struct ProcessCollector {
    descs: Vec<Desc>,
}

impl ProcessCollector {
    pub(crate) fn new() -> prometheus::Result<Self> {
        Ok(Self {
            descs: descs(c::PROCESS_CATALOGUE)?,
        })
    }
}

impl Collector for ProcessCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.descs.iter().collect()
    }

    fn collect(&self) -> Vec<proto::MetricFamily> {
        let mut families = Families::default();
        let mut add = |row, value: Option<f64>| {
            if let Some(value) = value {
                families.single(row, value);
            }
        };
        let stat = Stat::read();
        add(&c::PROCESS_CPU, stat.as_ref().map(|stat| stat.cpu_seconds));
        add(
            &c::PROCESS_START,
            stat.as_ref().and_then(Stat::start_seconds),
        );
        add(&c::PROCESS_THREADS, stat.as_ref().map(|stat| stat.threads));
        add(
            &c::PROCESS_VIRTUAL,
            stat.as_ref().map(|stat| stat.virtual_bytes),
        );
        add(&c::PROCESS_RESIDENT, resident_bytes());
        add(&c::PROCESS_OPEN_FDS, open_fds());
        add(&c::PROCESS_MAX_FDS, max_fds());
        families.finish()
    }
}

/// The fields of `/proc/self/stat` (proc(5)) that are exported.
struct Stat {
    cpu_seconds: f64,
    threads: f64,
    start_ticks: f64,
    virtual_bytes: f64,
}

impl Stat {
    fn read() -> Option<Self> {
        Self::parse(&fs::read_to_string("/proc/self/stat").ok()?)
    }

    fn parse(stat: &str) -> Option<Self> {
        // The command's name stands in brackets and may hold anything, brackets included.
        let (_, rest) = stat.rsplit_once(") ")?;
        // `rest` begins with field 3.
        let field = |number: usize| rest.split_ascii_whitespace().nth(number - 3)?.parse().ok();
        let (user, system): (f64, f64) = (field(14)?, field(15)?);
        Some(Self {
            cpu_seconds: (user + system) / TICKS_PER_SECOND,
            threads: field(20)?,
            start_ticks: field(22)?,
            virtual_bytes: field(23)?,
        })
    }

    /// Since the epoch.
    fn start_seconds(&self) -> Option<f64> {
        let stat = fs::read_to_string("/proc/stat").ok()?;
        let boot = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
        Some(boot.parse::<f64>().ok()? + self.start_ticks / TICKS_PER_SECOND)
    }
}

fn resident_bytes() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: f64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024.0)
}

/// Since Linux 6.2 the size of the directory is their number. Before, the entries are counted, minus
/// the descriptor of the directory itself.
fn open_fds() -> Option<f64> {
    let size = fs::metadata("/proc/self/fd").ok()?.len();
    if size > 0 {
        return Some(size as f64);
    }
    Some(
        fs::read_dir("/proc/self/fd")
            .ok()?
            .count()
            .saturating_sub(1) as f64,
    )
}

fn max_fds() -> Option<f64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

/// Seconds since the epoch, now.
#[cfg(test)]
fn now_seconds() -> f64 {
    use std::time::SystemTime;
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_command_with_brackets_in_its_name_is_read_right() {
        let stat = "42 (a) b (c)) S 1 2 3 4 5 6 7 8 9 10 150 50 13 14 15 16 7 18 9000 4096 25";
        let stat = Stat::parse(stat).unwrap();
        assert_eq!((stat.cpu_seconds, stat.threads), (2.0, 7.0));
        assert_eq!((stat.start_ticks, stat.virtual_bytes), (9000.0, 4096.0));
    }

    #[test]
    fn this_process_has_all_seven() {
        let families = ProcessCollector::new().unwrap().collect();
        assert_eq!(families.len(), c::PROCESS_CATALOGUE.len());
        for family in &families {
            let metric = &family.get_metric()[0];
            let value = metric.get_gauge().get_value() + metric.get_counter().get_value();
            assert!(value >= 0.0, "{}", family.name());
        }
        let started = Stat::read().unwrap().start_seconds().unwrap();
        assert!(
            (0.0..86_400.0).contains(&(now_seconds() - started)),
            "started at {started}"
        );
    }
}
