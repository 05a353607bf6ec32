//! The copier between the real driver's policy and clients honest and hostile, in the driver's own test
//! world.

#[path = "../../../tests/policy/support/mod.rs"]
#[expect(dead_code, reason = "the driver's tests use the rest")]
mod support;

mod between;
mod driver;
mod hostile;
mod revocation;
mod traffic;
