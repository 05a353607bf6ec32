//! `users` and `ports`: who is there, and where their services answer.

use alloc::format;
use alloc::string::{String, ToString};
use core::net::IpAddr;

use crate::boot::Forward;
use crate::console::table::{Align, Table};
use crate::host::Host;
use crate::init::Init;
use crate::manifest::{Ipv4Setting, Ipv6Setting, Service};
use crate::supervise::backoff::SECOND;
use crate::user::{Attached, Member, Next, Phase};

const USERS: &[(&str, Align)] = &[
    ("user", Align::Left),
    ("MAC", Align::Left),
    ("IPv4", Align::Left),
    ("IPv6", Align::Left),
    ("pages", Align::Right),
    ("bank", Align::Right),
    ("port", Align::Right),
    ("deaths", Align::Right),
    ("state", Align::Left),
];

const PORTS: &[(&str, Align)] = &[
    ("user", Align::Left),
    ("service", Align::Left),
    ("answers at", Align::Left),
    ("from the host", Align::Left),
];

impl<H: Host> Init<'_, H> {
    /// The users: addresses, what their banks hold, how they are.
    pub(crate) fn answer_users(&self) -> String {
        let (sys, now) = (self.host.sys(), self.host.now());
        let mut table = Table::new(USERS);
        for (_, member) in self.members.iter() {
            let user = &member.user;
            let bank = member
                .has_bank
                .then(|| member.slots.bank.usage(sys).ok())
                .flatten();
            let reserve = member.port.map_or(0, |port| port.reserve);
            table.row([
                user.name.to_string(),
                user.mac.to_string(),
                user.ipv4.to_string(),
                user.ipv6.to_string(),
                bank.map_or("-".into(), |usage| usage.bought.to_string()),
                member.plan.limit.to_string(),
                reserve.to_string(),
                member.back_off.deaths().to_string(),
                state_words(member, now),
            ]);
        }
        if table.is_empty() {
            return "There are no users; `spawn NAME` brings one up.\n".into();
        }
        let mut text = table.render();
        let asks = |member: &Member| member.user.ipv4 == Ipv4Setting::Dhcp;
        if self.members.iter().any(|(_, member)| asks(member)) {
            text.push_str(
                "dhcp: the stack asks for its address itself, and tells the log which it got, not init.\n",
            );
        }
        text
    }

    /// Which service answers where: in the guest, and on the host if its ports lead here.
    pub(crate) fn answer_ports(&self) -> String {
        let mut table = Table::new(PORTS);
        for (_, member) in self.members.iter() {
            for service in &member.user.services {
                for (udp, port) in guest_ports(*service) {
                    self.port_row(&mut table, member, *service, *udp, *port);
                }
            }
        }
        if table.is_empty() {
            return "Nobody serves anything.\n".into();
        }
        let mut text = table.render();
        if self.options.forwards.is_empty() {
            text.push_str("No ports of the host are known to lead here.\n");
        }
        text
    }

    fn port_row(&self, table: &mut Table, member: &Member, service: Service, udp: bool, port: u16) {
        let protocol = if udp { "udp" } else { "tcp" };
        let ipv4 = match member.user.ipv4 {
            Ipv4Setting::Static(cidr) => Some(IpAddr::from(cidr.address)),
            Ipv4Setting::Dhcp => None,
        };
        let ipv6 = match member.user.ipv6 {
            Ipv6Setting::Static(cidr) => Some(IpAddr::from(cidr.address)),
            Ipv6Setting::Off | Ipv6Setting::Slaac => None,
        };
        let leads_here = |forward: &&Forward| {
            let address = Some(forward.address);
            forward.udp == udp && forward.port == port && (address == ipv4 || address == ipv6)
        };
        let host = self.options.forwards.iter().find(leads_here);
        let at = ipv4.map_or("an address from DHCP".into(), |address| address.to_string());
        table.row([
            member.name().into(),
            service.to_string(),
            format!("{protocol} {at} port {port}"),
            host.map_or("-".into(), |forward| format!("127.0.0.1:{}", forward.host)),
        ]);
    }
}

/// Where a stack serves: whether over UDP, and the port.
fn guest_ports(service: Service) -> &'static [(bool, u16)] {
    match service {
        Service::Http => &[(false, 80)],
        Service::Echo => &[(false, 7), (true, 7)],
        Service::Discard => &[(false, 9), (true, 9)],
        Service::Chargen => &[(false, 19), (true, 19)],
    }
}

fn state_words(member: &Member, now: u64) -> String {
    match &member.phase {
        Phase::Starting => "waits for its turn".into(),
        Phase::Running { .. } if member.attached != Attached::Done => "attaches to its port".into(),
        Phase::Running { since } => format!("up for {}", duration(now.saturating_sub(*since))),
        Phase::Emptying(Next::Restart { .. }) => "died; its bank is being emptied".into(),
        Phase::Emptying(_) => "its bank is being destroyed".into(),
        Phase::Closing(_) => "its port is being removed".into(),
        Phase::Resting { until } => {
            format!(
                "is started again in {}",
                duration(until.saturating_sub(now))
            )
        }
        Phase::Failed(why) => format!("failed: {why}"),
    }
}

/// A span of time in its two greatest units.
fn duration(nanoseconds: u64) -> String {
    let seconds = nanoseconds / SECOND;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..86400 => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86400, seconds / 3600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        assert_eq!(duration(59 * SECOND + 1), "59 s");
        assert_eq!(duration(61 * SECOND), "1 min 1 s");
        assert_eq!(duration(3661 * SECOND), "1 h 1 min");
        assert_eq!(duration(100 * 3600 * SECOND), "4 d 4 h");
    }
}
