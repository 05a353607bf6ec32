//! What happens to DMA and to pins when an aperture, or the process that drives it, goes.

use abi::cap::{Kind, Rights};
use abi::error::{EBADF, EBUSY, EPERM};
use sim::mmu::Access;
use sim::parties::RANGE;
use sim::pci::FUNCTIONS;
use sys::Cap;
use sys::object::{Aperture, DeviceDma, Table};

use crate::aperture::{APERTURE, Setting, setting};
use crate::common::*;

const BOTH: u8 = abi::batch::direction::BOTH;
const CLIENTS: Cap<Table> = cap(FREE + 2);

/// The supervisor's authority over the function, which outlives the driver.
const DMA: Cap<DeviceDma> = cap(FREE + 9);

/// A setting in which the first pages are pinned, each in its slot.
fn pinned(count: u16) -> Setting {
    let set = setting();
    let sys = set.parties.sys(set.driver);
    for n in 0..count {
        APERTURE
            .pin(&sys, n, CLIENTS, n, BOTH)
            .expect("may be pinned");
    }
    let bank = set.parties.bank();
    set.parties
        .copy((set.driver, FREE + 3), (bank, FREE + 9), Rights::FULL);
    set
}

fn is_master(set: &Setting) -> bool {
    set.parties.machine().pci.is_master(FUNCTIONS[0])
}

#[test]
fn an_aperture_that_is_rescinded_stops_its_device_and_keeps_its_pins() {
    let set = pinned(3);
    let bank = set.parties.sys(set.parties.bank());
    let frame = set.parties.processor.frame(set.pages[1]);
    assert!(is_master(&set));
    assert_eq!(set.parties.rescind(&[set.aperture]), [true]);
    assert!(!is_master(&set), "at once");
    assert!(
        !touch(&set.parties, set.driver, 300 << 21, Access::Read),
        "the window is gone"
    );
    set.parties.write_word(frame, 0, 5);
    assert_eq!(set.parties.rescind(&[set.pages[1]]), [true], "still pinned");
    assert_eq!(set.parties.read_word(frame, 0), 5, "and not zeroed");
    assert_eq!(
        DMA.set_master(&bank, true),
        Err(error(EBUSY)),
        "its pins are held"
    );
    assert_eq!(DMA.release(&bank), Ok((3, false)));
    let mut reaped = set.parties.reap();
    assert_eq!(set.parties.read_word(frame, 0), 0);
    reaped.sort();
    let mut expected = [set.aperture, set.pages[1]];
    expected.sort();
    assert_eq!(reaped, expected);
    DMA.set_master(&bank, true).expect("nothing is held");
    assert_eq!(
        set.parties.rescind(&[set.pages[0]]),
        [false],
        "a page with its owner is as before"
    );
}

#[test]
fn an_aperture_without_pins_goes_and_the_device_goes_on() {
    let set = pinned(2);
    let sys = set.parties.sys(set.driver);
    for slot in 0..2 {
        APERTURE.unpin(&sys, slot).expect("pinned");
    }
    assert!(is_master(&set));
    assert_eq!(set.parties.rescind(&[set.aperture]), [false]);
    assert!(is_master(&set));
}

#[test]
fn pitfall_11_pins_are_released_only_once_the_device_is_off() {
    let set = pinned(2);
    let bank = set.parties.sys(set.parties.bank());
    assert_eq!(DMA.release(&bank), Err(error(EBUSY)), "it may still write");
    DMA.set_master(&bank, false)
        .expect("off is always possible");
    assert_eq!(
        DMA.release(&bank),
        Ok((0, false)),
        "a living aperture keeps its pins"
    );
    let info = APERTURE
        .info(&set.parties.sys(set.driver))
        .expect("it lives");
    assert_eq!(info.0, 2);
}

#[test]
fn pins_are_released_in_bounded_pieces() {
    let set = pinned(40);
    let bank = set.parties.sys(set.parties.bank());
    let gone = set.pages[..40].to_vec();
    assert_eq!(set.parties.rescind(&gone), [true; 40]);
    assert_eq!(set.parties.rescind(&[set.aperture]), [true]);
    let (mut released, mut pieces) = (0, 0);
    loop {
        let (count, more) = DMA.release(&bank).expect("the device is off");
        assert!(count <= 16);
        released += count;
        pieces += 1;
        if !more {
            break;
        }
        assert_eq!(DMA.set_master(&bank, true), Err(error(EBUSY)));
    }
    assert_eq!((released, pieces), (40, 3));
    let mut reaped = Vec::new();
    while let Some(some) = Some(set.parties.reap()).filter(|some| !some.is_empty()) {
        reaped.extend(some);
    }
    assert_eq!(reaped.len(), 41);
}

