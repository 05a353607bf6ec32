//! Audits for people: what doesn't agree is printed, with names.

use super::Violation;
use crate::Kernel;
use crate::machine::Machine;

impl<M: Machine> Kernel<'_, M> {
    /// Prints what an audit found; answers its number.
    pub(crate) fn tell(&self, violation: Violation) -> u64 {
        let oid = violation.object();
        match (self.live_process(oid), self.row(oid)) {
            (Some(process), _) => self.say(format_args!(
                "kernel: audit: {violation} ({})",
                process.name()
            )),
            (None, Some(row)) => self.say(format_args!(
                "kernel: audit: {violation} (a {}, {:?})",
                row.kind.get().name(),
                row.state.get()
            )),
            (None, None) => self.say(format_args!("kernel: audit: {violation}")),
        }
        violation.code()
    }
}
