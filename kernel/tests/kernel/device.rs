//! Device authorities: they only narrow, and the kernel keeps bus mastering and MSI-X to itself.

use abi::boot::slot;
use abi::cap::Rights;
use abi::error::{EBADF, EINVAL, ENODEV, ENOSYS, EPERM, ERANGE, VOID};
use abi::method::io_port as method;
use kernel::machine::{Source, Width};
use proptest::prelude::*;
use sim::machine::{DEVICE_PAGES, KERNELS_PORTS};
use sim::parties::{Parties, Party};
use sim::pci::{FUNCTIONS, MSIX};
use sys::object::{DeviceDma, DeviceMemory, IoPort, Irq};
use sys::{Cap, Event, Sys};

use crate::common::*;

/// Reads or writes a port with a width.
fn access(
    parties: &Parties,
    party: Party,
    port: Cap<IoPort>,
    words: [u64; 4],
) -> Result<(), sys::Error> {
    sys::Error::check(status_of(parties, party, port.address(), &words, &[]))
}

fn with(slot: u16) -> (Parties, Party) {
    let parties = Parties::new();
    let party = parties.spawn();
    parties.copy_from_init(slot, (party, FREE), Rights::FULL);
    (parties, party)
}

#[test]
fn ports_only_narrow() {
    let (parties, party) = with(slot::INIT_IO_PORT);
    let sys = parties.sys(party);
    let (all, some, few): (Cap<IoPort>, Cap<IoPort>, Cap<IoPort>) =
        (cap(FREE), cap(FREE + 1), cap(FREE + 2));
    all.narrow(&sys, 0x100, 0x10, FREE + 1).expect("inside");
    some.narrow(&sys, 0x104, 4, FREE + 2).expect("inside");
    for (first, count) in [
        (0x104, 5),
        (0x103, 4),
        (0x108, 1),
        (0x104, 0),
        (0, u16::MAX),
        (u16::MAX, 0xffff),
    ] {
        let narrowed = few.narrow(&sys, first, count, FREE + 3);
        assert_eq!(narrowed, Err(error(ERANGE)), "{count} from {first:#x}");
    }
    let few_port = |how: u64, port: u16, width: u64, value: u64| {
        access(&parties, party, few, [how, port.into(), width, value])
    };
    let words = |first: u64, count: u64| {
        status_of(
            &parties,
            party,
            FREE + 2,
            &[abi::method::io_port::NARROW, first, count],
            &[],
        )
    };
    assert_eq!(words(u64::MAX, 2), errno(ERANGE));
    assert_eq!(words(0x104, u64::MAX), errno(ERANGE));
    few_port(method::WRITE, 0x104, 4, 0x1234_5678).expect("inside");
    few_port(method::WRITE, 0x107, 1, 0xff).expect("inside");
    assert_eq!(parties.machine().port_writes().len(), 2);
    for (port, width) in [(0x105, 4), (0x107, 2), (0x103, 1), (0x108, 1)] {
        assert_eq!(few_port(method::WRITE, port, width, 0), Err(error(ERANGE)));
        assert!(few_port(method::READ, port, width, 0).is_err());
    }
    for width in [0, 3, 8] {
        assert_eq!(few_port(method::WRITE, 0x104, width, 0), Err(error(EINVAL)));
    }
    assert_eq!(parties.machine().port_writes().len(), 2);
}

#[test]
fn the_kernels_ports_are_nobody_elses() {
    let (parties, party) = with(slot::INIT_IO_PORT);
    let all: Cap<IoPort> = cap(FREE);
    let all_port = |how: u64, port: u16, width: u64, value: u64| {
        access(&parties, party, all, [how, port.into(), width, value])
    };
    let (first, last) = (*KERNELS_PORTS.start(), *KERNELS_PORTS.end());
    for (port, width) in [
        (first, 1),
        (last, 1),
        (first - 1, 2),
        (first - 3, 4),
        (last, 4),
    ] {
        assert_eq!(all_port(method::WRITE, port, width, 0), Err(error(ERANGE)));
        assert_eq!(all_port(method::READ, port, width, 0), Err(error(ERANGE)));
    }
    all_port(method::WRITE, first - 1, 1, 0).expect("not the kernel's");
    all_port(method::WRITE, last + 1, 1, 0).expect("not the kernel's");
    assert!(all_port(method::WRITE, u16::MAX, 1, 0).is_ok());
    assert_eq!(
        all_port(method::WRITE, u16::MAX, 2, 0),
        Err(error(ERANGE)),
        "beyond the last"
    );
}

