//! What init is given to work with.

use abi::boot::slot;
use abi::cap::CapAddr;
use rt::child::Window;
use sys::bank::{Bank, Verifier};
use sys::object::{Clock, DeviceDma, DeviceMemory, IoPort, Irq, Log, Process, Reset};
use sys::{Cap, Error};

/// What init has besides what every server has: a way to see the segments of the programs that it
/// starts. The binary gives it `user/rt`'s; tests a fake.
pub trait Host: dev::Program {
    /// How segments are seen.
    type Window: Window;

    /// A way to see segments, showing none.
    fn window(&self) -> Self::Window;

    /// `count` slots that follow each other in one table.
    ///
    /// # Errors
    /// `EMFILE`: none are left. Those of buying a `CapTable`.
    fn take_slots(&self, count: u16) -> Result<CapAddr, Error>;
}

/// init's own bank: the prime bank.
pub const PRIME: Cap<Bank> = Cap::at(slot::BANK);
/// Tells genuine banks.
pub const VERIFIER: Cap<Verifier> = Cap::at(slot::INIT_VERIFIER);
/// All interrupts.
pub const IRQ: Cap<Irq> = Cap::at(slot::INIT_IRQ);
/// All I/O ports.
pub const IO_PORT: Cap<IoPort> = Cap::at(slot::INIT_IO_PORT);
/// All device memory.
pub const DEVICE_MEMORY: Cap<DeviceMemory> = Cap::at(slot::INIT_DEVICE_MEMORY);
/// All PCI functions.
pub const DEVICE_DMA: Cap<DeviceDma> = Cap::at(slot::INIT_DEVICE_DMA);
/// Reboot and halt.
pub const RESET: Cap<Reset> = Cap::at(slot::INIT_RESET);
/// init itself.
pub const PROCESS: Cap<Process> = Cap::at(slot::PROCESS);
/// spacebank, to look at.
pub const SPACEBANK: Cap<Process> = Cap::at(slot::INIT_SPACEBANK);
/// The log.
pub const LOG: Cap<Log> = Cap::at(slot::LOG);
/// Time.
pub const CLOCK: Cap<Clock> = Cap::at(slot::CLOCK);

/// init's notification bits.
pub mod bit {
    /// The timer.
    pub const TIMER: u64 = 0;
    /// The serial line.
    pub const SERIAL: u64 = 1;
    /// A line was logged.
    pub const LOG: u64 = 2;
    /// The driver stopped.
    pub const DRIVER: u64 = 3;
    /// The program of `program=` stopped.
    pub const GUEST: u64 = 4;
    /// A session began or ended.
    pub const SESSIONS: u64 = 5;
    /// The watchdog ended the driver.
    pub const HUNG: u64 = 6;
    /// The watchdog stopped.
    pub const WATCHDOG: u64 = 7;
    /// The probe stopped somebody.
    pub const PROBE: u64 = 8;
    /// The stack of user 0 stopped; the others' follow.
    pub const USERS: u64 = 64;
}

/// Priorities, highest first; spacebank's is 60. What serves others must run before them, and init
/// must get to run whatever stacks do.
pub mod priority {
    /// The watchdog: a driver that spins leaves nobody else a turn.
    pub const WATCHDOG: u8 = 55;
    /// Drivers.
    pub const DRIVER: u8 = 50;
    /// init.
    pub const INIT: u8 = 40;
    /// Stacks, and the program of `program=`.
    pub const STACK: u8 = 20;
}

#[cfg(all(feature = "bare", target_os = "none"))]
impl Host for dev::bare::This {
    type Window = rt::child::OwnWindow;

    fn window(&self) -> rt::child::OwnWindow {
        rt::child::OwnWindow::default()
    }

    fn take_slots(&self, count: u16) -> Result<CapAddr, Error> {
        rt::slots::take_run(count)
    }
}
