//! Ports: made, looked at, and removed.

use abi::cap::Rights;
use abi::error::ENOENT;
use dev::Program;
use dev::admin::PortState;
use dev::port::Port;
use dev::refusal::Refusal;
use dev::statistics::Counter;
use sys::{Cap, Error, Message, Sys};

use crate::support::kernel::{Capability, DRIVER, What};
use crate::support::{OUTSIDE, World, frame, settings};

#[test]
fn a_removed_port_takes_its_session_along_and_its_capability_is_void() {
    let world = World::new();
    let slots = world.kernel.borrow().slots_taken(DRIVER);
    let mapped = world.kernel.borrow().processes[DRIVER].mapped;
    let mut alice = world.attached(1);
    let port = alice.port;
    world
        .admin
        .remove_port(&world.init.sys, port.number)
        .unwrap();
    assert!(alice.try_receive().is_err());
    assert_eq!(alice.attach().unwrap_err().status, Error::VOID);
    assert_eq!(world.kernel.borrow().slots_taken(DRIVER), slots);
    assert_eq!(world.kernel.borrow().processes[DRIVER].mapped, mapped);
    assert_eq!(
        world.admin.statistics(&world.init.sys, port.number),
        Err(Error::new(ENOENT))
    );
    world.inject(frame(port.mac, OUTSIDE, 1, 60));
    world.run();
    assert_eq!(world.device_counter(Counter::Nobody), 1);
    // Its number and address can be used again; the old capability stays void.
    let bob = world.port(settings(1));
    assert_eq!(bob.number, port.number);
    assert_eq!(alice.attach().unwrap_err().status, Error::VOID);
    let idle = bob.number;
    world.admin.remove_port(&world.init.sys, idle).unwrap();
}

#[test]
fn a_port_is_removed_without_waiting_for_the_end() {
    let world = World::new();
    let mut alice = world.attached(1);
    let port = alice.port;
    for _ in 0..3 {
        // Sending it again does nothing more.
        world.admin.begin_remove_port(&world.init.sys, port.number);
        world.run();
    }
    assert!(alice.try_receive().is_err());
    assert_eq!(alice.attach().unwrap_err().status, Error::VOID);
    let gone = world.admin.statistics(&world.init.sys, port.number);
    assert_eq!(gone, Err(Error::new(ENOENT)));
}

#[test]
fn a_port_can_be_removed_without_waiting_for_a_device_that_hangs() {
    let world = World::new();
    let mut alice = world.attached(1);
    let port = alice.port;
    world.device.borrow_mut().prompt = false;
    alice.send(&[frame(OUTSIDE, port.mac, 1, 1000)]);
    world.run();
    for _ in 0..3 {
        world.admin.begin_remove_port(&world.init.sys, port.number);
        world.run();
        assert_eq!(world.state(port).state, PortState::Closing);
    }
    // Its address is free, though its number is not yet; only init's word counts.
    let other = world.port(settings(1));
    assert_ne!(other.number, port.number);
    let slot = alice.capability.address();
    let message = Message::new(&[dev::admin::method::REMOVE_PORT, other.number]);
    alice.program.sys.send(slot, &message);
    world.run();
    assert_eq!(world.state(other).state, PortState::Idle);
    world.device.borrow_mut().complete();
    world.run();
    let gone = world.admin.inspect(&world.init.sys, port.number, 0);
    assert_eq!(gone, Err(Error::new(ENOENT)));
    let mut bob = world.client(other, 1000);
    bob.attach().unwrap();
    world.inject(frame(other.mac, OUTSIDE, 1, 60));
    world.run();
    assert_eq!(bob.receive().len(), 1);
}

#[test]
fn a_port_removed_while_somebody_attaches_refuses_it() {
    let world = World::new();
    let port = world.port(settings(1));
    let alice = world.client(port, 1000);
    let bought = world.kernel.borrow().banks[alice.bank].bought;
    let message = Message::new(&[dev::port::on_port::ATTACH, 8, 16]).with_caps(&[
        abi::boot::slot::BANK,
        alice.segment.table().address(),
        alice.notify,
    ]);
    let caller = alice
        .program
        .sys
        .begin(alice.capability.address(), &message);
    world.driver.borrow_mut().poll();
    world.driver.borrow_mut().round();
    world
        .admin
        .remove_port(&world.init.sys, port.number)
        .unwrap();
    let reply = alice.program.sys.answer(caller).unwrap();
    assert_eq!(reply.words[0], Refusal::PortRemoved as u64);
    assert_eq!(world.kernel.borrow().banks[alice.bank].bought, bought);
}

