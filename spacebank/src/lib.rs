//! spacebank: sells the machine's storage and takes it back.
//!
//! A *space bank* is an account. Objects are bought from it (`trade`), count against its limit and
//! against those of all its ancestors, and become void when it is destroyed (`end`). An *opaque*
//! bank sells into places of tables only: whoever owns it can take everything back, but can never
//! hold a capability to anything that it sold. That is how a driver buys, out of a client's bank,
//! memory that the client pays for and does not control. The protocol is `sys::bank`'s.
//!
//! # How it is kept
//!
//! - `entry`: sixteen bytes for each object of the machine, in an array that the kernel sizes at
//!   boot; `objects`: the array, and lists through it. Nothing is allocated, ever.
//! - `record`: a bank's limit, totals and lists. A record lies in a page that the bank's *parent*
//!   pays for, mapped where only spacebank reaches it.
//! - `owner`: a bank's serial number says which object holds its record and for the how-manieth time
//!   that object holds one. So a badge leads to its bank in one step, and a dead one never to another.
//! - `ledger`: totals include descendants; limits are checked by one walk to the root.
//! - `kernel`: the few invocations of the kernel. Nothing that a client sent is ever called.
//! - `server`: dispatch; `tree`: making banks, limits, totals, verifying; `trade`; `end`;
//!   `reaper`: what is done unasked; `serve`: the main loop; `audit`: whether the books balance.
//!
//! # What holds
//!
//! - Every request takes bounded time: at most 64 objects, 64 banks, and walks of at most
//!   [`MAX_DEPTH`] steps to the root. The number of objects decides how many steps an end takes, never
//!   anybody's behaviour.
//! - Buying runs nobody else's code and never waits.
//! - A request is done whole or not at all; only an end comes in steps, and what was begun is
//!   finished, by its caller or by the reaper.
//! - free + live + limbo = all, at every instant between requests.
//! - Words, badges and capabilities of clients are checked before use; each refusal has a type
//!   ([`Refusal`]). Nothing that a client sends makes it panic.
//!
//! # What is trusted
//!
//! The kernel: what `Range` answers is believed, with one exception on the safe side (an unknown
//! result of a rescind counts as limbo). Whoever holds the prime bank (init), to the extent of all
//! storage; even so it gets no capability to what spacebank itself is made of.
#![no_std]
#![forbid(unsafe_code)]

mod audit;
mod end;
mod entry;
mod kernel;
mod ledger;
mod objects;
mod owner;
mod reaper;
mod record;
mod refusal;
mod serve;
mod server;
mod trade;
mod tree;
mod waiters;

pub use audit::{Census, Unsound};
pub use end::{STEP_BANKS, STEP_OBJECTS, STEP_PIECES};
pub use entry::{Entry, MAX_OBJECTS, State};
pub use kernel::{ANSWER, ARGUMENT, BRANCH_WAITERS, CALLER, NOTIFY, WAITER_SLOTS, WAITERS};
pub use ledger::MAX_DEPTH;
pub use owner::{Owner, Serial};
pub use reaper::UNFINISHED;
pub use record::{Record, Records};
pub use refusal::Refusal;
pub use serve::{ALARM_BIT, LIMBO_BIT, PATIENCE, PAUSE};
pub use server::{Answer, Server, StartError};
