//! Revocation under load: whoever is revoked, nobody else loses a frame.

use std::net::IpAddr;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use system::{Case, Entry, Wire, frames, milliseconds, seconds};

use super::common::{
    address, amounts, at, bank, banks, echo_of, forwarded, holdings, on_wire, quiet_on_wire,
    to_user, until,
};

pub const CASES: &[Entry] = &[
    (
        "revoke.bob_loses_no_frame_while_alice_comes_and_goes",
        flood,
    ),
    ("revoke.twenty_users_leave_nothing_behind", cycles),
    (
        "revoke.all_pages_come_back_and_nobody_elses_holdings_change",
        holdings_before_and_after,
    ),
];

/// The port that bob's numbered datagrams come from.
const PORT: u16 = 4000;
/// How many of them may be under way at once: fewer than bob has pages.
const WINDOW: u32 = 16;

/// Numbered datagrams to bob, each of which must come back.
#[derive(Default)]
struct Numbered {
    sent: u32,
    back: Vec<bool>,
    count: u32,
}

impl Numbered {
    fn data(number: u32) -> Vec<u8> {
        let mut data = vec![number as u8; 64 + number as usize % 900];
        data[..4].copy_from_slice(&number.to_be_bytes());
        data
    }

    fn send(&mut self, wire: &Wire) -> Result<()> {
        while self.sent - self.count < WINDOW {
            wire.send(&frames::udp4(&to_user(2), PORT, 7, &Self::data(self.sent)))?;
            self.sent += 1;
            self.back.push(false);
        }
        Ok(())
    }

    fn receive(&mut self, frame: &[u8]) -> Result<()> {
        let Some(data) = echo_of(frame, 2, PORT) else {
            return Ok(());
        };
        let number = u32::from_be_bytes(data.get(..4).context("too short")?.try_into()?);
        ensure!(data == Self::data(number), "echo {number} is altered");
        let back = self.back.get_mut(number as usize);
        let back = back.with_context(|| format!("echo {number} was never sent"))?;
        ensure!(!*back, "echo {number} came twice");
        *back = true;
        self.count += 1;
        Ok(())
    }

    /// A turn of the flood: what is for bob, and far more for alice.
    fn turn(&mut self, wire: &mut Wire, for_alice: &[u8]) -> Result<()> {
        self.send(wire)?;
        for _ in 0..8 {
            wire.send(for_alice)?;
        }
        while let Some(frame) = wire.receive(milliseconds(1))? {
            self.receive(&frame)?;
            if self.sent - self.count < WINDOW / 2 {
                break;
            }
        }
        Ok(())
    }
}

fn flood(case: &Case) -> Result<()> {
    let (mut guest, peer) = on_wire(case)?;
    let mut wire = peer.into_wire();
    let for_alice = frames::udp4(&to_user(1), 5, 9, &[1; 1000]);
    let mut numbered = Numbered::default();
    for cycle in 1..=10 {
        let began = Instant::now();
        while began.elapsed() < milliseconds(150) {
            numbered.turn(&mut wire, &for_alice)?;
        }
        guest.send_line("revoke alice")?;
        until(&guest, "alice is gone", cycle, || {
            numbered.turn(&mut wire, &for_alice)
        })?;
        guest.send_line("spawn alice --ipv4 10.0.2.21/24 --ipv4-gateway 10.0.2.2")?;
        until(&guest, "alice: address 10", cycle + 1, || {
            numbered.turn(&mut wire, &for_alice)
        })
        .with_context(|| format!("cycle {cycle}: {} of {}", numbered.count, numbered.sent))?;
    }
    let deadline = Instant::now() + seconds(5);
    while numbered.count < numbered.sent && Instant::now() < deadline {
        if let Some(frame) = wire.receive(milliseconds(100))? {
            numbered.receive(&frame)?;
        }
    }
    let lost: Vec<usize> = (0..numbered.back.len())
        .filter(|n| !numbered.back[*n])
        .collect();
    ensure!(
        lost.is_empty(),
        "of {} datagrams, lost: {lost:?}",
        numbered.sent
    );
    ensure!(numbered.sent > 1000, "only {} were sent", numbered.sent);
    ensure!(!guest.has_shown("stopped:|panicked")?);
    Ok(())
}

