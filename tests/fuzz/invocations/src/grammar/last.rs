//! Invocations after which there may be no others.

use abi::boot::slot;
use abi::cap::Kind;
use abi::invoke::Op;
use abi::method::cap_table;

use super::{FREE, Grammar, SERVER};
use crate::invocation::Invocation;
use crate::methods::methods;
use crate::slots::{BANK, CHILD};

impl Grammar {
    /// Whether it may do now what can be its last.
    pub(crate) fn dares(&mut self) -> bool {
        let last = self.manner.last;
        self.sequence.one_in(last)
    }

    /// Whether an invocation may be the last that the process makes: it takes away what it runs on, or
    /// waits for who may never answer.
    pub(super) fn is_last(&self, call: &Invocation, method: u64) -> bool {
        let op = call.op as u8;
        if op != Op::Call as u8 && op != Op::Send as u8 {
            return matches!(
                Op::from_u8(op),
                Some(Op::Wait | Op::ReplyWait | Op::FaultDecline)
            );
        }
        let Ok(target) = u16::try_from(call.target) else {
            return false;
        };
        let what = self.slots.at(target);
        let takes = methods(what)
            .iter()
            .any(|known| known.number == method && known.takes);
        match what {
            // Its own table: slots of its own it may overwrite.
            _ if target == slot::ROOT && takes => {
                let [_, first, second, ..] = call.words;
                let moves = method == cap_table::MOVE;
                first < FREE.into() || moves && second < FREE.into()
            }
            _ if target < FREE && target != slot::MESSAGE => takes,
            BANK => takes,
            CHILD => false,
            // Only banks and the server are known to answer.
            _ if what == Kind::Start as u8 => op == Op::Call as u8 && target != SERVER,
            _ if what == 0 => false,
            _ => takes && (what == Kind::Table2 as u8 || what == Kind::Process as u8),
        }
    }
}
