//! One test for each kind of hostile client: the others must not feel it (contract, group H).
//!
//! `tests/run hostile` runs them one after the other, as they measure. How long and with how many
//! is fixed here; `cargo run -p actix-web-sse-tests --bin hostile -- --help` for longer.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod attack;
mod frames;
mod handshakes;
mod honest;
mod promises;
mod report;
mod setup;
mod target;
mod trial;
mod vanish;

use std::time::Duration;

use crate::{
    attack::{Attack, behind, connects, flood, names, refused, slow, window},
    setup::Setup,
    trial::{Plan, trial},
};

const DEMO: &str = env!("CARGO_BIN_EXE_demo-under-test");

const PLAN: Plan = Plan {
    demo: DEMO,
    honest: 20,
    quiet: Duration::from_millis(300),
    attack: Duration::from_millis(800),
    // A worker that stands still or starves others is above it by far, even in a debug build.
    floor: Duration::from_millis(400),
    below_us: Duration::from_millis(1500),
    gives_way: false,
    // What lies in the sockets is worked off yet, and a busy machine takes its time for it.
    idle_again: Duration::from_secs(20),
};

/// How often an attack is tried before it counts that something took too long.
const TRIALS: usize = 3;

/// The attack against both configurations; what went wrong is told for both. A machine that stands still for a second,
/// for reasons of its own, makes somebody late who is in the midst of something. What the attack makes late, it makes late
/// each time.
#[track_caller]
fn holds(attack: &Attack) {
    let mut faults = Vec::new();
    for setup in Setup::ALL {
        let mut outcome = trial(attack, setup, PLAN);
        println!("{outcome}");
        for _ in 1..TRIALS {
            if outcome.faults.is_empty() || !outcome.only_late {
                break;
            }
            outcome = trial(attack, setup, PLAN);
            println!("again: {outcome}");
        }
        faults.extend(
            outcome
                .faults
                .into_iter()
                .map(|fault| format!("{setup}: {fault}")),
        );
    }
    assert!(faults.is_empty(), "{}:\n{}", attack.name, faults.join("\n"));
}

macro_rules! tests {
    ($($name:ident: $attack:expr,)*) => {
        $(
            #[test]
            fn $name() {
                holds(&$attack);
            }
        )*

        #[test]
        fn every_kind_of_hostile_client_has_a_test() {
            let tested = [$($attack.name),*];
            for attack in attack::ALL {
                assert!(tested.contains(&attack.name), "{}", attack.name);
            }
            assert_eq!(tested.len(), attack::ALL.len());
        }
    };
}

tests! {
    h01_requests_and_bytes_behind_a_stream: behind::REQUESTS_AND_BYTES,
    h01_streams_behind_a_stream: behind::STREAMS,
    h01_bodies_of_endless_chunks: behind::ENDLESS_CHUNKS,
    h01_bodies_of_a_huge_length: behind::HUGE_LENGTH,
    h01_junk_behind_a_stream: behind::JUNK,
    h02_no_token: refused::NO_TOKEN,
    h02_forged_tokens_of_8_kb: refused::FORGED_TOKENS,
    h02_foreign_origins: refused::FOREIGN_ORIGINS,
    h02_foreign_hosts: refused::FOREIGN_HOSTS,
    h02_preflights: refused::PREFLIGHTS,
    h02_head: refused::HEAD,
    h02_t20_ticket_guesses: refused::TICKET_GUESSES,
    h02_tickets_issued: refused::TICKETS_ISSUED,
    h02_reports: refused::REPORTS,
    h02_publishing_without_the_right: refused::PUBLISHING,
    h02_streams_over_the_own_limit: connects::OVER_THE_LIMIT,
    h02_streams_opened_and_cut: connects::STREAMS,
    h02_t08_streams_cut_before_the_answer: connects::STREAMS_UNREAD,
    h03_window_0_on_one_connection: window::CLOSED,
    h03_window_of_a_byte_a_second: window::ONE_BYTE,
    h03_window_0_on_many_connections: window::MANY,
    h04_readers_of_64_kib_now_and_then: slow::STALL_MINUS_ONE,
    h04_d07_readers_of_a_byte_a_second: slow::ONE_BYTE,
    h07_topics_of_60_kb: names::LONG_TOPIC,
    h07_control_characters_in_topics: names::CONTROL_CHARACTERS,
    h07_a_new_topic_for_each_stream: names::MANY_TOPICS,
    h08_rapid_reset: flood::RAPID_RESET,
    h08_ping: flood::PING,
    h08_settings: flood::SETTINGS,
    h08_continuation: flood::CONTINUATION,
    h08_hpack_bomb: flood::HPACK_BOMB,
    h08_header_bomb: refused::HEADER_BOMB,
    h08_empty_data: flood::EMPTY_DATA,
    h08_priority: flood::PRIORITY,
    h08_window_update: flood::WINDOW_UPDATE,
    h09_log_reader_stands_still: attack::LOG_UNREAD,
    d20_slow_heads: slow::HEADS,
    d20_silent_connections: slow::SILENT,
    l15_connects_and_cuts_by_fin: connects::FIN,
    l15_connects_and_cuts_by_rst: connects::RST,
    r11_replay_storm: names::REPLAY_STORM,
}
