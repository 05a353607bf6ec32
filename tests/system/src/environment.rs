//! What `cargo mk test` says to the cases.

use std::time::Duration;

use anyhow::{Context, Result};
use mk::machine::Machine;

/// So many seconds.
pub fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// So many thousandths of a second.
pub fn milliseconds(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn number(name: &str) -> Result<Option<u32>> {
    match std::env::var(name) {
        Err(_) => Ok(None),
        Ok(text) => text
            .parse()
            .map(Some)
            .with_context(|| format!("{name}={text}: it must be a number")),
    }
}

/// The limit of a wait: the case's own, unless the user gave one.
pub(crate) fn limit(own: Duration) -> Duration {
    let given = number("USUFRUCT_TIMEOUT").ok().flatten();
    given.map_or(own, |count| Duration::from_secs(count.into()))
}

/// The machine to boot on, where a case doesn't say.
pub(crate) fn machine() -> Result<Machine> {
    let mut machine = Machine::default();
    if let Some(cpus) = number("USUFRUCT_SMP")? {
        machine.cpus = cpus;
    }
    if let Some(memory) = number("USUFRUCT_MEMORY")? {
        machine.memory = memory;
    }
    if let Ok(text) = std::env::var("USUFRUCT_ACCEL") {
        machine.accelerator = text
            .parse()
            .map_err(|error| anyhow::anyhow!("USUFRUCT_ACCEL={text}: {error}"))?;
    }
    Ok(machine)
}

/// Whether to print QEMU's command lines.
pub(crate) fn verbose() -> bool {
    std::env::var_os("USUFRUCT_VERBOSE").is_some()
}
