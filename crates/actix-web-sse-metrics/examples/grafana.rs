//! Makes rules, dashboards, manifests and the rest of `grafana/` for settings of one's own:
//!
//! ```sh
//! cargo run -p actix-web-sse-metrics --example grafana -- my-settings.yml my-folder
//! ```
//!
//! `grafana/settings.yml` is what to start from.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what the tests use besides stands in the same files; a program may end with its message"
)]

#[path = "../tests/grafana/board.rs"]
mod board;
#[path = "../tests/grafana/boards/mod.rs"]
mod boards;
#[path = "../tests/grafana/names.rs"]
mod names;
#[path = "../tests/grafana/packaging/mod.rs"]
mod packaging;
#[path = "../tests/grafana/panel.rs"]
mod panel;
#[path = "../tests/grafana/panels.rs"]
mod panels;
#[path = "../tests/grafana/rules/mod.rs"]
mod rules;
#[path = "../tests/grafana/settings.rs"]
mod settings;

use std::{env, fs, path::Path, process::ExitCode};

/// Stands at the head of every file that is generated.
pub const GENERATED: &str = "# Made from settings; do not edit.\n";

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let [settings, folder] = &*arguments else {
        eprintln!("usage: grafana SETTINGS FOLDER; start from grafana/settings.yml");
        return ExitCode::from(2);
    };
    match write(Path::new(settings), Path::new(folder)) {
        Ok(files) => {
            println!("{files} files in {folder}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn write(settings: &Path, folder: &Path) -> Result<usize, String> {
    let shown = settings.display();
    let text = fs::read_to_string(settings).map_err(|why| format!("cannot read {shown}: {why}"))?;
    let settings = settings::Settings::parse(&text).map_err(|why| format!("{shown}: {why}"))?;
    let unknown: Vec<_> = settings
        .regraded()
        .filter(|name| !rules::alerts().iter().any(|alert| alert.name == *name))
        .collect();
    if !unknown.is_empty() {
        return Err(format!(
            "{shown}: severities: there is no alert {}",
            unknown.join(", ")
        ));
    }
    let files = packaging::files(&settings);
    for (name, content) in &files {
        let path = folder.join(name);
        let result = path.parent().map_or(Ok(()), fs::create_dir_all);
        let result = result.and_then(|()| fs::write(&path, content));
        result.map_err(|why| format!("cannot write {}: {why}", path.display()))?;
    }
    Ok(files.len())
}
