//! Exchange: two pages swap frames; pins, windows and DMA addresses stay with the frames; whatever is
//! refused leaves everything as it was.

mod batch;

use abi::boot::slot;
use abi::cap::{CapAddr, Kind, Rights};
use abi::error::{EACCES, EBADF, EBUSY, EINVAL, ENODEV, ENOENT, EPERM, OK, VOID};
use abi::method::aperture;
use kernel::frame::Frame;
use kernel::object::Oid;
use sim::mmu::Access;
use sim::parties::Party;
use sim::pci::FUNCTIONS;
use sys::Cap;
use sys::object::{Aperture, CapTable, DeviceDma, Page, Table};

use crate::aperture::{APERTURE, BOTH, Setting, setting};
use crate::common::*;

/// The aperture named through two tables, as the direct path doesn't take it.
const GENERALLY: Cap<Aperture> = cap(slot::ROOT << 7 | APERTURE.address());
/// The two segments, with all that an exchange needs.
const ONE: Cap<Table> = cap(FREE + 10);
const OTHER: Cap<Table> = cap(FREE + 11);
/// A table that holds them, in slots 3 and 4.
const TABLES: Cap<CapTable> = cap(FREE + 12);
const SCRATCH: CapAddr = FREE + 13;

const NEEDED: Rights = Rights::READ.union(Rights::WRITE).union(Rights::MANAGE);

/// Two clients with a segment each, both managed by the driver.
struct Pair {
    set: Setting,
    client: Party,
    segment: Oid,
    pages: Vec<Oid>,
}

fn pair() -> Pair {
    let set = setting();
    let parties = &set.parties;
    parties.audit_each_step(false);
    parties.give(set.driver, ONE.address(), set.segment, Rights::FULL);
    let client = parties.spawn();
    let segment = parties.buy(client, FREE, Kind::Table1);
    parties.give(set.driver, OTHER.address(), segment, Rights::FULL);
    let own: Cap<Table> = cap(FREE);
    let pages = (0..64)
        .map(|n| {
            let page = parties.buy(client, FREE + 1, Kind::Page);
            own.map(&parties.sys(client), n, cap::<Page>(FREE + 1), DATA)
                .expect("empty");
            page
        })
        .collect();
    parties.buy(set.driver, TABLES.address(), Kind::CapTable);
    let sys = parties.sys(set.driver);
    TABLES.put(&sys, 3, ONE.address(), NEEDED).expect("empty");
    TABLES.put(&sys, 4, OTHER.address(), NEEDED).expect("empty");
    parties.audit_each_step(true);
    Pair {
        set,
        client,
        segment,
        pages,
    }
}

impl Pair {
    /// Exchanges, and sees that both paths through the kernel do the same.
    fn exchange(&self, one: (Cap<Table>, u64), other: (Cap<Table>, u64)) -> Result<(), sys::Error> {
        let sys = self.set.parties.sys(self.set.driver);
        let done = APERTURE.exchange(&sys, one, other);
        assert_eq!(GENERALLY.exchange(&sys, one, other), done);
        if done.is_ok() {
            // Now they are back where they were.
            assert_eq!(APERTURE.exchange(&sys, one, other), done);
        }
        done
    }

    fn frame(&self, page: Oid) -> Frame {
        self.set.parties.processor.frame(page)
    }

    /// Every page's frame, to see that nothing changed.
    fn frames(&self) -> Vec<Frame> {
        let all = self.set.pages.iter().chain(&self.pages);
        all.map(|page| self.frame(*page)).collect()
    }

    /// Sees that an exchange is refused, and that nothing changed.
    fn refuses(&self, one: (Cap<Table>, u64), other: (Cap<Table>, u64), why: sys::Error) {
        let before = self.frames();
        assert_eq!(self.exchange(one, other), Err(why));
        assert_eq!(self.exchange(other, one), Err(why), "the other way round");
        assert_eq!(self.frames(), before);
    }

