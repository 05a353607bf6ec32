//! Finding the structures, on configuration spaces good and bad.
#![cfg(not(loom))]

#[cfg(not(miri))]
use proptest::prelude::*;
use virtio::Locations;
use virtio::location::{Configuration, DeviceType, Error, Location, Structure};

/// A configuration space in memory. A read beyond it, or unaligned, fails.
#[derive(Clone)]
struct Space([u8; 256]);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct BadAccess(u8);

impl Configuration for Space {
    type Error = BadAccess;

    fn read_u32(&self, offset: u8) -> Result<u32, BadAccess> {
        if !offset.is_multiple_of(4) {
            return Err(BadAccess(offset));
        }
        let bytes = &self.0[usize::from(offset)..][..4];
        Ok(u32::from_le_bytes(bytes.try_into().expect("four bytes")))
    }
}

impl Space {
    fn put(&mut self, offset: usize, bytes: &[u8]) {
        self.0[offset..][..bytes.len()].copy_from_slice(bytes);
    }

    /// A virtio capability at `offset` that goes on at `next`.
    fn capability(&mut self, offset: usize, next: u8, kind: u8, place: Location) {
        self.put(offset, &[9, next, 16, kind, place.bar, 0, 0, 0]);
        self.put(offset + 8, &place.offset.to_le_bytes());
        self.put(offset + 12, &place.length.to_le_bytes());
    }
}

fn place(offset: u32) -> Location {
    Location {
        bar: 4,
        offset,
        length: 0x1000,
    }
}

/// QEMU 7.2's virtio-net-pci: MSI-X, the PCI window, then notify, device, status, common.
fn qemu() -> Space {
    let mut space = Space([0; 256]);
    space.put(0x00, &[0xf4, 0x1a, 0x00, 0x10, 0x07, 0x05, 0x10, 0x00]);
    space.put(0x2c, &[0xf4, 0x1a, 0x01, 0x00]);
    space.put(0x34, &[0x98]);
    space.put(
        0x98,
        &[0x11, 0x84, 0x03, 0x80, 0x01, 0, 0, 0, 0x01, 0x08, 0, 0],
    );
    space.capability(
        0x84,
        0x70,
        5,
        Location {
            bar: 0,
            offset: 0,
            length: 0,
        },
    );
    space.capability(0x70, 0x60, 2, place(0x3000));
    space.put(0x80, &4u32.to_le_bytes());
    space.capability(0x60, 0x50, 4, place(0x2000));
    space.capability(0x50, 0x40, 3, place(0x1000));
    space.capability(0x40, 0x00, 1, place(0x0000));
    space
}

fn expected() -> Locations {
    Locations {
        device_type: DeviceType::Network,
        common: place(0),
        notify: place(0x3000),
        notify_multiplier: 4,
        interrupt_status: Some(place(0x1000)),
        device: Some(place(0x2000)),
        vectors: 4,
    }
}

#[test]
fn finds_what_qemu_shows() {
    assert_eq!(Locations::find(&qemu()), Ok(expected()));
}

#[test]
fn goes_to_the_driver_and_comes_back_the_same() {
    let bytes = postcard::to_allocvec(&expected()).expect("has room");
    assert_eq!(postcard::from_bytes(&bytes), Ok(expected()));
}

#[test]
fn tells_devices_apart_by_their_numbers() {
    use DeviceType::{Block, Network, Other};
    assert_eq!(DeviceType::from_pci(0x1af4, 0x1000, 1), Some(Network));
    assert_eq!(DeviceType::from_pci(0x1af4, 0x1001, 2), Some(Block));
    assert_eq!(DeviceType::from_pci(0x1af4, 0x1041, 0x1100), Some(Network));
    assert_eq!(DeviceType::from_pci(0x1af4, 0x1042, 0x1100), Some(Block));
    assert_eq!(DeviceType::from_pci(0x1af4, 0x1044, 0x1100), Some(Other(4)));
    assert_eq!(DeviceType::from_pci(0x1af4, 0x1110, 0x1100), None);
    assert_eq!(DeviceType::from_pci(0x8086, 0x1041, 1), None);
    let mut space = qemu();
    space.put(0, &[0x86, 0x80]);
    assert_eq!(Locations::find(&space), Err(Error::NotVirtio));
}

#[test]
fn the_first_structure_of_a_kind_counts_and_reserved_ones_do_not() {
    let mut space = qemu();
    // Before the others: a kind nobody defined, then a structure in a BAR that doesn't exist.
    space.put(0x34, &[0xb0]);
    space.capability(0xb0, 0xc4, 0x77, place(0));
    let nowhere = Location { bar: 6, ..place(0) };
    space.capability(0xc4, 0x98, 1, nowhere);
    // After them: a second notify structure.
    space.capability(0x40, 0xd4, 1, place(0));
    space.capability(0xd4, 0x00, 2, place(0x7000));
    assert_eq!(Locations::find(&space), Ok(expected()));
}

