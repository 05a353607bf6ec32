//! Methods of a `CapTable`.

use abi::CAP_TABLE_SLOTS;
use abi::cap::{Kind, Rights};
use abi::method::cap_table as method;

use crate::Kernel;
use crate::cap::{CapTable, Capability};
use crate::error::{EMPTY, INVALID, METHOD, Result, VOID};
use crate::invoke::{Answer, Invocation};
use crate::machine::Machine;
use crate::planted::Fault;

impl<M: Machine> Kernel<'_, M> {
    #[inline(never)]
    pub(crate) fn invoke_cap_table(&self, call: &Invocation) -> Result<Answer> {
        let row = self.object(&call.capability)?;
        let table: &CapTable = self.view(row.frame.get());
        call.capability.needs(Rights::MANAGE)?;
        let [method, w1, w2, ..] = call.words();
        let slot = |index: u64| table.0.get(index as usize).ok_or(INVALID);
        match method {
            method::PUT => {
                let source = self.slot(call.invoker, call.sent(0)).ok_or(VOID)?;
                let target = slot(w1)?;
                if !self.is_alive(&source.get()) {
                    return Err(VOID);
                }
                let rights = Rights::from_bits_truncate(w2 as u8);
                let capability = self.take_copy(source);
                let rights = match self.has(Fault::PutAllRights) {
                    true => Rights::FULL,
                    false => capability.rights() & rights,
                };
                self.store(target, capability.restricted(rights));
            }
            method::GET => {
                let source = slot(w1)?;
                if !self.is_alive(&source.get()) {
                    return Err(EMPTY);
                }
                return Ok(Answer::capability(self.take_copy(source)));
            }
            method::CLEAR => {
                let last = CAP_TABLE_SLOTS as u64;
                if w1 >= last || w2 == 0 || w2 > last - w1 {
                    return Err(INVALID);
                }
                for slot in &table.0[w1 as usize..(w1 + w2) as usize] {
                    self.store(slot, Capability::VOID);
                }
            }
            method::MOVE => {
                let (source, target) = (slot(w1)?, slot(w2)?);
                if !self.is_alive(&source.get()) {
                    return Err(EMPTY);
                }
                let capability = source.replace(Capability::VOID);
                self.store(target, capability);
            }
            method::DESCRIBE => {
                let capability = slot(w1)?.get();
                let kind = match self.is_alive(&capability) {
                    true => capability.kind().unwrap_or(Kind::Void),
                    false => Kind::Void,
                };
                let rights = if kind == Kind::Void {
                    Rights::empty()
                } else {
                    capability.rights()
                };
                return Ok(Answer::words([
                    kind as u64,
                    rights.bits().into(),
                    0,
                    0,
                    0,
                    0,
                ]));
            }
            _ => return Err(METHOD),
        }
        Ok(Answer::NOTHING)
    }

    /// Drops what a `CapTable` holds that must not vanish silently: `Resume`s.
    pub(crate) fn empty_cap_table(&self, table: &CapTable) {
        for slot in &table.0 {
            if slot.get().is(Kind::Resume) {
                self.store(slot, Capability::VOID);
            }
        }
    }
}
