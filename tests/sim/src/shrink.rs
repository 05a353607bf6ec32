//! The shortest run that fails like another.
//!
//! First parties are left out, then steps, then it is looked when the failure shows at the earliest.
//! Leaving anything out changes what every later decision is about, so that the same seed may be sound
//! then: a few others are tried too.

use crate::failure::Failure;
use crate::scenario::Report;
use crate::world::Settings;

/// Other seeds that are tried in place of the run's own.
const SEEDS: u64 = 12;
/// Runs that are played at most.
const RUNS: u32 = 400;
/// Steps up to which a run is audited as a whole after each.
const AUDITED: u64 = 20_000;
/// How many steps a run is tried with, in sixteenths of those until the failure. In its last third a
/// run takes everything back.
const SIXTEENTHS: [u64; 8] = [1, 2, 4, 8, 12, 14, 17, 28];

/// The shortest run found that fails like this one; the same one if there is none.
pub fn shrink(report: &Report) -> Report {
    let mut search = Search {
        best: report.clone(),
        left: RUNS,
    };
    if report.failure.is_some() {
        search.leave_out_parties();
        search.leave_out_steps();
        search.look_closely();
    }
    search.best
}

struct Search {
    best: Report,
    left: u32,
}

impl Search {
    /// Plays runs like the best one, but for these settings. Answers whether one failed in the same
    /// way: that is the best one then.
    fn is_enough(&mut self, settings: Settings) -> bool {
        (0..=SEEDS).any(|n| {
            let seed = settings.seed.wrapping_add(n);
            let likewise = Settings {
                steps: settings.steps,
                audit_every: settings.audit_every,
                without: settings.without,
                plant: settings.plant,
                live: false,
                ..Settings::from_seed(seed)
            };
            self.fails(likewise)
        })
    }

    fn fails(&mut self, settings: Settings) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        let report = self.best.scenario.play(settings);
        let alike = is_alike(&report.failure, &self.best.failure);
        if alike {
            self.best = report;
        }
        alike
    }

    fn leave_out_parties(&mut self) {
        for party in 0..self.best.scenario.parties().len() {
            let settings = self.best.settings;
            if settings.has(party) {
                self.is_enough(Settings {
                    without: settings.without | 1 << party,
                    ..settings
                });
            }
        }
    }

    fn leave_out_steps(&mut self) {
        loop {
            let settings = self.best.settings;
            let shorter = SIXTEENTHS.iter().any(|n| {
                let steps = (self.best.steps * n / 16).max(1);
                steps < settings.steps && self.is_enough(Settings { steps, ..settings })
            });
            if !shorter {
                return;
            }
        }
    }

    /// Audits everything after each step: the failure may show before it was found.
    fn look_closely(&mut self) {
        let settings = self.best.settings;
        let before = self.best.clone();
        if self.best.steps > AUDITED {
            return;
        }
        self.left = self.left.max(1);
        let closely = Settings {
            audit_every: 1,
            ..settings
        };
        if !self.fails(closely) || self.best.steps >= before.steps {
            self.best = before;
        }
    }
}

/// Whether two failures say the same, but for numbers.
fn is_alike(one: &Option<Failure>, other: &Option<Failure>) -> bool {
    let words = |failure: &Failure| -> Vec<String> {
        let text = failure.to_string();
        let words = text.split_whitespace();
        let plain = words.filter(|word| !word.contains(|c: char| c.is_ascii_digit()));
        plain.map(str::to_owned).collect()
    };
    match (one, other) {
        (Some(one), Some(other)) => words(one) == words(other),
        _ => false,
    }
}
