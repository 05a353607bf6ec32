//! Stacks that break the protocol: each is found out by the copier, and the driver never hears of it.

use abi::PAGE_SIZE;
use dev::layout::{FILLED, FIRST_TRANSMIT_PAGE, MORE, RETURNED, TRANSMIT};
use dev::statistics::Counter;
use ring::Descriptor;
use sys::{Mem, Message, Sys};

use crate::between::{Between, is_void};
use crate::support::{OUTSIDE, frame, mac};

/// Lets the stack misbehave: it loses its session, the copier's with the driver ends in good order, and
/// it may attach again.
fn misbehaves(name: &str, act: impl FnOnce(&mut Between)) {
    let mut between = Between::attached();
    act(&mut between);
    between.run();
    for n in 0..64 {
        between.world.inject(frame(mac(1), OUTSIDE, n, 1500));
        between.run();
    }
    assert_eq!(between.counter(Counter::Misbehaved), 1, "{name}");
    let of_copier = between.world.counter(between.port, Counter::Misbehaved);
    assert_eq!(of_copier, 0, "{name}");
    assert_eq!(between.taken(), between.idle, "{name}");
    assert_eq!(between.session_bank(between.stack.bank), None, "{name}");
    assert_eq!(between.session_bank(between.bank), None, "{name}");
    between.world.advance(1_000_000_000);
    between.world.wire();
    between.stack.attach().unwrap();
    let going = frame(OUTSIDE, mac(1), 1, 300);
    between.stack.send(std::slice::from_ref(&going));
    between.run();
    assert_eq!(between.world.wire(), [going], "{name}");
}

fn good(between: &mut Between) -> Descriptor {
    let bytes = frame(OUTSIDE, mac(1), 1, 200);
    between.stack.fill(0, 0, &bytes)
}

#[test]
fn pitfall_19_index_jumps() {
    for (ring, name) in [(TRANSMIT, "transmit"), (RETURNED, "returned")] {
        for jump in [257, 0x8000_0000, u32::MAX] {
            misbehaves(&format!("{name} by {jump}"), |between| {
                let memory = between.stack.session().transmit_memory().clone();
                memory.store_u32(ring.producer, jump).unwrap();
                between.stack.kick();
            });
        }
    }
    misbehaves("filled, beyond what was published", |between| {
        between.stack.receive_pages = 32;
        between.stack.attach().unwrap();
        let memory = between.stack.session().transmit_memory().clone();
        memory.store_u32(FILLED.consumer, 300).unwrap();
        for n in 0..300 {
            between.world.inject(frame(mac(1), OUTSIDE, n, 60));
            between.run();
        }
    });
}

#[test]
fn pitfall_20_what_is_no_transmit_page_or_reaches_beyond_it() {
    let end = PAGE_SIZE as u32;
    for page in [0, 1, 2, FIRST_TRANSMIT_PAGE + 8, 255, 511, 512, u32::MAX] {
        misbehaves(&format!("page {page}"), |between| {
            let good = good(between);
            between.stack.transmit_raw(Descriptor { page, ..good });
        });
    }
    for (offset, length) in [
        (end, 1),
        (end - 1, 2),
        (0, end + 1),
        (u32::MAX, 1),
        (u32::MAX, u32::MAX),
        (1, u32::MAX),
        (0x8000_0000, 0x8000_0000),
    ] {
        misbehaves(&format!("{offset}, {length}"), |between| {
            let good = good(between);
            between.stack.transmit_raw(Descriptor {
                offset,
                length,
                ..good
            });
        });
    }
}

#[test]
fn frames_that_break_off() {
    let whole = |page| Descriptor {
        page: FIRST_TRANSMIT_PAGE + page,
        offset: 4000,
        length: 96,
        flags: MORE,
    };
    let gap = Descriptor {
        length: 95,
        ..whole(0)
    };
    let last = Descriptor {
        flags: 0,
        ..whole(1)
    };
    let nothing = Descriptor { length: 0, ..last };
    let flags = Descriptor { flags: 2, ..last };
    let both = Descriptor {
        flags: MORE | 4,
        ..last
    };
    for run in [
        &[whole(0)][..],
        &[whole(0), whole(1)],
        &[gap, last],
        &[whole(0), gap, last],
        &[whole(0), nothing],
        &[flags],
        &[whole(0), both, last],
    ] {
        misbehaves(&format!("{run:?}"), |between| {
            between.stack.transmit_raw_all(run);
        });
    }
    let all: Vec<_> = (0..256).map(|_| whole(0)).collect();
    misbehaves("a frame without end", |between| {
        between.stack.transmit_raw_all(&all);
    });
}

#[test]
fn pitfall_20_returns_of_what_is_not_held() {
    let page = dev::layout::FIRST_RECEIVE_PAGE;
    for (page, offset, length, flags) in [
        (page, 0, 0, 0),
        // More than a page can hold: returns are looked at when pages run out.
        (page, 0, 65, 0),
        (page, 0, u32::MAX, 0),
        (page, 1, 1, 0),
        (page, 0, 1, 1),
        (page + 9, 0, 1, 0),
        (0, 0, 1, 0),
        (u32::MAX, 0, 1, 0),
    ] {
        misbehaves(&format!("{page}, {offset}, {length}, {flags}"), |between| {
            between.world.inject(frame(mac(1), OUTSIDE, 0, 60));
            between.run();
            between.stack.return_raw(Descriptor {
                page,
                offset,
                length,
                flags,
            });
        });
    }
}

#[test]
fn pitfall_18_bytes_that_change_are_the_drivers_to_check() {
    let mut between = Between::attached();
    // Somebody else's address: the driver sees the copier's copy, and refuses that.
    let spoofed = frame(OUTSIDE, mac(2), 1, 200);
    between.stack.send(&[spoofed]);
    between.run();
    assert!(between.world.wire().is_empty());
    let spoofs = between.world.counter(between.port, Counter::SpoofedMac);
    assert_eq!(spoofs, 1);
    assert_eq!(between.counter(Counter::Misbehaved), 0);
}

#[test]
fn messages_that_mean_nothing_get_an_error() {
    let mut between = Between::attached();
    let program = between.stack.program.clone();
    let port = between.stack.capability.address();
    let link = between.stack.session().caps().link.address();
    for capability in [port, link] {
        for method in [0, 9, u64::MAX] {
            let reply = program.sys.call(capability, &Message::new(&[method]));
            assert!(reply.ok().is_err());
        }
        // Nobody waits for an answer to it.
        program.sys.send(capability, &Message::new(&[1, 2, 3]));
    }
    between.run();
    let session = between.stack.session.take().unwrap();
    let kept = session.caps().link;
    session.detach(&program);
    let again = program.sys.call(kept.address(), &Message::new(&[2]));
    assert!(again.ok().is_err_and(is_void));
    assert_eq!(between.taken(), between.idle);
}
