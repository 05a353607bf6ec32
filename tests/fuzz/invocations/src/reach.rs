//! What processes can come by, and whether it is theirs.
//!
//! *Reach* is the closure over everything that leads from one thing to another: a process has what its
//! root table holds and sees what its address space maps; who manages a process or controls it has
//! what it has; a `CapTable` with `MANAGE` leads to its slots, a page table to what it maps, with no
//! more rights than each entry on the way, an aperture to what it pins. It is computed from the
//! kernel's tables alone, without asking the kernel whether anything is allowed.
//!
//! Whatever a process does, it may reach what it could when it began, with no more rights, and what
//! was bought from its own bank or one below that; nothing else. That is what [`Reach::exceeds`] tells.
//!
//! What it doesn't say: whom messages reach (a `Start` is an authority by itself; its server decides),
//! which calls are owed an answer, and what was read while it could be.

use alloc::vec::Vec;

use abi::cap::{Kind, Rights};
use abi::{CAP_TABLE_SLOTS, TABLE_ENTRIES};

/// An object, as the kernel's row tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its kind, if it is live.
    pub live: Option<Kind>,
    /// Its version.
    pub version: u64,
    /// Its frame.
    pub frame: u32,
}

/// What a process runs on: objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Domain {
    /// Its root table.
    pub root: u32,
    /// Its address space.
    pub space: u32,
}

/// A look at the kernel's tables.
pub trait Look {
    /// An object; `None` beyond the last.
    fn object(&self, oid: u32) -> Option<Object>;
    /// The object that owns a frame.
    fn owner(&self, frame: u32) -> Option<u32>;
    /// A word of a frame.
    fn word(&self, frame: u32, index: usize) -> u64;
    /// What a process runs on.
    fn domain(&self, process: u32) -> Domain;
    /// Frames that an aperture pins.
    fn pinned(&self, aperture: u32) -> Vec<u32>;
}

/// An authority that is no storage: a capability without its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authority {
    /// Its kind.
    pub kind: Kind,
    /// Its rights.
    pub rights: Rights,
    /// The object that it names, if it names one.
    pub oid: u32,
    /// That object's version; of a `Resume`, the token.
    pub version: u64,
    /// Badge, bit or beginning of an extent.
    pub badge: u64,
    /// End of it.
    pub extent: u64,
}

/// Everything that can be reached.
#[derive(Clone, Debug, Default)]
pub struct Reach {
    /// By object: rights of capabilities to it.
    held: Vec<u8>,
    /// By object: rights with which it is, or can be, mapped.
    mapped: Vec<u8>,
    /// By object: the version for which that is so.
    versions: Vec<u64>,
    authorities: Vec<Authority>,
}

/// What is reached and may not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gained {
    /// An object.
    Object {
        /// The object.
        oid: u32,
        /// Its kind, if it is live.
        kind: Option<Kind>,
        /// Rights of capabilities that it had no right to have.
        held: Rights,
        /// Rights with which it sees it, and shouldn't.
        mapped: Rights,
    },
    /// Something else.
    Authority(Authority),
}

impl core::fmt::Display for Gained {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Gained::Object {
                oid,
                kind,
                held,
                mapped,
            } => write!(
                f,
                "it gained object {oid}, a {}: {held:?} by capability, {mapped:?} by mapping",
                kind.map_or("dead object", Kind::name)
            ),
            Gained::Authority(one) => write!(
                f,
                "it gained a {}: {:?}, object {}, badge {:#x}, extent {:#x}",
                one.kind.name(),
                one.rights,
                one.oid,
                one.badge,
                one.extent
            ),
        }
    }
}

/// Whose what is: what may be reached though it could not be before.
pub trait Owned {
    /// Whether an object was bought with the quota that is spent.
    fn object(&self, oid: u32) -> bool;
    /// Whether this is a badge of a bank below the one that is spent from.
    fn bank(&self, badge: u64) -> bool;
    /// spacebank's process.
    fn spacebank(&self) -> u32;
}

