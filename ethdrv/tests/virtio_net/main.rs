//! The virtio-net transport against a device's registers and queues, well and ill.

mod card;
mod failure;
mod filter;
mod merge;
mod receive;
mod setup;
mod transmit;
