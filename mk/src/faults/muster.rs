//! All faults that can be planted, one after the other: what finds each, and how soon.
//!
//! A fault of the kernel's is looked for by the simulator and by the sweep in QEMU, one of the driver's or
//! of the machine's by the simulator, which can play them. That no check notices one is a failure.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::Level;
use super::sweep::Sweep;
use super::sweep_row::again;
use super::table::{grouped, rows};
use crate::process::die_with_parent;
use crate::progress::Step;
use crate::verbs::Prepared;

/// Seeds that the simulator plays at most, and the steps of each run.
const SEEDS: u64 = 12;
const STEPS: u64 = 60_000;
/// Whose faults the sweep can find: its kernel is told them.
const SWEPT: &str = "kernel";

/// A fault that can be planted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plant {
    /// Its name.
    pub name: String,
    /// Whose mistake it is.
    pub whose: String,
}

/// What noticed a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where, and after how much.
    pub place: String,
    /// What was wrong.
    pub what: String,
    /// The command that shows it again.
    pub again: String,
}

/// Where a fault was looked for, and what noticed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// The fault.
    pub plant: Plant,
    /// Where.
    pub level: Level,
    /// Nothing: no check is good enough.
    pub found: Option<Found>,
}

/// The faults that this simulator can plant.
///
/// # Errors
/// It can't be run.
pub fn list(sim: &Path) -> Result<Vec<Plant>> {
    let output = Command::new(sim)
        .arg("--list-planted")
        .output()
        .with_context(|| format!("{} can't be run", sim.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let plants: Vec<Plant> = text.lines().filter_map(plant).collect();
    match plants.is_empty() {
        true => bail!("the simulator has no faults to plant"),
        false => Ok(plants),
    }
}

/// A line of the list.
fn plant(line: &str) -> Option<Plant> {
    let (name, whose) = line.split_once(' ')?;
    Some(Plant {
        name: name.into(),
        whose: whose.into(),
    })
}

/// Has the simulator look for each fault, several at a time.
///
/// # Errors
/// A simulator can't be run, or says what isn't understood.
pub fn simulate(sim: &Path, plants: &[Plant]) -> Result<Vec<Search>> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let step = Step::counted("planted faults, simulated", plants.len() as u64);
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                while let Some((n, plant)) = nth(plants, next.fetch_add(1, Ordering::Relaxed)) {
                    let search = search_simulated(sim, plant);
                    if let Ok(mut done) = done.lock() {
                        done.push((n, search));
                        step.reach(done.len() as u64, &plant.name);
                    }
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_default();
    done.sort_by_key(|(n, _)| *n);
    let searches: Result<Vec<Search>> = done.into_iter().map(|(_, search)| search).collect();
    step.end(&format!("{} faults", plants.len()));
    searches
}

fn nth(plants: &[Plant], n: usize) -> Option<(usize, &Plant)> {
    plants.get(n).map(|plant| (n, plant))
}

fn search_simulated(sim: &Path, plant: &Plant) -> Result<Search> {
    let mut command = Command::new(sim);
    command.args(["--json", "--seed", "1", "--planted", &plant.name]);
    command.args(["--count", &SEEDS.to_string(), "--steps", &STEPS.to_string()]);
    command.stdin(Stdio::null());
    die_with_parent(&mut command);
    let output = command
        .output()
        .with_context(|| format!("{} can't be run", sim.display()))?;
    Ok(Search {
        plant: plant.clone(),
        level: Level::Sim,
        found: simulated(&String::from_utf8_lossy(&output.stdout))?,
    })
}

/// What the simulator's lines say: the last run failed, or none did.
fn simulated(text: &str) -> Result<Option<Found>> {
    let (mut runs, mut steps) = (0, 0);
    for line in text.lines() {
        let run: Value = serde_json::from_str(line).context("a line of the simulator's")?;
        let Some(count) = run["steps"].as_u64() else {
            continue;
        };
        runs += 1;
        steps += count;
        if let (Some(what), Some(again)) = (
            run["failure"]["what"].as_str(),
            run["failure"]["again"].as_str(),
        ) {
            let scenario = run["scenario"].as_str().unwrap_or("?");
            return Ok(Some(Found {
                place: format!("{scenario}, {} steps", grouped(steps)),
                what: what.into(),
                again: again.into(),
            }));
        }
    }
    match runs {
        0 => bail!("the simulator played nothing"),
        _ => Ok(None),
    }
}

/// Sweeps with each fault of the kernel's, until a point fails. `kernel`: one that can make mistakes.
///
/// # Errors
/// Something can't be booted.
pub fn sweep(prepared: &Prepared, kernel: &Path, plants: &[Plant]) -> Result<Vec<Search>> {
    let swept = plants.iter().filter(|plant| plant.whose == SWEPT);
    swept
        .map(|plant| {
            Ok(Search {
                plant: plant.clone(),
                level: Level::Qemu,
                found: search_swept(prepared, kernel.to_path_buf(), &plant.name)?,
            })
        })
        .collect()
}

fn search_swept(prepared: &Prepared, kernel: PathBuf, name: &str) -> Result<Option<Found>> {
    let sweep = Sweep {
        planted: Some((kernel, name.to_owned())),
        until_failure: true,
        ..Sweep::default()
    };
    let rows = sweep.play(prepared)?;
    let points: u64 = rows.iter().map(|row| row.points).sum();
    let failed = rows.iter().find(|row| row.failures > 0);
    Ok(failed.and_then(|row| {
        let (point, what) = row.failure.as_ref()?;
        let scenario = &row.pair.scenario;
        let place = match point {
            0 => format!("{scenario}, before a point"),
            _ => format!("{scenario}, {} points", grouped(points)),
        };
        Some(Found {
            place,
            what: what.trim_start_matches("can't go on: ").into(),
            again: again(row, Some(name)),
        })
    }))
}

/// Whether every fault was looked for, and found wherever it was.
pub fn is_sound(plants: &[Plant], searches: &[Search]) -> bool {
    let looked = |plant: &Plant| searches.iter().any(|search| search.plant == *plant);
    !plants.is_empty()
        && plants.iter().all(looked)
        && searches.iter().all(|search| search.found.is_some())
}

/// A line for each fault and level; then how each is shown again.
pub fn table(searches: &[Search]) -> String {
    let heading = ["planted fault", "whose", "level", "found in, after", "by"];
    let mut lines = vec![heading.map(str::to_owned).to_vec()];
    for Search {
        plant,
        level,
        found,
    } in searches
    {
        let (place, what) = match found {
            Some(found) => (found.place.clone(), first_line(&found.what)),
            None => ("NOT FOUND".to_owned(), String::new()),
        };
        lines.push(vec![
            plant.name.clone(),
            plant.whose.clone(),
            level.to_string(),
            place,
            what,
        ]);
    }
    let mut text = rows(&lines);
    text.push_str("\nEach again:\n");
    for found in searches.iter().filter_map(|search| search.found.as_ref()) {
        text.push_str(&format!("    {}\n", found.again));
    }
    let missed = searches.iter().filter(|search| search.found.is_none());
    for Search { plant, level, .. } in missed {
        text.push_str(&format!(
            "\n{} wasn't found at the level {level}: no check is good enough.\n",
            plant.name
        ));
    }
    text
}

/// As much of it as a table has room for.
fn first_line(what: &str) -> String {
    const ROOM: usize = 72;
    let line = what.lines().next().unwrap_or_default();
    match line.char_indices().nth(ROOM) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(name: &str, found: bool) -> Search {
        Search {
            plant: plant(&format!("{name} kernel")).unwrap(),
            level: Level::Qemu,
            found: found.then(|| Found {
                place: "attach, 7 points".into(),
                what: "a capability names something again\nand more".into(),
                again: "cargo mk faults --point 7".into(),
            }),
        }
    }

    #[test]
    fn a_fault_that_nothing_finds_is_a_failure_and_so_is_one_that_nobody_looked_for() {
        let searches = [search("keep-home", true), search("keep-version", true)];
        let plants: Vec<Plant> = searches.iter().map(|one| one.plant.clone()).collect();
        assert!(is_sound(&plants, &searches));
        assert!(!is_sound(&plants, &searches[..1]));
        assert!(!is_sound(&[], &[]));
        let missed = [search("keep-home", true), search("keep-version", false)];
        assert!(!is_sound(&plants, &missed));
        let text = table(&missed);
        assert!(text.contains("NOT FOUND"), "{text}");
        assert!(
            text.contains("keep-version wasn't found at the level qemu"),
            "{text}"
        );
        assert!(text.contains("    cargo mk faults --point 7\n"), "{text}");
        assert!(!text.contains("and more"), "{text}");
    }

    #[test]
    fn the_run_that_failed_is_the_one_that_found_it() {
        let sound = r#"{"scenario":"storage","driver":[],"kernel":[],"revocations":3}
{"scenario":"storage","seed":1,"steps":1000,"failure":null}"#;
        assert_eq!(simulated(sound).unwrap(), None);
        let failed = format!(
            "{sound}\n{}",
            r#"{"scenario":"ethernet","seed":1,"steps":234,"failure":{"what":"lost","again":"sim"}}"#
        );
        let found = simulated(&failed).unwrap().unwrap();
        assert_eq!(found.place, "ethernet, 1,234 steps");
        assert_eq!((&found.what[..], &found.again[..]), ("lost", "sim"));
        assert!(simulated("").is_err(), "nothing was played");
    }
}
