//! axum's `Sse` on tokio's broadcast channel, on one thread, with nodelay. The event is put
//! together once, when it is published: the streams clone it.

use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use ::axum::{
    Router,
    extract::{Query, State},
    http::StatusCode,
    response::sse::{Event, KeepAlive, Sse},
    routing::{get, post},
    serve::ListenerExt as _,
};
use futures_util::Stream;
use tokio::{net::TcpSocket, sync::broadcast};
use tokio_stream::wrappers::{BroadcastStream, errors::BroadcastStreamRecvError};

use super::{Batch, DATA, foreign::Foreign, id};
use crate::contestant::Settings;

#[derive(Debug, Clone)]
struct Channel {
    sender: broadcast::Sender<Event>,
    count: Arc<AtomicU64>,
}

impl Channel {
    fn publish(&self) {
        let number = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        // Nobody listens: nobody misses it.
        let _ = self.sender.send(Event::default().id(id(number)).data(DATA));
    }
}

#[derive(Debug, Clone)]
struct Bench {
    channel: Channel,
    foreign: Foreign,
    settings: Settings,
}

async fn events(
    State(bench): State<Bench>,
) -> Sse<impl Stream<Item = Result<Event, BroadcastStreamRecvError>>> {
    let alive = KeepAlive::new().interval(bench.settings.heartbeat());
    Sse::new(BroadcastStream::new(bench.channel.sender.subscribe())).keep_alive(alive)
}

async fn publish_batch(State(bench): State<Bench>, Query(batch): Query<Batch>) -> StatusCode {
    (0..batch.n).for_each(|_| bench.channel.publish());
    StatusCode::NO_CONTENT
}

async fn publish_foreign(State(bench): State<Bench>) -> StatusCode {
    bench.foreign.publish();
    StatusCode::NO_CONTENT
}

async fn report_foreign(State(bench): State<Bench>) -> String {
    bench.foreign.report()
}

pub(super) fn serve(settings: &Settings) -> Result<(), Box<dyn Error>> {
    let channel = Channel {
        sender: broadcast::channel(1024).0,
        count: Arc::default(),
    };
    let foreign = {
        let channel = channel.clone();
        Foreign::new(move || channel.publish())
    };
    let listen = settings.listen;
    let application = Router::new()
        .route("/events", get(events))
        .route("/publish", post(publish_batch))
        .route("/foreign", post(publish_foreign).get(report_foreign))
        .with_state(Bench {
            channel,
            foreign,
            settings: settings.clone(),
        });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async move {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(listen)?;
        let listener = socket.listen(4096)?.tap_io(|connection| {
            if let Err(error) = connection.set_nodelay(true) {
                eprintln!("no nodelay: {error}");
            }
        });
        ::axum::serve(listener, application).await
    })?;
    Ok(())
}
