//! Children that fault, and what their keeper learns of it.

extern crate alloc;

use alloc::format;
use alloc::string::String;

use abi::boot::layout;
use abi::fault::{Access, Cause};
use abi::method::process::state;
use guest::children::{Nursery, SELF, SubBank, own_priority};
use guest::report::Tally;
use rt::child::{Child, Image, Program};
use rt::clock::{Clock, SECOND};
use rt::{Kernel, slots};
use sys::object::ProcessInfo;
use sys::{Cap, Event, Sys};

use crate::codes;

/// The keeper's notification bit.
const KEEPER: u64 = 1;
/// The timer's.
const TIMER: u64 = 2;

/// A fault and what is to be learnt of it.
struct Case {
    name: &'static str,
    code: fn() -> &'static [u8],
    cause: Cause,
    /// What QEMU makes of it, where that is something else.
    emulated: Cause,
    /// Access and the range of addresses of a page fault.
    page: Option<(Access, core::ops::Range<u64>)>,
}

const fn case(name: &'static str, cause: Cause, code: fn() -> &'static [u8]) -> Case {
    Case {
        name,
        code,
        cause,
        emulated: cause,
        page: None,
    }
}

const fn page(
    name: &'static str,
    access: Access,
    at: core::ops::Range<u64>,
    code: fn() -> &'static [u8],
) -> Case {
    Case {
        name,
        code,
        cause: Cause::Page,
        emulated: Cause::Page,
        page: Some((access, at)),
    }
}

/// QEMU reads the stack for these as the kernel would, which SMAP forbids.
const fn emulated(name: &'static str, cause: Cause, code: fn() -> &'static [u8]) -> Case {
    Case {
        name,
        code,
        cause,
        emulated: Cause::Page,
        page: None,
    }
}

const IMAGE: core::ops::Range<u64> = layout::IMAGE..layout::IMAGE + 4096;
/// A child has one page of stack.
const STACK: core::ops::Range<u64> = layout::STACK_TOP - 4096..layout::STACK_TOP;
const GUARD: core::ops::Range<u64> = layout::STACK_TOP - 8192..layout::STACK_TOP - 4096;

const CASES: &[Case] = &[
    page("reads address 0", Access::empty(), 0..1, codes::read_null),
    page("writes address 0", Access::WRITE, 0..1, codes::write_null),
    page(
        "writes its text",
        Access::PRESENT.union(Access::WRITE),
        IMAGE,
        codes::write_text,
    ),
    page(
        "executes its stack",
        Access::PRESENT.union(Access::FETCH),
        STACK,
        codes::execute_stack,
    ),
    page(
        "executes address 0",
        Access::FETCH,
        0..1,
        codes::execute_null,
    ),
    page("overflows its stack", Access::WRITE, GUARD, codes::overflow),
    case("reads the kernel's memory", Cause::Page, codes::read_kernel),
    case(
        "executes the kernel's memory",
        Cause::Page,
        codes::jump_kernel,
    ),
    case(
        "reads an address that can't be",
        Cause::Protection,
        codes::read_hole,
    ),
    case(
        "jumps to an address that can't be",
        Cause::Protection,
        codes::jump_hole,
    ),
    case(
        "calls with a stack that can't be",
        Cause::Protection,
        codes::stack_hole,
    ),
    case("uses SSE", Cause::Instruction, codes::sse),
    case("uses AVX", Cause::Instruction, codes::avx),
    case("uses the x87", Cause::Instruction, codes::x87),
    case("uses MMX", Cause::Instruction, codes::mmx),
    case(
        "executes an undefined instruction",
        Cause::Instruction,
        codes::undefined,
    ),
    case("executes hlt", Cause::Protection, codes::halt),
    case("executes cli", Cause::Protection, codes::interrupts_off),
    case("reads a port", Cause::Protection, codes::read_port),
    case(
        "reads a model-specific register",
        Cause::Protection,
        codes::read_msr,
    ),
    case(
        "writes the kernel's GS base",
        Cause::Protection,
        codes::write_msr,
    ),
    case("loads CR3", Cause::Protection, codes::load_cr3),
    case(
        "loads a descriptor table",
        Cause::Protection,
        codes::load_gdt,
    ),
    case("executes invlpg", Cause::Protection, codes::invalidate),
    case("executes swapgs", Cause::Protection, codes::swap_gs),
    case(
        "executes sysret",
        Cause::Protection,
        codes::return_to_kernel,
    ),
    case("executes int 0x80", Cause::Protection, codes::interrupt_80),
    case(
        "pretends a page fault",
        Cause::Protection,
        codes::interrupt_page,
    ),
    emulated(
        "returns to the kernel's code segment",
        Cause::Protection,
        codes::far_return,
    ),
    emulated(
        "returns from no interrupt",
        Cause::Protection,
        codes::interrupt_return,
    ),
    case("hits a breakpoint", Cause::Trap, codes::breakpoint),
    case(
        "hits a breakpoint without a stack",
        Cause::Trap,
        codes::no_stack,
    ),
    case("divides by zero", Cause::Divide, codes::divide),
    case("gives up", Cause::Declined, codes::decline),
    case("steps singly", Cause::Trap, codes::single_step),
    case(
        "steps singly into a system call",
        Cause::Trap,
        codes::single_step_call,
    ),
    case(
        "calls with the nested-task flag",
        Cause::Instruction,
        codes::nested_task,
    ),
    case(
        "calls with the direction flag",
        Cause::Instruction,
        codes::direction,
    ),
    case(
        "calls with the alignment-check flag",
        Cause::Instruction,
        codes::alignment,
    ),
    case(
        "calls with null segments",
        Cause::Instruction,
        codes::null_segments,
    ),
    case(
        "faults in its fault entry",
        Cause::Instruction,
        codes::fault_twice,
    ),
    case(
        "returns from its fault entry",
        Cause::Declined,
        codes::fault_and_return,
    ),
];

