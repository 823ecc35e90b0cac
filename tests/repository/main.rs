//! What the repository guarantees about itself.

mod dependencies;
mod licences;
mod links;
mod tree;
