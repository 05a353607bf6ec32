//! The driver's policy against a fake device, a small kernel, and clients honest and hostile.

mod support;

mod attach;
mod flip;
mod hostile;
mod multicast;
mod orderly;
mod per_frame;
mod pulse;
mod receive;
mod recovery;
mod revocation;
mod sealed;
mod send;
mod switch;
