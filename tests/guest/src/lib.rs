//! Guest programs of the tests and benches.
#![no_std]
#![forbid(unsafe_code)]