    /// Exchanges a batch; answers the count, or why there is none, and each entry's status.
    fn batch(&self, tables: &[CapAddr], entries: &[[u16; 4]]) -> (Result<u64, u32>, Vec<u32>) {
        let words: Vec<u64> = entries
            .iter()
            .flat_map(|entry| {
                [
                    entry.iter().rev().fold(0, |w, n| w << 16 | u64::from(*n)),
                    99,
                ]
            })
            .collect();
        let parties = &self.set.parties;
        let driver = self.set.driver;
        parties.write_batch(driver, 64, &words);
        let mut caps = vec![slot::MESSAGE];
        caps.extend(tables);
        let words = [aperture::EXCHANGE_BATCH, 64, entries.len() as u64];
        let reply = call(parties, driver, APERTURE.address(), &words, &caps);
        let result = |n| parties.read_batch(driver, 64 + 16 * n + 8) as u32;
        let done = match reply.status {
            OK => Ok(reply.words[0]),
            status => Err(status),
        };
        (done, (0..entries.len()).map(result).collect())
    }
}

#[test]
fn the_pages_swap_frames_and_everything_else_stays() {
    let pair = pair();
    let (parties, set) = (&pair.set.parties, &pair.set);
    let (a, b) = (pair.frame(set.pages[7]), pair.frame(pair.pages[9]));
    parties.write_word(a, 128, 0xaaaa);
    parties.write_word(b, 128, 0xbbbb);
    let address = set.pin(5, 7, BOTH).expect("may be pinned");
    // The driver has both mapped, and has touched them: what the CPU knows must go.
    let sys = parties.sys(set.driver);
    for (n, segment) in [(301, ONE), (302, OTHER)] {
        SPACE.map(&sys, n, segment, DATA).expect("empty");
    }
    let (here, there) = ((301 << 21) + (7 << 12), (302 << 21) + (9 << 12));
    assert_eq!(frame_at(parties, set.driver, here), Some(a));
    assert_eq!(frame_at(parties, set.driver, there), Some(b));
    pair.exchange((ONE, 7), (OTHER, 9))
        .expect("nothing against it");
    parties.check();
    assert_eq!(pair.frame(set.pages[7]), b);
    assert_eq!(pair.frame(pair.pages[9]), a);
    assert_eq!(frame_at(parties, set.driver, here), Some(b));
    assert_eq!(frame_at(parties, set.driver, there), Some(a));
    // The pages' own capabilities find the new contents.
    let word = |party, page| {
        parties.give(party, FREE + 20, page, Rights::FULL);
        cap::<Page>(FREE + 20)
            .read(&parties.sys(party), 128)
            .expect("in the page")[0]
    };
    assert_eq!(word(set.client, set.pages[7]), 0xbbbb);
    assert_eq!(word(pair.client, pair.pages[9]), 0xaaaa);
    // The slot still shows, and pins, the frame that it did.
    assert_eq!(
        frame_at(parties, set.driver, crate::aperture::SEEN + (5 << 12)),
        Some(a)
    );
    assert_eq!(address, a.physical());
    assert!(set.orphans().is_empty());
    // Its owner is the other client now: that one's end is what the slot tells of.
    assert_eq!(parties.rescind(&[set.pages[7]]), [false]);
    assert!(set.orphans().is_empty());
    assert_eq!(parties.rescind(&[pair.pages[9]]), [true]);
    assert_eq!(set.orphans(), [5]);
    assert_eq!(
        parties.read_word(a, 128),
        0xaaaa,
        "kept until it is unpinned"
    );
    set.unpin(5).expect("pinned");
    assert_eq!(parties.reap(), [pair.pages[9]]);
}

#[test]
fn within_a_segment_and_back_again() {
    let pair = pair();
    let before = pair.frames();
    pair.exchange((ONE, 1), (ONE, 2)).expect("two places");
    assert_ne!(pair.frames(), before);
    pair.exchange((ONE, 1), (ONE, 2)).expect("two places");
    assert_eq!(pair.frames(), before);
    pair.set.parties.check();
}

