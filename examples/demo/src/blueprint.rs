//! From a configuration to everything it asks for, or to all that is wrong with it.

use std::fmt::Display;

use actix_web_sse::{Hub, Policy, config::ConfigError};
use actix_web_sse_metrics::{Metrics, OperatorAccess};

use crate::{
    application::{EVENTS, topic},
    backplane,
    config::{Config, Operators},
    failure::Failure,
    listeners::Listeners,
    sign_in::{Signer, random_key},
    tls,
    tour::{self, Followed, Sessions, Tour},
};

/// What the configuration asks for: built and bound, not yet running.
pub(crate) struct Demo {
    pub(crate) config: Config,
    pub(crate) hub: Hub,
    pub(crate) policy: Policy,
    pub(crate) tour: Option<Tour>,
    pub(crate) signer: Option<Signer>,
    pub(crate) metrics: Metrics,
    pub(crate) operators: Option<OperatorsWithToken>,
    pub(crate) tls: Option<rustls::ServerConfig>,
    pub(crate) listeners: Listeners,
}

impl Demo {
    /// Builds everything, or returns all faults. `source` is the configuration's name
    /// in messages.
    ///
    /// # Errors
    /// One line for each fault of the configuration and each listener that cannot be had.
    pub(crate) fn build(source: &str, mut config: Config) -> Result<Self, Failure> {
        let mut faults = Faults {
            source,
            lines: Vec::new(),
        };
        let signer = faults.one(Signer::of(&mut config));
        let backplane = config.backplane.clone().map(backplane::connect);
        let backplane = faults.one(backplane.transpose());
        let shared = backplane.as_ref().and_then(Option::as_ref);
        let metrics = metrics(&config).map_err(Failure::one)?;
        let sessions = Sessions::default();
        let observer = || {
            let log = Followed::new(metrics.log().build(), sessions.clone());
            (metrics.observer(), log)
        };
        let mut hub = Hub::builder()
            .config(config.hub.clone())
            .stream(config.stream.clone())
            .observer(observer());
        let mut policy = Policy::builder()
            .config(config.policy.clone())
            .auth(config.auth.clone())
            .topic(topic)
            .observer(observer());
        if let Some(shared) = shared {
            hub = hub.backplane(shared.clone());
            policy = policy
                .ticket_store(shared.tickets())
                .revocation_store(shared.revocations());
            if let Some(limits) = shared.user_limits() {
                policy = policy.user_limit_store(limits);
            }
        }
        let hub = faults.configured(hub.build());
        let policy = faults.configured(policy.build());
        // What is wrong with the policy is wrong with the tour's as well, and is said once.
        let tour = (policy.is_some() && Tour::is_wanted(&config))
            .then(|| Tour::build(&config.policy, sessions.clone(), observer()));
        let tour = faults.configured(tour.transpose());
        let operators = config.metrics.operators.as_ref().map(operators);
        let operators = faults.one(operators.transpose());
        let tls = config.server.tls.as_ref().map(tls::server_config);
        let tls = faults.one(tls.transpose());
        let listeners = Listeners::bind(&config);
        let listeners = faults.all(listeners);
        match (
            backplane, hub, policy, tour, signer, operators, tls, listeners,
        ) {
            (
                Some(_),
                Some(hub),
                Some(policy),
                Some(tour),
                Some(signer),
                Some(operators),
                Some(tls),
                Some(listeners),
            ) => Ok(Self {
                config,
                hub,
                policy,
                tour,
                signer,
                metrics,
                operators,
                tls,
                listeners,
            }),
            _ => Err(Failure::of(faults.lines)),
        }
    }
}

/// How many origins that come on the allow-list later have a label of their own.
const LATER_ORIGINS: usize = 10;

fn metrics(config: &Config) -> Result<Metrics, String> {
    let mut metrics = Metrics::builder();
    if config.auth.required {
        metrics = metrics.auth_required(EVENTS);
    }
    metrics
        .route(EVENTS)
        // The companions of the stream; the allow-list, and what it may become (SIGHUP).
        .max_learned_routes(if Tour::is_wanted(config) {
            3 + tour::ROUTES
        } else {
            3
        })
        .max_learned_origins(config.policy.origins.allow.len() + LATER_ORIGINS)
        // A page is there to see its origin counted by name, at once.
        .rejected_origins(20, 1)
        .ipv6_prefix(config.policy.limits.ipv6_prefix)
        .build()
        .map_err(|error| error.to_string())
}

/// Who may look, and the token if it was made here and has to be printed.
pub(crate) type OperatorsWithToken = (OperatorAccess, Option<String>);

fn operators(who: &Operators) -> Result<OperatorsWithToken, String> {
    let bearer = |token: &str| {
        OperatorAccess::bearer(token).map_err(|weak| format!("metrics.operators.bearer: {weak}"))
    };
    match who {
        Operators::Token => {
            let token = random_key("metrics.operators")?;
            Ok((bearer(&token)?, Some(token)))
        }
        Operators::Bearer(token) => Ok((bearer(token)?, None)),
        Operators::LoopbackWithoutToken => Ok((OperatorAccess::loopback_without_token(), None)),
    }
}

/// Collects what is wrong while everything is built.
struct Faults<'a> {
    source: &'a str,
    lines: Vec<String>,
}

impl Faults<'_> {
    fn note(&mut self, fault: &dyn Display) {
        self.lines.push(format!("{}: {fault}", self.source));
    }

    fn configured<T>(&mut self, built: Result<T, ConfigError>) -> Option<T> {
        built
            .map_err(|error| error.faults().iter().for_each(|fault| self.note(fault)))
            .ok()
    }

    fn one<T>(&mut self, built: Result<T, String>) -> Option<T> {
        built.map_err(|line| self.note(&line)).ok()
    }

    fn all<T>(&mut self, built: Result<T, Vec<String>>) -> Option<T> {
        built
            .map_err(|lines| lines.iter().for_each(|line| self.note(line)))
            .ok()
    }
}
