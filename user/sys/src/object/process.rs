//! Processes.

use abi::cap::CapAddr;
use abi::method::process as method;

use super::{CapTable, Table};
use crate::{Cap, Error, Message, Sys};

/// What [`Cap::<Process>::info`] tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessInfo {
    /// State, as `abi::method::process::state`.
    pub state: u8,
    /// Priority.
    pub priority: u8,
    /// How often a CPU switched to its address space from another.
    pub switches: u64,
    /// Cycles of the time-stamp counter it ran.
    pub cycles: u64,
    /// Cause of its fault (low 8 bits) and access (next 8).
    pub fault: u64,
    /// Address of its fault.
    pub fault_address: u64,
    /// Instruction pointer of its fault.
    pub fault_instruction: u64,
    /// Its last invocation, packed as `abi::method::process::INFO` says.
    pub last_invocation: u64,
}

/// A single-threaded protection domain.
pub enum Process {}

impl Cap<Process> {
    /// Sets registers, root table, space and keeper of a stopped process.
    pub fn configure(
        self,
        sys: &impl Sys,
        start: Registers,
        root: Cap<CapTable>,
        space: Cap<Table>,
        keeper: CapAddr,
    ) -> Result<(), Error> {
        self.perform(
            sys,
            &Message::new(&[
                method::CONFIGURE,
                start.instruction,
                start.stack,
                start.priority as u64,
                start.argument,
            ])
            .with_caps(&[root.address(), space.address(), keeper]),
        )
    }

    /// Runs it.
    pub fn start(self, sys: &impl Sys) -> Result<(), Error> {
        self.perform(sys, &Message::new(&[method::START]))
    }

    /// Stops it.
    pub fn stop(self, sys: &impl Sys) -> Result<(), Error> {
        self.perform(sys, &Message::new(&[method::STOP]))
    }

    /// Makes a start capability with a badge.
    pub fn make_start(self, sys: &impl Sys, badge: u64, into: CapAddr) -> Result<(), Error> {
        self.perform(
            sys,
            &Message::new(&[method::MAKE_START, badge]).receiving(&[into]),
        )
    }

    /// Makes a capability to notify it by a bit.
    pub fn make_notify(self, sys: &impl Sys, bit: u64, into: CapAddr) -> Result<(), Error> {
        self.perform(
            sys,
            &Message::new(&[method::MAKE_NOTIFY, bit]).receiving(&[into]),
        )
    }

    /// Arms a fault entry; instruction 0 for none.
    pub fn set_fault_entry(
        self,
        sys: &impl Sys,
        instruction: u64,
        stack: u64,
    ) -> Result<(), Error> {
        self.perform(
            sys,
            &Message::new(&[method::SET_FAULT_ENTRY, instruction, stack]),
        )
    }

    /// State, accounting and fault.
    pub fn info(self, sys: &impl Sys) -> Result<ProcessInfo, Error> {
        let words = self.invoke(sys, &Message::new(&[method::INFO]))?;
        Ok(ProcessInfo {
            state: words[0] as u8,
            priority: (words[0] >> 8) as u8,
            switches: words[0] >> 16,
            cycles: words[1],
            fault: words[2],
            fault_address: words[3],
            fault_instruction: words[4],
            last_invocation: words[5],
        })
    }

    /// Six registers of a group.
    pub fn registers(self, sys: &impl Sys, group: u64) -> Result<[u64; 6], Error> {
        self.invoke(sys, &Message::new(&[method::REGISTERS, group]))
    }

    /// Six words of its memory.
    pub fn read_memory(self, sys: &impl Sys, address: u64) -> Result<[u64; 6], Error> {
        self.invoke(sys, &Message::new(&[method::READ_MEMORY, address]))
    }

    /// Names it for reports; the first 16 bytes count.
    pub fn set_name(self, sys: &impl Sys, name: &str) -> Result<(), Error> {
        self.perform(
            sys,
            &Message::new(&[method::SET_NAME, name_word(name, 0), name_word(name, 8)]),
        )
    }

    /// Sets its priority.
    pub fn set_priority(self, sys: &impl Sys, priority: u8) -> Result<(), Error> {
        self.perform(sys, &Message::new(&[method::SET_PRIORITY, priority as u64]))
    }

    /// Sets the highest priority that it may give to processes.
    pub fn set_ceiling(self, sys: &impl Sys, ceiling: u8) -> Result<(), Error> {
        self.perform(sys, &Message::new(&[method::SET_CEILING, ceiling as u64]))
    }
}

/// Where a process starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registers {
    /// Instruction pointer.
    pub instruction: u64,
    /// Stack pointer.
    pub stack: u64,
    /// Priority.
    pub priority: u8,
    /// First argument, in `rdi`.
    pub argument: u64,
}

/// Eight bytes of a name, little-endian, padded with zeros.
fn name_word(name: &str, from: usize) -> u64 {
    let mut bytes = [0; 8];
    for (to, byte) in bytes.iter_mut().zip(name.bytes().skip(from)) {
        *to = byte;
    }
    u64::from_le_bytes(bytes)
}
