//! How long nothing came from a guest although the host's processors were not to blame.
//!
//! Wall time alone says little on a loaded host: a guest that does not get a core looks like one that
//! waits. So the time is left out for which a thread of QEMU's, or the one that is the guest's peer, ran or
//! waited for a core; the system keeps count of both (Linux, proc(5), `schedstat`). What remains is time
//! in which guest and peer both waited for something to happen: for a timer, or for each other.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How often is looked.
const PERIOD: Duration = Duration::from_millis(5);

/// Watches a guest from a thread of its own, until it is asked what it saw.
#[derive(Debug)]
pub struct Idleness {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Duration>>,
}

impl Idleness {
    /// Watches this process of QEMU's, and how often `arrivals` changes. Whoever calls is the peer.
    ///
    /// # Errors
    /// The system does not tell how long threads run.
    pub(crate) fn watch(process: u32, arrivals: Arc<AtomicU64>) -> Result<Idleness> {
        let me = std::fs::read_link("/proc/thread-self").context("the number of a thread")?;
        let sources = [Path::new("/proc").join(me), qemus(process)];
        busy(&sources)?;
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = std::thread::spawn(move || longest(&sources, &arrivals, &told));
        Ok(Idleness { stop, thread })
    }

    /// The longest time at a stretch in which nothing came though guest and peer had nothing to do.
    ///
    /// # Errors
    /// QEMU ended.
    pub fn longest(self) -> Result<Duration> {
        self.stop.store(true, Ordering::Relaxed);
        match self.thread.join() {
            Ok(result) => result,
            Err(_) => bail!("the watch panicked"),
        }
    }
}

fn qemus(process: u32) -> PathBuf {
    PathBuf::from(format!("/proc/{process}/task"))
}

fn longest(sources: &[PathBuf; 2], arrivals: &AtomicU64, stop: &AtomicBool) -> Result<Duration> {
    let (mut longest, mut silence) = (Duration::ZERO, Duration::ZERO);
    let mut before = (
        arrivals.load(Ordering::Relaxed),
        Instant::now(),
        busy(sources)?,
    );
    while !stop.load(Ordering::Relaxed) {
        std::thread::sleep(PERIOD);
        let now = (
            arrivals.load(Ordering::Relaxed),
            Instant::now(),
            busy(sources)?,
        );
        if now.0 == before.0 {
            // This order counts rather too much as busy than too little.
            silence += (now.1 - before.1).saturating_sub(now.2.saturating_sub(before.2));
            longest = longest.max(silence);
        } else {
            silence = Duration::ZERO;
        }
        before = now;
    }
    Ok(longest)
}

/// For how long the peer's thread and all of QEMU's ran or waited for a core.
fn busy([peer, qemu]: &[PathBuf; 2]) -> Result<Duration> {
    let mut all = thread(peer)?;
    let entries = std::fs::read_dir(qemu).context("QEMU's threads")?;
    for entry in entries {
        // A thread may be gone meanwhile; what it did then counts as nothing.
        all += thread(&entry?.path()).unwrap_or_default();
    }
    Ok(all)
}

fn thread(folder: &Path) -> Result<Duration> {
    let file = folder.join("schedstat");
    let told =
        std::fs::read_to_string(&file).with_context(|| format!("can't read {}", file.display()))?;
    let mut words = told.split_whitespace().map(str::parse::<u64>);
    match (words.next(), words.next()) {
        (Some(Ok(ran)), Some(Ok(waited))) => Ok(Duration::from_nanos(ran + waited)),
        _ => bail!("{}: {told:?}", file.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_computes_is_busy_and_one_that_sleeps_is_not() {
        let me = Path::new("/proc").join(std::fs::read_link("/proc/thread-self").unwrap());
        let before = thread(&me).unwrap();
        std::thread::sleep(Duration::from_millis(300));
        let slept = thread(&me).unwrap();
        assert!(slept - before < Duration::from_millis(150));
        let began = Instant::now();
        while began.elapsed() < Duration::from_millis(300) {
            std::hint::spin_loop();
        }
        assert!(thread(&me).unwrap() - slept > Duration::from_millis(150));
    }
}
