//! The direct-switch path: a call that its server is waiting for, the reply to it, and the signal
//! that wakes a more urgent process.
//!
//! All check everything that the general path (`ipc`) checks, in the order in which it usually
//! holds, and give up, having changed nothing, as soon as something doesn't. The words of the
//! message stay in their registers; only who runs changes. Whatever is added here is paid for by
//! every message: the figures `ipc.round_trip.*` watch over it.

use core::cell::Cell;

use abi::cap::Kind;
use abi::count::Event;
use abi::invoke::Received;
use abi::method::process::state;

use crate::Kernel;
use crate::cap::{CapTable, Capability};
use crate::frame::Frame;
use crate::machine::Machine;
use crate::object::Oid;
use crate::process::{Process, Registers};

impl<M: Machine> Kernel<'_, M> {
    /// Whether a process of this priority may run now: nobody of a higher one is ready.
    #[inline(always)]
    pub(crate) fn may_run(&self, priority: u8) -> bool {
        (self.cpu.ready.get() >> (priority & 63)) >> 1 == 0
    }

    /// Whether a process may be switched to directly: nobody of its priority or a higher one is ready,
    /// so nobody is kept from a turn.
    #[inline(always)]
    fn may_take_over(&self, process: &Process) -> bool {
        self.cpu.ready.get() >> (process.priority.get() & 63) == 0
    }

    /// Makes another process the current one and charges the time until now to the old one.
    #[inline(always)]
    fn switch_directly(&self, from: &Process, to: &Process) {
        let now = self.machine.ticks();
        from.cycles.set(
            from.cycles
                .get()
                .wrapping_add(now.wrapping_sub(self.cpu.since.get())),
        );
        self.cpu.since.set(now);
        self.cpu.current.set(to.frame.get());
        self.now_runs(to);
        let space = to.space.get();
        if space != self.cpu.space.get() {
            to.switches.set(to.switches.get().wrapping_add(1));
            self.cpu.space.set(space);
            self.machine.load_space(space);
            self.count(Event::Switches, 1);
        }
    }

    /// The slot of the root table that an address names, if it is one of these. Address 0 names nothing,
    /// whatever lies in slot 0.
    #[inline(always)]
    pub(crate) fn near_slot(&self, process: &Process, address: u64) -> Option<&Cell<Capability>> {
        let root = process.root.get();
        if root == Frame::NONE {
            return None;
        }
        self.count(Event::LookUps, 1);
        // One test for both ends: 0 wraps beyond the last.
        self.view::<CapTable>(root).0[1..].get(usize::try_from(address.wrapping_sub(1)).ok()?)
    }

    /// A call through a `Start` in the root table, without capabilities, to a server that waits and
    /// may run at once. `None`: not such a call; nothing was changed.
    #[inline(always)]
    pub(crate) fn fast_call(
        &self,
        client: &Process,
        slot: &Cell<Capability>,
        registers: &mut Registers,
    ) -> Option<&Process> {
        let slot = slot.get();
        if registers.r13 != 0 {
            return None;
        }
        let row = self.row(slot.oid())?;
        if row.version.get() != slot.version {
            return None;
        }
        let server = self.process(row.frame.get());
        if server.state.get() != state::WAITING || !self.may_take_over(server) {
            return None;
        }

        let token = self.next_token();
        client.state.set(state::CALLING);
        client.token.set(token);
        client.receive.set(registers.r14);
        server.state.set(state::READY);
        server.turn.set(0);
        server.caller.set(client.oid.get());
        server.caller_token.set(token);
        self.switch_directly(client, server);
        registers.rax = (Received::Call as u64) << 32;
        registers.rdi = slot.badge;
        registers.r14 = 0;
        Some(server)
    }

    /// A reply without capabilities to the caller held, which may run at once, by a server that
    /// nobody else wants anything of. `None`: not such a reply; nothing was changed.
    #[inline(always)]
    pub(crate) fn fast_reply(
        &self,
        server: &Process,
        registers: &mut Registers,
    ) -> Option<&Process> {
        if registers.r13 != 0
            || registers.rdi != 0
            || server.groups.get() != 0
            || server.first_caller.get() != Frame::NONE
        {
            return None;
        }
        let client = self.resumable(server.caller.get(), server.caller_token.get())?;
        if !self.may_take_over(client) {
            return None;
        }

        client.state.set(state::READY);
        client.token.set(0);
        server.state.set(state::WAITING);
        server.caller.set(Oid::NONE);
        server.receive.set(registers.r14);
        self.switch_directly(server, client);
        registers.rax >>= 32;
        registers.r14 = 0;
        Some(client)
    }

    /// A signal through a `Notify` in the root table, to a process that waits and is more urgent than
    /// all that are ready (and then runs at once), or to one that doesn't wait. `None`: not such a
    /// signal; nothing was changed.
    #[inline(always)]
    pub(crate) fn fast_signal<'k>(
        &'k self,
        sender: &'k Process,
        registers: &mut Registers,
    ) -> Option<&'k Process> {
        let slot = self.near_slot(sender, registers.rdi)?.get();
        if !slot.is(Kind::Notify) {
            return None;
        }
        let row = self.row(slot.oid())?;
        if row.version.get() != slot.version {
            return None;
        }
        let target = self.process(row.frame.get());
        let (group, bit) = (slot.badge / 64 % 64, 1 << (slot.badge % 64));
        if target.state.get() != state::WAITING {
            let bits = &target.bits[group as usize];
            bits.set(bits.get() | bit);
            target.groups.set(target.groups.get() | 1 << group);
            self.count(Event::Notifications, 1);
            registers.rax = 0;
            return Some(sender);
        }
        let priority = target.priority.get();
        if priority <= sender.priority.get() || !self.may_run(priority) {
            return None;
        }

        self.count(Event::Notifications, 1);
        registers.rax = 0;
        sender.message.set(*registers);
        self.switch_directly(sender, target);
        self.enqueue_first(sender);
        target.state.set(state::READY);
        target.turn.set(1);
        *registers = Registers {
            rax: (Received::Notified as u64) << 32,
            rdi: group,
            rsi: bit,
            ..Registers::default()
        };
        Some(target)
    }

    /// The process that waits for the answer to the call with this token, if it still does.
    ///
    /// The token alone is proof: it is never zero nor used again, and lies where only the kernel
    /// writes, provided that the object is a process now.
    #[inline(always)]
    pub(crate) fn resumable(&self, caller: Oid, token: u64) -> Option<&Process> {
        let row = self.row(caller)?;
        if row.kind.get() != Kind::Process {
            return None;
        }
        let process = self.process(row.frame.get());
        if process.token.get() == token && token != 0 {
            Some(process)
        } else {
            None
        }
    }

    /// A token that was never used: 64 bits last for centuries of nothing but calls, so that the count
    /// wraps is not looked for.
    #[inline(always)]
    pub(crate) fn next_token(&self) -> u64 {
        let token = self.tokens.get().wrapping_add(1);
        self.tokens.set(token);
        token
    }
}
