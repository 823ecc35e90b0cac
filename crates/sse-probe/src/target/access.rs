//! How the probe proves who it is.

use std::{fmt, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderValue, Method, header};
use tokio::time::Instant;
use url::Url;

use super::USER_AGENT;
use crate::http::{Ask, Chunk, Dialer, End};

/// A token or cookie; never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps it.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The text itself.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// How the probe proves who it is.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Access {
    /// Not at all: the stream is open to everybody.
    Open,
    /// `Authorization: Bearer …`
    Bearer(Secret),
    /// `Authorization: Basic …`, the user name and the password.
    Basic(String, Secret),
    /// `Cookie: …`
    Cookie(Secret),
    /// A ticket in the URL.
    Ticket(TicketSource),
}

impl Access {
    /// The value of `Authorization`, if that is how the probe proves who it is.
    pub(crate) fn authorization(&self) -> Option<Secret> {
        match self {
            Self::Bearer(token) => Some(Secret(format!("Bearer {}", token.expose()))),
            Self::Basic(user, password) => {
                let pair = format!("{user}:{}", password.expose());
                Some(Secret(format!("Basic {}", STANDARD.encode(pair))))
            }
            _ => None,
        }
    }

    /// The value of `Cookie`, likewise.
    pub(crate) fn cookie(&self) -> Option<&Secret> {
        match self {
            Self::Cookie(cookie) => Some(cookie),
            _ => None,
        }
    }
}

/// Where tickets come from: a POST whose JSON answer holds one.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TicketSource {
    /// Where to POST.
    pub url: Url,
    /// The field of the answer that holds the ticket. `ticket` by default.
    pub field: String,
    /// The query parameter of the stream that takes it. `ticket` by default.
    pub parameter: String,
    /// The `Authorization` of the POST.
    pub bearer: Option<Secret>,
    /// The `Cookie` of the POST.
    pub cookie: Option<Secret>,
}

impl TicketSource {
    /// Tickets from `url`, in the usual field and parameter.
    #[must_use]
    pub fn new(url: Url) -> Self {
        Self {
            url,
            field: "ticket".to_owned(),
            parameter: "ticket".to_owned(),
            bearer: None,
            cookie: None,
        }
    }

    /// A fresh ticket.
    pub(crate) async fn fetch(
        &self,
        dialer: &Dialer,
        origin: Option<&str>,
    ) -> Result<String, String> {
        let failed = |why: String| format!("no ticket from {}: {why}", self.url);
        let mut ask = Ask::get(self.url.clone())
            .header(header::USER_AGENT, HeaderValue::from_static(USER_AGENT))
            .header(header::ACCEPT, HeaderValue::from_static("application/json"));
        ask.method = Method::POST;
        ask.body = Bytes::new();
        let lines = [
            (header::ORIGIN, origin.map(str::to_owned)),
            (
                header::COOKIE,
                self.cookie.as_ref().map(|c| c.expose().to_owned()),
            ),
            (
                header::AUTHORIZATION,
                self.bearer
                    .as_ref()
                    .map(|b| format!("Bearer {}", b.expose())),
            ),
            (header::CONTENT_LENGTH, Some("0".to_owned())),
        ];
        for (name, value) in lines {
            if let Some(value) = value {
                let value = HeaderValue::from_str(&value)
                    .map_err(|_| failed(format!("{name} cannot be a header")))?;
                ask = ask.header(name, value);
            }
        }
        let mut exchange = dialer.open(&ask).await.map_err(|e| failed(e.to_string()))?;
        let status = exchange.head().status;
        let mut body = Vec::new();
        let until = Instant::now() + Duration::from_secs(5);
        loop {
            match exchange.next(until).await {
                Chunk::Bytes(bytes, _) if body.len() + bytes.len() <= 64 * 1024 => {
                    body.extend_from_slice(&bytes);
                }
                Chunk::Bytes(..) => return Err(failed("the answer is too long".to_owned())),
                Chunk::End(End::Clean) => break,
                Chunk::End(_) => return Err(failed("the answer did not end".to_owned())),
            }
        }
        if !(200..=299).contains(&status) {
            return Err(failed(format!("status {status}")));
        }
        let json: serde_json::Value = serde_json::from_slice(&body)
            .map_err(|_| failed("the answer is not JSON".to_owned()))?;
        json.get(&self.field)
            .and_then(serde_json::Value::as_str)
            .map(str::to_owned)
            .ok_or_else(|| failed(format!("the answer has no text in `{}`", self.field)))
    }
}
