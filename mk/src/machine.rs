//! The machine: which description under `qemu/`, how many CPUs, how much memory, what runs it.

use std::fmt;
use std::ops::RangeInclusive;
use std::path::Path;
use std::str::FromStr;

use anyhow::{Context, Result, bail};

/// The description in use: `qemu/q35.cfg` and `qemu/q35.args`.
pub const DESCRIPTION: &str = "q35";

/// Most CPUs that QEMU's q35 has.
pub const MAX_CPUS: u32 = 255;

/// What executes the guest's instructions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Accelerator {
    /// KVM where the CPU says that it can virtualise (`vmx` or `svm`), else TCG.
    #[default]
    Auto,
    /// QEMU's translator.
    Tcg,
    /// The host's CPU.
    Kvm,
}

impl FromStr for Accelerator {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Accelerator::Auto),
            "tcg" => Ok(Accelerator::Tcg),
            "kvm" => Ok(Accelerator::Kvm),
            _ => Err("it must be auto, tcg or kvm".into()),
        }
    }
}

impl fmt::Display for Accelerator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Accelerator::Auto => "auto",
            Accelerator::Tcg => "tcg",
            Accelerator::Kvm => "kvm",
        })
    }
}

impl Accelerator {
    /// Decides `auto`; the answer is `Tcg` or `Kvm`.
    pub fn decide(self) -> Accelerator {
        match self {
            Accelerator::Auto => {
                // Some hosts offer /dev/kvm that then fails at the first entry: believe the CPU.
                let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
                if can_virtualise(&info) && Path::new("/dev/kvm").exists() {
                    Accelerator::Kvm
                } else {
                    Accelerator::Tcg
                }
            }
            decided => decided,
        }
    }

    /// What speaks against the choice on this host.
    pub fn doubt(self) -> Option<&'static str> {
        let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        self.doubt_on(&info)
    }

    fn doubt_on(self, cpuinfo: &str) -> Option<&'static str> {
        (self == Accelerator::Kvm && !can_virtualise(cpuinfo)).then_some(
            "--accel kvm: this CPU doesn't say that it can virtualise (no vmx or svm in \
             /proc/cpuinfo), so the guest may fail at once or hang; --accel tcg works everywhere",
        )
    }
}

fn can_virtualise(cpuinfo: &str) -> bool {
    let mut flags = cpuinfo
        .lines()
        .filter_map(|line| line.strip_prefix("flags"));
    flags.any(|line| {
        line.split_whitespace()
            .any(|flag| flag == "vmx" || flag == "svm")
    })
}

/// Memory size in MiB: `128`, `128M` or `1G`.
///
/// # Errors
/// The text is none of these, or out of bounds.
pub fn memory_size(text: &str) -> Result<u32, String> {
    let (digits, unit) = match text.strip_suffix(['M', 'm']) {
        Some(digits) => (digits, 1),
        None => match text.strip_suffix(['G', 'g']) {
            Some(digits) => (digits, 1024),
            None => (text, 1),
        },
    };
    let size = digits
        .parse::<u32>()
        .ok()
        .and_then(|size| size.checked_mul(unit));
    size.filter(|size| (16..=1 << 20).contains(size))
        .ok_or_else(|| "it must be 16M to 1024G, such as 128M or 1G".into())
}

/// The MTUs that a network card can be given: from IPv4's least to what jumbo frames carry, which is
/// the most that the driver agrees to.
pub const MTUS: RangeInclusive<u16> = 68..=9000;

/// An MTU: 68 to 9000.
///
/// # Errors
/// The text is none.
pub fn mtu(text: &str) -> Result<u16, String> {
    let mtu = text.parse().ok();
    mtu.filter(|mtu| MTUS.contains(mtu)).ok_or_else(|| {
        let (least, most) = (MTUS.start(), MTUS.end());
        format!("it must be {least} to {most}, such as 1500 or 9000")
    })
}

/// A machine to boot on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// CPUs that run, 1 to [`MAX_CPUS`].
    pub cpus: u32,
    /// Memory, in MiB.
    pub memory: u32,
    /// What executes the guest.
    pub accelerator: Accelerator,
    /// Count instructions: one a nanosecond of the guest's time, the same in each run.
    pub icount: bool,
    /// The MTU that the network card tells. `None`: it tells none, and 1,500 is assumed.
    pub mtu: Option<u16>,
}

impl Default for Machine {
    fn default() -> Self {
        Machine {
            cpus: 1,
            memory: 128,
            accelerator: Accelerator::Auto,
            icount: false,
            mtu: None,
        }
    }
}

