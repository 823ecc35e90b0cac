//! actix, and nothing else: how much a client can send at all.

use std::net::SocketAddr;

use actix_web::{App, HttpResponse, HttpServer, dev::ServerHandle, web};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Bytes of headers that actix lets in.
pub const HTTP_1: usize = 128 << 10;
pub const HTTP_2: usize = 16 << 20;
/// How many headers it lets in over HTTP/1.
pub const HEADERS: usize = 96;

pub struct Bare {
    address: SocketAddr,
    handle: ServerHandle,
}

impl Drop for Bare {
    fn drop(&mut self) {
        // Sends the command; nobody waits for its end.
        drop(self.handle.stop(false));
    }
}

impl Bare {
    /// actix, and nothing else.
    pub fn start() -> Self {
        let server = HttpServer::new(|| App::new().default_service(web::to(HttpResponse::Ok)))
            .workers(1)
            .disable_signals()
            .shutdown_timeout(0)
            .bind_auto_h2c(("127.0.0.1", 0))
            .unwrap();
        let address = *server.addrs().first().unwrap();
        let server = server.run();
        let handle = server.handle();
        actix_rt::spawn(server);
        Self { address, handle }
    }

    pub async fn http_1(&self, headers: usize, bytes: usize) -> u16 {
        let start = "GET / HTTP/1.1\r\nHost: a\r\n";
        let mut head = start.to_owned();
        for n in 2..headers {
            head.push_str(&format!("X-{n}: x\r\n"));
        }
        // The last header takes up what is left.
        let rest = bytes.saturating_sub(head.len() + "X-1: \r\n\r\n".len());
        head.push_str(&format!("X-1: {}\r\n\r\n", "x".repeat(rest)));
        let mut socket = TcpStream::connect(self.address).await.unwrap();
        // What is too much may be answered before all of it is sent.
        let _ = socket.write_all(head.as_bytes()).await;
        let mut status = [0; 12];
        socket.read_exact(&mut status).await.unwrap();
        let status = std::str::from_utf8(&status).unwrap();
        status.rsplit(' ').next().unwrap().parse().unwrap()
    }

    /// Whether a request with so many bytes of headers is answered with 200. They are one header of
    /// 2000 bytes, again and again, which HPACK (RFC 7541) makes a byte each: so little does it
    /// cost to send them.
    pub async fn http_2(&self, bytes: usize) -> bool {
        const EACH: usize = 2000;
        let length = u8::try_from(EACH - 32 - 1 - 127 - (14 << 7)).unwrap();
        // GET, http, /, with the authority `a`, and `x` of 1967 bytes for the dynamic table.
        let mut block = vec![
            0x82,
            0x86,
            0x84,
            0x01,
            1,
            b'a',
            0x40,
            1,
            b'x',
            0x7f,
            length | 0x80,
            14,
        ];
        block.extend([b'x'; EACH - 32 - 1]);
        // Once more, and once more.
        block.resize(block.len() + bytes / EACH - 1, 0xbe);
        let mut sent = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        sent.extend([0, 0, 0, 4, 0, 0, 0, 0, 0]);
        sent.extend(
            u32::try_from(block.len())
                .unwrap()
                .to_be_bytes()
                .iter()
                .skip(1),
        );
        sent.extend([1, 0x05, 0, 0, 0, 1]);
        sent.extend(block);
        let mut socket = TcpStream::connect(self.address).await.unwrap();
        socket.write_all(&sent).await.unwrap();
        loop {
            let mut head = [0; 9];
            if socket.read_exact(&mut head).await.is_err() {
                return false;
            }
            let [high, middle, low, kind, ..] = head;
            let mut payload = vec![0; u32::from_be_bytes([0, high, middle, low]) as usize];
            socket.read_exact(&mut payload).await.unwrap();
            match kind {
                1 => return payload.first() == Some(&0x88),
                3 | 7 => return false,
                _ => {}
            }
        }
    }
}
