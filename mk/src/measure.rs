//! Counts what frames cost in the running system: the vectors of the crossover report.
//!
//! The guest program `crossover` sends frames over the simulated wire and prints a row for each
//! setting. It is booted four times, two at a time, under icount:
//!
//! - twice on the kernel as it is: *instructions* as the kernel charged them, driver, recipient and
//!   whatever else ran but the wire;
//! - twice on a kernel and with a driver that were built to count *events* ([`counting`]), once of
//!   these watched by a plugin of QEMU's, which counts from outside.
//!
//! The two boots of a pair must agree in every number, or there are no vectors: what is exact is the
//! same each time. Both pairs must agree in how often the CPU switched.
//!
//! Instructions of loops that copy or zero are taken off, because their bytes are counted as bytes: a
//! program that counts says how many its loops took, and the kernel zeroes by an instruction that counts
//! once a word. What the recipient's reading takes isn't in the vectors either: where reading changes no
//! event, the row without reading stands for all (`any`).

mod boot;
mod check;
mod counting;
mod outside;
mod plan;
mod rows;

use std::sync::Mutex;

use anyhow::{Context, Result, bail, ensure};
use crossover::vectors::Vectors;

use crate::verbs::Prepared;

pub use check::check;
pub use plan::Plan;
pub use rows::{Counted, Key};

/// What was measured.
#[derive(Debug)]
pub struct Measured {
    /// The vectors.
    pub vectors: Vectors,
    /// Settings that can't be, because the driver has too few buffers for so many so long frames at once.
    pub skipped: Vec<Key>,
    /// How the plugin's counts compare with the kernel's, a line each event; all equal.
    pub outside: Vec<String>,
}

/// Which of the four boots it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Boot {
    Plain,
    Counting,
    Watched,
}

/// Measures. `progress` is told, now and then and by several threads, how many rows of how many are
/// there.
///
/// # Errors
/// Something can't be built or booted, frames didn't take the way that they should, two boots differ, or
/// kernel and plugin do.
pub fn measure(
    prepared: &Prepared,
    plan: &Plan,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<Measured> {
    let counting = counting::build(prepared)?;
    let done = Mutex::new(0);
    let total = 4 * plan.rows();
    let step = || {
        let mut done = done.lock().unwrap_or_else(|error| error.into_inner());
        *done += 1;
        progress((*done).min(total), total);
    };
    let run = |boot| {
        let programs = match boot {
            Boot::Plain => None,
            Boot::Counting | Boot::Watched => Some(&counting),
        };
        boot::run(prepared, programs, plan, boot == Boot::Watched, &step)
            .with_context(|| format!("measuring ({boot:?})"))
    };
    let of_pair = |boots: [Boot; 2]| -> Result<[boot::Printed; 2]> {
        let [one, two] = boots.map(run);
        Ok([one?, two?])
    };
    // Long ones begin at the same time.
    let (first, second) = std::thread::scope(|scope| {
        let first = scope.spawn(|| of_pair([Boot::Watched, Boot::Plain]));
        let second = scope.spawn(|| of_pair([Boot::Counting, Boot::Plain]));
        (first.join(), second.join())
    });
    let (Ok(first), Ok(second)) = (first, second) else {
        bail!("a thread that measures panicked");
    };
    let ([watched, plain], [counted, again]) = (first?, second?);
    same("instructions", &plain.rows, &again.rows)?;
    same("events", &counted.rows, &watched.rows)?;
    ensure!(
        plain.skipped == counted.skipped,
        "what can't be measured differs between the kernels"
    );
    Ok(Measured {
        vectors: rows::vectors(&plain.rows, &counted.rows)?,
        skipped: plain.skipped,
        outside: watched.outside,
    })
}

/// Compares what two boots printed.
fn same(what: &str, one: &[Counted], two: &[Counted]) -> Result<()> {
    ensure!(
        one.len() == two.len(),
        "{what}: {} rows, and then {}",
        one.len(),
        two.len()
    );
    for (one, two) in one.iter().zip(two) {
        ensure!(
            one == two,
            "{what} differ between two runs: {one:?} and {two:?}"
        );
    }
    Ok(())
}
