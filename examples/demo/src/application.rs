//! What is mounted where.

use actix_web::{
    guard,
    web::{self, Data, PayloadConfig, ServiceConfig},
};
use actix_web_sse::{Hub, Policy};
use actix_web_sse_metrics::{Metrics, Operations, OperatorAccess};

pub(crate) use crate::routes::topic;
use crate::{
    page::Page,
    routes::{self, Publishers},
    sign_in::Signer,
    tour::Tour,
};

/// Where the streams are.
pub(crate) const EVENTS: &str = "/events";

/// Where browsers report streams that they gave up, and find the script that does it.
pub(crate) const REPORTS: &str = "/sse-reports";

/// The stream and everything around it.
#[derive(Clone)]
pub(crate) struct Application {
    pub(crate) page: Page,
    pub(crate) hub: Hub,
    pub(crate) policy: Policy,
    pub(crate) tour: Option<Tour>,
    pub(crate) signer: Option<Signer>,
    pub(crate) metrics: Metrics,
    /// What is looked at from outside, if it has no listener of its own.
    pub(crate) watched: Option<Watched>,
    pub(crate) publishers: Publishers,
    pub(crate) max_event_bytes: usize,
}

impl Application {
    pub(crate) fn mount(&self, config: &mut ServiceConfig) {
        let policy = &self.policy;
        config
            .app_data(self.hub.clone())
            // Room for JSON around the largest event; the hub judges the event itself.
            .app_data(PayloadConfig::new(2 * self.max_event_bytes + 1024))
            .app_data(routes::query_config())
            .app_data(Data::new(policy.clone()))
            .app_data(Data::new(self.publishers))
            .configure(|config| self.page.mount(config))
            .service(self.metrics.reports(REPORTS, policy))
            // An ordinary route of the application, for the pages that may read the streams.
            .service(
                web::scope("/api")
                    .wrap(policy.cors())
                    .route("/state", web::get().to(routes::state)),
            )
            .route("/healthz", web::get().to(routes::healthz))
            .route("/readyz", web::get().to(routes::readyz))
            .service(
                web::resource(EVENTS)
                    .wrap(policy.clone())
                    .route(web::route().to(routes::events)),
            )
            .service(
                web::resource("/publish")
                    .wrap(policy.api())
                    .route(web::post().to(routes::publish)),
            )
            .service(
                web::resource("/ticket")
                    .wrap(policy.api())
                    .route(web::post().to(routes::ticket)),
            );
        if let Some(signer) = &self.signer {
            mount_sign_in(signer, policy, config);
        }
        if let Some(tour) = &self.tour {
            tour.mount(policy, config);
        }
        if let Some(watched) = &self.watched {
            watched.mount(config);
        }
    }
}

/// Signing in needs no credentials, signing out does: two resources of one path.
fn mount_sign_in(signer: &Signer, policy: &Policy, config: &mut ServiceConfig) {
    config
        .app_data(Data::new(signer.clone()))
        .service(
            web::resource("/session")
                .guard(guard::Delete())
                .wrap(policy.api())
                .route(web::delete().to(routes::sign_out)),
        )
        .service(
            web::resource("/session")
                .wrap(policy.api().without_auth())
                .route(web::post().to(routes::sign_in)),
        );
}

/// What Prometheus and operators look at.
#[derive(Clone)]
pub(crate) struct Watched {
    metrics: Metrics,
    operators: Option<(OperatorAccess, Operations)>,
}

impl Watched {
    /// Streams that open from here on are on the operations page.
    pub(crate) fn new(metrics: &Metrics, hub: &Hub, operators: Option<OperatorAccess>) -> Self {
        let operators = operators.map(|access| {
            let operations = metrics.operations("/operations", access.clone(), hub);
            (access, operations)
        });
        Self {
            metrics: metrics.clone(),
            operators,
        }
    }

    pub(crate) fn mount(&self, config: &mut ServiceConfig) {
        config.service(self.metrics.endpoint("/metrics"));
        if let Some((access, operations)) = &self.operators {
            config
                .service(self.metrics.operators("/operators", access.clone()))
                .service(operations.clone());
        }
    }
}

/// The page once more, for an origin of its own: nothing of the stream is here.
#[derive(Clone)]
pub(crate) struct ForeignSite {
    pub(crate) page: Page,
    pub(crate) policy: Policy,
    pub(crate) metrics: Metrics,
    /// Whether the page draws the counts.
    pub(crate) counts: bool,
    /// Whether the tour has a page here.
    pub(crate) tour: bool,
}

impl ForeignSite {
    pub(crate) fn mount(&self, config: &mut ServiceConfig) {
        self.page.mount(config);
        if self.tour {
            self.page.mount_visitor(config);
        }
        // For the script: a site has a copy of it.
        config.service(self.metrics.reports(REPORTS, &self.policy));
        if self.counts {
            config.service(self.metrics.endpoint("/metrics"));
        }
    }
}