const PRESENT: u64 = 1;
const WRITABLE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
const DEVICE: u64 = 1 << 9;
const NO_EXECUTE: u64 = 1 << 63;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
const MEMORY: Rights = Rights::READ.union(Rights::WRITE).union(Rights::EXEC);
/// What makes a process somebody else's to command.
const COMMAND: Rights = Rights::MANAGE.union(Rights::CONTROL);

/// How the closure is taken: what is still to be followed.
struct Walk<'l, L> {
    look: &'l L,
    reach: Reach,
    /// Objects with rights that have not been followed.
    open: Vec<u32>,
}

impl Reach {
    /// What processes can reach, alone and together.
    pub fn of(look: &impl Look, processes: impl IntoIterator<Item = u32>) -> Reach {
        let mut walk = Walk {
            look,
            reach: Reach::default(),
            open: Vec::new(),
        };
        for process in processes {
            walk.hold(process, COMMAND);
        }
        while let Some(oid) = walk.open.pop() {
            walk.follow(oid);
        }
        walk.reach
    }

    /// Objects that are reached.
    pub fn count(&self) -> usize {
        let both = self.held.iter().zip(&self.mapped);
        both.filter(|(held, mapped)| **held | **mapped != 0).count()
    }

    /// The first thing that is reached, could not be before, and isn't owned.
    pub fn exceeds(&self, look: &impl Look, before: &Reach, owned: &impl Owned) -> Option<Gained> {
        for (oid, (held, mapped)) in self.held.iter().zip(&self.mapped).enumerate() {
            let oid = oid as u32;
            if held | mapped == 0 || owned.object(oid) {
                continue;
            }
            let (was_held, was_mapped) = before.rights(oid, self.versions[oid as usize]);
            let (held, mapped) = (held & !was_held, mapped & !was_mapped);
            if held | mapped != 0 {
                return Some(Gained::Object {
                    oid,
                    kind: look.object(oid).and_then(|object| object.live),
                    held: Rights::from_bits_retain(held),
                    mapped: Rights::from_bits_retain(mapped),
                });
            }
        }
        let gained = |one: &&Authority| !before.has(one) && !one.is_owned(owned);
        self.authorities
            .iter()
            .find(gained)
            .copied()
            .map(Gained::Authority)
    }

    /// Rights by capability and by mapping to an object of this version.
    fn rights(&self, oid: u32, version: u64) -> (u8, u8) {
        let oid = oid as usize;
        match self.versions.get(oid) {
            Some(known) if *known == version => (self.held[oid], self.mapped[oid]),
            _ => (0, 0),
        }
    }

    /// Whether it holds as much as this.
    fn has(&self, wanted: &Authority) -> bool {
        self.authorities.iter().any(|one| {
            let same = Authority {
                rights: wanted.rights,
                ..*one
            };
            same == *wanted && one.rights.contains(wanted.rights)
        })
    }

    fn place(&mut self, oid: u32) -> usize {
        let place = oid as usize;
        if self.held.len() <= place {
            self.held.resize(place + 1, 0);
            self.mapped.resize(place + 1, 0);
            self.versions.resize(place + 1, 0);
        }
        place
    }
}

impl Authority {
    /// Whether it comes with what is owned.
    fn is_owned(&self, owned: &impl Owned) -> bool {
        match self.kind {
            Kind::Start if self.oid == owned.spacebank() => owned.bank(self.badge),
            Kind::Start | Kind::Notify => owned.object(self.oid),
            _ => false,
        }
    }
}

