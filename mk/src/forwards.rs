//! Ports of the host that lead to the users' services, with QEMU's user networking.
//!
//! User k (from 1, in the manifest's order) is reached on 127.0.0.1 at
//!
//! | service | port of the guest | port of the host |
//! | --- | --- | --- |
//! | http | TCP 80 | 8080 + k |
//! | echo | TCP and UDP 7 | 7000 + k |
//! | discard | TCP and UDP 9 | 9000 + k |
//! | chargen | TCP and UDP 19 | 19000 + k |
//!
//! `--port-offset N` adds N to all of them. The addresses of the manifest's pool for spawned users
//! follow after the users. A user without a fixed IPv4 address has no forwarded ports.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};

use anyhow::{Result, bail};
use manifest::{Ipv4Setting, Manifest, Service};

/// The option that moves all forwarded ports.
pub const OFFSET_OPTION: &str = "--port-offset";

/// Users beyond this one get no forwarded ports: the ranges would run into each other.
const MAX_FORWARDED: u32 = 900;

/// Longest word for the command line, which has room for 2,048 bytes.
const WORD: usize = 1500;

/// Carrier of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// One user's forwarded ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The user's name; none for an address of the pool.
    pub name: Option<String>,
    /// Where the ports lead; none where the address isn't fixed.
    pub address: Option<Ipv4Addr>,
    /// Each service and its port on the host.
    pub ports: Vec<(Service, u16)>,
}

/// All forwarded ports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forwards {
    /// Users first, then the pool.
    pub rows: Vec<Row>,
}

fn base(service: Service) -> u32 {
    match service {
        Service::Http => 8080,
        Service::Echo => 7000,
        Service::Discard => 9000,
        Service::Chargen => 19000,
    }
}

/// The port on which a stack serves, and how.
pub fn guest_port(service: Service) -> (u16, &'static [Protocol]) {
    match service {
        Service::Http => (80, &[Protocol::Tcp]),
        Service::Echo => (7, &[Protocol::Tcp, Protocol::Udp]),
        Service::Discard => (9, &[Protocol::Tcp, Protocol::Udp]),
        Service::Chargen => (19, &[Protocol::Tcp, Protocol::Udp]),
    }
}

impl Forwards {
    /// The forwarded ports of a manifest's users and of its pool.
    ///
    /// # Errors
    /// `offset` makes a port that does not exist.
    pub fn of(manifest: &Manifest, offset: u32) -> Result<Forwards> {
        let users = manifest.user.iter().map(|user| {
            let address = match user.ipv4 {
                Ipv4Setting::Static(cidr) => Some(cidr.address),
                Ipv4Setting::Dhcp => None,
            };
            (Some(user.name.to_string()), address, user.services.clone())
        });
        let taken = |address: Ipv4Addr| {
            let mut fixed = manifest.user.iter().map(|user| user.ipv4);
            fixed.any(|ipv4| matches!(ipv4, Ipv4Setting::Static(cidr) if cidr.address == address))
        };
        let spawn = &manifest.spawn;
        let pool = spawn.ipv4_first.into_iter().flat_map(|first| {
            let addresses = (0..spawn.ipv4_count).map(move |i| first.address.to_bits() + i);
            addresses.map(Ipv4Addr::from_bits)
        });
        let pool = pool
            .filter(|address| !taken(*address))
            .map(|address| (None, Some(address), Service::ALL.to_vec()));
        let mut forwards = Forwards::default();
        for (k, (name, address, services)) in (1..).zip(users.chain(pool)) {
            let mut ports = Vec::new();
            for service in services
                .into_iter()
                .filter(|_| address.is_some() && k <= MAX_FORWARDED)
            {
                let port = base(service)
                    .checked_add(k)
                    .and_then(|port| port.checked_add(offset));
                match port.and_then(|port| u16::try_from(port).ok()) {
                    Some(port) => ports.push((service, port)),
                    None => bail!(
                        "{OFFSET_OPTION} {offset}: {service} of user {k} would get port {}, and \
                         ports end at 65535",
                        u64::from(base(service)) + u64::from(k) + u64::from(offset)
                    ),
                }
            }
            forwards.rows.push(Row {
                name,
                address,
                ports,
            });
        }
        Ok(forwards)
    }

    fn each(&self) -> impl Iterator<Item = (&Row, Service, Protocol, u16)> {
        self.rows.iter().flat_map(|row| {
            row.ports.iter().flat_map(move |(service, port)| {
                let (_, protocols) = guest_port(*service);
                protocols
                    .iter()
                    .map(move |protocol| (row, *service, *protocol, *port))
            })
        })
    }

    /// Tries all ports.
    ///
    /// # Errors
    /// The first port that is in use, with the option that changes it.
    pub fn check_free(&self) -> Result<()> {
        for (row, service, protocol, port) in self.each() {
            let address = (Ipv4Addr::LOCALHOST, port);
            let tried = match protocol {
                Protocol::Tcp => TcpListener::bind(address).map(drop),
                Protocol::Udp => UdpSocket::bind(address).map(drop),
            };
            if let Err(error) = tried {
                let (who, word) = (
                    row.name.as_deref().unwrap_or("a spawned user"),
                    protocol_word(protocol),
                );
                bail!(
                    "port {port} ({word}, for {service} of {who}) can't be had: {error}\n\
                     {OFFSET_OPTION} N adds N to all forwarded ports; try {OFFSET_OPTION} 100"
                );
            }
        }
        Ok(())
    }

