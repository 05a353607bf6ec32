//! One point after the other.

use abi::cap::Kind;
use abi::probe::{Entry, How};
use guest::say;
use rt::Kernel;
use sys::object::Reading;

use crate::options::Options;
use crate::promises;
use crate::rig::{PROBE, Rig, Storage};
use crate::scenario::{Scenario, Target};
use crate::user::Runs;
use crate::{Failure, during};

/// Free frames are looked through after every so many points.
const WHOLE: u64 = 32;
/// Things that are checked at each point: the audit, objects in all, limbo, free and bought, five processes
/// and sessions, what came back twice, whether the driver was told, and what was the victim's, twice; and
/// what the kernel owes to everybody.
const CHECKS: u64 = 15 + promises::CHECKS;

/// Sweeps one scenario with one target. Answers failures; after one everything starts anew, and it goes on.
pub fn sweep(
    rig: &mut Rig,
    scenario: &Scenario,
    target: Target,
    options: &Options,
) -> Result<u64, Failure> {
    let name = (scenario.name, target.name());
    rig.set_up(scenario)?;
    let (first, every) = options.part;
    // Once without, so that whoever keeps something from then on does; once to see what it does.
    play(rig, scenario, target, 0)?;
    if target == Target::Driver {
        // A second driver takes slots while the first one's are still in use.
        rig.revive(scenario)?;
        rig.end_victim();
    }
    let shown = |rig: &Rig| scenario.shows.map(|counter| rig.counter(counter));
    let before = shown(rig);
    let (reading, storage) = play(rig, scenario, target, 0)?;
    if before.is_some() && shown(rig) == before {
        return Err(Failure::Wrong(
            "the scenario doesn't do what it is there for",
        ));
    }
    let all = match scenario.copies {
        true => reading.instructions,
        false => reading.entries,
    };
    say!("sweep: begin {} {} {all}", name.0, name.1);
    let mut found = Found::new(storage);
    let mut points = 0;
    let mut n = options.point.unwrap_or(first + 1);
    let mut failures = 0;
    loop {
        say!("at {n}");
        match point(rig, scenario, target, n, &mut found) {
            Ok(false) => break,
            Ok(true) => points += 1,
            Err(failure) => {
                say!("sweep: FAILED {} {} {n}: {failure}", name.0, name.1);
                tell_place();
                points += 1;
                failures += 1;
                if options.until_failure || options.point.is_some() {
                    break;
                }
                // What it left behind is not held against the next.
                rig.start_over(scenario)?;
                let (_, storage) = play(rig, scenario, target, 0)?;
                found.begin_anew(storage);
            }
        }
        if options.point.is_some() {
            tell_place();
            break;
        }
        n += every;
    }
    say!(
        "sweep: done {} {} {points} points {} checks longest {} {}",
        name.0,
        name.1,
        points * CHECKS,
        found.longest,
        found.entry
    );
    Ok(failures)
}

/// What the points before have shown.
struct Found {
    /// Storage after an undisturbed run.
    storage: Storage,
    /// Most that the driver kept.
    kept: u64,
    /// The longest stretch with interrupts off, and what took it.
    longest: u64,
    entry: Shown,
}

/// An entry, for people.
#[derive(Default)]
struct Shown(Entry);

impl core::fmt::Display for Shown {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Entry {
            how,
            number,
            kind,
            method,
        } = self.0;
        match (how, Kind::from_u8(kind)) {
            (How::Nothing, _) => f.write_str("nothing"),
            (How::Call, Some(Kind::Void) | None) => write!(f, "operation {number}"),
            (How::Call, Some(kind)) => write!(f, "{}.{method}", kind.name()),
            (How::Interrupt | How::Idle, _) => write!(f, "vector {number}"),
            (How::Instruction, _) => f.write_str("instruction"),
        }
    }
}

impl Found {
    fn new(storage: Storage) -> Found {
        Found {
            storage,
            kept: storage.driver,
            longest: 0,
            entry: Shown::default(),
        }
    }

    /// Storage is another now, since something failed and all was started again.
    fn begin_anew(&mut self, storage: Storage) {
        (self.storage, self.kept) = (storage, storage.driver);
    }

    fn measure(&mut self, reading: &Reading) {
        if reading.longest > self.longest {
            self.longest = reading.longest;
            self.entry = Shown(reading.longest_entry);
        }
    }

