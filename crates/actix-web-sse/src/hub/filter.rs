//! Which events of its topics a stream wants.

/// What a filter sees of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventHead<'a> {
    /// The event type, if it has one.
    pub name: Option<&'a str>,
    /// The publisher's tag, if it has one.
    pub tag: Option<&'a str>,
}

pub(crate) type Filter = Box<dyn Fn(&EventHead<'_>) -> bool>;
