//! A client destroys its bank at every instant that there is.

use dev::admin::PortState;
use dev::settings::Pinning;
use dev::statistics::Counter;
use dev::{Mac, Program};

use crate::support::client::Client;
use crate::support::kernel::DRIVER;
use crate::support::{OUTSIDE, World, frame};

/// What the driver does while alice's memory goes, at the `n`-th access to memory that can go.
/// Answers whether the moment came at all.
fn at_access(n: u64, pinning: Pinning, bank_of: impl Fn(&Client, &World) -> usize) -> bool {
    let world = World::new();
    let [mut alice, mut bob] = [1, 2].map(|n| world.attached_pinning(n, pinning));
    let slots = world.kernel.borrow().slots_taken(DRIVER);
    let bank = bank_of(&alice, &world);
    let before = world.kernel.borrow().banks[0].bought;
    // Returns, so that those are taken in too.
    for n in 0..32 {
        world.inject(frame(alice.port.mac, OUTSIDE, n, 1500));
    }
    world.run();
    alice.receive();
    world
        .kernel
        .borrow_mut()
        .at_access(n, move |kernel| kernel.destroy(bank));
    // To alice, from alice, for everybody, and bob's in between.
    let to_bob: Vec<_> = (0..6)
        .map(|n| frame(bob.port.mac, OUTSIDE, n, 400))
        .collect();
    for (n, frame_of_bob) in to_bob.iter().enumerate() {
        world.inject(frame(alice.port.mac, OUTSIDE, n as u32, 1500));
        world.inject(frame_of_bob.clone());
    }
    world.inject(frame(Mac::BROADCAST, OUTSIDE, 7, 100));
    let from_alice = [
        frame(OUTSIDE, alice.port.mac, 1, 60),
        frame(OUTSIDE, alice.port.mac, 2, 1000),
        frame(bob.port.mac, alice.port.mac, 3, 300),
    ];
    {
        // Alice writes her own memory; that is no access of the driver's.
        let trigger = world.kernel.borrow_mut().take_trigger();
        alice.send(&from_alice);
        world.kernel.borrow_mut().put_trigger(trigger);
    }
    let from_bob = frame(OUTSIDE, bob.port.mac, 4, 700);
    {
        let trigger = world.kernel.borrow_mut().take_trigger();
        bob.send(std::slice::from_ref(&from_bob));
        world.kernel.borrow_mut().put_trigger(trigger);
    }
    world.run();
    let came = !world.kernel.borrow().has_trigger();
    world.kernel.borrow_mut().take_trigger();
    // Bob lost nothing, and nothing came twice.
    let got = bob.receive();
    let of_wire: Vec<_> = got
        .iter()
        .filter(|got| got[6..12] == OUTSIDE.bytes())
        .cloned()
        .collect();
    let mut expected = to_bob;
    expected.push(frame(Mac::BROADCAST, OUTSIDE, 7, 100));
    assert_eq!(of_wire, expected, "access {n}");
    // What left is whole, or didn't leave.
    for sent in world.wire() {
        assert!(from_alice.contains(&sent) || sent == from_bob, "access {n}");
    }
    for switched in got.iter().filter(|got| got[6..12] != OUTSIDE.bytes()) {
        assert_eq!(*switched, from_alice[2], "access {n}");
    }
    if came {
        // The rest of alice goes too: nothing of hers stays with the driver.
        world.destroy(alice.bank);
        world.inject(frame(alice.port.mac, OUTSIDE, 0, 60));
        world.run();
        assert_eq!(world.state(alice.port).state, PortState::Idle, "access {n}");
        assert_eq!(world.counter(alice.port, Counter::Revoked), 1, "access {n}");
        let kernel = world.kernel.borrow();
        assert_eq!(kernel.limbo_frames(), 0, "access {n}");
        assert_eq!(
            kernel.slots_taken(DRIVER),
            slots - PER_SESSION - (pinning == Pinning::Frame) as usize,
            "access {n}"
        );
        assert!(kernel.banks[0].bought < before, "access {n}");
        drop(kernel);
        // Bob goes on.
        world.inject(frame(bob.port.mac, OUTSIDE, 9, 64));
        bob.send(std::slice::from_ref(&from_bob));
        world.run();
        assert_eq!(bob.receive().len(), 1);
        assert_eq!(world.wire().pop(), Some(from_bob));
    }
    came
}

