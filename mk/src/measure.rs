//! Counts what frames cost in the running system: the vectors of the crossover report.
//!
//! The guest program `crossover` sends frames over the simulated wire and prints a row for each
//! setting, and lines about isolated operations. It is booted four times, two at a time, under icount:
//!
//! - twice on the kernel as it is: *instructions* as the kernel charged them, driver, recipient and
//!   whatever else ran but the wire;
//! - twice on a kernel and with a driver that were built to count *events* ([`counting`]), once of
//!   these watched by a plugin of QEMU's, which counts from outside.
//!
//! The two boots of a pair must agree in every number, or there are no vectors: what is exact is the
//! same each time. Both pairs must agree in how often the CPU switched.
//!
//! [`time`] boots the same program on a CPU's own clock.
//!
//! Instructions of loops that copy or zero are taken off, because their bytes are counted as bytes: a
//! program that counts says how many its loops took, and the kernel zeroes by an instruction that counts
//! once a word. What the recipient's reading takes isn't in the vectors either: where reading changes no
//! event, the row without reading stands for all (`any`).

mod boot;
mod check;
mod console;
mod counting;
mod outside;
mod plan;
mod rows;
mod time;
mod work;

use std::fmt::Debug;
use std::sync::Mutex;

use anyhow::{Context, Result, bail, ensure};
use crossover::operations::Operations;
use crossover::vectors::Vectors;

use crate::verbs::Prepared;

use boot::How;

pub use check::check;
pub use plan::Plan;
pub use rows::{Counted, Key};
pub use time::{BOOTS, time};

/// What was measured.
#[derive(Debug)]
pub struct Measured {
    /// The vectors.
    pub vectors: Vectors,
    /// What isolated operations cost, if they were asked for.
    pub operations: Option<Operations>,
    /// Settings that can't be, because the driver has too few buffers for so many so long frames at once.
    pub skipped: Vec<Key>,
    /// How the plugin's counts compare with the kernel's, a line each event; all equal.
    pub outside: Vec<String>,
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
    let run = |how: How| {
        boot::run(prepared, how, plan, &step).with_context(|| format!("measuring ({})", how.name()))
    };
    let of_pair = |boots: [How; 2]| -> Result<[boot::Printed; 2]> {
        let [one, two] = boots.map(run);
        Ok([one?, two?])
    };
    // Long ones begin at the same time.
    let (first, second) = std::thread::scope(|scope| {
        let first = scope.spawn(|| of_pair([How::Watched(&counting), How::Plain]));
        let second = scope.spawn(|| of_pair([How::Counting(&counting), How::Plain]));
        (first.join(), second.join())
    });
    let (Ok(first), Ok(second)) = (first, second) else {
        bail!("a thread that measures panicked");
    };
    let ([watched, plain], [counted, again]) = (first?, second?);
    same("instructions", &plain.rows, &again.rows)?;
    same("events", &counted.rows, &watched.rows)?;
    same("instructions", &plain.work, &again.work)?;
    same("events", &counted.work, &watched.work)?;
    ensure!(
        plain.skipped == counted.skipped,
        "what can't be measured differs between the kernels"
    );
    Ok(Measured {
        vectors: rows::vectors(&plain.rows, &counted.rows)?,
        operations: match plan.operations {
            true => Some(work::operations(&plain.work, &counted.work)?),
            false => None,
        },
        skipped: plain.skipped,
        outside: watched.outside,
    })
}

/// Compares what two boots printed.
fn same<T: PartialEq + Debug>(what: &str, one: &[T], two: &[T]) -> Result<()> {
    ensure!(
        one.len() == two.len(),
        "{what}: {} lines, and then {}",
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
