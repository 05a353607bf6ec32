//! From which length on `hybrid` flips where nobody names one, and why frames are copied all the same.

use std::cell::Cell;

use abi::cap::{CapAddr, Rights};
use dev::Program;
use dev::hybrid::Choice;
use dev::pool::Pool;
use dev::settings::{OWN_THRESHOLD, Receive};
use dev::statistics::Counter;
use ethdrv::threshold::{PAIRS, measure};
use sys::object::{CapTable, Table};
use sys::{Cap, Error};

use crate::flip::{HYBRID, sealed, warm_up, world};
use crate::support::kernel::What;
use crate::support::program::{FakeMem, FakePlace, FakeProgram, FakeSys, Pump};
use crate::support::{OUTSIDE, World, frame};

const OWN: Receive = Receive {
    threshold: OWN_THRESHOLD,
    ..HYBRID
};

fn chosen(threshold: Option<u16>) -> Choice {
    Choice {
        threshold,
        measured: None,
    }
}

#[test]
fn the_drivers_own_threshold_counts_where_nobody_names_one() {
    let world = world();
    let choice = chosen(Some(700));
    world.driver.borrow_mut().set_hybrid(choice);
    assert_eq!(world.admin.hybrid(&world.init.sys), Ok(choice));
    let mut alice = world.attached_with(1, OWN);
    for n in 0..64 {
        world.inject(frame(alice.port.mac, OUTSIDE, n, 1000));
        world.run();
        alice.receive();
    }
    let count = |world: &World, counter| world.counter(alice.port, counter);
    let before = [Counter::ChoseShort, Counter::InPlace].map(|one| count(&world, one));
    for length in [699, 699, 699, 700, 700] {
        world.inject(frame(alice.port.mac, OUTSIDE, 9, length));
        world.run();
    }
    let after = [Counter::ChoseShort, Counter::InPlace].map(|one| count(&world, one));
    assert_eq!(after, [before[0] + 3, before[1] + 2]);
    // Named at the console, and left open again.
    for (receive, short) in [(HYBRID, 0), (OWN, 1)] {
        let admin = world.admin;
        let switched = admin.set_receive(&world.init.sys, alice.port.number, receive);
        assert_eq!(switched, Ok(()));
        world.run();
        let before = count(&world, Counter::ChoseShort);
        world.inject(frame(alice.port.mac, OUTSIDE, 9, 400));
        world.run();
        assert_eq!(count(&world, Counter::ChoseShort), before + short);
    }
}

#[test]
fn a_driver_that_chose_to_copy_copies_frames_of_any_length() {
    let world = world();
    world.driver.borrow_mut().set_hybrid(chosen(None));
    let mut alice = world.attached_with(1, OWN);
    for n in 0..20 {
        let sent = frame(alice.port.mac, OUTSIDE, n, 1514);
        world.inject(sent.clone());
        world.run();
        assert_eq!(alice.receive(), [sent]);
    }
    assert_eq!(world.counter(alice.port, Counter::ChoseShort), 20);
    assert_eq!(world.counter(alice.port, Counter::Copied), 20);
}

#[test]
fn why_frames_are_copied_is_counted_and_adds_up() {
    let world = world();
    let mut alice = world.attached_with(1, HYBRID);
    let mut bob = world.attached_with(2, sealed(HYBRID));
    warm_up(&world, &mut [&mut alice, &mut bob]);
    let mut short = [0, 0];
    for n in 0..200 {
        // Out of step with the order in which the device has their pages.
        let who = usize::from(n % 5 < 3);
        let client = if who == 0 { &mut alice } else { &mut bob };
        let length = if n % 3 == 0 { 200 } else { 1000 };
        short[who] += u64::from(length == 200);
        world.inject(frame(client.port.mac, OUTSIDE, n, length));
        world.run();
        client.receive();
    }
    for (client, short) in [&alice, &bob].into_iter().zip(short) {
        let count = |counter| world.counter(client.port, counter);
        let reasons = [
            Counter::ChoseShort,
            Counter::ChosePool,
            Counter::ChoseSealed,
            Counter::ChoseScarce,
            Counter::ChoseGoing,
            Counter::ChoseRefused,
        ];
        let sum: u64 = reasons.map(count).iter().sum();
        assert_eq!(sum, count(Counter::Copied));
        assert_eq!(count(Counter::ChoseShort), short);
    }
    // What came for bob in a page that alice sees was copied.
    assert!(world.counter(bob.port, Counter::ChoseSealed) > 0);
    assert_eq!(world.counter(alice.port, Counter::ChoseSealed), 0);
}

