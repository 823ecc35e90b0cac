//! A `redis-server` of one's own, on a free port, with its log on disk.

use std::{
    collections::HashMap,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

pub(crate) const LIMIT: Duration = Duration::from_secs(30);

pub(crate) struct Server {
    pub(crate) port: u16,
    folder: TempDir,
    arguments: Vec<String>,
    process: Child,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    pub(crate) fn with(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let arguments: Vec<String> = arguments.iter().map(|&one| one.to_owned()).collect();
        let port = free_port();
        let mut server = Self {
            port,
            process: spawn(port, &folder, &arguments),
            folder,
            arguments,
        };
        server.wait();
        server
    }

    /// A replica of the one that is reached at this port.
    pub(crate) fn replica_of(port: u16) -> Self {
        Self::with(&[
            "--repl-diskless-sync-delay",
            "0",
            "--replicaof",
            "127.0.0.1",
            &port.to_string(),
        ])
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// As the out-of-memory killer would.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    pub(crate) fn restart(&mut self) {
        self.process = spawn(self.port, &self.folder, &self.arguments);
        self.wait();
    }

    /// As `restart`, with other arguments of its own.
    pub(crate) fn restart_with(&mut self, arguments: &[&str]) {
        self.arguments = arguments.iter().map(|&one| one.to_owned()).collect();
        self.restart();
    }

    /// The data of all events of a topic that it has, in their order.
    pub(crate) fn data_of(&self, topic: &str) -> Vec<String> {
        let key = format!("{{sse}}:topic:{topic}");
        let entries: Vec<(String, HashMap<String, String>)> =
            self.answer(&["XRANGE", &key, "-", "+"]);
        let data = |(_, mut fields): (_, HashMap<String, String>)| fields.remove("d").unwrap();
        entries.into_iter().map(data).collect()
    }

    pub(crate) fn number(&self, words: &[&str]) -> u64 {
        self.answer(words)
    }

    pub(crate) fn text(&self, words: &[&str]) -> String {
        self.answer(words)
    }

    pub(crate) fn list(&self, words: &[&str]) -> Vec<String> {
        self.answer(words)
    }

    /// What it answers, read by a client.
    fn answer<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        let mut connection = redis::Client::open(self.url())
            .and_then(|client| client.get_connection())
            .unwrap();
        redis::cmd(words[0])
            .arg(&words[1..])
            .query(&mut connection)
            .unwrap()
    }

    pub(crate) fn signal(&self, signal: &str) {
        let id = self.process.id().to_string();
        let sent = Command::new("kill").args([signal, &id]).status().unwrap();
        assert!(sent.success());
    }

    fn wait(&mut self) {
        let start = Instant::now();
        // One that wants a password is there as well.
        let there = |answer: String| answer.contains("PONG") || answer.contains("NOAUTH");
        while !there(self.try_command(&["PING"])) {
            let ended = self.process.try_wait().unwrap();
            assert_eq!(ended, None, "redis-server {:?}", self.arguments);
            assert!(start.elapsed() < LIMIT, "no redis-server");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// What Redis answers to a command, as it stands on the wire.
    pub(crate) fn command(&self, words: &[&str]) -> String {
        let answer = self.try_command(words);
        assert!(!answer.is_empty(), "no answer to {words:?}");
        answer
    }

    /// Whether this is in what it answers; not if there is no answer, as when it changes its part.
    pub(crate) fn says(&self, words: &[&str], text: &str) -> bool {
        self.try_command(words).contains(text)
    }

    fn try_command(&self, words: &[&str]) -> String {
        ask(self.port, words)
    }
}

/// What a Redis answers to a command; nothing if it is not there.
pub(crate) fn ask(port: u16, words: &[&str]) -> String {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else {
        return String::new();
    };
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let mut command = format!("*{}\r\n", words.len());
    for word in words {
        command.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    if stream.write_all(command.as_bytes()).is_err() {
        return String::new();
    }
    let mut answer = [0; 4096];
    let read = stream.read(&mut answer).unwrap_or_default();
    String::from_utf8_lossy(&answer[..read]).into_owned()
}

/// A port that is free; and so is the one ten thousand above it, where nodes of a cluster speak.
pub(crate) fn free_port() -> u16 {
    loop {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        let other = port.checked_add(10_000);
        if other.is_some_and(|other| TcpListener::bind(("127.0.0.1", other)).is_ok()) {
            return port;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn spawn(port: u16, folder: &TempDir, arguments: &[String]) -> Child {
    Command::new("redis-server")
        .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
        .args([
            "--save",
            "",
            "--appendonly",
            "yes",
            "--appendfsync",
            "always",
        ])
        .args(arguments)
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("redis-server: Debian's package redis-server")
}
