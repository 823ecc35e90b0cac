//! One hostile client against one demo, and what the others felt of it.

use std::{
    fs, io,
    net::Ipv4Addr,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use actix_web_sse_tests::{Demo, Exposition, LIMIT, connections_held};

use rustix::process::{getpriority_process, setpriority_process};

use crate::{
    attack::{Attack, Fault},
    honest::{Crowd, Felt, Manners},
    setup::Setup,
    target::Target,
};

/// How long and with how many.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// The demo's program.
    pub(crate) demo: &'static str,
    /// How many streams are read meanwhile, where the configuration admits as many.
    pub(crate) honest: usize,
    /// How long the phase without the attack is; as many times as long where the attack is.
    pub(crate) quiet: Duration,
    /// How long an attack is; some take a multiple.
    pub(crate) attack: Duration,
    /// A p99 of delivery that is no fault, however fast the quiet phase was: the build may be slow,
    /// and the streams few.
    pub(crate) floor: Duration,
    /// How much later opens and deliveries may be where the work is not the library's.
    pub(crate) below_us: Duration,
    /// Whether the hostile client has only what the others leave of the cores.
    pub(crate) gives_way: bool,
    /// How soon after an attack the server must have nothing to do.
    pub(crate) idle_again: Duration,
}

/// What came of it.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    pub(crate) attack: &'static str,
    pub(crate) setup: Setup,
    pub(crate) quiet: Felt,
    pub(crate) felt: Felt,
    /// How long the thread of the server that waited most was ready to run and had no core, under
    /// the attack.
    pub(crate) waited: Duration,
    /// The server's cores in use in the quiet phase, under the attack, and after it.
    pub(crate) cpu: [f64; 3],
    /// Until the server was idle again.
    pub(crate) until_idle: Duration,
    /// Resident memory before, at most, and after, in bytes.
    pub(crate) memory: [u64; 3],
    /// Descriptors before, at most, and after.
    pub(crate) descriptors: [usize; 3],
    /// Each a sentence.
    pub(crate) faults: Vec<String>,
    /// Whether each of the faults is that something took too long.
    pub(crate) only_late: bool,
}

impl Outcome {
    /// How many times as late as before deliveries were, by the 99th percentile.
    pub(crate) fn ratio(&self) -> f64 {
        self.felt.p99.as_secs_f64() / self.quiet.p99.as_secs_f64().max(1e-6)
    }
}

/// What an allocator keeps for itself, in bytes, beside five in a hundred.
const KEPT: u64 = 8 << 20;
/// A server that has nothing to do, in cores.
const IDLE: f64 = 0.1;
/// What may never be kept, whatever the allocator does.
const TOO_MUCH: u64 = 128 << 20;