fn cycles(case: &Case) -> Result<()> {
    let mut guest = forwarded(case)?;
    let before = banks(&mut guest)?;
    for _ in 0..20 {
        guest.send_line("spawn carol")?;
        guest.expect("carol is up", seconds(10))?;
        guest.send_line("revoke carol")?;
        guest.expect("carol is gone", seconds(10))?;
    }
    let after = banks(&mut guest)?;
    ensure!(
        amounts(&before)? == amounts(&after)?,
        "before\n{before}\nafter\n{after}"
    );
    ensure!(bank(&after, "prime")?[2] == 0, "in limbo\n{after}");
    Ok(())
}

fn holdings_before_and_after(case: &Case) -> Result<()> {
    let (mut guest, mut peer) = quiet_on_wire(case)?;
    // The first time, init's own heap may grow.
    for warm in [true, false] {
        let before = holdings(&banks(&mut guest)?);
        guest.send_line("spawn carol --ipv6 off")?;
        guest.expect("carol is up", seconds(10))?;
        // Until she knows where her router is, some of her answers may be lost.
        peer.ping(IpAddr::V4(address(3)), seconds(10))?;
        let (answered, _) = peer.udp_echo_load(at(3, 7), &[7; 600], 300, 8, seconds(20))?;
        ensure!(answered == 300, "carol answered {answered} of 300");
        // Her bank rose, the driver's limit rose by what is set aside for her port, nobody else's did.
        let table = banks(&mut guest)?;
        let during = holdings(&table);
        let [limit, bought, limbo] = bank(&table, "carol")?;
        ensure!(limbo == 0 && bought > 100, "{table}");
        for (name, [limit_before, bought_before, _]) in &before {
            let now = during.iter().filter(|(other, _)| other == name);
            let same = now
                .clone()
                .any(|(_, now)| now[..2] == [*limit_before, *bought_before]);
            ensure!(
                same || ["prime (init)", "  ethdrv", "  users"].contains(&name.as_str()),
                "{name}: before {before:?}\n{table}"
            );
        }
        let [driver_limit, ..] = bank(&table, "ethdrv")?;
        let reserve = driver_limit - limit_of(&before, "  ethdrv")?;
        ensure!(reserve + limit == 2048, "{limit} and {reserve}\n{table}");
        // All users together may hold so much less.
        let [users, ..] = bank(&table, "users")?;
        ensure!(users + reserve == limit_of(&before, "  users")?, "{table}");
        guest.send_line("revoke carol")?;
        let said = guest.expect(
            "(?s)carol is gone: ([0-9]+) objects.*?The system holds ([0-9]+) of ([0-9]+) objects now, ([0-9]+) in limbo; it held ([0-9]+) before",
            seconds(20),
        )?;
        let [objects, now, of, in_limbo, held] =
            [1, 2, 3, 4, 5].map(|n| -> Result<u64> { Ok(said.group(n)?.parse()?) });
        // Her record is one more.
        ensure!(objects? == bought + 1, "{}\n{table}", said.group(0)?);
        let table = banks(&mut guest)?;
        let after = holdings(&table);
        ensure!(
            warm || before == after,
            "before {before:#?}, after {after:#?}"
        );
        let [limit, bought, limbo] = bank(&table, "prime")?;
        ensure!(
            (now?, of?, in_limbo?) == (bought, limit, limbo),
            "{}\n{table}",
            said.group(0)?
        );
        ensure!(limbo == 0 && held? > bought, "{table}");
    }
    Ok(())
}

fn limit_of(holdings: &[(String, [u64; 3])], name: &str) -> Result<u64> {
    let found = holdings.iter().find(|(other, _)| other == name);
    found.map(|(_, amounts)| amounts[0]).context("no such bank")
}
