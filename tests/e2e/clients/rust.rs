//! The Rust clients, each on a thread with a runtime of its own.

use std::{future::Future, sync::mpsc::Sender, thread, time::Duration};

use eventsource_client::{Client as _, ClientBuilder, Error as ClientError, ReconnectOptions, SSE};
use futures_util::StreamExt;
use reqwest_eventsource::{Error as ReqwestError, Event, EventSource};
use tokio::time::sleep;

use super::under_test::{Entry, Log};

/// Runs a client until nobody listens at the other end of `alive`.
pub(crate) fn spawn(client: impl Future<Output = ()> + Send + 'static, alive: Sender<()>) {
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async move {
            let unwanted = async {
                while alive.send(()).is_ok() {
                    sleep(Duration::from_millis(100)).await;
                }
            };
            tokio::select! {
                () = client => {}
                () = unwanted => {}
            }
        });
    });
}

/// reqwest-eventsource. It tries again by itself after a cut and after a clean end; it gives up
/// on every answer but a 200 with the right type, whatever `Retry-After` says.
pub(crate) async fn reqwest_eventsource(url: String, log: Log) {
    let mut source = EventSource::get(url);
    while let Some(event) = source.next().await {
        log.say(match event {
            Ok(Event::Open) => Entry::Open,
            Ok(Event::Message(event)) => Entry::Event {
                name: event.event,
                id: event.id,
                data: event.data,
            },
            Err(ReqwestError::StreamEnded) => Entry::Ended,
            Err(ReqwestError::InvalidStatusCode(status, response)) => {
                let after = response.headers().get("retry-after");
                let after = after.map_or("-", |after| after.to_str().unwrap_or("?"));
                Entry::GaveUp {
                    why: format!("{status}, Retry-After {after}"),
                }
            }
            Err(error) => Entry::Failed {
                why: error.to_string(),
            },
        });
    }
}

/// eventsource-client. Its documentation says not to go on after an error, but its own reconnects
/// show as errors too; going on is the only way to use it.
pub(crate) async fn eventsource_client(url: String, log: Log) {
    // Left alone it gives up if the first attempt fails, and its first pause is a second.
    let reconnect = ReconnectOptions::reconnect(true)
        .retry_initial(true)
        .delay(Duration::from_millis(200))
        .delay_max(Duration::from_secs(2));
    let client = ClientBuilder::for_url(&url)
        .expect("an address")
        .reconnect(reconnect.build())
        .build_http();
    let mut stream = client.stream();
    while let Some(event) = stream.next().await {
        log.say(match event {
            Ok(SSE::Connected(_)) => Entry::Open,
            Ok(SSE::Comment(_)) => continue,
            Ok(SSE::Event(event)) => Entry::Event {
                name: event.event_type,
                id: event.id.unwrap_or_default(),
                data: event.data,
            },
            Err(ClientError::Eof) => Entry::Ended,
            Err(error) => Entry::Failed {
                why: error.to_string(),
            },
        });
    }
}
