//! The hostile clients, each a constant.

pub(crate) mod behind;
pub(crate) mod connects;
pub(crate) mod flood;
pub(crate) mod names;
pub(crate) mod refused;
pub(crate) mod slow;
pub(crate) mod window;

use crate::target::Target;

/// What went wrong, a sentence.
#[derive(Debug)]
pub(crate) enum Fault {
    /// Something took too long: the machine may be the reason.
    Late(String),
    /// No machine is so slow that this may be.
    Wrong(String),
}

impl Fault {
    pub(crate) fn into_text(self) -> String {
        let (Self::Late(text) | Self::Wrong(text)) = self;
        text
    }
}

/// One kind of hostile client.
#[derive(Debug, Clone, Copy)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each says what is looked at beside the rest, and any may come with any"
)]
pub(crate) struct Attack {
    /// What it does, for the table.
    pub(crate) name: &'static str,
    /// Attacks until the target says that it is over; what the client itself saw go wrong.
    pub(crate) run: fn(&Target) -> Vec<Fault>,
    /// Whether the client does nothing once it is set up, so that the server must do nothing too.
    pub(crate) rests: bool,
    /// Whether events are published that it does not take.
    pub(crate) busy: bool,
    /// Whether its connections are those of the streams that it may hold.
    pub(crate) few_sockets: bool,
    /// Whether it is over before the library sees a request: what it costs, it costs in h2.
    pub(crate) below_us: bool,
    /// Whether nobody reads the log meanwhile.
    pub(crate) log_unread: bool,
    /// How many times as long as others it takes to show what it does.
    pub(crate) seconds: f64,
}

impl Attack {
    pub(crate) const fn new(name: &'static str, run: fn(&Target) -> Vec<Fault>) -> Self {
        Self {
            name,
            run,
            rests: false,
            busy: false,
            few_sockets: false,
            below_us: false,
            log_unread: false,
            seconds: 1.0,
        }
    }

    const fn resting(self) -> Self {
        Self {
            rests: true,
            ..self
        }
    }

    const fn busy(self) -> Self {
        Self { busy: true, ..self }
    }

    const fn few_sockets(self) -> Self {
        Self {
            few_sockets: true,
            ..self
        }
    }

    const fn below_us(self) -> Self {
        Self {
            below_us: true,
            ..self
        }
    }

    const fn seconds(self, seconds: f64) -> Self {
        Self { seconds, ..self }
    }
}

/// H09: streams are opened and cut while the log's reader stands still.
pub(crate) const LOG_UNREAD: Attack = Attack {
    name: "streams cut while nobody reads the log",
    log_unread: true,
    seconds: 2.0,
    ..connects::STREAMS
};

/// Every kind.
pub(crate) const ALL: &[Attack] = &[
    behind::REQUESTS_AND_BYTES,
    behind::STREAMS,
    behind::ENDLESS_CHUNKS,
    behind::HUGE_LENGTH,
    behind::JUNK,
    refused::NO_TOKEN,
    refused::FORGED_TOKENS,
    refused::FOREIGN_ORIGINS,
    refused::FOREIGN_HOSTS,
    refused::PREFLIGHTS,
    refused::HEAD,
    refused::TICKET_GUESSES,
    refused::TICKETS_ISSUED,
    refused::REPORTS,
    refused::PUBLISHING,
    refused::HEADER_BOMB,
    connects::OVER_THE_LIMIT,
    connects::STREAMS,
    connects::STREAMS_UNREAD,
    connects::FIN,
    connects::RST,
    window::CLOSED,
    window::ONE_BYTE,
    window::MANY,
    slow::STALL_MINUS_ONE,
    slow::ONE_BYTE,
    slow::HEADS,
    slow::SILENT,
    names::LONG_TOPIC,
    names::CONTROL_CHARACTERS,
    names::MANY_TOPICS,
    names::REPLAY_STORM,
    flood::RAPID_RESET,
    flood::PING,
    flood::SETTINGS,
    flood::CONTINUATION,
    flood::HPACK_BOMB,
    flood::EMPTY_DATA,
    flood::PRIORITY,
    flood::WINDOW_UPDATE,
    LOG_UNREAD,
];
