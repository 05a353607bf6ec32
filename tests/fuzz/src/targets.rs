//! The targets, one file each.

pub mod archive;
pub mod boot;
pub mod console;
pub mod frame;
pub mod http;
pub mod image;
pub mod manifest;
pub mod merge;
pub mod queue;
pub mod ring;
pub mod stack;
pub mod study;
