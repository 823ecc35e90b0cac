//! A server inside the test's own process.

use std::{
    future::pending,
    io,
    net::{SocketAddr, TcpListener},
    sync::mpsc,
    thread::{self, JoinHandle},
};

use actix_web::dev::{Server, ServerHandle};

use crate::port::local;

/// An actix server on a thread of its own. Dropping it stops it without grace.
#[derive(Debug)]
pub struct InProcess {
    address: SocketAddr,
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

impl InProcess {
    /// Starts what the closure makes of the listener: any [`HttpServer`](actix_web::HttpServer),
    /// with [`no_signals`] as its `shutdown_signal`.
    ///
    /// # Panics
    /// If it cannot listen.
    #[must_use]
    pub fn start(make: impl FnOnce(TcpListener) -> io::Result<Server> + Send + 'static) -> Self {
        let listener = TcpListener::bind(local(0)).expect("a port for the server");
        let address = listener.local_addr().expect("its address");
        let (send, receive) = mpsc::channel();
        let thread = thread::spawn(move || {
            actix_rt::System::new().block_on(async move {
                let server = make(listener).expect("a server");
                send.send(server.handle()).expect("the test waits");
                server.await.expect("the server ends well");
            });
        });
        Self {
            address,
            handle: receive.recv().expect("the server's handle"),
            thread: Some(thread),
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// A shutdown signal that never comes: without it the server would handle the signals of the
/// test's process, and Ctrl-C would no longer end the tests.
pub async fn no_signals() {
    pending().await
}

impl Drop for InProcess {
    fn drop(&mut self) {
        // The command is sent when the call returns; the future would only wait for its end.
        drop(self.handle.stop(false));
        let ended = self.thread.take().map(JoinHandle::join);
        if ended.is_some_and(|ended| ended.is_err()) && !thread::panicking() {
            panic!("the server's thread panicked");
        }
    }
}
