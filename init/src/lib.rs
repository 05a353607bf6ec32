//! First program: devices, banks, users, supervision, console.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod console;
pub mod manifest;
