//! A `redis-server` of one's own, on a free port, with its log on disk.

use std::{
    collections::HashMap,
    io::{ErrorKind, Read, Write},
    net::{TcpListener, TcpStream, UdpSocket},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// Long enough for anything that ought to happen, on a machine on which each process may stand still for seconds.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

pub(crate) struct Server {
    pub(crate) port: u16,
    _claim: Port,
    folder: TempDir,
    arguments: Vec<String>,
    process: Child,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    pub(crate) fn with(arguments: &[&str]) -> Self {
        let arguments: Vec<String> = arguments.iter().map(|&one| one.to_owned()).collect();
        // Somebody else may be quicker to take the port.
        for _ in 0..5 {
            let (folder, claim) = (tempfile::tempdir().unwrap(), Port::claim());
            let port = claim.number;
            let mut server = Self {
                port,
                _claim: claim,
                process: spawn(port, &folder, &arguments),
                folder,
                arguments: arguments.clone(),
            };
            if server.is_there() {
                return server;
            }
        }
        panic!("redis-server {arguments:?} does not start");
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
        assert!(self.is_there(), "redis-server {:?}", self.arguments);
    }

    /// A replica becomes a primary, and is one also when it starts again.
    pub(crate) fn promote(&mut self) {
        self.command(&["REPLICAOF", "NO", "ONE"]);
        self.arguments = vec!["--repl-diskless-sync-delay".to_owned(), "0".to_owned()];
    }

    /// As `restart`, with other arguments of its own.
    pub(crate) fn restart_with(&mut self, arguments: &[&str]) {
        self.arguments = arguments.iter().map(|&one| one.to_owned()).collect();
        self.restart();
    }

    /// The data of all events of a topic that it has, in their order.
    pub(crate) fn data_of(&self, topic: &str) -> Vec<String> {
        let entries = self.entries_of(topic).into_iter();
        entries
            .map(|mut fields| fields.remove("d").unwrap())
            .collect()
    }

    /// The names and data of all events of a topic that it has, in their order.
    pub(crate) fn events_of(&self, topic: &str) -> Vec<(String, String)> {
        let entries = self.entries_of(topic).into_iter();
        let event = |mut fields: HashMap<String, String>| {
            let name = fields.remove("n").unwrap();
            (name, fields.remove("d").unwrap())
        };
        entries.map(event).collect()
    }

    fn entries_of(&self, topic: &str) -> Vec<HashMap<String, String>> {
        let key = format!("{{sse}}:topic:{topic}");
        let entries: Vec<(String, HashMap<String, String>)> =
            self.answer(&["XRANGE", &key, "-", "+"]);
        entries.into_iter().map(|(_, fields)| fields).collect()
    }

    /// Writes something, and waits until a replica has got it.
    pub(crate) fn replicate(&self) {
        let mut connection = redis::Client::open(self.url())
            .and_then(|client| client.get_connection())
            .unwrap();
        let limit = u64::try_from(LIMIT.as_millis()).unwrap();
        let (replicas,): (u64,) = redis::pipe()
            .cmd("SET")
            .arg(&["probe", "1"])
            .ignore()
            .cmd("WAIT")
            .arg(1)
            .arg(limit)
            .query(&mut connection)
            .unwrap();
        assert_eq!(replicas, 1, "the replica does not follow");
    }

    pub(crate) fn number(&self, args: &[&str]) -> u64 {
        self.answer(args)
    }

    pub(crate) fn text(&self, args: &[&str]) -> String {
        self.answer(args)
    }

    pub(crate) fn list(&self, args: &[&str]) -> Vec<String> {
        self.answer(args)
    }

    /// What it answers, read by a client.
    fn answer<T: redis::FromRedisValue>(&self, args: &[&str]) -> T {
        let mut connection = redis::Client::open(self.url())
            .and_then(|client| client.get_connection())
            .unwrap();
        redis::cmd(args[0])
            .arg(&args[1..])
            .query(&mut connection)
            .unwrap()
    }

    /// Sends a signal. One that has been stopped does nothing from then on.
    pub(crate) fn signal(&self, signal: &str) {
        let id = self.process.id().to_string();
        let sent = Command::new("kill").args([signal, &id]).status().unwrap();
        assert!(sent.success());
        let start = Instant::now();
        while signal == "-STOP" && !has_stopped(&id) {
            assert!(start.elapsed() < LIMIT, "it does not stop");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Waits until somebody waits for a replica here, and ends that as when its time is over: what has come so far
    /// is the answer.
    pub(crate) fn give_up_on_replicas(&self) {
        let start = Instant::now();
        let waiting = || {
            let clients = self.text(&["CLIENT", "LIST"]);
            let client = clients.lines().find(|line| line.contains(" cmd=wait "))?;
            let id = client.strip_prefix("id=")?.split(' ').next()?;
            Some(id.to_owned())
        };
        while waiting().is_none_or(|id| self.number(&["CLIENT", "UNBLOCK", &id]) != 1) {
            assert!(start.elapsed() < LIMIT, "nobody waits for a replica");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until it answers; whether it does, or has ended.
    fn is_there(&mut self) -> bool {
        let start = Instant::now();
        // One that wants a password is there as well.
        let there = |answer: String| answer.contains("PONG") || answer.contains("NOAUTH");
        while !there(self.try_command(&["PING"])) {
            if self.process.try_wait().unwrap().is_some() {
                return false;
            }
            assert!(start.elapsed() < LIMIT, "no redis-server");
            std::thread::sleep(Duration::from_millis(10));
        }
        true
    }

    /// What Redis answers to a command, as it stands on the wire.
    pub(crate) fn command(&self, args: &[&str]) -> String {
        let answer = self.try_command(args);
        assert!(!answer.is_empty(), "no answer to {args:?}");
        answer
    }

    /// Whether this is in what it answers; not if there is no answer, as when it changes its part.
    pub(crate) fn says(&self, args: &[&str], text: &str) -> bool {
        self.try_command(args).contains(text)
    }

    fn try_command(&self, args: &[&str]) -> String {
        ask(self.port, args)
    }
}

/// What a Redis answers to a command; nothing if it is not there.
pub(crate) fn ask(port: u16, args: &[&str]) -> String {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else {
        return String::new();
    };
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let mut command = format!("*{}\r\n", args.len());
    for arg in args {
        command.push_str(&format!("${}\r\n{arg}\r\n", arg.len()));
    }
    if stream.write_all(command.as_bytes()).is_err() {
        return String::new();
    }
    let mut answer = [0; 4096];
    loop {
        match stream.read(&mut answer) {
            // As after this process has been stopped and has gone on.
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            read => {
                return String::from_utf8_lossy(&answer[..read.unwrap_or_default()]).into_owned();
            }
        }
    }
}

fn has_stopped(process: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    // Behind the name, which stands in parentheses.
    stat.rsplit_once(") ").unwrap().1.starts_with('T')
}

/// A port of one's own for as long as this lives, also while nothing listens there: the others
/// that choose one in this way see that it is taken.
#[derive(Debug)]
pub(crate) struct Port {
    pub(crate) number: u16,
    _claim: UdpSocket,
}

impl Port {
    /// Below those that the kernel gives to connections; and the one ten thousand above it is
    /// free, where nodes of a cluster speak.
    pub(crate) fn claim() -> Self {
        loop {
            let number = fastrand::u16(10_000..15_000);
            let is_free = |number| TcpListener::bind(("127.0.0.1", number)).is_ok();
            if let Ok(claim) = UdpSocket::bind(("127.0.0.1", number))
                && is_free(number)
                && is_free(number + 10_000)
            {
                return Self {
                    number,
                    _claim: claim,
                };
            }
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
            // Written before it is acknowledged, which is enough for a server that is killed. The disk of a busy
            // machine would hold each acknowledgement up.
            "--appendfsync",
            "no",
        ])
        .args(arguments)
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("redis-server: Debian's package redis-server")
}
