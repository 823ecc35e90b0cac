//! Arguments that several commands share: who asks, and how to connect.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{ArgAction, Args};
use sse_probe::{
    Credentials, Secret, Target, TargetError, TicketSource,
    exchange::{Limits, Protocol, Trust},
    parse_header,
};

/// Who asks.
#[derive(Debug, Args)]
pub(crate) struct WhoArgs {
    /// The origin of the page that opens the stream, such as https://app.example.com.
    #[arg(long)]
    pub(crate) origin: Option<String>,

    /// The page sends cookies (`withCredentials`).
    #[arg(long)]
    pub(crate) credentials: bool,

    /// Authenticate as a fetch client. `@FILE` reads the token from a file.
    #[arg(
        long,
        value_name = "TOKEN",
        env = "SSE_PROBE_BEARER",
        hide_env_values = true
    )]
    pub(crate) bearer: Option<String>,

    /// Authenticate by cookie: `name=value`. `@FILE` reads it from a file.
    #[arg(
        long,
        value_name = "COOKIE",
        env = "SSE_PROBE_COOKIE",
        hide_env_values = true
    )]
    pub(crate) cookie: Option<String>,

    /// Authenticate by tickets: POST here, with --bearer or --cookie, for each one.
    #[arg(long, value_name = "URL")]
    pub(crate) ticket_url: Option<String>,

    /// The field of the answer, and the query parameter, that hold the ticket.
    #[arg(
        long,
        value_name = "NAME",
        default_value = "ticket",
        requires = "ticket_url"
    )]
    pub(crate) ticket_name: String,

    /// One more header line on every request; may be repeated.
    #[arg(long, value_name = "NAME: VALUE", action = ArgAction::Append)]
    pub(crate) header: Vec<String>,
}

/// How to connect.
#[derive(Debug, Args)]
pub(crate) struct ConnectArgs {
    /// Connect to this address whenever HOST:PORT is meant; may be repeated.
    #[arg(long, value_name = "HOST:PORT:ADDRESS", action = ArgAction::Append)]
    pub(crate) resolve: Vec<String>,

    /// Believe the certificates in this PEM file as well.
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,

    /// Believe every certificate. For tests only.
    #[arg(long, conflicts_with = "ca_file")]
    pub(crate) insecure: bool,

    /// Speak HTTP/1.1 only.
    #[arg(long, conflicts_with = "http2")]
    pub(crate) http1: bool,

    /// Speak HTTP/2 only; on http by prior knowledge.
    #[arg(long)]
    pub(crate) http2: bool,

    /// How long connecting, and after it the head of a reply, may take.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = humantime::parse_duration)]
    pub(crate) timeout: Duration,
}

/// What cannot be done, in words.
pub(crate) type Complaint = String;

/// A target from the arguments.
pub(crate) fn target(url: &str, who: &WhoArgs, connect: &ConnectArgs) -> Result<Target, Complaint> {
    let say = |why: TargetError| why.to_string();
    let mut target = Target::new(url)
        .map_err(say)?
        .connection(limits(connect), trust(connect)?)
        .protocol(protocol(connect));
    if let Some(origin) = &who.origin {
        target = target.origin(origin).map_err(say)?;
    }
    if who.credentials {
        target = target.credentials(Credentials::Include);
    }
    let bearer = who.bearer.as_deref().map(read_secret).transpose()?;
    let cookie = who.cookie.as_deref().map(read_secret).transpose()?;
    target = match (&who.ticket_url, bearer, cookie) {
        (Some(from), bearer, cookie) => {
            let mut source = TicketSource::new(Target::new(from).map_err(say)?.url().clone());
            source.field.clone_from(&who.ticket_name);
            source.parameter.clone_from(&who.ticket_name);
            source.bearer = bearer.as_deref().map(Secret::new);
            source.cookie = cookie.as_deref().map(Secret::new);
            target.tickets(source)
        }
        (None, Some(_), Some(_)) => {
            return Err(
                "give --bearer or --cookie, not both; both together only with --ticket-url"
                    .to_owned(),
            );
        }
        (None, Some(token), None) => target.bearer(&token),
        (None, None, Some(cookie)) => target.cookie(&cookie),
        (None, None, None) => target,
    };
    for line in &who.header {
        let (name, value) = parse_header(line).map_err(say)?;
        target = target.header(name, value);
    }
    for text in &connect.resolve {
        let (host, port, address) = pin(text)?;
        target = target.pin(&host, port, address);
    }
    target.validate().map_err(say)?;
    Ok(target)
}

fn limits(connect: &ConnectArgs) -> Limits {
    let mut limits = Limits::default();
    limits.connect = connect.timeout;
    limits.head = connect.timeout;
    limits
}

fn trust(connect: &ConnectArgs) -> Result<Trust, Complaint> {
    match &connect.ca_file {
        _ if connect.insecure => Ok(Trust::Anything),
        Some(path) => {
            Trust::also_file(path).map_err(|why| format!("--ca-file {}: {why}", path.display()))
        }
        None => Ok(Trust::System),
    }
}

fn protocol(connect: &ConnectArgs) -> Protocol {
    match (connect.http1, connect.http2) {
        (true, _) => Protocol::Http1,
        (_, true) => Protocol::Http2,
        _ => Protocol::Auto,
    }
}

/// A secret, given as it is or in a file, where `ps` does not show it.
fn read_secret(text: &str) -> Result<String, Complaint> {
    let Some(path) = text.strip_prefix('@') else {
        return Ok(text.to_owned());
    };
    std::fs::read_to_string(path)
        .map(|secret| secret.trim().to_owned())
        .map_err(|why| format!("{path}: {why}"))
}

/// `host:port:address`, where the address may have a port of its own.
fn pin(text: &str) -> Result<(String, u16, SocketAddr), Complaint> {
    let wrong =
        || format!("`{text}` is not HOST:PORT:ADDRESS, such as api.example.com:443:127.0.0.1:8443");
    let (host, rest) = text.split_once(':').ok_or_else(wrong)?;
    let (port, address) = rest.split_once(':').ok_or_else(wrong)?;
    let port: u16 = port.parse().map_err(|_| wrong())?;
    let bare = address.trim_start_matches('[').trim_end_matches(']');
    let address = address
        .parse()
        .or_else(|_| bare.parse().map(|ip| SocketAddr::new(ip, port)))
        .map_err(|_| wrong())?;
    Ok((host.to_owned(), port, address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_have_a_port_of_its_own() {
        let ok = |text: &str| pin(text).unwrap().2.to_string();
        assert_eq!(ok("api.example.com:443:127.0.0.1:8443"), "127.0.0.1:8443");
        assert_eq!(ok("api.example.com:443:127.0.0.1"), "127.0.0.1:443");
        assert_eq!(ok("api.example.com:443:[::1]:8443"), "[::1]:8443");
        assert_eq!(ok("api.example.com:443:[::1]"), "[::1]:443");
        assert!(pin("api.example.com").is_err());
        assert!(pin("api.example.com:x:127.0.0.1").is_err());
    }
}