impl<L: Look> Walk<'_, L> {
    /// There is a capability to an object.
    fn hold(&mut self, oid: u32, rights: Rights) {
        self.add(oid, rights, Rights::empty());
        // What can be mapped is as good as mapped.
        self.add(oid, Rights::empty(), rights & MEMORY);
    }

    fn add(&mut self, oid: u32, held: Rights, mapped: Rights) {
        let Some(object) = self.look.object(oid).filter(|object| object.live.is_some()) else {
            return;
        };
        let place = self.reach.place(oid);
        let reach = &mut self.reach;
        let more = (held.bits() & !reach.held[place]) | (mapped.bits() & !reach.mapped[place]);
        if more != 0 {
            reach.held[place] |= held.bits();
            reach.mapped[place] |= mapped.bits();
            reach.versions[place] = object.version;
            self.open.push(oid);
        }
    }

    fn follow(&mut self, oid: u32) {
        let Some(object) = self.look.object(oid) else {
            return;
        };
        let held = Rights::from_bits_retain(self.reach.held[oid as usize]);
        let mapped = Rights::from_bits_retain(self.reach.mapped[oid as usize]);
        match object.live {
            Some(Kind::CapTable) if held.contains(Rights::MANAGE) => self.slots(object.frame),
            Some(Kind::Process) if held.intersects(COMMAND) => {
                let Domain { root, space } = self.look.domain(oid);
                // It names its slots, whatever rights there are to the table.
                if let Some(root) = self.look.object(root)
                    && root.live == Some(Kind::CapTable)
                {
                    self.slots(root.frame);
                }
                self.add(space, Rights::empty(), MEMORY);
            }
            Some(Kind::Aperture) if held.contains(Rights::MANAGE) => {
                for frame in self.look.pinned(oid) {
                    if let Some(owner) = self.look.owner(frame) {
                        self.add(owner, Rights::empty(), Rights::READ);
                    }
                }
            }
            Some(kind) if kind.table_level().is_some() => self.entries(object.frame, mapped),
            _ => {}
        }
    }

    fn slots(&mut self, frame: u32) {
        for slot in 0..CAP_TABLE_SLOTS {
            let word = |n: usize| self.look.word(frame, 4 * slot + n);
            let head = word(0);
            let Some(kind) = Kind::from_u8(head as u8).filter(|kind| *kind != Kind::Void) else {
                continue;
            };
            let one = Authority {
                kind,
                rights: Rights::from_bits_retain((head >> 8) as u8),
                oid: (head >> 32) as u32,
                version: word(1),
                badge: word(2),
                extent: word(3),
            };
            if kind.is_storage() {
                let object = self.look.object(one.oid);
                if object.is_some_and(|object| object.version == one.version) {
                    self.hold(one.oid, one.rights);
                }
            } else if self.is_alive(&one) {
                self.authority(one);
            }
        }
    }

    fn authority(&mut self, one: Authority) {
        if !self.reach.authorities.contains(&one) {
            self.reach.authorities.push(one);
        }
    }

    /// Whether what an authority names is still what it was.
    fn is_alive(&self, one: &Authority) -> bool {
        match one.kind {
            Kind::Start | Kind::Notify => self
                .look
                .object(one.oid)
                .is_some_and(|object| object.live.is_some() && object.version == one.version),
            // It names a call, not a caller: who called may be gone, and its object somebody else's.
            Kind::Resume => false,
            _ => true,
        }
    }

    fn entries(&mut self, frame: u32, rights: Rights) {
        for index in 0..TABLE_ENTRIES {
            let entry = self.look.word(frame, index);
            if entry & (PRESENT | USER) != PRESENT | USER {
                continue;
            }
            let mut granted = rights;
            granted.set(
                Rights::WRITE,
                rights.contains(Rights::WRITE) && entry & WRITABLE != 0,
            );
            granted.set(
                Rights::EXEC,
                rights.contains(Rights::EXEC) && entry & NO_EXECUTE == 0,
            );
            if entry & DEVICE != 0 {
                self.authority(Authority {
                    kind: Kind::DeviceMemory,
                    rights: granted,
                    oid: u32::MAX,
                    version: 0,
                    badge: (entry & ADDRESS) >> 12,
                    extent: 1,
                });
            } else if let Some(child) = self.look.owner(((entry & ADDRESS) >> 12) as u32) {
                self.add(child, Rights::empty(), granted);
            }
        }
    }
}

#[cfg(test)]
#[path = "reach_tests.rs"]
mod tests;
