//! What the repository promises of itself.

mod licences;
mod rooms;
