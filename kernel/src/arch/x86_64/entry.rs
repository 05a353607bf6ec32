//! Where the CPU comes in from user code, and how it leaves.
//!
//! A system call pushes the ten message registers onto the kernel's stack, where they stay: the
//! portable kernel changes them in place, and whoever runs next gets them popped. The preserved
//! registers go straight into the process's frame. Interrupts and faults save everything there.
//! The kernel runs with interrupts off; only the idle loop lets them in.

use core::arch::global_asm;
use core::mem::offset_of;

use abi::fault::{Access, Cause};
use kernel::process::{Preserved, Process, Registers};
use x86_64::VirtAddr;
use x86_64::registers::control::Cr2;

use super::apic;
use super::descriptors::selector;
use super::panic::KernelTrap;
use super::watch;
use crate::PcKernel;

/// First vector for devices.
pub const DEVICE_VECTORS: u8 = 0x30;
/// The timer's vector.
pub const TIMER_VECTOR: u8 = 0xe0;
/// The local APIC's spurious vector.
pub const SPURIOUS_VECTOR: u8 = 0xff;

/// What `gs` points at while in the kernel.
#[repr(C, align(64))]
struct PerCpu {
    stack: u64,
    user_stack: u64,
    current: *const Process,
}

static mut PER_CPU: PerCpu = PerCpu {
    stack: 0,
    user_stack: 0,
    current: core::ptr::null(),
};

unsafe extern "C" {
    static interrupt_stubs: u8;
    static kernel_stack_top: u8;
    static watched_stubs: u8;
    fn system_call_entry();
    fn watched_system_call_entry();
    fn leave_kernel(process: *const Process) -> !;
}

/// Top of the kernel's stack.
pub fn stack_top() -> u64 {
    &raw const kernel_stack_top as u64
}

/// The entry of a vector: they are 16 bytes apart.
pub fn stub_address(vector: u8) -> VirtAddr {
    VirtAddr::new(&raw const interrupt_stubs as u64 + 16 * u64::from(vector))
}

/// The entry of a vector while entries are watched.
pub fn watched_stub_address(vector: u8) -> VirtAddr {
    VirtAddr::new(&raw const watched_stubs as u64 + 16 * u64::from(vector))
}

/// Has system calls come in by the one way or the other.
pub fn watch_system_calls(on: bool) {
    use x86_64::registers::model_specific::LStar;
    let entry = if on {
        watched_system_call_entry as *const ()
    } else {
        system_call_entry as *const ()
    };
    LStar::write(VirtAddr::new(entry as u64));
}

/// Sets up system calls and the per-CPU structure.
///
/// # Safety
/// Called once, at boot, after the segments are loaded.
pub unsafe fn initialise() {
    use x86_64::registers::model_specific::{GsBase, KernelGsBase, LStar, Msr, SFMask};
    use x86_64::registers::rflags::RFlags;
    const STAR: u32 = 0xc000_0081;
    // SAFETY: nothing else uses `PER_CPU` yet; the MSRs get this kernel's own entry and segments.
    unsafe {
        PER_CPU.stack = stack_top();
        GsBase::write(VirtAddr::new(&raw const PER_CPU as u64));
        KernelGsBase::write(VirtAddr::new(0));
        LStar::write(VirtAddr::new(system_call_entry as *const () as u64));
        let user = u64::from(selector::KERNEL_DATA) << 48;
        Msr::new(STAR).write(user | u64::from(selector::KERNEL_CODE) << 32);
    }
    SFMask::write(
        RFlags::INTERRUPT_FLAG
            | RFlags::TRAP_FLAG
            | RFlags::DIRECTION_FLAG
            | RFlags::NESTED_TASK
            | RFlags::ALIGNMENT_CHECK,
    );
}

/// Leaves the kernel for a process, whose registers are all in its frame; idles without one.
///
/// # Safety
/// Everything is initialised, and the process's address space is loaded.
pub unsafe fn enter(process: *const Process) -> ! {
    // SAFETY: as promised by the caller.
    unsafe { leave_kernel(process) }
}

/// The process that was entered last.
pub fn entered() -> *const Process {
    // SAFETY: a plain read of a pointer that this CPU alone writes.
    unsafe { PER_CPU.current }
}

