//! Revocation under load: whoever is revoked, nobody else loses a frame.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use system::{Case, Entry, Guest, Wire, frames, milliseconds, seconds};

use super::common::{amounts, bank, banks, echo_of, forwarded, on_wire, to_user};

pub const CASES: &[Entry] = &[
    (
        "revoke.bob_loses_no_frame_while_alice_comes_and_goes",
        flood,
    ),
    ("revoke.twenty_users_leave_nothing_behind", cycles),
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

/// Goes on with the flood until the console shows so many lines that match.
fn until(
    guest: &Guest,
    pattern: &str,
    count: usize,
    mut turn: impl FnMut() -> Result<()>,
) -> Result<()> {
    let regex = regex::Regex::new(pattern)?;
    let deadline = Instant::now() + seconds(15);
    loop {
        turn()?;
        if regex.find_iter(&guest.console()).count() >= count {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{pattern:?} did not appear");
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