#[test]
fn each_of_many_exchanges_is_forgotten_by_the_cpu() {
    let pair = pair();
    let (parties, driver) = (&pair.set.parties, pair.set.driver);
    let sys = parties.sys(driver);
    let mut seen = Vec::new();
    // Seen nowhere, then at one address each, then one of them at two.
    for mapped in [None, Some((301, ONE)), Some((302, OTHER)), Some((303, ONE))] {
        if let Some((n, segment)) = mapped {
            SPACE.map(&sys, n, segment, DATA).expect("empty");
            let page = match segment == ONE {
                true => (7, pair.set.pages[7]),
                false => (9, pair.pages[9]),
            };
            seen.push(((n << 21) + (page.0 << 12), page.1));
        }
        for _ in 0..4 {
            for (address, page) in &seen {
                assert_eq!(frame_at(parties, driver, *address), Some(pair.frame(*page)));
            }
            let before = pair.frame(pair.set.pages[7]);
            APERTURE
                .exchange(&sys, (ONE, 7), (OTHER, 9))
                .expect("nothing against it");
            assert_eq!(pair.frame(pair.pages[9]), before);
            assert_eq!(parties.machine().mmu.stale(), None);
        }
    }
}

#[test]
fn pitfall_13_a_place_whose_page_was_revoked_is_stale() {
    let pair = pair();
    let parties = &pair.set.parties;
    parties.rescind(&[pair.set.pages[3]]);
    pair.refuses((ONE, 3), (OTHER, 3), error(ENOENT));
    assert_eq!(
        pair.batch(&[TABLES.address()], &[[3, 4, 3, 3], [3, 4, 2, 3]]),
        (Ok(1), vec![errno(ENOENT), OK]),
        "and the next entry is exchanged all the same"
    );
    // So is one in limbo, and one of a segment that is gone.
    pair.set.pin(1, 4, BOTH).expect("may be pinned");
    assert_eq!(parties.rescind(&[pair.set.pages[4]]), [true]);
    pair.refuses((ONE, 4), (OTHER, 4), error(ENOENT));
    parties.rescind(&[pair.segment]);
    pair.refuses((ONE, 5), (OTHER, 5), sys::Error::VOID);
    let refused = pair.batch(&[TABLES.address()], &[[3, 4, 5, 5]]);
    assert_eq!(refused, (Ok(0), vec![VOID]));
}

#[test]
fn pitfall_17_a_frame_that_another_function_pins_is_refused() {
    let pair = pair();
    let (parties, set) = (&pair.set.parties, &pair.set);
    let spy = parties.spawn();
    let sys = parties.sys(spy);
    parties.buy(spy, FREE, Kind::Aperture);
    parties.buy(spy, FREE + 1, Kind::Table1);
    parties.copy_from_init(slot::INIT_DEVICE_DMA, (spy, FREE + 4), Rights::FULL);
    cap::<DeviceDma>(FREE + 4)
        .function(&sys, FUNCTIONS[1], FREE + 3)
        .expect("it is there");
    let own: Cap<Aperture> = cap(FREE);
    own.set_window(&sys, cap(FREE + 1)).expect("empty");
    cap::<DeviceDma>(FREE + 3)
        .bind(&sys, own)
        .expect("not bound");
    let rights = Rights::READ | Rights::WRITE | Rights::PIN;
    parties.give(spy, FREE + 5, set.segment, rights);
    own.pin(&sys, 0, cap(FREE + 5), 7, BOTH)
        .expect("may be pinned");
    pair.refuses((ONE, 7), (OTHER, 7), error(EBUSY));
    pair.refuses((ONE, 7), (ONE, 8), error(EBUSY));
    // Nor beside a pin of the driver's own.
    set.pin(0, 7, BOTH).expect("a second pin");
    pair.refuses((ONE, 7), (OTHER, 7), error(EBUSY));
    own.unpin(&sys, 0).expect("pinned");
    pair.exchange((ONE, 7), (OTHER, 7))
        .expect("only its own pins it");
    // Another aperture of the same function is no obstacle.
    parties.buy(set.driver, SCRATCH, Kind::Aperture);
    parties.buy(set.driver, SCRATCH + 1, Kind::Table1);
    let (second, sys) = (cap::<Aperture>(SCRATCH), parties.sys(set.driver));
    second.set_window(&sys, cap(SCRATCH + 1)).expect("empty");
    cap::<DeviceDma>(FREE + 3)
        .bind(&sys, second)
        .expect("not bound");
    second.pin(&sys, 9, OTHER, 7, BOTH).expect("a second pin");
    pair.exchange((ONE, 7), (OTHER, 7))
        .expect("the same function");
    // What is bound to nothing exchanges nothing.
    parties.buy(set.driver, SCRATCH + 2, Kind::Aperture);
    let unbound = cap::<Aperture>(SCRATCH + 2);
    assert_eq!(
        unbound.exchange(&sys, (ONE, 1), (OTHER, 1)),
        Err(error(ENODEV))
    );
    let caps = [slot::MESSAGE, TABLES.address()];
    let words = [aperture::EXCHANGE_BATCH, 0, 1];
    let status = status_of(parties, set.driver, unbound.address(), &words, &caps);
    assert_eq!(status, errno(ENODEV));
}

