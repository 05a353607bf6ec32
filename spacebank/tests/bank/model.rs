//! The server against a model: banks as sets, totals by recursion, in random sequences of operations,
//! with ends that stop half-way and go on later, and pins that come and go.
//!
//! Two things the model takes from the machine instead of predicting them: which free objects a
//! purchase picked, and how far a step of an end got. It checks that both were allowed.

mod operation;
mod purchase;
mod run;
mod settle;

use std::collections::{BTreeMap, BTreeSet};

use abi::cap::Kind;
use proptest::prelude::*;
use spacebank::{BRANCH_WAITERS, Owner};

use crate::world::PRIME;
use operation::operation;
use run::Run;

const OBJECTS: usize = 400;
const PRIME_ID: u64 = PRIME >> 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Alive,
    Leaving,
    Dying,
}

#[derive(Debug)]
struct Bank {
    parent: Option<u64>,
    record: Option<u32>,
    limit: u64,
    opaque: bool,
    life: Life,
    high_water: u64,
    objects: BTreeMap<u32, Kind>,
    limbo: BTreeSet<u32>,
    /// Bits of those who wait for its end.
    waiting: Vec<u64>,
    /// How far down the order of kinds its own destruction got.
    rank: usize,
}

#[derive(Default)]
struct Model {
    banks: BTreeMap<u64, Bank>,
    /// Sold back, but not finished with.
    voiding: BTreeSet<u32>,
}

impl Model {
    fn children(&self, id: u64) -> impl Iterator<Item = u64> {
        let parented =
            move |(child, bank): (&u64, &Bank)| (bank.parent == Some(id)).then_some(*child);
        self.banks.iter().filter_map(parented)
    }

    fn live(&self, id: u64) -> u64 {
        let below: u64 = self.children(id).map(|child| 1 + self.live(child)).sum();
        self.banks[&id].objects.len() as u64 + below
    }

    fn limbo(&self, id: u64) -> u64 {
        let below: u64 = self.children(id).map(|child| self.limbo(child)).sum();
        self.banks[&id].limbo.len() as u64 + below
    }

    /// Who waits for the end of a bank or of one of its descendants.
    fn waiting(&self, id: u64) -> usize {
        let below: usize = self.children(id).map(|child| self.waiting(child)).sum();
        self.banks[&id].waiting.len() + below
    }

    /// Whether the bank, and each above it but the prime bank, has room for one more who waits.
    fn may_wait(&self, id: u64) -> bool {
        let line = self.line(id);
        let shares = [usize::MAX, BRANCH_WAITERS];
        line.iter().rev().enumerate().all(|(depth, id)| {
            let share = shares.get(depth).copied().unwrap_or(BRANCH_WAITERS - 1);
            self.waiting(*id) < share
        })
    }

    fn line(&self, id: u64) -> Vec<u64> {
        let mut line = vec![id];
        while let Some(parent) = self.banks[&line[line.len() - 1]].parent {
            line.push(parent);
        }
        line
    }

    fn top(&self, id: u64) -> Option<u64> {
        self.line(id)
            .into_iter()
            .rfind(|id| self.banks[id].life == Life::Dying)
    }

    fn serves(&self, id: u64) -> bool {
        self.banks
            .get(&id)
            .is_some_and(|bank| bank.life == Life::Alive)
            && self.top(id).is_none()
    }

    /// Who is charged for what goes into limbo.
    fn heir(&self, id: u64) -> u64 {
        self.top(id).map_or(id, |top| {
            self.banks[&top].parent.expect("the prime bank lives")
        })
    }

    fn refusing_level(&self, id: u64, n: u64) -> Option<u64> {
        let full = |id: &u64| self.live(*id) + self.limbo(*id) + n > self.banks[id].limit;
        self.line(id)
            .iter()
            .position(full)
            .map(|level| level as u64)
    }

    fn owner_of(&self, oid: u32) -> Option<u64> {
        self.banks
            .iter()
            .find(|(_, bank)| bank.objects.contains_key(&oid))
            .map(|(id, _)| *id)
    }

    fn id_of(&self, owner: Owner) -> u64 {
        let named = |(_, bank): &(&u64, &Bank)| bank.record == owner.record_object();
        *self
            .banks
            .iter()
            .find(named)
            .expect("an owner that the model knows")
            .0
    }

    fn bank(&mut self, id: u64) -> &mut Bank {
        self.banks.get_mut(&id).expect("a living bank")
    }
}

proptest! {
    #[test]
    fn the_server_does_what_the_model_says(
        operations in prop::collection::vec(operation(), 1..150),
    ) {
        let mut run = Run::new();
        for operation in &operations {
            run.apply(operation);
        }
        run.finish();
    }
}