#[test]
fn legacy_devices_and_missing_structures_are_named() {
    let mut space = qemu();
    space.put(0x06, &[0]);
    assert_eq!(
        Locations::find(&space),
        Err(Error::Missing(Structure::Common))
    );
    let mut space = qemu();
    space.put(0x73, &[5]);
    assert_eq!(
        Locations::find(&space),
        Err(Error::Missing(Structure::Notify))
    );
    let mut space = qemu();
    space.put(0x53, &[5]);
    space.put(0x63, &[5]);
    space.put(0x98, &[1]);
    let found = Locations::find(&space).expect("what is left will do");
    assert_eq!(
        (found.device, found.interrupt_status, found.vectors),
        (None, None, 0)
    );
}

#[test]
fn capability_lists_that_loop_or_leave_the_space_end() {
    let mut space = qemu();
    space.put(0x41, &[0x98]);
    assert_eq!(Locations::find(&space), Err(Error::BadCapabilities));
    let mut space = qemu();
    space.put(0x41, &[0x10]);
    assert_eq!(Locations::find(&space), Err(Error::BadCapabilities));
    let mut space = qemu();
    space.put(0x41, &[0xfc]);
    space.put(0xfc, &[9, 0, 16, 1]);
    assert_eq!(Locations::find(&space), Err(Error::BadCapabilities));
    // The two low bits of a pointer mean nothing.
    let mut space = qemu();
    space.put(0x34, &[0x9b]);
    assert_eq!(Locations::find(&space), Ok(expected()));
}

#[test]
fn places_that_cannot_be_are_refused() {
    let spoiled = |offset: usize, bytes: &[u8]| {
        let mut space = qemu();
        space.put(offset, bytes);
        Locations::find(&space)
    };
    let bad = |structure| Err(Error::BadLocation(structure));
    assert_eq!(spoiled(0x4c, &[0x37, 0]), bad(Structure::Common));
    assert_eq!(spoiled(0x48, &[2]), bad(Structure::Common));
    assert_eq!(spoiled(0x7c, &[1, 0]), bad(Structure::Notify));
    assert_eq!(spoiled(0x78, &[1]), bad(Structure::Notify));
    assert_eq!(spoiled(0x80, &[3]), bad(Structure::Notify));
    assert_eq!(spoiled(0x80, &[1]), bad(Structure::Notify));
    assert!(
        spoiled(0x80, &[0]).is_ok(),
        "all queues may share a register"
    );
    assert_eq!(spoiled(0x68, &[1]), bad(Structure::Device));

    let found = expected();
    let size = |size| move |bar| (bar == 4).then_some(size);
    assert_eq!(found.check(size(0x4000)), Ok(()));
    let notify = Err(Error::BadLocation(Structure::Notify));
    assert_eq!(found.check(size(0x3fff)), notify);
    let elsewhere = Locations {
        device: Some(Location { bar: 2, ..place(0) }),
        ..found
    };
    let device = Err(Error::BadLocation(Structure::Device));
    assert_eq!(elsewhere.check(size(0x4000)), device);
    let beyond = Locations {
        common: Location {
            bar: 4,
            offset: u32::MAX - 3,
            length: u32::MAX,
        },
        ..found
    };
    let common = Err(Error::BadLocation(Structure::Common));
    assert_eq!(beyond.check(size(0x1_0000_0000)), common);
}

#[cfg(not(miri))]
proptest! {
    #[test]
    fn any_configuration_space_gets_an_answer(
        bytes: Vec<u8>,
        at in prop::collection::vec((0..256usize, any::<u8>()), 0..24),
        wild: bool,
    ) {
        let mut space = if wild { Space([0; 256]) } else { qemu() };
        if wild {
            for (cell, byte) in space.0.iter_mut().zip(&bytes) {
                *cell = *byte;
            }
            space.put(0, &[0xf4, 0x1a, 0x41, 0x10]);
            space.0[6] |= 0x10;
        }
        for (offset, byte) in at {
            space.0[offset] = byte;
        }
        match Locations::find(&space) {
            Err(Error::Access(access)) => panic!("{access:?}"),
            Err(_) => {}
            Ok(found) => {
                prop_assert!(found.all().all(|(_, location)| location.bar <= 5));
                prop_assert!(found.common.length >= 0x38);
            }
        }
    }
}
