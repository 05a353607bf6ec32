//! What the tests share.

use abi::boot::layout;
use abi::cap::{CapAddr, Kind, Rights};
use abi::error::{self, OK, Status};
use abi::{PAGE_SIZE, SEGMENT_SIZE};
use kernel::object::Oid;
use sim::mmu::{Access, Reached};
use sim::parties::{Parties, Party};
use sys::object::{CapTable, Page, Process, Table};
use sys::{Cap, Error, Message, Reply, Sys};

/// First slot that tests use as they like.
pub const FREE: CapAddr = 40;

/// An errno value as a status.
pub const fn errno(value: i32) -> Status {
    error::status(value)
}

/// An errno value as an error.
pub const fn error(value: i32) -> Error {
    Error::new(value)
}

/// The typed capability at an address.
pub const fn cap<T>(address: CapAddr) -> Cap<T> {
    Cap::at(address)
}

pub const ROOT: Cap<CapTable> = Cap::at(abi::boot::slot::ROOT);
pub const PROCESS: Cap<Process> = Cap::at(abi::boot::slot::PROCESS);
pub const SPACE: Cap<Table> = Cap::at(abi::boot::slot::SPACE);
pub const MESSAGE: Cap<Page> = Cap::at(abi::boot::slot::MESSAGE);
pub const SEGMENT: Cap<Table> = Cap::at(sim::parties::SEGMENT);

pub const DATA: Rights = Rights::READ.union(Rights::WRITE);
pub const CODE: Rights = Rights::READ.union(Rights::EXEC);

/// Calls with words and capabilities; answers what came back.
pub fn call(parties: &Parties, party: Party, to: CapAddr, words: &[u64], caps: &[u16]) -> Reply {
    let message = Message::new(words).with_caps(caps);
    parties.sys(party).call(to, &message)
}

/// The status of a call.
pub fn status_of(
    parties: &Parties,
    party: Party,
    to: CapAddr,
    words: &[u64],
    caps: &[u16],
) -> Status {
    call(parties, party, to, words, caps).status
}

/// Whether a capability is void to its holder.
pub fn is_void(parties: &Parties, party: Party, address: CapAddr) -> bool {
    status_of(parties, party, address, &[0xffff], &[]) == error::VOID
}

/// Address of a place in the segment at `layout::START`.
pub const fn address_of(place: u64) -> u64 {
    layout::START + place * PAGE_SIZE as u64
}

/// Address of a place in the n-th segment after it.
pub const fn address_in(segment: u64, place: u64) -> u64 {
    address_of(place) + segment * SEGMENT_SIZE as u64
}

/// The party touches an address; answers whether it could.
pub fn touch(parties: &Parties, party: Party, address: u64, access: Access) -> bool {
    parties.run(party);
    let reached = parties.processor.reach(address, access);
    assert_eq!(
        parties.machine().mmu.stale(),
        None,
        "{address:#x} was taken back"
    );
    reached.is_ok()
}

/// The frame that an address reaches for reading.
pub fn frame_at(parties: &Parties, party: Party, address: u64) -> Option<kernel::frame::Frame> {
    parties.run(party);
    match parties.processor.reach(address, Access::Read) {
        Ok(Reached::Ram(frame, _)) => Some(frame),
        _ => None,
    }
}

/// Buys a page for a party and maps it at a place of its segment.
pub fn page_at(parties: &Parties, party: Party, place: u64, rights: Rights) -> Oid {
    let scratch = 120;
    let oid = parties.buy(party, scratch, Kind::Page);
    let sys = parties.sys(party);
    SEGMENT
        .map(&sys, place, cap::<Page>(scratch), rights)
        .expect("the place is empty");
    oid
}

/// Makes a `Start` of one party and gives it to another.
pub fn start_of(parties: &Parties, server: Party, badge: u64, client: Party, address: CapAddr) {
    const SCRATCH: CapAddr = 121;
    PROCESS
        .make_start(&parties.sys(server), badge, SCRATCH)
        .expect("its own process");
    parties.copy((server, SCRATCH), (client, address), Rights::FULL);
}

/// Makes a `Notify` of one party and gives it to another.
pub fn notify_of(parties: &Parties, whom: Party, bit: u64, holder: Party, address: CapAddr) {
    const SCRATCH: CapAddr = 122;
    PROCESS
        .make_notify(&parties.sys(whom), bit, SCRATCH)
        .expect("its own process");
    parties.copy((whom, SCRATCH), (holder, address), Rights::FULL);
}

/// Panics unless the status is success.
pub fn succeeds(status: Status) {
    assert_eq!(status, OK, "{}", error::explain(status));
}
