//! Frames both ways, and what the stack is told.

use abi::PAGE_SIZE;
use abi::cap::Rights;
use dev::layout::{FIRST_TRANSMIT_PAGE, MORE};
use dev::refusal::Refusal;
use dev::statistics::Counter;
use dev::{Mac, Program};
use ring::Descriptor;
use sys::Cap;

use crate::between::Between;
use crate::support::kernel::{INIT, Object, What};
use crate::support::{OUTSIDE, World, frame, mac, settings};

#[test]
fn a_port_through_the_copier_is_the_same_port() {
    let mut between = Between::new(World::new(), settings(1));
    let described = between
        .stack
        .capability
        .describe(&between.stack.program.sys)
        .unwrap();
    let directly = between.port.capability.describe(&between.world.init.sys);
    assert_eq!(Ok(described), directly);
    between.stack.attach().unwrap();
    let session = between.stack.session();
    assert_eq!(session.mac(), mac(1));
    assert_eq!(session.frame_limit(), described.frame_limit);
    assert_eq!(session.receive_pages(), 16);
}

#[test]
fn frames_go_both_ways_whole_and_in_order() {
    let mut between = Between::attached();
    for round in 0..40 {
        let coming: Vec<_> = (0..20)
            .map(|n| frame(mac(1), OUTSIDE, round * 100 + n, 60 + (n as usize * 75)))
            .collect();
        coming.iter().cloned().for_each(|f| between.world.inject(f));
        between.run();
        assert_eq!(between.stack.receive(), coming);
        let going: Vec<_> = (0..8)
            .map(|n| frame(OUTSIDE, mac(1), round * 100 + n, 60 + (n as usize * 200)))
            .collect();
        assert_eq!(between.stack.send(&going), 8);
        between.run();
        assert_eq!(between.world.wire(), going);
    }
    let counters = {
        let program = between.stack.program.clone();
        between.stack.session().statistics(&program).unwrap()
    };
    assert_eq!(counters.get(Counter::ReceivedFrames), 800);
    assert_eq!(counters.get(Counter::SentFrames), 320);
    assert_eq!(counters.get(Counter::NoPage), 0);
}

#[test]
fn the_driver_pins_nothing_of_the_stacks() {
    let between = Between::attached();
    let kernel = between.world.kernel.borrow();
    let pins_of = |bank: usize| -> u32 {
        let pages = kernel.banks[bank].sold.iter();
        pages
            .filter_map(|oid| match kernel.objects[*oid] {
                Some(Object::Page { frame }) => Some(kernel.frames[frame].pins),
                _ => None,
            })
            .sum()
    };
    assert_eq!(pins_of(between.stack.bank), 0);
    drop(kernel);
    let session = between.session_bank(between.stack.bank).unwrap();
    let kernel = between.world.kernel.borrow();
    let pages = kernel.banks[session].sold.iter();
    for oid in pages {
        if let Some(Object::Page { frame }) = kernel.objects[*oid] {
            assert_eq!(kernel.frames[frame].pins, 0);
        }
    }
    let own: Vec<_> = kernel.banks[between.bank].sold.clone();
    let pinned = own.iter().filter(|oid| match kernel.objects[**oid] {
        Some(Object::Page { frame }) => kernel.frames[frame].pins > 0,
        _ => false,
    });
    // Rings and transmit pages of the copier's own.
    assert_eq!(pinned.count(), FIRST_TRANSMIT_PAGE as usize + 32);
}

#[test]
fn a_frame_of_several_pages_comes_whole() {
    let mut between = Between::new(World::with(64, 9014), settings(1));
    between.stack.attach().unwrap();
    for length in [4096, 4097, 8192, 9014, 60, 9014] {
        let coming = frame(mac(1), OUTSIDE, length as u32, length);
        between.world.inject(coming.clone());
        between.run();
        assert_eq!(between.stack.receive(), [coming], "{length} bytes");
    }
}

#[test]
fn a_frame_of_several_pieces_is_put_together() {
    let mut between = Between::attached();
    let going = frame(OUTSIDE, mac(1), 7, 1000);
    let first = between.stack.fill(0, PAGE_SIZE - 600, &going[..600]);
    let last = between.stack.fill(5, 64, &going[600..]);
    for _ in 0..200 {
        between.stack.transmit_raw_all(&[
            Descriptor {
                flags: MORE,
                ..first
            },
            last,
        ]);
        between.run();
        assert_eq!(between.world.wire(), std::slice::from_ref(&going));
    }
    assert_eq!(between.counter(Counter::Misbehaved), 0);
}

