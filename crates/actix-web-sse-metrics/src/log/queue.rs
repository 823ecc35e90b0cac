//! A bounded queue between the workers and the log's writer.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::fmt::MakeWriter;

/// The most lines that wait. A line usually takes half a kilobyte.
pub(super) const LINES: usize = 8192;

/// How long the end waits for the lines that are left: what the queue's own thread is given, and a
/// little more.
const FLUSH: Duration = Duration::from_millis(1500);

/// The workers' end of the queue: it accepts a line or drops it, and never waits. Made by
/// [`json_layer`](super::json_layer).
#[derive(Debug, Clone)]
pub struct LogQueue(NonBlocking);

impl<'a> MakeWriter<'a> for LogQueue {
    type Writer = NonBlocking;

    fn make_writer(&'a self) -> Self::Writer {
        self.0.clone()
    }
}

/// Writes the waiting lines when it is dropped: keep it to the end of `main`. It waits for at most a
/// second and a half, so a reader that has stopped does not keep the process from ending.
#[derive(Debug)]
#[must_use = "the last lines are lost if the guard is dropped before the end of `main`"]
pub struct LogGuard {
    worker: Option<WorkerGuard>,
    dropped: DroppedLines,
}

/// The number of lines that a queue has lost.
#[derive(Debug, Clone)]
pub(crate) struct DroppedLines {
    queue: ErrorCounter,
    failed: Arc<AtomicU64>,
}

impl DroppedLines {
    pub(crate) fn get(&self) -> u64 {
        let queue = u64::try_from(self.queue.dropped_lines()).unwrap_or(u64::MAX);
        queue.saturating_add(self.failed.load(Ordering::Relaxed))
    }
}

/// A queue of so many lines in front of this writer, which a thread of its own writes to.
pub(super) fn queue(writer: impl io::Write + Send + 'static, lines: usize) -> (LogQueue, LogGuard) {
    let failed = Arc::new(AtomicU64::new(0));
    let (queue, worker) = NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(lines)
        .thread_name("sse-log")
        .finish(Counting {
            writer,
            failed: Arc::clone(&failed),
        });
    let dropped = DroppedLines {
        queue: queue.error_counter(),
        failed,
    };
    let guard = LogGuard {
        worker: Some(worker),
        dropped,
    };
    (LogQueue(queue), guard)
}

impl LogGuard {
    /// How many lines were lost: those that found the queue full, and those that could not be
    /// written. [`Metrics::count_dropped`](crate::Metrics::count_dropped) exports it.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.get()
    }

    pub(crate) fn counter(&self) -> DroppedLines {
        self.dropped.clone()
    }
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        let worker = self.worker.take();
        let (done, is_done) = mpsc::channel();
        // On a thread of its own: the library's guard prints to standard output when its thread
        // does not answer, and waits there for the very reader that has stopped.
        let flush = thread::Builder::new().spawn(move || {
            drop(worker);
            let _ = done.send(());
        });
        if flush.is_ok() {
            let _ = is_done.recv_timeout(FLUSH);
        }
    }
}

/// Counts the lines that the writer did not take.
struct Counting<W> {
    writer: W,
    failed: Arc<AtomicU64>,
}

impl<W: io::Write> io::Write for Counting<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write(bytes)
    }

    fn write_all(&mut self, line: &[u8]) -> io::Result<()> {
        let written = self.writer.write_all(line);
        if written.is_err() {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write as _,
        sync::{Mutex, PoisonError},
        time::Instant,
    };

    use super::*;

    /// Accepts lines while the lock is free: a pipe whose reader can stop.
    #[derive(Clone, Default)]
    struct Pipe(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            lines.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn h09_a_writer_whose_reader_has_stopped_costs_lines_and_no_time() {
        let pipe = Pipe::default();
        let (queue, guard) = queue(pipe.clone(), 10);
        let stopped = pipe.0.lock().unwrap();
        for n in 0..1000 {
            let line = format!("{n}\n");
            queue.make_writer().write_all(line.as_bytes()).unwrap();
        }
        // Ten wait, and the thread may be writing one.
        assert!(
            (989..=990).contains(&guard.dropped()),
            "{}",
            guard.dropped()
        );
        let began = Instant::now();
        drop(guard);
        assert!(began.elapsed() < Duration::from_secs(10), "the end waits");
        drop(stopped);
    }

    #[test]
    fn the_end_writes_what_is_left() {
        let pipe = Pipe::default();
        let (queue, guard) = queue(pipe.clone(), 1000);
        for n in 0..500 {
            let line = format!("{n}\n");
            queue.make_writer().write_all(line.as_bytes()).unwrap();
        }
        drop(guard);
        assert_eq!(pipe.0.lock().unwrap().split(|b| *b == b'\n').count(), 501);
    }

    #[test]
    fn lines_that_cannot_be_written_are_counted() {
        struct Broken;
        impl io::Write for Broken {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (queue, guard) = queue(Broken, 10);
        queue.make_writer().write_all(b"lost\n").unwrap();
        let dropped = guard.counter();
        drop(guard);
        assert_eq!(dropped.get(), 1);
    }
}
