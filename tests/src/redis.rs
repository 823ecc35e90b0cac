//! A real Redis.

use std::{net::SocketAddr, process::Command};

use tempfile::TempDir;

use crate::{LIMIT, Process, Signal, free_port, port::local};

/// A Redis that keeps nothing on disk, or one that keeps all that it acknowledges.
#[derive(Debug)]
pub struct Redis {
    address: SocketAddr,
    process: Process,
    durable: bool,
    folder: TempDir,
}

impl Redis {
    /// Starts one and waits until it is ready.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    #[track_caller]
    pub fn start() -> Self {
        Self::start_with(false)
    }

    /// Starts one that loses nothing when it is killed.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    #[track_caller]
    pub fn durable() -> Self {
        Self::start_with(true)
    }

    #[track_caller]
    fn start_with(durable: bool) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let address = local(free_port());
        Self {
            process: spawn(address, durable, &folder),
            address,
            durable,
            folder,
        }
    }

    /// Kills it, as the out-of-memory killer would.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again on the same port, after it was killed.
    ///
    /// # Panics
    /// If it does not start.
    #[track_caller]
    pub fn restart(&mut self) {
        self.process = spawn(self.address, self.durable, &self.folder);
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it answers to a command, as `redis-cli` prints it.
    ///
    /// # Panics
    /// If there is no answer.
    #[must_use]
    #[track_caller]
    pub fn ask(&self, words: &[&str]) -> String {
        let port = self.address.port().to_string();
        let output = Command::new("redis-cli")
            .args(["-p", &port])
            .args(words)
            .output()
            .expect("redis-cli: Debian's package redis-tools");
        assert!(output.status.success(), "{words:?}: {output:?}");
        let text = String::from_utf8(output.stdout).expect("text");
        text.trim_end().to_owned()
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

#[track_caller]
fn spawn(address: SocketAddr, durable: bool, folder: &TempDir) -> Process {
    let append = if durable { "yes" } else { "no" };
    let process = Process::spawn(
        Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &address.port().to_string()])
            .args(["--save", "", "--appendonly", append])
            .args(["--appendfsync", "always", "--daemonize", "no"])
            .current_dir(folder.path()),
    );
    process.wait_for_line("word that it is ready", LIMIT, |line| {
        line.contains("Ready to accept connections").then_some(())
    });
    process
}