/// A program whose clock goes on by so much whenever it is looked at.
struct Ticking(FakeProgram, Cell<u64>, u64);

impl Program for Ticking {
    type Sys = FakeSys;
    type Own = FakeMem;
    type Shared = FakeMem;
    type Place = FakePlace;

    fn sys(&self) -> &FakeSys {
        self.0.sys()
    }
    fn now(&self) -> u64 {
        self.1.set(self.1.get() + self.2);
        self.1.get()
    }
    fn arm(&self, deadline: u64, bit: u64) -> Result<(), Error> {
        self.0.arm(deadline, bit)
    }
    fn map(&self, segment: Cap<Table>, rights: Rights) -> Result<FakePlace, Error> {
        self.0.map(segment, rights)
    }
    fn own(&self, place: &FakePlace) -> FakeMem {
        self.0.own(place)
    }
    fn shared(&self, place: &FakePlace) -> FakeMem {
        self.0.shared(place)
    }
    fn unmap(&self, place: FakePlace) {
        self.0.unmap(place);
    }
    fn take_slot(&self) -> Result<CapAddr, Error> {
        self.0.take_slot()
    }
    fn give_slot(&self, address: CapAddr) {
        self.0.give_slot(address);
    }
    fn table_of(&self, address: CapAddr) -> (Cap<CapTable>, u16) {
        self.0.table_of(address)
    }
    fn batch(&self) -> FakeMem {
        self.0.batch()
    }
}

/// A driver's process with a pool of its own, and its clock.
fn ticking(step: u64, pages: u16) -> (World, Ticking, Pool<Ticking>) {
    let world = World::new();
    let pid = {
        let mut kernel = world.kernel.borrow_mut();
        let bank = kernel.sub_bank(0, 200, false).unwrap();
        kernel.add_process(bank)
    };
    let program = FakeProgram::new(&world.kernel, pid, &Pump::default());
    let program = Ticking(program, Cell::new(0), step);
    let slots = [(); 2].map(|()| program.take_slot().unwrap());
    world.put_aperture(pid, slots);
    let [aperture, window] = slots;
    let pool = Pool::make(&program, Cap::at(aperture), Cap::at(window), pages).unwrap();
    (world, program, pool)
}

#[test]
fn timing_exchanges_pages_and_leaves_them_as_they_were() {
    let (world, program, pool) = ticking(100, 70);
    let places = |world: &World| {
        let kernel = world.kernel.borrow();
        let segment = kernel
            .get(program.0.sys.pid, pool.segment().address())
            .unwrap();
        let What::Object(segment) = segment.what else {
            panic!("not a segment: {segment:?}");
        };
        let frame = |n| kernel.place(segment, n).unwrap().0;
        (0..70).map(frame).collect::<Vec<_>>()
    };
    let before = places(&world);
    let times = measure(&program, &pool, 6).unwrap();
    assert!(world.kernel.borrow().exchanges > 0);
    assert_eq!(places(&world), before);
    assert_eq!(times.exchange, 100 * 1000 / PAIRS as u64);
    assert!(!times.emulated);
}

#[test]
fn a_clock_that_stands_still_and_a_small_pool_tell_nothing() {
    let (_world, program, pool) = ticking(0, 70);
    assert_eq!(measure(&program, &pool, 6), None);
    let (_world, program, pool) = ticking(100, 70);
    assert_eq!(measure(&program, &pool, 7), None);
    assert_eq!(measure(&program, &pool, usize::MAX / 2), None);
}