#[test]
fn a_frame_longer_than_any_is_dropped_and_counted() {
    let mut between = Between::attached();
    let whole = between.stack.fill(0, 0, &[1; PAGE_SIZE]);
    between.stack.transmit_raw_all(&[
        Descriptor {
            flags: MORE,
            ..whole
        },
        whole,
    ]);
    let going = frame(OUTSIDE, mac(1), 7, 100);
    let short = between.stack.fill(1, 0, &going);
    between.stack.transmit_raw_all(&[short]);
    between.run();
    assert_eq!(between.world.wire(), [going]);
    assert_eq!(between.counter(Counter::TooLong), 1);
}

#[test]
fn pitfall_21_a_stack_that_takes_nothing_loses_its_own_frames_and_stops_nobody() {
    let mut between = Between::attached();
    for n in 0..1000 {
        between.world.inject(frame(mac(1), OUTSIDE, n, 1500));
        between.run();
    }
    let dropped = between.counter(Counter::NoPage) + between.counter(Counter::RingFull);
    assert_eq!(dropped + between.stack.receive().len() as u64, 1000);
    assert!(dropped > 900);
    // The driver got its pages back: what it dropped is nothing.
    let counters = between.world.counters(between.port);
    assert_eq!(counters.get(Counter::NoPage), 0);
    assert_eq!(counters.get(Counter::ReceivedFrames), 1000);
    let shown = {
        let program = between.stack.program.clone();
        between.stack.session().statistics(&program).unwrap()
    };
    let shown = shown.get(Counter::NoPage) + shown.get(Counter::RingFull);
    assert_eq!(shown, dropped, "and the stack is told");
    // And goes on.
    between.run();
    between.world.inject(frame(mac(1), OUTSIDE, 1, 1500));
    between.run();
    assert_eq!(between.stack.receive().len(), 1);
}

#[test]
fn what_the_driver_has_no_room_for_waits_in_the_stacks_ring() {
    let mut between = Between::attached();
    between.world.device.borrow_mut().prompt = false;
    let mut sent = Vec::new();
    // More than driver and copier take: until the stack itself has no room.
    for n in 0..400 {
        let going = frame(OUTSIDE, mac(1), n, 1400);
        if between.stack.send(std::slice::from_ref(&going)) == 1 {
            sent.push(going);
        }
        between.run();
    }
    assert!(sent.len() < 400);
    between.world.device.borrow_mut().prompt = true;
    let mut left = Vec::new();
    for _ in 0..20 {
        while between.world.device.borrow_mut().complete() {}
        between.run();
        left.extend(between.world.wire());
    }
    assert_eq!(left, sent);
}

#[test]
fn groups_are_the_drivers_business() {
    let mut between = Between::attached();
    let group = Mac::new([0x33, 0x33, 0, 0, 0, 1]);
    let coming = frame(group, OUTSIDE, 3, 100);
    let everybody = frame(Mac::BROADCAST, OUTSIDE, 4, 100);
    let program = between.stack.program.clone();
    between.world.inject(coming.clone());
    between.world.inject(everybody.clone());
    between.run();
    assert_eq!(between.stack.receive(), [everybody]);
    let session = between.stack.session();
    session.subscribe(&program, group, true).unwrap();
    session.subscribe(&program, group, true).unwrap();
    between.world.inject(coming.clone());
    between.run();
    assert_eq!(between.stack.receive(), std::slice::from_ref(&coming));
    let session = between.stack.session();
    session.subscribe(&program, group, false).unwrap();
    assert!(session.subscribe(&program, group, false).is_err());
    assert!(session.subscribe(&program, mac(9), true).is_err());
    between.world.inject(coming);
    between.run();
    assert!(between.stack.receive().is_empty());
}

#[test]
fn detaching_gives_everything_back() {
    let mut between = Between::new(World::new(), settings(1));
    let before = [between.bank, between.stack.bank].map(|bank| between.bought(bank));
    let stack_slots = between.stack.program.clone();
    let kernel = between.world.kernel.clone();
    let slots = kernel.borrow().slots_taken(between.stack.pid);
    for _ in 0..5 {
        between.stack.attach().unwrap();
        assert!(between.bought(between.stack.bank) > before[1]);
        let session = between.stack.session.take().unwrap();
        session.detach(&stack_slots);
        assert_eq!(between.taken(), between.idle);
        assert_eq!(kernel.borrow().slots_taken(between.stack.pid), slots);
        assert_eq!(
            [between.bank, between.stack.bank].map(|bank| between.bought(bank)),
            before
        );
        between.world.advance(1_000_000_000);
    }
    assert_eq!(kernel.borrow().limbo_frames(), 0);
}

