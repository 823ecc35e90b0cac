//! Streams that are new on their node: what is acknowledged after their 200 reaches them.

use crate::{
    cut::{cut, cuttable, mend},
    node::{Node, config, data, read, until},
    server::Server,
};

#[actix_web::test]
async fn w02_a_fresh_stream_of_a_fresh_topic_gets_what_is_published_after_its_200() {
    let server = Server::start();
    let (a, b) = (Node::start(config(&server)), Node::start(config(&server)));
    for turn in 0..60 {
        let topic = format!("t{turn}");
        let stream = b.open(&topic, None).await;
        a.publish(&topic, "1").await;
        let reading = read(stream, 1).await;
        assert_eq!(data(&reading), ["1"], "turn {turn}");
    }
}

/// Of several topics, of which the node knows some already: in the order of the numbers.
#[actix_web::test]
async fn w02_a_fresh_stream_of_known_and_fresh_topics_gets_all_in_order() {
    let server = Server::start();
    let (a, b) = (Node::start(config(&server)), Node::start(config(&server)));
    let _known = b.follow("known", 1).await;
    for turn in 0..20 {
        let fresh = format!("t{turn}");
        let stream = b.open(&format!("known,{fresh}"), None).await;
        for (topic, text) in [("known", "1"), (&fresh, "2"), ("known", "3"), (&fresh, "4")] {
            a.publish(topic, text).await;
        }
        let reading = read(stream, 4).await;
        assert_eq!(data(&reading), ["1", "2", "3", "4"], "turn {turn}");
    }
}

#[actix_web::test]
async fn w02_a_stream_that_was_opened_in_an_outage_gets_what_was_published_in_it() {
    let server = Server::start();
    let (a, b) = (Node::start(config(&server)), Node::start(cuttable(&server)));
    let follower = b.open("other", None).await;
    let first = a.publish("other", "x").await;
    assert_eq!(data(&read(follower, 1).await), ["x"], "it knows the ID");
    cut(&server);
    until(|| !b.backplane.stats().connected).await;
    let fresh = b.open("t", None).await;
    let back = b.open("t", Some(&first)).await;
    a.publish("t", "1").await;
    mend(&server);
    for stream in [fresh, back] {
        assert_eq!(data(&read(stream, 1).await), ["1"]);
    }
}

/// A node that has never seen Redis cannot know where a topic stands: its clients are told.
#[actix_web::test]
async fn w02_a_stream_that_was_opened_before_the_first_connection_gets_a_reset() {
    let mut server = Server::start();
    server.kill();
    let mut degraded = config(&server);
    degraded.start_degraded = true;
    let node = Node::start(degraded);
    let stream = node.open("t", None).await;
    server.restart();
    let reading = read(stream, 9).await;
    assert!(reading.ended, "{reading:?}");
    assert_eq!(reading.events[0].event, "reset", "{reading:?}");
    let id = reading.events[0].last_event_id.clone();
    until(|| node.backplane.stats().connected).await;
    node.publish("t", "1").await;
    // The ID that came with the reset is one to go on from.
    assert_eq!(data(&read(node.open("t", Some(&id)).await, 1).await), ["1"]);
}
