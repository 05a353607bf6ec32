//! The shared ethernet driver: policy.
//!
//! The driver takes every client for hostile. It is generic over the device ([`transport`]), over
//! the kernel and over each access to shared memory, so that all of it runs on the host.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod transport;
