//! Simulator: the real kernel, the real servers, and clients, in one process of the host.
//!
//! ```text
//! cargo test -p sim                                                      quick campaigns, a few seconds
//! SIM_SEED=17 cargo test -p sim --test simulation storage                one run of them again
//! cargo run -p sim --release -- --count 1000 --steps 1000000             long campaigns
//! cargo run -p sim --release -- --scenario ethernet --seed 17 --trace    one, with all that happens
//! cargo test -p sim --features planted --test planted                    that the checks bite
//! ```
//!
//! A run is decided by its scenario, its seed and its options (steps, parties, audits), and by
//! nothing else. What fails prints the last events, the shortest run found that fails likewise, with
//! as few parties and steps as may be, and the command that plays it again.
//!
//! After each step: one object is audited against everything that it names, its frame looked through
//! for residue if it is free, and each translation that was used compared with the tables. Every 16
//! steps: a piece of an audit that goes on beside everybody's work, as a live system's does. Every few
//! hundred steps: the whole kernel ([`kernel::audit`]), every translation that is remembered, and what
//! the scenario demands (a stack controls nothing of what it receives into, and if it is served by
//! copies or sealed, sees nothing of others' frames there). Now and then between two
//! requests of spacebank's: its books, and each entry against the kernel's row. Always: DMA reaches
//! only what is pinned for the function, registers survive interruptions, what is bought is zeroed,
//! what was taken back is void, frames arrive once, whole and in order, and somebody goes on. At the
//! end of a run that is long enough to come to one: all storage is back.
//!
//! - [`memory`], [`mmu`], [`pci`], [`machine`]: the machine that the kernel runs on, whose tables a
//!   software MMU walks, and whose translation buffer forgets only what it is told to forget;
//! - [`processor`]: the kernel's entries and the registers, as the entry code handles them;
//! - [`parties`]: processes that a test moves by hand, for tests of the kernel alone;
//! - [`image`], [`fiber`]: programs that are Rust functions and can be stopped anywhere;
//! - [`context`], [`region`], [`program`]: what such a program has: `sys::Sys`, `sys::Mem`,
//!   `dev::Program`;
//! - [`world`]: who runs when, what happens between two steps, and what is checked;
//! - [`bank`], [`actor`], [`launch`]: programs;
//! - [`watch`]: that hostile processes come by nothing that isn't theirs;
//! - [`lookup`], [`exchange`]: what an exchange of frames must come to, foretold without the kernel;
//! - [`card`], [`network`], [`guard`]: a network card, what travels, and who may touch it;
//! - [`scenario`], [`shrink`]: what is played, and the shortest run that still fails;
//! - [`trace`], [`failure`]: what happened, and what was found;
//! - [`firmware`]: what loader and firmware leave in memory, for tests of what the kernel makes of it;
//! - [`account`], [`heap`]: what there is of everything, to see that nothing leaks;
//! - [`checks`], [`coverage`]: how often what was checked, and where revocations came;
//! - [`plant`]: faults that are planted, to see that they are found;
//! - `record`: a campaign as lines of JSON, for `cargo mk faults`;
//! - [`random`]: where all decisions come from.

pub mod account;
pub mod actor;
pub mod bank;
pub mod card;
pub mod checks;
pub mod context;
pub mod coverage;
pub mod exchange;
pub mod failure;
pub mod fiber;
pub mod firmware;
pub mod guard;
pub mod heap;
pub mod image;
pub mod launch;
pub mod lookup;
pub mod machine;
pub mod memory;
pub mod mmu;
pub mod network;
pub mod parties;
pub mod pci;
pub mod plant;
pub mod processor;
pub mod program;
pub mod random;
#[cfg(feature = "campaign")]
pub mod record;
pub mod region;
pub mod registers;
pub mod scenario;
pub mod shrink;
pub mod trace;
pub mod watch;
pub mod world;