#[test]
fn ports_are_checked_when_they_are_made() {
    let world = World::new();
    world.port(settings(1));
    let bad = [
        settings(1),
        dev::settings::PortSettings {
            mac: dev::Mac::new([3, 0, 0, 0, 0, 9]),
            ..settings(9)
        },
        dev::settings::PortSettings {
            mac: dev::Mac::from_word(0),
            ..settings(9)
        },
        dev::settings::PortSettings {
            transmit_pages: 241,
            ..settings(9)
        },
        dev::settings::PortSettings {
            receive_pages: 1,
            ..settings(9)
        },
        dev::settings::PortSettings {
            rate: dev::settings::Rate {
                bytes_per_second: 1,
                burst: 100,
                share: 1,
            },
            ..settings(9)
        },
        dev::settings::PortSettings {
            rate: dev::settings::Rate {
                share: 0,
                ..Default::default()
            },
            ..settings(9)
        },
    ];
    for settings in bad {
        assert!(world.try_port(settings).is_err(), "{settings:?}");
    }
}

#[test]
fn badges_that_were_never_given_are_void() {
    let world = World::new();
    let alice = world.attached(1);
    let slot = alice.program.take_slot().unwrap();
    for badge in [0, 1, 2, 4, 5, 6, 7, u64::MAX, 1 << 16 | 1, 99 << 16 | 2] {
        let what = What::Start { pid: DRIVER, badge };
        let rights = Rights::all();
        world
            .kernel
            .borrow_mut()
            .put(alice.pid, slot, Capability { what, rights });
        let own = Port::at(slot);
        let port_badge = ethdrv::port::port_badge(0, 1);
        if badge != port_badge {
            assert_eq!(
                own.describe(&alice.program.sys).map(|_| ()),
                Err(Error::VOID),
                "{badge:#x}"
            );
        }
    }
}

#[test]
fn init_hears_of_sessions_and_gets_their_banks() {
    let world = World::new();
    let slot = world.init.take_slot().unwrap();
    let what = What::Notify { pid: 1, bit: 3 };
    let rights = Rights::all();
    world
        .kernel
        .borrow_mut()
        .put(1, slot, Capability { what, rights });
    world
        .admin
        .set_notify(&world.init.sys, Cap::at(slot))
        .unwrap();
    let mut alice = world.attached(1);
    assert_eq!(world.kernel.borrow().signals[&(1, 3)], 1);
    let bank = world.init.take_slot().unwrap();
    world
        .admin
        .inspect(&world.init.sys, alice.port.number, bank)
        .unwrap();
    let session_bank: Cap<sys::bank::Bank> = Cap::at(bank);
    session_bank.destroy(&world.init.sys).unwrap();
    assert!(alice.try_receive().is_err());
    world.inject(frame(alice.port.mac, OUTSIDE, 1, 60));
    world.run();
    assert_eq!(world.counter(alice.port, Counter::Revoked), 1);
    assert_eq!(world.kernel.borrow().signals[&(1, 3)], 2);
    // The user's own bank and transmit segment are whole: attaching again works.
    alice.attach().unwrap();
}

#[test]
fn an_aperture_that_the_driver_has_no_slots_for_is_refused_whole() {
    let mut refused = 0;
    for slots_left in 0..4 {
        let world = World::new();
        let taken = world.kernel.borrow().slots_taken(DRIVER);
        let mapped = world.kernel.borrow().processes[DRIVER].mapped;
        world.kernel.borrow_mut().processes[DRIVER].slots_left = slots_left;
        let added = world.try_add_aperture();
        let kernel = world.kernel.borrow();
        let more = if added.is_ok() { 1 } else { 0 };
        refused += 1 - more;
        // A window whose capabilities are not kept would name whatever the next message brings.
        assert_eq!(kernel.processes[DRIVER].mapped, mapped + more);
        assert_eq!(kernel.slots_taken(DRIVER), taken + 2 * more);
    }
    assert!((1..4).contains(&refused));
}

#[test]
fn an_aperture_too_many_leaves_no_slots_taken() {
    let world = World::new();
    let held = |world: &World| {
        let kernel = world.kernel.borrow();
        (kernel.slots_taken(DRIVER), kernel.processes[DRIVER].mapped)
    };
    let mut before = held(&world);
    while world.try_add_aperture().is_ok() {
        before = held(&world);
    }
    assert_eq!(held(&world), before);
}
