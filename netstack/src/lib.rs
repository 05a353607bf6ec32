//! One user's TCP/IP stack.
//!
//! A stack is application code: it runs in the user's own process, on memory bought from the user's
//! own bank, over a session with the ethernet driver, and a user may bring another. This one serves a
//! page about the user, and the classic services that measure a network.
//!
//! From the wire upwards:
//!
//! - [`link`]: the port, as the stack sees it; a trait, so that tests are a wire in memory;
//! - [`packet`], [`extension`], [`fragment`]: a received frame is copied once, summed on the way
//!   ([`checksum`]), and taken apart;
//! - [`node`]: the host on its link: addresses ([`address`]), neighbours ([`neighbor`], [`arp`],
//!   [`ndp`]), routers ([`slaac`]), groups ([`mld`]), and how packets leave ([`header`]);
//! - [`stack`]: the demultiplexer, and everybody's time;
//! - [`icmp`], [`udp`]: answered on the spot;
//! - [`tcp`]: smoltcp's TCP, one socket set a connection, found by its flow;
//! - [`dhcp`]: smoltcp's DHCP client, on an interface of its own;
//! - [`service`]: what is served;
//! - [`session`]: a session with the ethernet driver as a link; [`reattach`]: when it is made anew.
//!
//! What comes from the wire is hostile. Nothing that a peer sends makes the stack panic, take memory
//! beyond [`config::Limits`], or stop serving others; and each connection costs what it costs however
//! many others there are.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod address;
pub mod arp;
pub mod bucket;
pub mod checksum;
pub mod config;
pub mod counters;
pub mod dhcp;
pub mod extension;
pub mod facts;
pub mod fragment;
pub mod hash;
pub mod header;
pub mod icmp;
pub mod link;
pub mod mld;
pub mod ndp;
pub mod neighbor;
pub mod node;
pub mod packet;
pub mod reattach;
pub mod report;
pub mod service;
pub mod session;
pub mod slaac;
pub mod stack;
pub mod tcp;
pub mod text;
pub mod udp;

pub use config::Config;
pub use facts::{BankTotals, Facts};
pub use link::Link;
pub use smoltcp::time::{Duration, Instant};
pub use stack::{Stack, Wake};
