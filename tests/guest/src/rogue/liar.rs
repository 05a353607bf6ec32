//! Breaks the protocol, each time in another way and with a session of its own.

use dev::Program;
use dev::bare::This;
use dev::layout::{
    CONTROL, FILLED, FIRST_RECEIVE_PAGE, FIRST_TRANSMIT_PAGE, MORE, RETURNED, TRANSMIT,
};
use dev::session::{Lost, Session};
use log::info;
use netstack::Config;
use ring::{Descriptor, Producer, Ring};
use sys::Mem;

use crate::PATIENCE;
use crate::forge::{self, EVERYBODY, HONEST};
use crate::hostile::{self, Act, own_address};

/// What is done, and who does it.
pub const LIES: &[(&str, Act)] = &[
    ("a page that is none of its own", |session, program, _| {
        transmit(session, program, &[piece(999, 0, 60)])
    }),
    ("its own control page", |session, program, _| {
        transmit(session, program, &[piece(0, 0, 60)])
    }),
    ("more than a page", |session, program, _| {
        transmit(session, program, &[piece(FIRST_TRANSMIT_PAGE, 0, 5000)])
    }),
    ("beyond the page's end", |session, program, _| {
        transmit(session, program, &[piece(FIRST_TRANSMIT_PAGE, 4090, 60)])
    }),
    ("lengths that wrap", |session, program, _| {
        transmit(
            session,
            program,
            &[piece(FIRST_TRANSMIT_PAGE, u32::MAX, 60)],
        )
    }),
    ("flags that mean nothing", |session, program, _| {
        let descriptor = Descriptor {
            flags: 0x8000,
            ..piece(FIRST_TRANSMIT_PAGE, 0, 60)
        };
        transmit(session, program, &[descriptor])
    }),
    ("a run that goes on in nothing", |session, program, _| {
        transmit(session, program, &[PAGE_OF_A_RUN])
    }),
    (
        "a run that leaves some of its page",
        |session, program, _| {
            let short = Descriptor {
                length: 60,
                ..PAGE_OF_A_RUN
            };
            let rest = piece(FIRST_TRANSMIT_PAGE + 1, 0, 60);
            transmit(session, program, &[short, rest])
        },
    ),
    (
        "a run that goes on in a page that is none of its own",
        |session, program, _| transmit(session, program, &[PAGE_OF_A_RUN, piece(998, 0, 60)]),
    ),
    ("a run that goes on in no bytes", goes_on_in_no_bytes),
    ("a buffer that is in flight", twice),
    ("an index that jumps: transmit", |session, program, _| {
        jump(session, program, TRANSMIT.producer, 257)
    }),
    ("an index that jumps: returned", |session, program, _| {
        jump(session, program, RETURNED.producer, 0x8000_0000)
    }),
    ("an index that goes back: filled", |session, program, _| {
        jump(session, program, FILLED.consumer, u32::MAX)
    }),
    ("a return of a page that is none", |session, program, _| {
        give_back(session, program, piece(1, 0, 1))
    }),
    (
        "a return of what it does not hold",
        |session, program, _| {
            let last = FIRST_RECEIVE_PAGE + session.receive_pages() - 1;
            give_back(session, program, piece(last, 0, 1))
        },
    ),
    ("a return of nothing", |session, program, _| {
        give_back(session, program, piece(FIRST_RECEIVE_PAGE, 0, 0))
    }),
    ("a return of too many", |session, program, _| {
        give_back(session, program, piece(FIRST_RECEIVE_PAGE, 0, u32::MAX))
    }),
    ("a return with an offset", |session, program, _| {
        give_back(session, program, piece(FIRST_RECEIVE_PAGE, 8, 1))
    }),
];

/// The first page of a frame that goes on.
const PAGE_OF_A_RUN: Descriptor = Descriptor {
    flags: MORE,
    ..piece(FIRST_TRANSMIT_PAGE, 0, abi::PAGE_SIZE as u32)
};

const fn piece(page: u32, offset: u32, length: u32) -> Descriptor {
    Descriptor {
        page,
        offset,
        length,
        flags: 0,
    }
}

/// Puts descriptors into a ring of the client's, and waits for the end.
fn push(
    session: &mut Session<This>,
    program: &This,
    ring: Ring,
    descriptors: &[Descriptor],
) -> Result<(), Lost> {
    let memory = session.transmit_memory();
    let mut ring = Producer::new(ring, 0);
    for descriptor in descriptors {
        ring.push(memory, *descriptor)?;
    }
    ring.publish(memory)?;
    await_end(session, program)
}

fn transmit(
    session: &mut Session<This>,
    program: &This,
    descriptors: &[Descriptor],
) -> Result<(), Lost> {
    push(session, program, TRANSMIT, descriptors)
}

fn give_back(
    session: &mut Session<This>,
    program: &This,
    descriptor: Descriptor,
) -> Result<(), Lost> {
    push(session, program, RETURNED, &[descriptor])
}

/// Claims an index that it can't have.
fn jump(session: &mut Session<This>, program: &This, line: usize, index: u32) -> Result<(), Lost> {
    session
        .transmit_memory()
        .release_u32(CONTROL + line, index)?;
    await_end(session, program)
}

/// Sends an honest frame that goes on in a piece without bytes, as no device's queue takes it.
fn goes_on_in_no_bytes(
    session: &mut Session<This>,
    program: &'static This,
    config: &Config,
) -> Result<(), Lost> {
    let own = (config.mac, own_address(config));
    let nobody = (EVERYBODY, core::net::Ipv4Addr::BROADCAST);
    let frame = forge::udp(nobody, own, 9, &[HONEST, &[0; 200]].concat());
    let length = frame.len() as u32;
    let offset = abi::PAGE_SIZE as u32 - length;
    let start = FIRST_TRANSMIT_PAGE as usize * abi::PAGE_SIZE + offset as usize;
    session.transmit_memory().write(start, &frame)?;
    let whole = Descriptor {
        flags: MORE,
        ..piece(FIRST_TRANSMIT_PAGE, offset, length)
    };
    let nothing = piece(FIRST_TRANSMIT_PAGE + 1, 0, 0);
    transmit(session, program, &[whole, nothing])
}

/// Sends a long frame, which the device reads where it lies, and at once the same memory again.
fn twice(session: &mut Session<This>, program: &'static This, config: &Config) -> Result<(), Lost> {
    let own = (config.mac, own_address(config));
    let nobody = (EVERYBODY, core::net::Ipv4Addr::BROADCAST);
    let frame = forge::udp(nobody, own, 9, &[HONEST, &[0; 1000]].concat());
    let start = FIRST_TRANSMIT_PAGE as usize * abi::PAGE_SIZE;
    session.transmit_memory().write(start, &frame)?;
    let length = frame.len() as u32;
    let (first, second) = (
        piece(FIRST_TRANSMIT_PAGE, 0, length),
        piece(FIRST_TRANSMIT_PAGE, 512, 256),
    );
    transmit(session, program, &[first, second])
}

/// Waits for the end of the session, which this was the reason of.
fn await_end(session: &mut Session<This>, program: &This) -> Result<(), Lost> {
    let deadline = program.now() + PATIENCE;
    while program.now() < deadline {
        // The driver looks at all rings when it is woken; a receiving client returns.
        let _ = session.caps().kick.signal(program.sys());
        hostile::pause();
        session.receive()?;
        session.statistics(program)?;
    }
    info!("FAILED: nobody minds");
    Ok(())
}
