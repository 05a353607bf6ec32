//! The real [`Program`]: over `user/rt`.

use core::arch::x86_64::__cpuid;

use abi::cap::{CapAddr, Rights};
use rt::clock::Clock;
use rt::shared::Place;
use rt::{Kernel, Mapping, RevocableMapping, message_page, shared, slots};
use sys::object::{CapTable, Table};
use sys::{Cap, Error};

use crate::Program;

/// This program.
#[derive(Debug)]
pub struct This {
    clock: Clock,
}

impl This {
    /// Sets the clock.
    ///
    /// # Errors
    /// The program has no `Clock` capability.
    pub fn new() -> Result<This, Error> {
        Clock::new().map(|clock| This { clock })
    }
}

impl Program for This {
    type Sys = Kernel;
    type Own = Mapping;
    type Shared = RevocableMapping;
    type Place = Place;

    fn sys(&self) -> &Kernel {
        &Kernel
    }

    #[inline]
    fn now(&self) -> u64 {
        self.clock.now()
    }

    fn emulated(&self) -> bool {
        emulated()
    }

    fn arm(&self, deadline: u64, bit: u64) -> Result<(), Error> {
        self.clock.arm(deadline, bit)
    }

    fn map(&self, segment: Cap<Table>, rights: Rights) -> Result<Place, Error> {
        shared::map(segment, rights)
    }

    fn own(&self, place: &Place) -> Mapping {
        place.mapping()
    }

    fn shared(&self, place: &Place) -> RevocableMapping {
        place.revocable()
    }

    fn unmap(&self, place: Place) {
        // An own table can't refuse; if it does, the place stays taken.
        let _ = place.unmap();
    }

    fn take_slot(&self) -> Result<CapAddr, Error> {
        slots::take()
    }

    fn take_segment_slot(&self) -> Result<CapAddr, Error> {
        slots::take_segment()
    }

    fn give_slot(&self, address: CapAddr) {
        slots::give(address);
    }

    fn table_of(&self, address: CapAddr) -> (Cap<CapTable>, u16) {
        slots::table_of(address)
    }

    #[cfg(feature = "count-events")]
    fn doing(&self, activity: crate::Activity) {
        rt::count::zeroing(activity == crate::Activity::Clearing);
    }

    fn batch(&self) -> Mapping {
        message_page::batch()
    }
}

/// Whether the CPU is QEMU's translator, by what hypervisors say of themselves (CPUID 1, ECX bit 31,
/// and leaf 0x4000_0000).
fn emulated() -> bool {
    const HYPERVISORS: u32 = 0x4000_0000;
    if __cpuid(1).ecx >> 31 == 0 {
        return false;
    }
    let leaf = __cpuid(HYPERVISORS);
    [leaf.ebx, leaf.ecx, leaf.edx].map(u32::to_le_bytes) == [*b"TCGT", *b"CGTC", *b"GTCG"]
}
