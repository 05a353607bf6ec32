//! What the driver does when it can't have memory: banks' limits may add up to more than there is.

#[path = "policy/support/mod.rs"]
#[allow(dead_code, reason = "the policy's tests use the rest")]
mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use dev::port::AttachError;
use dev::refusal::Refusal;
use dev::statistics::Counter;

use support::kernel::DRIVER;
use support::{OUTSIDE, World, frame, settings};

thread_local! {
    /// Allocations that fail, by their sizes in bytes.
    static REFUSED: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
    /// How often a list of 16-bit numbers grew: of ports, say.
    static GROWN: Cell<usize> = const { Cell::new(0) };
}

struct Meagre;

// SAFETY: it hands everything on to the system's allocator, or answers that there is no memory.
unsafe impl GlobalAlloc for Meagre {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let (first, last) = REFUSED.get();
        if (first..last).contains(&layout.size()) {
            return core::ptr::null_mut();
        }
        // SAFETY: as promised by the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let (first, last) = REFUSED.get();
        if (first..last).contains(&size) {
            return core::ptr::null_mut();
        }
        if layout.align() == align_of::<u16>() {
            GROWN.set(GROWN.get() + 1);
        }
        // SAFETY: as promised by the caller; it was the system's.
        unsafe { System.realloc(place, layout, size) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: as promised by the caller; it was the system's.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Meagre = Meagre;

/// Pages of alice's: so many that the driver's tables of them have sizes of their own.
const PAGES: u16 = 150;

/// Has alice attach while allocations of these sizes fail; answers why she can't.
fn refusal(sizes: core::ops::Range<usize>) -> Option<Refusal> {
    let world = World::new();
    let mut bob = world.attached(2);
    let port = world.port(dev::settings::PortSettings {
        transmit_pages: PAGES,
        receive_pages: PAGES,
        ..settings(1)
    });
    let mut alice = world.client(port, 1000);
    alice.segment = dev::session::TransmitSegment::buy(&alice.program, PAGES).unwrap();
    alice.receive_pages = PAGES;
    let taken = world.kernel.borrow().slots_taken(DRIVER);
    REFUSED.set((sizes.start, sizes.end));
    let attached = alice.attach();
    REFUSED.set((0, 0));
    let refusal = attached.err().map(|AttachError { refusal, .. }| refusal);
    world.run();
    assert_eq!(
        world.kernel.borrow().slots_taken(DRIVER),
        taken,
        "a slot is lost"
    );
    world.inject(frame(bob.port.mac, OUTSIDE, 1, 100));
    world.run();
    assert_eq!(bob.receive().len(), 1);
    world.advance(1_000_000_000);
    alice.attach().unwrap();
    refusal
}

#[test]
fn who_attaches_when_the_driver_has_no_memory_is_refused_and_the_driver_goes_on() {
    let pages = PAGES as usize;
    // What is noted of pins and transmit pages (16 bytes each), and of receive pages.
    for sizes in [16 * pages..16 * (pages + 4), 2 * pages..2 * pages + 1] {
        assert_eq!(
            refusal(sizes.clone()),
            Some(Refusal::DriverFull),
            "{sizes:?}"
        );
    }
}

#[test]
fn who_subscribes_when_the_driver_has_no_memory_is_refused_and_the_driver_goes_on() {
    let world = World::new();
    let mut alice = world.attached(1);
    let program = alice.program.clone();
    let group = |n: u8| dev::Mac::new([0x33, 0x33, 0, 0, 0, n]);
    REFUSED.set((700, 4096));
    let last = (0..32).find_map(|n| {
        let outcome = alice.session().subscribe(&program, group(n), true);
        outcome.err().map(|error| (n, error))
    });
    REFUSED.set((0, 0));
    let (refused, error) = last.unwrap();
    assert!(error.is(abi::error::ENOMEM), "{error}");
    let sent = frame(group(refused - 1), OUTSIDE, 1, 100);
    world.inject(sent.clone());
    world.run();
    assert_eq!(alice.receive(), [sent]);
    alice
        .session()
        .subscribe(&program, group(refused), true)
        .unwrap();
}

#[test]
fn users_who_are_revoked_together_cost_the_driver_no_memory() {
    let world = World::with_capacity(64);
    world.add_aperture();
    let receive = dev::settings::Receive {
        strategy: dev::settings::Strategy::Flip,
        ..Default::default()
    };
    let mut users: Vec<_> = (1..=2).map(|n| world.attached_with(n, receive)).collect();
    // Until the frames of both lie in slots side by side.
    for n in 0..400 {
        world.inject(frame(users[n % 2].port.mac, OUTSIDE, n as u32, 600));
        world.run();
        users[n % 2].receive();
    }
    for user in &users {
        world.destroy(user.bank);
    }
    world.kernel.borrow_mut().processes[DRIVER]
        .free_slots
        .reserve(1000);
    let before = GROWN.get();
    world.run();
    assert_eq!(GROWN.get() - before, 0);
    for user in &users {
        assert_eq!(world.counter(user.port, Counter::Revoked), 1);
    }
}
