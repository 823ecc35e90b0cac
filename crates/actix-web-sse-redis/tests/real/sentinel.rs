//! A Sentinel with a quorum of one.

use std::{
    fs,
    net::TcpStream,
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use crate::{
    node::until,
    server::{Port, Server},
};

pub(crate) struct Sentinel {
    pub(crate) port: u16,
    _claim: Port,
    process: Child,
    _folder: TempDir,
}

impl Sentinel {
    /// Watches over this one, which it calls `main`, and knows its replicas. It takes nobody for gone who only has no
    /// processor for a while, before it is told to.
    pub(crate) async fn over(primary: &Server) -> Self {
        let sentinel = Self::start(primary.port, "");
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

    /// One with more lines of configuration, which calls the Redis at this port `main`.
    pub(crate) async fn configured(primary: u16, more: &str) -> Self {
        let sentinel = Self::start(primary, more);
        until(|| TcpStream::connect(("127.0.0.1", sentinel.port)).is_ok()).await;
        sentinel
    }

    fn start(primary: u16, more: &str) -> Self {
        let claim = Port::claim();
        let port = claim.number;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sentinel.conf");
        let listen = match more.contains("tls-cert-file") {
            true => format!("port 0\ntls-port {port}"),
            false => format!("port {port}"),
        };
        // It writes into its configuration.
        let configuration = format!(
            "bind 127.0.0.1\n{listen}\nsentinel monitor main 127.0.0.1 {primary} 1\n\
             sentinel down-after-milliseconds main 60000\nsentinel failover-timeout main 5000\n{more}"
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

    /// From now on whoever is silent for so many milliseconds is gone.
    pub(crate) fn be_patient_for(&self, millis: &str) {
        let answer = self.ask(&["SENTINEL", "SET", "main", "down-after-milliseconds", millis]);
        assert_eq!(answer, "+OK\r\n");
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
