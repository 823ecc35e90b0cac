//! A real Redis.

use std::{net::SocketAddr, process::Command};

use tempfile::TempDir;

use crate::{LIMIT, Process, Signal, free_port, port::local};

/// A Redis that keeps nothing on disk.
#[derive(Debug)]
pub struct Redis {
    address: SocketAddr,
    process: Process,
    _folder: TempDir,
}

impl Redis {
    /// Starts one and waits until it is ready.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    #[track_caller]
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let address = local(free_port());
        let process = Process::spawn(
            Command::new("redis-server")
                .args(["--bind", "127.0.0.1", "--port", &address.port().to_string()])
                .args(["--save", "", "--appendonly", "no", "--daemonize", "no"])
                .current_dir(folder.path()),
        );
        process.wait_for_line("word that it is ready", LIMIT, |line| {
            line.contains("Ready to accept connections").then_some(())
        });
        Self {
            address,
            process,
            _folder: folder,
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops it where it stands, as a machine that hangs; [`resume`](Self::resume) lets it go on.
    pub fn pause(&self) {
        self.process.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.process.signal(Signal::CONT);
    }
}
