//! Users with a copier between the driver and their stack.

use std::net::IpAddr;

use anyhow::{Result, ensure};
use system::{Boot, Case, Entry, seconds};

use super::common::{address, alice_with_copier, ask, at, banks, holdings, is_well, start_on_wire};

pub const CASES: &[Entry] = &[
    ("copier.a_stack_behind_it_serves_as_any_other", serves),
    ("copier.all_pages_come_back_with_its_user", comes_back),
];

fn serves(case: &Case) -> Result<()> {
    let (mut guest, mut peer) = start_on_wire(Boot::new(case).manifest(alice_with_copier()?))?;
    for k in [1, 2] {
        is_well(&mut peer, k)?;
        for length in [1, 600, 1400] {
            let data = vec![length as u8; length];
            let (answered, _) = peer.udp_echo_load(at(k, 7), &data, 300, 8, seconds(20))?;
            ensure!(answered == 300, "{k} answered {answered} of 300");
        }
    }
    let processes = ask(&mut guest, "ps", "process +program", "memory is counted")?;
    ensure!(processes.contains("alice/copier"), "{processes}");
    ensure!(!processes.contains("bob/copier"), "{processes}");
    ensure!(!guest.has_shown("(alice|bob)[^\n]* stopped:")?);
    Ok(())
}

fn comes_back(case: &Case) -> Result<()> {
    let (mut guest, mut peer) = start_on_wire(Boot::new(case).manifest(alice_with_copier()?))?;
    // The first time, init's own heap may grow.
    for warm in [true, false] {
        let before = holdings(&banks(&mut guest)?);
        // As many pages as there can be: her copier's bank holds them, too.
        guest.send_line(
            "spawn carol --ipv6 off --copier yes --bank 4096 --transmit-slots 240 --receive-slots 240",
        )?;
        guest.expect("carol is up", seconds(10))?;
        // Until she knows where her router is, some of her answers may be lost.
        peer.ping(IpAddr::V4(address(3)), seconds(10))?;
        let (answered, _) = peer.udp_echo_load(at(3, 7), &[7; 600], 300, 8, seconds(20))?;
        ensure!(answered == 300, "carol answered {answered} of 300");
        guest.send_line("revoke carol")?;
        guest.expect("carol is gone", seconds(20))?;
        let after = holdings(&banks(&mut guest)?);
        ensure!(
            warm || before == after,
            "before {before:#?}, after {after:#?}"
        );
    }
    // Who stays is well, behind a copier or not.
    for k in [1, 2] {
        is_well(&mut peer, k)?;
    }
    Ok(())
}
