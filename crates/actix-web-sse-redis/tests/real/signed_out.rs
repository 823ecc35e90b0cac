//! Users that were signed out on some node: all have to refuse them.

use std::time::{Duration, Instant};

use actix_web::{http::StatusCode, rt::time::sleep};

use crate::{
    revocation::{Guarded, token},
    server::LIMIT,
};

/// Users that were signed out, with a token from before, and the nodes that have to refuse it.
#[derive(Default)]
pub(crate) struct SignedOut(Vec<(String, String)>);

impl SignedOut {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn sign_out(&mut self, guards: &[Guarded], random: &mut fastrand::Rng) {
        let user = format!("user {}", self.0.len());
        let token = token(&user);
        guards[random.usize(0..guards.len())].policy.revoke(&user);
        self.0.push((user, token));
    }

    /// A failure prints the `context`.
    pub(crate) async fn check(&self, guards: &[Guarded], context: impl Fn() -> String) {
        let start = Instant::now();
        for (user, token) in &self.0 {
            for (at, guard) in guards.iter().enumerate() {
                loop {
                    let status = guard.answer(token).await;
                    if status == StatusCode::UNAUTHORIZED {
                        break;
                    }
                    let lost = guards
                        .iter()
                        .map(|guard| guard.backplane.stats().revocations_lost);
                    if lost.sum::<u64>() > 0 {
                        return;
                    }
                    // How soon, is a matter of the machine; never, is one of this crate.
                    let took = start.elapsed();
                    assert!(
                        took < LIMIT,
                        "{user} of {} at node {at}: {status} after {took:?}\n{}",
                        self.0.len(),
                        context()
                    );
                    sleep(Duration::from_millis(20)).await;
                }
            }
        }
    }
}
