//! What a process and its children have used, as Linux accounts it.

use std::{fs, io, path::PathBuf, time::Duration};

/// A server's processes: the one that was started, and what it started (nginx's worker).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Account {
    pid: u32,
}

impl Account {
    pub(crate) const fn of(pid: u32) -> Self {
        Self { pid }
    }

    /// User and system time of all threads, in the scheduler's nanoseconds: `/proc/PID/stat`
    /// counts in hundredths of a second.
    pub(crate) fn cpu_time(self) -> io::Result<Duration> {
        let mut nanos = 0;
        for pid in self.processes()? {
            for task in fs::read_dir(process(pid).join("task"))? {
                let schedule = fs::read_to_string(task?.path().join("schedstat"))?;
                nanos += number(schedule.split_ascii_whitespace().next())?;
            }
        }
        Ok(Duration::from_nanos(nanos))
    }

    /// Bytes of memory that belong to these processes alone.
    pub(crate) fn private_bytes(self) -> io::Result<u64> {
        let mut kib = 0;
        for pid in self.processes()? {
            for line in fs::read_to_string(process(pid).join("smaps_rollup"))?.lines() {
                if line.starts_with("Private_") {
                    kib += number(line.split_ascii_whitespace().nth(1))?;
                }
            }
        }
        Ok(kib * 1024)
    }

    fn processes(self) -> io::Result<Vec<u32>> {
        let mut found = vec![self.pid];
        let children = process(self.pid).join(format!("task/{}/children", self.pid));
        for child in fs::read_to_string(children)?.split_ascii_whitespace() {
            found.push(child.parse().map_err(io::Error::other)?);
        }
        Ok(found)
    }
}

fn process(pid: u32) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}"))
}

fn number(text: Option<&str>) -> io::Result<u64> {
    text.unwrap_or_default().parse().map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_works_is_charged_for_it() {
        let account = Account::of(std::process::id());
        let before = account.cpu_time().unwrap();
        let start = crate::core_pin::thread_cpu_time();
        while crate::core_pin::thread_cpu_time() - start < Duration::from_millis(50) {
            std::hint::spin_loop();
        }
        std::thread::yield_now();
        let used = account.cpu_time().unwrap() - before;
        assert!(used >= Duration::from_millis(40), "{used:?}");
    }

    #[test]
    fn memory_that_was_written_to_is_private() {
        let account = Account::of(std::process::id());
        let before = account.private_bytes().unwrap();
        let memory = std::hint::black_box(vec![1_u8; 8 << 20]);
        let used = account.private_bytes().unwrap() - before;
        assert!(used >= memory.len() as u64, "{used}");
    }
}
