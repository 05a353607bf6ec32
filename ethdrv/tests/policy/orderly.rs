//! Leaving, and going over to copying, while no frame comes.

use dev::admin::PortState;
use dev::settings::Receive;
use dev::statistics::Counter;

use crate::flip::{FLIP, HYBRID, sealed, warm_up, world};
use crate::support::client::Client;
use crate::support::{OUTSIDE, World, frame};

const CAPACITY: u64 = 16;

/// Pages of the client's whose frames are pinned, and bought from its bank.
fn pinned_of(world: &World, client: &Client) -> usize {
    let kernel = world.kernel.borrow();
    let below = |bank: usize| bank == client.bank || kernel.banks[bank].parent == Some(client.bank);
    let sold = (0..kernel.banks.len()).filter(|bank| below(*bank));
    let sold: Vec<_> = sold
        .flat_map(|bank| kernel.banks[bank].sold.clone())
        .collect();
    let pinned = |owner: Option<usize>| owner.is_some_and(|owner| sold.contains(&owner));
    let frames = kernel.frames.iter();
    frames.filter(|f| f.pins > 0 && pinned(f.owner)).count()
}

fn driver_bought(world: &World) -> u64 {
    world.kernel.borrow().banks[1].bought
}

#[test]
fn pitfall_10_who_leaves_a_silent_wire_gets_its_storage_back_at_once() {
    for receive in [FLIP, HYBRID, sealed(FLIP)] {
        let world = world();
        let before = driver_bought(&world);
        let mut alice = world.attached_with(1, receive);
        let mut bob = world.attached_with(2, Receive::default());
        for _ in 0..20 {
            warm_up(&world, &mut [&mut alice, &mut bob]);
            assert!(pinned_of(&world, &alice) > 0);
            let program = alice.program.clone();
            alice.session.take().unwrap().detach(&program);
            assert_eq!(world.state(alice.port).state, PortState::Idle);
            assert_eq!(world.kernel.borrow().limbo_frames(), 0, "{receive}");
            assert_eq!(pinned_of(&world, &alice), 0, "{receive}");
            world.advance(1_000_000_000);
            alice.attach().unwrap();
            world.run();
        }
        // The driver has no more in reserve than the device takes; a segment for it; the sessions'.
        let more = driver_bought(&world) - before;
        assert!(more <= CAPACITY + 4, "{receive}: {more} bought");
        // What arrives in such pages is nobody's loss, and the pages come back.
        for n in 0..100 {
            let sent = frame(bob.port.mac, OUTSIDE, n, 900);
            world.inject(sent.clone());
            world.run();
            assert_eq!(bob.receive(), [sent], "{receive}");
        }
        let program = alice.program.clone();
        alice.session.take().unwrap().detach(&program);
        assert_eq!(world.kernel.borrow().limbo_frames(), 0, "{receive}");
        assert!(driver_bought(&world) - before <= CAPACITY + 4);
    }
}

#[test]
fn who_copies_from_now_on_has_nothing_pinned_even_if_no_frame_comes() {
    for receive in [FLIP, HYBRID, sealed(FLIP)] {
        let world = world();
        let mut alice = world.attached_with(1, receive);
        let mut bob = world.attached_with(2, Receive::default());
        let transmit = 1 + 3 + 8 - 1 - 1;
        for n in 0..10 {
            let port = alice.port.number;
            let set = |receive| {
                let init = &world.init.sys;
                world.admin.set_receive(init, port, receive).unwrap();
                world.run();
            };
            set(Receive::default());
            assert!(pinned_of(&world, &alice) <= transmit + 1, "{receive}");
            // Pages that the device filled for others show nothing of that.
            let pages = alice.receive_pages();
            let bobs = bob.port.mac.bytes();
            assert!(pages.windows(6).all(|bytes| bytes != bobs), "{receive}");
            set(receive);
            warm_up(&world, &mut [&mut alice, &mut bob]);
            for m in 0..20 {
                let sent = frame(bob.port.mac, OUTSIDE, n * 20 + m, 900);
                world.inject(sent.clone());
                world.run();
                assert_eq!(bob.receive(), [sent], "{receive}");
            }
        }
        // And then it flips its own as before.
        for n in 0..100 {
            let sent = frame(alice.port.mac, OUTSIDE, n, 900);
            world.inject(sent.clone());
            world.run();
            assert_eq!(alice.receive(), [sent], "{receive}");
        }
        assert_eq!(world.counter(alice.port, Counter::NoPage), 0);
        // The driver's own pages took the place of hers: nobody's memory was gone.
        assert_eq!(world.counter(bob.port, Counter::Recovered), 0, "{receive}");
    }
}

/// Alice leaves, or copies from now on, and her bank goes at the `n`-th access meanwhile. Answers
/// whether that moment came.
fn goes_at(n: u64, receive: Receive, leaves: bool) -> bool {
    let world = world();
    let mut alice = world.attached_with(1, receive);
    let mut bob = world.attached_with(2, HYBRID);
    warm_up(&world, &mut [&mut alice, &mut bob]);
    let bank = alice.bank;
    let mut kernel = world.kernel.borrow_mut();
    kernel.at_access(n, move |kernel| kernel.destroy(bank));
    drop(kernel);
    if leaves {
        let program = alice.program.clone();
        alice.session.take().unwrap().detach(&program);
    } else {
        let (init, port) = (&world.init.sys, alice.port.number);
        let _ = world.admin.set_receive(init, port, Receive::default());
    }
    world.run();
    let came = !world.kernel.borrow().has_trigger();
    world.kernel.borrow_mut().take_trigger();
    for n in 0..60 {
        let sent = frame(bob.port.mac, OUTSIDE, n, 900);
        world.inject(sent.clone());
        world.run();
        assert_eq!(bob.receive(), [sent], "access {n}");
    }
    if came {
        world.destroy(bank);
        world.run();
        assert_eq!(world.state(alice.port).state, PortState::Idle, "access {n}");
        assert_eq!(world.kernel.borrow().limbo_frames(), 0, "access {n}");
    }
    came
}

#[test]
fn pitfall_13_a_bank_that_goes_while_its_pages_are_replaced_costs_nobody_a_frame() {
    for receive in [FLIP, sealed(FLIP)] {
        for leaves in [true, false] {
            let mut n = 0;
            while goes_at(n, receive, leaves) {
                n += 1;
            }
            assert!(n > 3, "only {n} accesses were seen");
        }
    }
}

#[test]
fn a_driver_that_can_buy_nothing_lets_pages_come_back_by_themselves() {
    let world = world();
    let mut alice = world.attached_with(1, FLIP);
    let mut bob = world.attached_with(2, Receive::default());
    warm_up(&world, &mut [&mut alice, &mut bob]);
    {
        let mut kernel = world.kernel.borrow_mut();
        kernel.banks[1].limit = kernel.banks[1].bought;
    }
    let program = alice.program.clone();
    alice.session.take().unwrap().detach(&program);
    assert_eq!(world.state(alice.port).state, PortState::Idle);
    assert!(world.kernel.borrow().limbo_frames() > 0);
    for n in 0..60 {
        let sent = frame(bob.port.mac, OUTSIDE, n, 900);
        world.inject(sent.clone());
        world.run();
        assert_eq!(bob.receive(), [sent]);
    }
    assert_eq!(world.kernel.borrow().limbo_frames(), 0);
}
