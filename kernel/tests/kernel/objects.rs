//! Objects and frames against a model: random sales, mappings, pins and rescinds, all mixed.

use std::collections::{BTreeMap, BTreeSet};

use abi::cap::Kind;
use abi::error::{EBUSY, EEXIST, ENOENT};
use kernel::object::{Oid, State};
use proptest::prelude::*;
use sim::parties::RANGE;
use sys::Cap;
use sys::object::{Page, Table};

use crate::aperture::{APERTURE, Setting, setting};
use crate::common::*;

/// Pages and places that a case plays with: those that the client has from the start.
const PAGES: usize = 12;
/// Slots of the aperture that it uses.
const SLOTS: u16 = 8;

#[derive(Clone, Copy, Debug)]
enum Step {
    /// Unmaps a place of the client's segment.
    Unmap(usize),
    /// Maps a page at a place.
    Map(usize, usize),
    /// Pins what is at a place into a slot.
    Pin(u16, usize),
    Unpin(u16),
    /// Rescinds a page.
    Rescind(usize),
    /// Sells the object again, and maps it nowhere.
    Sell(usize),
    Reap,
    /// Asks the aperture whose owners are gone.
    Orphans,
    /// Somebody writes a page, if it is mapped.
    Write(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let (page, place, slot) = (0..PAGES, 0..PAGES, 0..SLOTS);
    prop_oneof![
        2 => place.clone().prop_map(Step::Unmap),
        3 => (page.clone(), place.clone()).prop_map(|(page, place)| Step::Map(page, place)),
        4 => (slot.clone(), place.clone()).prop_map(|(slot, place)| Step::Pin(slot, place)),
        3 => slot.prop_map(Step::Unpin),
        3 => page.clone().prop_map(Step::Rescind),
        3 => page.prop_map(Step::Sell),
        1 => Just(Step::Reap),
        1 => Just(Step::Orphans),
        2 => place.prop_map(Step::Write),
    ]
}

/// What should be so.
struct Model {
    state: [State; PAGES],
    versions: [u64; PAGES],
    /// Page at each place.
    places: BTreeMap<usize, usize>,
    /// Page in each slot.
    slots: BTreeMap<u16, usize>,
    /// Slots whose owner is gone and that were not told.
    orphans: BTreeSet<u16>,
    /// Pages whose limbo ended.
    ended: BTreeSet<usize>,
}

impl Model {
    fn pins(&self, page: usize) -> usize {
        self.slots.values().filter(|held| **held == page).count()
    }

