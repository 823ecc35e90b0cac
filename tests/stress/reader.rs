//! A client that follows a topic through many connections.

use std::{
    io,
    net::Ipv4Addr,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use actix_web_sse_tests::LIMIT;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    task::LocalSet,
    time::{Instant, sleep, timeout},
};

use crate::{
    Run,
    parser::{Parser, Received},
    publisher::{self, LARGE, TOPICS},
};

/// How a reader reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// As fast as it can, on many short connections.
    Brisk,
    /// Stops reading for seconds, then reads what is there.
    Slow,
    /// A few bytes at a time.
    Drip,
}

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    Fin,
    Reset,
    /// Says that it will send no more, and reads on to the end.
    Half,
    /// Without waiting for the answer.
    Early,
    /// In the middle of the request.
    Request,
}

/// What a reader knows.
#[derive(Debug)]
pub(crate) struct Reader {
    chance: fastrand::Rng,
    manner: Manner,
    topic: usize,
    source: Ipv4Addr,
    /// It read badly the last time and catches up now, or even the replay would run away from it.
    behind: bool,
    last_id: Option<String>,
    next: Option<u64>,
}

/// Runs readers on this thread until they have everything.
pub(crate) fn all(run: &Arc<Run>, readers: Vec<Reader>) -> Vec<Reader> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let tasks = LocalSet::new();
    tasks.block_on(&runtime, async {
        let tasks: Vec<_> = readers
            .into_iter()
            .map(|mut reader| {
                let run = Arc::clone(run);
                tokio::task::spawn_local(async move {
                    reader.follow(&run).await;
                    reader
                })
            })
            .collect();
        let mut readers = Vec::new();
        for task in tasks {
            readers.push(task.await.expect("a reader without a fault"));
        }
        readers
    })
}

impl Reader {
    pub(crate) fn new(seed: u64, number: usize) -> Self {
        let manner = Manner::of(number);
        let group = u8::try_from(number % 64).unwrap_or_default();
        Self {
            chance: fastrand::Rng::with_seed(
                seed.wrapping_mul(0x9e37_79b9).wrapping_add(number as u64),
            ),
            manner,
            topic: match manner {
                Manner::Brisk => number % (TOPICS - 1),
                Manner::Slow | Manner::Drip => LARGE,
            },
            // Each address has its own ports: a hundred thousand connections need many.
            source: Ipv4Addr::new(127, 0, 0, 2 + group),
            behind: false,
            last_id: None,
            next: None,
        }
    }

    pub(crate) const fn topic(&self) -> usize {
        self.topic
    }

    /// The number of the event that it waits for; `None` if it never had one.
    pub(crate) const fn next(&self) -> Option<u64> {
        self.next
    }

    async fn follow(&mut self, run: &Run) {
        while run.take() {
            // A cut connection is what this is about; what counts is what has come.
            let _ = self.subscribe(run).await;
        }
        // The rest, on one connection that nobody cuts; another one if the server ends it.
        let deadline = Instant::now() + 4 * LIMIT;
        while self.next.is_some() {
            let caught_up = self.catch_up(run).await;
            if matches!(caught_up, Ok(true)) {
                return;
            }
            let why = "cannot catch up";
            assert!(Instant::now() < deadline, "{self:?} {why}: {caught_up:?}");
        }
    }

    async fn connect(&self, run: &Run) -> io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((self.source, 0).into())?;
        if self.manner != Manner::Brisk && !self.behind && run.last(self.topic).is_none() {
            // What the kernel takes for a reader that does not read, it should not hide.
            socket.set_recv_buffer_size(4096)?;
        }
        let stream = timeout(LIMIT, socket.connect(run.app.address)).await??;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    fn request(&self) -> String {
        let resume = self
            .last_id
            .as_ref()
            .map_or_else(String::new, |id| format!("Last-Event-ID: {id}\r\n"));
        let topic = publisher::name(self.topic).replace(' ', "%20");
        format!(
            "GET /events?topic={topic} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n{resume}\r\n"
        )
    }

