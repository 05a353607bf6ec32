//! Apertures: what may be pinned, what the driver sees, and what becomes of frames whose owner goes.

use abi::boot::slot;
use abi::cap::{Kind, Rights};
use abi::error::{EACCES, EBADF, EBUSY, EEXIST, EINVAL, ENODEV, ENOENT, EPERM};
use kernel::frame::Frame;
use kernel::object::Oid;
use sim::mmu::Access;
use sim::parties::{Parties, Party};
use sim::pci::FUNCTIONS;
use sys::Cap;
use sys::object::{Aperture, DeviceDma, Page, Table};

use crate::common::*;

pub const APERTURE: Cap<Aperture> = cap(FREE);
const WINDOW: Cap<Table> = cap(FREE + 1);
const CLIENTS: Cap<Table> = cap(FREE + 2);
const DMA: Cap<DeviceDma> = cap(FREE + 3);

const NONE: u8 = abi::batch::direction::NONE;
const TO: u8 = abi::batch::direction::TO_DEVICE;
const FROM: u8 = abi::batch::direction::FROM_DEVICE;
pub const BOTH: u8 = abi::batch::direction::BOTH;

/// Where the driver sees its window.
pub const SEEN: u64 = 300 << 21;

/// A driver with an aperture, and a segment of a client's with pages in places 0 to 63.
pub struct Setting {
    pub parties: Parties,
    pub driver: Party,
    pub client: Party,
    pub aperture: Oid,
    pub window: Oid,
    pub segment: Oid,
    pub pages: Vec<Oid>,
}

pub fn setting() -> Setting {
    let parties = Parties::new();
    parties.audit_each_step(false);
    let (driver, client) = (parties.spawn(), parties.spawn());
    let sys = parties.sys(driver);
    let aperture = parties.buy(driver, FREE, Kind::Aperture);
    let window = parties.buy(driver, FREE + 1, Kind::Table1);
    parties.copy_from_init(slot::INIT_DEVICE_DMA, (driver, FREE + 4), Rights::FULL);
    cap::<DeviceDma>(FREE + 4)
        .function(&sys, FUNCTIONS[0], FREE + 3)
        .expect("it is there");
    APERTURE.set_window(&sys, WINDOW).expect("an empty segment");
    DMA.bind(&sys, APERTURE).expect("not bound yet");
    SPACE.map(&sys, 300, WINDOW, DATA).expect("empty");
    let segment = parties.buy(client, FREE, Kind::Table1);
    parties.give(
        driver,
        FREE + 2,
        segment,
        Rights::READ | Rights::WRITE | Rights::PIN,
    );
    let pages = (0..64)
        .map(|n| {
            let page = parties.buy(client, FREE + 1, Kind::Page);
            let own: Cap<Table> = cap(FREE);
            own.map(&parties.sys(client), n, cap::<Page>(FREE + 1), DATA)
                .expect("empty");
            page
        })
        .collect();
    DMA.set_master(&parties.sys(driver), true)
        .expect("nothing is dead");
    parties.audit_each_step(true);
    Setting {
        parties,
        driver,
        client,
        aperture,
        window,
        segment,
        pages,
    }
}

impl Setting {
    pub fn pin(&self, slot: u16, place: u16, direction: u8) -> Result<u64, sys::Error> {
        APERTURE.pin(
            &self.parties.sys(self.driver),
            slot,
            CLIENTS,
            place,
            direction,
        )
    }

    pub fn unpin(&self, slot: u16) -> Result<(), sys::Error> {
        APERTURE.unpin(&self.parties.sys(self.driver), slot)
    }

    pub fn frame(&self, page: usize) -> Frame {
        self.parties.processor.frame(self.pages[page])
    }

    pub fn sees(&self, slot: u64, access: Access) -> bool {
        touch(&self.parties, self.driver, SEEN + (slot << 12), access)
    }

    /// Slots that the aperture tells of.
    pub fn orphans(&self) -> Vec<u16> {
        let words = APERTURE
            .limbo(&self.parties.sys(self.driver))
            .expect("it lives");
        let [count, words @ ..] = words;
        (0..count as usize)
            .map(|n| (words[n / 4] >> (16 * (n % 4))) as u16)
            .collect()
    }

    pub fn info(&self) -> (u64, u64, u64) {
        APERTURE
            .info(&self.parties.sys(self.driver))
            .expect("it lives")
    }
}

