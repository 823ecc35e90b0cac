//! `cargo run --release -p demo`, and look at <http://localhost:8080>.

use std::process::ExitCode;

fn main() -> ExitCode {
    demo::main()
}
