//! The wire contract over plain sockets: what `cargo test` proves with nothing but Rust.
