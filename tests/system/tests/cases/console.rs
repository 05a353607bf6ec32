//! The console: every command, wrong ones, and users who come, die and go while others are served.

use anyhow::{Result, ensure};
use manifest::Service;
use system::{Boot, Case, Entry, ExpectOutcome, Guest, Net, Outcome, milliseconds, seconds};

use super::common::{
    Asking, amounts, ask, at, bank, banks, eventually, figures, forwarded, get, net, quiet_on_wire,
};

pub const CASES: &[Entry] = &[
    ("console.each_command_gives_its_table", tables),
    ("console.a_strategy_is_shown_and_changed", strategy),
    ("console.a_wrong_command_says_what_is_right", wrong),
    ("console.the_log_level_is_obeyed", log_level),
    ("console.halt_ends_the_machine", halt),
    ("console.reboot_resets_the_machine", reboot),
    (
        "console.carol_comes_and_goes_while_others_are_served",
        carol,
    ),
    ("console.a_killed_stack_is_started_again", kill),
    ("console.a_killed_driver_is_started_again", kill_driver),
    (
        "console.a_connection_outlives_the_drivers_under_it",
        outlived_drivers,
    ),
    (
        "console.a_bank_too_small_is_refused_and_nothing_is_taken",
        small_bank,
    ),
    (
        "console.a_machine_too_full_takes_nothing_for_who_does_not_fit",
        full,
    ),
];

fn has(text: &str, words: &[&str]) -> Result<()> {
    for word in words {
        ensure!(text.contains(word), "no {word:?} in\n{text}");
    }
    Ok(())
}

fn tables(case: &Case) -> Result<()> {
    let mut guest = forwarded(case)?;
    let help = ask(
        &mut guest,
        "help",
        "help \\[COMMAND\\]",
        "lists its options",
    )?;
    for command in [
        "users", "banks", "ps", "net", "ports", "spawn", "kill", "revoke", "strategy", "log",
        "reboot", "halt",
    ] {
        has(&help, &[command])?;
    }
    let spawn = ask(
        &mut guest,
        "help spawn",
        "bring up a user",
        "\\[spawn\\] section",
    )?;
    has(&spawn, &["--bank", "--ipv4", "--services"])?;
    let users = ask(
        &mut guest,
        "users",
        "user +MAC",
        "bob [^\n]* up for [^\n]*\n",
    )?;
    has(
        &users,
        &["02:75:73:00:00:01", "10.0.2.21/24", "10.0.2.22/24"],
    )?;
    let table = banks(&mut guest)?;
    has(
        &table,
        &[
            "limit",
            "limbo",
            "high-water",
            "prime",
            "ethdrv",
            "port",
            "session",
        ],
    )?;
    let [limit, bought, limbo] = bank(&table, "alice")?;
    ensure!(limit > bought && bought > 100 && limbo == 0, "{table}");
    let processes = ask(&mut guest, "ps", "process +program +priority", "and idling")?;
    has(
        &processes,
        &[
            "spacebank",
            "init",
            "watchdog",
            "ethdrv",
            "alice",
            "bob",
            "cycles",
            "switches",
            "netstack",
        ],
    )?;
    get(guest.port("alice", Service::Http)?, "/")?;
    let sessions = net(&mut guest)?;
    has(&sessions, &["alice", "bob", "open", "copied", "dropped"])?;
    let ports = ask(
        &mut guest,
        "ports",
        "user +service",
        "bob +chargen +udp[^\n]*\n",
    )?;
    let http = format!("127.0.0.1:{}", guest.port("alice", Service::Http)?);
    has(&ports, &["tcp 10.0.2.21 port 80", &http])
}

