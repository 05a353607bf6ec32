//! Machines of every size start, with a clock that is right; one on which nothing can go on stops.

use anyhow::{Result, ensure};
use system::{Boot, Case, Entry, Guest, Outcome, seconds};

use super::common::banks;

pub const CASES: &[Entry] = &[
    ("boots.with_little_memory", little),
    (
        "boots.with_memory_that_ends_within_a_gib_above_four",
        uneven,
    ),
    ("boots.with_whole_gibs_of_memory", whole),
    ("boots.with_most_memory_above_four_gib", above),
    ("boots.with_more_memory_than_spacebank_has_room_for", beyond),
    ("boots.with_a_clock_of_the_machines_rate", clock),
    ("boots.and_stops_when_spacebank_dies", no_spacebank),
    ("boots.and_stops_when_init_dies", no_init),
];

/// Boots with so many MiB. Answers the guest, once its console answers, and the MiB that it has.
fn boot(case: &Case, mebibytes: u32) -> Result<(Guest, u32)> {
    // The host gives memory for what is written only, and need not have all of it.
    let mut guest = Boot::new(case)
        .append("users=off")
        .machine(|machine| machine.memory = mebibytes)
        .qemu("-object")
        .qemu(&format!(
            "memory-backend-ram,id=ram,size={mebibytes}M,reserve=off"
        ))
        .qemu("-machine")
        .qemu("memory-backend=ram")
        .start()?;
    let found = guest.expect("kernel: ([0-9]+) MiB in [0-9]+ pages", seconds(60))?;
    let found = found.group(1)?.parse()?;
    guest.expect("`help` lists the commands", seconds(60))?;
    banks(&mut guest)?;
    Ok((guest, found))
}

/// Boots with so many MiB, of which the kernel's image and tables take a small part.
fn has_all(case: &Case, mebibytes: u32) -> Result<()> {
    let (_, found) = boot(case, mebibytes)?;
    ensure!(
        (mebibytes * 15 / 16 - 2..=mebibytes).contains(&found),
        "{found} of {mebibytes} MiB"
    );
    Ok(())
}

fn little(case: &Case) -> Result<()> {
    has_all(case, 24)?;
    has_all(case, 64)
}

fn uneven(case: &Case) -> Result<()> {
    // From 2,816 MiB on, the machine puts what exceeds 2 GiB above 4 GiB.
    for mebibytes in [2815, 2816, 3500, 3600] {
        has_all(case, mebibytes)?;
    }
    Ok(())
}

fn whole(case: &Case) -> Result<()> {
    for gibibytes in [2, 3, 4] {
        has_all(case, gibibytes * 1024)?;
    }
    Ok(())
}

fn above(case: &Case) -> Result<()> {
    has_all(case, 5 * 1024)?;
    has_all(case, 8 * 1024)
}

fn beyond(case: &Case) -> Result<()> {
    let (guest, found) = boot(case, 17 * 1024)?;
    ensure!(
        guest.has_shown("MiB of RAM stay unused: spacebank has room for 4194304 pages")?,
        "nothing is said of what isn't used"
    );
    ensure!((15 * 1024..=16 * 1024).contains(&found), "{found} MiB");
    Ok(())
}

fn clock(case: &Case) -> Result<()> {
    let boot = Boot::new(case).append("users=off");
    let mut guest = boot
        .machine(|machine| *machine = super::guests::count_instructions())
        .start()?;
    let rate = guest.expect("1 CPUs runs?; ([0-9]+) MHz", seconds(60))?;
    let rate: u32 = rate.group(1)?.parse()?;
    ensure!(
        (999..=1001).contains(&rate),
        "{rate} MHz, but one instruction takes a nanosecond"
    );
    Ok(())
}

/// The machine stops with a failure, and says for whom.
fn stops_without(guest: &mut Guest, name: &str) -> Result<()> {
    guest.expect(
        &format!("the machine stops: nothing can go on without {name}"),
        seconds(30),
    )?;
    let outcome = guest.wait_exit(seconds(10))?;
    ensure!(outcome == Outcome::TestFailed, "{outcome}");
    Ok(())
}

fn no_spacebank(case: &Case) -> Result<()> {
    // A program that knows nothing of spacebank's slots and arguments.
    let mut guest = Boot::new(case).stand_in("spacebank", "hello").start()?;
    stops_without(&mut guest, "spacebank")
}

fn no_init(case: &Case) -> Result<()> {
    // Nor does spacebank know of init's.
    let mut guest = Boot::new(case).append("init=spacebank").start()?;
    stops_without(&mut guest, "init")
}
