//! Users of one link talk to each other: the driver switches, and the wire does not see it.

use anyhow::{Result, ensure};
use system::{Case, Entry, Net, Peer, frames, milliseconds, seconds};

use super::common::{HOST, HOST_MAC, counted, eventually, is_well, mac, net, with_rogue};

pub const CASES: &[Entry] = &[("local.frames_between_users_stay_inside", caller)];

fn caller(case: &Case) -> Result<()> {
    let mut guest = with_rogue(case, "caller")?.net(Net::Wire).start()?;
    guest.expect("caller: alice answered", seconds(30))?;
    let mut wire = guest.take_wire()?;
    let heard = wire.listen(milliseconds(500))?;
    for frame in &heard {
        let to = frames::destination(frame);
        ensure!(
            (1..=3).all(|k| to != Some(mac(k))),
            "on the wire: {frame:02x?}"
        );
    }
    let mut peer = Peer::new(wire, HOST_MAC, &[&format!("{HOST}/24")])?;
    for k in 1..=3 {
        eventually(seconds(15), || is_well(&mut peer, k))?;
    }
    let table = net(&mut guest)?;
    for (whose, what) in [
        ("caller", "switched out"),
        ("caller", "switched in"),
        ("alice", "switched out"),
        ("alice", "switched in"),
    ] {
        ensure!(counted(&table, whose, what) > 0, "{whose}: {what}\n{table}");
    }
    Ok(())
}
