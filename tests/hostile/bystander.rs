//! What the machine does to a program that nobody attacks, meanwhile.
//!
//! The hostile client, the server, those who measure and whatever else runs share the cores. Two
//! threads that hand a byte to and fro say how long anybody waits for a turn.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// Two threads and a loopback connection.
#[derive(Debug)]
pub(crate) struct Bystander {
    waits: Arc<Mutex<Vec<Duration>>>,
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Bystander {
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let mut near = TcpStream::connect(listener.local_addr().expect("bound")).expect("loopback");
        let (mut far, _) = listener.accept().expect("the connection");
        near.set_nodelay(true).expect("a socket");
        far.set_nodelay(true).expect("a socket");
        let (waits, over) = (
            Arc::<Mutex<Vec<_>>>::default(),
            Arc::<AtomicBool>::default(),
        );
        let echo = thread::spawn(move || {
            let mut byte = [0];
            while far.read_exact(&mut byte).is_ok() && far.write_all(&byte).is_ok() {}
        });
        let ask = thread::spawn({
            let (waits, over) = (Arc::clone(&waits), Arc::clone(&over));
            move || {
                let mut byte = [0];
                while !over.load(Ordering::SeqCst) {
                    let start = Instant::now();
                    if near.write_all(&byte).is_err() || near.read_exact(&mut byte).is_err() {
                        return;
                    }
                    waits.lock().unwrap().push(start.elapsed());
                    thread::sleep(Duration::from_millis(5));
                }
            }
        });
        Self {
            waits,
            over,
            threads: vec![ask, echo],
        }
    }

    /// Of a hundred waits so far, the longest but one.
    pub(crate) fn p99(&self) -> Duration {
        let mut waits = self.waits.lock().unwrap().clone();
        waits.sort_unstable();
        waits
            .get(waits.len() * 99 / 100)
            .copied()
            .unwrap_or_default()
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
