//! Calls that wait for their answers against those who may answer: the server that holds the caller, or
//! the one `Resume` that there is.
//!
//! Who calls doesn't know who will answer. So this can't be seen by looking at one process: it is a sum
//! over all processes and all slots. To make it in pieces, while calls come and go, three walks are held
//! against each other: one over those who wait, one over the answers, and again one over those who wait.
//! Only calls count that had begun before. (Tokens grow, so that is told by the token.) What was seen to
//! wait by the first walk and by the last waited all the time, and if no `Resume` moved meanwhile, its
//! answer was in one place all the time. So if the first and the last walk saw the same calls, the walk
//! between them must have seen exactly their answers. If they did not, the walks begin anew, for the same
//! calls: those that are short have ended by then, and an answer that was lost is never short.

use abi::cap::Kind;

use super::{Result, Violation, demand};
use crate::Kernel;
use crate::cap::CapTable;
use crate::machine::Machine;
use crate::object::{ObjectRow, Oid};

/// A set of calls, as far as one can tell sets apart by how many there are and a sum over them.
#[derive(Default, PartialEq, Eq)]
struct Calls {
    count: u32,
    sum: u64,
}

impl Calls {
    fn add(&mut self, process: Oid, token: u64) {
        self.count += 1;
        self.sum = self.sum.wrapping_add(mark(process, token));
    }
}

/// What a call adds to a sum.
fn mark(process: Oid, token: u64) -> u64 {
    // The finaliser of SplitMix64: different sets have different sums but for one in 2^64.
    let mut z = token.wrapping_add(u64::from(process.0) << 40);
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

impl<M: Machine> Kernel<'_, M> {
    /// The call that a process waits in.
    fn call_of(&self, row: &ObjectRow, mut found: impl FnMut(Oid, u64)) {
        if !row.is_live(Kind::Process) {
            return;
        }
        let process = self.process(row.frame.get());
        if process.token.get() != 0 {
            found(process.oid.get(), process.token.get());
        }
    }

    /// The calls that an object can answer: a process its caller's, a `CapTable` those that it holds a
    /// `Resume` of.
    fn answers_of(&self, row: &ObjectRow, mut found: impl FnMut(Oid, u64)) {
        if row.is_live(Kind::Process) {
            let process = self.process(row.frame.get());
            let (caller, token) = (process.caller.get(), process.caller_token.get());
            if self.resumable(caller, token).is_some() {
                found(caller, token);
            }
        } else if row.is_live(Kind::CapTable) {
            for slot in &self.view::<CapTable>(row.frame.get()).0 {
                let capability = slot.get();
                if capability.is(Kind::Resume) && self.is_alive(&capability) {
                    found(capability.oid(), capability.version);
                }
            }
        }
    }

    /// What the call of an object adds to a sum over calls that are no younger than a token.
    pub(super) fn mark_of_call(&self, row: &ObjectRow, youngest: u64) -> u64 {
        let mut sum = 0u64;
        self.call_of(row, |caller, token| {
            if token <= youngest {
                sum = sum.wrapping_add(mark(caller, token));
            }
        });
        sum
    }

    /// What the answers that an object can give add to it.
    pub(super) fn mark_of_answers(&self, row: &ObjectRow, youngest: u64) -> u64 {
        let mut sum = 0u64;
        self.answers_of(row, |caller, token| {
            if token <= youngest {
                sum = sum.wrapping_add(mark(caller, token));
            }
        });
        sum
    }

    /// Each call that waits for its answer can be answered by exactly one.
    pub(super) fn audit_calls(&self) -> Result {
        let (mut waiting, mut answers) = (Calls::default(), Calls::default());
        for row in self.objects {
            self.call_of(row, |caller, token| waiting.add(caller, token));
            self.answers_of(row, |caller, token| answers.add(caller, token));
        }
        demand!(
            waiting == answers,
            Violation::Calls {
                counts: Some((waiting.count, answers.count))
            }
        );
        Ok(())
    }
}
