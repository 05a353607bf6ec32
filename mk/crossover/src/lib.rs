//! Copy or flip? What a model says of counted events.
//!
//! Delivering a frame costs events ([`vectors`]), which a bench counts. What a CPU charges for each is
//! a [`profile`], with its doubt and its sources. The arithmetic is the `costmodel` crate's; the
//! [`study`] asks it about every CPU and situation, [`sensitivity`] which prices decide, and
//! [`anchors`] holds it against published figures. docs/crossover.md says how to read the outcome.

#![deny(unsafe_code)]

pub mod anchors;
pub mod chart;
pub mod native;
pub mod nature;
pub mod operations;
pub mod output;
mod page;
pub mod profile;
pub mod report;
pub mod selection;
pub mod sensitivity;
pub mod study;
pub mod table;
pub mod times;
pub mod vectors;
