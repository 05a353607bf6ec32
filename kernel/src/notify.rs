//! Notifications: bits that are set once, however often, and taken by waiting.

use abi::NOTIFY_BITS;
use abi::cap::Kind;
use abi::count::Event;
use abi::invoke::Received;
use abi::method::process::state;

use crate::Kernel;
use crate::machine::Machine;
use crate::object::Binding;
use crate::process::{Process, Registers};

impl<M: Machine> Kernel<'_, M> {
    /// Sets the bit that a binding names. False when there is nobody any more.
    pub(crate) fn notify(&self, binding: Binding) -> bool {
        match self.live(binding.process, Kind::Process) {
            Some(row) if row.version.get() == binding.version => {
                self.signal(self.process(row.frame.get()), u64::from(binding.bit));
                true
            }
            _ => false,
        }
    }

    /// Sets a bit of a process and wakes it if it waits.
    pub(crate) fn signal(&self, process: &Process, bit: u64) {
        self.count(Event::Notifications, 1);
        let bit = bit as usize % NOTIFY_BITS;
        let (group, mask) = (bit / 64, 1 << (bit % 64));
        let bits = &process.bits[group];
        bits.set(bits.get() | mask);
        process.groups.set(process.groups.get() | 1 << group);
        if process.state.get() == state::WAITING
            && let Some(registers) = self.take_notification(process)
        {
            process.message.set(registers);
            process.state.set(state::READY);
            self.enqueue(process);
        }
    }

    /// Takes one group of a process's bits, as the registers that tell of it.
    pub(crate) fn take_notification(&self, process: &Process) -> Option<Registers> {
        let groups = process.groups.get();
        if groups == 0 {
            return None;
        }
        let group = groups.trailing_zeros();
        process.groups.set(groups & (groups - 1));
        let bits = process.bits[group as usize].replace(0);
        process.turn.set(1);
        Some(Registers {
            rax: (Received::Notified as u64) << 32,
            rdi: u64::from(group),
            rsi: bits,
            ..Registers::default()
        })
    }
}