#[test]
fn a_pin_shows_the_frame_and_tells_its_address() {
    let set = setting();
    let address = set.pin(5, 7, BOTH).expect("may be pinned");
    assert_eq!(address, set.frame(7).physical());
    assert!(set.sees(5, Access::Write));
    assert_eq!(
        frame_at(&set.parties, set.driver, SEEN + (5 << 12)),
        Some(set.frame(7))
    );
    assert_eq!(set.pin(6, 8, NONE), Ok(0), "no direction, no address");
    assert!(set.sees(6, Access::Read));
    assert_eq!(set.info(), (2, 0, u64::from(FUNCTIONS[0]) + 1));
    set.unpin(5).expect("pinned");
    assert!(!set.sees(5, Access::Read));
    assert_eq!(set.unpin(5), Err(error(ENOENT)));
    assert_eq!(set.info().0, 1);
}

#[test]
fn a_window_shows_no_more_than_the_capability_and_the_entry_grant() {
    let set = setting();
    let sys = set.parties.sys(set.driver);
    set.parties.give(
        set.driver,
        FREE + 5,
        set.segment,
        Rights::READ | Rights::PIN,
    );
    let weak: Cap<Table> = cap(FREE + 5);
    assert_eq!(APERTURE.pin(&sys, 0, weak, 0, FROM), Err(error(EACCES)));
    APERTURE
        .pin(&sys, 0, weak, 0, TO)
        .expect("reading is enough");
    assert!(set.sees(0, Access::Read));
    assert!(!set.sees(0, Access::Write));
    // The client's own entry is read-only.
    let own: Cap<Table> = cap(FREE);
    own.protect(&set.parties.sys(set.client), 1, Rights::READ)
        .expect("mapped");
    assert_eq!(set.pin(1, 1, FROM), Err(error(EACCES)));
    set.pin(1, 1, TO).expect("reading is enough");
    assert!(!set.sees(1, Access::Write));
    // Code is never seen as code, nor written.
    own.protect(&set.parties.sys(set.client), 2, CODE)
        .expect("mapped");
    set.pin(2, 2, TO).expect("reading is enough");
    assert!(!set.sees(2, Access::Execute));
}

#[test]
fn a_pin_is_refused_for_every_reason_there_is() {
    let set = setting();
    let sys = set.parties.sys(set.driver);
    assert_eq!(set.pin(512, 0, TO), Err(error(EINVAL)));
    assert_eq!(set.pin(0, 512, TO), Err(error(EINVAL)));
    assert_eq!(set.pin(0, 0, 4), Err(error(EINVAL)));
    for word in [1 << 16, u64::MAX] {
        let words = [abi::method::aperture::PIN, word, 0, 1];
        let status = status_of(&set.parties, set.driver, FREE, &words, &[FREE + 2]);
        assert_eq!(status, errno(EINVAL), "a slot is not cut off to 16 bits");
    }
    assert_eq!(set.pin(0, 64, TO), Err(error(ENOENT)), "nothing is there");
    set.pin(0, 0, TO).expect("may be pinned");
    assert_eq!(set.pin(0, 1, TO), Err(error(EEXIST)));
    set.pin(1, 0, TO).expect("twice");
    assert_eq!(set.pin(2, 0, TO), Err(error(EBUSY)), "not three times");
    set.unpin(0).expect("pinned");
    set.pin(2, 0, TO).expect("twice again");
    set.parties.give(
        set.driver,
        FREE + 5,
        set.segment,
        Rights::FULL - Rights::PIN,
    );
    assert_eq!(
        APERTURE.pin(&sys, 9, cap(FREE + 5), 0, TO),
        Err(error(EACCES))
    );
    assert_eq!(
        APERTURE.pin(&sys, 9, cap(slot::SPACE), 0, TO),
        Err(error(EBADF))
    );
    assert_eq!(
        APERTURE.pin(&sys, 9, WINDOW, 1, TO),
        Err(error(EBADF)),
        "nothing is at home there"
    );
    assert_eq!(APERTURE.pin(&sys, 9, cap(99), 0, TO), Err(sys::Error::VOID));
    ROOT.put(&sys, FREE + 6, FREE, Rights::FULL - Rights::MANAGE)
        .expect("a copy");
    let weak: Cap<Aperture> = cap(FREE + 6);
    assert_eq!(weak.pin(&sys, 9, CLIENTS, 0, TO), Err(error(EPERM)));
    assert_eq!(weak.unpin(&sys, 0), Err(error(EPERM)));
    assert!(weak.info(&sys).is_ok());
    assert_eq!(set.unpin(512), Err(error(EINVAL)));
}