#[test]
fn device_memory_only_narrows_and_is_never_ram() {
    let (parties, party) = with(slot::INIT_DEVICE_MEMORY);
    let sys = parties.sys(party);
    let (all, one): (Cap<DeviceMemory>, Cap<DeviceMemory>) = (cap(FREE), cap(FREE + 1));
    let page = |n: u64| n << 12;
    all.narrow(&sys, page(DEVICE_PAGES[0]), 1, FREE + 1)
        .expect("device memory");
    assert_eq!(one.info(&sys), Ok((page(DEVICE_PAGES[0]), 1)));
    let ram = u64::from(sim::memory::FIRST_FRAME);
    for (address, pages) in [
        (page(ram), 1),
        (page(DEVICE_PAGES[0] - 1), 2),
        (page(DEVICE_PAGES[0]), 2),
        (page(DEVICE_PAGES[0] + 1), 1),
        (1 << 52, 1),
        (u64::MAX << 12, 1),
        (page(DEVICE_PAGES[0]), u64::MAX),
    ] {
        assert_eq!(
            all.narrow(&sys, address, pages, FREE + 2),
            Err(error(ERANGE))
        );
    }
    assert_eq!(
        one.narrow(&sys, page(DEVICE_PAGES[1]), 1, FREE + 2),
        Err(error(ERANGE))
    );
    assert_eq!(
        all.narrow(&sys, page(DEVICE_PAGES[0]) + 8, 1, FREE + 2),
        Err(error(EINVAL))
    );
    assert_eq!(
        all.narrow(&sys, page(DEVICE_PAGES[0]), 0, FREE + 2),
        Err(error(EINVAL))
    );
    assert_eq!(
        status_of(&parties, party, FREE + 1, &[9], &[]),
        errno(ENOSYS)
    );
}

#[test]
fn an_interrupt_goes_to_who_is_bound_to_it() {
    let (parties, party) = with(slot::INIT_IRQ);
    let sys = parties.sys(party);
    let all: Cap<Irq> = cap(FREE);
    let line: Cap<Irq> = cap(FREE + 1);
    all.msix(&sys, FUNCTIONS[0], 2, FREE + 1)
        .expect("it has MSI-X");
    notify_of(&parties, party, 66, party, FREE + 2);
    let source = Source::MsiX {
        function: FUNCTIONS[0],
        entry: 2,
    };
    assert_eq!(parties.machine().raise(source), None, "masked at first");
    line.bind(&sys, cap(FREE + 2)).expect("alive");
    line.unmask(&sys).expect("connected");
    let vector = parties.machine().raise(source).expect("it gets through");
    parties.processor.interrupt(Some(vector));
    parties.note();
    assert_eq!(
        sys.poll([0; 4]),
        Some(Event::Notified { group: 1, bits: 4 })
    );
    line.mask(&sys).expect("connected");
    assert_eq!(parties.machine().raise(source), None);
    assert_eq!(
        line.isa(&sys, 1, FREE + 3),
        Err(error(EPERM)),
        "it is one alone"
    );
    assert_eq!(
        all.unmask(&sys),
        Err(error(EBADF)),
        "all are none in particular"
    );
    line.release(&sys).expect("connected");
    assert!(is_void(&parties, party, FREE + 1));
    // A vector that nobody has tells nobody.
    parties.processor.interrupt(Some(vector));
    parties.processor.interrupt(Some(255));
    parties.note();
    assert_eq!(sys.poll([0; 4]), None);
}

