//! Where to look, on standard output: one line for each place, then `ready`. Programs read this.

use std::{
    fmt,
    io::{self, Write},
};

/// The places of one running demo.
pub(crate) struct Places {
    /// The stream's origin, by the address that it listens on.
    pub(crate) origin: String,
    /// The metrics' own origin.
    pub(crate) metrics: Option<String>,
    /// The second origin that the page has.
    pub(crate) foreign: Option<String>,
    /// Whether operators may look at addresses, beside the metrics.
    pub(crate) operators: bool,
    /// What they have to present, if it was made at the start. It stands here and in no log.
    pub(crate) token: Option<String>,
    /// The most series that the metrics can ever have.
    pub(crate) max_series: usize,
}

impl Places {
    /// Prints them. If standard output is closed, the demo continues.
    pub(crate) fn announce(&self) {
        let mut stdout = io::stdout().lock();
        let _ = writeln!(stdout, "{self}ready").and_then(|()| stdout.flush());
    }
}

impl fmt::Display for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            origin,
            metrics,
            foreign,
            operators,
            token,
            max_series,
        } = self;
        let watched = metrics.as_ref().unwrap_or(origin);
        writeln!(f, "page      {origin}/")?;
        writeln!(f, "events    {origin}/events")?;
        writeln!(f, "publish   {origin}/publish")?;
        writeln!(f, "metrics   {watched}/metrics")?;
        if *operators {
            writeln!(f, "operators {watched}/operators")?;
            writeln!(f, "streams   {watched}/operations/")?;
        }
        if let Some(token) = token {
            writeln!(f, "token     {token}")?;
        }
        if let Some(foreign) = foreign {
            writeln!(f, "foreign   {foreign}/")?;
        }
        writeln!(f, "series    {max_series} at most")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_a_word_and_what_it_says() {
        let places = Places {
            origin: "http://127.0.0.1:1".to_owned(),
            metrics: Some("http://127.0.0.1:2".to_owned()),
            foreign: Some("http://127.0.0.1:3".to_owned()),
            operators: true,
            token: Some("0123".to_owned()),
            max_series: 400,
        };
        assert_eq!(
            places.to_string(),
            "page      http://127.0.0.1:1/\n\
             events    http://127.0.0.1:1/events\n\
             publish   http://127.0.0.1:1/publish\n\
             metrics   http://127.0.0.1:2/metrics\n\
             operators http://127.0.0.1:2/operators\n\
             streams   http://127.0.0.1:2/operations/\n\
             token     0123\n\
             foreign   http://127.0.0.1:3/\n\
             series    400 at most\n"
        );
    }
}
