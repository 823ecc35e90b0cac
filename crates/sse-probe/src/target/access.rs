//! How the probe proves who it is.

use std::{error::Error, fmt, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{Method, header};
use serde_json::Value;
use url::{Position, Url};

use super::USER_AGENT;
use crate::http::{Ask, Dialer};

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

/// Why there is no ticket.
type Cause = Box<dyn Error + Send + Sync>;

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
        let bearer = self.bearer.as_ref();
        let authorization = bearer.map(|b| format!("Bearer {}", b.expose()));
        let lines = [
            (header::USER_AGENT, Some(USER_AGENT)),
            (header::ACCEPT, Some("application/json")),
            (header::CONTENT_LENGTH, Some("0")),
            (header::ORIGIN, origin),
            (header::COOKIE, self.cookie.as_ref().map(Secret::expose)),
            (header::AUTHORIZATION, authorization.as_deref()),
        ];
        let fetched = async {
            let ask = Ask::new(Method::POST, self.url.clone()).headers(lines)?;
            let exchange = dialer.open(&ask).await?;
            let status = exchange.head.status;
            let body = exchange.whole(64 * 1024, Duration::from_secs(5)).await?;
            if !(200..=299).contains(&status) {
                return Err(Cause::from(format!("status {status}")));
            }
            let json = serde_json::from_slice::<Value>(&body);
            let json = json.map_err(|_| "the answer is not JSON")?;
            let ticket = json.get(&self.field).and_then(Value::as_str);
            let missing = || format!("the answer has no text in `{}`", self.field);
            Ok(ticket.ok_or_else(missing)?.to_owned())
        };
        let shown = &self.url[..Position::AfterPath];
        let failed = |why: Cause| format!("no ticket from {shown}: {why}");
        fetched.await.map_err(failed)
    }
}
