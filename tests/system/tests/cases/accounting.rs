//! Users come and go, by the console and init's real path, and leave of everything what there was.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use system::{Case, Entry, Guest, Peer, frames, milliseconds, seconds};

use super::common::{ask, banks, eventually, holdings, is_well, net, quiet_on_wire, to_user};

pub const CASES: &[Entry] = &[(
    "accounting.users_who_come_and_go_leave_of_everything_what_there_was",
    cycles,
)];

/// Cycles, unless `USUFRUCT_CYCLES` says how many.
const CYCLES: u32 = 50;
/// Cycles before anything is compared: heaps grow to their size.
const GROWING: u32 = 4;

/// What there is of everything.
#[derive(Debug, PartialEq, Eq)]
struct Account {
    /// Each bank's limit, and what it has bought and in limbo.
    banks: Vec<(String, [u64; 3])>,
    /// Each process with its memory.
    processes: Vec<(String, String)>,
    /// Users with a session.
    sessions: Vec<String>,
    /// What the kernel counts.
    objects: String,
}

impl Account {
    fn of(guest: &mut Guest) -> Result<Account> {
        let processes = ask(guest, "ps", "process +program", "CPU is since")?;
        // What it has in memory is the only amount with a unit.
        let memory = regex::Regex::new("^([a-z]+) .* ([0-9.]+ [KMG]iB) ")?;
        let rows = processes.lines().filter_map(|row| {
            let found = memory.captures(row)?;
            Some((found[1].to_owned(), found[2].to_owned()))
        });
        let table = net(guest)?;
        let open = table.lines().filter(|row| row.contains(" open "));
        let sessions = open.filter_map(|row| row.split_whitespace().next());
        let found = ask(guest, "invariants", "kernel: ", "invariants [^\n]*\n")?;
        ensure!(!found.contains("BROKEN"), "{found}");
        let objects = found.lines().next().context("nothing was checked")?;
        Ok(Account {
            banks: holdings(&banks(guest)?),
            processes: rows.collect(),
            sessions: sessions.map(str::to_owned).collect(),
            objects: objects.split(',').next().unwrap_or_default().to_owned(),
        })
    }
}

/// A user comes, gets frames, and loses everything in the middle of them.
fn cycle(guest: &mut Guest, peer: &mut Peer, number: u32) -> Result<()> {
    guest.send_line("spawn carol --ipv6 off")?;
    guest.expect("carol is up", seconds(20))?;
    let frame = frames::udp4(&to_user(3), 5, 9, &[3; 900]);
    for _ in 0..number % 24 {
        peer.wire().send(&frame)?;
    }
    guest.send_line("revoke carol")?;
    for _ in 0..number % 9 {
        peer.wire().send(&frame)?;
    }
    guest.expect("carol is gone: ", seconds(20))?;
    // A card whose frames nobody takes would be reset.
    while peer.wire().receive(Duration::ZERO)?.is_some() {}
    Ok(())
}

fn cycles(case: &Case) -> Result<()> {
    let given = std::env::var("USUFRUCT_CYCLES").ok();
    let count = match given {
        Some(count) => count.parse().context("USUFRUCT_CYCLES is no number")?,
        None => CYCLES,
    };
    let (mut guest, mut peer) = quiet_on_wire(case)?;
    for number in 0..GROWING {
        cycle(&mut guest, &mut peer, 23 + 24 * number)?;
    }
    let before = Account::of(&mut guest)?;
    let began = Instant::now();
    for number in 0..count {
        cycle(&mut guest, &mut peer, number).with_context(|| format!("cycle {number}"))?;
    }
    let took = began.elapsed();
    let after = eventually(seconds(5), || {
        std::thread::sleep(milliseconds(100));
        let after = Account::of(&mut guest)?;
        ensure!(before == after, "before {before:#?}\nafter {after:#?}");
        Ok(after)
    })?;
    println!(
        "{count} users came and went in {:.1} s; before and after: {}; {:?}",
        took.as_secs_f64(),
        after.objects,
        after.processes
    );
    for k in 1..=2 {
        is_well(&mut peer, k)?;
    }
    ensure!(!guest.has_shown("stopped:|panicked")?);
    Ok(())
}
