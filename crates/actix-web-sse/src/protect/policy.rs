//! The guards' one configuration, and their decisions.

use std::{fmt, net::IpAddr, sync::Arc};

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        Method, Version,
        header::{self, HeaderValue},
    },
};

use super::{
    accept::{self, AcceptMode},
    auth::Auth,
    builder::PolicyBuilder,
    cors::{CorsRules, PreflightRules, Reflection},
    csp,
    fetch_metadata::FetchMetadata,
    host::Hosts,
    limit::{
        Limits,
        address::{Proxies, forwarded_https},
    },
    middleware::ApiPolicy,
    origin::{self, OriginHeader, OriginList},
    outbound::Outbound,
    overload::Overload,
    refusal::Refusal,
    ticket::{Binding, Tickets},
};
use crate::{
    config::{ForwardedHeader, Methods},
    observe::{
        AuthMethod, CorsVerdict, Observer, OriginClass, RefusalMode, RefusalReason, Refused,
        Visitor,
    },
    subscriber::Identity,
};

/// What may open a stream, and who may read it: middleware for stream routes.
///
/// Built once with [`Policy::builder`]; a clone is a reference to the same policy, and all clones
/// share one count of streams. See the [module](crate::protect) for where to mount it.
#[derive(Clone)]
pub struct Policy(pub(super) Arc<Inner>);

/// Which topic a request is about.
pub(super) type TopicOf = Box<dyn Fn(&HttpRequest) -> Option<String> + Send + Sync>;

pub(super) struct Inner {
    pub(super) hosts: Hosts,
    pub(super) methods: StreamMethods,
    pub(super) allow: HeaderValue,
    pub(super) preflight: PreflightRules,
    pub(super) accept: AcceptMode,
    pub(super) overload: Overload,
    pub(super) enforce: bool,
    pub(super) origins: OriginList,
    pub(super) candidate: Option<OriginList>,
    pub(super) cors: CorsRules,
    pub(super) outbound: Outbound,
    pub(super) auth: Auth,
    pub(super) tickets: Option<Tickets>,
    pub(super) topic: Option<TopicOf>,
    pub(super) limits: Limits,
    pub(super) proxies: Proxies,
    pub(super) observer: Arc<dyn Observer>,
}

impl Policy {
    /// A policy to be filled in.
    #[must_use]
    pub fn builder() -> PolicyBuilder {
        PolicyBuilder::default()
    }

    /// The part of the policy that goes around companions of the streams: endpoints that publish,
    /// hand out tickets, take reports. Host, origin, CORS and preflight as for the streams; no
    /// `Accept` check, no limits on streams, methods left to the route.
    #[must_use]
    pub fn api(&self) -> ApiPolicy {
        ApiPolicy::new(self)
    }
}

impl Policy {
    /// The `connect-src` directive (CSP 3 § 6.1.2) that a page needs in its own
    /// `Content-Security-Policy` to open streams from the configured hosts. Without it the browser
    /// ends the `EventSource` before it asks, and the server sees nothing.
    ///
    /// ```
    /// # use actix_web_sse::Policy;
    /// let policy = Policy::builder().host("api.example.com").build()?;
    /// assert_eq!(
    ///     policy.connect_src(),
    ///     "connect-src 'self' https://api.example.com"
    /// );
    /// # Ok::<(), actix_web_sse::ConfigError>(())
    /// ```
    #[must_use]
    pub fn connect_src(&self) -> String {
        csp::connect_src(&self.0.hosts)
    }
}