impl Machine {
    /// QEMU's arguments for the machine.
    ///
    /// # Errors
    /// The settings don't go together, or the description can't be read.
    pub fn arguments(&self, root: &Path) -> Result<Vec<String>> {
        if self.cpus == 0 || self.cpus > MAX_CPUS {
            bail!("--smp {}: a machine has 1 to {MAX_CPUS} CPUs", self.cpus);
        }
        let accelerator = match (self.icount, self.accelerator) {
            (true, Accelerator::Kvm) => {
                bail!("--icount counts the instructions that TCG translates; use --accel tcg")
            }
            (true, _) => Accelerator::Tcg,
            (false, other) => other.decide(),
        };
        let folder = root.join("qemu");
        let description = folder.join(format!("{DESCRIPTION}.cfg"));
        let mut arguments = vec!["-readconfig".to_string(), path_text(&description)?];
        let more = folder.join(format!("{DESCRIPTION}.args"));
        let text = std::fs::read_to_string(&more)
            .with_context(|| format!("can't read {}", more.display()))?;
        arguments.extend(argument_lines(&text));
        arguments.extend(["-accel".into(), accelerator.to_string()]);
        arguments.extend(["-m".into(), format!("{}M", self.memory)]);
        // maxcpus: see q35.cfg.
        let smp = format!("cpus={},maxcpus={}", self.cpus, self.cpus.max(2));
        arguments.extend(["-smp".into(), smp]);
        if self.icount {
            arguments.extend(["-icount".into(), "shift=0,sleep=off".into()]);
            arguments.extend(["-rtc".into(), "base=2020-01-01T00:00:00,clock=vm".into()]);
        }
        if let Some(mtu) = self.mtu {
            // The card is the one of the description.
            arguments.extend(["-set".into(), format!("device.nic0.host_mtu={mtu}")]);
        }
        Ok(arguments)
    }
}

/// A path as text: QEMU's option syntax has no room for a comma, and mk prints what it runs.
///
/// # Errors
/// The path is not UTF-8 or has a comma.
pub fn path_text(path: &Path) -> Result<String> {
    match path.to_str() {
        Some(text) if !text.contains(',') => Ok(text.to_string()),
        _ => bail!(
            "{}: QEMU can't be given a path with a comma or odd characters",
            path.display()
        ),
    }
}

fn argument_lines(text: &str) -> impl Iterator<Item = String> {
    let lines = text.lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> &'static Path {
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
    }

    fn text(machine: &Machine) -> String {
        machine.arguments(root()).unwrap().join(" ")
    }

    #[test]
    fn one_cpu_is_never_the_most_that_the_machine_can_have() {
        assert!(text(&Machine::default()).contains("-smp cpus=1,maxcpus=2"));
        assert!(
            text(&Machine {
                cpus: 4,
                ..Machine::default()
            })
            .contains("-smp cpus=4,maxcpus=4")
        );
    }

    #[test]
    fn settings_that_make_no_machine_are_refused() {
        for machine in [
            Machine {
                cpus: 0,
                ..Machine::default()
            },
            Machine {
                cpus: 256,
                ..Machine::default()
            },
            Machine {
                icount: true,
                accelerator: Accelerator::Kvm,
                ..Machine::default()
            },
        ] {
            assert!(machine.arguments(root()).is_err(), "{machine:?}");
        }
    }

    #[test]
    fn icount_is_tcg_with_a_clock_of_its_own() {
        let text = text(&Machine {
            icount: true,
            ..Machine::default()
        });
        assert!(
            text.contains("-accel tcg") && text.contains("shift=0,sleep=off"),
            "{text}"
        );
        assert!(text.contains("clock=vm"), "{text}");
    }

    #[test]
    fn only_the_flags_say_whether_a_cpu_can_virtualise() {
        assert!(can_virtualise("model name : x\nflags\t\t: fpu vmx sse\n"));
        assert!(can_virtualise("flags\t\t: fpu svm\n"));
        assert!(!can_virtualise(
            "model name : svm\nflags\t\t: fpu sse\nvmx flags : x\n"
        ));
    }

    #[test]
    fn kvm_is_doubted_where_the_cpu_does_not_say_that_it_can_virtualise() {
        let (with, without) = ("flags : fpu svm\n", "flags : fpu sse\n");
        assert!(Accelerator::Kvm.doubt_on(without).is_some());
        assert_eq!(Accelerator::Kvm.doubt_on(with), None);
        for other in [Accelerator::Auto, Accelerator::Tcg] {
            assert_eq!(other.doubt_on(without), None);
        }
    }

    #[test]
    fn the_card_is_told_an_mtu_only_if_one_is_asked_for() {
        assert!(!text(&Machine::default()).contains("host_mtu"));
        let large = Machine {
            mtu: Some(9000),
            ..Machine::default()
        };
        assert!(text(&large).contains("-set device.nic0.host_mtu=9000"));
        assert_eq!(mtu("68"), Ok(68));
        assert_eq!(mtu("9000"), Ok(9000));
        for wrong in ["", "67", "9001", "1500x", "-1", "66036"] {
            assert!(mtu(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn memory_is_written_in_megabytes_or_gigabytes() {
        assert_eq!(memory_size("128"), Ok(128));
        assert_eq!(memory_size("64M"), Ok(64));
        assert_eq!(memory_size("2g"), Ok(2048));
        for wrong in ["", "M", "1", "-5", "5000000G", "1T"] {
            assert!(memory_size(wrong).is_err(), "{wrong}");
        }
    }
}