#[test]
fn it_grants_nothing_that_copying_would_not() {
    let pair = pair();
    let (parties, set) = (&pair.set.parties, &pair.set);
    let weak: Cap<Table> = cap(SCRATCH);
    for (missing, why) in [
        (Rights::MANAGE, EPERM),
        (Rights::READ, EACCES),
        (Rights::WRITE, EACCES),
    ] {
        parties.give(set.driver, SCRATCH, set.segment, Rights::FULL - missing);
        pair.refuses((weak, 1), (OTHER, 1), error(why));
        let sys = parties.sys(set.driver);
        TABLES.put(&sys, 5, SCRATCH, Rights::FULL).expect("a slot");
        let refused = pair.batch(&[TABLES.address()], &[[5, 4, 1, 1]]);
        assert_eq!(refused, (Ok(0), vec![errno(why)]));
    }
    // A page that its segment's manager may only read is not written by way of an exchange.
    let own: Cap<Table> = cap(FREE);
    let sys = parties.sys(pair.client);
    own.protect(&sys, 2, Rights::READ).expect("mapped");
    pair.refuses((ONE, 2), (OTHER, 2), error(EACCES));
    own.protect(&sys, 3, CODE).expect("mapped");
    pair.refuses((ONE, 3), (OTHER, 3), error(EACCES));
    // The aperture's own right.
    ROOT.put(
        &parties.sys(set.driver),
        SCRATCH,
        APERTURE.address(),
        Rights::FULL - Rights::MANAGE,
    )
    .expect("a copy");
    let weak: Cap<Aperture> = cap(SCRATCH);
    let refused = weak.exchange(&parties.sys(set.driver), (ONE, 1), (OTHER, 1));
    assert_eq!(refused, Err(error(EPERM)));
}

#[test]
fn what_is_no_page_in_a_segment_is_refused() {
    let pair = pair();
    let (parties, set) = (&pair.set.parties, &pair.set);
    pair.refuses((ONE, 64), (OTHER, 1), error(ENOENT));
    pair.refuses((ONE, 512), (OTHER, 1), error(EINVAL));
    pair.refuses((ONE, u64::MAX), (OTHER, 1), error(EINVAL));
    pair.refuses((ONE, 1 << 32), (OTHER, 1), error(EINVAL));
    pair.refuses((ONE, 1), (ONE, 1), error(EINVAL));
    pair.refuses((cap(slot::SPACE), 1), (OTHER, 1), error(EBADF));
    pair.refuses((cap(slot::MESSAGE), 1), (OTHER, 1), error(EBADF));
    pair.refuses((cap(99), 1), (OTHER, 1), sys::Error::VOID);
    // A window shows frames that are at home elsewhere.
    set.pin(0, 7, BOTH).expect("may be pinned");
    pair.refuses((cap(FREE + 1), 0), (OTHER, 1), error(EBADF));
    // Device memory has no frame to swap.
    parties.copy_from_init(
        slot::INIT_DEVICE_MEMORY,
        (set.driver, SCRATCH),
        Rights::FULL,
    );
    let sys = parties.sys(set.driver);
    cap::<sys::object::DeviceMemory>(SCRATCH)
        .narrow(&sys, sim::machine::DEVICE_PAGES[0] << 12, 1, SCRATCH + 1)
        .expect("a device's");
    ONE.map_device(&sys, 100, 1, DATA, 0, cap(SCRATCH + 1))
        .expect("empty");
    pair.refuses((ONE, 100), (OTHER, 1), error(EBADF));
}
