//! The PC: everything that the portable kernel doesn't know.

pub mod apic;
pub mod boot;
pub mod descriptors;
pub mod entry;
pub mod io_apic;
pub mod machine;
pub mod memory;
pub mod panic;
pub mod pci;
pub mod random;
pub mod serial;
pub mod time;
pub mod watch;

use core::sync::atomic::{AtomicU16, Ordering};

use x86_64::instructions::port::Port;
use x86_64::registers::control::{Cr0, Cr0Flags, Cr4, Cr4Flags};

/// Value for the debug-exit device when the machine was halted on purpose.
pub const HALTED: u32 = 0x10;
/// Halted with a code other than zero.
pub const FAILED: u32 = 0x11;
/// The kernel panicked.
pub const PANICKED: u32 = 0x12;

/// Port of the debug-exit device; 0 for none.
static EXIT_PORT: AtomicU16 = AtomicU16::new(0);
/// Port of ACPI's power control; 0 for none.
static POWER_PORT: AtomicU16 = AtomicU16::new(0);

/// Names the ports by which [`stop`] works.
pub fn set_stop_ports(exit: u16, power: u16) {
    EXIT_PORT.store(exit, Ordering::Relaxed);
    POWER_PORT.store(power, Ordering::Relaxed);
}

/// Stops the machine: by the debug-exit device where there is one, else by ACPI, else by halting.
pub fn stop(value: u32) -> ! {
    x86_64::instructions::interrupts::disable();
    // SAFETY: both devices exist, as the command line and ACPI say, and end the machine.
    unsafe {
        match EXIT_PORT.load(Ordering::Relaxed) {
            0 => {}
            port => Port::new(port).write(value),
        }
        match POWER_PORT.load(Ordering::Relaxed) {
            0 => {}
            // Sleep enable with type 0: what QEMU's S5 is (its \_S5 needs no AML to be known).
            port => Port::new(port).write(1u16 << 13),
        }
    }
    loop {
        x86_64::instructions::hlt();
    }
}

/// Starts the machine again, by the reset control register of PCs (port 0xcf9).
pub fn reboot() {
    // SAFETY: a full reset; nothing runs afterwards.
    unsafe { Port::<u8>::new(0xcf9).write(6) };
}

/// Sets the CPU's control registers: no floating point or SIMD for anybody, global pages, and
/// protection of the kernel from user memory where the CPU has it. Answers whether it has 1 GiB
/// pages.
pub fn set_control_registers() -> bool {
    use core::arch::x86_64::__cpuid_count;
    let (features, extended) = (__cpuid_count(7, 0), __cpuid_count(0x8000_0001, 0));
    let mut flags = Cr4Flags::PHYSICAL_ADDRESS_EXTENSION | Cr4Flags::PAGE_GLOBAL;
    flags.set(
        Cr4Flags::SUPERVISOR_MODE_EXECUTION_PROTECTION,
        features.ebx & 1 << 7 != 0,
    );
    flags.set(
        Cr4Flags::SUPERVISOR_MODE_ACCESS_PREVENTION,
        features.ebx & 1 << 20 != 0,
    );
    flags.set(
        Cr4Flags::USER_MODE_INSTRUCTION_PREVENTION,
        features.ecx & 1 << 2 != 0,
    );
    let paging = Cr0Flags::PAGING | Cr0Flags::PROTECTED_MODE_ENABLE | Cr0Flags::EXTENSION_TYPE;
    // SAFETY: paging stays as it is; the kernel uses neither floating point nor user memory.
    unsafe {
        Cr4::write(flags);
        Cr0::write(paging | Cr0Flags::WRITE_PROTECT | Cr0Flags::EMULATE_COPROCESSOR);
    }
    extended.edx & 1 << 26 != 0
}

/// First physical address that the CPU can't name (Intel SDM vol. 3A, 4.1.4).
pub fn addresses_end() -> u64 {
    use core::arch::x86_64::__cpuid;
    const WIDTHS: u32 = 0x8000_0008;
    let has_widths = __cpuid(0x8000_0000).eax >= WIDTHS;
    let width = if has_widths {
        __cpuid(WIDTHS).eax & 0xff
    } else {
        36
    };
    // 52 bits are what a table's entry has room for.
    1 << width.clamp(32, 52)
}

/// Silences the two interrupt controllers of the PC/AT.
pub fn silence_old_controllers() {
    for (port, value) in [
        (0x20u16, 0x11u8),
        (0xa0, 0x11),
        (0x21, 0x20),
        (0xa1, 0x28),
        (0x21, 4),
        (0xa1, 2),
        (0x21, 1),
        (0xa1, 1),
        (0x21, 0xff),
        (0xa1, 0xff),
    ] {
        // SAFETY: the controllers' initialisation words (8259A data sheet), then everything masked.
        unsafe { Port::new(port).write(value) };
    }
}
