//! What is played: which programs there are, and what must come of it.
//!
//! - [`storage`]: kernel and spacebank, with tenants, a pinner with its device, and fuzzers, whose
//!   banks are destroyed at random instants;
//! - [`ethernet`]: the ethernet driver too, with stacks and a simulated card;
//! - [`accounting`]: the same, with users who come and go, and books that are compared after each;
//! - [`invocations`]: kernel and spacebank, with processes that invoke by a grammar, and are watched.

pub mod ethernet;
pub mod invocations;
pub mod storage;

use std::fmt;
use std::rc::Rc;

use dev::Activity;

use crate::actor::pinner;
use crate::checks::Check;
use crate::coverage::Operation;
use crate::failure::Failure;
use crate::plant::Plant;
use crate::world::{Counts, Ending, Settings, World};

use self::ethernet::accounting;

/// A scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// Kernel and spacebank.
    Storage,
    /// Kernel, spacebank and the ethernet driver.
    Ethernet,
    /// The same, with users who come and go.
    Accounting,
    /// Kernel and spacebank, with nobody but hostile processes and a victim.
    Invocations,
}

impl Scenario {
    /// All of them.
    pub const ALL: [Scenario; 4] = [
        Scenario::Storage,
        Scenario::Ethernet,
        Scenario::Accounting,
        Scenario::Invocations,
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Scenario::Storage => "storage",
            Scenario::Ethernet => "ethernet",
            Scenario::Accounting => "accounting",
            Scenario::Invocations => "invocations",
        }
    }

    /// Who takes part, besides the servers: whom a run can do without.
    pub const fn parties(self) -> &'static [&'static str] {
        match self {
            Scenario::Storage => &storage::PARTIES,
            Scenario::Ethernet | Scenario::Accounting => &ethernet::PARTIES,
            Scenario::Invocations => &invocations::PARTIES,
        }
    }

    /// What its driver does: the miniature one does less.
    pub const fn activities(self) -> &'static [Activity] {
        match self {
            Scenario::Storage => &pinner::ACTIVITIES,
            Scenario::Ethernet | Scenario::Accounting => &Activity::ALL,
            // Nobody drives anything.
            Scenario::Invocations => &[Activity::Absent],
        }
    }

    fn world(self, settings: Settings) -> Rc<World> {
        match self {
            Scenario::Storage => storage::world(settings),
            Scenario::Ethernet => ethernet::world(settings),
            Scenario::Accounting => accounting::world(settings),
            Scenario::Invocations => invocations::world(settings),
        }
    }

    /// Plays it.
    pub fn play(self, settings: Settings) -> Report {
        let world = self.world(settings);
        let ending = world.run();
        let failure = match ending {
            Ending::Over | Ending::Steps => None,
            Ending::Quiet => Some(Failure::Stuck {
                waiting: "the scenario isn't over".to_owned(),
            }),
            Ending::Failed(failure) => Some(failure),
        };
        let trace = failure.as_ref().map(|_| world.trace());
        Report {
            scenario: self,
            settings,
            steps: world.steps(),
            counts: world.counts(),
            checks: world.checks.all(),
            coverage: world.coverage.pairs(),
            over: ending_is_over(&failure, world.steps(), settings.steps),
            failure,
            trace: trace.unwrap_or_default(),
        }
    }
}

fn ending_is_over(failure: &Option<Failure>, steps: u64, limit: u64) -> bool {
    failure.is_none() && steps < limit
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// What was played.
    pub scenario: Scenario,
    /// How.
    pub settings: Settings,
    /// Steps.
    pub steps: u64,
    /// What the run came by.
    pub counts: Counts,
    /// How often what was checked.
    pub checks: Vec<(Check, u64)>,
    /// What the driver was doing, which operation a revocation was or came upon, and how often.
    pub coverage: Vec<(Activity, Operation, u64)>,
    /// It came to its end, before the steps were used up.
    pub over: bool,
    /// What was found.
    pub failure: Option<Failure>,
    /// What happened last, if something was found.
    pub trace: String,
}

impl Report {
    /// The command that plays it again, with all that happens.
    pub fn command(&self) -> String {
        let Settings {
            seed,
            steps,
            audit_every,
            plant,
            ..
        } = self.settings;
        let name = self.scenario.name();
        let mut features = "";
        let mut options = format!("--scenario {name} --seed {seed} --steps {steps}");
        if audit_every != Settings::from_seed(seed).audit_every {
            options += &format!(" --audit-every {audit_every}");
        }
        let parties = self.scenario.parties().iter().enumerate();
        let away: Vec<&str> = parties
            .filter(|(n, _)| !self.settings.has(*n))
            .map(|(_, name)| *name)
            .collect();
        if !away.is_empty() {
            options += &format!(" --without {}", away.join(","));
        }
        if let Some(plant) = plant {
            options += &format!(" --planted {}", plant.name());
            if !Plant::MACHINE.contains(&plant) {
                features = " --features planted";
            }
        }
        format!("cargo run -p sim --release{features} -- {options} --trace")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, seed) = (self.scenario.name(), self.settings.seed);
        match &self.failure {
            None => write!(f, "{name}, seed {seed}: {} steps, sound", self.steps),
            Some(failure) => write!(
                f,
                "{}\n{name}, seed {seed}, step {}: {failure}\nagain: {}",
                self.trace,
                self.steps,
                self.command()
            ),
        }
    }
}
