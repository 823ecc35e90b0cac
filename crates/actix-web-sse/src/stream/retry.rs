//! When a stream asks its client to come back.

use crate::{
    config::StreamConfig,
    event::Retry,
    stream::{between, jitter},
};

/// After a cut, or an end that may be the client's or anybody's fault.
pub(crate) fn usual(config: &StreamConfig) -> Retry {
    Retry::clamped(jitter(config.retry, config.retry_jitter))
}

/// After an end that was planned, while somebody is there to answer: soon.
pub(crate) fn planned(config: &StreamConfig) -> Retry {
    let soon = config.planned_retry.min(config.retry);
    Retry::clamped(between(soon, 0.5, 1.5).min(config.retry))
}

/// After a drain. `others`: there are nodes that go on.
pub(crate) fn drained(config: &StreamConfig, others: bool) -> Retry {
    match config.drain_retry {
        Some(retry) => Retry::clamped(between(retry, 0.5, 1.5)),
        None if others => planned(config),
        None => usual(config),
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, time::Duration};

    use super::*;

    /// The least and the most of a thousand, when they are spread.
    fn spread(retry: impl Fn() -> Retry) -> (u32, u32) {
        let seen = (0..1000).map(|_| retry().as_millis()).collect::<Vec<_>>();
        assert!(seen.iter().collect::<HashSet<_>>().len() > 200);
        let (least, most) = (seen.iter().min(), seen.iter().max());
        (*least.unwrap(), *most.unwrap())
    }

    #[test]
    fn w03_planned_ends_ask_for_a_second_and_others_for_half_a_minute() {
        let config = StreamConfig::default();
        let (least, most) = spread(|| planned(&config));
        assert!(least >= 500 && most <= 1500, "{least} to {most}");
        let (least, most) = spread(|| drained(&config, true));
        assert!(least >= 500 && most <= 1500, "{least} to {most}");
        for retry in [|config| usual(config), |config| drained(config, false)] {
            let (least, most) = spread(|| retry(&config));
            assert!(least >= 24_000 && most <= 36_000, "{least} to {most}");
        }
    }

    #[test]
    fn w03_a_drain_of_its_own_wish_and_a_short_retry_are_kept() {
        let mut config = StreamConfig {
            drain_retry: Some(Duration::from_secs(4)),
            ..StreamConfig::default()
        };
        let (least, most) = spread(|| drained(&config, false));
        assert!(least >= 2000 && most <= 6000, "{least} to {most}");
        config.retry = Duration::from_millis(800);
        let (least, most) = spread(|| planned(&config));
        assert!(least >= 400 && most <= 800, "{least} to {most}");
    }
}
