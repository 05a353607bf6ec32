//! spacebank on a fake kernel.

mod fake;
mod world;

mod end;
mod hostile;
mod limbo;
mod model;
mod pitfalls;
mod removal;
mod serve;
mod trade;
mod tree;
mod waiters;
