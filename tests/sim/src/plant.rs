//! Faults that are planted, to see that they are found.
//!
//! Those of the machine look to the checks as if the kernel had forgotten to ask for something. With
//! the feature `planted` there are mistakes of the kernel's own and of the driver's besides.

#[cfg(feature = "planted")]
use {ethdrv::planted::Fault as DriverFault, kernel::planted::Fault};

/// A fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plant {
    /// Single translations are not forgotten.
    KeepPages,
    /// No translations are ever forgotten but those of another address space.
    KeepAll,
    /// Frames are not zeroed.
    DontZero,
    /// Bus mastering can't be switched off.
    KeepMaster,
    /// The device goes on writing where it was told to stop.
    WriteOn,
    /// A mistake of the kernel's.
    #[cfg(feature = "planted")]
    Kernel(Fault),
    /// A mistake of the ethernet driver's.
    #[cfg(feature = "planted")]
    Driver(DriverFault),
}

impl Plant {
    /// Those of the machine.
    pub const MACHINE: [Plant; 5] = [
        Plant::KeepPages,
        Plant::KeepAll,
        Plant::DontZero,
        Plant::KeepMaster,
        Plant::WriteOn,
    ];

    /// All that there are.
    pub fn all() -> Vec<Plant> {
        #[cfg_attr(not(feature = "planted"), allow(unused_mut))]
        let mut all = Plant::MACHINE.to_vec();
        #[cfg(feature = "planted")]
        {
            all.extend(Fault::ALL.map(Plant::Kernel));
            all.extend(DriverFault::ALL.map(Plant::Driver));
        }
        all
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Plant::KeepPages => "keep-pages",
            Plant::KeepAll => "keep-all",
            Plant::DontZero => "dont-zero",
            Plant::KeepMaster => "keep-master",
            Plant::WriteOn => "write-on",
            #[cfg(feature = "planted")]
            Plant::Kernel(fault) => fault.name(),
            #[cfg(feature = "planted")]
            Plant::Driver(fault) => fault.name(),
        }
    }

    /// Whose mistake it is: the machine's, the kernel's, the driver's.
    pub const fn whose(self) -> &'static str {
        match self {
            #[cfg(feature = "planted")]
            Plant::Kernel(_) => "kernel",
            #[cfg(feature = "planted")]
            Plant::Driver(_) => "driver",
            _ => "machine",
        }
    }

    /// The one with this name.
    pub fn named(name: &str) -> Option<Plant> {
        Plant::all().into_iter().find(|plant| plant.name() == name)
    }
}
