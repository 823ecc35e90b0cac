//! The command line: `check`, `diff`, `watch`, `tail`, `closes`.

mod cli;

use std::process::ExitCode;

use crate::cli::Command;

fn main() -> ExitCode {
    let cli = cli::parse();
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(why) => {
            anstream::eprintln!("sse-probe: no runtime: {why}");
            return ExitCode::from(2);
        }
    };
    runtime.block_on(async {
        match cli.command {
            Command::Check(args) => cli::check::check(*args).await,
            Command::Diff(args) => cli::check::diff(*args).await,
            Command::Watch(args) => cli::watch::run(args).await,
            Command::Tail(args) => cli::tail::run(*args).await,
            Command::Closes(args) => cli::closes::run(*args).await,
        }
    })
}