    /// One subscription, and its end.
    async fn subscribe(&mut self, run: &Run) -> io::Result<()> {
        let cut = match self.chance.u8(0..20) {
            0..=7 => Cut::Fin,
            8..=14 => Cut::Reset,
            15..=16 => Cut::Half,
            17..=18 => Cut::Early,
            _ => Cut::Request,
        };
        let mut stream = self.connect(run).await?;
        let request = self.request();
        if cut == Cut::Request {
            let half = self.chance.usize(0..request.len());
            return stream.write_all(&request.as_bytes()[..half]).await;
        }
        stream.write_all(request.as_bytes()).await?;
        run.opened.fetch_add(1, Ordering::SeqCst);
        let mut parser = Parser::default();
        match (cut, self.manner) {
            (Cut::Early, _) => {}
            (_, Manner::Brisk) => {
                let events = self.chance.usize(0..12);
                self.read(run, &mut stream, &mut parser, events).await?;
            }
            _ if std::mem::take(&mut self.behind) => {
                self.read_to_end(run, &mut stream, &mut parser).await?;
            }
            (_, Manner::Slow) => {
                self.behind = true;
                self.read(run, &mut stream, &mut parser, 20).await?;
                // Longer than the server bears it.
                sleep(Duration::from_millis(self.chance.u64(1500..4500))).await;
                self.read_to_end(run, &mut stream, &mut parser).await?;
            }
            (_, Manner::Drip) => {
                self.behind = true;
                self.drip(run, &mut stream, &mut parser).await?;
            }
        }
        match cut {
            Cut::Reset => stream.set_zero_linger()?,
            Cut::Half => {
                stream.shutdown().await?;
                self.read_to_end(run, &mut stream, &mut parser).await?;
            }
            Cut::Fin | Cut::Early | Cut::Request => {}
        }
        Ok(())
    }

    /// Reads until so many events have come, or the stream is over.
    async fn read(
        &mut self,
        run: &Run,
        stream: &mut TcpStream,
        parser: &mut Parser,
        events: usize,
    ) -> io::Result<()> {
        let mut buffer = [0; 8 * 1024];
        let mut count = 0;
        // Those who want none still want the head.
        while (count < events || !parser.is_open()) && !parser.is_ended() {
            let read = timeout(LIMIT, stream.read(&mut buffer)).await??;
            if read == 0 {
                break;
            }
            count += self.take(run, parser.feed(&buffer[..read]));
            // Heartbeats would come for ever, and events no more.
            if run.last(self.topic).is_some() && parser.is_open() {
                break;
            }
        }
        Ok(())
    }

    async fn read_to_end(
        &mut self,
        run: &Run,
        stream: &mut TcpStream,
        parser: &mut Parser,
    ) -> io::Result<()> {
        // A stream that the server has not given up goes on; a second's worth is enough then.
        let all = self.read(run, stream, parser, usize::MAX);
        timeout(Duration::from_secs(1), all).await.unwrap_or(Ok(()))
    }

    async fn drip(
        &mut self,
        run: &Run,
        stream: &mut TcpStream,
        parser: &mut Parser,
    ) -> io::Result<()> {
        let mut buffer = [0; 64];
        for _ in 0..self.chance.usize(50..400) {
            let read = timeout(LIMIT, stream.read(&mut buffer)).await??;
            if read == 0 {
                break;
            }
            self.take(run, parser.feed(&buffer[..read]));
            // Once nothing more is published, each read would wait for a heartbeat.
            if run.last(self.topic).is_some() {
                break;
            }
            sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    /// Reads until the last event of the topic is there; says whether it is.
    async fn catch_up(&mut self, run: &Run) -> io::Result<bool> {
        let mut stream = self.connect(run).await?;
        stream.write_all(self.request().as_bytes()).await?;
        run.opened.fetch_add(1, Ordering::SeqCst);
        let mut parser = Parser::default();
        let mut buffer = [0; 8 * 1024];
        loop {
            if self.next.is_some() && self.next == run.last(self.topic) {
                return Ok(true);
            }
            // Heartbeats come at the latest.
            match timeout(LIMIT, stream.read(&mut buffer)).await?? {
                0 => return Ok(false),
                read => self.take(run, parser.feed(&buffer[..read])),
            };
        }
    }

    /// Checks what has come; how many events those are.
    fn take(&mut self, run: &Run, received: Vec<Received>) -> usize {
        let count = received.len();
        run.events.fetch_add(count as u64, Ordering::SeqCst);
        for Received { id, event, data } in received {
            // The replay is larger than any absence: nothing is ever to be told.
            assert_eq!(event, None, "{data} for {self:?}");
            let (number, _) = data.split_once(' ').expect("a number");
            let number: u64 = number.parse().expect("a number");
            let expected = self.next.unwrap_or(number);
            assert_eq!(
                number, expected,
                "{self:?} has lost events, or has them twice"
            );
            self.next = Some(number + 1);
            self.last_id = Some(id.expect("an ID"));
        }
        count
    }
}
