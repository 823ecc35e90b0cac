//! The tools that the server offers.

use std::time::Duration;

use actix_web_sse::{Event, Hub};
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    handler::server::wrapper::Parameters,
    model::{ProgressNotificationParam, ServerCapabilities, ServerConfig},
    schemars::{self, JsonSchema},
    service::RequestContext,
    tool, tool_handler, tool_router,
};
use serde::Deserialize;
use tokio::time::sleep;

/// Between two steps of a countdown.
const STEP: Duration = Duration::from_millis(100);

/// The tools, over one hub.
#[derive(Clone)]
pub(crate) struct Tools {
    hub: Hub,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Publication {
    /// Which streams get it.
    topic: String,
    /// The text of the event.
    data: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Countdown {
    /// Where it starts; at most 100.
    from: u8,
}

#[tool_router]
impl Tools {
    pub(crate) fn new(hub: Hub) -> Self {
        Self { hub }
    }

    #[tool(description = "Publish an event to every stream of a topic; answers with its ID")]
    fn publish(
        &self,
        Parameters(Publication { topic, data }): Parameters<Publication>,
    ) -> Result<String, ErrorData> {
        let published = self.hub.publish(&topic, Event::data(data));
        published
            .map(|published| published.id.unwrap_or_default())
            .map_err(|error| ErrorData::invalid_params(error.to_string(), None))
    }

    #[tool(description = "Count down to zero, and report each step as progress")]
    async fn count_down(
        &self,
        Parameters(Countdown { from }): Parameters<Countdown>,
        context: RequestContext<RoleServer>,
    ) -> Result<String, ErrorData> {
        let from = from.min(100);
        let token = context.meta.get_progress_token();
        for step in 1..=from {
            sleep(STEP).await;
            if let Some(token) = &token {
                let progress = ProgressNotificationParam::new(token.clone(), f64::from(step))
                    .with_total(f64::from(from));
                // The client has gone: the answer is for nobody.
                if context.peer.notify_progress(progress).await.is_err() {
                    break;
                }
            }
        }
        Ok("lift-off".to_owned())
    }
}

#[tool_handler]
impl ServerHandler for Tools {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_instructions("Publishes events to streams, and counts down.")
    }
}
