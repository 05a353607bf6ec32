//! The targets, one file each.

pub mod archive;
pub mod boot;
pub mod console;
pub mod frame;
pub mod genesis;
pub mod handover;
pub mod http;
pub mod image;
pub mod manifest;
pub mod merge;
pub mod platform;
pub mod queue;
pub mod ram;
pub mod ring;
pub mod stack;
pub mod study;
