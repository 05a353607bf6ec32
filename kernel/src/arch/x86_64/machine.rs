//! The PC as the portable kernel sees it.

use core::ops::Range;

use kernel::error::{DEVICE, Status};
use kernel::frame::Frame;
use kernel::machine::{Machine, Source, Trigger, Width};
use kernel::msix::Functions;
use kernel::platform::Platform;
use kernel::ram::{REGIONS, Region};
use x86_64::PhysAddr;
use x86_64::instructions::port::Port;
use x86_64::instructions::tlb;
use x86_64::registers::control::{Cr3, Cr3Flags};
use x86_64::structures::paging::PhysFrame;

use super::entry::DEVICE_VECTORS;
use super::memory::{PHYSICAL_BASE, physical};
use super::random::Random;
use super::{descriptors, entry, io_apic, pci, serial, time, watch};

/// What PCs had when they were small.
const FIRST_MIB: Range<u64> = 0..1 << 20;

/// Functions with MSI-X that are known: each holds up the mapping of device memory a little.
const MSIX_FUNCTIONS: usize = 256;

/// A PC.
pub struct Pc {
    /// The kernel's own address space.
    pub space: Frame,
    /// Words of the upper half of its level-4 table.
    pub upper: [u64; 256],
    /// What ACPI says.
    pub platform: Platform,
    /// The memory map.
    pub regions: [Region; REGIONS],
    /// The functions that have MSI-X tables.
    pub msix: Functions<MSIX_FUNCTIONS>,
    /// Random numbers.
    pub random: Random,
    /// Port of the debug-exit device, or 0.
    pub exit_port: u16,
}

// SAFETY: the kernel is given frames of usable RAM only, which stay mapped at `PHYSICAL_BASE` for
// good; the boot code touches them no more afterwards.
unsafe impl Machine for Pc {
    #[inline(always)]
    fn frame_address(&self, frame: Frame) -> *mut u8 {
        (PHYSICAL_BASE + frame.physical()) as *mut u8
    }

    #[inline(always)]
    fn ticks(&self) -> u64 {
        time::ticks()
    }

    fn frequency(&self) -> u64 {
        time::frequency()
    }

    fn set_timer(&self, tick: u64) {
        time::set_timer(tick);
    }

    #[inline(always)]
    fn load_space(&self, table: Frame) {
        // SAFETY: every level-4 table has the kernel's entries in its upper half.
        unsafe { core::arch::asm!("mov cr3, {}", in(reg) table.physical(), options(nostack)) };
    }

    fn kernel_space(&self) -> Frame {
        self.space
    }

    fn kernel_entry(&self, index: usize) -> u64 {
        self.upper[index & 255]
    }

    fn flush_page(&self, address: u64) {
        // SAFETY: an address in an address space's lower half, all of which are canonical.
        tlb::flush(unsafe { x86_64::VirtAddr::new_unsafe(address) });
    }

    fn flush_all(&self) {
        tlb::flush_all();
    }

    fn zero(&self, frame: Frame) {
        let words = self.frame_address(frame).cast::<u64>();
        // SAFETY: 512 words of a frame that the kernel owns; nobody else maps it any more.
        unsafe {
            core::arch::asm!(
                "rep stosq",
                inout("rcx") 512u64 => _,
                inout("rdi") words => _,
                in("rax") 0u64,
                options(nostack, preserves_flags)
            );
        }
    }

    fn watch(&self, on: bool) {
        entry::watch_system_calls(on);
        descriptors::watch_interrupts(on);
    }

    fn set_breakpoint(&self, address: Option<u64>) {
        watch::set_breakpoint(address);
    }

    #[cfg(feature = "count-events")]
    fn mark(&self, mark: u32) {
        use abi::count::mark::{BEGIN, PAUSE, READ, RESUME};
        macro_rules! show {
            ($mark:expr) => {
                // SAFETY: an instruction without any effect: it computes an address and drops it.
                unsafe {
                    core::arch::asm!(
                        "nop dword ptr [rax + {mark}]",
                        mark = const $mark,
                        options(nomem, nostack, preserves_flags)
                    )
                }
            };
        }
        match mark {
            PAUSE => show!(PAUSE),
            RESUME => show!(RESUME),
            BEGIN => show!(BEGIN),
            READ => show!(READ),
            _ => {}
        }
    }

    fn random(&self) -> u64 {
        self.random.next()
    }

