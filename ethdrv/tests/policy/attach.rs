//! Sessions begin and end.

use abi::cap::Rights;
use dev::Program;
use dev::admin::PortState;
use dev::port::Port;
use dev::refusal::Refusal;
use dev::session::{Session, TransmitSegment};
use dev::statistics::Counter;
use sys::{Cap, Error, Message, Sys};

use crate::support::kernel::{Capability, DRIVER, What};
use crate::support::{OUTSIDE, World, frame, settings};

#[test]
fn a_frame_goes_in_and_a_frame_goes_out() {
    let world = World::new();
    let mut alice = world.attached(1);
    let port = alice.port;
    assert_eq!(world.state(port).state, PortState::Open);
    for length in [14, 60, 64, 127, 128, 129, 1000, 1514] {
        world.inject(frame(port.mac, OUTSIDE, 1, length));
        world.run();
        assert_eq!(alice.receive(), [frame(port.mac, OUTSIDE, 1, length)]);
        assert_eq!(alice.send(&[frame(OUTSIDE, port.mac, 2, length)]), 1);
        world.run();
        assert_eq!(world.wire(), [frame(OUTSIDE, port.mac, 2, length)]);
    }
    assert_eq!(world.counter(port, Counter::ReceivedFrames), 8);
    assert_eq!(world.counter(port, Counter::SentFrames), 8);
    assert_eq!(world.state(port).in_flight, 0);
}

#[test]
fn detaching_leaves_nothing_behind() {
    let world = World::new();
    let port = world.port(settings(1));
    let mut alice = world.client(port, 1000);
    let slots = world.kernel.borrow().slots_taken(DRIVER);
    let before = world.kernel.borrow().banks[alice.bank].bought;
    let driver_bank = world.kernel.borrow().banks[1].bought;
    let mapped = world.kernel.borrow().processes[DRIVER].mapped;
    for _ in 0..3 {
        alice.attach().unwrap();
        assert!(world.kernel.borrow().banks[alice.bank].bought > before);
        let session = alice.session.take().unwrap();
        session.detach(&alice.program);
        let kernel = world.kernel.borrow();
        assert_eq!(kernel.banks[alice.bank].bought, before);
        assert_eq!(kernel.banks[1].bought, driver_bank);
        assert_eq!(kernel.slots_taken(DRIVER), slots);
        assert_eq!(kernel.limbo_frames(), 0);
        assert_eq!(kernel.processes[DRIVER].mapped, mapped);
        drop(kernel);
        assert_eq!(world.state(port).state, PortState::Idle);
    }
}

#[test]
fn attaching_again_replaces_the_session() {
    let world = World::new();
    let mut alice = world.attached(1);
    let slots = world.kernel.borrow().slots_taken(DRIVER);
    let first = world.state(alice.port).session;
    let old = alice.session.take().unwrap();
    alice.attach().unwrap();
    assert_ne!(world.state(alice.port).session, first);
    assert_eq!(world.kernel.borrow().slots_taken(DRIVER), slots);
    // The old session's capability is dead, and stays so.
    assert_eq!(
        old.caps().link.statistics(&alice.program.sys),
        Err(Error::VOID)
    );
    world.inject(frame(alice.port.mac, OUTSIDE, 5, 100));
    world.run();
    assert_eq!(alice.receive().len(), 1);
}

#[test]
fn pitfall_1_the_session_bank_is_opaque_and_the_receive_segment_read_only() {
    let world = World::new();
    let mut alice = world.attached(1);
    let caps = *alice.session().caps();
    let kernel = world.kernel.borrow();
    let Some(What::Bank { bank, rights }) = kernel
        .get(alice.pid, caps.bank.address())
        .map(|cap| cap.what)
    else {
        panic!("no bank");
    };
    assert!(kernel.banks[bank].opaque);
    assert_eq!(kernel.banks[bank].parent, Some(alice.bank));
    assert_eq!(rights, sys::bank::BankRights::DESTROY.bits());
    let segment = kernel.get(alice.pid, caps.segment.address()).unwrap();
    assert_eq!(segment.rights, Rights::READ);
}

