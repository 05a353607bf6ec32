//! `net`: the sessions.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use dev::admin::{DEVICE, PortState};
use dev::settings::{Receive, Strategy as Way};
use dev::statistics::{Counter, Counters};

use crate::console::table::{Align, Table};
use crate::driver::DriverPhase;
use crate::host::Host;
use crate::init::Init;
use crate::launch::clear;
use crate::manifest::Strategy;
use crate::settings::receive;
use crate::user::Member;

const COLUMNS: &[(&str, Align)] = &[
    ("user", Align::Left),
    ("session", Align::Left),
    ("receives by", Align::Left),
    ("frames in", Align::Right),
    ("bytes in", Align::Right),
    ("copied", Align::Right),
    ("in place", Align::Right),
    ("exchanged", Align::Right),
    ("recovered", Align::Right),
    ("frames out", Align::Right),
    ("bytes out", Align::Right),
    ("dropped", Align::Right),
    ("spare", Align::Right),
    ("in flight", Align::Right),
];

/// Counters that have a column, or that count no loss.
const NO_DROPS: &[Counter] = &[
    Counter::ReceivedFrames,
    Counter::ReceivedBytes,
    Counter::Copied,
    Counter::InPlace,
    Counter::Exchanged,
    Counter::Recovered,
    Counter::ReceivedMulticast,
    Counter::ReceivedSwitched,
    Counter::SentFrames,
    Counter::SentBytes,
    Counter::SentSwitched,
    Counter::SentMulticast,
    Counter::Throttled,
    Counter::HeldBack,
    Counter::TooManyRequests,
    Counter::Sessions,
    Counter::Misbehaved,
    Counter::Revoked,
    Counter::ChoseShort,
    Counter::ChosePool,
    Counter::ChoseSealed,
    Counter::ChoseScarce,
    Counter::ChoseGoing,
    Counter::ChoseRefused,
];

/// Counters that have a column of their own.
const SHOWN: &[Counter] = &[
    Counter::ReceivedFrames,
    Counter::ReceivedBytes,
    Counter::Copied,
    Counter::InPlace,
    Counter::Exchanged,
    Counter::Recovered,
    Counter::SentFrames,
    Counter::SentBytes,
    Counter::ChoseShort,
    Counter::ChosePool,
    Counter::ChoseSealed,
    Counter::ChoseScarce,
    Counter::ChoseGoing,
    Counter::ChoseRefused,
];

impl<H: Host> Init<'_, H> {
    /// The sessions: what came and went, and what was dropped for which reason.
    pub(crate) fn answer_net(&self) -> String {
        match &self.driver.phase {
            DriverPhase::Running { .. } => {}
            DriverPhase::Off(why) => return format!("There is no network driver: {why}\n"),
            _ => return "The network driver is being restarted.\n".into(),
        }
        let sys = self.host.sys();
        let mut table = Table::new(COLUMNS);
        let mut details = String::new();
        for (_, member) in self.members.iter() {
            let Some(port) = member.port else {
                continue;
            };
            let asked = self
                .driver
                .admin
                .inspect(sys, port.number, self.driver.scratch);
            clear(self.host, self.driver.scratch);
            let (Ok(port_now), Ok(counters)) =
                (asked, self.driver.admin.statistics(sys, port.number))
            else {
                table.row([member.name().into(), "does not answer".into()]);
                continue;
            };
            let count = |counter| counters.get(counter).to_string();
            table.row([
                member.name().into(),
                state_word(port_now.state).into(),
                receive(member.user.strategy, member.user.sealed).to_string(),
                count(Counter::ReceivedFrames),
                count(Counter::ReceivedBytes),
                count(Counter::Copied),
                count(Counter::InPlace),
                count(Counter::Exchanged),
                count(Counter::Recovered),
                count(Counter::SentFrames),
                count(Counter::SentBytes),
                dropped(&counters).to_string(),
                port_now.spare_pages.to_string(),
                port_now.in_flight.to_string(),
            ]);
            let receive = receive(member.user.strategy, member.user.sealed);
            choices(&mut details, member.name(), receive, &counters);
            detail(&mut details, member.name(), &counters);
        }
        let mut text = match table.is_empty() {
            true => "Nobody has a port.\n".into(),
            false => table.render(),
        };
        text.push_str(&details);
        let left_open =
            |member: &Member| matches!(member.user.strategy, Strategy::Hybrid { threshold: None });
        if self.members.iter().any(|(_, member)| left_open(member))
            && let Ok(choice) = self.driver.admin.hybrid(sys)
        {
            text.push_str(&format!("{choice}.\n"));
        }
        if let Ok(device) = self.driver.admin.device(sys) {
            text.push_str(&format!(
                "The card: {}, frames of up to {} bytes, link {}.\n",
                device.mac,
                device.frame_limit,
                if device.link { "up" } else { "down" }
            ));
        }
        if let Ok(counters) = self.driver.admin.statistics(sys, DEVICE) {
            detail(&mut text, "the card", &counters);
        }
        text
    }
}