    fn port_read(&self, port: u16, width: Width) -> u32 {
        // SAFETY: the holder of the `IoPort` capability answers for what the device does; ports that
        // the kernel depends on are excluded by `port_is_kernels`.
        unsafe {
            match width {
                Width::Byte => Port::<u8>::new(port).read().into(),
                Width::Word => Port::<u16>::new(port).read().into(),
                Width::Long => Port::new(port).read(),
            }
        }
    }

    fn port_write(&self, port: u16, width: Width, value: u32) {
        // SAFETY: as in `port_read`.
        unsafe {
            match width {
                Width::Byte => Port::new(port).write(value as u8),
                Width::Word => Port::new(port).write(value as u16),
                Width::Long => Port::new(port).write(value),
            }
        }
    }

    fn port_is_kernels(&self, port: u16) -> bool {
        // Interrupt controllers, interval timer, configuration space, power and exit.
        matches!(port, 0x20..=0x21 | 0xa0..=0xa1 | 0x40..=0x43 | 0x61 | 0xcf8..=0xcff)
            || (self.exit_port != 0 && port.wrapping_sub(self.exit_port) < 4)
            || (self.platform.power_port != 0 && port.abs_diff(self.platform.power_port) < 2)
    }

    fn pci_read(&self, function: u16, offset: u16, width: Width) -> u32 {
        pci::read(function, offset, width)
    }

    fn pci_write(&self, function: u16, offset: u16, width: Width, value: u32) {
        pci::write(function, offset, width, value);
    }

    fn is_device_memory(&self, first_page: u64, pages: u64) -> bool {
        let Some(end) = first_page.checked_add(pages).filter(|end| *end <= 1 << 40) else {
            return false;
        };
        let range = first_page << 12..end << 12;
        if self
            .taken()
            .any(|taken| range.start < taken.end && taken.start < range.end)
        {
            return false;
        }
        // Interrupts are the kernel's: pages with MSI-X tables are too.
        !self.msix.claim(self, &range)
    }

    fn irq_connect(&self, source: Source, vector: u8) -> Result<Trigger, Status> {
        let vector = DEVICE_VECTORS + vector;
        match source {
            Source::Isa(line) => {
                let (interrupt, low, level) = self.platform.isa[usize::from(line & 15)];
                let apic = self.platform.io_apic(interrupt, io_apic::lines);
                io_apic::route(apic.ok_or(DEVICE)?, interrupt, vector, low, level);
                Ok(if level { Trigger::Level } else { Trigger::Edge })
            }
            // A message is an event.
            Source::MsiX { function, entry } => {
                pci::connect(self, function, entry, vector).map(|()| Trigger::Edge)
            }
        }
    }

    fn irq_mask(&self, source: Source, masked: bool) {
        match source {
            Source::Isa(line) => {
                let (interrupt, ..) = self.platform.isa[usize::from(line & 15)];
                if let Some(apic) = self.platform.io_apic(interrupt, io_apic::lines) {
                    io_apic::mask(apic, interrupt, masked);
                }
            }
            Source::MsiX { function, entry } => pci::mask(self, function, entry, masked),
        }
    }

    fn console(&self, bytes: &[u8]) -> usize {
        serial::give(bytes)
    }

    fn reboot(&self) {
        super::reboot();
    }

    fn halt(&self, code: u64) {
        super::stop(if code == 0 {
            super::HALTED
        } else {
            super::FAILED
        });
    }
}

impl Pc {
    /// Physical memory that is something else than registers of devices: all of the memory map, ECAM,
    /// interrupt controllers and what else the chipset has, and the first MiB.
    pub fn taken(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        let regions = self.regions.iter().map(|region| region.start..region.end);
        regions.chain(self.platform.registers()).chain([FIRST_MIB])
    }
}

/// Loads the kernel's own address space.
///
/// # Safety
/// Its upper half maps everything that the kernel uses now.
pub unsafe fn load_first_space(table: Frame) {
    let frame = PhysFrame::containing_address(PhysAddr::new(table.physical()));
    // SAFETY: as promised by the caller.
    unsafe { Cr3::write(frame, Cr3Flags::empty()) };
}

/// The words of a level-4 table's upper half.
pub fn upper_half(table: Frame) -> [u64; 256] {
    let words = physical(table.physical()).cast::<u64>();
    // SAFETY: the table that was just made: 512 words.
    core::array::from_fn(|n| unsafe { *words.add(256 + n) })
}
