//! The lists of dead apertures and of ended limbos, and how many objects are in which state.

use abi::cap::Kind;

use super::{Result, Violation, demand};
use crate::Kernel;
use crate::census::Tally;
use crate::machine::Machine;
use crate::object::{ObjectRow, Oid, State};

impl<M: Machine> Kernel<'_, M> {
    /// Whether something still holds back what is in limbo.
    fn is_held(&self, row: &ObjectRow) -> bool {
        match row.kind.get() {
            Kind::Aperture => self.aperture_holds(row),
            _ => self.frame_row(row.frame.get()).pinned() != 0,
        }
    }

    /// Adds an object to those that are in a state.
    pub(super) fn tally_row(&self, row: &ObjectRow, tally: &mut Tally) {
        match row.state.get() {
            State::Free => tally.free += 1,
            State::Limbo => {
                tally.limbo += 1;
                match (self.is_held(row), row.kind.get()) {
                    (false, _) => tally.ended += 1,
                    (true, Kind::Aperture) => tally.dead += 1,
                    _ => {}
                }
            }
            State::Live | State::Dying => {}
        }
    }

    /// There are as many objects in each state as came into it.
    pub(super) fn audit_census(&self) -> Result {
        let mut found = Tally::default();
        for row in self.objects {
            self.tally_row(row, &mut found);
        }
        self.audit_tally(&found, 0)
    }

    /// What was found is what there should be, but for so many objects that have changed meanwhile.
    pub(super) fn audit_tally(&self, found: &Tally, changes: u64) -> Result {
        let counted = self.tally();
        for (what, found, counted) in [
            ("free", found.free, counted.free),
            ("in limbo", found.limbo, counted.limbo),
            ("out of limbo", found.ended, counted.ended),
            ("dead apertures", found.dead, counted.dead),
        ] {
            demand!(
                found.abs_diff(counted) as u64 <= changes,
                Violation::Census {
                    what,
                    found,
                    counted
                }
            );
        }
        Ok(())
    }

    /// The lists of dead apertures and of ended limbos hold what they should, and all of it. Of a longer
    /// list, only so many members are looked at.
    pub(super) fn audit_lists(&self, limit: usize) -> Result {
        let Tally { ended, dead, .. } = self.tally();
        self.audit_list(
            (self.dead_apertures.get(), dead, limit),
            |row| row.kind.get() == Kind::Aperture && self.is_held(row),
            "the list of dead apertures",
        )?;
        self.audit_list(
            (self.reapable.get(), ended, limit),
            |row| !self.is_held(row),
            "the list of ended limbos",
        )
    }

    fn audit_list(
        &self,
        (head, expected, limit): (Oid, usize, usize),
        belongs: impl Fn(&ObjectRow) -> bool,
        what: &'static str,
    ) -> Result {
        let (mut oid, mut length) = (head, 0);
        while let Some(row) = self.row(oid) {
            if length == limit {
                return Ok(());
            }
            length += 1;
            let fits = row.state.get() == State::Limbo && belongs(row) && length <= expected;
            demand!(fits, Violation::List { oid, what });
            oid = row.next.get();
        }
        demand!(length == expected, Violation::List { oid: head, what });
        Ok(())
    }
}
