//! The page's tour: incidents made on purpose, each for the one page that asked.
//!
//! It is there where anybody may sign in and nobody has to, as in the defaults. A page is given a
//! session, and names it in the query of its streams. What the log says about those streams is kept
//! for that page, as the lines that the log has. Three streams of the tour have a fault built in: see
//! [`proxy`] for two, and [`policy`] for the third.

mod followed;
pub(crate) mod proxy;
mod routes;
mod runbook;
mod session;

use actix_web::web::{self, Data, ServiceConfig};
use actix_web_sse::{
    Policy,
    config::{ConfigError, PolicyConfig},
    observe::Observer,
};

pub(crate) use self::{
    followed::{Followed, Lines, is_followed},
    session::Sessions,
};
use crate::{config::Config, routes as streams};

/// The routes whose streams have a fault.
const LOST_HEADER: &str = "/tour/lost-header";
const CUT_WIRE: &str = "/tour/cut-wire";
const CROWD: &str = "/tour/crowd";

/// How many routes the metrics may learn for it.
pub(crate) const ROUTES: usize = 6;

/// How many streams of one address make a crowd: browsers open six connections to a server at the most.
const CROWDED: u32 = 2;

/// What the tour needs.
#[derive(Clone)]
pub(crate) struct Tour {
    sessions: Sessions,
    policy: Policy,
}

impl Tour {
    /// Whether this configuration has one.
    pub(crate) const fn is_wanted(config: &Config) -> bool {
        config.server.sign_in && !config.auth.required
    }

    /// Builds its policy.
    ///
    /// # Errors
    /// What is wrong with the configuration.
    pub(crate) fn build(
        config: &PolicyConfig,
        sessions: Sessions,
        observer: impl Observer,
    ) -> Result<Self, ConfigError> {
        let policy = Policy::builder()
            .config(policy(config))
            .observer(observer)
            .build()?;
        Ok(Self { sessions, policy })
    }

    /// The policy of its streams.
    pub(crate) const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Mounts its streams and what the page asks for; `api` is the policy of the demo itself.
    pub(crate) fn mount(&self, api: &Policy, config: &mut ServiceConfig) {
        config.app_data(Data::new(self.sessions.clone()));
        for path in [LOST_HEADER, CUT_WIRE, CROWD] {
            config.service(
                web::resource(path)
                    .wrap(self.policy.clone())
                    .route(web::get().to(streams::events)),
            );
        }
        let companion = |path| web::resource(path).wrap(api.api().without_auth());
        config
            .service(companion("/tour/session").route(web::post().to(routes::begin)))
            .service(companion("/tour/lines").route(web::get().to(routes::lines)))
            .service(companion("/tour/cut").route(web::post().to(routes::cut)))
            .route("/tour/runbook", web::get().to(runbook::runbook));
    }
}

/// The policy of the streams with a fault: as the demo's, but two streams of an address are all that
/// it may have.
pub(crate) fn policy(config: &PolicyConfig) -> PolicyConfig {
    let mut config = config.clone();
    config.limits.per_ip = Some(CROWDED);
    config.limits.overrides.clear();
    config
}
