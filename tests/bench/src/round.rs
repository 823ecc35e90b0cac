//! One contestant's turn, and the rounds of turns.

use std::{
    error::Error,
    net::SocketAddr,
    path::Path,
    time::{Duration, Instant},
};

use crate::{
    contestant::{Contestant, Server},
    control::Control,
    core_pin::{Cores, pin},
    load::Crowd,
    plan::Plan,
    report::{Measured, Report},
    statistics::median,
};

/// Events before anything is measured: code and buffers are warm then.
const WARM_UP: usize = 3;

/// Measures everybody in turn, prints, writes.
pub(crate) fn run(
    plan: &Plan,
    only: &[Contestant],
    tables: Option<&Path>,
    chart: Option<&Path>,
) -> Result<(), Box<dyn Error>> {
    for path in [tables, chart].into_iter().flatten() {
        // Before the minutes, not after them.
        crate::report::has_markers(path)?;
    }
    let cores = Cores::choose()?;
    if !cores.are_separate() {
        eprintln!("warning: one core only; server and load share it, and the figures are off");
    }
    pin(cores.load)?;
    let contestants = Contestant::ALL
        .into_iter()
        .filter(|c| only.is_empty() || only.contains(c) || *c == Contestant::Floor)
        .filter(|contestant| {
            let there = contestant.is_there();
            if !there {
                eprintln!(
                    "{} is not on this machine, and is left out",
                    contestant.name()
                );
            }
            there
        })
        .collect::<Vec<_>>();
    let start = Instant::now();
    let mut report = Report::new(plan);
    for round in 1..=plan.rounds {
        for contestant in &contestants {
            eprintln!("round {round} of {}: {}", plan.rounds, contestant.name());
            let measured = turn(plan, *contestant, cores)
                .map_err(|error| format!("{}: {error}", contestant.name()))?;
            report.add(*contestant, measured);
        }
    }
    for round in 1..=plan.strains {
        for contestant in &contestants {
            eprintln!(
                "round {round} of {}: {} under strain",
                plan.strains,
                contestant.name()
            );
            let strained = crate::strain::turn(plan, *contestant, cores)
                .map_err(|error| format!("{}: {error}", contestant.name()))?;
            report.add_strained(*contestant, strained);
        }
    }
    if contestants.contains(&Contestant::Ours) {
        for round in 1..=plan.rounds {
            eprintln!("round {round} of {}: guards, metrics, logs", plan.rounds);
            report.add_parts(crate::parts::turn(plan, cores)?);
        }
        eprintln!("scrapes");
        report.set_scrapes(crate::parts::scrapes(plan, cores)?);
    }
    eprintln!("took {:.0} s", start.elapsed().as_secs_f64());
    let text = report.to_string();
    let bars = crate::chart::chart(&report);
    println!("{text}\n{bars}");
    for (path, text) in [(tables, &text), (chart, &bars)] {
        if let Some(path) = path {
            crate::report::write_between_markers(path, text)?;
            eprintln!("written to {}", path.display());
        }
    }
    Ok(())
}

/// The deliveries of a round, on any server of [`serve`](crate::serve).
pub(crate) fn load(
    server: SocketAddr,
    streams: usize,
    batches: usize,
    batch: usize,
) -> Result<(), Box<dyn Error>> {
    pin(Cores::choose()?.load)?;
    let mut control = Control::connect(server)?;
    let mut crowd = Crowd::new(server, plain)?;
    crowd.grow_to(streams)?;
    let start = Instant::now();
    let latencies = deliver(Contestant::Ours, &mut control, &mut crowd, batches, batch)?;
    println!(
        "{batches} batches of {batch} to {streams} streams in {:.3} s, the median to the last in {:.2} ms",
        start.elapsed().as_secs_f64(),
        median(latencies).unwrap_or_default()
    );
    Ok(())
}

/// Nothing but what a stream needs.
fn plain(_: usize) -> String {
    String::new()
}

fn turn(plan: &Plan, contestant: Contestant, cores: Cores) -> Result<Measured, Box<dyn Error>> {
    let mut measured = Measured::default();
    busy(plan, contestant, cores, &mut measured)?;
    measured.heartbeat = Some(idle(plan, contestant, cores)?);
    Ok(measured)
}