/// Attacks a demo of its own.
pub(crate) fn trial(attack: &Attack, setup: Setup, plan: Plan) -> Outcome {
    let demo = Demo::start(plan.demo, &setup.settings());
    let honest = plan.honest.min(setup.total() - 100);
    let mut crowd = Crowd::gather(Manners {
        app: demo.app,
        streams: honest,
        gather_every: setup.gather_every(),
        // With a thousand streams five times a second is work enough.
        publish_every: Duration::from_millis(if honest > 200 { 200 } else { 40 }),
        // Far below what the configurations admit.
        open_every: Duration::from_millis(60),
        busy: attack.busy,
        token: setup.token(),
    });
    // What grows once, has grown after this.
    crowd.begin();
    thread::sleep(plan.quiet / 2);
    crowd.end();

    crowd.begin();
    let quiet_cpu = cores(&demo, || thread::sleep(plan.quiet.mul_f64(attack.seconds)));
    let quiet = crowd.end();
    let before = Held::of(&demo);

    let duration = plan.attack.mul_f64(attack.seconds);
    let target = Target {
        app: demo.app,
        from: stranger(),
        token: setup.token().map(|sign| sign("mallory", false)),
        until: Instant::now() + duration,
        per_address: setup.per_address(),
        busy_topic: "busy",
        streams: Arc::default(),
    };
    crowd.begin();
    demo.process().pause_reading(attack.log_unread);
    let waited = waited(&demo);
    let hostile = thread::spawn({
        let (run, target) = (attack.run, target.clone());
        move || {
            if plan.gives_way {
                give_way().expect("any thread may give way");
            }
            run(&target)
        }
    });
    let (mut peak, mut sockets) = (before, Vec::new());
    let mut watch = |time: Duration| {
        let end = Instant::now() + time;
        while Instant::now() < end {
            peak = peak.most(Held::of(&demo));
            if attack.few_sockets {
                sockets.push(sockets_of(&target));
            }
            thread::sleep(Duration::from_millis(20));
        }
    };
    let cpu_first = cores(&demo, || watch(duration / 2));
    let cpu_then = cores(&demo, || {
        watch(target.until.saturating_duration_since(Instant::now()));
    });
    let mut faults = match hostile.join() {
        Ok(faults) => faults,
        Err(_) => vec![Fault::Wrong("the hostile client panicked".to_owned())],
    };
    let waited = self::waited(&demo).saturating_sub(waited);
    let felt = crowd.end();
    demo.process().pause_reading(false);
    let (until_idle, cpu_after) = idle(&demo, plan.idle_again);

    if quiet.opens.is_empty() || quiet.in_time(Duration::ZERO) < quiet.opens.len() {
        faults.push(Fault::Late(format!(
            "before it {} of {} opens were in time: the machine is too busy to measure",
            quiet.in_time(Duration::ZERO),
            quiet.opens.len()
        )));
    }
    // What h2 takes for itself, the threat model names. It must end, and nobody be lost.
    let more = if attack.below_us {
        plan.below_us
    } else {
        Duration::ZERO
    };
    faults.extend(felt_faults(&quiet, &felt, plan.floor, waited + more));
    if attack.rests && cpu_then > quiet_cpu + 2.0 * IDLE {
        faults.push(Fault::Late(format!(
            "the client rested, and the server took {cpu_then:.2} cores where {quiet_cpu:.2} did"
        )));
    }
    if until_idle > plan.idle_again {
        faults.push(Fault::Late(format!(
            "{cpu_after:.2} cores {until_idle:.1?} after the attack"
        )));
    }
    // The kernel's table is no snapshot: one that ends and one that begins may both be in it.
    let allowed = setup.per_address() + 1;
    let sockets = lasting(&sockets);
    if sockets > allowed {
        faults.push(Fault::Late(format!(
            "{sockets} of its streams had a descriptor, where {allowed} may be"
        )));
    }
    let (after, mut growth) = given_back(&demo, before);
    if after.memory > before.memory + TOO_MUCH {
        faults.push(Fault::Wrong(growth.join("; ")));
    } else if !growth.is_empty() {
        // An allocator keeps what it once had, of each thread's own. What grows every time is no such
        // thing.
        let mut before = after;
        for _ in 0..3 {
            let again = Target {
                until: Instant::now() + duration,
                ..target.clone()
            };
            (attack.run)(&again);
            let (after, more) = given_back(&demo, before);
            growth = more;
            if growth.is_empty() {
                break;
            }
            before = after;
        }
        faults.extend(growth.into_iter().map(Fault::Wrong));
    }
    drop(crowd);
    faults.extend(accounts(&demo).into_iter().map(Fault::Wrong));
    let only_late = faults.iter().all(|fault| matches!(fault, Fault::Late(_)));
    Outcome {
        attack: attack.name,
        setup,
        quiet,
        felt,
        waited,
        cpu: [quiet_cpu, cpu_first.max(cpu_then), cpu_after],
        until_idle,
        memory: [before.memory, peak.memory, after.memory],
        descriptors: [before.descriptors, peak.descriptors, after.descriptors],
        faults: faults.into_iter().map(Fault::into_text).collect(),
        only_late,
    }
}

/// An address that no trial had before: what a server remembers of one is not in the way of the
/// next, and the kernel has all its ports.
fn stranger() -> Ipv4Addr {
    Ipv4Addr::new(127, 66, fastrand::u8(..), fastrand::u8(1..255))
}

/// Lets this thread, and those that it starts, have only what the rest of this program and its children leave.
fn give_way() -> io::Result<()> {
    let niceness = getpriority_process(None)?;
    Ok(setpriority_process(None, niceness + 19)?)
}

/// What the process holds.
#[derive(Debug, Clone, Copy)]
struct Held {
    memory: u64,
    descriptors: usize,
}

impl Held {
    fn of(demo: &Demo) -> Self {
        Self {
            memory: demo.process().memory(),
            descriptors: demo.process().descriptors(),
        }
    }

    fn most(self, other: Self) -> Self {
        Self {
            memory: self.memory.max(other.memory),
            descriptors: self.descriptors.max(other.descriptors),
        }
    }
}

/// The most that were there in each of ten looks in a row, which is a fifth of a second: permit and
/// descriptor are given back one after the other.
fn lasting(looks: &[usize]) -> usize {
    let least = |looks: &[usize]| looks.iter().copied().min();
    looks.windows(10).filter_map(least).max().unwrap_or(0)
}

