//! The command line: `check`, `diff`, `watch`, `tail`, `closes`.

fn main() -> std::process::ExitCode {
    sse_probe::cli::main()
}