    /// The `hostfwd` options for QEMU's `-netdev user`.
    pub fn options(&self) -> Vec<String> {
        let options = self.each().filter_map(|(row, service, protocol, port)| {
            let (guest, _) = guest_port(service);
            let address = row.address?;
            Some(format!(
                "hostfwd={}:127.0.0.1:{port}-{address}:{guest}",
                protocol_word(protocol)
            ))
        });
        options.collect()
    }

    /// The word of the kernel's command line that tells init's `ports` of them: as many as fit into
    /// [`WORD`] bytes.
    pub fn word(&self) -> String {
        let mut word = String::from("forwards=");
        for (row, service, protocol, port) in self.each() {
            let Some(address) = row.address else {
                continue;
            };
            let (guest, _) = guest_port(service);
            let entry = format!("{}:{port}:{address}:{guest},", protocol_word(protocol));
            if word.len() + entry.len() > WORD {
                break;
            }
            word.push_str(&entry);
        }
        word.truncate(word.trim_end_matches(',').len());
        word
    }

    /// The table that is printed before boot.
    pub fn table(&self) -> String {
        let mut header = vec!["user".to_string(), "address".to_string()];
        header.extend(
            Service::ALL
                .iter()
                .map(|service| service.word().to_string()),
        );
        let rows = self.rows.iter().map(|row| {
            let name = row.name.clone().unwrap_or("(to spawn)".into());
            let address = row
                .address
                .map_or("dhcp".into(), |address| address.to_string());
            let ports = Service::ALL.iter().map(|service| {
                let port = row.ports.iter().find(|(other, _)| other == service);
                port.map_or("-".to_string(), |(_, port)| port.to_string())
            });
            [name, address].into_iter().chain(ports).collect()
        });
        let lines = std::iter::once(header)
            .chain(rows)
            .map(|cells: Vec<String>| {
                let line: String = cells
                    .iter()
                    .enumerate()
                    .map(|(column, cell)| {
                        format!("{cell:<width$}", width = if column < 2 { 16 } else { 9 })
                    })
                    .collect();
                line.trim_end().to_string()
            });
        lines.collect::<Vec<String>>().join("\n")
    }
}

fn protocol_word(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alice_and_bob_are_where_the_readme_says() {
        let forwards = Forwards::of(&crate::users::manifest(2).unwrap(), 0).unwrap();
        let options = forwards.options();
        for wanted in [
            "hostfwd=tcp:127.0.0.1:8081-10.0.2.21:80",
            "hostfwd=tcp:127.0.0.1:8082-10.0.2.22:80",
            "hostfwd=udp:127.0.0.1:7002-10.0.2.22:7",
            "hostfwd=tcp:127.0.0.1:19001-10.0.2.21:19",
            // The first user who is spawned.
            "hostfwd=tcp:127.0.0.1:8083-10.0.2.23:80",
        ] {
            assert!(
                options.iter().any(|option| option == wanted),
                "{wanted} in {options:?}"
            );
        }
        assert!(
            options.iter().all(|option| option.contains(":127.0.0.1:")),
            "{options:?}"
        );
        let table = forwards.table();
        assert!(
            table.contains("\nalice           10.0.2.21       8081     7001     9001     19001\n"),
            "{table}"
        );
    }

    #[test]
    fn init_is_told_as_its_boot_options_say() {
        for users in [2, 200] {
            let forwards = Forwards::of(&crate::users::manifest(users).unwrap(), 0).unwrap();
            let word = forwards.word();
            let start = "forwards=tcp:8081:10.0.2.21:80,tcp:7001:10.0.2.21:7,udp:7001:10.0.2.21:7,";
            assert!(word.starts_with(start), "{word}");
            assert!(word.len() <= WORD && !word.ends_with(','), "{word}");
        }
        // Without a fixed address there is nothing to tell.
        let manifest = Manifest::parse("[[user]]\nname = 'x'\n").unwrap();
        assert_eq!(Forwards::of(&manifest, 0).unwrap().word(), "forwards=");
    }

    #[test]
    fn ports_of_different_services_never_meet() {
        let forwards = Forwards::of(&crate::users::manifest(200).unwrap(), 0).unwrap();
        let mut seen = std::collections::BTreeSet::new();
        for (_, _, protocol, port) in forwards.each() {
            assert!(seen.insert((protocol_word(protocol), port)), "{port} twice");
        }
    }

    #[test]
    fn a_user_without_a_fixed_address_has_no_ports() {
        let manifest = Manifest::parse("[[user]]\nname = 'x'\nservices = ['http']\n").unwrap();
        let forwards = Forwards::of(&manifest, 0).unwrap();
        assert!(forwards.options().is_empty());
        assert!(
            forwards
                .table()
                .contains("x               dhcp            -")
        );
    }

    #[test]
    fn a_port_in_use_is_named_with_the_option_that_changes_it() {
        let holder = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = holder.local_addr().unwrap().port();
        let row = Row {
            name: Some("alice".into()),
            address: Some(Ipv4Addr::new(10, 0, 2, 21)),
            ports: vec![(Service::Http, port)],
        };
        let error = Forwards { rows: vec![row] }
            .check_free()
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(&port.to_string()) && error.contains("--port-offset"),
            "{error}"
        );
        assert!(error.contains("alice"), "{error}");
    }

    #[test]
    fn an_offset_beyond_the_ports_is_refused() {
        let manifest = crate::users::manifest(2).unwrap();
        assert!(Forwards::of(&manifest, 46_000).is_ok());
        let error = Forwards::of(&manifest, 47_000).unwrap_err().to_string();
        assert!(error.contains("65535"), "{error}");
        assert!(Forwards::of(&manifest, u32::MAX).is_err());
    }
}