impl Policy {
    /// Answers a request for a ticket, in a handler behind [`Policy::api`]:
    /// `{"ticket": "…", "expires_in": 60}`. The ticket stands for the client's identity and opens
    /// streams of this topic, from the page that asked, as `?ticket=…`.
    ///
    /// Refused are: a client that did not authenticate, or with another ticket (401), one that
    /// may not read the topic (403), and everybody where no tickets are configured (404).
    ///
    /// ```
    /// use actix_web::{HttpRequest, HttpResponse, web};
    /// use actix_web_sse::Policy;
    ///
    /// async fn ticket(request: HttpRequest, policy: web::Data<Policy>) -> HttpResponse {
    ///     policy.ticket(&request, "prices")
    /// }
    /// ```
    #[must_use]
    pub fn ticket(&self, request: &HttpRequest, topic: &str) -> HttpResponse {
        let identity = Identity::of(request);
        let answer = self.0.issue(request, topic, &identity);
        answer.unwrap_or_else(|reason| self.0.refuse_in_handler(request, reason, &identity))
    }

    /// Takes back what this policy has handed out or remembers of a user: their remembered tokens
    /// are checked again, and their tickets of this process up to now hold no more. Streams that
    /// are open are ended by `Hub::disconnect`, which goes together with this.
    pub fn revoke(&self, user: &str) {
        self.0.auth.forget(user);
        if let Some(tickets) = &self.0.tickets {
            tickets.revoke(user);
        }
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy")
            .field("hosts", &self.0.hosts)
            .field("origins", &self.0.origins)
            .finish_non_exhaustive()
    }
}

/// The methods of a stream route.
#[derive(Debug, Clone, Copy)]
pub(super) struct StreamMethods(Methods);

impl StreamMethods {
    pub(super) const fn of(methods: Methods) -> Self {
        Self(methods)
    }

    /// The value of `Allow`.
    pub(super) const fn allow(self) -> &'static str {
        match self.0 {
            Methods::Get => "GET, HEAD, OPTIONS",
            Methods::Post => "POST, OPTIONS",
            Methods::GetAndPost => "GET, HEAD, POST, OPTIONS",
        }
    }

    /// What a preflight may ask for.
    pub(super) const fn cors(self) -> &'static [&'static str] {
        match self.0 {
            Methods::Get => &["GET", "HEAD"],
            Methods::Post => &["POST"],
            Methods::GetAndPost => &["GET", "HEAD", "POST"],
        }
    }

    fn contain(self, method: &Method) -> bool {
        self.cors().contains(&method.as_str())
    }
}

/// What the policy makes of a request's origin.
#[derive(Debug)]
pub(super) struct OriginFindings {
    pub(super) class: OriginClass,
    pub(super) cors: CorsVerdict,
    pub(super) reflection: Reflection,
    /// Why it is not let through.
    pub(super) refusal: Option<RefusalReason>,
    /// The candidate list would have refused it.
    pub(super) candidate_refuses: bool,
}

/// Where a request comes from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source {
    pub(super) address: Option<IpAddr>,
    /// The client came by https, to us or to a proxy that is trusted.
    pub(super) secure: bool,
}

impl Source {
    pub(super) const fn scheme(self) -> &'static str {
        if self.secure { "https" } else { "http" }
    }
}

impl Inner {
    /// Sees where the request comes from.
    pub(super) fn source(&self, request: &HttpRequest) -> Source {
        let peer = request.peer_addr().map(|peer| peer.ip().to_canonical());
        let secure = request.app_config().secure();
        let Some(header) = self.proxies.header_for(peer) else {
            return Source {
                address: peer,
                secure,
            };
        };
        // Only two ends of this iterator are public; the lines are few.
        let lines = |name| -> Vec<_> {
            let lines = request.headers().get_all(name);
            lines.map(HeaderValue::as_bytes).collect()
        };
        let (name, says_https) = match header {
            ForwardedHeader::XForwardedFor => {
                let proto = lines(header::X_FORWARDED_PROTO);
                let last = proto
                    .last()
                    .and_then(|line| line.rsplit(|byte| *byte == b',').next());
                (
                    header::X_FORWARDED_FOR,
                    last.is_some_and(|proto| proto.trim_ascii().eq_ignore_ascii_case(b"https")),
                )
            }
            ForwardedHeader::Forwarded => {
                let last = lines(header::FORWARDED);
                let says = last.last().is_some_and(|line| forwarded_https(line));
                (header::FORWARDED, says)
            }
        };
        Source {
            address: self.proxies.client(header, peer, lines(name).into_iter()),
            secure: secure || says_https,
        }
    }