fn state_word(state: PortState) -> &'static str {
    match state {
        PortState::Idle => "none",
        PortState::Attaching => "attaching",
        PortState::Open => "open",
        PortState::Closing => "closing",
    }
}

/// Frames that did not arrive, for whatever reason.
fn dropped(counters: &Counters) -> u64 {
    let losses = Counter::ALL
        .iter()
        .filter(|counter| !NO_DROPS.contains(counter));
    losses.fold(0, |sum: u64, counter| {
        sum.wrapping_add(counters.get(*counter))
    })
}

/// What the driver did with the frames for a port that flips, and why it copied those that it did.
fn choices(text: &mut String, name: &str, receive: Receive, counters: &Counters) {
    if receive.strategy == Way::Copy {
        return;
    }
    let reasons = [
        (Counter::ChoseShort, "shorter than the threshold"),
        (Counter::ChosePool, "not in a page that could be exchanged"),
        (Counter::ChoseSealed, "sealed, in a page that a client sees"),
        (Counter::ChoseScarce, "because pages were scarce"),
        (Counter::ChoseGoing, "while going over"),
        (Counter::ChoseRefused, "for the exchange was refused"),
    ];
    let mut copied: Vec<String> = reasons
        .iter()
        .filter(|(counter, _)| counters.get(*counter) != 0)
        .map(|(counter, why)| format!("{} {why}", counters.get(*counter)))
        .collect();
    if copied.is_empty() {
        copied.push("none".into());
    }
    text.push_str(&format!(
        "{name}, {receive}: {} in place, {} exchanged; to be copied: {}\n",
        counters.get(Counter::InPlace),
        counters.get(Counter::Exchanged),
        copied.join(", ")
    ));
}

/// A line of what else was counted, if anything was.
fn detail(text: &mut String, name: &str, counters: &Counters) {
    let others = Counter::ALL
        .iter()
        .filter(|counter| !SHOWN.contains(counter));
    let counted: Vec<String> = others
        .filter(|counter| counters.get(**counter) != 0)
        .map(|counter| format!("{} {}", counter.name(), counters.get(*counter)))
        .collect();
    if !counted.is_empty() {
        text.push_str(&format!("{name}: {}\n", counted.join(", ")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_chosen_is_told_with_its_reasons() {
        let mut counters = Counters::new();
        counters.add(Counter::InPlace, 5);
        counters.add(Counter::ChoseShort, 12);
        counters.add(Counter::ChoseSealed, 3);
        let mut receive = Receive::default();
        let mut text = String::new();
        choices(&mut text, "alice", receive, &counters);
        assert!(text.is_empty());
        receive.strategy = Way::Hybrid;
        choices(&mut text, "alice", receive, &counters);
        assert_eq!(
            text,
            "alice, hybrid: 5 in place, 0 exchanged; to be copied: 12 shorter than the threshold, \
             3 sealed, in a page that a client sees\n"
        );
        // They are no losses, and aren't told twice.
        assert_eq!(dropped(&counters), 0);
        text.clear();
        detail(&mut text, "alice", &counters);
        assert!(text.is_empty(), "{text}");
    }

    #[test]
    fn drops_are_what_did_not_arrive() {
        let mut counters = Counters::new();
        counters.add(Counter::ReceivedFrames, 100);
        for arrived in [Counter::InPlace, Counter::Exchanged, Counter::Recovered] {
            counters.add(arrived, 10);
        }
        counters.add(Counter::NoPage, 3);
        counters.add(Counter::Runt, 1);
        counters.add(Counter::Sessions, 2);
        assert_eq!(dropped(&counters), 4);
        for nothing_lost in [Counter::HeldBack, Counter::TooManyRequests] {
            let mut held = Counters::new();
            held.add(nothing_lost, 5);
            assert_eq!(dropped(&held), 0);
        }
        let mut text = String::new();
        detail(&mut text, "alice", &counters);
        assert_eq!(text, "alice: no spare page 3, runt 1, sessions 2\n");
    }
}