#[test]
fn attaching_again_replaces_the_session() {
    let mut between = Between::attached();
    let old = between.stack.session.take().unwrap();
    between.stack.attach().unwrap();
    assert!(old.statistics(&between.stack.program).is_err());
    let coming = frame(mac(1), OUTSIDE, 1, 700);
    between.world.inject(coming.clone());
    between.run();
    assert_eq!(between.stack.receive(), [coming]);
}

#[test]
fn what_is_refused_says_why() {
    let mut between = Between::new(World::new(), settings(1));
    let (pid, kernel) = (between.stack.pid, between.world.kernel.clone());
    let refusal = |between: &mut Between| {
        let error = between.stack.attach().unwrap_err();
        assert_eq!(between.taken(), between.idle, "{error}");
        between.world.advance(1_000_000_000);
        error.refusal
    };
    between.stack.receive_pages = 33;
    assert_eq!(refusal(&mut between), Refusal::PageCount);
    between.stack.receive_pages = 16;
    // The bank can't pay.
    kernel.borrow_mut().banks[between.stack.bank].limit = 20;
    assert_eq!(refusal(&mut between), Refusal::BankTooSmall);
    kernel.borrow_mut().banks[between.stack.bank].limit = 1000;
    // The copier's can't.
    kernel.borrow_mut().banks[between.bank].limit = between.bought(between.bank) + 5;
    assert_eq!(refusal(&mut between), Refusal::BankTooSmall);
    kernel.borrow_mut().banks[between.bank].limit = 1000;
    // A page of the transmit segment is missing.
    let table = between.stack.segment.table();
    let page = FIRST_TRANSMIT_PAGE as u16 + 7;
    let Some(What::Object(segment)) = kernel
        .borrow()
        .get(pid, table.address())
        .map(|cap| cap.what)
    else {
        panic!("the stack has its segment");
    };
    let entry = match &mut kernel.borrow_mut().objects[segment] {
        Some(Object::Segment { entries, .. }) => entries.remove(&page).unwrap(),
        _ => unreachable!(),
    };
    assert_eq!(refusal(&mut between), Refusal::PageNotPinnable);
    if let Some(Object::Segment { entries, .. }) = &mut kernel.borrow_mut().objects[segment] {
        entries.insert(page, entry);
    }
    // Too often, says the driver, and the copier after it.
    while let Ok(()) = between.stack.attach() {}
    let error = between.stack.attach().unwrap_err();
    assert_eq!(error.refusal, Refusal::TooOften);
    assert_eq!(between.taken(), between.idle);
}

#[test]
fn pitfall_1_a_bank_or_a_segment_that_is_none_is_refused() {
    use dev::port::{Into, Link, Offer};
    let between = Between::new(World::new(), settings(1));
    let stack = &between.stack;
    let sys = &stack.program.sys;
    let [a, b, c, d, weak] = [(); 5].map(|()| stack.program.take_slot().unwrap());
    let into = Into {
        segment: Cap::at(a),
        link: Link::at(b),
        kick: Cap::at(c),
        bank: Cap::at(d),
    };
    let offer = Offer {
        bank: dev::program::BANK,
        segment: stack.segment.table(),
        notify: Cap::at(stack.notify),
        transmit_pages: 8,
        receive_pages: 8,
    };
    let refused = |offer: Offer| {
        let refused = stack.capability.attach(sys, &offer, &into).unwrap_err();
        assert_eq!(between.taken(), between.idle);
        refused.refusal
    };
    let notify = stack.notify;
    assert_eq!(
        refused(Offer {
            bank: Cap::at(notify),
            ..offer
        }),
        Refusal::NotABank
    );
    assert_eq!(
        refused(Offer {
            segment: Cap::at(notify),
            ..offer
        }),
        Refusal::NotASegment
    );
    assert_eq!(
        refused(Offer {
            notify: Cap::at(stack.segment.table().address()),
            ..offer
        }),
        Refusal::NotANotify
    );
    let kernel = between.world.kernel.clone();
    let mut segment = kernel
        .borrow()
        .get(stack.pid, stack.segment.table().address());
    if let Some(segment) = &mut segment {
        segment.rights = Rights::READ;
        kernel.borrow_mut().put(stack.pid, weak, *segment);
    }
    assert_eq!(
        refused(Offer {
            segment: Cap::at(weak),
            ..offer
        }),
        Refusal::SegmentNotPinnable,
        "as a receive segment is"
    );
    assert!(
        kernel
            .borrow()
            .get(INIT, between.port.capability.address())
            .is_some()
    );
}
