//! Audits for people: what doesn't agree is printed, with names.

use super::Violation;
use crate::Kernel;
use crate::machine::Machine;
use crate::object::Oid;

impl Violation {
    /// Its number: those of one kind have the same one, and none has 0.
    pub const fn code(&self) -> u64 {
        match self {
            Violation::Owner { .. } => 1,
            Violation::Object { .. } => 2,
            Violation::Residue { .. } => 3,
            Violation::Entry { .. } => 4,
            Violation::Pin { .. } => 5,
            Violation::Slot { .. } => 6,
            Violation::Capability { .. } => 7,
            Violation::Process { .. } => 8,
            Violation::List { .. } => 9,
            Violation::Timer { .. } => 10,
            Violation::Calls { .. } => 11,
            Violation::Flush => 12,
        }
    }

    /// The object that it is about, if it is about one.
    const fn object(&self) -> Oid {
        match self {
            Violation::Owner { oid, .. }
            | Violation::Object { oid, .. }
            | Violation::Residue { oid, .. }
            | Violation::Process { oid, .. }
            | Violation::List { oid, .. } => *oid,
            Violation::Entry { table, .. } | Violation::Capability { table, .. } => *table,
            Violation::Slot { aperture, .. } => *aperture,
            Violation::Pin { .. }
            | Violation::Timer { .. }
            | Violation::Calls { .. }
            | Violation::Flush => Oid::NONE,
        }
    }
}

impl<M: Machine> Kernel<'_, M> {
    /// Audits everything, free frames too if `whole`, and prints what it finds. Answers its number, or 0.
    pub fn audit_aloud(&self, whole: bool) -> u64 {
        let zeroed = || {
            let count = if whole { self.objects.len() } else { 0 };
            (0..count as u32).try_for_each(|n| self.audit_zeroed(Oid(n)))
        };
        let Err(violation) = self.audit().and_then(|()| zeroed()) else {
            return 0;
        };
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
