//! What init tells a user's stack when it starts it.

use alloc::vec::Vec;

use abi::boot::slot;
use netstack::config::{Config, Ipv4, Ipv6, Limits, Services};

use crate::failure::Failure;
use crate::manifest::{Ipv4Setting, Ipv6Setting, Service, User};
use crate::plan::Plan;

/// The file that stacks run.
pub const FILE: &str = "bin/netstack";

/// Where a stack finds its port.
pub const PORT_SLOT: u16 = slot::GRANT;

/// Where it finds the [port bank](crate::port_bank) that it offers when it attaches.
pub const PORT_BANK_SLOT: u16 = slot::GRANT + 1;

/// A stack's configuration.
pub fn config(user: &User, plan: &Plan) -> Config {
    let serves = |service| user.services.contains(&service);
    Config {
        name: user.name.as_str().into(),
        mac: user.mac.bytes(),
        ipv4: match user.ipv4 {
            Ipv4Setting::Dhcp => Ipv4::Dhcp,
            Ipv4Setting::Static(cidr) => Ipv4::Static {
                address: cidr.address,
                prefix_length: cidr.length,
                gateway: user.ipv4_gateway,
            },
        },
        ipv6: match user.ipv6 {
            Ipv6Setting::Off => Ipv6::Off,
            Ipv6Setting::Slaac => Ipv6::Slaac,
            Ipv6Setting::Static(cidr) => Ipv6::Static {
                address: cidr.address,
                prefix_length: cidr.length,
                gateway: user.ipv6_gateway,
            },
        },
        dns: user.dns.clone(),
        services: Services {
            http: serves(Service::Http),
            echo: serves(Service::Echo),
            discard: serves(Service::Discard),
            chargen: serves(Service::Chargen),
        },
        limits: Limits::default().within(plan.heap),
    }
}

/// A stack's arguments, as it reads them.
///
/// # Errors
/// The stack would refuse them.
pub fn arguments(user: &User, plan: &Plan) -> Result<Vec<u8>, Failure> {
    let what = "writing its configuration";
    let config = config(user, plan);
    config.check().map_err(|error| Failure::new(what, error))?;
    postcard::to_allocvec(&config).map_err(|error| Failure::new(what, error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Manifest;
    use crate::plan::plan;
    use alloc::format;

    #[test]
    fn what_the_manifest_allows_the_stack_accepts() {
        let settings = [
            "",
            "ipv4 = '10.0.2.21/24'\nipv4_gateway = '10.0.2.2'\nipv6 = 'off'",
            "ipv6 = 'fd00::21/64'\nipv6_gateway = 'fe80::1'\ndns = ['10.0.2.3', 'fd00::3']",
            "services = ['http']\nbank = 1200",
            "services = []",
        ];
        for text in settings {
            let manifest = Manifest::parse(&format!("[[user]]\nname = 'alice'\n{text}\n")).unwrap();
            let user = &manifest.user[0];
            let plan = plan(user, 200).unwrap();
            let bytes = arguments(user, &plan).unwrap();
            let read: Config = postcard::from_bytes(&bytes).unwrap();
            assert_eq!(read, config(user, &plan));
            assert!(read.limits.memory <= plan.heap);
            assert!(bytes.len() <= abi::PAGE_SIZE - 4);
        }
    }

    #[test]
    fn services_are_those_of_the_manifest() {
        let manifest =
            Manifest::parse("[[user]]\nname = 'a'\nservices = ['echo', 'http']\n").unwrap();
        let user = &manifest.user[0];
        let services = config(user, &plan(user, 200).unwrap()).services;
        assert!(services.http && services.echo && !services.discard && !services.chargen);
    }
}
