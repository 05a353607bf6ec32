//! Stacks that fault or cheat, and boots that are told nonsense: reported, and nobody else notices.

use anyhow::{Result, ensure};
use system::{Boot, Case, Entry, Guest, Net, Peer, frames, milliseconds, seconds};

use super::common::{
    HOST, HOST_MAC, at, banks, counted, eventually, is_well, mac, net, start_on_wire, with_rogue,
};

pub const CASES: &[Entry] = &[
    (
        "faults.a_stack_that_writes_to_its_receive_memory_is_reported",
        writer,
    ),
    ("faults.forged_frames_never_leave", spoofer),
    (
        "faults.a_driver_that_spins_is_ended_and_started_again",
        spinner,
    ),
    ("faults.a_wrong_manifest_names_line_and_key", wrong_manifest),
    ("faults.two_users_with_one_mac_are_refused", one_mac),
    ("faults.a_manifest_that_is_not_there_is_named", no_manifest),
    ("faults.a_program_that_is_not_there_is_named", no_program),
];

/// Asks bob without a pause for a while: not one datagram may be lost.
fn bob_is_served(peer: &mut Peer) -> Result<()> {
    for _ in 0..4 {
        let (answered, _) = peer.udp_echo_load(at(2, 7), &[2; 200], 200, 8, seconds(20))?;
        ensure!(answered == 200, "bob answered {answered} of 200");
    }
    is_well(peer, 1)?;
    is_well(peer, 2)
}

fn writer(case: &Case) -> Result<()> {
    let (mut guest, mut peer) = start_on_wire(with_rogue(case, "writer")?)?;
    guest.expect("writing to its receive memory\n", seconds(20))?;
    guest.expect(
        "writer: stopped: page fault: writing 0x[0-9a-f]+|writer.* stopped: page fault: writing",
        seconds(20),
    )?;
    guest.expect("#0 .*0x", seconds(10))?;
    guest.expect("writer: its bank is emptied", seconds(10))?;
    bob_is_served(&mut peer)?;
    // Again and again, less and less often.
    guest.expect(
        "writer: its bank is emptied; it is started again in 2 s",
        seconds(20),
    )?;
    bob_is_served(&mut peer)?;
    ensure!(!guest.has_shown("FAILED")?);
    ensure!(!guest.has_shown("(alice|bob|ethdrv)[^\n]* stopped:")?);
    Ok(())
}

fn spoofer(case: &Case) -> Result<()> {
    let boot = with_rogue(case, "spoofer")?;
    let mut guest = boot.net(Net::Wire).start()?;
    guest.expect("spoofer: did what it wanted", seconds(30))?;
    let mut wire = guest.take_wire()?;
    let heard = wire.listen(milliseconds(500))?;
    let says = |frame: &Vec<u8>, what: &[u8]| frame.windows(what.len()).any(|part| part == what);
    ensure!(
        heard.iter().any(|frame| says(frame, b"honest frame")),
        "nothing honest came"
    );
    for frame in &heard {
        ensure!(!says(frame, b"forged frame"), "{frame:02x?}");
        let source = frames::source(frame);
        ensure!((1..=3).any(|k| source == Some(mac(k))), "{frame:02x?}");
    }
    let mut peer = Peer::new(wire, HOST_MAC, &[&format!("{HOST}/24")])?;
    for k in 1..=3 {
        eventually(seconds(15), || is_well(&mut peer, k))?;
    }
    let table = net(&mut guest)?;
    for (what, count) in [
        ("source MAC not the port's", 5),
        ("runt", 1),
        ("link control", 3),
        ("type not allowed on a bound port", 1),
        ("IPv4 source not bound", 2),
        ("ARP sender not bound", 3),
        ("IPv6 source not bound", 2),
        ("neighbour discovery not bound", 3),
        ("router message", 2),
        ("headers too long to check", 1),
        ("sessions ended for misbehaviour", 0),
    ] {
        let counts = counted(&table, "spoofer", what);
        ensure!(counts == count, "{what}: {counts}\n{table}");
    }
    ensure!(!guest.has_shown("FAILED")?);
    Ok(())
}

fn spinner(case: &Case) -> Result<()> {
    let boot = Boot::new(case).stand_in("ethdrv", "spinner");
    let mut guest = boot.net(Net::Wire).start()?;
    // The second spins with the first's device.
    for wait in [1, 2] {
        guest.expect("ethdrv: +spinning", seconds(20))?;
        guest.expect(
            "watchdog: +ethdrv gave no sign of life for 2 s, and is ended",
            seconds(20),
        )?;
        guest.expect("ethdrv \\(ethdrv\\) runs", seconds(10))?;
        guest.expect("#0 ethdrv 0x", seconds(10))?;
        // init waited for the answer, and is well.
        guest.expect("user alice: asking the driver for a port: ", seconds(10))?;
        guest.expect(&format!("ethdrv is started again in {wait} s"), seconds(10))?;
        guest.send_line("ps")?;
        guest.expect("watchdog +watchdog +55 ", seconds(10))?;
    }
    Ok(())
}

/// Boots and waits for what it says; then the console must work, and users can be spawned.
fn says(boot: Boot, words: &str) -> Result<Guest> {
    let mut guest = boot.net(Net::Wire).start()?;
    guest.expect(words, seconds(20))?;
    guest.expect("`help` lists the commands", seconds(10))?;
    banks(&mut guest)?;
    Ok(guest)
}

fn wrong_manifest(case: &Case) -> Result<()> {
    let text = "[system]\nlog = 'info'\n\n[[user]]\nname = 'alice'\nbank = 'much'\n";
    let boot = Boot::new(case).manifest_text(text);
    says(boot, "etc/manifest.toml: line 6: [^\n]*bank")?;
    let text = "[[user]]\nname = 'alice'\nbonk = 5\n";
    let boot = Boot::new(case).manifest_text(text);
    let mut guest = says(boot, "etc/manifest.toml: line 3: [^\n]*bonk")?;
    // What the manifest did not do, the console can.
    guest.send_line("spawn alice --ipv4 10.0.2.21/24 --ipv4-gateway 10.0.2.2")?;
    guest.expect("alice: address 10|no network driver: [^\n]*", seconds(10))?;
    Ok(())
}

fn one_mac(case: &Case) -> Result<()> {
    let text = "[[user]]\nname = 'alice'\nmac = '02:00:00:00:00:07'\n\n\
                [[user]]\nname = 'bob'\nmac = '02:00:00:00:00:07'\n";
    let boot = Boot::new(case).manifest_text(text);
    let guest = says(boot, "etc/manifest.toml: line 7: [^\n]*mac[^\n]*alice")?;
    ensure!(!guest.has_shown("(alice|bob) is up")?);
    Ok(())
}

fn no_manifest(case: &Case) -> Result<()> {
    let boot = Boot::new(case).without("etc/manifest.toml");
    says(boot, "the boot archive has no etc/manifest.toml; it has ")?;
    Ok(())
}

fn no_program(case: &Case) -> Result<()> {
    let boot = Boot::new(case).without("bin/netstack");
    says(boot, "user alice: [^\n]*no bin/netstack")?;
    let boot = Boot::new(case).without("bin/ethdrv");
    says(boot, "the boot archive has no bin/ethdrv")?;
    let mut guest = Boot::new(case).without("bin/init").start()?;
    let outcome = guest.wait_exit(seconds(20))?;
    ensure!(outcome == system::Outcome::TestFailed, "{outcome}");
    ensure!(guest.has_shown("bin/init")?);
    Ok(())
}