#[test]
fn releasing_one_functions_pins_leaves_the_others() {
    let set = pinned(2);
    let sys = set.parties.sys(set.driver);
    set.parties.buy(set.driver, FREE + 5, Kind::Aperture);
    set.parties.buy(set.driver, FREE + 6, Kind::Table1);
    let all: Cap<DeviceDma> = cap(FREE + 4);
    let (other, second): (Cap<Aperture>, Cap<DeviceDma>) = (cap(FREE + 5), cap(FREE + 7));
    all.function(&sys, FUNCTIONS[1], FREE + 7)
        .expect("it is there");
    other.set_window(&sys, cap(FREE + 6)).expect("empty");
    second.bind(&sys, other).expect("not bound");
    other.pin(&sys, 0, CLIENTS, 5, BOTH).expect("may be pinned");
    let second_aperture = set.parties.named(set.driver, FREE + 5);
    set.parties.rescind(&[set.aperture, second_aperture]);
    let bank = set.parties.sys(set.parties.bank());
    assert_eq!(DMA.release(&bank), Ok((2, false)));
    assert_eq!(set.parties.reap(), [set.aperture]);
    assert_eq!(second.set_master(&sys, true), Err(error(EBUSY)));
    assert_eq!(second.release(&sys), Ok((1, false)));
    assert_eq!(set.parties.reap(), [second_aperture]);
}

#[test]
fn a_driver_that_dies_stops_its_device() {
    let set = pinned(1);
    assert!(is_master(&set));
    set.parties.rescind(&[set.driver.oid()]);
    assert!(!is_master(&set));
    let bank = set.parties.sys(set.parties.bank());
    let (_, state, _) = RANGE.query(&bank, set.aperture.0).expect("in range");
    assert_eq!(state, 1, "the aperture is there as long as its bank wants");
}

#[test]
fn only_an_aperture_that_lives_and_may_be_controlled_is_bound() {
    let set = pinned(0);
    let sys = set.parties.sys(set.driver);
    let (page, aperture, weak) = (FREE + 20, FREE + 21, FREE + 22);
    set.parties.buy(set.driver, page, Kind::Page);
    let oid = set.parties.buy(set.driver, aperture, Kind::Aperture);
    let dma: Cap<DeviceDma> = cap(FREE + 3);
    assert_eq!(dma.bind(&sys, cap(page)), Err(error(EBADF)));
    assert_eq!(dma.bind(&sys, cap(FREE + 23)), Err(sys::Error::VOID));
    ROOT.put(&sys, weak, aperture, Rights::FULL - Rights::CONTROL)
        .expect("a copy");
    assert_eq!(dma.bind(&sys, cap(weak)), Err(error(EPERM)));
    dma.bind(&sys, cap(aperture)).expect("not bound");
    assert_eq!(dma.bind(&sys, cap(aperture)), Err(error(EBUSY)));
    set.parties.rescind(&[oid]);
    assert_eq!(dma.bind(&sys, cap(aperture)), Err(sys::Error::VOID));
}

/// Bus mastering goes through `SET_MASTER` alone: were configuration space a way around it, pins could
/// be released under a device that writes.
#[test]
fn configuration_space_is_no_way_around_the_pins_of_the_dead() {
    let set = pinned(1);
    let bank = set.parties.sys(set.parties.bank());
    DMA.set_master(&bank, true).expect("nothing is dead");
    set.parties.rescind(&[set.aperture]);
    assert!(!is_master(&set));
    for (offset, width, value) in [(4, 1, 0x07), (4, 2, 0x0007), (4, 4, 0xffff_ffff)] {
        DMA.config_write(&bank, offset, width, value)
            .expect("the rest of the register is written");
        assert!(!is_master(&set), "{width} bytes");
    }
    assert_eq!(DMA.set_master(&bank, true), Err(error(EBUSY)));
    assert_eq!(DMA.release(&bank), Ok((1, false)));
    DMA.set_master(&bank, true)
        .expect("nothing is dead any more");
    // Nor is it switched off that way while its driver counts on it.
    for (offset, width) in [(4, 1), (4, 2), (4, 4)] {
        DMA.config_write(&bank, offset, width, 0)
            .expect("the rest of the register is written");
        assert!(is_master(&set), "{width} bytes");
    }
    assert_eq!(DMA.release(&bank), Err(error(EBUSY)));
}

#[test]
fn authority_over_dma_needs_control() {
    let set = pinned(1);
    let sys = set.parties.sys(set.driver);
    ROOT.put(&sys, FREE + 5, FREE + 3, Rights::CONFIGURE)
        .expect("a copy");
    let weak: Cap<DeviceDma> = cap(FREE + 5);
    assert_eq!(weak.set_master(&sys, false), Err(error(EPERM)));
    assert_eq!(weak.release(&sys), Err(error(EPERM)));
    assert_eq!(weak.bind(&sys, APERTURE), Err(error(EPERM)));
    let all: Cap<DeviceDma> = cap(FREE + 4);
    assert_eq!(all.set_master(&sys, false), Err(error(EBADF)));
    assert_eq!(all.release(&sys), Err(error(EBADF)));
    assert_eq!(
        weak.function(&sys, FUNCTIONS[1], FREE + 6),
        Err(error(EPERM))
    );
}
