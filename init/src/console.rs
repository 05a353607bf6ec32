//! The console: what is typed, what it asks for, what is shown.
//!
//! - [`key`]: bytes to keys;
//! - [`edit`]: the line being typed, with [`history`];
//! - [`complete`]: completion of words;
//! - [`command`]: a line to a [`command::Command`], with [`near`] words for mistyped ones, and
//!   [`receiving`] and [`injection`], what `strategy` and `inject` take;
//! - [`table`]: how answers look.

pub mod command;
pub mod complete;
pub mod edit;
pub mod history;
pub mod injection;
pub mod key;
pub mod near;
pub mod receiving;
pub mod table;
