//! A program under test: its output is kept, its end is certain.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

pub use rustix::process::Signal;
use rustix::process::{Pid, Resource, Rlimit, kill_process, prlimit};

use crate::until;

/// A running program. Dropping it kills it, by its own process ID.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    output: Arc<Output>,
    readers: Vec<JoinHandle<()>>,
}

/// How a program ended, and what it said.
#[derive(Debug)]
pub struct Outcome {
    /// The exit code; `None` after a signal.
    pub code: Option<i32>,
    /// The lines of standard output.
    pub stdout: Vec<String>,
    /// The lines of standard error.
    pub stderr: Vec<String>,
}

/// The lines that a program wrote so far, on both streams, in the order of their arrival.
#[derive(Debug, Default)]
struct Output {
    lines: Mutex<Vec<(Stream, String)>>,
    more: Condvar,
    paused: AtomicBool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stream {
    Out,
    Error,
}

impl Process {
    /// Starts the command with its input closed and both outputs kept.
    ///
    /// # Panics
    /// If it cannot be started.
    #[track_caller]
    pub fn spawn(command: &mut Command) -> Self {
        Self::start(command, Stdio::null())
    }

    /// Starts the command and hands out its input.
    ///
    /// # Panics
    /// If it cannot be started.
    #[track_caller]
    pub fn spawn_with_input(command: &mut Command) -> (Self, ChildStdin) {
        let mut process = Self::start(command, Stdio::piped());
        let input = process.child.stdin.take().expect("the input is piped");
        (process, input)
    }

    #[track_caller]
    fn start(command: &mut Command, input: Stdio) -> Self {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut child = command
            .stdin(input)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        let output = Arc::new(Output::default());
        let readers = vec![
            keep(child.stdout.take(), Stream::Out, &output),
            keep(child.stderr.take(), Stream::Error, &output),
        ];
        Self {
            name,
            child,
            output,
            readers,
        }
    }

    /// The process ID.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until a line answers the question; the lines that were written before count too.
    ///
    /// # Panics
    /// After the limit, with all that the program wrote.
    #[track_caller]
    pub fn wait_for_line<T>(
        &self,
        what: &str,
        limit: Duration,
        mut question: impl FnMut(&str) -> Option<T>,
    ) -> T {
        let deadline = Instant::now() + limit;
        let mut lines = self.output.lines.lock().unwrap();
        let mut seen = 0;
        loop {
            if let Some(answer) = lines[seen..].iter().find_map(|(_, line)| question(line)) {
                return answer;
            }
            seen = lines.len();
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                drop(lines);
                let said = self.lines().join("\n");
                panic!(
                    "{}: no {what} within {limit:?}; it said:\n{said}",
                    self.name
                );
            }
            lines = self.output.more.wait_timeout(lines, left).unwrap().0;
        }
    }

    /// Stops reading its outputs, or goes on: the pipes fill up as those of a log collector that
    /// stands still.
    pub fn pause_reading(&self, paused: bool) {
        self.output.paused.store(paused, Ordering::SeqCst);
    }

    /// All lines so far, of both outputs.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let lines = self.output.lines.lock().unwrap();
        lines.iter().map(|(_, line)| line.clone()).collect()
    }

    /// How much memory it holds, in bytes (`VmRSS`).
    ///
    /// # Panics
    /// If it has ended.
    #[must_use]
    #[track_caller]
    pub fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id()));
        let status = status.expect("the status of a running process");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.and_then(|line| line.trim().strip_suffix("kB"));
        let kilobytes = kilobytes.and_then(|kilobytes| kilobytes.trim().parse::<u64>().ok());
        kilobytes.expect("a number of kilobytes") * 1024
    }

    /// How many descriptors it has open.
    ///
    /// # Panics
    /// If it has ended.
    #[must_use]
    #[track_caller]
    pub fn descriptors(&self) -> usize {
        let entries = fs::read_dir(format!("/proc/{}/fd", self.id()));
        entries
            .expect("the descriptors of a running process")
            .count()
    }

    /// Lets it have so many descriptors from now on.
    ///
    /// # Panics
    /// If the kernel refuses.
    pub fn limit_descriptors(&self, count: u64) {
        let limit = Rlimit {
            current: Some(count),
            maximum: Some(count),
        };
        prlimit(Some(Pid::from_child(&self.child)), Resource::Nofile, limit)
            .expect("a limit for a child");
    }

    /// How long it has computed so far, in user space and in the kernel.
    ///
    /// # Panics
    /// If it has ended.
    #[must_use]
    #[track_caller]
    pub fn cpu_time(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.id()));
        let stat = stat.expect("the state of a running process");
        // The name in parentheses may hold anything; the 12th and 13th fields after it are ticks.
        let (_, fields) = stat.rsplit_once(')').expect("a name in parentheses");
        let ticks = fields.split_whitespace().skip(11).take(2);
        let ticks: u64 = ticks
            .map(|field| field.parse::<u64>().expect("ticks"))
            .sum();
        Duration::from_secs(ticks) / u32::try_from(rustix::param::clock_ticks_per_second()).unwrap()
    }

    /// Sends a signal. One to a process that has ended already is no failure.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        match kill_process(pid, signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => {}
            Err(error) => panic!("cannot signal {}: {error}", self.name),
        }
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("the child's status").is_none()
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// If it still runs after the limit.
    #[track_caller]
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        let what = format!("{} ends", self.name);
        until(&what, limit, || {
            self.child.try_wait().expect("the child's status")
        })
    }

    /// Waits for its end, and for its last word.
    ///
    /// # Panics
    /// If it still runs after the limit.
    #[track_caller]
    pub fn finish(mut self, limit: Duration) -> Outcome {
        let code = self.wait(limit).code();
        for reader in self.readers.drain(..) {
            reader.join().expect("the reader of an output");
        }
        let lines = self.output.lines.lock().unwrap();
        let of = |wanted| {
            let lines = lines.iter().filter(|(stream, _)| *stream == wanted);
            lines.map(|(_, line)| line.clone()).collect()
        };
        Outcome {
            code,
            stdout: of(Stream::Out),
            stderr: of(Stream::Error),
        }
    }

    /// Gives it time to end by itself.
    pub fn let_end(&mut self, limit: Duration) {
        let deadline = Instant::now() + limit;
        while self.is_running() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends it without a chance to say goodbye.
    pub fn kill(&mut self) {
        self.pause_reading(false);
        // Both fail only where the child has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            let lines = self.lines();
            let tail = &lines[lines.len().saturating_sub(40)..];
            eprintln!("--- the last lines of {}:\n{}", self.name, tail.join("\n"));
        }
    }
}

/// Reads a stream of the child to its end, on a thread of its own: a full pipe would stop it.
fn keep(
    pipe: Option<impl Read + Send + 'static>,
    stream: Stream,
    output: &Arc<Output>,
) -> JoinHandle<()> {
    let pipe = pipe.expect("the stream is piped");
    let output = Arc::clone(output);
    thread::spawn(move || {
        let mut reader = BufReader::new(pipe);
        let mut line = Vec::new();
        while reader
            .read_until(b'\n', &mut line)
            .is_ok_and(|read| read > 0)
        {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            output.lines.lock().unwrap().push((stream, text));
            output.more.notify_all();
            line.clear();
            while output.paused.load(Ordering::SeqCst) {
                thread::sleep(Duration::from_millis(5));
            }
        }
    })
}