fn strategy(case: &Case) -> Result<()> {
    /// Frames by each strategy: of the pages that the device has, a tenth are lent by whoever flips.
    const EACH: u32 = 800;
    let (mut guest, mut peer) = quiet_on_wire(case)?;
    guest.send_line("strategy alice")?;
    guest.expect("alice receives by copy\\.", seconds(10))?;
    let words = [
        ("copy sealed", "copy sealed"),
        ("flip open", "flip"),
        ("hybrid(300)", "hybrid(300)"),
        ("sealed", "hybrid(300) sealed"),
        ("flip", "flip sealed"),
        ("hybrid open", "hybrid"),
        ("copy", "copy"),
    ];
    for (words, shown) in words {
        guest.send_line(&format!("strategy alice {words}"))?;
        let pattern = regex::escape(&format!("alice receives by {shown} from now on"));
        guest.expect(&pattern, seconds(10))?;
        // More than the device has buffers from before.
        let (answered, _) = peer.udp_echo_load(at(1, 7), &[7; 600], EACH, 8, seconds(20))?;
        ensure!(
            answered == EACH,
            "{words}: alice answered {answered} of {EACH}"
        );
        has(&net(&mut guest)?, &["receives by", shown])?;
    }
    // Some of them came each way, and nothing was dropped.
    let table = net(&mut guest)?;
    let [
        frames,
        _,
        copied,
        in_place,
        exchanged,
        recovered,
        _,
        _,
        dropped,
    ] = figures(&table, "alice")?[..9]
    else {
        anyhow::bail!("alice's row lacks figures\n{table}");
    };
    ensure!(frames == copied + in_place + exchanged, "{table}");
    ensure!(
        copied >= 600 && in_place >= 100 && exchanged >= 100,
        "{table}"
    );
    // Four of them flip frames of this length: all but those that lay in what the device had before.
    ensure!(in_place + exchanged >= 3 * u64::from(EACH), "{table}");
    ensure!((recovered, dropped) == (0, 0), "{table}");
    guest.send_line("strategy alice flop")?;
    guest.expect(
        "\"flop\" is not a strategy: one of copy, flip, hybrid",
        seconds(10),
    )?;
    guest.send_line("strategy alcie")?;
    guest.expect("did you mean alice", seconds(10))?;
    Ok(())
}

fn wrong(case: &Case) -> Result<()> {
    let mut guest = forwarded(case)?;
    for (line, right) in [
        ("spwan carol", "Did you mean: spawn NAME"),
        ("frobnicate", "the commands are help users banks"),
        ("kill", "usage: kill NAME"),
        ("kill alcie", "did you mean alice"),
        ("kill init", "halt"),
        (
            "revoke nobody",
            "there is no user .nobody.*; there are alice bob",
        ),
        ("log loud", "one of off"),
        ("banks all", "takes nothing"),
        ("spawn carol --shore 2", "the options are --mac"),
        ("spawn carol --bank", "--bank lacks its value"),
        ("spawn carol --bank lots", "--bank: .*lots"),
        ("spawn alice", "alice"),
        ("spawn dave --mac 02:75:73:00:00:01", "--mac: .*alice"),
        ("spawn dave --ipv4 10.0.2.22/24", "--ipv4: .*bob"),
        ("spawn ethdrv", "a part of the system has this name"),
        ("help nothing", "is no command"),
    ] {
        guest.send_line(line)?;
        // Beyond the echo of what was typed.
        guest.expect(&format!("\n[^\n]*{right}"), seconds(10))?;
    }
    let users = ask(
        &mut guest,
        "users",
        "user +MAC",
        "bob [^\n]* up for [^\n]*\n",
    )?;
    ensure!(
        !users.contains("dave") && !users.contains("carol"),
        "{users}"
    );
    Ok(())
}

fn log_level(case: &Case) -> Result<()> {
    let mut guest = forwarded(case)?;
    guest.send_line("log off")?;
    guest.expect("Lines up to off are shown", seconds(10))?;
    guest.send_line("kill bob")?;
    guest.expect("bob is killed", seconds(10))?;
    // Asked again, the answer comes after whatever the death had to say.
    guest.send_line("log info")?;
    guest.expect("Lines up to info are shown", seconds(10))?;
    ensure!(!guest.has_shown("killed at the console")?);
    guest.expect("bob: address 10\\.0\\.2\\.22", seconds(10))?;
    Ok(())
}

fn halt(case: &Case) -> Result<()> {
    let mut guest = forwarded(case)?;
    guest.send_line("halt")?;
    guest.wait_exit(seconds(10))?.expect(Outcome::Halted)
}

