//! The driver's policy against a fake device, a small kernel, and clients honest and hostile.

mod support;

mod attach;
mod bound;
mod burst;
mod crowd;
mod fair;
mod flip;
mod flood;
mod hostile;
mod many;
mod multicast;
mod orderly;
mod own;
mod per_frame;
mod ports;
mod pulse;
mod receive;
mod recovery;
mod revocation;
mod sealed;
mod send;
mod storm;
mod switch;
mod threshold;
mod unfit;
