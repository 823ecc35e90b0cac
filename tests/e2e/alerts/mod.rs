//! Every alert that can be provoked in a minute: an incident is made, the alert is seen firing in a
//! real Prometheus, the incident ends, the alert is seen clearing.
//!
//! The rules are those of `grafana/rules`, with a second for each of their minutes.

mod alertmanager;
mod backplane;
mod clients;
mod delivery;
mod limits;
mod origins;
mod short_rules;
mod targets;

use std::{net::SocketAddr, time::Duration};

use actix_web_sse_tests::{Prometheus, until};

use self::short_rules::ShortRules;

/// The longest time that an alert of these rules takes to fire or to clear, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// A Prometheus with the alerts in a hurry.
struct Watch {
    prometheus: Prometheus,
    _rules: ShortRules,
}

impl Watch {
    fn over(targets: &[(&str, SocketAddr)]) -> Self {
        let rules = ShortRules::write();
        let prometheus = Prometheus::scraping(targets, &rules.files());
        for (job, _) in targets {
            prometheus.wait_for(&format!("min(up{{job='{job}'}})"), 1.0);
        }
        Self {
            prometheus,
            _rules: rules,
        }
    }

    fn fires(&self, alert: &str) -> bool {
        self.prometheus
            .alerts("firing")
            .iter()
            .any(|name| name == alert)
    }

    /// Keeps the incident going until the alert fires.
    #[track_caller]
    fn wait_firing(&self, alert: &str, mut incident: impl FnMut()) {
        until(&format!("{alert} fires"), PATIENCE, || {
            incident();
            self.fires(alert).then_some(())
        });
    }

    /// Keeps the world in order until the alert has cleared.
    #[track_caller]
    fn wait_clear(&self, alert: &str, mut order: impl FnMut()) {
        until(&format!("{alert} clears"), PATIENCE, || {
            order();
            (!self.fires(alert)).then_some(())
        });
    }
}