fn reboot(case: &Case) -> Result<()> {
    let mut guest = forwarded(case)?;
    guest.send_line("reboot")?;
    guest.wait_exit(seconds(10))?.expect(Outcome::Reset)
}

/// The port of the host that leads to the first user spawned.
fn spare_port(guest: &Guest) -> Result<u16> {
    let rows = &guest.forwards().rows;
    let row = rows.iter().find(|row| row.name.is_none());
    let http = row.and_then(|row| row.ports.iter().find(|(what, _)| *what == Service::Http));
    http.map(|(_, port)| *port)
        .ok_or_else(|| anyhow::anyhow!("no port for spawned users"))
}

fn ask_both(guest: &Guest) -> Result<Vec<Asking>> {
    Ok(vec![
        Asking::pages("alice", guest.port("alice", Service::Http)?),
        Asking::pages("bob", guest.port("bob", Service::Http)?),
        Asking::echoes(guest.port("alice", Service::Echo)?)?,
        Asking::echoes(guest.port("bob", Service::Echo)?)?,
    ])
}

fn stop_all(asking: Vec<Asking>) -> Result<()> {
    for one in asking {
        let count = one.stop()?;
        ensure!(count > 10, "only {count} answers");
    }
    Ok(())
}

fn carol(case: &Case) -> Result<()> {
    let mut guest = forwarded(case)?;
    let port = spare_port(&guest)?;
    let asking = ask_both(&guest)?;
    let before = amounts(&banks(&mut guest)?)?;
    for _ in 0..2 {
        guest.send_line("spawn carol")?;
        guest.expect("carol is up: .*10\\.0\\.2\\.23", seconds(10))?;
        let page = eventually(seconds(10), || get(port, "/"))?;
        has(&String::from_utf8_lossy(&page.1), &["carol", "10.0.2.23"])?;
        let table = banks(&mut guest)?;
        ensure!(bank(&table, "carol")?[1] > 100, "{table}");
        // Revoked while she is at work.
        let load = Asking::pages("carol", port);
        std::thread::sleep(seconds(1));
        guest.send_line("revoke carol")?;
        guest.expect("carol is gone: ", seconds(20))?;
        ensure!(load.stop().is_err(), "carol's page outlived her");
        let after = amounts(&banks(&mut guest)?)?;
        ensure!(before == after, "before {before:#?}, after {after:#?}");
    }
    stop_all(asking)
}

fn kill(case: &Case) -> Result<()> {
    let mut guest = forwarded(case)?;
    let (alice, bob) = (
        guest.port("alice", Service::Http)?,
        guest.port("bob", Service::Http)?,
    );
    let asking = Asking::pages("bob", bob);
    // The waits double.
    for wait in [1, 2] {
        guest.send_line("kill alice")?;
        guest.expect("alice: killed at the console", seconds(10))?;
        guest.expect(&format!("started again in {wait} s"), seconds(10))?;
        guest.expect("alice is killed\\.", seconds(10))?;
        guest.expect("alice is up", seconds(10))?;
        let page = eventually(seconds(10), || get(alice, "/"))?;
        has(&String::from_utf8_lossy(&page.1), &["alice"])?;
    }
    let count = asking.stop()?;
    ensure!(count > 10, "only {count} answers");
    let users = ask(
        &mut guest,
        "users",
        "user +MAC",
        "bob [^\n]* up for [^\n]*\n",
    )?;
    ensure!(
        users
            .lines()
            .any(|line| line.starts_with("alice") && line.contains(" 2  up"))
    );
    Ok(())
}

fn kill_driver(case: &Case) -> Result<()> {
    let mut guest = forwarded(case)?;
    guest.send_line("kill ethdrv")?;
    guest.expect("ethdrv: killed at the console", seconds(10))?;
    guest.expect("ethdrv drives", seconds(10))?;
    for name in ["alice", "bob"] {
        let port = guest.port(name, Service::Http)?;
        let page = eventually(seconds(15), || get(port, "/"))?;
        has(&String::from_utf8_lossy(&page.1), &[name])?;
    }
    Ok(())
}

