//! What `[policy]` says, checked: the rules that all requests go by until they are replaced.

use actix_web::http::header::HeaderValue;

use super::{
    allow_list::{cors_rules, origin_list},
    cors::{CorsRules, PreflightRules},
    host::Hosts,
    limit::{LimitRules, address::Proxies},
    methods::StreamMethods,
    middleware::{API_METHODS, API_REQUEST_HEADERS},
    outbound::Outbound,
};
use crate::{
    config::{AcceptMode, Enforcement, Faults, Hints, Overload, PolicyConfig},
    observe::PolicyInfo,
    origin::OriginList,
};

/// The rules of a policy. A request goes by the same from its beginning to its end.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) hosts: Hosts,
    pub(super) methods: StreamMethods,
    pub(super) allow: HeaderValue,
    pub(super) preflight: PreflightRules,
    pub(super) api_preflight: PreflightRules,
    pub(super) accept: AcceptMode,
    pub(super) overload: Overload,
    pub(super) hints: Hints,
    pub(super) enforce: bool,
    pub(super) origins: OriginList,
    pub(super) candidate: Option<OriginList>,
    pub(super) cors: CorsRules,
    pub(super) outbound: Outbound,
    pub(super) limits: LimitRules,
    pub(super) proxies: Proxies,
    /// The same for observers.
    pub(super) info: PolicyInfo,
}

impl Rules {
    /// Checks a section; every fault is noted.
    pub(super) fn new(config: &PolicyConfig, faults: &mut Faults) -> Self {
        let mut hosts = Hosts::default();
        for host in &config.hosts {
            if let Err(message) = hosts.add(host) {
                faults.add("policy.hosts", host, message);
            }
        }
        let origins = origin_list(
            "policy.origins.allow",
            &config.origins.allow,
            &config.origins,
            faults,
        );
        let candidate = config.candidate.as_ref().map(|candidate| {
            origin_list(
                "policy.candidate.allow",
                &candidate.allow,
                &config.origins,
                faults,
            )
        });
        let methods = StreamMethods::of(config.methods);
        let readers = methods.with_their_headers(&config.origins);
        let cors = cors_rules(&readers, origins.is_public(), faults);
        let limits = LimitRules::new(&config.limits, faults);
        let proxies = Proxies::new(&config.limits, faults);
        let outbound = Outbound::new(&config.headers, config.hsts.as_ref(), faults);
        let info = PolicyInfo {
            per_ip: config.limits.per_ip.map(u64::from),
            per_user: config.limits.per_user.map(u64::from),
            total: config.limits.total.map(u64::from),
            networks: config
                .limits
                .overrides
                .iter()
                .map(|limit| (limit.network.as_str().into(), limit.per_ip.map(u64::from)))
                .collect(),
            ..PolicyInfo::new(origins.entries(), config.origins.credentials)
        };
        Self {
            hosts,
            allow: HeaderValue::from_static(methods.allow()),
            preflight: cors.preflight_rules(methods.cors(), methods.request_headers()),
            api_preflight: cors.preflight_rules(&API_METHODS, &API_REQUEST_HEADERS),
            methods,
            accept: config.accept,
            overload: config.overload,
            hints: config.hints,
            enforce: config.origins.mode == Enforcement::Enforce,
            origins,
            candidate,
            cors,
            outbound,
            limits,
            proxies,
            info,
        }
    }
}
