//! `EventServer` answers as `HttpServer` does.

use std::{
    io::{Read, Write},
    time::Duration,
};

use actix_web::{
    App, HttpRequest, HttpResponse, HttpServer, error::ErrorImATeapot, middleware::Compress, web,
};
use actix_web_sse::{EventServer, ForEventStreams, Hub};
use actix_web_sse_tests::{Connection, Front, InProcess, LIMIT, no_signals};

fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/text", web::get().to(async || "x".repeat(2000)))
        .route("/text", web::head().to(async || "x".repeat(2000)))
        .route(
            "/length",
            web::post().to(async |body: web::Bytes| body.len().to_string()),
        )
        .route("/unread", web::post().to(async || "not read"))
        .route(
            "/fails",
            web::get().to(async || Err::<String, _>(ErrorImATeapot("no"))),
        )
        .route(
            "/pieces",
            web::get().to(async || {
                let pieces =
                    (0..100).map(|n| Ok::<_, actix_web::Error>(web::Bytes::from(format!("{n};"))));
                HttpResponse::Ok().streaming(futures_util::stream::iter(pieces))
            }),
        )
        .route(
            "/about",
            web::get().to(async |request: HttpRequest| {
                let peer = request.peer_addr().map(|peer| peer.ip());
                let info = request.connection_info();
                format!("{:?} {} {peer:?}", request.version(), info.scheme())
            }),
        )
        .app_data(web::PayloadConfig::new(4 * 1024 * 1024));
}

fn serve(front: Front) -> InProcess {
    let timeout = Duration::from_secs(2);
    InProcess::start(move |listener| {
        let hub = Hub::builder().build().expect("a hub");
        let application = || App::new().wrap(Compress::default()).configure(routes);
        Ok(match front {
            Front::HttpServer => HttpServer::new(application)
                .workers(1)
                .for_event_streams(&hub)
                .keep_alive(Duration::from_secs(1))
                .client_request_timeout(timeout)
                .shutdown_signal(no_signals())
                .listen(listener)?
                .run(),
            Front::EventServer | Front::BodyLane => EventServer::new(application)
                .workers(1)
                .socket_lane(front == Front::EventServer)
                .hub(&hub)
                .keep_alive(Duration::from_secs(1))
                .client_request_timeout(timeout)
                .shutdown_signal(no_signals())
                .listen(listener)?
                .run(),
        })
    })
}

/// All lines that come in answer to these pieces, up to the end of the connection, sorted: the order
/// of headers is random. Without dates, and without `Connection`: actix closes as soon as it has read a request that asks for it, and says
/// so in whatever response it writes next.
fn answer(server: &InProcess, pieces: &[&[u8]]) -> String {
    let mut socket = Connection::open(server.address()).into_socket();
    socket.set_read_timeout(Some(LIMIT)).expect("a limit");
    for piece in pieces {
        // The server may have answered and closed already.
        let _ = socket.write_all(piece);
    }
    let mut all = Vec::new();
    let end = socket.read_to_end(&mut all).map_err(|error| error.kind());
    let text = String::from_utf8_lossy(&all);
    let mut lines: Vec<_> = text.split_inclusive("\r\n").collect();
    lines.sort_unstable();
    let lines = lines.into_iter();
    let lines: String = lines
        .filter(|line| !line.starts_with("date: ") && !line.starts_with("connection: "))
        .collect();
    format!("{lines}\n{end:?}", end = end.map(drop))
}

#[test]
fn an_event_server_answers_as_an_http_server_does() {
    let theirs = serve(Front::HttpServer);
    for front in Front::LANES {
        answers_as(&theirs, front);
    }
}

fn answers_as(theirs: &InProcess, front: Front) {
    let ours = serve(front);
    let get = |path: &str, lines: &str| {
        format!("GET {path} HTTP/1.1\r\nHost: a\r\n{lines}\r\n").into_bytes()
    };
    let upload = |path: &str, length: usize| {
        let mut bytes =
            format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n")
                .into_bytes();
        bytes.resize(bytes.len() + length, b'x');
        bytes
    };
    let chunked = |chunks: usize| {
        let mut bytes =
            b"POST /length HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        for _ in 0..chunks {
            bytes.extend_from_slice(b"1000\r\n");
            bytes.resize(bytes.len() + 0x1000, b'x');
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"0\r\n\r\n");
        bytes
    };
    let close = get("/about", "Connection: close\r\n");
    let head = b"HEAD /text HTTP/1.1\r\nHost: a\r\n\r\n".to_vec();
    let expect =
        b"POST /length HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
            .to_vec();
    let cases: Vec<(&str, Vec<Vec<u8>>)> = vec![
        ("one request", vec![close.clone()]),
        ("kept alive, until it is idle", vec![get("/about", "")]),
        (
            "two, one after the other",
            vec![get("/text", ""), close.clone()],
        ),
        (
            "pipelined",
            vec![
                [
                    get("/text", "").repeat(5),
                    get("/pieces", "").repeat(20),
                    close.clone(),
                ]
                .concat(),
            ],
        ),
        (
            "more than is read ahead",
            vec![get("/about", "").repeat(5000)],
        ),
        (
            "an upload",
            vec![upload("/length", 3_000_000), close.clone()],
        ),
        ("a chunked upload", vec![chunked(700), close.clone()]),
        (
            "an upload that is too large",
            vec![upload("/length", 5_000_000)],
        ),
        (
            "a small body that nobody reads",
            vec![upload("/unread", 100)],
        ),
        ("HEAD", vec![head, close.clone()]),
        ("100-continue", vec![expect, b"abc".to_vec(), close.clone()]),
        ("404", vec![get("/nowhere", ""), close.clone()]),
        ("an error", vec![get("/fails", ""), close.clone()]),
        (
            "compressed",
            vec![get("/text", "Accept-Encoding: gzip\r\n"), close.clone()],
        ),
        ("HTTP/1.0", vec![b"GET /pieces HTTP/1.0\r\n\r\n".to_vec()]),
        (
            "a head that is never whole",
            vec![b"GET /about HTTP/1.1\r\nHos".to_vec()],
        ),
        (
            "a head that is too large",
            vec![get("/about", &format!("X: {}\r\n", "x".repeat(200_000)))],
        ),
        ("no HTTP", vec![b"hello\r\n\r\n".to_vec()]),
    ];
    for (what, pieces) in cases {
        let pieces: Vec<_> = pieces.iter().map(Vec::as_slice).collect();
        let both = || (answer(&ours, &pieces), answer(theirs, &pieces));
        let (mut ours, mut theirs) = both();
        // If the machine stands still between two pieces, a connection is idle that should not be. That is no
        // difference between the servers, and does not come three times.
        for _ in 0..2 {
            if ours != theirs {
                (ours, theirs) = both();
            }
        }
        if ours != theirs {
            // Long answers: where they part is enough.
            let at = ours.bytes().zip(theirs.bytes()).take_while(|(a, b)| a == b);
            let at = at.count().saturating_sub(100);
            let rest = |text: &str| {
                text.get(at..)
                    .map(|rest| rest.chars().take(300).collect::<String>())
            };
            let lengths = (ours.len(), theirs.len());
            panic!(
                "{what}: {lengths:?}\n{:?}\n{:?}",
                rest(&ours),
                rest(&theirs)
            );
        }
    }
}
