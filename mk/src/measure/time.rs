//! Time, by the CPU's clock: the guest boots without counting, where its ticks are those of the
//! time-stamp counter. On a CPU that runs the guest itself that is time on hardware.

use anyhow::{Context, Result, ensure};
use crossover::native;
use crossover::times::{Time, Times};

use super::boot::{self, How};
use super::{Counted, Plan};
use crate::machine::Accelerator;
use crate::verbs::Prepared;

/// How often each row is timed, each time in a boot of its own, so that there are quartiles.
pub const BOOTS: usize = 7;

/// Times what a plan names, so often. `progress` is told how many rows of how many are there.
///
/// # Errors
/// A boot fails, boots print different rows, or there is no clock to go by.
pub fn time(
    prepared: &Prepared,
    plan: &Plan,
    accelerator: Accelerator,
    times: usize,
    progress: &dyn Fn(u64, u64),
) -> Result<Times> {
    // A guest under KVM reads the host's counter; under emulation QEMU passes it on.
    let hertz = native::hertz().context("what a tick of the counter is")?;
    let plan = Plan {
        operations: false,
        ..plan.clone()
    };
    let total = times as u64 * plan.rows();
    let done = std::cell::Cell::new(0);
    let step = || {
        done.set(done.get() + 1);
        progress(done.get(), total);
    };
    let mut boots = Vec::new();
    for _ in 0..times {
        let printed = boot::run(prepared, How::Timed(accelerator), &plan, &step)?;
        boots.push(printed.rows);
    }
    let rows = samples(&boots, hertz)?;
    let on_hardware = accelerator == Accelerator::Kvm;
    Ok(Times::new(native::cpu(), on_hardware, rows)?)
}

/// Nanoseconds a frame by the ticks of each boot.
fn samples(boots: &[Vec<Counted>], hertz: u64) -> Result<Vec<Time>> {
    let first = boots.first().context("nothing was booted")?;
    ensure!(
        boots.iter().all(|rows| rows.len() == first.len()),
        "boots printed different rows"
    );
    let mut all = Vec::new();
    for (index, row) in first.iter().enumerate() {
        let mut samples = Vec::new();
        for again in boots.iter().map(|rows| &rows[index]) {
            let same = |row: &Counted| (row.key, row.touched, row.frames);
            ensure!(
                same(again) == same(row),
                "boots printed different rows: {row:?} and {again:?}"
            );
            let ticks: u64 = again.instructions.iter().sum();
            samples.push(ticks as f64 * 1e9 / hertz as f64 / again.frames as f64);
        }
        all.push(Time {
            strategy: row.key.strategy,
            bytes: row.key.bytes,
            batch: row.key.batch,
            touched: row.touched,
            samples,
        });
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boot(ticks: u64) -> Vec<Counted> {
        let line = format!("row exchange 1514 4 header 64 {ticks} 1000 600 32.");
        vec![Counted::parse(&line).unwrap()]
    }

    #[test]
    fn ticks_of_driver_recipient_and_others_are_a_frames_time() {
        let rows = samples(&[boot(4800), boot(11_200)], 2_000_000_000).unwrap();
        let [row] = &rows[..] else {
            panic!("{rows:?}");
        };
        // (4800 + 1000 + 600) ticks of half a nanosecond over 64 frames, and as many again.
        assert_eq!(row.samples, [50.0, 100.0]);
        assert_eq!((row.bytes, row.batch), (1514, 4));
    }

    #[test]
    fn boots_with_different_rows_give_no_times() {
        let mut other = boot(4800);
        other[0].frames = 128;
        assert!(samples(&[boot(4800), other], 2_000_000_000).is_err());
        assert!(samples(&[boot(4800), Vec::new()], 2_000_000_000).is_err());
        assert!(samples(&[], 2_000_000_000).is_err());
    }
}
