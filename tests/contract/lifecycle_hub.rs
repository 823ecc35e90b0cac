//! Group D: streams of a hub in this process, from several workers and publishers.

use std::{sync::Barrier, thread, time::Duration};

use actix_web::{Responder, web};
use actix_web_sse::{Event, Hub, Subscriber, config::HubConfig, observe::CloseReason};
use actix_web_sse_tests::{App, Front, LIMIT, Request, reference_hub, reference_stream};

async fn delicate(hub: Hub, subscriber: Subscriber) -> impl Responder {
    hub.subscribe("demo", subscriber).filter(|head| {
        assert_ne!(head.name, Some("poison"), "as the test wants it");
        true
    })
}

#[test]
fn d12_a_panic_of_one_streams_filter_ends_that_stream_only() {
    for front in Front::ALL {
        let app = App::on(front, 1, reference_hub(), reference_stream(), |routes| {
            routes.route("/delicate", web::get().to(delicate));
        });
        let mut other = Request::stream("/events").open(app.address);
        let mut victim = Request::stream("/delicate").open(app.address);
        app.wait_for_subscribers("demo", 2);
        let poison = Event::data("x").name("poison").expect("a name");
        app.hub.publish("demo", poison).expect("published");
        assert_eq!(other.next_event().event(), Some("poison"));
        let last = victim.until_end(LIMIT);
        assert!(last.iter().all(|block| block.data().is_none()), "{last:?}");
        app.account.wait_for(CloseReason::Error, 1);
        app.hub.publish("demo", Event::data("on")).expect("on");
        assert_eq!(other.next_event().data(), Some("on"));
        let mut next = Request::stream("/delicate").open(app.address);
        app.wait_for_subscribers("demo", 2);
        app.hub
            .publish("demo", Event::data("again"))
            .expect("again");
        assert_eq!(next.next_event().data(), Some("again"));
    }
}

#[test]
fn d17_all_workers_see_the_events_of_all_publishers_in_one_order() {
    for front in Front::ALL {
        const PUBLISHERS: usize = 8;
        const EACH: usize = 500;
        // A burst of all that at once must fit, or a busy machine makes slow readers.
        // And none of the readers, threads of this machine, may count as one that takes nothing.
        let mut stream = reference_stream();
        stream.stall = Duration::from_secs(60);
        let app = App::on(front, 4, HubConfig::default(), stream, |_| {});
        let streams: Vec<_> = (0..12)
            .map(|_| Request::stream("/events").open(app.address))
            .collect();
        app.wait_for_subscribers("demo", streams.len());
        let barrier = Barrier::new(PUBLISHERS);
        let seen: Vec<Vec<String>> = thread::scope(|scope| {
            for publisher in 0..PUBLISHERS {
                let (app, barrier) = (&app, &barrier);
                scope.spawn(move || {
                    barrier.wait();
                    for number in 0..EACH {
                        let event = Event::data(format!("{publisher} {number}"));
                        app.hub.publish("demo", event).expect("published");
                    }
                });
            }
            let readers: Vec<_> = streams
                .into_iter()
                .map(|mut stream| {
                    scope.spawn(move || {
                        let events = (0..PUBLISHERS * EACH).map(|_| stream.next_event());
                        let data = events.map(|block| block.data().map(str::to_owned));
                        data.collect::<Option<Vec<_>>>().expect("data")
                    })
                })
                .collect();
            let joined = readers.into_iter().map(|reader| reader.join());
            joined.collect::<Result<_, _>>().expect("every reader")
        });
        assert!(seen.iter().all(|one| *one == seen[0]), "one order");
        for publisher in 0..PUBLISHERS {
            let own = seen[0].iter().filter_map(|data| {
                let (from, number) = data.split_once(' ')?;
                (from == publisher.to_string()).then(|| number.parse::<usize>().ok())?
            });
            assert!(own.eq(0..EACH), "each publisher's order is kept");
        }
    }
}

#[test]
fn d22_a_stream_that_ends_by_age_is_resumed_exactly() {
    for front in Front::ALL {
        let mut stream = reference_stream();
        stream.max_lifetime = Some(Duration::from_secs(1));
        let app = App::on(front, 2, HubConfig::default(), stream, |_| {});
        let mut id = String::new();
        let (mut seen, mut published) = (Vec::new(), 0);
        for _ in 0..4 {
            let mut request = Request::stream("/events");
            if !id.is_empty() {
                request = request.header("Last-Event-ID", &id);
            }
            // On a busy machine it may be over before its first event; the next one has that.
            let mut stream = request.open(app.address);
            let mut retry = None;
            // To the clean end; a cut is an error.
            while let Some(block) = stream.block(LIMIT).expect("a clean end") {
                retry = block.retry().or(retry);
                if let Some(data) = block.data() {
                    assert_eq!(block.event(), None, "no reset");
                    seen.push(data.parse::<u64>().expect("a number"));
                    block.id().expect("an ID").clone_into(&mut id);
                }
                // One event behind the one that was read, whenever the stream ends.
                app.hub
                    .publish("demo", Event::data(published.to_string()))
                    .expect("published");
                published += 1;
            }
            assert!(retry.is_some(), "the last block says when to come back");
            if id.is_empty() {
                stream.anchor().expect("an anchor").clone_into(&mut id);
            }
        }
        app.account.wait_for(CloseReason::Lifetime, 4);
        assert!(seen.iter().copied().eq(0..seen.len() as u64), "{seen:?}");
        assert!(seen.len() as u64 >= 4, "{seen:?}");
    }
}