/// Runs them all.
pub fn run() -> ! {
    let mut tally = Tally::default();
    for case in CASES {
        tally.note(case.name, one(case));
    }
    tally.note("loses its capability table", loses_root());
    tally.finish("faulty")
}

fn one(case: &Case) -> Result<(), String> {
    let info = fate((case.code)(), |_| Ok(()))?;
    compare(case, &info)
}

fn compare(case: &Case, info: &ProcessInfo) -> Result<(), String> {
    let (cause, access) = parts(info);
    if info.state != state::STOPPED || ![case.cause, case.emulated].contains(&cause) {
        return Err(format!(
            "expected a {}, got {info:x?} ({})",
            case.cause.name(),
            cause.name()
        ));
    }
    match &case.page {
        Some((wanted, at)) if access != *wanted || !at.contains(&info.fault_address) => {
            Err(format!(
                "expected {wanted:?} at {at:x?}, got {access:?} at {:#x}",
                info.fault_address
            ))
        }
        // Where it jumped to may also be where it faulted.
        _ if !IMAGE.contains(&info.fault_instruction)
            && !access.contains(Access::FETCH)
            && info.fault_instruction != codes::HOLE =>
        {
            Err(format!(
                "the instruction {:#x} is not the child's",
                info.fault_instruction
            ))
        }
        _ => Ok(()),
    }
}

fn parts(info: &ProcessInfo) -> (Cause, Access) {
    let access = Access::from_bits_truncate((info.fault >> 8) as u8);
    (Cause::from_u8(info.fault as u8), access)
}

fn loses_root() -> Result<(), String> {
    let info = fate(codes::spin(), |(child, owner)| {
        owner
            .bank
            .sell(&Kernel, child.root.address())
            .map_err(|error| format!("{error}"))
    })?;
    match parts(&info).0 {
        Cause::Space => Ok(()),
        other => Err(format!(
            "expected {}, got {}",
            Cause::Space.name(),
            other.name()
        )),
    }
}

/// Lets a child run until its keeper is told; answers what became of it.
fn fate(
    code: &[u8],
    then: impl FnOnce((Child, &SubBank)) -> Result<(), String>,
) -> Result<ProcessInfo, String> {
    let show = |error: sys::Error| format!("{error}");
    let owner = SubBank::new(40).map_err(show)?;
    let mut nursery = Nursery::new().map_err(show)?;
    let keeper = Cap::<sys::object::Notify>::at(slots::take().map_err(show)?);
    SELF.make_notify(&Kernel, KEEPER, keeper.address())
        .map_err(show)?;
    let image = Image::from_code(code).map_err(|error| format!("{error}"))?;
    let program = Program {
        priority: own_priority().map_err(show)?,
        stack_pages: 1,
        keeper: keeper.address(),
        ..Program::new("faulty child", &image, owner.bank)
    };
    let child = nursery
        .child(&program)
        .map_err(|error| format!("{error}"))?;
    child.start(&Kernel).map_err(show)?;
    then((child, &owner))?;
    let told = wait_for_keeper();
    let info = child.process.info(&Kernel).map_err(show)?;
    let registers = child.process.registers(&Kernel, 0).map_err(show)?;
    drop(owner);
    nursery.forget(child);
    nursery.end();
    slots::give(keeper.address());
    told?;
    if parts(&info).0 != Cause::Space && registers[0] != info.fault_instruction {
        return Err(format!(
            "registers name the instruction {:#x}, not that of {info:x?}",
            registers[0]
        ));
    }
    Ok(info)
}

fn wait_for_keeper() -> Result<(), String> {
    let clock = Clock::new().map_err(|error| format!("{error}"))?;
    clock
        .arm(clock.now() + SECOND, TIMER)
        .map_err(|error| format!("{error}"))?;
    let result = loop {
        match Kernel.wait([0; 4]) {
            Event::Notified { group: 0, bits } if bits & 1 << KEEPER != 0 => break Ok(()),
            Event::Notified { group: 0, bits } if bits & 1 << TIMER != 0 => {
                break Err("its keeper was not told within a second".into());
            }
            _ => {}
        }
    };
    let _ = clock.disarm();
    // The timer may have fired meanwhile.
    while let Some(Event::Notified { .. }) = Kernel.poll([0; 4]) {}
    result
}
