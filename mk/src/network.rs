//! Where the network card's cable leads.

use std::net::Ipv4Addr;
use std::os::unix::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::str::FromStr;

use anyhow::{Context, Result, bail};

use crate::forwards::Forwards;
use crate::machine::path_text;
use crate::users;

/// What `--net` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// QEMU's own network, 10.0.2.0/24, with forwarded ports. Needs no privileges.
    #[default]
    User,
    /// A tap device of this name. Made for the run and given the address 10.0.2.2, unless it is
    /// there already.
    Tap(String),
    /// Datagrams on unix sockets in this folder, one frame each.
    Dgram(Option<PathBuf>),
}

impl FromStr for Choice {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            None if text == "user" => Ok(Choice::User),
            None if text == "tap" => Ok(Choice::Tap("usufruct0".into())),
            None if text == "dgram" => Ok(Choice::Dgram(None)),
            Some(("tap", name)) if (1..=15).contains(&name.len()) => Ok(Choice::Tap(name.into())),
            Some(("dgram", folder)) if !folder.is_empty() => Ok(Choice::Dgram(Some(folder.into()))),
            _ => Err("it must be user, tap, tap=INTERFACE, dgram or dgram=FOLDER".into()),
        }
    }
}

/// A network for one boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Network {
    /// The cable leads nowhere.
    Unplugged,
    /// QEMU's user networking.
    User(Forwards),
    /// A tap device.
    Tap(String),
    /// Unix datagram sockets: QEMU receives on the first and sends to the second.
    Dgram(PathBuf, PathBuf),
    /// Arguments as they stand; one of them makes the netdev `net0`.
    Custom(Vec<String>),
}

impl Network {
    /// A wire on unix sockets in a folder.
    pub fn wire(folder: &Path) -> Network {
        Network::Dgram(folder.join("to-guest"), folder.join("to-host"))
    }

    /// A wire on unix sockets in a folder that the user names.
    ///
    /// # Errors
    /// There is no such folder, or its path is too long for sockets.
    pub fn wire_in(folder: &Path) -> Result<Network> {
        let option = format!("--net dgram={}", folder.display());
        if !folder.is_dir() {
            bail!("{option}: there is no such folder; mkdir -p makes it");
        }
        let wire = Network::wire(folder);
        if let Network::Dgram(guest, host) = &wire {
            for socket in [guest, host] {
                let name = SocketAddr::from_pathname(socket);
                name.with_context(|| format!("{option}: a socket can't have this name"))?;
            }
        }
        Ok(wire)
    }

    /// QEMU's arguments.
    ///
    /// # Errors
    /// A path that QEMU can't be given.
    pub fn arguments(&self) -> Result<Vec<String>> {
        let netdev = match self {
            Network::Unplugged => "hubport,id=net0,hubid=0".to_string(),
            Network::User(forwards) => {
                let mut options = vec![format!("user,id=net0,dhcpstart={}", users::DHCP_START)];
                options.extend(forwards.options());
                options.join(",")
            }
            Network::Tap(name) => format!("tap,id=net0,ifname={name},script=no,downscript=no"),
            Network::Dgram(guest, host) => format!(
                "dgram,id=net0,local.type=unix,local.path={},remote.type=unix,remote.path={}",
                path_text(guest)?,
                path_text(host)?
            ),
            Network::Custom(arguments) => return Ok(arguments.clone()),
        };
        Ok(vec!["-netdev".into(), netdev])
    }
}

/// A tap device for a run.
#[derive(Debug)]
pub struct Tap {
    name: String,
    /// Whether it was there before, and so is left as it is.
    existing: bool,
}

impl Tap {
    /// Sees whether a tap device can be had, before anything is started.
    ///
    /// # Errors
    /// It can't; the error says why and what else there is.
    pub fn prepare(name: &str) -> Result<Tap> {
        let other = "--net user needs no privileges";
        if crate::setup::find("ip").is_none() {
            bail!("--net tap needs the program ip (Debian: apt-get install iproute2); {other}");
        }
        let existing = Path::new("/sys/class/net").join(name).exists();
        if !existing {
            if !rustix::process::geteuid().is_root() {
                bail!(
                    "only root can make the tap device {name}; make one for yourself by\n  \
                     sudo ip tuntap add {name} mode tap user $USER && sudo ip addr add {}/{} dev \
                     {name} && sudo ip link set {name} up\n{other}",
                    users::GATEWAY,
                    users::PREFIX
                );
            }
            if let Err(error) = std::fs::File::open("/dev/net/tun") {
                bail!("/dev/net/tun can't be opened ({error}), so there are no taps here; {other}");
            }
            let addresses = ip(&["-4", "-oneline", "addr"])?;
            if let Some(line) = addresses.lines().find(|line| overlaps(line)) {
                bail!(
                    "the guest's network 10.0.2.0/24 is in use already:\n  {}\n{other}",
                    line.trim()
                );
            }
        }
        Ok(Tap {
            name: name.into(),
            existing,
        })
    }