/// A system call came in.
extern "sysv64" fn on_system_call(registers: &mut Registers) -> *const Process {
    crate::with_kernel(|kernel| pointer(kernel.system_call(registers)))
}

/// The CPU idles: is there something to do?
extern "sysv64" fn on_idle(registers: &mut Registers) -> *const Process {
    crate::with_kernel(|kernel| pointer(kernel.after_interrupt(registers)))
}

/// An interrupt or fault came while a user process ran; its registers are saved.
extern "sysv64" fn on_interrupt(
    vector: u64,
    error: u64,
    registers: &mut Registers,
) -> *const Process {
    crate::with_kernel(|kernel| pointer(serve(kernel, vector, error, registers)))
}

/// Does what an interrupt or fault asks for. Answers who runs now.
#[inline(always)]
pub(super) fn serve<'k>(
    kernel: &'k PcKernel,
    vector: u64,
    error: u64,
    registers: &mut Registers,
) -> Option<&'k Process> {
    if vector >= 32 {
        kernel.interrupted();
        return match acknowledge(kernel, vector) {
            true => kernel.tick(registers),
            false => kernel.after_interrupt(registers),
        };
    }
    if vector == 2 {
        kernel.interrupted();
        return kernel.after_interrupt(registers);
    }
    let (mut access, mut address) = (Access::empty(), 0);
    let cause = match vector {
        14 => {
            address = Cr2::read_raw();
            access.set(Access::PRESENT, error & 1 != 0);
            access.set(Access::WRITE, error & 2 != 0);
            access.set(Access::FETCH, error & 16 != 0);
            Cause::Page
        }
        6 | 7 => Cause::Instruction,
        10..=13 => Cause::Protection,
        0 => Cause::Divide,
        _ => Cause::Trap,
    };
    kernel.fault(cause, access, address, registers)
}

/// Tells the kernel and the APIC of an interrupt, in this order: the kernel masks the line if it must.
/// Answers whether it was the timer's.
pub(super) fn acknowledge(kernel: &PcKernel, vector: u64) -> bool {
    if vector == u64::from(SPURIOUS_VECTOR) {
        return false;
    }
    let timer = vector == u64::from(TIMER_VECTOR);
    if let Some(device) = vector.checked_sub(u64::from(DEVICE_VECTORS))
        && !timer
    {
        kernel.interrupt(device as usize);
    }
    apic::end_of_interrupt();
    timer
}

/// An interrupt or fault came while the kernel ran: an interrupt only when idle.
extern "sysv64" fn on_kernel_interrupt(trap: &KernelTrap) {
    if trap.vector < 32 && trap.vector != 2 {
        panic!("{trap}");
    }
    if trap.vector >= 32 {
        crate::with_kernel(|kernel| {
            if acknowledge(kernel, trap.vector) {
                kernel.idle_tick();
            }
        });
    }
}

pub(super) fn pointer(process: Option<&Process>) -> *const Process {
    process.map_or(core::ptr::null(), core::ptr::from_ref)
}

global_asm!(
    include_str!("entry.s"),
    stack = const offset_of!(PerCpu, stack),
    user_stack = const offset_of!(PerCpu, user_stack),
    current = const offset_of!(PerCpu, current),
    rip = const offset_of!(Preserved, rip),
    rflags = const offset_of!(Preserved, rflags),
    rsp = const offset_of!(Preserved, rsp),
    rbx = const offset_of!(Preserved, rbx),
    rbp = const offset_of!(Preserved, rbp),
    r15 = const offset_of!(Preserved, r15),
    rcx = const offset_of!(Preserved, rcx),
    r11 = const offset_of!(Preserved, r11),
    message = const offset_of!(Process, message),
    last_capability = const offset_of!(Process, last_capability),
    last_method = const offset_of!(Process, last_method),
    full = const offset_of!(Process, full),
    user_data = const selector::USER_DATA,
    user_code = const selector::USER_CODE,
    on_system_call = sym on_system_call,
    on_idle = sym on_idle,
    on_interrupt = sym on_interrupt,
    on_kernel_interrupt = sym on_kernel_interrupt,
    on_watched_system_call = sym watch::on_watched_system_call,
    on_watched_interrupt = sym watch::on_watched_interrupt,
    on_watched_kernel_interrupt = sym watch::on_watched_kernel_interrupt,
);

const _: () = assert!(offset_of!(Process, preserved) == 0);
