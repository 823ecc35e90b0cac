//! The test's own server as a process, which can be told to end and started again.

use std::{net::SocketAddr, process::Command, time::Duration};

use actix_web_sse_tests::{LIMIT, Process, Request, Signal, free_port, until};

/// A running `stream-server`.
#[derive(Debug)]
pub(crate) struct StreamServer {
    pub(crate) address: SocketAddr,
    config: String,
    process: Process,
}

impl StreamServer {
    /// Starts it with this TOML.
    #[track_caller]
    pub(crate) fn start(config: &str) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        Self {
            address,
            config: config.to_owned(),
            process: spawn(address, config),
        }
    }

    /// Asks it to end and waits until it has.
    #[track_caller]
    pub(crate) fn terminate(&mut self) {
        self.process.signal(Signal::TERM);
        let status = self.process.wait(LIMIT);
        assert!(status.success(), "the server ended with {status}");
    }

    /// Starts it on the same address, after it has ended.
    #[track_caller]
    pub(crate) fn restart(&mut self) {
        self.process = spawn(self.address, &self.config);
    }

    /// Publishes; the event's ID.
    #[track_caller]
    pub(crate) fn publish(&self, topic: &str, data: &str) -> String {
        let response = Request::new("POST", &format!("/publish?topic={topic}"))
            .body("text/plain", data)
            .send(self.address);
        assert_eq!(response.status(), 200, "{}", response.text());
        response.text()
    }

    /// Waits until so many streams follow the topic.
    #[track_caller]
    pub(crate) fn wait_for_subscribers(&self, topic: &str, count: usize) {
        let request = Request::new("GET", &format!("/subscribers?topic={topic}"));
        until(&format!("{count} streams follow {topic}"), LIMIT, || {
            let now = request.send(self.address).text();
            (now == count.to_string()).then_some(())
        });
    }
}

fn spawn(address: SocketAddr, config: &str) -> Process {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stream-server"));
    let process = Process::spawn(command.arg(address.to_string()).arg(config));
    process.wait_for_line("listening", Duration::from_secs(30), |line| {
        line.contains("listening on").then_some(())
    });
    process
}