/// Connects an ISA line of the party's own, bound to bit 1 and unmasked.
fn line(parties: &Parties, party: Party, number: u8) -> Cap<Irq> {
    let sys = parties.sys(party);
    let line: Cap<Irq> = cap(FREE + 1);
    cap::<Irq>(FREE)
        .isa(&sys, number, FREE + 1)
        .expect("there are 16");
    notify_of(parties, party, 1, party, FREE + 2);
    line.bind(&sys, cap(FREE + 2)).expect("alive");
    line.unmask(&sys).expect("connected");
    line
}

fn comes_in(parties: &Parties, number: u8) -> bool {
    let vector = parties.machine().raise(Source::Isa(number));
    if vector.is_some() {
        parties.processor.interrupt(vector);
        parties.note();
    }
    vector.is_some()
}

/// A device keeps its line up until its driver has seen to it. Were the line open meanwhile, the CPU
/// would do nothing but take interrupts.
#[test]
fn a_level_triggered_line_is_masked_when_it_fires_until_its_driver_unmasks_it() {
    let (parties, party) = with(slot::INIT_IRQ);
    let number = *sim::machine::LEVEL_LINES.start();
    let line = line(&parties, party, number);
    assert!(comes_in(&parties, number));
    assert!(parties.machine().lines()[0].masked, "before anybody ran");
    assert!(
        !comes_in(&parties, number),
        "the device still wants something"
    );
    let sys = parties.sys(party);
    let told = Some(Event::Notified { group: 0, bits: 2 });
    assert_eq!(sys.poll([0; 4]), told);
    assert_eq!(sys.poll([0; 4]), None, "told once");
    line.unmask(&sys).expect("connected");
    assert!(comes_in(&parties, number));
    assert_eq!(sys.poll([0; 4]), told);
    line.release(&sys).expect("connected");
    // The vector may be an edge's next.
    cap::<Irq>(FREE)
        .isa(&sys, 4, FREE + 3)
        .expect("there are 16");
    cap::<Irq>(FREE + 3).unmask(&sys).expect("connected");
    assert!(comes_in(&parties, 4) && comes_in(&parties, 4));
}

#[test]
fn an_edge_triggered_line_stays_open() {
    let (parties, party) = with(slot::INIT_IRQ);
    line(&parties, party, 4);
    for _ in 0..3 {
        assert!(comes_in(&parties, 4));
    }
    assert!(!parties.machine().lines()[0].masked);
}

#[test]
fn who_connects_an_interrupt_again_takes_it_over() {
    let (parties, party) = with(slot::INIT_IRQ);
    let sys = parties.sys(party);
    let all: Cap<Irq> = cap(FREE);
    all.isa(&sys, 4, FREE + 1).expect("there are 16");
    ROOT.put(&sys, FREE + 2, FREE + 1, Rights::FULL)
        .expect("a copy");
    all.isa(&sys, 4, FREE + 3).expect("again");
    assert!(is_void(&parties, party, FREE + 1) && is_void(&parties, party, FREE + 2));
    cap::<Irq>(FREE + 3).unmask(&sys).expect("connected");
    assert_eq!(parties.machine().lines().len(), 1, "the same vector");
    assert_eq!(all.isa(&sys, 16, FREE + 4), Err(error(EINVAL)));
    assert_eq!(all.msix(&sys, 0, 0, FREE + 4), Err(error(ENODEV)));
    assert_eq!(
        all.msix(&sys, FUNCTIONS[0], 4, FREE + 4),
        Err(error(ERANGE)),
        "its table has four entries"
    );
}

