//! The operations page: who is connected, what each stream does, what was refused and why, and a
//! button that ends a stream.
//!
//! `{path}/` is the page, with its files beside it; they hold no data and need no token. What they
//! show comes from the JSON below `{path}/api/`, which does.

mod actions;
mod files;
mod overview;
mod streams;

use std::{fmt, fs, sync::Arc};

use actix_web::{
    FromRequest, HttpRequest, HttpResponse,
    dev::{AppService, HttpServiceFactory, Payload},
    error::InternalError,
    http::header,
    web,
};
use actix_web_sse::{Hub, IntoHubs};
use serde_json::{Value, json};

use crate::{
    core::Core, endpoint::operators::OperatorAccess, labels::OTHER, live::Live, metrics::Metrics,
};

/// The longest body of an action.
const MAX_BODY: usize = 8 * 1024;

/// The operations page at a path of an application. Made by
/// [`Metrics::operations`](crate::Metrics::operations).
#[derive(Debug, Clone)]
pub struct Operations {
    path: String,
    desk: Desk,
}

/// What the handlers need.
#[derive(Clone)]
struct Desk {
    core: Arc<Core>,
    live: Arc<Live>,
    access: OperatorAccess,
    hubs: Arc<[Hub]>,
    node: Arc<str>,
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk")
            .field("access", &self.access)
            .field("node", &self.node)
            .finish_non_exhaustive()
    }
}

impl Metrics {
    /// A page for operators at `path`, to be mounted in an application outside of the stream guards:
    /// the open streams of these hubs by route, origin and user, the life of each, the latest refusals
    /// with what to do about them, what browsers make of the replies by origin, and buttons that end a
    /// stream or all streams of a user.
    ///
    /// ```
    /// use actix_web::App;
    /// use actix_web_sse::Hub;
    /// use actix_web_sse_metrics::{Metrics, OperatorAccess};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let metrics = Metrics::new()?;
    /// let hub = Hub::builder().observer(metrics.observer()).build()?;
    /// let access = OperatorAccess::bearer("a secret of at least 16 bytes")?;
    /// let operations = metrics.operations("/operations", access, &hub);
    /// // In the closure of the server.
    /// let app = App::new().service(operations.clone());
    /// # drop(app);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// The page asks for the token of [`OperatorAccess::bearer`], keeps it in the tab and sends it with
    /// each request. With [`OperatorAccess::loopback_without_token`] it only shows: a page of another
    /// site could press its buttons.
    ///
    /// It shows addresses and names of users, to everybody who has the token. It shows no tokens, no
    /// tickets and no events. Each action is a line of the log (`sse_operator_action`) and is counted in
    /// `sse_operator_actions_total`. Who ends a stream takes no credentials back: the client may return.
    ///
    /// # What it costs
    ///
    /// From this call on, opening, refusing and ending take a lock and an entry: of at most 10,000 open
    /// streams (half a kilobyte each; the others are only counted), 200 that ended, 200 refusals and 100
    /// origins. A delivery costs nothing more. An open page asks the workers every two seconds, and they
    /// look at all of their streams for it.
    #[must_use]
    pub fn operations(
        &self,
        path: &str,
        access: OperatorAccess,
        hubs: impl IntoHubs,
    ) -> Operations {
        Operations {
            path: path.trim_end_matches('/').to_owned(),
            desk: Desk {
                core: Arc::clone(&self.core),
                live: Arc::clone(self.core.keep_live()),
                access,
                hubs: hubs.distinct().into(),
                node: host_name().into(),
            },
        }
    }
}

/// The name of this machine, or in a container of the container.
fn host_name() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match name.trim() {
        "" => OTHER.to_owned(),
        name => name.to_owned(),
    }
}

impl Operations {
    /// How this node is called on its page. Default: the host's name.
    #[must_use]
    pub fn node(mut self, name: &str) -> Self {
        self.desk.node = name.into();
        self
    }
}

impl HttpServiceFactory for Operations {
    fn register(self, config: &mut AppService) {
        let Self { path, desk } = self;
        // Relative, so that it does not matter what a scope or a proxy puts before the path.
        let page = format!("{}/", path.rsplit('/').next().unwrap_or_default());
        let mut scope = web::scope(&path)
            .app_data(web::Data::new(desk))
            .app_data(web::JsonConfig::default().limit(MAX_BODY));
        if !path.is_empty() {
            let to_page = move || {
                let mut moved = HttpResponse::PermanentRedirect();
                moved.insert_header((header::LOCATION, page.clone()));
                std::future::ready(moved.finish())
            };
            scope = scope.route("", web::get().to(to_page));
        }
        for file in files::FILES {
            let answer = move || std::future::ready(file.answer());
            scope = scope.route(file.path, web::get().to(answer));
        }
        scope
            .route("/api/access", web::get().to(overview::access))
            .route("/api/overview", web::get().to(overview::answer))
            .route("/api/streams", web::get().to(streams::list))
            .route("/api/streams/{connection}", web::get().to(streams::one))
            .route(
                "/api/streams/{connection}/end",
                web::post().to(actions::end_stream),
            )
            .route("/api/users/end", web::post().to(actions::end_user))
            .register(config);
    }
}

/// An operator, by the rules of the access.
struct Operator(web::Data<Desk>);

impl FromRequest for Operator {
    type Error = actix_web::Error;
    type Future = std::future::Ready<Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let desk = request.app_data::<web::Data<Desk>>();
        let admitted = desk.filter(|desk| desk.access.admits(request));
        std::future::ready(admitted.map(|desk| Self(desk.clone())).ok_or_else(|| {
            match desk.is_some_and(|desk| desk.access.asks_for_a_token()) {
                true => forbidden("token_required", WITH_TOKEN),
                false => forbidden("forbidden", ON_LOOPBACK),
            }
        }))
    }
}

const WITH_TOKEN: &str = "send the header Authorization: Bearer with the operators' token";
const ON_LOOPBACK: &str = "ask on the machine itself, by a name or an address of the loopback";

/// A refusal that says what is missing, and nothing else.
fn forbidden(error: &str, hint: &str) -> actix_web::Error {
    let body = json!({ "error": error, "hint": hint });
    let response = reply(HttpResponse::Forbidden(), &body);
    InternalError::from_response("forbidden", response).into()
}

/// JSON that nobody keeps.
fn reply(mut response: actix_web::HttpResponseBuilder, body: &Value) -> HttpResponse {
    response
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .json(body)
}