    /// Whether the device is made for the run.
    pub fn is_new(&self) -> bool {
        !self.existing
    }

    /// Brings the device up, once QEMU has made it, with the MTU of the guest's card if that tells one.
    /// It goes away with QEMU.
    ///
    /// # Errors
    /// `ip` fails.
    pub fn bring_up(&self, mtu: Option<u16>) -> Result<()> {
        if self.existing {
            return Ok(());
        }
        let address = format!("{}/{}", users::GATEWAY, users::PREFIX);
        ip(&["addr", "add", &address, "dev", &self.name])?;
        if let Some(mtu) = mtu {
            ip(&["link", "set", &self.name, "mtu", &mtu.to_string()])?;
        }
        ip(&["link", "set", &self.name, "up"])?;
        Ok(())
    }
}

/// Whether a line of `ip -oneline addr` has an address whose subnet meets the guest's.
fn overlaps(line: &str) -> bool {
    let Some(cidr) = line
        .split_whitespace()
        .skip_while(|word| *word != "inet")
        .nth(1)
    else {
        return false;
    };
    let Some((address, length)) = cidr.split_once('/') else {
        return false;
    };
    let (Ok(address), Ok(length)) = (address.parse::<Ipv4Addr>(), length.parse::<u32>()) else {
        return false;
    };
    let shift = 32 - length.min(u32::from(users::PREFIX));
    let prefix = |address: Ipv4Addr| address.to_bits().checked_shr(shift).unwrap_or(0);
    prefix(address) == prefix(users::GATEWAY)
}

fn ip(arguments: &[&str]) -> Result<String> {
    let output = Command::new("ip")
        .args(arguments)
        .output()
        .context("ip can't be run")?;
    if !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr);
        bail!("ip {}: {}", arguments.join(" "), error.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_choices_are_read_and_a_wrong_one_lists_them() {
        assert_eq!("user".parse(), Ok(Choice::User));
        assert_eq!("tap=tap7".parse(), Ok(Choice::Tap("tap7".into())));
        assert_eq!(
            "dgram=/tmp/w".parse(),
            Ok(Choice::Dgram(Some("/tmp/w".into())))
        );
        for wrong in [
            "",
            "bridge",
            "tap=",
            "tap=waytoolongforalinux",
            "dgram=",
            "user=x",
        ] {
            let error = wrong.parse::<Choice>().unwrap_err();
            assert!(error.contains("tap=INTERFACE"), "{wrong}: {error}");
        }
    }

    #[test]
    fn a_wire_in_a_folder_that_is_not_there_is_refused_before_qemu_is() {
        let folder = tempfile::tempdir().unwrap();
        let there = folder.path();
        assert_eq!(Network::wire_in(there).unwrap(), Network::wire(there));
        let error = Network::wire_in(&there.join("nope")).unwrap_err();
        assert!(error.to_string().contains("nope: there is no such folder"));
        let long = there.join("x".repeat(120));
        std::fs::create_dir(&long).unwrap();
        assert!(Network::wire_in(&long).is_err());
    }

    #[test]
    fn a_host_that_is_on_the_guests_network_is_noticed() {
        assert!(overlaps(
            "2: eth0    inet 10.0.2.15/24 brd 10.0.2.255 scope global eth0"
        ));
        assert!(overlaps("2: eth0    inet 10.1.2.3/8 scope global eth0"));
        assert!(overlaps("2: eth0    inet 10.0.2.200/28 scope global eth0"));
        assert!(!overlaps("2: eth0    inet 10.0.3.15/24 scope global eth0"));
        assert!(!overlaps("1: lo    inet 127.0.0.1/8 scope host lo"));
    }
}