/// A driver takes its sessions along: the stack's receive memory vanishes, wherever it is just looking.
/// Its connections are its own.
fn outlived_drivers(case: &Case) -> Result<()> {
    let mut guest = forwarded(case)?;
    let download = Asking::download(guest.port("alice", Service::Http)?)?;
    for _ in 0..2 {
        std::thread::sleep(milliseconds(700));
        guest.send_line("kill ethdrv")?;
        guest.expect("ethdrv: killed at the console", seconds(10))?;
        guest.expect("ethdrv drives", seconds(10))?;
        guest.expect("alice: attached again", seconds(10))?;
    }
    let pages = download.stop()?;
    ensure!(pages > 1000, "{pages} pages came");
    Ok(())
}

fn small_bank(case: &Case) -> Result<()> {
    let mut guest = forwarded(case)?;
    let before = amounts(&banks(&mut guest)?)?;
    for pages in [1, 100, 300] {
        guest.send_line(&format!("spawn carol --bank {pages}"))?;
        let said = guest.expect(
            "user carol: a bank of ([0-9]+) pages is too small: at least ([0-9]+) are needed",
            seconds(10),
        )?;
        ensure!(said.group(1)?.parse() == Ok(pages));
        ensure!(said.group(2)?.parse::<u32>()? > pages);
        let after = amounts(&banks(&mut guest)?)?;
        ensure!(before == after, "before {before:#?}, after {after:#?}");
    }
    // The least that is named is enough; one less is not.
    guest.send_line("spawn carol --bank 2")?;
    let said = guest.expect("at least ([0-9]+) are needed", seconds(10))?;
    let least: u32 = said.group(1)?.parse()?;
    guest.send_line(&format!("spawn carol --bank {}", least - 1))?;
    guest.expect("is too small", seconds(10))?;
    guest.send_line(&format!("spawn carol --bank {least}"))?;
    guest.expect("carol is up", seconds(10))?;
    let port = spare_port(&guest)?;
    eventually(seconds(10), || get(port, "/"))?;
    Ok(())
}

/// How many users have banks, and what is held beside them: each buys heap when it likes.
fn beside_users(table: &str) -> Result<(usize, u64, u64)> {
    let [_, all, limbo] = bank(table, "prime")?;
    let words = table
        .lines()
        .filter_map(|line| line.split_whitespace().next());
    let users: Vec<&str> = words
        .filter(|word| ["alice", "bob"].contains(word) || word.starts_with("extra-"))
        .collect();
    let held = users
        .iter()
        .map(|name| Ok(bank(table, &format!("{name} "))?[1]));
    let held = held.sum::<Result<u64>>()?;
    Ok((users.len(), all - held, limbo))
}

fn full(case: &Case) -> Result<()> {
    // Banks' limits are ceilings: here there is less than two users may have.
    let boot = Boot::new(case).machine(|machine| machine.memory = 20);
    let mut guest = boot.net(Net::User).start()?;
    super::common::wait_up(&guest, &["alice", "bob"])?;
    // Datagrams: a connection's buffers may be what there is no memory for.
    let asking = vec![
        Asking::echoes(guest.port("alice", Service::Echo)?)?,
        Asking::echoes(guest.port("bob", Service::Echo)?)?,
    ];
    let mut spawned = 0;
    let before = loop {
        let before = beside_users(&banks(&mut guest)?)?;
        let (name, address) = (format!("extra-{spawned}"), 100 + spawned);
        guest.send_line(&format!(
            "spawn {name} --ipv4 10.0.2.{address}/24 --ipv6 off"
        ))?;
        // Its program may not fit, or its session: either way that is said once, and it is gone.
        let said = guest.expect(
            &format!("({name} is up)|(user {name}: [^\n]*more memory)"),
            seconds(20),
        )?;
        if said.group(1)?.is_empty() {
            break before;
        }
        spawned += 1;
        ensure!(spawned < 40, "the machine never fills up");
    };
    // Who did not fit left nothing behind.
    eventually(seconds(10), || {
        let after = beside_users(&banks(&mut guest)?)?;
        ensure!(before == after, "before {before:#?}, after {after:#?}");
        Ok(())
    })?;
    // It fills up so fast that the others have hardly been asked.
    std::thread::sleep(seconds(2));
    stop_all(asking)
}