    fn home(&self, page: usize) -> Option<usize> {
        self.places
            .iter()
            .find(|(_, at)| **at == page)
            .map(|(place, _)| *place)
    }
}

fn take(set: &Setting, model: &mut Model, step: Step) {
    let (client, driver) = (set.parties.sys(set.client), set.parties.sys(set.driver));
    let bank = set.parties.sys(set.parties.bank());
    let segment: Cap<Table> = cap(FREE);
    match step {
        Step::Unmap(place) => {
            let used = segment.unmap(&client, place as u64, 1).expect("in range");
            assert_eq!(used, u64::from(model.places.remove(&place).is_some()));
        }
        Step::Map(page, place) => {
            if model.state[page] != State::Live {
                return;
            }
            set.parties.give(
                set.client,
                FREE + 1,
                set.pages[page],
                abi::cap::Rights::FULL,
            );
            let mapped = segment.map(&client, place as u64, cap::<Page>(FREE + 1), DATA);
            let expected = if model.places.contains_key(&place) {
                Err(error(EEXIST))
            } else if model.home(page).is_some() {
                Err(error(EBUSY))
            } else {
                model.places.insert(place, page);
                Ok(())
            };
            assert_eq!(mapped, expected);
        }
        Step::Pin(slot, place) => {
            let pinned = APERTURE.pin(&driver, slot, cap(FREE + 2), place as u16, 3);
            let expected = match model.places.get(&place) {
                None => Err(error(ENOENT)),
                Some(_) if model.slots.contains_key(&slot) => Err(error(EEXIST)),
                Some(page) if model.pins(*page) == 2 => Err(error(EBUSY)),
                Some(page) => {
                    model.slots.insert(slot, *page);
                    Ok(set.parties.processor.frame(set.pages[*page]).physical())
                }
            };
            assert_eq!(pinned, expected);
        }
        Step::Unpin(slot) => {
            let unpinned = APERTURE.unpin(&driver, slot);
            let Some(page) = model.slots.remove(&slot) else {
                return assert_eq!(unpinned, Err(error(ENOENT)));
            };
            assert_eq!(unpinned, Ok(()));
            model.orphans.remove(&slot);
            if model.state[page] == State::Limbo && model.pins(page) == 0 {
                model.ended.insert(page);
            }
        }
        Step::Rescind(page) => {
            if model.state[page] != State::Live {
                return;
            }
            let limbo = set.parties.rescind(&[set.pages[page]]);
            assert_eq!(limbo, [model.pins(page) != 0]);
            model.versions[page] += 1;
            model.state[page] = if limbo[0] { State::Limbo } else { State::Free };
            let home = model.home(page);
            home.map(|place| model.places.remove(&place));
            let held = model.slots.iter().filter(|(_, held)| **held == page);
            model.orphans.extend(held.map(|(slot, _)| *slot));
        }
        Step::Sell(page) => {
            let sold = RANGE.mint(&bank, set.pages[page].0, Kind::Page as u8, 110);
            match model.state[page] {
                State::Limbo => assert_eq!(sold, Err(error(EBUSY))),
                State::Free => {
                    assert_eq!(sold, Ok(()));
                    model.state[page] = State::Live;
                    let frame = set.parties.processor.frame(set.pages[page]);
                    let zeroed = (0..512).all(|n| set.parties.read_word(frame, n * 8) == 0);
                    assert!(zeroed, "sold with what the last owner left");
                }
                _ => assert_eq!(sold, Ok(()), "another capability to the same"),
            }
        }
        Step::Reap => {
            let reaped: BTreeSet<Oid> = set.parties.reap().into_iter().collect();
            let expected = model.ended.iter().map(|page| set.pages[*page]);
            assert_eq!(reaped, expected.collect());
            for page in std::mem::take(&mut model.ended) {
                model.state[page] = State::Free;
            }
        }
        Step::Orphans => {
            let [count, words @ ..] = APERTURE.limbo(&driver).expect("it lives");
            let slot = |n: usize| (words[n / 4] >> (16 * (n % 4))) as u16;
            let told: BTreeSet<u16> = (0..count as usize).map(slot).collect();
            assert_eq!(told, std::mem::take(&mut model.orphans));
        }
        Step::Write(place) => {
            if let Some(page) = model.places.get(&place) {
                let frame = set.parties.processor.frame(set.pages[*page]);
                set.parties.write_word(frame, place * 8, u64::MAX);
            }
        }
    }
}

fn compare(set: &Setting, model: &Model) {
    let memory = set.parties.processor.memory();
    for (page, oid) in set.pages[..PAGES].iter().enumerate() {
        let row = &memory.objects[oid.0 as usize];
        assert_eq!(row.state.get(), model.state[page], "page {page}");
        assert_eq!(row.version.get(), model.versions[page], "page {page}");
        let pins = memory.frames[row.frame.get().0 as usize].pinned();
        assert_eq!(pins as usize, model.pins(page), "page {page}");
    }
    let limbo = set.parties.processor.kernel().census()[2];
    let expected = model
        .state
        .iter()
        .filter(|state| **state == State::Limbo)
        .count();
    assert_eq!(limbo, expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 1 } else { 64 }))]

    #[test]
    fn pages_pins_and_places_are_those_of_a_model(steps in prop::collection::vec(step(), 1..160)) {
        let set = setting();
        set.parties.audit_each_step(false);
        let version = |oid: &Oid| set.parties.processor.version(*oid);
        let mut model = Model {
            state: [State::Live; PAGES],
            versions: std::array::from_fn(|page| version(&set.pages[page])),
            places: (0..PAGES).map(|n| (n, n)).collect(),
            slots: BTreeMap::new(),
            orphans: BTreeSet::new(),
            ended: BTreeSet::new(),
        };
        for step in steps {
            take(&set, &mut model, step);
            compare(&set, &model);
            set.parties.check_tables();
        }
        set.parties.check();
        // Everything can be taken back.
        for slot in model.slots.keys() {
            APERTURE.unpin(&set.parties.sys(set.driver), *slot).expect("pinned");
        }
        while !set.parties.reap().is_empty() {}
        let live = set.pages.iter().filter(|oid| {
            set.parties.processor.memory().objects[oid.0 as usize].state.get() == State::Live
        });
        let live: Vec<Oid> = live.copied().collect();
        prop_assert!(set.parties.rescind(&live).iter().all(|limbo| !limbo));
        prop_assert_eq!(set.parties.processor.kernel().census()[2], 0);
    }
}

#[test]
fn objects_and_frames_are_one_to_one() {
    let set = setting();
    let memory = set.parties.processor.memory();
    let frames: BTreeSet<u32> = memory.objects.iter().map(|row| row.frame.get().0).collect();
    assert_eq!(frames.len(), memory.objects.len());
    let [free, live, limbo] = set.parties.processor.kernel().census();
    assert_eq!(free + live + limbo, memory.objects.len());
    assert_eq!(limbo, 0);
}
