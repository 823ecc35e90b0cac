use std::time::Duration;

use actix_web_sse::{Event, Hub, PublishError};
use serde_json::json;
use tokio::time::{MissedTickBehavior, interval};

use crate::routes::DEFAULT_TOPIC;

/// Publishes something now and then, so that there is something to see. Ends with the hub.
pub(crate) async fn tick(hub: Hub, every: Duration) {
    let mut clock = interval(every);
    // After a pause of the process one tick is enough.
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for count in 1_u64.. {
        clock.tick().await;
        let event = Event::json(&json!({ "tick": count })).and_then(|event| event.name("tick"));
        let Ok(event) = event else { return };
        if hub.is_draining() {
            return;
        }
        match hub.publish_shared(DEFAULT_TOPIC, event).await {
            // An outage ends; the next tick may get through.
            Ok(_) | Err(PublishError::Backplane(_)) => {}
            Err(_) => return,
        }
    }
}