/// Slots that a session takes of the driver: its bank, twice, its receive segment, its notification.
const PER_SESSION: usize = 4;

#[test]
fn pitfall_10_the_user_bank_goes_at_every_access() {
    let mut n = 0;
    while at_access(n, Pinning::Session, |alice, _| alice.bank) {
        n += 1;
    }
    assert!(n > 500, "only {n} accesses were seen");
}

#[test]
fn pitfall_10_the_user_bank_goes_at_every_access_of_who_pins_per_frame() {
    let mut n = 0;
    while at_access(n, Pinning::Frame, |alice, _| alice.bank) {
        n += 1;
    }
    assert!(n > 500, "only {n} accesses were seen");
}

#[test]
fn pitfall_10_the_session_bank_goes_at_every_access() {
    let mut n = 0;
    let session_bank = |alice: &Client, world: &World| {
        let kernel = world.kernel.borrow();
        (0..kernel.banks.len())
            .find(|bank| {
                kernel.banks[*bank].parent == Some(alice.bank) && kernel.banks[*bank].alive
            })
            .unwrap()
    };
    while at_access(n, Pinning::Session, session_bank) {
        n += 1;
    }
    assert!(n > 500, "only {n} accesses were seen");
}

#[test]
fn pitfall_10_a_bank_that_goes_between_events_is_noticed_by_its_transmit_pages() {
    let world = World::new();
    let alice = world.attached(1);
    world.destroy(alice.bank);
    assert!(world.kernel.borrow().limbo_frames() > 0);
    // No frame comes: the kernel tells.
    world.run();
    assert_eq!(world.state(alice.port).state, PortState::Idle);
    assert_eq!(world.kernel.borrow().limbo_frames(), 0);
}

#[test]
fn pitfall_9_pins_last_until_the_device_is_done() {
    let world = World::new();
    let mut alice = world.attached(1);
    world.device.borrow_mut().prompt = false;
    let sent: Vec<_> = (0..4)
        .map(|n| frame(OUTSIDE, alice.port.mac, n, 1400))
        .collect();
    alice.send(&sent);
    world.run();
    world.destroy(alice.bank);
    world.run();
    assert_eq!(world.state(alice.port).state, PortState::Closing);
    assert_eq!(world.state(alice.port).in_flight, 4);
    assert!(
        world.device.borrow().interest.transmit,
        "the driver waits for it"
    );
    assert!(world.kernel.borrow().limbo_frames() > 0);
    // What was checked still leaves, whole: its frames are in limbo, not reused.
    for _ in 0..4 {
        world.device.borrow_mut().complete();
        world.run();
    }
    assert_eq!(world.wire(), sent);
    assert_eq!(world.state(alice.port).state, PortState::Idle);
    assert_eq!(world.kernel.borrow().limbo_frames(), 0);
    // From now on nobody waits for frames to leave.
    let mut bob = world.attached(2);
    bob.send(&[frame(OUTSIDE, bob.port.mac, 1, 60)]);
    world.run();
    assert!(!world.device.borrow().interest.transmit);
}