#[test]
fn an_aperture_pins_only_once_it_is_bound_and_has_a_window() {
    let set = setting();
    let sys = set.parties.sys(set.driver);
    set.parties.buy(set.driver, FREE + 5, Kind::Aperture);
    set.parties.buy(set.driver, FREE + 6, Kind::Table1);
    let (other, window): (Cap<Aperture>, Cap<Table>) = (cap(FREE + 5), cap(FREE + 6));
    assert_eq!(other.pin(&sys, 0, CLIENTS, 0, TO), Err(error(ENODEV)));
    other.set_window(&sys, window).expect("an empty segment");
    assert_eq!(other.pin(&sys, 0, CLIENTS, 0, TO), Err(error(ENODEV)));
    DMA.bind(&sys, other).expect("not bound yet");
    assert_eq!(DMA.bind(&sys, other), Err(error(EBUSY)));
    other
        .pin(&sys, 0, CLIENTS, 0, TO)
        .expect("bound, with a window");
    // Binding needs control of both.
    set.parties.buy(set.driver, FREE + 7, Kind::Aperture);
    ROOT.put(&sys, FREE + 7, FREE + 7, Rights::FULL - Rights::CONTROL)
        .expect("its own slot");
    assert_eq!(DMA.bind(&sys, cap(FREE + 7)), Err(error(EPERM)));
    assert_eq!(
        cap::<DeviceDma>(FREE + 4).bind(&sys, cap(FREE + 7)),
        Err(error(EBADF))
    );
}

#[test]
fn a_window_is_an_empty_segment_of_one_aperture() {
    let set = setting();
    let sys = set.parties.sys(set.driver);
    set.parties.buy(set.driver, FREE + 5, Kind::Aperture);
    set.parties.buy(set.driver, FREE + 6, Kind::Table1);
    set.parties.buy(set.driver, FREE + 7, Kind::Page);
    let (other, full): (Cap<Aperture>, Cap<Table>) = (cap(FREE + 5), cap(FREE + 6));
    assert_eq!(
        other.set_window(&sys, WINDOW),
        Err(error(EBUSY)),
        "another's window"
    );
    full.map(&sys, 511, cap::<Page>(FREE + 7), DATA)
        .expect("empty");
    assert_eq!(other.set_window(&sys, full), Err(error(EEXIST)));
    full.unmap(&sys, 511, 1).expect("its own");
    other.set_window(&sys, full).expect("empty again");
    assert_eq!(
        APERTURE.set_window(&sys, full),
        Err(error(EBUSY)),
        "it has one"
    );
    assert_eq!(other.set_window(&sys, cap(slot::SPACE)), Err(error(EBADF)));
}

#[test]
fn a_pin_does_not_hold_a_page_in_its_place() {
    let set = setting();
    let own: Cap<Table> = cap(FREE);
    let sys = set.parties.sys(set.client);
    let address = set.pin(3, 9, BOTH).expect("may be pinned");
    own.unmap(&sys, 9, 1).expect("its own");
    assert!(set.sees(3, Access::Write));
    set.parties
        .give(set.client, FREE + 1, set.pages[9], Rights::FULL);
    own.map(&sys, 100, cap::<Page>(FREE + 1), DATA)
        .expect("it has no home");
    assert_eq!(
        set.pin(4, 100, BOTH),
        Ok(address),
        "the same frame, pinned twice"
    );
    assert!(set.orphans().is_empty(), "it has its owner");
}

#[test]
fn an_aperture_that_holds_nothing_parts_from_its_window() {
    let set = setting();
    let sys = set.parties.sys(set.driver);
    assert_eq!(set.parties.rescind(&[set.aperture]), [false]);
    set.parties.buy(set.driver, FREE + 5, Kind::Page);
    WINDOW
        .map(&sys, 0, cap::<Page>(FREE + 5), DATA)
        .expect("it is a window no longer");
    assert!(!set.sees(0, Access::Read), "and was unmapped");
}

#[test]
fn an_aperture_that_lost_its_window_gets_another_only_once_it_holds_nothing() {
    let set = setting();
    let sys = set.parties.sys(set.driver);
    set.pin(5, 7, BOTH).expect("may be pinned");
    set.parties.rescind(&[set.window]);
    set.parties.buy(set.driver, FREE + 6, Kind::Table1);
    // It wouldn't show what is pinned already.
    assert_eq!(APERTURE.set_window(&sys, cap(FREE + 6)), Err(error(EBUSY)));
    set.unpin(5).expect("pinned");
    APERTURE
        .set_window(&sys, cap(FREE + 6))
        .expect("it holds nothing");
    set.pin(5, 7, BOTH).expect("there is a window again");
}
