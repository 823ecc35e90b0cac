//! HTTP/2 streams whose client takes nothing (facts A14).

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::AsyncWriteExt,
    time::{MissedTickBehavior, interval, sleep},
};

use super::{Attack, Fault};
use crate::{
    frames::{self, Held},
    target::Target,
};

/// The window stays shut, and new streams are asked for as soon as one may be had.
pub(crate) const CLOSED: Attack =
    Attack::new("h2: window of 0, streams on one connection", |target| {
        hold(target, 1, Trickle::Nothing)
    })
    .busy()
    .seconds(2.0);

/// The same with a byte a second for each stream.
pub(crate) const ONE_BYTE: Attack = Attack::new("h2: window of 1 byte a second", |target| {
    hold(target, 1, Trickle::Byte)
})
.busy()
.seconds(2.0);

/// The same on many connections.
pub(crate) const MANY: Attack = Attack::new("h2: window of 0 on 16 connections", |target| {
    hold(target, 16, Trickle::Nothing)
})
.busy()
.seconds(2.0);

#[derive(Clone, Copy)]
enum Trickle {
    Nothing,
    Byte,
}

/// All connections of the client.
#[derive(Debug, Default)]
struct Peak {
    held: Vec<usize>,
    peak: usize,
    ever: usize,
}

impl Peak {
    fn set(&mut self, connection: usize, held: usize) {
        self.ever += held.saturating_sub(self.held[connection]);
        self.held[connection] = held;
        self.peak = self.peak.max(self.held.iter().sum());
    }
}

/// Asks for streams again and again, and never takes an event. More than may be held at a time
/// must never be there: what the server gave up is reset, or goes on being counted.
fn hold(target: &Target, connections: usize, trickle: Trickle) -> Vec<Fault> {
    let peak = Arc::new(Mutex::new(Peak {
        held: vec![0; connections],
        ..Peak::default()
    }));
    let all = Arc::clone(&peak);
    target.swarm(connections, move |target, number| {
        let peak = Arc::clone(&all);
        async move {
            let end = one(&target, number, trickle, &peak).await;
            peak.lock().unwrap().set(number, 0);
            sleep(Duration::from_millis(20)).await;
            end
        }
    });
    let peak = peak.lock().unwrap();
    let mut faults = Vec::new();
    if peak.ever == 0 {
        faults.push(Fault::Late("the attack could not open a stream".to_owned()));
    }
    if peak.peak > target.per_address {
        faults.push(Fault::Wrong(format!(
            "{} streams were there at a time, where {} may be",
            peak.peak, target.per_address
        )));
    }
    faults
}

async fn one(
    target: &Target,
    number: usize,
    trickle: Trickle,
    peak: &Mutex<Peak>,
) -> io::Result<()> {
    let window = [(frames::INITIAL_WINDOW_SIZE, 0)];
    let socket = frames::connect(target, &window).await?;
    let (mut reader, mut writer) = socket.into_split();
    let held = Mutex::new(Held::default());
    let reading = async {
        loop {
            let frame = frames::read(&mut reader).await?;
            let mut held = held.lock().unwrap();
            held.see(&frame);
            peak.lock().unwrap().set(number, held.0.len());
        }
    };
    let writing = async {
        let mut stream = 1;
        let mut pace = interval(Duration::from_millis(10));
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut ticks = 0_u32;
        loop {
            pace.tick().await;
            ticks += 1;
            let block =
                frames::stream_block(target.app, target.token.as_deref(), target.busy_topic);
            let flags = frames::END_HEADERS | frames::END_STREAM;
            let mut bytes = frames::frame(frames::HEADERS, flags, stream, &block);
            stream += 2;
            if matches!(trickle, Trickle::Byte) && ticks.is_multiple_of(100) {
                for stream in &held.lock().unwrap().0 {
                    let one = 1_u32.to_be_bytes();
                    bytes.extend(frames::frame(frames::WINDOW_UPDATE, 0, *stream, &one));
                }
            }
            writer.write_all(&bytes).await?;
        }
    };
    tokio::select! { end = reading => end, end = writing => end }
}