#[test]
fn pitfall_10_a_device_that_hangs_keeps_its_pins_and_stalls_nobody() {
    let world = World::new();
    let mut alice = world.attached(1);
    let mut bob = world.attached(2);
    world.device.borrow_mut().prompt = false;
    alice.send(&[frame(OUTSIDE, alice.port.mac, 0, 1400)]);
    world.run();
    world.destroy(alice.bank);
    for n in 0..10 {
        world.inject(frame(bob.port.mac, OUTSIDE, n, 100));
        world.run();
        assert_eq!(bob.receive().len(), 1);
    }
    assert_eq!(world.state(alice.port).state, PortState::Closing);
    // Attaching waits for the port; it is not refused, and nobody else notices.
    let port = alice.port;
    let mut second = world.client(port, 1000);
    let message = sys::Message::new(&[dev::port::on_port::ATTACH, 8, 16]).with_caps(&[
        abi::boot::slot::BANK,
        second.segment.table().address(),
        second.notify,
    ]);
    let caller = second
        .program
        .sys
        .begin(second.capability.address(), &message);
    world.run();
    assert!(second.program.sys.answer(caller).is_none());
    world.device.borrow_mut().prompt = true;
    world.device.borrow_mut().complete();
    world.run();
    assert!(second.program.sys.answer(caller).unwrap().ok().is_ok());
    assert_eq!(world.state(port).state, PortState::Open);
    let _ = second.attach();
}

#[test]
fn a_bank_that_goes_while_its_owner_attaches_costs_nobody_anything() {
    for rounds in 0..40 {
        let world = World::new();
        let port = crate::support::settings(1);
        let port = world.port(port);
        let alice = world.client(port, 1000);
        let slots = world.kernel.borrow().slots_taken(DRIVER);
        let driver_bank = world.kernel.borrow().banks[1].bought;
        let message = sys::Message::new(&[dev::port::on_port::ATTACH, 8, 16]).with_caps(&[
            abi::boot::slot::BANK,
            alice.segment.table().address(),
            alice.notify,
        ]);
        let caller = alice
            .program
            .sys
            .begin(alice.capability.address(), &message);
        world.driver.borrow_mut().poll();
        for _ in 0..rounds {
            world.driver.borrow_mut().round();
        }
        world.destroy(alice.bank);
        world.run();
        world.inject(frame(port.mac, OUTSIDE, 1, 60));
        world.run();
        assert!(alice.program.sys.answer(caller).is_some());
        assert_eq!(world.state(port).state, PortState::Idle, "{rounds} rounds");
        let kernel = world.kernel.borrow();
        assert_eq!(kernel.slots_taken(DRIVER), slots, "{rounds} rounds");
        assert_eq!(kernel.banks[1].bought, driver_bank, "{rounds} rounds");
        assert_eq!(kernel.limbo_frames(), 0, "{rounds} rounds");
    }
}

#[test]
fn transmit_pages_that_go_while_their_owner_attaches_are_noticed() {
    // The kernel's word of it comes before the next step, or after.
    for (rounds, first) in (0..40).map(|n| (n / 2, n % 2 == 0)) {
        let world = World::new();
        let port = world.port(crate::support::settings(1));
        let alice = world.client(port, 1000);
        // Another bank pays for receiving.
        let other = world.kernel.borrow_mut().sub_bank(0, 500, false).unwrap();
        let payer = alice.program.take_slot().unwrap();
        let capability = crate::support::kernel::Capability {
            what: crate::support::kernel::What::Bank {
                bank: other,
                rights: 0xff,
            },
            rights: abi::cap::Rights::all(),
        };
        world.kernel.borrow_mut().put(alice.pid, payer, capability);
        let message = sys::Message::new(&[dev::port::on_port::ATTACH, 8, 16]).with_caps(&[
            payer,
            alice.segment.table().address(),
            alice.notify,
        ]);
        let caller = alice
            .program
            .sys
            .begin(alice.capability.address(), &message);
        world.driver.borrow_mut().poll();
        for _ in 0..rounds {
            world.driver.borrow_mut().round();
        }
        world.destroy(alice.bank);
        if first {
            world.driver.borrow_mut().poll();
        }
        world.run();
        assert!(alice.program.sys.answer(caller).is_some());
        assert_eq!(world.state(port).state, PortState::Idle, "{rounds} rounds");
        assert_eq!(world.kernel.borrow().limbo_frames(), 0, "{rounds} rounds");
        assert_eq!(
            world.kernel.borrow().banks[other].bought,
            0,
            "{rounds} rounds"
        );
    }
}
