//! One CPU: the kernel's entries, and the registers that go in and come out.
//!
//! It does what `arch/x86_64`'s entry code does, and no more: the message registers of a system call
//! stay where they are, and whoever the kernel chooses finds its own there, or in its frame when it
//! was interrupted.

use std::cell::Cell;

use abi::fault::{Access, Cause};
use kernel::Kernel;
use kernel::frame::Frame;
use kernel::genesis::{Boot, GenesisError};
use kernel::object::Oid;
use kernel::process::{Process, Registers};

use crate::image;
use crate::machine::SimMachine;
use crate::memory::Memory;
use crate::mmu::{self, Miss, Reached};
use crate::random::Dice;

/// A CPU with a kernel on it.
pub struct Processor {
    kernel: Option<Kernel<'static, SimMachine>>,
    memory: &'static Memory,
    live: Cell<Registers>,
}

impl Processor {
    /// A machine with this many objects, just switched on, whose first two programs are ready to run:
    /// spacebank at entry [`image::entry`]`(0)`, init at entry `(1)`. Nothing runs yet.
    ///
    /// # Errors
    /// Too few objects.
    pub fn boot(objects: usize, dice: &Dice) -> Result<Processor, GenesisError> {
        let memory = Memory::take(objects, dice);
        let machine = SimMachine::new(memory, dice.word());
        let kernel = Kernel::new(
            machine,
            &memory.objects,
            &memory.frames,
            &memory.timers,
            &memory.console,
        );
        kernel.set_log_level(5);
        let (bank, init) = (image::elf(0), image::elf(1));
        kernel.genesis(&Boot {
            spacebank: &bank,
            init: &init,
            archive_pages: 0,
            archive_bytes: 0,
            command_line: b"sim",
            cpus: 1,
        })?;
        Ok(Processor {
            kernel: Some(kernel),
            memory,
            live: Cell::new(Registers::default()),
        })
    }

    /// The kernel.
    pub fn kernel(&self) -> &Kernel<'static, SimMachine> {
        self.kernel.as_ref().expect("taken only when dropped")
    }

    /// The machine under the kernel.
    pub fn machine(&self) -> &SimMachine {
        self.kernel().machine()
    }

    /// RAM and the kernel's tables.
    pub fn memory(&self) -> &'static Memory {
        self.memory
    }

    /// Who runs.
    pub fn current(&self) -> Option<&Process> {
        self.kernel().current()
    }

    /// The process with this number, if it lives.
    pub fn process(&self, oid: Oid) -> Option<&Process> {
        self.kernel().live_process(oid)
    }

    /// An object's version.
    pub fn version(&self, oid: Oid) -> u64 {
        self.memory
            .objects
            .get(oid.0 as usize)
            .map_or(0, |row| row.version.get())
    }

    /// The frame that an object owns.
    pub fn frame(&self, oid: Oid) -> Frame {
        self.memory
            .objects
            .get(oid.0 as usize)
            .map_or(Frame::NONE, |row| row.frame.get())
    }

    /// The message registers of who runs.
    pub fn registers(&self) -> Registers {
        self.live.get()
    }

    /// Changes the message registers of who runs.
    pub fn set_registers(&self, registers: Registers) {
        self.live.set(registers);
    }

    /// Leaves the kernel for the process that it chose.
    fn leave(&self, next: Option<&Process>, registers: Registers) {
        match next {
            None => {}
            Some(process) if process.full.replace(0) != 0 => self.live.set(process.message.get()),
            Some(_) => self.live.set(registers),
        }
    }

    /// The current process executes `syscall`.
    ///
    /// # Panics
    /// Nobody runs.
    pub fn system_call(&self, registers: Registers) {
        let process = self.current().expect("a process runs");
        process.last_capability.set(registers.rdi);
        process.last_method.set(registers.rsi);
        let mut registers = registers;
        let next = self.kernel().system_call(&mut registers);
        self.leave(next, registers);
    }

    /// The current process executes `syscall` while entries are watched, by an instruction that ends at
    /// its instruction pointer.
    ///
    /// # Panics
    /// Nobody runs.
    pub fn watched_system_call(&self, registers: Registers) {
        let mut registers = registers;
        let next = self.kernel().watched_system_call(&mut registers);
        self.leave(next, registers);
    }

    /// The current process traps while entries are watched: after an instruction (`single`), or at the
    /// breakpoint. False: the trap isn't the probe's.
    pub fn watched_step(&self, single: bool) -> bool {
        self.save();
        let mut registers = Registers::default();
        match self.kernel().watched_step(single, &mut registers) {
            Some(next) => {
                self.leave(next, registers);
                true
            }
            None => false,
        }
    }

    /// Saves all registers of the current process, as an interrupt does.
    fn save(&self) {
        if let Some(process) = self.current() {
            process.message.set(self.live.get());
        }
    }

    /// The current process faults, with these registers.
    pub fn fault_with(&self, cause: Cause, access: Access, address: u64, registers: Registers) {
        self.live.set(registers);
        self.fault(cause, access, address);
    }

    /// The current process faults.
    pub fn fault(&self, cause: Cause, access: Access, address: u64) {
        self.save();
        let mut registers = Registers::default();
        let next = self.kernel().fault(cause, access, address, &mut registers);
        self.leave(next, registers);
    }

    /// The timer fires.
    pub fn tick(&self) {
        self.save();
        self.kernel().interrupted();
        let mut registers = Registers::default();
        let next = if self.current().is_some() {
            self.kernel().tick(&mut registers)
        } else {
            self.kernel().idle_tick();
            self.kernel().after_interrupt(&mut registers)
        };
        self.leave(next, registers);
    }

    /// A device's interrupt comes in on a vector; `None` for one that only wakes the CPU up.
    pub fn interrupt(&self, vector: Option<u8>) {
        self.save();
        self.kernel().interrupted();
        if let Some(vector) = vector {
            self.kernel().interrupt(vector.into());
        }
        let mut registers = Registers::default();
        let next = self.kernel().after_interrupt(&mut registers);
        self.leave(next, registers);
    }

    /// What an address of the loaded address space reaches.
    ///
    /// # Errors
    /// Nothing, for this access.
    pub fn reach(&self, address: u64, access: mmu::Access) -> Result<Reached, Miss> {
        self.machine().mmu.reach(self.memory, address, access)
    }
}

impl Drop for Processor {
    fn drop(&mut self) {
        drop(self.kernel.take());
        Memory::give(self.memory);
    }
}