    /// Sees whose page is asking.
    pub(super) fn origin(&self, request: &HttpRequest, scheme: &str) -> OriginFindings {
        let headers = request.headers();
        let lines = headers.get_all(header::ORIGIN).map(HeaderValue::as_bytes);
        let header = OriginHeader::read(lines);
        let says_same_origin = fetch_metadata(request).says_same_origin();
        let own = match header {
            OriginHeader::Absent => says_same_origin == Some(true),
            OriginHeader::Value(origin) => {
                origin::is_own(origin, authority(request), scheme, says_same_origin)
            }
            OriginHeader::Malformed | OriginHeader::Null => false,
        };
        let entry = match header {
            OriginHeader::Value(origin) => self.origins.find(origin),
            OriginHeader::Null if self.origins.is_public() => self.origins.find(b"null"),
            _ => None,
        };
        let reflection = match (entry, headers.get(header::ORIGIN)) {
            _ if self.origins.is_public() && header != OriginHeader::Malformed => Reflection::Any,
            (Some(_), Some(origin)) => Reflection::Origin(origin.clone()),
            _ => Reflection::None,
        };
        let (class, cors, refusal) = match (entry, header) {
            (_, OriginHeader::Malformed) => (
                OriginClass::Other,
                CorsVerdict::Denied,
                Some(RefusalReason::OriginMalformed),
            ),
            (None, OriginHeader::Absent) if !own => {
                (OriginClass::None, CorsVerdict::NoOrigin, None)
            }
            _ if own => (OriginClass::SameOrigin, CorsVerdict::SameOrigin, None),
            (Some(entry), _) => (
                OriginClass::Allowed(Arc::clone(entry)),
                CorsVerdict::Allowed,
                None,
            ),
            (None, header) => (
                if header == OriginHeader::Null {
                    OriginClass::Null
                } else {
                    OriginClass::Other
                },
                CorsVerdict::Denied,
                Some(RefusalReason::OriginDenied),
            ),
        };
        let candidate_refuses = self
            .candidate
            .as_ref()
            .is_some_and(|candidate| match header {
                OriginHeader::Value(origin) => !own && candidate.find(origin).is_none(),
                OriginHeader::Null => !candidate.is_public(),
                OriginHeader::Absent | OriginHeader::Malformed => false,
            });
        OriginFindings {
            class,
            cors,
            reflection,
            refusal,
            candidate_refuses,
        }
    }

    /// Which topic the request is about, where the application has said how to tell.
    pub(super) fn topic_of(&self, request: &HttpRequest) -> Option<String> {
        self.topic.as_ref().and_then(|topic| topic(request))
    }

