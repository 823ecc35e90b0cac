//! A `redis-server` that keeps nothing on disk, on the server's core.

use std::{
    error::Error,
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::core_pin::{Cores, pin};

/// Ends when dropped.
#[derive(Debug)]
pub(super) struct RedisServer {
    address: SocketAddr,
    process: Child,
    _folder: TempDir,
}

/// The version of the one on this machine; none if there is none.
pub(super) fn version() -> Option<String> {
    let output = Command::new("redis-server")
        .arg("--version")
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let version = text.split(' ').find_map(|word| word.strip_prefix("v="));
    version.map(str::to_owned)
}

impl RedisServer {
    pub(super) fn start(cores: Cores) -> Result<Self, Box<dyn Error>> {
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let folder = tempfile::tempdir()?;
        let mut command = Command::new("redis-server");
        command
            .args(["--bind", "127.0.0.1", "--port", &address.port().to_string()])
            .args(["--save", "", "--appendonly", "no"])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        pin(cores.server)?;
        let process = command.spawn();
        pin(cores.load)?;
        let server = Self {
            address,
            process: process?,
            _folder: folder,
        };
        let start = Instant::now();
        while TcpStream::connect(address).is_err() {
            if start.elapsed() > Duration::from_secs(10) {
                return Err(io::Error::other("redis-server does not listen").into());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(server)
    }

    pub(super) fn url(&self) -> String {
        format!("redis://{}", self.address)
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
