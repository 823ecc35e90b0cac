//! A Sentinel with a quorum of one.

use std::{
    fs,
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use crate::{
    node::until,
    server::{Port, Server},
};

pub(crate) struct Sentinel {
    port: u16,
    _claim: Port,
    process: Child,
    _folder: TempDir,
}

impl Sentinel {
    /// Watches over this one, which it calls `main`, and knows its replicas.
    pub(crate) async fn over(primary: &Server) -> Self {
        let sentinel = Self::start(primary, "");
        let replicas = primary.command(&["INFO", "replication"]);
        let count = u8::from(!replicas.contains("connected_slaves:0"));
        let known = format!("num-slaves\r\n$1\r\n{count}\r\n");
        until(|| {
            sentinel
                .ask(&["SENTINEL", "MASTER", "main"])
                .contains(&known)
        })
        .await;
        sentinel
    }

    /// One that wants a password of its own, and has another one for Redis.
    pub(crate) async fn guarded(primary: &Server, own: &str, redis: &str) -> Self {
        let more = format!("requirepass {own}\nsentinel auth-pass main {redis}\n");
        let sentinel = Self::start(primary, &more);
        until(|| sentinel.ask(&["PING"]).contains("NOAUTH")).await;
        sentinel
    }

    fn start(primary: &Server, more: &str) -> Self {
        let claim = Port::claim();
        let port = claim.number;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sentinel.conf");
        // It writes into its configuration.
        let configuration = format!(
            "bind 127.0.0.1\nport {port}\nsentinel monitor main 127.0.0.1 {} 1\n\
             sentinel down-after-milliseconds main 2000\nsentinel failover-timeout main 20000\n{more}",
            primary.port
        );
        fs::write(&path, configuration).unwrap();
        let process = Command::new("redis-server")
            .arg(&path)
            .arg("--sentinel")
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("redis-server: Debian's package redis-server");
        Self {
            port,
            _claim: claim,
            process,
            _folder: folder,
        }
    }

    fn ask(&self, command: &[&str]) -> String {
        crate::server::ask(self.port, command)
    }

    pub(crate) fn url(&self) -> String {
        format!("redis+sentinel://127.0.0.1:{}/main", self.port)
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
