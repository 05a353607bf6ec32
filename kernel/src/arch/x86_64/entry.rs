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
    fn system_call_entry();
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
    crate::with_kernel(|kernel| {
        if vector >= 32 {
            kernel.interrupted();
            return pointer(match acknowledge(kernel, vector) {
                true => kernel.tick(registers),
                false => kernel.after_interrupt(registers),
            });
        }
        if vector == 2 {
            kernel.interrupted();
            return pointer(kernel.after_interrupt(registers));
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
        pointer(kernel.fault(cause, access, address, registers))
    })
}

/// Tells the kernel and the APIC of an interrupt, in this order: the kernel masks the line if it must.
/// Answers whether it was the timer's.
fn acknowledge(kernel: &crate::PcKernel, vector: u64) -> bool {
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

fn pointer(process: Option<&Process>) -> *const Process {
    process.map_or(core::ptr::null(), core::ptr::from_ref)
}

global_asm!(
    r#"
.section .text
.balign 16
system_call_entry:
    swapgs
    mov gs:[{user_stack}], rsp
    mov rsp, gs:[{stack}]
    push r14
    push r13
    push r12
    push r9
    push r8
    push r10
    push rdx
    push rsi
    push rdi
    push rax
    mov rax, gs:[{current}]
    mov [rax + {rip}], rcx
    mov [rax + {rflags}], r11
    mov rcx, gs:[{user_stack}]
    mov [rax + {rsp}], rcx
    mov [rax + {rbx}], rbx
    mov [rax + {rbp}], rbp
    mov [rax + {r15}], r15
    mov [rax + {last_capability}], rdi
    mov [rax + {last_method}], rsi
    xor ebp, ebp
    mov rdi, rsp
    call {on_system_call}

// rax: the process to run, or null; rsp: its message registers.
resume:
    test rax, rax
    jz idle
    mov gs:[{current}], rax
    cmp byte ptr [rax + {full}], 0
    jne resume_all
    mov rcx, [rax + {rip}]
    mov r11, [rax + {rflags}]
    mov rbx, [rax + {rbx}]
    mov rbp, [rax + {rbp}]
    mov r15, [rax + {r15}]
    mov rdx, [rax + {rsp}]
    mov gs:[{user_stack}], rdx
    pop rax
    pop rdi
    pop rsi
    pop rdx
    pop r10
    pop r8
    pop r9
    pop r12
    pop r13
    pop r14
    mov rsp, gs:[{user_stack}]
    swapgs
    sysretq

// Everything comes from the process's frame. rax: the process.
.global leave_kernel
leave_kernel:
    mov rax, rdi
    mov rsp, gs:[{stack}]
    sub rsp, 80
    test rax, rax
    jz idle
    mov gs:[{current}], rax
resume_all:
    mov byte ptr [rax + {full}], 0
    push {user_data}
    push qword ptr [rax + {rsp}]
    push qword ptr [rax + {rflags}]
    push {user_code}
    push qword ptr [rax + {rip}]
    mov rbx, [rax + {rbx}]
    mov rbp, [rax + {rbp}]
    mov r15, [rax + {r15}]
    mov rcx, [rax + {rcx}]
    mov r11, [rax + {r11}]
    mov rdi, [rax + {message} + 8]
    mov rsi, [rax + {message} + 16]
    mov rdx, [rax + {message} + 24]
    mov r10, [rax + {message} + 32]
    mov r8, [rax + {message} + 40]
    mov r9, [rax + {message} + 48]
    mov r12, [rax + {message} + 56]
    mov r13, [rax + {message} + 64]
    mov r14, [rax + {message} + 72]
    mov rax, [rax + {message}]
    swapgs
    iretq

// Nobody is ready. Interrupts are let in only between these two instructions.
idle:
    mov rsp, gs:[{stack}]
    sub rsp, 80
    xor ebp, ebp
    sti
    hlt
    cli
    mov rdi, rsp
    call {on_idle}
    jmp resume

// A vector's stub pushes (zero for) the error code and the vector.
.balign 16
.global interrupt_stubs
interrupt_stubs:
.set vector, 0
.rept 256
    .balign 16
    .if vector != 8 && vector != 10 && vector != 11 && vector != 12 && vector != 13 && vector != 14 && vector != 17 && vector != 21
    push 0
    .endif
    push vector
    jmp interrupt_common
    .set vector, vector + 1
.endr

.balign 16
interrupt_common:
    // On the stack: vector, error, rip, cs, rflags, rsp, ss.
    test byte ptr [rsp + 24], 3
    jz interrupt_kernel
    swapgs
    push rax
    mov rax, gs:[{current}]
    mov [rax + {message} + 8], rdi
    mov [rax + {message} + 16], rsi
    mov [rax + {message} + 24], rdx
    mov [rax + {message} + 32], r10
    mov [rax + {message} + 40], r8
    mov [rax + {message} + 48], r9
    mov [rax + {message} + 56], r12
    mov [rax + {message} + 64], r13
    mov [rax + {message} + 72], r14
    mov [rax + {rbx}], rbx
    mov [rax + {rbp}], rbp
    mov [rax + {r15}], r15
    mov [rax + {rcx}], rcx
    mov [rax + {r11}], r11
    pop rcx
    mov [rax + {message}], rcx
    mov rcx, [rsp + 16]
    mov [rax + {rip}], rcx
    mov rcx, [rsp + 32]
    mov [rax + {rflags}], rcx
    mov rcx, [rsp + 40]
    mov [rax + {rsp}], rcx
    mov rdi, [rsp]
    mov rsi, [rsp + 8]
    mov rsp, gs:[{stack}]
    sub rsp, 80
    xor ebp, ebp
    cld
    mov rdx, rsp
    call {on_interrupt}
    jmp resume

interrupt_kernel:
    push r15
    push r14
    push r13
    push r12
    push r11
    push r10
    push r9
    push r8
    push rbp
    push rdi
    push rsi
    push rdx
    push rcx
    push rbx
    push rax
    cld
    mov rdi, rsp
    mov rbx, rsp
    and rsp, -16
    call {on_kernel_interrupt}
    mov rsp, rbx
    pop rax
    pop rbx
    pop rcx
    pop rdx
    pop rsi
    pop rdi
    pop rbp
    pop r8
    pop r9
    pop r10
    pop r11
    pop r12
    pop r13
    pop r14
    pop r15
    add rsp, 16
    iretq

.global kernel_stack_top
.section .bss
.balign 4096
    .skip 32768
kernel_stack_top:
.section .text
.global system_call_entry
"#,
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
);

const _: () = assert!(offset_of!(Process, preserved) == 0);
