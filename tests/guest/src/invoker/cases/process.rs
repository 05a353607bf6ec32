//! Processes.

use abi::USER_END;
use abi::boot::{layout, slot};
use abi::cap::{CapAddr, Kind, Rights};
use abi::error::{EBADF, EBUSY, EFAULT, EINVAL, EMLINK, EPERM, OK, Status, VOID};
use abi::method::process::{self, state};
use rt::Kernel;
use sys::{Cap, Error};

use crate::bed::{Bed, holds};
use crate::{Case, case, own};

/// Configures a new process with these words and capabilities.
fn configure(bed: &Bed, words: [u64; 4], caps: [CapAddr; 3]) -> Result<Status, Error> {
    let new = bed.buy(Kind::Process)?;
    let [instruction, stack, priority, argument] = words;
    bed.call_with(
        new,
        &[process::CONFIGURE, instruction, stack, priority, argument],
        &caps,
    )
}

const GOOD: [u64; 4] = [0x40_0000, 0x50_0000, 1, 0];

/// A root table and an address space.
fn parts(bed: &Bed) -> Result<[CapAddr; 3], Error> {
    Ok([bed.buy(Kind::CapTable)?, bed.buy(Kind::Table4)?, 0])
}

pub const CASES: &[Case] = &[
    own("process.configure: in order", OK, |bed| {
        configure(bed, GOOD, parts(bed)?)
    }),
    case(
        "process.configure: an instruction beyond user space",
        EINVAL,
        |bed| configure(bed, [USER_END, 0, 1, 0], parts(bed)?),
    ),
    case(
        "process.configure: a stack beyond user space",
        EINVAL,
        |bed| configure(bed, [0, 1 << 63, 1, 0], parts(bed)?),
    ),
    case("process.configure: priority 64", EINVAL, |bed| {
        configure(bed, [0, 0, 64, 0], parts(bed)?)
    }),
    own("process.configure: no root table", VOID, |bed| {
        configure(bed, GOOD, [0, bed.buy(Kind::Table4)?, 0])
    }),
    own("process.configure: no address space", VOID, |bed| {
        configure(bed, GOOD, [bed.buy(Kind::CapTable)?, 0, 0])
    }),
    case("process.configure: a root of another kind", EBADF, |bed| {
        configure(bed, GOOD, [bed.buy(Kind::Page)?, bed.buy(Kind::Table4)?, 0])
    }),
    case(
        "process.configure: a space of another level",
        EBADF,
        |bed| {
            configure(
                bed,
                GOOD,
                [bed.buy(Kind::CapTable)?, bed.buy(Kind::Table3)?, 0],
            )
        },
    ),
    case(
        "process.configure: a keeper of another kind",
        EBADF,
        |bed| {
            let [root, space, _] = parts(bed)?;
            configure(bed, GOOD, [root, space, slot::CLOCK])
        },
    ),
    case("process.configure: a root without MANAGE", EPERM, |bed| {
        let root = bed.buy_without(Kind::CapTable, Rights::MANAGE)?;
        configure(bed, GOOD, [root, bed.buy(Kind::Table4)?, 0])
    }),
    case("process.configure: a space without MANAGE", EPERM, |bed| {
        let space = bed.buy_without(Kind::Table4, Rights::MANAGE)?;
        configure(bed, GOOD, [bed.buy(Kind::CapTable)?, space, 0])
    }),
    case(
        "process.configure: a fifth process in one space",
        EMLINK,
        |bed| {
            let caps = parts(bed)?;
            for _ in 0..4 {
                let status = configure(bed, GOOD, caps)?;
                if status != OK {
                    return Ok(status);
                }
            }
            configure(bed, GOOD, caps)
        },
    ),
    case("process.configure: while it runs", EBUSY, |bed| {
        let child = bed.child()?.process.address();
        let words = [process::CONFIGURE, GOOD[0], GOOD[1], GOOD[2], GOOD[3]];
        bed.call_with(child, &words, &parts(bed)?)
    }),
    case("process.configure: without CONTROL", EPERM, |bed| {
        let weak = bed.buy_without(Kind::Process, Rights::CONTROL)?;
        bed.call_with(weak, &[process::CONFIGURE, 0, 0, 1, 0], &parts(bed)?)
    }),
    case("process.start: not configured", EINVAL, |bed| {
        bed.call(bed.buy(Kind::Process)?, &[process::START])
    }),
    case("process.start: its space is gone", EINVAL, |bed| {
        let (new, caps) = (bed.buy(Kind::Process)?, parts(bed)?);
        bed.must(
            new,
            &[process::CONFIGURE, GOOD[0], GOOD[1], GOOD[2], 0],
            &caps,
        )?;
        bed.bank().sell(&Kernel, caps[1])?;
        bed.call(new, &[process::START])
    }),
    case("process.start: without CONTROL", EPERM, |bed| {
        bed.call(
            bed.buy_without(Kind::Process, Rights::CONTROL)?,
            &[process::START],
        )
    }),
    case("process.stop: without CONTROL", EPERM, |bed| {
        bed.call(
            bed.buy_without(Kind::Process, Rights::CONTROL)?,
            &[process::STOP],
        )
    }),
    own("process.stop: it says so", OK, |bed| {
        let child: Cap<_> = bed.child()?.process;
        child.stop(&Kernel)?;
        holds(child.info(&Kernel)?.state == state::STOPPED)
    }),
    case("process.make_start: without MANAGE", EPERM, |bed| {
        bed.call(
            bed.buy_without(Kind::Process, Rights::MANAGE)?,
            &[process::MAKE_START, 1],
        )
    }),
    case("process.make_notify: bit 4096", EINVAL, |bed| {
        bed.call(bed.buy(Kind::Process)?, &[process::MAKE_NOTIFY, 4096])
    }),
    case("process.make_notify: a bit that wraps", EINVAL, |bed| {
        bed.call(bed.buy(Kind::Process)?, &[process::MAKE_NOTIFY, 1 << 32])
    }),
    case("process.make_notify: without MANAGE", EPERM, |bed| {
        bed.call(
            bed.buy_without(Kind::Process, Rights::MANAGE)?,
            &[process::MAKE_NOTIFY, 1],
        )
    }),
    case(
        "process.set_fault_entry: beyond user space",
        EINVAL,
        |bed| {
            bed.call(
                bed.buy(Kind::Process)?,
                &[process::SET_FAULT_ENTRY, USER_END, 0],
            )
        },
    ),
    case(
        "process.set_fault_entry: a stack beyond user space",
        EINVAL,
        |bed| {
            bed.call(
                bed.buy(Kind::Process)?,
                &[process::SET_FAULT_ENTRY, 0, 1 << 48],
            )
        },
    ),
    case("process.set_fault_entry: without MANAGE", EPERM, |bed| {
        let weak = bed.buy_without(Kind::Process, Rights::MANAGE)?;
        bed.call(weak, &[process::SET_FAULT_ENTRY, 0, 0])
    }),
    case("process.info: without INSPECT", EPERM, |bed| {
        bed.call(
            bed.buy_without(Kind::Process, Rights::INSPECT)?,
            &[process::INFO],
        )
    }),
    case("process.registers: group 3", EINVAL, |bed| {
        bed.call(bed.buy(Kind::Process)?, &[process::REGISTERS, 3])
    }),
    case("process.registers: without CONTROL", EPERM, |bed| {
        bed.call(
            bed.buy_without(Kind::Process, Rights::CONTROL)?,
            &[process::REGISTERS, 0],
        )
    }),
    case("process.read_memory: not a multiple of 8", EINVAL, |bed| {
        bed.call(
            bed.child()?.process.address(),
            &[process::READ_MEMORY, layout::IMAGE + 1],
        )
    }),
    case(
        "process.read_memory: nothing is mapped there",
        EFAULT,
        |bed| bed.call(bed.child()?.process.address(), &[process::READ_MEMORY, 0]),
    ),
    case("process.read_memory: the kernel's", EFAULT, |bed| {
        let kernel = 0xffff_ffff_8000_0000;
        bed.call(
            bed.child()?.process.address(),
            &[process::READ_MEMORY, kernel],
        )
    }),
    case(
        "process.read_memory: over the end of what is mapped",
        EFAULT,
        |bed| {
            let last = layout::IMAGE + 4096 - 40;
            bed.call(
                bed.child()?.process.address(),
                &[process::READ_MEMORY, last],
            )
        },
    ),
    case("process.read_memory: no space", EFAULT, |bed| {
        bed.call(
            bed.buy(Kind::Process)?,
            &[process::READ_MEMORY, layout::IMAGE],
        )
    }),
    case("process.set_name: without CONTROL", EPERM, |bed| {
        bed.call(
            bed.buy_without(Kind::Process, Rights::CONTROL)?,
            &[process::SET_NAME, 0x41],
        )
    }),
    case("process.set_priority: 64", EINVAL, |bed| {
        bed.call(bed.buy(Kind::Process)?, &[process::SET_PRIORITY, 64])
    }),
    case("process.set_priority: without CONTROL", EPERM, |bed| {
        bed.call(
            bed.buy_without(Kind::Process, Rights::CONTROL)?,
            &[process::SET_PRIORITY, 1],
        )
    }),
    own("notify: a process that is gone", VOID, |bed| {
        let told = bed.made(bed.buy(Kind::Process)?, &[process::MAKE_NOTIFY, 1])?;
        bed.must(told, &[abi::method::notify::SIGNAL], &[])?;
        bed.void()?;
        bed.call(told, &[abi::method::notify::SIGNAL])
    }),
];