/// Opens, memory, deliveries, foreign publications: one life of a server.
fn busy(
    plan: &Plan,
    contestant: Contestant,
    cores: Cores,
    measured: &mut Measured,
) -> Result<(), Box<dyn Error>> {
    let server = Server::start(contestant, &[], Duration::from_secs(15), cores)?;
    let mut control = server.control()?;
    let mut crowd = Crowd::new(server.address, plain)?;

    // What the server makes on first use is not a stream's.
    crowd.grow_to(plan.few_streams)?;
    deliver(contestant, &mut control, &mut crowd, WARM_UP, 1)?;
    if contestant.has_foreign_thread() {
        measured.foreign_few = Some(foreign(&mut control, &mut crowd, plan.foreign)?);
    }
    if contestant.has_wake() {
        measured.wake_few = Some(wakes(contestant, &mut control, &mut crowd, plan.foreign)?);
    }
    crowd.shrink_to(0)?;
    crowd.read_for(Duration::from_millis(100))?;

    let memory = server.account.private_bytes()?;
    let cpu = server.account.cpu_time()?;
    crowd.grow_to(plan.streams)?;
    measured.open = Some(per(server.account.cpu_time()? - cpu, plan.streams));
    crowd.read_for(Duration::from_millis(200))?;
    let grown = server.account.private_bytes()?.saturating_sub(memory);
    measured.memory = Some(grown as f64 / 1024.0 / plan.streams as f64);

    deliver(contestant, &mut control, &mut crowd, WARM_UP, 1)?;
    let bytes = crowd.totals();
    let cpu = server.account.cpu_time()?;
    let latencies = deliver(contestant, &mut control, &mut crowd, plan.singles, 1)?;
    measured.single = Some(per(
        server.account.cpu_time()? - cpu,
        plan.singles * plan.streams,
    ));
    measured.last = median(latencies);
    let events = crowd.totals().events - bytes.events;
    measured.bytes = Some((crowd.totals().bytes - bytes.bytes) as f64 / events as f64);
    if contestant.has_foreign_thread() {
        measured.foreign_many = Some(foreign(&mut control, &mut crowd, plan.foreign)?);
    }
    if contestant.has_wake() {
        measured.wake_many = Some(wakes(contestant, &mut control, &mut crowd, plan.foreign)?);
    }

    crowd.shrink_to(plan.batch_streams)?;
    crowd.read_for(Duration::from_millis(100))?;
    deliver(contestant, &mut control, &mut crowd, WARM_UP, plan.batch)?;
    let cpu = server.account.cpu_time()?;
    deliver(
        contestant,
        &mut control,
        &mut crowd,
        plan.batches,
        plan.batch,
    )?;
    measured.batch = Some(per(
        server.account.cpu_time()? - cpu,
        plan.batches * plan.batch * plan.batch_streams,
    ));
    Ok(())
}

/// CPU per heartbeat of idle streams, in microseconds.
fn idle(plan: &Plan, contestant: Contestant, cores: Cores) -> Result<f64, Box<dyn Error>> {
    let server = Server::start(contestant, &[], plan.heartbeat, cores)?;
    let _control = server.control()?;
    let mut crowd = Crowd::new(server.address, plain)?;
    crowd.grow_to(plan.streams)?;
    crowd.read_for(plan.heartbeat)?;
    let before = crowd.totals();
    let cpu = server.account.cpu_time()?;
    crowd.read_for(plan.idle)?;
    let used = server.account.cpu_time()? - cpu;
    let beats = crowd.totals().comments - before.comments;
    let expected = plan.streams as f64 * plan.idle.as_secs_f64() / plan.heartbeat.as_secs_f64();
    if (beats as f64) < expected / 2.0 {
        return Err(format!("{beats} heartbeats instead of about {expected}").into());
    }
    Ok(used.as_secs_f64() * 1e6 / beats as f64)
}

/// Publishes so many batches, each when the one before has reached everybody. How long each took
/// to the last stream, in milliseconds.
pub(crate) fn deliver(
    contestant: Contestant,
    control: &mut Control,
    crowd: &mut Crowd,
    batches: usize,
    batch: usize,
) -> Result<Vec<f64>, Box<dyn Error>> {
    let mut latencies = Vec::with_capacity(batches);
    for _ in 0..batches {
        let total = crowd.totals().events + (batch * crowd.len()) as u64;
        let start = Instant::now();
        contestant.publish(control, batch)?;
        crowd.read_events(total)?;
        latencies.push(start.elapsed().as_secs_f64() * 1e3);
        control.finish()?;
    }
    crowd.check_even()?;
    Ok(latencies)
}

/// CPU of a foreign thread per publication, in microseconds.
fn foreign(control: &mut Control, crowd: &mut Crowd, events: usize) -> Result<f64, Box<dyn Error>> {
    let before = foreign_account(control, "/foreign")?;
    for _ in 0..events {
        let total = crowd.totals().events + crowd.len() as u64;
        control.send("POST", "/foreign", "", 1)?;
        crowd.read_events(total)?;
        control.finish()?;
    }
    per_call(control, "/foreign", before, events)
}

/// CPU of a foreign thread per wake of the server's thread, in microseconds; each after a delivery to all streams, as
/// each publication is.
fn wakes(
    contestant: Contestant,
    control: &mut Control,
    crowd: &mut Crowd,
    count: usize,
) -> Result<f64, Box<dyn Error>> {
    let before = foreign_account(control, "/wake")?;
    for _ in 0..count {
        deliver(contestant, control, crowd, 1, 1)?;
        control.send("POST", "/wake", "", 1)?;
        control.finish()?;
    }
    per_call(control, "/wake", before, count)
}

/// Microseconds each of so many calls, when the thread has written down what it did.
fn per_call(
    control: &mut Control,
    path: &str,
    (calls_before, nanos_before): (u64, u64),
    count: usize,
) -> Result<f64, Box<dyn Error>> {
    loop {
        let (calls, nanos) = foreign_account(control, path)?;
        if calls >= calls_before + count as u64 {
            return Ok((nanos - nanos_before) as f64 / 1e3 / count as f64);
        }
    }
}

fn foreign_account(control: &mut Control, path: &str) -> Result<(u64, u64), Box<dyn Error>> {
    let report = control.ask("GET", path)?;
    let (calls, nanos) = report.split_once(' ').ok_or("no account")?;
    Ok((calls.parse()?, nanos.parse()?))
}

/// Microseconds each.
pub(crate) fn per(time: Duration, count: usize) -> f64 {
    time.as_secs_f64() * 1e6 / count as f64
}
