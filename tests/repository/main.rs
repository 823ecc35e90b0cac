//! What the repository guarantees about itself.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod book;
mod clients;
mod dependencies;
mod licences;
mod links;
mod rooms;
mod tree;
mod workflows;
