//! The console's figures: amounts, counts and shares are what happened, not only words.

use anyhow::{Result, ensure};
use system::{Case, Entry, Guest, frames, seconds};

use super::common::{ask, bank, banks, echo_of, figures, net, quiet_on_wire, to_user};

pub const CASES: &[Entry] = &[("console.the_tables_figures_are_true", figures_are_true)];

/// What the memory column says of so many pages.
fn memory(pages: u64) -> String {
    match pages {
        0..256 => format!("{} KiB", pages * 4),
        _ => format!("{}.{} MiB", pages / 256, pages % 256 * 10 / 256),
    }
}

fn check_banks(table: &str) -> Result<()> {
    let rows = table
        .lines()
        .skip(1)
        .filter(|line| !line.contains(" free. "));
    let mut count = 0;
    for row in rows {
        let numbers: Vec<u64> = row
            .split_whitespace()
            .filter_map(|word| word.parse().ok())
            .collect();
        let &[limit, bought, limbo, high, ..] = &numbers[..] else {
            anyhow::bail!("{row:?} lacks amounts\n{table}");
        };
        ensure!(
            bought + limbo <= limit && bought + limbo <= high && high <= limit,
            "{row}"
        );
        ensure!(row.ends_with(&memory(bought + limbo)), "{row}");
        count += 1;
    }
    // prime, driver, watchdog, all users' bank, two users with a port bank and a session each
    ensure!(count == 10, "{count} rows in\n{table}");
    // A session holds its receive pages, control page and ring, and may hold half as many pages more: to
    // be sealed.
    ensure!(bank(table, "session")? == [98, 66, 0], "{table}");
    Ok(())
}

fn check_processes(before: &str, after: &str) -> Result<()> {
    for (name, priority) in [
        ("spacebank", 60),
        ("watchdog", 55),
        ("ethdrv", 50),
        ("init", 40),
        ("alice", 20),
        ("bob", 20),
    ] {
        // After the priority and two shares come cycles and switches.
        let (was, is) = (figures(before, name)?, figures(after, name)?);
        ensure!(was[0] == priority && is[0] == priority, "{after}");
        ensure!(
            is[1] >= was[1] && is[2] >= was[2],
            "{name}\n{before}\n{after}"
        );
        if ["alice", "ethdrv", "init"].contains(&name) {
            ensure!(
                is[1] > was[1] && is[2] > was[2],
                "{name}\n{before}\n{after}"
            );
        }
    }
    let shares = after.lines().skip(1).filter_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let first = words.iter().find(|word| word.ends_with('%'))?;
        first.trim_end_matches('%').parse::<f64>().ok()
    });
    let sum: f64 = shares.sum();
    // Each is cut off after one digit.
    ensure!((98.0..=100.1).contains(&sum), "{sum} %\n{after}");
    Ok(())
}

fn figures_are_true(case: &Case) -> Result<()> {
    let (mut guest, peer) = quiet_on_wire(case)?;
    check_banks(&banks(&mut guest)?)?;
    let processes =
        |guest: &mut Guest| ask(guest, "ps", "process +program +priority", "with init's");
    let ran = processes(&mut guest)?;
    let mut wire = peer.into_wire();
    let before = net(&mut guest)?;
    let (discarded, echoed) = (
        frames::udp4(&to_user(1), 4001, 9, &[1; 300]),
        frames::udp4(&to_user(1), 4001, 7, &[2; 1000]),
    );
    for _ in 0..50 {
        wire.send(&discarded)?;
    }
    let mut back = 0;
    for _ in 0..20 {
        wire.send(&echoed)?;
        while let Some(frame) = wire.receive(seconds(5))? {
            if echo_of(&frame, 1, 4001).is_some() {
                back += 1;
                break;
            }
        }
    }
    ensure!(back == 20, "{back} echoes");
    let after = net(&mut guest)?;
    let rose = |name| -> Result<Vec<u64>> {
        let (was, is) = (figures(&before, name)?, figures(&after, name)?);
        Ok(is
            .iter()
            .zip(was)
            .map(|(is, was)| is.wrapping_sub(was))
            .collect())
    };
    let bytes = (50 * discarded.len() + 20 * echoed.len()) as u64;
    // In, of them copied, in place, exchanged and recovered; out; dropped.
    let sent = 20 * echoed.len() as u64;
    let expected = [70, bytes, 70, 0, 0, 0, 20, sent, 0];
    ensure!(
        rose("alice")?[..9] == expected,
        "{expected:?}\n{before}\n{after}"
    );
    ensure!(rose("bob")?[..9] == [0; 9], "{before}\n{after}");
    check_processes(&ran, &processes(&mut guest)?)?;
    let table = banks(&mut guest)?;
    check_banks(&table)?;
    let users = ask(
        &mut guest,
        "users",
        "user +MAC",
        "bob [^\n]* up for [^\n]*\n",
    )?;
    for name in ["alice", "bob"] {
        // pages, bank, port, deaths, then the time that it is up.
        let row = figures(&users, name)?;
        let [limit, bought, _] = bank(&table, name)?;
        ensure!(row[..2] == [bought, limit], "{users}\n{table}");
        ensure!(row[1] + row[2] == 2048 && row[3] == 0, "{users}");
    }
    Ok(())
}