#[test]
fn a_function_that_is_not_there_is_not_given() {
    let (parties, party) = with(slot::INIT_DEVICE_DMA);
    let sys = parties.sys(party);
    let all: Cap<DeviceDma> = cap(FREE);
    assert_eq!(all.function(&sys, 0, FREE + 1), Err(error(ENODEV)));
    let words = [
        abi::method::device_dma::FUNCTION,
        u64::from(FUNCTIONS[0]) | 1 << 16,
    ];
    assert_eq!(status_of(&parties, party, FREE, &words, &[]), errno(EINVAL));
    all.function(&sys, FUNCTIONS[0], FREE + 1)
        .expect("it is there");
    assert_eq!(all.config_read(&sys, 0, 2).map(|_| ()), Err(error(EBADF)));
    let one: Cap<DeviceDma> = cap(FREE + 1);
    assert_eq!(one.config_read(&sys, 0, 4), Ok(0x1041_1af4));
    ROOT.put(&sys, FREE + 2, FREE + 1, Rights::CONTROL)
        .expect("a copy");
    let weak: Cap<DeviceDma> = cap(FREE + 2);
    assert_eq!(weak.config_read(&sys, 0, 4), Err(error(EPERM)));
    assert_eq!(weak.config_write(&sys, 0x10, 4, 1), Err(error(EPERM)));
    // What is narrowed from a weak capability is as weak.
    ROOT.put(&sys, FREE + 3, FREE, Rights::CONTROL)
        .expect("a copy");
    cap::<DeviceDma>(FREE + 3)
        .function(&sys, FUNCTIONS[0], FREE + 4)
        .expect("it is there");
    assert_eq!(
        cap::<DeviceDma>(FREE + 4).config_read(&sys, 0, 4),
        Err(error(EPERM))
    );
    assert!(!is_void(&parties, party, FREE + 4));
    assert_eq!(status_of(&parties, party, FREE + 5, &[1], &[]), VOID);
}

/// What the kernel keeps to itself of a function's registers: offset, and mask of a byte.
const KEPT: [(u16, u8); 3] = [(4, 4), (MSIX + 2, 0xff), (MSIX + 3, 0xff)];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 64 }))]

    /// Whatever is written to configuration space, at whatever offset and width, bus mastering and
    /// MSI-X stay as they are, and nothing outside the access changes.
    #[test]
    fn configuration_leaves_bus_mastering_and_msix(
        master in any::<bool>(),
        writes in prop::collection::vec((any::<u16>(), prop_oneof![Just(1u8), Just(2), Just(4), any::<u8>()], any::<u32>()), 1..64),
    ) {
        let (parties, party) = with(slot::INIT_DEVICE_DMA);
        parties.audit_each_step(false);
        let sys = parties.sys(party);
        cap::<DeviceDma>(FREE).function(&sys, FUNCTIONS[0], FREE + 1).expect("it is there");
        let one: Cap<DeviceDma> = cap(FREE + 1);
        one.set_master(&sys, master).expect("nothing is dead");
        let read = |offset: u16| parties.machine().pci.read(FUNCTIONS[0], offset, Width::Byte) as u8;
        let all = || (0..256).map(read).collect::<Vec<u8>>();
        for (offset, width, value) in writes {
            // Mostly where it matters, and never at the head of the chain that leads to MSI-X.
            let offset = match offset % 4 {
                0 => offset >> 2,
                1 => (offset >> 2) % 12,
                2 => MSIX - 4 + (offset >> 2) % 12,
                _ => (offset >> 2) % 256,
            };
            let end = u64::from(offset) + u64::from(width);
            let chain = [0x06..0x08, 0x34..0x35, 0x40..0x42, MSIX..MSIX + 2];
            let touches = |range: &std::ops::Range<u16>| offset < range.end && end > u64::from(range.start);
            if chain.iter().any(touches) {
                continue;
            }
            let before = all();
            let written = one.config_write(&sys, offset, width, value);
            let sound = matches!(width, 1 | 2 | 4) && offset.is_multiple_of(width.into()) && offset < 256;
            prop_assert_eq!(written.is_ok(), sound, "{:#x} {}", offset, width);
            let after = all();
            for (n, (was, is)) in before.iter().zip(&after).enumerate() {
                let inside = sound && (u64::from(offset)..end).contains(&(n as u64));
                if !inside {
                    prop_assert_eq!(was, is, "byte {:#x}", n);
                }
            }
            for (register, mask) in KEPT {
                let n = usize::from(register);
                prop_assert_eq!(before[n] & mask, after[n] & mask, "register {:#x}", register);
            }
            if sound && width == 1 && !KEPT.iter().any(|kept| kept.0 == offset) {
                prop_assert_eq!(after[usize::from(offset)], value as u8);
            }
            prop_assert_eq!(parties.machine().pci.is_master(FUNCTIONS[0]), master);
        }
    }
}
