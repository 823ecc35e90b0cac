//! The body of an event stream, read as browsers read it, with every departure from the format and its position.
//!
//! Parser crates hide what a probe must see: where a line began, what was ignored and why, which line ends were used,
//! when each part came. This reader keeps that, and holds bounded memory whatever the server sends.

mod fault;
mod line;
mod reader;
mod report;
pub(crate) mod timing;

pub use self::{
    fault::{Fault, FaultKind},
    reader::Reader,
    report::{Item, LineEnds, Report, SeenEvent},
    timing::Arrival,
};
