//! Fuzz targets: everything that takes apart what strangers wrote.
//!
//! A [`Target`] is a function over bytes that must come back, whatever they are. libFuzzer calls it with
//! bytes that it changes so that more of the code is reached (`cargo mk faults --level fuzz`); the tests
//! of this crate call it with the same seeds, with each of them changed in many ways, and with what
//! is stored in `corpus/TARGET`: everything that ever made a target fail.
#![forbid(unsafe_code)]

mod input;
mod targets;

pub use input::Input;

/// Something that takes bytes apart.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name.
    pub name: &'static str,
    /// What strangers it is about.
    pub about: &'static str,
    /// Takes bytes apart. It panics if something is wrong.
    pub run: fn(&[u8]),
    /// Bytes that mean something.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All targets.
pub const TARGETS: &[Target] = &[
    targets::frame::TARGET,
    targets::merge::TARGET,
    targets::stack::TARGET,
    targets::http::TARGET,
    targets::queue::TARGET,
    targets::ring::TARGET,
    targets::manifest::TARGET,
    targets::console::TARGET,
    targets::archive::TARGET,
    targets::boot::TARGET,
    targets::image::TARGET,
    targets::platform::TARGET,
    targets::handover::TARGET,
    targets::ram::TARGET,
    targets::genesis::TARGET,
    targets::study::TARGET,
];

impl Target {
    /// The target with this name.
    pub fn named(name: &str) -> Option<&'static Target> {
        TARGETS.iter().find(|target| target.name == name)
    }
}
