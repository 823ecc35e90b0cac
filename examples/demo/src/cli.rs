use std::path::PathBuf;

use clap::Parser;

use crate::{config::DEFAULTS, failure::Failure};

/// A guarded, measured event stream, and a page that shows it.
#[derive(Debug, Parser)]
#[command(name = "demo", version, about)]
pub(crate) struct Cli {
    /// The configuration (TOML); without one, the defaults that --print-config shows
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Print the default configuration, to start one's own from, and exit
    #[arg(long)]
    pub(crate) print_config: bool,
}

impl Cli {
    /// The configuration's name, for messages, and its text.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(crate) fn source(&self) -> Result<(String, String), Failure> {
        let Some(path) = &self.config else {
            return Ok(("the defaults".to_owned(), DEFAULTS.to_owned()));
        };
        let name = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => Ok((name, text)),
            Err(error) => Err(Failure::one(format!(
                "cannot read the configuration {name}: {error}"
            ))),
        }
    }
}