#[test]
fn each_bad_offer_is_refused_for_its_own_reason_and_costs_nothing() {
    let world = World::new();
    let port = world.port(settings(1));
    let mut alice = world.client(port, 200);
    let mut victim = world.attached(2);
    let slots = world.kernel.borrow().slots_taken(DRIVER);
    let bought = world.kernel.borrow().banks[alice.bank].bought;
    let driver_bank = world.kernel.borrow().banks[1].bought;
    let full = |what| Capability {
        what,
        rights: Rights::all(),
    };
    // What alice may lay her hands on.
    let receive_segment = {
        let caps = *victim.session().caps();
        world
            .kernel
            .borrow()
            .get(victim.pid, caps.segment.address())
            .unwrap()
    };
    let own_segment = world
        .kernel
        .borrow()
        .get(alice.pid, alice.segment.table().address())
        .unwrap();
    let weak_segment = Capability {
        rights: Rights::READ | Rights::WRITE,
        ..own_segment
    };
    let poor_bank = world.kernel.borrow_mut().sub_bank(0, 5, false).unwrap();
    let dead_bank = world.kernel.borrow_mut().sub_bank(0, 500, false).unwrap();
    world.destroy(dead_bank);
    let bank = full(What::Bank {
        bank: alice.bank,
        rights: 0xff,
    });
    let no_buy_right = full(What::Bank {
        bank: alice.bank,
        rights: sys::bank::BankRights::LIMIT.bits(),
    });
    let of_bank = |bank| full(What::Bank { bank, rights: 0xff });
    let imposter = full(What::Start {
        pid: alice.pid,
        badge: 0x1ff,
    });
    let notify = full(What::Notify {
        pid: alice.pid,
        bit: 1,
    });
    let void = full(What::Resume(u64::MAX));
    type Case = (&'static str, [Capability; 3], [u64; 2], Refusal);
    let cases: [Case; 14] = [
        (
            "imposter",
            [imposter, own_segment, notify],
            [8, 16],
            Refusal::NotABank,
        ),
        (
            "dead bank",
            [of_bank(dead_bank), own_segment, notify],
            [8, 16],
            Refusal::NotABank,
        ),
        (
            "no bank",
            [void, own_segment, notify],
            [8, 16],
            Refusal::NotABank,
        ),
        (
            "bank without buy right",
            [no_buy_right, own_segment, notify],
            [8, 16],
            Refusal::NotABank,
        ),
        (
            "poor bank",
            [of_bank(poor_bank), own_segment, notify],
            [8, 16],
            Refusal::BankTooSmall,
        ),
        (
            "no segment",
            [bank, void, notify],
            [8, 16],
            Refusal::NotASegment,
        ),
        (
            "notify for segment",
            [bank, notify, notify],
            [8, 16],
            Refusal::NotASegment,
        ),
        (
            "somebody's receive segment",
            [bank, receive_segment, notify],
            [8, 16],
            Refusal::SegmentNotPinnable,
        ),
        (
            "segment without pin right",
            [bank, weak_segment, notify],
            [8, 16],
            Refusal::SegmentNotPinnable,
        ),
        (
            "pages missing",
            [bank, own_segment, notify],
            [9, 16],
            Refusal::PageNotPinnable,
        ),
        (
            "no notify",
            [bank, own_segment, void],
            [8, 16],
            Refusal::NotANotify,
        ),
        (
            "segment for notify",
            [bank, own_segment, own_segment],
            [8, 16],
            Refusal::NotANotify,
        ),
        (
            "too few pages",
            [bank, own_segment, notify],
            [1, 16],
            Refusal::PageCount,
        ),
        (
            "too many pages",
            [bank, own_segment, notify],
            [8, 33],
            Refusal::PageCount,
        ),
    ];
    let slots_of_alice = [(); 3].map(|()| alice.program.take_slot().unwrap());
    for (name, caps, counts, refusal) in cases {
        world.advance(1_000_000_000);
        for (slot, capability) in slots_of_alice.iter().zip(caps) {
            world.kernel.borrow_mut().put(alice.pid, *slot, capability);
        }
        let message = Message::new(&[dev::port::on_port::ATTACH, counts[0], counts[1]])
            .with_caps(&slots_of_alice);
        let reply = alice.program.sys.call(alice.capability.address(), &message);
        assert_eq!(reply.words[0], refusal as u64, "{name}");
        assert_eq!(reply.status, refusal.error().0, "{name}");
        let kernel = world.kernel.borrow();
        assert_eq!(kernel.banks[alice.bank].bought, bought, "{name}");
        assert_eq!(kernel.banks[1].bought, driver_bank, "{name}");
        assert_eq!(kernel.slots_taken(DRIVER), slots, "{name}");
        drop(kernel);
        let now = world.state(port);
        assert_eq!(now.state, PortState::Idle, "{name}");
        if name == "poor bank" {
            assert_eq!(now.refusal, Some(Refusal::BankTooSmall));
        }
    }
    world.advance(1_000_000_000);
    alice.attach().unwrap();
    assert_eq!(world.state(port).refusal, None);
}

#[test]
fn a_bank_that_dies_at_any_step_of_attaching_costs_the_driver_nothing() {
    // The driver's own bank and slots, after each possible failure.
    for slots_left in 0..14 {
        let world = World::new();
        let port = world.port(settings(1));
        let mut alice = world.client(port, 1000);
        let slots = world.kernel.borrow().slots_taken(DRIVER);
        let bought = world.kernel.borrow().banks[alice.bank].bought;
        world.kernel.borrow_mut().processes[DRIVER].slots_left = slots_left;
        let result = alice.attach();
        world.kernel.borrow_mut().processes[DRIVER].slots_left = usize::MAX / 2;
        if result.is_err() {
            world.run();
            let kernel = world.kernel.borrow();
            assert_eq!(
                kernel.banks[alice.bank].bought, bought,
                "{slots_left} slots"
            );
            assert_eq!(kernel.slots_taken(DRIVER), slots, "{slots_left} slots");
            assert_eq!(kernel.limbo_frames(), 0);
        } else {
            assert!(slots_left > 4, "{slots_left} slots can't be enough");
        }
    }
}

#[test]
fn the_receive_segment_can_be_no_transmit_segment_not_even_ones_own() {
    let world = World::new();
    let mut alice = world.attached(1);
    let own = alice.session().caps().segment.address();
    let port = world.port(settings(2));
    let mut bob = world.client(port, 1000);
    let stolen = world.kernel.borrow().get(alice.pid, own).unwrap();
    world
        .kernel
        .borrow_mut()
        .put(bob.pid, bob.segment.table().address(), stolen);
    let refused = bob.attach().unwrap_err();
    assert_eq!(refused.refusal, Refusal::SegmentNotPinnable);
}

#[test]
fn attaching_in_a_loop_is_slowed_down() {
    let world = World::new();
    let port = world.port(settings(1));
    let mut alice = world.client(port, 1000);
    let mut refused = 0;
    for _ in 0..20 {
        match alice.attach() {
            Ok(()) => {}
            Err(error) => {
                assert_eq!(error.refusal, Refusal::TooOften);
                refused += 1;
            }
        }
    }
    assert_eq!(refused, 16);
    world.advance(100_000_000);
    alice.attach().unwrap();
}

#[test]
fn asking_for_what_cannot_be_in_a_loop_is_slowed_down_as_well() {
    let world = World::new();
    let port = world.port(settings(1));
    let mut alice = world.client(port, 1000);
    alice.receive_pages = 0;
    let refused: Vec<Refusal> = (0..20)
        .map(|_| alice.attach().unwrap_err().refusal)
        .collect();
    assert!(!refused[..4].contains(&Refusal::TooOften), "{refused:?}");
    assert_eq!(refused[4..], [Refusal::TooOften; 16]);
}

#[test]
fn a_second_attachment_while_one_is_under_way_is_refused() {
    let world = World::new();
    let port = world.port(settings(1));
    let alice = world.client(port, 1000);
    let begin = || {
        let message = Message::new(&[dev::port::on_port::ATTACH, 8, 16]).with_caps(&[
            abi::boot::slot::BANK,
            alice.segment.table().address(),
            alice.notify,
        ]);
        alice
            .program
            .sys
            .begin(alice.capability.address(), &message)
    };
    let [first, second] = [begin(), begin()];
    world.run();
    assert!(alice.program.sys.answer(first).unwrap().ok().is_ok());
    let second = alice.program.sys.answer(second).unwrap();
    assert_eq!(second.words[0], Refusal::Busy as u64);
}

#[test]
fn a_client_without_pages_for_its_transmit_segment_is_told_so() {
    let world = World::new();
    let port = world.port(settings(1));
    let alice = world.client(port, 1000);
    assert!(TransmitSegment::buy(&alice.program, 1).is_err());
    assert!(TransmitSegment::buy(&alice.program, 241).is_err());
    let refused = Session::attach(
        &alice.program,
        Port::at(alice.notify),
        dev::program::BANK,
        &alice.segment,
        16,
        Cap::at(alice.notify),
    );
    assert!(refused.is_err(), "a notification is no port");
}

#[test]
fn who_attaches_often_stands_once_in_the_queue_of_those_whose_pages_are_posted() {
    let world = crate::flip::world();
    // Nothing comes: the device has all the buffers that it takes, and nobody's turn comes.
    let mut alice = world.attached_with(1, crate::flip::FLIP);
    for _ in 0..3 {
        world.advance(1_000_000_000);
        alice.attach().unwrap();
        world.run();
    }
}
