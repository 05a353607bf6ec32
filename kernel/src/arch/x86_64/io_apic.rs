//! The registers of an I/O APIC, where ACPI says that there is one.
//!
//! 82093AA I/O APIC data sheet.

use kernel::platform::IoApic;

use super::apic::identity;
use super::memory::physical;

/// In an entry of the redirection table.
const MASKED: u32 = 1 << 16;

fn access(apic: &IoApic, index: u32, value: Option<u32>) -> u32 {
    let select = physical(apic.address).cast::<u32>();
    let window = physical(apic.address + 0x10).cast::<u32>();
    // SAFETY: the two registers of an I/O APIC, aligned; `Platform::read` has made sure that they are
    // mapped and lie in no RAM.
    unsafe {
        select.write_volatile(index);
        if let Some(value) = value {
            window.write_volatile(value);
        }
        window.read_volatile()
    }
}

/// Index of the register that holds the lower half of a global interrupt's entry.
fn entry(apic: &IoApic, interrupt: u32) -> u32 {
    0x10 + 2 * (interrupt - apic.first)
}

/// Global interrupts that it serves.
pub fn lines(apic: &IoApic) -> u32 {
    (access(apic, 1, None) >> 16 & 0xff) + 1
}

/// Routes a global interrupt that it serves to a vector of this CPU, masked.
pub fn route(apic: &IoApic, interrupt: u32, vector: u8, low_active: bool, level: bool) {
    let index = entry(apic, interrupt);
    let mode = u32::from(low_active) << 13 | u32::from(level) << 15;
    access(apic, index + 1, Some(u32::from(identity()) << 24));
    access(apic, index, Some(u32::from(vector) | mode | MASKED));
}

/// Masks or unmasks a global interrupt that it serves.
pub fn mask(apic: &IoApic, interrupt: u32, masked: bool) {
    let index = entry(apic, interrupt);
    let entry = access(apic, index, None) & !MASKED;
    access(apic, index, Some(entry | if masked { MASKED } else { 0 }));
}
