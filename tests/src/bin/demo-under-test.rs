//! The demo as a program of this package, so that its tests can start it.

use std::process::ExitCode;

fn main() -> ExitCode {
    demo::main()
}
