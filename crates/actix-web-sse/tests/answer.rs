//! An answer to a `POST`, on the wire: what a fetch client sees, and what becomes of the producer
//! when the client goes.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::mpsc::{self, Receiver, Sender},
    time::Duration,
};

use actix_web::{App, HttpServer, Responder, dev::ServerHandle, rt::System, web};
use actix_web_sse::{Answer, AnswerError, ForEventStreams, Heartbeats, Hub, Subscriber};
use futures_util::stream;

const LIMIT: Duration = Duration::from_secs(30);

/// Says when the producer is dropped.
struct Producer(Sender<&'static str>);

impl Drop for Producer {
    fn drop(&mut self) {
        let _ = self.0.send("dropped");
    }
}

/// One piece, then silence for ever.
async fn silent_after_one(
    subscriber: Subscriber,
    tell: web::Data<Sender<&'static str>>,
) -> impl Responder {
    let producer = Producer((**tell).clone());
    let pieces = stream::unfold((producer, 0), |(producer, piece)| async move {
        if piece > 0 {
            std::future::pending::<()>().await;
        }
        Some((Ok::<_, AnswerError>("a piece"), (producer, piece + 1)))
    });
    // The write of a heartbeat would find out too that a client has gone.
    Answer::new(pieces, subscriber).heartbeats(Heartbeats::Off)
}

struct Server {
    address: SocketAddr,
    handle: ServerHandle,
    told: Receiver<&'static str>,
}

impl Server {
    fn start() -> Self {
        let (tell, told) = mpsc::channel();
        let (ready, is_ready) = mpsc::channel();
        std::thread::spawn(move || {
            System::new().block_on(async move {
                let hub = Hub::builder().build().unwrap();
                let app_hub = hub.clone();
                let server = HttpServer::new(move || {
                    App::new()
                        .app_data(app_hub.clone())
                        .app_data(web::Data::new(tell.clone()))
                        .route("/answer", web::post().to(silent_after_one))
                })
                .workers(1)
                .for_event_streams(&hub)
                .bind("127.0.0.1:0")
                .unwrap();
                let address = server.addrs().first().copied().unwrap();
                let server = server.run();
                ready.send((address, server.handle())).unwrap();
                server.await.unwrap();
            });
        });
        let (address, handle) = is_ready.recv_timeout(LIMIT).unwrap();
        Self {
            address,
            handle,
            told,
        }
    }

    /// Asks, and reads until the first piece is there.
    fn ask(&self) -> TcpStream {
        let mut client = TcpStream::connect(self.address).unwrap();
        client.set_read_timeout(Some(LIMIT)).unwrap();
        client
            .write_all(b"POST /answer HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nhi")
            .unwrap();
        let mut seen = Vec::new();
        let mut buffer = [0; 1024];
        while !String::from_utf8_lossy(&seen).contains("event: delta\ndata: \"a piece\"\n\n") {
            let read = client.read(&mut buffer).unwrap();
            assert_ne!(read, 0, "closed early");
            seen.extend(buffer.iter().take(read));
        }
        client
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.handle.stop(false));
    }
}

#[test]
fn the_producer_is_dropped_as_soon_as_its_client_is_gone() {
    let server = Server::start();
    // An orderly close, with everything read: a FIN and no reset, while the producer is silent.
    drop(server.ask());
    assert_eq!(server.told.recv_timeout(LIMIT), Ok("dropped"));
}

#[test]
fn the_producer_goes_on_while_its_client_waits() {
    let server = Server::start();
    let client = server.ask();
    assert!(
        server
            .told
            .recv_timeout(Duration::from_millis(300))
            .is_err()
    );
    drop(client);
    assert_eq!(server.told.recv_timeout(LIMIT), Ok("dropped"));
}