    /// Everybody but the driver has what he had, and kernel and spacebank agree on it.
    fn compare(&self, storage: &Storage) -> Result<(), Failure> {
        let sums =
            |storage: &Storage| [storage.free + storage.driver, storage.free + storage.bought];
        let ([free, all], [expected_free, expected_all]) = (sums(storage), sums(&self.storage));
        if free != expected_free {
            return Err(Failure::Count(
                "objects that are free or the driver's",
                free,
                expected_free,
            ));
        }
        if all != expected_all {
            return Err(Failure::Count(
                "objects that are free or bought",
                all,
                expected_all,
            ));
        }
        Ok(())
    }
}

/// Tries one point. `false`: the scenario is over before it.
fn point(
    rig: &mut Rig,
    scenario: &Scenario,
    target: Target,
    n: u64,
    found: &mut Found,
) -> Result<bool, Failure> {
    let (reading, storage) = play(rig, scenario, target, n)?;
    found.measure(&reading);
    found.compare(&storage)?;
    if storage.driver > found.kept {
        // It may keep something for the next time, if then it is content with that: pages that take the place
        // of those that the device still has, for instance.
        rig.use_up_pool(scenario)?;
        let (_, again) = play(rig, scenario, target, n)?;
        found.compare(&again)?;
        if again.driver > storage.driver {
            return Err(Failure::Count(
                "objects that the driver keeps, more each time",
                again.driver,
                found.kept,
            ));
        }
        found.kept = storage.driver;
    }
    Ok(reading.stopped)
}

/// Plays the scenario once, revoked at the n-th entry (0: not at all), and looks at what is left.
fn play(
    rig: &mut Rig,
    scenario: &Scenario,
    target: Target,
    n: u64,
) -> Result<(Reading, Storage), Failure> {
    let read = |forget| {
        PROBE
            .read(&Kernel, forget)
            .map_err(during("reading the probe"))
    };
    rig.prepare(scenario)?;
    rig.aim(target)?;
    read(abi::probe::FORGET)?;
    let before = rig.victims_tally();
    rig.misheard = None;
    rig.arm(scenario, n)?;
    let acted = (scenario.act)(rig, scenario);
    let counted = read(abi::probe::GO_ON)?;
    let killed = counted.stopped && target == Target::Driver;
    if killed {
        if let Some(what) = rig.misheard.take() {
            return Err(Failure::Wrong(what));
        }
        rig.revive(scenario)?;
    } else {
        acted?;
    }
    if !counted.stopped {
        rig.did_what_it_should(scenario, before)?;
    }
    if counted.stopped && scenario.is_told(target) && !rig.session_is_over(scenario.runs) {
        return Err(Failure::Wrong(
            "the driver wasn't told that a session's memory is gone",
        ));
    }
    if !killed && scenario.talks {
        rig.witness_was_heard()?;
    }
    if scenario.runs == Runs::Stack && !(counted.stopped && target == Target::Bank) {
        rig.stack_goes_on(scenario)?;
    }
    rig.all_is_well()?;
    rig.promises.are_kept()?;
    let spared = counted.stopped && target == Target::Session;
    if spared && scenario.name != "destroy-bank" && !rig.victim.is_alive() {
        return Err(Failure::Wrong(
            "the victim stopped, whose session alone was revoked",
        ));
    }
    rig.end_victim();
    rig.relics.are_void()?;
    let storage = rig.storage(n.is_multiple_of(WHOLE))?;
    if !rig.port_is_idle() {
        return Err(Failure::Wrong("the port of who is gone isn't idle"));
    }
    let reading = Reading {
        entries: counted.entries,
        instructions: counted.instructions,
        stopped: counted.stopped,
        ..read(0)?
    };
    PROBE
        .disarm(&Kernel)
        .map_err(during("disarming the probe"))?;
    Ok((reading, storage))
}

/// Says where somebody was stopped.
fn tell_place() {
    let Ok(place) = PROBE.place(&Kernel) else {
        say!("sweep: nobody was stopped");
        return;
    };
    let length = place.name.iter().position(|byte| *byte == 0);
    let name = core::str::from_utf8(&place.name[..length.unwrap_or(16)]).unwrap_or("?");
    let image = match name {
        "client" | "injector" => "swept",
        "witness" | "victim" => "netstack",
        name => name,
    };
    say!("sweep: stopped {name} before {}", Shown(place.entry));
    say!("    #0 {image} {:#x}", place.instruction);
}