/// How long each thread of the server was ready to run without a core, so far; the longest.
fn waited(demo: &Demo) -> Duration {
    let threads = fs::read_dir(format!("/proc/{}/task", demo.process().id()));
    let of = |thread: fs::DirEntry| {
        let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split_whitespace().nth(1)?.parse().ok()
    };
    let threads = threads.expect("the threads of a running process").flatten();
    Duration::from_nanos(threads.filter_map(of).max().unwrap_or(0))
}

/// The streams' connections of the client that the server's process has open.
fn sockets_of(target: &Target) -> usize {
    let streams = target.streams.lock().unwrap();
    let held = connections_held(target.app.port()).into_iter();
    held.filter(|client| *client.ip() == target.from && streams.contains(&client.port()))
        .count()
}

/// The cores that the server uses meanwhile.
fn cores(demo: &Demo, meanwhile: impl FnOnce()) -> f64 {
    let (cpu, start) = (demo.process().cpu_time(), Instant::now());
    meanwhile();
    let used = demo.process().cpu_time().saturating_sub(cpu);
    used.as_secs_f64() / start.elapsed().as_secs_f64().max(1e-3)
}

/// Waits until the server has nothing to do; how long that took, and what it did last.
fn idle(demo: &Demo, limit: Duration) -> (Duration, f64) {
    let start = Instant::now();
    loop {
        let waited = start.elapsed();
        let used = cores(demo, || thread::sleep(Duration::from_millis(200)));
        if used <= IDLE || waited > 2 * limit {
            return (waited, used);
        }
    }
}

fn felt_faults(quiet: &Felt, felt: &Felt, floor: Duration, waited: Duration) -> Vec<Fault> {
    let mut faults = Vec::new();
    // The hostile client, those who measure and whatever else runs have the same cores as the
    // server. Waiting for one is no fault of it.
    let (opens, in_time) = (felt.opens.len(), felt.in_time(waited));
    // One of a hundred, and one where there were fewer.
    if opens == 0 || opens - in_time > opens.div_ceil(100) {
        faults.push(Fault::Late(format!(
            "{in_time} of {opens} opens of others were in time"
        )));
    }
    let allowed = floor.max(2 * quiet.p99) + waited;
    if felt.p99 > allowed {
        faults.push(Fault::Late(format!(
            "p99 of delivery was {:.0?}, {:.0?} before, where {allowed:.0?} may be",
            felt.p99, quiet.p99
        )));
    }
    if felt.lost > 0 {
        faults.push(Fault::Wrong(format!(
            "{} of {} deliveries never were",
            felt.lost, felt.deliveries
        )));
    }
    faults
}

/// Waits until memory and descriptors are as they were; what they are then, and what is not.
fn given_back(demo: &Demo, before: Held) -> (Held, Vec<String>) {
    let memory = before.memory + before.memory / 20 + KEPT;
    // The publisher may have had to connect anew.
    let descriptors = before.descriptors + 2;
    let deadline = Instant::now() + Duration::from_secs(4);
    loop {
        let after = Held::of(demo);
        let mut more = Vec::new();
        if after.memory > memory {
            more.push(format!(
                "{} KiB resident after it, {} before",
                after.memory >> 10,
                before.memory >> 10
            ));
        }
        if after.descriptors > descriptors {
            more.push(format!(
                "{} descriptors after it, {} before",
                after.descriptors, before.descriptors
            ));
        }
        if more.is_empty() || Instant::now() > deadline {
            return (after, more);
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// Waits until nothing of any stream is left, with everybody gone, and the accounts agree. Over
/// HTTP/2 a client that has gone is found at the next write, within a heartbeat (15 s by default).
fn accounts(demo: &Demo) -> Vec<String> {
    let deadline = Instant::now() + 2 * LIMIT;
    loop {
        let left = left(&demo.exposition());
        if left.is_empty() || Instant::now() > deadline {
            return left;
        }
        thread::sleep(Duration::from_millis(50));
    }
}

fn left(seen: &Exposition) -> Vec<String> {
    let sum = |name| seen.sum_or_zero(name, &[]);
    let (opened, closed, active) = (
        sum("sse_connections_opened_total"),
        sum("sse_connections_closed_total"),
        sum("sse_connections_active"),
    );
    let mut left = Vec::new();
    if (opened - closed - active).abs() > 0.5 {
        left.push(format!("{opened} opened, {closed} closed, {active} active"));
    }
    for name in [
        "sse_connections_active",
        "sse_clients",
        "sse_client_streams_max",
    ] {
        if sum(name).abs() > 0.5 {
            left.push(format!("{name} is {} with everybody gone", sum(name)));
        }
    }
    left
}