    /// What a ticket for this request is bound to.
    pub(super) fn binding<'a>(
        &self,
        origin: &OriginFindings,
        source: Source,
        request: &'a HttpRequest,
    ) -> Binding<'a> {
        let header = request.headers().get(header::ORIGIN);
        Binding {
            origin: match origin.cors {
                CorsVerdict::SameOrigin | CorsVerdict::NoOrigin => b"",
                CorsVerdict::Allowed | CorsVerdict::Denied => {
                    header.map_or(b"", HeaderValue::as_bytes)
                }
            },
            address: source.address,
        }
    }

    fn issue(
        &self,
        request: &HttpRequest,
        topic: &str,
        identity: &Identity,
    ) -> Result<HttpResponse, RefusalReason> {
        let tickets = self.tickets.as_ref().ok_or(RefusalReason::NotFound)?;
        if matches!(identity.method, AuthMethod::None | AuthMethod::Ticket) {
            return Err(RefusalReason::Unauthorized);
        }
        if !identity.topics.allow(topic) {
            return Err(RefusalReason::InsufficientScope);
        }
        let source = self.source(request);
        let origin = self.origin(request, source.scheme());
        let binding = self.binding(&origin, source, request);
        let ticket = tickets
            .issue(identity, topic, binding)
            .ok_or(RefusalReason::InvalidRequest)?;
        let body = serde_json::json!({
            "ticket": ticket,
            "expires_in": tickets.ttl().as_secs(),
        });
        Ok(HttpResponse::Ok()
            .insert_header((header::CONTENT_TYPE, "application/json"))
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
            .body(body.to_string()))
    }

    /// A refusal from within a handler, reported as those of the guards are.
    fn refuse_in_handler(
        &self,
        request: &HttpRequest,
        reason: RefusalReason,
        identity: &Identity,
    ) -> HttpResponse {
        let source = self.source(request);
        let origin = self.origin(request, source.scheme());
        let route = request.match_pattern();
        let visitor = Visitor {
            origin: &origin.class,
            cors: origin.cors,
            address: source.address,
            auth: identity.method,
            user: identity.user.as_deref(),
            token_ttl: identity.ttl(),
            ..Visitor::unknown(request, route.as_deref().unwrap_or("unmatched"))
        };
        let refusal = Refusal::from(reason);
        let status = refusal.status().as_u16();
        let refused = Refused::new(&visitor, reason, RefusalMode::Hard, status);
        self.observer.refused(&refused);
        refusal.response()
    }

    /// The guard on the method of a stream route.
    pub(super) fn check_method(&self, method: &Method) -> Result<(), Refusal> {
        if self.methods.contain(method) {
            return Ok(());
        }
        Err(Refusal {
            allow: Some(self.allow.clone()),
            ..Refusal::new(RefusalReason::MethodNotAllowed)
        })
    }

    /// The guard on the names under which we are served.
    pub(super) fn check_host(&self, request: &HttpRequest) -> Result<(), Refusal> {
        if self.hosts.is_empty() {
            return Ok(());
        }
        let mut lines = request
            .headers()
            .get_all(header::HOST)
            .map(HeaderValue::as_bytes);
        let host = (lines.next(), lines.next());
        let authority = request
            .uri()
            .authority()
            .map(|name| name.as_str().as_bytes());
        let allowed = match (authority, host) {
            (_, (Some(_), Some(_))) => false,
            (Some(authority), (Some(host), None)) => {
                self.hosts.allow(authority) && self.hosts.allow(host)
            }
            (Some(name), (None, _)) | (None, (Some(name), None)) => self.hosts.allow(name),
            // Only HTTP/1.0 may leave it out, and no browser speaks that.
            (None, (None, _)) => request.version() < Version::HTTP_11,
        };
        if allowed {
            Ok(())
        } else {
            Err(Refusal::new(RefusalReason::HostDenied))
        }
    }

    /// The guard on `Accept`.
    pub(super) fn check_accept(&self, request: &HttpRequest) -> Result<(), Refusal> {
        let lines = request
            .headers()
            .get_all(header::ACCEPT)
            .map(HeaderValue::as_bytes);
        if accept::accepts(lines, self.accept) {
            Ok(())
        } else {
            Err(Refusal::new(RefusalReason::NotAcceptable))
        }
    }
}

/// A preflight (WHATWG Fetch § 3.2.2): any other `OPTIONS` is just a method.
pub(super) fn is_preflight(request: &HttpRequest) -> bool {
    request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ORIGIN)
        && request
            .headers()
            .contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

pub(super) fn fetch_metadata(request: &HttpRequest) -> FetchMetadata<'_> {
    let header = |name: &str| request.headers().get(name).map(HeaderValue::as_bytes);
    FetchMetadata {
        site: header("sec-fetch-site"),
        mode: header("sec-fetch-mode"),
        dest: header("sec-fetch-dest"),
    }
}

/// The name that the request went to.
fn authority(request: &HttpRequest) -> Option<&[u8]> {
    match request.uri().authority() {
        Some(authority) => Some(authority.as_str().as_bytes()),
        None => request
            .headers()
            .get(header::HOST)
            .map(HeaderValue::as_bytes),
    }
}
