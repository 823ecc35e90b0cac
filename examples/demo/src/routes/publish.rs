use actix_web::{
    HttpMessage, HttpRequest, HttpResponse,
    http::StatusCode,
    web::{Bytes, Data, Query},
};
use actix_web_sse::{Event, Hub, Identity, PublishError, observe::AuthMethod};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    error::{error, reply},
    events::Topic,
};

/// Whether publishing takes a token that allows it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Publishers {
    Anybody,
    Named,
}

impl Publishers {
    /// Only a bearer token counts: a cookie would come along by itself.
    fn admit(self, identity: &Identity) -> Result<(), Refused> {
        let named = identity.publish && identity.method == AuthMethod::Bearer;
        match self {
            Self::Named if !named => Err(Refused {
                status: StatusCode::FORBIDDEN,
                code: "insufficient_scope",
                message: "publishing takes a bearer token whose claim `publish` is true".to_owned(),
            }),
            // The body was waited for: the token may have ended meanwhile, or been revoked.
            Self::Named if !identity.still_holds() => Err(Refused {
                status: StatusCode::UNAUTHORIZED,
                code: "invalid_token",
                message: "the token ended or was revoked while the body was on its way".to_owned(),
            }),
            _ => Ok(()),
        }
    }
}

/// `POST /publish?topic=T`: text/plain is the data; application/json is `{"data", "event"?}`.
pub(crate) async fn publish(
    request: HttpRequest,
    publishers: Data<Publishers>,
    identity: Identity,
    hub: Hub,
    topic: Query<Topic>,
    body: Result<Bytes, actix_web::Error>,
) -> HttpResponse {
    let event = publishers
        .admit(&identity)
        .and_then(|()| body.map_err(|fault| Refused::unread(&fault)))
        .and_then(|body| event(request.content_type(), &body));
    let published = match event {
        Ok(event) => hub.publish_shared(&topic.topic, event).await,
        Err(refused) => return refused.answer(),
    };
    match published.map_err(Refused::from) {
        Ok(published) => reply(StatusCode::OK, &json!({ "id": published.id })),
        Err(refused) => refused.answer(),
    }
}

/// Why nothing was published.
#[derive(Debug)]
struct Refused {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl Refused {
    fn answer(&self) -> HttpResponse {
        error(self.status, self.code, &self.message)
    }

    fn invalid(message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            code: "invalid_request",
            message: message.into(),
        }
    }

    /// The body was too large, or broke off.
    fn unread(fault: &actix_web::Error) -> Self {
        match fault.as_response_error().status_code() {
            status @ StatusCode::PAYLOAD_TOO_LARGE => Self {
                status,
                code: "too_large",
                message: "the body is far larger than an event may be".to_owned(),
            },
            _ => Self::invalid("the body cannot be read"),
        }
    }
}

impl From<PublishError> for Refused {
    fn from(fault: PublishError) -> Self {
        let (status, code) = match fault {
            PublishError::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
            // It may have been published nevertheless: the caller decides.
            PublishError::Backplane(_) => (StatusCode::SERVICE_UNAVAILABLE, "backplane"),
            PublishError::InvalidTopic(_) => (StatusCode::BAD_REQUEST, "invalid_request"),
            _ => (StatusCode::UNPROCESSABLE_ENTITY, "not_published"),
        };
        Self {
            status,
            code,
            message: fault.to_string(),
        }
    }
}

/// What a JSON body may say. Data that is no string is published as JSON.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    data: Value,
    event: Option<String>,
}

fn event(content_type: &str, body: &[u8]) -> Result<Event, Refused> {
    match content_type {
        "text/plain" => std::str::from_utf8(body)
            .map(|text| Event::data(text.to_owned()))
            .map_err(|_| Refused::invalid("the data must be UTF-8")),
        "application/json" => {
            let form: Form = serde_json::from_slice(body).map_err(|_| {
                Refused::invalid(
                    "the body must be {\"data\": …, \"event\": \"…\"}; event may be absent",
                )
            })?;
            let event = match form.data {
                Value::String(text) => Event::data(text),
                value => Event::data(value.to_string()),
            };
            match form.event {
                Some(name) => event
                    .name(name)
                    .map_err(|fault| Refused::invalid(fault.to_string())),
                None => Ok(event),
            }
        }
        _ => Err(Refused {
            status: StatusCode::UNSUPPORTED_MEDIA_TYPE,
            code: "unsupported_media_type",
            message: "send the data as text/plain, or {\"data\": …, \"event\": \"…\"} as \
                      application/json"
                .to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_the_data() {
        assert_eq!(event("text/plain", b"a\nb").unwrap(), Event::data("a\nb"));
    }

    #[test]
    fn json_has_data_and_may_name_the_event() {
        let named = Event::data("x").name("price").unwrap();
        assert_eq!(
            event("application/json", br#"{"data":"x","event":"price"}"#).unwrap(),
            named
        );
        assert_eq!(
            event("application/json", br#"{"data":{"n":1}}"#).unwrap(),
            Event::data("{\"n\":1}")
        );
    }

    #[test]
    fn what_cannot_be_an_event_is_refused() {
        for (kind, body, status) in [
            ("text/plain", &b"\xff"[..], 400),
            ("application/json", b"{}", 400),
            ("application/json", br#"{"data":"x","id":"1"}"#, 400),
            (
                "application/json",
                br#"{"data":"x","event":"a\nevent: admin"}"#,
                400,
            ),
            ("application/x-www-form-urlencoded", b"data=x", 415),
            ("", b"x", 415),
        ] {
            let refused = event(kind, body).expect_err("no event");
            assert_eq!(refused.status.as_u16(), status, "{kind} {body:?}");
        }
    }
}
