//! The frames of several topics in the order of their positions: for replay from the log, and for
//! live events from a worker's view (rule 8 of the [hub](super)).

use super::{core::Cursor, log::Frame};

/// What there is at a cursor.
pub(super) enum Next<'a> {
    /// This frame.
    Frame(&'a Frame),
    /// Nothing yet.
    Nothing,
    /// A frame that is no longer kept.
    Lost,
}

/// The next frames that are wanted, up to about this many bytes. The cursors move on, over unwanted
/// frames too. `None`: some frame is lost.
pub(super) fn merge<'a>(
    cursors: &mut [Cursor],
    max_bytes: usize,
    next: impl Fn(&Cursor) -> Next<'a>,
    wanted: impl Fn(&Frame) -> bool,
) -> Option<Vec<Frame>> {
    let mut frames = Vec::new();
    let mut bytes = 0;
    while bytes < max_bytes {
        let mut oldest: Option<(&Frame, &mut Cursor)> = None;
        for cursor in cursors.iter_mut() {
            let frame = match next(cursor) {
                Next::Frame(frame) => frame,
                Next::Nothing => continue,
                Next::Lost => return None,
            };
            let is_oldest = oldest
                .as_ref()
                .is_none_or(|(known, _)| frame.position < known.position);
            if is_oldest {
                oldest = Some((frame, cursor));
            }
        }
        let Some((frame, cursor)) = oldest else { break };
        cursor.next += 1;
        if wanted(frame) {
            bytes += frame.bytes.len();
            frames.push(frame.clone());
        }
    }
    Some(frames)
}
